"""GANs: the game's value, both players' gradients, penalties on D, and the modes covered."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.nn import functional as F

from gen_lib import InputError
from gen_lib.data import load_toy, modes
from gen_lib.models.gan import COLLAPSE, GAN, LOSSES, PLANE, PlaneGAN, squared_slope, value
from gen_lib.training import fit

EIGHT = load_toy("eight_gaussians")


@pytest.fixture
def small() -> GAN:
    torch.manual_seed(0)
    return GAN(width=4, latent_size=8)


@pytest.fixture
def plane() -> PlaneGAN:
    torch.manual_seed(0)
    return PlaneGAN(width=16)


# The value


def densities():
    """Two Gaussians on a fine grid, and their logarithms, in double precision."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    log_p, log_q = (Normal(mean, sd).log_prob(x) for mean, sd in ((-1.0, 1.0), (1.5, 0.7)))
    return x, log_p, log_q


def integral(values, x):
    return torch.trapezoid(values, x)


def value_of(f, log_p, log_q, x):
    return integral(log_p.exp() * F.logsigmoid(f) + log_q.exp() * F.logsigmoid(-f), x)


def test_no_discriminator_does_better_than_the_ratio_of_densities():
    x, log_p, log_q = densities()
    best = value_of(log_p - log_q, log_p, log_q, x)
    for bend in (0.1 * x.sin(), 0.05 * x, -0.2 * torch.ones_like(x), 0.1 * (log_p - log_q)):
        assert value_of(log_p - log_q + bend, log_p, log_q, x) < best


def test_the_best_value_is_twice_the_jensen_shannon_divergence_less_log_4():
    x, log_p, log_q = densities()
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    jsd = 0.5 * integral(log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m), x)
    best = value_of(log_p - log_q, log_p, log_q, x)
    assert best.item() == pytest.approx(2 * jsd.item() - math.log(4), abs=1e-7)
    assert value_of(torch.zeros_like(x), log_p, log_p, x).item() == pytest.approx(-math.log(4))


def test_the_value_of_samples_estimates_that_of_densities(rng):
    x, log_p, log_q = densities()
    real = torch.randn(200_000, generator=rng) - 1.0
    fake = 1.5 + 0.7 * torch.randn(200_000, generator=rng)

    def f(at):
        return Normal(-1.0, 1.0).log_prob(at) - Normal(1.5, 0.7).log_prob(at)

    exact = value_of(log_p - log_q, log_p, log_q, x).item()
    assert value(f(real), f(fake)).item() == pytest.approx(exact, abs=0.01)


def test_the_value_is_the_cross_entropy_of_labels(rng):
    real, fake = torch.randn(2, 50, generator=rng)
    entropy = F.binary_cross_entropy_with_logits
    right = entropy(real, torch.ones(50)) + entropy(fake, torch.zeros(50))
    assert torch.allclose(value(real, fake), -right)


# Losses and their gradients


def gradient(loss, player, at):
    f = torch.tensor([at], requires_grad=True)
    real = torch.zeros(1)
    (slope,) = torch.autograd.grad(getattr(LOSSES[loss], player)(real, f), f)
    return slope.item()


@pytest.mark.parametrize("f", [-6.0, -1.0, 0.0, 2.0])
def test_gradients_of_the_generator_have_their_closed_form(f):
    d = 1 / (1 + math.exp(-f))
    assert gradient("saturating", "generator", f) == pytest.approx(-d, rel=1e-5)
    assert gradient("non-saturating", "generator", f) == pytest.approx(-(1 - d), rel=1e-5)
    assert gradient("hinge", "generator", f) == -1
    assert gradient("relativistic", "generator", f) == pytest.approx(-(1 - d), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_generator_climbs_the_logit_and_every_discriminator_lowers_it(loss):
    for f in (-0.9, 0.0, 0.9):
        assert gradient(loss, "generator", f) < 0 < gradient(loss, "discriminator", f)


def test_where_the_discriminator_is_sure_only_one_loss_pulls():
    f = math.log(0.01 / 0.99)  # D(G(z)) = 0.01
    ratio = gradient("non-saturating", "generator", f) / gradient("saturating", "generator", f)
    assert ratio == pytest.approx(99, rel=1e-3)


def test_the_hinge_ignores_what_is_right_beyond_the_margin():
    loss = LOSSES["hinge"].discriminator(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -9.0]))
    assert loss == 0


def test_the_relativistic_loss_sees_differences_only(rng):
    real, fake = torch.randn(2, 20, generator=rng)
    for loss in LOSSES["relativistic"]:
        assert torch.allclose(loss(real, fake), loss(real + 7, fake + 7), atol=1e-5)


def test_the_squared_slope_of_a_quadratic(rng):
    x = torch.randn(9, 1, 2, 3, generator=rng).requires_grad_()
    weight = torch.tensor(3.0, requires_grad=True)
    f = weight * x.square().flatten(1).sum(dim=1)  # slope 2 weight x
    slope = squared_slope(f, x)
    right = 4 * 9 * x.square().sum() / 9
    assert torch.allclose(slope, right)
    slope.backward()
    assert weight.grad.item() == pytest.approx(2 * right.item() / 3, rel=1e-5)


# Turns


def test_a_turn_holds_the_loss_of_its_player(plane):
    batch = EIGHT.batch(0, 64)
    d, g = plane.turns(batch, torch.Generator().manual_seed(3), 0.0)
    noise = torch.Generator().manual_seed(3)
    real = plane.logits(batch.images)
    fakes = [plane.logits(plane.generate(plane.noise(64, noise))) for _ in range(2)]
    assert torch.allclose(d.terms["D"], F.softplus(fakes[0] - real).mean())
    assert torch.allclose(g.loss, F.softplus(real - fakes[1]).mean())
    assert d.loss > d.terms["D"]  # the penalty on top
    assert (d.player, g.player) == ("discriminator", "generator")


def test_slopes_are_penalised_at_real_and_at_generated_images(plane):
    x = EIGHT.batch(0, 64).images
    turn = next(plane.turns(EIGHT.batch(0, 64), torch.Generator().manual_seed(3), 0.0))
    fakes = plane.generate(plane.noise(64, torch.Generator().manual_seed(3)))
    places = [part.detach().clone().requires_grad_() for part in (x, fakes)]
    slope = sum(squared_slope(plane.logits(place), place) for place in places)
    assert torch.allclose(turn.terms["slope"], slope)
    assert torch.allclose(turn.loss, turn.terms["D"] + plane.rules.penalty / 2 * slope)


def test_the_turn_of_the_discriminator_leaves_no_gradient_in_the_generator(plane):
    turn = next(plane.turns(EIGHT.batch(0, 8), torch.Generator(), 0.0))
    turn.loss.backward()
    assert all(p.grad is None for p in plane.generator.parameters())
    assert all(p.grad is not None for p in plane.discriminator.parameters())


def test_training_data_are_left_as_they_were(plane):
    batch = EIGHT.batch(0, 8)
    for turn in plane.turns(batch, torch.Generator(), 0.0):
        turn.loss.backward()
    assert not batch.images.requires_grad


def test_the_ratio_of_turns():
    model = PlaneGAN(width=4, turns_g=3, turns_d=2)
    played = [turn.player for turn in model.turns(EIGHT.batch(0, 8), torch.Generator(), 0.0)]
    assert played == 2 * ["discriminator"] + 3 * ["generator"]


def test_each_player_owns_its_network_and_together_they_own_all(small):
    players = small.players()
    owned = [id(p) for player in players.values() for p in player.parameters]
    assert sorted(owned) == sorted(map(id, small.parameters()))
    assert players["generator"].parameters == list(small.generator.parameters())


def test_training_moves_both_and_repeats_itself(few):
    samples = []
    for _ in range(2):
        torch.manual_seed(0)
        model = GAN(width=4, latent_size=8)
        weights = [p for p in model.parameters() if p.dim() > 1]  # biases may not move at first
        before = [p.detach().clone() for p in weights]
        fit(model, few, steps=3, batch_size=16, show_bar=False)
        assert all(not torch.equal(a, b) for a, b in zip(before, weights, strict=True))
        samples.append(model.sample(4, torch.Generator().manual_seed(0)))
    assert torch.equal(*samples)


# Networks


def test_spectral_norm_bounds_every_layer(small):
    x = torch.randn(2, 1, 28, 28)
    for _ in range(100):  # each call in training mode takes one more power iteration
        small.train().logits(x)
    layers = [m for m in small.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(
            1, abs=1e-3
        )
    assert not hasattr(GAN(width=4, spectral=False).discriminator[1], "parametrizations")


def test_samples_are_images_and_follow_their_rng(small):
    x = small.sample(7, torch.Generator().manual_seed(0))
    assert x.shape == (7, 1, 28, 28)
    assert x.abs().max() <= 1
    assert torch.equal(x, small.sample(7, torch.Generator().manual_seed(0)))
    assert not torch.equal(x, small.sample(7, torch.Generator().manual_seed(1)))
    assert small.logits(x).shape == (7,)


def test_the_generator_normalises_over_the_batch_while_it_learns_and_never_after(small):
    z, first = torch.randn(16, 8), small.generator[0]
    for mode, alike in ((True, True), (False, False)):
        small.train(mode)
        before = small.generate(z)
        with torch.no_grad():
            first.weight.mul_(7.0), first.bias.mul_(7.0)
        assert torch.allclose(before, small.generate(z), atol=1e-3) is alike
    assert torch.allclose(small.generate(z)[:1], small.generate(z[:1]), atol=1e-5)


def test_other_image_shapes():
    model = GAN(image_shape=(3, 32, 32), width=4)
    assert model.logits(model.sample(2)).shape == (2,)


def test_the_plane_is_computed_precisely_under_autocast(plane):
    x = EIGHT.batch(0, 50).images
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plane.logits(x), plane.logits(x.double().float()))
        rough = plane.logits(x)
    assert torch.equal(rough, plane.logits(x))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"loss": "wasserstein"}, "no loss 'wasserstein': choose one of saturating"),
        ({"penalty": -1.0}, "penalty is -1.0"),
        ({"lr_g": 0.0}, "lr_g is 0.0"),
        ({"lr_d": math.inf}, "lr_d is inf"),
        ({"turns_g": 0}, "turns_g is 0"),
        ({"turns_d": 0}, "turns_d is 0"),
        ({"latent_size": 0}, "latent_size is 0"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules, words):
    for kind in (GAN, PlaneGAN):
        with pytest.raises(InputError, match=words):
            kind(**rules)


# Modes


def test_exact_samples_cover_all_modes(rng):
    found = modes(EIGHT.sample(10_000, rng), EIGHT)
    assert found.covered == 8
    assert found.near == pytest.approx(1 - math.exp(-4.5), abs=0.005)  # a Rayleigh distance
    assert found.shares.sum().item() == pytest.approx(found.near)


def test_a_mode_counts_from_one_per_cent_on():
    far = torch.zeros(980, 2)
    at = EIGHT.means
    assert modes(torch.cat([far, at[:1].repeat(10, 1), at[1:2].repeat(10, 1)]), EIGHT).covered == 2
    assert modes(torch.cat([far, at[:1].repeat(9, 1), at[1:2].repeat(11, 1)]), EIGHT).covered == 1


def test_points_of_a_toy_are_training_data():
    a, b = EIGHT.batch(0, 5), EIGHT.batch(0, 5)
    assert a.images.shape == (5, 2, 1, 1)
    assert torch.equal(a.images, b.images)
    for other in (EIGHT.batch(1, 5), EIGHT.batch(0, 5, seed=1)):
        assert not torch.equal(a.images, other.images)


@pytest.mark.slow
def test_the_default_covers_the_modes_that_bad_rules_lose():
    found = {}
    for name, rules, steps in (("default", {}, 1_500), ("collapse", COLLAPSE, 400)):
        torch.manual_seed(0)
        model = PlaneGAN(**rules)
        fit(model, EIGHT, steps=steps, batch_size=256, show_bar=False)
        samples = model.sample(10_000, torch.Generator().manual_seed(0))
        found[name] = modes(samples.flatten(1), EIGHT).covered
    assert found["default"] >= 7
    assert found["collapse"] <= 4


def test_the_rules_are_kept_in_the_configuration(plane):
    assert PlaneGAN(**PlaneGAN(width=8, **COLLAPSE).config).rules == PLANE._replace(**COLLAPSE)
