"""The remembered speed of the machine: what it scales, and that a damaged file is ignored."""

import json
import os

import pytest

from gen_course.common import timing


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The file of the speed in a cache of its own."""
    monkeypatch.setattr(timing, "user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "gen_lib" / "speed.json"


def chapter() -> tuple[str, float]:
    """The name of a chapter, and its minutes on the reference machine."""
    return next(iter(timing.measured()["minutes"].items()))


def test_a_machine_of_half_the_speed_is_told_twice_the_minutes(cache):
    name, minutes = chapter()
    cache.parent.mkdir()
    cache.write_text(json.dumps(timing.measured()["speed"] / 2))
    assert f"On this machine expect about {2 * minutes:.1f} min." in timing.stated(name)


def test_a_calibration_is_remembered(cache):
    speed = timing.calibrate(0.2)
    assert speed > 0
    assert json.loads(cache.read_text()) == speed


@pytest.mark.parametrize(
    "content", ["", "0.0", "-3", "NaN", "Infinity", "[1]", '"fast"', "{", "\0"]
)
def test_a_damaged_speed_is_ignored(cache, content):
    cache.parent.mkdir()
    cache.write_text(content)
    assert "Run the calibration of chapter 00" in timing.stated(chapter()[0])
    assert timing.calibrate(0.1) > 0
    assert "On this machine expect" in timing.stated(chapter()[0])


def test_without_room_for_the_file_the_speed_is_returned_all_the_same(cache, monkeypatch):
    def full(path, content):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(timing, "write_whole", full)
    assert timing.calibrate(0.1) > 0
    assert not cache.exists()


@pytest.mark.parametrize("content", [None, "", "[]", "7"])
def test_without_readable_minutes_a_sentence_says_so(tmp_path, monkeypatch, content):
    file = tmp_path / "minutes.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setattr(timing, "MINUTES_FILE", file)
    assert timing.stated("01_autoencoders").endswith("have not been measured yet.")
