"""The classic bugs still apply to today's code; ``make mutants`` runs them."""

import ast

import pytest
from mutants import ROOT, Mutant, mutants

LIBRARY, EXERCISES = mutants("library"), mutants("exercise")


@pytest.mark.parametrize("mutant", LIBRARY + EXERCISES, ids=lambda m: f"{m.file}: {m.bug}")
def test_a_bug_is_one_change_of_code(mutant):
    assert mutant.new != mutant.old
    tree = ast.parse(mutant.applied())
    assert ast.dump(tree) != ast.dump(ast.parse((ROOT / mutant.file).read_text(encoding="utf-8")))


def test_a_stale_bug_is_refused():
    with pytest.raises(AssertionError, match="0 x"):
        Mutant("no such line", "gen_lib/schedules.py", "no such line", "").applied()
