"""Make the sound of a tune that is written as text, such as ``6/8 67:6 69:6 r:12 | 71:24``.

A note is a MIDI pitch (69 is the A of 440 Hz, a semitone is 1; ``r`` is a rest), and how long it
lasts in 48ths of a whole note. Its sound is that of a plucked string: the first overtones of the
pitch, which fade, the higher ones faster. It begins and ends softly, so that nothing clicks.
"""

import io
import math
import re
import wave
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen_lib import InputError

RATE = 11_025
"""Samples of a second."""
WHOLE = 48  # a whole note
TEMPO = 180.0  # eighths of a minute
NOTE = re.compile(r"(\d+|r):(\d+)")
PITCHES = range(21, 109)  # of a piano
LONGEST = 300.0  # seconds
OVERTONES = (1.0, 0.5, 0.25, 0.12)
LOUDEST = 0.8
EDGE = 0.008  # seconds in which a note begins and ends


class Note(NamedTuple):
    """A note of a tune."""

    pitch: int | None
    """None is a rest."""
    start: int
    """In 48ths of a whole note from the beginning of the tune."""
    length: int


def notes_of(text: str) -> list[Note]:
    """The notes of a tune; its metre and bar lines, and whatever is no note, are passed over.

    >>> notes_of("6/8 67:6 | r:12")
    [Note(pitch=67, start=0, length=6), Note(pitch=None, start=6, length=12)]
    """
    return list(_notes(text))


def _notes(text: str) -> Iterator[Note]:
    start = 0
    for part in text.split():
        if found := NOTE.fullmatch(part):
            pitch, length = found[1], int(found[2])
            yield Note(None if pitch == "r" else int(pitch), start, length)
            start += length


def sound(notes: str, tempo: float | int = TEMPO, rate: int = RATE) -> Float[np.ndarray, "samples"]:
    """The sound of a tune, in [-0.8, 0.8].

    Args:
        notes: the text of the tune.
        tempo: eighth notes in a minute, above 0.
        rate: samples of a second, at least 8,000.

    Raises:
        InputError: there is no note, a pitch is not in 21 ... 108, tempo or rate is not such, or
            the tune lasts longer than five minutes.
    """
    if not tempo > 0 or rate < 8_000:
        raise InputError(
            f"tempo is {tempo} and rate {rate}: tempo must be above 0, rate at least 8000."
        )
    found = notes_of(notes)
    if not found:
        raise InputError("There is no note: write notes such as 67:6, a pitch and its length.")
    if wrong := [n.pitch for n in found if n.pitch is not None and n.pitch not in PITCHES]:
        raise InputError(f"There is no key for pitch {wrong[0]}: take one in 21 ... 108.")
    seconds = 60 / tempo / (WHOLE // 8)  # of a 48th
    if (found[-1].start + found[-1].length) * seconds > LONGEST:
        raise InputError(f"The tune lasts longer than {LONGEST:g} seconds: shorten it.")
    ends = [round(n * seconds * rate) for n in (0, *(note.start + note.length for note in found))]
    parts = [
        _tone(note.pitch, end - start, rate)
        for note, start, end in zip(found, ends, ends[1:], strict=False)
    ]
    return np.concatenate(parts)


def _tone(pitch: int | None, samples: int, rate: int) -> Float[np.ndarray, "samples"]:
    """One note, or silence."""
    if pitch is None:
        return np.zeros(samples)
    t, frequency = np.arange(samples) / rate, 440 * 2 ** ((pitch - 69) / 12)
    heard = [n for n in range(1, len(OVERTONES) + 1) if n * frequency < rate / 2]
    waves = (
        OVERTONES[n - 1] * np.exp(-2 * n * t) * np.sin(2 * math.pi * n * frequency * t)
        for n in heard
    )
    edge = max(1, min(round(EDGE * rate), samples // 2))
    envelope = np.minimum(np.minimum(np.arange(samples), np.arange(samples)[::-1]) / edge, 1)
    return LOUDEST / sum(OVERTONES) * envelope * sum(waves, np.zeros(samples))


def wav(samples: Float[np.ndarray, "samples"], rate: int = RATE) -> bytes:
    """A sound in [-1, 1] as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * 32_767).astype("<i2").tobytes())
    return buffer.getvalue()
