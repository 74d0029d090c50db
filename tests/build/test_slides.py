"""Slides keep to their form, show what their chapters show, and decks keep to the plan."""

import re
from itertools import pairwise

import demo
import nbformat
import pytest

from gen_course.build import (
    glossary,
    lecturer,
    masters,
    notebooks,
    places,
    slides,
    solutions,
    stamps,
)
from gen_course.build.deck import browser, decks, films, page, text
from gen_course.build.deck.chapter import chapter
from gen_course.build.deck.text import Block, SlideError, parse
from gen_course.build.lecturer import Row, Session

CHAPTERS = places.chapters()
SESSIONS = lecturer.sessions()
ROWS = [(session, row) for session in SESSIONS for row in session.rows]
every_chapter = pytest.mark.parametrize("name", CHAPTERS)
every_session = pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.deck)


# The form of a slide


@pytest.mark.parametrize(
    ("body", "blocks"),
    [
        ("{figure}", [("figure", "1")]),
        ("{figure 2}", [("figure", "2")]),
        ("{table}", [("table", "1")]),
        ("{film denoise}", [("film", "denoise")]),
        ("$$a\n= b$$", [("formula", "a\n= b")]),
        ("$$a$$\n\nbecause\n\n$$b$$", [("formula", "a"), ("text", "because"), ("formula", "b")]),
        ("Words with $x$.\nMore.", [("text", "Words with $x$.\nMore.")]),
        ("- one\n- two", [("text", "- one\n- two")]),
        ("```python\na = 1\n\nif a:\n    b()\n```", [("code", "a = 1\n\nif a:\n    b()")]),
        (
            "Say:\n\n```python\n# note\n```\n\n$$x$$",
            [("text", "Say:"), ("code", "# note"), ("formula", "x")],
        ),
    ],
)
def test_every_block_is_read(body, blocks):
    slide = parse(f"A title claims\n\n{body}\n")
    assert list(slide.blocks) == [Block(*block) for block in blocks]
    assert (slide.title, slide.question) == ("A title claims", "")


@pytest.mark.parametrize("body", ["{figure}\n\n? Why\nis it?", "? Why is it?\n\n{figure}"])
def test_the_question_is_not_shown(body):
    slide = parse(f"A title claims\n\n{body}")
    assert (slide.question, slide.blocks) == ("Why is it?", (Block("figure", "1"),))
    assert slide.words == 3


def test_words_are_those_of_title_lists_and_tables_but_not_of_formulas_and_code():
    body = "- one *two*\n- `three` $x + y$ [four](http://five)\n\n| a | b |\n|---|---|\n| 1 | – |"
    assert parse(f"A title\n\n{body}\n\n$$a b c$$\n\n```python\na = 1\n```").words == 2 + 4 + 3


WORDS = " ".join(["word"] * 33)
LINES = "\n".join(["a = 1"] * 13)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "first line must be its title"),
        ("# A heading", "first line must be its title"),
        ("{figure}", "first line must be its title"),
        ("A title claims.", "without a full stop"),
        (f"A title {' '.join(['word'] * 11)}", "at most 12 words, not 13"),
        ("A title\n{figure}", "a blank line must follow"),
        (f"A title\n\n{WORDS} word", "at most 35 words, not 36"),
        ("A title\n\n{picture}", r"there is no \{picture\}"),
        ("A title\n\n{film}", r"there is no \{film\}"),
        ("A title\n\n{figure 0}", r"there is no \{figure 0\}"),
        ("A title\n\n{figure}\nwords", "shares its paragraph"),
        ("A title\n\n## Heading", "its body has a heading"),
        ("A title\n\n{figure}\n\n{figure 2}", "one thing, not figure and figure"),
        ("A title\n\n{film a}\n\n```python\na = 1\n```", "one thing, not film and code"),
        ("A title\n\n```python\na = 1", "not closed"),
        ("A title\n\n```\na = 1\n```", "begins with ```python"),
        (f"A title\n\n```python\n{LINES}\n```", "at most 12 lines, not 13"),
        (f"A title\n\n```python\na = {'1' * 61}\n```", "at most 64 letters"),
    ],
)
def test_what_does_not_keep_to_the_form_is_refused_by_chapter_and_title(source, message):
    with pytest.raises(SlideError, match=message) as error:
        parse(source, where="09_demo")
    assert str(error.value).startswith(f"09_demo, slide {source.partition(chr(10))[0]!r}: ")


def test_what_is_just_allowed_is_read():
    parse(f"A title\n\n{WORDS}")
    parse(f"A title\n\n```python\n{LINES[6:]}\n\nb = {'1' * 60}\n```".replace("a = 1\n", "", 1))


@pytest.mark.parametrize(
    ("tags", "message"),
    [(["slide", "hours"], "no tag hours"), (["slide", "hour", "extra"], "cannot be extra")],
)
def test_tags_that_do_not_fit_are_refused(tags, message):
    with pytest.raises(SlideError, match=message):
        parse("A title", tags)


# The slides of a chapter


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Write the demo, after a change if one is given, and read its chapter."""

    def written(old="", new="", executed=None):
        assert old in demo.MASTER
        demo.write(tmp_path, monkeypatch, demo.MASTER.replace(old, new), executed)
        return chapter(demo.NAME)

    yield written
    monkeypatch.undo()
    chapter.cache_clear()


def test_slides_stand_for_the_cells_up_to_the_next(course):
    one = course()
    assert [section.heading for section in one.sections] == ["One", "Two", "Three"]
    figure, ask, *_, table, _, fallback = one.slides
    assert len(figure.figures) == 2
    assert figure.figures[0].alt == demo.ALT
    assert (figure.figures[0].width, figure.figures[0].height) == (600, 300)
    assert figure.text.question == "Why is it blue?"
    assert figure.hour
    assert not ask.figures
    assert table.words == 5 + 4
    assert (fallback.text.title, fallback.fallback) == ("Three", True)
    assert [slide.extra for slide in one.slides].count(True) == 1


def test_the_prose_becomes_the_notes(course):
    figure, _, _, bound, listed, *_ = course().slides
    assert figure.notes.startswith("The prose of the heading")
    assert "Prose inside" in figure.notes
    assert bound.notes == listed.notes == "Prose of two slides."
    notes = page.Page(figure).said
    assert notes.startswith("<p><strong>Ask:</strong> Why is it blue?</p>")
    assert "<strong>More</strong>" in notes
    assert "<details" not in notes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# {figure}\n#\n# ?", "# {figure 3}\n#\n# ?", "its cells have 2 figures, so no figure 3"),
        ("# {table}\n", "# {table 2}\n", "its cells have 1 tables, so no table 2"),
        ("# {film toy}", "# {film helper}", "films.py has no film helper"),
        ("# a = 1\n# b", "# c = 1\n# b", "no code cell that it stands for has 'c = 1'"),
        ('"slide", "predict"', '"slide", "predict", "hour"', "no slide follows with the answer"),
        ("# A table may be", "# A table of {}may be".format("long " * 13), "at most 12 words"),
    ],
)
def test_a_slide_that_asks_for_what_is_not_there_is_refused(course, old, new, message):
    with pytest.raises(SlideError, match=message) as error:
        course(old, new)
    assert str(error.value).startswith("09_demo, slide '")


def test_a_table_counts_its_words(course):
    course("# {table}\n", f"# {'word ' * 26}\n#\n# {{table}}\n")
    with pytest.raises(SlideError, match="at most 35 words, not 36"):
        course("# {table}\n", f"# {'word ' * 27}\n#\n# {{table}}\n")


def test_a_notebook_that_is_older_than_its_master_is_refused(course):
    with pytest.raises(SlideError, match=r"09_demo: the notebook is older .* run `make notebooks`"):
        course(executed=demo.MASTER.replace("loss = a", "loss = 2 * a"))


def test_a_chapter_without_slides_falls_back_to_headings_and_figures(course):
    cells = re.split(r"(?=^# %%)", demo.MASTER, flags=re.MULTILINE)
    none = "".join(cell for cell in cells if '"slide"' not in cell)
    one = course(demo.MASTER, none)
    assert not one.written
    assert [slide.text.title for slide in one.slides] == ["One", "Two", "Three", "Four"]
    assert all(slide.fallback and slide.hour for slide in one.slides)


def test_films_are_computed_once(course, monkeypatch):
    course()
    assert films.named(demo.NAME) == ["toy"]
    first = films.film(demo.NAME, "toy")
    films.film.cache_clear()
    monkeypatch.setattr(films, "_module", None)
    assert films.film(demo.NAME, "toy") == first


def test_slides_are_no_part_of_the_chapter(course, tmp_path):
    course()
    cells = re.split(r"(?=^# %%)", demo.MASTER, flags=re.MULTILINE)
    bare = tmp_path / "ch10_bare" / "chapter.py"
    bare.parent.mkdir()
    bare.write_text("".join(cell for cell in cells if '"slide"' not in cell), encoding="utf-8")
    master = places.master(demo.NAME)
    assert notebooks.blank(master) == notebooks.blank(bare)
    assert stamps._meaning(master) == stamps._meaning(bare)
    assert not [cell for cell in masters.cells(master) if solutions.tagged(cell, "slide")]


def test_a_term_on_a_slide_is_not_marked_again(course, monkeypatch):
    course("# A table may be written", "# A **code** (코드) may be written")
    assert glossary.terms() == []


# Pages


def test_steps_appear_one_after_the_other(course):
    figure, ask, code, bound, listed, film, *_ = map(page.Page, course().slides)
    assert [one.body.count("fragment") for one in (figure, ask, code, bound, listed)] == [
        0,
        0,
        1,
        1,
        2,
    ]
    assert '<div class="fragment row">' in bound.body
    assert bound.body.count('class="reason"') == 2
    assert "extra</span>" in listed.body
    assert 'class="page predict"' in page.document("", [[ask]])
    assert film.body.count("A blue square moves") == 2, "the film and its last frame"


def test_a_page_links_its_section_in_the_lab(course):
    slide = course().slides[0]._replace(section="Look & see: $x$")
    body = page.Page(slide, live=True).body
    assert f"{page.LAB}09_demo.ipynb#Look-%26-see%3A-%24x%24" in body
    assert "live" not in page.Page(slide).body


def test_a_deck_holds_everything_that_it_needs(course):
    course()
    whole = decks.of_chapter(demo.NAME).html()
    assert whole.count("</script>") == 1
    page_itself = re.sub(r"<script>.*</script>", "", whole, flags=re.DOTALL)
    assert (
        re.findall(r'src(?:set)?="(?!data:)|<link[^>]+href="(?!data:)|@import', page_itself) == []
    )
    assert "<h1>09 · A demo</h1><p>What can a slide show?</p>" in whole


# The plan


def test_a_session_shows_its_level_in_its_order_and_says_which_minute_it_is(course):
    course()
    rows = [Row(1, f"{demo.NAME}#Two", 4, "Show & say."), Row(1, f"{demo.NAME}#One", 5, "Ask.")]
    core = decks.of_session(Session("Nine minutes", 10, 1, rows))
    titles = [one.text.title for one in core.slides]
    assert titles[0] == "A toy moves to the right"
    assert titles[-1] == "A bound needs Jensen", "the list is extra"
    first, *_, last = [one for one in core.pages if one.slide]
    assert first.notes.startswith(
        "<p><strong>Minutes 0 to 4 of 10, slide 1 of 3:</strong> Show &amp; say."
    )
    assert last.notes.startswith("<p><strong>Minutes 4 to 9 of 10, slide 4 of 4:</strong> Ask.")
    assert sum(one.seconds for one in core.pages) == 600
    hour = decks.of_session(Session("Nine minutes", 6, 1, rows[1:], "hour"))
    assert [one.text.title for one in hour.slides] == ["A figure says that $x^2$ is blue"]


@pytest.mark.parametrize(
    ("row", "level", "message"),
    [
        (Row(1, f"{demo.NAME}#Two", 4, "Show."), "hour", "has 0 slides of level hour"),
        (
            Row(1, f"{demo.NAME}#One", 2, "Show."),
            "core",
            "has 4 slides .* 2 minutes are for 1 to 3",
        ),
    ],
)
def test_a_row_without_slides_or_with_too_many_is_refused(course, row, level, message):
    course()
    with pytest.raises(SlideError, match=message):
        decks.of_session(Session("An hour", 60, 5, [row], level))


# The course


@every_chapter
def test_a_chapter_has_enough_slides_and_not_too_many(name):
    one = chapter(name)
    core = [slide for slide in one.slides if not slide.extra]
    assert not one.written or 15 <= len(core) <= 25
    assert all(slide.words <= text.MOST_WORDS for slide in one.slides)
    assert all(text.count(slide.text.title) <= text.MOST_TITLE for slide in one.slides)
    silent = [slide.text.title for slide in one.slides if not slide.notes and not slide.fallback]
    assert silent == []
    titles = [slide.text.title for slide in one.slides]
    assert len(set(titles)) == len(titles)


@every_chapter
def test_code_on_a_slide_stands_in_the_executed_notebook(name):
    cells = nbformat.read(places.notebook(name), as_version=4).cells
    known = {line.strip() for c in cells if c.cell_type == "code" for line in c.source.splitlines()}
    known |= {line.partition("  #")[0] for line in known}  # a slide may leave out the comment
    blocks = [block for slide in chapter(name).slides for block in slide.text.blocks]
    shown = [line.strip() for b in blocks if b.kind == "code" for line in b.value.splitlines()]
    assert [line for line in shown if line not in known | {""}] == []


@every_chapter
def test_films_are_small_described_and_shown(name):
    blocks = [block for slide in chapter(name).slides for block in slide.text.blocks]
    assert {b.value for b in blocks if b.kind == "film"} == set(films.named(name))
    for film in (films.film(name, one) for one in films.named(name)):
        assert len(film.webp) < 300 * 2**10
        assert len(film.alt) > 40


@pytest.mark.parametrize(("session", "row"), ROWS, ids=[f"{s.deck}-{r.at}" for s, r in ROWS])
def test_every_row_of_the_plan_has_slides_and_forty_seconds_for_each(session, row):
    shown = decks.shown(session, row)
    assert 60 * row.minutes >= 40 * len(shown) > 0
    assert {f"{slide.chapter}#{slide.section}" for slide in shown} == {row.at}


@every_session
def test_a_session_shows_exactly_its_plan(session):
    deck = decks.of_session(session)
    at = [f"{slide.chapter}#{slide.section}" for slide in deck.slides]
    assert [a for a, b in pairwise([*at, ""]) if a != b] == [row.at for row in session.rows]
    assert sum(one.seconds for one in deck.pages) == 60 * session.minutes
    assert deck.timed


def test_every_deck_has_its_own_name():
    names = [*CHAPTERS, *(session.deck for session in SESSIONS)]
    assert len(set(names)) == len(names)
    assert [session.deck for session in SESSIONS[:3]] == ["one_hour", "two_hours", "week_1"]


def test_make_slides_writes_decks_and_says_what_they_show(course, tmp_path, monkeypatch, capsys):
    course()
    monkeypatch.setattr(browser, "NAMES", ())
    monkeypatch.setattr("sys.argv", ["slides", str(tmp_path / "out"), "--chapter", demo.NAME])
    slides.main()
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["09_demo.html"]
    said = capsys.readouterr().out
    assert re.search(r"^09_demo +10 +8 +1 +7 +12 +- +-$", said, re.MULTILINE)
    assert "need Chromium" in said
