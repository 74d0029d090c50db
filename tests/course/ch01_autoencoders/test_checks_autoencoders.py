"""Chapter 01's checks: right answers in any style pass, each classic mistake is named."""

import math

import pytest
import torch
from kinds import not_named
from sklearn.mixture import GaussianMixture
from torch.nn import functional as F

from gen_course.ch01_autoencoders.checks import (
    check_estimated_E,
    check_new_garments,
    check_pca,
    check_plane_angle,
    check_reconstruction_loss,
    check_ridge_probe,
)
from gen_course.common.checks import Misconception
from gen_lib.data import load
from gen_lib.models.autoencoder import PCA, DeepAutoencoder, reconstruction_loss
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained

# The loss


RIGHT_LOSSES = {
    "the library's": reconstruction_loss,
    "einsum": lambda y, x: torch.einsum("nchw,nchw->", y - x, y - x) / 2 / len(x),
    "mse_loss": lambda y, x: F.mse_loss(y, x, reduction="sum") / 2 / len(x),
    "norm": lambda y, x: 0.5 * ((y - x).flatten(1).norm(dim=1) ** 2).mean(),
    "loop": lambda y, x: (
        sum((a - b).square().sum() for a, b in zip(y, x, strict=True)) / 2 / len(y)
    ),
    "float64": lambda y, x: 0.5 * (y.double() - x.double()).pow(2).sum(dim=(1, 2, 3)).mean(),
}


@pytest.mark.parametrize("loss", RIGHT_LOSSES.values(), ids=RIGHT_LOSSES)
def test_right_losses_pass_in_any_style(loss):
    verdict = check_reconstruction_loss(loss)
    assert verdict.attempted
    assert repr(verdict).startswith("Right: 1/2 ||y - x||^2, summed over pixels, averaged")


WRONG_LOSSES = {
    "no half": (lambda y, x: (y - x).square().flatten(1).sum(1).mean(), "the 1/2"),
    "half the mean over pixels": (lambda y, x: 0.5 * (y - x).square().mean(), "over the pixels"),
    "mse per pixel": (lambda y, x: F.mse_loss(y, x), "mean squared error per pixel"),
    "sum over the batch": (lambda y, x: 0.5 * (y - x).square().sum(), "summed over the batch"),
    "bare sum": (lambda y, x: (y - x).square().sum(), "instead of averaged"),
    "absolute": (lambda y, x: 0.5 * (y - x).abs().flatten(1).sum(1).mean(), "not squared"),
    "root": (lambda y, x: 0.5 * (y - x).flatten(1).norm(dim=1).mean(), "drop the root"),
    "detached": (lambda y, x: reconstruction_loss(y.detach(), x), "do not detach"),
    "a number": (lambda y, x: reconstruction_loss(y, x).item(), "one number, a tensor"),
    "per image": (lambda y, x: 0.5 * (y - x).square().flatten(1).sum(1), "average over the batch"),
    "swapped sign": (lambda y, x: -reconstruction_loss(y, x), "Not E"),
    "zero": (lambda y, x: (y * 0).sum(), "Not E"),
}


@pytest.mark.parametrize(("loss", "words"), WRONG_LOSSES.values(), ids=WRONG_LOSSES)
def test_wrong_losses_are_told_their_mistake(loss, words):
    with pytest.raises(Misconception, match=words):
        check_reconstruction_loss(loss)


# Principal components


def by_svd(x, k):
    return torch.linalg.svd(x - x.mean(dim=0), full_matrices=False).Vh[:k]


def by_eigh(x, k):
    return torch.linalg.eigh(x.T.cov()).eigenvectors.T.flip(0)[:k]


def smallest_first(x, k):
    return torch.linalg.eigh(x.T.cov()).eigenvectors.T[:k]


RIGHT_COMPONENTS = {
    "the library's": lambda x, k: PCA.fit(x, k).components,
    "svd": by_svd,
    "eigh": by_eigh,
    "other signs": lambda x, k: -by_svd(x, k),
    "float64": lambda x, k: by_svd(x.double(), k),
    "pca_lowrank": lambda x, k: torch.pca_lowrank(x, q=5)[2].T[:k],
}


@pytest.mark.parametrize("components", RIGHT_COMPONENTS.values(), ids=RIGHT_COMPONENTS)
def test_right_components_pass_in_any_style(components):
    verdict = check_pca(components)
    assert verdict.attempted
    assert "plane of largest variance" in repr(verdict)


WRONG_COMPONENTS = {
    "mean not subtracted": (
        lambda x, k: torch.linalg.svd(x, full_matrices=False).Vh[:k],
        "subtract the mean",
    ),
    "smallest": (smallest_first, "smallest variance"),
    "columns": (lambda x, k: by_svd(x, k).T, "one direction per row"),
    "too many": (lambda x, k: by_svd(x, k + 1), r"\(k, d\) = \(2, 5\)"),
    "scaled": (lambda x, k: 2 * by_svd(x, k), "not orthonormal"),
    "rows of the matrix of columns": (
        lambda x, k: torch.linalg.eigh(x.T.cov()).eigenvectors.flip(1)[:k],
        "most variance",
    ),
    "first and last": (lambda x, k: by_svd(x, 5)[[0, 4]], "most variance"),
    "a tuple": (lambda x, k: tuple(by_svd(x, k)), "must be a tensor of shape"),
    "None": (lambda x, k: None, "must be a tensor of shape"),
}


@pytest.mark.parametrize(("components", "words"), WRONG_COMPONENTS.values(), ids=WRONG_COMPONENTS)
def test_wrong_components_are_told_their_mistake(components, words):
    with pytest.raises(Misconception, match=words):
        check_pca(components)


# E over all images, from a minibatch


def total(y, x):
    return 0.5 * (y - x).square().sum()


RIGHT_ESTIMATES = {
    "N / B": lambda y, x, N: N / len(x) * total(y, x),
    "mean": lambda y, x, N: N * reconstruction_loss(y, x),
    "from the error per pixel": lambda y, x, N: N * x[0].numel() / 2 * F.mse_loss(y, x),
    "float64": lambda y, x, N: N / len(x) * total(y.double(), x.double()),
}


@pytest.mark.parametrize("estimate", RIGHT_ESTIMATES.values(), ids=RIGHT_ESTIMATES)
def test_right_estimates_pass_in_any_style(estimate):
    assert check_estimated_E(estimate).attempted


WRONG_ESTIMATES = {
    "sum of the minibatch": (lambda y, x, N: total(y, x), "scale by N / B"),
    "mean per image": (lambda y, x, N: reconstruction_loss(y, x), "mean per image"),
    "not divided by B": (lambda y, x, N: N * total(y, x), "not divided by its size B"),
    "no half": (lambda y, x, N: 2 * N / len(x) * total(y, x), "the 1/2|The 1/2"),
    "half the mse": (lambda y, x, N: N / 2 * F.mse_loss(y, x), "averaged over the pixels"),
    "mse": (lambda y, x, N: F.mse_loss(y, x), "mean squared error per pixel"),
    "N mse": (lambda y, x, N: N * F.mse_loss(y, x), "N times the mean squared error"),
    "per image": (lambda y, x, N: (y - x).square().flatten(1).sum(1), "one number"),
    "detached": (lambda y, x, N: N * reconstruction_loss(y.detach(), x), "do not detach"),
}


@pytest.mark.parametrize(("estimate", "words"), WRONG_ESTIMATES.values(), ids=WRONG_ESTIMATES)
def test_wrong_estimates_are_told_their_mistake(estimate, words):
    with pytest.raises(Misconception, match=words):
        check_estimated_E(estimate)


# The angle between planes


def projector(a):
    return a @ torch.linalg.inv(a.T @ a) @ a.T


def sine(a, b):
    return torch.linalg.matrix_norm(projector(a) - projector(b), 2).clamp(max=1)


def cosines(a, b):
    bases = torch.linalg.qr(a).Q, torch.linalg.qr(b).Q
    return torch.linalg.svdvals(bases[0].T @ bases[1]).clamp(max=1)


RIGHT_ANGLES = {
    "projectors": lambda a, b: sine(a, b).asin().rad2deg(),
    "projectors in float64": lambda a, b: sine(a.double(), b.double()).asin().rad2deg(),
    "cosines in float64": lambda a, b: cosines(a.double(), b.double()).min().acos().rad2deg(),
    "a Python number": lambda a, b: math.degrees(math.asin(sine(a, b).item())),
    "pseudo-inverse": lambda a, b: (
        torch.linalg.matrix_norm(a @ a.pinverse() - b @ b.pinverse(), 2)
        .clamp(max=1)
        .asin()
        .rad2deg()
    ),
}


@pytest.mark.parametrize("angle", RIGHT_ANGLES.values(), ids=RIGHT_ANGLES)
def test_right_angles_pass_in_any_style(angle):
    assert check_plane_angle(angle).attempted


WRONG_ANGLES = {
    "radians": (lambda a, b: sine(a, b).asin(), "radians"),
    "smallest": (lambda a, b: cosines(a, b).max().acos().rad2deg(), "smallest angle"),
    "mean": (lambda a, b: cosines(a, b).acos().mean().rad2deg(), "mean of the angles"),
    "sine": (sine, "is the sine"),
    "cosine": (lambda a, b: cosines(a, b).min(), "is the cosine"),
    "complement": (lambda a, b: sine(a, b).acos().rad2deg(), "90 degrees minus"),
    "not orthonormal": (
        lambda a, b: torch.linalg.svdvals(a.T @ b).clamp(max=1).min().acos().rad2deg(),
        "need not be orthonormal",
    ),
    "float32 cosine": (lambda a, b: cosines(a, b).min().acos().rad2deg(), "float32 cannot"),
    "all angles": (lambda a, b: cosines(a, b).acos().rad2deg(), "one number"),
    "zero": (lambda a, b: 0.0, "50 and 20 degrees apart"),
}


@pytest.mark.parametrize(("angle", "words"), WRONG_ANGLES.values(), ids=WRONG_ANGLES)
def test_wrong_angles_are_told_their_mistake(angle, words):
    with pytest.raises(Misconception, match=words):
        check_plane_angle(angle)


# The linear probe


def ridge(h, labels, h_test, alpha, centre=1.0, targets=None, test_mean=None):
    targets = F.one_hot(labels).to(h) if targets is None else targets
    mean, middle = centre * h.mean(dim=0), centre * targets.mean(dim=0)
    gram = (h - mean).T @ (h - mean) + alpha * torch.eye(h.shape[1]).to(h)
    w = torch.linalg.solve(gram, (h - mean).T @ (targets - middle))
    return (h_test - (mean if test_mean is None else test_mean)) @ w + middle


def column_of_ones(h, labels, h_test, alpha):
    def add(a):
        return torch.cat([a, torch.ones(len(a), 1)], dim=1)

    return ridge(add(h), labels, add(h_test), alpha, centre=0.0)


def dual(h, labels, h_test, alpha):
    targets = F.one_hot(labels).float()
    mean, middle = h.mean(dim=0), targets.mean(dim=0)
    kernel = (h - mean) @ (h - mean).T + alpha * torch.eye(len(h))
    return (h_test - mean) @ (h - mean).T @ torch.linalg.solve(kernel, targets - middle) + middle


def by_lstsq(h, labels, h_test, alpha):
    mean, targets = h.mean(dim=0), F.one_hot(labels).float()
    d = h.shape[1]
    rows = torch.cat([h - mean, alpha**0.5 * torch.eye(d)])
    right = torch.cat([targets - targets.mean(dim=0), torch.zeros(d, targets.shape[1])])
    return (h_test - mean) @ torch.linalg.lstsq(rows, right).solution + targets.mean(dim=0)


def by_sklearn(h, labels, h_test, alpha):
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=alpha).fit(h.numpy(), F.one_hot(labels).numpy())
    return torch.from_numpy(model.predict(h_test.numpy()))


RIGHT_PROBES = {
    "closed form": ridge,
    "float64": lambda h, t, h_test, alpha: ridge(h.double(), t, h_test.double(), alpha),
    "dual": dual,
    "lstsq": by_lstsq,
    "sklearn": by_sklearn,
}


@pytest.mark.parametrize("probe", RIGHT_PROBES.values(), ids=RIGHT_PROBES)
def test_right_probes_pass_in_any_style(probe):
    assert check_ridge_probe(probe).attempted


WRONG_PROBES = {
    "no intercept": (lambda *a: ridge(*a, centre=0.0), "no intercept"),
    "penalised intercept": (column_of_ones, "intercept is penalised"),
    "no alpha": (lambda h, t, u, alpha: ridge(h, t, u, 0.0), "alpha is not used"),
    "n alpha": (lambda h, t, u, alpha: ridge(h, t, u, len(h) * alpha), "H is a sum"),
    "alpha / n": (lambda h, t, u, alpha: ridge(h, t, u, alpha / len(h)), "divided by n"),
    "targets' mean": (
        lambda h, t, u, alpha: ridge(h, t, u, alpha) - F.one_hot(t).float().mean(dim=0),
        "not added back",
    ),
    "plus and minus one": (
        lambda h, t, u, alpha: ridge(h, t, u, alpha, targets=2.0 * F.one_hot(t) - 1),
        "use 0 and 1",
    ),
    "own mean": (
        lambda h, t, u, alpha: ridge(h, t, u, alpha, test_mean=u.mean(dim=0)),
        "its own mean",
    ),
    "classes": (lambda *a: ridge(*a).argmax(dim=1), r"\(n_test, classes\)"),
    "softmax": (lambda *a: ridge(*a).softmax(dim=1), "not those of"),
}


@pytest.mark.parametrize(("probe", "words"), WRONG_PROBES.values(), ids=WRONG_PROBES)
def test_wrong_probes_are_told_their_mistake(probe, words):
    with pytest.raises(Misconception, match=words):
        check_ridge_probe(probe)


# New images from an autoencoder


def by_mixture(name="deep-ae", components=30):
    def sampler(x, n):
        model = load_pretrained(name, DeepAutoencoder)
        with torch.no_grad():
            codes = model.encode(x[:5_000]).double().numpy()
            mixture = GaussianMixture(components, covariance_type="full", random_state=0)
            z, _ = mixture.fit(codes).sample(n)
            return model.decode(torch.from_numpy(z).float())

    return sampler


def trained(x, n):
    torch.manual_seed(1)
    model = DeepAutoencoder(latent_size=5)
    fit(model, load("fashion_mnist").train, steps=1_000, show_bar=False)
    with torch.no_grad():
        codes = model.encode(x[:5_000])
        z, _ = GaussianMixture(30, random_state=0).fit(codes.double().numpy()).sample(n)
        return model.decode(torch.from_numpy(z).float())


def from_normal(x, n):
    return load_pretrained("deep-ae", DeepAutoencoder).decode(torch.randn(n, 16))


RIGHT_SAMPLERS = {"shipped": by_mixture(), "trained": trained}


@pytest.mark.parametrize("sampler", RIGHT_SAMPLERS.values(), ids=RIGHT_SAMPLERS)
def test_samplers_that_reach_the_number_pass(sampler):
    verdict = check_new_garments(sampler)
    assert verdict.attempted
    assert "1,000 new images with the course" in repr(verdict)


WRONG_SAMPLERS = {
    "N(0, I)": (from_normal, r"from N\(0, I\), from one Gaussian"),
    "untrained": (
        lambda x, n: DeepAutoencoder().decode(torch.randn(n, 16)) - 1,
        "decode them by a trained network",
    ),
    "training images": (lambda x, n: x[:n], "are training images"),
    "one image": (
        lambda x, n: (
            load_pretrained("deep-ae", DeepAutoencoder).reconstruct(x[:1]).repeat(n, 1, 1, 1)
        ),
        "All images are nearly alike",
    ),
    "from 0 to 1": (lambda x, n: (by_mixture(components=5)(x, n).clamp(-1, 1) + 1) / 2, "-1 to 1"),
    "one Gaussian": (by_mixture(components=1), "from one Gaussian"),
    "few components": (by_mixture(components=4), "take more components"),
    "flat": (lambda x, n: x[:n].flatten(1), r"\(n, 1, 28, 28\)"),
    "too few": (lambda x, n: x[: n // 2], r"\(n, 1, 28, 28\)"),
    "diverged": (lambda x, n: x[:n] * torch.nan, "NaN"),
}


@pytest.mark.parametrize(("sampler", "words"), WRONG_SAMPLERS.values(), ids=WRONG_SAMPLERS)
def test_wrong_samplers_are_told_their_mistake(sampler, words):
    with pytest.raises(Misconception, match=words):
        check_new_garments(sampler)


# Wrong answers of every kind, made from right ones


def estimated_E(y, x, N):
    return N / len(x) * total(y, x)


def principal_components(x, k):
    return by_svd(x, k)


def plane_angle(a, b):
    return sine(a, b).asin().rad2deg()


def ridge_probe(h_train, labels, h_test, alpha):
    return ridge(h_train, labels, h_test, alpha)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (check_reconstruction_loss, reconstruction_loss),
        (check_estimated_E, estimated_E),
        (check_pca, principal_components),
        (check_plane_angle, plane_angle),
        (check_ridge_probe, ridge_probe),
    ],
)
def test_a_wrong_answer_of_any_kind_is_named(check, answer):
    assert not_named(check, answer.__name__, answer) == []
