"""Draw the explorers' pictures quickly: small images enlarged by whole factors, text, shapes.

Positions and lengths are in pixels of the page. The picture has ``scale`` times as many pixels in
each direction: 2 on a high-density screen, so that its text is as sharp as the page's.
"""

import io
import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from gen_course.common.fonts import drawable, font
from gen_lib.data import to_uint8

TEXT = 13  # pixels of the page: 9.75 pt
Place = tuple[float | int, float | int]  # x from the left edge, y from the top edge
INK, FAINT, WARNING = "#222222", "#666666", "#B03A00"


class Canvas:
    """A white picture to draw images and text on; places and lengths are in pixels of the page.

    Args:
        width: width of the picture.
        height: height of the picture.
        scale: pixels of the picture, in each direction, for one pixel of the page.
    """

    def __init__(self, width: int, height: int, scale: int = 2):
        self.width, self.height, self.scale = width, height, scale
        self.picture = Image.new("RGB", (scale * width, scale * height), "white")
        self.draw = ImageDraw.Draw(self.picture)

    def image(self, x: Float[Tensor, "c h w"], left: int, top: int, side: int) -> None:
        """Draw an image in [-1, 1] in the middle of a square of ``side`` page pixels.

        It is enlarged by the largest whole factor that fits, unsmoothed; a larger image is shrunk.
        """
        small = Image.fromarray(_colour(to_uint8(x.detach()).numpy()))
        room, longest = self.scale * side, max(small.size)
        if longest > room:
            small.thumbnail((room, room))
            longest = room
        factor = room // longest
        large = small.resize(
            (factor * small.width, factor * small.height), Image.Resampling.NEAREST
        )
        gap = ((room - large.width) // 2, (room - large.height) // 2)
        self.picture.paste(large, (self.scale * left + gap[0], self.scale * top + gap[1]))

    def paste(
        self,
        small: Image.Image,
        left: int,
        top: int,
        size: tuple[int, int],
        way: Image.Resampling,
    ) -> None:
        """Resize a picture with one of Pillow's filters, and draw it."""
        large = small.resize((self.scale * size[0], self.scale * size[1]), way)
        self.picture.paste(large, (self.scale * left, self.scale * top))

    def text(
        self,
        words: str,
        left: int,
        top: int,
        color: str = INK,
        anchor: str = "la",
        size: int = TEXT,
    ) -> None:
        """Draw a line of text, anchored as in Pillow: "la" left, "ma" centred, "ra" right."""
        place, words = (self.scale * left, self.scale * top), drawable(words)
        self.draw.text(place, words, color, font=font(self.scale * size, words), anchor=anchor)

    def box(self, left: int, top: int, right: int, bottom: int, color: str) -> None:
        """Draw a filled rectangle; ``right`` and ``bottom`` are exclusive."""
        left, top, right, bottom = (self.scale * side for side in (left, top, right, bottom))
        self.draw.rectangle((left, top, right - 1, bottom - 1), fill=color)

    def line(self, places: Sequence[Place], color: str, width: int = 1) -> None:
        """Draw a line through all places, in their order."""
        scaled = [(self.scale * x, self.scale * y) for x, y in places]
        self.draw.line(scaled, fill=color, width=self.scale * width)

    def disc(
        self,
        place: Place,
        radius: float | int,
        fill: str | None = None,
        outline: str | None = None,
        width: int = 1,
    ) -> None:
        """Draw a disc, or its outline, ``width`` pixels of the picture (not of the page) wide."""
        x, y = (self.scale * side for side in place)
        self.draw.circle((x, y), self.scale * radius, fill=fill, outline=outline, width=width)

    def dots(
        self, places: Float[Tensor, "n 2"], left: int, top: int, color: str, radius: float = 1.5
    ) -> None:
        """Draw small discs; their centres are given relative to (left, top)."""
        for x, y in (places + torch.tensor([left, top])).tolist():
            self.disc((x, y), radius, color)

    def card(self, words: str) -> None:
        """Write an error message on the picture."""
        lines = textwrap.wrap(words, max(20, (self.width - 40) // 8))
        for number, line in enumerate(lines[: (self.height - 40) // 20]):
            self.text(line, 20, 20 + 20 * number, WARNING)

    def pixels(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return the picture as an array."""
        return np.asarray(self.picture)


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Encode a picture as PNG with little compression: speed matters here, size does not."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _colour(image: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0))
