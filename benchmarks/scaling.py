"""Measure how cost grows with image size, batch size and number of samples (``make bench``).

Two costs are measured: the median time of a training step on images of noise, and the median time
of drawing samples. Both are divided by the time of the VAE's step on 64 images of 28 x 28 pixels,
so that every number is a ratio within one run. An exponent is the slope between the last two points
on logarithmic scales; it is 1 if twice as much costs twice as much. ``report.py`` draws the figure.
The program takes two minutes on an idle core.
"""

import argparse
import math
import time
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

import record
import torch
from steps import step_seconds

from gen_lib.data.images import Split
from gen_lib.models import GAN, BernoulliVAE, Diffusion
from gen_lib.models.base import Samples

FAMILIES: dict[str, Any] = {"VAE": BernoulliVAE, "GAN": GAN, "diffusion": Diffusion}
SIDE, BATCH = 28, 64
SIDES = (8, 16, 32, 64)
BATCHES = (8, 32, 128, 512)
SAMPLES = (1, 8, 64, 512)


class Point(NamedTuple):
    """One measured cost."""

    family: str
    against: str
    amount: int
    cost: float


def noise(side: int) -> Split:
    """A thousand images of noise."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (1_000, 1, side, side), generator=rng, dtype=torch.uint8)
    return Split(images, torch.zeros(1_000, dtype=torch.int64))


def training(family: str, side: int, batch: int, steps: int) -> float:
    """Seconds of a training step."""
    torch.manual_seed(0)
    return step_seconds(FAMILIES[family]((1, side, side)), noise(side), steps, batch)


def sampling(model: Samples, n: int, repeats: int) -> float:
    """Seconds of drawing n samples."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        model.sample(n)
        times.append(time.perf_counter() - start)
    return median(times[1:] or times)


def points(steps: int) -> Iterator[Point]:
    """Measure every cost, in units of the VAE's step."""
    unit = training("VAE", SIDE, BATCH, 4 * steps)
    for family, kind in FAMILIES.items():
        for side in SIDES:
            cost = training(family, side, BATCH, steps)
            yield Point(family, "image side in pixels", side, cost / unit)
        for batch in BATCHES:
            cost = training(family, SIDE, batch, steps)
            yield Point(family, "batch size", batch, cost / unit)
        model = kind().eval()
        for n in SAMPLES:
            repeats = steps if n < max(SAMPLES) else 1
            yield Point(family, "number of samples", n, sampling(model, n, repeats) / unit)


def exponents(found: list[Point]) -> dict[tuple[str, str], float]:
    """The slope between the last two points of each curve, on logarithmic scales."""
    curves: dict[tuple[str, str], list[Point]] = {}
    for point in found:
        curves.setdefault((point.against, point.family), []).append(point)
    return {
        key: math.log(last.cost / before.cost) / math.log(last.amount / before.amount)
        for key, (*_, before, last) in curves.items()
    }


def main() -> None:
    """Print the exponents and save every point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="timed, of each (default: 5)")
    found = list(points(parser.parse_args().steps))
    print(f"{torch.get_num_threads()} threads")
    for (against, family), exponent in exponents(found).items():
        print(f"{family:10} {against:22} {exponent:5.2f}")
    record.write("scaling", [point._asdict() for point in found])


if __name__ == "__main__":
    main()
