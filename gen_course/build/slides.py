"""Write the slides: ``python -m gen_course.build.slides [FOLDER]``, by ``make slides``.

There is a deck of every chapter and one of every session of the lecturer's plan. Each is an HTML
file that needs no network, and, where there is a Chromium, a PDF to hand out.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from gen_course.build import lecturer, places
from gen_course.build.deck import browser, decks
from gen_course.build.deck.decks import Deck

DECKS = places.ROOT / "build" / "slides"
WIDTHS = (28, 7, 6, 7, 7, 6, 9, 5)  # of the columns of the table
HEAD = ("deck", "slides", "core", "extra", "words", "most", "letter", "PDF")


def chosen(chapters: list[str] | None = None, sessions: list[str] | None = None) -> Iterator[Deck]:
    """The decks of some chapters and sessions, or all decks if none is named."""
    everything = not chapters and not sessions
    for name in places.chapters() if everything else chapters or []:
        yield decks.of_chapter(name)
    for session in lecturer.sessions() if everything or sessions else []:
        if everything or session.deck in (sessions or []):
            yield decks.of_session(session)


def facts(deck: Deck, letter: str = "-", pages: str = "-") -> tuple[str, ...]:
    """A deck's row in the table at the end."""
    extra = sum(slide.extra for slide in deck.slides)
    numbers = (len(deck.pages), len(deck.slides) - extra, extra, *deck.words)
    return deck.name, *map(str, numbers), letter, pages


def table(rows: list[tuple[str, ...]]) -> str:
    """The table of what each deck shows."""
    return "\n".join(
        "".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, WIDTHS, strict=True))
        )
        for row in [HEAD, *rows]
    )


def main() -> None:
    """Write the decks, print them, and measure them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DECKS)
    parser.add_argument("--chapter", action="append", help="only this chapter's deck")
    parser.add_argument("--plan", action="append", help="only this session's deck, such as week_2")
    parser.add_argument("--html", action="store_true", help="neither print nor measure the decks")
    options = parser.parse_args()
    found = list(chosen(options.chapter, options.plan))  # first of all: a slide may be refused
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with browser.opened(wanted=not options.html) as page:
        for deck in found:
            file = options.folder / f"{deck.name}.html"
            file.write_text(deck.html(), encoding="utf-8")
            print(f"{file}: {len(deck.pages)} slides", flush=True)
            if page is None:
                rows.append(facts(deck))
                continue
            seen = browser.measured(page, file)
            letter = min(slide["letter"][0] for slide in seen)
            browser.print_handout(page, file, file.with_suffix(".pdf"))
            pages = browser.pages_of(file.with_suffix(".pdf"))
            rows.append(facts(deck, f"{letter:g} px", str(pages)))
    print(f"\n{table(rows)}")
    if page is None and not options.html:
        print("\nHandouts (PDF) need Chromium and playwright; install the package chromium.")


if __name__ == "__main__":
    main()
