"""The linear probe: the best possible accuracy, chance, and no dependence on scale."""

import math

import pytest
import torch

from gen_lib.metrics.linear_probe import Labelled, linear_probe


def two_clouds(n: int, gap: float, seed: int) -> Labelled:
    noise = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(n) % 2
    return Labelled(noise + gap * labels[:, None], labels)


def test_a_probe_reaches_the_best_possible_accuracy_and_chance_without_information():
    parts = [two_clouds(n, 1.0, seed) for seed, n in enumerate((4_000, 500, 4_000))]
    best = 0.5 * (1 + math.erf(math.sqrt(5) / 2 / math.sqrt(2)))  # best rule: Phi(distance / 2)
    assert linear_probe(*parts) == pytest.approx(best, abs=0.015)
    parts = [two_clouds(n, 0.0, seed) for seed, n in enumerate((4_000, 500, 4_000))]
    assert linear_probe(*parts) == pytest.approx(0.5, abs=0.03)


def test_a_probe_does_not_depend_on_the_scale_of_a_feature():
    parts = [two_clouds(200, 1.0, seed) for seed in range(3)]
    scaled = [Labelled(p.features * torch.tensor([1, 5, 20, 100, 300]), p.labels) for p in parts]
    assert linear_probe(*scaled) == pytest.approx(linear_probe(*parts), abs=0.02)
