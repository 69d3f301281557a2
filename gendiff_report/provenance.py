"""How a run came about, in the words that a reader sees."""

from gendiff_lib.runs.run import Run


def training_protocol(run: Run) -> dict[str, str]:
    """What a reader must know of this training, label by label, the command that repeats it included."""
    record, snapshot = run.record, run.snapshot
    return {
        "run": run.id + (" (published)" if run.published else ""),
        "data": f"{record['data']['name']}, {run.n_seen:,}",
        "epochs": f"{run.config.epochs:.5g}",
        "seed": f"{run.config.seed}",
        "precision": run.config.precision,
        "images seen": f"{snapshot['images']:,}",
        "seconds": f"{snapshot['seconds']:.1f}",
        "GFLOP an image": f"{run.training_operations / snapshot['images'] / 1e9:.3g}",
        "TFLOP in all": f"{run.training_operations / 1e12:.4g}",
        "device": f"{record['device']}, {record['threads']} threads",
        "torch": record["packages"]["torch"],
        "commit": run.commit,
        "train": run.command,
    }
