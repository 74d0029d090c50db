"""Chapter 09: One token after another."""

from pathlib import Path


def studies_folder() -> Path:
    """Where the studies of this chapter keep their results and trained weights."""
    return Path(__file__).with_name("studies")
