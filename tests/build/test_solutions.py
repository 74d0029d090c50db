"""The exercises of the master texts: solutions pass their checks, stubs count as not attempted."""

import ast
import re

import matplotlib as mpl
import pytest

from gen_course.build import notebooks, places, solutions

SOURCES = [target.source for target in notebooks.targets() if target.solved]
every_chapter = pytest.mark.parametrize("source", SOURCES, ids=places.name_of)


def value_of(code, namespace):
    """Run a cell as a kernel does; the value of its last expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace) if last else None


def values(cells):
    """(code, value) of the code cells, run one after the other."""
    namespace = {"__name__": "__main__"}
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    with mpl.rc_context():
        return namespace, [(c, value_of(c, namespace)) for c in code]


def verdicts(results):
    return [value for code, value in results if code.startswith("check_")]


@every_chapter
def test_every_solution_passes_its_check(source):
    _, results = values(notebooks.blank(source, solved=True).cells)
    assert len(verdicts(results)) >= 3
    assert [repr(v)[:7] for v in verdicts(results)] == ["Right: "] * len(verdicts(results))


@every_chapter
def test_every_stub_raises_its_name_and_stops_nothing(source):
    cells = notebooks.blank(source).cells
    setup = [cell for cell in cells if solutions.tagged(cell, "setup")]
    section = [cell for cell in solutions.section(cells) if cell not in setup]
    namespace, results = values(setup + section)
    names = [ast.parse(c.source).body[-1].name for c in section if solutions.tagged(c, "exercise")]
    assert [repr(v) for v in verdicts(results)] == [f"Not attempted yet: {n}." for n in names]
    for name in names:
        arguments = namespace[name].__code__.co_argcount * [None]
        with pytest.raises(NotImplementedError, match=f"^{name}$"):
            namespace[name](*arguments)


@every_chapter
def test_every_exercise_says_its_minutes_and_gives_a_hint(source):
    text, numbers = "", []
    for cell in solutions.section(notebooks.blank(source).cells):
        if cell.cell_type == "markdown":
            text = cell.source
        if solutions.tagged(cell, "exercise"):
            numbers.append(int(text.split("**")[1].split(".")[0]))
            assert re.search(r"\d+ minutes[,)]", text)
            assert "# Hint: " in cell.source
            assert ast.get_docstring(ast.parse(cell.source).body[-1])
    assert numbers == list(range(1, len(numbers) + 1))
