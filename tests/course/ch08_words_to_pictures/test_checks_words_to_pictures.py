"""Chapter 08's checks: right answers in any style pass, each classic mistake is named."""

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from gen_course.ch08_words_to_pictures import checks
from gen_course.ch08_words_to_pictures.checks import (
    check_attention_weights,
    check_cross_attention,
    check_hidden,
    check_in_order,
    check_scaled,
    check_try_on,
    colour_words,
)
from gen_course.common.checks import Misconception
from gen_lib.data.people import KINDS, load_people
from gen_lib.data.people.words import nothing
from gen_lib.metrics import psnr
from gen_lib.models import TextToImage
from gen_lib.models.base import in_batches
from gen_lib.nets import attention
from gen_lib.training.checkpoints import load_pretrained


def stub(*_):
    raise NotImplementedError("stub")


@pytest.mark.parametrize(
    "check",
    [
        check_attention_weights,
        check_cross_attention,
        check_hidden,
        check_scaled,
        check_try_on,
        check_in_order,
    ],
)
def test_a_stub_is_not_attempted(check):
    assert not check(stub).attempted


# The weights of attention


def scores(q, k):
    return q @ k.mT / q.shape[-1] ** 0.5


def masked(s, seen):
    return s.masked_fill(~seen[:, None], -torch.inf)


def weights(q, k, seen):
    return masked(scores(q, k), seen).softmax(dim=-1)


def by_hand(q, k, seen):
    powers = torch.exp(torch.einsum("npd,nwd->npw", q, k) / q.shape[2] ** 0.5) * seen[:, None]
    return powers / powers.sum(dim=2, keepdim=True)


def unit_values(q, k, seen):
    """The weights are what is taken if each word's value is a unit vector."""
    units = torch.eye(k.shape[1]).expand(len(k), -1, -1)
    return scaled_dot_product_attention(q, k, units, seen[:, None])


RIGHT_WEIGHTS = {
    "the formula": weights,
    "by hand": by_hand,
    "torch": unit_values,
    "the library": lambda q, k, seen: attention.attention_weights(q, k, seen[:, None]),
    "a very small score": lambda q, k, seen: (
        scores(q, k) - 1e9 * (~seen[:, None]).float()
    ).softmax(dim=-1),
    "masked, then shared out again": lambda q, k, seen: nn.functional.normalize(
        scores(q, k).softmax(dim=-1) * seen[:, None], p=1, dim=-1
    ),
}
WRONG_WEIGHTS = {
    "over the places": (
        lambda q, k, seen: (scores(q, k) * seen[:, None]).softmax(dim=1),
        "goes over the places",
    ),
    "over the places, masked": (
        lambda q, k, seen: masked(scores(q, k), seen).softmax(dim=1),
        "goes over the places",
    ),
    "over the places, no scale": (
        lambda q, k, seen: (q @ k.mT).softmax(dim=1),
        "goes over the places",
    ),
    "over the batch": (lambda q, k, seen: scores(q, k).softmax(dim=0), "sentences of the batch"),
    "no softmax": (lambda q, k, seen: scores(q, k), "These are scores"),
    "no scale": (lambda q, k, seen: masked(q @ k.mT, seen).softmax(dim=-1), "The scale is missing"),
    "by d": (
        lambda q, k, seen: masked(q @ k.mT / q.shape[-1], seen).softmax(dim=-1),
        "divided by d: their standard deviation",
    ),
    "times the root": (
        lambda q, k, seen: masked(q @ k.mT * q.shape[-1] ** 0.5, seen).softmax(dim=-1),
        "multiplied by sqrt",
    ),
    "scaled afterwards": (
        lambda q, k, seen: masked(q @ k.mT, seen).softmax(dim=-1) / q.shape[-1] ** 0.5,
        "before the softmax, not after",
    ),
    "by the places": (
        lambda q, k, seen: masked(q @ k.mT / q.shape[1] ** 0.5, seen).softmax(dim=-1),
        "d is the length of a query",
    ),
    "by the words": (
        lambda q, k, seen: masked(q @ k.mT / k.shape[1] ** 0.5, seen).softmax(dim=-1),
        "d is the length of a query",
    ),
    "padding": (lambda q, k, seen: scores(q, k).softmax(dim=-1), "Padding is attended to"),
    "masked late": (
        lambda q, k, seen: scores(q, k).softmax(dim=-1) * seen[:, None],
        "no longer sum to 1",
    ),
    "score 0": (
        lambda q, k, seen: (scores(q, k) * seen[:, None]).softmax(dim=-1),
        "exp\\(0\\) = 1",
    ),
    "the first sentence's": (
        lambda q, k, seen: weights(q, k, seen[:1].expand(seen.shape)),
        "first sentence's padding",
    ),
    "the other way round": (
        lambda q, k, seen: weights(q, k, ~seen if not seen.all() else seen),
        "Only padding",
    ),
    "the other way round, always": (lambda q, k, seen: weights(q, k, ~seen), "Not softmax"),
    "flat": (lambda q, k, seen: weights(q, k, seen).flatten(1), "tensor of shape"),
    "detached": (lambda q, k, seen: weights(q.detach(), k, seen), "No gradient reaches q"),
}


@pytest.mark.parametrize("function", RIGHT_WEIGHTS.values(), ids=RIGHT_WEIGHTS)
def test_right_weights_pass(function):
    assert check_attention_weights(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS)
def test_wrong_weights_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_attention_weights(function)


# Cross-attention


def attend(q, k, v, seen):
    return weights(q, k, seen) @ v


def crossed(h, words, seen, query, key, value):
    return attend(query(h), key(words), value(words), seen)


RIGHT_CROSSED = {
    "the formula": crossed,
    "torch": lambda h, w, seen, query, key, value: scaled_dot_product_attention(
        query(h), key(w), value(w), seen[:, None]
    ),
    "place by place": lambda h, w, seen, query, key, value: torch.stack(
        [attend(query(h[:, [p]]), key(w), value(w), seen)[:, 0] for p in range(h.shape[1])], dim=1
    ),
}
WRONG_CROSSED = {
    "keys and values": (
        lambda h, w, seen, query, key, value: attend(query(h), value(w), key(w), seen),
        "exchanged: the key",
    ),
    "queries of words": (
        lambda h, w, seen, query, key, value: attend(query(w), key(h), value(h), seen),
        "queries come from the words",
    ),
    "words among themselves": (
        lambda h, w, seen, query, key, value: attend(query(w), key(w), value(w), seen),
        "queries come from the words",
    ),
    "places among themselves": (
        lambda h, w, seen, query, key, value: attend(query(h), key(h), value(h), seen),
        "self-attention",
    ),
    "h added": (lambda h, *rest: h + crossed(h, *rest), "h is added"),
    "no values": (
        lambda h, w, seen, query, key, value: attend(query(h), key(w), w, seen),
        "values are the words themselves",
    ),
    "values of places": (
        lambda h, w, seen, query, key, value: attend(query(h), key(w), value(h), seen),
        "values come from the places",
    ),
    "no queries": (
        lambda h, w, seen, query, key, value: attend(h, key(w), value(w), seen),
        "queries are h itself",
    ),
    "no keys": (
        lambda h, w, seen, query, key, value: attend(query(h), w, value(w), seen),
        "keys are the words themselves",
    ),
    "transposed": (
        lambda h, w, seen, query, key, value: weights(query(h), key(w), seen).mT @ value(w),
        "transposed",
    ),
    "a mean": (
        lambda h, w, seen, query, key, value: value(w).mean(1, keepdim=True).expand_as(h),
        "All words count the same",
    ),
    "padding": (
        lambda h, w, seen, *maps: crossed(h, w, torch.ones_like(seen), *maps),
        "Padding is attended to",
    ),
    "no scale": (
        lambda h, w, seen, query, key, value: (
            masked(query(h) @ key(w).mT, seen).softmax(dim=-1) @ value(w)
        ),
        "Not softmax",
    ),
    "a picture": (lambda h, *rest: crossed(h, *rest).mT, "tensor of shape"),
    "detached": (lambda h, *rest: crossed(h.detach(), *rest), "No gradient reaches h"),
}


@pytest.mark.parametrize("function", RIGHT_CROSSED.values(), ids=RIGHT_CROSSED)
def test_right_cross_attention_passes(function):
    assert check_cross_attention(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_CROSSED.values(), ids=WRONG_CROSSED)
def test_wrong_cross_attention_is_told_its_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_cross_attention(function)


# Sentences that are hidden


def hiding(
    draw=lambda c, rng: torch.rand(len(c), 1, generator=rng),
    into=nothing,
    hide=lambda u, share: u < share,
):
    """Build a student's function; with the default arguments it is right."""
    return lambda c, share, rng: torch.where(hide(draw(c, rng), share), into(c), c)


def row_by_row(c, share, rng):
    got = c.clone()
    for k in range(len(c)):
        if torch.rand((), generator=rng) < share:
            got[k] = 0
            got[k, 0] = 1
    return got


def in_place(c, share, rng):
    c[torch.rand(len(c), generator=rng) < share] = nothing(c[:1])
    return c


RIGHT_HIDDEN = {
    "a draw for each": hiding(),
    "row by row": row_by_row,
    "bernoulli": lambda c, share, rng: torch.where(
        torch.bernoulli(torch.full((len(c), 1), share), generator=rng).bool(), nothing(c), c
    ),
}
WRONG_HIDDEN = {
    "nothing hidden": (lambda c, share, rng: c.clone(), "Nothing is hidden"),
    "all hidden": (lambda c, share, rng: nothing(c), "Every sentence is hidden"),
    "same for all": (
        hiding(draw=lambda c, rng: torch.rand(1, 1, generator=rng)),
        "One draw decides for the whole batch",
    ),
    "single words": (
        hiding(draw=lambda c, rng: torch.rand(c.shape, generator=rng)),
        "Single words are hidden",
    ),
    "single words, with padding": (
        hiding(draw=lambda c, rng: torch.rand(c.shape, generator=rng), into=torch.zeros_like),
        "Single words are hidden|all padding",
    ),
    "padding": (hiding(into=torch.zeros_like), "Hidden sentences are all padding"),
    "nothing everywhere": (hiding(into=torch.ones_like), "the number 1 once, then 0"),
    "the other part": (hiding(hide=lambda u, share: u > share), "the part to hide"),
    "too many": (hiding(hide=lambda u, share: u < 0.5), "in place of 20%"),
    "another's sentence": (hiding(into=lambda c: c.flip(0)), "Sentences are mixed up|Single words"),
    "the first part": (
        lambda c, share, rng: hiding(draw=lambda c, rng: torch.arange(len(c))[:, None] / len(c))(
            c, share, rng
        ),
        "has not moved",
    ),
    "no rng": (hiding(draw=lambda c, rng: torch.rand(len(c), 1)), "has not moved"),
    "the same draw": (
        hiding(draw=lambda c, rng: torch.rand(len(c), 1, generator=rng.manual_seed(4))),
        "has not moved|draw anew|use rng",
    ),
    "never the first": (
        hiding(
            draw=lambda c, rng: (
                torch.rand(len(c), 1, generator=rng) + (torch.arange(len(c)) < 9)[:, None]
            )
        ),
        "never hidden",
    ),
    "floats": (lambda *a: hiding()(*a).float(), "dtype int64"),
    "chosen rows": (lambda c, share, rng: c[torch.rand(len(c), generator=rng) > share], "shape"),
    "in place": (in_place, "changed in place"),
}


@pytest.mark.parametrize("function", RIGHT_HIDDEN.values(), ids=RIGHT_HIDDEN)
def test_right_hiding_passes(function):
    assert check_hidden(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_HIDDEN.values(), ids=WRONG_HIDDEN)
def test_wrong_hiding_is_told_its_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_hidden(function)


# Codes of mean 0 and variance 1


def moments(z, over=(0, 2, 3)):
    return z.mean(dim=over, keepdim=True), z.std(dim=over, keepdim=True)


def scaling(
    to_unit=lambda z, mean, std: (z - mean) / std,
    back=lambda z, mean, std: z * std + mean,
    over=(0, 2, 3),
):
    """Build a student's function; with the default arguments it is right."""

    def scaled(z_train):
        mean, std = moments(z_train, over)
        return (lambda z: to_unit(z, mean, std)), (lambda z: back(z, mean, std))

    return scaled


def own(over):
    """Build a student's function that scales each batch by moments of its own."""

    def scaled(z_train):
        mean, std = moments(z_train)

        def to_unit(z):
            mean, std = moments(z, over)
            return (z - mean) / std

        return to_unit, lambda z: z * std + mean

    return scaled


def by_batchnorm(z_train):
    norm = nn.BatchNorm2d(z_train.shape[1], affine=False, momentum=None)
    norm(z_train)
    norm.eval()
    buffers = dict(norm.named_buffers())
    mean, var = (buffers[f"running_{what}"][:, None, None] for what in ("mean", "var"))
    return norm, lambda z: z * (var + norm.eps).sqrt() + mean


def flat(z_train):
    flat = z_train.transpose(0, 1).flatten(1)
    mean = flat.mean(dim=1)[:, None, None]
    std = flat.var(dim=1, correction=0).sqrt()[:, None, None]
    return lambda z: (z - mean) / std, lambda z: z * std + mean


RIGHT_SCALED = {"the formula": scaling(), "batch norm": by_batchnorm, "flat": flat}
WRONG_SCALED = {
    "not back": (scaling(back=lambda z, m, s: z), "back changes nothing"),
    "nothing": (scaling(lambda z, m, s: z, lambda z, m, s: z), "to_unit changes nothing"),
    "one number": (scaling(over=(0, 1, 2, 3)), "serve all channels"),
    "each picture": (own((2, 3)), "Each picture is scaled by its own"),
    "each picture, all channels": (own((1, 2, 3)), "Each picture is scaled by its own"),
    "the batch": (own((0, 2, 3)), "codes at hand"),
    "each cell": (scaling(over=(0,)), "Each cell"),
    "variance": (
        scaling(lambda z, m, s: (z - m) / s**2, lambda z, m, s: z * s**2 + m),
        "divides by the variance",
    ),
    "root of the root": (scaling(lambda z, m, s: (z - m) / s**0.5), "the standard deviation"),
    "no mean": (scaling(lambda z, m, s: z / s), "mean is not taken away"),
    "no scale": (scaling(lambda z, m, s: z - m), "variance is not 1"),
    "divided first": (scaling(lambda z, m, s: z / s - m), "mean away first"),
    "times": (scaling(lambda z, m, s: (z - m) * s), "multiplies by the standard"),
    "another": (scaling(lambda z, m, s: z + 1), "Not \\(z - mean\\)"),
    "back in the wrong order": (scaling(back=lambda z, m, s: (z + m) * s), "wrong order"),
    "back with the variance": (scaling(back=lambda z, m, s: z * s**2 + m), "by the variance"),
    "back without the mean": (scaling(back=lambda z, m, s: z * s), "add the mean again"),
    "back without the scale": (scaling(back=lambda z, m, s: z + m), "does not multiply"),
    "back again": (scaling(back=lambda z, m, s: (z - m) / s), "a second time"),
    "back divided": (scaling(back=lambda z, m, s: z / s + m), "back divides"),
    "back elsewhere": (scaling(back=lambda z, m, s: z - 7), "is not z"),
    "one function": (lambda z_train: scaling()(z_train)[0], "two functions"),
    "two tensors": (moments, "two functions"),
    "a flat code": (scaling(lambda z, m, s: ((z - m) / s).flatten(1)), "tensor of shape"),
    "in place": (scaling(lambda z, m, s: z.sub_(m).div_(s)), "changed in place"),
}


@pytest.mark.parametrize("function", RIGHT_SCALED.values(), ids=RIGHT_SCALED)
def test_right_scaling_passes(function):
    assert check_scaled(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_SCALED.values(), ids=WRONG_SCALED)
def test_wrong_scaling_is_told_its_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_scaled(function)


# Try-on


def under(square, mask):
    """The mean square under a mask, for each picture."""
    return (square * mask).sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)))


def decibel(mse):
    return (10 * torch.log10(4 / mse)).mean().item()


def scored(y, truth, mask):
    return [decibel(under((y - truth).square(), where)) for where in (mask, ~mask)]


def trying(
    score=lambda y, x, mask, truth: scored(y, truth, mask),
    edit=lambda model, x, mask, c, truth: model.edit(x, c, mask=mask),
):
    """Build a student's function; with the default arguments it is right."""

    def try_on(model, x, mask, sentences, truth):
        return tuple(score(edit(model, x, mask, sentences, truth), x, mask, truth))

    return try_on


def picture_by_picture(model, x, mask, sentences, truth):
    y = model.edit(x, sentences, torch.Generator().manual_seed(0), mask=mask)
    scores = [
        [psnr(a[:, w[0]].reshape(1, 3, 1, -1), b[:, w[0]].reshape(1, 3, 1, -1)) for w in (m, ~m)]
        for a, b, m in zip(y, truth, mask, strict=True)
    ]
    return torch.tensor(scores).mean(dim=0)


def over(count, scale=4.0):
    """Build scores whose sums of squares are divided by another number."""
    return lambda y, x, mask, truth: [
        (
            10 * torch.log10(scale * count(where) / ((y - truth).square() * where).sum((1, 2, 3)))
        ).mean()
        for where in (mask, ~mask)
    ]


RIGHT_TRIED = {"the formula": trying(), "picture by picture": picture_by_picture}
WRONG_TRIED = {
    "exchanged": (
        trying(lambda y, x, mask, truth: scored(y, truth, mask)[::-1]),
        "Inside and outside are exchanged",
    ),
    "the whole picture": (
        trying(lambda y, x, mask, truth: [psnr(y, truth)] * 2),
        "PSNR of the whole picture",
    ),
    "the whole picture inside": (
        trying(lambda y, x, mask, truth: [psnr(y, truth), scored(y, truth, mask)[1]]),
        "PSNR of the whole picture",
    ),
    "over all pixels": (
        trying(lambda y, x, mask, truth: [psnr(y * w, truth * w) for w in (mask, ~mask)]),
        "divided by the number of all pixels",
    ),
    "one channel": (trying(over(lambda w: w.sum((1, 2, 3)))), "one channel and a picture three"),
    "the picture before": (
        trying(lambda y, x, mask, truth: scored(y, x, mask)),
        "compares with the picture before",
    ),
    "x": (trying(lambda y, x, mask, truth: scored(x, truth, mask)), "scores x itself"),
    "peak 1": (
        trying(over(lambda w: 3 * w.sum((1, 2, 3)), scale=1.0)),
        "the peak is 2",
    ),
    "20 log": (
        trying(lambda y, x, mask, truth: [2 * s for s in scored(y, truth, mask)]),
        "20 log10",
    ),
    "no 10": (
        trying(lambda y, x, mask, truth: [s / 10 for s in scored(y, truth, mask)]),
        "10 before the logarithm",
    ),
    "upside down": (
        trying(lambda y, x, mask, truth: [-s for s in scored(y, truth, mask)]),
        "upside down",
    ),
    "one mean": (
        trying(
            lambda y, x, mask, truth: [
                decibel((y - truth)[w.expand_as(y)].square().mean()) for w in (mask, ~mask)
            ]
        ),
        "One mean is taken over all pictures",
    ),
    "mean squares": (
        trying(
            lambda y, x, mask, truth: [
                under((y - truth).square(), w).mean().item() for w in (mask, ~mask)
            ]
        ),
        "Not 10 log10",
    ),
    "no mask": (
        trying(edit=lambda model, x, mask, c, truth: model.edit(x, c)),
        "mask is not given",
    ),
    "the other mask": (
        trying(edit=lambda model, x, mask, c, truth: model.edit(x, c, mask=~mask)),
        "wrong way round",
    ),
    "another mask": (
        trying(edit=lambda model, x, mask, c, truth: model.edit(x, c, mask=mask | True)),
        "mask as it is",
    ),
    "nothing drawn": (trying(edit=lambda model, x, mask, c, truth: x), "Nothing is drawn"),
    "drawn twice": (
        trying(
            edit=lambda model, x, mask, c, truth: (
                model.edit(x, c, mask=mask) if len(model.edit(x, c, mask=mask)) else x
            )
        ),
        "Call model.edit once",
    ),
    "the truth": (
        trying(edit=lambda model, x, mask, c, truth: model.edit(truth, c, mask=mask)),
        "must get x as it is",
    ),
    "other sentences": (
        trying(edit=lambda model, x, mask, c, truth: model.edit(x, nothing(c), mask=mask)),
        "sentences as they are",
    ),
    "half the way": (
        trying(edit=lambda model, x, mask, c, truth: model.edit(x, c, mask=mask, strength=0.5)),
        "leave the strength",
    ),
    "one number": (
        lambda *a: trying()(*a)[0],
        "two numbers",
    ),
    "each picture": (
        trying(lambda y, x, mask, truth: [under((y - truth).square(), w) for w in (mask, ~mask)]),
        "one number",
    ),
}


@pytest.mark.parametrize("function", RIGHT_TRIED.values(), ids=RIGHT_TRIED)
def test_right_try_on_passes(function):
    assert check_try_on(function).attempted


@pytest.mark.parametrize(("function", "words"), WRONG_TRIED.values(), ids=WRONG_TRIED)
def test_wrong_try_on_is_told_its_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_try_on(function)


# Colours in order: codes of real pictures stand for those that a model draws


def codes_of(wanted):
    """Codes of people outside the training set who have the colours (n, 3), as far as any has."""
    people, model = load_people(), load_pretrained("text-to-image", TextToImage)
    x = torch.cat([people.test.x, people.held_out.x])
    have = colour_words(torch.cat([people.test.attributes, people.held_out.attributes]))
    alike = (have[None] == wanted[:, None]).sum(dim=2)  # (n, people)
    tied = alike + 0.5 * torch.rand(alike.shape, generator=torch.Generator().manual_seed(0))
    return in_batches(model.encode, x[tied.argmax(dim=1)])


def asked_for(change=lambda asked: asked):
    return lambda z, said, asked: codes_of(change(asked))


def a_set(asked):
    """Hair and clothes exchanged in every second sentence where both have both colours."""
    hair, clothes = (
        {checks.COLOURS.index(c) + 1 for c in KINDS[kind]} for kind in checks.COLOURED[1:]
    )
    both = torch.tensor([b in clothes and c in hair for _, b, c in asked.tolist()])
    return torch.where(both[:, None], asked[:, [0, 2, 1]], asked)


def mostly(wrong):
    """Wrong in one sentence of three."""
    third = (torch.arange(checks.N_ASKED) % 3 == 0)[:, None]
    return lambda asked: torch.where(third, wrong(asked), asked)


WRONG_IN_ORDER = {
    "a set": (asked_for(a_set), "asked for elsewhere in the sentence"),
    "no words": (asked_for(lambda asked: asked.roll(1, dims=0)), "not more than by chance"),
    "often wrong": (
        asked_for(mostly(lambda asked: asked.roll(1, dims=0))),
        "75% is to be reached",
    ),
    "one code": (lambda z, said, asked: codes_of(asked[:1]).repeat(200, 1, 1, 1), "much alike"),
    "training pictures": (lambda z, said, asked: z[:200], "codes of training pictures"),
    "diverged": (lambda z, said, asked: z[:200] * torch.nan, "not every number is finite"),
    "pictures": (lambda z, said, asked: torch.zeros(200, 3, 48, 48), "tensor of shape"),
}


def test_codes_that_obey_pass():
    assert "obeyed in full" in check_in_order(asked_for()).message


@pytest.mark.parametrize(("function", "words"), WRONG_IN_ORDER.values(), ids=WRONG_IN_ORDER)
def test_wrong_orders_are_told_their_mistake(function, words):
    with pytest.raises(Misconception, match=words):
        check_in_order(function)


def test_colours_are_one_word_wherever_they_stand():
    people = load_people().test
    words, (place, hair, clothes) = colour_words(people.attributes), checks.COLOURED
    kinds = list(KINDS)
    for n in range(20):
        row = people.attributes[n].tolist()
        named = [checks.COLOURS[w - 1] for w in words[n].tolist()]
        assert named == [KINDS[kind][row[kinds.index(kind)]] for kind in (place, hair, clothes)]
