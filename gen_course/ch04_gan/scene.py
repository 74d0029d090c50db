"""A GAN in the plane at one moment: D on a grid, samples of G, and the gradient that moves them."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen_course.common import plots
from gen_lib.models.gan import LOSSES, Adversarial


class Scene(NamedTuple):
    """D, samples of G and their gradients at one moment of the training."""

    field: Float[Tensor, "40 40"]
    """D(x) on a grid over [-3, 3]^2, rows from below."""
    samples: Float[Tensor, "m 2"]
    """The points G(z) for given codes z."""
    pull: Float[Tensor, "m 2"]
    """Minus the gradient of m times G's loss at each sample: the direction that lowers the loss."""


def scene(model: Adversarial, z: Float[Tensor, "m latent"], x: Float[Tensor, "m 2"]) -> Scene:
    """Evaluate the model as it is now.

    Args:
        model: a GAN of points in the plane.
        z: codes, from which G makes the samples.
        x: real points; the relativistic loss compares each sample with one of them.
    """
    grid = plots.plane(40)
    with torch.no_grad():
        field = model.logits(grid[:, :, None, None]).sigmoid().reshape(40, 40)
        real = model.logits(x[:, :, None, None])
        samples = model.generate(z)
    samples.requires_grad_()
    loss = LOSSES[model.rules.loss].generator(real, model.logits(samples))
    (slope,) = torch.autograd.grad(len(z) * loss, samples)
    return Scene(field, samples.detach().flatten(1), -slope.flatten(1))
