"""Cross-attention: it is that of torch, its weights are shares, and padding gets none."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.nets.attention import CrossAttention, attention_weights

SEEN = torch.tensor([[True, True, True, True, True], [True, True, False, False, False]])


def scattered(width: int = 8, word_width: int = 6, heads: int = 2) -> CrossAttention:
    """Attention whose last layer is not zero."""
    layer = CrossAttention(width, word_width, heads)
    torch.nn.init.normal_(layer.out.weight)
    return layer


@pytest.fixture
def given(rng):
    """Features of 2 pictures of 3 x 4 places, and 5 words for each."""
    return torch.randn(2, 8, 3, 4, generator=rng), torch.randn(2, 5, 6, generator=rng)


def test_weights_worked_out_by_hand():
    q, k = torch.tensor([[2.0, 0, 0, 0]]), torch.tensor([[0.0, 0, 0, 0], [3.0, 9, 9, 9]])
    share = torch.tensor(6 / 2).sigmoid()  # scores 0 and 2 x 3 / sqrt(4)
    found = attention_weights(q, k, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found, torch.stack([1 - share, share])[None])


def test_attention_is_that_of_torch(rng):
    q, k, v = (torch.randn(2, 3, n, 4, generator=rng) for n in (7, 5, 5))
    seen = SEEN[:, None, None]
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close(attention_weights(q, k, seen) @ v, theirs)


def test_each_head_of_the_layer_is_attention_of_torch(given):
    """Queries from the places, keys and values from the words; heads are slices of the channels."""
    (h, words), layer = given, scattered()
    q = layer.query(layer.norm(h)).flatten(2).mT
    k, v = layer.key(words), layer.value(words)
    mask = SEEN[:, None, :]
    heads = [
        torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=mask)
        for parts in zip(*(x.split(4, dim=2) for x in (q, k, v)), strict=True)
    ]
    taken = torch.cat(heads, dim=2).mT.unflatten(2, (3, 4))
    torch.testing.assert_close(layer(h, words, SEEN), h + layer.out(taken))


def test_the_weights_of_a_place_sum_to_1_and_padding_gets_0(given):
    found = scattered().weights(*given, SEEN)
    assert found.shape == (2, 2, 12, 5)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(2, 2, 12))
    assert (found[1, ..., 2:] == 0).all()
    assert (found[SEEN[:, None, None].expand_as(found)] > 0).all()


def test_what_stands_in_the_padding_changes_nothing(given, rng):
    (h, words), layer = given, scattered()
    other = torch.where(SEEN[..., None], words, torch.randn(words.shape, generator=rng))
    assert torch.equal(layer(h, other, SEEN), layer(h, words, SEEN))


def test_a_single_word_is_taken_whole_by_every_place(given):
    (h, words), layer = given, scattered()
    one = words[:, :1]
    value = layer.out(layer.value(one).mT[..., None])  # (2, 8, 1, 1)
    torch.testing.assert_close(layer(h, one, SEEN[:, :1]) - h, value.expand_as(h))


def test_places_go_row_by_row(given):
    (h, words), layer = given, scattered()
    layer.norm = torch.nn.Identity()  # which would mix the places
    whole = layer.weights(h, words, SEEN)
    one = layer.weights(h[:, :, 1:2, 2:3], words, SEEN)
    torch.testing.assert_close(whole[:, :, [4 + 2]], one)


def test_the_order_of_words_means_nothing_to_attention(given, rng):
    (h, words), layer = given, scattered()
    order = torch.randperm(5, generator=rng)
    torch.testing.assert_close(layer(h, words[:, order], SEEN[:, order]), layer(h, words, SEEN))


def test_the_layer_starts_as_the_identity(given):
    h, words = given
    assert torch.equal(CrossAttention(8, 6, 2)(h, words, SEEN), h)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(InputError, match=r"^width is 10: it must be a multiple of 4, the heads\.$"):
        CrossAttention(10, 6)
