"""Schedules: single steps add up to the closed form, and tables are those of diffusers."""

import json
import math

import diffusers_reference
import pytest
import torch

from gen_lib import InputError
from gen_lib.schedules import SCHEDULES, Straight, Table, cosine, linear, sigmoid

FROZEN = json.loads(diffusers_reference.FILE.read_text())
TABLES = {"linear": linear, "cosine": cosine, "sigmoid": sigmoid}
every_table = pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
every_schedule = pytest.mark.parametrize(
    "schedule", [f(1000) for f in SCHEDULES.values()], ids=SCHEDULES
)


def at(*t) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def inner(schedule, n: int = 9) -> torch.Tensor:
    """n times of the schedule strictly between clean and noise."""
    return schedule.times(n + 1)[1:-1]


# Tables


@pytest.mark.parametrize("name", TABLES)
def test_alpha_bar_is_that_of_diffusers(name):
    places = torch.tensor([*range(1, 1001, 100), 1000])
    ours = TABLES[name](1000).alpha_bar[places]
    torch.testing.assert_close(
        ours, torch.tensor(FROZEN["alpha_bar"][name]).double(), atol=1e-6, rtol=0
    )


def test_alpha_bar_of_a_case_worked_out_by_hand():
    table = Table(at(0.1, 0.5))
    assert table.alpha_bar.tolist() == pytest.approx([1.0, 0.9, 0.45])
    assert table.alpha.tolist() == pytest.approx([1.0, 0.9, 0.5])
    assert table.signal(at(2.0)).item() == pytest.approx(math.sqrt(0.45))
    assert table.sigma(at(2.0)).item() == pytest.approx(math.sqrt(0.55))


@every_table
def test_the_first_and_the_last_noise(make):
    table = make(1000)
    assert table.signal(at(0.0)).item() == 1
    assert table.sigma(at(0.0)).item() == 0
    assert 0 < table.alpha_bar[-1] < 5e-5
    assert table.beta[1] < 2e-4


def test_cosine_is_its_closed_form_but_where_beta_is_clipped():
    table, t = cosine(100), torch.arange(100)
    f = torch.cos((t / 100 + 0.008) / 1.008 * math.pi / 2) ** 2
    torch.testing.assert_close(table.alpha_bar[:100].float(), f / f[0], atol=1e-6, rtol=1e-4)
    assert table.beta.max().item() == 0.999


def test_a_table_of_the_same_betas_that_is_short_ends_too_early():
    assert linear(100).alpha_bar[-1] > 0.3
    assert cosine(100).alpha_bar[-1] < 1e-4


# What all share


@every_schedule
def test_the_signal_falls_and_the_noise_grows(schedule):
    t = inner(schedule)  # from noise to clean
    for values in (schedule.signal(t), -schedule.sigma(t), schedule.snr(t), schedule.log_snr(t)):
        assert (values.diff() > 0).all()


@every_schedule
def test_the_log_snr_is_the_log_of_the_ratio_of_powers(schedule):
    t = inner(schedule)
    ratio = schedule.signal(t) ** 2 / schedule.sigma(t) ** 2
    torch.testing.assert_close(schedule.snr(t), ratio)
    torch.testing.assert_close(schedule.log_snr(t), ratio.log())


@every_table
def test_tables_keep_the_variance_and_the_straight_path_does_not(make):
    table = make(100)
    t = torch.arange(101, dtype=torch.float64)
    torch.testing.assert_close(table.signal(t) ** 2 + table.sigma(t) ** 2, torch.ones_like(t))
    half = at(0.5)
    assert (Straight().signal(half) ** 2 + Straight().sigma(half) ** 2).item() == 0.5


@every_schedule
def test_a_step_after_another_is_the_step_over_both(schedule):
    t, s, r = inner(schedule, 3)
    for start in (r, at(0.0)[0]):
        first, second, both = (
            schedule.transition(a, b) for a, b in ((start, s), (s, t), (start, t))
        )
        torch.testing.assert_close(second.signal * first.signal, both.signal)
        variance = (second.signal * first.sigma) ** 2 + second.sigma**2
        torch.testing.assert_close(variance, both.sigma**2)


@every_table
def test_one_step_takes_the_roots_of_alpha_and_beta(make):
    table = make(50)
    t = torch.arange(1, 51, dtype=torch.float64)
    ratio, std = table.transition(t - 1, t)
    torch.testing.assert_close(ratio, table.alpha[1:].sqrt())
    torch.testing.assert_close(std, table.beta[1:].sqrt())


@every_table
def test_noising_step_by_step_has_the_moments_of_the_closed_form(make, rng):
    table, n = make(20), 40_000
    x = x_0 = torch.tensor([[-0.8], [0.3], [1.0]]).expand(3, n).clone()
    for t in range(1, 13):
        beta = table.beta[t].item()
        eps = torch.randn(3, n, generator=rng)
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * eps
    closed = table.noised(x_0, at(12.0)[0], torch.randn(3, n, generator=rng))
    signal, sigma = table.signal(at(12.0)).item(), table.sigma(at(12.0)).item()
    for found in (x, closed):
        error = 5 * sigma / math.sqrt(n)
        assert found.mean(dim=1).tolist() == pytest.approx((signal * x_0[:, 0]).tolist(), abs=error)
        assert found.std(dim=1).tolist() == pytest.approx(3 * [sigma], abs=error)
        fourth = ((found - signal * x_0) / sigma).pow(4).mean(dim=1)
        assert fourth.tolist() == pytest.approx(3 * [3.0], abs=5 * math.sqrt(96 / n))


@every_schedule
def test_the_noise_is_found_again(schedule, rng):
    x_0, eps = (torch.randn(9, 2, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    t = inner(schedule)
    torch.testing.assert_close(schedule.noise_in(schedule.noised(x_0, t, eps), t, x_0), eps)


@every_schedule
def test_every_image_gets_its_own_time_or_all_the_same(schedule):
    x_0, eps, t = torch.randn(9, 2, 3), torch.randn(9, 2, 3), inner(schedule)
    each = schedule.noised(x_0, t, eps)
    for n in range(9):
        torch.testing.assert_close(schedule.noised(x_0, t[n], eps)[n], each[n])


@every_schedule
def test_times_go_from_noise_to_clean_in_equal_steps(schedule):
    times = schedule.times(8)
    assert (times[0], times[-1]) == (schedule.last, 0)
    assert times.diff().tolist() == [-schedule.last / 8] * 8
    with pytest.raises(InputError, match="0 steps"):
        schedule.times(0)


def test_a_table_has_no_more_steps_than_times():
    assert linear(50).times(50).tolist() == list(range(50, -1, -1))
    assert (linear(50).times(30).frac() == 0).all()
    with pytest.raises(InputError, match="51 steps are not between 1 and the 50"):
        linear(50).times(51)


@pytest.mark.parametrize("steps", [5, 1000])
def test_training_times_are_all_of_the_table_and_equally_likely(steps, rng):
    t = linear(steps).draw(100_000, rng)
    counts = t.long().bincount(minlength=steps + 1)
    assert counts[0] == 0
    assert len(counts) == steps + 1
    expected = 100_000 / steps
    assert ((counts[1:] - expected).abs() < 5 * math.sqrt(expected)).all()


def test_training_times_of_the_straight_path_are_uniform(rng):
    t = Straight().draw(100_000, rng)
    assert ((t >= 0) & (t < 1)).all()
    assert t.mean().item() == pytest.approx(0.5, abs=0.005)
    assert t.var().item() == pytest.approx(1 / 12, abs=0.002)


@pytest.mark.parametrize("betas", [[], [0.5, 0.0], [0.5, 1.0], [math.nan]])
def test_betas_outside_of_0_to_1_are_refused(betas):
    with pytest.raises(InputError, match="between 0 and 1"):
        Table(torch.tensor(betas))
