"""Helpers for the hidden tests of the homework: run a test in isolation, and test a mean."""

import contextlib
import io
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from gen_course.common.checks import require


def graded(test: Callable[[], None]) -> None:
    """Run the test of a homework question, isolated from what the notebook did before.

    The test always starts with the same random state and settings. It prints nothing, because
    nbgrader counts a warning on stderr as a failure and a displayed value as a score.
    """
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    quiet = io.StringIO()
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.enable_grad(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
        ):
            warnings.simplefilter("ignore")
            torch.default_generator.manual_seed(0)
            test()
    finally:
        torch.set_default_dtype(dtype)


def require_mean(draws: Tensor, expected: float | Tensor, message: str) -> None:
    """Raise unless each column of independent draws (n, ...) has the expected mean.

    The mean may be off by six standard errors. With thousands of draws, for which this is meant,
    a right function then fails with a probability of 2e-9 per column.
    """
    error = draws.std(dim=0) / len(draws) ** 0.5
    distance = (draws.mean(dim=0) - expected).abs()
    require((distance <= 6 * error + 1e-6).all(), message)
