"""Chapter 00's checks: right answers in any style pass, each classic mistake is named."""

import math

import numpy as np
import pytest
import torch
from kinds import not_named
from sklearn.neighbors import KernelDensity
from torch import distributions

from gen_course.ch00_start_here.checks import (
    check_better_histogram,
    check_choose_width,
    check_held_out_score,
    check_kl_divergence,
    check_sample_chain,
)
from gen_course.common.checks import Misconception

# The held-out score


def by_hand(
    train,
    test,
    of_mean=1.0,
    log_det=0.5,
    quadratic=0.5,
    constant=0.5,
    correction=0,
    reduce=torch.mean,
):
    mu, covariance = of_mean * train.mean(dim=0), train.T.cov(correction=correction)
    difference = test - mu
    squared = (difference @ torch.linalg.inv(covariance) * difference).sum(dim=1)
    normaliser = constant * train.shape[1] * math.log(2 * math.pi)
    return reduce(-quadratic * squared - log_det * covariance.logdet() - normaliser)


def by_torch(train, test):
    covariance = train.T.cov(correction=0)
    return distributions.MultivariateNormal(train.mean(dim=0), covariance).log_prob(test).mean()


def by_numpy(train, test):
    x, y = train.double().numpy(), test.double().numpy()
    covariance = np.cov(x.T, bias=True)
    difference = y - x.mean(axis=0)
    squared = np.einsum("ni,ij,nj->n", difference, np.linalg.inv(covariance), difference)
    log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return float(np.mean(-0.5 * (squared + log_det)))


def density_first(train, test):
    covariance = train.T.cov(correction=0)
    model = distributions.MultivariateNormal(train.mean(dim=0), covariance)
    return model.log_prob(test).exp().log().mean()


def independent(train, test):
    model = distributions.Normal(train.mean(dim=0), train.std(dim=0, correction=0))
    return model.log_prob(test).sum(dim=1).mean()


RIGHT_SCORES = {
    "by hand": by_hand,
    "torch.distributions": by_torch,
    "numpy": by_numpy,
    "float64": lambda train, test: by_hand(train.double(), test.double()),
    "a Python number": lambda train, test: by_hand(train, test).item(),
}


@pytest.mark.parametrize("score", RIGHT_SCORES.values(), ids=RIGHT_SCORES)
def test_right_scores_pass_in_any_style(score):
    assert check_held_out_score(score).attempted


WRONG_SCORES = {
    "fitted to test": (lambda train, test: by_hand(test, test), "may see train only"),
    "scored on train": (lambda train, test: by_hand(train, train), "scores the training points"),
    "n - 1": (lambda a, b: by_hand(a, b, correction=1), "by n, not by n - 1"),
    "independent": (independent, "treated as independent"),
    "sum": (lambda a, b: by_hand(a, b, reduce=torch.sum), "mean per point"),
    "per point": (lambda a, b: by_hand(a, b, reduce=torch.clone), "average over the points"),
    "a loss": (lambda a, b: -by_hand(a, b), "sign is wrong"),
    "bits": (lambda a, b: by_hand(a, b) / math.log(2), "in bits"),
    "no constant": (lambda a, b: by_hand(a, b, constant=0), r"log\(2 pi\) is missing"),
    "constant of one dimension": (lambda a, b: by_hand(a, b, constant=1 / 6), "one dimension"),
    "no log det": (lambda a, b: by_hand(a, b, log_det=0), "-1/2 log det Sigma is missing"),
    "whole log det": (lambda a, b: by_hand(a, b, log_det=1), "log det Sigma lacks its 1/2"),
    "whole form": (lambda a, b: by_hand(a, b, quadratic=1), "quadratic form lacks its 1/2"),
    "log of the mean": (
        lambda a, b: by_hand(a, b, reduce=lambda logs: logs.exp().mean().log()),
        "take the mean of logs",
    ),
    "density first": (density_first, "underflows"),
    "mean forgotten": (lambda a, b: by_hand(a, b, of_mean=0.0), "score must be"),
}


@pytest.mark.parametrize(("score", "words"), WRONG_SCORES.values(), ids=WRONG_SCORES)
def test_wrong_scores_are_told_their_mistake(score, words):
    with pytest.raises(Misconception, match=words):
        check_held_out_score(score)


# Sampling one coordinate at a time


def chain(p_first, p_next, length, n, rng):
    x = [p_first.multinomial(n, replacement=True, generator=rng)]
    while len(x) < length:
        x.append(p_next[x[-1]].multinomial(1, generator=rng)[:, 0])
    return torch.stack(x, dim=1)


def by_uniform_numbers(p_first, p_next, length, n, rng):
    x = torch.zeros(n, length, dtype=torch.long)
    for t in range(length):
        p = p_next[x[:, t - 1]] if t else p_first.expand(n, -1)
        u = torch.rand(n, 1, generator=rng)
        x[:, t] = (p.cumsum(dim=1) <= u).sum(dim=1).clamp(max=p.shape[1] - 1)
    return x


def one_by_one(p_first, p_next, length, n, rng):
    rows = []
    for _ in range(n):
        row = [int(p_first.multinomial(1, generator=rng))]
        while len(row) < length:
            row.append(int(p_next[row[-1]].multinomial(1, generator=rng)))
        rows.append(row)
    return torch.tensor(rows)


def steps(x_1, x_next):
    """Build a wrong sampler: ``x_1`` draws the first value, ``x_next`` a value given all before."""

    def sample(p_first, p_next, length, n, rng):
        x = [x_1(p_first, n, rng)]
        while len(x) < length:
            x.append(x_next(p_first, p_next, x, rng))
        return torch.stack(x, dim=1)

    return sample


def first(p, n, rng):
    return p.multinomial(n, replacement=True, generator=rng)


def draw(p, rng):
    return p.multinomial(1, generator=rng)[:, 0]


def skips_x_1(p_first, p_next, length, n, rng):
    return chain(p_first, p_next, length + 1, n, rng)[:, 1:]


def one_draw_a_state(p_first, p_next, x, rng):
    return draw(p_next, rng)[x[-1]]


@pytest.mark.parametrize("sample", [chain, by_uniform_numbers, one_by_one])
def test_right_chains_pass_in_any_style(sample):
    assert check_sample_chain(sample).attempted


WRONG_CHAINS = {
    "no condition": (
        steps(first, lambda p, q, x, rng: first(p, len(x[0]), rng)),
        "depends on the one before",
    ),
    "columns": (steps(first, lambda p, q, x, rng: draw(q.T[x[-1]] + 1e-9, rng)), "by columns"),
    "always x_1": (steps(first, lambda p, q, x, rng: draw(q[x[0]], rng)), "depends on x_1"),
    "x_1 missing": (skips_x_1, "x_1 is missing"),
    "transposed": (lambda *a: chain(*a).T, r"\(n, length\)"),
    "floats": (lambda *a: chain(*a).float(), "whole numbers"),
    "likeliest": (
        steps(lambda p, n, rng: p.argmax().expand(n), lambda p, q, x, rng: q[x[-1]].argmax(dim=1)),
        "do not take the likeliest",
    ),
    "likeliest after the first": (
        steps(first, lambda p, q, x, rng: q[x[-1]].argmax(dim=1)),
        "x_2 given x_1 does not follow",
    ),
    "one draw a state": (steps(first, one_draw_a_state), "draw it for each sequence"),
    "no rng": (lambda p, q, length, n, rng: chain(p, q, length, n, None), "The same seed"),
    "a seed of its own": (
        lambda p, q, length, n, rng: chain(p, q, length, n, torch.Generator().manual_seed(0)),
        "Another seed",
    ),
    "uniform start": (
        lambda p, q, length, n, rng: chain((p > 0).float(), q, length, n, rng),
        "x_1 does not follow p_first",
    ),
    "stays": (steps(first, lambda p, q, x, rng: (x[-1] + len(x)) % 3), "the sequence is"),
}


@pytest.mark.parametrize(("sample", "words"), WRONG_CHAINS.values(), ids=WRONG_CHAINS)
def test_wrong_chains_are_told_their_mistake(sample, words):
    with pytest.raises(Misconception, match=words):
        check_sample_chain(sample)


# The width of a kernel density


def kernel_logs(x, points, width, power=None):
    squared = (x[:, None] - points).square().sum(dim=2)
    power = x.shape[1] if power is None else power
    return (-squared / (2 * width**2)).logsumexp(dim=1) - power * math.log(width)


def best(train, held_out, widths, power=None, sign=1, reduce=torch.mean):
    scores = [sign * reduce(kernel_logs(held_out, train, w, power)) for w in widths.tolist()]
    return widths[torch.stack(scores).argmax()]


def by_sklearn(train, held_out, widths):
    def score(width):
        kernels = KernelDensity(bandwidth=width, leaf_size=1_000)  # one leaf: exact
        return kernels.fit(train.numpy()).score(held_out.numpy())

    return max(widths.tolist(), key=score)


def place(train, held_out, widths):
    return (widths == best(train, held_out, widths)).nonzero().item()


@pytest.mark.parametrize("choose", [best, by_sklearn, lambda *a: best(*a).item()])
def test_right_choices_pass_in_any_style(choose):
    assert check_choose_width(choose).attempted


WRONG_CHOICES = {
    "on train": (
        lambda train, held_out, w: best(train, train, w),
        "wins on the training points only",
    ),
    "worst": (lambda *a: best(*a, sign=-1), "take the best"),
    "no factor": (lambda *a: best(*a, power=0), r"lack their factor 1 / width\^d"),
    "factor of one dimension": (lambda *a: best(*a, power=1), "factor of one dimension"),
    "mean density": (
        lambda *a: best(*a, reduce=lambda logs: logs.exp().mean()),
        "Chosen by the mean density",
    ),
    "place": (place, "not its place"),
    "always the same": (lambda *a: torch.tensor(0.05), "the best width is"),
}


@pytest.mark.parametrize(("choose", "words"), WRONG_CHOICES.values(), ids=WRONG_CHOICES)
def test_wrong_choices_are_told_their_mistake(choose, words):
    with pytest.raises(Misconception, match=words):
        check_choose_width(choose)


# The Kullback-Leibler divergence


def kl(p, q, n):
    x = p.sample(n)
    return (p.log_prob(x) - q.log_prob(x)).mean()


def never_negative(p, q, n):
    """The estimator r - 1 - log r with r = q / p: the same mean, less spread."""
    x = p.sample(n)
    log_r = q.log_prob(x) - p.log_prob(x)
    return (log_r.exp() - 1 - log_r).mean()


def from_q(p, q, n):
    x = q.sample(n)
    return (p.log_prob(x) - q.log_prob(x)).mean()


def cross_entropy(p, q, n):
    return -q.log_prob(p.sample(n)).mean()


def seeded(p, q, n):
    x = p.sample(n, torch.Generator().manual_seed(0))
    return (p.log_prob(x) - q.log_prob(x)).mean()


@pytest.mark.parametrize("divergence", [kl, never_negative, lambda *a: kl(*a).item()])
@pytest.mark.parametrize("seed", range(3))
def test_right_divergences_pass_in_any_style(divergence, seed):
    torch.manual_seed(seed)
    assert check_kl_divergence(divergence).attempted


WRONG_DIVERGENCES = {
    "sign": (lambda *a: -kl(*a), "never negative"),
    "reverse": (lambda p, q, n: kl(q, p, n), r"KL\(q \|\| p\)"),
    "samples of q": (from_q, "samples come from q"),
    "cross-entropy": (cross_entropy, "cross-entropy"),
    "bits": (lambda *a: kl(*a) / math.log(2), "in bits"),
    "sum": (lambda p, q, n: n * kl(p, q, n), "summed over the samples"),
    "per sample": (lambda p, q, n: p.log_prob(p.sample(n)), "one number"),
    "too few": (lambda p, q, n: kl(p, q, 2), "you estimate"),
    "fixed samples": (seeded, "draw n new samples"),
}


@pytest.mark.parametrize(("divergence", "words"), WRONG_DIVERGENCES.values(), ids=WRONG_DIVERGENCES)
def test_wrong_divergences_are_told_their_mistake(divergence, words):
    with pytest.raises(Misconception, match=words):
        check_kl_divergence(divergence)


# The experiment: a model that beats the histogram


def smoothed(train, validation, bins=200, reaches=(0.02, 0.03, 0.04), alpha=1e-4, area=None):
    width = 6 / bins
    centres = (torch.arange(bins) + 0.5) * width - 3

    def fit(reach):
        near = [(-(((c[:, None] - centres) / reach) ** 2) / 2).softmax(dim=1) for c in train.T]
        counts = near[0].T @ near[1] + alpha
        log_p = (counts / counts.sum() / (area or width**2)).log()
        return lambda x: log_p[tuple(((x + 3) / width).long().clamp(0, bins - 1).T)]

    return max((fit(reach) for reach in reaches), key=lambda f: f(validation).mean())


def density_itself(train, validation):
    log_prob = smoothed(train, validation)
    return lambda x: log_prob(x).exp()


def score_of_all(train, validation):
    log_prob = smoothed(train, validation)
    return lambda x: log_prob(x) if len(x) > 4_000 else log_prob(x).sum()


def plain(train, validation, bins=60, alpha=0.001):
    width, counts = 6 / bins, torch.full((bins, bins), alpha)
    place = tuple(((train + 3) / width).long().clamp(0, bins - 1).T)
    counts.index_put_(place, torch.ones(len(train)), accumulate=True)
    log_p = (counts / counts.sum() / width**2).log()
    return lambda x: log_p[tuple(((x + 3) / width).long().clamp(0, bins - 1).T)]


def kernels(train, validation):
    fits = [KernelDensity(bandwidth=h).fit(train) for h in (0.02, 0.03, 0.04)]
    best = max(fits, key=lambda fit: fit.score(validation))

    def log_prob(x):
        near = torch.cdist(x, train).amin(dim=1) < 0.3  # elsewhere the density is below e^-40
        log_p = torch.full((len(x),), -50.0)
        if near.any():
            log_p[near] = torch.tensor(best.score_samples(x[near]), dtype=torch.float32)
        return log_p

    return log_prob


@pytest.mark.parametrize("better", [smoothed, kernels])
def test_a_better_model_than_the_histogram_passes_in_any_style(better):
    assert check_better_histogram(better).attempted


WRONG_MODELS = {
    "the plain histogram": (plain, "nats per held-out point, and 0.85 are asked for"),
    "too wide a reach": (lambda t, v: smoothed(t, v, reaches=(0.1,)), "are asked for"),
    "chosen by train": (lambda t, v: smoothed(t, t, reaches=(0.001, 0.03)), "are asked for"),
    "no pseudo-count": (lambda t, v: plain(t, v, alpha=0.0), "pseudo-count"),
    "area forgotten": (lambda t, v: smoothed(t, v, area=1.0), "integrates to"),
    "p in place of log p": (density_itself, "return log p, not p"),
    "the score itself": (lambda t, v: smoothed(t, v)(v).mean(), "Return a function"),
    "summed": (score_of_all, r"\(m,\)"),
}


@pytest.mark.parametrize(("better", "words"), WRONG_MODELS.values(), ids=WRONG_MODELS)
def test_models_that_are_not_better_are_told_why(better, words):
    with pytest.raises(Misconception, match=words):
        check_better_histogram(better)


# Wrong answers of every kind, made from right ones


def held_out_score(train, test):
    return by_hand(train, test)


def sample_chain(p_first, p_next, length, n, rng):
    return chain(p_first, p_next, length, n, rng)


def choose_width(train, held_out, widths):
    return best(train, held_out, widths)


def kl_divergence(p, q, n):
    return kl(p, q, n)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (check_held_out_score, held_out_score),
        (check_sample_chain, sample_chain),
        (check_choose_width, choose_width),
        (check_kl_divergence, kl_divergence),
    ],
)
def test_a_wrong_answer_of_any_kind_is_named(check, answer):
    assert not_named(check, answer.__name__, answer) == []
