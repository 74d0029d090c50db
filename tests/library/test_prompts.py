"""Sentences for text to image, from the command line and from Python: any text has a clear end."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from gen_lib import InputError, experiment
from gen_lib.cli import main
from gen_lib.data import to_uint8
from gen_lib.data.people.words import encode
from gen_lib.experiment import sample
from gen_lib.metrics import Row
from gen_lib.models import DeepAutoencoder, TextToImage
from gen_lib.models.text_to_image import GUIDANCE
from gen_lib.models.vae import BernoulliVAE
from gen_lib.training.checkpoints import save


@pytest.fixture(scope="module")
def model() -> TextToImage:
    """A small untrained model that answers to words."""
    torch.manual_seed(0)
    found = TextToImage((3, 16, 16), width=8, blocks=1).eval()
    for p in found.net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return found.requires_grad_(False)


@pytest.fixture(scope="module")
def file(model, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model") / "words.safetensors"
    save(model, path)
    return str(path)


@pytest.fixture
def ask(file, tmp_path, capsys):
    """Run ``sample`` with some words; give what the .npz holds and what stderr said."""

    def run(*words):
        out = tmp_path / "new" / "x.npz"
        assert main(["sample", file, *map(str, words), "--out", str(out)]) == 0
        return np.load(out), capsys.readouterr().err

    return run


@pytest.fixture
def refused(file, tmp_path, capsys):
    """Run ``sample`` with some words that it refuses; give the one sentence on stderr."""

    def run(*words, model=file):
        out = tmp_path / "new" / "x.npz"
        assert main(["sample", model, *map(str, words), "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert not out.parent.exists()
        return said

    return run


@pytest.fixture
def lines(tmp_path):
    """Write a file of sentences."""

    def write(text: str | bytes) -> str:
        path = tmp_path / "sentences.txt"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


# From Python


def test_a_sample_for_a_prompt_is_that_of_the_model_for_its_numbers(model):
    x = sample(model, 3, seed=5, prompts=["a red hat", "빨간 모자"], guidance=0.5)
    labels = encode(["a red hat"] * 3 + ["빨간 모자"] * 3)
    rng = torch.Generator().manual_seed(5)
    assert torch.equal(x, model.sample(6, rng, labels=labels, guidance=0.5))
    assert x.shape == (6, 3, 16, 16)


def test_one_prompt_may_be_given_as_a_text(model):
    assert torch.equal(
        sample(model, 2, prompts="a red hat"), sample(model, 2, prompts=["a red hat"])
    )


def test_without_prompts_samples_are_unconditional(model):
    silent = sample(model, 2, seed=5)
    assert torch.equal(silent, model.sample(2, torch.Generator().manual_seed(5)))
    assert not torch.equal(silent, sample(model, 2, seed=5, prompts="a red hat"))


def test_the_guidance_is_2_unless_another_is_given(model):
    x = sample(model, 1, prompts="a red hat")
    assert torch.equal(sample(model, 1, prompts="a red hat", guidance=GUIDANCE), x)
    assert not torch.equal(sample(model, 1, prompts="a red hat", guidance=0), x)
    assert GUIDANCE == 2


@pytest.mark.parametrize("weight", [-1, -0.01, float("nan"), float("inf")])
def test_a_guidance_below_0_is_refused(model, weight):
    with pytest.raises(InputError, match=r"guidance is .*: it must be 0 or a positive number"):
        sample(model, 1, prompts="a red hat", guidance=weight)


def test_a_model_that_reads_no_words_takes_no_prompts():
    with pytest.raises(InputError, match="The model is a 'vae', which reads no words"):
        sample(BernoulliVAE(), 1, prompts="a red hat")
    with pytest.raises(InputError, match="'deep-ae', which has no distribution to sample from"):
        sample(DeepAutoencoder((1, 4, 4)), 1, prompts="a red hat")


def test_prompts_that_need_too_much_memory_are_refused_at_once(model):
    with pytest.raises(InputError, match=r"2,000,000,000 images need about .* GB of memory"):
        sample(model, 1_000_000_000, prompts=["a red hat", "a coat"])


@pytest.mark.parametrize("prompt", ["", "xyzzy", "\0", ["a red hat", ""]])
def test_a_prompt_without_a_known_word_is_refused(model, prompt):
    with pytest.raises(InputError, match="has no word that I know"):
        sample(model, 1, prompts=prompt)


# --prompt


def test_a_prompt_draws_64_pictures_or_as_many_as_asked_for(ask, model):
    found, said = ask("--prompt", "a red hat", "-n", 3, "--seed", 7, "--guidance", 1)
    assert said == ""
    assert found["prompts"].tolist() == ["a red hat"]
    expected = to_uint8(sample(model, 3, 7, prompts="a red hat", guidance=1.0))
    assert np.array_equal(found["images"], expected)
    assert len(ask("--prompt", "모자")[0]["images"]) == 64


def test_without_a_prompt_the_file_holds_none(ask):
    assert ask("-n", 2)[0].files == ["images"]


def test_known_words_are_drawn_and_unknown_ones_named_in_a_note(ask, model):
    found, said = ask("--prompt", "a gren dragon with a red hat", "-n", 1)
    assert said.startswith("gen_lib: Words that the model does not know: gren (perhaps green")
    assert "dragon" in said
    assert len(said.splitlines()) == 1
    expected = to_uint8(sample(model, 1, prompts="a with a red hat"))
    assert np.array_equal(found["images"], expected)


def test_only_unknown_words_are_refused_with_offers(refused):
    said = refused("--prompt", "gren hodie")
    assert "The prompt 'gren hodie' has no word that I know." in said
    assert re.search(r"gren \(perhaps green.*hodie \(perhaps hoodie", said)


@pytest.mark.parametrize("prompt", ["", "   ", "!?", "🙂", "\x00\x1b[", "\n"])
def test_a_prompt_without_words_is_refused_with_an_example(refused, prompt):
    said = refused("--prompt", prompt)
    assert "Say for example: a red hat, long hair, 안경" in said
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", said)


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a red\x00hat\x1b[0m", "a red hat"),
        ("red\u200bhat\u202e", "red hat"),
        ("빨간 hat을 쓴 person", "빨간 hat 쓴 person"),
        ("RED HAT", "red hat"),
        ("ｒｅｄ ｈａｔ", "red hat"),
        ("red hat \udcff", "red hat"),  # a byte of a command line that is no UTF-8
        ("red hat, " * 1_111, "red hat " * 20),
    ],
    ids=["control", "invisible", "mixed", "capitals", "wide", "surrogate", "10,000 characters"],
)
def test_strange_text_is_read_as_its_words(ask, model, prompt, read):
    found, said = ask("--prompt", prompt, "-n", 1)
    assert np.array_equal(found["images"], to_uint8(sample(model, 1, prompts=read)))
    assert all(len(line) < 200 for line in said.splitlines())


def test_ten_thousand_characters_without_a_word_are_refused_in_a_short_sentence(refused):
    assert len(refused("--prompt", "x" * 10_000)) < 200
    assert len(refused("--prompt", "xyz " * 2_500)) < 200


@pytest.mark.parametrize("weight", ["-1", "nan", "inf"])
def test_a_guidance_out_of_range_is_named(refused, weight):
    assert "guidance is" in refused("--prompt", "a red hat", f"--guidance={weight}")


def test_another_model_reads_no_words(refused, tmp_path):
    save(BernoulliVAE(), tmp_path / "vae.safetensors")
    said = refused("--prompt", "a red hat", model=str(tmp_path / "vae.safetensors"))
    assert "is a 'vae', which reads no words" in said


# --prompts


def test_a_file_of_prompts_draws_one_picture_for_each_line(ask, lines, model):
    asked = ["a red hat", "빨간 모자를 쓴 사람", "long hair"]
    found, said = ask("--prompts", lines("\n".join(asked) + "\n\n"))
    assert said == ""
    assert found["prompts"].tolist() == asked
    assert np.array_equal(found["images"], to_uint8(sample(model, 1, prompts=asked)))


def test_n_pictures_for_each_line_stand_in_one_row(file, ask, lines, tmp_path):
    path = lines("a red hat\na coat\n")
    images = ask("--prompts", path, "-n", 3)[0]["images"]
    assert len(images) == 6
    sheet = tmp_path / "x.png"
    assert main(["sample", file, "--prompts", path, "-n", "3", "--out", str(sheet)]) == 0
    with Image.open(sheet) as picture:
        pixels = np.asarray(picture).transpose(2, 0, 1)
    assert pixels.shape == (3, 2 + 2 * 18, 2 + 3 * 18)
    for k, image in enumerate(images):
        top, left = 2 + 18 * (k // 3), 2 + 18 * (k % 3)
        assert np.array_equal(pixels[:, top : top + 16, left : left + 16], image)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_of_any_system_and_with_a_mark_of_utf_8(ask, lines, ends):
    found, _ = ask("--prompts", lines(b"\xef\xbb\xbf" + f"a red hat{ends}a coat{ends}".encode()))
    assert found["prompts"].tolist() == ["a red hat", "a coat"]


def test_control_characters_do_not_end_a_line(ask, lines):
    found, _ = ask("--prompts", lines("a red\x0chat\x1c\u2028\na coat"))
    assert len(found["images"]) == 2


def test_unknown_words_of_all_lines_are_named_together(ask, lines):
    said = ask("--prompts", lines("a dragon hat\nxyzzy hat"))[1]
    assert len(said.splitlines()) == 1
    assert "dragon" in said
    assert "xyzzy" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a red hat\n\na coat\n", "Line 2 of .*sentences.txt has no sentence"),
        ("", "Line 1 of .* has no sentence"),
        ("\n \n", "Line 1 of .* has no sentence"),
        ("a red hat\nxyzzy\n", "The prompt 'xyzzy' has no word that I know"),
        (b"\xff\xfe\x00a", "cannot be read as UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_drawn_is_refused(refused, lines, text, words):
    assert re.search(words, refused("--prompts", lines(text)))


def test_a_file_that_is_missing_or_given_beside_a_prompt_is_refused(refused, tmp_path, capsys):
    assert "cannot be read as UTF-8 text" in refused("--prompts", tmp_path / "none.txt")
    assert "cannot be read as UTF-8 text" in refused("--prompts", tmp_path)
    with pytest.raises(SystemExit):
        main(["sample", "x", "--prompt", "a", "--prompts", "b", "--out", "x.npz"])
    assert "not allowed with argument" in capsys.readouterr().err


# Training and evaluating


@pytest.mark.parametrize("name", ["text-to-image", "attribute-judge"])
def test_labels_that_only_people_have_are_asked_for(name, tmp_path, classes):
    for data in ("fashion_mnist", classes):
        with pytest.raises(InputError, match=r"A '.*' learns from the .*'people' has them"):
            experiment.train(name, data, steps=1, out=tmp_path / "run", show_bar=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["text-to-image", "attribute-judge"])
def test_what_reads_people_trains_on_them_and_is_evaluated(name, tmp_path, monkeypatch, capsys):
    row = Row("obedience_unseen: outfit colour", 0.5, {})
    monkeypatch.setattr("gen_lib.metrics.sample_quality.obedience_rows", lambda model, n: [row])
    monkeypatch.setattr("gen_lib.models.latent_diffusion.reconstruction_rows", lambda *given: [])
    out = tmp_path / "run"
    words = ["--data", "people", "--steps", "2", "--batch-size", "4", "--set", "width=8"]
    assert main(["train", name, *words, "--out", str(out)]) == 0
    assert main(["evaluate", str(out)]) == 0
    said = capsys.readouterr().out
    assert "on the test images of people" in said
    if name == "attribute-judge":
        figures = [line for line in said.splitlines() if "accuracy of " in line]
        assert len(figures) == 9
        assert len({line.index("beside: one_value") for line in figures}) == 1  # in one column
    else:
        assert "obedience_unseen: outfit colour     0.5000\n" in said


def test_other_models_train_on_people_with_outfits_as_classes():
    size = {"width": 8, "blocks": 1, "conditional": True}
    quick = {"steps": 1, "batch_size": 2, "show_bar": False}
    model = experiment.train("diffusion", "people", settings=size, **quick)
    assert model.config["image_shape"] == (3, 48, 48)
    assert model.known == 8
