"""Explorer of chapter 02: noise of a chosen kind and level, and what is left of it."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib.checkpoints import load_pretrained
from gen_lib.data import ImageSet, load
from gen_lib.metrics import psnr
from gen_lib.models.autoencoder import DenoisingAutoencoder, add_noise
from gen_lib.models.base import Reconstructs, in_batches
from gen_lib.widgets.base import SHOWN, Explorer, Size, choice, index_slider, slider
from gen_lib.widgets.drawing import FAINT

DENOISING = "denoising"  # name of the shipped weights


class NoiseState(NamedTuple):
    """How much noise, of which type, on which image, and which draw of the noise."""

    level: float = 0.5
    kind: str = "Gaussian"
    image: int = 0
    draw: int = 0


class NoiseExplorer(Explorer[NoiseState]):
    """How much noise can a denoising autoencoder remove, and of which kind?

    Args:
        model: removes the noise; the shipped one unless given.
        images: whose test half is shown; Fashion-MNIST unless given.
    """

    def __init__(self, model: Reconstructs | None = None, images: ImageSet | None = None):
        self.model = model or load_pretrained(DENOISING, DenoisingAutoencoder)
        self.x = (images or load("fashion_mnist")).test.x[:SHOWN]
        controls = {
            "level": slider("noise level", 0.0, 1.0, 0.05),
            "kind": choice("type", ["Gaussian", "masking"]),
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
                ("input: x with noise", noised, _decibels(noised, x)),
                ("output y", y, _decibels(y, x)),
                ("target: the clean x", x, ""),
                ("still wrong: |y − x|", (y - x).abs() - 1, ""),
            )
        ):
            canvas.text(label, 222 * number, 0)
            canvas.image(image[0], 222 * number, 20, 7)
            canvas.text(note, 222 * number, 224, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: NoiseState) -> str:
        x, noised, y = self.run(state)
        what = (
            f"Gaussian noise of σ = {state.level:.2f}"
            if state.kind == "Gaussian"
            else f"masking noise on {state.level:.0%} of the pixels"
        )
        before, after = _decibels(noised, x), _decibels(y, x)
        return f"With {what} the PSNR of the input is {before}, that of the output {after}."

    def run(self, state: NoiseState) -> tuple[Tensor, Tensor, Tensor]:
        """The clean image, with noise, and what the model makes of it, each (1, C, H, W)."""
        x = self.x[state.image][None]
        level = {"Gaussian": (state.level, 0.0), "masking": (0.0, state.level)}[state.kind]
        noised = add_noise(x, *level, torch.Generator().manual_seed(state.draw))
        return x, noised, in_batches(self.model.reconstruct, noised)


def _decibels(y: Tensor, x: Tensor) -> str:
    value = psnr(y, x)
    return f"{value:.1f} dB" if math.isfinite(value) else "∞ dB (no error)"
