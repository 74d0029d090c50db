"""Chapter 05's checks: right answers in any style pass, each classic mistake is named."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gen_course.ch05_cyclegan import toy
from gen_course.ch05_cyclegan.checks import (
    check_cycle_loss,
    check_discriminator_losses,
    check_exchange,
    check_generators_turn,
    check_identity_loss,
    check_near_start,
)
from gen_course.common.checks import Misconception
from gen_lib.models.cyclegan import ImagePool, adversarial_loss, discriminator_loss, distance


def refused(check, answer, words):
    with pytest.raises(Misconception, match=words):
        check(answer)


def cases(table):
    """Parametrise with the values of a table, named by its keys."""
    return pytest.mark.parametrize("case", table.values(), ids=table)


# The cycle


def cycle(g, f, x, y):
    return distance(f(g(x)), x) + distance(g(f(y)), y)


RIGHT_CYCLES = {
    "library": cycle,
    "torch": lambda g, f, x, y: F.l1_loss(f(g(x)), x) + F.l1_loss(y, g(f(y))),
}
WRONG_CYCLES = {
    "swapped": (lambda g, f, x, y: distance(g(f(x)), x) + distance(f(g(y)), y), "wrong generator"),
    "one swapped": (
        lambda g, f, x, y: distance(f(g(x)), x) + distance(f(g(y)), y),
        "wrong generator",
    ),
    "L2": (lambda g, f, x, y: F.mse_loss(f(g(x)), x) + F.mse_loss(g(f(y)), y), "squared"),
    "one direction": (lambda g, f, x, y: distance(f(g(x)), x), "cycle of y is missing"),
    "other direction": (lambda g, f, x, y: distance(g(f(y)), y), "cycle of x is missing"),
    "mean": (lambda *a: cycle(*a) / 2, "mean of both"),
    "sum": (lambda *a: 72 * cycle(*a), "summed over the pixels"),
    "sum of all": (
        lambda g, f, x, y: (f(g(x)) - x).abs().sum() + (g(f(y)) - y).abs().sum(),
        "summed over all images",
    ),
    "identity": (lambda g, f, x, y: distance(g(y), y) + distance(f(x), x), "identity loss"),
    "detached inside": (
        lambda g, f, x, y: distance(f(g(x).detach()), x) + distance(g(f(y).detach()), y),
        "half of the cycle",
    ),
    "item": (lambda *a: cycle(*a).item(), "No gradient"),
    "per pixel": (lambda g, f, x, y: (f(g(x)) - x).abs(), "one number"),
    "other": (lambda *a: cycle(*a) + 1, r"Not E \|F"),
}


@cases(RIGHT_CYCLES)
def test_right_cycles_pass(case):
    assert check_cycle_loss(case).attempted


@cases(WRONG_CYCLES)
def test_wrong_cycles_are_told_their_mistake(case):
    refused(check_cycle_loss, *case)


# The identity


def identity(g, f, x, y):
    return distance(g(y), y) + distance(f(x), x)


WRONG_IDENTITIES = {
    "wrong domain": (lambda g, f, x, y: distance(g(x), x) + distance(f(y), y), "wrong domain"),
    "G's domain": (lambda g, f, x, y: distance(g(x), x) + distance(f(x), x), "wrong domain"),
    "F's domain": (lambda g, f, x, y: distance(g(y), y) + distance(f(y), y), "wrong domain"),
    "L2": (lambda g, f, x, y: F.mse_loss(g(y), y) + F.mse_loss(f(x), x), "squared"),
    "F missing": (lambda g, f, x, y: distance(g(y), y), "F is missing"),
    "G missing": (lambda g, f, x, y: distance(f(x), x), "G is missing"),
    "mean": (lambda *a: identity(*a) / 2, "mean of both"),
    "sum": (lambda *a: 72 * identity(*a), "summed over the pixels"),
    "cycle": (cycle, "cycle loss"),
    "other": (lambda *a: 3 * identity(*a), r"Not E \|G"),
}


def test_the_right_identity_passes():
    assert check_identity_loss(identity).attempted


@cases(WRONG_IDENTITIES)
def test_wrong_identities_are_told_their_mistake(case):
    refused(check_identity_loss, *case)


# The discriminators


def lsgan(d, real, fake):
    return discriminator_loss(d(real), d(fake.detach()))


def entropy(d, real, fake):
    def loss(v, target):
        return F.binary_cross_entropy_with_logits(v, torch.full_like(v, target))

    return loss(d(real), 1.0) + loss(d(fake.detach()), 0.0)


def both(loss):
    return lambda d_x, d_y, x, y, g_x, f_y: (loss(d_x, x, f_y), loss(d_y, y, g_x))


WRONG_DISCRIMINATORS = {
    "D_X sees G(x)": (
        lambda d_x, d_y, x, y, g_x, f_y: (lsgan(d_x, x, g_x), lsgan(d_y, y, g_x)),
        "D_X looks at the wrong domain",
    ),
    "D_Y sees F(y)": (
        lambda d_x, d_y, x, y, g_x, f_y: (lsgan(d_x, x, f_y), lsgan(d_y, y, f_y)),
        "D_Y looks at the wrong domain",
    ),
    "D_Y is told x": (
        lambda d_x, d_y, x, y, g_x, f_y: (lsgan(d_x, x, f_y), lsgan(d_y, x, g_x)),
        "D_Y looks at the wrong domain",
    ),
    "D_X on all of B": (
        lambda d_x, d_y, x, y, g_x, f_y: (lsgan(d_x, y, g_x), lsgan(d_y, y, g_x)),
        "D_X looks at the wrong domain",
    ),
    "exchanged": (
        lambda d_x, d_y, x, y, g_x, f_y: (lsgan(d_y, y, g_x), lsgan(d_x, x, f_y)),
        "exchanged",
    ),
    "labels": (both(lambda d, r, f: discriminator_loss(d(f.detach()), d(r))), "labels are swapped"),
    "no half": (both(lambda *a: 2 * lsgan(*a)), "1/2 is missing"),
    "no fakes": (both(lambda d, r, f: (d(r) - 1).square().mean() / 2), "never sees a translation"),
    "no real": (both(lambda d, r, f: d(f.detach()).square().mean() / 2), "never sees a real"),
    "absolute": (
        both(lambda d, r, f: (d(r) - 1).abs().mean() / 2 + d(f.detach()).abs().mean() / 2),
        "not squared",
    ),
    "entropy": (both(entropy), "cross entropy"),
    "attached": (both(lambda d, r, f: discriminator_loss(d(r), d(f))), "detach the translations"),
    "one": (lambda d_x, d_y, x, y, g_x, f_y: lsgan(d_x, x, f_y), "Return two losses"),
    "other": (both(lambda *a: 3 * lsgan(*a)), "loss is not 1/2"),
}


def test_the_right_discriminators_pass():
    assert check_discriminator_losses(both(lsgan)).attempted


@cases(WRONG_DISCRIMINATORS)
def test_wrong_discriminators_are_told_their_mistake(case):
    refused(check_discriminator_losses, *case)


# The pool


def exchange(pool, new, size, rng):
    if len(pool) < size:
        pool.append(new)
        return new
    if torch.rand((), generator=rng) < 0.5:
        return new
    place = int(torch.randint(size, (), generator=rng))
    old, pool[place] = pool[place], new
    return old


def by_the_library(pool, new, size, rng):
    kept = ImagePool(size)
    kept.images = torch.stack(pool)[:, None, None] if pool else torch.empty(0)
    out = kept.exchange(new[None, None, None], rng)[0, 0, 0]
    pool[:] = list(kept.images[:, 0, 0])
    return out


def newest(pool, new, size, rng):
    if len(pool) < size:
        pool.append(new)
    else:
        pool[int(torch.randint(size, (), generator=rng))] = new
    return new


def never_newest(pool, new, size, rng):
    if len(pool) < size:
        pool.append(new)
        return new
    place = int(torch.randint(size, (), generator=rng))
    old, pool[place] = pool[place], new
    return old


def first_in_first_out(pool, new, size, rng):
    if len(pool) < size:
        pool.append(new)
        return new
    if torch.rand((), generator=rng) < 0.5:
        return new
    pool.append(new)
    return pool.pop(0)


def last_place(pool, new, size, rng):
    if len(pool) < size or torch.rand((), generator=rng) < 0.5:
        return exchange(pool, new, size, rng) if len(pool) < size else new
    old, pool[-1] = pool[-1], new
    return old


def forgets_to_store(pool, new, size, rng):
    if len(pool) < size:
        pool.append(new)
        return new
    if torch.rand((), generator=rng) < 0.5:
        return new
    return pool[int(torch.randint(size, (), generator=rng))]


def grows(pool, new, size, rng):
    pool.append(new)
    return pool[int(torch.randint(len(pool), (), generator=rng))] if len(pool) > size else new


def rarely(pool, new, size, rng):
    if len(pool) >= size and torch.rand((), generator=rng) < 0.8:
        return new
    return exchange(pool, new, size, rng)


WRONG_POOLS = {
    "newest": (newest, "twice|always returns the newest"),
    "newest, nothing kept": (
        lambda pool, new, size, g: pool.append(new) or new if len(pool) < size else new,
        "always returns the newest image",
    ),
    "never newest": (never_newest, "never returns the newest"),
    "last place": (last_place, "oldest images stay"),
    "not stored": (forgets_to_store, "must leave the pool"),
    "grows": (grows, "holds 21 images"),
    "never fills": (lambda pool, new, size, rng: new, "every image that goes in is kept"),
    "rarely": (rarely, "comes out in"),
    "no image": (lambda pool, new, size, rng: pool, "Return one image"),
}


@cases({"list": exchange, "library": by_the_library, "oldest first": first_in_first_out})
def test_right_pools_pass(case):
    assert check_exchange(case).attempted


@cases(WRONG_POOLS)
def test_wrong_pools_are_told_their_mistake(case):
    refused(check_exchange, *case)


# The generators' turn


def total(g, f, d_x, d_y, x, y, weights=(3.0, 2.0)):
    adversarial = adversarial_loss(d_y(g(x))) + adversarial_loss(d_x(f(y)))
    return adversarial + weights[0] * cycle(g, f, x, y) + weights[1] * identity(g, f, x, y)


def of(optimiser):
    return [p for group in optimiser.param_groups for p in group["params"]]


def turn(loss=total, step=True, zero=True, inputs=True):
    def play(g, f, d_x, d_y, optimiser, x, y, lambda_cycle, lambda_identity):
        value = loss(g, f, d_x, d_y, x, y)
        if zero:
            optimiser.zero_grad()
        value.backward(inputs=of(optimiser) if inputs else None)
        if step:
            optimiser.step()
        return value

    return play


def frozen(g, f, d_x, d_y, optimiser, x, y, lambda_cycle, lambda_identity):
    """Right, as in the paper's own program: it switches off the discriminators' gradients."""
    for p in [*d_x.parameters(), *d_y.parameters()]:
        p.requires_grad_(False)
    return turn(inputs=False)(g, f, d_x, d_y, optimiser, x, y, lambda_cycle, lambda_identity)


def trains_discriminators(g, f, d_x, d_y, optimiser, x, y, lambda_cycle, lambda_identity):
    everything = [p for net in (g, f, d_x, d_y) for p in net.parameters()]
    of_all = torch.optim.SGD(everything, lr=0.01)
    return turn()(g, f, d_x, d_y, of_all, x, y, lambda_cycle, lambda_identity)


def detached(g, f, d_x, d_y, x, y):
    judged = adversarial_loss(d_y(g(x).detach())) + adversarial_loss(d_x(f(y).detach()))
    return judged + 3 * cycle(g, f, x, y) + 2 * identity(g, f, x, y)


WRONG_TURNS = {
    "discriminators trained": (trains_discriminators, "discriminators were trained"),
    "gradients left": (turn(inputs=False), "left gradients in the discriminators"),
    "exchanged": (
        turn(
            lambda g, f, d_x, d_y, x, y: total(g, f, d_y, d_x, x, y),
        ),
        "exchanged",
    ),
    "caught": (
        turn(
            lambda g, f, d_x, d_y, x, y: (
                total(g, f, d_x, d_y, x, y)
                - adversarial_loss(d_y(g(x)))
                - adversarial_loss(d_x(f(y)))
                + d_y(g(x)).square().mean()
                + d_x(f(y)).square().mean()
            )
        ),
        "not D's side",
    ),
    "no identity": (turn(lambda *a: total(*a, (3.0, 0.0))), "identity loss is missing"),
    "no cycle": (turn(lambda *a: total(*a, (0.0, 2.0))), "cycle loss is missing"),
    "no game": (
        turn(lambda g, f, d_x, d_y, x, y: 3 * cycle(g, f, x, y) + 2 * identity(g, f, x, y)),
        "adversarial loss is missing",
    ),
    "weights exchanged": (turn(lambda *a: total(*a, (2.0, 3.0))), "weights of cycle and identity"),
    "no weights": (turn(lambda *a: total(*a, (1.0, 1.0))), "not used"),
    "no step": (turn(step=False), "did not move"),
    "not zeroed": (turn(zero=False), "Old gradients"),
    "detached": (turn(detached), "is something detached"),
    "uphill": (
        lambda *a: -turn(lambda *b: -total(*b))(*a),
        "goes uphill",
    ),
}


@cases({"inputs": turn(), "frozen": frozen})
def test_right_turns_pass(case):
    assert check_generators_turn(case).attempted


@cases(WRONG_TURNS)
def test_wrong_turns_are_told_their_mistake(case):
    refused(check_generators_turn, *case)


@pytest.mark.parametrize(
    "check",
    [
        check_cycle_loss,
        check_identity_loss,
        check_discriminator_losses,
        check_exchange,
        check_generators_turn,
        check_near_start,
    ],
)
def test_a_stub_is_not_attempted(check):
    def stub(*_):
        raise NotImplementedError("stub")

    assert not check(stub).attempted


# The experiment on numbers


class Near(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = toy.network()
        nn.init.zeros_(self.body[-1].weight)
        nn.init.zeros_(self.body[-1].bias)

    def forward(self, v):
        return v + self.body(v)


class Straight(nn.Module):
    """The exact map sign * x + offset, with one weight to train."""

    def __init__(self, sign, offset):
        super().__init__()
        self.sign, self.offset = sign, nn.Parameter(torch.tensor(float(offset)))

    def forward(self, v):
        return self.sign * v + self.offset


def test_the_shift_from_the_identity_passes():
    result = check_near_start(lambda seed: toy.train(seed, Near, weight=0.3))
    assert "three shifts" in str(result)


WRONG_STARTS = {
    "one network": (lambda seed: Near(), "two things"),
    "formulas": (lambda seed: (lambda v: v + 2, lambda v: v - 2), "not formulas"),
    "stays": (lambda seed: (Near(), Near()), "lower its weight"),
    "no way back": (lambda seed: (Straight(1, 2), Straight(1, 0)), "does not undo"),
    "mirror": (lambda seed: (Straight(-1, 2), Straight(-1, 2)), "mirror"),
    "one seed": (lambda seed: (Straight(1, 2), Straight(1, -2)), "pass the seed"),
}


@cases(WRONG_STARTS)
def test_a_wrong_experiment_is_named(case):
    answer, words = case
    refused(check_near_start, answer, words)
