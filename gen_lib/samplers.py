r"""How does a reverse process step? From x_t to x_s at an earlier time s < t, down to x_0.

A denoiser looks at x_t and estimates x_0 and eps, where x_t = signal_t x_0 + sigma_t eps. What is
left is arithmetic, and the same for a network as for an exact E[x_0 | x_t]:

- ancestral: draw x_s from the posterior, with the estimate in place of x_0 (Ho, Jain, Abbeel 2020,
  arXiv:2006.11239, eqs. 6 and 7 for s = t - 1; Kingma et al. 2021, arXiv:2107.00630, appendix A.2):

      q(x_s | x_t, x_0) = N(mu, c^2 I),   c^2 = sigma_s^2 std^2 / sigma_t^2
      mu = ratio sigma_s^2 / sigma_t^2  x_t  +  signal_s std^2 / sigma_t^2  x_0

  with ratio and std of q(x_t | x_s);
- DDIM: keep a part of the estimated noise, draw the rest (Song, Meng, Ermon 2020, arXiv:2010.02502,
  eqs. 12 and 16). eta = 0 draws nothing; eta = 1 is the ancestral step:

      x_s = signal_s x_0 + sqrt(sigma_s^2 - (eta c)^2) eps + eta c z

- Heun: in the coordinates x / (signal + sigma) every schedule is the straight path at the time
  tau = sigma / (signal + sigma), and x moves with the velocity eps - x_0. DDIM with eta = 0 is
  Euler's method there. Heun's averages the velocities at both ends of the step, which makes the
  error second order (Karras et al. 2022, arXiv:2206.00364, algorithm 1); the last step is Euler's.
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
from gen_lib.schedules import Schedule, Table

Time = Float[Tensor, ""]


class Estimate(NamedTuple):
    """What a denoiser sees in x_t, and how many network calls that took."""

    x_0: Float[Tensor, "n *shape"]
    eps: Float[Tensor, "n *shape"]
    calls: int = 1


Denoiser = Callable[[Tensor, Tensor], Estimate]
"""x_t, and one time for all of it, to an estimate."""


class State(NamedTuple):
    """A reverse process on its way."""

    t: Time
    x: Float[Tensor, "n *shape"]
    """x_t."""
    estimate: Estimate
    """What the denoiser sees in x_t; at t = 0, x itself."""
    calls: int
    """Network calls so far, with the one of this estimate."""


def posterior(
    schedule: Schedule,
    x_t: Float[Tensor, "n *shape"],
    x_0: Float[Tensor, "n *shape"],
    t: Time,
    s: Time,
) -> tuple[Float[Tensor, "n *shape"], Time]:
    """Mean and standard deviation of q(x_s | x_t, x_0) for s < t."""
    ratio, std = schedule.transition(s, t)
    share = (std / schedule.sigma(t)) ** 2  # 1 where x_t says nothing more about x_s than x_0 does
    mean = ratio * (schedule.sigma(s) / schedule.sigma(t)) ** 2 * x_t
    return mean + schedule.signal(s) * share * x_0, schedule.sigma(s) * share.sqrt()


def straightened(
    schedule: Schedule, t: Float[Tensor, "*n"]
) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """signal + sigma, and tau, the time of the straight path with the same SNR."""
    signal, sigma = schedule.signal(t), schedule.sigma(t)
    return signal + sigma, sigma / (signal + sigma)


def even_in_tau(schedule: Schedule, steps: int) -> Float[Tensor, "m"]:
    """From noise to 0 in steps that are even in tau, as far as the schedule has such times.

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
    """A way to step back; subclasses are the step, the loop is here.

    ``order`` is how many network calls a step takes, and the power of 1 / steps that its error
    falls with.
    """

    order: ClassVar[int] = 1

    def __init__(self, schedule: Schedule):
        self.schedule = schedule

    @abstractmethod
    def step(
        self, now: State, s: Time, z: Float[Tensor, "n *shape"], denoise: Denoiser
    ) -> Float[Tensor, "n *shape"]:
        """x_s from the state at t > s; z is standard normal noise to use or to leave."""

    def steps_within(self, calls: int) -> int:
        """The most steps that the schedule has and that take at most so many network calls."""
        steps = (calls + self.order - 1) // self.order  # the last one takes one call
        return min(steps, int(self.schedule.last)) if isinstance(self.schedule, Table) else steps

    def times(self, steps: int) -> Float[Tensor, "m"]:
        """Times for about so many steps: even in t, and for the second order even in tau.

        For tau grows like the root of t in a table, so that the last of the steps that are even in
        t would leave an error of first order.
        """
        even = self.schedule.times(steps)
        return even if self.order == 1 else even_in_tau(self.schedule, steps)

    @torch.no_grad()
    def states(
        self,
        denoise: Denoiser,
        x: Float[Tensor, "n *shape"],
        times: Float[Tensor, "steps_plus_one"],
        rng: torch.Generator | None = None,
        constrain: Callable[[Tensor, Tensor], Tensor] = lambda x_s, s: x_s,
    ) -> Iterator[State]:
        """Every state from x at the first time to the last time.

        Args:
            denoise: the estimates to follow.
            x: noise, where ``times`` begins.
            times: as of ``Schedule.times``. Where they rise, noise is added: q(x_s | x_t).
            rng: of the noise.
            constrain: what is to be done to x_s at s after every step.
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
    """The last of the states; the others are let go as they come."""
    return deque(states, maxlen=1).pop()


class Ancestral(Sampler):
    """Draw x_s from q(x_s | x_t, x_0) at the estimated x_0."""

    @override
    def step(self, now: State, s: Time, z: Tensor, denoise: Denoiser) -> Tensor:
        mean, std = posterior(self.schedule, now.x, now.estimate.x_0, now.t, s)
        return mean + std * z  # std is 0 at s = 0: no noise is added at the last step


class DDIM(Sampler):
    """Keep the estimated noise, up to a share eta of the ancestral step's fresh noise.

    Args:
        schedule: which noise belongs to which time.
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
    def step(self, now: State, s: Time, z: Tensor, denoise: Denoiser) -> Tensor:
        x_0, eps, _ = now.estimate
        std = self.eta * posterior(self.schedule, now.x, x_0, now.t, s)[1]
        kept = (self.schedule.sigma(s) ** 2 - std**2).clamp(min=0).sqrt()
        return self.schedule.signal(s) * x_0 + kept * eps + std * z


class Heun(Sampler):
    """Second order: two network calls a step, one in the last."""

    order = 2

    @override
    def step(self, now: State, s: Time, z: Tensor, denoise: Denoiser) -> Tensor:
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
    """The denoiser that no network can beat: E[x_0 | x_t] for x_0 of a mixture of Gaussians."""

    def denoise(x_t: Tensor, t: Tensor) -> Estimate:
        scales = schedule.scales(t, x_t)
        signal, sigma = (scale.reshape(-1, 1) for scale in scales)
        x_0 = mixture.denoised(x_t.flatten(1), signal, sigma).reshape(x_t.shape)
        return Estimate(x_0, schedule.noise_in(x_t, t, x_0))

    return denoise


def guided(conditional: Denoiser, unconditional: Denoiser, weight: float | int) -> Denoiser:
    """Away from what is seen without a label: (1 + w) conditional - w unconditional.

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
    x: Float[Tensor, "n *shape"],
    mask: Bool[Tensor, "n *#shape"],
    rng: torch.Generator | None = None,
) -> Callable[[Tensor, Tensor], Tensor]:
    """A constraint for inpainting: what is not masked is x, noised anew for each time.

    Lugmayr et al. 2022 (arXiv:2201.09865, eq. 8); mask is True where x is unknown.
    """

    def constrain(x_s: Tensor, s: Tensor) -> Tensor:
        eps = torch.randn(x.shape, generator=rng, dtype=x.dtype)
        return torch.where(mask, x_s, schedule.noised(x, s, eps))

    return constrain


def with_returns(times: Float[Tensor, "n"], repeats: int) -> Float[Tensor, "m"]:
    """Each step but the last done ``repeats`` times, with noise added back in between.

    So that known and unknown pixels can agree (Lugmayr et al. 2022, section 4.2).

    >>> with_returns(torch.tensor([3.0, 2.0, 0.0]), 2)
    tensor([3., 2., 3., 2., 0.])
    """
    *pairs, end = pairwise(times.tolist())
    visited = [time for t, s in pairs for time in (t, s) * (repeats - 1) + (t,)]
    return torch.tensor([*visited, *end], dtype=times.dtype)
