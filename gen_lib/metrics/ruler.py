"""How good are samples? The distances to real test images, in the features of the judge.

With the judge's 128 activations before the last layer the Fréchet distance is the *course Fréchet
distance*. The floor of each figure is the same figure for real training images.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen_lib import InputError
from gen_lib.checkpoints import load_judge
from gen_lib.data import ImageSet
from gen_lib.metrics.features import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from gen_lib.models.base import Classifies, Model, in_batches

N_FRECHET = 10_000
N_NEIGHBOURS = 2_000  # the neighbour figures compare all pairs


class Quality(NamedTuple):
    """How close one set of images is to another."""

    frechet: float
    """Course Fréchet distance, >= 0, smaller is better."""
    kernel: float
    """Kernel distance, about 0 for equal distributions, smaller is better."""
    precision: float
    """Share of samples that lie among the real images, in [0, 1]."""
    recall: float
    """Share of real images that lie among the samples, in [0, 1]."""
    density: float
    """Real neighbourhoods that a sample lies in, over k; about 1 for equal distributions."""
    coverage: float
    """Share of real neighbourhoods that hold a sample; about 0.97 for equal distributions."""


def class_histogram(judge: Classifies, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "classes"]:
    """Share of the images that the judge gives to each class; sums to 1."""
    logits = in_batches(judge.logits, x)
    return torch.bincount(logits.argmax(dim=1), minlength=logits.shape[1]) / len(x)


class Ruler:
    """The judge and the features of a data set's test images, ready to measure samples.

    Args:
        images: what the samples should look like.
        judge: whose features count; the frozen one unless given.
    """

    def __init__(self, images: ImageSet, judge: Classifies | None = None):
        self.images = images
        self.judge = judge or load_judge()
        check_shape(self.judge, images)
        self.reference = self.features(images.test.x)

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n features"]:
        """The judge's features of images in [-1, 1]."""
        return in_batches(self.judge.features, x, size=100)  # so few stay in the cache

    def frechet(self, x: Float[Tensor, "n c h w"]) -> float:
        """Course Fréchet distance of images to as many test images (all 10,000 by convention)."""
        return frechet_distance(self.features(x), self.reference[: len(x)])

    def frechet_floor(self, n: int = N_FRECHET) -> float:
        """Course Fréchet distance of n real training images to n test images."""
        return self.frechet(self.images.train.subset(n).x)

    def quality(self, x: Float[Tensor, "n c h w"]) -> Quality:
        """All distances of images to as many test images; neighbour figures from 2,000 of them."""
        fake = self.features(x)
        real = self.reference[: len(x)]
        few_fake, few_real = fake[:N_NEIGHBOURS], real[:N_NEIGHBOURS]
        return Quality(
            frechet_distance(fake, real),
            kernel_distance(fake, real),
            *precision_recall(few_fake, few_real),
            *density_coverage(few_fake, few_real),
        )

    def floor(self, n: int = N_FRECHET) -> Quality:
        """The same figures for n real training images: nothing that samples does better."""
        return self.quality(self.images.train.subset(n).x)


def check_shape(model: Model | Classifies, images: ImageSet) -> None:
    """That the model was made for images of this shape, where it says so.

    Raises:
        InputError: it was made for others.
    """
    config = model.config if isinstance(model, Model) else {}
    if (made_for := config.get("image_shape", images.image_shape)) != images.image_shape:
        raise InputError(
            f"The model {type(model).__name__} was made for images of shape "
            f"{made_for}, those of {images.name} are {images.image_shape}: use one that was "
            "trained on such images."
        )
