"""The figures of chapter 03."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse
from matplotlib.text import Annotation
from torch import Tensor
from torch.distributions import Normal

from gen_course.ch03_vae import toy
from gen_course.common import plots
from gen_lib.models.base import Images
from gen_lib.models.vae import Posterior

ABOVE = {"xytext": (0, 4), "textcoords": "offset points"}  # where a line's label stands
BESIDE = {"xytext": (5, 4), "textcoords": "offset points"}
FAR, NEAR = 16.0, 4.0  # half the sides of the maps of codes
GAP = plots.DISCRIMINATOR


def point_or_distribution(
    points: Float[Tensor, "n 2"], q: Posterior, labels: Int64[Tensor, "n"], names: Sequence[str]
) -> Figure:
    """The codes of the same images: points, ellipses on the same axes, and ellipses enlarged."""
    figure, axes = plt.subplots(1, 3, figsize=(9.4, 3.5))
    for k, (color, marker) in enumerate(zip(plots.CLASSES, plots.MARKERS, strict=True)):
        mine = labels == k
        axes[0].scatter(*points[mine].T, 9, color=color, marker=marker)
        for mu, log_var in zip(q.mu[mine], q.log_var[mine], strict=True):
            size = 4 * (0.5 * log_var).exp()  # two standard deviations each way
            for ax in axes[1:]:
                ax.add_patch(Ellipse(mu.tolist(), *size.tolist(), color=color, alpha=0.4))
    titles = "Autoencoder: points", "VAE, the same axes", "VAE, enlarged: distributions"
    for ax, limit, title in zip(axes, (FAR, FAR, NEAR), titles, strict=True):
        plots.square(ax, limit)
        for radius in (1, 2):
            ax.add_patch(Circle((0, 0), radius, fill=False, color=plots.BASELINE, zorder=3))
        ax.set(title=title, xlabel="z₁")
    axes[0].set_ylabel("z₂")
    for radius in (1, 2):
        ring = axes[2].annotate(f"{radius}σ", (0, radius), color=plots.BASELINE, ha="center")
        ring.set(
            va="center", zorder=5, bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
        )
    _name_classes(axes[2], q.mu, labels, names)
    axes[1].indicate_inset((-NEAR, -NEAR, 2 * NEAR, 2 * NEAR), edgecolor="black")
    plots.title(figure, "An autoencoder encodes to points, a VAE to distributions near the prior")
    return figure


PLACES = {  # where a class is named in the enlarged map of codes, beside its ellipses
    "T-shirt/top": (-2.75, -1.1),
    "Trouser": (-2.6, 3.1),
    "Pullover": (-2.3, -3.2),
    "Dress": (-3.1, 0.7),
    "Coat": (1.3, -3.1),
    "Sandal": (0.3, 2.85),
    "Shirt": (-2.5, -2.1),
    "Sneaker": (2.6, 3.1),
    "Bag": (1.9, -1.6),
    "Ankle boot": (2.8, 1.3),
}


def _name_classes(
    ax: Axes, mu: Float[Tensor, "n 2"], labels: Int64[Tensor, "n"], names: Sequence[str]
) -> None:
    """Each class beside its ellipses, in its colour, with a line to the median of their centres."""
    for k, color in enumerate(plots.CLASSES):
        a, b = mu[labels == k].median(dim=0).values.tolist()
        u, v = PLACES.get(names[k], (a, b))
        ax.plot((a, u), (b, v), color=color, linewidth=0.7)
        box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
        name = ax.annotate(names[k], (u, v), color=color, ha="center", va="center", bbox=box)
        name.set(fontsize=8, zorder=6)


def toy_plane(x: Float[Tensor, "2"]) -> Figure:
    """The toy: the prior of the one number z, and p(x) in the plane with the point x."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.3), width_ratios=(5, 4))
    z = toy.GRID[toy.GRID.abs() <= 3]
    left.plot(z, toy.PRIOR.log_prob(z).exp(), color=plots.BASELINE)
    marks = torch.arange(-2.0, 3.0, dtype=torch.float64)
    left.plot(marks, toy.PRIOR.log_prob(marks).exp(), "o", color=plots.CODE)
    left.set(xlabel="z", ylabel="density p(z)", ylim=(0, 0.46), title="A code is one number z")
    ticks = torch.linspace(-LIMIT, LIMIT, 90, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), dim=-1)
    away = torch.cdist(plane.flatten(0, 1), toy.decode(toy.GRID)).square() / (2 * toy.SIGMA_X**2)
    density = ((-away).exp() @ toy.PRIOR.log_prob(toy.GRID).softmax(dim=0)).reshape(90, 90)
    blues = LinearSegmentedColormap.from_list("blues", ["white", plots.DATA])
    right.pcolormesh(ticks, ticks, density.sqrt(), cmap=blues, vmax=1.6 * density.max() ** 0.5)
    right.plot(*toy.decode(z).T, color=plots.BASELINE, linewidth=1)
    right.plot(*toy.decode(marks).T, "o", color=plots.CODE)
    for mark, place in zip(marks.tolist(), toy.decode(marks).tolist(), strict=True):
        name = f"z = {mark:.0f}".replace("-", "−")
        height = toy.PRIOR.log_prob(torch.tensor(mark)).exp().item()
        shift, side = ((9, 3), "left") if mark > 0 else ((-9, 3), "right")
        shift, side = (shift, side) if mark else ((0, 4), "center")
        look = {"fontsize": 9, "textcoords": "offset points"}
        left.annotate(name, (mark, height), shift, ha=side, **look)
        shift, side = BEYOND[mark]
        right.annotate(name, place, shift, ha=side, va="center", **look)
    right.plot(*x, "o", color="black", zorder=5)
    right.annotate("x", x.tolist(), fontweight="bold", **BESIDE)
    plots.square(right, LIMIT)
    right.set(xlabel="x₁", ylabel="x₂", title="x = f(z) + noise; blue: p(x)")
    return figure


LIMIT = 3.0  # half the side of the map of the plane
BEYOND = {  # where the label of a code stands in the plane, from its dot, in points
    -2.0: ((-6, -6), "right"),
    -1.0: ((0, -11), "center"),
    0.0: ((8, 0), "left"),
    1.0: ((0, 11), "center"),
    2.0: ((-6, 6), "right"),
}


def guesses(x: Float[Tensor, "2"], of: Mapping[str, tuple[float, float]]) -> Figure:
    """The true posterior of x beside normal guesses (m, s), and the -ELBO of each in two parts."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.2), width_ratios=(4, 5))
    shown = toy.GRID[(toy.GRID > -1.6) & (toy.GRID < 2.2)]
    true = toy.evidence(x).posterior[(toy.GRID > -1.6) & (toy.GRID < 2.2)]
    left.fill_between(shown, true, color=plots.DATA, alpha=0.3)
    left.plot(shown, toy.PRIOR.log_prob(shown).exp(), color=plots.BASELINE)
    left.annotate("prior p(z)", (-1.55, 0.32), color=plots.BASELINE)
    left.annotate("true posterior p(z|x)", (0.83, 1.7), color=plots.DATA)
    tops = {"good": (0.66, 2.72, "left"), "too wide": (0.97, 0.6, "left")}
    for (name, (m, s)), (line, look) in zip(of.items(), LINES, strict=True):
        left.plot(shown, Normal(m, s).log_prob(shown).exp(), line, color=plots.CODE)
        a, b, side = tops.get(name, (0.14, 2.72, "right"))
        left.annotate(f"q: {name} ({look})", (a, b), color=plots.CODE, ha=side)
    left.set(xlabel="z", ylabel="density", xlim=(-1.8, 2.7), ylim=(0, 3.1))
    left.set_title("Three guesses of one posterior")
    log_p = toy.evidence(x).log_p
    for row, (name, (m, s)) in enumerate(of.items()):
        terms = toy.bound(x, m, s)
        parts = (("−log p(x)", -log_p, plots.DATA), ("gap", terms.gap, GAP))
        _stack(right, 2.6 * row, parts)
        parts = (("distortion", terms.distortion, plots.MODEL), ("rate", terms.rate, plots.CODE))
        _stack(right, 2.6 * row + 1, parts)
        right.annotate(name, (-0.15, 2.6 * row + 0.5), ha="right", va="center")
    right.axvline(-log_p, color=plots.DATA, linewidth=1, zorder=0)
    right.set(xlim=(-1.7, 9.9), ylim=(6.9, -0.8), yticks=[], xlabel="nats")
    right.set(xticks=range(0, 8, 2), title="Both bars of a guess are its −ELBO")
    right.grid(visible=False, axis="y")
    return figure


LINES = (("--", "dashed"), (":", "dotted"), ("-", "solid"))


def _stack(ax: Axes, place: float, parts: Sequence[tuple[str, float, str]]) -> None:
    """Two parts end to end as a horizontal bar, named with their values at its right end."""
    start = 0.0
    for _, length, color in parts:
        ax.barh(place, length, 0.8, left=start, color=color)
        start += length
    end: Annotation | None = None
    for name, length, color in parts:
        words = f"{name} {length:.2f}"
        if end is None:
            end = ax.annotate(words, (start + 0.1, place))
        else:
            end = ax.annotate(f" + {words}", (1, 0.5), xycoords=end)
        end.set(color=color, fontsize=8, va="center")


NODES = {  # of the graph of one training step: name -> place and half the width of its box
    "x": ((0.2, 0.6), 0.3),
    "encoder": ((1.6, 0.6), 0.62),
    "μ, σ": ((3.2, 0.6), 0.42),
    "z": ((4.8, 0.6), 0.3),
    "decoder": ((6.3, 0.6), 0.65),
    "distortion": ((8.2, 0.6), 0.75),
    "KL": ((4.8, 1.7), 0.35),
    "loss": ((9.8, 1.2), 0.45),
    "ε": ((4.8, -0.5), 0.3),
}
EDGES = (
    ("encoder", "μ, σ"),
    ("μ, σ", "z"),
    ("z", "decoder"),
    ("decoder", "distortion"),
    ("distortion", "loss"),
    ("KL", "loss"),
    ("μ, σ", "KL"),
)


def graph() -> Figure:
    """One training step without and with reparameterisation, and where its gradient passes."""
    figure, axes = plt.subplots(2, 1, figsize=(8.6, 4.7))
    for ax, cut in zip(axes, (True, False), strict=True):
        _arrow(ax, "x", "encoder", plots.BASELINE, 0.0)
        for start, end in EDGES:
            _arrow(ax, start, end, plots.BASELINE, 0.08)
            if not (cut and end == "z"):
                _arrow(ax, end, start, plots.MODEL, 0.08)
        if not cut:
            _arrow(ax, "ε", "z", plots.BASELINE, 0.0)
            words = "drawn from N(0, I), without weights; z = μ + σ ⊙ ε"
            ax.annotate(words, (5.2, -0.5), va="center")
        for name, (place, _) in NODES.items():
            if not (cut and name == "ε"):
                color = plots.CODE if name in ("encoder", "decoder") else "black"
                box = {"boxstyle": "round,pad=0.3", "fc": "white", "ec": color}
                ax.annotate(name, place, ha="center", va="center", color=color, bbox=box)
        ax.set(xlim=(-0.2, 10.4), ylim=(-0.85, 1.95), aspect="equal")
        ax.axis("off")
    axes[0].plot(4.0, 0.52, "x", color=plots.MODEL, markersize=12, markeredgewidth=3)
    axes[0].annotate("gradient stopped", (4.0, 0.2), color=plots.MODEL, ha="center", va="top")
    axes[0].annotate("z is drawn from N(μ, σ²)", (4.8, -0.3), ha="center", va="top")
    axes[0].annotate("computation", (9.8, 0.05), color=plots.BASELINE, ha="center")
    axes[0].annotate("gradient", (9.8, -0.35), color=plots.MODEL, ha="center")
    axes[0].set_title("z drawn directly: the distortion does not teach the encoder")
    axes[1].set_title("z reparameterised: the gradient passes through z")
    return figure


def _arrow(ax: Axes, start: str, end: str, color: str, aside: float) -> None:
    """An arrow between the boxes of two nodes, to the left of the line between their centres."""
    ((a, b), width), ((c, d), other) = NODES[start], NODES[end]
    length = ((c - a) ** 2 + (d - b) ** 2) ** 0.5
    u, v = (c - a) / length, (d - b) / length
    leave, arrive = (min(w / max(abs(u), 0.01), 0.3 / max(abs(v), 0.01)) for w in (width, other))
    tail = a + leave * u - aside * v, b + leave * v + aside * u
    head = c - arrive * u - aside * v, d - arrive * v + aside * u
    style = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0, "lw": 1.4}
    ax.annotate("", head, tail, arrowprops=style)


def gradient_noise(units: Sequence[int], variance: Mapping[str, Sequence[float]]) -> Figure:
    """The variance of three estimates of a gradient against the number of units."""
    figure, ax = plt.subplots(figsize=(6.4, 2.9))
    colors = (plots.CODE, plots.MODEL, plots.GENERATOR)
    for (name, values), color in zip(variance.items(), colors, strict=True):
        ax.loglog(units, values, "o-", color=color)
        ax.annotate(f"  {name}", (units[-1], values[-1]), color=color, va="center")
    ax.set_xticks(units, [str(number) for number in units])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="units of the code", ylabel="variance of the gradient", xlim=(0.9, 600))
    ax.set_title("For this g the reparameterised noise does not grow")
    return figure


def training(
    neg_elbo: Sequence[float], kl: Sequence[float], floor: float, to_beat: float
) -> Figure:
    """The negative ELBO of the batches between two levels, and their KL from the first step on."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), width_ratios=(3, 2))
    curve = plots.smooth(neg_elbo, 30)
    left.plot(range(30, 30 + len(curve)), curve, color=plots.MODEL)
    for value, name in ((floor, "coin flips, the floor"), (to_beat, "mean image, no code")):
        left.axhline(value, color=plots.BASELINE, linestyle="--")
        left.annotate(name, (len(kl), value), ha="right", **ABOVE)
    left.set(xlabel="steps (mean of the last 30)", ylabel="negative ELBO in nats", ylim=(170, 420))
    left.set_title("The negative ELBO falls")
    right.semilogx(range(1, len(kl) + 1), kl, color=plots.CODE, linewidth=1)
    right.set(xlabel="steps (logarithmic)", ylabel="KL in nats", ylim=(0, None))
    right.set_title(f"The KL ends near {sum(kl[-100:]) / 100:.0f} nats")
    return figure


def collapse(losses: Mapping[str, Sequence[float]], to_beat: float) -> Figure:
    """The negative ELBO of several models during training, beside that of the mean image."""
    figure, ax = plt.subplots(figsize=(7.6, 3.0))
    colors = (plots.MODEL, plots.DISCRIMINATOR, plots.GENERATOR)
    for (name, values), color in zip(losses.items(), colors, strict=True):
        curve = plots.smooth(values, 10)
        ax.plot(range(10, 10 + len(curve)), curve, color=color)
        below = name != "sums" and values[-1] < to_beat - 5
        where = (0, -14) if below else (0, 6)
        last = (10 + len(curve), curve[-1].item())
        ax.annotate(name, last, where, color=color, ha="right", textcoords="offset points")
    ax.hlines(to_beat, 0, 412, color=plots.BASELINE, linestyle="--")
    ax.annotate("mean image", (416, to_beat), color=plots.BASELINE, va="center")
    ax.set(xlabel="steps (mean of the last 10)", ylabel="negative ELBO in nats", xlim=(0, 480))
    ax.set_title("With the mean over pixels training stops at the mean image's level")
    return figure


def planes(decoded: Mapping[str, Images], side: int) -> Figure:
    """The same square of codes decoded by several models, ``side`` images each way."""
    figure, axes = plt.subplots(1, len(decoded), figsize=(9, 4.6))
    for ax, (name, images) in zip(axes, decoded.items(), strict=True):
        plots.draw_images(ax, images, side)
        middle = ax.get_xlim()[1] / 2  # in pixels, as all places here
        unit = (middle - 16) / 2.5  # the centres of the outer images, at ±2.5, lie 16 within
        ticks, names = [middle + z * unit for z in (-2, 0, 2)], ["−2", "0", "2"]
        ax.set_xticks(ticks, names)
        ax.set_yticks(ticks, names[::-1])
        ax.set(xlabel="z₁", ylabel="z₂", title=name)
        if name.startswith("VAE"):
            ring = Circle((middle, middle), 0.5 * unit, fill=False, color=plots.MODEL, lw=1.5)
            ax.add_patch(ring)
            ax.plot(middle, middle - 1.5 * unit, "x", color=plots.MODEL, ms=9, mew=2)
    figure.suptitle("The same square of codes, decoded", fontweight="bold")
    return figure


def paths(
    places: Float[Tensor, "places"], entropy: Mapping[str, Float[Tensor, "places"]]
) -> Figure:
    """The judge's mean entropy on paths between two codes."""
    figure, ax = plt.subplots(figsize=(5.6, 2.8))
    for name, color in zip(entropy, (plots.CODE, plots.MODEL), strict=True):
        ax.plot(places, entropy[name], "o-", color=color)
        top = (0.5, entropy[name][6].item())
        ax.annotate(name, top, (0, 4), color=color, ha="center", textcoords="offset points")
    ax.set(xlabel="place on the path", ylabel="judge's entropy in nats", ylim=(0, 1.75))
    ax.set_title("Halfway the judge doubts the VAE less")
    return figure


def distances(frechet: Mapping[str, float]) -> Figure:
    """Fréchet distances as dots on a logarithmic axis, the largest on top."""
    figure, ax = plt.subplots(figsize=(7.4, 3.2))
    for place, (name, value) in enumerate(frechet.items()):
        color = next((c for key, c in COLORS.items() if name.startswith(key)), plots.BASELINE)
        ax.plot(value, place, "o", color=color, markersize=8)
        ax.annotate(
            f"{value:.3g}", (value, place), xytext=(9, 0), textcoords="offset points", va="center"
        )
    ax.set_yticks(range(len(frechet)), list(frechet))
    ax.invert_yaxis()
    ax.set(xscale="log", xlim=(0.02, 70))
    ax.set_xlabel("course Fréchet distance to test images (less is better; logarithmic)")
    ax.set_title("N(0, I) favours the VAE, a fitted mixture the autoencoder")
    return figure


COLORS = {"AE": plots.CODE, "VAE": plots.MODEL}


def rate_and_distortion(
    rates: Mapping[float, Float[Tensor, "k"]], distortions: Mapping[float, float]
) -> Figure:
    """Distortion against rate for several betas, and the KL of each unit for three of them."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    totals = {beta: kl.sum().item() for beta, kl in rates.items()}
    axes[0].plot(list(totals.values()), list(distortions.values()), "o-", color=plots.MODEL)
    for beta, rate in totals.items():
        axes[0].annotate(f"β = {beta:g}", (rate, distortions[beta]), **BESIDE)
    axes[0].set(xlabel="rate in nats", ylabel="distortion in nats", xlim=(-2, 36))
    axes[0].set(ylim=(210, 385), title="A higher rate buys a lower distortion")
    for beta, strength in zip((1.0, 4.0, 16.0), (1.0, 0.65, 0.35), strict=True):
        kl = rates[beta].sort(descending=True).values
        axes[1].plot(range(1, len(kl) + 1), kl, "o-", color=plots.CODE, alpha=strength)
        axes[1].annotate(f"β = {beta:g} ", (0.8, kl[0]), ha="right", va="center")
    axes[1].set(
        xlabel="unit, in order of its KL (3 of 5 models)", ylabel="KL in nats", xlim=(-2.2, 16.5)
    )
    axes[1].set_xticks(range(1, 17, 3))
    axes[1].set_title("A higher β leaves fewer units in use")
    return figure
