"""Study of chapter 07: what makes diffusion learn fast on a CPU?

Run it with ``python gen_course/ch07_comparison/studies/recipes.py``.

Each recipe changes one thing of the one before and trains for the same 180 CPU seconds on one
thread without bfloat16. The study measures 2,000 samples of each run (at most 40 network calls for
a sample). Two of the recipes are families of ``comparison.py``, which trains and measures them in
the same way: their rows come from there. If the study is interrupted, the next call computes only
the rows that are missing. It takes about half an hour and writes recipes.csv.
"""

import csv
import os
import time
from pathlib import Path
from unittest.mock import patch

import torch
from typing_extensions import override

from gen_lib.data import load
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import Diffusion, LatentDiffusion
from gen_lib.models.diffusion import DenoisingDiffusion
from gen_lib.training import fit
from gen_lib.training.hardware import machine

SECONDS, SEEDS, N = 180, 3, 2_000
HEADER = ["recipe", "seed", "seconds", "steps", "frechet", "precision", "recall", "machine"]
FILE = Path(__file__).with_suffix(".csv")
COMPARISON = Path(__file__).with_name("comparison.csv")


class UniformTimes(LatentDiffusion):
    """Latent diffusion whose times are uniform, as those of pixel diffusion are."""

    @override
    def times(self, n: int, rng: torch.Generator) -> torch.Tensor:
        return self.schedule.draw(n, rng)


def plain() -> Diffusion:
    """Diffusion of pixels without Muon."""
    return Diffusion(muon_lr=0)


RECIPES = {
    "batches of 128": (plain, 128),
    "batches of 32": (plain, 32),
    "and Muon": (Diffusion, 32),
    "and codes for pixels": (UniformTimes, 32),
    "and logit-normal times": (LatentDiffusion, 32),
}
"""Recipe -> what makes its model, and its batch size."""
COMPARED = {"and Muon": "diffusion", "and logit-normal times": "latent diffusion"}
"""Recipe -> the family of the comparison that it is."""


def run(recipe: str, seed: int, quality: SampleQuality) -> list:
    """Train and measure one model; return its row without the machine."""
    make, size = RECIPES[recipe]
    torch.manual_seed(seed)
    model: DenoisingDiffusion = make()
    budget = {"minutes": SECONDS / 60, "batch_size": size, "seed": seed}
    with patch("time.perf_counter", time.process_time):  # fit then counts CPU seconds
        steps = fit(model, quality.images.train, **budget, show_bar=False).steps
    found = quality.quality(model.sample(N, torch.Generator().manual_seed(seed)))
    figures = [f"{value:.5f}" for value in (found.frechet, found.precision, found.recall)]
    return [recipe, seed, SECONDS, steps, *figures]


def known() -> list[list[str]]:
    """The rows of the file, and those of the comparison that are recipes."""
    rows = []
    if FILE.is_file():
        with FILE.open(newline="") as file:
            rows = [row for row in list(csv.reader(file))[1:] if row[0] not in COMPARED]
    with COMPARISON.open(newline="") as file:
        runs = [row for row in csv.DictReader(file) if row["budget"] == str(SECONDS)]
    for recipe, family in COMPARED.items():
        mine = [row | {"recipe": recipe, "seconds": row["budget"]} for row in runs]
        rows += [[row[name] for name in HEADER] for row in mine if row["family"] == family]
    return rows


def write(rows: list[list[str]]) -> None:
    """Write the rows in the order of the recipes and seeds."""
    order = list(RECIPES)
    with FILE.open("w", newline="") as file:
        csv.writer(file).writerows(
            [HEADER, *sorted(rows, key=lambda row: (order.index(row[0]), row[1]))]
        )


def main() -> None:
    """Train and measure the runs that the file does not hold yet."""
    os.environ["GEN_LIB_BFLOAT16"] = "0"
    torch.set_num_threads(1)
    rows = known()
    quality, done = SampleQuality(load("fashion_mnist")), {(row[0], row[1]) for row in rows}
    write(rows)
    for seed in range(SEEDS):
        for recipe in RECIPES:
            if (recipe, str(seed)) not in done:
                rows.append([*map(str, run(recipe, seed, quality)), machine()])
                write(rows)
                print(rows[-1])


if __name__ == "__main__":
    main()
