r"""Muon: an optimiser that lets all directions of a weight matrix learn equally fast.

K. Jordan 2024, *Muon: an optimizer for hidden layers in neural networks*; Liu et al. 2025
(arXiv:2502.16982). Let M be the running average of a matrix's gradients G, and U S V^T a singular
value decomposition. A few large singular values dominate a gradient, so a step along it moves the
weights in a few directions only. Muon sets all singular values to 1 and steps along U V^T:

    M <- 0.95 M + 0.05 G
    W <- W - lr sqrt(max(1, rows / columns)) U V^T,   U S V^T = 0.95 M + 0.05 G

The kernel of a convolution counts as a matrix with a row for each channel of its output. Muon is
for the weights of hidden layers; AdamW updates the first and the last layer and all biases.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
A, B, C = 3.4445, -4.7750, 2.0315  # of Jordan 2024: they raise small singular values fast


def orthogonal(matrix: Float[Tensor, "m n"]) -> Float[Tensor, "m n"]:
    """U V^T of matrix = U S V^T, nearly: its singular values lie between about 0.7 and 1.2.

    Each iteration maps every singular value s to A s + B s^3 + C s^5, without computing them.
    Values below about a thousandth of the norm stay smaller.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    return x if wide is matrix else x.T


class Muon(torch.optim.Optimizer):
    """Updates weights of at least two dimensions, in float32.

    Args:
        weights: of hidden layers, or groups of them as for any optimiser of torch; what follows the
            first dimension of a weight counts as its columns.
        lr: learning rate, about the size of a step's largest singular value.
    """

    def __init__(self, weights: Iterable[Any], lr: float = 0.02):
        super().__init__(weights, {"lr": lr})
        for group in self.param_groups:
            for weight in group["params"]:
                self.state[weight] = {"momentum": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One update of all weights that have a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight]["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
                mixed = weight.grad.lerp(momentum, MOMENTUM).flatten(1)
                scale = max(1.0, mixed.shape[0] / mixed.shape[1]) ** 0.5
                weight.add_(orthogonal(mixed).view_as(weight), alpha=-group["lr"] * scale)
