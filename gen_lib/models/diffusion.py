r"""Diffusion: a network estimates the clean image in a noisy one; sampling starts from pure noise.

Ho, Jain, Abbeel 2020 (arXiv:2006.11239). An image is noised by a schedule (``schedules``),

    x_t = signal_t x_0 + sigma_t eps,   eps ~ N(0, I),   t drawn uniformly,

and a network y(x_t, t) learns a mixture y = a_t x_0 + b_t eps of the two by least squares, their
"simple" loss (eq. 14, there for eps; a mean over pixels here, which changes nothing but the scale):

    L = E || y(x_t, t) - (a_t x_0 + b_t eps) ||^2

The mixture is a choice (``TARGETS``): x_0; eps; v = signal_t eps - sigma_t x_0 (Salimans & Ho 2022,
arXiv:2202.00512, appendix D); or the velocity eps - x_0 of the straight path (Liu, Gong, Liu 2022,
arXiv:2209.03003). x_t and y are two linear equations in x_0 and eps, whose determinant is
signal_t b_t - sigma_t a_t, so y gives both. The targets differ only in a linear map, and thereby in
the weight of an error at the time t.

A reverse process (``samplers``) turns estimates into images. For guidance by labels, training hides
a share of the labels, so that one network estimates with and without a label (Ho & Salimans 2022,
arXiv:2207.12598).
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from gen_lib import InputError, check_not_negative, positive
from gen_lib.data import Batch
from gen_lib.models.base import Images, Loss, Model, Player, Samples
from gen_lib.nets.unet import TimedMLP, UNet
from gen_lib.samplers import (
    Ancestral,
    Denoiser,
    Estimate,
    Heun,
    Sampler,
    State,
    guided,
    keep_known,
    last,
    with_returns,
)
from gen_lib.schedules import SCHEDULES, Schedule, Straight

Labels = Int64[Tensor, "n *words"]  # of classes, or numbers of words
CALLS = 40  # default number of network calls for a sample
PART = 500  # images that are sampled at a time, to bound the memory

TARGETS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "x_0": lambda signal, sigma: (1.0, 0.0),
    "eps": lambda signal, sigma: (0.0, 1.0),
    "v": lambda signal, sigma: (-sigma, signal),
    "velocity": lambda signal, sigma: (-1.0, 1.0),
}
"""a and b of what a network predicts, a x_0 + b eps, from signal_t and sigma_t."""


def solve(
    target: str,
    y: Float[Tensor, "n *shape"],
    x_t: Float[Tensor, "n *shape"],
    signal: Float[Tensor, "*n"],
    sigma: Float[Tensor, "*n"],
) -> Estimate:
    """x_0 and eps from x_t = signal x_0 + sigma eps and y = a x_0 + b eps."""
    a, b = TARGETS[target](signal, sigma)
    determinant = signal * b - sigma * a
    return Estimate((b * x_t - sigma * y) / determinant, (signal * y - a * x_t) / determinant)


class DenoisingDiffusion(Model, Samples):
    """A diffusion model; subclasses choose the network.

    Args:
        net: maps x_t, t / last in [0, 1], and labels or None to y.
        shape: (channels, height, width) of a sample.
        known: number of labels, 0 for none; the label index ``known`` means unconditional.
        schedule: a name in ``SCHEDULES``.
        target: the mixture y that the network predicts, a name in ``TARGETS``.
        T: number of time steps of a schedule that is a table.
        label_dropout: share of the labels hidden in training, in [0, 1).
        config: the arguments that build the model again, besides these.
    """

    lr = 2e-3
    limit: ClassVar[float] = math.inf  # samples are clipped to [-limit, limit]

    def __init__(
        self,
        net: nn.Module,
        shape: tuple[int, int, int],
        known: int,
        schedule: str,
        target: str,
        T: int,
        label_dropout: float | int,
        **config: Any,
    ):
        super().__init__(
            schedule=schedule, target=target, T=T, label_dropout=label_dropout, **config
        )
        _check(schedule, target, label_dropout)
        self.net, self.target, self.label_dropout = net, target, label_dropout
        self.shape, self.known = shape, known
        self.schedule: Schedule = SCHEDULES[schedule](positive("T", T))

    def estimate(
        self, x_t: Images, t: Float[Tensor, "*n"], labels: Labels | None = None
    ) -> Estimate:
        """x_0 and eps in x_t by one network call; t is one time for all images, or one for each."""
        y = self._predict(x_t, t.expand(len(x_t)), labels)
        return solve(self.target, y, x_t, *self.schedule.scales(t, x_t))

    def denoiser(self, labels: Labels | None = None, guidance: float | int = 0.0) -> Denoiser:
        """The function that samplers call: ``estimate`` for these labels, with guidance >= 0.

        Raises:
            InputError: labels or guidance for a network that knows no labels, or guidance alone.
        """
        if (labels is not None or guidance) and not self.known:
            raise InputError("This model was trained without labels: give none, and no guidance.")
        if guidance and labels is None:
            raise InputError("Guidance needs labels: give one for each image.")
        asked: Denoiser = partial(self.estimate, labels=labels)
        return guided(asked, self.estimate, guidance) if guidance else asked

    def states(
        self,
        n: int,
        rng: torch.Generator | None = None,
        *,
        sampler: Sampler | None = None,
        calls: int = CALLS,
        labels: Labels | None = None,
        guidance: float | int = 0.0,
    ) -> Iterator[State]:
        """Every state of a reverse process from noise to n samples.

        Args:
            n: number of samples.
            rng: source of the noise.
            sampler: Heun's method unless given.
            calls: the largest number of network calls; an estimate with guidance takes two.
            labels: one for each sample; without them the samples are unconditional.
            guidance: weight w >= 0 of the label.
        """
        sampler = sampler or Heun(self.schedule)
        steps = sampler.steps_within(calls // (2 if guidance else 1))
        x = torch.randn(n, *self.shape, generator=rng)
        denoise, times = self.denoiser(labels, guidance), sampler.times(steps)
        return sampler.states(denoise, x, times, rng)

    @override
    def sample(
        self,
        n: int,
        rng: torch.Generator | None = None,
        *,
        sampler: Sampler | None = None,
        calls: int = CALLS,
        labels: Labels | None = None,
        guidance: float | int = 0.0,
    ) -> Images:
        """The last of the ``states``, 500 samples at a time."""
        states = partial(self.states, rng=rng, sampler=sampler, calls=calls, guidance=guidance)
        parts = []
        for start in range(0, n, PART):
            some = None if labels is None else labels[start : start + PART]
            x = last(states(min(PART, n - start), labels=some)).x
            parts.append(x.clamp(-self.limit, self.limit))
        return torch.cat(parts)

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """The mean squared error of y, at a random time for each image."""
        x_0 = batch.images
        t = self.times(len(x_0), rng)
        eps = torch.randn(x_0.shape, generator=rng, device=x_0.device)
        x_t = self.schedule.noised(x_0, t, eps)
        a, b = TARGETS[self.target](*self.schedule.scales(t, x_0))
        y = self._predict(x_t, t, self._partly_hidden(batch.labels, rng))
        loss = (y - (a * x_0 + b * eps)).square().mean()
        return Loss(loss, {"mse": loss})

    def times(self, n: int, rng: torch.Generator) -> Float[Tensor, "n"]:
        """Random times of a training step."""
        return self.schedule.draw(n, rng)

    def _predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        return self.net(x_t, (t / self.schedule.last).to(x_t.dtype), labels).float()

    def _partly_hidden(self, labels: Tensor, rng: torch.Generator) -> Tensor | None:
        """Labels, a share of them replaced by the index ``known``, which means unconditional."""
        if not self.known:
            return None
        u = torch.rand(labels.shape, generator=rng, device=labels.device)
        return torch.where(u < self.label_dropout, self.known, labels)


class Diffusion(DenoisingDiffusion):
    """A diffusion model of images; the network is a small U-Net.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        width: channels of the U-Net at half the side, a multiple of 8.
        blocks: residual blocks in each of the U-Net's three parts.
        schedule, target, T, label_dropout: see ``DenoisingDiffusion``.
        conditional: whether the network is given the labels.
        classes: number of labels in the data.
        muon_lr: learning rate of the hidden layers, which Muon updates; 0 for AdamW alone.
    """

    net: UNet
    name = "diffusion"
    batch_size = 32
    limit = 1.0

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        width: int = 32,
        blocks: int = 2,
        schedule: str = "straight",
        target: str = "velocity",
        T: int = 1000,
        conditional: bool = False,
        classes: int = 10,
        label_dropout: float = 0.1,
        muon_lr: float | int = 0.02,
    ):
        known = classes if conditional else 0
        net = UNet(image_shape, positive("width", width), positive("blocks", blocks), known)
        config = {"image_shape": image_shape, "width": width, "blocks": blocks}
        config |= {"conditional": conditional, "classes": classes, "muon_lr": muon_lr}
        super().__init__(net, image_shape, known, schedule, target, T, label_dropout, **config)
        check_not_negative(muon_lr=muon_lr)
        self.muon_lr = muon_lr

    @override
    def players(self) -> dict[str, Player]:
        """One player, whose hidden layers Muon updates."""
        (player,) = super().players().values()
        if not self.muon_lr:
            return {"model": player}
        return {"model": player._replace(hidden=self.net.hidden(), hidden_lr=self.muon_lr)}

    def inpaint(
        self,
        x: Images,
        mask: Bool[Tensor, "n #c h w"],
        rng: torch.Generator | None = None,
        *,
        calls: int = CALLS,
        repeats: int = 1,
    ) -> Images:
        """Sample the pixels where the mask is True so that they fit the other pixels of x.

        Args:
            x: images in [-1, 1]; pixels under the mask are ignored.
            mask: True where a pixel is to be sampled.
            rng: source of the noise.
            calls: the largest number of network calls.
            repeats: how often each step is done, with noise added back in between.
        """
        sampler, x = Ancestral(self.schedule), self.fitting(x)
        steps = sampler.steps_within((calls - 1) // positive("repeats", repeats) + 1)
        keep = keep_known(self.schedule, x, mask, rng)
        noise = torch.randn(x.shape, generator=rng)
        times = with_returns(sampler.times(steps), repeats)
        states = sampler.states(self.denoiser(), noise, times, rng, keep)
        return last(states).x.clamp(-self.limit, self.limit)


class PlaneDiffusion(DenoisingDiffusion):
    """A diffusion model of points of the plane, as images (2, 1, 1); the network is an MLP."""

    name = "plane-diffusion"

    def __init__(
        self, width: int = 128, schedule: str = "straight", target: str = "velocity", T: int = 1000
    ):
        net = TimedMLP(width)
        super().__init__(net, (2, 1, 1), 0, schedule, target, T, 0.0, width=width)


def _check(schedule: str, target: str, label_dropout: float) -> None:
    for kind, given, names in (("schedule", schedule, SCHEDULES), ("target", target, TARGETS)):
        if given not in names:
            raise InputError(f"There is no {kind} {given!r}: choose one of {', '.join(names)}.")
    if target == "eps" and isinstance(SCHEDULES[schedule](1), Straight):
        raise InputError(
            "On the straight path x_t is pure noise at t = 1, where eps says nothing about x_0: "
            "choose another target, or a schedule that is a table."
        )
    if not 0 <= label_dropout < 1:
        raise InputError(f"label_dropout is {label_dropout}: it must be at least 0, below 1.")
