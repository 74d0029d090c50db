"""The cards of the shipped models say what is measured today.

Figures that would take minutes are measured on fewer images than on the card, and may differ more:

- translations on all held-out pairs, and neighbour figures of 2,000 samples, as on the card: equal
  up to rounding, which may change a neighbour;
- the Fréchet distance of 2,000 samples, where the card uses 10,000: by 10 %;
- reconstructions and bounds on the first 1,000 test images: by 5 %; judges' answers: by 0.02;
- precision and density of 200 samples of diffusion, which are slow (40 network calls): by 0.1;
- obedience to 200 sentences, where the card uses 500: by 0.05;
- bits of the first 60,000 letters of a test text: by 10 %.

Left out: the kernel distance, importance-weighted bounds, the baselines beside a figure.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch

from gen_lib.data import Split
from gen_lib.data.domains import A, B, load_classes, load_pairs
from gen_lib.data.people import KINDS
from gen_lib.data.people.sets import people_set
from gen_lib.data.text import END, load_text
from gen_lib.metrics import (
    density_coverage,
    frechet_distance,
    l1,
    mse,
    precision_recall,
    psnr,
    ssim,
)
from gen_lib.metrics.obedience import obedience_rows
from gen_lib.metrics.sample_quality import N_NEIGHBOURS, STYLE_JUDGE, SampleQuality, style_share
from gen_lib.metrics.translation import retrieval
from gen_lib.models import GPT, AttributeJudge, Diffusion, Judge, TextToImage
from gen_lib.models.autoencoder import DenoisingAutoencoder, add_noise
from gen_lib.models.base import Model, Reconstructs, Samples, Translates, in_batches
from gen_lib.models.masked import MaskedAutoencoder, masked_loss
from gen_lib.models.vae import VariationalAutoencoder, likelihood_bounds
from gen_lib.training.checkpoints import (
    load_pretrained,
    pretrained_folder,
    pretrained_names,
    read_card,
)

FEW, FEWER, LETTERS = 1_000, 200, 60_000


class Found(NamedTuple):
    """A figure measured now, and how far from the card's it may be."""

    figure: str
    value: float
    relative: float = 0.0
    absolute: float = 0.0


def card_of(name: str) -> dict:
    return read_card(pretrained_folder() / f"{name}.safetensors")


@cache
def held_out(data):
    return load_classes(data).test[:FEW]


@pytest.fixture(scope="session")
def quality(fashion):
    real = fashion.test.images, fashion.test.labels
    return SampleQuality(replace(fashion, test=Split(*(part[:N_NEIGHBOURS] for part in real))))


def reconstructed(model, x) -> Iterator[Found]:
    y = in_batches(model.reconstruct, x)
    for figure in (mse, psnr) if isinstance(model, TextToImage) else (mse, psnr, ssim):
        yield Found(figure.__name__, figure(y, x), relative=0.05)


def denoised(model, x) -> Iterator[Found]:
    noised = add_noise(x, model.sigma, model.dropped, torch.Generator().manual_seed(0))
    yield Found("denoised_psnr", psnr(in_batches(model.reconstruct, noised), x), relative=0.05)


def filled(model, x) -> Iterator[Found]:
    y, mask = model.fill(x, torch.Generator().manual_seed(0))
    yield Found("masked_mse", masked_loss(y, x, mask).item(), relative=0.05)


def bounded(model, x) -> Iterator[Found]:
    yield Found("neg_elbo", likelihood_bounds(model, x, samples=1).neg_elbo, relative=0.05)


def named(model, batch) -> Iterator[Found]:
    right = in_batches(model.logits, batch.images).argmax(dim=1) == batch.labels
    yield Found("accuracy", right.float().mean().item(), absolute=0.02)


def seen(model) -> Iterator[Found]:
    batch = people_set("attributes").test[:FEW]
    right = model.right(batch.images, batch.labels).float().mean(dim=0)
    for kind, value in zip(KINDS, right.tolist(), strict=True):
        yield Found(f"accuracy of {kind}", value, absolute=0.02)


def obeyed(model) -> Iterator[Found]:
    rows = {row.name: row.value for row in obedience_rows(model, FEWER)}
    for figure in ("obedience", "obedience_unseen"):
        yield Found(figure, rows[figure], absolute=0.05)


def sampled(model, quality) -> Iterator[Found]:
    rng, real = torch.Generator().manual_seed(0), quality.reference
    if isinstance(model, Diffusion):
        fake = quality.features(model.sample(FEWER, rng))
        yield Found("precision", precision_recall(fake, real)[0], absolute=0.1)
        yield Found("density", density_coverage(fake, real)[0], absolute=0.1)
        return
    x = torch.cat([model.sample(500, rng) for _ in range(N_NEIGHBOURS // 500)])
    fake = quality.features(x)
    found = *precision_recall(fake, real), *density_coverage(fake, real)
    for figure, value in zip(("precision", "recall", "density", "coverage"), found, strict=True):
        yield Found(figure, value, absolute=0.01)
    yield Found("frechet", frechet_distance(fake, real), relative=0.1)


def translated(model, data) -> Iterator[Found]:
    pairs = load_pairs(data)
    for to, domain, source, target in (("B", B, pairs.a, pairs.b), ("A", A, pairs.b, pairs.a)):
        y = in_batches(lambda v, to=to: model.translate(v, to=to), source.x).clamp(-1, 1)
        end = f"_to_{to.lower()}"
        for figure in (psnr, l1):
            yield Found(figure.__name__ + end, figure(y, target.x), relative=0.01)
        bases = source.bases
        yield Found("retrieval" + end, retrieval(y[bases], target.x[bases]), absolute=0.02)
        if data == "emoji":
            share = style_share(load_pretrained(STYLE_JUDGE, Judge), y, domain)
            yield Found("style" + end, share, absolute=0.02)


def read(model, data) -> Iterator[Found]:
    letters = model.tokeniser.letters
    text = load_text(data, letters.unit).test.text
    text = text[: text.find(END, LETTERS) + 1] or text
    units = sum(letters.unit != "notes" or ":" in part for part in letters.split(text))
    of = {"characters": "character", "notes": "note"}.get(letters.unit, letters.unit)
    bits = -model.log2(model.tokeniser.encode(END + text)).sum().item()
    yield Found(f"bits_per_{of}", bits / units, relative=0.1)


def measured(model, data, quality) -> Iterator[Found]:
    """The figures that apply to a model."""
    if isinstance(model, Translates):
        yield from translated(model, data)
        return
    if isinstance(model, AttributeJudge):
        yield from seen(model)
        return
    if isinstance(model, GPT):
        yield from read(model, data)
        return
    batch = held_out(data)
    ways = {Reconstructs: reconstructed, DenoisingAutoencoder: denoised, MaskedAutoencoder: filled}
    for kind, way in (ways | {VariationalAutoencoder: bounded}).items():
        if isinstance(model, kind):
            yield from way(model, batch.images)
    if isinstance(model, Judge):
        yield from named(model, batch)
    if isinstance(model, TextToImage):
        yield from obeyed(model)
    elif isinstance(model, Samples):
        yield from sampled(model, quality)


@pytest.mark.slow
@pytest.mark.parametrize("name", pretrained_names())
@torch.no_grad()
def test_a_card_says_what_is_measured_today(name, quality):
    card = card_of(name)
    found = list(measured(load_pretrained(name, Model), card["data"], quality))
    assert found
    for figure, value, relative, absolute in found:
        close = pytest.approx(card["figures"][figure], rel=relative, abs=absolute)
        assert value == close, figure


@pytest.mark.slow
def test_a_wrong_card_would_be_found(fashion):
    x = fashion.test[:FEW].images
    found = {f.figure: f for f in reconstructed(load_pretrained("deep-ae-2d", Model), x)}
    card = card_of("deep-ae")["figures"]
    assert all(f.value != pytest.approx(card[k], rel=f.relative) for k, f in found.items())


@pytest.mark.parametrize("to", ["a", "b"])
def test_the_shipped_seasons_close_half_of_the_gap_to_the_ceiling(to):
    found = card_of("cyclegan-seasons")["figures"]
    top = card_of("paired-seasons")["figures"][f"psnr_to_{to}"]
    best = max(found[f"psnr_to_{to}_{name}"] for name in ("identity", "blur", "colour"))
    assert (found[f"psnr_to_{to}"] - best) / (top - best) > 0.5


@pytest.mark.parametrize(("figure", "least"), [("obedience", 0.95), ("obedience_unseen", 0.9)])
def test_the_shipped_text_to_image_obeys(figure, least):
    found = card_of("text-to-image")["figures"]
    assert found[figure] >= least
    assert found[f"{figure}_real"] == 1
    assert found[f"{figure}_one_person"] < 0.5


def test_the_shipped_judge_of_people_sees_every_kind():
    found = card_of("people-judge")["figures"]
    for kind in KINDS:
        assert found[f"accuracy of {kind}"] > 0.97
        assert found[f"accuracy of {kind}_one_value"] < 0.8
