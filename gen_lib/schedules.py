"""Noise schedules: the strengths of signal and noise from clean (t = 0) to pure noise (t = last).

A noisy image at time t and its signal-to-noise ratio are

    x_t = signal_t x_0 + sigma_t eps,   eps ~ N(0, I);   SNR_t = signal_t^2 / sigma_t^2

A schedule gives signal_t and sigma_t. That of Ho, Jain, Abbeel 2020 (arXiv:2006.11239) is a table
over t = 1 ... T. Each step adds a little noise (eq. 2), and all steps up to t together are one
Gaussian step (eq. 4):

    q(x_t | x_{t-1}) = N(sqrt(alpha_t) x_{t-1}, beta_t I),   alpha_t = 1 - beta_t
    q(x_t | x_0)     = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I),   alpha_bar_t = prod alpha_s

so signal_t = sqrt(alpha_bar_t) and sigma_t = sqrt(1 - alpha_bar_t). The straight path of Liu, Gong,
Liu 2022 (arXiv:2209.03003) and Lipman et al. 2022 (arXiv:2210.02747), in whose papers time runs the
other way, has signal_t = 1 - t and sigma_t = t for t in [0, 1].

Between two times s < t (Kingma, Salimans, Poole, Ho 2021, arXiv:2107.00630, appendix A.1):

    q(x_t | x_s) = N(ratio x_s, std^2 I),   ratio = signal_t / signal_s,
                                            std^2 = sigma_t^2 - ratio^2 sigma_s^2
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError

Times = Float[Tensor, "*n"]  # one time, or one for each image
Images = Float[Tensor, "b *shape"]


class Scales(NamedTuple):
    """The factors of the signal and of the noise."""

    signal: Times
    sigma: Times


class Schedule(ABC):
    """signal_t and sigma_t as functions of t; times are floating-point tensors."""

    last: float | int
    """The time of pure noise: T, or 1."""

    @abstractmethod
    def signal(self, t: Times) -> Times:
        """The factor of x_0 at the times t."""

    @abstractmethod
    def sigma(self, t: Times) -> Times:
        """The standard deviation of the noise at the times t."""

    @abstractmethod
    def draw(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n"]:
        """Draw n times for training, uniformly."""

    @abstractmethod
    def times(self, steps: int) -> Float[Tensor, "steps_plus_one"]:
        """The times of a reverse process: from ``last`` down to 0 in equal steps.

        Raises:
            InputError: the schedule has no such number of steps.
        """

    def snr(self, t: Times) -> Times:
        """The signal-to-noise ratio signal_t^2 / sigma_t^2.

        >>> Straight().snr(torch.tensor([0.2, 0.5, 0.8]))
        tensor([16.0000,  1.0000,  0.0625])
        """
        return (self.signal(t) / self.sigma(t)) ** 2

    def log_snr(self, t: Times) -> Times:
        """log SNR_t, which falls with t and is 0 where signal and noise are equally strong."""
        return 2 * (self.signal(t).log() - self.sigma(t).log())

    def scales(self, t: Times, x: Images) -> Scales:
        """signal_t and sigma_t, of shape (1 or b, 1, ..., 1) to multiply x."""
        shape = (-1, *[1] * (x.ndim - 1))
        return Scales(*(f(t).to(x.dtype).reshape(shape) for f in (self.signal, self.sigma)))

    def noised(self, x_0: Images, t: Times, eps: Images) -> Images:
        """x_t = signal_t x_0 + sigma_t eps, a sample of q(x_t | x_0)."""
        signal, sigma = self.scales(t, x_0)
        return signal * x_0 + sigma * eps

    def noise_in(self, x_t: Images, t: Times, x_0: Images) -> Images:
        """eps = (x_t - signal_t x_0) / sigma_t, for t > 0."""
        signal, sigma = self.scales(t, x_t)
        return (x_t - signal * x_0) / sigma

    def transition(self, s: Times, t: Times) -> Scales:
        """ratio and std of q(x_t | x_s), s < t; for s = t - 1 they are sqrt(alpha_t), sqrt(beta_t).

        >>> ratio, std = Table(torch.tensor([0.1, 0.2])).transition(*torch.tensor([1.0, 2.0]))
        >>> round(float(ratio) ** 2, 4), round(float(std) ** 2, 4)
        (0.8, 0.2)
        """
        ratio = self.signal(t) / self.signal(s)
        variance = self.sigma(t) ** 2 - (ratio * self.sigma(s)) ** 2
        return Scales(ratio, variance.clamp(min=0).sqrt())


class Table(Schedule):
    """The schedule with given beta_1 ... beta_T.

    ``beta``, ``alpha`` and ``alpha_bar`` are float64 tables of T + 1 numbers: entry t belongs to
    time t, and entry 0 to the clean x_0 (beta_0 = 0, alpha_bar_0 = 1).

    Raises:
        InputError: there is no beta, or one is not between 0 and 1.
    """

    def __init__(self, betas: Float[Tensor, "T"]):
        if not len(betas) or not bool(((betas > 0) & (betas < 1)).all()):
            raise InputError("betas must be one or more numbers, all of them between 0 and 1.")
        self.last = len(betas)
        self.beta = torch.cat([betas.new_zeros(1), betas]).double()  # (T + 1,)
        self.alpha = 1 - self.beta
        self.alpha_bar = self.alpha.cumprod(dim=0)

    @override
    def signal(self, t: Times) -> Times:
        return self.alpha_bar.sqrt().to(t.dtype).to(t.device)[t.long()]

    @override
    def sigma(self, t: Times) -> Times:
        return (1 - self.alpha_bar).sqrt().to(t.dtype).to(t.device)[t.long()]

    @override
    def draw(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n"]:
        device = rng.device if rng else None
        return torch.randint(1, int(self.last) + 1, (n,), generator=rng, device=device) + 0.0

    @override
    def times(self, steps: int) -> Float[Tensor, "steps_plus_one"]:
        if not 1 <= steps <= self.last:
            raise InputError(f"{steps} steps are not between 1 and the {self.last} of the table.")
        return torch.linspace(self.last, 0, steps + 1, dtype=torch.float64).round()


class Straight(Schedule):
    """signal_t = 1 - t and sigma_t = t for t in [0, 1]: x_t moves on a line from x_0 to eps.

    >>> Straight().noised(torch.ones(1, 2), torch.tensor([0.25]), torch.zeros(1, 2))
    tensor([[0.7500, 0.7500]])
    """

    last = 1.0

    @override
    def signal(self, t: Times) -> Times:
        return 1 - t

    @override
    def sigma(self, t: Times) -> Times:
        return t

    @override
    def draw(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n"]:
        return torch.rand(n, generator=rng, device=rng.device if rng else None)

    @override
    def times(self, steps: int) -> Float[Tensor, "steps_plus_one"]:
        if steps < 1:
            raise InputError(f"{steps} steps are too few: there must be at least 1.")
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


def linear(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> Table:
    """beta_t grows linearly from beta_1 to beta_T (Ho et al. 2020, section 4, with T = 1000).

    beta_1 and beta_T do not depend on T, so alpha_bar_T of a short table is far from 0.

    >>> linear().alpha_bar[-1].item() < 1e-4 < linear(100).alpha_bar[-1].item()
    True
    """
    return Table(torch.linspace(beta_1, beta_T, T, dtype=torch.float64, device="cpu"))


def cosine(T: int = 1000, offset: float = 0.008) -> Table:
    """alpha_bar_t is a squared cosine (Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 17).

    As in that paper, no beta_t exceeds 0.999, and the offset keeps the first betas from being tiny.

    >>> [round(table.alpha_bar[500].item(), 2) for table in (linear(), cosine())]  # halfway
    [0.08, 0.49]
    """
    t = torch.arange(T + 1, dtype=torch.float64, device="cpu") / T
    f = ((t + offset) / (1 + offset) * torch.pi / 2).cos() ** 2
    return Table((1 - f[1:] / f[:-1]).clamp(max=0.999))


def sigmoid(T: int = 1000, beta_1: float = 1e-4, beta_T: float = 0.02) -> Table:
    """beta_t grows from beta_1 to beta_T like a sigmoid over [-6, 6], as in ``diffusers``.

    That cites Xu et al. 2022 (arXiv:2203.02923); other authors give alpha_bar_t this shape.
    """
    share = torch.linspace(-6, 6, T, dtype=torch.float64, device="cpu").sigmoid()
    return Table(beta_1 + share * (beta_T - beta_1))


SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "linear": linear,
    "cosine": cosine,
    "sigmoid": sigmoid,
    "straight": lambda T: Straight(),
}
"""Schedules by name, as functions of T; the straight path ignores T."""
