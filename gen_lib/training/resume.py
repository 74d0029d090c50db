"""Checkpoints of a run in progress, from which it continues after an interrupt.

A checkpoint is one safetensors file: weights, averages, the optimisers' moments and the history so
far, as tensors, and in its header the arguments of the run.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gen_lib import InputError
from gen_lib.training.checkpoints import packed, unpacked, write_whole
from gen_lib.training.loop import TrainState


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
        content = packed(state.tensors(), {"run": json.dumps(self.run)})
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
