"""Shared by all tests: run-time checks of shapes and types, and data to test on."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
CHECKED = ["gen_lib", "gen_course"]

if imported := [package for package in CHECKED if package in sys.modules]:
    raise RuntimeError(f"{imported} were imported before their annotations could be checked")
sys.path.insert(0, str(ROOT))
install_import_hook(CHECKED, "beartype.beartype")

from gen_course.build import stamps  # noqa: E402
from gen_lib.data import ImageSet, Split, load  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    """Seed torch: untrained models are the same in every run, whatever the order of the tests."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def fashion() -> ImageSet:
    return load("fashion_mnist")


@pytest.fixture(scope="session")
def few(fashion) -> Split:
    """300 training images."""
    return fashion.train.subset(300)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """A folder of 12 small pictures."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / f"{i}.png")
    return folder


# tests/RELIABILITY.md, written by `pytest --reliability`: the faults tried, and how each ended.

TABLE = Path(__file__).with_name("RELIABILITY.md")
CODE = pytest.StashKey[str]()
WORDS = """# What was tried, and how it ended

Written by the tests themselves: `make reliability`. In none of these cases was a file of the user
lost, did a command hang, or was code in a data file executed.

| Fault | Tried | How it ended |
|---|---|---|
{rows}

## What does not repeat bit by bit

- A budget in minutes: how many steps it holds depends on the machine. One in steps repeats.
- Another machine, number of threads, or version of torch: sums are taken in another order.
- A GPU, whose kernels may add in any order.
- Several processes beside one, since each draws batches and noise of its own; and several that were
  resumed, where what only one of them knew, such as the image pool of a CycleGAN, comes back as
  that of the first.
- The minutes of a card and the seconds of a history.

## What is not the course's own

CIFAR-10, which is not shipped, is fetched and read by torchvision: its files are pickles, whose
MD5 torchvision checks before it reads them. Nothing else that the course reads could execute.
"""


def pytest_addoption(parser):
    parser.addoption("--reliability", action="store_true", help="write tests/RELIABILITY.md anew")


def pytest_configure(config):
    """Stamp the code before the first test, so that later edits are not taken for tested code."""
    if config.getoption("--reliability"):
        config.stash[CODE] = stamps.digest(stamps.covered(stamps.RELIABILITY, ROOT), ROOT)


@pytest.fixture
def ended(request, record_property):
    """Record how the fault in this test's mark ended; the table shows it."""
    (mark,) = request.node.iter_markers("fault")
    return lambda words: record_property("fault", (*mark.args, mark.kwargs["tried"], words))


def pytest_terminal_summary(terminalreporter, config):
    """Write one row for each fault: how its tests ended, with counts if they ended differently.

    Nothing is written unless every fault was tried and every test passed.
    """
    incomplete = config.getoption("keyword") or terminalreporter.getreports("failed")
    if not config.getoption("--reliability") or incomplete:
        return
    ends: dict[tuple[str, int], Counter[str]] = {}
    for report in terminalreporter.getreports("passed"):
        for fault, tried, end in dict(report.user_properties).values():
            ends.setdefault((fault, tried), Counter())[end] += 1
    rows: dict[str, str] = {}
    for (fault, tried), found in ends.items():
        alike = len(found) == 1
        words = "; ".join(end if alike else f"{end} ({n})" for end, n in found.most_common())
        rows[fault] = f"| {fault} | {tried} | {words} |"
    text = WORDS.format(rows="\n".join(rows[fault] for fault in sorted(rows)))
    stamps.write(TABLE, text, config.stash[CODE])
