r"""Autoencoders: map an image to a short code and back.

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

from gen_lib import InputError
from gen_lib.data import Batch, ImageSet
from gen_lib.metrics.images import Row, compared, mse, psnr, ssim
from gen_lib.models.base import Loss, Model, Reconstructs, in_batches, positive
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
    """Encoder, code, decoder, trained on E(w); subclasses choose the two networks."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, lr: float, **config):
        super().__init__(**config)
        self.encoder, self.decoder, self.lr = encoder, decoder, lr

    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n latent"]:
        """Images in [-1, 1] to codes z."""
        return self.encoder(self.fitting(x))

    def decode(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n c h w"]:
        """Codes z to images, about [-1, 1]."""
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
    """The basic autoencoder: one linear layer each way, no non-linearity.

    Args:
        image_shape: (channels, height, width).
        latent_size: number of units of the code, at least 1.
    """

    name = "ae"

    def __init__(self, image_shape: tuple[int, int, int] = (1, 28, 28), latent_size: int = 16):
        d, k = prod(image_shape), positive("latent_size", latent_size)
        encoder = nn.Sequential(nn.Flatten(), mlp(d, k))
        decoder = nn.Sequential(mlp(k, d), nn.Unflatten(1, image_shape))
        super().__init__(encoder, decoder, 3e-2, image_shape=image_shape, latent_size=latent_size)


class DeepAutoencoder(Autoencoder):
    """Fully connected layers with a non-linearity between them, narrowing to the code and back.

    Args:
        image_shape: (channels, height, width).
        latent_size: number of units of the code, at least 1.
        hidden: sizes of the encoder's hidden layers; the decoder mirrors them.
    """

    name = "deep-ae"

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 16,
        hidden: tuple[int, ...] = (512, 256),
    ):
        d, k = prod(image_shape), positive("latent_size", latent_size)
        encoder = nn.Sequential(nn.Flatten(), mlp(d, *hidden, k))
        decoder = nn.Sequential(mlp(k, *reversed(hidden), d), nn.Unflatten(1, image_shape))
        config = {"image_shape": image_shape, "latent_size": latent_size, "hidden": hidden}
        super().__init__(encoder, decoder, 1e-3, **config)


class ConvAutoencoder(Autoencoder):
    """Convolutions down to a quarter of the side, one linear layer to the code, and back.

    Args:
        image_shape: (channels, height, width); height and width are multiples of 4.
        latent_size: number of units of the code, at least 1.
        width: channels of the first layer.
        hidden: size of a dense layer on either side of the code; 0 for none.
    """

    name = "conv-ae"

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 16,
        width: int = 32,
        hidden: int = 0,
    ):
        k = positive("latent_size", latent_size)
        encoder, decoder = (f(image_shape, k, width, hidden) for f in (conv_encoder, conv_decoder))
        super().__init__(
            encoder,
            decoder,
            2e-3,
            image_shape=image_shape,
            latent_size=k,
            width=width,
            hidden=hidden,
        )


class SparseAutoencoder(Model, Reconstructs):
    """More units than pixels, few of them active: E(w) + lambda sum_k |z_k|.

    The code is z = relu(W_e x + b_e), and y = W_d z + b_d with columns of W_d of unit length;
    without that, ever smaller codes with ever larger columns would cheat the penalty. The encoder
    starts as the decoder's transpose.

    Args:
        image_shape: (channels, height, width).
        latent_size: number of units K, usually more than the pixels.
        sparsity: lambda, >= 0.
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
        if not 0 <= sparsity < torch.inf:
            raise InputError(f"sparsity is {sparsity}: lambda must be 0 or a positive number.")
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

    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Images in [-1, 1] to codes, all >= 0 and most of them 0."""
        return self.encoder(self.fitting(x).flatten(1)).relu()

    def decode(self, z: Float[Tensor, "n k"]) -> Float[Tensor, "n c h w"]:
        """Codes to images, about [-1, 1]."""
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

    @override
    def rows(self, data: ImageSet) -> list[Row]:
        return reconstruction_rows(self, data)


class DenoisingAutoencoder(Model, Reconstructs):
    """Clean images from noised ones (Vincent et al. 2008): sum_n ||y(x~_n, w) - x_n||^2.

    The lecture writes this loss without the 1/2 of E(w); the minimiser is the same.

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
        super().__init__(image_shape=image_shape, sigma=sigma, dropped=dropped, width=width)
        if not (0 <= sigma < torch.inf and 0 <= dropped < 1):
            raise InputError(
                f"sigma is {sigma} and dropped is {dropped}: sigma must be at least 0, and dropped "
                "at least 0 and below 1."
            )
        self.sigma, self.dropped = sigma, dropped
        self.encoder = conv_features(image_shape, width)
        self.decoder = conv_images(image_shape, width)

    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n features"]:
        """Images, clean or noised, to their features."""
        return self.encoder(self.fitting(x))

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n channels"]:
        """The features averaged over the places of the image: what a linear probe reads."""
        return self.encode(x).unflatten(1, (2 * self.config["width"], -1)).mean(dim=2)

    def decode(self, z: Float[Tensor, "n features"]) -> Float[Tensor, "n c h w"]:
        """Features to clean images, about [-1, 1]."""
        return self.decoder(z)

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
        denoised = Row("denoised_psnr", value, {"noised": psnr(noised, x)})
        return [*reconstruction_rows(self, data), denoised]


def add_noise(
    x: Float[Tensor, "n c h w"], sigma: float, dropped: float, rng: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """x~: Gaussian noise of standard deviation sigma, then a share of the pixels set to -1.

    Nothing is clipped, so the noised image leaves [-1, 1].
    """
    noise = torch.randn(x.shape, generator=rng, device=x.device)
    kept = torch.rand(x.shape, generator=rng, device=x.device) >= dropped
    return torch.where(kept, x + sigma * noise, -1.0)


def reconstruction_rows(model: Reconstructs, data: ImageSet) -> list[Row]:
    """MSE, PSNR and SSIM of reconstructed test images, beside PCA and the mean training image.

    PCA has as many components as the code has units; it is left out where that is no fewer than
    the pixels, since its error would be 0.
    """
    train, x = data.train.x, data.test.x
    latent_size = in_batches(model.encode, x[:2]).shape[1]
    outputs = {"": in_batches(model.reconstruct, x)}
    if latent_size < x[0].numel():
        outputs["pca"] = PCA.fit(train, latent_size).reconstruct(x)
    outputs["mean_image"] = train.mean(dim=0).expand_as(x)
    return [compared(figure, x, outputs) for figure in (mse, psnr, ssim)]


class PCA(NamedTuple):
    """Principal component analysis: the best linear autoencoder, in closed form."""

    mean: Float[Tensor, "d"]
    components: Float[Tensor, "k d"]
    """Orthonormal rows, the direction of largest variance first."""

    @classmethod
    def fit(cls, x: Float[Tensor, "n *shape"], latent_size: int) -> "PCA":
        """The mean and the leading eigenvectors of the covariance of x."""
        rows = x.flatten(1)
        mean = rows.mean(dim=0)
        centred = rows - mean
        covariance = centred.T @ centred / len(rows)  # (d, d)
        components = torch.linalg.eigh(covariance).eigenvectors.flip(1).T  # largest first
        return cls(mean, components[: positive("latent_size", latent_size)])

    def encode(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n k"]:
        """Coordinates along the components."""
        return (x.flatten(1) - self.mean) @ self.components.T

    def reconstruct(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """The projection of x onto the plane that the components span."""
        return (self.encode(x) @ self.components + self.mean).reshape(x.shape)
