"""Explorer of chapter 00: a kernel density, and how the width of its kernels changes it."""

from functools import lru_cache
from typing import NamedTuple, cast

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.distributions import Normal
from typing_extensions import override

from gen_course.common import plots
from gen_course.common.canvas import FAINT, Canvas
from gen_course.common.explorer import Explorer, Size, choice, index_slider, steps
from gen_lib.data import DensityToy, load_toy
from gen_lib.data.toys import Mixture

WIDTHS = (0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
POINTS = (10, 25, 50, 100, 200, 400)
SOURCES = {
    "eight Gaussians": "eight_gaussians",
    "grid of 25 Gaussians": "grid",
    "checkerboard": "checkerboard",
}
HELD_OUT = 1_000
MAP, LIMIT, TOP = 300, 3.0, 22  # side of a map in pixels of the page; it shows [-LIMIT, LIMIT]^2
FOOT = TOP + MAP  # where the notes under the panels begin
FAINTEST, BRIGHTEST = -10.0, 3.0  # nats: the ends of every colour scale of log p
LOWEST, HIGHEST = -10.0, 6.0  # nats at the ends of the histograms
UNSEEN = "#882255"  # dark red: held-out points; blue and vermilion are data and samples
BAR = 7  # width in page pixels of a bar, which covers half a nat


class KernelState(NamedTuple):
    """The width of the kernels, and the training points: how many, of which p_data, which draw."""

    width: float = 0.1
    points: int = 400
    source: str = "eight_gaussians"
    draw: int = 0


class Fit(NamedTuple):
    """A kernel density, and its log p in nats at the training points and at held-out points."""

    model: Mixture
    seen: Float[Tensor, "n"]
    held_out: Float[Tensor, "m"]
    ceiling: Float[Tensor, ""]  # the mean of log p_data at the held-out points


class KernelExplorer(Explorer[KernelState]):
    """How wide should the kernels of a kernel density be, and what does that depend on?"""

    def __init__(self) -> None:
        controls = {
            "width": steps("width of kernels", [(f"{width:g}", width) for width in WIDTHS]),
            "points": steps("training points", [(f"{n}", n) for n in POINTS]),
            "source": choice("p_data", list(SOURCES.items())),
            "draw": index_slider("draw of the points", 9),
        }
        super().__init__(KernelState(), controls, Size(880, FOOT + 18))

    @override
    def picture(self, state: KernelState) -> UInt8[np.ndarray, "height width 3"]:
        model, seen, held_out, ceiling = fit(state)
        canvas = self.canvas()
        canvas.text("log p_model(x), both axes from −3 to 3", 0, 0)
        canvas.image(_colours(log_density(model, MAP // 2)), 0, TOP, MAP)
        canvas.text(
            f"dark: −{-FAINTEST:g} nats or less; bright: {BRIGHTEST:g} or more", 0, FOOT, FAINT
        )
        canvas.text(f"orange: {POINTS[-1]} samples; blue: training points", 318, 0)
        canvas.box(318, TOP, 318 + MAP, TOP + MAP, "#f4f4f4")
        samples = model.sample(POINTS[-1], torch.Generator().manual_seed(3))
        canvas.dots(_on_map(samples), 318, TOP, plots.MODEL)
        canvas.dots(_on_map(model.means), 318, TOP, plots.DATA, radius=1.0)
        canvas.text("log p_model of each point, nats", 636, 0)
        for top, name, log_p, color in (
            (TOP, "training", seen, plots.DATA),
            (TOP + 150, "held-out", held_out, UNSEEN),
        ):
            canvas.text(f"{name} points: mean {_nats(log_p)}", 636, top, color)
            _histogram(canvas, log_p, ceiling, 636, top + 20, color)
        canvas.text("black: mean; grey: that of p_data", 636, FOOT, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: KernelState) -> str:
        _, seen, held_out, ceiling = fit(state)
        return (
            f"Kernels of width {state.width:g} on {state.points} training points score "
            f"{_nats(seen)} nats per point on these, {_nats(held_out)} on {len(held_out):,} "
            f"held-out points. p_data itself scores {_nats(ceiling)} there."
        )


@lru_cache(maxsize=1)  # the picture and the caption need the same fit
def fit(state: KernelState) -> Fit:
    """Fit a kernel density: a mixture of equally likely Gaussians, one on each training point."""
    toy = cast(DensityToy, load_toy(state.source))
    train = toy.sample(POINTS[-1], torch.Generator().manual_seed(1 + 2 * state.draw))
    x = toy.sample(4_000, torch.Generator().manual_seed(2))[:HELD_OUT]
    model = Mixture("kernel density", train[: state.points], state.width)
    return Fit(model, model.log_prob(model.means), model.log_prob(x), toy.log_prob(x).mean())


def log_density(model: Mixture, side: int) -> Float[Tensor, "side side"]:
    """log p at the centre of each pixel of the map, top row first.

    A Gaussian in the plane is the product of one Gaussian per axis. Computing these on each axis
    saves nearly all of the work.
    """
    middle = LIMIT * (2 * torch.arange(side) + 1 - side) / side  # (side,)
    kernels = Normal(model.means, model.sigma).log_prob(middle[:, None, None]).exp()
    across, up = kernels.unbind(dim=-1)  # (side, n) each
    return (up.flip(0) @ across.T / len(model.means)).log()


def _colours(log_p: Float[Tensor, "side side"]) -> Float[Tensor, "3 side side"]:
    share = ((log_p - FAINTEST) / (BRIGHTEST - FAINTEST)).clamp(0, 1)
    rgb = matplotlib.colormaps["cividis"](share.numpy())[..., :3]
    return 2 * torch.from_numpy(rgb).permute(2, 0, 1) - 1


def _on_map(x: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Positions in page pixels from the upper left corner of the map, without points outside it."""
    x = x[(x.abs() < LIMIT).all(dim=1)]
    return (x * torch.tensor([1.0, -1.0]) + LIMIT) * MAP / (2 * LIMIT)


def _nats(log_p: Float[Tensor, "*n"]) -> str:
    mean = log_p.mean()
    return (f"{mean:.2f}" if abs(mean) < 100 else f"{mean:,.0f}").replace("-", "−")


def _histogram(
    canvas: Canvas, log_p: Float[Tensor, "n"], ceiling: Tensor, left: int, top: int, color: str
) -> None:
    """Draw a histogram of log p, with lines at its mean and at the mean of log p_data.

    A bar covers half a nat; the first bar also holds all values below, the last all above.
    """

    def at(nats: float | Tensor) -> int:
        return left + round(2 * BAR * (min(max(float(nats), LOWEST), HIGHEST) - LOWEST))

    bins, floor = int(2 * (HIGHEST - LOWEST)), top + 90
    counts = log_p.clamp(LOWEST, HIGHEST - 1e-3).histc(bins, LOWEST, HIGHEST)
    for number, height in enumerate((88 * counts / counts.max()).round().int().tolist()):
        x = left + BAR * number
        canvas.box(x, floor - height, x + BAR - 1, floor + 1, color)
    for mean, line in ((ceiling, plots.BASELINE), (log_p.mean(), "black")):
        canvas.box(at(mean) - 1, top, at(mean) + 1, floor + 1, line)
    canvas.text(f"≤ −{-LOWEST:g}", left, floor + 4, FAINT)
    for nats in (-5.0, 0.0, 5.0):
        canvas.text(f"{nats:g}".replace("-", "−"), at(nats), floor + 4, FAINT, "ma")
