"""Diffusion models: equivalent targets, the loss, the inputs of the network, counted calls."""

import math

import pytest
import torch
from torch import nn

from gen_lib import InputError
from gen_lib.data import Batch, load_toy
from gen_lib.data.toys import EIGHT_GAUSSIANS
from gen_lib.models.diffusion import TARGETS, Diffusion, PlaneDiffusion, solve
from gen_lib.samplers import DDIM, Ancestral, Estimate, Heun, exact
from gen_lib.schedules import SCHEDULES
from gen_lib.training import fit

PAIRS = [
    (schedule, target)
    for schedule in SCHEDULES
    for target in TARGETS
    if (schedule, target) != ("straight", "eps")
]
every_pair = pytest.mark.parametrize(("schedule", "target"), PAIRS)


class Spy(nn.Module):
    """A network whose output is computed from all its inputs, which it also records."""

    def __init__(self):
        super().__init__()
        self.told, self.gain = [], nn.Parameter(torch.tensor(0.5))

    def forward(self, x, t, labels=None):
        self.told.append((x, t, labels))
        shift = 0 if labels is None else labels.reshape(-1, 1, 1, 1)
        return self.gain * x + t.reshape(-1, 1, 1, 1) + shift


def spied(**config) -> tuple[Diffusion, Spy]:
    model = Diffusion((1, 4, 4), width=8, blocks=1, **config).eval()
    model.net = Spy()
    return model, model.net


def small(**config) -> Diffusion:
    """A model whose last layer does not start at zero."""
    torch.manual_seed(0)
    model = Diffusion((1, 8, 8), width=8, blocks=1, **config).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.1)
    return model


def batch(n: int = 64, seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(n, 1, 4, 4, generator=rng) * 2 - 1, torch.arange(n) % 10)


# Targets are equivalent up to a linear map


@every_pair
def test_each_target_gives_back_image_and_noise(schedule, target, rng):
    path = SCHEDULES[schedule](1000)
    t = path.times(8)[:-1]
    x_0, eps = torch.randn(2, 8, 1, 4, 4, generator=rng, dtype=torch.float64)
    signal, sigma = path.scales(t, x_0)
    a, b = TARGETS[target](signal, sigma)
    found = solve(target, a * x_0 + b * eps, path.noised(x_0, t, eps), signal, sigma)
    torch.testing.assert_close(found.x_0, x_0)
    if (schedule, target) != ("straight", "x_0"):
        torch.testing.assert_close(found.eps, eps)


def test_the_maps_of_v_are_those_of_salimans_and_ho(rng):
    x_t, v = torch.randn(2, 6, 3, generator=rng)
    signal, sigma = torch.tensor(0.8), torch.tensor(0.6)
    found = solve("v", v, x_t, signal, sigma)
    torch.testing.assert_close(found.x_0, signal * x_t - sigma * v)
    torch.testing.assert_close(found.eps, sigma * x_t + signal * v)


def test_a_velocity_points_from_the_image_to_the_noise_along_a_line(rng):
    path = SCHEDULES["straight"](1)
    x_0, eps = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64)
    a, b = TARGETS["velocity"](0.7, 0.3)
    early, late = (path.noised(x_0, torch.tensor(t).double(), eps) for t in (0.3, 0.55))
    torch.testing.assert_close(late - early, 0.25 * (a * x_0 + b * eps))


@pytest.mark.parametrize("other", [name for name in TARGETS if name != "v"])
def test_a_network_for_one_target_is_one_for_another_with_other_weights(other, rng):
    """The input is the same, and each loss weights the same error by its own function of t."""
    path = SCHEDULES["cosine"](100)
    t = path.times(10)[1:-1]
    x_0, eps, v = torch.randn(3, 9, 1, 2, 2, generator=rng, dtype=torch.float64)
    x_t, (signal, sigma) = path.noised(x_0, t, eps), path.scales(t, x_0)
    seen = solve("v", v, x_t, signal, sigma)
    a, b = TARGETS[other](signal, sigma)
    again = solve(other, a * seen.x_0 + b * seen.eps, x_t, signal, sigma)
    torch.testing.assert_close(again.x_0, seen.x_0)
    torch.testing.assert_close(again.eps, seen.eps)
    loss = (a * (seen.x_0 - x_0) + b * (seen.eps - eps)) ** 2
    weight = {"x_0": 1, "eps": path.snr(t), "velocity": (1 + path.snr(t).sqrt()) ** 2}[other]
    weight = torch.as_tensor(weight).expand(9).reshape(-1, 1, 1, 1)
    torch.testing.assert_close(loss, weight * (seen.x_0 - x_0) ** 2)


@every_pair
def test_a_model_estimates_what_its_network_says(schedule, target):
    model, net = spied(schedule=schedule, target=target)
    x, t = torch.randn(3, 1, 4, 4), model.schedule.times(4)[1].float()
    signal, sigma = model.schedule.signal(t), model.schedule.sigma(t)
    found = model.estimate(x, t)
    torch.testing.assert_close(signal * found.x_0 + sigma * found.eps, x)
    a, b = TARGETS[target](signal, sigma)
    torch.testing.assert_close(a * found.x_0 + b * found.eps, net(x, t.expand(3) * 0 + 0.75))


# The loss


@every_pair
def test_the_loss_is_the_squared_error_of_the_target(schedule, target):
    model, net = spied(schedule=schedule, target=target)
    x_0 = batch().images
    found = model.loss(batch(), torch.Generator().manual_seed(3), 0.0)
    ((x_t, share, labels),) = net.told
    t = share * model.schedule.last
    signal, sigma = model.schedule.scales(t.round() if schedule != "straight" else t, x_0)
    eps = (x_t - signal * x_0) / sigma
    a, b = TARGETS[target](signal, sigma)
    y = 0.5 * x_t + share.reshape(-1, 1, 1, 1)
    expected = (y - a * x_0 - b * eps).square().mean()
    torch.testing.assert_close(found.value, expected, rtol=1e-3, atol=1e-4)
    assert found.terms["mse"] == found.value
    assert labels is None
    assert abs(eps.mean()) < 0.15
    assert eps.std().item() == pytest.approx(1, abs=0.1)


def test_every_image_of_a_batch_has_a_time_and_a_noise_of_its_own():
    model, net = spied()
    model.loss(batch(), torch.Generator().manual_seed(3), 0.0)
    ((x_t, t, _),) = net.told
    signal, sigma = model.schedule.scales(t, x_t)
    eps = (x_t - signal * batch().images) / sigma
    assert len(t.unique()) == len(t)
    assert (eps[1:] - eps[:-1]).square().mean() > 1  # 2 if they are independent


def test_another_seed_is_another_noise_and_other_times():
    model, net = spied()
    for seed in (1, 2):
        model.loss(batch(), torch.Generator().manual_seed(seed), 0.0)
    (x, t, _), (y, u, _) = net.told
    assert not torch.equal(x, y)
    assert not torch.equal(t, u)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_labels_are_hidden_as_often_as_told(dropout):
    model, net = spied(conditional=True, label_dropout=dropout)
    model.loss(batch(8_000), torch.Generator().manual_seed(0), 0.0)
    labels = net.told[0][2]
    hidden = labels == 10
    assert hidden.float().mean().item() == pytest.approx(dropout, abs=0.02)
    assert torch.equal(labels[~hidden], batch(8_000).labels[~hidden])


def test_an_average_of_the_targets_is_the_best_constant_and_its_loss_the_variance():
    """A network that says 0 has the loss E (eps - x_0)^2 = 1 + E x_0^2 on the straight path."""
    model = Diffusion((1, 4, 4), width=8, blocks=1).eval()
    found = model.loss(batch(4_000), torch.Generator().manual_seed(0), 0.0)
    assert found.value.item() == pytest.approx(1 + 1 / 3, abs=0.03)  # x_0 is uniform in [-1, 1]


# Sampling


@pytest.mark.parametrize("make", [Heun, Ancestral, DDIM])
@pytest.mark.parametrize("guidance", [0.0, 1.5])
def test_network_calls_are_counted_and_within_what_is_allowed(make, guidance):
    model = small(conditional=True)
    made = []
    model.net.register_forward_hook(lambda net, told, y: made.append(len(y)))
    labels = torch.tensor([1, 2])
    for calls in (10, 40):
        made.clear()
        way = {"sampler": make(model.schedule), "calls": calls, "guidance": guidance}
        *_, last = model.states(2, torch.Generator().manual_seed(0), labels=labels, **way)
        assert made == [2] * last.calls
        assert calls - 2 <= last.calls <= calls


def test_a_sample_takes_39_network_calls_unless_told_otherwise(rng):
    model, made = small(), []
    model.net.register_forward_hook(lambda net, told, y: made.append(y))
    model.sample(2, rng)
    assert len(made) == 39


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_samples_are_images_repeat_themselves_and_are_the_last_state(schedule):
    model = small(schedule=schedule, target="v")
    a, b, c = (model.sample(3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert a.shape == (3, 1, 8, 8)
    assert a.abs().max() <= 1
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    *_, last = model.states(3, torch.Generator().manual_seed(0))
    assert torch.equal(a, last.x.clamp(-1, 1))


def test_many_samples_are_drawn_in_parts_each_with_its_labels(monkeypatch):
    monkeypatch.setattr("gen_lib.models.diffusion.PART", 2)
    model, net = spied(conditional=True)
    x = model.sample(5, torch.Generator().manual_seed(0), calls=1, labels=torch.arange(5))
    assert x.shape == (5, 1, 4, 4)
    assert [labels.tolist() for _, _, labels in net.told] == [[0, 1], [2, 3], [4]]
    assert len(small().sample(5, torch.Generator().manual_seed(0)).unique(dim=0)) == 5


def test_guidance_asks_with_and_without_the_label():
    model, net = spied(conditional=True)
    x, t, labels = torch.randn(2, 1, 4, 4), torch.tensor(0.5), torch.tensor([3, 4])
    found = model.denoiser(labels, guidance=2.0)(x, t)
    assert [told[2] is None for told in net.told] == [False, True]
    with_label, without = model.estimate(x, t, labels), model.estimate(x, t)
    torch.testing.assert_close(found.x_0, 3 * with_label.x_0 - 2 * without.x_0)
    assert found.calls == 2


def test_the_network_is_told_the_share_of_the_time():
    for schedule, shares in (("straight", [1, 0.75, 0.5, 0.25]), ("cosine", [1, 0.75, 0.5, 0.25])):
        model, net = spied(schedule=schedule, target="v")
        list(model.states(2, sampler=DDIM(model.schedule), calls=4))
        assert [t.tolist() for _, t, _ in net.told] == [[share] * 2 for share in shares]


def test_known_pixels_stay_and_the_calls_are_within_what_is_allowed(rng):
    model, made = small(), []
    model.net.register_forward_hook(lambda net, told, y: made.append(y))
    x, mask = torch.rand(2, 1, 8, 8) * 2 - 1, torch.rand(2, 1, 8, 8) < 0.5
    for repeats in (1, 4):
        made.clear()
        y = model.inpaint(x, mask, rng, calls=20, repeats=repeats)
        assert torch.equal(y[~mask], x[~mask])
        assert not torch.isclose(y[mask], x[mask]).any()
        assert 20 - repeats < len(made) <= 20
    hidden = torch.where(mask, 77.0, x)
    ends = [model.inpaint(v, mask, torch.Generator().manual_seed(0)) for v in (x, hidden)]
    assert torch.equal(*ends)


# In the plane: learnt against exact


def test_training_brings_the_field_near_the_exact_one(rng):
    torch.manual_seed(0)
    model, toy = PlaneDiffusion(width=64), load_toy("eight_gaussians")
    right = exact(EIGHT_GAUSSIANS, model.schedule)
    x_0 = toy.sample(2_000, rng)[:, :, None, None]
    eps, t = torch.randn(x_0.shape, generator=rng), torch.tensor(0.5)
    x_t = model.schedule.noised(x_0, t, eps)

    def error(estimate: Estimate) -> float:
        return (estimate.x_0 - x_0).square().mean().item()

    with torch.no_grad():
        before = error(model.estimate(x_t, t))
    fit(model, toy, steps=600, batch_size=256, show_bar=False)
    with torch.no_grad():
        after = error(model.estimate(x_t, t))
    floor = error(right(x_t, t))
    assert floor < after < floor + 0.5 * (before - floor)
    distance = model.sample(500, rng)[:, :, 0, 0].norm(dim=1)  # the data lie at 2
    assert distance.mean().item() == pytest.approx(2, abs=0.4)


# What is refused


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"schedule": "round"}, "no schedule 'round'"),
        ({"target": "score"}, "no target 'score'"),
        ({"target": "eps"}, "eps says nothing about x_0"),
        ({"label_dropout": 1.0}, "label_dropout is 1.0"),
        ({"label_dropout": math.nan}, "label_dropout is nan"),
        ({"schedule": "cosine", "T": 0}, "T is 0"),
        ({"width": 0}, "width is 0"),
        ({"blocks": 0}, "blocks is 0"),
    ],
)
def test_what_does_not_fit_is_refused(config, words):
    with pytest.raises(InputError, match=words):
        Diffusion(**config)


def test_labels_for_a_model_without_and_guidance_to_nowhere_are_refused():
    with pytest.raises(InputError, match="trained without labels"):
        small().sample(2, labels=torch.tensor([1, 2]))
    with pytest.raises(InputError, match="Guidance needs labels"):
        small(conditional=True).sample(2, guidance=1.0)
    with pytest.raises(InputError, match="0 steps"):
        small().sample(2, calls=0)


def test_images_of_another_shape_are_not_inpainted():
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(InputError, match=r"shape \(1, 4, 4\) do not fit"):
        small().inpaint(x, x > 0)
