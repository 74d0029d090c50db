"""The machine: its device, whether it computes in bfloat16, and its name for tables."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator or torch.device("cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Whether to train in bfloat16: if the device multiplies it in hardware.

    Without such hardware bfloat16 is many times slower than float32. The environment variable
    ``GEN_LIB_BFLOAT16=0`` switches it off, to try what most laptops do.
    """
    if os.environ.get("GEN_LIB_BFLOAT16", "1") == "0":
        return False
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def flush_denormal() -> Iterator[None]:
    """Round numbers below 1e-38 to 0 inside this context; they make a processor slow."""
    before = bool(torch.tensor(1e-310, dtype=torch.float64) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def machine() -> str:
    """The machine in a few words, for tables of measurements."""
    import psutil

    cpu = torch.cpu.get_capabilities().get("cpu_name") or platform.processor()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    memory = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} cores of {cpu}, {memory:.0f} GB{gpu}, torch {torch.__version__}"
