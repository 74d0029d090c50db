"""The number of threads that a training step computes with, chosen by measurement.

A step that is shared by several threads ends when the slowest of them ends. On a busy laptop one of
them waits for its core, and all others wait for it: two threads can then be slower than one. So a
run with a budget in minutes tries, every half minute, one thread less and one more, and keeps the
fastest number. A run with a budget in steps keeps its number of threads: with another number the
last bits of a sum change.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

KEPT = 30.0  # seconds between two trials
TRIAL = 0.2  # seconds that a number of threads is tried, and at least ...
TRIAL_STEPS = 3  # ... so many steps, of which the first does not count


def thread_counts(most: int) -> Generator[int, float]:
    """Yield the number of threads for each step, between 1 and ``most``, where it begins.

    ``send`` takes the seconds of the step that is over, and returns the number for the next one.
    """
    best = most
    while True:
        near = [n for n in (best, best - 1, best + 1) if 1 <= n <= most]
        took = {}
        for n in near:
            yield n  # the first step with another number is slower
            steps, seconds = 1, 0.0
            while steps < TRIAL_STEPS or seconds < TRIAL:
                seconds += yield n
                steps += 1
            took[n] = seconds / (steps - 1)
        best = min(took, key=took.__getitem__)
        kept = 0.0
        while kept < KEPT:
            kept += yield best


class Threads:
    """The threads of a run: as many as it was given, or chosen by speed."""

    def __init__(self, by_speed: bool):
        self.by_speed, self.given = by_speed, torch.get_num_threads()
        self.counts = thread_counts(self.given)
        next(self.counts)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time what happens inside, and choose the number of threads for the next step."""
        start = time.perf_counter()
        yield
        if self.by_speed:
            torch.set_num_threads(self.counts.send(time.perf_counter() - start))

    def restore(self) -> None:
        """Compute with as many threads again as were given."""
        torch.set_num_threads(self.given)
