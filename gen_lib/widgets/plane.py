"""A game in the plane as a picture: what D thinks, where the samples are, where they are sent."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageColor

from gen_lib import plots
from gen_lib.data.toys import Mixture
from gen_lib.widgets.drawing import FAINT, INK, SCALE, Canvas

LIMIT = 3.0
ARROW = 0.35  # length of the longest arrow, in units of the plane


def draw_field(canvas: Canvas, values: Float[np.ndarray, "n n"], side: int) -> None:
    """D in [0, 1] over the plane, at the upper left corner: white for 0, pink for 1."""
    pink = np.array(ImageColor.getrgb(plots.DISCRIMINATOR), dtype=float)
    colours = 255 + values[::-1, :, None] * (pink - 255)  # rows from above
    small = Image.fromarray(colours.round().astype(np.uint8))
    size = (SCALE * side, SCALE * side)
    canvas.picture.paste(small.resize(size, Image.Resampling.BILINEAR), (0, 0))


def draw_modes(canvas: Canvas, mixture: Mixture, side: int) -> None:
    """A blue circle of three standard deviations around every mode."""
    for mean in mixture.means.tolist():
        (x, y), r = _place(mean, side), 3 * mixture.sigma * SCALE * side / (2 * LIMIT)
        canvas.draw.ellipse((x - r, y - r, x + r, y + r), outline=plots.DATA, width=SCALE)


def draw_samples(canvas: Canvas, points: Float[np.ndarray, "m 2"], side: int) -> None:
    """An orange dot for each sample."""
    for point in points.tolist():
        x, y = _place(point, side)
        r = 1.2 * SCALE
        canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=plots.GENERATOR, outline="#8a5f00")


def draw_pull(
    canvas: Canvas, points: Float[np.ndarray, "m 2"], pull: Float[np.ndarray, "k 2"], side: int
) -> None:
    """Arrows from the first samples to where they are pulled; the strongest is the longest."""
    longest = np.linalg.norm(pull, axis=1).max() + 1e-12
    for start, way in zip(points, ARROW * pull / longest, strict=False):
        tail, head = _place(start.tolist(), side), _place((start + way).tolist(), side)
        canvas.draw.line((*tail, *head), fill=INK, width=SCALE)


def draw_curve(
    canvas: Canvas,
    values: Sequence[float | int],
    box: tuple[int, int, int, int],
    limits: tuple[float | int, float | int],
    color: str,
    marked: int | None = None,
) -> None:
    """A line of values in a box (left, top, right, bottom), and a dot on one of them."""
    left, top, right, bottom = box
    low, high = limits
    shares = np.clip((np.asarray(values, dtype=float) - low) / (high - low), 0, 1)
    x = np.linspace(left, right, len(values)) if len(values) > 1 else np.array([left])
    places = [
        (SCALE * a, SCALE * (bottom - b * (bottom - top))) for a, b in zip(x, shares, strict=True)
    ]
    canvas.draw.line((SCALE * left, SCALE * bottom, SCALE * right, SCALE * bottom), fill=FAINT)
    canvas.draw.line(places, fill=color, width=2 * SCALE)
    if marked is not None:
        (a, b), r = places[marked], 4 * SCALE
        canvas.draw.ellipse((a - r, b - r, a + r, b + r), fill=color)


def _place(point: Sequence[float], side: int) -> tuple[float, float]:
    """The pixel of a point of the plane."""
    x, y = (SCALE * side * (float(v) + LIMIT) / (2 * LIMIT) for v in point)
    return x, SCALE * side - y
