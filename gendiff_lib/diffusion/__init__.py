"""Diffusion models: schedules, objectives, samplers."""
