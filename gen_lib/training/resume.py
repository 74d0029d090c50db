"""The state of a run, and the checkpoints from which it continues after an interrupt.

A checkpoint is one safetensors file. It holds weights, averages, the optimisers' moments and the
history so far as tensors, and the arguments of the run in its header.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gen_lib import InputError
from gen_lib.files import packed, unpacked, write_whole
from gen_lib.models.base import Model, Player
from gen_lib.training.muon import Muon


class Record(NamedTuple):
    """The result of one training step."""

    step: int  # steps done, counted from 1
    progress: float  # share of the budget spent, in (0, 1]
    seconds: float  # of the run so far
    terms: dict[str, float]


@dataclass
class History:
    """The recorded terms of a run, one entry for each step: NaN where a step has no such term."""

    seconds: list[float] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Append one step; a term that other steps have and this one has not is NaN."""
        before = [math.nan] * self.steps
        self.seconds.append(record.seconds)
        for name in {**self.terms, **record.terms}:
            self.terms.setdefault(name, [*before]).append(record.terms.get(name, math.nan))

    @property
    def steps(self) -> int:
        """Number of steps done."""
        return len(self.seconds)


def spent(step: int, seconds: float, steps: int | None, minutes: float | None) -> float:
    """The progress: the share of a budget in steps or minutes that is spent, at most 1."""
    share = step / steps if steps else seconds / (60 * minutes) if minutes else 0.0
    return min(share, 1.0)


class TrainState:
    """All that a training step changes: model, history, optimisers and averaged weights."""

    def __init__(self, model: Model):
        self.model, self.history = model, History()
        players = model.players()
        self.optimisers = {name: _optimisers(player) for name, player in players.items()}
        self.parts = {name: player.part for name, player in players.items()}
        self.weights = [v for v in model.state_dict().values() if v.is_floating_point()]
        self.average = [v.clone() for v in self.weights]


def _optimisers(player: Player) -> list[torch.optim.Optimizer]:
    """AdamW and, if it has weights to update, Muon."""
    hidden = set(player.hidden)
    rest = [p for p in player.parameters if p not in hidden]
    adamw = torch.optim.AdamW(
        [{"params": rest, "peak_lr": player.lr}],
        player.lr,
        player.betas,
        weight_decay=player.weight_decay,
        fused=True,
    )
    for p in rest:  # the moments that AdamW would make before its first step
        moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        adamw.state[p] = {"step": torch.zeros((), device=p.device), **moments}
    if not hidden:
        return [adamw]
    return [adamw, Muon([{"params": [*player.hidden], "peak_lr": player.hidden_lr}])]


def state_tensors(state: TrainState) -> dict[str, Tensor]:
    """The whole state of a run as named tensors, its history included."""
    columns = {"seconds": state.history.seconds, **state.history.terms}
    numbers = {f"history.{k}": torch.tensor(v, dtype=torch.float64) for k, v in columns.items()}
    return _live(state) | numbers


@torch.no_grad()
def restore(state: TrainState, tensors: Mapping[str, Tensor]) -> None:
    """Restore a state from the tensors that ``state_tensors`` returned.

    Raises:
        InputError: the tensors are of another model.
    """
    for name, value in _live(state).items():
        kept = tensors.get(name, value[None])  # a wrong shape, if there is none
        if not value.numel():
            value.resize_(kept.shape)  # a buffer that grows during training
        if value.shape != kept.shape:
            raise InputError(f"The checkpoint is not one of this model, as its {name!r} shows.")
        value.copy_(kept)
    columns = {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith("history.")}
    terms = {name: column.tolist() for name, column in columns.items()}
    state.history = History(terms.pop("seconds", []), terms)


def _live(state: TrainState) -> dict[str, Tensor]:
    """Every tensor that a training step changes: weights, buffers, averages, moments."""
    weights = [*state.model.named_parameters(), *state.model.named_buffers()]
    tensors = {f"model.{name}": value for name, value in weights}
    tensors |= {f"average.{i}": value for i, value in enumerate(state.average)}
    for player, optimisers in state.optimisers.items():
        kept = (moments for optimiser in optimisers for moments in optimiser.state.values())
        for i, moments in enumerate(kept):
            tensors |= {f"{player}.{i}.{name}": value for name, value in moments.items()}
    return tensors


@dataclass
class RunCheckpoints:
    """Writes the state of a run to a folder every ``seconds``, and at the end of the run.

    It keeps the last two files; at the end only the last one, from which the run can be continued
    with a larger budget.
    """

    folder: Path
    run: dict[str, Any]  # the arguments that a run must share to continue from here
    steps: int | None = None  # its budget, which may be larger when it continues
    minutes: float | None = None
    seconds: float = 60.0
    last: float = field(default_factory=time.monotonic)

    def __call__(self, state: TrainState) -> None:
        """Write a checkpoint if ``seconds`` have passed since the last one, or at the end."""
        done = spent(state.history.steps, state.history.seconds[-1], self.steps, self.minutes) == 1
        if not done and time.monotonic() - self.last < self.seconds:
            return
        content = packed(state_tensors(state), {"run": json.dumps(self.run)})
        write_whole(self.folder / f"{state.history.steps:09}.safetensors", content)
        kept = self._files()[-1 if done else -2 :]
        for old in set(self.folder.iterdir()) - set(kept):
            old.unlink()
        self.last = time.monotonic()

    def newest(self) -> dict[str, Tensor] | None:
        """The tensors of the newest readable checkpoint, or None if there are no files.

        Raises:
            InputError: the checkpoint is of another run, or every file is damaged.
        """
        files = self._files()
        while files:
            try:
                header, tensors = unpacked(files.pop())
            except InputError:
                if not files:
                    raise
                continue
            if different := _differences(json.loads(header.get("run", "{}")), self.run):
                raise InputError(
                    f"{self.folder.parent} holds a run with other arguments ({different}): repeat "
                    "those, or choose another --out."
                )
            return tensors
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))


def _differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """The arguments of two runs that differ, in words."""
    here = json.loads(json.dumps(here))  # as ``there`` was stored: lists for tuples
    differ = [name for name in here if name in there and there[name] != here[name]]
    if differ == ["pictures"]:
        return "its pictures have changed since"
    told = [name for name in differ if name != "pictures"]
    return "; ".join(f"{name}: there {there[name]}, here {here[name]}" for name in told)
