"""Checks for chapter 09: tables, masked attention, the loss, positions, draws, a cache, memory."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gen_course.common.checks import Misconception, exercise, require, require_shape, same
from gen_course.common.properties import Arguments, agrees, call, learnt, repeatable, watched
from gen_lib.data.text import TextSet, load_text

LN2 = math.log(2)
FEATURES = "(n, places, d)"
Mistakes = Iterator[tuple[Tensor, str]]


@exercise
def check_bigram(bigram: Callable) -> str:
    """bigram(tokens, vocabulary, pseudo): the table p(b | a), (vocabulary, vocabulary).

    tokens (n,) are a text; ``pseudo`` > 0 is added to the count of every pair.
    """
    agrees(
        bigram,
        _bigram,
        _to_count,
        [(80, 5), (300, 9), (14, 12), (2, 3)],
        mistakes=_mistakes_of_tables,
        form="(vocabulary, vocabulary)",
        formula="Not (count of a b + pseudo) / (the sum of these over all b).",
    )
    return "each row counts what follows its token, and sums to 1."


def _counts(tokens: Tensor, vocabulary: int) -> Tensor:
    pairs = tokens[:-1] * vocabulary + tokens[1:]
    return torch.bincount(pairs, minlength=vocabulary**2).view(vocabulary, vocabulary).float()


def _bigram(tokens: Tensor, vocabulary: int, pseudo: float) -> Tensor:
    return _shares(_counts(tokens, vocabulary) + pseudo)


def _shares(counts: Tensor, dim: int = 1) -> Tensor:
    return counts / counts.sum(dim=dim, keepdim=True)


def _to_count(rng: Generator, n: int, vocabulary: int) -> Arguments:
    """A text with all tokens if it is long, in which the common ones come in a certain order."""
    common = torch.rand(n, generator=rng).square() * (vocabulary - 0.01)
    tokens = common.long()
    tokens[1::3] = (tokens[0:-1:3] + 1) % vocabulary
    if n > 2 * vocabulary:
        tokens[: 2 * vocabulary : 2] = torch.arange(vocabulary)
    return {"tokens": tokens, "vocabulary": vocabulary, "pseudo": 0.5}


def _mistakes_of_tables(tokens: Tensor, vocabulary: int, pseudo: float) -> Mistakes:
    count = _counts(tokens, vocabulary)
    c, plain, ones = count + pseudo, _shares(count), count.sum(dim=1, keepdim=True)
    exchanged = "Rows and columns are exchanged: row a holds what comes after a."
    yield _shares(c).T, exchanged
    yield _shares(c.T), exchanged
    yield (
        _shares(c, 0),
        "The columns sum to 1: divide each row by its own sum, for p(b | a) is given a.",
    )
    yield (
        c / c.sum(),
        "The whole table sums to 1: these are pairs, p(a, b). Divide each row by its own sum.",
    )
    yield c, "These are counts: divide each row by its sum."
    yield plain, "The pseudo-count is missing: a pair that was never seen would be impossible."
    for late in (plain + pseudo, _shares(plain + pseudo)):
        yield late, "The pseudo-count is added after the division: add it to the counts."
    yield (
        _shares(torch.where(count == 0, pseudo, count)),
        "Only pairs that were never seen get the pseudo-count: every pair gets it.",
    )
    half = "Rows do not sum to 1: the pseudo-count belongs into the sum of the row, too."
    for wrong in (c / ones, count / c.sum(dim=1, keepdim=True), c / (ones + pseudo)):
        yield wrong, half
    around = torch.cat([tokens, tokens[:1]])
    yield (
        _bigram(around, vocabulary, pseudo),
        "The first token is counted as if it followed the last one: a text has one pair less than "
        "tokens.",
    )
    yield (
        _shares((count > 0) + pseudo),
        "Each pair is counted once, however often it occurs: index_put_ needs accumulate=True.",
    )
    yield _shares(c).log(), "These are logarithms: return the probabilities."


@exercise
def check_causal_attention(causal_attention: Callable) -> str:
    """causal_attention(q, k, v): softmax(mask(Q K^T / sqrt(d))) V, (n, places, d) each."""
    case = _to_attend(torch.Generator().manual_seed(1), 2, 6, 16)
    got = call(causal_attention, {name: x.detach() for name, x in case.items()})
    require_shape(got, (2, 6, 16), FEATURES)
    empty = got.isnan().flatten(2).any(dim=2).any(dim=0)
    off = (
        "The mask is off by one: a place is hidden from itself, so the first place sees nothing. "
        "Place i sees the places up to i, itself included: triu(1) leaves the diagonal."
    )
    require(not (empty[0] and not empty[1:].any()), off)
    require(not empty.any(), "The result has nan: some softmax has only scores of -inf.")
    own = _mixed(case["q"], case["k"], case["v"], _seen(6, -1))[:, 1:].detach()
    require(not same(got[:, 1:], own), off)
    agrees(
        causal_attention,
        _causal,
        _to_attend,
        [(2, 6, 16), (3, 4, 9), (1, 11, 2), (4, 1, 5)],
        mistakes=_mistakes_of_attention,
        form=FEATURES,
        formula="Not softmax(mask(Q K^T / sqrt(d))) V.",
    )
    return "each place takes from itself and from the places before it, and from none after it."


def _seen(places: int, diagonal: int = 0) -> Tensor:
    return torch.ones(places, places, dtype=torch.bool).tril(diagonal)


def _mixed(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    """What is taken where ``seen`` (places, places) is True; places that see nothing get nan."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _mixed(q, k, v, _seen(q.shape[1]))


def _to_attend(rng: Generator, n: int, places: int, d: int) -> Arguments:
    return {name: learnt(torch.randn(n, places, d, generator=rng)) for name in "qkv"}


def _mistakes_of_attention(q: Tensor, k: Tensor, v: Tensor) -> Mistakes:
    places, d = q.shape[1:]
    raw, seen = q @ k.mT, _seen(places)
    axis = (
        "The softmax goes over the wrong axis: each place (row) shares out 1 among the places that "
        "it looks at (columns), so it goes over the last one."
    )
    for scores in (raw, raw / d**0.5, raw / d):
        masked = scores.masked_fill(~seen, -torch.inf)
        for wrong in (scores, masked):
            yield wrong.softmax(dim=-2) @ v, axis
        yield (
            scores.softmax(dim=-1).masked_fill(~seen, 0) @ v,
            "The mask comes after the softmax, and nothing is shared out again: the weights of a "
            "place no longer sum to 1. Put -inf in place of the scores before it.",
        )
        yield scores.softmax(dim=-1) @ v, "The mask is missing: every place reads the answer."
    yield (
        _mixed(q, k, v, _seen(places, 1)),
        "The mask is off by one: each place also sees the next one, which is what it has to guess.",
    )
    yield (
        _mixed(q, k, v, _seen(places).T),
        "The mask is the wrong way round: each place sees itself and the places after it.",
    )
    yield from _mistakes_of_scores(q, k, v, raw, seen)


def _mistakes_of_scores(q: Tensor, k: Tensor, v: Tensor, raw: Tensor, seen: Tensor) -> Mistakes:
    places, d = q.shape[1:]
    yield (
        (raw / d**0.5 * seen).softmax(dim=-1) @ v,
        "Later places have the score 0, which is no small score: exp(0) = 1. Use -inf.",
    )

    def scaled(factor: float | int) -> Tensor:
        return (raw * factor).masked_fill(~seen, -torch.inf).softmax(dim=-1) @ v

    yield scaled(1), "The scale is missing: divide the scores by sqrt(d)."
    yield scaled(1 / d), "The scores are divided by d: divide by its root."
    yield scaled(d**0.5), "The scores are multiplied by sqrt(d): divide by it."
    yield scaled(places**-0.5), "d is the length of a query, not the number of places."
    yield scaled(0), "All places count the same: the scores of Q and K are not used."
    yield _causal(k, q, v), "Queries and keys are exchanged: rows of the scores belong to queries."
    yield _causal(q, v, k), "Keys and values are exchanged: the key is compared, the value taken."


@exercise
def check_next_token_loss(next_token_loss: Callable) -> str:
    """next_token_loss(logits, tokens): the mean cross-entropy in bits per token, one number.

    logits (n, places, vocabulary), tokens (n, places): the logits at a place guess the next token.
    """
    large = _to_guess(torch.Generator().manual_seed(2), 2, 4, 3)
    agrees(
        next_token_loss,
        _loss,
        _to_guess,
        [(4, 6, 5), (3, 9, 7), (1, 2, 4)],
        extremes=[{**large, "logits": learnt(200 * large["logits"].detach())}],
        mistakes=_mistakes_of_losses,
        form="average over all guesses of the batch",
        formula="Not the mean of -log2 p(next token) over all rows and all places but the last.",
    )
    return "each place is charged for the token after it, in bits."


def _to_guess(rng: Generator, n: int, places: int, vocabulary: int) -> Arguments:
    logits = 2 * torch.randn(n, places, vocabulary, generator=rng)
    tokens = torch.randint(vocabulary, (n, places), generator=rng)
    return {"logits": learnt(logits), "tokens": tokens}


def _nats(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction=reduction)


def _loss(logits: Tensor, tokens: Tensor) -> Tensor:
    return _nats(logits[:, :-1], tokens[:, 1:]) / LN2


def _mistakes_of_losses(logits: Tensor, tokens: Tensor) -> Mistakes:
    n, places = tokens.shape
    read, guessed = logits[:, :-1], tokens[:, 1:]
    right, total = _nats(read, guessed), _nats(read, guessed, "sum")
    p = read.softmax(dim=-1)
    unshifted = (
        "The targets are not shifted: this charges each place for the token that it has just read. "
        "The logits at place i guess the token at place i + 1."
    )
    last = "The last place guesses a token of this batch: what follows it is not known, leave it."
    before = "The targets are shifted the wrong way: this charges for the token before."
    for base, unit in ((LN2, ""), (1.0, " They are also in nats: divide by log 2.")):
        yield _nats(logits, tokens) / base, unshifted + unit
        yield _nats(read, tokens[:, :-1]) / base, unshifted + unit
        yield _nats(logits[:, 1:], guessed) / base, unshifted + unit
        yield _nats(logits[:, 1:], tokens[:, :-1]) / base, before + unit
        yield _nats(logits, tokens.roll(1, 1)) / base, before + unit
        yield _nats(logits, tokens.roll(-1, 1)) / base, last + unit
        yield _nats(logits.flatten(0, 1)[:-1], tokens.flatten()[1:]) / base, last + unit
        for share in (total / n, total):
            yield share / base, "This sums over the places of a row: take the mean over all." + unit
        yield (
            total / (n * places) / base,
            f"A row of {places} tokens has {places - 1} guesses: divide by their number." + unit,
        )
        for twice in (p, p.log_softmax(dim=-1).exp()):
            yield (
                _nats(twice, guessed) / base,
                "cross_entropy gets probabilities: it takes the softmax itself, so give it logits.",
            )
        mean = p.gather(2, guessed[..., None]).mean()
        yield -mean.log() / base, "Take the logarithm of each probability, then the mean." + unit
    yield right, "This is in nats: divide by log 2 for bits."
    yield right * LN2, "This multiplies by log 2: one nat is 1.44 bits, so divide."
    yield -right / LN2, "The sign is wrong: -log2 p is positive."
    yield 2 ** (right / LN2), "This is the perplexity: return the bits themselves."


@exercise
def check_rotated_at(rotated_at: Callable) -> str:
    """rotated_at(x, start): rotary positions of the places start, start + 1, ...; (places, d).

    The point (x_j, x_(j + d/2)) of place m turns by the angle m * 10000^(-2j/d).
    """
    agrees(
        rotated_at,
        _rotated,
        _to_turn,
        [(6, 8, 5), (4, 2, 0), (9, 6, 17), (1, 12, 30)],
        mistakes=_mistakes_of_turns,
        form="(places, d)",
        formula="Not the point (x_j, x_(j + d/2)) of place m, turned by m * 10000^(-2j/d).",
    )
    return "each pair turns by its place times its speed, and the first place is start."


def _to_turn(rng: Generator, places: int, d: int, start: int) -> Arguments:
    return {"x": learnt(torch.randn(places, d, generator=rng)), "start": start}


def _angles(places: int, d: int, start: int) -> Tensor:
    speed = 10_000 ** (-torch.arange(0, d, 2) / d)
    return torch.arange(start, start + places)[:, None] * speed


def _turned(x: Tensor, angle: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def _rotated(x: Tensor, start: int) -> Tensor:
    places, d = x.shape
    return _turned(x, _angles(places, d, start))


def _mistakes_of_turns(x: Tensor, start: int) -> Mistakes:
    places, d = x.shape
    angle, (a, b) = _angles(places, d, start), x.chunk(2, dim=-1)
    sin, cos = angle.sin(), angle.cos()
    yield x, "The positions are missing: x comes back as it was."
    yield (
        _rotated(x, 0),
        "start is ignored: after a cache of some places, the first new place is not place 0.",
    )
    yield _turned(x, angle[:1]), "All places turn by the angle of the first one."
    yield _rotated(x, start + 1), "The first place is start, not start + 1."
    yield _rotated(x + start, 0), "start is added to the numbers of x: add it to the places."
    yield _turned(x, start * _angles(places, d, 0)), "start multiplies the place: it is added."
    for speed in (1.0, 1e-4):
        same_angle = _turned(x, angle[:, :1] * speed)
        yield same_angle, "All pairs turn equally fast: pair j has the speed 10000^(-2j/d)."
    yield (
        _turned(x, _angles(places, 2 * d, start)[:, : d // 2]),
        "The speeds are 10000^(-j/d): a vector has d/2 pairs, so it is 2j / d.",
    )
    yield (
        torch.cat([a * sin - b * cos, a * cos + b * sin], dim=-1),
        "Sine and cosine are exchanged: at place 0 the angle is 0, and nothing turns.",
    )
    yield _turned(x, -angle), "This turns the other way: (a cos - b sin, a sin + b cos)."
    yield (
        torch.cat([a * cos + b * sin, a * sin + b * cos], dim=-1),
        "This is no rotation, it changes lengths: the first number is a cos - b sin.",
    )
    halves = _turned(torch.cat([x[:, ::2], x[:, 1::2]], dim=-1), angle).chunk(2, dim=-1)
    mixed = "The pairs are (x_0, x_1), (x_2, x_3), ...: here x_j belongs to x_(j + d/2)."
    for wrong in (torch.stack(halves, dim=2).flatten(1), torch.cat(halves, dim=-1)):
        yield wrong, mixed
    first, second = _rotated(x, start).chunk(2, dim=-1)
    yield torch.stack([first, second], dim=2).flatten(1), "The numbers are in another order than x."
    yield torch.cat([second, first], dim=-1), "The two halves of the result are exchanged."


ROWS = 40_000  # draws of one distribution
NEAR = 0.02  # total variation between a distribution of 8 tokens and that many draws from it
LOGITS = torch.tensor([0.06, 0.25, 0.03, 0.4, 0.1, 0.01, 0.13, 0.02]).log()


@exercise
def check_draw_token(draw_token: Callable) -> str:
    """draw_token(logits, T, top_p, rng): one token for each row of logits (n, vocabulary); (n,).

    Divide the logits by T (at 0: the likeliest token), keep the fewest tokens whose probabilities
    sum to at least top_p, and draw from them.
    """
    drawing = watched(draw_token, "logits", "T", "top_p", "rng", random=True)

    def draw(T: float, top_p: float, rng: Generator | None = None) -> Tensor:
        rng = rng or torch.Generator().manual_seed(round(100 * T + top_p))
        return _tokens(_drawn(drawing, LOGITS.expand(ROWS, -1), T, top_p, rng), ROWS, len(LOGITS))

    got = draw(1.0, 1.0)
    require(len(got.unique()) > 1, "Every row gets the same token: draw one for each.")
    _require_from(got, LOGITS.softmax(0), [], "At T = 1 and top_p = 1, not drawn from the softmax.")
    repeatable(lambda rng: draw(1.0, 1.0, rng), "tokens")
    for T in (0.5, 2.0):
        mistakes = _mistakes_of_temperature(T)
        _require_from(draw(T, 1.0), _cut(T, 1.0), mistakes, f"T = {T}: not softmax(logits / T).")
    for top_p in (0.5, 0.7, 0.9, 0.01):
        mistakes = _mistakes_of_nuclei(top_p)
        why = f"top_p = {top_p}: not the fewest tokens whose probabilities sum to top_p or more."
        _require_from(draw(1.0, top_p), _cut(1.0, top_p), mistakes, why)
    late = [(_cut(1.0, 0.7, 2.0), "The cut comes before the temperature: it comes after it.")]
    _require_from(draw(2.0, 0.7), _cut(2.0, 0.7), late, "Wrong with both T = 2 and top_p = 0.7.")
    _check_rows(draw_token)
    return "sharpened by T, cut to the likeliest, drawn with rng; greedy at T = 0."


def _cut(T: float, top_p: float, then: float = 1.0) -> Tensor:
    """The distribution that is to be drawn from; ``then`` is a temperature after the cut."""
    p = (LOGITS / T).softmax(dim=0)
    ordered, order = p.sort(descending=True)
    kept = ordered * (ordered.cumsum(0) - ordered < top_p)
    kept = torch.zeros_like(p).scatter(0, order, kept ** (1 / then))
    return kept / kept.sum()


def _drawn(
    draw_token: Callable, logits: Tensor, T: float | int, top_p: float, rng: Generator
) -> Any:
    try:
        return draw_token(logits.clone(), T, top_p, rng)
    except (RuntimeError, ZeroDivisionError) as error:
        if isinstance(error, NotImplementedError):
            raise
        why = f"With T = {T} and top_p = {top_p} nothing can be drawn ({error})."
        if T == 0:
            why = "T = 0 divides by 0: take the likeliest token, which is the limit."
        elif top_p < 1:
            why += " The token that crosses top_p stays, so at least one is kept."
        raise Misconception(why) from None


def _tokens(got: Any, n: int, vocabulary: int) -> Tensor:
    require_shape(got, (n,), "(n,)")
    require(got.dtype == torch.int64, "The result must be numbers of tokens, of dtype int64.")
    require(bool(((got >= 0) & (got < vocabulary)).all()), "A number is outside of the vocabulary.")
    return got


def _require_from(
    got: Tensor, p: Tensor, mistakes: list[tuple[Tensor, str]], otherwise: str
) -> None:
    """Raise unless the tokens (n,) are drawn from p; name the mistake that fits them best."""
    found = torch.bincount(got, minlength=len(p)) / len(got)

    def off(q: Tensor) -> float:
        return float((found - q).abs().sum() / 2)

    if off(p) >= NEAR:
        best, why = min(mistakes, key=lambda m: off(m[0]), default=(p, otherwise))
        raise Misconception(why if off(best) < NEAR else otherwise)
    require(not found[p == 0].any(), otherwise)


def _mistakes_of_temperature(T: float) -> list[tuple[Tensor, str]]:
    p = LOGITS.softmax(0)
    return [
        (_cut(1 / T, 1.0), "The logits are multiplied by T: divide, so that a small T sharpens."),
        (p, "T has no effect: divide the logits by it, before the softmax."),
        ((p / T).softmax(0), "T divides the probabilities: it divides the logits."),
        ((p * T).softmax(0), "T multiplies the probabilities: it divides the logits."),
        (_cut(T**2, 1.0), "T is applied twice."),
        (_cut(T**0.5, 1.0), "This divides by the root of T: divide by T."),
    ]


def _mistakes_of_nuclei(top_p: float) -> list[tuple[Tensor, str]]:
    p = LOGITS.softmax(0)
    ordered, order = p.sort(descending=True)
    rising, back = p.sort()
    until = ordered.cumsum(0)

    def kept(mask: Tensor, order: Tensor = order) -> Tensor:
        part = p * torch.zeros(len(p)).scatter(0, order, mask.float())
        return part / part.sum().clamp(min=1e-9)

    side = "The cut is on the wrong side: this keeps the unlikely tokens."
    found = [
        (p, "Nothing is cut: top_p has no effect."),
        (kept(until - ordered >= top_p), side),
        (kept(until > top_p), side),
        (kept(rising.cumsum(0) - rising < top_p, back), side),
        (kept(rising.cumsum(0) <= top_p, back), side),
        (
            kept(until <= top_p),
            "The token that crosses top_p is dropped: what is kept must sum to top_p at least.",
        ),
        (
            kept(torch.cat([torch.ones(1) > 0, (until - ordered < top_p)[:-1]])),
            "One token too many is kept: stop with the token that crosses top_p.",
        ),
        (
            _shares(ordered * (until - ordered < top_p), 0),
            "This returns the rank of a token, not its number: undo the sorting.",
        ),
    ]
    right = _cut(1.0, top_p)
    return [(q, why) for q, why in found if float((q - right).abs().sum()) > 5 * NEAR]


def _check_rows(draw_token: Callable) -> None:
    """Other rows, other tokens; at T = 0 the likeliest one, whatever top_p."""
    rng = torch.Generator().manual_seed(8)
    for n, vocabulary in ((50, 8), (7, 30), (1, 2)):
        logits = 3 * torch.randn(n, vocabulary, generator=rng)
        for top_p in (1.0, 0.5):
            got = _drawn(draw_token, logits, 0, top_p, rng)
            greedy = same(_tokens(got, n, vocabulary), logits.argmax(1))
            require(greedy, "T = 0 is not greedy: take the likeliest token of each row.")
        sharp = 30 * F.one_hot(torch.randint(vocabulary, (n,), generator=rng), vocabulary)
        got = _drawn(draw_token, sharp.float(), 1.0, 0.9, rng)
        require(
            same(_tokens(got, n, vocabulary), sharp.argmax(1)),
            "Rows are mixed up: each row is cut and drawn by its own logits.",
        )


@exercise
def check_cached_step(cached_step: Callable) -> str:
    """cached_step(x, keys, values, query, key, value): what a new place takes, and a longer cache.

    x (n, d) is the new place, keys and values (n, places, d) are those of the places before, and
    query, key and value linear maps. Returns the output (n, d), then keys and values of one place
    more.
    """
    names = ("x", "keys", "values", "query", "key", "value")
    step = watched(cached_step, *names)
    for n, places, d in ((3, 5, 8), (2, 1, 6), (1, 9, 4), (2, 0, 3)):
        h, maps = torch.randn(n, places + 1, d), [nn.Linear(d, d) for _ in range(3)]
        with torch.no_grad():
            _check_one_step(step, h, maps)
            _check_steps(step, h, maps)
    return "the new place sees the cache and itself, and the cache keeps its key and its value."


def _check_one_step(step: Callable, h: Tensor, maps: list[nn.Linear]) -> None:
    """One step after all places but the last of h (n, places, d) are in the cache."""
    q, k, v = (to(h) for to in maps)
    n, places, d = h.shape
    got = step(h[:, -1].clone(), k[:, :-1].clone(), v[:, :-1].clone(), *maps)
    require(
        isinstance(got, tuple | list) and len(got) == 3,
        "Return three tensors: the output, the keys and the values.",
    )
    out, *kept = got
    require_shape(out, (n, d), "(n, d)")
    _check_cache(kept, h, [q, k, v])
    if places > 1:
        for wrong, why in _mistakes_of_steps(h, q, k, v):
            require(not same(out, wrong), why)
    right = _one(q[:, -1], k, v)
    require(same(out, right), "Not softmax(q K^T / sqrt(d)) V over the cache and the new place.")


def _one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What one query (n, d) takes from all keys and values (n, places, d)."""
    return _mixed(q[:, None], k, v, torch.ones(1, k.shape[1], dtype=torch.bool))[:, 0]


def _check_cache(kept: list[Tensor], h: Tensor, parts: list[Tensor]) -> None:
    """Keys and values of all places, the new one at the end or, both alike, at the beginning."""
    (n, places, d), (q, k, v) = h.shape, parts
    for name, of, right in zip(("keys", "values"), kept, (k, v), strict=True):
        require(isinstance(of, Tensor), f"The {name} must be a tensor.")
        old, new = right[:, :-1], right[:, -1:]
        if of.shape == old.shape and places > 1:
            require(not same(of, old), f"The {name} are not longer: append the new place.")
            over = torch.cat([old[:, :-1], new], dim=1)
            require(
                not same(of, over),
                f"The new place overwrites the last of the {name}: append it, keep them all.",
            )
            moved = torch.cat([old[:, 1:], new], dim=1)
            require(not same(of, moved), f"The oldest place has left the {name}: keep them all.")
        require_shape(of, (n, places, d), f"the {name}: (n, places + 1, d)")
    exchanged = "Keys and values are exchanged in the cache: return keys, then values."
    require(not (same(kept[0], v) and same(kept[1], k)), exchanged)
    front = [torch.cat([part[:, -1:], part[:, :-1]], dim=1) for part in (k, v)]
    at_end, at_front = (list(map(same, kept, pair)) for pair in ((k, v), front))
    if all(at_end) or all(at_front):
        return
    if all(end or begin for end, begin in zip(at_end, at_front, strict=True)):
        raise Misconception("Keys and values are in different orders: they must match.")
    for name, of, right, other in (("keys", kept[0], k, v), ("values", kept[1], v, k)):
        last = of[:, -1]
        if same(of, right):
            continue
        require(
            not same(last, h[:, -1]), f"x itself is kept: the {name} keep what the map makes of it."
        )
        require(not same(last, q[:, -1]), f"The query is kept among the {name}: nobody needs it.")
        wrong = "a value" if name == "keys" else "a key"
        require(not same(last, other[:, -1]), f"{wrong.capitalize()} is kept among the {name}.")
        require(same(of[:, :-1], right[:, :-1]), f"The earlier {name} are not as they were.")
    raise Misconception("The last place of the cache must be key(x) and value(x).")


def _mistakes_of_steps(h: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Mistakes:
    new, old = q[:, -1], slice(None, -1)
    yield (
        _one(new, k[:, old], v[:, old]),
        "The new place is not among those that it looks at: append its key and value first.",
    )
    yield v[:, -1], "The new place looks at itself alone: the cache is not used."
    yield v.mean(dim=1), "All places count the same: the scores of query and keys are not used."
    yield _one(new, v, k), "Keys and values are exchanged: the key is compared, the value taken."
    yield _one(h[:, -1], k, v), "The query is x itself: it is query(x)."
    yield _one(k[:, -1], k, v), "The query is the key of the new place: it is query(x)."
    yield _one(new * h.shape[2] ** 0.5, k, v), "The scale is missing: divide by sqrt(d)."
    yield _one(new, k, v) + h[:, -1], "x is added: here only what attention takes is asked for."
    over = [torch.cat([part[:, :-2], part[:, -1:]], dim=1) for part in (k, v)]
    yield _one(new, *over), "The last of the cache is overwritten: append the new place."


def _check_steps(step: Callable, h: Tensor, maps: list[nn.Linear]) -> None:
    """All places one by one, from an empty cache, give what one pass of masked attention gives."""
    q, k, v = (to(h) for to in maps)
    keys = values = h[:, :0]
    outs = []
    for place in range(h.shape[1]):
        out, keys, values = step(h[:, place].clone(), keys.clone(), values.clone(), *maps)
        outs.append(out)
    require(
        same(torch.stack(outs, dim=1), _causal(q, k, v)),
        "Step by step from an empty cache, the outputs are not those of masked attention.",
    )


REACHES = (4, 1)  # the letters that the networks of the experiment see
N_ROWS = 500  # of held-out names
ABOVE, SAVED = 0.1, 0.25  # bits: one letter costs at most that more than the table, four save this


@exercise
def check_limited(limited: Callable) -> str:
    """limited(names, reach): a network, trained, that sees ``reach`` letters at each place.

    It is a function of rows of letters (n, places), of any number of places up to 32, and gives
    logits (n, places, vocabulary). With one letter it must come within ``ABOVE`` bits of the
    bigram table; with four it must need at least ``SAVED`` bits less than with one.
    """
    names = load_text("names")
    x = names.test.batch(0, N_ROWS, seed=1).tokens
    bits, table = {}, _table_bits(names, x)
    for reach in REACHES:
        guess = limited(names, reach)
        require(callable(guess), "Return a function of rows of letters, such as the network.")
        with torch.no_grad():
            got = guess(x[:, :-1])
            vocabulary = len(names.tokeniser.tokens)
            require_shape(got, (N_ROWS, x.shape[1] - 1, vocabulary), "(n, places, vocabulary)")
            require(bool(got.isfinite().all()), "Not every logit is finite: lower the rate.")
            _check_reach(guess, x[:, :-1], reach, vocabulary)
            bits[reach] = float(_nats(got, x[:, 1:]) / LN2)
    told = f"{bits[1]:.2f} bits with one letter (the bigram table: {table:.2f})"
    told += f", {bits[4]:.2f} with four"
    require(
        bits[1] < table + ABOVE,
        f"{told}. One letter is all that the table sees, too: train for longer.",
    )
    require(
        bits[4] < bits[1] - SAVED,
        f"{told}. Four letters must save {SAVED} bits. Does the network know which of them stands "
        "where? Attention alone does not: give each distance a bias. Otherwise train for longer.",
    )
    return f"{told}."


def _table_bits(names: TextSet, x: Tensor) -> float:
    """Bits per letter that the bigram table of the training names needs for rows x."""
    vocabulary = len(names.tokeniser.tokens)
    table = _bigram(names.train.tokens, vocabulary, 0.01)
    return -float(table[x[:, :-1], x[:, 1:]].log2().mean())


def _check_reach(guess: Callable, x: Tensor, reach: int, vocabulary: int) -> None:
    """Raise unless place i of a row depends on the letters i - reach + 1 ... i, and on no more."""
    at, rows = 16, x[:64]
    other = rows.clone()
    other[:, at] = (other[:, at] + 1 + torch.arange(64) % (vocabulary - 1)) % vocabulary
    changed = ((guess(other) - guess(rows)).abs().amax(dim=(0, 2)) > 1e-4).tolist()
    require(not any(changed[:at]), "A place sees letters after it: the mask is missing or wrong.")
    last = max([place for place, does in enumerate(changed) if does], default=at - 1)
    seen = last - at + 1
    require(
        seen <= reach,
        f"A place sees {seen} letters in place of {reach}. If every block looks reach - 1 letters "
        "back, what a place got from its neighbours travels on: with B blocks it is "
        "B (reach - 1) + 1. Let one block look back, and the others only at their own place.",
    )
    require(
        all(changed[at : at + reach]),
        f"A place sees fewer letters than {reach}: its own letter is one of them.",
    )
    cut = guess(rows[:, 5:])[:, reach - 1 :]
    require(
        torch.allclose(cut, guess(rows)[:, 5 + reach - 1 :], atol=1e-3),
        "The same letters, five places further on, get other probabilities: the network knows the "
        "place in the row, and so how long the name is. That is memory of more letters than it "
        "sees. Tell it distances in place of places.",
    )
