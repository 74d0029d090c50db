"""Differences between images: closed forms, and copies that are found."""

import math

import pytest
import torch

from gen_lib.metrics import Row, compared, l1, mse, nearest, psnr, ssim


def images(n: int, side: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# Reconstructions


@pytest.mark.parametrize("off", [0.01, 0.2, 1.0])
def test_mse_and_psnr_of_a_constant_error(off):
    x = images(3)
    assert mse(x + off, x) == pytest.approx(off**2, rel=1e-3)
    assert psnr(x + off, x) == pytest.approx(20 * math.log10(2 / off), rel=1e-3)


def test_psnr_averages_decibels_and_not_errors():
    x = torch.zeros(2, 1, 4, 4)
    y = torch.stack([x[0] + 0.2, x[1] + 0.02])
    assert psnr(y, x) == pytest.approx((20 + 40) / 2, rel=1e-5)


def test_ssim_is_one_for_equal_images_falls_with_noise_and_is_symmetric():
    x, noise = images(4, side=32), images(4, side=32, seed=1)
    values = [ssim((x + a * noise).clamp(-1, 1), x) for a in (0.0, 0.1, 0.3, 1.0)]
    assert values[0] == pytest.approx(1, abs=1e-5)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.8
    assert ssim(noise, x) == pytest.approx(ssim(x, noise), abs=1e-5)


def test_l1_of_a_case_worked_out_by_hand():
    y = torch.tensor([1.0, -1.0, 0.5, 0.0]).reshape(1, 1, 2, 2)
    assert l1(y, torch.zeros(1, 1, 2, 2)) == 2.5 / 4


def test_a_row_compares_the_first_output_with_the_others():
    x = torch.zeros(2, 1, 4, 4)
    row = compared(mse, x, {"": x + 1, "identity": x, "far": x + 2})
    assert row == Row("mse", 1.0, {"identity": 0.0, "far": 4.0})


# Copies


def test_nearest_is_brute_force():
    x, pool = images(20, side=6), images(50, side=6, seed=1)
    found = nearest(x, pool)
    for n in range(20):
        distances = [(x[n] - other).norm().item() for other in pool]
        assert found.distance[n].item() == pytest.approx(min(distances), rel=1e-4)
        assert distances[found.indices[n]] == pytest.approx(min(distances), rel=1e-4)


def test_a_planted_copy_is_found_at_distance_zero_in_any_batch():
    pool = images(700, side=28)
    x = images(600, side=28, seed=1)
    x[3], x[555] = pool[600], pool[7]
    found = nearest(x, pool)
    assert found.indices[[3, 555]].tolist() == [600, 7]
    assert found.distance[[3, 555]].tolist() == [0, 0]
    assert (found.distance > 0).sum() == 598
