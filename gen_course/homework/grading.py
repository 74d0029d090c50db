"""Run a hidden test of the homework in the student's kernel, isolated from its notebook."""

import contextlib
import functools
import importlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import torch

MOST_MEMORY = 3 * 2**30  # bytes that a test may use beyond what its notebook holds already
_ENDED = object()


Test = Callable[[Callable], None]


def examine(question: str, answer: Callable, test: Test | None = None, seal: str = "") -> None:
    """Test the answer to a question, ``"hw2_vae.mmd2"``, and say so if it has passed.

    The test is the function of that name in ``gen_course.homework.hidden``, or the one given. It
    starts with the same random state and settings whatever the notebook did, prints nothing (to
    nbgrader, words on stderr are a failure), and must run to its end: the grader believes only the
    line ``passed: QUESTION SEAL`` with the number that it gave (``gen_course.homework.believe``).
    """
    assignment, _, name = question.partition(".")
    hidden = "gen_course.homework.hidden"
    test = test or getattr(_private(f"{hidden}.{assignment}"), name)
    before = [(module, tuple(vars(module).items())) for module in _MODULES]
    try:
        ended = _isolated(test, answer)
    finally:
        replaced = _restored(before)
    if replaced:
        raise RuntimeError("The answer has replaced a tool of the tests: no verdict is believed.")
    if ended is not _ENDED:
        raise RuntimeError("The test did not run to its end: something swallowed its verdict.")
    _require_sound_tools(_private("gen_course.common.checks"))
    sys.stdout.write(f"passed: {question} {seal}".rstrip() + "\n")


@functools.cache
def _private(name: str) -> ModuleType:
    """A copy of a module, and of what it uses of this course, which the notebook cannot change."""
    kept = {name: sys.modules.pop(name) for name in [*sys.modules] if _of_course(name)}
    try:
        return importlib.import_module(name)
    finally:
        for new in [new for new in sys.modules if _of_course(new)]:
            _MODULES.append(sys.modules.pop(new))
        sys.modules.update(kept)


_MODULES: list[ModuleType] = []  # all copies that ``_private`` has made


def _restored(before: list[tuple[ModuleType, tuple]]) -> bool:
    """Whether an answer has replaced something in modules, which now hold again what they held."""
    replaced = False
    for module, names in before:
        if any(vars(module).get(name) is not value for name, value in names):
            replaced = True
            vars(module).update(names)
    return replaced


def _of_course(name: str) -> bool:
    return name.partition(".")[0] == "gen_course"


def _isolated(test: Test, answer: Callable) -> object:
    """Run a test; return ``_ENDED`` if it ran to its end, whatever a context manager swallows."""
    ended, quiet = None, io.StringIO()
    dtype, state = torch.get_default_dtype(), torch.get_rng_state()
    grad = torch.is_grad_enabled()
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.default_generator.manual_seed(20_011)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            _bounded_memory(),
        ):
            warnings.simplefilter("ignore")
            test(answer)
            ended = _ENDED
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "alloc" in str(error):
            gigabytes = MOST_MEMORY / 2**30
            raise MemoryError(
                f"Your function needs more than {gigabytes:.0f} GB for a small input: which large "
                "tensor does it make?"
            ) from None
        raise
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.set_rng_state(state)
    return ended


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let allocations fail beyond a limit, so that the kernel lives on. Only Linux can do this."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as pages:
            held = int(pages.read().split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError):
        yield
        return
    most = held + MOST_MEMORY
    if before[0] != resource.RLIM_INFINITY:
        most = min(most, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _require_sound_tools(tools: ModuleType) -> None:
    """Raise if the tools of the tests call wrong things right, as after they were replaced."""
    one, other = torch.ones(2), torch.tensor([1.0, 2.0])
    sound = not torch.allclose(one, other) and not torch.equal(one, other)
    sound = sound and not tools.same(one, other) and not bool((one == other).all())
    try:
        tools.require(False, "")
        sound = False
    except AssertionError:
        pass
    if not sound:
        raise RuntimeError("The tools of the tests have been replaced: no verdict is believed.")
