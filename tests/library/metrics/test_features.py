"""Distances of features, compared with closed forms, naive versions, limits and torchmetrics."""

import math

import pytest
import torch
from torch import nn

from gen_lib.metrics import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


# The Fréchet distance


def test_frechet_distance_of_gaussians_is_its_closed_form():
    mean_a, mean_b = torch.tensor([1.0, 0.0, 2.0, -1.0]), torch.tensor([0.0, 0.5, 2.0, 1.0])
    std_a, std_b = torch.tensor([1.0, 2.0, 0.5, 1.0]), torch.tensor([2.0, 1.0, 0.5, 3.0])
    a, b = mean_a + std_a * normal(200_000, 4), mean_b + std_b * normal(200_000, 4, seed=1)
    closed = (mean_a - mean_b).square().sum() + (std_a - std_b).square().sum()
    assert frechet_distance(a, b) == pytest.approx(closed.item(), rel=0.01)


def test_frechet_distance_of_rotated_gaussians_is_that_of_numpy():
    a, b = normal(400, 5) @ normal(5, 5, seed=2), normal(300, 5, seed=1) @ normal(5, 5, seed=3) + 1
    s_a, s_b = a.T.cov().double(), b.T.cov().double()
    values, vectors = torch.linalg.eigh(s_a)
    root_a = vectors * values.sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ s_b @ root_a).clamp(min=0).sqrt().sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + s_a.trace() + s_b.trace() - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-3)


def test_frechet_distance_is_zero_for_equal_sets_and_symmetric():
    a, b = normal(500, 8), normal(500, 8, seed=1) * 1.5 + 0.3
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-4)


class AsGiven(nn.Module):
    """A feature extractor for torchmetrics that returns its input, which holds features already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features):
        return features


@pytest.mark.parametrize(
    ("n", "m", "d"), [(300, 300, 5), (400, 250, 64), (500, 500, 128), (60, 90, 128), (2, 3, 16)]
)
def test_frechet_distance_is_that_of_torchmetrics_also_with_fewer_images_than_features(n, m, d):
    from torchmetrics.image.fid import FrechetInceptionDistance

    mixing = normal(d, d, seed=2) / d**0.5
    a, b = normal(n, d).relu(), (normal(m, d, seed=1) @ mixing + 0.3).relu()
    theirs = FrechetInceptionDistance(feature=AsGiven(d)).set_dtype(torch.float64)
    theirs.update(b.double(), real=True)
    theirs.update(a.double(), real=False)
    assert frechet_distance(a, b) == pytest.approx(theirs.compute().item(), rel=1e-4)


# The kernel distance


def test_kernel_distance_of_one_subset_is_the_naive_unbiased_mmd():
    a, b = normal(60, 5), normal(60, 5, seed=1) + 0.5

    def mean_kernel(x, y, same):
        total = sum(
            ((x[i] @ y[j]).item() / 5 + 1) ** 3
            for i in range(len(x))
            for j in range(len(y))
            if not (same and i == j)
        )
        return total / (len(x) * (len(y) - same))

    naive = mean_kernel(a, a, True) + mean_kernel(b, b, True) - 2 * mean_kernel(a, b, False)
    assert kernel_distance(a, b) == pytest.approx(naive, rel=1e-3)


def test_kernel_distance_vanishes_for_equal_distributions_only():
    a, b = normal(250, 4), normal(250, 4, seed=1)
    assert abs(kernel_distance(a, b)) < 0.05
    assert kernel_distance(a, b + 0.5) > 0.1
    assert kernel_distance(a, 1.5 * b) > 0.1


def test_kernel_distance_depends_on_its_seed_only():
    a, b = normal(200, 4), normal(150, 4, seed=1)
    before = torch.get_rng_state()
    first = kernel_distance(a, b, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert kernel_distance(a, b, seed=3) == first
    assert kernel_distance(a, b, seed=4) != first


# Neighbour figures


def naive_reach(points, i: int, k: int) -> float:
    others = [math.dist(points[i], points[j]) for j in range(len(points)) if j != i]
    return sorted(others)[k - 1]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighbour_figures_are_those_of_naive_loops(k):
    fake, real = normal(40, 3).tolist(), (normal(30, 3, seed=1) + 0.7).tolist()
    inside_real = [
        [math.dist(f, r) <= naive_reach(real, j, k) for j, r in enumerate(real)] for f in fake
    ]
    inside_fake = [
        [math.dist(f, r) <= naive_reach(fake, i, k) for i, f in enumerate(fake)] for r in real
    ]
    precision = sum(map(any, inside_real)) / 40
    recall = sum(map(any, inside_fake)) / 30
    density = sum(map(sum, inside_real)) / 40 / k
    coverage = sum(any(row[j] for row in inside_real) for j in range(30)) / 30
    a, b = torch.tensor(fake), torch.tensor(real)
    assert precision_recall(a, b, k) == pytest.approx((precision, recall))
    assert density_coverage(a, b, k) == pytest.approx((density, coverage))


def test_equal_sets_score_one_and_sets_far_apart_zero():
    a = normal(100, 8)
    assert precision_recall(a, a) == (1, 1)
    assert density_coverage(a, a)[1] == 1
    assert precision_recall(a, a + 100) == (0, 0)
    assert density_coverage(a, a + 100) == (0, 0)


@pytest.mark.parametrize(("n", "m", "k"), [(300, 300, 5), (200, 400, 3), (300, 300, 1)])
def test_density_and_coverage_of_equal_distributions_have_their_expectation(n, m, k):
    found = torch.tensor(
        [density_coverage(normal(m, 3, 2 * s), normal(n, 3, 2 * s + 1), k) for s in range(40)]
    )
    missed = math.prod((n - 1 - j) / (n + m - 1 - j) for j in range(k))
    errors = found.std(dim=0) / math.sqrt(40)
    assert (errors < 0.02).all()
    assert abs(found[:, 0].mean() - 1) < 4 * errors[0]
    assert abs(found[:, 1].mean() - (1 - missed)) < 4 * errors[1]


def test_collapsed_samples_are_precise_and_recall_nothing():
    real = normal(500, 4)
    collapsed = 0.01 * normal(500, 4, seed=1)
    precision, recall = precision_recall(collapsed, real)
    assert precision == 1
    assert recall < 0.02
    assert density_coverage(collapsed, real)[1] < 0.2
