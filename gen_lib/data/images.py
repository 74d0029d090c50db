"""Image data sets, each held whole in one uint8 tensor.

At 28 pixels the 60,000 training images of Fashion-MNIST (Xiao, Rasul, Vollgraf 2017,
arXiv:1708.07747) are 47 MB: a minibatch is a slice of that tensor, and no DataLoader is needed.
"""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gen_lib import InputError

TORCHVISION_SETS = {
    "fashion_mnist": "FashionMNIST",
    "mnist": "MNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
}


def to_float(images: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Pictures 0 ... 255 to the model's range [-1, 1].

    >>> to_float(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.,  1.])
    """
    return images / 127.5 - 1


def to_uint8(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """The model's range [-1, 1] to pictures 0 ... 255; values outside are clipped.

    >>> to_uint8(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


class Batch(NamedTuple):
    """A minibatch as models see it: images in [-1, 1] and their class numbers."""

    images: Float[Tensor, "batch channels height width"]
    labels: Int64[Tensor, "batch"]


@lru_cache(maxsize=4)
def _order(n: int, seed: int, epoch: int) -> Int64[Tensor, "n"]:
    rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=rng)


def minibatch(n: int, step: int, size: int, seed: int) -> Int64[Tensor, "batch"]:
    """Which of n images training step 0, 1, 2, ... sees: each once an epoch, newly shuffled.

    It depends on nothing but its arguments, so an interrupted run can go on where it was. The last
    images of an epoch that do not fill a batch sit that epoch out.
    """
    size = min(size, n)
    epoch, place = divmod(step, n // size)
    return _order(n, seed, epoch)[place * size : (place + 1) * size]


@dataclass(frozen=True)
class Split:
    """One half of a data set: uint8 images (N, C, H, W) and class numbers (N,)."""

    images: UInt8[Tensor, "n channels height width"]
    labels: Int64[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def x(self) -> Float[Tensor, "n channels height width"]:
        """All images as models see them, in [-1, 1]."""
        return to_float(self.images)

    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
        """The images of a training step (see ``minibatch``)."""
        return self[minibatch(len(self), step, size, seed)]

    def __getitem__(self, index: Int64[Tensor, "batch"] | slice) -> Batch:
        return Batch(to_float(self.images[index]), self.labels[index])

    def subset(self, n: int, seed: int = 0) -> "Split":
        """n images drawn without replacement (all of them, shuffled, where there are fewer)."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))[:n]
        return Split(self.images[order], self.labels[order])

    def to(self, device: torch.device) -> "Split":
        """The same images on another device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class ImageSet:
    """A data set by name, its training and test halves and the names of its classes."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def data_folder() -> Path:
    """The folder of the shipped data: ``GEN_LIB_DATA`` if set, else ``data/`` of the checkout."""
    override = os.environ.get("GEN_LIB_DATA")
    folder = Path(override) if override else Path(__file__).resolve().parents[2] / "data"
    if not folder.is_dir():
        raise InputError(
            f"There is no data folder at {folder}: set GEN_LIB_DATA to the data/ folder of a "
            "clone of the course, or install the package from a clone with pip install -e ."
        )
    return folder


def load(name: str, size: int = 32) -> ImageSet:
    """A data set by name, or a folder of pictures by its path.

    Args:
        name: ``fashion_mnist`` (shipped), ``mnist``, ``kmnist``, ``cifar10`` (fetched by
            torchvision on first use), or the path of a folder of pictures, whose sub-folders, if it
            has any, are the classes and whose every tenth picture is held out for the test half;
            what is transparent becomes white.
        size: side in pixels to which the pictures of a folder are cropped and scaled.

    Raises:
        InputError: the name is unknown, or its files are missing, damaged or no pictures.
    """
    if name in TORCHVISION_SETS:
        return _torchvision_set(name)
    if name and Path(name).is_dir():
        from gen_lib.data.folders import folder_set

        return folder_set(Path(name), size)
    raise InputError(
        f"There is no data set called {name!r}: choose one of {', '.join(TORCHVISION_SETS)}, "
        "or give the path of a folder of pictures."
    )


def _torchvision_set(name: str) -> ImageSet:
    from torchvision import datasets  # here, because the import costs more than torch's own

    kind, root = getattr(datasets, TORCHVISION_SETS[name]), data_folder()
    if name == "fashion_mnist":
        for archive, md5 in kind.resources:
            _unpack(root / "FashionMNIST" / "raw" / archive, md5)
    try:
        train, test = (kind(root, train=train, download=True) for train in (True, False))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name} is neither in {root} nor could it be downloaded there ({error}): connect to a "
            "network for the first use, or take fashion_mnist, which is shipped."
        ) from error
    classes = tuple(label.split(" - ")[-1] for label in train.classes)
    return ImageSet(name, _split(train), _split(test), classes)


def _split(dataset) -> Split:
    images = torch.as_tensor(dataset.data)
    colour = images if images.dim() == 4 else images[..., None]  # (N, H, W, C)
    return Split(colour.permute(0, 3, 1, 2).contiguous(), torch.as_tensor(dataset.targets))


def _unpack(archive: Path, md5: str) -> None:
    """Verify a shipped .gz file and put the unpacked copy that torchvision reads beside it."""
    remedy = "restore it with `git checkout -- data`, or take data/ from a fresh clone"
    if not archive.is_file():
        raise InputError(f"The data file {archive} is missing: {remedy}.")
    packed = archive.read_bytes()
    if hashlib.md5(packed, usedforsecurity=False).hexdigest() != md5:
        raise InputError(f"The data file {archive} is truncated or altered: {remedy}.")
    unpacked = archive.with_suffix("")
    checksum = int.from_bytes(packed[-8:-4], "little")  # a gzip file ends in the CRC32 of its text
    if unpacked.is_file() and zlib.crc32(unpacked.read_bytes()) == checksum:
        return
    partial = unpacked.with_name(f"{unpacked.name}.{os.getpid()}")
    try:
        partial.write_bytes(gzip.decompress(packed))
        partial.replace(unpacked)  # atomic: another process sees all of it or nothing
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(
            f"{archive} could not be unpacked beside itself ({error.strerror}): make the folder "
            "writable or free some disk space."
        ) from error
