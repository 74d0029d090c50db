"""Checks for chapter 01: the loss of an autoencoder, and principal components."""

from collections.abc import Callable

import torch

from gen_lib.checks.base import exercise, require, same
from gen_lib.models.autoencoder import PCA, reconstruction_loss


@exercise
def check_reconstruction_loss(loss: Callable) -> str:
    """loss(y, x) is 1/2 ||y - x||^2, summed over the pixels, averaged over the batch."""
    generator = torch.Generator().manual_seed(0)
    y, x = (torch.randn(5, 1, 4, 4, generator=generator) for _ in range(2))
    got, right = loss(y.requires_grad_(), x), reconstruction_loss(y, x)
    require(
        isinstance(got, torch.Tensor) and got.shape == (),
        "The loss must be one number, a tensor without dimensions: average over the batch.",
    )
    for wrong, why in (
        (2 * right, "the 1/2 of E(w) is missing."),
        (5 * right, "it is summed over the batch; E / N is a mean over the images."),
        (10 * right, "the 1/2 is missing, and it is summed over the batch instead of averaged."),
        (right / 16, "it is averaged over the pixels; the norm ||y - x||^2 is their sum."),
        (right / 8, "it is the mean squared error per pixel: no 1/2, no sum over the pixels."),
        (0.5 * (y - x).abs().flatten(1).sum(1).mean(), "the differences are not squared."),
        (0.5 * (y - x).flatten(1).norm(dim=1).mean(), "the norm is not squared: drop the root."),
    ):
        require(not same(got, wrong), f"Not E(w) per image: {why}")
    require(same(got, right), "Not E(w) per image: compare it by hand for two pixels.")
    require(got.requires_grad, "No gradient flows from your loss to y: do not detach it.")
    return "1/2 ||y - x||^2, summed over pixels, averaged over images, differentiable."


@exercise
def check_pca(components: Callable) -> str:
    """components(x, k) gives the k orthonormal directions of largest variance as rows (k, d)."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.1])
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q
    x = (torch.randn(2_000, 5, generator=generator) * scales) @ rotation.T + 4.0
    w, right = components(x, 2), PCA.fit(x, 2).components
    require(
        isinstance(w, torch.Tensor) and w.shape == (2, 5),
        "The result must be a tensor of shape (k, d) = (2, 5), one direction per row; it is "
        f"{tuple(w.shape) if isinstance(w, torch.Tensor) else type(w).__name__}.",
    )
    w = w.to(x)
    require(same(w @ w.T, torch.eye(2)), "The directions are not orthonormal: w @ w.T must be I.")
    mean = x.mean(dim=0) / x.mean(dim=0).norm()
    require(
        (w[0] @ mean).abs() < 0.99,
        "The first direction points at the mean: subtract the mean of x first.",
    )
    smallest = PCA.fit(x, 5).components[-2:]
    require(
        not same(w.T @ w, smallest.T @ smallest),
        "These are the directions of smallest variance: eigh sorts upwards, take the last ones.",
    )
    require(same(w.T @ w, right.T @ right), "The rows do not span the directions of most variance.")
    return "orthonormal rows that span the plane of largest variance."
