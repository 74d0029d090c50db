"""Stamps: digests of the code that a stored result depends on.

A command that takes minutes computes the digest of the files it covers, runs, and writes a report
that ends in this digest. ``make test`` compares it with the digest of the present files. Comments,
docstrings and the prose of chapters are not part of a digest; everything else is, including the
layout of the code.
"""

import ast
import hashlib
import re
import warnings
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

MUTANTS = (  # changed code, tests that must fail, and the program; no code that only draws
    "gen_lib/**/*.py",
    "gen_course/common/checks.py",
    "gen_course/common/properties.py",
    "gen_course/ch0[1-689]_*/checks.py",
    "gen_course/ch0[1-689]_*/chapter.py",
    "gen_course/homework/hw*.py",
    "gen_course/homework/grading.py",
    "gen_course/homework/hidden/*.py",
    "gen_course/build/solutions.py",
    "tests/conftest.py",
    "tests/homework/kinds.py",
    "tests/homework/styles.py",
    "tests/homework/submissions.py",
    "tests/homework/test_masters.py",
    "tests/library/data/test_people_sets.py",
    "tests/library/data/test_people_words.py",
    "tests/library/data/test_text.py",
    "tests/library/diffusers_reference.*",
    "tests/library/metrics/test_obedience.py",
    "tests/library/metrics/test_text.py",
    "tests/library/models/*.py",
    "tests/library/nets/test_attention.py",
    "tests/library/nets/test_transformer.py",
    "tests/library/nets/test_word_unet.py",
    "tests/library/test_samplers.py",
    "tests/library/test_schedules.py",
    "tests/library/training/test_checkpoints.py",
    "tests/library/training/test_loop.py",
    "tests/library/training/test_muon.py",
    "tests/library/training/test_threads.py",
    "tests/mutants/mutants.py",
    "tests/mutants/mutants.toml",
    "requirements.txt",
)
SECTIONS = (  # all that a cell runs or reads; weights count by the hash on their card
    "gen_lib/**/*.py",
    "gen_course/common/*.py",
    "gen_course/common/*.mplstyle",
    "gen_course/ch*/*.py",
    "gen_course/ch*/quiz.json",
    "gen_course/ch*/*.toml",
    "gen_course/ch*/*.txt",
    "gen_course/ch*/studies/*.csv",
    "gen_course/ch*/studies/*.json",
    "gen_course/build/lecturer.py",
    "gen_course/build/solutions.py",
    "data/pretrained/*.json",
    "data/pretrained/*.npz",
    "tests/build/sections.py",
    "requirements.txt",
)
RELIABILITY = (  # the library and the tests marked ``fault``
    "gen_lib/**/*.py",
    "gen_course/build/tidy.py",
    "tests/conftest.py",
    "tests/faults/*.py",
    "tests/homework/test_tidy.py",
    "tests/library/training/test_distributed.py",
    "requirements.txt",
)

LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", "film.py", "films.py"}  # films: only on slides
LAST_LINE = re.compile(r"\s*<!-- covers: ([0-9a-f]{64}) -->\s*\Z")
CELL = re.compile(r"^# %%(?=\s)(.*)\n", re.M)
STRING_OR_SPACE = re.compile(
    rb"""('{3}|"{3}|'|")(?:\\.|[^\\])*?\1|(?:[ \t\f]*(?:#[^\n]*)?\n)+""", re.S
)


def covered(patterns: Sequence[str], root: Path) -> list[Path]:
    """The files under the root that match, sorted; a pattern without a file is a ValueError."""
    found: set[Path] = set()
    for pattern in patterns:
        files = root.glob(f"{pattern}/*" if pattern.endswith("**") else pattern)
        kept = {f for f in files if f.is_file() and not LEFT_OUT & {*f.relative_to(root).parts}}
        if not kept:
            raise ValueError(f"A stamp would cover nothing of {pattern!r}: no file matches.")
        found |= kept
    return sorted(found)


def digest(files: Iterable[Path], root: Path) -> str:
    """One hash over the paths and the relevant content of files below the root, in any order."""
    total = hashlib.sha256()
    for name, file in sorted({file.relative_to(root).as_posix(): file for file in files}.items()):
        total.update(f"{name}\0{hashlib.sha256(_meaning(file)).hexdigest()}\n".encode())
    return total.hexdigest()


def read(path: Path) -> str | None:
    """The stamp of a report; None if there is no report or no stamp at its end."""
    found = LAST_LINE.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found[1] if found else None


def write(path: Path, text: str, stamp: str) -> None:
    """Write a Markdown report and, as its last line, the digest of what it holds for."""
    body = LAST_LINE.sub("", text).rstrip()
    path.write_text(f"{body}\n\n<!-- covers: {stamp} -->\n", encoding="utf-8", newline="\n")


def check(path: Path, patterns: Sequence[str], root: Path, command: str) -> None:
    """Raise an AssertionError that names the command if a report's stamp is out of date."""
    if read(path) != digest(covered(patterns, root), root):
        name = path.relative_to(root).as_posix()
        raise AssertionError(f"{name} was written for other code: run `{command}`.")


def _meaning(file: Path) -> bytes:
    content = file.read_bytes()
    if b"\0" in content:  # not a text file
        return content
    content = re.sub(rb"\r\n?", b"\n", content)
    if file.suffix != ".py":
        return content
    text = content.decode("utf-8-sig") + "\n"
    return _cells(text) if re.match(r"# (%%\s|---\n)", text) else code_of(text)


def _cells(text: str) -> bytes:
    """A percent script's code cells with their tags, and the headings that divide its sections."""
    before, *rest = CELL.split(text)
    parts = [code_of(before)]
    for head, body in zip(rest[::2], rest[1::2], strict=True):
        if "[markdown]" in head and all(line[:1] in ("", "#") for line in body.splitlines()):
            parts += [heading.encode() for heading in re.findall(r"^# ## .+", body, re.M)]
        else:
            magics_too = re.sub(r"^# (?=[%!])", "", body, flags=re.M)
            parts += [f"# %%{head.rstrip()}".encode(), code_of(magics_too)]
    return b"\n".join(parts)


def code_of(text: str) -> bytes:
    """Python code without comments, blank lines and docstrings (all strings that stand alone).

    Text that Python cannot parse is returned as it is. The result is neither tokens nor a dump of
    the syntax tree, because both differ from one version of Python to the next.
    """
    code = text.encode()
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(code)
    except SyntaxError:  # a cell with magics
        return code
    alone = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    starts = [0, 0, *accumulate(len(line) + 1 for line in code.split(b"\n"))]  # of line 1, 2, ...
    for words in sorted(alone, key=lambda words: (words.lineno, words.col_offset), reverse=True):
        end = starts[words.end_lineno or 0] + (words.end_col_offset or 0)
        code = code[: starts[words.lineno] + words.col_offset] + code[end:]
    return STRING_OR_SPACE.sub(lambda found: found[0] if found[1] else b"\n", code).strip()
