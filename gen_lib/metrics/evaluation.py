"""Which figures apply to a model? Each on test images, beside its floor or a baseline."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gen_lib import InputError
from gen_lib.checkpoints import load_judge
from gen_lib.data import ImageSet
from gen_lib.metrics.images import mse, psnr, ssim
from gen_lib.metrics.ruler import N_FRECHET, Quality, Ruler, check_shape
from gen_lib.models.autoencoder import PCA, DenoisingAutoencoder, add_noise
from gen_lib.models.base import Classifies, Model, Reconstructs, Samples, in_batches
from gen_lib.models.likelihood import BoundsLikelihood, likelihood_bounds
from gen_lib.models.masked import MaskedAutoencoder, masked_loss

FEWEST = 6  # images, for five nearest neighbours


class Row(NamedTuple):
    """One figure of a table, with what it is to be compared with."""

    name: str
    value: float
    beside: dict[str, float]


def compared(
    figure: Callable[[Tensor, Tensor], float], x: Tensor, outputs: dict[str, Tensor]
) -> Row:
    """A figure of each of the outputs against x: that of the first beside those of the others."""
    value, *others = (figure(y, x) for y in outputs.values())
    return Row(figure.__name__, value, dict(zip(list(outputs)[1:], others, strict=True)))


def evaluate(model: Model, images: ImageSet, n: int = N_FRECHET) -> list[Row]:
    """The figures that apply to the model, on test images, each beside its floor or baseline.

    Samples are measured where the judge knows such images: n, or as many as there are real ones.

    Raises:
        InputError: the model was made for images of another shape, or n is too small.
    """
    check_shape(model, images)
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
    return [compared(figure, x, outputs) for figure in (mse, psnr, ssim)]


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
