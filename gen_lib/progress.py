"""Where does a run stand, and what does it need to go on from there?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from gen_lib import InputError
from gen_lib.models.base import Model, Player


class Record(NamedTuple):
    """What one training step did."""

    step: int
    """Steps done, counted from 1."""
    fraction: float
    """Share of the budget spent, in (0, 1]."""
    seconds: float
    terms: dict[str, float]


@dataclass
class History:
    """The named terms of a run, one entry a step."""

    seconds: list[float] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Append one step."""
        self.seconds.append(record.seconds)
        for name, value in record.terms.items():
            self.terms.setdefault(name, []).append(value)

    @property
    def steps(self) -> int:
        """Number of steps done."""
        return len(self.seconds)


class Progress:
    """Where a run stands: the model and whatever else its next step depends on.

    Batches and noise are functions of the seed and the step, so no random state is among it; seed,
    data and budget are for the caller to keep.
    """

    def __init__(self, model: Model):
        self.model, self.history = model, History()
        self.optimisers = {name: _optimiser(player) for name, player in model.players().items()}
        self.weights = [v for v in model.state_dict().values() if v.is_floating_point()]
        self.average = [v.clone() for v in self.weights]

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        columns = {"seconds": self.history.seconds, **self.history.terms}
        numbers = {k: torch.tensor(v, dtype=torch.float64) for k, v in columns.items()}
        return self._live() | {f"history.{name}": column for name, column in numbers.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the place of the progress whose tensors these are.

        Raises:
            InputError: they are of another model.
        """
        for name, value in self._live().items():
            kept = tensors.get(name, value[None])  # of another shape, if there is none
            if not value.numel():
                value.resize_(kept.shape)  # a buffer that grows
            if value.shape != kept.shape:
                raise InputError(f"The checkpoint is not one of this model, as its {name!r} shows.")
            value.copy_(kept)
        columns = {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith("history.")}
        terms = {name: column.tolist() for name, column in columns.items()}
        self.history = History(terms.pop("seconds", []), terms)

    def _live(self) -> dict[str, Tensor]:
        """Every tensor that a step changes: weights, buffers, averages, the optimisers' moments."""
        weights = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        return {
            **{f"model.{name}": value for name, value in weights.items()},
            **{f"average.{i}": value for i, value in enumerate(self.average)},
            **{
                f"{player}.{i}.{name}": value
                for player, optimiser in self.optimisers.items()
                for i, moments in enumerate(optimiser.state.values())
                for name, value in moments.items()
            },
        }


def _optimiser(player: Player) -> torch.optim.AdamW:
    optimiser = torch.optim.AdamW(
        [{"params": player.parameters, "peak_lr": player.lr}],
        lr=player.lr,
        betas=player.betas,
        weight_decay=player.weight_decay,
        fused=True,
    )
    for p in player.parameters:  # as AdamW would before its first step, laid out in memory like p
        moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        optimiser.state[p] = {"step": torch.zeros((), device=p.device), **moments}
    return optimiser
