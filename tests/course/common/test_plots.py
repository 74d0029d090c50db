"""What a notebook stores of a figure: its picture, its alternative text, and one plain line."""

from base64 import b64decode

import matplotlib.pyplot as plt
import pytest
from IPython.core.formatters import DisplayFormatter

from gen_course.common import plots

ALT = "A line rises\nfrom 0.5 to 2.5. Then it falls."


@pytest.fixture
def stored(monkeypatch):
    """Show a figure with one title above all, and one for each panel; give what is stored."""
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)

    def store(above="", *panels):
        figure, axes = plt.subplots(1, len(panels), squeeze=False)
        for ax, title in zip(axes[0], panels, strict=True):
            ax.set_title(title)
        plots.title(figure, above)
        plots.show(figure, ALT)
        return DisplayFormatter().format(shown.pop())

    return store


def test_a_picture_is_stored_with_its_text_and_width(stored):
    data, metadata = stored("It falls", "left")
    assert set(data) == {"image/png", "text/plain"}
    assert b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == ALT
    assert metadata["image/png"]["width"] == round(100 * plt.rcParams["figure.figsize"][0])


@pytest.mark.parametrize(
    ("above", "panels", "line"),
    [
        ("It\nfalls", ["left", "right"], "It falls"),
        ("", ["It falls"], "It falls"),
        ("", ["left", "right"], "A line rises from 0.5 to 2.5."),
        ("", [""], "A line rises from 0.5 to 2.5."),
    ],
)
def test_its_plain_text_is_its_title_or_the_first_sentence_of_its_text(stored, above, panels, line):
    assert stored(above, *panels)[0]["text/plain"] == f"Figure: {line}"
