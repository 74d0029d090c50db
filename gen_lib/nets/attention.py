r"""Cross-attention: every place of an image looks at the words of a sentence.

Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1), with the places of an
image as queries and the words as keys and values (Rombach et al. 2022, arXiv:2112.10752, section
3.3):

    attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V

Row i of the softmax says how much place i takes from each word; its entries sum to 1. Words that
only fill up a sentence (padding) get the weight 0.
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from gen_lib import InputError
from gen_lib.nets.unet import zero


def attention_weights(
    q: Float[Tensor, "*batch places d"],
    k: Float[Tensor, "*batch words d"],
    seen: Bool[Tensor, "*#batch #places words"],
) -> Float[Tensor, "*batch places words"]:
    """softmax(Q K^T / sqrt(d)) over the words that are seen; each row sums to 1.

    At least one word of every row must be seen.
    """
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return scores.masked_fill(~seen, float("-inf")).softmax(dim=-1)


class CrossAttention(nn.Module):
    """Add to each place of an image what it takes from the words; it starts as the identity.

    Args:
        width: channels of the image's features, a multiple of ``heads``.
        word_width: numbers in the vector of a word.
        heads: attentions side by side, each with width / heads numbers.

    Raises:
        InputError: the width is not such a multiple.
    """

    def __init__(self, width: int, word_width: int, heads: int = 4):
        super().__init__()
        if width % heads:
            raise InputError(f"width is {width}: it must be a multiple of {heads}, the heads.")
        self.heads = heads
        self.norm = nn.GroupNorm(1, width)
        self.query = nn.Conv2d(width, width, 1)
        self.key, self.value = nn.Linear(word_width, width), nn.Linear(word_width, width)
        self.out = zero(nn.Conv2d(width, width, 1))

    def weights(
        self,
        h: Float[Tensor, "n c height width"],
        words: Float[Tensor, "n words d"],
        seen: Bool[Tensor, "n words"],
    ) -> Float[Tensor, "n heads places words"]:
        """How much each place takes from each word; places go row by row."""
        q = self._split(self.query(self.norm(h)).flatten(2).mT)
        return attention_weights(q, self._split(self.key(words)), seen[:, None, None])

    def forward(
        self,
        h: Float[Tensor, "n c height width"],
        words: Float[Tensor, "n words d"],
        seen: Bool[Tensor, "n words"],
    ) -> Float[Tensor, "n c height width"]:
        """Map features to features of the same shape; ``seen`` is False for padding."""
        taken = self.weights(h, words, seen) @ self._split(self.value(words))
        return h + self.out(taken.mT.reshape(h.shape))

    def _split(self, x: Float[Tensor, "n tokens c"]) -> Float[Tensor, "n heads tokens d"]:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
