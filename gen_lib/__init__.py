"""The textbook library of the course on generative models.

Each package imports only from those above it:

``data``         images, two domains of pictures, toy distributions, texts and tunes
``schedules``    noise levels of a diffusion process over time
``nets``         networks: feed-forward, U-Net, transformer, patch discriminator
``samplers``     steps of the reverse process
``models``       one family a file: the loss, and how to sample
``training``     the loop, checkpoints, several processes
``metrics``      measures of quality
``experiment``   train, sample, write, translate, evaluate
``cli``          the same from a terminal

Images are float32 of shape (N, C, H, W) in [-1, 1] at every public interface; data sets hold uint8,
and pictures leave as uint8. Random-number generators are called ``rng``.
"""

import math


class InputError(ValueError):
    """The input cannot be used; the message is one sentence that names it and the remedy."""


def positive(argument: str, value: int) -> int:
    """Return value, or raise an InputError that names the argument if it is below 1."""
    if value < 1:
        raise InputError(f"{argument} is {value}: it must be a whole number of at least 1.")
    return value


def check_not_negative(**settings: float | int) -> None:
    """Raise an InputError that names the first setting that is negative or not finite."""
    for name, value in settings.items():
        if not 0 <= value < math.inf:
            raise InputError(f"{name} is {value}: it must be 0 or a positive number.")
