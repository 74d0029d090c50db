"""Films: short animations that show on a slide what unfolds in time.

A chapter's ``films.py`` holds functions without arguments, each of which computes a film.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gen_course.common.explorer import Explorer
from gen_course.common.still import still
from gen_lib import InputError

LARGEST = (900, 640)  # width and height of a frame; an explorer with its controls fits
SECONDS_OF_A_STATE = 2.0


class Film(NamedTuple):
    """Pictures that follow one another, again and again."""

    frames: list[np.ndarray]
    """uint8 (height, width, 3), all of one size"""
    seconds: float
    """How long each frame stays; the last stays three times as long."""
    alt: str
    """What a reader is told who cannot see it."""


class Encoded(NamedTuple):
    """A film as a page holds it."""

    webp: bytes
    """The animation."""
    png: bytes
    """Its last frame, for printing."""
    width: int
    height: int
    alt: str


def walk(explorer: Explorer[Any], states: Sequence[Mapping[str, Any]]) -> Film:
    """The whole picture of an explorer, its controls too, in some states.

    Args:
        explorer: an explorer in its first state; it is closed afterwards.
        states: for each frame, the controls that differ from the first state, by their names.
    """
    frames, told = [], []
    for state in states:
        explorer.show(explorer.default._replace(**state))
        with Image.open(io.BytesIO(still(explorer.box))) as picture:
            frames.append(np.asarray(picture.convert("RGB")))
        told.append(explorer.caption.text)
    explorer.close()
    height = max(len(frame) for frame in frames)
    frames = [
        np.pad(f, ((0, height - len(f)), (0, 0), (0, 0)), constant_values=255) for f in frames
    ]
    return Film(frames, SECONDS_OF_A_STATE, " Then: ".join(told))


def encode(film: Film) -> Encoded:
    """A film as an animated lossless WebP that loops, and as a PNG of its last frame.

    Raises:
        InputError: the frames are not pictures of one size, or too large.
    """
    shapes = {frame.shape for frame in film.frames}
    if len(shapes) != 1 or any(frame.dtype != np.uint8 for frame in film.frames):
        raise InputError("A film needs frames of one size, as uint8 (height, width, 3).")
    height, width, *colours = shapes.pop()
    if colours != [3] or width > LARGEST[0] or height > LARGEST[1]:
        raise InputError(
            f"A frame is at most {LARGEST[0]} x {LARGEST[1]} x 3, not "
            f"{' x '.join(map(str, (width, height, *colours)))}."
        )
    if not film.alt.strip() or film.seconds <= 0:
        raise InputError("A film needs an alternative text, and seconds above 0 for each frame.")
    pictures = [Image.fromarray(frame) for frame in film.frames]
    stay = [round(1000 * film.seconds)] * (len(pictures) - 1) + [round(3000 * film.seconds)]
    moving, last = io.BytesIO(), io.BytesIO()
    pictures[0].save(
        moving,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=stay,
        loop=0,
        lossless=True,
        method=6,
        minimize_size=True,
    )
    pictures[-1].save(last, "PNG", optimize=True)
    return Encoded(moving.getvalue(), last.getvalue(), width, height, film.alt)
