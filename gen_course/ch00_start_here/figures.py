"""The figures of chapter 00: distributions of the plane, and scores against a model's freedom."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Ellipse, Rectangle
from torch import Tensor

from gen_course.ch00_start_here.explorers import BRIGHTEST, FAINTEST, UNSEEN
from gen_course.common import plots
from gen_lib.data import DensityToy

LogDensity = Callable[[Float[Tensor, "n 2"]], Float[Tensor, "n"]]
Components = tuple[Float[Tensor, "k"], Float[Tensor, "k 2"], Float[Tensor, "k 2 2"]]
"""The shares, means and covariances of a mixture."""


def log_map(ax: Axes, log_p: LogDensity) -> AxesImage:
    """Draw log p(x) over [-3, 3]^2 on the scale that all maps of the chapter share."""
    values = log_p(plots.plane(150)).reshape(150, 150)
    plots.field(ax, values, vmin=FAINTEST, vmax=BRIGHTEST)
    return ax.images[-1]


def _scale(image: AxesImage, axes: np.ndarray, label: str) -> None:
    """The bar of colours that all maps of the chapter share; its lower end is open."""
    bar = axes[0, 0].figure.colorbar(image, ax=axes, aspect=30, label=label)
    ticks = [FAINTEST, -8, -6, -4, -2, 0, 2]
    names = [f"{nats:g}".replace("-", "−") for nats in ticks]
    bar.set_ticks(ticks, labels=["≤ " + names[0], *names[1:]])


def points_and_density(x: Float[Tensor, "n 2"], toy: DensityToy) -> Figure:
    """Training points on the left, the density that they come from on the right."""
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.4))
    plots.points(axes[0], x)
    plots.field(axes[1], toy.log_prob(plots.plane(300)).exp().reshape(300, 300))
    axes[0].set(title=f"{len(x)} training points ...", xlabel="x₁", ylabel="x₂")
    axes[1].set(title="... and the density p_data(x)", xlabel="x₁")
    figure.colorbar(axes[1].images[-1], ax=axes[1], shrink=0.8, label="probability per unit area")
    return figure


def chain_rule(x: Float[Tensor, "n 2"], bins: int, place: float) -> Figure:
    """Points, the histogram of x_1, and the histogram of x_2 within the bin of x_1 at ``place``.

    Args:
        x: points in [-3, 3]^2.
        bins: number of bins along each axis.
        place: a value of x_1; its bin is marked.
    """
    edges = torch.linspace(-3, 3, bins + 1)
    width, middle = 6 / bins, (edges[1:] + edges[:-1]) / 2
    row = int((place + 3) / width)
    inside = (x[:, 0] >= edges[row]) & (x[:, 0] < edges[row + 1])
    figure, axes = plt.subplots(1, 3, figsize=(8.8, 3.0))
    plots.points(axes[0], x)
    low = edges[row].item()
    axes[0].add_patch(Rectangle((low, -3), width, 6, color=plots.MODEL, alpha=0.25))
    axes[0].set(title="Points; one bin of x₁", xlabel="x₁", ylabel="x₂")
    first = x[:, 0].histc(bins, -3, 3) / len(x)
    colors = [plots.MODEL if k == row else plots.DATA for k in range(bins)]
    axes[1].bar(middle, first, width, color=colors)
    axes[1].set(title="p(x₁): share of each bin", xlabel="x₁", ylabel="share of all points")
    second = x[inside, 1].histc(bins, -3, 3) / inside.sum()
    axes[2].barh(middle, second, width, color=plots.MODEL)
    axes[2].set(
        title="p(x₂ | x₁ in the marked bin)", ylabel="x₂", xlabel="share of the bin's points"
    )
    return figure


def em_iterations(
    x: Float[Tensor, "n 2"],
    runs: Mapping[str, Sequence[Components]],
    scores: Mapping[str, Sequence[float]],
    shown: Sequence[int],
) -> Figure:
    """The components of a mixture after some iterations of EM, a row for each run.

    An ellipse covers two standard deviations. Components whose centres nearly coincide are black
    and counted. From iteration 10 on, the empty middle enlarges one cluster.

    Args:
        x: the training points.
        runs: by the name of a run, the components before each iteration and after the last one.
        scores: the log-likelihood of the training points for each entry of ``runs``.
        shown: the iterations to draw.
    """
    size = (1.75 * len(shown) + 0.4, 2.1 * len(runs) + 0.6)
    figure, axes = plt.subplots(len(runs), len(shown), figsize=size, sharex=True, sharey=True)
    for row, (name, run) in zip(axes, runs.items(), strict=True):
        for ax, number in zip(row, shown, strict=True):
            plots.points(ax, x, size=1)
            black = _components(ax, run[number])
            if black:
                ax.text(-2.9, -2.85, f"black: {black}", fontsize=8)
            if number >= 10:
                _enlarge(ax, x, run[number])
            score = f"{scores[name][number]:.2f} nats".replace("-", "−")
            ax.set_title(f"iteration {number}\n{score}", fontweight="normal", fontsize=9)
        row[0].set_ylabel(f"{name}\nx₂")
    for ax in axes[-1]:
        ax.set_xlabel("x₁")
    return figure


def _components(ax: Axes, components: Components, lw: float = 1.3) -> int:
    """Draw the ellipses; return how many are black, because their centres nearly coincide."""
    means, covariances = components[1:]
    together = torch.cdist(means, means) < 0.3  # (k, k)
    shared = together.sum(dim=1) > 1
    for mean, covariance, black in zip(means, covariances, shared, strict=True):
        ax.add_patch(_ellipse(mean, covariance, "black" if black else plots.MODEL, lw))
    return int(shared.sum())


def _enlarge(ax: Axes, x: Float[Tensor, "n 2"], components: Components) -> None:
    """Enlarge the square around the cluster on the lower right in the middle of the axes."""
    low, side = (1.2, -1.63), 0.42
    ax.add_patch(Rectangle(low, side, side, fill=False, color=plots.BASELINE, lw=0.8))
    inset = ax.inset_axes((0.31, 0.31, 0.38, 0.38))
    inset.scatter(x[:, 0], x[:, 1], 2, color=plots.DATA, alpha=0.6)
    _components(inset, components, lw=1.0)
    inset.set(xlim=(low[0], low[0] + side), ylim=(low[1], low[1] + side), xticks=[], yticks=[])
    inset.spines[:].set(visible=True, color=plots.BASELINE, lw=0.8)


def _ellipse(
    mean: Float[Tensor, "2"], covariance: Float[Tensor, "2 2"], color: str, lw: float
) -> Ellipse:
    """Two standard deviations around a mean."""
    variances, axes = torch.linalg.eigh(covariance)
    sides = 4 * variances.clamp(min=0).sqrt()
    angle = torch.atan2(axes[1, 0], axes[0, 0]).rad2deg().item()
    center = (mean[0].item(), mean[1].item())
    return Ellipse(
        center, sides[0].item(), sides[1].item(), angle=angle, fill=False, color=color, lw=lw
    )


def densities_and_samples(
    log_p: Mapping[str, LogDensity], samples: Mapping[str, Float[Tensor, "n 2"]]
) -> Figure:
    """A column for each distribution: the map of log p above, samples below."""
    figure, axes = plt.subplots(2, len(log_p), figsize=(9.4, 3.8), sharex=True, sharey=True)
    for name, top, bottom in zip(log_p, axes[0], axes[1], strict=True):
        image = log_map(top, log_p[name])
        plots.points(bottom, samples[name], plots.DATA if name == "p_data" else plots.MODEL, 2)
        top.set_title(name)
    _scale(image, axes, "log p(x), nats")
    axes[0, 0].set_ylabel("log p(x)")
    axes[1, 0].set_ylabel(f"{len(samples[name]):,} samples")
    return figure


def kernel_widths(
    x: Float[Tensor, "n 2"], log_p: Mapping[float, LogDensity], corner: tuple[float, float]
) -> Figure:
    """Maps of log p for several kernel widths: the whole plane, and one cluster enlarged.

    Args:
        x: the training points, drawn in the enlarged part only.
        log_p: the kernel densities by their width.
        corner: the lower left corner of the enlarged square of side 0.6.
    """
    figure, axes = plt.subplots(2, len(log_p), figsize=(8.2, 5.0))
    n, (left, low) = 120, corner
    box = (left, left + 0.6, low, low + 0.6)
    grid = torch.cartesian_prod(*(start + torch.linspace(0, 0.6, n) for start in (low, left)))
    for (width, f), top, bottom in zip(log_p.items(), axes[0], axes[1], strict=True):
        log_map(top, f)
        top.add_patch(Rectangle(corner, 0.6, 0.6, fill=False, color="white"))
        top.set_title(f"width {width:g}", fontweight="normal")
        values = f(grid.flip(1)).reshape(n, n)
        image = bottom.imshow(
            values, origin="lower", extent=box, vmin=FAINTEST, vmax=BRIGHTEST, aspect="equal"
        )
        bottom.scatter(*x.T, 5, color="black")
        bottom.set(xlim=box[:2], ylim=box[2:], xticks=box[:2], yticks=box[2:])
        bottom.grid(visible=False)
    axes[0, 0].set_ylabel("the plane")
    axes[1, 0].set_ylabel("one cluster, and its points")
    _scale(image, axes, "log p_model(x), nats")
    return figure


def score_against_width(
    widths: Sequence[float], scores: Mapping[str, Sequence[float]], ceiling: float
) -> Figure:
    """Scores of training and held-out points against the kernels' width; dashed: p_data."""
    figure, ax = plt.subplots(figsize=(7, 3.1))
    ax.semilogx(widths, scores["train"], color=plots.DATA, lw=4)  # seen under the other curve
    ax.semilogx(widths, scores["held out"], color=UNSEEN, lw=1.5)
    ax.axhline(ceiling, color=plots.BASELINE, linestyle="--")
    ax.annotate("p_data, held out", (0.3, ceiling + 0.75), color=plots.BASELINE)
    ax.annotate("training points", (0.0035, 4.9), color=plots.DATA)
    ax.annotate("held-out points", (0.0085, -3), color=UNSEEN)
    lowest = f"{scores['held out'][0]:.0f} at {widths[0]:g}".replace("-", "−")
    ax.annotate(f"down to\n{lowest}", (widths[0], -7.4), color=UNSEEN)
    ax.set(xlabel="width h of the kernels", ylabel="nats per point", ylim=(-8, 9))
    return figure


def score_against_freedom(
    panels: Mapping[str, tuple[Sequence[int], Sequence[float], Sequence[float]]],
    ceiling: float,
    enlarged: tuple[int, int],
    marked: Sequence[int],
) -> Figure:
    """Scores against the number of parts of a model, one panel for each model.

    Args:
        panels: by the label of the x axis, the numbers of parts, and the scores on the training
            points and on the held-out points.
        ceiling: the held-out score of p_data, dashed.
        enlarged: the part of the last panel that one more panel shows enlarged, from and to.
        marked: numbers of parts that the enlarged panel marks, besides the best.
    """
    figure, axes = plt.subplots(1, len(panels) + 1, figsize=(9.2, 3.2))
    for ax, (label, (numbers, seen, unseen)) in zip(axes, panels.items(), strict=False):
        ax.semilogx(numbers, seen, color=plots.DATA, lw=3.5)  # seen under the other curve
        ax.semilogx(numbers, unseen, color=UNSEEN, lw=1.2)
        ax.annotate("training points", (0.3, 0.72), None, "axes fraction", color=plots.DATA)
        ax.annotate("held-out points", (0.2, 0.08), None, "axes fraction", color=UNSEEN)
        best = numbers[unseen.index(max(unseen))]
        ax.set(xlabel=label, title=f"Best on held-out points: {best}", ylim=(-6, 6))
        ticks = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256) if numbers[0] <= n <= numbers[-1]]
        ax.set_xticks(ticks, ticks)
        ax.set_xticks([], minor=True)
    axes[-1].plot(numbers, unseen, ".-", color=UNSEEN, lw=1, ms=4)
    for number in (best, *marked):
        height = unseen[numbers.index(number)]
        axes[-1].plot(number, height, "o", color=UNSEEN)
        axes[-1].annotate(
            f"{number}",
            (number, height),
            (0, 6 if height > 0 else -14),
            textcoords="offset points",
            ha="center",
        )
    zoomed = f"Held-out score, {enlarged[0]} to {enlarged[1]} bins"
    axes[-1].set(xlabel=label, title=zoomed, xlim=enlarged, ylim=(-0.6, 1.3))
    for ax in axes:
        ax.axhline(ceiling, color=plots.BASELINE, linestyle="--")
    axes[0].set_ylabel("nats per point")
    axes[0].annotate("p_data, held out", (1.2, ceiling + 0.5), color=plots.BASELINE)
    return figure
