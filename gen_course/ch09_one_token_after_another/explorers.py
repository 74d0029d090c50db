"""Explorers of chapter 09: the next token, temperature, a tune that goes on, ask the course."""

import textwrap
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from html import escape
from itertools import islice
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import ImageColor
from torch import Tensor
from typing_extensions import override

from gen_course.ch09_one_token_after_another.figures import pitch_name, shown
from gen_course.ch09_one_token_after_another.music import WHOLE, notes_of, sound, wav
from gen_course.ch09_one_token_after_another.search import (
    Found,
    Search,
    course,
    plain,
    sentences,
)
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, TEXT, Canvas, png
from gen_course.common.explorer import (
    LABEL_WIDTH,
    Explorer,
    S,
    Size,
    choice,
    index_slider,
    shipped,
    slider,
    steps,
)
from gen_course.common.fonts import drawable, font
from gen_course.common.pad import Patches
from gen_lib import InputError
from gen_lib.data.text import END
from gen_lib.data.tunes import load_tunes
from gen_lib.models import GPT
from gen_lib.models.transformer import probabilities

BEGINNINGS = {  # of the text of each shipped model
    "austen": "It is a truth universally acknowledged, that a single",
    "names": "Mac",
    "korean": "웃는 ",
    "tunes": "6/8 67:6 | 69:6 71:6",
}
TEN = 10  # tokens that are shown
ROW = 29  # height of a row of bars
LETTERS = 1_000  # of a text that one may type
KEPT = 8  # states in a cache
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
Models = Callable[[str], GPT]


@cache
def _letter(letter: str) -> str:
    """The letter if a font has it, else a dot; looked up once, since a text repeats its letters."""
    return drawable(letter)


def readable(words: str) -> str:
    """The words, with a dot for each letter that no font has.

    >>> readable("Bag 가방"), readable("ꦲ")
    ('Bag 가방', '·')
    """
    return "".join(map(_letter, words))


class Page(Canvas):
    """A canvas for much text."""

    @override
    def text(
        self,
        words: str,
        left: int,
        top: int,
        color: str = INK,
        anchor: str = "la",
        size: int = TEXT,
    ) -> None:
        place, words = (self.scale * left, self.scale * top), readable(words)
        self.draw.text(place, words, color, font=font(self.scale * size, words), anchor=anchor)


class TextExplorer(Explorer[S]):
    """An explorer whose picture has much text."""

    @override
    def canvas(self, size: Size | None = None) -> Canvas:
        return Page(*(size or self.size), self.caption.density)


def label(token: str) -> str:
    """A token as it is shown, at most 14 letters of it; a jamo that ends a syllable is marked.

    >>> label(" of"), label("\\n"), label(chr(0x1100)), label(chr(0x11A8))
    ('␣of', '¶', 'ㄱ', 'ㄱ (end)')
    """
    number = ord(token) if len(token) == 1 else 0
    if 0x1100 <= number < 0x1100 + len(INITIALS):
        return INITIALS[number - 0x1100]
    if 0x1161 <= number <= 0x1175:
        return chr(0x314F + number - 0x1161)
    if 0x11A8 <= number < 0x11A8 + len(FINALS):
        return f"{FINALS[number - 0x11A8]} (end)"
    return readable(shown(token)[:14])


def read(model: GPT, text: str) -> Int64[Tensor, "tokens"]:
    """The tokens of a text, of which the first is a line end; ``¶`` is a line end, too.

    Raises:
        InputError: the text is too long, or the model has no token for a part of it.
    """
    if len(text) > LETTERS:
        raise InputError(f"The text has {len(text)} letters: shorten it to at most {LETTERS}.")
    if model.tokeniser.unit == "pieces":
        text = text.rstrip(" ")  # the space before a word is part of its first piece
    try:
        return model.tokeniser.encode(END + text.replace("¶", END))
    except InputError as error:  # without the list of all tokens, for which there is no room
        raise InputError(f"{str(error).split(', or write')[0]}.") from None


def written(model: GPT, tokens: Int64[Tensor, "tokens"]) -> str:
    """The text of tokens that begin with a line end, as a text box shows it."""
    return model.tokeniser.decode(tokens[1:]).replace(END, "¶")


def _given(models: Mapping[str, GPT] | None) -> Models:
    """The model of a name: one of these, or a shipped one."""
    return models.__getitem__ if models else lambda name: shipped(f"gpt-{name}", GPT)


def text_box(description: str) -> widgets.Text:
    """A wide box for a line of text, which is read when Enter is pressed."""
    return widgets.Text(
        description=description,
        continuous_update=False,
        style={"description_width": LABEL_WIDTH},
        layout=widgets.Layout(width="850px"),
    )


def _button(description: str, act: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=description)
    button.on_click(lambda _: act())
    return button


class NextState(NamedTuple):
    """The model, the text before the next token, and the head whose weights are shown."""

    model: str = "austen"
    text: str = BEGINNINGS["austen"]
    block: int = 1
    head: int = 0


class NextTokenExplorer(TextExplorer[NextState]):
    """Which token comes next, and at which earlier tokens does a head look?

    A click on a bar appends its token. A text that the model cannot read is answered in words.

    Args:
        models: by name; the shipped ones unless given.
    """

    def __init__(self, models: Mapping[str, GPT] | None = None):
        self.models, self.rng = _given(models), torch.Generator().manual_seed(0)
        names, self.past, self.answered = list(models or BEGINNINGS), list[str](), list[int]()
        self.seen, self.ten = lru_cache(KEPT)(self._seen), lru_cache(KEPT)(self._ten)
        self.bars = Patches(rows=TEN, columns=1, width=330, height=TEN * ROW)
        self.bars.label, self.bars.words = "The ten likeliest tokens", "chosen,append it"
        self.bars.observe(lambda change: self._choose(change["new"]), names="value")
        controls = {
            "model": choice("model", names),
            "text": text_box("text so far"),
            "block": steps("block", [("1", 0), ("2", 1)]),
            "head": steps("head", [("1", 0), ("2", 1)]),
        }
        super().__init__(NextState(), controls, Size(540, TEN * ROW), self.bars)
        controls["text"].observe(self._remember, names="value")

    @override
    def show(self, state: NextState) -> None:
        with self.together():
            self._offer(state.model)
            super().show(state)

    @override
    def reset(self) -> None:
        self.rng.manual_seed(0)
        super().reset()
        self.past.clear()

    @override
    def follow(self, name: str) -> None:
        if name == "model":
            self._offer(self.state.model)
            self.controls["text"].value = BEGINNINGS[self.state.model]

    def _offer(self, name: str) -> None:
        """As many blocks and heads as the model has."""
        config = self.models(name).config
        for control, n in (("block", config["layers"]), ("head", config["heads"])):
            before = self.controls[control].value or 0
            self.controls[control].options = [(str(k + 1), k) for k in range(n)]
            self.controls[control].value = min(before, n - 1)

    @override
    def panel(self) -> widgets.DOMWidget:
        model, text, block, head = (self.controls[name] for name in NextState._fields)
        one = _button("Draw one", lambda: self.draw(1))
        ten = _button("Draw ten", lambda: self.draw(10))
        undo = _button("Undo", self.undo)
        left, right = (model, block, head), (one, ten, undo, self.reset_button)
        columns = widgets.VBox(left), widgets.VBox(right)
        return widgets.VBox([text, widgets.HBox(columns)])

    @override
    def accompany(self, state: NextState) -> None:
        self.bars.background = self.ten(state.model, state.text, self.caption.density)

    @override
    def picture(self, state: NextState) -> UInt8[np.ndarray, "height width 3"]:
        tokens, _, looks = self.seen(state.model, state.text)
        names = self.models(state.model).tokeniser.tokens
        canvas, weights = self.canvas(), looks[state.block, state.head]
        head = f"block {state.block + 1}, head {state.head + 1}"
        words = f"dark: what {head} takes for the last place"
        canvas.text(words, 10, 2, FAINT)
        _write_shaded(canvas, [label(names[t]) for t in tokens[-len(weights) :]], weights)
        return canvas.pixels()

    @override
    def describe(self, state: NextState) -> str:
        tokens, p, looks = self.seen(state.model, state.text)
        names, weights = self.models(state.model).tokeniser.tokens, looks[state.block, state.head]
        best, most = int(p.argmax()), int(weights.argmax())
        entropy = -torch.special.xlogy(p, p).sum().item() / np.log(2)
        ten = p.topk(min(TEN, len(p))).values.sum()
        looked = label(names[int(tokens[-len(weights) :][most])])
        return (
            f"The likeliest of {len(p):,} tokens is {label(names[best])} ({p[best]:.1%}); the ten "
            f"shown have {ten:.1%} together. A draw costs {entropy:.1f} bits on average. Block "
            f"{state.block + 1}, head {state.head + 1} looks most at {looked} "
            f"({weights[most]:.0%}), token {most + 1} of {len(weights)}."
        )

    def draw(self, n: int) -> None:
        """Append n tokens that the model draws; nothing happens while the text cannot be read."""
        model = self.models(self.state.model)
        try:
            begun = read(model, self.state.text)
        except InputError:
            return
        new = [token[0] for token in islice(model.tokens(begun[None], self.rng), n)]
        self.controls["text"].value = written(model, torch.cat([begun, torch.stack(new)]))

    def undo(self) -> None:
        """Go back to the text before the last change."""
        if self.past:
            self.controls["text"].value = self.past.pop()
            self.past.pop()  # what this change has added

    def _remember(self, change: dict[str, str]) -> None:
        self.past = [*self.past[-99:], change["old"]]

    def _choose(self, rows: list[int]) -> None:
        if not rows:
            return
        # a click that comes while the kernel draws still holds the rows clicked before it
        row = next((row for row in rows if row not in self.answered), rows[0])
        self.bars.value, self.answered = [], rows
        model = self.models(self.state.model)
        try:
            begun, p, _ = self.seen(self.state.model, self.state.text)
        except InputError:
            return
        if row < len(p):
            token = p.argsort(descending=True)[row : row + 1]
            self.controls["text"].value = written(model, torch.cat([begun, token]))

    @torch.no_grad()
    def _seen(self, name: str, text: str) -> tuple[Tensor, Tensor, Tensor]:
        """The tokens, p of the next one, and for each block and head the weights of the last."""
        model = self.models(name)
        tokens, net, looks = read(model, text), model.net, list[Tensor]()
        h = net.token(tokens[None, -model.context :])
        for block in net.blocks:  # once for both, and the head for the last place alone
            looks.append(block.attention.weights(block.norm1(h))[0, :, -1])
            h = block(h)
        return tokens, net.head(net.norm(h[0, -1])).softmax(dim=0), torch.stack(looks)

    def _ten(self, name: str, text: str, density: int) -> bytes:
        """The bars of the ten likeliest tokens, for a screen of this density; none if none is."""
        canvas = Page(self.bars.width, self.bars.height, density)
        try:
            p = self.seen(name, text)[1]
        except InputError:
            p = torch.zeros(0)
        tokens = self.models(name).tokeniser.tokens
        for row, number in enumerate(p.argsort(descending=True)[:TEN].tolist()):
            _draw_bar(canvas, row, label(tokens[number]), [(p[number].item(), plots.MODEL)])
        return png(canvas.pixels())


def _draw_bar(
    canvas: Canvas, row: int, name: str, values: list[tuple[float, str]], top: int = 0
) -> None:
    """A row: a name, a bar for each value in [0, 1] with its colour, and the last value."""
    middle, room, height = top + row * ROW + ROW // 2, canvas.width - 170, 20 // len(values)
    canvas.text(name, 104, middle - 8, anchor="ra")
    for number, (value, color) in enumerate(values):
        upper = middle - 10 + number * height
        canvas.box(112, upper, 113 + round(room * value), upper + height, color)
    end = 118 + round(room * max(value for value, _ in values))
    canvas.text(f"{values[-1][0]:.1%}", end, middle - 8, FAINT)


def _write_shaded(canvas: Canvas, words: list[str], weights: Float[Tensor, "tokens"]) -> None:
    """Words in lines, each on a ground that is the darker, the larger its weight."""
    lines: list[list[int]] = [[]]
    widths = [round(font(TEXT, word).getlength(word)) + 6 for word in words]
    for number, width in enumerate(widths):
        if sum(widths[k] for k in lines[-1]) + width > canvas.width - 16:
            lines.append([])
        lines[-1].append(number)
    blue = np.array(ImageColor.getrgb(plots.DATA))
    for row, line in enumerate(lines[-((canvas.height - 30) // 22) :]):
        left, top = 10, 26 + 22 * row
        for k in line:
            share = weights[k].item() / max(weights.max().item(), 1e-9)
            r, g, b = (255 + share * (blue - 255)).astype(int)
            canvas.box(left, top, left + widths[k] - 1, top + 20, f"#{r:02x}{g:02x}{b:02x}")
            color = "white" if share > 0.55 else INK
            canvas.text(words[k], left + 3, top + 2, color)
            left += widths[k]


class TemperatureState(NamedTuple):
    """The model, the beginning of the texts, how they are drawn, and the seed."""

    model: str = "names"
    text: str = BEGINNINGS["names"]
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


class Texts(NamedTuple):
    """Texts that a model has drawn, and what they cost."""

    texts: list[str]
    bits: float
    """Per new token, by the model at temperature 1."""


class TemperatureExplorer(TextExplorer[TemperatureState]):
    """How do temperature, top-k and top-p change the probabilities, and the texts?

    Args:
        models: by name; the shipped ones unless given.
    """

    def __init__(self, models: Mapping[str, GPT] | None = None):
        self.models = _given(models)
        names = list(models) if models else ["names", "austen", "korean", "tunes"]
        self.drawn, self.logits = lru_cache(KEPT)(self._drawn_from), lru_cache(KEPT)(self._logits)
        sizes = (1, 2, 3, 5, 10, 20, 50)
        controls = {
            "model": choice("model", names),
            "text": text_box("beginning"),
            "temperature": slider("temperature", 0.0, 2.0, 0.1),
            "top_k": steps("top-k", [("all", 0), *((str(k), k) for k in sizes[::-1])]),
            "top_p": slider("top-p", 0.05, 1.0, 0.05),
            "seed": index_slider("seed", 19),
        }
        super().__init__(TemperatureState(), controls, Size(880, 24 + TEN * ROW))

    @override
    def follow(self, name: str) -> None:
        if name == "model":
            self.controls["text"].value = BEGINNINGS[self.state.model]

    @override
    def panel(self) -> widgets.DOMWidget:
        model, text, *drawing, seed = (self.controls[name] for name in TemperatureState._fields)
        left, right = (model, seed, self.reset_button), drawing
        return widgets.VBox([text, widgets.HBox([widgets.VBox(left), widgets.VBox(right)])])

    @override
    def picture(self, state: TemperatureState) -> UInt8[np.ndarray, "height width 3"]:
        canvas, tokens = self.canvas(), self.models(state.model).tokeniser.tokens
        before, after = self._probabilities(state)
        bars = self.canvas(Size(400, TEN * ROW))
        for row, number in enumerate(before.argsort(descending=True)[:TEN].tolist()):
            values = [(before[number].item(), "#BBBBBB"), (after[number].item(), plots.MODEL)]
            _draw_bar(bars, row, label(tokens[number]), values)
        canvas.picture.paste(bars.picture, (0, 24 * canvas.scale))
        canvas.text("next token: grey as learnt, colour as drawn", 10, 0, FAINT)
        kept = f"top-k {state.top_k or 'all'}, top-p {state.top_p:.2f}"
        words = f"drawn at temperature {state.temperature:.1f}, {kept}, seed {state.seed}"
        canvas.text(words, 430, 0, FAINT)
        for number, text in enumerate(self.drawn(state).texts):
            lines = textwrap.wrap(shown_text(text), 58)[:3] or ["(nothing)"]
            for row, line in enumerate(lines):
                canvas.text(line, 430, 28 + 58 * number + 18 * row)
        return canvas.pixels()

    @override
    def describe(self, state: TemperatureState) -> str:
        before, after = self._probabilities(state)
        kept, drawn = int((after > 0).sum()), self.drawn(state)
        different, had = len(set(drawn.texts)), before[after > 0].sum().item()
        return (
            f"Of {len(after):,} tokens {kept:,} can be drawn next, with {had:.1%} of the "
            f"probability as learnt. The five texts, {different} of them different, cost "
            f"{drawn.bits:.2f} bits a token by the model at temperature 1."
        )

    def _probabilities(self, state: TemperatureState) -> tuple[Tensor, Tensor]:
        """p of the next token as learnt, and as it is drawn."""
        logits = self.logits(state.model, state.text)
        return probabilities(logits)[0], probabilities(logits, **_settings(state))[0]

    @torch.no_grad()
    def _logits(self, name: str, text: str) -> Float[Tensor, "1 vocabulary"]:
        model = self.models(name)
        return model.net(read(model, text)[None, -model.context :])[:, -1]

    @torch.no_grad()
    def _drawn_from(self, state: TemperatureState) -> Texts:
        model, n = self.models(state.model), 5
        begun, length = read(model, state.text), 24 if model.lines else 12
        rng, start = torch.Generator().manual_seed(state.seed), len(begun)
        new, going = list[Tensor](), torch.ones(n, dtype=torch.bool)
        for token in islice(model.tokens(begun.repeat(n, 1), rng, **_settings(state)), length):
            new.append(token)
            going &= token != 0
            if model.lines and not going.any():  # nothing that follows would be shown
                break
        rows = torch.cat([begun.repeat(n, 1), torch.stack(new, dim=1)], dim=1)
        ends = [_end(row, start) if model.lines else rows.shape[1] for row in rows]
        texts = [written(model, row[:end]) for row, end in zip(rows, ends, strict=True)]
        logits = model.net(rows[:, -model.context - 1 : -1])[:, -len(new) :]
        log_p = logits.log_softmax(dim=2).gather(2, rows[:, start:, None])[:, :, 0]
        counted = torch.arange(start, rows.shape[1]) <= torch.tensor(ends)[:, None]
        return Texts(texts, -log_p[counted].mean().item() / np.log(2))


def shown_text(text: str) -> str:
    """A text with only the letters that the fonts have."""
    return readable(unicodedata.normalize("NFC", text))


def _settings(state: TemperatureState) -> dict[str, Any]:
    return {"temperature": state.temperature, "top_k": state.top_k, "top_p": state.top_p}


def _end(row: Int64[Tensor, "tokens"], start: int) -> int:
    """The place of the first line end from ``start`` on, or the end of the row."""
    ends = (row[start:] == 0).nonzero()
    return start + int(ends[0, 0]) if len(ends) else len(row)


KEYS = [pitch for pitch in range(84, 59, -1) if "♯" not in pitch_name(pitch)]  # C6 down to C4
EIGHTHS = 16  # columns of the grid
EIGHTH = WHOLE // 8
GRID = Size(384, 300)
OWN = "my own notes"


class RollState(NamedTuple):
    """The notes in the grid, or the tune that begins; how many tokens follow, and how drawn."""

    notes: tuple[int, ...] = ()
    tune: str = OWN
    more: int = 48
    temperature: float = 0.9
    seed: int = 0


def from_grid(places: tuple[int, ...]) -> str:
    """The notes of a grid as text: in each column the highest one, as an eighth.

    Args:
        places: row times 16 plus column of each note; row 0 is the highest.

    Raises:
        InputError: there is no note.
    """
    columns: dict[int, int] = {}
    for place in sorted(places):
        columns.setdefault(place % EIGHTHS, KEYS[place // EIGHTHS])
    if not columns:
        raise InputError("There is no note: click some places of the grid, or choose a tune.")
    parts = ["4/4"]
    for column in range(min(columns), max(columns) + 1):
        parts += ["|"] if column == 8 and len(parts) > 1 else []
        parts.append(f"{columns.get(column, 'r')}:{EIGHTH}")
    return " ".join(parts)


def _opening() -> tuple[int, ...]:
    """A few steps up and down from C."""
    heights = (60, 64, 67, 72, 71, 67, 69, 65, 64, 62, 64, 65)
    return tuple(sorted(KEYS.index(p) * EIGHTHS + n for n, p in enumerate(heights)))


class PianoRoll(TextExplorer[RollState]):
    """How does the model go on after your notes, or after the beginning of a tune?

    Args:
        model: a model of tunes; the shipped one unless given.
        tunes: texts of tunes by name, whose first two bars can be chosen; test tunes unless given.
    """

    def __init__(self, model: GPT | None = None, tunes: Mapping[str, str] | None = None):
        self.model = model or shipped("gpt-tunes", GPT)
        known = tunes or {tune.name: tune.text for tune in load_tunes().test[:8]}
        self.tunes = {name: _first_bars(text) for name, text in known.items()}
        self.played = lru_cache(KEPT)(self._played)
        self.audio = widgets.HTML(layout=widgets.Layout(height="60px", width="430px"))
        self.go_on = _button("Continue", self._go_on)
        grid = Patches(rows=len(KEYS), columns=EIGHTHS, width=GRID.width, height=GRID.height)
        grid.label, grid.words = "Keys from C6 down to C4, sixteen eighths", "a note,no note"
        controls = {
            "notes": grid,
            "tune": choice("begin with", [OWN, *self.tunes]),
            "more": steps("tokens written on", [(str(k), k) for k in (0, 24, 48, 64)]),
            "temperature": slider("temperature", 0.2, 1.6, 0.1),
            "seed": index_slider("seed", 19),
        }
        controls["seed"].continuous_update = False  # each new value writes a tune
        super().__init__(RollState(_opening()), controls, Size(490, GRID.height), grid)

    @override
    def follow(self, name: str) -> None:
        if name == "notes":
            self.controls["tune"].value = OWN

    @override
    def panel(self) -> widgets.DOMWidget:
        _, tune, more, temperature, seed = (self.controls[name] for name in RollState._fields)
        columns = (self.audio, tune, self.go_on), (more, temperature, seed, self.reset_button)
        return widgets.HBox([widgets.VBox(column) for column in columns])

    @override
    def accompany(self, state: RollState) -> None:
        notes = state.notes if state.tune == OWN else ()
        self.controls["notes"].background = grid_picture(notes, self.caption.density)
        try:
            source = b64encode(wav(sound(self.played(state)))).decode()
        except InputError:
            self.audio.value = ""
            return
        src = f"data:audio/wav;base64,{source}"
        self.audio.value = f'<audio controls aria-label="the tune" src="{src}"></audio>'

    @override
    def picture(self, state: RollState) -> UInt8[np.ndarray, "height width 3"]:
        text, given = self.played(state), len(notes_of(self.beginning(state)))
        notes, canvas = notes_of(text), self.canvas()
        pitches = [note.pitch for note in notes if note.pitch is not None]
        low, high = min([*pitches, 60]), max([*pitches, 72])
        end = max(notes[-1].start + notes[-1].length, WHOLE)
        high_of = (self.size.height - 30) / (high - low + 1)
        time = 0
        for part in text.split():
            if part == "|":
                x = 10 + round(470 * time / end)
                canvas.line([(x, 24), (x, self.size.height - 4)], "#CCCCCC")
            time += sum(note.length for note in notes_of(part))
        for number, note in enumerate(notes):
            if note.pitch is not None:
                left, top = 10 + 470 * note.start / end, 24 + high_of * (high - note.pitch)
                right = max(left + 2, 10 + 470 * (note.start + note.length) / end - 1)
                color = plots.DATA if number < given else plots.MODEL
                bottom = top + max(3, high_of - 1)
                canvas.box(round(left), round(top), round(right), round(bottom), color)
        canvas.text("given", 10, 2, plots.DATA)
        words = f"written by the model: {state.more} tokens, temperature {state.temperature:.1f}, "
        canvas.text(f"{words}seed {state.seed}", 60, 2, plots.MODEL)
        return canvas.pixels()

    @override
    def describe(self, state: RollState) -> str:
        given, all_notes = notes_of(self.beginning(state)), notes_of(self.played(state))
        new, begun = all_notes[len(given) :], sum(note.pitch is not None for note in given)
        pitches = [note.pitch for note in new if note.pitch is not None]
        if not pitches:
            return f"{begun} notes are given, and the model has written none: move a slider."
        white = sum("♯" not in pitch_name(pitch) for pitch in pitches)
        span = f"{pitch_name(min(pitches))} to {pitch_name(max(pitches))}"
        return (
            f"After {begun} given notes the model has written {len(pitches)}, from {span}; "
            f"{white} of them are white keys (temperature {state.temperature:.1f})."
        )

    def beginning(self, state: RollState) -> str:
        """The text that the model continues.

        Raises:
            InputError: there is no note.
        """
        return from_grid(state.notes) if state.tune == OWN else self.tunes[state.tune]

    def _go_on(self) -> None:
        """Write on, or write something else."""
        with self.together():
            if self.state.more:
                self.controls["seed"].value = (self.state.seed + 1) % 20
            else:
                self.controls["more"].value = 48

    def _played(self, state: RollState) -> str:
        rng, begun = torch.Generator().manual_seed(state.seed), self.beginning(state)
        if not state.more:
            return begun
        (text,) = self.model.write(begun, 1, rng, length=state.more, temperature=state.temperature)
        return text


@lru_cache(KEPT)
def grid_picture(notes: tuple[int, ...], density: int) -> bytes:
    """A PNG of the grid with these notes, for a screen of this density."""
    canvas = Page(*GRID, density)
    width, height = GRID.width // EIGHTHS, GRID.height // len(KEYS)
    for row, pitch in enumerate(KEYS):
        ground = "#E4E4E4" if pitch % 12 == 0 else "#F4F4F4"
        for column in range(EIGHTHS):
            left, top = column * width, row * height
            color = plots.DATA if row * EIGHTHS + column in notes else ground
            canvas.box(left, top, left + width - 1, top + height - 1, color)
        seen = "white" if row * EIGHTHS in notes else FAINT
        canvas.text(pitch_name(pitch), 3, row * height + 2, seen)
    canvas.line([(8 * width - 1, 0), (8 * width - 1, GRID.height)], FAINT, width=2)
    return png(canvas.pixels())


def _first_bars(text: str, bars: int = 2) -> str:
    """The metre and the notes before the third bar line."""
    return " | ".join(part.strip() for part in text.split("|")[: bars + 1])


class AskState(NamedTuple):
    """The question, and which of the sections found is read."""

    question: str = "why does a KL term collapse?"
    number: int = 0


class AskTheCourse(TextExplorer[AskState]):
    """Which sections of the course answer a question?

    Args:
        search: that over all chapters unless given.
    """

    def __init__(self, search: Search | None = None):
        self.search = search or course()
        self.found = lru_cache(KEPT)(self._found)
        self.links = widgets.HTML(layout=widgets.Layout(width="850px", height="32px"))
        controls = {
            "question": text_box("question"),
            "number": steps("read section", [(str(k + 1), k) for k in range(5)]),
        }
        super().__init__(AskState(), controls, Size(880, 380))

    @override
    def panel(self) -> widgets.DOMWidget:
        question, number = self.controls["question"], self.controls["number"]
        return widgets.VBox([question, widgets.HBox([number, self.reset_button]), self.links])

    @override
    def accompany(self, state: AskState) -> None:
        try:
            found = self.found(state.question)
        except InputError:
            found = []
        links = (
            f'<a href="{one.section.address}" target="_blank">{n}. '
            f"{escape(textwrap.shorten(plain(one.section.heading), 26, placeholder='…'))}</a>"
            for n, one in enumerate(found, 1)
        )
        self.links.value = "Open: " + " · ".join(links) if found else ""

    @override
    def picture(self, state: AskState) -> UInt8[np.ndarray, "height width 3"]:
        canvas, found = self.canvas(), self.found(state.question)
        number = min(state.number, len(found) - 1)
        for row, one in enumerate(found):
            top, chapter = 4 + 46 * row, one.section.chapter[:2]
            color = plots.MODEL if row == number else INK
            canvas.text(f"{row + 1}.  {chapter} · {plain(one.section.heading)}", 4, top, color)
            canvas.text(textwrap.shorten(one.sentence, 115, placeholder=" …"), 28, top + 20, FAINT)
        if found:
            canvas.line([(4, 240), (876, 240)], FAINT)
            words = textwrap.shorten(_passage(found[number]), 690, placeholder=" …")
            for row, line in enumerate(textwrap.wrap(words, 118)[:6]):
                canvas.text(line, 4, 250 + 20 * row)
        return canvas.pixels()

    @override
    def describe(self, state: AskState) -> str:
        found = self.found(state.question)
        if not found:
            return "No section shares a word with this question: try other words."
        best = found[0].section
        return (
            f"Best of the sections that share words with the question: "
            f"“{plain(best.heading)[:60]}” of chapter {best.chapter[:2]}. Below the line: what "
            f"section {min(state.number, len(found) - 1) + 1} says around its best sentence."
        )

    def _found(self, question: str) -> list[Found]:
        return self.search.find(question, 5)


def _passage(one: Found) -> str:
    """The sentences of the section from the best one on."""
    all_of_it = sentences(one.section.prose) or [one.sentence]
    start = all_of_it.index(one.sentence) if one.sentence in all_of_it else 0
    return " ".join(all_of_it[max(0, start - 1) : start + 6])
