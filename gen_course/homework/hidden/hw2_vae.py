"""Hidden tests of homework 2: the MMD, the MMD-VAE, and a VAE with a prior for each class."""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from gen_course.common.checks import require, require_none_of, require_shape, same
from gen_course.common.properties import (
    ERRORS,
    Arguments,
    agrees,
    call,
    compare_gradients,
    for_every,
    labels_of,
    learnt,
    repeatable,
    require_normal,
    seeded,
)


def mmd2(answer: Callable) -> None:
    """The unbiased estimate, of samples a (m, K) and b (n, K)."""

    def arguments(rng: Generator, m: int, n: int, K: int) -> Arguments:
        a, b = torch.randn(m, K, generator=rng), 1.5 * torch.randn(n, K, generator=rng) + 0.5
        width = 0.8 + float(torch.rand((), generator=rng))
        return {"a": learnt(a), "b": learnt(b), "width": width}

    def near(rng: Generator) -> Arguments:  # so near that the estimate is negative
        sample = torch.randn(6, 3, generator=rng)
        return {"a": learnt(sample), "b": learnt(sample + 0.01), "width": 1.3}

    sample, far = torch.randn(2, 6, 3, generator=seeded(9))
    cut = "It is cut off at 0: an unbiased estimate of a distance near 0 is often below it."
    agrees(
        answer,
        _right_mmd2,
        arguments,
        [(5, 7, 3), (6, 2, 4), (9, 9, 1), (2, 3, 5)],
        extremes=[{"a": learnt(sample + 6), "b": learnt(3 * far + 8), "width": 0.9}],
        mistakes=_mistakes_of_mmd2,
        form="all three sums end in a mean",
        formula="Not the unbiased estimate: compare each of the three terms by hand.",
    )
    agrees(answer, _right_mmd2, near, [()], formula=cut)


def _right_mmd2(a: Tensor, b: Tensor, width: float) -> Tensor:
    return _mmd(*_kernels(a, b, 1 / (2 * width**2)))


def _mmd(kaa: Tensor, kbb: Tensor, kab: Tensor, cross: float = 2.0, own: bool = True) -> Tensor:
    """The estimate from three kernel matrices; ``own`` leaves out pairs of a point with itself."""
    first, second = kaa.mean(), kbb.mean()
    if own:
        first, second = (
            (k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (kaa, kbb)
        )
    return first + second - cross * kab.mean()


def _kernels(a: Tensor, b: Tensor, scale: float, power: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel matrices of a with itself, of b with itself, and of a with b."""

    def k(u: Tensor, v: Tensor) -> Tensor:
        # cdist, unlike norm or sqrt, has the gradient 0 between equal points
        exact = "donot_use_mm_for_euclid_dist"
        return torch.exp(-torch.cdist(u, v, compute_mode=exact).pow(power) * scale)

    return k(a, a), k(b, b), k(a, b)


def _mistakes_of_mmd2(a: Tensor, b: Tensor, width: float) -> Iterator[tuple[Tensor, str]]:
    kernel, w = _kernels(a, b, 1 / (2 * width**2)), width
    off = [(k * (1 - torch.eye(len(k)))).mean() for k in kernel[:2]]
    yield (
        _mmd(*kernel, own=False),
        "The diagonal counts: k(a_i, a_i) = 1 says nothing about the distribution and biases "
        "the estimate. Leave out i = j.",
    )
    yield (
        off[0] + off[1] - 2 * kernel[2].mean(),
        "The diagonal is left out of the sum, but not of the count: divide by m (m - 1).",
    )
    yield (
        _mmd(*kernel, cross=1.0),
        "The term between the sets counts twice: the factor 2 is missing.",
    )
    yield _mmd(*kernel, cross=-2.0), "The term between the sets is added: subtract it."
    yield (
        _right_mmd2(a, b, width).abs().sqrt(),
        "This is the root: return the square, which may be negative.",
    )
    yield _mmd(*_kernels(a, b, 1 / w**2)), "The kernel lacks its 2: the square is over 2 w^2."
    yield _mmd(*_kernels(a, b, 1 / (2 * w))), "The width is not squared in the kernel."
    yield _mmd(*_kernels(a, b, w**2 / 2)), "The kernel multiplies by the width: divide by 2 w^2."
    yield _mmd(*_kernels(a, b, 1 / (2 * w**2), 1)), "The distance in the kernel is not squared."
    yield _mmd(*_kernels(a, b, 0.5)), "The width is ignored."
    yield (
        (a.mean(0) - b.mean(0)).square().sum(),
        "These are the means alone: samples with equal means and another spread differ, too.",
    )


class _Distance:
    """A symmetric distance of samples that keeps what it was called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        require(
            isinstance(a, Tensor) and isinstance(b, Tensor) and a.ndim == b.ndim == 2,
            "distance compares two samples, (n, K) each: the codes and draws from the prior.",
        )
        self.seen.append((a, b))
        return (a.mean(0) - b.mean(0)).square().sum() + (a.var() - b.var()).square()

    def last(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The codes and the draws of the last call, whatever their order."""
        require(
            bool(self.seen), "distance is never called: compare the codes with draws from the prior"
        )
        a, b = self.seen[-1]
        codes, prior = (b, a) if same(b, z) else (a, b)
        require(same(codes.detach(), z.detach()), "The distance does not get the codes z.")
        require(
            prior.shape == z.shape,
            "The distance needs as many draws from the prior as there are codes, each of K units.",
        )
        return codes, prior


def mmd_vae_loss(answer: Callable) -> None:
    """The distortion, then the distance between codes and draws, then these draws.

    False alarms: a mean, a variance, a shape, 6 correlations and 8 neighbours, below 1e-7.
    """
    _check_distortion(answer)
    sizes = ((9, 3, 3.0), (130, 5, 0.7), (2, 1, 40.0))
    for_every(_check_penalty, ((answer, *size) for size in sizes))
    n, K = 1_500, 4
    z, x = torch.randn(n, K), torch.ones(n, 1, 1, 2)

    def draw(rng: Generator) -> Tensor:
        distance = _Distance()
        _mmd_vae_loss(answer, x, x, z, 1.0, distance, rng)
        return distance.last(z)[1].detach().clone()

    prior = repeatable(draw)
    require(
        not same(prior[0], prior[1]),
        "One z' is used for all: draw each number of (n, K) by itself.",
    )
    require_normal(prior, "The draws from the prior")


def _mmd_vae_loss(
    answer: Callable,
    logits: Tensor,
    x: Tensor,
    z: Tensor,
    weight: float,
    distance: Callable,
    rng: Generator,
) -> Tensor:
    arguments = {"logits": logits, "x": x, "z": z, "weight": weight, "distance": distance}
    return call(answer, {**arguments, "rng": rng})


def _distortion(logits: Tensor, x: Tensor) -> Tensor:
    return -F.logsigmoid(x * logits).flatten(1).sum(1).mean()


def _check_distortion(answer: Callable) -> None:
    """With weight 0 the loss is -log p(x|z), in nats for each image."""

    def alone(logits: Tensor, x: Tensor) -> Tensor:
        z = torch.randn(len(x), 3, generator=seeded(4))
        return answer(logits, x, z, 0.0, _Distance(), seeded(7))

    def arguments(rng: Generator, n: int, h: int, w: int) -> Arguments:
        logits, bits = torch.randn(n, 1, h, w, generator=rng), torch.rand(n, 1, h, w, generator=rng)
        return {"logits": learnt(logits), "x": (bits < 0.5) * 2.0 - 1}

    sure = 200 * torch.tensor([1.0, -1.0, 1.0, -1.0]).reshape(2, 1, 1, 2)
    agrees(
        alone,
        _distortion,
        arguments,
        [(6, 2, 3), (2, 5, 1), (17, 1, 1)],
        extremes=[{"logits": learnt(sure), "x": torch.ones(2, 1, 1, 2)}],
        mistakes=_mistakes_of_distortion,
        form="take the mean over the images",
        formula="With weight 0 the loss is not the distortion -log p(x|z) per image.",
    )


def _mistakes_of_distortion(logits: Tensor, x: Tensor) -> Iterator[tuple[Tensor, str]]:
    (n, *_, h, w), right = x.shape, _distortion(logits, x)
    entropy = F.binary_cross_entropy_with_logits
    yield right / (h * w), "log p(x|z) is averaged over the pixels: it is a sum over all of them."
    yield right * n, "log p(x|z) is summed over the batch: take the mean over the images."
    yield -right, "The sign is wrong: a loss holds -log p(x|z)."
    yield (
        entropy(logits, x, reduction="sum") / n,
        "x is -1 or 1, and your cross entropy takes it for 0 or 1: map it first.",
    )
    yield _distortion(-logits, x), "Black and white are exchanged in log p(x|z)."
    yield (
        0.5 * (torch.tanh(logits / 2) - x).square().flatten(1).sum(1).mean(),
        "This is a squared error: log p(x|z) of black and white pixels is a cross entropy.",
    )


def _check_penalty(answer: Callable, n: int, K: int, weight: float) -> None:
    logits, z = learnt(torch.randn(n, 1, 2, 2)), learnt(2 * torch.randn(n, K) + 1)
    x, distance = torch.sign(torch.randn(n, 1, 2, 2)), _Distance()
    got = _mmd_vae_loss(answer, logits, x, z, weight, distance, seeded(n))
    codes, prior = distance.last(z)
    require(codes.requires_grad, "z is detached: then the MMD teaches the encoder nothing.")
    plain, apart = _distortion(logits, x), _Distance()(z, prior.detach())
    more = got - plain
    require_none_of(
        more,
        (0 * apart, "weight changes nothing: add weight * distance."),
        (apart, "The distance is added without its weight."),
        (-weight * apart, "The distance is subtracted: that drives codes and prior apart."),
        (weight * n * apart, "The distance is summed over the batch: it is about the whole batch."),
    )
    require(same(more, weight * apart), "Not weight * distance(z, z').")
    compare_gradients(got, plain + weight * apart, {"logits": logits, "z": z})


def kl_to_class(answer: Callable) -> None:
    """The KL from q(z|x) to the prior of its class, for each image."""

    def arguments(rng: Generator, n: int, K: int, classes: int) -> Arguments:
        mu, log_var = torch.randn(2, n, K, generator=rng)
        means = 2 * torch.randn(classes, K, generator=rng)
        labels = labels_of(rng, n, classes)
        given = {"mu": learnt(mu), "log_var": learnt(log_var - 0.5)}
        return {**given, "labels": labels, "means": learnt(means)}

    far = {
        "mu": learnt(torch.tensor([[80.0, -300.0], [0.0, 5.0], [1.0, 1.0]])),
        "log_var": learnt(torch.tensor([[-14.0, 9.0], [7.0, -30.0], [0.0, 12.0]])),
        "labels": torch.tensor([1, 2, 1]),
        "means": learnt(torch.tensor([[0.0, 0.0], [-50.0, 7.0], [3.0, 200.0]])),
    }
    agrees(
        answer,
        _right_kl_to_class,
        arguments,
        [(6, 4, 4), (5, 2, 7), (1, 3, 2), (20, 1, 3), (3, 6, 1)],  # square first: no shape tells
        extremes=[far],
        mistakes=_mistakes_of_kl_to_class,
        form="(n,)",
        formula="Not 1/2 sum_k ((mu_k - m_yk)^2 + sigma_k^2 - log sigma_k^2 - 1), y each label.",
    )


def _right_kl_to_class(mu: Tensor, log_var: Tensor, labels: Tensor, means: Tensor) -> Tensor:
    prior = Normal(means[labels], torch.ones_like(mu))
    return _kl(Normal(mu, (0.5 * log_var).exp()), prior)


def _kl(q: Normal, p: Normal) -> Tensor:
    return kl_divergence(q, p).sum(1)


def _mistakes_of_kl_to_class(
    mu: Tensor, log_var: Tensor, labels: Tensor, means: Tensor
) -> Iterator[tuple[Tensor, str]]:
    m, sigma, one = means[labels], (0.5 * log_var).exp(), torch.ones_like(mu)
    wanted = _right_kl_to_class(mu, log_var, labels, means)
    q, spread = Normal(mu, sigma), (sigma**2 - log_var - 1).sum(1)
    for batch in (wanted.mean(), wanted.sum()):
        yield batch, "Return one number for each image, (n,): no mean or sum over the batch."
    yield _kl(q, Normal(0 * m, one)), "The means are ignored: this is the KL to N(0, I) for all."
    yield _kl(Normal(-mu, sigma), Normal(m, one)), "mu and the mean are added: subtract them."
    yield (
        _kl(q, Normal(means.mT[labels], one)),
        "means is read by columns: the mean of class y is the row means[y].",
    )
    yield _kl(q, Normal(means[:1], one)), "All images get the prior of class 0."
    for sign, between in ((-1, "-"), (1, "+")):
        yield (
            0.5 * (mu**2 + sign * m**2).sum(1) + 0.5 * spread,
            f"mu^2 {between} m^2 is not (mu - m)^2: subtract before you square.",
        )
    yield 0.5 * (mu - m).sum(1) + 0.5 * spread, "The difference of the means is not squared."
    yield 2 * wanted, "The factor 1/2 is missing."
    yield -wanted, "The sign is wrong: a KL is never negative."
    yield wanted / 4, "It is averaged over the units: the KL is their sum."
    yield wanted + 2, "The - 1 is missing: at the prior itself the KL is 0."
    yield from _mistakes_of_log_var(mu, log_var, m)
    yield _kl(Normal(m, one), q), "The KL is reversed: it is from q(z|x) to the prior."


def _mistakes_of_log_var(mu: Tensor, log_var: Tensor, m: Tensor) -> Iterator[tuple[Tensor, str]]:
    sigma, prior = (0.5 * log_var).exp(), Normal(m, torch.ones_like(m))
    yield (
        _kl(Normal(mu, log_var.exp()), prior),
        "log_var is the log of the variance, not of sigma: sigma = exp(log_var / 2).",
    )
    yield (
        0.5 * ((mu - m) ** 2 + sigma**4 - log_var - 1).sum(1),
        "log_var is the log of the variance: sigma^2 = exp(log_var), without another square.",
    )
    yield (
        0.5 * ((mu - m) ** 2 + sigma - log_var - 1).sum(1),
        "sigma stands where its square belongs: sigma^2 = exp(log_var).",
    )


class _Decoder(nn.Module):
    """A linear decoder that keeps the codes it was given; one part is in another mode."""

    def __init__(self, K: int) -> None:
        super().__init__()
        self.columns = nn.Linear(K, K + 1)
        self.still = nn.Dropout(0.5).eval()
        self.seen: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        self.seen.append(z.detach().clone())
        return self.still(self.columns(z))


def draw_class(answer: Callable) -> None:
    """Codes around the mean of each label's class, and what the decoder makes of them.

    False alarms: 3 times 2 means for 3 classes, and the checks of a normal, below 1e-7 together.
    """
    means = torch.tensor([[4.0, -3.0], [-4.0, 2.0], [0.5, 4.5]])
    labels = torch.randint(3, (2_000,), generator=seeded(5))
    cases: list[tuple] = [(answer, labels, means)]
    for n, K, classes in ((1_500, 3, 6), (2_500, 1, 2), (1_200, 4, 10)):
        rng = seeded(n)
        others = 9 * torch.randn(classes, K, generator=rng) + 4
        cases.append((answer, labels_of(rng, n, classes), others, False))
    for_every(_check_codes, cases)
    for few in ([1], [2, 2], [0, 1, 2], list(range(10)), [7, 7, 0, 3]):
        _codes(answer, torch.tensor(few), torch.randn(10, 2), seeded(len(few)))


def _codes(answer: Callable, labels: Tensor, means: Tensor, rng: Generator) -> Tensor:
    """The codes that the answer decoded, of shape (n, K)."""
    n, K = len(labels), means.shape[1]
    decode = _Decoder(K)
    got = call(answer, {"decode": decode, "labels": labels, "means": means, "rng": rng})
    require(bool(decode.seen), "decode is never called.")
    codes = decode.seen[-1]
    require_shape(codes, (n, K), "(n, K), as what decode gets: all codes at once")
    require_shape(got, (n, K + 1), "what decode returns")
    decoded = [F.linear(z, decode.columns.weight, decode.columns.bias) for z in decode.seen]
    matching = [z for z, out in zip(decode.seen, decoded, strict=True) if same(got, out)]
    require(bool(matching), "Return what decode makes of the codes.")
    return matching[-1]


def _check_codes(answer: Callable, labels: Tensor, means: Tensor, first: bool = True) -> None:
    m = means[labels]
    eps = _codes(answer, labels, means, seeded(6)) - m
    if first:
        _require_no_slip(eps, labels, m)
    for y in labels.unique():
        own = eps[labels == y].flatten()
        require(
            own.mean().abs() < ERRORS / len(own) ** 0.5,
            f"The codes of class {int(y)} do not have the mean of their class.",
        )
    draws = repeatable(lambda rng: _codes(answer, labels, means, rng), "codes") - m.repeat(2, 1)
    require_normal(draws, "The numbers of eps")


def _require_no_slip(eps: Tensor, labels: Tensor, m: Tensor) -> None:
    """Look for the results of known mistakes in eps = z - m, (n, K)."""
    require(eps.abs().max() > 1e-4, "Every code is the mean of its class: add eps.")
    one, *others = (labels == labels[0]).nonzero()[:3, 0].tolist()
    require(
        not same(eps[0], eps[1]) and not any(same(eps[one], eps[other]) for other in others),
        "eps is shared: draw one for each number of (n, K).",
    )
    require(
        not same(eps[:, 0], eps[:, 1]), "eps is shared by the units: draw it in the shape (n, K)."
    )
    require(
        (eps + m).mean(0).abs().max() > 0.2,
        "The means of the classes are missing: this is N(0, I) for all.",
    )
    require((eps.mean(0) - 0.5).abs().max() > 0.05, "eps has mean 1/2: draw with randn, not rand.")
    require(
        (eps.std(dim=0) - 1).abs().max() < 0.5,
        "The means are shuffled among the labels: row y of means is for the label y.",
    )
