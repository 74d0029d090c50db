"""Study of chapter 07: compare five model families over training time.

Run it with ``make comparison``, or call this file with other options (see ``--help``).

The families are an autoencoder with a mixture of Gaussians fitted to its codes, a VAE, a GAN,
diffusion and latent diffusion. Each is trained with its defaults on one thread without bfloat16.
Every budget of CPU seconds in ``BUDGETS`` is a training of its own, since the learning rate falls
with the budget. CPU seconds count only the work of this program, so other programs on the machine
prolong the study but hardly change its result. Then each run draws 2,000 samples, of which the
study measures

- the distances to the test images, precision, recall, density and coverage;
- the share of each class according to the judge, the smallest share, and the entropy in nats;
- the distance of a sample to the nearest training image: the median, divided by the median for test
  images, and the smallest;
- the CPU seconds for 1,000 samples, and the network calls for one.

Real training images in place of samples give the floors. The study takes about eight hours of one
core. If it is interrupted, the next call computes only the rows that are missing; two calls at the
same time share the rows. It writes comparison.csv.
"""

import argparse
import csv
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from gen_lib.data import ImageSet, load
from gen_lib.metrics import nearest
from gen_lib.metrics.sample_quality import SampleQuality, class_histogram
from gen_lib.models import GAN, BernoulliVAE, ConvAutoencoder, Diffusion, LatentDiffusion, Model
from gen_lib.models.base import Samples
from gen_lib.models.mixture import CodeMixture
from gen_lib.training import fit
from gen_lib.training.hardware import machine

BUDGETS = {20: 3, 60: 3, 180: 3, 600: 3, 2400: 1}  # CPU seconds: number of seeds
N = 2_000  # samples of each run
CODES = 10_000  # training images to whose codes the mixture is fitted
AE_BATCH = 32  # the other families take batches of their default size
COPIES = 1_000  # samples whose nearest training image is searched
FAMILIES: dict[str, tuple[type[Model], str]] = {
    "AE + mixture": (ConvAutoencoder, "decoder"),
    "VAE": (BernoulliVAE, "decoder"),
    "GAN": (GAN, "generator"),
    "diffusion": (Diffusion, "net"),
    "latent diffusion": (LatentDiffusion, "net"),
}
"""Family -> its model, and the name of the network that sampling calls."""
REAL = "real images"
RUN = ["family", "seed", "budget", "n", "settings"]
COST = ["steps", "weights", "seconds", "calls", "seconds_1000"]
FIGURES = ["frechet", "kernel", "precision", "recall", "density", "coverage"]
FIGURES += ["rarest", "entropy", "shares", "nearest", "closest"]
HEADER = [*RUN, *COST, *FIGURES, "machine"]


class Trained(NamedTuple):
    """The sampler and the network of a trained family, and the cost of its training."""

    sampler: Samples
    net: nn.Module
    steps: int
    weights: int
    seconds: float
    """CPU seconds, including the fit of the mixture."""


class Gauge:
    """Measures samples by comparing them with a data set.

    Args:
        images: the data set whose images the samples should look like.
        n: number of samples.
    """

    def __init__(self, images: ImageSet, n: int):
        self.sample_quality, self.n = SampleQuality(images), n
        self.real = nearest(images.test.x[:COPIES], images.train.x).distance

    def figures(self, x: Tensor) -> dict[str, str]:
        """The columns ``FIGURES`` of n samples."""
        shares = class_histogram(self.sample_quality.judge, x)
        entropy = torch.special.entr(shares).sum()
        numbers = [*self.sample_quality.quality(x), shares.min().item(), entropy.item()]
        away = nearest(x[:COPIES], self.sample_quality.images.train.x).distance
        numbers += [(away.median() / self.real.median()).item(), away.min().item()]
        texts = [f"{number:.5f}" for number in numbers]
        return dict(zip(FIGURES, [*texts[:-2], _joined(shares), *texts[-2:]], strict=True))

    def floor(self) -> dict[str, str]:
        """The columns ``FIGURES`` of n real training images in place of samples.

        Only the distances to the nearest training image are those of test images.
        """
        real = self.figures(self.sample_quality.images.train.subset(self.n).x)
        return real | {"nearest": "1", "closest": f"{self.real.min():.5f}"}


def train(family: str, seed: int, seconds: float, images: ImageSet) -> Trained:
    """Train a family for this number of CPU seconds."""
    kind, net = FAMILIES[family]
    torch.manual_seed(seed)
    model, start = kind(), time.process_time()
    size = AE_BATCH if kind is ConvAutoencoder else model.batch_size
    budget = {"minutes": seconds / 60, "batch_size": size, "seed": seed}
    with patch("time.perf_counter", time.process_time):  # fit then counts CPU seconds
        steps = fit(model, images.train, **budget, show_bar=False).steps
    sampler = model
    if isinstance(model, ConvAutoencoder):
        sampler = CodeMixture(model, images.train.subset(CODES).x, seed=seed)
    weights = sum(p.numel() for p in model.parameters())
    return Trained(sampler, getattr(model, net), steps, weights, time.process_time() - start)


def run(family: str, seed: int, seconds: float, gauge: Gauge) -> dict[str, str | int]:
    """Train and measure one run; return the columns ``COST`` and ``FIGURES`` of its row."""
    trained = train(family, seed, seconds, gauge.sample_quality.images)
    calls: list[int] = []
    hook = trained.net.register_forward_hook(lambda *_: calls.append(1))
    trained.sampler.sample(1)
    hook.remove()
    start = time.process_time()
    x = trained.sampler.sample(gauge.n, torch.Generator().manual_seed(seed))
    spent = 1_000 * (time.process_time() - start) / gauge.n
    cost = [trained.steps, trained.weights, f"{trained.seconds:.1f}", len(calls), f"{spent:.4f}"]
    return dict(zip(COST, cost, strict=True)) | gauge.figures(x)


def asked(family: str, seed: int | str, seconds: float | str, n: int) -> dict[str, str]:
    """The columns ``RUN``, which identify a row."""
    settings = FAMILIES[family][0]().config if family in FAMILIES else {}
    words = " ".join(f"{name}={value}".replace(" ", "") for name, value in settings.items())
    return dict(zip(RUN, map(str, (family, seed, seconds, n, words)), strict=True))


def main() -> None:
    """Train and measure the runs that the file does not hold yet."""
    options = _options()
    os.environ["GEN_LIB_BFLOAT16"] = "0"
    torch.set_num_threads(1)
    runs = [(seconds, seed) for seconds in options.budgets for seed in range(BUDGETS[seconds])]
    wanted = [asked(REAL, "", "", N)]
    wanted += [asked(family, seed, seconds, N) for seconds, seed in runs for family in FAMILIES]
    gauge = Gauge(load("fashion_mnist"), N)
    for want in wanted:
        with _mine(want, options.out) as mine:
            if not mine:
                continue
            if want["family"] == REAL:
                found = gauge.floor()
            else:
                found = run(want["family"], int(want["seed"]), float(want["budget"]), gauge)
            row = want | found | {"machine": machine()}
            with FileLock(options.out.with_suffix(".lock")):
                _write(options.out, sorted([*_read(options.out), row], key=_place))
            print(", ".join(f"{k} {row.get(k, '')}" for k in (*RUN[:3], "steps", "frechet")))


@contextmanager
def _mine(want: dict[str, str], out: Path) -> Iterator[bool]:
    """Hold a run while it is computed; False if it is done, or if another process holds it."""
    name = "-".join(want[k] for k in RUN[:3]).replace(" ", "")
    lock = FileLock(out.with_name(f"{out.stem}-{name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield want not in [{k: row[k] for k in RUN} for row in _read(out)]
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _place(row: dict[str, str]) -> tuple[int, float, str]:
    family = [*FAMILIES, REAL].index(row["family"])
    return family, float(row["budget"] or 0), row["seed"]


def _joined(shares: Tensor) -> str:
    return " ".join(f"{share:.4f}" for share in shares.tolist())


def _read(file: Path) -> list[dict]:
    if not file.is_file():
        return []
    with file.open(newline="") as opened:
        return [row for row in csv.DictReader(opened) if list(row) == HEADER]


def _write(file: Path, rows: list[dict]) -> None:
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, HEADER, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", type=int, nargs="+", choices=BUDGETS, default=[*BUDGETS])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
