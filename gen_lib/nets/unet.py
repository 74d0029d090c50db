"""A U-Net that is told the time, sized for a CPU; and the same for points of the plane.

Ronneberger, Fischer, Brox 2015 (arXiv:1505.04597): down, up, and a bridge across at every size, so
that the way down may forget where things are. The pixels are folded into channels first, so that
nothing is computed at full size. Each block sees the time (Ho et al. 2020, arXiv:2006.11239,
appendix B) as a scale and a shift of its normalised features (Perez et al. 2017, arXiv:1709.07871).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import silu

from gen_lib import InputError
from gen_lib.nets.feedforward import divisible_by_four, mlp

GROUPS = 8  # of channels that are normalised together
FASTEST = 1_000  # radians of the fastest wave of a time feature while t goes from 0 to 1


def time_features(t: Float[Tensor, "n"], width: int) -> Float[Tensor, "n width"]:
    """cos and sin of t in [0, 1], times frequencies from 1,000 down to 0.1."""
    frequency = FASTEST * 10_000 ** -torch.linspace(0, 1, width // 2, device=t.device)
    angle = t[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class TimedBlock(nn.Module):
    """h + body(h), where the time scales and shifts the features; at first, the identity."""

    def __init__(self, width: int, n_time: int):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width, affine=False)
        self.modulate = nn.Linear(n_time, 2 * width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = _zero(nn.Conv2d(width, width, 3, padding=1))

    def forward(
        self, h: Float[Tensor, "n c h w"], time: Float[Tensor, "n time"]
    ) -> Float[Tensor, "n c h w"]:
        """Features and what is known of the time to features."""
        scale, shift = self.modulate(time)[:, :, None, None].chunk(2, dim=1)
        body = silu(self.norm(h) * (1 + scale) + shift)
        return h + self.conv2(silu(self.conv1(body)))


class UNet(nn.Module):
    """Images and their times (and labels) to images of unbounded values, at first all 0.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        width: channels at half the side, a multiple of 8; twice as many at a quarter.
        blocks: on each of the three stretches: down, at the bottom, up.
        classes: number of labels that it may be told; 0 for a network without labels.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], width: int = 32, blocks: int = 2, classes: int = 0
    ):
        super().__init__()
        if width % GROUPS:
            raise InputError(f"width is {width}: it must be a multiple of {GROUPS}.")
        channels, n_time = divisible_by_four(image_shape)[0], 2 * width
        self.classes, self.n_time = classes, n_time
        self.time = mlp(n_time, n_time, n_time)
        self.label = nn.Embedding(classes + 1, n_time) if classes else None
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2),  # (n, 4 C, H/2, W/2)
            nn.Conv2d(4 * channels, width, 3, padding=1),
        )
        self.down = nn.ModuleList(TimedBlock(width, n_time) for _ in range(blocks))
        self.shrink = nn.Conv2d(width, 2 * width, 3, padding=1, stride=2)  # H/4, W/4
        self.bottom = nn.ModuleList(TimedBlock(2 * width, n_time) for _ in range(blocks))
        self.grow = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2))
        self.join = nn.Conv2d(2 * width, width, 1)
        self.up = nn.ModuleList(TimedBlock(width, n_time) for _ in range(blocks))
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, width),
            nn.SiLU(),
            _zero(nn.Conv2d(width, 4 * channels, 3, padding=1)),
            nn.PixelShuffle(2),  # (n, C, H, W)
        )

    def forward(
        self,
        x: Float[Tensor, "n c h w"],
        t: Float[Tensor, "n"],
        labels: Int64[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """x_t at times t in [0, 1]; a label ``classes``, or none at all, says nothing."""
        time = silu(self.described(t, labels))
        h = self.stem(x)
        for block in self.down:
            h = block(h, time)
        bottom = self.shrink(h)
        for block in self.bottom:
            bottom = block(bottom, time)
        h = self.join(torch.cat([h, self.grow(bottom)], dim=1))
        for block in self.up:
            h = block(h, time)
        return self.out(h)

    def described(
        self, t: Float[Tensor, "n"], labels: Int64[Tensor, "n"] | None
    ) -> Float[Tensor, "n time"]:
        """What all blocks are told: the time, plus the label."""
        time = self.time(time_features(t, self.n_time))
        if self.label is None:
            return time
        return time + self.label(
            torch.full_like(t, self.classes).long() if labels is None else labels
        )


class TimedMLP(nn.Module):
    """Points of the plane, as images of two channels and one pixel, and times to such points.

    Computed in float32, also where the training loop allows bfloat16: so small a network gains no
    speed from it.
    """

    def __init__(self, width: int = 128, n_time: int = 16):
        super().__init__()
        self.n_time = n_time
        self.body = mlp(2 + n_time, width, width, width, 2)

    def forward(
        self,
        x: Float[Tensor, "n 2 1 1"],
        t: Float[Tensor, "n"],
        labels: Int64[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "n 2 1 1"]:
        """x_t at times t in [0, 1]; labels are not looked at."""
        with torch.autocast(x.device.type, enabled=False):
            seen = torch.cat([x[:, :, 0, 0], time_features(t, self.n_time)], dim=1)
            return self.body(seen.float())[:, :, None, None]


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
