"""Misplaced texts of a figure are found, and a tidy figure has none."""

import matplotlib.pyplot as plt
import pytest
import torch

from gen_course.common import plots


@pytest.fixture
def axes():
    figure, ax = plt.subplots(figsize=(4, 3), layout="none")  # whatever the style is
    ax.set(xlim=(0, 10), ylim=(0, 1))
    yield figure, ax
    plt.close(figure)


def test_a_tidy_figure_has_none_though_ticks_lie_beyond_its_axes(axes):
    figure, ax = axes
    ax.plot([0, 10], [0, 1])
    ax.set(xticks=range(-10, 30), xlim=(0.5, 9.5), title="A line")
    ax.set_xticklabels([])
    ax.annotate("end", (9, 0.9))
    assert plots.misplaced(figure) == []


def test_a_text_outside_is_found_in_each_of_its_ways(axes):
    figure, ax = axes
    ax.annotate("not drawn", (20, 0.5))
    ax.text(9.5, 0.5, "a text that is much too long")
    assert set(plots.misplaced(figure)) == {
        "'not drawn' is outside its axes",
        "'a text that is much too long' is cut off",
    }


def test_texts_on_each_other_are_found_unless_one_is_invisible(axes):
    figure, ax = axes
    ax.annotate("first", (5, 0.5))
    second = ax.annotate("second", (5, 0.5))
    assert plots.misplaced(figure) == ["'first' covers 'second'"]
    second.set_visible(False)
    assert plots.misplaced(figure) == []


def test_a_label_at_the_end_of_a_curve_may_stand_beside_the_axes(axes):
    figure, ax = axes
    ax.set(xlim=(0, 14))
    plots.curves(ax, {"train": [0.2, 0.4], "test": [0.5, 0.8]}, x=[0.0, 10.0])
    assert plots.misplaced(figure) == []


def test_rows_of_images_are_judged_as_they_are_saved(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figure = plots.image_rows({"x": torch.zeros(4, 1, 28, 28)})
    figure.axes[0].text(0.5, 1.3, "cut off above", transform=figure.axes[0].transAxes)
    plots.show(figure, "Four black images.")
    assert shown[0].metadata["misplaced"] == ["'cut off above' is cut off"]
