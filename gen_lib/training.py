"""How do the weights move? One loop for every model of the course.

A step of training asks the model for its turns, differentiates each loss for that player's
parameters alone, and lets Adam (Kingma & Ba 2014, arXiv:1412.6980) move them. Learning rate and
averaging follow the fraction of the budget that is spent, so a budget may be steps or minutes:

    lr(f)   = lr * min(1, f / 0.02) * (1 + cos(pi f)) / 2           for the fraction f in [0, 1]
    average = average + (1 - beta_t) (weights - average),   beta_t = (1 - 1/t)^(gamma + 1)

The second line is the power-function average of Karras et al. 2023 (arXiv:2312.02696, eq. 2); with
gamma = 16.97 its profile has a relative width of 0.05: about the last twentieth of the run.
The averaged weights are what a trained model holds.
"""

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import torch

from gen_lib import InputError
from gen_lib.data import Batch
from gen_lib.models.base import Model, Turn

WARM_UP = 0.02
GAMMA = 16.97
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


@runtime_checkable
class TrainingData(Protocol):
    """Anything with minibatches numbered 0, 1, 2, ..., such as ``load("fashion_mnist").train``."""

    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
        """The minibatch of a training step."""


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

    Raises:
        InputError: the budget or the batch size is not positive.
        NonFiniteLoss: training diverged.
    """
    from tqdm.auto import tqdm

    _check_budget(steps, minutes, batch_size)
    records = training_steps(
        model, data, steps=steps, minutes=minutes, batch_size=batch_size, seed=seed
    )
    bar = tqdm(total=100, desc=model.name, bar_format=BAR, disable=not progress)
    history = History()
    with closing(records), bar:
        for record in records:
            history.add(record)
            if int(100 * record.fraction) > bar.n:
                bar.set_postfix({k: f"{v:.4g}" for k, v in record.terms.items()}, refresh=False)
                bar.update(int(100 * record.fraction) - bar.n)
    return history


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
    device = best_device()
    model.to(device).train()
    torch.set_flush_denormal(True)
    optimisers = _optimisers(model)
    state = [v for v in model.state_dict().values() if v.is_floating_point()]
    average = [v.clone() for v in state]
    step, fraction, start = 0, 0.0, time.perf_counter()
    try:
        while fraction < 1:
            batch = Batch(*(part.to(device) for part in data.batch(step, batch_size, seed)))
            generator = torch.Generator(device).manual_seed(seed * 1_000_003 + step)
            terms: dict[str, float] = {}
            model.fraction = fraction
            for turn in _autocast(model.turns(batch, generator), device):
                _descend(turn, optimisers[turn.player], learning_rate_scale(fraction), step)
                terms |= {name: value.item() for name, value in turn.terms.items()}
            step += 1
            torch._foreach_lerp_(average, state, 1 - average_decay(step))
            seconds = time.perf_counter() - start
            fraction = step / steps if steps else seconds / (60 * (minutes or 1))
            yield Record(step, min(fraction, 1.0), seconds, terms)
    finally:
        torch._foreach_copy_(state, average)
        model.zero_grad()
        model.eval().to("cpu")


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


def _optimisers(model: Model) -> dict[str, torch.optim.AdamW]:
    return {
        name: torch.optim.AdamW(
            [{"params": p.parameters, "peak_lr": p.lr}],
            lr=p.lr,
            betas=p.betas,
            weight_decay=p.weight_decay,
            fused=True,
        )
        for name, p in model.players().items()
    }


def _descend(turn: Turn, optimiser: torch.optim.AdamW, scale: float, step: int) -> None:
    (group,) = optimiser.param_groups
    group["lr"] = scale * group["peak_lr"]
    optimiser.zero_grad()
    turn.loss.backward(inputs=group["params"])  # for these alone, laid out in memory as they are
    gradients = [p.grad for p in group["params"] if p.grad is not None]
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
