"""The lecturer's plan: ``python notebooks/lecturer.py``, which ``make notebooks`` calls.

``lecturer.toml`` says what to show for how many minutes; ``lecturer.md`` is written from it. A
section that does not exist and minutes that do not add up are errors.
"""

import tomllib
from functools import cache
from typing import NamedTuple

import jupytext
from build import HERE
from lecture_map import link, master, parts, section
from nbformat import NotebookNode

PLAN = HERE / "lecturer.md"
HEAD = """# For the lecturer

The sections of the lecture *Generative Models*, the sections of the course that show them, and
minutes: for one hour, for two, and for four weeks of two hours.

`make slides` writes a deck of every chapter to `build/slides/`; the decks need no network.

Written by `make notebooks` from `lecturer.toml`.
"""


class PlanError(ValueError):
    """The minutes do not add up."""


class Row(NamedTuple):
    """What to show, and for how long."""

    part: int
    """Of the lecture, from 1."""
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


def sessions() -> list[Session]:
    """The plan, checked.

    Raises:
        PlanError: the rows and the questions do not take as long as the session.
        MapError: a section does not exist.
    """
    read = tomllib.loads((HERE / "lecturer.toml").read_text(encoding="utf-8"))["session"]
    found = [Session(**{**one, "rows": [Row(*row) for row in one["rows"]]}) for one in read]
    for one in found:
        total = one.questions + sum(row.minutes for row in one.rows)
        if total != one.minutes:
            raise PlanError(f"{one.title}: {total} minutes, not {one.minutes}.")
        for row in one.rows:
            chapter, _, heading = row.at.partition("#")
            section(_cells(chapter), heading)
    return found


def render() -> str:
    """The whole plan, in Markdown."""
    return HEAD + "".join(_table(one) for one in sessions())


def _table(one: Session) -> str:
    titles = [part.title for part in parts()]
    lines = [f"\n## {one.title}\n", "| The lecture | The course | Minutes | What to do |"]
    lines += ["|---|---|---|---|"]
    before = 0
    for row in one.rows:
        title = titles[row.part - 1] if row.part != before else ""
        lines.append(f"| {title} | {link(*row.at.split('#'))} | {row.minutes} | {row.todo} |")
        before = row.part
    lines += [f"| | Questions | {one.questions} | |", f"| | **Together** | **{one.minutes}** | |"]
    return "\n".join(lines) + "\n"


@cache
def _cells(chapter: str) -> list[NotebookNode]:
    return jupytext.read(master(chapter), fmt="py:percent").cells


if __name__ == "__main__":
    PLAN.write_text(render(), encoding="utf-8")
