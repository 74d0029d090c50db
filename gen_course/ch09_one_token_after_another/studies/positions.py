"""Study of chapter 09: no positions, learnt positions, and rotary ones, at equal steps.

Run it with ``python gen_course/ch09_one_token_after_another/studies/positions.py``.

Three models that differ in nothing else train for STEPS steps on letters of Jane Austen, rows of
64, batches of 32, one core, one seed. The study takes about 6 minutes and writes positions.csv.
"""

import csv
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from gen_lib import experiment
from gen_lib.data.text import load_text
from gen_lib.models import GPT
from gen_lib.training.hardware import has_bfloat16, machine
from gen_lib.training.loop import fit

CONTEXT, ROWS, STEPS, TESTED = 64, 32, 1500, 60_000
SETTINGS = {"width": 64, "layers": 3}
HEADER = ["positions", "test_bits", "weights", "steps", "seconds", "bfloat16", "machine"]


class Placed(nn.Module):
    """Vectors of tokens plus a learnt vector of each place."""

    def __init__(self, token: nn.Embedding):
        super().__init__()
        self.token, self.place = token, nn.Embedding(CONTEXT, token.embedding_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, places) to (n, places, width)."""
        return self.token(tokens) + self.place.weight[: tokens.shape[1]]


def run(positions: str) -> list[Any]:
    """Train one model; the columns of HEADER."""
    data = load_text("austen", "characters", context=CONTEXT)
    torch.manual_seed(0)
    model = experiment.build("gpt", data, SETTINGS)
    assert isinstance(model, GPT)
    if positions == "learnt":
        model.net.token = Placed(model.net.token)  # type: ignore[assignment]
    history = fit(model, data.train, steps=STEPS, batch_size=ROWS, show_bar=False)
    bits = -model.log2(model.tokeniser.encode("\n" + data.test.text[:TESTED])).mean().item()
    size = sum(p.numel() for p in model.parameters())
    row = [positions, f"{bits:.4f}", size, STEPS, f"{history.seconds[-1]:.0f}"]
    return [*row, has_bfloat16(torch.device("cpu")), machine()]


def main() -> None:
    """Train the three models and write the table."""
    torch.set_num_threads(1)
    with patch("gen_lib.nets.transformer.rotated", lambda x, start=0: x):
        rows = [run("none"), run("learnt")]
    rows.append(run("rotary"))
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


if __name__ == "__main__":
    main()
