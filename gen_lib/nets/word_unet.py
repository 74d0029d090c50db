r"""A U-Net that is told in words what to draw, after Stable Diffusion (Rombach et al. 2022).

Each word of a sentence becomes a learnt vector, to which two convolutions over the sentence add its
neighbours, so that *green* next to *hat* differs from *green* next to *shirt*. The words reach the
picture in two ways: their mean joins the time, as a class label does in ``UNet``, and
cross-attention (``attention``) lets every place take what it needs from single words.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from gen_lib import InputError
from gen_lib.data.people.words import NOTHING, PAD
from gen_lib.nets.attention import CrossAttention
from gen_lib.nets.unet import GROUPS, TimedBlock, TimedNet, zero

Grids = Float[Tensor, "n k h w"]  # codes, or features
Times = Float[Tensor, "n"]
Sentences = Int64[Tensor, "n words"]  # numbers of words, filled up with PAD


class WordVectors(nn.Module):
    """Map sentences to one vector per word, which depends on the words beside it.

    Args:
        vocabulary: number of words, with PAD and NOTHING.
        width: numbers in a vector.
    """

    def __init__(self, vocabulary: int, width: int):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.5)
        self.beside = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, vectors: Float[Tensor, "n words d"], seen: Bool[Tensor, "n words"]) -> Tensor:
        """Add to each vector what its neighbours say; padding stays 0."""
        h = (vectors * seen[..., None]).mT
        for layer in self.beside:
            h = (h + layer(silu(h))) * seen[:, None]
        return h.mT


class WordUNet(TimedNet):
    """Map noisy grids, times and sentences to grids of the same shape; the output starts at 0.

    Args:
        shape: (depth, height, width) of a grid; height and width are even.
        vocabulary: number of words, with PAD and NOTHING.
        width: channels at the side of the grid, a multiple of 8; half the side has twice as many.
        blocks: blocks on the way down, at half the side, and on the way up.
        attends: whether places look at single words; if not, they only get the mean of all.

    Raises:
        InputError: the width or the shape is not such.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        vocabulary: int,
        width: int = 64,
        blocks: int = 2,
        attends: bool = True,
    ):
        super().__init__(width, 0)
        depth, n_time = shape[0], self.n_time
        if shape[1] % 2 or shape[2] % 2:
            raise InputError(
                f"A grid of {shape[1]} x {shape[2]} cells does not fit this network: it must have "
                "even sides, so take images whose height and width are multiples of 8."
            )
        self.attends = attends
        self.words = WordVectors(vocabulary, n_time)
        self.place = nn.Parameter(0.02 * torch.randn(width, *shape[1:]))
        self.stem = nn.Conv2d(depth, width, 3, padding=1)
        self.down = nn.ModuleList(TimedBlock(width, n_time) for _ in range(blocks))
        self.shrink = nn.Conv2d(width, 2 * width, 3, padding=1, stride=2)
        self.bottom = nn.ModuleList(TimedBlock(2 * width, n_time) for _ in range(blocks))
        self.look = nn.ModuleList(CrossAttention(2 * width, n_time) for _ in range(blocks))
        self.grow = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2))
        self.join = nn.Conv2d(2 * width, width, 1)
        self.closer = CrossAttention(width, n_time)
        self.up = nn.ModuleList(TimedBlock(width, n_time) for _ in range(blocks))
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), zero(nn.Conv2d(width, depth, 3, padding=1))
        )

    def forward(self, z: Grids, t: Times, sentences: Sentences | None = None) -> Grids:
        """z_t at times t in [0, 1]; without sentences, unconditional."""
        if sentences is None:
            sentences = torch.full((len(z), 1), NOTHING, device=z.device)
        seen = sentences != PAD
        words = self.words(self.words.table(sentences), seen)
        mean = words.sum(dim=1) / seen.sum(dim=1, keepdim=True)
        time = silu(self.embed(t, None) + mean)
        h = self.stem(z) + self.place
        for block in self.down:
            h = block(h, time)
        bottom = self.shrink(h)
        for block, look in zip(self.bottom, self.look, strict=True):
            bottom = block(bottom, time)
            bottom = look(bottom, words, seen) if self.attends else bottom
        h = self.join(torch.cat([h, self.grow(bottom)], dim=1))
        h = self.closer(h, words, seen) if self.attends else h
        for block in self.up:
            h = block(h, time)
        return self.out(h)

    @torch.no_grad()
    def looks(
        self, z: Grids, t: Times, sentences: Sentences
    ) -> Float[Tensor, "n words height width"]:
        """How much every place of the grid takes from each word, a mean over layers and heads.

        The weights of a place sum to 1 over the words.
        """
        maps: list[Tensor] = []

        def note(layer: CrossAttention, given: tuple[Tensor, Tensor, Tensor], _: Tensor) -> None:
            weights = layer.weights(*given).mean(dim=1).mT  # (n, words, places)
            side = weights.unflatten(2, given[0].shape[2:])
            maps.append(interpolate(side, z.shape[2:], mode="bilinear"))

        hooks = [layer.register_forward_hook(note) for layer in (*self.look, self.closer)]
        self(z, t, sentences)
        for hook in hooks:
            hook.remove()
        return torch.stack(maps).mean(dim=0)
