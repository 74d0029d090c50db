"""Data sets by name: the shipped one, and those that torchvision downloads."""

import numpy as np
import pytest
import torch
from torchvision import datasets

from gen_lib import InputError
from gen_lib.data import data_folder, load


@pytest.mark.parametrize(("half", "n"), [("train", 60_000), ("test", 10_000)])
def test_fashion_mnist_is_what_torchvision_reads_from_the_shipped_files(fashion, tmp_path, half, n):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in (data_folder() / "FashionMNIST" / "raw").glob("*.gz"):
        (raw / archive.name).symlink_to(archive)
    theirs = datasets.FashionMNIST(
        tmp_path, train=half == "train", download=True
    )  # unpacks the archives
    ours = getattr(fashion, half)
    assert ours.images.shape == (n, 1, 28, 28)
    assert ours.images.dtype == torch.uint8
    assert ours.labels.dtype == torch.int64
    assert torch.equal(ours.images[:, 0], theirs.data)
    assert torch.equal(ours.labels, theirs.targets)
    assert ours.labels.bincount().tolist() == [n // 10] * 10
    assert fashion.classes == tuple(theirs.classes)


def test_fashion_mnist_has_its_names_and_shape(fashion):
    assert fashion.name == "fashion_mnist"
    assert fashion.classes[0] == "T-shirt/top"
    assert fashion.classes[9] == "Ankle boot"
    assert fashion.image_shape == (1, 28, 28)


class Downloaded:
    """A data set of torchvision, without its files."""

    def __init__(self, root, train: bool, download: bool):
        assert (root, download) == (data_folder(), True)
        rng = np.random.default_rng(train)
        self.data, self.targets = rng.integers(0, 256, (5, *self.shape), np.uint8), [3, 1, 4, 1, 5]
        self.classes = ["0 - zero", "1 - one", "two"]
        self.made.append(self)


@pytest.mark.parametrize(
    ("name", "kind", "shape"), [("cifar10", "CIFAR10", (32, 32, 3)), ("mnist", "MNIST", (28, 28))]
)
def test_what_torchvision_downloads_has_channels_first(monkeypatch, name, kind, shape):
    made = []
    fake = type("Fake", (Downloaded,), {"shape": shape, "made": made})
    monkeypatch.setattr(datasets, kind, fake)
    found = load(name)
    assert found.name == name
    assert found.classes == ("zero", "one", "two")
    for half, theirs in zip((found.train, found.test), made, strict=True):
        pixels = theirs.data.reshape(5, *shape[:2], -1).transpose(0, 3, 1, 2)
        assert np.array_equal(half.images, pixels)
        assert half.images.is_contiguous()
        assert half.labels.tolist() == [3, 1, 4, 1, 5]
        assert half.labels.dtype == torch.int64


def test_what_cannot_be_downloaded_is_told_with_its_remedy(monkeypatch):
    def offline(*arguments, **options):
        raise RuntimeError("no network")

    monkeypatch.setattr(datasets, "KMNIST", offline)
    with pytest.raises(InputError, match=r"kmnist is neither in .* \(no network\): connect to a"):
        load("kmnist")


@pytest.mark.parametrize("name", ["", "fasion_mnist"])
def test_an_unknown_name_is_refused_with_the_names_of_all(name):
    with pytest.raises(InputError, match=f"called '{name}': choose one of fashion_mnist, mnist"):
        load(name)
