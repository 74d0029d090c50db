"""The stored results of studies are found by name, whatever folder a notebook runs in."""

import pytest

from gen_course.common.studies import CHAPTERS, read_study
from gen_lib import InputError

TABLES = sorted(CHAPTERS.glob("ch*/studies/*.csv"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_table_is_read_from_any_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = read_study(path.stem)
    assert len(rows) == len(path.read_text().splitlines()) - 1 > 0
    header = path.read_text().splitlines()[0].split(",")
    assert all(list(row) == header for row in rows)


def test_no_two_tables_have_one_name():
    assert len({path.stem for path in TABLES}) == len(TABLES)


@pytest.mark.parametrize("name", ["nothing", "../studies/ladder", "ladder.csv", ""])
def test_an_unknown_study_is_told_with_the_known_ones(name):
    with pytest.raises(InputError, match=r"There is no study .*ladder.*comparison"):
        read_study(name)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_table_has_the_script_that_made_it(path):
    assert path.with_suffix(".py").is_file()
