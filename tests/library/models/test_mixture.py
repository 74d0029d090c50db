"""A mixture of Gaussians on the codes of an autoencoder: shapes, shares, repetition, range."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.models.base import Reconstructs
from gen_lib.models.mixture import CodeMixture


class Same(Reconstructs):
    """An autoencoder whose code is the image itself, three pixels."""

    def encode(self, x):
        return x.flatten(1)

    def decode(self, z):
        return z.reshape(-1, 1, 1, 3)


def clusters(n, rng):
    """Two clusters: three quarters near (0.5, ...) with correlated pixels, the others near -0.5."""
    which = torch.rand(n, 1, generator=rng) < 0.75
    root = torch.tensor([[0.1, 0.0, 0.0], [0.08, 0.02, 0.0], [0.0, 0.0, 0.03]])
    wide = 0.5 + torch.randn(n, 3, generator=rng) @ root.T
    narrow = -0.5 + 0.02 * torch.randn(n, 3, generator=rng)
    return torch.where(which, wide, narrow).reshape(n, 1, 1, 3)


def test_a_mixture_of_codes_samples_the_clusters_and_their_shapes():
    x = clusters(4_000, torch.Generator().manual_seed(0))
    mixture = CodeMixture(Same(), x, components=2)
    made = mixture.sample(20_000, torch.Generator().manual_seed(1)).flatten(1)
    above = made[:, 0] > 0
    assert above.float().mean() == pytest.approx(0.75, abs=0.02)
    real = x.flatten(1)
    torch.testing.assert_close(
        made[above].T.cov(), real[real[:, 0] > 0].T.cov(), rtol=0.1, atol=2e-4
    )
    torch.testing.assert_close(made[~above].mean(0), torch.full((3,), -0.5), rtol=0, atol=0.01)


def test_samples_of_a_mixture_repeat_and_stay_in_range():
    x = 3 * clusters(200, torch.Generator().manual_seed(0))
    mixture = CodeMixture(Same(), x, components=2)
    drawn = [mixture.sample(50, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].abs().max() == 1
    assert mixture.codes(50, torch.Generator().manual_seed(0)).abs().max() > 1


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(InputError, match="components is 0"):
        CodeMixture(Same(), torch.zeros(9, 1, 1, 3), components=0)
