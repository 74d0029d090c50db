"""The lecturer's plan: its minutes add up, and every section that it names exists."""

import pytest
import sections

from gen_course.build import lecturer, places
from gen_course.build.lecture_map import MapError
from gen_course.build.lecturer import PLAN, PlanError, Row, Session

SESSIONS = lecturer.sessions()


def test_the_plan_is_what_the_chapters_say_today():
    assert PLAN.read_text(encoding="utf-8") == lecturer.render(), "run `make notebooks`"


def test_an_hour_two_hours_and_six_weeks_cover_the_lecture_in_its_order():
    hour, two_hours, *weeks = SESSIONS
    assert [hour.minutes, two_hours.minutes, len(weeks)] == [60, 120, 6]
    assert {week.minutes for week in weeks} == {120}
    for rows in (hour.rows, two_hours.rows, [row for week in weeks for row in week.rows]):
        order = [row.part for row in rows]
        assert order == sorted(order)
        assert set(order) == set(range(1, 9))


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.title)
def test_every_row_says_what_to_do_and_nothing_is_shown_twice(session):
    assert all(row.minutes > 0 and row.todo.endswith(".") for row in session.rows)
    assert len({row.at for row in session.rows}) == len(session.rows)


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ('[1, "00_start_here#The goal", 8, "Say."]', PlanError, "An hour: 9 minutes, not 10"),
        ('[1, "00_start_here#The gaol", 9, "Say."]', MapError, "0 headings read 'The gaol'"),
        ('[1, "99_nothing#The goal", 9, "Say."]', MapError, "no chapter 99_nothing"),
    ],
)
def test_minutes_that_do_not_add_up_and_sections_that_do_not_exist_are_refused(
    tmp_path, monkeypatch, row, error, message
):
    text = f'[[session]]\ntitle = "An hour"\nminutes = 10\nquestions = 1\nrows = [{row}]\n'
    (tmp_path / "lecturer.toml").write_text(text)
    monkeypatch.setattr(places, "TEACHING", tmp_path)
    with pytest.raises(error, match=message):
        lecturer.sessions()


def test_a_section_of_the_lecture_is_named_once():
    rows = [Row(1, "00_start_here#The goal", 4, "A."), Row(1, "00_start_here#Quiz", 4, "B.")]
    table = lecturer._table(Session("An hour", 10, 2, rows))
    assert table.count("What generative AI is") == 1
    assert "[00 · The goal](00_start_here.ipynb#The-goal) | 4 | A. |  |" in table
    assert "| **10** |" in table


# The sections that must run before another one


CHAPTERS = places.chapters()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_section_needs_only_earlier_ones_and_what_those_need(chapter):
    needs = lecturer.needs(chapter)
    order = list(needs)
    for heading, first in needs.items():
        assert [order.index(one) for one in first] == sorted(order.index(one) for one in first)
        assert heading not in first
        assert all(set(needs[one]) <= set(first) for one in first)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_one_may_begin_anywhere_after_the_set_up_cell_and_what_trains(chapter):
    needs = lecturer.needs(chapter)
    assert all(sections.trains(first) for heading in needs for first in needs[heading])
    explored = [h for h in needs if h.startswith(("Explore", "Quiz", "Exercises"))]
    assert not any(needs[heading] for heading in explored)


MASTER = """# %% [markdown]
# # 09 · A chapter

# %% tags=["setup"]
import math
x = 1

# %% [markdown]
# ## One

# %%
a = math.pi * x
b = [i for i in range(3)]
d = {}

# %% [markdown]
# ## Two


# %%
def c(t):
    local = {}
    local["t"] = t
    return a * local["t"]


d["two"] = 2


# %% [markdown]
# ## Three

# %%
a = 2
print(a)

# %% [markdown]
# ## Four

# %%
print(c(a), [i for i in b])

# %% [markdown]
# ## Five

# %%
print(x)

# %% [markdown]
# ## Six

# %%
print(d)
"""


def test_names_say_what_a_section_needs(tmp_path, monkeypatch):
    (tmp_path / "09_a_chapter.py").write_text(MASTER)
    monkeypatch.setattr(lecturer, "master", lambda chapter: tmp_path / f"{chapter}.py")
    assert lecturer.needs("09_a_chapter") == {
        "": [],
        "One": [],
        "Two": ["One"],
        "Three": [],
        "Four": ["One", "Two", "Three"],
        "Five": [],
        "Six": ["One", "Two"],
    }
