"""The drawn seasons: the pixels never change, both seasons show the same scene, sizes, splits."""

import hashlib

import pytest
import torch

from gen_lib.data import DomainSet, domains, load_domains
from gen_lib.data.domains import SEASONS, seasons
from gen_lib.data.domains.shapes import NUMBERS, Canvas, Dice


@pytest.mark.parametrize(
    ("winter", "expected"),
    [
        (False, "b03cd64635e5d3da2ef1848cca2e9e129482d8299cee2eb0edf04b8162980694"),
        (True, "0d831ea1de6a06e88dd31141d6a811c15a168f72580730d86c01845694df58ab"),
    ],
)
def test_the_drawing_is_frozen(winter, expected):
    scenes = range(SEASONS["test"].start, SEASONS["test"].start + 200)
    pixels = seasons.draw(scenes, winter)
    assert hashlib.sha256(pixels.numpy().tobytes()).hexdigest() == expected


def test_both_seasons_read_the_same_numbers():
    left = []
    for winter in (False, True):
        dice = Dice(range(3))
        seasons._scene(Canvas.blank(3, 32), dice, winter)
        left.append(len(list(dice.left)))
    assert left[0] == left[1]
    assert 0 <= left[0] < NUMBERS


def test_a_scene_depends_on_its_number_only():
    many = seasons.draw(range(5_000, 5_130), winter=True)
    assert torch.equal(seasons.draw(range(5_100, 5_103), winter=True), many[100:103])


def test_a_larger_picture_shows_the_same_scene():
    small, large = (seasons.draw(range(40), False, size).float() for size in (32, 128))
    shrunk = torch.nn.functional.avg_pool2d(large, 4)
    assert (shrunk - small).abs().mean() < 2  # of 255


def test_colour_alone_does_not_explain_the_winter(landscapes):
    """No function of a pixel's colour maps summer to winter well: half of the variance stays."""
    summer, winter = landscapes.test.a.images, landscapes.test.b.x
    coarse = (summer // 16).long()  # 16 levels a channel
    colour = (coarse[:, 0] * 256 + coarse[:, 1] * 16 + coarse[:, 2]).flatten()
    values = winter.permute(0, 2, 3, 1).reshape(-1, 3)
    total = torch.zeros(4_096, 3).index_add_(0, colour, values)
    mean = total / torch.bincount(colour, minlength=4_096).clamp(min=1)[:, None]
    identity = (landscapes.test.a.x - landscapes.test.b.x).square().mean()
    unexplained = (mean[colour] - values).square().mean()
    assert 10 * torch.log10(4 / unexplained) < 22  # dB: far from the true picture ...
    assert unexplained < identity / 4  # ... though colour explains much


def test_below_the_horizon_lies_snow_and_above_it_never_meadow():
    scenes = range(10_000, 10_200)
    winter, summer = (seasons.draw(scenes, season) / 255 for season in (True, False))
    rows = torch.arange(32) + 0.5
    below = rows > seasons.horizon(scenes)[:, None] + 7.3  # (n, rows)
    above = rows < seasons.horizon(scenes)[:, None] - 11.5
    snow = (winter.amin(dim=1) > 0.7).float().mean(dim=2)  # share of each row
    green = (summer[:, 1] > summer[:, 2] + 0.1).float().mean(dim=2)
    assert snow[below].mean() > 0.6
    assert green[below].mean() > 0.7
    assert green[above].mean() < 0.1


def halves(domain_set: DomainSet):
    return (domain_set.train.a, domain_set.train.b, domain_set.test.a, domain_set.test.b)


def test_seasons_have_the_promised_scenes(landscapes):
    assert landscapes.classes == ("summer", "winter")
    assert landscapes.image_shape == (3, 32, 32)
    assert [len(half) for half in halves(landscapes)] == [5_000, 5_000, 500, 500]
    assert torch.equal(landscapes.train.b.images[:3], seasons.draw(range(5_000, 5_003), True))
    assert torch.equal(landscapes.test.a.images[:3], seasons.draw(range(10_000, 10_003), False))


def test_no_two_scenes_look_the_same(landscapes):
    for half in halves(landscapes):
        assert len({image.numpy().tobytes() for image in half.images}) == len(half)


def test_seasons_come_at_any_size(monkeypatch):
    few = {"a": range(2), "b": range(2, 4), "test": range(4, 5)}
    monkeypatch.setattr(domains, "SEASONS", few)
    assert load_domains("seasons", size=48).image_shape == (3, 48, 48)
    paired = load_domains("seasons", paired=True).train
    assert paired.paired
    assert torch.equal(paired.a.images, seasons.draw(range(4), False))
    assert torch.equal(paired.b.images, seasons.draw(range(4), True))
