"""Open a deck in Chromium: measure its slides, and print it as a handout."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # playwright belongs to what tests need; decks are written without it, too
    from playwright.sync_api import Page

SIZE = (1280, 720)
LEAST_LETTER = 24  # pixels
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def opened(wanted: bool = True) -> Iterator["Page | None"]:
    """A page of a Chromium without a network.

    It is None if it is not wanted, and where there is no Chromium or no playwright.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None or not wanted:
        yield None
        return
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.context.set_offline(True)
        yield page
        browser.close()


def measured(page: "Page", deck: Path) -> list[dict[str, Any]]:
    """Open a deck, and say what each slide shows with all its steps (``measure.js``)."""
    page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
    page.goto(deck.resolve().as_uri())
    page.wait_for_function("Reveal.isReady()")
    script = Path(__file__).with_name("measure.js").read_text(encoding="utf-8")
    return json.loads(page.evaluate(script))


def print_handout(page: "Page", deck: Path, pdf: Path) -> None:
    """Print a deck, one slide a page, with all steps and the last picture of each film."""
    page.goto(deck.resolve().as_uri() + "?print-pdf")
    page.wait_for_function("Reveal.isReady() && document.querySelector('.pdf-page')")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    page.pdf(path=pdf, prefer_css_page_size=True, print_background=True)


def pages_of(pdf: Path) -> int:
    """The number of pages of a PDF that Chromium wrote."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
