"""Where a training stands: with the learner's state, all that an exact resume needs."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from torch import Tensor

from .errors import GendiffError

FIRST = 20  # updates whose losses are kept one by one, so that a replay can be compared with them


class TrainingError(GendiffError):
    """A training cannot go on."""


Counts = Literal["epoch", "step", "images", "operations", "steps_per_epoch"]


class _State(BaseModel):
    """What `Progress.state_dict` gives. A diagnostic in the history may be nan."""

    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    rng: Tensor
    global_rng: Tensor
    cuda_rng: list[Tensor]
    counts: dict[Counts, NonNegativeInt] = Field(min_length=len(get_args(Counts)))
    history: list[dict[str, float]]
    losses: list[dict[str, float]]
    first: list[dict[str, float]]


def check_state(state: dict[str, Any]) -> None:
    """ValueError where `state` is nothing that `Progress.state_dict` gives."""
    _State.model_validate(state)


@dataclass
class Progress:
    """Counts of what was done, and the losses.

    `images` counts training images, each pass anew; `operations` what was computed for them, forward and backward.
    A row of `history` is the mean over a tenth of an epoch; `losses` are of the row under way, still on the device.
    """

    rng: torch.Generator
    steps_per_epoch: int
    epoch: int = 0  # whole epochs done
    step: int = 0  # steps done in the epoch under way
    images: int = 0
    operations: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[dict[str, Tensor]] = field(default_factory=list)
    first: list[dict[str, float]] = field(default_factory=list)

    @property
    def epochs(self) -> float:
        """Epochs done, a fraction inside one."""
        return self.epoch + self.step / self.steps_per_epoch

    @property
    def updates(self) -> int:
        """Steps done in all."""
        return self.epoch * self.steps_per_epoch + self.step

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and lists only; the global generator is there for dropout."""
        return {
            "rng": self.rng.get_state(),
            "global_rng": torch.get_rng_state(),
            "cuda_rng": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
            "counts": {k: getattr(self, k) for k in get_args(Counts)},
            "history": self.history,
            "losses": [{k: v.item() for k, v in row.items()} for row in self.losses],
            "first": self.first,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo `state_dict`."""
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["global_rng"])
        if state["cuda_rng"]:
            torch.cuda.set_rng_state(state["cuda_rng"][0])  # of the process's own GPU, whichever it is
        for name, count in state["counts"].items():
            setattr(self, name, count)
        self.history, self.first = state["history"], state["first"]
        self.losses = [{k: torch.tensor(v) for k, v in row.items()} for row in state["losses"]]

    def table(self) -> dict[str, Tensor]:
        """The losses of the row under way, (steps,) on the CPU, nan in a step that has none of that name.

        TrainingError at the first that is there and not finite. What begins with another word than loss is a
        diagnostic, and may be nan.
        """
        names, lacking = dict.fromkeys(k for row in self.losses for k in row), torch.tensor(torch.nan)
        table = {k: torch.stack([row.get(k, lacking).cpu() for row in self.losses]) for k in names}
        for name in (k for k in names if k.startswith("loss")):
            bad = [i for i in (~table[name].isfinite()).nonzero().flatten().tolist() if name in self.losses[i]]
            if bad:
                update = self.updates - len(self.losses) + bad[0] + 1
                epoch, step = divmod(update - 1, self.steps_per_epoch)
                value = table[name][bad[0]].item()
                raise TrainingError(f"{name} became {value} at step {step + 1} of epoch {epoch + 1}")
        return table

    def end_row(self, table: dict[str, Tensor], diagnostics: dict[str, Tensor]) -> None:
        """Turn the losses of the row under way into means, with what the learner tells of itself at its end."""
        self.history, self.first = self.so_far(table, diagnostics)
        self.losses = []

    def so_far(
        self, table: dict[str, Tensor], diagnostics: dict[str, Tensor]
    ) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        """The history and the first losses as if the row under way ended here; where it has no step, as they are."""
        if not table:
            return self.history, self.first
        row: dict[str, float] = {"epoch": self.epochs, "step": self.updates, "images": self.images}
        row |= {k: v.double().nanmean().item() for k, v in table.items()}
        row |= {k: v.item() for k, v in diagnostics.items()}
        losses = [{k: table[k][i].item() for k in row if k.startswith("loss")} for i, row in enumerate(self.losses)]
        return [*self.history, row], [*self.first, *losses[: max(FIRST - len(self.first), 0)]]
