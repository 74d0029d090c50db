"""Outlines, and a frozen network that they steer."""

import pytest
import torch

from gen_course.ch08_words_to_pictures.outline import OutlineReader, agreement, outline, steered
from gen_lib.data.people.words import VOCABULARY
from gen_lib.nets.word_unet import WordUNet


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = WordUNet((4, 12, 12), len(VOCABULARY), width=16).eval()
    torch.nn.init.normal_(net.out.get_parameter("2.weight"))
    return net


def test_the_outline_of_two_flat_halves_is_the_line_between_them():
    x = torch.full((1, 3, 6, 6), -1.0)
    x[:, 1, :, 3:] = 1.0
    lines = outline(x)
    assert lines.shape == (1, 1, 6, 6)
    assert lines[0, 0, :, 2].all()
    assert lines.sum() == 6
    assert not outline(torch.zeros(1, 3, 6, 6)).any()


def test_a_weak_step_is_no_edge_and_a_mirrored_image_has_as_many_edges():
    x = torch.zeros(1, 3, 6, 6)
    x[..., 3:] = 0.2
    assert not outline(x).any()
    x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)).round() * 2 - 1
    turned = outline(x.transpose(2, 3))
    torch.testing.assert_close(turned, outline(x).transpose(2, 3))


def test_agreement_is_1_for_the_same_edges_and_0_for_none_in_common():
    x = torch.full((1, 3, 8, 8), -1.0)
    x[..., 4:] = 1.0
    other = torch.full((1, 3, 8, 8), -1.0)
    other[..., 2:] = 1.0
    assert agreement(x, outline(x)).item() == 1
    assert agreement(x, outline(other)).item() == 0
    assert agreement(torch.zeros_like(x), torch.zeros(1, 1, 8, 8)).item() == 0


def test_a_new_reader_changes_nothing_and_a_trained_one_only_within_its_block(net):
    z, t, c = torch.randn(2, 4, 12, 12), torch.rand(2), torch.tensor([[3, 4], [5, 0]])
    lines = torch.rand(2, 1, 48, 48).round()
    reader = OutlineReader(width=16)
    with torch.no_grad():
        before = net(z, t, c)
        with steered(net, reader, lines):
            torch.testing.assert_close(net(z, t, c), before)
        torch.nn.init.normal_(reader.coarse.weight)
        with steered(net, reader, lines):
            assert not torch.allclose(net(z, t, c), before)
        torch.testing.assert_close(net(z, t, c), before)


def test_an_error_within_the_block_leaves_the_network_as_it_was(net):
    reader = OutlineReader(width=16)
    torch.nn.init.normal_(reader.fine.weight)
    z, t = torch.randn(1, 4, 12, 12), torch.rand(1)
    with torch.no_grad():
        before = net(z, t)
        with pytest.raises(RuntimeError), steered(net, reader, torch.ones(1, 1, 48, 48)):
            raise RuntimeError
        torch.testing.assert_close(net(z, t), before)


def test_each_image_follows_its_own_outline(net):
    reader = OutlineReader(width=16)
    torch.nn.init.normal_(reader.fine.weight)
    z, t = torch.randn(1, 4, 12, 12).expand(2, -1, -1, -1), torch.full((2,), 0.5)
    lines = torch.stack([torch.zeros(1, 48, 48), torch.ones(1, 48, 48)])
    with torch.no_grad():
        with steered(net, reader, lines):
            both = net(z, t)
        with steered(net, reader, lines[1:]):
            second = net(z[1:], t[1:])
    assert not torch.allclose(both[0], both[1])
    torch.testing.assert_close(both[1:], second, rtol=1e-4, atol=1e-5)
