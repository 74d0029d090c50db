"""Read the master texts of the chapters.

A cell tagged ``slide`` says what a deck shows (``deck/text.py``). It is no part of the chapter: no
notebook, map or glossary contains it.
"""

from pathlib import Path

import jupytext
from nbformat import NotebookNode

from gen_course.build.solutions import tagged


def cells(source: Path) -> list[NotebookNode]:
    """All cells of a master text but those of its slides."""
    return [cell for cell in with_slides(source) if not tagged(cell, "slide")]


def with_slides(source: Path) -> list[NotebookNode]:
    """All cells of a master text."""
    return jupytext.read(source, fmt="py:percent").cells
