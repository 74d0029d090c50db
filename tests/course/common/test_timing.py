"""The minutes of the chapters: what is stated, how machines are compared, and what is not said."""

import json
import re

import pytest

from gen_course.common import timing


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """Write the content of minutes.json."""
    file = tmp_path / "minutes.json"
    monkeypatch.setattr(timing, "MINUTES_FILE", file)
    return file.write_text


def known(speed=16.0):
    return json.dumps({"machine": "2 cores", "speed": speed, "minutes": {"01_autoencoders": 1.57}})


def test_the_minutes_are_those_of_the_reference_machine_and_no_others(reference):
    reference(known())
    sentence = "Run All took 1.6 min on the reference machine (2 cores)."
    assert timing.stated("01_autoencoders") == sentence
    timing.calibrate(0.1)
    assert timing.stated("01_autoencoders") == sentence, "a calibration changes no stated minutes"


@pytest.mark.parametrize(
    ("speed", "words"),
    [
        (16.0, "One core of this machine is about as fast as"),
        (12.0, "One core of this machine is about as fast as"),
        (22.0, "One core of this machine is about as fast as"),
        (31.0, "One core of this machine is about 2 times as fast as"),
        (70.0, "One core of this machine is about 4 times as fast as"),
        (9.0, "One core of the reference machine is about 2 times as fast as"),
        (1.9, "One core of the reference machine is about 8 times as fast as"),
    ],
)
def test_a_machine_is_compared_by_a_power_of_two(reference, speed, words):
    reference(known())
    assert timing.compared(speed).startswith(words)


def test_neither_a_disturbance_nor_time_that_others_compute_changes_the_speed(monkeypatch):
    now, computed, readings = [0.0], [0.0], [0]

    def clock():
        """10 ms between two readings; others compute for most of it."""
        now[0] += 0.01
        return now[0]

    def process_clock():
        """1 ms for each reading of the other clock since the last one; once 10 s more."""
        readings[0] += 1
        computed[0] = now[0] / 10 + (10.0 if readings[0] > 5 else 0.0)
        return computed[0]

    monkeypatch.setattr(timing.time, "perf_counter", clock)
    monkeypatch.setattr(timing.time, "process_time", process_clock)
    threads = timing.torch.get_num_threads()
    assert timing.calibrate(1.0) == pytest.approx(1000, rel=0.15)
    assert timing.torch.get_num_threads() == threads


@pytest.mark.parametrize("content", [None, "", "[]", "7"])
def test_without_readable_minutes_a_sentence_says_so(reference, content):
    if content is not None:
        reference(content)
    assert timing.stated("01_autoencoders").endswith("have not been measured yet.")
    assert timing.compared(10.0).endswith("has not been measured yet.")


def test_the_report_says_seconds_and_memory():
    assert re.fullmatch(r"\d+ s since .*; \d+\.\d\d GB of memory at most\.", timing.report())
