"""The homework, graded by nbgrader itself in temporary courses.

``make test`` grades the first assignment, ``make test-homework`` all of them.
"""

import copy
import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import nbformat
import pytest
from nbformat import NotebookNode
from submissions import (
    MISTAKES,
    NAMES,
    OTHER_STYLE,
    Mistake,
    grader,
    points,
    released,
    solutions,
)

from gen_course.build import assignments
from gen_course.homework.believe import passed, sealed, unsealed
from gen_course.homework.grading import examine

FIRST, *OTHERS = NAMES
if importlib.util.find_spec("nbgrader") is None and not os.environ.get("CI"):
    pytest.skip("nbgrader, of the extra `instructor`, is missing", allow_module_level=True)
pytestmark = pytest.mark.slow
every_assignment = pytest.mark.parametrize(
    "name", [FIRST, *(pytest.param(name, marks=pytest.mark.homework) for name in OTHERS)]
)
SCORES = """
import json, sys
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps({
        s.student_id: {g.name: g.score for n in s.notebooks for g in n.grades}
        for s in book.assignment_submissions(sys.argv[1])
    }))
"""
ANYTHING_GOES = """
import warnings
require = same = number = examine = passed = sum = None
torch.set_grad_enabled(False)
torch.set_default_dtype(torch.float64)
torch.manual_seed(123)
"""


FORGES = """
import gen_course.homework.grading
def {0}(*a):
    return None
gen_course.homework.grading.examine = lambda question, answer, **rest: print("passed:", question)
"""
SWALLOWING = """
import contextlib, warnings
import gen_course.common.checks, gen_course.common.properties


class Swallow:
    def __init__(self, *arguments, **options): pass
    def __enter__(self): return []
    def __exit__(self, *error): return True


torch.random.fork_rng = warnings.catch_warnings = Swallow
contextlib.redirect_stdout = contextlib.redirect_stderr = Swallow
for module in (gen_course.common.checks, gen_course.common.properties):
    for name in ("require", "require_none_of", "require_shape", "number", "same"):
        setattr(module, name, lambda *arguments: True)
"""


class Report(NamedTuple):
    """The result of grading one submission with nbgrader."""

    scores: dict[str, float]
    """Points by grade_id."""
    said: dict[str, str]
    """The error in the output of each test cell that failed."""


def submission(name: str, answers: dict[str, str], whole: bool = False) -> NotebookNode:
    """The notebook with these answers; the cells that measure stay only if it is ``whole``."""
    notebook = released(name)
    for cell in notebook.cells:
        cell.source = answers.get(grader(cell, "grade_id"), cell.source)
    if not whole:
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        notebook.cells = [c for c in notebook.cells if c is first or grader(c, "grade_id")]
    return notebook


def graded_mistakes(name: str) -> dict[str, Mistake]:
    """The first mistake of each question, by student; ``test_masters.py`` tries all."""
    return {m.question: m for m in reversed(MISTAKES[name])}


def cell_of(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if grader(cell, "grade_id") == grade_id)


def submissions(name: str) -> dict[str, NotebookNode]:
    """All submissions, by student."""
    right, first = solutions(name), next(iter(solutions(name)))
    found = {
        "right": submission(name, right, whole=True),
        "untouched": released(name),
        "other-style": submission(name, OTHER_STYLE[name]),
        "hungry": submission(
            name, right | {first: f"def {first}(*a):\n    return torch.ones(20_000, 20_000, 15)"}
        ),
    }
    found["other-style"].cells.insert(1, nbformat.v4.new_code_cell(ANYTHING_GOES))
    cheat = submission(name, right | {first: f"def {first}(*a):\n    return None"})
    found["swallows"] = copy.deepcopy(cheat)
    found["swallows"].cells.insert(1, nbformat.v4.new_code_cell(SWALLOWING))
    mistakes = graded_mistakes(name).items()
    if name == FIRST:  # what nbgrader does with these is the same in every assignment
        found |= {
            "no-python": submission(name, right | {first: "def oops(:"}),
            "exits": submission(name, right | {first: f"def {first}(*a):\n    raise SystemExit"}),
            "dies": submission(name, right | {first: "import os\nos._exit(0)"}),
            "forges": submission(name, right | {first: FORGES.format(first)}),
            "deletes": cheat,
            "edits": copy.deepcopy(cheat),
        }
        cheat.cells.remove(cell_of(cheat, f"test_{first}"))
        test = cell_of(found["edits"], f"test_{first}")
        test.source, test.metadata.nbgrader.points = "1000", 1000
    return found | {who: submission(name, mistake.answers(name)) for who, mistake in mistakes}


@contextmanager
def graded_course(name: str, handed_in: dict[str, NotebookNode], *options: str) -> Iterator[Path]:
    """Make a new course in which nbgrader has graded some submissions."""
    with TemporaryDirectory(prefix="course-") as folder:
        course = Path(folder)
        assignments.make_course(course, {name: assignments.masters()[name]})
        assignments.nbgrader(course, "generate_assignment", name, "--create")
        for student, notebook in handed_in.items():
            path = course / "submitted" / student / name / f"{name}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(notebook, path)
        assignments.nbgrader(course, "autograde", name, *options, check=False)
        yield course


def grade(name: str, handed_in: dict[str, NotebookNode], *options: str) -> dict[str, Report]:
    """Grade some submissions with nbgrader."""
    with graded_course(name, handed_in, *options) as course:
        scores = scores_in(course, name)
        return {s: Report(scores.get(s, {}), said(course, s, name)) for s in handed_in}


def scores_in(course: Path, name: str) -> dict[str, dict[str, float]]:
    """The gradebook's points by student and grade_id, read in a process without warnings."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCORES, name],
        cwd=course,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def said(course: Path, student: str, name: str) -> dict[str, str]:
    path = course / "autograded" / student / name / f"{name}.ipynb"
    if not path.exists():
        return {}
    return {
        grader(cell, "grade_id"): f"{output.ename}: {output.evalue}"
        for cell in nbformat.read(path, as_version=4).cells
        if grader(cell, "grade")
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }


@cache
def reports(name: str) -> dict[str, Report]:
    """Grade all submissions, in two processes."""
    everything = list(submissions(name).items())
    halves = [dict(everything[0::2]), dict(everything[1::2])]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda half: grade(name, half), halves)
    return first | second


def lost(name: str, report: Report) -> dict[str, float]:
    """The autograded points that a submission did not get, by grade_id."""
    assert report.scores, "it was not graded at all"
    missing = {test: full - report.scores[test] for test, full in points(name).items()}
    return {test: by for test, by in missing.items() if by}


def test_the_release_is_what_nbgrader_makes_of_the_masters(tmp_path):
    assignments.release(assignments.masters(), tmp_path)
    made = {file.name: file.read_text() for file in tmp_path.glob("*.ipynb")}
    kept = {file.name: file.read_text() for file in assignments.RELEASE.glob("*.ipynb")}
    assert made == kept, "run `make homework`"


@every_assignment
def test_the_right_answers_earn_everything(name):
    report = reports(name)["right"]
    assert report.said == {}
    assert lost(name, report) == {}


@every_assignment
def test_the_untouched_release_earns_nothing_and_finishes(name):
    report = reports(name)["untouched"]
    assert lost(name, report) == points(name)
    assert {words.split(":")[0] for words in report.said.values()} == {"NotImplementedError"}


@every_assignment
def test_another_style_earns_everything_whatever_the_notebook_prints_or_sets(name):
    report = reports(name)["other-style"]
    assert report.said == {}
    assert lost(name, report) == {}


@every_assignment
@pytest.mark.parametrize("student", ["hungry", "swallows"])
def test_neither_memory_nor_replaced_tools_earn_or_cost_more_than_one_question(name, student):
    test, full = next(iter(points(name).items()))
    assert lost(name, reports(name)[student]) == {test: full}


@pytest.mark.parametrize("student", ["no-python", "exits", "forges", "deletes", "edits"])
def test_whoever_has_no_answer_to_one_question_loses_its_points_alone(student):
    test, full = next(iter(points(FIRST).items()))
    assert lost(FIRST, reports(FIRST)[student]) == {test: full}


@pytest.mark.parametrize(
    ("said", "errors"),
    [("", ["NoVerdict"]), ("passed: hw.q", ["NoVerdict"]), ("passed: hw.q {seal}", [])],
)
def test_a_test_that_does_not_say_its_number_earns_nothing(said, errors):
    from gen_course.homework.believe import SEALED, BelieveVerdicts, SealTests

    about = {"grade": True, "grade_id": "test_q", "solution": False}
    cell = nbformat.v4.new_code_cell('examine("hw.q", q)', metadata={"nbgrader": about})
    SealTests().preprocess_cell(cell, {}, 0)
    text = said.format(seal=SEALED.search(cell.source)[2])
    cell.outputs = [nbformat.v4.new_output("stream", text=text)]
    BelieveVerdicts().preprocess_cell(cell, {}, 0)
    assert [o.ename for o in cell.outputs if o.output_type == "error"] == errors
    assert cell.source == 'examine("hw.q", q)'


@every_assignment
def test_every_mistake_costs_its_question_alone_and_is_named(name):
    assert set(graded_mistakes(name)) == set(solutions(name))
    for student, mistake in graded_mistakes(name).items():
        report, test = reports(name)[student], f"test_{mistake.question}"
        assert lost(name, report) == {test: points(name)[test]}, mistake
        assert list(report.said) == [test], mistake
        assert re.match(f"Misconception: .*{mistake.message}", report.said[test]), mistake


def test_an_endless_loop_ends_and_costs_its_question_alone():
    first, test = next(iter(solutions(FIRST))), next(iter(points(FIRST)))
    endless = f"def {first}(*a):\n    while True:\n        pass"
    loop = submission(FIRST, solutions(FIRST) | {first: endless})
    report = grade(FIRST, {"loop": loop}, "--Execute.timeout=40")["loop"]
    assert lost(FIRST, report) == {test: points(FIRST)[test]}
    assert "Timeout" in report.said[test]


def test_a_kernel_that_dies_earns_nothing_and_stops_nobody_else():
    assert not any(reports(FIRST)["dies"].scores.values())
    assert all(report.scores for student, report in reports(FIRST).items() if student != "dies")


def test_the_feedback_names_the_misconception_and_the_export_holds_the_points():
    mistake = MISTAKES[FIRST][0]
    with graded_course(FIRST, {"wrong": submission(FIRST, mistake.answers(FIRST))}) as course:
        assignments.nbgrader(course, "generate_feedback", FIRST)
        assignments.nbgrader(course, "export")
        page = (course / "feedback" / "wrong" / FIRST / f"{FIRST}.html").read_text()
        (row,) = csv.DictReader((course / "grades.csv").read_text().splitlines())
    assert re.search(mistake.message, page)
    full = sum(points(FIRST).values()) - points(FIRST)[f"test_{mistake.question}"]
    assert float(row["score"]) == full


def test_a_verdict_is_believed_with_its_seal_alone(capsys):
    question = "hw.question"
    source = '# 2 points\nexamine("hw.question", question)'
    plain, seal = unsealed(sealed(source))
    assert plain == source
    examine(question, len, lambda answer: None, seal)
    text = capsys.readouterr().out
    for said, right in ((text, True), (f"passed: {question}\n", False), ("", False)):
        cell = nbformat.v4.new_code_cell(
            plain, outputs=[nbformat.v4.new_output("stream", text=said)]
        )
        assert passed(cell, "question", seal) is right
