"""Stored pictures: few colours stay exact, many get a palette, a second pass changes nothing."""

import io
from base64 import b64decode, b64encode

import nbformat
import numpy as np
import pytest
from PIL import Image

from gen_course.build import images


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), int)


def few_colours() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (100, 3))[rng.integers(0, 100, (60, 70))]


def gradient() -> np.ndarray:
    ramp = np.linspace(0, 255, 120)
    return np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], (255 - ramp)[None]), axis=2)


def test_a_picture_of_few_colours_keeps_every_pixel():
    assert np.array_equal(pixels(images.smaller(png(few_colours()))), few_colours())


def test_a_smooth_gradient_hardly_moves():
    before = gradient().astype(np.uint8)
    assert np.abs(pixels(images.smaller(png(before))) - before).max() <= images.WORST


@pytest.mark.parametrize("picture", [few_colours, gradient])
def test_a_second_pass_changes_nothing(picture):
    once = images.smaller(png(picture()))
    assert images.smaller(once) == once
    assert len(once) <= len(png(picture()))


def test_small_pixels_stay_crisp_when_the_picture_is_wider_than_shown():
    small = few_colours()
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    found = pixels(images.smaller(png(large), width=70))  # 280 wide, shown at 70
    assert np.array_equal(found, small.repeat(2, axis=0).repeat(2, axis=1))


def test_a_transparent_picture_stays_as_it_is():
    content = png(np.zeros((9, 9, 4)))
    assert images.smaller(content) == content


def test_a_widgets_picture_loses_its_note_and_a_figure_nothing():
    content = b64encode(png(few_colours())).decode()
    assert np.array_equal(pixels(b64decode(images.without_note(content, 20))), few_colours()[20:])
    assert images.without_note(content, 0) == content


def test_a_notebook_keeps_its_metadata():
    told = {"image/png": {"width": 70, "alt": "dots"}}
    data = {"image/png": b64encode(png(few_colours())).decode(), "text/plain": "x"}
    output = nbformat.v4.new_output("display_data", data, metadata=told)
    cell = nbformat.v4.new_code_cell("show()", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    images.compact(notebook)
    (kept,) = notebook.cells[0].outputs
    assert kept.metadata == told
    assert kept.data["text/plain"] == "x"
    assert np.array_equal(pixels(b64decode(kept.data["image/png"])), few_colours())
