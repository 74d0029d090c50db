"""All checks of exercises have three outcomes and leave no state behind."""

import importlib
from pathlib import Path

import pytest
import torch

import gen_course
from gen_course.common.checks import Misconception, exercise

CHAPTERS = sorted(path.parent.name for path in Path(gen_course.__path__[0]).glob("ch*/checks.py"))
MODULES = [importlib.import_module(f"gen_course.{name}.checks") for name in CHAPTERS]
CHECKS = [
    check
    for module in MODULES
    for name, check in vars(module).items()
    if name.startswith("check_") and check.__module__ == module.__name__
]
every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


def stub(*arguments):
    raise NotImplementedError("stub")


@every_check
def test_a_stub_is_not_attempted_and_raises_nothing(check):
    verdict = check(stub)
    assert not verdict.attempted
    assert repr(verdict) == "Not attempted yet: stub."


@every_check
@pytest.mark.parametrize("answer", [None, (), "text", 7j, torch.zeros(2, 9)])
def test_what_is_no_answer_at_all_is_a_misconception(check, answer):
    with pytest.raises(Misconception, match=r"\w \w.*[.:]"):  # a sentence
        check(lambda *arguments: answer)


@every_check
def test_a_check_keeps_its_docstring_and_leaves_the_random_state_alone(check):
    def draws_first(*arguments):
        torch.rand(3)
        raise NotImplementedError

    before = torch.get_rng_state()
    assert repr(check(draws_first)) == f"Not attempted yet: {check.__name__}."
    assert torch.equal(torch.get_rng_state(), before)
    assert "(" in check.__doc__


@every_check
def test_a_crash_of_the_students_function_is_not_hidden(check):
    def broken(*arguments):
        return arguments.no_such_method()

    with pytest.raises(AttributeError):
        check(broken)


def test_what_torch_does_not_implement_is_no_stub():
    with pytest.raises(NotImplementedError, match="softmax"):
        exercise(lambda function: function())(lambda: torch.ones(2, dtype=torch.int64).softmax(0))


def test_an_exercise_reports_what_it_verified():
    verdict = exercise(lambda function: "two plus two.")(len)
    assert verdict.attempted
    assert repr(verdict) == "Right: two plus two."


def test_a_check_draws_the_same_numbers_whatever_was_drawn_before():
    drawn = []
    check = exercise(lambda function: str(function()))
    for _ in range(2):
        torch.rand(3)
        check(lambda: drawn.append(torch.rand(3)))
    assert torch.equal(*drawn)
