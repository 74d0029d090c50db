"""Write the lecturer's plan: ``python -m gen_course.build.lecturer``, by ``make notebooks``.

``lecturer.toml`` says what to show for how many minutes; ``notebooks/lecturer.md`` is written from
it. A section that does not exist and minutes that do not add up are errors.
"""

import ast
import builtins
import re
import symtable
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from nbformat import NotebookNode

from gen_course.build import masters, places, solutions
from gen_course.build.lecture_map import link, master, parts, section

PLAN = places.NOTEBOOKS / "lecturer.md"
LEVELS = ("core", "hour")  # of slides
HEAD = """# For the lecturer

The sections of the lecture *Generative Models*, the sections of the course that show them, and
minutes: for one hour, for two, and for six weeks of two hours.

`make slides` writes a deck of every chapter and one of each plan below to `build/slides/`, as
HTML that needs no network and, where there is a Chromium, as a PDF to hand out. In a deck, S opens
the presenter's view (what to say, the next slide, a clock that says how you keep to the minutes), D
changes between dark and light, F fills the screen. *Run it live* opens the section in JupyterLab
(`make lab`). A chapter's deck marks as *extra* what no plan shows.

To show a section live, open the chapter, run its set-up cell, and begin: nothing else of the
chapter is needed but, where one is named beside it, a section that trains.

Written by `make notebooks` from `gen_course/teaching/lecturer.toml`.
"""


class PlanError(ValueError):
    """The minutes do not add up, or there are no such slides."""


class Row(NamedTuple):
    """What to show, and for how long."""

    part: int
    """Number of the lecture's section, from 1."""
    at: str
    """chapter#section"""
    minutes: int
    todo: str


class Session(NamedTuple):
    """What is taught at one sitting."""

    title: str
    minutes: int
    questions: int
    rows: list[Row]
    slides: str = "core"
    """Which slides its deck shows: ``core``, or only those tagged ``hour``."""

    @property
    def deck(self) -> str:
        """The name of its deck's file.

        >>> Session("Six weeks, week 2: the variational autoencoder", 120, 10, []).deck
        'week_2'
        """
        short = self.title.partition(":")[0].rpartition(", ")[2]
        return re.sub(r"\W+", "_", short.lower())


def sessions() -> list[Session]:
    """The plan, read and checked.

    Raises:
        PlanError: the rows and the questions do not take as long as the session, or its slides
            are of no known level.
        MapError: a section does not exist.
    """
    read = tomllib.loads((places.TEACHING / "lecturer.toml").read_text(encoding="utf-8"))["session"]
    found = [Session(**{**one, "rows": [Row(*row) for row in one["rows"]]}) for one in read]
    for one in found:
        total = one.questions + sum(row.minutes for row in one.rows)
        if total != one.minutes:
            raise PlanError(f"{one.title}: {total} minutes, not {one.minutes}.")
        if one.slides not in LEVELS:
            raise PlanError(f"{one.title}: slides are {' or '.join(LEVELS)}, not {one.slides}.")
        for row in one.rows:
            chapter, _, heading = row.at.partition("#")
            section(_cells(chapter), heading)
    return found


def render() -> str:
    """The whole plan, in Markdown."""
    return HEAD + "".join(_table(one) for one in sessions())


def _table(one: Session) -> str:
    titles = [part.title for part in parts()]
    lines = [
        f"\n## {one.title}\n",
        f"Its deck: `build/slides/{one.deck}.html`.\n",
        "| The lecture | The course | Minutes | What to do | Run first |",
    ]
    lines += ["|---|---|---|---|---|"]
    before = 0
    for row in one.rows:
        title = titles[row.part - 1] if row.part != before else ""
        chapter, _, heading = row.at.partition("#")
        first = "; ".join(needs(chapter)[heading])
        cells = (title, link(chapter, heading), str(row.minutes), row.todo, first)
        lines.append(f"| {' | '.join(cells)} |")
        before = row.part
    lines += [f"| | Questions | {one.questions} | | |"]
    lines += [f"| | **Together** | **{one.minutes}** | | |"]
    return "\n".join(lines) + "\n"


@cache
def needs(chapter: str) -> dict[str, list[str]]:
    """For each section of a chapter, the earlier sections that must run before it, in order."""
    cells = [cell for cell in _cells(chapter) if cell.cell_type == "code"]
    known = {name for c in cells if solutions.tagged(c, "setup") for name in names(c.source)[1]}
    bound_in: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for heading, codes in sections(chapter):
        missing: set[str] = set()
        here = known.copy()
        for code in codes:
            used, bound = names(code)
            missing |= {bound_in[name] for name in used - here if name in bound_in}
            here |= bound
        missing |= {deeper for section in missing for deeper in found[section]}
        found[heading] = [earlier for earlier in found if earlier in missing]
        bound_in |= dict.fromkeys(here - known, heading)
    return found


def sections(chapter: str) -> Iterator[tuple[str, list[str]]]:
    """The headings of a chapter, each with the code cells under it.

    The code before the first heading (the set-up cell) comes first, with an empty heading.
    """
    heading, codes = "", list[str]()
    for cell in _cells(chapter):
        start = re.search(r"^## (.+)$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and start:
            yield heading, codes
            heading, codes = start[1], []
        elif cell.cell_type == "code":
            codes.append(cell.source)
    yield heading, codes


def names(code: str) -> tuple[set[str], set[str]]:
    """The names that a cell takes from earlier cells, and those that it assigns or adds to."""
    lines = (line for line in code.splitlines() if not line.lstrip().startswith(("%", "!")))
    code = "\n".join(lines)
    top = symtable.symtable(code, "cell", "exec")
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    tables, used = [top], set()
    for table in tables:
        tables += table.get_children()
        used |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global()}
    grown = {
        place.value.id
        for step in ast.parse(code).body
        if not isinstance(step, ast.FunctionDef | ast.ClassDef)
        for place in ast.walk(step)
        if isinstance(place, ast.Subscript)
        and isinstance(place.ctx, ast.Store)
        and isinstance(place.value, ast.Name)
    }
    return used - bound - set(dir(builtins)), bound | grown


@cache
def _cells(chapter: str) -> list[NotebookNode]:
    return masters.cells(master(chapter))


def main() -> None:
    """Write the plan."""
    PLAN.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
