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

    With attributes for labels, every second held-out picture is in each half: a judge that had
    never met the pairs could not tell whether a model draws them.

    Raises:
        InputError: a file is missing or altered.
    """
    people = load_people()
    halves = (people.train, people.test)
    if labels == "class":
        outfit = list(KINDS).index("outfit")
        train, test = (Split(of.images, of.attributes[:, outfit]) for of in halves)
    elif labels == "sentences":
        train, test = (Captioned(of.images, of.attributes) for of in halves)
    else:
        train, test = (_with(of, people.held_out, first) for first, of in enumerate(halves))
    return ImageSet("people", train, test, KINDS["outfit"])


def _with(of: PeopleSplit, more: PeopleSplit, first: int) -> Split:
    """A split and every second picture of another."""
    images = torch.cat([of.images, more.images[first::2]])
    return Split(images, torch.cat([of.attributes, more.attributes[first::2]]))
