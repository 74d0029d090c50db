"""Small pictures and texts that several tests train on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def classes(tmp_path) -> str:
    """A folder of 30 small pictures in 12 classes."""
    return _noise(tmp_path / "pictures", [f"class {i % 12:02}/{i}.png" for i in range(30)])


@pytest.fixture
def domains(tmp_path) -> str:
    """A folder of two domains of 8 and 6 small pictures; their test pictures are pairs."""
    numbers = {"trainA": 8, "trainB": 6, "testA": 3, "testB": 3}
    names = [f"{place}/{i}.png" for place, n in numbers.items() for i in range(n)]
    return _noise(tmp_path / "domains", names)


@pytest.fixture
def own_text(tmp_path) -> str:
    """A text of a reader's own, with quotes, Hangul, emoji and an accent."""
    lines = [f'"{n} 개" said the café \\ 🙂' for n in range(60)]
    (tmp_path / "own.txt").write_text("\n".join(lines), encoding="utf-8")
    return str(tmp_path / "own.txt")


def _noise(folder: Path, names: list[str]) -> str:
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / name)
    return str(folder)
