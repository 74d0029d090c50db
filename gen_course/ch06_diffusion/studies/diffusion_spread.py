"""Study of chapter 06: how much the distance of 500 samples depends on the seed.

Run it with ``python gen_course/ch06_diffusion/studies/diffusion_spread.py``.

The shipped model draws 500 samples in at most 20 network calls, as in the study diffusion_samplers,
with Heun's method and the ancestral sampler, from two other seeds. The study takes about a minute
on one core and writes diffusion_spread.csv.
"""

import csv
from itertools import product
from pathlib import Path

import torch

from gen_lib.data import load
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import Diffusion
from gen_lib.samplers import Ancestral, Heun
from gen_lib.training.checkpoints import load_pretrained
from gen_lib.training.hardware import machine

N, CALLS, SEEDS = 500, 20, (1, 2)
SAMPLERS = {"Heun": Heun, "ancestral": Ancestral}
HEADER = ["sampler", "calls", "seed", "n", "frechet", "machine"]


def main() -> None:
    """Sample and measure with each sampler and seed."""
    torch.set_num_threads(1)
    model = load_pretrained("diffusion", Diffusion)
    sample_quality = SampleQuality(load("fashion_mnist"))
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for seed, (name, kind) in product(SEEDS, SAMPLERS.items()):
            rng = torch.Generator().manual_seed(seed)
            x = model.sample(N, rng, sampler=kind(model.schedule), calls=CALLS)
            frechet = f"{sample_quality.frechet(x):.4f}"
            writer.writerow([name, CALLS, seed, N, frechet, machine()])
            file.flush()


if __name__ == "__main__":
    main()
