"""Hidden tests of homework 4: a sampler with a memory, projection, and guidance."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gen_course.common.checks import Misconception, require, require_shape, same
from gen_course.common.properties import (
    OVERWRITTEN,
    Arguments,
    agrees,
    call,
    compare_gradients,
    for_every,
    learnt,
    require_right,
    seeded,
)

Number = float | Tensor


def ab2_step(answer: Callable) -> None:
    """A step of Adams and Bashforth from t to s, with the velocity at b."""

    def arguments(rng: Generator, *shape: int) -> Arguments:
        x, v, before = torch.randn(3, *shape, generator=rng)
        s, t, b = (0.05 + torch.rand(3, generator=rng)).cumsum(0).tolist()
        given = {"x": learnt(x), "v": learnt(v), "v_before": learnt(before)}
        return {**given, "b": b, "t": t, "s": s}

    large = dict(zip(("x", "v", "v_before"), 1e3 * torch.randn(3, 6, generator=seeded(2))))  # noqa: B905
    long = {name: learnt(value) for name, value in large.items()} | {"b": 1.0, "t": 0.9, "s": 0.0}
    short = {**long, "b": 1.0, "t": 0.2, "s": 0.199}
    agrees(
        answer,
        _right_ab2_step,
        arguments,
        [(4, 2, 3), (5,), (2, 3, 3, 5), (1, 1, 8, 2)],
        extremes=[long, short],
        mistakes=_mistakes_of_ab2_step,
        form="the shape of x",
        formula="Not x + h ((1 + r / 2) v - r / 2 v_before).",
    )


def _right_ab2_step(x: Tensor, v: Tensor, v_before: Tensor, b: float, t: float, s: float) -> Tensor:
    h, r = s - t, (s - t) / (t - b)
    return x + h * ((1 + r / 2) * v - r / 2 * v_before)


def _mistakes_of_ab2_step(
    x: Tensor, v: Tensor, v_before: Tensor, b: float, t: float, s: float
) -> Iterator[tuple[Tensor, str]]:
    r = (s - t) / (t - b)

    def step(now: float, before: float, h: float = s - t) -> Tensor:
        return x + h * (now * v + before * v_before)

    yield step(1.0, 0.0), "This is Euler's step: the velocity of the step before is not used."
    yield (
        step(1.5, -0.5),
        "3/2 and -1/2 are right for equal steps only: here r = (s - t) / (t - b) says how "
        "much longer this step is than the last one.",
    )
    yield step(1 + 1 / r / 2, -1 / r / 2), "r is upside down: it is this step over the one before."
    yield step(1 + r, -r), "The line is followed to its end, at s: integrate it, which gives r / 2."
    yield (
        step(1 + r / 2, r / 2),
        "The velocity before is added: the line through both subtracts it.",
    )
    yield step(1 - r / 2, r / 2), "This goes back along the line, towards b: extend it to s."
    yield step(-r / 2, 1 + r / 2), "v and v_before are exchanged."
    yield step(0.5, 0.5), "This is the mean of the two velocities: they lie before s."
    yield (
        step(1 + r / 2, -r / 2, t - s),
        "The step goes the wrong way: h = s - t is negative on the way from noise to image.",
    )
    yield step(1 + r / 2, -r / 2, 1.0), "The step's length h is missing."


class _Walk:
    """A velocity and a step that keep what they were asked, and where they lead."""

    def __init__(self, times: Tensor, gain: Tensor) -> None:
        self.times, self.gain = times, gain
        self.asked: list[tuple[Tensor, float]] = []
        self.told: list[tuple[float, float, float]] = []

    def velocity(self, x: Tensor, t: Number) -> Tensor:
        self.asked.append((x.detach().clone(), float(t)))
        return self._velocity(x, float(t))

    def _velocity(self, x: Tensor, t: float) -> Tensor:
        return self.gain * x * (1 + t) + t

    def step(
        self, x: Tensor, v: Tensor, v_before: Tensor, b: Number, t: Number, s: Number
    ) -> Tensor:
        self.told.append((float(b), float(t), float(s)))
        return self._step(x, v, v_before, float(s) - float(t))

    def _step(self, x: Tensor, v: Tensor, v_before: Tensor, h: float) -> Tensor:
        return x + h * (1.4 * v - 0.4 * v_before)

    def arguments(self, x: Tensor) -> Arguments:
        """What ``follow`` gets."""
        return {"velocity": self.velocity, "step": self.step, "x": x, "times": self.times.clone()}

    def path(self, x: Tensor, stale: bool = False) -> list[Tensor]:
        """Every x from the first of the times to the last; stale: never a new v_before."""
        places, times = [x], self.times.tolist()
        before = None
        for t, s in pairwise(times):
            v = self._velocity(x, t)
            x = x + (s - t) * v if before is None else self._step(x, v, before, s - t)
            before = v if before is None or not stale else before
            places.append(x)
        return places


def follow(answer: Callable) -> None:
    """The loop: how often and where it asks, what it tells each step, and where it ends."""
    runs = [
        _Run(torch.tensor(times), scale * torch.randn(shape, generator=seeded(k)))
        for k, (times, scale, shape) in enumerate(
            (
                ([1.0, 0.7, 0.6, 0.2, 0.0], 1, (2, 3)),
                ([0.9, 0.5, 0.45, 0.1, 0.02], 1, (2, 3)),  # other numbers, then other sizes
                ([0.8, 0.3, 0.1], 50, (1, 3, 2, 1)),
                ([1.0, 0.4], 1, (5,)),
                ([0.98, 0.9, 0.71, 0.7, 0.4, 0.33, 0.0], 1, (4, 1, 2, 2)),
                ([1.0, 0.7, 0.6, 0.2, 0.0], 1, (2, 3)),
            )
        )
    ]
    results: list[Tensor] = []
    for_every(_check_walk, ((answer, run, results) for run in runs))
    for got, run in zip(results, runs, strict=True):
        require(same(got, _Walk(run.times, run.gain).path(run.start)[-1]), OVERWRITTEN)
    for run in runs:
        walk, x = _Walk(run.times, learnt(run.gain)), learnt(run.start)
        got = call(answer, walk.arguments(x))
        compare_gradients(got, walk.path(x)[-1], {"x": x, "the network's weights": walk.gain})


class _Run(NamedTuple):
    """Times, and where a run starts."""

    times: Tensor
    start: Tensor

    @property
    def gain(self) -> Tensor:
        """The weights of the run's network."""
        return 0.8 + torch.rand(self.start.shape, generator=seeded(len(self.times))) / 2


def _check_walk(answer: Callable, run: _Run, results: list[Tensor]) -> None:
    """Check one run, and add its end to the results."""
    start, steps = run.start, len(run.times) - 1
    walk = _Walk(run.times, run.gain)
    got = call(answer, walk.arguments(start))
    require_shape(got, tuple(start.shape), "the shape of x")
    _check_times(walk)
    places, stale = walk.path(start), walk.path(start, stale=True)[-1]
    require(
        steps < 3 or not same(got, stale),
        "v_before stays that of the first step: replace it at every step.",
    )
    for k, (seen, _) in enumerate(walk.asked):
        first = "The first step is not Euler's, x + (s - t) v."
        require(
            same(seen, places[k]),
            first if k == 1 else "The steps lead elsewhere: is v_before that of b, in this run?",
        )
    require_right(got, places[-1], "The end is not where these steps lead: is v_before that of b?")
    results.append(got)


def _check_times(walk: _Walk) -> None:
    """Check at which times the network was asked, and which times the steps were told."""
    times, steps = walk.times, len(walk.times) - 1
    calls, many = [t for _, t in walk.asked], len(walk.asked)
    require(many > 0, "The network is not asked at all: keep nothing between calls.")
    require(
        many != 2 * steps and (many != 2 * steps - 1 or steps == 1),
        f"{many} calls for {steps} steps: keep the velocity of the step before, do not ask again.",
    )
    require(
        not (many == steps + 1 and abs(calls[-1] - float(times[-1])) < 1e-6),
        f"{many} calls for {steps} steps: the velocity at the end is not needed.",
    )
    require(many == steps, f"{many} calls for {steps} steps: it takes one a step.")
    require(
        not _near(calls, times[1:]),
        "The network is asked at the end of each step: it looks at x_t, so tell it t.",
    )
    require(
        _near(calls, times[:-1]),
        "The network is not asked at times[0], times[1], ... in this order.",
    )
    used = len(walk.told)
    require(
        used != steps,
        "step is used for the first step, too: there is none before, take Euler's.",
    )
    require(used == steps - 1, f"step is used {used} times: for every step but the first.")
    if used:
        right = torch.stack([times[k : k + 3] for k in range(used)])
        require(
            same(torch.tensor(walk.told), right),
            "step is told the wrong times: b is that of the step before, then t, then s.",
        )


def _near(calls: list[float], times: Tensor) -> bool:
    return all(abs(a - b) < 1e-6 for a, b in zip(calls, times.tolist(), strict=True))


def _large(small: Tensor, f: int) -> Tensor:
    """Each pixel repeated over its square of f x f."""
    return small.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)


def project(answer: Callable) -> None:
    """A large image with the means that are known."""

    def arguments(rng: Generator, n: int, c: int, h: int, w: int, f: int) -> Arguments:
        x_0, y = (
            torch.randn(n, c, f * h, f * w, generator=rng),
            torch.randn(n, c, h, w, generator=rng),
        )
        return {"x_0": learnt(x_0), "y": learnt(y), "f": f}

    far = 500 * torch.randn(1, 2, 4, 6, generator=seeded(3))
    agrees(
        answer,
        _right_project,
        arguments,
        [(3, 2, 2, 3, 3), (1, 3, 2, 2, 2), (2, 1, 1, 4, 4), (4, 1, 5, 1, 2), (2, 2, 3, 2, 1)],
        extremes=[{"x_0": learnt(far), "y": learnt(-far[:, :, ::2, ::2]), "f": 2}],
        mistakes=_mistakes_of_project,
        form="(n, c, f h, f w)",
        formula="The means of the squares are not y, or x_0 is more than moved within a square.",
    )


def _right_project(x_0: Tensor, y: Tensor, f: int) -> Tensor:
    return x_0 + _large(y - F.avg_pool2d(x_0, f), f)


def _mistakes_of_project(x_0: Tensor, y: Tensor, f: int) -> Iterator[tuple[Tensor, str]]:
    mean, corner = F.avg_pool2d(x_0, f), x_0[:, :, ::f, ::f]
    missing, blocks = y - mean, x_0.detach().clone()
    blocks[:, :, ::f, ::f] = y.detach()
    smooth = F.interpolate(missing, scale_factor=f, mode="bilinear")
    yield x_0, "x_0 comes back unchanged: y is not used."
    yield _large(y, f), "This is y made large: add what A cannot see of x_0."
    yield x_0 + _large(y, f), "The means of x_0 are still in there: subtract A^+ A x_0."
    yield x_0 - _large(missing, f), "The sign is wrong: y - A x_0 is what is missing."
    yield x_0 + _large(y - f**2 * mean, f), "A is the mean of a square, not its sum."
    yield x_0 + _large(y - corner, f), "A is the mean of a square, not its first pixel."
    yield blocks, "One pixel of each square is replaced: y is the mean of all of them."
    yield x_0 + smooth, "A^+ repeats the pixels: after a smooth enlargement the means are not y."
    yield x_0 + _large(missing, f) / f**2, "A^+ repeats a pixel as it is: it is not divided by f^2."
    yield x_0 + missing.repeat(1, 1, f, f), "repeat() tiles the image: repeat each pixel, f times."


class _Denoiser(nn.Module):
    """An estimate of x_0 that mixes all pixels and channels of an image; one part is in eval."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        pixels = shape[0] * shape[1] * shape[2]
        self.M = nn.Parameter(torch.randn(pixels, pixels, generator=seeded(4)) / pixels**0.5)
        self.still = nn.Dropout(0.5).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.still(2 * torch.tanh(0.3 * x.flatten(1) @ self.M.T)).reshape(x.shape)


def guidance(answer: Callable) -> None:
    """The gradient of the squared error of A x_0(x_t), through the denoiser, under no_grad."""

    def arguments(rng: Generator, n: int, c: int, h: int, w: int, f: int) -> Arguments:
        x_t = torch.randn(n, c, f * h, f * w, generator=rng)
        y = torch.randn(n, c, h, w, generator=rng)
        return {"denoise": _Denoiser(c, f * h, f * w), "x_t": x_t, "y": y, "f": f}

    sizes = [(3, 1, 2, 2, 2), (7, 3, 1, 2, 2), (1, 1, 2, 1, 4), (3, 2, 3, 1, 3), (2, 1, 2, 3, 1)]
    far = arguments(seeded(6), 2, 1, 2, 2, 2)
    for function in (
        partial(_silently, answer),
        answer,
    ):  # with gradients switched on it must work as well
        agrees(
            function,
            _right_guidance,
            arguments,
            sizes,
            extremes=[{**far, "y": 400 * far["y"]}, {**far, "x_t": 6 * far["x_t"]}],
            mistakes=_mistakes_of_guidance,
            form="the shape of x_t",
            formula="Not the gradient of ||y - A x_0(x_t)||^2 with respect to x_t.",
        )


def _right_guidance(denoise: nn.Module, x_t: Tensor, y: Tensor, f: int) -> Tensor:
    return _gradient_of(_squares, denoise, x_t, y, f)


def _gradient_of(
    loss: Callable, denoise: Callable, x_t: Tensor, y: Tensor, f: int, at: Tensor | None = None
) -> Tensor:
    """The gradient of a loss of y - A x_0, by x_t or by another image that is denoised."""
    at = learnt(x_t if at is None else at)
    return torch.autograd.grad(loss(y - F.avg_pool2d(denoise(at), f)), at)[0]


def _squares(error: Tensor) -> Tensor:
    return error.square().sum()


def _mistakes_of_guidance(
    denoise: nn.Module, x_t: Tensor, y: Tensor, f: int
) -> Iterator[tuple[Tensor, str]]:
    given, n, pixels = (denoise, x_t, y, f), len(x_t), y[0].numel()
    wanted = _right_guidance(*given)
    yield -wanted, "The sign is wrong: g is the gradient itself, the loop steps the other way."
    yield wanted / n, "It is averaged over the batch: each image's guidance is divided by n."
    yield wanted / pixels, "It is averaged over the pixels of y: the squared norm is their sum."
    yield wanted / (pixels * n), "It is averaged over batch and pixels: sum them."
    yield wanted / 2, "This has a factor 1/2 in front of the norm."
    yield (
        _gradient_of(lambda e: e.flatten(1).norm(dim=1).sum(), *given),
        "This is the gradient of the norm, not of its square.",
    )
    yield _gradient_of(lambda e: e.abs().sum(), *given), "The differences are not squared."
    yield (
        _gradient_of(_squares, lambda x: x, x_t, y, f, at=denoise(x_t)),
        "This is the gradient with respect to x_0: go through the denoiser, to x_t.",
    )
    yield (
        _gradient_of(_squares, lambda x: x, x_t, y, f),
        "The denoiser is left out: compare y with A x_0(x_t), not with A x_t.",
    )


def _silently(answer: Callable, denoise: nn.Module, x_t: Tensor, y: Tensor, f: int) -> Tensor:
    """The answer under torch.no_grad, as the loop calls it."""
    torch.set_grad_enabled(False)
    try:
        got = call(answer, {"denoise": denoise, "x_t": x_t, "y": y, "f": f})
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        raise Misconception(
            "Under torch.no_grad() nothing can be differentiated: switch gradients on inside, "
            "with torch.enable_grad(), and let x_t require them."
        ) from error
    finally:
        torch.set_grad_enabled(True)
    require(
        not (isinstance(got, Tensor) and got.requires_grad),
        "g still requires gradients: the loop would keep every step.",
    )
    return got
