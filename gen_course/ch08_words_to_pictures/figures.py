"""Figures of chapter 08: the three parts, where words are looked at, pictures, guidance."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from gen_course.ch08_words_to_pictures.explorers import MODEL, lit, numbers
from gen_course.common import plots
from gen_course.common.explorer import shipped
from gen_lib.data import to_uint8
from gen_lib.data.people.words import VOCABULARY
from gen_lib.models import TextToImage
from gen_lib.models.text_to_image import GUIDANCE

Image = Float[Tensor, "c h w"]
SENTENCE = "red hat and green coat"  # of the diagram
PER_ROW = 6  # pictures in a row


def parts(model: TextToImage | None = None, seed: int = 0) -> Figure:
    """A diagram of text to image: sentence, word vectors, U-Net, code, decoder, picture.

    Noise, code and picture are those of one drawing.

    Args:
        model: a model that reads words; the shipped one unless given.
        seed: of the noise.
    """
    model, c = model or shipped(MODEL, TextToImage), numbers(SENTENCE)
    rng = torch.Generator().manual_seed(seed)
    states = list(model.states(1, rng, labels=c, guidance=GUIDANCE))
    with torch.no_grad():
        vectors = model.net.words.table(c)[0, :, :8]
        picture = model.decode(states[-1].x)[0].clamp(-1, 1)
    figure = plt.figure(figsize=(9, 3.1), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 9), ylim=(0, 3.1))
    ax.axis("off")
    _draw_words(ax, [VOCABULARY[k] for k in c[0].tolist()], vectors)
    for x, left, words in (
        (_coloured(states[0].x[0]), 0.15, "noise\n4 × 12 × 12"),
        (_coloured(states[-1].x[0]), 4.75, "code\n4 × 12 × 12"),
        (picture, 7.75, "picture\n3 × 48 × 48"),
    ):
        _place(ax, x, left, 0.55, 1.1)
        ax.annotate(words, (left + 0.55, 0.48), ha="center", va="top", fontsize=9)
    _box(ax, (2.15, 0.55, 1.8, 1.1), "U-Net\nestimates the\nvelocity", plots.MODEL)
    _box(ax, (6.4, 0.7, 0.85, 0.8), "decoder", plots.CODE)
    for start, end in ((1.3, 2.1), (4.0, 4.7), (5.9, 6.35), (7.3, 7.7)):
        _arrow(ax, (start, 1.1), (end, 1.1))
    around = {"connectionstyle": "arc3,rad=-0.32"}
    _arrow(ax, (3.7, 0.5), (2.4, 0.5), plots.MODEL, **around)
    ax.annotate("called many times", (3.05, 0.02), ha="center", va="bottom", fontsize=9)
    plots.title(figure, "Words steer a diffusion of codes, and a decoder makes the picture", 0.985)
    return figure


def _draw_words(ax: Axes, words: Sequence[str], vectors: Float[Tensor, "words d"]) -> None:
    """The sentence, a column of cells for each of its words, and the arrow to the U-Net."""
    left, width = 2.0, 0.46
    ax.annotate("sentence", (0.15, 2.53), va="center", fontsize=9)
    ax.annotate("a vector for\neach word", (0.15, 2.17), va="center", fontsize=9)
    _arrow(ax, (1.15, 2.53), (1.9, 2.53))
    for number, (word, vector) in enumerate(zip(words, vectors, strict=True)):
        middle = left + (number + 0.5) * width
        ax.annotate(word, (middle, 2.53), ha="center", va="center", color=plots.DATA, fontsize=9)
        shades = vector.reshape(-1, 2).numpy()
        extent = (middle - 0.09, middle + 0.09, 1.99, 2.35)
        ax.imshow(shades, "PuOr", extent=extent, vmin=-1.5, vmax=1.5, aspect="auto")
    _arrow(ax, (3.05, 1.95), (3.05, 1.69), plots.DATA)
    words_beside = "cross-attention: each place of the code\nlooks at the words that it needs"
    ax.annotate(words_beside, (4.45, 2.1), va="center", color=plots.DATA, fontsize=9)
    ax.set(xlim=(0, 9), ylim=(0, 3.1))


def _coloured(z: Float[Tensor, "depth rows columns"]) -> Float[Tensor, "3 rows columns"]:
    """The first three numbers of each cell as red, green and blue."""
    return (z[:3] / 2.5).clamp(-1, 1)


def _pixels(x: Image) -> Tensor:
    return to_uint8(x.detach()[None])[0].permute(1, 2, 0)


def _place(ax: Axes, x: Image, left: float, bottom: float, side: float) -> None:
    """Draw an image of [-1, 1] as a square in the coordinates of the axes."""
    extent = (left, left + side, bottom, bottom + side)
    ax.imshow(_pixels(x).numpy(), extent=extent, aspect="auto")
    ax.set(xlim=(0, 9), ylim=(0, 3.1))


def _box(ax: Axes, place: tuple[float, float, float, float], words: str, color: str) -> None:
    """A rectangle (left, bottom, width, height) with words in its middle."""
    left, bottom, width, height = place
    ax.add_patch(plt.Rectangle((left, bottom), width, height, fc="white", ec=color, lw=2))
    middle = (left + width / 2, bottom + height / 2)
    ax.annotate(words, middle, ha="center", va="center", color=color)


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str = plots.BASELINE,
    **options: str,
) -> None:
    style = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0, **options}
    ax.annotate("", end, start, arrowprops=style)


def looks(
    picture: Image, words: Sequence[str], maps: Float[Tensor, "words rows columns"]
) -> Figure:
    """A picture, and a copy for each word, dark where the word is little looked at.

    Args:
        picture: in [-1, 1].
        words: the words of the sentence.
        maps: the share of each word at each place; the shares of a place sum to 1. Each map is
            scaled by its own maximum, and the word's mean share stands under its copy.
    """
    panels = {0: ("the picture", picture, "share:")}
    for number, (word, weights) in enumerate(zip(words, maps, strict=True), start=1):
        panels[number] = (word, lit(picture, weights), f"{weights.mean():.2f}")
    figure, axes = _panels(len(panels), below=1)
    for ax, (word, x, share) in zip(axes, panels.values(), strict=True):
        ax.imshow(_pixels(x).numpy())
        ax.set_title(word, loc="center", fontsize=10, fontweight="normal", pad=3)
        ax.set_xlabel(share, fontsize=9, labelpad=2)
    plots.title(figure, "Each map is scaled by its own maximum; below, the word's mean share")
    return figure


def asked_for(images: Float[Tensor, "n c h w"], words: Sequence[Sequence[str]]) -> Figure:
    """Images in [-1, 1], over each the words for it, one under the other."""
    figure, axes = _panels(len(images), lines=max(map(len, words)))
    for ax, x, lines in zip(axes, images, words, strict=True):
        ax.imshow(_pixels(x).numpy())
        ax.set_title("\n".join(lines), loc="center", fontsize=9, fontweight="normal", pad=3)
    return figure


def _panels(n: int, lines: int = 1, below: int = 0) -> tuple[Figure, list[Axes]]:
    """n axes without ticks, with room for lines of words over and below each.

    Up to seven stand in one row, more in rows of PER_ROW.
    """
    columns = n if n <= PER_ROW + 1 else PER_ROW
    rows = -(-n // columns)
    height = (1.28 + 0.16 * lines + 0.26 * below) * rows
    figure, axes = plt.subplots(rows, columns, figsize=(1.25 * columns, height), squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    for ax in axes.flat[n:]:
        ax.set_visible(False)
    return figure, list(axes.flat[:n])


def guidance(rows: Sequence[Mapping[str, str]]) -> Figure:
    """Obedience and variety over the guidance weight.

    Args:
        rows: the weight ``of``, and in [0, 1] ``obedience``, ``obedience_unseen`` and ``variety``.
    """
    rows = sorted(rows, key=lambda row: float(row["of"]))
    weights = [float(row["of"]) for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    curves = (
        (left, "obedience", "seen pairs", plots.DATA, (26, -10)),
        (left, "obedience_unseen", "never seen together", plots.MODEL, (9, -4)),
        (right, "variety", "", plots.CODE, (0, 0)),
    )
    for ax, name, words, color, offset in curves:
        values = [float(row[name]) for row in rows]
        ax.plot(weights, values, "o-", color=color)
        start, around = (weights[0], values[0]), "offset points"
        ax.annotate(words, start, offset, textcoords=around, color=color, va="center")
        ax.set_xlabel("guidance weight w")
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.set_ylabel("named attributes that are seen")
    left.set_yticks([0.97, 0.98, 0.99, 1.0])
    left.margins(y=0.15)
    right.set(ylabel="other attributes that differ", ylim=(0, 1.1 * right.get_ylim()[1]))
    left.set_title("Obedience")
    right.set_title("Variety of the pictures of one sentence")
    return figure
