"""Every widget in a real JupyterLab in a real Chromium, moved by mouse and by keyboard."""

import re

import nbformat
import pytest
from lab import (
    EXPLORERS,
    LAPTOP,
    SCREENSHOTS,
    drag,
    has_widgets,
    only_widgets,
    open_and_run,
    position,
    press,
    settle,
    wait_for_change,
    wait_until,
)
from playwright.sync_api import Locator, Page, expect

from gen_course.build import places
from gen_course.common.quiz import find_quiz, read_quiz

pytestmark = pytest.mark.browser
NOTEBOOKS = [
    path
    for path in map(places.notebook, places.chapters())
    if has_widgets(nbformat.read(path, as_version=4))
]


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def opened(page: Page, lab: str, name: str) -> Locator:
    open_and_run(page, lab, f"{name}.ipynb")
    explorer = page.locator(".gen-explorer")
    expect(explorer.locator(".widget-image")).to_be_visible(timeout=60_000)
    page.wait_for_timeout(2_000)  # the page rounds sliders to their steps and tells the kernel
    settle(explorer)
    shoot(page, name)
    return explorer


def move_everything(explorer: Locator) -> None:
    """Move each slider and list by mouse and by keyboard; the picture must change each time."""
    page = explorer.page
    for number, row in enumerate(explorer.locator(".widget-slider").all()):
        name, share = row.locator(".widget-label").inner_text(), 0.05 + 0.06 * number
        track, handle = row.locator(".noUi-target"), row.locator(".noUi-handle")
        before = settle(explorer)
        drag(page, handle, (0.5, 0.5), (-3.5 if position(handle) == 1 else 4.5, 0.5))
        wait_for_change(explorer, before, f"{name} dragged")
        before = settle(explorer)
        elsewhere = share / 3 if position(handle) > 0.4 else share + 0.4  # even of three values
        drag(page, track, (elsewhere, 0.5), (elsewhere, 0.5))
        wait_for_change(explorer, before, f"{name} clicked")
        before = settle(explorer)
        press(handle, "ArrowUp")
        wait_for_change(explorer, before, f"{name} by key")
        assert handle.evaluate("el => el === document.activeElement"), f"{name} lost the focus"
    for row in explorer.locator(".widget-dropdown").all():
        name, select = row.locator(".widget-label").inner_text(), row.locator("select")
        last = select.locator("option").last.inner_text()
        before = settle(explorer)
        select.select_option(last)
        wait_for_change(explorer, before, f"{name} chosen")
        before = settle(explorer)
        select.press("ArrowUp")
        wait_for_change(explorer, before, f"{name} by key")


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_changes_the_picture_and_reset_restores_it(quiet_page, lab, name):
    explorer = opened(quiet_page, lab, name)
    first, words = settle(explorer), explorer.get_by_role("status").inner_text()
    move_everything(explorer)
    settle(explorer)  # the kernel may still draw the last move
    shoot(quiet_page, f"{name}_moved")
    reset = explorer.get_by_role("button", name="Reset")
    press(reset, "Enter")
    expect(explorer.get_by_role("status")).to_have_text(words)
    wait_until(explorer, lambda now: now == first, "Reset pressed")


@pytest.mark.parametrize("name", EXPLORERS)
def test_it_fits_a_laptop_and_is_named_for_who_cannot_see(quiet_page, lab, name):
    explorer = opened(quiet_page, lab, name)
    box = explorer.bounding_box()
    assert box["width"] <= 960
    assert box["height"] <= 600
    assert explorer.evaluate("el => el.scrollWidth <= el.clientWidth")
    assert explorer.evaluate("el => el.scrollHeight <= el.clientHeight")
    caption = explorer.get_by_role("status").inner_text()
    expect(explorer.get_by_role("img", name=caption, exact=True)).to_be_visible()
    for slider in explorer.locator(".widget-slider").all():
        assert slider.locator(".widget-label").inner_text()


@pytest.mark.parametrize("density", [1, 2])
def test_the_picture_is_as_fine_as_the_screen(browser, lab, density):
    page = browser.new_page(viewport=LAPTOP, device_scale_factor=density)
    picture = opened(page, lab, "beta").locator(".widget-image").element_handle()
    ratio = "([picture, density]) => picture.naturalWidth === density * picture.clientWidth"
    page.wait_for_function(ratio, arg=[picture, density])
    shoot(page, f"beta_density_{density}")
    page.close()


def test_the_pad_follows_mouse_and_keys_and_the_sliders_follow_it(quiet_page, lab):
    explorer = opened(quiet_page, lab, "latent")
    pad, z = explorer.locator(".gen-pad"), explorer.locator(".widget-readout")
    before, numbers = settle(explorer), z.all_inner_texts()
    drag(quiet_page, pad, (0.2, 0.3), (0.7, 0.6))
    before = wait_for_change(explorer, before, "pad dragged")
    assert all(a != b for a, b in zip(z.all_inner_texts()[:2], numbers[:2], strict=True))
    before = settle(explorer)
    shoot(quiet_page, "latent_pad")
    for keys in (["ArrowLeft"] * 3, ["Shift+ArrowUp"], ["Shift+ArrowDown", "Shift+ArrowRight"]):
        words = pad.get_attribute("aria-label")
        press(pad, *keys)
        before = wait_for_change(explorer, before, f"pad by {keys}")
        expect(pad).not_to_have_attribute("aria-label", words)
    point = explorer.locator(".gen-pad-point")
    place = point.get_attribute("style")
    press(explorer.locator(".noUi-handle").first, "ArrowUp")
    expect(point).not_to_have_attribute("style", place)
    assert pad.evaluate("el => document.activeElement !== el")


def test_patches_are_switched_by_mouse_and_keys(quiet_page, lab):
    explorer = opened(quiet_page, lab, "mask")
    cells, caption = explorer.get_by_role("gridcell"), explorer.get_by_role("status")
    expect(caption).to_contain_text("39 of 49")
    before = settle(explorer)
    hidden = explorer.get_by_role("gridcell", name=re.compile("hidden")).first
    place = hidden.get_attribute("aria-label").split(":")[0]
    hidden.click()
    expect(caption).to_contain_text("38 of 49")
    expect(explorer.get_by_role("gridcell", name=f"{place}: visible")).to_be_focused()
    before = wait_for_change(explorer, before, "patch clicked")
    press(cells.first, "ArrowRight", "ArrowDown", " ")
    before = wait_for_change(explorer, before, "patch by Space")
    assert "row 2, column 2" in quiet_page.evaluate("document.activeElement.ariaLabel")
    shoot(quiet_page, "mask_patches")
    for cell in explorer.get_by_role("gridcell", name=re.compile("visible")).all()[::-1]:
        cell.click()
    expect(caption).to_contain_text("nothing to predict from")
    shoot(quiet_page, "mask_error")


def test_a_sentence_is_written_and_one_is_chosen(quiet_page, lab):
    explorer = opened(quiet_page, lab, "prompt")
    caption, box = explorer.get_by_role("status"), explorer.get_by_role("textbox").first
    before = settle(explorer)
    box.fill("a gren hat")
    box.press("Enter")
    expect(caption).to_contain_text("gren (perhaps green")
    before = wait_for_change(explorer, before, "sentence written")
    shoot(quiet_page, "prompt_written")
    box.fill("")
    box.press("Enter")
    expect(caption).to_contain_text("names no attribute")
    wait_for_change(explorer, before, "sentence emptied")
    explorer.locator("select").select_option("노란색 비니, 검은 코트")
    expect(box).to_have_value("노란색 비니, 검은 코트")


def test_a_token_is_clicked_and_a_text_that_cannot_be_read_is_answered(quiet_page, lab):
    explorer = opened(quiet_page, lab, "next_token")
    caption, box = explorer.get_by_role("status"), explorer.get_by_role("textbox").first
    begun, before = box.input_value(), settle(explorer)
    explorer.get_by_role("gridcell").first.click()
    before = wait_for_change(explorer, before, "token clicked")
    assert box.input_value().startswith(begun)
    assert box.input_value() != begun
    explorer.get_by_role("button", name="Draw ten").click()
    before = wait_for_change(explorer, before, "ten drawn")
    shoot(quiet_page, "next_token_drawn")
    for _ in range(2):
        explorer.get_by_role("button", name="Undo").click()
        before = wait_for_change(explorer, before, "undone")
    expect(box).to_have_value(begun)
    quiet_page.wait_for_timeout(1_000)  # the kernel's last messages would undo what is typed
    box.fill("日本")
    box.press("Enter")
    expect(caption).to_contain_text("knows no '日', '本'")
    shoot(quiet_page, "next_token_refused")


def test_notes_are_clicked_and_heard(quiet_page, lab):
    explorer = opened(quiet_page, lab, "piano")
    caption, before = explorer.get_by_role("status"), settle(explorer)
    explorer.get_by_role("gridcell", name="row 1, column 16: no note").click()
    before = wait_for_change(explorer, before, "note clicked")
    expect(caption).to_contain_text("After 13 given notes")
    explorer.get_by_role("button", name="Continue").click()
    wait_for_change(explorer, before, "continued")
    length = explorer.locator("audio").evaluate(
        "el => new Promise(go => el.duration ? go(el.duration) : "
        "el.addEventListener('loadedmetadata', () => go(el.duration)))"
    )
    assert length > 3
    shoot(quiet_page, "piano_continued")
    for cell in explorer.get_by_role("gridcell", name=re.compile(": a note")).all()[::-1]:
        cell.click()
    expect(caption).to_contain_text("There is no note")


def test_the_course_is_asked(quiet_page, lab):
    explorer = opened(quiet_page, lab, "ask")
    caption, box = explorer.get_by_role("status"), explorer.get_by_role("textbox").first
    box.fill("steganography")
    box.press("Enter")
    link = explorer.get_by_role("link", name=re.compile("Does the cycle hide"))
    expect(link).to_have_attribute("href", re.compile("05_cyclegan.ipynb#Does-the-cycle-hide"))
    shoot(quiet_page, "ask_answered")
    box.fill("")
    box.press("Enter")
    expect(caption).to_contain_text("The question is empty")
    expect(explorer.get_by_role("link")).to_have_count(0)


def test_the_laboratory_is_stopped_and_started_ten_times(quiet_page, lab):
    explorer = opened(quiet_page, lab, "collapse")
    start, stop = (explorer.get_by_role("button", name=name) for name in ("Start", "Stop"))
    caption = explorer.get_by_role("status")
    for k in range(10):
        before = settle(explorer)
        start.click()
        expect(caption).to_contain_text("Step")
        wait_for_change(explorer, before, f"game {k} begun")
        expect(stop).to_be_enabled()
        stop.click()
        expect(start).to_be_enabled()
        still = settle(explorer)
        quiet_page.wait_for_timeout(1_000)
        assert settle(explorer) == still, f"game {k} goes on"
    shoot(quiet_page, "collapse_stopped")


ASK = """async (code) => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    let text = "";
    const future = kernel.requestExecute({ code });
    future.onIOPub = (m) => { if (m.header.msg_type === "stream") text += m.content.text; };
    await future.done;
    return text;
}"""
AGAIN = """async () => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
    await window.jupyterapp.commands.execute("notebook:run-cell");
}"""


def test_a_cell_that_is_run_again_holds_what_one_holds(quiet_page, lab):
    explorer = opened(quiet_page, lab, "prior")
    count = "from ipywidgets import widget; print(len(widget._instances))"
    before = quiet_page.evaluate(ASK, count)
    for _ in range(4):
        quiet_page.evaluate(AGAIN)
    assert quiet_page.evaluate(ASK, count) == before
    expect(explorer).to_have_count(1)
    shown = settle(explorer)
    press(explorer.locator(".noUi-handle").first, "ArrowUp")
    wait_for_change(explorer, shown, "a slider of the last one")


def test_the_quiz_is_answered_by_mouse_and_keys(quiet_page, lab):
    open_and_run(quiet_page, lab, "quiz.ipynb")
    quiz = quiet_page.locator(".gen-quiz")
    questions = read_quiz(find_quiz("01_autoencoders"))
    right = [[choice.right for choice in one.choices].index(True) for one in questions]
    expect(quiz).to_contain_text(f"Question 1 of {len(questions)}")
    shoot(quiet_page, "quiz")
    check = quiz.get_by_role("button", name="Check")
    expect(check).to_be_disabled()
    quiz.get_by_role("radio").nth((right[0] + 1) % len(questions[0].choices)).click()
    check.click()
    words = quiz.get_by_role("status")
    expect(words).to_have_text("Not right. 0 of 1 right at the first try.")
    expect(quiz).to_contain_text("(your answer)")
    shoot(quiet_page, "quiz_wrong")
    press(quiz.get_by_role("radio").nth(right[0]), " ")
    expect(quiz.get_by_role("radio").nth(right[0])).to_be_checked()
    expect(quiz).not_to_contain_text("(your answer)")
    press(check, "Enter")
    expect(words).to_contain_text("Right. 0 of 1")
    shoot(quiet_page, "quiz_right")
    press(quiz.get_by_role("button", name="Next"), "Enter")
    expect(quiz).to_contain_text(f"Question 2 of {len(questions)}")
    press(quiz.get_by_role("radio").nth(right[1]), " ")
    expect(check).to_be_enabled()  # the kernel enables it; before, a key would be lost
    press(check, " ")
    expect(words).to_have_text("Right. 1 of 2 right at the first try.")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_widgets_of_a_chapter_work(quiet_page, lab, lab_folder, path):
    reduced = only_widgets(nbformat.read(path, as_version=4))
    nbformat.write(reduced, lab_folder / path.name)
    open_and_run(quiet_page, lab, path.name, minutes=5)
    assert quiet_page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    wanted = sum("widget" in cell.metadata.get("tags", []) for cell in reduced.cells)
    expect(quiet_page.locator(".gen-explorer, .gen-quiz")).to_have_count(wanted)
    assert quiet_page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    for number, explorer in enumerate(quiet_page.locator(".gen-explorer").all()):
        explorer.scroll_into_view_if_needed()
        move_everything(explorer)
        shoot(quiet_page, f"{path.stem}_{number}")


def test_a_notebook_is_reduced_to_its_set_up_and_widgets():
    cell = nbformat.v4.new_code_cell
    cells = [cell("first"), cell("long"), cell("second", metadata={"tags": ["setup"]})]
    cells += [nbformat.v4.new_markdown_cell("text"), cell("x", metadata={"tags": ["widget"]})]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert has_widgets(notebook)
    assert [c.source for c in only_widgets(notebook).cells] == ["first", "second", "x"]
