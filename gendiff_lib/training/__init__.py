"""Training: written once for everything that one batch improves."""
