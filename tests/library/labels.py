"""Small models of any kind, and noise of the kind that they learn from."""

from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from gen_lib.data.people import KINDS
from gen_lib.data.people.words import encode
from gen_lib.data.text import TokenBatch, TokenSplit
from gen_lib.models.base import Model

CONTEXT = 8
TEXT: dict[str, Any] = {"alphabet": "\n\ta\tb\tc", "context": CONTEXT}
TEXT |= {"width": 8, "layers": 1, "heads": 2}
SENTENCES = ("a person in a red hat", "초록 모자를 쓴 사람", "someone")


def labels_for(
    kind: type[Model], classes: Int64[Tensor, "n"]
) -> Int64[Tensor, "n"] | Int64[Tensor, "n words"]:
    """The classes; or, for a model that does not learn from them, one label for each class."""
    if kind.labels == "attributes":
        return classes[:, None] % torch.tensor([len(values) for values in KINDS.values()])
    if kind.labels == "sentences":
        return encode([SENTENCES[n % len(SENTENCES)] for n in classes.tolist()], 8)
    return classes


def small(
    kind: type[Model], image_shape: tuple[int, int, int] = (3, 8, 8), **settings: Any
) -> Model:
    """A model for pictures of this shape; or, of text, a small one with four tokens."""
    return kind(**TEXT) if kind.labels == "text" else kind(image_shape=image_shape, **settings)


def token_noise(n: int, rng: torch.Generator | None = None) -> TokenBatch:
    """n rows for a small model of text."""
    rows = torch.empty(n, CONTEXT + 1, dtype=torch.int64)
    return TokenBatch(rows.random_(len(TEXT["alphabet"].split("\t")), generator=rng))


def token_split(tokens: Int64[Tensor, "n"]) -> TokenSplit:
    """Tokens as a text from which rows start everywhere."""
    return TokenSplit("", tokens, torch.arange(len(tokens) - CONTEXT), CONTEXT)
