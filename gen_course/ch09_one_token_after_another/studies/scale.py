"""Study of chapter 09: how the loss falls with weights, data and steps.

Run it with ``python gen_course/ch09_one_token_after_another/studies/scale.py``.

Characters of Jane Austen, rows of 64, batches of 32, one core, one seed. First the sizes of SIZES
train on all of the training text for each number of STEPS (a run of its own each, as the learning
rate falls to 0 at its end). Then one size trains on the first part of the text only: for little
text it learns the text by heart. Of each of these models 2,000 characters are drawn, and the
longest string in them that also stands in the text it was trained on is measured. The study takes
about 50 minutes and writes scale.csv.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gen_lib import experiment
from gen_lib.data.text import TextSet, load_text, text_set
from gen_lib.models import GPT
from gen_lib.training.hardware import has_bfloat16, machine
from gen_lib.training.loop import fit

CONTEXT, ROWS = 64, 32
SIZES = ((16, 1), (32, 2), (64, 3), (128, 4))  # width and blocks
STEPS = (250, 1000, 4000)
PARTS, OF_PARTS, STEPS_OF_PARTS = (0.001, 0.01, 0.1, 1.0), (64, 3), 2000
DRAWN, TESTED = 2_000, 60_000  # characters
HEADER = ["width", "layers", "weights", "characters", "steps", "tokens", "flops", "test_bits"]
HEADER += ["train_bits", "copied", "test_copied", "seconds", "bfloat16", "machine"]


def longest_copied(text: str, source: str) -> int:
    """The length of the longest string in ``text`` that also stands in ``source``."""
    longest = start = 0
    for end in range(1, len(text) + 1):
        while start < end and text[start:end] not in source:
            start += 1
        longest = max(longest, end - start)
    return longest


def bits(model: GPT, text: str) -> float:
    """Bits per character."""
    return -model.log2(model.tokeniser.encode("\n" + text)).mean().item()


def run(data: TextSet, width: int, layers: int, steps: int) -> list[Any]:
    """Train one model; the columns of HEADER."""
    torch.manual_seed(0)
    model = experiment.build("gpt", data, {"width": width, "layers": layers})
    assert isinstance(model, GPT)
    history = fit(model, data.train, steps=steps, batch_size=ROWS, show_bar=False)
    blocks = sum(p.numel() for p in model.net.blocks.parameters())
    weights = blocks + model.net.head.weight.numel()  # those that multiply
    tokens = steps * ROWS * CONTEXT
    known, new = data.train.text, data.test.text[:TESTED]
    drawn = model.write("", 1, torch.Generator().manual_seed(0), length=DRAWN)[0]
    figures = [bits(model, new), bits(model, known[:TESTED])]
    copied = [longest_copied(of, known) for of in (drawn, new[:DRAWN])]
    row = [width, layers, weights, len(known), steps, tokens, 6 * weights * tokens]
    row += [*(f"{value:.4f}" for value in figures), *copied, f"{history.seconds[-1]:.0f}"]
    print(row, flush=True)
    return [*row, has_bfloat16(torch.device("cpu")), machine()]


def runs() -> Iterator[list[Any]]:
    """All rows, one after the other."""
    data = load_text("austen", "characters", context=CONTEXT)
    for width, layers in SIZES:
        for steps in STEPS:
            yield run(data, width, layers, steps)
    for part in PARTS:
        text = data.train.text[: round(part * len(data.train.text))]
        of = text_set("part", text, data.test.text, "characters", context=CONTEXT, lines=False)
        yield run(of, *OF_PARTS, STEPS_OF_PARTS)


def main() -> None:
    """Train all models and write the table."""
    torch.set_num_threads(1)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for row in runs():
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
