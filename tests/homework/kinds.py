"""Wrong answers of every kind, made from the right ones: what a test with one example cannot see.

Each function below makes mutants of one kind of a right answer, as decorators. A mutant is caught
if its question's hidden test raises a ``Misconception`` that matches the words of its kind.
"""

import functools
import inspect
import math
import re
import unittest.mock
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from submissions import NAMES, solutions
from torch import Generator, Tensor, nn

from gen_course.homework.grading import examine

Answer = Callable
LEARNT = {  # by question, the arguments through which gradients must flow
    "contractive_penalty": "z W",
    "jacobian_norm": "",
    "k_sparse": "h",
    "cosine_mask": "",
    "mmd2": "a b",
    "mmd_vae_loss": "logits z",
    "kl_to_class": "mu log_var means",
    "draw_class": "",
    "wasserstein_losses": "f_real f_fake",
    "gradient_penalty": "",
    "told": "features w V",
    "patch_nce": "q",
    "ab2_step": "x v v_before",
    "follow": "x",
    "project": "x_0 y",
    "guidance": "",
    # exercises of the chapters 00 to 03
    "held_out_score": "",
    "sample_chain": "",
    "choose_width": "",
    "kl_divergence": "",
    "reconstruction_loss": "y",
    "estimated_E": "y",
    "principal_components": "",
    "plane_angle": "",
    "ridge_probe": "",
    "sparse_loss": "y z",
    "denoising_loss": "",
    "to_patches": "",
    "draw_mask": "",
    "masked_loss": "y",
    "reparameterise": "mu log_var",
    "kl_to_prior": "mu sigma",
    "negative_elbo": "logits mu log_var",
    "tighter_bound": "",
}
NO_GRADIENT = {"cosine_mask", "draw_class", "guidance"}  # of the result itself
NO_GRADIENT |= {"held_out_score", "sample_chain", "choose_width", "kl_divergence", "ridge_probe"}
NO_GRADIENT |= {"principal_components", "plane_angle", "to_patches", "draw_mask", "tighter_bound"}
WITHOUT_BUFFER = {"wasserstein_losses", "cosine_mask", "jacobian_norm", "gradient_penalty"}
WITHOUT_BUFFER |= {"denoising_loss"}  # whose results require gradients
WITHOUT_BUFFER |= {"draw_class"}  # whose result its decoder makes
SMALL = {"ridge_probe", "principal_components", "choose_width", "draw_mask", "sample_chain"}
SMALL |= {
    "masked_loss",
    "cosine_mask",
    "mmd2",
    "guidance",
}  # results that 3 does not cut off, or need no clamp


class Kind(NamedTuple):
    """A kind of mistake: its mutants of a question, and the words that name it."""

    name: str
    mutants: Callable[[str, Answer], Iterator[tuple[str, Answer]]]
    words: str

    def catches(self, words: str) -> bool:
        """Whether a test has named this kind."""
        return re.match(f"Misconception: .*({self.words})", words) is not None


def changed(answer: Answer, change: Callable[[dict], None]) -> Answer:
    """The answer with its arguments, by name, changed before each call."""

    @functools.wraps(answer)
    def mutant(*values):
        arguments = inspect.signature(answer).bind(*values).arguments
        change(arguments)
        return answer(*arguments.values())

    return mutant


def after(answer: Answer, effect: Callable[[dict], None]) -> Answer:
    """The answer with an effect on its arguments after each call."""

    @functools.wraps(answer)
    def mutant(*values):
        result = answer(*values)
        effect(inspect.signature(answer).bind(*values).arguments)
        return result

    return mutant


def of_result(answer: Answer, change: Callable) -> Answer:
    """The answer with each tensor of its result changed."""

    @functools.wraps(answer)
    def mutant(*values):
        result = answer(*values)
        return tuple(map(change, result)) if isinstance(result, tuple) else change(result)

    return mutant


def names_of(answer: Answer, *kinds: str) -> list[str]:
    """Names of the arguments among some that the answer takes, numbers left out."""
    numbers = {"k_sparse": "k", "ab2_step": "b", "principal_components": "k"}
    numbers |= {"denoising_loss": "sigma", "kl_divergence": "q"}
    numbers = numbers.get(answer.__name__, "")
    names = inspect.signature(answer).parameters
    return [name for name in names if name in kinds and name != numbers]


FLOATS = {"z", "W", "x", "h", "u", "a", "b", "logits", "mu", "log_var", "means", "f_real", "f_fake"}
FLOATS |= {"train", "test", "held_out", "widths", "p_first", "p_next", "h_train", "h_test"}
FLOATS |= {"sigma", "log_likelihood", "log_prior", "log_q"}
FLOATS |= {"real", "fake", "features", "w", "V", "q", "k", "v", "v_before", "x_0", "y", "x_t"}


def detached(question: str, answer: Answer) -> Iterator[tuple[str, Answer]]:
    for name in LEARNT[question].split():

        def cut(arguments, name=name):
            arguments[name] = arguments[name].detach()

        yield f"{name} is detached", changed(answer, cut)
        yield (
            f"{name} gets a gradient of another function",
            _straight_through(answer, name),
        )
    if question not in NO_GRADIENT:
        yield "the result is detached", of_result(answer, lambda got: got.detach())
        yield (
            "the result goes through numpy",
            of_result(
                answer, lambda got: torch.tensor(got.detach().numpy().copy(), requires_grad=True)
            ),
        )


def _straight_through(answer: Answer, name: str) -> Answer:
    @functools.wraps(answer)
    def mutant(*values):
        given = inspect.signature(answer).bind(*values).arguments[name].float().mean()
        result = answer(*values)
        parts = result if isinstance(result, tuple) else (result,)
        moved = tuple(part.detach() + given - given.detach() for part in parts)
        return moved if isinstance(result, tuple) else moved[0]

    return mutant


def cached(question: str, answer: Answer) -> Iterator[tuple[str, Answer]]:
    def shapes(*values):
        return tuple(tuple(v.shape) for v in values if isinstance(v, Tensor))

    def first_only(*values):
        return len(shapes(*values))

    for what, key in (("the shapes", shapes), ("nothing at all", first_only)):
        kept: dict = {}

        def mutant(*values, key=key, kept=kept):
            if key(*values) not in kept:
                kept[key(*values)] = answer(*values)
            return kept[key(*values)]

        yield f"results are kept by {what}", functools.wraps(answer)(mutant)
    buffers: dict = {}

    def one_buffer(*values):
        result = answer(*values)
        if not isinstance(result, Tensor) or result.requires_grad:
            return result
        buffer = buffers.setdefault((result.shape, result.dtype), torch.empty_like(result))
        return buffer.copy_(result)

    if question not in WITHOUT_BUFFER:
        yield "all results share one buffer", functools.wraps(answer)(one_buffer)


def mutating(question: str, answer: Answer) -> Iterator[tuple[str, Answer]]:
    for name in names_of(answer, *FLOATS):
        yield (
            f"{name} is changed in place",
            after(answer, lambda arguments, name=name: arguments[name].data.mul_(1.5)),
        )
        yield (
            f"{name} is made to require gradients",
            after(
                answer,
                lambda arguments, name=name: arguments[name].requires_grad_(
                    not arguments[name].requires_grad or not arguments[name].is_leaf
                ),
            ),
        )
    for name in names_of(answer, "labels"):
        yield (
            f"{name} are sorted in place",
            after(
                answer,
                lambda arguments, name=name: arguments[name].copy_(1 - arguments[name]),
            ),
        )
    for name in names_of(answer, "encode", "f", "decode", "denoise", "model"):
        for what, effect in (
            ("is left in eval mode", lambda net: net.eval()),
            ("is left in training mode", lambda net: net.train()),
            ("gets gradients", _give_gradients),
            ("is frozen", lambda net: net.requires_grad_(False)),
            ("is changed", lambda net: [p.data.mul_(1.01) for p in net.parameters()]),
        ):

            def on_networks(arguments, name=name, effect=effect):
                if isinstance(arguments[name], nn.Module):
                    effect(arguments[name])

            if name != "f" or question == "gradient_penalty":
                yield f"{name} {what}", after(answer, on_networks)
    if question != "principal_components":  # whose algorithm may draw
        yield "torch is seeded", after(answer, lambda arguments: torch.manual_seed(0))
    yield "gradients stay off", after(answer, lambda arguments: torch.set_grad_enabled(False))
    if question == "guidance":
        yield "gradients stay on", after(answer, lambda arguments: torch.set_grad_enabled(True))


def _give_gradients(net: nn.Module) -> None:
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)


def specialised(question: str, answer: Answer) -> Iterator[tuple[str, Answer]]:
    names = names_of(answer, *FLOATS)

    def shape_of(values) -> tuple[int, ...]:
        arguments = inspect.signature(answer).bind(*values).arguments
        if question == "sample_chain":
            return (len(arguments["p_first"]),)
        if not names:
            return tuple(v for v in arguments.values() if isinstance(v, int))
        return tuple(arguments[names[0]].shape)

    def wrong_where(where: Callable[[tuple[int, ...], tuple[int, ...]], bool]) -> Answer:
        first: list[tuple[int, ...]] = []

        @functools.wraps(answer)
        def mutant(*values):
            shape = shape_of(values)
            first.append(shape)
            result = answer(*values)
            if not where(shape, first[0]):
                return result
            if isinstance(result, tuple):
                return tuple(1.1 * part + 0.1 for part in result)
            if question == "sample_chain":
                return result.flip(1) if result.shape[1] > 1 else 0 * result
            return ~result if result.dtype == torch.bool else 1.1 * result + 0.1

        return mutant

    if question == "kl_divergence":  # its one size is the number of draws
        return
    yield "right for one number of images", wrong_where(lambda now, first: now[0] != first[0])
    yield "right for the first shape", wrong_where(lambda now, first: now != first)
    if question not in {"jacobian_norm", "cosine_mask", "draw_class"}:
        yield "wrong for few images", wrong_where(lambda now, first: now[0] < first[0])
    yield "wrong for more images", wrong_where(lambda now, first: now[0] > first[0])
    if question in {"gradient_penalty", "jacobian_norm", "project", "guidance"}:
        yield "right for one number of channels", wrong_where(lambda now, first: now[1] != first[1])
        yield "right for one width", wrong_where(lambda now, first: now[3] != first[3])
    if question in {"contractive_penalty", "k_sparse", "kl_to_class", "told", "patch_nce", "mmd2"}:
        yield "right for one K", wrong_where(lambda now, first: now[-1] != first[-1])
    for name in names_of(answer, "labels"):
        for what, change in (
            ("sorted", lambda y: y.sort().values),
            ("the test's", lambda y: torch.arange(len(y)) % 3 % (int(y.max()) + 1)),
            ("without a missing class", lambda y: y.unique(return_inverse=True)[1]),
            ("0, 1, 2 alone", lambda y: y.clamp(max=2)),
            ("all the first", lambda y: y[:1].expand(len(y))),
            ("those of the batch turned round", lambda y: y.flip(0)),
        ):

            def relabel(arguments, name=name, change=change):
                arguments[name] = change(arguments[name])

            yield f"labels: {what}", changed(answer, relabel)


def unseeded(question: str, answer: Answer) -> Iterator[tuple[str, Answer]]:
    def fresh(seed_of: Callable[[Generator], int], moves: bool) -> Answer:
        def change(arguments):
            rng = arguments["rng"]
            arguments["rng"] = torch.Generator().manual_seed(seed_of(rng))
            if moves:
                torch.rand(1, generator=rng)

        return changed(answer, change)

    if names_of(answer, "rng"):
        for moves, how in ((False, ""), (True, ", and moves rng")):
            yield f"draws with its initial seed{how}", fresh(lambda rng: rng.initial_seed(), moves)
            yield f"draws with the seed 0{how}", fresh(lambda rng: 0, moves)

        def globally(arguments):
            arguments["rng"] = torch.default_generator

        yield "draws with torch's generator", changed(answer, globally)

        def seeds_rng(arguments):
            arguments["rng"].manual_seed(3)

        yield "seeds rng itself", changed(answer, seeds_rng)


PLAIN_NOISE = {"denoising_loss", "reparameterise"}


def misshapen(question: str, answer: Answer) -> Iterator[tuple[str, Answer]]:
    randn, rand = torch.randn, torch.rand

    def instead(function: str, draw: Callable) -> Answer:
        @functools.wraps(answer)
        def mutant(*values):
            with unittest.mock.patch.object(torch, function, draw):
                return answer(*values)

        return mutant

    def shape_of(size) -> tuple[int, ...]:
        return tuple(size[0]) if isinstance(size[0], tuple | torch.Size) else size

    def uniform(*size, generator):
        return math.sqrt(12) * (rand(shape_of(size), generator=generator) - 0.5)

    def signs(*size, generator):
        return (rand(shape_of(size), generator=generator) < 0.5) * 2.0 - 1

    def laplace(*size, generator):
        u = rand(shape_of(size), generator=generator).clamp(1e-6, 1 - 1e-6) - 0.5
        return -u.sign() * (1 - 2 * u.abs()).log() / math.sqrt(2)

    def cut(*size, generator):
        return randn(shape_of(size), generator=generator).clamp(-1.5, 1.5) / 0.882

    def recurring(draw):
        def recurs(*size, generator):
            n, *rest = shape_of(size)
            few = draw(min(n, 64), *rest, generator=generator)
            return few.repeat(-(-n // 64), *[1 for _ in rest])[:n]

        return recurs

    def opposite(draw, around):
        def opposes(*size, generator):
            n, *rest = shape_of(size)
            half = draw((n + 1) // 2, *rest, generator=generator)
            return torch.cat([half, 2 * around - half])[:n]

        return opposes

    def shared(*size, generator):
        n, *rest = shape_of(size)
        return randn(n, *[1 for _ in rest], generator=generator).expand(n, *rest).clone()

    def slow(*size, generator):  # each row remembers the one before
        x = randn(shape_of(size), generator=generator)
        for k in range(1, len(x)):
            x[k] = 0.6 * x[k - 1] + 0.8 * x[k]
        return x

    def grid(*size, generator):
        return (rand(shape_of(size), generator=generator) * 6).floor() / 6 + 1 / 12

    def bent(*size, generator):  # the mean and variance of a uniform number
        x = rand(shape_of(size), generator=generator)
        return 0.5 + (x < 0.5).float().mul(2).sub(1) / math.sqrt(12)

    def blocks(*size, generator):  # neighbouring places together
        n, P = shape_of(size)
        first = (rand(n, 1, generator=generator) * P).floor()
        return ((torch.arange(P) - first) % P) / P

    if question in {"jacobian_norm", "mmd_vae_loss", "draw_class", *PLAIN_NOISE}:
        yield "uniform noise", instead("randn", uniform)
        yield "signs", instead("randn", signs)
        yield "Laplace noise", instead("randn", laplace)
        yield "noise without tails", instead("randn", cut)
        yield "64 rows, repeated", instead("randn", recurring(randn))
        yield "one number for all units", instead("randn", shared)
        yield "neighbours alike", instead("randn", slow)
        if question != "jacobian_norm":  # whose estimate is the same for v and -v
            yield "pairs of opposite sign", instead("randn", opposite(randn, 0.0))
    if question == "gradient_penalty":
        yield "a grid", instead("rand", grid)
        yield "two values", instead("rand", bent)
        yield "64 numbers, repeated", instead("rand", recurring(rand))
        yield "u and 1 - u", instead("rand", opposite(rand, 0.5))
    if question in {"cosine_mask", "draw_mask"}:
        yield "neighbouring places", instead("rand", blocks)
        yield "64 masks, repeated", instead("rand", recurring(rand))


def clamped(question: str, answer: Answer) -> Iterator[tuple[str, Answer]]:
    skipped = {"mmd_vae_loss": ["x", "z"], "contractive_penalty": ["z"], "patch_nce": ["k"]}
    skipped |= {"gradient_penalty": [], "cosine_mask": ["u"], "choose_width": ["widths"]}
    skipped |= {"sample_chain": ["p_first", "p_next"]}
    images = ("reconstruction_loss", "estimated_E", "sparse_loss", "denoising_loss", "masked_loss")
    skipped |= {name: ["x"] for name in (*images, "negative_elbo")}  # between -1 and 1
    for name in names_of(answer, *FLOATS):
        if name not in skipped.get(question, []):

            def cut(arguments, name=name):
                arguments[name] = arguments[name].clamp(-5, 5)

            yield f"{name} is cut off at 5", changed(answer, cut)
    if question not in SMALL | {"draw_class"}:
        yield "the result is cut off at 3", of_result(answer, lambda got: got.clamp(-3, 3))
    for right, wrong in EPSILONS.get(question, []):
        yield f"`{wrong}`", compiled(question, right, wrong)


EPSILONS = {  # replacements of a solution's text
    "patch_nce": [
        ("alike.log_softmax(dim=2)", "(alike.softmax(dim=2) + 1e-8).log()"),
        ("alike.log_softmax(dim=2)", "alike.softmax(dim=2).clamp(min=1e-6).log()"),
        ("alike.log_softmax(dim=2)", "alike.exp().div(alike.exp().sum(2, keepdim=True)).log()"),
    ],
    "mmd_vae_loss": [
        ("F.logsigmoid(x * logits)", "(torch.sigmoid(x * logits) + 1e-8).log()"),
        ("F.logsigmoid(x * logits)", "torch.sigmoid(x * logits).log()"),
    ],
    "kl_to_class": [
        ("log_var.exp() - log_var", "log_var.clamp(-8, 8).exp() - log_var.clamp(-8, 8)"),
        ("log_var.exp() - log_var", "log_var.exp() - (log_var.exp() + 1e-6).log()"),
    ],
}


def compiled(question: str, right: str, wrong: str) -> Answer:
    """The answer with a piece of its text replaced."""
    source = solutions(assignment_of(question))[question]
    assert source.count(right) == 1, (question, right)
    return defined(question, source.replace(right, wrong))


def assignment_of(question: str) -> str:
    return next(name for name in NAMES if question in solutions(name))


def right_answer(question: str) -> Answer:
    return defined(question, solutions(assignment_of(question))[question])


def defined(question: str, source: str, before: str = "import warnings") -> Answer:
    """The function that a cell defines, after the set-up cell and another one."""
    from test_masters import set_up

    namespace = dict(set_up(assignment_of(question)))
    exec(before, namespace)
    exec(source, namespace)
    return namespace[question]


def said(question: str, answer: Answer) -> str:
    """What the hidden test says of an answer; nothing if it passes."""
    grad = torch.is_grad_enabled()
    try:
        examine(f"{assignment_of(question)}.{question}", answer)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        torch.set_grad_enabled(grad)
    return ""


KINDS = [
    Kind("no gradient behind a right value", detached, "gradient|detach|create_graph"),
    Kind("state kept between calls", cached, "keep nothing|earlier|anew|has not moved|recur"),
    Kind(
        "side effects",
        mutating,
        "changed|restored|frozen|grad|mode|random state|enabled|new samples",
    ),
    Kind(
        "right for some sizes or labels",
        specialised,
        "for one size|one set of labels|one case|label|class 0|For 1500 images",
    ),
    Kind("draws that ignore their generator", unseeded, "rng|generator|anew|seed"),
    Kind(
        "a wrong distribution with the right mean and variance",
        misshapen,
        "not normal|not uniform|recur|together|opposite|shared|places|direction|not N|"
        "Gaussian|cut off",
    ),
    Kind("cut off against NaN", clamped, "extreme|cut off"),
]


def not_named(check: Callable[[Answer], object], question: str, answer: Answer) -> list[str]:
    """The mutants of an exercise's right answer that its check does not name, and what it says."""
    missed, tried, grad = [], 0, torch.is_grad_enabled()
    for kind in KINDS:
        for label, mutant in kind.mutants(question, answer):
            words, tried = "", tried + 1
            try:
                check(mutant)
            except Exception as error:
                words = f"{type(error).__name__}: {error}"
            finally:
                torch.set_grad_enabled(grad)
            if not kind.catches(words):
                missed.append(f"{kind.name}, {label}: {words}")
    assert tried >= 5, f"only {tried} mutants apply"
    return missed


def verdicts() -> Iterator[tuple[str, str, str, str, bool]]:
    """Question, kind and label of each mutant, what its test says, and whether it is caught."""
    for question in [question for name in NAMES for question in solutions(name)]:
        for kind in KINDS:
            for label, mutant in kind.mutants(question, right_answer(question)):
                words = said(question, mutant)
                yield question, kind.name, label, words, kind.catches(words)
