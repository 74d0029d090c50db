"""Build the notebooks of the chapters from their master texts.

    python -m gen_course.build.notebooks [--force] [--jobs N] [NAME ...]

A master text ``chNN_name/chapter.py`` (jupytext's percent format) is the only text that a person
edits. ``notebooks/NN_name.ipynb`` and, where the chapter has exercises,
``notebooks/solutions/NN_name.ipynb`` are built from it. A notebook is executed again if its code,
or a module, weights, a study or a quiz that it uses, has changed since its last execution; a
change of prose only replaces the text. The minutes that a chapter took go to ``minutes.json``.
"""

import argparse
import ast
import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from gen_course.build import images, masters, places, solutions, stamps

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
LANGUAGE = {  # as a kernel writes it, but without the version of Python, which may be any
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
PACKAGES = ("gen_lib", "gen_course")  # the outputs depend on modules of these packages
QUIZ = re.compile(r"\bQuiz\(\s*[\"'](\w+)[\"']")
STUDY = re.compile(r"\bread_study\(\s*[\"'](\w+)[\"']")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Target(NamedTuple):
    """A notebook to build: a chapter, or the solutions of its exercises."""

    chapter: str
    solved: bool = False

    @property
    def source(self) -> Path:
        """The master text."""
        return places.master(self.chapter)

    @property
    def path(self) -> Path:
        """Where the notebook is written."""
        return places.notebook(self.chapter, self.solved)


def targets() -> list[Target]:
    """Every chapter, and the solutions of every chapter that has exercises."""
    chapters = [Target(chapter) for chapter in places.chapters()]
    with_exercises = [t for t in chapters if solutions.section(masters.cells(t.source))]
    return chapters + [Target(target.chapter, solved=True) for target in with_exercises]


def blank(source: Path, solved: bool = False) -> NotebookNode:
    """The chapter or its solutions, not executed; the same master text gives the same bytes."""
    cells = masters.cells(source)
    if solved:
        cells = solutions.solution_cells(cells, places.name_of(source))
    else:
        cells = solutions.chapter_cells(cells)
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata = {
        "kernelspec": KERNEL,
        "language_info": LANGUAGE,
        "gen_lib": {"stamp": stamp(notebook)},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        if cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            cell.metadata["collapsed"] = True  # JupyterLab adds it when it opens the notebook
    return notebook


def stamp(notebook: NotebookNode) -> str:
    """One hash over everything that the outputs depend on."""
    code = "\n# cell\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    modules = [_code(file) for file in sorted(used_modules(code))]
    read = [_digest(file.read_bytes()) for file in sorted(used_files(code, modules))]
    return _digest("\n".join([code, *modules, *read]).encode())


def used_modules(code: str) -> set[Path]:
    """The files of both packages that the code imports, directly or through other files."""
    found: set[Path] = set()
    waiting = [(code, places.ROOT)]
    while waiting:
        for file in set(_imported(*waiting.pop())) - found:
            found.add(file)
            waiting.append((file.read_text(encoding="utf-8"), file.parent))
    return found


def used_files(code: str, modules: list[str]) -> set[Path]:
    """The files that the code reads: weights, studies, its quiz, and the style of the figures.

    A file of weights counts if the code names it, or if a module names both the file and the folder
    ``pretrained``.
    """
    weights = places.ROOT / "data" / "pretrained"
    names = "\n".join([code, *(module for module in modules if "pretrained" in module)])
    found = set(places.COURSE.glob("common/*.mplstyle"))
    for kind in ("safetensors", "json", "npz"):
        found |= {file for file in weights.glob(f"*.{kind}") if file.stem in names}
    tables = STUDY.findall("\n".join([code, *modules]))
    found |= {file for file in places.studies() if file.stem in tables}
    return found | {places.folder(chapter) / "quiz.json" for chapter in QUIZ.findall(code)}


def outputs_of(path: Path, notebook: NotebookNode) -> NotebookNode | None:
    """The notebook with the outputs of its last execution, or None if these are out of date."""
    if not path.is_file():
        return None
    old = nbformat.read(path, as_version=4)
    if old.metadata.get("gen_lib") != notebook.metadata["gen_lib"]:
        return None
    done = iter([cell for cell in old.cells if cell.cell_type == "code"])
    for cell in notebook.cells:
        if cell.cell_type == "code":
            before = next(done)
            cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return notebook


def execute(notebook: NotebookNode, folder: Path, threads: int | None = None) -> float:
    """Run all cells in a new kernel, store their outputs, and return the minutes it took.

    Args:
        notebook: the notebook to execute; its code cells receive the outputs.
        folder: where the kernel starts.
        threads: number of threads to compute with; None leaves the choice to torch.
    """
    limit = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}})
    start = time.perf_counter()
    asyncio.run(client.async_execute(env=os.environ | limit))  # works in any thread
    minutes = (time.perf_counter() - start) / 60
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = LANGUAGE
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [_readable(o) for o in cell.outputs if _without_widget(o)]
    images.compact(notebook)
    return minutes


def _readable(output: NotebookNode) -> NotebookNode:
    """Say in words that an output is a sound, for whoever cannot hear it there."""
    if "<audio" in output.get("data", {}).get("text/html", ""):
        output.data["text/plain"] = "Sound: run the cell in JupyterLab to hear it."
    return output


def _without_widget(output: NotebookNode) -> bool:
    """Remove the widget from an output, and return whether there is anything left to show.

    A stored widget shows an error when its kernel is gone; the picture or page beside it still
    shows.
    """
    data = output.get("data", {})
    return data.pop(WIDGET_VIEW, None) is None or bool({"image/png", "text/html"} & set(data))


def _imported(code: str, folder: Path) -> Iterator[Path]:
    """The files of both packages that the import statements of code in a folder name."""
    lines = "\n".join(
        line for line in code.splitlines() if not line.lstrip().startswith(("%", "!"))
    )
    for node in ast.walk(ast.parse(lines)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, folder)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            place = places.ROOT.joinpath(*name.split("."))
            if name.split(".")[0] in PACKAGES:
                candidates = (place.with_suffix(".py"), place / "__init__.py")
                yield from (file for file in candidates if file.is_file())


def _base(node: ast.ImportFrom, folder: Path) -> str:
    """The module that ``from ... import`` names; a relative name starts from the folder."""
    if not node.level:
        return node.module or ""
    parts = folder.relative_to(places.ROOT).parts
    inside = parts[: len(parts) - node.level + 1]
    return ".".join([*inside, *([node.module] if node.module else [])])


def _code(file: Path) -> str:
    return stamps.code_of(file.read_text(encoding="utf-8")).decode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _remember(minutes: dict[str, float]) -> None:
    from gen_course.common import timing  # imports torch, which most builds do not need
    from gen_lib.training.hardware import machine

    known = timing.measured() | {"machine": machine(), "speed": round(timing.calibrate(), 2)}
    known["minutes"] = dict(sorted((known["minutes"] | minutes).items()))
    timing.MINUTES_FILE.write_text(json.dumps(known, indent=2) + "\n")


def build(target: Target, force: bool = False, threads: int | None = None) -> float | None:
    """Write one notebook; return the minutes it ran, or None if its old outputs still hold."""
    notebook, spent = blank(target.source, target.solved), None
    if force or outputs_of(target.path, notebook) is None:
        target.path.parent.mkdir(exist_ok=True)
        name = target.path.relative_to(places.NOTEBOOKS).with_suffix("")
        print(f"{name}: executing ...", flush=True)
        spent = round(execute(notebook, target.path.parent, threads), 2)
        print(f"{name}: {spent} min", flush=True)
    nbformat.write(notebook, target.path)
    return spent


def main() -> None:
    """Build all notebooks, or those named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="such as 01_autoencoders (default: all)")
    parser.add_argument("--force", action="store_true", help="execute even what is unchanged")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="notebooks to execute at a time, each with one thread if there are several; the "
        "minutes of a chapter are recorded only with one job (default: 1)",
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(places.chapters()):
        parser.error(f"there is no chapter {', '.join(sorted(unknown))}")
    if options.jobs < 1:
        parser.error("--jobs must be at least 1")
    chosen = [t for t in targets() if not options.names or t.chapter in options.names]
    threads = None if options.jobs == 1 else 1
    with ThreadPoolExecutor(options.jobs) as pool:
        each = map if options.jobs == 1 else pool.map
        spent = list(each(lambda target: build(target, options.force, threads), chosen))
    minutes = {
        target.chapter: taken
        for target, taken in zip(chosen, spent, strict=True)
        if taken is not None and not target.solved
    }
    if minutes and options.jobs == 1:
        _remember(minutes)


if __name__ == "__main__":
    main()
