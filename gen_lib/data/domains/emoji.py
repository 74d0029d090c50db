"""The same emoji drawn in two styles: A is Noto, B is Twemoji, 32 pixels a side."""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.domains import Caption, Domain, DomainSet, TwoDomains
from gen_lib.data.images import data_folder

SIDE = 32
FILES = {
    "noto.png": "e1b056f64be58d4513948aae13946c6586710ff5b79aa0baf51faa0ab8a90efc",
    "twemoji.png": "87f08682e3f58cfd087565d441dc5c93ee20398c5116dab2efcf3e233bc8f8cd",
    "emoji.csv": "a9eff2160ca2849708c9589f063b75cdc9d4f4aedfc9d4e78bcff428b984e15e",
}
"""The shipped files and their sha256."""


def load_emoji(size: int = SIDE, paired: bool = False) -> DomainSet:
    """Both styles; training pictures of A and B show different emoji unless ``paired``.

    Raises:
        InputError: ``size`` is not 32, or a file is missing or altered.
    """
    if size != SIDE:
        raise InputError(f"size is {size}: the emoji have {SIDE} pixels a side; leave it out.")
    folder = data_folder() / "emoji"
    _check_files(folder)
    with (folder / "emoji.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    noto, twemoji = (_cut_sheet(folder / f"{name}.png") for name in ("noto", "twemoji"))
    parts = ("ab", "ab") if paired else ("a", "b")
    train, test = (
        TwoDomains(_of(rows, noto, in_a), _of(rows, twemoji, in_b), pairs)
        for in_a, in_b, pairs in ((*parts, paired), (("test",), ("test",), True))
    )
    return DomainSet("emoji", train, test, ("noto", "twemoji"))


def _check_files(folder: Path) -> None:
    for name, sha256 in FILES.items():
        file = folder / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            fault = "truncated or altered" if file.is_file() else "missing"
            raise InputError(
                f"The data file {file} is {fault}: restore it with `git checkout -- data`, or take "
                "data/ from a fresh clone."
            )


def _cut_sheet(file: Path) -> UInt8[Tensor, "n 3 side side"]:
    """The pictures of a sheet, row by row."""
    from PIL import Image

    with Image.open(file) as picture:
        sheet = torch.from_numpy(np.array(picture))  # (rows * side, columns * side, 3)
    tiles = sheet.unflatten(1, (-1, SIDE)).unflatten(0, (-1, SIDE))
    return tiles.permute(0, 2, 4, 1, 3).flatten(0, 1)


def _of(
    rows: list[dict[str, str]], sheet: UInt8[Tensor, "n c h w"], parts: Iterable[str]
) -> Domain:
    """The pictures of some parts of the table."""
    places = [n for n, row in enumerate(rows) if row["split"] in parts]
    return Domain(sheet[places], tuple(_caption(rows[n]) for n in places))


def _caption(row: dict[str, str]) -> Caption:
    name = f"{row['name']}, {row['tone']} skin" if row["tone"] else row["name"]
    return Caption(name, row["family"], row["category"])
