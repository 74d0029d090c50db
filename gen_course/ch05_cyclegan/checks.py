"""Checks for chapter 05: the losses, the pool of past translations, and the generators' step."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gen_course.ch05_cyclegan import toy
from gen_course.common.checks import (
    Misconception,
    exercise,
    number,
    require,
    require_none_of,
    require_shape,
    same,
)
from gen_course.common.properties import call, compare_gradients
from gen_lib.models.cyclegan import adversarial_loss, discriminator_loss, distance

MOST_GAP, MOST_CYCLE = 0.3, 0.1  # of the generators of numbers in the last exercise


class _Networks:
    """Two generators, two discriminators, and a batch of each domain, all random.

    Their values are such that different mistakes give different losses.
    """

    def __init__(self, seed: int = 0, n: int = 3, size: int = 6):
        torch.manual_seed(seed)
        self.g, self.f = (nn.Conv2d(2, 2, 3, padding=1) for _ in "GF")
        self.d_x, self.d_y = (nn.Conv2d(2, 1, 2, stride=2) for _ in "XY")
        self.x, self.y = torch.rand(n, 2, size, size) - 1, torch.rand(n, 2, size, size)

    def cycle(self) -> Tensor:
        return distance(self.f(self.g(self.x)), self.x) + distance(self.g(self.f(self.y)), self.y)

    def identity(self) -> Tensor:
        return distance(self.g(self.y), self.y) + distance(self.f(self.x), self.x)

    def adversarial(self) -> Tensor:
        d_y, d_x = self.d_y(self.g(self.x)), self.d_x(self.f(self.y))
        return adversarial_loss(d_y) + adversarial_loss(d_x)


def _one_number(got: Any) -> Tensor:
    """Raise unless the loss is one number through which gradients flow; return it."""
    loss = number(got, "average over the pixels and the images")
    require(loss.requires_grad, "No gradient flows from your loss: do not detach, do not call item")
    return loss


@exercise
def check_cycle_loss(loss: Callable) -> str:
    """loss(G, F, x, y): E |F(G(x)) - x| + E |G(F(y)) - y|."""
    n = _Networks()
    got, right = _one_number(loss(n.g, n.f, n.x, n.y)), n.cycle()
    there, back = distance(n.f(n.g(n.x)), n.x), distance(n.g(n.f(n.y)), n.y)
    swapped = distance(n.g(n.f(n.x)), n.x), distance(n.f(n.g(n.y)), n.y)
    mse = nn.functional.mse_loss
    squared = mse(n.f(n.g(n.x)), n.x), mse(n.g(n.f(n.y)), n.y)
    why_swapped = (
        "The cycle starts with the wrong generator: G takes x and F takes y, so the cycles are "
        "F(G(x)) and G(F(y)), not F(G(y))."
    )
    require_none_of(
        got,
        (swapped[0] + swapped[1], why_swapped),
        (there + swapped[1], why_swapped),
        (swapped[0] + back, why_swapped),
        (
            squared[0] + squared[1],
            "The differences are squared (L2): that blurs. Take absolute values (L1).",
        ),
        (there, "Only one direction: the cycle of y is missing, so G need not undo F."),
        (back, "Only one direction: the cycle of x is missing, so F need not undo G."),
        (right / 2, "This is the mean of both directions: add them."),
        (72 * right, "It is summed over the pixels: take their mean."),
        (3 * 72 * right, "It is summed over all images and pixels: take the mean."),
        (n.identity(), "That is the identity loss: each image must pass through both generators."),
    )
    require(same(got, right), "Not E |F(G(x)) - x| + E |G(F(y)) - y|.")
    _check_both_learn(got, n)
    _check_other_sizes(loss, _Networks.cycle)
    return "|F(G(x)) - x| and |G(F(y)) - y|, means, with gradients to both generators."


def _check_other_sizes(loss: Callable, right: Callable[[_Networks], Tensor]) -> None:
    """Compare a loss of both generators with the right one for other networks and images."""
    for seed, images, size in ((3, 3, 6), (5, 1, 8), (6, 4, 2)):
        n = _Networks(seed, images, size)
        got = call(loss, {"G": n.g, "F": n.f, "x": n.x, "y": n.y})
        require(
            same(got, right(n)),
            f"It is right once, but not for other networks and images of shape {tuple(n.x.shape)}: "
            "keep nothing between calls.",
        )
        compare_gradients(got, right(n), {"G": n.g.weight, "F": n.f.weight})


def _check_both_learn(got: Tensor, n: _Networks) -> None:
    """Check that both generators get the gradient of the whole cycle, nothing being detached."""
    for net, name in ((n.g, "G"), (n.f, "F")):
        wanted = torch.autograd.grad(n.cycle(), net.weight)[0]
        found = torch.autograd.grad(got, net.weight, retain_graph=True, allow_unused=True)[0]
        require(
            found is not None and same(found, wanted),
            f"{name} learns from half of the cycle: do not detach what is inside, or the first "
            "generator never learns to leave a trace of x.",
        )


@exercise
def check_identity_loss(loss: Callable) -> str:
    """loss(G, F, x, y): E |G(y) - y| + E |F(x) - x|."""
    n = _Networks()
    got, right = _one_number(loss(n.g, n.f, n.x, n.y)), n.identity()
    of_g, of_f = distance(n.g(n.y), n.y), distance(n.f(n.x), n.x)
    wrong_g, wrong_f = distance(n.g(n.x), n.x), distance(n.f(n.y), n.y)
    why = (
        "The identity is asked of the wrong domain: G must leave alone what is in Y already, "
        "|G(y) - y|. |G(x) - x| would forbid it to translate."
    )
    require_none_of(
        got,
        (wrong_g + wrong_f, why),
        (of_g + wrong_f, why),
        (wrong_g + of_f, why),
        (_squares(n), "The differences are squared (L2): take absolute values (L1)."),
        (of_g, "F is missing: add |F(x) - x|."),
        (of_f, "G is missing: add |G(y) - y|."),
        (right / 2, "This is the mean of both: add them."),
        (72 * right, "It is summed over the pixels: take their mean."),
        (n.cycle(), "That is the cycle loss: here each image passes through one generator."),
    )
    require(same(got, right), "Not E |G(y) - y| + E |F(x) - x|.")
    _check_other_sizes(loss, _Networks.identity)
    return "G leaves y alone, F leaves x alone, in mean absolute difference."


def _squares(n: _Networks) -> Tensor:
    pairs = ((n.g(n.y), n.y), (n.f(n.x), n.x))
    return torch.stack([nn.functional.mse_loss(a, b) for a, b in pairs]).sum()


@exercise
def check_discriminator_losses(losses: Callable) -> str:
    """losses(D_X, D_Y, x, y, g_x, f_y): the pair of least-squares losses, of D_X and of D_Y."""
    n = _Networks()
    g_x, f_y = n.g(n.x), n.f(n.y)
    got = losses(n.d_x, n.d_y, n.x, n.y, g_x, f_y)
    require(isinstance(got, tuple) and len(got) == 2, "Return two losses: D_X's, then D_Y's.")
    for name, loss, d, other, real, fake, foreign in (
        ("D_X", got[0], n.d_x, n.d_y, (n.x, n.y), f_y, g_x),
        ("D_Y", got[1], n.d_y, n.d_x, (n.y, n.x), g_x, f_y),
    ):
        _check_discriminator(name, _one_number(loss), d, other, real, (fake, foreign))
    reached = torch.autograd.grad(
        got[0] + got[1], [n.g.weight, n.f.weight], retain_graph=True, allow_unused=True
    )
    require(
        all(gradient is None or not gradient.any() for gradient in reached),
        "The discriminators' loss reaches the generators and would teach them to be caught: "
        "detach the translations.",
    )
    for seed, images, size in ((3, 3, 6), (5, 1, 8)):
        n = _Networks(seed, images, size)
        given = {"x": n.x, "y": n.y, "G(x)": n.g(n.x).detach(), "F(y)": n.f(n.y).detach()}
        of_x, of_y = call(losses, {"D_X": n.d_x, "D_Y": n.d_y, **given})
        weights = {"D_X": n.d_x.weight, "D_Y": n.d_y.weight}
        for one, d, own, fake in ((of_x, n.d_x, n.x, n.f(n.y)), (of_y, n.d_y, n.y, n.g(n.x))):
            wanted = discriminator_loss(d(own), d(fake.detach()))
            require(same(one, wanted), "It is right once, but not for other networks and images.")
            compare_gradients(one, wanted, weights)
    return "1/2 (D(real) - 1)^2 + 1/2 D(fake)^2, each D on its own domain, translations detached."


def _check_discriminator(
    name: str,
    got: Tensor,
    d: nn.Module,
    other: nn.Module,
    real: tuple[Tensor, Tensor],
    fake: tuple[Tensor, Tensor],
) -> None:
    """Check one loss; real and fake hold images of the discriminator's domain, then the other's."""
    right = discriminator_loss(d(real[0]), d(fake[0]))
    swapped = (
        f"{name} looks at the wrong domain: D_X tells x from F(y), both of X, and D_Y tells y from "
        "G(x), both of Y."
    )
    require_none_of(
        got,
        (discriminator_loss(d(real[0]), d(fake[1])), swapped),
        (discriminator_loss(d(real[1]), d(fake[0])), swapped),
        (discriminator_loss(d(real[1]), d(fake[1])), swapped),
        (discriminator_loss(other(real[1]), other(fake[1])), "The two losses are exchanged."),
        (discriminator_loss(d(fake[0]), d(real[0])), f"{name}'s labels are swapped: real is 1."),
        (2 * right, f"The 1/2 is missing in {name}'s loss."),
        (d(real[0]).sub(1).square().mean() / 2, f"{name} never sees a translation."),
        (d(fake[0]).square().mean() / 2, f"{name} never sees a real image."),
        (_absolute(d(real[0]), d(fake[0])), f"{name}'s differences are not squared."),
    )
    entropy = nn.functional.binary_cross_entropy_with_logits
    for factor in (1, 0.5):
        wrong = [entropy(d(v), torch.full_like(d(v), t)) for v, t in ((real[0], 1), (fake[0], 0))]
        require(
            not same(got, factor * (wrong[0] + wrong[1])),
            "That is chapter 04's loss, a cross entropy: here verdicts are compared by squares.",
        )
    require(same(got, right), f"{name}'s loss is not 1/2 E (D(real) - 1)^2 + 1/2 E D(fake)^2.")


def _absolute(real: Tensor, fake: Tensor) -> Tensor:
    return (real - 1).abs().mean() / 2 + fake.abs().mean() / 2


@exercise
def check_exchange(exchange: Callable) -> str:
    """exchange(pool, new, size, rng) takes one image and returns one; the list holds ``size``."""
    rng = torch.Generator().manual_seed(0)
    pool: list[Tensor] = []
    for k in range(20):
        out = _image_out(exchange(pool, torch.tensor([float(k)]), 20, rng))
        require(out == k, "Until the pool is full, what goes in comes out again, and is kept.")
        require(len(pool) == k + 1, "Until the pool is full, every image that goes in is kept.")
    old = 0
    for k in range(20, 820):
        held = {float(image) for image in pool}
        out = _image_out(exchange(pool, torch.tensor([float(k)]), 20, rng))
        require(len(pool) == 20, f"The pool holds {len(pool)} images instead of size = 20.")
        _check_swap(out, k, held, {float(image) for image in pool})
        old += out != k
    require(old > 0, "The pool always returns the newest image: then it is no memory at all.")
    require(
        old < 800,
        "The pool never returns the newest image: half of what D sees should be of today.",
    )
    require(
        abs(old / 800 - 0.5) < 0.08, f"An older image comes out in {old / 8:.0f} % of calls: half."
    )
    require(min(map(float, pool)) > 400, "The oldest images stay: choose the place at random.")
    small: list[Tensor] = []
    for k in range(3):
        out = _image_out(exchange(small, torch.tensor([float(k)]), 3, rng))
        require(out == k and len(small) == k + 1, "A second pool is not empty: keep all in pool.")
    return "kept until full; then half of the calls swap the new image for a random older one."


def _image_out(got: Any) -> float:
    require(isinstance(got, Tensor) and got.shape == (1,), "Return one image, of the shape of new.")
    return float(got)


def _check_swap(out: float, new: int, before: set[float], after: set[float]) -> None:
    if out == new:
        require(after == before, "The new image came out and went in as well: it comes twice.")
        return
    require(out in before, "What comes out must be the new image or one of the pool.")
    require(
        after == before - {out} | {float(new)},
        "The image that comes out must leave the pool, and the new one take its place.",
    )


@exercise
def check_generators_turn(turn: Callable) -> str:
    """turn(G, F, D_X, D_Y, optimiser, x, y, cycle, identity): one step of G and F alone."""
    n = _Networks()
    players, judges = nn.ModuleList([n.g, n.f]), nn.ModuleList([n.d_x, n.d_y])
    for parameter in players.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)  # old gradients from another turn
    right = n.adversarial() + 3 * n.cycle() + 2 * n.identity()
    wanted = torch.autograd.grad(right, list(players.parameters()))
    wrong = _wrong_turns(n)
    before, verdicts = _copies(players), _copies(judges)
    rate = 0.01
    optimiser = torch.optim.SGD(players.parameters(), lr=rate)
    got = turn(n.g, n.f, n.d_x, n.d_y, optimiser, n.x, n.y, 3.0, 2.0)
    require(
        all(map(torch.equal, verdicts, judges.parameters())),
        "The discriminators were trained in the generators' turn: they would learn to be fooled. "
        "Step the generators' optimiser alone.",
    )
    require(
        all(p.grad is None or not p.grad.any() for p in judges.parameters()),
        "The generators' loss has left gradients in the discriminators, whose next step begins "
        "with them and learns to be fooled: backward(inputs=...) fills the generators' alone.",
    )
    _check_value(number(got, "the loss that was descended").detach(), right, wrong)
    moved = [(a - b) / rate for a, b in zip(before, players.parameters(), strict=True)]
    _check_step(torch.cat([m.flatten() for m in moved]), torch.cat([w.flatten() for w in wanted]))
    return "one step of both generators down the whole sum, the discriminators left alone."


def _copies(networks: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in networks.parameters()]


def _wrong_turns(n: _Networks) -> list[tuple[Tensor, str]]:
    adversarial, cycle, identity = n.adversarial(), n.cycle(), n.identity()
    d_y, d_x = n.d_y(n.g(n.x)), n.d_x(n.f(n.y))
    swapped = adversarial_loss(n.d_x(n.g(n.x))) + adversarial_loss(n.d_y(n.f(n.y)))
    caught = d_y.square().mean() + d_x.square().mean()
    return [
        (swapped + 3 * cycle + 2 * identity, "D_Y judges G(x) and D_X judges F(y): exchanged."),
        (caught + 3 * cycle + 2 * identity, "G and F want the verdict 1: they are not D's side."),
        (adversarial + 3 * cycle, "The identity loss is missing."),
        (adversarial + 2 * identity, "The cycle loss is missing."),
        (3 * cycle + 2 * identity, "The adversarial loss is missing: nothing asks for Y's style."),
        (
            adversarial + 2 * cycle + 3 * identity,
            "The weights of cycle and identity are exchanged.",
        ),
        (adversarial + cycle + identity, "The weights cycle and identity are not used."),
        (adversarial / 2 + 3 * cycle + 2 * identity, "The 1/2 belongs to the discriminators."),
    ]


def _check_value(got: Tensor, right: Tensor, wrong: list[tuple[Tensor, str]]) -> None:
    require_none_of(got, *((value.detach(), why) for value, why in wrong))
    require(same(got, right.detach()), "Return the loss descended, at the weights before the step.")


def _check_step(moved: Tensor, wanted: Tensor) -> None:
    require(bool(moved.abs().max() > 0), "G and F did not move: backward, then optimiser.step().")
    require(bool(moved.abs().max() < 50), "Old gradients were left in G and F: zero them first.")
    require(not torch.allclose(moved, -wanted, atol=1e-2), "The step goes uphill.")
    if not torch.allclose(moved, wanted, atol=1e-2, rtol=1e-2):
        raise Misconception(
            "G and F did not take one step down the gradient of the sum: is something detached? "
            "Gradients must pass through the discriminators to the generators."
        )


@exercise
def check_near_start(near_start: Callable) -> str:
    """near_start(seed) gives (G, F) of numbers, trained from the identity to the shift."""
    grid, found, maps = toy.GRID, [], []
    for seed in (0, 1, 2):
        answer = near_start(seed)
        require(
            isinstance(answer, tuple | list) and len(answer) == 2,
            "Return two things: the trained generators G and F.",
        )
        g, f = answer
        require(
            all(isinstance(v, nn.Module) and any(True for _ in v.parameters()) for v in (g, f)),
            "G and F must be trained networks, not formulas.",
        )
        require_shape(g(grid), tuple(grid.shape), "G maps (n, 1) to (n, 1)")
        pair = toy.measure(toy.Numbers(g, f))
        _check_shift(seed, pair)
        found.append(pair)
        maps.append(g(grid).detach())
    require(
        not torch.equal(maps[0], maps[1]),
        "Two seeds gave the same G: pass the seed on to the training.",
    )
    gap, cycle = max(p.gap for p in found), max(p.cycle for p in found)
    return f"three seeds, three shifts: gap {gap:.2f}, cycle {cycle:.3f} at most."


def _check_shift(seed: int, pair: toy.Measured) -> None:
    """Raise unless G makes Y, F undoes G, and G rises."""
    measured = f"Seed {seed}: gap {pair.gap:.2f}, cycle {pair.cycle:.2f}, slope {pair.slope:.2f}."
    require(
        pair.cycle <= MOST_CYCLE,
        f"F does not undo G. {measured} Without a cycle loss nothing asks for that.",
    )
    require(
        pair.gap <= MOST_GAP,
        f"G does not make Y. {measured} A heavy cycle loss holds G and F at the identity, where "
        "the way back is perfect: lower its weight.",
    )
    require(pair.slope > 0, f"This is the mirror. {measured} Start G and F as the identity.")
