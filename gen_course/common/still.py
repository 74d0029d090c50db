"""Draw a whole widget as a picture, for pages without a kernel: maps, pictures and controls."""

import io
import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from html import unescape
from itertools import pairwise

import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw

from gen_course.common.canvas import FAINT, INK, WARNING, Canvas
from gen_course.common.live_caption import LiveCaption
from gen_course.common.pad import Pad, Patches

LINE = 24  # height of a line of text, in pixels of the page
CONTROL = (430, 32)  # width and height of a slider or a list, with the space around it
TRACK = (148, 340)  # where the line of a slider begins and ends
LETTERS = 118  # letters in a line of the caption
RUN_IT = "Picture of the widget. Run the cell to use it."


def still(widget: widgets.DOMWidget, scale: int = 1, note: str = "") -> bytes:
    """The widget in its present state as a PNG.

    Args:
        widget: an ipywidgets box, control or picture, or one of this package's widgets.
        scale: pixels of the picture, in each direction, for one pixel of the page.
        note: a grey line above the widget.
    """
    buffer, picture = io.BytesIO(), _drawn(widget, scale)
    if note:
        line = _words(note, (max(1, picture.width // scale), LINE), scale, FAINT)
        picture = _stacked([line, picture])
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _drawn(widget: widgets.DOMWidget, scale: int) -> Image.Image:
    if isinstance(widget, widgets.Box):
        parts = [_drawn(child, scale) for child in widget.children]
        if isinstance(widget, widgets.HBox):
            return _beside(parts, at_bottom=widget.layout.align_items == "flex-end")
        return _stacked(parts)
    if isinstance(widget, widgets.Image):
        size = int(widget.layout.width[:-2]), int(widget.layout.height[:-2])
        return _resized(bytes(widget.value), size, scale)
    if isinstance(widget, Pad):
        return _pad(widget, scale)
    if isinstance(widget, Patches):
        return _resized(bytes(widget.background), (widget.width, widget.height), scale)
    if isinstance(widget, LiveCaption):
        return _caption(widget, scale)
    if isinstance(widget, widgets.HTML):
        words = unescape(re.sub(r"<[^>]+>", "", widget.value))
        return _words(words, (7 * len(words) + 8, LINE), scale)
    if isinstance(widget, widgets.Button):
        return _button(widget.description, scale)
    if isinstance(widget, widgets.Play):
        return _button("▶ play", scale)
    return _control(widget, scale)


def _beside(parts: list[Image.Image], at_bottom: bool) -> Image.Image:
    """Pictures from left to right, their upper or lower edges on one line."""
    height = max((part.height for part in parts), default=1)
    whole = Image.new("RGB", (max(1, sum(part.width for part in parts)), height), "white")
    left = 0
    for part in parts:
        whole.paste(part, (left, height - part.height if at_bottom else 0))
        left += part.width
    return whole


def _stacked(parts: list[Image.Image]) -> Image.Image:
    width = max((part.width for part in parts), default=1)
    whole = Image.new("RGB", (width, max(1, sum(part.height for part in parts))), "white")
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole


def _resized(png: bytes, size: tuple[int, int], scale: int) -> Image.Image:
    with Image.open(io.BytesIO(png)) as picture:
        wanted = (scale * size[0], scale * size[1])
        return picture.convert("RGB").resize(wanted, Image.Resampling.LANCZOS)


def _pad(pad: Pad, scale: int) -> Image.Image:
    picture = _resized(bytes(pad.background), (pad.width, pad.height), scale)
    pen, factor = ImageDraw.Draw(picture), (scale * pad.width, scale * pad.height)
    if pad.path:
        places = [(x * factor[0], (1 - y) * factor[1]) for x, y in pad.path]
        for dash in _dashes(places, 5 * scale, 4 * scale):
            pen.line(dash, INK, width=2 * scale)
    centre = pad.x * factor[0], (1 - pad.y) * factor[1]
    pen.circle(centre, 9 * scale, fill="white")
    pen.circle(centre, 7 * scale, fill="white", outline=INK, width=3 * scale)
    return picture


def _dashes(
    places: Sequence[tuple[float, float]], on: int, off: int
) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The pieces of a line through all places: drawn over ``on``, left out over ``off``."""
    for (x, y), (to_x, to_y) in pairwise(places):
        length = max(math.dist((x, y), (to_x, to_y)), 1e-9)
        for start in np.arange(0, length, on + off).tolist():
            ends = start / length, min(start + on, length) / length
            first, last = ((x + s * (to_x - x), y + s * (to_y - y)) for s in ends)
            yield first, last


def _caption(caption: LiveCaption, scale: int) -> Image.Image:
    canvas = Canvas(880, 48, scale)
    for number, line in enumerate(textwrap.wrap(caption.text, LETTERS)[:2]):
        canvas.text(line, 4, 4 + 20 * number, WARNING if caption.warning else INK)
    return canvas.picture


def _words(words: str, size: tuple[int, int], scale: int, color: str = INK) -> Image.Image:
    canvas = Canvas(*size, scale)
    canvas.text(words, 4, 4, color)
    return canvas.picture


def _button(words: str, scale: int) -> Image.Image:
    canvas = Canvas(CONTROL[0], CONTROL[1], scale)
    canvas.box(4, 2, 152, 30, "#e4e4e4")
    canvas.text(words, 78, 8, anchor="ma")
    return canvas.picture


def _control(control: widgets.DOMWidget, scale: int) -> Image.Image:
    """A slider or a list with its name and its value."""
    canvas = Canvas(*CONTROL, scale)
    name = getattr(control, "description", "")
    canvas.text(name, TRACK[0] - 14, 8, anchor="ra")
    value, share = _value(control)
    if share is None:
        canvas.box(TRACK[0], 2, CONTROL[0] - 4, 30, "#e4e4e4")
        canvas.text(value, TRACK[0] + 8, 8)
        return canvas.picture
    canvas.line([(TRACK[0], 16), (TRACK[1], 16)], FAINT, width=2)
    canvas.disc((TRACK[0] + share * (TRACK[1] - TRACK[0]), 16), 7, INK)
    canvas.text(value, TRACK[1] + 14, 8)
    return canvas.picture


def _value(control: widgets.DOMWidget) -> tuple[str, float | None]:
    """The value of a control as text, and the place of a slider's knob from 0 to 1."""
    if isinstance(control, widgets.SelectionSlider):
        return control.label, control.index / ((len(control.options) - 1) or 1)
    if isinstance(control, (widgets.FloatSlider, widgets.IntSlider)):
        share = (control.value - control.min) / ((control.max - control.min) or 1)
        whole = isinstance(control, widgets.IntSlider)
        return str(control.value) if whole else f"{control.value:.2f}", share
    return f"{getattr(control, 'label', getattr(control, 'value', ''))}  ▾", None
