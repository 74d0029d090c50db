"""Differences between images, to measure reconstructions and translations and to find copies."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class Row(NamedTuple):
    """One figure of a model, and the same figure of its baselines, by name."""

    name: str
    value: float
    beside: dict[str, float]
    reason: str = ""
    """Why there is no value, which is NaN then."""


def compared(
    figure: Callable[[Tensor, Tensor], float], x: Tensor, outputs: dict[str, Tensor]
) -> Row:
    """Compute figure(output, x) of each output; the first is the model's, the others baselines."""
    (_, value), *baselines = ((name, figure(y, x)) for name, y in outputs.items())
    return Row(figure.__name__, value, dict(baselines))


def mse(y: Float[Tensor, "*shape"], x: Float[Tensor, "*shape"]) -> float:
    """Mean squared error per pixel, both images in [-1, 1].

    >>> mse(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    1.0
    """
    return (y - x).square().mean().item()


def l1(y: Float[Tensor, "*shape"], x: Float[Tensor, "*shape"]) -> float:
    """Mean absolute error per pixel, both images in [-1, 1].

    >>> l1(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    1.0
    """
    return (y - x).abs().mean().item()


def psnr(y: Float[Tensor, "n c h w"], x: Float[Tensor, "n c h w"]) -> float:
    """Peak signal-to-noise ratio in dB, averaged over the images: 10 log10(2^2 / mse_n).

    >>> round(psnr(torch.full((1, 1, 4, 4), 0.2), torch.zeros(1, 1, 4, 4)), 6)
    20.0
    """
    per_image = (y - x).square().flatten(1).mean(dim=1)
    return (10 * torch.log10(4 / per_image)).mean().item()


def ssim(y: Float[Tensor, "n c h w"], x: Float[Tensor, "n c h w"]) -> float:
    """Mean structural similarity of images in [-1, 1] (Wang et al. 2004); equal images have 1."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    return torch.as_tensor(structural_similarity_index_measure(y, x, data_range=2.0)).item()


class Nearest(NamedTuple):
    """For each image, the index of the closest image of another set and the distance to it."""

    indices: Int64[Tensor, "n"]
    distance: Float[Tensor, "n"]


def nearest(x: Float[Tensor, "n *shape"], pool: Float[Tensor, "m *shape"]) -> Nearest:
    """The nearest neighbours of x in the pool by Euclidean distance, for instance to find copies.

    >>> nearest(torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
    Nearest(indices=tensor([1]), distance=tensor([0.5000]))
    """
    parts = [torch.cdist(part.flatten(1), pool.flatten(1)).argmin(dim=1) for part in x.split(500)]
    indices = torch.cat(parts)
    # computed anew: the rounding of cdist would give a copy a distance above 0
    return Nearest(indices, (x - pool[indices]).flatten(1).norm(dim=1))
