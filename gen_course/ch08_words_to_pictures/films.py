"""Film of chapter 08: three people appear from noise, each as its sentence says."""

import torch

from gen_course.common.canvas import INK, Canvas
from gen_course.common.explorer import shipped
from gen_course.common.film import Film
from gen_lib.data.people.words import encode
from gen_lib.models import TextToImage
from gen_lib.models.base import in_batches
from gen_lib.samplers import DDIM

LETTERS = 26  # size of all words, in pixels of the film
SIDE, ACROSS, DOWN = 144, 186, 156  # a picture, and the steps from one to the next
TOP, LEFT = 44, 156  # the room for names
PEOPLE = {
    "green mohawk": "a person with a green mohawk, on a pink background",
    "red hat": "a person with a red hat and a blue coat",
    "노란 원피스": "노란 원피스를 입고 긴 검은 머리를 한 사람",
}


def appear() -> Film:
    """What the model sees, and what it takes for the picture, from noise to the end."""
    model = shipped("text-to-image", TextToImage)
    c, rng = encode(list(PEOPLE.values())), torch.Generator().manual_seed(0)
    way = {"labels": c, "guidance": 2.0, "calls": 20, "sampler": DDIM(model.schedule)}
    frames = []
    for state in model.states(len(PEOPLE), rng, **way):
        noisy, estimate = (
            in_batches(model.decode, z).clamp(-1, 1) for z in (state.x, state.estimate.x_0)
        )
        canvas = Canvas(LEFT + len(PEOPLE) * ACROSS, TOP + 2 * DOWN, scale=1)
        for row, (name, images) in enumerate((("noisy code", noisy), ("estimate", estimate))):
            top = TOP + row * DOWN
            canvas.text(name, 4, top + SIDE // 2, INK, "lm", LETTERS)
            for k, (words, x) in enumerate(zip(PEOPLE, images, strict=True)):
                left = LEFT + k * ACROSS + (ACROSS - SIDE) // 2
                canvas.image(x, left, top, SIDE)
                if row == 0:
                    canvas.text(words, left + SIDE // 2, 4, INK, "ma", LETTERS)
        frames.append(canvas.pixels())
    alt = (
        "Three people appear from noise, under the words green mohawk, red hat, and yellow dress "
        "in Korean. The estimates below show what is named from the first calls on."
    )
    return Film(frames, 0.4, alt)
