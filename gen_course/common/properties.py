"""Properties that show whether a function is understood: values, gradients, side effects, draws.

An author states a reference, how to draw arguments of some sizes, and what a mistake looks like::

    def arguments(rng, n, K, D):
        return {"z": learnt(torch.rand(n, K, generator=rng)), "W": learnt(...)}

    agrees(answer, reference, arguments, sizes=[(7, 5, 5), (1, 3, 8), (4, 9, 2)])

``agrees`` calls the answer with other numbers of the same shape, then with other shapes, compares
values and gradients by each argument made ``learnt``, and looks for side effects of every call.
``repeatable`` looks at how draws depend on their generator, ``require_normal`` and
``require_uniform`` at their distribution. A right function fails any of these with a probability
below 1e-6.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from gen_course.common.checks import Misconception, number, require, require_shape, same

Arguments = Mapping[str, Any]
SEEDS = (20_011, 7, 523)  # never 0 or 1, which an answer may set by itself
ERRORS = 6.5  # standard errors that a statistic may be off: 8e-11 for a normal one
KOLMOGOROV = 3.2  # 2 exp(-2 * 3.2^2) = 3e-9, for samples of any size (Massart 1990)


def seeded(seed: int) -> Generator:
    """A new generator with this seed."""
    return torch.Generator().manual_seed(seed)


def labels_of(rng: Generator, n: int, classes: int) -> Tensor:
    """Labels (n,) in no order, one of the classes missing if there are more than two."""
    missing = int(torch.randint(classes, (), generator=rng))
    labels = torch.randint(classes, (n,), generator=rng)
    if classes < 3:
        return labels
    return torch.where(labels == missing, (missing + 1) % classes, labels)


def learnt(values: Tensor) -> Tensor:
    """Mark an argument by which the result is to be differentiated."""
    return values.detach().clone().requires_grad_()


# One call, and what it leaves behind


def call(function: Callable, arguments: Arguments, random: bool = True) -> Any:
    """Return what a function makes of its arguments, in their order; raise if it changed anything.

    Tensors and the weights, gradients and modes of networks must be as before, a generator must
    have moved, and torch's global random state and settings must not. Without ``random`` neither
    generators nor the random state are looked at.
    """
    before = {name: _state(value) for name, value in arguments.items()}
    state = torch.get_rng_state()
    if random:
        torch.default_generator.manual_seed(SEEDS[2])  # a state that no answer sets by itself
    around = _surroundings()
    try:
        got = function(*arguments.values())
        found = _surroundings()
    finally:
        if random:
            torch.set_rng_state(state)
    for name, value in arguments.items():
        now, was = _state(value), before[name]
        if isinstance(value, Generator):
            require(
                not random or not _equal(now, was),
                f"{name} has not moved: draw every number with this generator",
            )
            continue
        for what, why in _WHAT_CHANGED.items():
            if what in was:
                require(_equal(now[what], was[what]), why.format(name))
    for what, (now, was) in _both(found, around).items():
        require(_equal(now, was) or (what == _RANDOM and not random), what)
    return got


def watched(function: Callable, *names: str, random: bool = False) -> Callable:
    """The function, of which every call is looked at as by ``call``, and keeps nothing.

    ``names`` are those of its arguments. No result may share its memory with an earlier one.
    """
    kept: list[Tensor] = []

    def watching(*values: Any) -> Any:
        got = call(function, dict(zip(names, values, strict=True)), random)
        given = [part for value in values for part in _parts(value)]
        for part in _parts(got):
            old = _shares(part, kept) and not _shares(part, given)
            require(not old, "A result is that of an earlier call: keep nothing between calls.")
        kept.extend(_parts(got))
        return got

    return watching


def _parts(value: Any) -> list[Tensor]:
    if isinstance(value, tuple | list):
        return [part for part in value if isinstance(part, Tensor)]
    return [value] if isinstance(value, Tensor) else []


def _shares(tensor: Tensor, others: list[Tensor]) -> bool:
    at = tensor.untyped_storage().data_ptr()
    return any(other.untyped_storage().data_ptr() == at != 0 for other in others)


def lets_draw(function: Callable) -> Callable:
    """The function, which may draw with torch's own generator, and seed it, unseen by ``call``."""
    kept: list[Tensor] = []

    def drawing(*arguments: Any) -> Any:
        with torch.random.fork_rng(devices=[]):
            if kept:
                torch.set_rng_state(kept.pop())
            result = function(*arguments)
            kept.append(torch.get_rng_state())
        return result

    return drawing


_RANDOM = (
    "torch's global random state has changed: draw with the generator that you are given, and seed "
    "nothing."
)
_WHAT_CHANGED = {
    "values": "The argument {} has been changed in place: make a new tensor instead.",
    "gradients": "{} has got a .grad, which the next step would add to: use autograd.grad.",
    "required": "requires_grad of the argument {} has been changed: work on a detached copy.",
    "modes": "The training mode of {} has been changed and not restored.",
}


def _state(value: Any) -> dict[str, Any]:
    if isinstance(value, Generator):
        return {"state": value.get_state()}
    if isinstance(value, nn.Module):
        tensors = [*value.parameters(), *value.buffers()]
        found = _tensors(tensors)
        return {**found, "modes": [module.training for module in value.modules()]}
    return _tensors([value]) if isinstance(value, Tensor) else {}


def _tensors(tensors: list[Tensor]) -> dict[str, Any]:
    return {
        "values": [tensor.detach().clone() for tensor in tensors],
        "gradients": [
            tensor.grad.clone() if tensor.is_leaf and tensor.grad is not None else None
            for tensor in tensors
        ],
        "required": [tensor.requires_grad for tensor in tensors],
    }


def _surroundings() -> dict[str, Any]:
    return {
        _RANDOM: torch.get_rng_state(),
        "torch.is_grad_enabled() has changed and is not restored.": torch.is_grad_enabled(),
        "torch's default dtype has changed.": torch.get_default_dtype(),
    }


def _both(now: dict[str, Any], was: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (now[key], was[key]) for key in was}


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())
    if isinstance(a, dict):
        return all(_equal(a[key], b[key]) for key in b)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


# Values and gradients


def agrees(
    function: Callable,
    reference: Callable,
    arguments: Callable[..., Arguments],
    sizes: Sequence[tuple[int, ...]],
    *,
    extremes: Sequence[Arguments] = (),
    mistakes: Callable[..., Iterable[tuple[Tensor, str]]] = lambda **arguments: (),
    form: str = "return one number",
    formula: str = "",
) -> None:
    """Raise unless a function without draws agrees with a reference, gradients included.

    ``arguments(rng, *size)`` draws named arguments, ``extremes`` are further ones with extreme
    values. ``mistakes(**arguments)`` lists results of known mistakes, each with its explanation;
    ``form`` names the dimensions of the result or says how it becomes one number, and ``formula``
    what it should have been; without it the caller has seen that one other case is right.
    """
    rng = seeded(SEEDS[0])
    first = arguments(rng, *sizes[0])
    got, expected = _value(function, first), reference(*first.values())
    for wrong, meaning in mistakes(**first):
        require(not _alike(got, wrong) or _alike(wrong, expected), meaning)
    _require_form(got, expected, form)
    usual = [(first, formula or OTHER_NUMBERS), (arguments(rng, *sizes[0]), OTHER_NUMBERS)]
    for size in sizes[1:]:
        case = arguments(rng, *size)
        usual.append((case, OTHER_SIZES.format(_described(first), _described(case))))
    for cases in (usual, [(case, EXTREME) for case in extremes]):
        for case, why in cases:
            result, right = _value(function, case), reference(*case.values())
            require(_alike(result, right) or not _alike(result, expected), KEPT)
            require_right(result, right, why)
        for case, _ in cases:
            try:
                _compare_gradients(function, reference, case)
            except Misconception as wrong:
                if cases is usual:
                    raise
                raise Misconception(f"{EXTREME_GRADIENT} {wrong}") from None
    require(_alike(got, expected), OVERWRITTEN)
    require(_alike(_value(function, first), expected), KEPT)


def require_right(got: Any, expected: Tensor, why: str) -> None:
    """Raise unless a result is right; say so if only its large numbers are wrong, all alike."""
    if not _alike(got, expected):
        got = torch.as_tensor(got)
        if got.shape == expected.shape and got.dtype != torch.bool:
            off = (got - expected).abs() > 1e-4 * expected.abs() + 1e-5
            most = got.detach().abs().max()
            cut = (got[off].abs() == most) & (expected[off].abs() > most)
            by_chance = most == 0 or (bool(off.all()) and most != most.round())
            require(by_chance or not cut.all(), f"The result is cut off at {float(most):.4g}.")
        require(False, why)


def for_every(check: Callable, cases: Iterable[tuple]) -> None:
    """Run a check with the arguments of each case; say so if it fails at a later one alone."""
    for k, case in enumerate(cases):
        try:
            check(*case)
        except Misconception as wrong:
            if k == 0:
                raise
            why = "nothing may be made for one size or one set of labels, or cut off"
            raise Misconception(f"It is right for the first case alone ({why}): {wrong}") from None


KEPT = "A later call gives another, or an earlier, call's result: keep nothing between calls."
OVERWRITTEN = "An earlier result was changed by a later call: return a new tensor each time."
OTHER_NUMBERS = (
    "It is right once and wrong for other numbers of the same shape: something is kept from an "
    "earlier call, or made for one case."
)
OTHER_SIZES = (
    "It is right for {}, but not for {}: something is made for one size or one set of labels."
)
EXTREME = (
    "It is right for ordinary values, but not for extreme ones: nothing may be cut off, overflow, "
    "or be protected by an added constant."
)
EXTREME_GRADIENT = (
    "It is right for ordinary values, but its gradient is not for extreme ones: nothing may be cut "
    "off, overflow, or be protected by an added constant."
)


def _require_form(got: Any, expected: Tensor, form: str) -> None:
    if expected.shape == ():
        number(got, form)
    else:
        require_shape(got, tuple(expected.shape), form)


def _value(function: Callable, arguments: Arguments) -> Any:
    """The result for arguments that require no gradient."""
    plain = {
        name: value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in arguments.items()
    }
    return call(function, plain)


def _alike(got: Any, expected: Tensor) -> bool:
    """Whether two results are the same; one number need not be a tensor."""
    return same(torch.as_tensor(got) if isinstance(got, float | int | np.number) else got, expected)


def _described(arguments: Arguments) -> str:
    """The shapes of the arguments in words, with the numbers among them."""
    tensors = (f"{k} of shape {tuple(v.shape)}" for k, v in arguments.items() if torch.is_tensor(v))
    numbers = (f"{k} = {v:.4g}" for k, v in arguments.items() if isinstance(v, int | float))
    return ", ".join([*tensors, *numbers])


def _compare_gradients(function: Callable, reference: Callable, arguments: Arguments) -> None:
    inputs = {
        name: learnt(value)
        for name, value in arguments.items()
        if isinstance(value, Tensor) and value.requires_grad
    }
    if inputs:
        case = {**arguments, **inputs}
        compare_gradients(call(function, case), reference(*case.values()), inputs)


def compare_gradients(got: Any, expected: Tensor, inputs: Mapping[str, Tensor]) -> None:
    """Raise unless two equal results have equal gradients by each input, under random weights."""
    weights = torch.randn(expected.shape, generator=seeded(SEEDS[1]))
    found, wanted = (_gradients(result, weights, inputs) for result in (got, expected))
    for name, (slope, right) in _both(found, wanted).items():
        zero = torch.zeros_like(inputs[name])
        needed = right is not None and bool(right.any())
        require(
            not needed or (slope is not None and bool((slope != 0).any())),
            f"No gradient reaches {name}: the value is right, but it is detached on its way.",
        )
        slope, right = (zero if part is None else part for part in (slope, right))
        require(slope.isfinite().all(), f"The gradient with respect to {name} is not finite.")
        require(
            needed or slope.abs().max() < 1e-6,
            f"Gradients flow to {name}, which is to be left alone: detach it.",
        )
        near = 1e-4 * right.abs() + 2e-5 * right.abs().max() + 1e-7
        require(
            ((slope - right).abs() <= near).all(),
            f"The value is right, but the gradient with respect to {name} is wrong: part of the "
            "way is detached.",
        )


def _gradients(
    result: Tensor, weights: Tensor, inputs: Mapping[str, Tensor]
) -> dict[str, Tensor | None]:
    if not (isinstance(result, Tensor) and result.requires_grad):
        return dict.fromkeys(inputs)
    found = torch.autograd.grad(
        (result * weights).sum(), list(inputs.values()), allow_unused=True, retain_graph=True
    )
    return dict(zip(inputs, found, strict=True))


# Draws


def repeatable(draw: Callable[[Generator], Tensor], what: str = "draws") -> Tensor:
    """Raise unless draws follow their generator; return those of one seed, then of one more call.

    ``draw(rng)`` calls the answer and returns what it drew, (n, ...). Equal seeds give equal draws,
    other seeds others, and so does a second call with the same generator.
    """
    rng = seeded(SEEDS[0])
    first, second = draw(rng), draw(rng)
    require(
        _equal(draw(seeded(SEEDS[0])), first), f"The same seed gives other {what}: use rng alone."
    )
    require(
        not _equal(second, first),
        f"Two calls with one generator give the same {what}: draw anew at every call, with rng as "
        "it is, not with its seed.",
    )
    other = draw(seeded(SEEDS[1]))
    require(not _equal(other, first), f"Another seed gives the same {what}: use rng.")
    return torch.cat([first, second])


def require_normal(draws: Tensor, what: str = "The draws") -> None:
    """Raise unless (n, K) numbers look like independent draws from N(0, 1)."""
    pooled = draws.flatten()
    root = len(pooled) ** 0.5
    mean, square = pooled.mean(), pooled.square().mean()
    _require_independent(draws, what)
    require(mean.abs() < ERRORS / root, f"{what} have a mean other than 0: use randn.")
    require(
        (square - 1).abs() < ERRORS * 2**0.5 / root,
        f"{what} have a variance other than 1: use randn.",
    )
    cdf = 0.5 * (1 + torch.erf(pooled.sort().values.double() / 2**0.5))
    fourth = pooled.double().pow(4).mean()
    require(
        _distance(cdf) < KOLMOGOROV / root and (fourth - 3).abs() < ERRORS * 96**0.5 / root,
        f"{what} have the right mean and variance, but are not normal: use randn.",
    )


def require_uniform(draws: Tensor, what: str = "The draws") -> None:
    """Raise unless (n, K) numbers look like independent draws from U[0, 1]."""
    pooled = draws.flatten()
    root = len(pooled) ** 0.5
    require(
        draws.min() > -1e-4 and draws.max() < 1 + 1e-4, f"{what} are not all in [0, 1]: use rand."
    )
    _require_independent(draws - 0.5, what)
    require(
        _distance(pooled.sort().values.double()) < KOLMOGOROV / root,
        f"{what} are not uniform on [0, 1]: use rand.",
    )


def _distance(cdf: Tensor) -> Tensor:
    """The largest distance between a sample's distribution function and the cdf at its numbers."""
    n = len(cdf)
    steps = torch.arange(n + 1, dtype=cdf.dtype) / n
    return torch.maximum((cdf - steps[:-1]).abs().max(), (cdf - steps[1:]).abs().max())


def _require_independent(draws: Tensor, what: str) -> None:
    """Raise if rows of (n, K) numbers around 0 recur, or columns or neighbours go together."""
    n, K = draws.shape
    require(
        len(draws.unique(dim=0)) > 0.99 * n,
        f"{what} recur: one is shared by several images, or drawn once and kept.",
    )
    require(
        len(draws.abs().unique(dim=0)) > 0.99 * n,
        f"{what} come in pairs of opposite sign: draw each by itself.",
    )
    unit, limit = _standard(draws), ERRORS / math.sqrt(n)
    for powers, most in ((unit, limit), (_standard(unit.square()), 2 * limit)):
        together = powers.mT @ powers / n - torch.eye(K)
        together.fill_diagonal_(0)
        neighbours = (powers[1:] * powers[:-1]).mean(0)
        require(
            together.abs().max() < most,
            f"{what} of different units go together: draw each number by itself.",
        )
        require(
            neighbours.abs().max() < most,
            f"{what} of neighbouring images go together: draw each by itself.",
        )


def _standard(values: Tensor) -> Tensor:
    return (values - values.mean(0)) / values.std(0).clamp(min=1e-9)


def require_mean(draws: Tensor, expected: float | Tensor, message: str) -> None:
    """Raise unless each column of thousands of independent draws (n, ...) has the expected mean."""
    error = draws.std(dim=0) / len(draws) ** 0.5
    off = (draws.mean(dim=0) - expected).abs()
    require((off <= ERRORS * error + 1e-6).all(), message)


def require_uniform_places(got: Tensor, hidden: int) -> None:
    """Raise unless masks (n, P) hide this number of places each, drawn without preference."""
    (n, P), mask = got.shape, got.float()
    require(bool((got[1:] != got[:1]).any()), "All images hide the same places: draw for each.")
    require(len(got.unique(dim=0)) > 0.2 * n, "The same masks recur: draw one for each image.")
    share = hidden / P
    both = share * (hidden - 1) / (P - 1)
    uneven = "Some places are hidden more often than others: all must be equally likely."
    error = (share * (1 - share) / n) ** 0.5
    require(((mask.mean(0) - share).abs() < ERRORS * error).all(), uneven)
    pairs = (mask.mT @ mask / n)[~torch.eye(P, dtype=torch.bool)]
    together = "Some places are hidden together more often than others: draw each set of places."
    error = (both * (1 - both) / n) ** 0.5
    require(((pairs - both).abs() < ERRORS * error).all(), together)
    overlap = (mask[1:] * mask[:-1]).sum(1).mean()
    error = hidden * (P - hidden) / P / (P - 1) ** 0.5 / n**0.5
    require(
        (overlap - hidden * share).abs() < ERRORS * error,
        "The places of neighbouring images go together: draw for each image.",
    )
