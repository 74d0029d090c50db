"""Chapter 04's checks: right answers in any style pass, each classic mistake is named."""

import pytest
import torch
from torch.nn import functional as F

from gen_course.ch04_gan.checks import (
    check_covered_modes,
    check_discriminator_step,
    check_losses,
    check_sharp_modes,
    check_squared_slope,
    check_value,
)
from gen_course.common.checks import Misconception
from gen_lib.data.toys import EIGHT_GAUSSIANS
from gen_lib.models.gan import LOSSES, squared_slope, value


def refused(check, answer, words):
    with pytest.raises(Misconception, match=words):
        check(answer)


# The value

RIGHT_VALUES = {
    "softplus": value,
    "logsigmoid": lambda real, fake: F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean(),
    "minus D's loss": lambda real, fake: -LOSSES["saturating"].discriminator(real, fake),
}
WRONG_VALUES = {
    "sign": (lambda r, f: -value(r, f), "sign is wrong"),
    "labels": (lambda r, f: value(f, r), "labels are swapped"),
    "half": (lambda r, f: value(r, f) / 2, "adds two expectations"),
    "sum": (lambda r, f: len(r) * value(r, f), "summed over the batch"),
    "none": (lambda r, f: -F.softplus(-r) - F.softplus(f), "wrong axis"),
    "other axis": (lambda r, f: -torch.stack([F.softplus(-r), F.softplus(f)]).sum(0), "wrong axis"),
    "probabilities": (
        lambda r, f: torch.log(r.sigmoid()).mean() + torch.log(1 - f.sigmoid()).mean(),
        "not finite",
    ),
}


@pytest.mark.parametrize("answer", RIGHT_VALUES.values(), ids=RIGHT_VALUES)
def test_right_values_pass(answer):
    assert check_value(answer).attempted


@pytest.mark.parametrize(("answer", "words"), WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_wrong_values_are_told_their_mistake(answer, words):
    refused(check_value, answer, words)


# Both losses


def d_loss(real, fake):
    return -value(real, fake)


def g_loss(real, fake):
    return F.softplus(-fake).mean()


def both(d=d_loss, g=g_loss):
    return lambda real, fake: (d(real, fake), g(real, fake))


def cross_entropy(f, label):
    return F.binary_cross_entropy_with_logits(f, torch.full_like(f, label))


RIGHT_LOSSES = {
    "softplus": both(),
    "library": both(*LOSSES["non-saturating"]),
    "labels": both(
        lambda r, f: cross_entropy(r, 1.0) + cross_entropy(f, 0.0),
        lambda r, f: cross_entropy(f, 1.0),
    ),
    "mean of both halves": both(lambda r, f: -value(r, f) / 2),
    "D's detached": both(lambda r, f: -value(r, f.detach())),
}
WRONG_LOSSES = {
    "saturating": (both(g=LOSSES["saturating"].generator), "saturating loss"),
    "saturating, by labels": (both(g=lambda r, f: -cross_entropy(f, 0.0)), "saturating loss"),
    "D's labels": (both(lambda r, f: -value(f, r)), "D's labels are swapped"),
    "D's sign": (both(value), "D's sign"),
    "D's labels and sign": (both(lambda r, f: value(f, r)), "labels are swapped, and its sign"),
    "no fakes": (both(lambda r, f: F.softplus(-r).mean()), "never looks at the fakes"),
    "no real ones": (both(lambda r, f: F.softplus(f).mean()), "never looks at real images"),
    "D's sum": (both(lambda r, f: -len(r) * value(r, f)), "D's loss is summed"),
    "D's axis": (both(lambda r, f: F.softplus(-r) + F.softplus(f)), "wrong axis"),
    "G's axis": (both(g=lambda r, f: F.softplus(-f[:, None]).mean(1)), "wrong axis"),
    "G caught": (both(g=lambda r, f: F.softplus(f).mean()), "trained to be caught"),
    "G's sign": (both(g=lambda r, f: -F.softplus(-f).mean()), "G's sign"),
    "G sees real": (both(g=lambda r, f: F.softplus(-r).mean()), "looks at real images"),
    "G's sum": (both(g=lambda r, f: F.softplus(-f).sum()), "G's loss is summed"),
    "G's half": (both(g=lambda r, f: F.softplus(-f).mean() / 2), "halved"),
    "G detached": (both(g=lambda r, f: F.softplus(-f.detach()).mean()), "detach only for D"),
    "one loss": (d_loss, "Return two losses"),
    "probabilities": (
        both(g=lambda r, f: -torch.log(f.sigmoid()).mean()),
        "not finite",
    ),
}


@pytest.mark.parametrize("answer", RIGHT_LOSSES.values(), ids=RIGHT_LOSSES)
def test_right_losses_pass(answer):
    assert check_losses(answer).attempted


@pytest.mark.parametrize(("answer", "words"), WRONG_LOSSES.values(), ids=WRONG_LOSSES)
def test_wrong_losses_are_told_their_mistake(answer, words):
    refused(check_losses, answer, words)


# One turn of D


def step(
    *,
    detach=True,
    mode=True,
    zero=True,
    loss=lambda real, fake: -value(real, fake),
    move=True,
    together=False,
    gives=lambda loss: loss,
    after=lambda generator, fakes: None,
):
    """Build a turn of D; with the default arguments it is right."""

    def turn(g, d, optimiser, x, z):
        g.train()
        d.train(mode)
        fakes = g(z).detach() if detach else g(z)
        if together:
            real, fake = d(torch.cat([x, fakes]))[:, 0].chunk(2)
        else:
            real, fake = d(x)[:, 0], d(fakes)[:, 0]
        found = loss(real, fake)
        if zero:
            optimiser.zero_grad()
        found.backward()
        if move:
            optimiser.step()
        after(g, fakes)
        return gives(found)

    return turn


def without_gradients(g, d, optimiser, x, z):
    d.train()
    with torch.no_grad():
        fakes = g(z)
    loss = -value(d(x)[:, 0], d(fakes)[:, 0])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def generator_too(g, fakes):
    with torch.no_grad():
        for p in g.parameters():
            p += 0.01


RIGHT_STEPS = {
    "detached": step(),
    "one call": step(together=True),
    "no_grad, a float": without_gradients,
    "detached loss": step(gives=lambda loss: loss.detach()),
}
WRONG_STEPS = {
    "no detach": (step(detach=False), "detach its fakes"),
    "G updated": (step(after=generator_too), "generator was updated"),
    "eval mode": (step(mode=False), "wrong mode"),
    "labels": (step(loss=lambda r, f: -value(f, r)), "labels are swapped"),
    "sign": (step(loss=value), "wrong way"),
    "old gradients": (step(zero=False), "zero_grad"),
    "not moved": (step(move=False), "did not move"),
    "sum": (step(loss=lambda r, f: -len(r) * value(r, f)), "summed over the batch"),
    "nothing returned": (step(gives=lambda loss: None), "must be one number"),
    "V returned": (step(gives=lambda loss: -loss), "Return the loss"),
    "another loss": (step(loss=LOSSES["relativistic"].discriminator), "gradient of -V"),
}


@pytest.mark.parametrize("answer", RIGHT_STEPS.values(), ids=RIGHT_STEPS)
def test_right_steps_pass(answer):
    assert check_discriminator_step(answer).attempted


@pytest.mark.parametrize(("answer", "words"), WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_wrong_steps_are_told_their_mistake(answer, words):
    refused(check_discriminator_step, answer, words)


def test_a_step_that_never_looks_at_one_half_is_told():
    def blind(which):
        def turn(g, d, optimiser, x, z):
            d.train()
            loss = F.softplus(-d(x if which == "real" else g(z).detach())).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return loss

        return turn

    refused(check_discriminator_step, blind("real"), "never saw the fakes")
    refused(check_discriminator_step, blind("fake"), "never saw the real images")


# Modes


def counting(reach=lambda sigma: 3 * sigma, share=0.01, near_only=False, norm=2.0, strict=False):
    def count(x, means, sigma):
        distance = torch.cdist(x, means, p=norm)
        inside = (distance <= reach(sigma)) & (distance == distance.amin(1, keepdim=True))
        total = inside.sum() if near_only else len(x)
        shares = inside.sum(dim=0) / total
        return int((shares > share).sum() if strict else (shares >= share).sum())

    return count


WRONG_COUNTS = {
    "any sample": (counting(share=1e-9), "One too many"),
    "of those near": (counting(near_only=True), "One too many"),
    "per coordinate": (counting(norm=float("inf")), "One too many"),
    "variance": (counting(reach=lambda s: 3 * s**2), "One too few"),
    "everywhere": (counting(reach=lambda s: 99.0, share=0.0), "Every mode"),
    "one sigma": (counting(reach=lambda s: s), "One too few"),
    "all near any distance": (counting(reach=lambda s: 99.0), "Far too many"),
    "strict": (counting(strict=True), "use >="),
}


def test_right_counts_pass():
    assert check_covered_modes(counting()).attempted
    assert check_covered_modes(lambda *a: torch.tensor(counting()(*a))).attempted


@pytest.mark.parametrize(("answer", "words"), WRONG_COUNTS.values(), ids=WRONG_COUNTS)
def test_wrong_counts_are_told_their_mistake(answer, words):
    refused(check_covered_modes, answer, words)


# R1


def slope(finish, create_graph=True, start=lambda f: f.sum()):
    def penalty(d, x):
        x = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(start(d(x)), x, create_graph=create_graph)
        return finish(gradient.flatten(1))

    return penalty


def right(gradient):
    return gradient.square().sum(dim=1).mean()


def by_library(d, x):
    x = x.requires_grad_()
    return squared_slope(d(x)[:, 0], x)


WRONG_SLOPES = {
    "wrong axis": (slope(lambda g: g.square().mean()), "wrong axis"),
    "per image": (slope(lambda g: g.square().sum(1)), "wrong axis"),
    "sum": (slope(lambda g: g.square().sum()), "summed over the batch"),
    "not squared": (slope(lambda g: g.norm(dim=1).mean()), "not squared"),
    "pulled to 1": (slope(lambda g: (g.norm(dim=1) - 1).square().mean()), "pulls the slope to 1"),
    "mean of f": (slope(right, start=lambda f: f.mean()), "differentiate f.sum"),
    "half": (slope(lambda g: right(g) / 2), "penalty / 2"),
    "root": (slope(lambda g: right(g).sqrt()), "root of the mean square"),
    "no graph": (slope(right, create_graph=False), "create_graph"),
}


def test_right_slopes_pass():
    assert check_squared_slope(slope(right)).attempted
    assert check_squared_slope(by_library).attempted


@pytest.mark.parametrize(("answer", "words"), WRONG_SLOPES.values(), ids=WRONG_SLOPES)
def test_wrong_slopes_are_told_their_mistake(answer, words):
    refused(check_squared_slope, answer, words)


# The experiment in the plane


def on_modes(number=8, spread=0.03, shift=0.0):
    """A generator that puts each latent vector near one of the first modes, by its angle."""

    def generator(z):
        angle = torch.atan2(z[:, 1], z[:, 0]) / (2 * torch.pi) % 1
        mode = (angle * number).long().clamp(max=number - 1)
        return EIGHT_GAUSSIANS.means[mode] + spread * z + shift

    return generator


WRONG_GENERATORS = {
    "samples": (lambda data: data.sample(10_000), "Return the generator G itself"),
    "shape": (lambda data: lambda z: z[:, :, None, None], "of shape"),
    "random": (lambda data: lambda z: data.sample(len(z)), "the same points"),
    "diverged": (lambda data: lambda z: z * float("inf"), "diverged"),
    "collapsed": (lambda data: on_modes(1), "1 of 8 modes covered.*Modes are missing"),
    "one is missing": (lambda data: on_modes(7), "7 of 8 modes covered.*Modes are missing"),
    "between": (lambda data: on_modes(spread=0.1), "too many samples lie between"),
}


@pytest.mark.parametrize(("train", "words"), WRONG_GENERATORS.values(), ids=WRONG_GENERATORS)
def test_wrong_generators_are_told_their_mistake(train, words):
    refused(check_sharp_modes, train, words)


def test_a_generator_on_all_modes_passes():
    verdict = check_sharp_modes(lambda data: on_modes())
    assert verdict.attempted
    assert "8 of 8" in verdict.message
