"""The commands by name, each with its one line; a file of this folder stands for each."""

from __future__ import annotations

COMMANDS = {
    "train": "run an experiment: prove it on 1 sample, then 10, then train in full",
    "init": "a project of your own: an experiment, a model and a dataset, with tests and CI",
    "smoke": "the overfit gates of many models or experiments in one command, for CI",
    "sort": "a raw folder of images into classes and splits, by rules or by clusters",
    "list": "what can be chosen, and what each choice is",
    "show": "a run's or a sweep's results on one screen, live while a sweep runs",
    "events": "what happens in a run or a sweep as JSON lines, also while it goes on",
    "plot": "draw a run's or a sweep's pages again from its records",
    "compare": "what differs between runs, what came of it, and whether that is more than luck",
    "analyze": "the course of training in numbers: best, latest, gap, and where it turned",
    "diagnose": "what is wrong with a run, why, and what to try next",
    "calibrate": "make a run's probabilities as sure as they are right, and confirm that",
    "threshold": "choose a class's cut-off, with a maybe, and confirm it on other samples",
    "evaluate": "a run's model on any data that fits it",
    "unseal": "look at a sealed test set once more, which is counted over all runs",
    "ensemble": "several runs' models as one, and what that gains over the best of them",
    "export": "a run's model as a file of its own, proved to predict what the run does",
    "predict": "what a run's model predicts for new images",
    "latency": "how long a run's model takes, and how large it is",
    "parity": "a device and precision held against this CPU in fp32, layer by layer",
    "report": "write an experiment's page from its runs, and the index of all",
    "resume": "go on with a run or a sweep that was cut off",
    "completion": "tab completion for bash, zsh or fish",
}
