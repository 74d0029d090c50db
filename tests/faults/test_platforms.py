"""What people's machines do: code pages, pipes, quotas, clusters, wheels, copies of a chapter."""

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import torch

from gen_course.build.places import NOTEBOOKS
from gen_lib import cli, experiment
from gen_lib.cli import main
from gen_lib.data import data_folder, sources
from gen_lib.training import distributed
from gen_lib.training.hardware import flush_denormal

ROOT = Path(__file__).resolve().parents[2]


def started(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    """The command line in another process, with other environment variables."""
    command = [sys.executable, "-m", "gen_lib", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True)


@pytest.mark.fault("a Korean folder, and output in a code page without Hangul", tried=3)
@pytest.mark.parametrize("page", ["cp1252", "cp437", "ascii"])
def test_names_that_a_code_page_lacks_do_not_end_a_run(tmp_path, pictures, page, ended):
    shutil.copytree(pictures, tmp_path / "내 그림 모음")
    words = ["train", "ae", "--data", "내 그림 모음", "--steps", "2", "--out", "실험 1"]
    assert started(tmp_path, *words, PYTHONIOENCODING=page).returncode == 0
    shown = started(tmp_path, "evaluate", "실험 1", PYTHONIOENCODING=page)
    assert shown.returncode == 0
    assert b"mse" in shown.stdout
    ended("the run ends well; letters are escaped")


@pytest.mark.fault("a printed command whose path has spaces or quotes", tried=2)
@pytest.mark.parametrize("name", ["my run", "it's mine"])
def test_a_printed_command_can_be_pasted(tmp_path, pictures, capsys, name, ended):
    out = tmp_path / name
    assert main(["train", "ae", "--data", str(pictures), "--steps", "1", "--out", str(out)]) == 0
    line = capsys.readouterr().out.splitlines()[-1].partition("Next: python ")[2]
    command = f"{sys.executable} {line}"
    assert subprocess.run(command, shell=True, cwd=ROOT, capture_output=True).returncode == 0
    ended("it runs as printed")


@pytest.mark.fault("the reader of a pipe, such as head, closes it", tried=1)
def test_a_closed_pipe_ends_a_command_quietly(tmp_path, ended):
    command = f"set -o pipefail; {sys.executable} -m gen_lib list | head -c 1"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True)
    assert done.returncode == 0
    assert done.stderr == b""
    ended("exit code 0, nothing on stderr")


@pytest.mark.fault("an error of the machine: disk, quota, permission, memory", tried=6)
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "free some space or choose another"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "free some space or choose another"),
        (PermissionError(errno.EACCES, "Permission denied"), "denied: choose another place"),
        (MemoryError(), "There is not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "There is not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "There is not enough memory"),
    ],
)
def test_an_error_of_the_machine_is_one_sentence(monkeypatch, capsys, error, words, ended):
    def failing(*arguments, **options):
        raise error

    monkeypatch.setattr(experiment, "train", failing)
    assert main(["train", "ae", "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    ended("one sentence, exit code 2")


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    def failing(*arguments, **options):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(experiment, "train", failing)
    with pytest.raises(RuntimeError, match="shapes"):
        main(["train", "ae", "--steps", "1"])


@pytest.mark.parametrize(("command", "words"), [("train", "--resume"), ("sample", "interrupted.")])
def test_an_interrupt_says_what_can_be_done(tmp_path, monkeypatch, capsys, command, words):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, command, interrupted)
    out = str(tmp_path / "x.npz")
    more = {"train": ["ae", "--steps", "1"], "sample": ["vae-2d", "--out", out]}[command]
    assert main([command, *more]) == 130
    assert words in capsys.readouterr().err


@pytest.mark.fault("environment variables that a cluster left behind", tried=5)
@pytest.mark.parametrize(
    "variables",
    [
        {"WORLD_SIZE": "4"},
        {"WORLD_SIZE": ""},
        {"WORLD_SIZE": "8", "RANK": "3"},
        {"WORLD_SIZE": "junk"},
        {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "node1", "MASTER_PORT": ""},
    ],
)
def test_what_a_cluster_left_behind_starts_no_team(monkeypatch, variables, ended):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert distributed.team.__wrapped__() == distributed.Team(0, 1)
    ended("one process trains alone")


@pytest.mark.parametrize("before", [False, True])
def test_the_switch_for_denormal_numbers_is_put_back(before):
    def denormal() -> bool:
        return bool(torch.tensor(1e-310, dtype=torch.float64) * 1 > 0)

    torch.set_flush_denormal(before)
    try:
        with flush_denormal():
            assert not denormal()
        assert denormal() is not before
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.fault("a data folder that may only be read", tried=1)
def test_a_download_goes_to_a_cache_if_the_data_may_only_be_read(tmp_path, monkeypatch, ended):
    roots = []

    def asked(root, train, download):
        roots.append(root)
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.MNIST", asked)
    monkeypatch.setattr(sources.os, "access", lambda place, mode: False)
    monkeypatch.setattr(sources, "user_cache_path", lambda name: tmp_path / name)
    with pytest.raises(cli.InputError, match="could it be downloaded there"):
        sources.torchvision_set("mnist")
    assert roots == [tmp_path / "gen_lib"]
    ended("the cache in the user's folder is used")


@pytest.mark.slow
@pytest.mark.fault("the course as a wheel, outside of its checkout", tried=1)
def test_a_wheel_holds_all_files_of_the_course(tmp_path, ended):
    source = tmp_path / "source"
    names = subprocess.run(
        ["git", "ls-files", "gen_lib", "gen_course", "pyproject.toml", "README.md", "LICENSE*"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    for name in filter(None, names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([*build, tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    kept = {str(p.relative_to(site)) for p in site.rglob("*") if p.is_file()}
    needed = {name for name in names if name.startswith(("gen_lib/", "gen_course/"))}
    assert needed - kept == set()
    code = "from gen_course.common import pad, plots, quiz, timing; plots.use_style(); "
    code += "from gen_lib.data import load; print(len(load('fashion_mnist').test))"
    where = {"PYTHONPATH": str(site), "GEN_LIB_DATA": str(data_folder())}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | where, capture_output=True
    )
    assert found.stdout == b"10000\n"
    ended("it holds every file and runs")


@pytest.mark.slow
@pytest.mark.fault("a copy of a chapter in another folder", tried=1)
def test_a_copied_chapter_finds_its_stored_studies(tmp_path, ended):
    notebook = nbformat.read(NOTEBOOKS / "01_autoencoders.ipynb", 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [
        cell
        for cell in code
        if "setup" in cell.metadata.get("tags", []) or "= read_study(" in cell.source
    ]
    assert len(notebook.cells) > 1
    script = tmp_path / "내 노트" / "01 사본.py"
    script.parent.mkdir()
    script.write_text("\n".join(cell.source for cell in notebook.cells), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    command = [sys.executable, script.name]
    done = subprocess.run(command, cwd=script.parent, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    ended("it runs")


@pytest.mark.fault("no space for the file of a sample that was there before", tried=2)
@pytest.mark.parametrize("name", ["x.npz", "x.png"])
def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch, name, ended):
    out = tmp_path / name
    words = ["sample", "gan", "-n", "4", "--out", str(out)]
    assert main(words) == 0
    before = out.read_bytes()

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gen_lib.files.os.fsync", full)
    assert main([*words, "--seed", "1"]) == 2
    assert out.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]
    ended("one sentence, the old file is whole")
