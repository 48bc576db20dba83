"""The parts of my-project, which the YAML files of conf/ name."""
