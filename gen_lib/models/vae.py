r"""The variational autoencoder: each image has a distribution of codes, and codes have a prior.

Kingma & Welling 2013 (arXiv:1312.6114); Rezende, Mohamed, Wierstra 2014 (arXiv:1401.4082). The
model draws a code from the prior p(z) = N(0, I), then an image from the decoder p_theta(x|z). The
likelihood p_theta(x) has no closed form. An encoder q_phi(z|x) = N(mu, diag(sigma^2)) gives a lower
bound, the evidence lower bound (ELBO), whose KL term has one (Kingma & Welling, appendix B):

    log p_theta(x) >= E_{q(z|x)} log p_theta(x|z) - KL(q_phi(z|x) || p(z))
    KL = 1/2 sum_k (mu_k^2 + sigma_k^2 - log sigma_k^2 - 1)
    z = mu + sigma * eps,   eps ~ N(0, I)

Every term is a sum over the pixels of an image or the units of its code, then a mean over the
batch, in nats. With S codes for each image the importance-weighted bound is tighter (Burda, Grosse,
Salakhutdinov 2015, arXiv:1509.00519):

    log p_theta(x) >= E log 1/S sum_s p_theta(x|z_s) p(z_s) / q_phi(z_s|x)

The KL has the weight beta of beta-VAE (Higgins et al. 2017, ICLR). Two settings keep units of the
code from staying unused: beta rises from 0 during a warm-up (Bowman et al. 2015, arXiv:1511.06349),
and the KL of a unit is not lowered below its free bits (Kingma et al. 2016, arXiv:1606.04934).
"""

import math
from abc import abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from gen_lib import InputError, check_not_negative, positive
from gen_lib.data import Batch, ImageSet
from gen_lib.metrics.images import Row
from gen_lib.models.autoencoder import reconstruction_rows
from gen_lib.models.base import Codes, Images, Loss, Model, Reconstructs, Samples, in_batches
from gen_lib.nets.feedforward import conv_decoder, conv_encoder

N_GAP = 1_000  # images on which the two bounds are compared


class Posterior(NamedTuple):
    """q_phi(z|x): an independent normal distribution for each unit of the code."""

    mu: Codes
    log_var: Codes  # log sigma^2, so that any real number is a valid output of the encoder

    def draw(self, rng: torch.Generator | None = None) -> Codes:
        """z = mu + sigma * eps: random, and yet a differentiable function of mu and log_var."""
        eps = torch.randn(self.mu.shape, generator=rng, device=self.mu.device)
        return self.mu + (0.5 * self.log_var).exp() * eps

    def kl(self) -> Codes:
        """KL(q(z|x) || N(0, I)) of each unit, in nats.

        >>> Posterior(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2)).kl()
        tensor([[0., 2.]])
        """
        return 0.5 * (self.mu**2 + self.log_var.exp() - self.log_var - 1)

    def log_prob(self, z: Codes) -> Float[Tensor, "n"]:
        """log q(z|x)."""
        return log_normal(z, self.mu, 0.5 * self.log_var)

    def aggregated(self, z: Float[Tensor, "m k"]) -> Float[Tensor, "m"]:
        """The density q(z) = 1/n sum_i q(z|x_i) at m codes."""
        places = [self.log_prob(place.expand_as(self.mu)).logsumexp(dim=0) for place in z]
        return (torch.stack(places) - math.log(len(self.mu))).exp()


class Elbo(NamedTuple):
    """The two terms of the bound for each image in nats, the first estimated with one code."""

    log_likelihood: Float[Tensor, "n"]  # log p(x|z)
    kl: Codes  # KL(q(z|x) || p(z)) of each unit

    @property
    def value(self) -> Float[Tensor, "n"]:
        """log p(x|z) - KL, at most log p(x) on average."""
        return self.log_likelihood - self.kl.sum(dim=1)


class VariationalAutoencoder(Model, Reconstructs, Samples):
    """Encoder to mu and log sigma^2, one code drawn from them, decoder; subclasses choose p(x|z).

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        latent_size: number of units of the code, at least 1.
        width: channels of the networks' first layer.
        hidden: size of the dense layer on either side of the code; 0 for none.
        beta: weight of the KL, >= 0; at 1 the loss is the negative ELBO.
        free_bits: KL of a unit in nats, a mean over the batch, below which its loss is constant.
        warm_up: share of the training, in [0, 1), during which beta rises from 0 to its value.
        weight_decay: of all weights, >= 0; it keeps the decoder from memorising images.
    """

    lr = 4e-3

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 16,
        width: int = 16,
        hidden: int = 512,
        beta: float = 1.0,
        free_bits: float = 0.0,
        warm_up: float = 0.2,
        weight_decay: float = 0.03,
    ):
        k = positive("latent_size", latent_size)
        sizes = {"image_shape": image_shape, "latent_size": k, "width": width, "hidden": hidden}
        weights = {"beta": beta, "free_bits": free_bits, "warm_up": warm_up}
        super().__init__(**sizes, **weights, weight_decay=weight_decay)
        check_not_negative(**weights, weight_decay=weight_decay)
        if warm_up >= 1:
            raise InputError(f"warm_up is {warm_up}: it must be a share below 1.")
        self.latent_size, self.beta, self.free_bits = k, beta, free_bits
        self.warm_up, self.weight_decay = warm_up, weight_decay
        self.encoder = conv_encoder(image_shape, 2 * k, width, hidden)
        self.decoder = conv_decoder(image_shape, k, width, hidden)
        self.add_parameters()

    def add_parameters(self) -> None:
        """Create the parameters of p(x|z) besides the decoder's; none by default."""

    def observe(self, x: Images, rng: torch.Generator | None = None) -> Images:
        """Images in [-1, 1] as p(x|z) describes them: unchanged by default."""
        return x

    @abstractmethod
    def log_likelihood(self, x: Images, z: Codes) -> Float[Tensor, "n"]:
        """log p(x|z) of observed images in nats, summed over their pixels."""

    def posterior(self, x: Images) -> Posterior:
        """q(z|x) of observed images."""
        return Posterior(*self.encoder(self.fitting(x)).float().chunk(2, dim=1))

    def encode(self, x: Images) -> Codes:
        """Images in [-1, 1], each observed with the same seed, to the means mu of their codes."""
        seen = [self.observe(row, torch.Generator(x.device).manual_seed(0)) for row in x.split(1)]
        return self.posterior(torch.cat(seen)).mu

    def decode(self, z: Codes) -> Images:
        """Codes to the means of p(x|z), about [-1, 1]: the decoder's output by default."""
        return self.decoder(z)

    def sample(self, n: int, rng: torch.Generator | None = None) -> Images:
        """n new images: the means of p(x|z) for codes z from the prior."""
        z = torch.randn(n, self.latent_size, generator=rng, device=rng.device if rng else None)
        return in_batches(self.decode, z.to(next(self.parameters()).device)).clamp(-1, 1)

    def elbo(self, x: Images, rng: torch.Generator | None = None) -> Elbo:
        """The two terms of the bound for observed images."""
        q = self.posterior(x)
        return Elbo(self.log_likelihood(x, q.draw(rng)), q.kl())

    @torch.no_grad()
    def importance_weighted(
        self, x: Images, samples: int = 100, rng: torch.Generator | None = None
    ) -> Float[Tensor, "n"]:
        """The tighter bound on log p(x) of observed images, in nats, from several codes each."""
        q, log_w = self.posterior(x), []
        for _ in range(positive("samples", samples)):
            z = q.draw(rng)
            prior = log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
            log_w.append(self.log_likelihood(x, z) + prior - q.log_prob(z))
        return torch.stack(log_w).logsumexp(dim=0) - math.log(samples)

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """-E log p(x|z) + beta KL; a unit whose KL is below free_bits counts as free_bits."""
        beta = self.beta * min(1.0, progress / self.warm_up) if self.warm_up else self.beta
        log_likelihood, kl = self.elbo(self.observe(batch.images, rng), rng)
        distortion, rate = -log_likelihood.mean(), kl.mean(dim=0)  # (), (k,)
        loss = distortion + beta * rate.clamp(min=self.free_bits).sum()
        terms = {"neg_elbo": distortion + rate.sum(), "distortion": distortion, "kl": rate.sum()}
        return Loss(loss, terms)

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        bounds = likelihood_bounds(self, data.test.x)
        beside = {"importance_weighted": bounds.neg_importance_weighted}
        return [*reconstruction_rows(self, data), Row("neg_elbo", bounds.neg_elbo, beside)]


class BernoulliVAE(VariationalAutoencoder):
    """Black or white pixels: p(x|z) gives each its probability of being white; see ``binarise``."""

    name = "vae"

    @override
    def observe(self, x: Images, rng: torch.Generator | None = None) -> Images:
        return binarise(x, rng)

    @override
    def log_likelihood(self, x: Images, z: Codes) -> Float[Tensor, "n"]:
        logits = self.decoder(z).float()  # log p(white) / p(black)
        return F.logsigmoid(x * logits).flatten(1).sum(dim=1)

    @override
    def decode(self, z: Codes) -> Images:
        return torch.tanh(0.5 * self.decoder(z))  # 2 p(white) - 1


class GaussianVAE(VariationalAutoencoder):
    """Grey pixels: p(x|z) = N(y(z), sigma_x^2 I), one learnt sigma_x for all pixels.

    Rybkin, Daniilidis, Levine 2020 (arXiv:2006.13202). A fixed sigma_x fixes the weight of the MSE.
    """

    name = "gaussian-vae"

    @override
    def add_parameters(self) -> None:
        self.log_sigma_x = nn.Parameter(torch.tensor(0.5).log())

    @override
    def log_likelihood(self, x: Images, z: Codes) -> Float[Tensor, "n"]:
        y = self.decoder(z).float()
        return log_normal(x.flatten(1), y.flatten(1), self.log_sigma_x)


def binarise(x: Images, rng: torch.Generator | None = None) -> Images:
    """Black and white images: each pixel is 1 with probability (x + 1) / 2, else -1; its mean is x.

    >>> binarise(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)).flatten()
    tensor([-1.,  1.])
    """
    u = torch.rand(x.shape, generator=rng, device=x.device)
    return torch.where(u < (x + 1) / 2, 1.0, -1.0)


def log_normal(z: Codes, mu: Codes, log_sigma: Float[Tensor, "..."]) -> Float[Tensor, "n"]:
    """log N(z; mu, sigma^2), summed over the units."""
    u = (z - mu) * (-log_sigma).exp()
    return -(0.5 * u**2 + log_sigma + 0.5 * math.log(2 * math.pi)).sum(dim=1)


def active_units(mu: Codes) -> Bool[Tensor, "k"]:
    """Whether a unit's mean varies with the image: a variance above 0.01 (Burda et al. 2015).

    >>> active_units(torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
    tensor([False,  True])
    """
    return mu.var(dim=0) > 0.01


class Bounds(NamedTuple):
    """Two upper bounds on -log p(x) in nats, means over the images."""

    neg_elbo: float  # from one code for each image
    neg_importance_weighted: float  # from many codes for each image, so it is the tighter one


def likelihood_bounds(
    model: VariationalAutoencoder, x: Images, samples: int = 100, seed: int = 0
) -> Bounds:
    """Both bounds for images in [-1, 1], the tighter one from ``samples`` codes for each.

    Their gap varies little from image to image, so the first 1,000 images suffice to measure it.
    """
    rng = torch.Generator().manual_seed(seed)
    x = model.observe(x, rng)
    elbo = in_batches(lambda part: model.elbo(part, rng).value, x)
    tight = in_batches(lambda part: model.importance_weighted(part, samples, rng), x[:N_GAP])
    gap = (tight - elbo[:N_GAP]).mean()
    return Bounds(-elbo.mean().item(), -(elbo.mean() + gap).item())
