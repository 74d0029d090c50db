"""Write the map of the lecture: ``python -m gen_course.build.lecture_map``, by ``make notebooks``.

``lecture_map.toml`` names every formula and claim of the lecture, the section that treats it and
the verdict; ``notebooks/lecture_map.md`` is written from it. The numbers in a verdict come from
what that section printed when its notebook was last executed, so they change with it.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

from gen_course.build import places
from gen_course.common.tables import VERDICTS

SOURCE = places.TEACHING / "lecture_map.toml"
MAP = places.NOTEBOOKS / "lecture_map.md"
KINDS = ("derived", "measured", "sourced")
HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
HEAD = """# The lecture, claim by claim

Every formula and claim of the lecture *Generative Models* in its order, in this course's words with
the lecture's own term beside them, the section that treats it, and what that section finds.
*Derived* is what a chapter proves and checks by numbers, *measured* what it measures, *sourced*
what it takes from a reference. Every number is from the executed chapter: printed by the section
that is linked, or from the chapter's table of claims. It holds for this course's data, models and
minutes.

Written by `make notebooks` from `gen_course/teaching/lecture_map.toml`.
"""


class MapError(ValueError):
    """A claim names a section, a number or a reference that is not there."""


class Claim(NamedTuple):
    """One formula or claim of the lecture."""

    claim: str
    term: str
    at: str
    """chapter#heading"""
    kind: str
    shown: str = ""
    """The verdict's reason, with a place for each number."""
    verdict: str = ""
    """Empty if the section prints the verdict, or if ``row`` names it."""
    printed: tuple[str, ...] = ()
    """Patterns for what the section printed; their groups fill ``shown``."""
    rising: tuple[str, ...] = ()
    """Named groups whose numbers must rise in this order; otherwise the verdict is wrong."""
    cited: str = ""
    """A reference, or words, that the section's text must contain."""
    row: str = ""
    """The row of the table at the chapter's end that holds verdict and reason, where it has one."""

    @property
    def chapter(self) -> str:
        """The name of the chapter, such as 01_autoencoders."""
        return self.at.partition("#")[0]

    @property
    def heading(self) -> str:
        """The heading of the section, as in the master text."""
        return self.at.partition("#")[2]


class Finding(NamedTuple):
    """A verdict and its reason, with all numbers filled in."""

    verdict: str
    reason: str


class Part(NamedTuple):
    """A section of the lecture."""

    title: str
    claims: list[Claim]


def parts(file: Path = SOURCE) -> list[Part]:
    """The lecture's sections and their claims, in the order of the lecture."""
    read = tomllib.loads(file.read_text(encoding="utf-8"))["part"]
    return [Part(part["title"], [_claim(**claim) for claim in part["claim"]]) for part in read]


def master(chapter: str) -> Path:
    """The chapter's master text."""
    file = places.master(chapter)
    if not file.is_file():
        raise MapError(f"There is no chapter {chapter}.")
    return file


def section(cells: list[NotebookNode], heading: str) -> list[NotebookNode]:
    """The cells of a section, from the cell with its heading to that with the next heading.

    The next heading is the next of the same or a higher level. Its cell is included.

    Raises:
        MapError: the notebook does not have exactly one heading with this text.
    """
    found = [
        (number, len(match[1]), match[2])
        for number, cell in enumerate(cells)
        if cell.cell_type == "markdown"
        for match in HEADING.finditer(cell.source)
    ]
    places = [k for k, (_, _, text) in enumerate(found) if text == heading]
    if len(places) != 1:
        raise MapError(f"{len(places)} headings read {heading!r}.")
    first, level, _ = found[places[0]]
    later = (number for number, depth, _ in found[places[0] + 1 :] if depth <= level)
    return cells[first : next(later, len(cells) - 1) + 1]


def finding(claim: Claim) -> Finding:
    """The verdict on a claim, with the numbers that its section printed.

    Raises:
        MapError: the chapter's table has no such row, nothing that was printed fits a pattern, or
            the numbers contradict the verdict.
    """
    if claim.row:
        found = _rows(_notebook(claim.chapter))
        if claim.row not in found:
            raise MapError(f"The table of {claim.chapter} has no row {claim.row!r}.")
        return found[claim.row]
    printed = "".join(_printed(section(_notebook(claim.chapter), claim.heading)))
    groups: list[str] = []
    named: dict[str, str] = {}
    for pattern in claim.printed:
        match = re.search(pattern, printed, re.MULTILINE)
        if match is None:
            raise MapError(f"{claim.at} prints nothing like {pattern!r}: {claim.claim}")
        groups += match.groups()
        named |= match.groupdict()
    numbers = [float(named[name].rstrip("%").replace(",", "")) for name in claim.rising]
    if not all(a < b for a, b in pairwise(numbers)):  # equal numbers do not rise
        raise MapError(f"{numbers} do not rise, so the verdict falls: {claim.claim}")
    return Finding(claim.verdict or named["verdict"], claim.shown.format(*groups, **named))


def render() -> str:
    """The whole map, in Markdown."""
    found = parts()
    findings = {c: finding(c) for part in found for c in part.claims}
    counts = Counter(one.verdict for one in findings.values())
    said = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
    text = f"{HEAD}\n**{len(findings)} claims:** {', '.join(said)}.\n"
    return text + "".join(_table(part, findings) for part in found)


def link(chapter: str, heading: str) -> str:
    """A link to a section of a chapter."""
    name = f"{chapter[:2]} · {heading}"
    return f"[{name}]({chapter}.ipynb#{quote(heading.replace(' ', '-'))})"


def _claim(printed: Sequence[str] = (), rising: Sequence[str] = (), **fields: str) -> Claim:
    return Claim(printed=tuple(printed), rising=tuple(rising), **fields)


def _table(part: Part, findings: dict[Claim, Finding]) -> str:
    lines = [
        f"\n## {part.title}\n",
        "| The lecture says | Where | Kind | Verdict |",
        "|" + 4 * "---|",
    ]
    for claim in part.claims:
        said = f"{claim.claim} ({claim.term})"
        where, verdict = link(claim.chapter, claim.heading), _verdict(claim, findings)
        lines.append(f"| {said} | {where} | {claim.kind} | {verdict} |")
    return "\n".join(lines) + "\n"


def _verdict(claim: Claim, findings: dict[Claim, Finding]) -> str:
    verdict, reason = findings[claim]
    arxiv = re.fullmatch(r"\d{4}\.\d{5}", claim.cited)
    source = f" ([{claim.cited}](https://arxiv.org/abs/{claim.cited}))" if arxiv else ""
    return f"**{verdict}**: {reason}{source}".replace("|", "\\|")


@cache
def _notebook(chapter: str) -> list[NotebookNode]:
    return nbformat.read(places.notebook(chapter), as_version=4).cells


def _rows(cells: list[NotebookNode]) -> dict[str, Finding]:
    """The rows of the table of claims at the end of a chapter, by claim."""
    outputs = [o for cell in cells if cell.cell_type == "code" for o in cell.outputs]
    tables = [o.get("metadata", {}).get("text/html", {}).get("claims", []) for o in outputs]
    return {
        claim: Finding(verdict, measured) for rows in tables for claim, measured, verdict in rows
    }


def _printed(cells: list[NotebookNode]) -> Iterator[str]:
    """What the cells printed, their tables, and the alternative texts of their figures."""
    for output in (o for cell in cells if cell.cell_type == "code" for o in cell.outputs):
        data, told = output.get("data", {}), output.get("metadata", {}).get("image/png", {})
        yield output.get("text", "")
        yield (told.get("alt", "") if "image/png" in data else data.get("text/plain", "")) + "\n"


def main() -> None:
    """Write the map."""
    MAP.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
