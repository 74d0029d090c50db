"""Chapter 06's checks: right answers in any style pass, each classic mistake is named."""

import math

import pytest
import torch

from gen_course.ch06_diffusion.checks import (
    check_alpha_bar,
    check_ancestral_step,
    check_ddim_step,
    check_guided,
    check_loss,
    check_noised,
    check_times,
)
from gen_course.common.checks import Misconception
from gen_lib.models.diffusion import solve
from gen_lib.samplers import DDIM, Ancestral, Estimate, State, guided

ONE = torch.ones(1, dtype=torch.float64)


def stub(*_):
    raise NotImplementedError("stub")


@pytest.mark.parametrize(
    "check",
    [
        check_alpha_bar,
        check_noised,
        check_ancestral_step,
        check_ddim_step,
        check_loss,
        check_guided,
        check_times,
    ],
)
def test_a_stub_is_not_attempted(check):
    assert not check(stub).attempted


# alpha_bar


def running_product(beta):
    found = [1.0]
    for b in beta.tolist():
        found.append(found[-1] * (1 - b))
    return torch.tensor(found)


RIGHT_BARS = {
    "cumprod": lambda beta: torch.cat([ONE, 1 - beta]).cumprod(0),
    "a loop": running_product,
    "exp of a sum of logs": lambda beta: torch.cat([0 * ONE, torch.log1p(-beta)]).cumsum(0).exp(),
}
WRONG_BARS = {
    "no alpha_bar_0": (lambda beta: (1 - beta).cumprod(0), "off by one: it begins"),
    "late": (
        lambda beta: torch.cat([ONE, ONE, (1 - beta).cumprod(0)[:-1]]),
        "off by one: alpha_bar_1",
    ),
    "later": (lambda beta: torch.cat([ONE, ONE, (1 - beta).cumprod(0)]), "off by one: alpha_bar_1"),
    "alpha": (lambda beta: torch.cat([ONE, 1 - beta]), "multiply all of them"),
    "alpha, short": (lambda beta: 1 - beta, "multiply all of them"),
    "product of betas": (lambda beta: torch.cat([ONE, beta.cumprod(0)]), "beta and alpha"),
    "sum of alphas": (lambda beta: torch.cat([ONE, (1 - beta).cumsum(0)]), "is a product"),
    "sum of betas": (lambda beta: torch.cat([ONE, 1 - beta.cumsum(0)]), "added up"),
    "root": (lambda beta: torch.cat([ONE, 1 - beta]).cumprod(0).sqrt(), "the root of"),
    "variance": (lambda beta: 1 - torch.cat([ONE, 1 - beta]).cumprod(0), "variance of the noise"),
    "one number": (lambda beta: (1 - beta).prod(), "must be a tensor of shape"),
    "zeros": (lambda beta: torch.zeros(len(beta) + 1), "Not alpha_bar_t"),
}


@pytest.mark.parametrize("function", RIGHT_BARS.values(), ids=RIGHT_BARS)
def test_right_alpha_bars_pass(function):
    assert check_alpha_bar(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_BARS.values(), ids=WRONG_BARS)
def test_wrong_alpha_bars_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_alpha_bar(function)


# The closed form


def column(numbers):
    return numbers.float().reshape(-1, 1, 1, 1)


def noised(signal, sigma):
    """Build a student's function with these two scales, each a function of (table, t)."""
    return lambda x, t, eps, table: column(signal(table, t)) * x + column(sigma(table, t)) * eps


def bar(table, t):
    return table.alpha_bar[t]


def root_bar(table, t):
    return bar(table, t).sqrt()


def root_rest(table, t):
    return (1 - bar(table, t)).sqrt()


RIGHT_NOISED = {
    "the formula": noised(root_bar, root_rest),
    "one by one": lambda x, t, eps, table: torch.stack(
        [
            math.sqrt(table.alpha_bar[k]) * a + math.sqrt(1 - table.alpha_bar[k]) * e
            for a, k, e in zip(x, t, eps, strict=True)
        ]
    ),
    "the library": lambda x, t, eps, table: table.noised(x, t.double(), eps),
}
WRONG_NOISED = {
    "off by one": (
        noised(lambda table, t: root_bar(table, t - 1), lambda table, t: root_rest(table, t - 1)),
        "off by one",
    ),
    "off by one, later": (
        noised(
            lambda table, t: root_bar(table, (t + 1).clamp(max=20)),
            lambda table, t: root_rest(table, (t + 1).clamp(max=20)),
        ),
        "off by one",
    ),
    "no roots": (noised(bar, lambda table, t: 1 - bar(table, t)), "square roots are left out"),
    "no root of the noise": (
        noised(root_bar, lambda table, t: 1 - bar(table, t)),
        "left out: the noise",
    ),
    "no root of the signal": (noised(bar, root_rest), "left out: the image"),
    "1 - root": (noised(root_bar, lambda table, t: 1 - root_bar(table, t)), "is not 1 - sqrt"),
    "exchanged": (noised(root_rest, root_bar), "exchanged"),
    "one step": (
        noised(lambda table, t: table.alpha[t].sqrt(), lambda table, t: table.beta[t].sqrt()),
        "one step, with alpha_t",
    ),
    "beta for alpha": (
        noised(lambda table, t: table.beta[t].sqrt(), lambda table, t: table.alpha[t].sqrt()),
        "beta and alpha are confused",
    ),
    "noise of one step": (
        noised(root_bar, lambda table, t: table.beta[t].sqrt()),
        "the noise of one step",
    ),
    "one time": (
        lambda x, t, eps, table: noised(root_bar, root_rest)(x, t[:1], eps, table),
        "One time is used for all",
    ),
    "a sum": (lambda x, t, eps, table: x + eps, "Not sqrt"),
    "pixels": (lambda x, t, eps, table: (x + eps)[:, 0], "must be a tensor of shape"),
}


@pytest.mark.parametrize("function", RIGHT_NOISED.values(), ids=RIGHT_NOISED)
def test_right_noise_passes(function):
    assert check_noised(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_NOISED.values(), ids=WRONG_NOISED)
def test_wrong_noise_is_told_its_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_noised(function)


# The ancestral step


def numbers(table, t):
    """alpha_t, beta_t, alpha_bar_t, alpha_bar_{t-1}."""
    tables = ((table.alpha, t), (table.beta, t), (table.alpha_bar, t), (table.alpha_bar, t - 1))
    return [values[k].item() for values, k in tables]


def variance(table, t):
    _, beta, now, before = numbers(table, t)
    return (1 - before) / (1 - now) * beta


def ho(x_t, eps, t, table, z, std=lambda table, t: variance(table, t) ** 0.5):
    alpha, beta, now, _ = numbers(table, t)
    noise = std(table, t) * z if t > 1 else 0
    return (x_t - beta / (1 - now) ** 0.5 * eps) / alpha**0.5 + noise


def two_terms(x_t, eps, t, table, z):
    alpha, beta, now, before = numbers(table, t)
    x_0 = (x_t - (1 - now) ** 0.5 * eps) / now**0.5
    mean = before**0.5 * beta / (1 - now) * x_0 + alpha**0.5 * (1 - before) / (1 - now) * x_t
    return mean + variance(table, t) ** 0.5 * z


def ours(x_t, eps, t, table, z, sampler=Ancestral, s=None):
    t, s = torch.tensor(float(t)).double(), torch.tensor(float(t - 1 if s is None else s)).double()
    estimate = solve("eps", eps, x_t, table.signal(t), table.sigma(t))
    return sampler(table).step(State(t, x_t, estimate, 1), s, z, lambda x, t: estimate)


def with_mean(mean):
    return lambda x_t, eps, t, table, z: (
        mean(x_t, eps, *numbers(table, t)) + (variance(table, t) ** 0.5 * z if t > 1 else 0)
    )


def with_std(std):
    return lambda x_t, eps, t, table, z: ho(x_t, eps, t, table, z, std)


RIGHT_STEPS = {"ho et al.": ho, "two terms": two_terms, "the library": ours}
WRONG_STEPS = {
    "noise at the last step": (
        lambda x_t, eps, t, table, z: (
            ho(x_t, eps, t, table, 0 * z) + max(variance(table, t), 0.01) ** 0.5 * z
        ),
        "last step",
    ),
    "x_0": (with_mean(lambda x, e, a, b, n, p: (x - (1 - n) ** 0.5 * e) / n**0.5), "all the way"),
    "off by one": (
        with_mean(lambda x, e, a, b, n, p: (x - b / max(1 - p, 1e-9) ** 0.5 * e) / a**0.5),
        "off by one",
    ),
    "no root below": (
        with_mean(lambda x, e, a, b, n, p: (x - b / (1 - n) * e) / a**0.5),
        "square root is left out: sqrt",
    ),
    "no root of alpha": (
        with_mean(lambda x, e, a, b, n, p: (x - b / (1 - n) ** 0.5 * e) / a),
        "square root is left out: divide",
    ),
    "alpha and beta": (
        with_mean(lambda x, e, a, b, n, p: (x - a / (1 - n) ** 0.5 * e) / b**0.5),
        "beta and alpha are confused: alpha_t",
    ),
    "alpha of the noise": (
        with_mean(lambda x, e, a, b, n, p: (x - a / (1 - n) ** 0.5 * e) / a**0.5),
        "the noise is times beta_t",
    ),
    "root of beta": (
        with_mean(lambda x, e, a, b, n, p: (x - b / (1 - n) ** 0.5 * e) / b**0.5),
        "divide by sqrt\\(alpha_t\\)",
    ),
    "alpha_bar": (
        with_mean(lambda x, e, a, b, n, p: (x - b / (1 - n) ** 0.5 * e) / n**0.5),
        "not by sqrt\\(alpha_bar_t\\)",
    ),
    "all of the noise": (
        with_mean(lambda x, e, a, b, n, p: (x - (1 - n) ** 0.5 * e) / a**0.5),
        "All of the noise",
    ),
    "sign": (
        with_mean(lambda x, e, a, b, n, p: (x + b / (1 - n) ** 0.5 * e) / a**0.5),
        "noise is added",
    ),
    "no division": (
        with_mean(lambda x, e, a, b, n, p: x - b / (1 - n) ** 0.5 * e),
        "does not divide",
    ),
    "another mean": (with_mean(lambda x, e, a, b, n, p: x - e), "Not the posterior's mean"),
    "no noise": (with_std(lambda table, t: 0.0), "No noise is added"),
    "the variance": (with_std(variance), "its root is left out"),
    "a step forward": (with_std(lambda table, t: numbers(table, t)[1] ** 0.5), "a step forward"),
    "a step forward, squared": (with_std(lambda table, t: numbers(table, t)[1]), "a step forward"),
    "upside down": (
        with_std(lambda table, t: numbers(table, t)[1] / variance(table, t) ** 0.5),
        "upside down",
    ),
    "of x_{t-1}": (
        with_std(lambda table, t: (1 - numbers(table, t)[3]) ** 0.5),
        "given x_0|x_0\\)",
    ),
    "of x_t": (with_std(lambda table, t: (1 - numbers(table, t)[2]) ** 0.5), "q\\(x_t \\| x_0\\)"),
    "unscaled": (with_std(lambda table, t: 1.0), "not scaled"),
    "another noise": (with_std(lambda table, t: 0.5), "wrong posterior variance: it is"),
    "flat": (lambda x_t, eps, t, table, z: ho(x_t, eps, t, table, z).flatten(), "tensor of shape"),
}


@pytest.mark.parametrize("function", RIGHT_STEPS.values(), ids=RIGHT_STEPS)
def test_right_ancestral_steps_pass(function):
    assert check_ancestral_step(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_wrong_ancestral_steps_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_ancestral_step(function)


# The DDIM step


def x_0_of(x_t, eps, t, table):
    now = table.alpha_bar[t].item()
    return (x_t - (1 - now) ** 0.5 * eps) / now**0.5


def jump(x_t, eps, t, s, table):
    then = table.alpha_bar[s].item()
    return then**0.5 * x_0_of(x_t, eps, t, table) + (1 - then) ** 0.5 * eps


def jump_from(image):
    """Build a student's step that adds noise to the image which ``image`` computes."""

    def step(x_t, eps, t, s, table):
        then = table.alpha_bar[s].item()
        return then**0.5 * image(x_t, eps, table.alpha_bar[t].item()) + (1 - then) ** 0.5 * eps

    return step


def jump_scaled(scales):
    return lambda x_t, eps, t, s, table: (
        scales(table.alpha_bar[s].item())[0] * x_0_of(x_t, eps, t, table)
        + scales(table.alpha_bar[s].item())[1] * eps
    )


RIGHT_JUMPS = {
    "the formula": jump,
    "the library": lambda x, e, t, s, table: ours(x, e, t, table, torch.zeros_like(x), DDIM, s),
}
WRONG_JUMPS = {
    "x_0": (lambda x, e, t, s, table: x_0_of(x, e, t, table), "This is x_0"),
    "nothing": (lambda x, e, t, s, table: jump(x, e, t, t, table), "Nothing moved"),
    "one step": (lambda x, e, t, s, table: jump(x, e, t, t - 1, table), "which may be far"),
    "early": (lambda x, e, t, s, table: jump(x, e, t, max(s - 1, 0), table), "off by one"),
    "late": (lambda x, e, t, s, table: jump(x, e, t, s + 1, table), "off by one"),
    "no roots at s": (jump_scaled(lambda then: (then, 1 - then)), "on the way to s"),
    "no roots at t": (jump_from(lambda x, e, now: (x - (1 - now) * e) / now), "x_0 is computed"),
    "no division": (jump_from(lambda x, e, now: x - (1 - now) ** 0.5 * e), "lacks its division"),
    "x_t": (jump_from(lambda x, e, now: x), "x_t stands where"),
    "no noise": (jump_scaled(lambda then: (then**0.5, 0.0)), "noise of s is missing"),
    "another": (jump_scaled(lambda then: (1.0, 1.0)), "Not sqrt"),
    "s = 0": (
        lambda x, e, t, s, table: jump(x, e, t, max(s, 1), table),
        "At s = 0",
    ),
    "flat": (lambda x, e, t, s, table: jump(x, e, t, s, table).flatten(), "tensor of shape"),
}


@pytest.mark.parametrize("function", RIGHT_JUMPS.values(), ids=RIGHT_JUMPS)
def test_right_ddim_steps_pass(function):
    assert check_ddim_step(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_JUMPS.values(), ids=WRONG_JUMPS)
def test_wrong_ddim_steps_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_ddim_step(function)


# The loss


def learner(
    draw=lambda n, last, rng: torch.randint(1, last + 1, (n,), generator=rng),
    told=lambda t: t,
    shift=0,
    noise=lambda x, rng: torch.randn(x.shape, generator=rng),
    hide=lambda labels, rng: torch.where(torch.rand(labels.shape, generator=rng) < 0.1, 10, labels),
    aim=lambda x_0, x_t, eps: eps,
    reduce=lambda error: error.square().mean(),
):
    """Build a student's loss; with the default arguments it is right."""

    def loss(network, x_0, labels, table, rng):
        t = draw(len(x_0), table.last, rng)
        eps = noise(x_0, rng)
        x_t = table.noised(x_0, (t + shift).clamp(0, table.last).double(), eps)
        y = network(x_t, told(t), hide(labels, rng))
        return reduce(y - aim(x_0, x_t, eps))

    return loss


FIXED = torch.Generator


def fixed_noise(x, rng):
    return torch.randn(x.shape, generator=FIXED().manual_seed(5))


RIGHT_LOSSES = {
    "a loss": learner(),
    "times as fractions": learner(told=lambda t: t.float()),
    "torch": learner(reduce=lambda e: torch.nn.functional.mse_loss(e, torch.zeros_like(e))),
}
WRONG_LOSSES = {
    "time not passed": (learner(told=lambda t: 0 * t), "time is not passed on"),
    "one time": (
        learner(
            draw=lambda n, last, rng: torch.randint(1, last + 1, (1,), generator=rng).expand(n)
        ),
        "one for all images",
    ),
    "a scalar": (learner(told=lambda t: t[0]), "one for all images"),
    "a share": (learner(told=lambda t: t / 10), "t itself"),
    "from 0": (
        learner(draw=lambda n, last, rng: torch.randint(0, last + 1, (n,), generator=rng)),
        "t = 0 is drawn",
    ),
    "not to T": (
        learner(draw=lambda n, last, rng: torch.randint(1, last, (n,), generator=rng)),
        "never drawn",
    ),
    "alpha_bar off by one": (learner(shift=-1), "not what its t says"),
    "another time": (learner(told=lambda t: t.flip(0)), "not what its t says"),
    "uniform noise": (learner(noise=lambda x, rng: torch.rand(x.shape, generator=rng)), "not what"),
    "shared noise": (
        learner(noise=lambda x, rng: torch.randn(x.shape[1:], generator=rng).expand(x.shape)),
        "not what its t says|same noise",
    ),
    "no dropout": (learner(hide=lambda labels, rng: labels), "Label dropout is missing"),
    "no labels": (learner(hide=lambda labels, rng: None), "All labels are hidden"),
    "too many": (
        learner(
            hide=lambda labels, rng: torch.where(
                torch.rand(labels.shape, generator=rng) < 0.5, 10, labels
            )
        ),
        "of the labels are hidden in place of 10%",
    ),
    "shuffled": (
        learner(
            hide=lambda labels, rng: torch.where(
                torch.rand(labels.shape, generator=rng) < 0.1, 10, labels.flip(0)
            )
        ),
        "mixed up",
    ),
    "summed": (learner(reduce=lambda e: e.square().sum()), "summed over images and pixels"),
    "summed over pixels": (
        learner(reduce=lambda e: e.square().flatten(1).sum(1).mean()),
        "summed over the pixels",
    ),
    "summed over images": (
        learner(reduce=lambda e: e.square().flatten(1).mean(1).sum()),
        "summed over the images",
    ),
    "x_0": (learner(aim=lambda x_0, x_t, eps: x_0), "not for x_0"),
    "x_t": (learner(aim=lambda x_0, x_t, eps: x_t), "compared with x_t"),
    "root": (learner(reduce=lambda e: e.square().mean().sqrt()), "root of the loss"),
    "absolute": (learner(reduce=lambda e: e.abs().mean()), "Not the mean of"),
    "detached": (learner(reduce=lambda e: e.detach().square().mean()), "No gradient"),
    "each image": (learner(reduce=lambda e: e.square().flatten(1).mean(1)), "one number"),
    "seedless noise": (learner(noise=lambda x, rng: torch.randn(x.shape)), "hand rng"),
    "the same noise": (learner(noise=fixed_noise), "Another seed gives the same noise"),
    "the same labels hidden": (
        learner(
            hide=lambda labels, rng: torch.where(
                torch.rand(labels.shape, generator=FIXED().manual_seed(3)) < 0.1, 10, labels
            )
        ),
        "the same choice of labels",
    ),
}


@pytest.mark.parametrize("function", RIGHT_LOSSES.values(), ids=RIGHT_LOSSES)
def test_right_losses_pass(function):
    assert check_loss(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_LOSSES.values(), ids=WRONG_LOSSES)
def test_wrong_losses_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_loss(function)


# Guidance


def mixed(with_label, without):
    """Build a student's guidance; the weights of the two estimates are functions of w."""
    return lambda net, x, t, labels, w: with_label(w) * net(x, t, labels) + without(w) * net(x, t)


def in_one_call(net, x, t, labels, w):
    nothing = torch.full_like(labels, 10)
    y = net(torch.cat([x, x]), torch.cat([t, t]), torch.cat([labels, nothing]))
    a, b = y.chunk(2)
    return a + w * (a - b)


def by_the_library(net, x, t, labels, w):
    asked, plain = (lambda x_t, s, c=c: Estimate(x_t, net(x_t, t, c)) for c in (labels, None))
    return guided(asked, plain, w)(x, t).eps


RIGHT_GUIDED = {
    "the formula": mixed(lambda w: 1 + w, lambda w: -w),
    "in one call": in_one_call,
    "the library": by_the_library,
}
WRONG_GUIDED = {
    "wrong sign": (mixed(lambda w: 1 - w, lambda w: w), "guidance weight has the wrong sign"),
    "wrong second sign": (mixed(lambda w: 1 + w, lambda w: w), "wrong sign before the second"),
    "exchanged": (mixed(lambda w: -w, lambda w: 1 + w), "exchanged"),
    "the other convention": (mixed(lambda w: w, lambda w: 1 - w), "the other convention"),
    "direction": (mixed(lambda w: w, lambda w: -w), "direction of the guidance alone"),
    "no weight": (mixed(lambda w: 1, lambda w: 0), "There is no guidance"),
    "labels twice": (
        lambda net, x, t, labels, w: (1 + w) * net(x, t, labels) - w * net(x, t, labels),
        "both calls saw the labels",
    ),
    "no labels": (lambda net, x, t, labels, w: (1 + w) * net(x, t) - w * net(x, t), "No labels"),
    "no time": (
        lambda net, x, t, labels, w: (1 + w) * net(x, 0 * t, labels) - w * net(x, t),
        "time is not passed on",
    ),
    "a time": (lambda net, x, t, labels, w: net(x, t[0], labels), "time is not passed on"),
    "another image": (lambda net, x, t, labels, w: net(0 * x, t, labels), "x_t as it is"),
    "another": (mixed(lambda w: w**2, lambda w: 1), "Not \\(1 \\+ w\\)"),
}


@pytest.mark.parametrize("function", RIGHT_GUIDED.values(), ids=RIGHT_GUIDED)
def test_right_guidance_passes(function):
    assert check_guided(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_GUIDED.values(), ids=WRONG_GUIDED)
def test_wrong_guidance_is_told_its_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_guided(function)


# falling_times

LINE = torch.linspace(1, 0, 11)
RIGHT_TIMES = {
    "a power": lambda: LINE**1.5,
    "a shift": lambda: LINE / (2 - LINE),
    "in double precision": lambda: LINE.double() ** 1.4,
}
WRONG_TIMES = {
    "a list": (LINE.tolist, "must be a tensor"),
    "ten times": (lambda: torch.linspace(1, 0, 10), "must be a tensor of shape"),
    "rising": (lambda: LINE.flip(0), "The times rise"),
    "not from noise": (lambda: 0.9 * LINE, "noise is at 1"),
    "not to the image": (lambda: LINE.clamp(min=0.05), "some noise is left"),
    "a time twice": (lambda: LINE[[0, 1, 1, 3, 4, 5, 6, 7, 8, 9, 10]], "smaller than the one"),
    "short steps at the noise": (lambda: LINE**0.5, "short steps near the noise"),
    "equal steps": (lambda: LINE, "Try another spacing"),
}


@pytest.mark.parametrize("function", RIGHT_TIMES.values(), ids=RIGHT_TIMES)
def test_right_times_pass(function):
    assert check_times(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_TIMES.values(), ids=WRONG_TIMES)
def test_wrong_times_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_times(function)
