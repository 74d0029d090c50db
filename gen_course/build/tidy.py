"""Repair what students hand in, as far as nbgrader needs it. Run it before ``nbgrader autograde``.

    python -m gen_course.build.tidy COURSE

For each folder ``submitted/STUDENT/ASSIGNMENT`` of the course folder:

- a notebook under another name, such as ``hw2_vae (1).ipynb``, gets its own name back;
- cells with the same ``grade_id``, as splitting or copying a cell makes them, become one cell;
- a cell to be graded that is missing is put back at the end, as it was released;
- the kernel is the grader's, whatever the student's was called.

What was handed in stays in ``originals/STUDENT/ASSIGNMENT``. What cannot be repaired is set aside,
in ``aside/STUDENT/ASSIGNMENT``, so that it stops nobody else. The program prints one line for each
repair, and one for each submission that a person has to look at, because it was set aside, lacks
the cell of an answer, or holds code that no answer needs; then it returns 1.
"""

import argparse
import copy
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


SUSPICIOUS = re.compile(
    r"get_ipython|sys\.modules|gen_course\.(?:common\.(?:checks|properties)|homework)|gradebook|"
    r"__import__|importlib|subprocess|os\._exit|ctypes|__exit__|setattr|setrlimit|gc\.get|inspect\."
)  # what no answer needs


class Unclear(Exception):
    """A submission that only a person can repair."""


def tidy(course: Path) -> tuple[list[str], list[str]]:
    """Repair all submissions of a course folder; return what was repaired and what was not."""
    done: list[str] = []
    left: list[str] = []
    for folder in sorted((course / "submitted").glob("*/*/")):
        where = f"{folder.parent.name}/{folder.name}"
        try:
            done += [f"{where}: {repair}" for repair in _tidy_one(course, folder)]
            left += [f"{where}: {sight}" for sight in _suspicious(course, folder)]
        except Unclear as problem:
            aside = course / "aside" / folder.parent.name
            aside.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(aside / folder.name, ignore_errors=True)
            folder.rename(aside / folder.name)
            left.append(f"{where}, set aside: {problem}")
    for stray in sorted((course / "submitted").glob("*/*.ipynb")):
        where = f"{stray.parent.name}/{stray.name}"
        left.append(f"{where}: put it into a folder with the name of its assignment")
    return done, left


def _tidy_one(course: Path, folder: Path) -> Iterator[str]:
    name = f"{folder.name}.ipynb"
    released = course / "source" / folder.name / name
    if not released.is_file():
        raise Unclear(f"there is no assignment {folder.name!r} in source/")
    file = _notebook(folder, name)
    before = file.read_bytes()
    repairs = [f"{file.name} is now {name}"] if file.name != name else []
    try:
        notebook = nbformat.reads(before.decode("utf-8-sig"), as_version=4)
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise Unclear(
            f"{file.name} is no notebook ({type(error).__name__}): ask for another"
        ) from error
    untouched = _sources(nbformat.read(released, as_version=4))
    for grade_id, count in merge(notebook, untouched).items():
        repairs.append(f"{count} cells of {grade_id!r} are now one")
    for cell in _missing(notebook, nbformat.read(released, as_version=4)):
        if grader(cell, "grade"):
            repairs.append(f"the missing cell {grader(cell, 'grade_id')!r} is put back, at the end")
            notebook.cells.append(cell)
    if notebook.metadata.get("kernelspec", {}).get("name") != KERNEL["name"]:
        repairs.append("its kernel is now python3")
        notebook.metadata["kernelspec"] = dict(KERNEL)
    if repairs:
        original = course / "originals" / folder.parent.name / folder.name / file.name
        if not original.exists():
            original.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, original)
        nbformat.write(notebook, folder / name)
        if file.name != name:
            file.unlink()
    yield from repairs


def _missing(notebook: NotebookNode, released: NotebookNode) -> Iterator[NotebookNode]:
    """The cells of answers and tests that a notebook lacks, as students received them."""
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    for step in (ClearSolutions(), ClearHiddenTests()):
        released, _ = step.preprocess(copy.deepcopy(released), {})
    there = {grader(cell, "grade_id") for cell in notebook.cells}
    return (
        cell
        for cell in released.cells
        if grader(cell, "grade_id") and grader(cell, "grade_id") not in there
    )


def grader(cell: NotebookNode, key: str) -> Any:
    """What nbgrader's metadata of a cell say; nothing if it has none."""
    return cell.metadata.get("nbgrader", {}).get(key)


def _suspicious(course: Path, folder: Path) -> Iterator[str]:
    """What a person should look at in a notebook that can be graded."""
    name = f"{folder.name}.ipynb"
    notebook = nbformat.read(folder / name, as_version=4)
    released = nbformat.read(course / "source" / folder.name / name, as_version=4)
    for cell in _missing(notebook, released):
        yield f"there is no cell {grader(cell, 'grade_id')!r}: is its answer elsewhere?"
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and not (grader(cell, "grade")):
            found = sorted(set(SUSPICIOUS.findall(cell.source)))
            if found:
                yield f"cell {number} holds {', '.join(found)}, which no answer needs"


def _notebook(folder: Path, name: str) -> Path:
    """The notebook of a submission, whatever its name."""
    found = [p for p in sorted(folder.glob("*.ipynb")) if not p.name.startswith(".")]
    if (folder / name) in found:
        return folder / name
    if len(found) == 1:
        return found[0]
    if found:
        raise Unclear(f"it holds {len(found)} notebooks and none is called {name}: keep one")
    others = ", ".join(sorted(p.name for p in folder.iterdir())) or "nothing"
    raise Unclear(f"it holds no notebook, but {others}")


def merge(notebook: NotebookNode, untouched: dict[str, str]) -> dict[str, int]:
    """Join the cells that share a ``grade_id``; return the number of cells of each that did.

    The pieces of an answer are joined in their order, without those that are still as released
    (``untouched``, by ``grade_id``). Of a test cell the first stays; nbgrader restores its text.
    """
    cells: dict[str, list[NotebookNode]] = {}
    for cell in notebook.cells:
        if grade_id := grader(cell, "grade_id"):
            cells.setdefault(grade_id, []).append(cell)
    twice = {grade_id: same for grade_id, same in cells.items() if len(same) > 1}
    for grade_id, (first, *others) in twice.items():
        pieces = [cell.source for cell in (first, *others)]
        if first.metadata.nbgrader.get("solution"):
            stub = untouched.get(grade_id, "").strip()
            written = [text for text in pieces if text.strip() and text.strip() != stub]
            first.source = "\n".join(written or pieces[:1])
        for other in others:
            notebook.cells.remove(other)
    return {grade_id: len(same) for grade_id, same in twice.items()}


def _sources(notebook: NotebookNode) -> dict[str, str]:
    """The text of each answer cell as students received it, by ``grade_id``."""
    from nbgrader.preprocessors import ClearSolutions

    cleared, _ = ClearSolutions().preprocess(copy.deepcopy(notebook), {})
    return {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in cleared.cells
        if grader(cell, "solution")
    }


def main() -> int:
    """Repair the submissions of the course folder that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("course", type=Path, help="the course folder, which holds submitted/")
    course = parser.parse_args().course
    if not (course / "submitted").is_dir():
        parser.error(f"there is no folder {course / 'submitted'}")
    done, left = tidy(course)
    print(*done, sep="\n")
    print(*(f"LOOK AT {line}" for line in left), sep="\n", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
