"""The model of one number z: its integrals, and that the ELBO and its gap add up to log p(x)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen_course.ch03_vae import toy

place = st.floats(-3, 3)
points = st.tuples(place, place).map(lambda x: torch.tensor(x, dtype=torch.float64))


@given(points, st.floats(-2, 2), st.floats(0.05, 1.2))
@settings(max_examples=60, deadline=None)
def test_the_elbo_and_its_gap_add_up_to_log_p(x, m, s):
    terms = toy.bound(x, m, s)
    assert terms.gap > -1e-6
    outside = 6e-3  # the widest q reach beyond the grid's ends: 0.0048 nats at m = 2, s = 1.2
    assert terms.elbo + terms.gap == pytest.approx(toy.evidence(x).log_p, abs=outside)


@given(points)
@settings(max_examples=20, deadline=None)
def test_the_posterior_is_a_density(x):
    assert toy.evidence(x).posterior.sum().item() * toy.STEP == pytest.approx(1, abs=1e-9)


def test_p_is_a_density_over_the_plane():
    ticks = torch.linspace(-4, 4, 81, dtype=torch.float64)
    plane = torch.cartesian_prod(ticks, ticks)
    total = sum(torch.tensor(toy.evidence(x).log_p).exp() for x in plane)
    assert total.item() * 0.1**2 == pytest.approx(1, abs=1e-3)


def test_of_all_normal_guesses_the_prior_costs_nothing():
    x = torch.tensor([0.2, -0.1], dtype=torch.float64)
    assert toy.bound(x, 0.0, 1.0).rate == 0
    assert toy.bound(x, 0.5, 1.0).rate == pytest.approx(0.5**2 / 2)
