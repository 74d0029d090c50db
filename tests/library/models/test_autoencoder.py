"""Autoencoders: the losses are those of the lecture, and PCA is the PCA of sklearn."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import Batch
from gen_lib.metrics import mse, psnr, ssim
from gen_lib.models import (
    ConvAutoencoder,
    DeepAutoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    SparseAutoencoder,
)
from gen_lib.models.autoencoder import PCA, add_noise, reconstruction_loss
from gen_lib.training import fit

AUTOENCODERS = [LinearAutoencoder, DeepAutoencoder, ConvAutoencoder]


def images(n: int, shape=(1, 28, 28), seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def loss(model, batch, seed: int = 0) -> torch.Tensor:
    return model.loss(batch, torch.Generator().manual_seed(seed), 0.0).value


def correlated(n: int = 500, d: int = 12) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    mixing = torch.randn(d, d, generator=rng)
    return torch.randn(n, d, generator=rng) @ mixing + 3.0


# E(w)


def test_E_of_a_case_worked_out_by_hand():
    y = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    x = torch.tensor([[0.0, 0.0], [3.0, 3.0]])
    assert reconstruction_loss(y, x).item() == 0.5 * ((1 + 4) + (9 + 16)) / 2


def test_E_is_the_sum_of_the_lecture_over_n():
    y, x = images(6, (3, 5, 4)), images(6, (3, 5, 4), seed=1)
    total = 0.0
    for n in range(6):
        for pixel in zip(y[n].flatten().tolist(), x[n].flatten().tolist(), strict=True):
            total += 0.5 * (pixel[0] - pixel[1]) ** 2
    assert reconstruction_loss(y, x).item() * 6 == pytest.approx(total, rel=1e-5)


def test_per_pixel_error_is_2E_over_ND():
    y, x = images(6, (1, 8, 8)), images(6, (1, 8, 8), seed=1)
    per_pixel = torch.nn.functional.mse_loss(y, x)
    torch.testing.assert_close(2 * reconstruction_loss(y, x) / (1 * 8 * 8), per_pixel)


def test_gradient_of_E_is_the_difference_over_the_batch_size():
    y, x = images(6).requires_grad_(), images(6, seed=1)
    (gradient,) = torch.autograd.grad(reconstruction_loss(y, x), y)
    torch.testing.assert_close(gradient, (y - x).detach() / 6)


def test_mean_of_minibatch_losses_is_the_loss_of_all():
    y, x = images(12, (1, 4, 4)), images(12, (1, 4, 4), seed=1)
    parts = [reconstruction_loss(a, b) for a, b in zip(y.split(3), x.split(3), strict=True)]
    torch.testing.assert_close(torch.stack(parts).mean(), reconstruction_loss(y, x))


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_an_autoencoder_descends_E(kind):
    model, x = kind(image_shape=(1, 8, 8)), images(5, (1, 8, 8))
    found = model.loss(Batch(x, torch.zeros(5, dtype=torch.int64)), torch.Generator(), 0.0)
    torch.testing.assert_close(found.value, reconstruction_loss(model.reconstruct(x), x))
    assert found.terms["E"] == found.value
    mse = torch.nn.functional.mse_loss(model.reconstruct(x), x)
    torch.testing.assert_close(found.terms["mse"], mse)


# PCA


@pytest.mark.parametrize("k", [1, 3, 12])
def test_pca_spans_the_subspace_of_sklearn_with_the_same_error(k):
    from sklearn.decomposition import PCA as Peer

    x = correlated()
    ours, theirs = PCA.fit(x, k), Peer(k, svd_solver="full").fit(x.numpy())
    w = torch.as_tensor(theirs.components_)
    torch.testing.assert_close(ours.components.T @ ours.components, w.T @ w, atol=1e-4, rtol=1e-4)
    y = torch.as_tensor(theirs.inverse_transform(theirs.transform(x.numpy())))
    torch.testing.assert_close(ours.reconstruct(x), y, atol=1e-3, rtol=1e-3)


def test_pca_directions_come_in_the_order_of_sklearn():
    from sklearn.decomposition import PCA as Peer

    x = correlated()
    cosines = PCA.fit(x, 4).components @ torch.as_tensor(Peer(4).fit(x.numpy()).components_).T
    torch.testing.assert_close(cosines.abs(), torch.eye(4), atol=1e-2, rtol=0)


def test_pca_directions_are_orthonormal():
    w = PCA.fit(correlated(), 5).components
    torch.testing.assert_close(w @ w.T, torch.eye(5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("k", [1, 5, 11])
def test_pca_error_is_the_sum_of_the_eigenvalues_left_out(k):
    x = correlated()
    eigenvalues = torch.linalg.eigvalsh(x.T.cov(correction=0))
    error = 2 * reconstruction_loss(PCA.fit(x, k).reconstruct(x), x)
    torch.testing.assert_close(error, eigenvalues[:-k].sum(), rtol=1e-3, atol=1e-3)


def test_pca_with_all_components_is_the_identity_and_keeps_shapes():
    x = images(60, (1, 4, 4))
    torch.testing.assert_close(PCA.fit(x, 16).reconstruct(x), x, atol=1e-4, rtol=0)


def test_pca_projects():
    pca = PCA.fit(correlated(), 3)
    once = pca.reconstruct(correlated())
    torch.testing.assert_close(pca.reconstruct(once), once, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_no_linear_autoencoder_beats_pca(seed):
    x = images(200, (1, 4, 4), seed)
    torch.manual_seed(seed)
    model = LinearAutoencoder((1, 4, 4), latent_size=3)
    encoder, decoder = model.encoder[1][0], model.decoder[0][0]
    z = encoder(x.flatten(1))
    with_bias = torch.cat([z, torch.ones(len(z), 1)], dim=1)
    best = torch.linalg.lstsq(with_bias, x.flatten(1)).solution  # its decoder, at its best
    with torch.no_grad():
        decoder.weight.copy_(best[:-1].T)
        decoder.bias.copy_(best[-1])
    pca_loss = reconstruction_loss(PCA.fit(x, 3).reconstruct(x), x)
    assert reconstruction_loss(model.reconstruct(x), x) > pca_loss


def test_a_linear_autoencoder_with_the_weights_of_pca_is_pca():
    x = images(200, (1, 4, 4))
    pca, model = PCA.fit(x, 3), LinearAutoencoder((1, 4, 4), latent_size=3)
    with torch.no_grad():
        model.encoder[1][0].weight.copy_(pca.components)
        model.encoder[1][0].bias.copy_(-pca.components @ pca.mean)
        model.decoder[0][0].weight.copy_(pca.components.T)
        model.decoder[0][0].bias.copy_(pca.mean)
    torch.testing.assert_close(model.reconstruct(x), pca.reconstruct(x), atol=1e-5, rtol=0)


# Codes and images


@pytest.mark.parametrize("kind", AUTOENCODERS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 12)])
def test_autoencoders_map_images_to_codes_and_back(kind, shape):
    model, x = kind(image_shape=shape, latent_size=5), images(3, shape)
    assert model.encode(x).shape == (3, 5)
    assert model.decode(model.encode(x)).shape == x.shape
    torch.testing.assert_close(model.reconstruct(x), model.decode(model.encode(x)))


def additive(f, n_in: int) -> bool:
    a, b, zero = torch.randn(4, n_in), torch.randn(4, n_in), torch.zeros(4, n_in)
    return torch.allclose(f(a + b) + f(zero), f(a) + f(b), atol=1e-5)


def test_the_basic_autoencoder_is_linear_and_the_deep_one_is_not():
    torch.manual_seed(0)
    linear, deep = LinearAutoencoder((1, 4, 4), 3), DeepAutoencoder((1, 4, 4), 3, (9,))
    for model, expected in ((linear, True), (deep, False)):
        flat = lambda v, m=model: m.reconstruct(v.reshape(-1, 1, 4, 4)).flatten(1)  # noqa: E731
        assert additive(flat, 16) == expected


# Sparse codes


def test_the_sparse_loss_is_the_lectures_per_image(batch):
    model = SparseAutoencoder(sparsity=0.7)
    z = model.encode(batch.images)
    error = 0.5 * (model.decode(z) - batch.images).square().sum()
    expected = (error + 0.7 * z.abs().sum()) / len(batch.images)
    torch.testing.assert_close(loss(model, batch), expected)


def test_sparse_features_have_unit_length_so_that_scale_cannot_cheat_the_penalty(batch):
    model = SparseAutoencoder()
    torch.testing.assert_close(model.dictionary.norm(dim=0), torch.ones(1_000))
    before = model.decode(model.encode(batch.images))
    with torch.no_grad():
        model.columns *= 10
    torch.testing.assert_close(model.decode(model.encode(batch.images)), before)


def test_every_unit_starts_reading_what_it_writes():
    model = SparseAutoencoder()
    torch.testing.assert_close(model.encoder.weight, model.dictionary.T)


def test_more_sparsity_leaves_fewer_active_units(few):
    active = []
    for sparsity in (0.01, 3.0):
        torch.manual_seed(0)
        model = SparseAutoencoder(sparsity=sparsity)
        history = fit(model, few, steps=60, batch_size=100, show_bar=False)
        active.append(history.terms["active_units"][-1])
    assert active[1] < 0.5 * active[0]


# Denoising


def test_denoising_aims_at_the_clean_image_without_the_half(batch):
    model = DenoisingAutoencoder(sigma=0.5)
    noised = add_noise(batch.images, 0.5, 0.0, torch.Generator().manual_seed(3))
    squared = (model.reconstruct(noised) - batch.images).square()
    expected = squared.flatten(1).sum(dim=1).mean()
    torch.testing.assert_close(loss(model, batch, seed=3), expected)


def test_no_noise_is_a_defined_case_the_plain_autoencoder(batch):
    model = DenoisingAutoencoder(sigma=0.0)
    expected = (model.reconstruct(batch.images) - batch.images).square().flatten(1).sum(1).mean()
    torch.testing.assert_close(loss(model, batch), expected)


def test_noise_has_the_standard_deviation_and_the_share_asked_for(rng):
    x = torch.zeros(50, 1, 28, 28)
    gaussian = add_noise(x, 0.5, 0.0, rng)
    assert gaussian.std().item() == pytest.approx(0.5, rel=0.02)
    assert gaussian.mean().item() == pytest.approx(0.0, abs=0.01)
    masked = add_noise(x, 0.0, 0.3, rng)
    assert set(masked.unique().tolist()) == {-1.0, 0.0}
    assert (masked == -1).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert torch.equal(add_noise(x, 0.0, 0.0, rng), x)


def test_denoising_features_are_the_means_of_each_channel_over_the_places(batch):
    model = DenoisingAutoencoder(width=3)
    channels = model.encoder[:-1](batch.images)  # (16, 6, 7, 7), before they become one vector
    torch.testing.assert_close(model.features(batch.images), channels.mean(dim=(2, 3)))


# Training


@pytest.mark.parametrize("kind", [SparseAutoencoder, DenoisingAutoencoder])
def test_training_lowers_the_loss_and_the_configuration_builds_the_same_model(kind, few):
    torch.manual_seed(0)
    model = kind()
    before = loss(model, few[:64]).item()
    fit(model, few, steps=30, batch_size=64, show_bar=False)
    assert loss(model, few[:64]).item() < 0.8 * before
    twin = kind(**model.config)
    shapes = {name: value.shape for name, value in twin.state_dict().items()}
    assert shapes == {name: value.shape for name, value in model.state_dict().items()}


# Rows


def test_rows_of_an_autoencoder_stand_beside_pca_and_the_mean_image(noise_set):
    data, model = noise_set, LinearAutoencoder((1, 16, 16), latent_size=4)
    rows = {row.name: row for row in model.rows(data)}
    train, x = data.train.x, data.test.x
    outputs = {
        "model": model.reconstruct(x).detach(),
        "pca": PCA.fit(train, 4).reconstruct(x),
        "mean_image": train.mean(dim=0, keepdim=True).repeat(len(x), 1, 1, 1),
    }
    assert list(rows) == ["mse", "psnr", "ssim"]
    for name, figure in (("mse", mse), ("psnr", psnr), ("ssim", ssim)):
        expected = {key: figure(y, x) for key, y in outputs.items()}
        assert rows[name].value == pytest.approx(expected.pop("model"), rel=1e-4)
        assert rows[name].beside == pytest.approx(expected, rel=1e-4)
    by_hand = sum(
        ((y - v) ** 2) for y, v in zip(outputs["pca"].flatten(), x.flatten(), strict=True)
    )
    assert rows["mse"].beside["pca"] == pytest.approx(by_hand.item() / x.numel(), rel=1e-3)


def test_denoising_stands_beside_the_noised_images_and_not_beside_complete_pca(noise_set):
    data, model = noise_set, DenoisingAutoencoder((1, 16, 16), sigma=0.3).eval()
    rows = {row.name: row for row in model.rows(data)}
    assert list(rows["mse"].beside) == ["mean_image"]  # its code is larger than the image
    noised = add_noise(data.test.x, 0.3, 0.0, torch.Generator().manual_seed(0))
    expected = psnr(model.reconstruct(noised).detach(), data.test.x)
    assert rows["denoised_psnr"].value == pytest.approx(expected, rel=1e-4)
    assert rows["denoised_psnr"].beside == {"noised": pytest.approx(16.5, abs=0.2)}  # 4 / 0.3^2


# What is refused


@pytest.mark.parametrize("kind", AUTOENCODERS)
@pytest.mark.parametrize("latent_size", [0, -3])
def test_a_code_needs_a_unit(kind, latent_size):
    with pytest.raises(InputError, match=f"latent_size is {latent_size}: it must be"):
        kind(latent_size=latent_size)


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: DenoisingAutoencoder(sigma=-0.1), "sigma"),
        (lambda: DenoisingAutoencoder(dropped=1.0), "dropped"),
        (lambda: SparseAutoencoder(sparsity=-1.0), "sparsity"),
        (lambda: SparseAutoencoder(latent_size=0), "latent_size"),
    ],
)
def test_senseless_settings_are_refused_in_one_sentence(build, word):
    with pytest.raises(InputError, match=word):
        build()


@pytest.mark.parametrize("build", [*AUTOENCODERS, SparseAutoencoder, DenoisingAutoencoder])
def test_images_of_another_size_are_refused_in_one_sentence(build):
    batch = Batch(torch.zeros(2, 1, 32, 32), torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match=r"shape \(1, 32, 32\) do not fit .* \(1, 28, 28\)"):
        loss(build(), batch)
