"""Toy data: samples follow the stated density and lie where the docstring says."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from gen_lib import InputError
from gen_lib.data import TOYS, DensityToy, load_toy

MIXTURES = ["eight_gaussians", "grid"]
N = 100_000


def cell_midpoints(low: float, high: float, n: int) -> torch.Tensor:
    """The midpoints of n x n cells over the square [low, high]^2."""
    ticks = low + (high - low) * (torch.arange(n) + 0.5) / n
    return torch.cartesian_prod(ticks, ticks)


@pytest.mark.parametrize("name", MIXTURES)
def test_samples_of_a_mixture_have_its_mean_and_covariance(name, rng):
    toy = load_toy(name)
    x = toy.sample(N, rng)
    covariance = toy.means.T @ toy.means / len(toy.means) + toy.sigma**2 * torch.eye(2)
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(2), atol=0.03, rtol=0)
    torch.testing.assert_close(x.T.cov(), covariance, atol=0.03, rtol=0)


def test_eight_gaussians_stand_on_a_circle_of_radius_two_and_grid_in_rows_of_five():
    circle, grid = load_toy("eight_gaussians").means, load_toy("grid").means
    torch.testing.assert_close(circle.norm(dim=1), torch.full((8,), 2.0))
    steps = (circle - circle.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(steps, torch.full((8,), 4 * math.sin(math.pi / 8)))
    assert {tuple(m) for m in grid.tolist()} == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}


@pytest.mark.parametrize("name", MIXTURES)
def test_every_mode_is_sampled_alike(name, rng):
    toy = load_toy(name)
    modes = torch.cdist(toy.sample(N, rng), toy.means).argmin(dim=1).bincount()
    share = modes / N
    three_errors = 4 * math.sqrt(1 / len(toy.means) / N)
    assert (share - 1 / len(toy.means)).abs().max() < three_errors


@pytest.mark.parametrize("name", MIXTURES)
def test_log_prob_of_a_mixture_is_that_of_torch_distributions(name, rng):
    toy = load_toy(name)
    parts = Independent(Normal(toy.means, torch.tensor(toy.sigma)), 1)
    peer = MixtureSameFamily(Categorical(torch.ones(len(toy.means))), parts)
    x = torch.cat([toy.sample(200, rng), 3 * torch.randn(200, 2, generator=rng)])
    torch.testing.assert_close(toy.log_prob(x), peer.log_prob(x))


@pytest.mark.parametrize("name", MIXTURES)
def test_the_square_around_a_mode_holds_one_over_m_of_the_probability(name):
    toy = load_toy(name)
    half_side = 8 * toy.sigma
    x = toy.means[1] + cell_midpoints(-half_side, half_side, 200)
    integral = toy.log_prob(x).double().exp().sum() * (2 * half_side / 200) ** 2
    assert integral == pytest.approx(1 / len(toy.means), rel=1e-4)


def test_checkerboard_integrates_to_one_exactly():
    density = load_toy("checkerboard").log_prob(cell_midpoints(-3, 3, 60)).double().exp()
    assert density.sum().item() * 0.1**2 == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "entropy"),
    [
        ("eight_gaussians", math.log(8) + math.log(2 * math.pi * math.e * 0.05**2)),
        ("grid", math.log(25) + math.log(2 * math.pi * math.e * 0.05**2)),
        ("checkerboard", math.log(8)),
    ],
)
def test_minus_log_prob_of_samples_averages_to_the_entropy(name, entropy, rng):
    toy = load_toy(name)
    assert isinstance(toy, DensityToy)
    estimate = -toy.log_prob(toy.sample(N, rng)).mean().item()
    assert estimate == pytest.approx(entropy, abs=4 / math.sqrt(N) + 1e-6)


def test_checkerboard_fills_eight_squares_alike_and_leaves_the_others_empty(rng):
    toy = load_toy("checkerboard")
    x = toy.sample(N, rng)
    assert torch.isfinite(toy.log_prob(x)).all()
    cell = (x.floor().long() + 2) @ torch.tensor([4, 1])
    counts = cell.bincount(minlength=16)
    assert (counts > 0).sum() == 8
    assert (counts[counts > 0] / N - 1 / 8).abs().max() < 0.005
    torch.testing.assert_close((x % 1).mean(dim=0), torch.full((2,), 0.5), atol=0.005, rtol=0)


def test_outside_the_board_the_density_is_zero():
    outside = torch.tensor([[2.5, 0.5], [-2.5, 0.5], [0.5, 7.0], [-4.5, -4.5]])
    assert (load_toy("checkerboard").log_prob(outside) == -math.inf).all()


def distance_to_moons(x: torch.Tensor) -> torch.Tensor:
    angle = torch.linspace(0, math.pi, 2_000)
    upper = 1.5 * torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
    return torch.cdist(x, torch.cat([upper, -upper])).min(dim=1).values


def distance_to_roll(x: torch.Tensor) -> torch.Tensor:
    angle = torch.linspace(1.5 * math.pi, 4.5 * math.pi, 5_000)
    curve = (angle / (2.25 * math.pi))[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return torch.cdist(x, curve).min(dim=1).values


@pytest.mark.parametrize(
    ("name", "distance", "sigma"),
    [("two_moons", distance_to_moons, 0.1), ("swiss_roll", distance_to_roll, 0.05)],
)
def test_samples_lie_on_the_curve_up_to_the_stated_noise(name, distance, sigma, rng):
    away = distance(load_toy(name).sample(5_000, rng))
    assert away.square().mean().sqrt() == pytest.approx(sigma, rel=0.05)
    assert away.max() < 5 * sigma


def test_the_two_moons_are_mirror_images_and_equally_likely(rng):
    x = load_toy("two_moons").sample(N, rng)
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(2), atol=0.02, rtol=0)
    assert (x[:, 1] > 0).float().mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", TOYS)
def test_points_lie_within_three(name, rng):
    assert (load_toy(name).sample(N, rng).abs() < 3).float().mean() > 0.9999


@pytest.mark.parametrize("name", TOYS)
def test_points_come_from_the_rng_alone(name):
    before = torch.get_rng_state()
    draws = [load_toy(name).sample(50, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_toy_is_refused_with_the_names_of_all():
    with pytest.raises(InputError, match="'ring': choose one of eight_gaussians, grid, two_moons"):
        load_toy("ring")


def test_a_batch_shares_no_noise_with_what_a_model_draws_in_that_step():
    toy, step = load_toy("eight_gaussians"), 7
    x = toy.batch(step, 256).images.flatten(1)
    noise = (x - toy.means[torch.cdist(x, toy.means).argmin(dim=1)]) / toy.sigma
    z = torch.randn(512, 2, generator=torch.Generator().manual_seed(step))
    shared = torch.isclose(noise.flatten()[:, None], z.flatten(), rtol=0, atol=1e-5)
    assert shared.sum() < 20  # all 512 if both drew from the same stream
