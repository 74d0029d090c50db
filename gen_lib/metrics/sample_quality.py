"""The quality of samples, measured in the features of a frozen classifier, the judge.

The features are the 128 activations before the judge's last layer. The Fréchet distance between
samples and real test images in these features is called the *course Fréchet distance*. The floor of
a figure is the same figure for real training images in place of samples.

A second judge, which tells the two styles of emoji apart, measures translations between them.
"""

import math
from collections.abc import Sequence
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
from gen_lib.metrics.images import Row, nearest
from gen_lib.metrics.obedience import N_SENTENCES, obedience_rows
from gen_lib.metrics.translation import Images, Outputs, Side
from gen_lib.models.base import Model, Samples, Translates, in_batches
from gen_lib.models.judge import Judge
from gen_lib.models.text_to_image import TextToImage
from gen_lib.training.checkpoints import load_judge, load_pretrained

N_FRECHET = 10_000
N_NEIGHBOURS = 2_000  # images for precision, recall, density and coverage, which compare all pairs
FEWEST = 6  # images: a point needs five neighbours in its own set
STYLE_JUDGE = "style-judge"  # the shipped classifier of the two styles of emoji


class Quality(NamedTuple):
    """How close one set of images is to another."""

    frechet: float
    """Course Fréchet distance, >= 0, smaller is better."""
    kernel: float
    """Kernel distance, about 0 for equal distributions, smaller is better."""
    precision: float
    """Share of samples in the neighbourhood of a real image, in [0, 1]."""
    recall: float
    """Share of real images in the neighbourhood of a sample, in [0, 1]."""
    density: float
    """Real neighbourhoods that a sample is in, over k; about 1 for equal distributions."""
    coverage: float
    """Share of real neighbourhoods that hold a sample; about 0.97 for equal distributions."""


def class_histogram(judge: Judge, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "classes"]:
    """Share of the images that the judge assigns to each class; the shares sum to 1."""
    logits = in_batches(judge.logits, x)
    return torch.bincount(logits.argmax(dim=1), minlength=logits.shape[1]) / len(x)


class SampleQuality:
    """Compares samples with the test images of a data set in the features of a judge.

    Args:
        images: the data set whose images the samples should look like.
        judge: the classifier; the frozen one unless given.

    Raises:
        InputError: the judge was made for images of another shape.
    """

    def __init__(self, images: ImageSet, judge: Judge | None = None):
        self.images = images
        self.judge = judge or load_judge()
        check_shape(self.judge, images)
        self.reference = self.features(images.test.x)

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n features"]:
        """The judge's features of images in [-1, 1]."""
        return in_batches(self.judge.features, x, size=100)  # small batches stay in the cache

    def frechet(self, x: Float[Tensor, "n c h w"]) -> float:
        """Course Fréchet distance of N images to the first N test images (by convention 10,000)."""
        return frechet_distance(self.features(x), self.reference[: len(x)])

    def frechet_floor(self, n: int = N_FRECHET) -> float:
        """Course Fréchet distance of n real training images to n test images."""
        return self.frechet(self.images.train.subset(n).x)

    def quality(self, x: Float[Tensor, "n c h w"]) -> Quality:
        """All figures of N images and the first N test images; from precision on, of 2,000 each."""
        fake, real = self.features(x), self.reference[: len(x)]
        few_fake, few_real = fake[:N_NEIGHBOURS], real[:N_NEIGHBOURS]
        return Quality(
            frechet_distance(fake, real),
            kernel_distance(fake, real),
            *precision_recall(few_fake, few_real),
            *density_coverage(few_fake, few_real),
        )

    def floor(self, n: int = N_FRECHET) -> Quality:
        """All figures of n real training images, the best that samples can be expected to reach."""
        return self.quality(self.images.train.subset(n).x)


def check_shape(model: Model, images: ImageSet | DomainSet) -> None:
    """Raise InputError if the model was made for images of another shape."""
    if (made_for := model.config.get("image_shape", images.image_shape)) != images.image_shape:
        raise InputError(
            f"The model {type(model).__name__} was made for images of shape {made_for}, those of "
            f"{images.name} are {images.image_shape}: use one that was trained on such images."
        )


def judged_rows(model: Model, data: ImageSet | DomainSet, n: int = N_FRECHET) -> list[Row]:
    """The figures of a model's samples or translations that need a judge, beside their floors.

    Where the judge was made for images of another shape, its figures are named without a value,
    and neighbours are counted in the space of pixels instead.

    Args:
        model: a trained model; the list is empty if it neither samples nor translates.
        data: the data set that the model should imitate.
        n: number of samples, at most as many as there are real images.

    Raises:
        InputError: n is too small for the neighbour figures.
    """
    if isinstance(data, DomainSet):
        if isinstance(model, Translates) and data.name == "emoji":
            return [*_style_rows(model, data, "B"), *_style_rows(model, data, "A")]
        return []
    if not isinstance(model, Samples):
        return []
    if isinstance(model, TextToImage):
        return obedience_rows(model, min(n, N_SENTENCES))
    if n < FEWEST:
        raise InputError(f"{n} images are too few to measure samples: take at least {FEWEST}.")
    judge, n = load_judge(), min(n, len(data.train), len(data.test))
    rng = torch.Generator().manual_seed(0)
    samples = torch.cat([model.sample(len(part), rng) for part in torch.arange(n).split(500)])
    if data.image_shape != judge.config["image_shape"]:
        return _pixel_rows(samples, data, judge)
    if n < FEWEST:
        return _without(Quality._fields, f"{n} test pictures are too few, {FEWEST} are needed")
    quality = SampleQuality(data, judge)
    figures = zip(Quality._fields, quality.quality(samples), quality.floor(n), strict=True)
    return [Row(name, value, {"floor": floor}) for name, value, floor in figures]


def _pixel_rows(samples: Images, data: ImageSet, judge: Judge) -> list[Row]:
    """The distance to the nearest training picture, and shares of neighbours, in pixels."""
    made_for = judge.config["image_shape"]
    rows = _without(Quality._fields, f"the judge was made for images of shape {made_for}")
    pool, real = data.train.x, data.test.x[: len(samples)]
    distance, of_real = (nearest(x, pool).distance.median().item() for x in (samples, real))
    rows.append(Row("pixel_nearest", distance, {"test": of_real}))
    names = ("pixel_precision", "pixel_recall", "pixel_density", "pixel_coverage")
    if len(real) < FEWEST:
        few = f"{len(real)} test pictures are too few, {FEWEST} are needed"
        return rows + _without(names, few)
    fake, floor, real = (
        x[:N_NEIGHBOURS].flatten(1) for x in (samples, data.train.subset(len(real)).x, real)
    )
    figures, floors = (
        (*precision_recall(x, real), *density_coverage(x, real)) for x in (fake, floor)
    )
    return rows + [
        Row(name, value, {"floor": least})
        for name, value, least in zip(names, figures, floors, strict=True)
    ]


def _without(names: Sequence[str], reason: str) -> list[Row]:
    """Rows of figures that cannot be given, and why."""
    return [Row(name, math.nan, {}, reason) for name in names]


def style_share(judge: Judge, y: Images, domain: int) -> float:
    """Share of the images, in [0, 1], that a classifier of A and B assigns to ``domain``."""
    return (in_batches(judge.logits, y).argmax(dim=1) == domain).float().mean().item()


def style_distance(judge: Judge, y: Images, target: Images) -> float:
    """Fréchet distance between the judge's features of two sets of images."""
    return frechet_distance(*(in_batches(judge.features, images) for images in (y, target)))


def _style_rows(model: Translates, domains: DomainSet, to: Side) -> list[Row]:
    """Share with the target's style and distance to the true partners, beside the baselines."""
    judge, outputs = load_pretrained(STYLE_JUDGE, Judge), Outputs(model.translate, domains, to)
    images, truth, seen = outputs.images, outputs.truth, outputs.seen.x
    order = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))
    floor = seen[order[: len(truth)]]
    domain = B if to == "B" else A
    share = {n: style_share(judge, y, domain) for n, y in (images | {"truth": truth}).items()}
    distance = {n: style_distance(judge, y, truth) for n, y in (images | {"floor": floor}).items()}
    return [
        Row(f"{name}_to_{to.lower()}", figures.pop(""), figures)
        for name, figures in (("style", share), ("frechet", distance))
    ]
