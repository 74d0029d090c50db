"""Training in two processes: equal gradients, different data, one of them writes, none hangs."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from labels import labels_for, small, token_noise
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gen_lib import experiment
from gen_lib.cli import main
from gen_lib.data import Batch, PairBatch
from gen_lib.data.text import TokenBatch
from gen_lib.models import MODELS
from gen_lib.models.base import Model, Translates
from gen_lib.training import TrainState, checkpoints, distributed, fit, loop, resume
from gen_lib.training.resume import state_tensors

SMALL = {
    "masked": {"width": 16, "depth": 1, "patch": 4},
    "cyclegan": {"width": 4, "blocks": 1, "width_d": 4, "pool": 0},
    "paired": {"width": 4, "blocks": 1},
    "diffusion": {"width": 8, "blocks": 1},
    "text-to-image": {"width": 8, "blocks": 1},
    "attribute-judge": {"width": 8},
    **{name: {"width": 4} for name in ("conv-ae", "denoising", "gan", "vae", "gaussian-vae")},
}
PROCESSES, SIZE, SEED = 2, 6, 3
MOST_SECONDS = 60.0  # all processes must have ended so soon after one was killed


def made(name: str) -> Model:
    """A small model; its batch normalisation, if any, always uses the running averages."""
    torch.manual_seed(0)
    model = small(MODELS[name], **SMALL.get(name, {}))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval().train = lambda mode=True, part=part: part
    return model


class Noise:
    """Batches of noise by number, as a model takes it; it records these numbers."""

    def __init__(self, name: str):
        self.kind, self.numbers = MODELS[name], []
        self.two_domains = issubclass(self.kind, Translates)

    def batch(self, step: int, size: int, seed: int = 0) -> Batch | PairBatch | TokenBatch:
        self.numbers.append(step)
        rng = torch.Generator().manual_seed(step)
        if self.kind.labels == "text":
            return token_noise(size, rng)
        images = torch.empty(size, 3, 8, 8).uniform_(-1, 1, generator=rng)
        if self.two_domains:
            return PairBatch(*images.chunk(2))
        return Batch(images, labels_for(self.kind, torch.arange(size) % 2))


class Joined(Noise):
    """The batches of both processes as one."""

    def batch(self, step: int, size: int, seed: int = 0) -> Batch | PairBatch | TokenBatch:
        parts = [super(Joined, self).batch(PROCESSES * step + r, SIZE, seed) for r in range(2)]
        return type(parts[0])(*(torch.cat(both) for both in zip(*parts, strict=True)))


def joined(draw, generators: list[torch.Generator]):
    """A function like torch.rand that returns the numbers of both processes, joined."""

    def both(*arguments, generator=None, device=None):
        if generator is None:
            return draw(*arguments)
        *first, shape = arguments if isinstance(arguments[-1], tuple) else ((arguments),)
        (place,) = (i for i, n in enumerate(shape) if n in (PROCESSES * SIZE, SIZE))
        own = [n // PROCESSES if i == place else n for i, n in enumerate(shape)]
        return torch.cat([draw(*first, own, generator=g) for g in generators], dim=place)

    return both


def gradients(name: str, data: Noise, size: int) -> dict[str, Tensor]:
    """Adam's first moments after one step, which are a multiple of the gradients."""
    found: dict[str, Tensor] = {}

    def keep(state: TrainState) -> None:
        if state.history.steps == 1:
            for key, value in state_tensors(state).items():
                if "exp_avg" in key:
                    found[key] = value.clone(memory_format=torch.contiguous_format)

    fit(made(name), data, steps=1, batch_size=size, seed=SEED, keep=keep, show_bar=False)
    return {key: value for key, value in found.items() if not key.endswith("_sq")}


# What each of the two processes does


def port() -> str:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return str(place.getsockname()[1])


def member(rank: int, port: str, folder: Path, train: list[str]) -> None:
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"} | where
    torch.set_num_threads(1)
    loop.has_bfloat16 = lambda device: False
    assert distributed.team() == (rank, PROCESSES)
    assert distributed.agree(float(rank)) == 0.5
    for name in MODELS:
        data = Noise(name)
        found = gradients(name, data, SIZE)
        assert data.numbers == [rank]
        save_file(found, folder / f"{name}-{rank}.safetensors")
    if rank:
        for module in (checkpoints, resume, experiment):
            module.write_whole = None  # only process 0 may write
    assert main(train) == 0
    torch.distributed.destroy_process_group()


def words(pictures: Path, out: Path, *budget: str) -> list[str]:
    run = ["--data", str(pictures), "--batch-size", "4", "--set", "latent_size=2"]
    return ["train", "ae", *run, "--keep-every", "0", "--out", str(out), *budget]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pictures):
    """The folder that two training processes have written."""
    folder, context = tmp_path_factory.mktemp("left"), multiprocessing.get_context("forkserver")
    train = words(pictures, folder / "run", "--minutes", "0.02")
    meeting = port()
    members = [
        context.Process(target=member, args=(rank, meeting, folder, train))
        for rank in range(PROCESSES)
    ]
    for process in members:
        process.start()
    for process in members:
        process.join()
    assert [process.exitcode for process in members] == [0, 0]
    return folder


@pytest.mark.fault("gradients of 2 processes beside those of the joined batch", tried=len(MODELS))
@pytest.mark.parametrize("name", MODELS)
def test_averaged_gradients_are_those_of_the_joined_batch(folder, name, monkeypatch, ended):
    first, second = (load_file(folder / f"{name}-{rank}.safetensors") for rank in range(PROCESSES))
    monkeypatch.setattr(loop, "has_bfloat16", lambda device: False)
    both = [torch.Generator().manual_seed(SEED * 1_000_003 + r) for r in range(PROCESSES)]
    for draw in ("rand", "randn", "randint"):
        monkeypatch.setattr(torch, draw, joined(getattr(torch, draw), both))
    expected = gradients(name, Joined(name), PROCESSES * SIZE)
    assert first.keys() == second.keys() == expected.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    apart = torch.stack([(first[key] - value).norm() for key, value in expected.items()]).norm()
    assert apart < 1e-5 * torch.stack([value.norm() for value in expected.values()]).norm()
    ended("equal to 1e-5")


@pytest.mark.fault("files written by the second of 2 processes", tried=1)
def test_one_process_writes_all_files(folder, ended):
    left = sorted(file.name for file in (folder / "run").iterdir())
    assert left == ["checkpoints", "history.csv", "model.json", "model.safetensors"]
    ended("none")


@pytest.mark.fault("one of 2 launched processes killed in training", tried=1)
def test_all_end_when_one_is_killed_and_one_alone_goes_on(tmp_path, pictures, ended):
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--main_process_port", "0", "--num_machines", "1", "--mixed_precision", "no"]
    train = words(pictures, tmp_path / "run", "--minutes", "0.5")
    command = [sys.executable, *launch, "--dynamo_backend", "no", "-m", "gen_lib", *train]
    with (tmp_path / "said").open("w") as said:
        launcher = subprocess.Popen(command, stderr=said, env=os.environ | {"OMP_NUM_THREADS": "1"})
        while not list(tmp_path.glob("run/checkpoints/*.safetensors")):
            assert launcher.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.1)
        members = psutil.Process(launcher.pid).children(recursive=True)
        (one,) = (p for p in members if p.environ().get("RANK") == "1")
        one.send_signal(signal.SIGKILL)
        started = time.perf_counter()
        assert launcher.wait(MOST_SECONDS) != 0
        _, alive = psutil.wait_procs(members, MOST_SECONDS - (time.perf_counter() - started))
    assert alive == []
    assert "SIGKILL" in (tmp_path / "said").read_text()  # the launcher names the cause
    assert main([*train, "--resume"]) == 0
    ended(f"all ended within {MOST_SECONDS:.0f} s, the cause was named; one process alone resumed")


def test_one_process_is_a_team_of_its_own():
    code = "import sys; from gen_lib.training.distributed import agree, team\n"
    code += "assert team() == (0, 1) and agree(0.1) == 0.1 and 'accelerate' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
