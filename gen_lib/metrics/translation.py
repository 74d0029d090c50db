"""Measures of translations between two domains: the error against the true partners.

The true partner of a test picture shows the same thing in the other domain; training never sees it.
Three baselines need no training: *identity*, the source itself; *blur*, the blurred source, whose
L1 is lower because it averages over uncertain detail; and *colour*, which gives each channel the
mean and the standard deviation of the other domain (after Reinhard et al. 2001, who do so in a
colour space of their own).
"""

import math
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
    """Share of the images y_n, in [0, 1], whose nearest of all x is x_n; by chance 1 / N."""
    nearest = torch.cdist(y.flatten(1), x.flatten(1)).argmin(dim=1)
    return (nearest == torch.arange(len(y))).float().mean().item()


def blur(x: Images) -> Images:
    """Average over 3 x 3 pixels; at the border, over the pixels inside the image."""
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def colour_transfer(
    x: Images, source: Float[Tensor, "s c h w"], target: Float[Tensor, "t c h w"]
) -> Images:
    """Change mean and deviation of each channel from those of ``source`` to those of ``target``.

    The result is clipped to [-1, 1].
    """
    (mean_s, std_s), (mean_t, std_t) = (
        (v.mean(dim=(0, 2, 3), keepdim=True), v.std(dim=(0, 2, 3), keepdim=True))
        for v in (source, target)
    )
    return ((x - mean_s) / std_s * std_t + mean_t).clamp(-1, 1)


class Outputs:
    """The translations of the test pictures to one domain, and the three baselines.

    ``images`` holds the translations under "" and the baselines by name, ``truth`` the true
    partners, ``bases`` the indices of the base pictures, ``seen`` the target's training pictures.

    Raises:
        InputError: the test pictures are not pairs.
    """

    def __init__(self, translate: Callable[[Images, Side], Images], domains: DomainSet, to: Side):
        train, test = domains.train, domains.test
        if not test.paired:
            raise InputError(f"The test pictures of {domains.name} are no pairs to measure on.")
        source, target = (test.a, test.b) if to == "B" else (test.b, test.a)
        seen_source, self.seen = (train.a, train.b) if to == "B" else (train.b, train.a)
        x, self.truth, self.bases = source.x, target.x, source.bases
        with torch.no_grad():
            translated = torch.cat([translate(part, to) for part in x.split(500)])
        self.images = {
            "": translated.clamp(-1, 1),
            "identity": x,
            "blur": blur(x),
            "colour": colour_transfer(x, seen_source.x, self.seen.x),
        }


def translation_rows(translate: Callable[[Images, Side], Images], domains: DomainSet) -> list[Row]:
    """PSNR, L1, SSIM and retrieval of the translations to B and to A, beside the baselines.

    Retrieval compares base pictures only, one of each family. Without pairs these figures have no
    value; then the PSNR of pictures that were translated there and back is given.
    """
    rows: list[Row] = []
    if not domains.test.paired:
        return _rows_without_pairs(translate, domains)
    for to in ("B", "A"):
        outputs = Outputs(translate, domains, to)
        towards = [compared(figure, outputs.truth, outputs.images) for figure in (psnr, l1, ssim)]
        of_bases = {name: images[outputs.bases] for name, images in outputs.images.items()}
        towards.append(compared(retrieval, outputs.truth[outputs.bases], of_bases))
        rows += [row._replace(name=f"{row.name}_to_{to.lower()}") for row in towards]
    return rows


def _rows_without_pairs(
    translate: Callable[[Images, Side], Images], domains: DomainSet
) -> list[Row]:
    reason = "the test pictures are no pairs: a pair has the same file name in both folders"
    names = [f"{figure}_to_{to}" for to in ("b", "a") for figure in ("psnr", "l1", "ssim")]
    rows = [
        Row(name, math.nan, {}, reason) for name in [*names, "retrieval_to_b", "retrieval_to_a"]
    ]
    ways: tuple[tuple[Images, Side, Side], ...] = (
        (domains.test.a.x, "B", "A"),
        (domains.test.b.x, "A", "B"),
    )
    for x, there, back in ways:
        with torch.no_grad():
            y = torch.cat([translate(translate(v, there), back) for v in x.split(500)])
        value, blurred = psnr(y.clamp(-1, 1), x), psnr(blur(x), x)
        rows.append(Row(f"cycle_psnr_{back.lower()}", value, {"blur": blurred}))
    return rows
