"""Study of chapter 04: how many modes of eight Gaussians a GAN covers under different rules.

Run it with ``python gen_course/ch04_gan/studies/gan_modes.py``.

For each recipe and seed the study measures the number of modes covered, the share of 10,000 samples
near a mode, and the CPU seconds on one thread. It writes gan_modes.csv. It also records the
training with the first seed, frame by frame, in data/pretrained/gan-plane.npz, which an explorer of
the chapter plays back.
"""

import csv
import time
from pathlib import Path

import numpy as np
import torch

from gen_course.ch04_gan.scene import scene
from gen_lib.data import load_toy, modes
from gen_lib.models.gan import COLLAPSE, PlaneGAN
from gen_lib.training import training_steps
from gen_lib.training.checkpoints import pretrained_folder
from gen_lib.training.hardware import machine

BATCH, FRAMES = 256, 30
PLAIN = {"penalty": 0.0, "loss": "non-saturating"}
RECIPES = {  # name -> rules, number of steps, number of seeds
    "relativistic, R1 + R2": ({}, 2_500, 5),
    "collapse: slow D, no penalty": (COLLAPSE, 1_000, 5),
    "non-saturating, no penalty": (PLAIN, 2_000, 1),
    "saturating, no penalty": (PLAIN | {"loss": "saturating"}, 2_000, 1),
    "slow D, R1 + R2": (COLLAPSE | {"penalty": 0.01}, 2_000, 1),
}
toy = load_toy("eight_gaussians")


def film_at(steps: int) -> set[int]:
    """The training steps to record, which are closer together at the beginning."""
    return {max(1, round(steps * (k / (FRAMES - 1)) ** 1.5)) for k in range(FRAMES)}


def play(rules: dict, steps: int, seed: int) -> tuple[PlaneGAN, dict[str, np.ndarray]]:
    """Train a GAN in the plane; return it and the recording of its training."""
    torch.manual_seed(seed)
    model, wanted, frames = PlaneGAN(**rules), film_at(steps), []
    rng = torch.Generator().manual_seed(0)
    z, x = torch.randn(400, 2, generator=rng), toy.sample(400, rng)
    for record in training_steps(model, toy, steps=steps, batch_size=BATCH, seed=seed):
        if record.step in wanted:
            now = scene(model, z, x)
            losses = [record.terms["D"], record.terms["G"]]
            frames.append((record.step, 255 * now.field, now.samples, now.pull[:60], losses))
    kinds = {"steps": "int32", "field": "uint8", "samples": "float16", "pull": "float16"}
    kinds["losses"] = "float32"
    columns = zip(kinds.items(), zip(*frames, strict=True), strict=True)
    return model, {name: np.stack(column).astype(kind) for (name, kind), column in columns}


def main() -> None:
    """Train, measure and record all."""
    torch.set_num_threads(1)
    films = {}
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["recipe", "seed", "modes", "near", "steps", "seconds", "machine"])
        for name, (rules, steps, seeds) in RECIPES.items():
            for seed in range(seeds):
                start = time.process_time()
                model, film = play(rules, steps, seed)
                cost = [steps, round(time.process_time() - start, 1)]
                x = model.sample(10_000, torch.Generator().manual_seed(1)).flatten(1)
                found = modes(x, toy)
                figures = [found.covered, f"{found.near:.4f}"]
                writer.writerow([name, seed, *figures, *cost, machine()])
                file.flush()
                if seed == 0:
                    films |= {f"{name}/{kind}": array for kind, array in film.items()}
    np.savez_compressed(pretrained_folder() / "gan-plane.npz", **films)


if __name__ == "__main__":
    main()
