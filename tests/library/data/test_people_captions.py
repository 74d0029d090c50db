"""Captions of people: they name what they say they name, in both languages, as often as stated."""

import re
import time

import pytest
import torch

from gen_lib import InputError
from gen_lib.data.people import KINDS, NO_WORD, load_people, value_of
from gen_lib.data.people.captions import ABSENT, captions
from gen_lib.data.people.words import (
    CHARACTER,
    MAX_WORDS,
    NOTHING,
    VOCABULARY,
    encode,
    parse,
    split_words,
)

PLACE = {kind: n for n, kind in enumerate(KINDS)}


@pytest.fixture(scope="module")
def attributes():
    return load_people().train.attributes[:4_000]


def row(**values: str) -> torch.Tensor:
    """One row of attributes with no word for what is not given."""
    indices = torch.full((1, len(KINDS)), NO_WORD)
    for kind, value in values.items():
        kind = kind.replace("_", " ")
        indices[0, PLACE[kind]] = value_of(kind, value)
    return indices


@pytest.mark.parametrize("language", ["en", "ko", "both"])
@pytest.mark.parametrize("least", [0.0, 0.3, 1.0])
def test_what_a_caption_names_is_what_is_read_from_it(attributes, rng, language, least):
    drawn = captions(attributes, language, rng, least)
    for text, named, indices in zip(drawn.texts, drawn.named, attributes, strict=True):
        found = parse(text)
        assert torch.equal(found.attributes, torch.where(named, indices, NO_WORD)), text
        assert not found.unknown, text
        assert not found.loose, text


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_value_is_said_alone_in_words_that_mean_it(rng, language):
    for kind, values in KINDS.items():
        for value in values:
            if (kind, value) == ("hat colour", "none"):
                continue
            alone = row(**{kind.replace(" ", "_"): value}).repeat(40, 1)
            drawn = captions(alone, language, rng, least=1.0)
            named = {text for text, n in zip(drawn.texts, drawn.named, strict=True) if n.any()}
            assert named
            assert all(parse(text).named == {kind: value} for text in named)


def test_captions_fit_and_use_every_word_of_the_vocabulary(rng):
    attributes = load_people().train.attributes
    used: set[str] = set()
    for language in ("en", "ko"):
        for least in (0.3, 1.0):
            numbers = encode(captions(attributes, language, rng, least).texts, MAX_WORDS + 1)
            assert (numbers[:, -1] == 0).all()
            used |= {VOCABULARY[n] for n in numbers.unique().tolist()}
    assert set(VOCABULARY) - used == {VOCABULARY[NOTHING], *CHARACTER}


def test_attributes_are_left_out_as_often_as_stated(attributes, rng):
    """Named with probability share, whose mean is (least + 1) / 2; absent things less often."""
    least = 0.3
    named = captions(attributes, "both", rng, least).named
    expected = (least + 1) / 2
    tolerance = 5 * (0.25 / len(attributes)) ** 0.5
    for kind, values in KINDS.items():
        shown = named[:, PLACE[kind]]
        if "none" not in values:
            assert abs(shown.float().mean() - expected) < tolerance
            continue
        absent = attributes[:, PLACE[kind]] == values.index("none")
        rate = 0 if kind == "hat colour" else expected * ABSENT
        assert abs(shown[absent].float().mean() - rate) < tolerance
        assert abs(shown[~absent].float().mean() - expected) < 2 * tolerance


def test_shares_vary_so_that_some_captions_name_little_and_some_nearly_all(attributes, rng):
    """With one fixed share the counts of named kinds would vary far less."""
    plain = [n for n, values in enumerate(KINDS.values()) if "none" not in values]
    counts = captions(attributes, "en", rng).named[:, plain].sum(dim=1).float()
    share = counts.mean() / len(plain)
    assert counts.var() > 1.3 * len(plain) * share * (1 - share)


def test_naming_everything_names_all_but_what_is_absent(attributes, rng):
    named = captions(attributes, "ko", rng, least=1.0).named
    for kind, values in KINDS.items():
        present = attributes[:, PLACE[kind]] != (values.index("none") if "none" in values else -9)
        assert named[present, PLACE[kind]].all()


def test_captions_vary_and_are_repeated_by_their_seed(attributes):
    same = attributes[:1].repeat(200, 1)
    first, again, other = (
        captions(same, "both", torch.Generator().manual_seed(seed)).texts for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(set(first)) > 150
    everything = captions(same, "en", torch.Generator().manual_seed(3), least=1.0).texts
    assert len(set(everything)) > 50  # order and synonyms alone


def test_both_languages_come_equally_often(attributes, rng):
    texts = captions(attributes, "both", rng).texts
    korean = sum(bool(re.search("[가-힣]", text)) for text in texts)
    assert abs(korean / len(texts) - 0.5) < 0.05
    assert not any(re.search("[가-힣]", text) and re.search("[a-z]", text) for text in texts)


def test_articles_and_particles_fit_the_next_and_the_last_sound(attributes, rng):
    for text in captions(attributes, "en", rng, 0.5).texts:
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  | ,|#", text), text
        assert not re.search(r"\b(an?) (overalls|dungarees|glasses|clothes|buns|braids)\b", text)
    for text in captions(attributes, "ko", rng, 0.5).texts:
        assert not re.search(r"  | ,|#", text), text
        for noun, particle in re.findall(r"([가-힣]+)([을를과와])(?= )", text):
            closed = (ord(noun[-1]) - ord("가")) % 28 != 0
            assert particle in ("을과" if closed else "를와"), text


def test_korean_sentences_end_in_a_noun_that_a_modifier_describes(attributes, rng):
    """A joined clause (쓰고, 입고, 없이) never stands directly before 사람 or a phrase with 의."""
    for text in captions(attributes, "ko", rng).texts:
        assert not re.search(r"(고|없이|에) (사람|인물|캐릭터)", text), text
        assert not re.search(r"(고|없이) \w+ 피부의", text), text


def test_what_has_no_word_is_not_named(rng):
    alone = row(outfit="hoodie").repeat(50, 1)
    drawn = captions(alone, "en", rng, least=1.0)
    assert drawn.named.sum(dim=0).tolist() == [50 if kind == "outfit" else 0 for kind in KINDS]
    nothing = captions(torch.full((3, len(KINDS)), NO_WORD), "ko", rng)
    assert not nothing.named.any()
    assert all(parse(text).named == {} and split_words(text) for text in nothing.texts)


def test_no_captions_of_nobody(rng):
    drawn = captions(torch.zeros(0, len(KINDS), dtype=torch.int64), "en", rng)
    assert (drawn.texts, drawn.named.shape) == ([], (0, len(KINDS)))


def test_captions_are_drawn_and_numbered_fast_enough_to_train(attributes, rng):
    """2,000 a second, on the CPU time of this process; it reaches about five times that."""
    start = time.process_time()
    encode(captions(attributes[:1_000], "both", rng).texts)
    assert time.process_time() - start < 0.5


def test_bad_input_is_refused(attributes, rng):
    with pytest.raises(InputError, match="no language 'de': choose one of en, ko, both"):
        captions(attributes, "de", rng)
    with pytest.raises(InputError, match=r"least is 1.5: it is a share, from 0 to 1"):
        captions(attributes, "en", rng, least=1.5)
    with pytest.raises(InputError, match="attributes has 3 columns, not 9"):
        captions(attributes[:, :3], "en", rng)
    for bad in (-2, 7):
        wrong = attributes[:2].clone()
        wrong[1, PLACE["background"]] = bad
        with pytest.raises(InputError, match="not the index of a value in KINDS"):
            captions(wrong, "en", rng)
