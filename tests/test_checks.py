"""What all checks of exercises promise: three verdicts, and nothing left behind."""

import importlib

import pytest
import torch

from gen_lib.checks import Misconception, exercise

CHAPTERS = ("start_here", "autoencoder", "sparse_denoising_masked")
MODULES = [importlib.import_module(f"gen_lib.checks.{name}") for name in CHAPTERS]
CHECKS = [
    check
    for module in MODULES
    for name, check in vars(module).items()
    if name.startswith("check_") and check.__module__ == module.__name__
]
every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


def stub(*arguments):
    raise NotImplementedError("write E here")


@every_check
def test_a_stub_is_not_attempted_and_raises_nothing(check):
    verdict = check(stub)
    assert not verdict.attempted
    assert repr(verdict) == "Not attempted yet: write E here."


@every_check
@pytest.mark.parametrize("answer", [None, (), "text", 7j, torch.zeros(2, 9)])
def test_what_is_no_answer_at_all_is_a_misconception(check, answer):
    with pytest.raises(Misconception, match=r"shape|number|one number|The model is called 0"):
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
