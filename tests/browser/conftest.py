"""Start one Chromium and one JupyterLab for all browser tests, or skip them with a reason."""

import os
from pathlib import Path

import pytest
from lab import (
    CHROMIUM_ARGS,
    EXPLORERS,
    LAPTOP,
    PATIENCE,
    chromium,
    running_lab,
    shut_down_kernels,
    write_notebooks,
)
from playwright.sync_api import expect

QUIZ = "from gen_course.common.quiz import Quiz\nQuiz('01_autoencoders')"
expect.set_options(timeout=1_000 * PATIENCE)


def pytest_collection_modifyitems(items):
    """Run browser tests last: while Playwright runs, no other test can start an event loop."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = chromium()
    if path is None:
        reason = "no Chromium found: install the package chromium to run the browser tests"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return browser_type_launch_args | {"executable_path": path, "args": CHROMIUM_ARGS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    return browser_context_args | {"viewport": LAPTOP}


@pytest.fixture(scope="session")
def base_url():
    """Replace pytest-playwright's fixture, which makes pytest 9 warn; it is not needed here."""


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory) -> Path:
    """The folder that the server shows: one notebook per widget."""
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebooks(folder, EXPLORERS | {"quiz": QUIZ})
    return folder


@pytest.fixture(scope="session")
def lab_server(browser_type_launch_args, lab_folder, tmp_path_factory):
    """The address of a running JupyterLab, with a place for the notebook's name."""
    with running_lab(lab_folder, tmp_path_factory.mktemp("home")) as address:
        yield address


@pytest.fixture
def lab(lab_server):
    """The server's address, after the kernels of earlier tests (half a gigabyte each) are ended."""
    shut_down_kernels(lab_server)
    return lab_server


@pytest.fixture
def quiet_page(page):
    """A page; the test fails if it reports an error or sends a request to another machine."""
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    outside: list[str] = []
    page.on("request", lambda r: None if _is_local(r.url) else outside.append(r.url))
    yield page
    assert errors == []
    assert outside == []


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
