"""Checkpoints of a run in progress, from which it continues after an interrupt.

A checkpoint is one safetensors file: weights, averages, the optimisers' moments and the history so
far, as tensors, and in its header the arguments of the run.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gen_lib import InputError
from gen_lib.files import packed, unpacked, write_whole
from gen_lib.training.loop import History, TrainState


def state_tensors(state: TrainState) -> dict[str, Tensor]:
    """The whole state of a run as named tensors, its history included."""
    columns = {"seconds": state.history.seconds, **state.history.terms}
    numbers = {k: torch.tensor(v, dtype=torch.float64) for k, v in columns.items()}
    return _live(state) | {f"history.{name}": column for name, column in numbers.items()}


@torch.no_grad()
def restore(state: TrainState, tensors: Mapping[str, Tensor]) -> None:
    """Restore a state from the tensors that ``state_tensors`` gave.

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
    """Every tensor that a step changes: weights, buffers, averages, the optimisers' moments."""
    model = state.model
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        **{f"model.{name}": value for name, value in weights.items()},
        **{f"average.{i}": value for i, value in enumerate(state.average)},
        **{
            f"{player}.{i}.{name}": value
            for player, optimiser in state.optimisers.items()
            for i, moments in enumerate(optimiser.state.values())
            for name, value in moments.items()
        },
    }


@dataclass
class RunCheckpoints:
    """Writes the state of a run to a folder every ``seconds``, and keeps the last two.

    A checkpoint appears whole or not at all.
    """

    folder: Path
    run: dict[str, Any]
    """The arguments that a run must share to continue from here."""
    seconds: float = 60.0
    last: float = field(default_factory=time.monotonic)

    def __call__(self, state: TrainState) -> None:
        """Write a checkpoint if ``seconds`` have passed since the last one."""
        if time.monotonic() - self.last < self.seconds:
            return
        content = packed(state_tensors(state), {"run": json.dumps(self.run)})
        write_whole(self.folder / f"{state.history.steps:09}.safetensors", content)
        for old in set(self.folder.iterdir()) - set(self._files()[-2:]):
            old.unlink()
        self.last = time.monotonic()

    def newest(self) -> dict[str, Tensor] | None:
        """The tensors of the newest sound checkpoint; None where there is none at all.

        Raises:
            InputError: it is of another run, or none is sound.
        """
        fault: InputError | None = None
        for file in reversed(self._files()):
            try:
                header, tensors = unpacked(file)
            except InputError as error:
                fault = error
                continue
            if header.get("run") != json.dumps(self.run):
                raise InputError(
                    f"{self.folder} holds checkpoints of a run with other arguments: repeat those, "
                    "or choose another --out."
                )
            return tensors
        if fault:
            raise fault
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))
