"""Study of chapter 04: the variation of a GAN over seeds, and a comparison with a DCGAN.

Run it with ``python gen_course/ch04_gan/studies/gan_seeds.py [STEPS [SEEDS]]``.

The default recipe is trained with several seeds. With the first seed a plain DCGAN (Radford et al.
2015, arXiv:1511.06434) is trained, too: once on as many images as the default, once for about as
many CPU seconds. It has transposed convolutions and batch norm, with 64 channels at the largest
size, and uses Adam with learning rate 2e-4 and beta_1 = 0.5. Everything runs on one thread, whose
CPU seconds are counted. The study writes gan_seeds.csv.
"""

import csv
import sys
import time
from pathlib import Path

import torch
from torch import nn

from gen_lib.data import load
from gen_lib.metrics.sample_quality import SampleQuality, class_histogram
from gen_lib.models.gan import GAN, Adversarial, Rules
from gen_lib.training import fit
from gen_lib.training.hardware import machine

HEADER = ["recipe", "seed", "steps", "seconds", "frechet", "floor", "rarest", "recall", "machine"]


class DCGAN(Adversarial):
    """The paper's generator and discriminator, with two resolutions fewer, for 28 x 28 pixels."""

    name = "dcgan"

    def __init__(self):
        up, down = {"kernel_size": 4, "stride": 2, "padding": 1}, (4, 2, 1)
        g = nn.Sequential(
            nn.Unflatten(1, (100, 1, 1)),
            *(nn.ConvTranspose2d(100, 128, 7, bias=False), nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, **up, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 1, **up, bias=False), nn.Tanh()),
        )
        d = nn.Sequential(
            *(nn.Conv2d(1, 64, *down, bias=False), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 128, *down, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(128, 1, 7, bias=False), nn.Flatten()),
        )
        rules = Rules("non-saturating", lr_g=2e-4, lr_d=2e-4, betas=(0.5, 0.999))
        super().__init__(g, d, rules, latent_size=100)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)


def main(steps: int = 4_000, seeds: int = 5) -> None:
    """Train and measure all."""
    torch.set_num_threads(1)
    images = load("fashion_mnist")
    sample_quality = SampleQuality(images)
    floor = sample_quality.frechet_floor()

    def run(recipe: str, kind: type[Adversarial], seed: int, steps: int) -> float:
        torch.manual_seed(seed)
        model, start = kind(), time.process_time()
        fit(model, images.train, steps=steps, batch_size=GAN.batch_size, seed=seed, show_bar=False)
        seconds = time.process_time() - start
        x = model.sample(10_000, torch.Generator().manual_seed(0))
        quality, rarest = sample_quality.quality(x), class_histogram(sample_quality.judge, x).min()
        figures = (quality.frechet, floor, rarest, quality.recall)
        rounded = [f"{figure:.4f}" for figure in figures]
        writer.writerow([recipe, seed, steps, round(seconds), *rounded, machine()])
        file.flush()
        return seconds

    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        ours = run("default", GAN, 0, steps)
        theirs = run("DCGAN, as many images", DCGAN, 0, steps)
        run("DCGAN, as many seconds", DCGAN, 0, round(steps * ours / theirs))
        for seed in range(1, seeds):
            run("default", GAN, seed, steps)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
