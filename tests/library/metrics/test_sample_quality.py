"""The quality of samples: real images score the floor, others far from it; what is refused."""

import math

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import Domain, DomainSet, ImageSet, Split, TwoDomains, to_float, to_uint8
from gen_lib.data.domains import B, Caption
from gen_lib.metrics import frechet_distance, sample_quality
from gen_lib.metrics.sample_quality import (
    Quality,
    SampleQuality,
    check_shape,
    class_histogram,
    judged_rows,
    style_distance,
    style_share,
)
from gen_lib.models import Judge, LinearAutoencoder
from gen_lib.models.base import Model, Samples, Translates


def noise(n: int, side: int = 28) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(n, 1, side, side, generator=rng) * 2 - 1


def fewer(data: ImageSet) -> ImageSet:
    """The same data with 400 test images only."""
    return ImageSet(data.name, data.train, data.test.subset(400), data.classes)


class Sampler(Model, Samples):
    """A sampler whose images are given by a function of their number."""

    name = "sampler"

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def loss(self, batch, rng, progress):
        raise AssertionError("trained, not only measured")

    def sample(self, n, rng=None):
        return self.draw(n)


@pytest.fixture
def untrained_judge(monkeypatch):
    torch.manual_seed(0)
    judge = Judge().eval()
    monkeypatch.setattr("gen_lib.metrics.sample_quality.load_judge", lambda: judge)
    return judge


# Classes


class ByBrightness(Judge):
    """Class 0 for dark images, 2 for bright ones, never 1."""

    def features(self, x):
        return x.flatten(1)

    def logits(self, x):
        mean = x.flatten(1).mean(dim=1)
        return torch.stack([-mean, torch.full_like(mean, -9), mean], dim=1)


def test_class_histogram_is_the_share_of_each_class_absent_ones_as_well():
    x = torch.cat([torch.full((600, 1, 2, 2), 0.5), torch.full((200, 1, 2, 2), -0.5)])
    torch.testing.assert_close(
        class_histogram(ByBrightness(classes=3), x), torch.tensor([0.25, 0, 0.75])
    )


# Samples


def test_a_sampler_that_is_the_floor_scores_the_floor(fashion, untrained_judge):
    rows = judged_rows(Sampler(lambda n: fashion.train.subset(n).x), fewer(fashion), n=200)
    assert [row.name for row in rows] == list(Quality._fields)
    for row in rows:
        assert row.value == pytest.approx(row.beside["floor"], rel=1e-5)


def test_too_few_samples_are_refused_before_any_work(fashion, untrained_judge):
    with pytest.raises(InputError, match="3 images are too few"):
        judged_rows(Sampler(None), fewer(fashion), n=3)


def test_samples_are_compared_with_as_many_real_images(fashion, untrained_judge):
    data = fewer(fashion)
    rows = judged_rows(Sampler(lambda n: fashion.train.subset(n).x), data, n=10**9)
    assert rows[0].value == pytest.approx(SampleQuality(data).frechet_floor(400), rel=1e-4)


def test_images_that_the_judge_does_not_know_get_figures_in_pixels(untrained_judge, rng):
    def fresh_noise(n):
        return torch.rand(n, 1, 32, 32, generator=rng) * 2 - 1

    train, test = (
        Split(to_uint8(fresh_noise(60)), torch.zeros(60, dtype=torch.long)) for _ in range(2)
    )
    data = ImageSet("large", train, test, ("one",))
    copies = {row.name: row for row in judged_rows(Sampler(lambda n: train.x[:n]), data)}
    fresh = {row.name: row for row in judged_rows(Sampler(fresh_noise), data)}
    assert math.isnan(fresh["frechet"].value)
    assert "made for images of shape" in fresh["frechet"].reason
    assert copies["pixel_nearest"].value == 0  # the samples are training pictures
    assert fresh["pixel_nearest"].value == pytest.approx(fresh["pixel_nearest"].beside["test"], 0.1)
    assert 0 <= fresh["pixel_coverage"].value <= 1
    few = ImageSet("few", train, Split(test.images[:2], test.labels[:2]), ("one",))
    reasons = {row.name: row.reason for row in judged_rows(Sampler(fresh_noise), few)}
    assert reasons["pixel_recall"] == "2 test pictures are too few, 6 are needed"
    assert reasons["pixel_nearest"] == ""


def test_other_training_images_score_near_the_floor_and_noise_far_from_it(fashion, untrained_judge):
    data = fewer(fashion)
    real = judged_rows(Sampler(lambda n: fashion.train.subset(n, seed=1).x), data, n=200)
    chance = judged_rows(Sampler(noise), data, n=200)
    frechet, kernel, precision, recall, _, coverage = (row.value for row in real)
    assert frechet < 4 * real[0].beside["floor"]
    assert min(precision, recall, coverage) > 0.7
    assert chance[0].value > 10 * frechet
    assert chance[1].value > 10 * abs(kernel)
    assert [row.value for row in chance[2:]] == [0, 0, 0, 0]


def test_samples_are_measured_beside_as_many_test_images(fashion, untrained_judge):
    data = fewer(fashion)
    measure, x = SampleQuality(data), fashion.train.subset(150, seed=5).x
    with torch.no_grad():
        fake, real = (untrained_judge.features(v) for v in (x, data.test.x[:150]))
    assert measure.frechet(x) == pytest.approx(frechet_distance(fake, real), rel=1e-3)
    assert measure.quality(x).frechet == pytest.approx(measure.frechet(x))
    assert measure.frechet(data.test.x[:150]) == pytest.approx(0, abs=1e-3)
    assert measure.floor(150).frechet == pytest.approx(measure.frechet_floor(150))


def test_a_model_that_draws_no_samples_gets_no_figures_of_samples(fashion, untrained_judge):
    assert judged_rows(LinearAutoencoder(latent_size=2), fewer(fashion), n=200) == []


def test_a_model_made_for_other_images_is_named(fashion):
    check_shape(LinearAutoencoder((1, 28, 28), latent_size=2), fashion)
    check_shape(Sampler(None), fashion)  # made for images of any shape
    with pytest.raises(InputError, match=r"made for images of shape \(3, 8, 8\), those of fashion"):
        check_shape(LinearAutoencoder((3, 8, 8), latent_size=2), fashion)


# Styles


PICTURES = torch.randint(
    256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)


class Bright(Judge):
    """Calls bright images class 1; its features are two pixels."""

    def logits(self, x):
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)

    def features(self, x):
        return x[:, 0, 0, :2]


@pytest.fixture
def bright() -> Bright:
    return Bright((3, 32, 32), classes=2)


class Identity(Sampler, Translates):
    """A translator that changes nothing."""

    def translate(self, x, to):
        return x


def two_styles(name: str) -> DomainSet:
    a, b = (
        [Domain(part, (Caption("", ""),) * 10) for part in pictures.split(10)]
        for pictures in PICTURES.split(20)
    )
    train, test = (TwoDomains(*halves, paired=True) for halves in zip(a, b, strict=True))
    return DomainSet(name, train, test, ("A", "B"))


def test_style_is_the_share_that_a_classifier_calls_the_target(bright):
    x = torch.cat([to_float(PICTURES[:6]) + 3, to_float(PICTURES[6:8]) - 3])
    assert style_share(bright, x, 1) == 6 / 8
    assert style_share(bright, x, 0) == 2 / 8


def test_the_distance_of_styles_of_shifted_images_is_the_square_of_the_shift(bright, rng):
    x = torch.rand(500, 3, 12, 12, generator=rng) * 2 - 1
    assert style_distance(bright, x, x) == pytest.approx(0, abs=1e-3)
    assert style_distance(bright, x + 0.5, x) == pytest.approx(2 * 0.25, rel=1e-2)


def test_styles_are_measured_of_emoji_alone_beside_baselines_and_true_pictures(monkeypatch, bright):
    monkeypatch.setattr(sample_quality, "load_pretrained", lambda name, kind: bright)
    emoji = two_styles("emoji")
    assert judged_rows(Identity(None), two_styles("seasons")) == []
    assert judged_rows(LinearAutoencoder((3, 32, 32)), emoji) == []
    rows = {row.name: row for row in judged_rows(Identity(None), emoji)}
    assert list(rows) == ["style_to_b", "frechet_to_b", "style_to_a", "frechet_to_a"]
    for name, row in rows.items():
        last = "truth" if name.startswith("style") else "floor"
        assert list(row.beside) == ["identity", "blur", "colour", last]
        assert row.value == pytest.approx(row.beside["identity"])
    truth = style_share(bright, emoji.test.b.x, B)
    assert rows["style_to_b"].beside["truth"] == truth
    floor = style_distance(bright, emoji.train.b.x, emoji.test.b.x)
    assert rows["frechet_to_b"].beside["floor"] == pytest.approx(floor, rel=1e-4, abs=1e-6)
