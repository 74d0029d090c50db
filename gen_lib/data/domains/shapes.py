"""Draw shapes from signed distances, on many pictures at once.

A shape is the set of points where its signed distance d(x, y), in pixels, is negative. It covers
the share

    cover(d) = clip(1/2 - d, 0, 1)

of a pixel, which gives smooth edges. Coordinates run from 0 to 32 in both directions, y downwards,
whatever the size of the picture. Arrays are float64 of shape (N, H, W), or (N, 1, 1) for one
number per picture; colours have shape (3, N or 1, 1, 1) and values in [0, 1].

Every machine draws the same bytes: random numbers are raw bits of PCG64, whose stream is fixed, and
all operations are rounded exactly by IEEE 754 (no sine, no sum over an array).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SIDE = 32
Number = np.ndarray | float | int
NUMBERS = 96  # random numbers per picture, at most
SEED = 2017


class Dice:
    """Uniform random numbers: every picture has a row of them, and call k returns column k."""

    def __init__(self, pictures: range):
        bits = np.random.PCG64(SEED).advance(pictures.start * NUMBERS)
        raw = bits.random_raw(len(pictures) * NUMBERS).reshape(len(pictures), NUMBERS)
        self.left: Iterator[np.ndarray] = iter((raw >> 11).T / 2**53)

    def __call__(self, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """One number in [low, high) for each picture, of shape (N, 1, 1)."""
        u = next(self.left)[:, None, None]
        return low + u * (high - low)


@dataclass
class Canvas:
    """Pixels (3, N, H, W) in [0, 1], the coordinates of their centres, and pixels per unit."""

    pixels: np.ndarray
    x: np.ndarray
    y: np.ndarray
    scale: float
    index: tuple = ()

    @classmethod
    def blank(cls, n: int, size: int) -> "Canvas":
        """Create n black pictures of ``size`` x ``size`` pixels."""
        scale = size / SIDE
        ticks = (np.arange(size) + 0.5) / scale
        pixels = np.zeros((3, n, size, size))
        return cls(pixels, ticks[None, None, :], ticks[None, :, None], scale)

    def paint(self, d: np.ndarray, colour: np.ndarray, opacity: Number = 1.0) -> None:
        """Paint the shape with signed distance d, in units, over the pixels."""
        cover = np.clip(0.5 - d * self.scale, 0, 1) * opacity
        self.pixels += cover * (colour - self.pixels)

    def window(
        self, present: np.ndarray, x: np.ndarray, y: np.ndarray, width: int, height: int
    ) -> "Canvas":
        """Copy the ``width`` x ``height`` units around (x, y) from the pictures where present.

        Painting a small shape on this copy, which ``put_back`` writes back, is faster.
        """
        (picture,) = np.nonzero(present[:, 0, 0])
        w, h, size = (round(v * self.scale) for v in (width, height, SIDE))
        corners = []
        for centre, extent in ((x, w), (y, h)):
            corner = np.floor(centre[picture, 0, 0] * self.scale) - extent // 2
            corners.append(np.clip(corner, 0, size - extent).astype(np.intp)[:, None])
        columns, rows = corners[0] + np.arange(w), corners[1] + np.arange(h)
        index = (slice(None), picture[:, None, None], rows[:, :, None], columns[:, None, :])
        across = (columns[:, None, :] + 0.5) / self.scale
        down = (rows[:, :, None] + 0.5) / self.scale
        return Canvas(self.pixels[index], across, down, self.scale, index)

    def put_back(self, part: "Canvas") -> None:
        """Write the pixels of a window back to where they were copied from."""
        self.pixels[part.index] = part.pixels

    @property
    def pictures(self) -> np.ndarray:
        """For a window: the indices of its pictures in the canvas it was copied from."""
        return self.index[1][:, 0, 0]


def rgb(*codes: str) -> np.ndarray:
    """Convert N colours like ``"87ceeb"`` to an array (3, N, 1, 1)."""
    values = [[int(code[i : i + 2], 16) / 255 for code in codes] for i in (0, 2, 4)]
    return np.array(values)[:, :, None, None]


def mix(a: np.ndarray, b: np.ndarray, t: Number) -> np.ndarray:
    """Interpolate from a (t = 0) to b (t = 1)."""
    return a + t * (b - a)


def choose(u: np.ndarray, *codes: str) -> np.ndarray:
    """Choose one of the colours for each picture by a number u in [0, 1)."""
    return rgb(*codes)[:, np.floor(u[:, 0, 0] * len(codes)).astype(np.intp)]


def wave(t: np.ndarray) -> np.ndarray:
    """A smooth wave of period 1 between -1 and 1, made of two parabolas."""
    p = t - np.floor(t)
    return 16 * p * np.where(p < 0.5, 0.5 - p, 0) - 16 * np.where(p < 0.5, 0, (p - 0.5) * (1 - p))


def disc(c: Canvas, x: Number, y: Number, a: Number, b: Number | None = None) -> np.ndarray:
    """Distance to a circle of radius a; approximate distance to an ellipse of half-axes a, b."""
    b = a if b is None else b
    dx, dy = (c.x - x) / a, (c.y - y) / b
    return (np.sqrt(dx * dx + dy * dy) - 1) * np.minimum(a, b)


def box(c: Canvas, left: Number, top: Number, right: Number, bottom: Number) -> np.ndarray:
    """Distance to a rectangle (outside a corner: the larger of the distances in x and y)."""
    across = np.maximum(left - c.x, c.x - right)
    return np.maximum(across, np.maximum(top - c.y, c.y - bottom))


def triangle(c: Canvas, x: Number, top: Number, bottom: Number, half: Number) -> np.ndarray:
    """Distance to a triangle with apex (x, top) and a base of width 2 half at ``bottom``."""
    height = bottom - top
    side = (abs(c.x - x) * height - half * (c.y - top)) / np.sqrt(height * height + half * half)
    return np.maximum(side, c.y - bottom)


def line(c: Canvas, x0: Number, y0: Number, x1: Number, y1: Number, width: Number) -> np.ndarray:
    """Distance to a line of the given width with round ends."""
    dx, dy = x1 - x0, y1 - y0
    t = np.clip(((c.x - x0) * dx + (c.y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    ex, ey = c.x - x0 - t * dx, c.y - y0 - t * dy
    return np.sqrt(ex * ex + ey * ey) - width / 2
