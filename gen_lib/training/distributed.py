"""Training in several processes: one alone, or as many as ``accelerate launch`` started.

Each process has its own batches and noise. After each backward pass they exchange their gradients
and use the mean; where a loss is a mean over the batch, this is the gradient of the joined batch.
All start from the same weights, so they hold the same weights after every step.
"""

import os
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Team(NamedTuple):
    """The number of this process, and the number of all processes."""

    rank: int = 0  # process 0 writes the files and prints
    size: int = 1


class ProcessLost(RuntimeError):
    """Another process ended before its work was done."""


@cache
def team() -> Team:
    """Join the other processes, if any were launched with this one.

    A cluster may leave some of these variables behind; only a launcher sets all of them.
    """
    set_by_launcher = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    alone = os.environ.get("WORLD_SIZE", "1") in {"", "1"}
    if alone or not all(os.environ.get(name) for name in set_by_launcher):
        return Team()
    from accelerate import PartialState

    state = PartialState(cpu=not torch.accelerator.is_available())
    return Team(state.process_index, state.num_processes)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in one exchange for all tensors."""
    if team().size == 1:
        return
    flat = torch.cat([value.flatten() for value in tensors])
    try:
        torch.distributed.all_reduce(flat)
    except RuntimeError as error:
        raise ProcessLost("Another process ended early: read its error, then --resume.") from error
    parts = (flat / team().size).split([value.numel() for value in tensors])
    for value, part in zip(tensors, parts, strict=True):
        value.copy_(part.view_as(value))


def agree(number: float) -> float:
    """The mean of a number over all processes."""
    if team().size == 1:
        return number
    device = torch.accelerator.current_accelerator(check_available=True)
    average([shared := torch.tensor(number, dtype=torch.float64, device=device)])
    return shared.item()
