"""The ceiling of a translation: the generators of a CycleGAN, trained on true pairs.

With pairs no game is needed. G and F descend the distance to what they should have drawn,

    E |G(x) - y| + E |F(y) - x|,

|.| being the mean over pixels of the absolute difference: the reconstruction loss of Isola et al.
2016 (arXiv:1611.07004), without their discriminator.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from gen_lib.data import Batch
from gen_lib.data.domains import A, B
from gen_lib.models.base import Model, Player, Translates, Turn
from gen_lib.models.cyclegan import distance
from gen_lib.nets.patchgan import translator


class PairedTranslator(Model, Translates):
    """The two generators of a ``CycleGAN``, each told what it should have drawn.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        width: channels of the generators.
        blocks: residual blocks of each generator.
        lr: learning rate.
    """

    name = "paired"
    batch_size = 16
    needs_pairs = True

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        width: int = 32,
        blocks: int = 4,
        lr: float = 3e-3,
    ):
        super().__init__(image_shape=image_shape, width=width, blocks=blocks, lr=lr)
        self.lr = lr
        self.g, self.f = (translator(image_shape, width, blocks) for _ in "GF")
        self.to(memory_format=torch.channels_last)

    @override
    def translate(
        self, x: Float[Tensor, "n c h w"], to: Literal["A", "B"]
    ) -> Float[Tensor, "n c h w"]:
        return self.g(x) if to == "B" else self.f(x)

    def players(self) -> dict[str, Player]:
        """One: both generators."""
        return {"model": Player(list(self.parameters()), self.lr)}

    def turns(self, batch: Batch, generator: torch.Generator) -> Iterator[Turn]:
        """One turn; the n-th image of A and the n-th of B are a pair."""
        x, y = (batch.images[batch.labels == domain] for domain in (A, B))
        to_b, to_a = distance(self.g(x), y), distance(self.f(y), x)
        yield Turn("model", to_a + to_b, {"to_a": to_a, "to_b": to_b})
