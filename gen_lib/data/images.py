"""Image data sets, each held in memory as one uint8 tensor.

The 60,000 training images of Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747) take
47 MB, so a minibatch is taken from that tensor by indexing, without a DataLoader.
"""

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gen_lib import InputError

TORCHVISION_SETS = ("fashion_mnist", "mnist", "kmnist", "cifar10")
IMAGE_SETS = (*TORCHVISION_SETS, "people")


def to_float(images: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Map pixels in 0 ... 255 to [-1, 1].

    >>> to_float(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.,  1.])
    """
    return images / 127.5 - 1


def to_uint8(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Map values in [-1, 1] to pixels in 0 ... 255; values outside are clipped.

    >>> to_uint8(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


class Batch(NamedTuple):
    """A minibatch: images in [-1, 1] and their labels: class indices, unless said otherwise."""

    images: Float[Tensor, "batch channels height width"]
    labels: Int64[Tensor, "batch *words"]


@lru_cache(maxsize=4)
def _order(n: int, seed: int, epoch: int) -> Int64[Tensor, "n"]:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def minibatch(n: int, step: int, size: int, seed: int) -> Int64[Tensor, "batch"]:
    """Indices, out of n images, of the minibatch of training step 0, 1, 2, ...

    Every epoch has a new random order; its last n % size images are left out. The result depends
    on the arguments alone, so an interrupted run can continue at any step.
    """
    size = min(size, n)
    epoch, place = divmod(step, n // size)
    return _order(n, seed, epoch)[place * size : (place + 1) * size]


@dataclass(frozen=True)
class Split:
    """The training or the test half of a data set."""

    images: UInt8[Tensor, "n channels height width"]
    labels: Int64[Tensor, "n *kinds"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Int64[Tensor, "batch"] | slice) -> Batch:
        return Batch(to_float(self.images[index]), self.labels[index])

    @property
    def x(self) -> Float[Tensor, "n channels height width"]:
        """All images, in [-1, 1]."""
        return to_float(self.images)

    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
        """The minibatch of a training step (see ``minibatch``)."""
        return self[minibatch(len(self), step, size, seed)]

    def subset(self, n: int, seed: int = 0) -> "Split":
        """Draw n images without replacement; all of them, shuffled, if there are fewer."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:n]
        return replace(self, images=self.images[order], labels=self.labels[order])


@dataclass(frozen=True)
class ImageSet:
    """A data set: its name, its two halves, and the names of its classes."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    found: str = ""
    """For a folder: what was found in it, and what is not used, in a sentence or two."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def load(name: str, size: int = 32) -> ImageSet:
    """Load a data set by name, or a folder of pictures by its path.

    ``fashion_mnist`` and ``people`` are shipped; torchvision downloads ``mnist``, ``kmnist`` and
    ``cifar10`` on first use. The pictures of a folder are cropped and scaled to ``size`` x ``size``
    pixels.

    Raises:
        InputError: the name is unknown, or a file is missing, damaged or not a picture.
    """
    if name in TORCHVISION_SETS:
        from gen_lib.data import sources

        if name == "fashion_mnist":
            return sources.fashion_mnist(data_folder())
        return sources.torchvision_set(name)
    if name == "people":
        from gen_lib.data.people.sets import people_set

        return people_set()
    if name and Path(name).is_dir():
        from gen_lib.data.folders import folder_set

        return folder_set(Path(name), size)
    raise InputError(
        f"There is no data set called {name!r}: choose one of {', '.join(IMAGE_SETS)}, "
        "or give the path of a folder of pictures."
    )


def data_folder() -> Path:
    """The folder of the shipped data: ``GEN_LIB_DATA`` if set, else ``data/`` of the checkout.

    Raises:
        InputError: there is no such folder.
    """
    folder = Path(os.environ.get("GEN_LIB_DATA") or Path(__file__).resolve().parents[2] / "data")
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InputError(
            f"There is no data folder at {folder}: set GEN_LIB_DATA to the data/ folder of a "
            "clone of the course, or install the package from a clone with pip install -e ."
        )
    return folder
