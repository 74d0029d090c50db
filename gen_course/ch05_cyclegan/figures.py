"""The figures of chapter 05."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from gen_course.ch05_cyclegan.toy import GRID, Measured, Numbers
from gen_course.common import plots
from gen_lib.models.base import Images

Point = tuple[float, float]
Added = Mapping[str, Sequence[float]]
"""Name of a change -> the squared error that it adds before the way back, and after it."""


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
    ax.text(3.9, 2.05, "D_Y: a real winter?", color=plots.DISCRIMINATOR, va="center")
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
    ax.set_title("From X to Y and back: D_Y judges G(x), the cycle loss compares F(G(x)) with x")
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
    for exact, name, end in ((ends + 2, "shift x + 2", 3.0), (2 - ends, "mirror 2 - x", 1.0)):
        ax.plot(ends, exact, color=plots.BASELINE, linestyle="--")
        label = name.replace("-", "−")
        ax.annotate(f" {label}", (1, end), color=plots.BASELINE, va="center")
    for pair in trained.values():
        ax.plot(GRID, pair.g(GRID).detach(), color=plots.GENERATOR, linewidth=1.3)
    rising = sum(m.slope > 0 for m in found.values())
    ax.set(xlim=(-1.1, 1.75), ylim=(0.6, 3.4), xlabel="x", ylabel="G(x)")
    ax.set_xticks([-1, 0, 1])
    ax.set_title(
        f"Of {len(found)} seeds, {rising} learn a rising G and {len(found) - rising} a falling one"
    )
    return figure


def added_errors(added: Mapping[str, Added]) -> Figure:
    """The error that each change adds before the way back, against what it adds after it."""
    figure, ax = plt.subplots(figsize=(7, 3.4))
    shapes = {"noise": "o", "blur": "s", "levels": "^", "JPEG": "D"}
    for (name, changes), color in zip(
        added.items(), (plots.BASELINE, plots.GENERATOR), strict=True
    ):
        before, after = zip(*changes.values(), strict=True)
        for kind, shape in shapes.items():
            of_kind = [pair for change, pair in changes.items() if kind in change]
            ax.scatter(
                [b for _, b in of_kind], [a for a, _ in of_kind], 30, color=color, marker=shape
            )
        first = (min(after), before[after.index(min(after))])
        ax.annotate(f"{name}  ", first, color=color, ha="right")
    ends = (5e-5, 2e-2)
    ax.plot(ends, ends, color="black", linewidth=1, linestyle="--")
    ax.annotate("equal", (4e-4, 4e-4), (4, -4), textcoords="offset points", va="top", ha="left")
    ax.set(xscale="log", yscale="log", xlim=(2e-5, 4e-2), ylim=(5e-5, 3))
    for kind, shape in shapes.items():
        ax.scatter([], [], 30, color="black", marker=shape, label=kind)
    ax.legend(loc="lower right", frameon=False)
    ax.set(xlabel="squared error added after the way back", ylabel="added before the way back")
    ax.set_title("Every change harms what the hider hid far more than what G tells F")
    return figure
