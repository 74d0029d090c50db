"""Explorers of chapter 03: the units of a code one by one, and the ways between two codes."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError, plots
from gen_lib.checkpoints import load_judge, load_pretrained
from gen_lib.data import ImageSet, load
from gen_lib.models.base import Classifies, in_batches
from gen_lib.models.codes import slerp
from gen_lib.models.vae import BernoulliVAE
from gen_lib.widgets.base import SHOWN, Explorer, Size, choice, index_slider, slider
from gen_lib.widgets.drawing import FAINT, INK
from gen_lib.widgets.vae import posteriors

LARGE = "vae"  # name of the shipped weights
LIMIT = 4.0  # the sliders go from -LIMIT to LIMIT
UNITS = 5  # sliders of the units
FRAMES = 9  # along a way


class UnitsState(NamedTuple):
    """Where the code comes from, and the values of its most active units."""

    start: str
    number: int
    u1: float
    u2: float
    u3: float
    u4: float
    u5: float


class UnitsExplorer(Explorer[UnitsState]):
    """What does each of the most active units of a code do, with the others held?

    Args:
        model: a variational autoencoder with at least five units; the shipped one unless given.
        images: whose test half is encoded; Fashion-MNIST unless given.

    Raises:
        InputError: the code has fewer than five units.
    """

    def __init__(self, model: BernoulliVAE | None = None, images: ImageSet | None = None):
        self.model = model or load_pretrained(LARGE, BernoulliVAE)
        if (size := self.model.latent_size) < UNITS:
            raise InputError(f"The code of this model has {size} units: {UNITS} are needed.")
        x = (images or load("fashion_mnist")).test.x[:1_000]
        q = posteriors(self.model, x)
        self.kl = q.kl().mean(dim=0)
        self.units = self.kl.argsort(descending=True)[:UNITS].tolist()
        drawn = torch.randn(SHOWN, size, generator=torch.Generator().manual_seed(0))
        self.codes = {"test image": q.mu[:SHOWN], "draw from the prior": drawn}
        last = min(SHOWN, len(x)) - 1
        controls = {"start": choice("start", list(self.codes)), "number": index_slider("No.", last)}
        controls |= {
            f"u{i}": slider(f"unit {k + 1}", -LIMIT, LIMIT, 0.1)
            for i, k in enumerate(self.units, 1)
        }
        default = UnitsState("test image", 0, *self._values("test image", 0))
        super().__init__(default, controls, Size(880, 322))

    @override
    def picture(self, state: UnitsState) -> UInt8[np.ndarray, "height width 3"]:
        start, z = self.codes[state.start][state.number], self.code(state)
        values = torch.linspace(-3, 3, 7)
        ways = z.repeat(UNITS, 7, 1)
        for row, k in enumerate(self.units):
            ways[row, :, k] = values
        codes = torch.cat([start[None], z[None], ways.flatten(0, 1)])
        first, now, *images = in_batches(self.model.decode, codes)
        canvas = self.canvas()
        canvas.text("decoded: the start", 0, 0)
        canvas.image(first, 0, 20, 7)
        canvas.text("with your units", 206, 0)
        canvas.image(now, 206, 20, 7)
        canvas.text("Right: one unit alone goes from −3 to 3,", 0, 240, FAINT)
        canvas.text("all others stay as the sliders have them.", 0, 260, FAINT)
        for row, k in enumerate(self.units):
            canvas.text(f"unit {k + 1}", 480, 38 + 60 * row, anchor="ra")
            canvas.text(f"{self.kl[k]:.1f} nats", 480, 56 + 60 * row, FAINT, "ra")
            for column, image in enumerate(images[7 * row : 7 * row + 7]):
                canvas.image(image, 488 + 56 * column, 20 + 60 * row, 2)
        for column, value in enumerate(values.tolist()):
            canvas.text(f"{value:+.0f}", 516 + 56 * column, 0, FAINT, "ma")
        return canvas.pixels()

    @override
    def describe(self, state: UnitsState) -> str:
        moved = math.dist(state[2:], self._values(state.start, state.number))
        share = self.kl[self.units].sum() / self.kl.sum()
        return (
            f"Start: {state.start} {state.number}. Your units are {moved:.1f} away from it. The "
            f"{UNITS} units carry {share:.0%} of the {self.kl.sum():.1f} nats that a code costs."
        )

    @override
    def follow(self, name: str) -> None:
        if name in {"start", "number"}:
            for i, value in enumerate(self._values(*self.state[:2]), 1):
                self.controls[f"u{i}"].value = value

    def code(self, state: UnitsState) -> Float[Tensor, "k"]:
        """The code of the start with the sliders' values in place."""
        z = self.codes[state.start][state.number].clone()
        z[self.units] = torch.tensor(state[2:])
        return z

    def _values(self, start: str, number: int) -> list[float]:
        """Those of the most active units, as the sliders can have them."""
        values = self.codes[start][number, self.units].clamp(-LIMIT, LIMIT).tolist()
        return [round(value, 1) for value in values]


class WayState(NamedTuple):
    """Two test images, and a place on one of two ways between their codes."""

    first: int = 0
    second: int = 2
    kind: str = "straight"
    position: float = 0.5


class Strip(NamedTuple):
    """Images decoded at equal steps along a way, and what the judge takes each for."""

    images: Float[Tensor, "frames c h w"]
    names: list[str]


class WayExplorer(Explorer[WayState]):
    """What lies between two images, on a straight line of codes and on an arc?

    Args:
        model: a variational autoencoder; the shipped one unless given.
        images: whose test half is encoded; Fashion-MNIST unless given.
        judge: names what it sees on the way; the frozen one unless given.
    """

    def __init__(
        self,
        model: BernoulliVAE | None = None,
        images: ImageSet | None = None,
        judge: Classifies | None = None,
    ):
        self.model = model or load_pretrained(LARGE, BernoulliVAE)
        self.images, self.judge = images or load("fashion_mnist"), judge or load_judge()
        self.x = self.images.test.x[:SHOWN]
        self.codes = in_batches(self.model.encode, self.x)
        self.strip = lru_cache(maxsize=4)(self._strip)  # the place on the way does not change it
        self.ways: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
            "straight": torch.lerp,
            "on an arc": slerp,
        }
        controls = {
            "first": index_slider("from test image", len(self.x) - 1),
            "second": index_slider("to test image", len(self.x) - 1),
            "kind": choice("way", list(self.ways)),
            "position": slider("place on the way", 0.0, 1.0, 0.05),
        }
        super().__init__(WayState(), controls, Size(880, 370))

    @override
    def picture(self, state: WayState) -> UInt8[np.ndarray, "height width 3"]:
        canvas = self.canvas()
        point = in_batches(self.model.decode, self.along(state, state.kind, state.position)[None])
        for left, label, image in (
            (160, "from", self.x[state.first]),
            (384, f"{state.position:.2f} of the way", point[0]),
            (608, "to", self.x[state.second]),
        ):
            canvas.text(label, left + 56, 0, anchor="ma")
            canvas.image(image, left, 20, 4)
        for row, kind in enumerate(self.ways):
            top = 144 + 114 * row
            strip = self.strip(state.first, state.second, kind)
            chosen = kind == state.kind
            canvas.text(kind, 0, top + 34, plots.MODEL if chosen else INK)
            for number, (image, name) in enumerate(zip(*strip, strict=True)):
                left = 82 + 89 * number
                if chosen and number == round(state.position * (FRAMES - 1)):
                    canvas.box(left - 2, top - 2, left + 86, top + 86, plots.MODEL)
                canvas.image(image, left, top, 3)
                canvas.text(name, left + 42, top + 88, FAINT, "ma", 12)
        return canvas.pixels()

    @override
    def describe(self, state: WayState) -> str:
        ends = (state.first, state.second)
        first, second = (f"image {i} ({self._class(i)})" for i in ends)
        a, b = (self.codes[i].norm() for i in ends)
        straight, arc = (self.along(state, kind, 0.5).norm() for kind in self.ways)
        return (
            f"{state.position:.0%} of the way from {first} to {second}, {state.kind}. The codes "
            f"are {a:.1f} and {b:.1f} from 0; halfway, the straight way is {straight:.1f} and the "
            f"arc {arc:.1f} from 0. Below each picture: what the judge takes it for."
        )

    def along(self, state: WayState, kind: str, position: float) -> Float[Tensor, "k"]:
        """The code at a place on one of the ways, 0 <= position <= 1."""
        return self.ways[kind](self.codes[state.first], self.codes[state.second], position)

    def _strip(self, first: int, second: int, kind: str) -> Strip:
        state = WayState(first, second)
        z = [self.along(state, kind, i / (FRAMES - 1)) for i in range(FRAMES)]
        images = in_batches(self.model.decode, torch.stack(z))
        names = in_batches(self.judge.logits, images).argmax(dim=1).tolist()
        return Strip(images, [self.images.classes[name] for name in names])

    def _class(self, index: int) -> str:
        return self.images.classes[int(self.images.test.labels[index])]
