"""Read folk tunes and chorales: ``python data/tunes/build.py [FOLDER]`` (five minutes).

Needs pip and a network: it installs ``music21`` 10.5.1 (20 MB) into a temporary folder, reads the
scores that the package holds, and writes

- ``tunes.csv``: the melodies of three collections of folk tunes, in ABC notation in the package;
- ``chorales.csv``: the chorales of Bach for four voices, in MusicXML in the package.

``data/README.md`` says what the columns hold.

These tunes stay out: those whose key or metre changes; with notes that the unit cannot count, such
as thirty-seconds; in which a bar between the first and the last does not add up to the metre; with
fewer than 16 notes; seen before; with a rare token (``frequent``).
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

VERSION = "10.5.1"
UNIT = 12  # of a quarter note: a sixteenth lasts 3, an eighth in a triplet 4, an eighth 6
SHORTEST, RAREST = 16, 10  # notes in a tune; how often a token occurs in train
RUN = 16  # tunes that share as many intervals and durations in a row are in one split
TEST = 0.1
SEED = 9
COLLECTIONS = {"oneills1850": "O'Neill", "airdsAirs": "Aird", "ryansMammoth": "Ryan"}
VOICES = ("soprano", "alto", "tenor", "bass")
Note = tuple[int | None, int]
"""The MIDI pitch, None for a rest, and the duration in units."""


@dataclass(frozen=True)
class Piece:
    """A tune or a chorale: what its row holds, and the notes of its melody, by bar."""

    name: str
    source: str
    key: str
    sharps: int
    meter: str
    bars: list[list[Note]]
    voices: tuple[str, ...] = ()

    @property
    def melody(self) -> tuple[tuple[int, int], ...]:
        """The interval to each note from the one before, and its duration; rests left out."""
        notes = [(p, duration) for bar in self.bars for p, duration in bar if p is not None]
        return tuple((q - p, duration) for (p, _), (q, duration) in pairwise(notes))

    def tokens(self, shift: int = 0) -> list[str]:
        """Notes such as ``67:6``, rests such as ``r:6``, and ``|`` between bars."""
        bars = [[f"{'r' if p is None else p + shift}:{d}" for p, d in bar] for bar in self.bars]
        return [token for bar in bars for token in ["|", *bar]][1:]


def build(folder: Path, work: Path) -> None:
    """Install music21 into ``work`` and write both tables into ``folder``."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(work)]
    subprocess.run([*command, f"music21=={VERSION}"], check=True)
    sys.path.insert(0, str(work))
    scores = work / "music21" / "corpus"
    tunes = unlike(list(read_tunes(scores)), lambda tune: (tune.source, tune.name.lower()))
    tunes = unlike(tunes, lambda tune: tune.melody)
    splits = frequent(split(tunes))
    heads = ["split", "name", "source", "key", "sharps", "meter"]
    rows: list[list[Any]] = [
        [part, t.name, t.source, t.key, t.sharps, t.meter, " ".join(t.tokens())]
        for t, part in splits
    ]
    write(folder / "tunes.csv", [*heads, "notes"], rows)
    chorales = unlike(list(read_chorales(scores)), lambda piece: piece.voices)
    rows = [[part, c.name, c.key, c.sharps, c.meter, *c.voices] for c, part in split(chorales)]
    heads.remove("source")
    write(folder / "chorales.csv", [*heads, *VOICES], rows)


def write(path: Path, heads: Sequence[str], rows: list[list[Any]]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)


# Reading


def read_tunes(scores: Path) -> Iterator[Piece]:
    """The tunes of the three collections that have one voice, one key, one metre and full bars."""
    parse = import_module("music21.converter").parse
    for folder, collection in COLLECTIONS.items():
        for path in sorted((scores / folder).glob("*.abc")):
            read = parse(path, forceSource=True)
            for score in getattr(read, "scores", [read]):
                number = "" if collection == "Ryan" else f" {score.metadata.number}"
                tune = read_tune(score, collection + number)
                if tune is not None:
                    yield tune


def read_tune(score: Any, source: str) -> Piece | None:
    """One tune, or None if it is left out."""
    keys = {(key_name(key), key.sharps) for key in score.recurse().getElementsByClass("Key")}
    signatures = {key.sharps for key in score.recurse().getElementsByClass("KeySignature")}
    meters = {m.ratioString for m in score.recurse().getElementsByClass("TimeSignature")}
    if not len(score.parts) == len(keys) == len(signatures) == len(meters) == 1:
        return None
    meter, (key, sharps) = meters.pop(), keys.pop()
    full = int(Fraction(meter) * 4 * UNIT)
    bars = read_bars(score.parts[0], full)
    if bars is None or any(length(bar) != full for bar in bars[1:-1]):
        return None
    if any(length(bar) > full for bar in bars):
        return None
    if sum(p is not None for bar in bars for p, _ in bar) < SHORTEST:
        return None
    return Piece(" ".join(score.metadata.title.split()), source, key, sharps, meter, bars)


def read_bars(part: Any, full: int) -> list[list[Note]] | None:
    """The notes of a voice by bar, or None if the unit is too coarse for one of them.

    A bar that a repeat sign cuts in two becomes one bar again. Grace notes and chord symbols are
    dropped; of a chord stays the highest note; notes tied in a bar become one.
    """
    bars: list[list[Note]] = []
    for measure in part.getElementsByClass("Measure"):
        bar: list[Note] = []
        for e in measure.recurse().notesAndRests:
            duration = Fraction(e.quarterLength) * UNIT
            if e.duration.isGrace or not duration or "ChordSymbol" in e.classes:
                continue
            if duration.denominator != 1:
                return None
            pitch = max((p.midi for p in e.pitches), default=None)
            if continues(e) and bar and bar[-1][0] == pitch:
                bar[-1] = (pitch, bar[-1][1] + int(duration))
            else:
                bar.append((pitch, int(duration)))
        if bars and length(bars[-1]) < full and length(bars[-1]) + length(bar) == full:
            bars[-1] += bar
        elif bar:
            bars.append(bar)
    return bars


def read_chorales(scores: Path) -> Iterator[Piece]:
    """The chorales with exactly four voices of equal length."""
    parse = import_module("music21.converter").parse
    for path in sorted((scores / "bach").glob("bwv*.mxl")):
        score = parse(path, forceSource=True)
        keys = list(score.recurse().getElementsByClass("Key"))
        grids = [read_grid(part) for part in score.parts]
        if len(grids) != len(VOICES) or len({len(grid) for grid in grids}) != 1 or not keys:
            continue
        meter = next(iter(score.recurse().getElementsByClass("TimeSignature"))).ratioString
        name = path.stem.replace("bwv", "BWV ")
        bars = read_bars(score.parts[0], 0)
        voices = tuple(" ".join(grid) for grid in grids)
        yield Piece(name, name, key_name(keys[0]), keys[0].sharps, meter, bars or [], voices)


def read_grid(part: Any) -> list[str]:
    """A voice in eighth notes: what sounds at each; ``.`` where it has sounded before."""
    grid: list[str] = []
    sounding = ""
    for e in part.flatten().notesAndRests:
        first = -int(-Fraction(e.offset) * 2 // 1)  # the first eighth at or after its beginning
        last = -int(-Fraction(e.offset + e.quarterLength) * 2 // 1)
        new = "r" if e.isRest else str(max(p.midi for p in e.pitches))
        for k in range(first, last):
            held = k > first or (continues(e) and new == sounding)
            grid.append("." if held and new != "r" else new)
            sounding = new
    return grid


def continues(element: Any) -> bool:
    """Whether a note is tied to the one before."""
    return element.tie is not None and element.tie.type in {"stop", "continue"}


def key_name(key: Any) -> str:
    """Tonic and mode, such as ``Bb major``."""
    return f"{key.tonic.name[0].upper()}{key.tonic.name[1:].replace('-', 'b')} {key.mode}"


def length(bar: list[Note]) -> int:
    """The units that a bar lasts."""
    return sum(duration for _, duration in bar)


# Choosing


def unlike(pieces: list[Piece], key: Callable[[Piece], Hashable]) -> list[Piece]:
    """The first piece of each key."""
    first: dict[Hashable, Piece] = {}
    for piece in pieces:
        first.setdefault(key(piece), piece)
    return list(first.values())


def split(pieces: list[Piece]) -> list[tuple[Piece, str]]:
    """Each piece with ``train`` or ``test``; pieces alike are in the same."""
    groups = group(pieces)
    order = sorted(set(groups))
    Random(SEED).shuffle(order)
    test: set[int] = set()
    for number in order:
        if sum(g in test for g in groups) < TEST * len(pieces):
            test.add(number)
    return [(p, "test" if g in test else "train") for p, g in zip(pieces, groups, strict=True)]


def group(pieces: list[Piece]) -> list[int]:
    """A number for each piece: the same if a run of 16 intervals and durations is the same."""
    parent = list(range(len(pieces)))

    def root(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    seen: dict[tuple[tuple[int, int], ...], int] = {}
    for n, piece in enumerate(pieces):
        melody = piece.melody
        for k in range(max(1, len(melody) - RUN + 1)):
            other = root(seen.setdefault(melody[k : k + RUN], n))
            parent[root(n)] = other
    return [root(n) for n in range(len(pieces))]


def frequent(splits: list[tuple[Piece, str]]) -> list[tuple[Piece, str]]:
    """The tunes whose tokens all occur ten times in train, as long as tunes drop out.

    Tokens are counted after each tune has been shifted to a signature without sharps or flats.
    """
    while True:
        tokens = [tune.tokens(to_white(tune.sharps)) for tune, _ in splits]
        rows = list(zip(splits, tokens, strict=True))
        count = Counter(t for (_, part), of in rows if part == "train" for t in of)
        kept = [row for row, of in rows if all(count[t] >= RAREST for t in of)]
        if len(kept) == len(splits):
            return kept
        splits = kept


def to_white(sharps: int) -> int:
    """The semitones, -6 ... 5, from a key with so many sharps to the white keys."""
    return (-7 * sharps + 6) % 12 - 6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    with tempfile.TemporaryDirectory() as temporary:
        build(parser.parse_args().folder, Path(temporary))
