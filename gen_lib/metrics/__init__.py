"""How good is it? Every figure comes beside its floor."""

from gen_lib.metrics.evaluation import Row, compared, evaluate
from gen_lib.metrics.features import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from gen_lib.metrics.images import Nearest, mse, nearest, psnr, ssim
from gen_lib.metrics.ruler import N_FRECHET, Quality, Ruler, class_histogram

__all__ = [
    "N_FRECHET",
    "Nearest",
    "Quality",
    "Row",
    "Ruler",
    "class_histogram",
    "compared",
    "density_coverage",
    "evaluate",
    "frechet_distance",
    "kernel_distance",
    "mse",
    "nearest",
    "precision_recall",
    "psnr",
    "ssim",
]
