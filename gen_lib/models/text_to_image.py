r"""Text to image: latent diffusion that is told in words what to draw, a small Stable Diffusion.

Rombach et al. 2022 (arXiv:2112.10752). Three parts that the course has met:

    autoencoder   z = scale(encoder(x)): 12 x 12 cells for 48 x 48 pixels     (chapters 01 and 03)
    diffusion     a network estimates the velocity eps - z in z_t = (1 - t) z + t eps   (chapter 06)
    words         the sentence's words, by cross-attention, in place of a label  (``word_unet``)

The autoencoder is trained first and then stays as it is. It minimises the mean *absolute* error:
between two colours the median is one of them, where the mean is a blur of both, so edges stay
sharp. A share of the sentences is hidden in training, so that the network also estimates without
one; guidance leads away from that estimate, or from that of another sentence (a negative prompt).
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from typing_extensions import override

from gen_lib import positive
from gen_lib.data.people.words import VOCABULARY, nothing
from gen_lib.models.base import Images
from gen_lib.models.latent_diffusion import CodeDiffusion, code_shape
from gen_lib.nets.word_unet import WordUNet

AE_WIDTH = 48
GUIDANCE = 2.0  # weight w of the sentence, unless another is given
Sentences = Int64[Tensor, "n words"]  # numbers of words, as ``encode`` gives them


class TextToImage(CodeDiffusion):
    """Latent diffusion with sentences as labels.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 8.
        depth: numbers in each cell of a code.
        width: channels of the denoising network, a multiple of 8.
        blocks: its residual blocks in each of three parts.
        attends: whether places look at single words; if not, they only get the mean of all.
        vocabulary: number of words; the default is that of ``gen_lib.data.people.words``.
        label_dropout: share of the sentences hidden in training, in [0, 1).
    """

    net: WordUNet
    name = "text-to-image"
    labels = "sentences"
    batch_size = 64
    first = 0.2

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 48, 48),
        depth: int = 4,
        width: int = 64,
        blocks: int = 2,
        attends: bool = True,
        vocabulary: int = len(VOCABULARY),
        label_dropout: float = 0.1,
    ):
        shape = code_shape(image_shape, depth)
        net = WordUNet(
            shape, vocabulary, positive("width", width), positive("blocks", blocks), attends
        )
        config: dict[str, Any] = {"width": width, "blocks": blocks, "attends": attends}
        config |= {"vocabulary": vocabulary}
        super().__init__(net, image_shape, depth, AE_WIDTH, vocabulary, label_dropout, **config)

    @override
    def error(self, y: Images, x: Images) -> Float[Tensor, ""]:
        """What the autoencoder minimises: the mean absolute error of y."""
        return (y - x).abs().mean()

    @override
    def _partly_hidden(self, labels: Sentences, rng: torch.Generator) -> Sentences:
        """Sentences, a share of them replaced by the one that says nothing."""
        u = torch.rand(len(labels), 1, generator=rng, device=labels.device)
        return torch.where(u < self.label_dropout, nothing(labels), labels)
