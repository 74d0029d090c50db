"""What all checks share: three verdicts and the comparison that explains itself."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Misconception(AssertionError):
    """The function is wrong; the message names the idea behind the mistake."""


class Verdict(NamedTuple):
    """What a check found when nothing was wrong."""

    attempted: bool
    message: str

    def __repr__(self) -> str:
        return self.message


def exercise(check: Callable[[Callable], str]) -> Callable[[Callable], Verdict]:
    """Turn a function that raises or says what it verified into a check with three verdicts."""

    @functools.wraps(check)
    def verdict(function: Callable) -> Verdict:
        try:
            return Verdict(True, f"Right: {check(function)}")
        except NotImplementedError as stub:
            return Verdict(False, f"Not attempted yet: {stub or check.__name__}.")

    return verdict


def require(condition: bool | Tensor, message: str) -> None:
    """Raise ``Misconception(message)`` unless the condition holds."""
    if not bool(condition):
        raise Misconception(message)


def same(got: Any, expected: Tensor) -> bool:
    """Whether got is a tensor of the expected shape and values, of any precision."""
    return (
        isinstance(got, Tensor)
        and got.shape == expected.shape
        and torch.allclose(got.to(expected), expected, rtol=1e-4, atol=1e-5)
    )
