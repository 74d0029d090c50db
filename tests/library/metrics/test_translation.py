"""Figures of translations: closed forms, and baselines and models whose figures are known."""

import pytest
import torch
from torch import nn
from typing_extensions import override

from gen_lib import InputError
from gen_lib.training.checkpoints import pretrained_folder, read_card
from gen_lib.data.domains import Caption, Domain, DomainSet, TwoDomains
from gen_lib.models import LinearAutoencoder
from gen_lib.models.base import Classifies, Model, Translates
from gen_lib.metrics.translation import (
    blur,
    colour_transfer,
    evaluate_translation,
    l1,
    retrieval,
    style_distance,
    style_share,
)

SHAPE = (3, 12, 12)


def images(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def domain(pictures: torch.Tensor, families: int | None = None) -> Domain:
    captions = [Caption(str(n), str(n % (families or len(pictures)))) for n in range(len(pictures))]
    return Domain(pictures, tuple(captions))


@pytest.fixture
def negatives() -> DomainSet:
    """A: noise of 4 families; B: the negatives of it."""
    pixels = torch.randint(
        256, (30, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    train = TwoDomains(domain(pixels[:10]), domain(255 - pixels[10:20]), paired=False)
    test = TwoDomains(domain(pixels[20:], 4), domain(255 - pixels[20:], 4), paired=True)
    return DomainSet("negatives", train, test, ("A", "B"))


class Times(Model, Translates):
    """Towards B, c x; towards A, d x."""

    name = "times"

    def __init__(self, c: float, d: float):
        super().__init__(image_shape=SHAPE)
        self.c, self.d = nn.Parameter(torch.tensor(c)), nn.Parameter(torch.tensor(d))

    def players(self):
        return {}

    def turns(self, batch, rng):
        yield from ()

    @override
    def translate(self, x, to):
        return x * (self.c if to == "B" else self.d)


def test_l1_of_a_case_worked_out_by_hand():
    y = torch.tensor([1.0, -1.0, 0.5, 0.0]).reshape(1, 1, 2, 2)
    assert l1(y, torch.zeros(1, 1, 2, 2)) == 2.5 / 4


def test_retrieval_counts_whose_nearest_is_its_partner():
    x = images(8)
    assert retrieval(x + 0.01, x) == 1
    assert retrieval(x.flip(0), x) == 0
    swapped = x.clone()
    swapped[[0, 1]] = x[[1, 0]]
    assert retrieval(swapped, x) == 6 / 8


def test_retrieval_of_noise_is_chance():
    found = [retrieval(images(50, seed), images(50, 1_000 + seed)) for seed in range(40)]
    assert sum(found) / 40 == pytest.approx(1 / 50, abs=0.02)


def test_blur_keeps_flat_images_and_averages_nine_pixels():
    flat, x = torch.full((1, *SHAPE), 0.3), images(2)
    torch.testing.assert_close(blur(flat), flat)
    torch.testing.assert_close(blur(x)[:, :, 5, 5], x[:, :, 4:7, 4:7].mean(dim=(2, 3)))
    torch.testing.assert_close(blur(x)[:, :, 0, 0], x[:, :, :2, :2].mean(dim=(2, 3)))


def test_colour_transfer_gives_the_statistics_of_the_target():
    source = 0.1 * images(400)
    target = 0.2 * images(400, 1) + torch.tensor([0.3, -0.2, 0.0]).reshape(3, 1, 1)
    moved = colour_transfer(source, source, target)
    for statistic in (torch.mean, torch.std):
        torch.testing.assert_close(
            statistic(moved, dim=(0, 2, 3)), statistic(target, dim=(0, 2, 3)), atol=1e-4, rtol=1e-3
        )
    assert colour_transfer(source, source, 9 * target).abs().max() == 1


def test_colour_transfer_to_its_own_domain_is_the_identity():
    x = images(5)
    torch.testing.assert_close(colour_transfer(x, x, x), x)


def test_a_perfect_translator_gets_perfect_figures_and_each_direction_its_own(negatives):
    rows = {row.name: row for row in evaluate_translation(Times(-1.0, 1.0), negatives)}
    assert rows["l1_to_b"].value == pytest.approx(0, abs=1e-6)
    assert rows["ssim_to_b"].value == pytest.approx(1, abs=1e-4)
    assert rows["retrieval_to_b"].value == 1
    assert rows["psnr_to_b"].value > 100
    assert rows["retrieval_to_a"].value == 0  # there it is the identity: the farthest, not nearest
    for figure in ("psnr", "l1", "ssim", "retrieval"):
        row = rows[f"{figure}_to_a"]
        assert row.value == pytest.approx(row.beside["identity"])


def test_baselines_are_measured_against_the_true_partner(negatives):
    rows = {row.name: row for row in evaluate_translation(Times(-1.0, -1.0), negatives)}
    x, y = negatives.test.a.x, negatives.test.b.x
    assert rows["l1_to_b"].beside["identity"] == pytest.approx(l1(x, y))
    assert rows["l1_to_b"].beside["blur"] == pytest.approx(l1(blur(x), y))
    colour = colour_transfer(y, negatives.train.b.x, negatives.train.a.x)
    assert rows["l1_to_a"].beside["colour"] == pytest.approx(l1(colour, x))


def test_retrieval_is_among_bases_only(negatives):
    """Variants that equal a base would tie with it, were they in the pool."""
    test = negatives.test
    doubled = torch.cat([test.b.images[:4], test.b.images[:4]])
    pairs = TwoDomains(domain(255 - doubled, 4), domain(doubled, 4), paired=True)
    same = DomainSet("doubled", negatives.train, pairs, ("A", "B"))
    rows = {row.name: row.value for row in evaluate_translation(Times(-1.0, -1.0), same)}
    assert rows["retrieval_to_b"] == rows["retrieval_to_a"] == 1


class Bright(Classifies):
    """Calls bright images class 1; its features are two pixels."""

    def logits(self, x):
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)

    def features(self, x):
        return x[:, 0, 0, :2]


def test_style_is_the_share_that_a_classifier_calls_the_target():
    x = torch.cat([images(6) + 3, images(2) - 3])
    assert style_share(Bright(), x, 1) == 6 / 8
    assert style_share(Bright(), x, 0) == 2 / 8


def test_the_distance_of_styles_of_shifted_images_is_the_square_of_the_shift():
    x = images(500)
    assert style_distance(Bright(), x, x) == pytest.approx(0, abs=1e-3)
    assert style_distance(Bright(), x + 0.5, x) == pytest.approx(2 * 0.25, rel=1e-2)


def test_what_cannot_be_measured_is_named(negatives):
    with pytest.raises(InputError, match="'ae' translates nothing"):
        evaluate_translation(LinearAutoencoder(SHAPE), negatives)
    unpaired = DomainSet("negatives", negatives.train, negatives.train, ("A", "B"))
    with pytest.raises(InputError, match="test pictures of negatives are no pairs"):
        evaluate_translation(Times(1.0, 1.0), unpaired)
    other = Times(1.0, 1.0)
    other.config["image_shape"] = (3, 64, 64)
    with pytest.raises(InputError, match=r"made for images of shape \(3, 64, 64\)"):
        evaluate_translation(other, negatives)


# What is shipped


def card(name: str) -> dict[str, float]:
    return read_card(pretrained_folder() / f"{name}.safetensors")["figures"]


@pytest.mark.parametrize("to", ["a", "b"])
def test_the_shipped_seasons_close_half_of_the_gap_to_the_ceiling(to):
    found, top = card("cyclegan-seasons"), card("paired-seasons")[f"psnr_to_{to}"]
    best = max(found[f"psnr_to_{to}_{name}"] for name in ("identity", "blur", "colour"))
    assert (found[f"psnr_to_{to}"] - best) / (top - best) > 0.5
