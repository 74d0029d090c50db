"""Checks for chapter 03: reparameterisation, KL, ELBO, importance weights, an experiment."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from gen_course.common.checks import (
    Misconception,
    exercise,
    require,
    require_none_of,
    require_one_number,
    require_shape,
    same,
)
from gen_course.common.properties import (
    Arguments,
    agrees,
    call,
    compare_gradients,
    for_every,
    learnt,
    lets_draw,
    repeatable,
    require_normal,
    require_right,
    seeded,
    watched,
)
from gen_lib.data import load
from gen_lib.models.vae import Posterior, binarise

RIGHT = ""  # the message of a term without a mistake
MOST_UNITS, MOST_NATS = 6, 253.0  # of the code and of the negative ELBO in the experiment
N_TEST = 2_000  # test images on which the experiment is measured


@exercise
def check_reparameterise(draw: Callable) -> str:
    """draw(mu, log_var, rng): z = mu + sigma * eps of shape (n, K), differentiable."""
    draw = watched(draw, "mu", "log_var", "rng")
    mu = torch.tensor([1.5, -0.5]).repeat(20_000, 1).requires_grad_()
    log_var = torch.tensor([0.25, 4.0]).log().repeat(20_000, 1).requires_grad_()
    z = draw(mu, log_var, torch.Generator().manual_seed(0))
    require_shape(z, (20_000, 2), "(n, K)")
    noise = (z - mu).detach()
    _check_eps(noise)
    values, most = z.detach(), float(z.detach().abs().max())
    ends = (values.abs() == most).sum() >= 3 and len(values.unique()) > values.numel() / 2
    require(not ends, f"z is cut off at {most:.4g}.")
    require(
        len(noise.unique(dim=0)) > 0.9 * len(noise) or len(noise.unique()) < 10,
        "The rows of eps recur: draw it in the shape of mu.",
    )
    _check_spread(noise.std(dim=0))
    _check_gradients(z, mu, log_var, noise)
    again, other = (draw(mu, log_var, torch.Generator().manual_seed(s)) for s in (0, 1))
    require(same(again, z), "The same seed gives another z: hand rng to randn.")
    require(not same(other, z), "Another seed gives the same z: draw eps with rng.")
    sizes = ((20_000, 2), (5, 3), (1, 4), (20, 1), (3, 7), (20_001, 2))
    for_every(_check_draw, ((draw, *size, wide) for wide in (1.0, 30.0) for size in sizes))

    def standard(rng: Generator) -> Tensor:
        mu, log_var = torch.full((1_500, 3), 2.0), torch.full((1_500, 3), math.log(9.0))
        return (draw(mu, log_var, rng) - 2) / 3

    require_normal(repeatable(standard, "numbers of eps"), "The numbers of eps")
    return "mu + sigma * eps with an eps for every number, and gradients to both."


def _check_draw(draw: Callable, n: int, K: int, wide: float) -> None:
    """Look at side effects and, for eps = (z - mu) / sigma as it is, at the gradients."""
    rng = seeded(n)
    mu, log_var = (
        learnt(part) for part in (wide * torch.randn(2, n, K, generator=rng)).clamp(-60, 60)
    )
    z = call(draw, {"mu": mu, "log_var": log_var, "rng": seeded(2)})
    require_shape(z, (n, K), "(n, K)")
    around_0 = draw(torch.zeros(n, K), log_var.detach(), seeded(2))
    eps = draw(torch.zeros(n, K), torch.zeros(n, K), seeded(2)).detach()
    right = (log_var / 2).exp() * eps
    require(
        same(around_0, right),
        f"sigma is cut off or protected where log_var lies between {log_var.min():.0f} and "
        f"{log_var.max():.0f}, or it depends on the sizes: sigma = exp(log_var / 2) for all.",
    )
    require(same(z, mu + right), "z is not mu + sigma * eps for other numbers or sizes.")
    compare_gradients(z, mu + right, {"mu": mu, "log_var": log_var})


def _check_eps(noise: Tensor) -> None:
    require(noise.abs().max() > 1e-6, "z is mu: nothing is drawn. Add sigma * eps.")
    require(
        not same(noise[0], noise[1]),
        "eps is shared over the batch: all images get the same noise. Draw it in the shape of mu.",
    )
    require(
        noise.T.corrcoef()[0, 1].abs() < 0.5,
        "eps is shared over the units of a code: draw it in the shape of mu.",
    )
    require(
        (noise.mean(dim=0) / noise.std(dim=0)).abs().max() < 0.1,
        "z - mu has a mean other than 0: eps must be standard normal (randn, not rand).",
    )


def _check_spread(spread: Tensor) -> None:
    """Check the standard deviations of z; the right ones are 0.5 and 2."""
    for wrong, why in (
        ((0.25, 4.0), "sigma^2: eps is multiplied by the variance; sigma = exp(log_var / 2)."),
        ((0.0625, 16.0), "sigma^4: log_var is log sigma^2, so sigma = exp(log_var / 2)."),
        ((2**-0.5, 2**0.5), "sqrt(sigma): halve log_var once."),
        ((1.0, 1.0), "1: sigma is not used."),
        ((math.log(4), math.log(4)), "|log sigma^2|: take exp(log_var / 2)."),
        ((math.log(2), math.log(2)), "|log sigma|: take the exp of log_var / 2."),
    ):
        ratio = spread / torch.tensor(wrong)
        require((ratio - 1).abs().max() > 0.1, f"z has standard deviation {why}")
    right = (spread / torch.tensor([0.5, 2.0]) - 1).abs().max() < 0.05
    require(right, f"z has standard deviations {spread.tolist()} in place of [0.5, 2.0].")


def _check_gradients(z: Tensor, mu: Tensor, log_var: Tensor, noise: Tensor) -> None:
    require(
        z.requires_grad,
        "No gradient passes through z: a random draw from N(mu, sigma^2) cuts it. "
        "Draw eps from N(0, 1) and compute z from it.",
    )
    to_mu, to_log_var = torch.autograd.grad(z.sum(), (mu, log_var), allow_unused=True)
    require(to_mu is not None, "No gradient passes through mu: do not detach it.")
    require(to_log_var is not None, "No gradient passes through sigma: do not detach it.")
    require(same(to_mu, torch.ones_like(mu)), "dz / dmu must be 1.")
    require(same(to_log_var, noise / 2), "dz / dlog_var must be sigma * eps / 2.")


@exercise
def check_kl(kl: Callable) -> str:
    """kl(mu, sigma): KL(N(mu, sigma^2) || N(0, I)), summed over units, averaged over the batch."""
    rng = torch.Generator().manual_seed(0)
    mu = torch.randn(5, 7, generator=rng).requires_grad_()
    sigma = (0.2 + torch.rand(5, 7, generator=rng)).requires_grad_()
    kl = watched(kl, "mu", "sigma", random=True)
    got = kl(mu, sigma)
    require_one_number(got)
    terms = _kl_terms(mu, 2 * sigma.log())
    require_none_of(got, *((wrong, why) for why, wrong in terms.items() if why != RIGHT))
    why = "Not the KL: for mu = 0 and sigma = 1 it must be 0, else > 0."
    require_right(got, terms[RIGHT], why)
    for name, gradient in zip(("mu", "sigma"), _gradients(got, mu, sigma), strict=True):
        require(gradient is not None, f"No gradient flows from your KL to {name}.")
    far = {
        "mu": learnt(torch.tensor([[80.0, -300.0], [0.0, 5.0], [1.0, 0.0]])),
        "sigma": learnt(torch.tensor([[1e-3, 60.0], [0.5, 1e-7], [1e-5, 20.0]])),
    }
    near = {"mu": learnt(torch.zeros(2, 3)), "sigma": learnt(torch.full((2, 3), 1e-7))}
    sizes = [(5, 7), (1, 3), (40, 1), (3, 20)]
    agrees(kl, _kl_to_prior, _gaussians, sizes, extremes=[far, near])
    return "1/2 sum_k (mu^2 + sigma^2 - log sigma^2 - 1), a mean over the batch, differentiable."


def _gaussians(rng: Generator, n: int, K: int) -> Arguments:
    mu, sigma = torch.randn(n, K, generator=rng), 0.2 + torch.rand(n, K, generator=rng)
    return {"mu": learnt(mu), "sigma": learnt(sigma)}


def _kl_to_prior(mu: Tensor, sigma: Tensor) -> Tensor:
    return ((mu**2 + sigma**2 - 1) / 2 - sigma.log()).sum(dim=1).mean()


def _kl_terms(mu: Tensor, log_var: Tensor) -> dict[str, Tensor]:
    """The right KL and common wrong ones: message that names the mistake -> value."""
    right = Posterior(mu, log_var).kl().sum(dim=1).mean()
    log_sigma, sigma, variance = log_var / 2, (log_var / 2).exp(), log_var.exp()
    squared_log = 0.5 * (mu**2 + variance - log_sigma**2 - 1).sum(dim=1).mean()
    no_square = 0.5 * (mu**2 + sigma - log_sigma - 1).sum(dim=1).mean()
    mixed = 0.5 * (mu**2 + sigma - log_var - 1).sum(dim=1).mean()
    return {
        RIGHT: right,
        "The KL is averaged over the units of the code: sum them, each costs its nats.": (
            right / mu.shape[1]
        ),
        "The KL is summed over the batch: take the mean over the images.": right * len(mu),
        "The 1/2 of the KL is missing.": 2 * right,
        "The KL has the wrong sign: it is never negative.": -right,
        "The KL has the wrong sign, and its 1/2 is missing.": -2 * right,
        "The KL holds log(sigma)**2: log sigma^2 is the log of the square.": squared_log,
        "The KL holds sigma where the variance sigma^2 belongs.": no_square,
        "The KL holds sigma in place of sigma^2, beside log sigma^2.": mixed,
        "The KL lacks its -1: it must be 0 where mu = 0 and sigma = 1.": right + mu.shape[1] / 2,
        "The KL lacks mu^2: nothing pulls the means to 0.": (
            right - 0.5 * mu.square().sum(dim=1).mean()
        ),
    }


def _gradients(got: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
    if not got.requires_grad:
        return (None,) * len(inputs)
    return torch.autograd.grad(got, inputs, allow_unused=True)


@exercise
def check_negative_elbo(loss: Callable) -> str:
    """loss(logits, x, mu, log_var) for x of -1 and 1: the negative ELBO, a mean over the batch."""
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 1, 4, 4, generator=rng).requires_grad_()
    x = torch.randn(5, 1, 4, 4, generator=rng).sign()
    mu, log_var = (torch.randn(5, 7, generator=rng).requires_grad_() for _ in range(2))
    loss = watched(loss, "logits", "x", "mu", "log_var", random=True)
    got = loss(logits, x, mu, log_var)
    require_one_number(got)
    _check_sum(
        got,
        _distortions(logits, x),
        _kl_terms(mu, log_var) | {"The KL is missing.": torch.tensor(0.0)},
    )
    for name, gradient in zip(
        ("logits", "mu", "log_var"), _gradients(got, logits, mu, log_var), strict=True
    ):
        require(gradient is not None, f"No gradient flows from your loss to {name}.")
    agrees(
        loss,
        _negative_elbo,
        _logits_and_codes,
        [(5, 4, 4, 7), (1, 3, 2, 2), (20, 1, 1, 1), (2, 5, 3, 12)],
        extremes=[_surely_wrong(), _far_codes(), _near_codes()],
    )
    return "-log p(x|z) summed over pixels plus the KL summed over units, a mean over the batch."


def _logits_and_codes(rng: Generator, n: int, h: int, w: int, K: int) -> Arguments:
    logits, bits = (torch.randn(n, 1, h, w, generator=rng) for _ in range(2))
    mu, log_var = (learnt(torch.randn(n, K, generator=rng)) for _ in range(2))
    return {"logits": learnt(logits), "x": bits.sign(), "mu": mu, "log_var": log_var}


def _surely_wrong() -> Arguments:
    """Logits that are sure, and half of them wrong."""
    given = _logits_and_codes(seeded(4), 2, 3, 2, 3)
    return {**given, "logits": learnt(200 * given["logits"].sign())}


def _far_codes() -> Arguments:
    """Variances from e^-25 to e^8."""
    given = _logits_and_codes(seeded(5), 2, 1, 1, 3)
    log_var = torch.tensor([[-25.0, 0.0, 8.0], [6.0, -9.0, -16.0]])
    return {**given, "mu": learnt(20 * given["mu"].detach()), "log_var": learnt(log_var)}


def _near_codes() -> Arguments:
    """Codes whose KL is nearly 0."""
    given = _logits_and_codes(seeded(6), 3, 1, 1, 3)
    return {**given, **{name: learnt(0.01 * given[name]) for name in ("mu", "log_var")}}


def _negative_elbo(logits: Tensor, x: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    distortion = -F.logsigmoid(x * logits).flatten(1).sum(dim=1).mean()
    return distortion + Posterior(mu, log_var).kl().sum(dim=1).mean()


def _distortions(logits: Tensor, x: Tensor) -> dict[str, Tensor]:
    """The right -log p(x|z) and common wrong ones: message that names the mistake -> value."""

    def cross_entropy(target: Tensor) -> Tensor:
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return each.flatten(1).sum(dim=1).mean()

    right, pixels = cross_entropy((x + 1) / 2), x[0].numel()
    return {
        RIGHT: right,
        "log p(x|z) is averaged over the pixels: sum them. Against a KL that is summed, the mean "
        "makes every code too expensive, as if beta were the number of pixels.": right / pixels,
        "log p(x|z) is summed over the batch: take the mean over the images.": right * len(x),
        "log p(x|z) has the wrong sign: a loss holds -log p(x|z).": -right,
        "x is -1 or 1, and your cross entropy takes it for 0 or 1: map it first.": cross_entropy(x),
        "Black and white are exchanged in log p(x|z).": cross_entropy((1 - x) / 2),
        "log p(x|z) of black and white pixels is a cross entropy, not a squared error.": (
            0.5 * (torch.tanh(logits / 2) - x).square().flatten(1).sum(dim=1).mean()
        ),
    }


def _check_sum(got: Tensor, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    """Raise with the messages of the wrong terms unless got is the sum of the two right ones."""
    whole = first[RIGHT] + second[RIGHT]
    if same(got, whole):
        return
    require(not same(got, -whole), "This is the ELBO itself: a loss is its negative.")
    for (why, a), (also, b) in product(first.items(), second.items()):
        if same(got, a + b):
            raise Misconception(f"{why} {also}".strip())
    require_right(got, whole, "Not the negative ELBO: compare each of the two terms by hand.")


@exercise
def check_importance_weighted(bound: Callable) -> str:
    """bound(log_likelihood, log_prior, log_q), each (S, n), gives (n,): log of the mean weight."""
    rng = torch.Generator().manual_seed(0)
    bound = watched(bound, "log_likelihood", "log_prior", "log_q", random=True)
    terms = torch.randn(3, 6, 4, generator=rng)
    log_likelihood, log_prior, log_q = terms
    log_w = log_likelihood + log_prior - log_q  # (S, n)
    got = bound(log_likelihood, log_prior, log_q)
    require(
        not (isinstance(got, Tensor) and got.shape == (6,)),
        "The mean runs over the images: it must run over the S codes of each, the first dimension.",
    )
    require_shape(got, (4,), "(n,)")
    right = log_w.logsumexp(dim=0) - math.log(6)
    require_none_of(got, *_mistakes_of_weights(log_likelihood, log_prior, log_q))
    require(same(got, right), "Not log 1/S sum_s p(x|z_s) p(z_s) / q(z_s|x).")
    deep = bound(log_likelihood - 500, log_prior, log_q)
    require(
        deep.isfinite().all(),
        "exp() of such numbers is 0 in float32 (log p(x|z) is about -230): use logsumexp.",
    )
    agrees(
        bound,
        lambda *terms: (terms[0] + terms[1] - terms[2]).logsumexp(dim=0) - math.log(len(terms[0])),
        _weights,
        [(6, 4), (1, 3), (3, 3), (50, 1), (2, 9)],
        extremes=[
            _weights(seeded(0), 5, 3, 60.0),
            _weights(seeded(1), 5, 3, 900.0),
            {"log_likelihood": terms[0] - 500, "log_prior": terms[1], "log_q": terms[2]},
        ],
        form="(n,)",
    )
    return "log of the mean weight p(x|z) p(z) / q(z|x), safe for very small weights."


def _mistakes_of_weights(
    log_likelihood: Tensor, log_prior: Tensor, log_q: Tensor
) -> Iterator[tuple[Tensor, str]]:
    log_w = log_likelihood + log_prior - log_q  # (S, n)
    log_S = math.log(len(log_w))
    right = log_w.logsumexp(dim=0) - log_S
    yield from (
        (log_w.mean(dim=0), "This is the mean of the logs, the ELBO: take the log of the mean."),
        (log_w.logsumexp(dim=0), "The weights are summed: their mean needs - log S."),
        (log_w.amax(dim=0), "This is the largest weight: take the log of the mean of all."),
        (
            (log_likelihood + log_prior).logsumexp(dim=0) - log_S,
            "q(z|x) is missing: codes were drawn from q, so each is weighted by p / q.",
        ),
        (
            (log_likelihood + log_prior + log_q).logsumexp(dim=0) - log_S,
            "q(z|x) is multiplied: codes were drawn from q, so each weight is divided by it.",
        ),
        (
            (log_likelihood - log_q).logsumexp(dim=0) - log_S,
            "The prior p(z) is missing from the weights.",
        ),
        (-right, "The sign is wrong: this is a bound on log p(x), not on -log p(x)."),
    )


def _weights(rng: Generator, S: int, n: int, scale: float = 1.0) -> Arguments:
    """Logarithms of likelihood, prior and q, both below and above 0 if the scale is large."""
    terms = scale * torch.randn(3, S, n, generator=rng)
    return dict(zip(("log_likelihood", "log_prior", "log_q"), terms, strict=True))


@exercise
def check_small_code(train: Callable) -> str:
    """train(grey) gives (encoder, decoder): at most 6 units, at most 253 nats on test images."""
    data = load("fashion_mnist")
    answer = call(lets_draw(partial(train, data.train.x)), {})  # no copy of 60,000 images
    require(
        isinstance(answer, tuple | list) and len(answer) == 2,
        "Return two things: the encoder and the decoder.",
    )
    encoder, decoder = answer
    seen = binarise(data.test.x[:N_TEST], torch.Generator().manual_seed(0))
    with torch.no_grad():
        code = encoder(seen)
        _check_code(code)
        q = Posterior(*code.chunk(2, dim=1))
        logits = decoder(q.draw(torch.Generator().manual_seed(1)))
    require_shape(logits, tuple(seen.shape), "(n, 1, 28, 28)")
    diverged = not (q.kl().isfinite().all() and logits.isfinite().all())
    require(not diverged, "Training diverged: not every number is finite. Lower the step size.")
    require(
        logits.min() < -1e-6,
        "The decoder's output is never negative: return logits, without a sigmoid or a ReLU.",
    )
    distortion = -F.logsigmoid(seen * logits).flatten(1).sum(dim=1).mean().item()
    rate, units = q.kl().sum(dim=1).mean().item(), q.mu.shape[1]
    found = f"distortion {distortion:.1f} + rate {rate:.1f} = {distortion + rate:.1f} nats"
    require(
        rate > 1,
        f"The code has collapsed: {found}. Is log p(x|z) a mean over the pixels in your loss?",
    )
    require(
        distortion + rate <= MOST_NATS,
        f"With {units} units your VAE has {found} on {N_TEST:,} test images; "
        f"{MOST_NATS:.0f} are allowed. Try more units (at most {MOST_UNITS}), or more steps.",
    )
    return f"{units} units, {found} on {N_TEST:,} test images."


def _check_code(code: Any) -> None:
    """Check the encoder's output: mu and log sigma^2 of at most ``MOST_UNITS`` units."""
    require(
        isinstance(code, Tensor) and code.ndim == 2 and len(code) == N_TEST,
        "The encoder must map images (n, 1, 28, 28) to one tensor (n, 2 K): mu, then log sigma^2.",
    )
    size = code.shape[1]
    require(
        size % 2 == 0,
        f"The encoder gives {size} numbers: it must give two for each unit, mu and log sigma^2.",
    )
    require(
        size <= 2 * MOST_UNITS,
        f"The code has {size // 2} units: at most {MOST_UNITS} are allowed.",
    )
