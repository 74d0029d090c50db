"""Two picture widgets: a pad with a movable point, and patches that can be switched on and off.

Both are anywidgets: the kernel sends the few lines of JavaScript beside this file to the page, so
nothing has to be built or downloaded. Both work with mouse, touch and keyboard.
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
from gen_course.common.fonts import register

HERE = Path(__file__).parent


class Pad(anywidget.AnyWidget):
    """A picture with a point on it; arrow keys move the point, with Shift ten times as far."""

    _esm = HERE / "pad.js"
    _css = HERE / "pad.css"

    x = traitlets.Float(0.5, min=0, max=1).tag(sync=True)  # from the left
    y = traitlets.Float(0.5, min=0, max=1).tag(sync=True)  # from the bottom
    steps = traitlets.List(traitlets.Int(), [100, 100]).tag(sync=True)  # grid steps, across and up
    background = traitlets.Bytes().tag(sync=True)  # a PNG file
    width = traitlets.Int(380).tag(sync=True)
    height = traitlets.Int(380).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)  # name of the pad, for screen readers
    words = traitlets.Unicode().tag(sync=True)  # position of the point, for screen readers
    path = traitlets.List(traitlets.Tuple()).tag(sync=True)  # points (x, y) of a line to draw

    def go(self, x: float, y: float) -> None:
        """Move the point, unless it is there already.

        Sending back a position that the page has just reported would undo a newer movement there.
        """
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
    label = traitlets.Unicode().tag(sync=True)  # name of the picture, for screen readers
    words = traitlets.Unicode("on,off").tag(sync=True)  # names of the two states


def plane_map(side: int, draw: Callable[[Axes], object]) -> bytes:
    """A PNG of the plane of codes for a square pad, without margins; ``draw`` draws its content."""
    register()
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
