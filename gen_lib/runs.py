"""How is a model trained by one command, and how does a run that was killed go on?

A run is a folder. While it goes on it holds ``checkpoints``, and in the end the model's weights and
card and its history, which is written last: where it stands, the run is done.
"""

import argparse
import csv
import inspect
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gen_lib import InputError
from gen_lib.checkpoints import RUN_FILE, Keeper, check_writable, save, write_whole
from gen_lib.clock import machine
from gen_lib.data import DomainSet, ImageSet, load_domains
from gen_lib.data.domains import load_classes
from gen_lib.models import MODELS
from gen_lib.models.base import Model, Translates
from gen_lib.processes import team
from gen_lib.progress import History
from gen_lib.training import fit

CHECKPOINTS = "checkpoints"
READERS: dict[type, Callable[[str], Any]] = {
    bool: {"True": True, "False": False}.__getitem__,
    int: int,
    float: float,
    str: str,
}
"""How an argument of a model is read from a text, by the type of its default."""


def train(options: argparse.Namespace) -> None:
    """Train a model and write its weights, card and history to a new folder."""
    out, first = options.out or Path("runs") / options.model, team().rank == 0
    if options.resume and (out / "history.csv").is_file():
        if first:
            shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
            print(f"{out} is done: there is nothing to go on with.")
        return
    if first:
        _check_place(out, options.resume)
    kind = MODELS[options.model]
    images: ImageSet | DomainSet
    if issubclass(kind, Translates):
        images = load_domains(options.data, paired=kind.needs_pairs)
    else:
        images = load_classes(options.data)
    torch.manual_seed(options.seed)
    model = _build(options, images)
    budget = {"steps": options.steps, "minutes": options.minutes, "seed": options.seed}
    budget["batch_size"] = kind.batch_size if options.batch_size is None else options.batch_size
    run = {"model": model.name, "config": model.config, "data": images.name, **budget}
    keeper = Keeper(out / CHECKPOINTS, run, options.keep_every)
    resume = keeper.newest() if options.resume else None
    way: dict[str, Any] = {"keep": keeper} if first else {"progress": False}
    history = fit(model, images.train, **budget, **way, resume=resume)
    if first:
        _finish(model, history, out, data=images.name, command=options.command, seed=options.seed)


def _check_place(out: Path, resume: bool) -> None:
    empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not empty and not (resume and (out / CHECKPOINTS).is_dir()):
        raise InputError(
            f"{out} exists and is not empty: choose another --out, remove it, or go on with what "
            "was interrupted there by --resume."
        )
    check_writable(out)


def _finish(model: Model, history: History, out: Path, **facts: Any) -> None:
    minutes = round(history.seconds[-1] / 60, 2)
    cost = {"steps": history.steps, "minutes": minutes, "machine": machine()}
    save(model, out / RUN_FILE, **facts, **cost)
    _write_history(history, out / "history.csv")
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    print(f"{history.steps} steps in {minutes} min. Next: python -m gen_lib evaluate {out}")


def _build(options: argparse.Namespace, images: ImageSet | DomainSet) -> Model:
    kind = MODELS[options.model]
    takes = inspect.signature(kind).parameters
    given = dict(_setting(text, options.model) for text in options.settings)
    if "classes" in takes:
        given["classes"] = len(images.classes)
    try:
        return kind(image_shape=images.image_shape, **given)
    except (MemoryError, OverflowError, RuntimeError, TypeError, ZeroDivisionError) as error:
        raise InputError(
            f"A {options.model!r} cannot be built with {' '.join(options.settings)} "
            f"({str(error).splitlines()[0]}): choose other values."
        ) from error


def _setting(text: str, model: str) -> tuple[str, Any]:
    """The text NAME=VALUE as an argument of the model and a value of its type."""
    name, _, value = text.partition("=")
    parameters = inspect.signature(MODELS[model]).parameters.values()
    kinds = {p.name: type(p.default) for p in parameters if type(p.default) in READERS}
    kinds.pop("classes", None)  # as many as the data have
    if name not in kinds:
        raise InputError(f"The model {model!r} has no {name!r} to set: {', '.join(kinds)}.")
    try:
        return name, READERS[kinds[name]](value)
    except (KeyError, ValueError):
        raise InputError(f"--set {text}: {name} takes {kinds[name].__name__} values.") from None


def _write_history(history: History, path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["step", "seconds", *history.terms])
    columns = zip(history.seconds, *history.terms.values(), strict=True)
    for step, row in enumerate(columns, 1):
        writer.writerow([step, *(f"{value:.6g}" for value in row)])
    write_whole(path, text.getvalue().encode())
