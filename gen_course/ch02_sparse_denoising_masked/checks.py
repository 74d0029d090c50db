"""Checks for chapter 02: the three losses, patches, masks, and a denoiser for three levels."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from gen_course.ch01_autoencoders.checks import SIZES, images, require_E, two_batches
from gen_course.ch02_sparse_denoising_masked.filters import blur, median, tune
from gen_course.common.checks import (
    exercise,
    require,
    require_none_of,
    require_one_number,
    require_shape,
    same,
)
from gen_course.common.properties import (
    ERRORS,
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
    require_uniform_places,
    seeded,
    watched,
)
from gen_lib.data import load
from gen_lib.metrics import mse, psnr
from gen_lib.models.autoencoder import reconstruction_loss
from gen_lib.nets.vit import patchify


@exercise
def check_sparse_loss(loss: Callable) -> str:
    """loss(y, x, z, sparsity) is E(w) per image plus sparsity * sum_k |z_k|, mean over images."""
    loss = watched(loss, "y", "x", "z", "sparsity", random=True)
    y, x = two_batches()
    z = torch.randn(5, 7, generator=torch.Generator().manual_seed(1)).requires_grad_()
    plain, got = loss(y, x, z, 0.0), loss(y, x, z, 2.0)
    require_one_number(got)
    require_E(plain, y, x)
    penalty = z.abs().sum(dim=1).mean()
    require_none_of(
        got - plain,
        (torch.tensor(0.0), "lambda changes nothing: add sparsity * sum_k |z_k|."),
        (2 * z.abs().mean(), "The penalty is averaged over the units; sum_k is a sum."),
        (2 * z.abs().sum(), "The penalty is summed over the batch; take the mean over images."),
        (2 * z.square().sum(1).mean(), "|z_k| is squared: that makes units small, not zero."),
        (2 * z.norm(dim=1).mean(), "The norm of z makes the code small, not sparse: sum |z_k|."),
        (2 * z.sum(dim=1).mean(), "The units are summed with their signs and cancel: take |z_k|."),
        (-2 * penalty, "The penalty is subtracted: that rewards activity."),
        (penalty, "The penalty is halved: the 1/2 belongs to E alone."),
    )
    require(
        got.requires_grad,
        "No gradient flows from the penalty to z: do not detach it, and do not count active units.",
    )
    require(same(got - plain, 2 * penalty), "The penalty is not lambda times sum_k |z_k|.")
    x = images(seeded(3), 4, 1, 2, 2)["x"]
    zero = {"y": learnt(x), "x": x, "z": torch.zeros(4, 3), "sparsity": 1.0}
    near = {**zero, "z": learnt(3e-4 * torch.randn(4, 3))}
    far = {**_codes(seeded(5), 3, 1, 3, 1), "z": learnt(500 * torch.randn(3, 6))}
    far["y"] = learnt(200 * far["x"].flip(0))
    agrees(loss, _sparse_loss, _codes, SIZES, extremes=[zero, near, far])
    still = learnt(torch.zeros(4, 3))
    (slope,) = torch.autograd.grad(loss(zero["y"], zero["x"], still, 1.0), still)
    require(
        slope.isfinite().all(),
        "The gradient is not finite where a unit is 0, as most are: take |z_k|, not a root.",
    )
    return "E(w) per image plus lambda sum_k |z_k|, a mean over images, differentiable."


def _codes(rng: Generator, *shape: int) -> Arguments:
    z = torch.randn(shape[0], 3 + shape[1], generator=rng)
    sparsity = 0.5 + float(torch.rand((), generator=rng))
    return {**images(rng, *shape), "z": learnt(z), "sparsity": sparsity}


def _sparse_loss(y: Tensor, x: Tensor, z: Tensor, sparsity: float) -> Tensor:
    return reconstruction_loss(y, x) + sparsity * z.abs().sum(dim=1).mean()


@exercise
def check_denoising_loss(loss: Callable) -> str:
    """loss(model, x, sigma, rng): squared error between the output for noised x and the clean x."""
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen: list[Tensor] = []
    weight = torch.tensor(0.5, requires_grad=True)
    loss = watched(loss, "model", "x", "sigma", "rng")

    def model(noised: Tensor) -> Tensor:
        seen.append(noised)
        return weight * torch.ones_like(noised)

    def run(sigma: float, seed: int) -> Any:
        return loss(model, x.clone(), sigma, torch.Generator().manual_seed(seed))

    got = run(0.5, 0)
    require_one_number(got)
    require(len(seen) == 1, f"The model is called {len(seen)} times: once, on the noised images.")
    require_shape(seen[0], tuple(x.shape), "(n, c, h, w) as input of the model")
    _check_noise(seen[0].detach() - x, 0.5, seen[0].detach())
    _check_target(got, 0.5 * torch.ones_like(x), x, seen[0].detach())
    require(got.requires_grad, "No gradient flows from your loss to the model: do not detach it.")
    run(0.5, 0), run(0.5, 1), run(0.0, 0)
    require(same(seen[1], seen[0]), "The same seed gives other noise: hand rng to randn.")
    require(not same(seen[2], seen[0]), "Another seed gives the same noise: use rng.")
    require(same(seen[3], x), "With sigma = 0 the model must see x itself.")
    shapes = ((40, 1, 8, 8), (1, 3, 2, 5), (9, 2, 3, 1), (50, 1, 2, 2))
    for_every(_check_denoising, ((loss, *shape, s) for s in (0.7, 30.0) for shape in shapes))

    def draw(rng: Generator) -> Tensor:
        net = _Scales()
        loss(net, torch.zeros(1_500, 1, 2, 2), 2.0, rng)
        return net.seen[-1].flatten(1) / 2

    require_normal(repeatable(draw, "numbers of the noise"), "The numbers of the noise")
    return "Gaussian noise of standard deviation sigma on the input, the clean image as target."


class _Scales(nn.Module):
    """A network that keeps its inputs; a part of it is in another mode."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.7))
        self.still = nn.Dropout(0.5).eval()
        self.seen: list[Tensor] = []

    def forward(self, noised: Tensor) -> Tensor:
        self.seen.append(noised.detach().clone())
        return self.still(self.weight * noised)


def _check_denoising(loss: Callable, n: int, c: int, h: int, w: int, sigma: float) -> None:
    """Compare the loss and its gradient with those at what the network has seen."""
    net, rng = _Scales(), seeded(n)
    x = torch.rand(n, c, h, w, generator=rng) * 2 - 1
    got = call(loss, {"model": net, "x": x, "sigma": sigma, "rng": rng})
    require(len(net.seen) == 1, f"The model is called {len(net.seen)} times: once for a batch.")
    right = (net.weight * net.seen[0] - x).square().flatten(1).sum(dim=1).mean()
    require(same(got, right), f"Not ||y - x||^2 per image for x of shape {tuple(x.shape)}.")
    compare_gradients(got, right, {"the model's weights": net.weight})


def _check_noise(noise: Tensor, sigma: float, noised: Tensor) -> None:
    require(noise.abs().max() > 1e-6, "The model sees the clean images: give it the noised ones.")
    require(
        noised.abs().max() > 1,
        "The noised images are clipped to [-1, 1]: then the noise is not Gaussian any more.",
    )
    require(
        noise.mean().abs() < 0.1 * sigma,
        "The noise has a mean other than 0: use randn (Gaussian), not rand (uniform).",
    )
    for wrong, why in (
        (sigma**2, "sigma^2: sigma is the standard deviation, multiply the noise by sigma."),
        (sigma**0.5, "sqrt(sigma): sigma is the standard deviation already."),
        (1.0, "1: multiply the noise by sigma."),
    ):
        require(abs(noise.std() / wrong - 1) > 0.1, f"The noise has standard deviation {why}")
    require(
        abs(noise.std() / sigma - 1) < 0.1,
        f"The noise has standard deviation {noise.std():.2f} instead of {sigma}: is it randn?",
    )
    require(
        not same(noise[0], noise[1]), "All images get the same noise: draw it in the shape of x."
    )


def _check_target(got: Tensor, y: Tensor, x: Tensor, noised: Tensor) -> None:
    right, learns_noise = (
        (y - target).square().flatten(1).sum(dim=1).mean() for target in (x, noised)
    )
    pixels = x[0].numel()
    for factor in (1, 0.5, 1 / pixels, 0.5 / pixels, len(x)):
        require(
            not same(got, factor * learns_noise),
            "The target is the noised image: compare with the clean x, or the noise is learnt.",
        )
    require_none_of(
        got,
        (right / 2, "The lecture writes this loss without the 1/2 of E(w)."),
        (right / pixels, "It is averaged over the pixels; the norm is their sum."),
        (len(x) * right, "It is summed over the batch; take the mean over the images."),
    )
    why = "Not ||y - x||^2, summed over the pixels, averaged over the images."
    require_right(got, right, why)


@exercise
def check_to_patches(cut: Callable) -> str:
    """cut(x, patch) gives square patches, row by row, channels first: (n, patches, values)."""
    x = torch.arange(2 * 3 * 4 * 6).float().reshape(2, 3, 4, 6)
    cut = watched(cut, "x", "patch", random=True)
    got, right = cut(x, 2), patchify(x, 2)
    require_shape(got, (2, 6, 12), "(n, patches, c * patch * patch)")
    squares = right.reshape(2, 2, 3, 3, 2, 2)  # (n, row, column, channel, height, width)
    for wrong, why in (
        (x, "reshape alone cuts strips, not squares: split height and width, then permute."),
        (squares.transpose(1, 2), "The patches run down the columns: they must run row by row."),
        (squares.permute(0, 1, 2, 4, 5, 3), "Inside a patch the channels must come first."),
        (squares.transpose(4, 5), "Every patch is transposed: its rows must stay rows."),
        (squares.permute(0, 2, 1, 3, 5, 4), "Height and width are exchanged, outside and inside."),
    ):
        require(not same(got, wrong.reshape(2, 6, 12)), why)
    require_right(got, right, "The values are not those of the squares, row by row.")
    agrees(
        cut,
        patchify,
        _cut_up,
        [(2, 3, 4, 6, 2), (1, 1, 6, 3, 3), (3, 2, 5, 4, 1), (4, 1, 8, 8, 4), (2, 4, 3, 3, 3)],
        extremes=[{"x": 300 * torch.randn(2, 2, 4, 4), "patch": 2}],
        form="(n, patches, c * patch * patch)",
    )
    return "squares row by row, each flattened channel by channel."


def _cut_up(rng: Generator, n: int, c: int, h: int, w: int, patch: int) -> Arguments:
    return {"x": torch.randn(n, c, h, w, generator=rng), "patch": patch}


@exercise
def check_random_mask(draw: Callable) -> str:
    """draw(n, patches, ratio, rng): mask (n, patches), True at round(ratio * patches) per row."""

    draw = watched(draw, "n", "patches", "ratio", "rng")

    def mask(ratio: float, seed: int) -> Any:
        return draw(2_000, 49, ratio, torch.Generator().manual_seed(seed))

    got = mask(0.75, 0)
    require_shape(got, (2_000, 49), "(n, patches)")
    require(got.dtype == torch.bool, f"The mask must be True or False; it is {got.dtype}.")
    _check_hidden(got)
    require(torch.equal(got, mask(0.75, 0)), "The same seed gives another mask: use rng.")
    require(not torch.equal(got, mask(0.75, 1)), "Another seed gives the same mask: use rng.")
    require(mask(0.8, 0).sum() == 2_000 * 39, "round(0.8 * 49) = 39 patches must be hidden.")
    cases = ((2_000, 49, 0.75), (2_100, 16, 0.6), (1_500, 30, 0.1), (60, 100, 0.5))
    for_every(_check_masks, ((draw, *case) for case in cases))
    return "exactly round(ratio * patches) hidden in every image, places uniform, seeds repeat."


def _check_masks(draw: Callable, n: int, patches: int, ratio: float) -> None:
    """Check the numbers and the places of the hidden patches in n masks, and in n others."""
    hidden = round(ratio * patches)

    def masks(rng: Generator) -> Tensor:
        given = {"n": n, "patches": patches, "ratio": ratio, "rng": rng}
        got = call(draw, given)
        require_shape(got, (n, patches), "(n, patches)")
        require(
            (got.sum(dim=1) == hidden).all(),
            f"round({ratio} * {patches}) = {hidden} patches must be hidden in every image.",
        )
        return got

    got = repeatable(masks, "mask")
    require_uniform_places(got, hidden)
    if n < 100:  # so few that all pairs can be compared, also with masks that are turned round
        places, share = got.float(), hidden / patches
        error = hidden * (1 - share) / (patches - 1) ** 0.5
        for others in (places, places.flip(1)):
            overlap = (places @ others.mT - hidden * share).fill_diagonal_(0)
            require(
                (overlap.abs() < ERRORS * error).all(),
                "The masks come in pairs, equal or opposite: draw each by itself.",
            )


def _check_hidden(mask: Tensor) -> None:
    """Check that every row hides round(0.75 * 49) = 37 patches, at uniformly drawn places."""
    hidden = mask.sum(dim=1)
    require(
        (hidden == hidden[0]).all(),
        "Every image hides another number of patches: a coin per patch gives the ratio only on "
        "average. Rank random numbers and hide the first ones.",
    )
    require(hidden[0] != 49 - 37, "True must mean hidden: you mark the visible patches.")
    require(hidden[0] != 36, "round(0.75 * 49) is 37: round, do not cut off.")
    require(hidden[0] == 37, f"37 patches of 49 must be hidden at 0.75, not {hidden[0]}.")
    require((mask != mask[0]).any(), "All images hide the same patches: draw for each of them.")
    require(
        (mask.float().mean(dim=0) - 37 / 49).abs().max() < 0.06,
        "Some places are hidden more often than others: all must be equally likely.",
    )


@exercise
def check_masked_loss(loss: Callable) -> str:
    """loss(y, x, mask, patch): mean squared error over the values of the hidden patches."""
    rng = torch.Generator().manual_seed(0)
    y, x = torch.randn(2, 6, 1, 8, 8, generator=rng)
    mask = torch.rand(6, 4, generator=rng).argsort(dim=1) < 3
    loss = watched(loss, "y", "x", "mask", "patch", random=True)
    got = loss(y.requires_grad_(), x, mask, 4)
    require_one_number(got)
    squared = patchify((y - x).square(), 4)  # (n, patches, values)
    right = squared[mask].mean()
    require_none_of(
        got,
        (squared.mean(), "All patches count: copying the visible ones would earn part of it."),
        (squared[~mask].mean(), "The visible patches count: mask is True where one is hidden."),
        (right * 3 / 4, "Visible patches are zeroed but still divided by: count hidden ones."),
        (squared[mask].sum(), "It is summed over the hidden values: take their mean."),
        (16 * right, "It is divided by the hidden patches, not by their values: d is missing."),
        (right / 2, "This loss has no 1/2."),
        (patchify((y - x).abs(), 4)[mask].mean(), "The differences are not squared."),
    )
    require(same(got, right), "Not the mean squared error over the values of the hidden patches.")
    require(got.requires_grad, "No gradient flows from your loss to y: do not detach it.")
    far = dict(_half_hidden(seeded(6), 4, 2, 3, 2))
    far["y"] = learnt(300 * far["x"].flip(0))
    sizes = [(6, 2, 4, 3), (1, 3, 2, 4), (20, 4, 1, 5), (3, 1, 5, 1)]
    agrees(loss, _masked_loss, _half_hidden, sizes, extremes=[far])
    return "the mean squared error over the values of hidden patches, differentiable."


def _half_hidden(rng: Generator, n: int, side: int, patch: int, hidden: int) -> Arguments:
    """Grey images of side x side patches, as many of which are hidden in each."""
    x, y = torch.randn(2, n, 1, side * patch, side * patch, generator=rng)
    mask = torch.rand(n, side**2, generator=rng).argsort(dim=1) < hidden
    return {"y": learnt(y), "x": x, "mask": mask, "patch": patch}


def _masked_loss(y: Tensor, x: Tensor, mask: Tensor, patch: int) -> Tensor:
    return patchify((y - x).square(), patch)[mask].mean()


LEVELS = (0.25, 0.5, 1.0)
LEAD = 1.0  # decibels over the better filter


@exercise
def check_train_denoiser(train: Callable) -> str:
    """train(x, rng) gives one network that beats tuned filters by 1 dB at three levels of noise."""
    clothes = load("fashion_mnist")
    x = clothes.train.x
    net = call(lets_draw(partial(train, x, seeded(0))), {})  # no copy of 60,000 images
    require(callable(net), f"Return the trained network, not {type(net).__name__}.")
    few, x = clothes.train.subset(500).x, clothes.test[:1_000].images
    leads, copies = [], []
    for sigma in LEVELS:
        rng = torch.Generator().manual_seed(0)
        tuned_on, noised = (
            part + sigma * torch.randn(part.shape, generator=rng) for part in (few, x)
        )
        width, size = tune(tuned_on, few)
        with torch.no_grad():
            y = net(noised)
        require_shape(y, tuple(x.shape), "(n, c, h, w)")
        better_filter = max(psnr(blur(noised, width), x), psnr(median(noised, size), x))
        leads.append(psnr(y, x) - better_filter)
        copies.append(mse(y, noised) < 0.1 * sigma**2)
    told = ", ".join(
        f"{lead:+.1f} dB at sigma = {s:g}" for lead, s in zip(leads, LEVELS, strict=True)
    )
    require(
        not all(copies),
        "The network returns its input, noise included: is its target the clean image x?",
    )
    require(
        min(leads) >= LEAD or leads[1] < LEAD,
        f"Over the better filter: {told}. The network is good at 0.5 but not at every level: draw "
        "another sigma for every image of a batch, from below 0.25 to above 1.",
    )
    require(
        min(leads) >= LEAD,
        f"Over the better filter: {told}. Less than {LEAD:g} dB: train for more steps, or check "
        "that input, target and learning rate are those of the program in Build.",
    )
    return f"one network for three levels; over the better filter {told}."
