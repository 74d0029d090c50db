"""An outline steers a finished network, which stays as it is.

After ControlNet (Zhang, Rao, Agrawala 2023, arXiv:2302.05543) and T2I-Adapter (Mou et al. 2023,
arXiv:2302.08453). A small network reads the outline, and its features are added to those of the
frozen one at two places. Its last layers begin at zero, so that training begins with a model that
draws as before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from gen_lib.nets.unet import zero
from gen_lib.nets.word_unet import WordUNet

Images = Float[Tensor, "n 3 h w"]
Outlines = Float[Tensor, "n 1 h w"]
CONTRAST = 0.25  # in [0, 2]: a smaller difference of neighbouring pixels is no edge


def outline(x: Images) -> Outlines:
    """1 where a pixel of x in [-1, 1] differs from its right or lower neighbour, else 0."""
    down = (x[:, :, 1:] - x[:, :, :-1]).abs().amax(dim=1, keepdim=True)
    right = (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().amax(dim=1, keepdim=True)
    steps = torch.maximum(pad(down, (0, 0, 0, 1)), pad(right, (0, 1)))
    return (steps > CONTRAST).float()


class OutlineReader(nn.Module):
    """Map outlines to what is added to the features of a ``WordUNet`` after stem and shrink.

    Args:
        width: channels of that network.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        layers = [nn.Conv2d(1, width, 4, stride=4), nn.SiLU()]
        for _ in range(2):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.SiLU()]
        self.read = nn.Sequential(*layers)
        self.fine = zero(nn.Conv2d(width, width, 3, padding=1))
        self.coarse = zero(nn.Conv2d(width, 2 * width, 2, stride=2))

    def forward(self, lines: Outlines) -> tuple[Tensor, Tensor]:
        """Features for the side of a code (12 x 12 for 48 x 48 pixels) and for half of it."""
        h = self.read(lines)
        return self.fine(h), self.coarse(h)


@contextmanager
def steered(net: WordUNet, reader: OutlineReader, lines: Outlines) -> Iterator[None]:
    """Within it, ``net`` follows the outlines, one for each of its images."""
    parts = zip((net.stem, net.shrink), reader(lines), strict=True)
    hooks = [layer.register_forward_hook(_adding(more)) for layer, more in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _adding(more: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    return lambda layer, given, h: h + more


def agreement(x: Images, lines: Outlines) -> Float[Tensor, "n"]:
    """F1 of the outlines of x and those given: 1 if all edges agree."""
    mine = outline(x)
    shared = (mine * lines).sum(dim=(1, 2, 3))
    return 2 * shared / (mine.sum(dim=(1, 2, 3)) + lines.sum(dim=(1, 2, 3))).clamp(min=1)
