"""Obedience: whether generated people show what their sentences named.

A frozen judge of attributes (``models.attribute_judge``) looks at the pictures. The obedience of
pictures is the share of all named attributes that the judge sees. It is measured on sentences about
people of whom training saw all values, and on sentences that name a held-out pair: two values that
never stood together in a training picture.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from gen_lib.data.people import HELD_OUT, KINDS, NO_WORD, PeopleSplit, load_people, shows
from gen_lib.data.people.captions import captions
from gen_lib.data.people.words import encode
from gen_lib.metrics.images import Row
from gen_lib.models.attribute_judge import AttributeJudge
from gen_lib.models.base import Images
from gen_lib.models.text_to_image import GUIDANCE, TextToImage
from gen_lib.training.checkpoints import load_pretrained

N_SENTENCES = 500
PEOPLE_JUDGE = "people-judge"  # the shipped judge of attributes


class Asked(NamedTuple):
    """Sentences about people."""

    texts: list[str]
    named: Int64[Tensor, "n kinds"]
    """The value of every kind that the sentence names, NO_WORD for the others."""
    people: Int64[Tensor, "n"]
    """Which person of the split the sentence is about."""


def ask(split: PeopleSplit, n: int, seed: int = 0, language: str = "both") -> Asked:
    """n sentences about people of a split, in turn; those of held-out people name their pairs.

    Args:
        split: ``test`` or ``held_out`` of the people.
        n: number of sentences.
        seed: of the choice of words.
        language: ``en``, ``ko`` or ``both``.
    """
    rng = torch.Generator().manual_seed(seed)
    texts: list[str] = []
    rows, people = [], []
    held_out = split is load_people().held_out
    places = torch.randperm(len(split), generator=rng)
    while len(texts) < n:
        drawn = captions(split.attributes[places], language, rng)
        named = torch.where(drawn.named, split.attributes[places], NO_WORD)
        fits = _names_a_pair(named) if held_out else drawn.named.any(dim=1)
        found = fits.nonzero().flatten().tolist()
        texts += [drawn.texts[k] for k in found]
        rows.append(named[found])
        people.append(places[found])
    return Asked(texts[:n], torch.cat(rows)[:n], torch.cat(people)[:n])


def _names_a_pair(named: Int64[Tensor, "n kinds"]) -> Bool[Tensor, "n"]:
    return torch.stack([shows(named, *pair) for pair in HELD_OUT]).any(dim=0)


def obedience(
    seen: Int64[Tensor, "n kinds"], named: Int64[Tensor, "n kinds"]
) -> Float[Tensor, "kinds+1"]:
    """The share of named values that are seen, for each kind, and last for all kinds together.

    >>> obedience(torch.tensor([[0, 1], [0, 2]]), torch.tensor([[0, 1], [-1, 1]]))
    tensor([1.0000, 0.5000, 0.6667])
    """
    right, asked = ((seen == named) & (named != NO_WORD)).sum(0), (named != NO_WORD).sum(0)
    return torch.cat([right / asked, right.sum(0, keepdim=True) / asked.sum()])


def draw(
    model: TextToImage, texts: list[str], seed: int = 0, guidance: float | int = GUIDANCE
) -> Images:
    """One picture for each sentence."""
    rng = torch.Generator().manual_seed(seed)
    return model.sample(len(texts), rng, labels=encode(texts), guidance=guidance)


def obedience_rows(model: TextToImage, n: int = N_SENTENCES) -> list[Row]:
    """Obedience for pairs of values seen and never seen in training.

    Beside each: that of the real pictures (what the judge sees in them), and of the most common
    values of the training pictures, whatever the sentence.
    """
    judge, people = load_pretrained(PEOPLE_JUDGE, AttributeJudge), load_people()
    common = torch.stack([of[of != NO_WORD].mode().values for of in people.train.attributes.T])
    rows = []
    for name, split in (("obedience", people.test), ("obedience_unseen", people.held_out)):
        asked = ask(split, n)
        seen = judge.attributes(draw(model, asked.texts))
        real = judge.attributes(split.x[asked.people])
        beside = {"real": real, "one_person": common.expand_as(real)}
        floors = {key: obedience(of, asked.named)[-1].item() for key, of in beside.items()}
        rows.append(Row(name, obedience(seen, asked.named)[-1].item(), floors))
        kinds = obedience(seen, asked.named)[:-1].tolist()
        rows += [Row(f"{name}: {k}", v, {}) for k, v in zip(KINDS, kinds, strict=True)]
    return rows
