"""The figures of chapter 01."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon
from torch import Tensor

from gen_course.ch01_autoencoders.toy import Squeezed
from gen_course.common import plots

Images = Float[Tensor, "n 1 h w"]
STAGES = ("pixels", "512", "256", "code", "256", "512", "output")


def bottleneck(x: Images, y: Images) -> Figure:
    """An image, encoder, code and decoder from left to right, and the reconstruction."""
    figure, ax = plt.subplots(figsize=(7, 2.3))
    for left, picture, name in ((0.0, x, "image x"), (5.6, y, "reconstruction y")):
        pixels = picture[0, 0].detach().clamp(-1, 1)
        ax.imshow(pixels, extent=(left, left + 1.4, 0.3, 1.7), cmap="gray")
        ax.text(left + 0.7, 0.2, name, ha="center", va="top")
        ax.text(left + 0.7, 1.75, "784 numbers", ha="center", va="bottom")
    encoder = [(1.7, 0.3), (1.7, 1.7), (2.9, 1.25), (2.9, 0.75)]
    decoder = [(4.1, 0.75), (4.1, 1.25), (5.3, 1.7), (5.3, 0.3)]
    for corners, name in ((encoder, "encoder"), (decoder, "decoder")):
        ax.add_patch(Polygon(corners, color=plots.CODE, alpha=0.25))
        ax.text(sum(p[0] for p in corners) / 4, 1.0, name, ha="center", va="center")
    box = FancyBboxPatch((3.2, 0.8), 0.6, 0.4, boxstyle="round,pad=0.05", color=plots.CODE)
    ax.add_patch(box)
    ax.text(3.5, 1.0, "code z", ha="center", va="center", color="white", fontweight="bold")
    ax.text(3.5, 0.6, "16 numbers", ha="center", va="top")
    ax.set(xlim=(-0.1, 7.1), ylim=(-0.15, 2.05), aspect="equal")
    ax.axis("off")
    return figure


def two_pixels(toy: Squeezed) -> Figure:
    """Images of two pixels as points, and their reconstructions on a line and on a curve."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
    titles = "Linear: the reconstructions lie on a line", "With hidden layers: on a curve"
    for ax, y, title in zip(axes, (toy.by_line, toy.by_curve), titles, strict=True):
        for a, b in zip(toy.x.tolist(), y.tolist(), strict=True):
            ax.plot(*zip(a, b, strict=True), color="#bbbbbb", linewidth=0.8)
        ax.scatter(*toy.x.T, 9, color=plots.DATA)
        ax.scatter(*y.T, 9, color=plots.CODE)
        ax.set(xlabel="first pixel", xlim=(-1, 1), ylim=(-1, 0.8), title=title, aspect="equal")
        ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes[0].set_ylabel("second pixel")
    axes[0].text(-0.6, 0.35, "images x", color=plots.DATA)
    axes[0].text(0, -0.14, "reconstructions y", color=plots.CODE, ha="center")
    return figure


def training(steps: Float[Tensor, "n"], curve: Float[Tensor, "n"], by_pca: float) -> Figure:
    """The deep autoencoder's training error against steps, and PCA's error as a dashed line.

    Both are errors on training images; the curve is a mean over the last 100 steps.
    """
    figure, ax = plt.subplots(figsize=(7, 2.6))
    ax.plot(steps, curve, color=plots.CODE)
    ax.axhline(by_pca, color=plots.BASELINE, linestyle="--")
    last, lowest = steps[-1].item(), curve[-1].item()
    _above(ax, "PCA, 16 components", last, by_pca, plots.BASELINE, "right")
    below = lowest - 0.06 * by_pca
    ax.text(last, below, "deep autoencoder", color=plots.CODE, ha="right", va="top")
    label = "training MSE\n(mean of 100 steps)"
    ax.set(xlabel="training step", ylabel=label, xlim=(0, None), ylim=(0, 2.2 * by_pca))
    ax.set_title("The deep autoencoder passes PCA early and goes on improving slowly")
    return figure


def _above(ax: Axes, words: str, x: float, y: float, color: str, side: str = "left") -> None:
    """Write words just above a point; ``side`` is the end of the words that is at the point."""
    ax.annotate(words, (x, y), (0, 4), textcoords="offset points", color=color, ha=side)


def error_map(y: Images, x: Images) -> Images:
    """The size of the error of each pixel as an image: 0 is black, 0.5 or more is white."""
    return 2 * ((y - x).abs() / 0.5).clamp(max=1) - 1


def code_of(x: Images, z: Float[Tensor, "1 k"], y: Images) -> Figure:
    """An image, its code as bars, and the image that the decoder makes of these bars."""
    widths = {"width_ratios": [1, 3, 1]}
    figure, axes = plt.subplots(1, 3, figsize=(8, 2.2), gridspec_kw=widths)
    for ax, picture, title in ((axes[0], x, "784 pixels"), (axes[2], y, "784 pixels again")):
        plots.draw_images(ax, picture, 1)
        ax.set_title(title)
    axes[1].bar(range(1, 1 + z.shape[1]), z[0].tolist(), color=plots.CODE)
    axes[1].axhline(0, color="#666666", linewidth=0.8)
    for unit, value in enumerate(z[0].tolist(), start=1):
        if abs(value) < 0.1:
            axes[1].text(unit, 0.1, "≈ 0", ha="center", va="bottom", fontsize=8)
    axes[1].set(xlabel="unit of the code", ylabel="value", title="16 numbers")
    axes[1].set_xticks(range(1, 1 + z.shape[1]))
    axes[1].tick_params(axis="x", labelsize=8)
    return figure


def probes(accuracy: Mapping[str, Sequence[float]]) -> Figure:
    """The accuracy of a linear probe at each stage of a network.

    Args:
        accuracy: for each of three ways of probing, by label, the accuracy at the seven stages;
            the second is drawn in grey.
    """
    figure, ax = plt.subplots(figsize=(7.9, 3.4))
    looks = (plots.CODE, "-", 0), (plots.BASELINE, "-", -0.012), (plots.CODE, ":", 0.018)
    above, below = 0.018, -0.042
    gaps = [above] * 7, [below] * 3 + [above] + [below] * 3, [below] * 4 + [above] * 3
    for (label, values), look, gap in zip(accuracy.items(), looks, gaps, strict=True):
        color, line, lift = look
        ax.plot(range(7), values, "o", linestyle=line, color=color)
        ax.annotate(label, (6.3, values[-1] + lift), color=color, va="center")
        for place, share in enumerate(values):
            if color == plots.BASELINE and place == 0:
                continue  # the pixels are those of the trained network
            left = 0.12 if place == 2 and gap[place] == below else 0  # beside the steep lines
            where = (place - left, share + gap[place])
            ax.annotate(f"{share:.2f}", where, ha="center", fontsize=9, color=color)
    ax.set_xticks(range(7), STAGES)
    ax.axvspan(2.6, 3.4, color=plots.CODE, alpha=0.08)
    ax.set(xlim=(-0.3, 8.7), ylim=(0.4, 0.95), ylabel="probe's test accuracy")
    ax.set_title("A linear probe finds the class harder to read from the code than elsewhere")
    return figure


def latent_map(
    codes: Float[Tensor, "n 2"],
    labels: Int64[Tensor, "n"],
    names: Sequence[str],
    decoded: Images,
) -> Figure:
    """Codes of two numbers coloured by class, beside the decoded images of a grid of codes."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4))
    plots.classes(axes[0], codes, labels, names)
    x_ticks, y_ticks = (-5, 0, 5, 10), (-10, -5, 0, 5, 10)
    axes[0].set(xticks=x_ticks, yticks=y_ticks, xlabel="z₁", ylabel="z₂")
    axes[0].set_title(f"Codes of {len(codes):,} test images")
    side = round(len(decoded) ** 0.5)
    plots.draw_images(axes[1], decoded, side)
    axes[1].set(xlabel="z₁", ylabel="z₂", title="The decoder's image at each place")
    first, step = 2 + decoded.shape[-1] / 2, 2 + decoded.shape[-1]  # middles of the images
    for axis, ticks, ends in (
        (axes[1].xaxis, x_ticks, axes[0].get_xlim()),
        (axes[1].yaxis, y_ticks, axes[0].get_ylim()[::-1]),
    ):
        shares = [(tick - ends[0]) / (ends[1] - ends[0]) for tick in ticks]
        places = [first + share * (side - 1) * step for share in shares]
        axis.set_ticks(places, [str(tick).replace("-", "−") for tick in ticks])
    return figure


def sizes_of_code(rows: Sequence[Mapping[str, str]], longer: float, right_longer: float) -> Figure:
    """Error and judge's accuracy against the size of the code, from the study ``latent_size``.

    Args:
        rows: the rows of the study; the first is that of the original images.
        longer: the error of the shipped autoencoder, which was trained longer, for 16 numbers.
        right_longer: the judge's accuracy on its reconstructions.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.2))
    sizes = [int(row["latent_size"]) for row in rows if row["model"] == "pca"]
    for model, label, color in (("pca", "PCA", plots.BASELINE), ("deep-ae", "deep", plots.CODE)):
        mine = [row for row in rows if row["model"] == model]
        error = [float(row["mse"]) for row in mine]
        accuracy = [float(row["judge_accuracy"]) for row in mine]
        axes[0].loglog(sizes, error, "o-", color=color)
        axes[1].semilogx(sizes, accuracy, "o-", color=color)
        axes[0].annotate(label, (4.3, error[2]), color=color, va="bottom")
        axes[1].annotate(label, (4.3, accuracy[2] - 0.03), color=color, va="top")
    words = "deep, trained 6 times as long "
    for ax, value in zip(axes, (longer, right_longer), strict=True):
        ax.plot(16, value, "*", color=plots.CODE, markersize=11)
        ax.annotate(words, (14.5, value), color=plots.CODE, ha="right", va="center", fontsize=9)
    axes[1].axhline(float(rows[0]["judge_accuracy"]), color=plots.DATA, linestyle="--")
    _above(axes[1], "original test images", 1, float(rows[0]["judge_accuracy"]), plots.DATA)
    for ax in axes:
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.set_xticks([], minor=True)
        ax.set_xlabel("size of the code")
    axes[0].set_yticks([0.04, 0.06, 0.1, 0.2], ["0.04", "0.06", "0.1", "0.2"])
    axes[0].set_yticks([], minor=True)
    axes[0].set(ylabel="MSE (logarithmic)", ylim=(0.035, 0.28))
    axes[0].set_title("The error falls with the size of the code")
    title = "After 8 numbers the judge gains little"
    axes[1].set(ylabel="judge's accuracy", ylim=(0, 1.08), title=title)
    return figure


def scores(frechet: Mapping[str, float]) -> Figure:
    """Bars of the course Fréchet distance; the last one is the floor of real images."""
    figure, ax = plt.subplots(figsize=(7, 2.1))
    plots.bars(ax, frechet, [plots.CODE] * (len(frechet) - 1) + [plots.BASELINE])
    ax.set_xlabel("course Fréchet distance d² to test images (less is better)")
    ax.set_title("Made-up codes score far worse than reconstructions")
    return figure


def clumps(codes: Float[Tensor, "n 2"], draws: Float[Tensor, "n 2"]) -> Figure:
    """Codes in three clumps, and draws from the Gaussian with the same mean and covariance."""
    figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.5), sharey=True)
    axes[0].scatter(*codes.T, 4, color=plots.CODE)
    axes[1].scatter(*draws.T, 4, color="#333333")
    axes[1].scatter(*codes.T, 4, color=plots.CODE)
    axes[1].text(-5.6, -5.6, "green: the codes", color=plots.CODE)
    axes[1].text(5.6, -5.6, "black: the draws", color="#333333", ha="right")
    titles = "Codes in three clumps", "Most draws fall outside the clumps"
    for ax, title in zip(axes, titles, strict=True):
        plots.square(ax, 6.0)
        ax.set(title=title, xlabel="z₁")
    axes[0].set_ylabel("z₂")
    return figure


def directions(
    components: Float[Tensor, "k d"], variance: Float[Tensor, "k"], columns: Float[Tensor, "k d"]
) -> Figure:
    """Principal components above columns of the linear decoder, eight of each.

    Above each component stands the variance along it, below each column its largest absolute
    cosine with any component.

    Args:
        components: orthonormal principal components, largest variance first.
        variance: the variance of the images along each of them.
        columns: the columns of the decoder's matrix, one in each row, not normalised.
    """
    shown = 8
    rows = {
        "PCA": as_images(components[:shown]),
        "linear autoencoder": as_images(columns[:shown]),
    }
    figure = plots.image_rows(rows, "Other axes: no column of the autoencoder is a component", 0.68)
    unit = columns / columns.norm(dim=1, keepdim=True)
    cosines = (unit @ components.T).abs().amax(dim=1)
    with_columns(figure, [f"cos {value:.2f}" for value in cosines[:shown].tolist()])
    top, height = 0.25, figure.get_figheight()  # inches
    figure.set_figheight(height + top)
    figure.subplots_adjust(
        bottom=0.25 / (height + top), top=1 - (0.35 + top) / (height + top), hspace=0.05
    )
    for title in figure.texts:
        title.set_y(1 - 0.06 / (height + top))
    first = figure.axes[0]
    for middle, value in zip(_middles(shown), variance[:shown].tolist(), strict=True):
        place = first.get_xaxis_transform()
        words = f"var {value:.1f}"
        first.text(middle, 1.05, words, transform=place, ha="center", fontsize=8, color="#444444")
    return figure


def as_images(rows: Float[Tensor, "k d"]) -> Images:
    """Directions in the space of images as images: 0 is grey, the largest entry black or white."""
    side = round(rows.shape[1] ** 0.5)
    return (rows / rows.abs().amax(dim=1, keepdim=True)).reshape(-1, 1, side, side)


def grid_of_places(codes: Float[Tensor, "n 2"]) -> Float[Tensor, "256 2"]:
    """16 x 16 places over the middle 98 % of the codes each way, from the upper left corner."""
    low, high = codes.quantile(0.01, dim=0), codes.quantile(0.99, dim=0)
    z1, z2 = (torch.linspace(a, b, 16) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    return torch.stack(torch.meshgrid(z1, z2.flip(0), indexing="xy"), dim=-1).reshape(-1, 2)


def with_columns(figure: Figure, names: Sequence[str]) -> Figure:
    """Write a name under each column of a figure made by ``plots.image_rows``."""
    room = 0.25  # inches
    height = figure.get_figheight() + room
    figure.set_figheight(height)
    figure.subplots_adjust(bottom=room / height, top=1 - 0.35 / height)
    for title in figure.texts:
        title.set_y(1 - 0.06 / height)
    figure.axes[-1].set_xticks(_middles(len(names)), names, fontsize=8)
    figure.axes[-1].tick_params(axis="x", length=0)
    return figure


def _middles(columns: int) -> list[int]:
    """Where the middles of the images of a row are, in pixels from the left."""
    return [16 + 30 * column for column in range(columns)]  # 28 wide, 2 between them
