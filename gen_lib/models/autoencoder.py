r"""Autoencoders: an encoder maps an image to a short code, a decoder maps it back.

The lecture's loss over the N training images is

    E(w) = 1/2 sum_{n=1}^N ||y(x_n, w) - x_n||^2,

the squared norm running over all pixels of an image. A minibatch of B images estimates the mean per
image, E / N ~ 1/B sum_b 1/2 ||y_b - x_b||^2, which has the same minimiser; the mean squared error
per pixel that tables quote is 2 E / (N D) for images of D pixels.

The linear autoencoder spans the same subspace as principal component analysis at its optimum
(Bourlard & Kamp 1988; Baldi & Hornik 1989); the deep one is that of Hinton & Salakhutdinov 2006,
Science 313.
"""

from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from gen_lib import InputError, check_not_negative, positive
from gen_lib.data import Batch, ImageSet
from gen_lib.metrics.images import Row, compared, mse, psnr, ssim
from gen_lib.models.base import Codes, Images, Loss, Model, Reconstructs, in_batches
from gen_lib.nets.feedforward import conv_decoder, conv_encoder, conv_features, conv_images, mlp


def reconstruction_loss(
    y: Float[Tensor, "batch *shape"], x: Float[Tensor, "batch *shape"]
) -> Float[Tensor, ""]:
    """1/2 ||y - x||^2, summed over the pixels of an image and averaged over the batch.

    >>> reconstruction_loss(torch.ones(5, 1, 2, 2), torch.zeros(5, 1, 2, 2))
    tensor(2.)
    """
    return 0.5 * ((y - x) ** 2).flatten(1).sum(dim=1).mean()


class Autoencoder(Model, Reconstructs):
    """An encoder and a decoder, trained on E(w); subclasses choose the two networks.

    All autoencoders take an ``image_shape``, (channels, height, width), both sides multiples of 4
    for convolutions, and ``latent_size``, the number of units of the code, at least 1.
    """

    encoder: nn.Module
    decoder: nn.Module

    @override
    def encode(self, x: Images) -> Codes:
        return self.encoder(self.fitting(x))

    @override
    def decode(self, z: Codes) -> Images:
        return self.decoder(z)

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """E per image."""
        loss = reconstruction_loss(self.reconstruct(batch.images), batch.images)
        return Loss(loss, {"E": loss, "mse": 2 * loss / batch.images[0].numel()})

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        return reconstruction_rows(self, data)


class LinearAutoencoder(Autoencoder):
    """The basic autoencoder: one linear layer each way, no non-linearity."""

    name = "ae"
    lr = 3e-2

    def __init__(self, image_shape: tuple[int, int, int] = (1, 28, 28), latent_size: int = 16):
        super().__init__(image_shape=image_shape, latent_size=latent_size)
        d, k = prod(image_shape), positive("latent_size", latent_size)
        self.encoder = nn.Sequential(nn.Flatten(), mlp(d, k))
        self.decoder = nn.Sequential(mlp(k, d), nn.Unflatten(1, image_shape))


class DeepAutoencoder(Autoencoder):
    """Fully connected layers with a non-linearity between them, narrowing to the code and back.

    ``hidden`` are the sizes of the encoder's hidden layers; the decoder mirrors them.
    """

    name = "deep-ae"

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 16,
        hidden: tuple[int, ...] = (512, 256),
    ):
        super().__init__(image_shape=image_shape, latent_size=latent_size, hidden=hidden)
        d, k = prod(image_shape), positive("latent_size", latent_size)
        self.encoder = nn.Sequential(nn.Flatten(), mlp(d, *hidden, k))
        self.decoder = nn.Sequential(mlp(k, *reversed(hidden), d), nn.Unflatten(1, image_shape))


class ConvAutoencoder(Autoencoder):
    """Convolutions down to a quarter of the side, one linear layer to the code, and back.

    ``width`` is the number of channels of the first layer, ``hidden`` the size of a dense layer on
    either side of the code, 0 for none.
    """

    name = "conv-ae"
    lr = 2e-3

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 16,
        width: int = 32,
        hidden: int = 0,
    ):
        k = positive("latent_size", latent_size)
        super().__init__(image_shape=image_shape, latent_size=k, width=width, hidden=hidden)
        self.encoder = conv_encoder(image_shape, k, width, hidden)
        self.decoder = conv_decoder(image_shape, k, width, hidden)


class SparseAutoencoder(Autoencoder):
    """More units than pixels, few of them active: the loss is E(w) + lambda sum_k |z_k|.

    The code is z = relu(W_e x + b_e), the image y = W_d z + b_d. The columns of W_d have unit
    length: otherwise smaller codes with larger columns would lower the penalty and change nothing.
    The encoder starts as the decoder's transpose. ``sparsity`` is lambda, >= 0.
    """

    name = "sparse"
    lr = 3e-3

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 1_000,
        sparsity: float = 0.3,
    ):
        super().__init__(image_shape=image_shape, latent_size=latent_size, sparsity=sparsity)
        check_not_negative(sparsity=sparsity)
        d, k = prod(image_shape), positive("latent_size", latent_size)
        self.image_shape, self.sparsity = image_shape, sparsity
        self.encoder = nn.Linear(d, k)
        self.columns = nn.Parameter(nn.functional.normalize(torch.randn(d, k), dim=0))
        self.encoder.weight.data = self.columns.data.T.clone()
        self.bias = nn.Parameter(torch.zeros(d))

    @property
    def dictionary(self) -> Float[Tensor, "d k"]:
        """The columns of W_d, each of unit length: the image that each unit adds."""
        return self.columns / self.columns.norm(dim=0)

    @override
    def encode(self, x: Images) -> Codes:
        return self.encoder(self.fitting(x).flatten(1)).relu()

    @override
    def decode(self, z: Codes) -> Images:
        return (z @ self.dictionary.T + self.bias).reshape(-1, *self.image_shape)

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """E + lambda sum_k |z_k|, both per image."""
        z = self.encode(batch.images)
        error = reconstruction_loss(self.decode(z), batch.images)
        penalty = z.abs().sum(dim=1).mean()
        active = (z > 0).float().sum(dim=1).mean()
        terms = {"E": error, "penalty": penalty, "active_units": active}
        return Loss(error + self.sparsity * penalty, terms)


class DenoisingAutoencoder(Autoencoder):
    """Clean images from noised ones (Vincent et al. 2008): sum_n ||y(x~_n, w) - x_n||^2.

    The lecture writes this loss without the 1/2 of E(w); the minimiser is the same. The code holds
    all features of the last convolution.

    Args:
        image_shape: (channels, height, width), both sides multiples of 4.
        sigma: standard deviation of the Gaussian noise added, on the scale of [-1, 1], >= 0.
        dropped: share of the pixels set to -1 (black), in [0, 1).
        width: channels of the first layer.
    """

    name = "denoising"
    lr = 2e-3

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        sigma: float = 0.5,
        dropped: float = 0.0,
        width: int = 32,
    ):
        if not (0 <= sigma < torch.inf and 0 <= dropped < 1):
            raise InputError(
                f"sigma is {sigma} and dropped is {dropped}: sigma must be at least 0, and dropped "
                "at least 0 and below 1."
            )
        super().__init__(image_shape=image_shape, sigma=sigma, dropped=dropped, width=width)
        self.sigma, self.dropped = sigma, dropped
        self.encoder = conv_features(image_shape, width)
        self.decoder = conv_images(image_shape, width)

    def features(self, x: Images) -> Float[Tensor, "n channels"]:
        """The code averaged over the places of the image: the input of a linear probe."""
        return self.encode(x).unflatten(1, (2 * self.config["width"], -1)).mean(dim=2)

    @override
    def loss(self, batch: Batch, rng: torch.Generator, progress: float) -> Loss:
        """The squared error between y(x~) and the clean x, per image."""
        noised = add_noise(batch.images, self.sigma, self.dropped, rng)
        loss = 2 * reconstruction_loss(self.reconstruct(noised), batch.images)
        return Loss(loss, {"squared_error": loss, "mse": loss / batch.images[0].numel()})

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        x = data.test.x
        noised = add_noise(x, self.sigma, self.dropped, torch.Generator().manual_seed(0))
        value = psnr(in_batches(self.reconstruct, noised), x)
        return [*super().rows(data), Row("denoised_psnr", value, {"noised": psnr(noised, x)})]


def add_noise(x: Images, sigma: float, dropped: float, rng: torch.Generator) -> Images:
    """x~: Gaussian noise of standard deviation sigma, then a share of the pixels set to -1.

    Nothing is clipped, so values may lie outside [-1, 1].
    """
    noise = torch.randn(x.shape, generator=rng, device=x.device)
    kept = torch.rand(x.shape, generator=rng, device=x.device) >= dropped
    return torch.where(kept, x + sigma * noise, -1.0)


def reconstruction_rows(model: Reconstructs, data: ImageSet) -> list[Row]:
    """MSE, PSNR and SSIM of reconstructed test images, beside PCA and the mean training image.

    PCA has as many components as the code has units. It is left out if these are as many as the
    pixels or more, since its error would be 0.
    """
    train, x = data.train.x, data.test.x
    latent_size = in_batches(model.encode, x[:2])[0].numel()
    outputs = {"": in_batches(model.reconstruct, x)}
    if latent_size < x[0].numel():
        outputs["pca"] = PCA.fit(train, latent_size).reconstruct(x)
    outputs["mean_image"] = train.mean(dim=0).expand_as(x)
    return [compared(figure, x, outputs) for figure in (mse, psnr, ssim)]


class PCA(NamedTuple):
    """Principal component analysis: the best linear autoencoder, in closed form."""

    mean: Float[Tensor, "d"]
    components: Float[Tensor, "k d"]  # orthonormal rows, the direction of largest variance first

    @classmethod
    def fit(cls, x: Float[Tensor, "n *shape"], latent_size: int) -> "PCA":
        """The mean and the leading eigenvectors of the covariance of x."""
        rows = x.flatten(1)
        mean = rows.mean(dim=0)
        centred = rows - mean
        covariance = centred.T @ centred / len(rows)  # (d, d)
        components = torch.linalg.eigh(covariance).eigenvectors.flip(1).T  # largest first
        return cls(mean, components[: positive("latent_size", latent_size)])

    def encode(self, x: Float[Tensor, "n *shape"]) -> Codes:
        """Coordinates along the components."""
        return (x.flatten(1) - self.mean) @ self.components.T

    def reconstruct(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """The projection of x onto the plane that the components span."""
        return (self.encode(x) @ self.components + self.mean).reshape(x.shape)
