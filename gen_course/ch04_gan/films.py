"""The films of chapter 04's slides: games in the plane, the smallest GAN, walks through z."""

import itertools
import math

import numpy as np
import torch
from PIL import Image, ImageColor

from gen_course.ch04_gan import explorers
from gen_course.ch04_gan.figures import DARK, TEXT
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.film import Film
from gen_course.common.plane import LIMIT, draw_curve, draw_modes
from gen_lib.data.toys import EIGHT_GAUSSIANS, modes

LETTERS = 26
SIDE = 480  # of the plane
MARGIN = 40  # around the part where D was recorded, 40 times 40 places
TRAIL = 6  # frames
WON, LOST = "saturating, no penalty", "collapse: slow D, no penalty"
SHADES = 16  # of D's map: few, so that a film stays small
DEEP = "#a03a78"


def eight() -> Film:
    """G's samples follow D's slope from one dot to all eight modes."""
    game = explorers.load_films()["non-saturating, no penalty"]
    return Film(
        [_moment(game, k) for k in range(len(game.steps))],
        0.35,
        "A game in the plane, frame by frame. Orange samples begin as one dot in the middle, "
        "spread over the ring while the pink of D changes, and end at the eight blue circles, all "
        "of which are covered.",
    )


def collapse() -> Film:
    """All samples lie in one clump, which runs around the ring."""
    game = explorers.load_films()[LOST]
    return Film(
        [_moment(game, k, trail=True) for k in range(len(game.steps))],
        0.35,
        "A game in the plane whose D learns slowly, frame by frame: all orange samples lie "
        "together in one clump, which runs from place to place around the ring and draws a line "
        "behind it. At most one of the eight modes is covered.",
    )


def _moment(game: explorers.Film, k: int, trail: bool = False) -> np.ndarray:
    """A moment of a game: the plane on the left, the step and the modes covered on the right."""
    covered = [_covered(samples) for samples in game.samples]
    canvas = Canvas(880, SIDE, scale=1)
    _draw_plane(canvas, game, k, 0, trail=trail)
    canvas.box(SIDE, 0, 880, SIDE, "white")  # over samples outside the plane
    canvas.text(f"step {game.steps[k]:,}", 520, 10, INK, size=LETTERS + 8)
    canvas.text("orange: samples of G", 520, 74, DARK, size=LETTERS)
    canvas.text("darker: D says more real", 520, 112, TEXT, size=LETTERS)
    canvas.text("circles: modes (clusters)", 520, 150, plots.DATA, size=LETTERS)
    canvas.text(f"modes covered: {covered[k]} of 8", 520, 238, plots.DATA, size=LETTERS + 4)
    canvas.line([(520, 450), (860, 450)], FAINT)
    right = round(520 + 340 * k / (len(covered) - 1))
    draw_curve(canvas, covered[: k + 1], (520, 300, right, 450), (0, 8), plots.DATA, k)
    return canvas.pixels()


def _covered(samples: np.ndarray) -> int:
    return modes(torch.from_numpy(samples.astype(np.float32)), EIGHT_GAUSSIANS).covered


def _draw_plane(
    canvas: Canvas, game: explorers.Film, k: int, left: int, side: int = SIDE, trail: bool = False
) -> None:
    """Draw D's field, the modes and G's samples in a square at the top, ``left`` from the edge.

    The field is drawn from its lowest to its highest value, which a slope of D may lie between.
    """
    inner = side - 2 * MARGIN
    plane, known = Canvas(side, side, scale=1), Canvas(inner, inner, scale=1)
    field = game.field[k].astype(float)
    field = (field - field.min()) / max(field.max() - field.min(), 12)
    share = np.rint(field * (SHADES - 1))[::-1, :, None] / (SHADES - 1)
    deep, pale = (np.array(ImageColor.getrgb(c), dtype=float) for c in (DEEP, "#ffffff"))
    colours = (pale + share * (deep - pale)).round().astype(np.uint8)
    known.paste(Image.fromarray(colours), 0, 0, (inner, inner), Image.Resampling.NEAREST)
    draw_modes(known, EIGHT_GAUSSIANS, inner)
    plane.box(0, 0, side, side, "#eeeeee")
    plane.picture.paste(known.picture, (MARGIN, MARGIN))

    def place(x: float, y: float) -> tuple[float, float]:
        return side / 2 + inner * x / (2 * LIMIT), side / 2 - inner * y / (2 * LIMIT)

    if trail:
        middles = [
            game.samples[j].astype(float).mean(axis=0) for j in range(max(0, k - TRAIL), k + 1)
        ]
        if len(middles) > 1:
            plane.line([place(*middle.tolist()) for middle in middles], INK, 4)
    for x, y in game.samples[k].astype(float).tolist():
        plane.disc(place(x, y), 4, plots.GENERATOR, DARK)
    radius = 3 * EIGHT_GAUSSIANS.sigma * inner / (2 * LIMIT)
    for x, y in EIGHT_GAUSSIANS.means.tolist():  # once more, above the samples
        plane.disc(place(x, y), radius + 2, outline="#ffffff", width=7)
        plane.disc(place(x, y), radius, outline=plots.DATA, width=3)
    canvas.picture.paste(plane.picture, (left, 0))


def twins() -> Film:
    """Two games that end with the same losses: one covers all modes, the other none."""
    games = [explorers.load_films()[name] for name in (WON, LOST)]
    frames = []
    for k in range(1, len(games[0].steps), 2):
        canvas = Canvas(840, 520, scale=1)
        for left, name, game in zip((0, 440), ("equal rates", "slow D"), games, strict=True):
            _draw_plane(canvas, game, k, left, 400)
            d, g = game.losses[k].tolist()
            step = f"{name}, step {game.steps[k]:,}"
            canvas.text(step, left, 404, INK, size=LETTERS)
            canvas.text(f"D’s loss {d:.2f}", left, 442, TEXT, size=LETTERS)
            canvas.text(f"G’s loss {g:.2f}".replace("-", "−"), left + 200, 442, DARK, size=LETTERS)
            found = f"modes covered: {_covered(game.samples[k])}"
            canvas.text(found, left, 480, plots.DATA, size=LETTERS)
        frames.append(canvas.pixels())
    return Film(
        frames,
        0.6,
        "Two games side by side, both with the saturating loss and no penalty. With equal rates "
        "the samples end at all eight circles; with a slow D they run around in one clump. In the "
        "last frame both D's losses are near 1.3 to 1.4 and both G's near −0.7.",
    )


def smallest() -> Film:
    """The two weights of the smallest GAN in four games, round by round."""
    games = {
        "together": _path(together=True, penalty=0.0),
        "in turn": _path(together=False, penalty=0.0),
        "together, with R1": _path(together=True, penalty=0.1),
        "in turn, with R1": _path(together=False, penalty=0.1),
    }
    frames = [_paths(games, rounds, tail=60) for rounds in range(4, 400, 8)]
    return Film(
        [*frames, _paths(games, 400, tail=400)],
        0.3,
        "Four paths of the two weights of the smallest GAN around the equilibrium, round by "
        "round: together spirals outwards, in turn stays on a ring; with the penalty R1 both "
        "spiral into the middle, in turn sooner.",
    )


def _path(together: bool, penalty: float, rate: float = 0.2) -> list[tuple[float, float]]:
    """(theta_g, theta_d) over 400 rounds, as in the chapter."""
    theta_g, theta_d, path = 1.0, 0.0, []
    for _ in range(400):
        path.append((theta_g, theta_d))
        old, d_fake = theta_d, 1 / (1 + math.exp(-theta_d * theta_g))
        theta_d += rate * (-d_fake * theta_g - penalty * theta_d)
        seen = old if together else theta_d
        theta_g += rate * seen / (1 + math.exp(-seen * theta_g))
    return path


def _paths(games: dict[str, list[tuple[float, float]]], rounds: int, tail: int) -> np.ndarray:
    """Every path after so many rounds, each in a panel of its own; of the past only a tail."""
    canvas = Canvas(880, 520, scale=1)
    canvas.text(f"round {rounds}", 10, 4, INK, size=LETTERS + 4)
    canvas.text("blue dot: the equilibrium", 10, 48, plots.DATA, size=LETTERS)
    canvas.text("across: G’s number, up: D’s slope", 10, 484, FAINT, size=LETTERS)
    unit = 62  # pixels for 1
    centres = (225, 290), (545, 80), (545, 255), (545, 430)
    for (name, path), (x, y) in zip(games.items(), centres, strict=True):
        shown = path[max(0, rounds - tail) : rounds]
        places = [(x + unit * g, y - unit * d) for g, d in shown]
        if name == "together":
            canvas.text(name, 10, 92, INK, size=LETTERS)
        else:
            canvas.text(name, x + 84, y - 18, INK, size=LETTERS)
        canvas.line(places, plots.MODEL, width=2)
        canvas.disc((x, y), 6, plots.DATA)
        canvas.disc(places[-1], 8, plots.MODEL, INK)
    return canvas.pixels()


def apart() -> Film:
    """The density of G's samples moves away from that of the data."""
    x = np.linspace(-2, 9, 221)
    frames = []
    for gap in np.linspace(0, 7, 15):
        canvas = Canvas(880, 400, scale=1)
        canvas.line([(0, 380), (880, 380)], FAINT)
        for mean, color, name in ((gap, plots.GENERATOR, "q: G"), (0.0, plots.DATA, "p: data")):
            bell = 300 * np.exp(-2 * (x - mean) ** 2)  # of standard deviation 1/2
            places = zip((80 * (x + 2)).tolist(), (380 - bell).tolist(), strict=True)
            canvas.line(list(places), color, width=4)
            top, ink = (0, DARK) if mean or name[0] == "q" else (36, color)
            canvas.text(name, round(80 * (mean + 2)), top, ink, "ma", LETTERS)
        frames.append(canvas.pixels())
    return Film(
        frames,
        0.3,
        "Two bells of the same width over a line: p stays at its place, q moves away to the right "
        "until they do not overlap any more.",
    )


def garments() -> Film:
    """A walk from code to code: every picture is G of 64 random numbers."""
    walk, stops = explorers.LatentWalk(), (0, 3, 5, 4, 6, 7, 0)
    states = [
        explorers.WalkState(start, end, k / 6)
        for start, end in itertools.pairwise(stops)
        for k in range(6)
    ]
    return Film(
        [_garment(walk, state) for state in states],
        0.25,
        "One generated garment changes step by step into another: a boot, tops, a bag and others, "
        "on a walk between random codes.",
    )


def halfway() -> Film:
    """The way from code 2, a shoe, to code 3, a top, and back to its middle."""
    walk = explorers.LatentWalk()
    states = [explorers.WalkState(2, 3, k / 12) for k in (*range(13), *range(11, 5, -1))]
    return Film(
        [_garment(walk, state, marked=True) for state in states],
        0.4,
        "On the way from code 2, a shoe, to code 3, a top, the pictures in the middle are a torn "
        "mixture of both.",
    )


def _garment(
    walk: explorers.LatentWalk, state: explorers.WalkState, marked: bool = False
) -> np.ndarray:
    """G of a code between two codes, 16 times enlarged, with the place on the way."""
    canvas = Canvas(880, 450, scale=1)
    with torch.no_grad():
        canvas.image(walk.model.generate(walk.code(state, state.position))[0], 0, 0, 448)
    canvas.text("G(z)", 490, 10, DARK, size=LETTERS + 8)
    canvas.text(f"from code {state.start} to code {state.end}", 490, 80, INK, size=LETTERS)
    canvas.line([(500, 150), (800, 150)], FAINT, width=3)
    canvas.disc((500 + 300 * state.position, 150), 11, plots.GENERATOR, INK)
    if marked:
        canvas.text(f"{state.position:.0%} of the way", 490, 180, INK, size=LETTERS)
    return canvas.pixels()
