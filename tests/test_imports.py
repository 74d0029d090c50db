"""The one rule of the library: a room imports only from rooms of a smaller rank."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gen_lib

PACKAGE = Path(gen_lib.__file__).parent
RANK = {
    "__init__": 0,
    "data": 1,
    "clock": 1,
    "processes": 1,
    "schedules": 1,
    "nets": 2,
    "samplers": 3,
    "models": 4,
    "progress": 5,
    "training": 6,
    "checkpoints": 6,
    "metrics": 7,
    "probe": 7,
    "translation": 8,
    "comparison": 8,
    "plots": 8,
    "checks": 8,
    "runs": 9,
    "widgets": 9,
    "cli": 10,
    "__main__": 11,
}


def imported(node: ast.AST, file: Path, package: Path) -> list[str]:
    """The modules of the package that an import statement names, as dotted paths inside it."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        inside = file.relative_to(package.parent).with_suffix("").parts
        base = list(inside[: len(inside) - node.level]) if node.level else []
        module = ".".join(base + ([node.module] if node.module else []))
        # `from gen_lib import data` names a room, `from gen_lib import InputError` does not
        names = (
            [f"{module}.{alias.name}" for alias in node.names]
            if module == package.name
            else [module]
        )
    else:
        return []
    return [name.partition(".")[2] for name in names if name.split(".")[0] == package.name]


def room_of(dotted: str, package: Path) -> str:
    """The room that a dotted path inside the package lies in."""
    first = dotted.split(".")[0]
    exists = (package / first).is_dir() or (package / f"{first}.py").is_file()
    return first if first and (exists or first in RANK) else "__init__"


def violations(package: Path) -> list[str]:
    """Every import of the package that does not go down in rank."""
    found = []
    for file in sorted(package.rglob("*.py")):
        room = file.relative_to(package).with_suffix("").parts[0]
        if room not in RANK:
            found.append(f"{file.relative_to(package)}: unknown room {room}")
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            for dotted in imported(node, file, package):
                other = room_of(dotted, package)
                if other != room and RANK.get(other, 99) >= RANK[room]:
                    rank, its_rank = RANK[room], RANK.get(other, "unknown")
                    found.append(f"{room} ({rank}) imports {other} ({its_rank})")
    return found


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(PACKAGE, tmp_path / "gen_lib"))


def test_no_room_imports_upwards():
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "violation"),
    [
        ("nets/mlp.py", "from gen_lib.metrics import mse", "nets (2) imports metrics (7)"),
        ("nets/mlp.py", "import gen_lib.models.autoencoder as a", "nets (2) imports models (4)"),
        ("nets/mlp.py", "from gen_lib import InputError, cli", "nets (2) imports cli (10)"),
        ("data/toys.py", "def f():\n    import gen_lib.plots", "data (1) imports plots (8)"),
        ("data/toys.py", "def f():\n    from .. import plots", "data (1) imports plots (8)"),
        ("data/__init__.py", "from ..training import fit", "data (1) imports training (6)"),
        ("models/base.py", "from ..metrics import mse", "models (4) imports metrics (7)"),
        ("clock.py", "from .data import load", "clock (1) imports data (1)"),
        (
            "plots.py",
            "if True:\n    from gen_lib.checks.base import same",
            "plots (8) imports checks (8)",
        ),
        ("__init__.py", "from gen_lib.data import load", "__init__ (0) imports data (1)"),
    ],
)
def test_an_upward_or_sideways_import_is_found(copy, file, line, violation):
    with (copy / file).open("a") as text:
        text.write(f"\n{line}\n")
    assert violations(copy) == [violation]


@pytest.mark.parametrize(
    "line",
    [
        "from gen_lib import InputError",
        "from gen_lib.data import load",
        "from . import base",
        "from .base import Model",
        "from ..nets.mlp import mlp",
        "import torch",
        "from os import path",
    ],
)
def test_a_downward_import_is_fine(copy, line):
    with (copy / "models" / "judge.py").open("a") as text:
        text.write(f"\n{line}\n")
    assert violations(copy) == []


def test_an_unknown_room_is_found(copy):
    (copy / "attic").mkdir()
    (copy / "attic" / "old.py").write_text("")
    assert violations(copy) == ["attic/old.py: unknown room attic"]


def test_the_library_imports_no_drawing_launching_or_measuring():
    heavy = ["matplotlib", "ipywidgets", "accelerate", "torchvision", "torchmetrics", "sklearn"]
    rooms = ["data", "models", "training", "checkpoints", "metrics"]
    code = f"import sys, gen_lib, {', '.join(f'gen_lib.{room}' for room in rooms)}\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
