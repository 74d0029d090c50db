"""Imports run one way, as the contracts in pyproject.toml say; the library is light to import."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNWANTED = ["accelerate", "anywidget", "gen_course", "ipywidgets", "matplotlib", "sklearn"]
UNWANTED += ["torchmetrics", "torchvision"]
LINT = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
FORBIDDEN = {  # a file, and a line that breaks a contract there
    "gen_lib/cli.py": "import gen_course.common.plots",
    "gen_lib/nets/vit.py": "from gen_lib.metrics import mse",
    "gen_lib/data/toys.py": "def f():\n    from ..training import fit",
    "gen_course/common/plots.py": "def f():\n    from gen_course.ch03_vae import checks",
    "gen_course/ch03_vae/checks.py": "from gen_course.build import places",
    "gen_course/ch04_gan/checks.py": "if True:\n    from gen_course.ch03_vae import explorers",
}
SAID = [
    "gen_lib.cli -> gen_course.common.plots",
    "gen_lib.nets.vit -> gen_lib.metrics",
    "gen_lib.data.toys -> gen_lib.training",
    "gen_course.common.plots -> gen_course.ch03_vae.checks",
    "gen_course.ch03_vae.checks -> gen_course.build.places",
    "gen_course.ch04_gan.checks -> gen_course.ch03_vae.explorers",
    "not listed as layers: - gen_course.attic",
]


def test_forbidden_imports_are_found(tmp_path):
    for name in ("gen_lib", "gen_course"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line in FORBIDDEN.items():
        with (tmp_path / file).open("a", encoding="utf-8") as opened:
            opened.write(f"\n{line}\n")
    (tmp_path / "gen_course" / "attic.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", LINT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert [one for one in SAID if one not in said] == []


@pytest.mark.parametrize(
    "modules",
    [
        "gen_lib.models, gen_lib.training, gen_lib.data",
        "gen_lib.metrics, gen_lib.training.checkpoints",
    ],
)
def test_the_library_imports_no_drawing_launching_or_measuring(modules):
    code = f"import sys, {modules}\nprint([n for n in {UNWANTED} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
