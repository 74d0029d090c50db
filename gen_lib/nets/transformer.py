r"""The decoder of a transformer: each place of a text looks at itself and at what stands before it.

Vaswani et al. 2017 (arXiv:1706.03762), in the form of Radford et al. 2019 (*Language models are
unsupervised multitask learners*), which normalises before each layer:

    h = token(x)
    h = h + attention(norm(h));  h = h + mlp(norm(h))          in every block
    logits = head(norm(h))

Attention compares a query with all keys that it may see, and mixes their values:

    attention(Q, K, V) = softmax(mask(Q K^T / sqrt(d))) V

A dot product does not know where two tokens stand. Rotary positions (Su et al. 2021,
arXiv:2104.09864, eq. 34) turn the query and the key of place m by m times some angles, pair of
numbers by pair of numbers. Their product then depends on the distance of the two places alone.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from gen_lib import InputError, positive

Features = Float[Tensor, "n tokens width"]
Heads = Float[Tensor, "n heads tokens d"]
Seen = Float[Tensor, "n heads seen d"]
Logits = Float[Tensor, "n tokens vocabulary"]


class Memory:
    """The keys and values of the places that a layer has read, at most ``context`` of them."""

    def __init__(self, context: int):
        self.context, self.length = context, 0
        self.kept: Float[Tensor, "2 n heads context d"] | None = None

    def add(self, k: Heads, v: Heads) -> tuple[Seen, Seen]:
        """Append the keys and values of new places; return those of all places."""
        if self.kept is None:
            n, heads, _, d = k.shape
            self.kept = k.new_empty(2, n, heads, self.context, d)
        new = slice(self.length, self.length + k.shape[2])
        self.kept[0, :, :, new], self.kept[1, :, :, new] = k, v
        self.length = new.stop
        return self.kept[0, :, :, : self.length], self.kept[1, :, :, : self.length]


def rotated(x: Heads, start: int = 0) -> Heads:
    """Turn the vectors of the places start, start + 1, ... by angles that grow with the place.

    Numbers i and i + d/2 of a vector are one point in the plane; it turns by place * 10000^(-2i/d).
    """
    cos, sin = _turns(x.shape[-1], start, x.shape[-2], x.device)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


@lru_cache(maxsize=4)  # every head of every block asks for the same
def _turns(
    d: int, start: int, places: int, device: torch.device
) -> tuple[Float[Tensor, "places half"], Float[Tensor, "places half"]]:
    """Cosine and sine of the angles of some places."""
    speed = 10_000 ** (-torch.arange(0, d, 2, device=device) / d)  # (d / 2,)
    angle = torch.arange(start, start + places, device=device)[:, None] * speed
    return angle.cos(), angle.sin()


class CausalAttention(nn.Module):
    """Attention of each place to itself and to the places before it, in several heads."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, h: Features, memory: Memory | None = None) -> Features:
        """Mix values; with a memory, h holds the places after those that it has."""
        q, k, v = self._parts(h, memory.length if memory else 0)
        if memory:
            k, v = memory.add(k, v)
        new, seen = q.shape[2], k.shape[2]
        if new in {1, seen}:  # one new place sees all
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=new > 1)
        else:  # new place i sees all that came before, and the new places up to itself
            mask = torch.ones(new, seen, dtype=torch.bool, device=h.device).tril(seen - new)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(self, h: Features) -> Float[Tensor, "n heads tokens tokens"]:
        """How much place i (rows) takes from place j (columns); each row sums to 1."""
        q, k, _ = self._parts(h, 0)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        after = torch.ones(scores.shape[-2:], dtype=torch.bool, device=h.device).triu(1)
        return scores.masked_fill(after, -math.inf).softmax(dim=-1)

    def _parts(self, h: Features, start: int) -> tuple[Heads, Heads, Heads]:
        """The queries, keys and values of every head."""
        parts = self.qkv(h).unflatten(2, (3, self.heads, -1))  # (n, tokens, 3, heads, d)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        return rotated(q, start), rotated(k, start), v


class Block(nn.Module):
    """Attention, then a small network at each place; both add to what was there.

    A new block changes nothing, because its two last layers start at 0.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        inner, last = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(inner, nn.GELU(), last)

    def forward(self, h: Features, memory: Memory | None = None) -> Features:
        """Map features to features of the same shape."""
        h = h + self.attention(self.norm1(h), memory)
        return h + self.mlp(self.norm2(h))


class Transformer(nn.Module):
    """Map rows of tokens to the logits of the token that comes next at each place.

    A new transformer gives all tokens the same probability.

    Args:
        vocabulary: number of tokens.
        width: numbers at each place, an even multiple of ``heads``.
        layers: number of blocks.
        heads: attentions side by side, each with width / heads numbers.

    Raises:
        InputError: a number is below 1, or the width is not such a multiple.
    """

    def __init__(self, vocabulary: int, width: int, layers: int, heads: int):
        super().__init__()
        positive("layers", layers)
        if positive("width", width) % (2 * positive("heads", heads)):
            raise InputError(f"width is {width}: it must be a multiple of {2 * heads}, 2 heads.")
        self.token = nn.Embedding(positive("vocabulary", vocabulary), width)
        blocks = [Block(width, heads) for _ in range(layers)]
        self.blocks: Sequence[Block] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(
        self, tokens: Int64[Tensor, "n tokens"], memories: list[Memory] | None = None
    ) -> Logits:
        """Logits of x_(i+1) at each place i; with memories, of the new places only."""
        h = self.token(tokens)
        for layer, block in enumerate(self.blocks):
            h = block(h, memories[layer] if memories else None)
        return self.head(self.norm(h))

    def memories(self, context: int) -> list[Memory]:
        """An empty memory for each block."""
        return [Memory(context) for _ in self.blocks]

    def attention(
        self, tokens: Int64[Tensor, "n tokens"]
    ) -> Float[Tensor, "layers n heads tokens tokens"]:
        """The attention weights of every head in every block."""
        h, found = self.token(tokens), []
        for block in self.blocks:
            found.append(block.attention.weights(block.norm1(h)))
            h = block(h)
        return torch.stack(found)

    def hidden(self) -> list[nn.Parameter]:
        """The matrices inside the blocks, for Muon."""
        return [p for block in self.blocks for p in block.parameters() if p.ndim == 2]
