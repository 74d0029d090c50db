"""A vision transformer on patches of an image (Dosovitskiy et al. 2020, arXiv:2010.11929)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen_lib import InputError
from gen_lib.nets.feedforward import mlp


def patchify(x: Float[Tensor, "n c h w"], patch: int) -> Float[Tensor, "n patches values"]:
    """Cut images, row by row, into patches of ``patch`` x ``patch`` pixels, flattened to vectors.

    >>> patchify(torch.zeros(2, 1, 28, 28), 4).shape
    torch.Size([2, 49, 16])

    Raises:
        InputError: height or width is not a multiple of ``patch``.
    """
    n, c, h, w = x.shape
    if h % patch or w % patch:
        raise InputError(
            f"Images of {h} x {w} pixels can't be cut into patches of {patch}: height and width "
            "must be multiples of it."
        )
    x = x.reshape(n, c, h // patch, patch, w // patch, patch)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c * patch**2)  # (n, rows * columns, values)


def unpatchify(
    patches: Float[Tensor, "n patches values"], image_shape: tuple[int, int, int]
) -> Float[Tensor, "n c h w"]:
    """Put the patches of ``patchify`` together to images of shape (channels, height, width)."""
    c, h, w = image_shape
    patch = round((patches.shape[2] / c) ** 0.5)
    x = patches.reshape(-1, h // patch, w // patch, c, patch, patch)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, c, h, w)


class Block(nn.Module):
    """A pre-norm transformer block: h + attention(norm(h)), then h + mlp(norm(h))."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = mlp(width, 2 * width, width)

    def forward(self, h: Float[Tensor, "n tokens width"]) -> Float[Tensor, "n tokens width"]:
        """Map tokens to tokens of the same shape."""
        h = h + self.out(self.attend(self.qkv(self.norm1(h))))
        return h + self.mlp(self.norm2(h))

    def attend(self, qkv: Float[Tensor, "n tokens three"]) -> Float[Tensor, "n tokens width"]:
        """softmax(Q K^T / sqrt(d)) V in every head (Vaswani et al. 2017, arXiv:1706.03762, eq. 1).

        For few tokens on a CPU, torch's fused kernel is slower in bfloat16, but faster in float32.
        """
        n, tokens, _ = qkv.shape
        q, k, v = qkv.reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)  # (n, heads, tokens, tokens)
        return (weights @ v).transpose(1, 2).reshape(n, tokens, -1)


def transformer(width: int, depth: int) -> nn.Sequential:
    """Map tokens (N, tokens, width) to tokens by ``depth`` blocks and a final normalisation."""
    return nn.Sequential(*(Block(width, heads=4) for _ in range(depth)), nn.LayerNorm(width))


def positions(n: int, width: int) -> Float[Tensor, "n width"]:
    """Sine and cosine encoding of positions 0 ... n - 1 (Vaswani et al. 2017, section 3.5)."""
    frequency = 10_000 ** (-torch.arange(0, width, 2) / width)  # (width / 2,)
    angle = torch.arange(n)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
