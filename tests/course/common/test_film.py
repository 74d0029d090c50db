"""Films: their frames, their time, and walks through an explorer."""

import io

import numpy as np
import pytest
from PIL import Image

from gen_course.ch03_vae.explorers import BoundExplorer
from gen_course.common import film
from gen_course.common.film import Film, FilmError, encode, walk

RNG = np.random.default_rng(0)
FRAMES = [RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(3)]


def test_a_film_loops_without_loss_and_its_last_frame_stays_three_times_as_long():
    made = encode(Film(FRAMES, 0.25, "Noise."))
    with Image.open(io.BytesIO(made.webp)) as moving:
        assert (moving.n_frames, moving.info["loop"]) == (3, 0)
        ends = []
        for number, frame in enumerate(FRAMES):
            moving.seek(number)
            np.testing.assert_array_equal(np.asarray(moving.convert("RGB")), frame)
            ends.append(moving.info["duration"])
    assert ends == [250, 250, 750]
    with Image.open(io.BytesIO(made.png)) as last:
        np.testing.assert_array_equal(np.asarray(last), FRAMES[-1])
    assert (made.width, made.height, made.alt) == (60, 40, "Noise.")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Film([], 1, "Nothing."), "frames of one size"),
        (Film([FRAMES[0], FRAMES[1][:-1]], 1, "Two sizes."), "frames of one size"),
        (Film([FRAMES[0] / 255], 1, "Not bytes."), "frames of one size, as uint8"),
        (Film([FRAMES[0][..., 0]], 1, "Grey."), "not .height, width, 3."),
        (Film([np.zeros((9, film.LARGEST[0] + 1, 3), np.uint8)], 1, "Wide."), "within"),
        (Film(FRAMES, 1, " "), "alternative text"),
        (Film(FRAMES, 0, "No time."), "seconds above 0"),
    ],
)
def test_what_is_no_film_is_refused(bad, message):
    with pytest.raises(FilmError, match=message):
        encode(bad)


def test_a_walk_shows_the_whole_explorer_in_each_state():
    states = [{}, {"m": 1.0}, {"m": 1.0, "s": 1.0}]
    walked = walk(BoundExplorer(), states)
    assert len(walked.frames) == 3
    (shape,) = {frame.shape for frame in walked.frames}
    assert shape[1] == 2 * 880
    assert not np.array_equal(walked.frames[0], walked.frames[1])
    assert walked.alt.count(" Then: ") == 2
    assert len(encode(walked).webp) < 300 * 2**10
