"""Helpers for the checks of exercises: three possible outcomes, and tests that explain failures."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Misconception(AssertionError):
    """The student's function is wrong; the message names the idea behind the mistake."""


class Verdict(NamedTuple):
    """The result of a check that found no mistake: right, or not attempted yet."""

    attempted: bool
    message: str

    def __repr__(self) -> str:
        return self.message


def exercise(check: Callable[[Callable], str]) -> Callable[[Callable], Verdict]:
    """Make a check with three outcomes from a function that tests an exercise.

    The function raises ``Misconception`` if the answer is wrong, and otherwise returns what it
    verified. The check also returns a verdict if the exercise has not been attempted yet.
    """

    @functools.wraps(check)
    def verdict(function: Callable) -> Verdict:
        try:
            # the caller's random state and setting of gradients stay as they are
            with torch.random.fork_rng(devices=[]), torch.enable_grad():
                torch.default_generator.manual_seed(0)
                return Verdict(True, f"Right: {check(function)}")
        except NotImplementedError as stub:
            if str(stub) not in {"", getattr(function, "__name__", "")}:
                raise  # torch raised it, for a dtype that it cannot handle
            return Verdict(False, f"Not attempted yet: {str(stub) or check.__name__}.")

    return verdict


def require(condition: bool | Tensor, message: str) -> None:
    """Raise ``Misconception(message)`` unless the condition holds."""
    if not bool(condition):
        raise Misconception(message)


def require_shape(got: Any, shape: tuple[int, ...], meaning: str) -> None:
    """Raise unless ``got`` is a tensor of this shape; ``meaning`` names its dimensions."""
    found = f"of shape {tuple(got.shape)}" if isinstance(got, Tensor) else type(got).__name__
    require(
        isinstance(got, Tensor) and got.shape == shape,
        f"The result must be a tensor of shape {meaning} = {shape}; it is {found}.",
    )


def require_none_of(got: Tensor, *mistakes: tuple[Tensor, str]) -> None:
    """Raise if ``got`` is the result of a known mistake; the message explains that mistake."""
    for wrong, why in mistakes:
        require(not same(got, wrong), why)


def require_one_number(got: Any) -> None:
    """Raise unless ``got``, a loss, is a tensor without dimensions."""
    require(
        isinstance(got, Tensor) and got.shape == (),
        "The loss must be one number, a tensor without dimensions: average over the batch.",
    )


def number(got: Any, remedy: str) -> Tensor:
    """Return ``got`` as a tensor, or raise with the remedy if it is not one number."""
    require(
        isinstance(got, float | int | np.number) or (isinstance(got, Tensor) and got.shape == ()),
        f"The result must be one number: {remedy}.",
    )
    return torch.as_tensor(got)


def same(got: Any, expected: Tensor) -> bool:
    """Whether ``got`` is a tensor with the expected shape and values; its dtype may differ."""
    return (
        isinstance(got, Tensor)
        and got.shape == expected.shape
        and torch.allclose(got.to(expected), expected, rtol=1e-4, atol=1e-5)
    )
