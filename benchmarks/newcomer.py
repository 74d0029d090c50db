"""Time a newcomer's path: clone, ``make lab``, Run All in chapter 00, move the first widget.

It runs in an empty home folder with a new environment; pip takes its packages from wherever this
machine is configured to. Chromium takes the place of the newcomer's browser. The time that a person
needs for reading is not included.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import record
from lab import CHROMIUM_ARGS, LAPTOP, ROOT, chromium, open_and_run, press, settle, wait_for_change
from playwright.sync_api import Page, sync_playwright

ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):\S+token=\w+")


@contextmanager
def make_lab(course: Path, home: Path) -> Iterator[str]:
    """Run ``make lab`` in a clone, give the address that it prints, and stop it at the end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "PYTHONPATH"))}
    command = ["make", "lab", "LAB_ARGS=--no-browser --expose-app-in-browser"]
    with subprocess.Popen(
        command,
        cwd=course,
        env=kept | {"HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            found = (match for line in process.stdout if (match := ADDRESS.search(line)))
            yield next(found)[0]
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def move_the_first_widget(page: Page) -> None:
    """Press one key on the first slider, and wait until the picture has changed."""
    explorer = page.locator(".gen-explorer").first
    explorer.scroll_into_view_if_needed()
    before = settle(explorer)
    press(explorer.locator(".noUi-handle").first, "ArrowUp")
    wait_for_change(explorer, before, "the first widget")


def main() -> None:
    """Print the seconds of each step, and save them."""
    rows: list[dict[str, str | float]] = []
    start = time.perf_counter()

    def note(step: str) -> None:
        seconds = time.perf_counter() - start - sum(float(row["seconds"]) for row in rows)
        rows.append({"step": step, "seconds": seconds})
        print(f"{step:36} {seconds:7.1f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        course, home = Path(folder, "course"), Path(folder, "home")
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(course)], check=True)
        note("git clone")
        with make_lab(course, home) as address:
            note("make lab, until it prints its address")
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
            page = browser.new_page(viewport=LAPTOP)
            open_and_run(page, address, "")
            note("chapter 00, Run All")
            move_the_first_widget(page)
            note("the first widget moved")
            browser.close()
    record.write("newcomer", rows)


if __name__ == "__main__":
    main()
