"""What each emoji is called, in English and Korean, beside its picture.

The labels are those of Unicode's CLDR. Most of their words occur only once, so that a model that
draws emoji from words can learn them by heart but hardly compose them.
"""

import csv
from dataclasses import dataclass

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.domains.emoji import FILES, _cut_sheet
from gen_lib.data.images import data_folder
from gen_lib.files import check_files

STYLES = ("noto", "twemoji")
LABELS_SHA256 = "16ecf16943d552ca2936a83f796ba686f6a832033fc4906d5246680d9d8c3251"


@dataclass(frozen=True)
class LabelledEmoji:
    """Emoji of one style and their labels; ``english[n]`` and ``korean[n]`` name ``images[n]``."""

    images: UInt8[Tensor, "n 3 side side"]
    english: tuple[str, ...]
    korean: tuple[str, ...]
    test: Bool[Tensor, "n"]
    """Which emoji are for testing. Variants of one emoji are all for testing, or none is."""


def load_labelled_emoji(style: str = "noto", tones: bool = False) -> LabelledEmoji:
    """Load 1,636 emoji of one style with their labels, or 3,216 with their skin tones.

    Raises:
        InputError: the style is unknown, or a file is missing or altered.
    """
    if style not in STYLES:
        raise InputError(f"There is no style {style!r}: choose one of {', '.join(STYLES)}.")
    folder = data_folder() / "emoji"
    check_files(folder, FILES | {"labels.csv": LABELS_SHA256})
    with (folder / "emoji.csv").open(newline="", encoding="utf-8") as table:
        emoji = list(csv.DictReader(table))
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as table:
        labels = list(csv.DictReader(table))
    kept = [n for n, row in enumerate(emoji) if tones or not row["tone"]]
    return LabelledEmoji(
        _cut_sheet(folder / f"{style}.png")[kept],
        tuple(labels[n]["en"] for n in kept),
        tuple(labels[n]["ko"] for n in kept),
        torch.tensor([emoji[n]["split"] == "test" for n in kept]),
    )
