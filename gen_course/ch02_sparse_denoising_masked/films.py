"""Films of chapter 02: a rising price, units that add up, growing noise, points that climb."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen_course.ch02_sparse_denoising_masked import figures
from gen_course.ch02_sparse_denoising_masked.explorers import (
    DENOISING,
    MASKED,
    SPARSE,
    MaskExplorer,
)
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import decibels, shipped
from gen_course.common.film import Film, walk
from gen_lib.data import load, load_toy
from gen_lib.data.toys import Mixture
from gen_lib.models import MaskedAutoencoder
from gen_lib.models.autoencoder import DenoisingAutoencoder, SparseAutoencoder, add_noise
from gen_lib.models.base import in_batches

WIDTH, HEIGHT = 900, 520
SIDE = 280  # of an image: ten pixels for each of its own


def constraints() -> Film:
    """What goes into each of the three autoencoders, its rule, and the target of all three."""
    x, rng = load("fashion_mnist").test[:1].images, torch.Generator().manual_seed(0)
    noised = add_noise(x, 0.5, 0.0, rng)
    hidden = figures.hide(x, shipped(MASKED, MaskedAutoencoder).random_mask(1, rng))
    columns = (
        ("sparse", x[0], "activity costs", figures.SPARSE),
        ("denoising", noised[0], "noise must go", figures.DENOISING),
        ("masked", hidden[0], "guess the rest", figures.MASKED),
    )
    frames = []
    for shown in (1, 2, 3):
        canvas = Canvas(WIDTH, HEIGHT, 1)
        for number, (name, image, rule, color) in enumerate(columns[:shown]):
            middle = 150 + 300 * number
            canvas.text(name, middle, 2, color, "ma", 32)
            canvas.image(image, middle - 112, 46, 224)
            canvas.text(rule, middle, 278, color, "ma", 28)
        canvas.image(x[0], 366, 340, 168)
        canvas.text("target:", 346, 394, INK, "ra", 30)
        canvas.text("the clean image", 554, 394, INK, "la", 30)
        frames.append(canvas.pixels())
    return Film(
        frames,
        1.5,
        "Above, what goes in: for the sparse autoencoder the boot itself, whose code pays for "
        "its activity; for the denoising one the boot under grain; for the masked one a fifth of "
        "its patches. Below, the target of all three: the clean boot.",
    )


def price() -> Film:
    """The loss of one unit worth 1 under two prices, while the price rises."""
    frames = [_priced(k / 10) for k in range(13)]
    return Film(
        frames,
        0.5,
        "Two curves of a unit's loss against its activity z while the price rises from 0 to 1.2. "
        "With the absolute value the minimum moves to the left and reaches 0 at a price of 1; with "
        "the square it only comes nearer.",
    )


def _priced(price: float) -> np.ndarray:
    canvas = Canvas(WIDTH, HEIGHT, 1)
    z = torch.linspace(0, 1.2, 241)
    error = 0.5 * (1 - z).square()

    def place(at: float, loss: float) -> tuple[float, float]:
        return 60 + 640 * at, 440 - 245 * loss

    canvas.line([place(0, 1.5), place(0, 0), place(1.2, 0)], INK, 2)
    for tick in (0, 0.5, 1):
        canvas.text(f"{tick:g}", round(place(tick, 0)[0]), 446, INK, "ma", 24)
    canvas.text("z", 850, 424, INK, "la", 28)
    canvas.text("loss of a unit that is worth 1", 76, 52, FAINT, "la", 24)
    canvas.text(f"λ = {price:.1f}", 60, 4, INK, "la", 36)
    for loss, name, color, left in (
        (error + 0.5 * price * z.square(), "½ λ z²", plots.BASELINE, 560),
        (error + price * z, "λ |z|", figures.SPARSE, 240),
    ):
        canvas.line(
            [place(*pair) for pair in zip(z.tolist(), loss.tolist(), strict=True)], color, 4
        )
        best = int(loss.argmin())
        canvas.disc(place(z[best].item(), loss[best].item()), 11, color)
        canvas.text(f"{name}: z = {z[best]:.2f}", left, 484, color, "la", 28)
    return canvas.pixels()


def units() -> Film:
    """A boot as the sum of the pictures of its active units, the strongest first."""
    model = shipped(SPARSE[1.0], SparseAutoencoder)
    x = load("fashion_mnist").test[:1].images
    z = in_batches(model.encode, x)[0]
    order = [k for k in z.argsort(descending=True).tolist() if z[k] > 0]
    frames, sofar = [], torch.zeros_like(z)
    frames.append(_three("no unit yet", None, in_batches(model.decode, sofar[None])[0], x[0]))
    for number, k in enumerate(order, 1):
        sofar[k] = z[k]
        column = model.dictionary.detach()[:, k]
        added = (column / column.abs().max()).reshape(x[0].shape)
        total = in_batches(model.decode, sofar[None])[0]
        frames.append(_three(f"{number} of {len(order)} active units", added, total, x[0]))
    return Film(
        frames,
        0.9,
        f"A boot is drawn by {len(order)} units, one after the other: what the unit adds, the sum "
        "so far, which becomes a boot from a grey shadow, and the boot that went in.",
    )


def _three(
    heading: str,
    added: Float[Tensor, "1 28 28"] | None,
    total: Float[Tensor, "1 28 28"],
    target: Float[Tensor, "1 28 28"],
) -> np.ndarray:
    images = [torch.zeros_like(target) if added is None else added, total, target]
    return _row(heading, ["this unit adds", "sum so far", "input x"], images)


def noise() -> Film:
    """The denoiser's output for one boot under more and more noise."""
    model = shipped(DENOISING, DenoisingAutoencoder)
    x = load("fashion_mnist").test[:1].images
    frames, told = [], []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        noised = add_noise(x, level, 0.0, torch.Generator().manual_seed(0))
        y = in_batches(model.reconstruct, noised)
        trained = " (as in training)" if level == 0.5 else ""
        before = decibels(noised, x) if level else "clean"
        names = [f"in: {before}", f"out: {decibels(y, x)}", "target x"]
        frames.append(_row(f"σ = {level:g}{trained}", names, [noised[0], y[0], x[0]]))
        told.append(f"at {level:g} {decibels(y, x)}")
    alt = "A boot under noise of growing standard deviation, what the network makes of it, and its "
    return Film(frames, 1.5, f"{alt}PSNR: {', '.join(told)}. At 1 it shows bright and dark flecks.")


def _row(
    heading: str, names: Sequence[str], images: Sequence[Float[Tensor, "1 28 28"]]
) -> np.ndarray:
    """Three images side by side under a heading, each with its name below."""
    canvas = Canvas(WIDTH, 400, 1)
    canvas.text(heading, WIDTH // 2, 4, INK, "ma", 34)
    for number, (name, image) in enumerate(zip(names, images, strict=True)):
        left = 10 + 300 * number
        canvas.image(image, left, 60, SIDE)
        canvas.text(name, left + SIDE // 2, 352, INK, "ma", 28)
    return canvas.pixels()


def uphill() -> Film:
    """Points of the plane that move, again and again, by a part of the best denoiser's change."""
    toy = cast(Mixture, load_toy("eight_gaussians"))
    one, sigma = torch.tensor([1.0]), torch.tensor([0.5])
    rng = torch.Generator().manual_seed(0)
    x, clean = 1.6 * torch.randn(250, 2, generator=rng), toy.sample(300, rng)
    frames = []
    for step in range(25):
        frames.append(_plane(step, x, clean))
        x = x + 0.3 * (toy.denoised(x, one, sigma) - x)
    return Film(
        frames,
        0.25,
        "Points scattered over the plane move along the change that the best denoiser makes. After "
        "24 steps nearly all lie at one of the eight clusters of the data.",
    )


def _plane(step: int, x: Float[Tensor, "n 2"], clean: Float[Tensor, "m 2"]) -> np.ndarray:
    canvas = Canvas(WIDTH, HEIGHT, 1)
    for points, color, radius in ((clean, plots.DATA, 3.0), (x, figures.DENOISING, 5.0)):
        places = torch.tensor([640.0, 260.0]) + points * torch.tensor([80.0, -80.0])
        inside = (places[:, 0] > 380) & (places[:, 1] > 0) & (places[:, 1] < HEIGHT)
        canvas.dots(places[inside], 0, 0, color, radius)
    canvas.text(f"step {step}", 10, 20, INK, "la", 40)
    canvas.text("data", 10, 120, plots.DATA, "la", 30)
    canvas.text("points that move by", 10, 180, figures.DENOISING, "la", 30)
    canvas.text("0.3 (y(x̃) − x̃)", 10, 222, figures.DENOISING, "la", 30)
    return canvas.pixels()


def patches() -> Film:
    """The explorer of masks with a corner of a boot, one patch of its toe, and ten patches."""
    only = [{"hidden": tuple(k for k in range(49) if k != shown)} for shown in (29, 0)]
    return walk(MaskExplorer(), [only[1], only[0], {}])
