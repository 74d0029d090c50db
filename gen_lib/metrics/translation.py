"""Measures of a translation between two domains, against the true partner of each picture.

A translation is compared with the picture that it should have become, which training never saw.
Three baselines need no training: the *identity* (the source itself), its *blur* (blurring alone
lowers L1, because it averages over what is uncertain), and *colour*, which gives each channel the
mean and the standard deviation that it has in the other domain (after Reinhard et al. 2001, who do
so in a colour space of their own).
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gen_lib import InputError
from gen_lib.data.domains import DomainSet
from gen_lib.metrics.images import Row, compared, l1, psnr, ssim

Images = Float[Tensor, "n c h w"]
Side = Literal["A", "B"]


def retrieval(y: Images, x: Images) -> float:
    """Share of the y_n, in [0, 1], whose nearest of all x is x_n; by chance 1 / N."""
    nearest = torch.cdist(y.flatten(1), x.flatten(1)).argmin(dim=1)
    return (nearest == torch.arange(len(y))).float().mean().item()


def blur(x: Images) -> Images:
    """The mean over 3 x 3 pixels; at the border, over the pixels inside the picture."""
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def colour_transfer(
    x: Images, source: Float[Tensor, "s c h w"], target: Float[Tensor, "t c h w"]
) -> Images:
    """Shift and scale each channel of x from the statistics of ``source`` to those of ``target``.

    The result is clipped to [-1, 1].
    """
    (mean_s, std_s), (mean_t, std_t) = (
        (v.mean(dim=(0, 2, 3), keepdim=True), v.std(dim=(0, 2, 3), keepdim=True))
        for v in (source, target)
    )
    return ((x - mean_s) / std_s * std_t + mean_t).clamp(-1, 1)


class Outputs:
    """The translations of the test pictures to one side, beside the three baselines.

    Args:
        translate: (images, side) to translated images, such as ``model.translate``.
        domains: test pictures of both sides.
        to: the side to reach.

    Raises:
        InputError: the test pictures are no pairs, so that there is no true partner.
    """

    def __init__(self, translate: Callable[[Images, Side], Images], domains: DomainSet, to: Side):
        train, test = domains.train, domains.test
        if not test.paired:
            raise InputError(f"The test pictures of {domains.name} are no pairs to measure on.")
        source, target, before, self.seen = (
            (test.a, test.b, train.a, train.b) if to == "B" else (test.b, test.a, train.b, train.a)
        )
        x, self.truth, self.bases = source.x, target.x, source.bases
        with torch.no_grad():
            translated = torch.cat([translate(part, to) for part in x.split(500)])
        self.images = {
            "": translated.clamp(-1, 1),
            "identity": x,
            "blur": blur(x),
            "colour": colour_transfer(x, before.x, self.seen.x),
        }


def translation_rows(translate: Callable[[Images, Side], Images], domains: DomainSet) -> list[Row]:
    """PSNR, L1, SSIM and retrieval of the true partner, towards B and towards A.

    Retrieval is among base pictures, one of each family. Errors are those of ``Outputs``.
    """
    rows = []
    for to in ("B", "A"):
        outputs = Outputs(translate, domains, to)
        towards = [compared(figure, outputs.truth, outputs.images) for figure in (psnr, l1, ssim)]
        of_bases = {name: images[outputs.bases] for name, images in outputs.images.items()}
        towards.append(compared(retrieval, outputs.truth[outputs.bases], of_bases))
        rows += [row._replace(name=f"{row.name}_to_{to.lower()}") for row in towards]
    return rows
