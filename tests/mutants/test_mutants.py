"""The classic bugs still apply, and the report lists each; ``make mutants`` runs them."""

import ast

import pytest
from mutants import REPORT, ROOT, Mutant, mutants, row
from submissions import MISTAKES

LIBRARY, EXERCISES = mutants("library"), mutants("exercise")


@pytest.mark.parametrize("mutant", LIBRARY + EXERCISES, ids=lambda m: f"{m.file}: {m.bug}")
def test_a_bug_is_one_change_of_code(mutant):
    assert mutant.new != mutant.old
    tree = ast.parse(mutant.applied())
    assert ast.dump(tree) != ast.dump(ast.parse((ROOT / mutant.file).read_text(encoding="utf-8")))


def test_a_stale_bug_is_refused():
    with pytest.raises(AssertionError, match="0 x"):
        Mutant("no such line", "gen_lib/schedules.py", "no such line", "").applied()


def test_the_report_lists_every_bug_and_no_other():
    lines = REPORT.read_text(encoding="utf-8").splitlines(keepends=True)
    listed = {without_last_cell(line) for line in lines if line.startswith("| ")}
    patches = [(m.bug, m.file, m.old, m.new) for m in LIBRARY + EXERCISES]
    patches += [(m.question, name, m.right, m.wrong) for name in MISTAKES for m in MISTAKES[name]]
    expected = {without_last_cell(row(*patch, "")) for patch in patches}
    assert listed - {"| Bug | Where | Right | Wrong"} == expected, "run `make mutants`"


def without_last_cell(line: str) -> str:
    return line.rsplit(" | ", 1)[0]
