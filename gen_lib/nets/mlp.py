"""Fully connected networks."""

from collections.abc import Callable
from itertools import pairwise

from torch import nn


def mlp(*sizes: int, activation: Callable[[], nn.Module] = nn.GELU) -> nn.Sequential:
    """Linear layers of the given sizes with an activation between each two, none at the end.

    Two sizes give a purely linear map.

    >>> mlp(784, 128, 16)
    Sequential(
      (0): Linear(in_features=784, out_features=128, bias=True)
      (1): GELU(approximate='none')
      (2): Linear(in_features=128, out_features=16, bias=True)
    )
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])
