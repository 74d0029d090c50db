"""Feed-forward networks: fully connected, and convolutional encoders and decoders.

The convolutional ones are sized for a CPU. Their first layer folds each 2 x 2 block of pixels into
channels (the reverse of Shi et al. 2016, arXiv:1609.05158), so that a 28-pixel image is processed
at 14 and 7 pixels only; most of their speed comes from that.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import nn

from gen_lib import InputError


def mlp(*sizes: int, activation: Callable[[], nn.Module] = nn.GELU) -> nn.Sequential:
    """Linear layers of the given sizes with an activation between each two, none at the end.

    Two sizes give a purely linear map.

    >>> mlp(784, 128, 16)
    Sequential(
      (0): Linear(in_features=784, out_features=128, bias=True)
      (1): GELU(approximate='none')
      (2): Linear(in_features=128, out_features=16, bias=True)
    )
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


def conv_encoder(
    image_shape: tuple[int, int, int],
    latent_size: int,
    width: int,
    hidden: int = 0,
    activation: Callable[[], nn.Module] = nn.GELU,
) -> nn.Sequential:
    """Images (N, C, H, W), H and W multiples of 4, to vectors (N, latent_size).

    With ``hidden`` > 0 a dense layer of that size stands between the features and the vector.
    """
    sizes = [feature_count(image_shape, width), hidden, latent_size]
    layers = *conv_features(image_shape, width, activation), *mlp(*filter(None, sizes))
    return nn.Sequential(*layers)


def conv_decoder(
    image_shape: tuple[int, int, int], latent_size: int, width: int, hidden: int = 0
) -> nn.Sequential:
    """The mirror of ``conv_encoder``: vectors to images of unbounded values."""
    sizes = [latent_size, hidden, feature_count(image_shape, width)]
    return nn.Sequential(*mlp(*filter(None, sizes)), *conv_images(image_shape, width))


def conv_features(
    image_shape: tuple[int, int, int], width: int, activation: Callable[[], nn.Module] = nn.GELU
) -> nn.Sequential:
    """Images to their features, 2 width at each place of a quarter of the side, as one vector."""
    channels = divisible_by_four(image_shape)[0]
    return nn.Sequential(
        nn.PixelUnshuffle(2),  # (N, 4 C, H/2, W/2)
        nn.Conv2d(4 * channels, width, 3, padding=1),
        activation(),
        nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),  # (N, 2 width, H/4, W/4)
        activation(),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        activation(),
        nn.Flatten(),
    )


def conv_images(image_shape: tuple[int, int, int], width: int) -> nn.Sequential:
    """The mirror of ``conv_features``: one vector to an image."""
    channels, height, width_px = divisible_by_four(image_shape)
    return nn.Sequential(
        nn.Unflatten(1, (2 * width, height // 4, width_px // 4)),
        nn.GELU(),
        nn.Conv2d(2 * width, 4 * width, 3, padding=1),
        nn.PixelShuffle(2),  # (N, width, H/2, W/2)
        nn.GELU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(width, 4 * channels, 3, padding=1),
        nn.PixelShuffle(2),  # (N, C, H, W)
    )


def conv_generator(
    image_shape: tuple[int, int, int], latent_size: int, width: int
) -> nn.Sequential:
    """``conv_decoder`` for an adversarial game: batch norm before each GELU, images in (-1, 1)."""
    channels, height, width_px = divisible_by_four(image_shape)
    return nn.Sequential(
        nn.Linear(latent_size, feature_count(image_shape, width)),
        nn.Unflatten(1, (2 * width, height // 4, width_px // 4)),
        nn.BatchNorm2d(2 * width),
        nn.GELU(),
        nn.Conv2d(2 * width, 4 * width, 3, padding=1),
        nn.PixelShuffle(2),  # (N, width, H/2, W/2)
        nn.BatchNorm2d(width),
        nn.GELU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.GELU(),
        nn.Conv2d(width, 4 * channels, 3, padding=1),
        nn.PixelShuffle(2),  # (N, C, H, W)
        nn.Tanh(),
    )


def feature_count(image_shape: tuple[int, int, int], width: int) -> int:
    """Length of the vector between ``conv_features`` and ``conv_images``."""
    return 2 * width * (image_shape[1] // 4) * (image_shape[2] // 4)


def divisible_by_four(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """image_shape, if height and width are multiples of 4.

    Raises:
        InputError: they are not.
    """
    if image_shape[1] % 4 or image_shape[2] % 4:
        raise InputError(
            f"Images of {image_shape[1]} x {image_shape[2]} pixels do not fit this network: "
            "height and width must be multiples of 4, so load them with another size."
        )
    return image_shape
