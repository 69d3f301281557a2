"""The report: from runs to tables, figures, numbers that open, and verdicts."""

READ = ("overnight", "paper")  # presets that take hours: a build reads what is there of them, and trains none of it
