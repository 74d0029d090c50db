"""The glossary: every marked term has a meaning, a section and a Korean word."""

import pytest

from gen_course.build import glossary, places
from gen_course.build.glossary import GLOSSARY, GlossaryError, Term, marked

TERMS = glossary.terms()
ROWS = GLOSSARY.read_text(encoding="utf-8").split("|---|\n")[1].splitlines()


def test_the_glossary_is_what_the_chapters_say_today():
    assert GLOSSARY.read_text(encoding="utf-8") == glossary.render(), "run `make notebooks`"


def test_every_chapter_marks_terms():
    assert {term.chapter for term in TERMS} == set(places.chapters())


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.key)
def test_a_marked_term_has_one_row_that_leads_to_its_section(term):
    (row,) = [row for row in ROWS if row.startswith(f"| {term.english} | {term.korean} | ")]
    assert f"{term.chapter[:2]} · {term.heading}" in row
    text = places.master(term.chapter).read_text(encoding="utf-8")
    assert f"# {term.heading}\n" in text


def test_no_row_stands_for_nothing():
    assert len(ROWS) == len(TERMS)


def test_a_term_is_found_with_its_article_number_and_place():
    text = (
        "# Title\n\nA **loss** without Korean (a note).\n\n## One\n\n**4. A latent\tspace** (잠재\n"
        "공간; a source). See **an example** (예).\n\n### Two\n\n**Depth** (깊이), a\n**KV cache** "
        "(KV 캐시), a **GAN** (GAN), an **n-gram** (n-그램)"
    ).replace("\t", " ")
    assert list(marked(text, "09_x")) == [
        Term("latent space", "잠재 공간", "09_x", "One"),
        Term("example", "예", "09_x", "One"),
        Term("depth", "깊이", "09_x", "Two"),
        Term("KV cache", "KV 캐시", "09_x", "Two"),
        Term("n-gram", "n-그램", "09_x", "Two"),
    ]


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "COURSE", tmp_path)
    monkeypatch.setattr(places, "TEACHING", tmp_path)
    write_chapter("09_x", "A **code** (코드), a **key** (키).")
    return tmp_path


def write_chapter(name, prose):
    places.folder(name).mkdir()
    places.master(name).write_text(f"# %% [markdown]\n# # {name}\n# {prose}\n")


@pytest.mark.parametrize("explained", [["code"], ["code", "key", "lock"]])
def test_a_term_without_a_meaning_and_a_meaning_without_a_term_are_refused(course, explained):
    (course / "glossary.toml").write_text("".join(f"[{k}]\nmeaning = 'x'\n" for k in explained))
    with pytest.raises(GlossaryError, match=r"not both: (key|lock)"):
        glossary.render()


def test_a_term_that_is_marked_twice_is_refused(course):
    write_chapter("10_y", "The **code** (코드) again.")
    with pytest.raises(GlossaryError, match="more than once: code"):
        glossary.terms()
