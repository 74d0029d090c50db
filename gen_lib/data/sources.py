"""Image data sets by name: the shipped Fashion-MNIST, and those that torchvision downloads."""

import gzip
import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from platformdirs import user_cache_path
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.images import ImageSet, Split, data_folder

GARMENTS = "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"


@lru_cache(maxsize=1)
def fashion_mnist(data: Path) -> ImageSet:
    """Read Fashion-MNIST from the data folder; all that ask for it share one copy in memory.

    Raises:
        InputError: a file is missing or damaged.
    """
    folder = data / "FashionMNIST" / "raw"
    train, test = (
        _split(
            _idx(folder / f"{half}-images-idx3-ubyte.gz", header=16).reshape(-1, 28, 28),
            _idx(folder / f"{half}-labels-idx1-ubyte.gz", header=8).long(),
        )
        for half in ("train", "t10k")
    )
    return ImageSet("fashion_mnist", train, test, tuple(GARMENTS.split(", ")))


def _idx(file: Path, header: int) -> UInt8[Tensor, "values"]:
    """Read a file in IDX format: ``header`` bytes, which are skipped, and the values."""
    try:
        content = gzip.decompress(file.read_bytes())  # also compares a checksum
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"The data file {file} is missing, truncated or altered: restore it with "
            "`git checkout -- data`, or take data/ from a fresh clone."
        ) from error
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header)


def torchvision_set(name: str) -> ImageSet:
    """Load ``mnist``, ``kmnist`` or ``cifar10``, which torchvision downloads on first use.

    Raises:
        InputError: the data set is not in the data folder and cannot be downloaded.
    """
    from torchvision import datasets  # imported here because this takes seconds

    kind, root = getattr(datasets, name.upper()), data_folder()
    if not os.access(root, os.W_OK):  # such as a class folder that all may read
        root = user_cache_path("gen_lib")
    try:
        train, test = (kind(root, train=train, download=True) for train in (True, False))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name} is neither in {root} nor could it be downloaded there ({error}): connect to a "
            "network for the first use, or take fashion_mnist, which is shipped."
        ) from error
    classes = tuple(label.split(" - ")[-1] for label in train.classes)
    train, test = (_split(half.data, half.targets) for half in (train, test))
    return ImageSet(name, train, test, classes)


def _split(images: Any, labels: Any) -> Split:
    """Convert images (N, H, W) or (N, H, W, C) and N labels, as tensors, arrays or lists."""
    images = torch.as_tensor(images)
    # grey images get the strides (H W, 1, W, 1); with others, convolutions round differently
    images = images.reshape(*images.shape[:3], -1).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.as_tensor(labels))
