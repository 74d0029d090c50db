"""Films of chapter 07: too narrow and too wide samples, the families over time, and weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen_course.ch07_comparison.criteria import CRITERIA, Row, at, budgets, summary, values
from gen_course.ch07_comparison.explorers import ChoiceExplorer
from gen_course.ch07_comparison.figures import COLORS
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.film import Film, walk
from gen_course.common.studies import read_study
from gen_lib.metrics import precision_recall

LETTERS = 26  # size of all words, in pixels of the film
PLANE, LIMIT = 460, 6.0  # side of a picture of [-LIMIT, LIMIT]^2
POINTS = 400
WIDTHS = (0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.0, 2.0, 1.4, 1.0)  # 1: that of the data
WIDE, LEFT, RIGHT, ROW = 880, 230, 780, 62  # of the picture of the families; bars; their distance
DISTANCE = CRITERIA["quality"]["Fréchet distance"]


def widths() -> Film:
    """A cloud of samples over the data grows and shrinks; precision and recall beside it."""
    rng = torch.Generator().manual_seed(0)
    cloud, eps = torch.randn(2, POINTS, 2, generator=rng)
    frames = [_clouds(cloud, width * eps, width) for width in WIDTHS]
    alt = (
        "Orange samples over a blue cloud of data. Narrow samples have a high precision and a low "
        "recall, wide ones the reverse; of the same width as the data both are high."
    )
    return Film(frames, 0.9, alt)


def race() -> Film:
    """The Fréchet distance of every family after each training time of the stored study."""
    rows = read_study("comparison")
    real = next(float(row["frechet"]) for row in rows if not row["seed"])
    times = budgets(rows)
    largest = max(max(each) for each in values(at(rows, times[0]), "frechet").values())
    frames = [_race(at(rows, time), time, real, largest) for time in times]
    told = []
    for time in times:
        found = summary(at(rows, time), DISTANCE)
        told += [f"after {time:g} s " + ", ".join(f"{f} {v:.1f}" for f, v in _sorted(found))]
    alt = "Bars of the mean Fréchet distance, smallest first: " + "; ".join(told) + "."
    return Film(frames, 3.0, alt)


def rulers() -> Film:
    """Every family after the shortest time, by the Fréchet distance and by precision."""
    rows = read_study("comparison")
    time = budgets(rows)[0]
    soon = at(rows, time)
    charts = {  # the words above the bars, the reading, their left edge
        ("Fréchet distance", "smaller is better"): (DISTANCE, LEFT),
        ("precision", "larger is better"): (CRITERIA["quality"]["precision"], LEFT + 340),
    }
    canvas, told = Canvas(WIDE, 92 + ROW * len(COLORS), scale=1), []
    canvas.text(f"after {time:g} s", 10, 4, plots.MODEL, size=LETTERS)
    for number, family in enumerate(COLORS):
        canvas.text(family, LEFT - 14, 90 + ROW * number, anchor="ra", size=LETTERS)
    for (name, good), (reading, left) in charts.items():
        found = summary(soon, reading)
        best = (max if reading.more_is_better else min)(found, key=lambda f: found[f])
        canvas.text(name, left, 4, size=LETTERS)
        canvas.text(good, left, 38, FAINT, size=LETTERS)
        for number, family in enumerate(COLORS):
            top, value = 84 + ROW * number, found[family]
            right = left + round(160 * value / max(found.values()))
            canvas.box(left, top, right, top + 42, COLORS[family])
            words = f"{value:.2f}" if reading.more_is_better else f"{value:.1f}"
            if family == best:
                words += ", first"
            ink = plots.MODEL if family == best else INK
            canvas.text(words, right + 10, top + 6, ink, size=LETTERS)
        told.append(f"{name}, {good}: " + ", ".join(f"{f} {v:.2f}" for f, v in _sorted(found)))
    return Film([canvas.pixels()], 3.0, f"Two rows of bars after {time:g} s. " + "; ".join(told))


def weights() -> Film:
    """The ranking if only one criterion matters, for each criterion in turn."""
    alone = [{other: 10.0 * (other == one) for other in CRITERIA} for one in CRITERIA]
    return walk(ChoiceExplorer(read_study("comparison")), alone)


def _clouds(
    cloud: Float[Tensor, "n 2"], fake: Float[Tensor, "n 2"], width: float
) -> UInt8[np.ndarray, "height width 3"]:
    canvas, unit = Canvas(PLANE + 300, PLANE, scale=1), PLANE / (2 * LIMIT)
    canvas.box(0, 0, PLANE, PLANE, "#F4F4F4")
    for points, color in ((cloud, plots.DATA), (fake, plots.MODEL)):
        inside = points[points.abs().amax(dim=1) < LIMIT - 0.1]
        places = unit * inside * torch.tensor([1.0, -1.0]) + PLANE / 2
        canvas.dots(places, 0, 0, color, radius=3.0)
    precision, recall = precision_recall(fake, cloud)
    left = PLANE + 30
    canvas.text(f"width {width:g}", left, 20, INK, size=LETTERS)
    canvas.text(f"precision {precision:.2f}", left, 90, plots.MODEL, size=LETTERS)
    canvas.text(f"recall {recall:.2f}", left, 130, plots.DATA, size=LETTERS)
    canvas.text("orange: samples", left, 220, FAINT, size=LETTERS)
    canvas.text("blue: data, width 1", left, 256, FAINT, size=LETTERS)
    return canvas.pixels()


def _sorted(found: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda item: item[1])


def _race(
    runs: Sequence[Row], time: float, real: float, largest: float
) -> UInt8[np.ndarray, "height width 3"]:
    """Bars of the mean distances, smallest first; a blue line for real images."""
    canvas = Canvas(WIDE, 92 + ROW * len(COLORS), scale=1)
    canvas.text(f"after {time:,g} s of training", 10, 4, plots.MODEL, size=LETTERS)
    canvas.text("Fréchet distance, smaller is better", WIDE - 10, 4, FAINT, "ra", LETTERS)

    def place(value: float) -> int:
        return LEFT + round((RIGHT - LEFT) * value / largest)

    each, found = values(runs, "frechet"), summary(runs, DISTANCE)
    for number, (family, mean) in enumerate(_sorted(found)):
        top = 48 + ROW * number
        canvas.text(family, LEFT - 14, top + 8, anchor="ra", size=LETTERS)
        canvas.box(LEFT, top + 4, place(mean), top + 46, COLORS[family])
        for value in each[family]:
            canvas.disc((place(value), top + 25), 6, "white", INK, 2)
        canvas.text(f"{mean:.1f}", max(map(place, each[family])) + 16, top + 8, size=LETTERS)
    foot = 52 + ROW * len(COLORS)
    canvas.box(place(real) - 2, 44, place(real) + 2, foot, plots.DATA)
    canvas.text(f"real images: {real:.2f}", LEFT, foot + 2, plots.DATA, size=LETTERS)
    canvas.text("circles: three seeds", WIDE - 10, foot + 2, FAINT, "ra", LETTERS)
    return canvas.pixels()
