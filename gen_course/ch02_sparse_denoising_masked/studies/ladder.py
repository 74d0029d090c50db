"""Study of chapter 02: five autoencoders that are trained for the same time.

Run it with ``python gen_course/ch02_sparse_denoising_masked/studies/ladder.py``.

Each is trained for ``MINUTES`` on one core with seed 0. For each the study measures

- the error per pixel on clean test images (empty if the model does not reconstruct whole images),
- the test accuracy of a linear probe of its features, trained with 100 labels (mean of five sets)
  and with 10,000 labels,
- the accuracy of a probe of the untrained network, with 10,000 labels.

Features at several positions of an image are averaged over the positions. Two more rows hold the
figures of pixels and of principal components. The study writes ladder.csv.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gen_lib.data import Split, load
from gen_lib.metrics import mse
from gen_lib.metrics.linear_probe import Labelled, linear_probe
from gen_lib.models import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    MaskedAutoencoder,
    SparseAutoencoder,
)
from gen_lib.models.autoencoder import PCA
from gen_lib.models.base import Model, Reconstructs, in_batches
from gen_lib.training import fit
from gen_lib.training.hardware import machine

MINUTES = 2.0
KINDS = {
    "basic": LinearAutoencoder,
    "deep": DeepAutoencoder,
    "sparse": SparseAutoencoder,
    "denoising": DenoisingAutoencoder,
    "masked": MaskedAutoencoder,
}
COLUMNS = (
    "model mse probe_100 probe_10000 untrained_10000 minutes steps weights code features machine"
)


class Probes(NamedTuple):
    """Test accuracies with few and with many labels."""

    few: float
    many: float


def main() -> None:
    """Train all, then measure all."""
    images = load("fashion_mnist")
    torch.set_num_threads(1)  # for a fair comparison, even if another core is busy
    models: dict[str, Model] = {}
    untrained: dict[str, Model] = {}
    steps: dict[str, int] = {}
    for name, kind in KINDS.items():
        for group in (untrained, models):
            torch.manual_seed(0)
            group[name] = kind(image_shape=images.image_shape).eval()
        steps[name] = fit(models[name], images.train, minutes=MINUTES).steps

    pca = PCA.fit(images.train.x, 16)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS.split())
        for name, features, error in (
            ("pixels", lambda x: x.flatten(1), ""),
            ("PCA", pca.encode, f"{mse(pca.reconstruct(images.test.x), images.test.x):.5f}"),
        ):
            few, many = probes(features, images.train, images.test)
            size = features(images.test.x[:1]).shape[1]
            row = [name, error, f"{few:.4f}", f"{many:.4f}", "", "", "", "", size, size, machine()]
            writer.writerow(row)
        for name, model in models.items():
            few, many = probes(reader(model), images.train, images.test)
            random = probes(reader(untrained[name]), images.train, images.test).many
            facts = [MINUTES, steps[name], sum(p.numel() for p in model.parameters())]
            sizes = [code_size(model), reader(model)(images.test.x[:1]).shape[1]]
            accuracies = (f"{value:.4f}" for value in (few, many, random))
            writer.writerow([name, error_of(model), *accuracies, *facts, *sizes, machine()])


def reader(model: Model) -> Callable[[Tensor], Tensor]:
    """The input of a probe: features averaged over positions, or the code if there are none."""
    if isinstance(model, DenoisingAutoencoder | MaskedAutoencoder):
        return model.features
    assert isinstance(model, Reconstructs)
    return model.encode


def probes(features: Callable[[Tensor], Tensor], train: Split, test: Split) -> Probes:
    """Accuracies of probes with 100 labels (the mean over five sets) and with 10,000 labels."""
    subset = train.subset(15_000)
    h, measured = in_batches(features, subset.x), in_batches(features, test.x)
    parts = [slice(100 * i, 100 * (i + 1)) for i in range(5)] + [slice(0, 10_000)]
    chosen_on = Labelled(h[10_000:], subset.labels[10_000:])
    *few, many = (
        linear_probe(
            Labelled(h[part], subset.labels[part]), chosen_on, Labelled(measured, test.labels)
        )
        for part in parts
    )
    return Probes(sum(few) / len(few), many)


def code_size(model: Model) -> int:
    """Size of the encoder's output for one image, before any averaging."""
    if isinstance(model, MaskedAutoencoder):
        return model.patches * model.config["width"]
    assert isinstance(model, Reconstructs)
    return model.encode(torch.zeros(1, 1, 28, 28)).shape[1]


def error_of(model: Model) -> str:
    """The error per pixel on clean test images; empty if no whole images are reconstructed."""
    if not isinstance(model, Reconstructs):
        return ""
    x = load("fashion_mnist").test.x
    return f"{mse(in_batches(model.reconstruct, x), x):.5f}"


if __name__ == "__main__":
    main()
