"""Folders of the reader's own pictures: what is read, at which size, and what is refused."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from gen_lib import InputError
from gen_lib.data import load, load_domains


def picture(path, size=(40, 40), color=(200, 100, 50), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


# One data set


def test_subfolders_are_classes_and_every_tenth_picture_is_held_out(tmp_path):
    for kind, n in (("dog", 12), ("cat", 13)):
        for i in range(n):
            picture(tmp_path / kind / f"{i:02}.png", color=(10 * i, 0, kind == "dog" and 255))
    images = load(str(tmp_path))
    assert images.classes == ("cat", "dog")
    assert (len(images.train), len(images.test)) == (22, 3)
    brightness, is_dog = images.test.images[:, 0, 0, 0], images.test.images[:, 2, 0, 0]
    assert brightness.tolist() == [0, 100, 70]  # cat 0, cat 10, dog 7: every tenth picture
    assert torch.equal(is_dog == 255, images.test.labels == 1)
    both = torch.cat([images.train.images, images.test.images])
    assert len({(int(i[0, 0, 0]), int(i[2, 0, 0])) for i in both}) == 25


def test_a_flat_folder_is_one_class_named_after_it(tmp_path):
    for i in range(3):
        picture(tmp_path / "shoes" / f"{i}.jpg")
    images = load(str(tmp_path / "shoes"))
    assert images.classes == ("shoes",)
    assert images.train.labels.tolist() == [0, 0]
    assert images.test.labels.tolist() == [0]


@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize("shape", [(40, 40), (90, 30), (5, 7)])
def test_pictures_of_any_shape_become_squares_of_the_size_asked_for(tmp_path, size, shape):
    for i in range(2):
        picture(tmp_path / f"{i}.png", size=shape)
    images = load(str(tmp_path), size)
    assert images.image_shape == (3, size, size)
    assert (torch.tensor([200, 100, 50]) == images.train.images[0].flatten(1).T).all()


def test_an_oblong_picture_is_cropped_in_its_middle_not_squeezed(tmp_path):
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 30:60] = 255
    for i in range(2):
        Image.fromarray(wide).save(tmp_path / f"{i}.png")
    assert (load(str(tmp_path), 10).train.images[..., 1:-1] == 255).all()


@pytest.mark.parametrize(
    ("mode", "color", "seen"),
    [
        ("L", 77, [77, 77, 77]),
        ("1", 1, [255, 255, 255]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("LA", (77, 255), [77, 77, 77]),
        ("P", 0, [0, 0, 0]),
    ],
)
def test_pictures_of_every_mode_are_read_as_rgb(tmp_path, mode, color, seen):
    for i in range(2):
        picture(tmp_path / f"{i}.png", mode=mode, color=color)
    assert load(str(tmp_path), 4).train.images[0, :, 0, 0].tolist() == seen


def test_files_that_are_no_pictures_are_passed_over(tmp_path):
    for i in range(2):
        picture(tmp_path / f"{i}.PNG")
    (tmp_path / "notes.txt").write_text("not a picture")
    images = load(str(tmp_path))
    assert len(images.train) + len(images.test) == 2


# Two domains, in the convention of CycleGAN


@pytest.fixture
def two_domains(tmp_path):
    """Two domains of made pictures: dark ones and bright ones, of many shapes."""
    counts = {"trainA": 5, "trainB": 4, "testA": 2, "testB": 2}
    for place, n in counts.items():
        (tmp_path / place).mkdir()
        bright = 155 if place.endswith("B") else 0
        for i in range(n):
            colour = (bright + 10 * i, bright, bright + 50)
            Image.new("RGB", (90 + i, 70 - i), colour).save(tmp_path / place / f"{place}{i}.png")
    return tmp_path


def test_a_folder_of_two_domains_is_read_at_the_size_asked_for(two_domains):
    found = load_domains(str(two_domains), size=64)
    assert found.image_shape == (3, 64, 64)
    assert found.classes == ("A", "B")
    assert (len(found.train.a), len(found.train.b)) == (5, 4)
    assert (len(found.test.a), len(found.test.b)) == (2, 2)
    assert found.train.a.images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert found.test.b.images[:, :, 32, 32].tolist() == [[155, 155, 205], [165, 155, 205]]
    assert found.test.a.captions[1].name == "testA1"
    assert not found.train.paired
    assert not found.test.paired
    batch = found.train.batch(0, 3)
    assert batch.x.shape == batch.y.shape == (3, 3, 64, 64)


def test_equal_file_names_in_a_folder_are_pairs(two_domains):
    for half in ("train", "test"):
        shutil.rmtree(two_domains / f"{half}B")
        shutil.copytree(two_domains / f"{half}A", two_domains / f"{half}B")
    found = load_domains(str(two_domains))
    assert found.test.paired
    assert not found.train.paired  # unless asked for
    train = load_domains(str(two_domains), paired=True).train
    batch = train.batch(0, 4)
    assert train.paired
    assert torch.equal(batch.x, batch.y)


@pytest.mark.parametrize("place", ["trainA", "trainB", "testA", "testB"])
@pytest.mark.parametrize("how", [shutil.rmtree, lambda f: [p.unlink() for p in f.iterdir()]])
def test_a_missing_or_empty_part_of_a_folder_is_named(two_domains, place, how):
    how(two_domains / place)
    with pytest.raises(InputError, match=rf"no pictures in .*{place}: a folder of two domains"):
        load_domains(str(two_domains))


def test_a_folder_without_pairs_has_none_to_train_on(two_domains):
    with pytest.raises(InputError, match=r"trainB hold no pairs: .* must have the same file name"):
        load_domains(str(two_domains), paired=True)
