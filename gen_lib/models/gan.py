r"""Generative adversarial networks: a generator learns from the one that tries to catch it.

Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1, the lecture's objective:

    min_{theta_g} max_{theta_d}  V = E_{x ~ p_data} log D(x) + E_{z ~ p(z)} log(1 - D(G(z))).

The discriminator's network gives the logit f, and D = 1 / (1 + e^-f) is the probability that x is
real; so log D = -softplus(-f) and log(1 - D) = -softplus(f). For a fixed G the best discriminator
is D*(x) = p_data(x) / (p_data(x) + p_model(x)), that is f* = log p_data - log p_model, and the
value it reaches is V = 2 JSD(p_data, p_model) - log 4, least for p_model = p_data (eqs. 2 and 6).

What the players descend in practice (``LOSSES``), real and fake being logits:

- saturating: D descends -V, G descends V, as the formula says;
- non-saturating: G descends -log D(G(z)) instead (section 3 of the paper);
- hinge: D descends relu(1 - real) + relu(1 + fake), G -fake (Lim & Ye 2017, arXiv:1705.02894);
- relativistic: D descends softplus(fake - real), G softplus(real - fake), one fake beside each real
  image (Jolicoeur-Martineau 2018, arXiv:1807.00734); with both penalties below it is the loss of
  Huang et al. 2025 (arXiv:2501.05441).

What keeps D tame: R1 = E_{x ~ p_data} ||grad f(x)||^2 and R2, the same under p_model, times
``penalty`` / 2 (Mescheder et al. 2018, arXiv:1801.04406), or spectral norm, which divides each
layer's weights by their largest singular value (Miyato et al. 2018, arXiv:1802.05957).
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

from gen_lib import InputError
from gen_lib.data import Batch
from gen_lib.models.base import Model, Player, Samples, Turn, in_batches, positive
from gen_lib.nets.conv import conv_encoder, conv_generator
from gen_lib.nets.mlp import mlp

Logits = Float[Tensor, "n"]
WEIGHTED = (nn.Linear, nn.Conv2d)
leaky = partial(nn.LeakyReLU, 0.2)  # of D: what it says must have a slope everywhere


def value(real: Logits, fake: Logits) -> Float[Tensor, ""]:
    """V: the mean of log D over real images plus that of log(1 - D) over generated ones.

    >>> value(torch.zeros(3), torch.zeros(3))  # D = 1/2 everywhere gives -log 4
    tensor(-1.3863)
    """
    return -softplus(-real).mean() - softplus(fake).mean()


class Loss(NamedTuple):
    """What each player descends, as functions of the logits of real and generated images."""

    discriminator: Callable[[Logits, Logits], Float[Tensor, ""]]
    generator: Callable[[Logits, Logits], Float[Tensor, ""]]


LOSSES = {
    "saturating": Loss(
        lambda real, fake: -value(real, fake),
        lambda real, fake: -softplus(fake).mean(),
    ),
    "non-saturating": Loss(
        lambda real, fake: -value(real, fake),
        lambda real, fake: softplus(-fake).mean(),
    ),
    "hinge": Loss(
        lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(),
        lambda real, fake: -fake.mean(),
    ),
    "relativistic": Loss(
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


class Game(NamedTuple):
    """The rules that two networks play by."""

    loss: str = "relativistic"
    """A name in ``LOSSES``."""
    penalty: float = 0.0
    """Weight of R1 + R2, 0 for none."""
    spectral: bool = False
    """Whether each layer of D is divided by its largest singular value."""
    lr_g: float = 1e-3
    lr_d: float = 1e-3
    turns_g: int = 1
    """Turns of the generator in a training step."""
    turns_d: int = 1
    betas: tuple[float, float] = (0.0, 0.99)
    """Of both optimisers: no momentum, since the opponent of a few turns ago is no guide."""


class Adversarial(Model, Samples):
    """A generator and a discriminator; subclasses choose the two networks."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, game: Game, **config):
        super().__init__(**config, **game._asdict())
        _check(game)
        self.generator, self.discriminator, self.game = generator, discriminator, game
        self.latent_size: int = config["latent_size"]
        if game.spectral:
            for layer in [m for m in discriminator.modules() if isinstance(m, WEIGHTED)]:
                spectral_norm(layer)

    def generate(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n c h w"]:
        """G(z)."""
        return self.generator(z)

    def logits(self, x: Float[Tensor, "n c h w"]) -> Logits:
        """f(x): above 0 where the discriminator takes x for real; D(x) is its sigmoid."""
        return self.discriminator(x)[:, 0].float()

    def noise(self, n: int, generator: torch.Generator | None) -> Float[Tensor, "n latent"]:
        """z ~ N(0, I)."""
        device = generator.device if generator else None
        return torch.randn(n, self.latent_size, generator=generator, device=device)

    @override
    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n c h w"]:
        return in_batches(self.generate, self.noise(n, generator))

    def players(self) -> dict[str, Player]:
        """Two: each network is moved by its own optimiser."""
        game = self.game
        return {
            "discriminator": Player([*self.discriminator.parameters()], game.lr_d, game.betas),
            "generator": Player([*self.generator.parameters()], game.lr_g, game.betas),
        }

    def turns(self, batch: Batch, generator: torch.Generator) -> Iterator[Turn]:
        """The discriminator's turns, then the generator's."""
        for _ in range(self.game.turns_d):
            yield self._discriminate(batch.images, generator)
        for _ in range(self.game.turns_g):
            yield self._deceive(batch.images, generator)

    def _discriminate(self, x: Tensor, generator: torch.Generator) -> Turn:
        fakes = self.generate(self.noise(len(x), generator)).detach()
        x, fakes = (  # tensors of their own, that a slope can be taken at
            part.detach().float().requires_grad_(self.game.penalty > 0) for part in (x, fakes)
        )
        real, fake = self.logits(x), self.logits(fakes)
        loss = LOSSES[self.game.loss].discriminator(real, fake)
        terms = {"D": loss, "f_real": real.mean(), "f_fake": fake.mean()}
        if self.game.penalty:
            slope = squared_slope(real, x) + squared_slope(fake, fakes)  # R1 + R2
            loss, terms["slope"] = loss + self.game.penalty / 2 * slope, slope
        return Turn("discriminator", loss, terms)

    def _deceive(self, x: Tensor, generator: torch.Generator) -> Turn:
        fake = self.logits(self.generate(self.noise(len(x), generator)))
        real = self.logits(x) if self.game.loss == "relativistic" else fake.detach()
        loss = LOSSES[self.game.loss].generator(real, fake)
        return Turn("generator", loss, {"G": loss})


class GAN(Adversarial):
    """Images: D a convolutional network from an image to a number, G its mirror.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        latent_size: number of units of z.
        width: channels of the first layer of D and of the last of G.
        loss: a name in ``LOSSES``.
        penalty: the weight of R1 + R2, 0 for none.
        spectral: whether each layer of D is divided by its largest singular value.
        lr_g, lr_d: learning rates of the generator and the discriminator.
        turns_g, turns_d: turns of each in a training step.
        betas: of both players' optimisers.
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
        game = Game(loss, penalty, spectral, lr_g, lr_d, turns_g, turns_d, betas)
        config = {"image_shape": image_shape, "latent_size": latent_size, "width": width}
        g = conv_generator(image_shape, positive("latent_size", latent_size), width)
        d = conv_encoder(image_shape, 1, width, activation=leaky)
        super().__init__(g, d, game, **config)


PLANE = Game(loss="relativistic", penalty=0.01, lr_g=2e-3, lr_d=2e-3)
"""The default for toys."""
COLLAPSE = {"loss": "saturating", "penalty": 0.0, "lr_d": 2e-4}
"""Rules that make the generator collapse: nothing tames D, and G learns ten times as fast."""


class PlaneGAN(Adversarial):
    """Points of the plane, as images of two channels and one pixel; both networks are MLPs.

    G is piecewise linear: it crosses the void between two modes within few latent codes.

    Args:
        latent_size: number of units of z.
        width: units of each of the three hidden layers.
        rules: what is to differ from ``PLANE``, by the names of ``Game``.
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

    So small a network gains no speed from it, and bfloat16 knows places near 2 to 0.016 only.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class Scene(NamedTuple):
    """A game in the plane at one moment."""

    field: Float[Tensor, "n n"]
    """D(x) on a grid over [-3, 3]^2, rows from below."""
    samples: Float[Tensor, "m 2"]
    """G(z) for given z."""
    pull: Float[Tensor, "m 2"]
    """Where G's loss sends each sample: minus its gradient there."""


def scene(
    model: Adversarial, z: Float[Tensor, "m latent"], x: Float[Tensor, "m 2"], n: int = 40
) -> Scene:
    """What the players do now: for the latent z, beside the real points x, the field n by n."""
    ticks = torch.linspace(-3, 3, n)
    grid = torch.cartesian_prod(ticks, ticks).flip(1)  # x changes fastest
    with torch.no_grad():
        field = model.logits(grid[:, :, None, None]).sigmoid().reshape(n, n)
        real = model.logits(x[:, :, None, None])
        samples = model.generate(z)
    samples.requires_grad_()
    loss = LOSSES[model.game.loss].generator(real, model.logits(samples))
    (slope,) = torch.autograd.grad(len(z) * loss, samples)
    return Scene(field, samples.detach().flatten(1), -slope.flatten(1))


def _check(game: Game) -> None:
    if game.loss not in LOSSES:
        raise InputError(f"There is no loss {game.loss!r}: choose one of {', '.join(LOSSES)}.")
    if not 0 <= game.penalty < torch.inf:
        raise InputError(f"penalty is {game.penalty}: it must be 0 or a positive number.")
    for rate in ("lr_g", "lr_d"):
        if not 0 < getattr(game, rate) < torch.inf:
            raise InputError(f"{rate} is {getattr(game, rate)}: it must be a positive number.")
    for turns in ("turns_g", "turns_d"):
        positive(turns, getattr(game, turns))
