"""Study of chapter 02: the effect of the mask ratio on a masked autoencoder.

Run it with ``python gen_course/ch02_sparse_denoising_masked/studies/masking.py``.

Masked autoencoders with five mask ratios, and one with the lecture's ratio of 0.8 whose loss counts
all patches, are trained for equally many steps with seed 0. For each the study measures the error
on hidden patches of test images, at its own ratio and at 0.8, and the test accuracy of a linear
probe with 10,000 labels. It writes masking.csv.
"""

import csv
from pathlib import Path

import torch

from gen_course.ch02_sparse_denoising_masked.studies.ladder import probes
from gen_lib.data import load
from gen_lib.models import MaskedAutoencoder
from gen_lib.models.masked import masked_loss
from gen_lib.training import fit
from gen_lib.training.hardware import machine

RATIOS = (0.2, 0.5, 0.75, 0.8, 0.95)
STEPS = 1_000


def main() -> None:
    """Train and measure all."""
    images = load("fashion_mnist")
    x = images.test.x
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        names = (
            "mask_ratio all_patches masked_mse masked_mse_at_80 probe_10000 minutes steps machine"
        )
        writer.writerow(names.split())
        for ratio, all_patches in [*((ratio, False) for ratio in RATIOS), (0.8, True)]:
            torch.manual_seed(0)
            model = MaskedAutoencoder(mask_ratio=ratio, all_patches=all_patches)
            history = fit(model, images.train, steps=STEPS)
            y, mask = model.fill(x, torch.Generator().manual_seed(0))
            errors = [f"{masked_loss(y, x, mask).item():.5f}"]
            at_80 = MaskedAutoencoder(mask_ratio=0.8).eval()
            at_80.load_state_dict(model.state_dict())
            y, mask = at_80.fill(x, torch.Generator().manual_seed(0))
            errors += [f"{masked_loss(y, x, mask).item():.5f}"]
            accuracy = f"{probes(model.features, images.train, images.test).many:.4f}"
            minutes = f"{history.seconds[-1] / 60:.2f}"
            writer.writerow([ratio, all_patches, *errors, accuracy, minutes, STEPS, machine()])
            file.flush()


if __name__ == "__main__":
    main()
