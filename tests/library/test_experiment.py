"""Train, sample, write, translate and evaluate from Python; the command line does the same."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from gen_lib import InputError, experiment
from gen_lib.cli import main
from gen_lib.data import ImageSet, load, load_domains, to_uint8
from gen_lib.data.text import load_text
from gen_lib.experiment import evaluate, figures, sample, train, translate, write
from gen_lib.files import sha256
from gen_lib.metrics import Row
from gen_lib.metrics.sample_quality import Quality
from gen_lib.models import (
    GAN,
    GPT,
    BernoulliVAE,
    CycleGAN,
    DeepAutoencoder,
    Judge,
    LinearAutoencoder,
    SupervisedTranslator,
)
from gen_lib.models.base import Model, Samples
from gen_lib.training import fit
from gen_lib.training.checkpoints import read_card

QUIET = {"steps": 3, "batch_size": 4, "show_bar": False}
SMALL_GAN = {"width": 4, "latent_size": 8}
SMALL_GPT = {"width": 8, "layers": 1, "heads": 2}
SMALL_TRANSLATOR = {"width": 4, "blocks": 1, "width_d": 4, "pool": 4}


def equal(first: Model, second: Model) -> bool:
    """Whether two models have the same configuration and the same bits."""
    state = second.state_dict()
    return first.config == second.config and all(
        torch.equal(value, state[name]) for name, value in first.state_dict().items()
    )


def history(out: Path) -> list[dict[str, str]]:
    """The rows of a history without the seconds, which differ from run to run."""
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture
def cyclegan(domains) -> Model:
    return train("cyclegan", domains, settings=SMALL_TRANSLATOR, **QUIET)


# train


def test_without_a_place_nothing_is_written(tmp_path, classes, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    before = sorted(tmp_path.rglob("*"))
    model = train("deep-ae", classes, settings={"latent_size": 3, "hidden": (8,)}, **QUIET)
    assert sorted(tmp_path.rglob("*")) == before
    assert capsys.readouterr() == ("", "")
    assert isinstance(model, DeepAutoencoder)
    assert model.config == {"image_shape": (3, 32, 32), "latent_size": 3, "hidden": (8,)}
    assert not model.training


def test_a_trained_model_is_what_fit_makes_of_a_new_one(classes):
    torch.manual_seed(5)
    expected = LinearAutoencoder((3, 32, 32), latent_size=2)
    fit(expected, load(classes).train, steps=3, batch_size=4, seed=5, show_bar=False)
    torch.manual_seed(99)  # train must not depend on it
    assert equal(train("ae", classes, settings={"latent_size": 2}, seed=5, **QUIET), expected)
    assert not equal(train("ae", classes, settings={"latent_size": 2}, seed=6, **QUIET), expected)


def test_a_run_has_the_files_of_the_command_line(tmp_path, classes, capsys):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    settings = {"width": 4, "latent_size": 8, "spectral": False}
    model = train("gan", classes, seed=3, settings=settings, out=ours, command="mine", **QUIET)
    words = [word for item in settings.items() for word in ("--set", "{}={}".format(*item))]
    budget = ["--steps", "3", "--batch-size", "4", "--seed", "3"]
    command = ["train", "gan", "--data", classes, *budget, *words, "--out", str(theirs)]
    assert main(command) == 0
    names = ["checkpoints", "history.csv", "model.json", "model.safetensors"]
    said = capsys.readouterr().out
    for out in (ours, theirs):
        assert sorted(file.name for file in out.iterdir()) == names
        assert f"Next: python -m gen_lib evaluate {out}" in said
    assert sha256(ours / "model.safetensors") == sha256(theirs / "model.safetensors")
    assert history(ours) == history(theirs)
    cards = [read_card(out / "model.safetensors") for out in (ours, theirs)]
    assert [card.pop("command") for card in cards] == [
        "mine",
        f"python -m gen_lib {' '.join(command)}",
    ]
    assert all(card.pop("minutes") >= 0 for card in cards)
    assert cards[0] == cards[1]
    assert cards[0]["data"] == classes
    assert equal(model, experiment.load_any(str(ours), GAN))


def test_a_run_that_is_done_is_loaded_and_not_trained_again(tmp_path, classes, monkeypatch, capsys):
    out = tmp_path / "run"
    model = train("ae", classes, settings={"latent_size": 2}, out=str(out), resume=True, **QUIET)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    monkeypatch.setattr(experiment, "fit", None)
    again = train("ae", classes, settings={"latent_size": 2}, out=str(out), resume=True, **QUIET)
    assert "is done" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    assert equal(model, again)
    with pytest.raises(InputError, match="exists and is not empty"):
        train("ae", classes, out=out, **QUIET)


def stop_before_the_end(out: Path, monkeypatch, model: str = "ae", **run) -> None:
    """Train a model, and interrupt it after its last step, before it is saved."""

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "_finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(model, out=out, **run)
    assert [file.name for file in out.iterdir()] == ["checkpoints"]


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(tmp_path, classes, monkeypatch):
    run = {"data": classes, "settings": {"latent_size": 2}, "keep_every": 0.0, **QUIET}
    stop_before_the_end(tmp_path / "run", monkeypatch, **run)
    model = train("ae", out=tmp_path / "run", resume=True, **run)
    assert equal(model, train("ae", **run))


def test_a_run_goes_on_with_its_own_arguments_only(tmp_path, classes, monkeypatch):
    run = {"data": classes, "settings": {"latent_size": 2}, "keep_every": 0.0, **QUIET}
    stop_before_the_end(tmp_path / "run", monkeypatch, **run)
    for other, difference in (
        ({"seed": 1}, r"\(seed: there 0, here 1\)"),
        ({"batch_size": 5}, r"\(batch_size: there 4, here 5\)"),
        ({"settings": {"latent_size": 3}}, r"\(latent_size: there 2, here 3\)"),
    ):
        with pytest.raises(InputError, match=f"a run with other arguments {difference}"):
            train("ae", out=tmp_path / "run", resume=True, **(run | other))


def test_a_run_whose_pictures_changed_does_not_go_on(tmp_path, classes, monkeypatch):
    run = {"data": classes, "settings": {"latent_size": 2}, "keep_every": 0.0, **QUIET}
    stop_before_the_end(tmp_path / "run", monkeypatch, **run)
    next(Path(classes).rglob("*.png")).unlink()
    with pytest.raises(InputError, match=r"\(its pictures have changed since\)"):
        train("ae", out=tmp_path / "run", resume=True, **run)


@pytest.mark.parametrize("budget", [{"steps": 7}, {"steps": None, "minutes": 0.02}])
def test_a_run_that_is_done_goes_on_with_a_larger_budget(tmp_path, classes, capsys, budget):
    run = {"data": classes, "settings": {"latent_size": 2}, "out": tmp_path / "run", **QUIET}
    train("ae", **run)
    longer = train("ae", resume=True, **(run | budget))
    steps = read_card(tmp_path / "run" / "model.safetensors")["steps"]
    assert steps == 7 if budget["steps"] else steps > 3
    assert len(history(tmp_path / "run")) == steps
    assert not equal(longer, train("ae", **(run | {"out": None})))
    capsys.readouterr()
    again = train("ae", resume=True, **(run | budget))
    said = capsys.readouterr().out
    assert f"is done ({steps} steps in " in said
    assert "give a larger budget" in said
    assert equal(again, longer)


def test_a_step_without_a_term_leaves_its_cell_empty(tmp_path, classes):
    """The first part of this training has no ``mse``, the second has nothing else."""
    settings, out = {"width": 8, "blocks": 1}, tmp_path / "run"
    train("latent-diffusion", classes, settings=settings, out=out, **(QUIET | {"steps": 4}))
    rows = history(out)
    assert list(rows[0]) == ["step", "error", "mse"]
    assert [bool(row["error"]) for row in rows] == [True, True, False, False]
    assert [bool(row["mse"]) for row in rows] == [False, False, True, True]


def test_a_second_process_is_refused_the_folder_of_a_run(tmp_path, classes):
    out = tmp_path / "run"
    out.mkdir()
    with (
        FileLock(out / ".lock"),
        pytest.raises(InputError, match=r"Another process is training in .*choose another --out"),
    ):
        train("ae", classes, out=out, **QUIET)
    train("ae", classes, out=out, **QUIET)  # the lock was released
    assert not (out / ".lock").exists()


def test_the_folder_of_a_run_is_known_by_its_absolute_path(tmp_path, classes, monkeypatch):
    monkeypatch.chdir(Path(classes).parent)
    train("ae", Path(classes).name, settings={"latent_size": 2}, out=tmp_path / "run", **QUIET)
    monkeypatch.chdir(tmp_path)
    assert experiment.evaluate("run")[0].name == "mse"
    assert Path(read_card(tmp_path / "run" / "model.safetensors")["data"]).is_absolute()


def test_a_model_without_its_card_asks_for_its_data(tmp_path, classes):
    train("ae", classes, settings={"latent_size": 2}, out=tmp_path / "run", **QUIET)
    (tmp_path / "run" / "model.json").write_text("{")
    weights = tmp_path / "run" / "model.safetensors"
    with pytest.raises(InputError, match=r"missing or damaged.* Or name the data .* by --data"):
        experiment.evaluate(weights)
    assert experiment.evaluate(weights, classes)[0].name == "mse"


def test_more_texts_than_fit_in_memory_are_refused_at_once():
    with pytest.raises(InputError, match=r"10,000,000,000 texts need about [\d,]+ GB of memory"):
        write(GPT(**SMALL_GPT), n=10**10)


def test_more_samples_than_fit_in_memory_are_refused_at_once():
    with pytest.raises(InputError, match=r"2,000,000,000 images need about .* GB of memory"):
        experiment.sample(BernoulliVAE(), n=2_000_000_000)


def test_a_figure_that_is_not_finite_is_none_with_its_reason():
    rows = [Row("a", 1.0, {"b": math.inf}), Row("c", math.nan, {}, "no pairs")]
    assert experiment.figures(rows) == {
        "a": 1.0,
        "a_b": None,
        "a_reason": "not a finite number",
        "c": None,
        "c_reason": "no pairs",
    }


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("oracle", {}, "There is no model 'oracle': choose one of ae, deep-ae"),
        ("ae", {"data": "fasion"}, "no data set called 'fasion'"),
        ("ae", {"steps": None}, "give either steps or minutes"),
        ("ae", {"minutes": 1.0}, "give either steps or minutes"),
        ("ae", {"steps": 0}, "steps is 0"),
        ("ae", {"batch_size": 0}, "batch_size is 0"),
        ("ae", {"settings": {"latent_size": 0}}, "latent_size is 0"),
        ("ae", {"settings": {"latent_size": "many"}}, "latent_size takes int values"),
        ("ae", {"settings": {"depth": 3}}, "'ae' has no 'depth' to set: latent_size"),
        ("masked", {"settings": {"width": 10**12}}, "'masked' cannot be built with width="),
        ("cyclegan", {}, "no pictures in .*trainA"),
    ],
)
def test_what_cannot_be_trained_is_named_and_nothing_is_written(
    tmp_path, classes, model, options, words
):
    with pytest.raises(InputError, match=words):
        train(model, **{"data": classes, **QUIET, **options}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_may_be_values_or_texts(classes):
    for settings in ({"conditional": True, "T": 7}, {"conditional": "True", "T": "7"}):
        size = {"width": 8, "blocks": 1, "schedule": "cosine"}
        model = train("diffusion", classes, settings=settings | size, **QUIET)
        assert (model.known, model.config["classes"], model.config["T"]) == (12, 12, 7)


# sample


def test_a_sample_of_a_model_is_that_of_its_run_and_of_its_file(tmp_path, classes):
    out = tmp_path / "run"
    model = train("gan", classes, settings=SMALL_GAN, out=out, **QUIET)
    x = sample(model, n=5, seed=7)
    assert (x.shape, x.dtype) == ((5, 3, 32, 32), torch.float32)
    assert x.abs().max() <= 1
    for same in (out, str(out), out / "model.safetensors"):
        assert torch.equal(sample(same, n=5, seed=7), x)
    assert not torch.equal(sample(model, n=5, seed=8), x)
    assert torch.equal(sample(model, n=5, seed=7), x)
    assert sample(model).shape[0] == 64


def test_the_file_of_the_command_line_holds_the_same_sample(tmp_path, classes):
    out = tmp_path / "run"
    model = train("gan", classes, settings=SMALL_GAN, out=out, **QUIET)
    words = ["-n", "5", "--seed", "7", "--out", str(tmp_path / "x.npz")]
    assert main(["sample", str(out), *words]) == 0
    images = np.load(tmp_path / "x.npz")["images"]
    assert np.array_equal(images, to_uint8(sample(model, n=5, seed=7)))


def test_what_cannot_be_sampled_from_is_named():
    with pytest.raises(InputError, match="no shipped weights called 'oracle'"):
        sample("oracle")
    with pytest.raises(
        InputError, match="The model is a 'ae', which has no distribution to sample"
    ):
        sample(LinearAutoencoder())


# texts


def test_a_text_of_the_readers_own_is_learnt_written_and_measured(tmp_path, own_text):
    out = tmp_path / "run"
    model = train("gpt", own_text, settings=SMALL_GPT, out=out, **QUIET)
    data = load_text(own_text)
    assert isinstance(model, GPT)
    assert model.tokeniser == data.tokeniser
    assert {*'\n"개é\\🙂'} <= {*model.tokeniser.tokens}
    assert (model.lines, model.context) == (True, 32)
    texts = write(model, '"7 개', 3, seed=7, length=9)
    for same in (out, str(out), out / "model.safetensors"):
        assert write(same, '"7 개', 3, seed=7, length=9) == texts
    assert write(model, '"7 개', 3, seed=8, length=9) != texts
    assert evaluate(out) == evaluate(model, data) == evaluate(model, own_text)
    assert read_card(out / "model.safetensors")["data"] == own_text


def test_a_text_is_known_by_its_absolute_path(tmp_path, own_text, monkeypatch):
    monkeypatch.chdir(Path(own_text).parent)
    train("gpt", Path(own_text).name, settings=SMALL_GPT, out=tmp_path / "run", **QUIET)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert evaluate(tmp_path / "run")[0].name == "bits_per_character"


def test_a_training_on_a_text_goes_on_to_the_same_bits_with_the_same_text(
    tmp_path, own_text, monkeypatch
):
    run = {"data": own_text, "settings": SMALL_GPT, "keep_every": 0.0, **QUIET}
    stop_before_the_end(tmp_path / "run", monkeypatch, "gpt", **run)
    text = Path(own_text).read_text(encoding="utf-8")
    Path(own_text).write_text(text.replace("17", "71"), encoding="utf-8")
    with pytest.raises(InputError, match=r"have changed since"):
        train("gpt", out=tmp_path / "run", resume=True, **run)
    Path(own_text).write_text(text, encoding="utf-8")
    model = train("gpt", out=tmp_path / "run", resume=True, **run)
    assert equal(model, train("gpt", **run))


def test_texts_are_written_for_each_prompt_in_order():
    model = GPT(context=8, **SMALL_GPT)
    texts = write(model, ["ab", "cd"], 2, length=3)
    assert [text[:2] for text in texts] == ["ab", "ab", "cd", "cd"]
    assert write(model, "ab", 2, length=3) == texts[:2]
    assert write(model, ["ab"], 2, length=3) == texts[:2]
    assert [len(text) for text in write(model, length=3)] == [3]


def test_what_writes_no_text_is_named():
    with pytest.raises(InputError, match="The model is a 'ae', which writes no text"):
        write(LinearAutoencoder())
    with pytest.raises(InputError, match="The model is a 'gpt', which draws no images: use write"):
        sample(GPT(**SMALL_GPT))
    with pytest.raises(InputError, match="'gpt'"):
        translate(GPT(**SMALL_GPT), "A")


def test_a_model_of_text_is_measured_on_texts_alone(garments, own_text):
    with pytest.raises(InputError, match="A 'gpt' is measured on a text: give such data"):
        evaluate(GPT(**SMALL_GPT), garments)
    with pytest.raises(InputError, match="A 'ae' is measured on images: give such data"):
        evaluate(LinearAutoencoder((3, 32, 32)), load_text(own_text))
    with pytest.raises(InputError, match="The model knows no "):
        evaluate(GPT(**SMALL_GPT), own_text)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("gone.txt", {}, r"gone\.txt cannot be read"),
        (".", {}, "is a folder: give a text file"),
        ("names", {"settings": {"width": 6}}, "width is 6: it must be a multiple of 8"),
        ("names", {"settings": {"alphabet": "ab"}}, "'gpt' has no 'alphabet' to set: width"),
        ("names", {"settings": {"context": "9"}}, "'gpt' has no 'context' to set: width"),
        ("names", {"settings": {"width": 10**12}}, "'gpt' cannot be built with width="),
    ],
)
def test_what_no_text_can_be_learnt_from_is_named(tmp_path, data, options, words):
    with pytest.raises(InputError, match=words):
        train("gpt", data, **{**QUIET, **options}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_data_a_model_takes_the_shipped_ones_that_suit_it():
    found = {kind.labels: experiment.data_of(kind, None) for kind in (GPT(**SMALL_GPT), Judge())}
    assert found == {"text": "names", "class": "fashion_mnist"}
    assert train("gpt", settings=SMALL_GPT, **QUIET).tokeniser == load_text("names").tokeniser


# translate


@pytest.mark.parametrize(("to", "source", "target"), [("B", "a", "b"), ("A", "b", "a")])
def test_a_translation_of_a_model_is_that_of_its_run(tmp_path, domains, to, source, target):
    out = tmp_path / "run"
    model = train("cyclegan", domains, settings=SMALL_TRANSLATOR, out=out, **QUIET)
    found, again = translate(model, to, domains), translate(out, to)
    test = load_domains(domains).test
    assert torch.equal(found.source.images, getattr(test, source).images)
    assert torch.equal(found.target.images, getattr(test, target).images)
    with torch.no_grad():
        expected = model.translate(getattr(test, source).x, to=to)
    torch.testing.assert_close(found.translated, expected)
    assert torch.equal(again.translated, found.translated)
    assert torch.equal(again.source.images, found.source.images)


def test_what_has_no_partner_has_no_target(domains, cyclegan):
    found = translate(cyclegan, "B", domains, split="train")
    assert len(found.source) == len(found.translated) == 8
    assert found.target is None


def test_what_cannot_be_translated_is_named(domains):
    with pytest.raises(InputError, match="The model is a 'ae', which translates nothing"):
        translate(LinearAutoencoder((3, 32, 32)), "B", domains)
    with pytest.raises(InputError, match="judge is a 'judge', which translates nothing"):
        translate("judge", "B")
    with pytest.raises(InputError, match="no pair of domains called 'mars'"):
        translate(CycleGAN(**SMALL_TRANSLATOR), "B", "mars")


# evaluate


def test_a_model_is_evaluated_like_its_run_by_name_and_by_data(tmp_path, classes):
    out = tmp_path / "run"
    model, data = train("judge", classes, out=out, **QUIET), load(classes)
    rows = evaluate(model, data)
    assert rows == model.rows(data)
    assert [row.name for row in rows] == ["accuracy"]
    assert evaluate(model, classes) == evaluate(out) == evaluate(str(out), data) == rows
    file = tmp_path / "x.json"
    assert main(["evaluate", str(out), "--json", str(file)]) == 0
    assert json.loads(file.read_text()) == figures(rows)


def test_a_translator_is_evaluated_on_two_domains(domains, cyclegan):
    rows = evaluate(cyclegan, domains)
    assert rows == evaluate(cyclegan, load_domains(domains))
    names = [f"{figure}_to_{to}" for to in "ba" for figure in ("psnr", "l1", "ssim", "retrieval")]
    assert [row.name for row in rows] == names
    assert all(list(row.beside) == ["identity", "blur", "colour"] for row in rows)


class Copies(Model, Samples):
    """A sampler that returns training images, and has one figure of its own."""

    name = "copies"

    def __init__(self, images: ImageSet):
        super().__init__(image_shape=images.image_shape)
        self.images = images

    def loss(self, batch, rng, progress):
        raise AssertionError("trained, not only measured")

    def sample(self, n, rng=None):
        return self.images.train.subset(n).x

    def rows(self, data):
        return [Row("own", 1.0, {})]


@pytest.fixture
def garments(fashion, monkeypatch) -> ImageSet:
    """Few test images, and a judge that is not trained."""
    torch.manual_seed(0)
    judge = Judge().eval()
    monkeypatch.setattr("gen_lib.metrics.sample_quality.load_judge", lambda: judge)
    return ImageSet("few", fashion.train, fashion.test.subset(100), fashion.classes)


def test_the_figures_of_samples_follow_those_of_the_model(garments):
    rows = evaluate(Copies(garments), garments, n=50)
    assert [row.name for row in rows] == ["own", *Quality._fields]
    assert all(row.value == pytest.approx(row.beside["floor"], rel=1e-5) for row in rows[1:])


def test_too_few_samples_are_refused_before_any_work(garments, monkeypatch):
    for work in ("sample", "rows"):
        monkeypatch.setattr(Copies, work, None)
    with pytest.raises(InputError, match="3 images are too few"):
        evaluate(Copies(garments), garments, n=3)


def test_what_cannot_be_evaluated_is_named(domains, classes, cyclegan):
    two = load_domains(domains)
    with pytest.raises(
        InputError, match="A 'ae' translates nothing: evaluate it on a set of images"
    ):
        evaluate(LinearAutoencoder((3, 32, 32)), two)
    with pytest.raises(InputError, match=r"made for images of shape \(3, 64, 64\)"):
        evaluate(SupervisedTranslator((3, 64, 64), width=4, blocks=1), two)
    with pytest.raises(InputError, match=r"made for images of shape \(1, 28, 28\), those of"):
        evaluate(LinearAutoencoder(), classes)
    with pytest.raises(InputError, match="no shipped weights called 'oracle'"):
        evaluate("oracle")


def test_figures_are_the_rows_laid_flat():
    rows = [Row("mse", 1.0, {"pca": 2.0, "mean_image": 3.0}), Row("recall", 0.5, {"floor": 0.9})]
    assert figures(rows) == {
        "mse": 1.0,
        "mse_pca": 2.0,
        "mse_mean_image": 3.0,
        "recall": 0.5,
        "recall_floor": 0.9,
    }
