"""Which colour belongs to which noun: sentences with two colours, and what a picture shows."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from gen_lib.data.people import KINDS
from gen_lib.metrics.obedience import draw
from gen_lib.models import AttributeJudge, TextToImage

SHARED = [c for c in KINDS["hat colour"] if c in KINDS["outfit colour"]]
PLACES = [list(KINDS).index(kind) for kind in ("hat colour", "outfit colour")]


class Colours(NamedTuple):
    """For each picture: are both colours where the sentence wants them, or exchanged?"""

    right: Bool[Tensor, "n"]
    exchanged: Bool[Tensor, "n"]


def sentences(n: int) -> tuple[list[str], Int64[Tensor, "n 2"]]:
    """Sentences such as *a green cap and a red coat*, and the names of both colours as numbers.

    Every second sentence is the one before it with its colours exchanged.
    """
    rng = torch.Generator().manual_seed(0)
    texts: list[str] = []
    colours: list[list[int]] = []
    while len(texts) < n:
        a, b = (SHARED[k] for k in torch.randperm(len(SHARED), generator=rng)[:2].tolist())
        hat = ("cap", "beanie")[int(torch.randint(2, (), generator=rng))]
        outfit = ("T-shirt", "hoodie", "jacket", "coat", "dress")[
            int(torch.randint(5, (), generator=rng))
        ]
        for first, second in ((a, b), (b, a)):
            texts.append(f"a {first} {hat} and a {second} {outfit}")
            colours.append([KINDS["hat colour"].index(first), KINDS["outfit colour"].index(second)])
    return texts[:n], torch.tensor(colours[:n])


def compare(seen: Int64[Tensor, "n kinds"], wanted: Int64[Tensor, "n 2"]) -> Colours:
    """Compare what a judge sees with the two colours of each sentence."""
    hat, outfit = (list(KINDS[kind]) for kind in ("hat colour", "outfit colour"))
    other = [[hat.index(outfit[b]), outfit.index(hat[a])] for a, b in wanted.tolist()]
    found = seen[:, PLACES]
    return Colours((found == wanted).all(dim=1), (found == torch.tensor(other)).all(dim=1))


def count(model: TextToImage, judge: AttributeJudge, n: int) -> Colours:
    """Draw one picture for each of n ``sentences``, and ask the judge."""
    texts, wanted = sentences(n)
    return compare(judge.attributes(draw(model, texts)), wanted)
