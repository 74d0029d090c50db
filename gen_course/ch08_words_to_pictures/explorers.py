"""Explorers of chapter 08: draw from a sentence, dress a person, in few calls, mix sentences."""

import textwrap
from functools import cache, lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import interpolate
from typing_extensions import override

from gen_course.ch08_words_to_pictures import studies_folder
from gen_course.common import plots
from gen_course.common.canvas import FAINT, TEXT, Canvas
from gen_course.common.explorer import (
    LABEL_WIDTH,
    Explorer,
    Size,
    choice,
    index_slider,
    shipped,
    slider,
    steps,
)
from gen_course.common.fonts import font
from gen_lib.data.people import KINDS, NO_WORD, load_people
from gen_lib.data.people.words import PAD, VOCABULARY, encode, parse, unknown_words
from gen_lib.models import AttributeJudge, TextToImage
from gen_lib.models.base import in_batches
from gen_lib.models.text_to_image import GUIDANCE
from gen_lib.samplers import DDIM, Estimate, last
from gen_lib.training.checkpoints import load

MODEL, JUDGE = "text-to-image", "people-judge"  # names of shipped weights
BIG, MEDIUM, SMALL = 288, 240, 96  # sides of pictures, in pixels of the page: multiples of 48
TOP = 24  # where pictures begin
GAP = 8
CALLS = 40  # of the model
KEPT = 8  # states in a cache
LETTERS = 235  # in a caption of two lines
DARKEST = 0.15  # share of its light that a place keeps if the word is not looked at
SUGGESTED = (
    "a red hat and a green coat",
    "a green hat and a red coat",
    "long red hair, glasses, a blue dress",
    "a green mohawk and a yellow T-shirt",
    "dark skin, white braids, a red hoodie",
    "노란색 비니, 검은 코트",
    "초록색 모히칸 머리, 분홍색 원피스",
    "긴 하얀 머리, 안경, 하늘색 배경",
)
Numbers = Int64[Tensor, "one words"]


def numbers(sentence: str) -> Numbers:
    """The numbers of the known words of a sentence; that of ``<nothing>``, if there are none."""
    c = encode([sentence])
    return c[:, c[0] != PAD]


@cache
def shipped_student() -> TextToImage:
    """The student of ``studies/few_steps.py``, which draws in few calls without guidance."""
    return load(studies_folder() / "few_steps.safetensors", TextToImage)


class PromptState(NamedTuple):
    """The sentence, the number of the word whose map is shown, guidance weight, and seed."""

    prompt: str = SUGGESTED[0]
    word: int = 1
    weight: float = GUIDANCE
    seed: int = 0


class Drawing(NamedTuple):
    """A picture, estimates of it on the way, and the words of its sentence with their maps."""

    x: Float[Tensor, "c h w"]
    way: Float[Tensor, "states c h w"]
    times: list[float]
    """The times of the estimates, from 1 (noise) down to 0."""
    words: list[str]
    maps: Float[Tensor, "words rows columns"]
    """Where each word is looked at, a mean over the way; the maps of a place sum to 1."""


class PromptExplorer(Explorer[PromptState]):
    """What does the model draw from a sentence, and which word does each place look at?

    Any text is a sentence. Words that the model does not know are named and left out; a text
    without known words, such as an empty one, says nothing, and the model draws anybody.

    Args:
        model: a model that reads words; the shipped one unless given.
        judge: the judge of attributes; the shipped one unless given.
    """

    def __init__(self, model: TextToImage | None = None, judge: AttributeJudge | None = None):
        self.model = model or shipped(MODEL, TextToImage)
        self.judge = judge or shipped(JUDGE, AttributeJudge)
        self.drawn = lru_cache(KEPT)(self._drawn_from)
        controls = {
            "prompt": widgets.Text(
                description="sentence",
                continuous_update=False,
                style={"description_width": LABEL_WIDTH},
                layout=widgets.Layout(width="850px"),
            ),
            "word": index_slider("word", len(SUGGESTED[0].split()) - 1),
            "weight": slider("guidance weight w", 0.0, 6.0, 0.5),
            "seed": index_slider("seed", 19),
        }
        for name in ("weight", "seed"):
            controls[name].continuous_update = False  # each new value runs the sampler
        self.offers = choice("or choose one", SUGGESTED)
        self.offers.observe(lambda change: self._take(change["new"]), names="value")
        super().__init__(PromptState(), controls, Size(880, 390))

    @override
    def show(self, state: PromptState) -> None:
        with self.together():
            self.controls["word"].max = self._last_word(state.prompt)
            super().show(state)

    @override
    def follow(self, name: str) -> None:
        if name == "prompt":
            self.controls["word"].max = self._last_word(self.state.prompt)

    @override
    def accompany(self, state: PromptState) -> None:
        self.offers.value = state.prompt if state.prompt in SUGGESTED else None

    @override
    def panel(self) -> widgets.DOMWidget:
        prompt, word, weight, seed = (self.controls[name] for name in PromptState._fields)
        left, right = (self.offers, word, self.reset_button), (weight, seed)
        return widgets.VBox([prompt, widgets.HBox([widgets.VBox(left), widgets.VBox(right)])])

    @override
    def picture(self, state: PromptState) -> UInt8[np.ndarray, "height width 3"]:
        drawing = self.drawn(state.prompt, state.weight, state.seed)
        word = min(state.word, len(drawing.words) - 1)
        canvas, right = self.canvas(), 2 * (BIG + GAP) + 16
        canvas.text("drawn from the sentence", 0, 0)
        canvas.image(drawing.x, 0, TOP, BIG)
        canvas.text(f"bright: looks at “{drawing.words[word]}”", BIG + GAP, 0)
        canvas.image(lit(drawing.x, drawing.maps[word]), BIG + GAP, TOP, BIG)
        canvas.text("estimates on the way from noise", right, 0)
        for number, (x, time) in enumerate(zip(drawing.way, drawing.times, strict=True)):
            row, column = divmod(number, 2)
            left, top = right + column * (SMALL + GAP), TOP + row * (SMALL + 26)
            canvas.image(x, left, top, SMALL)
            canvas.text(f"τ = {time:.2f}", left + SMALL // 2, top + SMALL + 2, FAINT, "ma")
        _write_words(canvas, drawing.words, word)
        return canvas.pixels()

    @override
    def describe(self, state: PromptState) -> str:
        drawing = self.drawn(state.prompt, state.weight, state.seed)
        named = parse(state.prompt).attributes
        word = min(state.word, len(drawing.words) - 1)
        seen = self.judge.attributes(drawing.x[None])[0]
        share = drawing.maps[word].mean().item()
        words = f"{_obeyed(seen, named)} “{drawing.words[word]}” takes {share:.2%} of all looks."
        told = f"{words} {unknown_words([state.prompt])}".strip()
        return textwrap.shorten(told, LETTERS, placeholder=" ….")

    def _take(self, offer: str | None) -> None:
        if offer is not None:
            self.controls["prompt"].value = offer

    @staticmethod
    def _last_word(prompt: str) -> int:
        return max(1, numbers(prompt).shape[1] - 1)

    def _drawn_from(self, prompt: str, weight: float, seed: int) -> Drawing:
        c, rng = numbers(prompt), torch.Generator().manual_seed(seed)
        calls = CALLS if weight else CALLS // 2  # equally many steps
        found = list(self.model.states(1, rng, labels=c, guidance=weight, calls=calls))
        looks = [self.model.net.looks(s.x, s.t[None].float(), c) for s in found[:-1]]
        places = np.linspace(0, len(found) - 2, 6).round().astype(int)
        chosen = [found[place] for place in places]
        with torch.no_grad():
            codes = torch.cat([s.estimate.x_0 for s in chosen] + [found[-1].x])
            *way, x = self.model.decode(codes).clamp(-1, 1)
        words = [VOCABULARY[number] for number in c[0].tolist()]
        times = [float(s.t) for s in chosen]
        return Drawing(x, torch.stack(way), times, words, torch.cat(looks).mean(dim=0))


def _obeyed(seen: Int64[Tensor, "kinds"], named: Int64[Tensor, "kinds"]) -> str:
    """A sentence on how many of the named attributes are seen, and which are not."""
    missed = [k for k, a, b in zip(KINDS, named, seen, strict=True) if a not in (NO_WORD, b)]
    asked = int((named != NO_WORD).sum())
    if not asked:
        return "The sentence names no attribute."
    wrong = f"; not the {', '.join(missed)}" if missed else ""
    return f"The judge sees {asked - len(missed)} of {asked} named attributes{wrong}."


def lit(
    x: Float[Tensor, "c h w"], weights: Float[Tensor, "rows columns"]
) -> Float[Tensor, "c h w"]:
    """A picture in [-1, 1], dark where the weights are far below their maximum."""
    light = interpolate((weights / weights.max())[None, None], x.shape[1:])[0]
    return (x + 1) * (DARKEST + (1 - DARKEST) * light) - 1


def _write_words(canvas: Canvas, words: list[str], chosen: int) -> None:
    """The numbered words in up to four lines under the two large pictures."""
    left, top = 0, TOP + BIG + 6
    for number, word in enumerate(words):
        text = f"{number} {word}"
        width = round(font(TEXT, text).getlength(text)) + 14
        if left + width > 2 * (BIG + GAP):
            left, top = 0, top + 18
        canvas.text(text, left, top, plots.MODEL if number == chosen else FAINT)
        left += width


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
        self.dressed = lru_cache(KEPT)(self._dressed)
        controls = {
            "person": index_slider("person", len(self.people.before) - 1),
            "outfit": choice("outfit", KINDS["outfit"]),
            "colour": choice("its colour", KINDS["outfit colour"]),
            "seed": index_slider("seed", 9),
        }
        for name in ("person", "seed"):
            controls[name].continuous_update = False  # each new value runs the sampler
        super().__init__(TryOnState(), controls, Size(880, 314))

    @override
    def picture(self, state: TryOnState) -> UInt8[np.ndarray, "height width 3"]:
        canvas, before = self.canvas(), self._before(state.person)
        mask = self.people.clothes[state.person]
        pictures = {
            f"person {state.person}": before,
            "grey: drawn anew": torch.where(mask, 0.0, before),
            f"the same person in {clothes(state.outfit, state.colour)}": self.dressed(state),
        }
        for column, (words, x) in enumerate(pictures.items()):
            canvas.text(words, column * (BIG + GAP), 0)
            canvas.image(x, column * (BIG + GAP), TOP, BIG)
        return canvas.pixels()

    @override
    def describe(self, state: TryOnState) -> str:
        answers = in_batches(self.judge.answers, self.dressed(state)[None])[0]
        shares = {
            kind: part.softmax(dim=0)
            for kind, part in zip(KINDS, answers.split(self.judge.sizes), strict=True)
        }
        seen = {kind: KINDS[kind][int(share.argmax())] for kind, share in shares.items()}
        sure = [shares[kind].max().item() for kind in ("outfit", "outfit colour")]
        before = self.people.before.attributes[state.person].tolist()
        was = {kind: KINDS[kind][k] for kind, k in zip(KINDS, before, strict=True)}
        others = [kind for kind in KINDS if not kind.startswith("outfit")]
        return (
            f"Before: {clothes(was['outfit'], was['outfit colour'])}. Now the judge sees "
            f"{clothes(seen['outfit'], seen['outfit colour'])} ({sure[0]:.1%} sure of the outfit, "
            f"{sure[1]:.1%} of its colour). Of the {len(others)} other attributes it sees "
            f"{sum(seen[kind] == was[kind] for kind in others)} as before."
        )

    def _before(self, person: int) -> Float[Tensor, "c h w"]:
        return self.people.before[slice(person, person + 1)].images[0]

    def _dressed(self, state: TryOnState) -> Float[Tensor, "c h w"]:
        c = numbers(f"a person in {clothes(state.outfit, state.colour)}")
        x, mask = self._before(state.person)[None], self.people.clothes[[state.person]]
        rng = torch.Generator().manual_seed(state.seed)
        return self.model.edit(x, c, rng, mask=mask, calls=CALLS)[0].detach()


HAIR = {  # where the colour stands; all other values are as "a red mohawk"
    **{kind: kind + " {} hair" for kind in ("short", "spiky", "curly", "long")},
    **{kind: "{} " + kind for kind in ("buns", "braids", "pigtails")},
}


def clothes(outfit: str, colour: str) -> str:
    """An outfit in words.

    >>> clothes("dress", "orange"), clothes("overalls", "red"), clothes("tie", "blue")
    ('an orange dress', 'red overalls', 'a blue shirt and tie')
    """
    name = "shirt and tie" if outfit == "tie" else outfit
    article = "" if outfit == "overalls" else "an " if colour == "orange" else "a "
    return f"{article}{colour} {name}"


class FewStepsState(NamedTuple):
    """What the sentence names, the number of network calls, the seed, and what stands beside."""

    background: str = "blue"
    hair: str = "long"
    hair_colour: str = "red"
    outfit: str = "dress"
    outfit_colour: str = "yellow"
    calls: int = 4
    seed: int = 0
    beside: str = "nothing"


class FewStepsExplorer(Explorer[FewStepsState]):
    """What does the student draw in few network calls, and the model in forty from that noise?

    Args:
        student: a model that needs few calls and no guidance; the shipped one unless given.
        model: the model that it learnt from; the shipped one unless given.
        judge: the judge of attributes; the shipped one unless given.
    """

    def __init__(
        self,
        student: TextToImage | None = None,
        model: TextToImage | None = None,
        judge: AttributeJudge | None = None,
    ):
        self.student = student or shipped_student()
        self.model = model or shipped(MODEL, TextToImage)
        self.judge = judge or shipped(JUDGE, AttributeJudge)
        self.quick, self.slow = lru_cache(KEPT)(self._quick), lru_cache(KEPT)(self._slow)
        kinds = ("background", "hair", "hair colour", "outfit", "outfit colour")
        named = {kind.replace(" ", "_"): _values(kind) for kind in kinds}
        controls = named | {
            "calls": steps("network calls", [(str(k), k) for k in range(1, 9)]),
            "seed": index_slider("seed", 19),
            "beside": choice("beside it", ("nothing", "the model, 40 calls")),
        }
        super().__init__(FewStepsState(), controls, Size(880, 366))

    @override
    def picture(self, state: FewStepsState) -> UInt8[np.ndarray, "height width 3"]:
        canvas, right = self.canvas(), 2 * (MEDIUM + GAP) + 16
        way, middle, below = self.quick(_alone(state)), MEDIUM + GAP, TOP + MEDIUM + 10
        canvas.text(f"the student, {_calls(state.calls)}", 0, 0)
        canvas.image(way[-1], 0, TOP, MEDIUM)
        if state.beside == "nothing":
            canvas.box(middle, TOP, middle + MEDIUM, TOP + MEDIUM, "#F4F4F4")
            place = middle + MEDIUM // 2, TOP + MEDIUM // 2 - 8
            canvas.text("“beside it” puts the model here", *place, FAINT, "ma")
        else:
            canvas.text(f"the model, {CALLS} calls", middle, 0)
            canvas.image(self.slow(sentence(state), state.seed), middle, TOP, MEDIUM)
        for number, x in enumerate(way):
            row, column = divmod(number, 3)
            left, top = right + column * (SMALL + GAP), TOP + row * (SMALL + 18)
            canvas.image(x, left, top, SMALL)
            canvas.text(f"call {number + 1}", left + SMALL // 2, top + SMALL + 1, FAINT, "ma")
        canvas.text("the student's estimate after each call", right, 0)
        for number, line in enumerate(textwrap.wrap(sentence(state), 62)):
            canvas.text(line, 0, below + 20 * number)
        return canvas.pixels()

    @override
    def describe(self, state: FewStepsState) -> str:
        way, named = self.quick(_alone(state)), parse(sentence(state)).attributes
        told = _obeyed(self.judge.attributes(way[-1:])[0], named)
        moved = _apart(way[-1], way[0])
        words = f"After {_calls(state.calls)}: {told[0].lower()}{told[1:]}"
        words += f" Since the first call, pixels moved by {moved:.2%} of their range on average."
        if state.beside == "nothing":
            return words
        away = _apart(way[-1], self.slow(sentence(state), state.seed))
        return f"{words} From the model's picture they are {away:.2%} away."

    def _quick(self, state: FewStepsState) -> Float[Tensor, "calls c h w"]:
        """The estimates after each call; the last one is the picture."""
        c, rng = numbers(sentence(state)), torch.Generator().manual_seed(state.seed)
        euler = DDIM(self.student.schedule, eta=0)
        found = self.student.states(1, rng, sampler=euler, calls=state.calls, labels=c)
        codes = torch.cat([s.estimate.x_0 for s in found][: state.calls])
        return in_batches(self.student.decode, codes).clamp(-1, 1).detach()

    def _slow(self, words: str, seed: int) -> Float[Tensor, "c h w"]:
        c, rng = numbers(words), torch.Generator().manual_seed(seed)
        options = {"calls": CALLS, "guidance": GUIDANCE}
        return self.model.sample(1, rng, labels=c, **options)[0].detach()


def sentence(state: FewStepsState) -> str:
    """The sentence of a state, which names five attributes.

    >>> sentence(FewStepsState())
    'a person with long red hair in a yellow dress on a blue background'
    """
    hair = HAIR.get(state.hair, "a {} " + state.hair).format(state.hair_colour)
    worn = clothes(state.outfit, state.outfit_colour)
    return f"a person with {hair} in {worn} on a {state.background} background"


def _values(kind: str) -> widgets.SelectionSlider:
    """A slider over the values of a kind of attribute: unlike a list, it can be dragged."""
    return widgets.SelectionSlider(
        description=kind,
        options=[(value.removesuffix(" shirt"), value) for value in KINDS[kind]],
        style={"description_width": LABEL_WIDTH},
        layout=widgets.Layout(width="420px"),
    )


def _alone(state: FewStepsState) -> FewStepsState:
    """What decides the student's picture."""
    return state._replace(beside="nothing")


def _calls(calls: int) -> str:
    return f"{calls} call{'s' if calls > 1 else ''}"


def _apart(x: Float[Tensor, "c h w"], y: Float[Tensor, "c h w"]) -> float:
    """The mean absolute difference of two pictures, as a share of the range of pixels."""
    return (x - y).abs().mean().item() / 2


ENDS = (
    "a yellow dress and long red hair",
    "blue overalls and a green mohawk",
    "a red hat and a green coat",
    "빨간 비니, 검은 코트",
    "하얀 단발 머리, 분홍색 후드티",
    "검은 땋은 머리, 선글라스",
)
PARTS = 10  # steps of s from 0 to 1
MIXED_CALLS = 8  # for each of the two sentences
ROW = 6  # pictures in a row


class BetweenState(NamedTuple):
    """Two sentences, the share s of the second one, and the seed."""

    at_0: str = ENDS[0]
    at_1: str = ENDS[1]
    s: float = 0.5
    seed: int = 0


class BetweenExplorer(Explorer[BetweenState]):
    """How does a picture change on the way from one sentence to another, from the same noise?

    Args:
        student: a model that needs few calls and no guidance; the shipped one unless given.
        judge: the judge of attributes; the shipped one unless given.
    """

    def __init__(self, student: TextToImage | None = None, judge: AttributeJudge | None = None):
        self.student = student or shipped_student()
        self.judge = judge or shipped(JUDGE, AttributeJudge)
        self.mixed = lru_cache(KEPT)(self._mixed)
        controls = {
            "at_0": choice("s = 0", ENDS),
            "at_1": choice("s = 1", ENDS),
            "s": slider("s", 0.0, 1.0, 1 / PARTS),
            "seed": index_slider("seed", 19),
        }
        controls["seed"].continuous_update = False  # each new value runs the sampler
        super().__init__(BetweenState(), controls, Size(880, TOP + MEDIUM))

    @override
    def picture(self, state: BetweenState) -> UInt8[np.ndarray, "height width 3"]:
        canvas, chosen = self.canvas(), round(state.s * PARTS)
        pictures = self.mixed(state.at_0, state.at_1, state.seed)
        canvas.text(f"s = {state.s:g}", 0, 0)
        canvas.image(pictures[chosen], 0, TOP, MEDIUM)
        for number, x in enumerate(pictures):
            row, column = divmod(number, ROW)
            left = MEDIUM + 28 + column * (SMALL + 6)
            top = TOP + row * (SMALL + 28)
            if number == chosen:
                canvas.box(left - 3, top - 3, left + SMALL + 3, top + SMALL + 3, plots.MODEL)
            canvas.image(x, left, top, SMALL)
            words, color = f"{number / PARTS:g}", plots.MODEL if number == chosen else FAINT
            canvas.text(words, left + SMALL // 2, top - 20, color, "ma")
        return canvas.pixels()

    @override
    def describe(self, state: BetweenState) -> str:
        pictures = self.mixed(state.at_0, state.at_1, state.seed)
        seen = self.judge.attributes(pictures[[round(state.s * PARTS)]])[0]
        counts = []
        for words in (state.at_0, state.at_1):
            named = parse(words).attributes
            asked = named != NO_WORD
            counts.append(f"{int((seen == named)[asked].sum())} of {int(asked.sum())}")
        told = f"At s = {state.s:g} the judge sees {counts[0]} attributes of the first sentence"
        told += f" and {counts[1]} of the second. "
        if state.at_0 == state.at_1:
            return told + "They are the same, so no picture changes."
        jumps = (pictures[1:] - pictures[:-1]).abs().mean(dim=(1, 2, 3)) / 2
        most = int(jumps.argmax())
        return told + (
            f"Neighbours differ most from s = {most / PARTS:g} to {(most + 1) / PARTS:g}: pixels "
            f"move by {jumps[most]:.2%} of their range, {jumps.mean():.2%} on average over s."
        )

    def _mixed(self, first: str, second: str, seed: int) -> Float[Tensor, "n c h w"]:
        """One picture for each s, all from the same noise."""
        n, ends = PARTS + 1, [numbers(words) for words in (first, second)]
        s = torch.linspace(0, 1, n)[:, None, None, None]

        def denoise(x: Tensor, t: Tensor) -> Estimate:
            a, b = (self.student.estimate(x, t, c.expand(n, -1)) for c in ends)
            return Estimate(a.x_0.lerp(b.x_0, s), a.eps.lerp(b.eps, s), 2)

        euler = DDIM(self.student.schedule, eta=0)
        eps = torch.randn(1, *self.student.shape, generator=torch.Generator().manual_seed(seed))
        times = euler.times(MIXED_CALLS)
        codes = last(euler.states(denoise, eps.expand(n, -1, -1, -1), times)).x
        return in_batches(self.student.decode, codes).clamp(-1, 1).detach()
