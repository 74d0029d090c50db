r"""Latent diffusion: an autoencoder shortens images, and diffusion generates their codes.

Rombach et al. 2022 (arXiv:2112.10752). The code z of an image x is a small grid of numbers, here
7 x 7 cells for 28 x 28 pixels, scaled to mean 0 and variance 1. The decoder supplies the fine
detail, so the denoising network works on fewer, less redundant numbers. A training has two parts:

    first  the autoencoder:   L = E ||decoder(z + r eps) - x||^2 / D,   z = scale(encoder(x))
    then   diffusion:         the loss of ``diffusion``, with codes z in place of images

D is the number of pixels. The slight noise r eps makes the decoder tolerate codes that are not
exact. The times of diffusion are logit-normal, t = sigmoid(u), u ~ N(0, 1), so that medium noise
is trained more often than hardly any or nothing but noise (Esser et al. 2024, arXiv:2403.03206,
section 3.1). A sample is a decoded sample of codes.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from gen_lib import positive
from gen_lib.data import Batch, ImageSet
from gen_lib.metrics.images import Row
from gen_lib.models.autoencoder import reconstruction_rows
from gen_lib.models.base import Images, Player, Reconstructs, Turn, in_batches
from gen_lib.models.diffusion import DenoisingDiffusion
from gen_lib.nets.feedforward import (
    ResidualBlock,
    divisible_by_four,
    grid_decoder,
    grid_encoder,
)
from gen_lib.nets.unet import TimedNet, TimedResNet

Grids = Float[Tensor, "n depth rows columns"]  # codes: ``depth`` numbers in each cell
REDUCED = 4  # pixels, each way, for a cell of the grid
FIRST = 0.3  # share of the budget that trains the autoencoder
NOISE = 0.1  # standard deviation r of the noise that the decoder learns to tolerate
AE_WIDTH = 32  # channels of the autoencoder at half the side; a quarter of the side has 64
MUON_LR = 0.02


class CodeDiffusion(DenoisingDiffusion, Reconstructs):
    """An autoencoder, and diffusion of its codes; subclasses choose the denoising network.

    Args:
        net: maps noisy codes, times, and labels or None to the velocity.
        image_shape: (channels, height, width); height and width are multiples of 4.
        depth: numbers in each cell of a code.
        ae_width: channels of the autoencoder at half the side; a quarter has twice as many.
        known, label_dropout: see ``DenoisingDiffusion``.
        config: the arguments that build the model again, besides these.
    """

    net: TimedNet
    batch_size = 32
    first: ClassVar[float] = FIRST  # share of the budget that trains the autoencoder

    def __init__(
        self,
        net: TimedNet,
        image_shape: tuple[int, int, int],
        depth: int,
        ae_width: int,
        known: int,
        label_dropout: float | int,
        **config: Any,
    ):
        shape = code_shape(image_shape, depth)
        super().__init__(net, shape, known, "straight", "velocity", 1, label_dropout)
        self.config: dict[str, Any] = {"image_shape": image_shape, "depth": depth} | config
        self.config |= {"label_dropout": label_dropout}
        self.encoder = grid_encoder(image_shape, depth, ae_width)
        self.scale = nn.BatchNorm2d(depth, affine=False)
        self.decoder = grid_decoder(image_shape, depth, ae_width)

    @override
    def encode(self, x: Images) -> Grids:
        """Images in [-1, 1] to codes of mean 0 and variance 1."""
        return self.scale(self.encoder(self.fitting(x)))

    @override
    def decode(self, z: Grids) -> Images:
        return self.decoder(z)

    @override
    def sample(self, n: int, rng: torch.Generator | None = None, **options: Any) -> Images:
        """Sample n codes, with the options of ``DenoisingDiffusion.sample``, and decode them."""
        codes = super().sample(n, rng, **options)
        return in_batches(self.decode, codes).clamp(-1, 1)

    @override
    def players(self) -> dict[str, Player]:
        """The autoencoder, then the denoising network; Muon updates the hidden layers of both."""
        halves = nn.ModuleList([self.encoder, self.decoder])
        blocks = [part for part in halves.modules() if isinstance(part, ResidualBlock)]
        inner = [p for block in blocks for p in block.parameters() if p.ndim > 1]
        first = Player([*halves.parameters()], self.lr, hidden=inner, hidden_lr=MUON_LR)
        hidden = self.net.hidden()
        then = Player([*self.net.parameters()], self.lr, hidden=hidden, hidden_lr=MUON_LR)
        return {
            "autoencoder": first._replace(part=(0.0, self.first)),
            "diffusion": then._replace(part=(self.first, 1.0)),
        }

    @override
    def turns(self, batch: Batch, rng: torch.Generator, progress: float) -> Iterator[Turn]:
        """One turn: the autoencoder's in the first part of the budget, diffusion's in the rest."""
        x, first = batch.images, progress < self.first
        self.scale.train(first)  # afterwards the scale of the codes stays as it is
        if first:
            z = self.encode(x).float()
            eps = torch.randn(z.shape, generator=rng, device=z.device)
            loss = self.error(self.decode(z + NOISE * eps).float(), x)
            yield Turn("autoencoder", loss, {"error": loss})
        else:
            with torch.no_grad():
                z = self.encode(x).float()
            yield Turn("diffusion", *self.loss(Batch(z, batch.labels), rng, progress))

    def error(self, y: Images, x: Images) -> Float[Tensor, ""]:
        """What the autoencoder minimises: the mean squared error of y."""
        return (y - x).square().mean()

    @override
    def times(self, n: int, rng: torch.Generator) -> Float[Tensor, "n"]:
        """Logit-normal times."""
        return torch.randn(n, generator=rng, device=rng.device).sigmoid()

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        return reconstruction_rows(self, data)


class LatentDiffusion(CodeDiffusion):
    """Latent diffusion with labels or none; the denoising network is a residual network.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        depth: numbers in each cell of a code.
        width: channels of the denoising network, a multiple of 8.
        blocks: its number of residual blocks.
        conditional: whether the denoising network is given the labels.
        classes: number of labels in the data.
        label_dropout: share of the labels hidden in training, in [0, 1).
    """

    name = "latent-diffusion"

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        depth: int = 3,
        width: int = 64,
        blocks: int = 4,
        conditional: bool = False,
        classes: int = 10,
        label_dropout: float = 0.1,
    ):
        known = classes if conditional else 0
        shape = code_shape(image_shape, depth)
        net = TimedResNet(shape, positive("width", width), positive("blocks", blocks), known)
        config = {"width": width, "blocks": blocks, "conditional": conditional, "classes": classes}
        super().__init__(net, image_shape, depth, AE_WIDTH, known, label_dropout, **config)


def code_shape(image_shape: tuple[int, int, int], depth: int) -> tuple[int, int, int]:
    """(depth, rows, columns) of a code.

    >>> code_shape((1, 28, 28), 3)
    (3, 7, 7)
    """
    _, height, width = divisible_by_four(image_shape)
    return positive("depth", depth), height // REDUCED, width // REDUCED
