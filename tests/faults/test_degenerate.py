"""Training on degenerate data gives a clear error message, or finite weights."""

import pytest
import torch
from labels import CONTEXT, labels_for, small, token_split

from gen_lib import InputError
from gen_lib.data import Split, TwoDomains
from gen_lib.data.domains import Caption, Domain
from gen_lib.data.text import TokenSplit
from gen_lib.models import GPT, MODELS
from gen_lib.models.base import Model, Reconstructs, Samples, Translates
from gen_lib.training import NonFiniteLoss, fit

SMALL = {
    "masked": {"width": 16, "depth": 1, "patch": 4},
    "cyclegan": {"width": 4, "blocks": 1, "width_d": 4, "pool": 4},
    "paired": {"width": 4, "blocks": 1},
    "diffusion": {"width": 8, "blocks": 1, "conditional": True},
    "latent-diffusion": {"width": 8, "blocks": 1, "conditional": True},
    "text-to-image": {"width": 8, "blocks": 1},
    "attribute-judge": {"width": 8},
    **{name: {"width": 4} for name in ("conv-ae", "denoising", "gan", "vae", "gaussian-vae")},
}
N, BATCH = 8, 4


def noise(n: int) -> torch.Tensor:
    return torch.randint(256, (n, 3, 8, 8), dtype=torch.uint8)


CASES = {
    "a learning rate of 1000": lambda: noise(N),
    "constant images": lambda: torch.full((N, 3, 8, 8), 7, dtype=torch.uint8),
    "one image": lambda: noise(1),
    "a batch larger than the data": lambda: noise(BATCH - 1),
    "one class only": lambda: noise(N),
}


def data(case: str, name: str) -> Split | TwoDomains | TokenSplit:
    """Pictures; or a text with as many places where a row may start."""
    images = CASES[case]()
    if MODELS[name].labels == "text":
        varied = case not in {"constant images", "one class only"}
        return token_split(torch.randint(4 if varied else 1, (len(images) + CONTEXT,)))
    if issubclass(MODELS[name], Translates):
        captions = tuple(Caption(str(n), str(n)) for n in range(len(images)))
        return TwoDomains(Domain(images, captions), Domain(images.flip(0), captions), False)
    labels = torch.arange(len(images)) % (1 if case == "one class only" else 3)
    return Split(images, labels_for(MODELS[name], labels))


def outputs(model: Model) -> list[torch.Tensor]:
    """The outputs of the model for noise, or its probabilities."""
    if isinstance(model, GPT):
        return [model.next("abc"), model.log2(torch.arange(4))]
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    made = [model.reconstruct(x)] if isinstance(model, Reconstructs) else []
    made += [model.sample(2)] if isinstance(model, Samples) else []
    return made + ([model.translate(x, "A")] if isinstance(model, Translates) else [])


@pytest.mark.fault("degenerate training of each model", tried=len(MODELS) * len(CASES))
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MODELS)
def test_degenerate_training_ends_in_a_sentence_or_a_sane_model(name, case, monkeypatch, ended):
    model = small(MODELS[name], **SMALL.get(name, {}))
    if case == "a learning rate of 1000":
        fast = {who: player._replace(lr=1e3) for who, player in model.players().items()}
        monkeypatch.setattr(model, "players", lambda: fast)
    said = ""
    try:
        fit(model, data(case, name), steps=6, batch_size=BATCH, show_bar=False)
    except (InputError, NonFiniteLoss) as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    if not said and case != "a learning rate of 1000":
        with torch.no_grad():
            assert all(torch.isfinite(made).all() for made in outputs(model))
    ended("one sentence" if said else "a finite model")
