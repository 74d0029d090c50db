"""Data that the tests of several models share."""

import pytest
import torch

from gen_lib.data import Batch, Domain, ImageSet, Split, TwoDomains
from gen_lib.data.domains import Caption


@pytest.fixture
def batch(few) -> Batch:
    """16 garments."""
    return few[:16]


@pytest.fixture(scope="session")
def noise_set() -> ImageSet:
    """60 training and 20 test images of noise, 16 pixels a side, in 4 classes."""
    rng = torch.Generator().manual_seed(0)
    halves = []
    for n in (60, 20):
        pixels = torch.randint(256, (n, 1, 16, 16), generator=rng, dtype=torch.uint8)
        halves.append(Split(pixels, torch.arange(n) % 4))
    return ImageSet("noise", *halves, ("a", "b", "c", "d"))


@pytest.fixture
def grey_and_bright() -> TwoDomains:
    """A: dark stripes, down or across; B: the same, 120 brighter."""
    rng = torch.Generator().manual_seed(0)
    stripes = torch.randint(60, (200, 1, 8, 1), generator=rng, dtype=torch.uint8)
    pictures = stripes.expand(200, 1, 8, 8).clone()
    pictures[::2] = pictures[::2].transpose(2, 3)
    captions = tuple(Caption(str(n), str(n)) for n in range(100))
    return TwoDomains(
        Domain(pictures[:100], captions), Domain(pictures[100:] + 120, captions), False
    )
