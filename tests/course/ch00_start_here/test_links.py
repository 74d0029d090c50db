"""The links of chapter 00 into other chapters lead to headings that are there."""

import re
from urllib.parse import unquote

import jupytext
import pytest

from gen_course.build import places
from gen_course.build.lecture_map import HEADING, parts

TEXT = places.master("00_start_here").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\((\d\d_\w+)\.ipynb#([^\s|]+)\)", TEXT)))


@pytest.mark.parametrize(("chapter", "anchor"), LINKS)
def test_a_link_leads_to_one_heading(chapter, anchor):
    cells = jupytext.read(places.master(chapter), fmt="py:percent").cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    anchors = [heading.replace(" ", "-") for _, heading in HEADING.findall(text)]
    assert anchors.count(unquote(anchor)) == 1


def test_every_application_names_the_part_that_comes_closest():
    rows = re.findall(r"^# \| .*arxiv.*\|$", TEXT, re.MULTILINE)
    applications = [c for part in parts() for c in part.claims if c.claim.startswith("Application")]
    assert len(rows) == len(applications) == 11
    assert all(".ipynb" in row.split("|")[-2] for row in rows)
