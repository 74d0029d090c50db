"""Models: the loss is the lecture's, PCA is sklearn's, networks have the shapes they promise."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import Batch
from gen_lib.models import MODELS, ConvAutoencoder, DeepAutoencoder, Judge, LinearAutoencoder
from gen_lib.models.autoencoder import PCA, reconstruction_loss
from gen_lib.models.base import in_batches
from gen_lib.nets.feedforward import mlp

AUTOENCODERS = [LinearAutoencoder, DeepAutoencoder, ConvAutoencoder]


def images(n: int, shape=(1, 28, 28), seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


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


# Networks


@pytest.mark.parametrize("kind", AUTOENCODERS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 12)])
def test_autoencoders_map_images_to_codes_and_back(kind, shape):
    model, x = kind(image_shape=shape, latent_size=5), images(3, shape)
    assert model.encode(x).shape == (3, 5)
    assert model.decode(model.encode(x)).shape == x.shape
    torch.testing.assert_close(model.reconstruct(x), model.decode(model.encode(x)))


@pytest.mark.parametrize(
    "model",
    [
        LinearAutoencoder((1, 8, 8), latent_size=3),
        DeepAutoencoder((3, 8, 8), latent_size=3, hidden=(7, 6, 5)),
        ConvAutoencoder((3, 32, 32), latent_size=3, width=4),
        Judge((3, 16, 16), classes=4),
    ],
    ids=lambda model: model.name,
)
def test_config_builds_the_same_model_again(model):
    again = type(model)(**model.config)
    assert MODELS[model.name] is type(model)
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }
    again.load_state_dict(model.state_dict())
    x = images(2, model.config["image_shape"])
    out = "logits" if isinstance(model, Judge) else "reconstruct"
    assert torch.equal(getattr(again.eval(), out)(x), getattr(model.eval(), out)(x))


def additive(f, n_in: int) -> bool:
    a, b, zero = torch.randn(4, n_in), torch.randn(4, n_in), torch.zeros(4, n_in)
    return torch.allclose(f(a + b) + f(zero), f(a) + f(b), atol=1e-5)


def test_mlp_of_two_sizes_is_linear_and_of_three_is_not():
    torch.manual_seed(0)
    assert additive(mlp(6, 4), 6)
    assert not additive(mlp(6, 5, 4), 6)


def test_the_basic_autoencoder_is_linear_and_the_deep_one_is_not():
    torch.manual_seed(0)
    linear, deep = LinearAutoencoder((1, 4, 4), 3), DeepAutoencoder((1, 4, 4), 3, (9,))
    for model, expected in ((linear, True), (deep, False)):
        flat = lambda v, m=model: m.reconstruct(v.reshape(-1, 1, 4, 4)).flatten(1)  # noqa: E731
        assert additive(flat, 16) == expected


@pytest.mark.parametrize("shape", [(1, 30, 28), (1, 28, 27)])
def test_convolutions_refuse_sides_that_are_no_multiples_of_four(shape):
    with pytest.raises(InputError, match="must be multiples of 4"):
        ConvAutoencoder(shape)


@pytest.mark.parametrize("kind", AUTOENCODERS)
@pytest.mark.parametrize("latent_size", [0, -3])
def test_a_code_needs_a_unit(kind, latent_size):
    with pytest.raises(InputError, match=f"latent_size is {latent_size}: it must be"):
        kind(latent_size=latent_size)


def test_in_batches_changes_nothing_and_keeps_no_graph():
    model, x = DeepAutoencoder((1, 4, 4), 3, (9,)), images(23, (1, 4, 4))
    parts = in_batches(model.encode, x, size=5)
    torch.testing.assert_close(parts, model.encode(x))
    assert not parts.requires_grad


# The judge


def test_features_of_the_judge_are_128_and_not_negative():
    features = Judge().eval().features(images(7))
    assert features.shape == (7, Judge.num_features) == (7, 128)
    assert (features >= 0).all()
    assert (features > 0).any()


def test_logits_are_the_head_on_the_features():
    judge = Judge(classes=6).eval()
    x = images(4)
    assert judge.logits(x).shape == (4, 6)
    torch.testing.assert_close(judge.logits(x), judge.head(judge.features(x)))


# What all share


@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_a_turn_is_random_through_its_generator_only(kind):
    torch.manual_seed(0)
    model = kind(image_shape=(1, 8, 8)).eval()
    batch = Batch(images(16, (1, 8, 8)), torch.arange(16) % 10)
    before = torch.get_rng_state()
    losses = []
    for _ in range(2):
        turns = model.turns(batch, torch.Generator().manual_seed(5))
        losses.append([turn.loss.item() for turn in turns])
    assert losses[0] == losses[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_judge_sees_other_shifts_with_another_seed():
    judge, batch = Judge().eval(), Batch(images(16), torch.arange(16) % 10)
    turns = [next(judge.turns(batch, torch.Generator().manual_seed(s))) for s in (1, 2)]
    assert turns[0].loss.item() != turns[1].loss.item()


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_a_turn_of_an_autoencoder_descends_E(kind):
    model, x = kind(image_shape=(1, 8, 8)), images(5, (1, 8, 8))
    turns = list(model.turns(Batch(x, torch.zeros(5, dtype=torch.int64)), torch.Generator()))
    assert [turn.player for turn in turns] == list(model.players()) == ["model"]
    torch.testing.assert_close(turns[0].loss, reconstruction_loss(model.reconstruct(x), x))
    mse = torch.nn.functional.mse_loss(model.reconstruct(x), x)
    torch.testing.assert_close(turns[0].terms["mse"], mse)


@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_players_move_every_weight_once(kind):
    model = kind(image_shape=(1, 8, 8))
    moved = [p for player in model.players().values() for p in player.parameters]
    assert len(moved) == len({id(p) for p in moved})
    assert {id(p) for p in moved} == {id(p) for p in model.parameters()}
