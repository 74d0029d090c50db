"""Measure what importing the library costs beside importing torch (``make bench``).

Each statement runs in new processes, in turn with the others, after one warm-up.
"""

import statistics
import subprocess
import sys
import time

import record

PARTS = (
    "gen_lib.data, gen_lib.models, gen_lib.training, gen_lib.training.checkpoints, gen_lib.metrics"
)
STATEMENTS = ("import torch", "import gen_lib", f"import {PARTS}")
ROUNDS = 7
ALLOWED = 1.3  # at most so many times as long as importing torch


def seconds(statement: str) -> float:
    """Wall time of a new process that runs the statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the median seconds of each statement and its ratio to torch's, and a verdict."""
    rounds = [[seconds(s) for s in STATEMENTS] for _ in range(ROUNDS + 1)][1:]
    medians = [statistics.median(times) for times in zip(*rounds, strict=True)]
    rows = [
        {"statement": statement, "seconds": median, "ratio": median / medians[0]}
        for statement, median in zip(STATEMENTS, medians, strict=True)
    ]
    for row in rows:
        print(f"{row['seconds']:6.2f} s   {row['ratio']:5.2f} x   {row['statement']}")
    ratio = rows[-1]["ratio"]
    verdict = (
        f"{'PASS' if ratio <= ALLOWED else 'FAIL'}: importing the library takes {ratio:.2f} times "
        f"what importing torch takes (allowed: {ALLOWED:g})."
    )
    print(verdict)
    record.write("import_cost", rows, [verdict])
    sys.exit(verdict.startswith("FAIL"))


if __name__ == "__main__":
    main()
