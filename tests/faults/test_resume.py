"""A run that was killed, or could not write, can be resumed and ends with the same bits."""

import contextlib
import multiprocessing
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from labels import labels_for, small, token_noise
from safetensors.torch import load_file

from gen_lib import InputError
from gen_lib.cli import main
from gen_lib.data import Batch, PairBatch
from gen_lib.data.text import TokenBatch
from gen_lib.files import sha256
from gen_lib.models import MODELS
from gen_lib.models.base import Translates
from gen_lib.training import TrainState, fit, training_steps
from gen_lib.training.resume import state_tensors

DONE = ["checkpoints", "history.csv", "model.json", "model.safetensors"]
SMALL = {
    "deep-ae": {"hidden": (8,)},
    "masked": {"width": 16, "depth": 1, "patch": 4},
    "cyclegan": {"width": 4, "blocks": 1, "width_d": 4, "pool": 6, "noise": 0.1},
    "paired": {"width": 4, "blocks": 1},
    "diffusion": {"width": 8, "blocks": 1, "conditional": True},
    "latent-diffusion": {"width": 8, "blocks": 1, "conditional": True},
    "text-to-image": {"width": 8, "blocks": 1},
    "attribute-judge": {"width": 8},
    "judge": {},
    **{name: {"width": 4} for name in ("conv-ae", "denoising", "gan", "vae", "gaussian-vae")},
}


class Noise:
    """Batches of noise that depend only on their number, as a model takes it."""

    def __init__(self, name: str):
        self.kind = MODELS[name]
        self.two_domains = issubclass(self.kind, Translates)

    def batch(self, step: int, size: int, seed: int = 0) -> Batch | PairBatch | TokenBatch:
        rng = torch.Generator().manual_seed(step)
        if self.kind.labels == "text":
            return token_noise(size, rng)
        images = torch.rand(size, 3, 8, 8, generator=rng) * 2 - 1
        if self.two_domains:
            return PairBatch(*images.chunk(2))
        return Batch(images, labels_for(self.kind, torch.arange(size) * 2 // size))


def made(name: str):
    torch.manual_seed(0)
    return small(MODELS[name], **SMALL.get(name, {}))


def same(first, second) -> bool:
    """Whether the weights of two models have the same bits."""
    state = second.state_dict()
    return all(torch.equal(value, state[name]) for name, value in first.state_dict().items())


class Killed(Exception):
    pass


def kept_at(step: int, name: str, steps: int) -> dict[str, torch.Tensor]:
    """The tensors of a run that was killed right after a step."""
    tensors = {}

    def keep(state: TrainState) -> None:
        if state.history.steps == step:
            tensors.update({k: v.detach().clone() for k, v in state_tensors(state).items()})
            raise Killed

    with pytest.raises(Killed):
        fit(made(name), Noise(name), steps=steps, batch_size=4, keep=keep, show_bar=False)
    return tensors


@pytest.mark.fault("a run of each model killed after a step, then resumed", tried=len(MODELS))
@pytest.mark.parametrize("name", MODELS)
def test_a_run_that_goes_on_ends_with_the_bits_of_one_that_never_stopped(name, ended):
    whole, parts = made(name), made(name)
    expected = fit(whole, Noise(name), steps=7, batch_size=4, show_bar=False)
    kept = kept_at(4, name, steps=7)
    history = fit(parts, Noise(name), steps=7, batch_size=4, resume=kept, show_bar=False)
    assert repr(sorted(history.terms.items())) == repr(sorted(expected.terms.items()))  # or NaN
    assert history.seconds == sorted(history.seconds)
    assert history.seconds[:4] == kept["history.seconds"].tolist()
    assert same(whole, parts)
    ended("same bits")


def test_a_run_resumed_after_its_last_step_is_done_at_once():
    whole, again = made("ae"), made("ae")
    fit(whole, Noise("ae"), steps=3, batch_size=4, show_bar=False)
    kept = kept_at(3, "ae", steps=3)
    history = fit(again, Noise("ae"), steps=3, batch_size=4, resume=kept, show_bar=False)
    assert history.steps == 3
    assert same(whole, again)


def test_a_budget_of_minutes_counts_those_before_the_interruption():
    kept = kept_at(2, "ae", steps=9)
    kept["history.seconds"] = torch.tensor([1.0, 59.0], dtype=torch.float64)
    started = time.perf_counter()
    history = fit(made("ae"), Noise("ae"), minutes=1.001, batch_size=4, resume=kept, show_bar=False)
    assert time.perf_counter() - started < 30
    assert history.seconds[2] > 59
    assert history.seconds[-2] < 60.06 <= history.seconds[-1]


@pytest.mark.parametrize("name", ["deep-ae", "judge"])
def test_a_checkpoint_of_another_model_is_refused(name):
    with pytest.raises(InputError, match="not one of this model"):
        fit(made(name), Noise(name), steps=9, resume=kept_at(2, "ae", steps=9), show_bar=False)


# The command


def train(pictures: Path, out: Path, *words, steps: int = 4) -> list[str]:
    budget = ["--steps", steps, "--batch-size", 4, "--set", "latent_size=2", "--keep-every", 0]
    return [*map(str, ["train", "ae", "--data", pictures, *budget, "--out", out, *words])]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture(scope="module")
def processes():
    """Starts processes in which the library is already imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gen_lib.cli", "torchvision.transforms.functional"])
    first = context.Process(target=torch.zeros, args=(1,))  # only this one waits for the imports
    first.start()
    first.join()
    return context


def start(processes, words: list[str], prepare=None, said: Path = Path("/dev/null")):
    child = processes.Process(target=command, args=(words, prepare, said))
    child.start()
    return child


def command(words: list[str], prepare, said: Path) -> None:
    torch.set_num_threads(1)
    if prepare:
        prepare()
    with said.open("w") as file, contextlib.redirect_stderr(file):
        raise SystemExit(main(words))


def last_kept(out: Path) -> int:
    """The step of the newest checkpoint; 0 if there is none, the last step if the run is done."""
    if (out / "history.csv").exists():
        return STEPS
    return max((int(file.stem) for file in out.glob("checkpoints/*.safetensors")), default=0)


KILLS, STEPS = 20, 60


@pytest.mark.fault("SIGKILL at a random moment of a training", tried=KILLS)
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, pictures, processes, ended):
    whole, out = tmp_path / "whole", tmp_path / "out"
    started, moments = time.perf_counter(), random.Random(time.time_ns())
    child = start(processes, train(pictures, whole, steps=STEPS))
    child.join()
    expected, longest = sha256(whole / "model.safetensors"), (time.perf_counter() - started) / 2
    reached, kills, seen = 0, 0, set()
    while kills < KILLS or out.exists():
        child = start(processes, train(pictures, out, "--resume", steps=STEPS))
        if kills % 2:  # wait for a new checkpoint first; else kill at any time from the start
            while child.is_alive() and last_kept(out) <= reached:
                time.sleep(0.001)
        child.join(moments.uniform(0, longest / (1 + kills % 2)) if kills < KILLS else None)
        child.kill()
        child.join()
        kills += child.exitcode == -signal.SIGKILL
        if child.exitcode == 0:
            assert names(out) == DONE
            assert sha256(out / "model.safetensors") == expected
            shutil.rmtree(out)  # start again
            reached = 0
        for file in out.glob("checkpoints/*.safetensors"):
            load_file(file)  # it must be complete
        assert last_kept(out) >= reached
        seen.add(reached := last_kept(out))
    ended(f"all resumed, from {len(seen)} different steps of {STEPS}; the same bits")


def no_room() -> None:
    """No file of this process may grow past some kilobytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.fault("a disk that is full", tried=2)
@pytest.mark.parametrize("kept", [0, 1])
def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path, pictures, kept, processes, ended):
    out, whole = tmp_path / "out", tmp_path / "whole"
    if kept:
        stop_before_the_end(train(pictures, out))
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert len(before) == kept
    child = start(processes, train(pictures, out, "--resume"), no_room, tmp_path / "said")
    child.join(60)
    assert child.exitcode == 2
    assert "choose another place" in (tmp_path / "said").read_text().splitlines()[-1]
    assert before == {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    for words in (train(pictures, out, "--resume"), train(pictures, whole)):
        assert main(words) == 0
    assert names(out) == DONE
    assert sha256(out / "model.safetensors") == sha256(whole / "model.safetensors")
    ended("one sentence, nothing lost, resumed to the same bits")


def stop_before_the_end(words: list[str]) -> None:
    def killing(*arguments, **options):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gen_lib.experiment._finish", killing)
        with pytest.raises(Killed):
            main(words)


@pytest.mark.fault("a device with no space left", tried=1)
def test_a_device_without_space_is_told(tmp_path, pictures, capsys, ended):
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    (tmp_path / "out" / "checkpoints" / "000000001.safetensors.partial").symlink_to("/dev/full")
    assert main(train(pictures, tmp_path / "out", "--resume")) == 2
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert names(tmp_path / "out" / "checkpoints") == []
    assert main(train(pictures, tmp_path / "out", "--resume")) == 0
    ended("one sentence, then resumed")


@pytest.mark.fault("a folder that may only be read", tried=2)
@pytest.mark.parametrize("place", ["out", "out/run"])
def test_a_read_only_folder_is_refused_before_training(
    tmp_path, pictures, capsys, monkeypatch, place, ended
):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: False)  # as for anyone but root
    assert main(train(pictures, tmp_path / place)) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / place} cannot be written in {tmp_path}/out" in message
    assert names(tmp_path / "out") == []
    ended("one sentence before the first step")


def test_resume_starts_anew_where_nothing_was_kept_and_does_nothing_when_all_is_done(
    tmp_path, pictures, capsys
):
    words = train(pictures, tmp_path / "out", "--resume")
    assert main(words) == 0
    before = {f: f.read_bytes() for f in (tmp_path / "out").rglob("*") if f.is_file()}
    assert main(words) == 0
    assert "is done" in capsys.readouterr().out
    assert before == {f: f.read_bytes() for f in (tmp_path / "out").rglob("*") if f.is_file()}


def test_resume_refuses_a_folder_that_is_no_run(tmp_path, pictures, capsys):
    (tmp_path / "precious").write_text("precious")
    assert main(train(pictures, tmp_path, "--resume")) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert names(tmp_path) == ["precious"]


def test_training_steps_and_fit_are_one_loop():
    ours, theirs = made("ae"), made("ae")
    fit(ours, Noise("ae"), steps=3, batch_size=4, show_bar=False)
    for _ in training_steps(theirs, Noise("ae"), steps=3, batch_size=4):
        pass
    assert same(ours, theirs)


def test_the_tests_of_models_cover_two_domains():
    assert {name for name, kind in MODELS.items() if issubclass(kind, Translates)} <= set(SMALL)
