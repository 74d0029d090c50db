"""Study of chapter 08: an outline as a further input of the frozen model.

Run it with ``python gen_course/ch08_words_to_pictures/studies/outlines.py``.

A small network (``outline.OutlineReader``) learns to steer the shipped model by outlines of the
training pictures; the model's own weights stay as they are. Every second sentence says nothing, so
that the outline is needed. It then draws N people of the test set from their outline and a sentence
that names only colours and the background. The study takes about 12 minutes on one core with
bfloat16 and writes outlines.safetensors and outlines.csv.
"""

import csv
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import trange

from gen_course.ch08_words_to_pictures.outline import OutlineReader, agreement, outline, steered
from gen_lib.data.people import KINDS, NO_WORD, load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.people.words import encode, nothing
from gen_lib.metrics.obedience import draw, obedience
from gen_lib.models import AttributeJudge, TextToImage
from gen_lib.models.base import in_batches
from gen_lib.training.checkpoints import load_pretrained
from gen_lib.training.hardware import has_bfloat16, machine
from gen_lib.training.loop import learning_rate_scale

STEPS, BATCH, LR, N = 2_500, 64, 2e-3, 200
COLOURS = ("background", "hair colour", "hat colour", "outfit colour")
HEADER = ["drawn", "outline", "colours", "n", "minutes", "machine"]


def train(model: TextToImage) -> OutlineReader:
    """Train a reader of outlines for the frozen model."""
    people, reader, rng = load_people().train, OutlineReader(), torch.Generator().manual_seed(0)
    model.requires_grad_(False)
    z, lines = in_batches(model.encode, people.x), outline(people.x)
    optimiser = torch.optim.AdamW(reader.parameters(), LR)
    bar = trange(STEPS, desc="outlines")
    for step in bar:
        for group in optimiser.param_groups:
            group["lr"] = LR * learning_rate_scale(step / STEPS)
        i = torch.randint(len(z), (BATCH,), generator=rng)
        c = encode(captions(people.attributes[i], "both", rng).texts)
        c = torch.where(torch.rand(BATCH, 1, generator=rng) < 0.5, nothing(c), c)
        eps, t = torch.randn(z[i].shape, generator=rng), torch.rand(BATCH, generator=rng)
        share = t[:, None, None, None]
        kind = has_bfloat16(torch.device("cpu"))
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=kind),
            steered(model.net, reader, lines[i]),
        ):
            u = model.net((1 - share) * z[i] + share * eps, t, c)
        loss = (u.float() - (eps - z[i])).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.4f}")
    return reader.eval()


def measured(model: TextToImage, reader: OutlineReader) -> dict[str, tuple[float, float]]:
    """For each way: how far outlines agree, and the share of named colours that the judge sees."""
    judge, people = load_pretrained("people-judge", AttributeJudge), load_people().test[:N]
    named = torch.full_like(people.attributes, NO_WORD)
    places = [list(KINDS).index(kind) for kind in COLOURS]
    named[:, places] = people.attributes[:, places].roll(1, dims=0)  # colours of someone else
    hats = people.attributes[:, list(KINDS).index("hat")] > 0
    named[~hats, list(KINDS).index("hat colour")] = NO_WORD
    texts = captions(named, "en", torch.Generator().manual_seed(0), least=1.0).texts
    lines = outline(people.images)
    with torch.no_grad(), steered(model.net, reader, lines):
        with_lines = draw(model, texts)
    drawn: dict[str, Tensor] = {
        "outline and words": with_lines,
        "words alone": draw(model, texts),
        "autoencoder": in_batches(model.reconstruct, people.images),
    }
    return {
        name: (
            agreement(x, lines).mean().item(),
            obedience(judge.attributes(x), named)[-1].item(),
        )
        for name, x in drawn.items()
    }


def main() -> None:
    """Train, measure, write."""
    start, here = time.monotonic(), Path(__file__)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    model = load_pretrained("text-to-image", TextToImage)
    reader = train(model)
    minutes = round((time.monotonic() - start) / 60, 1)
    save_file(
        {k: v.half() for k, v in reader.state_dict().items()}, here.with_suffix(".safetensors")
    )
    with here.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for name, figures in measured(model, reader).items():
            writer.writerow([name, *(f"{v:.4f}" for v in figures), N, minutes, machine()])


if __name__ == "__main__":
    main()
