"""The decks: one of every chapter, and one of every session of the lecturer's plan.

A session's deck shows exactly the sections of its plan, and says in the notes which minute it is.
"""

import html
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from gen_course.build.deck.chapter import Section, Slide, chapter
from gen_course.build.deck.page import Page, document
from gen_course.build.deck.text import SlideError
from gen_course.build.lecture_map import parts
from gen_course.build.lecturer import Row, Session

SECONDS_OF_A_PART = 10  # a page that only names the next part of the lecture
LEAST_SECONDS = 40  # of a slide, so that nobody has to hurry


class Deck(NamedTuple):
    """A deck: the pages of each of its sections."""

    name: str
    title: str
    columns: list[list[Page]]
    timed: bool = False
    """Whether its pages say how long they are shown."""

    @property
    def pages(self) -> list[Page]:
        """All pages in their order."""
        return [page for column in self.columns for page in column]

    @property
    def slides(self) -> list[Slide]:
        """All slides in their order, without the pages that only name what follows."""
        return [page.slide for page in self.pages if page.slide]

    @property
    def words(self) -> tuple[int, int]:
        """The median and the largest number of words of a slide."""
        counts = [slide.words for slide in self.slides]
        return round(median(counts)), max(counts)

    def html(self) -> str:
        """The whole file."""
        return document(self.title, self.columns, self.timed)


def of_chapter(name: str) -> Deck:
    """The deck of a chapter: its question, then all its slides."""
    one = chapter(name)
    topic, _, question = one.title.partition(": ")
    question = question[:1].upper() + question[1:]
    columns = [[Page(title=topic, under=question, prose=one.opening)]]
    for section in one.sections:
        if section.heading:
            columns.append(list(_pages(section)))
        else:
            columns[0] += _pages(section)
    return Deck(name, one.title, columns)


def of_session(session: Session) -> Deck:
    """The deck of a session: a title, the sections of its rows, and time for questions.

    Raises:
        SlideError: a row has no slide, or too many for its minutes.
    """
    minutes = f"{session.minutes} minutes, {session.questions} of them for questions"
    columns = [[Page(title="Generative models", under=f"{session.title}: {minutes}")]]
    names, before, start = [part.title.partition(" (")[0] for part in parts()], 0, 0
    for row in session.rows:
        spent = SECONDS_OF_A_PART if row.part != before else 0
        opening = [Page(title=names[row.part - 1], seconds=spent)] if spent else []
        columns.append(opening + list(_timed(session, row, start, spent)))
        before, start = row.part, start + row.minutes
    minutes = f"{session.questions} minutes"
    columns.append([Page(title="Questions", under=minutes, seconds=60 * session.questions)])
    return Deck(session.deck, f"Generative models: {session.title}", columns, timed=True)


def shown(session: Session, row: Row) -> list[Slide]:
    """The slides of a row: those of its section that the session's level shows.

    Raises:
        SlideError: there is none, or there are too many for the row's minutes.
    """
    name, _, heading = row.at.partition("#")
    slides = [slide for slide in chapter(name).slides if slide.section == heading]
    slides = [one for one in slides if (one.hour if session.slides == "hour" else not one.extra)]
    most = 60 * row.minutes // LEAST_SECONDS
    if not slides or len(slides) > most:
        raise SlideError(
            f"{session.title}: {row.at} has {len(slides)} slides of level {session.slides}, and "
            f"{row.minutes} minutes are for 1 to {most}."
        )
    return slides


def _timed(session: Session, row: Row, start: int, spent: int) -> Iterator[Page]:
    """The pages of a row, its seconds divided evenly after those that its part has spent."""
    slides = shown(session, row)
    seconds = 60 * row.minutes - spent
    ends = [round(seconds * k / len(slides)) for k in range(len(slides) + 1)]
    end = start + row.minutes
    for number, (slide, (first, last)) in enumerate(zip(slides, pairwise(ends), strict=True)):
        when = f"Minutes {start} to {end} of {session.minutes}, slide {number + 1} of {len(slides)}"
        notes = f"<p><strong>{when}:</strong> {html.escape(row.todo)}</p>"
        live = number == 0 or slide.explores
        yield Page(slide, notes=notes, seconds=last - first, live=live)


def _pages(section: Section) -> Iterator[Page]:
    for number, slide in enumerate(section.slides):
        yield Page(slide, live=bool(section.heading) and (number == 0 or slide.explores))
