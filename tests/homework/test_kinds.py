"""Wrong answers of every kind are caught and named; right ones of every style pass."""

import pytest
import torch
from kinds import KINDS, assignment_of, defined, right_answer, said
from styles import STYLES
from submissions import NAMES, OTHER_STYLE, solutions
from test_homework import ANYTHING_GOES

QUESTIONS = [question for name in NAMES for question in solutions(name)]
every_question = pytest.mark.parametrize("question", QUESTIONS)


@pytest.fixture(autouse=True)
def settings():
    """What a notebook may set, as it was before."""
    state = torch.get_rng_state(), torch.is_grad_enabled(), torch.get_default_dtype()
    yield
    torch.set_rng_state(state[0])
    torch.set_grad_enabled(state[1])
    torch.set_default_dtype(state[2])


@pytest.mark.slow
@every_question
def test_a_wrong_answer_of_any_kind_is_caught_and_named(question):
    tried = 0
    for kind in KINDS:
        for label, mutant in kind.mutants(question, right_answer(question)):
            assert kind.catches(words := said(question, mutant)), (kind.name, label, words)
            tried += 1
    assert tried >= 12


@every_question
def test_a_right_answer_passes_in_any_style_whatever_the_notebook_sets(question):
    name = assignment_of(question)
    for source in [OTHER_STYLE[name][question], *STYLES[question]]:
        assert said(question, defined(question, source, ANYTHING_GOES)) == "", source


def test_there_are_styles_of_every_question():
    assert set(STYLES) == set(QUESTIONS)
    assert sum(map(len, STYLES.values())) + len(QUESTIONS) >= 56
