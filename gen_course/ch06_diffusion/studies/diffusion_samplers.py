"""Study of chapter 06: the quality of samples for different samplers and network calls.

Run it with ``python gen_course/ch06_diffusion/studies/diffusion_samplers.py``.

The shipped model draws 500 samples with each of three samplers in 5 to 250 network calls, and with
the ancestral sampler also in 1,000, its usual number. The study measures distances and recall
between the samples and 500 test images, and the CPU seconds on one core. Every run begins with the
same noise. The study takes about 15 minutes and writes diffusion_samplers.csv.
"""

import csv
import time
from pathlib import Path

import torch

from gen_lib.data import load
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import Diffusion
from gen_lib.samplers import DDIM, Ancestral, Heun
from gen_lib.training.checkpoints import load_pretrained
from gen_lib.training.hardware import machine

N = 500
CALLS = (5, 10, 20, 50, 250)
SAMPLERS = {"Heun": Heun, "DDIM": DDIM, "ancestral": Ancestral}
HEADER = ["sampler", "calls", "n", "seconds", "frechet", "floor", "kernel", "recall", "machine"]


def main() -> None:
    """Sample and measure, the cheapest first."""
    torch.set_num_threads(1)  # for a fair comparison, even if another core is busy
    model = load_pretrained("diffusion", Diffusion)
    sample_quality = SampleQuality(load("fashion_mnist"))
    floor = sample_quality.frechet_floor(N)
    runs = [(name, calls) for calls in CALLS for name in SAMPLERS] + [("ancestral", 1_000)]
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for name, calls in runs:
            sampler, start = SAMPLERS[name](model.schedule), time.process_time()
            x = model.sample(N, torch.Generator().manual_seed(0), sampler=sampler, calls=calls)
            cost = [N, f"{time.process_time() - start:.2f}"]
            quality = sample_quality.quality(x)
            figures = (quality.frechet, floor, quality.kernel, quality.recall)
            writer.writerow([name, calls, *cost, *(f"{v:.4f}" for v in figures), machine()])
            file.flush()


if __name__ == "__main__":
    main()
