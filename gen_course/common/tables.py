"""Small tables of results, shown as HTML on a page and as aligned text elsewhere."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gen_lib import InputError

VERDICTS = ("holds here", "holds with a condition", "contradicted", "undecided")
"""What a chapter says about a claim; undecided: the spread over the seeds hides the answer."""


class Table:
    """A table with one row per name; displayed as the last line of a cell.

    Args:
        rows: the cells of each row, by the row's name. Write a number as text with the digits that
            it deserves; columns of numbers are aligned to the right.
        columns: the heading of each column.
        corner: the heading of the names.

    Raises:
        InputError: a row does not have one cell per column.

    >>> Table({"PCA": ["0.105", 16], "deep": ["0.082", 16]}, ["MSE", "code"], "model")
    model    MSE  code
    PCA    0.105    16
    deep   0.082    16
    """

    def __init__(
        self, rows: Mapping[str, Sequence[object]], columns: Sequence[str], corner: str = ""
    ):
        for name, cells in rows.items():
            if len(cells) != len(columns):
                raise InputError(
                    f"Row {name!r} has {len(cells)} cells, but there are {len(columns)} columns."
                )
        self.heading = [corner, *columns]
        self.rows = [[name, *map(_with_minus, cells)] for name, cells in rows.items()]
        columns_of_cells = zip(self.heading, *self.rows, strict=True)
        self.right = [bool(cells) and all(map(_is_number, cells)) for _, *cells in columns_of_cells]

    def __repr__(self) -> str:
        everything = [self.heading, *self.rows]
        widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
        aligned = [
            [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, self.right, strict=True)
            ]
            for row in everything
        ]
        return "\n".join("  ".join(row).rstrip() for row in aligned)

    def _repr_html_(self) -> str:
        lines = [self._line("th", self.heading), *(self._line("td", row) for row in self.rows)]
        return "<table>\n" + "\n".join(lines) + "\n</table>"

    def _line(self, tag: str, row: Sequence[str]) -> str:
        sides = ["right" if right else "left" for right in self.right]
        return "".join(
            ["<tr>"]
            + [
                f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
                for cell, side in zip(row, sides, strict=True)
            ]
            + ["</tr>"]
        )


class Claims:
    """The claims of a chapter, each with what was measured; displayed as the table at its end.

    The section that measures a claim adds it. A claim that is added again replaces the old row.
    The map of the lecture takes its verdicts from the table of the executed chapter.
    """

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, str]] = {}

    def add(self, claim: str, measured: str, verdict: str = VERDICTS[0]) -> None:
        """Add a claim.

        Args:
            claim: the claim as a sentence without its full stop.
            measured: what was measured, with the numbers.
            verdict: one of ``VERDICTS``.

        Raises:
            InputError: there is no such verdict.
        """
        if verdict not in VERDICTS:
            raise InputError(f"The verdict {verdict!r} must be one of {', '.join(VERDICTS)}.")
        self.rows[claim] = measured, verdict

    def table(self) -> Table:
        """The claims of the sections that have run, in the order in which they ran."""
        return Table(self.rows, ["measured", "verdict"], "claim")

    def __repr__(self) -> str:
        return repr(self.table()) if self.rows else "No section that measures a claim has run yet."

    def _repr_mimebundle_(self, **options: Any) -> Any:
        page = self.table()._repr_html_() if self.rows else f"<p>{self!r}</p>"
        rows = [[claim, *found] for claim, found in self.rows.items()]
        return {"text/html": page, "text/plain": repr(self)}, {"text/html": {"claims": rows}}


def _with_minus(cell: object) -> str:
    """The text of a cell; a hyphen before a number becomes a minus sign."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "−", str(cell))


def _is_number(cell: str) -> bool:
    """Whether a cell begins with a number, as in ``-3.1``, ``16.9 dB`` or ``12 %``."""
    return cell.lstrip("+-−±<>≈ ")[:1].isdigit() or cell in ("", "–", "-")
