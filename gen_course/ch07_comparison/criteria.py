"""Which family for which purpose? Four criteria, read from a table of runs.

The lecture's criteria are words. Here each is a column of the study's table (``studies/
comparison.csv``, one row a run) and a way to sum up the runs of a family: their mean, or their
spread over the seeds, (largest - smallest) / mean. Other readings of the same word stand beside
the first.

A score is 0 for the worst family of the table and 1 for the best, with the others between them; on
a logarithmic scale where it is factors that count (distances, seconds, spreads). A ranking sums the
scores, weighted by what matters to the reader.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Row = Mapping[str, str]
"""A run, as csv.DictReader gives it: ``family``, ``seed`` and the columns that are read."""


class Reading(NamedTuple):
    """What a criterion is taken to mean."""

    column: str
    more_is_better: bool = False
    spread: bool = False
    """Whether the spread over the seeds counts, instead of the mean."""


CRITERIA = {
    "quality": {
        "precision": Reading("precision", more_is_better=True),
        "density": Reading("density", more_is_better=True),
        "Fréchet distance": Reading("frechet"),
        "kernel distance": Reading("kernel"),
    },
    "stability": {
        "spread of Fréchet": Reading("frechet", spread=True),
        "spread of precision": Reading("precision", spread=True),
        "spread of recall": Reading("recall", spread=True),
    },
    "speed": {"seconds for 1,000": Reading("seconds_1000"), "network calls": Reading("calls")},
    "diversity": {
        "recall": Reading("recall", more_is_better=True),
        "coverage": Reading("coverage", more_is_better=True),
        "rarest class": Reading("rarest", more_is_better=True),
    },
}
"""The lecture's four criteria, each with the names of its readings; the first one is the usual."""
USUAL = {criterion: next(iter(readings.values())) for criterion, readings in CRITERIA.items()}
LEAST = 1e-4  # what counts as 0 on a logarithmic scale


class Place(NamedTuple):
    """A family's place in a ranking."""

    family: str
    total: float
    """The weighted mean of its scores, in [0, 1]."""
    parts: dict[str, float]
    """What each criterion adds to it."""


def summary(rows: Sequence[Row], reading: Reading) -> dict[str, float]:
    """Each family's figure by a reading, from the runs that have one."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["seed"]:  # real images are no run
            found.setdefault(row["family"], []).append(float(row[reading.column]))
    sum_up = _spread if reading.spread else _mean
    return {family: sum_up(values) for family, values in found.items()}


def scores(figures: Mapping[str, float], reading: Reading) -> dict[str, float]:
    """Figures of families to scores in [0, 1]: the worst gets 0, the best 1, all 1 if all agree.

    >>> scores({"a": 1.0, "b": 10.0, "c": 100.0}, Reading("seconds_1000"))
    {'a': 1.0, 'b': 0.5, 'c': 0.0}
    """
    if reading.more_is_better:  # a share
        scale = dict(figures)
    else:
        scale = {family: -math.log(max(value, LEAST)) for family, value in figures.items()}
    low, high = min(scale.values()), max(scale.values())
    if low == high:
        return dict.fromkeys(figures, 1.0)
    return {family: (value - low) / (high - low) for family, value in scale.items()}


def ranking(
    rows: Sequence[Row],
    weights: Mapping[str, float],
    readings: Mapping[str, Reading] = USUAL,
) -> list[Place]:
    """The families, best first, for weights >= 0 of the criteria; equal ones in the table's order.

    Without any weight all are equal: every total is 0.
    """
    total = sum(weights.values()) or 1.0
    by = {c: scores(summary(rows, reading), reading) for c, reading in readings.items()}
    families = next(iter(by.values()))
    places = []
    for family in families:
        parts = {c: weights.get(c, 0.0) / total * by[c][family] for c in by}
        places.append(Place(family, sum(parts.values()), parts))
    return sorted(places, key=lambda place: -place.total)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / _mean(values) if _mean(values) else 0.0
