"""A line of text that is spoken when it changes; it keeps the keys of the widget around it."""

from pathlib import Path

import anywidget
import traitlets

FRAME = "gen-widget"  # the class of the box whose keys JupyterLab is not to take


class LiveCaption(anywidget.AnyWidget):
    """One or two lines of text; a warning is coloured. The page says how dense its screen is."""

    _esm = Path(__file__).with_name("live_caption.js")
    _css = """
    .gen-words { font-size: 14px; line-height: 1.45; }
    .gen-words.gen-warning { color: #b03a00; }
    """

    text = traitlets.Unicode().tag(sync=True)
    warning = traitlets.Bool(False).tag(sync=True)
    density = traitlets.Int(2).tag(sync=True)  # of the screen: its pixels for one of the page
