"""Pictures to point at: a pad with a point to move, and patches to switch on and off.

Both are anywidgets: a few lines of JavaScript beside this file, sent along by the kernel, so that
nothing has to be built and nothing is fetched. Both work by mouse, touch and keyboard.
"""

import io
import math
from collections.abc import Callable
from pathlib import Path

import anywidget
import matplotlib.pyplot as plt
import traitlets
from matplotlib.axes import Axes

from gen_course.common import plots

HERE = Path(__file__).parent


class Pad(anywidget.AnyWidget):
    """A picture with a point on it; arrow keys move the point, with Shift ten times as far."""

    _esm = HERE / "pad.js"
    _css = HERE / "pad.css"

    x = traitlets.Float(0.5, min=0, max=1).tag(sync=True)  # from the left
    y = traitlets.Float(0.5, min=0, max=1).tag(sync=True)  # from the bottom
    steps = traitlets.List(traitlets.Int(), [100, 100]).tag(sync=True)  # of the grid it moves on
    background = traitlets.Bytes().tag(sync=True)  # a PNG file
    width = traitlets.Int(380).tag(sync=True)
    height = traitlets.Int(380).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)  # what the pad is, for who can't see it
    words = traitlets.Unicode().tag(sync=True)  # where the point is
    path = traitlets.List(traitlets.Tuple()).tag(sync=True)  # a line of (x, y) to draw

    def go(self, x: float, y: float) -> None:
        """Move the point there; where it is there already, an echo would overtake the hand."""
        if math.dist((x, y), (self.x, self.y)) > 1e-9:
            self.x, self.y = x, y


class Patches(anywidget.AnyWidget):
    """A picture in rows and columns of patches; a click, Space or Enter switches one."""

    _esm = HERE / "patches.js"
    _css = HERE / "pad.css"

    value = traitlets.List(traitlets.Int()).tag(sync=True)  # the patches switched on, sorted
    rows = traitlets.Int(7).tag(sync=True)
    columns = traitlets.Int(7).tag(sync=True)
    background = traitlets.Bytes().tag(sync=True)  # a PNG file
    width = traitlets.Int(280).tag(sync=True)
    height = traitlets.Int(280).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)  # what the picture is, for who can't see it
    words = traitlets.Unicode("on,off").tag(sync=True)  # how the two states are called


def plane_map(side: int, draw: Callable[[Axes], object]) -> bytes:
    """A PNG of the plane of codes that fills a square pad from edge to edge; ``draw`` fills it."""
    with plt.style.context(plots.STYLE), plt.ioff():
        figure = plt.figure(figsize=(side / 100, side / 100), layout="none")
        ax = figure.add_axes((0, 0, 1, 1))
        draw(ax)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.annotate("z₁ →", (0.985, 0.015), xycoords="axes fraction", ha="right", va="bottom")
        ax.annotate("z₂ ↑", (0.015, 0.985), xycoords="axes fraction", ha="left", va="top")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=200)
        plt.close(figure)
    return buffer.getvalue()
