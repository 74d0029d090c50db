"""Metrics: closed forms, naive versions of themselves, limits, and what stands beside a figure."""

import math

import pytest
import torch
from torch import nn

from gen_lib import InputError
from gen_lib.data import ImageSet, Split
from gen_lib.metrics import (
    Quality,
    SampleQuality,
    class_histogram,
    density_coverage,
    evaluate,
    frechet_distance,
    kernel_distance,
    mse,
    nearest,
    precision_recall,
    psnr,
    ssim,
)
from gen_lib.models import DenoisingAutoencoder, Judge, LinearAutoencoder, MaskedAutoencoder
from gen_lib.models.autoencoder import PCA, add_noise
from gen_lib.models.base import Classifies, Model, Samples


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def images(n: int, side: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def small_set(n_train: int = 60, n_test: int = 20, side: int = 16) -> ImageSet:
    rng = torch.Generator().manual_seed(0)
    halves = []
    for n in (n_train, n_test):
        pixels = torch.randint(256, (n, 1, side, side), generator=rng, dtype=torch.uint8)
        halves.append(Split(pixels, torch.arange(n) % 4))
    return ImageSet("noise", *halves, ("a", "b", "c", "d"))


# Fréchet and kernel distance


def test_frechet_distance_of_gaussians_is_its_closed_form():
    mean_a, mean_b = torch.tensor([1.0, 0.0, 2.0, -1.0]), torch.tensor([0.0, 0.5, 2.0, 1.0])
    std_a, std_b = torch.tensor([1.0, 2.0, 0.5, 1.0]), torch.tensor([2.0, 1.0, 0.5, 3.0])
    a, b = mean_a + std_a * normal(200_000, 4), mean_b + std_b * normal(200_000, 4, seed=1)
    closed = (mean_a - mean_b).square().sum() + (std_a - std_b).square().sum()
    assert frechet_distance(a, b) == pytest.approx(closed.item(), rel=0.01)


def test_frechet_distance_of_rotated_gaussians_is_that_of_numpy():
    a, b = normal(400, 5) @ normal(5, 5, seed=2), normal(300, 5, seed=1) @ normal(5, 5, seed=3) + 1
    s_a, s_b = a.T.cov().double(), b.T.cov().double()
    values, vectors = torch.linalg.eigh(s_a)
    root_a = vectors * values.sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ s_b @ root_a).clamp(min=0).sqrt().sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + s_a.trace() + s_b.trace() - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-3)


def test_frechet_distance_is_zero_for_equal_sets_and_symmetric():
    a, b = normal(500, 8), normal(500, 8, seed=1) * 1.5 + 0.3
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-4)


def test_kernel_distance_of_one_subset_is_the_naive_unbiased_mmd():
    a, b = normal(60, 5), normal(60, 5, seed=1) + 0.5

    def mean_kernel(x, y, same):
        total = sum(
            ((x[i] @ y[j]).item() / 5 + 1) ** 3
            for i in range(len(x))
            for j in range(len(y))
            if not (same and i == j)
        )
        return total / (len(x) * (len(y) - same))

    naive = mean_kernel(a, a, True) + mean_kernel(b, b, True) - 2 * mean_kernel(a, b, False)
    assert kernel_distance(a, b) == pytest.approx(naive, rel=1e-3)


def test_kernel_distance_vanishes_for_equal_distributions_only():
    a, b = normal(250, 4), normal(250, 4, seed=1)
    assert abs(kernel_distance(a, b)) < 0.05
    assert kernel_distance(a, b + 0.5) > 0.1
    assert kernel_distance(a, 1.5 * b) > 0.1


def test_kernel_distance_depends_on_its_seed_only():
    a, b = normal(200, 4), normal(150, 4, seed=1)
    before = torch.get_rng_state()
    first = kernel_distance(a, b, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert kernel_distance(a, b, seed=3) == first
    assert kernel_distance(a, b, seed=4) != first


# Neighbour figures


def naive_reach(points, i: int, k: int) -> float:
    others = [math.dist(points[i], points[j]) for j in range(len(points)) if j != i]
    return sorted(others)[k - 1]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighbour_figures_are_those_of_naive_loops(k):
    fake, real = normal(40, 3).tolist(), (normal(30, 3, seed=1) + 0.7).tolist()
    inside_real = [
        [math.dist(f, r) <= naive_reach(real, j, k) for j, r in enumerate(real)] for f in fake
    ]
    inside_fake = [
        [math.dist(f, r) <= naive_reach(fake, i, k) for i, f in enumerate(fake)] for r in real
    ]
    precision = sum(map(any, inside_real)) / 40
    recall = sum(map(any, inside_fake)) / 30
    density = sum(map(sum, inside_real)) / 40 / k
    coverage = sum(any(row[j] for row in inside_real) for j in range(30)) / 30
    a, b = torch.tensor(fake), torch.tensor(real)
    assert precision_recall(a, b, k) == pytest.approx((precision, recall))
    assert density_coverage(a, b, k) == pytest.approx((density, coverage))


def test_equal_sets_score_one_and_sets_far_apart_zero():
    a = normal(100, 8)
    assert precision_recall(a, a) == (1, 1)
    assert density_coverage(a, a)[1] == 1
    assert precision_recall(a, a + 100) == (0, 0)
    assert density_coverage(a, a + 100) == (0, 0)


@pytest.mark.parametrize(("n", "m", "k"), [(300, 300, 5), (200, 400, 3), (300, 300, 1)])
def test_density_and_coverage_of_equal_distributions_have_their_expectation(n, m, k):
    found = torch.tensor(
        [density_coverage(normal(m, 3, 2 * s), normal(n, 3, 2 * s + 1), k) for s in range(40)]
    )
    missed = math.prod((n - 1 - j) / (n + m - 1 - j) for j in range(k))
    errors = found.std(dim=0) / math.sqrt(40)
    assert (errors < 0.02).all()
    assert abs(found[:, 0].mean() - 1) < 4 * errors[0]
    assert abs(found[:, 1].mean() - (1 - missed)) < 4 * errors[1]


def test_collapsed_samples_are_precise_and_recall_nothing():
    real = normal(500, 4)
    collapsed = 0.01 * normal(500, 4, seed=1)
    precision, recall = precision_recall(collapsed, real)
    assert precision == 1
    assert recall < 0.02
    assert density_coverage(collapsed, real)[1] < 0.2


# Reconstructions


@pytest.mark.parametrize("off", [0.01, 0.2, 1.0])
def test_mse_and_psnr_of_a_constant_error(off):
    x = images(3)
    assert mse(x + off, x) == pytest.approx(off**2, rel=1e-3)
    assert psnr(x + off, x) == pytest.approx(20 * math.log10(2 / off), rel=1e-3)


def test_psnr_averages_decibels_and_not_errors():
    x = torch.zeros(2, 1, 4, 4)
    y = torch.stack([x[0] + 0.2, x[1] + 0.02])
    assert psnr(y, x) == pytest.approx((20 + 40) / 2, rel=1e-5)


def test_ssim_is_one_for_equal_images_falls_with_noise_and_is_symmetric():
    x, noise = images(4, side=32), images(4, side=32, seed=1)
    values = [ssim((x + a * noise).clamp(-1, 1), x) for a in (0.0, 0.1, 0.3, 1.0)]
    assert values[0] == pytest.approx(1, abs=1e-5)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.8
    assert ssim(noise, x) == pytest.approx(ssim(x, noise), abs=1e-5)


# Copies and classes


def test_nearest_is_brute_force():
    x, pool = images(20, side=6), images(50, side=6, seed=1)
    found = nearest(x, pool)
    for n in range(20):
        distances = [(x[n] - other).norm().item() for other in pool]
        assert found.distance[n].item() == pytest.approx(min(distances), rel=1e-4)
        assert distances[found.indices[n]] == pytest.approx(min(distances), rel=1e-4)


def test_a_planted_copy_is_found_at_distance_zero_in_any_batch():
    pool = images(700, side=28)
    x = images(600, side=28, seed=1)
    x[3], x[555] = pool[600], pool[7]
    found = nearest(x, pool)
    assert found.indices[[3, 555]].tolist() == [600, 7]
    assert found.distance[[3, 555]].tolist() == [0, 0]
    assert (found.distance > 0).sum() == 598


class ByBrightness(Classifies):
    """Class 0 for dark images, 2 for bright ones, never 1."""

    def features(self, x):
        return x.flatten(1)

    def logits(self, x):
        mean = x.flatten(1).mean(dim=1)
        return torch.stack([-mean, torch.full_like(mean, -9), mean], dim=1)


def test_class_histogram_is_the_share_of_each_class_absent_ones_as_well():
    x = torch.cat([torch.full((600, 1, 2, 2), 0.5), torch.full((200, 1, 2, 2), -0.5)])
    torch.testing.assert_close(class_histogram(ByBrightness(), x), torch.tensor([0.25, 0, 0.75]))


# The table of a model


def test_rows_of_an_autoencoder_stand_beside_pca_and_the_mean_image():
    data, model = small_set(), LinearAutoencoder((1, 16, 16), latent_size=4)
    rows = {row.name: row for row in evaluate(model, data)}
    train, x = data.train.x, data.test.x
    outputs = {
        "model": model.reconstruct(x).detach(),
        "pca": PCA.fit(train, 4).reconstruct(x),
        "mean_image": train.mean(dim=0, keepdim=True).repeat(len(x), 1, 1, 1),
    }
    assert list(rows) == ["mse", "psnr", "ssim"]
    for name, figure in (("mse", mse), ("psnr", psnr), ("ssim", ssim)):
        expected = {key: figure(y, x) for key, y in outputs.items()}
        assert rows[name].value == pytest.approx(expected.pop("model"), rel=1e-4)
        assert rows[name].beside == pytest.approx(expected, rel=1e-4)
    by_hand = sum(
        ((y - v) ** 2) for y, v in zip(outputs["pca"].flatten(), x.flatten(), strict=True)
    )
    assert rows["mse"].beside["pca"] == pytest.approx(by_hand.item() / x.numel(), rel=1e-3)


def test_accuracy_is_the_share_of_right_names_beside_the_most_common_class():
    class Oracle(Judge):
        def logits(self, x):
            return nn.functional.one_hot(self.answers, 4).float()

    data = small_set(n_test=20)
    oracle = Oracle((1, 16, 16), classes=4)
    oracle.answers = data.test.labels.clone()
    oracle.answers[:5] = (oracle.answers[:5] + 1) % 4
    (row,) = evaluate(oracle, data)
    assert row == ("accuracy", pytest.approx(0.75), {"one_class": pytest.approx(0.25)})


def test_denoising_stands_beside_the_noised_images_and_not_beside_complete_pca():
    data, model = small_set(), DenoisingAutoencoder((1, 16, 16), sigma=0.3).eval()
    rows = {row.name: row for row in evaluate(model, data)}
    assert list(rows["mse"].beside) == ["mean_image"]  # its code is larger than the image
    noised = add_noise(data.test.x, 0.3, 0.0, torch.Generator().manual_seed(0))
    expected = psnr(model.reconstruct(noised).detach(), data.test.x)
    assert rows["denoised_psnr"].value == pytest.approx(expected, rel=1e-4)
    assert rows["denoised_psnr"].beside == {"noised": pytest.approx(16.5, abs=0.2)}  # 4 / 0.3^2


def test_masking_stands_beside_the_mean_image_on_the_same_patches():
    data, model = small_set(), MaskedAutoencoder((1, 16, 16), width=16, depth=1).eval()
    (row,) = evaluate(model, data)
    assert row.name == "masked_mse"
    noise_variance = data.test.x.var().item()  # the mean of noise predicts nothing
    assert row.beside["mean_image"] == pytest.approx(noise_variance, rel=0.1)


class Sampler(Model, Samples):
    """ "Samples" by a function of n, the number of images."""

    name = "sampler"

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def players(self):
        return {}

    def turns(self, batch, rng):
        yield from ()

    def sample(self, n, generator=None):
        return self.draw(n)


@pytest.fixture
def untrained_judge(monkeypatch):
    torch.manual_seed(0)
    judge = Judge().eval()
    for file in ("ruler", "evaluation"):
        monkeypatch.setattr(f"gen_lib.metrics.{file}.load_judge", lambda: judge)
    return judge


def test_a_sampler_that_is_the_floor_scores_the_floor(fashion, untrained_judge):
    rows = evaluate(Sampler(lambda n: fashion.train.subset(n).x), small_test(fashion), n=200)
    assert [row.name for row in rows] == list(Quality._fields)
    for row in rows:
        assert row.value == pytest.approx(row.beside["floor"], rel=1e-5)


def test_too_few_samples_are_refused_before_any_work(fashion, untrained_judge):
    with pytest.raises(InputError, match="3 images are too few"):
        evaluate(Sampler(None), small_test(fashion), n=3)


def test_samples_are_compared_with_as_many_real_images(fashion, untrained_judge):
    data = small_test(fashion)
    rows = evaluate(Sampler(lambda n: fashion.train.subset(n).x), data, n=10**9)
    assert rows[0].value == pytest.approx(SampleQuality(data).frechet_floor(400), rel=1e-4)


def test_images_that_the_judge_does_not_know_get_no_figures_of_samples(untrained_judge):
    class Large(Sampler):
        def __init__(self):
            super().__init__(None)
            self.config = {"image_shape": (1, 32, 32)}

    split = Split(torch.zeros(8, 1, 32, 32, dtype=torch.uint8), torch.zeros(8, dtype=torch.long))
    assert evaluate(Large(), ImageSet("large", split, split, ("one",))) == []


def test_other_training_images_score_near_the_floor_and_noise_far_from_it(fashion, untrained_judge):
    data = small_test(fashion)
    real = evaluate(Sampler(lambda n: fashion.train.subset(n, seed=1).x), data, n=200)
    noise = evaluate(Sampler(lambda n: images(n, side=28)), data, n=200)
    frechet, kernel, precision, recall, _, coverage = (row.value for row in real)
    assert frechet < 4 * real[0].beside["floor"]
    assert min(precision, recall, coverage) > 0.7
    assert noise[0].value > 10 * frechet
    assert noise[1].value > 10 * abs(kernel)
    assert [row.value for row in noise[2:]] == [0, 0, 0, 0]


def small_test(data: ImageSet) -> ImageSet:
    return ImageSet(data.name, data.train, data.test.subset(400), data.classes)


def test_a_ruler_compares_with_as_many_test_images(fashion, untrained_judge):
    data = small_test(fashion)
    ruler, x = SampleQuality(data), fashion.train.subset(150, seed=5).x
    with torch.no_grad():
        fake, real = (untrained_judge.features(v) for v in (x, data.test.x[:150]))
    assert ruler.frechet(x) == pytest.approx(frechet_distance(fake, real), rel=1e-3)
    assert ruler.quality(x).frechet == pytest.approx(ruler.frechet(x))
    assert ruler.frechet(data.test.x[:150]) == pytest.approx(0, abs=1e-3)
    assert ruler.floor(150).frechet == pytest.approx(ruler.frechet_floor(150))
