"""The textbook library of the course on generative models.

Each package imports only from those above it:

``data``         images, two domains of pictures, toy distributions
``schedules``    noise levels of a diffusion process over time
``nets``         networks: feed-forward, U-Net, transformer, patch discriminator
``samplers``     steps of the reverse process
``models``       one family a file: the loss, and how to sample
``training``     the loop, checkpoints, several processes
``metrics``      measures of quality
``experiment``   train, sample, translate, evaluate
``cli``          the same from a terminal

Images are float32 of shape (N, C, H, W) in [-1, 1] at every public interface; data sets hold uint8,
and pictures leave as uint8. Random-number generators are called ``rng``.
"""


class InputError(ValueError):
    """The input cannot be used; the message is one sentence that names it and the remedy."""
