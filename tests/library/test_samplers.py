"""Samplers: against exact posteriors, exact moments of a Gaussian, and diffusers step by step."""

import json
import math
from itertools import pairwise

import diffusers_reference
import pytest
import torch

from gen_lib import InputError
from gen_lib.data import load_toy, modes
from gen_lib.data.toys import EIGHT_GAUSSIANS, Mixture
from gen_lib.models.diffusion import solve
from gen_lib.samplers import (
    DDIM,
    Ancestral,
    Estimate,
    Heun,
    State,
    even_in_tau,
    exact,
    guided,
    keep_known,
    posterior,
    straightened,
    with_returns,
)
from gen_lib.schedules import SCHEDULES, Straight, cosine, linear

FROZEN = json.loads(diffusers_reference.FILE.read_text())
MU = torch.tensor([0.5, -1.0], dtype=torch.float64)
SIGMA = torch.tensor([[0.8, 0.3], [0.3, 0.4]], dtype=torch.float64)
SAMPLERS = {
    "ancestral": Ancestral,
    "DDIM": DDIM,
    "DDIM, half of the noise": lambda schedule: DDIM(schedule, 0.5),
    "Heun": Heun,
}
FINE = 2**14  # enough times for steps to be nearly even
PATHS = {
    "straight": Straight(),
    "cosine": cosine(FINE),
    "linear": linear(FINE, 0.1 / FINE, 20 / FINE),
}
every_sampler = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
every_path = pytest.mark.parametrize("schedule", PATHS.values(), ids=PATHS)


def at(t) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def unasked(x_t, t):
    """A denoiser that fails when called, for steps that need no second estimate."""
    raise AssertionError("asked for another estimate")


def gaussian(schedule):
    """The exact denoiser for x_0 ~ N(MU, SIGMA)."""

    def denoise(x_t, t):
        signal, sigma = schedule.signal(t), schedule.sigma(t)
        covariance = signal**2 * SIGMA + sigma**2 * torch.eye(2)
        gain = signal * SIGMA @ torch.linalg.inv(covariance)
        x_0 = MU + (x_t - signal * MU) @ gain.T
        return Estimate(x_0, (x_t - signal * x_0) / sigma)

    return denoise


def moments(sampler, steps):
    """Exact mean and covariance of a sampler's results, from the exact ones at the start.

    With this denoiser a step is affine in x and in the noise, so five points determine it.
    """
    schedule, denoise = sampler.schedule, gaussian(sampler.schedule)
    times, unit, zero = sampler.times(steps), torch.eye(2).double(), torch.zeros(2, 2).double()
    x, z = torch.cat([zero[:1], unit, zero]), torch.cat([zero[:1], zero, unit])
    signal, sigma = schedule.signal(times[0]), schedule.sigma(times[0])
    mean, covariance = signal * MU, signal**2 * SIGMA + sigma**2 * unit
    for t, s in pairwise(times):
        ends = sampler.step(State(t, x, denoise(x, t), 0), s, z, denoise)
        shift, (a, c) = ends[0], ((ends[1:] - ends[0]).T).split(2, dim=1)
        mean, covariance = a @ mean + shift, a @ covariance @ a.T + c @ c.T
    return mean, covariance


# The oracle


def test_the_exact_denoiser_of_one_gaussian_is_the_closed_form():
    one = Mixture("one", torch.tensor([[0.5, -1.0]]), sigma=0.7)
    schedule, t, x = cosine(100), at(40.0), torch.randn(5, 2).double()
    signal, sigma = schedule.signal(t), schedule.sigma(t)
    gain = signal * 0.49 / (0.49 * signal**2 + sigma**2)
    expected = one.means + gain * (x - signal * one.means)
    torch.testing.assert_close(exact(one, schedule)(x, t).x_0, expected.double())


@every_path
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_the_exact_noise_of_a_mixture_is_the_slope_of_its_log_density(schedule, share, rng):
    mixture, t = load_toy("grid"), at(share * schedule.last)
    signal, sigma = schedule.signal(t), schedule.sigma(t)
    noised = Mixture(
        "noised",
        (signal * mixture.means).double(),
        math.hypot(signal.item() * mixture.sigma, sigma.item()),
    )
    x = 2 * torch.randn(50, 2, generator=rng, dtype=torch.float64)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(noised.log_prob(x).sum(), x)
    eps = exact(mixture, schedule)(x.detach(), t).eps  # Tweedie: eps = -sigma grad log p(x_t)
    torch.testing.assert_close(eps, -sigma * slope, atol=1e-5, rtol=1e-5)


def test_the_exact_denoiser_takes_images_and_points_and_a_time_for_each(rng):
    x, t = torch.randn(6, 2, generator=rng), torch.linspace(0.1, 0.9, 6)
    denoise = exact(EIGHT_GAUSSIANS, Straight())
    each = denoise(x[:, :, None, None], t).x_0
    assert each.shape == (6, 2, 1, 1)
    for n in range(6):
        one = denoise(x[n : n + 1], t[n]).x_0
        torch.testing.assert_close(one[0], each[n, :, 0, 0])


# Steps


@pytest.mark.parametrize("t", [1, 2, 7, 20])
def test_the_posterior_is_that_of_ho_et_al(t, rng):
    table = linear(20)
    x_t, x_0 = torch.randn(2, 4, 3, generator=rng, dtype=torch.float64)
    mean, std = posterior(table, x_t, x_0, at(float(t)), at(t - 1.0))
    beta, alpha, bar, before = (
        table.beta[t],
        table.alpha[t],
        table.alpha_bar[t],
        table.alpha_bar[t - 1],
    )
    mu = before.sqrt() * beta / (1 - bar) * x_0 + alpha.sqrt() * (1 - before) / (1 - bar) * x_t
    torch.testing.assert_close(mean, mu)
    torch.testing.assert_close(std**2, (1 - before) / (1 - bar) * beta, atol=1e-12, rtol=1e-9)


@every_path
def test_the_posterior_is_bayes_rule(schedule):
    t, s = schedule.times(8)[2:4]
    x_s = torch.linspace(-8, 8, 16_001, dtype=torch.float64)
    x_0, x_t = at([0.7]), at([-0.4])
    ratio, forward = schedule.transition(s, t)
    log_p = -((x_s - schedule.signal(s) * x_0) ** 2) / (2 * schedule.sigma(s) ** 2)
    weights = (log_p - (x_t - ratio * x_s) ** 2 / (2 * forward**2)).softmax(dim=0)
    mean, std = posterior(schedule, x_t, x_0, t, s)
    assert mean.item() == pytest.approx((weights @ x_s).item(), abs=1e-6)
    assert std.item() ** 2 == pytest.approx((weights @ (x_s - mean) ** 2).item(), rel=1e-5)


@every_path
def test_the_simple_loss_is_a_term_of_the_bound_but_for_its_weight(schedule, rng):
    t, s = schedule.times(8)[2:4]
    x_t, x_0, guess = torch.randn(3, 5, 2, generator=rng, dtype=torch.float64)
    (right, std), (wrong, _) = (posterior(schedule, x_t, x, t, s) for x in (x_0, guess))
    kl = (right - wrong) ** 2 / (2 * std**2)
    gained = schedule.snr(s) - schedule.snr(t)
    torch.testing.assert_close(kl, gained / 2 * (x_0 - guess) ** 2)


@pytest.mark.parametrize("schedule", [f(100) for f in SCHEDULES.values()], ids=SCHEDULES)
def test_the_ancestral_step_is_ddim_with_eta_1(schedule, rng):
    x, z = torch.randn(2, 6, 3, generator=rng, dtype=torch.float64)
    for t, s in pairwise(schedule.times(10)):
        x_0 = torch.tanh(x)
        now = State(t, x, Estimate(x_0, schedule.noise_in(x, t, x_0)), 1)
        a, b = (
            sampler.step(now, s, z, unasked) for sampler in (Ancestral(schedule), DDIM(schedule, 1))
        )
        torch.testing.assert_close(a, b, atol=1e-7, rtol=1e-7)


@every_path
@every_sampler
def test_whoever_knows_the_image_gets_it_whatever_the_sampler(make, schedule, rng):
    x_0 = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    x = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    knows = lambda x_t, t: Estimate(x_0, schedule.noise_in(x_t, t, x_0))  # noqa: E731
    *_, last = make(schedule).states(knows, x, schedule.times(8), rng)
    torch.testing.assert_close(last.x, x_0)


def test_no_noise_is_added_at_the_last_step(rng):
    schedule, z = linear(10), torch.randn(4, 2, generator=rng)
    now = State(at(1.0), z, Estimate(torch.tanh(z), z), 1)
    for make in SAMPLERS.values():
        ends = [make(schedule).step(now, at(0.0), noise, unasked) for noise in (z, -3 * z)]
        assert torch.equal(*ends)


# Exact moments, and how fast they are reached


@every_path
@every_sampler
def test_the_moments_of_a_gaussian_are_reached_at_the_order_of_the_sampler(make, schedule):
    sampler, errors = make(schedule), []
    for steps in (32, 64, 128):
        mean, covariance = moments(sampler, steps)
        torch.testing.assert_close(mean, MU, atol=1e-9, rtol=0)  # exact for any number of steps
        errors.append((covariance - SIGMA).abs().max())
    slope = torch.stack(errors).log2().diff()[-1].item()
    assert slope == pytest.approx(-sampler.order, abs=0.15)
    assert errors[-1] < 0.06 / 100 ** (sampler.order - 1)


@pytest.mark.parametrize("make", [linear, cosine])
def test_steps_that_are_even_in_t_cost_the_second_order(make):
    """In tau, the last step has a length of order sqrt(dt), the others of order dt."""
    schedule, even = make(1000), Heun(make(1000))
    even.times = schedule.times
    a, b = ((moments(sampler, 20)[1] - SIGMA).abs().max() for sampler in (Heun(schedule), even))
    assert a < b / 2


@pytest.mark.parametrize("schedule", [f(1000) for f in SCHEDULES.values()], ids=SCHEDULES)
def test_times_that_are_even_in_tau_are_so_as_far_as_there_are_such_times(schedule):
    times = even_in_tau(schedule, 20)
    assert (len(times), times[0], times[-1]) == (21, schedule.last, 0)
    tau = straightened(schedule, times)[1]
    gap = 0.01 if schedule.last > 1 else 1e-9  # the distance of two times in a table
    assert tau.diff().tolist() == pytest.approx([-tau[0].item() / 20] * 20, abs=gap)
    assert len(even_in_tau(schedule, 900)) <= 901


@every_path
def test_second_order_wins_at_the_same_number_of_network_calls(schedule):
    errors = {
        kind: (moments(kind(schedule), kind(schedule).steps_within(39))[1] - SIGMA).abs().max()
        for kind in (DDIM, Heun)
    }
    assert errors[Heun] < errors[DDIM] / 10


def test_a_run_has_the_moments_that_were_computed(rng):
    schedule, sampler = Straight(), Ancestral(Straight())
    x = torch.randn(200_000, 2, generator=rng, dtype=torch.float64)
    *_, last = sampler.states(gaussian(schedule), x, schedule.times(10), rng)
    mean, covariance = moments(sampler, 10)
    torch.testing.assert_close(last.x.mean(dim=0), mean, atol=0.01, rtol=0)
    torch.testing.assert_close(last.x.T.cov(), covariance, atol=0.015, rtol=0)


def test_a_schedule_that_ends_too_early_misses_the_mean(rng):
    def mean_after(schedule):
        x = torch.randn(4_000, 2, generator=rng, dtype=torch.float64)
        *_, last = DDIM(schedule).states(gaussian(schedule), x, schedule.times(100))
        return last.x.mean(dim=0)

    assert (mean_after(cosine(100)) - MU).abs().max() < 0.06
    assert (mean_after(linear(100)) - MU).abs().max() > 0.25


@pytest.mark.parametrize("make", [Heun, Ancestral])
def test_exact_estimates_lead_to_the_eight_gaussians(make, rng):
    schedule = Straight()
    x = torch.randn(2_000, 2, generator=rng)
    *_, last = make(schedule).states(exact(EIGHT_GAUSSIANS, schedule), x, schedule.times(100), rng)
    found = modes(last.x, EIGHT_GAUSSIANS)
    assert found.covered == 8
    assert found.near > 0.95
    assert found.shares.std() < 0.03


# The loop


def test_every_state_is_yielded_with_what_is_seen_in_it(rng):
    schedule, x = Straight(), torch.randn(3, 2, generator=rng, dtype=torch.float64)
    denoise = gaussian(schedule)
    states = list(Heun(schedule).states(denoise, x, schedule.times(5), rng))
    assert [state.t.item() for state in states] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0])
    assert torch.equal(states[0].x, x)
    for state in states[:-1]:
        torch.testing.assert_close(state.estimate.x_0, denoise(state.x, state.t).x_0)
    assert torch.equal(states[-1].estimate.x_0, states[-1].x)


@pytest.mark.parametrize(
    ("make", "calls"),
    [(Ancestral, [1, 2, 3, 4, 4]), (DDIM, [1, 2, 3, 4, 4]), (Heun, [1, 3, 5, 7, 7])],
)
def test_network_calls_are_counted(make, calls, rng):
    schedule, made = Straight(), []
    denoise = gaussian(schedule)
    counting = lambda x, t: made.append(t) or denoise(x, t)  # noqa: E731
    x = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    states = list(make(schedule).states(counting, x, schedule.times(4), rng))
    assert [state.calls for state in states] == calls
    assert len(made) == calls[-1]


@pytest.mark.parametrize("make", [Ancestral, Heun])
@pytest.mark.parametrize("most", [1, 2, 5, 10, 40])
def test_the_steps_that_fit_take_no_more_calls(make, most):
    sampler, x = make(Straight()), torch.zeros(1, 2).double()
    steps = sampler.steps_within(most)
    *_, last = sampler.states(gaussian(Straight()), x, Straight().times(steps))
    assert most - 1 <= last.calls <= most


def test_no_more_steps_fit_than_a_table_has():
    assert [Heun(linear(10)).steps_within(calls) for calls in (5, 19, 40)] == [3, 10, 10]
    assert DDIM(linear(10)).steps_within(40) == 10


@every_sampler
def test_a_run_repeats_itself(make):
    schedule, x = cosine(50), torch.ones(3, 2).double()

    def end(seed):
        rng = torch.Generator().manual_seed(seed)
        *_, last = make(schedule).states(gaussian(schedule), x, schedule.times(10), rng)
        return last.x

    assert torch.equal(end(0), end(0))
    assert torch.equal(end(0), end(1)) == (make in (DDIM, Heun))


def test_where_times_rise_noise_is_added():
    schedule = Straight()
    x = torch.full((50_000, 2), 0.4).double()
    perfect = lambda x_t, t: Estimate(torch.zeros_like(x_t), x_t / t)  # noqa: E731
    rng = torch.Generator().manual_seed(0)
    first, second, _ = DDIM(schedule).states(perfect, x, at([0.4, 0.2, 0.6, 0.0]), rng)
    assert (first.t, second.t) == (0.4, 0.6)
    ratio, std = schedule.transition(at(0.2), at(0.6))  # DDIM ends its step at x = 0.2
    assert second.x.mean().item() == pytest.approx(0.2 * ratio.item(), abs=0.01)
    assert second.x.std().item() == pytest.approx(std.item(), rel=0.01)


@pytest.mark.parametrize("eta", [-0.1, 1.1, math.nan])
def test_an_eta_outside_of_0_to_1_is_refused(eta):
    with pytest.raises(InputError, match="between 0 and 1"):
        DDIM(Straight(), eta)


# What is put around a denoiser


def test_guidance_goes_away_from_what_is_seen_without_a_label():
    one, other = (Estimate(torch.full((2, 2), k), torch.full((2, 2), -k)) for k in (1.0, 4.0))
    for weight, x_0 in ((0.0, 1.0), (-1.0, 4.0), (2.0, 3 * 1.0 - 2 * 4.0)):
        found = guided(lambda x, t: one, lambda x, t: other, weight)(torch.zeros(2, 2), at(0.5))
        assert (found.x_0 == x_0).all()
        assert (found.eps == -x_0).all()
        assert found.calls == 2


@pytest.mark.parametrize("repeats", [1, 3])
def test_known_values_end_as_they_are_and_unknown_ones_agree_with_them(repeats, rng):
    """Given the first coordinate, the mean of the second under N(MU, SIGMA) has a closed form."""
    schedule, n = Straight(), 4_000
    known = torch.tensor([1.5, 99.0], dtype=torch.float64).expand(n, 2)
    mask = torch.tensor([False, True]).expand(n, 2)
    x = torch.randn(n, 2, generator=rng, dtype=torch.float64)
    times = with_returns(schedule.times(30), repeats)
    *_, last = Ancestral(schedule).states(
        gaussian(schedule), x, times, rng, keep_known(schedule, known, mask, rng)
    )
    assert (last.x[:, 0] == 1.5).all()
    expected = MU[1] + SIGMA[0, 1] / SIGMA[0, 0] * (1.5 - MU[0])
    error = (last.x[:, 1].mean() - expected).abs()
    assert error < (0.2 if repeats == 1 else 0.1)


@every_path
def test_known_values_have_the_noise_of_their_time_on_the_way(schedule, rng):
    x, t = torch.full((4_000, 1), 3.0, dtype=torch.float64), schedule.times(2)[1]
    keep = keep_known(schedule, x, torch.zeros_like(x).bool(), rng)
    got = keep(torch.zeros_like(x), t)
    assert got.mean().item() == pytest.approx(3 * schedule.signal(t).item(), abs=0.1)
    assert got.std().item() == pytest.approx(schedule.sigma(t).item(), rel=0.1)


def test_returns_end_at_0_once():
    times = with_returns(at([1.0, 0.5, 0.2, 0.0]), 2)
    assert times.tolist() == [1.0, 0.5, 1.0, 0.5, 0.2, 0.5, 0.2, 0.0]
    assert with_returns(times, 1).tolist() == times.tolist()


# The peer


@pytest.mark.parametrize("case", diffusers_reference.CASES)
def test_steps_are_those_of_diffusers(case):
    name, target, kind = case.split("/")
    schedule, eta = SCHEDULES[name](diffusers_reference.T), diffusers_reference.SAMPLERS[kind]
    sampler = Ancestral(schedule) if eta is None else DDIM(schedule, eta)
    x, states = diffusers_reference.noise(diffusers_reference.STEPS), FROZEN["states"][case]
    for step, (t, s) in enumerate(pairwise(schedule.times(diffusers_reference.STEPS))):
        y = diffusers_reference.output(target, x, schedule.alpha_bar[int(t)])
        estimate = solve(target, y, x, schedule.signal(t), schedule.sigma(t))
        x = sampler.step(State(t, x, estimate, 1), s, diffusers_reference.noise(step), unasked)
        torch.testing.assert_close(x, at([states[step + 1]]), atol=1e-5, rtol=0)


def test_the_frozen_steps_are_those_of_the_installed_diffusers():
    pytest.importorskip("diffusers", reason="diffusers, of the extra `peers`, is not installed")
    found = diffusers_reference.reference()
    for name, values in found["alpha_bar"].items():
        assert values == pytest.approx(FROZEN["alpha_bar"][name], abs=1e-6)
    for case, states in found["states"].items():
        for ours, frozen in zip(states, FROZEN["states"][case], strict=True):
            assert ours == pytest.approx(frozen, abs=1e-6)
