"""The training loop, the same for every model of the course.

In each step the loop asks the model for its turns (one for most models, two for a GAN). For each
turn it differentiates the loss with respect to that player's parameters alone and updates them by
AdamW (Kingma & Ba 2014, arXiv:1412.6980; Loshchilov & Hutter 2017, arXiv:1711.05101), or the hidden
layers by ``muon``, if the model asks for it. Learning rate and averaging depend on the progress p
in [0, 1], the share spent of a budget in steps or minutes (or of a player's part of it):

    lr(p)   = lr * min(1, p / 0.02) * (1 + cos(pi p)) / 2
    average = average + (1 - beta_t) (weights - average),   beta_t = (1 - 1/t)^(gamma + 1)

A trained model holds the average of its weights, the power-function average of Karras et al. 2023
(arXiv:2312.02696, eq. 2). With gamma = 16.97 its relative width is 0.05: it covers about the last
twentieth of the run.

Batches and noise are functions of the seed and the step. So a run that is resumed from a
``TrainState`` ends with the same bits as one that never stopped, and several processes
(``distributed``) share a step by taking batches of different numbers. Under a budget in minutes the
loop also chooses the number of threads (``threads``), so only budgets in steps repeat bit by bit.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gen_lib import InputError
from gen_lib.data import Batch, PairBatch
from gen_lib.data.text import TokenBatch
from gen_lib.models.base import Model, Turn
from gen_lib.training import distributed
from gen_lib.training.hardware import best_device, flush_denormal, has_bfloat16
from gen_lib.training.resume import History, Record, TrainState, restore, spent
from gen_lib.training.threads import Threads

WARM_UP = 0.02
GAMMA = 16.97
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


@runtime_checkable
class TrainingData(Protocol):
    """Anything with minibatches numbered 0, 1, 2, ..., such as ``load("fashion_mnist").train``."""

    def batch(self, step: int, size: int, seed: int = 0) -> Batch | PairBatch | TokenBatch:
        """The minibatch of a training step."""


class NonFiniteLoss(RuntimeError):
    """A loss or gradient became infinite or NaN; the model holds the last good averaged weights."""


def fit(
    model: Model,
    data: TrainingData,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int = 128,
    seed: int = 0,
    show_bar: bool = True,
    resume: Mapping[str, Tensor] | None = None,
    keep: Callable[[TrainState], None] = lambda state: None,
) -> History:
    """Train a model in place, on the GPU if there is one, and return its history.

    Args:
        model: ends on the CPU, in eval mode, with its averaged weights; after an interrupt, too.
        data: source of minibatches.
        steps: the budget in steps; the same seed then gives the same bits on the same machine ...
        minutes: ... or the budget in minutes of wall time; exactly one of the two is given.
        batch_size: images in a step; all of the data if they are fewer.
        seed: of the shuffling and of the model's noise (not of its initial weights).
        show_bar: show a progress bar.
        resume: the tensors of a checkpoint of the same run, to continue from there.
        keep: called with the state of the run after each step.

    Raises:
        InputError: the budget or the batch size is not positive.
        NonFiniteLoss: training diverged.
    """
    from tqdm.auto import tqdm

    _check_budget(steps, minutes, batch_size)
    state = TrainState(model.to(best_device()).train())
    if resume:
        restore(state, resume)
    records = training_steps(
        model, data, steps=steps, minutes=minutes, batch_size=batch_size, seed=seed, state=state
    )
    bar = tqdm(total=100, desc=model.name, bar_format=BAR, disable=not show_bar)
    with closing(records), bar:
        for record in records:
            keep(state)
            if (percent := int(100 * record.progress)) > bar.n:
                bar.set_postfix({k: f"{v:.4g}" for k, v in record.terms.items()}, refresh=False)
                bar.update(percent - bar.n)
    return state.history


def training_steps(
    model: Model,
    data: TrainingData,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int = 128,
    seed: int = 0,
    state: TrainState | None = None,
) -> Generator[Record]:
    """Train like ``fit``, and yield a record after each step, for code that draws in between.

    Between two steps the model holds its raw weights; when the loop ends, or is closed, it holds
    the averaged ones. ``state`` is a run to continue; the rest is as in ``fit``.
    """
    _check_budget(steps, minutes, batch_size)
    state = state or TrainState(model.to(best_device()).train())
    history = state.history
    seconds = history.seconds[-1] if history.seconds else 0.0
    start = time.perf_counter() - seconds
    progress = spent(history.steps, seconds, steps, minutes)
    threads = Threads(by_speed=bool(minutes) and distributed.team().size == 1)
    try:
        while progress < 1:
            with threads.step():
                terms = _step(state, data, progress, batch_size, seed)
            seconds = distributed.agree(time.perf_counter() - start)
            progress = spent(history.steps + 1, seconds, steps, minutes)
            history.add(record := Record(history.steps + 1, progress, seconds, terms))
            yield record
    finally:
        threads.restore()
        torch._foreach_copy_(state.weights, state.average)
        model.zero_grad()
        model.eval().to("cpu")


def _step(
    state: TrainState, data: TrainingData, progress: float, batch_size: int, seed: int
) -> dict[str, float]:
    """All turns of one training step, and the averaging; return the terms of the turns."""
    device, step = best_device(), state.history.steps
    rank, processes = distributed.team()
    number = step * processes + rank  # each process has batches and noise of its own
    batch = data.batch(number, batch_size, seed)
    batch = type(batch)(*(part.to(device) for part in batch))
    rng = torch.Generator(device).manual_seed(seed * 1_000_003 + number)
    turns = state.model.turns(batch, rng, progress)
    terms: dict[str, float] = {}
    with flush_denormal():
        while turn := _next_turn(turns, device):
            begin, end = state.parts[turn.player]
            scale = learning_rate_scale((progress - begin) / (end - begin))
            _update(turn, state.optimisers[turn.player], scale, step)
            terms |= {name: value.item() for name, value in turn.terms.items()}
    torch._foreach_lerp_(state.average, state.weights, 1 - average_decay(step + 1))
    return terms


def _next_turn(turns: Iterator[Turn], device: torch.device) -> Turn | None:
    """The next turn, its loss computed in bfloat16 where ``has_bfloat16`` allows it."""
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
        return next(turns, None)


def _update(turn: Turn, optimisers: list[torch.optim.Optimizer], scale: float, step: int) -> None:
    """One step of one player, at a share ``scale`` of its peak learning rates."""
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    parameters = [p for group in groups for p in group["params"]]
    for p in parameters:
        p.grad = None
    turn.loss.backward(inputs=parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    distributed.average(gradients)
    norm = torch.nn.utils.get_total_norm(gradients)
    if not (torch.isfinite(turn.loss) and torch.isfinite(norm)):
        raise NonFiniteLoss(
            f"The loss of {turn.player} at step {step + 1} is {turn.loss.item():.3g}, the norm of "
            f"its gradient {norm.item():.3g}: training diverged; the last good weights are kept. "
            "Try a smaller learning rate."
        )
    for group in groups:
        group["lr"] = scale * group["peak_lr"]
    for optimiser in optimisers:
        optimiser.step()


def learning_rate_scale(progress: float) -> float:
    """Share of the peak learning rate at a progress in [0, 1]: warm-up, then half a cosine.

    >>> [round(learning_rate_scale(p), 3) for p in (0.0, 0.01, 0.5, 1.0)]
    [0.001, 0.5, 0.5, 0.0]
    """
    return min(1.0, max(progress / WARM_UP, 1e-3)) * (1 + math.cos(math.pi * progress)) / 2


def average_decay(step: int) -> float:
    """beta_t = (1 - 1/t)^(gamma + 1) for the step t = 1, 2, ...

    >>> average_decay(1)
    0.0
    """
    return (1 - 1 / step) ** (GAMMA + 1)


def _check_budget(steps: int | None, minutes: float | None, batch_size: int) -> None:
    if (steps is None) == (minutes is None):
        raise InputError("A budget is needed: give either steps or minutes, and not both.")
    for name, value in (("steps", steps), ("minutes", minutes), ("batch_size", batch_size)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} is {value}: it must be a positive number.")
