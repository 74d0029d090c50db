"""Safetensors files, and files that are written as a whole or not at all."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from gen_lib import InputError


def packed(tensors: dict[str, Tensor], header: dict[str, str]) -> bytes:
    """The bytes of a safetensors file with these tensors and this header."""
    return to_bytes({name: v.detach().contiguous() for name, v in tensors.items()}, header)


def unpacked(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of a safetensors file; an InputError if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"The weights {path} are damaged or not a safetensors file ({error}): restore the "
            "file, or train the model again."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all: write it under another name, sync it, rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_writable(path: Path) -> None:
    """Raise an InputError if a path cannot be written, before the work for it begins."""
    nearest = next(place for place in (path, *path.parents) if place.exists())
    if (nearest != path and not nearest.is_dir()) or not os.access(nearest, os.W_OK):
        raise InputError(f"{path} cannot be written in {nearest}: choose another place for it.")


def sha256(path: Path) -> str:
    """The file's sha256, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise an InputError if a shipped data file is missing or has not the SHA-256 given."""
    for name, expected in files.items():
        file = folder / name
        if not file.is_file() or sha256(file) != expected:
            raise InputError(
                f"The data file {file} is {'truncated or altered' if file.is_file() else 'missing'}"
                ": restore it with `git checkout -- data`, or take data/ from a fresh clone."
            )
