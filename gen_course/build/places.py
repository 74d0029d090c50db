"""The folders that the build reads and writes, and where the master text of each chapter lies.

A chapter's name, such as ``03_vae``, is that of its notebook; the chapter's folder is ``ch03_vae``.
"""

from pathlib import Path

COURSE = Path(__file__).resolve().parents[1]
ROOT = COURSE.parent
NOTEBOOKS = ROOT / "notebooks"
TEACHING = COURSE / "teaching"
HOMEWORK = COURSE / "homework"
README = ROOT / "README.md"


def chapters() -> list[str]:
    """The names of all chapters, in the order of the course."""
    return [name_of(file) for file in sorted(COURSE.glob("ch*/chapter.py"))]


def master(chapter: str) -> Path:
    """The master text of a chapter, by its name."""
    return folder(chapter) / "chapter.py"


def folder(chapter: str) -> Path:
    """The folder that holds everything of a chapter, by its name."""
    return COURSE / f"ch{chapter}"


def name_of(file: Path) -> str:
    """The name of the chapter in whose folder a file lies."""
    return file.resolve().parent.name.removeprefix("ch")


def notebook(chapter: str, solved: bool = False) -> Path:
    """The notebook of a chapter, or that with the solutions of its exercises."""
    parent = NOTEBOOKS / "solutions" if solved else NOTEBOOKS
    return parent / f"{chapter}.ipynb"


def studies() -> list[Path]:
    """The stored measurements of all chapters."""
    return sorted(COURSE.glob("ch*/studies/*.csv"))
