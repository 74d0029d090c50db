"""Make chapters with stubs, and notebooks with solutions, from the same cells of the master text.

A code cell tagged ``exercise`` holds a function whose solved part stands between the lines
``### BEGIN SOLUTION`` and ``### END SOLUTION``, as nbgrader marks it in the homework. A chapter
shows a stub in its place; ``solutions/`` shows the part without the two lines. The code cell after
it is the exercise's check.
"""

import re

import nbformat
from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SOLVED = re.compile(rf"^( *){BEGIN}\n(.+?)^\1{END}$", re.M | re.S)
FUNCTION = re.compile(r"^def (\w+)\(", re.M)
HEADING = "## Exercises"


class MasterError(ValueError):
    """An exercise of a master text is not marked as it must be."""


def tagged(cell: NotebookNode, tag: str) -> bool:
    """Whether a cell of the master text carries the tag."""
    return tag in cell.metadata.get("tags", [])


def stub(code: str) -> str:
    """The code of an exercise with a stub in place of the solved part."""
    return _replaced(code, r'\1raise NotImplementedError("{name}")  # replace this line')


def solution(code: str) -> str:
    """The code of an exercise with the solved part, without the two lines around it."""
    return _replaced(code, None)


def chapter_cells(cells: list[NotebookNode]) -> list[NotebookNode]:
    """All cells of a chapter, each exercise with a stub."""
    return [_with(cell, stub(cell.source)) if tagged(cell, "exercise") else cell for cell in cells]


def solution_cells(cells: list[NotebookNode], chapter: str) -> list[NotebookNode]:
    """The set-up cells and the section of exercises, each solved."""
    title = cells[0].source.splitlines()[0].removeprefix("# ")
    head = (
        f"# Solutions: {title}\n\nThe exercises of [the chapter](../{chapter}.ipynb), solved. "
        "Yours may look different: the checks ask what a function does, not how."
    )
    setup = [cell for cell in cells if tagged(cell, "setup") and cell not in section(cells)]
    return [nbformat.v4.new_markdown_cell(head), *setup, *map(_solved, section(cells))]


def section(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells of the section of exercises, without its heading; none if it is missing."""
    starts = [k for k, cell in enumerate(cells) if re.match("## ", cell.source)]
    for start, end in zip(starts, [*starts[1:], len(cells)], strict=True):
        if cells[start].source.startswith(HEADING):
            return cells[start + 1 : end]
    return []


def _solved(cell: NotebookNode) -> NotebookNode:
    return _with(cell, solution(cell.source)) if tagged(cell, "exercise") else cell


def _with(cell: NotebookNode, code: str) -> NotebookNode:
    return nbformat.from_dict({**cell, "source": code})


def _replaced(code: str, line: str | None) -> str:
    names, marked = FUNCTION.findall(code), SOLVED.findall(code)
    if len(names) != 1 or len(marked) != 1:
        raise MasterError(
            f"A cell tagged exercise needs one function with one part from '{BEGIN}' to '{END}', "
            f"not {len(names)} with {len(marked)}: {code[:60]!r}."
        )
    if line is None:
        return SOLVED.sub(lambda found: found[2].rstrip(), code)
    return SOLVED.sub(line.format(name=names[0]), code)
