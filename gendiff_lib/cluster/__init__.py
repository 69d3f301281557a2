"""A cluster: one job for each run that is missing, and what has become of it."""
