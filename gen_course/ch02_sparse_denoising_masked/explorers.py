"""Explorers of chapter 02: the sparsity penalty, noise on the input, and hidden patches."""

from collections.abc import Mapping
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from typing_extensions import override

from gen_course.ch02_sparse_denoising_masked import figures
from gen_course.common import plots
from gen_course.common.canvas import FAINT, Canvas, png
from gen_course.common.explorer import (
    SHOWN,
    Explorer,
    Size,
    choice,
    decibels,
    first_images,
    index_slider,
    shipped,
    slider,
    steps,
)
from gen_course.common.pad import Patches
from gen_lib import InputError
from gen_lib.data import ImageSet, load
from gen_lib.metrics import mse
from gen_lib.models.autoencoder import DenoisingAutoencoder, SparseAutoencoder, add_noise
from gen_lib.models.base import Reconstructs, in_batches
from gen_lib.models.masked import MaskedAutoencoder, count_hidden
from gen_lib.nets.vit import patchify, unpatchify

SPARSE = {0.1: "sparse-0.1", 0.3: "sparse-0.3", 1.0: "sparse-1", 3.0: "sparse-3"}
"""lambda -> name of the shipped weights."""


class LambdaState(NamedTuple):
    """The weight lambda of the sparsity penalty, and a test image."""

    sparsity: float
    image: int = 0


class LambdaExplorer(Explorer[LambdaState]):
    """How does the weight lambda of the sparsity penalty change the reconstruction and the code?

    Args:
        models: lambda -> model; the shipped ones unless given.
        images: the data set whose test images are shown; Fashion-MNIST unless given.
    """

    def __init__(
        self,
        models: Mapping[float, SparseAutoencoder] | None = None,
        images: ImageSet | None = None,
    ):
        given = models or {k: shipped(v, SparseAutoencoder) for k, v in SPARSE.items()}
        self.models = dict(sorted(given.items()))
        self.x = first_images(images or load("fashion_mnist"), 1_000)
        self.active = {k: _active(m, self.x) for k, m in self.models.items()}
        controls = {
            "sparsity": steps("λ", [(f"{k:g}", k) for k in self.models]),
            "image": index_slider("test image", min(SHOWN, len(self.x)) - 1),
        }
        middle = list(self.models)[len(self.models) // 2]
        super().__init__(LambdaState(middle), controls, Size(880, 416))

    @override
    def picture(self, state: LambdaState) -> UInt8[np.ndarray, "height width 3"]:
        model, x = self.models[state.sparsity], self.x[state.image]
        z = in_batches(model.encode, x[None])
        y = in_batches(model.decode, z)[0]
        canvas = self.canvas()
        for left, label, image in (
            (0, "input x", x),
            (208, "reconstruction y(x, w)", y),
            (416, "difference |y − x|", (y - x).abs() - 1),
        ):
            canvas.text(label, left, 0)
            canvas.image(image, left, 20, 196)
        order = z[0].argsort(descending=True)[:12].tolist()
        strongest = [k for k in order if z[0, k] > 0]
        canvas.text("strongest first: unit, its z", 636, 0)
        for number, feature in enumerate(_as_images(model, x, strongest)):
            row, column = divmod(number, 4)
            left, top = 636 + 61 * column, 20 + 74 * row
            label = f"{strongest[number]}: {z[0, strongest[number]]:.2f}"
            canvas.text(label, left + 28, top + 2, FAINT, "ma", 11)
            canvas.image(feature, left, top + 16, 56)
        canvas.text(f"How many units are active: share of {len(self.x):,} test images", 0, 250)
        mine = int(self.active[state.sparsity][state.image])
        _histogram(canvas, self.active[state.sparsity], mine)
        return canvas.pixels()

    @override
    def describe(self, state: LambdaState) -> str:
        model, x = self.models[state.sparsity], self.x[state.image][None]
        active, units = self.active[state.sparsity], model.config["latent_size"]
        return (
            f"With λ = {state.sparsity:g}, {int(active[state.image])} of {units} units are active "
            f"for this image ({active.float().mean():.0f} on average over {len(active):,}), and "
            f"the MSE per pixel is {mse(in_batches(model.reconstruct, x), x):.4f}."
        )


def _active(model: SparseAutoencoder, x: Float[Tensor, "n c h w"]) -> Int64[Tensor, "n"]:
    return (in_batches(model.encode, x) > 0).sum(dim=1)


def _as_images(
    model: SparseAutoencoder, x: Float[Tensor, "c h w"], units: list[int]
) -> Float[Tensor, "units c h w"]:
    """The image that each of the units adds, scaled so that its largest absolute value is 1."""
    features = model.dictionary.detach().T[units]
    return (features / features.abs().amax(dim=1, keepdim=True)).reshape(len(units), *x.shape)


def _histogram(canvas: Canvas, counts: Int64[Tensor, "n"], mine: int) -> None:
    """Draw the shares of images with 0, 1, 2-3, 4-7, ... active units.

    The bar that holds ``mine``, the count of the image shown, has another colour.
    """
    bins = [(0, 0), *((2**k, 2 ** (k + 1) - 1) for k in range(10))]
    for number, (low, high) in enumerate(bins):
        share = ((counts >= low) & (counts <= high)).float().mean().item()
        left, top = 80 * number, 376 - round(90 * share)
        color = figures.SPARSE if low <= mine <= high else plots.BASELINE
        canvas.box(left, top, left + 72, 378, color)
        canvas.text(f"{share:.0%}", left + 36, top - 17, FAINT, "ma")
        canvas.text(f"{low}" if low == high else f"{low}–{high}", left + 36, 382, anchor="ma")
    canvas.text("active units; the dark red bar holds the image shown", 0, 400, FAINT)


DENOISING = "denoising"  # name of the shipped weights


class NoiseState(NamedTuple):
    """The level and the type of the noise, a test image, and a draw of the noise."""

    level: float = 0.5
    kind: str = "Gaussian"
    image: int = 0
    draw: int = 0


class NoiseExplorer(Explorer[NoiseState]):
    """How much noise can a denoising autoencoder remove, and of which kind?

    Args:
        model: a denoising autoencoder; the shipped one unless given.
        images: the data set whose test images are shown; Fashion-MNIST unless given.
    """

    def __init__(self, model: Reconstructs | None = None, images: ImageSet | None = None):
        self.model = model or shipped(DENOISING, DenoisingAutoencoder)
        self.x = first_images(images or load("fashion_mnist"), SHOWN)
        controls = {
            "level": slider("noise level", 0.0, 1.0, 0.05),
            "kind": choice("type", ["Gaussian", "black pixels"]),
            "image": index_slider("test image", len(self.x) - 1),
            "draw": index_slider("draw of the noise", 9),
        }
        super().__init__(NoiseState(), controls, Size(880, 248))

    @override
    def picture(self, state: NoiseState) -> UInt8[np.ndarray, "height width 3"]:
        x, noised, y = self.run(state)
        canvas = self.canvas()
        for number, (label, image, note) in enumerate(
            (
                ("input: x with noise", noised, decibels(noised, x)),
                ("output y", y, decibels(y, x)),
                ("target: the clean x", x, ""),
                ("still wrong: |y − x|", (y - x).abs() - 1, ""),
            )
        ):
            canvas.text(label, 222 * number, 0)
            canvas.image(image[0], 222 * number, 20, 196)
            canvas.text(note, 222 * number, 224, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: NoiseState) -> str:
        x, noised, y = self.run(state)
        what = (
            f"Gaussian noise of σ = {state.level:.2f}"
            if state.kind == "Gaussian"
            else f"{state.level:.0%} black pixels"
        )
        before, after = decibels(noised, x), decibels(y, x)
        return f"With {what} the PSNR of the input is {before}, that of the output {after}."

    def run(self, state: NoiseState) -> tuple[Tensor, Tensor, Tensor]:
        """The clean image, the image with noise, and the model's output, each (1, C, H, W)."""
        x = self.x[state.image][None]
        level = {"Gaussian": (state.level, 0.0), "black pixels": (0.0, state.level)}[state.kind]
        noised = add_noise(x, *level, torch.Generator().manual_seed(state.draw))
        return x, noised, in_batches(self.model.reconstruct, noised)


MASKED = "masked"  # name of the shipped weights
SIDE, TOP = 280, 20


class MaskState(NamedTuple):
    """A test image and its hidden patches, and the ratio and the draw that were chosen last."""

    ratio: float
    draw: int
    image: int
    hidden: tuple[int, ...]


class MaskExplorer(Explorer[MaskState]):
    """How little of an image is enough to predict the rest?

    Args:
        model: a masked autoencoder; the shipped one unless given.
        images: the data set whose test images are shown; Fashion-MNIST unless given.
    """

    def __init__(self, model: MaskedAutoencoder | None = None, images: ImageSet | None = None):
        self.model = model or shipped(MASKED, MaskedAutoencoder)
        self.x = first_images(images or load("fashion_mnist"), SHOWN)
        side = self.x.shape[-1] // self.model.patch
        self.patches = Patches(
            rows=side,
            columns=side,
            width=SIDE,
            height=SIDE,
            words="hidden,visible",
            label="Visible patches; the arrow keys lead to a patch, Space hides or shows it.",
        )
        controls = {
            "ratio": slider("share hidden", 0.05, 0.95, 0.05),
            "draw": index_slider("draw of the patches", 9),
            "image": index_slider("test image", len(self.x) - 1),
            "hidden": self.patches,
        }
        default = MaskState(0.8, 0, 0, self.drawn(0.8, 0))
        heading = widgets.HTML("visible patches: click to hide or show", layout={"height": "20px"})
        heading.style = {"font_size": "13px"}
        beside = widgets.VBox([heading, self.patches], layout={"flex": "0 0 auto"})
        super().__init__(default, controls, Size(600, TOP + SIDE), beside=beside)

    @override
    def picture(self, state: MaskState) -> UInt8[np.ndarray, "height width 3"]:
        canvas = self.canvas()
        canvas.text("visible and predicted patches", 20, 0)
        canvas.image(self.predict(state), 20, TOP, SIDE)
        canvas.text("truth", 320, 0)
        canvas.image(self.x[state.image], 320, TOP, SIDE)
        return canvas.pixels()

    @override
    def describe(self, state: MaskState) -> str:
        mask, x = self.mask(state.hidden), self.x[state.image]
        hidden = (
            f"{len(state.hidden)} of {len(mask)} patches are hidden ({mask.float().mean():.0%})"
        )
        if not state.hidden:
            return f"{hidden}: nothing is predicted, so nothing can be wrong."
        y, truth = (patchify(v[None], self.model.patch)[0][mask] for v in (self.predict(state), x))
        return f"{hidden}; the MSE per pixel on them is {mse(y, truth):.3f}."

    @override
    def follow(self, name: str) -> None:
        if name in {"ratio", "draw"}:
            ratio, draw = self.controls["ratio"].value, self.controls["draw"].value
            self.patches.value = list(self.drawn(ratio, draw))

    @override
    def accompany(self, state: MaskState) -> None:
        x, mask = self.x[state.image], self.mask(state.hidden)
        patches = patchify(x[None], self.model.patch)
        patches[:, mask] = figures.GREY
        canvas = self.canvas(Size(SIDE, SIDE))
        canvas.image(unpatchify(patches, self.model.image_shape)[0], 0, 0, SIDE)
        self.patches.background = png(canvas.pixels())

    def drawn(self, ratio: float, draw: int) -> tuple[int, ...]:
        """Indices of the patches that a draw hides; a larger ratio hides the same ones and more."""
        rng = torch.Generator().manual_seed(draw)
        order = torch.randperm(self.model.patches, generator=rng)
        return tuple(sorted(order[: count_hidden(ratio, self.model.patches)].tolist()))

    def mask(self, hidden: tuple[int, ...]) -> Bool[Tensor, "patches"]:
        """True where a patch is hidden."""
        mask = torch.zeros(self.model.patches, dtype=torch.bool)
        mask[list(hidden)] = True
        return mask

    def predict(self, state: MaskState) -> Float[Tensor, "c h w"]:
        """The image with its hidden patches predicted from the visible ones.

        Raises:
            InputError: every patch is hidden.
        """
        x, mask = self.x[state.image][None], self.mask(state.hidden)
        if mask.all():
            raise InputError(
                "Every patch is hidden, so there is nothing to predict from: show at least one."
            )
        if not mask.any():
            return x[0]
        patches = patchify(x, self.model.patch)
        y = in_batches(lambda v: self.model(v, mask[None]).y, x)
        patches[:, mask] = patchify(y, self.model.patch)[:, mask]
        return unpatchify(patches, self.model.image_shape)[0]
