"""The state of a game in the plane: D on a grid, samples of G, and the gradient that moves them."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen_course.common import plots
from gen_lib.models.gan import LOSSES, Adversarial


class Scene(NamedTuple):
    """A game in the plane at one moment."""

    field: Float[Tensor, "n n"]
    """D(x) on a grid over [-3, 3]^2, rows from below."""
    samples: Float[Tensor, "m 2"]
    """G(z) for given z."""
    pull: Float[Tensor, "m 2"]
    """Where G's loss sends each sample: minus its gradient there."""


def scene(
    model: Adversarial, z: Float[Tensor, "m latent"], x: Float[Tensor, "m 2"], n: int = 40
) -> Scene:
    """What the players do now: for the latent z, beside the real points x, the field n by n."""
    grid = plots.plane(n)
    with torch.no_grad():
        field = model.logits(grid[:, :, None, None]).sigmoid().reshape(n, n)
        real = model.logits(x[:, :, None, None])
        samples = model.generate(z)
    samples.requires_grad_()
    loss = LOSSES[model.rules.loss].generator(real, model.logits(samples))
    (slope,) = torch.autograd.grad(len(z) * loss, samples)
    return Scene(field, samples.detach().flatten(1), -slope.flatten(1))
