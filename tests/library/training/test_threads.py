"""The number of threads: found on machines with a simulated clock, and bound by what is given."""

from itertools import pairwise

import pytest

from gen_lib.training.threads import KEPT, TRIAL_STEPS, thread_counts


def run(most: int, seconds, until: float) -> list[tuple[float, int]]:
    """When each step began, and its number of threads; ``seconds(time, threads)`` a step takes."""
    counts, time, told = thread_counts(most), 0.0, []
    count = next(counts)
    while time < until:
        told.append((time, count))
        took = seconds(time, count)
        time += took
        count = counts.send(took)
    return told


def share(told: list[tuple[float, int]], count: int) -> float:
    """The share of the time, from one step to the next, that was spent with ``count`` threads."""
    spans = [(b - a, n) for (a, n), (b, _) in pairwise(told)]
    return sum(span for span, n in spans if n == count) / sum(span for span, _ in spans)


@pytest.mark.parametrize(("most", "fastest"), [(2, 1), (2, 2), (8, 1), (8, 5), (8, 8)])
def test_the_fastest_number_is_found_one_thread_at_a_time(most, fastest):
    told = run(most, lambda time, n: 0.1 * (1 + abs(n - fastest)), 30 * KEPT)
    late = [(time, n) for time, n in told if time > 10 * KEPT]
    assert share(late, fastest) > 0.9


def test_another_program_that_starts_and_ends_is_noticed_within_a_trial():
    def seconds(time, n):
        busy = 100 < time < 300
        return (0.4 if n == 2 else 0.2) if busy else (0.1 if n == 2 else 0.2)

    told = run(2, seconds, 500)
    assert share([x for x in told if x[0] < 100], 2) > 0.9
    assert share([x for x in told if 100 + KEPT + 5 < x[0] < 300], 1) > 0.85
    assert share([x for x in told if x[0] > 300 + KEPT + 5], 2) > 0.85


def test_the_first_step_with_another_number_does_not_count():
    seen = []

    def seconds(time, n):
        new = not seen or seen[-1] != n
        seen.append(n)
        return 5.0 if new and n == 2 else 0.1 if n == 2 else 0.2

    assert share(run(2, seconds, 4 * KEPT)[2 * TRIAL_STEPS + 2 :], 2) > 0.5


def test_one_thread_stays_one_thread():
    assert {n for _, n in run(1, lambda time, n: 0.1, 3 * KEPT)} == {1}


def test_never_more_threads_than_were_given():
    told = run(3, lambda time, n: 1 / n, 10 * KEPT)
    assert {n for _, n in told} <= {2, 3}
