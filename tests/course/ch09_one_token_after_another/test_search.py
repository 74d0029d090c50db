"""A search finds sections by their words, says what it cannot do, and its score is a count."""

import math
import re
import tomllib
from urllib.parse import unquote

import numpy as np
import pytest

from gen_course.ch09_one_token_after_another.search import (
    HERE,
    OVERVIEWS,
    K,
    Question,
    Search,
    Section,
    bm25,
    course,
    in_english,
    questions,
    score,
    sections,
    sentences,
    stems,
)
from gen_lib import InputError


def section(heading, prose, chapter="03_vae"):
    return Section(chapter, "Zoo", heading, prose, "")


ZOO = [
    section("Cats", "A cat sleeps. It hunts mice at night.\n\nNobody **teaches** a cat."),
    section("Dogs", "A dog barks. A dog hunts, too, if it must."),
    section("Fish", "Fish swim."),
]


def test_a_section_is_found_by_its_rare_words_and_shows_the_sentence_that_has_them():
    found = Search(ZOO).find("Who teaches cats?")
    assert [one.section.heading for one in found] == ["Cats"]
    assert found[0].sentence == "Nobody teaches a cat."
    assert [one.section.heading for one in Search(ZOO).find("a barking hunt")] == ["Dogs", "Cats"]


def test_nothing_in_common_finds_nothing_and_bad_questions_are_refused():
    assert Search(ZOO).find("xylophone") == []
    for bad in ("", "  ", "a" * 501):
        with pytest.raises(InputError, match="question"):
            Search(ZOO).find(bad)
    with pytest.raises(InputError, match="no section"):
        Search([])


def test_the_weights_are_those_of_the_formula():
    counts = np.array([[2, 0], [1, 3], [0, 0]])  # lengths 2, 4, 0; mean 2
    weights = bm25(counts)
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert weights[0, 0] == pytest.approx(idf * 2 * (K + 1) / (2 + K))  # of mean length
    assert weights[1, 0] < weights[0, 0]
    assert (weights >= 0).all()
    assert (weights[counts == 0] == 0).all()


def test_a_korean_question_gets_the_english_words_with_any_particle_and_ending():
    for question in ("노이즈", "노이즈가", "노이즈에서는"):
        assert "noise" in in_english(question).split()
    assert "learn" in in_english("배운 것").split()
    assert in_english("What is noise?") == "What is noise?"


def test_every_word_of_the_list_stands_in_three_sections():
    """The list holds frequent words of the course, not words of the forty questions."""
    texts = [set(stems(one.indexed)) for one in sections()]
    table = tomllib.loads((HERE / "korean.toml").read_text())
    rare = [word for word in table if sum(stems(word)[0] in text for text in texts) < 3]
    assert rare == []
    assert all(re.fullmatch("[가-힣 ]+", korean) for korean in table.values())


def test_the_sections_are_those_of_the_chapters_without_overviews():
    found = sections()
    names = {(one.chapter, one.heading) for one in found}
    assert ("03_vae", "The ELBO, line by line") in names
    assert not {heading for _, heading in names} & OVERVIEWS
    for question in questions():
        answers = {(int(chapter[:2]), heading) for chapter, heading in names}
        assert {(question.chapter, heading) for heading in question.sections} <= answers
    assert all("slide" not in one.prose.split("\n")[0] for one in found)


def test_the_address_leads_to_the_heading():
    one = section("Why z = μ + σ ⊙ ε", "")
    chapter, anchor = one.address.split(".ipynb#")
    assert chapter == "03_vae"
    assert unquote(anchor) == "Why-z-=-μ-+-σ-⊙-ε"
    assert " " not in one.address


def test_sentences_leave_tables_formulas_and_code_out():
    text = "One `x`. Two [a](b)?\n\n| a | b |\n|---|---|\n\n$$y = 1. Z$$\n\n- three\n- four"
    assert sentences(text) == ["One x.", "Two a?", "three", "four"]


def test_a_score_counts_right_sections_at_each_rank():
    asked = [
        Question("a dog that hunts", 3, ["Dogs"]),
        Question("a dog that hunts", 3, ["Cats"]),
        Question("a dog that hunts", 4, ["Dogs"]),
        Question("xylophone", 3, ["Dogs"]),
    ]
    assert score(asked, Search(ZOO)) == {"first": 1, "first three": 2, "first ten": 2}


def test_the_forty_questions():
    """31 to 32 were found when the search was made; other words in a chapter may move a few."""
    assert len(questions()) == 40
    found = score(questions())
    assert 30 <= found["first three"] <= found["first ten"] <= 40
    assert course() is course()
