"""Chapter 02's checks: right answers in any style pass, each classic mistake is named."""

from types import SimpleNamespace

import pytest
import torch
from kinds import not_named
from torch import nn
from torch.nn import functional as F

from gen_course.ch02_sparse_denoising_masked.checks import (
    check_denoising_loss,
    check_masked_loss,
    check_random_mask,
    check_sparse_loss,
    check_to_patches,
    check_train_denoiser,
)
from gen_course.ch02_sparse_denoising_masked.filters import blur, median, tune
from gen_course.common.checks import Misconception
from gen_lib.data import load
from gen_lib.models import DenoisingAutoencoder
from gen_lib.models.autoencoder import add_noise, reconstruction_loss
from gen_lib.models.masked import MaskedAutoencoder, count_hidden
from gen_lib.nets.vit import patchify
from gen_lib.training.checkpoints import load_pretrained

# Sparse


def sparse(penalty, error=reconstruction_loss):
    """Build a loss from its penalty on the code and its error."""
    return lambda y, x, z, sparsity: error(y, x) + sparsity * penalty(z)


RIGHT_SPARSE = {
    "sum then mean": sparse(lambda z: z.abs().sum(dim=1).mean()),
    "sum over all": sparse(lambda z: z.abs().sum() / len(z)),
    "norm": sparse(lambda z: z.norm(p=1, dim=1).mean()),
    "units times mean": sparse(lambda z: z.shape[1] * z.abs().mean()),
    "einsum": lambda y, x, z, sparsity: (
        0.5 * torch.einsum("nchw,nchw->n", y - x, y - x) + sparsity * z.abs().sum(1)
    ).mean(),
}


@pytest.mark.parametrize("loss", RIGHT_SPARSE.values(), ids=RIGHT_SPARSE)
def test_right_sparse_losses_pass_in_any_style(loss):
    assert check_sparse_loss(loss).attempted


WRONG_SPARSE = {
    "no penalty": (sparse(lambda z: 0.0), "lambda changes nothing"),
    "lambda unused": (
        lambda y, x, z, sparsity: reconstruction_loss(y, x) + z.abs().sum(1).mean(),
        "Not E",
    ),
    "mean over units": (sparse(lambda z: z.abs().mean()), "averaged over the units"),
    "sum over the batch": (sparse(lambda z: z.abs().sum()), "summed over the batch"),
    "squares": (sparse(lambda z: z.square().sum(1).mean()), "small, not zero"),
    "norm": (sparse(lambda z: z.norm(dim=1).mean()), "small, not sparse"),
    "signs": (sparse(lambda z: z.sum(1).mean()), "cancel"),
    "subtracted": (sparse(lambda z: -z.abs().sum(1).mean()), "rewards activity"),
    "halved": (sparse(lambda z: z.abs().sum(1).mean() / 2), "belongs to E alone"),
    "count": (sparse(lambda z: (z.detach() != 0).sum(1).float().mean()), "count active"),
    "E per pixel": (sparse(lambda z: z.abs().sum(1).mean(), F.mse_loss), "squared error per pixel"),
    "per image": (
        lambda y, x, z, sparsity: reconstruction_loss(y, x) + sparsity * z.abs().sum(1),
        "one number",
    ),
}


@pytest.mark.parametrize(("loss", "words"), WRONG_SPARSE.values(), ids=WRONG_SPARSE)
def test_wrong_sparse_losses_are_told_their_mistake(loss, words):
    with pytest.raises(Misconception, match=words):
        check_sparse_loss(loss)


# Denoising


def noised(x, sigma, rng):
    return x + sigma * torch.randn(x.shape, generator=rng)


def error(y, x):
    return (y - x).square().flatten(1).sum(dim=1).mean()


def denoising(noise, loss=error, target=lambda x, x_noised: x):
    """Build a loss from its noise, its error and its target."""

    def of(model, x, sigma, rng):
        x_noised = noise(x, sigma, rng)
        return loss(model(x_noised), target(x, x_noised))

    return of


RIGHT_DENOISING = {
    "by hand": denoising(noised),
    "the library's noise": denoising(lambda x, sigma, rng: add_noise(x, sigma, 0.0, rng)),
    "twice E": denoising(noised, lambda y, x: 2 * reconstruction_loss(y, x)),
    "normal": denoising(
        lambda x, sigma, rng: x + torch.normal(0.0, 1.0, x.shape, generator=rng) * sigma
    ),
    "in place": denoising(
        lambda x, sigma, rng: x.clone().add_(torch.randn(x.shape, generator=rng), alpha=sigma)
    ),
}


@pytest.mark.parametrize("loss", RIGHT_DENOISING.values(), ids=RIGHT_DENOISING)
def test_right_denoising_losses_pass_in_any_style(loss):
    assert check_denoising_loss(loss).attempted


WRONG_DENOISING = {
    "noised target": (denoising(noised, target=lambda x, x_noised: x_noised), "clean x"),
    "noised target, half": (
        denoising(noised, reconstruction_loss, lambda x, x_noised: x_noised),
        "clean x",
    ),
    "noised target, per pixel": (
        denoising(noised, F.mse_loss, lambda x, x_noised: x_noised),
        "clean x",
    ),
    "clean input": (denoising(lambda x, sigma, rng: x), "sees the clean images"),
    "clipped": (denoising(lambda *a: noised(*a).clamp(-1, 1)), "clipped"),
    "uniform": (
        denoising(lambda x, sigma, rng: x + sigma * torch.rand(x.shape, generator=rng)),
        "not rand",
    ),
    "variance": (denoising(lambda x, sigma, rng: noised(x, sigma**2, rng)), r"sigma\^2"),
    "root": (denoising(lambda x, sigma, rng: noised(x, sigma**0.5, rng)), "sqrt"),
    "sigma unused": (denoising(lambda x, sigma, rng: noised(x, 1.0, rng)), "multiply the noise"),
    "centred uniform": (
        denoising(lambda x, s, rng: x + s * (2 * torch.rand(x.shape, generator=rng) - 1)),
        "is it randn",
    ),
    "one noise": (
        denoising(lambda x, s, rng: x + s * torch.randn(x.shape[1:], generator=rng)),
        "same noise",
    ),
    "half": (denoising(noised, reconstruction_loss), "without the 1/2"),
    "per pixel": (denoising(noised, F.mse_loss), "averaged over the pixels"),
    "sum": (denoising(noised, lambda y, x: (y - x).square().sum()), "summed over the batch"),
    "no rng": (denoising(lambda x, s, rng: x + s * torch.randn_like(x)), "The same seed"),
    "own seed": (
        denoising(lambda x, s, rng: noised(x, s, torch.Generator().manual_seed(0))),
        "Another seed",
    ),
    "detached": (denoising(noised, lambda y, x: error(y.detach(), x)), "do not detach"),
    "twice": (
        lambda model, x, s, rng: (model(x), denoising(noised)(model, x, s, rng))[1],
        "called 2 times",
    ),
}


@pytest.mark.parametrize(("loss", "words"), WRONG_DENOISING.values(), ids=WRONG_DENOISING)
def test_wrong_denoising_losses_are_told_their_mistake(loss, words):
    with pytest.raises(Misconception, match=words):
        check_denoising_loss(loss)


# Patches


def by_loops(x, patch):
    rows, columns = (range(0, side, patch) for side in x.shape[2:])
    squares = [x[:, :, i : i + patch, j : j + patch].flatten(1) for i in rows for j in columns]
    return torch.stack(squares, dim=1)


def squares(x, p):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // p, p, w // p, p)  # (n, c, row, height, column, width)


RIGHT_PATCHES = {
    "the library's": patchify,
    "F.unfold": lambda x, p: F.unfold(x, p, stride=p).transpose(1, 2),
    "Tensor.unfold": lambda x, p: (
        x.unfold(2, p, p).unfold(3, p, p).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    ),
    "loops": by_loops,
}


@pytest.mark.parametrize("cut", RIGHT_PATCHES.values(), ids=RIGHT_PATCHES)
def test_right_patches_pass_in_any_style(cut):
    assert check_to_patches(cut).attempted


def arranged(*order):
    """Build a function that cuts patches with dimensions 1 to 5 of ``squares`` in this order."""
    return lambda x, p: squares(x, p).permute(0, *order).reshape(len(x), -1, x.shape[1] * p * p)


WRONG_PATCHES = {
    "reshape": (lambda x, p: x.reshape(len(x), -1, x.shape[1] * p * p), "cuts strips"),
    "column by column": (arranged(4, 2, 1, 3, 5), "row by row"),
    "channels last": (arranged(2, 4, 3, 5, 1), "channels must come first"),
    "transposed": (arranged(2, 4, 1, 5, 3), "transposed"),
    "exchanged": (arranged(4, 2, 1, 5, 3), "exchanged"),
    "no transpose": (lambda x, p: F.unfold(x, p, stride=p), r"\(n, patches, c"),
    "channel by channel": (
        lambda x, p: patchify(x.reshape(-1, 1, *x.shape[2:]), p),
        r"\(n, patches, c",
    ),
    "upside down": (lambda x, p: patchify(x.flip(2), p), "not those of the squares"),
}


@pytest.mark.parametrize(("cut", "words"), WRONG_PATCHES.values(), ids=WRONG_PATCHES)
def test_wrong_patches_are_told_their_mistake(cut, words):
    with pytest.raises(Misconception, match=words):
        check_to_patches(cut)


# The mask


def ranked(n, patches, ratio, rng):
    order = torch.rand(n, patches, generator=rng).argsort(dim=1)
    return order.argsort(dim=1) < round(ratio * patches)


def by_randperm(n, patches, ratio, rng):
    mask = torch.zeros(n, patches, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(patches, generator=rng)[: round(ratio * patches)]] = True
    return mask


def by_threshold(n, patches, ratio, rng):
    noise = torch.rand(n, patches, generator=rng)
    return noise <= noise.kthvalue(round(ratio * patches), dim=1, keepdim=True).values


def by_scatter(n, patches, ratio, rng):
    drawn = torch.ones(n, patches).multinomial(round(ratio * patches), generator=rng)
    return torch.zeros(n, patches, dtype=torch.bool).scatter(1, drawn, True)


RIGHT_MASKS = {
    "the library's": lambda n, P, ratio, rng: MaskedAutoencoder.random_mask(
        SimpleNamespace(patches=P, hidden=count_hidden(ratio, P)), n, rng
    ),
    "ranks": ranked,
    "one argsort": lambda n, P, r, rng: (
        torch.rand(n, P, generator=rng).argsort(dim=1) < count_hidden(r, P)
    ),
    "randperm": by_randperm,
    "threshold": by_threshold,
    "multinomial": by_scatter,
}


@pytest.mark.parametrize("draw", RIGHT_MASKS.values(), ids=RIGHT_MASKS)
def test_right_masks_pass_in_any_style(draw):
    assert check_random_mask(draw).attempted


WRONG_MASKS = {
    "coin": (lambda n, P, r, rng: torch.rand(n, P, generator=rng) < r, "a coin per patch"),
    "visible": (lambda *a: ~ranked(*a), "True must mean hidden"),
    "cut off": (lambda n, P, r, rng: ranked(n, P, int(r * P) / P, rng), "do not cut off"),
    "half hidden": (lambda n, P, r, rng: ranked(n, P, 0.5, rng), "must be hidden at 0.75"),
    "one mask": (lambda n, P, r, rng: ranked(1, P, r, rng).expand(n, -1), "the same patches"),
    "always the corner": (
        lambda n, P, r, rng: torch.cat(
            [ranked(n, P - 7, (round(r * P) - 7) / (P - 7), rng), torch.ones(n, 7).bool()], dim=1
        ),
        "equally likely",
    ),
    "numbers": (lambda *a: ranked(*a).float(), "True or False"),
    "no rng": (lambda n, P, r, rng: ranked(n, P, r, None), "The same seed"),
    "own seed": (
        lambda n, P, r, rng: ranked(n, P, r, torch.Generator().manual_seed(0)),
        "Another seed",
    ),
    "transposed": (lambda n, P, r, rng: ranked(P, n, r, rng), r"\(n, patches\)"),
    "ceiling": (lambda n, P, r, rng: ranked(n, P, -(-r * P // 1) / P, rng), r"round\(0.8"),
}


@pytest.mark.parametrize(("draw", "words"), WRONG_MASKS.values(), ids=WRONG_MASKS)
def test_wrong_masks_are_told_their_mistake(draw, words):
    with pytest.raises(Misconception, match=words):
        check_random_mask(draw)


# The masked loss


def by_weights(y, x, mask, patch):
    squared = patchify((y - x).square(), patch).mean(dim=2)  # (n, patches)
    return (squared * mask).sum() / mask.sum()


def on_pixels(y, x, mask, patch):
    side = x.shape[2] // patch
    grid = mask.reshape(-1, 1, side, side).float()
    hidden = F.interpolate(grid, scale_factor=patch) > 0
    return (y - x)[hidden].square().mean()


RIGHT_MASKED = {
    "boolean index": lambda y, x, mask, p: patchify(y - x, p)[mask].square().mean(),
    "mse_loss": lambda y, x, mask, p: F.mse_loss(patchify(y, p)[mask], patchify(x, p)[mask]),
    "weights": by_weights,
    "on pixels": on_pixels,
    "where": lambda y, x, mask, p: (
        torch.where(mask[..., None], patchify(y - x, p), 0).square().sum() / mask.sum() / p**2
    ),
}


@pytest.mark.parametrize("loss", RIGHT_MASKED.values(), ids=RIGHT_MASKED)
def test_right_masked_losses_pass_in_any_style(loss):
    assert check_masked_loss(loss).attempted


WRONG_MASKED = {
    "all patches": (lambda y, x, mask, p: F.mse_loss(y, x), "All patches count"),
    "visible": (lambda y, x, mask, p: by_weights(y, x, ~mask, p), "visible patches count"),
    "zeros counted": (
        lambda y, x, mask, p: (patchify((y - x) ** 2, p) * mask[..., None]).mean(),
        "still divided by",
    ),
    "sum": (lambda y, x, mask, p: patchify(y - x, p)[mask].square().sum(), "take their mean"),
    "d missing": (
        lambda y, x, mask, p: patchify(y - x, p)[mask].square().sum() / mask.sum(),
        "d is missing",
    ),
    "half": (lambda y, x, mask, p: by_weights(y, x, mask, p) / 2, "no 1/2"),
    "absolute": (lambda y, x, mask, p: patchify((y - x).abs(), p)[mask].mean(), "not squared"),
    "detached": (lambda y, x, mask, p: by_weights(y.detach(), x, mask, p), "do not detach"),
    "per patch": (lambda y, x, mask, p: patchify(y - x, p)[mask].square().mean(1), "one number"),
    "other places": (lambda y, x, mask, p: by_weights(y, x, mask.flip(1), p), "Not the mean"),
}


@pytest.mark.parametrize(("loss", "words"), WRONG_MASKED.values(), ids=WRONG_MASKED)
def test_wrong_masked_losses_are_told_their_mistake(loss, words):
    with pytest.raises(Misconception, match=words):
        check_masked_loss(loss)


# A denoiser for three levels


def trained(level, steps):
    """Build a function that trains a small network; ``level`` draws sigma for n images."""

    def train(x, rng):
        net = nn.Sequential(
            *(nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.GELU()),
            *(nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.GELU()),
            *(nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.GELU()),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
        )
        optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
        for _ in range(steps):
            batch = x[torch.randint(len(x), (64,), generator=rng)]
            noise = torch.randn(batch.shape, generator=rng)
            loss = error(net(batch + level(64, rng) * noise), batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return net

    return train


RIGHT_TRAINING = {
    "a level for each image": trained(lambda n, r: 0.1 + torch.rand(n, 1, 1, 1, generator=r), 400),
    "one of three levels": trained(
        lambda n, r: torch.tensor([0.25, 0.5, 1.0])[torch.randint(3, (n, 1, 1, 1), generator=r)],
        400,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("train", RIGHT_TRAINING.values(), ids=RIGHT_TRAINING)
def test_right_trainings_pass_in_any_style(train):
    assert check_train_denoiser(train).attempted


def shipped(x, rng):
    return load_pretrained("denoising", DenoisingAutoencoder).reconstruct


WRONG_TRAINING = {
    "one level": (shipped, "another sigma for every image"),
    "copy": (lambda x, rng: lambda noised: noised, "returns its input"),
    "a filter": (lambda x, rng: lambda noised: blur(noised, 0.8), "train for more steps"),
    "mean image": (
        lambda x, rng: lambda noised: x[:1_000].mean(dim=0).expand_as(noised),
        "train for more steps",
    ),
    "flat": (lambda x, rng: lambda noised: noised.flatten(1), r"\(n, c, h, w\)"),
    "no network": (lambda x, rng: x, "Return the trained network"),
    "nothing": (lambda x, rng: None, "Return the trained network"),
}


@pytest.mark.parametrize(("train", "words"), WRONG_TRAINING.values(), ids=WRONG_TRAINING)
def test_wrong_trainings_are_told_their_mistake(train, words):
    with pytest.raises(Misconception, match=words):
        check_train_denoiser(train)


# Filters


def test_filters_leave_flat_images_as_they_are_and_smooth_the_others():
    flat = torch.full((2, 1, 8, 8), 0.3)
    dot = torch.zeros(1, 1, 9, 9)
    dot[0, 0, 4, 4] = 1.0
    torch.testing.assert_close(blur(flat, 1.0), flat)
    torch.testing.assert_close(median(flat, 3), flat)
    assert 0 < blur(dot, 1.0).max() < 0.2
    assert median(dot, 3).max() == 0


def test_stronger_noise_is_given_wider_filters():
    x = load("fashion_mnist").test[:50].images
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    weak, strong = tune(x + 0.25 * noise, x), tune(x + noise, x)
    assert weak.width < strong.width
    assert weak.size < strong.size


# Wrong answers of every kind, made from right ones


def sparse_loss(y, x, z, sparsity):
    return RIGHT_SPARSE["sum then mean"](y, x, z, sparsity)


def denoising_loss(model, x, sigma, rng):
    return RIGHT_DENOISING["by hand"](model, x, sigma, rng)


def to_patches(x, patch):
    return patchify(x, patch)


def draw_mask(n, patches, ratio, rng):
    return ranked(n, patches, ratio, rng)


def masked_loss(y, x, mask, patch):
    return by_weights(y, x, mask, patch)


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (check_sparse_loss, sparse_loss),
        (check_denoising_loss, denoising_loss),
        (check_to_patches, to_patches),
        (check_random_mask, draw_mask),
        (check_masked_loss, masked_loss),
    ],
)
def test_a_wrong_answer_of_any_kind_is_named(check, answer):
    assert not_named(check, answer.__name__, answer) == []
