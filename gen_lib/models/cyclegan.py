"""CycleGAN: translate between two domains without a pair (Zhu et al. 2017, arXiv:1703.10593).

G translates x of A to B and F y of B to A; D_Y tells real y from G(x), D_X real x from F(y). The
discriminators minimise the least-squares loss (Mao et al. 2016, arXiv:1611.04076)

    1/2 E (D_Y(y) - 1)^2 + 1/2 E D_Y(G(x))^2,   and the same for D_X,

and the generators the sum over both directions of

    E (D_Y(G(x)) - 1)^2                          G(x) looks like an image of B,
    + lambda_cycle E |F(G(x)) - x|               F is the inverse of G,
    + lambda_identity E |G(y) - y|               G leaves images of B unchanged,

|.| being the mean over pixels of the absolute difference. The weight of the last term falls to 0
during the first half of training: it makes G start near the identity, but would later keep it from
changing colours. Noise may be added to G(x) before F sees it: then F cannot rebuild x from traces
in G(x) that are too faint to see.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from gen_lib import check_not_negative
from gen_lib.data import DomainSet, PairBatch
from gen_lib.metrics.images import Row
from gen_lib.metrics.translation import translation_rows
from gen_lib.models.base import Game, Images, Player, Translates, Turn
from gen_lib.nets.patchgan import patch_discriminator, translator

Verdicts = Float[Tensor, "n 1 rows columns"]  # of a patch discriminator: about 1 for real


def discriminator_loss(real: Verdicts, fake: Verdicts) -> Float[Tensor, ""]:
    """1/2 E (D(real) - 1)^2 + 1/2 E D(fake)^2.

    >>> discriminator_loss(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    tensor(0.)
    """
    return (real - 1).square().mean() / 2 + fake.square().mean() / 2


def adversarial_loss(fake: Verdicts) -> Float[Tensor, ""]:
    """E (D(fake) - 1)^2, the loss of a generator: small if D takes its images for real.

    >>> adversarial_loss(torch.zeros(2, 1, 4, 4))
    tensor(1.)
    """
    return (fake - 1).square().mean()


def distance(a: Images, b: Images) -> Float[Tensor, ""]:
    """E |a - b|, the mean absolute difference.

    >>> distance(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    tensor(1.)
    """
    return (a - b).abs().mean()


class ImagePool(nn.Module):
    """Past translations, shown again so that a discriminator does not forget what it has learnt.

    At most ``size`` images are kept, 0 for no pool (Shrivastava et al. 2016, arXiv:1612.07828,
    section 2.3; Zhu et al. keep 50).
    """

    images: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.empty(0), persistent=False)

    def exchange(self, new: Images, rng: torch.Generator) -> Images:
        """The new images; once the pool is full, half of them are exchanged for older ones."""
        if not len(self.images):
            self.images = new[:0]  # with the shape and the device of the new images
        room = self.size - len(self.images)
        if room or not self.size:
            self.images = torch.cat([self.images, new[:room]])
            return new
        n, device = min(len(new), self.size), new.device
        places = torch.randperm(self.size, generator=rng, device=device)[:n]
        old = torch.rand(n, generator=rng, device=device) < 0.5
        out = new.clone()
        out[:n][old] = self.images[places[old]]
        self.images[places[old]] = new[:n][old]
        return out


class Translations(NamedTuple):
    """A batch of x of A and y of B, and its translations G(x) and F(y)."""

    x: Images
    y: Images
    g_x: Images
    f_y: Images


class CycleGAN(Game, Translates):
    """Two generators and two discriminators.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        width: channels of the generators.
        blocks: residual blocks of each generator.
        width_d: channels of the discriminators' first layer.
        cycle: lambda_cycle, >= 0.
        identity: lambda_identity at the start of training, >= 0.
        pool: images of the past kept for each discriminator; 0 for none.
        lr: learning rate of both players.
        noise: standard deviation of Gaussian noise between the two generators of a cycle, >= 0.
    """

    name = "cyclegan"
    batch_size = 16

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        width: int = 32,
        blocks: int = 4,
        width_d: int = 64,
        cycle: float = 3.0,
        identity: float = 1.0,
        pool: int = 256,
        lr: float = 3e-3,
        noise: float = 0.0,
    ):
        networks = {"width": width, "blocks": blocks, "width_d": width_d}
        weights = {"cycle": cycle, "identity": identity, "pool": pool, "noise": noise}
        super().__init__(image_shape=image_shape, **networks, **weights, lr=lr)
        check_not_negative(**weights)
        self.cycle, self.identity, self.noise, self.lr = cycle, identity, noise, lr
        self.g, self.f = (translator(image_shape, width, blocks) for _ in "GF")
        self.d_x, self.d_y = (patch_discriminator(image_shape, width_d) for _ in "XY")
        self.pool_x, self.pool_y = ImagePool(pool), ImagePool(pool)
        self.to(memory_format=torch.channels_last)  # faster convolutions on a CPU

    @override
    def translate(self, x: Images, to: Literal["A", "B"]) -> Images:
        return self.g(x) if to == "B" else self.f(x)

    @override
    def players(self) -> dict[str, Player]:
        """Two players: both generators, both discriminators."""
        teams = {"generators": (self.g, self.f), "discriminators": (self.d_x, self.d_y)}
        return {
            name: Player([p for net in team for p in net.parameters()], self.lr, (0.5, 0.99))
            for name, team in teams.items()
        }

    @override
    def turns(self, batch: PairBatch, rng: torch.Generator, progress: float) -> Iterator[Turn]:
        """The generators' turn, then the discriminators' on the same or older translations."""
        t = Translations(batch.x, batch.y, self.g(batch.x), self.f(batch.y))
        yield self._generators_turn(t, rng, progress)
        yield self._discriminators_turn(t, rng)

    def _generators_turn(self, t: Translations, rng: torch.Generator, progress: float) -> Turn:
        adversarial = adversarial_loss(self.d_y(t.g_x)) + adversarial_loss(self.d_x(t.f_y))
        g_x, f_y = (self._noised(v, rng) for v in (t.g_x, t.f_y))
        cycle = distance(self.f(g_x), t.x) + distance(self.g(f_y), t.y)
        loss, terms = adversarial + self.cycle * cycle, {"G": adversarial, "cycle": cycle}
        if weight := self.identity * max(0.0, 1 - 2 * progress):
            loss = loss + weight * (distance(self.g(t.y), t.y) + distance(self.f(t.x), t.x))
        return Turn("generators", loss, terms)

    def _noised(self, v: Images, rng: torch.Generator) -> Images:
        if not self.noise:
            return v
        return v + self.noise * torch.randn(v.shape, generator=rng, device=v.device)

    def _discriminators_turn(self, t: Translations, rng: torch.Generator) -> Turn:
        fake_y = self.pool_y.exchange(t.g_x.detach(), rng)
        fake_x = self.pool_x.exchange(t.f_y.detach(), rng)
        d_y = discriminator_loss(self.d_y(t.y), self.d_y(fake_y))
        d_x = discriminator_loss(self.d_x(t.x), self.d_x(fake_x))
        return Turn("discriminators", d_x + d_y, {"D_X": d_x, "D_Y": d_y})

    @override
    def rows(self, data: DomainSet) -> list[Row]:
        return translation_rows(self.translate, data)
