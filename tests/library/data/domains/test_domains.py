"""Two domains: minibatches of pairs, names, sizes, pairs alone, and both as classes."""

import numpy as np
import pytest
import torch

from gen_lib import InputError
from gen_lib.data import Domain, PairBatch, TwoDomains, load_domains, load_pairs, to_uint8
from gen_lib.data.domains import Caption, load_classes

# Minibatches


def test_a_batch_holds_as_many_of_both_domains(emoji):
    batch = emoji.train.batch(3, 10, seed=4)
    assert isinstance(batch, PairBatch)
    assert batch.x.shape == batch.y.shape == (10, 3, 32, 32)
    assert batch.x.dtype == batch.y.dtype == torch.float32
    for domain, images in zip((emoji.train.a, emoji.train.b), batch, strict=True):
        known = {image.numpy().tobytes() for image in domain.images}
        assert all(image.numpy().tobytes() in known for image in to_uint8(images))


def test_a_batch_depends_on_its_arguments_only(emoji):
    first = emoji.train.batch(7, 4, seed=3)
    torch.manual_seed(99)
    emoji.train.batch(2, 5)
    again, other = (emoji.train.batch(7, 4, seed=seed) for seed in (3, 2))
    for one, same, different in zip(first, again, other, strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, different)


def test_drawing_batches_leaves_the_global_random_state_alone(emoji):
    before = torch.get_rng_state()
    emoji.train.batch(3, 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_pairs_stay_together_and_what_is_unpaired_is_shuffled_apart(emoji_pairs):
    paired = emoji_pairs.train
    unpaired = TwoDomains(paired.a, paired.b, paired=False)
    place = {image.numpy().tobytes(): n for n, image in enumerate(paired.a.images)}
    partner = {image.numpy().tobytes(): n for n, image in enumerate(paired.b.images)}
    for pool, together in ((paired, True), (unpaired, False)):
        same = [
            paired.a.captions[place[i.numpy().tobytes()]].family
            == paired.b.captions[partner[j.numpy().tobytes()]].family
            for i, j in zip(*map(to_uint8, pool.batch(0, 100)), strict=True)
        ]
        assert np.mean(same) == pytest.approx(1.0 if together else 0.0, abs=0.05)


def numbered(n: int) -> Domain:
    """n pictures of one pixel, the k-th of brightness k."""
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1)
    return Domain(images, (Caption("", ""),) * n)


def numbers(images: torch.Tensor) -> list[int]:
    return to_uint8(images).flatten().tolist()


def test_every_picture_of_both_domains_comes_once_an_epoch():
    unpaired = TwoDomains(numbered(24), numbered(30), paired=False)
    for side, steps in enumerate((4, 5)):
        seen = [n for step in range(steps) for n in numbers(unpaired.batch(step, 6)[side])]
        assert sorted(seen) == list(range(6 * steps))


def test_pairs_have_the_same_place_in_both_halves_in_every_epoch():
    paired = TwoDomains(numbered(20), numbered(20), paired=True)
    batches = [paired.batch(step, 5, seed=3) for step in range(12)]
    assert all(torch.equal(batch.x, batch.y) for batch in batches)
    epochs = [[n for b in batches[k : k + 4] for n in numbers(b.x)] for k in (0, 4, 8)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(20))] * 3
    assert len(set(map(tuple, epochs))) == 3


def test_the_halves_of_unpaired_domains_are_shuffled_independently():
    """As with two shuffled packs of 200 cards, about one picture meets its own number."""
    unpaired = TwoDomains(numbered(200), numbered(200), paired=False)
    beside = []
    for seed in range(20):
        x, y = map(numbers, unpaired.batch(0, 200, seed=2 * seed))
        assert sorted(x) == sorted(y) == list(range(200))
        beside.append(sum(i == j for i, j in zip(x, y, strict=True)))
    assert np.mean(beside) == pytest.approx(1, abs=4 / 20**0.5)


def test_domains_of_unequal_size_give_batches_of_equal_halves():
    batch = TwoDomains(numbered(3), numbered(11), paired=False).batch(9, 8)
    assert batch.x.shape == batch.y.shape == (3, 1, 1, 1)


# Names and sizes


@pytest.mark.parametrize("name", ["", "horse2zebra", "fashion_mnist"])
def test_an_unknown_name_is_refused_with_the_names_of_all(name):
    with pytest.raises(InputError, match=rf"called '{name}': choose one of seasons, emoji"):
        load_domains(name)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [("emoji", 64, "emoji have 32 pixels"), ("seasons", 0, "at least 1")],
)
def test_a_size_that_is_not_to_be_had_is_named(name, size, words):
    with pytest.raises(InputError, match=f"size is {size}: .*{words}"):
        load_domains(name, size=size)


# Pairs alone, and both domains as classes


@pytest.mark.parametrize("name", ["seasons", "emoji"])
def test_the_pairs_alone_are_those_of_the_whole_set(name, landscapes, emoji):
    whole = {"seasons": landscapes, "emoji": emoji}[name].test
    pairs = load_pairs(name)
    assert pairs.paired
    assert torch.equal(pairs.a.images, whole.a.images)
    assert torch.equal(pairs.b.images, whole.b.images)
    assert pairs.a.captions == whole.a.captions


def test_the_pairs_alone_refuse_what_the_whole_set_refuses():
    for name, size, words in (("seasons", 0, "size is 0"), ("mars", 32, "no pair of domains")):
        with pytest.raises(InputError, match=words):
            load_pairs(name, size)


def test_a_classifier_sees_every_picture_in_both_styles(emoji_pairs):
    train = load_classes("emoji").train
    assert torch.equal(train.images[train.labels == 0], emoji_pairs.train.a.images)
    assert torch.equal(train.images[train.labels == 1], emoji_pairs.train.b.images)


def test_two_domains_are_two_classes(emoji):
    images = emoji.labelled
    assert images.classes == ("noto", "twemoji")
    assert images.test.labels.bincount().tolist() == [len(emoji.test.a), len(emoji.test.b)]
    assert torch.equal(images.train.images[images.train.labels == 0], emoji.train.a.images)
    assert torch.equal(images.train.images[images.train.labels == 1], emoji.train.b.images)
