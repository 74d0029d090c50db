"""The command line: ``python -m gen_lib COMMAND``.

The commands are train, sample, translate, evaluate and list. All but the last call the function of
that name in ``experiment`` and write its result; ``sample`` calls ``write`` for a model of text.
"""

import argparse
import errno
import io
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from gen_lib import InputError, experiment
from gen_lib.data import DOMAIN_SETS, TOYS, to_uint8
from gen_lib.data.images import IMAGE_SETS
from gen_lib.data.people.words import check_prompts, unknown_words
from gen_lib.data.text import TEXT_SETS
from gen_lib.files import check_writable, write_whole
from gen_lib.metrics import Row
from gen_lib.metrics.sample_quality import N_FRECHET
from gen_lib.models import MODELS, Model
from gen_lib.models.text_to_image import GUIDANCE
from gen_lib.models.transformer import GPT, LENGTH
from gen_lib.training import NonFiniteLoss
from gen_lib.training.checkpoints import load_any, pretrained_names
from gen_lib.training.distributed import ProcessLost

TEXTS = 10  # that are written unless another number is given
TRAINED = "a run's folder, a .safetensors file or a shipped name"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 after an error (one line on stderr), or 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):  # names that a legacy code page lacks are escaped
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(words)
    options.command = shlex.join(["python", "-m", "gen_lib", *words])
    try:
        options.run(options)
        sys.stdout.flush()
    except (InputError, NonFiniteLoss, ProcessLost) as error:
        return _failed(str(error))
    except BrokenPipeError:  # the reader of the output, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        return _failed(f"{error}: {'free some space or ' if full else ''}choose another place.")
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return _failed("There is not enough memory: take a smaller -n or --batch-size.")
    except KeyboardInterrupt:
        trained = "; --resume continues from the last checkpoint" if options.run is train else ""
        print(f"gen_lib: interrupted{trained}.", file=sys.stderr)
        return 130
    return 0


def _failed(sentence: str) -> int:
    print(f"gen_lib: {sentence}", file=sys.stderr)
    return 2


def train(options: argparse.Namespace) -> None:
    """Train a model and write its weights, card and history to a new folder."""
    parts = (text.partition("=") for text in options.settings)
    experiment.train(
        options.model,
        options.data,
        steps=options.steps,
        minutes=options.minutes,
        seed=options.seed,
        batch_size=options.batch_size,
        settings={name: value for name, _, value in parts},
        out=options.out or Path("runs") / options.model,
        resume=options.resume,
        keep_every=options.keep_every,
        command=options.command,
    )


def sample(options: argparse.Namespace) -> None:
    """Draw new images to an .npz file or a .png, or texts to the screen or a file."""
    model = load_any(options.model, Model)
    if isinstance(model, GPT):
        return _sample_texts(options, model)
    for name in ("temperature", "top_p", "length"):
        if getattr(options, name) is not None:
            raise InputError(
                f"{options.model} is a {model.name!r}: --{name.replace('_', '-')} is for text only."
            )
    if options.out is None:
        raise InputError("Name a file for the images by --out: FILE.npz or FILE.png.")
    if options.out.suffix not in {".npz", ".png"}:
        raise InputError(f"--out {options.out} must end in .npz or .png.")
    check_writable(options.out)
    prompts = _prompts(options)
    check_prompts(prompts)
    if sentence := unknown_words(prompts):
        print(f"gen_lib: {sentence}", file=sys.stderr)
    n = options.n or (1 if len(prompts) > 1 else 64)
    given = {"prompts": prompts, "guidance": options.guidance}
    images = to_uint8(experiment.sample(model, n, options.seed, **given))
    if options.out.suffix == ".npz":
        _write_npz(options.out, images=images.numpy(), **({"prompts": prompts} if prompts else {}))
    else:
        _write_grid(options.out, images, n if n > 1 < len(prompts) else round(len(images) ** 0.5))


def _sample_texts(options: argparse.Namespace, model: GPT) -> None:
    """Print texts, one a line, or with an empty line between them; --out writes them to a file."""
    if options.out:
        check_writable(options.out)
    prompts = _prompts(options) or [""]
    longest = max(len(model.tokeniser.encode(prompt)) for prompt in prompts)
    if longest > model.context:
        print(
            f"gen_lib: the prompt has {longest} tokens; the model sees the last {model.context}.",
            file=sys.stderr,
        )
    given = {"length": options.length, "temperature": options.temperature, "top_p": options.top_p}
    given = {name: value for name, value in given.items() if value is not None}
    n = options.n or (1 if len(prompts) > 1 else TEXTS)
    texts = experiment.write(model, prompts, n, options.seed, **given)
    text = ("\n" if model.lines else "\n\n").join(texts) + "\n"
    if options.out:
        write_whole(options.out, text.encode())
    else:
        print(text, end="")


def _prompts(options: argparse.Namespace) -> list[str]:
    """The texts of --prompt or --prompts, none without them."""
    if options.prompt is not None:
        return [options.prompt]
    if options.prompts:
        try:
            prompts = options.prompts.read_text(encoding="utf-8-sig").rstrip().split("\n")
        except (OSError, UnicodeError) as error:
            raise InputError(f"{options.prompts} cannot be read as UTF-8 text: {error}.") from None
        empty = [n for n, line in enumerate(prompts, 1) if not line.strip()]
        if empty:
            raise InputError(f"Line {empty[0]} of {options.prompts} has no sentence.")
        return prompts
    return []


def translate(options: argparse.Namespace) -> None:
    """Translate pictures of one domain to the other; write an .npz, a .png, or a folder of them."""
    if options.out.suffix not in {".npz", ".png", ""}:
        raise InputError(f"--out {options.out} must end in .npz or .png, or be a folder.")
    check_writable(options.out)
    found = experiment.translate(options.model, options.to, options.data, options.split)
    arrays = {"source": found.source.images, "translated": to_uint8(found.translated)}
    if found.target is not None:
        arrays["target"] = found.target.images
    if options.out.suffix == ".npz":
        names = {"name": list(found.source.names)}
        _write_npz(options.out, **names, **{k: v.numpy() for k, v in arrays.items()})
    elif options.out.suffix == ".png":  # one row for each picture
        rows = torch.stack(list(arrays.values()), dim=1)
        _write_grid(options.out, rows.flatten(0, 1), rows.shape[1])
    else:
        for name, image in zip(found.source.names, arrays["translated"], strict=True):
            _write_grid(options.out / f"{name}.png", image[None], 1, padding=0)


def _write_grid(
    out: Path, images: UInt8[torch.Tensor, "n c h w"], columns: int, padding: int = 2
) -> None:
    from torchvision.utils import save_image

    file = io.BytesIO()
    save_image(images / 255, file, format="png", nrow=columns, padding=padding, pad_value=1.0)
    write_whole(out, file.getvalue())


def _write_npz(out: Path, **arrays: Any) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    write_whole(out, file.getvalue())


def evaluate(options: argparse.Namespace) -> None:
    """Print the model's figures on test images beside their floors, and write them as JSON."""
    if options.json:
        check_writable(options.json)
    model = load_any(options.model, Model)  # before its card, so that a wrong name is told first
    data = experiment.data_of(options.model, options.data)
    rows = experiment.evaluate(model, data, options.n)
    of = "text" if model.labels == "text" else "images"
    print(f"{options.model} on the test {of} of {data}")
    _print_table(rows)
    if options.json:
        text = json.dumps(experiment.figures(rows), indent=2, allow_nan=False) + "\n"
        write_whole(options.json, text.encode())


def list_command(options: argparse.Namespace) -> None:
    """Name the data sets, toys, models and shipped weights."""
    print("data:      ", ", ".join(IMAGE_SETS), "- or the path of a folder of pictures")
    print("domains:   ", ", ".join(DOMAIN_SETS), "- or a folder with trainA, trainB, testA, testB")
    print("texts:     ", ", ".join(TEXT_SETS), "- or the path of a text file")
    print("toys:      ", ", ".join(TOYS))
    print("models:    ", ", ".join(MODELS))
    print("pretrained:", ", ".join(pretrained_names()))


def _print_table(rows: Sequence[Row]) -> None:
    width = max([15, *(len(row.name) for row in rows)])
    for row in rows:
        beside = "   ".join(f"{name} {value:.4f}" for name, value in row.beside.items())
        if row.reason:
            print(f"{row.name:>{width}} {'-':>10}   {row.reason}")
        else:
            print(f"{row.name:>{width}} {row.value:10.4f}" + f"   beside: {beside}" * bool(beside))


def _at_least_one(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def _seed(text: str) -> int:
    if not 0 <= (value := int(text)) < 2**32:
        raise argparse.ArgumentTypeError(f"{value} is not in 0 ... 2^32 - 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gen_lib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, add_options in (
        ("train", train, _train_options),
        ("sample", sample, _sample_options),
        ("translate", translate, _translate_options),
        ("evaluate", evaluate, _evaluate_options),
        ("list", list_command, lambda command: None),
    ):
        summary = (run.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(run=run)
        add_options(command)
    return parser


def _train_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", choices=list(MODELS))
    command.add_argument(
        "--data", help="a name, a folder of pictures or a text file (default: one for the model)"
    )
    budget = command.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="budget of wall time")
    budget.add_argument("--steps", type=int, help="budget of training steps")
    command.add_argument("--seed", type=_seed, default=0)
    command.add_argument("--batch-size", type=int, help="(default: that of the model)")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="an argument of the model, such as latent_size=2; may be given several times",
    )
    command.add_argument("--out", type=Path, help="a new folder (default: runs/MODEL)")
    command.add_argument(
        "--keep-every",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="time between checkpoints; the last two are kept until the run is done",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="continue from the newest checkpoint in --out, or start if there is none",
    )


def _sample_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help=TRAINED)
    command.add_argument(
        "-n",
        type=_at_least_one,
        help=f"number of images or texts (default: 64 or {TEXTS}; with --prompts 1 a line)",
    )
    command.add_argument("--seed", type=_seed, default=0)
    words = command.add_mutually_exclusive_group()
    words.add_argument("--prompt", metavar="TEXT", help="what to draw, or how a text begins")
    words.add_argument("--prompts", type=Path, metavar="FILE", help="such texts, one a line")
    command.add_argument(
        "--guidance", type=float, default=GUIDANCE, help=f"weight of the words (default {GUIDANCE})"
    )
    command.add_argument(
        "--temperature", type=float, metavar="T", help="of texts: below 1 likelier ones (default 1)"
    )
    command.add_argument(
        "--top-p", type=float, metavar="P", help="of texts: draw from the likeliest tokens only"
    )
    command.add_argument(
        "--length", type=_at_least_one, help=f"of texts: most new tokens (default {LENGTH})"
    )
    command.add_argument("--out", type=Path, help="FILE.npz or FILE.png; or any FILE for texts")


def _translate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help=TRAINED)
    command.add_argument("--to", choices=("A", "B"), required=True, help="the domain of the result")
    command.add_argument("--split", choices=("train", "test"), default="test")
    command.add_argument(
        "--data",
        help="domains by name or a folder of them, or a folder of pictures, or one picture "
        "(default: those trained on)",
    )
    command.add_argument("--out", type=Path, required=True, help="FILE.npz, FILE.png or a folder")


def _evaluate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", help=TRAINED)
    command.add_argument("--data", help="a name or a folder (default: what it was trained on)")
    command.add_argument("-n", type=_at_least_one, default=N_FRECHET, help="number of samples")
    command.add_argument("--json", type=Path, help="write the figures to this file as well")
