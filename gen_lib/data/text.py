r"""Texts as rows of tokens: characters, jamo, byte-pair pieces, words, or notes.

A transformer reads and writes numbers, one for each *token*. What a token stands for is a choice:

characters   one letter or sign each
jamo         the parts of a Hangul syllable: the decomposed form (NFD) of Unicode has one character
             for each, and the composed form (NFC) puts them together again
pieces       frequent strings of characters, found by byte-pair encoding (Gage 1994, "A new
             algorithm for data compression"; Sennrich et al. 2015, arXiv:1508.07909)
words        what stands between spaces
notes        such words of music: a pitch and a duration, a bar line, or a metre

Token 0 is always the line end. It stands before the first token of a text, so that a model also
learns how a text begins, and in a list of names it ends each of them.
"""

import lzma
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.images import data_folder
from gen_lib.files import check_files

Pair = tuple[int, int]
Unit = Literal["characters", "jamo", "pieces", "words", "notes"]
END = "\n"
ASCII = (END, *map(chr, range(32, 127)))
WORD = re.compile(r" ?\w+|\n| ?[^\w\s]+|\s")
"""What a piece stays inside: a word or signs, with the space before; a line end; or a space."""
TEXT_SETS = ("names", "austen", "korean", "tunes")
FILES = {
    "names.train.txt": "96685d515f3c286e52f8a6e6fd2ed1ad8de5221922f2697d60b20d8c33f50592",
    "names.test.txt": "11ae344eb304d148210c54f298c63c7e46fbd054a9cda154c4e170b9531a7011",
    "austen.train.txt.xz": "39e06546e671e8a81688464cb367dd503d24582514ad213d357d71ae9732b02b",
    "austen.test.txt.xz": "b6e895cb0efd10f394c1df082821906f20ff6791f9c5e20a3399064103e93a59",
    "korean.train.txt": "528a92754613ec77a6b0def926ce255e7cbcb889eb3b2bde62a75dc620945b8a",
    "korean.test.txt": "706387712afe5cde88b8cc932ecb4b088f97dd00edef69fecfaa100934f7a915",
}
"""The shipped files and their SHA-256."""
SHORT = 60  # a text whose lines all have at most so many tokens is a list, such as of names
PIECES = 2048  # tokens that byte-pair encoding learns, unless another number is given
CONTEXTS = {"names": 32, "austen": 128, "korean": 32, "tunes": 256}
"""Tokens that a model of each shipped text looks back at most."""


@dataclass(frozen=True)
class Tokeniser:
    """The tokens that a model knows, and the way between a text and their numbers.

    Pieces stand in the order in which they were learnt, after the single characters.
    """

    unit: Unit
    tokens: tuple[str, ...]

    def split(self, text: str) -> list[str]:
        """The tokens of a text, in order.

        >>> len(Tokeniser("jamo", ()).split("한"))  # one syllable
        3
        """
        text = unicodedata.normalize("NFD" if self.unit == "jamo" else "NFC", text)
        if self.unit in {"words", "notes"}:
            return [part for part in text.replace(END, f" {END} ").split(" ") if part]
        if self.unit == "pieces":
            return [piece for word in WORD.findall(text) for piece in self._pieces(word)]
        return list(text)

    def encode(self, text: str) -> Int64[Tensor, "tokens"]:
        """The number of each token.

        Raises:
            InputError: there is no token for a part of the text.
        """
        numbers, parts = self.numbers, self.split(text)
        if unknown := sorted({part for part in parts if part not in numbers}):
            raise InputError(
                f"The model knows no {', '.join(map(repr, unknown[:5]))}: leave it out, or write "
                f"with {self._some()}."
            )
        return torch.tensor([numbers[part] for part in parts], dtype=torch.int64)

    def decode(self, numbers: Int64[Tensor, "tokens"]) -> str:
        """The text of some numbers; jamo that form a syllable become one."""
        parts = [self.tokens[n] for n in numbers.tolist()]
        if self.unit in {"words", "notes"}:
            return re.sub(r" ?\n ?", END, " ".join(parts))
        return unicodedata.normalize("NFC", "".join(parts))

    @property
    def letters(self) -> "Tokeniser":
        """The same without pieces: what a bit is counted per."""
        if self.unit != "pieces":
            return self
        return Tokeniser("characters", tuple(token for token in self.tokens if len(token) == 1))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each token."""
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def _known(self) -> dict[str, tuple[str, ...]]:
        return {}  # pieces of the words met so far

    def _pieces(self, word: str) -> tuple[str, ...]:
        """Join neighbours in a word, always the pair that was learnt first, until none is left."""
        if word not in self._known:
            parts = list(word)
            while len(parts) > 1:
                pairs = ["".join(pair) for pair in pairwise(parts)]
                first = min(pairs, key=lambda pair: self.numbers.get(pair, len(self.tokens)))
                if first not in self.numbers:
                    break
                place = pairs.index(first)
                parts[place : place + 2] = [first]
            self._known[word] = tuple(parts)
        return self._known[word]

    def _some(self) -> str:
        known = [repr(token) for token in self.tokens if len(token) == 1 and token != END]
        return f"its {len(self.tokens)} tokens, such as {' '.join(known[:60] or self.tokens[1:9])}"


def learn_pieces(text: str, size: int = PIECES, characters: Sequence[str] = ()) -> tuple[str, ...]:
    """Tokens for a text by byte-pair encoding: its characters, and ``size`` less them of pieces.

    ``characters`` names further ones that other texts have.

    The most frequent pair of neighbours in a word becomes a new piece, again and again. Of pairs
    that are equally frequent the one of earlier tokens is taken.

    >>> learn_pieces("low lower lowest", 11)[-2:]  # of 9 characters, and then
    ('lo', 'low')
    """
    words = Counter(WORD.findall(text))
    tokens = [END, *sorted({*text, *characters} - {END})]
    numbers = {token: number for number, token in enumerate(tokens)}
    rows = [[numbers[letter] for letter in word] for word in words]
    times = list(words.values())
    counts: Counter[Pair] = Counter()  # how often two tokens are neighbours
    holders: defaultdict[Pair, set[int]] = defaultdict(set)  # the words in which they once were
    for n, row in enumerate(rows):
        for pair in pairwise(row):
            counts[pair] += times[n]
            holders[pair].add(n)
    while len(tokens) < size and (most := max(counts.values(), default=0)):
        best = min(pair for pair, count in counts.items() if count == most)
        for n in holders[best]:
            before, rows[n] = rows[n], _joined(rows[n], best, len(tokens))
            for pair in pairwise(before):
                counts[pair] -= times[n]
            for pair in pairwise(rows[n]):
                counts[pair] += times[n]
                holders[pair].add(n)
        tokens.append(tokens[best[0]] + tokens[best[1]])
    return tuple(tokens)


def _joined(row: list[int], pair: Pair, piece: int) -> list[int]:
    """Tokens in which each pair is replaced by a piece, from left to right."""
    out: list[int] = []
    for token in row:
        if out and (out[-1], token) == pair:
            out[-1] = piece
        else:
            out.append(token)
    return out


class TokenBatch(NamedTuple):
    """A minibatch: each row holds one more token than a model reads at once."""

    tokens: Int64[Tensor, "batch length"]


@dataclass(frozen=True)
class TokenSplit:
    """The training or the test half of a text; its first token is a line end before the text."""

    text: str
    tokens: Int64[Tensor, "n"]
    starts: Int64[Tensor, "m"]
    """The places where a row of a minibatch may start: every place, or in a list the line ends."""
    context: int

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, step: int, size: int, seed: int = 0) -> TokenBatch:
        """The minibatch of a training step: rows from places drawn by step and seed alone."""
        rng = torch.Generator().manual_seed(seed * 1_000_003 + step)
        first = self.starts[torch.randint(len(self.starts), (size,), generator=rng)]
        return TokenBatch(self.tokens[first[:, None] + torch.arange(self.context + 1)])


@dataclass(frozen=True)
class TextSet:
    """A text in two halves, and the tokeniser that turned both into numbers."""

    name: str
    train: TokenSplit
    test: TokenSplit
    tokeniser: Tokeniser
    lines: bool
    """Whether each line is a text of its own, such as a name or a tune."""
    context: int
    found: str = ""


def load_text(
    name: str, unit: Unit | None = None, *, pieces: int = PIECES, context: int | None = None
) -> TextSet:
    """Load a text by name, or a text file in UTF-8 by its path.

    Shipped are ``names`` (surnames), ``austen`` (six novels; whole chapters are for testing),
    ``korean`` (words and phrases) and ``tunes`` (folk tunes). Of a file the last tenth is for
    testing.

    Args:
        name: of a shipped text, or the path of a file.
        unit: of the tokens; by default pieces for ``austen``, jamo for ``korean``, notes for
            ``tunes``, and characters for all others.
        pieces: number of tokens, for the unit of that name.
        context: see ``text_set``; there is a default for each shipped text.

    Raises:
        InputError: there is no such text, a file is missing or altered, it is no text, or too
            short.
    """
    if name not in TEXT_SETS:
        file = Path(name).resolve()
        return text_set(str(file), *_halves(file), unit or "characters", pieces, context)
    train, test = (_shipped(name, half) for half in ("train", "test"))
    usual: dict[str, Unit] = {"austen": "pieces", "korean": "jamo", "tunes": "notes"}
    unit = unit or usual.get(name, "characters")
    context = context or CONTEXTS[name]
    return text_set(name, train, test, unit, pieces, context, lines=name != "austen")


def text_set(
    name: str,
    train: str,
    test: str,
    unit: Unit,
    pieces: int = PIECES,
    context: int | None = None,
    lines: bool | None = None,
) -> TextSet:
    """Turn the two halves of a text into tokens, those of both; pieces are learnt from ``train``.

    Args:
        name: of the text.
        train: what is learnt from; it ends with a line end.
        test: what is measured on.
        unit: of the tokens.
        pieces: number of tokens, for the unit of that name.
        context: tokens that a model looks back at most; 32 in a list of lines, else 128.
        lines: whether each line is a text of its own; if not given, it is when all are short.

    Raises:
        InputError: a half has fewer tokens than a row of a minibatch needs.
    """
    if lines is None:
        lines = max(map(len, train.split(END))) <= SHORT
    context = context or (32 if lines else 128)
    known = (END, *sorted({*Tokeniser(unit, ()).split(train + test)} - {END}))
    tokeniser = Tokeniser(unit, learn_pieces(train, pieces, known) if unit == "pieces" else known)
    of_train, of_test = (_split(name, text, tokeniser, lines, context) for text in (train, test))
    return TextSet(name, of_train, of_test, tokeniser, lines, context)


def _split(name: str, text: str, tokeniser: Tokeniser, lines: bool, context: int) -> TokenSplit:
    row = tokeniser.encode(END + text)
    if len(row) <= context + 1:
        raise InputError(
            f"{name} is too short: a part has {len(row)} tokens, and {context + 2} are needed. "
            "Give a longer text."
        )
    places = torch.arange(len(row) - context)
    starts = places[row[places] == 0] if lines else places
    return TokenSplit(text, row, starts, context)


def _shipped(name: str, half: str) -> str:
    if name == "tunes":
        from gen_lib.data.tunes import load_tunes

        return "".join(f"{tune.text}{END}" for tune in getattr(load_tunes(), half))
    folder, file = data_folder() / "text", f"{name}.{half}.txt"
    file = file if file in FILES else f"{file}.xz"
    check_files(folder, {file: FILES[file]})
    content = (folder / file).read_bytes()
    return (lzma.decompress(content) if file.endswith("xz") else content).decode()


def _halves(path: Path) -> tuple[str, str]:
    """A text file without its last tenth, and that tenth; split at a line end if possible."""
    try:
        text = path.read_text(encoding="utf-8-sig").replace("\t", " ").strip() + END
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: give a text file.") from None
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"{path} cannot be read as UTF-8 text ({error}): give a text file, or one of "
            f"{', '.join(TEXT_SETS)}."
        ) from None
    text = unicodedata.normalize("NFC", text)  # some systems write accents and jamo apart
    cut = len(text) * 9 // 10
    cut = text.find(END, cut, len(text) - 1) + 1 or cut
    return text[:cut], text[cut:]
