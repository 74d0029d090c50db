"""Feed-forward networks: fully connected, and convolutional encoders and decoders.

The convolutional networks are sized for a CPU. Their first layer moves each 2 x 2 block of pixels
into channels (the reverse of Shi et al. 2016, arXiv:1609.05158), so that an image of 28 pixels is
processed at 14 and 7 pixels only; most of their speed comes from that. ``width`` is a number of
channels.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from gen_lib import InputError

Shape = tuple[int, int, int]  # of an image: channels, height, width


def mlp(*sizes: int, activation: Callable[[], nn.Module] = nn.GELU) -> nn.Sequential:
    """Linear layers of the given sizes with an activation between two of them, none at the end.

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
    image_shape: Shape,
    latent_size: int,
    width: int,
    hidden: int = 0,
    activation: Callable[[], nn.Module] = nn.GELU,
) -> nn.Sequential:
    """Map images (N, C, H, W) to vectors (N, latent_size).

    With ``hidden`` > 0 a hidden layer of that size stands between the features and the vector.
    """
    sizes = [feature_count(image_shape, width), hidden, latent_size]
    layers = *conv_features(image_shape, width, activation), *mlp(*filter(None, sizes))
    return nn.Sequential(*layers)


def conv_decoder(
    image_shape: Shape, latent_size: int, width: int, hidden: int = 0
) -> nn.Sequential:
    """Map vectors (N, latent_size) to images (N, C, H, W) of unbounded values."""
    sizes = [latent_size, hidden, feature_count(image_shape, width)]
    return nn.Sequential(*mlp(*filter(None, sizes)), *conv_images(image_shape, width))


def conv_generator(image_shape: Shape, latent_size: int, width: int) -> nn.Sequential:
    """Map noise (N, latent_size) to images (N, C, H, W) in (-1, 1), with batch norm, for a GAN."""
    dense = nn.Linear(latent_size, feature_count(image_shape, width))
    return nn.Sequential(dense, *conv_images(image_shape, width, batch_norm=True), nn.Tanh())


def conv_features(
    image_shape: Shape, width: int, activation: Callable[[], nn.Module] = nn.GELU
) -> nn.Sequential:
    """Map images (N, C, H, W) to features (N, 2 width * H/4 * W/4)."""
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


def conv_images(image_shape: Shape, width: int, batch_norm: bool = False) -> nn.Sequential:
    """Map features (N, 2 width * H/4 * W/4) to images (N, C, H, W) of unbounded values."""

    def activation(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels), nn.GELU()] if batch_norm else [nn.GELU()]

    channels, rows, columns = divisible_by_four(image_shape)
    return nn.Sequential(
        nn.Unflatten(1, (2 * width, rows // 4, columns // 4)),
        *activation(2 * width),
        nn.Conv2d(2 * width, 4 * width, 3, padding=1),
        nn.PixelShuffle(2),  # (N, width, H/2, W/2)
        *activation(width),
        nn.Conv2d(width, width, 3, padding=1),
        *activation(width),
        nn.Conv2d(width, 4 * channels, 3, padding=1),
        nn.PixelShuffle(2),  # (N, C, H, W)
    )


class ResidualBlock(nn.Module):
    """h + conv(SiLU(conv(SiLU(h)))): features of the same shape (He et al. 2016, 1603.05027)."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, h: Tensor) -> Tensor:
        """Map features (N, width, H, W) to features of the same shape."""
        return h + self.body(h)


def grid_encoder(image_shape: Shape, depth: int, width: int) -> nn.Sequential:
    """Map images (N, C, H, W) to grids of codes (N, depth, H/4, W/4)."""
    channels = divisible_by_four(image_shape)[0]
    return nn.Sequential(
        nn.PixelUnshuffle(2),  # (N, 4 C, H/2, W/2)
        nn.Conv2d(4 * channels, width, 3, padding=1),
        ResidualBlock(width),
        nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),  # (N, 2 width, H/4, W/4)
        ResidualBlock(2 * width),
        nn.SiLU(),
        nn.Conv2d(2 * width, depth, 1),
    )


def grid_decoder(image_shape: Shape, depth: int, width: int) -> nn.Sequential:
    """Map grids of codes (N, depth, H/4, W/4) to images (N, C, H, W) of unbounded values."""
    channels = divisible_by_four(image_shape)[0]
    return nn.Sequential(
        nn.Conv2d(depth, 2 * width, 3, padding=1),
        ResidualBlock(2 * width),
        ResidualBlock(2 * width),
        nn.SiLU(),
        nn.Conv2d(2 * width, 4 * width, 1),
        nn.PixelShuffle(2),  # (N, width, H/2, W/2)
        ResidualBlock(width),
        nn.SiLU(),
        nn.Conv2d(width, 4 * channels, 3, padding=1),
        nn.PixelShuffle(2),  # (N, C, H, W)
    )


def feature_count(image_shape: Shape, width: int) -> int:
    """Number of features per image in ``conv_features`` and ``conv_images``."""
    _, rows, columns = divisible_by_four(image_shape)
    return 2 * width * (rows // 4) * (columns // 4)


def divisible_by_four(image_shape: Shape) -> Shape:
    """Return image_shape, or raise InputError if height or width is not a multiple of 4."""
    if image_shape[1] % 4 or image_shape[2] % 4:
        raise InputError(
            f"Images of {image_shape[1]} x {image_shape[2]} pixels do not fit this network: "
            "height and width must be multiples of 4, so load them with another size."
        )
    return image_shape
