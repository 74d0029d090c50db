"""Checks for chapter 00: held-out score, autoregressive samples, kernel width, KL divergence, and
an experiment: a model that beats the histogram."""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from gen_course.common.checks import exercise, number, require, require_none_of, require_shape
from gen_lib.data import load_toy
from gen_lib.data.toys import DensityToy, Mixture

MEAN = "average over the points"
TARGET = 0.85  # nats per held-out point, for the experiment


@exercise
def check_held_out_score(score: Callable) -> str:
    """score(train, test) fits a Gaussian to train; it returns the mean log p of test in nats."""
    rng = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[2.0, 0.0, 0.0], [1.5, 1.0, 0.0], [0.0, 0.5, 3.0]])
    train = torch.randn(30, 3, generator=rng) @ mixing + 2.0
    test = torch.randn(50, 3, generator=rng) @ mixing + 2.0
    got, right = number(score(train, test), MEAN).float(), _scores(train, test).mean()
    require_none_of(got, *_mistakes_of_fit(train, test), *_mistakes_of_formula(train, test))
    require(got.isclose(right, rtol=1e-4), f"The score must be {right:.4f} here, not {got:.4f}.")
    far = torch.cat([test, torch.full((1, 3), 1e3)])
    require(
        number(score(train, far), MEAN).isfinite(),
        "A far point gives an infinite score: exp underflows to 0. Compute log p without p.",
    )
    return "maximum likelihood on train, mean log-likelihood on test, finite far away."


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
    _check_certain_chain(sample)
    p_first = torch.tensor([0.5, 0.2, 0.3])
    p_next = torch.tensor([[0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.3, 0.0, 0.7]])

    def draw(seed: int) -> Any:
        return sample(p_first, p_next, 3, 4_000, torch.Generator().manual_seed(seed))

    x = draw(0)
    require_shape(x, (4_000, 3), "(n, length)")
    require(
        (x != x[0]).any(),
        "All n sequences are alike: draw each one on its own, and draw, do not take the likeliest.",
    )
    require(
        torch.equal(x, draw(0)),
        "The same seed gives other sequences: hand rng to every draw.",
    )
    require(not torch.equal(x, draw(1)), "Another seed gives the same sequences: use rng.")
    first = torch.stack([(x[:, 0] == k).float().mean() for k in range(3)])
    require((first - p_first).abs().max() < 0.03, "x_1 does not follow p_first.")
    for t in (1, 2):
        pairs = torch.zeros(3, 3).index_put_(
            (x[:, t - 1], x[:, t]), torch.ones(4_000), accumulate=True
        )
        found = pairs / pairs.sum(dim=1, keepdim=True)
        require(
            (found - p_next).abs().max() < 0.08,
            f"x_{t + 1} given x_{t} does not follow the rows of p_next: draw it for each sequence.",
        )
    return "x_1 follows p_first, each x_d the row of p_next of the one before, seeds repeat."


def _check_certain_chain(sample: Callable) -> None:
    """Check a deterministic chain, 0 -> 1 -> 2 -> 0, that starts in 2: only one answer is right."""
    p_first, p_next = torch.tensor([0.0, 0.0, 1.0]), torch.eye(3).roll(1, dims=1)
    x = sample(p_first, p_next, 5, 4, torch.Generator().manual_seed(0))
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
    widths = torch.tensor([0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0])
    for seed, d, spread in ((0, 2, 1.0), (1, 3, 2.0), (2, 1, 0.3)):
        rng = torch.Generator().manual_seed(seed)
        train, held_out = (spread * torch.randn(60, d, generator=rng) for _ in range(2))
        held_out[:3] += 3 * spread  # a few points lie far from the others
        got = number(choose(train, held_out, widths), "the best width")
        require(
            (got - widths).abs().min() < 1e-6,
            f"The result must be one of the widths, not its place in the list; it is {got}.",
        )
        _check_width(got, train, held_out, widths)
    return "the width with the highest mean log-likelihood of the held-out points, three times."


def _check_width(got: Tensor, train: Tensor, held_out: Tensor, widths: Tensor) -> None:
    logs = torch.stack([_kernel_log_prob(held_out, train, w) for w in widths.tolist()])
    seen = torch.stack([_kernel_log_prob(train, train, w).mean() for w in widths.tolist()])
    scores, d = logs.mean(dim=1), train.shape[1]
    if got.isclose(widths[scores.argmax()]):
        return
    of_one_dimension = scores + (d - 1) * widths.log()
    for wrong, why in (
        (seen, "The narrowest wins on the training points only: score held_out, take the best."),
        (scores + d * widths.log(), "Widest wins: the kernels lack their factor 1 / width^d."),
        (of_one_dimension, "The kernels have the factor of one dimension: it is 1 / width^d."),
        (logs.exp().mean(dim=1), "Chosen by the mean density: take the mean of its logarithm."),
    ):
        require(not got.isclose(widths[wrong.argmax()]), why)
    best = widths[scores.argmax()]
    require(False, f"For {d} dimensions the best width is {best:.2f}, yours is {got:.2f}.")


def _kernel_log_prob(x: Tensor, points: Tensor, width: float) -> Tensor:
    squared = (x[:, None] - points).square().sum(dim=2)  # (n, points)
    constant = x.shape[1] / 2 * math.log(2 * math.pi * width**2) + math.log(len(points))
    return (-squared / (2 * width**2)).logsumexp(dim=1) - constant


@exercise
def check_kl_divergence(divergence: Callable) -> str:
    """divergence(p, q, n) estimates KL(p || q) from n samples; p, q have sample and log_prob."""
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
    return f"{got:.3f} where the closed form gives {right:.3f}, and 0 between equals."


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
        log_prob = better(train.clone(), validation.clone())
        require(callable(log_prob), "Return a function that maps points (m, 2) to log p (m,).")
        _check_integral(log_prob)
        got = log_prob(fresh)
        require_shape(got, (4_000,), "(m,)")
        require(
            got.isfinite().all(),
            "Some held-out points get density 0, so the score is minus infinity: leave a little "
            "for every bin (the pseudo-count).",
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
