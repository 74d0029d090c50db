"""Explorer of chapter 06: one label, one weight, and what guidance makes of the same noise."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib.checkpoints import load_judge, load_pretrained
from gen_lib.data import load
from gen_lib.models.base import Classifies, in_batches
from gen_lib.models.diffusion import DenoisingDiffusion, Diffusion
from gen_lib.widgets.base import Explorer, Size, choice, index_slider, slider
from gen_lib.widgets.drawing import FAINT, Canvas

LABELS = "diffusion-labels"  # name of the shipped weights
SAMPLES, COLUMNS = 10, 5
CALLS = 30  # of a sample with guidance: each second of waiting is one too many
KEPT = 2  # sets of samples that are remembered: those shown


class GuidanceState(NamedTuple):
    """What to draw, how strongly to insist on it, and from which noise."""

    label: str
    weight: float = 2.0
    seed: int = 0


class Drawn(NamedTuple):
    """Samples for one label, and what can be said of them."""

    x: Float[Tensor, "n c h w"]
    taken: int
    """How many of them the judge takes for the label."""
    apart: float
    """Mean distance between two of them."""


class GuidanceExplorer(Explorer[GuidanceState]):
    """What does a guidance weight buy, and what does it cost?

    Args:
        model: knows labels; the shipped one unless given.
        judge: says what it takes a sample for; the frozen one unless given.
        names: of the labels; those of Fashion-MNIST unless given.
    """

    def __init__(
        self,
        model: DenoisingDiffusion | None = None,
        judge: Classifies | None = None,
        names: tuple[str, ...] | None = None,
    ):
        self.model = model or load_pretrained(LABELS, Diffusion)
        self.judge = judge or load_judge()
        self.names = list(names or load("fashion_mnist").classes)
        self.drawn = lru_cache(KEPT)(self._sampled)
        controls = {
            "label": choice("class", self.names),
            "weight": slider("guidance weight w", 0.0, 8.0, 0.5),
            "seed": index_slider("seed", 9),
        }
        for control in (controls["weight"], controls["seed"]):
            control.continuous_update = False  # each value takes a sampler's time
        super().__init__(GuidanceState(self.names[0]), controls, Size(880, 252))

    @override
    def picture(self, state: GuidanceState) -> UInt8[np.ndarray, "height width 3"]:
        canvas = self.canvas()
        for left, factor, weight in ((0, 4, state.weight), (596, 2, 0.0)):
            canvas.text(f"{state.label}, w = {weight:g}", left, 0)
            _grid(canvas, self.drawn(state._replace(weight=weight)).x, left, factor)
        canvas.text("the same noise, not guided", 596, 146, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: GuidanceState) -> str:
        now, plain = (self.drawn(s) for s in (state, state._replace(weight=0.0)))
        return (
            f"With w = {state.weight:g} the judge takes {now.taken} of {SAMPLES} for "
            f"“{state.label}” (without guidance {plain.taken}); two of them are {now.apart:.1f} "
            f"apart on average (without guidance {plain.apart:.1f})."
        )

    def _sampled(self, state: GuidanceState) -> Drawn:
        number = self.names.index(state.label)
        x = self.model.sample(
            SAMPLES,
            torch.Generator().manual_seed(state.seed),
            calls=CALLS if state.weight else CALLS // 2,  # as many steps
            labels=torch.full((SAMPLES,), number),
            guidance=state.weight,
        ).detach()
        taken = int((in_batches(self.judge.logits, x).argmax(dim=1) == number).sum())
        return Drawn(x, taken, torch.pdist(x.flatten(1)).mean().item())


def _grid(canvas: Canvas, x: Float[Tensor, "n c h w"], left: int, factor: int) -> None:
    """Rows of five images, one page pixel or more between each two."""
    gap = factor - 1
    for number, image in enumerate(x):
        row, column = divmod(number, COLUMNS)
        across, down = (factor * side + gap for side in (image.shape[2], image.shape[1]))
        canvas.image(image, left + across * column, 22 + down * row, factor)
