"""Every figure of chapter 09 has its size, no misplaced text, and shows what it is given."""

import matplotlib.pyplot as plt
import pytest
import torch

from gen_course.ch09_one_token_after_another import figures
from gen_course.common import plots
from gen_lib.data.tunes import load_chorales, load_tunes


@pytest.fixture(autouse=True)
def _styled():
    plots.use_style()
    yield
    plt.close("all")


def causal(n, seed=0):
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
    return torch.randn(n, n, generator=rng).masked_fill(hidden, -torch.inf).softmax(dim=1)


def law(n, d):
    return 1.2 + 60 / n**0.4 + 9 / d**0.15


def runs():
    keys = ("weights", "steps", "tokens", "flops", "test_bits")
    for weights in (4e3, 3e4, 1.6e5, 8e5):
        for steps in (250, 1000, 4000):
            n, d = torch.tensor(weights), torch.tensor(2048.0 * steps)
            values = (weights, steps, d.item(), 6 * weights * d.item(), law(n, d).item())
            yield dict(zip(keys, map(str, values), strict=True))


WORDS = [
    "¶",
    "It",
    "is",
    "a",
    "truth",
    "univers",
    "ally",
    "acknow",
    "led",
    "ged",
    ",",
    "that",
    "a",
    "single",
    "man",
]
CURVE = {1: 4.3, 2: 3.6, 3: 3.3, 4: 3.15, 5: 3.1, 6: 3.12}
MADE = {
    "chain": (lambda: figures.chain(), 9),
    "bigrams": (lambda: figures.bigrams(causal(53), ["\n", *map(chr, range(71, 123))]), 7),
    "block": (lambda: figures.block(), 9),
    "mask": (lambda: figures.mask(causal(8)), 5.2),
    "heads": (lambda: figures.heads(WORDS, {f"head {k}": causal(15, k) for k in range(3)}), 9.4),
    "orders": (
        lambda: figures.orders(
            {"names": CURVE, "austen": {n: bits - 0.3 * n for n, bits in CURVE.items()}},
            {"names": [0, 0.1, 0.5], "austen": [0, 0.02, 0.2]},
        ),
        9,
    ),
    "temperature": (
        lambda: figures.temperature({0.2: [1.5, 0.3], 1.0: [3.1, 0.99], 1.5: [4.9, 1]}, 3.1),
        9,
    ),
    "scaling": (lambda: figures.scaling(list(runs()), law, 2.3), 9),
    "piano_roll": (
        lambda: figures.piano_roll({f"tune {k}": load_tunes().test[k].text for k in range(2)}, 4),
        9,
    ),
    "four_voices": (lambda: figures.four_voices(load_chorales().test[0].voices, "a chorale"), 9),
    "half_drawn": (lambda: figures.half_drawn(torch.zeros(3, 16, 16), 37), 3.6),
}


@pytest.mark.parametrize("name", MADE)
def test_a_figure_fits_the_page_and_no_text_is_misplaced(name):
    make, width = MADE[name]
    figure = make()
    assert figure.get_figwidth() == pytest.approx(width, abs=0.2)
    assert figure.get_figwidth() <= 9.6
    assert figure.get_figheight() <= 9
    assert plots.misplaced(figure) == []


def colours(figure):
    """The colours of the notes of each roll, from left to right."""
    found = []
    for ax in figure.axes:
        notes = sorted((patch.get_x(), patch.get_facecolor()) for patch in ax.patches)
        found.append([color for _, color in notes])
    return found


def test_the_given_notes_of_a_continuation_have_the_colour_of_data():
    first, second = "4/4 60:6 62:6 | 64:6 65:6", "4/4 60:6 62:6 | 67:6 65:6"
    of_first, of_second = colours(figures.piano_roll({"a": first, "b": second}, given=2))
    assert len(set(of_first)) == 1
    assert of_second[:2] == of_first[:2]
    assert of_second[2] == of_second[3] != of_first[0]


def test_held_notes_are_one_and_rests_are_not_drawn():
    voice = ["60", ".", ".", "r", "62", "."]
    figure = figures.four_voices([voice, ["r"] * 6, ["r"] * 6, ["r"] * 6])
    (ax,) = figure.axes
    notes = [(round(p.get_x()), round(p.get_width() + 0.1)) for p in ax.patches]
    assert notes == [(0, 3), (4, 2)]


def test_the_best_memory_is_ringed():
    figure = figures.orders({"names": CURVE}, {"names": [0, 0.5]})
    rings = [line for line in figure.axes[0].lines if line.get_markersize() == 10]
    assert [list(ring.get_xdata()) for ring in rings] == [[4]]


def test_later_places_are_grey_and_the_next_pixel_is_marked():
    grey = figures.mask(causal(4)).axes[0].images[1].get_array()
    assert (~grey.mask).sum() == 6
    (box,) = figures.half_drawn(torch.zeros(3, 16, 16), 37).axes[0].patches
    assert (box.get_x() + 0.5, box.get_y() + 0.5) == (5, 2)
