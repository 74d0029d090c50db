"""The figures of chapter 04."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from gen_course.ch04_gan.scene import Scene
from gen_course.common import plots
from gen_lib.data.toys import Mixture

DARK = "#8a5f00"  # the generator's orange, dark enough for text and small dots
TEXT = "#8f3d6c"  # the discriminator's pink, dark enough for text on grey
PINK = LinearSegmentedColormap.from_list("D", ["white", plots.DISCRIMINATOR])
Line = Float[Tensor, "places"]


def players() -> Figure:
    """What goes into G and D, and what comes out."""
    figure, ax = plt.subplots(figsize=(7.6, 2.2))
    for left, top, words, color in (
        (0.0, 0.35, "z ~ N(0, I)", plots.BASELINE),
        (2.0, 0.35, "generator G", plots.GENERATOR),
        (5.2, 0.85, "discriminator D", plots.DISCRIMINATOR),
        (2.0, 1.35, "real images", plots.DATA),
    ):
        shape = "round,pad=0.08"
        box = FancyBboxPatch((left, top), 1.5, 0.35, boxstyle=shape, color=color, alpha=0.3)
        ax.add_patch(box)
        ax.text(left + 0.75, top + 0.17, words, ha="center", va="center")
    for start, end in (
        ((1.6, 0.52), (1.9, 0.52)),
        ((3.6, 0.52), (5.1, 0.95)),
        ((3.6, 1.52), (5.1, 1.12)),
        ((6.8, 1.02), (7.5, 1.02)),
    ):
        ax.add_patch(
            FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color="black")
        )
    for top, words in ((1.32, "x"), (0.735, "G(z)")):  # on the arrows
        ax.text(
            4.35, top, words, ha="center", va="center", bbox={"fc": "white", "ec": "none", "pad": 2}
        )
    ax.text(7.6, 1.02, "D(x): real?", va="center")
    ax.set(xlim=(-0.2, 8.8), ylim=(0.1, 1.95))
    ax.axis("off")
    return figure


def counts(
    edges: Float[Tensor, "edges"], real: Float[Tensor, "bins"], fake: Float[Tensor, "bins"]
) -> Figure:
    """How many real and generated numbers lie in each bin, and which share of a bin is real."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 2.9))
    centers, width = ((edges[1:] + edges[:-1]) / 2).tolist(), (edges[1] - edges[0]).item()
    shift = 0.2 * width
    left.bar([c - shift for c in centers], real.tolist(), 2 * shift, color=plots.DATA)
    left.bar([c + shift for c in centers], fake.tolist(), 2 * shift, color=plots.GENERATOR)
    top = torch.stack([real, fake]).max().item()
    left.annotate("real", (-2.2, 1.06 * top), color=plots.DATA, ha="center")
    left.annotate("generated", (0.5, 1.06 * top), color=DARK, ha="center")
    left.set(ylim=(0, 1.2 * top), xlabel="x, in bins of width 1", ylabel="count")
    left.set_title("Two samples, counted in bins")
    filled = (real + fake) > 0
    share = (real / (real + fake))[filled]
    right.plot(torch.tensor(centers)[filled], share, "o", color=plots.DISCRIMINATOR, markersize=7)
    for center, part in zip(torch.tensor(centers)[filled].tolist(), share.tolist(), strict=True):
        right.annotate(
            f"{part:.2f}",
            (center, part),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    right.set(xlim=left.get_xlim(), ylim=(-0.06, 1.1), xlabel="x", ylabel="share that is real")
    right.set_yticks([0, 0.5, 1])
    right.set_title("The share of real numbers in each bin")
    return figure


def best(
    x: Line, p: Line, q: Line, d: Line, f: Line, known: Float[Tensor, "places"], floor: float
) -> Figure:
    """Two densities, the best D beside a trained one, and both logits also where nothing lies."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.9))
    first, middle, last = axes
    first.plot(x, p, color=plots.DATA)
    first.plot(x, q, color=plots.GENERATOR)
    first.annotate("p, the data", (-2, 0.345), color=plots.DATA, ha="center")
    first.annotate("q, samples\nof G", (3.2, 0.13), color=DARK)
    first.set(ylim=(0, 0.39), title="Two densities", xlabel="x", ylabel="density")
    middle.plot(x, d, color="black", linestyle="--")
    middle.plot(x, f.sigmoid(), color=plots.DISCRIMINATOR)
    middle.annotate("dashed: best D", (0.25, 0.92), ha="center", fontsize=9)
    middle.annotate("trained D", (-7.9, 0.6), color=TEXT, fontsize=9)
    middle.set(ylim=(0, 1), title="D learns p / (p + q)", xlabel="x", ylabel="D(x)")
    last.plot(x, (d / (1 - d)).log(), color="black", linestyle="--")
    last.plot(x, f, color=plots.DISCRIMINATOR)
    last.set(ylim=(-22, 4), title="Where samples are rare, f is off", xlabel="x", ylabel="f(x)")
    last.annotate("log p − log q", (0.2, -11), ha="center")
    for end in (-5.9, 5.7):
        last.annotate(
            "", (end, -13.5), (0.2, -11.2), arrowprops={"arrowstyle": "-", "linewidth": 0.6}
        )
    last.annotate("trained f", (8.9, -4.5), color=TEXT, fontsize=9, ha="right")
    lone = known < floor
    for ax in (middle, last):
        ax.fill_between(x, -40, 40, where=lone, color="#dddddd", linewidth=0, zorder=0)
    last.annotate("grey: p + q < 0.02", (0.5, -20.5), ha="center", fontsize=9)
    for ax in axes:
        ax.set(xlim=(-8, 9))
        ax.grid(visible=False)
    return figure


def divergence(gaps: Float[Tensor, "gaps"], values: Float[Tensor, "gaps"], top: float) -> Figure:
    """The Jensen-Shannon divergence of two Gaussians against their distance."""
    figure, ax = plt.subplots(figsize=(6.5, 2.4))
    ax.plot(gaps, values, color=plots.GENERATOR)
    ax.axhline(top, color=plots.BASELINE, linestyle="--")
    ax.text(0.1, top - 0.03, "log 2", va="top", color=plots.BASELINE)
    ax.set(xlabel="distance between two Gaussians of sd 0.5", ylabel="JSD", ylim=(0, 0.76))
    ax.set_title("Once they are apart, the divergence no longer says how far")
    return figure


def pulls(
    probability: Float[Tensor, "n"], saturating: Float[Tensor, "n"], other: Float[Tensor, "n"]
) -> Figure:
    """The size of the gradient of G's two losses against D(G(z))."""
    figure, ax = plt.subplots(figsize=(6.8, 2.7))
    ax.plot(probability, saturating.abs(), color=plots.BASELINE)
    ax.plot(probability, other.abs(), color=plots.GENERATOR)
    ax.text(0.97, 0.74, "saturating", ha="right", color="#555555")
    ax.text(0.03, 0.7, "non-saturating", color=DARK)
    ax.set(xlabel="D(G(z))", ylabel="|d loss / d f|", xlim=(0, 1), ylim=(0, 1.02))
    ax.set_title("At the left, where D catches the fakes, one gradient vanishes")
    return figure


def paths(games: Mapping[str, Float[Tensor, "rounds 2"]]) -> Figure:
    """The two weights of the smallest GAN, followed over the rounds."""
    figure, axes = plt.subplots(1, len(games), figsize=(10, 3.4), sharey=True)
    for ax, (name, path) in zip(axes, games.items(), strict=True):
        ax.plot(path[:, 0], path[:, 1], color=plots.MODEL, linewidth=0.8)
        ax.plot(*path[0], "o", color="black", markerfacecolor="white")
        ax.plot(0, 0, "o", color=plots.DATA, markersize=4)
        ax.plot(*path[-1], "s", color="black", markerfacecolor="none", markersize=8)
        ax.set(title=name, xlabel="$θ_g$, the number G gives", aspect="equal")
        ax.set(xlim=(-3.4, 3.4), ylim=(-3.4, 3.4))
    axes[0].set_ylabel("$θ_d$, D's slope")
    axes[1].annotate("ring: start, square: end", (0, 2.8), ha="center", fontsize=9)
    axes[1].annotate("blue dot: equilibrium", (0, 2.1), ha="center", color=plots.DATA, fontsize=9)
    figure.suptitle("Only with the penalty do the paths lead to the middle", fontweight="bold")
    return figure


def strip(film: Mapping[str, Scene], mixture: Mixture, title: str) -> Figure:
    """Named moments of a game in the plane: D's field, samples of G, and their pull."""
    figure, axes = plt.subplots(1, len(film), figsize=(10, 2.7), sharey=True)
    for ax, (name, now) in zip(axes, film.items(), strict=True):
        _draw(ax, now, mixture)
        ax.set_title(name, fontsize=10)
    bar = figure.colorbar(axes[-1].images[0], ax=axes, ticks=[0, 0.5, 1], shrink=0.6, pad=0.02)
    bar.set_label("D(x)")
    figure.suptitle(title, fontweight="bold")
    return figure


def _draw(ax: Axes, now: Scene, mixture: Mixture) -> None:
    """D's field, G's samples, and arrows where G's loss pulls some of them."""
    plots.field(ax, now.field, cmap=PINK, vmin=0, vmax=1)
    ax.scatter(now.samples[:, 0], now.samples[:, 1], s=3, color=plots.GENERATOR)
    start, pull = now.samples[:20], now.pull[:20]
    pull = pull / pull.norm(dim=1).max().clamp(min=1e-9)
    ax.quiver(
        *start.T.numpy(), *pull.T.numpy(), angles="xy", scale_units="xy", scale=1, width=0.008
    )
    for mean in mixture.means.tolist():  # three standard deviations: what counts as near
        ax.add_patch(Circle(mean, 3 * mixture.sigma, fill=False, edgecolor=plots.DATA))


def grid(images: Float[Tensor, "n c h w"], columns: int, title: str) -> Figure:
    """Images in rows of ``columns``."""
    figure, ax = plt.subplots(figsize=(columns / 2, len(images) / columns / 2 + 0.6))
    plots.draw_images(ax, images, columns)
    ax.set_title(title)
    return figure


def shares(percent: Mapping[str, float], title: str) -> Figure:
    """The share of samples in each class, beside the data's 10 per cent."""
    figure, ax = plt.subplots(figsize=(7, 3.0))
    plots.bars(ax, percent, plots.GENERATOR, text="{:.1f}")
    ax.axvline(10, color="black", linestyle="--", linewidth=1, zorder=3)  # on top of the bars
    for label in ax.texts:  # inside the bars, away from the dashed line
        label.set_x(0)
    ax.set_xlabel("per cent of the samples (dashed: of the data)")
    ax.set_title(title)
    return figure


def losses(history: Mapping[str, Sequence[float]], window: int, title: str) -> Figure:
    """The losses of D and G during training, smoothed."""
    figure, ax = plt.subplots(figsize=(7, 2.5))
    colors = {"D": plots.DISCRIMINATOR, "G": DARK}
    for player, values in history.items():
        curve = plots.smooth(values, window)
        ax.plot(range(window, window + len(curve)), curve, color=colors[player])
        last = window + len(curve), curve[-1].item()
        ax.annotate(f" {player}", last, color=colors[player], va="center", annotation_clip=False)
    ax.set(xlabel="step", ylabel=f"loss, mean of\nthe last {window} steps")
    ax.set_title(title)
    return figure


def three_losses(f: Line) -> Figure:
    """The log loss and the hinge loss of D and of G against the logit."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True)
    softplus, relu = torch.nn.functional.softplus, torch.nn.functional.relu
    for ax, title, log_loss, hinge in (
        (axes[0], "D, a real image", softplus(-f), relu(1 - f)),
        (axes[1], "D, a generated image", softplus(f), relu(1 + f)),
        (axes[2], "G, a generated image", softplus(-f), -f),
    ):
        ax.plot(f, log_loss, color=plots.BASELINE)
        ax.plot(f, hinge, color=plots.GENERATOR if title[0] == "G" else plots.DISCRIMINATOR)
        ax.set(title=title, xlabel="logit f", xlim=(-4, 4))
    axes[0].annotate("log loss", (-3.9, 1.7), color=plots.BASELINE)
    axes[0].annotate("hinge", (-2.4, 4.0), color=plots.DISCRIMINATOR)
    axes[2].annotate("hinge: −f", (0.6, -2.6), color=DARK, ha="right")
    axes[0].set_ylabel("loss")
    return figure
