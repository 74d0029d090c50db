"""Write the students' homework notebooks from their masters.

    python -m gen_course.build.assignments [--course DIR [--masters DIR]]

A master is a percent script ``gen_course/homework/hw*.py``. Its cells carry nbgrader's metadata
where they differ from the defaults: a ``grade_id``, and ``solution``, ``grade`` or ``points``.
nbgrader's own ``generate_assignment`` makes the notebooks in ``notebooks/homework/release``, in a
temporary course folder. With ``--course DIR`` the program only makes or updates a course folder for
an instructor.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from gen_course.build import places
from gen_course.build.notebooks import KERNEL, LANGUAGE

RELEASE = places.NOTEBOOKS / "homework" / "release"
DEFAULTS = {"grade": False, "solution": False, "task": False, "schema_version": 3}


def masters(overlays: Iterable[Path] = ()) -> dict[str, Path]:
    """Masters by name, in order; if several have the same name, the last overlay's is used."""
    files = [*places.HOMEWORK.glob("hw*.py")]
    files += [file for folder in overlays for file in folder.glob("*.py")]
    return dict(sorted({file.stem: file for file in files}.items()))


def instructor_version(master: Path) -> NotebookNode:
    """The notebook with solutions and hidden tests; the same master gives the same bytes."""
    notebook = jupytext.read(master, fmt="py:percent")
    notebook.metadata = {"kernelspec": KERNEL, "language_info": LANGUAGE}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        if given := cell.metadata.get("nbgrader"):
            kind = {"cell_type": cell.cell_type, "locked": not given.get("solution", False)}
            cell.metadata["nbgrader"] = DEFAULTS | kind | given
    return notebook


def make_course(course: Path, chosen: dict[str, Path]) -> None:
    """Make a course folder with nbgrader's configuration and the instructor's notebooks."""
    course.mkdir(parents=True, exist_ok=True)
    if not (course / "nbgrader_config.py").exists():
        shutil.copy(places.HOMEWORK / "nbgrader_config.py", course)
    for name, master in chosen.items():
        path = course / "source" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(instructor_version(master), path)


def nbgrader(course: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run an nbgrader command in a course folder, with only that folder's configuration."""
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(course / ".jupyter")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "nbgrader", *arguments],
        cwd=course,
        env=environment,
        capture_output=True,
        text=True,
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"nbgrader {' '.join(arguments)} failed:\n{done.stderr}")
    return done


def release(chosen: dict[str, Path], to: Path) -> None:
    """Write the students' notebooks, one per assignment, to a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        course = Path(temporary)
        make_course(course, chosen)
        to.mkdir(exist_ok=True)
        for name in chosen:
            nbgrader(course, "generate_assignment", name, "--create")
            shutil.copy(course / "release" / name / f"{name}.ipynb", to)


def main() -> None:
    """Write the release, or a course folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--course", type=Path, help="make or update this course folder instead")
    parser.add_argument(
        "--masters",
        type=Path,
        action="append",
        default=[],
        help="a folder of your own masters, which replace those of the same name (repeatable)",
    )
    options = parser.parse_args()
    chosen = masters(options.masters)
    if options.course:
        make_course(options.course, chosen)
    elif options.masters:
        parser.error("--masters needs --course: the release is made from the public masters alone")
    else:
        release(chosen, RELEASE)


if __name__ == "__main__":
    main()
