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
HEAD = f"{'deck':<28}{'slides':>7}{'core':>6}{'extra':>7}{'words':>7}{'most':>6}{'letter':>8}{'PDF':>6}"


def chosen(chapters: list[str] | None = None, sessions: list[str] | None = None) -> Iterator[Deck]:
    """The decks of some chapters and sessions, or all decks if none is named."""
    everything = not chapters and not sessions
    for name in places.chapters() if everything else chapters or []:
        yield decks.of_chapter(name)
    for session in lecturer.sessions():
        if everything or decks.file_name(session) in (sessions or []):
            yield decks.of_session(session)


def line(deck: Deck, letter: str = "-", pages: str = "-") -> str:
    """A deck's line in the table at the end."""
    extra = sum(slide.extra for slide in deck.slides)
    middle, most = deck.words
    return (
        f"{deck.name:<28}{len(deck.pages):>7}{len(deck.slides) - extra:>6}{extra:>7}"
        f"{middle:>7}{most:>6}{letter:>8}{pages:>6}"
    )


def main() -> None:
    """Write the decks, print them, and measure them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DECKS)
    parser.add_argument("--chapter", action="append", help="only this chapter's deck")
    parser.add_argument("--plan", action="append", help="only this session's deck, such as week_2")
    parser.add_argument("--html", action="store_true", help="neither print nor measure the decks")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    lines = [HEAD]
    with browser.opened(wanted=not options.html) as page:
        for deck in chosen(options.chapter, options.plan):
            file = options.folder / f"{deck.name}.html"
            file.write_text(deck.html(), encoding="utf-8")
            print(f"{file}: {len(deck.pages)} slides", flush=True)
            if page is None:
                lines.append(line(deck))
                continue
            seen = browser.measured(page, file)
            letter = min(slide["letter"][0] for slide in seen)
            browser.print_handout(page, file, file.with_suffix(".pdf"))
            pages = browser.pages_of(file.with_suffix(".pdf"))
            lines.append(line(deck, f"{letter:g} px", str(pages)))
    print("\n".join(["", *lines]))
    if page is None and not options.html:
        print("\nHandouts (PDF) need Chromium and playwright; install the package chromium.")


if __name__ == "__main__":
    main()
