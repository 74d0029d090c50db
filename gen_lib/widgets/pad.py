"""Pictures to point at: a pad with a point to move, and patches to switch on and off.

Both are anywidgets: a few lines of JavaScript beside this file, sent along by the kernel, so that
nothing has to be built and nothing is fetched. Both work by mouse, touch and keyboard.
"""

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


class Pad(anywidget.AnyWidget):
    """A picture with a point on it; arrow keys move the point, with Shift ten times as far."""

    _esm = HERE / "pad.js"
    _css = HERE / "pad.css"

    x = traitlets.Float(0.5, min=0, max=1).tag(sync=True)  # from the left
    y = traitlets.Float(0.5, min=0, max=1).tag(sync=True)  # from the bottom
    background = traitlets.Bytes().tag(sync=True)  # a PNG file
    width = traitlets.Int(380).tag(sync=True)
    height = traitlets.Int(380).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)  # what the pad is, for who can't see it
    words = traitlets.Unicode().tag(sync=True)  # where the point is
    path = traitlets.List(traitlets.Tuple()).tag(sync=True)  # a line of (x, y) to draw


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
