"""Checks of exercises: right answers in any style pass, each classic mistake is named."""

import pytest
import torch
from torch.nn import functional as F

from gen_lib.checks import Misconception, exercise
from gen_lib.checks.autoencoder import check_pca, check_reconstruction_loss
from gen_lib.models.autoencoder import PCA, reconstruction_loss


def stub(*arguments):
    raise NotImplementedError("write E here")


@pytest.mark.parametrize("check", [check_reconstruction_loss, check_pca])
def test_a_stub_is_not_attempted_and_raises_nothing(check):
    verdict = check(stub)
    assert not verdict.attempted
    assert repr(verdict) == "Not attempted yet: write E here."


@pytest.mark.parametrize("check", [check_reconstruction_loss, check_pca])
def test_a_check_keeps_its_docstring_and_leaves_the_random_state_alone(check):
    before = torch.get_rng_state()
    check(stub)
    assert torch.equal(torch.get_rng_state(), before)
    assert "(" in check.__doc__


def test_a_crash_of_the_students_function_is_not_hidden():
    def broken(y, x):
        return y.no_such_method()

    with pytest.raises(AttributeError):
        check_reconstruction_loss(broken)


def test_an_exercise_reports_what_it_verified():
    verdict = exercise(lambda function: "two plus two.")(len)
    assert verdict.attempted
    assert repr(verdict) == "Right: two plus two."


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
