"""Checks for chapter 06: the loss that a network learns from, with labels, and their guidance."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gen_lib.checks.autoencoder import require_one_number
from gen_lib.checks.base import exercise, require, require_none_of, require_shape, same
from gen_lib.schedules import Table, linear

NOTHING = 10  # the label that says nothing, where there are ten classes
HIDDEN = 0.1  # share of the labels that a loss hides


class _Spy(nn.Module):
    """A network that remembers what it is told, and whose answer depends on all of it."""

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
    """loss(network, x_0, labels, table, generator): E ||network(x_t, t, labels) - eps||^2.

    A tenth of the labels, drawn anew each time, is replaced by 10, which says nothing.
    """
    network, table, n = _Spy(), linear(10, 0.05, 0.5), 6_000
    x_0, labels = torch.rand(n, 1, 2, 2) * 2 - 1, torch.arange(n) % NOTHING
    got = loss(network, x_0.clone(), labels.clone(), table, torch.Generator().manual_seed(1))
    require_one_number(got)
    require(len(network.told) == 1, "Call the network once, on the whole batch.")
    x_t, t, told = network.told[0]
    _check_times(t, n, int(table.last))
    eps = table.noise_in(x_t, t.double(), x_0)  # what the noise must have been
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
        "The same seed gives another draw: hand the generator to every draw.",
    )
    for a, b, what in zip(first, other, ("noise", "time", "choice of labels"), strict=True):
        require(not same(a, b), f"Another seed gives the same {what}: draw it with generator.")


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
    return "the estimate with labels, moved away from the one without."
