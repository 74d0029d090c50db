"""Comparisons of two sets of images, given a feature vector of each image.

- Fréchet distance: Heusel et al. 2017 (arXiv:1706.08500), eq. 6;
- kernel distance: Bińkowski et al. 2018 (arXiv:1801.01401), an unbiased squared MMD (maximum mean
  discrepancy) with the kernel (x.y / d + 1)^3 for d features;
- precision and recall: Kynkäänniemi et al. 2019 (arXiv:1904.06991), k = 3;
- density and coverage: Naeem et al. 2020 (arXiv:2002.09797), k = 5.

The neighbourhood of a point is the ball around it whose radius is the distance to its k-th nearest
neighbour in its own set.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Features = Float[Tensor, "n features"]
Others = Float[Tensor, "m features"]


def frechet_distance(a: Features, b: Others) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) between Gaussians fitted to both sets.

    >>> a = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(frechet_distance(a, a + 3.0), 3)  # the means are 3 apart in both features
    18.0
    """
    a, b = a.double(), b.double()
    mu_a, mu_b = a.mean(dim=0), b.mean(dim=0)
    S_a, S_b = torch.cov(a.T), torch.cov(b.T)
    # the trace of the root is the sum of the roots of the eigenvalues, which are real and >= 0
    trace_of_root = torch.linalg.eigvals(S_a @ S_b).sqrt().real.sum()
    difference = (mu_a - mu_b).square().sum()
    return (difference + S_a.trace() + S_b.trace() - 2 * trace_of_root).item()


def kernel_distance(a: Features, b: Others, seed: int = 0) -> float:
    """Unbiased squared MMD with a cubic kernel, averaged over 100 subsets of at most 1,000 images.

    >>> same, other = torch.randn(2, 500, 8, generator=torch.Generator().manual_seed(0))
    >>> abs(kernel_distance(same, other)) < 0.05 < kernel_distance(same, other + 1.0)
    True
    """
    rng, size = torch.Generator().manual_seed(seed), min(1_000, len(a), len(b))
    distances = []
    for _ in range(100):
        y, x = (points[torch.randperm(len(points), generator=rng)[:size]] for points in (b, a))
        k_yy, k_xx, k_yx = _cubic_kernel(y, y), _cubic_kernel(x, x), _cubic_kernel(y, x)
        within = (k_yy.sum(dim=1) - k_yy.diag()).sum() + (k_xx.sum(dim=1) - k_xx.diag()).sum()
        between = k_yx.sum(dim=0).sum()
        distances.append(within / (size * (size - 1)) - 2 * between / size**2)
    return torch.stack(distances).mean().item()


def precision_recall(fake: Features, real: Others, k: int = 3) -> tuple[float, float]:
    """Share of fakes in the neighbourhood of some real image; share of reals in that of some fake.

    >>> real = torch.arange(10.0)[:, None]
    >>> fake = torch.tensor([[0.0], [0.5], [1.0], [1.5]])  # realistic, but only near 0 and 1
    >>> [round(share, 2) for share in precision_recall(fake, real, k=1)]
    [1.0, 0.3]
    """
    distance = torch.cdist(fake, real)  # (n, m)
    precision = (distance <= _radius(real, k)).any(dim=1).float().mean()
    recall = (distance <= _radius(fake, k)[:, None]).any(dim=0).float().mean()
    return precision.item(), recall.item()


def density_coverage(fake: Features, real: Others, k: int = 5) -> tuple[float, float]:
    """Mean number of real neighbourhoods a fake lies in, over k; share that hold some fake.

    >>> real = torch.arange(10.0)[:, None]
    >>> [round(share, 2) for share in density_coverage(real[:5] + 0.5, real, k=1)]
    [2.0, 0.6]
    """
    inside = torch.cdist(fake, real) <= _radius(real, k)  # (n, m)
    return inside.sum(dim=1).float().mean().item() / k, inside.any(dim=0).float().mean().item()


def _cubic_kernel(x: Features, y: Others) -> Float[Tensor, "n m"]:
    return (x @ y.T * (1.0 / x.shape[1]) + 1) ** 3


def _radius(points: Features, k: int) -> Float[Tensor, "n"]:
    """Distance of each point to its k-th nearest neighbour; the point itself is not counted."""
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values
