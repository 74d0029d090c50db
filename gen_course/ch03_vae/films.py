"""Films of chapter 03: a bound that tightens, a round of the latent plane, moved codes."""

import math
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image, ImageColor
from torch import Tensor
from torch.distributions import Normal

from gen_course.ch03_vae import toy
from gen_course.ch03_vae.explorers import (
    EXAMPLES,
    LARGE,
    LIMIT,
    PLANE,
    BetaExplorer,
    posteriors,
)
from gen_course.common import plots
from gen_course.common.canvas import INK, Canvas
from gen_course.common.explorer import first_images, shipped
from gen_course.common.film import Film, walk
from gen_course.common.plane import draw_curve
from gen_lib.data import load
from gen_lib.models import BernoulliVAE, ConvAutoencoder
from gen_lib.models.base import in_batches
from gen_lib.models.vae import Posterior

WIDTH, HEIGHT = 900, 520
NAT = 60  # pixels of a bar for one nat
MAP = 440  # side of the map of codes


def point_or_distribution() -> Film:
    """The codes of the same images: an autoencoder's points, a VAE's distributions, enlarged."""
    test = load("fashion_mnist").test
    few = torch.cat([(test.labels == k).nonzero()[:12, 0] for k in range(10)])
    points = in_batches(shipped("conv-ae-2d", ConvAutoencoder).encode, test[few].images)
    q = posteriors(shipped(PLANE, BernoulliVAE), test[few].images)
    frames = [_codes(limit, points, q, test.labels[few]) for limit in (16, 16, 12, 8, 6, 4)]
    return Film(
        frames,
        0.8,
        "Left: an autoencoder's codes of 120 test images, points up to 16 from zero. Right: a "
        "VAE's, first on the same axes, then enlarged four times: ellipses, nearly all within "
        "three standard deviations of the prior; its rings of one and two are drawn in both.",
    )


def _codes(
    limit: float, points: Float[Tensor, "n 2"], q: Posterior, labels: Int64[Tensor, "n"]
) -> np.ndarray:
    canvas, side = Canvas(WIDTH, 514, 1), 430
    for left, name, far in ((5, "autoencoder: points", 16.0), (465, "VAE: distributions", limit)):
        canvas.text(name, left + side // 2, 2, INK, "ma", 30)
        part = Canvas(side, side, 1)
        part.box(0, 0, side, side, "#f4f4f4")
        scale = side / (2 * far)
        for mu, log_var, point, k in zip(q.mu, q.log_var, points, labels.tolist(), strict=True):
            color, place = plots.CLASSES[k], point if left == 5 else mu
            x, y = side / 2 + scale * place[0].item(), side / 2 - scale * place[1].item()
            if left == 5:
                part.disc((x, y), 5, color)
                continue
            a, b = (2 * scale * (0.5 * log_var).exp()).tolist()  # two standard deviations
            part.draw.ellipse((x - a, y - b, x + a, y + b), outline=color, width=3)
        for radius in (1, 2):
            middle = (side / 2, side / 2)
            part.disc(middle, radius * scale, outline=INK, width=2)
        canvas.paste(part.picture, left, 42, (side, side), Image.Resampling.NEAREST)
        canvas.text(f"axes: ±{far:g}", left + side, 478, INK, "ra", 26)
    canvas.text("rings: prior 1σ, 2σ", 5, 478, INK, "la", 26)
    return canvas.pixels()


def draws() -> Film:
    """The same draws from the prior, decoded by an autoencoder and by a VAE."""
    z = torch.randn(10, 16, generator=torch.Generator().manual_seed(0))  # those of the chapter
    models = {"AE": shipped("conv-ae", ConvAutoencoder), "VAE": shipped(LARGE, BernoulliVAE)}
    decoded = {name: in_batches(model.decode, z) for name, model in models.items()}
    frames = []
    for shown in (1, 2):
        canvas = Canvas(WIDTH, 514, 1)
        for row, (name, images) in enumerate(list(decoded.items())[:shown]):
            top = 4 + 258 * row
            canvas.text(name, 40, top + 108, INK, "ma", 32)
            for number, image in enumerate(images):
                left = 90 + 162 * (number % 5)
                canvas.image(image, left, top + 126 * (number // 5), 112)
        frames.append(canvas.pixels())
    return Film(
        frames,
        1.5,
        "Ten draws of a code from N(0, I), decoded twice. Above, by the autoencoder: shapeless "
        "smears. Below, by the VAE: mostly garments, a few of them mixtures.",
    )


def bound() -> Film:
    """A normal guess q that moves to the posterior, and the two parts of its ELBO."""
    x = torch.tensor(EXAMPLES["near the circle"], dtype=torch.float64)
    m, log_s = 0.0, math.log(0.5)
    frames = []
    for _ in range(16):
        frames.append(_guess(x, m, math.exp(log_s)))
        for _ in range(6):
            m, log_s = _better(x, m, log_s)
    return Film(
        frames,
        0.4,
        "A wide guess q of the code moves to the narrow posterior and takes its shape. Below, two "
        "bars of equal length shrink together: distortion plus rate, and −log p(x) plus gap. The "
        "part −log p(x) stays at 2.09, the gap nearly vanishes.",
    )


def _better(x: Float[Tensor, "2"], m: float, log_s: float) -> tuple[float, float]:
    """One step of gradient descent on the gap, by differences; short where the gap is steep."""
    h = 1e-3

    def gap(m: float, log_s: float) -> float:
        return toy.bound(x, m, math.exp(log_s)).gap

    by_m = (gap(m + h, log_s) - gap(m - h, log_s)) / (2 * h)
    by_s = (gap(m, log_s + h) - gap(m, log_s - h)) / (2 * h)
    share = 0.02 / max(1, math.hypot(by_m, by_s))
    return m - share * by_m, log_s - share * by_s


def _guess(x: Float[Tensor, "2"], m: float, s: float) -> np.ndarray:
    terms, log_p = toy.bound(x, m, s), toy.evidence(x).log_p
    canvas = Canvas(WIDTH, HEIGHT, 1)
    inside = ((toy.GRID >= -1.5) & (toy.GRID <= 2.5)).nonzero()[::4, 0]
    z = toy.GRID[inside]
    for number, (name, values, color) in enumerate(
        (
            ("prior p(z)", toy.PRIOR.log_prob(z).exp(), plots.BASELINE),
            ("posterior p(z|x)", toy.evidence(x).posterior[inside], plots.DATA),
            (f"guess q: m = {m:.2f}, s = {s:.2f}", Normal(m, s).log_prob(z).exp(), plots.CODE),
        )
    ):
        canvas.text(name, 20, 8 + 38 * number, color, "la", 26)
        for shift in (0, 1, 2):
            box = (20, 10 + shift, 880, 250 + shift)
            draw_curve(canvas, values.tolist(), box, (0, 2.9), color)
    canvas.text("z", 880, 254, INK, "ra", 26)
    canvas.text("toy: the code z is one number", 880, 8, INK, "ra", 24)
    rows = (
        (("distortion", terms.distortion, plots.MODEL), ("rate", terms.rate, plots.CODE)),
        (("−log p(x)", -log_p, plots.DATA), ("gap", terms.gap, plots.DISCRIMINATOR)),
    )
    for row, parts in enumerate(rows):
        top, left = 290 + 110 * row, 20
        for number, (name, nats, color) in enumerate(parts):
            canvas.text(f"{name} {nats:.2f}", 20 + 300 * number, top, color, "la", 28)
            right = min(left + round(NAT * nats), WIDTH)
            if left < right:
                canvas.box(left, top + 40, right, top + 76, color)
            left = right
    canvas.text("both: −ELBO in nats", 880, 290, INK, "ra", 26)
    return canvas.pixels()


def plane() -> Film:
    """Once around the origin of a VAE's plane of codes, at one and a half standard deviations."""
    model = shipped(PLANE, BernoulliVAE)
    angles = [math.pi * (0.5 + k / 18) for k in range(37)]
    codes = torch.tensor([[1.5 * math.cos(a), 1.5 * math.sin(a)] for a in angles])
    decoded = in_batches(model.decode, codes)
    frames = [_on_map(z, image) for z, image in zip(codes.tolist(), decoded, strict=True)]
    return Film(
        frames,
        0.3,
        "Left: the density of the codes of test images as a green map, with the prior's rings, and "
        "a point that goes once around the centre. Right: what the decoder makes of the point: "
        "garments that blend into one another, and at the start and the end a faint smear, where "
        "the map is white.",
    )


@cache
def _map() -> Image.Image:
    """The density of the codes of test images over the plane: white is 0, green is dense."""
    q = posteriors(shipped(PLANE, BernoulliVAE), first_images(load("fashion_mnist"), 1_000))
    density = q.aggregated(plots.plane(110, LIMIT)).reshape(110, 110).flip(0).sqrt()
    share = (density / density.max())[..., None].numpy()
    green = np.array(ImageColor.getrgb(plots.CODE), dtype=float)
    return Image.fromarray((255 + share * (green - 255)).round().astype(np.uint8))


def _on_map(z: list[float], image: Float[Tensor, "1 28 28"]) -> np.ndarray:
    canvas = Canvas(WIDTH, 500, 1)
    canvas.paste(_map(), 0, 50, (MAP, MAP), Image.Resampling.NEAREST)
    scale = MAP / (2 * LIMIT)
    for radius in (1, 2, 3):
        canvas.disc((MAP / 2, 50 + MAP / 2), radius * scale, outline=plots.BASELINE, width=2)
    place = (MAP / 2 + z[0] * scale, 50 + MAP / 2 - z[1] * scale)
    canvas.disc(place, 11, plots.MODEL, outline="white", width=3)
    canvas.text("codes of test images", MAP // 2, 6, plots.CODE, "ma", 28)
    canvas.image(image, 480, 50, 420)
    at = (f"{round(v, 1) + 0.0:.1f}".replace("-", "−") for v in z)
    words = f"decoded from ({', '.join(at)})"
    canvas.text(words, 690, 6, INK, "ma", 28)
    canvas.text("rings: prior 1σ, 2σ, 3σ", MAP // 2, 462, INK, "ma", 24)
    return canvas.pixels()


def way() -> Film:
    """Three straight ways between two garments' codes, decoded by an autoencoder and by a VAE."""
    images = load("fashion_mnist")
    ends = [(7, 9), (3, 8), (1, 9)]
    place = {k: int((images.test.labels == k).nonzero()[3, 0]) for pair in ends for k in pair}
    x = {k: images.test[i : i + 1].images for k, i in place.items()}
    shares = torch.linspace(0, 1, 13)
    models = {"AE": shipped("conv-ae", ConvAutoencoder), "VAE": shipped(LARGE, BernoulliVAE)}
    ways = {}
    for name, model in models.items():
        codes = {k: in_batches(model.encode, image)[0] for k, image in x.items()}
        z = torch.stack([torch.lerp(codes[a], codes[b], shares[:, None]) for a, b in ends])
        ways[name] = in_batches(model.decode, z.flatten(0, 1)).unflatten(0, z.shape[:2])
    names = [f"{images.classes[a]} to {images.classes[b]}" for a, b in ends]
    order = [*range(6, 12), *range(12, 0, -1), *range(7)]  # from the middle to both ends and back
    frames = [_ways(shares[k].item(), {n: w[:, k] for n, w in ways.items()}) for k in order]
    return Film(
        frames,
        0.4,
        f"Three straight ways between two codes: {', '.join(names)}; the autoencoder's images "
        "above, the VAE's below. Both show shoes between the two shoes; between trousers and boot "
        "both pass through smears.",
    )


def _ways(share: float, rows: dict[str, Float[Tensor, "ways 1 28 28"]]) -> np.ndarray:
    canvas = Canvas(WIDTH, 510, 1)
    canvas.text(f"{share:.0%} of the way", 500, 4, INK, "ma", 32)
    for row, (name, images) in enumerate(rows.items()):
        top = 50 + 232 * row
        canvas.text(name, 90, top + 96, INK, "ra", 34)
        for column, image in enumerate(images):
            canvas.image(image, 130 + 252 * column, top, 224)
    return canvas.pixels()


def unit() -> Film:
    """Unit 14 alone goes from −3 to 3, in the codes of two shoes."""
    model = shipped(LARGE, BernoulliVAE)
    test = load("fashion_mnist").test
    x = first_images(load("fashion_mnist"), 1_000)
    starts = [int((test.labels == k).nonzero()[0, 0]) for k in (9, 7)]
    names = ("start: an ankle boot", "start: a sneaker")
    values = torch.linspace(-3, 3, 13)
    codes = posteriors(model, x).mu[starts][:, None].repeat(1, 13, 1)
    codes[:, :, 13] = values
    decoded = in_batches(model.decode, codes.flatten(0, 1)).unflatten(0, (2, 13))
    frames = []
    for k, value in enumerate(values.tolist()):
        canvas = Canvas(WIDTH, 470, 1)
        at = "0.0" if value == 0 else f"{value:+.1f}".replace("-", "−")
        canvas.text(f"unit 14 of 16 is {at}", WIDTH // 2, 4, INK, "ma", 34)
        for number, name in enumerate(names):
            canvas.image(decoded[number, k], 57 + 450 * number, 60, 336)
            canvas.text(name, 225 + 450 * number, 416, INK, "ma", 30)
        frames.append(canvas.pixels())
    return Film(
        frames,
        0.4,
        "The codes of two shoes, a boot and a sneaker, in which unit 14 alone goes from −3 to 3. "
        "Both become a top.",
    )


def beta() -> Film:
    """The explorer of beta, with four prices of a nat."""
    return walk(BetaExplorer(), [{"beta": price} for price in (0.25, 1.0, 16.0, 64.0)])
