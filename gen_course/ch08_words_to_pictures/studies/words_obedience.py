"""Study of chapter 08: obedience by guidance weight, language and number of network calls.

Run it with ``python gen_course/ch08_words_to_pictures/studies/words_obedience.py``.

Each row draws one picture for each of N sentences about people of the test set, and for N that name
a pair of values that no training picture shows. Its variety is measured on 20 sentences with ten
pictures each: how often two pictures of one sentence differ in an attribute that it does not name.
The rows: guidance weights with the shipped model; English and Korean alone; few network calls of
the shipped model and of the student of ``few_steps.py``, by Euler's method; and the number of N
sentences with two colours whose picture has both where they belong (``binding``). The study takes
about 25 minutes on one core and writes words_obedience.csv.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gen_course.ch08_words_to_pictures import binding
from gen_lib.data.people import NO_WORD, load_people
from gen_lib.data.people.words import encode
from gen_lib.metrics.obedience import Asked, ask, obedience
from gen_lib.models import AttributeJudge, TextToImage
from gen_lib.samplers import DDIM
from gen_lib.training.checkpoints import load, load_pretrained
from gen_lib.training.hardware import machine

N, REPEATED, TIMES = 500, 20, 10
WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
FEW = (1, 2, 3, 4, 8)
HEADER = ["what", "of", "obedience", "obedience_unseen", "variety", "n", "machine"]


def variety(seen: Tensor, named: Tensor) -> float:
    """How often two pictures of one sentence differ in an attribute that it does not name.

    Args:
        seen: (sentences, pictures, kinds), what the judge sees.
        named: (sentences, kinds), the named values or NO_WORD.
    """
    pairs = seen[:, :, None] != seen[:, None]  # (sentences, pictures, pictures, kinds)
    count = seen.shape[1] * (seen.shape[1] - 1)  # a picture is not compared with itself
    return (pairs.sum(dim=(1, 2)) / count)[named == NO_WORD].mean().item()


class Measuring:
    """Sentences of both kinds, and what the judge sees in a model's pictures of them."""

    def __init__(self, language: str = "both"):
        people = load_people()
        self.judge = load_pretrained("people-judge", AttributeJudge)
        self.asked = [ask(of, N, language=language) for of in (people.test, people.held_out)]

    def row(self, model: TextToImage, **how: Any) -> list[float]:
        """Obedience of both kinds of sentences, and variety."""
        seen, unseen = (self._share(model, asked, how) for asked in self.asked)
        some = self.asked[0]
        texts = [text for text in some.texts[:REPEATED] for _ in range(TIMES)]
        pictures = self.judge.attributes(_draw(model, texts, how))
        parts = pictures.unflatten(0, (REPEATED, TIMES))
        return [seen, unseen, variety(parts, some.named[:REPEATED])]

    def _share(self, model: TextToImage, asked: Asked, how: dict[str, Any]) -> float:
        seen = self.judge.attributes(_draw(model, asked.texts, how))
        return obedience(seen, asked.named)[-1].item()


def _draw(model: TextToImage, texts: list[str], how: dict[str, Any]) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return model.sample(len(texts), rng, labels=encode(texts), **how)


def rows() -> Iterator[tuple[str, Any, list[float]]]:
    """What was varied, its value, and the figures."""
    model, measuring = load_pretrained("text-to-image", TextToImage), Measuring()
    student = load(Path(__file__).with_name("few_steps.safetensors"), TextToImage)
    euler = DDIM(model.schedule, 0.0)
    for calls in FEW:
        yield "calls of the student", calls, measuring.row(student, calls=calls, sampler=euler)
    for calls in (2, 4, 8, 16):
        how = {"calls": calls, "sampler": euler, "guidance": 2.0}
        yield "calls of the model", calls, measuring.row(model, **how)
    for weight in WEIGHTS:
        yield "guidance", weight, measuring.row(model, guidance=weight)
    for language in ("en", "ko"):
        yield "language", language, Measuring(language).row(model, guidance=2.0)
    colours = binding.count(model, measuring.judge, N)
    for of, share in zip(colours._fields, colours, strict=True):
        yield "colours", of, [share.float().mean().item()]


def main() -> None:
    """Draw, ask the judge, and write each row at once."""
    torch.set_num_threads(1)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for what, of, figures in rows():
            told = [f"{value:.4f}" for value in figures] + [""] * (3 - len(figures))
            writer.writerow([what, of, *told, N, machine()])
            file.flush()


if __name__ == "__main__":
    main()
