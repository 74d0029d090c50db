r"""Generative adversarial networks: a generator and a discriminator are trained as opponents.

The discriminator D learns to tell real images from generated ones; the generator G learns to make
images that D takes for real. The lecture's objective is eq. 1 of Goodfellow et al. 2014
(arXiv:1406.2661):

    min_{theta_g} max_{theta_d}  V = E_{x ~ p_data} log D(x) + E_{z ~ p(z)} log(1 - D(G(z))).

The discriminator's network gives the logit f, and D = 1 / (1 + e^-f) is the probability that x is
real; so log D = -softplus(-f) and log(1 - D) = -softplus(f). For a fixed G the best discriminator
is D*(x) = p_data(x) / (p_data(x) + p_model(x)), that is f* = log p_data - log p_model, and the
value it reaches is V = 2 JSD(p_data, p_model) - log 4, least for p_model = p_data (eqs. 2 and 6).

The losses that the players minimise in practice (``LOSSES``), real and fake being logits:

- saturating: D minimises -V and G minimises V, as the formula says;
- non-saturating: G minimises -log D(G(z)) instead (section 3 of the paper);
- hinge: D minimises relu(1 - real) + relu(1 + fake), G -fake (Lim & Ye 2017, arXiv:1705.02894);
- relativistic: D minimises softplus(fake - real), G softplus(real - fake), with one fake beside
  each real image (Jolicoeur-Martineau 2018, arXiv:1807.00734); with both penalties below it is the
  loss of Huang et al. 2025 (arXiv:2501.05441).

Two ways to limit the slope of D: the penalties R1 = E_{x ~ p_data} ||grad f(x)||^2 and R2, the same
under p_model, times ``penalty`` / 2 (Mescheder et al. 2018, arXiv:1801.04406); or spectral norm,
which divides each layer's weights by their largest singular value (Miyato et al. 2018,
arXiv:1802.05957).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu, softplus
from torch.nn.utils.parametrizations import spectral_norm
from typing_extensions import override

from gen_lib import InputError, check_not_negative, positive
from gen_lib.data import Batch
from gen_lib.models.base import Codes, Game, Images, Player, Samples, Turn, in_batches
from gen_lib.nets.feedforward import conv_encoder, conv_generator, mlp

Logits = Float[Tensor, "n"]
leaky = partial(nn.LeakyReLU, 0.2)  # for D: its gradient is never zero, so G always gets one


def value(real: Logits, fake: Logits) -> Float[Tensor, ""]:
    """V: the mean of log D over real images plus that of log(1 - D) over generated ones.

    >>> value(torch.zeros(3), torch.zeros(3))  # D = 1/2 everywhere gives -log 4
    tensor(-1.3863)
    """
    return -softplus(-real).mean() - softplus(fake).mean()


class AdversarialLoss(NamedTuple):
    """The loss that each player minimises, from the logits of real and of generated images."""

    discriminator: Callable[[Logits, Logits], Float[Tensor, ""]]
    generator: Callable[[Logits, Logits], Float[Tensor, ""]]


LOSSES = {
    "saturating": AdversarialLoss(
        lambda real, fake: -value(real, fake),
        lambda real, fake: -softplus(fake).mean(),
    ),
    "non-saturating": AdversarialLoss(
        lambda real, fake: -value(real, fake),
        lambda real, fake: softplus(-fake).mean(),
    ),
    "hinge": AdversarialLoss(
        lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(),
        lambda real, fake: -fake.mean(),
    ),
    "relativistic": AdversarialLoss(
        lambda real, fake: softplus(fake - real).mean(),
        lambda real, fake: softplus(real - fake).mean(),
    ),
}


def squared_slope(f: Logits, x: Float[Tensor, "n *shape"]) -> Float[Tensor, ""]:
    """E ||grad_x f(x)||^2, differentiable once more; x requires gradients.

    >>> x = torch.tensor([[3.0, 4.0]], requires_grad=True)
    >>> squared_slope(x.square().sum(dim=1) / 2, x).item()  # the gradient of |x|^2 / 2 is x
    25.0
    """
    (slope,) = torch.autograd.grad(f.sum(), x, create_graph=True)
    return slope.flatten(1).square().sum(dim=1).mean()


class Rules(NamedTuple):
    """The settings of an adversarial game."""

    loss: str = "relativistic"  # a name in ``LOSSES``
    penalty: float = 0.0  # weight of R1 + R2, 0 for none
    spectral: bool = False  # whether each layer of D is divided by its largest singular value
    lr_g: float = 1e-3  # learning rate of the generator
    lr_d: float = 1e-3
    turns_g: int = 1  # updates of the generator in a training step
    turns_d: int = 1
    betas: tuple[float, float] = (0.0, 0.99)
    """Of both optimisers; no momentum, since past gradients belong to another state of the game."""


class Adversarial(Game, Samples):
    """A generator and a discriminator; subclasses choose the two networks."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, rules: Rules, **config):
        super().__init__(**config, **rules._asdict())
        _check(rules)
        self.generator, self.discriminator, self.rules = generator, discriminator, rules
        self.latent_size: int = config["latent_size"]
        if rules.spectral:
            for layer in [*discriminator.modules()]:
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    spectral_norm(layer)

    def generate(self, z: Codes) -> Images:
        """G(z)."""
        return self.generator(z)

    def logits(self, x: Images) -> Logits:
        """f(x): above 0 where the discriminator takes x for real; D(x) is its sigmoid."""
        return self.discriminator(x)[:, 0].float()

    def noise(self, n: int, rng: torch.Generator | None) -> Codes:
        """z ~ N(0, I)."""
        return torch.randn(n, self.latent_size, generator=rng, device=rng.device if rng else None)

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Images:
        return in_batches(self.generate, self.noise(n, rng))

    @override
    def players(self) -> dict[str, Player]:
        """Two players: each network has its own optimiser."""
        rules = self.rules
        return {
            "discriminator": Player([*self.discriminator.parameters()], rules.lr_d, rules.betas),
            "generator": Player([*self.generator.parameters()], rules.lr_g, rules.betas),
        }

    @override
    def turns(self, batch: Batch, rng: torch.Generator, progress: float) -> Iterator[Turn]:
        """The discriminator's turns, then the generator's."""
        for _ in range(self.rules.turns_d):
            yield self._discriminator_turn(batch.images, rng)
        for _ in range(self.rules.turns_g):
            yield self._generator_turn(batch.images, rng)

    def _discriminator_turn(self, x: Tensor, rng: torch.Generator) -> Turn:
        fakes = self.generate(self.noise(len(x), rng)).detach()
        x, fakes = (  # leaves of the graph, so that f can be differentiated at them
            part.detach().float().requires_grad_(self.rules.penalty > 0) for part in (x, fakes)
        )
        real, fake = self.logits(x), self.logits(fakes)
        loss = LOSSES[self.rules.loss].discriminator(real, fake)
        terms = {"D": loss, "f_real": real.mean(), "f_fake": fake.mean()}
        if self.rules.penalty:
            slope = squared_slope(real, x) + squared_slope(fake, fakes)  # R1 + R2
            loss, terms["slope"] = loss + self.rules.penalty / 2 * slope, slope
        return Turn("discriminator", loss, terms)

    def _generator_turn(self, x: Tensor, rng: torch.Generator) -> Turn:
        fake = self.logits(self.generate(self.noise(len(x), rng)))
        real = self.logits(x) if self.rules.loss == "relativistic" else fake.detach()
        loss = LOSSES[self.rules.loss].generator(real, fake)
        return Turn("generator", loss, {"G": loss})


class GAN(Adversarial):
    """A GAN of images: D is a convolutional network from an image to a number, G its mirror.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        latent_size: number of units of z.
        width: channels of the first layer of D and of the last of G.
        loss, penalty, spectral, lr_g, lr_d, turns_g, turns_d, betas: see ``Rules``.
    """

    name = "gan"
    batch_size = 64

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 64,
        width: int = 32,
        loss: str = "hinge",
        penalty: float = 0.0,
        spectral: bool = True,
        lr_g: float = 4e-3,
        lr_d: float = 4e-3,
        turns_g: int = 1,
        turns_d: int = 1,
        betas: tuple[float, float] = (0.0, 0.99),
    ):
        rules = Rules(loss, penalty, spectral, lr_g, lr_d, turns_g, turns_d, betas)
        config = {"image_shape": image_shape, "latent_size": latent_size, "width": width}
        g = conv_generator(image_shape, positive("latent_size", latent_size), width)
        d = conv_encoder(image_shape, 1, width, activation=leaky)
        super().__init__(g, d, rules, **config)


PLANE = Rules(loss="relativistic", penalty=0.01, lr_g=2e-3, lr_d=2e-3)
"""The default of ``PlaneGAN``."""
COLLAPSE = {"loss": "saturating", "penalty": 0.0, "lr_d": 2e-4}
"""Rules that make the generator collapse: D has no penalty, and G learns ten times as fast."""


class PlaneGAN(Adversarial):
    """A GAN of points of the plane, as images (2, 1, 1); both networks are MLPs.

    G is piecewise linear, so only few codes are mapped to points between two modes.

    Args:
        latent_size: number of units of z.
        width: units of each of the three hidden layers.
        rules: the settings that differ from ``PLANE``, by the names of ``Rules``.
    """

    name = "plane-gan"

    def __init__(self, latent_size: int = 2, width: int = 128, **rules: Any):
        g = mlp(positive("latent_size", latent_size), *3 * [width], 2, activation=nn.ReLU)
        d = mlp(2, *3 * [width], 1, activation=leaky)
        super().__init__(
            _Precise(g, nn.Unflatten(1, (2, 1, 1))),
            _Precise(nn.Flatten(), d),
            PLANE._replace(**rules),
            latent_size=latent_size,
            width=width,
        )


class _Precise(nn.Sequential):
    """Layers computed in float32, also where the training loop allows bfloat16.

    bfloat16 would round coordinates near 2 to multiples of 0.016, and gains no speed in so small a
    network.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def _check(rules: Rules) -> None:
    if rules.loss not in LOSSES:
        raise InputError(f"There is no loss {rules.loss!r}: choose one of {', '.join(LOSSES)}.")
    check_not_negative(penalty=rules.penalty)
    for rate in ("lr_g", "lr_d"):
        if not 0 < getattr(rules, rate) < torch.inf:
            raise InputError(f"{rate} is {getattr(rules, rate)}: it must be a positive number.")
    for turns in ("turns_g", "turns_d"):
        positive(turns, getattr(rules, turns))
