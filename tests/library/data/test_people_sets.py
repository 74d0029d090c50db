"""People as a data set: pictures in the order of all data sets, with sentences that fit them."""

import pytest
import torch

from gen_lib.data import Split, load
from gen_lib.data.images import minibatch
from gen_lib.data.people import KINDS, NO_WORD, load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.people.sets import LENGTH, Captioned, people_set
from gen_lib.data.people.words import MAX_WORDS, NOTHING, PAD, VOCABULARY, encode, parse


@pytest.fixture(scope="module")
def told() -> Captioned:
    return people_set("sentences").train


def sentences(step: int, size: int, seed: int = 0):
    """The texts and the named kinds that a minibatch's own generator draws."""
    rng = torch.Generator().manual_seed(seed * 1_000_003 + step)
    return captions(load_people().train.batch(step, size, seed).attributes, "both", rng)


def read(numbers: torch.Tensor) -> str:
    """The words of a sentence."""
    return " ".join(VOCABULARY[n] for n in numbers.tolist() if n != PAD)


def test_class_labels_are_outfits_and_the_data_set_has_a_name():
    found, people = people_set(), load_people()
    outfit = list(KINDS).index("outfit")
    assert (found.name, found.classes) == ("people", KINDS["outfit"])
    assert found.image_shape == (3, 48, 48)
    for ours, theirs in ((found.train, people.train), (found.test, people.test)):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.attributes[:, outfit])
    assert torch.equal(load("people").train.labels, found.train.labels)


def test_attributes_are_those_of_the_people_and_each_half_has_half_of_the_held_out_ones():
    found, people = people_set("attributes"), load_people()
    for split, own, first in ((found.train, people.train, 0), (found.test, people.test, 1)):
        assert torch.equal(split.labels[: len(own)], own.attributes)
        assert torch.equal(split.labels[len(own) :], people.held_out.attributes[first::2])
        assert torch.equal(split.images[len(own) :], people.held_out.images[first::2])
    assert found.train.batch(3, 5).images.shape == (5, 3, 48, 48)


def test_the_same_step_and_seed_give_the_same_bits_and_others_do_not(told):
    images, numbers = told.batch(7, 16, 1)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = told.batch(7, 16, 1)
    assert torch.equal(again.images, images)
    assert torch.equal(again.labels, numbers)
    assert torch.equal(torch.get_rng_state(), before)
    for step, seed in ((8, 1), (7, 2)):
        other = told.batch(step, 16, seed)
        assert not torch.equal(other.images, images)
        assert not torch.equal(other.labels, numbers)


def test_a_picture_has_another_sentence_at_every_step():
    one = Captioned(load_people().train.images[:1], load_people().train.attributes[:1])
    found = {read(one.batch(step, 1).labels[0]) for step in range(20)}
    assert len(found) > 10


def test_pictures_come_in_the_order_of_all_data_sets(told):
    order = minibatch(len(told), 4, 8, 2)
    assert torch.equal(told.batch(4, 8, 2).images, told[order].images)
    assert isinstance(told, Split)


def test_a_subset_has_sentences_too(told):
    few = told.subset(5)
    assert isinstance(few, Captioned)
    assert few.batch(0, 5).labels.shape == (5, LENGTH)


def test_sentences_are_the_captions_of_their_pictures(told):
    for step in range(3):
        assert torch.equal(told.batch(step, 64).labels, encode(sentences(step, 64).texts, LENGTH))


def test_sentences_name_what_their_own_picture_shows(told):
    for step in range(3):
        numbers = told.batch(step, 64).labels
        shown = load_people().train.batch(step, 64).attributes
        named = sentences(step, 64).named
        found = torch.stack([parse(read(row)).attributes for row in numbers])
        assert torch.equal(found, torch.where(named, shown, NO_WORD))
        assert named.any(dim=1).float().mean() > 0.9


def test_no_caption_is_longer_than_the_length(rng):
    """Of those that name everything, which are the longest."""
    attributes = load_people().train.attributes
    rows = attributes[torch.randint(len(attributes), (4_000,), generator=rng)]
    for language in ("en", "ko"):
        numbers = encode(captions(rows, language, rng, least=1.0).texts, MAX_WORDS)
        assert (numbers[:, LENGTH - 1 :] == PAD).all()
        assert (numbers[:, 0] > NOTHING).all()
