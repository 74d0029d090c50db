"""Estimate how long a chapter takes on the reader's machine; report the time and memory used.

The minutes that a chapter states were measured on the reference machine when its notebook was last
built (``minutes.json`` beside this file, written by ``make notebooks``). ``calibrate`` runs the
same ten seconds of training on the reader's machine; the ratio scales the stated minutes.
"""

import json
import math
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from platformdirs import user_cache_path
from torch import nn

from gen_lib.files import write_whole
from gen_lib.training.hardware import machine

MINUTES_FILE = Path(__file__).with_name("minutes.json")
_start = time.perf_counter()


def calibrate(seconds: float = 10.0) -> float:
    """Measure the training steps per second of a small fixed network; save them for ``stated``."""
    from tqdm.auto import tqdm

    layers = [nn.Conv2d(4, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)]
    net, x = nn.Sequential(*layers), torch.zeros(128, 4, 14, 14)
    steps, spent, start = 0, 0.0, time.perf_counter()
    with tqdm(total=round(seconds), unit="s", desc="calibrating", leave=False) as bar:
        while spent < seconds:
            torch.autograd.grad(net(x).square().mean(), list(net.parameters()))
            steps, spent = steps + 1, time.perf_counter() - start
            bar.update(min(int(spent), bar.total) - bar.n)
    with suppress(OSError):  # without room for it, the speed is not remembered
        write_whole(_speed_file(), json.dumps(steps / spent).encode())
    return steps / spent


def measured() -> dict[str, Any]:
    """What the last build measured: ``machine``, ``speed`` (steps per second), ``minutes``."""
    unknown: dict[str, Any] = {"machine": machine(), "speed": None, "minutes": {}}
    try:
        return unknown | dict(json.loads(MINUTES_FILE.read_text()))
    except (OSError, ValueError, TypeError):
        return unknown


def stated(chapter: str) -> str:
    """One sentence: the chapter's minutes on the reference machine and an estimate for this one."""
    reference = measured()
    if chapter not in reference["minutes"]:
        return "The minutes of this chapter have not been measured yet."
    minutes = reference["minutes"][chapter]
    sentence = f"Run All took {minutes:.1f} min on the reference machine ({reference['machine']})."
    if (speed := _speed()) is None:
        return f"{sentence} Run the calibration of chapter 00 to scale this to your machine."
    return (
        f"{sentence} On this machine expect about {minutes * reference['speed'] / speed:.1f} min."
    )


def report() -> str:
    """One sentence: seconds since this module was imported, and the peak memory so far."""
    spent = time.perf_counter() - _start
    return f"{spent:.0f} s since the set-up cell; {peak_memory() / 2**30:.2f} GB of memory at most."


def peak_memory() -> int:
    """The peak resident memory of this process so far, in bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _speed() -> float | None:
    """The speed that ``calibrate`` saved; None if there is no readable one."""
    try:
        speed = json.loads(_speed_file().read_text())
    except (OSError, ValueError):
        return None
    return speed if isinstance(speed, int | float) and 0 < speed < math.inf else None


def _speed_file() -> Path:
    return user_cache_path("gen_lib") / "speed.json"
