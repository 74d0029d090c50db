"""Explorer of chapter 01: a map of two-dimensional codes, decoded at any point."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor
from typing_extensions import override

from gen_course.common import plots
from gen_course.common.canvas import FAINT
from gen_course.common.explorer import SHOWN, Explorer, Size, index_slider, shipped, slider
from gen_course.common.pad import Pad, plane_map
from gen_lib import InputError
from gen_lib.data import ImageSet, load, to_float
from gen_lib.metrics import nearest
from gen_lib.models.autoencoder import DeepAutoencoder
from gen_lib.models.base import Reconstructs, in_batches

LATENT = "deep-ae-2d"  # name of the shipped weights
MAP = 380  # side of the latent map
FRAMES = 6  # images decoded along the line between two codes


class LatentState(NamedTuple):
    """A code (z1, z2), two test images, and a position on the line between their codes, 0 to 1."""

    z1: float
    z2: float
    first: int = 0
    second: int = 1
    position: float = 0.0


class LatentExplorer(Explorer[LatentState]):
    """What does the decoder draw at each point of a two-dimensional latent space?

    Args:
        model: an autoencoder whose code has two numbers; the shipped one unless given.
        images: the data set whose test images are encoded; Fashion-MNIST unless given.

    Raises:
        InputError: the code has more or fewer than two numbers.
    """

    def __init__(self, model: Reconstructs | None = None, images: ImageSet | None = None):
        self.model = model or shipped(LATENT, DeepAutoencoder)
        self.images = images or load("fashion_mnist")
        self.codes = in_batches(self.model.encode, self.images.test.x)
        if self.codes.shape[1] != 2:
            raise InputError(
                f"The code of this model has {self.codes.shape[1]} numbers: the latent explorer "
                "draws a map, so it needs a model with latent_size=2."
            )
        self.low, self.high, self.step = _frame(self.codes)
        self.pad = Pad(
            background=plane_map(MAP, self._draw_codes),
            steps=[round((b - a) / self.step) for a, b in zip(self.low, self.high, strict=True)],
            label="Map of the code of two numbers; the arrow keys move the point.",
        )
        self.pad.observe(self._pointed, names=["x", "y"])
        last = min(SHOWN, len(self.codes)) - 1
        controls = {
            "z1": slider("z₁", self.low[0], self.high[0], self.step),
            "z2": slider("z₂", self.low[1], self.high[1], self.step),
            "first": index_slider("from test image", last),
            "second": index_slider("to test image", last),
            "position": slider("way between them", 0.0, 1.0, 0.05),
        }
        default = LatentState(*self.codes[0].tolist())
        super().__init__(default, controls, Size(496, MAP), beside=self.pad)

    @override
    def picture(self, state: LatentState) -> UInt8[np.ndarray, "height width 3"]:
        z, near = self._point(state), self._nearest(state)
        frames = torch.stack([self.along(state, i / (FRAMES - 1)) for i in range(FRAMES)])
        point, *path = in_batches(self.model.decode, torch.cat([z, frames]))
        canvas = self.canvas()
        canvas.text("decoded from the point", 8, 0)
        canvas.image(point, 8, 20, 224)
        canvas.text("test image with the nearest code", 264, 0)
        canvas.image(self._image(near), 264, 20, 224)
        canvas.text("from", 36, 268, anchor="ma")
        canvas.text("decoded on the way", 248, 268, anchor="ma")
        canvas.text("to", 460, 268, anchor="ma")
        canvas.image(self._image(state.first), 8, 288, 56)
        canvas.image(self._image(state.second), 432, 288, 56)
        marked = round(state.position * (FRAMES - 1)) if self._on_the_way(state) else None
        for number, image in enumerate(path):
            left = 74 + 59 * number
            if number == marked:
                canvas.box(left - 3, 285, left + 59, 347, plots.MODEL)
            canvas.image(image, left, 288, 56)
            canvas.text(f"{number / (FRAMES - 1):.1f}", left + 28, 350, FAINT, "ma")
        return canvas.pixels()

    @override
    def describe(self, state: LatentState) -> str:
        near = self._nearest(state)
        away = (self.codes[near] - self._point(state)[0]).norm().item()
        first, second = (self._class(i) for i in (state.first, state.second))
        return (
            f"Decoded from the code ({state.z1:.2f}, {state.z2:.2f}). The nearest code of a test "
            f"image is {away:.2f} away and belongs to: {self._class(near)}. "
            f"The dashed line leads from {first} to {second}."
        )

    @override
    def follow(self, name: str) -> None:
        if name in {"first", "second", "position"}:
            z = self.along(self.state, self.state.position)
            self.controls["z1"].value, self.controls["z2"].value = z.tolist()

    @override
    def accompany(self, state: LatentState) -> None:
        x, y = self._on_pad([state.z1, state.z2])
        ends = [self._on_pad(self.codes[i].tolist()) for i in (state.first, state.second)]
        with self.pad.hold_sync():
            self.pad.go(x, y)
            self.pad.path = ends
            self.pad.words = f"It is at z₁ = {state.z1:.2f}, z₂ = {state.z2:.2f}.".replace("-", "−")

    def along(self, state: LatentState, position: float) -> Float[Tensor, "2"]:
        """The code on the straight line between the two images' codes, 0 <= position <= 1."""
        return torch.lerp(self.codes[state.first], self.codes[state.second], position)

    def _pointed(self, _: object) -> None:
        place = (self.pad.x, self.pad.y)
        there = self._on_pad([self.state.z1, self.state.z2])
        if self._paused or math.dist(place, there) < 1e-9:
            return
        with self.together():
            for name, at, low, high in zip(("z1", "z2"), place, self.low, self.high, strict=True):
                self.controls[name].value = low + at * (high - low)

    def _draw_codes(self, ax: Axes) -> None:
        labels, corners = self.images.test.labels[:4_000], (self.low, self.high)
        plots.classes(ax, self.codes[:4_000], labels, self.images.classes, 4.0, corners)
        for corner in ((0.9, 0.0), (0.0, 0.93)):  # no point lies under the names of the axes
            ax.add_patch(
                Rectangle(corner, 0.1, 0.07, transform=ax.transAxes, color="white", zorder=2)
            )

    def _point(self, state: LatentState) -> Float[Tensor, "1 2"]:
        return torch.tensor([[state.z1, state.z2]])

    def _on_pad(self, z: list[float]) -> tuple[float, float]:
        x, y = (
            min(max((v - low) / (high - low), 0.0), 1.0)
            for v, low, high in zip(z, self.low, self.high, strict=True)
        )
        return x, y

    def _nearest(self, state: LatentState) -> int:
        return int(nearest(self._point(state), self.codes).indices[0])

    def _on_the_way(self, state: LatentState) -> bool:
        gap = self.along(state, state.position) - self._point(state)[0]
        return gap.abs().max().item() < 0.51 * self.step  # the sliders round to their steps

    def _image(self, index: int) -> Float[Tensor, "c h w"]:
        return to_float(self.images.test.images[index])

    def _class(self, index: int) -> str:
        return self.images.classes[int(self.images.test.labels[index])]


def _frame(codes: Float[Tensor, "n 2"]) -> tuple[list[float], list[float], float]:
    """Lower and upper limits of the map, and the step of its sliders.

    The limits enclose the middle 98 % of the codes on each axis, and all codes of test images that
    the reader can choose.
    """
    few = codes[:SHOWN]
    low = torch.minimum(codes.quantile(0.01, dim=0), few.amin(dim=0))
    high = torch.maximum(codes.quantile(0.99, dim=0), few.amax(dim=0))
    span = (high - low).max().item() + 1e-6
    digits = 2 - math.floor(math.log10(span))  # 100 to 1,000 steps over the span
    margin, steps = 0.03 * span, 10.0**digits
    corners = ((low - margin) * steps).floor(), ((high + margin) * steps).ceil()
    left, right = ([round(v / steps, digits) for v in corner.tolist()] for corner in corners)
    return left, right, 1 / steps
