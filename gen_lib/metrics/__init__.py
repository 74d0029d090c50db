"""Measures of quality. This package exports functions of tensors; five modules hold the rest.

``sample_quality`` measures samples in the features of a frozen classifier, ``translation`` compares
translations with their true partners, ``linear_probe`` tests features by a linear classifier,
``obedience`` counts what pictures show of their sentences, ``text`` counts the bits of a text.
"""

from gen_lib.metrics.features import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from gen_lib.metrics.images import Nearest, Row, compared, l1, mse, nearest, psnr, ssim

__all__ = [
    "Nearest",
    "Row",
    "compared",
    "density_coverage",
    "frechet_distance",
    "kernel_distance",
    "l1",
    "mse",
    "nearest",
    "precision_recall",
    "psnr",
    "ssim",
]
