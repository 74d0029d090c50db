"""Explorers of chapter 05: translations and their cycles, and the weights of the losses."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import (
    SHOWN,
    Explorer,
    Size,
    choice,
    decibels,
    index_slider,
    shipped,
    slider,
    steps,
)
from gen_lib.data import TwoDomains, load_pairs
from gen_lib.metrics import psnr
from gen_lib.models.base import Translates, in_batches
from gen_lib.models.cyclegan import CycleGAN

SHIPPED = {"seasons": "cyclegan-seasons", "emoji": "cyclegan-emoji"}
"""Domains -> name of the shipped weights."""
MIXED = {
    (cycle, identity): f"cyclegan-cycle-{cycle:g}-identity-{identity:g}"
    for cycle in (0.0, 3.0, 30.0)
    for identity in (0.0, 1.0, 10.0)
}
"""(lambda_cycle, lambda_identity) -> name of the shipped weights."""
WAYS: dict[str, tuple[str, Literal["A", "B"]]] = {
    "summer to winter": ("seasons", "B"),
    "winter to summer": ("seasons", "A"),
    "Noto to Twemoji": ("emoji", "B"),
    "Twemoji to Noto": ("emoji", "A"),
}
NOISE = 0.2  # largest standard deviation
COLUMNS = (0, 176, 352, 528)  # left edges of four pictures, each enlarged five times


shown_pairs = cache(load_pairs)


class Ends(NamedTuple):
    """Images to translate, their true partners, their names, and the target domain."""

    x: Float[Tensor, "n c h w"]
    y: Float[Tensor, "n c h w"]
    names: list[str]
    to: Literal["A", "B"]

    @property
    def back(self) -> Literal["A", "B"]:
        """The domain that the images came from."""
        return "A" if self.to == "B" else "B"


@lru_cache(maxsize=4)
def ends(pairs: TwoDomains, to: Literal["A", "B"]) -> Ends:
    """At most ``SHOWN`` evenly spaced pairs, for translation to the domain ``to``."""
    source, target = (pairs.a, pairs.b) if to == "B" else (pairs.b, pairs.a)
    few = spread(len(source))
    names = [source.captions[k].name.replace("_", " ") for k in few.tolist()]
    if names[0].startswith("scene"):  # named by their seeds, which say nothing to a reader
        names = [f"picture {place}" for place in range(len(names))]
    return Ends(source.x[few], target.x[few], names, to)


def spread(n: int) -> Tensor:
    """Indices of at most ``SHOWN`` of n pictures, evenly spaced."""
    return torch.linspace(0, n - 1, min(SHOWN, n)).round().long()


class TranslatorState(NamedTuple):
    """The direction of translation, the picture, and the noise added to its translation."""

    way: str
    image: int = 0
    noise: float = 0.0


class Translated(NamedTuple):
    """An image x, its translation, the translation back, and the true partner y, (c, h, w) each."""

    x: Tensor
    g_x: Tensor
    back: Tensor
    y: Tensor


class TranslatorExplorer(Explorer[TranslatorState]):
    """How does a translator change a picture, and does translating it back restore it?

    Args:
        models: domains -> translator; the shipped ones unless given.
        pairs: domains -> true pairs to show; the held-out ones unless given.
    """

    def __init__(
        self,
        models: Mapping[str, Translates] | None = None,
        pairs: Mapping[str, TwoDomains] | None = None,
    ):
        self.models = models or {k: shipped(v, CycleGAN) for k, v in SHIPPED.items()}
        given = pairs or {name: shown_pairs(name) for name in SHIPPED}
        self.ends = {way: ends(given[name], to) for way, (name, to) in WAYS.items()}
        last = min(len(e.x) for e in self.ends.values()) - 1
        controls = {
            "way": choice("translate", list(WAYS)),
            "image": index_slider("picture", last),
            "noise": slider("noise on G(x)", 0.0, NOISE, 0.01),
        }
        super().__init__(TranslatorState(next(iter(WAYS))), controls, Size(700, 384))

    @override
    def picture(self, state: TranslatorState) -> UInt8[np.ndarray, "height width 3"]:
        t = self.translated(state)
        x, y, g, f = "xyGF" if self.ends[state.way].to == "B" else "yxFG"
        canvas = self.canvas()
        draw_rows(
            canvas,
            {x: t.x, f"{g}({x})": t.g_x, f"the true {y}": t.y, "off by": gap(t.g_x, t.y)},
            {"": None, f"{f}({g}({x}))": t.back, x: t.x, "off by": gap(t.back, t.x)},
        )
        canvas.text("and back", 160, 280, FAINT, "ra")
        return canvas.pixels()

    @override
    def describe(self, state: TranslatorState) -> str:
        t, name = self.translated(state), self.ends[state.way].names[state.image]
        there, before, back = (
            decibels(a[None], b[None]) for a, b in ((t.g_x, t.y), (t.x, t.y), (t.back, t.x))
        )
        return (
            f"{name.capitalize()}: PSNR of the translation against its true partner {there} "
            f"(untranslated: {before}); translated back, against the picture it came from: {back}."
        )

    def translated(self, state: TranslatorState) -> Translated:
        """Translate the picture of a state, add its noise, and translate back."""
        model = self.models[WAYS[state.way][0]]
        return there_and_back(model, self.ends[state.way], state.image, state.noise)


def there_and_back(model: Translates, e: Ends, image: int, noise: float = 0.0) -> Translated:
    """Translate an image, add Gaussian noise of this standard deviation, and translate back."""
    x = e.x[image][None]
    g_x = in_batches(lambda v: model.translate(v, to=e.to), x).clamp(-1, 1)
    eps = torch.randn(g_x.shape, generator=torch.Generator().manual_seed(0))
    g_x = (g_x + noise * eps).clamp(-1, 1)
    back = in_batches(lambda v: model.translate(v, to=e.back), g_x).clamp(-1, 1)
    return Translated(x[0], g_x[0], back[0], e.y[image])


def gap(a: Float[Tensor, "c h w"], b: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
    """Mean |a - b| of the channels in grey: black for 0, white from half the scale on."""
    off = (a - b).abs().mean(dim=0, keepdim=True).clamp(max=1)
    return (2 * off - 1).expand_as(a)


def draw_rows(canvas: Canvas, *rows: Mapping[str, Tensor | None]) -> None:
    """Rows of titled images; None leaves a place empty."""
    for row, pictures in enumerate(rows):
        for left, (title, image) in zip(COLUMNS, pictures.items(), strict=False):
            canvas.text(title, left, 196 * row)
            if image is not None:
                canvas.image(image, left, 196 * row + 20, 160)


class MixerState(NamedTuple):
    """The weights of two losses, a direction of translation and a picture."""

    cycle: float
    identity: float
    way: str
    image: int = 0


class Figures(NamedTuple):
    """Mean PSNR in dB: of translations against true partners, of round trips against originals."""

    there: float
    back: float


class MixerExplorer(Explorer[MixerState]):
    """How do the weights of the cycle loss and of the identity loss change the translations?

    Args:
        models: (lambda_cycle, lambda_identity) -> translator; the shipped ones unless given.
        pairs: true pairs to show; the held-out seasons unless given.
    """

    def __init__(
        self,
        models: Mapping[tuple[float, float], Translates] | None = None,
        pairs: TwoDomains | None = None,
    ):
        self.models = models or {k: shipped(v, CycleGAN) for k, v in MIXED.items()}
        given = pairs or shown_pairs("seasons")
        self.ends = {way: ends(given, to) for way, (name, to) in WAYS.items() if name == "seasons"}
        self.weights = [sorted({weights[axis] for weights in self.models}) for axis in (0, 1)]
        self.figures = {
            (weights, way): self._figures(weights, way)
            for weights in self.models
            for way in self.ends
        }
        controls = {
            "cycle": steps("λ of the cycle", [(f"{k:g}", k) for k in self.weights[0]]),
            "identity": steps("λ of the identity", [(f"{k:g}", k) for k in self.weights[1]]),
            "way": choice("translate", list(self.ends)),
            "image": index_slider("picture", len(given.a.images[:SHOWN]) - 1),
        }
        cycle, identity = (values[len(values) // 2] for values in self.weights)
        default = MixerState(cycle, identity, next(iter(self.ends)))
        super().__init__(default, controls, Size(880, 384))

    @override
    def picture(self, state: MixerState) -> UInt8[np.ndarray, "height width 3"]:
        t = self.translated(state)
        canvas = self.canvas()
        draw_rows(
            canvas,
            {"from": t.x, "translated": t.g_x, "and back": t.back},
            {"the true partner": t.y, "off by": gap(t.g_x, t.y), "off by ": gap(t.back, t.x)},
        )
        self._table(canvas, "PSNR against the true partner, in dB", 0, state)
        self._table(canvas, "PSNR back again, in dB", 1, state)
        return canvas.pixels()

    @override
    def describe(self, state: MixerState) -> str:
        e, (there, back) = self.ends[state.way], self.figures[state[:2], state.way]
        return (
            f"Trained with λ = {state.cycle:g} for the cycle and {state.identity:g} for the "
            f"identity. PSNR over {len(e.x)} pictures: {there:.1f} dB against their true "
            f"partners, {back:.1f} dB back again against themselves. Shown: {e.names[state.image]}."
        )

    def translated(self, state: MixerState) -> Translated:
        """Translate the picture of a state, and translate it back."""
        return there_and_back(
            self.models[state.cycle, state.identity], self.ends[state.way], state.image
        )

    def _figures(self, weights: tuple[float, float], way: str) -> Figures:
        model, e = self.models[weights], self.ends[way]
        g_x = in_batches(lambda v: model.translate(v, to=e.to), e.x).clamp(-1, 1)
        back = in_batches(lambda v: model.translate(v, to=e.back), g_x).clamp(-1, 1)
        return Figures(psnr(g_x, e.y), psnr(back, e.x))

    def _table(self, canvas: Canvas, title: str, which: int, state: MixerState) -> None:
        """Draw a figure for each pair of weights; that of the state is in colour."""
        left, top = 560, 196 * which
        canvas.text(title, left, top)
        canvas.text("λ cycle", left, top + 20, FAINT)
        canvas.text("λ identity", left + 316, top + 20, FAINT, "ra")
        for row, cycle in enumerate(self.weights[0]):
            canvas.text(f"{cycle:g}", left, top + 70 + 34 * row)
            for column, identity in enumerate(self.weights[1]):
                x, y = left + 64 + 84 * column, top + 62 + 34 * row
                if not row:
                    canvas.text(f"{identity:g}", x + 40, top + 40, anchor="ma")
                here = (cycle, identity) == (state.cycle, state.identity)
                canvas.box(x, y, x + 80, y + 30, plots.MODEL if here else "#EEEEEE")
                figure = self.figures[(cycle, identity), state.way][which]
                canvas.text(f"{figure:.1f}", x + 40, y + 6, "white" if here else INK, "ma")
