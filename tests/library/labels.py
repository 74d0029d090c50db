"""Labels for pictures of noise, of the kind that a model learns from."""

import torch
from jaxtyping import Int64
from torch import Tensor

from gen_lib.data.people import KINDS
from gen_lib.data.people.words import encode
from gen_lib.models.base import Model

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
