"""What every committed notebook promises: built from its source, executed, readable by everyone."""

import re

import build
import nbformat
import pytest

NOTEBOOKS = [build.HERE / f"{source.stem}.ipynb" for source in build.sources()]
CHAPTERS = [path for path in NOTEBOOKS if not path.stem.startswith("00")]
SECTIONS = ("Idea", "Build", "Train", "Look", "Measure", "Break it", "Summary")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(notebook):
    outputs = (output for cell in code_cells(notebook) for output in cell.outputs)
    return [output for output in outputs if "image/png" in output.get("data", {})]


def test_every_notebook_has_a_master_text_and_the_other_way_round():
    assert sorted(build.HERE.glob("*.ipynb")) == NOTEBOOKS


@every_notebook
def test_cells_are_those_of_the_master_text(path):
    built, committed = build.blank(build.HERE / "source" / f"{path.stem}.py"), read(path)
    fields = ("cell_type", "id", "source", "metadata")
    assert [[c[f] for f in fields] for c in built.cells] == [
        [c[f] for f in fields] for c in committed.cells
    ]


@every_notebook
def test_outputs_belong_to_the_code_library_and_weights_of_today(path):
    built = build.blank(build.HERE / "source" / f"{path.stem}.py")
    assert read(path).metadata["gen_lib"] == built.metadata["gen_lib"], "run `make notebooks`"


@every_notebook
def test_every_code_cell_was_executed_in_order_without_an_error(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@every_notebook
def test_every_picture_has_a_text_for_who_cannot_see_it(path):
    for output in pictures(read(path)):
        assert len(output.metadata["image/png"]["alt"]) > 40


@every_notebook
def test_no_widget_state_is_kept(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    for cell in code_cells(notebook):
        assert not [o for o in cell.outputs if build.WIDGET_VIEW in o.get("data", {})]


@every_notebook
def test_a_notebook_is_small_enough_for_git(path):
    assert path.stat().st_size < 3 * 2**20


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_the_sections_of_the_course_in_their_order(path):
    headings = re.findall(r"^## (.+)$", "\n".join(c.source for c in read(path).cells), re.M)
    found = [next((h for h in headings if h.startswith(s)), None) for s in SECTIONS]
    assert None not in found
    assert found == sorted(found, key=headings.index)


@every_notebook
def test_links_between_notebooks_lead_somewhere(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(((?!http|#)[^)]+)\)", text):
        assert (build.HERE / target.split("#")[0]).exists(), target


def test_prose_does_not_change_the_stamp_and_code_does(tmp_path):
    source = tmp_path / "x.py"
    text = "# %% [markdown]\n# Some prose.\n\n# %%\nfrom gen_lib import clock\n\nprint(1)\n"
    stamps = []
    for variant in (text, text.replace("Some", "Other"), text.replace("print(1)", "print(2)")):
        source.write_text(variant)
        stamps.append(build.blank(source).metadata["gen_lib"])
    assert stamps[0] == stamps[1] != stamps[2]


def test_the_stamp_follows_the_library_but_not_its_docstrings(tmp_path, monkeypatch):
    library = tmp_path / "gen_lib"
    library.mkdir()
    (library / "__init__.py").write_text("")
    (library / "used.py").write_text("from gen_lib import deep\n")
    (library / "deep.py").write_text('"""Text."""\nx = 1\n')
    (library / "unused.py").write_text("y = 1\n")
    monkeypatch.setattr(build, "LIBRARY", library)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import gen_lib.used")])
    before = build.stamp(notebook)
    (library / "unused.py").write_text("y = 2\n")
    (library / "deep.py").write_text('"""Other text."""\nx = 1\n')
    assert build.stamp(notebook) == before
    (library / "deep.py").write_text('"""Text."""\nx = 2\n')
    assert build.stamp(notebook) != before
