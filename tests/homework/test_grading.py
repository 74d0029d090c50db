"""A hidden test runs isolated, is believed only at its end, and cannot take all memory."""

import contextlib
import sys
import warnings

import pytest
import torch

from gen_course.common import checks
from gen_course.homework.grading import examine

QUESTION = "hw.question"


def test_it_prints_its_verdict_alone_and_sees_the_same_state_whatever_the_notebook_did(capsys):
    seen = []

    def test(answer):
        warnings.warn("a warning", stacklevel=1)
        print("a word")
        print("another", file=sys.stderr)
        seen.append((torch.rand(3), torch.is_grad_enabled(), torch.get_default_dtype()))

    examine(QUESTION, len, test)
    before = torch.get_rng_state()
    with torch.no_grad():
        torch.set_default_dtype(torch.float64)
        examine(QUESTION, len, test)
        assert torch.get_default_dtype() == torch.float64
        assert not torch.is_grad_enabled()
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(seen[0][0], seen[1][0])
    assert [rest for _, *rest in seen] == 2 * [[True, torch.float32]]
    assert capsys.readouterr() == (2 * f"passed: {QUESTION}\n", "")


def wrong(answer):
    from gen_course.common.checks import require

    require(False, "named")


def test_it_hides_no_failure(capsys):
    with pytest.raises(AssertionError, match="named"):
        examine(QUESTION, len, wrong)
    assert capsys.readouterr().out == ""


class Swallows:
    """A context manager that swallows every verdict."""

    def __init__(self, *arguments, **options):
        pass

    def __enter__(self):
        return []

    def __exit__(self, *error):
        return True


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (warnings, "catch_warnings"),
        (contextlib, "redirect_stdout"),
        (contextlib, "redirect_stderr"),
        (torch, "enable_grad"),
        (torch, "no_grad"),
        (torch.random, "fork_rng"),
    ],
)
def test_a_context_manager_that_swallows_errors_earns_nothing(monkeypatch, capsys, module, name):
    monkeypatch.setattr(module, name, Swallows)
    with pytest.raises((AssertionError, RuntimeError)):
        examine(QUESTION, len, wrong)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["require", "same", "require_none_of", "require_shape"])
def test_replaced_checks_earn_nothing(monkeypatch, name):
    monkeypatch.setattr(checks, name, lambda *arguments: True)
    with pytest.raises(AssertionError, match="The label is not used"):
        examine("hw3_gan.told", lambda features, labels, w, V: features @ w)
    assert getattr(checks, name)() is True  # the notebook's own is left as it is


def test_an_answer_that_replaces_the_checks_while_it_is_tested_earns_nothing(monkeypatch):
    def answer(features, labels, w, V):
        import gen_course.common.checks as found

        for name in ("require", "same", "require_shape"):
            monkeypatch.setattr(found, name, lambda *arguments: True)
        return features @ w

    with pytest.raises(AssertionError, match="The label is not used"):
        examine("hw3_gan.told", answer)


def test_an_answer_that_reaches_for_the_tests_by_its_callers_earns_nothing():
    def answer(features, labels, w, V):
        frame = sys._getframe(1)
        while frame:
            for name in {"require", "same", "require_shape", "_alike"} & set(frame.f_globals):
                frame.f_globals[name] = lambda *arguments: True
            frame = frame.f_back
        return features @ w

    with pytest.raises(RuntimeError, match="replaced a tool"):
        examine("hw3_gan.told", answer)
    with pytest.raises(AssertionError, match="The label is not used"):
        examine("hw3_gan.told", lambda features, labels, w, V: features @ w)


class Odd(BaseException):
    """No exception that a test expects."""


@pytest.mark.parametrize(
    "error", [SystemExit(0), Odd, GeneratorExit, StopIteration, KeyboardInterrupt]
)
def test_no_exception_of_an_answer_earns_anything(capsys, error):
    def answer(*arguments):
        raise error

    with pytest.raises((BaseException,)):
        examine("hw3_gan.told", answer)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["allclose", "equal"])
def test_with_tools_of_torch_replaced_no_verdict_is_believed(monkeypatch, name):
    monkeypatch.setattr(torch, name, lambda *arguments, **options: True)
    with pytest.raises(RuntimeError, match="no verdict is believed"):
        examine(QUESTION, len, lambda answer: None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory")
def test_too_large_a_tensor_costs_its_question_alone(capsys):
    with pytest.raises(MemoryError, match="more than 3 GB"):
        examine(QUESTION, len, lambda answer: torch.empty(20_000, 20_000, 16))
    examine(QUESTION, len, lambda answer: torch.empty(20_000, 2_000))
    torch.empty(2**30)  # 4 GB, which are never touched
    assert capsys.readouterr().out == f"passed: {QUESTION}\n"
