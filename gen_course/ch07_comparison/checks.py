"""Checks for chapter 07: classes, coverage, kernel distance, undominated rows, samples."""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from gen_course.common.checks import exercise, number, require, require_none_of, require_shape, same
from gen_course.common.properties import Arguments, agrees
from gen_lib.data import load
from gen_lib.metrics import nearest
from gen_lib.metrics.sample_quality import SampleQuality

N_SAMPLES, MOST_FRECHET = 2_000, 8.0  # of the experiment


@exercise
def check_effective_classes(effective_classes: Callable) -> str:
    """effective_classes(shares): exp of the entropy of shares (K,), in nats; one number."""
    shares = torch.tensor([0.5, 0.25, 0.2, 0.05])
    logs = shares.log()
    entropy = -(shares * logs).sum()
    got = number(effective_classes(shares.clone()), "sum over the classes")
    require_none_of(
        got,
        (entropy, "This is the entropy: its exponential is a number of classes."),
        (
            (-entropy).exp(),
            "A sign is lost: all logarithms are negative, and the sum is to be > 0.",
        ),
        (2**entropy, "Two bases are mixed: exp belongs to the natural logarithm, 2** to log2."),
        ((entropy / torch.tensor(2.0).log()).exp(), "exp is undone by the natural logarithm only."),
        ((-logs.mean()).exp(), "Each class counts by its share: p log p, not log p alone."),
        (torch.tensor(4.0), "This counts the classes that occur: a rare one counts for less."),
        (1 / shares.square().sum(), "This is one over the sum of squares, another such number."),
    )
    require(same(got, entropy.exp()), "Not exp(-sum p log p).")
    uneven = number(effective_classes(torch.tensor([0.5, 0.5, 0.0])), "sum over the classes")
    require(not uneven.isnan(), "0 log 0 came out as nan: a class that never occurs adds 0.")
    require(same(uneven, torch.tensor(2.0)), "Two equal classes and an empty one are 2 classes.")
    agrees(
        effective_classes,
        lambda shares: (-(shares * shares.log()).sum()).exp(),
        lambda rng, K: {"shares": torch.randn(K, generator=rng).softmax(0)},
        [(4,), (1,), (9,)],
        form="sum over the classes",
    )
    return "as many as there are for equal shares, fewer the more uneven they are."


@exercise
def check_coverage(coverage: Callable) -> str:
    """coverage(fake, real, k): the share of real points with a fake within their reach.

    The reach of a real point is the distance to its k-th nearest other real point.
    """
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(60, 3, generator=rng)
    fake = 0.6 * torch.randn(40, 3, generator=rng) + 0.3
    k = 3
    got = number(coverage(fake.clone(), real.clone(), k), "a mean over the real points")
    right = _covered(fake, real, k).float().mean()
    require_none_of(got, *_mistakes_of_coverage(fake, real, k))
    require(same(got, right), "Not the share of real points that have a fake within reach.")
    collapsed = number(coverage(real[:1].repeat(40, 1), real, k), "a mean over the real points")
    require(collapsed < 0.3, "Forty copies of one point cover no more than its neighbours.")
    agrees(
        coverage,
        lambda fake, real, k: _covered(fake, real, k).float().mean(),
        _two_samples,
        [(40, 60, 3, 3), (50, 30, 1, 5), (10, 25, 6, 1)],
        form="a mean over the real points",
    )
    return "each real point once, by the reach among real points."


def _two_samples(rng: Generator, n: int, m: int, d: int, k: int) -> Arguments:
    fake, real = torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng)
    return {"fake": 0.7 * fake + 0.4, "real": real, "k": k}


def _mistakes_of_coverage(fake: Tensor, real: Tensor, k: int) -> Iterator[tuple[Tensor, str]]:
    apart, within = torch.cdist(fake, real), torch.cdist(real, real)  # (40, 60), (60, 60)
    reach, short = (within.kthvalue(n, dim=1).values for n in (k + 1, k))
    of_fakes = torch.cdist(fake, fake).kthvalue(k + 1, dim=1).values
    inside = apart <= reach
    yield from (
        (
            (apart <= short).any(dim=0).float().mean(),
            "A point is counted as its own neighbour: the k-th other one is the (k + 1)-th.",
        ),
        (
            (apart <= of_fakes[:, None]).any(dim=0).float().mean(),
            "This is recall, with the reaches of the fakes: take those of the reals.",
        ),
        (inside.any(dim=1).float().mean(), "This is precision: the share of fakes, not of reals."),
        (inside.sum(dim=1).float().mean() / k, "This is density: count each real point once."),
        (inside.all(dim=0).float().mean(), "One fake within reach is enough: any, not all."),
        (
            inside.any(dim=0).float().sum(),
            "This is a number of points: divide by how many there are.",
        ),
        (inside.float().mean(), "This counts pairs: a real point is covered or it is not."),
    )


def _covered(fake: Tensor, real: Tensor, k: int) -> Tensor:
    """Whether each real point has a fake within its reach."""
    reach = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    return (torch.cdist(fake, real) <= reach).any(dim=0)


@exercise
def check_kernel_distance(kernel_distance: Callable) -> str:
    """kernel_distance(a, b): the unbiased squared MMD with the kernel (x.y / d + 1)^3."""
    rng = torch.Generator().manual_seed(1)
    a, b = torch.randn(7, 4, generator=rng), 0.5 + torch.randn(9, 4, generator=rng)
    got = number(kernel_distance(a.clone(), b.clone()), "a mean over pairs")
    right = _mmd(a, b)
    require_none_of(
        got,
        (_mmd(a, b, biased=True), "Pairs of a point with itself are counted: leave them out."),
        (_mmd(a, b, cross=1.0), "The mixed term is to be taken off twice."),
        (_mmd(a, b, scale=1.0), "The product is to be divided by the number of features d."),
        (_mmd(a, b, offset=0.0), "The 1 in the kernel is missing."),
        (_mmd(a, b, power=2), "The kernel is a third power."),
        (_mmd(a, b, cross=-2.0), "The mixed term has the wrong sign."),
        (right.abs().sqrt(), "This is its root: an estimate of 0 may be below 0 and has none."),
    )
    require(same(got, right), "Not mean k(a, a') + mean k(b, b') - 2 mean k(a, b).")
    equal = number(kernel_distance(a.clone(), a.clone()), "a mean over pairs")
    require(
        same(equal, _mmd(a, a)), "For equal sets the estimate is below 0: do not cut it off there."
    )
    agrees(
        kernel_distance,
        _mmd,
        lambda rng, n, m, d: {
            "a": torch.randn(n, d, generator=rng),
            "b": torch.randn(m, d, generator=rng) + 0.5,
        },
        [(7, 9, 4), (2, 5, 1), (12, 3, 6)],
        form="a mean over pairs",
    )
    return "without a bias: 0 on average for sets of one distribution."


def _mmd(
    a: Tensor,
    b: Tensor,
    biased: bool = False,
    cross: float = 2.0,
    scale: float | None = None,
    offset: float = 1.0,
    power: int = 3,
) -> Tensor:
    d = a.shape[1] if scale is None else scale

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / d + offset) ** power

    def within(x: Tensor) -> Tensor:
        k, n = kernel(x, x), len(x)
        return k.mean() if biased else (k.sum() - k.diagonal().sum()) / (n * (n - 1))

    return within(a) + within(b) - cross * kernel(a, b).mean()


@exercise
def check_undominated(undominated: Callable) -> str:
    """undominated(scores): True for each row of scores (n, criteria) that no other row beats.

    A row beats another if it is at least as good in everything and better in something.
    """
    scores = torch.tensor(
        [[0.9, 0.1, 0.5], [0.2, 0.8, 0.6], [0.9, 0.1, 0.4], [0.5, 0.5, 0.5], [0.1, 0.7, 0.3]]
    )
    right = torch.tensor([True, True, False, True, False])
    got = undominated(scores.clone())
    require_shape(got, (5,), "(n,)")
    require(got.dtype == torch.bool, "The result must be truth values, one for each row.")
    top = (scores == scores.amax(dim=0)).any(dim=1)
    sums = scores.sum(dim=1)
    require(got.any(), "No row is left: a row does not beat itself, it is no better.")
    require(not torch.equal(got, ~right), "These are the rows that are beaten.")
    require(
        not torch.equal(got, torch.tensor([True, True, True, True, False])),
        "A row that is equal in something and worse in the rest is beaten, too: better in one "
        "criterion and at least as good in all others is enough.",
    )
    require(
        not torch.equal(got, top),
        "A row that is best in nothing need not be beaten: no single other row may be as good "
        "in everything.",
    )
    require(
        not torch.equal(got, sums == sums.max()),
        "This takes the largest sum: that is one choice of weights among many.",
    )
    require(torch.equal(got, right), "Not the rows that no other row beats.")
    twins = undominated(torch.tensor([[0.5, 0.5], [0.5, 0.5]]))
    require(bool(twins.all()), "Two equal rows do not beat each other.")
    agrees(
        lambda scores: undominated(scores).float(),
        _undominated,
        lambda rng, n, c: {"scores": torch.randint(4, (n, c), generator=rng) / 4},
        [(5, 3), (9, 2), (1, 4), (30, 1)],
        form="(n,)",
    )
    return "what no other beats, also where it is best in nothing."


def _undominated(scores: Tensor) -> Tensor:
    """1 for each row that no other row beats, else 0."""
    other, own = scores[:, None], scores[None]
    beats = (other >= own).all(dim=2) & (other > own).any(dim=2)
    return (~beats.any(dim=0)).float()


@exercise
def check_better_samples(better_samples: Callable) -> str:
    """better_samples(train): 2,000 samples with a Fréchet distance of at most ``MOST_FRECHET``."""
    data = load("fashion_mnist")
    x = better_samples(data.train)
    require_shape(x, (N_SAMPLES, 1, 28, 28), "(2000, 1, 28, 28)")
    x = x.detach().float()
    require(x.isfinite().all(), "Training diverged: not every pixel is finite. Lower the rate.")
    require(x.abs().max() <= 1.001, "Pixels lie in [-1, 1]: clamp the samples.")
    few = x[:: N_SAMPLES // 100]
    apart = nearest(few, data.train.x).distance
    require(apart.median() > 0.5, "These are training images, not samples of a model.")
    between = torch.pdist(few.flatten(1)).median()
    require(between > 0.5, "All samples are much alike: draw new noise for each of them.")
    found = SampleQuality(data).quality(x)
    scores = f"Fréchet distance {found.frechet:.2f}, recall {found.recall:.2f}"
    require(
        found.frechet <= MOST_FRECHET,
        f"{N_SAMPLES:,} samples have a {scores}; {MOST_FRECHET:g} is allowed. Which part limits "
        "you: what the autoencoder loses, or the flow?",
    )
    return f"{scores} for {N_SAMPLES:,} samples."
