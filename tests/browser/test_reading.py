"""Reading for everyone: every chapter as a static page, and a whole notebook with keys alone."""

import json
import shutil

import nbformat
import pytest
from lab import only_widgets, open_notebook, wait_for_cells
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from gen_course.build import places

pytestmark = pytest.mark.browser
CHAPTERS = places.chapters()
CONTROLS = """() => [...document.querySelectorAll(
    ".gen-explorer :is(button, select, input, .noUi-handle, [tabindex='0'])")]
    .filter(e => !e.disabled && e.tabIndex >= 0 && e.checkVisibility())"""
FOCUSED = f"""() => {{
    const e = document.activeElement;
    return [({CONTROLS})().indexOf(e), e.getBoundingClientRect().top, innerHeight];
}}"""


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_static_page_shows_every_picture(page, tmp_path, chapter):
    notebook = nbformat.read(places.notebook(chapter), as_version=4)
    file = tmp_path / f"{chapter}.html"
    file.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    page.context.set_offline(True)
    page.goto(file.as_uri())
    page.wait_for_function("[...document.images].every(picture => picture.complete)")
    widths = page.evaluate("[...document.images].map(picture => picture.naturalWidth)")
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert len(widths) == sum("image/png" in o.get("data", {}) for o in outputs)
    assert min(widths) > 100
    words = page.locator("body").inner_text()
    assert notebook.cells[0].source.splitlines()[0].removeprefix("# ") in words
    assert "Error displaying widget" not in words


SAVED = """async () => {
    const context = window.jupyterapp.shell.currentWidget.context;
    if (context.model.dirty) await context.save();  // the kernel has told its version meanwhile
    return !context.model.dirty;
}"""


def test_opening_a_chapter_and_saving_it_adds_at_most_the_version_of_python(
    quiet_page, lab, lab_folder
):
    path = lab_folder / "saved.ipynb"
    shutil.copy(places.notebook("03_vae"), path)
    before = json.loads(path.read_text(encoding="utf-8"))
    open_notebook(quiet_page, lab, path.name)
    quiet_page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    quiet_page.wait_for_function(SAVED)
    after = json.loads(path.read_text(encoding="utf-8"))
    after["metadata"]["language_info"].pop("version", None)  # if the kernel has told it by now
    assert after["metadata"] == before["metadata"]
    assert after["cells"] == before["cells"]


def test_a_stored_picture_of_a_widget_gives_way_to_the_live_one(quiet_page, lab, lab_folder):
    chapter = nbformat.read(places.notebook("03_vae"), as_version=4)
    (cell,) = [cell for cell in chapter.cells if cell.source == "BetaExplorer()"]
    stored = cell.outputs
    notebook = only_widgets(chapter)
    notebook.cells, cell.outputs = [notebook.cells[0], cell], stored
    nbformat.write(notebook, lab_folder / "picture.ipynb")
    open_notebook(quiet_page, lab, "picture.ipynb")
    picture = quiet_page.locator(".jp-RenderedImage")
    expect(picture).to_have_count(1)
    quiet_page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    expect(quiet_page.locator(".gen-explorer .widget-image")).to_be_visible(timeout=120_000)
    expect(picture).to_have_count(0)


def test_a_notebook_is_run_and_every_control_reached_with_keys_alone(quiet_page, lab, lab_folder):
    path = places.notebook("02_sparse_denoising_masked")
    notebook = only_widgets(nbformat.read(path, as_version=4))
    nbformat.write(notebook, lab_folder / "keys.ipynb")
    open_notebook(quiet_page, lab, "keys.ipynb")
    press = quiet_page.keyboard.press
    for _ in notebook.cells[1:]:
        press("Shift+Enter")  # runs a cell and goes to the next one
    press("Control+Enter")  # runs it and stays
    wait_for_cells(quiet_page, minutes=5)
    for _ in notebook.cells:
        press("ArrowUp")
    wanted = set(range(quiet_page.evaluate(f"({CONTROLS})().length")))
    reached: list[int] = []
    while not wanted <= set(reached) and len(reached) < 300:
        press("Tab")
        place, top, height = quiet_page.evaluate(FOCUSED)
        reached.append(place)
        assert place < 0 or 0 <= top < height, "what has the focus is not in sight"
    controls = [place for place in reached if place >= 0]
    assert controls == sorted(controls)
    assert set(controls) == wanted
    press("Tab")
    assert quiet_page.evaluate(FOCUSED)[0] < 0, "the last control holds the focus"
