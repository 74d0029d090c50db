"""Two toys of chapter 01 in the plane: images of two pixels, and clumps of codes."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen_lib.models.autoencoder import reconstruction_loss
from gen_lib.nets.feedforward import mlp

Points = Float[Tensor, "n 2"]
STEPS = 500
IMAGES, CODES = 150, 900  # points of the two toys


class Squeezed(NamedTuple):
    """Images of two pixels, and their reconstructions from a code of one number."""

    x: Points
    by_line: Points
    """Reconstructions by a linear encoder and decoder."""
    by_curve: Points
    """Reconstructions by an encoder and a decoder with a hidden layer."""


def squeeze_two_pixels() -> Squeezed:
    """Draw images of two pixels near a parabola, and train both autoencoders on them."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        first = 1.6 * torch.rand(IMAGES, 1) - 0.8
        x = torch.cat([first, 1.8 * first.square() - 0.6], dim=1) + 0.05 * torch.randn(IMAGES, 2)
        linear = mlp(2, 1), mlp(1, 2)
        deep = mlp(2, 32, 1), mlp(1, 32, 2)
        return Squeezed(x, _reconstructed(*linear, x), _reconstructed(*deep, x))


def _reconstructed(encoder: nn.Module, decoder: nn.Module, x: Points) -> Points:
    """Train the pair on E(w), all images in every step, and return the reconstructions."""
    weights = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(weights, lr=0.02)
    for _ in range(STEPS):
        optimiser.zero_grad()
        reconstruction_loss(decoder(encoder(x)), x).backward()
        optimiser.step()
    with torch.no_grad():
        return decoder(encoder(x))


def clumps_and_gaussian() -> tuple[Points, Points]:
    """Codes in three clumps, and draws from a Gaussian with the mean and covariance of the codes.

    The draws are shifted and stretched, so that their own mean and covariance are exactly those of
    the codes.
    """
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 2.2], [-1.9, -1.1], [1.9, -1.1]])
    codes = centres[torch.arange(CODES) % 3] + 0.25 * torch.randn(CODES, 2, generator=rng)
    draws = torch.randn(CODES, 2, generator=rng)
    draws = draws - draws.mean(dim=0)
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(draws.T.cov()), draws.T, upper=False
    )
    return codes, (torch.linalg.cholesky(codes.T.cov()) @ white).T + codes.mean(dim=0)
