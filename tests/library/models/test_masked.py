"""The masked autoencoder: which patches are hidden, its loss, and what it refuses."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import Batch
from gen_lib.models import MaskedAutoencoder
from gen_lib.models.masked import masked_loss
from gen_lib.nets.vit import patchify, unpatchify
from gen_lib.training import fit


def loss(model, batch, seed: int = 0) -> torch.Tensor:
    return model.loss(batch, torch.Generator().manual_seed(seed), 0.0).value


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
    torch.testing.assert_close(loss(model, batch), squared[mask].mean())
    torch.testing.assert_close(loss(ablation, batch), squared.mean())


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


def test_training_lowers_the_loss_and_the_configuration_builds_the_same_model(few):
    torch.manual_seed(0)
    model = MaskedAutoencoder()
    before = loss(model, few[:64]).item()
    fit(model, few, steps=30, batch_size=64, show_bar=False)
    assert loss(model, few[:64]).item() < 0.8 * before
    twin = MaskedAutoencoder(**model.config)
    shapes = {name: value.shape for name, value in twin.state_dict().items()}
    assert shapes == {name: value.shape for name, value in model.state_dict().items()}


def test_masking_stands_beside_the_mean_image_on_the_same_patches(noise_set):
    data, model = noise_set, MaskedAutoencoder((1, 16, 16), width=16, depth=1).eval()
    (row,) = model.rows(data)
    assert row.name == "masked_mse"
    noise_variance = data.test.x.var().item()  # the mean image predicts nothing of noise
    assert row.beside["mean_image"] == pytest.approx(noise_variance, rel=0.1)


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
    ],
)
def test_senseless_settings_are_refused_in_one_sentence(build, word):
    with pytest.raises(InputError, match=word):
        build()


def test_images_of_another_size_are_refused_in_one_sentence():
    batch = Batch(torch.zeros(2, 1, 32, 32), torch.zeros(2, dtype=torch.long))
    with pytest.raises(InputError, match=r"shape \(1, 32, 32\) do not fit .* \(1, 28, 28\)"):
        loss(MaskedAutoencoder(), batch)
