"""Explorers of chapter 06: schedules, the reverse process, its vector field, and guidance."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_course.common import plots
from gen_course.common.canvas import FAINT, Canvas
from gen_course.common.explorer import (
    SHOWN,
    Explorer,
    Size,
    choice,
    first_images,
    index_slider,
    shipped,
    slider,
    steps,
)
from gen_course.common.plane import draw_curve
from gen_lib import InputError
from gen_lib.data import ImageSet, load
from gen_lib.data.toys import EIGHT_GAUSSIANS, Mixture, modes
from gen_lib.models.base import in_batches
from gen_lib.models.diffusion import DenoisingDiffusion, Diffusion, PlaneDiffusion
from gen_lib.models.judge import Judge
from gen_lib.samplers import DDIM, Ancestral, Denoiser, Heun, Sampler, State, exact
from gen_lib.schedules import Schedule, Straight, cosine, linear, sigmoid

TIMES = (20, 50, 100, 250, 1000)
BETAS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.2)
POINTS = 101  # of a curve
LOWEST, HIGHEST = -12.0, 12.0  # of the log SNR that is drawn
STRIP = 7  # pictures of a film strip


class ScheduleState(NamedTuple):
    """A schedule and its parameters, the time as t / T, a test image and a draw of the noise."""

    schedule: str = "linear"
    T: int = 1000
    beta_T: float = 0.02
    time: float = 0.3
    image: int = 0
    draw: int = 0


class ScheduleExplorer(Explorer[ScheduleState]):
    """How much of an image is left at the time t, and what decides that?

    Args:
        images: the data set whose test images are shown; Fashion-MNIST unless given.
    """

    def __init__(self, images: ImageSet | None = None):
        images = images or load("fashion_mnist")
        self.x = first_images(images, SHOWN)
        self.names = [images.classes[k] for k in images.test.labels[:SHOWN].tolist()]
        names = ["linear", "cosine", "sigmoid", "straight"]
        controls = {
            "schedule": choice("schedule", names),
            "T": steps("T", [(f"{T:,}", T) for T in TIMES]),
            "beta_T": steps("β_T (lin., sigm.)", [(f"{beta:g}", beta) for beta in BETAS]),
            "time": slider("time t / T", 0.0, 1.0, 0.02),
            "image": index_slider("test image", len(self.x) - 1),
            "draw": index_slider("draw of the noise", 9),
        }
        super().__init__(ScheduleState(), controls, Size(880, 296))

    @override
    def picture(self, state: ScheduleState) -> UInt8[np.ndarray, "height width 3"]:
        schedule, canvas = make(state), self.canvas()
        t = all_times(schedule)
        now = round(state.time * (POINTS - 1))
        log_snr = schedule.log_snr(t)
        share = log_snr.sigmoid()
        for top, words, values, limits, color in (
            (0, f"ᾱ_t, the share of the power: {share[now]:.3g}", share, (0.0, 1.0), plots.DATA),
            (150, f"log SNR: {_number(log_snr[now])}", log_snr, (LOWEST, HIGHEST), plots.MODEL),
        ):
            low, high = limits
            canvas.text(words, 40, top, color)
            canvas.text(f"{high:g}", 32, top + 24, FAINT, "ra")
            canvas.text(f"{low:g}".replace("-", "−"), 32, top + 116, FAINT, "ra")
            box = (40, top + 30, 400, top + 126)
            draw_curve(canvas, values.clamp(low, high).tolist(), box, limits, color, now)
        canvas.text("t = 0", 40, 280, FAINT)
        canvas.text(f"t = {schedule.last:g}", 400, 280, FAINT, "ra")
        self._images(canvas, schedule, state)
        return canvas.pixels()

    def _images(self, canvas: Canvas, schedule: Schedule, state: ScheduleState) -> None:
        x_0 = self.x[state.image]
        for left, words, image in (
            (448, "x₀", x_0),
            (650, f"xₜ at t = {all_times(schedule)[self._now(state)]:g}", self.noised(state)),
        ):
            canvas.text(words, left, 0)
            canvas.image(image, left, 20, 168)
        shares = [k / (STRIP - 1) for k in range(STRIP)]
        marked = round(state.time * (STRIP - 1))
        several = [state._replace(time=share) for share in shares]
        for number, one in enumerate(several):
            words = f"{all_times(schedule)[self._now(one)]:g}"
            canvas.text(words if number else f"t = {words}", 448 + 62 * number, 204, FAINT)
        _strip(canvas, [self.noised(one) for one in several], 448, 226, marked)

    def noised(self, state: ScheduleState) -> Float[Tensor, "c h w"]:
        """x_t of the state's image, with the same eps at every time."""
        x_0, rng = self.x[state.image], torch.Generator().manual_seed(state.draw)
        eps = torch.randn(x_0.shape, generator=rng)
        schedule = make(state)
        return schedule.noised(x_0[None], all_times(schedule)[self._now(state)], eps[None])[0]

    @staticmethod
    def _now(state: ScheduleState) -> int:
        return round(state.time * (POINTS - 1))

    @override
    def accompany(self, state: ScheduleState) -> None:
        self.controls["T"].disabled = state.schedule == "straight"
        self.controls["beta_T"].disabled = state.schedule in ("cosine", "straight")

    @override
    def describe(self, state: ScheduleState) -> str:
        schedule = make(state)
        log_snr = schedule.log_snr(all_times(schedule))
        now = log_snr[self._now(state)]
        share, end = now.sigmoid(), log_snr[-1].sigmoid()
        left = f"{end:.2g} of it is left: too much" if end > 0.01 else "almost none of it is left"
        return (
            f"The {state.schedule} schedule leaves image {state.image} "
            f"({self.names[state.image]}) {share:.3g} of the power at this t "
            f"(SNR {now.exp():.3g}). At the end {left}."
        )


def make(state: ScheduleState) -> Schedule:
    """The schedule of a state."""
    if state.schedule == "straight":
        return Straight()
    if state.schedule == "cosine":
        return cosine(state.T)
    return {"linear": linear, "sigmoid": sigmoid}[state.schedule](state.T, beta_T=state.beta_T)


def all_times(schedule: Schedule) -> Float[Tensor, "points"]:
    """``POINTS`` times from 0 to the last, equally spaced; rounded if t must be a whole number."""
    t = torch.linspace(0, schedule.last, POINTS, dtype=torch.float64)
    return t if isinstance(schedule, Straight) else t.round()


class Recording(NamedTuple):
    """The states of a reverse process, from noise to image."""

    t: list[float]
    """t / T of each state, from 1 to 0."""
    x: Float[Tensor, "frames n c h w"]
    """x_t."""
    x_0: Float[Tensor, "frames n c h w"]
    """The network's estimate of x_0 from x_t."""
    calls: list[int]
    """Network calls so far."""


def recorded(states: Iterable[State]) -> Recording:
    """Keep every state of a reverse process, such as ``model.states(n, rng)``."""
    kept = list(states)
    return Recording(
        [state.t.item() / kept[0].t.item() for state in kept],
        torch.stack([state.x for state in kept]),
        torch.stack([state.estimate.x_0 for state in kept]),
        [state.calls for state in kept],
    )


class ReverseState(NamedTuple):
    """The recording, the share of its steps that is done, and the number of the sample."""

    way: str
    done: float = 0.5
    seed: int = 0


class ReverseScrubber(Explorer[ReverseState]):
    """How do x_t and the network's estimate of x_0 change during the reverse process?

    Args:
        recordings: name -> recording, all with the same number of samples.

    Raises:
        InputError: there are no recordings.
    """

    def __init__(self, recordings: Mapping[str, Recording]):
        if not recordings:
            raise InputError("There is no reverse process to show: give at least one recording.")
        self.recordings = dict(recordings)
        first = next(iter(self.recordings))
        controls = {
            "way": choice("sampler", list(self.recordings)),
            "done": slider("way back", 0.0, 1.0, 0.05),
            "seed": index_slider("seed", self.recordings[first].x.shape[1] - 1),
        }
        super().__init__(ReverseState(first), controls, Size(880, 222))

    @override
    def picture(self, state: ReverseState) -> UInt8[np.ndarray, "height width 3"]:
        recording, frame, canvas = self.recordings[state.way], self.frame(state), self.canvas()
        both = (("xₜ", recording.x), ("x₀, as the network sees it", recording.x_0))
        shown = [round(k / (STRIP - 1) * (len(recording.t) - 1)) for k in range(STRIP)]
        marked = min(range(STRIP), key=lambda k: abs(shown[k] - frame))
        for number, (words, images) in enumerate(both):
            canvas.text(words, 220 * number, 0)
            canvas.image(images[frame, state.seed], 220 * number, 20, 196)
            top = 110 * number
            canvas.text(f"{words}, from noise to image", 448, top, FAINT)
            strip = [images[k, state.seed] for k in shown]
            _strip(canvas, strip, 448, top + 24, marked)
        return canvas.pixels()

    def frame(self, state: ReverseState) -> int:
        """The number of the state that is shown, 0 for pure noise."""
        return round(state.done * (len(self.recordings[state.way].t) - 1))

    @override
    def describe(self, state: ReverseState) -> str:
        recording, frame = self.recordings[state.way], self.frame(state)
        return (
            f"{state.way}, seed {state.seed}, after {frame} of {len(recording.t) - 1} steps: "
            f"the time is {recording.t[frame]:.3f} of T, "
            f"{recording.calls[frame]} network calls are made, {recording.calls[-1]} in all."
        )


def _strip(
    canvas: Canvas, images: Iterable[Float[Tensor, "c h w"]], left: int, top: int, marked: int
) -> None:
    """Small images side by side, one of them framed."""
    for number, image in enumerate(images):
        x = left + 62 * number
        if number == marked:
            width, height = 2 * image.shape[2], 2 * image.shape[1]
            canvas.box(x - 3, top - 3, x + width + 3, top + height + 3, plots.MODEL)
        canvas.image(image, x, top, 56)


def _number(value: Tensor) -> str:
    if not torch.isfinite(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.2f}".replace("-", "−")


SIDE, LIMIT = 300, 3.0  # side in page pixels of a picture of the plane; it shows [-LIMIT, LIMIT]^2
ARROWS, ARROW = 13, 0.4  # arrows per row and column; length of the longest, in units of the plane
PARTICLES = 300
CALLS = (5, 10, 20, 40)
KEPT_PATHS = 100  # paths kept in the cache
FRAMES = 21  # times from noise to data at which the fields are computed
SAMPLERS: dict[str, type[Sampler]] = {"Heun": Heun, "DDIM": DDIM, "ancestral": Ancestral}


class FieldState(NamedTuple):
    """The sampler, its network calls, the share of its steps done, and the draw of the noise."""

    sampler: str = "Heun"
    calls: int = 20
    done: float = 0.5
    draw: int = 0


class Field(NamedTuple):
    """The output of a denoiser in the plane at ``FRAMES`` times, from noise to data."""

    arrows: Float[Tensor, "frames points 2"]
    """x_0 - eps at the points of a grid: the direction in which they move."""
    seen: Float[Tensor, "frames n 2"]
    """Estimates of x_0 from noised data."""


class FieldExplorer(Explorer[FieldState]):
    """How do points move in the reverse process, and is the learnt vector field the exact one?

    Args:
        model: a trained diffusion model of points in the plane.
        mixture: the distribution it was trained on; the eight Gaussians unless given.
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
        self.path = lru_cache(KEPT_PATHS)(self._path)
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
        canvas.text("learnt − exact x₀: root mean", left, 0, plots.MODEL)
        canvas.text("squared distance", left + 70, 22, plots.MODEL)
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
            f"learnt x₀ is off by {self.error[now]:.2f}. In the end {learnt:.0%} of the particles "
            f"lie within 3 sd of a mode (with the exact denoiser {right:.0%})."
        )

    def points(self, name: str, state: FieldState) -> Float[Tensor, "n 2"]:
        """The particles that a field moves, after the share ``done`` of the steps, rounded down."""
        path = self.path(name, state.sampler, state.calls, state.draw)
        return path[int(state.done * (len(path) - 1) + 1e-6)]

    def _field(self, denoise: Denoiser) -> Field:
        rng = torch.Generator().manual_seed(1)
        x_0 = self.mixture.sample(PARTICLES, rng)[:, :, None, None]
        eps, places = torch.randn(x_0.shape, generator=rng), self.grid[:, :, None, None]
        arrows, seen = [], []
        with torch.no_grad():
            for t in self.times.clamp(min=0.02 * self.schedule.last):  # eps is undefined at t = 0
                there = denoise(places, t)
                arrows.append((there.x_0 - there.eps).flatten(1))
                seen.append(denoise(self.schedule.noised(x_0, t, eps), t).x_0.flatten(1))
        return Field(torch.stack(arrows), torch.stack(seen))

    def _path(self, name: str, way: str, calls: int, draw: int) -> Float[Tensor, "states n 2"]:
        rng, sampler = torch.Generator().manual_seed(draw), SAMPLERS[way](self.schedule)
        x = torch.randn(PARTICLES, 2, 1, 1, generator=rng)
        times = sampler.times(sampler.steps_within(calls))
        states: list[State] = list(sampler.states(self.denoisers[name], x, times, rng))
        return torch.stack([state.x.flatten(1) for state in states])

    def _modes(self, canvas: Canvas, left: int) -> None:
        canvas.box(left, 22, left + SIDE, 22 + SIDE, "#F4F4F4")
        radius = 3 * self.mixture.sigma * SIDE / (2 * LIMIT)
        for x, y in _pixels(self.mixture.means).tolist():
            canvas.disc((left + x, 22 + y), radius, outline=FAINT, width=canvas.scale)


def _pixels(points: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Positions in page pixels from the upper left corner of a picture of the plane."""
    return SIDE * (points * torch.tensor([1.0, -1.0]) + LIMIT) / (2 * LIMIT)


def _arrows(
    canvas: Canvas, places: Float[Tensor, "n 2"], ways: Float[Tensor, "n 2"], left: int
) -> None:
    corner = torch.tensor([left, 22.0])
    tails, heads = (corner + _pixels(points) for points in (places, places + ways))
    for tail, head in zip(tails.tolist(), heads.tolist(), strict=True):
        canvas.line([tuple(tail), tuple(head)], FAINT)
        canvas.disc(tuple(tail), 1, FAINT)


LABELS = "diffusion-labels"  # name of the shipped weights
SAMPLES, COLUMNS = 10, 5
GUIDED_CALLS = 30  # network calls of a sample with guidance; few, to keep the wait short
KEPT_SETS = 2  # sets of samples kept in the cache: the two that are shown


class GuidanceState(NamedTuple):
    """The class of the samples, the guidance weight, and the seed of the noise."""

    label: str
    weight: float = 2.0
    seed: int = 0


class Drawn(NamedTuple):
    """Samples for one label, and two figures that describe them."""

    x: Float[Tensor, "n c h w"]
    taken: int
    """Number of samples that the judge assigns to the label."""
    apart: float
    """Mean distance between two samples."""


class GuidanceExplorer(Explorer[GuidanceState]):
    """How does the guidance weight change the accuracy and the variety of samples?

    Args:
        model: a diffusion model with labels; the shipped one unless given.
        judge: the classifier of the samples; the frozen one unless given.
        names: the names of the labels; those of Fashion-MNIST unless given.
    """

    def __init__(
        self,
        model: DenoisingDiffusion | None = None,
        judge: Judge | None = None,
        names: tuple[str, ...] | None = None,
    ):
        self.model = model or shipped(LABELS, Diffusion)
        self.judge = judge or shipped("judge", Judge)
        self.names = list(names or load("fashion_mnist").classes)
        self.drawn = lru_cache(KEPT_SETS)(self._sampled)
        controls = {
            "label": choice("class", self.names),
            "weight": slider("guidance weight w", 0.0, 8.0, 0.5),
            "seed": index_slider("seed", 9),
        }
        for control in (controls["weight"], controls["seed"]):
            control.continuous_update = False  # each new value runs the sampler
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
            f"“{state.label}” (without guidance {plain.taken}); any two are {now.apart:.1f} "
            f"apart in pixel distance on average (without guidance {plain.apart:.1f})."
        )

    def _sampled(self, state: GuidanceState) -> Drawn:
        number = self.names.index(state.label)
        x = self.model.sample(
            SAMPLES,
            torch.Generator().manual_seed(state.seed),
            calls=GUIDED_CALLS if state.weight else GUIDED_CALLS // 2,  # equally many steps
            labels=torch.full((SAMPLES,), number),
            guidance=state.weight,
        ).detach()
        taken = int((in_batches(self.judge.logits, x).argmax(dim=1) == number).sum())
        return Drawn(x, taken, torch.pdist(x.flatten(1)).mean().item())


def _grid(canvas: Canvas, x: Float[Tensor, "n c h w"], left: int, factor: int) -> None:
    """Draw images in rows of five, with gaps of ``factor`` - 1 page pixels."""
    gap = factor - 1
    for number, image in enumerate(x):
        row, column = divmod(number, COLUMNS)
        across, down = (factor * side + gap for side in (image.shape[2], image.shape[1]))
        canvas.image(image, left + across * column, 22 + down * row, factor * max(image.shape[1:]))
