"""Rank the model families by the lecture's four criteria, from a table of runs.

The lecture names its criteria in words. A reading makes a word measurable: it is a column of the
study's table (``studies/comparison.csv``, one row per run) and a way to summarise the runs of a
family, by their mean or by their spread over the seeds, (largest - smallest) / mean. Each criterion
has several readings, because its word can be understood in several ways.

The score of a reading is 0 for the worst family of the table and 1 for the best. The others lie
between them on a linear scale if more is better, else on a logarithmic scale, since factors count
for distances, seconds and spreads. A ranking sorts the families by the weighted mean of their
scores; the reader chooses the weights.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Row = Mapping[str, str]
"""A run, as csv.DictReader gives it: ``family``, ``seed`` and the columns that are read."""


class Reading(NamedTuple):
    """One way to measure a criterion."""

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
"""The lecture's four criteria, each with its readings by name; the first is the usual one."""
USUAL = {criterion: next(iter(readings.values())) for criterion, readings in CRITERIA.items()}
LEAST = 1e-4  # smaller values count as this one on the logarithmic scale


class Place(NamedTuple):
    """A family's place in a ranking."""

    family: str
    total: float
    """The weighted mean of its scores, in [0, 1]."""
    parts: dict[str, float]
    """What each criterion adds to the total."""


def summary(rows: Sequence[Row], reading: Reading) -> dict[str, float]:
    """Each family's figure by a reading: the mean or the spread of its runs."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["seed"]:  # rows of real images have no seed
            found.setdefault(row["family"], []).append(float(row[reading.column]))
    sum_up = _spread if reading.spread else _mean
    return {family: sum_up(values) for family, values in found.items()}


def scores(figures: Mapping[str, float], reading: Reading) -> dict[str, float]:
    """Map the families' figures to scores in [0, 1]: worst 0, best 1; all 1 if all are equal.

    >>> scores({"a": 1.0, "b": 10.0, "c": 100.0}, Reading("seconds_1000"))
    {'a': 1.0, 'b': 0.5, 'c': 0.0}
    """
    if reading.more_is_better:  # linear scale
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
    """Rank the families for weights >= 0 of the criteria, best first; ties keep the table's order.

    If all weights are 0, every total is 0.
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
