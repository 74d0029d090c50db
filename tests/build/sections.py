"""Run each section of a chapter after its set-up cell alone.

    python tests/build/sections.py           every chapter, two at a time; writes tests/sections.md
    python tests/build/sections.py 03_vae    one chapter

Sections that train, and those that need their result, are left out. This does not run inside
pytest, because there the library's types are checked, more strictly than a notebook needs.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import matplotlib.pyplot as plt

from gen_course.build import lecturer, places, stamps

REPORT = places.ROOT / "tests" / "sections.md"
HEAD = """# Sections that run after the set-up cell alone

Written by `make test-sections`, which runs every section of every chapter in a namespace in which
only the chapter's set-up cell has run. Sections that train, and those that need their result, are
left out.

| Chapter | Sections run |
|---|---|
"""
FITS = {  # in 00 nothing is shipped: its models are fitted to 400 points in a second
    "Idea: four models of one distribution",
    "Build: an autoregressive model in twenty lines",
}


def trains(heading: str) -> bool:
    """Whether a section is there to train or fit models."""
    return heading.startswith("Train") or heading in FITS


def run(codes: list[str], names: dict[str, object]) -> dict[str, object]:
    """Execute cells, as a kernel would, and return the names they leave."""
    for code in codes:
        exec(code, names)
    plt.close("all")
    return names


def run_chapter(chapter: str) -> None:
    """Run every section in its own namespace, in which only the set-up cell has run."""
    mpl.use("agg")
    needs = lecturer.needs(chapter)
    (_, setup), *sections = lecturer.sections(chapter)
    ready = run(setup, {"__name__": "__main__"})
    for heading, codes in sections:
        if not (trains(heading) or needs[heading]):
            print(f"== {heading}", flush=True)
            run(codes, ready.copy())


def run_in_process(chapter: str) -> subprocess.CompletedProcess[str]:
    """``run_chapter`` in a process of one thread."""
    command = [sys.executable, __file__, chapter]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_thread, capture_output=True, text=True, check=False)
    print(f"{chapter}: {'ran' if done.returncode == 0 else 'FAILED'}", flush=True)
    return done


def main() -> int:
    """Run every chapter, write the report if all ran, and return how many failed."""
    code = stamps.digest(stamps.covered(stamps.SECTIONS, places.ROOT), places.ROOT)
    with ThreadPoolExecutor(2) as pool:
        runs = dict(
            zip(places.chapters(), pool.map(run_in_process, places.chapters()), strict=True)
        )
    failed = {chapter: done for chapter, done in runs.items() if done.returncode}
    for chapter, done in failed.items():
        print(f"== {chapter}\n{done.stdout[-200:]}{done.stderr[-2_000:]}", file=sys.stderr)
    if not failed:
        rows = [f"| {name} | {done.stdout.count('== ')} |\n" for name, done in runs.items()]
        stamps.write(REPORT, HEAD + "".join(rows), code)
    return len(failed)


if __name__ == "__main__":
    sys.exit(run_chapter(sys.argv[1]) if sys.argv[1:] else bool(main()))
