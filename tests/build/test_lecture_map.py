"""The map of the lecture: every claim has a section, a reason, and numbers that were printed."""

import re
from functools import cache
from urllib.parse import unquote

import jupytext
import nbformat
import pytest

from gen_course.build import lecture_map
from gen_course.build.lecture_map import HEADING, MAP, Claim, MapError
from gen_course.common.tables import Claims

CLAIMS = [claim for part in lecture_map.parts() for claim in part.claims]


@cache
def cells_of(chapter):
    return jupytext.read(lecture_map.master(chapter), fmt="py:percent").cells


def text_of(claim):
    section = lecture_map.section(cells_of(claim.chapter), claim.heading)
    return "\n".join(cell.source for cell in section)


def test_the_map_is_what_the_notebooks_say_today():
    assert MAP.read_text(encoding="utf-8") == lecture_map.render(), "run `make notebooks`"


def test_all_eight_sections_of_the_lecture_are_there():
    titles = [part.title for part in lecture_map.parts()]
    assert [title[:4] for title in titles] == [f"{number} · " for number in range(1, 9)]
    assert all(part.claims for part in lecture_map.parts())


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.claim)
def test_every_claim_has_a_section_a_kind_a_verdict_and_what_it_rests_on(claim):
    text = text_of(claim)
    assert claim.term
    assert claim.kind in lecture_map.KINDS
    if claim.row:
        assert not any([claim.shown, claim.verdict, claim.printed, claim.rising])
        assert not claim.cited or claim.cited in text
        return
    own = any("(?P<verdict>" in pattern for pattern in claim.printed)
    assert claim.verdict in lecture_map.VERDICTS or (own and not claim.verdict)
    if claim.kind == "sourced":
        assert claim.cited in text
        assert not claim.printed
    else:
        assert claim.printed
        assert not claim.cited
    assert not re.search(r"\d[.,]\d|\d ?%", claim.shown), "a result is never typed"
    assert set(re.findall(r"\{(\w+)\}", claim.shown)) <= set(
        re.findall(r"\?P<(\w+)>", "".join(claim.printed))
    )


def test_no_claim_stands_twice():
    assert len({claim.claim + claim.at for claim in CLAIMS}) == len(CLAIMS)


def test_no_verdict_is_empty():
    found = [lecture_map.finding(claim) for claim in CLAIMS]
    assert {one.verdict for one in found} <= set(lecture_map.VERDICTS)
    assert all(len(one.reason) > 3 for one in found)


def test_every_link_leads_to_a_heading():
    links = re.findall(r"\]\((\w+\.ipynb)#([^)]+)\)", MAP.read_text(encoding="utf-8"))
    assert links
    for name, anchor in set(links):
        cells = nbformat.read(MAP.parent / name, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        anchors = [heading.replace(" ", "-") for _, heading in HEADING.findall(text)]
        assert anchors.count(unquote(anchor)) == 1


# What the generator refuses


def notebook(*cells):
    made = []
    for prose, printed in cells:
        made.append(nbformat.v4.new_markdown_cell(prose))
        output = nbformat.v4.new_output("stream", name="stdout", text=printed)
        made.append(nbformat.v4.new_code_cell("run()", outputs=[output]))
    return made


@pytest.fixture
def measured(monkeypatch):
    cells = notebook(("## One", "a 1.5\nb 1,200\n"), ("### Inner", "c 30%\n"), ("## Two", "d 9\n"))
    monkeypatch.setattr(lecture_map, "_notebook", lambda chapter: cells)
    return lambda **fields: lecture_map.finding(
        Claim("It is so", "그렇다", "09_x#One", "measured", verdict="holds here", **fields)
    )


def test_numbers_come_from_the_section_and_the_sections_inside_it(measured):
    found = measured(shown="{} and {c}", printed=(r"a ([\d.]+)", r"c (?P<c>\d+%)"))
    assert found == ("holds here", "1.5 and 30%")
    with pytest.raises(MapError, match="prints nothing like"):
        measured(shown="{}", printed=(r"d (\d+)",))


def test_a_row_of_the_chapters_table_gives_verdict_and_reason(monkeypatch):
    claims = Claims()
    claims.add("It is fast", "0.3 s", "holds with a condition")
    data, metadata = claims._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data, metadata=metadata)
    cells = [nbformat.v4.new_code_cell("claims", outputs=[output])]
    monkeypatch.setattr(lecture_map, "_notebook", lambda chapter: cells)
    claim = Claim("The lecture: fast", "빠르다", "09_x#One", "measured", row="It is fast")
    assert lecture_map.finding(claim) == ("holds with a condition", "0.3 s")
    with pytest.raises(MapError, match="has no row 'It is slow'"):
        lecture_map.finding(claim._replace(row="It is slow"))


def test_a_verdict_whose_numbers_have_turned_round_is_refused(measured):
    printed = (r"a (?P<a>[\d.]+)", r"b (?P<b>[\d,]+)", r"c (?P<c>\d+%)")
    assert measured(shown="{b}", printed=printed, rising=("a", "c", "b")).reason == "1,200"
    for turned in (("b", "a"), ("a", "a")):
        with pytest.raises(MapError, match="the verdict falls: It is so"):
            measured(shown="{b}", printed=printed, rising=turned)


def test_a_section_prints_its_own_verdict_where_the_claim_has_none(measured, monkeypatch):
    cells = notebook(("## One", "GAN: contradicted; 0.3 s\n"))
    monkeypatch.setattr(lecture_map, "_notebook", lambda chapter: cells)
    claim = Claim(
        "It is fast",
        "빠르다",
        "09_x#One",
        "measured",
        "{why}",
        printed=("GAN: (?P<verdict>.+); (?P<why>.+)",),
    )
    assert lecture_map.finding(claim) == ("contradicted", "0.3 s")


@pytest.mark.parametrize("heading", ["Three", "Twice"])
def test_a_heading_that_is_missing_or_not_alone_is_refused(heading):
    cells = notebook(("## Twice", ""), ("## One\n\n### Twice", ""))
    with pytest.raises(MapError, match=f"headings read '{heading}'"):
        lecture_map.section(cells, heading)


def test_a_chapter_that_does_not_exist_is_refused():
    with pytest.raises(MapError, match="no chapter 99_nothing"):
        lecture_map.master("99_nothing")
