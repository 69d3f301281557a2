"""The report: from runs to tables, figures, numbers that open, and verdicts."""
