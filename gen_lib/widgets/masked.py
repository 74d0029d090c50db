"""Explorer of chapter 02: hide patches of an image and see them predicted."""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError
from gen_lib.checkpoints import load_pretrained
from gen_lib.data import ImageSet, load
from gen_lib.metrics import mse
from gen_lib.models.base import in_batches
from gen_lib.models.masked import MaskedAutoencoder, count_hidden
from gen_lib.nets.vit import patchify, unpatchify
from gen_lib.widgets.base import SHOWN, Explorer, Size, index_slider, slider
from gen_lib.widgets.drawing import png
from gen_lib.widgets.pad import Patches

MASKED = "masked"  # name of the shipped weights
SIDE, TOP = 280, 20
GREY = 0.4  # a hidden patch; no garment is that even


class MaskState(NamedTuple):
    """Which patches of which image are hidden; ratio and draw are what they were drawn with."""

    ratio: float
    draw: int
    image: int
    hidden: tuple[int, ...]


class MaskExplorer(Explorer[MaskState]):
    """How little of an image is enough to predict the rest?

    Args:
        model: predicts the hidden patches; the shipped one unless given.
        images: whose test half is shown; Fashion-MNIST unless given.
    """

    def __init__(self, model: MaskedAutoencoder | None = None, images: ImageSet | None = None):
        self.model = model or load_pretrained(MASKED, MaskedAutoencoder)
        self.x = (images or load("fashion_mnist")).test.x[:SHOWN]
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
        canvas, factor = self.canvas(), SIDE // self.x.shape[-1]
        canvas.text("visible and predicted patches", 20, 0)
        canvas.image(self.predict(state), 20, TOP, factor)
        canvas.text("truth", 320, 0)
        canvas.image(self.x[state.image], 320, TOP, factor)
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
        return f"{hidden}; the error per pixel on them is {mse(y, truth):.3f}."

    @override
    def follow(self, name: str) -> None:
        if name in {"ratio", "draw"}:
            ratio, draw = self.controls["ratio"].value, self.controls["draw"].value
            self.patches.value = list(self.drawn(ratio, draw))

    @override
    def accompany(self, state: MaskState) -> None:
        x, mask = self.x[state.image], self.mask(state.hidden)
        patches = patchify(x[None], self.model.patch)
        patches[:, mask] = GREY
        canvas = self.canvas(Size(SIDE, SIDE))
        canvas.image(unpatchify(patches, self.model.image_shape)[0], 0, 0, SIDE // x.shape[-1])
        self.patches.background = png(canvas.pixels())

    def drawn(self, ratio: float, draw: int) -> tuple[int, ...]:
        """The patches that this draw hides: a larger ratio hides the same ones and more."""
        generator = torch.Generator().manual_seed(draw)
        order = torch.randperm(self.model.patches, generator=generator)
        return tuple(sorted(order[: count_hidden(ratio, self.model.patches)].tolist()))

    def mask(self, hidden: tuple[int, ...]) -> Bool[Tensor, "patches"]:
        """True where a patch is hidden."""
        mask = torch.zeros(self.model.patches, dtype=torch.bool)
        mask[list(hidden)] = True
        return mask

    def predict(self, state: MaskState) -> Float[Tensor, "c h w"]:
        """The image, its hidden patches predicted from the visible ones.

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
