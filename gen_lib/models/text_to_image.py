r"""Text to image: latent diffusion that is told in words what to draw, a small Stable Diffusion.

Rombach et al. 2022 (arXiv:2112.10752). Three parts that the course has met:

    autoencoder   z = scale(encoder(x)): 12 x 12 cells for 48 x 48 pixels     (chapters 01 and 03)
    diffusion     a network estimates the velocity eps - z in z_t = (1 - t) z + t eps   (chapter 06)
    words         the sentence's words, by cross-attention, in place of a label  (``word_unet``)

The autoencoder is trained first and then stays as it is. It minimises the mean *absolute* error:
between two colours the median is one of them, where the mean is a blur of both, so edges stay
sharp. A share of the sentences is hidden in training, so that the network also estimates without
one; guidance leads away from that estimate.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import max_pool2d
from typing_extensions import override

from gen_lib import InputError, positive
from gen_lib.data import ImageSet
from gen_lib.data.people.words import VOCABULARY, nothing
from gen_lib.metrics.images import Row, compared, mse, psnr
from gen_lib.models.base import Images, in_batches
from gen_lib.models.diffusion import CALLS
from gen_lib.models.latent_diffusion import REDUCED, CodeDiffusion, code_shape
from gen_lib.nets.word_unet import WordUNet
from gen_lib.samplers import Heun, keep_known, last

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
    def rows(self, data: ImageSet) -> list[Row]:
        """MSE and PSNR of the autoencoder, beside the mean training image."""
        x, mean = data.test.x, data.train.x.mean(dim=0)
        outputs = {"": in_batches(self.reconstruct, x), "mean_image": mean.expand_as(x)}
        return [compared(figure, x, outputs) for figure in (mse, psnr)]

    @override
    def _partly_hidden(self, labels: Sentences, rng: torch.Generator) -> Sentences:
        """Sentences, a share of them replaced by the one that says nothing."""
        u = torch.rand(len(labels), 1, generator=rng, device=labels.device)
        return torch.where(u < self.label_dropout, nothing(labels), labels)

    def edit(
        self,
        x: Images,
        sentences: Sentences,
        rng: torch.Generator | None = None,
        *,
        strength: float | int = 1.0,
        mask: Bool[Tensor, "n 1 h w"] | None = None,
        calls: int = CALLS,
        guidance: float | int = GUIDANCE,
    ) -> Images:
        """Change images as sentences say.

        The reverse process starts from the codes noised to the time ``strength`` (SDEdit, Meng et
        al. 2022, arXiv:2108.01073). With a mask, cells outside it keep their codes (RePaint,
        Lugmayr et al. 2022, arXiv:2201.09865, eq. 8), and pixels outside it stay as they are.

        Args:
            x: images in [-1, 1].
            sentences: one for each image.
            rng: source of the noise.
            strength: in (0, 1]; at 1 nothing of the image is left but what a mask keeps.
            mask: True where pixels may change; all may, unless given.
            calls: the largest number of network calls from noise; part of the way takes fewer.
            guidance: weight w >= 0 of the sentences.

        Raises:
            InputError: images of another shape, or a strength outside (0, 1].
        """
        if not 0 < strength <= 1:
            raise InputError(f"strength is {strength}: it must be above 0, at most 1.")
        sampler, z = Heun(self.schedule), in_batches(self.encode, x)
        steps = max(1, round(strength * sampler.steps_within(calls // (2 if guidance else 1))))
        times = strength * sampler.times(steps)
        start = self.schedule.noised(z, times[0], torch.randn(z.shape, generator=rng))
        keep: dict[str, Any] = {}
        if mask is not None:
            cells = max_pool2d(mask.float(), REDUCED) > 0
            keep = {"constrain": keep_known(self.schedule, z, cells, rng)}
        denoise = self.denoiser(sentences, guidance)
        codes = last(sampler.states(denoise, start, times, rng, **keep)).x
        y = in_batches(self.decode, codes).clamp(-1, 1)
        return y if mask is None else torch.where(mask, y, x)
