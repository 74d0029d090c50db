"""Films of chapter 06: what one call sees, what a chain of calls draws, and how particles move."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gen_course.ch06_diffusion.explorers import recorded
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import first_images, shipped
from gen_course.common.film import Film
from gen_lib.data import load
from gen_lib.data.toys import EIGHT_GAUSSIANS
from gen_lib.models.diffusion import Diffusion
from gen_lib.samplers import DDIM, Ancestral, Heun, exact
from gen_lib.schedules import Straight, linear

LETTERS = 26  # size of all words, in pixels of the film
SIDE, GAP, LEFT = 140, 8, 160  # an image, the space after it, the room for the names of rows
SHOWN = 5  # images in a row
STEPS = (1, 2, 5, 10, 40)  # of the toy's walks
WIDE, HIGH = 880, 420  # of the toy's picture
PLANE, LIMIT = 460, 3.0  # side of a picture of [-LIMIT, LIMIT]^2
PARTICLES = 320

Images = Float[Tensor, "n c h w"]


def mixed() -> Film:
    """One garment on the straight path, from the image to noise alone."""
    x = first_images(load("fashion_mnist"), 1)
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    times = [k / (SHOWN - 1) for k in range(SHOWN)]
    frames = []
    for last in range(1, SHOWN + 1):
        canvas = Canvas(SHOWN * (SIDE + GAP), SIDE + 44, scale=1)
        for k, tau in enumerate(times[:last]):
            left = k * (SIDE + GAP)
            canvas.image(((1 - tau) * x + tau * eps)[0].clamp(-1, 1), left, 0, SIDE)
            canvas.text(f"τ = {tau:g}", left + SIDE // 2, SIDE + 6, INK, "ma", LETTERS)
        frames.append(canvas.pixels())
    alt = (
        "One garment five times, mixed with more and more noise: at time 0 the clear image, at "
        "0.5 a grainy one, at 1 noise alone."
    )
    return Film(frames, 0.8, alt)


def one_call() -> Film:
    """Five garments under ever more noise, and what one call of the network makes of each."""
    model = shipped("diffusion", Diffusion)
    x = first_images(load("fashion_mnist"), SHOWN)
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    frames = []
    with torch.no_grad():
        for tau in torch.linspace(0.1, 1, 10):
            noised = (1 - tau) * x + tau * eps
            seen = model.estimate(noised, tau).x_0
            frames.append(_rows(f"τ = {tau:.1f}", {"noisy": noised, "estimate": seen}))
    alt = (
        "Five garments sink in noise while the time runs from 0.1 to 1. Below, the estimate of one "
        "call: at first with all details, then a blur, at last the same grey mixture five times."
    )
    return Film(frames, 0.7, alt)


def toy() -> Film:
    """The walks of many noises to the data −1 and 1, in one step up to forty."""
    starts = torch.linspace(-2.4, 2.4, 24)
    alt = (
        "Paths from 24 noises at time 1 to time 0. In one step all end at 0; in two most near −1 "
        "or 1; in forty, curved, all at −1 or 1."
    )
    return Film([_walks(starts, steps) for steps in STEPS], 1.6, alt)


def reverse() -> Film:
    """Five reverse processes: the noisy image, and what the network sees in it."""
    model = shipped("diffusion", Diffusion)
    states = recorded(model.states(SHOWN, torch.Generator().manual_seed(5), calls=39))
    frames = [
        _rows(f"τ = {t:.2f}", {"noisy": x, "estimate": x_0})
        for t, x, x_0 in list(zip(states.t, states.x, states.x_0, strict=True))[::2]
    ]
    alt = (
        "Five processes from noise to garments. The estimate is a blurred shape from the first "
        "step on and sharpens; the noisy image shows the garment late."
    )
    return Film(frames, 0.6, alt)


def samplers() -> Film:
    """Three samplers from the same four noises."""
    model = shipped("diffusion", Diffusion)
    ways = {
        "DDIM: no\nfresh noise": DDIM(model.schedule),
        "Heun: no\nfresh noise": Heun(model.schedule),
        "ancestral:\nfresh noise": Ancestral(model.schedule),
    }
    rng = torch.Generator().manual_seed
    runs = {
        name: recorded(model.states(SHOWN - 1, rng(5), sampler=way, calls=40))
        for name, way in ways.items()
    }
    shares = [k / 10 for k in range(11)]
    frames = [
        _rows(
            f"each column starts from one noise; done: {share:.0%}",
            {name: run.x[round(share * (len(run.t) - 1))] for name, run in runs.items()},
            left=200,
        )
        for share in shares
    ]
    alt = (
        "From the same four noises DDIM and Heun's method come to nearly the same four garments, "
        "the ancestral sampler to others."
    )
    return Film(frames, 0.6, alt)


def plane() -> Film:
    """Particles from noise to eight Gaussians; each has the colour of the mode that it reaches."""
    rng, sampler = torch.Generator().manual_seed(0), DDIM(Straight())
    z = torch.randn(PARTICLES, 2, 1, 1, generator=rng)
    denoise, times = exact(EIGHT_GAUSSIANS, Straight()), sampler.times(20)
    states = list(sampler.states(denoise, z, times, rng))
    mode = torch.cdist(states[-1].x.flatten(1), EIGHT_GAUSSIANS.means).argmin(dim=1)
    frames = [_particles(float(state.t), state.x.flatten(1), mode) for state in states]
    alt = (
        "A round cloud of particles at time 1 splits into eight sectors, each in its own colour; "
        "each sector runs together into the mode on its side of the circle."
    )
    return Film(frames, 0.3, alt)


def forward() -> Film:
    """Five garments after some steps of the table of Ho et al."""
    table, x = linear(), first_images(load("fashion_mnist"), SHOWN)
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    frames = []
    for t in (0, 100, 300, 500, 1000):
        noised = table.noised(x, torch.tensor(float(t), dtype=torch.float64), eps)
        words = f"t = {t:,}: the noise has variance {1 - table.alpha_bar[t]:.2f}"
        frames.append(_rows(words, {"image": x, "noised": noised}))
    alt = (
        "Five garments above the same ones with noise, after 0 to 1,000 steps. The variance of the "
        "noise is 0.10 after 100 steps, 0.60 after 300, where shapes are hardly seen, and 1.00 at "
        "the end."
    )
    return Film(frames, 1.2, alt)


def _rows(
    heading: str, rows: dict[str, Images], left: int = LEFT
) -> UInt8[np.ndarray, "height width 3"]:
    """Rows of images, enlarged by a whole factor, with their names and a heading."""
    top, line, shown = 44, SIDE + GAP, len(next(iter(rows.values())))
    canvas = Canvas(left + shown * line, top + len(rows) * line, scale=1)
    canvas.text(heading, left, 4, plots.MODEL, size=LETTERS)
    for number, (name, images) in enumerate(rows.items()):
        words = name.split("\n")
        y = top + number * line + SIDE // 2 - LETTERS // 2 - (LETTERS + 6) * (len(words) - 1) // 2
        for part in words:
            canvas.text(part, left - 12, y, anchor="ra", size=LETTERS)
            y += LETTERS + 6
        for k, image in enumerate(images):
            canvas.image(image.clamp(-1, 1), left + k * line, top + number * line, SIDE)
    return canvas.pixels()


def _walks(starts: Float[Tensor, "n"], steps: int) -> UInt8[np.ndarray, "height width 3"]:
    """All walks of so many steps, from time 1 on the left to 0 on the right."""
    times, paths = torch.linspace(1, 0, steps + 1), [starts]
    for tau, s in pairwise(times):
        guess = torch.tanh((1 - tau) * paths[-1] / tau**2)
        paths.append(paths[-1] + (s - tau) * (paths[-1] - guess) / tau)
    canvas, left, right = Canvas(WIDE, HIGH, scale=2), 50, WIDE - 90
    x = [left + (right - left) * (1 - tau) for tau in times.tolist()]
    for path in torch.stack(paths, dim=1).tolist():
        places = list(zip(x, _heights(path), strict=True))
        canvas.line(places, plots.MODEL, width=2)
        canvas.disc(places[-1], 6, plots.MODEL)
    for value, y in zip((-1, 1), _heights([-1, 1]), strict=True):
        canvas.disc((right + 18, y), 8, plots.DATA)
        words = f"{value}".replace("-", "−")
        canvas.text(words, right + 32, round(y) - 16, plots.DATA, size=LETTERS)
    canvas.text(f"{steps} step{'s' * (steps > 1)}", left, 4, INK, size=LETTERS)
    canvas.text("toy: the image is one number, −1 or 1", WIDE - 10, 4, FAINT, "ra", LETTERS)
    canvas.text("τ = 1, noise", left, HIGH - 34, FAINT, size=LETTERS)
    canvas.text("τ = 0, data", right + 60, HIGH - 34, FAINT, "ra", LETTERS)
    return _halved(canvas)


def _heights(values: Iterable[float | int]) -> list[float]:
    return [(HIGH - 10) / 2 - 66 * value for value in values]


def _particles(
    t: float, points: Float[Tensor, "n 2"], mode: Int64[Tensor, "n"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The particles at one time, and the modes as circles of three standard deviations."""
    canvas, corner = Canvas(PLANE + 200, PLANE, scale=2), PLANE / 2
    canvas.box(0, 0, PLANE, PLANE, "#F4F4F4")
    unit = PLANE / (2 * LIMIT)
    for mean in (unit * EIGHT_GAUSSIANS.means).tolist():
        place = (corner + mean[0], corner - mean[1])
        canvas.disc(place, 3 * EIGHT_GAUSSIANS.sigma * unit + 3, outline=FAINT, width=3)
    inside = points.abs().amax(dim=1) < LIMIT - 0.05
    for (x, y), number in zip((unit * points[inside]).tolist(), mode[inside], strict=True):
        canvas.disc((corner + x, corner - y), 4, plots.CLASSES[int(number)])
    canvas.text(f"τ = {t:.2f}", PLANE + 24, 20, plots.MODEL, size=LETTERS)
    canvas.text("colour: the", PLANE + 24, 80, FAINT, size=LETTERS)
    canvas.text("mode that is", PLANE + 24, 112, FAINT, size=LETTERS)
    canvas.text("reached", PLANE + 24, 144, FAINT, size=LETTERS)
    return _halved(canvas)


def _halved(canvas: Canvas) -> UInt8[np.ndarray, "height width 3"]:
    """A drawing with smooth edges: of twice the size, and made smaller."""
    return np.asarray(canvas.picture.reduce(2))
