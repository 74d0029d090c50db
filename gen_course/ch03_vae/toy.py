"""A variational autoencoder in miniature: one number z, two numbers x, all computed on a grid.

The prior is p(z) = N(0, 1). The decoder f bends the line of codes around a circle, and
p(x|z) = N(f(z), SIGMA_X^2 I). Integrals over z are sums over ``GRID``.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal, kl_divergence

GRID = torch.linspace(-6, 6, 2_401, dtype=torch.float64)
STEP = (GRID[1] - GRID[0]).item()
SIGMA_X = 0.4
PRIOR = Normal(torch.zeros((), dtype=torch.float64), 1.0)


def decode(z: Float[Tensor, "*n"]) -> Float[Tensor, "*n 2"]:
    """f(z): the point of the plane that a code stands for."""
    return 1.5 * torch.stack([torch.cos(1.5 * z), torch.sin(1.5 * z)], dim=-1)


def log_likelihood(x: Float[Tensor, "2"], z: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """The logarithm of p(x|z) for each code."""
    return Normal(decode(z), SIGMA_X).log_prob(x).sum(dim=-1)


class Evidence(NamedTuple):
    """What the whole model says of one x."""

    log_p: float  # log p(x)
    posterior: Float[Tensor, "grid"]  # the density p(z|x) on ``GRID``


def evidence(x: Float[Tensor, "2"]) -> Evidence:
    """p(x), and p(z|x) = p(x|z) p(z) / p(x)."""
    log_joint = log_likelihood(x, GRID) + PRIOR.log_prob(GRID)
    log_p = torch.logsumexp(log_joint, dim=0) + math.log(STEP)
    return Evidence(log_p.item(), (log_joint - log_p).exp())


class Bound(NamedTuple):
    """The terms of the ELBO of one x for q(z|x) = N(m, s^2), in nats."""

    distortion: float  # -E log p(x|z)
    rate: float  # KL(q || p(z))
    gap: float  # KL(q || p(z|x)), computed on its own

    @property
    def elbo(self) -> float:
        """-distortion - rate, at most log p(x)."""
        return -self.distortion - self.rate


def bound(x: Float[Tensor, "2"], m: float, s: float) -> Bound:
    """The ELBO of x and its gap to log p(x) for a normal q."""
    q = Normal(torch.tensor(m, dtype=torch.float64), s)
    weight = (q.log_prob(GRID) + math.log(STEP)).softmax(dim=0)
    distortion = -(weight * log_likelihood(x, GRID)).sum()
    true = evidence(x).posterior.clamp(min=1e-300)
    gap = (weight * (q.log_prob(GRID) - true.log())).sum()
    return Bound(distortion.item(), kl_divergence(q, PRIOR).item(), gap.item())
