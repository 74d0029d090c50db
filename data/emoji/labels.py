"""Label the emoji in English and Korean: ``python data/emoji/labels.py [FOLDER]``.

Needs npm and a network: it fetches ``emojibase-data`` 17.0.0 (7 MB), whose labels are those of
Unicode's CLDR 48, and writes ``labels.csv``; row n belongs to row n of ``emoji.csv``, which stands
in the same folder. The short names of ``emoji.csv`` are those of ``en/shortcodes/iamcal.json``.
"""

import argparse
import csv
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "17.0.0"
LANGUAGES = ("en", "ko")
TONES = ["", "light", "medium-light", "medium", "medium-dark", "dark"]


def fetch(folder: Path) -> Path:
    """Unpack the npm package and return its folder."""
    command = ["npm", "pack", "--silent", f"emojibase-data@{VERSION}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(folder / f"emojibase-data-{VERSION}.tgz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def read_codes(package: Path) -> dict[str, str]:
    """The code points of every emoji without skin tone, such as 1F44B, by its short name."""
    names = json.loads((package / "en" / "shortcodes" / "iamcal.json").read_text("utf-8"))
    return {
        name: code
        for code, found in names.items()
        for name in ([found] if isinstance(found, str) else found)
    }


def read_labels(package: Path, language: str) -> dict[tuple[str, str], str]:
    """The label of every emoji, by its code points without skin tone and its skin tone."""
    labels = {}
    for emoji in json.loads((package / language / "data.json").read_text("utf-8")):
        labels[emoji["hexcode"], ""] = emoji["label"]
        for variant in emoji.get("skins", []):
            if isinstance(variant["tone"], int):  # not two tones
                labels[emoji["hexcode"], TONES[variant["tone"]]] = variant["label"]
    return labels


def build(folder: Path, work: Path) -> None:
    """Fetch the package into ``work`` and write ``labels.csv`` into ``folder``."""
    package = fetch(work)
    codes = read_codes(package)
    labels = [read_labels(package, language) for language in LANGUAGES]
    with (folder / "emoji.csv").open(newline="", encoding="utf-8") as file:
        keys = [(codes[row["name"]], row["tone"]) for row in csv.DictReader(file)]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LANGUAGES)
        writer.writerows([label[key] for label in labels] for key in keys)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    with tempfile.TemporaryDirectory() as temporary:
        build(parser.parse_args().folder, Path(temporary))
