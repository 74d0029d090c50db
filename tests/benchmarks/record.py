"""Where the benchmarks keep what they measured: ``measured/NAME.json``, read by ``report.py``."""

import json
from pathlib import Path
from typing import Any

import torch

from gen_lib.clock import machine

MEASURED = Path(__file__).with_name("measured")


def write(name: str, rows: list[dict[str, Any]], verdicts: list[str] | None = None) -> None:
    """Keep a benchmark's rows, its verdicts in words, and what they were measured on."""
    MEASURED.mkdir(exist_ok=True)
    facts = {"machine": machine(), "threads": torch.get_num_threads()}
    text = json.dumps(facts | {"verdicts": verdicts or [], "rows": rows}, indent=2)
    (MEASURED / f"{name}.json").write_text(text + "\n")
