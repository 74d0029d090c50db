"""The tests of properties accept what is right, whatever its style, and name what is wrong."""

import pytest
import torch
from torch import nn

from gen_course.common.checks import Misconception
from gen_course.common.properties import (
    agrees,
    call,
    labels_of,
    learnt,
    repeatable,
    require_mean,
    require_normal,
    require_uniform,
    seeded,
)


def test_labels_are_in_no_order_and_a_class_is_missing():
    for seed in range(20):
        labels = labels_of(seeded(seed), 50, 5)
        assert len(labels.unique()) == 4
        assert labels.tolist() != sorted(labels.tolist())
        assert set(labels_of(seeded(seed), 50, 2).tolist()) == {0, 1}


# Draws


def test_what_torch_draws_is_accepted_from_any_seed():
    for seed in range(200):
        rng = seeded(seed)
        require_normal(torch.randn(500, 3, generator=rng))
        require_normal(torch.randn(700, 1, generator=rng))
        require_uniform(torch.rand(900, 2, generator=rng))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda rng: 12**0.5 * (torch.rand(2_000, 2, generator=rng) - 0.5), "not normal"),
        (
            lambda rng: torch.randint(2, (2_000, 12), generator=rng) * 2.0 - 1,
            "opposite sign|recur|not normal",
        ),
        (lambda rng: torch.rand(2_000, 2, generator=rng), "mean other than 0"),
        (lambda rng: 1.2 * torch.randn(2_000, 2, generator=rng), "variance other than 1"),
        (lambda rng: torch.randn(2_000, 2, generator=rng).clamp(-1.5, 1.5), "recur|sign|variance"),
        (lambda rng: torch.randn(2_000, 1, generator=rng).expand(-1, 2), "units go together"),
        (lambda rng: torch.randn(1, 2, generator=rng).expand(2_000, -1) * 0.01, "recur"),
        (lambda rng: torch.randn(50, 2, generator=rng).repeat(40, 1), "recur"),
        (
            lambda rng: torch.stack([(e := torch.randn(1_000, 2, generator=rng)), -e]).flatten(
                0, 1
            ),
            "opposite sign",
        ),
    ],
)
def test_other_distributions_are_named(draw, words):
    for seed in range(5):
        with pytest.raises(Misconception, match=words):
            require_normal(draw(seeded(seed)))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (lambda u: 0.5 + (u - 0.5) / 2, "not uniform"),
        (lambda u: (u * 8).floor() / 8, "recur|not uniform"),
        (lambda u: u.square(), "not uniform"),
        (lambda u: u + 0.1, "not all in"),
    ],
)
def test_other_numbers_than_uniform_ones_are_named(shape, words):
    for seed in range(5):
        with pytest.raises(Misconception, match=words):
            require_uniform(shape(torch.rand(3_000, 1, generator=seeded(seed))))


def test_draws_follow_their_generator():
    repeatable(lambda rng: torch.randn(5, generator=rng))
    for draw, words in (
        (lambda rng: torch.randn(5), "The same seed gives other"),
        (lambda rng: torch.randn(5, generator=seeded(rng.initial_seed())), "Two calls with one"),
        (lambda rng: torch.randn(5, generator=seeded(0)), "Two calls with one"),
    ):
        with pytest.raises(Misconception, match=words):
            repeatable(draw)


def test_a_mean_is_accepted_within_its_standard_errors(rng):
    draws = torch.randn(10_000, 2, generator=rng) + torch.tensor([1.0, 2.0])
    require_mean(draws, torch.tensor([1.0, 2.0]), "wrong")
    require_mean(draws, torch.tensor([1.02, 2.02]), "wrong")
    for off in (torch.tensor([1.1, 2.0]), torch.tensor([1.0, 2.1])):
        with pytest.raises(Misconception, match="wrong"):
            require_mean(draws, off, "wrong")


# Side effects of a call


def backward(x, net, rng):
    net(x).sum().backward()
    return torch.rand(1, generator=rng)


def in_place(x, net, rng):
    x += 1
    return torch.rand(1, generator=rng)


def evaluates(x, net, rng):
    net.eval()
    return torch.rand(1, generator=rng)


def requires(x, net, rng):
    x.requires_grad_()
    return torch.rand(1, generator=rng)


def draws_elsewhere(x, net, rng):
    torch.rand(1)
    return torch.rand(1, generator=rng)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (backward, r"net has got a \.grad"),
        (in_place, "argument x has been changed in place"),
        (evaluates, "training mode of net"),
        (requires, "requires_grad of the argument x"),
        (draws_elsewhere, "global random state"),
        (lambda x, net, rng: x, "rng has not moved"),
    ],
)
def test_side_effects_are_named(function, words):
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout().eval())
    with pytest.raises(Misconception, match=words):
        call(function, {"x": torch.ones(3, 2), "net": net, "rng": seeded(1)})


# Agreement with a reference


def arguments(rng, n, K):
    return {
        "a": learnt(torch.randn(n, K, generator=rng)),
        "b": learnt(torch.rand(K, generator=rng)),
    }


def right(a, b):
    return (a.exp() * b).sum(1)


kept: dict = {}


def cached(a, b):
    return kept.setdefault(a.shape, right(a, b))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda a, b: right(a, b) + 1, "the formula"),
        (lambda a, b: right(a, b).detach(), "No gradient reaches a"),
        (lambda a, b: right(a, b.detach()), "No gradient reaches b"),
        (lambda a, b: right(a, b).detach() + a.sum(1) - a.sum(1).detach(), "gradient with .* a is"),
        (cached, "keep nothing between calls"),
        (lambda a, b: right(a[:4], b) if len(a) == 4 else right(a, b * 0 + 1), "for one size"),
        (lambda a, b: right(a.clamp(max=5.0), b), "extreme"),
        (lambda a, b: right(a, b)[:, None], "of shape"),
        (lambda a, b: 3.0, "of shape"),
    ],
)
def test_wrong_functions_are_named(wrong, words):
    far = {"a": learnt(torch.tensor([[8.0, -30.0]])), "b": learnt(torch.ones(2))}
    cases = {"sizes": [(4, 3), (2, 5)], "extremes": [far], "formula": "the formula", "form": "(n,)"}
    agrees(right, right, arguments, **cases)
    agrees(lambda a, b: torch.einsum("nk,k->n", a.exp(), b), right, arguments, **cases)
    with pytest.raises(Misconception, match=words):
        agrees(wrong, right, arguments, **cases)


def test_what_is_to_be_detached_is_named():
    with pytest.raises(Misconception, match="Gradients flow to b"):
        agrees(right, lambda a, b: right(a, b.detach()), arguments, [(4, 3)], form="(n,)")
