"""How is a trained model kept, found and trusted?

A model is two files: ``NAME.safetensors`` (weights, and in its header the model's name and
configuration, in one entry since safetensors writes several in random order; nothing in it can
execute) and ``NAME.json``, its card: data, command, seed, minutes,
figures, and the sha256 of the weights and of the judge that measured them.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gen_lib import InputError
from gen_lib.data import data_folder
from gen_lib.models import MODELS
from gen_lib.models.base import Model
from gen_lib.models.judge import Judge

M = TypeVar("M", bound=Model)
RUN_FILE = "model.safetensors"


def save(model: Model, path: Path, **card: Any) -> None:
    """Write the model's weights to ``path`` (.safetensors) and its card beside it (.json).

    Each file appears whole or not at all: it is written under another name, synced and renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"model": f"{model.name} {json.dumps(model.config)}"}
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    _replace(path, lambda partial: save_file(state, partial, header))
    card = {"model": model.name, "config": model.config, "sha256": sha256(path)} | card
    text = json.dumps(card, indent=2) + "\n"
    _replace(path.with_suffix(".json"), lambda partial: partial.write_text(text))


def load(path: Path, kind: type[M]) -> M:
    """The model of a .safetensors file, in eval mode on the CPU.

    Args:
        path: the file.
        kind: the class it must be (``Model`` for any).

    Raises:
        InputError: there is no such file, it is damaged, or holds another model.
    """
    if not path.is_file():
        raise InputError(f"There are no weights at {path}: train them first, or check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            name, _, config = (file.metadata() or {}).get("model", "unknown").partition(" ")
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"The weights {path} are damaged or no safetensors file ({error}): restore the file, "
            "or train the model again."
        ) from error
    found = MODELS.get(name)
    if found is None or not issubclass(found, kind):
        raise InputError(
            f"The weights {path} are of the model {name!r}, not of "
            f"{kind.name if hasattr(kind, 'name') else kind.__name__!r}: give a file of that model."
        )
    try:
        with torch.random.fork_rng(devices=[]):  # for initial weights that nobody will see
            model = found(**json.loads(config, object_hook=_tuples))
        model.load_state_dict(state)
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The weights {path} do not fit the model {found.name!r} of this version of gen_lib: "
            "train them again."
        ) from error
    return model.eval()


def load_pretrained(name: str, kind: type[M]) -> M:
    """A model shipped in ``data/pretrained``, its file checked against the sha256 of its card.

    Raises:
        InputError: there is no such model, or its file was altered.
    """
    path = pretrained_folder() / f"{name}.safetensors"
    if not path.is_file():
        raise InputError(
            f"There are no shipped weights called {name!r}: "
            f"choose one of {', '.join(pretrained_names())}."
        )
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
    """The card beside a weights file.

    Raises:
        InputError: it is missing or no JSON.
    """
    card = path.with_suffix(".json")
    try:
        return dict(json.loads(card.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"The card {card} is missing or damaged: restore it with `git checkout -- {card}`."
        ) from error


def pretrained_folder() -> Path:
    """The folder of the shipped weights."""
    return data_folder() / "pretrained"


def pretrained_names() -> list[str]:
    """The names of all shipped models."""
    return sorted(path.stem for path in pretrained_folder().glob("*.safetensors"))


def sha256(path: Path) -> str:
    """The file's sha256, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}


def _replace(path: Path, write) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        write(partial)
        with partial.open("rb+") as file:  # Windows syncs only what is open for writing
            os.fsync(file.fileno())
        partial.chmod(0o644)  # safetensors makes it readable for its owner alone
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
