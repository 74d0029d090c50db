"""Functions are short, and everything public has a docstring and types."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("ch*/chapter.py", "ch*/studies/*.py", "homework/hw*.py")  # texts and scripts
TEXTS = {file for pattern in LEFT_OUT for file in (ROOT / "gen_course").glob(pattern)}
MODULES = {file for package in ("gen_lib", "gen_course") for file in (ROOT / package).rglob("*.py")}
FILES = sorted(MODULES - TEXTS)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
every_file = pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))


def functions(file: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, FUNCTION)]


def public(tree: ast.Module | ast.ClassDef) -> list[ast.FunctionDef]:
    """Public functions, and the public methods of public classes."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += public(node)
        elif isinstance(node, FUNCTION) and not node.name.startswith("_"):
            found.append(node)
    return found


def overrides(function: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "override" for d in function.decorator_list)


@every_file
def test_no_function_is_longer_than_forty_lines(file):
    code = {f.name: f.end_lineno - f.lineno + 1 - docstring_lines(f) for f in functions(file)}
    assert {name: lines for name, lines in code.items() if lines > 40} == {}


def docstring_lines(function: ast.FunctionDef) -> int:
    if ast.get_docstring(function) is None:
        return 0
    return function.body[0].end_lineno - function.body[0].lineno + 1


@every_file
def test_everything_public_has_a_docstring(file):
    tree = ast.parse(file.read_text())
    assert ast.get_docstring(tree)
    missing = [f.name for f in public(tree) if not ast.get_docstring(f) and not overrides(f)]
    assert missing == []


@every_file
def test_every_public_function_says_what_it_returns_and_takes(file):
    found = public(ast.parse(file.read_text()))
    assert [f.name for f in found if f.returns is None] == []
    untyped = [
        f"{f.name}({a.arg})"
        for f in found
        for a in f.args.posonlyargs + f.args.args + f.args.kwonlyargs
        if a.annotation is None and a.arg not in {"self", "cls"}
    ]
    assert untyped == []


def test_the_median_function_is_short():
    lengths = sorted(f.end_lineno - f.lineno + 1 for file in FILES for f in functions(file))
    assert lengths[len(lengths) // 2] <= 10
