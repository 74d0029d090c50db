"""Draw a GAN in the plane: the values of D, the samples, and arrows that show their next move."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageColor

from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_lib.data.toys import Mixture

LIMIT = 3.0
ARROW = 0.35  # length of the longest arrow, in units of the plane


def draw_field(canvas: Canvas, values: Float[np.ndarray, "n n"], side: int) -> None:
    """Draw D's values in [0, 1] as a map at the upper left corner: white for 0, pink for 1."""
    pink = np.array(ImageColor.getrgb(plots.DISCRIMINATOR), dtype=float)
    colours = 255 + values[::-1, :, None] * (pink - 255)  # image rows start at the top
    small = Image.fromarray(colours.round().astype(np.uint8))
    canvas.paste(small, 0, 0, (side, side), Image.Resampling.BILINEAR)


def draw_modes(canvas: Canvas, mixture: Mixture, side: int) -> None:
    """Draw a blue circle around every mode, with a radius of three standard deviations."""
    radius = 3 * mixture.sigma * side / (2 * LIMIT)
    for mean in mixture.means.tolist():
        canvas.disc(_place(mean, side), radius, outline=plots.DATA, width=canvas.scale)


def draw_samples(canvas: Canvas, points: Float[np.ndarray, "m 2"], side: int) -> None:
    """Draw an orange dot for each sample."""
    for point in points.tolist():
        canvas.disc(_place(point, side), 1.2, plots.GENERATOR, outline="#8a5f00")


def draw_pull(
    canvas: Canvas, points: Float[np.ndarray, "m 2"], pull: Float[np.ndarray, "k 2"], side: int
) -> None:
    """Draw the pull on the first samples as arrows; the strongest pull has the longest arrow."""
    longest = np.linalg.norm(pull, axis=1).max() + 1e-12
    for start, way in zip(points, ARROW * pull / longest, strict=False):
        tail, head = _place(start.tolist(), side), _place((start + way).tolist(), side)
        canvas.line([tail, head], INK)


def draw_curve(
    canvas: Canvas,
    values: Sequence[float | int],
    box: tuple[int, int, int, int],
    limits: tuple[float | int, float | int],
    color: str,
    marked: int | None = None,
) -> None:
    """Draw values as a line in a box (left, top, right, bottom), with a dot on one of them."""
    left, top, right, bottom = box
    low, high = limits
    shares = np.clip((np.asarray(values, dtype=float) - low) / (high - low), 0, 1)
    x = np.linspace(left, right, len(values)) if len(values) > 1 else np.array([left])
    places = list(zip(x.tolist(), (bottom - shares * (bottom - top)).tolist(), strict=True))
    canvas.line([(left, bottom), (right, bottom)], FAINT)
    canvas.line(places, color, width=2)
    if marked is not None:
        canvas.disc(places[marked], 4, color)


def _place(point: Sequence[float], side: int) -> tuple[float, float]:
    """Convert a point of the plane to a place in pixels of the page."""
    x, y = (side * (float(v) + LIMIT) / (2 * LIMIT) for v in point)
    return x, side - y
