"""Explorers of chapter 08: draw from a sentence, and dress a person in other clothes."""

from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from typing_extensions import override

from gen_course.common.canvas import FAINT, Canvas
from gen_course.common.explorer import (
    LABEL_WIDTH,
    Explorer,
    Size,
    choice,
    index_slider,
    shipped,
    slider,
)
from gen_lib.data.people import KINDS, NO_WORD, load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.people.words import (
    NOTHING,
    VOCABULARY,
    check_prompts,
    encode,
    parse,
    unknown_words,
)
from gen_lib.metrics import psnr
from gen_lib.models import AttributeJudge, TextToImage
from gen_lib.models.text_to_image import GUIDANCE

MODEL, JUDGE = "text-to-image", "people-judge"  # names of the shipped weights
BIG, SMALL, TOP = 288, 96, 24  # sides of pictures, and where they begin, in pixels of the page
SHOWN = 5  # states of the reverse process
CALLS = 40
SUGGESTED = (
    "a person with long red hair and glasses, wearing a blue coat",
    "a person with a green mohawk in a yellow T-shirt, on a pink background",
    "dark skin, white braids, a red hoodie, sunglasses",
    "a green hat and red overalls",
    "a red hat and green overalls",
    "노란색 비니를 쓰고 검은 코트를 입은 사람",
    "초록색 모히칸 머리에 분홍색 원피스, 하늘색 배경",
    "안경을 쓴 긴 하얀 머리의 사람",
)


class PromptState(NamedTuple):
    """The sentence, the number of the word whose map is shown, guidance weight, and seed."""

    prompt: str = SUGGESTED[0]
    word: int = 3
    weight: float = GUIDANCE
    seed: int = 0


class Drawing(NamedTuple):
    """A picture, estimates of it on the way, and the words of its sentence with their maps."""

    x: Float[Tensor, "c h w"]
    way: Float[Tensor, "states c h w"]
    words: list[str]
    maps: Float[Tensor, "words rows columns"]
    """Where each word is looked at, a mean over the way; the maps of a place sum to 1."""


class PromptExplorer(Explorer[PromptState]):
    """What does the model draw from a sentence, and which word does each place look at?

    Args:
        model: a model that reads words; the shipped one unless given.
        judge: the judge of attributes; the shipped one unless given.
    """

    def __init__(self, model: TextToImage | None = None, judge: AttributeJudge | None = None):
        self.model = model or shipped(MODEL, TextToImage)
        self.judge = judge or shipped(JUDGE, AttributeJudge)
        self.drawn = lru_cache(8)(self._drawn_from)
        controls = {
            "prompt": widgets.Combobox(
                description="sentence",
                options=SUGGESTED,
                continuous_update=False,
                style={"description_width": LABEL_WIDTH},
                layout=widgets.Layout(width="850px"),
            ),
            "word": index_slider("word", 19),
            "weight": slider("guidance weight w", 0.0, 6.0, 0.5),
            "seed": index_slider("seed", 19),
        }
        for name in ("weight", "seed"):
            controls[name].continuous_update = False  # each new value runs the sampler
        super().__init__(PromptState(), controls, Size(880, 346))

    @override
    def picture(self, state: PromptState) -> UInt8[np.ndarray, "height width 3"]:
        drawing = self.drawn(state.prompt, state.weight, state.seed)
        word = min(state.word, len(drawing.words) - 1)
        canvas = self.canvas()
        canvas.text("drawn from the sentence", 0, 0)
        canvas.image(drawing.x, 0, TOP, BIG)
        canvas.text(f"where it looks at “{drawing.words[word]}”", BIG + 8, 0)
        canvas.image(_lit(drawing.x, drawing.maps[word]), BIG + 8, TOP, BIG)
        canvas.text("from noise", 2 * BIG + 24, 0, FAINT)
        for number, x in enumerate(drawing.way):
            row, column = divmod(number, 2)
            left, top = 2 * BIG + 24 + column * (SMALL + 4), TOP + row * (SMALL + 4)
            canvas.image(x, left, top, SMALL)
        self._words(canvas, drawing.words, word)
        return canvas.pixels()

    @override
    def describe(self, state: PromptState) -> str:
        named = parse(state.prompt).attributes
        drawing = self.drawn(state.prompt, state.weight, state.seed)
        seen = self.judge.attributes(drawing.x[None])[0]
        asked = named != NO_WORD
        missed = [k for k, a, b in zip(KINDS, named, seen, strict=True) if a not in (NO_WORD, b)]
        wrong = f"; not {', '.join(missed)}" if missed else ""
        note = unknown_words([state.prompt])
        right = int((named == seen)[asked].sum())
        return f"The judge sees {right} of {int(asked.sum())} named attributes{wrong}. {note}"

    def _drawn_from(self, prompt: str, weight: float, seed: int) -> Drawing:
        check_prompts([prompt])
        rng, c = torch.Generator().manual_seed(seed), encode([prompt])
        c = c[:, c[0] > 0]
        states = [*self.model.states(1, rng, labels=c, guidance=weight, calls=CALLS)]
        with torch.no_grad():
            looks = [self.model.net.looks(s.x, s.t[None].float(), c) for s in states[:-1]]
            chosen = states[:: max(1, len(states) // SHOWN)][:SHOWN]
            way = self.model.decode(torch.cat([s.estimate.x_0 for s in chosen])).clamp(-1, 1)
            x = self.model.decode(states[-1].x)[0].clamp(-1, 1)
        words = [VOCABULARY[k] for k in c[0].tolist() if k != NOTHING]
        return Drawing(x, way, words, torch.cat(looks).mean(dim=0))

    def _words(self, canvas: Canvas, words: list[str], chosen: int) -> None:
        left = 0
        for number, word in enumerate(words):
            text = f"{number} {word}   "
            canvas.text(text, left, TOP + BIG + 10, FAINT if number != chosen else "#222222")
            left += 8 * len(text)


def _lit(x: Float[Tensor, "c h w"], weights: Float[Tensor, "rows columns"]) -> Tensor:
    """The picture, dark where a word is not looked at."""
    share = weights / weights.max()
    side = Image.fromarray(share.numpy()).resize((x.shape[2], x.shape[1]), Image.Resampling.BICUBIC)
    light = torch.from_numpy(np.array(side)).clamp(0, 1)
    return (x + 1) * (0.15 + 0.85 * light) - 1


class TryOnState(NamedTuple):
    """The person, and the clothes to wear."""

    person: int = 0
    outfit: str = "dress"
    colour: str = "yellow"
    seed: int = 0


class TryOnExplorer(Explorer[TryOnState]):
    """What would this person look like in other clothes?

    Args:
        model: a model that reads words; the shipped one unless given.
        judge: the judge of attributes; the shipped one unless given.
    """

    def __init__(self, model: TextToImage | None = None, judge: AttributeJudge | None = None):
        self.model = model or shipped(MODEL, TextToImage)
        self.judge = judge or shipped(JUDGE, AttributeJudge)
        self.people = load_people().outfits
        self.dressed = lru_cache(8)(self._dressed)
        controls = {
            "person": index_slider("person", 99),
            "outfit": choice("outfit", KINDS["outfit"]),
            "colour": choice("colour", KINDS["outfit colour"]),
            "seed": index_slider("seed", 9),
        }
        for name in ("person", "seed"):
            controls[name].continuous_update = False
        super().__init__(TryOnState(), controls, Size(880, 318))

    @override
    def picture(self, state: TryOnState) -> UInt8[np.ndarray, "height width 3"]:
        canvas, before = self.canvas(), self.people.before.x[state.person]
        mask = self.people.clothes[state.person]
        pictures = {
            "the person": before,
            "grey: redrawn": torch.where(mask, 0.0, before),
            f"in a {state.colour} {state.outfit}": self.dressed(state),
        }
        for column, (words, x) in enumerate(pictures.items()):
            canvas.text(words, column * (BIG + 8), 0)
            canvas.image(x, column * (BIG + 8), TOP, BIG)
        return canvas.pixels()

    @override
    def describe(self, state: TryOnState) -> str:
        seen = self.judge.attributes(self.dressed(state)[None])[0].tolist()
        kinds = list(KINDS)
        worn = {k: KINDS[k][seen[kinds.index(k)]] for k in ("outfit", "outfit colour")}
        before = self.people.before.attributes[state.person].tolist()
        same = sum(a == b for k, a, b in zip(kinds, seen, before, strict=True) if k not in worn)
        return (
            f"The judge sees a {worn['outfit colour']} {worn['outfit']}; of the person's "
            f"{len(kinds) - 2} other attributes it sees {same} as before."
        )

    def _dressed(self, state: TryOnState) -> Float[Tensor, "c h w"]:
        c = encode([f"a person in a {state.colour} {state.outfit}"])
        x, mask = self.people.before.x[[state.person]], self.people.clothes[[state.person]]
        rng = torch.Generator().manual_seed(state.seed)
        with torch.no_grad():
            return self.model.edit(x, c, rng, mask=mask)[0]
