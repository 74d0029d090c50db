"""How probable is an image? Bounds for models that cannot say it exactly.

The importance-weighted bound is that of Burda, Grosse, Salakhutdinov 2015 (arXiv:1509.00519).
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen_lib.models.base import in_batches

N_GAP = 1_000  # images on which the two bounds are compared


class BoundsLikelihood(ABC):
    """A model with lower bounds on the log-likelihood of what it takes for data."""

    @abstractmethod
    def observe(
        self, x: Float[Tensor, "n c h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "n c h w"]:
        """What the model takes for data, made from images in [-1, 1]."""

    @abstractmethod
    def bound(
        self, x: Float[Tensor, "n c h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "n"]:
        """The ELBO of observed images in nats, estimated with one code for each."""

    @abstractmethod
    def importance_weighted(
        self,
        x: Float[Tensor, "n c h w"],
        samples: int = 100,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "n"]:
        """The tighter bound on log p(x) in nats, from several codes for each observed image."""


class Bounds(NamedTuple):
    """Two upper bounds on -log p(x) in nats, means over the images."""

    neg_elbo: float
    """From one code for each image."""
    neg_importance_weighted: float
    """From many; the smaller, the tighter."""


def likelihood_bounds(
    model: BoundsLikelihood, x: Float[Tensor, "n c h w"], samples: int = 100, seed: int = 0
) -> Bounds:
    """Both bounds for images in [-1, 1], observed once with the seed.

    The ELBO is a mean over all images. How much tighter the other bound is varies far less between
    images than the bounds do: it is measured on the first 1,000 with ``samples`` codes each.
    """
    generator = torch.Generator().manual_seed(seed)
    x = model.observe(x, generator)
    elbo = in_batches(lambda part: model.bound(part, generator), x)
    tight = in_batches(lambda part: model.importance_weighted(part, samples, generator), x[:N_GAP])
    gap = (tight - elbo[:N_GAP]).mean()
    return Bounds(-elbo.mean().item(), -(elbo.mean() + gap).item())
