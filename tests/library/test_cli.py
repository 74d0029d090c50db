"""The command line: what it writes, that equal commands give equal results, what it refuses."""

import csv
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from gen_lib import InputError, cli, experiment
from gen_lib.cli import main
from gen_lib.data import load as load_data
from gen_lib.data import load_domains, to_uint8
from gen_lib.files import sha256
from gen_lib.models import GPT, MODELS, CycleGAN, DeepAutoencoder, Judge
from gen_lib.models.base import Model, Samples, Translates
from gen_lib.training.checkpoints import load, save


def run(*words) -> None:
    assert main([str(word) for word in words]) == 0


def module(*words, folder) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-m", "gen_lib", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def history(out) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "history.csv").read_text().splitlines()))


# train


def test_train_writes_weights_card_and_history(tmp_path):
    out = tmp_path / "runs" / "first"
    words = ["train", "deep-ae", "--steps", 5, "--seed", 3, "--set", "latent_size=7", "--out", out]
    run(*words)
    assert sorted(f.name for f in out.iterdir()) == [
        "checkpoints",
        "history.csv",
        "model.json",
        "model.safetensors",
    ]
    card = json.loads((out / "model.json").read_text())
    assert card["command"] == "python -m gen_lib " + " ".join(map(str, words))
    assert (card["data"], card["seed"], card["steps"]) == ("fashion_mnist", 3, 5)
    assert card["sha256"] == sha256(out / "model.safetensors")
    assert card["minutes"] >= 0
    assert torch.__version__ in card["machine"]
    assert load(out / "model.safetensors", DeepAutoencoder).config["latent_size"] == 7
    rows = history(out)
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert all(
        float(row["E"]) == pytest.approx(float(row["mse"]) * 784 / 2, rel=1e-3) for row in rows
    )


def test_the_same_seed_gives_the_same_file_and_another_seed_another(tmp_path, classes):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(99)
        words = ["--data", classes, "--steps", 3, "--seed", seed]
        run("train", "ae", *words, "--out", tmp_path / name)
    a, b, c = (sha256(tmp_path / name / "model.safetensors") for name in "abc")
    assert a == b
    assert a != c


def test_train_stops_when_its_minutes_are_over(tmp_path, classes):
    out = tmp_path / "run"
    run("train", "ae", "--data", classes, "--minutes", 0.01, "--out", out)
    seconds = [float(row["seconds"]) for row in history(out)]
    assert seconds[-1] >= 0.6
    assert all(s < 0.6 for s in seconds[:-1])


OF_CLASSES = [kind for kind in MODELS.values() if kind.labels == "class"]


@pytest.mark.parametrize("model", [k.name for k in OF_CLASSES if not issubclass(k, Translates)])
def test_every_model_trains_on_a_folder_of_pictures(tmp_path, classes, model):
    words = ["--data", classes, "--steps", 1, "--batch-size", 8]
    run("train", model, *words, "--out", tmp_path / "run")
    assert load(tmp_path / "run" / "model.safetensors", Model).name == model


def test_diffusion_is_told_the_labels_where_asked_to_and_samples(tmp_path, classes):
    out, small = tmp_path / "run", ["--set", "width=8", "--set", "blocks=1"]
    words = ["train", "diffusion", "--data", classes, "--steps", 2, "--batch-size", 8, *small]
    run(*words, "--set", "conditional=True", "--set", "schedule=cosine", "--out", out)
    model = load(out / "model.safetensors", Model)
    assert (model.known, model.config["classes"]) == (12, 12)
    assert model.schedule.last == 1000
    run("sample", out, "-n", 3, "--out", tmp_path / "x.npz")
    images = np.load(tmp_path / "x.npz")["images"]
    assert (images.dtype, images.shape) == (np.uint8, (3, *model.config["image_shape"]))
    assert len({image.tobytes() for image in images}) == 3


@pytest.fixture
def translating_run(tmp_path, domains):
    out = tmp_path / "run"
    settings = ["--set", "width=4", "--set", "blocks=1", "--set", "width_d=4"]
    run("train", "cyclegan", "--data", domains, "--steps", 2, *settings, "--out", out)
    return out


def test_a_translator_trains_on_a_folder_of_two_domains(translating_run):
    rows = history(translating_run)
    assert [row["step"] for row in rows] == ["1", "2"]
    assert {"G", "cycle", "D_X", "D_Y"} <= set(rows[0])


def test_the_ceiling_trains_on_pairs_and_refuses_a_folder_without(tmp_path, domains, capsys):
    out = tmp_path / "run"
    words = ["train", "paired", "--data", domains, "--steps", 2, "--set", "width=4"]
    assert main([*map(str, words), "--out", str(out)]) == 2
    assert "hold no pairs" in capsys.readouterr().err
    for left_over in ("6.png", "7.png"):
        (tmp_path / "domains" / "trainA" / left_over).unlink()
    run(*words, "--out", out)
    assert {"to_a", "to_b"} <= set(history(out)[0])


def test_a_classifier_learns_two_domains_as_two_classes(tmp_path):
    out = tmp_path / "run"
    run("train", "judge", "--data", "emoji", "--steps", 1, "--set", "background=1", "--out", out)
    judge = load(out / "model.safetensors", Judge)
    assert judge.config["image_shape"] == (3, 32, 32)
    assert judge.config["classes"] == 2
    assert judge.background == 1
    run("evaluate", out, "--data", "emoji", "--json", tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text())["accuracy_one_class"] == 0.5


@pytest.mark.parametrize(("to", "source", "target"), [("B", "a", "b"), ("A", "b", "a")])
def test_translate_writes_sources_translations_targets_and_names(
    tmp_path, domains, translating_run, to, source, target
):
    run("translate", translating_run, "--to", to, "--out", tmp_path / "new" / "x.npz")
    found, test = np.load(tmp_path / "new" / "x.npz"), load_domains(domains).test
    assert sorted(found) == ["name", "source", "target", "translated"]
    assert np.array_equal(found["source"], getattr(test, source).images)
    assert np.array_equal(found["target"], getattr(test, target).images)
    model = load(translating_run / "model.safetensors", CycleGAN)
    with torch.no_grad():
        expected = to_uint8(model.translate(getattr(test, source).x, to=to))
    assert found["translated"].dtype == np.uint8
    assert np.array_equal(found["translated"], expected)
    assert found["name"].tolist() == ["0", "1", "2"]


def test_evaluate_measures_a_translator_on_the_domains_of_its_card(tmp_path, translating_run):
    run("evaluate", translating_run, "--json", tmp_path / "x.json")
    found = json.loads((tmp_path / "x.json").read_text())
    for figure in ("psnr", "l1", "ssim", "retrieval"):
        for to in "ab":
            assert {f"{figure}_to_{to}{b}" for b in ("", "_identity", "_blur", "_colour")} <= set(
                found
            )


def test_translate_leaves_out_targets_where_there_are_no_pairs(tmp_path, domains, translating_run):
    (tmp_path / "domains" / "testB" / "0.png").rename(tmp_path / "domains" / "testB" / "9.png")
    out = tmp_path / "x.npz"
    run("translate", translating_run, "--to", "B", "--data", domains, "--out", out)
    assert sorted(np.load(out)) == ["name", "source", "translated"]
    run("translate", translating_run, "--to", "B", "--split", "train", "--out", out)
    assert len(np.load(out)["source"]) == 8


def test_a_folder_or_a_single_picture_is_translated_without_its_counterpart(
    tmp_path, domains, translating_run
):
    both, alone = tmp_path / "both.npz", tmp_path / "alone.npz"
    run("translate", translating_run, "--to", "B", "--out", both)
    folder = tmp_path / "domains" / "testA"
    run("translate", translating_run, "--to", "B", "--data", folder, "--out", alone)
    assert sorted(np.load(alone)) == ["name", "source", "translated"]
    assert np.array_equal(np.load(alone)["translated"], np.load(both)["translated"])
    run("translate", translating_run, "--to", "B", "--data", folder / "1.png", "--out", alone)
    assert np.load(alone)["name"].tolist() == ["1"]
    for place in ("testB", "trainA", "trainB"):  # only testA is needed
        shutil.rmtree(tmp_path / "domains" / place)
    run("translate", translating_run, "--to", "B", "--data", domains, "--out", alone)
    assert np.array_equal(np.load(alone)["source"], np.load(both)["source"])


def test_translations_are_written_as_pictures_too(tmp_path, translating_run):
    run("translate", translating_run, "--to", "A", "--out", tmp_path / "x.npz")
    run("translate", translating_run, "--to", "A", "--out", tmp_path / "x.png")
    run("translate", translating_run, "--to", "A", "--out", tmp_path / "folder")
    arrays = np.load(tmp_path / "x.npz")
    with Image.open(tmp_path / "x.png") as sheet:  # a row for each picture, 2 pixels between all
        pixels = np.asarray(sheet).transpose(2, 0, 1)
    for row in range(3):
        for column, name in enumerate(("source", "translated", "target")):
            top, left = 2 + 34 * row, 2 + 34 * column
            found = pixels[:, top : top + 32, left : left + 32]
            assert np.array_equal(found, arrays[name][row])
    for name, image in zip(arrays["name"], arrays["translated"], strict=True):
        with Image.open(tmp_path / "folder" / f"{name}.png") as picture:
            assert np.array_equal(np.asarray(picture).transpose(2, 0, 1), image)


@pytest.mark.parametrize(
    ("model", "out", "words"),
    [("judge", "x.npz", "translates nothing"), ("judge", "x.jpg", r"must end in \.npz")],
)
def test_what_cannot_translate_is_named(tmp_path, capsys, model, out, words):
    assert main(["translate", model, "--to", "A", "--out", str(tmp_path / out)]) == 2
    assert re.search(words, capsys.readouterr().err)


def test_a_translator_needs_two_domains(tmp_path, classes, capsys):
    words = ["train", "cyclegan", "--steps", "1", "--out", str(tmp_path / "out"), "--data"]
    assert main([*words, "fashion_mnist"]) == 2
    assert "no pair of domains called 'fashion_mnist'" in capsys.readouterr().err
    assert main([*words, classes]) == 2
    assert "trainA: a folder of two domains" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_not_empty_is_refused_and_left_untouched(tmp_path, classes, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").write_text("precious")
    words = ["train", "ae", "--data", classes, "--steps", "1", "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "exists and is not empty: choose another --out" in capsys.readouterr().err
    assert [f.read_text() for f in (tmp_path / "run").iterdir()] == ["precious"]


def test_an_empty_out_is_used(tmp_path, classes):
    (tmp_path / "run").mkdir()
    run("train", "ae", "--data", classes, "--steps", 1, "--out", tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_an_interrupted_training_writes_nothing(tmp_path, classes, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "fit", interrupted)
    words = ["train", "ae", "--data", classes, "--steps", "1", "--out", str(tmp_path / "run")]
    assert main(words) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# evaluate


@pytest.fixture
def trained(tmp_path, classes, monkeypatch):
    monkeypatch.setattr(experiment, "load_classes", lambda name: load_data(name, size=16))
    run("train", "ae", "--data", classes, "--steps", 1, "--out", tmp_path / "run")
    return tmp_path / "run"


def test_evaluate_prints_the_figures_and_writes_the_same_as_json(trained, classes, capsys):
    file = trained / "deep" / "figures.json"
    run("evaluate", trained, "--data", classes, "--json", file)
    found = json.loads(file.read_text())
    kinds = ["", "_pca", "_mean_image"]
    assert list(found) == [figure + kind for figure in ("mse", "psnr", "ssim") for kind in kinds]
    printed = capsys.readouterr().out
    for value in found.values():
        assert f"{value:.4f}" in printed


def test_evaluate_measures_on_what_the_card_names(trained, classes, capsys):
    run("evaluate", trained)
    assert f"{trained} on the test images of {classes}" in capsys.readouterr().out


@pytest.mark.slow
def test_evaluate_measures_on_fashion_mnist(tmp_path):
    run("train", "ae", "--steps", 300, "--set", "latent_size=16", "--out", tmp_path / "run")
    run("evaluate", tmp_path / "run", "--json", tmp_path / "figures.json")
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["mse_pca"] < found["mse"] < found["mse_mean_image"]
    assert found["psnr_pca"] > found["psnr"] > found["psnr_mean_image"]


def test_a_model_for_other_images_is_refused_in_one_sentence(tmp_path, classes, capsys):
    save(DeepAutoencoder((1, 28, 28)), tmp_path / "grey.safetensors")
    assert main(["evaluate", str(tmp_path / "grey.safetensors"), "--data", classes]) == 2
    message = capsys.readouterr().err
    assert "(1, 28, 28)" in message
    assert "(3, 32, 32)" in message


# list


def test_list_names_everything(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path))
    save(DeepAutoencoder((1, 4, 4)), tmp_path / "pretrained" / "small.safetensors")
    run("list")
    printed = capsys.readouterr().out
    data = ("fashion_mnist", "cifar10", "people", "eight_gaussians", "checkerboard")
    for name in (*data, "names", "austen", "korean", "tunes", *MODELS, "small"):
        assert name in printed


# sample


class Stub(Model, Samples):
    """Draws noise."""

    name = "stub"

    def loss(self, batch, rng, progress):
        raise AssertionError("trained, not only sampled from")

    def sample(self, n, rng=None):
        return torch.rand(n, 3, 6, 5, generator=rng) * 4 - 2


@pytest.fixture
def stub(monkeypatch):
    for module in (cli, experiment):
        monkeypatch.setattr(module, "load_any", lambda name, kind: Stub())


def test_sample_writes_pictures_that_the_seed_repeats(tmp_path, stub):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("sample", "stub", "-n", 7, "--seed", seed, "--out", tmp_path / "new" / f"{name}.npz")
    a, b, c = (np.load(tmp_path / "new" / f"{name}.npz")["images"] for name in "abc")
    assert a.dtype == np.uint8
    assert a.shape == (7, 3, 6, 5)
    assert (a == b).all()
    assert (a != c).any()
    assert (a.min(), a.max()) == (0, 255)


def test_sample_draws_a_grid_of_the_same_pictures(tmp_path, stub):
    for name in ("grid.png", "images.npz"):
        run("sample", "stub", "-n", 4, "--out", tmp_path / name)
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    images = np.load(tmp_path / "images.npz")["images"].transpose(0, 2, 3, 1)
    assert grid.shape == (2 + 2 * (6 + 2), 2 + 2 * (5 + 2), 3)
    assert (grid[2:8, 2:7] == images[0]).all()
    assert (grid[10:16, 9:14] == images[3]).all()
    assert (grid[:2] == 255).all()


def test_a_model_that_cannot_sample_is_refused_in_one_sentence(tmp_path, capsys):
    save(DeepAutoencoder((1, 4, 4)), tmp_path / "ae.safetensors")
    out = tmp_path / "new" / "images.npz"
    assert main(["sample", str(tmp_path / "ae.safetensors"), "--out", str(out)]) == 2
    message = capsys.readouterr().err
    assert "is a 'deep-ae', which has no distribution to sample from" in message
    assert len(message.splitlines()) == 1
    assert not out.parent.exists()


def test_a_sample_of_another_kind_of_file_is_refused(tmp_path, stub, capsys):
    assert main(["sample", "stub", "--out", str(tmp_path / "images.jpg")]) == 2
    assert "must end in .npz or .png" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_images_need_a_file_and_take_no_settings_of_texts(tmp_path, stub, capsys):
    assert main(["sample", "stub"]) == 2
    assert "Name a file for the images by --out: FILE.npz or FILE.png" in capsys.readouterr().err
    out = str(tmp_path / "images.npz")
    for option in ("--temperature", "--top-p", "--length"):
        assert main(["sample", "stub", "--out", out, option, "1"]) == 2
        assert f"stub is a 'stub': {option} is for text only" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# sample, of texts


@pytest.fixture
def writer(tmp_path):
    """A run with a small GPT of random weights that knows printable ASCII."""
    model = GPT(context=8, width=8, layers=1, heads=2, lines=True)
    torch.nn.init.normal_(model.net.head.weight)
    save(model, tmp_path / "run" / "model.safetensors", data="names")
    return tmp_path / "run"


def printed(capsys, *words) -> list[str]:
    run("sample", *words)
    found = capsys.readouterr()
    assert found.err == ""
    assert found.out.endswith("\n")
    return found.out[:-1].split("\n")


def test_texts_are_printed_and_the_seed_repeats_them(writer, capsys):
    texts = printed(capsys, writer, "--prompt", "Ka")
    assert len(texts) == 10
    assert len({*texts}) > 5
    assert all(text.startswith("Ka") for text in texts)
    assert printed(capsys, writer, "--prompt", "Ka", "--seed", 0) == texts
    assert printed(capsys, writer, "--prompt", "Ka", "--seed", 1) != texts
    assert texts == experiment.write(writer, "Ka", 10, 0)
    assert len(printed(capsys, writer, "-n", 3)) == 3


def test_texts_go_to_a_file_instead(writer, tmp_path, capsys):
    texts = printed(capsys, writer, "--prompt", "Ka")
    out = tmp_path / "new" / "texts.txt"
    run("sample", writer, "--prompt", "Ka", "--out", out)
    assert capsys.readouterr().out == ""
    assert out.read_text(encoding="utf-8") == "\n".join(texts) + "\n"


def test_one_text_is_written_for_each_line_of_a_file(writer, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("Ka\nLo\nMi\n")
    texts = printed(capsys, writer, "--prompts", tmp_path / "prompts.txt")
    assert [text[:2] for text in texts] == ["Ka", "Lo", "Mi"]
    texts = printed(capsys, writer, "--prompts", tmp_path / "prompts.txt", "-n", 2)
    assert [text[:2] for text in texts] == ["Ka", "Ka", "Lo", "Lo", "Mi", "Mi"]


def test_the_settings_of_texts_arrive(writer, capsys):
    texts = printed(capsys, writer, "--temperature", 0, "--length", 5)
    assert texts == experiment.write(writer, "", 10, temperature=0, length=5)
    assert len({*texts}) == 1
    assert printed(capsys, writer, "--top-p", 1e-6, "--length", 5) == texts
    texts = printed(capsys, writer, "--temperature", 2, "--top-p", 0.7, "--length", 3)
    assert texts == experiment.write(writer, "", 10, temperature=2.0, top_p=0.7, length=3)
    assert max(map(len, texts)) <= 3


def test_a_prompt_longer_than_the_context_is_told(writer, capsys):
    run("sample", writer, "--prompt", "Kannengiesser", "-n", 1)
    found = capsys.readouterr()
    assert "the prompt has 13 tokens; the model sees the last 8" in found.err
    assert found.out.startswith("Kannengiesser")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prompt", "한"], "The model knows no '한': leave it out"),
        (["--temperature", "-1"], "temperature is -1.0"),
        (["--top-p", "0"], "top_p is 0.0"),
        (["--top-p", "nan"], "top_p is nan"),
        (["--prompts", "gone.txt"], "gone.txt cannot be read as UTF-8 text"),
    ],
)
def test_what_cannot_be_written_is_named(writer, capsys, words, said):
    assert main(["sample", str(writer), *words]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert said in found.err
    assert len(found.err.splitlines()) == 1


def test_a_model_of_the_readers_own_text_writes_and_is_measured(tmp_path, own_text, capsys):
    out, small = tmp_path / "run", ["--set", "width=8", "--set", "layers=1", "--set", "heads=2"]
    run("train", "gpt", "--data", own_text, "--steps", 2, *small, "--out", out)
    assert [row["step"] for row in history(out)] == ["1", "2"]
    assert all(float(row["cross_entropy"]) > 0 for row in history(out))
    capsys.readouterr()
    texts = printed(capsys, out, "--prompt", '"7 개', "-n", 2, "--length", 9)
    assert all(text.startswith('"7 개') for text in texts)
    run("evaluate", out, "--json", tmp_path / "x.json")
    assert f"{out} on the test text of {own_text}" in capsys.readouterr().out
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["bits_per_character"] > found["bits_per_character_2-gram"]


# As a program


def test_the_module_runs_without_warnings_and_reports_its_exit_code(tmp_path, classes):
    words = ["train", "ae", "--data", classes, "--steps", 2, "--seed", 4]
    done = module(*words, "--out", "run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 steps" in done.stdout
    run(*words, "--out", tmp_path / "twin")
    assert sha256(tmp_path / "run/model.safetensors") == sha256(tmp_path / "twin/model.safetensors")


def test_the_module_refuses_in_one_sentence_without_a_traceback(tmp_path):
    done = module("evaluate", "no-such-model", folder=tmp_path)
    assert done.returncode == 2
    assert "no-such-model" in done.stderr
    assert len(done.stderr.splitlines()) == 1


OPTIONS = {
    "train": "--batch-size",
    "sample": "--top-p",
    "translate": "--split",
    "evaluate": "--json",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_describes_every_command(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert OPTIONS[command] in capsys.readouterr().out


def test_input_errors_are_value_errors():
    assert issubclass(InputError, ValueError)
