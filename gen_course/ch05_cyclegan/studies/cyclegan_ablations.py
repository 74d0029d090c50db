"""Study of chapter 05: CycleGAN without one of its parts, or with other weights of its losses.

Run it with ``python gen_course/ch05_cyclegan/studies/cyclegan_ablations.py``.

Five small shipped models differ only in the weights of the cycle and identity losses. Two more are
trained for as many steps: one without the pool, one with noise between the generators of a cycle.
On all held-out seasons the study measures the PSNR of translations against the true partners, and
of images translated there and back against the originals; ``back_noised`` compares F(G(x) + noise)
with x. It writes cyclegan_ablations.csv.
"""

import csv
from pathlib import Path

import torch

from gen_course.ch05_cyclegan.explorers import MIXED
from gen_lib.data import load_domains
from gen_lib.metrics import psnr
from gen_lib.models import CycleGAN
from gen_lib.models.base import in_batches
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card
from gen_lib.training.hardware import machine

FULL, BATCH = (3.0, 1.0), 8  # as in the recipes of the shipped models
NAMES = {
    FULL: "full",
    (0.0, 1.0): "no cycle",
    (3.0, 0.0): "no identity",
    (0.0, 0.0): "neither",
    (30.0, 1.0): "cycle x 10",
}
FIGURES = ("psnr_to_b", "psnr_to_a", "back_to_a", "back_to_b", "back_noised")
SIGMA = 0.1  # standard deviation of the noise in ``back_noised``
HEADER = ["variant", "cycle", "identity", "pool", "noise", *FIGURES, "steps", "machine"]


def figures(model: CycleGAN, x: torch.Tensor, y: torch.Tensor) -> list[str]:
    """The columns ``FIGURES``, each a mean PSNR in dB.

    They compare G(x) with y, F(y) with x, F(G(x)) with x, G(F(y)) with y, F(G(x) + noise) with x.
    """
    g_x, f_y = in_batches(model.g, x).clamp(-1, 1), in_batches(model.f, y).clamp(-1, 1)
    back_x, back_y = in_batches(model.f, g_x).clamp(-1, 1), in_batches(model.g, f_y).clamp(-1, 1)
    noised = g_x + SIGMA * torch.randn(g_x.shape, generator=torch.Generator().manual_seed(0))
    back_noised = in_batches(model.f, noised).clamp(-1, 1)
    pairs = ((g_x, y), (f_y, x), (back_x, x), (back_y, y), (back_noised, x))
    return [f"{psnr(a, b):.3f}" for a, b in pairs]


def main() -> None:
    """Measure the shipped models, train and measure the other two."""
    domains = load_domains("seasons")
    x, y = domains.test.a.x, domains.test.b.x
    models = {weights: load_pretrained(MIXED[weights], CycleGAN) for weights in NAMES}
    steps = read_card(pretrained_folder() / f"{MIXED[FULL]}.safetensors")["steps"]
    trained = {}
    for name, changed in (("no pool", {"pool": 0}), ("noise", {"noise": 0.2})):
        torch.manual_seed(0)
        trained[name] = CycleGAN(**models[FULL].config | changed)
        fit(trained[name], domains.train, steps=steps, batch_size=BATCH)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for weights, model in (models | trained).items():
            name = weights if isinstance(weights, str) else NAMES[weights]
            config = [model.config[k] for k in ("cycle", "identity", "pool", "noise")]
            writer.writerow([name, *config, *figures(model, x, y), steps, machine()])


if __name__ == "__main__":
    main()
