"""The table in tests/RELIABILITY.md lists exactly the faults that the tests try."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def faults() -> set[str]:
    """The names in the marks of all tests."""
    return {
        node.args[0].value
        for file in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"
    }


def rows() -> dict[str, str]:
    text = (TESTS / "RELIABILITY.md").read_text()
    found = re.findall(r"^\| (.+?) \| (\d+) \| (.+?) \|$", text, re.M)
    return {fault: end for fault, _, end in found}


def test_every_fault_has_a_row_and_no_row_is_of_the_past():
    assert rows().keys() == faults()
    assert all(rows().values())


def test_no_chapter_holds_more_memory_than_the_readme_allows_a_seat():
    readme = (TESTS.parent / "README.md").read_text()
    most = float(re.search(r"kernel\s+holds\s+more\s+than\s+(\d) GB", readme)[1])
    held = [
        float(gigabytes)
        for chapter in (TESTS.parent / "notebooks").glob("0*.ipynb")
        for gigabytes in re.findall(r"([\d.]+) GB of memory at most", chapter.read_text())
    ]
    assert held
    assert max(held) <= most
