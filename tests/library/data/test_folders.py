"""Folders of the reader's own pictures: what is read, at which size, and what is refused."""

import shutil
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

from gen_lib import InputError
from gen_lib.data import load, load_domains
from gen_lib.data.folders import held_out, read_picture


def picture(path, size=(40, 40), color=(200, 100, 50), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


# One data set


def pixels(split) -> set[tuple[int, ...]]:
    """The colours of the pictures of a split, each a single colour."""
    return {tuple(image[:, 0, 0].tolist()) for image in split.images}


def cats_and_dogs(folder, ending=".png"):
    for kind, n in (("dog", 12), ("cat", 13)):
        for i in range(n):
            color = (10 * i, 0, 255 if kind == "dog" else 0)
            picture(folder / kind / f"{i:02}{ending}", color=color)


def test_subfolders_are_classes_and_every_picture_is_in_one_half(tmp_path):
    cats_and_dogs(tmp_path)
    images = load(str(tmp_path))
    assert images.classes == ("cat", "dog")
    for half in (images.train, images.test):
        assert torch.equal(half.images[:, 2, 0, 0] == 255, half.labels == 1)
    assert len(pixels(images.train) | pixels(images.test)) == 25
    assert not pixels(images.train) & pixels(images.test)
    assert "25 pictures, 23 to train on and 2 to test. 2 classes: cat 13, dog 12." in images.found


def test_a_class_whose_only_picture_is_held_out_is_still_a_class(tmp_path):
    names = [f"{chr(97 + i)}/0.png" for i in range(20)]
    for name in names:
        picture(tmp_path / name)
    images = load(str(tmp_path))
    assert len(images.classes) == 20
    assert len(images.test) == held_out(names).sum() > 0
    assert not set(images.test.labels.tolist()) & set(images.train.labels.tolist())


def test_about_a_tenth_is_held_out_and_each_name_decides_for_itself():
    names = [f"img{i:05}.jpg" for i in range(10_000)]
    kept = held_out(names)
    assert 900 < kept.sum() < 1_100
    assert torch.equal(held_out(names[:5_000]), kept[:5_000])
    order = torch.randperm(10_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(held_out([names[i] for i in order]), kept[order])


@pytest.mark.parametrize("n", [2, 3, 7, 40])
def test_no_half_is_empty_and_no_picture_seen_in_training_becomes_a_test_picture(n):
    names = [f"{i}.png" for i in range(n)]
    before = held_out(names)
    assert before.any()
    assert not before.all()
    for new in range(50):
        after = held_out([*names, f"new {new}.png"])[:n]
        assert not (after & ~before).any()


def test_a_picture_added_later_moves_no_other_to_the_test_half(tmp_path):
    cats_and_dogs(tmp_path)
    trained = pixels(load(str(tmp_path)).train)
    picture(tmp_path / "cat" / "a new one.png", color=(1, 2, 3))
    assert not trained & pixels(load(str(tmp_path)).test)


# What lies beside pictures


@pytest.mark.parametrize(
    "path",
    [
        ".ipynb_checkpoints/0-checkpoint.png",
        "cat/.ipynb_checkpoints/0-checkpoint.png",
        "__MACOSX/cat/0.png",
        "@eaDir/0.png",
        ".hidden.png",
        "cat/._00.png",
        "Thumbs.db",
        "desktop.ini",
    ],
)
def test_hidden_files_and_what_systems_leave_behind_change_nothing(tmp_path, path):
    cats_and_dogs(tmp_path)
    clean = load(str(tmp_path))
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_bytes(next(tmp_path.rglob("00.png")).read_bytes())
    found = load(str(tmp_path))
    assert found.classes == clean.classes
    assert found.found == clean.found
    assert torch.equal(found.train.images, clean.train.images)


def test_links_are_followed_once_and_broken_ones_are_named(tmp_path):
    cats_and_dogs(tmp_path / "elsewhere")
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    (folder / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    (tmp_path / "elsewhere" / "cat" / "again").symlink_to(folder)  # a loop
    (folder / "cat" / "gone.txt").symlink_to(tmp_path / "nowhere")
    images = load(str(folder))
    assert images.classes == ("cat", "dog")
    assert len(images.train) + len(images.test) == 25
    assert "not used: 1 other files, .txt 1" in images.found


def test_formats_are_read_from_the_content(tmp_path):
    cats_and_dogs(tmp_path)
    for file in sorted(tmp_path.rglob("*.png"))[:6]:
        file.rename(file.with_suffix(""))  # a picture without an ending
    for ending, kind in ((".jfif", "JPEG"), (".tif", "TIFF"), (".webp", "WEBP"), (".data", "BMP")):
        Image.new("RGB", (9, 9)).save(tmp_path / "cat" / f"x{ending}", kind)
    (tmp_path / "cat" / "read me.txt").write_text("P1 stands for the first picture")
    (tmp_path / "cat" / "phone.heic").write_bytes(b"ftypheic")
    images = load(str(tmp_path))
    assert len(images.train) + len(images.test) == 29
    assert "(not used: 2 other files, .heic 1, .txt 1)" in images.found


def test_a_folder_without_usable_pictures_says_what_it_holds(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"ftypheic")
    with pytest.raises(InputError, match=r"holds 0 pictures \(not used: 1 other files, .heic 1\)"):
        load(str(tmp_path))


# Halves that are there already


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "val"), ("training", "Validation")])
def test_a_tree_of_train_and_test_has_its_own_halves(tmp_path, names):
    train, test = names
    cats_and_dogs(tmp_path / train)
    for i, kind in enumerate(("cat", "dog", "dog")):
        picture(tmp_path / test / kind / f"{i}.png", color=(1, 1, i))
    images = load(str(tmp_path))
    assert images.classes == ("cat", "dog")
    assert len(images.train) == 25
    assert pixels(images.test) == {(1, 1, 0), (1, 1, 1), (1, 1, 2)}
    assert images.test.labels.tolist() == [0, 1, 1]


def test_of_validation_and_test_pictures_the_latter_are_used(tmp_path):
    for half, n in (("train", 5), ("val", 4), ("test", 3)):
        for i in range(n):
            picture(tmp_path / half / f"{half}{i}.png")
    images = load(str(tmp_path))
    assert (len(images.train), len(images.test)) == (5, 3)
    assert images.classes == (tmp_path.name,)
    assert "not used: 4 other files, .png 4" in images.found


def test_folders_are_classes_if_they_are_not_all_halves(tmp_path):
    for kind in ("train", "car", "test"):
        for i in range(6):
            picture(tmp_path / kind / f"{i}.png")
    assert load(str(tmp_path)).classes == ("car", "test", "train")


def test_a_test_class_that_was_never_trained_is_named(tmp_path):
    cats_and_dogs(tmp_path / "train")
    picture(tmp_path / "test" / "bird" / "0.png")
    with pytest.raises(InputError, match=r"classes that no training picture has \(bird\)"):
        load(str(tmp_path))


# Names in any script


def test_one_name_in_two_normal_forms_is_one_class(tmp_path):
    for form in ("NFC", "NFD"):
        for i in range(4):
            picture(tmp_path / unicodedata.normalize(form, "고양이") / f"{form}{i}.png")
    picture(tmp_path / "деревья" / "0.png")
    assert load(str(tmp_path)).classes == ("деревья", unicodedata.normalize("NFC", "고양이"))


def test_pairs_are_found_whatever_the_normal_form_of_their_names(tmp_path):
    for place, form in (("A", "NFC"), ("B", "NFD")):
        for half in ("train", "test"):
            for name in ("가을", "été"):
                file = unicodedata.normalize(form, name)
                picture(tmp_path / f"{half}{place}" / f"{file}.png")
    found = load_domains(str(tmp_path), paired=True)
    assert found.test.paired
    assert "trainA 2, trainB 2, testA 2, testB 2" in found.found


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


RAMP = np.linspace(0, 1, 40)[None].repeat(40, 0)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x.png", (RAMP * 65_535).astype(np.uint16)),
        ("x.tif", (RAMP * 65_535).astype(np.uint16)),
        ("x.tif", (RAMP * 65_535).astype(np.int32)),
        ("x.tif", RAMP.astype(np.float32)),
    ],
)
def test_deep_greys_look_like_their_twins_of_eight_bits(tmp_path, name, values):
    Image.fromarray((RAMP * 255).astype(np.uint8)).save(tmp_path / "twin.png")
    Image.fromarray(values).save(tmp_path / name)
    deep, twin = (read_picture(tmp_path / file, 20).int() for file in (name, "twin.png"))
    assert (deep - twin).abs().max() <= 1


@pytest.mark.parametrize("bad", [-0.5, 1.5, np.nan])
def test_floats_outside_of_0_and_1_are_refused(tmp_path, bad):
    Image.fromarray(np.full((4, 4), bad, np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match=r"x\.tif cannot be read .*not all in 0 \.\.\. 1"):
        read_picture(tmp_path / "x.tif", 4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_whatever_their_orientation_tag(tmp_path, orientation):
    grey = np.zeros((8, 8), np.uint8)
    grey[0, :4] = 255  # the upper left half of the first row, upright
    turned = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]  # a number of Image.Transpose
    stored = Image.fromarray(grey)
    stored = stored if turned is None else stored.transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "x.png", exif=exif)
    assert torch.equal(read_picture(tmp_path / "x.png", 8)[0], torch.from_numpy(grey))


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
