"""A CycleGAN of numbers: X is spread evenly over [-1, 1], Y over [1, 3]."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

Map = Callable[[Float[Tensor, "n 1"]], Float[Tensor, "n 1"]]
GRID = torch.linspace(-1, 1, 201)[:, None]  # numbers of X, evenly spaced


class Numbers(NamedTuple):
    """Trained generators: G from X to Y, F from Y to X."""

    g: Map
    f: Map


class Measured(NamedTuple):
    """What a pair G, F has learnt."""

    gap: float
    """Largest distance between sorted G(x) and sorted y: 0 if G makes exactly Y."""
    cycle: float
    """Mean |F(G(x)) - x|."""
    slope: float
    """Slope of the straight line nearest to G: 1 for the shift x + 2, -1 for the mirror 2 - x."""


def network() -> nn.Sequential:
    """A map from a number to a number, with two hidden layers."""
    layers = [nn.Linear(1, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 1)]
    return nn.Sequential(*layers)


def train(
    seed: int,
    make: Callable[[], nn.Module],
    weight: float = 3.0,
    steps: int = 500,
    batch: int = 256,
) -> Numbers:
    """Train generators of numbers by the adversarial and the cycle loss, without identity loss.

    Args:
        seed: of the initial weights and of the batches.
        make: builds a generator, which maps numbers (n, 1) to numbers (n, 1).
        weight: lambda_cycle.
        steps: the learning rate falls linearly to 0 over so many steps.
        batch: numbers of each domain in a step.
    """
    torch.manual_seed(seed)
    g, f, d_x, d_y = make(), make(), network(), network()
    players = (nn.ModuleList([g, f]), nn.ModuleList([d_x, d_y]))
    rules = [torch.optim.Adam(team.parameters(), 2e-3, (0.5, 0.99)) for team in players]
    for step in range(steps):
        for rule in rules:
            rule.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        x, y = 2 * torch.rand(batch, 1) - 1, 2 * torch.rand(batch, 1) + 1
        g_x, f_y = g(x), f(y)
        game = (d_y(g_x) - 1).square().mean() + (d_x(f_y) - 1).square().mean()
        cycle = (f(g_x) - x).abs().mean() + (g(f_y) - y).abs().mean()
        _step(rules[0], game + weight * cycle)
        real = (d_y(y) - 1).square().mean() + (d_x(x) - 1).square().mean()
        fake = d_y(g_x.detach()).square().mean() + d_x(f_y.detach()).square().mean()
        _step(rules[1], (real + fake) / 2)
    return Numbers(g, f)


def _step(rule: torch.optim.Optimizer, loss: Tensor) -> None:
    rule.zero_grad()
    loss.backward()
    rule.step()


def measure(pair: Numbers) -> Measured:
    """Measure a pair of generators on a grid of X."""
    with torch.no_grad():
        there = pair.g(GRID)
        gap = (there.sort(dim=0).values - (GRID + 2)).abs().max().item()
        cycle = (pair.f(there) - GRID).abs().mean().item()
        slope = ((there * GRID).sum() / GRID.square().sum()).item()
    return Measured(gap, cycle, slope)
