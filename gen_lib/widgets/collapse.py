"""Explorer of chapter 04: choose the rules, and watch a game being played, live."""

import threading
import time
from contextlib import closing
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from jaxtyping import UInt8
from typing_extensions import override

from gen_lib import plots
from gen_lib.data.toys import EIGHT_GAUSSIANS, Modes, modes
from gen_lib.models.gan import LOSSES, PlaneGAN, Scene, scene
from gen_lib.training import NonFiniteLoss, training_steps
from gen_lib.widgets.base import Explorer, Size, choice, steps
from gen_lib.widgets.drawing import FAINT, INK
from gen_lib.widgets.plane import draw_curve, draw_field, draw_modes, draw_pull, draw_samples

SIDE = 380
EVERY = 0.4  # seconds between two pictures of a game
RATIOS = {"1 : 1": (1, 1), "G 5 : D 1": (5, 1), "G 1 : D 5": (1, 5)}


class Frames(widgets.DOMWidget):
    """A control that no one sees: how many pictures of games there have been."""

    value = traitlets.Int(0)
    label = "pictures of games"


class LabState(NamedTuple):
    """The rules of the next game, and the number of the picture shown."""

    loss: str = "relativistic"
    ratio: str = "1 : 1"
    rate: float = 2e-3
    seed: int = 0
    penalty: float = 0.01
    frame: int = 0


class Moment(NamedTuple):
    """What a game is at."""

    step: int
    scene: Scene
    found: Modes


class CollapseLab(Explorer[LabState]):
    """Which rules make a generator forget modes, and which bring them back?

    Args:
        last: training steps of a game.
        batch_size: points a step.
    """

    def __init__(self, last: int = 1_500, batch_size: int = 256):
        self.last, self.batch_size = last, batch_size
        self.toy = EIGHT_GAUSSIANS
        self.moments: list[Moment] = []
        self.rules, self.trouble = "", ""
        self._stop, self._thread = threading.Event(), threading.Thread()
        controls = {
            "loss": choice("loss", list(LOSSES)[::-1]),  # the default first
            "ratio": choice("turns", list(RATIOS)),
            "rate": steps(
                "learning rate of D", [(f"{r:g}", r) for r in (2e-4, 6e-4, 2e-3, 6e-3, 2e-2)]
            ),
            "seed": steps("seed", [(str(k), k) for k in range(5)]),
            "penalty": steps("R1 + R2", [(f"{p:g}", p) for p in (0.0, 0.001, 0.01, 0.1, 1.0)]),
            "frame": Frames(),
        }
        self.start_button = widgets.Button(description="Start", tooltip="Play a new game")
        self.stop_button = widgets.Button(
            description="Stop", tooltip="Stop the game", disabled=True
        )
        self.start_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())
        super().__init__(LabState(), controls, Size(880, SIDE))
        self.reset_button.on_click(lambda _: self.clear())
        self.box.children = (
            *self.box.children[:-1],
            widgets.HBox([self.start_button, self.stop_button]),
            self.box.children[-1],
        )

    @property
    def running(self) -> bool:
        """Is a game being played?"""
        return self._thread.is_alive()

    def start(self) -> None:
        """Play a new game by the rules chosen, in the background; one that is played ends."""
        self.stop()
        self.moments, self.trouble = [], ""
        self.rules = _words(self.state)
        self._stop = threading.Event()
        arguments = (self.state, self._stop)
        self._thread = threading.Thread(target=self._play, args=arguments, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the game, if there is one, and wait until it has ended: a few milliseconds."""
        self._stop.set()
        if self.running:
            self._thread.join()

    def clear(self) -> None:
        """End the game and forget it."""
        self.stop()
        self.moments, self.rules, self.trouble = [], "", ""
        self._drawn = None
        with self.together():
            self.controls["frame"].value = 0

    def _play(self, state: LabState, stop: threading.Event) -> None:
        self._show_buttons(playing=True)
        try:
            self._train(state, stop)
        except NonFiniteLoss as error:
            self.trouble = str(error)
        finally:
            self._show_buttons(playing=False)
            self.controls["frame"].value += 1

    def _train(self, state: LabState, stop: threading.Event) -> None:
        g = torch.Generator().manual_seed(state.seed)
        z, x = torch.randn(500, 2, generator=g), self.toy.sample(500, g)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state.seed)
            model = _game(state)
        records = training_steps(
            model, self.toy, steps=self.last, batch_size=self.batch_size, seed=state.seed
        )
        shown = 0.0
        with closing(records):
            for record in records:
                if record.step == self.last or time.monotonic() - shown > EVERY:
                    now = scene(model, z, x)
                    self.moments.append(Moment(record.step, now, modes(now.samples, self.toy)))
                    self.controls["frame"].value += 1
                    shown = time.monotonic()
                if stop.is_set():
                    return

    def _show_buttons(self, playing: bool) -> None:
        self.start_button.disabled, self.stop_button.disabled = playing, not playing

    @override
    def picture(self, state: LabState) -> UInt8[np.ndarray, "height width 3"]:
        canvas = self.canvas()
        moments = list(self.moments)
        if moments:
            now = moments[-1].scene
            draw_field(canvas, now.field.numpy(), SIDE)
            draw_samples(canvas, now.samples.numpy(), SIDE)
            draw_pull(canvas, now.samples.numpy(), now.pull[:60].numpy(), SIDE)
        else:
            draw_field(canvas, np.full((2, 2), 0.5), SIDE)
        draw_modes(canvas, self.toy, SIDE)
        canvas.text("Next game:", 410, 6)
        canvas.text(_words(state), 410, 26, plots.MODEL)
        canvas.text("This game:", 410, 66)
        canvas.text(self.rules or "none yet: press Start", 410, 86, INK if self.rules else FAINT)
        covered = [m.found.covered for m in moments] or [0]
        near = [m.found.near for m in moments] or [0.0]
        canvas.text("Modes covered (0 to 8)", 410, 130, plots.DATA)
        draw_curve(canvas, covered, (410, 156, 850, 236), (0, 8), plots.DATA, -1)
        canvas.text("Share of samples within 3 sd of a mode (0 to 1)", 410, 250, plots.GENERATOR)
        draw_curve(canvas, near, (410, 276, 850, 356), (0, 1), plots.GENERATOR, -1)
        return canvas.pixels()

    @override
    def describe(self, state: LabState) -> str:
        if self.trouble:
            return self.trouble
        if not self.moments:
            return f"Press Start to play a game here, live, by these rules: {_words(state)}."
        now = self.moments[-1]
        return (
            f"Step {now.step:,} of {self.last:,}: the generator covers {now.found.covered} of 8 "
            f"modes, with {now.found.near:.0%} of its samples within 3 standard deviations of one."
        )


def _game(state: LabState) -> PlaneGAN:
    turns_g, turns_d = RATIOS[state.ratio]
    rules: dict[str, Any] = {"turns_g": turns_g, "turns_d": turns_d, "lr_d": state.rate}
    return PlaneGAN(loss=state.loss, penalty=state.penalty, **rules)


def _words(state: LabState) -> str:
    return (
        f"{state.loss}, turns {state.ratio}, D at {state.rate:g}, penalty {state.penalty:g}, "
        f"seed {state.seed}"
    )
