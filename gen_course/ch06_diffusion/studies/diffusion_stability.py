"""Study of chapter 06: the stability of training a diffusion model and a GAN.

Run it with ``python gen_course/ch06_diffusion/studies/diffusion_stability.py``.

Diffusion and the GAN of chapter 04 are trained with 1/8 to 8 times their default learning rate and
two seeds, for about equally many CPU seconds on one core. The study measures the mean loss over the
first and over the last tenth of a run (for the GAN, that of its generator), the course Fréchet
distance of 1,000 samples (19 network calls each for diffusion, one for the GAN), and the share of
the rarest class. A run that was stopped because its loss was not finite has "diverged" in place of
its loss. The study takes about 12 minutes and writes diffusion_stability.csv.
"""

import csv
import time
from pathlib import Path

import torch

from gen_lib.data import load
from gen_lib.metrics.sample_quality import SampleQuality, class_histogram
from gen_lib.models import GAN, Diffusion
from gen_lib.training import History, NonFiniteLoss, fit
from gen_lib.training.hardware import machine

FACTORS = (0.125, 0.5, 1.0, 2.0, 8.0)
SEEDS = (0, 1)
N, CALLS = 1_000, 19
HEADER = ["model", "factor", "lr", "seed", "steps", "seconds", "loss_first", "loss_last"]
HEADER += ["frechet", "floor", "rarest", "machine"]


def diffusion(factor: float) -> tuple[Diffusion, float]:
    """A diffusion model, and its learning rate: the default times the factor."""
    model = Diffusion(muon_lr=0)  # AdamW alone, as chapter 06 has it
    model.lr *= factor
    return model, model.lr


def gan(factor: float) -> tuple[GAN, float]:
    """A GAN, and the learning rate of both its players: the default times the factor."""
    lr = factor * GAN().rules.lr_g
    return GAN(lr_g=lr, lr_d=lr), lr


KINDS = {"diffusion": (diffusion, "mse", 130, 128), "gan": (gan, "G", 300, 64)}
"""Model -> its function above, the recorded loss, steps for about 20 seconds, and batch size."""


def tenths(history: History, term: str) -> list[str]:
    """The mean of a term over the first and the last tenth of a run."""
    values = history.terms[term]
    few = max(1, len(values) // 10)
    return [f"{sum(part) / few:.4f}" for part in (values[:few], values[-few:])]


def run(kind: str, factor: float, seed: int, sample_quality: SampleQuality) -> list:
    """Train and measure one model; return its row without the machine."""
    make, term, steps, batch_size = KINDS[kind]
    torch.manual_seed(seed)
    (model, lr), start = make(factor), time.process_time()
    way = {"steps": steps, "batch_size": batch_size, "seed": seed, "show_bar": False}
    row = [kind, factor, lr, seed, steps]
    try:
        history = fit(model, sample_quality.images.train, **way)
    except NonFiniteLoss:
        return [*row, "", "diverged"]
    row += [round(time.process_time() - start), *tenths(history, term)]
    calls = {"calls": CALLS} if isinstance(model, Diffusion) else {}
    x = model.sample(N, torch.Generator().manual_seed(0), **calls)
    rarest = class_histogram(sample_quality.judge, x).min().item()
    return [
        *row,
        f"{sample_quality.frechet(x):.4f}",
        f"{sample_quality.frechet_floor(N):.4f}",
        f"{rarest:.4f}",
    ]


def main() -> None:
    """Train and measure all."""
    torch.set_num_threads(1)
    sample_quality = SampleQuality(load("fashion_mnist"))
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for kind in KINDS:
            for factor in FACTORS:
                for seed in SEEDS:
                    row = run(kind, factor, seed, sample_quality)
                    gap = [""] * (len(HEADER) - len(row) - 1)
                    writer.writerow([*row, *gap, machine()])
                    file.flush()


if __name__ == "__main__":
    main()
