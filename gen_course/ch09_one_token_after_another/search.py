"""Search the course: which sections answer a question?

A section is what stands between two headings of a chapter. It is found by the words that it shares
with the question (BM25, Robertson & Zaragoza 2009, *The probabilistic relevance framework: BM25 and
beyond*, eq. 3.15): a word counts more if few sections have it, and less and less when a section
repeats it.

    score = sum over the question's words w of  idf(w) n(w) (k + 1) / (n(w) + k (1 - b + b length))

n(w) is how often the section has the word, and length that of the section, relative to the mean.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from jaxtyping import Float, Int64
from sklearn.feature_extraction.text import CountVectorizer

from gen_lib import InputError

HERE = Path(__file__).parent
OVERVIEWS = {"Summary", "Quiz", "Exercises"}  # they repeat or ask what other sections explain
HEADING_COUNTS = 3  # times a word of the text
ENDINGS = ("ies", "es", "s", "ing", "ed", "ly", "e")
K, B = 1.2, 0.5  # how soon a repeated word counts no more; how much a long section loses
LONGEST = 500  # letters of a question


class Section(NamedTuple):
    """A section of a chapter."""

    chapter: str
    """The name of the notebook, such as ``03_vae``."""
    title: str
    heading: str
    prose: str
    """Its text in Markdown."""
    beside: str
    """Its code, with the texts that describe its figures, and its slides."""

    @property
    def address(self) -> str:
        """The link from another notebook."""
        return f"{self.chapter}.ipynb#{quote(self.heading.replace(' ', '-'))}"

    @property
    def indexed(self) -> str:
        """All words by which it is found."""
        heading = f"{self.heading} " * HEADING_COUNTS
        return f"{self.title} {heading} {plain(self.prose)} {self.beside}"


class Found(NamedTuple):
    """A section that a search has found, its score, and the sentence most like the question."""

    section: Section
    score: float
    sentence: str


class Search:
    """A search over sections.

    Args:
        sections: what can be found.

    Raises:
        InputError: there is no section.
    """

    def __init__(self, sections: Sequence[Section]):
        if not sections:
            raise InputError("There is no section to search: give at least one.")
        self.sections = tuple(sections)
        self.counter = CountVectorizer(analyzer=stems)
        counts = self.counter.fit_transform(section.indexed for section in sections)
        self.weights = bm25(counts.toarray())

    def find(self, question: str, n: int = 5) -> list[Found]:
        """The n best sections, best first; fewer if fewer share a word with the question.

        Raises:
            InputError: the question is empty, or longer than 500 letters.
        """
        if not question.strip():
            raise InputError("The question is empty: type some words.")
        if len(question) > LONGEST:
            raise InputError(
                f"The question has {len(question)} letters: write it in at most {LONGEST}."
            )
        asked = self.counter.transform([in_english(question)]).toarray()[0] > 0
        scores = self.weights[:, asked].sum(axis=1)
        best = np.argsort(-scores, kind="stable")[:n]
        return [
            Found(self.sections[i], float(scores[i]), self._sentence(self.sections[i], asked))
            for i in best
            if scores[i] > 0
        ]

    def _sentence(self, section: Section, asked: np.ndarray) -> str:
        """The sentence of the section with most of the question's words, weighted by rarity."""
        found = sentences(section.prose)
        if not found:
            return section.heading
        counts = self.counter.transform(found).toarray()[:, asked]
        rarity = self.weights[:, asked].max(axis=0)
        return found[int(((counts > 0) @ rarity).argmax())]


def bm25(counts: Int64[np.ndarray, "sections words"]) -> Float[np.ndarray, "sections words"]:
    """What each word adds to the score of each section, from how often it stands there."""
    n, have = len(counts), (counts > 0).sum(axis=0)
    rarity = np.log(1 + (n - have + 0.5) / (have + 0.5))
    length = counts.sum(axis=1, keepdims=True) / counts.sum() * n
    return rarity * counts * (K + 1) / (counts + K * (1 - B + B * length))


def stems(text: str) -> list[str]:
    """The words of a text in small letters, without endings.

    >>> stems("Sampling: a model samples")
    ['sampl', 'a', 'model', 'sampl']
    """
    return [_stem(word) for word in re.findall(r"\w+", text.lower())]


def _stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def in_english(question: str) -> str:
    """The question, and after it the English words for its Korean ones.

    Korean words of one syllable, such as 한 (one), are left out: they stand in the course only as
    examples of Hangul.

    >>> in_english("판별자가 한 번?")
    '판별자가  ? discriminator'
    """
    found = [re.sub(r"\b[가-힣]\b", "", question)]
    for word in re.findall(r"[가-힣]+", question):
        jamo = unicodedata.normalize("NFD", word)
        meant = {start: english for start, english in _korean().items() if jamo.startswith(start)}
        found += meant[max(meant, key=len)] if meant else ()
    return " ".join(found)


@cache
def _korean() -> dict[str, list[str]]:
    """The English words for the beginnings of Korean words, in jamo."""
    table = tomllib.loads((HERE / "korean.toml").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for english, beginnings in table.items():
        for start in beginnings.split():
            found.setdefault(unicodedata.normalize("NFD", start), []).append(english)
    return found


def plain(markdown: str) -> str:
    """A text without marks, tags and addresses.

    >>> plain("The **prior** of [chapter 03](03_vae.ipynb), `p(z)`")
    'The prior of chapter 03, p(z)'
    """
    text = re.sub(r"\[([^\]]*)\]\([^)\s]*\)", r"\1", markdown)
    return re.sub(r"<[^>]+>|[*`]", "", text)


def sentences(markdown: str) -> list[str]:
    """The sentences of a text, without tables and without formulas in lines of their own.

    >>> sentences("One. **Two**\\nlines?\\n\\n$$x$$\\n\\n| a table |\\n\\n- Three")
    ['One.', 'Two lines?', 'Three']
    """
    text = re.sub(
        r"\$\$.*?\$\$|```.*?```|^\|[^\n]*$", "\n\n", markdown, flags=re.DOTALL | re.MULTILINE
    )
    blocks = re.split(r"\n\s*\n|\n(?=\s*- )", plain(text))
    parts = (" ".join(re.sub(r"^[\s>-]+", "", block).split()) for block in blocks)
    return [one for part in parts for one in re.split(r"(?<=[.?!])\s+(?=[A-Z])", part) if one]


def sections() -> list[Section]:
    """All sections of the chapters that there are, in their order, but for the overviews."""
    chapters = sorted(HERE.parent.glob("ch*/chapter.py"))
    return [section for file in chapters for section in _sections(file)]


def _sections(file: Path) -> Iterator[Section]:
    """The sections of a master text below its title."""
    prose, beside, headings = [""], [""], [""]
    for head, text in _cells(file):
        if "[markdown]" not in head or '"slide"' in head:
            beside[-1] += text
            continue
        first, *others = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
        prose[-1] += first
        headings += others[::2]
        prose += others[1::2]
        beside += [""] * (len(others) // 2)
    name, title = file.parent.name.removeprefix("ch"), headings[1]
    for heading, words, around in list(zip(headings, prose, beside, strict=True))[2:]:
        if heading not in OVERVIEWS:
            yield Section(name, title, heading, words, around)


def _cells(file: Path) -> Iterator[tuple[str, str]]:
    """The first line and the text of each cell."""
    for cell in re.split(r"^# %%", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, text = cell.partition("\n")
        yield head, re.sub(r"^# ?", "", text, flags=re.MULTILINE) if "[markdown]" in head else text


@cache
def course() -> Search:
    """The search over the whole course, made once."""
    return Search(sections())


class Question(NamedTuple):
    """A question, and the sections that answer it."""

    ask: str
    chapter: int
    sections: list[str]


def questions() -> list[Question]:
    """Forty questions that were written before there was a search."""
    table = tomllib.loads((HERE / "questions.toml").read_text(encoding="utf-8"))
    return [Question(**one) for one in table["question"]]


def score(asked: Sequence[Question], search: Search | None = None) -> dict[str, int]:
    """How often a right section is the first, or among the first three or ten.

    Args:
        asked: the questions.
        search: that over the whole course unless given.
    """
    ranks = [_rank(one, (search or course()).find(one.ask, 10)) for one in asked]
    limits = {"first": 1, "first three": 3, "first ten": 10}
    return {name: sum(rank < n for rank in ranks) for name, n in limits.items()}


def _rank(question: Question, found: Sequence[Found]) -> int:
    """How many sections stand before the first right one; all, if none is right."""
    for rank, one in enumerate(found):
        chapter = int(one.section.chapter.partition("_")[0])
        if chapter == question.chapter and one.section.heading in question.sections:
            return rank
    return 10
