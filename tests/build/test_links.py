"""The links from chapter to chapter lead to headings that are there."""

import re
from urllib.parse import unquote

import jupytext
import pytest

from gen_course.build import places
from gen_course.build.lecture_map import HEADING, parts


def text_of(chapter):
    cells = jupytext.read(places.master(chapter), fmt="py:percent").cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


LINKS = sorted(
    {
        link
        for chapter in places.chapters()
        for link in re.findall(r"\((\d\d_\w+)\.ipynb#([^\s|]+?)\)", text_of(chapter))
    }
)


@pytest.mark.parametrize(("chapter", "anchor"), LINKS)
def test_a_link_leads_to_one_heading(chapter, anchor):
    anchors = [heading.replace(" ", "-") for _, heading in HEADING.findall(text_of(chapter))]
    assert anchors.count(unquote(anchor)) == 1


def test_every_application_names_the_part_that_comes_closest():
    rows = re.findall(r"^\| .*arxiv.*\|$", text_of("00_start_here"), re.MULTILINE)
    applications = [c for part in parts() for c in part.claims if c.claim.startswith("Application")]
    assert len(rows) == len(applications) == 11
    assert all(".ipynb" in row.split("|")[-2] for row in rows)
