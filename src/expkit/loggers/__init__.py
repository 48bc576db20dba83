"""Loggers: other programs that are sent what a run records, by a process apart from it."""
