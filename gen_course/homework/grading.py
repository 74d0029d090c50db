"""What the tests of homework share: a shield around a hidden test, and a test of means."""

import contextlib
import io
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from gen_course.common.checks import require


def graded(test: Callable[[], None]) -> None:
    """Run the test of a homework question so that only its verdict counts.

    It sees the same random state and settings whatever the notebook did before, and it prints
    nothing: nbgrader takes a warning on stderr for a failure, and a value shown for a score.
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

    Six standard errors are allowed: for the thousands of draws that this is meant for, a right
    function fails with a probability of 2e-9 a column.
    """
    error = draws.std(dim=0) / len(draws) ** 0.5
    distance = (draws.mean(dim=0) - expected).abs()
    require((distance <= 6 * error + 1e-6).all(), message)
