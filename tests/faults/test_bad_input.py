"""Bad input gives one sentence that names it and the remedy, exit code 2, and no damage."""

import shutil
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from gen_lib import InputError
from gen_lib.cli import main
from gen_lib.data import data_folder, folders, load
from gen_lib.models import Judge, LinearAutoencoder
from gen_lib.training.checkpoints import load_judge, save

RAW = "FashionMNIST/raw"
TEST_LABELS = f"{RAW}/t10k-labels-idx1-ubyte"


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below the folder with its content; links are not followed."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() and not p.is_symlink() else None
        for p in sorted(folder.rglob("*"))
    }


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a command that must fail; returns its one sentence."""

    def run(*words) -> str:
        before = contents(tmp_path)
        assert main([str(word) for word in words]) == 2
        message = capsys.readouterr().err
        assert len(message.strip().splitlines()) == 1
        assert message.startswith("gen_lib: ")
        assert "Traceback" not in message
        assert contents(tmp_path) == before
        return message

    return run


@pytest.fixture
def refused_by_the_parser(tmp_path, capsys, monkeypatch):
    """Run a command whose words make no sense; returns the parser's last line."""
    monkeypatch.chdir(tmp_path)

    def run(*words) -> str:
        before = contents(tmp_path)
        with pytest.raises(SystemExit) as done:
            main([str(word) for word in words])
        assert done.value.code == 2
        assert contents(tmp_path) == before
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A copy of the data folder: the test labels are copied, the larger files are links."""
    source, copy = data_folder(), tmp_path / "data"
    (copy / RAW).mkdir(parents=True)
    for file in (source / RAW).glob("*.gz"):
        if file.name.startswith("t10k-labels"):
            shutil.copy(file, copy / RAW)
        else:
            (copy / RAW / file.name).symlink_to(file)
    monkeypatch.setenv("GEN_LIB_DATA", str(copy))
    return copy


@pytest.fixture
def run(tmp_path):
    """A folder that looks like that of a finished training run."""
    save(LinearAutoencoder((3, 8, 8), latent_size=2), tmp_path / "run" / "model.safetensors")
    return tmp_path / "run"


def train(out: Path, *words) -> list:
    return ["train", "ae", "--steps", 1, "--out", out, *words]


def pictures(folder: Path, n: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.new("RGB", (40, 40), (i, 0, 0)).save(folder / f"{i}.png")
    return folder


# The shipped data


def truncate(archive: Path):
    archive.write_bytes(archive.read_bytes()[:-100])


def alter(archive: Path):
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "truncated or altered"),
        (alter, "truncated or altered"),
        (Path.unlink, "is missing"),
    ],
)
def test_a_damaged_archive_is_named_with_its_remedy(data, tmp_path, refused, damage, words):
    archive = data / f"{TEST_LABELS}.gz"
    damage(archive)
    message = refused(*train(tmp_path / "out"))
    assert f"{archive}" in message
    assert words in message
    assert "git checkout -- data" in message


def test_a_missing_data_folder_is_named_with_its_remedy(tmp_path, monkeypatch, refused):
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path / "nowhere"))
    message = refused(*train(tmp_path / "out"))
    assert f"{tmp_path}/nowhere" in message
    assert "set GEN_LIB_DATA" in message


def test_a_damaged_unpacked_copy_is_not_looked_at_and_none_is_written(data):
    """Torchvision unpacks the archives beside them; the library reads the archives themselves."""
    (data / TEST_LABELS).write_bytes(b"damaged")
    before = contents(data)
    assert load("fashion_mnist").test.labels.bincount().tolist() == [1000] * 10
    assert contents(data) == before


@pytest.mark.parametrize("damage", [truncate, alter])
def test_damage_in_any_of_the_archives_is_found(data, damage):
    for archive in sorted((data / RAW).glob("*.gz")):
        whole = archive.read_bytes()
        archive.unlink()  # most are links to the shipped files, which must stay whole
        archive.write_bytes(whole)
        damage(archive)
        with pytest.raises(InputError, match=f"{archive.name} is missing, truncated or altered"):
            load("fashion_mnist")
        archive.write_bytes(whole)
    assert len(load("fashion_mnist").train) == 60_000


def test_an_unknown_data_set_is_refused_with_the_names_of_all(tmp_path, refused):
    message = refused(*train(tmp_path / "out", "--data", "fasion_mnist"))
    assert "'fasion_mnist': choose one of fashion_mnist, mnist, kmnist, cifar10" in message


# Folders of pictures


@pytest.mark.parametrize("held", [None, "notes.txt"], ids=["empty", "without pictures"])
def test_a_folder_without_pictures_is_named(tmp_path, refused, held):
    (tmp_path / "pictures").mkdir()
    if held:
        (tmp_path / "pictures" / held).write_text("no picture")
    message = refused(*train(tmp_path / "out", "--data", tmp_path / "pictures"))
    assert f"{tmp_path}/pictures holds 0 pictures" in message


def truncated_png(file: Path):
    Image.effect_noise((64, 64), 50).save(file)
    truncate(file)


def text(file: Path):
    file.write_text("this is no picture")


def empty(file: Path):
    file.write_bytes(b"")


def huge_png(file: Path):
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + bytes(4))


@pytest.mark.parametrize("make", [truncated_png, text, empty, huge_png])
def test_a_picture_that_cannot_be_read_is_named_with_its_remedy(tmp_path, refused, make):
    folder = pictures(tmp_path / "pictures")
    make(folder / "bad.png")
    message = refused(*train(tmp_path / "out", "--data", folder))
    assert f"{folder}/bad.png" in message
    assert "replace it or remove it" in message


def test_a_picture_just_past_the_limit_is_refused_without_a_warning(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(folders, "MOST_PIXELS", 1_599)
    folder = pictures(tmp_path / "pictures")
    assert "40 x 40 pixels are too many" in refused(*train(tmp_path / "out", "--data", folder))


# Texts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read as UTF-8 text"),
        (b"", "is too short: a part has"),
        (b"\xff\xfe" * 500, "cannot be read as UTF-8 text"),
    ],
)
def test_a_file_that_is_no_text_to_learn_from_is_named(tmp_path, refused, content, words):
    file = tmp_path / "own.txt"
    if content is not None:
        file.write_bytes(content)
    message = refused("train", "gpt", "--data", file, "--steps", 1, "--out", tmp_path / "out")
    assert str(file) in message
    assert words in message


# Arguments


@pytest.mark.parametrize(
    ("model", "words", "named"),
    [
        ("ae", ["--steps", 0], "steps is 0"),
        ("ae", ["--steps", -4], "steps is -4"),
        ("ae", ["--minutes", 0], "minutes is 0"),
        ("ae", ["--minutes=-1"], "minutes is -1"),
        ("ae", ["--minutes", "nan"], "minutes is nan"),
        ("ae", ["--minutes", "inf"], "minutes is inf"),
        ("ae", ["--steps", 1, "--batch-size", 0], "batch_size is 0"),
        ("ae", ["--steps", 1, "--set", "latent_size=0"], "latent_size is 0"),
        ("deep-ae", ["--steps", 1, "--set", "latent_size=-3"], "latent_size is -3"),
        ("judge", ["--steps", 1, "--set", "latent_size=4"], "has no 'latent_size' to set"),
        ("deep-ae", ["--steps", 1, "--set", "latent_size=many"], "latent_size takes int"),
        ("deep-ae", ["--steps", 1, "--set", "latent_size"], "latent_size takes int"),
        ("deep-ae", ["--steps", 1, "--set", "image_shape=3"], "has no 'image_shape' to set"),
        ("masked", ["--steps", 1, "--set", "all_patches=yes"], "all_patches takes bool"),
        ("sparse", ["--steps", 1, "--set", "sparsity=nan"], "sparsity is nan"),
    ],
)
def test_a_senseless_number_is_named(tmp_path, refused, model, words, named):
    folder = pictures(tmp_path / "pictures")
    out = ["--data", folder, "--out", tmp_path / "out"]
    assert named in refused("train", model, *words, *out)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "ae"], "--minutes --steps"),
        (["train", "ae", "--steps", 1, "--minutes", 1], "not allowed with"),
        (["train", "oracle", "--steps", 1], "'oracle'"),
        (["train", "ae", "--steps", "many"], "'many'"),
        (["train", "ae", "--steps", 1, "--seed", -1], "-1"),
        (["train", "ae", "--steps", 1, "--seed", 10**30], "--seed"),
        (["sample", "judge", "-n", 0, "--out", "x.npz"], "0 is not at least 1"),
        (["evaluate", "judge", "-n", -5], "-5 is not at least 1"),
        ([], "COMMAND"),
    ],
    ids=str,
)
def test_words_that_make_no_command_are_named(refused_by_the_parser, words, named):
    assert named in refused_by_the_parser(*words)


# Runs and weights


@pytest.mark.parametrize("out", ["file", "file/run", "file/deep/run"])
def test_an_out_that_is_or_lies_in_a_file_is_refused_before_training(tmp_path, refused, out):
    folder = pictures(tmp_path / "pictures")
    (tmp_path / "file").write_text("precious")
    assert f"{tmp_path}/file" in refused(*train(tmp_path / out, "--data", folder))


def test_figures_that_cannot_be_written_are_told(tmp_path, run, refused):
    (tmp_path / "file").write_text("precious")
    words = ["--data", pictures(tmp_path / "pictures"), "--json", tmp_path / "file" / "x.json"]
    save(LinearAutoencoder((3, 32, 32), latent_size=2), tmp_path / "fits.safetensors")
    assert f"{tmp_path}/file" in refused("evaluate", tmp_path / "fits.safetensors", *words)


def test_a_run_without_weights_is_named(tmp_path, refused):
    (tmp_path / "run").mkdir()
    message = refused("evaluate", tmp_path / "run")
    assert f"{tmp_path}/run/model.safetensors" in message
    assert "train them first" in message


def test_an_unknown_shipped_name_is_refused(refused):
    assert "no shipped weights called 'vae-huge'" in refused("evaluate", "vae-huge")


def test_truncated_weights_are_named(run, refused):
    truncate(run / "model.safetensors")
    message = refused("sample", run, "--out", run / "x.npz")
    assert f"{run}/model.safetensors" in message
    assert "train the model again" in message


def test_a_judge_that_is_another_model_is_refused(data, refused):
    save(LinearAutoencoder((1, 4, 4), latent_size=2), data / "pretrained" / "judge.safetensors")
    with pytest.raises(
        InputError, match=r"judge\.safetensors are of the model 'ae', not of 'judge'"
    ):
        load_judge()


def test_a_judge_of_other_classes_still_loads_by_its_config(data):
    save(Judge((1, 8, 8), classes=3), data / "pretrained" / "judge.safetensors")
    assert load_judge().head.out_features == 3
