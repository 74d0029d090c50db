"""Distances between two sets of images, given the features of each image.

- the Fréchet distance, Heusel et al. 2017 (arXiv:1706.08500), eq. 6;
- the kernel distance, Bińkowski et al. 2018 (arXiv:1801.01401): an unbiased squared MMD with the
  kernel (x.y / d + 1)^3;
- precision and recall, Kynkäänniemi et al. 2019 (arXiv:1904.06991), k = 3;
- density and coverage, Naeem et al. 2020 (arXiv:2002.09797), k = 5.
"""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn


def frechet_distance(a: Float[Tensor, "n features"], b: Float[Tensor, "m features"]) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) between Gaussians fitted to both sets.

    >>> a = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(frechet_distance(a, a + 3.0), 3)  # the means are 3 apart in both features
    18.0
    """
    a, b = a.double(), b.double()
    mu_a, mu_b = a.mean(dim=0), b.mean(dim=0)
    S_a, S_b = torch.cov(a.T), torch.cov(b.T)
    # the trace of a matrix root is the sum of the roots of the eigenvalues, here real and >= 0
    trace_of_root = torch.linalg.eigvals(S_a @ S_b).sqrt().real.sum()
    difference = (mu_a - mu_b).square().sum()
    return (difference + S_a.trace() + S_b.trace() - 2 * trace_of_root).item()


def kernel_distance(
    a: Float[Tensor, "n features"], b: Float[Tensor, "m features"], seed: int = 0
) -> float:
    """Unbiased squared MMD with a cubic kernel, mean over 100 pairs of subsets of 1,000 at most.

    >>> same, other = torch.randn(2, 500, 8, generator=torch.Generator().manual_seed(0))
    >>> abs(kernel_distance(same, other)) < 0.05 < kernel_distance(same, other + 1.0)
    True
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(1_000, len(a), len(b))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it keeps all features in memory
        distance = KernelInceptionDistance(feature=_Features(a.shape[1]), subset_size=size)
    distance.update(a, real=False)
    distance.update(b, real=True)
    with torch.random.fork_rng(devices=[]):  # torchmetrics draws the subsets from the global state
        torch.default_generator.manual_seed(seed)
        return distance.compute()[0].item()


def precision_recall(
    fake: Float[Tensor, "n features"], real: Float[Tensor, "m features"], k: int = 3
) -> tuple[float, float]:
    """Share of fakes within reach of some real point, and of reals within reach of some fake.

    A point's reach is the distance to its k-th nearest neighbour in its own set.

    >>> real = torch.arange(10.0)[:, None]
    >>> fake = torch.tensor([[0.0], [0.5], [1.0], [1.5]])  # all of them good, on a part of the line
    >>> [round(share, 2) for share in precision_recall(fake, real, k=1)]
    [1.0, 0.3]
    """
    distance = torch.cdist(fake, real)  # (n, m)
    precision = (distance <= _reach(real, k)).any(dim=1).float().mean()
    recall = (distance <= _reach(fake, k)[:, None]).any(dim=0).float().mean()
    return precision.item(), recall.item()


def density_coverage(
    fake: Float[Tensor, "n features"], real: Float[Tensor, "m features"], k: int = 5
) -> tuple[float, float]:
    """Mean number of real reaches that a fake is in, over k; share of real reaches with a fake.

    >>> real = torch.arange(10.0)[:, None]
    >>> [round(share, 2) for share in density_coverage(real[:5] + 0.5, real, k=1)]  # in two each
    [2.0, 0.6]
    """
    inside = torch.cdist(fake, real) <= _reach(real, k)  # (n, m)
    return inside.sum(dim=1).float().mean().item() / k, inside.any(dim=0).float().mean().item()


class _Features(nn.Module):
    """What torchmetrics calls a feature extractor, for features that are extracted already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _reach(points: Float[Tensor, "n features"], k: int) -> Float[Tensor, "n"]:
    """Distance of each point to its k-th nearest neighbour, itself not counted."""
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values
