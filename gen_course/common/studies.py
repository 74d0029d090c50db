"""The stored results of the chapters' studies.

A study trains too long for a notebook. It is a script, ``gen_course/chNN_name/studies/NAME.py``,
and it writes its results into the table ``NAME.csv`` beside it.
"""

import csv
from pathlib import Path

from gen_lib import InputError

CHAPTERS = Path(__file__).resolve().parents[1]  # holds a folder chNN_name for each chapter


def read_study(name: str) -> list[dict[str, str]]:
    """The rows of the table ``NAME.csv``, whichever chapter it belongs to, as dictionaries.

    Raises:
        InputError: no chapter has a study of this name.
    """
    tables = {path.stem: path for path in sorted(CHAPTERS.glob("ch*/studies/*.csv"))}
    if name not in tables:
        raise InputError(f"There is no study {name!r}: choose one of {', '.join(tables)}.")
    with tables[name].open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
