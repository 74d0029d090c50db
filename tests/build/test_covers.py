"""Reports of long commands belong to the present code, and their stamps cover all they read."""

import ast
import tomllib
from pathlib import Path

import pytest

from gen_course.build import stamps

ROOT = Path(__file__).resolve().parents[2]
RESULTS = {  # the report, the patterns that it covers
    "make mutants": ("tests/mutants.md", stamps.MUTANTS),
    "make reliability": ("tests/RELIABILITY.md", stamps.RELIABILITY),
    "make test-sections": ("tests/sections.md", stamps.SECTIONS),
}
every_result = pytest.mark.parametrize("command", RESULTS)


def covered(patterns: tuple[str, ...]) -> set[str]:
    return {file.relative_to(ROOT).as_posix() for file in stamps.covered(patterns, ROOT)}


@every_result
def test_a_result_is_that_of_todays_code(command):
    report, patterns = RESULTS[command]
    stamps.check(ROOT / report, patterns, ROOT, command)


@every_result
def test_no_result_covers_itself(command):
    report, patterns = RESULTS[command]
    assert report not in covered(patterns)


def test_every_file_that_a_classic_bug_names_is_covered():
    bugs = tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text(encoding="utf-8"))
    named = {bug["file"] for kind in bugs.values() for bug in kind}
    named |= {bug["test"].split("::")[0] for bug in bugs["library"]}
    chapters = {name for name in named if name.endswith("/chapter.py")}
    named |= {name.replace("/chapter.py", "/checks.py") for name in chapters}
    assert named - covered(stamps.MUTANTS) == set()


def test_every_test_of_a_fault_is_covered():
    marked = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"
    }
    assert marked
    assert marked - covered(stamps.RELIABILITY) == set()
