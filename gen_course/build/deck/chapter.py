"""The slides of a chapter: its slide cells with the outputs and the prose that they stand for.

A slide stands for the cells up to the next slide or the next ``## `` heading. Their pictures and
tables are those of the executed notebook; their prose becomes the speaker's notes.
"""

import base64
import io
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from PIL import Image

from gen_course.build import images, masters, places, solutions
from gen_course.build.deck import films
from gen_course.build.deck.text import MOST_WORDS, Block, SlideError, Text, count, parse

UNSHOWN = ("Quiz", "Exercises")  # sections without slides
EXPLORER = re.compile(r"^from gen_course\.\w+\.explorers import (.+)$", re.MULTILINE)


class Figure(NamedTuple):
    """A picture among the outputs of a chapter."""

    png: str
    """base64"""
    alt: str
    width: int
    """In pixels of the page, as the notebook shows it."""
    height: int
    explorer: bool = False


class Slide(NamedTuple):
    """A slide with all that it shows and says."""

    chapter: str
    section: str
    """The heading that it stands under; empty in the chapter's opening."""
    text: Text
    figures: tuple[Figure, ...] = ()
    tables: tuple[str, ...] = ()
    notes: str = ""
    fallback: bool = False

    @property
    def extra(self) -> bool:
        """Whether the chapter's deck can do without it."""
        return "extra" in self.text.tags

    @property
    def hour(self) -> bool:
        """Whether the deck of one hour shows it."""
        return "hour" in self.text.tags

    @property
    def tabular(self) -> bool:
        """Whether it shows a table of words."""
        texts = (block.value for block in self.text.blocks if block.kind == "text")
        return any(value.lstrip().startswith("|") for value in texts)

    @property
    def words(self) -> int:
        """The words that it shows, those of its tables too."""
        tables = [self.tables[int(b.value) - 1] for b in self.text.blocks if b.kind == "table"]
        return self.text.words + sum(map(count, tables))

    @property
    def explores(self) -> bool:
        """Whether it shows an explorer."""
        kinds = {block.kind: block.value for block in self.text.blocks}
        return "figure" in kinds and self.figures[int(kinds["figure"]) - 1].explorer


class Section(NamedTuple):
    """The slides under one heading; those of the chapter's opening have an empty one."""

    heading: str
    slides: tuple[Slide, ...]


class Chapter(NamedTuple):
    """A chapter as its deck shows it."""

    name: str
    title: str
    opening: str
    """The Markdown of the chapter's first cell."""
    sections: tuple[Section, ...]
    written: bool
    """Whether the master text has slide cells."""

    @property
    def slides(self) -> list[Slide]:
        """All slides in their order."""
        return [slide for section in self.sections for slide in section.slides]


@cache
def chapter(name: str) -> Chapter:
    """Read a chapter's slides from its master text and its executed notebook.

    Raises:
        SlideError: a slide does not keep to the form, asks for what is not there, or the notebook
            is older than the master text.
    """
    cells = solutions.chapter_cells(masters.with_slides(places.master(name)))
    _take_outputs(cells, name)
    written = any(solutions.tagged(cell, "slide") for cell in cells)
    title = cells[0].source.splitlines()[0].removeprefix("# ")
    parts = [_section(name, heading, part, written) for heading, part in _by_heading(cells)]
    found = tuple(part for part in parts if part.slides)
    slides = [slide for part in found for slide in part.slides]
    for level in (slides, [s for s in slides if not s.extra], [s for s in slides if s.hour]):
        _answered(level)
    return Chapter(name, title, cells[0].source, found, written)


def _take_outputs(cells: list[NotebookNode], name: str) -> None:
    """Give the code cells the outputs of the executed notebook."""
    file = places.notebook(name)
    done = nbformat.read(file, as_version=4).cells if file.is_file() else []
    done = [cell for cell in done if cell.cell_type == "code"]
    mine = [cell for cell in cells if cell.cell_type == "code"]
    if [cell.source for cell in mine] != [cell.source for cell in done]:
        raise SlideError(
            f"{name}: the notebook is older than its master text: run `make notebooks`."
        )
    for cell, executed in zip(mine, done, strict=True):
        cell.outputs = executed.outputs


def _by_heading(cells: list[NotebookNode]) -> Iterator[tuple[str, list[NotebookNode]]]:
    heading, part = "", list[NotebookNode]()
    for cell in cells:
        prose = cell.cell_type == "markdown" and not solutions.tagged(cell, "slide")
        if prose and (start := re.match(r"## (.+)", cell.source)):
            yield heading, part
            heading, part = start[1], []
        part.append(cell)
    yield heading, part


def _section(name: str, heading: str, cells: list[NotebookNode], written: bool) -> Section:
    starts = [k for k, cell in enumerate(cells) if solutions.tagged(cell, "slide")]
    if not starts:
        return Section(heading, tuple(_fallback(name, heading, cells, written)))
    slides = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(cells)], strict=True)):
        text = parse(cells[start].source, cells[start].metadata["tags"], name)
        prose = cells[0 if number == 0 else start : end]
        slide = _filled(Slide(name, heading, text), cells[start + 1 : end], prose)
        _check(slide, cells[start + 1 : end])
        slides.append(slide)
    return Section(heading, _shared(slides))


def _shared(slides: list[Slide]) -> tuple[Slide, ...]:
    """Give slides without prose of their own that of the slide after or, if there is none, before.

    Where slide cells follow one another, all have the prose that follows the last.
    """
    notes = [slide.notes for slide in slides]
    for number in reversed(range(len(notes) - 1)):
        notes[number] = notes[number] or notes[number + 1]
    for number in range(1, len(notes)):
        notes[number] = notes[number] or notes[number - 1]
    return tuple(slide._replace(notes=said) for slide, said in zip(slides, notes, strict=True))


def _fallback(name: str, heading: str, cells: list[NotebookNode], written: bool) -> Iterator[Slide]:
    """The heading and the first figure; a heading alone only where no slide is written at all."""
    if not heading or heading.startswith(UNSHOWN):
        return
    slide = _filled(Slide(name, heading, Text(heading)), cells, cells)._replace(fallback=True)
    if slide.figures or not written:
        blocks = (Block("figure", "1"),) if slide.figures else ()
        yield slide._replace(text=Text(heading, blocks, "", frozenset({"slide", "hour"})))


def _filled(slide: Slide, cells: list[NotebookNode], prose: list[NotebookNode]) -> Slide:
    """The slide with the outputs of the cells and, as its notes, the prose."""
    told = [
        cell.source
        for cell in prose
        if cell.cell_type == "markdown" and not solutions.tagged(cell, "slide")
    ]
    notes = re.sub(r"^## .+\n*", "", "\n\n".join(told), count=1)
    return slide._replace(
        figures=tuple(_figures(cells)), tables=tuple(_tables(cells)), notes=notes.strip()
    )


def _figures(cells: list[NotebookNode]) -> Iterator[Figure]:
    for cell in (cell for cell in cells if cell.cell_type == "code"):
        for output in cell.outputs:
            if png := output.get("data", {}).get("image/png"):
                shown = output.metadata["image/png"]
                png = images.without_note(png, shown.get("note", 0))
                size = Image.open(io.BytesIO(base64.b64decode(png))).size
                width = shown.get("width", size[0])
                height = round(width * size[1] / size[0])
                explorer = "explorers import" in cell.source
                yield Figure(png.strip(), shown["alt"], width, height, explorer)


def _tables(cells: list[NotebookNode]) -> Iterator[str]:
    for cell in (cell for cell in cells if cell.cell_type == "code"):
        for output in cell.outputs:
            data = output.get("data", {})
            if "text/html" in data and "image/png" not in data:
                yield data["text/html"]


def _check(slide: Slide, cells: list[NotebookNode]) -> None:
    """Refuse a slide that asks for what the cells that it stands for do not have."""
    where = f"{slide.chapter}, slide {slide.text.title!r}: "
    have = {"figure": len(slide.figures), "table": len(slide.tables)}
    for kind, value in slide.text.blocks:
        if kind in have and int(value) > have[kind]:
            raise SlideError(f"{where}its cells have {have[kind]} {kind}s, so no {kind} {value}.")
        if kind == "film" and value not in films.named(slide.chapter):
            raise SlideError(f"{where}the chapter's films.py has no film {value}.")
        if kind == "code":
            lines = {
                line.strip()
                for c in cells
                if c.cell_type == "code"
                for line in c.source.splitlines()
            }
            known = lines | {line.partition("  #")[0] for line in lines}  # without its comment
            if strange := [line for line in value.splitlines() if line.strip() not in known | {""}]:
                raise SlideError(f"{where}no code cell that it stands for has {strange[0]!r}.")
    if slide.words > MOST_WORDS:
        raise SlideError(f"{where}it has at most {MOST_WORDS} words, not {slide.words}.")


def _answered(slides: list[Slide]) -> None:
    """Refuse a prediction that no slide of its section follows."""
    followers = [*slides[1:], None][: len(slides)]
    for slide, after in zip(slides, followers, strict=True):
        answered = after is not None and after.section == slide.section
        if "predict" in slide.text.tags and not answered:
            raise SlideError(
                f"{slide.chapter}, slide {slide.text.title!r}: no slide follows with the answer."
            )
