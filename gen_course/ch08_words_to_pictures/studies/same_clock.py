"""Study of chapter 08: codes against pixels, and attention against a mean of words, by one clock.

Run it with ``python gen_course/ch08_words_to_pictures/studies/same_clock.py``.

Three models train for MINUTES each on one core, from the same sentences: the library's
text-to-image model; the same without cross-attention, so that its network gets only the mean of the
words; and one that denoises pixels, without an autoencoder. The last has half the width, because
its grid has 16 times as many places. All minutes count, those of the autoencoder too. Each model
then draws one picture for each of N sentences about people of the test set, N that name a held-out
pair, and N with a hat and an outfit of two colours. The study takes about 40 minutes and writes
same_clock.csv.
"""

import csv
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gen_course.ch08_words_to_pictures import binding
from gen_lib.data.people import load_people
from gen_lib.data.people.sets import people_set
from gen_lib.data.people.words import VOCABULARY, nothing
from gen_lib.metrics.obedience import ask, draw, obedience
from gen_lib.models import AttributeJudge, TextToImage
from gen_lib.models.base import Player
from gen_lib.models.diffusion import DenoisingDiffusion
from gen_lib.nets.word_unet import WordUNet
from gen_lib.training.checkpoints import load_pretrained
from gen_lib.training.hardware import has_bfloat16, machine
from gen_lib.training.loop import fit

MINUTES, N, WIDTH = 10.0, 200, 32
HEADER = ["model", "minutes", "images", "weights", "seconds_a_picture", "obedience"]
HEADER += ["obedience_unseen", "right_colours", "exchanged", "n", "bfloat16", "machine"]


class PixelWords(DenoisingDiffusion):
    """Diffusion of pixels with sentences as labels."""

    name = "pixel-words"
    labels = "sentences"
    limit = 1.0
    batch_size = 64

    def __init__(self) -> None:
        net = WordUNet((3, 48, 48), len(VOCABULARY), WIDTH)
        super().__init__(net, (3, 48, 48), len(VOCABULARY), "straight", "velocity", 1, 0.1)

    def players(self) -> dict[str, Player]:
        """One player, whose hidden layers Muon updates."""
        hidden = self.net.hidden()
        return {"model": Player([*self.net.parameters()], self.lr, hidden=hidden, hidden_lr=0.02)}

    def times(self, n: int, rng: torch.Generator) -> Tensor:
        """Logit-normal times, as the other models have."""
        return torch.randn(n, generator=rng, device=rng.device).sigmoid()

    def _partly_hidden(self, labels: Tensor, rng: torch.Generator) -> Tensor:
        u = torch.rand(len(labels), 1, generator=rng, device=labels.device)
        return torch.where(u < self.label_dropout, nothing(labels), labels)


MODELS: dict[str, Any] = {
    "codes, attention": TextToImage,
    "codes, mean of words": partial(TextToImage, attends=False),
    "pixels, attention": PixelWords,
}


def measured(model: Any) -> list[float]:
    """Seconds of a core for a picture, obedience of both kinds, and the colours of ``binding``."""
    judge, people = load_pretrained("people-judge", AttributeJudge), load_people()
    figures, start = [], time.process_time()
    for split in (people.test, people.held_out):
        asked = ask(split, N)
        figures.append(obedience(judge.attributes(draw(model, asked.texts)), asked.named)[-1])
    seconds = (time.process_time() - start) / (2 * N)
    colours = binding.count(model, judge, N)
    return [seconds, *map(float, figures), *(float(of.float().mean()) for of in colours)]


def main() -> None:
    """Train and measure each model."""
    torch.set_num_threads(1)
    data = people_set("sentences")
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for name, make in MODELS.items():
            torch.manual_seed(0)
            model = make()
            history = fit(model, data.train, minutes=MINUTES, batch_size=model.batch_size)
            images = history.steps * model.batch_size
            size = sum(p.numel() for p in model.parameters())
            figures = [f"{value:.4f}" for value in measured(model)]
            kind = has_bfloat16(torch.device("cpu"))
            writer.writerow([name, MINUTES, images, size, *figures, N, kind, machine()])
            file.flush()


if __name__ == "__main__":
    main()
