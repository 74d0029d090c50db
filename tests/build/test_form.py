"""The form of a chapter: short visible cells, folded proofs, predictions, answers, claims."""

import builtins
import re
from itertools import takewhile

import nbformat
import pytest

from gen_course.build import lecturer, places
from gen_course.build.solutions import tagged

every_chapter = pytest.mark.parametrize("name", places.chapters())


def cells_of(name):
    return nbformat.read(places.notebook(name), as_version=4).cells


def code_of(name):
    return [cell for cell in cells_of(name) if cell.cell_type == "code"]


def is_hidden(cell, part):
    return cell.metadata.get("jupyter", {}).get(f"{part}_hidden", False)


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def visible(name):
    return [cell for cell in code_of(name) if not is_hidden(cell, "source")]


@every_chapter
def test_a_visible_cell_is_short_and_holds_at_most_two_asserts(name):
    for cell in visible(name):
        longest = 40 if tagged(cell, "program") else 20 if tagged(cell, "exercise") else 15
        assert len(lines(cell)) <= longest, cell.source
        assert cell.source.count("assert ") <= 2, cell.source


@every_chapter
def test_a_folded_cell_says_in_its_first_line_what_it_holds(name):
    for cell in code_of(name):
        if is_hidden(cell, "source"):
            assert re.match(r"# [A-Z].{10,}", cell.source), cell.source


@every_chapter
def test_a_program_is_visible_and_runs_in_an_empty_notebook(name):
    programs = [cell for cell in visible(name) if tagged(cell, "program")]
    assert programs
    for program in programs:
        taken, _ = lecturer.names(program.source)
        assert taken <= set(dir(builtins)), taken


@every_chapter
def test_a_prediction_has_a_folded_answer_and_its_result_is_collapsed(name):
    cells = cells_of(name)
    asked = [k for k, cell in enumerate(cells) if "**Predict:**" in cell.source]
    assert len(asked) >= 3
    for k in asked:
        assert "<details>" in cells[k].source, cells[k].source
        after = takewhile(lambda cell: cell.cell_type == "code", cells[k + 1 :])
        assert any(is_hidden(cell, "outputs") for cell in after), cells[k].source


@every_chapter
def test_every_explorer_has_questions_with_folded_answers(name):
    cells = cells_of(name)
    for k, cell in enumerate(cells):
        if tagged(cell, "widget") and "Explorer" in cell.source:
            around = cells[max(0, k - 2) : k + 2]
            assert any("<details>" in near.source for near in around), cell.source


@every_chapter
def test_the_symbols_are_named_at_the_beginning_and_the_claims_at_the_end(name):
    cells = cells_of(name)
    begin = "\n".join(cell.source for cell in cells[:4])
    assert "| Symbol | Meaning |" in begin
    claims = [o.get("metadata", {}).get("text/html", {}).get("claims") for o in _outputs(cells)]
    assert any(claims)


@every_chapter
def test_no_sentence_is_assembled_by_print(name):
    for cell in code_of(name):
        for call in re.findall(r"\bprint\(.*", cell.source):
            assert call.startswith("print(timing."), call


@every_chapter
def test_no_text_of_a_figure_is_misplaced(name):
    for output in _outputs(cells_of(name)):
        assert not output.get("metadata", {}).get("image/png", {}).get("misplaced")


def _outputs(cells):
    return [o for cell in cells if cell.cell_type == "code" for o in cell.outputs]
