"""The masters of the homework and the released notebooks, tested without nbgrader.

The hidden tests run in this process, which is fast enough to try every mistake.
"""

import json
import re
from functools import cache
from typing import Any

import matplotlib as mpl
import pytest
from submissions import (
    MISTAKES,
    NAMES,
    OTHER_STYLE,
    grader,
    master,
    points,
    released,
    solutions,
)

every_assignment = pytest.mark.parametrize("name", NAMES)


@cache
def set_up(name: str) -> dict[str, Any]:
    """What the first code cell defines."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    cell = next(cell for cell in master(name).cells if cell.cell_type == "code")
    with mpl.rc_context():
        exec(cell.source, namespace)
    return namespace


def failures(name: str, answers: dict[str, str]) -> dict[str, str]:
    """The messages of the tests that these answers fail, by grade_id."""
    namespace, found = dict(set_up(name)), {}
    for cell in master(name).cells:
        if cell.cell_type == "code" and (key := grader(cell, "grade_id")):
            try:
                exec(answers.get(key, cell.source), namespace)
            except Exception as error:
                found[key] = f"{type(error).__name__}: {error}"
    return found


def test_every_assignment_has_mistakes_and_another_style():
    assert list(MISTAKES) == list(OTHER_STYLE)  # drafts included
    assert set(NAMES) <= set(MISTAKES)
    for name in NAMES:
        assert len(MISTAKES[name]) >= 6
        assert {m.question for m in MISTAKES[name]} == set(solutions(name))
        assert set(OTHER_STYLE[name]) == set(solutions(name))


@every_assignment
def test_every_question_has_a_test_and_twenty_points_in_all(name):
    assert list(points(name)) == [f"test_{question}" for question in solutions(name)]
    graded = [cell for cell in master(name).cells if grader(cell, "grade")]
    assert sum(grader(cell, "points") for cell in graded) == 20
    written = [cell for cell in graded if grader(cell, "solution")]
    assert written
    for cell in written:
        assert "**Model answer.**" in cell.source
        assert "**Rubric.**" in cell.source


@every_assignment
def test_the_release_holds_no_solution_no_test_and_no_rubric(name):
    text = json.dumps(released(name))
    assert re.findall("SOLUTION|HIDDEN TESTS|Misconception|Model answer|Rubric", text) == []
    for code in solutions(name).values():
        secret = code.split("### BEGIN SOLUTION\n")[1].split("### END SOLUTION")[0]
        lines = [json.dumps(line.strip())[1:-1] for line in secret.splitlines()]
        assert [line for line in lines if len(line) > 25 and line in text] == []


@every_assignment
def test_the_masters_answers_pass(name):
    assert failures(name, {}) == {}


@every_assignment
def test_every_mistake_fails_its_question_alone_and_is_named(name):
    for mistake in MISTAKES[name]:
        (test, said), *others = failures(name, mistake.answers(name)).items()
        assert (test, others) == (f"test_{mistake.question}", []), mistake
        assert re.match(f"Misconception: .*{mistake.message}", said), (mistake, said)
