"""The loop: the weights each step updates, how fast, the running average, the end of a run."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from gen_lib import InputError
from gen_lib.data import Split, to_float
from gen_lib.models import ConvAutoencoder, DeepAutoencoder, Judge, base
from gen_lib.models.base import Loss, Model, Player, Turn
from gen_lib.training import NonFiniteLoss, fit, loop, training_steps
from gen_lib.training.loop import GAMMA, average_decay, learning_rate_scale

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr(loop, "best_device", lambda: CPU)


def pixels(n: int = 40, d: int = 5) -> Split:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 1, 1, d), generator=rng, dtype=torch.uint8)
    return Split(images, torch.zeros(n, dtype=torch.int64))


class Quadratic(Model):
    """One weight vector, E(w) = 1/2 mean_b ||w - x_b||^2, whose optimum is the mean of x."""

    name = "quadratic"

    def __init__(self, lr: float = 0.1, event=lambda step, loss: loss, weight_decay: float = 0.0):
        super().__init__()
        self.w, self.lr, self.weight_decay = nn.Parameter(torch.ones(5)), lr, weight_decay
        self.event, self.step = event, -1

    def loss(self, batch, rng, progress):
        self.step += 1
        loss = 0.5 * (self.w - batch.images.flatten(1)).square().sum(dim=1).mean()
        return Loss(self.event(self.step, loss), {"E": loss})


class Game(base.Game):
    """Two players; each turn's loss depends on the weights of both."""

    name = "game"

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(3.0)), nn.Parameter(torch.tensor(-1.0))
        self.seen: list[tuple[float, float]] = []

    def players(self):
        return {"first": Player([self.a], lr=0.1), "second": Player([self.b], lr=0.01)}

    def look(self):
        self.seen.append((self.a.item(), self.b.item()))

    def turns(self, batch, rng, progress):
        self.look()
        yield Turn("first", (self.a - self.b).square(), {"a": self.a.detach()})
        self.look()
        yield Turn("second", (self.a + self.b).square(), {"b": self.b.detach()})
        self.look()


def powers(steps: int) -> torch.Tensor:
    """The weight of each step in the running average: the integral of t^gamma, normalised."""
    ends = torch.arange(steps + 1, dtype=torch.float64) / steps
    return ends.pow(GAMMA + 1).diff()


# Optimisation


def test_training_finds_the_optimum_known_in_closed_form():
    model, data = Quadratic(), pixels()
    history = fit(model, data, steps=400, batch_size=40, show_bar=False)
    mean = to_float(data.images).flatten(1).mean(dim=0)
    torch.testing.assert_close(model.w.detach(), mean, atol=1e-3, rtol=0)
    spread = to_float(data.images).flatten(1).T.cov(correction=0).trace()
    assert history.terms["E"][-1] == pytest.approx(0.5 * spread.item(), rel=1e-3)


def test_minibatches_find_the_same_optimum():
    model, data = Quadratic(), pixels()
    fit(model, data, steps=1_000, batch_size=8, show_bar=False)
    mean = to_float(data.images).flatten(1).mean(dim=0)
    torch.testing.assert_close(model.w.detach(), mean, atol=0.05, rtol=0)


def test_the_first_step_is_one_learning_rate_long_for_each_player():
    game = Game()
    next(iter(training_steps(game, pixels(), steps=10)))
    scale = learning_rate_scale(0.0)
    assert game.seen[-1][0] == pytest.approx(3.0 - 0.1 * scale, abs=1e-6)  # Adam: lr * sign
    assert game.seen[-1][1] == pytest.approx(-1.0 - 0.01 * scale, abs=1e-6)


def test_weight_decay_takes_its_share_of_the_learning_rate_off_every_step():
    model = Quadratic(event=lambda step, loss: 0 * loss, weight_decay=0.5)
    records = training_steps(model, pixels(), steps=10)
    for _ in range(10):
        next(records)  # not to the end, when averaged weights replace these
    kept = math.prod(1 - 0.5 * 0.1 * learning_rate_scale(step / 10) for step in range(10))
    torch.testing.assert_close(model.w.detach(), torch.full((5,), kept))


def test_each_turn_moves_its_player_alone_and_the_second_sees_the_first():
    game = Game()
    fit(game, pixels(), steps=6, show_bar=False)
    for step in range(6):
        start, between, end = game.seen[3 * step : 3 * step + 3]
        assert between[0] != start[0]
        assert between[1] == start[1]
        assert end[0] == between[0]
        assert end[1] != between[1]


def test_no_gradient_is_left_behind():
    game = Game()
    fit(game, pixels(), steps=3, show_bar=False)
    assert game.a.grad is None
    assert game.b.grad is None


# Repeats


def trained(seed: int, few: Split, kind=DeepAutoencoder) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = kind()
    fit(model, few, steps=2, batch_size=8, seed=seed, show_bar=False)
    return model.state_dict()


@pytest.mark.parametrize("kind", [DeepAutoencoder, Judge])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(few, kind):
    first, again, other = (trained(seed, few, kind) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_training_leaves_the_global_random_state_alone(few):
    model = DeepAutoencoder()
    before = torch.get_rng_state()
    fit(model, few, steps=2, show_bar=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_memory_layout_of_images_does_not_change_the_weights(few):
    """Convolutions give gradients in their input's layout; the optimiser must handle that."""
    weights = []
    planes = torch.empty(len(few), 1, 28, 28, dtype=torch.uint8)
    channels_last = torch.empty(len(few), 28, 28, 1, dtype=torch.uint8).permute(0, 3, 1, 2)
    assert planes.stride() != channels_last.stride()
    for images in (planes.copy_(few.images), channels_last.copy_(few.images)):
        torch.manual_seed(0)
        model = ConvAutoencoder(width=8)
        fit(model, Split(images, few.labels), steps=20, batch_size=16, show_bar=False)
        weights.append(model.encoder[3].weight.detach())
    torch.testing.assert_close(*weights, atol=2e-3, rtol=0)


# Budgets


@pytest.mark.parametrize("steps", [1, 7])
def test_a_budget_in_steps_is_kept_exactly(steps):
    records = list(training_steps(Quadratic(), pixels(), steps=steps))
    assert [record.step for record in records] == list(range(1, steps + 1))
    assert [record.progress for record in records] == [s / steps for s in range(1, steps + 1)]
    history = fit(Quadratic(), pixels(), steps=steps, show_bar=False)
    assert history.steps == len(history.terms["E"]) == steps


def test_every_turn_is_told_the_progress_at_its_start():
    class Told(Game):
        def turns(self, batch, rng, progress):
            seen.append(progress)
            yield from super().turns(batch, rng, progress)

    seen: list[float] = []
    records = list(training_steps(Told(), pixels(), steps=4))
    assert seen == [0, 0.25, 0.5, 0.75]
    assert [record.progress for record in records] == [0.25, 0.5, 0.75, 1]


def test_a_budget_in_minutes_ends_with_the_first_step_past_it():
    history = fit(Quadratic(), pixels(), minutes=0.005, show_bar=False)
    assert history.seconds[-2] < 60 * 0.005 <= history.seconds[-1]
    assert history.seconds == sorted(history.seconds)


@pytest.mark.parametrize(
    "budget",
    [
        {},
        {"steps": 3, "minutes": 1.0},
        {"steps": 0},
        {"steps": -1},
        {"minutes": 0.0},
        {"minutes": -2.0},
        {"minutes": math.nan},
        {"minutes": math.inf},
        {"steps": 3, "batch_size": 0},
        {"steps": 3, "batch_size": -5},
    ],
    ids=str,
)
def test_a_senseless_budget_is_refused_before_anything_moves(budget):
    model = Quadratic()
    with pytest.raises(InputError, match=r"steps|minutes|batch_size"):
        fit(model, pixels(), **budget, show_bar=False)
    assert torch.equal(model.w.detach(), torch.ones(5))


# Schedules


def test_learning_rate_rises_from_almost_zero_to_its_peak_and_falls_to_zero():
    scale = [learning_rate_scale(p / 1000) for p in range(1001)]
    peak = scale.index(max(scale))
    assert peak == 20
    assert scale[peak] > 0.99
    assert 0 < scale[0] < 0.01
    assert scale[-1] == 0
    assert all(a < b for a, b in pairwise(scale[1 : peak + 1]))
    assert all(a > b for a, b in pairwise(scale[peak:]))


@pytest.mark.parametrize("progress", [0.02, 0.3, 0.5, 0.9])
def test_learning_rate_is_half_a_cosine_after_the_warm_up(progress):
    assert learning_rate_scale(progress) == pytest.approx(math.cos(math.pi * progress / 2) ** 2)


# The running average


class InParts(Model):
    """A first player for 40 % of the run, a second one for the rest, each with a gradient of 1."""

    name = "in-parts"

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def loss(self, batch, rng, progress):
        raise NotImplementedError

    def players(self):
        first, then = Player([self.a], lr=1.0), Player([self.b], lr=1.0)
        return {"first": first._replace(part=(0.0, 0.4)), "then": then._replace(part=(0.4, 1.0))}

    def turns(self, batch, rng, progress):
        name, weight = ("first", self.a) if progress < 0.4 else ("then", self.b)
        yield Turn(name, weight, {"weight": weight.detach().clone()})


def test_a_player_of_a_part_of_the_run_has_its_own_course_of_learning_rates():
    history = fit(InParts(), pixels(), steps=100, show_bar=False)
    at = torch.tensor(history.terms["weight"])
    steps = -at.diff()  # AdamW moves a weight by its learning rate if the gradient is constant
    first = torch.tensor([learning_rate_scale(k / 40) for k in range(39)])
    then = torch.tensor([learning_rate_scale(k / 60) for k in range(59)])
    torch.testing.assert_close(steps[:39], first, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(steps[40:], then, atol=1e-5, rtol=1e-4)


def test_the_running_average_weighs_step_t_by_the_power_function():
    weights = torch.zeros(500, dtype=torch.float64)
    for t in range(1, 501):
        weights *= average_decay(t)
        weights[t - 1] += 1 - average_decay(t)
    torch.testing.assert_close(weights, powers(500), atol=1e-12, rtol=1e-9)
    by_density = torch.arange(1, 501, dtype=torch.float64) ** GAMMA  # its limit for large t
    torch.testing.assert_close(
        weights[400:], (by_density / by_density.sum())[400:], rtol=0.05, atol=0
    )


def test_the_running_average_has_a_relative_width_of_a_twentieth():
    t, weights = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000, powers(20_000)
    mean = (weights * t).sum()
    assert mean == pytest.approx((GAMMA + 1) / (GAMMA + 2), abs=1e-4)
    assert (weights * (t - mean) ** 2).sum().sqrt() == pytest.approx(0.05, abs=1e-4)


def test_a_finished_model_holds_the_average_of_its_weights():
    model = Quadratic()
    raw = [model.w.detach().clone() for _ in training_steps(model, pixels(), steps=30)]
    expected = (powers(30)[:, None] * torch.stack(raw)).sum(dim=0).float()
    torch.testing.assert_close(model.w.detach(), expected, atol=1e-5, rtol=0)
    assert not torch.allclose(model.w.detach(), raw[-1], atol=1e-4)


def test_a_loop_closed_early_leaves_the_average_in_eval_mode():
    model, raw = Quadratic(), []
    records = training_steps(model, pixels(), steps=100)
    for record in records:
        raw.append(model.w.detach().clone())
        assert model.training
        if record.step == 10:
            break
    records.close()
    expected = (powers(10)[:, None] * torch.stack(raw)).sum(dim=0).float()
    torch.testing.assert_close(model.w.detach(), expected, atol=1e-5, rtol=0)
    assert not model.training


def test_an_interrupt_leaves_the_average_of_the_steps_done():
    def interrupt(step, loss):
        if step == 10:
            raise KeyboardInterrupt
        return loss

    model, twin = Quadratic(event=interrupt), Quadratic()
    with pytest.raises(KeyboardInterrupt):
        fit(model, pixels(), steps=100, show_bar=False)
    records = training_steps(twin, pixels(), steps=100)
    for _ in range(10):
        next(records)
    records.close()
    assert torch.equal(model.w, twin.w)
    assert not model.training


def test_batch_statistics_are_averaged_too_and_a_trained_model_is_in_eval_mode(few):
    judge = Judge()
    raw = []
    for _ in training_steps(judge, few, steps=3, batch_size=4):
        assert judge.training
        raw.append(judge.body[1].running_mean.clone())
    expected = (powers(3)[:, None] * torch.stack(raw)).sum(dim=0).float()
    torch.testing.assert_close(judge.body[1].running_mean, expected, atol=1e-6, rtol=1e-4)
    assert not any(module.training for module in judge.modules())


# Divergence


@pytest.mark.parametrize(
    "event",
    [
        lambda step, loss: loss * math.nan if step == 4 else loss,
        lambda step, loss: loss * math.inf if step == 4 else loss,
        lambda step, loss: (loss - loss).sqrt() if step == 4 else loss,  # gradient not finite
        lambda step, loss: loss * 1e30 * 1e30 if step == 4 else loss,
    ],
    ids=["nan", "inf", "gradient", "overflow"],
)
def test_divergence_is_named_and_the_last_good_weights_are_kept(event):
    model, twin = Quadratic(event=event), Quadratic()
    with pytest.raises(NonFiniteLoss, match="model at step 5"):
        fit(model, pixels(), steps=50, show_bar=False)
    records = training_steps(twin, pixels(), steps=50)
    for _ in range(4):
        next(records)
    records.close()
    assert torch.isfinite(model.w).all()
    assert torch.equal(model.w, twin.w)


def test_divergence_names_the_player():
    class Bad(Game):
        def turns(self, batch, rng, progress):
            yield Turn("first", self.a.square(), {})
            yield Turn("second", self.b * math.nan, {})

    with pytest.raises(NonFiniteLoss, match="second at step 1"):
        fit(Bad(), pixels(), steps=5, show_bar=False)


# bfloat16


@pytest.mark.parametrize("allowed", [False, True])
def test_bfloat16_is_used_where_it_is_allowed_and_inside_turns_only(monkeypatch, allowed):
    monkeypatch.setattr(loop, "has_bfloat16", lambda device: allowed)
    inside = []

    def look(step, loss):
        inside.append(torch.is_autocast_enabled("cpu"))
        return loss

    outside = [
        torch.is_autocast_enabled("cpu")
        for _ in training_steps(Quadratic(event=look), pixels(), steps=3)
    ]
    assert inside == [allowed] * 3
    assert outside == [False] * 3


# Threads


@pytest.fixture
def counts(monkeypatch):
    """The numbers of threads that the loop asks for; two are given."""
    asked: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    return asked


def test_a_budget_in_minutes_tries_threads_and_gives_back_the_number_it_found(counts):
    fit(Quadratic(), pixels(), minutes=0.02, show_bar=False)
    assert set(counts) == {1, 2}
    assert counts[-1] == 2


def test_a_budget_in_steps_keeps_its_threads(counts):
    fit(Quadratic(), pixels(), steps=50, show_bar=False)
    assert set(counts) <= {2}
