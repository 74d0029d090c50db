"""Study of chapter 01: the quality of reconstructions from codes of different sizes.

Run it with ``python gen_course/ch01_autoencoders/studies/latent_size.py``.

For each latent size the study measures the error of PCA and of a deep autoencoder, trained for
2,000 steps, and the share of their reconstructions that the judge assigns to the right class. It
writes latent_size.csv.
"""

import csv
from pathlib import Path

import torch

from gen_lib.data import load
from gen_lib.metrics import mse
from gen_lib.models.autoencoder import PCA, DeepAutoencoder
from gen_lib.models.base import in_batches
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_judge
from gen_lib.training.hardware import machine

SIZES = (1, 2, 4, 8, 16, 32, 64)
STEPS = 2_000


def main() -> None:
    """Measure all sizes, seed 0."""
    images, judge = load("fashion_mnist"), load_judge()
    x, labels = images.test.x, images.test.labels
    pca = PCA.fit(images.train.x, max(SIZES))

    def row(model: str, k: int, y: torch.Tensor) -> list:
        right = in_batches(judge.logits, y).argmax(dim=1) == labels
        return [model, k, f"{mse(y, x):.5f}", f"{right.float().mean():.4f}", STEPS, machine()]

    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "latent_size", "mse", "judge_accuracy", "steps", "machine"])
        writer.writerow(row("original", images.test.images[0].numel(), x))
        for k in SIZES:
            writer.writerow(row("pca", k, PCA(pca.mean, pca.components[:k]).reconstruct(x)))
            torch.manual_seed(0)
            model = DeepAutoencoder(images.image_shape, k)
            fit(model, images.train, steps=STEPS)
            writer.writerow(row("deep-ae", k, in_batches(model.reconstruct, x)))


if __name__ == "__main__":
    main()
