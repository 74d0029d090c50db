"""The decoder: it never looks ahead, it is attention of torch, and its memory changes nothing."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gen_lib import InputError
from gen_lib.nets import transformer
from gen_lib.nets.transformer import Block, CausalAttention, Transformer, rotated


def scattered(module: nn.Module) -> nn.Module:
    """The module with random weights everywhere, also where a new one has 0."""
    rng = torch.Generator().manual_seed(1)
    for p in module.parameters():
        nn.init.normal_(p, std=0.4, generator=rng)
    return module.eval()


def small(layers: int = 2) -> Transformer:
    return scattered(Transformer(11, width=8, layers=layers, heads=2))


@pytest.fixture
def tokens(rng):
    return torch.randint(11, (3, 7), generator=rng)


# What a place sees


def test_a_place_depends_on_itself_and_on_all_before_it_alone(tokens):
    net, found = small(), []
    net.token.register_forward_hook(lambda module, given, h: found.append(h.requires_grad_()))
    logits = net(tokens)
    for i in range(tokens.shape[1]):
        weights = torch.randn(logits.shape[2])  # a mixture of the logits of place i
        value = (logits[0, i] * weights).sum()
        (slope,) = torch.autograd.grad(value, found[0], retain_graph=True)
        assert (slope[0, i + 1 :] == 0).all()
        assert (slope[0, : i + 1].norm(dim=1) > 0).all()
        assert (slope[1:] == 0).all()  # the other texts


def test_later_tokens_change_no_logit(tokens):
    net, other = small(), tokens.clone()
    other[:, 4:] = (other[:, 4:] + 1) % 11
    same = (net(tokens) - net(other)).abs().amax(dim=(0, 2)) == 0
    assert same.tolist() == [True] * 4 + [False] * 3


def test_attention_is_a_softmax_of_masked_products(rng):
    layer, h = scattered(CausalAttention(8, 2)), torch.randn(3, 5, 8, generator=rng)
    q, k, v = layer.qkv(h).chunk(3, dim=2)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        a, b = rotated(q[:, None, :, part])[:, 0], rotated(k[:, None, :, part])[:, 0]
        mixed = []
        for i in range(5):
            score = (a[:, i : i + 1] * b[:, : i + 1]).sum(dim=2) / math.sqrt(4)
            share = score.exp() / score.exp().sum(dim=1, keepdim=True)
            mixed.append((share[..., None] * v[:, : i + 1, part]).sum(dim=1))
        heads.append(torch.stack(mixed, dim=1))
    torch.testing.assert_close(layer(h), torch.cat(heads, dim=2) @ layer.out.weight.T)


def test_without_positions_attention_is_that_of_the_layer_of_torch(rng, monkeypatch):
    monkeypatch.setattr(transformer, "rotated", lambda x, start=0: x)
    layer, h = scattered(CausalAttention(8, 2)), torch.randn(3, 5, 8, generator=rng)
    theirs = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
    theirs.in_proj_weight.data, theirs.out_proj.weight.data = layer.qkv.weight, layer.out.weight
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    expected, shares = theirs(h, h, h, attn_mask=mask, average_attn_weights=False)
    torch.testing.assert_close(layer(h), expected)
    torch.testing.assert_close(layer.weights(h), shares)


def test_weights_sum_to_1_and_are_those_of_the_pass(tokens):
    net = small()
    found = net.attention(tokens)
    assert found.shape == (2, 3, 2, 7, 7)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(2, 3, 2, 7))
    assert (found.triu(1) == 0).all()
    h = net.token(tokens)
    for block, share in zip(net.blocks, found, strict=True):
        normed = block.norm1(h)
        v = block.attention.qkv(normed)[..., 16:].unflatten(2, (2, 4)).transpose(1, 2)
        h = h + block.attention.out((share @ v).transpose(1, 2).flatten(2))
        h = h + block.mlp(block.norm2(h))
    torch.testing.assert_close(net.head(net.norm(h)), net(tokens))


# Positions


def test_a_turn_keeps_the_norm_and_place_0_stays(rng):
    x = torch.randn(2, 3, 9, 8, generator=rng)
    torch.testing.assert_close(rotated(x).norm(dim=3), x.norm(dim=3))
    assert torch.equal(rotated(x)[:, :, 0], x[:, :, 0])
    torch.testing.assert_close(rotated(x)[:, :, 4:], rotated(x[:, :, 4:], start=4))


def test_turns_worked_out_by_hand():
    """Of 4 numbers, the first pair turns by the place, the second by 10000^(-1/2) of it."""
    x = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(1, 1, 3, 4)
    cos, sin = math.cos, math.sin
    expected = [[cos(m), cos(m / 100), sin(m), sin(m / 100)] for m in range(3)]
    torch.testing.assert_close(rotated(x)[0, 0], torch.tensor(expected))


@pytest.mark.parametrize("shift", [1, 5, 100])
def test_products_depend_on_the_distance_alone(rng, shift):
    q, k = torch.randn(2, 1, 1, 6, 16, generator=rng)
    product = rotated(q) @ rotated(k).mT
    shifted = rotated(q, shift) @ rotated(k, shift).mT  # the angles are float32
    torch.testing.assert_close(shifted, product, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(rotated(q, shift) @ rotated(k).mT, product, atol=0.1)


@pytest.mark.parametrize("with_positions", [True, False])
def test_without_positions_one_layer_cannot_tell_the_order(tokens, with_positions, monkeypatch):
    if not with_positions:
        monkeypatch.setattr(transformer, "rotated", lambda x, start=0: x)
    net, turned = small(layers=1), tokens.clone()
    turned[:, :-1] = tokens[:, :-1].flip(1)
    same = torch.allclose(net(tokens)[:, -1], net(turned)[:, -1], atol=1e-5)
    assert same != with_positions


# Memories


@pytest.mark.parametrize("parts", [[1] * 7, [7], [3, 4], [4, 1, 2], [1, 6]])
def test_a_memory_of_earlier_places_changes_nothing(tokens, parts):
    net = small()
    memories = net.memories(7)
    found = [net(part, memories) for part in tokens.split(parts, dim=1)]
    torch.testing.assert_close(torch.cat(found, dim=1), net(tokens))
    assert [memory.length for memory in memories] == [7, 7]


def test_a_memory_keeps_keys_and_values_of_its_own(tokens):
    net = small()
    full, half = net.memories(9), net.memories(9)
    net(tokens, full)
    net(tokens[:, :3], half)
    net(tokens[:, 3:], half)
    for one, other in zip(full, half, strict=True):
        torch.testing.assert_close(one.kept[..., :7, :], other.kept[..., :7, :])
    first = full[0].kept[0]
    assert not torch.allclose(first, full[0].kept[1])
    assert not torch.allclose(first, full[1].kept[0])


# A new transformer


@pytest.mark.parametrize("vocabulary", [1, 2, 11])
def test_a_new_transformer_gives_all_tokens_the_same_probability(vocabulary):
    x = torch.zeros(2, 6, dtype=torch.int64)
    logits = Transformer(vocabulary, width=8, layers=2, heads=2)(x)
    loss = F.cross_entropy(logits.flatten(0, 1), x.flatten())
    assert loss.item() == pytest.approx(math.log(vocabulary), abs=1e-6)
    assert (logits == 0).all()


def test_a_new_block_changes_nothing(rng):
    h = torch.randn(2, 5, 8, generator=rng)
    assert torch.equal(Block(8, 2)(h), h)
    assert not torch.allclose(scattered(Block(8, 2))(h), h)


def test_muon_gets_the_matrices_of_the_blocks():
    net = Transformer(11, width=8, layers=3, heads=2)
    shapes = [tuple(p.shape) for p in net.hidden()]
    assert shapes == [(24, 8), (8, 8), (32, 8), (8, 32)] * 3
    others = sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in net.hidden())
    assert others == 2 * 11 * 8 + 3 * (32 + 8) + (3 * 2 + 1) * 2 * 8  # tokens, biases, norms


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((0, 8, 2, 2), "vocabulary is 0"),
        ((11, 0, 2, 2), "width is 0"),
        ((11, 8, 0, 2), "layers is 0"),
        ((11, 8, 2, 0), "heads is 0"),
        ((11, 6, 2, 2), "width is 6: it must be a multiple of 4"),
    ],
)
def test_sizes_that_do_not_fit_are_named(sizes, words):
    with pytest.raises(InputError, match=words):
        Transformer(*sizes)
