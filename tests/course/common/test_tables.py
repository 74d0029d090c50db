"""Tables as text and as a page, and the claims of a chapter."""

from xml.etree import ElementTree

import pytest

from gen_course.common.tables import Claims, Table
from gen_lib import InputError


def cells_of(html, tag):
    return [cell.text or "" for cell in ElementTree.fromstring(html).iter(tag)]


def test_the_page_holds_heading_and_cells_in_their_order():
    html = Table({"a < b": ["1.5", "yes"], "c": [2, "no"]}, ["MSE", "so?"], "model")._repr_html_()
    assert cells_of(html, "th") == ["model", "MSE", "so?"]
    assert cells_of(html, "td") == ["a < b", "1.5", "yes", "c", "2", "no"]


def test_columns_of_numbers_are_aligned_to_the_right_and_all_others_to_the_left():
    rows = {"PCA": ["0.1", "16.9 dB", "best"], "deep": ["−12.25", "±3 %", "7 of 8"]}
    table = Table(rows, ["a", "b", "c"])
    assert table.right == [False, True, True, False]
    first, second = repr(table).splitlines()[1:]
    assert first.index("0.1") + 3 == second.index("−12.25") + 6
    page = ElementTree.fromstring(table._repr_html_())
    sides = ["right" if "right" in cell.get("style", "") else "left" for cell in page.iter("td")]
    assert sides[:4] == ["left", "right", "right", "left"]


def test_a_hyphen_before_a_number_becomes_a_minus_sign_and_no_other_does():
    cells = ["-3.1", "(-2, -1)", "1-2", "x-1", "1e-5", "well-known", -4]
    table = Table({"row": cells}, [f"{n}" for n in range(len(cells))])
    assert table.rows == [["row", "−3.1", "(−2, −1)", "1-2", "x-1", "1e-5", "well-known", "−4"]]


def test_a_table_without_rows_has_its_headings():
    table = Table({}, ["MSE"], "model")
    assert repr(table) == "model  MSE"
    assert cells_of(table._repr_html_(), "th") == ["model", "MSE"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(InputError, match="'PCA' has 1 cells, but there are 2 columns"):
        Table({"PCA": [1]}, ["a", "b"])


def test_claims_keep_their_order_and_the_newest_measurement():
    claims = Claims()
    claims.add("first", "1", "contradicted")
    claims.add("second", "2")
    claims.add("first", "1.5")
    data, metadata = claims._repr_mimebundle_()
    assert metadata["text/html"]["claims"] == [
        ["first", "1.5", "holds here"],
        ["second", "2", "holds here"],
    ]
    assert cells_of(data["text/html"], "td")[::3] == ["first", "second"]
    assert data["text/plain"] == repr(claims.table())


def test_claims_without_a_row_say_so_and_another_verdict_is_refused():
    data, metadata = Claims()._repr_mimebundle_()
    assert "has run yet" in data["text/html"]
    assert metadata["text/html"]["claims"] == []
    with pytest.raises(InputError, match="'true' must be one of holds here"):
        Claims().add("It is so", "1", "true")
