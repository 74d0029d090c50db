r"""The masked autoencoder: hide most of an image and predict it from the visible rest.

He, Chen, Xie, Li, Dollár, Girshick 2021 (arXiv:2111.06377). An image is cut into P patches; a
random set M of them is masked. A transformer encodes the visible patches only; a light decoder
receives their codes and a learnt token in every masked place, and predicts all patches. The loss is
the error of the masked ones, with d values a patch:

    L = 1 / (|M| d) sum_{p in M} ||y_p - x_p||^2

The lecture masks 80 % of the patches, the paper 75 %.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from gen_lib import InputError, positive
from gen_lib.data import Batch, ImageSet
from gen_lib.metrics.images import Row
from gen_lib.models.base import Images, Loss, Model
from gen_lib.nets.vit import patchify, positions, transformer, unpatchify

Mask = Bool[Tensor, "n patches"]  # True where a patch is hidden


class Masked(NamedTuple):
    """Predicted images, and the mask of the patches that were hidden."""

    y: Images  # every patch is predicted, the visible ones too
    mask: Mask


class MaskedAutoencoder(Model):
    """A transformer that encodes the visible patches, and a light one that predicts all of them.

    Args:
        image_shape: (channels, height, width), both sides multiples of ``patch``.
        mask_ratio: share of the patches to hide, above 0 and below 1.
        patch: side of a patch in pixels.
        width: size of the encoder's tokens.
        depth: blocks of the encoder; the decoder has two of half the width.
        all_patches: count the visible patches in the loss too (an ablation).
    """

    name = "masked"
    betas = (0.9, 0.95)
    place: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        mask_ratio: float = 0.8,
        patch: int = 4,
        width: int = 160,
        depth: int = 3,
        all_patches: bool = False,
    ):
        sizes = {"patch": patch, "width": width, "depth": depth, "all_patches": all_patches}
        super().__init__(image_shape=image_shape, mask_ratio=mask_ratio, **sizes)
        self.image_shape, self.patch, self.all_patches = image_shape, patch, all_patches
        if positive("width", width) % 8:
            raise InputError(f"width is {width}: it must be a multiple of 8 (see ``transformer``).")
        positive("patch", patch)
        positive("depth", depth)
        self.patches, values = patchify(torch.zeros(1, *image_shape), patch).shape[1:]
        self.hidden = count_hidden(mask_ratio, self.patches)
        self.embed = nn.Linear(values, width)
        self.encoder = transformer(width, depth)
        self.narrow = nn.Linear(width, width // 2)
        self.mask_token = nn.Parameter(torch.zeros(width // 2))
        self.decoder = transformer(width // 2, 2)
        self.predict = nn.Linear(width // 2, values)
        self.register_buffer("place", positions(self.patches, width), persistent=False)

    def encode_visible(self, x: Images, mask: Mask) -> Float[Tensor, "n visible width"]:
        """Codes of the visible patches; the mask hides the same number in every image."""
        patches = patchify(self.fitting(x), self.patch)
        tokens = self.embed(patches) + self.place  # (n, patches, width)
        return self.encoder(tokens[~mask].reshape(len(x), -1, tokens.shape[2]))

    def forward(self, x: Images, mask: Mask) -> Masked:
        """Images in [-1, 1] to predicted images, from their visible patches alone."""
        codes = self.narrow(self.encode_visible(x, mask))
        tokens = self.mask_token.to(codes.dtype).expand(*mask.shape, -1).clone()
        tokens[~mask] = codes.flatten(0, 1)
        tokens = tokens + self.place[:, : tokens.shape[2]]
        return Masked(unpatchify(self.predict(self.decoder(tokens)), self.image_shape), mask)

    @torch.no_grad()
    def fill(self, x: Images, rng: torch.Generator) -> Masked:
        """Hide patches at random and predict them, 500 images at a time to bound the memory."""
        mask = self.random_mask(len(x), rng)
        parts = zip(x.split(500), mask.split(500), strict=True)
        return Masked(torch.cat([self(*part).y for part in parts]), mask)

    def features(self, x: Images) -> Float[Tensor, "n width"]:
        """The codes of all patches, none masked, averaged: the input of a linear probe."""
        nothing = torch.zeros(len(x), self.patches, dtype=torch.bool, device=x.device)
        return self.encode_visible(x, nothing).mean(dim=1)

    def random_mask(self, n: int, rng: torch.Generator) -> Mask:
        """The same number of hidden patches in each of n images, at uniformly drawn places."""
        noise = torch.rand(n, self.patches, generator=rng, device=rng.device)
        return noise.argsort(dim=1).argsort(dim=1) < self.hidden

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """The mean squared error of the masked patches (of all, with ``all_patches``)."""
        mask = self.random_mask(len(batch.images), rng)
        y = self(batch.images, mask).y
        masked = masked_loss(y, batch.images, mask)
        visible = masked_loss(y, batch.images, ~mask)
        loss = (y - batch.images).square().mean() if self.all_patches else masked
        return Loss(loss, {"masked_mse": masked, "visible_mse": visible})

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        x, mean = data.test.x, data.train.x.mean(dim=0)
        y, mask = self.fill(x, torch.Generator().manual_seed(0))
        value, mean_image = (masked_loss(y, x, mask).item() for y in (y, mean.expand_as(x)))
        return [Row("masked_mse", value, {"mean_image": mean_image})]


def masked_loss(y: Images, x: Images, mask: Mask) -> Float[Tensor, ""]:
    """The mean squared error over all values of the patches where the mask is True.

    >>> masked_loss(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), torch.eye(4)[:1].bool())
    tensor(1.)
    """
    patch = round((x[0, 0].numel() / mask.shape[1]) ** 0.5)
    return patchify(y - x, patch)[mask].square().mean()


def count_hidden(mask_ratio: float, patches: int) -> int:
    """Number of patches to hide, at least one hidden and one visible.

    >>> count_hidden(0.8, 49)
    39

    Raises:
        InputError: the ratio is not strictly between 0 and 1, or the image is a single patch.
    """
    if patches < 2:
        raise InputError("The image is a single patch: choose a smaller patch.")
    if not 0 < mask_ratio < 1:
        raise InputError(
            f"mask_ratio is {mask_ratio}: it must lie strictly between 0 and 1, so that some "
            "patches are hidden and some visible."
        )
    return min(max(round(mask_ratio * patches), 1), patches - 1)
