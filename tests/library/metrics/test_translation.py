"""Figures of translations: closed forms, and baselines and models whose figures are known."""

import math

import pytest
import torch

from gen_lib import InputError
from gen_lib.data.domains import Caption, Domain, DomainSet, TwoDomains
from gen_lib.metrics import l1, psnr
from gen_lib.metrics.translation import (
    Outputs,
    blur,
    colour_transfer,
    retrieval,
    translation_rows,
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


def times(c: float, d: float):
    """A translation that multiplies x by c towards B and by d towards A."""
    return lambda x, to: x * (c if to == "B" else d)


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
    rows = {row.name: row for row in translation_rows(times(-1.0, 1.0), negatives)}
    assert rows["l1_to_b"].value == pytest.approx(0, abs=1e-6)
    assert rows["ssim_to_b"].value == pytest.approx(1, abs=1e-4)
    assert rows["retrieval_to_b"].value == 1
    assert rows["psnr_to_b"].value > 100
    assert rows["retrieval_to_a"].value == 0  # the identity, farthest from the partner
    for figure in ("psnr", "l1", "ssim", "retrieval"):
        row = rows[f"{figure}_to_a"]
        assert row.value == pytest.approx(row.beside["identity"])


def test_baselines_are_measured_against_the_true_partner(negatives):
    rows = {row.name: row for row in translation_rows(times(-1.0, -1.0), negatives)}
    x, y = negatives.test.a.x, negatives.test.b.x
    assert rows["l1_to_b"].beside["identity"] == pytest.approx(l1(x, y))
    assert rows["l1_to_b"].beside["blur"] == pytest.approx(l1(blur(x), y))
    colour = colour_transfer(y, negatives.train.b.x, negatives.train.a.x)
    assert rows["l1_to_a"].beside["colour"] == pytest.approx(l1(colour, x))


def test_retrieval_is_among_bases_only(negatives):
    """Variants that equal a base would tie with it if they were in the pool."""
    test = negatives.test
    doubled = torch.cat([test.b.images[:4], test.b.images[:4]])
    pairs = TwoDomains(domain(255 - doubled, 4), domain(doubled, 4), paired=True)
    same = DomainSet("doubled", negatives.train, pairs, ("A", "B"))
    rows = {row.name: row.value for row in translation_rows(times(-1.0, -1.0), same)}
    assert rows["retrieval_to_b"] == rows["retrieval_to_a"] == 1


def test_pictures_without_partners_are_measured_there_and_back(negatives):
    unpaired = DomainSet("negatives", negatives.train, negatives.train, ("A", "B"))
    rows = {row.name: row for row in translation_rows(times(-1.0, -0.9), unpaired)}
    assert math.isnan(rows["psnr_to_b"].value)
    assert "no pairs" in rows["retrieval_to_a"].reason
    for side, domain in (("a", negatives.train.a), ("b", negatives.train.b)):
        expected = psnr(0.9 * domain.x, domain.x)
        assert rows[f"cycle_psnr_{side}"].value == pytest.approx(expected, abs=1e-3)
        assert rows[f"cycle_psnr_{side}"].beside["blur"] > 0
    with pytest.raises(InputError, match="test pictures of negatives are no pairs"):
        Outputs(times(1.0, 1.0), unpaired, "B")
