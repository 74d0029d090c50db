"""Every deck in a real Chromium without a network: its slides, its keys, its handout."""

import io
import re

import demo
import numpy as np
import pytest
from PIL import Image

from gen_course.build import lecturer, places, slides
from gen_course.build.deck import browser, decks
from gen_course.build.deck.text import MOST_WORDS

pytestmark = pytest.mark.browser
NAMES = [*places.chapters(), *(session.deck for session in lecturer.sessions())]
PLANS = [session.deck for session in lecturer.sessions()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("slides")


@pytest.fixture
def alone(page):
    """A page without a network; the test fails if it reports an error or asks for another file."""
    asked, errors = [], []
    page.context.set_offline(True)
    page.set_viewport_size(dict(zip(("width", "height"), browser.SIZE, strict=True)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: errors.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    yield page
    assert errors == []
    assert not [url for url in asked if not url.startswith(("data:", "file:"))]
    assert len({url.partition("?")[0] for url in asked if url.startswith("file:")}) == 1


def written(name, folder):
    """A deck and its file."""
    plan = {"sessions": [name]} if name in PLANS else {"chapters": [name]}
    (deck,) = slides.chosen(**plan)
    file = folder / f"{name}.html"
    file.write_text(deck.html(), encoding="utf-8")
    return deck, file


@pytest.mark.parametrize("name", NAMES)
def test_a_deck_can_be_read_from_the_last_row_and_needs_no_network(alone, folder, name):
    deck, file = written(name, folder)
    seen = browser.measured(alone, file)
    assert len(seen) == len(deck.pages)
    assert [(one["title"], one["beyond"]) for one in seen if one["beyond"] or one["over"]] == []
    assert [one["letter"] for one in seen if one["letter"][0] < browser.LEAST_LETTER] == []
    assert max(one["words"] for one in seen) <= MOST_WORDS
    assert [one["title"] for one in seen if not one["loaded"]] == []
    assert [one["title"] for one in seen if min(one["rooms"], default=1) <= 0.5] == []
    assert [text for one in seen for text in one["texts"] if len(text) <= 40] == []
    raw = re.compile(r"\$|\\[a-z]|\]\(|\*\*|\{(figure|table|film)")
    assert [one["text"] for one in seen if raw.search(one["text"])] == []
    for page, one in zip(deck.pages, seen, strict=True):
        assert one["seconds"] == page.seconds
        assert bool(one["notes"]) == bool(page.said)
        if page.slide:
            kinds = [block.kind for block in page.slide.text.blocks]
            assert len(one["texts"]) == kinds.count("figure") + kinds.count("film")


def test_a_handout_has_one_page_for_each_slide(alone, folder):
    deck, file = written("one_hour", folder)
    pdf = file.with_suffix(".pdf")
    browser.print_handout(alone, file, pdf)
    assert browser.pages_of(pdf) == len(deck.pages)


# A chapter with every kind of slide


@pytest.fixture
def shown(alone, tmp_path, monkeypatch):
    """The demo's deck; gives a function that goes to the slide of a title."""
    demo.write(tmp_path, monkeypatch)
    deck, file = written(demo.NAME, tmp_path)

    def go(title, query=""):
        alone.goto(file.as_uri() + query)
        alone.wait_for_function("Reveal.isReady()")
        number = [page.slide.text.title if page.slide else "" for page in deck.pages].index(title)
        alone.evaluate(
            "n => { const s = Reveal.getIndices(Reveal.getSlides()[n]); Reveal.slide(s.h, s.v); }",
            number,
        )
        return alone

    yield go
    decks.chapter.cache_clear()


def opacities(page):
    return [
        round(float(value), 1)
        for value in page.evaluate(
            "[...Reveal.getCurrentSlide().querySelectorAll('.step, .row, li')]"
            ".map(part => getComputedStyle(part).visibility == 'visible'"
            " ? getComputedStyle(part).opacity : 0)"
        )
    ]


def test_steps_of_code_are_highlighted_and_lines_of_a_derivation_appear_by_turns(shown):
    page = shown("The loss needs three lines")
    page.add_style_tag(content="* { transition: none !important; }")
    assert opacities(page) == [1, 0.3]
    page.keyboard.press("ArrowRight")
    assert opacities(page) == [0.3, 1]
    page.keyboard.press("ArrowRight")
    assert opacities(page) == [1, 0]
    page.keyboard.press("PageDown")
    assert opacities(page) == [1, 1]
    page.keyboard.press("Space")
    assert opacities(page) == [1, 0, 0]


def pixels(page):
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        return np.asarray(shot.convert("RGB")).copy()


def moves(page):
    shots = []
    for _ in range(6):
        shots.append(pixels(page))
        page.wait_for_timeout(130)
    return any(not np.array_equal(shots[0], shot) for shot in shots)


def test_a_film_moves_in_the_page_and_stands_still_in_print_and_for_who_prefers_it(shown):
    page = shown("A toy moves to the right")
    assert moves(page)
    page.emulate_media(reduced_motion="reduce")
    assert not moves(page)
    last = pixels(page)[:, 640:].mean()
    assert pixels(page)[:, :640].mean() > last, "the last frame: the square is at the right"
    page.emulate_media(reduced_motion="no-preference")
    shown("A toy moves to the right", "?print-pdf")
    page.wait_for_selector(".pdf-page img.still")
    visible = (
        "[...document.querySelectorAll('.card img')]"
        ".filter(image => image.offsetParent).map(image => image.className)"
    )
    assert "moving" not in page.evaluate(visible)
    assert "still" in page.evaluate(visible)


def test_the_key_d_changes_between_dark_and_light(shown):
    page = shown("A table has two rows")
    light = pixels(page).mean()
    page.keyboard.press("d")
    assert pixels(page).mean() < 60 < 200 < light
    page.keyboard.press("d")
    assert pixels(page).mean() > 200
    page.emulate_media(color_scheme="dark")
    assert pixels(page).mean() < 60


def test_the_presenter_sees_the_notes_and_the_next_slide(shown):
    page = shown("A figure says that $x^2$ is blue")
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    notes = opened.value
    notes.wait_for_selector("text=Why is it blue?")
    assert "Prose inside." in notes.inner_text(".speaker-controls-notes")
    notes.wait_for_function("document.querySelectorAll('iframe').length == 2")
    page.keyboard.press("ArrowRight")
    notes.wait_for_function("!document.body.innerText.includes('Why is it blue?')")
    notes.close()
