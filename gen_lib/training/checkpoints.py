"""Save and load trained models.

A model is two files. ``NAME.safetensors`` holds the weights and, in one entry of its header, the
model's name and configuration; nothing in it can execute. ``NAME.json`` is its card: data, command,
seed, minutes, figures, and the sha256 of the weights and of the judge that measured them.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import torch

from gen_lib import InputError
from gen_lib.data import data_folder
from gen_lib.files import packed, sha256, unpacked, write_whole
from gen_lib.models import MODELS
from gen_lib.models.base import Model
from gen_lib.models.judge import Judge

M = TypeVar("M", bound=Model)
RUN_FILE = "model.safetensors"
MOST_TIMES = 10_000  # limit of a setting that sizes no weights, such as T of a diffusion schedule


def save(model: Model, path: Path, **card: Any) -> None:
    """Write the model's weights to ``path`` (.safetensors) and its card beside it (.json)."""
    header = {"model": f"{model.name} {json.dumps(model.config)}"}
    write_whole(path, packed(model.state_dict(), header))
    card = {"model": model.name, "config": model.config, "sha256": sha256(path)} | card
    write_whole(path.with_suffix(".json"), f"{json.dumps(card, indent=2)}\n".encode())


def load(path: Path, kind: type[M]) -> M:
    """The model of a .safetensors file, in eval mode on the CPU.

    Raises:
        InputError: there is no such file, it is damaged, or its model is not a ``kind``.
    """
    if not path.is_file():
        raise InputError(f"There are no weights at {path}: train them first, or check the path.")
    header, state = unpacked(path)
    name, _, config = header.get("model", "unknown").partition(" ")
    found = MODELS.get(name)
    if found is None or not issubclass(found, kind):
        wanted = getattr(kind, "name", kind.__name__)
        raise InputError(
            f"The weights {path} are of the model {name!r}, not of {wanted!r}: give others."
        )
    try:
        given = dict(json.loads(config)).items()  # JSON turned tuples into lists
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in given}
        most = max(MOST_TIMES, sum(value.numel() for value in state.values()))
        if any(isinstance(value, int) and value > most for value in settings.values()):
            raise ValueError("a setting is larger than the number of weights")
        with torch.device("meta"):  # takes no memory
            shapes = {key: value.shape for key, value in found(**settings).state_dict().items()}
        if shapes != {key: value.shape for key, value in state.items()}:
            raise ValueError("the weights have other shapes")
        with torch.random.fork_rng(devices=[]):  # for initial weights that are overwritten
            model = found(**settings)
        model.load_state_dict(state)
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The weights {path} do not fit the model {found.name!r} of this version of gen_lib: "
            "train them again."
        ) from error
    return model.eval()


def load_pretrained(name: str, kind: type[M]) -> M:
    """A model of ``data/pretrained``; an InputError if its sha256 is not that of its card."""
    path = pretrained_folder() / f"{name}.safetensors"
    if not path.is_file():
        names = ", ".join(pretrained_names())
        raise InputError(f"There are no shipped weights called {name!r}: choose one of {names}.")
    if sha256(path) != read_card(path).get("sha256"):
        raise InputError(
            f"The weights {path} are not those of their card: "
            "restore both with `git checkout -- data/pretrained`."
        )
    return load(path, kind)


def load_judge() -> Judge:
    """The frozen judge that every chapter measures with."""
    return load_pretrained("judge", Judge)


def load_any(run_or_name: str, kind: type[M]) -> M:
    """The model of a run's folder, of a .safetensors file, or of a shipped name."""
    path = weights_file(run_or_name)
    shipped = path == pretrained_folder() / f"{run_or_name}.safetensors"
    return load_pretrained(run_or_name, kind) if shipped else load(path, kind)


def weights_file(run_or_name: str) -> Path:
    """Where ``load_any`` finds the weights, the card being beside them."""
    path = Path(run_or_name)
    if path.suffix == ".safetensors":
        return path
    return path / RUN_FILE if path.is_dir() else pretrained_folder() / f"{run_or_name}.safetensors"


def read_card(path: Path) -> dict[str, Any]:
    """The card beside a weights file; an InputError if it is missing or no JSON."""
    card = path.with_suffix(".json")
    try:
        return dict(json.loads(card.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"The card {card} is missing or damaged: put it back beside the weights."
        ) from error


def pretrained_folder() -> Path:
    """The folder of the shipped weights."""
    return data_folder() / "pretrained"


def pretrained_names() -> list[str]:
    """The names of all shipped models."""
    return sorted(path.stem for path in pretrained_folder().glob("*.safetensors"))
