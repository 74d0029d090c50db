"""The two generators of a CycleGAN, trained on true pairs: a reference for unpaired training.

With pairs no discriminator is needed. G and F minimise the distance to the true partner,

    E |G(x) - y| + E |F(y) - x|,

|.| being the mean over pixels of the absolute difference: the reconstruction loss of Isola et al.
2016 (arXiv:1611.07004), without their discriminator.
"""

from typing import Literal

import torch
from typing_extensions import override

from gen_lib.data import DomainSet, PairBatch
from gen_lib.metrics.images import Row
from gen_lib.metrics.translation import translation_rows
from gen_lib.models.base import Images, Loss, Model, Translates
from gen_lib.models.cyclegan import distance
from gen_lib.nets.patchgan import translator


class SupervisedTranslator(Model, Translates):
    """Two generators, each trained on the true partners; arguments as of ``CycleGAN``."""

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
    def translate(self, x: Images, to: Literal["A", "B"]) -> Images:
        return self.g(x) if to == "B" else self.f(x)

    @override
    def loss(self, batch: PairBatch, rng: torch.Generator, progress: float) -> Loss:
        """E |G(x) - y| + E |F(y) - x|, where the n-th x and the n-th y are a pair."""
        to_b, to_a = distance(self.g(batch.x), batch.y), distance(self.f(batch.y), batch.x)
        return Loss(to_a + to_b, {"to_a": to_a, "to_b": to_b})

    @override
    def rows(self, data: DomainSet) -> list[Row]:
        return translation_rows(self.translate, data)
