"""Rank the families by the lecture's four criteria and test its claims, from a table of runs.

The lecture names its criteria in words. A reading makes a word measurable: it is a column of the
study's table (``studies/comparison.csv``, one row per run) and a way to summarise the runs of a
family, by their mean or by their spread over the seeds, (largest - smallest) / mean. Each criterion
has several readings, because its word can be understood in several ways.

The score of a reading is 0 for the worst family of the table and 1 for the best. The others lie
between them on a linear scale if more is better, else on a logarithmic scale, since factors count
for distances, seconds and spreads. A ranking sorts the families by the weighted mean of their
scores; the reader chooses the weights.

The table holds runs of several training times (its column ``budget``). Comparisons take the runs of
one of them: ``at(rows, budget)``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Row = Mapping[str, str]
"""A run, as csv.DictReader gives it: ``family``, ``seed``, ``budget`` and what was measured."""


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
TOLD_APART = 2.0  # a spread of few seeds is uncertain: only such a factor tells two of them apart
HOLDS, AGAINST, OPEN, UNKNOWN = "holds", "contradicted", "undecided", "–"
"""What the runs of one training time say about a claim."""


class Place(NamedTuple):
    """A family's place in a ranking."""

    family: str
    total: float
    """The weighted mean of its scores, in [0, 1]."""
    parts: dict[str, float]
    """What each criterion adds to the total."""
    span: tuple[float, float]
    """The totals if only its worst or only its best seed counted."""


def budgets(rows: Iterable[Row]) -> list[float]:
    """The training times of the runs in CPU seconds, rising."""
    return sorted({float(row["budget"]) for row in rows if row["seed"]})


def at(rows: Iterable[Row], budget: float) -> list[Row]:
    """The runs of one training time; rows of real images have no seed and are left out."""
    return [row for row in rows if row["seed"] and float(row["budget"]) == budget]


def values(rows: Iterable[Row], column: str) -> dict[str, list[float]]:
    """Each family's figures in a column, one for each run that has it."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["seed"] and row[column] != "":
            found.setdefault(row["family"], []).append(float(row[column]))
    return found


def summary(rows: Iterable[Row], reading: Reading) -> dict[str, float]:
    """Each family's figure by a reading: the mean or the spread of its runs.

    The spread of a single run is unknown, which is nan.
    """
    sum_up = _spread if reading.spread else _mean
    return {family: sum_up(each) for family, each in values(rows, reading.column).items()}


def scores(figures: Mapping[str, float], reading: Reading) -> dict[str, float]:
    """Map the families' figures to scores in [0, 1]: worst 0, best 1; all 1 if all are equal.

    What is unknown (nan) has the score 0.

    >>> scores({"a": 1.0, "b": 10.0, "c": 100.0}, Reading("seconds_1000"))
    {'a': 1.0, 'b': 0.5, 'c': 0.0}
    """
    return {family: _score(value, figures, reading) for family, value in figures.items()}


def ranking(
    rows: Sequence[Row],
    weights: Mapping[str, float],
    readings: Mapping[str, Reading] = USUAL,
) -> list[Place]:
    """Rank the families for weights >= 0 of the criteria, best first; ties keep the table's order.

    If all weights are 0, every total is 0.
    """
    share = {c: weights.get(c, 0.0) / (sum(weights.values()) or 1.0) for c in readings}
    figures = {c: summary(rows, reading) for c, reading in readings.items()}
    places = []
    for family in next(iter(figures.values())):
        parts, low, high = {}, 0.0, 0.0
        for c, reading in readings.items():
            parts[c] = share[c] * _score(figures[c][family], figures[c], reading)
            ends = [_score(end, figures[c], reading) for end in _ends(rows, family, reading)]
            low, high = low + share[c] * min(ends), high + share[c] * max(ends)
        places.append(Place(family, sum(parts.values()), parts, (low, high)))
    return sorted(places, key=lambda place: -place.total)


def beats(rows: Sequence[Row], family: str, other: str, reading: Reading) -> bool:
    """Whether a family is better than another one: every run better than every run.

    Of two spreads the better one is less than half of the other. A family without a run, or without
    a spread, beats none and is beaten by none.
    """
    if reading.spread:
        found = summary(rows, reading)
        return found.get(family, math.nan) < found.get(other, math.nan) / TOLD_APART
    found_values = values(rows, reading.column)
    sign = 1 if reading.more_is_better else -1
    here, there = ([sign * v for v in found_values.get(name, ())] for name in (family, other))
    return bool(here and there) and min(here) > max(there)


def places(rows: Sequence[Row], reading: Reading, families: Sequence[str]) -> dict[str, int]:
    """The place of each family that has runs: one more than the number of those that beat it.

    Families that are equal within their seeds share a place.
    """
    known = [f for f in families if not math.isnan(summary(rows, reading).get(f, math.nan))]
    return {f: 1 + sum(beats(rows, other, f, reading) for other in known) for f in known}


def verdict(
    rows: Sequence[Row], family: str, rivals: Sequence[str], reading: Reading, strength: bool = True
) -> str:
    """What the runs of one training time say about a family's strength (or weakness).

    A strength holds if the family beats a rival and none beats it. It is contradicted if a rival
    beats the family, which beats none. Otherwise it is undecided.
    """
    known = summary(rows, reading)
    if any(math.isnan(known.get(name, math.nan)) for name in (family, *rivals)):
        return UNKNOWN
    won = any(beats(rows, family, rival, reading) for rival in rivals)
    lost = any(beats(rows, rival, family, reading) for rival in rivals)
    won, lost = (won, lost) if strength else (lost, won)
    return HOLDS if won and not lost else AGAINST if lost and not won else OPEN


def advised(
    rows: Sequence[Row], named: Sequence[str], families: Sequence[str], reading: Reading
) -> str:
    """What the runs of one training time say about an advice that names some of the families.

    It holds if those named are the first ones and another is behind, it is undecided if none is
    behind, and contradicted if one that is named is not among the first ``len(named)``.
    """
    found = places(rows, reading, families)
    if len(found) < len(families):
        return UNKNOWN
    first = {family for family, place in found.items() if place <= len(named)}
    if not set(named) <= first:
        return AGAINST
    return OPEN if first == set(families) else HOLDS


def overall(verdicts: Iterable[str]) -> str:
    """One verdict from those of several training times; those that are unknown do not count.

    A claim holds here if it holds every time. It is contradicted if it never holds, and is
    contradicted at least once.
    """
    found = set(verdicts) - {UNKNOWN}
    if found == {HOLDS}:
        return "holds here"
    never = HOLDS not in found and AGAINST in found
    return "contradicted" if never else "holds with a condition"


def spelled(verdicts: Mapping[float, str]) -> str:
    """The verdicts of several training times as words.

    >>> spelled({20.0: "holds", 60.0: "holds", 180.0: "undecided"})
    'holds at 20 and 60 s, undecided at 180 s'
    """
    said = []
    for word in (HOLDS, AGAINST, OPEN):
        times = [f"{budget:g}" for budget, found in verdicts.items() if found == word]
        if times:
            listed = " and ".join([", ".join(times[:-1])] * (len(times) > 1) + times[-1:])
            said.append(f"{word} at {listed} s")
    return ", ".join(said) or "unknown at every time"


def fullest(rows: Sequence[Row]) -> float:
    """The training time of which the most families have several seeds; the longest of these."""

    def repeated(budget: float) -> int:
        return sum(len(each) > 1 for each in values(at(rows, budget), "seed").values())

    return max(budgets(rows), key=lambda budget: (repeated(budget), budget))


def _score(value: float, figures: Mapping[str, float], reading: Reading) -> float:
    """The score of a value on the scale of the families' figures."""
    known = [_scale(figure, reading) for figure in figures.values() if not math.isnan(figure)]
    if math.isnan(value):
        return 0.0
    low, high = min(known), max(known)
    if low == high:
        return 1.0
    return min(max((_scale(value, reading) - low) / (high - low), 0.0), 1.0)


def _scale(value: float, reading: Reading) -> float:
    return value if reading.more_is_better else -math.log(max(value, LEAST))


def _ends(rows: Sequence[Row], family: str, reading: Reading) -> tuple[float, float]:
    """The smallest and the largest figure that the runs of a family allow."""
    if reading.spread:
        spread = summary(rows, reading)[family]
        return spread / TOLD_APART**0.5, spread * TOLD_APART**0.5
    found = values(rows, reading.column)[family]
    return min(found), max(found)


def _mean(each: Sequence[float]) -> float:
    return sum(each) / len(each)


def _spread(each: Sequence[float]) -> float:
    if len(each) < 2:
        return math.nan
    return (max(each) - min(each)) / _mean(each) if _mean(each) else 0.0
