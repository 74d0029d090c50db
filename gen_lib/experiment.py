"""Train, sample, write, translate and evaluate: five functions with plain arguments.

The command line (``python -m gen_lib``) calls them. A run is a folder. During training it holds
``checkpoints``; at the end it holds the model's weights, its card, and ``history.csv``, which is
written last: a folder with this file holds a finished run. The last checkpoint stays, so that the
run can be continued with a larger budget.

    from gen_lib import experiment

    model = experiment.train("vae", minutes=1)
    images = experiment.sample(model, n=16)  # (16, 1, 28, 28), in [-1, 1]
    for row in experiment.evaluate(model):
        print(row.name, row.value, row.beside)
"""

import csv
import hashlib
import inspect
import io
import math
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from gen_lib import InputError, check_not_negative
from gen_lib.data import DOMAIN_SETS, Domain, DomainSet, ImageSet, Split, load_domains
from gen_lib.data.domains import load_classes
from gen_lib.data.folders import to_translate
from gen_lib.data.people.sets import people_set
from gen_lib.data.people.words import check_prompts, encode
from gen_lib.data.text import TextSet, TokenSplit, load_text
from gen_lib.files import check_writable, write_whole
from gen_lib.metrics import Row
from gen_lib.metrics.sample_quality import N_FRECHET, check_shape, judged_rows
from gen_lib.models import MODELS
from gen_lib.models.base import Images, Labelled, Model, Samples, Translates, in_batches
from gen_lib.models.text_to_image import GUIDANCE, TextToImage
from gen_lib.models.transformer import BETWEEN, GPT, LENGTH
from gen_lib.training import History, fit
from gen_lib.training.checkpoints import RUN_FILE, load_any, read_card, save, weights_file
from gen_lib.training.distributed import team
from gen_lib.training.hardware import machine
from gen_lib.training.resume import RunCheckpoints, spent

CHECKPOINTS, LOCK = "checkpoints", ".lock"
DEFAULTS: dict[Labelled, str] = {
    "class": "fashion_mnist",
    "attributes": "people",
    "sentences": "people",
    "text": "names",
}
"""The shipped data for a model that learns from labels of a kind, or from a text."""
Data = ImageSet | DomainSet | TextSet


def train(
    model: str,
    data: str | None = None,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    keep_every: float = 60.0,
    command: str = "",
    show_bar: bool = True,
) -> Model:
    """Train a model and return it, in eval mode on the CPU.

    Args:
        model: a name in ``gen_lib.models.MODELS``, such as "vae".
        data: the name of a data set, of two domains or of a text, or the path of a folder of
            pictures or of a text file; a shipped one that suits the model unless given.
        steps: the budget in training steps ...
        minutes: ... or in minutes of wall time. Exactly one of the two is given.
        seed: of the initial weights, the shuffling and the model's noise.
        batch_size: images, or rows of a text, in a step; the model's own default unless given.
        settings: arguments of the model, such as ``{"latent_size": 2}``.
        out: a new folder for weights, card and history; nothing is written unless given.
        resume: continue from the newest checkpoint in ``out``, or start if there is none. Only the
            budget may differ from that of the first call.
        keep_every: seconds between checkpoints.
        command: the command of this run, for the card.
        show_bar: show a progress bar.

    Raises:
        InputError: an argument is not usable, ``out`` holds other files or a run with other
            arguments or pictures, or another process trains there.
        NonFiniteLoss: training diverged.
    """
    kind, first = _kind(model), team().rank == 0
    folder = None if out is None else Path(out)
    with _alone_in(folder, resume) if folder and first else nullcontext():
        images = load_data(kind, data or DEFAULTS[kind.labels])
        torch.manual_seed(seed)
        trained = build(model, images, settings or {})
        size = kind.batch_size if batch_size is None else batch_size
        budget: dict[str, Any] = {"steps": steps, "minutes": minutes}
        repeated: dict[str, Any] = {"seed": seed, "batch_size": size}
        extra: dict[str, Any] = {"show_bar": show_bar and first}
        if folder:
            run = {"model": model, "data": images.name, "pictures": fingerprint(images)}
            run |= repeated | trained.config
            checkpoints = RunCheckpoints(folder / CHECKPOINTS, run, **budget, seconds=keep_every)
            extra["resume"] = checkpoints.newest() if resume else None
            if resume and _is_done(folder, extra["resume"], **budget, say=first):
                return load_any(str(folder), Model)
            if first:
                extra["keep"] = checkpoints
                print(images.found, end="\n" * bool(images.found))
        history = fit(trained, images.train, **budget, **repeated, **extra)
        if folder and first:
            _finish(trained, history, folder, data=images.name, command=command, seed=seed)
    return trained


def sample(
    model: str | Path | Model,
    n: int = 64,
    seed: int = 0,
    *,
    prompts: str | Sequence[str] = (),
    guidance: float | int = GUIDANCE,
) -> Images:
    """n new images in [-1, 1]; with prompts, n for each of them, in their order.

    Args:
        model: a trained model, a run's folder, a .safetensors file or a shipped name.
        n: number of images.
        seed: of the noise.
        prompts: a sentence that says what to draw, or several, for a model that reads words.
        guidance: weight w >= 0 of the sentences.

    Raises:
        InputError: there is no such model, it does not sample, or it reads no words; a prompt has
            no word that it knows, or the guidance is negative.
    """
    found = _loaded(model)
    prompts = [prompts] if isinstance(prompts, str) else prompts
    if isinstance(found, GPT):
        raise InputError(f"{_title(model)} is a {found.name!r}, which draws no images: use write.")
    if not isinstance(found, Samples):
        raise InputError(
            f"{_title(model)} is a {found.name!r}, which has no distribution to sample from: "
            "choose a generative model (chapter 01 shows what random codes give instead)."
        )
    _check_memory(n * max(1, len(prompts)), found.config.get("image_shape", (1, 1, 1)))
    rng = torch.Generator().manual_seed(seed)
    if not prompts:
        return found.sample(n, rng)
    if not isinstance(found, TextToImage):
        raise InputError(f"{_title(model)} is a {found.name!r}, which reads no words.")
    check_not_negative(guidance=guidance)
    check_prompts(prompts)
    labels = encode(prompts).repeat_interleave(n, dim=0)
    return found.sample(len(labels), rng, labels=labels, guidance=guidance)


def write(
    model: str | Path | Model,
    prompts: str | Sequence[str] = "",
    n: int = 1,
    seed: int = 0,
    *,
    length: int = LENGTH,
    temperature: float | int = 1.0,
    top_p: float | int = 1.0,
) -> list[str]:
    """n texts for each prompt, in their order, by a model of text.

    Args:
        model: as of ``sample``.
        prompts: how a text begins, or several; an empty one begins a line.
        n: number of texts for each.
        seed: of the draws.
        length: the largest number of new tokens.
        temperature: below 1 for likelier texts; 0 takes the likeliest token at each place.
        top_p: draw from the likeliest tokens that sum to this probability.

    Raises:
        InputError: there is no such model, it writes no text, or an argument is out of its range.
    """
    found = _loaded(model)
    if not isinstance(found, GPT):
        raise InputError(f"{_title(model)} is a {found.name!r}, which writes no text.")
    sizes = 2 * found.config["layers"], found.context, found.config["width"]
    _check_memory(n, sizes, "texts")  # keys and values
    rng = torch.Generator().manual_seed(seed)
    settings: dict[str, Any] = {"length": length, "temperature": temperature, "top_p": top_p}
    prompts = [prompts] if isinstance(prompts, str) else prompts
    return [text for prompt in prompts for text in found.write(prompt, n, rng, **settings)]


def _check_memory(n: int, shape: tuple[int, int, int], of: str = "images") -> None:
    import psutil

    needed = 3 * 4 * n * prod(shape)  # bytes: parts of the samples, the samples, their copy
    if needed > (free := psutil.virtual_memory().available):
        raise InputError(
            f"{n:,} {of} need about {needed / 2**30:,.0f} GB of memory, and "
            f"{free / 2**30:.1f} GB are free: take fewer."
        )


class Translation(NamedTuple):
    """Pictures, their translations, and their true partners where there are pairs."""

    source: Domain
    translated: Images  # about [-1, 1]
    target: Domain | None


def translate(
    model: str | Path | Model,
    to: Literal["A", "B"],
    data: str | None = None,
    split: Literal["train", "test"] = "test",
) -> Translation:
    """Translate the pictures of one domain into the other.

    Args:
        model: as of ``sample``.
        to: the domain of the translations.
        data: domains by name, a folder of them, or a folder of pictures or a single picture of the
            other domain; the data that the model was trained on unless given.
        split: which half of the data, if it has halves.

    Raises:
        InputError: there is no such model or data, or the model does not translate.
    """
    found = _loaded(model)
    if not isinstance(found, Translates):
        raise InputError(f"{_title(model)} is a {found.name!r}, which translates nothing.")
    size, name = found.config["image_shape"][1], data_of(model, data)
    if name not in DOMAIN_SETS and Path(name).exists():
        source, target = to_translate(Path(name), size, "B" if to == "A" else "A", split)
    else:
        half = getattr(load_domains(name, size=size), split)
        source, target = (half.b, half.a) if to == "A" else (half.a, half.b)
        target = target if half.paired else None
    return Translation(source, in_batches(lambda x: found.translate(x, to=to), source.x), target)


def evaluate(
    model: str | Path | Model, data: str | Data | None = None, n: int = N_FRECHET
) -> list[Row]:
    """The figures that apply to a model, each beside its floor or baseline.

    Args:
        model: as of ``sample``.
        data: a data set or its name; the one that the model was trained on unless given.
        n: number of samples to measure, at most as many as there are real test images.

    Raises:
        InputError: there is no such model or data, the model was made for images of another
            shape, or n is too small.
    """
    found = _loaded(model)
    if data is None or isinstance(data, str):
        data = load_data(type(found), data_of(model, data), found.config.get("image_shape"))
    if isinstance(data, TextSet) != (found.labels == "text"):
        other = "images" if isinstance(data, TextSet) else "a text"
        raise InputError(f"A {found.name!r} is measured on {other}: give such data.")
    if isinstance(data, TextSet):
        return found.rows(data)
    check_shape(found, data)
    if isinstance(data, DomainSet) and not isinstance(found, Translates):
        raise InputError(f"A {found.name!r} translates nothing: evaluate it on a set of images.")
    judged = judged_rows(found, data, n)  # first, because it refuses an n that is too small
    return [*found.rows(data), *judged]


def figures(rows: Sequence[Row]) -> dict[str, float | str | None]:
    """The rows of ``evaluate`` as one flat mapping: ``mse``, ``mse_pca``, ...

    A figure that is no finite number is None, and ``mse_reason`` says why.
    """
    flat: dict[str, float | str | None] = {}
    for row in rows:
        numbers = {row.name: row.value}
        numbers |= {f"{row.name}_{name}": value for name, value in row.beside.items()}
        flat |= {name: v if math.isfinite(v) else None for name, v in numbers.items()}
        if None in (flat[name] for name in numbers):
            flat[f"{row.name}_reason"] = row.reason or "not a finite number"
    return flat


def load_data(
    kind: type[Model], name: str, image_shape: tuple[int, int, int] | None = None
) -> Data:
    """A text, two domains for a model that translates, or images with the labels that it needs."""
    if kind.labels == "text":
        return load_text(name)
    if kind.labels != "class":
        if name != "people":
            raise InputError(
                f"A {kind.name!r} learns from the {kind.labels} of pictures, and only the data set "
                f"'people' has them: choose it in place of {name!r}."
            )
        return people_set(kind.labels)
    if not issubclass(kind, Translates):
        return load_classes(name)
    if image_shape is None:
        return load_domains(name, paired=kind.needs_pairs)
    return load_domains(name, size=image_shape[1])


def data_of(model: str | Path | Model, data: str | None) -> str:
    """The data set that is asked for, else the one that the model's card names."""
    if isinstance(model, Model):
        return data or DEFAULTS[model.labels]
    if data is not None:
        return data
    try:
        return read_card(weights_file(str(model))).get("data", "fashion_mnist")
    except InputError as error:
        raise InputError(f"{error} Or name the data of the model by --data.") from error


def fingerprint(images: Data) -> str:
    """A hash of the training pictures and labels, or tokens, which notices when they change."""
    train = images.train
    if isinstance(train, TokenSplit):
        parts = [train.tokens]
    elif isinstance(train, Split):
        parts = [train.images, train.labels]
    else:
        parts = [train.a.images, train.b.images]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.numpy().tobytes())
    return digest.hexdigest()[:16]


def build(model: str, data: Data, settings: Mapping[str, Any]) -> Model:
    """A new model for these data, or an InputError if the name or the settings do not fit."""
    kind = _kind(model)
    given = {name: _setting(name, value, model) for name, value in settings.items()}
    takes = inspect.signature(kind).parameters
    facts = {name: value for name, value in _facts(data).items() if name in takes}
    if twice := given.keys() & facts.keys():
        raise InputError(f"The data give {', '.join(sorted(twice))}: leave it out of the settings.")
    given |= facts
    try:
        return kind(**given)
    except (MemoryError, OverflowError, RuntimeError, TypeError, ZeroDivisionError) as error:
        words = " ".join(f"{name}={value}" for name, value in settings.items())
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"A {model!r} cannot be built with {words} ({reason}): choose other values."
        ) from error


def _facts(data: Data) -> dict[str, Any]:
    """The arguments of a model that its data give."""
    if isinstance(data, TextSet):
        of = data.tokeniser
        return {
            "alphabet": BETWEEN.join(of.tokens),
            "unit": of.unit,
            "lines": data.lines,
            "context": data.context,
        }
    return {"image_shape": data.image_shape, "classes": len(data.classes)}


GIVEN = ("classes", "alphabet", "unit", "lines", "context")  # by the data
READERS: dict[type, Callable[[str], Any]] = {bool: {"True": True, "False": False}.__getitem__}
READERS |= {kind: kind for kind in (int, float, str)}
"""The function that reads a setting from a text, by the type of the setting's default."""


def _setting(name: str, value: Any, model: str) -> Any:
    """The value of a setting; a text is read as the type of the setting's default."""
    parameters = inspect.signature(MODELS[model]).parameters
    if not isinstance(value, str) and name in parameters:
        return value
    kinds = {
        n: type(p.default)
        for n, p in parameters.items()
        if type(p.default) in READERS and n not in GIVEN
    }
    if name not in kinds:
        raise InputError(f"The model {model!r} has no {name!r} to set: {', '.join(kinds)}.")
    try:
        return READERS[kinds[name]](value)
    except (KeyError, ValueError):
        raise InputError(
            f"--set {name}={value}: {name} takes {kinds[name].__name__} values."
        ) from None


def _kind(model: str) -> type[Model]:
    if model not in MODELS:
        raise InputError(f"There is no model {model!r}: choose one of {', '.join(MODELS)}.")
    return MODELS[model]


def _loaded(model: str | Path | Model) -> Model:
    return model if isinstance(model, Model) else load_any(str(model), Model)


def _title(model: str | Path | Model) -> str:
    return "The model" if isinstance(model, Model) else str(model)


@contextmanager
def _alone_in(out: Path, resume: bool) -> Iterator[None]:
    """Hold the folder of a run, so that no other process trains there at the same time."""
    check_writable(out)
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(
            f"Another process is training in {out}: wait for it, or choose another --out."
        ) from None
    try:
        _check_place(out, resume)
        yield
    finally:
        lock.release()
        (out / LOCK).unlink(missing_ok=True)
        for folder in new:  # as before, if nothing was written
            if not any(folder.iterdir()):
                folder.rmdir()


def _is_done(
    out: Path,
    kept: Mapping[str, Tensor] | None,
    steps: int | None,
    minutes: float | None,
    say: bool,
) -> bool:
    """Whether the run in ``out`` is finished and has spent this budget; if so, say what to do."""
    finished = (out / "history.csv").is_file()
    if kept is None:  # of a version that kept no checkpoint at the end
        advice = "it holds no checkpoint to continue from"
        done = finished
    else:
        seconds = kept["history.seconds"]
        done = finished and spent(len(seconds), seconds[-1].item(), steps, minutes) == 1
        advice = (
            f"{len(seconds)} steps in {seconds[-1] / 60:.2f} min; to go on, give a larger budget"
        )
    if done and say:
        print(f"{out} is done ({advice}): there is nothing left to train.")
    if finished and not done:
        (out / "history.csv").unlink(missing_ok=True)  # written again at the end
    return done


def _check_place(out: Path, resume: bool) -> None:
    a_run = (out / CHECKPOINTS).is_dir() or (out / "history.csv").is_file()
    if {file.name for file in out.iterdir()} - {LOCK} and not (resume and a_run):
        raise InputError(
            f"{out} exists and is not empty: choose another --out, remove it, or continue an "
            "interrupted run by --resume."
        )


def _finish(model: Model, history: History, out: Path, **facts: Any) -> None:
    minutes = round(history.seconds[-1] / 60, 2)
    cost = {"steps": history.steps, "minutes": minutes, "machine": machine()}
    save(model, out / RUN_FILE, **facts, **cost)
    _write_history(history, out / "history.csv")
    here = subprocess.list2cmdline([str(out)]) if os.name == "nt" else shlex.quote(str(out))
    print(f"{history.steps} steps in {minutes} min. Next: python -m gen_lib evaluate {here}")


def _write_history(history: History, path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["step", "seconds", *history.terms])
    columns = zip(history.seconds, *history.terms.values(), strict=True)
    for step, row in enumerate(columns, 1):
        writer.writerow([step, *("" if math.isnan(v) else f"{v:.6g}" for v in row)])
    write_whole(path, text.getvalue().encode())
