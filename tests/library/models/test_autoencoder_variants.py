"""The models of chapter 02: what they minimise, what they hide, and what they refuse."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import Batch
from gen_lib.models import (
    ConvAutoencoder,
    DeepAutoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    MaskedAutoencoder,
    SparseAutoencoder,
)
from gen_lib.models.autoencoder import add_noise
from gen_lib.models.masked import masked_loss
from gen_lib.nets.vit import Block, patchify, unpatchify
from gen_lib.training import fit


@pytest.fixture
def batch(few) -> Batch:
    return few[:16]


def turn(model, batch, seed: int = 0):
    return next(iter(model.turns(batch, torch.Generator().manual_seed(seed))))


@pytest.mark.parametrize("kind", [SparseAutoencoder, DenoisingAutoencoder, MaskedAutoencoder])
def test_training_lowers_the_loss_and_the_configuration_builds_the_same_model(kind, few):
    torch.manual_seed(0)
    model = kind()
    before = turn(model, few[:64]).loss.item()
    fit(model, few, steps=30, batch_size=64, show_bar=False)
    assert turn(model, few[:64]).loss.item() < 0.8 * before
    twin = kind(**model.config)
    shapes = {name: value.shape for name, value in twin.state_dict().items()}
    assert shapes == {name: value.shape for name, value in model.state_dict().items()}


def test_the_sparse_loss_is_the_lectures_per_image(batch):
    model = SparseAutoencoder(sparsity=0.7)
    z = model.encode(batch.images)
    error = 0.5 * (model.decode(z) - batch.images).square().sum()
    expected = (error + 0.7 * z.abs().sum()) / len(batch.images)
    torch.testing.assert_close(turn(model, batch).loss, expected)


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


def test_denoising_aims_at_the_clean_image_without_the_half(batch):
    model = DenoisingAutoencoder(sigma=0.5)
    noised = add_noise(batch.images, 0.5, 0.0, torch.Generator().manual_seed(3))
    squared = (model.reconstruct(noised) - batch.images).square()
    expected = squared.flatten(1).sum(dim=1).mean()
    torch.testing.assert_close(turn(model, batch, seed=3).loss, expected)


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


def test_attention_is_that_of_torch(rng):
    block, qkv = Block(width=24, heads=4), torch.randn(5, 7, 72, generator=rng)
    heads = qkv.reshape(5, 7, 3, 4, 6).permute(2, 0, 3, 1, 4)
    theirs = torch.nn.functional.scaled_dot_product_attention(*heads)
    torch.testing.assert_close(block.attend(qkv), theirs.transpose(1, 2).reshape(5, 7, 24))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 8, 12)])
def test_patches_are_squares_of_the_image_and_go_back(shape, rng):
    x = torch.randn(3, *shape, generator=rng)
    patches = patchify(x, 4)
    torch.testing.assert_close(unpatchify(patches, shape), x, rtol=0, atol=0)
    second = x[1, :, 0:4, 4:8].flatten()
    assert torch.equal(patches[1, 1], second)


@pytest.mark.parametrize(("ratio", "hidden"), [(0.8, 39), (0.75, 37), (0.001, 1), (0.999, 48)])
def test_every_image_hides_equally_many_patches_in_places_of_its_own(ratio, hidden, rng):
    mask = MaskedAutoencoder(mask_ratio=ratio).random_mask(200, rng)
    assert mask.sum(dim=1).tolist() == [hidden] * 200
    assert mask.float().mean(dim=0).min() > 0.5 * hidden / 49 - 0.02
    assert len(mask.unique(dim=0)) > min(40, hidden)


def test_what_is_hidden_cannot_reach_the_prediction(batch, rng):
    model = MaskedAutoencoder()
    mask = model.random_mask(len(batch.images), rng)
    patches = patchify(batch.images, 4)
    changed = unpatchify(torch.where(mask[:, :, None], -patches, patches), (1, 28, 28))
    before, after = (model(x, mask).y for x in (batch.images, changed))
    assert torch.equal(before, after)
    moved = model(unpatchify(torch.where(mask[:, :, None], patches, -patches), (1, 28, 28)), mask)
    assert not torch.allclose(moved.y, before, atol=1e-3)


def test_the_masked_loss_counts_masked_patches_alone_unless_told_otherwise(batch):
    torch.manual_seed(0)
    model = MaskedAutoencoder()
    torch.manual_seed(0)
    ablation = MaskedAutoencoder(all_patches=True)
    mask = model.random_mask(len(batch.images), torch.Generator().manual_seed(0))
    squared = patchify(model(batch.images, mask).y - batch.images, 4).square()
    torch.testing.assert_close(turn(model, batch).loss, squared[mask].mean())
    torch.testing.assert_close(turn(ablation, batch).loss, squared.mean())


def test_many_images_are_filled_in_as_one_by_one(few):
    torch.manual_seed(0)
    model, x = MaskedAutoencoder(width=16, depth=1).eval(), few.x.repeat(3, 1, 1, 1)[:600]
    y, mask = model.fill(x, torch.Generator().manual_seed(5))
    assert torch.equal(mask, model.random_mask(600, torch.Generator().manual_seed(5)))
    torch.testing.assert_close(y[550:560], model(x[550:560], mask[550:560]).y)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 12)])
def test_the_error_of_hidden_patches_ignores_the_others(shape, rng):
    x, y = torch.randn(2, 4, *shape, generator=rng)
    mask = torch.rand(4, shape[1] * shape[2] // 16, generator=rng) < 0.5
    patches = torch.where(mask[:, :, None], patchify(y, 4), 99.0)
    expected = ((patches - patchify(x, 4))[mask] ** 2).mean()
    torch.testing.assert_close(masked_loss(unpatchify(patches, shape), x, mask), expected)


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: MaskedAutoencoder(mask_ratio=0.0), "mask_ratio"),
        (lambda: MaskedAutoencoder(mask_ratio=1.0), "mask_ratio"),
        (lambda: MaskedAutoencoder(image_shape=(1, 30, 30)), "multiples"),
        (lambda: MaskedAutoencoder(width=12), "width"),
        (lambda: MaskedAutoencoder(patch=0), "patch"),
        (lambda: MaskedAutoencoder(patch=28), "single patch"),
        (lambda: MaskedAutoencoder(depth=0), "depth"),
        (lambda: DenoisingAutoencoder(sigma=-0.1), "sigma"),
        (lambda: DenoisingAutoencoder(dropped=1.0), "dropped"),
        (lambda: SparseAutoencoder(sparsity=-1.0), "lambda"),
        (lambda: SparseAutoencoder(latent_size=0), "latent_size"),
    ],
)
def test_senseless_settings_are_refused_in_one_sentence(build, word):
    with pytest.raises(InputError, match=word):
        build()


@pytest.mark.parametrize(
    "build",
    [
        LinearAutoencoder,
        DeepAutoencoder,
        ConvAutoencoder,
        SparseAutoencoder,
        DenoisingAutoencoder,
        MaskedAutoencoder,
    ],
)
def test_images_of_another_size_are_refused_in_one_sentence(build):
    batch = Batch(torch.zeros(2, 1, 32, 32), torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match=r"shape \(1, 32, 32\) do not fit .* \(1, 28, 28\)"):
        turn(build(), batch)


def test_no_noise_is_a_defined_case_the_plain_autoencoder(batch):
    model = DenoisingAutoencoder(sigma=0.0)
    expected = (model.reconstruct(batch.images) - batch.images).square().flatten(1).sum(1).mean()
    torch.testing.assert_close(turn(model, batch).loss, expected)
