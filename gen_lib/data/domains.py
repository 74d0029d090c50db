"""Two domains of pictures, A and B, for learning to translate one into the other without pairs.

The training pictures of A and B show different things, so nothing says which belongs to which. The
held-out ones are true pairs where such exist: what a translation should have looked like.
"""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gen_lib import InputError
from gen_lib.data import seasons
from gen_lib.data.images import (
    Batch,
    ImageSet,
    Split,
    data_folder,
    load,
    minibatch,
    picture_files,
    read_picture,
    to_float,
)

DOMAIN_SETS = ("seasons", "emoji")
A, B = 0, 1  # the labels of a batch's images
SEASONS = {"a": range(5_000), "b": range(5_000, 10_000), "test": range(10_000, 10_500)}
EMOJI_SIDE = 32
EMOJI_FILES = {
    "noto.png": "e1b056f64be58d4513948aae13946c6586710ff5b79aa0baf51faa0ab8a90efc",
    "twemoji.png": "87f08682e3f58cfd087565d441dc5c93ee20398c5116dab2efcf3e233bc8f8cd",
    "emoji.csv": "a9eff2160ca2849708c9589f063b75cdc9d4f4aedfc9d4e78bcff428b984e15e",
}


class Caption(NamedTuple):
    """What a picture shows."""

    name: str
    family: str
    """The name of the base picture of which it is a variant, such as an emoji without skin tone."""
    category: str = ""


@dataclass(frozen=True)
class Domain:
    """The pictures of one domain: uint8 images (N, C, H, W) and what each shows."""

    images: UInt8[Tensor, "n channels height width"]
    captions: tuple[Caption, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def x(self) -> Float[Tensor, "n channels height width"]:
        """All images as models see them, in [-1, 1]."""
        return to_float(self.images)

    @property
    def bases(self) -> Int64[Tensor, "families"]:
        """The places of the pictures that are no variants of others: one of each family."""
        return torch.tensor([n for n, c in enumerate(self.captions) if c.name == c.family])


@dataclass(frozen=True)
class TwoDomains:
    """Pictures of A and of B; if ``paired``, the n-th of both show the same thing."""

    a: Domain
    b: Domain
    paired: bool

    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
        """``size`` images of A, labelled 0, then as many of B, labelled 1.

        Pairs stay together, at the same place of both halves; what is unpaired is shuffled apart.
        Like ``Split.batch`` it depends on nothing but its arguments.
        """
        size = min(size, len(self.a), len(self.b))
        seeds = (seed, seed if self.paired else seed + 1)
        parts = [
            to_float(domain.images[minibatch(len(domain), step, size, s)])
            for domain, s in zip((self.a, self.b), seeds, strict=True)
        ]
        return Batch(torch.cat(parts), torch.tensor([A, B]).repeat_interleave(size))


@dataclass(frozen=True)
class DomainSet:
    """Two domains by name: training pictures, held-out pictures, and what A and B are called."""

    name: str
    train: TwoDomains
    test: TwoDomains
    classes: tuple[str, str]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.a.images.shape[1:]
        return channels, height, width

    @property
    def labelled(self) -> ImageSet:
        """Both domains as one set of images of two classes, which a classifier can learn."""
        train, test = (
            Split(
                torch.cat([half.a.images, half.b.images]),
                torch.cat([torch.full((len(half.a),), A), torch.full((len(half.b),), B)]),
            )
            for half in (self.train, self.test)
        )
        return ImageSet(self.name, train, test, self.classes)


def load_domains(name: str, size: int = 32, paired: bool = False) -> DomainSet:
    """Two domains by name, or by the path of a folder.

    Args:
        name: ``seasons`` (A summer, B winter, drawn in seconds), ``emoji`` (A Noto, B Twemoji), or
            the path of a folder that holds pictures in ``trainA``, ``trainB``, ``testA`` and
            ``testB``, as CycleGAN's data sets do; its test pictures are pairs if those of A and B
            have the same file names.
        size: side in pixels of the pictures; emoji have 32 and no other.
        paired: train on true pairs, which unpaired training must do without: what it could reach.

    Raises:
        InputError: the name is unknown, its files are missing, damaged or no pictures, it has no
            such size, or no pairs to train on.
    """
    if name == "seasons":
        return _seasons(size, paired)
    if name == "emoji":
        return _emoji(size, paired)
    if name and Path(name).is_dir():
        return _folder(Path(name), size, paired)
    raise InputError(
        f"There is no pair of domains called {name!r}: choose one of {', '.join(DOMAIN_SETS)}, or "
        "give the path of a folder that holds pictures in trainA, trainB, testA and testB."
    )


def load_classes(name: str) -> ImageSet:
    """Images to classify: a data set or folder as ``load`` takes it, or two domains by name.

    Of two domains a classifier sees every picture in both, so that what it learns is the style.
    """
    return load_domains(name, paired=True).labelled if name in DOMAIN_SETS else load(name)


def load_pairs(name: str, size: int = 32) -> TwoDomains:
    """The held-out pictures alone, for whoever trains nothing: seasons are then drawn at once.

    Arguments and errors are those of ``load_domains``.
    """
    if name == "seasons" and size >= 1:
        scenes = SEASONS["test"]
        return TwoDomains(_season(scenes, False, size), _season(scenes, True, size), True)
    return load_domains(name, size).test


def _seasons(size: int, paired: bool) -> DomainSet:
    if size < 1:
        raise InputError(f"size is {size}: it must be a whole number of at least 1.")
    everything = range(SEASONS["a"].start, SEASONS["b"].stop)
    scenes = (everything, everything) if paired else (SEASONS["a"], SEASONS["b"])
    train, test = (
        TwoDomains(_season(a, False, size), _season(b, True, size), pairs)
        for a, b, pairs in ((*scenes, paired), (SEASONS["test"], SEASONS["test"], True))
    )
    return DomainSet("seasons", train, test, ("summer", "winter"))


def _season(scenes: range, winter: bool, size: int) -> Domain:
    names = [f"scene {n}" for n in scenes]
    captions = tuple(Caption(name, name) for name in names)
    return Domain(seasons.draw(scenes, winter, size), captions)


def _emoji(size: int, paired: bool) -> DomainSet:
    if size != EMOJI_SIDE:
        raise InputError(
            f"size is {size}: the emoji have {EMOJI_SIDE} pixels a side; leave it out."
        )
    folder = data_folder() / "emoji"
    _check_files(folder)
    with (folder / "emoji.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    noto, twemoji = (_cut_sheet(folder / f"{name}.png") for name in ("noto", "twemoji"))
    parts = ("ab", "ab") if paired else ("a", "b")
    train, test = (
        TwoDomains(_of(rows, noto, in_a), _of(rows, twemoji, in_b), pairs)
        for in_a, in_b, pairs in ((*parts, paired), (("test",), ("test",), True))
    )
    return DomainSet("emoji", train, test, ("noto", "twemoji"))


def _check_files(folder: Path) -> None:
    for name, sha256 in EMOJI_FILES.items():
        file = folder / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            fault = "truncated or altered" if file.is_file() else "missing"
            raise InputError(
                f"The data file {file} is {fault}: restore it with `git checkout -- data`, or take "
                "data/ from a fresh clone."
            )


def _cut_sheet(file: Path) -> UInt8[Tensor, "n 3 side side"]:
    """The pictures of a sheet, row by row."""
    from PIL import Image

    with Image.open(file) as picture:
        sheet = torch.from_numpy(np.array(picture))  # (rows * side, columns * side, 3)
    tiles = sheet.unflatten(1, (-1, EMOJI_SIDE)).unflatten(0, (-1, EMOJI_SIDE))
    return tiles.permute(0, 2, 4, 1, 3).flatten(0, 1)


def _of(
    rows: list[dict[str, str]], sheet: UInt8[Tensor, "n c h w"], parts: Iterable[str]
) -> Domain:
    """The pictures of some parts of the table."""
    places = [n for n, row in enumerate(rows) if row["split"] in parts]
    return Domain(sheet[places], tuple(_caption(rows[n]) for n in places))


def _caption(row: dict[str, str]) -> Caption:
    name = f"{row['name']}, {row['tone']} skin" if row["tone"] else row["name"]
    return Caption(name, row["family"], row["category"])


def _folder(folder: Path, size: int, paired: bool) -> DomainSet:
    train, test = (
        _half(*(_pictures(folder / f"{half}{domain}", size) for domain in "AB"))
        for half in ("train", "test")
    )
    if paired and not train.paired:
        raise InputError(
            f"The folders {folder}/trainA and trainB hold no pairs: the two pictures of a pair "
            "must have the same file name, and none may be left over."
        )
    return DomainSet(str(folder), TwoDomains(train.a, train.b, paired), test, ("A", "B"))


def _half(a: Domain, b: Domain) -> TwoDomains:
    return TwoDomains(a, b, paired=a.captions == b.captions)


def _pictures(folder: Path, size: int) -> Domain:
    files = picture_files(folder)
    if not files:
        raise InputError(
            f"There are no pictures in {folder}: a folder of two domains holds some in each of "
            "trainA, trainB, testA and testB."
        )
    names = [str(file.relative_to(folder).with_suffix("")) for file in files]
    images = torch.stack([read_picture(file, size) for file in files])
    return Domain(images, tuple(Caption(name, name) for name in names))
