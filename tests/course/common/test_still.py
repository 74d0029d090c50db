"""The picture of a whole widget: every part is in it, at its place and in its state."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image

from gen_course.common.explorer import choice, index_slider, slider
from gen_course.common.live_caption import LiveCaption
from gen_course.common.pad import Pad, Patches
from gen_course.common.still import LINE, RUN_IT, still


def png(color, size=(40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def image(color, size=(40, 30)) -> widgets.Image:
    layout = {"width": f"{size[0]}px", "height": f"{size[1]}px"}
    return widgets.Image(value=png(color, size), layout=layout)


def drawn(widget, scale=1) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(still(widget, scale))))


def test_boxes_put_their_parts_beside_each_other_or_below():
    row = widgets.HBox([image("red"), image("blue", (20, 50))])
    whole = drawn(widgets.VBox([row, image("lime")]), scale=2)
    assert whole.shape == (2 * 80, 2 * 60, 3)
    assert (whole[0, 0] == (255, 0, 0)).all()
    assert (whole[0, 90] == (0, 0, 255)).all()
    assert (whole[110, 0] == (0, 255, 0)).all()
    assert (whole[70, 0] == 255).all()  # below the lower part


def test_parts_stand_on_one_line_where_the_box_says_so():
    row = widgets.HBox([image("red"), image("blue", (20, 50))])
    row.layout.align_items = "flex-end"
    assert (drawn(row)[49, 0] == (255, 0, 0)).all()


def test_a_note_is_a_quiet_grey_line_above_the_widget():
    widget = image("red", (400, 50))
    whole = np.asarray(Image.open(io.BytesIO(still(widget, 2, note=RUN_IT))))
    note, below = whole[: 2 * LINE], whole[2 * LINE :]
    assert (below == drawn(widget, scale=2)).all()
    assert (note[..., 0] == note[..., 1]).all()  # grey
    assert 80 < note.min() < 130
    assert (note < 200).any(axis=(0, 2)).sum() > 200  # a sentence is wide
    assert (note[:, -8:] == 255).all()  # and not cut off


@pytest.mark.parametrize(("x", "y", "row", "column"), [(0.25, 0.75, 20, 20), (1, 0, 79, 79)])
def test_the_point_of_a_pad_is_where_it_is_on_the_page(x, y, row, column):
    pad = Pad(x=x, y=y, width=80, height=80, background=png("yellow", (80, 80)))
    whole = drawn(pad)
    assert (whole[row, column] == 255).all()
    assert (whole[40, 40] == (255, 255, 0)).all()


def test_a_line_on_a_pad_is_dashed_as_on_the_page():
    line = [(0.0, 0.25), (1.0, 0.25)]
    pad = Pad(x=0.5, y=0.9, width=90, height=80, background=png("yellow", (90, 80)), path=line)
    dark = (drawn(pad)[60] < 60).all(axis=1)
    assert 40 < dark.sum() < 75
    assert np.abs(np.diff(dark.astype(int))).sum() >= 18  # a new piece every nine pixels


def test_patches_show_their_picture():
    assert (
        drawn(Patches(width=70, height=70, background=png("navy")))[35, 35] == (0, 0, 128)
    ).all()


@pytest.mark.parametrize(
    ("control", "other"),
    [
        (slider("width", 0.0, 1.0, 0.1), 0.7),
        (index_slider("image", 99), 50),
        (choice("loss", ["hinge", "log"]), "log"),
        (LiveCaption(text="Before."), None),
        (widgets.HTML("before"), "<b>after</b>"),
    ],
    ids=["slider", "index", "choice", "caption", "html"],
)
def test_a_control_is_drawn_in_its_state(control, other):
    before = drawn(control)
    if other is None:
        control.text = "After."
    else:
        control.value = other
    after = drawn(control)
    assert before.shape[0] == after.shape[0]
    assert before.shape != after.shape or (before != after).any()


def test_a_slider_at_its_end_has_its_knob_there():
    control = slider("width", 0.0, 1.0, 0.1)
    places = []
    for control.value in (0.0, 1.0):
        dark = (drawn(control)[10:22, 148:352] < 60).all(axis=2).sum(axis=0)
        places.append(int(dark.argmax()))
    assert places[0] < 10 < 180 < places[1]


def test_a_slider_with_a_single_value_is_drawn():
    assert drawn(index_slider("the only image", 0)).shape == drawn(index_slider("image", 9)).shape
