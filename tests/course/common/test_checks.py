"""All checks of exercises have three outcomes and leave no state behind."""

import importlib
import sys
import warnings
from pathlib import Path

import pytest
import torch

import gen_course
from gen_course.common.checks import Misconception, exercise
from gen_course.homework.grading import graded, require_mean

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
    def broken(first, *others):
        return first.no_such_method()

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


def test_a_graded_test_prints_nothing_and_sees_the_same_state_whatever_the_notebook_did(capfd):
    seen = []

    def test():
        warnings.warn("a warning", stacklevel=1)
        print("a word")
        print("another", file=sys.stderr)
        seen.append((torch.rand(3), torch.is_grad_enabled()))

    graded(test)
    before = torch.get_rng_state()
    with torch.no_grad():
        torch.set_default_dtype(torch.float64)
        graded(test)
        assert torch.get_default_dtype() == torch.float64
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(seen[0][0], seen[1][0])
    assert [on for _, on in seen] == [True, True]
    assert capfd.readouterr() == ("", "")


def test_a_graded_test_hides_no_failure():
    def test():
        raise Misconception("named")

    with pytest.raises(Misconception, match="named"):
        graded(test)


def test_a_mean_is_accepted_within_six_standard_errors(rng):
    draws = torch.randn(10_000, 2, generator=rng) + torch.tensor([1.0, 2.0])
    require_mean(draws, torch.tensor([1.0, 2.0]), "wrong")
    require_mean(draws, torch.tensor([1.02, 2.02]), "wrong")
    for off in (torch.tensor([1.1, 2.0]), torch.tensor([1.0, 2.1])):
        with pytest.raises(Misconception, match="wrong"):
            require_mean(draws, off, "wrong")
