"""Folk tunes and chorales as tables of pitches and durations.

The tunes are those of three old collections (O'Neill 1903, Aird 1782 and later, Ryan 1883) and the
chorales those of J. S. Bach; music21 read its encodings of them (``data/tunes/build.py``). A note
is written ``67:6``: MIDI pitch 67 (60 is the middle C, a semitone is 1) for 6/48 of a whole note,
an eighth; ``r:6`` is a rest, and ``|`` a bar line.

Every tune is also given as text for a model: its metre, then its notes, moved so that the key
signature has no sharps or flats. Its scale then is that of the white keys.
"""

import csv
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gen_lib.data.images import data_folder
from gen_lib.files import check_files

FILES = {
    "tunes.csv": "9cbbf465616928c424ec224a63fd01709444292a5d3c19c740b0c5692d653958",
    "chorales.csv": "9e48098150d4df4414fb5d06809c66da3b8289acc674fa27bd3bc01d66bf0de5",
}
"""The shipped files and their SHA-256."""
VOICES = ("soprano", "alto", "tenor", "bass")
WHITE = frozenset({0, 2, 4, 5, 7, 9, 11})
"""The pitches of the white keys, in semitones above C."""


class Tune(NamedTuple):
    """One melody."""

    name: str
    source: str
    key: str
    sharps: int
    """Of the key signature, in -7 ... 7; flats are negative."""
    meter: str
    notes: str
    """As it is written, such as ``67:6 69:6 r:12 | 71:24``."""

    @property
    def text(self) -> str:
        """Its metre and its notes, moved to the white keys."""
        return f"{self.meter} {moved(self.notes, to_white(self.sharps))}"


class Tunes(NamedTuple):
    """The tunes to train on and to test with; no two of different halves begin alike."""

    train: tuple[Tune, ...]
    test: tuple[Tune, ...]


class Chorale(NamedTuple):
    """Four voices on a grid of eighth notes; ``.`` holds the note before, ``r`` is a rest."""

    name: str
    key: str
    sharps: int
    meter: str
    voices: tuple[tuple[str, ...], ...]
    """Of soprano, alto, tenor and bass: a MIDI pitch, ``.`` or ``r`` for each eighth."""


class Chorales(NamedTuple):
    """The chorales to train on and to test with."""

    train: tuple[Chorale, ...]
    test: tuple[Chorale, ...]


def to_white(sharps: int) -> int:
    """Semitones, in -6 ... 5, that move a key signature to that without sharps and flats.

    >>> to_white(1), to_white(-1), to_white(0)  # G, F and C major
    (5, -5, 0)
    """
    return (5 * sharps + 6) % 12 - 6


def moved(notes: str, semitones: int) -> str:
    """Notes with their pitches moved by some semitones.

    >>> moved("67:6 r:12 | 71:24", -7)
    '60:6 r:12 | 64:24'
    """
    return " ".join(_moved(note, semitones) for note in notes.split())


def _moved(note: str, semitones: int) -> str:
    pitch, colon, duration = note.partition(":")
    return f"{int(pitch) + semitones}{colon}{duration}" if pitch.isdigit() else note


def load_tunes() -> Tunes:
    """Load the folk tunes.

    Raises:
        InputError: a file is missing or altered.
    """
    rows = _table(data_folder() / "tunes", "tunes.csv")
    halves = (
        tuple(_tune(row) for row in rows if row["split"] == half) for half in ("train", "test")
    )
    return Tunes(*halves)


def _tune(row: dict[str, str]) -> Tune:
    where = (row["name"], row["source"], row["key"])
    return Tune(*where, int(row["sharps"]), row["meter"], row["notes"])


def load_chorales() -> Chorales:
    """Load the chorales.

    Raises:
        InputError: a file is missing or altered.
    """
    rows = _table(data_folder() / "tunes", "chorales.csv")
    halves = (
        tuple(_chorale(row) for row in rows if row["split"] == half) for half in ("train", "test")
    )
    return Chorales(*halves)


def _chorale(row: dict[str, str]) -> Chorale:
    voices = tuple(tuple(row[voice].split()) for voice in VOICES)
    return Chorale(row["name"], row["key"], int(row["sharps"]), row["meter"], voices)


@lru_cache(maxsize=2)
def _table(folder: Path, name: str) -> list[dict[str, str]]:
    check_files(folder, {name: FILES[name]})
    with (folder / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
