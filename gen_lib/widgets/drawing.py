"""Pictures as arrays, composed fast: small images enlarged by whole factors, labels, bars.

Everything is placed in the pixels of the page; a picture holds ``SCALE`` times as many each way, so
that its text is sharp on a dense screen. Matplotlib would need about 100 ms for each picture.
"""

import struct
import textwrap
import zlib
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gen_lib.data import to_uint8

SCALE = 2
TEXT = 13  # pixels of the page: 9.75 pt
INK, FAINT, WARNING = "#222222", "#666666", "#B03A00"


class Canvas:
    """A white picture to compose tiles and text on.

    Args:
        width: pixels of the page.
        height: pixels of the page.
    """

    def __init__(self, width: int, height: int):
        self.picture = Image.new("RGB", (SCALE * width, SCALE * height), "white")
        self.draw = ImageDraw.Draw(self.picture)

    def image(self, x: Float[Tensor, "c h w"], left: int, top: int, factor: int) -> None:
        """An image in [-1, 1], every pixel of it ``factor`` page pixels wide, unsmoothed."""
        small = Image.fromarray(_colour(to_uint8(x.detach()).numpy()))
        size = (SCALE * factor * small.width, SCALE * factor * small.height)
        large = small.resize(size, Image.Resampling.NEAREST)
        self.picture.paste(large, (SCALE * left, SCALE * top))

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
        self.draw.text(
            (SCALE * left, SCALE * top), words, color, font=font(SCALE * size), anchor=anchor
        )

    def box(self, left: int, top: int, right: int, bottom: int, color: str) -> None:
        """A filled rectangle; right and bottom are just outside."""
        corners = (SCALE * left, SCALE * top, SCALE * right - 1, SCALE * bottom - 1)
        self.draw.rectangle(corners, fill=color)

    def dots(
        self, places: Float[Tensor, "n 2"], left: int, top: int, color: str, radius: float = 1.5
    ) -> None:
        """Small discs, their middles counted from (left, top)."""
        for x, y in (SCALE * (places + torch.tensor([left, top]))).tolist():
            self.draw.circle((x, y), SCALE * radius, fill=color)

    def pixels(self) -> UInt8[np.ndarray, "height width 3"]:
        """What was drawn."""
        return np.asarray(self.picture)


def png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """The bytes of a PNG file, packed lightly: speed counts here, size does not.

    Every row holds its difference from the row above (the filter "up" of the format), which is zero
    wherever pixels were enlarged. Pillow tries five filters on each row: it takes twice the time.
    """
    height, width, _ = picture.shape
    rows = picture.reshape(height, -1)
    lines = np.full((height, 1 + rows.shape[1]), 2, dtype=np.uint8)  # 2: the filter "up"
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),  # 8 bits of RGB
        (b"IDAT", zlib.compress(lines.data, level=1)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def card(words: str, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """A picture that says in words what went wrong."""
    canvas = Canvas(width, height)
    lines = textwrap.wrap(words, max(20, (width - 40) // 8))
    for number, line in enumerate(lines[: (height - 40) // 20]):
        canvas.text(line, 20, 20 + 20 * number, WARNING)
    return canvas.pixels()


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along, so that it looks the same everywhere."""
    return ImageFont.truetype(
        Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size
    )


def _colour(image: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0))
