"""Study of chapter 05: what each part does. ``python notebooks/studies/cyclegan_ablations.py``.

Three small shipped models, which differ in the weights of two losses alone, and a fourth without
the pool, trained for as many steps: PSNR of translations against the true partners, and of the ways
back against where they began, on all held-out seasons. Writes cyclegan_ablations.csv.
"""

import csv
from pathlib import Path

import torch

from gen_lib.checkpoints import load_pretrained, pretrained_folder, read_card
from gen_lib.clock import machine
from gen_lib.data import load_domains
from gen_lib.metrics import psnr
from gen_lib.models import CycleGAN
from gen_lib.models.base import in_batches
from gen_lib.training import fit
from gen_lib.widgets.cyclegan import MIXED

FULL, BATCH = (3.0, 1.0), 8  # as in the recipes of the shipped ones
NAMES = {FULL: "full", (0.0, 1.0): "no cycle", (3.0, 0.0): "no identity"}
FIGURES = ("psnr_to_b", "psnr_to_a", "back_to_a", "back_to_b")
HEADER = ["variant", "cycle", "identity", "pool", *FIGURES, "steps", "machine"]


def figures(model: CycleGAN, x: torch.Tensor, y: torch.Tensor) -> list[str]:
    """PSNR of G(x) against y, F(y) against x, F(G(x)) against x, G(F(y)) against y."""
    g_x, f_y = in_batches(model.g, x).clamp(-1, 1), in_batches(model.f, y).clamp(-1, 1)
    back_x, back_y = in_batches(model.f, g_x).clamp(-1, 1), in_batches(model.g, f_y).clamp(-1, 1)
    pairs = ((g_x, y), (f_y, x), (back_x, x), (back_y, y))
    return [f"{psnr(a, b):.3f}" for a, b in pairs]


def main() -> None:
    """Measure the shipped models, train and measure the one without a pool."""
    domains = load_domains("seasons")
    x, y = domains.test.a.x, domains.test.b.x
    models = {weights: load_pretrained(MIXED[weights], CycleGAN) for weights in NAMES}
    steps = read_card(pretrained_folder() / f"{MIXED[FULL]}.safetensors")["steps"]
    torch.manual_seed(0)
    without = CycleGAN(**models[FULL].config | {"pool": 0})
    fit(without, domains.train, steps=steps, batch_size=BATCH)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for weights, model in (models | {"no pool": without}).items():
            name = weights if isinstance(weights, str) else NAMES[weights]
            config = [model.config[k] for k in ("cycle", "identity", "pool")]
            writer.writerow([name, *config, *figures(model, x, y), steps, machine()])


if __name__ == "__main__":
    main()
