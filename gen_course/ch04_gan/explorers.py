"""Explorers of chapter 04: a recorded GAN training, a latent walk, and mode collapse live.

A game is the training of a GAN in the plane.
"""

import math
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
import traitlets
from jaxtyping import Float, UInt8
from PIL import Image, ImageColor
from torch import Tensor
from typing_extensions import override

from gen_course.ch04_gan.scene import Scene, scene
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import Explorer, Size, choice, index_slider, shipped, slider, steps
from gen_course.common.plane import (
    ARROW,
    LIMIT,
    draw_curve,
    draw_field,
    draw_modes,
    draw_pull,
    draw_samples,
)
from gen_lib import InputError
from gen_lib.data.toys import EIGHT_GAUSSIANS, Mixture, Modes, modes
from gen_lib.models.base import in_batches
from gen_lib.models.gan import GAN, LOSSES, Adversarial, PlaneGAN
from gen_lib.models.interpolation import between
from gen_lib.training import NonFiniteLoss, training_steps
from gen_lib.training.checkpoints import pretrained_folder

FILMS = "gan-plane.npz"  # in the folder of the shipped weights
SHIPPED = "gan"  # name of the shipped weights
SIDE = 400  # of the picture of the plane
SHOWN = 20  # samples that have an arrow
SEEDS = 100  # latent codes that a slider reaches
FRAMES = 9  # images generated between two codes


class Film(NamedTuple):
    """The training of a GAN in the plane, recorded frame by frame."""

    steps: np.ndarray
    """Training steps done, (frames,)."""
    field: np.ndarray
    """255 D(x) over the plane, (frames, n, n)."""
    samples: np.ndarray
    """Samples of G, (frames, m, 2)."""
    pull: np.ndarray
    """Minus the gradient of G's loss at the first k samples, (frames, k, 2)."""
    losses: np.ndarray
    """The losses of D and of G, (frames, 2)."""


def load_films() -> dict[str, Film]:
    """Load the shipped films: name of the rules -> film.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = pretrained_folder() / FILMS
    try:
        with np.load(path) as file:
            names = dict.fromkeys(key.split("/")[0] for key in file.files)
            return {n: Film(*(file[f"{n}/{kind}"] for kind in Film._fields)) for n in names}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The games {path} are missing or damaged: restore them with "
            "`git checkout -- data/pretrained`."
        ) from error


def _draw_scale(canvas: Canvas, top: int, rules: str) -> None:
    """Draw the scale of the map at the right: white for 0, pink for 1, in ten even steps.

    With the relativistic loss sigmoid(f) is no probability, so it is not called D there.
    """
    pink = np.array(ImageColor.getrgb(plots.DISCRIMINATOR), dtype=float)
    colours = 255 + np.linspace(0, 1, 10).repeat(9)[None, :, None] * (pink - 255)
    strip = Image.fromarray(colours.round().astype(np.uint8))
    relative = rules.startswith("relativistic")
    canvas.text("sigmoid(f): 0" if relative else "D(x): 0", 750, top, anchor="ra")
    canvas.box(755, top, 846, top + 15, FAINT)
    canvas.paste(strip, 756, top + 1, (90, 14), Image.Resampling.NEAREST)
    canvas.text("1", 851, top)


def _draw_arrows(
    canvas: Canvas, points: Float[np.ndarray, "m 2"], pull: Float[np.ndarray, "k 2"], side: int
) -> None:
    """Draw the pull on the first samples as arrows; the strongest pull has the longest arrow."""
    pull, unit = pull[:SHOWN], side / (2 * LIMIT)  # pixels for 1 in the plane
    draw_pull(canvas, points, pull, side)
    ways = ARROW * unit * pull / (np.linalg.norm(pull, axis=1).max() + 1e-12)
    for (x, y), (right, up) in zip(points.tolist(), ways.tolist(), strict=False):
        tip = unit * (x + LIMIT) + right, side - unit * (y + LIMIT) - up
        angle, long = math.atan2(up, right), min(7.0, math.hypot(right, up))
        for turn in (2.6, -2.6):  # radians from the arrow's direction: the two sides of its head
            back = long * math.cos(angle + turn), -long * math.sin(angle + turn)
            canvas.line([tip, (tip[0] + back[0], tip[1] + back[1])], INK)


class FilmState(NamedTuple):
    """The film, and the frame that is shown."""

    game: str
    frame: int = 0


class TrainingScrubber(Explorer[FilmState]):
    """How do D and G change during training under different rules?

    Args:
        films: name -> film; the shipped ones unless given.
        mixture: the distribution that G learns; the eight Gaussians unless given.
    """

    def __init__(self, films: Mapping[str, Film] | None = None, mixture: Mixture | None = None):
        self.films = dict(films or load_films())
        self.mixture = mixture or EIGHT_GAUSSIANS
        self.found = {name: self._count(film) for name, film in self.films.items()}
        last = min(len(film.steps) for film in self.films.values()) - 1
        controls = {
            "game": choice("rules", list(self.films)),
            "frame": index_slider("frame", last),
        }
        self.player = widgets.Play(min=0, max=last, interval=250, description="Play the film")
        self.player.observe(self._played, names="value")
        super().__init__(FilmState(next(iter(self.films)), last // 2), controls, Size(880, SIDE))
        self.box.children = (*self.box.children, self.player)

    @override
    def picture(self, state: FilmState) -> UInt8[np.ndarray, "height width 3"]:
        film, k = self.films[state.game], state.frame
        canvas = self.canvas()
        draw_field(canvas, film.field[k] / 255, SIDE)
        draw_modes(canvas, self.mixture, SIDE)
        samples = film.samples[k].astype(np.float32)
        draw_samples(canvas, samples, SIDE)
        _draw_arrows(canvas, samples, film.pull[k].astype(np.float32), SIDE)
        canvas.box(SIDE, 0, canvas.width, SIDE, "white")  # over samples outside the plane
        covered = [found[0] for found in self.found[state.game]]
        canvas.text("Modes covered (0 to 8)", 430, 6, plots.DATA)
        _draw_scale(canvas, 6, state.game)
        draw_curve(canvas, covered, (430, 34, 860, 124), (0, 8), plots.DATA, k)
        for number, (name, color) in enumerate(
            (("D's loss", plots.DISCRIMINATOR), ("G's loss", plots.GENERATOR))
        ):
            values, top = film.losses[:, number].tolist(), 140 + 132 * number
            low, high = min(*values, 0.0), max(*values, 0.0) + 1e-6
            canvas.text(f"{name} ({low:.1f} to {high:.1f})", 430, top, color)
            draw_curve(canvas, values, (430, top + 28, 860, top + 112), (low, high), color, k)
        canvas.text(f"steps, to {film.steps[-1]:,}", 860, SIDE, FAINT, anchor="rd")
        return canvas.pixels()

    @override
    def describe(self, state: FilmState) -> str:
        film, k = self.films[state.game], state.frame
        covered, near = self.found[state.game][k]
        d, g = film.losses[k].tolist()
        return (
            f"After {film.steps[k]:,} steps G reaches {covered} of {len(self.mixture.means)} modes "
            f"(blue circles), with {near:.0%} of its samples (orange) inside. D (pink: real) has a "
            f"loss of {d:.2f}, G of {g:.2f}; arrows show where G's loss pulls samples."
        )

    def _count(self, film: Film) -> list[tuple[int, float]]:
        found = [modes(torch.from_numpy(x.astype(np.float32)), self.mixture) for x in film.samples]
        return [(m.covered, m.near) for m in found]

    def _played(self, change: dict) -> None:
        self.controls["frame"].value = change["new"]


class WalkState(NamedTuple):
    """Two codes, a position between them (0 to 1), and a shift of one unit of z."""

    start: int = 0
    end: int = 1
    position: float = 0.0
    unit: int = 0
    shift: float = 0.0


class LatentWalk(Explorer[WalkState]):
    """What does the generator draw between two codes, and when one unit of z changes?

    Args:
        model: a GAN of images; the shipped one unless given.
    """

    def __init__(self, model: Adversarial | None = None):
        self.model = model or shipped(SHIPPED, GAN)
        self.codes = self.model.noise(SEEDS, torch.Generator().manual_seed(0))
        controls = {
            "start": index_slider("from code", SEEDS - 1),
            "end": index_slider("to code", SEEDS - 1),
            "position": slider("way between them", 0.0, 1.0, 0.05),
            "unit": index_slider("unit of z", self.model.latent_size - 1),
            "shift": slider("added to the unit", -4.0, 4.0, 0.25),
        }
        self.random_button = widgets.Button(description="Random", tooltip="Two other codes")
        self.random_button.on_click(lambda _: self.draw_codes())
        super().__init__(WalkState(), controls, Size(880, 340))
        self.box.children = (*self.box.children, self.random_button)

    @override
    def picture(self, state: WalkState) -> UInt8[np.ndarray, "height width 3"]:
        way = torch.cat([self.code(state, i / (FRAMES - 1)) for i in range(FRAMES)])
        units = self.code(state, state.position).repeat(FRAMES, 1)
        units[:, state.unit] += torch.linspace(-4, 4, FRAMES) - state.shift
        now, *images = in_batches(
            self.model.generate, torch.cat([self.code(state, state.position), way, units])
        )
        canvas = self.canvas()
        canvas.text("G(z)", 0, 0)
        canvas.image(now, 0, 20, 252)
        for row, (words, marked) in enumerate(
            (
                ("from one code to the other", state.position),
                (f"only unit {state.unit} moves, by −4 to 4", (state.shift + 4) / 8),
            )
        ):
            top = 30 + 160 * row
            canvas.text(words, 280, top - 4)
            for number, image in enumerate(images[row * FRAMES : (row + 1) * FRAMES]):
                left = 282 + 66 * number
                if number == round(marked * (FRAMES - 1)):
                    canvas.box(left - 3, top + 21, left + 59, top + 83, plots.MODEL)
                canvas.image(image, left, top + 24, 56)
        canvas.text("orange: nearest to the picture on the left", 280, 300, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: WalkState) -> str:
        z = self.code(state, state.position)
        return (
            f"The code {state.position:.0%} of the way from code {state.start} to {state.end}, "
            f"with {state.shift:+.2f} added to unit {state.unit}, is {z.norm():.1f} long "
            f"(typical for N(0, I): {self.model.latent_size**0.5:.1f})."
        )

    def code(self, state: WalkState, position: float) -> Float[Tensor, "1 latent"]:
        """The code at a position between the two codes (0 to 1), with the shift added."""
        z = between(self.codes[state.start], self.codes[state.end], position)[None].clone()
        z[0, state.unit] += state.shift
        return z

    def draw_codes(self) -> None:
        """Choose two other codes at random."""
        with self.together():
            for name in ("start", "end"):
                others = [k for k in range(SEEDS) if k != self.controls[name].value]
                self.controls[name].value = others[int(torch.randint(len(others), ()))]


LAB_SIDE = 380  # of the picture of the plane in the lab
EVERY = 0.4  # seconds between two pictures of a running game
RATIOS = {"1 : 1": (1, 1), "G 5 : D 1": (5, 1), "G 1 : D 5": (1, 5)}


class Frames(widgets.DOMWidget):
    """An invisible control that counts the pictures of games, so that each new one is drawn."""

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
    """A game at one training step."""

    step: int
    scene: Scene
    found: Modes


class CollapseLab(Explorer[LabState]):
    """Which rules make a generator lose modes, and which bring them back?

    Args:
        last: number of training steps of a game.
        batch_size: points in a training step.
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
            "penalty": steps("penalty", [(f"{p:g}", p) for p in (0.0, 0.001, 0.01, 0.1, 1.0)]),
            "frame": Frames(),
        }
        self.start_button = widgets.Button(description="Start", tooltip="Play a new game")
        self.stop_button = widgets.Button(
            description="Stop", tooltip="Stop the game", disabled=True
        )
        self.start_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())
        super().__init__(LabState(), controls, Size(880, LAB_SIDE))
        self.reset_button.on_click(lambda _: self.clear())
        self.box.children = (
            *self.box.children[:-1],
            widgets.HBox([self.start_button, self.stop_button]),
            self.box.children[-1],
        )

    @property
    def running(self) -> bool:
        """Whether a game is running."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Stop the running game, if any, and start one with the chosen rules in the background."""
        self.stop()
        self.moments, self.trouble = [], ""
        self.rules = _words(self.state)
        self._stop = threading.Event()
        arguments = (self.state, self._stop)
        self._thread = threading.Thread(target=self._play, args=arguments, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the running game, if any, and wait for its end, which takes a few milliseconds."""
        self._stop.set()
        if self.running:
            self._thread.join()

    def clear(self) -> None:
        """Stop the running game, if any, and delete its pictures."""
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
        rng = torch.Generator().manual_seed(state.seed)
        z, x = torch.randn(500, 2, generator=rng), self.toy.sample(500, rng)
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
            draw_field(canvas, now.field.numpy(), LAB_SIDE)
            draw_samples(canvas, now.samples.numpy(), LAB_SIDE)
            _draw_arrows(canvas, now.samples.numpy(), now.pull.numpy(), LAB_SIDE)
        else:
            draw_field(canvas, np.full((2, 2), 0.5), LAB_SIDE)
        draw_modes(canvas, self.toy, LAB_SIDE)
        canvas.box(LAB_SIDE, 0, canvas.width, LAB_SIDE, "white")  # over samples outside the plane
        canvas.text("Next game:", 410, 6)
        _draw_scale(canvas, 6, self.rules if moments else state.loss)
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
