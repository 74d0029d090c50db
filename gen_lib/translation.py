"""How good is a translation? Figures against the true partner, beside what needs no training.

A translation is compared with the picture that it should have become, which training never saw.
Three baselines stand beside it: the *identity* (the source itself), its *blur* (which alone lowers
L1, since it hedges), and *colour*, a transfer that gives each channel the mean and the standard
deviation that it has in the other domain (Reinhard et al. 2001, there in a space of their own).

Of emoji, a classifier of the two styles says as well how many translations it takes for the target
style, and how far their features are from those of true pictures of it (the Fréchet distance).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gen_lib import InputError
from gen_lib.checkpoints import load_pretrained
from gen_lib.data import DomainSet
from gen_lib.data.domains import A, B
from gen_lib.metrics import Row, compared, frechet_distance, psnr, ssim
from gen_lib.models.base import Classifies, Model, Translates, in_batches
from gen_lib.models.judge import Judge

Images = Float[Tensor, "n c h w"]
STYLE_JUDGE = "style-judge"  # shipped; it tells emoji of A from those of B


def l1(y: Images, x: Images) -> float:
    """Mean absolute difference, both images in [-1, 1].

    >>> l1(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    1.0
    """
    return (y - x).abs().mean().item()


def retrieval(y: Images, x: Images) -> float:
    """Share of the y_n, in [0, 1], whose nearest of all x is x_n; by chance 1 / N."""
    nearest = torch.cdist(y.flatten(1), x.flatten(1)).argmin(dim=1)
    return (nearest == torch.arange(len(y))).float().mean().item()


def blur(x: Images) -> Images:
    """The mean over 3 x 3 pixels; at the edge, over those that there are."""
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def colour_transfer(
    x: Images, source: Float[Tensor, "s c h w"], target: Float[Tensor, "t c h w"]
) -> Images:
    """x, each channel moved from the statistics of ``source`` to those of ``target``; clipped."""
    (mean_s, std_s), (mean_t, std_t) = (
        (v.mean(dim=(0, 2, 3), keepdim=True), v.std(dim=(0, 2, 3), keepdim=True))
        for v in (source, target)
    )
    return ((x - mean_s) / std_s * std_t + mean_t).clamp(-1, 1)


def style_share(judge: Classifies, y: Images, domain: int) -> float:
    """Share of the images, in [0, 1], that a classifier of the domains A and B calls ``domain``."""
    return (in_batches(judge.logits, y).argmax(dim=1) == domain).float().mean().item()


def style_distance(judge: Classifies, y: Images, target: Images) -> float:
    """Fréchet distance between the features of two sets of images."""
    return frechet_distance(*(in_batches(judge.features, images) for images in (y, target)))


def evaluate_translation(model: Model, domains: DomainSet) -> list[Row]:
    """PSNR, L1, SSIM and retrieval of the true partner, towards B and towards A.

    Retrieval is among base pictures, one of each family.

    Raises:
        InputError: the model does not translate, was made for images of another shape, or there
            are no true pairs to measure on.
    """
    if not isinstance(model, Translates):
        raise InputError(f"A {model.name!r} translates nothing: evaluate it on a set of images.")
    if not domains.test.paired:
        raise InputError(f"The test pictures of {domains.name} are no pairs to measure on.")
    if (made_for := model.config["image_shape"]) != domains.image_shape:
        raise InputError(
            f"The model was made for images of shape {made_for}, those of {domains.name} are "
            f"{domains.image_shape}: load them with the size it was trained on."
        )
    return [*_towards("B", model, domains), *_towards("A", model, domains)]


def _towards(to: Literal["A", "B"], model: Translates, domains: DomainSet) -> list[Row]:
    train, test = domains.train, domains.test
    source, target, before, after = (
        (test.a, test.b, train.a, train.b) if to == "B" else (test.b, test.a, train.b, train.a)
    )
    x, y = source.x, target.x
    outputs = {
        "": in_batches(lambda v: model.translate(v, to=to), x).clamp(-1, 1),
        "identity": x,
        "blur": blur(x),
        "colour": colour_transfer(x, before.x, after.x),
    }
    of_bases = {name: output[source.bases] for name, output in outputs.items()}
    rows = [compared(figure, y, outputs) for figure in (psnr, l1, ssim)]
    rows.append(compared(retrieval, y[source.bases], of_bases))
    if domains.name == "emoji":
        rows += _style(to, outputs, y, after.x)
    return [row._replace(name=f"{row.name}_to_{to.lower()}") for row in rows]


def _style(to: str, outputs: dict[str, Tensor], truth: Tensor, seen: Tensor) -> list[Row]:
    """What a classifier of the styles says, also of true pictures: held-out ones, and ``seen``."""
    judge, domain = load_pretrained(STYLE_JUDGE, Judge), {"A": A, "B": B}[to]
    order = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))
    shares = {n: style_share(judge, y, domain) for n, y in (outputs | {"truth": truth}).items()}
    distances = {
        name: style_distance(judge, y, truth)
        for name, y in (outputs | {"floor": seen[order[: len(truth)]]}).items()
    }
    return [
        Row(name, figures.pop(""), figures)
        for name, figures in (("style", shares), ("frechet", distances))
    ]
