"""A run's model as a file of its own, and the proof that it predicts what the run does."""
