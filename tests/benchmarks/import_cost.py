"""What importing the library costs beside importing torch (``make bench``).

Fresh processes, in turns, after one warm-up of each; the target is a ratio of at most 1.3.
"""

import statistics
import subprocess
import sys
import time

ROOMS = "gen_lib.data, gen_lib.models, gen_lib.training, gen_lib.checkpoints, gen_lib.metrics"
STATEMENTS = ("import torch", "import gen_lib", f"import {ROOMS}")
ROUNDS = 7


def seconds(statement: str) -> float:
    """Wall time of a fresh process that runs the statement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the median seconds of each statement and its ratio to torch's."""
    rounds = [[seconds(s) for s in STATEMENTS] for _ in range(ROUNDS + 1)][1:]
    medians = [statistics.median(times) for times in zip(*rounds, strict=True)]
    for statement, median in zip(STATEMENTS, medians, strict=True):
        print(f"{median:6.2f} s   {median / medians[0]:5.2f} x   {statement}")


if __name__ == "__main__":
    main()
