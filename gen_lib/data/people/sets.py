"""The people as a data set for training, with one of three kinds of labels."""

from dataclasses import dataclass
from typing import Literal

import torch
from typing_extensions import override

from gen_lib.data.images import Batch, ImageSet, Split
from gen_lib.data.people import KINDS, PeopleSplit, load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.people.words import encode

LENGTH = 34  # words; no caption has more than 33

Labelled = Literal["class", "attributes", "sentences"]
"""One outfit of eight; or the values of all kinds, (n, kinds); or the numbers of words, (n, words).
"""


@dataclass(frozen=True)
class Captioned(Split):
    """Pictures and their attributes; each minibatch has sentences drawn anew, as numbers."""

    @override
    def batch(self, step: int, size: int, seed: int = 0) -> Batch:
        """The minibatch of a training step; its sentences depend on step and seed alone."""
        images, attributes = super().batch(step, size, seed)
        rng = torch.Generator().manual_seed(seed * 1_000_003 + step)
        return Batch(images, encode(captions(attributes, "both", rng).texts, LENGTH))


def people_set(labels: Labelled = "class") -> ImageSet:
    """The people that are trained on and those that are not, with labels of the kind given.

    Raises:
        InputError: a file is missing or altered.
    """
    people = load_people()

    def split(of: PeopleSplit) -> Split:
        if labels == "class":
            return Split(of.images, of.attributes[:, list(KINDS).index("outfit")])
        return (Captioned if labels == "sentences" else Split)(of.images, of.attributes)

    return ImageSet("people", split(people.train), split(people.test), KINDS["outfit"])
