"""Explorer of chapter 06: where the exact and a learnt denoiser send points of the plane."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib import plots
from gen_lib.data.toys import EIGHT_GAUSSIANS, Mixture, modes
from gen_lib.models.diffusion import PlaneDiffusion
from gen_lib.samplers import DDIM, Ancestral, Denoiser, Heun, Sampler, State, exact
from gen_lib.widgets.base import Explorer, Size, choice, index_slider, slider, steps
from gen_lib.widgets.drawing import FAINT, Canvas
from gen_lib.widgets.plane import draw_curve

SIDE, LIMIT = 300, 3.0  # of the picture of the plane: pixels of the page, units from its middle
ARROWS, ARROW = 13, 0.4  # arrows each way; length of the longest, in units of the plane
PARTICLES = 300
CALLS = (5, 10, 20, 40)
KEPT = 100  # paths that are remembered
FRAMES = 21  # of the field, over all of the time
SAMPLERS: dict[str, type[Sampler]] = {"Heun": Heun, "DDIM": DDIM, "ancestral": Ancestral}


class FieldState(NamedTuple):
    """Which process, from which noise, its network calls, and how far it is on its way back."""

    sampler: str = "Heun"
    calls: int = 20
    done: float = 0.5
    draw: int = 0


class Field(NamedTuple):
    """A denoiser over the plane, at all frames, from noise to data."""

    arrows: Float[Tensor, "frames points 2"]
    """Where the points of a grid are sent: x_0 - eps."""
    seen: Float[Tensor, "frames n 2"]
    """What it takes for x_0 in noised data."""


class FieldExplorer(Explorer[FieldState]):
    """Where is every point sent at every time, and is the learnt field the exact one?

    Args:
        model: what was learnt.
        mixture: what it was trained on; the eight Gaussians unless given.
    """

    def __init__(self, model: PlaneDiffusion, mixture: Mixture | None = None):
        self.model, self.mixture = model, mixture or EIGHT_GAUSSIANS
        self.schedule = model.schedule
        self.times = self.schedule.times(FRAMES - 1)
        self.grid = plots.plane(ARROWS, LIMIT - LIMIT / ARROWS)
        self.denoisers = {"exact": exact(self.mixture, self.schedule), "learnt": model.denoiser()}
        self.fields = {name: self._field(denoise) for name, denoise in self.denoisers.items()}
        right, found = (field.seen for field in self.fields.values())
        self.error = (found - right).square().sum(dim=2).mean(dim=1).sqrt()  # (frames,)
        self.path = lru_cache(KEPT)(self._path)
        controls = {
            "sampler": choice("sampler", list(SAMPLERS)),
            "calls": steps("network calls", [(str(calls), calls) for calls in CALLS]),
            "done": slider("way back", 0.0, 1.0, 0.05),
            "draw": index_slider("draw of the noise", 9),
        }
        super().__init__(FieldState(), controls, Size(880, SIDE + 22))

    @override
    def picture(self, state: FieldState) -> UInt8[np.ndarray, "height width 3"]:
        canvas, now = self.canvas(), round(state.done * (FRAMES - 1))
        longest = max(field.arrows[now].norm(dim=1).max() for field in self.fields.values())
        for left, name in ((0, "exact"), (SIDE + 10, "learnt")):
            canvas.text(f"{name} field and particles", left, 0)
            self._modes(canvas, left)
            _arrows(canvas, self.grid, ARROW * self.fields[name].arrows[now] / longest, left)
            points = self.points(name, state)
            inside = points[points.abs().amax(dim=1) < LIMIT]
            color = plots.DATA if name == "exact" else plots.MODEL
            canvas.dots(_pixels(inside), left, 22, color)
        left, high = 2 * SIDE + 40, max(0.1, float(self.error.max()))
        canvas.text("learnt x_0 is off by (units)", left, 0, plots.MODEL)
        canvas.text(f"{high:.2f}", left, 22, FAINT)
        box = (left, 40, 870, 160)
        draw_curve(canvas, self.error.tolist(), box, (0.0, high), plots.MODEL, now)
        canvas.text("noise", left, 166, FAINT)
        canvas.text("data", 870, 166, FAINT, "ra")
        canvas.text("lines: from the dot, where it moves", left, 210, FAINT)
        canvas.text("circles: the eight modes", left, 230, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: FieldState) -> str:
        now = round(state.done * (FRAMES - 1))
        ends = (self.points(name, state._replace(done=1.0)) for name in self.fields)
        right, learnt = (modes(points, self.mixture).near for points in ends)
        return (
            f"{state.sampler}, {state.calls} network calls, at t = {self.times[now]:.3g}: the "
            f"learnt x_0 is off by {self.error[now]:.2f}. In the end {learnt:.0%} of the particles "
            f"lie within 3 sd of a mode (with the exact denoiser {right:.0%})."
        )

    def points(self, name: str, state: FieldState) -> Float[Tensor, "n 2"]:
        """The particles of a field in the last step begun by then."""
        path = self.path(name, state.sampler, state.calls, state.draw)
        return path[int(state.done * (len(path) - 1) + 1e-6)]

    def _field(self, denoise: Denoiser) -> Field:
        generator = torch.Generator().manual_seed(1)
        x_0 = self.mixture.sample(PARTICLES, generator)[:, :, None, None]
        eps, places = torch.randn(x_0.shape, generator=generator), self.grid[:, :, None, None]
        arrows, seen = [], []
        with torch.no_grad():
            for t in self.times.clamp(min=0.02 * self.schedule.last):  # eps means nothing at 0
                there = denoise(places, t)
                arrows.append((there.x_0 - there.eps).flatten(1))
                seen.append(denoise(self.schedule.noised(x_0, t, eps), t).x_0.flatten(1))
        return Field(torch.stack(arrows), torch.stack(seen))

    def _path(self, name: str, way: str, calls: int, draw: int) -> Float[Tensor, "states n 2"]:
        generator, sampler = torch.Generator().manual_seed(draw), SAMPLERS[way](self.schedule)
        x = torch.randn(PARTICLES, 2, 1, 1, generator=generator)
        times = sampler.times(sampler.steps_within(calls))
        states: list[State] = list(sampler.states(self.denoisers[name], x, times, generator))
        return torch.stack([state.x.flatten(1) for state in states])

    def _modes(self, canvas: Canvas, left: int) -> None:
        canvas.box(left, 22, left + SIDE, 22 + SIDE, "#F4F4F4")
        radius = 3 * self.mixture.sigma * SIDE / (2 * LIMIT)
        for x, y in _pixels(self.mixture.means).tolist():
            canvas.disc((left + x, 22 + y), radius, outline=FAINT, width=canvas.scale)


def _pixels(points: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Places in a picture of the plane, from its upper left corner."""
    return SIDE * (points * torch.tensor([1.0, -1.0]) + LIMIT) / (2 * LIMIT)


def _arrows(
    canvas: Canvas, places: Float[Tensor, "n 2"], ways: Float[Tensor, "n 2"], left: int
) -> None:
    corner = torch.tensor([left, 22.0])
    tails, heads = (corner + _pixels(points) for points in (places, places + ways))
    for tail, head in zip(tails.tolist(), heads.tolist(), strict=True):
        canvas.line([tuple(tail), tuple(head)], FAINT)
        canvas.disc(tuple(tail), 1, FAINT)
