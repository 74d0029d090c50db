"""Two domains of pictures, A and B, to learn a translation between them without pairs.

The training pictures of A and B show different things, so nothing says which belong together. The
held-out pictures are true pairs where pairs exist: they show what a translation should look like.
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
A, B = 0, 1  # class numbers where a classifier tells the domains apart
SEASONS = {"a": range(5_000), "b": range(5_000, 10_000), "test": range(10_000, 10_500)}


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
        """All images, in [-1, 1]."""
        return to_float(self.images)

    @property
    def bases(self) -> Int64[Tensor, "families"]:
        """Indices of the pictures that are not variants of others: one of each family."""
        return torch.tensor([n for n, c in enumerate(self.captions) if c.name == c.family])


class PairBatch(NamedTuple):
    """A minibatch of two domains: images in [-1, 1], as many of A as of B."""

    x: Float[Tensor, "batch channels height width"]
    """Images of A."""
    y: Float[Tensor, "batch channels height width"]
    """Images of B; the n-th belongs to the n-th of x only where the domains are paired."""


@dataclass(frozen=True)
class TwoDomains:
    """Pictures of A and of B; if ``paired``, the n-th of both show the same thing."""

    a: Domain
    b: Domain
    paired: bool

    def batch(self, step: int, size: int, seed: int = 0) -> PairBatch:
        """The ``size`` images of A and of B that a training step sees.

        Pairs stay together; unpaired domains are shuffled independently. Like ``Split.batch`` the
        result depends on nothing but the arguments.
        """
        size = min(size, len(self.a), len(self.b))
        seeds = (seed, seed if self.paired else seed + 1)
        return PairBatch(
            *(
                to_float(domain.images[minibatch(len(domain), step, size, s)])
                for domain, s in zip((self.a, self.b), seeds, strict=True)
            )
        )


@dataclass(frozen=True)
class DomainSet:
    """Two domains by name: training pictures, held-out pictures, and the names of A and B."""

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
        """Both domains as one set of images of two classes, for a classifier."""
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
            ``testB``, as CycleGAN's data sets do. Its test pictures are pairs if those of A and B
            have the same file names.
        size: side in pixels of the pictures; emoji have 32 and no other.
        paired: train on true pairs, to measure what unpaired training could reach at best.

    Raises:
        InputError: the name is unknown, its files are missing, damaged or no pictures, it has no
            such size, or no pairs to train on.
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
    """Images to classify: a data set or folder as ``load`` takes it, or two domains by name.

    A classifier of two domains is trained on every picture in both styles, so that it learns the
    style and not the motif.
    """
    return load_domains(name, paired=True).labelled if name in DOMAIN_SETS else load(name)


def load_pairs(name: str, size: int = 32) -> TwoDomains:
    """The held-out pictures alone, which is faster: no training picture is drawn.

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
    from gen_lib.data.domains import seasons

    names = [f"scene {n}" for n in scenes]
    captions = tuple(Caption(name, name) for name in names)
    return Domain(seasons.draw(scenes, winter, size), captions)
