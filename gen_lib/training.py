"""How do the weights move? One loop for every model of the course.

A step of training asks the model for its turns, differentiates each loss for that player's
parameters alone, and lets Adam (Kingma & Ba 2014, arXiv:1412.6980) move them. Learning rate and
averaging follow the fraction of the budget that is spent, so a budget may be steps or minutes:

    lr(f)   = lr * min(1, f / 0.02) * (1 + cos(pi f)) / 2           for the fraction f in [0, 1]
    average = average + (1 - beta_t) (weights - average),   beta_t = (1 - 1/t)^(gamma + 1)

The second line is the power-function average of Karras et al. 2023 (arXiv:2312.02696, eq. 2); with
gamma = 16.97 its profile has a relative width of 0.05: about the last twentieth of the run.
The averaged weights are what a trained model holds.

Batches and noise are functions of the seed and the step. So a run that goes on from a ``Progress``
ends with the same bits as one that never stopped, and several processes (``processes``) share a
step by taking numbers of their own.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gen_lib import InputError, processes
from gen_lib.data import Batch
from gen_lib.models.base import Model, Turn
from gen_lib.progress import History, Progress, Record

WARM_UP = 0.02
GAMMA = 16.97
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


@runtime_checkable
class TrainingData(Protocol):
    """Anything with minibatches numbered 0, 1, 2, ..., such as ``load("fashion_mnist").train``."""

    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
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
    progress: bool = True,
    resume: Mapping[str, Tensor] | None = None,
    keep: Callable[[Progress], None] = lambda progress: None,
) -> History:
    """Train a model in place, on the GPU where there is one, and return what happened.

    Args:
        model: ends on the CPU, in eval mode, with its averaged weights; after an interrupt, too.
        data: source of minibatches.
        steps: the budget in steps; the same seed then gives the same bits on the same machine ...
        minutes: ... or the budget in minutes of wall time. Exactly one of the two is given.
        batch_size: images a step; all of the data where they are fewer.
        seed: of the shuffling and of the model's noise (not of its initial weights).
        progress: show a progress bar.
        resume: the tensors of a ``Progress`` of the same run, to go on from there.
        keep: called after each step.

    Raises:
        InputError: the budget or the batch size is not positive.
        NonFiniteLoss: training diverged.
    """
    from tqdm.auto import tqdm

    _check_budget(steps, minutes, batch_size)
    run = Progress(model.to(best_device()).train())
    if resume:
        run.restore(resume)
    records = _go_on(run, data, steps, minutes, batch_size, seed)
    bar = tqdm(total=100, desc=model.name, bar_format=BAR, disable=not progress)
    with closing(records), bar:
        for record in records:
            keep(run)
            if int(100 * record.fraction) > bar.n:
                bar.set_postfix({k: f"{v:.4g}" for k, v in record.terms.items()}, refresh=False)
                bar.update(int(100 * record.fraction) - bar.n)
    return run.history


def training_steps(
    model: Model,
    data: TrainingData,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int = 128,
    seed: int = 0,
) -> Generator[Record]:
    """The loop behind ``fit``, step by step, for whoever wants to draw while it trains.

    Between two steps the model holds its raw weights; when the loop ends, or is closed, it holds
    the averaged ones. Arguments and errors are those of ``fit``.
    """
    _check_budget(steps, minutes, batch_size)
    run = Progress(model.to(best_device()).train())
    yield from _go_on(run, data, steps, minutes, batch_size, seed)


def _go_on(
    run: Progress,
    data: TrainingData,
    steps: int | None,
    minutes: float | None,
    batch_size: int,
    seed: int,
) -> Generator[Record]:
    model, history, device, (rank, size) = run.model, run.history, best_device(), processes.team()
    torch.set_flush_denormal(True)
    seconds = history.seconds[-1] if history.seconds else 0.0
    start = time.perf_counter() - seconds
    fraction = _fraction(history.steps, seconds, steps, minutes)
    try:
        while fraction < 1:
            step = history.steps
            number = step * size + rank  # of this process's batch and noise, and no other's
            batch = Batch(*(part.to(device) for part in data.batch(number, batch_size, seed)))
            generator = torch.Generator(device).manual_seed(seed * 1_000_003 + number)
            terms: dict[str, float] = {}
            model.fraction = fraction
            for turn in _autocast(model.turns(batch, generator), device):
                _descend(turn, run.optimisers[turn.player], learning_rate_scale(fraction), step)
                terms |= {name: value.item() for name, value in turn.terms.items()}
            torch._foreach_lerp_(run.average, run.weights, 1 - average_decay(step + 1))
            seconds = processes.agree(time.perf_counter() - start)
            fraction = _fraction(step + 1, seconds, steps, minutes)
            history.add(record := Record(step + 1, fraction, seconds, terms))
            yield record
    finally:
        torch._foreach_copy_(run.weights, run.average)
        model.zero_grad()
        model.eval().to("cpu")


def _fraction(step: int, seconds: float, steps: int | None, minutes: float | None) -> float:
    """Share of the budget that is spent."""
    return min(step / steps if steps else seconds / (60 * (minutes or 1)), 1.0)


def _autocast(turns: Iterator[Turn], device: torch.device) -> Iterator[Turn]:
    """The same turns, computed in bfloat16 where the hardware multiplies it natively.

    Elsewhere it is off: without such hardware, bfloat16 is many times slower than float32.
    """
    while True:
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
            turn = next(turns, None)
        if turn is None:
            return
        yield turn


def _descend(turn: Turn, optimiser: torch.optim.AdamW, scale: float, step: int) -> None:
    (group,) = optimiser.param_groups
    group["lr"] = scale * group["peak_lr"]
    optimiser.zero_grad()
    turn.loss.backward(inputs=group["params"])  # for these alone, laid out in memory as they are
    gradients = [p.grad for p in group["params"] if p.grad is not None]
    processes.average(gradients)
    size = torch.nn.utils.get_total_norm(gradients)
    if not (torch.isfinite(turn.loss) and torch.isfinite(size)):
        raise NonFiniteLoss(
            f"The loss of {turn.player} at step {step + 1} is {turn.loss.item():.3g}, the norm of "
            f"its gradient {size.item():.3g}: training diverged; the last good weights are kept. "
            "Try a smaller learning rate."
        )
    optimiser.step()


def learning_rate_scale(fraction: float) -> float:
    """Share of the peak learning rate at a fraction of the budget: warm-up, then half a cosine.

    >>> [round(learning_rate_scale(f), 3) for f in (0.0, 0.01, 0.5, 1.0)]
    [0.001, 0.5, 0.5, 0.0]
    """
    return min(1.0, max(fraction / WARM_UP, 1e-3)) * (1 + math.cos(math.pi * fraction)) / 2


def average_decay(step: int) -> float:
    """beta_t = (1 - 1/t)^(gamma + 1) for the step t = 1, 2, ...

    >>> average_decay(1)
    0.0
    """
    return (1 - 1 / step) ** (GAMMA + 1)


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 arithmetic in hardware."""
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def _check_budget(steps: int | None, minutes: float | None, batch_size: int) -> None:
    if (steps is None) == (minutes is None):
        raise InputError("A budget is needed: give either steps or minutes, and not both.")
    for name, value in (("steps", steps), ("minutes", minutes), ("batch_size", batch_size)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} is {value}: it must be a positive number.")
