"""Write the glossary: ``python -m gen_course.build.glossary``, by ``make notebooks``.

A chapter marks a term at its first use: ``**term** (한국어)``. ``glossary.toml`` holds the meaning
of each term. ``notebooks/glossary.md`` is written from the chapters and from this file. A term
without a meaning, a meaning without a term and a term that is marked twice are errors.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from gen_course.build import masters, places
from gen_course.build.lecture_map import HEADING, link

GLOSSARY = places.NOTEBOOKS / "glossary.md"
MARKED = re.compile(r"\*\*(?:\d\. )?(?:[Aa]n? )?([^*\n]+)\*\*\s\(((?:[A-Za-z]+[- ])?[가-힣][^;)]*)")
HEAD = """# Glossary

The terms of the lecture *Generative Models* with its Korean words, and those of chapters 08 and 09
with the usual ones: what they mean in this course, and the section that uses each first.

Written by `make notebooks` from the chapters and `gen_course/teaching/glossary.toml`.

| Term | 한국어 | Symbol | Meaning | Where |
|---|---|---|---|---|
"""


class GlossaryError(ValueError):
    """A term has no meaning, a meaning has no term, or a term is marked twice."""


class Term(NamedTuple):
    """A term as a chapter marks it."""

    english: str
    korean: str
    chapter: str
    heading: str

    @property
    def key(self) -> str:
        """The term's name in ``glossary.toml``."""
        return self.english.replace(" ", "-")


def marked(text: str, chapter: str) -> Iterator[Term]:
    """The terms that the text of a chapter marks, each with the heading above it."""
    headings = list(HEADING.finditer(text))
    for term in MARKED.finditer(text):
        above = [heading[2] for heading in headings if heading.start() < term.start()]
        english = term[1] if term[1][1:2].isupper() else term[1][0].lower() + term[1][1:]
        yield Term(english, " ".join(term[2].split()), chapter, above[-1])


def terms() -> list[Term]:
    """All terms in alphabetical order.

    Raises:
        GlossaryError: a term is marked twice.
    """
    found: list[Term] = []
    for chapter in places.chapters():
        cells = masters.cells(places.master(chapter))
        prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        found += marked(prose, chapter)
    counts = Counter(term.key for term in found)
    if twice := [key for key, count in counts.items() if count > 1]:
        raise GlossaryError(f"Marked more than once: {', '.join(twice)}.")
    return sorted(found, key=lambda term: term.english.lower())


def render() -> str:
    """The whole glossary, in Markdown.

    Raises:
        GlossaryError: a marked term has no meaning, or a meaning has no marked term.
    """
    found = terms()
    meanings = tomllib.loads((places.TEACHING / "glossary.toml").read_text(encoding="utf-8"))
    if alone := {term.key for term in found} ^ set(meanings):
        raise GlossaryError(f"Marked, or explained, but not both: {', '.join(sorted(alone))}.")
    return HEAD + "".join(_row(term, **meanings[term.key]) for term in found)


def _row(term: Term, meaning: str, symbol: str = "") -> str:
    cells = (term.english, term.korean, symbol, meaning, link(term.chapter, term.heading))
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Write the glossary."""
    GLOSSARY.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
