"""Checks for chapter 04: objective, losses, a step of D, modes, R1, and an experiment."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from gen_course.common.checks import (
    Misconception,
    exercise,
    number,
    require,
    require_none_of,
    require_shape,
    same,
)
from gen_course.common.properties import Arguments, agrees, call, compare_gradients, learnt
from gen_lib.data.toys import EIGHT_GAUSSIANS, Mixture, modes
from gen_lib.models.gan import LOSSES, squared_slope, value


def _logits() -> tuple[Tensor, Tensor]:
    """Seven logits of real and seven of generated images."""
    real = torch.tensor([0.3, -1.2, 2.0, 0.8, -0.4, 1.5, 0.1])
    fake = torch.tensor([-0.9, 0.6, -2.1, -0.3, 1.1, -1.6, -0.7])
    return real.requires_grad_(), fake.requires_grad_()


def _other_logits(rng: Generator, n: int) -> Arguments:
    real, fake = 2 * torch.randn(2, n, generator=rng)
    return {"real": learnt(real), "fake": learnt(fake)}


MEAN = "the mean over the batch"
SIZES = [(5,), (1,), (40,)]


@exercise
def check_value(function: Callable) -> str:
    """function(real, fake): the lecture's objective, from the logits."""
    real, fake = _logits()
    got, right = _one_number(function(real, fake)), value(real, fake)
    require_none_of(
        got,
        (-right, "The sign is wrong: V is a sum of logarithms of probabilities, so below 0."),
        (value(fake, real), "The labels are swapped: log D for real images, log(1 - D) for fakes."),
        (right / 2, "This is a mean over both halves: V adds two expectations."),
        (7 * right, "It is summed over the batch: an expectation is a mean."),
    )
    require(same(got, right), "Not E log D(x) + E log(1 - D(G(z))) with D = sigmoid(f).")
    far = function(torch.full((3,), -200.0), torch.full((3,), 200.0))
    require(
        torch.isfinite(torch.as_tensor(far)).all(),
        "At f = -200 the result is not finite: log(sigmoid(f)) rounds to log(0). "
        "Write log D as -softplus(-f).",
    )
    agrees(function, value, _other_logits, SIZES, form=MEAN)
    return "E log D(x) + E log(1 - D(G(z))), finite wherever D is sure."


@exercise
def check_losses(losses: Callable) -> str:
    """losses(real, fake): D's loss -V and G's non-saturating loss, from the logits."""
    real, fake = _logits()
    pair = losses(real, fake)
    require(
        isinstance(pair, tuple) and len(pair) == 2, "Return two losses: D's, then G's, as a pair."
    )
    d, g = (_one_number(loss) for loss in pair)
    _check_loss_of_d(d, real, fake)
    _check_loss_of_g(g, real, fake)
    sure = torch.full((3,), -200.0, requires_grad=True)
    require(
        all(torch.isfinite(torch.as_tensor(loss)) for loss in losses(sure, sure)),
        "At f = -200 a loss is not finite: log(sigmoid(f)) rounds to log(0). Work with the logits.",
    )
    right_of_d, scale = LOSSES["non-saturating"].discriminator, 2 if _halved(d, real, fake) else 1
    agrees(  # by the real ones: whether D's loss knows where fakes come from is left open
        lambda real, fake: scale * losses(real, fake)[0],
        right_of_d,
        lambda rng, n: {**_other_logits(rng, n), "fake": torch.randn(n, generator=rng)},
        SIZES,
    )
    agrees(lambda *logits: losses(*logits)[1], _loss_of_g, _other_logits, SIZES)
    return "D descends -V; G descends -log D(G(z)), whose gradient lives where D is sure."


def _check_loss_of_d(got: Tensor, real: Tensor, fake: Tensor) -> None:
    right = LOSSES["non-saturating"].discriminator(real, fake)
    require_none_of(
        got,
        (-right, "D's sign is wrong: D climbs V, so it descends -V."),
        (-value(fake, real), "D's labels are swapped: 1 for real images, 0 for generated ones."),
        (value(fake, real), "D's labels are swapped, and its sign is wrong."),
        (softplus(-real).mean(), "D never looks at the fakes: the second term is missing."),
        (softplus(fake).mean(), "D never looks at real images: the first term is missing."),
        (7 * right, "D's loss is summed over the batch: average it."),
    )
    ok = same(got, right) or _halved(got, real, fake)  # a mean of both has the same minimiser
    require(ok, "D's loss is not -E log D(x) - E log(1 - D(G(z))).")


def _halved(got: Tensor, real: Tensor, fake: Tensor) -> bool:
    return same(got, LOSSES["non-saturating"].discriminator(real, fake) / 2)


def _loss_of_g(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-fake).mean()


def _check_loss_of_g(got: Tensor, real: Tensor, fake: Tensor) -> None:
    right = _loss_of_g(real, fake)
    require_none_of(
        got,
        (
            -softplus(fake).mean(),
            "This is G's saturating loss, log(1 - D(G(z))): it is nearly flat where D is sure of "
            "a fake, which is where G has most to learn. Descend -log D(G(z)).",
        ),
        (softplus(fake).mean(), "G is trained to be caught: its fakes get the label 1 (real)."),
        (-right, "G's sign is wrong: it climbs log D(G(z)), so it descends -log D(G(z))."),
        (softplus(-real).mean(), "G's loss looks at real images: it depends on its fakes alone."),
        (7 * right, "G's loss is summed over the batch: average it."),
        (right / 2, "G's loss is halved: there is one batch of fakes, and a mean over it."),
    )
    require(same(got, right), "G's loss is not -E log D(G(z)).")
    require(got.requires_grad, "No gradient flows from G's loss to its fakes: detach only for D.")


def _one_number(loss: Any) -> Tensor:
    require(
        isinstance(loss, Tensor) and loss.shape == (),
        "A loss must be one number, a tensor without dimensions: it is averaged over the wrong "
        "axis, or not at all. The axis of the batch is the first.",
    )
    return loss


class _Recorder(nn.Module):
    """A linear layer that records, for each call, its mode (training or not) and its input."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.layer = nn.Linear(n_in, n_out)
        self.calls: list[tuple[bool, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((self.training, x))
        return self.layer(x)


@exercise
def check_discriminator_step(step: Callable) -> str:
    """step(G, D, optimiser, x, z) updates D once, leaves G unchanged, and returns D's loss."""
    g, d = _Recorder(3, 2), _Recorder(2, 1)
    d.eval()  # as after drawing samples
    x, z = torch.randn(64, 2) + 2.0, torch.randn(64, 3)
    for parameter in d.parameters():  # old gradients, as a turn of G leaves them in D
        parameter.grad = torch.full_like(parameter, 100.0)
    before = [[p.detach().clone() for p in net.parameters()] for net in (g, d)]
    rate, right = 0.1, _right_step(g.layer, d.layer, x, z)
    optimiser = torch.optim.SGD(d.parameters(), lr=rate)
    got = step(g, d, optimiser, x, z)
    _check_generator(g, before[0])
    _check_calls(d, x, g.layer(z))
    moved = [(old - new) / rate for old, new in zip(before[1], d.parameters(), strict=True)]
    _check_move(moved, right)
    loss = -value(*_both(nn.functional.linear(torch.cat([x, g.layer(z)]), *before[1])))
    require(
        same(number(got.detach() if isinstance(got, Tensor) else got, MEAN), loss),
        "Return the loss of D that you descended: -V at the weights before the step.",
    )
    return "D, in training mode, descended -V once; G and its gradients were left alone."


def _both(logits: Tensor) -> tuple[Tensor, Tensor]:
    real, fake = logits[:, 0].chunk(2)
    return real, fake


def _right_step(g: nn.Linear, d: nn.Linear, x: Tensor, z: Tensor) -> list[Tensor]:
    """The gradient of -V with respect to D's weight and bias."""
    loss = -value(*_both(d(torch.cat([x, g(z).detach()]))))
    return list(torch.autograd.grad(loss, list(d.parameters())))


def _check_generator(g: nn.Module, before: list[Tensor]) -> None:
    same_weights = all(torch.equal(a, b) for a, b in zip(before, g.parameters(), strict=True))
    require(
        same_weights,
        "The generator was updated in D's turn: step D's optimiser alone. It would learn to be "
        "caught.",
    )
    require(
        all(p.grad is None for p in g.parameters()),
        "Gradients of D's loss have reached the generator: detach its fakes in D's turn, or G's "
        "next step begins with gradients that teach it to be caught.",
    )


def _check_calls(d: _Recorder, x: Tensor, fakes: Tensor) -> None:
    require(len(d.calls) > 0, "D was never called.")
    require(
        all(training for training, _ in d.calls),
        "D was in the wrong mode: it was left in eval mode, where dropout is off, batch norm and "
        "spectral norm stand still. Call D.train() first.",
    )
    seen = torch.cat([images for _, images in d.calls])
    for images, which in ((x, "the real images"), (fakes, "the fakes G(z)")):
        found = ((images[:, None] - seen).abs().amax(dim=2) < 1e-4).any(dim=1).all()
        require(found, f"D never saw {which}: it must see both, in one call or in two.")


def _check_move(moved: list[Tensor], right: list[Tensor]) -> None:
    """Compare D's step, divided by the learning rate, with the gradient of -V (weight and bias)."""
    flat, wanted = (torch.cat([p.flatten() for p in part]).detach() for part in (moved, right))
    require(flat.abs().max() > 0, "D did not move: call backward() and then optimiser.step().")
    for wrong, why in (
        (-wanted, "D went the wrong way: it descends -V. Or its labels are swapped: real is 1."),
        (64 * wanted, "D's loss is summed over the batch: average it."),
    ):
        require(not same(flat, wrong), why)
    require(
        flat.abs().max() < 50,
        "Old gradients were left in D: call optimiser.zero_grad() before backward().",
    )
    if same(flat, wanted) or same(flat, wanted / 2):
        return
    against = torch.dot(flat, wanted) < 0
    require(not against, "D's labels are swapped: 1 for real images, 0 for generated ones.")
    raise Misconception("D did not take one step down the gradient of -V.")


@exercise
def check_covered_modes(count: Callable) -> str:
    """count(x, means, sigma): modes with at least 1 % of all samples within 3 sigma."""
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0], [8.0, 0.0]])
    sigma = 0.5

    def place(mode: int, n: int, dx: float, dy: float = 0.0) -> Tensor:
        return (means[mode] + torch.tensor([dx, dy])).repeat(n, 1)

    few = place(1, 8, 0.2)  # 0.8 % of all 1,000, but more than 1 % of those near a mode
    corner = place(2, 100, 1.3, 1.3)  # within 3 sigma = 1.5 on each axis, but 1.84 away
    narrow = place(3, 100, 1.0)  # 2 sigma away
    x = torch.cat([place(0, 92, 0.0), few, corner, narrow, place(4, 700, 0.0, 1.6)])
    right = modes(x, Mixture("five", means, sigma)).covered
    found = int(number(count(x, means, sigma), "how many modes are covered"))
    for wrong, why in (
        (5, "Every mode is counted, however few samples are near it."),
        (4, "Far too many: samples more than 3 sigma away, or too few of them, are counted."),
        (3, "One too many: 1 % is of all samples, and the distance is Euclidean."),
        (1, "One too few: within 3 sigma, and sigma is a standard deviation, not a variance."),
        (0, "None is found: the distance of each sample to each mode is (n, modes)."),
    ):
        require(found != wrong, f"{found} modes of a mixture with {right} covered. {why}")
    require(found == right, f"You count {found} modes, {right} are covered.")
    exactly = torch.cat([place(0, 10, 0.0), place(1, 990, 0.0)])
    require(int(count(exactly, means, sigma)) == 2, "A mode with exactly 1 % is covered: use >=.")
    agrees(
        lambda *given: float(count(*given)),
        lambda x, means, sigma: torch.tensor(float(modes(x, Mixture("", means, sigma)).covered)),
        _samples_near_modes,
        [(400, 6), (90, 3), (1_000, 9)],
        form="how many modes are covered",
    )
    return "at least 1 % of all samples within 3 standard deviations, in Euclidean distance."


def _samples_near_modes(rng: Generator, n: int, places: int) -> Arguments:
    means = 6 * torch.randn(places, 2, generator=rng)
    which = (torch.rand(n, generator=rng) ** 3 * places).long()  # some modes are rare
    x = means[which] + 0.8 * torch.randn(n, 2, generator=rng)
    return {"x": x, "means": means, "sigma": 0.4}


@exercise
def check_squared_slope(penalty: Callable) -> str:
    """penalty(D, x): E ||grad_x f(x)||^2 as one number, differentiable in D's weights."""
    torch.manual_seed(0)
    d = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Softplus(), nn.Linear(5, 1))
    x = torch.randn(6, 1, 2, 2)
    got = _one_number(penalty(d, x.clone()))
    inputs = x.clone().requires_grad_()
    right = squared_slope(d(inputs)[:, 0], inputs)
    (slope,) = torch.autograd.grad(d(inputs).sum(), inputs)
    norms = slope.flatten(1).norm(dim=1)
    require_none_of(
        got,
        (right / 4, "It is averaged over the wrong axis: the norm sums over all pixels."),
        (6 * right, "It is summed over the batch: average over the images."),
        (norms.mean(), "The norm is not squared."),
        ((norms - 1).square().mean(), "That pulls the slope to 1 (WGAN-GP); R1 pulls it to 0."),
        (right / 36, "This is the slope of the batch's mean of f: differentiate f.sum()."),
        (right / 2, "The 1/2 belongs to the loss, penalty / 2 times R1: leave it out here."),
        (right.sqrt(), "This is the root of the mean square."),
    )
    require(same(got, right), "Not the mean over the images of ||grad_x f(x)||^2.")
    require(
        got.requires_grad,
        "D cannot learn from it: pass create_graph=True, so that it is differentiable once more.",
    )
    for n, c, size in ((5, 1, 2), (1, 2, 3), (9, 1, 1)):
        first, last = nn.Linear(c * size * size, 3), nn.Linear(3, 1)
        d = nn.Sequential(nn.Flatten(), first, nn.Dropout().eval(), nn.Tanh(), last)
        x = torch.randn(n, c, size, size)
        inputs = x.clone().requires_grad_()
        got = call(lambda D, x=x: penalty(D, x.clone()), {"D": d})
        right = squared_slope(d(inputs)[:, 0], inputs)
        require(same(got, right), f"It is right for some sizes, but not for {tuple(x.shape)}.")
        compare_gradients(got, right, {"D's weights": first.weight, "D's last": last.weight})
    return "the squared slope of f at the images, summed over pixels, averaged over the images."


LEAST_NEAR = 0.93
"""Share of the samples that exercise 5 wants near a mode."""


@exercise
def check_sharp_modes(train: Callable) -> str:
    """train(data) gives G: all eight modes covered, at least LEAST_NEAR of the samples near one."""
    generator = train(EIGHT_GAUSSIANS)
    require(
        callable(generator),
        "Return the generator G itself, which maps latent vectors to points, not its samples.",
    )
    z = torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x, again = generator(z), generator(z)
    require_shape(x, (10_000, 2), "(n, 2)")
    require(torch.equal(x, again), "G must give the same points for the same latent vectors.")
    require(x.isfinite().all(), "Training diverged: not every point is finite. Lower the rates.")
    found = modes(x, EIGHT_GAUSSIANS)
    words = f"{found.covered} of 8 modes covered, {found.near:.1%} of the samples near one"
    require(
        found.covered == 8,
        f"{words}. Modes are missing: train longer, or compare the learning rates of G and D.",
    )
    require(
        found.near >= LEAST_NEAR,
        f"{words}; {LEAST_NEAR:.0%} are wanted. All modes are there, but too many samples lie "
        "between them. Does it help to lower both learning rates towards the end?",
    )
    return f"{words}."
