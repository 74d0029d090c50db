"""The base class of all explorers: controls, a picture that depends on them, a caption, a reset.

A subclass defines a pure function from the state (the values of the controls) to a picture and a
sentence. This module does the rest: it redraws when a control moves, redraws only once when several
controls move together, and shows an error as text in the picture.
"""

import math
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

import ipywidgets as widgets
import numpy as np
import traitlets
from IPython.core.getipython import get_ipython
from jaxtyping import Float, UInt8
from torch import Tensor

from gen_course.common.canvas import Canvas, png
from gen_course.common.live_caption import FRAME, LiveCaption
from gen_course.common.still import LINE, RUN_IT, still
from gen_lib import InputError
from gen_lib.data import ImageSet
from gen_lib.metrics import psnr
from gen_lib.models.base import Model
from gen_lib.training.checkpoints import load_pretrained

S = TypeVar("S", bound=tuple)
M = TypeVar("M", bound=Model)
WIDTH, HEIGHT = 880, 580  # so that a widget fits on a laptop's screen without scrolling
LABEL_WIDTH = "130px"
SHOWN = 100  # number of test images that an index slider covers


class Size(NamedTuple):
    """Width and height of the picture, in pixels of the page."""

    width: int
    height: int


class Picture(widgets.Image):
    """An Image whose tooltip serves as its alternative text.

    ipywidgets' Image has no alt attribute. Its tooltip becomes the title of the image on the page,
    but this fails in the browser unless the widget has a description.
    """

    description = traitlets.Unicode("").tag(sync=True)


class Explorer(ABC, Generic[S]):
    """Controls and a picture that depends on them; displayed as the last line of a cell.

    Args:
        default: the state to begin with, a NamedTuple with one field per control.
        controls: the controls, by the name of their field.
        size: size of the picture.
        beside: a widget to the left of the picture.
    """

    def __init__(
        self,
        default: S,
        controls: Mapping[str, widgets.DOMWidget],
        size: Size,
        beside: widgets.DOMWidget | None = None,
    ):
        _close_earlier()
        self.controls, self.size = dict(controls), size
        self.image = Picture(
            format="png",
            layout=widgets.Layout(
                width=f"{size.width}px", height=f"{size.height}px", flex="0 0 auto", margin="0"
            ),
        )
        self.caption = LiveCaption(layout=widgets.Layout(height="44px", margin="0 0 0 4px"))
        self.reset_button = widgets.Button(description="Reset", tooltip="Back to the first picture")
        self.reset_button.on_click(lambda _: self.reset())
        self._paused = False
        self._drawn: S | None = None
        self.default = default
        self.show(default)
        self.default = self.state  # rounded to the steps of the sliders
        for name, control in self.controls.items():
            control.observe(lambda _, name=name: self._moved(name), names="value")
        self.caption.observe(lambda _: self._refine(), names="density")
        pictures = [beside, self.image] if beside else [self.image]
        self.box = widgets.VBox(
            [
                widgets.HBox(pictures, layout=widgets.Layout(align_items="flex-end")),
                self.caption,
                self.panel(),
            ],
            layout=widgets.Layout(width=f"{WIDTH}px", max_height=f"{HEIGHT}px", overflow="hidden"),
        )
        self.box.add_class("gen-explorer")
        self.box.add_class(FRAME)

    @abstractmethod
    def picture(self, state: S) -> UInt8[np.ndarray, "height width 3"]:
        """Draw the state on a ``canvas`` and return its pixels."""

    @abstractmethod
    def describe(self, state: S) -> str:
        """Describe what the picture shows in one sentence of at most two lines."""

    def follow(self, name: str) -> None:
        """Move the controls that depend on the one that the reader moved.

        By default nothing is moved.
        """

    def accompany(self, state: S) -> None:
        """Update the widget beside the picture to the state. By default nothing is done."""

    @property
    def state(self) -> S:
        """The present values of the controls."""
        values = (self.controls[name].value for name in self.default._fields)  # type: ignore[attr-defined]
        return type(self.default)(*(tuple(v) if isinstance(v, list) else v for v in values))

    def show(self, state: S) -> None:
        """Set all controls to the state, and draw once."""
        with self.together():
            for name, value in zip(self.default._fields, state, strict=True):  # type: ignore[attr-defined]
                control = self.controls[name]
                control.value = list(value) if isinstance(value, tuple) else value

    def reset(self) -> None:
        """Return to the default state."""
        self.show(self.default)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Draw only once for all controls that move inside this context.

        The page receives the picture before the new values of the controls.
        """
        before, self._paused = self._paused, True
        with ExitStack() as held:
            for control in self.controls.values():
                held.enter_context(control.hold_sync())
            try:
                yield
            finally:
                self._paused = before
            self.redraw()

    def canvas(self, size: Size | None = None) -> Canvas:
        """A white canvas at the screen's density, as large as the picture or of another size."""
        return Canvas(*(size or self.size), self.caption.density)

    def redraw(self) -> None:
        """Draw the present state, unless it is already shown."""
        state = self.state
        if self._paused or state == self._drawn:
            return
        self._drawn, self._paused = state, True
        try:
            self._draw(state)
            self.accompany(state)
        finally:
            self._paused = False

    def _draw(self, state: S) -> None:
        try:
            text, pixels, failed = self.describe(state), self.picture(state), False
        except Exception as error:  # a callback has no cell that could show a traceback
            text = str(error) if isinstance(error, InputError) else f"Nothing to show: {error!r}"
            canvas, failed = self.canvas(), True
            canvas.card(text)
            pixels = canvas.pixels()
        with self.image.hold_sync(), self.caption.hold_sync():
            self.image.value, self.image.tooltip = png(pixels), text
            self.caption.text, self.caption.warning = text, failed

    def _moved(self, name: str) -> None:
        if not self._paused:
            with self.together():
                self.follow(name)

    def _refine(self) -> None:
        """Draw the same state again for a screen of another density."""
        self._drawn = None
        self.redraw()

    def panel(self) -> widgets.DOMWidget:
        """The controls in two columns, the reset button below the first."""
        shown = [control for control in self.controls.values() if hasattr(control, "description")]
        half = len(shown) // 2
        columns = [*shown[:half], self.reset_button], shown[half:]
        return widgets.HBox([widgets.VBox(column) for column in columns])

    def close(self) -> None:
        """End the widget and release what it holds, its data and its model included."""
        widgets_inside = [self.box]
        for widget in widgets_inside:
            widgets_inside += getattr(widget, "children", ())
            for part in (widget, widget.layout, getattr(widget, "style", widget)):
                part.close()
        vars(self).clear()  # the notebook's list of results may hold this object for ever

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget and, for pages without a kernel, a picture of all of it with its text.

        The picture begins with a line that says what it is: "note" is its height in pixels.
        """
        if cell := _running_cell():
            _shown.setdefault(cell.id, []).append((cell.execution, self))
        scale, words = 2, self.caption.text
        picture = b64encode(still(self.box, scale, note=RUN_IT)).decode()
        static = {"image/png": picture, "text/plain": f"Widget: {words}"}
        told = {"alt": words, "width": WIDTH, "note": scale * LINE}
        return self.box._repr_mimebundle_(**options) | static, {"image/png": told}


class Cell(NamedTuple):
    """A cell of a notebook, and the execution of it that is under way."""

    id: str
    execution: str


_shown: dict[str, list[tuple[str, Explorer[Any]]]] = {}
"""For each cell: the explorers that it shows, and the execution that showed them."""


def _running_cell() -> Cell | None:
    """The cell that runs now; None outside a notebook, or if its editor does not name cells."""
    shell: Any = get_ipython()
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    name = parent.get("metadata", {}).get("cellId")
    return Cell(name, parent["header"]["msg_id"]) if name else None


def _close_earlier() -> None:
    """Close the explorers that an earlier execution of the running cell has shown.

    ipywidgets holds every widget until it is closed. So a cell that is run again and again would
    hold the data of all its explorers, of which the page shows only the last.
    """
    if cell := _running_cell():
        shown = _shown.get(cell.id, [])
        for execution, explorer in shown:
            if execution != cell.execution:
                explorer.close()
        _shown[cell.id] = [pair for pair in shown if pair[0] == cell.execution]


@cache
def shipped(name: str, kind: type[M]) -> M:
    """A shipped model, loaded once for all explorers, which only read it."""
    return load_pretrained(name, kind)


@lru_cache(maxsize=4)
def first_images(images: ImageSet, n: int) -> Float[Tensor, "n c h w"]:
    """The first n test images, in [-1, 1], made once for all explorers of the same data."""
    return images.test[:n].images


class GridSlider(widgets.FloatSlider):
    """A slider whose value is always one of its steps, also when Python sets it.

    The page rounds a value to the nearest step and sends it back. A value that is a step already
    does not change this way, so a reset restores exactly the default state.
    """

    @traitlets.validate("value")
    def _validate_value(self, proposal: Any) -> float:
        step = round((proposal["value"] - self.min) / self.step)
        return min(max(round(self.min + step * self.step, 9), self.min), self.max)


def decibels(y: Tensor, x: Tensor) -> str:
    """The PSNR of y against x as text."""
    value = psnr(y, x)
    return f"{value:.1f} dB" if math.isfinite(value) else "∞ dB (no error)"


def slider(description: str, low: float, high: float, step: float) -> GridSlider:
    """A slider for a number."""
    return GridSlider(description=description, min=low, max=high, step=step, value=low, **_look())


def index_slider(description: str, last: int) -> widgets.IntSlider:
    """A slider for whole numbers from 0 to ``last``."""
    return widgets.IntSlider(description=description, min=0, max=last, **_look())


def choice(description: str, options: Sequence[Any]) -> widgets.Dropdown:
    """A drop-down list of a few options."""
    return widgets.Dropdown(description=description, options=options, **_look())


def steps(description: str, options: Sequence[tuple[str, float | int]]) -> widgets.SelectionSlider:
    """A slider over a few given numbers, each with its label."""
    return widgets.SelectionSlider(description=description, options=options, **_look())


def _look() -> dict[str, Any]:
    return {"style": {"description_width": LABEL_WIDTH}, "layout": widgets.Layout(width="420px")}
