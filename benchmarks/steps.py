"""Measure how much of this machine a training step uses, and where its time goes (``make bench``).

It measures two things for each family with its defaults, in the first half of a training:

- the share of the peak: the operations per second of a step (convolutions and matrix products,
  forward and backward, counted by PyTorch), divided by those of the fastest of some large
  convolutions in the same minute; in bfloat16 if the training loop computes in it;
- where the time goes: the profiler's time of each operator itself, summed in groups.

Every number is a ratio within one run. The program takes about a minute on an idle core.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice, pairwise, product

import record
import torch
from torch.nn.functional import conv2d
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from gen_lib.data import load
from gen_lib.data.domains import load_domains
from gen_lib.models import GAN, BernoulliVAE, ConvAutoencoder, CycleGAN, Diffusion, Model
from gen_lib.training import Record, TrainingData, training_steps
from gen_lib.training.hardware import has_bfloat16

FAMILIES: dict[str, type[Model]] = {
    "autoencoder": ConvAutoencoder,
    "VAE": BernoulliVAE,
    "GAN": GAN,
    "CycleGAN": CycleGAN,
    "diffusion": Diffusion,
}
WARM_UP = 3  # steps that are not timed
GROUPS = {  # parts of operators' names; the first group that fits counts
    "convolution, forward": ("conv2d", "_convolution"),
    "convolution, backward": ("convolution_backward",),
    "matrix products": ("mm", "linear", "aten::mv", "aten::dot"),
    "optimiser, average": ("_fused", "_foreach", "Optimizer"),
    "normalisation": ("batch_norm", "group_norm"),
    "activation": ("gelu", "silu", "relu", "tanh", "softplus", "sigmoid"),
    "random numbers": ("rand", "normal_", "uniform_"),
    "copies, conversions": ("copy", "aten::to", "contiguous", "aten::cat", "clone"),
}
REST = "everything else"


def first_half(
    model: Model, data: TrainingData, steps: int, batch: int | None = None
) -> Iterator[Record]:
    """The records of some steps, all of them in the first half of a training."""
    budget = {"steps": 2 * steps, "batch_size": batch or model.batch_size}
    with closing(training_steps(model, data, **budget)) as records:
        yield from islice(records, steps)


def step_seconds(model: Model, data: TrainingData, steps: int, batch: int | None = None) -> float:
    """The median seconds of a step, after a warm-up."""
    times = [r.seconds for r in first_half(model, data, WARM_UP + steps + 1, batch)]
    return statistics.median(b - a for a, b in list(pairwise(times))[WARM_UP:])


def flop(model: Model, data: TrainingData) -> int:
    """The floating-point operations of a step."""
    with FlopCounterMode(display=False) as counter:
        list(first_half(model, data, 1))
    return counter.get_total_flops()


def shares(model: Model, data: TrainingData, steps: int) -> dict[str, float]:
    """The share of the time of some steps that each group of operators takes."""
    list(first_half(model, data, WARM_UP))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        list(first_half(model, data, steps))
    spent = dict.fromkeys([*GROUPS, REST], 0.0)
    for event in profiler.key_averages():
        spent[group_of(event.key)] += event.self_cpu_time_total
    return {name: part / sum(spent.values()) for name, part in spent.items()}


def group_of(operator: str) -> str:
    """The group that an operator's name belongs to."""
    if "convolution_backward" in operator:
        return "convolution, backward"
    fits = (name for name, parts in GROUPS.items() if any(part in operator for part in parts))
    return next(fits, REST)


def convolutions() -> Iterator[tuple[Callable[[], object], int]]:
    """Large convolutions of several widths and memory layouts, with their operation counts."""
    dtype = torch.bfloat16 if has_bfloat16(torch.device("cpu")) else torch.float32
    layouts = (torch.contiguous_format, torch.channels_last)
    for width, layout in product((64, 128, 256), layouts):
        x = torch.randn(64, width, 14, 14).to(dtype, memory_format=layout)
        weight = torch.randn(width, width, 3, 3).to(dtype, memory_format=layout)
        yield lambda x=x, w=weight: conv2d(x, w, padding=1), 2 * 9 * width * x.numel()


def peak(repeats: int) -> float:
    """Operations a second of the fastest convolution."""
    return max(operations / seconds(call, repeats) for call, operations in convolutions())


@torch.no_grad()
def seconds(call: Callable[[], object], repeats: int) -> float:
    """The median seconds of a call, after one call that is not timed."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print and save a row for each family."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20, help="timed, of each (default: 20)")
    steps = parser.parse_args().steps
    images, pairs = load("fashion_mnist").train, load_domains("emoji").train
    rows = []
    print(f"{torch.get_num_threads()} threads")
    for name, kind in FAMILIES.items():
        torch.manual_seed(0)
        model, data = kind(), pairs if kind is CycleGAN else images
        highest, spent, operations = (
            peak(steps),
            step_seconds(model, data, steps),
            flop(model, data),
        )
        row = {"family": name, "batch": model.batch_size, "seconds": spent, "flop": operations}
        row |= {"peak": highest, "share": operations / spent / highest}
        rows.append(row | {"time": shares(model, data, steps)})
        print(f"{name:12} {row['share']:4.0%} of {highest / 1e9:.0f} GFLOP/s, {spent:.3f} s a step")
        print("  " + ", ".join(f"{k} {v:.0%}" for k, v in rows[-1]["time"].items()), flush=True)
    record.write("steps", rows)


if __name__ == "__main__":
    main()
