"""Random damage to files and random command lines give an error message or a correct result."""

import ast
import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import gen_lib
from gen_lib import InputError, experiment
from gen_lib.cli import main
from gen_lib.data import data_folder
from gen_lib.data.folders import FORMATS, read_picture
from gen_lib.models import GAN, GPT, MODELS, LinearAutoencoder
from gen_lib.models.base import Model
from gen_lib.training import History, Record, TrainState
from gen_lib.training.checkpoints import load, load_pretrained, save
from gen_lib.training.loop import _check_budget
from gen_lib.training.resume import RunCheckpoints, restore

TIMES = int(os.environ.get("FAULT_TIMES", "1"))  # 10 in `make reliability`
FILES, WORDS = 200 * TIMES, 150 * TIMES  # random inputs of each test, made by hypothesis
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def trials(n: int):
    return settings(max_examples=n, deadline=None, derandomize=True, suppress_health_check=SHARED)


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """The content of a file with some bytes changed, added or cut off, or all of it replaced."""
    content = bytearray(whole)
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    for _ in range(draw(st.integers(1, 4))):
        near = st.integers(0, min(len(content), 300)) if draw(st.booleans()) else st.nothing()
        place = draw(near | st.integers(0, len(content)))
        content[place : place + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(content[: draw(st.sampled_from([None, len(content) // 2, len(content) - 1]))])


def one_sentence(error: InputError, file: Path) -> None:
    assert str(file) in str(error)


# Weights, cards and checkpoints


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with weights, their card, and the checkpoint of a run."""
    folder = tmp_path_factory.mktemp("kept")
    model = LinearAutoencoder((1, 4, 4), latent_size=3)
    save(model, folder / "pretrained" / "model.safetensors", data="pictures")
    state = TrainState(model)
    state.history.add(Record(1, 0.5, 0.1, {"E": 2.0}))
    RunCheckpoints(folder / "checkpoints", {"seed": 1}, seconds=0.0)(state)
    return folder


@pytest.mark.fault("damaged weights", tried=FILES)
def test_damaged_weights_are_refused_or_load(kept, tmp_path, ended):
    whole, file = (kept / "pretrained/model.safetensors").read_bytes(), tmp_path / "x.safetensors"

    @trials(FILES)
    @given(damaged(whole))
    def trial(content):
        file.write_bytes(content)
        try:
            model = load(file, Model)
        except InputError as error:
            one_sentence(error, file)
        else:  # the damage only changed a weight
            assert model.config == {"image_shape": (1, 4, 4), "latent_size": 3}
        assert list(tmp_path.iterdir()) == [file]

    trial()
    ended("an error or a model")


@pytest.mark.parametrize("settings", ['"latent_size": 10000000000', '"latent_size": 100'])
def test_weights_that_claim_to_be_large_are_refused_before_memory_is_taken(tmp_path, settings):
    from safetensors.torch import save_file

    header = {"model": f'ae {{"image_shape": [1, 4, 4], {settings}}}'}
    save_file({"w": torch.zeros(2)}, tmp_path / "x.safetensors", header)
    with pytest.raises(InputError, match="do not fit the model 'ae'"):
        load(tmp_path / "x.safetensors", Model)


@pytest.mark.fault("altered shipped weights and cards", tried=FILES)
def test_altered_shipped_weights_and_cards_are_refused(kept, monkeypatch, ended):
    monkeypatch.setenv("GEN_LIB_DATA", str(kept))
    weights, card = (kept / "pretrained" / f"model.{kind}" for kind in ("safetensors", "json"))
    facts = json.loads(card.read_text())

    @trials(FILES)
    @given(st.sampled_from([weights, card]), st.data())
    def trial(file, data):
        whole = file.read_bytes()
        content = data.draw(damaged(whole))
        try:
            file.write_bytes(content)
            with contextlib.suppress(InputError):
                load_pretrained("model", Model)  # if it loads, the hash must be right:
                assert weights.read_bytes() == whole or file == card
                assert json.loads(card.read_text())["sha256"] == facts["sha256"]
        finally:
            file.write_bytes(whole)

    trial()
    ended("an error unless the hash is right")


@pytest.mark.fault("damaged checkpoints", tried=FILES)
def test_damaged_checkpoints_are_refused_or_go_on(kept, tmp_path, ended):
    (whole,) = (file.read_bytes() for file in (kept / "checkpoints").iterdir())
    checkpoints = RunCheckpoints(tmp_path, {"seed": 1})

    @trials(FILES)
    @given(damaged(whole))
    def trial(content):
        (tmp_path / "000000001.safetensors").write_bytes(content)
        state = TrainState(LinearAutoencoder((1, 4, 4), latent_size=3))
        with contextlib.suppress(InputError):
            restore(state, checkpoints.newest())
            assert state.history.steps <= 1

    trial()
    ended("an error or a run that goes on")


# Pictures


@pytest.mark.fault("damaged pictures of each format", tried=FILES * len(FORMATS))
@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_pictures_are_refused_or_read(tmp_path, kind, ended):
    stream, file = io.BytesIO(), tmp_path / "x.png"
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    Image.fromarray(noise).save(stream, kind)

    @trials(FILES)
    @given(damaged(stream.getvalue()))
    def trial(content):
        file.write_bytes(content)
        try:
            picture = read_picture(file, 8)
        except InputError as error:
            one_sentence(error, file)
        else:
            assert (picture.shape, picture.dtype) == ((3, 8, 8), torch.uint8)
        assert list(tmp_path.iterdir()) == [file]

    trial()
    ended("an error or a picture of the asked size")


@pytest.mark.fault("a picture of a format that starts a program", tried=1)
def test_a_format_that_starts_a_program_is_refused(tmp_path, ended):
    Image.new("RGB", (8, 8)).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.png")
    with pytest.raises(InputError, match="cannot identify image file"):
        read_picture(tmp_path / "x.png", 8)
    ended("one sentence, nothing started")


# The command line


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to run commands in, with pictures and three runs; training takes no time."""
    rng = np.random.default_rng(0)
    for i in range(3):
        file = tmp_path / "pictures" / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(file)
    save(LinearAutoencoder((3, 8, 8), latent_size=2), tmp_path / "ae" / "model.safetensors")
    save(GAN((3, 8, 8), latent_size=2, width=4), tmp_path / "gan" / "model.safetensors")
    gpt = GPT(context=8, width=4, layers=1, heads=1)
    save(gpt, tmp_path / "gpt" / "model.safetensors", data="names")

    def at_once(model, data, *, steps, minutes, batch_size, **options) -> History:
        _check_budget(steps, minutes, batch_size)
        return History([0.1], {"E": [1.0]})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(experiment, "fit", at_once)
    return tmp_path


NUMBER = st.sampled_from(["0", "1", "2", "3", "-1", "0.5", "1e3", "nan", "inf", "10000000000", "x"])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), max_size=8)
NAME = st.sampled_from([*MODELS, "gan", "ae", "pictures", "new", "x.npz", "x.png", "new/x.npz"])
SETTING = st.tuples(st.sampled_from(["latent_size", "width", "beta", "loss"]), NUMBER | TEXT)
OPTION = st.one_of(
    st.tuples(st.sampled_from(["-n", "--steps", "--minutes", "--seed", "--batch-size"]), NUMBER),
    st.tuples(st.sampled_from(["--out", "--data", "--json"]), NAME | TEXT),
    st.tuples(st.just("--keep-every"), NUMBER),
    st.tuples(st.just("--guidance"), NUMBER),
    st.tuples(st.just("--prompt"), st.sampled_from(["a red hat", ""]) | TEXT),
    st.tuples(st.just("--prompts"), NAME | TEXT),
    st.tuples(st.sampled_from(["--temperature", "--top-p"]), NUMBER),
    st.tuples(st.just("--length"), st.sampled_from(["-1", "0", "3", "x"])),
    st.tuples(st.just("--to"), st.sampled_from(["A", "B", "C"])),
    st.tuples(st.just("--set"), SETTING.map("=".join)),
    st.tuples(st.just("--resume")),
    st.tuples(TEXT),
)
COMMANDS = ["train", "sample", "translate", "list", "no-command"]


@st.composite
def lines(draw) -> list[str]:
    """A random command, its required arguments in about half of the cases, and random options."""
    command = draw(st.sampled_from(COMMANDS))
    words = [command, draw(NAME | TEXT)]
    if command == "train" and draw(st.booleans()):
        words += ["--steps", "1", "--data", "pictures", "--out", "new"]
    return words + [word for option in draw(st.lists(OPTION, max_size=4)) for word in option]


@pytest.mark.fault("commands of random words", tried=WORDS)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_any_words_end_in_a_result_or_in_one_sentence(place, capsys, ended):
    before = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}

    @trials(WORDS)
    @given(lines())
    def trial(words):
        try:
            code = main(words)
        except SystemExit as done:  # raised by the parser
            code = done.code
        said = capsys.readouterr().err
        assert code in (0, 2)
        assert "Traceback" not in said
        assert code == 0 or "gen_lib: " in said or "error: " in said  # "error: " is the parser's
        for file, content in before.items():
            assert file.read_bytes() == content

    trial()
    ended("a result or one sentence; no file changed")


# No file that is read can execute code


FORBIDDEN = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def test_the_library_reads_nothing_that_could_execute():
    for file in Path(gen_lib.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not FORBIDDEN & {alias.name.split(".")[0] for alias in node.names}, file
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in FORBIDDEN, file
            elif isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                assert call not in {"torch.load", "eval", "exec"}, file
                assert "allow_pickle" not in {word.arg for word in node.keywords}, file


def test_no_shipped_file_is_a_pickle():
    kinds = {file.suffix for file in data_folder().rglob("*") if file.is_file()}
    assert not kinds & {".pt", ".pth", ".pkl", ".pickle", ".npy", ".bin"}
