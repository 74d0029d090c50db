"""Shared by all tests: shapes and types of gen_lib are checked at run time, and data to test on."""

import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parent.parent
collect_ignore_glob = ["benchmarks/*_peer.py"]  # they import what only the extra "peers" brings

if "gen_lib" in sys.modules:
    raise RuntimeError("gen_lib was imported before its annotations could be checked")
sys.path.insert(0, str(ROOT))
install_import_hook("gen_lib", "beartype.beartype")

from gen_lib.data import ImageSet, Split, load  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    """Untrained models are the same ones in every run, and in any order of the tests."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def fashion() -> ImageSet:
    return load("fashion_mnist")


@pytest.fixture(scope="session")
def few(fashion) -> Split:
    """300 training images."""
    return fashion.train.subset(300)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# tests/RELIABILITY.md: what was tried, and how it ended. Written by `pytest --reliability`.

TABLE = Path(__file__).with_name("RELIABILITY.md")


def pytest_addoption(parser):
    parser.addoption("--reliability", action="store_true", help="write tests/RELIABILITY.md anew")


@pytest.fixture
def ended(request, record_property):
    """Say how the fault of this test's mark ended, for the table."""
    (mark,) = request.node.iter_markers("fault")
    return lambda words: record_property("fault", (*mark.args, mark.kwargs["tried"], words))
