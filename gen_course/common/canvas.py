"""Pictures as arrays, composed fast: small images enlarged by whole factors, labels, bars.

Everything is placed in the pixels of the page; a picture holds ``scale`` times as many each way:
2 on a dense screen, where its text is then as sharp as that around it.
"""

import io
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gen_lib.data import to_uint8

TEXT = 13  # pixels of the page: 9.75 pt
Place = tuple[float | int, float | int]  # x from the left, y from above
INK, FAINT, WARNING = "#222222", "#666666", "#B03A00"


class Canvas:
    """A white picture to compose tiles and text on; places and lengths are pixels of the page.

    Args:
        width: of the picture.
        height: of the picture.
        scale: pixels of the picture, each way, for one of the page.
    """

    def __init__(self, width: int, height: int, scale: int = 2):
        self.width, self.height, self.scale = width, height, scale
        self.picture = Image.new("RGB", (scale * width, scale * height), "white")
        self.draw = ImageDraw.Draw(self.picture)

    def image(self, x: Float[Tensor, "c h w"], left: int, top: int, factor: int) -> None:
        """An image in [-1, 1], every pixel of it ``factor`` page pixels wide, unsmoothed."""
        small = Image.fromarray(_colour(to_uint8(x.detach()).numpy()))
        size = (factor * small.width, factor * small.height)
        self.paste(small, left, top, size, Image.Resampling.NEAREST)

    def paste(
        self,
        small: Image.Image,
        left: int,
        top: int,
        size: tuple[int, int],
        way: Image.Resampling,
    ) -> None:
        """A picture, brought to a size in one of Pillow's ways."""
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
        """One line; the anchor is Pillow's: "la" from the left, "ma" centred, "ra" to the right."""
        place = (self.scale * left, self.scale * top)
        self.draw.text(place, words, color, font=font(self.scale * size), anchor=anchor)

    def box(self, left: int, top: int, right: int, bottom: int, color: str) -> None:
        """A filled rectangle; right and bottom are just outside."""
        left, top, right, bottom = (self.scale * side for side in (left, top, right, bottom))
        self.draw.rectangle((left, top, right - 1, bottom - 1), fill=color)

    def line(self, places: Sequence[Place], color: str, width: int = 1) -> None:
        """A line from place to place."""
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
        """A disc, or its outline, ``width`` pixels of the picture wide."""
        x, y = (self.scale * side for side in place)
        self.draw.circle((x, y), self.scale * radius, fill=fill, outline=outline, width=width)

    def dots(
        self, places: Float[Tensor, "n 2"], left: int, top: int, color: str, radius: float = 1.5
    ) -> None:
        """Small discs, their middles counted from (left, top)."""
        for x, y in (places + torch.tensor([left, top])).tolist():
            self.disc((x, y), radius, color)

    def card(self, words: str) -> None:
        """Say in words what went wrong."""
        lines = textwrap.wrap(words, max(20, (self.width - 40) // 8))
        for number, line in enumerate(lines[: (self.height - 40) // 20]):
            self.text(line, 20, 20 + 20 * number, WARNING)

    def pixels(self) -> UInt8[np.ndarray, "height width 3"]:
        """What was drawn."""
        return np.asarray(self.picture)


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """The bytes of a PNG file, packed lightly: speed counts here, size does not."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along, so that it looks the same everywhere."""
    return ImageFont.truetype(
        Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size
    )


def _colour(image: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0))
