"""Chapter 07's checks: right answers in any style pass, each classic mistake is named."""

import math

import pytest
import torch

from gen_course.ch07_comparison import checks
from gen_course.ch07_comparison.checks import (
    check_better_samples,
    check_coverage,
    check_effective_classes,
    check_kernel_distance,
    check_undominated,
)
from gen_course.common.checks import Misconception
from gen_lib.data import load
from gen_lib.metrics import density_coverage, kernel_distance, precision_recall

# Effective classes

RIGHT_CLASSES = {
    "entr": lambda p: torch.special.entr(p).sum().exp(),
    "mask": lambda p: math.exp(-sum(v * math.log(v) for v in p.tolist() if v)),
    "base 2 throughout": lambda p: 2 ** (-(p[p > 0] * p[p > 0].log2()).sum()),
    "clamped": lambda p: torch.exp(-(p * p.clamp(min=1e-12).log()).sum()),
    "distribution": lambda p: torch.distributions.Categorical(p).entropy().exp(),
}
WRONG_CLASSES = {
    "entropy": (lambda p: torch.special.entr(p).sum(), "This is the entropy"),
    "sign": (lambda p: (p * p.clamp(min=1e-12).log()).sum().exp(), "sign is lost"),
    "2 to nats": (lambda p: 2 ** torch.special.entr(p).sum(), "bases are mixed"),
    "exp of bits": (lambda p: (-(p * p.log2()).sum()).exp(), "natural logarithm only"),
    "unweighted": (lambda p: (-p.log().mean()).exp(), "by its share"),
    "count": (lambda p: (p > 0).sum().float(), "a rare one counts for less"),
    "Simpson": (lambda p: 1 / p.square().sum(), "sum of squares"),
    "nan": (lambda p: (-(p * p.log()).sum()).exp(), "0 log 0"),
    "offset": (lambda p: torch.special.entr(p).sum().exp() + 1, "Not exp"),
    "floor": (lambda p: torch.special.entr(p.clamp(min=0.05)).sum().exp(), "an empty one"),
}


@pytest.mark.parametrize("answer", RIGHT_CLASSES.values(), ids=RIGHT_CLASSES)
def test_effective_classes_in_any_style_are_right(answer):
    assert repr(check_effective_classes(answer)).startswith("Right: ")


@pytest.mark.parametrize(("answer", "message"), WRONG_CLASSES.values(), ids=WRONG_CLASSES)
def test_mistakes_with_effective_classes_are_named(answer, message):
    with pytest.raises(Misconception, match=message):
        check_effective_classes(answer)


# Coverage


def reach(points, k):
    return torch.cdist(points, points).sort(dim=1).values[:, k]


def loops(fake, real, k):
    covered = 0
    for point in real:
        others = sorted((point - other).norm().item() for other in real)
        nearest = (fake - point).norm(dim=1).min().item()
        covered += nearest <= others[k] + 1e-6
    return covered / len(real)


RIGHT_COVERAGES = {
    "nearest fake": lambda f, r, k: (torch.cdist(r, f).amin(dim=1) <= reach(r, k)).float().mean(),
    "loops": loops,
    "library": lambda f, r, k: density_coverage(f, r, k)[1],
    "topk": lambda f, r, k: (
        (torch.cdist(r, f) <= torch.cdist(r, r).topk(k + 1, largest=False).values[:, -1:])
        .any(dim=1)
        .double()
        .mean()
    ),
}
WRONG_COVERAGES = {
    "itself": (
        lambda f, r, k: (torch.cdist(r, f).amin(dim=1) <= reach(r, k - 1)).float().mean(),
        "own neighbour",
    ),
    "recall": (lambda f, r, k: precision_recall(f, r, k)[1], "This is recall"),
    "precision": (lambda f, r, k: precision_recall(f, r, k)[0], "This is precision"),
    "density": (lambda f, r, k: density_coverage(f, r, k)[0], "This is density"),
    "all": (
        lambda f, r, k: (torch.cdist(f, r) <= reach(r, k)).all(dim=0).float().mean(),
        "any, not all",
    ),
    "sum": (
        lambda f, r, k: (torch.cdist(f, r) <= reach(r, k)).any(dim=0).float().sum(),
        "number of points",
    ),
    "pairs": (
        lambda f, r, k: (torch.cdist(f, r) <= reach(r, k)).float().mean(),
        "counts pairs",
    ),
    "fixed": (lambda f, r, k: 0.5, "Not the share"),
}


@pytest.mark.parametrize("answer", RIGHT_COVERAGES.values(), ids=RIGHT_COVERAGES)
def test_coverage_in_any_style_is_right(answer):
    assert repr(check_coverage(answer)).startswith("Right: ")


@pytest.mark.parametrize(("answer", "message"), WRONG_COVERAGES.values(), ids=WRONG_COVERAGES)
def test_mistakes_with_coverage_are_named(answer, message):
    with pytest.raises(Misconception, match=message):
        check_coverage(answer)


# The kernel distance


def mmd(a, b, diagonal=False, cross=2.0, scale=True, offset=1.0, power=3):
    def kernel(x, y):
        return ((x @ y.T) / (x.shape[1] if scale else 1) + offset) ** power

    def within(x):
        k = kernel(x, x)
        if diagonal:
            return k.mean()
        return (k.sum() - k.trace()) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - cross * kernel(a, b).mean()


def pairs(a, b):
    def kernel(x, y):
        return (sum(u * v for u, v in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def mean(values):
        values = list(values)
        return sum(values) / len(values)

    a, b = a.tolist(), b.tolist()
    within = [
        mean(kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j)
        for s in (a, b)
    ]
    return sum(within) - 2 * mean(kernel(x, y) for x in a for y in b)


RIGHT_KERNELS = {
    "matrices": mmd,
    "pairs": pairs,
    "library on sets of one size": lambda a, b: (
        kernel_distance(a, b) if len(a) == len(b) else mmd(a, b)
    ),
}
WRONG_KERNELS = {
    "diagonal": (lambda a, b: mmd(a, b, diagonal=True), "with itself"),
    "once": (lambda a, b: mmd(a, b, cross=1.0), "taken off twice"),
    "no d": (lambda a, b: mmd(a, b, scale=False), "number of features"),
    "no 1": (lambda a, b: mmd(a, b, offset=0.0), "The 1 in the kernel"),
    "square": (lambda a, b: mmd(a, b, power=2), "third power"),
    "sign": (lambda a, b: mmd(a, b, cross=-2.0), "wrong sign"),
    "root": (lambda a, b: mmd(a, b).abs().sqrt(), "its root"),
    "cut off": (lambda a, b: mmd(a, b).clamp(min=0), "do not cut it off"),
    "means": (lambda a, b: (a.mean(0) - b.mean(0)).square().sum(), "Not mean k"),
}


@pytest.mark.parametrize("answer", RIGHT_KERNELS.values(), ids=RIGHT_KERNELS)
def test_a_kernel_distance_in_any_style_is_right(answer):
    assert repr(check_kernel_distance(answer)).startswith("Right: ")


@pytest.mark.parametrize(("answer", "message"), WRONG_KERNELS.values(), ids=WRONG_KERNELS)
def test_mistakes_with_the_kernel_distance_are_named(answer, message):
    with pytest.raises(Misconception, match=message):
        check_kernel_distance(answer)


# The rows that no other row beats


def beats(s):
    """Whether row i beats row j."""
    return (s[:, None] >= s).all(dim=2) & (s[:, None] > s).any(dim=2)


def by_rows(s):
    rows = s.tolist()
    return torch.tensor(
        [
            not any(
                all(a >= b for a, b in zip(other, row, strict=True)) and other != row
                for other in rows
            )
            for row in rows
        ]
    )


RIGHT_UNBEATEN = {"tensors": lambda s: ~beats(s).any(dim=0), "rows": by_rows}
WRONG_UNBEATEN = {
    "beaten": (lambda s: beats(s).any(dim=0), "that are beaten"),
    "itself": (lambda s: ~(s[:, None] >= s).all(dim=2).any(dim=0), "does not beat itself"),
    "strictly": (lambda s: ~(s[:, None] > s).all(dim=2).any(dim=0), "at least as good"),
    "tops": (lambda s: (s == s.amax(dim=0)).any(dim=1), "best in nothing"),
    "sum": (lambda s: s.sum(dim=1) == s.sum(dim=1).max(), "largest sum"),
    "numbers": (lambda s: (~beats(s).any(dim=0)).float(), "truth values"),
    "all": (lambda s: torch.ones(len(s), dtype=torch.bool), "Not the rows"),
    "twins": (
        lambda s: ~((s[:, None] >= s).all(dim=2) & ~torch.eye(len(s)).bool()).any(dim=0),
        "Two equal rows",
    ),
}


@pytest.mark.parametrize("answer", RIGHT_UNBEATEN.values(), ids=RIGHT_UNBEATEN)
def test_the_unbeaten_in_any_style_are_right(answer):
    assert repr(check_undominated(answer)).startswith("Right: ")


@pytest.mark.parametrize(("answer", "message"), WRONG_UNBEATEN.values(), ids=WRONG_UNBEATEN)
def test_mistakes_with_the_unbeaten_are_named(answer, message):
    with pytest.raises(Misconception, match=message):
        check_undominated(answer)


# The experiment: samples that are good enough


def blurred(x):
    return torch.nn.functional.avg_pool2d(x, 3, 1, 1)


BAD_SAMPLES = {
    "shape": (lambda train: train.subset(20).x, r"\(2000, 1, 28, 28\)"),
    "nan": (lambda train: train.subset(2_000).x / 0, "diverged"),
    "range": (lambda train: 2 * train.subset(2_000).x, "clamp"),
    "copies": (lambda train: train.subset(2_000).x, "training images"),
    "one": (lambda train: blurred(train.subset(1).x).repeat(2_000, 1, 1, 1), "much alike"),
}


@pytest.mark.parametrize(("answer", "message"), BAD_SAMPLES.values(), ids=BAD_SAMPLES)
def test_mistakes_with_samples_are_named(answer, message):
    with pytest.raises(Misconception, match=message):
        check_better_samples(answer)


def test_samples_pass_if_they_are_near_enough(monkeypatch):
    monkeypatch.setattr(checks, "MOST_FRECHET", 0.5)
    x = load("fashion_mnist").test.subset(2_000).x
    assert "recall" in check_better_samples(lambda _: x).message
    with pytest.raises(Misconception, match="Which part limits"):
        check_better_samples(lambda _: blurred(x))


def test_an_experiment_that_was_not_made_is_not_attempted():
    def stub(train):
        raise NotImplementedError("stub")

    assert not check_better_samples(stub).attempted
