"""Chapter 03's checks: right answers in any style pass, each classic mistake is named."""

import math

import pytest
import torch
from kinds import not_named
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from gen_course.ch03_vae import checks
from gen_course.ch03_vae.checks import (
    check_importance_weighted,
    check_kl,
    check_negative_elbo,
    check_reparameterise,
    check_small_code,
)
from gen_course.common.checks import Misconception
from gen_lib.models import BernoulliVAE
from gen_lib.models.vae import Posterior
from gen_lib.training.checkpoints import load_pretrained

# Reparameterisation


def eps(mu, rng):
    return torch.randn(mu.shape, generator=rng)


RIGHT_DRAWS = {
    "exp of half": lambda mu, v, rng: mu + (v / 2).exp() * eps(mu, rng),
    "root of exp": lambda mu, v, rng: mu + v.exp().sqrt() * eps(mu, rng),
    "addcmul": lambda mu, v, rng: torch.addcmul(mu, torch.exp(0.5 * v), eps(mu, rng)),
    "normal for eps": lambda mu, v, rng: (
        mu + (v / 2).exp() * torch.normal(0, 1, mu.shape, generator=rng)
    ),
    "the library": lambda mu, v, rng: Posterior(mu, v).draw(rng),
}
WRONG_DRAWS = {
    "mu alone": (lambda mu, v, rng: mu + 0 * v, "nothing is drawn"),
    "variance": (lambda mu, v, rng: mu + v.exp() * eps(mu, rng), "the variance"),
    "double": (lambda mu, v, rng: mu + (2 * v).exp() * eps(mu, rng), "sigma\\^4"),
    "quarter": (lambda mu, v, rng: mu + (v / 4).exp() * eps(mu, rng), "halve log_var once"),
    "log variance": (lambda mu, v, rng: mu + v * eps(mu, rng), "log sigma\\^2"),
    "log sigma": (lambda mu, v, rng: mu + v / 2 * eps(mu, rng), "log sigma"),
    "sigma unused": (lambda mu, v, rng: mu + eps(mu, rng), "sigma is not used"),
    "shared over the batch": (
        lambda mu, v, rng: mu + (v / 2).exp() * torch.randn(mu.shape[1], generator=rng),
        "shared over the batch",
    ),
    "shared over the units": (
        lambda mu, v, rng: mu + (v / 2).exp() * torch.randn(len(mu), 1, generator=rng),
        "shared over the units",
    ),
    "uniform": (
        lambda mu, v, rng: mu + (v / 2).exp() * torch.rand(mu.shape, generator=rng),
        "not rand",
    ),
    "normal": (
        lambda mu, v, rng: torch.normal(mu.detach(), (v / 2).exp().detach(), generator=rng),
        "cuts it",
    ),
    "sample": (lambda mu, v, rng: Normal(mu, (v / 2).exp()).sample(), "cuts it"),
    "mu detached": (lambda mu, v, rng: mu.detach() + (v / 2).exp() * eps(mu, rng), "through mu"),
    "sigma detached": (
        lambda mu, v, rng: mu + (v / 2).exp().detach() * eps(mu, rng),
        "through sigma",
    ),
    "no rng": (lambda mu, v, rng: mu + (v / 2).exp() * torch.randn_like(mu), "The same seed"),
    "fixed seed": (
        lambda mu, v, rng: mu + (v / 2).exp() * eps(mu, torch.Generator().manual_seed(7)),
        "Another seed",
    ),
    "one image": (lambda mu, v, rng: (mu + (v / 2).exp() * eps(mu, rng))[0], "tensor of shape"),
}


@pytest.mark.parametrize("draw", RIGHT_DRAWS.values(), ids=RIGHT_DRAWS)
def test_right_draws_pass_in_any_style(draw):
    assert check_reparameterise(draw).attempted


@pytest.mark.parametrize(("draw", "words"), WRONG_DRAWS.values(), ids=WRONG_DRAWS)
def test_wrong_draws_are_told_their_mistake(draw, words):
    with pytest.raises(Misconception, match=words):
        check_reparameterise(draw)


# The KL, as the exercise asks (from sigma) and inside an ELBO (from log sigma^2)


def kl(mu, sigma):
    return 0.5 * (mu**2 + sigma**2 - torch.log(sigma**2) - 1).sum(dim=1).mean()


RIGHT_KLS = {
    "closed form": kl,
    "log of sigma": lambda mu, s: (0.5 * (mu**2 + s**2 - 1) - s.log()).sum() / len(mu),
    "torch": lambda mu, s: kl_divergence(Normal(mu, s), Normal(0.0, 1.0)).sum(dim=1).mean(),
    "negated": lambda mu, s: -0.5 * (1 + 2 * s.log() - mu * mu - s * s).sum(dim=1).mean(),
    "units times mean": lambda mu, s: (
        mu.shape[1] * kl_divergence(Normal(mu, s), Normal(0, 1)).mean()
    ),
}
WRONG_KLS = {
    "mean over units": (lambda mu, s: kl(mu, s) / mu.shape[1], "averaged over the units"),
    "sum over the batch": (lambda mu, s: kl(mu, s) * len(mu), "summed over the batch"),
    "no half": (lambda mu, s: 2 * kl(mu, s), "1/2 of the KL is missing"),
    "sign": (lambda mu, s: -kl(mu, s), "wrong sign"),
    "sign, no half": (lambda mu, s: -2 * kl(mu, s), "wrong sign, and"),
    "log squared": (
        lambda mu, s: 0.5 * (mu**2 + s**2 - torch.log(s) ** 2 - 1).sum(dim=1).mean(),
        r"log\(sigma\)\*\*2",
    ),
    "sigma for variance": (
        lambda mu, s: 0.5 * (mu**2 + s - torch.log(s) - 1).sum(dim=1).mean(),
        "where the variance",
    ),
    "sigma beside log variance": (
        lambda mu, s: 0.5 * (mu**2 + s - torch.log(s**2) - 1).sum(dim=1).mean(),
        "beside log",
    ),
    "no one": (lambda mu, s: 0.5 * (mu**2 + s**2 - torch.log(s**2)).sum(dim=1).mean(), "lacks its"),
    "no mu": (lambda mu, s: 0.5 * (s**2 - torch.log(s**2) - 1).sum(dim=1).mean(), "lacks mu"),
    "other direction": (
        lambda mu, s: kl_divergence(Normal(0.0, 1.0), Normal(mu, s)).sum(dim=1).mean(),
        "Not the KL",
    ),
    "mu detached": (lambda mu, s: kl(mu.detach(), s), "to mu"),
    "sigma detached": (lambda mu, s: kl(mu, s.detach()), "to sigma"),
    "per image": (lambda mu, s: 0.5 * (mu**2 + s**2 - 2 * s.log() - 1).sum(dim=1), "one number"),
}


@pytest.mark.parametrize("function", RIGHT_KLS.values(), ids=RIGHT_KLS)
def test_right_kls_pass_in_any_style(function):
    assert check_kl(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_KLS.values(), ids=WRONG_KLS)
def test_wrong_kls_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_kl(function)


# The ELBO


def distortion(logits, x):
    return -F.logsigmoid(x * logits).flatten(1).sum(dim=1).mean()


def cross_entropy(logits, target, reduction="sum"):
    return F.binary_cross_entropy_with_logits(logits, target, reduction=reduction)


def elbo(error=distortion, cost=kl, sign=1):
    """Build a loss from its two terms."""
    return lambda logits, x, mu, v: error(logits, x) + sign * cost(mu, (v / 2).exp())


RIGHT_ELBOS = {
    "log sigmoid": elbo(),
    "cross entropy": elbo(lambda a, x: cross_entropy(a, (x + 1) / 2) / len(x)),
    "torch": elbo(
        lambda a, x: -Bernoulli(logits=a).log_prob((x + 1) / 2).sum(dim=(1, 2, 3)).mean(),
        RIGHT_KLS["torch"],
    ),
    "where": elbo(
        lambda a, x: F.softplus(torch.where(x > 0, -a, a)).sum() / len(x),
        RIGHT_KLS["negated"],
    ),
}
WRONG_ELBOS = {
    "mean over pixels": (
        elbo(lambda a, x: cross_entropy(a, (x + 1) / 2, "mean")),
        "averaged over the pixels",
    ),
    "both means": (
        elbo(lambda a, x: cross_entropy(a, (x + 1) / 2, "mean"), WRONG_KLS["mean over units"][0]),
        "averaged over the pixels.*averaged over the units",
    ),
    "sum over the batch": (
        elbo(lambda a, x: cross_entropy(a, (x + 1) / 2)),
        r"log p\(x\|z\) is summed over the batch",
    ),
    "sign of the likelihood": (elbo(lambda a, x: -distortion(a, x)), "has the wrong sign"),
    "x as 0 and 1": (elbo(lambda a, x: cross_entropy(a, x) / len(x)), "map it first"),
    "exchanged": (elbo(lambda a, x: distortion(-a, x)), "exchanged"),
    "squared error": (
        elbo(lambda a, x: 0.5 * (torch.tanh(a / 2) - x).square().sum() / len(x)),
        "not a squared error",
    ),
    "no KL": (elbo(cost=lambda mu, s: 0 * mu.sum()), "KL is missing"),
    "sign of the KL": (elbo(sign=-1), "KL has the wrong sign"),
    "the ELBO": (lambda *a: -elbo()(*a), "a loss is its negative"),
    "something else": (lambda *a: elbo()(*a) + 17, "by hand"),
    "mu detached": (lambda a, x, mu, v: elbo()(a, x, mu.detach(), v), "to mu"),
    "logits detached": (lambda a, x, mu, v: elbo()(a.detach(), x, mu, v), "to logits"),
    "log_var detached": (lambda a, x, mu, v: elbo()(a, x, mu, v.detach()), "to log_var"),
} | {
    f"KL: {name}": (elbo(cost=WRONG_KLS[name][0]), WRONG_KLS[name][1])
    for name in WRONG_KLS
    if name not in {"other direction", "mu detached", "sigma detached", "per image", "sign"}
}


@pytest.mark.parametrize("loss", RIGHT_ELBOS.values(), ids=RIGHT_ELBOS)
def test_right_elbos_pass_in_any_style(loss):
    assert check_negative_elbo(loss).attempted


@pytest.mark.parametrize(("loss", "words"), WRONG_ELBOS.values(), ids=WRONG_ELBOS)
def test_wrong_elbos_are_told_their_mistake(loss, words):
    with pytest.raises(Misconception, match=words):
        check_negative_elbo(loss)


# The importance-weighted bound


def bound(weigh):
    """Build a bound from a function of the logarithms of the weights."""
    return lambda likelihood, prior, q: weigh(likelihood + prior - q)


RIGHT_BOUNDS = {
    "logsumexp": bound(lambda w: w.logsumexp(dim=0) - math.log(len(w))),
    "shifted by hand": bound(lambda w: w.amax(0) + (w - w.amax(0)).exp().mean(dim=0).log()),
}
WRONG_BOUNDS = {
    "mean of logs": (bound(lambda w: w.mean(dim=0)), "the ELBO"),
    "sum": (bound(lambda w: w.logsumexp(dim=0)), "log S"),
    "largest": (bound(lambda w: w.amax(dim=0)), "largest weight"),
    "over images": (bound(lambda w: w.logsumexp(dim=1) - math.log(4)), "over the images"),
    "no q": (lambda a, p, q: (a + p).logsumexp(0) - math.log(6), "missing: codes were drawn"),
    "times q": (lambda a, p, q: (a + p + q).logsumexp(0) - math.log(6), "multiplied"),
    "no prior": (lambda a, p, q: (a - q).logsumexp(0) - math.log(6), r"prior p\(z\) is missing"),
    "sign": (bound(lambda w: math.log(6) - w.logsumexp(dim=0)), "sign is wrong"),
    "unsafe": (bound(lambda w: w.exp().mean(dim=0).log()), "use logsumexp"),
    "wrong": (bound(lambda w: w.logsumexp(dim=0) - math.log(5)), "Not log 1/S"),
    "one number": (bound(lambda w: w.logsumexp(dim=0).mean()), "tensor of shape"),
}


@pytest.mark.parametrize("function", RIGHT_BOUNDS.values(), ids=RIGHT_BOUNDS)
def test_right_bounds_pass_in_any_style(function):
    assert check_importance_weighted(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_BOUNDS.values(), ids=WRONG_BOUNDS)
def test_wrong_bounds_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_importance_weighted(function)


# The experiment: a small code


def shipped(name):
    """The networks of a shipped model, as the reader's function returns its own."""
    model = load_pretrained(name, BernoulliVAE)
    return model.encoder, model.decoder


def flat_decoder(z):
    return shipped("vae-2d")[1](z).flatten(1)


def diverging_decoder(z):
    return z.sum() * torch.ones(len(z), 1, 28, 28)


WRONG_CODES = {
    "the encoder alone": (lambda x: shipped("vae-2d")[0], "two things"),
    "too many units": (lambda x: shipped("vae-beta-1"), "16 units: at most 6"),
    "mu alone": (lambda x: (lambda seen: torch.zeros(len(seen), 5), None), "gives 5 numbers"),
    "mu and sigma apart": (lambda x: (lambda seen: (seen, seen), None), r"one tensor \(n, 2 K\)"),
    "flat images": (lambda x: (shipped("vae-2d")[0], flat_decoder), "tensor of shape"),
    "probabilities": (
        lambda x: (shipped("vae-2d")[0], lambda z: shipped("vae-2d")[1](z).sigmoid()),
        "return logits",
    ),
    "collapsed": (
        lambda x: (
            lambda seen: torch.zeros(len(seen), 8),
            lambda z: torch.randn(len(z), 1, 28, 28),
        ),
        "collapsed.*mean over the pixels",
    ),
    "diverged": (
        lambda x: (lambda seen: torch.full((len(seen), 8), 200.0), diverging_decoder),
        "diverged",
    ),
    "not good enough": (lambda x: shipped("vae-2d"), "With 2 units .* more units"),
}


@pytest.mark.parametrize(("train", "words"), WRONG_CODES.values(), ids=WRONG_CODES)
def test_wrong_small_codes_are_told_their_mistake(train, words):
    with pytest.raises(Misconception, match=words):
        check_small_code(train)


def test_a_small_code_that_is_good_enough_passes(monkeypatch):
    monkeypatch.setattr(checks, "MOST_NATS", 270.0)
    verdict = check_small_code(lambda x: shipped("vae-2d"))
    assert verdict.attempted
    assert "2 units" in verdict.message


@pytest.mark.parametrize(
    "check",
    [
        check_reparameterise,
        check_kl,
        check_negative_elbo,
        check_importance_weighted,
        check_small_code,
    ],
)
def test_a_stub_is_not_attempted(check):
    def stub(*_):
        raise NotImplementedError("stub")

    assert not check(stub).attempted


# Wrong answers of every kind, made from right ones


def reparameterise(mu, log_var, rng):
    return RIGHT_DRAWS["exp of half"](mu, log_var, rng)


def kl_to_prior(mu, sigma):
    return kl(mu, sigma)


def negative_elbo(logits, x, mu, log_var):
    return elbo()(logits, x, mu, log_var)


def tighter_bound(log_likelihood, log_prior, log_q):
    return RIGHT_BOUNDS["logsumexp"](log_likelihood, log_prior, log_q)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (check_reparameterise, reparameterise),
        (check_kl, kl_to_prior),
        (check_negative_elbo, negative_elbo),
        (check_importance_weighted, tighter_bound),
    ],
)
def test_a_wrong_answer_of_any_kind_is_named(check, answer):
    assert not_named(check, answer.__name__, answer) == []
