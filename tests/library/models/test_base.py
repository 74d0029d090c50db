"""All models: one player unless it is a game, randomness, weights, configuration."""

import math

import pytest
import torch
from labels import labels_for, small, token_noise
from torch import nn

from gen_lib import InputError, check_not_negative, positive
from gen_lib.data import Batch, PairBatch, Split
from gen_lib.data.text import TokenBatch
from gen_lib.models import MODELS, ConvAutoencoder, DeepAutoencoder, Judge, LinearAutoencoder
from gen_lib.models.base import (
    Game,
    Loss,
    Model,
    Player,
    Translates,
    in_batches,
)
from gen_lib.training import TrainState, fit


def images(n: int, shape=(1, 28, 28), seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def batch_for(kind: type[Model], n: int = 16) -> Batch | PairBatch | TokenBatch:
    """Noise of 8 pixels a side, or a text of noise, as this model takes it."""
    if kind.labels == "text":
        return token_noise(n)
    x = images(2 * n, (1, 8, 8))
    if issubclass(kind, Translates):
        return PairBatch(x[:n], x[n:])
    return Batch(x[:n], labels_for(kind, torch.arange(n) % 10))


# One player


class Line(Model):
    """One weight w and a constant, with a loss whose value shows all arguments."""

    name = "line"

    def __init__(self, **settings):
        super().__init__()
        self.w, self.constant = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(1.0))
        for name, value in settings.items():
            setattr(self, name, value)

    def loss(self, batch, rng, progress):
        value = self.w * batch.images.mean() + progress + torch.rand((), generator=rng)
        return Loss(value + 0 * self.constant, {"w": self.w})


PIXELS = Split(torch.full((4, 1, 1, 1), 255, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))


def test_a_model_is_one_player_that_owns_all_weights_unless_it_says_otherwise():
    model = Line()
    (player,) = model.players().values()
    assert list(model.players()) == ["model"]
    assert [id(p) for p in player.parameters] == [id(model.w), id(model.constant)]
    assert player[1:4] == (1e-3, (0.9, 0.999), 0.0)
    assert player[1:] == Player([], 1e-3)[1:]


def test_the_one_turn_of_a_model_is_its_loss():
    model, batch = Line(), PIXELS[:2]
    (turn,) = model.turns(batch, torch.Generator().manual_seed(5), 0.25)
    found = model.loss(batch, torch.Generator().manual_seed(5), 0.25)
    assert turn.player == "model"
    assert turn.loss == found.value
    assert turn.terms == found.terms
    (later,) = model.turns(batch, torch.Generator().manual_seed(5), 0.75)
    assert later.loss.item() == pytest.approx(found.value.item() + 0.5)


def test_the_settings_of_a_model_arrive_in_its_optimiser():
    class Tuned(Line):
        lr, betas, weight_decay = 0.5, (0.5, 0.75), 0.25

    by_class, by_instance = Tuned(), Line(lr=0.5, betas=(0.5, 0.75), weight_decay=0.25)
    for model in (by_class, by_instance):
        ((optimiser,),) = TrainState(model).optimisers.values()
        assert isinstance(optimiser, torch.optim.AdamW)
        (group,) = optimiser.param_groups
        assert group["peak_lr"] == group["lr"] == 0.5
        assert group["betas"] == (0.5, 0.75)
        assert group["weight_decay"] == 0.25
        assert [id(p) for p in group["params"]] == [id(model.w), id(model.constant)]


def test_the_progress_of_the_loop_arrives_in_the_loss():
    class Listens(Line):
        def loss(self, batch, rng, progress):
            seen.append(progress)
            return super().loss(batch, rng, progress)

    seen: list[float] = []
    fit(Listens(), PIXELS, steps=4, show_bar=False)
    assert seen == [0, 0.25, 0.5, 0.75]


def test_a_model_has_no_figures_of_its_own_unless_it_says_which():
    assert Line().rows(None) == []


# Games


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if issubclass(kind, Game)])
def test_a_game_has_one_loss_for_each_player_and_says_so(name):
    kind = MODELS[name]
    model = small(kind, (1, 8, 8))
    batch, rng = batch_for(kind), torch.Generator()
    with pytest.raises(TypeError, match=f"A '{name}' has one loss for each player: use turns"):
        model.loss(batch, rng, 0.0)
    turns = list(model.turns(batch, rng, 0.0))
    assert {turn.player for turn in turns} == set(model.players())
    assert len(model.players()) == 2


def test_all_models_are_games_or_take_one_turn_a_step():
    games = {name for name, kind in MODELS.items() if issubclass(kind, Game)}
    assert games == {"gan", "cyclegan"}
    for name, kind in MODELS.items():
        model = small(kind, (1, 8, 8))
        turns = [t.player for t in model.turns(batch_for(kind), torch.Generator(), 0.5)]
        assert len(turns) == (2 if name in games else 1)
        assert set(turns) <= set(model.players())


# Randomness, weights, configuration


@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_a_turn_is_random_through_its_rng_only(kind):
    torch.manual_seed(0)
    model, batch = small(kind, (1, 8, 8)).eval(), batch_for(kind)
    before = torch.get_rng_state()
    losses = []
    for _ in range(2):
        turns = model.turns(batch, torch.Generator().manual_seed(5), 0.5)
        losses.append([turn.loss.item() for turn in turns])
    assert losses[0] == losses[1]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_players_move_every_weight_once(kind):
    model = small(kind, (1, 8, 8))
    moved = [p for player in model.players().values() for p in player.parameters]
    assert len(moved) == len({id(p) for p in moved})
    assert {id(p) for p in moved} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize(
    "model",
    [
        LinearAutoencoder((1, 8, 8), latent_size=3),
        DeepAutoencoder((3, 8, 8), latent_size=3, hidden=(7, 6, 5)),
        ConvAutoencoder((3, 32, 32), latent_size=3, width=4),
        Judge((3, 16, 16), classes=4),
    ],
    ids=lambda model: model.name,
)
def test_config_builds_the_same_model_again(model):
    again = type(model)(**model.config)
    assert MODELS[model.name] is type(model)
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }
    again.load_state_dict(model.state_dict())
    x = images(2, model.config["image_shape"])
    out = "logits" if isinstance(model, Judge) else "reconstruct"
    assert torch.equal(getattr(again.eval(), out)(x), getattr(model.eval(), out)(x))


@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_the_terms_of_a_turn_are_scalars_with_names_of_their_own(kind):
    turns = list(small(kind, (1, 8, 8)).turns(batch_for(kind), torch.Generator(), 0.0))
    terms = [name for turn in turns for name in turn.terms]
    assert len(terms) == len(set(terms)) > 0
    assert all(value.shape == () for turn in turns for value in turn.terms.values())


# Helpers


def test_in_batches_changes_nothing_and_keeps_no_graph():
    model, x = DeepAutoencoder((1, 4, 4), 3, (9,)), images(23, (1, 4, 4))
    parts = in_batches(model.encode, x, size=5)
    torch.testing.assert_close(parts, model.encode(x))
    assert not parts.requires_grad


@pytest.mark.parametrize("value", [-1.0, -1e-9, math.nan, math.inf])
def test_numbers_that_may_not_be_negative_are_named(value):
    check_not_negative(cycle=0.0, pool=3)
    with pytest.raises(InputError, match=f"pool is {value}: it must be 0 or a positive number"):
        check_not_negative(cycle=0.0, pool=value)


def test_counts_start_at_one():
    assert positive("width", 1) == 1
    with pytest.raises(InputError, match="width is 0: it must be a whole number of at least 1"):
        positive("width", 0)
