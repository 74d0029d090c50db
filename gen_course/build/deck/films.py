"""The films of the chapters, computed once: a later build reads them from ``build/films/``."""

import ast
import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gen_course.build import notebooks, places

if TYPE_CHECKING:  # imports torch, which a build without a new film does not need
    from gen_course.common.film import Encoded

STORE = places.ROOT / "build" / "films"


def named(chapter: str) -> list[str]:
    """The films of a chapter: the public functions without arguments in its ``films.py``."""
    file = _file(chapter)
    tree = ast.parse(file.read_text(encoding="utf-8") if file.is_file() else "")
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [f.name for f in functions if not f.name.startswith("_") and not ast.unparse(f.args)]


@cache
def film(chapter: str, name: str) -> "Encoded":
    """A film, read from the store, or computed if the code or data that it uses has changed."""
    from gen_course.common.film import Encoded, encode

    stored = STORE / f"{chapter}-{name}-{_stamp(chapter)[:16]}"
    webp, png, rest = (stored.with_suffix(suffix) for suffix in (".webp", ".png", ".json"))
    if all(part.is_file() for part in (webp, png, rest)):
        width, height, alt = json.loads(rest.read_text(encoding="utf-8"))
        return Encoded(webp.read_bytes(), png.read_bytes(), width, height, alt)
    made = encode(getattr(_module(chapter), name)())
    STORE.mkdir(parents=True, exist_ok=True)
    webp.write_bytes(made.webp)
    png.write_bytes(made.png)
    rest.write_text(json.dumps([made.width, made.height, made.alt]), encoding="utf-8")
    return made


@cache
def _module(chapter: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"gen_course.ch{chapter}.films", _file(chapter))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _file(chapter: str) -> Path:
    return places.folder(chapter) / "films.py"


@cache
def _stamp(chapter: str) -> str:
    """One hash over everything that the films depend on."""
    code = _file(chapter).read_text(encoding="utf-8")
    modules = [file.read_text(encoding="utf-8") for file in sorted(notebooks.used_modules(code))]
    data = [file.read_bytes() for file in sorted(notebooks.used_files(code, modules))]
    return hashlib.sha256(
        b"\0".join([text.encode() for text in [code, *modules]] + data)
    ).hexdigest()
