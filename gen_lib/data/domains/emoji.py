"""3,216 emoji in two styles, 32 pixels a side: domain A is Noto, domain B is Twemoji."""

import csv
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.domains import Caption, Domain, DomainSet, TwoDomains
from gen_lib.data.images import data_folder
from gen_lib.files import check_files

Table = list[dict[str, str]]  # the rows of emoji.csv
SIDE = 32
FILES = {
    "noto.png": "e1b056f64be58d4513948aae13946c6586710ff5b79aa0baf51faa0ab8a90efc",
    "twemoji.png": "87f08682e3f58cfd087565d441dc5c93ee20398c5116dab2efcf3e233bc8f8cd",
    "emoji.csv": "a9eff2160ca2849708c9589f063b75cdc9d4f4aedfc9d4e78bcff428b984e15e",
}
"""The shipped files and their SHA-256."""


def load_emoji(size: int = SIDE, paired: bool = False) -> DomainSet:
    """Load both styles; A and B share no training emoji unless ``paired``.

    Raises:
        InputError: ``size`` is not 32, or a file is missing or altered.
    """
    if size != SIDE:
        raise InputError(f"size is {size}: the emoji have {SIDE} pixels a side; leave it out.")
    folder = data_folder() / "emoji"
    check_files(folder, FILES)
    with (folder / "emoji.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    noto, twemoji = (_cut_sheet(folder / f"{name}.png") for name in ("noto", "twemoji"))
    in_a, in_b = ({"a", "b"}, {"a", "b"}) if paired else ({"a"}, {"b"})
    train = TwoDomains(_select(table, noto, in_a), _select(table, twemoji, in_b), paired)
    test = TwoDomains(_select(table, noto, {"test"}), _select(table, twemoji, {"test"}), True)
    return DomainSet("emoji", train, test, ("noto", "twemoji"))


def _cut_sheet(file: Path) -> UInt8[Tensor, "n 3 side side"]:
    """Cut a sheet of pictures into its tiles, row by row."""
    from PIL import Image

    with Image.open(file) as picture:
        sheet = torch.from_numpy(np.array(picture))  # (rows * side, columns * side, 3)
    tiles = sheet.unflatten(1, (-1, SIDE)).unflatten(0, (-1, SIDE))
    return tiles.permute(0, 2, 4, 1, 3).flatten(0, 1)


def _select(table: Table, sheet: UInt8[Tensor, "n c h w"], splits: set[str]) -> Domain:
    """The emoji of the given splits."""
    places = [n for n, row in enumerate(table) if row["split"] in splits]
    return Domain(sheet[places], tuple(_caption(table[n]) for n in places))


def _caption(row: dict[str, str]) -> Caption:
    name = f"{row['name']}, {row['tone']} skin" if row["tone"] else row["name"]
    return Caption(name, row["family"], row["category"])
