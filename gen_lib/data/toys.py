"""Distributions in the plane, small enough to see and exact enough to score against.

Every toy can be sampled exactly; those whose density has a closed form also give log p(x).
"""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError
from gen_lib.data.images import Batch


class Toy(ABC):
    """A distribution over points of the plane, within about [-3, 3] in both coordinates."""

    name: str

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        """n independent points."""

    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
        """The minibatch of a training step: new points, as images of two channels, one pixel."""
        # numbered from the other end than the model's noise of this step, which is independent
        points = self.sample(size, torch.Generator().manual_seed(-1 - seed * 1_000_003 - step))
        return Batch(points[:, :, None, None], torch.zeros(size, dtype=torch.long))


class DensityToy(Toy):
    """A toy whose density is known in closed form."""

    @abstractmethod
    def log_prob(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        """log p(x) in nats, at each point."""


class Mixture(DensityToy):
    """Equally likely isotropic Gaussians: p(x) = 1/M sum_m N(x; means_m, sigma^2 I)."""

    def __init__(self, name: str, means: Float[Tensor, "modes 2"], sigma: float):
        self.name, self.means, self.sigma = name, means, sigma

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        mode = torch.randint(len(self.means), (n,), generator=rng)
        return self.means[mode] + self.sigma * torch.randn(n, 2, generator=rng)

    @override
    def log_prob(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        squared = ((x[:, None] - self.means) ** 2).sum(dim=2)  # (n, modes)
        log_normal = -squared / (2 * self.sigma**2) - math.log(2 * math.pi * self.sigma**2)
        # exp is slow where it underflows; what is e^80 times smaller than the largest adds nothing
        log_normal = log_normal.clamp(min=log_normal.amax(dim=1, keepdim=True) - 80)
        return log_normal.logsumexp(dim=1) - math.log(len(self.means))

    def denoised(
        self, x: Float[Tensor, "n 2"], scale: Float[Tensor, "*n 1"], noise: Float[Tensor, "*n 1"]
    ) -> Float[Tensor, "n 2"]:
        """E[x_0 | x] for x = scale x_0 + noise eps with x_0 of the mixture and eps ~ N(0, I).

        If x_0 came from the m-th Gaussian, its expectation is means_m + gain (x - scale means_m);
        the weights are the probabilities of that, given x.
        """
        means, variance = self.means.to(x.dtype), (scale * self.sigma) ** 2 + noise**2
        offset = x[:, None] - scale[..., None] * means  # (n, modes, 2)
        weights = (-offset.square().sum(dim=2) / (2 * variance)).softmax(dim=1)  # (n, modes)
        gain = scale * self.sigma**2 / variance
        return weights @ means + gain * (weights[..., None] * offset).sum(dim=1)


class Modes(NamedTuple):
    """Which modes of a mixture the samples reach."""

    covered: int
    """Number of modes that hold at least 1 % of all samples within 3 standard deviations."""
    near: float
    """Share of the samples within 3 standard deviations of some mode, in [0, 1]."""
    shares: Float[Tensor, "modes"]
    """Share of all samples within 3 standard deviations of each mode."""


def modes(x: Float[Tensor, "n 2"], mixture: Mixture) -> Modes:
    """How many modes of a mixture in the plane do the samples cover?

    >>> two = Mixture("two", torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), sigma=0.1)
    >>> modes(torch.tensor([[1.1, 0.0], [0.5, 0.0]]), two)
    Modes(covered=1, near=0.5, shares=tensor([0.0000, 0.5000]))
    """
    distance, mode = torch.cdist(x, mixture.means).min(dim=1)
    near = mode[distance <= 3 * mixture.sigma]
    shares = near.bincount(minlength=len(mixture.means)) / len(x)
    return Modes(int((shares >= 0.01).sum()), len(near) / len(x), shares)


class Checkerboard(DensityToy):
    """Uniform on the 8 dark squares, each of side 1, of a 4 x 4 board over [-2, 2]^2."""

    name = "checkerboard"

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        row = torch.randint(4, (n,), generator=rng)
        column = 2 * torch.randint(2, (n,), generator=rng) + row % 2
        corner = torch.stack([column, row], dim=1) - 2  # (n, 2)
        return corner + torch.rand(n, 2, generator=rng)

    @override
    def log_prob(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        dark = x.floor().sum(dim=1) % 2 == 0
        inside = (x >= -2).all(dim=1) & (x < 2).all(dim=1)
        return torch.where(dark & inside, -math.log(8.0), -math.inf)


class TwoMoons(Toy):
    """Two interleaved half circles of radius 1.5 with Gaussian noise of 0.1."""

    name = "two_moons"

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        angle = math.pi * torch.rand(n, generator=rng)
        upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
        lower = -upper
        moon = torch.rand(n, 1, generator=rng) < 0.5
        noise = 0.1 * torch.randn(n, 2, generator=rng)
        return 1.5 * torch.where(moon, upper, lower) + noise


class SwissRoll(Toy):
    """A spiral of one and a half turns, r = angle / (2.25 pi), up to radius 2, noise of 0.05."""

    name = "swiss_roll"

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        angle = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=rng))
        direction = torch.stack([angle.cos(), angle.sin()], dim=1)
        noise = 0.05 * torch.randn(n, 2, generator=rng)
        return angle[:, None] / (2.25 * math.pi) * direction + noise


def _circle(modes: int, radius: float) -> Float[Tensor, "modes 2"]:
    angle = 2 * math.pi * torch.arange(modes) / modes
    return radius * torch.stack([angle.cos(), angle.sin()], dim=1)


def _grid(side: int) -> Float[Tensor, "modes 2"]:
    ticks = torch.linspace(-2, 2, side)
    return torch.cartesian_prod(ticks, ticks)


EIGHT_GAUSSIANS = Mixture("eight_gaussians", _circle(8, radius=2.0), sigma=0.05)
TOYS: dict[str, Toy] = {
    toy.name: toy
    for toy in (
        EIGHT_GAUSSIANS,
        Mixture("grid", _grid(5), sigma=0.05),
        TwoMoons(),
        SwissRoll(),
        Checkerboard(),
    )
}


def load_toy(name: str) -> Toy:
    """A toy by name: eight_gaussians, grid, two_moons, swiss_roll or checkerboard.

    >>> load_toy("grid").sample(3).shape
    torch.Size([3, 2])

    Raises:
        InputError: there is no toy of that name.
    """
    if name not in TOYS:
        raise InputError(f"There is no toy called {name!r}: choose one of {', '.join(TOYS)}.")
    return TOYS[name]
