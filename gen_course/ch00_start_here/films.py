"""The films of chapter 00: EM, sampling one coordinate at a time, kernels of many widths."""

import math
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import cast

import matplotlib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.distributions import MultivariateNormal

from gen_course.ch00_start_here.explorers import BRIGHTEST, FAINTEST, KernelState, fit, log_density
from gen_course.ch00_start_here.figures import Components
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.film import Film
from gen_lib.data import DensityToy, load_toy
from gen_lib.data.toys import Mixture

Points = Float[Tensor, "n 2"]
LARGE = 14  # size of letters in pixels of the page; the picture has twice as many
SIDE = 200  # side of a map of the square [-3, 3]^2
BINS = 24  # of the histogram, per side, as in the chapter's figure
GROUND = "#f4f4f4"


def em() -> Film:
    """Eight components on their way to the clusters, from a good and from a bad start."""
    x = _toy().sample(400, torch.Generator().manual_seed(1))
    at_random = x[torch.randperm(400, generator=torch.Generator().manual_seed(3))[:8]]
    runs = [list(islice(_em(x, start), 101)) for start in (_spread_out(x), at_random)]
    frames = []
    for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50, 100):
        canvas = Canvas(450, 260)
        canvas.text(f"iteration {number}", 225, 2, anchor="ma", size=LARGE)
        for left, name, run in zip((15, 235), ("spread out", "random"), runs, strict=True):
            components, score = run[number]
            canvas.text(f"{name}: {_nats(score)} nats", left, 26, size=LARGE)
            _map(canvas, left, 50, x, plots.DATA)
            for ellipse in _ellipses(components):
                _inside(canvas, ellipse, left, 50)
        frames.append(canvas.pixels())
    good, stuck = (_nats(run[100][1]) for run in runs)
    return Film(
        frames,
        0.6,
        "Two maps of 400 points in eight clusters, with eight ellipses that move from iteration to "
        f"iteration. From the spread-out start each ends on one cluster, with {good} nats per "
        f"training point. From the random start one still covers two clusters: {stuck} nats.",
    )


def in_turn() -> Film:
    """Sampling from the autoregressive histogram: first x_1, then x_2 given x_1, then a point."""
    x = _toy().sample(400, torch.Generator().manual_seed(1))
    edges = torch.linspace(-3, 3, BINS + 1)
    bins = (torch.bucketize(x, edges) - 1).clamp(0, BINS - 1)
    counts = torch.zeros(BINS, BINS).index_put_(tuple(bins.T), torch.ones(400), accumulate=True)
    rng = torch.Generator().manual_seed(5)
    cells = counts.flatten().multinomial(300, replacement=True, generator=rng)
    cells = torch.stack([cells // BINS, cells % BINS], dim=1)
    samples = (cells + torch.rand(300, 2, generator=rng)) * 6 / BINS - 3
    frames = []
    for number, (row, column) in enumerate(cells[:4].tolist()):
        before, after = samples[:number], samples[: number + 1]
        frames += [
            _turn("1. draw a bin of x₁", before, counts.sum(dim=1), row, (row, None)),
            _turn("2. draw a bin of x₂, given x₁", before, counts[row], column, (row, column)),
            _turn("3. draw a point in the square", after, counts[row], column, (row, column)),
        ]
    for n in (10, 30, 100, 300):
        canvas = Canvas(450, 260)
        canvas.text(f"{n} samples", 24, 4, size=LARGE)
        canvas.text("400 training points", 242, 4, size=LARGE)
        _map(canvas, 24, 36, samples[:n], plots.MODEL, 2.2)
        _map(canvas, 242, 36, x, plots.DATA)
        frames.append(canvas.pixels())
    return Film(
        frames,
        0.9,
        "A map, and bars beside it. A bin of x1 is drawn from its histogram and marked as a strip; "
        "a bin of x2 from the histogram within the strip, marked as a square; then a point of the "
        "square. After four such points many follow: 300 samples lie in the same eight clusters as "
        "the 400 training points beside them.",
    )


def narrower() -> Film:
    """The kernels of a kernel density become narrower; both scores on the way."""
    toy = _toy()
    train = toy.sample(400, torch.Generator().manual_seed(1))
    test = toy.sample(4_000, torch.Generator().manual_seed(2))
    widths = [0.001 * 2 ** (k / 2) for k in range(16, -1, -1)]
    models = [Mixture("kernel density", train, width) for width in widths]
    scores = [(m.log_prob(train).mean().item(), m.log_prob(test).mean().item()) for m in models]
    frames = []
    for number, (width, model) in enumerate(zip(widths, models, strict=True)):
        canvas = Canvas(450, 260)
        canvas.text(f"width {width:.3f}", 10, 2, size=LARGE)
        _cluster(canvas, model, train, test[:1_000])
        _scores(canvas, widths, scores[: number + 1], toy.log_prob(test).mean().item())
        frames.append(canvas.pixels())
    return Film(
        frames,
        0.7,
        "Left: one cluster with its training points in black and held-out points in orange, over "
        "the density of a kernel density whose kernels become narrower, until each training point "
        "has a tiny bright disc of its own. Right: both scores against the width. The score of the "
        f"training points rises to {scores[-1][0]:.1f} nats; that of the held-out points rises, is "
        "highest at a middle width, and falls far below −8 nats.",
    )


def missing_cluster() -> Film:
    """The explorer's kernel density, for a draw of the points that leaves a cluster out."""
    clusters = load_toy("eight_gaussians").means  # type: ignore[attr-defined]
    frames, told = [], []
    for width, draw in ((0.05, 1), (0.05, 2), (0.1, 2), (0.2, 2), (0.5, 2)):
        model, seen, unseen, _ = fit(KernelState(width, 25, draw=draw))
        canvas = Canvas(450, 260)
        canvas.text(f"width {width:g}, draw {draw} of 25 points", 10, 6, size=LARGE)
        _density(canvas, log_density(model, 100), 10, 40)
        for place in _on_map(model.means, 10, 40):
            canvas.disc(place, 2, "black")
        missing = torch.cdist(clusters, model.means).amin(dim=1) > 0.5
        for x, y in _on_map(clusters[missing], 10, 40):
            canvas.disc((x, y), 18, outline="white", width=4)
        words = f"training: {_nats(seen.mean().item())} nats"
        canvas.text(words, 226, 40, plots.DATA, size=LARGE)
        words = f"held out: {_nats(unseen.mean().item())} nats"
        canvas.text(words, 226, 64, plots.MODEL, size=LARGE)
        _held_out(canvas, unseen)
        frames.append(canvas.pixels())
        told.append(f"width {width:g}, draw {draw}: {_nats(unseen.mean().item())}")
    return Film(
        frames,
        2.0,
        "A map of log density with 25 training points in black; in draw 2 the cluster at the top "
        "has none, and a white ring marks it. Beside it a histogram of log p_model of the held-out "
        f"points. Their mean in nats: {'; '.join(told)}.",
    )


def _toy() -> DensityToy:
    return cast(DensityToy, load_toy("eight_gaussians"))


def _nats(score: float) -> str:
    return (f"{score:.2f}" if abs(score) < 100 else f"{score:.0f}").replace("-", "−")


def _spread_out(x: Points) -> Points:
    """Eight points of x, each one the farthest from those chosen before."""
    chosen = x[:1]
    while len(chosen) < 8:
        chosen = torch.cat([chosen, x[torch.cdist(x, chosen).amin(dim=1).argmax()][None]])
    return chosen


def _em(x: Points, start: Points) -> Iterator[tuple[Components, float]]:
    """The components before each iteration of EM, and the score of the points x."""
    share, mean, cov = torch.full((8,), 1 / 8), start, torch.eye(2).repeat(8, 1, 1)
    while True:
        log_joint = share.log() + MultivariateNormal(mean, cov).log_prob(x[:, None])
        yield (share, mean, cov), log_joint.logsumexp(dim=1).mean().item()
        r = log_joint.softmax(dim=1)
        count = r.sum(dim=0)
        mean = r.T @ x / count[:, None]
        off = x[:, None] - mean
        cov = torch.einsum("nk,nki,nkj->kij", r, off, off) / count[:, None, None]
        share, cov = count / len(x), cov + 1e-6 * torch.eye(2)


def _ellipses(components: Components) -> Iterator[Points]:
    """A closed line of two standard deviations around each mean."""
    angle = torch.linspace(0, 2 * math.pi, 200)
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    for mean, cov in zip(*components[1:], strict=True):
        yield mean + 2 * circle @ torch.linalg.cholesky(cov).T


def _on_map(x: Points, left: int, top: int) -> list[tuple[float, float]]:
    """Places on the canvas of points of the plane."""
    scaled = (x * torch.tensor([1.0, -1.0]) + 3) * SIDE / 6
    return [(left + u, top + v) for u, v in scaled.tolist()]


def _inside(canvas: Canvas, x: Points, left: int, top: int) -> None:
    """The parts inside the map of a line through the points x."""
    shown = (x.abs() < 3).all(dim=1).tolist()
    for both, places in zip(pairwise(shown), pairwise(_on_map(x, left, top)), strict=True):
        if all(both):
            canvas.line(places, plots.MODEL, 2)


def _map(canvas: Canvas, left: int, top: int, x: Points, color: str, radius: float = 1.3) -> None:
    canvas.box(left, top, left + SIDE, top + SIDE, GROUND)
    for place in _on_map(x[(x.abs() < 3).all(dim=1)], left, top):
        canvas.disc(place, radius, color)


def _turn(
    words: str,
    samples: Points,
    weights: Float[Tensor, "bins"],
    drawn: int,
    at: tuple[int, int | None],
) -> UInt8[np.ndarray, "height width 3"]:
    """A frame of ``in_turn``: the samples so far, and the histogram that is drawn from.

    Args:
        words: what happens in the frame.
        samples: the points drawn so far.
        weights: the counts of the histogram.
        drawn: the bin that was drawn from it.
        at: the bins of x_1 and x_2 to mark on the map; the second is not known in the first step.
    """
    canvas, left, top, cell = Canvas(450, 260), 24, 36, SIDE / BINS
    canvas.text(words, left, 4, size=LARGE)
    canvas.box(left, top, left + SIDE, top + SIDE, GROUND)
    row, column = at
    low, high = (0, BINS) if column is None else (BINS - 1 - column, BINS - column)
    near, far = round(left + row * cell), round(left + (row + 1) * cell)
    canvas.box(near, top, far, top + SIDE, "#f6d9c6")
    canvas.box(near, top + round(low * cell), far, top + round(high * cell), "#eb9a66")
    for place in _on_map(samples, left, top):
        canvas.disc(place, 3, plots.MODEL)
    canvas.text("x₁", left + SIDE // 2, top + SIDE + 4, anchor="ma", size=LARGE)
    canvas.text("x₂", left - 20, top + SIDE // 2 - 10, size=LARGE)
    _bars(canvas, weights / weights.sum(), drawn, across=column is None)
    return canvas.pixels()


def _bars(canvas: Canvas, shares: Float[Tensor, "bins"], drawn: int, across: bool) -> None:
    """The histogram of x_1 with upright bars, or that of x_2 given x_1 with bars to the right."""
    left, top, cell = 242, 36, SIDE / BINS
    for number, share in enumerate((190 * shares / shares.max()).round().int().tolist()):
        if share == 0:
            continue
        color = plots.MODEL if number == drawn else plots.DATA
        near, far = round(number * cell), round((number + 1) * cell) - 1
        if across:
            canvas.box(left + near, top + SIDE - share, left + far, top + SIDE, color)
        else:
            canvas.box(left, top + SIDE - far, left + share, top + SIDE - near, color)
    name = "p(x₁)" if across else "p(x₂ | x₁)"
    canvas.text(name, left + SIDE // 2, top + SIDE + 4, anchor="ma", size=LARGE)


def _cluster(canvas: Canvas, model: Mixture, train: Points, test: Points) -> None:
    """The density around one cluster, with the points there."""
    corner, size = torch.tensor([1.8, 0.2]), 0.4  # upper left corner and side of the square
    middle = (torch.arange(100) + 0.5) * size / 100
    x = torch.stack(torch.meshgrid(middle, -middle, indexing="xy"), dim=-1).reshape(-1, 2) + corner
    _density(canvas, model.log_prob(x).reshape(100, 100), 10, 26)
    for points, color, radius in ((test, plots.GENERATOR, 1.4), (train, "black", 2.0)):
        places = (points - corner) * torch.tensor([1.0, -1.0]) / size
        inside = places[((places > 0.01) & (places < 0.99)).all(dim=1)]
        canvas.dots(inside * SIDE, 10, 26, color, radius)
    canvas.text("training", 10, 232, "black", size=LARGE)
    canvas.text("held-out points", 210, 232, "#a06a00", "ra", LARGE)


def _density(canvas: Canvas, log_p: Float[Tensor, "100 100"], left: int, top: int) -> None:
    """A map of log p in the chapter's colours, rounded to few of them: a small file."""
    share = (log_p - FAINTEST) / (BRIGHTEST - FAINTEST)
    levels = (share.clamp(0, 1) * 26).round() / 26
    rgb = matplotlib.colormaps["cividis"](levels.numpy())[..., :3]
    canvas.image(2 * torch.from_numpy(rgb).permute(2, 0, 1) - 1, left, top, SIDE)


def _held_out(canvas: Canvas, log_p: Float[Tensor, "n"]) -> None:
    """A histogram of log p; its first bar holds all values below −10 nats, too."""
    left, floor = 226, 216
    counts = log_p.clamp(-10, 2.999).histc(26, -10, 3)
    for number, height in enumerate((120 * counts / counts.max()).round().int().tolist()):
        if height:
            at = left + 8 * number
            canvas.box(at, floor - height, at + 7, floor, plots.MODEL)
    canvas.box(left, floor, left + 8 * 26, floor + 1, FAINT)
    for nats, words, anchor in ((-10, "≤ −10", "la"), (-5, "−5", "ma"), (0, "0", "ma")):
        canvas.text(words, left + 16 * (nats + 10), floor + 2, FAINT, anchor, LARGE)
    canvas.text("log p, held-out points", left, floor + 22, FAINT, size=LARGE)


def _scores(
    canvas: Canvas, widths: list[float], scores: list[tuple[float, float]], ceiling: float
) -> None:
    """Both scores against the width, from wide on the right to narrow on the left."""
    left, right, top, low, high = 240, 440, 66, -8.0, 7.0

    def place(number: int, score: float) -> tuple[float, float]:
        across = right - (right - left) * number / (len(widths) - 1)
        return across, top + 150 * (high - max(score, low)) / (high - low)

    canvas.box(left - 2, top, right + 2, top + 150, GROUND)
    ends = [place(number, ceiling) for number in (0, len(widths) - 1)]
    canvas.line(ends, plots.BASELINE)
    for name, color, at, values in (
        ("training", plots.DATA, 2, [seen for seen, _ in scores]),
        ("held out", plots.MODEL, 24, [unseen for _, unseen in scores]),
    ):
        score = "below −8" if values[-1] < -8 else f"{values[-1]:.1f}".replace("-", "−")
        canvas.text(f"{name}: {score} nats", left, at, color, size=LARGE)
        inside = [place(k, v) for k, v in enumerate(values) if k == 0 or values[k - 1] > low]
        if len(inside) > 1:
            canvas.line(inside, color, 2)
        canvas.disc(inside[-1], 4, color)
    canvas.text("p_data", right, round(place(0, ceiling)[1]) - 20, FAINT, "ra", LARGE)
    canvas.text("← narrower kernels", (left + right) // 2, 222, INK, "ma", LARGE)
