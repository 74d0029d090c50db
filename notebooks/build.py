"""Build the notebooks from their master text: ``python notebooks/build.py [--force] [NAME ...]``.

``source/NAME.py`` (jupytext's percent format) is the only text a person edits; ``NAME.ipynb`` and,
where it has exercises, ``solutions/NAME.ipynb`` are built from it. A notebook whose code, library,
weights or stored studies have changed since its last execution is executed again; a change of prose
only replaces the text. What the execution of a chapter took goes to ``minutes.json``.
"""

import argparse
import ast
import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import exercises
import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
LIBRARY = HERE.parent / "gen_lib"
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
LANGUAGE = {  # as a kernel writes it, but for the reader's own version of Python
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
UNSHOWN = ("Quiz", "Exercises")  # sections without slides
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Target(NamedTuple):
    """A notebook to build."""

    source: Path
    path: Path
    solved: bool = False


def sources() -> list[Path]:
    """The master texts, in the order of the course."""
    return sorted((HERE / "source").glob("*.py"))


def targets() -> list[Target]:
    """Every chapter, and the solutions of every chapter that has exercises."""
    chapters = [Target(source, HERE / f"{source.stem}.ipynb") for source in sources()]
    solutions = [
        Target(source, HERE / "solutions" / f"{source.stem}.ipynb", solved=True)
        for source in sources()
        if exercises.section(_master(source).cells)
    ]
    return chapters + solutions


def blank(source: Path, solved: bool = False) -> NotebookNode:
    """The chapter or solutions of a master text, not executed; same text, same bytes."""
    notebook = _master(source)
    if solved:
        notebook.cells = exercises.solution_cells(notebook.cells, source.stem)
    else:
        notebook.cells = exercises.chapter_cells(notebook.cells)
    notebook.metadata = {
        "kernelspec": KERNEL,
        "language_info": LANGUAGE,
        "gen_lib": {"stamp": stamp(notebook)},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    types = slide_types(notebook.cells)
    for number, (cell, slide_type) in enumerate(zip(notebook.cells, types, strict=True)):
        cell.id = f"cell-{number:03d}"
        cell.metadata["slideshow"] = {"slide_type": slide_type}
    return notebook


def slide_types(cells: list[NotebookNode]) -> list[str]:
    """What each cell is in a deck: "slide" starts a column, "subslide" a page, "-" stays on it.

    What a cell shows stays with the words before it, unless they ask to predict it. Set-up cells,
    the quiz and the exercises are skipped.
    """
    types: list[str] = []
    skipping = revealing = False
    for cell in cells:
        prose, aside = cell.cell_type == "markdown", cell.source.startswith("print(clock.")
        if heading := prose and re.match(r"##? (.+)", cell.source):
            skipping = heading[1].startswith(UNSHOWN)
        if skipping or aside or exercises.tagged(cell, "setup"):
            types.append("skip")
        elif prose:
            types.append("slide" if heading else "subslide")
        else:
            types.append("subslide" if revealing else "-")
        revealing = not prose or "**Predict:**" in cell.source
    return types


def stamp(notebook: NotebookNode) -> str:
    """One hash over everything that the outputs depend on."""
    code = "\n# cell\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    parts = [code, *(_without_docstrings(m) for m in sorted(library_modules(code)))]
    weights = LIBRARY.parent / "data" / "pretrained"
    kept = [*weights.glob("*.safetensors"), *weights.glob("*.json"), *weights.glob("*.npz")]
    kept += HERE.glob("studies/*.csv")
    loading = [part for part in parts if "pretrained" in part or part is code]
    names = "\n".join(loading)  # the library, too, names the weights that it loads
    looks = [*LIBRARY.glob("*.mplstyle")]
    kept = [file for file in kept if file.stem in names]
    parts += [_digest(file.read_bytes()) for file in sorted(kept + looks)]
    return _digest("\n".join(parts).encode())


def library_modules(code: str) -> set[Path]:
    """The files of gen_lib that the code imports, and those that they import."""
    found: set[Path] = set()
    waiting = [code]
    while waiting:
        for file in set(_imported(waiting.pop())) - found:
            found.add(file)
            waiting.append(file.read_text(encoding="utf-8"))
    return found


def outputs_of(path: Path, notebook: NotebookNode) -> NotebookNode | None:
    """The notebook with the outputs of its last execution, if they still belong to it."""
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


def execute(notebook: NotebookNode, folder: Path = HERE) -> float:
    """Run all cells in place, in a fresh kernel in the folder; the minutes that it took."""
    start = time.perf_counter()
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    minutes = (time.perf_counter() - start) / 60
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = LANGUAGE
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if _without_widget(o)]
    return minutes


def _without_widget(output: NotebookNode) -> bool:
    """Whether anything is left: without its kernel a widget is an error, its picture is not."""
    data = output.get("data", {})
    return data.pop(WIDGET_VIEW, None) is None or "image/png" in data


def _master(source: Path) -> NotebookNode:
    return jupytext.read(source, fmt="py:percent")


def _imported(code: str) -> Iterator[Path]:
    lines = "\n".join(
        line for line in code.splitlines() if not line.lstrip().startswith(("%", "!"))
    )
    for node in ast.walk(ast.parse(lines)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            place = LIBRARY.parent.joinpath(*name.split("."))
            if name.split(".")[0] == LIBRARY.name:
                candidates = (place.with_suffix(".py"), place / "__init__.py")
                yield from (file for file in candidates if file.is_file())


def _without_docstrings(file: Path) -> str:
    """The lines of code; a dump of the tree would differ from one Python to the next."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            words = node.body[0]
            lines[words.lineno - 1 : words.end_lineno] = [""] * (
                words.end_lineno - words.lineno + 1
            )
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _remember(minutes: dict[str, float]) -> None:
    from gen_lib import clock

    known = clock.measured() | {"machine": clock.machine(), "speed": round(clock.calibrate(), 2)}
    known["minutes"] = dict(sorted((known["minutes"] | minutes).items()))
    clock.MINUTES_FILE.write_text(json.dumps(known, indent=2) + "\n")


def _build(target: Target, force: bool) -> float | None:
    """Write one notebook; the minutes of its execution, None if its outputs still hold."""
    notebook, spent = blank(target.source, target.solved), None
    if force or outputs_of(target.path, notebook) is None:
        target.path.parent.mkdir(exist_ok=True)
        name = target.path.relative_to(HERE).with_suffix("")
        print(f"{name}: executing ...", flush=True)
        spent = round(execute(notebook, target.path.parent), 2)
        print(f"{name}: {spent} min")
    nbformat.write(notebook, target.path)
    return spent


def main() -> None:
    """Build all notebooks, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="such as 01_autoencoders (default: all)")
    parser.add_argument("--force", action="store_true", help="execute even what is unchanged")
    options = parser.parse_args()
    if unknown := set(options.names) - {source.stem for source in sources()}:
        parser.error(f"there is no chapter {', '.join(sorted(unknown))}")
    minutes: dict[str, float] = {}
    for target in targets():
        name = target.source.stem
        if not options.names or name in options.names:
            spent = _build(target, options.force)
            if spent is not None and not target.solved:
                minutes[name] = spent
    if minutes:
        _remember(minutes)


if __name__ == "__main__":
    main()
