"""Figures of chapter 07: neighbourhoods, latent diffusion, the families over the training time."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gen_course.ch07_comparison.criteria import Row, at, budgets, values
from gen_course.common import plots

COLORS = {
    "AE + mixture": plots.BASELINE,
    "VAE": plots.CODE,
    "GAN": plots.GENERATOR,
    "diffusion": plots.MODEL,
    "latent diffusion": "#7A3300",
}
"""The colour of each family."""
MARKERS = dict(zip(COLORS, "osD^v", strict=True))


def clouds(
    real: Float[Tensor, "n 2"],
    made: Mapping[str, Float[Tensor, "n 2"]],
    found: Mapping[str, tuple[float, float]],
) -> Figure:
    """Several clouds of samples over the same data, each with its precision and recall."""
    figure, axes = plt.subplots(1, len(made), figsize=(9, 3.3))
    for ax, (name, fake) in zip(axes, made.items(), strict=True):
        plots.points(ax, real, plots.DATA, size=4, limit=6.0)
        plots.points(ax, fake, plots.MODEL, size=4, limit=6.0)
        ax.set_title(f"{name}\nprecision {found[name][0]:.2f}, recall {found[name][1]:.2f}")
    return figure


def neighbourhoods(
    real: Float[Tensor, "n 2"], fake: Float[Tensor, "m 2"], k: int, inside: Sequence[str]
) -> Figure:
    """The balls to the k-th neighbour around the real points, and around the samples."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.9))
    pairs = ((real, plots.DATA, fake, plots.MODEL), (fake, plots.MODEL, real, plots.DATA))
    for ax, (owners, color, tried, other), words in zip(axes, pairs, inside, strict=True):
        radius = torch.cdist(owners, owners).kthvalue(k + 1, dim=1).values
        for (x, y), r in zip(owners.tolist(), radius.tolist(), strict=True):
            ax.add_patch(plt.Circle((x, y), r, color=color, alpha=0.12))
        caught = (torch.cdist(tried, owners) <= radius).any(dim=1)
        ax.plot(*owners.T, "o", color=color, markersize=4)
        ax.plot(*tried[caught].T, "D", color=other, markersize=6)
        ax.plot(*tried[~caught].T, "D", color=other, markersize=6, fillstyle="none")
        plots.square(ax, 3.0)
        ax.set_title(words)
    return figure


def latent() -> Figure:
    """The parts of latent diffusion: autoencoder, codes of scale 1, and a flow in the codes."""
    figure, ax = plt.subplots(figsize=(9, 3.1))
    boxes = (
        (0.0, 1.6, "image", "1 × 28 × 28", plots.DATA),
        (4.6, 1.6, "codes $z_0$", "4 × 7 × 7, scale 1", COLORS["latent diffusion"]),
        (9.2, 1.6, "image", "1 × 28 × 28", plots.DATA),
        (4.6, 0.0, "noise ε", "4 × 7 × 7", COLORS["latent diffusion"]),
    )
    for left, bottom, name, shape, color in boxes:
        ax.add_patch(plt.Rectangle((left, bottom), 1.8, 0.8, fc="white", ec=color, lw=2))
        ax.annotate(name, (left + 0.9, bottom + 0.52), ha="center", va="center", color=color)
        ax.annotate(shape, (left + 0.9, bottom + 0.2), ha="center", va="center", fontsize=9)
    arrows = (
        ((1.85, 2.0), (4.55, 2.0), plots.CODE),
        ((6.45, 2.0), (9.15, 2.0), plots.CODE),
        ((5.5, 0.85), (5.5, 1.55), COLORS["latent diffusion"]),
    )
    for start, end, color in arrows:
        style = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0, "lw": 1.5}
        ax.annotate("", end, start, arrowprops=style)
    ax.annotate("encoder", (3.2, 2.1), ha="center", va="bottom", color=plots.CODE)
    ax.annotate("decoder", (7.8, 2.1), ha="center", va="bottom", color=plots.CODE)
    words = "20 steps against the velocity\nthat the flow estimates"
    ax.annotate(words, (5.7, 1.2), va="center", fontsize=9, color=COLORS["latent diffusion"])
    ax.annotate("training only", (3.2, 1.9), ha="center", va="top", fontsize=9)
    ax.set(xlim=(-0.1, 11.1), ylim=(-0.1, 2.6))
    ax.axis("off")
    ax.set_title("Sampling walks among the codes, and decodes once")
    return figure


def over_time(rows: Sequence[Row], real: Row, title: str) -> Figure:
    """Fréchet distance, precision and recall of each family against its training time."""
    shown = (
        ("frechet", "course Fréchet distance", "less is better"),
        ("precision", "precision", "more is better"),
        ("recall", "recall", "more is better"),
    )
    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.7), width_ratios=(5, 4, 4))
    times = budgets(rows)
    for ax, (column, label, better) in zip(axes, shown, strict=True):
        ends = {}
        for family, color in _families(rows).items():
            points = _points(rows, family, column)
            middle = [sum(each) / len(each) for each in points.values()]
            ax.plot(list(points), middle, color=color, linewidth=1.5)
            for budget, each in points.items():
                ax.plot([budget] * len(each), each, MARKERS.get(family, "o"), color=color, ms=4)
            ends[family] = middle[-1]
        ax.axhline(float(real[column]), color=plots.DATA, linestyle="--", linewidth=1)
        ax.set(xscale="log", xlabel="seconds of training")
        ax.set_title(f"{label}:\n{better}", fontweight="normal")
        ax.set_xticks(times, [f"{budget:g}" for budget in times])
        ax.set_xticks([], minor=True)
        if column == "frechet":
            ax.set(yscale="log")
            ax.yaxis.set_major_formatter("{x:g}")
            ax.set_yticks([], minor=True)
            ends["real images"] = float(real[column])
            _name(ax, ends)
        else:
            ax.set(ylim=(0, 1))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def shares(rows: Sequence[Row], classes: Sequence[str], title: str) -> Figure:
    """The share of each class among each family's samples; all runs together."""
    names = _families(rows)
    figure, axes = plt.subplots(1, len(names), figsize=(9.5, 3.0), sharey=True)
    for ax, (family, color) in zip(axes, names.items(), strict=True):
        each = [
            [float(share) for share in row["shares"].split()]
            for row in rows
            if row["family"] == family
        ]
        ax.barh(range(len(classes)), torch.tensor(each).mean(dim=0).tolist(), color=color)
        ax.axvline(0.1, color="black", linestyle="--", linewidth=1)
        ax.set(xticks=(0, 0.1, 0.2), yticks=range(len(classes)))
        ax.set_xlim(right=0.3)
        ax.set_title(family, fontweight="normal")
    axes[0].set_yticks(range(len(classes)), classes)
    axes[0].invert_yaxis()
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def by_number(
    sizes: Sequence[int], measured: Mapping[tuple[str, int], tuple[float, float]]
) -> Figure:
    """Fréchet and kernel distance of two sets of images against the number of images."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3))
    for name, color in (("real images", plots.DATA), ("GAN", plots.GENERATOR)):
        for ax, k in zip(axes, (0, 1), strict=True):
            y = [measured[name, n][k] for n in sizes]
            ax.plot(sizes, y, "o-", color=color)
            ax.annotate(f"  {name}", (sizes[-1], y[-1]), color=color, va="center")
            ax.set(xscale="log", xlabel="images on either side", xlim=(70, 60_000))
    axes[0].set(yscale="log", ylabel="course Fréchet distance")
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].set_title("One falls with the number of images ...")
    axes[1].set(ylabel="kernel distance")
    axes[1].set_title("... the other scatters about one value")
    return figure


def recipes(rows: Sequence[Row], title: str) -> Figure:
    """The Fréchet distance of each recipe at the same clock, one dot for each run."""
    found = values([dict(row, family=row["recipe"]) for row in rows], "frechet")
    figure, ax = plt.subplots(figsize=(8, 0.9 + 0.34 * len(found)))
    for place, (name, each) in enumerate(found.items()):
        color = COLORS["latent diffusion" if "codes" in name or "logit" in name else "diffusion"]
        middle = sum(each) / len(each)
        ax.plot(each, [place] * len(each), "o", color=color)
        ax.annotate(f"   {middle:.2f}", (max(each), place), va="center", fontsize=9)
    ax.set_yticks(range(len(found)), list(found))
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set(xscale="log", xlabel="course Fréchet distance (number: mean)")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("{x:g}")
    ax.margins(x=0.12)
    ax.set_title(title)
    return figure


def _families(rows: Sequence[Row]) -> dict[str, str]:
    """The families that have runs, with their colours, in the order of ``COLORS``."""
    present = dict.fromkeys(row["family"] for row in rows if row["seed"])
    order = sorted(present, key=lambda name: [*COLORS, name].index(name))
    return {family: COLORS.get(family, "black") for family in order}


def _points(rows: Sequence[Row], family: str, column: str) -> dict[float, list[float]]:
    """A family's figures by training time; times without a run are left out."""
    each = {budget: values(at(rows, budget), column).get(family, []) for budget in budgets(rows)}
    return {budget: found for budget, found in each.items() if found}


def _name(ax: Axes, ends: Mapping[str, float]) -> None:
    """Name curves to the right of the axes, at the height of their ends but not on one another."""
    ax.figure.canvas.draw()  # settles the limits of the axes
    order = sorted(ends, key=ends.__getitem__)
    heights = [
        float(ax.transAxes.inverted().transform(ax.transData.transform((1, ends[name])))[1])
        for name in order
    ]
    for k in range(1, len(heights)):
        heights[k] = max(heights[k], heights[k - 1] + 0.085)
    for name, height in zip(order, heights, strict=True):
        color = COLORS.get(name, plots.DATA if name == "real images" else "black")
        where, place = ax.transAxes, (1.03, height)
        ax.annotate(name, place, None, where, color=color, va="center", annotation_clip=False)
