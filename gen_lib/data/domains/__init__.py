"""Two domains of pictures, A and B, for learning a translation between them.

The training pictures of A and B show different things, so there are no pairs to learn from. The
test pictures are pairs where pairs exist: they show what a translation should look like.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.images import ImageSet, Split, load, minibatch, to_float

DOMAIN_SETS = ("seasons", "emoji")
A, B = 0, 1  # class indices for a classifier that tells the domains apart
SEASONS = {"a": range(5_000), "b": range(5_000, 10_000), "test": range(10_000, 10_500)}


class Caption(NamedTuple):
    """What a picture shows."""

    name: str
    family: str
    """The name of the base picture of which it is a variant, such as an emoji without skin tone."""
    category: str = ""


@dataclass(frozen=True)
class Domain:
    """The pictures of one domain and their captions."""

    images: UInt8[Tensor, "n channels height width"]
    captions: tuple[Caption, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def x(self) -> Float[Tensor, "n channels height width"]:
        """All images, in [-1, 1]."""
        return to_float(self.images)

    @property
    def names(self) -> tuple[str, ...]:
        """What each picture shows."""
        return tuple(caption.name for caption in self.captions)

    @property
    def bases(self) -> Int64[Tensor, "families"]:
        """Indices of the base pictures, which are no variants of others: one in each family."""
        return torch.tensor([n for n, c in enumerate(self.captions) if c.name == c.family])


class PairBatch(NamedTuple):
    """A minibatch of two domains: x of A and y of B, in [-1, 1]."""

    x: Float[Tensor, "batch channels height width"]
    y: Float[Tensor, "batch channels height width"]
    """y[n] is the partner of x[n] only if the domains are paired."""


@dataclass(frozen=True)
class TwoDomains:
    """Pictures of A and of B; if ``paired``, a[n] and b[n] show the same thing."""

    a: Domain
    b: Domain
    paired: bool

    def batch(self, step: int, size: int, seed: int = 0) -> PairBatch:
        """The minibatch of a training step: ``size`` images of each domain (see ``minibatch``).

        Pairs stay together; unpaired domains are shuffled independently.
        """
        size = min(size, len(self.a), len(self.b))
        in_a = minibatch(len(self.a), step, size, seed)
        in_b = minibatch(len(self.b), step, size, seed if self.paired else seed + 1)
        return PairBatch(to_float(self.a.images[in_a]), to_float(self.b.images[in_b]))


@dataclass(frozen=True)
class DomainSet:
    """A data set of two domains: its name, its two halves, and the names of A and B."""

    name: str
    train: TwoDomains
    test: TwoDomains
    classes: tuple[str, str]
    found: str = ""
    """For a folder: what was found in it, in one sentence."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.a.images.shape[1:]
        return channels, height, width

    @property
    def labelled(self) -> ImageSet:
        """Both domains as one set of images of two classes, for a classifier."""
        train, test = (
            Split(
                torch.cat([half.a.images, half.b.images]),
                torch.tensor([A] * len(half.a) + [B] * len(half.b)),
            )
            for half in (self.train, self.test)
        )
        return ImageSet(self.name, train, test, self.classes)


def load_domains(name: str, size: int = 32, paired: bool = False) -> DomainSet:
    """Load two domains by name, or by the path of a folder.

    Args:
        name: ``seasons`` (A summer, B winter, drawn in seconds), ``emoji`` (A Noto, B Twemoji), or
            the path of a folder with pictures in ``trainA``, ``trainB``, ``testA`` and ``testB``.
        size: side of the pictures in pixels; 32 for emoji.
        paired: train on true pairs, to measure what unpaired training could reach at best.

    Raises:
        InputError: the name is unknown, a file is missing, damaged or not a picture, the size is
            not available, or there are no pairs to train on.
    """
    if name == "seasons":
        return _seasons(size, paired)
    if name == "emoji":
        from gen_lib.data.domains.emoji import load_emoji

        return load_emoji(size, paired)
    if name and Path(name).is_dir():
        from gen_lib.data.folders import folder_domains

        return folder_domains(Path(name), size, paired)
    raise InputError(
        f"There is no pair of domains called {name!r}: choose one of {', '.join(DOMAIN_SETS)}, or "
        "give the path of a folder that holds pictures in trainA, trainB, testA and testB."
    )


def load_classes(name: str) -> ImageSet:
    """Load images to classify: a data set or folder (see ``load``), or two domains by name.

    Every training picture of two domains is in the set in both styles, so that a classifier
    learns the style and not the content.
    """
    return load_domains(name, paired=True).labelled if name in DOMAIN_SETS else load(name)


def load_pairs(name: str, size: int = 32) -> TwoDomains:
    """Load the test pictures alone. Arguments and errors are those of ``load_domains``.

    For ``seasons`` this is faster, because no training picture is drawn.
    """
    return _season_pairs(size) if name == "seasons" else load_domains(name, size).test


def _seasons(size: int, paired: bool) -> DomainSet:
    a, b = SEASONS["a"], SEASONS["b"]
    if paired:
        a = b = range(a.start, b.stop)
    train = TwoDomains(_season(a, False, size), _season(b, True, size), paired)
    return DomainSet("seasons", train, _season_pairs(size), ("summer", "winter"))


def _season_pairs(size: int) -> TwoDomains:
    scenes = SEASONS["test"]
    return TwoDomains(_season(scenes, False, size), _season(scenes, True, size), True)


def _season(scenes: range, winter: bool, size: int) -> Domain:
    from gen_lib.data.domains import seasons

    if size < 1:
        raise InputError(f"size is {size}: it must be a whole number of at least 1.")
    captions = tuple(Caption(name=f"scene {n}", family=f"scene {n}") for n in scenes)
    return Domain(seasons.draw(scenes, winter, size), captions)
