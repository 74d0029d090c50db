"""Toy distributions in the plane: exact samples, and log p(x) where it has a closed form."""

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
    """A distribution over points of the plane, nearly all of them in [-3, 3] x [-3, 3]."""

    name: str

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        """Draw n independent points."""

    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
        """The minibatch of a training step: new points, as images of shape (2, 1, 1)."""
        # a negative seed, because the loop seeds the model's noise with non-negative ones
        points = self.sample(size, torch.Generator().manual_seed(-1 - seed * 1_000_003 - step))
        return Batch(points[:, :, None, None], torch.zeros(size, dtype=torch.long))


class DensityToy(Toy):
    """A toy whose density is known in closed form."""

    @abstractmethod
    def log_prob(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        """log p(x) at each point, in nats."""


class Mixture(DensityToy):
    """M equally likely Gaussians: p(x) = 1/M sum_m N(x; means_m, sigma^2 I)."""

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
        # terms below e^-80 of the largest add nothing, and exp is slow where it underflows
        log_normal = log_normal.clamp(min=log_normal.amax(dim=1, keepdim=True) - 80)
        return log_normal.logsumexp(dim=1) - math.log(len(self.means))

    def denoised(
        self, x: Float[Tensor, "n 2"], scale: Float[Tensor, "*n 1"], noise: Float[Tensor, "*n 1"]
    ) -> Float[Tensor, "n 2"]:
        """E[x_0 | x] for x = scale x_0 + noise eps, x_0 from the mixture and eps ~ N(0, I).

        If x_0 comes from component m, the expectation is means_m + gain (x - scale means_m). It is
        averaged over the components with the weights p(m | x).
        """
        means, variance = self.means.to(x.dtype), (scale * self.sigma) ** 2 + noise**2
        offset = x[:, None] - scale[..., None] * means  # (n, modes, 2)
        weights = (-offset.square().sum(dim=2) / (2 * variance)).softmax(dim=1)  # (n, modes)
        gain = scale * self.sigma**2 / variance
        return weights @ means + gain * (weights[..., None] * offset).sum(dim=1)


class Modes(NamedTuple):
    """How samples spread over the modes; a sample is near a mode within 3 sigma of its mean."""

    covered: int
    """Number of modes with at least 1 % of all samples near them."""
    near: float
    """Share of the samples that are near some mode, in [0, 1]."""
    shares: Float[Tensor, "modes"]
    """Share of the samples near each mode, in [0, 1]."""


def modes(x: Float[Tensor, "n 2"], mixture: Mixture) -> Modes:
    """Count the samples near each mode of a mixture.

    >>> two = Mixture("two", torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), sigma=0.1)
    >>> modes(torch.tensor([[1.1, 0.0], [0.5, 0.0]]), two)
    Modes(covered=1, near=0.5, shares=tensor([0.0000, 0.5000]))
    """
    distance, mode = torch.cdist(x, mixture.means).min(dim=1)
    near = mode[distance <= 3 * mixture.sigma]
    shares = near.bincount(minlength=len(mixture.means)) / len(x)
    return Modes(int((shares >= 0.01).sum()), len(near) / len(x), shares)


class Checkerboard(DensityToy):
    """Uniform on the 8 dark unit squares of a 4 x 4 board over [-2, 2] x [-2, 2]."""

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
    """Two interleaved half circles of radius 1.5, with Gaussian noise of standard deviation 0.1."""

    name = "two_moons"

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        angle = math.pi * torch.rand(n, generator=rng)
        upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
        is_upper = torch.rand(n, 1, generator=rng) < 0.5
        noise = 0.1 * torch.randn(n, 2, generator=rng)
        return 1.5 * torch.where(is_upper, upper, -upper) + noise


class SwissRoll(Toy):
    """A spiral of 1.5 turns, radius = angle / (2.25 pi) <= 2, with noise of deviation 0.05."""

    name = "swiss_roll"

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
        angle = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=rng))
        direction = torch.stack([angle.cos(), angle.sin()], dim=1)
        noise = 0.05 * torch.randn(n, 2, generator=rng)
        return angle[:, None] / (2.25 * math.pi) * direction + noise


_ANGLES = 2 * math.pi * torch.arange(8) / 8
_TICKS = torch.linspace(-2, 2, 5)
EIGHT_GAUSSIANS = Mixture(
    "eight_gaussians", 2.0 * torch.stack([_ANGLES.cos(), _ANGLES.sin()], dim=1), sigma=0.05
)
GRID = Mixture("grid", torch.cartesian_prod(_TICKS, _TICKS), sigma=0.05)
TOYS: dict[str, Toy] = {
    toy.name: toy for toy in (EIGHT_GAUSSIANS, GRID, TwoMoons(), SwissRoll(), Checkerboard())
}


def load_toy(name: str) -> Toy:
    """Load a toy: eight_gaussians, grid, two_moons, swiss_roll or checkerboard.

    >>> load_toy("grid").sample(3).shape
    torch.Size([3, 2])

    Raises:
        InputError: there is no toy of that name.
    """
    if name not in TOYS:
        raise InputError(f"There is no toy called {name!r}: choose one of {', '.join(TOYS)}.")
    return TOYS[name]
