"""Tunes and chorales: their tables, and the way to the white keys."""

import shutil
from collections import Counter
from itertools import pairwise

import pytest

from gen_lib import InputError
from gen_lib.data import tunes
from gen_lib.data.images import data_folder
from gen_lib.data.tunes import WHITE, load_chorales, load_tunes, moved, to_white

MAJOR = {
    -2: 10,
    -1: 5,
    0: 0,
    1: 7,
    2: 2,
    3: 9,
}  # pitch class of the major key with such a signature


def pitches(notes: str) -> list[int]:
    return [
        int(note.partition(":")[0]) for note in notes.split() if note[0].isdigit() and ":" in note
    ]


@pytest.mark.parametrize("sharps", range(-7, 8))
def test_a_signature_moves_to_the_white_keys_by_the_fewest_semitones(sharps):
    by = to_white(sharps)
    assert -6 <= by <= 5
    scale = {(7 * sharps + step) % 12 for step in WHITE}  # a fifth a sharp
    assert {(pitch + by) % 12 for pitch in scale} == WHITE


@pytest.mark.parametrize("sharps", MAJOR)
def test_a_major_key_moves_to_c(sharps):
    assert (MAJOR[sharps] + to_white(sharps)) % 12 == 0


def test_moving_changes_pitches_alone_and_back_again():
    for tune in load_tunes().test[:50]:
        there = moved(tune.notes, 3)
        assert pitches(there) == [pitch + 3 for pitch in pitches(tune.notes)]
        assert moved(there, -3) == tune.notes


def test_nearly_all_notes_are_white_after_the_move_and_fewer_before():
    all_tunes = load_tunes().train
    assert any(tune.sharps for tune in all_tunes)
    shares = [
        [pitch % 12 in WHITE for tune in all_tunes for pitch in pitches(notes(tune))]
        for notes in (lambda tune: tune.text.partition(" ")[2], lambda tune: tune.notes)
    ]
    after, before = (sum(share) / len(share) for share in shares)
    assert after > 0.98
    assert before < 0.9


def test_a_text_begins_with_its_metre_and_has_few_kinds_of_tokens():
    both = load_tunes()
    for tune in both.train + both.test:
        assert tune.text.split()[0] == tune.meter
    kinds = Counter(note for tune in both.train for note in tune.text.split())
    assert {note for tune in both.test for note in tune.text.split()} <= set(kinds)
    assert len(kinds) < 300


def test_no_tune_of_one_half_begins_like_one_of_the_other():
    def beginning(tune):  # sixteen intervals and durations
        notes = [note.partition(":") for note in tune.notes.split() if ":" in note][:17]
        steps = [
            int(b[0]) - int(a[0]) if "r" not in (a[0], b[0]) else "r" for a, b in pairwise(notes)
        ]
        return tuple(steps), tuple(note[2] for note in notes[:16])

    train, test = ({beginning(tune) for tune in half} for half in load_tunes())
    assert not train & test


def test_chorales_have_four_voices_of_one_length_from_high_to_low():
    both = load_chorales()
    assert len(both.train) > 300
    for chorale in both.train + both.test:
        assert len({len(voice) for voice in chorale.voices}) == 1
        means = [
            sum(found) / len(found)
            for found in ([int(n) for n in voice if n.isdigit()] for voice in chorale.voices)
        ]
        assert means == sorted(means, reverse=True)
        assert all(voice[0] != "." for voice in chorale.voices)
        assert {n for voice in chorale.voices for n in voice if not n.isdigit()} <= {".", "r"}


@pytest.mark.parametrize("load", [load_tunes, load_chorales])
def test_an_altered_table_is_named(load, tmp_path, monkeypatch):
    shutil.copytree(data_folder() / "tunes", tmp_path / "tunes")
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path))
    tunes._table.cache_clear()
    for name in tunes.FILES:
        (tmp_path / "tunes" / name).write_text("split\n")
    with pytest.raises(InputError, match=r"csv is truncated or altered: restore it"):
        load()
    tunes._table.cache_clear()
