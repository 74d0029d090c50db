"""The U-Net: its inputs, its size, and that it starts at zero."""

import pytest
import torch
from torch import nn

from gen_lib import InputError
from gen_lib.nets.unet import TimedMLP, UNet, time_features


def scattered(net: nn.Module) -> nn.Module:
    """The same network with all weights drawn at random, so that its output is not zero."""
    torch.manual_seed(0)
    for p in net.parameters():
        nn.init.normal_(p, std=0.1)
    return net


def test_the_network_is_small_and_starts_at_zero():
    net = UNet((1, 28, 28))
    assert 250_000 < sum(p.numel() for p in net.parameters()) < 350_000
    assert (net(torch.randn(2, 1, 28, 28), torch.rand(2)) == 0).all()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12)])
def test_images_of_any_shape_that_fits(shape):
    x = torch.randn(3, *shape)
    assert UNet(shape, width=8, blocks=1)(x, torch.rand(3)).shape == x.shape
    with pytest.raises(InputError, match="multiples of 4"):
        UNet((1, 30, 28))


def test_a_width_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="width is 12: it must be a multiple of 8"):
        UNet((1, 8, 8), width=12)


def test_every_image_is_seen_at_its_own_time_and_label():
    net = scattered(UNet((1, 8, 8), width=8, blocks=1, classes=10))
    x = torch.randn(1, 1, 8, 8).expand(4, 1, 8, 8)
    t, labels = torch.tensor([0.1, 0.1, 0.9, 0.1]), torch.tensor([1, 1, 1, 2])
    a, b, later, other = net(x, t, labels)
    assert torch.equal(a, b)
    assert (a - later).abs().max() > 1e-3
    assert (a - other).abs().max() > 1e-3
    torch.testing.assert_close(net(x[:1], t[:1], labels[:1])[0], a)
    assert torch.equal(net(x, t), net(x, t, torch.full((4,), 10)))


def test_every_place_sees_every_other():
    x = torch.randn(1, 1, 28, 28, requires_grad=True)
    scattered(UNet((1, 28, 28)))(x, torch.tensor([0.5]))[0, 0, 0, 0].backward()
    assert x.grad[0, 0, -1, -1] != 0


def test_time_features_tell_close_times_apart_and_far_ones():
    t = torch.linspace(0, 1, 1001)
    features = time_features(t, 64)
    assert features.abs().max() <= 1
    distance = torch.cdist(features, features) + 10 * torch.eye(1001)
    assert distance.min() > 0.05
    assert ((features[1:] - features[:-1]).norm(dim=1) < 4).all()


def test_the_network_of_the_plane_sees_the_time_and_is_precise_under_autocast():
    net, x, t = TimedMLP(width=16), torch.randn(5, 2, 1, 1), torch.rand(5)
    y = net(x, t)
    assert y.shape == x.shape
    assert not torch.equal(y, net(x, 1 - t))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(net(x, t), y)
