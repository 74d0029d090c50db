"""CycleGAN: each loss, the weights that each turn updates, the pool, and a translation learnt."""

import pytest
import torch
from PIL import Image
from torch import nn

from gen_lib import InputError
from gen_lib.data import PairBatch, load_domains
from gen_lib.models.cyclegan import (
    CycleGAN,
    ImagePool,
    adversarial_loss,
    discriminator_loss,
    distance,
)
from gen_lib.training import fit

SHAPE = (1, 8, 8)


def images(n: int, shape=SHAPE, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def numbers(*values: float) -> torch.Tensor:
    """Images of one pixel."""
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)


class Plus(nn.Module):
    """x + c."""

    def __init__(self, c: float):
        super().__init__()
        self.c = nn.Parameter(torch.tensor(c))

    def forward(self, x):
        return x + self.c


class Double(nn.Module):
    """2 x."""

    def forward(self, x):
        return 2 * x


class Verdict(nn.Module):
    """A discriminator with one patch per image: w mean(x)."""

    def __init__(self, w: float):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x):
        return self.w * x.mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def by_hand() -> CycleGAN:
    """G adds 2, F adds -1, D_X(v) = v, D_Y(v) = 3 v; cycle weight 10, identity weight 5."""
    model = CycleGAN(SHAPE, width=4, blocks=1, width_d=4, cycle=10.0, identity=5.0, pool=0)
    model.g, model.f, model.d_x, model.d_y = Plus(2.0), Plus(-1.0), Verdict(1.0), Verdict(3.0)
    return model


def turns_of(model: CycleGAN, x: torch.Tensor, y: torch.Tensor, progress: float = 0.0):
    return list(model.turns(PairBatch(x, y), torch.Generator().manual_seed(0), progress))


# Losses


def test_discriminator_loss_of_a_case_worked_out_by_hand():
    real, fake = numbers(1.0, 3.0), numbers(2.0, 0.0)
    assert discriminator_loss(real, fake).item() == ((0 + 4) / 2 + (4 + 0) / 2) / 2


def test_the_best_verdict_is_the_share_of_real_images():
    """The minimum over a constant D, where real and fake cannot be told apart, is at 1/2."""
    d = torch.linspace(0, 1, 101)
    losses = [discriminator_loss(numbers(v), numbers(v)).item() for v in d.tolist()]
    assert d[torch.tensor(losses).argmin()] == 0.5
    assert min(losses) == pytest.approx(0.25)


def test_adversarial_loss_asks_for_one():
    assert adversarial_loss(numbers(1.0, 1.0)).item() == 0
    assert adversarial_loss(numbers(0.0, 3.0)).item() == (1 + 4) / 2


def test_distance_is_the_mean_of_absolute_differences():
    a, b = images(3), images(3, seed=1)
    torch.testing.assert_close(distance(a, b), nn.functional.l1_loss(a, b))


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 5.0), (0.25, 2.5), (0.5, 0.0), (0.9, 0.0)])
def test_the_generators_descend_the_sum_of_the_docstring(by_hand, progress, weight):
    """With x = 1 and y = 4: G(x) = 3, F(y) = 3, F(G(x)) = 2, G(F(y)) = 5, G(y) = 6, F(x) = 0."""
    x, y = torch.ones(2, *SHAPE), torch.full((2, *SHAPE), 4.0)
    turn = turns_of(by_hand, x, y, progress)[0]
    adversarial = (3 * 3 - 1) ** 2 + (3 - 1) ** 2
    assert turn.player == "generators"
    assert turn.loss.item() == pytest.approx(adversarial + 10 * (1 + 1) + weight * (2 + 1))
    assert turn.terms["G"].item() == adversarial
    assert turn.terms["cycle"].item() == 2


def test_both_ways_of_the_cycle_count_and_identity_is_asked_in_the_domain_to_reach(by_hand):
    """G(v) = 2 v; x = 1, y = 4: F(G(x)) = 1, G(F(y)) = 6, G(y) = 8, F(x) = 0."""
    by_hand.g = Double()
    turn = turns_of(by_hand, torch.ones(2, *SHAPE), torch.full((2, *SHAPE), 4.0))[0]
    assert turn.terms["cycle"].item() == 0 + 2
    rest = turn.loss.item() - turn.terms["G"].item() - 10 * 2
    assert rest == pytest.approx(5 * (4 + 1))


def test_noise_comes_between_the_generators_of_a_cycle_and_nowhere_else(by_hand):
    x, y = torch.ones(64, *SHAPE), torch.full((64, *SHAPE), 4.0)
    quiet = turns_of(by_hand, x, y)
    by_hand.noise = 0.5
    noisy = turns_of(by_hand, x, y)
    assert noisy[0].terms["G"] == quiet[0].terms["G"]
    assert noisy[1].loss == quiet[1].loss
    by_hand.g.c.data, by_hand.f.c.data = torch.tensor(2.0), torch.tensor(-2.0)
    mean_of_absolute_noise = 0.5 * (2 / torch.pi) ** 0.5
    cycle = turns_of(by_hand, x, y)[0].terms["cycle"].item()
    assert cycle == pytest.approx(2 * mean_of_absolute_noise, rel=0.05)


def test_the_discriminators_descend_the_sum_of_the_docstring(by_hand):
    turn = turns_of(by_hand, torch.ones(2, *SHAPE), torch.full((2, *SHAPE), 4.0))[1]
    d_x, d_y = ((1 - 1) ** 2 + 3**2) / 2, ((12 - 1) ** 2 + 9**2) / 2
    assert turn.player == "discriminators"
    assert turn.terms["D_X"].item() == d_x
    assert turn.terms["D_Y"].item() == d_y
    assert turn.loss.item() == d_x + d_y


def test_the_discriminators_see_translations_of_the_past(by_hand):
    by_hand.pool_x, by_hand.pool_y = ImagePool(32), ImagePool(32)
    black, bright = torch.zeros(32, *SHAPE), torch.full((32, *SHAPE), 10.0)
    turns_of(by_hand, black, black)  # fills the pools
    turn = turns_of(by_hand, bright, bright)[1]
    assert turn.terms["D_X"].item() < ((10 - 1) ** 2 + 9**2) / 2  # the loss on new images only
    assert turn.terms["D_Y"].item() < ((30 - 1) ** 2 + 36**2) / 2


def test_the_discriminators_turn_gives_the_generators_no_gradient(by_hand):
    turn = turns_of(by_hand, images(2), images(2, seed=1))[1]
    turn.loss.backward()
    assert by_hand.d_x.w.grad is not None
    assert by_hand.g.c.grad is None
    assert by_hand.f.c.grad is None


def test_a_perfect_game_leaves_the_generators_nothing_to_do(by_hand):
    """F undoes G, and both discriminators say 1."""
    by_hand.g, by_hand.f = Plus(0.5), Plus(-0.5)
    by_hand.d_x, by_hand.d_y = nn.Flatten(), nn.Flatten()
    by_hand.d_x.forward = by_hand.d_y.forward = lambda v: torch.ones(len(v), 1, 1, 1)
    turn = turns_of(by_hand, images(2), images(2, seed=1), progress=1.0)[0]
    assert turn.loss.item() == pytest.approx(0)


# Translation


def test_untrained_generators_are_the_identity():
    torch.manual_seed(0)
    model, x = CycleGAN(SHAPE, width=4, blocks=2), images(3)
    assert torch.equal(model.translate(x, to="B"), x)
    assert torch.equal(model.translate(x, to="A"), x)


def test_translate_uses_g_towards_b_and_f_towards_a(by_hand):
    x = images(2)
    assert torch.equal(by_hand.translate(x, to="B"), x + 2)
    assert torch.equal(by_hand.translate(x, to="A"), x - 1)


@pytest.mark.parametrize("argument", ["cycle", "identity", "pool", "noise"])
def test_a_negative_weight_is_refused(argument):
    with pytest.raises(InputError, match=f"{argument} is -1"):
        CycleGAN(SHAPE, **{argument: type(CycleGAN().config[argument])(-1)})


def test_sides_that_are_no_multiples_of_four_are_refused():
    with pytest.raises(InputError, match="must be multiples of 4"):
        CycleGAN((3, 30, 32))


# The pool


def test_until_it_is_full_the_pool_gives_back_what_goes_in(rng):
    pool = ImagePool(6)
    for first in (0, 3):
        new = numbers(*range(first, first + 3))
        assert torch.equal(pool.exchange(new, rng), new)
    assert sorted(pool.images.flatten().tolist()) == [0, 1, 2, 3, 4, 5]


def test_half_of_what_a_full_pool_gives_back_is_old(rng):
    pool, old = ImagePool(50), 0
    pool.exchange(numbers(*range(50)), rng)
    for step in range(100):
        new = numbers(*range(1_000 + 10 * step, 1_010 + 10 * step))
        kept = set(pool.images.flatten().tolist())
        out = pool.exchange(new, rng).flatten().tolist()
        assert set(out) <= kept | set(new.flatten().tolist())
        assert len(set(out)) == 10
        assert kept | set(new.flatten().tolist()) == set(pool.images.flatten().tolist()) | set(out)
        old += len(set(out) & kept)
    assert old / 1_000 == pytest.approx(0.5, abs=0.05)


def test_no_pool_gives_back_what_goes_in(rng):
    pool, new = ImagePool(0), numbers(1.0, 2.0)
    assert torch.equal(pool.exchange(new, rng), new)
    assert torch.equal(pool.exchange(new + 1, rng), new + 1)


def test_a_pool_smaller_than_a_batch_still_exchanges(rng):
    pool = ImagePool(2)
    pool.exchange(numbers(1.0, 2.0, 3.0), rng)
    out = pool.exchange(numbers(4.0, 5.0, 6.0), rng)
    assert len(out) == 3
    everything = pool.images.flatten().tolist() + out.flatten().tolist()
    assert sorted(everything) == [1, 2, 4, 5, 6]


def test_the_pool_is_no_part_of_the_weights():
    model = CycleGAN(SHAPE, width=4, blocks=1)
    keys = set(model.state_dict())
    turns_of(model, images(2), images(2, seed=1))
    assert set(model.state_dict()) == keys
    assert len(model.pool_x.images) == 2


# Training


def test_the_loop_tells_the_model_how_much_of_the_budget_is_spent(grey_and_bright, monkeypatch):
    model, seen = CycleGAN(SHAPE, width=4, blocks=1), []
    turns = model.turns

    def listening(batch, rng, progress):
        seen.append(progress)
        return turns(batch, rng, progress)

    monkeypatch.setattr(model, "turns", listening)
    fit(model, grey_and_bright, steps=4, batch_size=2, show_bar=False)
    assert seen == [0, 0.25, 0.5, 0.75]


def test_it_learns_to_brighten_without_pairs(grey_and_bright):
    torch.manual_seed(0)
    model = CycleGAN(SHAPE, width=8, blocks=1, width_d=8, cycle=1.0, identity=0.0, lr=3e-3)
    fit(model, grey_and_bright, steps=200, batch_size=8, show_bar=False)
    x, y = grey_and_bright.a.x, grey_and_bright.b.x
    true = x + 120 / 127.5
    with torch.no_grad():
        g_x, back = model.g(x), model.f(model.g(x))
    assert distance(g_x, true) < distance(x, true) / 3
    assert distance(model.f(y), y - 120 / 127.5) < distance(x, true) / 3
    assert distance(back, x) < distance(x, true) / 4


def test_a_folder_of_pictures_of_any_size_trains_at_64_pixels(tmp_path, rng):
    for folder in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / folder).mkdir()
        for n in range(3):
            noise = torch.randint(256, (70, 90, 3), generator=rng, dtype=torch.uint8)
            Image.fromarray(noise.numpy()).save(tmp_path / folder / f"{n}.png")
    domains = load_domains(str(tmp_path), size=64)
    model = CycleGAN(domains.image_shape, width=4, blocks=1, width_d=4)
    history = fit(model, domains.train, steps=3, batch_size=2, show_bar=False)
    assert history.steps == 3
    x = domains.test.a.x
    with torch.no_grad():
        g_x = model.translate(x, to="B")
    assert g_x.shape == (3, 3, 64, 64)
    assert not torch.equal(g_x, x)
