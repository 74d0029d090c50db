"""Write the slides: ``python -m gen_course.build.slides [FOLDER]``, by ``make slides``.

There is a deck of every chapter and one of every session of the lecturer's plan. Each is an HTML
file that needs no network.
"""

import argparse
import html
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gen_course.build import places
from gen_course.build.deck.chapter import Chapter, Section, chapter
from gen_course.build.deck.page import Page, document, markdown, page

DECKS = places.ROOT / "build" / "slides"


class Deck(NamedTuple):
    """A deck: the pages of each of its sections."""

    name: str
    title: str
    columns: list[list[Page]]
    timed: bool = False

    @property
    def pages(self) -> list[Page]:
        """All pages in their order."""
        return [page for column in self.columns for page in column]

    def html(self) -> str:
        """The whole file."""
        return document(self.title, self.columns, self.timed)


def chapter_deck(name: str) -> Deck:
    """The deck of a chapter: its question, then all its slides."""
    one = chapter(name)
    opening = Page(_opening(one), markdown(one.opening), kind="opening")
    columns = [[opening]]
    for section in one.sections:
        if section.heading:
            columns.append(list(_pages(section)))
        else:
            columns[0] += _pages(section)
    return Deck(name, one.title, columns)


def _pages(section: Section) -> Iterator[Page]:
    for number, slide in enumerate(section.slides):
        yield page(slide, live=bool(section.heading) and (number == 0 or slide.explores))


def _opening(one: Chapter) -> str:
    topic, _, question = one.title.partition(": ")
    asked = html.escape(question[:1].upper() + question[1:])
    return f"<h1>{html.escape(topic)}</h1><p>{asked}</p>"


def main() -> None:
    """Write the decks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DECKS)
    parser.add_argument("--chapter", action="append", help="only this chapter's deck")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.chapter or places.chapters():
        deck = chapter_deck(name)
        (options.folder / f"{deck.name}.html").write_text(deck.html(), encoding="utf-8")
        print(f"{deck.name}: {len(deck.pages)} slides", flush=True)


if __name__ == "__main__":
    main()
