"""The quiz: its logic, its files, and the messages about files that are not quizzes."""

import json
import re

import pytest

from gen_course.common.quiz import Quiz, find_quiz, read_quiz
from gen_course.common.studies import CHAPTERS
from gen_lib import InputError

SHIPPED = sorted(CHAPTERS.glob("ch*/quiz.json"))
every_quiz = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)


def entry(*right: bool, question="Why?") -> dict:
    choices = [
        {"text": f"choice {n}", "right": r, "explanation": f"because {n}"}
        for n, r in enumerate(right)
    ]
    return {"question": question, "choices": choices}


@pytest.fixture
def quiz(tmp_path) -> Quiz:
    path = tmp_path / "quiz.json"
    path.write_text(json.dumps([entry(False, True), entry(True, False, False, question="a < b?")]))
    return Quiz(path)


def test_it_begins_with_nothing_chosen_and_nothing_explained(quiz):
    assert quiz.choices.index is None
    assert quiz.check_button.disabled
    assert quiz.explanation.value == ""
    assert "Question 1 of 2" in quiz.question.value
    quiz.check()
    assert quiz.answers == {}


def test_every_choice_is_explained_and_the_answer_marked(quiz):
    quiz.choices.index = 0
    quiz.check_button.click()
    text = quiz.explanation.value
    assert quiz.score.text.startswith("Not right.")
    assert "because 0" in text
    assert "because 1" in text
    assert "✗ wrong (your answer)" in text
    assert "0 of 1 right" in quiz.score.text


def test_without_a_kernel_the_questions_are_read_and_the_answers_are_folded(quiz):
    data = quiz._repr_mimebundle_()
    page = data["text/html"]
    assert data["text/plain"] == "Quiz: 2 questions"
    open_part = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    assert "choice 1" in open_part
    assert "a &lt; b?" in open_part
    assert "✓" not in open_part
    assert "because" not in open_part
    folded = re.findall(r"<details.*?><summary>Answer</summary>.*?</details>", page, re.DOTALL)
    assert [fold.count("✓ right") for fold in folded] == [1, 1]
    assert [fold.count("because") for fold in folded] == [2, 3]
    for fold in folded:  # the next question does not stick to it
        assert int(re.match(r'<details style="margin-bottom: (\d+)px">', fold)[1]) >= 12


def test_the_first_check_counts(quiz):
    for choice in (0, 1):
        quiz.choices.index = choice
        quiz.check_button.click()
    assert quiz.score.text.startswith("Right.")
    assert "0 of 1 right" in quiz.score.text


def test_another_choice_hides_the_explanation(quiz):
    quiz.choices.index = 1
    quiz.check_button.click()
    quiz.choices.index = 0
    assert quiz.explanation.value == ""


def test_next_and_previous_stop_at_the_ends(quiz):
    assert quiz.previous_button.disabled
    quiz.choices.index = 1
    quiz.check_button.click()
    quiz.next_button.click()
    assert quiz.next_button.disabled
    assert quiz.choices.index is None
    assert "a &lt; b?" in quiz.question.value
    assert len(quiz.choices.options) == 3
    quiz.choices.index = 0
    quiz.check_button.click()
    assert "2 of 2 right" in quiz.score.text
    quiz.go(1)
    assert quiz.number == 1
    quiz.previous_button.click()
    assert quiz.number == 0
    assert "2 of 2 right" in quiz.score.text


def test_a_new_quiz_knows_nothing_of_the_old(quiz):
    quiz.choices.index = 1
    quiz.check_button.click()
    assert Quiz("03_vae").answers == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is no JSON"),
        ("{}", "must be a list"),
        ("[]", "must be a list"),
        ("[1]", 'Question 1 .* needs "question"'),
        (json.dumps([{"question": "Why?"}]), "needs .*choices"),
        (json.dumps([entry(True, False), entry(True, True)]), "Question 2 .* exactly one"),
        (json.dumps([entry(False, False)]), "exactly one"),
        (json.dumps([entry(True)]), "at least two"),
        (json.dumps([entry(True, False, question=" ")]), "empty"),
        (json.dumps([entry(True, "no")]), "exactly one"),
    ],
)
def test_a_file_that_is_no_quiz_is_named_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        Quiz(path)
    assert "broken.json" in str(caught.value)


def test_an_unknown_quiz_is_told_with_the_known_ones():
    with pytest.raises(InputError, match="01_autoencoders"):
        Quiz("99_nothing")


@every_quiz
def test_a_shipped_quiz_has_four_choices_for_each_of_three_to_five_questions(path):
    questions = read_quiz(path)
    assert 3 <= len(questions) <= 5
    assert {len(question.choices) for question in questions} == {4}
    assert all(len(c.explanation) > 40 for question in questions for c in question.choices)


@every_quiz
def test_the_place_of_the_right_choice_gives_nothing_away(path):
    places = [[c.right for c in q.choices].index(True) for q in read_quiz(path)]
    assert len(set(places)) > 1


def test_every_chapter_has_a_quiz_that_is_found_by_its_name():
    folders = [path.parent for path in sorted(CHAPTERS.glob("ch*/chapter.py"))]
    assert [find_quiz(folder.name.removeprefix("ch")).parent for folder in folders] == folders
