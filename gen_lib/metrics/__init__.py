"""Measures of quality. Those exported here compare arrays and know no model.

``sample_quality`` measures samples in the features of the frozen judge, ``translation`` translated
images against their true partners, ``linear_probe`` what a linear classifier reads from features.
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
