"""A picture as a text: words, then 256 pixels of 16 x 16, each one of 64 colours.

That is the first way of DALL-E (Ramesh et al. 2021, arXiv:2102.12092): one transformer over the
tokens of a sentence and of a picture. DALL-E's picture tokens come from an autoencoder; here a
token is a pixel, and its colour one of a palette learnt from the training pictures.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gen_lib.data import to_float
from gen_lib.data.people import SIDE, PeopleSplit, load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.text import END, TextSet, text_set
from gen_lib.models import GPT

SMALL = 16
COLOURS = 64
CONTEXT = 300  # the longest sentence has 38 words and signs, and its picture 256 pixels
PICTURE = "="
"""The word between a sentence and its picture."""


@lru_cache(maxsize=1)
def palette() -> UInt8[Tensor, "colours 3"]:
    """The 64 colours into which the training pictures' pixels fall best (k-means)."""
    from sklearn.cluster import MiniBatchKMeans

    pixels = small(load_people().train.x[:400]).permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    found = MiniBatchKMeans(COLOURS, random_state=0, n_init=1).fit(pixels).cluster_centers_
    order = np.argsort(found.sum(axis=1))  # from dark to bright
    return ((torch.from_numpy(found[order]) + 1) * 127.5).round().to(torch.uint8)


def small(x: Float[Tensor, "n 3 side side"]) -> Float[Tensor, "n 3 small small"]:
    """Pictures of 48 x 48 pixels in [-1, 1], each 3 x 3 pixels averaged."""
    return avg_pool2d(x, SIDE // SMALL)


def to_colours(x: Float[Tensor, "n 3 small small"]) -> Int64[Tensor, "n pixels"]:
    """The nearest colour of the palette for each pixel, row by row."""
    pixels = x.permute(0, 2, 3, 1).reshape(-1, 3)
    return torch.cdist(pixels, to_float(palette())).argmin(dim=1).reshape(len(x), -1)


def to_picture(colours: Int64[Tensor, "n pixels"]) -> Float[Tensor, "n 3 side side"]:
    """Pictures of 48 x 48 pixels in [-1, 1] from colours, smoothly enlarged for the judge."""
    x = to_float(palette())[colours].unflatten(1, (SMALL, SMALL)).permute(0, 3, 1, 2)
    return interpolate(x, size=(SIDE, SIDE), mode="bicubic").clamp(-1, 1)


def words(sentence: str) -> str:
    """A sentence in small letters, with spaces between its words and signs."""
    return " ".join(sentence.lower().replace(",", " , ").split())


def as_lines(split: PeopleSplit, repeats: int, rng: torch.Generator) -> str:
    """For each picture, as often as asked, a line with a new English sentence and its pixels."""
    rows = (to_colours(small(part)) for part in split.x.split(500))
    colours = [" ".join(map(str, row)) for part in rows for row in part.tolist()]
    lines = []
    for _ in range(repeats):
        for sentence, row in zip(captions(split.attributes, "en", rng).texts, colours, strict=True):
            lines.append(f"{words(sentence)} {PICTURE} {row}{END}")
    return "".join(lines)


def picture_set(repeats: int = 3) -> TextSet:
    """The people of chapter 08 as a text of words and pixels."""
    rng, people = torch.Generator().manual_seed(0), load_people()
    train, test = as_lines(people.train, repeats, rng), as_lines(people.test, 1, rng)
    return text_set("people as text", train, test, "words", context=CONTEXT, lines=True)


@torch.no_grad()
def draw(
    model: GPT, sentences: list[str], rng: torch.Generator | None = None
) -> Float[Tensor, "n 3 side side"]:
    """One picture for each sentence, pixel by pixel; only colours can be drawn."""
    pixels = []
    numbers = torch.tensor([model.tokeniser.numbers[str(n)] for n in range(COLOURS)])
    for sentence in sentences:
        new = model.tokeniser.encode(f"{END}{words(sentence)} {PICTURE}")[None]
        row, memories = [], model.net.memories(model.context)
        for _ in range(SMALL**2):
            p = model.net(new, memories)[0, -1, numbers].softmax(dim=0)
            colour = int(torch.multinomial(p, 1, generator=rng))
            row.append(colour)
            new = numbers[colour].reshape(1, 1)
        pixels.append(row)
    return to_picture(torch.tensor(pixels))
