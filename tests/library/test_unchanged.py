"""The library gives the same losses, gradients and samples as before its files moved.

``unchanged.json`` was recorded by the code of version 0.1.0 in float32 on one thread (new weights
and models: when they first came; the steps of diffusion: when Muon became its default). On the kind
of processor that recorded it, with the same torch, every bit must agree; elsewhere sums are taken
in another order, and numbers agree closely.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gen_lib.data import load, load_domains
from gen_lib.data.people.sets import people_set
from gen_lib.data.people.words import encode
from gen_lib.data.text import load_text
from gen_lib.models import GPT, MODELS, AttributeJudge, Judge, Model, TextToImage
from gen_lib.models.base import Reconstructs, Samples, Translates
from gen_lib.models.text_to_image import GUIDANCE
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained, pretrained_names

RECORDED = json.loads(Path(__file__).with_name("unchanged.json").read_text(encoding="utf-8"))
CAN = torch.cpu.get_capabilities()
SAME_MACHINE = RECORDED["machine"] == {
    "torch": torch.__version__.partition("+")[0],
    "processor": CAN.get("cpu_name"),
    "avx512": bool(CAN.get("avx512_f")),
}
ASKED = ("a red hat", "빨간 모자", "long black hair", "a green dress") * 2
CLOSE = {"rel": 2e-3, "abs": 2e-4}


@pytest.fixture(autouse=True)
def one_thread_of_float32(monkeypatch):
    monkeypatch.setenv("GEN_LIB_BFLOAT16", "0")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def garments():
    return load("fashion_mnist")


@cache
def domains(paired: bool):
    return load_domains("emoji", paired=paired)


def training_data(name: str):
    if name in ("cyclegan", "paired"):
        return domains(paired=name == "paired").train
    kind = MODELS[name]
    if kind.labels == "text":
        return load_text("names").train
    return garments().train if kind.labels == "class" else people_set(kind.labels).train


def digest(tensors: Iterable[Tensor]) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_of_three_batches(name):
    torch.manual_seed(0)
    model, data = MODELS[name]().train(), training_data(name)
    players, gradients, losses = model.players(), [], []
    for step in range(3):
        rng = torch.Generator().manual_seed(step)
        for turn in model.turns(data.batch(step, 8, 0), rng, step / 3):
            weights = players[turn.player].parameters
            found = torch.autograd.grad(turn.loss, weights, allow_unused=True)
            gradients += [gradient for gradient in found if gradient is not None]
            losses.append(turn.loss.item())
    expected = RECORDED["gradients"][name]
    assert losses == pytest.approx(expected["losses"], **CLOSE)
    norm = torch.nn.utils.get_total_norm(gradients).item()
    assert norm == pytest.approx(expected["norm"], **CLOSE)
    if SAME_MACHINE:
        assert losses == expected["losses"]
        assert digest(gradients) == expected["sha256"]


@pytest.mark.parametrize("name", MODELS)
def test_three_training_steps(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    history = fit(model, training_data(name), steps=3, batch_size=8, seed=0, show_bar=False)
    expected = RECORDED["steps"][name]
    terms = {k: [v for v in values if not math.isnan(v)] for k, values in history.terms.items()}
    assert set(terms) == set(expected["terms"])
    for term, values in terms.items():
        assert values == pytest.approx(expected["terms"][term], rel=0.02, abs=1e-2)
    if SAME_MACHINE:
        assert terms == expected["terms"]
        assert digest(model.state_dict().values()) == expected["sha256"]


def outputs(name: str, model: Model) -> Tensor:
    """Eight samples, translations, reconstructions, rows of logits or answers."""
    if isinstance(model, GPT):
        return model.net(torch.arange(8)[None])
    x, test = garments().test[:8].images, domains(paired=False).test
    rng = torch.Generator().manual_seed(0)
    if isinstance(model, TextToImage):
        return model.sample(8, rng, labels=encode(ASKED), guidance=GUIDANCE)
    if isinstance(model, Samples):
        return model.sample(8, rng)
    if isinstance(model, Translates):
        sides = ((test.a.x[:8], "B"), (test.b.x[:8], "A"))
        return torch.cat([model.translate(images, to=to) for images, to in sides])
    if isinstance(model, Reconstructs):
        return model.reconstruct(x)
    if isinstance(model, Judge):
        return model.logits(test.a.x[:8] if name == "style-judge" else x)
    if isinstance(model, AttributeJudge):
        return model.answers(people_set().test[:8].images)
    return model.fill(x, rng).y


@pytest.mark.parametrize("name", pretrained_names())
@torch.no_grad()
def test_eight_outputs_of_the_shipped_weights(name):
    y, expected = outputs(name, load_pretrained(name, Model)), RECORDED["samples"][name]
    assert y.mean().item() == pytest.approx(expected["mean"], **CLOSE)
    assert y.std().item() == pytest.approx(expected["std"], **CLOSE)
    few = y.flatten()[:: max(1, y.numel() // 5)][:5].tolist()
    assert few == pytest.approx(expected["first"], rel=0.02, abs=0.02)
    if SAME_MACHINE:
        assert digest([y]) == expected["sha256"]
