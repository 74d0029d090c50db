"""Film of chapter 09: a name is written, one letter after another."""

import numpy as np
import torch

from gen_course.common.canvas import INK, Canvas
from gen_course.common.explorer import shipped
from gen_course.common.film import Film
from gen_lib.models import GPT

LETTERS = 26  # size of all words, in pixels of the film
WIDTH, HEIGHT, ROW = 760, 420, 40
LIKELIEST = 8
BAR, CHOSEN = "#bfcfe3", "#e6963c"
LONGEST = 420  # width of the bar of a certain letter


def writes() -> Film:
    """The likeliest next letters at each place of a name, and the letter that is drawn."""
    model, rng = shipped("gpt-names", GPT), torch.Generator().manual_seed(5)
    name, frames = "", []
    while not name.endswith("\n") and len(name) < 10:
        p = model.next(name)
        token = int(torch.multinomial(p, 1, generator=rng))
        for drawn in (None, token):  # first the probabilities, then the draw
            frames.append(_frame(model.tokeniser.tokens, name, p, drawn))
        name += model.tokeniser.tokens[token]
    alt = (
        f"The name {name.strip()} is written letter by letter. Beside it stand the likeliest next "
        "letters as bars; one is drawn by its probability and appended, until the line ends."
    )
    return Film(frames, 0.9, alt)


def _frame(tokens: tuple[str, ...], name: str, p: torch.Tensor, drawn: int | None) -> np.ndarray:
    canvas = Canvas(WIDTH, HEIGHT, scale=1)
    canvas.text(name + "_", 8, HEIGHT // 2, INK, "lm", 2 * LETTERS)
    best = p.topk(LIKELIEST).indices.tolist()
    if drawn is not None and drawn not in best:
        best[-1] = drawn
    for row, token in enumerate(best):
        top = 30 + row * (ROW + 6)
        color = CHOSEN if token == drawn else BAR
        canvas.box(300, top, 300 + max(2, round(LONGEST * p[token].item())), top + ROW, color)
        canvas.text(tokens[token].replace("\n", "¶"), 280, top + ROW // 2, INK, "rm", LETTERS)
    return canvas.pixels()
