"""Samplers: reverse processes, which step from x_t to x_s at an earlier time s < t, down to x_0.

A denoiser estimates x_0 and eps from x_t = signal_t x_0 + sigma_t eps. It is a network, or the
exact E[x_0 | x_t] of a known distribution. A step computes x_s from the estimate:

- ancestral: draw x_s from the posterior with the estimate in place of x_0 (Ho, Jain, Abbeel 2020,
  arXiv:2006.11239, eqs. 6 and 7 for s = t - 1; Kingma et al. 2021, arXiv:2107.00630, appendix A.2):

      q(x_s | x_t, x_0) = N(mu, c^2 I),   c^2 = sigma_s^2 std^2 / sigma_t^2
      mu = ratio sigma_s^2 / sigma_t^2  x_t  +  signal_s std^2 / sigma_t^2  x_0

  with ratio and std of q(x_t | x_s);
- DDIM: keep a part of the estimated noise and draw the rest anew (Song, Meng, Ermon 2020,
  arXiv:2010.02502, eqs. 12 and 16). eta = 0 draws no noise; eta = 1 is the ancestral step:

      x_s = signal_s x_0 + sqrt(sigma_s^2 - (eta c)^2) eps + eta c z

- Heun: divided by signal + sigma, x of any schedule is x of the straight path at the time
  tau = sigma / (signal + sigma), where it moves with the velocity eps - x_0. DDIM with eta = 0 is
  Euler's method there. Heun's method averages the velocities at both ends of the step, so its error
  is of second order (Karras et al. 2022, arXiv:2206.00364, algorithm 1). Its last step is Euler's.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError
from gen_lib.data.toys import Mixture
from gen_lib.schedules import Schedule, Table, Times

Time = Float[Tensor, ""]
Images = Float[Tensor, "n *shape"]


class Estimate(NamedTuple):
    """A denoiser's estimates of x_0 and eps, and the number of network calls they took."""

    x_0: Images
    eps: Images
    calls: int = 1


Denoiser = Callable[[Tensor, Tensor], Estimate]
"""A function of x_t and one time t for all images."""


class State(NamedTuple):
    """The state x = x_t of a reverse process at the time t."""

    t: Time
    x: Images
    estimate: Estimate
    """The estimate from x_t; at t = 0, x_0 = x and eps = 0."""
    calls: int
    """Network calls so far, including those of this estimate."""


def posterior(
    schedule: Schedule, x_t: Images, x_0: Images, t: Time, s: Time
) -> tuple[Images, Time]:
    """Mean and standard deviation of q(x_s | x_t, x_0) for s < t."""
    ratio, std = schedule.transition(s, t)
    share = (std / schedule.sigma(t)) ** 2  # the part of sigma_t^2 that was added after s
    mean = ratio * (schedule.sigma(s) / schedule.sigma(t)) ** 2 * x_t
    return mean + schedule.signal(s) * share * x_0, schedule.sigma(s) * share.sqrt()


def straightened(schedule: Schedule, t: Times) -> tuple[Times, Times]:
    """signal + sigma, and the time tau of the straight path that has the same SNR."""
    signal, sigma = schedule.signal(t), schedule.sigma(t)
    return signal + sigma, sigma / (signal + sigma)


def even_in_tau(schedule: Schedule, steps: int) -> Float[Tensor, "m"]:
    """Times from noise to 0 whose steps in tau are as equal as the schedule allows.

    >>> from gen_lib.schedules import linear
    >>> even_in_tau(linear(), 4)
    tensor([1000.,  471.,  257.,   98.,    0.], dtype=torch.float64)
    """
    if not isinstance(schedule, Table):
        return schedule.times(steps)
    tau = straightened(schedule, torch.arange(len(schedule.beta)).double())[1]  # rises with t
    even = torch.linspace(float(tau[-1]), 0, len(schedule.times(steps)), dtype=tau.dtype)
    return (tau - even[:, None]).abs().argmin(dim=1).unique().flip(0).double()


class Sampler(ABC):
    """The loop of a reverse process; a subclass defines one step."""

    order: ClassVar[int] = 1
    """Network calls per step; the error falls like steps ** -order."""

    def __init__(self, schedule: Schedule):
        self.schedule = schedule

    @abstractmethod
    def step(self, now: State, s: Time, z: Images, denoise: Denoiser) -> Images:
        """Compute x_s from the state at t > s; z is standard normal noise, for use if needed."""

    def steps_within(self, calls: int) -> int:
        """The largest number of steps with at most so many network calls, within the schedule."""
        steps = (calls + self.order - 1) // self.order  # the last step takes one call
        return min(steps, int(self.schedule.last)) if isinstance(self.schedule, Table) else steps

    def times(self, steps: int) -> Float[Tensor, "m"]:
        """Times for about so many steps: equal in t for the first order, in tau for the second.

        In a table tau grows like the square root of t near 0; with steps equal in t, the last one
        would reduce Heun's method to first order.
        """
        return self.schedule.times(steps) if self.order == 1 else even_in_tau(self.schedule, steps)

    @torch.no_grad()
    def states(
        self,
        denoise: Denoiser,
        x: Images,
        times: Float[Tensor, "steps_plus_one"],
        rng: torch.Generator | None = None,
        constrain: Callable[[Tensor, Tensor], Tensor] = lambda x_s, s: x_s,
    ) -> Iterator[State]:
        """Run the reverse process; yield its state before every denoising step and at the end.

        Args:
            denoise: the denoiser.
            x: the noisy images at the first time.
            times: such as ``self.times(steps)``. Where they rise, noise is added: q(x_s | x_t).
            rng: random numbers for the noise.
            constrain: a function of x_s and s, applied to x_s after every step.
        """
        calls = 0

        def counted(x_t: Tensor, t: Tensor) -> Estimate:
            nonlocal calls
            estimate = denoise(x_t, t)
            calls += estimate.calls
            return estimate

        for t, s in pairwise(times):
            z = torch.randn(x.shape, generator=rng, dtype=x.dtype)
            if s > t:
                ratio, std = self.schedule.transition(t, s)
                x = ratio * x + std * z
                continue
            now = State(t, x, counted(x, t), calls)
            yield now
            x = constrain(self.step(now, s, z, counted), s)
        yield State(times[-1], x, Estimate(x, torch.zeros_like(x), 0), calls)


def last(states: Iterator[State]) -> State:
    """The last of the states; the others are not kept in memory."""
    return deque(states, maxlen=1).pop()


class Ancestral(Sampler):
    """Draw x_s from q(x_s | x_t, x_0) with the estimate of x_0."""

    @override
    def step(self, now: State, s: Time, z: Images, denoise: Denoiser) -> Images:
        mean, std = posterior(self.schedule, now.x, now.estimate.x_0, now.t, s)
        return mean + std * z  # std is 0 at s = 0: no noise is added at the last step


class DDIM(Sampler):
    """Replace a part of the estimated noise by new noise, eta times that of the ancestral step.

    Args:
        schedule: the schedule of the noise.
        eta: 0 for a deterministic process, 1 for the ancestral one.

    Raises:
        InputError: eta is not between 0 and 1.
    """

    def __init__(self, schedule: Schedule, eta: float | int = 0.0):
        if not 0 <= eta <= 1:
            raise InputError(f"eta is {eta}: it must be between 0 and 1.")
        super().__init__(schedule)
        self.eta = eta

    @override
    def step(self, now: State, s: Time, z: Images, denoise: Denoiser) -> Images:
        x_0, eps, _ = now.estimate
        std = self.eta * posterior(self.schedule, now.x, x_0, now.t, s)[1]
        kept = (self.schedule.sigma(s) ** 2 - std**2).clamp(min=0).sqrt()
        return self.schedule.signal(s) * x_0 + kept * eps + std * z


class Heun(Sampler):
    """Heun's method: second order, two network calls per step and one in the last."""

    order = 2

    @override
    def step(self, now: State, s: Time, z: Images, denoise: Denoiser) -> Images:
        signal, sigma = self.schedule.signal(s), self.schedule.sigma(s)
        x_s = signal * now.estimate.x_0 + sigma * now.estimate.eps  # Euler
        if s == 0:
            return x_s
        then = denoise(x_s, s)
        velocity = (now.estimate.eps - now.estimate.x_0 + then.eps - then.x_0) / 2
        scale, tau = straightened(self.schedule, now.t)
        scale_s, tau_s = straightened(self.schedule, s)
        return scale_s * (now.x / scale + (tau_s - tau) * velocity)


def exact(mixture: Mixture, schedule: Schedule) -> Denoiser:
    """The denoiser with the least squared error: E[x_0 | x_t] for a mixture of Gaussians."""

    def denoise(x_t: Tensor, t: Tensor) -> Estimate:
        signal, sigma = (scale.reshape(-1, 1) for scale in schedule.scales(t, x_t))
        x_0 = mixture.denoised(x_t.flatten(1), signal, sigma).reshape(x_t.shape)
        return Estimate(x_0, schedule.noise_in(x_t, t, x_0))

    return denoise


def guided(conditional: Denoiser, unconditional: Denoiser, weight: float | int) -> Denoiser:
    """Classifier-free guidance with weight w: (1 + w) conditional - w unconditional estimate.

    Ho & Salimans 2022 (arXiv:2207.12598, eq. 6); weight 0 is the conditional denoiser.
    """

    def denoise(x_t: Tensor, t: Tensor) -> Estimate:
        with_label, without = conditional(x_t, t), unconditional(x_t, t)
        return Estimate(
            (1 + weight) * with_label.x_0 - weight * without.x_0,
            (1 + weight) * with_label.eps - weight * without.eps,
            with_label.calls + without.calls,
        )

    return denoise


def keep_known(
    schedule: Schedule,
    x: Images,
    mask: Bool[Tensor, "n *#shape"],
    rng: torch.Generator | None = None,
) -> Callable[[Tensor, Tensor], Tensor]:
    """A constraint for inpainting: replace the known pixels of x_s by those of x, noised for s.

    Lugmayr et al. 2022 (arXiv:2201.09865, eq. 8); the mask is True where x is unknown.
    """

    def constrain(x_s: Tensor, s: Tensor) -> Tensor:
        eps = torch.randn(x.shape, generator=rng, dtype=x.dtype)
        return torch.where(mask, x_s, schedule.noised(x, s, eps))

    return constrain


def with_returns(times: Float[Tensor, "n"], repeats: int) -> Float[Tensor, "m"]:
    """Times that take every step but the last ``repeats`` times, returning by added noise.

    In inpainting this lets unknown pixels adapt to known ones (Lugmayr et al. 2022, section 4.2).

    >>> with_returns(torch.tensor([3.0, 2.0, 0.0]), 2)
    tensor([3., 2., 3., 2., 0.])
    """
    *pairs, end = pairwise(times.tolist())
    visited = [time for t, s in pairs for time in (t, s) * (repeats - 1) + (t,)]
    return torch.tensor([*visited, *end], dtype=times.dtype)
