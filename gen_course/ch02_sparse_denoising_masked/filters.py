"""Two classic filters against noise, with widths tuned on images, as rivals of a denoiser."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, median_filter  # type: ignore[import-untyped]
from torch import Tensor

from gen_lib.metrics import psnr

Images = Float[Tensor, "n c h w"]
WIDTHS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
SIZES = (3, 5, 7)


class Tuned(NamedTuple):
    """The width of the blur and the size of the median that remove a noise best."""

    width: float
    size: int


def blur(x: Images, width: float) -> Images:
    """Every pixel becomes a mean of its neighbours, weighted by a Gaussian of this width."""
    return torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, width, width)))


def median(x: Images, size: int) -> Images:
    """Every pixel becomes the median of the ``size`` x ``size`` pixels around it."""
    return torch.from_numpy(median_filter(x.numpy(), (1, 1, size, size)))


def tune(noised: Images, x: Images) -> Tuned:
    """The width and the size with the highest PSNR between filtered and clean images."""
    width = max(WIDTHS, key=lambda w: psnr(blur(noised, w), x))
    size = max(SIZES, key=lambda s: psnr(median(noised, s), x))
    return Tuned(width, size)
