"""Chapter 09's checks: right answers in any style pass, each classic mistake is named."""

import math
import re
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F
from torch.nn.functional import scaled_dot_product_attention

from gen_course.ch09_one_token_after_another import checks
from gen_course.ch09_one_token_after_another.checks import (
    check_bigram,
    check_cached_step,
    check_causal_attention,
    check_draw_token,
    check_limited,
    check_next_token_loss,
    check_rotated_at,
)
from gen_course.common.checks import Misconception
from gen_lib.data.text import load_text
from gen_lib.metrics.text import NGram
from gen_lib.models.transformer import probabilities
from gen_lib.nets import transformer


def stub(*_):
    raise NotImplementedError("stub")


@pytest.mark.parametrize(
    "check",
    [
        check_bigram,
        check_causal_attention,
        check_next_token_loss,
        check_rotated_at,
        check_draw_token,
        check_cached_step,
        check_limited,
    ],
)
def test_a_stub_is_not_attempted(check):
    assert not check(stub).attempted


# The table of pairs


def counts(tokens, vocabulary):
    c = torch.zeros(vocabulary, vocabulary)
    c.index_put_((tokens[:-1], tokens[1:]), torch.ones(len(tokens) - 1), accumulate=True)
    return c


def shares(c, dim=1):
    return c / c.sum(dim=dim, keepdim=True)


def bigram(tokens, vocabulary, pseudo):
    return shares(counts(tokens, vocabulary) + pseudo)


def pair_by_pair(tokens, vocabulary, pseudo):
    text = tokens.tolist()
    seen = Counter(pairwise(text))
    rows = []
    for a in range(vocabulary):
        row = [seen[a, b] + pseudo for b in range(vocabulary)]
        rows.append([number / sum(row) for number in row])
    return torch.tensor(rows)


RIGHT_TABLES = {"the formula": bigram, "pair by pair": pair_by_pair}
WRONG_TABLES = {
    "exchanged": (lambda t, n, s: shares(counts(t, n) + s).T, "Rows and columns are exchanged"),
    "backwards": (lambda t, n, s: bigram(t.flip(0), n, s), "Rows and columns are exchanged"),
    "columns": (lambda t, n, s: shares(counts(t, n) + s, 0), "The columns sum to 1"),
    "over all": (lambda t, n, s: shares(counts(t, n) + s, (0, 1)), "The whole table sums to 1"),
    "counts": (lambda t, n, s: counts(t, n) + s, "These are counts"),
    "no pseudo-count": (lambda t, n, s: shares(counts(t, n)), "pseudo-count is missing"),
    "added late": (lambda t, n, s: shares(counts(t, n)) + s, "after the division"),
    "added late, divided again": (
        lambda t, n, s: shares(shares(counts(t, n)) + s),
        "after the division",
    ),
    "unseen only": (
        lambda t, n, s: shares(torch.where(counts(t, n) == 0, s, counts(t, n))),
        "Only pairs that were never seen",
    ),
    "sum without it": (
        lambda t, n, s: (counts(t, n) + s) / counts(t, n).sum(1, keepdim=True),
        "Rows do not sum to 1",
    ),
    "around": (lambda t, n, s: bigram(torch.cat([t, t[:1]]), n, s), "followed the last one"),
    "rolled": (
        lambda t, n, s: shares(
            s + torch.bincount(t * n + t.roll(-1), minlength=n * n).view(n, n).float()
        ),
        "followed the last one",
    ),
    "once each": (lambda t, n, s: shares((counts(t, n) > 0) + s), "accumulate=True"),
    "logarithms": (lambda t, n, s: bigram(t, n, s).log(), "These are logarithms"),
    "another pseudo-count": (lambda t, n, s: bigram(t, n, 1.0), "Not \\(count"),
    "tokens that occur": (lambda t, n, s: bigram(t, int(t.max()) + 1, s), "made for one size"),
    "flat": (lambda t, n, s: bigram(t, n, s).flatten(), "tensor of shape"),
}


@pytest.mark.parametrize("function", RIGHT_TABLES.values(), ids=RIGHT_TABLES)
def test_right_tables_pass(function):
    assert check_bigram(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_wrong_tables_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_bigram(function)


# Masked attention


def scores(q, k):
    return q @ k.mT / q.shape[-1] ** 0.5


def below(s, diagonal=0):
    return torch.ones_like(s, dtype=torch.bool).tril(diagonal)


def attending(score=scores, seen=below, fill=-torch.inf, dim=-1):
    """Build a student's function; with the default arguments it is right."""

    def causal(q, k, v):
        s = score(q, k)
        return s.masked_fill(~seen(s), fill).softmax(dim=dim) @ v

    return causal


def place_by_place(q, k, v):
    rows = []
    for i in range(q.shape[1]):
        weights = (q[:, [i]] @ k[:, : i + 1].mT / q.shape[2] ** 0.5).softmax(dim=-1)
        rows.append(weights @ v[:, : i + 1])
    return torch.cat(rows, dim=1)


def renormalised(q, k, v):
    weights = scores(q, k).softmax(dim=-1).tril()
    return weights / weights.sum(dim=-1, keepdim=True) @ v


RIGHT_ATTENTION = {
    "the formula": attending(),
    "torch": lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True),
    "place by place": place_by_place,
    "a very small score": attending(fill=-1e9),
    "masked, then shared out again": renormalised,
}
WRONG_ATTENTION = {
    "itself hidden": (attending(seen=lambda s: below(s, -1)), "hidden from itself"),
    "itself hidden, small score": (
        attending(seen=lambda s: below(s, -1), fill=-1e9),
        "hidden from itself",
    ),
    "one ahead": (attending(seen=lambda s: below(s, 1)), "also sees the next one"),
    "wrong way round": (attending(seen=lambda s: below(s).mT), "wrong way round"),
    "no mask": (attending(seen=lambda s: below(s, 99)), "The mask is missing"),
    "no mask, no scale": (
        attending(lambda q, k: q @ k.mT, seen=lambda s: below(s, 99)),
        "The mask is missing",
    ),
    "axis": (attending(dim=-2), "wrong axis"),
    "axis, no scale": (attending(lambda q, k: q @ k.mT, dim=-2), "wrong axis"),
    "over the batch": (attending(dim=0), "nan"),
    "masked late": (
        lambda q, k, v: scores(q, k).softmax(dim=-1).tril() @ v,
        "mask comes after the softmax",
    ),
    "score 0": (attending(fill=0.0), "exp\\(0\\) = 1"),
    "no scale": (attending(lambda q, k: q @ k.mT), "The scale is missing"),
    "by d": (attending(lambda q, k: q @ k.mT / q.shape[-1]), "divided by d"),
    "times": (attending(lambda q, k: q @ k.mT * q.shape[-1] ** 0.5), "multiplied by sqrt"),
    "by the places": (
        attending(lambda q, k: q @ k.mT / q.shape[1] ** 0.5),
        "d is the length of a query",
    ),
    "a mean": (attending(lambda q, k: 0 * scores(q, k)), "All places count the same"),
    "queries and keys": (lambda q, k, v: attending()(k, q, v), "Queries and keys are exchanged"),
    "keys and values": (lambda q, k, v: attending()(q, v, k), "Keys and values are exchanged"),
    "weights": (
        lambda q, k, v: attending()(q, k, torch.eye(q.shape[1]).expand(len(q), -1, -1)),
        "tensor of shape",
    ),
    "a fixed size": (
        lambda q, k, v: attending(lambda q, k: q @ k.mT / 4)(q, k, v),
        "made for one size",
    ),
    "detached": (lambda q, k, v: attending()(q, k.detach(), v), "No gradient reaches k"),
}


@pytest.mark.parametrize("function", RIGHT_ATTENTION.values(), ids=RIGHT_ATTENTION)
def test_right_attention_passes(function):
    assert check_causal_attention(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_ATTENTION.values(), ids=WRONG_ATTENTION)
def test_wrong_attention_is_told_its_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_causal_attention(function)


# The loss


def nats(logits, tokens, **settings):
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), **settings)


def charged(
    charge=nats, read=slice(None, -1), guessed=slice(1, None), unit=lambda x: x / math.log(2)
):
    """Build a student's loss; with the default arguments it is right."""
    return lambda logits, tokens: unit(charge(logits[:, read], tokens[:, guessed]))


def by_hand(logits, tokens):
    log_p = logits.log_softmax(dim=2)[:, :-1].gather(2, tokens[:, 1:, None])
    return -(log_p / torch.tensor(2.0).log()).mean()


def transposed(logits, tokens):
    return F.cross_entropy(logits[:, :-1].mT, tokens[:, 1:]) * math.log2(math.e)


def of_probabilities(logits, tokens):
    p = logits.softmax(dim=2)[:, :-1].gather(2, tokens[:, 1:, None])
    return -p.log2().mean()


every, front, back = slice(None), slice(None, -1), slice(1, None)
RIGHT_LOSSES = {"the formula": charged(), "by hand": by_hand, "transposed": transposed}
WRONG_LOSSES = {
    "not shifted": (charged(read=every, guessed=every), "not shifted"),
    "not shifted, cut": (charged(guessed=front), "not shifted"),
    "not shifted, in nats": (charged(read=every, guessed=every, unit=lambda x: x), "also in nats"),
    "wrong way": (charged(read=back, guessed=front), "shifted the wrong way"),
    "rolled": (
        charged(lambda x, t: nats(x, t.roll(-1, 1)), read=every, guessed=every),
        "The last place guesses",
    ),
    "across rows": (
        lambda x, t: F.cross_entropy(x.flatten(0, 1)[:-1], t.flatten()[1:]) / math.log(2),
        "The last place guesses",
    ),
    "nats": (charged(unit=lambda x: x), "This is in nats"),
    "multiplied": (charged(unit=lambda x: x * math.log(2)), "multiplies by log 2"),
    "sums of rows": (
        charged(lambda x, t: nats(x, t, reduction="sum") / len(t)),
        "sums over the places",
    ),
    "sum": (charged(lambda x, t: nats(x, t, reduction="sum")), "sums over the places"),
    "sums of rows, in nats": (
        charged(lambda x, t: nats(x, t, reduction="sum") / len(t), unit=lambda x: x),
        "sums over the places.*nats",
    ),
    "by all places": (
        charged(lambda x, t: nats(x, t, reduction="sum") / (len(t) * (t.shape[1] + 1))),
        "has 5 guesses",
    ),
    "softmax twice": (
        charged(lambda x, t: nats(x.softmax(dim=-1), t)),
        "takes the softmax itself",
    ),
    "mean first": (
        charged(
            lambda x, t: -x.softmax(dim=-1).gather(2, t[..., None]).mean().log(),
        ),
        "logarithm of each probability",
    ),
    "sign": (charged(unit=lambda x: -x / math.log(2)), "The sign is wrong"),
    "perplexity": (charged(unit=torch.exp), "perplexity"),
    "softmax over places": (
        charged(lambda x, t: F.nll_loss(x.log_softmax(dim=1).flatten(0, 1), t.flatten())),
        "Not the mean",
    ),
    "each place": (charged(lambda x, t: nats(x, t, reduction="none")), "one number"),
    "overflow": (of_probabilities, "extreme"),
    "detached": (charged(lambda x, t: nats(x.detach(), t)), "No gradient reaches logits"),
}


@pytest.mark.parametrize("function", RIGHT_LOSSES.values(), ids=RIGHT_LOSSES)
def test_right_losses_pass(function):
    assert check_next_token_loss(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_LOSSES.values(), ids=WRONG_LOSSES)
def test_wrong_losses_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_next_token_loss(function)


# Rotary positions


def speeds(d):
    return 10_000 ** (-torch.arange(0, d, 2) / d)


def places(x, start):
    return torch.arange(start, start + len(x))[:, None]


def turning(
    angle=lambda x, start: places(x, start) * speeds(x.shape[1]),
    turn=lambda a, b, angle: (
        a * angle.cos() - b * angle.sin(),
        a * angle.sin() + b * angle.cos(),
    ),
):
    """Build a student's function; with the default arguments it is right."""
    return lambda x, start: torch.cat(turn(*x.chunk(2, dim=1), angle(x, start)), dim=1)


def complex_numbers(x, start):
    a, b = x.chunk(2, dim=1)
    angle = places(x, start) * speeds(x.shape[1])
    turned = torch.complex(a, b) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([turned.real, turned.imag], dim=1)


def later_of_many(x, start):
    """Turn a longer row from place 0 on, and keep its end."""
    padded = torch.cat([torch.zeros(start, x.shape[1]), x])
    return turning()(padded, 0)[start:]


def interleaved(x, start):
    a, b = x[:, ::2], x[:, 1::2]
    angle = places(x, start) * speeds(x.shape[1])
    return torch.stack(
        [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=2
    ).flatten(1)


RIGHT_TURNS = {
    "the formula": turning(),
    "the library": lambda x, start: transformer.rotated(x[None, None], start)[0, 0],
    "complex numbers": complex_numbers,
    "the end of a longer row": later_of_many,
}
WRONG_TURNS = {
    "no positions": (lambda x, start: x.clone(), "positions are missing"),
    "start ignored": (lambda x, start: turning()(x, 0), "start is ignored"),
    "one place": (
        turning(lambda x, start: torch.full((len(x), 1), start) * speeds(x.shape[1])),
        "angle of the first",
    ),
    "off by one": (lambda x, start: turning()(x, start + 1), "not start \\+ 1"),
    "added to x": (lambda x, start: turning()(x + start, 0), "add it to the places"),
    "multiplied": (
        turning(lambda x, start: start * places(x, 0) * speeds(x.shape[1])),
        "start multiplies",
    ),
    "one speed": (
        turning(lambda x, start: places(x, start) * torch.ones(x.shape[1] // 2)),
        "equally fast",
    ),
    "half the speeds": (
        turning(lambda x, start: places(x, start) * speeds(2 * x.shape[1])[: x.shape[1] // 2]),
        "2j / d",
    ),
    "sine and cosine": (
        turning(
            turn=lambda a, b, t: (a * t.sin() - b * t.cos(), a * t.cos() + b * t.sin()),
        ),
        "Sine and cosine are exchanged",
    ),
    "the other way": (
        turning(
            turn=lambda a, b, t: (a * t.cos() + b * t.sin(), b * t.cos() - a * t.sin()),
        ),
        "turns the other way",
    ),
    "no minus": (
        turning(
            turn=lambda a, b, t: (a * t.cos() + b * t.sin(), a * t.sin() + b * t.cos()),
        ),
        "no rotation",
    ),
    "neighbours": (interleaved, "The pairs are"),
    "halves": (
        turning(
            turn=lambda a, b, t: (a * t.sin() + b * t.cos(), a * t.cos() - b * t.sin()),
        ),
        "halves of the result",
    ),
    "added": (
        lambda x, start: x + (places(x, start) * speeds(2 * x.shape[1])).sin(),
        "Not the point",
    ),
    "one width": (turning(lambda x, start: places(x, start) * speeds(8)), "shape|size"),
    "in place": (lambda x, start: x.copy_(turning()(x, start)), "changed in place"),
    "detached": (lambda x, start: turning()(x.detach(), start), "No gradient reaches x"),
}


@pytest.mark.parametrize("function", RIGHT_TURNS.values(), ids=RIGHT_TURNS)
def test_right_rotations_pass(function):
    assert check_rotated_at(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_TURNS.values(), ids=WRONG_TURNS)
def test_wrong_rotations_are_told_their_mistake(function, words):
    with pytest.raises((Misconception, RuntimeError), match=words):
        check_rotated_at(function)


# Draws


def nucleus(p, top_p, kept=lambda until, own, top_p: until - own < top_p, descending=True):
    ordered, order = p.sort(dim=1, descending=descending)
    stay = kept(ordered.cumsum(dim=1), ordered, top_p)
    return torch.zeros_like(p).scatter(1, order, ordered * stay)


def drawing(
    temper=lambda logits, T: (logits / T).softmax(dim=1),
    cut=nucleus,
    draw=lambda p, rng: torch.multinomial(p, 1, generator=rng)[:, 0],
    greedy=lambda logits: logits.argmax(dim=1),
):
    """Build a student's function; with the default arguments it is right."""

    def draw_token(logits, T, top_p, rng):
        if T == 0 and greedy:
            return greedy(logits)
        return draw(cut(temper(logits, T), top_p), rng)

    return draw_token


def by_inversion(p, rng):
    until = p.cumsum(dim=1)
    u = torch.rand(len(p), 1, generator=rng) * until[:, -1:]
    return (until <= u).sum(dim=1).clamp(max=p.shape[1] - 1)


def without_sum(p, rng):
    """Draw by inversion without sharing out again what the cut took away."""
    u = torch.rand(len(p), 1, generator=rng)
    return (p.cumsum(dim=1) < u).sum(dim=1).clamp(max=p.shape[1] - 1)


def by_gumbel(logits, T, top_p, rng):
    p = cut_rows(logits, max(T, 1e-4), top_p)
    noise = -torch.empty_like(p).exponential_(generator=rng).log()
    return (p.log() + noise).argmax(dim=1)


def cut_rows(logits, T, top_p):
    return nucleus((logits / T).softmax(dim=1), top_p)


def ranks(p, top_p):
    ordered = p.sort(dim=1, descending=True).values
    return ordered * (ordered.cumsum(dim=1) - ordered < top_p)


def before_temperature(logits, T, top_p, rng):
    if T == 0:
        return logits.argmax(dim=1)
    kept = nucleus(logits.softmax(dim=1), top_p) > 0
    p = (logits.masked_fill(~kept, -torch.inf) / T).softmax(dim=1)
    return torch.multinomial(p, 1, generator=rng)[:, 0]


RIGHT_DRAWS = {
    "the formula": drawing(),
    "inversion": drawing(draw=by_inversion),
    "gumbel, a small T for 0": by_gumbel,
    "the library": lambda logits, T, top_p, rng: torch.multinomial(
        probabilities(logits, T, 0, top_p), 1, generator=rng
    )[:, 0],
}
WRONG_DRAWS = {
    "multiplied": (
        drawing(lambda logits, T: (logits * T).softmax(dim=1)),
        "multiplied by T",
    ),
    "no temperature": (drawing(lambda logits, T: logits.softmax(dim=1)), "T has no effect"),
    "after the softmax": (
        drawing(lambda logits, T: (logits.softmax(dim=1) / T).softmax(dim=1)),
        "not drawn from the softmax",
    ),
    "probabilities divided": (
        drawing(lambda logits, T: logits.softmax(dim=1) / T, cut=lambda p, top_p: p),
        "T has no effect",
    ),
    "squared": (drawing(lambda logits, T: (logits / T**2).softmax(dim=1)), "applied twice"),
    "unlikely ones": (
        drawing(cut=lambda p, top_p: nucleus(p, top_p, descending=False)),
        "wrong side",
    ),
    "the rest": (
        drawing(
            cut=lambda p, top_p: (
                p if top_p == 1 else nucleus(p, top_p, lambda until, own, t: until > t)
            )
        ),
        "wrong side",
    ),
    "crossing dropped": (
        drawing(
            cut=lambda p, top_p: (
                p if top_p == 1 else nucleus(p, top_p, lambda until, own, t: until <= t)
            )
        ),
        "crosses top_p is dropped",
    ),
    "one too many": (
        drawing(
            cut=lambda p, top_p: nucleus(
                p,
                top_p,
                lambda until, own, t: F.pad((until - own < t)[:, :-1], (1, 0), value=True),
            )
        ),
        "One token too many",
    ),
    "no cut": (drawing(cut=lambda p, top_p: p), "Nothing is cut"),
    "ranks": (drawing(cut=ranks), "not drawn from the softmax"),
    "ranks where cut": (
        drawing(cut=lambda p, top_p: p if top_p == 1 else ranks(p, top_p)),
        "the rank of a token",
    ),
    "own probability": (
        drawing(cut=lambda p, top_p: p if top_p == 1 else p * (p >= 1 - top_p)),
        "crosses top_p stays",
    ),
    "not renormalised": (drawing(draw=without_sum), "top_p = 0.5: not the fewest"),
    "cut first": (before_temperature, "cut comes before the temperature"),
    "not greedy": (drawing(greedy=None), "T = 0 divides by 0"),
    "T = 0 is 1": (
        lambda logits, T, top_p, rng: drawing()(logits, T or 1.0, top_p, rng),
        "not greedy",
    ),
    "T = 0, the unlikeliest": (drawing(greedy=lambda logits: logits.argmin(dim=1)), "not greedy"),
    "always greedy": (lambda logits, T, top_p, rng: logits.argmax(dim=1), "has not moved"),
    "no rng": (drawing(draw=lambda p, rng: torch.multinomial(p, 1)[:, 0]), "has not moved"),
    "first row's": (
        drawing(
            draw=lambda p, rng: torch.multinomial(p[0], len(p), replacement=True, generator=rng)
        ),
        "Rows are mixed up",
    ),
    "one for all": (
        drawing(draw=lambda p, rng: torch.multinomial(p[:1], 1, generator=rng)[0].expand(len(p))),
        "Every row gets the same token",
    ),
    "a column": (
        drawing(draw=lambda p, rng: torch.multinomial(p, 1, generator=rng)),
        "tensor of shape",
    ),
    "floats": (drawing(draw=lambda p, rng: by_inversion(p, rng).float()), "dtype int64"),
}


@pytest.mark.parametrize("function", RIGHT_DRAWS.values(), ids=RIGHT_DRAWS)
def test_right_draws_pass(function):
    assert check_draw_token(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_DRAWS.values(), ids=WRONG_DRAWS)
def test_wrong_draws_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_draw_token(function)


# A cache


def append(cache, new):
    return torch.cat([cache, new[:, None]], dim=1)


def prepend(cache, new):
    return torch.cat([new[:, None], cache], dim=1)


def overwrite(cache, new):
    return append(cache[:, :-1], new)


def look(q, k, v):
    return scaled_dot_product_attention(q[:, None], k, v)[:, 0]


def stepping(add=append, add_value=None, out=look, keep=lambda x, q, k, v: (k, v), seen=None):
    """Build a student's function; with the default arguments it is right.

    ``keep`` says what of the new place goes into the cache, ``seen`` how it looks at the cache.
    """

    def step(x, keys, values, query, key, value):
        q, k, v = query(x), key(x), value(x)
        new_k, new_v = keep(x, q, k, v)
        longer = add(keys, new_k), (add_value or add)(values, new_v)
        looked = seen(keys, values, k, v) if seen else longer
        return out(q, *looked), *longer

    return step


def one_by_one(x, keys, values, query, key, value):
    keys, values = append(keys, key(x)), append(values, value(x))
    powers = torch.exp((keys * query(x)[:, None]).sum(dim=2) / x.shape[1] ** 0.5)
    out = (powers[..., None] * values).sum(dim=1) / powers.sum(dim=1, keepdim=True)
    return [out, keys, values]


def appended(keys, values, k, v):
    return append(keys, k), append(values, v)


RIGHT_STEPS = {
    "the formula": stepping(),
    "by hand": one_by_one,
    "new ones first": stepping(prepend),
    "tensors of its own": lambda x, keys, values, *maps: stepping()(
        x, keys.clone(), values.clone(), *maps
    ),
}
WRONG_STEPS = {
    "overwritten": (stepping(overwrite), "overwrites the last"),
    "overwritten, output right": (stepping(overwrite, seen=appended), "overwrites the last"),
    "not appended": (stepping(lambda cache, new: cache, seen=appended), "not longer"),
    "oldest dropped": (stepping(lambda cache, new: append(cache[:, 1:], new)), "oldest place"),
    "new one not seen": (
        stepping(
            seen=lambda keys, values, k, v: (
                (keys, values) if keys.shape[1] else appended(keys, values, k, v)
            )
        ),
        "not among those",
    ),
    "itself alone": (stepping(seen=lambda keys, values, k, v: (k[:, None], v[:, None])), "alone"),
    "exchanged": (
        lambda x, keys, values, query, key, value: (
            look(query(x), append(keys, key(x)), append(values, value(x))),
            append(values, value(x)),
            append(keys, key(x)),
        ),
        "Keys and values are exchanged in the cache",
    ),
    "keys among values": (
        stepping(keep=lambda x, q, k, v: (k, k), seen=appended),
        "A key is kept among the values",
    ),
    "values among keys": (
        stepping(keep=lambda x, q, k, v: (v, v), seen=appended),
        "A value is kept among the keys",
    ),
    "query": (stepping(keep=lambda x, q, k, v: (q, v), seen=appended), "The query is kept"),
    "x": (stepping(keep=lambda x, q, k, v: (x, x), seen=appended), "x itself is kept"),
    "different orders": (stepping(append, prepend), "in different orders"),
    "no scale": (
        stepping(out=lambda q, k, v: look(q * q.shape[1] ** 0.5, k, v)),
        "The scale is missing",
    ),
    "a mean": (stepping(out=lambda q, k, v: v.mean(dim=1)), "All places count the same"),
    "compared with values": (stepping(out=lambda q, k, v: look(q, v, k)), "the key is compared"),
    "x asks": (
        lambda x, keys, values, query, key, value: stepping()(
            x, keys, values, lambda x: x, key, value
        ),
        "The query is x itself",
    ),
    "output alone": (lambda *a: stepping()(*a)[0], "Return three tensors"),
    "a place more": (lambda *a: (stepping()(*a)[0][:, None], *stepping()(*a)[1:]), "shape"),
    "by the first": (
        stepping(out=lambda q, k, v: look(q, k.flip(1), v)),
        "Not softmax",
    ),
    "in place": (
        lambda x, keys, values, *maps: stepping()(x, keys.mul_(1.5), values, *maps),
        "changed in place",
    ),
}


@pytest.mark.parametrize("function", RIGHT_STEPS.values(), ids=RIGHT_STEPS)
def test_right_steps_pass(function):
    assert check_cached_step(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_wrong_steps_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_cached_step(function)


# How far it sees: counts stand for networks that are trained


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """Fewer names than a reader's network is measured on: n-grams are slow here."""
    monkeypatch.setattr(checks, "N_ROWS", 100)


@pytest.fixture(scope="module")
def ngram():
    """Logits (n, places, vocabulary) of rows, from the last letters; each string is asked once."""
    names = load_text("names")
    model = NGram(names.train.tokens, len(names.tokeniser.tokens), 6)

    @cache
    def after(letters):
        return model.next(torch.tensor(letters)).float().log()

    def guess(x, reach):
        seen = [
            tuple(row[max(0, i + 1 - reach) : i + 1]) for row in x.tolist() for i in range(len(row))
        ]
        number = {letters: n for n, letters in enumerate(dict.fromkeys(seen))}
        table = torch.stack([after(letters) for letters in number])
        return table[torch.tensor([number[letters] for letters in seen]).view(x.shape)]

    return guess


def limited(ngram, sees=lambda reach: reach, change=lambda logits, x, reach: logits):
    """Build a student's function; with the default arguments it is right."""
    return lambda data, reach: lambda x: change(ngram(x, sees(reach)), x, reach)


def by_place(logits, x, reach):
    return logits + 0.01 * torch.arange(logits.shape[1])[:, None] * torch.arange(logits.shape[2])


def peeking(logits, x, reach):
    return torch.cat([logits[:, 1:], logits[:, -1:]], dim=1)


WRONG_LIMITED = {
    "one more": ({"sees": lambda reach: reach + 1}, "sees 5 letters in place of 4.*B blocks"),
    "too few": ({"sees": lambda reach: reach - 1}, "fewer letters than 4"),
    "ahead": ({"change": peeking}, "letters after it"),
    "by the place": ({"change": by_place}, "knows the place"),
    "not trained": ({"change": lambda logits, x, reach: 0.1 * logits}, "table sees, too"),
    "a shape": ({"change": lambda logits, x, reach: logits.mT}, "tensor of shape"),
    "diverged": ({"change": lambda logits, x, reach: logits * torch.nan}, "Not every logit"),
}


def test_a_network_that_sees_what_it_may_passes(ngram):
    said = check_limited(limited(ngram)).message
    assert re.search(r"3\.\d\d bits with one letter", said)


@pytest.mark.parametrize(("parts", "words"), WRONG_LIMITED.values(), ids=WRONG_LIMITED)
def test_wrong_networks_are_told_their_mistake(ngram, parts, words):
    with pytest.raises(Misconception, match=words):
        check_limited(limited(ngram, **parts))


def test_four_letters_must_be_worth_more_than_one(ngram):
    """This network sees four letters, but hardly uses the last three."""

    def mostly_one(data, reach):
        return lambda x: ngram(x, 1) + 0.01 * ngram(x, reach)

    with pytest.raises(Misconception, match="which of them stands where"):
        check_limited(mostly_one)


def test_a_network_is_a_function(ngram):
    with pytest.raises(Misconception, match="Return a function"):
        check_limited(lambda data, reach: torch.zeros(3))
