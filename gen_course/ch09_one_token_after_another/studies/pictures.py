"""Study of chapter 09: pictures of people as tokens, drawn pixel by pixel after their words.

Run it with ``python gen_course/ch09_one_token_after_another/studies/pictures.py``.

A transformer trains for STEPS steps on lines of words and pixels (``pictures``), on one core. It
then draws one picture for each of N sentences about people of the test set and N that name a
held-out pair; the judge of chapter 08 looks at them. The study takes about 45 minutes, keeps the
weights in pictures.safetensors and writes pictures.csv.
"""

import csv
import sys
import time
from pathlib import Path

import torch

from gen_course.ch09_one_token_after_another.pictures import (
    SMALL,
    draw,
    picture_set,
    small,
    to_colours,
    to_picture,
)
from gen_lib import experiment
from gen_lib.data.people import load_people
from gen_lib.metrics.obedience import ask, obedience
from gen_lib.models import GPT, AttributeJudge
from gen_lib.training.checkpoints import load, load_pretrained, save
from gen_lib.training.hardware import has_bfloat16, machine
from gen_lib.training.loop import fit

STEPS, ROWS, N = 4000, 12, 500
SETTINGS = {"width": 96, "layers": 4, "heads": 4}
WEIGHTS = Path(__file__).with_suffix(".safetensors")
HEADER = ["sentences", "n", "obedience", "real", "bits_per_pixel", "seconds_a_picture"]
HEADER += ["steps", "pictures", "minutes", "weights", "bfloat16", "machine"]


def bits_per_pixel(model: GPT, text: str, pictures: int = 100) -> float:
    """Bits of each pixel of the first test pictures, given their sentence and earlier pixels."""
    bits = []
    for line in text.split("\n")[:pictures]:
        tokens = model.tokeniser.encode(f"\n{line}")
        bits.append(-model.log2(tokens)[-(SMALL**2) :].mean().item())
    return sum(bits) / len(bits)


def train() -> tuple[GPT, float]:
    """The model and its minutes of training; it is kept in half precision."""
    data = picture_set()
    torch.manual_seed(0)
    model = experiment.build("gpt", data, SETTINGS)
    history = fit(model, data.train, steps=STEPS, batch_size=ROWS)
    save(model.half(), WEIGHTS, steps=STEPS, minutes=round(history.seconds[-1] / 60, 1))
    return load(WEIGHTS, GPT), history.seconds[-1] / 60


def main() -> None:
    """Train and measure."""
    torch.set_num_threads(1)
    model, minutes = train()
    people, judge = load_people(), load_pretrained("people-judge", AttributeJudge)
    bits = bits_per_pixel(model, picture_set(1).test.text)
    rows = []
    for name, split in (("seen", people.test), ("unseen", people.held_out)):
        asked, rng = ask(split, N, language="en"), torch.Generator().manual_seed(0)
        start = time.process_time()
        seen = judge.attributes(draw(model, asked.texts, rng))
        seconds = (time.process_time() - start) / N
        real = judge.attributes(to_picture(to_colours(small(split.x[asked.people]))))
        figures = [obedience(of, asked.named)[-1].item() for of in (seen, real)]
        rows.append([name, N, *(f"{v:.4f}" for v in (*figures, bits, seconds))])
        print(rows[-1], file=sys.stderr)
    size = sum(p.numel() for p in model.parameters())
    facts = [STEPS, STEPS * ROWS, f"{minutes:.1f}", size]
    facts += [has_bfloat16(torch.device("cpu")), machine()]
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *([*row, *facts] for row in rows)])


if __name__ == "__main__":
    main()
