"""The masters of the homework, and what is released of them, as texts; nbgrader is not needed."""

import json
import re

import pytest
from homework_submissions import (
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


def test_every_assignment_has_mistakes_and_another_style():
    assert list(MISTAKES) == list(OTHER_STYLE) == NAMES
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
