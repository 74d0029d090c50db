"""Explorers of chapter 06: a schedule and what it does to an image, and a reverse process."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError, plots
from gen_lib.data import ImageSet, load
from gen_lib.samplers import State
from gen_lib.schedules import Schedule, Straight, cosine, linear, sigmoid
from gen_lib.widgets.base import SHOWN, Explorer, Size, choice, index_slider, slider, steps
from gen_lib.widgets.drawing import FAINT, Canvas
from gen_lib.widgets.plane import draw_curve

TIMES = (20, 50, 100, 250, 1000)
BETAS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.2)
POINTS = 101  # of a curve
LOWEST, HIGHEST = -12.0, 12.0  # of the log SNR that is drawn
FRAMES = 7  # of a film strip


class ScheduleState(NamedTuple):
    """A schedule, the time as a share of all of it, an image and a draw of the noise."""

    schedule: str = "linear"
    T: int = 1000
    beta_T: float = 0.02
    time: float = 0.3
    image: int = 0
    draw: int = 0


class ScheduleExplorer(Explorer[ScheduleState]):
    """How much of an image is left at the time t, and what decides that?

    Args:
        images: whose test half is shown; Fashion-MNIST unless given.
    """

    def __init__(self, images: ImageSet | None = None):
        images = images or load("fashion_mnist")
        self.x = images.test.x[:SHOWN]
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
            (448, "x_0", x_0),
            (650, f"x_t at t = {all_times(schedule)[self._now(state)]:g}", self.noised(state)),
        ):
            canvas.text(words, left, 0)
            canvas.image(image, left, 20, 6)
        shares = [k / (FRAMES - 1) for k in range(FRAMES)]
        marked = round(state.time * (FRAMES - 1))
        film = [self.noised(state._replace(time=share)) for share in shares]
        canvas.text("the same noise at seven times", 448, 204, FAINT)
        _strip(canvas, film, 448, 226, marked)

    def noised(self, state: ScheduleState) -> Float[Tensor, "c h w"]:
        """x_t of the state's image, with the same eps at every time."""
        x_0, generator = self.x[state.image], torch.Generator().manual_seed(state.draw)
        eps = torch.randn(x_0.shape, generator=generator)
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
    """From 0 to the last time: as many as a curve has points, as near as the schedule has them."""
    t = torch.linspace(0, schedule.last, POINTS, dtype=torch.float64)
    return t if isinstance(schedule, Straight) else t.round()


class Recording(NamedTuple):
    """A reverse process, state by state."""

    t: list[float]
    """The time as a share of all of it, from 1 to 0."""
    x: Float[Tensor, "frames n c h w"]
    """x_t."""
    x_0: Float[Tensor, "frames n c h w"]
    """What the network takes for x_0 there."""
    calls: list[int]
    """Network calls so far."""


def recorded(states: Iterable[State]) -> Recording:
    """Keep every state of a reverse process, such as ``model.states(n, generator)``."""
    kept = list(states)
    return Recording(
        [state.t.item() / kept[0].t.item() for state in kept],
        torch.stack([state.x for state in kept]),
        torch.stack([state.estimate.x_0 for state in kept]),
        [state.calls for state in kept],
    )


class ReverseState(NamedTuple):
    """Which process, how far of it, and which of its samples."""

    way: str
    done: float = 0.5
    seed: int = 0


class ReverseScrubber(Explorer[ReverseState]):
    """What does a reverse process have in hand at every step, and what does it take that for?

    Args:
        recordings: name -> recording, all of equally many samples.

    Raises:
        InputError: there are none.
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
        both = (("x_t", recording.x), ("x_0, as the network sees it", recording.x_0))
        shown = [round(k / (FRAMES - 1) * (len(recording.t) - 1)) for k in range(FRAMES)]
        marked = min(range(FRAMES), key=lambda k: abs(shown[k] - frame))
        for number, (words, images) in enumerate(both):
            canvas.text(words, 220 * number, 0)
            canvas.image(images[frame, state.seed], 220 * number, 20, 7)
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
        canvas.image(image, x, top, 2)


def _number(value: Tensor) -> str:
    if not torch.isfinite(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.2f}".replace("-", "−")
