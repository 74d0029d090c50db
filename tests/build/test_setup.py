"""The set-up files agree with each other and the Makefile installs exactly when it must."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(text) for text in PROJECT["dependencies"]]
TEST_EXTRA, SLIDES, PEERS, INSTRUCTOR = (
    [Requirement(text) for text in PROJECT["optional-dependencies"][extra]]
    for extra in ("test", "slides", "peers", "instructor")
)
PINS = [
    Requirement(line)
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
LAB_SETTINGS = "gen_course/build/lab_settings.json"
CONDA_NAME = {"torch": "pytorch-cpu"}


def run_make(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    """Run make without the variables that an outer make passes on."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def make(*arguments: str, folder: Path = ROOT) -> str:
    done = run_make(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def phony_targets() -> set[str]:
    return set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split())


def conda() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_conda_has_the_names_and_ranges_of_pyproject():
    listed = [Requirement(d) for d in conda()["dependencies"] if isinstance(d, str)]
    ranges = {d.name: d.specifier for d in listed if d.name not in {"python", "pip"}}
    assert ranges == {CONDA_NAME.get(d.name, d.name): d.specifier for d in DEPENDENCIES}


def test_conda_takes_conda_forge_only_and_this_package():
    assert conda()["channels"] == ["conda-forge", "nodefaults"]
    assert conda()["dependencies"][-1] == {"pip": ["-e ."]}


def imported(file: Path) -> Iterator[str]:
    """The top-level modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", ["gen_lib", "gen_course"])
def test_what_a_package_imports_is_declared(package):
    build = ROOT / "gen_course" / "build"  # needs what only a developer installs
    grader = {"believe.py", "nbgrader_config.py"}  # run in nbgrader, of the extra `instructor`
    files = [
        file
        for file in (ROOT / package).rglob("*.py")
        if build not in file.parents and file.name not in grader
    ]
    modules = {name for file in files for name in imported(file)}
    owners, own = packages_distributions(), {"gen_lib", "gen_course"}
    used = {owners[name][0] for name in modules - own - sys.stdlib_module_names}
    assert {canonicalize_name(name) for name in used} <= {d.name for d in DEPENDENCIES}


def test_pythons_agree():
    allowed = Requirement(f"python{PROJECT['requires-python']}").specifier
    conda_python = next(Requirement(d) for d in conda()["dependencies"] if d.startswith("python>"))
    low, high = re.search(
        r"\((3, \d+)\) <= sys.version_info < \((3, \d+)\)", (ROOT / "Makefile").read_text()
    ).groups()
    assert str(allowed) == str(Requirement(f"p>={low},<{high}".replace(", ", ".")).specifier)
    for minor in range(8, 20):
        if conda_python.specifier.contains(f"3.{minor}"):
            assert allowed.contains(f"3.{minor}")


def test_every_pin_names_one_version():
    assert [str(pin) for pin in PINS if not re.fullmatch(r"==[\w.]+", str(pin.specifier))] == []
    names = [canonicalize_name(pin.name) for pin in PINS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("dependency", DEPENDENCIES + TEST_EXTRA + SLIDES, ids=str)
def test_every_dependency_is_pinned_within_its_range(dependency):
    pins = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in PINS}
    assert dependency.specifier.contains(pins[canonicalize_name(dependency.name)])


def test_other_extras_are_pinned_and_no_part_of_what_is_installed():
    extra = PEERS + INSTRUCTOR
    assert [str(one) for one in extra if not re.fullmatch(r"==[\w.]+", str(one.specifier))] == []
    assert not {one.name for one in extra} & {pin.name for pin in PINS}


def test_requirements_hold_names_and_versions_only():
    text = (ROOT / "requirements.txt").read_text()
    assert re.findall(r"://|^\s*-.*$| @ |\+cpu|\+cu\d", text, re.M) == []


def test_torch_is_pinned_alike_in_the_makefile():
    torch = re.search(r"^TORCH := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert torch == [str(pin) for pin in PINS[:2]]


def test_help_lists_every_target():
    assert set(re.findall(r"^make ([a-z-]+) +\S", make("help"), re.M)) == phony_targets()


def test_readme_names_only_targets_that_exist():
    blocks = re.findall(
        r"^```(?:sh|bash)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
    )
    named = re.findall(r"^make ([a-z-]+)", "".join(blocks), re.M)
    assert "lab" in named
    assert set(named) <= phony_targets()


def test_licences_are_there():
    assert "MIT License" in (ROOT / "LICENSE").read_text()
    text = (ROOT / "LICENSE-TEXT").read_text()
    assert "CC-BY-4.0" in text
    assert "https://creativecommons.org/licenses/by/4.0/legalcode" in text


def test_lab_settings_ask_nothing_and_fetch_nothing():
    settings = yaml.safe_load((ROOT / LAB_SETTINGS).read_text())
    notification = settings["@jupyterlab/apputils-extension:notification"]
    assert notification == {"checkForUpdates": False, "fetchNews": "false"}


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the stamp depends on, with an environment that looks installed."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml", LAB_SETTINGS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".venv" / ".installed").write_text(f"{tmp_path.resolve()}\n")
    return tmp_path


@pytest.mark.parametrize(("target", "runs"), [("lab", "jupyterlab"), ("test-quick", "pytest")])
def test_an_installed_checkout_installs_nothing(checkout, target, runs):
    plan = make("-n", target, folder=checkout)
    assert runs in plan
    assert "pip" not in plan


@pytest.mark.parametrize(
    ("target", "extra"),
    [
        ("bench", "peers"),
        ("test", "instructor"),
        ("test-homework", "instructor"),
        ("homework", "instructor"),
    ],
)
def test_what_needs_an_extra_adds_it_to_the_pinned_set(checkout, target, extra):
    wanted = f"pip install  -c requirements.txt -e '.[{extra}]'"
    assert wanted in make("-n", target, folder=checkout)
    (checkout / ".venv" / f".{extra}").touch()
    assert "pip" not in make("-n", target, folder=checkout)


@pytest.mark.parametrize("changed", ["requirements.txt", "pyproject.toml"])
def test_a_newer_requirement_installs(checkout, changed):
    os.utime(checkout / changed, (4_000_000_000, 4_000_000_000))
    assert "pip install" in make("-n", "lab", folder=checkout)


def test_without_a_stamp_it_installs(checkout):
    (checkout / ".venv" / ".installed").unlink()
    assert "pip install" in make("-n", "lab", folder=checkout)


def test_a_moved_checkout_installs(checkout):
    (checkout / ".venv" / ".installed").write_text("/elsewhere\n")
    assert "pip install" in make("-n", "lab", folder=checkout)


def test_a_python_that_is_gone_installs(checkout):
    (checkout / ".venv" / "bin" / "python").unlink()
    assert "pip install" in make("-n", "lab", folder=checkout)


def test_an_old_python_is_told_in_one_sentence(checkout):
    (checkout / ".venv" / "bin" / "python").unlink()
    done = run_make("lab", "PYTHON=no-such-python", folder=checkout)
    assert done.returncode != 0
    assert "not a Python 3.11 to 3.14 with venv" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_install_leaves_no_stamp(checkout):
    stamp = checkout / ".venv" / ".installed"
    stamp.unlink()
    (checkout / "requirements.txt").write_text("--no-such-option\n")
    done = run_make("lab", folder=checkout)
    assert done.returncode != 0
    assert not stamp.exists()
