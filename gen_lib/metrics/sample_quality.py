"""The quality of samples: distances to real test images, in the features of the frozen judge.

The judge is a classifier; its features are the 128 activations before its last layer. In them the
Fréchet distance is called the *course Fréchet distance*. The floor of each figure is the same
figure for real training images.

A second judge, which tells the two styles of emoji apart, measures translations between them.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gen_lib import InputError
from gen_lib.data import DomainSet, ImageSet
from gen_lib.data.domains import A, B
from gen_lib.metrics.features import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from gen_lib.metrics.images import Row
from gen_lib.metrics.translation import Images, Outputs, Side
from gen_lib.models.base import Model, Samples, Translates, in_batches
from gen_lib.models.judge import Judge
from gen_lib.training.checkpoints import load_judge, load_pretrained

N_FRECHET = 10_000
N_NEIGHBOURS = 2_000  # precision, recall, density and coverage compare all pairs
FEWEST = 6  # images, for five nearest neighbours
STYLE_JUDGE = "style-judge"  # shipped; it tells emoji of A from those of B


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


def class_histogram(judge: Judge, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "classes"]:
    """Share of the images that the judge gives to each class; sums to 1."""
    logits = in_batches(judge.logits, x)
    return torch.bincount(logits.argmax(dim=1), minlength=logits.shape[1]) / len(x)


class SampleQuality:
    """The judge and the features of a data set's test images, ready to measure samples.

    Args:
        images: what the samples should look like.
        judge: whose features count; the frozen one unless given.
    """

    def __init__(self, images: ImageSet, judge: Judge | None = None):
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


def check_shape(model: Model, images: ImageSet | DomainSet) -> None:
    """Check that the model was made for images of this shape.

    Raises:
        InputError: it was made for others.
    """
    if (made_for := model.config.get("image_shape", images.image_shape)) != images.image_shape:
        raise InputError(
            f"The model {type(model).__name__} was made for images of shape "
            f"{made_for}, those of {images.name} are {images.image_shape}: use one that was "
            "trained on such images."
        )


def judged_rows(model: Model, data: ImageSet | DomainSet, n: int = N_FRECHET) -> list[Row]:
    """The figures of a model's outputs that a frozen judge gives; none where no judge applies.

    Args:
        model: trained; its samples are measured if it draws any.
        data: real test images of the kind that the model makes.
        n: number of samples, at most as many as there are real images.

    Raises:
        InputError: n is too small for the neighbour figures.
    """
    if isinstance(data, DomainSet):
        if isinstance(model, Translates) and data.name == "emoji":
            return _style_rows(model, data)
        return []
    n = min(n, len(data.train), len(data.test))
    judge = load_judge()
    if not isinstance(model, Samples) or data.image_shape != judge.config["image_shape"]:
        return []
    if n < FEWEST:
        raise InputError(f"{n} images are too few to measure samples: take at least {FEWEST}.")
    rng = torch.Generator().manual_seed(0)
    samples = torch.cat([model.sample(len(part), rng) for part in torch.arange(n).split(500)])
    quality = SampleQuality(data, judge)
    figures = zip(Quality._fields, quality.quality(samples), quality.floor(n), strict=True)
    return [Row(name, value, {"floor": floor}) for name, value, floor in figures]


def style_share(judge: Judge, y: Images, domain: int) -> float:
    """Share of the images, in [0, 1], that a classifier of the domains A and B calls ``domain``."""
    return (in_batches(judge.logits, y).argmax(dim=1) == domain).float().mean().item()


def style_distance(judge: Judge, y: Images, target: Images) -> float:
    """Fréchet distance between the features of two sets of images."""
    return frechet_distance(*(in_batches(judge.features, images) for images in (y, target)))


def _style_rows(model: Translates, domains: DomainSet) -> list[Row]:
    """Share and distance of each style, beside those of true pictures: held-out and seen ones."""
    judge, rows = load_pretrained(STYLE_JUDGE, Judge), []
    sides: tuple[tuple[Side, int], ...] = (("B", B), ("A", A))
    for to, domain in sides:
        outputs = Outputs(model.translate, domains, to)
        truth, seen = outputs.truth, outputs.seen.x
        order = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))
        floor = seen[order[: len(truth)]]
        images = outputs.images
        shares = {n: style_share(judge, y, domain) for n, y in (images | {"truth": truth}).items()}
        far = {n: style_distance(judge, y, truth) for n, y in (images | {"floor": floor}).items()}
        for name, figures in (("style", shares), ("frechet", far)):
            rows.append(Row(f"{name}_to_{to.lower()}", figures.pop(""), figures))
    return rows
