"""Four voices as words: what is read is kept, what is drawn belongs to its voice."""

import pytest
import torch

from gen_course.ch09_one_token_after_another.harmony import (
    CONTEXT,
    ORDER,
    as_notes,
    as_text,
    choir,
    chorale_set,
    consonance,
    harmonise,
    parallels,
    sounding,
    to_white_keys,
)
from gen_course.ch09_one_token_after_another.music import notes_of
from gen_lib import experiment
from gen_lib.data.tunes import VOICES, WHITE, load_chorales
from gen_lib.models import GPT

SETTINGS = {"width": 16, "layers": 1, "heads": 2}


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    made = experiment.build("gpt", chorale_set(), SETTINGS)
    assert isinstance(made, GPT)
    torch.nn.init.normal_(made.net.head.weight)  # it is small before training: all words alike
    return made


@pytest.fixture(scope="module")
def chorale():
    return to_white_keys(load_chorales().test[0])


def test_words_give_the_voices_back(chorale):
    words = as_text(chorale).split()
    for number, name in enumerate(ORDER):
        of_voice = words[number::4]
        assert {word[0] for word in of_voice} == {name[0]}
        assert [word[1:] for word in of_voice] == list(chorale[VOICES.index(name)])


def test_most_notes_of_the_moved_chorales_are_on_the_white_keys():
    pitches = [
        int(sign)
        for chorale in load_chorales().train[:50]
        for voice in to_white_keys(chorale)
        for sign in voice
        if sign.isdigit()
    ]
    assert sum(pitch % 12 in WHITE for pitch in pitches) > 0.9 * len(pitches)


def test_the_melody_is_read_and_each_word_belongs_to_its_voice(model, chorale):
    soprano = (chorale[0] * 3)[: CONTEXT // 4 + 30]  # longer than the context
    voices = harmonise(model, soprano, torch.Generator().manual_seed(0))
    assert list(voices[0]) == soprano
    assert {len(voice) for voice in voices} == {len(soprano)}
    for name, voice in zip(VOICES, voices, strict=True):
        assert all(f"{name[0]}{sign}" in model.tokeniser.numbers for sign in voice)


@torch.no_grad()
def test_the_cache_changes_nothing(model, chorale):
    soprano, numbers = chorale[0][:12], model.tokeniser.numbers
    voices = harmonise(model, soprano, torch.Generator().manual_seed(1), temperature=1e-4)
    row = [0]
    for at, sign in enumerate(soprano):
        row.append(numbers[f"s{sign}"])
        for name in ORDER[1:]:
            of = [n for word, n in numbers.items() if word[0] == name[0]]
            best = of[int(model.net(torch.tensor([row]))[0, -1, of].argmax())]
            assert model.tokeniser.tokens[best][1:] == voices[VOICES.index(name)][at]
            row.append(best)


def test_a_held_note_goes_on_and_a_rest_is_silent():
    assert sounding([["72", ".", "r", "."], [".", "60", ".", "62"]]) == [
        (72, None),
        (72, 60),
        (None, 60),
        (None, 62),
    ]


@pytest.mark.parametrize(
    ("voices", "share"),
    [
        ([["72"], ["67"], ["64"], ["48"]], 1),  # C major
        ([["62"], ["61"], ["60"], ["r"]], 0),  # a cluster
        ([["71"], ["65"], ["62"], ["55"]], 4 / 6),  # G7: b-f and f-g are not consonant
    ],
)
def test_consonance_of_chords(voices, share):
    assert consonance(voices) == pytest.approx(share)


@pytest.mark.parametrize(
    ("upper", "lower", "found"),
    [
        (["67", "69"], ["60", "62"], 1),  # two fifths, both voices move
        (["72", "74"], ["60", "62"], 1),  # two octaves
        (["67", "69"], ["60", "59"], 0),  # contrary motion to another interval
        (["67", "."], ["60", "."], 0),  # nothing moves
        (["64", "65"], ["60", "62"], 0),  # thirds are allowed
        (["67", "67"], ["60", "48"], 0),  # one voice stays
    ],
)
def test_parallels_are_fifths_and_octaves_of_two_moving_voices(upper, lower, found):
    voices = [upper, ["r", "r"], ["r", "r"], lower]
    changes = 0 if upper[1] == "." else 1
    assert parallels(voices) == 100 * found * changes


def test_bach_avoids_parallels_and_strangers_do_not():
    one, other = (to_white_keys(c) for c in load_chorales().test[:2])
    length = min(len(one[0]), len(other[0]))
    mixed = [voice[:length] for voice in (one[0], *other[1:])]
    assert parallels(one) < parallels(mixed)
    assert consonance(one) > consonance(mixed)


def test_a_choir_lasts_as_long_as_its_notes(chorale):
    voices = [voice[:16] for voice in chorale]
    heard = choir(voices)
    for voice in voices:
        notes = notes_of(as_notes(voice))
        assert notes[-1].start + notes[-1].length == 16 * 6
    assert heard.shape == choir(voices[::-1]).shape
    assert 0 < abs(heard).max() <= 0.8
