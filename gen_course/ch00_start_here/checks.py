"""Checks for chapter 00: held-out score, autoregressive samples, kernel width, KL divergence, and
an experiment: a model that beats the histogram."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import cast

import torch
from torch import Generator, Tensor

from gen_course.common.checks import exercise, number, require, require_shape, same
from gen_course.common.properties import (
    ERRORS,
    Arguments,
    agrees,
    call,
    for_every,
    lets_draw,
    repeatable,
    seeded,
    watched,
)
from gen_lib.data import load_toy
from gen_lib.data.toys import DensityToy, Mixture

MEAN = "average over the points"
TARGET = 0.85  # nats per held-out point, for the experiment


@exercise
def check_held_out_score(score: Callable) -> str:
    """score(train, test) fits a Gaussian to train; it returns the mean log p of test in nats."""
    score = watched(score, "train", "test", random=True)
    agrees(
        score,
        _score,
        _two_samples,
        form=MEAN,
        sizes=[(30, 50, 3), (40, 7, 3), (25, 1, 2), (60, 90, 5)],
        mistakes=_mistakes_of_score,
        formula="The score must be the mean of log p(x) over test: compare each term by hand.",
    )
    agrees(
        score,
        _score,
        _with_a_far_point,
        form=MEAN,
        sizes=[(30, 50, 3)],
        extremes=[{name: 40 * x for name, x in _two_samples(seeded(1), 40, 20, 3).items()}],
        formula="A far point gives a wrong score: exp underflows to 0, or a constant is added to "
        "the density, or something is cut off. Compute log p without p.",
    )
    return "maximum likelihood on train, mean log-likelihood on test, right far away, too."


def _two_samples(rng: Generator, n: int, m: int, d: int) -> Arguments:
    low = 0.3 * torch.randn(d, d, generator=rng).tril(-1)
    mixing = low + torch.diag(1 + 0.2 * torch.arange(float(d)))
    train, test = (2 * (torch.rand(k, d, generator=rng) - 0.5) @ mixing + 1.0 for k in (n, m))
    return {"train": train, "test": test}


def _with_a_far_point(rng: Generator, n: int, m: int, d: int) -> Arguments:
    train, test = _two_samples(rng, n, m, d).values()
    return {"train": train, "test": torch.cat([test, torch.full((1, d), 1e3)])}


def _score(train: Tensor, test: Tensor) -> Tensor:
    return _scores(train, test).mean()


def _mistakes_of_score(train: Tensor, test: Tensor) -> Iterator[tuple[Tensor, str]]:
    yield from _mistakes_of_fit(train, test)
    yield from _mistakes_of_formula(train, test)
    p = _scores(train, test).exp()
    for small in (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3):
        yield (
            (p + small).log().mean(),
            "A constant is added to p(x): it changes log p. Stay in logs.",
        )


def _scores(train: Tensor, test: Tensor, correction: int = 0) -> Tensor:
    mean, covariance = train.mean(dim=0), train.T.cov(correction=correction)
    return torch.distributions.MultivariateNormal(mean, covariance).log_prob(test)


def _mistakes_of_fit(train: Tensor, test: Tensor) -> tuple[tuple[Tensor, str], ...]:
    alone = torch.distributions.Normal(train.mean(dim=0), train.std(dim=0, correction=0))
    right = _scores(train, test).mean()
    return (
        (_scores(test, test).mean(), "The Gaussian is fitted to test: it may see train only."),
        (_scores(train, train).mean(), "This scores the training points: score the held-out ones."),
        (_scores(train, test, 1).mean(), "Maximum likelihood divides by n, not by n - 1."),
        (
            alone.log_prob(test).sum(dim=1).mean(),
            "The coordinates are treated as independent: use the whole covariance matrix.",
        ),
        (len(test) * right, "It is summed over the points; the score is the mean per point."),
        (-right, "The sign is wrong: this is a loss, and the score grows with the fit."),
        (right / math.log(2), "It is in bits: use the natural logarithm for nats."),
    )


def _mistakes_of_formula(train: Tensor, test: Tensor) -> tuple[tuple[Tensor, str], ...]:
    logs = _scores(train, test)
    right, log_det = logs.mean(), train.T.cov(correction=0).logdet()
    constant = train.shape[1] / 2 * math.log(2 * math.pi)
    quadratic = -right - log_det / 2 - constant  # 1/2 (x - mu)^T Sigma^-1 (x - mu)
    return (
        (right + constant, "The constant -d/2 log(2 pi) is missing."),
        (
            right + 2 / 3 * constant,
            "The constant is that of one dimension: in d dimensions it is -d/2 log(2 pi).",
        ),
        (right + log_det / 2, "The term -1/2 log det Sigma is missing."),
        (right - log_det / 2, "log det Sigma lacks its 1/2."),
        (right - quadratic, "The quadratic form lacks its 1/2."),
        (logs.exp().mean().log(), "This is the log of the mean density: take the mean of logs."),
    )


@exercise
def check_sample_chain(sample: Callable) -> str:
    """sample(p_first, p_next, length, n, rng) draws n sequences of states, integers (n, length)."""
    sample = watched(sample, "p_first", "p_next", "length", "n", "rng")
    _check_certain_chain(sample)
    three = torch.tensor([[0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.3, 0.0, 0.7]])
    two = torch.tensor([[0.3, 0.7], [0.9, 0.1]])
    five = torch.randn(5, 5, generator=seeded(3)).softmax(dim=1)
    chains = (
        (torch.tensor([0.5, 0.2, 0.3]), three, 3, 800),
        (torch.tensor([0.8, 0.2]), two, 4, 200),
        (five[2], five, 2, 400),
        (five[1], five, 1, 300),
    )
    for_every(_check_chain, ((sample, *chain) for chain in chains))
    _check_independent_chains(sample)
    one = call(sample, _chain(torch.ones(1), torch.ones(1, 1), 4, 1, seeded(0)))
    require(torch.equal(one, torch.zeros(1, 4, dtype=one.dtype)), "One state makes zeros alone.")
    return "x_1 follows p_first, each x_d the row of p_next of the one before, seeds repeat."


def _chain(p_first: Tensor, p_next: Tensor, length: int, n: int, rng: Generator) -> Arguments:
    return {"p_first": p_first, "p_next": p_next, "length": length, "n": n, "rng": rng}


def _check_chain(sample: Callable, p_first: Tensor, p_next: Tensor, length: int, n: int) -> None:
    """Check draws of one chain: their seeds, each step, and the shares of all sequences."""

    def draw(rng: Generator) -> Tensor:
        return sample(p_first.clone(), p_next.clone(), length, n, rng)

    x = draw(seeded(1))
    require_shape(x, (n, length), "(n, length)")
    require(
        (x != x[0]).any(),
        "All n sequences are alike: draw each one on its own, and draw, do not take the likeliest.",
    )
    require(not torch.equal(x, draw(seeded(2))), "Another seed gives the same sequences: use rng.")
    x = repeatable(draw, "sequences")
    call(sample, _chain(p_first, p_next, length, 20, seeded(1)))
    states = range(len(p_first))
    require(
        _follow(torch.stack([(x[:, 0] == k) for k in states], dim=1), p_first),
        "x_1 does not follow p_first.",
    )
    for t, before in product(range(1, length), states):
        now = x[x[:, t - 1] == before, t]
        require(
            _follow(torch.stack([now == k for k in states], dim=1), p_next[before]),
            f"x_{t + 1} given x_{t} does not follow the rows of p_next: draw it for each sequence.",
        )
    for whole in product(states, repeat=length):
        p = math.prod(
            [float(p_first[whole[0]]), *(float(p_next[pair]) for pair in pairwise(whole))]
        )
        require(
            _follow((x == torch.tensor(whole)).all(dim=1)[:, None], torch.tensor([p])),
            "Each step is right, but some sequences are too frequent: given x_{d-1}, x_d must not "
            "depend on what came earlier. Draw a new random number for each.",
        )


def _follow(hits: Tensor, p: Tensor) -> bool:
    """Whether the shares of hits (n, K) differ from p (K,) by chance alone."""
    n = max(len(hits), 1)
    off = (hits.float().mean(dim=0) - p).abs() if len(hits) else torch.zeros_like(p)
    # the last term is for rare ones, whose numbers are not normal
    return bool((off <= ERRORS * (p * (1 - p) / n).sqrt() + 15 * (p > 0) / n + 1e-6).all())


def _check_independent_chains(sample: Callable) -> None:
    """Any two long sequences of fair coins agree at about half of their places."""
    n, length = 60, 60
    x = sample(torch.full((2,), 0.5), torch.full((2, 2), 0.5), length, n, seeded(9))
    alike = (x[:, None] == x).float().mean(dim=2) - 0.5  # (n, n)
    error = 0.5 / length**0.5
    require(
        (alike.fill_diagonal_(0).abs() < ERRORS * error).all(),
        "Some sequences recur, or are the opposite of others: draw each of the n on its own.",
    )
    require(
        alike.diagonal(1).mean().abs() < ERRORS * error / (n - 1) ** 0.5,
        "Neighbouring sequences go together: draw each of the n on its own.",
    )


def _check_certain_chain(sample: Callable) -> None:
    """Check a deterministic chain, 0 -> 1 -> 2 -> 0, that starts in 2: only one answer is right."""
    p_first, p_next = torch.tensor([0.0, 0.0, 1.0]), torch.eye(3).roll(1, dims=1)
    x = sample(p_first, p_next, 5, 4, seeded(0))
    require_shape(x, (4, 5), "(n, length)")
    require(
        not x.dtype.is_floating_point and x.dtype != torch.bool,
        "The sequences must be whole numbers (int64), the numbers of the states.",
    )
    require(
        not (x == 2).all(),
        "Every x_d is drawn from p_first: from the second on it depends on the one before.",
    )
    for wrong, why in (
        ([2, 1, 0, 2, 1], "p_next is read by columns: p(x_d | x_{d-1} = a) is the row p_next[a]."),
        ([2, 0, 0, 0, 0], "Every x_d depends on x_1: it must depend on the one before it."),
        ([0, 1, 2, 0, 1], "x_1 is missing: the first number is drawn from p_first itself."),
    ):
        require((x != torch.tensor(wrong)).any(), why)
    require(
        (x == torch.tensor([2, 0, 1, 2, 0])).all(),
        "With p_first sure of 2 and p_next sure of 0 -> 1 -> 2 -> 0 the sequence is 2, 0, 1, 2, 0; "
        f"yours is {', '.join(str(v) for v in x[0].tolist())}.",
    )


@exercise
def check_choose_width(choose: Callable) -> str:
    """choose(train, held_out, widths) is the width with the best held-out log-likelihood."""
    choose = watched(choose, "train", "held_out", "widths", random=True)
    widths = torch.tensor([0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0])
    mixed = torch.tensor([2.0, 0.15, 0.4, 5.0, 0.9, 0.03])
    cases = (
        (0, 60, 60, 2, 1.0, 3.0, widths),
        (1, 60, 60, 3, 2.0, 3.0, widths),
        (2, 60, 60, 1, 0.3, 3.0, widths),
        (3, 25, 90, 2, 0.5, 2.0, mixed),
        (4, 80, 12, 5, 1.5, 3.0, mixed.flip(0)),
        (5, 50, 60, 2, 1.0, 150.0, widths),  # exp gives 0 at every width
        (6, 50, 200, 2, 0.2, 12.0, widths[:7]),
        (7, 9, 5, 1, 1.0, 1.0, widths[3:4]),
        (8, 60, 60, 2, 0.1, 2.0, widths),
        (9, 60, 60, 2, 40.0, 3.0, 10 * widths),
    )
    for_every(_check_width, ((choose, *case) for case in cases))
    return "the width with the highest mean log-likelihood of the held-out points, ten times."


def _check_width(
    choose: Callable, seed: int, n: int, m: int, d: int, spread: float, far: float, widths: Tensor
) -> None:
    rng = seeded(seed)
    train, held_out = (spread * torch.randn(k, d, generator=rng) for k in (n, m))
    held_out[:3] += far * spread  # a few points lie far from the others
    train, held_out = train + 7 * seed, held_out + 7 * seed
    given = {"train": train, "held_out": held_out, "widths": widths.clone()}
    got = number(call(choose, given), "the best width")
    require(
        (got - widths).abs().min() < 1e-6,
        f"The result must be one of the widths, not its place in the list; it is {got}.",
    )
    logs = torch.stack([_kernel_log_prob(held_out, train, w) for w in widths.tolist()])
    seen = torch.stack([_kernel_log_prob(train, train, w).mean() for w in widths.tolist()])
    scores = logs.mean(dim=1)
    best = widths[scores.argmax()]
    if got.isclose(best):
        return
    of_one_dimension = scores + (d - 1) * widths.log()
    protected = (
        "Chosen by log(p + a small constant): it hides how far off a point is. Stay in logs."
    )
    for wrong, why in (
        (seen, "The narrowest wins on the training points only: score held_out, take the best."),
        (scores + d * widths.log(), "Widest wins: the kernels lack their factor 1 / width^d."),
        (of_one_dimension, "The kernels have the factor of one dimension: it is 1 / width^d."),
        (logs.exp().mean(dim=1), "Chosen by the mean density: take the mean of its logarithm."),
        *(((logs.exp() + small).log().mean(dim=1), protected) for small in (1e-12, 1e-8, 1e-5)),
        (
            logs.exp().log().mean(dim=1),
            "exp gives 0 for far points, whose logarithm is -inf: use logsumexp.",
        ),
    ):
        require(not got.isclose(widths[wrong.argmax()]), why)
    require(False, f"For {d} dimensions the best width is {best:.2f}, yours is {got:.2f}.")


def _kernel_log_prob(x: Tensor, points: Tensor, width: float) -> Tensor:
    squared = (x[:, None] - points).square().sum(dim=2)  # (n, points)
    constant = x.shape[1] / 2 * math.log(2 * math.pi * width**2) + math.log(len(points))
    return (-squared / (2 * width**2)).logsumexp(dim=1) - constant


@exercise
def check_kl_divergence(divergence: Callable) -> str:
    """divergence(p, q, n) estimates KL(p || q) from n samples; p, q have sample and log_prob."""
    divergence = watched(divergence, "p", "q", "n")
    p = Mixture("p", torch.zeros(1, 2), sigma=2.0)
    q = Mixture("q", torch.tensor([[1.0, 0.0]]), sigma=1.0)
    right, reverse = _kl(p, q), _kl(q, p)
    entropy = 1 + math.log(2 * math.pi * p.sigma**2)  # of p
    n = 100_000
    got = number(divergence(p, q, n), MEAN)
    for wrong, why in (
        (-right, "The sign: it is the mean of log p - log q, and it is never negative."),
        (reverse, "This is KL(q || p): draw from p, and take log p - log q."),
        (-reverse, "The samples come from q: the mean is over x drawn from p."),
        (entropy + right, "This is the cross-entropy, the mean of -log q: log p is missing."),
        (right / math.log(2), "It is in bits: use the natural logarithm for nats."),
        (n * right, "It is summed over the samples: take their mean."),
    ):
        require(abs(got / wrong - 1) > 0.05, why)
    require(
        abs(got / right - 1) < 0.05,
        f"For two Gaussians with KL(p || q) = {right:.3f} you estimate {got:.3f}.",
    )
    require(
        number(divergence(q, q, 100), MEAN).abs() < 1e-6, "KL(q || q) must be 0 for any samples."
    )
    rough = torch.stack([number(divergence(p, q, 2), MEAN) for _ in range(5)])
    require(rough.std() > 0, "With n = 2 samples every repeat gives the same: draw n new samples.")
    for_every(_check_divergence, ((divergence, *case) for case in ((p, q), *_others())))
    return f"{got:.3f} where the closed form gives {right:.3f}, and 0 between equals."


def _others() -> Iterator[tuple[Mixture, Mixture]]:
    """Pairs of Gaussians; those of the last are so far apart that exp(log q) is 0."""
    for here, there, a, b in (
        ((3.0, -1.0), (2.5, -0.5), 1.5, 0.9),
        ((0.0, 0.0), (0.0, 30.0), 0.5, 0.7),
    ):
        yield Mixture("p", torch.tensor([here]), a), Mixture("q", torch.tensor([there]), b)


class _Counted(Mixture):
    """A mixture that counts how many points were drawn from it."""

    drawn = 0

    def sample(self, n: int, rng: Generator | None = None) -> Tensor:
        self.drawn += n
        return super().sample(n, rng)


def _check_divergence(divergence: Callable, p: Mixture, q: Mixture) -> None:
    n, right = 20_000, _kl(p, q)
    counted = _Counted("p", p.means.clone(), p.sigma)
    got = number(call(lets_draw(divergence), {"p": counted, "q": q, "n": n}), MEAN)
    require(counted.drawn == n, f"{counted.drawn} points are drawn from p: draw n = {n} of them.")
    require(
        same(counted.means, p.means) and counted.sigma == p.sigma, "p has been changed: leave it."
    )
    require(
        abs(got / right - 1) < 0.1,
        f"For two Gaussians with KL(p || q) = {right:.3f} you estimate {got:.3f}: add nothing to "
        "a density, and do not cut off its logarithm.",
    )


def _kl(p: Mixture, q: Mixture) -> float:
    """KL(p || q) of two isotropic Gaussians in the plane, in closed form."""
    ratio = (p.sigma / q.sigma) ** 2
    distance = (p.means - q.means).square().sum().item() / q.sigma**2
    return ratio - 1 - math.log(ratio) + distance / 2


@exercise
def check_better_histogram(better: Callable) -> str:
    """better(train, validation) fits a model of eight Gaussians; it returns x -> log p(x)."""
    toy = cast(DensityToy, load_toy("eight_gaussians"))
    scores = []
    for seed in range(3):
        train, validation, fresh = (
            toy.sample(n, torch.Generator().manual_seed(1_000 + 3 * seed + k))
            for k, n in enumerate((400, 400, 4_000))
        )
        log_prob = call(lets_draw(better), {"train": train, "validation": validation})
        require(callable(log_prob), "Return a function that maps points (m, 2) to log p (m,).")
        _check_integral(log_prob)
        got = log_prob(fresh)
        require_shape(got, (4_000,), "(m,)")
        require(
            got.isfinite().all(),
            "Some held-out points get density 0, so the score is minus infinity: leave a little "
            "for every bin (the pseudo-count).",
        )
        again = call(lets_draw(log_prob), {"x": fresh[:50].clone()})
        require(
            same(again, got[:50]),
            "log p of a point changes with the points that are asked about beside it, or with "
            "earlier calls: it depends on x alone.",
        )
        scores.append(got.mean().item())
    mean = sum(scores) / len(scores)
    require(
        mean >= TARGET,
        f"Your model reaches {mean:.2f} nats per held-out point, and {TARGET} are asked for. The "
        "score on the validation points must choose how far a point reaches.",
    )
    return f"{mean:.2f} nats per held-out point over three draws; the density integrates to 1."


def _check_integral(log_prob: Callable) -> None:
    """Add up the density at a random point of each cell of a fine grid, and require 1."""
    n, rng = 600, torch.Generator().manual_seed(0)
    corners = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    x = (corners + torch.rand(n * n, 2, generator=rng)) * 6 / n - 3
    total = sum(float(torch.as_tensor(log_prob(some)).exp().sum()) for some in x.split(20_000))
    total *= (6 / n) ** 2
    require(
        abs(total - 1) < 0.02,
        f"The density integrates to {total:.3g}, not to 1: divide the counts by their sum and by "
        "the area of a bin, and return log p, not p.",
    )
