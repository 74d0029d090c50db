"""Every deck in a real Chromium without a network, from its first slide to its last."""

import nbformat
import pytest

from gen_course.build import places, slides

pytestmark = pytest.mark.browser
SIZE = {"width": 1280, "height": 720}
CHAPTERS = places.chapters()
LOOK = """() => {
    const slide = Reveal.getCurrentSlide(), beyond = [], small = [];
    for (const part of slide.querySelectorAll("*")) {
        const {left, top, right, bottom, width} = part.getBoundingClientRect();
        if (width && (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight))
            beyond.push(`${part.tagName} ${part.textContent.slice(0, 40)}`);
        const words = [...part.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (words && !part.closest("svg") && parseFloat(getComputedStyle(part).fontSize) < 16)
            small.push(part.textContent.slice(0, 40));
    }
    const pictures = [...slide.querySelectorAll("img")];
    return {
        beyond, small,
        words: slide.innerText,
        texts: pictures.map(picture => picture.alt),
        rooms: pictures.map(p => Math.max(p.width / innerWidth, p.height / innerHeight)),
        loaded: pictures.every(picture => picture.complete && picture.naturalWidth),
        formulas: slide.querySelectorAll("svg[role=img]").length,
    };
}"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    return tmp_path_factory.mktemp("slides")


@pytest.fixture
def walk(decks, page):
    """What each slide of a chapter's deck shows; the deck may not request any other file."""

    def walked(chapter):
        notebook = nbformat.read(places.notebook(chapter), as_version=4)
        file = decks / f"{chapter}.html"
        file.write_text(slides.deck(notebook), encoding="utf-8")
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", lambda request: errors.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.context.set_offline(True)
        page.set_viewport_size(SIZE)
        page.goto(file.as_uri())
        page.wait_for_function("Reveal.isReady()")
        seen = [page.evaluate(LOOK)]
        while not page.evaluate("Reveal.isLastSlide()"):
            page.keyboard.press("Space")
            seen.append(page.evaluate(LOOK))
        assert len(seen) == page.evaluate("Reveal.getTotalSlides()")
        assert errors == []
        assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
        return notebook, seen

    return walked


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_deck_fits_its_slides_and_needs_no_network(walk, chapter):
    notebook, seen = walk(chapter)
    assert [slide["beyond"] for slide in seen if slide["beyond"]] == []
    assert [slide["small"] for slide in seen if slide["small"]] == []
    words = "\n".join(slide["words"] for slide in seen)
    assert notebook.cells[0].source.splitlines()[0].removeprefix("# ") in words
    assert [raw for raw in ("$", "\\frac", "](http", "**Predict") if raw in words] == []
    shown = [c for c in notebook.cells if c.metadata.slideshow.slide_type != "skip"]
    outputs = [o for c in shown if c.cell_type == "code" for o in c.outputs]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert all(slide["loaded"] for slide in seen)
    assert min(room for slide in seen for room in slide["rooms"]) > 0.5
    assert [text for slide in seen for text in slide["texts"]] == [
        o.metadata["image/png"]["alt"] for o in pictures
    ]
    prose = "".join(slides.without_folds(c.source) for c in shown if c.cell_type == "markdown")
    assert sum(slide["formulas"] for slide in seen) == prose.replace("$$", "$").count("$") / 2
