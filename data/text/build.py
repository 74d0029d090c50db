"""Collect the texts of chapter 09: ``python data/text/build.py [FOLDER]`` (a minute).

Needs pip, npm, Debian's ``apt-get`` with ``dpkg-deb``, and a network. It writes, one item a line,

- ``names.*.txt``: surnames of the United States, from ``names`` 0.3.0;
- ``austen.*.txt.xz``: the paragraphs of Jane Austen's six novels in the order of publication, from
  ``r-cran-janeaustenr`` 1.0.0. The line ``CHAPTER n`` begins the n-th chapter of a novel;
- ``korean.*.txt``: Korean words and short phrases, from ``emojibase-data`` 17.0.0 and from
  ``cldr-localenames-full`` and ``cldr-numbers-full`` 48.2.0.

A tenth of the names and of the Korean phrases, drawn at random, and every 20th chapter are the test
texts. The end of the output holds the SHA-256 of each file, as ``gen_lib/data/text.py`` lists them.
"""

import argparse
import hashlib
import json
import lzma
import random
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = "names-0.3.0"
NOVELS = "r-cran-janeaustenr_1.0.0-1_all.deb"
NPM = ("emojibase-data@17.0.0", "cldr-localenames-full@48.2.0", "cldr-numbers-full@48.2.0")
ORDER = (5, 4, 1, 0, 2, 3)  # of publication; the package has the order of the alphabet
LONGEST = 30  # Korean syllables in a line
NO_TEXT = re.compile(  # ends, volumes, editors' notes, a footnote, and stars between scenes
    r"finis|the end|\(end of volume one\.\)|volume [ivx]+|[\[*].*", re.IGNORECASE
)
Texts = tuple[list[str], list[str]]
"""The lines for training and for test."""


def main() -> None:
    """Fetch the packages, write the six files and print their sizes and hashes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        fetch(work)
        texts = {
            "names.{}.txt": split(read_names(work)),
            "austen.{}.txt.xz": split_chapters(read_novels(work)),
            "korean.{}.txt": split(read_korean(work)),
        }
    files = {}
    for name, parts in texts.items():
        for part, lines in zip(("train", "test"), parts, strict=True):
            file = folder / name.format(part)
            file.write_bytes(content(lines, file.suffix == ".xz"))
            files[f"text/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
            letters = "".join(lines)
            print(f"{file.name}: {len(lines)} lines, {len(letters)} characters", end=", ")
            print(f"{len(set(letters))} different ones, {file.stat().st_size} bytes")
    print("FILES =", json.dumps(files, indent=4))


def fetch(work: Path) -> None:
    """Fetch the packages and unpack each into its folder ``work/NAME``."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    run(work, *pip, NAMES.replace("-", "=="))
    with tarfile.open(work / f"{NAMES}.tar.gz") as archive:
        archive.extractall(work, filter="data")
    package, version, _ = NOVELS.split("_")
    run(work, "apt-get", "--quiet", "download", f"{package}={version}")
    run(work, "dpkg-deb", "--extract", NOVELS, "novels")
    for package in NPM:
        run(work, "npm", "pack", "--silent", package)
        with tarfile.open(work / f"{package.replace('@', '-')}.tgz") as archive:
            archive.extractall(work / package.partition("@")[0], filter="data")


def run(folder: Path, *command: str) -> None:
    """Run a command in a folder without its output; an error ends the program."""
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def content(lines: list[str], packed: bool) -> bytes:
    """The bytes of a file with these lines, as xz if ``packed``."""
    text = "".join(f"{line}\n" for line in lines).encode()
    return lzma.compress(text, preset=9 | lzma.PRESET_EXTREME) if packed else text


def split(lines: list[str]) -> Texts:
    """Shuffle different lines; the first tenth is for test."""
    lines = sorted(set(lines))
    random.Random(9).shuffle(lines)
    tenth = len(lines) // 10
    return lines[tenth:], lines[:tenth]


# Names


def read_names(work: Path) -> list[str]:
    """The surnames of at least two letters, such as ``Smith``."""
    table = (work / NAMES / "names" / "dist.all.last").read_text("ascii")
    names = [line.split()[0] for line in table.splitlines()]
    return [name.capitalize() for name in names if re.fullmatch("[A-Z]{2,}", name)]


# Novels


def read_novels(work: Path) -> list[list[str]]:
    """The lines of all chapters of all novels in the order of publication."""
    data = next((work / "novels").rglob("janeaustenr/data/Rdata.rdb")).read_bytes()
    novels = []
    while data:  # a length of 4 bytes, then a stream of zlib
        stream = zlib.decompressobj()
        novels.append(read_strings(stream.decompress(data[4:])))
        data = stream.unused_data
    return [chapter for n in ORDER for chapter in read_chapters("\n".join(novels[n]))]


def read_strings(data: bytes) -> list[str]:
    """The strings of a character vector that R wrote (``serialize``, XDR, version 3)."""
    start = 18 + struct.unpack_from(">i", data, 14)[0]  # after the name of the encoding
    count = struct.unpack_from(">i", data, start + 4)[0]
    strings, start = [], start + 8
    for _ in range(count):  # a word of flags, the number of bytes, the bytes
        end = start + 8 + struct.unpack_from(">i", data, start + 4)[0]
        strings.append(data[start + 8 : end].decode())
        start = end
    return strings


def read_chapters(novel: str) -> list[list[str]]:
    """Heading and paragraphs, one a line, of every chapter; what is before the first is dropped."""
    novel = novel.partition("A NOTE ON THE TEXT")[0]
    parts = re.split(r"^chapter [0-9ivxl]+$", novel, flags=re.IGNORECASE | re.MULTILINE)
    return [[f"CHAPTER {n}", *paragraphs(part)] for n, part in enumerate(parts[1:], start=1)]


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a text in ASCII, with single spaces, ``--`` for every dash, no italics."""
    for part in re.split(r"\n\s*\n", text):
        line = re.sub(r"£([\d,]*\d)", r"\1 pounds", part.strip())
        if line and not NO_TEXT.fullmatch(re.sub(r"\s+", " ", line)):
            line = re.sub(r"--+\s*\n", "--", re.sub("[_*]", "", line))
            line = re.sub(r"--+", "--", re.sub(r"\s+", " ", line))
            yield line.encode("ascii").decode()  # fails where another letter is left


def split_chapters(chapters: list[list[str]]) -> Texts:
    """Every 20th chapter is for test, the others for training."""
    train: list[str] = []
    test: list[str] = []
    for n, chapter in enumerate(chapters, start=1):
        (train if n % 20 else test).extend(chapter)
    return train, test


# Korean


def read_korean(work: Path) -> list[str]:
    """The labels, tags and names that consist of syllables of Hangul and single spaces."""
    emoji = json.loads((work / "emojibase-data/package/ko/data.json").read_text("utf-8"))
    found = [text for row in emoji for text in (row["label"], *row.get("tags", []))]
    names = work / "cldr-localenames-full/package/main/ko"
    money = work / "cldr-numbers-full/package/main/ko/currencies.json"
    for file in (*sorted(names.glob("*.json")), money):
        found += every_string(json.loads(file.read_text("utf-8")))
    hangul = re.compile("[가-힣]+( [가-힣]+)*")
    return [t for t in found if hangul.fullmatch(t) and len(t.replace(" ", "")) <= LONGEST]


def every_string(value: Any) -> Iterator[str]:
    """The strings of nested mappings, which are all that these files hold."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from every_string(inner)


if __name__ == "__main__":
    main()
