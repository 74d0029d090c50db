"""Compare the course's VAE with pythae's (Chadebec et al. 2022, arXiv:2206.08309; ``make bench``).

All train on Fashion-MNIST, binarised anew each time an image is used. Every result is the negative
ELBO as the course computes it, on test images binarised with a fixed seed. The runs follow one
another, on the same number of threads. They answer three questions:

- Same minutes: is the course's VAE better than pythae's with pythae's networks for MNIST, at
  pythae's learning rate and at a ten times larger one?
- Same images: do the course's networks get as far in pythae's trainer, given the course's batch
  size and learning rate? If so, neither the data nor the loss explains the difference.
- Same minutes again: how far do the course's networks get in pythae's trainer with its defaults?
  Their gain over pythae's networks is due to the networks, the rest of the lead to the training.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

os.environ["TQDM_DISABLE"] = "1"

import record
import torch
from pythae.data.datasets import BaseDataset, DatasetOutput
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import nn

from gen_lib.data import ImageSet, load
from gen_lib.models import BernoulliVAE
from gen_lib.models.vae import likelihood_bounds
from gen_lib.training import fit
from gen_lib.training.loop import learning_rate_scale

NOISE = 1.0  # nats by which two runs of the same training may differ
N_TEST = 2_000  # test images to measure on; pythae's networks would take minutes for all
PYTHAE_LR, PYTHAE_BATCH = 1e-4, 64  # the defaults of its trainer


class Run(NamedTuple):
    """The result of one training."""

    networks: str
    trainer: str
    minutes: float
    images: int
    neg_elbo: float


class Binarised(BaseDataset):
    """Grey images in [0, 1], pythae's range, binarised anew each time they are read."""

    def __getitem__(self, index: int) -> DatasetOutput:
        return DatasetOutput(data=torch.bernoulli(self.data[index]), labels=self.labels[index])


class CourseEncoder(BaseEncoder):
    """The course's encoder, whose pixels are -1 or 1, for pythae, whose pixels are 0 or 1."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> ModelOutput:
        mu, log_var = self.network(2 * x - 1).chunk(2, dim=1)
        return ModelOutput(embedding=mu, log_covariance=log_var)


class CourseDecoder(BaseDecoder):
    """The course's decoder, which gives logits, for pythae, which expects probabilities."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, z: torch.Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


class PythaeEncoder(nn.Module):
    """pythae's encoder for the course: pixels are -1 or 1, the output is (mu, log_var)."""

    def __init__(self, network: BaseEncoder):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.network((x + 1) / 2)
        return torch.cat([out.embedding, out.log_covariance], dim=1)


class PythaeDecoder(nn.Module):
    """pythae's decoder for the course: the output is logits."""

    def __init__(self, network: BaseDecoder):
        super().__init__()
        self.network = network

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.logit(self.network(z).reconstruction, eps=1e-6)


class Spent(Exception):
    """The budget is used up; without an exception pythae's trainer ends only after whole epochs."""


class Budget(TrainingCallback):
    """Stop pythae's trainer after some images or minutes, and schedule the learning rate if asked.

    Args:
        minutes: wall time from the beginning of the training.
        images: number of training images.
        peak_lr: peak of the course's learning-rate schedule; None keeps pythae's own rate.
    """

    def __init__(self, minutes: float | None, images: int | None, peak_lr: float | None):
        self.minutes, self.images, self.peak_lr = minutes, images, peak_lr
        self.seen, self.trainer = 0, None

    def on_train_begin(self, training_config, **kwargs):
        self.start = time.perf_counter()
        self._schedule(0.0)

    def on_train_step_end(self, training_config, **kwargs):
        self.seen += training_config.per_device_train_batch_size
        self.spent = (time.perf_counter() - self.start) / 60
        fraction = self.seen / self.images if self.images else self.spent / self.minutes
        self._schedule(fraction)
        if fraction >= 1:
            raise Spent

    def _schedule(self, fraction: float):
        if self.peak_lr:
            (group,) = self.trainer.optimizer.param_groups
            group["lr"] = self.peak_lr * learning_rate_scale(min(fraction, 1.0))


def course_networks() -> tuple[VAE, BernoulliVAE]:
    """pythae's model and the course's model, which share the course's networks."""
    torch.manual_seed(0)
    ours = BernoulliVAE()
    config = VAEConfig((1, 28, 28), latent_dim=ours.latent_size, reconstruction_loss="bce")
    return VAE(config, CourseEncoder(ours.encoder), CourseDecoder(ours.decoder)), ours


def pythae_networks() -> tuple[VAE, BernoulliVAE]:
    """pythae's model and the course's model, which share pythae's networks for MNIST."""
    torch.manual_seed(0)
    ours = BernoulliVAE()
    config = VAEConfig((1, 28, 28), latent_dim=ours.latent_size, reconstruction_loss="bce")
    encoder, decoder = Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config)
    ours.encoder, ours.decoder = PythaeEncoder(encoder), PythaeDecoder(decoder)
    return VAE(config, encoder, decoder), ours


def in_course_loop(images: ImageSet, minutes: float) -> Run:
    """Train the course's VAE with the course's loop."""
    torch.manual_seed(0)
    model = BernoulliVAE()
    history = fit(model, images.train, minutes=minutes, show_bar=False)
    seen = history.steps * model.batch_size
    return Run("course", "course", history.seconds[-1] / 60, seen, neg_elbo(model, images))


def in_pythae(
    networks: Callable[[], tuple[VAE, BernoulliVAE]],
    images: ImageSet,
    *,
    lr: float = PYTHAE_LR,
    batch: int = PYTHAE_BATCH,
    minutes: float | None = None,
    n: int | None = None,
    scheduled: bool = False,
) -> Run:
    """Train a VAE with pythae's trainer, for some minutes or on n images."""
    model, ours = networks()
    data = Binarised((images.train.x + 1) / 2, images.train.labels)
    budget = Budget(minutes, n, lr if scheduled else None)
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            folder, learning_rate=lr, per_device_train_batch_size=batch, no_cuda=True
        )
        budget.trainer = BaseTrainer(model, data, training_config=config, callbacks=[budget])
        with suppress(Spent):
            budget.trainer.train()
    ours.eval()
    names = networks.__name__.split("_")[0], f"pythae, lr {lr:g}, batch {batch}"
    return Run(*names, budget.spent, budget.seen, neg_elbo(ours, images))


def neg_elbo(model: BernoulliVAE, images: ImageSet) -> float:
    """The negative ELBO as the course computes it, in nats per image, on the first test images."""
    return likelihood_bounds(model, images.test.x[:N_TEST], samples=1).neg_elbo


def main() -> None:
    """Print a table and a verdict; the exit code is that of the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.5, help="of each run (default: 1.5)")
    minutes = parser.parse_args().minutes
    logging.disable(logging.INFO)
    images = load("fashion_mnist")
    print(f"{torch.get_num_threads()} threads")
    print(f"{'networks':9} {'trainer':32} {'minutes':>7} {'images':>9} {'neg. ELBO':>10}")
    ours = report(in_course_loop(images, minutes))
    theirs = [
        report(in_pythae(pythae_networks, images, minutes=minutes, lr=lr))
        for lr in (PYTHAE_LR, 10 * PYTHAE_LR)
    ]
    apart = report(in_pythae(course_networks, images, minutes=minutes))
    lr, batch = BernoulliVAE().players()["model"].lr, BernoulliVAE.batch_size
    same = in_pythae(course_networks, images, n=ours.images, lr=lr, batch=batch, scheduled=True)
    verdicts = verdict(ours, theirs, report(same))
    print(*verdicts, sep="\n")
    rows = [run._asdict() for run in (ours, *theirs, apart, same)]
    record.write("vae_peer", rows, verdicts)
    sys.exit(any(line.startswith("FAIL") for line in verdicts))


def report(run: Run) -> Run:
    """Print one line of the table."""
    names = f"{run.networks:9} {run.trainer:32}"
    print(f"{names} {run.minutes:7.2f} {run.images:9,} {run.neg_elbo:10.1f}", flush=True)
    return run


def verdict(ours: Run, theirs: list[Run], same: Run) -> list[str]:
    """Say in two sentences whether the course is ahead, and whether equal trainings agree."""
    gain = min(run.neg_elbo for run in theirs) - ours.neg_elbo
    apart = same.neg_elbo - ours.neg_elbo
    return [
        f"{'PASS' if gain > NOISE else 'FAIL'}: {gain:+.1f} nats ahead on the same clock.",
        f"{'PASS' if abs(apart) <= NOISE else 'FAIL'}: the same networks after as many images are "
        f"{apart:+.1f} nats apart (allowed: {NOISE:g}), in {same.minutes / ours.minutes:.1f} times "
        "the minutes.",
    ]


if __name__ == "__main__":
    main()
