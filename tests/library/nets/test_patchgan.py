"""Networks for translation: shapes, the identity at the start, and bounded slopes."""

import pytest
import torch
from torch import nn

from gen_lib.nets.patchgan import Residual, patch_discriminator, translator


def images(n: int, shape=(1, 8, 8), seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 64, 64)])
def test_networks_have_the_shapes_they_promise(shape):
    x = images(2, shape)
    assert translator(shape, width=4, blocks=1)(x).shape == x.shape
    verdicts = patch_discriminator(shape, width=4)(x)
    assert verdicts.shape == (2, 1, shape[1] // 4, shape[2] // 4)


def test_a_verdict_sees_a_patch_of_18_pixels():
    torch.manual_seed(0)
    net, x = patch_discriminator((1, 64, 64), width=4), images(1, (1, 64, 64)).requires_grad_()
    net(x)[0, 0, 8, 8].backward()
    seen = x.grad[0, 0] != 0
    assert seen.any(dim=0).sum() == seen.any(dim=1).sum() == 18


def test_the_slope_of_every_layer_of_a_discriminator_is_bounded_by_one():
    torch.manual_seed(0)
    net = patch_discriminator((1, 16, 16), width=8).train()
    for _ in range(60):  # the power iteration converges as it is used
        net(images(2, (1, 16, 16)))
    for layer in net.eval():
        if isinstance(layer, nn.Conv2d):
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
            assert norm.item() == pytest.approx(1, abs=0.02)


def test_a_residual_starts_as_the_identity_and_can_learn():
    block, x = Residual(nn.Conv2d(1, 1, 3, padding=1)), images(2)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.body[0].weight.grad.abs().sum() > 0
