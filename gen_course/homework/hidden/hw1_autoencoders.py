"""Hidden tests of homework 1: contractive penalties, k-sparse codes, a mask schedule."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor, nn

from gen_course.common.checks import require, require_none_of, require_shape, same
from gen_course.common.properties import (
    Arguments,
    agrees,
    call,
    for_every,
    learnt,
    repeatable,
    require_mean,
    require_normal,
    require_uniform_places,
    seeded,
)


def contractive_penalty(answer: Callable) -> None:
    """The penalty of one layer of sigmoids, at codes z (n, K) and weights W (K, D)."""

    def arguments(rng: Generator, n: int, K: int, D: int) -> Arguments:
        z = torch.sigmoid(2 * torch.randn(n, K, generator=rng))
        return {"z": learnt(z), "W": learnt(torch.randn(K, D, generator=rng))}

    extreme = {
        "z": learnt(torch.tensor([[0.0, 1.0, 0.5], [1e-6, 0.999, 0.2]])),
        "W": learnt(300 * torch.eye(3)[:, [0, 0, 1, 2]]),
    }
    agrees(
        answer,
        _right_penalty,
        arguments,
        [(7, 5, 5), (1, 3, 8), (4, 9, 2), (12, 1, 1)],  # square first: no shape tells
        extremes=[extreme],
        mistakes=_mistakes_of_penalty,
        form="take the mean over the images",
        formula="Not sum_k (z_k (1 - z_k))^2 sum_d W_kd^2, averaged over images.",
    )


def _right_penalty(z: Tensor, W: Tensor) -> Tensor:
    jacobian = (z * (1 - z))[:, :, None] * W
    return jacobian.square().sum() / len(z)


def _mistakes_of_penalty(z: Tensor, W: Tensor) -> Iterator[tuple[Tensor, str]]:
    slope, squared, wanted = z * (1 - z), W**2, _right_penalty(z, W)
    yield wanted * len(z), "It is summed over the batch: take the mean over the images."
    for share in (5, 25):
        why = "It is averaged over the units or pixels: ||J||_F^2 is a sum over both."
        yield wanted / share, why
    yield (
        (slope @ squared.sum(1)).mean(),
        "The slope z (1 - z) is not squared: each entry of J is z_k (1 - z_k) W_kd, squared.",
    )
    yield (slope**2 @ W.sum(1)).mean(), "The weights are not squared."
    yield (slope**2 @ W.abs().sum(1)).mean(), "The weights are not squared."
    yield squared.sum(), "The slope is missing: this is weight decay, whatever the image."
    yield (
        (z**2 @ squared.sum(1)).mean(),
        "z itself stands for the slope: the derivative of a sigmoid is z (1 - z).",
    )
    yield (
        (slope**2 @ squared.sum(0)).mean(),
        "W is summed over the wrong dimension: a unit's slope goes with its own row of W.",
    )
    yield wanted.sqrt(), "This is the norm: the penalty is its square."
    yield (
        (slope**2 @ squared.sum(1)).sqrt().mean(),
        "This is the mean norm: the penalty is the mean of its square.",
    )


class _Encoder(nn.Module):
    """Codes tanh(x) W^T of images; with a part of its own in each mode."""

    def __init__(self, K: int, D: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.randn(K, D, generator=seeded(K)))
        self.still = nn.Dropout(0.5).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.still(torch.tanh(x.flatten(1)) @ self.W.T)


def jacobian_norm(answer: Callable) -> None:
    """Hutchinson's estimate, at encoders of several sizes.

    False alarms: 6 means, one distribution and one mean over pairs of units, below 1e-7 together.
    """

    def estimate(encode: Callable, x: Tensor, rng: Generator) -> Tensor:
        got = call(answer, {"encode": encode, "x": x, "rng": rng})
        require_shape(got, (len(x),), "(n,), one estimate for each image")
        return got

    A = torch.tensor([[1.0, -2, 0.5, 0, 1, 0], [0, 1, 1, -1, 0, 2], [2, 0, 0, 1, -1, 0]])
    B = torch.tensor([[1.0, 2.0], [0.5, -1.0], [-1.5, 0.3], [1.0, 1.0], [0.0, 2.0]])
    _check_estimates(estimate, A, 1_400, (1, 2, 3))
    _check_directions(estimate)
    whole = [(A, 4_000, (1, 2, 3), 2.0), (B, 5_000, (2, 1, 1), 2.0), (A, 2_000, (1, 2, 3), 9.0)]
    for_every(lambda *case: _check_means(estimate, *case), whole)
    for K, sizes in ((3, (5, 1, 2, 3)), (4, (1, 2, 2, 1)), (7, (3, 3, 1, 2))):
        _check_weights(estimate, _Encoder(K, math.prod(sizes[1:])), torch.randn(sizes))


def _images(A: Tensor, n: int, most: float) -> Tensor:
    """Two images of D numbers each, in turns: (n, D)."""
    D = A.shape[1]
    return torch.stack([torch.linspace(most, -1.0, D), torch.ones(D)]).repeat(n // 2, 1)


def _estimates(estimate: Callable, A: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Estimates for an encoder whose Jacobian is A diag(x)."""

    def encode(images: Tensor) -> Tensor:
        return (images.flatten(1) ** 2) @ A.T / 2

    return estimate(encode, x.reshape(-1, *shape), seeded(3)).detach()


def _check_means(
    estimate: Callable, A: Tensor, n: int, shape: tuple[int, ...], most: float
) -> None:
    x = _images(A, n, most)
    value, right = _estimates(estimate, A, x, shape), (A.square().sum(0) * x**2).sum(1)
    for k in (0, 1):
        require_mean(value[k::2], right[k], "The mean of your estimates is not ||J||_F^2.")


def _check_estimates(estimate: Callable, A: Tensor, n: int, shape: tuple[int, ...]) -> None:
    """Look for the results of known mistakes."""
    (K, D), x = A.shape, _images(A, n, 2.0)
    value, right = _estimates(estimate, A, x, shape), (A.square().sum(0) * x**2).sum(1)
    signed = (A.sum(0) * x).square().sum(1)  # what v = (1, 1, 1) gives
    most = value.max()
    cut = most == most.round() and (value == most).sum() > n / 9
    require(not cut, f"The result is cut off at {float(most):.4g}.")
    require_none_of(
        value,
        (right, "No direction is drawn: this is exact, with K backward passes. Use one."),
        (signed, "v is missing: this is the gradient of the sum of all units, whose signs cancel."),
    )
    require(
        not same(value[::2], value[0].expand(n // 2)),
        "All images share one v: draw it in the shape of z, or one bad draw spoils a whole batch.",
    )
    for wrong, why in (
        (right / D, "It is averaged over the pixels: the norm is a sum over d."),
        (right / K**2, "It is averaged over the units: v . z is a sum over k."),
        (right / (K * n) ** 2, "v . z is averaged over the batch: each gradient is divided by n."),
        (signed / 4 + right / 12, "v has mean 1/2: draw with randn, not rand."),
    ):
        require((value.mean() / wrong.mean() - 1).abs() > 0.06, why)
    require(
        (value.square().mean() / right.mean() - 1).abs() > 0.06,
        "This is the norm: return its square.",
    )


def _check_directions(estimate: Callable) -> None:
    """Look at v itself: where J has one entry, the estimate is the square of one number of v."""
    n, K = 1_500, 4
    signs = torch.randint(2, (2 * n, K)) * 2 - 1.0  # the estimate hides those of v

    def draw(rng: Generator) -> Tensor:  # (n, K)
        state, columns = rng.get_state(), []
        for row in torch.eye(K):  # the same v each time, seen through another unit
            rng.set_state(state)
            x = row.expand(n, K).reshape(n, K, 1, 1).clone()
            columns.append(estimate(lambda images: images.flatten(1) ** 2 / 2, x, rng).detach())
        return torch.stack(columns, dim=1)

    squares = repeatable(draw, "directions v")
    require(squares.isfinite().all() and squares.min() >= 0, "A squared norm is never negative.")
    require_normal(signs * squares.sqrt(), f"For {n} images of 4 channels the numbers of v")


def _check_weights(estimate: Callable, encode: _Encoder, x: Tensor) -> None:
    """Compare the gradient with a difference, which is exact: the estimate is quadratic in W."""
    got = estimate(encode, x.clone(), seeded(5))
    require(
        got.requires_grad,
        "The estimate cannot be differentiated again: autograd.grad needs create_graph=True.",
    )
    direction = torch.randn(encode.W.shape)
    weights = encode.W.detach().clone()
    along = torch.zeros((), requires_grad=True)

    def moved(by: float | Tensor) -> Tensor:
        def shifted(images: Tensor) -> Tensor:
            return torch.tanh(images.flatten(1)) @ (weights + by * direction).T

        return estimate(shifted, x.clone(), seeded(5))

    weights_of_images = torch.linspace(1.0, 2.0, len(x))
    up, down, here = moved(1.0).detach(), moved(-1.0).detach(), moved(along)
    right = (weights_of_images * (up - down) / 2).sum()
    (found,) = torch.autograd.grad((weights_of_images * here).sum(), along, allow_unused=True)
    require(
        found is not None and (found - right).abs() < 1e-4 * (up + down).sum(),
        "The gradient with respect to the weights is wrong: part of the way is detached.",
    )


def k_sparse(answer: Callable) -> None:
    """The k largest units of each row of h (n, K)."""

    def arguments(rng: Generator, n: int, K: int, k: int) -> Arguments:
        return {"h": learnt(torch.randn(n, K, generator=rng) - 1), "k": k}  # many are negative

    large = torch.tensor([[-3e4, 5e4, 2.0, -7e4], [-1e-3, -2e3, -5.0, -9e4]])
    agrees(
        answer,
        _right_k_sparse,
        arguments,
        [(6, 6, 2), (3, 9, 4), (1, 5, 5), (11, 7, 1)],
        extremes=[{"h": learnt(large), "k": 2}, {"h": learnt(large - 1e5), "k": 3}],
        mistakes=_mistakes_of_k_sparse,
        form="(n, K)",
        formula="Not the k largest units of each image, all others zero.",
    )
    for equal, k in (([1.0, 1.0, 1.0, 0.5], 2), ([-2.0, -3.0, -2.0, -2.0, -2.0], 3)):
        h = torch.tensor([equal])
        got = call(answer, {"h": h, "k": k})
        require(
            (got != 0).sum() == k,
            "Equal units are all kept: comparing with the k-th largest value keeps more than k.",
        )
        require(same(got.sum(), k * h.max()), "Of equal units those that are kept must not change.")


def _right_k_sparse(h: Tensor, k: int) -> Tensor:
    return _keep(h, k, h, 1)


def _keep(h: Tensor, k: int, score: Tensor, dim: int) -> Tensor:
    """Set all but the k numbers with the highest scores along a dimension to zero."""
    order = score.argsort(dim=dim, descending=True)
    return h * torch.zeros_like(h).scatter(dim, order.narrow(dim, 0, k), 1.0)


def _mistakes_of_k_sparse(h: Tensor, k: int) -> Iterator[tuple[Tensor, str]]:
    kept = _right_k_sparse(h, k)
    yield (
        _keep(h, k, h, 0),
        "The largest are sought across the batch: look at the units of each image.",
    )
    yield (
        h * (h >= h.flatten().topk(k * len(h)).values[-1]),
        "The 2n largest of the whole batch are kept: take k for each image.",
    )
    yield _keep(h, k, h.abs(), 1), "The largest in absolute value are kept: very negative is small."
    yield _keep(h, k, -h, 1), "The smallest units are kept."
    yield h - kept, "The largest units are removed: keep them."
    yield (kept != 0).float(), "The places are returned: the units keep their values."
    yield kept.relu(), "Negative units among the k largest are lost: they keep their values."
    yield kept.softmax(1), "The units are rescaled: those that are kept stay as they were."
    yield h, "Nothing is set to zero."


def cosine_mask(answer: Callable) -> None:
    """Numbers of hidden patches, and that their places are drawn uniformly.

    False alarms: 43 shares of places, 318 of pairs, 2 overlaps, each below 1e-10.
    """

    def draw(u: Tensor, P: int, rng: Generator) -> Tensor:
        got = call(answer, {"u": u, "patches": P, "rng": rng})
        require_shape(got, (len(u), P), "(n, patches)")
        require(got.dtype == torch.bool, f"The mask must be True or False; it is {got.dtype}.")
        return got

    count = draw(torch.full((100,), 0.4), 25, seeded(6)).sum(1)
    require(
        (count == count[0]).all(),
        "Images with the same u hide different numbers: a coin for each patch gives the share only "
        "on average. Rank random numbers and hide the first m(u).",
    )
    for_every(_check_counts, ((draw, n, P) for n, P in ((100, 25), (200, 25), (1, 4), (90, 49))))
    for last in (0.9999, 1 - 1e-6):
        late = draw(torch.full((100,), last), 25, seeded(2))
        require((late.sum(1) == 1).all(), f"At u = {last} no patch is hidden: nothing is learnt.")
    require(draw(torch.zeros(3), 7, seeded(2)).all(), "At u = 0 all patches are hidden.")
    for P, at, hidden in ((25, 0.71, 11), (18, 0.5, 13)):
        every = torch.full((4_000,), at)
        require_uniform_places(repeatable(lambda rng: draw(every, P, rng), "mask"), hidden)  # noqa: B023


def _check_counts(draw: Callable, n: int, P: int) -> None:
    u = torch.rand(n)
    exact = torch.cos(math.pi / 2 * u) * P
    u = torch.where((exact - exact.round()).abs() < 1e-3, 0.3, u)
    got = draw(u, P, seeded(n))
    count, right = got.sum(1), (torch.cos(math.pi / 2 * u) * P).ceil().long()
    wrong = {
        "True must mean hidden: you mark the visible patches.": P - right,
        "The number is cut off: round up, or some images hide nothing.": right - 1,
        "sin stands for cos: the schedule runs backwards.": (
            (torch.sin(math.pi / 2 * u) * P).ceil().long()
        ),
        "The schedule is linear, 1 - u: take the cosine.": ((1 - u) * P).ceil().long(),
        "All images hide as many as the first one: each has its own u.": right[:1].expand(len(u)),
        "The angle is in degrees or lacks pi / 2: cos(pi u / 2).": (u.cos() * P).ceil().long(),
    }
    for why, numbers in wrong.items():
        require(torch.equal(numbers, right) or not torch.equal(count, numbers), why)
    require(torch.equal(count, right), "Not ceil(cos(pi u / 2) P) hidden patches in every image.")
