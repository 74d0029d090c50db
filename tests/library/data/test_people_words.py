"""Sentences that people may type: words, numbers, meanings, and text that is no sentence."""

import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen_lib import InputError
from gen_lib.data.people import KINDS, NO_WORD
from gen_lib.data.people.words import (
    CHARACTER,
    LEXICON,
    MAX_WORDS,
    MOST_NAMED,
    NOTHING,
    PAD,
    VARIANTS,
    VOCABULARY,
    check_prompts,
    encode,
    nothing,
    parse,
    split_words,
    unknown_words,
)


def test_the_vocabulary_is_fixed():
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 165
    assert VOCABULARY[:4] == ("<pad>", "<nothing>", "momo", "모모")
    assert list(VOCABULARY[4:]) == sorted(VOCABULARY[4:])
    for phrase in LEXICON:
        assert set(phrase) <= set(VOCABULARY)
    assert {word for word in VARIANTS.values() if word} <= set(VOCABULARY)
    assert not set(VARIANTS) & set(VOCABULARY)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "초록 모자를 쓰고 빨간 후드티를 입은 사람, 하늘색 배경",
            {
                "hat colour": "green",
                "outfit": "hoodie",
                "outfit colour": "red",
                "background": "blue",
            },
        ),
        ("a girl with long black hair", {"hair": "long", "hair colour": "black"}),
        ("A RED HAT AND GREEN CLOTHES", {"hat colour": "red", "outfit colour": "green"}),
        ("빨간모자를쓴사람", {"hat colour": "red"}),
        ("빨간 hoodie를 입은 person", {"outfit": "hoodie", "outfit colour": "red"}),
        ("금발 단발에 고글", {"hair": "bob", "hair colour": "blond", "glasses": "goggles"}),
        ("no hat, no glasses", {"hat": "none", "glasses": "none"}),
        ("모자 없이 안경을 쓴 사람", {"hat": "none", "glasses": "glasses"}),
        ("a striped shirt", {"outfit": "striped shirt"}),
        ("a blue shirt with a tie", {"outfit": "tie", "outfit colour": "blue"}),
        ("brown skin, brown hair", {"skin": "brown", "hair colour": "brown"}),
        ("a red-haired person", {}),
        ("red hat, blue hat", {"hat colour": "blue"}),
        ("a red cap, no hat", {"hat": "none"}),
        ("no hat, a red cap", {"hat": "cap", "hat colour": "red"}),
    ],
)
def test_a_sentence_means_what_a_reader_would_say(text, named):
    assert parse(text).named == named
    assert parse(unicodedata.normalize("NFD", text)).named == named


def test_colours_describe_the_next_noun():
    one = parse("a red hat and a blue coat").named
    other = parse("a blue hat and a red coat").named
    assert (one["hat colour"], one["outfit colour"]) == ("red", "blue")
    assert (other["hat colour"], other["outfit colour"]) == ("blue", "red")


def test_words_that_are_not_known_come_with_those_spelt_alike():
    unknown = parse("a prson in a gren hodie, 초롣 모쟈").unknown
    assert unknown["prson"][0] == "person"
    assert unknown["gren"][0] == "green"
    assert unknown["hodie"][0] == "hoodie"
    assert "초록" in unknown["초롣"]
    assert "모자" in unknown["모쟈"]
    assert parse("zzzzzz").unknown == {"zzzzzz": ()}
    assert parse("빨강 모자").unknown == {}


def test_adjectives_without_a_noun_are_told():
    assert parse("red glasses").loose == ("red",)
    assert parse("red").loose == ("red",)
    assert parse("long hat").loose == ("long",)
    assert parse("red hat").loose == ()


def test_what_a_sentence_names_as_a_row_of_attributes():
    row = parse("a tan skin and a cap").attributes
    assert row.shape == (len(KINDS),)
    expected = {"skin": 1, "hat": 1}
    assert row.tolist() == [expected.get(kind, NO_WORD) for kind in KINDS]


def test_particles_are_left_out_and_longest_words_come_first():
    assert split_words("빨간색 모자를, 비니와 안경은") == ["빨간색", "모자", "비니", "안경"]
    assert split_words("곱슬머리를 한") == ["곱슬", "머리", "한"]
    assert split_words("를") == ["를"]
    assert split_words("T-shirt red-hat") == ["t-shirt", "red", "hat"]


def test_the_name_of_the_character_has_numbers_of_its_own():
    assert encode(["momo 모모가"], 3).tolist() == [[2, 3, PAD]]
    assert set(CHARACTER) == {VOCABULARY[2], VOCABULARY[3]}
    assert parse("momo in a red hoodie").unknown == {}


def test_numbers_are_the_places_of_words_then_padding():
    numbers = encode(["a xyz red", "빨간 모자"], 5)
    words = [[VOCABULARY[n] for n in row] for row in numbers.tolist()]
    assert words[0] == ["a", "red", "<pad>", "<pad>", "<pad>"]
    assert words[1] == ["빨간", "모자", "<pad>", "<pad>", "<pad>"]
    assert numbers.dtype == torch.int64
    assert encode([], 5).shape == (0, 5)


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x07\x1b", "!?,.;", "🙂🙂", "___"])
def test_text_without_words_says_nothing_and_names_nothing(text):
    assert encode([text], 3).tolist() == [[NOTHING, PAD, PAD]]
    found = parse(text)
    assert (found.named, found.unknown, found.loose) == ({}, {}, ())


def test_control_characters_end_words():
    assert split_words("red\x00hat\u200bbeanie") == ["red", "hat", "beanie"]


@pytest.mark.parametrize("letter", ["a", "빨", "빨간", "red ", "모자를 ", "x-"])
def test_ten_thousand_characters_are_read_up_to_the_last_word_that_counts(letter):
    text = (letter * 10_000)[:10_000]
    assert len(split_words(text)) <= MAX_WORDS
    assert encode([text]).shape == (1, MAX_WORDS)
    assert len(parse(text).unknown) <= 2


def test_words_beyond_the_last_that_counts_name_nothing():
    text = "a " * MAX_WORDS + "red hat"
    assert parse(text).named == {}
    assert parse("a " * (MAX_WORDS - 2) + "red hat").named == {"hat colour": "red"}


@given(st.text(max_size=200))
def test_any_text_has_numbers_and_a_meaning(text):
    numbers, found = encode([text])[0], parse(text)
    words = split_words(text)
    known = [word for word in words if word not in found.unknown]
    assert [VOCABULARY[n] for n in numbers if n != PAD] == (known or [VOCABULARY[NOTHING]])
    assert all(value in KINDS[kind] for kind, value in found.named.items())


# Prompts


def test_the_sentence_that_says_nothing_is_that_of_a_text_without_words():
    sentences = encode(["a red hat", "빨간 모자를 쓴 사람"], 7)
    assert torch.equal(nothing(sentences), encode(["", "!"], 7))


@pytest.mark.parametrize("length", [1, 2, 34])
def test_words_beyond_the_length_are_left_out(length):
    text = "red green " * 20
    assert torch.equal(encode([text], length)[0], encode([text])[0, :length])


def test_a_prompt_needs_a_word_that_is_known():
    check_prompts(["a red hat", "zzzzzz 모자", "모자 zzzzzz", "dragon hat"])
    check_prompts([])
    with pytest.raises(InputError) as error:
        check_prompts(["a red hat", "a" * 50])
    assert str(error.value).startswith(f"The prompt '{'a' * 30}…' has no word that I know. ")
    with pytest.raises(InputError, match=r"no word that I know\. Words that .*: rde .*red"):
        check_prompts(["rde"])
    for empty in ("", " ", "\0", "🙂", "the"):
        with pytest.raises(InputError, match="Say for example: a red hat, long hair, 안경"):
            check_prompts([empty])


def test_known_words_beyond_those_that_count_do_not_save_a_prompt():
    with pytest.raises(InputError, match="has no word that I know"):
        check_prompts(["xyzzy " * MAX_WORDS + "red hat"])


def test_unknown_words_are_named_once_with_offers_in_one_line():
    assert unknown_words(["a red hat", "모자를 쓴 사람", "girl", "the"]) == ""
    found = unknown_words(["a gren hat", "a gren xyzzy, 모쟈\n"])
    assert found.startswith("Words that the model does not know: gren (perhaps green or ")
    assert found.count("gren (") == 1
    assert "xyzzy, 모쟈 (perhaps 모자" in found
    assert len(found.splitlines()) == 1
    many = " ".join(f"{n}{n}{n}" for n in range(10))
    assert unknown_words([many]).endswith(f"777 and {10 - MOST_NAMED} more.")


def test_a_particle_after_an_english_word_is_not_told_as_unknown():
    assert unknown_words(["빨간 hoodie를 입은 person, cap과 안경"]) == ""
