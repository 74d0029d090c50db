"""The films of chapter 05's slides: translations, cycles, numbers, mixtures, a trace."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from typing_extensions import override

from gen_course.ch05_cyclegan import toy
from gen_course.ch05_cyclegan.explorers import MIXED, SHIPPED, shown_pairs
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import shipped
from gen_course.common.film import Film
from gen_lib.models.cyclegan import CycleGAN

LETTERS = 26
SIDE = 288  # of a picture: nine pixels for each of its 32
SCENES = (20, 21, 25, 26)  # of the chapter's section Look
TREES = ((322, 0), (163, 15))  # scenes and columns of branches
FLOWERY = 6  # place of paint's scene among those with most flowers
EVERY = 20  # steps of the toy's training between two frames
ENDS = Float[Tensor, "1 c h w"]


def translate() -> Film:
    """Summers, their translations, and the true winters of the same scenes."""
    model, pairs = shipped(SHIPPED["seasons"], CycleGAN), shown_pairs("seasons")
    frames = []
    for k in SCENES:
        x, y = pairs.a.x[k : k + 1], pairs.b.x[k : k + 1]
        rows = {"x": x, "G(x)": _to(model, x, "B"), "the true y": y}
        frames += [_row(rows, shown) for shown in (1, 2, 3)]
    return Film(
        frames,
        1.0,
        "Four scenes, one after the other: a summer x, its translation G(x), the true winter y. "
        "Sky and snow are alike in both; where the true winter has bare branches, G(x) has pale "
        "discs.",
    )


def branches() -> Film:
    """A leafy tree, and what is left of it in winter."""
    pairs, frames = shown_pairs("seasons"), []
    for k, left in TREES:
        x, y = (v[k : k + 1, :, 14:30, left : left + 16] for v in (pairs.a.x, pairs.b.x))
        rows = {"x": x, "G(x)?": torch.full_like(x, 0.8), "the true y": y}
        frames.append(_row(rows, 3))
    return Film(
        frames,
        2.0,
        "Leafy trees of two scenes, enlarged: in summer x round green crowns, in the true winter "
        "y bare brown branches. The place of G(x) is empty.",
    )


def cycle() -> Film:
    """Summers, their translations, and the way back."""
    model, pairs = shipped(SHIPPED["seasons"], CycleGAN), shown_pairs("seasons")
    frames = []
    for k in SCENES:
        x = pairs.a.x[k : k + 1]
        there = _to(model, x, "B")
        rows = {"x": x, "G(x)": there, "F(G(x))": _to(model, there, "A")}
        frames += [_row(rows, shown) for shown in (1, 2, 3)]
    return Film(
        frames,
        1.0,
        "Four scenes, one after the other: a summer x, its translation G(x) to winter, and the "
        "way back F(G(x)), which looks nearly like x.",
    )


def _to(model: CycleGAN, x: ENDS, domain: Any) -> ENDS:
    with torch.no_grad():
        return model.translate(x, to=domain).clamp(-1, 1)


def _row(pictures: Mapping[str, ENDS], shown: int, heading: str = "") -> np.ndarray:
    """The first pictures of a row, each with its name below; place is left for the others."""
    top = 44 if heading else 0
    canvas = Canvas(3 * SIDE + 32, top + SIDE + 44, scale=1)
    canvas.text(heading, 0, 0, plots.MODEL, size=LETTERS + 2)
    for number, (name, x) in enumerate(list(pictures.items())[:shown]):
        left = number * (SIDE + 16)
        canvas.image(x[0], left, top, SIDE)
        canvas.text(name, left + SIDE // 2, top + SIDE + 6, INK, "ma", LETTERS)
    return canvas.pixels()


class Watched(nn.Sequential):
    """A network of numbers that notes its values on the grid of X every few steps."""

    def __init__(self) -> None:
        super().__init__(*toy.network())
        self.calls = 0
        self.noted: list[Tensor] = []

    @override
    def forward(self, v: Tensor) -> Tensor:
        if self.calls % (2 * EVERY) == 0:  # G is called twice in a step
            with torch.no_grad():
                self.noted.append(super().forward(toy.GRID)[:, 0].clone())
        self.calls += 1
        return super().forward(v)


def numbers() -> Film:
    """Two seeds of the toy: one learns the shift, the other the mirror."""
    lines = []
    for seed in (0, 1):
        pair = toy.train(seed, Watched)
        last = pair.g(toy.GRID).detach()[:, 0]
        lines.append([*pair.g.noted, last])  # type: ignore[attr-defined]
    frames = [_maps([line[k] for line in lines], min(k * EVERY, 500)) for k in range(len(lines[0]))]
    return Film(
        frames,
        0.3,
        "G(x) against x for two seeds, step by step: two nearly flat lines rise and turn. Seed 0 "
        "ends at the rising grey line of the shift x + 2, seed 1 at the falling one of the mirror "
        "2 − x.",
    )


def _maps(lines: list[Tensor], step: int) -> np.ndarray:
    """The generators of both seeds at one step, and the two exact maps."""
    canvas = Canvas(880, 480, scale=1)
    left, bottom, width, height = 60, 430, 560, 390

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * (x + 1) / 2, bottom - height * (y + 0.5) / 4

    for y in range(4):
        canvas.line([place(-1, y), place(1, y)], "#DDDDDD")
        canvas.text(str(y), left - 14, int(place(0, y)[1]) - 16, FAINT, "ra", LETTERS)
    for x, name in ((-1, "x = −1"), (1, "x = 1")):
        canvas.text(name, int(place(x, 0)[0]), bottom + 8, FAINT, "ma" if x > 0 else "la", LETTERS)
    for ends in ((1, 3), (3, 1)):
        canvas.line([place(-1, ends[0]), place(1, ends[1])], plots.BASELINE, width=2)
    grid = toy.GRID[::10, 0].tolist()
    colors = (plots.GENERATOR, plots.MODEL)
    for line, color in zip(lines, colors, strict=True):
        values = line[::10].clamp(-0.6, 3.6).tolist()
        canvas.line([place(*point) for point in zip(grid, values, strict=True)], color, 4)
    canvas.text(f"step {step}", 650, 10, INK, size=LETTERS + 8)
    canvas.text("shift x + 2", 640, int(place(1, 3)[1]) - 8, "#555555", size=LETTERS)
    canvas.text("mirror 2 − x", 640, int(place(1, 1)[1]) - 16, "#555555", size=LETTERS)
    for number, color in enumerate(("#8a5f00", plots.MODEL)):
        canvas.text(f"G of seed {number}", 640, 156 + 38 * number, color, size=LETTERS)
    return canvas.pixels()


def mixer() -> Film:
    """One scene under three weights of the cycle loss, there and back."""
    x = shown_pairs("seasons").a.x[:1]
    frames = []
    for weight in (0.0, 3.0, 30.0):
        model = shipped(MIXED[weight, 1.0], CycleGAN)
        there = _to(model, x, "B")
        rows = {"x": x, "G(x)": there, "F(G(x))": _to(model, there, "A")}
        frames += [_row(rows, shown, f"weight of the cycle: {weight:g}") for shown in (2, 3)]
    return Film(
        frames,
        1.4,
        "One summer scene, its translation and the way back, under three weights of the cycle "
        "loss. With 0 the way back has other colours; with 3 it looks like the start; with 30 "
        "nothing is translated at all.",
    )


def paint() -> Film:
    """F reads coloured marks in G(x): painted over, no flower comes back."""
    model, x = shipped(SHIPPED["seasons"], CycleGAN), shown_pairs("seasons").a.x
    petals = _petals(x)
    k = int(petals.flatten(1).sum(dim=1).topk(FLOWERY).indices[-1])
    x, petals = x[k : k + 1], petals[k : k + 1]
    there = _to(model, x, "B")
    painted = torch.where(petals > 0, _around(there, petals), there)
    frames = []
    for name, sent in (("G(x)", there), ("painted over", painted)):
        rows = {"x": x, name: sent, "F of it": _to(model, sent, "A")}
        frames += [_meadow(rows, shown) for shown in (2, 3)]
    return Film(
        frames,
        1.6,
        "A meadow with flowers, enlarged. G(x) has pale coloured dots on the snow where x has "
        "flowers, and F makes flowers from them. Painted over, no flower comes back.",
    )


def _meadow(pictures: Mapping[str, ENDS], shown: int) -> np.ndarray:
    """The lowest eight rows of the first pictures, one below the other, names at the left."""
    canvas = Canvas(200 + 32 * 20, 3 * 172 - 12, scale=1)
    for number, (name, x) in enumerate(list(pictures.items())[:shown]):
        top = 172 * number
        canvas.text(name, 184, top + 62, plots.MODEL if number == 1 else INK, "ra", LETTERS)
        canvas.image(x[0, :, 24:], 200, top - 240, 640)  # in the middle of a square
    return canvas.pixels()


def _petals(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    """Small red spots in the foreground, as in the chapter."""
    red = (x[:, :1] > 0.4).float()
    red[:, :, :27] = 0.0
    return red * (avg_pool2d(red, 5, 1, 2) < 5 / 25)


def _around(v: ENDS, red: Float[Tensor, "1 1 h w"]) -> ENDS:
    """Mean colour of the pixels around each pixel, without the marked ones."""
    free = 1 - red
    return avg_pool2d(v * free, 5, 1, 2) / avg_pool2d(free, 5, 1, 2).clamp(min=1 / 25)
