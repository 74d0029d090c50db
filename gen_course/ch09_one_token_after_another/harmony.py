"""Four voices as one text: for each eighth note a word of the soprano, bass, alto and tenor.

A word is the first letter of the voice and what it does: ``s72`` begins pitch 72 (60 is the middle
C, a semitone is 1), ``s.`` holds the note before, ``sr`` is a rest. The soprano comes first. To
harmonise a melody, read its word and draw the other three, eighth by eighth. The bass comes second,
as in lessons of harmony.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import torch
from jaxtyping import Float

from gen_course.ch09_one_token_after_another.music import WHOLE, sound
from gen_lib.data.text import END, TextSet, text_set
from gen_lib.data.tunes import VOICES, Chorale, load_chorales, to_white
from gen_lib.models import GPT

Voices = Sequence[Sequence[str]]
"""Of soprano, alto, tenor and bass: a pitch, ``.`` or ``r`` for each eighth."""

ORDER = ("soprano", "bass", "alto", "tenor")
EIGHTH = WHOLE // 8
CONTEXT = 256  # 64 eighths, eight bars of 4/4
CONSONANT = frozenset({0, 3, 4, 5, 7, 8, 9})  # intervals between two voices, in semitones mod 12


def to_white_keys(chorale: Chorale) -> Voices:
    """The voices, moved so that the key signature has no sharps or flats."""
    by = to_white(chorale.sharps)
    return [[str(int(s) + by) if s.isdigit() else s for s in voice] for voice in chorale.voices]


def as_text(voices: Voices) -> str:
    """Four voices as words.

    >>> as_text([["72", "."], ["67", "."], ["64", "62"], ["48", "r"]])
    's72 b48 a67 t64 s. br a. t62'
    """
    by_name = dict(zip(VOICES, voices, strict=True))
    eighths = zip(*(by_name[name] for name in ORDER), strict=True)
    return " ".join(
        f"{name[0]}{s}" for signs in eighths for name, s in zip(ORDER, signs, strict=True)
    )


def chorale_set() -> TextSet:
    """The shipped chorales as a text of words, on the white keys."""
    train, test = (
        "".join(as_text(to_white_keys(chorale)) + END for chorale in half)
        for half in load_chorales()
    )
    return text_set("chorales", train, test, "words", context=CONTEXT, lines=False)


@torch.no_grad()
def harmonise(
    model: GPT, soprano: Sequence[str], rng: torch.Generator | None = None, temperature: float = 0.8
) -> Voices:
    """Bass, alto and tenor for a melody, drawn word by word; the melody's words are only read.

    Args:
        model: trained on ``chorale_set``.
        soprano: a pitch, ``.`` or ``r`` for each eighth.
        rng: source of the draws.
        temperature: of the draws, above 0.
    """
    numbers = model.tokeniser.numbers
    allowed = {v: [n for word, n in numbers.items() if word[0] == v] for v in "bat"}
    row, memories = [0], model.net.memories(CONTEXT)
    new = [0]
    drawn: dict[str, list[str]] = {name[0]: [] for name in VOICES}
    for sign in soprano:
        if len(row) + 4 > CONTEXT:  # forget the older half, as GPT.tokens does
            row = row[-CONTEXT // 2 :]
            new, memories = list(row), model.net.memories(CONTEXT)
        new.append(numbers[f"s{sign}"])
        row.append(new[-1])
        for voice in "bat":
            of = torch.tensor(allowed[voice])
            p = (model.net(torch.tensor([new]), memories)[0, -1, of] / temperature).softmax(dim=0)
            number = int(of[torch.multinomial(p, 1, generator=rng)])
            drawn[voice].append(model.tokeniser.tokens[number][1:])
            row.append(number)
            new = [number]
    return [list(soprano), *(drawn[name[0]] for name in VOICES[1:])]


def sounding(voices: Voices) -> list[tuple[int | None, ...]]:
    """The chord of each eighth: the pitch that sounds in each voice; None is silence."""
    rows: list[list[int | None]] = []
    for voice in voices:
        row: list[int | None] = []
        for sign in voice:
            pitch = int(sign) if sign.isdigit() else None
            row.append(row[-1] if sign == "." and row else pitch)
        rows.append(row)
    return list(zip(*rows, strict=True))


def consonance(voices: Voices) -> float:
    """The share of pairs of sounding voices, over all eighths, whose interval is consonant."""
    pairs = [
        abs(a - b) % 12 in CONSONANT
        for chord in sounding(voices)
        for a, b in combinations([pitch for pitch in chord if pitch is not None], 2)
    ]
    return sum(pairs) / len(pairs)


def parallels(voices: Voices) -> float:
    """Parallel fifths and octaves in 100 changes of chord, which the style forbids."""
    changes = [(old, new) for old, new in pairwise(sounding(voices)) if old != new]
    return 100 * sum(_parallel(old, new) for old, new in changes) / max(1, len(changes))


def _parallel(old: Sequence[int | None], new: Sequence[int | None]) -> int:
    """Pairs of voices that both move and keep a fifth or an octave between them."""
    found = 0
    for (a, c), (b, d) in combinations(zip(old, new, strict=True), 2):
        if a is None or b is None or c is None or d is None or a == c or b == d:
            continue
        found += abs(a - b) % 12 == abs(c - d) % 12 and abs(a - b) % 12 in {0, 7}
    return found


def as_notes(voice: Sequence[str]) -> str:
    """A voice as notes with durations, for its sound.

    >>> as_notes(["72", ".", "r", "74"])
    '72:12 r:6 74:6'
    """
    notes: list[list[str | int]] = []
    for sign in voice:
        if sign == "." and notes:
            notes[-1][1] = int(notes[-1][1]) + EIGHTH
        else:
            notes.append(["r" if sign == "." else sign, EIGHTH])
    return " ".join(f"{pitch}:{length}" for pitch, length in notes)


def choir(voices: Voices, tempo: float | int = 150.0) -> Float[np.ndarray, "samples"]:
    """The sound of four voices together, in [-0.8, 0.8]; see ``music.sound``."""
    return np.mean([sound(as_notes(voice), tempo) for voice in voices], axis=0)
