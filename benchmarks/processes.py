"""Compare two training processes of one thread each with one: images of diffusion a second.

    python benchmarks/processes.py [--steps 60]

Both train with the course's command; ``accelerate launch`` starts the two processes. Each is run
three times, and the median step counts. The first steps, which allocate memory, are left out.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import record

from gen_lib.models import Diffusion

WANTED = 1.6
SKIPPED = 5
ALONE = ["-m", "gen_lib"]
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--main_process_port", "0"]
TOGETHER = [*LAUNCH, "--num_processes", "2", *ALONE]


def images_a_second(launch: list[str], processes: int, steps: int) -> float:
    """Images a second of all processes together, from the history file of the run."""
    with tempfile.TemporaryDirectory() as folder:
        train = ["train", "diffusion", "--steps", str(steps), "--out", f"{folder}/run"]
        one_thread = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
        subprocess.run([sys.executable, *launch, *train], check=True, env=one_thread)
        rows = csv.DictReader((Path(folder) / "run" / "history.csv").read_text().splitlines())
        seconds = [float(row["seconds"]) for row in rows][SKIPPED:]
    a_step = statistics.median(b - a for a, b in pairwise(seconds))
    return processes * Diffusion.batch_size / a_step


def main() -> None:
    """Measure both in turn, print a verdict, and save the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60, help="of each run")
    steps = parser.parse_args().steps
    pairs = [
        (images_a_second(ALONE, 1, steps), images_a_second(TOGETHER, 2, steps)) for _ in range(3)
    ]
    one, two = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    gain = two / one
    verdict = (
        f"{'PASS' if gain >= WANTED else 'FAIL'}: two processes of one thread train diffusion on "
        f"{two:.0f} images a second, one on {one:.0f}: {gain:.2f} times (wanted: {WANTED:g})."
    )
    print(verdict)
    rows = [{"processes": n, "images_a_second": rate} for n, rate in ((1, one), (2, two))]
    record.write("processes", rows, [verdict])
    sys.exit(gain < WANTED)


if __name__ == "__main__":
    main()
