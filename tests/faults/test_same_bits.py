"""The same command in two processes writes the same bytes."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen_lib.cli import main

SMALL = {
    "gan": ["--set", "width=4"],
    "cyclegan": ["--set", "width=4", "--set", "blocks=1", "--set", "width_d=4", "--set", "pool=4"],
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of small pictures in two domains, which may also be two classes."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for place in ("trainA", "trainB", "testA", "testB"):
        (folder / place).mkdir()
        for i in range(6):
            file = folder / place / f"{i}.png"
            Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(file)
    return folder


def every_command(pictures: Path, out: Path) -> None:
    torch.set_num_threads(1)
    for model, small in SMALL.items():
        budget = ["--steps", "4", "--batch-size", "4", "--seed", "5", *small]
        run = ["train", model, "--data", str(pictures), *budget, "--out", str(out / model)]
        assert main(run) == 0
    for kind in ("npz", "png"):
        words = ["-n", "4", "--seed", "6", "--out", str(out / f"sampled.{kind}")]
        assert main(["sample", str(out / "gan"), *words]) == 0
    translated = str(out / "translated.npz")
    assert main(["translate", str(out / "cyclegan"), "--to", "B", "--out", translated]) == 0


@pytest.mark.fault("train, sample and translate, each in two processes", tried=6)
def test_two_processes_write_the_same_bytes(tmp_path, pictures, ended):
    context = multiprocessing.get_context("forkserver")
    outs = [tmp_path / "first", tmp_path / "second"]
    for out in outs:
        child = context.Process(target=every_command, args=(pictures, out))
        child.start()
        child.join()
        assert child.exitcode == 0
    files = ["gan/model.safetensors", "cyclegan/model.safetensors", "sampled.npz", "sampled.png"]
    for file in [*files, "translated.npz"]:
        first, second = ((out / file).read_bytes() for out in outs)
        assert first == second, file
    for model in SMALL:
        steps, again = (out / model / "history.csv" for out in outs)
        without_seconds = [np.genfromtxt(f, delimiter=",")[1:, 2:] for f in (steps, again)]
        assert np.array_equal(*without_seconds)
    ended("the same bytes")
