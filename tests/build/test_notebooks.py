"""Committed notebooks are built from their master texts, executed, and readable by everyone."""

import re
from itertools import pairwise

import nbformat
import pytest

from gen_course.build import notebooks, places, solutions

TARGETS = {target.path: target for target in notebooks.targets()}
NOTEBOOKS = list(TARGETS)
SOLUTIONS = [path for path in NOTEBOOKS if TARGETS[path].solved]
CHAPTERS = [path for path in NOTEBOOKS if path not in SOLUTIONS and not path.stem.startswith("00")]
SECTIONS = ("Idea", "Build", "Train", "Look", "Measure", "Break it", "Exercises", "Summary")


def name_of(path):
    return str(path.relative_to(places.NOTEBOOKS).with_suffix(""))


every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
every_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=name_of)


def read(path):
    return nbformat.read(path, as_version=4)


def built(path):
    return notebooks.blank(TARGETS[path].source, TARGETS[path].solved)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(notebook):
    outputs = (output for cell in code_cells(notebook) for output in cell.outputs)
    return [output for output in outputs if "image/png" in output.get("data", {})]


def test_every_notebook_has_a_master_text_and_the_other_way_round():
    found = [*places.NOTEBOOKS.glob("*.ipynb"), *places.NOTEBOOKS.glob("solutions/*.ipynb")]
    assert sorted(found) == sorted(NOTEBOOKS)


@every_notebook
def test_cells_are_those_of_the_master_text(path):
    fields = ("cell_type", "id", "source", "metadata")
    assert [[c[f] for f in fields] for c in built(path).cells] == [
        [c[f] for f in fields] for c in read(path).cells
    ]


@every_notebook
def test_outputs_belong_to_the_code_library_and_weights_of_today(path):
    assert read(path).metadata["gen_lib"] == built(path).metadata["gen_lib"], "run `make notebooks`"


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
def test_every_picture_and_page_is_one_readable_text_where_neither_can_be_shown(path):
    for cell in code_cells(read(path)):
        for output in cell.outputs:
            text = output.get("data", {}).get("text/plain", "")
            assert not re.match(r"<|\w+Box\(", text), text[:80]


@every_notebook
def test_no_widget_state_is_kept(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata
    for cell in code_cells(notebook):
        assert not [o for o in cell.outputs if notebooks.WIDGET_VIEW in o.get("data", {})]


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
        assert (path.parent / target.split("#")[0]).exists(), target


@every_notebook
def test_a_section_starts_a_cell_and_no_cell_holds_two(path):
    for cell in read(path).cells:
        headings = re.findall(r"^## .+$", cell.source, re.M) if cell.cell_type == "markdown" else []
        assert not headings or (len(headings) == 1 and cell.source.startswith("## "))


def test_both_maps_of_the_course_link_every_chapter():
    here, there = (
        re.findall(r"^\| \[?\d\d .*\|$", text, re.MULTILINE)
        for text in (
            "\n".join(cell.source for cell in read(places.notebook("00_start_here")).cells),
            places.README.read_text(),
        )
    )
    assert here == [row.replace("notebooks/", "") for row in there]
    linked = re.findall(r"\((\w+\.ipynb)\)", "".join(here))
    assert linked == sorted(path.name for path in places.NOTEBOOKS.glob("*.ipynb"))


def test_prose_does_not_change_the_stamp_and_code_does(tmp_path):
    source = tmp_path / "chapter.py"
    text = "# %% [markdown]\n# Some prose.\n\n# %%\nfrom gen_lib import data\n\nprint(1)\n"
    stamps = []
    for variant in (text, text.replace("Some", "Other"), text.replace("print(1)", "print(2)")):
        source.write_text(variant)
        stamps.append(notebooks.blank(source).metadata["gen_lib"])
    assert stamps[0] == stamps[1] != stamps[2]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Two small packages in place of the real ones."""
    texts = {
        "gen_lib/__init__.py": "",
        "gen_lib/used.py": "from gen_lib import deep\n",
        "gen_lib/deep.py": '"""Text."""\nx = 1\n',
        "gen_lib/unused.py": "y = 1\n",
        "gen_course/__init__.py": "",
        "gen_course/common/__init__.py": "",
        "gen_course/common/plots.py": "from . import colours\nfrom .. import words\n",
        "gen_course/common/colours.py": "blue = 1\n",
        "gen_course/common/course.mplstyle": "font.size: 10\n",
        "gen_course/words.py": "hello = 1\n",
        "gen_course/ch09_x/quiz.json": "[]",
        "gen_course/ch09_x/studies/table.csv": "a\n1\n",
        "gen_course/ch09_x/studies/other.csv": "a\n1\n",
        "data/pretrained/vae.safetensors": "weights",
        "data/pretrained/gan.safetensors": "weights",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "COURSE", tmp_path / "gen_course")
    return tmp_path


def stamp_of(code):
    return notebooks.stamp(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]))


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ("import gen_lib.used", "gen_lib/used.py"),
        ("import gen_lib.used", "gen_lib/deep.py"),
        ("from gen_course.common import plots", "gen_course/common/plots.py"),
        ("from gen_course.common import plots", "gen_course/common/colours.py"),
        ("from gen_course.common import plots", "gen_course/words.py"),
        ("plot()", "gen_course/common/course.mplstyle"),
        ('read_study("table")', "gen_course/ch09_x/studies/table.csv"),
        ('Quiz("09_x")', "gen_course/ch09_x/quiz.json"),
        ('load_pretrained("vae")', "data/pretrained/vae.safetensors"),
    ],
)
def test_the_stamp_follows_what_the_code_uses(tree, code, file):
    before = stamp_of(code)
    with (tree / file).open("a") as opened:
        opened.write("z = 2\n")
    assert stamp_of(code) != before


@pytest.mark.parametrize(
    ("code", "file", "text"),
    [
        ("import gen_lib.used", "gen_lib/unused.py", "y = 2\n"),
        ("import gen_lib.used", "gen_lib/deep.py", '"""Other text."""\nx = 1\n'),
        ('read_study("table")', "gen_course/ch09_x/studies/other.csv", "a\n2\n"),
        ('Quiz("08_y")', "gen_course/ch09_x/quiz.json", "[1]"),
        ('load_pretrained("vae")', "data/pretrained/gan.safetensors", "others"),
    ],
)
def test_the_stamp_follows_nothing_else(tree, code, file, text):
    (tree / "gen_course" / "ch08_y").mkdir()
    (tree / "gen_course" / "ch08_y" / "quiz.json").write_text("[]")
    before = stamp_of(code)
    (tree / file).write_text(text)
    assert stamp_of(code) == before


# Exercises: chapters with stubs, notebooks with solutions


MASTER = """# %% [markdown]
# # 09 · A chapter

# %% tags=["setup"]
import math

# %%
print("long")

# %% [markdown]
# ## Exercises

# %% [markdown]
# **1.** Ten minutes.


# %% tags=["exercise"]
def area(r):
    \"\"\"The area of a circle.\"\"\"
    # Hint: what is pi?
    ### BEGIN SOLUTION
    half = math.pi * r

    return half * r
    ### END SOLUTION


# %%
area

# %% [markdown]
# ## Summary
"""


@pytest.fixture
def master(tmp_path):
    source = tmp_path / "ch09_a_chapter" / "chapter.py"
    source.parent.mkdir()
    source.write_text(MASTER)
    return source


def texts(notebook):
    return [cell.source for cell in notebook.cells]


def test_the_chapter_has_a_stub_in_place_of_the_solution(master):
    cells = notebooks.blank(master).cells
    assert len(cells) == 8
    assert cells[5].source == (
        'def area(r):\n    """The area of a circle."""\n    # Hint: what is pi?\n'
        '    raise NotImplementedError("area")  # replace this line'
    )


def test_the_solutions_hold_set_up_exercises_and_checks_only(master):
    head, *rest = texts(notebooks.blank(master, solved=True))
    assert head.startswith("# Solutions: 09 · A chapter\n")
    assert "(../09_a_chapter.ipynb)" in head
    assert rest == [
        "import math",
        "**1.** Ten minutes.",
        'def area(r):\n    """The area of a circle."""\n    # Hint: what is pi?\n'
        "    half = math.pi * r\n\n    return half * r",
        "area",
    ]


def test_a_solution_changes_its_own_stamp_only(master):
    before = [notebooks.blank(master, solved).metadata["gen_lib"] for solved in (False, True)]
    assert before[0] != before[1]
    master.write_text(MASTER.replace("return half * r", "return r * half"))
    after = [notebooks.blank(master, solved).metadata["gen_lib"] for solved in (False, True)]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_the_same_master_gives_the_same_bytes(master):
    for solved in (False, True):
        assert nbformat.writes(notebooks.blank(master, solved)) == nbformat.writes(
            notebooks.blank(master, solved)
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    ### BEGIN SOLUTION\n", ""),
        ("    ### END SOLUTION\n", ""),
        ("    ### END SOLUTION\n", "### END SOLUTION\n"),
        ("def area(r)", "area = lambda r"),
        ("def area(r):\n", "def other():\n    pass\n\n\ndef area(r):\n"),
    ],
)
def test_a_badly_marked_exercise_is_refused(master, old, new):
    master.write_text(MASTER.replace(old, new))
    for solved in (False, True):
        with pytest.raises(solutions.MasterError, match="one function with one part"):
            notebooks.blank(master, solved)


def test_hidden_outputs_are_marked_in_both_ways_of_jupyterlab_and_nothing_else_is(master):
    hidden = '# %% jupyter={"source_hidden": true, "outputs_hidden": true}\nprint("long")'
    master.write_text(MASTER.replace('# %%\nprint("long")', hidden))
    marked = [c for c in notebooks.blank(master).cells if "collapsed" in c.metadata]
    assert [cell.source for cell in marked] == ['print("long")']
    assert marked[0].metadata.collapsed is marked[0].metadata.jupyter.outputs_hidden is True


def test_a_chapter_without_the_section_has_no_solutions(master, monkeypatch):
    monkeypatch.setattr(places, "COURSE", master.parents[1])
    assert [target.solved for target in notebooks.targets()] == [False, True]
    master.write_text(MASTER.replace("## Exercises", "## Others"))
    assert [target.solved for target in notebooks.targets()] == [False]


@pytest.fixture
def course(master, tmp_path, monkeypatch):
    """A course of one chapter; gives its two notebooks and a function that builds them."""
    monkeypatch.setattr(places, "COURSE", tmp_path)
    monkeypatch.setattr(places, "NOTEBOOKS", tmp_path / "notebooks")
    places.NOTEBOOKS.mkdir()
    paths = [places.notebook("09_a_chapter", solved) for solved in (False, True)]

    def run(*options):
        monkeypatch.setattr("sys.argv", ["notebooks", *options])
        notebooks.main()

    return paths, run


@pytest.fixture
def executed(monkeypatch):
    """The names of the folders in which kernels were started."""
    names, execute = [], notebooks.execute

    def noted(notebook, folder, threads):
        names.append(folder.name)
        return execute(notebook, folder, threads)

    monkeypatch.setattr(notebooks, "execute", noted)
    return names


@pytest.fixture
def minutes(monkeypatch):
    """Collect the recorded minutes instead of writing them to minutes.json."""
    recorded = []
    monkeypatch.setattr(notebooks, "_remember", recorded.append)
    return recorded


@pytest.mark.slow
def test_both_notebooks_are_executed_once_and_again_only_if_their_own_code_changed(
    master, course, executed, minutes
):
    paths, run = course
    run()
    first = [path.read_bytes() for path in paths]
    assert executed == ["notebooks", "solutions"]
    assert [list(known) for known in minutes] == [["09_a_chapter"]]
    run()
    assert [path.read_bytes() for path in paths] == first
    master.write_text(MASTER.replace("Ten minutes", "Five minutes"))
    run()
    assert executed == ["notebooks", "solutions"]
    assert all("Five minutes" in path.read_text() for path in paths)
    master.write_text(MASTER.replace("half * r", "r * half"))
    run()
    assert executed == ["notebooks", "solutions", "solutions"]
    for path in paths:
        cells = code_cells(read(path))
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.slow
def test_two_notebooks_are_executed_at_a_time_with_one_thread_each(
    master, course, executed, minutes
):
    paths, run = course
    shown = "import os\n\nprint('threads:', os.environ['OMP_NUM_THREADS'])\nimport math"
    master.write_text(MASTER.replace("import math", shown))
    run("--jobs", "2")
    assert sorted(executed) == ["notebooks", "solutions"]
    assert all("threads: 1\\n" in path.read_text() for path in paths)
    assert minutes == [], "beside another notebook a chapter takes longer"


def exercise_cells(notebook):
    """(exercise, check) pairs of the notebook's code cells."""
    cells = code_cells(notebook)
    return [pair for pair in pairwise(cells) if solutions.tagged(pair[0], "exercise")]


def verdicts(path):
    results = [
        [output["data"]["text/plain"] for output in check.outputs if "data" in output]
        for _, check in exercise_cells(read(path))
    ]
    assert all(len(result) == 1 for result in results)
    return [result[0] for result in results]


@every_solution
def test_every_exercise_is_a_stub_in_the_chapter_and_solved_in_the_solutions(path):
    stubs = exercise_cells(notebooks.blank(TARGETS[path].source))
    solved = exercise_cells(built(path))
    assert 3 <= len(stubs) == len(solved) <= 7
    for (stub, stub_check), (solution, check) in zip(stubs, solved, strict=True):
        assert stub_check.source == check.source
        start, _, rest = stub.source.partition("raise NotImplementedError(")
        assert solution.source.startswith(start.rstrip())
        assert f"def {rest.split(chr(34))[1]}(" in start
        assert "NotImplementedError" not in solution.source


@every_solution
def test_no_solution_leaks_into_the_chapter(path):
    notebook = notebooks.blank(TARGETS[path].source)
    chapter = "\n".join(texts(notebook))
    assert not re.search("(BEGIN|END) SOLUTION", chapter)
    known = {line.strip() for line in chapter.splitlines()}
    # a solution may change the chapter's program, so parts of its lines are no leak
    notebook.cells = [c for c in notebook.cells if "program" not in c.metadata.get("tags", ())]
    chapter = "\n".join(texts(notebook))
    known |= {line.partition("  #")[0] for line in known}
    for solution, _ in exercise_cells(built(path)):
        lines = {line.strip() for line in solution.source.splitlines()} - known
        assert lines, "all lines of the solution stand in the chapter"
        assert not [line for line in lines if len(line) > 25 and line in chapter]


@every_solution
def test_all_solutions_are_right(path):
    assert all(verdict.startswith("Right: ") for verdict in verdicts(path))


@every_solution
def test_all_stubs_of_the_chapter_are_not_attempted(path):
    chapter = places.NOTEBOOKS / path.name
    assert all(verdict.startswith("Not attempted yet: ") for verdict in verdicts(chapter))
    assert len(verdicts(chapter)) == len(verdicts(path))
