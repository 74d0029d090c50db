"""Fonts for pictures: DejaVu Sans, and Pretendard for Hangul, which DejaVu lacks.

DejaVu Sans comes with matplotlib. Pretendard 1.3.9 (Kil Hyung-jin, SIL Open Font License 1.1) is
shipped in this folder, from the npm package ``pretendard``.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
PRETENDARD = Path(__file__).with_name("Pretendard-Regular.otf")


def register() -> None:
    """Make Pretendard known to matplotlib."""
    fonts = font_manager.fontManager
    if all(font.name != "Pretendard" for font in fonts.ttflist):
        fonts.addfont(PRETENDARD)
        fonts.ttflist.append(replace(fonts.ttflist[-1], weight=700))  # there is no bold file


def drawable(words: str) -> str:
    """The words, with a dot for each letter that neither font has.

    >>> drawable("Bag 가방"), drawable("ꦲ")
    ('Bag 가방', '·')
    """
    return "".join(c if ord(c) in _letters(DEJAVU) | _letters(PRETENDARD) else "·" for c in words)


@cache
def font(size: int, words: str = "") -> ImageFont.FreeTypeFont:
    """The font for these words: DejaVu Sans, or Pretendard if DejaVu lacks one of the letters."""
    lacking = {ord(c) for c in words} - _letters(DEJAVU)
    return _loaded(PRETENDARD if lacking & _letters(PRETENDARD) else DEJAVU, size)


@cache
def _loaded(file: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


@cache
def _letters(file: Path) -> frozenset[int]:
    return frozenset(FT2Font(str(file)).get_charmap())
