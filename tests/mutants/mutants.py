"""Apply every classic bug alone, and name the test that catches it: ``make mutants``.

``mutants.toml`` holds bugs of the library, each with the test that must catch it, and bugs of the
chapters' solutions, which the check of their exercise must catch. ``tests/homework/submissions.py``
holds bugs of the homework. The program fails if nothing catches a bug, because a test is missing.
"""

import importlib
import io
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gen_course.build import stamps

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REPORT = ROOT / "tests" / "mutants.md"
SLOW_TO_IMPORT = ("beartype", "jaxtyping", "matplotlib.pyplot", "pytest", "sklearn.linear_model")
SLOW_TO_IMPORT += ("sklearn.mixture", "scipy.linalg", "torch.optim", "torchmetrics", "torchvision")
MOST_SECONDS = 300
HEAD = """# Classic bugs, and what catches them

Written by `make mutants`, which applies each of them alone. None survives.
"""


GENERATED = """
## The homework, mutants made from the right answers

`tests/homework/kinds.py` makes them, `tests/homework/styles.py` holds the right answers. The hidden
test of the question must name the kind.

"""


class Mutant(NamedTuple):
    """A bug: a piece of a file's text, and the wrong text that replaces it."""

    bug: str
    file: str
    old: str
    new: str
    test: str = ""
    """What must catch it in the library; an exercise has its check."""

    def applied(self) -> str:
        """The whole file with the bug in it."""
        text = (ROOT / self.file).read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.file} holds {self.old!r} {text.count(self.old)} x"
        return text.replace(self.old, self.new)


def mutants(kind: str) -> list[Mutant]:
    """The bugs of the library, or those of an exercise."""
    found = tomllib.loads((HERE / "mutants.toml").read_text(encoding="utf-8"))[kind]
    return [Mutant(**entry) for entry in found]


# The library: a test runs in a copy of the tree, in a process that starts with the slow imports


def work_in(folder: Path) -> None:
    """Copy files that are changed or imported to a folder, and link those that are only read."""
    skipped = shutil.ignore_patterns("__pycache__", "screenshots")
    for name in ("gen_lib", "gen_course", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    for name in ("benchmarks", "data", "notebooks", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)


def _pytest(folder: Path, tests: tuple[str, ...]) -> None:
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins would take time
    os.chdir(folder)
    sys.path[:] = [str(folder), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    for name in [n for n in sys.modules if n.split(".")[0] in {"gen_lib", "gen_course"}]:
        del sys.modules[name]  # those of the tree itself
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests])
    os._exit(int(code))


def outcome(folder: Path, *tests: str) -> str:
    """Run some tests: ``passed``, ``failed``, or how else pytest ended."""
    process = multiprocessing.get_context("fork").Process(target=_pytest, args=(folder, tests))
    process.start()
    process.join(MOST_SECONDS)
    if process.is_alive():
        process.kill()
        return "without an end"
    return {0: "passed", 1: "failed"}.get(
        process.exitcode, f"pytest's exit code {process.exitcode}"
    )


def library() -> Iterator[tuple[Mutant, str]]:
    """Each mutant of the library with the outcome of its test."""
    for slow in SLOW_TO_IMPORT:
        importlib.import_module(slow)
    found = mutants("library")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        work_in(folder)
        sound = outcome(folder, *sorted({mutant.test for mutant in found}))
        assert sound == "passed", f"without any bug: {sound}"
        for mutant in found:
            path = folder / mutant.file
            path.write_text(mutant.applied(), encoding="utf-8")
            yield mutant, outcome(folder, mutant.test)
            shutil.copy(ROOT / mutant.file, path)


# Exercises and homework: the check itself, in this process


@cache
def solved(chapter: str) -> tuple[list[str], dict[str, Any]]:
    """The code of a chapter's set-up and solved exercises, and what it defines."""
    from gen_course.build import notebooks, places

    notebook = notebooks.blank(places.master(chapter), solved=True)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        if not cell.startswith("check_"):  # some checks train; the notebook runs them all
            exec(cell, namespace)
    return cells, namespace


def objection(mutant: Mutant) -> str:
    """What the check of an exercise says when its solution is wrong; empty if it says nothing."""
    cells, namespace = solved(Path(mutant.file).parent.name.removeprefix("ch"))
    (at,) = [k for k, cell in enumerate(cells) if mutant.old in cell]
    wrong = dict(namespace)
    exec(cells[at].replace(mutant.old, mutant.new), wrong)
    check = cells[at + 1]
    assert check.startswith("check_"), check
    try:
        exec(check, wrong)
    except AssertionError as said:
        return str(said)
    return ""


def exercises() -> Iterator[tuple[Mutant, str]]:
    """Each mutant of a solution with the message of its check."""
    for mutant in mutants("exercise"):
        mutant.applied()
        yield mutant, objection(mutant) or "SURVIVED: no objection"


def homework() -> Iterator[tuple[str, Any, str]]:
    """Each mistake with the message of its question's hidden test."""
    from submissions import MISTAKES
    from test_masters import failures

    for name, mistakes in MISTAKES.items():
        for mistake in mistakes:
            said = failures(name, mistake.answers(name))
            yield name, mistake, said.get(f"test_{mistake.question}", "")


def generated() -> Iterator[tuple[str, str, str, str, bool]]:
    """Question, kind, bug of each generated mutant, what its hidden test says, if it is caught."""
    from kinds import verdicts

    yield from verdicts()


def styles() -> Iterator[tuple[str, str]]:
    """Each right answer of another style, and what its hidden test says: nothing."""
    from kinds import assignment_of, defined, said
    from styles import STYLES
    from submissions import OTHER_STYLE

    for question, sources in STYLES.items():
        for source in [OTHER_STYLE[assignment_of(question)][question], *sources]:
            yield source, said(question, defined(question, source))


# The report


def code(text: str) -> str:
    """A piece of code in one cell of a table."""
    return "`" + " ; ".join(line.strip() for line in text.strip().splitlines()) + "`"


def row(bug: str, where: str, old: str, new: str, by: str) -> str:
    """A line of the report."""
    cells = bug, where, code(old), code(new) if new.strip() else "nothing", by
    return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |\n"


def head(title: str, by: str) -> str:
    """A heading and the first lines of its table."""
    return f"\n## {title}\n\n| Bug | Where | Right | Wrong | {by} |\n|---|---|---|---|---|\n"


def main() -> int:
    """Apply all, write the report, and return how many survived."""
    report, survived, start = [HEAD], [], time.perf_counter()
    covered = stamps.digest(stamps.covered(stamps.MUTANTS, ROOT), ROOT)

    def note(caught: bool, *cells: str) -> None:
        report.append(row(*cells))
        if not caught:
            survived.append(row(*cells))
        print("caught  " if caught else "SURVIVED", *cells[:2], "|", cells[4], flush=True)

    report.append(head("The library", "The test that fails"))
    for m, said in library():
        caught = said == "failed"
        note(caught, m.bug, m.file, m.old, m.new, f"`{m.test}`" if caught else said)
    report.append(head("The solutions of the chapters' exercises", "What the check says"))
    for m, said in exercises():
        note(not said.startswith("SURVIVED"), m.bug, m.file, m.old, m.new, said)
    report.append(head("The homework", "What the hidden test says"))
    for name, m, said in homework():
        caught = re.match(f"Misconception: .*{m.message}", said) is not None
        note(caught, m.question, name, m.right, m.wrong, said.removeprefix("Misconception: "))
    counts: dict[str, list[int]] = {}
    for question, kind, bug, said, caught in generated():
        tried = counts.setdefault(kind, [0, 0])
        tried[0] += 1
        tried[1] += caught
        if not caught:
            survived.append(f"{question}: {kind}, {bug}: {said}\n")
            print("SURVIVED", survived[-1], flush=True)
    passed = [said == "" for _, said in styles()]
    report.append(GENERATED)
    report += [
        f"- {kind}: {caught} of {tried} caught\n" for kind, (tried, caught) in counts.items()
    ]
    report.append(f"- right answers in unusual styles: {sum(passed)} of {len(passed)} pass\n")
    survived += ["a right style is rejected" for right in passed if not right]
    print(f"{len(survived)} survived, in {(time.perf_counter() - start) / 60:.1f} minutes")
    if not survived:
        stamps.write(REPORT, "".join(report), covered)
    return len(survived)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "homework")]
    sys.exit(bool(main()))
