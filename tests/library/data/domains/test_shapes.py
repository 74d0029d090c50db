"""Shapes from signed distances: areas, distances, windows, and the numbers of scenes."""

import numpy as np
import pytest

from gen_lib.data.domains.shapes import Canvas, Dice, box, disc, line, triangle, wave


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (lambda c: disc(c, 15.3, 16.8, 7.0), np.pi * 49),
        (lambda c: box(c, 4.25, 10.5, 20.75, 13.0), 16.5 * 2.5),
        (lambda c: triangle(c, 16.2, 5.0, 25.0, 8.0), 160.0),
        (lambda c: line(c, 5.0, 5.0, 20.0, 25.0, 2.0), 25 * 2 + np.pi),
    ],
    ids=["disc", "box", "triangle", "line"],
)
def test_a_painted_shape_covers_its_area(shape, area, size):
    canvas = Canvas.blank(1, size)
    canvas.paint(shape(canvas), np.ones((3, 1, 1, 1)))
    assert canvas.pixels[0].sum() / canvas.scale**2 == pytest.approx(area, rel=0.02)


def test_distances_are_right_at_known_points():
    canvas = Canvas.blank(1, 32)
    at = lambda d, x, y: d[0, y, x]  # noqa: E731  of the pixel whose centre is (x + 1/2, y + 1/2)
    assert at(disc(canvas, 10.5, 10.5, 3.0), 20, 10) == 7
    assert at(disc(canvas, 10.5, 10.5, 3.0), 10, 10) == -3
    assert at(box(canvas, 4.0, 4.0, 8.0, 8.0), 9, 6) == 1.5
    assert at(line(canvas, 5.5, 5.5, 15.5, 5.5, 2.0), 18, 9) == 4  # a 3-4-5 triangle from its end
    assert at(triangle(canvas, 16.0, 8.0, 20.0, 6.0), 15, 25) == 5.5


def test_the_wave_has_period_one_and_amplitude_one():
    t = np.linspace(-2, 2, 1601)
    np.testing.assert_allclose(wave(t), wave(t + 1), atol=1e-12)
    np.testing.assert_allclose(wave(t), np.sin(2 * np.pi * t), atol=0.06)
    assert (wave(t).min(), wave(t).max()) == (-1, 1)


def test_a_window_paints_what_the_whole_canvas_would():
    x, y = (np.array(v)[:, None, None] for v in ([2.3, 16.1, 31.0], [30.9, 15.7, 0.2]))
    whole, cut = Canvas.blank(3, 32), Canvas.blank(3, 32)
    present = np.array([True, False, True])[:, None, None]
    red = np.array([1.0, 0, 0])[:, None, None, None]
    whole.paint(np.where(present, disc(whole, x, y, 2.2), 9), red)
    window = cut.window(present, x, y, 8, 8)
    window.paint(disc(window, x[window.pictures], y[window.pictures], 2.2), red)
    cut.put_back(window)
    np.testing.assert_array_equal(whole.pixels, cut.pixels)
    assert window.pictures.tolist() == [0, 2]


def test_numbers_are_uniform_and_those_of_scenes_differ():
    dice = Dice(range(4_000))
    first, second = dice()[:, 0, 0], dice(2.0, 6.0)[:, 0, 0]
    assert first.mean() == pytest.approx(0.5, abs=0.02)
    assert first.var() == pytest.approx(1 / 12, abs=0.005)
    assert second.mean() == pytest.approx(4, abs=0.08)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.06)
    assert np.corrcoef(first[1:], first[:-1])[0, 1] == pytest.approx(0, abs=0.06)
