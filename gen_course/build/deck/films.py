"""The films of the chapters, computed once: a later build reads them from ``build/films/``."""

import ast
import hashlib
import importlib.util
import json
import os
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
    for old in set(STORE.glob(f"{chapter}-{name}-*")) - {webp, png, rest}:
        old.unlink(missing_ok=True)
    _write(webp, made.webp)
    _write(png, made.png)
    _write(rest, json.dumps([made.width, made.height, made.alt]).encode())
    return made


def _write(path: Path, content: bytes) -> None:
    """Write a file at once, for another process may read it or write the same."""
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


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
