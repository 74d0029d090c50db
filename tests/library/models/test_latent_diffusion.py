"""Latent diffusion: two parts of a training, codes of variance 1, samples as decoded codes."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import load
from gen_lib.models import LatentDiffusion
from gen_lib.models.diffusion import DenoisingDiffusion
from gen_lib.models.latent_diffusion import FIRST
from gen_lib.training import fit


def small(**config) -> LatentDiffusion:
    torch.manual_seed(0)
    return LatentDiffusion(width=8, blocks=1, **config)


@pytest.fixture(scope="module")
def few():
    return load("fashion_mnist").train.subset(256)


@pytest.fixture(scope="module")
def trained(few) -> LatentDiffusion:
    model = small()
    fit(model, few, steps=150, show_bar=False)
    return model


def bits(module) -> list[torch.Tensor]:
    return [value.clone() for value in module.state_dict().values()]


def turns(model, few, progress):
    rng = torch.Generator().manual_seed(0)
    return [turn for turn in model.train().turns(few.batch(0, 32), rng, progress)]


@pytest.mark.parametrize(
    ("progress", "player"),
    [(0.0, "autoencoder"), (FIRST - 0.01, "autoencoder"), (FIRST, "diffusion"), (1.0, "diffusion")],
)
def test_each_part_of_a_training_moves_its_own_half(few, progress, player):
    model = small()
    (turn,) = turns(model, few, progress)
    players = {name: set(p.parameters) for name, p in model.players().items()}
    assert players["autoencoder"].isdisjoint(players["diffusion"])
    assert set.union(*players.values()) == set(model.parameters())
    turn.loss.backward()
    moved = {p for p in model.parameters() if p.grad is not None and p.grad.any()}
    assert turn.player == player
    assert moved
    assert moved <= players[player]


def test_the_codes_stay_as_they_are_while_diffusion_trains(few):
    model = small()
    turns(model, few, 0.0)
    before = bits(model.encoder) + bits(model.scale)
    turns(model, few, 0.9)
    after = bits(model.encoder) + bits(model.scale)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_codes_have_mean_0_and_variance_1_in_each_number_of_a_cell(trained, few):
    with torch.no_grad():
        z = trained.encode(few.x)
    assert z.shape == (256, 3, 7, 7)
    assert z.mean((0, 2, 3)).abs().max() < 0.35
    assert 0.6 < z.std((0, 2, 3)).min() <= z.std((0, 2, 3)).max() < 1.5


def test_training_brings_reconstructions_near(trained, few):
    with torch.no_grad():
        error = (trained.reconstruct(few.x) - few.x).square().mean()
    assert error < 0.5 * (few.x - few.x.mean(dim=0)).square().mean()


def test_samples_are_decoded_samples_of_codes(trained):
    rng = torch.Generator().manual_seed(3)
    codes = DenoisingDiffusion.sample(trained, 5, rng, calls=5)
    y = trained.sample(5, torch.Generator().manual_seed(3), calls=5)
    assert codes.shape == (5, 3, 7, 7)
    with torch.no_grad():
        assert torch.equal(y, trained.decode(codes).clamp(-1, 1))


def test_times_are_logit_normal():
    t = small().times(100_000, torch.Generator().manual_seed(0))
    quantiles = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    exact = torch.distributions.Normal(0.0, 1.0).icdf(quantiles).sigmoid()
    assert (t.quantile(quantiles) - exact).abs().max() < 0.006  # more than 4 standard errors


def test_the_same_model_is_built_from_its_config(trained):
    again = LatentDiffusion(**trained.config)
    again.load_state_dict(trained.state_dict())
    assert again.config == trained.config


def test_colour_images_of_another_size_and_labels():
    model = small(image_shape=(3, 16, 24), depth=2, conditional=True, classes=3).eval()
    labels = torch.tensor([0, 2])
    rng = torch.Generator().manual_seed(0)
    y = model.sample(2, rng, labels=labels, guidance=1.0, calls=4)
    assert y.shape == (2, 3, 16, 24)
    assert y.abs().max() <= 1


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"image_shape": (1, 30, 28)}, "multiples of 4"),
        ({"depth": 0}, "depth"),
        ({"width": 12}, "multiple of 8"),
        ({"label_dropout": 1.0}, "label_dropout"),
    ],
)
def test_a_setting_out_of_range_is_named(config, words):
    with pytest.raises(InputError, match=words):
        LatentDiffusion(**config)
