"""Say how long a chapter took on the reference machine, and compare this machine with that one.

The minutes that a chapter states were measured on the reference machine when its notebook was last
built (``minutes.json`` beside this file, written by ``make notebooks``). They are not converted
into minutes of the reader's machine, because ten seconds of one network do not predict those.
``compared`` says how the two machines compare, as a power of two; ten seconds do support that.
Nothing is remembered between notebooks: a stored notebook never shows a private measurement.
"""

import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from gen_lib.training.hardware import machine

MINUTES_FILE = Path(__file__).with_name("minutes.json")
_start = time.perf_counter()


def calibrate(seconds: float = 10.0) -> float:
    """Measure how fast one core trains: steps of a small fixed network per second of its time.

    Only the time that this process computes counts, so other programs hardly change the result.

    Args:
        seconds: how long to measure. The result is the median of ten equal parts of this time.
    """
    from tqdm.auto import tqdm

    layers = [nn.Conv2d(4, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)]
    net, x = nn.Sequential(*layers), torch.zeros(32, 4, 14, 14)
    speeds, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for one another would count as computing
    try:
        for _ in tqdm(range(10), desc="calibrating", leave=False):
            steps, start, computed = 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - start < seconds / 10:
                torch.autograd.grad(net(x).square().mean(), list(net.parameters()))
                steps += 1
            speeds.append(steps / (time.process_time() - computed))
    finally:
        torch.set_num_threads(threads)
    return statistics.median(speeds)


def measured() -> dict[str, Any]:
    """What the last build measured: ``machine``, ``speed`` (from ``calibrate``), ``minutes``."""
    unknown: dict[str, Any] = {"machine": machine(), "speed": None, "minutes": {}}
    try:
        return unknown | dict(json.loads(MINUTES_FILE.read_text()))
    except (OSError, ValueError, TypeError):
        return unknown


def stated(chapter: str) -> str:
    """One sentence: the minutes that the chapter took on the reference machine."""
    reference = measured()
    if chapter not in reference["minutes"]:
        return "The minutes of this chapter have not been measured yet."
    minutes = reference["minutes"][chapter]
    return f"Run All took {minutes:.1f} min on the reference machine ({reference['machine']})."


def compared(speed: float) -> str:
    """One sentence: how this machine compares with the reference machine.

    Args:
        speed: what ``calibrate`` measured here. The ratio is rounded to a power of two.
    """
    reference = measured()["speed"]
    if not reference:
        return "The speed of the reference machine has not been measured yet."
    factor = 2 ** abs(power := round(math.log2(speed / reference)))
    if power == 0:
        return "One core of this machine is about as fast as one of the reference machine."
    faster, slower = ("this", "the reference") if power > 0 else ("the reference", "this")
    return (
        f"One core of {faster} machine is about {factor} times as fast as one of {slower} machine."
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
