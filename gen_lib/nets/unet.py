"""Denoising networks with the time as a second input: U-Net, residual network, and an MLP for toys.

A U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597) computes features at falling and then at
rising resolution. A skip connection passes the features of the first half to the second, so details
that are lost at the lowest resolution remain available. This U-Net is sized for a CPU: it first
moves each 2 x 2 block of pixels into channels. In every block the time (Ho et al. 2020,
arXiv:2006.11239, appendix B) scales and shifts the normalised features (Perez et al. 2017,
arXiv:1709.07871).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import silu

from gen_lib import InputError
from gen_lib.nets.feedforward import divisible_by_four, mlp

Images = Float[Tensor, "n c h w"]  # or features
Times = Float[Tensor, "n"]
Labels = Int64[Tensor, "n"] | None
GROUPS = 8  # number of groups of channels in a group normalisation
HIGHEST = 1_000  # frequency of the time features, in radians per unit of t


def time_features(t: Times, width: int) -> Float[Tensor, "n width"]:
    """cos and sin of f t for t in [0, 1] and width / 2 frequencies f from 1,000 down to 0.1."""
    frequency = HIGHEST * 10_000 ** -torch.linspace(0, 1, width // 2, device=t.device)
    angle = t[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class TimedBlock(nn.Module):
    """A residual block that the time scales and shifts; it starts as the identity."""

    def __init__(self, width: int, n_time: int):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width, affine=False)
        self.modulate = nn.Linear(n_time, 2 * width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = zero(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, h: Images, time: Float[Tensor, "n time"]) -> Images:
        """Map features and an embedding of the time to features of the same shape."""
        scale, shift = self.modulate(time)[:, :, None, None].chunk(2, dim=1)
        body = silu(self.norm(h) * (1 + scale) + shift)
        return h + self.conv2(silu(self.conv1(body)))


class TimedNet(nn.Module):
    """A network of ``TimedBlock``s: what it knows of time and label, as one embedding.

    Args:
        width: channels of its blocks, a multiple of 8.
        classes: number of class labels; 0 for a network without labels.

    Raises:
        InputError: the width is not such a multiple.
    """

    def __init__(self, width: int, classes: int):
        super().__init__()
        if width % GROUPS:
            raise InputError(f"width is {width}: it must be a multiple of {GROUPS}.")
        self.classes, self.n_time = classes, 2 * width
        self.time = mlp(self.n_time, self.n_time, self.n_time)
        self.label = nn.Embedding(classes + 1, self.n_time) if classes else None

    def embed(self, t: Times, labels: Labels) -> Float[Tensor, "n time"]:
        """The sum of the embeddings of the time and of the label."""
        time = self.time(time_features(t, self.n_time))
        if self.label is None:
            return time
        if labels is None:
            labels = torch.full_like(t, self.classes).long()
        return time + self.label(labels)

    def hidden(self) -> list[nn.Parameter]:
        """The matrices of the hidden layers: all but the first, the last and the embeddings'."""
        named, outer = self.named_parameters(), ("stem", "out", "time", "label", "place", "words")
        return [p for name, p in named if p.ndim > 1 and name.partition(".")[0] not in outer]


class UNet(TimedNet):
    """Map noisy images, times and labels to images of unbounded values; the output starts at 0.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        width: channels at half the side, a multiple of 8; a quarter of the side has twice as many.
        blocks: number of blocks on the way down, at the lowest resolution, and on the way up.
        classes: number of class labels; 0 for a network without labels.

    Raises:
        InputError: the shape or the width is not such a multiple.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], width: int = 32, blocks: int = 2, classes: int = 0
    ):
        channels = divisible_by_four(image_shape)[0]
        super().__init__(width, classes)
        n_time = self.n_time
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
            zero(nn.Conv2d(width, 4 * channels, 3, padding=1)),
            nn.PixelShuffle(2),  # (n, C, H, W)
        )

    def forward(self, x: Images, t: Times, labels: Labels = None) -> Images:
        """x_t at times t in [0, 1]; label index ``classes``, or None, means unconditional."""
        time = silu(self.embed(t, labels))
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


class TimedResNet(TimedNet):
    """Map noisy grids, times and labels to grids of the same shape; the output starts at 0.

    All blocks work at the side of the grid. A learnt table tells the network where in the grid it
    is.

    Args:
        shape: (depth, height, width) of a grid.
        width: channels of the blocks, a multiple of 8.
        blocks: number of blocks.
        classes: number of class labels; 0 for a network without labels.
    """

    def __init__(
        self, shape: tuple[int, int, int], width: int = 64, blocks: int = 4, classes: int = 0
    ):
        super().__init__(width, classes)
        depth, *sides = shape
        self.place = nn.Parameter(0.02 * torch.randn(width, *sides))
        self.stem = nn.Conv2d(depth, width, 3, padding=1)
        self.blocks = nn.ModuleList(TimedBlock(width, self.n_time) for _ in range(blocks))
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), zero(nn.Conv2d(width, depth, 3, padding=1))
        )

    def forward(
        self, z: Float[Tensor, "n k h w"], t: Times, labels: Labels = None
    ) -> Float[Tensor, "n k h w"]:
        """z_t at times t in [0, 1]; label index ``classes``, or None, means unconditional."""
        time = silu(self.embed(t, labels))
        h = self.stem(z) + self.place
        for block in self.blocks:
            h = block(h, time)
        return self.out(h)


class TimedMLP(nn.Module):
    """Map points of the plane, as images of shape (2, 1, 1), and times to such points.

    It always computes in float32, because bfloat16 makes so small a network no faster.
    """

    def __init__(self, width: int = 128, n_time: int = 16):
        super().__init__()
        self.n_time = n_time
        self.body = mlp(2 + n_time, width, width, width, 2)

    def forward(
        self, x: Float[Tensor, "n 2 1 1"], t: Times, labels: Labels = None
    ) -> Float[Tensor, "n 2 1 1"]:
        """x_t at times t in [0, 1]; labels are ignored."""
        with torch.autocast(x.device.type, enabled=False):
            inputs = torch.cat([x[:, :, 0, 0], time_features(t, self.n_time)], dim=1)
            return self.body(inputs.float())[:, :, None, None]


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Set the weights and biases of a layer to 0 and return it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
