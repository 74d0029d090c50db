"""The sound of a tune has its pitches, its length and its rests, and does not clip or click."""

import io
import wave

import numpy as np
import pytest

from gen_course.ch09_one_token_after_another.music import RATE, notes_of, sound, wav
from gen_lib import InputError


def strongest(samples, rate=RATE):
    """The frequency of the highest peak of the spectrum, in hertz."""
    spectrum = np.abs(np.fft.rfft(samples, 8 * len(samples)))
    return spectrum.argmax() * rate / (8 * len(samples))


@pytest.mark.parametrize(("pitch", "hertz"), [(69, 440), (57, 220), (81, 880), (60, 261.63)])
def test_the_strongest_frequency_is_that_of_the_pitch(pitch, hertz):
    assert strongest(sound(f"{pitch}:48")) == pytest.approx(hertz, abs=1)


def test_a_tune_is_as_long_as_its_notes_at_any_tempo():
    tune = "6/8 67:6 69:6 r:12 | 71:24"  # a whole note, eight eighths
    assert len(sound(tune, 120)) == 4 * RATE
    assert len(sound(tune, 240)) == 2 * RATE
    assert len(sound(tune, 120, 22_050)) == 4 * 22_050
    many = sound("67:1 " * 480, 170)  # rounding does not add up
    assert len(many) == pytest.approx(80 * 60 / 170 * RATE, abs=1)


def test_rests_are_silent_and_notes_are_not():
    samples = sound("69:6 r:6 69:6", 120)
    third = len(samples) // 3
    assert not samples[third : 2 * third].any()
    assert np.abs(samples[:third]).max() > 0.1 < np.abs(samples[2 * third :]).max()


def test_nothing_clips_or_clicks():
    for tune in ("21:6 108:6 60:12 60:1 61:1", "69:48"):
        samples = sound(tune)
        assert np.abs(samples).max() <= 0.8
        assert samples[0] == samples[-1] == 0
    samples = sound("40:6 41:6 43:6")
    assert np.abs(np.diff(samples)).max() < 0.2
    ends = np.abs(samples[[len(samples) // 3 - 1, len(samples) // 3]])
    assert ends.max() < 0.01


def test_what_is_no_note_is_passed_over():
    assert [note.start for note in notes_of("4/4 60:12 | 62:6 words 64:6")] == [0, 12, 18]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("",), "no note"),
        (("4/4 |",), "no note"),
        (("5:6",), "pitch 5"),
        (("69:6", 0), "tempo"),
        (("69:6", float("nan")), "tempo"),
        (("69:6", 120, 100), "rate"),
        (("69:100000",), "longer"),
    ],
)
def test_bad_input_is_named(arguments, word):
    with pytest.raises(InputError, match=word):
        sound(*arguments)


def test_the_file_holds_the_samples():
    samples = sound("69:6")
    with wave.open(io.BytesIO(wav(samples))) as file:
        assert file.getframerate() == RATE
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    np.testing.assert_allclose(read / 32_767, samples, atol=1e-4)
