"""Submissions as they come: renamed, split, copied, from other kernels, or no notebooks at all."""

import copy
import importlib.util
import json
import os

import nbformat
import pytest
from submissions import NAMES, grader, released, solutions

from gen_course.build import assignments
from gen_course.build.tidy import tidy

if importlib.util.find_spec("nbgrader") is None and not os.environ.get("CI"):
    pytest.skip("nbgrader, of the extra `instructor`, is missing", allow_module_level=True)

NAME = NAMES[0]
QUESTION = next(iter(solutions(NAME)))


@pytest.fixture
def course(tmp_path):
    assignments.make_course(tmp_path, {NAME: assignments.masters()[NAME]})
    return tmp_path


@pytest.fixture
def hand_in(course):
    """Put a file into a student's folder; without content, the released notebook."""

    def put(student, file=f"{NAME}.ipynb", content=None):
        path = course / "submitted" / student / NAME / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str | bytes):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            nbformat.write(content or released(NAME), path)
        return path

    return put


def read(course, student):
    return nbformat.read(course / "submitted" / student / NAME / f"{NAME}.ipynb", 4)


def position(notebook, grade_id=QUESTION):
    return next(i for i, c in enumerate(notebook.cells) if grader(c, "grade_id") == grade_id)


def twin(notebook, source, grade_id=QUESTION):
    """A copy of an answer or test cell, as JupyterLab makes it, with another text."""
    cell = copy.deepcopy(notebook.cells[position(notebook, grade_id)])
    cell.id, cell.source = "twin", source
    return cell


@pytest.mark.parametrize(
    "file", [f"{NAME} (1).ipynb", f"{NAME}-Copy1.ipynb", "hw1.ipynb", "숙제 1.ipynb"]
)
def test_a_renamed_notebook_gets_its_name_back(course, hand_in, file):
    before = hand_in("kim", file).read_bytes()
    done, left = tidy(course)
    assert done == [f"kim/{NAME}: {file} is now {NAME}.ipynb"]
    assert left == []
    assert [p.name for p in (course / "submitted/kim" / NAME).iterdir()] == [f"{NAME}.ipynb"]
    assert (course / "originals/kim" / NAME / file).read_bytes() == before
    assert tidy(course) == ([], [])


def test_a_notebook_as_it_should_be_is_not_touched(course, hand_in):
    path = hand_in("kim")
    before = path.read_bytes()
    assert tidy(course) == ([], [])
    assert path.read_bytes() == before
    assert not (course / "originals").exists()


def test_another_kernel_becomes_the_graders(course, hand_in):
    notebook = released(NAME)
    notebook.metadata.kernelspec = {"name": "conda-env-x-py", "display_name": "x"}
    hand_in("kim", content=notebook)
    assert tidy(course) == ([f"kim/{NAME}: its kernel is now python3"], [])
    assert read(course, "kim").metadata.kernelspec.name == "python3"


def test_an_answer_beside_its_untouched_stub_stays_alone(course, hand_in):
    notebook = released(NAME)
    answer = solutions(NAME)[QUESTION]
    notebook.cells.insert(position(notebook), twin(notebook, answer))
    hand_in("kim", content=notebook)
    done, _ = tidy(course)
    assert done == [f"kim/{NAME}: 2 cells of {QUESTION!r} are now one"]
    assert read(course, "kim").cells[position(read(course, "kim"))].source == answer


def test_the_halves_of_a_split_answer_are_joined_in_order(course, hand_in):
    notebook, answer = released(NAME), solutions(NAME)[QUESTION]
    first, _, second = answer.partition("\n")
    notebook.cells[position(notebook)].source = first
    notebook.cells.insert(position(notebook) + 1, twin(notebook, second))
    hand_in("kim", content=notebook)
    tidy(course)
    assert read(course, "kim").cells[position(read(course, "kim"))].source == answer


def test_a_copied_test_cell_is_removed(course, hand_in):
    notebook, test = released(NAME), f"test_{QUESTION}"
    notebook.cells.append(twin(notebook, "pass", test))
    hand_in("kim", content=notebook)
    tidy(course)
    ids = [grader(cell, "grade_id") for cell in read(course, "kim").cells]
    assert ids.count(test) == 1
    assert read(course, "kim").cells[position(notebook, test)].source != "pass"


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (f"{NAME}.ipynb", "<html>", "is no notebook"),
        (f"{NAME}.ipynb", b"\xff\xfe\x00", "is no notebook"),
        (f"{NAME}.ipynb", json.dumps([1]), "is no notebook"),
        (f"{NAME}.ipynb", "", "is no notebook"),
        (f"{NAME}.pdf", "%PDF", f"it holds no notebook, but {NAME}.pdf"),
    ],
)
def test_what_is_no_notebook_is_named_and_left_as_it_is(course, hand_in, file, content, words):
    path = hand_in("kim", file, content)
    before = path.read_bytes()
    hand_in("lee")
    done, (problem,) = tidy(course)
    assert done == []
    assert problem.startswith(f"kim/{NAME}, set aside: ")
    assert words in problem
    assert (course / "aside" / "kim" / NAME / file).read_bytes() == before
    assert not path.exists()
    assert tidy(course) == ([], [])


def test_of_two_notebooks_a_person_chooses(course, hand_in):
    hand_in("kim", "a.ipynb")
    hand_in("kim", "b.ipynb")
    assert tidy(course)[1] == [
        f"kim/{NAME}, set aside: it holds 2 notebooks and none is called {NAME}.ipynb: keep one"
    ]


def test_a_missing_test_is_put_back_and_a_missing_answer_named(course, hand_in):
    notebook, test = released(NAME), f"test_{QUESTION}"
    gone = [notebook.cells[position(notebook, grade_id)] for grade_id in (test, QUESTION)]
    notebook.cells = [cell for cell in notebook.cells if cell not in gone]
    hand_in("kim", content=notebook)
    assert tidy(course) == (
        [f"kim/{NAME}: the missing cell {test!r} is put back, at the end"],
        [f"kim/{NAME}: there is no cell {QUESTION!r}: is its answer elsewhere?"],
    )
    assert grader(read(course, "kim").cells[-1], "grade_id") == test
    assert "HIDDEN" not in read(course, "kim").cells[-1].source


def test_what_no_answer_needs_is_named_and_still_graded(course, hand_in):
    notebook = released(NAME)
    notebook.cells.insert(2, nbformat.v4.new_code_cell("import sys\nsys.modules.clear()"))
    path = hand_in("kim", content=notebook)
    assert tidy(course) == ([], [f"kim/{NAME}: cell 2 holds sys.modules, which no answer needs"])
    assert path.exists()
    # the master's own answers need none of it
    hand_in("lee", content=nbformat.read(course / "source" / NAME / f"{NAME}.ipynb", 4))
    assert not any("lee" in line for line in tidy(course)[1])


def test_a_notebook_outside_an_assignment_is_named(course, hand_in):
    path = hand_in("kim")
    path.rename(course / "submitted" / "kim" / path.name)
    path.parent.rmdir()
    assert "put it into a folder with the name of its assignment" in tidy(course)[1][0]


@pytest.mark.slow
@pytest.mark.fault("homework renamed, split, or from another kernel", tried=3)
def test_what_was_repaired_is_graded_in_full(course, hand_in, ended):
    right, whole = solutions(NAME), released(NAME)
    for cell in whole.cells:
        cell.source = right.get(grader(cell, "grade_id"), cell.source)
    first = next(cell for cell in whole.cells if cell.cell_type == "code")
    whole.cells = [c for c in whole.cells if c is first or grader(c, "grade_id")]
    split = copy.deepcopy(whole)
    stub = released(NAME).cells[position(released(NAME))].source
    split.cells.insert(position(split) + 1, twin(split, stub))
    other = copy.deepcopy(whole)
    other.metadata.kernelspec = {"name": "conda-env-x-py", "display_name": "x"}
    hand_in("renamed", f"{NAME} (1).ipynb", whole)
    hand_in("split", content=split)
    hand_in("other", content=other)
    assert len(tidy(course)[0]) == 3
    assignments.nbgrader(course, "generate_assignment", NAME, "--create")
    assignments.nbgrader(course, "autograde", NAME)
    assignments.nbgrader(course, "export")
    lines = (course / "grades.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines[1:]]
    assert {row["student_id"]: float(row["raw_score"]) for row in rows} == dict.fromkeys(
        ("renamed", "split", "other"), 14.0
    )
    ended("repaired, and graded in full")
