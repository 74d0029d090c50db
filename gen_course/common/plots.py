"""Plot arrays in the style of the course; nothing here depends on a model.

The first colours are from Okabe & Ito 2008: people with any common colour vision can tell them
apart. Each keeps one meaning through the whole course.
"""

import io
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import combinations, cycle
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox
from torch import Tensor
from torchvision.utils import make_grid

from gen_course.common.fonts import drawable, register
from gen_lib.data import to_uint8

DATA = "#0072B2"  # blue: what is real
MODEL = "#D55E00"  # vermilion: what a model computes
CODE = "#009E73"  # green: encoder, code, decoder
GENERATOR = "#E69F00"  # orange
DISCRIMINATOR = "#CC79A7"  # pink
BASELINE = "#777777"  # grey: floors, ceilings, baselines
CLASSES = (  # ten classes, light and dark alternating, each with its own marker
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999933",
    "#882255",
    "#AA4499",
)
MARKERS = "osD^vP*X<>"
STYLE = Path(__file__).with_name("course.mplstyle")


def use_style() -> None:
    """Give every figure of this session the look of the course."""
    register()
    plt.style.use(STYLE)


class Shown:
    """A figure as a notebook stores it: a PNG, and one line for where no picture can be shown."""

    def __init__(self, png: bytes, line: str, metadata: Mapping[str, object]):
        self.png, self.line, self.metadata = png, line, dict(metadata)

    def __repr__(self) -> str:
        return self.line

    def _repr_png_(self) -> tuple[str, dict[str, object]]:
        return b64encode(self.png).decode(), self.metadata


def show(figure: Figure, alt: str) -> None:
    """Display a figure with alternative text, sharp on high-density screens.

    The output's metadata say which texts are misplaced, for the test that looks for them. Its plain
    text is the figure's title or, without one, the first sentence of the alternative text.
    """
    from IPython.display import display

    buffer, found = io.BytesIO(), misplaced(figure)  # first: saving may change the layout engine
    figure.savefig(buffer, format="png")
    notes: dict[str, object] = {"width": round(100 * figure.get_figwidth()), "alt": alt}
    notes |= {"misplaced": found} if found else {}
    display(Shown(buffer.getvalue(), f"Figure: {_title(figure) or _sentence(alt)}", notes))
    plt.close(figure)


def _title(figure: Figure) -> str:
    """The title above all panels or of the only panel, on one line; empty if there is none."""
    words = figure.get_suptitle()
    if not words and len(figure.axes) == 1:
        words = "".join(figure.axes[0].get_title(side) for side in ("left", "center", "right"))
    return " ".join(words.split())


def _sentence(text: str) -> str:
    """The first sentence of a text, on one line."""
    return re.split(r"(?<=[.?!])\s+(?=[A-Z])", " ".join(text.split()))[0]


def misplaced(figure: Figure) -> list[str]:
    """The texts of a figure that are cut off, not drawn, or covered by another text.

    >>> figure, ax = plt.subplots()
    >>> _ = ax.set_xlim(0, 10), ax.annotate("there", (20, 0.5)), ax.annotate("here", (5, 0.5))
    >>> misplaced(figure)
    ["'there' is outside its axes"]
    """
    figure.canvas.draw()  # places the texts for the figure's own resolution
    found, boxes, undrawn = [], [], _undrawn(figure)
    for text in figure.findobj(Text):
        words = " ".join(text.get_text().split())
        if not words or not text.get_visible() or text in undrawn:
            continue
        if isinstance(text, Annotation) and _is_outside(text):
            found.append(f"{words!r} is outside its axes")
            continue
        box = text.get_window_extent()
        if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1:
            found.append(f"{words!r} is cut off")
        boxes.append((words, box))
    for (words, box), (others, other) in combinations(boxes, 2):
        common = Bbox.intersection(box, other)
        smaller = min(box.width * box.height, other.width * other.height)
        if common and common.width * common.height > 0.15 * smaller:
            found.append(f"{words!r} covers {others!r}")
    return found


def _undrawn(figure: Figure) -> set[Text]:
    """The labels of axes that are switched off, and of ticks beyond the limits of their axis."""
    found: set[Text] = set()
    for ax in figure.axes:
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            if not ax.axison:
                found.add(axis.label)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not (ax.axison and min(limits) <= tick.get_loc() <= max(limits)):
                    found |= {tick.label1, tick.label2}
    return found


def _is_outside(text: Annotation) -> bool:
    """Whether a text hangs on a point of the data outside the axes, where it is not drawn."""
    if text.xycoords != "data" or text.axes is None or text.get_annotation_clip() is False:
        return False
    x, y = text.axes.transData.transform(text.xy)
    return not text.axes.patch.contains_point((x, y), radius=1)


def image_rows(
    rows: Mapping[str, Float[Tensor, "n c h w"]], heading: str = "", scale: float = 0.6
) -> Figure:
    """Rows of images in [-1, 1], each row with its label, without smoothing.

    Args:
        rows: the images of each row, by label; every row has the same number of images.
        heading: title of the figure, which states what it shows.
        scale: inches per image.
    """
    columns = len(next(iter(rows.values())))
    left, top = 0.25 + 0.085 * max(map(len, rows)), 0.35 if heading else 0.0
    width, height = left + scale * columns, top + 1.05 * scale * len(rows)
    figure, axes = plt.subplots(len(rows), 1, figsize=(width, height), squeeze=False, layout="none")
    figure.subplots_adjust(left / width, 0, 1, 1 - top / height, hspace=0.05)
    for ax, (label, images) in zip(axes[:, 0], rows.items(), strict=True):
        draw_images(ax, images, columns)
        ax.set_ylabel(label, rotation=0, ha="right", va="center")
    if heading:
        title(figure, heading, 1 - 0.06 / height)
    return figure


def title(figure: Figure, text: str, y: float | None = None) -> None:
    """Put a title above all panels, at the left; ``y`` places its top, as a share of the height."""
    figure.suptitle(text, x=0.01, y=y, ha="left", fontsize=10.5, fontweight="bold")


def draw_images(ax: Axes, images: Float[Tensor, "n c h w"], columns: int) -> None:
    """Draw a grid of images in [-1, 1] without axes, with two white pixels between neighbours."""
    grid = make_grid(to_uint8(images.detach().cpu()), nrow=columns, padding=2, pad_value=255)
    ax.imshow(grid.permute(1, 2, 0).numpy())
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def curves(
    ax: Axes,
    series: Mapping[str, Sequence[float] | Float[Tensor, "n"]],
    x: Sequence[float] | Float[Tensor, "n"] | None = None,
) -> None:
    """Lines against x (or against 1, 2, ...), each named at its right end, not in a legend."""
    colors = (DATA, MODEL, CODE, DISCRIMINATOR, GENERATOR, BASELINE)
    for (label, values), color in zip(series.items(), cycle(colors), strict=False):
        y = torch.as_tensor(values).tolist()
        places = list(range(1, len(y) + 1)) if x is None else torch.as_tensor(x).tolist()
        ax.plot(places, y, color=color)
        ax.annotate(
            f" {label}", (places[-1], y[-1]), color=color, va="center", annotation_clip=False
        )


def smooth(values: Sequence[float], window: int = 50) -> Float[Tensor, "m"]:
    """Running mean over ``window`` entries (or over all, if there are fewer).

    >>> smooth([0.0, 2.0, 4.0], window=2)
    tensor([1., 3.])
    """
    return torch.tensor(values).unfold(0, min(window, len(values)), 1).mean(dim=1)


def points(
    ax: Axes, x: Float[Tensor, "n 2"], color: str = DATA, size: float = 3, limit: float = 3.0
) -> None:
    """Points of the plane on square axes from -limit to limit."""
    ax.scatter(x[:, 0], x[:, 1], size, color=color, alpha=0.6)
    square(ax, limit)


def field(ax: Axes, values: Float[Tensor, "n n"], limit: float = 3.0, **options) -> None:
    """A function of the plane, values[row, column] at (x = column, y = row), as a coloured map."""
    extent = (-limit, limit, -limit, limit)
    ax.imshow(values.numpy(), origin="lower", extent=extent, interpolation="bilinear", **options)
    square(ax, limit)


def plane(n: int = 100, limit: float = 3.0) -> Float[Tensor, "points 2"]:
    """The n * n points of a grid over the plane, in the order that ``field`` draws.

    >>> plane(2, limit=1.0).tolist()  # from below, x changes fastest
    [[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]
    """
    ticks = torch.linspace(-limit, limit, n)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def square(ax: Axes, limit: float) -> None:
    """Equal axes from -limit to limit, with few ticks."""
    ticks = [-limit, 0, limit]
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=ticks, yticks=ticks)
    ax.grid(visible=False)


def classes(
    ax: Axes,
    z: Float[Tensor, "n 2"],
    labels: Int64[Tensor, "n"],
    names: Sequence[str],
    size: float = 6,
    corners: tuple[Sequence[float], Sequence[float]] | None = None,
) -> None:
    """Points coloured and shaped by class, each class named near the median of its points.

    ``corners`` are the lower left and the upper right corner of the axes. By default each axis
    shows the middle 98 % of the points.
    """
    low, high = corners or [z.quantile(share, dim=0).tolist() for share in (0.01, 0.99)]
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    members = {k: z[labels == k] for k in labels.unique().tolist()}
    looks = {k: (CLASSES[k % len(CLASSES)], MARKERS[k % len(MARKERS)]) for k in members}
    for k, (color, marker) in looks.items():
        ax.scatter(members[k][:, 0], members[k][:, 1], size, color=color, marker=marker, alpha=0.5)
    centers = torch.stack([mine.median(dim=0).values for mine in members.values()])
    places = _spread((centers - torch.tensor(low)) / (torch.tensor(high) - torch.tensor(low)))
    for (x, y), (k, (color, _)) in zip(places, looks.items(), strict=True):
        box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": color, "alpha": 0.9}
        ax.annotate(
            drawable(names[k]),
            (x, y),
            None,
            ax.transAxes,
            ha="center",
            va="center",
            fontsize=9,
            bbox=box,
        )


def _spread(places: Float[Tensor, "n 2"]) -> list[list[float]]:
    """Move labels (places are fractions of the axes) down until none covers another."""
    placed: list[list[float]] = []
    for x, y in sorted(places.tolist(), key=lambda place: -place[1]):
        while any(abs(x - u) < 0.25 and abs(y - v) < 0.055 for u, v in placed):
            y -= 0.01
        placed.append([x, y])
    order = (-places[:, 1]).argsort(stable=True).argsort()
    return [placed[i] for i in order.tolist()]


def bars(
    ax: Axes, values: Mapping[str, float], colors: Sequence[str] | str = MODEL, text: str = "{:.3g}"
) -> None:
    """Horizontal bars, first on top, each with its name on the left and its value at the end."""
    places = list(range(len(values)))
    ax.barh(places, list(values.values()), color=colors, height=0.65)
    ax.set_yticks(places, list(values))
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    for place, value in zip(places, values.values(), strict=True):
        side = "left" if value >= 0 else "right"
        ax.annotate(f" {text.format(value)} ", (value, place), va="center", ha=side, fontsize=9)
    ax.margins(x=0.15)
