"""Build the emoji sheets and their table from npm: ``python data/emoji/build.py [FOLDER]``.

Needs npm and a network: it fetches ``emoji-datasource-google`` and ``emoji-datasource-twitter``
(130 MB) into a temporary folder, pastes every picture on white, and writes ``noto.png``,
``twemoji.png`` and ``emoji.csv``; row n of the table is picture n of both sheets. The pixels are
the same wherever it runs; the bytes of the PNG files depend on the version of zlib.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import tarfile
import tempfile
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

VERSION = "16.0.0"
SHEETS = {"noto": "google", "twemoji": "twitter"}
SIDE, COLUMNS = 32, 57
LEFT_OUT = {"Flags", "Component"}  # components are bare skin tones and hair, no pictures
TONES = {
    "": "",
    "1F3FB": "light",
    "1F3FC": "medium-light",
    "1F3FD": "medium",
    "1F3FE": "medium-dark",
    "1F3FF": "dark",
}
SHARES = {"test": 0.1, "a": 0.55, "b": 1.0}  # cumulative, of all pictures


class Emoji(NamedTuple):
    """One row of the table, before its family is known."""

    name: str
    tone: str
    unicode_name: str
    category: str
    place: tuple[int, int]
    """Column and row in the sheets of the package."""


def fetch(package: str, folder: Path) -> Path:
    """Unpack one npm package and return its folder."""
    command = ["npm", "pack", "--silent", f"{package}@{VERSION}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(folder / f"{package}-{VERSION}.tgz") as archive:
        archive.extractall(folder / package, filter="data")
    return folder / package / "package"


def read_table(package: Path) -> list[Emoji]:
    """The emoji of both sets with at most one skin tone, in the order of Unicode's chart."""
    rows = []
    for base in sorted(
        json.loads((package / "emoji.json").read_text()), key=itemgetter("sort_order")
    ):
        for tone, emoji in {"": base, **base.get("skin_variations", {})}.items():
            drawn = all(emoji[f"has_img_{which}"] for which in SHEETS.values())
            if drawn and tone in TONES and base["category"] not in LEFT_OUT:
                place = (emoji["sheet_x"], emoji["sheet_y"])
                names = (base["short_name"], TONES[tone], base["name"], base["category"])
                rows.append(Emoji(*names, place))
    return rows


def cut(package: Path, which: str, rows: list[Emoji]) -> np.ndarray:
    """Cut the pictures (N, 32, 32, 3), on white, from a sheet with a 1-pixel border around each."""
    sheet = Image.open(package / "img" / which / "sheets-clean" / f"{SIDE}.png").convert("RGBA")
    opaque = Image.alpha_composite(Image.new("RGBA", sheet.size, "white"), sheet)
    pixels = np.asarray(opaque.convert("RGB"))
    cell = SIDE + 2
    tiles = pixels.reshape(len(pixels) // cell, cell, -1, cell, 3)[:, 1:-1, :, 1:-1]
    x, y = np.array([row.place for row in rows]).T
    return tiles[y, :, x]


def families(rows: list[Emoji], pictures: list[np.ndarray]) -> list[str]:
    """The name of the first member of each row's family.

    Emoji belong to one family if they have the same Unicode name (and differ only in skin tone)
    or the same picture in one of the sets: Twemoji uses one picture for many emoji of parents
    with children.
    """
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        return i if parent[i] == i else root(parent[i])

    first: dict[object, int] = {}
    for i, row in enumerate(rows):
        for mark in (row.unicode_name, *((k, p[i].tobytes()) for k, p in enumerate(pictures))):
            a, b = root(first.setdefault(mark, i)), root(i)
            parent[max(a, b)] = min(a, b)
    return [rows[root(i)].name for i in range(len(rows))]


def split(family_of: list[str]) -> list[str]:
    """Assign each row to test, a or b, with all rows of a family in the same split.

    Families are taken in the order of the SHA-256 of their names. They go to the first split whose
    cumulative share of the rows is not reached yet.
    """
    place: dict[str, str] = {}
    seen = 0
    for family in sorted(set(family_of), key=lambda f: hashlib.sha256(f.encode()).digest()):
        fraction = seen / len(family_of)
        place[family] = next(name for name, share in SHARES.items() if fraction < share)
        seen += family_of.count(family)
    return [place[family] for family in family_of]


def save_sheet(pictures: np.ndarray, file: Path) -> None:
    """Write the pictures to one PNG file, 57 in a row; the cells left over are white."""
    n_rows = -(-len(pictures) // COLUMNS)
    grid = np.full((n_rows * COLUMNS, SIDE, SIDE, 3), 255, np.uint8)
    grid[: len(pictures)] = pictures
    grid = grid.reshape(n_rows, COLUMNS, SIDE, SIDE, 3).swapaxes(1, 2)
    sheet = grid.reshape(n_rows * SIDE, COLUMNS * SIDE, 3)
    Image.fromarray(sheet).save(file, optimize=True)


def build(folder: Path, work: Path) -> None:
    """Fetch both packages into ``work`` and write the three files into ``folder``."""
    packages = {which: fetch(f"emoji-datasource-{which}", work) for which in SHEETS.values()}
    rows = read_table(packages["google"])
    pictures = {name: cut(packages[which], which, rows) for name, which in SHEETS.items()}
    family_of = families(rows, list(pictures.values()))
    for name, sheet in pictures.items():
        save_sheet(sheet, folder / f"{name}.png")
    with (folder / "emoji.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "tone", "family", "category", "split"])
        for row, family, part in zip(rows, family_of, split(family_of), strict=True):
            writer.writerow([row.name, row.tone, family, row.category, part])
    print(f"{len(rows)} emoji in {len(set(family_of))} families")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    with tempfile.TemporaryDirectory() as temporary:
        build(parser.parse_args().folder, Path(temporary))
