"""The judge of people: a frozen classifier with one answer for each kind of attribute.

It measures whether a generated picture shows what a sentence named (``metrics.obedience``), so it
has to read pictures that are slightly soft as well: training adds noise and blurs some pictures.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from gen_lib import InputError
from gen_lib.data import Batch, ImageSet
from gen_lib.data.people import KINDS
from gen_lib.metrics.images import Row
from gen_lib.models.base import Images, Loss, Model, in_batches
from gen_lib.nets.feedforward import divisible_by_four

Answers = Float[Tensor, "n values"]
Attributes = Int64[Tensor, "n kinds"]
DROPPED = 0.2  # share of the features that training leaves out
NOISE, BLURRED = 0.1, 0.3  # largest standard deviation of the noise; share of blurred pictures


class AttributeJudge(Model):
    """A small convolutional network that says the value of every kind.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        width: channels at half the side, at least 2; a quarter of the side has twice as many.

    Raises:
        InputError: the width or the shape is not such.
    """

    name = "attribute-judge"
    labels = "attributes"
    lr = 2e-3
    batch_size = 64

    def __init__(self, image_shape: tuple[int, int, int] = (3, 48, 48), width: int = 32):
        super().__init__(image_shape=image_shape, width=width)
        channels, height, breadth = divisible_by_four(image_shape)
        if width < 2:
            raise InputError(f"width is {width}: it must be a whole number of at least 2.")
        self.sizes = [len(values) for values in KINDS.values()]
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),  # (n, 4 C, H/2, W/2)
            nn.Conv2d(4 * channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2, bias=False),  # H/4, W/4
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, width // 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(DROPPED),
            nn.Linear(width // 2 * (height // 4) * (breadth // 4), sum(self.sizes)),
        )

    def answers(self, x: Images) -> Answers:
        """Images in [-1, 1] to the unnormalised log-probabilities of all values, kind by kind."""
        return self.body(self.fitting(x))

    def attributes(self, x: Images) -> Attributes:
        """The value of every kind that the judge sees, as an index into the values of KINDS."""
        parts = in_batches(self.answers, x).split(self.sizes, dim=1)
        return torch.stack([part.argmax(dim=1) for part in parts], dim=1)

    def right(self, x: Images, attributes: Attributes) -> Bool[Tensor, "n kinds"]:
        """Whether the judge sees these values; never where an attribute is NO_WORD."""
        return self.attributes(x) == attributes

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """The sum over kinds of the cross-entropies, on pictures with noise, some of them soft."""
        *body, _, head = self.body
        h = nn.Sequential(*body)(_softened(self.fitting(batch.images), rng))
        if self.training:  # dropout by rng, so that a run can be repeated and resumed
            kept = torch.rand(h.shape, generator=rng, device=h.device) >= DROPPED
            h = h * kept / (1 - DROPPED)
        parts = head(h).split(self.sizes, dim=1)
        pairs = zip(parts, batch.labels.T, strict=True)
        entropies = [F.cross_entropy(part, of, label_smoothing=0.05) for part, of in pairs]
        loss = torch.stack(entropies).sum()
        return Loss(loss, {"cross_entropy": loss})

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        """The share of right answers for each kind, beside that of the most common value."""
        labels = data.test.labels
        right = self.right(data.test.x, labels).float().mean(dim=0)
        common = [of.bincount().max().item() / len(of) for of in labels.T]
        return [
            Row(f"accuracy of {kind}", right[k].item(), {"one_value": common[k]})
            for k, kind in enumerate(KINDS)
        ]


def _softened(x: Images, rng: torch.Generator) -> Images:
    """Blur some of the pictures, and add noise of random strength to all."""
    n = len(x)
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand(n, 1, 1, 1, generator=rng, device=x.device)
    blurred = torch.rand(n, 1, 1, 1, generator=rng, device=x.device) < BLURRED
    x = torch.where(blurred, x.lerp(soft, share), x)
    sigma = NOISE * torch.rand(n, 1, 1, 1, generator=rng, device=x.device)
    return x + sigma * torch.randn(x.shape, generator=rng, device=x.device)
