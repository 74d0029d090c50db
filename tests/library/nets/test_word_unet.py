"""The U-Net that reads words: what it looks at, and what must not matter to it."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.data.people.words import NOTHING, PAD, encode, nothing
from gen_lib.nets.word_unet import WordUNet, WordVectors

SHAPE, WORDS = (2, 4, 6), 30
SENTENCES = torch.tensor([[5, 6, 7, 8, 9], [5, 9, 4, PAD, PAD]])


def scattered(attends: bool = True) -> WordUNet:
    """A small network with all weights drawn at random, so that its output is not zero."""
    torch.manual_seed(0)
    net = WordUNet(SHAPE, WORDS, width=8, blocks=1, attends=attends)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net.requires_grad_(False)


@pytest.fixture(scope="module", params=[True, False], ids=["attends", "mean"])
def net(request) -> WordUNet:
    return scattered(request.param)


@pytest.fixture
def noisy(rng):
    """Two grids and their times."""
    return torch.randn(2, *SHAPE, generator=rng), torch.tensor([0.2, 0.7])


@pytest.mark.parametrize("attends", [True, False])
def test_the_output_starts_at_zero(noisy, attends):
    y = WordUNet(SHAPE, WORDS, width=8, blocks=1, attends=attends)(*noisy, SENTENCES)
    assert y.shape == noisy[0].shape
    assert (y == 0).all()


def test_padding_changes_nothing(net, noisy):
    longer = torch.cat([SENTENCES, torch.full((2, 6), PAD)], dim=1)
    torch.testing.assert_close(net(*noisy, longer), net(*noisy, SENTENCES))


def test_the_vector_of_padding_is_never_read(net, noisy):
    before = net(*noisy, SENTENCES)
    kept = net.words.table.weight[PAD].clone()
    net.words.table.weight[PAD] = 100.0
    after = net(*noisy, SENTENCES)
    net.words.table.weight[PAD] = kept
    assert torch.equal(after, before)


def test_each_grid_has_a_sentence_and_a_time_of_its_own(net, noisy):
    z, t = noisy
    together = net(z, t, SENTENCES)
    torch.testing.assert_close(net(z[1:], t[1:], SENTENCES[1:]), together[1:])
    assert (net(z, t, SENTENCES.flip(0)) - together).abs().amax((1, 2, 3)).min() > 1e-3
    assert (net(z, t.flip(0), SENTENCES) - together).abs().amax((1, 2, 3)).min() > 1e-3


def test_no_sentence_is_the_one_that_says_nothing(net, noisy):
    silent = net(*noisy)
    torch.testing.assert_close(net(*noisy, nothing(SENTENCES)), silent)
    torch.testing.assert_close(net(*noisy, encode(["", "xyzzy"], 4)), silent)
    assert not torch.allclose(net(*noisy, SENTENCES), silent, atol=1e-3)
    assert NOTHING not in SENTENCES


def test_a_word_differs_by_its_neighbours_up_to_two_places_away(rng):
    words = WordVectors(WORDS, 6)
    seen = torch.ones(1, 9, dtype=torch.bool)
    x = torch.randn(1, 9, 6, generator=rng)
    other = x.clone()
    other[0, 4] += 1
    moved = (words(other, seen) - words(x, seen)).abs().amax(dim=2)[0] > 1e-6
    assert moved.tolist() == [abs(place - 4) <= 2 for place in range(9)]


def test_the_order_of_neighbours_matters_and_that_of_far_words_does_not(net, noisy):
    """Windows of five words are read: exchanged with like neighbours, two words change nothing."""
    f, a, b = 3, 5, 6
    far = [f, f, f, a, f, f, f, f, f, b, f, f, f]
    swapped = [b if n == a else a if n == b else f for n in far]
    near, turned = [f, f, f, a, b, f, f, f], [f, f, f, b, a, f, f, f]
    y = [net(*noisy, torch.tensor([s, s])) for s in (far, swapped, near, turned)]
    torch.testing.assert_close(y[1], y[0])
    assert (y[3] - y[2]).abs().max() > 1e-3


@pytest.mark.parametrize("attends", [True, False])
def test_single_words_are_looked_at_only_if_the_network_attends(noisy, attends):
    net = scattered(attends)
    before = net(*noisy, SENTENCES)
    for layer in (*net.look, net.closer):
        torch.nn.init.normal_(layer.value.weight)
    assert torch.equal(net(*noisy, SENTENCES), before) == (not attends)


def test_without_attention_sentences_of_the_same_mean_are_the_same(noisy):
    """A word alone and the same word five times, where words do not change their neighbours."""
    one, five = torch.full((2, 1), 7), torch.tensor([[7, 7, 7, 7, 7, 8], [7, 8, 7, 8, 7, 8]])
    for attends in (True, False):
        net = scattered(attends)
        for layer in net.words.beside:
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        torch.testing.assert_close(net(*noisy, one.repeat(1, 5)), net(*noisy, one))
        halves = net(*noisy, torch.tensor([[7, 8], [8, 7]])), net(*noisy, five[1:].repeat(2, 1))
        torch.testing.assert_close(*halves)
        assert not torch.allclose(net(*noisy, five[:1].repeat(2, 1)), halves[0], atol=1e-3)


def test_muon_is_given_the_attention_and_not_the_words():
    net = scattered()
    hidden = {id(p) for p in net.hidden()}
    inside = {n for n, p in net.named_parameters() if id(p) in hidden}
    assert {"look.0.query.weight", "closer.out.weight", "join.weight"} <= inside
    outer = ("words", "place", "stem", "time", "out")
    assert not {name for name in inside if name.partition(".")[0] in outer}


@pytest.mark.parametrize(
    ("shape", "width", "words"),
    [
        ((2, 3, 4), 8, "A grid of 3 x 4 cells .* multiples of 8"),
        ((2, 4, 5), 8, "A grid of 4 x 5 cells"),
        ((2, 4, 4), 12, "width is 12: it must be a multiple of 8"),
    ],
)
def test_what_does_not_fit_is_named(shape, width, words):
    with pytest.raises(InputError, match=words):
        WordUNet(shape, WORDS, width=width)


# Where words are looked at


def test_the_looks_of_a_place_sum_to_1_and_padding_gets_none(noisy):
    looks = scattered().looks(*noisy, SENTENCES)
    assert looks.shape == (2, 5, *SHAPE[1:])
    torch.testing.assert_close(looks.sum(dim=1), torch.ones(2, *SHAPE[1:]))
    assert not looks[1, 3:].any()
    assert looks.std() > 1e-3


def test_looks_are_the_mean_of_what_the_layers_weigh_and_leave_the_network_as_it_was(noisy):
    net, seen = scattered(), []
    layers = [*net.look, net.closer]
    before = net(*noisy, SENTENCES)
    looks = net.looks(*noisy, SENTENCES)
    assert not any(layer._forward_hooks for layer in layers)
    assert torch.equal(net(*noisy, SENTENCES), before)
    for layer in layers:
        layer.register_forward_hook(lambda layer, given, _: seen.append(layer.weights(*given)))
    net(*noisy, SENTENCES)
    coarse, fine = (weights.mean(dim=1).mT for weights in seen)  # 2 x 3 and 4 x 6 places
    large = torch.nn.functional.interpolate(
        coarse.unflatten(2, (2, 3)), scale_factor=2, mode="bilinear"
    )
    torch.testing.assert_close(looks, (large + fine.unflatten(2, SHAPE[1:])) / 2)
