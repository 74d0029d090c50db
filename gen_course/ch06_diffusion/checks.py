"""Checks for chapter 06: noising, ancestral and DDIM steps, the loss, guidance, and times."""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn

from gen_course.common.checks import (
    exercise,
    require,
    require_none_of,
    require_one_number,
    require_shape,
    same,
)
from gen_course.common.properties import Arguments, agrees, require_normal
from gen_lib.data.toys import EIGHT_GAUSSIANS
from gen_lib.samplers import DDIM, Heun, exact, last
from gen_lib.schedules import Straight, Table, linear


@exercise
def check_alpha_bar(function: Callable) -> str:
    """function(beta) for beta_1 ... beta_T: alpha_bar_0 ... alpha_bar_T, that is T + 1 numbers."""
    table = linear(50, 0.01, 0.2)
    beta, right = table.beta[1:], table.alpha_bar
    got = function(beta.clone())
    alpha, one = 1 - beta, torch.ones(1, dtype=beta.dtype)
    require(
        not same(got, right[1:]),
        "alpha_bar is off by one: it begins with alpha_bar_0 = 1, the clean image.",
    )
    late = torch.cat([one, right])
    for wrong in (late, late[:-1]):
        require(not same(got, wrong), "alpha_bar is off by one: alpha_bar_1 is alpha_1.")
    for wrong, why in (
        (torch.cat([one, alpha]), "This is alpha_t: multiply all of them up to t."),
        (
            torch.cat([one, beta.cumprod(0)]),
            "beta and alpha are confused: alpha_bar_t is the product of alpha_s = 1 - beta_s.",
        ),
        (torch.cat([one, alpha.cumsum(0)]), "This is a sum: alpha_bar_t is a product."),
        (torch.cat([one, 1 - beta.cumsum(0)]), "The betas are added up: multiply the alphas."),
        (right.sqrt(), "This is signal_t, the root of alpha_bar_t."),
        (1 - right, "This is 1 - alpha_bar_t, the variance of the noise."),
    ):
        require(not same(got, wrong) and not same(got, wrong[1:]), why)
    require_shape(got, (51,), "(T + 1,)")
    require(
        same(got, right), "Not alpha_bar_t = (1 - beta_1) ... (1 - beta_t), from alpha_bar_0 = 1."
    )
    agrees(
        function,
        lambda beta: torch.cat([one, (1 - beta).cumprod(0)]),
        lambda rng, T: {"beta": 0.4 * torch.rand(T, generator=rng, dtype=beta.dtype)},
        [(50,), (1,), (7,)],
        form="(T + 1,)",
    )
    return "the product of all 1 - beta_s up to t, and 1 for the clean image."


@exercise
def check_noised(noised: Callable) -> str:
    """noised(x_0, t, eps, table): x_t (n, 1, h, w) in closed form, with one time per image."""
    table, t = linear(20, 0.01, 0.3), torch.tensor([1, 4, 9, 20])
    x_0, eps = torch.randn(2, 4, 1, 3, 3)
    got = noised(x_0.clone(), t.clone(), eps.clone(), table)
    require_shape(got, x_0.shape, "(n, c, h, w)")
    for signal, sigma, why in _wrong_scales(table, t):
        require(not same(got, signal * x_0 + sigma * eps), why)
    bar = _column(table.alpha_bar[t])
    for k in range(4):
        one = bar[k].sqrt() * x_0 + (1 - bar[k]).sqrt() * eps
        require(not same(got, one), "One time is used for all: reshape alpha_bar to (n, 1, 1, 1).")
    right = bar.sqrt() * x_0 + (1 - bar).sqrt() * eps
    require(same(got, right), "Not sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps.")
    agrees(noised, _noised, _noisy, [(4, 1, 3, 3), (1, 2, 2, 5), (9, 1, 1, 2)], form="(n, c, h, w)")
    return "sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, each image at its own time."


def _noisy(rng: Generator, *shape: int) -> Arguments:
    x_0, eps = torch.randn(2, *shape, generator=rng)
    t = torch.randint(1, 31, shape[:1], generator=rng)
    return {"x_0": x_0, "t": t, "eps": eps, "table": linear(30, 0.01, 0.2)}


def _noised(x_0: Tensor, t: Tensor, eps: Tensor, table: Table) -> Tensor:
    bar = _column(table.alpha_bar[t])
    return bar.sqrt() * x_0 + (1 - bar).sqrt() * eps


def _wrong_scales(table: Table, t: Tensor) -> Iterator[tuple[Tensor, Tensor, str]]:
    """Factors of the image and of the noise in common mistakes, and the message for each."""
    bar, alpha, beta = (_column(v[t]) for v in (table.alpha_bar, table.alpha, table.beta))
    signal, sigma = bar.sqrt(), (1 - bar).sqrt()
    for near in (t - 1, (t + 1).clamp(max=len(table.beta) - 1)):
        off = _column(table.alpha_bar[near])
        yield off.sqrt(), (1 - off).sqrt(), "alpha_bar is off by one: alpha_bar[t] is that of t."
    left_out = "A square root is left out: "
    yield bar, 1 - bar, "The square roots are left out: alpha_bar_t is about variances."
    yield signal, 1 - bar, left_out + "the noise is scaled by sqrt(1 - alpha_bar_t)."
    yield bar, sigma, left_out + "the image is scaled by sqrt(alpha_bar_t)."
    yield signal, 1 - signal, "sqrt(1 - alpha_bar_t) is not 1 - sqrt(alpha_bar_t)."
    yield sigma, signal, "Image and noise are exchanged: at t = 1 nearly all is image."
    one_step = "all steps up to t take alpha_bar_t."
    yield alpha.sqrt(), beta.sqrt(), "This is one step, with alpha_t: " + one_step
    yield beta.sqrt(), alpha.sqrt(), "beta and alpha are confused, and " + one_step
    yield signal, beta.sqrt(), "beta_t is the noise of one step: that of all is 1 - alpha_bar_t."


def _column(numbers: Tensor) -> Tensor:
    """One number for each image, shaped to multiply it."""
    return numbers.float().reshape(-1, 1, 1, 1)


@exercise
def check_ancestral_step(step: Callable) -> str:
    """step(x_t, eps, t, table, z): x_{t-1} by the mean and variance of q(x_{t-1} | x_t, x_0)."""
    table, t = linear(20, 0.01, 0.3), 12
    x_t, eps, z = torch.randn(3, 5, 1, 2, 2)
    mean = step(x_t.clone(), eps.clone(), t, table, torch.zeros_like(x_t))
    require_shape(mean, x_t.shape, "(n, c, h, w)")
    _check_mean(mean, x_t, eps, table, t)
    _check_noise(step(x_t.clone(), eps.clone(), t, table, z) - mean, z, table, t)
    last = [step(x_t.clone(), eps.clone(), 1, table, noise) for noise in (z, torch.zeros_like(z))]
    require(
        same(*last),
        "Noise is added at the last step: alpha_bar_0 = 1, so the posterior of x_0 has variance 0.",
    )
    agrees(step, _ancestral, _at_a_time, [(5, 1, 2, 2), (1, 3, 1, 4), (8, 1, 3, 2)], form=SHAPE)
    return "the mean and the variance of q(x_{t-1} | x_t, x_0), and no noise at the last step."


SHAPE = "(n, c, h, w)"


def _at_a_time(rng: Generator, *shape: int) -> Arguments:
    x_t, eps, z = torch.randn(3, *shape, generator=rng)
    T = 9 + len(x_t)
    t = int(torch.randint(2, T + 1, (), generator=rng))
    return {"x_t": x_t, "eps": eps, "t": t, "table": linear(T, 0.02, 0.3), "z": z}


def _ancestral(x_t: Tensor, eps: Tensor, t: int, table: Table, z: Tensor) -> Tensor:
    alpha, beta = float(table.alpha[t]), float(table.beta[t])
    bar, before = float(table.alpha_bar[t]), float(table.alpha_bar[t - 1])
    mean = (x_t - beta / (1 - bar) ** 0.5 * eps) / alpha**0.5
    return mean + ((1 - before) / (1 - bar) * beta) ** 0.5 * z


def _check_mean(got: Tensor, x_t: Tensor, eps: Tensor, table: Table, t: int) -> None:
    alpha, beta = (float(number) for number in (table.alpha[t], table.beta[t]))
    bar, before = float(table.alpha_bar[t]), float(table.alpha_bar[t - 1])

    def mean(noise: float, scale: float) -> Tensor:
        return (x_t - noise * eps) / scale

    root = (1 - bar) ** 0.5
    x_0 = mean(root, bar**0.5)
    require_none_of(
        got,
        (x_0, "This is x_0 itself, all the way in one step: x_{t-1} lies between it and x_t."),
        (mean(beta / (1 - before) ** 0.5, alpha**0.5), "alpha_bar is off by one: it is that of t."),
        (mean(beta / (1 - bar), alpha**0.5), "A square root is left out: sqrt(1 - alpha_bar_t)."),
        (mean(beta / root, alpha), "A square root is left out: divide by sqrt(alpha_t)."),
        (mean(alpha / root, beta**0.5), "beta and alpha are confused: alpha_t = 1 - beta_t."),
        (mean(alpha / root, alpha**0.5), "beta and alpha are confused: the noise is times beta_t."),
        (mean(beta / root, beta**0.5), "beta and alpha are confused: divide by sqrt(alpha_t)."),
        (
            mean(beta / root, bar**0.5),
            "One step divides by sqrt(alpha_t), not by sqrt(alpha_bar_t).",
        ),
        (mean(root, alpha**0.5), "All of the noise is taken away: one step takes beta_t of it."),
        (mean(-beta / root, alpha**0.5), "The noise is added: take it away."),
        (mean(beta / root, 1.0), "The step does not divide by sqrt(alpha_t)."),
    )
    require(
        same(got, mean(beta / root, alpha**0.5)),
        "Not the posterior's mean (x_t - beta_t / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t).",
    )


def _check_noise(got: Tensor, z: Tensor, table: Table, t: int) -> None:
    beta, bar, before = (
        float(number) for number in (table.beta[t], table.alpha_bar[t], table.alpha_bar[t - 1])
    )
    variance = (1 - before) / (1 - bar) * beta
    wrong = "The wrong posterior variance: "
    require_none_of(
        got,
        (0 * z, "No noise is added: this is the mean alone."),
        (variance * z, wrong + "z is multiplied by the variance, its root is left out."),
        (
            beta**0.5 * z,
            wrong + "beta_t is that of q(x_t | x_{t-1}), a step forward. A step back, once x_0 is "
            "known, has (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t.",
        ),
        (beta * z, wrong + "beta_t is that of a step forward, and its root is left out."),
        (((1 - bar) / (1 - before) * beta) ** 0.5 * z, wrong + "the fraction is upside down."),
        ((1 - before) ** 0.5 * z, wrong + "1 - alpha_bar_{t-1} is that of q(x_{t-1} | x_0)."),
        ((1 - bar) ** 0.5 * z, wrong + "1 - alpha_bar_t is that of q(x_t | x_0)."),
        (z, wrong + "z is not scaled."),
    )
    require(
        same(got, variance**0.5 * z),
        wrong + "it is (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t.",
    )


@exercise
def check_ddim_step(step: Callable) -> str:
    """step(x_t, eps, t, s, table): x_s for any s < t, without fresh noise (eta = 0)."""
    table, t, s = linear(20, 0.01, 0.3), 16, 7
    x_t, eps = torch.randn(2, 5, 1, 2, 2)
    got = step(x_t.clone(), eps.clone(), t, s, table)
    require_shape(got, x_t.shape, "(n, c, h, w)")
    bar = [float(table.alpha_bar[k]) for k in range(21)]
    x_0 = (x_t - (1 - bar[t]) ** 0.5 * eps) / bar[t] ** 0.5

    def to(k: int, image: Tensor = x_0) -> Tensor:
        return bar[k] ** 0.5 * image + (1 - bar[k]) ** 0.5 * eps

    require_none_of(
        got,
        (x_0, "This is x_0: noise it again, with the same eps, as far as s."),
        (x_t, "Nothing moved: x_s has the scales of s, not those of t."),
        (to(t - 1), "This is x_{t-1}: the step goes to s, which may be far away."),
        (to(s - 1), "alpha_bar is off by one: alpha_bar[s] is that of s."),
        (to(s + 1), "alpha_bar is off by one: alpha_bar[s] is that of s."),
        (bar[s] * x_0 + (1 - bar[s]) * eps, "The square roots are left out on the way to s."),
        (
            to(s, (x_t - (1 - bar[t]) * eps) / bar[t]),
            "The square roots are left out where x_0 is computed.",
        ),
        (to(s, x_t - (1 - bar[t]) ** 0.5 * eps), "x_0 lacks its division by sqrt(alpha_bar_t)."),
        (to(s, x_t), "x_t stands where the estimated x_0 belongs."),
        (bar[s] ** 0.5 * x_0, "The noise of s is missing: keep sqrt(1 - alpha_bar_s) eps."),
    )
    require(same(got, to(s)), "Not sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s) eps.")
    end = step(x_t.clone(), eps.clone(), t, 0, table)
    require(same(end, x_0), "At s = 0 nothing but x_0 is left, since alpha_bar_0 = 1.")
    again = step(x_t.clone(), eps.clone(), t, s, table)
    require(same(again, got), "It is not the same twice: with eta = 0 no fresh noise is drawn.")
    agrees(step, _ddim, _between_times, [(5, 1, 2, 2), (1, 3, 1, 4), (8, 1, 3, 2)], form=SHAPE)
    return "the estimated x_0, noised again with the same eps as far as s."


def _between_times(rng: Generator, *shape: int) -> Arguments:
    x_t, eps = torch.randn(2, *shape, generator=rng)
    T = 20 + len(x_t)
    s, t = sorted(torch.randperm(T, generator=rng)[:2].tolist())
    return {"x_t": x_t, "eps": eps, "t": t + 1, "s": s, "table": linear(T, 0.01, 0.3)}


def _ddim(x_t: Tensor, eps: Tensor, t: int, s: int, table: Table) -> Tensor:
    of_t, of_s = float(table.alpha_bar[t]), float(table.alpha_bar[s])
    x_0 = (x_t - (1 - of_t) ** 0.5 * eps) / of_t**0.5
    return of_s**0.5 * x_0 + (1 - of_s) ** 0.5 * eps


NOTHING = 10  # the label that means "no label"; the classes are 0 ... 9
HIDDEN = 0.1  # share of the labels that the loss replaces by NOTHING


class _Spy(nn.Module):
    """A network that records its inputs; its output depends on x_t and on the labels."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.4))
        self.told: list[tuple] = []

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        labels = torch.full((len(x_t),), NOTHING) if labels is None else labels
        self.told.append((x_t.detach(), torch.as_tensor(t), labels))
        return self.gain * x_t + torch.sin(labels.float()).reshape(-1, 1, 1, 1)


@exercise
def check_loss(loss: Callable) -> str:
    """loss(network, x_0, labels, table, rng): E ||network(x_t, t, labels) - eps||^2.

    A random tenth of the labels is replaced by 10, which means "no label".
    """
    network, table, n = _Spy(), linear(10, 0.05, 0.5), 6_000
    x_0, labels = torch.rand(n, 1, 2, 2) * 2 - 1, torch.arange(n) % NOTHING
    got = loss(network, x_0.clone(), labels.clone(), table, torch.Generator().manual_seed(1))
    require_one_number(got)
    require(len(network.told) == 1, "Call the network once, on the whole batch.")
    x_t, t, told = network.told[0]
    _check_times(t, n, int(table.last))
    eps = table.noise_in(x_t, t.double(), x_0)  # the noise that gives this x_t
    _check_what_is_seen(eps, t)
    _check_hidden(told, labels)
    y = network(x_t, t, told)
    right = (y - eps).square().mean()
    require_none_of(
        got,
        (n * right, "It is summed over the images: average them."),
        (4 * right, "It is summed over the pixels: average them."),
        (4 * n * right, "It is summed over images and pixels: average them."),
        ((y - x_0).square().mean(), "The network is asked for eps here, not for x_0."),
        ((y - x_t).square().mean(), "The network is compared with x_t: compare it with eps."),
        (right.sqrt(), "This is the root of the loss."),
    )
    require(same(got, right), "Not the mean of (network(x_t, t, labels) - eps)^2.")
    require(got.requires_grad, "No gradient flows from your loss to the network.")
    (slope,) = torch.autograd.grad(got, network.gain, allow_unused=True)
    (wanted,) = torch.autograd.grad(right, network.gain)
    require(
        slope is not None and same(slope, wanted),
        "The gradient for the network is wrong: part of the way is detached.",
    )
    require_normal(eps.float().flatten(1), "The numbers of eps")
    often = torch.bincount(t.long(), minlength=int(table.last) + 1)[1:] / n
    share = 1 / int(table.last)
    require(
        ((often - share).abs() < 6.5 * (share / n) ** 0.5).all(),
        "Some times are drawn more often than others: all of 1 ... T are equally likely.",
    )
    _check_repeats(loss, network, x_0, labels, table)
    return "the squared error of eps at a time of its own for each image, some labels hidden."


def _check_times(t: Tensor, n: int, last: int) -> None:
    require(
        t.shape == (n,) and bool((t != t.flatten()[0]).any()),
        "The time is not passed on, or one for all images: tell the network the t of each.",
    )
    require(
        bool((t == t.round()).all()) and t.min() >= 0 and t.max() <= last,
        "The network is to be told t itself, a whole number of 1 ... T.",
    )
    require(t.min() >= 1, "t = 0 is drawn: there is nothing to see in a clean image.")
    require(t.max() == last, "alpha_bar is off by one: t = T, the last, is never drawn.")


def _check_what_is_seen(eps: Tensor, t: Tensor) -> None:
    early, late = (eps[part].std() for part in (t <= t.float().mean(), t > t.float().mean()))
    require(
        (early - 1).abs() < 0.05 and (late - 1).abs() < 0.05,
        "x_t is not what its t says: the time that is passed on must be the one of alpha_bar_t, "
        "and x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps.",
    )
    require(
        not same(eps[0], eps[1]), "All images get the same noise: draw eps in the shape of x_0."
    )


def _check_hidden(told: Tensor, labels: Tensor) -> None:
    hidden = told == NOTHING
    require(
        hidden.any(), "Label dropout is missing: without it no estimate without a label is learnt."
    )
    require(not hidden.all(), "All labels are hidden: the network must see most of them.")
    require(
        same(told[~hidden].float(), labels[~hidden].float()),
        "Labels are mixed up: one that is not hidden stays with its image.",
    )
    share = hidden.float().mean()
    require(
        (share - HIDDEN).abs() < 0.02,
        f"{share:.0%} of the labels are hidden in place of {HIDDEN:.0%}.",
    )


def _check_repeats(
    loss: Callable, network: _Spy, x_0: Tensor, labels: Tensor, table: Table
) -> None:
    for seed in (1, 2):
        loss(network, x_0.clone(), labels.clone(), table, torch.Generator().manual_seed(seed))
    first, *_, again, other = (
        (table.noise_in(x_t, t.double(), x_0), t.float(), hidden.float())
        for x_t, t, hidden in network.told
    )
    require(
        all(same(a, b) for a, b in zip(first, again, strict=True)),
        "The same seed gives another draw: hand rng to every draw.",
    )
    for a, b, what in zip(first, other, ("noise", "time", "choice of labels"), strict=True):
        require(not same(a, b), f"Another seed gives the same {what}: draw it with rng.")


@exercise
def check_guided(guided: Callable) -> str:
    """guided(network, x_t, t, labels, w): (1 + w) eps with labels - w eps without."""
    network, w = _Spy(), 2.5
    x_t, t, labels = torch.randn(4, 1, 2, 2), torch.tensor([3, 9, 4, 7]), torch.tensor([2, 0, 7, 5])
    with torch.no_grad():
        a, b = network(x_t, t, labels), network(x_t, t)
        network.told.clear()
        got = guided(network, x_t.clone(), t.clone(), labels.clone(), w)
        told = list(network.told)
        plain = guided(network, x_t.clone(), t.clone(), labels.clone(), 0.0)
    require_shape(got, (4, 1, 2, 2), "(n, c, h, w)")
    for seen, time, _ in told:
        parts = seen.split(4) if len(seen) % 4 == 0 else [seen]
        require(all(same(part, x_t) for part in parts), "The network must see x_t as it is.")
        same_time = time.numel() % 4 == 0 and all(torch.equal(p, t) for p in time.split(4))
        require(same_time, "The time is not passed on: each call needs the t of each image.")
    require_none_of(
        got,
        (a, "There is no guidance: the weight is not used, or both calls saw the labels."),
        (b, "No labels are seen in either call."),
        (
            (1 - w) * a + w * b,
            "The guidance weight has the wrong sign: this pulls away from the labels.",
        ),
        ((1 + w) * b - w * a, "The two are exchanged: (1 + w) belongs to the one with labels."),
        (
            w * a + (1 - w) * b,
            "Here w = 0 is no guidance: this is the other convention, whose weight is 1 + w.",
        ),
        ((1 + w) * a + w * b, "The guidance weight has the wrong sign before the second term."),
        (w * (a - b), "This is the direction of the guidance alone: add it to the estimate."),
    )
    require(same(got, (1 + w) * a - w * b), "Not (1 + w) eps with labels - w eps without.")
    require(same(plain, a), "With w = 0 it must be the estimate with labels.")
    agrees(guided, _guided, _to_guide, [(4, 1, 2, 2), (1, 2, 3, 1), (9, 1, 1, 5)], form=SHAPE)
    return "the estimate with labels, moved away from the one without."


def _to_guide(rng: Generator, *shape: int) -> Arguments:
    n = shape[0]
    t, labels = (torch.randint(1, NOTHING, (n,), generator=rng) for _ in range(2))
    w = 3 * float(torch.rand((), generator=rng))
    x_t = torch.randn(shape, generator=rng)
    return {"network": _Spy(), "x_t": x_t, "t": t, "labels": labels, "w": w}


def _guided(network: nn.Module, x_t: Tensor, t: Tensor, labels: Tensor, w: float) -> Tensor:
    return ((1 + w) * network(x_t, t, labels) - w * network(x_t, t)).detach()


SHARE = 0.75  # of the error of equal steps that exercise 6 may leave


@exercise
def check_times(times: Callable) -> str:
    """times(): 11 times from 1 to 0 whose ten DDIM steps leave at most 0.75 of the usual error."""
    t = times()
    require_shape(t, (11,), "(11,): the start and the end of ten steps")
    t = t.double()
    require(
        bool(t[0] > t[-1]),
        "The times rise: a reverse process begins at the noise, at the time 1, and ends at 0.",
    )
    require(abs(float(t[0]) - 1) < 1e-6, f"The first time is {t[0]:.3g}: noise is at 1.")
    require(
        abs(float(t[-1])) < 1e-6,
        f"The last time is {t[-1]:.3g}: some noise is left unless the process ends at 0.",
    )
    require(bool((t[1:] < t[:-1]).all()), "Each time must be smaller than the one before.")
    mixture, schedule = EIGHT_GAUSSIANS, Straight()
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(1_000, 2, 1, 1, generator=rng, dtype=torch.float64)

    def ends(kind: type[DDIM] | type[Heun], moments: Tensor) -> Tensor:
        return last(kind(schedule).states(exact(mixture, schedule), z, moments)).x.flatten(1)

    right = ends(Heun, schedule.times(400))
    error, usual = (
        (ends(DDIM, moments) - right).norm(dim=1).mean().item()
        for moments in (t, schedule.times(10))
    )
    told = f"mean error {error:.4f}, with equal steps {usual:.4f}"
    require(
        error < 1.2 * usual,
        f"{told}: worse. Are the short steps near the noise? There the guess hardly changes.",
    )
    require(
        error <= SHARE * usual,
        f"{told}: more than {SHARE:g} of it. Try another spacing, and plot the error against it.",
    )
    return told + "."
