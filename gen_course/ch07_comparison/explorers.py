"""Explorer of chapter 07: a ranking of the model families for weights that the reader sets."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from typing_extensions import override

from gen_course.ch07_comparison.criteria import (
    CRITERIA,
    UNKNOWN,
    USUAL,
    Place,
    Row,
    at,
    budgets,
    fullest,
    ranking,
    summary,
)
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import Explorer, Size, slider, steps

COLORS = dict(zip(CRITERIA, (plots.CLASSES[k] for k in (5, 7, 8, 6)), strict=True))
"""The colours of the criteria, which mean nothing else in the course."""
SHOWN_AS = {"quality": "{:.2f}", "stability": "{:.0%}", "speed": "{:.3g} s", "diversity": "{:.2f}"}
BAR, LENGTH, ROW = 128, 240, 46  # left end of the bars, length of the longest, height of a row
COLUMNS = {criterion: 470 + 117 * k for k, criterion in enumerate(CRITERIA)}


class ChoiceState(NamedTuple):
    """How much each criterion matters, from 0 to 10, and the training time."""

    quality: float = 5.0
    stability: float = 5.0
    speed: float = 5.0
    diversity: float = 5.0
    budget: float = 0.0
    """CPU seconds of training, one of those in the table."""


class ChoiceExplorer(Explorer[ChoiceState]):
    """Which model family comes first if the reader weights the criteria?

    Args:
        rows: runs of the families, as ``csv.DictReader`` reads them. The picture begins with the
            longest training time of which the most families have several seeds.
    """

    def __init__(self, rows: Sequence[Row]):
        self.runs = {budget: at(rows, budget) for budget in budgets(rows)}
        self.figures = {
            budget: {c: summary(some, reading) for c, reading in USUAL.items()}
            for budget, some in self.runs.items()
        }
        options = [(f"{budget:g} s", budget) for budget in self.runs]
        controls = {criterion: slider(criterion, 0.0, 10.0, 1.0) for criterion in CRITERIA}
        controls["budget"] = steps("training time", options)
        most = max(len(found["quality"]) for found in self.figures.values())
        start = ChoiceState(budget=fullest(rows))
        super().__init__(start, controls, Size(880, 48 + ROW * most))

    @override
    def picture(self, state: ChoiceState) -> UInt8[np.ndarray, "height width 3"]:
        canvas = self.canvas()
        canvas.text("what its scores add up to", BAR, 0, FAINT)
        canvas.text("line: from its worst to its best seed", BAR, 18, FAINT, size=12)
        for criterion, middle in COLUMNS.items():
            canvas.box(middle - 40, 3, middle - 30, 13, COLORS[criterion])
            canvas.text(criterion, middle - 24, 0)
            canvas.text(next(iter(CRITERIA[criterion])), middle, 18, FAINT, "ma", 12)
        for number, place in enumerate(self.places(state)):
            self._row(canvas, place, self.figures[state.budget], 48 + ROW * number)
        return canvas.pixels()

    @override
    def describe(self, state: ChoiceState) -> str:
        first, *others = self.places(state)
        after = f"After {state.budget:g} s"
        if not any(state[:-1]):
            return f"{after} nothing matters yet: every family has 0 of 1. Move a slider."
        level = [place for place in others if place.span[1] >= first.span[0]]
        if level:
            names = _listed([first.family, *(place.family for place in level)])
            return (
                f"{after} {names} are level: their lines overlap. The first has {first.total:.2f}."
            )
        if not others:
            return f"{after} {first.family} is alone in the table."
        ahead = {c: first.parts[c] - others[0].parts[c] for c in CRITERIA}
        most, least = max(ahead, key=ahead.__getitem__), min(ahead, key=ahead.__getitem__)
        but = f", in spite of its {least}" if ahead[least] < -0.005 else ""
        return (
            f"{after} {first.family} comes first with {first.total:.2f} of 1, for its {most} above "
            f"all{but}; next comes {others[0].family} with {others[0].total:.2f}."
        )

    def places(self, state: ChoiceState) -> list[Place]:
        """The families that have runs of this training time, best first."""
        weights = {criterion: getattr(state, criterion) for criterion in CRITERIA}
        return ranking(self.runs[state.budget], weights)

    def _row(
        self, canvas: Canvas, place: Place, found: dict[str, dict[str, float]], top: int
    ) -> None:
        canvas.text(place.family, BAR - 10, top + 8, anchor="ra")
        left = float(BAR)
        for criterion, part in place.parts.items():
            right = left + LENGTH * part
            if round(right) > round(left):
                canvas.box(round(left), top, round(right), top + 30, COLORS[criterion])
            left = right
        low, high = (BAR + LENGTH * end for end in place.span)
        canvas.line([(low, top + 34), (high, top + 34)], INK, 2)
        canvas.text(f"{place.total:.2f}", round(left) + 6, top + 8)
        for criterion, middle in COLUMNS.items():
            figures = found[criterion]
            better = max if USUAL[criterion].more_is_better else min
            known = [value for value in figures.values() if not math.isnan(value)]
            best = bool(known) and figures[place.family] == better(known)
            words = SHOWN_AS[criterion].format(figures[place.family]).replace("nan%", UNKNOWN)
            canvas.text(words, middle, top + 8, INK if best else FAINT, "ma")
            if best:
                canvas.box(middle - 20, top + 26, middle + 20, top + 28, COLORS[criterion])


def _listed(names: Sequence[str]) -> str:
    """Names as in a sentence: a, b and c."""
    return f"{', '.join(names[:-1])} and {names[-1]}"
