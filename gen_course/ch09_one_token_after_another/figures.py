"""Figures of chapter 09: chain rule, bigrams, attention, the network, temperature, scale, music."""

import math
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter
from torch import Tensor

from gen_course.ch09_one_token_after_another.music import WHOLE, notes_of
from gen_course.common import plots
from gen_lib.data.tunes import VOICES

Law = Callable[[Tensor, Tensor], Tensor]
Weights = Float[Tensor, "places places"]
COLORS = (plots.DATA, plots.MODEL, plots.CODE, plots.DISCRIMINATOR)
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
EIGHTH = WHOLE // 8
BARS = 8  # of a tune that a piano roll shows


def shown(token: str) -> str:
    """A token as a figure shows it: a line end as ¶, a space as ␣."""
    return token.replace("\n", "¶").replace(" ", "␣")


def pitch_name(pitch: int) -> str:
    """The name of a MIDI pitch.

    >>> pitch_name(60), pitch_name(69)
    ('C4', 'A4')
    """
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def chain(name: str = "Emma") -> Figure:
    """The chain rule: each token of a name, and arrows to it from all that stand before it."""
    tokens = ["¶", *name, "¶"]
    figure, ax = _diagram(9, 3.2)
    middles = [9 / len(tokens) * (n + 0.5) for n in range(len(tokens))]
    for n, (x, token) in enumerate(zip(middles, tokens, strict=True)):
        _box(ax, (x - 0.35, 0.95, 0.7, 0.6), token, plots.BASELINE if token == "¶" else plots.DATA)
        for earlier in range(n):
            bend = {"connectionstyle": f"arc3,rad={-0.38 if n - earlier > 1 else -0.5}"}
            start, end = (middles[earlier] + 0.08, 1.6), (x - 0.08 * (n - earlier), 1.6)
            _arrow(ax, start, end, plots.MODEL, **bend)
        given = " ".join(tokens[:n])
        words = f"p({token} | {given})" if n else "always first"
        ax.annotate(words, (x, 0.6), ha="center", va="center", fontsize=9)
    product = "p(text) = the product of these probabilities; each sees all tokens before it"
    ax.annotate(product, (4.5, 0.2), ha="center", va="center", fontsize=10)
    return figure


def bigrams(p: Float[Tensor, "tokens tokens"], tokens: Sequence[str]) -> Figure:
    """How often each letter (column) follows each small letter (row), as a map.

    Args:
        p: probabilities; each row sums to 1.
        tokens: the letters, the line end among them; only it and the small letters are drawn.
    """
    small = [n for n, token in enumerate(tokens) if token.islower()]
    columns = [*small, tokens.index("\n")]
    figure, ax = plt.subplots(figsize=(7, 6))
    picture = ax.imshow(p[small][:, columns].sqrt().numpy(), "Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(columns)), [shown(tokens[n]) for n in columns])
    ax.set_yticks(range(len(small)), [tokens[n] for n in small])
    ax.tick_params(length=0, pad=2)
    ax.set(xlabel="next letter (¶ is the line end)", ylabel="this letter")
    ax.grid(visible=False)
    ticks = (0, 0.05, 0.2, 0.5, 1)
    bar = figure.colorbar(picture, ax=ax, shrink=0.6, pad=0.02, label="p(next | this)")
    bar.set_ticks([math.sqrt(tick) for tick in ticks], labels=[f"{tick:g}" for tick in ticks])
    return figure


def block() -> Figure:
    """The whole GPT on the left, one of its blocks on the right."""
    figure, ax = _diagram(9, 4.6)
    column, width = 0.5, 2.4
    steps = (
        ("tokens", plots.DATA),
        ("vector of token + of place", plots.CODE),
        ("3 blocks", plots.MODEL),
        ("norm, linear layer (head)", plots.CODE),
        ("softmax: p(next token)", plots.DATA),
    )
    for n, (words, color) in enumerate(steps):
        bottom = 0.25 + 0.9 * n
        _box(ax, (column, bottom, width, 0.55), words, color)
        if n:
            _arrow(ax, (column + width / 2, bottom - 0.35), (column + width / 2, bottom))
    for end in (0.15, 4.45):
        ax.plot((column + width, 4.3), (2.05 if end < 1 else 2.6, end), ":", color=plots.BASELINE)
    ax.add_patch(plt.Rectangle((4.3, 0.15), 4.5, 4.3, fc="#FAFAFA", ec=plots.MODEL, lw=1.5))
    ax.annotate("one block", (8.65, 4.2), ha="right", va="center", color=plots.MODEL)
    _draw_half(ax, 0.35, "masked attention", "places look at\nearlier places\n(rotary: here)")
    _draw_half(ax, 2.4, "small network", "each place\nby itself")
    return figure


def _draw_half(ax: Axes, bottom: float | int, words: str, beside: str) -> None:
    """Norm, a layer, plus: half of a block, with the way around the layer."""
    middle, plus = 6.2, bottom + 1.72
    _arrow(ax, (middle, bottom), (middle, bottom + 0.25))
    _box(ax, (5.3, bottom + 0.25, 1.8, 0.4), "norm", plots.CODE)
    _arrow(ax, (middle, bottom + 0.65), (middle, bottom + 0.9))
    _box(ax, (5.3, bottom + 0.9, 1.8, 0.5), words, plots.MODEL)
    _arrow(ax, (middle, bottom + 1.4), (middle, plus - 0.1))
    ax.plot((middle, 4.75, 4.75), (bottom + 0.1, bottom + 0.1, plus), color=plots.BASELINE)
    _arrow(ax, (4.75, plus), (middle - 0.12, plus))
    ax.add_patch(plt.Circle((middle, plus), 0.12, fc="white", ec=plots.BASELINE, lw=1.5))
    ax.annotate("+", (middle, plus), ha="center", va="center", fontsize=10)
    ax.annotate(beside, (7.25, bottom + 1.15), ha="left", va="center", fontsize=8.5)
    _arrow(ax, (middle, plus + 0.12), (middle, bottom + 2.05))


def mask(weights: Weights) -> Figure:
    """The attention weights of a row of places; what lies after a place is grey."""
    figure, ax = plt.subplots(figsize=(5.2, 4.2))
    picture = _attention(ax, weights)
    places = range(len(weights))
    if len(weights) <= 12:
        for i in places:
            for j in range(i + 1):
                value, dark = weights[i, j].item(), weights[i, j] > 0.6
                color = "white" if dark else "black"
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
    ax.set_xticks(places, [str(n + 1) for n in places])
    ax.set_yticks(places, [str(n + 1) for n in places])
    ax.set(xlabel="looks at place", ylabel="place")
    figure.colorbar(picture, ax=ax, shrink=0.8, label="weight; a row sums to 1")
    ax.set_title("Grey: later places, which the mask hides")
    return figure


def heads(words: Sequence[str], weights: Mapping[str, Weights]) -> Figure:
    """The attention weights of some heads on one sentence, each map with its title.

    Args:
        words: the tokens of the sentence.
        weights: by title, in [0, 1].
    """
    n = len(weights)
    figure, axes = plt.subplots(1, n, figsize=(9.4, 9.4 / n + 1.1), squeeze=False)
    size, labels = max(4.5, min(8, 320 / n / len(words))), [shown(word) for word in words]
    for number, (ax, (title, of)) in enumerate(zip(axes[0], weights.items(), strict=True)):
        _attention(ax, of)
        ax.set_xticks(range(len(words)), labels, rotation=90, fontsize=size)
        ax.set_yticks(range(len(words)), labels if number == 0 else [], fontsize=size)
        ax.tick_params(length=0, pad=2)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("looks at")
    axes[0, 0].set_ylabel("place")
    return figure


def _attention(ax: Axes, weights: Weights) -> AxesImage:
    """A map of weights with its upper triangle in grey."""
    n = len(weights)
    picture = ax.imshow(weights.detach().numpy(), "Blues", vmin=0, vmax=1)
    hidden = torch.ones(n, n).triu(1)
    grey = ListedColormap(["#DDDDDD"])
    ax.imshow(hidden.masked_fill(hidden == 0, torch.nan).numpy(), grey)
    ax.grid(visible=False)
    return picture


def orders(
    bits: Mapping[str, Mapping[int, float]],
    unseen: Mapping[str, Sequence[float | int]],
) -> Figure:
    """Bits per letter over the order of n-grams, and the share of contexts never seen.

    Args:
        bits: by text, then by order.
        unseen: by text: the shares, in [0, 1], for contexts of 1, 2, ... letters.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    for (name, by_order), color in zip(bits.items(), COLORS, strict=False):
        best = min(by_order, key=lambda order: by_order[order])
        memory = [order - 1 for order in by_order]
        left.plot(memory, list(by_order.values()), "o-", color=color)
        left.plot(best - 1, by_order[best], "o", ms=10, mfc="none", color=color)
        last = (max(memory), by_order[max(by_order)])
        style = {"textcoords": "offset points", "ha": "right", "color": color}
        left.annotate(name, last, (0, 8), **style)
    for (name, shares), color in zip(unseen.items(), COLORS, strict=False):
        lengths = list(range(1, len(shares) + 1))
        right.plot(lengths, shares, "o-", color=color)
        place, offset = (lengths[-1], shares[-1]), (-6, 6)
        right.annotate(name, place, offset, textcoords="offset points", color=color, ha="right")
    left.set(xlabel="letters of memory (the order minus 1)", ylabel="bits per letter")
    left.set_title("Test text; a ring marks the best")
    right.set(xlabel="letters of memory", ylim=(-0.03, 1.03))
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set_title("Contexts never seen in training")
    return figure


def temperature(rows: Mapping[float, Sequence], real: float, xlabel: str = "temperature") -> Figure:
    """What a judge charges for drawn names, and how many differ, over the temperature.

    Args:
        rows: by temperature (or top-p): bits per letter, then the share of different names.
        real: bits per letter that real names cost.
        xlabel: what the rows are over.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    x = sorted(rows)
    left.plot(x, [rows[t][0] for t in x], "o-", color=plots.MODEL)
    left.axhline(real, color=plots.DATA, ls="--")
    left.annotate("real names", (x[0], real), (0, 3), textcoords="offset points", color=plots.DATA)
    left.set(xlabel=xlabel, ylabel="bits per letter")
    left.set_title("How likely: bits by a counted model")
    right.plot(x, [rows[t][1] for t in x], "o-", color=plots.MODEL)
    right.set(xlabel=xlabel, ylim=(-0.03, 1.05))
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set_title("How varied: different names")
    return figure


def scaling(
    rows: Sequence[Mapping[str, str]],
    law: Law,
    predicted: float,
) -> Figure:
    """Test loss over weights and over computing, the fitted law, and one predicted point.

    Args:
        rows: of ``studies/scale.csv``; the last one is the predicted run.
        law: bits per letter from the number of weights and of tokens.
        predicted: bits per letter of the last run by the law.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    _runs(axes[0], rows, "steps", "weights", lambda value: f"{int(value):,} steps")
    _runs(axes[1], rows, "weights", "flops", lambda value: f"{float(value) / 1e3:,.0f} k weights")
    for ax, key in zip(axes, ("weights", "flops"), strict=True):
        x, measured = float(rows[-1][key]), float(rows[-1]["test_bits"])
        ax.plot(x, predicted, "*", ms=13, color=plots.DISCRIMINATOR, zorder=4)
        offset, side = ((-10, -4), "right")
        words = f"predicted {predicted:.2f},\nmeasured {measured:.2f}"
        ax.annotate(
            words, (x, predicted), offset, textcoords="offset points", ha=side, va="top", fontsize=8
        )
    _law(axes[0], rows, law)
    for ax in axes:
        ax.set(xscale="log", yscale="log")
        ax.margins(x=0.3, y=0.2)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_yticks([1.5, 2, 2.5, 3, 3.5, 4])
    axes[0].set(xlabel="weights", ylabel="bits per letter")
    axes[1].set(xlabel="computing (floating-point operations)")
    axes[0].set_title("More weights (dotted: the law)")
    axes[1].set_title("More computing")
    return figure


def _runs(
    ax: Axes, rows: Sequence[Mapping[str, str]], by: str, over: str, name: Callable[[str], str]
) -> None:
    """A line of runs for each value of one column, over another; named at one end."""
    for value, color in zip(dict.fromkeys(row[by] for row in rows), COLORS, strict=False):
        mine = sorted((float(r[over]), float(r["test_bits"])) for r in rows if r[by] == value)
        ax.plot(*zip(*mine, strict=True), "o-", color=color, lw=1.5)
        at_end = by == "steps"
        place, offset = (mine[-1], (6, 0)) if at_end else (mine[0], (3, 6))
        ax.annotate(
            name(value),
            place,
            offset,
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=8,
        )


def _law(ax: Axes, rows: Sequence[Mapping[str, str]], law: Law) -> None:
    """The fitted law over weights, a thin line for each number of steps."""
    n = torch.tensor([float(row["weights"]) for row in rows])
    weights = torch.logspace(n.min().log10().item(), n.max().log10().item(), 50)
    for tokens in dict.fromkeys(row["tokens"] for row in rows):
        ax.plot(weights, law(weights, torch.tensor(float(tokens))), "k:", lw=1)


def piano_roll(tunes: Mapping[str, str], given: int) -> Figure:
    """The first bars of tunes as piano rolls, one under the other.

    The first tune has the colour of data, and so have the first notes of the others; what follows
    them has the colour of a model.

    Args:
        tunes: by title, the text of a tune such as ``6/8 67:6 | 69:12``.
        given: the number of notes that a model was given.
    """
    figure, axes = plt.subplots(len(tunes), 1, figsize=(9, 2.6 * len(tunes)), squeeze=False)
    for row, (ax, (title, text)) in enumerate(zip(axes[:, 0], tunes.items(), strict=True)):
        notes, bars = notes_of(text), _bars(text)[: BARS + 1]
        last = notes[-1].start + notes[-1].length if notes else WHOLE
        end = bars[-1] if len(bars) > BARS else last
        real = given if row else len(notes)
        heard: list[int] = []
        for number, note in enumerate(notes):
            if note.pitch is not None and note.start < end:
                color = plots.DATA if number < real else plots.MODEL
                _draw_note(ax, note.pitch, note.start, note.length, color)
                heard.append(note.pitch)
        _grid(ax, heard, bars, end)
        ax.set_title(title)
    axes[-1, 0].set_xlabel("eighth notes; lines are bars")
    return figure


def four_voices(voices: Sequence[Sequence[str]], title: str = "", eighths: int = 64) -> Figure:
    """A chorale as a piano roll, a colour for each voice.

    Args:
        voices: of soprano, alto, tenor and bass: a MIDI pitch, ``.`` (held) or ``r`` (a rest) for
            each eighth.
        title: of the figure.
        eighths: how many are shown.
    """
    figure, ax = plt.subplots(figsize=(9, 4.2))
    pitches = []
    heights = (0.9, 0.75, 0.6, 0.45)  # thinner in front, so that a note of two voices shows both
    for name, voice, color, height in zip(VOICES, voices, COLORS, heights, strict=True):
        notes = _held(voice[:eighths])
        for pitch, start, length in notes:
            _draw_note(ax, pitch, start * EIGHTH, length * EIGHTH, color, height)
            pitches.append(pitch)
        if notes:
            place = (min(len(voices[0]), eighths), notes[-1][0])
            ax.annotate(f" {name}", place, va="center", color=color, annotation_clip=False)
    end = min(len(voices[0]), eighths) * EIGHTH
    _grid(ax, pitches, list(range(0, end, WHOLE)), end)
    ax.set_xlabel("eighth notes; a line every eight")
    ax.set_title(title)
    return figure


def _held(voice: Sequence[str]) -> list[tuple[int, int, int]]:
    """Pitch, start and length, in eighths, of the notes of a voice."""
    found: list[tuple[int, int, int]] = []
    for start, sign in enumerate(voice):
        if sign.isdigit():
            length = next((n for n, s in enumerate(voice[start + 1 :], 1) if s != "."), None)
            found.append((int(sign), start, length or len(voice) - start))
    return found


def _bars(text: str) -> list[int]:
    """Where the bar lines of a tune stand, in 48ths of a whole note."""
    found, time = [], 0
    for part in text.split():
        if part == "|":
            found.append(time)
        time += sum(note.length for note in notes_of(part))
    return found or [0]


def _draw_note(
    ax: Axes, pitch: int, start: int, length: int, color: str, height: float | int = 0.8
) -> None:
    left, width = start / EIGHTH, max(0.15, length / EIGHTH - 0.1)
    ax.add_patch(plt.Rectangle((left, pitch - height / 2), width, height, fc=color, ec="none"))


def _grid(ax: Axes, pitches: Sequence[int], bars: Sequence[int], end: int) -> None:
    """Names of some keys that are in the range, and the bar lines."""
    low, high = min(pitches, default=60), max(pitches, default=72)
    named = "CEGA" if high - low < 26 else "CG"
    keys = [key for key in range(low, high + 1) if pitch_name(key)[:-1] in named]
    ax.set_yticks(keys, [pitch_name(key) for key in keys], fontsize=8)
    ax.set(xlim=(0, end / EIGHTH), ylim=(low - 1, high + 1))
    ax.grid(visible=False, axis="x")
    for bar in bars:
        ax.axvline(bar / EIGHTH, color=plots.BASELINE, lw=0.8)


def half_drawn(picture: Float[Tensor, "3 side side"], done: int) -> Figure:
    """A picture that is drawn pixel by pixel, row by row, with its next pixel marked.

    Args:
        picture: in [-1, 1].
        done: pixels that are drawn, at least 0 and fewer than there are.
    """
    side = picture.shape[2]
    flat = picture.flatten(1).clone()
    flat[:, done:] = 0.75
    row, column = divmod(done, side)
    figure, ax = plt.subplots(figsize=(3.6, 3.8))
    plots.draw_images(ax, flat.reshape(picture.shape)[None], 1)
    ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fc="none", ec=plots.MODEL, lw=2))
    ax.set_title(f"{done} of {side * side} pixels; next: row {row + 1}, column {column + 1}")
    return figure


def _diagram(width: float | int, height: float | int) -> tuple[Figure, Axes]:
    """Axes without ticks over the whole figure, in inches."""
    figure = plt.figure(figsize=(width, height), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return figure, ax


def _box(ax: Axes, place: tuple[float | int, ...], words: str, color: str) -> None:
    """A rectangle (left, bottom, width, height) with words in its middle."""
    left, bottom, width, height = place
    ax.add_patch(plt.Rectangle((left, bottom), width, height, fc="white", ec=color, lw=2))
    middle = (left + width / 2, bottom + height / 2)
    ax.annotate(words, middle, ha="center", va="center", color=color)


def _arrow(
    ax: Axes,
    start: tuple[float | int, float | int],
    end: tuple[float | int, float | int],
    color: str = plots.BASELINE,
    **options: str,
) -> None:
    style = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0, **options}
    ax.annotate("", end, start, arrowprops=style)
