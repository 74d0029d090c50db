"""Hidden tests of homework 3: a Wasserstein GAN, a discriminator with labels, and PatchNCE."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gen_course.common.checks import number, require, same
from gen_course.common.properties import (
    SEEDS,
    Arguments,
    agrees,
    call,
    compare_gradients,
    for_every,
    labels_of,
    learnt,
    repeatable,
    require_right,
    require_uniform,
    seeded,
)


def wasserstein_losses(answer: Callable) -> None:
    """The critic's loss, then the generator's, from outputs (n,) of the critic."""

    def arguments(rng: Generator, n: int) -> Arguments:
        f_real, f_fake = torch.randn(2, n, generator=rng) + torch.tensor([[1.0], [-0.5]])
        return {"f_real": learnt(f_real), "f_fake": learnt(f_fake)}

    def losses(f_real: Tensor, f_fake: Tensor) -> Sequence[Tensor]:
        both = answer(f_real, f_fake)
        require(
            isinstance(both, tuple | list) and len(both) == 2, "Return two numbers, critic's first."
        )
        return both

    first = arguments(seeded(SEEDS[0]), 6)
    d, g = (number(loss, "take means over the images") for loss in call(losses, first))
    require(
        not (same(d, _right_generator(**first)) and same(g, _right_critic(**first))),
        "The two losses are exchanged: the critic's comes first.",
    )
    far = {"f_real": learnt(torch.tensor([-3e3, 8e3])), "f_fake": learnt(torch.tensor([9e3, 7.0]))}
    for part, (right, mistakes, formula) in enumerate(
        (
            (_right_critic, _mistakes_of_critic, "The critic's loss is not E f(G(z)) - E f(x)."),
            (_right_generator, _mistakes_of_generator, "The generator's loss is not - E f(G(z))."),
        )
    ):
        agrees(
            lambda f_real, f_fake, part=part: losses(f_real, f_fake)[part],
            right,
            arguments,
            [(6,), (1,), (9,), (128,)],
            extremes=[far],
            mistakes=mistakes,
            form="take means over the images",
            formula=formula,
        )


def _right_critic(f_real: Tensor, f_fake: Tensor) -> Tensor:
    return f_fake.mean() - f_real.mean()


def _right_generator(f_real: Tensor, f_fake: Tensor) -> Tensor:
    return -f_fake.mean()


def _mistakes_of_critic(f_real: Tensor, f_fake: Tensor) -> Iterator[tuple[Tensor, str]]:
    right = _right_critic(f_real, f_fake)
    yield -right, "The critic's sign is wrong: it wants f large on real images, and minimises."
    yield 6 * right, "The critic's loss is summed over the images: take means."
    yield (
        F.softplus(-f_real).mean() + F.softplus(f_fake).mean(),
        "This is the loss of chapter 04: here there is no sigmoid and no logarithm.",
    )
    yield (
        f_fake.sigmoid().mean() - f_real.sigmoid().mean(),
        "A sigmoid squeezes f: then f is no distance any more.",
    )
    yield right.abs(), "The absolute value is taken: the critic must find the sign by itself."
    yield right**2, "The difference is squared: then its sign does not matter."


def _mistakes_of_generator(f_real: Tensor, f_fake: Tensor) -> Iterator[tuple[Tensor, str]]:
    yield (
        f_fake.mean(),
        "The generator's sign is wrong: it wants f large on its images, and minimises.",
    )
    yield F.softplus(-f_fake).mean(), "The generator's loss has no logarithm here."
    yield (
        -_right_critic(f_real, f_fake),
        "The real images stand in the generator's loss: it cannot change them.",
    )


class _Critic(nn.Module):
    """A critic whose slope a x + b differs everywhere; it keeps the images that it was shown."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.a = nn.Parameter(0.3 + torch.rand(shape, generator=seeded(1)))
        self.b = nn.Parameter(torch.randn(shape, generator=seeded(2)))
        self.still = nn.Dropout(0.5).eval()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.still((self.a * x**2 / 2 + self.b * x).flatten(1).sum(1))

    def slope(self, x: Tensor) -> Tensor:
        return self.a * x + self.b

    def penalty(self, x: Tensor) -> Tensor:
        return (self.slope(x).flatten(1).norm(dim=1) - 1).square().mean()


def gradient_penalty(answer: Callable) -> None:
    """Where the slope is taken, what is made of it, and how it depends on the weights.

    False alarms: one distribution, a correlation of neighbours and of their squares, below 1e-8.
    """

    def draw(rng: Generator) -> Tensor:
        n = 2_500
        real, fake = 2 * torch.ones(n, 1, 2, 3), -torch.ones(n, 1, 2, 3)
        x = _shown(answer, _Critic(1, 2, 3), real, fake, rng)[1]
        u = (x + 1) / 3  # 1 at the real image
        shared = same(u[0], u[1]) and same(u[0], u[2])
        require(not shared, "u is shared by all images: draw n of them.")
        one = (u - u[:, :1, :1, :1]).abs().max() < 1e-4
        require(one, "u differs within an image: one for all its pixels.")
        inside = u.min() > -1e-4 and u.max() < 1 + 1e-4
        require(
            inside, "The images do not lie between real and made ones: u is in [0, 1], use rand."
        )
        return u[:, 0, 0, :1]

    def check(scale: float, n: int, *shape: int) -> None:
        f, real, fake = _Critic(*shape), torch.randn(n, *shape), torch.randn(n, *shape)
        got, x = _shown(answer, f, scale * real, scale * fake, seeded(n))
        require(
            _lie_between(x, scale * real, scale * fake),
            "u differs within an image, or images are mixed: u x + (1 - u) G(z), one by one.",
        )
        for wrong, why in _wrong_penalties(f, x):
            require(not same(got, wrong), why)
        why = "Not the mean of (||grad f|| - 1)^2 at the images that f was shown."
        require_right(got, f.penalty(x), why)
        require(
            got.requires_grad,
            "The critic cannot learn from it: autograd.grad needs create_graph=True.",
        )
        compare_gradients(got, f.penalty(x), {"f's weights": f.a, "f's other weights": f.b})

    sizes = [(3, 1, 2, 3), (3, 1, 2, 3), (64, 3, 2, 2), (5, 2, 3, 1), (1, 1, 1, 4)]
    for_every(check, [(scale, *size) for scale in (1.0, 40.0) for size in sizes])
    require_uniform(repeatable(draw, "u"), "The numbers u")


def _shown(
    answer: Callable, f: _Critic, real: Tensor, fake: Tensor, rng: Generator
) -> tuple[Tensor, Tensor]:
    """The penalty, and the images at which it was taken."""
    got = call(answer, {"f": f, "real": real, "fake": fake, "rng": rng})
    number(got, "take the mean over the images")
    require(bool(f.seen), "f is never called.")
    whole = [x for x in f.seen if x.shape == real.shape]
    require(bool(whole), "f gets another shape than that of the images.")
    right = [x for x in whole if same(got, f.penalty(x))]
    return got, (right or whole)[-1]


def _lie_between(x: Tensor, real: Tensor, fake: Tensor) -> bool:
    """Whether each image is on the line through its real and its made one."""
    line, moved = (real - fake).flatten(1), (x - fake).flatten(1)
    u = (line * moved).sum(1, keepdim=True) / line.square().sum(1, keepdim=True)
    return bool((moved - u * line).abs().max() < 1e-3 * line.abs().max())


def _wrong_penalties(f: _Critic, x: Tensor) -> Iterator[tuple[Tensor, str]]:
    slope, right, n = f.slope(x), f.penalty(x), len(x)
    norm, over = slope.flatten(1).norm(dim=1), "The norm runs over the "
    mistakes = [
        (right * n, "It is summed over the images: take the mean."),
        (
            (slope.norm() - 1).square(),
            over + "whole batch: one for each image.",
        ),
        (
            (slope.norm() / n - 1).square(),
            over + "whole batch: one for each image.",
        ),
        ((slope.abs() - 1).square().mean(), over + "channels only: over all numbers."),
        ((slope.norm(dim=1) - 1).square().mean(), over + "channels only: over all numbers."),
        ((slope.norm(dim=2) - 1).square().mean(), over + "rows only."),
        ((slope.norm(dim=3) - 1).square().mean(), over + "columns only."),
        ((norm**2 - 1).square().mean(), "The norm is squared before 1 is subtracted."),
        (norm.square().mean(), "This pulls the slope to 0, as R1 does: subtract 1 from the norm."),
        (
            (norm - 1).clamp(min=0).square().mean(),
            "Slopes below 1 are let pass: here they count, too.",
        ),
        ((norm - 1).mean(), "norm - 1 is not squared."),
        ((norm - 1).abs().mean(), "norm - 1 is not squared."),
        (
            (norm.mean() - 1).square(),
            "The mean is taken before the square: each image has its own.",
        ),
        ((norm / n - 1).square().mean(), "f is averaged before it is differentiated: sum it."),
    ]
    return ((wrong, why) for wrong, why in mistakes if not same(wrong, right))


def told(answer: Callable) -> None:
    """The output w . phi + V_y . phi of a discriminator with labels, for each image."""

    def arguments(rng: Generator, n: int, K: int, classes: int) -> Arguments:
        w, V = torch.randn(K, generator=rng), torch.randn(classes, K, generator=rng)
        features, labels = torch.randn(n, K, generator=rng), labels_of(rng, n, classes)
        return {"features": learnt(features), "labels": labels, "w": learnt(w), "V": learnt(V)}

    far = {
        "features": learnt(torch.tensor([[900.0, -2.0], [0.0, 7e3], [1.0, 1e-3]])),
        "labels": torch.tensor([2, 0, 2]),
        "w": learnt(torch.tensor([30.0, -1.0])),
        "V": learnt(torch.tensor([[5.0, 40.0], [0.0, 0.0], [-90.0, 1.0]])),
    }
    agrees(
        answer,
        _right_told,
        arguments,
        [(4, 4, 4), (5, 3, 6), (1, 2, 3), (9, 5, 2), (6, 2, 1)],  # square first: no shape tells
        extremes=[far],
        mistakes=_mistakes_of_told,
        form="(n,)",
        formula="Not w . phi + V_y . phi, with the row V_y of each label.",
    )


def _right_told(features: Tensor, labels: Tensor, w: Tensor, V: Tensor) -> Tensor:
    return features @ w + (features * V[labels]).sum(1)


def _mistakes_of_told(
    features: Tensor, labels: Tensor, w: Tensor, V: Tensor
) -> Iterator[tuple[Tensor, str]]:
    plain, rows, wanted = features @ w, V[labels], _right_told(features, labels, w, V)
    own = (features * rows).sum(1)
    yield plain, "The label is not used: add V_y . phi."
    yield own, "The part without a label, w . phi, is missing."
    yield plain + (features * V).sum(1), "Row n of V is used for image n: use the row of its label."
    yield (
        plain + (features * V.mT[labels]).sum(1),
        "V is read by columns: the row V[y] belongs to y.",
    )
    yield (
        plain + (features @ V.mT).sum(1),
        "All classes are added up: use the row of the label only.",
    )
    yield (
        plain + rows.sum(1),
        "V_y is added without phi: then it says how common y is, not if x fits.",
    )
    yield (
        plain + (features * rows).mean(1),
        "The second product is averaged over the features: sum it.",
    )
    yield plain * own, "The two parts are multiplied: add them."
    yield wanted.sigmoid(), "f is the output before the sigmoid."
    for wide in (plain[:, None] + features @ V.mT, plain[None] + features @ V[labels].mT):
        yield (
            wide,
            "This has a column for each image or class: one number for each image, with its "
            "own label.",
        )


def patch_nce(answer: Callable) -> None:
    """The cross-entropy of finding each place of an image among its places."""

    def arguments(rng: Generator, n: int, P: int, d: int) -> Arguments:
        q, k = torch.randn(2, n, P, d, generator=rng)
        tau = 0.2 + float(torch.rand((), generator=rng)) / 2
        return {"q": learnt(q), "k": learnt(k + q / 2), "tau": tau}

    q, k = torch.randn(2, 2, 4, 3, generator=seeded(8))
    agrees(
        answer,
        _right_patch_nce,
        arguments,
        [(3, 5, 5), (2, 4, 7), (1, 2, 3), (6, 9, 2)],
        extremes=[
            {"q": learnt(1e3 * q), "k": learnt(k), "tau": 1e-3},
            {"q": learnt(-k), "k": learnt(k), "tau": 0.02},
        ],
        mistakes=_mistakes_of_patch_nce,
        form="take the mean over images and places",
        formula="Not the mean cross-entropy of the right place among all of the image.",
    )


def _right_patch_nce(q: Tensor, k: Tensor, tau: float) -> Tensor:
    return _entropy(_unit(q), _unit(k.detach()), tau)


def _entropy(a: Tensor, b: Tensor, tau: float, along: int = 2) -> Tensor:
    return -(a @ b.mT / tau).log_softmax(along).diagonal(dim1=-2, dim2=-1).mean()


def _unit(v: Tensor, dim: int = 2) -> Tensor:
    return v / v.norm(dim=dim, keepdim=True)


def _mistakes_of_patch_nce(q: Tensor, k: Tensor, tau: float) -> Iterator[tuple[Tensor, str]]:
    (n, P, d), wanted = q.shape, _right_patch_nce(q, k, tau)
    flat = [_unit(v).reshape(1, n * P, d) for v in (q, k)]
    positive, scores = (_unit(q) * _unit(k)).sum(2), _unit(q) @ _unit(k).mT / tau
    others = scores.masked_fill(torch.eye(P, dtype=torch.bool), -torch.inf).logsumexp(2)
    yield wanted * P, "It is summed over the places: take the mean over images and places."
    yield wanted * n, "It is summed over the images: take the mean over images and places."
    yield wanted * n * P, "It is summed over images and places: take the mean."
    yield _entropy(q, k, tau), "The features are not scaled to length 1: long ones would win."
    yield _entropy(_unit(q), k, tau), "k is not scaled to length 1."
    yield _entropy(q, _unit(k), tau), "q is not scaled to length 1."
    yield (
        _entropy(_unit(q, 1), _unit(k, 1), tau),
        "The features are scaled along the places: along d.",
    )
    yield (
        _entropy(flat[0], flat[1], tau),
        "Other images are among the candidates: only the places of the same image.",
    )
    yield (
        _entropy(_unit(q), _unit(k), tau, along=1),
        "The softmax runs over q: it chooses among the k.",
    )
    yield _entropy(_unit(q), _unit(k), 1.0), "The temperature is not used."
    yield _entropy(_unit(q), _unit(k), 1 / tau), "It is multiplied by the temperature: divide."
    yield -positive.mean() / tau, "Only the right pairs count: there is nothing to tell them from."
    yield (
        -(positive / tau).mean() + scores.exp().sum(2).mean(),
        "The logarithm of the sum is missing.",
    )
    yield (
        (others - positive / tau).mean(),
        "The right place is missing from the sum below the line.",
    )
    yield -wanted, "The sign is wrong: a loss is minimised."
