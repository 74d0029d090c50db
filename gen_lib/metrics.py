"""How good is it? Every figure comes beside its floor.

Distances between sets of images are taken between their features, the judge's 128 activations
before the last layer:

- the course Fréchet distance, Heusel et al. 2017 (arXiv:1706.08500), eq. 6;
- the kernel distance, Bińkowski et al. 2018 (arXiv:1801.01401): an unbiased squared MMD with the
  kernel (x.y / d + 1)^3;
- precision and recall, Kynkäänniemi et al. 2019 (arXiv:1904.06991), k = 3;
- density and coverage, Naeem et al. 2020 (arXiv:2002.09797), k = 5.

The floor of each is the same figure for real training images against the same real test images.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gen_lib import InputError
from gen_lib.checkpoints import load_judge
from gen_lib.data import ImageSet
from gen_lib.models.autoencoder import PCA, DenoisingAutoencoder, add_noise
from gen_lib.models.base import Classifies, Model, Reconstructs, Samples, in_batches
from gen_lib.models.likelihood import BoundsLikelihood, likelihood_bounds
from gen_lib.models.masked import MaskedAutoencoder, masked_loss

N_FRECHET = 10_000
FEWEST = 6  # images, for five nearest neighbours
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
    """How many real neighbourhoods a sample lies in, about 1 for equal distributions."""
    coverage: float
    """Share of real neighbourhoods that hold a sample, in [0, 1]."""


class Row(NamedTuple):
    """One figure of a table, with what it is to be compared with."""

    name: str
    value: float
    beside: dict[str, float]


def mse(y: Float[Tensor, "*shape"], x: Float[Tensor, "*shape"]) -> float:
    """Mean squared error per pixel, both images in [-1, 1].

    >>> mse(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    1.0
    """
    return (y - x).square().mean().item()


def psnr(y: Float[Tensor, "n c h w"], x: Float[Tensor, "n c h w"]) -> float:
    """Peak signal-to-noise ratio in dB, averaged over the images: 10 log10(2^2 / mse_n).

    >>> round(psnr(torch.full((1, 1, 4, 4), 0.2), torch.zeros(1, 1, 4, 4)), 6)
    20.0
    """
    per_image = (y - x).square().flatten(1).mean(dim=1)
    return (10 * torch.log10(4 / per_image)).mean().item()


def ssim(y: Float[Tensor, "n c h w"], x: Float[Tensor, "n c h w"]) -> float:
    """Mean structural similarity (Wang et al. 2004), 1 for equal images."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    return torch.as_tensor(structural_similarity_index_measure(y, x, data_range=2.0)).item()


def frechet_distance(a: Float[Tensor, "n features"], b: Float[Tensor, "m features"]) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) between Gaussians fitted to both sets."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    distance = FrechetInceptionDistance(feature=_Features(a.shape[1]))
    distance.update(a, real=False)
    distance.update(b, real=True)
    return distance.compute().item()


def kernel_distance(
    a: Float[Tensor, "n features"], b: Float[Tensor, "m features"], seed: int = 0
) -> float:
    """Unbiased squared MMD with a cubic kernel, mean over 100 pairs of subsets of 1,000 at most."""
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(1_000, len(a), len(b))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it keeps all features in memory
        distance = KernelInceptionDistance(feature=_Features(a.shape[1]), subset_size=size)
    distance.update(a, real=False)
    distance.update(b, real=True)
    with torch.random.fork_rng(devices=[]):  # torchmetrics draws the subsets from the global state
        torch.default_generator.manual_seed(seed)
        return distance.compute()[0].item()


def precision_recall(
    fake: Float[Tensor, "n features"], real: Float[Tensor, "m features"], k: int = 3
) -> tuple[float, float]:
    """Share of fakes within reach of some real point, and of reals within reach of some fake.

    A point's reach is the distance to its k-th nearest neighbour in its own set.
    """
    distance = torch.cdist(fake, real)  # (n, m)
    precision = (distance <= _reach(real, k)).any(dim=1).float().mean()
    recall = (distance <= _reach(fake, k)[:, None]).any(dim=0).float().mean()
    return precision.item(), recall.item()


def density_coverage(
    fake: Float[Tensor, "n features"], real: Float[Tensor, "m features"], k: int = 5
) -> tuple[float, float]:
    """Mean number of real reaches that a fake is in, over k; share of real reaches with a fake."""
    inside = torch.cdist(fake, real) <= _reach(real, k)  # (n, m)
    return inside.sum(dim=1).float().mean().item() / k, inside.any(dim=0).float().mean().item()


def class_histogram(judge: Classifies, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "classes"]:
    """Share of the images that the judge gives to each class; sums to 1."""
    logits = in_batches(judge.logits, x)
    return torch.bincount(logits.argmax(dim=1), minlength=logits.shape[1]) / len(x)


class Nearest(NamedTuple):
    """For each image the closest one of another set."""

    indices: Int64[Tensor, "n"]
    distance: Float[Tensor, "n"]
    """Euclidean, over all values of the image."""


def nearest(x: Float[Tensor, "n *shape"], pool: Float[Tensor, "m *shape"]) -> Nearest:
    """The nearest neighbours of x in the pool: is what was sampled a copy of a training image?"""
    parts = [torch.cdist(part.flatten(1), pool.flatten(1)).argmin(dim=1) for part in x.split(500)]
    indices = torch.cat(parts)
    # cdist multiplies matrices, whose rounding would leave a copy at a distance above 0
    return Nearest(indices, (x - pool[indices]).flatten(1).norm(dim=1))


class Ruler:
    """The judge and the features of a data set's test images, ready to measure samples.

    Args:
        images: what the samples should look like.
        judge: whose features count; the frozen one unless given.
    """

    def __init__(self, images: ImageSet, judge: Classifies | None = None):
        self.images = images
        self.judge = judge or load_judge()
        _check_shape(self.judge, images)
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


def evaluate(model: Model, images: ImageSet, n: int = N_FRECHET) -> list[Row]:
    """The figures that apply to the model, on test images, each beside its floor or baseline.

    Samples are measured where the judge knows such images: n, or as many as there are real ones.

    Raises:
        InputError: the model was made for images of another shape, or n is too small.
    """
    _check_shape(model, images)
    n = min(n, len(images.train), len(images.test))
    judged = images.image_shape == load_judge().config["image_shape"]
    if isinstance(model, Samples) and judged and n < FEWEST:
        raise InputError(f"{n} images are too few to measure samples: take at least {FEWEST}.")
    rows = _classification(model, images) if isinstance(model, Classifies) else []
    if isinstance(model, Reconstructs):
        rows += _reconstruction(model, images)
    if isinstance(model, BoundsLikelihood):
        rows += _likelihood(model, images)
    if isinstance(model, DenoisingAutoencoder):
        rows += _denoising(model, images)
    if isinstance(model, MaskedAutoencoder):
        rows += _masking(model, images)
    if isinstance(model, Samples) and judged:
        rows += _sampling(model, images, n)
    return rows


def _classification(model: Classifies, images: ImageSet) -> list[Row]:
    right = in_batches(model.logits, images.test.x).argmax(dim=1) == images.test.labels
    most_common = images.test.labels.bincount().max().item() / len(images.test)
    return [Row("accuracy", right.float().mean().item(), {"one_class": most_common})]


def _reconstruction(model: Reconstructs, images: ImageSet) -> list[Row]:
    train, x = images.train.x, images.test.x
    latent_size = in_batches(model.encode, x[:2]).shape[1]
    outputs = {"": in_batches(model.reconstruct, x)}
    if latent_size < x[0].numel():  # as many components as pixels would leave no error at all
        outputs["pca"] = PCA.fit(train, latent_size).reconstruct(x)
    outputs["mean_image"] = train.mean(dim=0).expand_as(x)
    return [_row(figure, x, outputs) for figure in (mse, psnr, ssim)]


def _denoising(model: DenoisingAutoencoder, images: ImageSet) -> list[Row]:
    x = images.test.x
    noised = add_noise(x, model.sigma, model.dropped, torch.Generator().manual_seed(0))
    value = psnr(in_batches(model.reconstruct, noised), x)
    return [Row("denoised_psnr", value, {"noised": psnr(noised, x)})]


def _masking(model: MaskedAutoencoder, images: ImageSet) -> list[Row]:
    x, mean = images.test.x, images.train.x.mean(dim=0)
    y, mask = model.fill(x, torch.Generator().manual_seed(0))
    value, mean_image = (masked_loss(y, x, mask).item() for y in (y, mean.expand_as(x)))
    return [Row("masked_mse", value, {"mean_image": mean_image})]


def _row(figure: Callable[..., float], x: Tensor, outputs: dict[str, Tensor]) -> Row:
    value, *others = (figure(y, x) for y in outputs.values())
    return Row(figure.__name__, value, dict(zip(list(outputs)[1:], others, strict=True)))


def _likelihood(model: BoundsLikelihood, images: ImageSet) -> list[Row]:
    bounds = likelihood_bounds(model, images.test.x)
    beside = {"importance_weighted": bounds.neg_importance_weighted}
    return [Row("neg_elbo", bounds.neg_elbo, beside)]


def _sampling(model: Samples, images: ImageSet, n: int) -> list[Row]:
    generator = torch.Generator().manual_seed(0)
    samples = torch.cat([model.sample(len(part), generator) for part in torch.arange(n).split(500)])
    ruler = Ruler(images)
    pairs = zip(Quality._fields, ruler.quality(samples), ruler.floor(n), strict=True)
    return [Row(name, value, {"floor": floor}) for name, value, floor in pairs]


def _check_shape(model: Model | Classifies, images: ImageSet) -> None:
    config = model.config if isinstance(model, Model) else {}
    if (made_for := config.get("image_shape", images.image_shape)) != images.image_shape:
        raise InputError(
            f"The model {type(model).__name__} was made for images of shape "
            f"{made_for}, those of {images.name} are {images.image_shape}: use one that was "
            "trained on such images."
        )


class _Features(nn.Module):
    """What torchmetrics calls a feature extractor, for features that are extracted already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _reach(points: Float[Tensor, "n features"], k: int) -> Float[Tensor, "n"]:
    """Distance of each point to its k-th nearest neighbour, itself not counted."""
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values
