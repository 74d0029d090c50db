"""People of 48 x 48 pixels, what each of them shows, and pairs of values left out of training.

The pictures are drawn from the parts of DiceBear's ``voxel-art`` (CC0), so the table is exact:
every picture has one value of each of nine kinds, and each value can be seen. ``captions`` says
them in English or Korean; ``words`` reads such sentences and turns them into numbers.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.images import data_folder, minibatch, to_float
from gen_lib.files import check_files

SIDE = 48
FILES = {
    "people.png": "8ea7653f3e2483721dc8acf0c0b1830cfab7902b706eed7ab65f92139aad903d",
    "clothes.png": "0f4db81adb55d1687eb4b0cec792adc2d8a467be6287224c19773bed21c1a232",
    "people.csv": "16a51274ff24d5bc7e6a845ee9bc1b14fe4744dc007cc0f871b655330f690de2",
}
"""The shipped files and their SHA-256."""
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white")
HAIR = ("short", "spiky", "curly", "mohawk", "buns", "topknot", "bowl cut", "bob", "long")
OUTFITS = ("T-shirt", "striped shirt", "tie", "hoodie", "jacket", "coat", "dress", "overalls")
KINDS: dict[str, tuple[str, ...]] = {
    "background": ("white", "grey", "blue", "green", "yellow", "pink", "purple"),
    "skin": ("light", "tan", "brown", "dark"),
    "hair": (*HAIR, "braids", "pigtails"),
    "hair colour": ("black", "brown", "blond", "red", "green", "purple", "white"),
    "hat": ("none", "cap", "beanie", "bunny hat"),
    "hat colour": ("none", "red", "yellow", "green", "blue", "black", "white"),
    "outfit": OUTFITS,
    "outfit colour": COLOURS,
    "glasses": ("none", "glasses", "sunglasses", "goggles"),
}
"""Every kind of attribute and its values. ``hat colour`` is none where ``hat`` is, nowhere else."""
BACKGROUNDS = {
    "white": 0xFFFFFF,
    "grey": 0xC4C9CF,
    "blue": 0xB6E3F4,
    "green": 0xB7E8B0,
    "yellow": 0xFFF0A0,
    "pink": 0xFFC9DC,
    "purple": 0xCDBCF5,
}
"""The colour of each background, as 0xRRGGBB; the corners of every picture have it."""
NO_WORD = -1
"""The attribute of a picture that shows something for which there is no value."""


class Pair(NamedTuple):
    """Two values of different kinds that never stand together in a training picture."""

    first: tuple[str, str]
    second: tuple[str, str]

    def __str__(self) -> str:
        return " + ".join(f"{kind} {value}" for kind, value in self)


HELD_OUT = (
    Pair(("outfit", "dress"), ("outfit colour", "green")),
    Pair(("hat", "beanie"), ("hat colour", "yellow")),
    Pair(("hair", "mohawk"), ("hair colour", "green")),
    Pair(("hair colour", "purple"), ("outfit colour", "orange")),
    Pair(("background", "yellow"), ("outfit", "overalls")),
    Pair(("hair", "braids"), ("outfit", "hoodie")),
    Pair(("hair", "curly"), ("glasses", "sunglasses")),
)


class PeopleBatch(NamedTuple):
    """A minibatch: images in [-1, 1], and the value of every kind as an index into KINDS."""

    images: Float[Tensor, "batch 3 side side"]
    attributes: Int64[Tensor, "batch kinds"]


@dataclass(frozen=True)
class PeopleSplit:
    """Pictures and, for each, the index of its value of every kind (or NO_WORD)."""

    images: UInt8[Tensor, "n 3 side side"]
    attributes: Int64[Tensor, "n kinds"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Int64[Tensor, "batch"] | slice) -> PeopleBatch:
        return PeopleBatch(to_float(self.images[index]), self.attributes[index])

    @property
    def x(self) -> Float[Tensor, "n 3 side side"]:
        """All images, in [-1, 1]."""
        return to_float(self.images)

    def batch(self, step: int, size: int, seed: int = 0) -> PeopleBatch:
        """The minibatch of a training step (see ``gen_lib.data.images.minibatch``)."""
        return self[minibatch(len(self), step, size, seed)]


@dataclass(frozen=True)
class Outfits:
    """For virtual try-on: ``before[n]`` and ``after[n]`` are one person in different clothes.

    Their outfits differ (n % 3 = 0), or its colours (1), or both (2).
    """

    before: PeopleSplit
    after: PeopleSplit
    clothes: Bool[Tensor, "n 1 side side"]
    """True where two outfits of person n can differ; what lies outside is the same in all."""


@dataclass(frozen=True)
class Character:
    """A character with a hat, a beard and colours that no other picture shows."""

    few: PeopleSplit
    """Five pictures to learn from."""
    more: PeopleSplit
    """Pictures to test with, on other backgrounds and in other clothes."""


@dataclass(frozen=True)
class People:
    """All pictures. No row of ``attributes`` in another split is also one of ``train``."""

    train: PeopleSplit
    test: PeopleSplit
    held_out: PeopleSplit
    """Pictures that show a pair of HELD_OUT; 86 were drawn for each pair, in the order of pairs."""
    outfits: Outfits
    character: Character


def value_of(kind: str, value: str) -> int:
    """The index of a value among those of its kind.

    Raises:
        InputError: there is no such kind or value.

    >>> value_of("skin", "tan")
    1
    """
    if kind not in KINDS:
        raise InputError(f"There is no kind {kind!r}: choose one of {', '.join(KINDS)}.")
    if value not in KINDS[kind]:
        raise InputError(f"There is no {kind} {value!r}: choose one of {', '.join(KINDS[kind])}.")
    return KINDS[kind].index(value)


def shows(attributes: Int64[Tensor, "n kinds"], *values: tuple[str, str]) -> Bool[Tensor, "n"]:
    """Which rows have all the values, each given as (kind, value); a ``Pair`` is two of them."""
    kinds = list(KINDS)
    found = torch.ones(len(attributes), dtype=torch.bool)
    for kind, value in values:
        place = value_of(kind, value)
        found &= attributes[:, kinds.index(kind)] == place
    return found


def load_people() -> People:
    """Load the people; all that ask for them share one copy in memory (85 MB).

    Raises:
        InputError: a file is missing or altered.
    """
    return _load(data_folder() / "people")


@lru_cache(maxsize=1)
def _load(folder: Path) -> People:
    check_files(folder, FILES)
    with (folder / "people.csv").open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    rows = torch.tensor([list(_indices(row)) for row in table])
    sheet = _cut_sheet(folder / "people.png", "RGB")
    places = {name: [n for n, row in enumerate(table) if row["split"] == name] for name in _SPLITS}
    splits = {name: PeopleSplit(sheet[where], rows[where]) for name, where in places.items()}
    before, after = (_every(splits["outfits"], slice(k, None, 2)) for k in (0, 1))
    clothes = _cut_sheet(folder / "clothes.png", "L")[: len(before)] > 0
    few, more = (_every(splits["character"], s) for s in (slice(5), slice(5, None)))
    return People(
        splits["train"],
        splits["test"],
        splits["held_out"],
        Outfits(before, after, clothes),
        Character(few, more),
    )


_SPLITS = ("train", "test", "held_out", "outfits", "character")


def _indices(row: dict[str, str]) -> Iterator[int]:
    for kind, values in KINDS.items():
        yield values.index(row[kind]) if row[kind] else NO_WORD


def _every(split: PeopleSplit, which: slice) -> PeopleSplit:
    return PeopleSplit(split.images[which], split.attributes[which])


def _cut_sheet(file: Path, mode: str) -> UInt8[Tensor, "n channels side side"]:
    """Cut a sheet of pictures into its tiles, row by row."""
    from PIL import Image

    with Image.open(file) as picture:
        pixels = np.array(picture.convert(mode))
    sheet = torch.from_numpy(pixels).reshape(*pixels.shape[:2], -1)
    tiles = sheet.unflatten(1, (-1, SIDE)).unflatten(0, (-1, SIDE))
    return tiles.permute(0, 2, 4, 1, 3).flatten(0, 1)
