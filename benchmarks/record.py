"""Write what the benchmarks measured to ``measured/NAME.json``, which ``report.py`` reads."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import GAN, Diffusion
from gen_lib.training import fit
from gen_lib.training.hardware import machine

MEASURED = Path(__file__).with_name("measured")
START = time.perf_counter()


def write(name: str, rows: list[dict[str, Any]], verdicts: list[str] | None = None) -> None:
    """Save a benchmark's rows, its verdicts in words, and the machine they were measured on."""
    MEASURED.mkdir(exist_ok=True)
    minutes = (time.perf_counter() - START) / 60
    facts = {"machine": machine(), "threads": torch.get_num_threads(), "minutes": minutes}
    text = json.dumps(facts | {"verdicts": verdicts or [], "rows": rows}, indent=2)
    (MEASURED / f"{name}.json").write_text(text + "\n")


class Run(NamedTuple):
    """The result of one model whose samples are measured."""

    name: str
    minutes: float
    images: int
    seconds: float
    """Seconds that sampling took."""
    frechet: float


def of_course(
    kind: type[GAN | Diffusion], quality: SampleQuality, n: int, how: Any, **budget: Any
) -> Run:
    """Train a model of the course with the course's own loop, and measure its samples.

    Args:
        kind: class of the model.
        quality: measures the samples.
        n: number of samples.
        how: more arguments of ``sample``, by name.
        budget: ``minutes`` or ``steps`` of training.
    """
    torch.manual_seed(0)
    model = kind()
    size = model.batch_size
    history = fit(model, quality.images.train, batch_size=size, show_bar=False, **budget)
    start = time.perf_counter()
    x = model.sample(n, torch.Generator().manual_seed(0), **how)
    seconds = time.perf_counter() - start
    minutes = history.seconds[-1] / 60
    return Run("course", minutes, history.steps * size, seconds, quality.frechet(x))


class Race:
    """A table of runs to compare; each is printed when it is added, and all are saved at the end.

    Args:
        quality: measures the samples.
        n: number of samples of each run.
    """

    def __init__(self, quality: SampleQuality, n: int):
        self.quality, self.n, self.runs = quality, n, list[Run]()
        self.floor = quality.frechet_floor(n)
        print(f"{torch.get_num_threads()} threads, {n} samples, floor {self.floor:.3f}")
        times = f"{'':28} {'minutes':>7} {'images':>9} {'sampling, s':>11}"
        print(f"{times} {'Fréchet':>8} {'x floor':>8}")

    def add(self, run: Run) -> Run:
        """Print one line of the table, and remember it."""
        self.runs.append(run)
        times = f"{run.name:28} {run.minutes:7.2f} {run.images:9,} {run.seconds:11.1f}"
        print(f"{times} {run.frechet:8.3f} {run.frechet / self.floor:8.0f}", flush=True)
        return run

    def finish(self, name: str, verdict: Callable[[Run, Run], str]) -> bool:
        """Print and save a verdict on the first run against each peer; return whether all pass."""
        ours, *others = self.runs
        verdicts = [verdict(ours, run) for run in others if run.name != ours.name]
        print(*verdicts, sep="\n")
        rows = [run._asdict() | {"n": self.n, "floor": self.floor} for run in self.runs]
        write(name, rows, verdicts)
        return not any(line.startswith("FAIL") for line in verdicts)
