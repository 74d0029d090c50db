"""Measure the time from a key to changed pixels, for every control (``make bench-widgets``).

Arguments are names of explorers to measure; without any, all are measured.

The explorers run in a real JupyterLab in a real Chromium, and are compared with a bare slider that
only exchanges a small picture. The page itself takes the time, from the key press until the new
picture is decoded and the next frame begins. Each control gets 50 real key presses; each waits
until the effects of the last are over. The target: the 95th percentile of a control is at most
40 ms above that of the bare slider in the same run, or one second if every move runs a sampler.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lab import (
    CHROMIUM_ARGS,
    EXPLORERS,
    LAPTOP,
    PATIENCE,
    chromium,
    open_and_run,
    position,
    running_lab,
    write_notebooks,
)
from playwright.sync_api import Locator, Page, sync_playwright

MOVES, PAUSE = 50, 100  # per control; milliseconds between two of them
ALLOWED = 40  # milliseconds above the bare slider
# The same for explorers that run a sampler at every move.
SAMPLING = dict.fromkeys(("guidance", "prompt", "try_on", "few_steps", "between"), 1_000)
BARE = """
import io
import ipywidgets as widgets
from PIL import Image
def png(shade):
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()
pictures = [png(64), png(192)]
image = widgets.Image(value=pictures[0])
slider = widgets.IntSlider(description="bare slider", max=10)
slider.observe(lambda change: setattr(image, "value", pictures[change.new % 2]), "value")
widgets.VBox([slider, image])
"""
WATCH = """(picture, patience) => {
    window.moved = new Promise((done, fail) => {
        let pressed;
        const late = setTimeout(() => fail(new Error("the picture has not changed")), patience);
        addEventListener("keydown", (event) => { pressed = event.timeStamp; },
                         { capture: true, once: true });
        picture.addEventListener("load", async () => {
            await picture.decode();
            requestAnimationFrame(() => {
                clearTimeout(late);
                done(performance.now() - pressed);
            });
        }, { once: true });
    });
}"""


class Control(NamedTuple):
    """A control: its name, the element that takes keys, and the keys that move it up and down."""

    name: str
    handle: Locator
    keys: tuple[str, str] = ("ArrowUp", "ArrowDown")


class Row(NamedTuple):
    """Milliseconds from key to pixels."""

    explorer: str
    control: str
    median: float
    p95: float


def controls(page: Page) -> Iterator[Control]:
    """Every control of the explorer on the page."""
    for pad in page.locator(".gen-pad").all():
        yield Control("pad", pad)
    for patches in page.locator(".gen-patches").all():
        yield Control("patches", patches.get_by_role("gridcell").first, (" ", " "))
    for slider in page.locator(".widget-slider").all():
        handle, keys = slider.locator(".noUi-handle"), ("ArrowUp", "ArrowDown")
        yield Control(_label(slider), handle, keys[::-1] if position(handle) == 1 else keys)
    for choice in page.locator(".widget-dropdown").all():
        yield Control(_label(choice), choice.locator("select"), ("ArrowDown", "ArrowUp"))


def _label(row: Locator) -> str:
    return row.locator(".widget-label").inner_text()


def milliseconds(picture: Locator, control: Control) -> list[float]:
    """Move a control up and down, and return the times from key to pixels."""
    page, times = picture.page, []
    # JupyterLab takes the arrow keys unless a widget forbids it; the bare slider does not.
    control.handle.evaluate("el => el.setAttribute('data-lm-suppress-shortcuts', 'true')")
    control.handle.focus()
    for move in range(MOVES):
        page.wait_for_timeout(PAUSE)
        picture.evaluate(WATCH, 1_000 * PATIENCE)
        page.keyboard.press(control.keys[move % 2])
        times.append(page.evaluate("window.moved"))
    return times


def measure(page: Page, address: str, name: str) -> Iterator[Row]:
    """Measure every control in the notebook of an explorer."""
    open_and_run(page, address, f"{name}.ipynb")
    picture = page.locator(".widget-image")
    picture.wait_for()
    page.wait_for_timeout(2_000)
    for control in controls(page):
        times = milliseconds(picture, control)
        p95 = statistics.quantiles(times, n=20)[-1]
        yield Row(name, control.name, statistics.median(times), p95)


def main() -> None:
    """Print a table and a verdict; the exit code is that of the verdict."""
    print(f"{'explorer':8}  {'control':20} {'median':>9} {'p95':>9} {'over bare':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        home, notebooks = Path(temporary, "home"), Path(temporary, "notebooks")
        home.mkdir()
        notebooks.mkdir()
        write_notebooks(notebooks, {"bare": BARE} | EXPLORERS)
        with running_lab(notebooks, home) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
            page = browser.new_page(viewport=LAPTOP)
            rows: list[Row] = []
            for name in ("bare", *(sys.argv[1:] or EXPLORERS)):
                for row in measure(page, address, name):
                    rows.append(row)
                    over = row.p95 - rows[0].p95
                    times = f"{row.median:6.0f} ms {row.p95:6.0f} ms {over:+7.0f} ms"
                    print(f"{row.explorer:8}  {row.control:20} {times}", flush=True)
            browser.close()
    sys.exit(verdict(rows))


def verdict(rows: list[Row]) -> int:
    """Say whether every control is fast enough; return 0 if so, else 1."""
    bare, *others = rows
    late = [row for row in others if row.p95 > bare.p95 + SAMPLING.get(row.explorer, ALLOWED)]
    allowed = f"{ALLOWED} ms (where a sampler runs, {max(SAMPLING.values())} ms)"
    if late:
        names = ", ".join(f"{row.explorer}: {row.control}" for row in late)
        print(f"FAIL: {len(late)} of {len(others)} controls take more than {allowed}: {names}.")
    else:
        print(f"PASS: all {len(others)} controls stay within {allowed} of the bare slider.")
    return int(bool(late))


if __name__ == "__main__":
    main()
