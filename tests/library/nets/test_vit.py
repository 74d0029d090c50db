"""The vision transformer: attention is that of torch, patches are squares of the image."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.nets.vit import Block, patchify, positions, transformer, unpatchify


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


def test_an_image_that_cannot_be_cut_is_refused():
    with pytest.raises(InputError, match="can't be cut into patches of 4"):
        patchify(torch.zeros(1, 1, 30, 28), 4)


def test_a_transformer_sees_no_order_but_that_of_the_positions(rng):
    net, tokens = transformer(width=16, depth=2).eval(), torch.randn(2, 9, 16, generator=rng)
    order = torch.randperm(9, generator=rng)
    torch.testing.assert_close(net(tokens[:, order]), net(tokens)[:, order])
    place = positions(9, 16)
    assert not torch.allclose(net(tokens[:, order] + place), net(tokens + place)[:, order])
