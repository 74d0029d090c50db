"""Interpolation between two codes: it stays on the sphere, and is as likely as the ends."""

import pytest
import torch
from torch import nn

from gen_lib.models.interpolation import between, slerp


def test_an_arc_keeps_to_the_sphere_and_ends_where_it_should(rng):
    a, b = (5 * nn.functional.normalize(torch.randn(16, generator=rng), dim=0) for _ in "ab")
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    way = torch.stack([slerp(a, b, t) for t in torch.linspace(0, 1, 9).tolist()])
    torch.testing.assert_close(way.norm(dim=1), torch.full((9,), 5.0))
    lengths = way.diff(dim=0).norm(dim=1)
    torch.testing.assert_close(lengths, lengths[:1].expand(8), rtol=1e-3, atol=1e-4)
    assert slerp(a, 3 * b, 0.5).norm().item() == pytest.approx(10.0)
    assert torch.lerp(a, b, 0.5).norm() < 4.9
    torch.testing.assert_close(slerp(a, 2 * a, 0.5), 1.5 * a)


def test_an_arc_from_or_to_nothing_is_the_line():
    z = torch.randn(5)
    assert torch.equal(slerp(torch.zeros(5), z, 0.25), 0.25 * z)


def test_halfway_between_two_codes_is_as_typical_as_they_are(rng):
    a, b = torch.randn(2, 50_000, 4, generator=rng)
    for position in (0.0, 0.3, 0.5, 1.0):
        z = between(a, b, position)
        assert z.var().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(between(a, b, 0.0), a)
    assert torch.allclose(between(a, b, 1.0), b, atol=1e-6)
