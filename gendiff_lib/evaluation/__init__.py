"""Evaluation: features, scores, their errors, and whether they can be trusted."""
