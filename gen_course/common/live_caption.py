"""A caption below a widget, which screen readers read aloud when it changes.

Its JavaScript does two more things for the widget around it: it stops JupyterLab from taking the
keys pressed there, and it reports the pixel density of the screen.
"""

from pathlib import Path

import anywidget
import traitlets

FRAME = "gen-widget"  # CSS class of the box whose keys JupyterLab must not take


class LiveCaption(anywidget.AnyWidget):
    """One or two lines of text; a warning is coloured. The page sets ``density``."""

    _esm = Path(__file__).with_name("live_caption.js")
    _css = """
    .gen-words { font-size: 14px; line-height: 1.45; }
    .gen-words.gen-warning { color: #b03a00; }
    """

    text = traitlets.Unicode().tag(sync=True)
    warning = traitlets.Bool(False).tag(sync=True)
    density = traitlets.Int(2).tag(sync=True)  # pixels of the screen for one pixel of the page
