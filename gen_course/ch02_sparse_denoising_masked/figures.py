"""Figures of chapter 02. Sparse, denoising and masked keep their colours in all of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from gen_course.common import plots
from gen_lib.nets.vit import patchify, unpatchify

SPARSE = "#882255"  # wine
DENOISING = "#56B4E9"  # sky blue
MASKED = "#999933"  # olive
GREY = -0.3  # the value of a hidden patch in a picture

Images = Float[Tensor, "n 1 28 28"]
Mask = Bool[Tensor, "n 49"]


class Run(NamedTuple):
    """A panel of ``training`` shows a curve over the dashed level of a baseline."""

    curve: Float[Tensor, "steps"]
    level: float
    label: str  # of the level
    unit: str  # label of the vertical axis
    color: str


def hide(x: Images, mask: Mask) -> Images:
    """Images with their hidden patches painted grey."""
    return unpatchify(patchify(x, 4).masked_fill(mask[:, :, None], GREY), (1, 28, 28))


def three_constraints(
    x: Images, noised: Images, hidden: Images, z: Float[Tensor, "units"]
) -> Figure:
    """What goes in, the rule, and the target: one row for each of the three autoencoders."""
    figure, axes = plt.subplots(3, 3, figsize=(7, 5), width_ratios=(1, 1.6, 1))
    rows = (
        (x, "x", "sparse: activity costs", "x", SPARSE),
        (noised, "x with noise", "denoising: clean target", "x", DENOISING),
        (
            hidden,
            "a fifth (rest grey)",
            "masked: guess the rest",
            "x, where hidden",
            MASKED,
        ),
    )
    for (left, middle, right), (picture, name, rule, target, color) in zip(axes, rows, strict=True):
        plots.draw_images(left, picture, 1)
        left.set_xlabel(f"in: {name}")
        plots.draw_images(right, x, 1)
        right.set_xlabel(f"target: {target}")
        middle.axis("off")
        middle.text(0.5, 0.6, rule, ha="center", va="bottom", fontweight="bold")
        arrow = {"arrowstyle": "->", "color": color, "lw": 2.5}
        middle.annotate("", (0.97, 0.5), (0.03, 0.5), arrowprops=arrow)
    code = axes[0, 1].inset_axes((0.1, 0.02, 0.8, 0.36))
    code.vlines(range(len(z)), 0, z, color=SPARSE, linewidth=1)
    code.set(yticks=[], xticks=[], xlabel=f"z: the {len(z):,} units for this boot")
    return figure


def one_unit() -> Figure:
    """One unit that is worth 1: its loss against z, and the best z against what it is worth."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    z = torch.linspace(0, 1.5, 301)
    for price, style in ((0.3, "-"), (1.2, "--")):
        loss = 0.5 * (1 - z).square() + price * z
        left.plot(z, loss, style, color=SPARSE)
        left.annotate(
            f"λ = {price:g}", (z[-40], loss[-40]), (-8, 5), textcoords="offset points", ha="right"
        )
        left.plot(z[loss.argmin()], loss.min(), "o", color=SPARSE)
    left.set(xlabel="z", ylabel="½ (1 − z)² + λ z", xlim=(-0.05, 1.55), ylim=(0, 2.1))
    left.set_title("Worth a = 1: the cheapest z (dot) is 0.7 or 0")
    worth = torch.linspace(0, 2, 201)
    for best, name, place, side, color, style in (
        (worth, "no price: z = a", (1.2, 1.35), "right", plots.BASELINE, "-"),
        (worth / 2, "squared price: a / 2", (1.97, 1.03), "right", plots.BASELINE, "--"),
        (
            (worth - 1).clamp(min=0),
            "price λ |z|, λ = 1:\n0 up to a = 1",
            (1.42, 0.1),
            "left",
            SPARSE,
            "-",
        ),
    ):
        right.plot(worth, best, style, color=color)
        right.text(*place, name, color=color, ha=side, fontsize=9)
    right.set(
        xlabel="what the unit is worth, a", ylabel="cheapest z", xlim=(0, 2), ylim=(-0.05, 2.1)
    )
    right.set_title("λ = 1: only the price λ |z| gives exactly 0")
    return figure


def training(runs: Mapping[str, Run]) -> Figure:
    """Training curves side by side, each over the level of its baseline."""
    size = (4.5 * len(runs) if len(runs) > 1 else 6.5, 2.8)
    figure, axes = plt.subplots(1, len(runs), figsize=size, squeeze=False)
    for ax, (name, run) in zip(axes[0], runs.items(), strict=True):
        skipped = 20
        ax.plot(range(skipped, skipped + len(run.curve)), run.curve, color=run.color)
        ax.axhline(run.level, color=plots.BASELINE, linestyle="--")
        place = (skipped + len(run.curve), run.level)
        ax.annotate(run.label, place, (0, 3), textcoords="offset points", ha="right")
        ax.set(
            xlabel="step (means of 20)", ylabel=run.unit, ylim=(0, 1.3 * run.level), xlim=(0, None)
        )
        ax.set_title(name)
    return figure


def efficiency(
    pca: tuple[Sequence[int], Sequence[float]],
    deep: tuple[Sequence[int], Sequence[float]],
    sparse: Mapping[float, tuple[float, float]],
) -> Figure:
    """Error against active numbers: PCA, the deep autoencoder, the sparse code for each lambda."""
    figure, ax = plt.subplots(figsize=(7, 3.2))
    above: dict[str, Any] = {"xytext": (4, 3), "textcoords": "offset points"}
    ax.loglog(*pca, "o-", color=plots.BASELINE)
    ax.annotate("PCA", (pca[0][0], pca[1][0]), color=plots.BASELINE, **above)
    ax.loglog(*deep, "o-", color=plots.CODE)
    ax.text(2.6, 0.066, "deep AE\n(chapter 01)", color=plots.CODE, ha="center", va="top")
    ax.loglog(*zip(*sparse.values(), strict=True), "o-", color=SPARSE)
    sides: dict[float, dict[str, Any]] = {  # away from the lines of the other models
        3.0: {"xytext": (-4, 3), "ha": "right"},
        0.3: {"xytext": (-3, -4), "ha": "right", "va": "top"},
    }
    for price, place in sparse.items():
        side = above | sides.get(price, {})
        ax.annotate(f"λ = {price:g}", place, color=SPARSE, fontsize=9, **side)
    ax.text(17, 0.038, "sparse", color=SPARSE, ha="center", va="top")
    ticks = [2**k for k in range(9)]
    ax.set_xticks(ticks, [f"{size}" for size in ticks])
    ax.set_yticks([0.02, 0.04, 0.08, 0.16], ["0.02", "0.04", "0.08", "0.16"])
    ax.minorticks_off()
    ax.set(xlim=(0.9, 500), ylim=(0.01, 0.24))
    ax.set(xlabel="numbers that are not 0, per image", ylabel="MSE per pixel")
    ax.set_title("With few active units the sparse code has a smaller error than PCA")
    return figure


def gains(table: Mapping[str, Mapping[str, float]]) -> Figure:
    """PSNR at several kinds and levels of noise; the last bar of each panel is the network."""
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.4), sharex=True)
    for ax, (level, row) in zip(axes.flat, table.items(), strict=True):
        colors = [*(len(row) - 1) * [plots.BASELINE], DENOISING]
        plots.bars(ax, row, colors, "{:.1f}")
        ax.set(xlim=(0, 29))
        ax.set_title(level, fontweight="normal")
    for ax in axes[1]:
        ax.set_xlabel("PSNR in dB")
    plots.title(figure, "Far ahead at its own noise (σ = 0.5); elsewhere a smaller lead, or none")
    return figure


def patches(
    x: Float[Tensor, "1 28 28"],
    mask: Bool[Tensor, "49"],
    attention: Float[Tensor, "visible visible"],
    y: Float[Tensor, "1 28 28"],
) -> Figure:
    """How a masked autoencoder works, in four pictures from left to right.

    Args:
        x: an image.
        mask: True where a patch is hidden.
        attention: how much each visible patch (row) takes from each (column).
        y: the predicted image.
    """
    figure, axes = plt.subplots(1, 4, figsize=(10, 3.1))
    places = (~mask).nonzero()[:, 0].tolist()
    others = attention.clone().fill_diagonal_(0)
    mine = int(others.max(dim=1).values.argmax())  # the patch that looks most at another one
    _cut(axes[0], hide(x[None], mask[None])[0], f"1. {len(mask)} patches, {int(mask.sum())} hidden")
    _look(axes[1], x, places, attention, mine)
    _tokens(axes[2], mask)
    filled = patchify(x[None], 4).clone()
    filled[0, mask] = patchify(y[None], 4)[0, mask]
    _cut(
        axes[3],
        unpatchify(filled, (1, 28, 28))[0],
        f"4. out: {int(mask.sum())} guessed, {int((~mask).sum())} pasted in",
    )
    for ax in axes:
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    return figure


def _cut(ax: Axes, x: Float[Tensor, "1 28 28"], title: str) -> None:
    """An image with the borders of its patches."""
    ax.imshow(x[0], cmap="gray", vmin=-1, vmax=1, extent=(0, 7, 7, 0))
    for k in range(8):
        ax.plot([k, k], [0, 7], color=MASKED, lw=0.7)
        ax.plot([0, 7], [k, k], color=MASKED, lw=0.7)
    ax.set_title(title, fontsize=9.5, fontweight="normal")


def _look(
    ax: Axes,
    x: Float[Tensor, "1 28 28"],
    places: Sequence[int],
    attention: Float[Tensor, "visible visible"],
    mine: int,
) -> None:
    """The visible patches at their places; lines show how much one takes from each other one."""
    pieces = patchify(x[None], 4)[0].reshape(-1, 4, 4)
    middle = {k: (place % 7 + 0.5, place // 7 + 0.5) for k, place in enumerate(places)}
    for a in middle:
        for b in middle:
            if a < b:
                ax.plot(*zip(middle[a], middle[b], strict=True), color="#DDDDDD", lw=0.5, zorder=0)
    for k in middle:
        if k != mine:
            line = zip(middle[mine], middle[k], strict=True)
            ax.plot(*line, color=MASKED, lw=25 * float(attention[mine, k]), zorder=1)
    for k, place in enumerate(places):
        column, row = place % 7, place // 7
        box = (column + 0.2, column + 0.8, row + 0.8, row + 0.2)
        ax.imshow(pieces[place], cmap="gray", vmin=-1, vmax=1, extent=box, zorder=2)
        edge = plots.MODEL if k == mine else MASKED
        frame = Rectangle((column + 0.2, row + 0.2), 0.6, 0.6, fill=False, zorder=3)
        frame.set(edgecolor=edge, linewidth=2.5 if k == mine else 1)
        ax.add_patch(frame)
    ax.set(xlim=(-0.1, 7.1), ylim=(7.1, -0.1))
    ax.set_xlabel("line width: attention of the framed\npatch, mean over the heads", fontsize=8.5)
    ax.set_title(
        f"2. encoder: {len(places)} visible, all to all", fontsize=9.5, fontweight="normal"
    )


def _tokens(ax: Axes, mask: Bool[Tensor, "49"]) -> None:
    """What the decoder is given: a code at each visible place, the mask token at the others."""
    for place, hidden in enumerate(mask.tolist()):
        corner = (place % 7 + 0.06, place // 7 + 0.06)
        color = "#E8E8E8" if hidden else MASKED
        ax.add_patch(Rectangle(corner, 0.88, 0.88, color=color))
        word, ink = ("m", "#777777") if hidden else ("z", "white")
        ax.text(corner[0] + 0.44, corner[1] + 0.44, word, ha="center", va="center", color=ink)
    ax.set(xlim=(-0.1, 7.1), ylim=(7.1, -0.1))
    ax.set_title("3. decoder: codes z, tokens m", fontsize=9.5, fontweight="normal")


def masking(rows: Sequence[Mapping[str, str]], ablation: Mapping[str, str]) -> Figure:
    """The study of mask ratios: error, probe and minutes; a cross is the loss on all patches."""
    ratios = [100 * float(row["mask_ratio"]) for row in rows]
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.7))
    panels = (
        ("masked_mse", "MSE of hidden values", "Hidden patches get harder", (0.0, 0.26)),
        ("probe_10000", "probe's accuracy", "The code gets slightly worse", (0.75, 0.85)),
        ("minutes", "minutes for 1,000 steps", "Training gets cheaper", (0.0, 7.0)),
    )
    for ax, (key, label, title, limits) in zip(axes, panels, strict=True):
        ax.plot(ratios, [float(row[key]) for row in rows], "o-", color=MASKED)
        ax.plot(80, float(ablation[key]), "x", color="black", markersize=9, markeredgewidth=2)
        ax.set(xlabel="hidden patches in %", ylabel=label, xticks=[20, 50, 75, 95], ylim=limits)
        ax.set_title(title)
    note = {"fontsize": 9, "textcoords": "offset points", "ha": "center"}
    for ax, (key, *_), above in zip(axes, panels, (-16, 8, 8), strict=True):
        ax.annotate("loss on all", (80, float(ablation[key])), (0, above), **note)
    return figure


def ladder(rows: Mapping[str, Mapping[str, str]]) -> Figure:
    """The probe's accuracy for each model: 10,000 labels, the same untrained, and 100 labels."""
    figure, ax = plt.subplots(figsize=(7.5, 3.5))
    colors = {"deep": plots.CODE, "sparse": SPARSE, "denoising": DENOISING, "masked": MASKED}
    marks = {
        "probe_100": ("^", "100 labels"),
        "untrained_10000": ("x", "10,000 labels, untrained"),
        "probe_10000": ("o", "10,000 labels"),
    }
    for place, (name, row) in enumerate(rows.items()):
        for key, (marker, _) in marks.items():
            if row[key]:
                color = colors.get(name, plots.BASELINE)
                ax.plot(float(row[key]), place, marker, color=color, markeredgewidth=2)
    pixels = float(rows["pixels"]["probe_10000"])
    ax.axvline(pixels, color=plots.BASELINE, lw=0.8, ls=":")
    label = "pixels,\n10,000 labels"
    ax.text(pixels + 0.004, 1, label, color=plots.BASELINE, fontsize=9, va="center")
    handles = [
        Line2D([], [], color="black", ls="", marker=marker, markeredgewidth=2, label=label)
        for marker, label in marks.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(xlabel="probe's test accuracy", xlim=(0.58, 0.9), ylim=(len(rows) - 0.5, -0.5))
    ax.set_title("With 10,000 labels only the sparse code is easier to read than the pixels")
    return figure


def two_points() -> Figure:
    """Data at -1 and +1 with noise: the density, and the best denoiser's change."""
    sigma = 0.7
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(7, 4), height_ratios=(3, 2), sharex=True)
    noised = torch.linspace(-3, 3, 301)
    density = _two_bumps(noised, sigma)
    upper.fill_between(noised, density, color=plots.DATA, alpha=0.2)
    upper.plot(noised, density, color=plots.DATA)
    upper.vlines([-1, 1], 0, 0.38, color=plots.DATA, linestyle=":")
    upper.annotate(" data: x = +1", (1, 0.36), color=plots.DATA, va="center")
    upper.annotate("data: x = −1 ", (-1, 0.36), color=plots.DATA, va="center", ha="right")
    upper.set(ylabel=r"$p_\sigma(\tilde x)$", ylim=(0, 0.4))
    upper.set_title(
        f"σ = {sigma:g}: the best denoiser moves every noised value uphill in the density"
    )
    residual = torch.tanh(noised / sigma**2) - noised
    lower.plot(noised, residual, color=DENOISING)
    lower.axhline(0, color=plots.BASELINE, lw=0.8)
    peak = peak_of(sigma)
    for place in (-peak, 0, peak):
        lower.axvline(place, color=plots.BASELINE, lw=1, ls=":")
    note = f"dotted: no change,\nat ±{peak:.2f} and at 0"
    lower.text(-2.9, -2, note, color=plots.BASELINE, fontsize=9)
    lower.text(-1.6, 1.2, "move right", ha="center", color=DENOISING, weight="bold")
    lower.text(1.6, -1.8, "move left", ha="center", color=DENOISING, weight="bold")
    lower.set(xlabel=r"noised value $\tilde x$", ylabel=r"$y(\tilde x) - \tilde x$")
    lower.set(ylim=(-2.2, 2.2), xlim=(-3, 3))
    return figure


def peak_of(sigma: float) -> float:
    """The place right of 0 where the best denoiser of data at -1 and +1 changes nothing.

    >>> round(peak_of(0.7), 2)
    0.96
    """
    place = 1.0
    for _ in range(200):
        place = math.tanh(place / sigma**2)
    return place


def _two_bumps(noised: Float[Tensor, "n"], sigma: float) -> Float[Tensor, "n"]:
    normal = torch.distributions.Normal(torch.tensor([-1.0, 1.0]), sigma)
    return normal.log_prob(noised[:, None]).exp().mean(dim=1)


def arrows(
    places: Float[Tensor, "n 2"],
    fields: Mapping[str, Float[Tensor, "n 2"]],
    sample: Callable[[int, torch.Generator], Float[Tensor, "m 2"]],
    ring: Float[Tensor, "2"],
) -> Figure:
    """Fields of arrows in the plane over points of the data, one panel each, and a ring."""
    figure, axes = plt.subplots(1, len(fields), figsize=(8, 3.8), sharey=True)
    rng = torch.Generator().manual_seed(0)
    for ax, (title, field) in zip(axes, fields.items(), strict=True):
        plots.points(ax, sample(600, rng), plots.BASELINE, size=2)
        ax.plot(*ring, "o", markersize=11, markerfacecolor="none", color="black")
        ax.quiver(
            *places.T, *field.T, color=DENOISING, angles="xy", scale_units="xy", scale=1.6,
            width=0.005,
        )  # fmt: skip
        ax.set(xlabel=r"$\tilde x_1$")
        ax.set_title(title, fontweight="normal")
    axes[0].set_ylabel(r"$\tilde x_2$")
    title = "Learnt and exact arrows nearly agree (drawn at 5/8 of their length; grey: clean data)"
    plots.title(figure, title)
    return figure
