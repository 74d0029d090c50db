"""The films of the chapters, computed once: a later build reads them from ``build/films/``."""

import hashlib
import importlib
import inspect
import json
from functools import cache
from types import ModuleType

from gen_course.build import notebooks, places
from gen_course.common.film import Encoded, encode

STORE = places.ROOT / "build" / "films"


def exists(chapter: str, name: str) -> bool:
    """Whether the chapter has a film of this name."""
    return name in named(chapter)


def named(chapter: str) -> list[str]:
    """The names of a chapter's films."""
    module = _module(chapter)
    if module is None:
        return []
    own = inspect.getmembers(module, inspect.isfunction)
    return [
        name for name, f in own if not name.startswith("_") and f.__module__ == module.__name__
    ]


@cache
def film(chapter: str, name: str) -> Encoded:
    """A film, read from the store, or computed if the code or data that it uses has changed."""
    stored = STORE / f"{chapter}-{name}-{_stamp(chapter)[:16]}"
    parts = [stored.with_suffix(suffix) for suffix in (".webp", ".png", ".json")]
    if all(part.is_file() for part in parts):
        width, height, alt = json.loads(parts[2].read_text(encoding="utf-8"))
        return Encoded(parts[0].read_bytes(), parts[1].read_bytes(), width, height, alt)
    made = encode(getattr(_module(chapter), name)())
    STORE.mkdir(parents=True, exist_ok=True)
    parts[0].write_bytes(made.webp)
    parts[1].write_bytes(made.png)
    parts[2].write_text(json.dumps([made.width, made.height, made.alt]), encoding="utf-8")
    return made


def _module(chapter: str) -> ModuleType | None:
    if not (places.folder(chapter) / "films.py").is_file():
        return None
    return importlib.import_module(f"gen_course.ch{chapter}.films")


@cache
def _stamp(chapter: str) -> str:
    """One hash over everything that the films depend on."""
    code = (places.folder(chapter) / "films.py").read_text(encoding="utf-8")
    modules = [file.read_bytes() for file in sorted(notebooks.used_modules(code))]
    used = notebooks.used_files(code, [module.decode() for module in modules])
    data = [file.read_bytes() for file in sorted(used)]
    return hashlib.sha256(b"\0".join([code.encode(), *modules, *data])).hexdigest()
