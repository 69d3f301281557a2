"""Runs: what is on disk of a training, and what can be read or made from it."""
