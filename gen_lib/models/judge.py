"""The judge: a small classifier, trained once and then frozen, whose features measure samples.

The Fréchet inception distance (Heusel et al. 2017, arXiv:1706.08500) uses the features of a network
that was trained on photographs. Here the images are garments of 28 pixels, so the features are the
judge's, and the result is called the *course Fréchet distance*, never plain FID.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from gen_lib.data import Batch, ImageSet
from gen_lib.metrics.images import Row
from gen_lib.models.base import Images, Loss, Model, in_batches


class _Residual(nn.Module):
    """x + f(x): normalise, ReLU, 3 x 3 convolution, twice (He et al. 2016, arXiv:1603.05027)."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x: Images) -> Images:
        return x + self.body(x)


class Judge(Model):
    """A small residual network with 128 features before its last layer.

    Args:
        image_shape: (channels, height, width).
        classes: number of classes.
        background: value in [-1, 1] that fills the border when training shifts an image.
    """

    name = "judge"
    lr = 2e-3
    num_features = 128

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        classes: int = 10,
        background: float = -1.0,
    ):
        super().__init__(image_shape=image_shape, classes=classes, background=background)
        self.background = background
        self.body = nn.Sequential(
            nn.Conv2d(image_shape[0], 32, 3, padding=1, bias=False),  # (N, 32, H, W)
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, stride=2, bias=False),  # (N, 64, H/2, W/2)
            _Residual(64),
            nn.Conv2d(64, self.num_features, 3, padding=1, stride=2, bias=False),  # H/4, W/4
            _Residual(self.num_features),
            nn.BatchNorm2d(self.num_features),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),  # (N, 128)
        )
        self.head = nn.Linear(self.num_features, classes)

    def features(self, x: Images) -> Float[Tensor, "n features"]:
        """Images in [-1, 1] to the 128 averaged activations before the last layer, all >= 0."""
        return self.body(x)

    def logits(self, x: Images) -> Float[Tensor, "n classes"]:
        """Images in [-1, 1] to unnormalised log-probabilities of the classes."""
        return self.head(self.features(x))

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """Cross-entropy with smoothed labels, on images shifted and mirrored at random."""
        logits = self.logits(_jitter(batch.images, self.background, rng))
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=0.1)
        accuracy = (logits.argmax(dim=1) == batch.labels).float().mean()
        return Loss(loss, {"cross_entropy": loss, "accuracy": accuracy})

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        labels = data.test.labels
        right = in_batches(self.logits, data.test.x).argmax(dim=1) == labels
        most_common = labels.bincount().max().item() / len(labels)
        return [Row("accuracy", right.float().mean().item(), {"one_class": most_common})]


def _jitter(x: Images, background: float, rng: torch.Generator) -> Images:
    """Mirror each image with probability 1/2, and shift it by up to 2 pixels along both axes."""
    (n, _, height, width), device = x.shape, x.device
    mirrored = torch.rand(n, 1, 1, 1, generator=rng, device=device) < 0.5
    x = F.pad(torch.where(mirrored, x.flip(3), x), (2, 2, 2, 2), value=background)
    shift = torch.randint(5, (2, n, 1), generator=rng, device=device)
    rows = shift[0] + torch.arange(height, device=device)  # (n, h)
    columns = shift[1] + torch.arange(width, device=device)  # (n, w)
    image = torch.arange(n, device=device)[:, None, None]
    return x[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
