"""Checkpoints: what is saved comes back bit by bit, and nothing else is trusted."""

import json
import os
import pickle
import runpy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gen_lib import InputError
from gen_lib.files import sha256
from gen_lib.models import GPT, ConvAutoencoder, DeepAutoencoder, Judge, LinearAutoencoder
from gen_lib.models.autoencoder import Autoencoder
from gen_lib.models.base import Model
from gen_lib.training.checkpoints import (
    load,
    load_any,
    load_judge,
    load_pretrained,
    pretrained_folder,
    pretrained_names,
    read_card,
    save,
)

ROOT = Path(__file__).resolve().parents[3]
MODELS = [
    lambda: LinearAutoencoder((1, 4, 4), latent_size=3),
    lambda: DeepAutoencoder((3, 4, 4), latent_size=2, hidden=(6, 5)),
    lambda: ConvAutoencoder((1, 8, 8), latent_size=3, width=4),
    lambda: Judge((1, 8, 8), classes=3),
    lambda: GPT('\n\t한\t"\t🙂', "jamo", lines=True, context=5, width=4, layers=1, heads=1),
]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    save(LinearAutoencoder((1, 4, 4), latent_size=3), path, seed=7)
    return path


def contents(folder) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


# What is shipped

RECIPES = runpy.run_path(str(ROOT / "data" / "pretrained" / "retrain.py"))["RECIPES"]


@pytest.mark.parametrize("name", pretrained_names())
def test_a_card_names_its_recipe_its_file_and_the_judge_of_today(name):
    path = pretrained_folder() / f"{name}.safetensors"
    card = read_card(path)
    assert card["command"] == f"python -m gen_lib train {RECIPES[name]}"
    assert card["sha256"] == sha256(path)
    if "judge_sha256" in card:
        judge = "people-judge" if card["data"] == "people" else "judge"
        assert card["judge_sha256"] == sha256(pretrained_folder() / f"{judge}.safetensors")


@pytest.mark.parametrize("name", ["people-judge", "text-to-image"])
def test_the_weights_of_words_to_pictures_are_shipped_with_a_recipe(name):
    assert name in pretrained_names()
    assert "--data people" in RECIPES[name]


# Round trips


def test_loading_leaves_the_random_state_alone(saved):
    before = torch.get_rng_state()
    load(saved, Model)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("make", MODELS)
def test_what_is_saved_comes_back_bit_by_bit(tmp_path, make):
    model, path = make(), tmp_path / "deep" / "run" / "model.safetensors"
    save(model, path)
    again = load(path, type(model))
    assert type(again) is type(model)
    assert again.config == model.config
    assert not again.training
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())


def test_weights_kept_in_half_precision_come_back_as_float32(tmp_path):
    model, path = LinearAutoencoder((1, 4, 4), latent_size=3), tmp_path / "half.safetensors"
    rounded = {name: value.half().float() for name, value in model.state_dict().items()}
    save(model.half(), path)
    again = load(path, LinearAutoencoder).state_dict()
    assert all(value.dtype == torch.float32 for value in again.values())
    assert all(torch.equal(value, rounded[name]) for name, value in again.items())


def test_the_card_holds_the_facts_and_the_sha256_of_the_file(saved):
    card = read_card(saved)
    assert card == json.loads(saved.with_suffix(".json").read_text())
    assert card["sha256"] == sha256(saved)
    assert card["model"] == "ae"
    assert card["seed"] == 7
    assert card["config"] == {"image_shape": [1, 4, 4], "latent_size": 3}


def test_saving_leaves_two_files_and_no_partial_ones(saved):
    save(LinearAutoencoder((1, 4, 4), latent_size=3), saved)
    assert sorted(contents(saved.parent)) == ["model.json", "model.safetensors"]


def test_the_same_weights_give_the_same_file(tmp_path):
    model = DeepAutoencoder((1, 4, 4), latent_size=3, hidden=(6, 5))
    for name in range(20):
        save(model, tmp_path / f"{name}.safetensors")
    assert len({sha256(file) for file in tmp_path.glob("*.safetensors")}) == 1


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["sync", "rename"])
def test_an_interrupted_save_leaves_the_old_files_whole(saved, monkeypatch, error, where):
    before = contents(saved.parent)

    def fail(*arguments):
        raise error

    place, name = (os, "fsync") if where == "sync" else (Path, "replace")
    monkeypatch.setattr(place, name, fail)
    with pytest.raises(type(error)):
        save(LinearAutoencoder((1, 4, 4), latent_size=3), saved)
    assert contents(saved.parent) == before


def test_any_model_is_found_by_file_and_by_folder(saved):
    for name in (saved, saved.parent):
        assert isinstance(load_any(str(name), Model), LinearAutoencoder)
    assert isinstance(load(saved, Autoencoder), LinearAutoencoder)


# Files that are not to be trusted


def refused(path, kind=Model) -> str:
    """The one sentence with which the file is refused; it names the file."""
    before = contents(path.parent)
    with pytest.raises(InputError) as error:
        load(path, kind)
    assert str(path) in str(error.value)
    assert contents(path.parent) == before
    return str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    assert "There are no weights" in refused(tmp_path / "none.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    assert "damaged" in refused(saved)


@pytest.mark.parametrize("content", [b"these are no weights\n", bytes(4000), b"\xff" * 4000])
def test_a_file_of_something_else_is_refused(saved, content):
    saved.write_bytes(content)
    refused(saved)


def test_a_pickle_is_refused_and_not_executed(saved, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    saved.write_bytes(pickle.dumps(Payload()))
    assert "damaged" in refused(saved)
    torch.save({"state": Payload()}, saved)
    assert "damaged" in refused(saved)
    assert not (tmp_path / "executed").exists()


def test_a_model_of_an_unknown_name_is_refused(saved):
    save_file({"w": torch.zeros(2)}, saved, {"model": "oracle {}"})
    assert "'oracle'" in refused(saved)


def test_a_file_that_does_not_say_its_model_is_refused(saved):
    save_file({"w": torch.zeros(2)}, saved)
    assert "'unknown'" in refused(saved)


@pytest.mark.parametrize("kind", [Judge, DeepAutoencoder])
def test_a_checkpoint_of_another_model_is_refused(saved, kind):
    message = refused(saved, kind)
    assert "'ae'" in message
    assert repr(kind.name) in message


@pytest.mark.parametrize(
    "config",
    [
        '{"image_shape": [1, 4, 4], "latent_size": 5}',
        '{"image_shape": [1, 4, 4], "latent_size": 0}',
        '{"image_shape": [1, 4, 4], "latent_size": "three"}',
        '{"image_shape": [1, 4], "latent_size": 3}',
        '{"width": 3}',
        "[1, 2]",
        "no json",
        "",
    ],
)
def test_a_config_that_does_not_fit_is_refused(saved, config):
    state = LinearAutoencoder((1, 4, 4), latent_size=3).state_dict()
    save_file(state, saved, {"model": f"ae {config}"})
    assert "do not fit the model 'ae'" in refused(saved)


# Shipped weights


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A data folder of this test's own with one shipped model, "small"."""
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path))
    save(LinearAutoencoder((1, 4, 4), latent_size=3), tmp_path / "pretrained/small.safetensors")
    return tmp_path / "pretrained" / "small.safetensors"


def test_shipped_weights_are_found_by_name(shipped):
    assert pretrained_names() == ["small"]
    assert isinstance(load_pretrained("small", Model), LinearAutoencoder)
    assert isinstance(load_any("small", Model), LinearAutoencoder)


def test_one_altered_byte_of_shipped_weights_is_refused(shipped):
    altered = bytearray(shipped.read_bytes())
    altered[-1] ^= 1
    shipped.write_bytes(altered)
    with pytest.raises(InputError, match=r"small\.safetensors are not those of their card"):
        load_pretrained("small", Model)


@pytest.mark.parametrize("card", [None, "", "{", "[]", "{}"])
def test_shipped_weights_without_a_sound_card_are_refused(shipped, card):
    shipped.with_suffix(".json").unlink()
    if card is not None:
        shipped.with_suffix(".json").write_text(card)
    with pytest.raises(InputError, match="small"):
        load_pretrained("small", Model)


def test_an_unknown_shipped_name_is_refused_with_the_names_there_are(shipped):
    with pytest.raises(InputError, match="called 'big': choose one of small"):
        load_any("big", Model)


# The frozen judge


def test_the_shipped_judge_is_that_of_its_card():
    path = pretrained_folder() / "judge.safetensors"
    assert sha256(path) == read_card(path)["sha256"]


@pytest.mark.parametrize("key", ["data", "command", "seed", "minutes", "machine"])
def test_the_card_of_the_judge_says_how_it_was_made(key):
    assert key in read_card(pretrained_folder() / "judge.safetensors")


@pytest.mark.slow
def test_the_shipped_judge_names_93_5_percent_of_the_test_images(fashion):
    (row,) = load_judge().rows(fashion)
    assert row.name == "accuracy"
    assert row.value >= 0.935
    assert row.beside == {"one_class": 0.1}
