"""Checks for chapter 01: losses, principal components, angles, a linear probe, and samples."""

import math
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Generator, Tensor

from gen_course.common.checks import (
    exercise,
    number,
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
    for_every,
    learnt,
    lets_draw,
    require_right,
    seeded,
    watched,
)
from gen_lib.data import load
from gen_lib.metrics import frechet_distance, nearest
from gen_lib.models.autoencoder import PCA, reconstruction_loss
from gen_lib.models.base import in_batches
from gen_lib.models.judge import Judge
from gen_lib.training.checkpoints import load_judge

TO_REACH = 7.0  # course Fréchet distance of the samples of exercise 5
NAIVE = 12.0  # exceeded by draws from N(0, I) and by untrained networks
SAMPLES = 1_000


@exercise
def check_reconstruction_loss(loss: Callable) -> str:
    """loss(y, x) is 1/2 ||y - x||^2, summed over the pixels, averaged over the batch."""
    loss = watched(loss, "y", "x", random=True)
    y, x = two_batches()
    got = loss(y.requires_grad_(), x)
    require_one_number(got)
    require_E(got, y, x)
    require(got.requires_grad, "No gradient flows from your loss to y: do not detach it.")
    agrees(loss, reconstruction_loss, images, SIZES, extremes=[far_images()])
    return "1/2 ||y - x||^2, summed over pixels, averaged over images, differentiable."


SIZES = [(5, 1, 4, 4), (1, 3, 2, 5), (9, 2, 3, 1)]  # (n, c, h, w)


def images(rng: Generator, *shape: int) -> Arguments:
    """Outputs y that are learnt, and images x."""
    y, x = torch.randn(2, *shape, generator=rng)
    return {"y": learnt(y), "x": x}


def far_images() -> Arguments:
    """Outputs y that are far from the images x."""
    y, x = images(seeded(4), 4, 1, 3, 3).values()
    return {"y": learnt(300 * y), "x": x}


def two_batches() -> tuple[Tensor, Tensor]:
    """Five images y and five x of 4 x 4 random pixels."""
    y, x = torch.randn(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return y, x


def require_E(got: Tensor, y: Tensor, x: Tensor) -> None:
    """Raise, and name the mistake, unless got is E(w) per image for the output y and input x."""
    right, n, pixels = reconstruction_loss(y, x), len(x), x[0].numel()
    per_image = (y - x).flatten(1)
    for wrong, why in (
        (2 * right, "the 1/2 of E(w) is missing."),
        (n * right, "it is summed over the batch; E / N is a mean over the images."),
        (2 * n * right, "the 1/2 is missing, and it is summed over the batch instead of averaged."),
        (right / pixels, "it is averaged over the pixels; the norm ||y - x||^2 is their sum."),
        (2 * right / pixels, "it is the mean squared error per pixel: no 1/2, no sum over pixels."),
        (0.5 * per_image.abs().sum(dim=1).mean(), "the differences are not squared."),
        (0.5 * per_image.norm(dim=1).mean(), "the norm is not squared: drop the root."),
    ):
        require(not same(got, wrong), f"Not E(w) per image: {why}")
    require_right(got, right, "Not E(w) per image: compare it by hand for two pixels.")


@exercise
def check_estimated_E(estimate: Callable) -> str:
    """estimate(y, x, N): the lecture's E(w) over N images, estimated from a minibatch."""
    estimate = watched(estimate, "y", "x", "N", random=True)
    y, x = two_batches()
    got, n = estimate(y.requires_grad_(), x, 300), 300
    require_one_number(got)
    per_image = reconstruction_loss(y, x)
    per_pixel = 2 * per_image / x[0].numel()
    require_none_of(
        got,
        (per_image, "This is E / N, the mean per image: E is the sum over all N images."),
        (len(x) * per_image, "This sums the minibatch: its B images stand for N, scale by N / B."),
        (len(x) * n * per_image, "The sum over the minibatch is not divided by its size B."),
        (2 * n * per_image, "The 1/2 of E(w) is missing."),
        (n * per_pixel / 2, "It is averaged over the pixels; the norm ||y - x||^2 is their sum."),
        (per_pixel, "This is the mean squared error per pixel, as in tables: E is N D / 2 of it."),
        (n * per_pixel, "This is N times the mean squared error per pixel: D / 2 is missing."),
    )
    why = "Not E(w): for N = B it must be 1/2 of the sum of squares."
    require_right(got, n * per_image, why)
    require(got.requires_grad, "No gradient flows from your estimate to y: do not detach it.")
    agrees(
        estimate,
        lambda y, x, N: N * reconstruction_loss(y, x),
        lambda rng, *shape: {**images(rng, *shape), "N": 60 * shape[0] + shape[1]},
        SIZES,
        extremes=[{**far_images(), "N": 4}, {**far_images(), "N": 60_000}],
    )
    return "N / B times 1/2 of the sum of squares of the minibatch, differentiable."


@exercise
def check_pca(components: Callable) -> str:
    """components(x, k) gives the k orthonormal directions of largest variance as rows (k, d)."""
    rng = torch.Generator().manual_seed(0)
    scales = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.1])
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=rng)).Q
    x = 0.25 * ((torch.randn(2_000, 5, generator=rng) * scales) @ rotation.T + 4.0)
    components = watched(lets_draw(components), "x", "k", random=True)
    w, right = components(x, 2), PCA.fit(x, 2).components
    require_shape(w, (2, 5), "one direction per row, (k, d)")
    w = w.to(x)
    require(same(w @ w.T, torch.eye(2)), "The directions are not orthonormal: w @ w.T must be I.")
    mean = x.mean(dim=0) / x.mean(dim=0).norm()
    require(
        (w[0] @ mean).abs() < 0.99,
        "The first direction points at the mean: subtract the mean of x first.",
    )
    smallest = PCA.fit(x, 5).components[-2:]
    require(
        not same(w.T @ w, smallest.T @ smallest),
        "These are the directions of smallest variance: eigh sorts upwards, take the last ones.",
    )
    require(same(w.T @ w, right.T @ right), "The rows do not span the directions of most variance.")

    def check(n: int, d: int, k: int, size: float) -> None:
        agrees(
            lambda x, k: _projector(components(x, k), x, k),
            lambda x, k: _projector(PCA.fit(x, k).components, x, k),
            lambda rng, n, d, k: {"x": size * _cloud(rng, n, d, k)["x"], "k": k},
            [(n, d, k)],
            formula=f"Not the plane of most variance of {n} points in {d} dimensions, k = {k}.",
        )

    sizes = ((2_000, 5, 2), (300, 6, 1), (80, 9, 3), (7, 5, 2), (2_500, 5, 2))
    usual = [(*size, 0.25) for size in sizes]
    for_every(check, [*usual, (90, 6, 2, 1e-2), (90, 6, 2, 1e3)])
    _check_order(components)
    return "orthonormal rows that span the plane of largest variance."


def _cloud(rng: Generator, n: int, d: int, k: int) -> Arguments:
    """Points whose directions have the standard deviations 3, 1.5, 0.75 ..., with a mean."""
    rotation = torch.linalg.qr(torch.randn(d, d, generator=rng)).Q
    centred = torch.randn(n, d, generator=rng)
    centred = torch.linalg.qr(centred - centred.mean(dim=0)).Q * n**0.5
    return {"x": centred * (3 * 0.5 ** torch.arange(float(d))) @ rotation.T + 2.0, "k": k}


def _projector(w: Tensor, x: Tensor, k: int) -> Tensor:
    """w.T @ w for orthonormal rows w, of which signs and rotations are left open."""
    require_shape(w, (k, x.shape[1]), "one direction per row, (k, d)")
    w = w.to(x)
    require(same(w @ w.T, torch.eye(k)), "The directions are not orthonormal: w @ w.T must be I.")
    return w.T @ w


def _check_order(components: Callable) -> None:
    """One direction must be the first of two."""
    x = _cloud(seeded(6), 60, 6, 2)["x"]
    one, two = (components(x.clone(), k).to(x) for k in (1, 2))
    require(
        same(one.T @ one, two[:1].T @ two[:1]),
        "The first row is not the direction of largest variance: sort them from the largest on.",
    )


@exercise
def check_plane_angle(angle: Callable) -> str:
    """angle(a, b): the largest angle, in degrees, between the planes that the columns span."""
    angle = watched(angle, "a", "b", random=True)
    plain, mixed = _angle_of(angle, 50.0, 20.0, mixed=False), _angle_of(angle, 50.0, 20.0)
    for wrong, why in (
        (math.radians(50), "The angle is in radians: give degrees."),
        (20.0, "This is the smallest angle between the planes: give the largest."),
        (35.0, "This is the mean of the angles: give the largest."),
        (math.sin(math.radians(50)), "This is the sine of the angle: take asin, then degrees."),
        (math.cos(math.radians(50)), "This is the cosine of the angle."),
        (40.0, "This is 90 degrees minus the angle: a cosine is taken for a sine."),
    ):
        require(abs(plain - wrong) > 0.05 * wrong, why)
    if not abs(plain - 50) < 0.05:
        why = f"Two planes 50 and 20 degrees apart: you say {plain:.2f}."
        require_right(plain, torch.tensor(50.0), why)
    require(
        abs(mixed - 50) < 0.05,
        "Other axes of the same planes give another angle: the columns of a and b need not be "
        "orthonormal. Project with P = A (A^T A)^-1 A^T, or orthonormalise first.",
    )
    for right, allowed in ((0.01, 0.004), (0.0, 0.004), (90.0, 0.05)):
        got = _angle_of(angle, right, right / 2)
        require(
            abs(got - right) < allowed,
            f"Planes {right} degrees apart come out as {got:.4f}: near 1 a cosine in float32 "
            "cannot tell small angles apart, and past 1 it has none. Use the sine or float64; "
            "clamp it at 1 itself.",
        )
    cases = (
        (7, 8, 2, False),
        (1, 8, 2, False),
        (2, 3, 1, True),
        (3, 12, 3, True),
        (4, 40, 5, True),
    )
    for_every(_check_angle, ((angle, *case) for case in cases))
    return "the largest angle in degrees, whatever the axes, down to a hundredth of a degree."


def _angle_of(angle: Callable, first: float, second: float, mixed: bool = True) -> Tensor:
    """The student's angle for two planes with these two principal angles, in degrees."""
    a, b = _planes(seeded(0), torch.tensor([first, second]), 8)
    if mixed:  # the same planes, spanned by other vectors
        a, b = a @ torch.tensor([[2.0, 1.0], [0.5, 3.0]]), b @ torch.tensor([[1.0, -1.0], [0, 0.5]])
    return number(call(angle, {"a": a, "b": b}), "the largest angle")


def _planes(rng: Generator, degrees: Tensor, d: int) -> tuple[Tensor, Tensor]:
    """Orthonormal bases (d, k) of two planes with these k principal angles."""
    k, theta = len(degrees), degrees.deg2rad()
    basis = torch.linalg.qr(torch.randn(d, 2 * k, generator=rng)).Q
    return basis[:, :k], basis[:, :k] * theta.cos() + basis[:, k:] * theta.sin()


def _check_angle(angle: Callable, seed: int, d: int, k: int, mixed: bool) -> None:
    """Compare the angle between random planes, given by other vectors than their bases."""
    rng = seeded(seed)
    degrees = 5 + 80 * torch.rand(k, generator=rng)
    a, b = _planes(rng, degrees, d)
    if mixed:
        a, b = (
            40 * basis @ (2 * torch.eye(k) + 0.5 * torch.randn(k, k, generator=rng))
            for basis in (a, b)
        )
    got = number(call(angle, {"a": a, "b": b}), "the largest angle")
    right = degrees.max()
    require(
        abs(got - right) < 0.05,
        f"Two planes of {k} axes in {d} dimensions, {right:.2f} degrees apart: you say {got:.2f}.",
    )


@exercise
def check_ridge_probe(probe: Callable) -> str:
    """probe(h_train, labels, h_test, alpha) gives a score per class (n_test, classes)."""
    agrees(
        watched(probe, "h_train", "labels", "h_test", "alpha", random=True),
        _ridge,
        _features,
        [(45, 6, 4, 4), (12, 20, 3, 9), (70, 3, 6, 1), (9, 1, 2, 5), (30, 4, 4, 4)],
        extremes=[{**_features(seeded(8), 40, 5, 3, 6), "alpha": alpha} for alpha in (1e4, 0.5)]
        + [_scaled(50.0), _scaled(0.02)],
        mistakes=_mistakes_of_probe,
        form="(n_test, classes), with a column for each label up to the highest,",
        formula="The scores are not those of (H^T H + alpha I)^-1 H^T T.",
    )
    return "the closed form of ridge regression on one-hot targets, intercept not penalised."


def _features(rng: Generator, n: int, d: int, classes: int, m: int) -> Arguments:
    """Features of some classes, of which the second may be missing."""
    labels = torch.arange(n)[torch.randperm(n, generator=rng)] % classes
    if classes > 2 and n != 45:
        labels = torch.where(labels == 1, 0, labels)
    labels[n // 2] = classes - 1  # the highest is always there
    centres = 0.7 * torch.randn(classes, d, generator=rng) + 1.5
    h_train = centres[labels] + 0.4 * torch.randn(n, d, generator=rng)
    h_test = centres[torch.arange(m) % classes] + 0.5
    alpha = 3 + 4 * float(torch.rand((), generator=rng))
    return {"h_train": h_train, "labels": labels, "h_test": h_test, "alpha": alpha}


def _scaled(factor: float) -> Arguments:
    """Features times a factor, with the alpha that leaves the scores as they were."""
    given = _features(seeded(12), 40, 4, 3, 5)
    scaled = {name: factor * given[name] for name in ("h_train", "h_test")}
    return {**given, **scaled, "alpha": factor**2 * given["alpha"]}


def _ridge(
    h_train: Tensor, labels: Tensor, h_test: Tensor, alpha: float, centre: bool = True
) -> Tensor:
    """The scores, computed in float64."""
    h, targets = h_train.double(), torch.eye(int(labels.max()) + 1).double()[labels]
    means = h.mean(dim=0) * centre, targets.mean(dim=0) * centre
    gram = (h - means[0]).T @ (h - means[0]) + alpha * torch.eye(h.shape[1])
    w = torch.linalg.solve(gram, (h - means[0]).T @ (targets - means[1]))  # (d, classes)
    return ((h_test - means[0]) @ w + means[1]).float()


def _mistakes_of_probe(
    h_train: Tensor, labels: Tensor, h_test: Tensor, alpha: float
) -> tuple[tuple[Tensor, str], ...]:
    h, n, right = h_train, len(h_train), _ridge(h_train, labels, h_test, alpha)
    targets = torch.eye(right.shape[1])[labels]
    ones, ones_test = (torch.cat([part, torch.ones(len(part), 1)], 1) for part in (h, h_test))
    own_mean = h_test - h_test.mean(dim=0) + h.mean(dim=0)
    return (
        (_ridge(h, labels.flip(0), h_test, alpha), "The labels run backwards: row i has label i."),
        (
            _ridge(h, labels.sort().values, h_test, alpha),
            "The labels are sorted and the rows are not: row i has the label i.",
        ),
        (
            _ridge(h, labels, h_test, alpha, centre=False),
            "There is no intercept: subtract the mean of h_train, add the mean of the targets.",
        ),
        (
            _ridge(ones, labels, ones_test, alpha, centre=False),
            "The intercept is penalised too: centre H and T instead of adding a column of ones.",
        ),
        (_ridge(h, labels, h_test, 0.0), "alpha is not used: add alpha I to H^T H."),
        (_ridge(h, labels, h_test, n * alpha), "alpha is added to a mean: H^T H is a sum."),
        (_ridge(h, labels, h_test, alpha / n), "alpha is divided by n: add alpha I to H^T H."),
        (
            right - targets.mean(dim=0),
            "The mean of the targets is not added back to the scores.",
        ),
        (2 * right - 1, "The targets are -1 and 1: use 0 and 1."),
        (
            _ridge(h, labels, own_mean, alpha),
            "h_test is centred with its own mean: use that of h_train.",
        ),
    )


@exercise
def check_new_garments(sampler: Callable) -> str:
    """sampler(x, n) gives n images whose course Fréchet distance is at most TO_REACH."""
    judge, reference = _judged()
    x = load("fashion_mnist").train.x
    got = call(lets_draw(partial(sampler, x)), {"n": SAMPLES})  # no copy of 60,000 images
    require_shape(got, (SAMPLES, 1, 28, 28), "(n, 1, 28, 28)")
    got = got.detach().float()
    require(got.isfinite().all(), "Some pixels are NaN or infinite: did the training diverge?")
    require(
        got.min() < -0.5,
        "No pixel is black: the images of x have pixels from -1 to 1, so yours should, too.",
    )
    require(
        got.std(dim=0).max() > 0.1,
        "All images are nearly alike: draw new codes, and decode them by a trained network.",
    )
    few = got[:: SAMPLES // 100]
    copied = (nearest(few, x).distance < 0.1).float().mean().item()
    require(
        copied < 0.1,
        f"{copied:.0%} of your images are training images: decode codes from the mixture instead.",
    )
    score = frechet_distance(in_batches(judge.features, got, size=100), reference)
    found = f"Your images have the course Fréchet distance {score:.1f}; {TO_REACH:g} is asked."
    require(
        score < NAIVE,
        f"{found} So far away are images from N(0, I), from one Gaussian, or from a network that "
        "is not trained: fit a mixture to the codes of x, and look at reconstructions first.",
    )
    require(
        score <= TO_REACH,
        f"{found} If the reconstructions score no better, the autoencoder is the limit: train "
        "longer, or take more numbers. If they do, the mixture is: take more components.",
    )
    return f"{SAMPLES:,} new images with the course Fréchet distance {score:.1f}."


@cache
def _judged() -> tuple[Judge, Tensor]:
    """The judge, and its features of the first test images."""
    judge, x = load_judge(), load("fashion_mnist").test[:SAMPLES].images
    return judge, in_batches(judge.features, x, size=100)
