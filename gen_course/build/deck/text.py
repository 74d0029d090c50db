"""The text of a slide, as a cell of the master text that carries the tag ``slide`` holds it.

    The ELBO touches log p(x) when q is the posterior

    {figure}

    ? Which of the two terms grows when q becomes narrow?

The first line is the title, a claim. Under it stands one thing: a figure, a table or a film of the
cells that follow, lines of their code, a formula, or a few words. A line that begins with ``?`` is
the question to ask the class. Words, lines and letters are limited, so that a slide stays a slide.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MOST_WORDS, MOST_TITLE, MOST_CODE, WIDEST_CODE = 35, 12, 12, 64
TAGS = {"slide", "hour", "extra", "steps", "predict"}
DIRECTIVE = re.compile(r"\{(.*)\}")
NAMED = re.compile(r"(?:(figure|table)(?: ([1-9]))?|(film) ([a-z]\w*))")
LARGE = ("figure", "table", "film", "code")
MATH = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.DOTALL)


class SlideError(ValueError):
    """A slide does not keep to the form, or asks for what its chapter does not have."""


class Block(NamedTuple):
    """A part of a slide's body."""

    kind: str
    """text, formula, figure, table, film or code"""
    value: str
    """Markdown, LaTeX, the number of a figure or table, the name of a film, or lines of code."""


class Text(NamedTuple):
    """What a slide says."""

    title: str
    blocks: tuple[Block, ...] = ()
    question: str = ""
    tags: frozenset[str] = frozenset({"slide"})

    @property
    def words(self) -> int:
        """Words of the title and the body; formulas and code do not count."""
        told = [block.value for block in self.blocks if block.kind == "text"]
        return count(self.title) + sum(map(count, told))


def count(markdown: str) -> int:
    """The words of a Markdown or HTML text, without its formulas.

    >>> count("The *loss* is $a + b$: two terms, see [chapter 01](01.ipynb).")
    8
    """
    plain = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", MATH.sub(" ", markdown))
    return sum(bool(re.search(r"\w", word)) for word in plain.split())


def parse(source: str, tags: Iterable[str] = ("slide",), where: str = "") -> Text:
    """Read the cell of a slide.

    Args:
        source: the cell's text.
        tags: the cell's tags.
        where: the name of the chapter, for messages.

    Raises:
        SlideError: the cell does not keep to the form.
    """
    title, *rest = source.strip("\n").split("\n")
    blocks: list[Block] = []
    questions: list[str] = []
    try:
        for kind, value in _blocks(rest):
            if kind == "question":
                questions.append(value)
            else:
                blocks.append(Block(kind, value))
        text = Text(title.strip(), tuple(blocks), " ".join(questions), frozenset(tags))
        _check(text, rest)
    except SlideError as error:
        raise SlideError(f"{where}, slide {title.strip()!r}: {error}") from None
    return text


def paragraphs(code: str) -> list[str]:
    """The steps of a slide's code: what blank lines separate."""
    return re.split(r"\n\s*\n", code)


def _blocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The kinds and values of a body's blocks; ``question`` for what to ask."""
    for fence, part in _fences(lines):
        if fence:
            yield "code", "\n".join(part)
            continue
        for paragraph in re.split(r"\n(?:\s*\n)+", "\n".join(part)):
            yield from _paragraph(paragraph.strip("\n"))


def _fences(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    """The lines inside and outside of fences, by turns."""
    part: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("```"):
            if not inside and line.strip() != "```python":
                raise SlideError("a fence begins with ```python.")
            yield inside, part
            inside, part = not inside, []
        else:
            part.append(line)
    if inside:
        raise SlideError("the fence of its code is not closed.")
    yield inside, part


def _paragraph(paragraph: str) -> Iterator[tuple[str, str]]:
    before, mark, question = re.match(  # type: ignore[union-attr]
        r"(.*?)(?:(^\? )(.*))?\Z", paragraph, re.DOTALL | re.MULTILINE
    ).groups()
    if before.strip():
        yield _block(before.strip("\n"))
    if mark:
        yield "question", " ".join(question.split())


def _block(paragraph: str) -> tuple[str, str]:
    if found := DIRECTIVE.fullmatch(paragraph.strip()):
        named = NAMED.fullmatch(found[1])
        if named is None:
            raise SlideError(
                f"there is no {{{found[1]}}}; use {{figure}}, {{table}}, {{film NAME}}."
            )
        picture, number, film, name = named.groups()
        return (film, name) if film else (picture, number or "1")
    if re.search(r"^#+ |^\{", paragraph, re.MULTILINE):
        raise SlideError("its body has a heading, or a directive that shares its paragraph.")
    if formula := re.fullmatch(r"\s*\$\$(.+?)\$\$\s*", paragraph, re.DOTALL):
        return "formula", formula[1].strip()
    return "text", paragraph


def _check(text: Text, rest: list[str]) -> None:
    if not re.match(r"[^\s#{$?`]|\$[^$]", text.title):
        raise SlideError("its first line must be its title, in plain words.")
    if text.title.endswith("."):
        raise SlideError("a title ends without a full stop.")
    if count(text.title) > MOST_TITLE:
        raise SlideError(f"a title has at most {MOST_TITLE} words, not {count(text.title)}.")
    if rest and rest[0].strip():
        raise SlideError("a blank line must follow the title.")
    if unknown := text.tags - TAGS:
        raise SlideError(f"there is no tag {', '.join(sorted(unknown))}.")
    if {"hour", "extra"} <= text.tags:
        raise SlideError("a slide of the one-hour deck cannot be extra.")
    large = [block.kind for block in text.blocks if block.kind in LARGE]
    if len(large) > 1:
        raise SlideError(f"it shows one thing, not {' and '.join(large)}.")
    if text.words > MOST_WORDS:
        raise SlideError(f"it has at most {MOST_WORDS} words, not {text.words}.")
    for code in (block.value for block in text.blocks if block.kind == "code"):
        lines = code.splitlines()
        if (long := sum(bool(line.strip()) for line in lines)) > MOST_CODE:
            raise SlideError(f"its code has at most {MOST_CODE} lines, not {long}.")
        if wide := [line for line in lines if len(line) > WIDEST_CODE]:
            raise SlideError(f"a line of code has at most {WIDEST_CODE} letters: {wide[0]}")
