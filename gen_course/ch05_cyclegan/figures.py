"""The figures of chapter 05."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from gen_course.ch05_cyclegan.toy import GRID, Measured, Numbers
from gen_course.common import plots
from gen_lib.models.base import Images

Point = tuple[float, float]


def cycle(pictures: Mapping[str, Images]) -> Figure:
    """A picture, its translation and the way back, with the parts that judge them."""
    figure, ax = plt.subplots(figsize=(8, 3.3))
    for left, (name, picture) in zip((0.0, 3.0, 6.0), pictures.items(), strict=True):
        pixels = (picture[0].clamp(-1, 1).permute(1, 2, 0) + 1) / 2
        place = (left, left + 1.4, 0.3, 1.7)
        ax.imshow(pixels, extent=place, aspect="auto", interpolation="nearest")
        ax.text(left + 0.7, 0.2, name, ha="center", va="top")
    for start, name in ((1.5, "G"), (4.5, "F")):
        _arrow(ax, (start, 1.0), (start + 1.4, 1.0), plots.GENERATOR)
        ax.text(start + 0.7, 1.1, name, ha="center", color=plots.GENERATOR, weight="bold")
    _arrow(ax, (3.7, 1.75), (3.7, 2.25), plots.DISCRIMINATOR)
    ax.text(3.9, 2.05, "$D_Y$: a real winter?", color=plots.DISCRIMINATOR, va="center")
    bow = FancyArrowPatch(
        (0.7, -0.12),
        (6.7, -0.12),
        color=plots.CODE,
        connectionstyle="arc3,rad=0.12",
        arrowstyle="<|-|>",
        mutation_scale=12,
    )
    ax.add_patch(bow)
    question = "the cycle loss: the same picture again?"
    ax.text(3.7, -0.62, question, color=plots.CODE, ha="center", va="top")
    ax.set(xlim=(-0.1, 7.6), ylim=(-0.85, 2.3), aspect="equal")
    ax.axis("off")
    ax.set_title(
        "From X to Y and back: $\\mathbf{D_Y}$ judges G(x), the cycle loss compares F(G(x)) with x"
    )
    return figure


def _arrow(ax: Axes, start: Point, end: Point, color: str) -> None:
    look = FancyArrowPatch(
        start, end, color=color, arrowstyle="-|>", mutation_scale=16, linewidth=2
    )
    ax.add_patch(look)


def maps_of_numbers(trained: Mapping[int, Numbers], found: Mapping[int, Measured]) -> Figure:
    """The generators G of numbers that several seeds have learnt, between the two exact maps."""
    figure, ax = plt.subplots(figsize=(5.6, 3.4))
    ends = GRID[[0, -1], 0]
    exact = ((ends + 2, "shift x + 2", 2.85), (2 - ends, "mirror 2 \u2212 x", 1.0))
    for values, label, height in exact:
        ax.plot(ends, values, color=plots.BASELINE, linestyle="--")
        ax.annotate(label, (0.55, height), color=plots.BASELINE, ha="right", va="center")
    for pair in trained.values():
        ax.plot(GRID, pair.g(GRID).detach(), color=plots.GENERATOR, linewidth=1.3)
    rising = sum(m.slope > 0 for m in found.values())
    ax.set(xlim=(-1.05, 1.05), ylim=(0.6, 3.4), xlabel="x", ylabel="G(x)")
    ax.set_xticks([-1, 0, 1])
    ax.set_title(
        f"Of {len(found)} seeds, {rising} learn a rising G and {len(found) - rising} a falling one"
    )
    return figure


def excess(errors: Mapping[str, Mapping[str, float]]) -> Figure:
    """The excess of each change for hider, G(x) and true y; on the right without the hider."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
    looks = (plots.BASELINE, 36, "D"), (plots.GENERATOR, 80, "o"), (plots.DATA, 18, "s")
    for (name, changes), (color, size, shape) in zip(errors.items(), looks, strict=True):
        for ax in axes if name != "hider" else axes[:1]:
            ax.scatter(list(changes.values()), list(changes), size, color=color, marker=shape)
    for ax in axes:
        ax.axvline(0, color="black", linewidth=1)
        ax.set_xlabel("excess error")
    axes[0].set(xlim=(-0.05, 1))
    axes[1].set(xlim=(-0.001, 0.02))
    axes[0].invert_yaxis()
    axes[0].set_title("with the hider", weight="normal")
    axes[1].set_title("without it, 50 times as large", weight="normal")
    for name, (color, size, shape) in zip(errors, looks, strict=True):
        axes[1].scatter([], [], size, color=color, marker=shape, label=name)
    axes[1].legend(loc="upper right", frameon=False)
    figure.suptitle(
        "Every change finds out the hider; G(x) loses hardly more than the true y, mostly less",
        x=0.01,
        ha="left",
        fontsize=10.5,
        weight="bold",
    )
    return figure
