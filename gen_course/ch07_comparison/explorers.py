"""Explorer of chapter 07: a ranking of the model families for weights that the reader sets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from typing_extensions import override

from gen_course.ch07_comparison.criteria import CRITERIA, USUAL, Place, Row, ranking, summary
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import Explorer, Size, slider

COLORS = dict(zip(CRITERIA, (plots.CLASSES[k] for k in (5, 7, 8, 6)), strict=True))
"""The colours of the criteria, which mean nothing else in the course."""
SHOWN_AS = {"quality": "{:.2f}", "stability": "{:.0%}", "speed": "{:.3g} s", "diversity": "{:.2f}"}
BAR, LENGTH, ROW = 128, 240, 46  # left end of the bars, length of the longest, height of a row
COLUMNS = {criterion: 470 + 117 * k for k, criterion in enumerate(CRITERIA)}


class ChoiceState(NamedTuple):
    """How much each criterion matters, from 0 to 10."""

    quality: float = 5.0
    stability: float = 5.0
    speed: float = 5.0
    diversity: float = 5.0


class ChoiceExplorer(Explorer[ChoiceState]):
    """Which model family comes first if the reader weights the criteria?

    Args:
        rows: runs of the families, as ``csv.DictReader`` reads them.
    """

    def __init__(self, rows: Sequence[Row]):
        self.rows = rows
        self.figures = {c: summary(rows, reading) for c, reading in USUAL.items()}
        controls = {criterion: slider(criterion, 0.0, 10.0, 1.0) for criterion in CRITERIA}
        height = 48 + ROW * len(self.figures["quality"])
        super().__init__(ChoiceState(), controls, Size(880, height))

    @override
    def picture(self, state: ChoiceState) -> UInt8[np.ndarray, "height width 3"]:
        canvas = self.canvas()
        canvas.text("what its scores add up to", BAR, 0, FAINT)
        for criterion, middle in COLUMNS.items():
            canvas.box(middle - 40, 3, middle - 30, 13, COLORS[criterion])
            canvas.text(criterion, middle - 24, 0)
            canvas.text(next(iter(CRITERIA[criterion])), middle, 18, FAINT, "ma", 12)
        for number, place in enumerate(self.places(state)):
            self._row(canvas, place, 48 + ROW * number)
        return canvas.pixels()

    @override
    def describe(self, state: ChoiceState) -> str:
        first, second, *_ = self.places(state)
        if not any(state):
            return "Nothing matters yet: every family has 0 of 1. Move a slider."
        if first.total - second.total < 0.005:
            return f"{_named(first)} and {_named(second)} are level, with {first.total:.2f} of 1."
        ahead = {c: first.parts[c] - second.parts[c] for c in CRITERIA}
        most, least = max(ahead, key=ahead.__getitem__), min(ahead, key=ahead.__getitem__)
        but = f", in spite of its {least}" if ahead[least] < -0.005 else ""
        return (
            f"{_named(first)} comes first with {first.total:.2f} of 1, for its {most} above all"
            f"{but}; next comes {second.family} with {second.total:.2f}."
        )

    def places(self, state: ChoiceState) -> list[Place]:
        """The families, best first."""
        return ranking(self.rows, state._asdict())

    def _row(self, canvas: Canvas, place: Place, top: int) -> None:
        canvas.text(place.family, BAR - 10, top + 8, anchor="ra")
        left = float(BAR)
        for criterion, part in place.parts.items():
            right = left + LENGTH * part
            if round(right) > round(left):
                canvas.box(round(left), top, round(right), top + 30, COLORS[criterion])
            left = right
        canvas.text(f"{place.total:.2f}", round(left) + 6, top + 8)
        for criterion, middle in COLUMNS.items():
            figures = self.figures[criterion]
            better = max if USUAL[criterion].more_is_better else min
            best = figures[place.family] == better(figures.values())
            words = SHOWN_AS[criterion].format(figures[place.family])
            canvas.text(words, middle, top + 8, INK if best else FAINT, "ma")
            if best:
                canvas.box(middle - 20, top + 26, middle + 20, top + 28, COLORS[criterion])


def _named(place: Place) -> str:
    """The family's name with a capital letter, for the beginning of a sentence."""
    return place.family[0].upper() + place.family[1:]
