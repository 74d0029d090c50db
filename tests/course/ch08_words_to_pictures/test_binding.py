"""Sentences with two colours, and how often pictures of one sentence differ."""

import pytest
import torch

from gen_course.ch08_words_to_pictures import binding
from gen_course.ch08_words_to_pictures.studies.words_obedience import variety
from gen_lib.data.people import KINDS, NO_WORD
from gen_lib.data.people.words import parse


def test_sentences_name_the_two_colours_that_are_asked_for():
    texts, wanted = binding.sentences(60)
    assert len(texts) == len(wanted) == 60
    for text, colours in zip(texts, wanted.tolist(), strict=True):
        assert parse(text).attributes[binding.PLACES].tolist() == colours
        hat, outfit = KINDS["hat colour"][colours[0]], KINDS["outfit colour"][colours[1]]
        assert hat != outfit


def test_every_second_sentence_exchanges_the_colours_of_the_one_before():
    texts, _ = binding.sentences(20)
    for one, other in zip(texts[::2], texts[1::2], strict=True):
        assert one != other
        assert sorted(one.split()) == sorted(other.split())


@pytest.mark.parametrize(("turned", "share"), [(False, (1.0, 0.0)), (True, (0.0, 1.0))])
def test_right_and_exchanged_colours_are_told_apart(turned, share):
    _, wanted = binding.sentences(10)
    shown = wanted.unflatten(0, (5, 2)).flip(1).flatten(0, 1) if turned else wanted
    seen = torch.zeros(10, len(KINDS), dtype=torch.int64)
    seen[:, binding.PLACES] = shown
    found = binding.compare(seen, wanted)
    assert (found.right.float().mean().item(), found.exchanged.float().mean().item()) == share


def test_variety_counts_pairs_of_pictures_and_only_what_is_not_named():
    named = torch.tensor([[2, NO_WORD]])
    same, other = torch.tensor([[[0, 3], [1, 3]]]), torch.tensor([[[0, 3], [0, 4]]])
    assert variety(same, named) == 0
    assert variety(other, named) == 1
    three = torch.tensor([[[0, 3], [0, 3], [0, 4]]])
    assert variety(three, named) == pytest.approx(4 / 6)
