"""Run each section of a chapter after its set-up cell alone.

    python tests/build/sections.py 03_vae

Left out is what trains, and what needs it. Not in pytest's own process: there the types of the
library are checked more strictly than a notebook has to know.
"""

import os
import sys

import matplotlib.pyplot as plt

from gen_course.build import lecturer, places

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


def main(chapter: str) -> None:
    """Every section in a namespace of its own, in which only the set-up cell has run."""
    os.chdir(places.NOTEBOOKS)
    needs = lecturer.needs(chapter)
    (_, setup), *sections = lecturer.sections(chapter)
    ready = run(setup, {"__name__": "__main__"})
    for heading, codes in sections:
        if not (trains(heading) or needs[heading]):
            print(f"== {heading}", flush=True)
            run(codes, ready.copy())


if __name__ == "__main__":
    main(sys.argv[1])
