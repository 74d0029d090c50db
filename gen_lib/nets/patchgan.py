"""Networks for translation: a generator that starts as the identity, and a patch discriminator.

Both are sized for a CPU. They do not normalise activations, because that takes longer than the
convolutions at this size. A patch discriminator (Isola et al. 2016, arXiv:1611.07004) judges every
patch of an image on its own. Spectral norm (Miyato et al. 2018, arXiv:1802.05957) divides each
weight matrix by its largest singular value, which bounds the slope of the discriminator.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gen_lib.nets.feedforward import divisible_by_four


class Residual(nn.Module):
    """The map x + body(x), at first the identity: its last convolution starts at zero."""

    def __init__(self, *body: nn.Module):
        super().__init__()
        self.body = nn.Sequential(*body)
        last = [layer for layer in body if isinstance(layer, nn.Conv2d)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(torch.as_tensor(last.bias))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Map images or features to the same shape."""
        return x + self.body(x)


def translator(image_shape: tuple[int, int, int], width: int, blocks: int) -> Residual:
    """Map images to images of the same shape and unbounded values, at half the side inside."""
    channels = divisible_by_four(image_shape)[0]
    return Residual(
        nn.PixelUnshuffle(2),  # (N, 4 C, H/2, W/2)
        nn.Conv2d(4 * channels, width, 3, padding=1),
        *(_block(width) for _ in range(blocks)),
        nn.GELU(),
        nn.Conv2d(width, 4 * channels, 3, padding=1),
        nn.PixelShuffle(2),  # (N, C, H, W)
    )


def _block(width: int) -> Residual:
    first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
    return Residual(nn.GELU(), first, nn.GELU(), second)


def patch_discriminator(image_shape: tuple[int, int, int], width: int) -> nn.Sequential:
    """Map images (N, C, H, W) to one number for each patch of 18 x 18 pixels, (N, 1, H/4, W/4)."""
    channels = divisible_by_four(image_shape)[0]
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels, width, 4, stride=2, padding=1)),  # (N, width, H/2, W/2)
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),  # H/4, W/4
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(2 * width, 2 * width, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(2 * width, 1, 1)),  # (N, 1, H/4, W/4)
    )
