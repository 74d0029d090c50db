"""Films: short animations that show on a slide what unfolds in time.

A chapter's ``films.py`` holds functions without arguments, each of which computes a film.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:  # imports torch, which reading a stored film does not need
    from gen_course.common.explorer import Explorer

LARGEST = (1760, 1280)  # width and height of a frame: an explorer at twice its size fits
SECONDS_OF_A_STATE = 2.0
SHARPNESS = 2  # pixels of a walk's frame for one pixel of the explorer's page


class FilmError(ValueError):
    """The frames of a film do not fit together, or something is missing."""


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


def walk(explorer: "Explorer[Any]", states: Sequence[Mapping[str, Any]]) -> Film:
    """The whole picture of an explorer, its controls too, in some states.

    Args:
        explorer: an explorer in its first state; it is closed afterwards.
        states: for each frame, the controls that differ from the first state, by their names.
    """
    from gen_course.common.still import still

    frames, told = [], list[str]()
    explorer.caption.density = SHARPNESS
    for state in states:
        explorer.show(explorer.default._replace(**state))
        with Image.open(io.BytesIO(still(explorer.box, SHARPNESS))) as picture:
            frames.append(np.asarray(picture.convert("RGB")))
        told.append(explorer.caption.text)
    explorer.close()
    height = max(len(frame) for frame in frames)
    margins = [((0, height - len(frame)), (0, 0), (0, 0)) for frame in frames]
    frames = [np.pad(f, m, constant_values=255) for f, m in zip(frames, margins, strict=True)]
    return Film(frames, SECONDS_OF_A_STATE, " Then: ".join(told))


def encode(film: Film) -> Encoded:
    """A film as an animated lossless WebP that loops, and as a PNG of its last frame.

    Raises:
        FilmError: the frames are not pictures of one size, or too large, or there is no text.
    """
    shapes = {frame.shape for frame in film.frames}
    if len(shapes) != 1 or any(frame.dtype != np.uint8 for frame in film.frames):
        raise FilmError("A film needs frames of one size, as uint8 (height, width, 3).")
    (shape,) = shapes
    if len(shape) != 3 or shape[2] != 3 or shape[1] > LARGEST[0] or shape[0] > LARGEST[1]:
        raise FilmError(f"A frame has the shape {shape}, not (height, width, 3) within {LARGEST}.")
    if not film.alt.strip() or film.seconds <= 0:
        raise FilmError("A film needs an alternative text, and seconds above 0 for each frame.")
    first, *rest = pictures = [Image.fromarray(frame) for frame in film.frames]
    stay = [round(1000 * film.seconds)] * len(rest) + [round(3000 * film.seconds)]
    moving, last = io.BytesIO(), io.BytesIO()
    options: dict[str, Any] = {"lossless": True, "method": 4, "minimize_size": True}
    first.save(moving, "WEBP", save_all=True, append_images=rest, duration=stay, loop=0, **options)
    pictures[-1].save(last, "PNG", optimize=True)
    return Encoded(moving.getvalue(), last.getvalue(), shape[1], shape[0], film.alt)
