"""Explorers of chapter 04: a game played back, and a walk through the latent space."""

from collections.abc import Mapping
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError, plots
from gen_lib.checkpoints import load_pretrained, pretrained_folder
from gen_lib.data.toys import EIGHT_GAUSSIANS, Mixture, modes
from gen_lib.models.base import in_batches
from gen_lib.models.codes import between
from gen_lib.models.gan import GAN, Adversarial
from gen_lib.widgets.base import Explorer, Size, choice, index_slider, slider
from gen_lib.widgets.drawing import FAINT
from gen_lib.widgets.plane import draw_curve, draw_field, draw_modes, draw_pull, draw_samples

FILMS = "gan-plane.npz"  # in the folder of the shipped weights
SHIPPED = "gan"  # name of the shipped weights
SIDE = 400  # of the picture of the plane
SEEDS = 100  # latent codes that a slider reaches
FRAMES = 9  # along the way between two codes


class Film(NamedTuple):
    """One game, frame by frame."""

    steps: np.ndarray
    """Training steps done, (frames,)."""
    field: np.ndarray
    """255 D(x) over the plane, (frames, n, n)."""
    samples: np.ndarray
    """(frames, m, 2)."""
    pull: np.ndarray
    """Where G's loss sends the first samples, (frames, k, 2)."""
    losses: np.ndarray
    """D's and G's, (frames, 2)."""


def load_films() -> dict[str, Film]:
    """The shipped games by the names of their rules.

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


class FilmState(NamedTuple):
    """Which game, and which frame of it."""

    game: str
    frame: int = 0


class TrainingScrubber(Explorer[FilmState]):
    """What do D and G do, step by step, under other rules?

    Args:
        films: name -> film; the shipped ones unless given.
        mixture: what G is to learn; the eight Gaussians unless given.
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
        draw_pull(canvas, samples, film.pull[k].astype(np.float32), SIDE)
        covered = [found[0] for found in self.found[state.game]]
        canvas.text("Modes covered (0 to 8)", 430, 6, plots.DATA)
        draw_curve(canvas, covered, (430, 34, 860, 124), (0, 8), plots.DATA, k)
        for number, (name, color) in enumerate(
            (("D's loss", plots.DISCRIMINATOR), ("G's loss", plots.GENERATOR))
        ):
            values, top = film.losses[:, number].tolist(), 140 + 132 * number
            low, high = min(*values, 0.0), max(*values, 0.0) + 1e-6
            canvas.text(f"{name} ({low:.1f} to {high:.1f})", 430, top, color)
            draw_curve(canvas, values, (430, top + 28, 860, top + 112), (low, high), color, k)
        return canvas.pixels()

    @override
    def describe(self, state: FilmState) -> str:
        film, k = self.films[state.game], state.frame
        covered, near = self.found[state.game][k]
        d, g = film.losses[k].tolist()
        return (
            f"After {film.steps[k]:,} steps G reaches {covered} of {len(self.mixture.means)} modes "
            f"(blue circles), with {near:.0%} of its samples (orange) inside. D (pink: real) has a "
            f"loss of {d:.2f}, G of {g:.2f}; lines show where G's loss pulls samples."
        )

    def _count(self, film: Film) -> list[tuple[int, float]]:
        found = [modes(torch.from_numpy(x.astype(np.float32)), self.mixture) for x in film.samples]
        return [(m.covered, m.near) for m in found]

    def _played(self, change: dict) -> None:
        self.controls["frame"].value = change["new"]


class WalkState(NamedTuple):
    """Two codes, the way from one to the other, and one unit moved."""

    start: int = 0
    end: int = 1
    position: float = 0.0
    unit: int = 0
    shift: float = 0.0


class LatentWalk(Explorer[WalkState]):
    """What does the generator draw between two codes, and if one unit of z moves?

    Args:
        model: draws images; the shipped one unless given.
    """

    def __init__(self, model: Adversarial | None = None):
        self.model = model or load_pretrained(SHIPPED, GAN)
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
        canvas.image(now, 0, 20, 9)
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
                canvas.image(image, left, top + 24, 2)
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
        """The code at a position of the way, 0 to 1, with the unit moved."""
        z = between(self.codes[state.start], self.codes[state.end], position)[None].clone()
        z[0, state.unit] += state.shift
        return z

    def draw_codes(self) -> None:
        """Go to two other codes."""
        with self.together():
            for name in ("start", "end"):
                others = [k for k in range(SEEDS) if k != self.controls[name].value]
                self.controls[name].value = others[int(torch.randint(len(others), ()))]
