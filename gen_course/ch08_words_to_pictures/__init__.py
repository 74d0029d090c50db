"""Chapter 08: Words to pictures."""

from pathlib import Path


def studies_folder() -> Path:
    """Where the studies of this chapter keep their results and trained weights."""
    return Path(__file__).with_name("studies")
