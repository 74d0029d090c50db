"""Study of chapter 09: a transformer harmonises melodies of chorales that it was not trained on.

Run it with ``python gen_course/ch09_one_token_after_another/studies/harmony.py``.

A transformer trains for STEPS steps on the chorales as words (``harmony``), on one core, one seed.
It then writes bass, alto and tenor for the soprano of each test chorale. The study takes about 6
minutes and writes harmony.csv: the three voices, and bits per word of the test chorales.
"""

import csv
from pathlib import Path

import torch

from gen_course.ch09_one_token_after_another.harmony import (
    chorale_set,
    harmonise,
    to_white_keys,
)
from gen_lib import experiment
from gen_lib.data.tunes import load_chorales
from gen_lib.models import GPT
from gen_lib.training.hardware import has_bfloat16, machine
from gen_lib.training.loop import fit

STEPS, ROWS, TEMPERATURE = 1600, 8, 0.7
SETTINGS = {"width": 96, "layers": 3, "noise": 0.1}
HEADER = ["name", "soprano", "alto", "tenor", "bass", "bits_per_word"]
HEADER += ["weights", "steps", "minutes", "bfloat16", "machine"]


def main() -> None:
    """Train, harmonise and write the table."""
    torch.set_num_threads(1)
    data = chorale_set()
    torch.manual_seed(0)
    model = experiment.build("gpt", data, SETTINGS)
    assert isinstance(model, GPT)
    history = fit(model, data.train, steps=STEPS, batch_size=ROWS)
    bits = -model.log2(data.test.tokens).mean().item()
    size = sum(p.numel() for p in model.parameters())
    facts = [f"{bits:.4f}", size, STEPS, f"{history.seconds[-1] / 60:.1f}"]
    facts += [has_bfloat16(torch.device("cpu")), machine()]
    rng = torch.Generator().manual_seed(0)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for chorale in load_chorales().test:
            voices = harmonise(model, to_white_keys(chorale)[0], rng, TEMPERATURE)
            writer.writerow([chorale.name, *(" ".join(voice) for voice in voices), *facts])


if __name__ == "__main__":
    main()
