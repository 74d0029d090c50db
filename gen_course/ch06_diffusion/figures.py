"""Figures of chapter 06: the toy, the U-Net, schedules, paths, curves of the measurements."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gen_course.common import plots
from gen_lib.data.toys import Mixture

Curve = Sequence[float] | Float[Tensor, "n"]
Images = Float[Tensor, "n c h w"]


def toy(
    guess: Callable[[Tensor, float], Tensor],
    paths: Float[Tensor, "times n"],
    shown: Sequence[float],
) -> Figure:
    """The best guess of x_0 in {-1, 1} at several times, and paths from noise to data."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.1), width_ratios=(4, 5))
    x = torch.linspace(-3, 3, 401)
    for tau, strength in zip(shown, (1.0, 0.7, 0.4), strict=True):
        left.plot(x, guess(x, tau), color=plots.MODEL, alpha=strength)
    where = ((0.42, 1.06), (0.75, 0.68), (1.9, 0.33))
    for tau, place in zip(shown, where, strict=True):
        left.annotate(f"τ = {tau:g}", place, fontsize=9)
    left.set(xlabel="$x_\\tau$", ylabel="best guess of $x_0$", ylim=(-1.3, 1.3))
    left.set_title("More noise, more cautious guess")
    times = torch.linspace(1, 0, len(paths))
    right.plot(times, paths, color=plots.MODEL, linewidth=0.9)
    right.plot(times[-1].expand(2), [-1, 1], "o", color=plots.DATA)
    right.annotate("data: −1 or 1", (0.03, 0.0), color=plots.DATA, ha="right", va="center")
    right.set(xlabel="time τ, from noise to data", ylabel="$x_\\tau$", xlim=(1.02, -0.02))
    right.set_title(f"{len(paths) - 1} small steps end at the data")
    return figure


BOXES = (  # left edge, bottom, width, height, what it holds, its shape
    (0.0, 2.0, 0.5, 1.5, "x_τ", "1 × 28 × 28"),
    (2.0, 2.2, 1.0, 1.1, "down", "48 × 14 × 14"),
    (4.7, 0.3, 1.4, 0.7, "bottom", "96 × 7 × 7"),
    (6.6, 2.7, 0.55, 0.5, "join", ""),
    (7.6, 2.2, 1.0, 1.1, "up", "48 × 14 × 14"),
    (10.2, 2.0, 0.5, 1.5, "u", "1 × 28 × 28"),
)


def unet() -> Figure:
    """The U-Net of the shipped model: what each part holds, and its skip connection."""
    figure, ax = plt.subplots(figsize=(9, 3.5))
    for left, bottom, width, height, name, shape in BOXES:
        color = plots.MODEL if name == "u" else plots.DATA if name == "x_τ" else plots.CODE
        box = plt.Rectangle((left, bottom), width, height, fc="white", ec=color, lw=2)
        ax.add_patch(box)
        middle = left + width / 2
        label = {"x_τ": "$x_\\tau$", "u": "$u_\\theta$"}.get(name, name)
        ax.annotate(label, (middle, bottom + height / 2), ha="center", va="center", color=color)
        ax.annotate(shape, (middle, bottom - 0.1), ha="center", va="top", fontsize=9)
    arrows = (
        ((0.55, 2.75), (1.95, 2.75), "pixels to\nchannels", (1.25, 2.9)),
        ((3.05, 2.45), (4.65, 0.7), "stride 2", (3.6, 1.3)),
        ((6.15, 0.7), (6.87, 2.65), "channels\nto pixels", (6.7, 1.3)),
        ((7.2, 2.95), (7.55, 2.95), "", (7.4, 3.0)),
        ((8.65, 2.75), (10.15, 2.75), "channels\nto pixels", (9.4, 2.9)),
    )
    for start, end, words, place in arrows:
        _arrow(ax, start, end, plots.BASELINE)
        side = {"stride 2": "right", "channels\nto pixels": "left"}.get(words, "center")
        side = "center" if place[1] > 2 else side
        ax.annotate(words, place, ha=side, fontsize=9, va="bottom" if place[1] > 2 else "center")
    _arrow(ax, (3.05, 2.95), (6.55, 2.95), plots.CODE)
    words = "skip connection: the fine features"
    ax.annotate(words, (4.8, 3.05), ha="center", va="bottom", color=plots.CODE, fontsize=9)
    for x, y in ((2.5, 3.35), (8.1, 3.35), (5.4, 1.05)):
        _arrow(ax, (x, y + 0.4), (x, y), plots.BASELINE, "dotted")
        ax.annotate("τ", (x, y + 0.4), ha="center", va="bottom", fontsize=9)
    ax.annotate(
        "τ scales and shifts the\nfeatures of every block", (5.1, 1.8), ha="center", fontsize=9
    )
    ax.set(xlim=(-0.6, 11.3), ylim=(-0.25, 4.1))
    ax.axis("off")
    ax.set_title("The U-Net: half and a quarter of the side, and back")
    return figure


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str,
    line: str = "solid",
) -> None:
    style = {"arrowstyle": "-|>", "color": color, "linestyle": line, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style)


def schedules(share: Mapping[str, Curve], log_snr: Mapping[str, Tensor]) -> Figure:
    """The share of the power that is signal, and log SNR, against t / T."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3))
    colors = (plots.DATA, plots.MODEL, plots.CODE, plots.DISCRIMINATOR)
    x = torch.linspace(0, 1, len(next(iter(share.values()))))
    for name, color in zip(share, colors, strict=True):
        axes[0].plot(x, share[name], color=color, label=name)
        axes[1].plot(x, log_snr[name].clamp(-12, 12), color=color)
    axes[0].legend(frameon=False)
    axes[0].set(xlabel="t / T, or τ", ylabel="share of the power that is signal")
    axes[1].set(xlabel="t / T, or τ", ylabel="log SNR (cut at ±12)", ylim=(-12, 12))
    axes[0].set_title("Linear loses the signal first")
    axes[1].set_title("All end in noise")
    return figure


def grid(images: Images, columns: int, title: str) -> Figure:
    """Images in a grid."""
    figure, ax = plt.subplots(figsize=(8, 2.3))
    plots.draw_images(ax, images, columns)
    ax.set_title(title)
    return figure


def with_columns(figure: Figure, names: Sequence[str], side: int = 28) -> Figure:
    """Write a name over each column of a figure made by ``plots.image_rows``."""
    room, title = 0.2, 0.35  # inches
    height = figure.get_figheight() + room
    figure.set_figheight(height)
    figure.subplots_adjust(top=1 - (title + room) / height)
    for text in figure.texts:
        text.set_y(1 - 0.06 / height)
    for column, name in enumerate(names):
        middle = 2 + side / 2 + (side + 2) * column
        figure.axes[0].annotate(name, (middle, 0), ha="center", va="bottom", fontsize=6.5)
    return figure


def walks(truth: Float[Tensor, "n 2"], paths: Mapping[str, Float[Tensor, "times m 2"]]) -> Figure:
    """Paths of several samplers in the plane, from the same points of noise."""
    figure, axes = plt.subplots(1, len(paths), figsize=(9, 3.4))
    for ax, (name, several) in zip(axes, paths.items(), strict=True):
        plots.points(ax, truth, size=1)
        colors = (plots.MODEL, plots.CODE, plots.DISCRIMINATOR)
        for path, color in zip(several.permute(1, 0, 2), colors, strict=True):
            ax.plot(*path.T, color=color, linewidth=1)
            ax.plot(*path[0], "o", color=color, markersize=5, fillstyle="none")
            ax.plot(*path[-1], "o", color=color, markersize=5, markeredgecolor="black")
        ax.set_title(f"{name}: {len(several) - 1} steps")
    figure.suptitle("The ancestral paths jump; those of DDIM and Heun are short", fontweight="bold")
    return figure


def at_a_mode(x: Float[Tensor, "n 2"], mixture: Mixture) -> float:
    """The share of points within three standard deviations of a mean of the mixture."""
    distance = torch.cdist(x.float(), mixture.means.float()).min(dim=1).values
    return (distance < 3 * mixture.sigma).float().mean().item()


def guidance(weights: Sequence[float], rows: Mapping[str, Sequence[float]]) -> Figure:
    """Shares against the guidance weight."""
    figure, ax = plt.subplots(figsize=(6.5, 2.8))
    plots.curves(ax, rows, x=weights)
    ax.set(xlabel="guidance weight w", ylabel="share of samples or images", ylim=(0, 1.05))
    ax.set_title("Higher weight: more obedience, less variety")
    return figure


Points = Mapping[str, Sequence[tuple[int, float, float]]]


def calls(points: Points, floor: float) -> Figure:
    """Fréchet distance against seconds for (network calls, seconds, distance) of each sampler."""
    figure, ax = plt.subplots(figsize=(7, 3.2))
    colors = (plots.MODEL, plots.DATA, plots.CODE)
    for (name, several), color in zip(points.items(), colors, strict=True):
        _, seconds, distances = zip(*several, strict=True)
        ax.plot(seconds, distances, "o-", color=color, markersize=4, label=name)
    for number, cost, value in points["ancestral"]:
        spot = (10, 4) if number < 20 else (0, -14)  # where no curve is
        place, around = (cost, value), "offset points"
        label = f"{number:,}"
        ax.annotate(label, place, spot, textcoords=around, ha="center", color=plots.CODE)
    ax.axhline(floor, color=plots.BASELINE, linestyle="--")
    ax.annotate("real images", (cost, floor), color=plots.BASELINE, va="bottom", ha="right")
    highest = max(value for several in points.values() for *_, value in several)
    ax.set(xscale="log", yscale="log", ylabel="Fréchet distance", ylim=(None, 1.6 * highest))
    ax.set_xlabel("seconds for 100 samples (numbers: network calls, ancestral)")
    ax.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    ax.set_yticks([], minor=True)
    ax.legend(frameon=False)
    ax.set_title("After 20 calls most of the gain is made")
    return figure


def share_of_gain(points: Points) -> float:
    """How much of the fall of the best distance, from the fewest calls on, 20 calls bring."""
    best: dict[int, float] = {}
    for several in points.values():
        for made, _, value in several:
            best[made] = min(value, best.get(made, value))
    first, least = best[min(best)], min(best.values())
    return (first - best[20]) / (first - least)


def orders(errors: Mapping[str, Sequence[float]]) -> Mapping[str, list[str]]:
    """The rows of a table: errors, and by what factor each doubling of the steps divides them."""
    rows = {}
    for name, values in errors.items():
        falls = "".join(f", ÷ {a / b:.2f}" for a, b in pairwise(values)).removeprefix(", ")
        rows[name] = [f"{value:.5f}" for value in values] + [falls]
    return rows
