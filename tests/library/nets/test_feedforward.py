"""Feed-forward networks: what is linear, and which images fit."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.models import ConvAutoencoder
from gen_lib.nets.feedforward import (
    conv_decoder,
    conv_encoder,
    conv_features,
    conv_generator,
    conv_images,
    feature_count,
    mlp,
)


def additive(f, n_in: int) -> bool:
    a, b, zero = torch.randn(4, n_in), torch.randn(4, n_in), torch.zeros(4, n_in)
    return torch.allclose(f(a + b) + f(zero), f(a) + f(b), atol=1e-5)


def test_mlp_of_two_sizes_is_linear_and_of_three_is_not():
    torch.manual_seed(0)
    assert additive(mlp(6, 4), 6)
    assert not additive(mlp(6, 5, 4), 6)


@pytest.mark.parametrize("hidden", [0, 7])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12)])
def test_encoders_and_decoders_have_the_shapes_they_promise(shape, hidden):
    x, z = torch.randn(2, *shape), torch.randn(2, 5)
    assert conv_encoder(shape, 5, 4, hidden)(x).shape == (2, 5)
    assert conv_decoder(shape, 5, 4, hidden)(z).shape == x.shape
    features = conv_features(shape, 4)(x)
    assert features.shape == (2, feature_count(shape, 4))
    assert conv_images(shape, 4)(features).shape == x.shape
    assert conv_generator(shape, 5, 4)(z).abs().max() < 1


@pytest.mark.parametrize("shape", [(1, 30, 28), (1, 28, 27)])
@pytest.mark.parametrize(
    "build",
    [
        ConvAutoencoder,
        lambda shape: conv_encoder(shape, 3, 4),
        lambda shape: conv_decoder(shape, 3, 4),
        lambda shape: conv_generator(shape, 3, 4),
    ],
)
def test_convolutions_refuse_sides_that_are_no_multiples_of_four(shape, build):
    with pytest.raises(InputError, match="must be multiples of 4"):
        build(shape)
