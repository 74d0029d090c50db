"""Two domains: the drawing is frozen, splits share nothing, pairs are pairs, folders are read."""

import csv
import hashlib
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from gen_lib import InputError
from gen_lib.data import (
    DomainSet,
    data_folder,
    domains,
    load_domains,
    load_pairs,
    seasons,
    to_uint8,
)
from gen_lib.data.domains import SEASONS, load_classes
from gen_lib.data.shapes import NUMBERS, Canvas, Dice, box, disc, line, triangle, wave


def sha256(images: torch.Tensor) -> str:
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()


@pytest.fixture(scope="module")
def landscapes() -> DomainSet:
    return load_domains("seasons")


@pytest.fixture(scope="module")
def emoji() -> DomainSet:
    return load_domains("emoji")


@pytest.fixture(scope="module")
def emoji_pairs() -> DomainSet:
    return load_domains("emoji", paired=True)


@pytest.fixture
def table() -> list[dict[str, str]]:
    with (data_folder() / "emoji" / "emoji.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def halves(domain_set: DomainSet):
    return (domain_set.train.a, domain_set.train.b, domain_set.test.a, domain_set.test.b)


# Shapes


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (lambda c: disc(c, 15.3, 16.8, 7.0), np.pi * 49),
        (lambda c: box(c, 4.25, 10.5, 20.75, 13.0), 16.5 * 2.5),
        (lambda c: triangle(c, 16.2, 5.0, 25.0, 8.0), 160.0),
        (lambda c: line(c, 5.0, 5.0, 20.0, 25.0, 2.0), 25 * 2 + np.pi),
    ],
    ids=["disc", "box", "triangle", "line"],
)
def test_a_painted_shape_covers_its_area(shape, area, size):
    canvas = Canvas.blank(1, size)
    canvas.paint(shape(canvas), np.ones((3, 1, 1, 1)))
    assert canvas.pixels[0].sum() / canvas.scale**2 == pytest.approx(area, rel=0.02)


def test_distances_are_right_at_known_points():
    canvas = Canvas.blank(1, 32)
    at = lambda d, x, y: d[0, y, x]  # noqa: E731  of the pixel whose centre is (x + 1/2, y + 1/2)
    assert at(disc(canvas, 10.5, 10.5, 3.0), 20, 10) == 7
    assert at(disc(canvas, 10.5, 10.5, 3.0), 10, 10) == -3
    assert at(box(canvas, 4.0, 4.0, 8.0, 8.0), 9, 6) == 1.5
    assert at(line(canvas, 5.5, 5.5, 15.5, 5.5, 2.0), 18, 9) == 4  # a 3-4-5 triangle from its end
    assert at(triangle(canvas, 16.0, 8.0, 20.0, 6.0), 15, 25) == 5.5


def test_the_wave_has_period_one_and_amplitude_one():
    t = np.linspace(-2, 2, 1601)
    np.testing.assert_allclose(wave(t), wave(t + 1), atol=1e-12)
    np.testing.assert_allclose(wave(t), np.sin(2 * np.pi * t), atol=0.06)
    assert (wave(t).min(), wave(t).max()) == (-1, 1)


def test_a_window_paints_what_the_whole_canvas_would():
    x, y = (np.array(v)[:, None, None] for v in ([2.3, 16.1, 31.0], [30.9, 15.7, 0.2]))
    whole, cut = Canvas.blank(3, 32), Canvas.blank(3, 32)
    present = np.array([True, False, True])[:, None, None]
    red = np.array([1.0, 0, 0])[:, None, None, None]
    whole.paint(np.where(present, disc(whole, x, y, 2.2), 9), red)
    window = cut.window(present, x, y, 8, 8)
    window.paint(disc(window, x[window.pictures], y[window.pictures], 2.2), red)
    cut.put_back(window)
    np.testing.assert_array_equal(whole.pixels, cut.pixels)
    assert window.pictures.tolist() == [0, 2]


# Seasons


@pytest.mark.parametrize(
    ("winter", "expected"),
    [
        (False, "b03cd64635e5d3da2ef1848cca2e9e129482d8299cee2eb0edf04b8162980694"),
        (True, "0d831ea1de6a06e88dd31141d6a811c15a168f72580730d86c01845694df58ab"),
    ],
)
def test_the_drawing_is_frozen(winter, expected):
    scenes = range(SEASONS["test"].start, SEASONS["test"].start + 200)
    assert sha256(seasons.draw(scenes, winter)) == expected


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


def test_numbers_are_uniform_and_those_of_scenes_differ():
    dice = Dice(range(4_000))
    first, second = dice()[:, 0, 0], dice(2.0, 6.0)[:, 0, 0]
    assert first.mean() == pytest.approx(0.5, abs=0.02)
    assert first.var() == pytest.approx(1 / 12, abs=0.005)
    assert second.mean() == pytest.approx(4, abs=0.08)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.06)
    assert np.corrcoef(first[1:], first[:-1])[0, 1] == pytest.approx(0, abs=0.06)


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


# Emoji


def test_emoji_pixels_are_frozen(emoji):
    assert (
        sha256(emoji.test.a.images)
        == "6f6cb4eafbb2323ee4e43ba8dcf14366d5cc8d5d8fd6898514fee7df1503e925"
    )
    assert (
        sha256(emoji.test.b.images)
        == "7f3b7a4c1b76552ff818f4d46e7b2289547974522a37906ba9da1ea3de6e8875"
    )


def test_there_are_3216_emoji_with_one_skin_tone_at_most_and_no_flags(emoji, table):
    assert len(table) == 3_216
    assert len({(row["name"], row["tone"]) for row in table}) == 3_216
    tones = Counter(row["tone"] for row in table)
    assert tones[""] == 1_636
    five = {"light", "medium-light", "medium", "medium-dark", "dark"}
    assert {tone: n for tone, n in tones.items() if tone} == dict.fromkeys(five, 316)
    assert "Flags" not in {row["category"] for row in table}
    assert emoji.image_shape == (3, 32, 32)


def test_the_parts_of_the_emoji_are_two_halves_and_a_tenth(emoji, table):
    sizes = [len(half) for half in halves(emoji)]
    assert sizes == [1_450, 1_444, 322, 322]
    assert Counter(row["split"] for row in table) == {"a": 1_450, "b": 1_444, "test": 322}


def test_no_family_of_emoji_stands_in_two_splits(table):
    splits: dict[str, set[str]] = {}
    for row in table:
        splits.setdefault(row["family"], set()).add(row["split"])
        splits.setdefault(row["name"], set()).add(row["split"])
    assert max(map(len, splits.values())) == 1


def test_no_picture_stands_in_two_splits(emoji_pairs):
    for domain in "ab":
        train, test = (
            {image.numpy().tobytes() for image in getattr(half, domain).images}
            for half in (emoji_pairs.train, emoji_pairs.test)
        )
        assert not train & test


def test_retrieval_is_among_one_emoji_of_each_family(emoji):
    captions = [emoji.test.b.captions[n] for n in emoji.test.b.bases]
    assert len(captions) == len({c.family for c in emoji.test.b.captions}) == 163
    assert not [c.name for c in captions if "skin" in c.name]
    pictures = {emoji.test.b.images[n].numpy().tobytes() for n in emoji.test.b.bases}
    assert len(pictures) == 163


def test_emoji_pairs_show_the_same_thing(emoji):
    """The partner is nearer than chance: both sets draw the same things in similar colours."""
    a, b = (domain.x[domain.bases].flatten(1) for domain in (emoji.test.a, emoji.test.b))
    rank = (torch.cdist(a, b) < (a - b).norm(dim=1)[:, None]).sum(dim=1)
    assert emoji.test.a.captions == emoji.test.b.captions
    assert rank.float().median() <= 6  # chance: 81


def test_emoji_stand_on_white(emoji):
    for half in halves(emoji):
        corners = half.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners == 255).float().mean() > 0.8
        assert not (half.images == 255).flatten(1).all(dim=1).any()


def test_the_sheets_carry_their_licences():
    folder = data_folder() / "emoji"
    assert "Apache License" in (folder / "LICENSE-NOTO").read_text()
    twemoji = (folder / "LICENSE-TWEMOJI").read_text()
    assert "creativecommons.org/licenses/by/4.0/legalcode" in twemoji
    assert sum(file.stat().st_size for file in folder.iterdir()) < 7_000_000


def test_data_readme_holds_the_sha256_of_every_emoji_file():
    readme = (data_folder() / "README.md").read_text()
    for name, expected in domains.EMOJI_FILES.items():
        content = (data_folder() / "emoji" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected
        assert f"| `{name}` | {len(content)} | `{expected}` |" in readme


# Minibatches


def test_a_batch_holds_as_many_of_both_domains_in_order(emoji):
    batch = emoji.train.batch(3, 10, seed=4)
    assert batch.images.shape == (20, 3, 32, 32)
    assert batch.labels.tolist() == [0] * 10 + [1] * 10
    for domain, images in zip((emoji.train.a, emoji.train.b), batch.images.split(10), strict=True):
        known = {image.numpy().tobytes() for image in domain.images}
        assert all(image.numpy().tobytes() in known for image in to_uint8(images))


def test_a_batch_depends_on_its_arguments_only(emoji):
    first = emoji.train.batch(7, 4, seed=3).images
    torch.manual_seed(99)
    emoji.train.batch(2, 5)
    assert torch.equal(emoji.train.batch(7, 4, seed=3).images, first)
    assert not torch.equal(emoji.train.batch(7, 4, seed=2).images, first)


def test_pairs_stay_together_and_what_is_unpaired_is_shuffled_apart(emoji_pairs):
    paired = emoji_pairs.train
    unpaired = domains.TwoDomains(paired.a, paired.b, paired=False)
    place = {image.numpy().tobytes(): n for n, image in enumerate(paired.a.images)}
    partner = {image.numpy().tobytes(): n for n, image in enumerate(paired.b.images)}
    for pool, together in ((paired, True), (unpaired, False)):
        a, b = to_uint8(pool.batch(0, 100).images).split(100)
        same = [
            paired.a.captions[place[i.numpy().tobytes()]].family
            == paired.b.captions[partner[j.numpy().tobytes()]].family
            for i, j in zip(a, b, strict=True)
        ]
        assert np.mean(same) == pytest.approx(1.0 if together else 0.0, abs=0.05)


def numbered(n: int) -> domains.Domain:
    """n pictures of one pixel, the k-th of brightness k."""
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1)
    return domains.Domain(images, (domains.Caption("", ""),) * n)


def test_every_picture_of_both_domains_comes_once_an_epoch():
    unpaired = domains.TwoDomains(numbered(24), numbered(30), paired=False)
    for label, steps in enumerate((4, 5)):
        batches = [unpaired.batch(step, 6) for step in range(steps)]
        seen = torch.cat([to_uint8(b.images[b.labels == label]) for b in batches])
        assert sorted(seen.flatten().tolist()) == list(range(6 * steps))


def test_domains_of_unequal_size_give_batches_of_equal_halves():
    batch = domains.TwoDomains(numbered(3), numbered(11), paired=False).batch(9, 8)
    assert batch.labels.tolist() == [0, 0, 0, 1, 1, 1]


# Folders in the convention of CycleGAN


@pytest.fixture
def folder(tmp_path):
    """Two domains of made pictures: dark ones and bright ones, of many shapes."""
    counts = {"trainA": 5, "trainB": 4, "testA": 2, "testB": 2}
    for place, n in counts.items():
        (tmp_path / place).mkdir()
        bright = 155 if place.endswith("B") else 0
        for i in range(n):
            colour = (bright + 10 * i, bright, bright + 50)
            Image.new("RGB", (90 + i, 70 - i), colour).save(tmp_path / place / f"{place}{i}.png")
    return tmp_path


def test_a_folder_of_two_domains_is_read_at_the_size_asked_for(folder):
    found = load_domains(str(folder), size=64)
    assert found.image_shape == (3, 64, 64)
    assert found.classes == ("A", "B")
    assert [len(half) for half in halves(found)] == [5, 4, 2, 2]
    assert found.train.a.images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert found.test.b.images[:, :, 32, 32].tolist() == [[155, 155, 205], [165, 155, 205]]
    assert found.test.a.captions[1].name == "testA1"
    assert not found.train.paired
    assert not found.test.paired
    assert found.train.batch(0, 3).images.shape == (6, 3, 64, 64)


def test_equal_file_names_in_a_folder_are_pairs(folder):
    for half in ("train", "test"):
        shutil.rmtree(folder / f"{half}B")
        shutil.copytree(folder / f"{half}A", folder / f"{half}B")
    found = load_domains(str(folder))
    assert found.test.paired
    assert not found.train.paired  # as long as nobody asks for it
    train = load_domains(str(folder), paired=True).train
    a, b = train.batch(0, 4).images.split(4)
    assert train.paired
    assert torch.equal(a, b)


@pytest.mark.parametrize("place", ["trainA", "trainB", "testA", "testB"])
@pytest.mark.parametrize("how", [shutil.rmtree, lambda f: [p.unlink() for p in f.iterdir()]])
def test_a_missing_or_empty_part_of_a_folder_is_named(folder, place, how):
    how(folder / place)
    with pytest.raises(InputError, match=rf"no pictures in .*{place}: a folder of two domains"):
        load_domains(str(folder))


def test_a_folder_without_pairs_has_none_to_train_on(folder):
    with pytest.raises(InputError, match=r"trainB hold no pairs: .* must have the same file name"):
        load_domains(str(folder), paired=True)


# Bad input


@pytest.mark.parametrize("name", ["", "horse2zebra", "fashion_mnist"])
def test_an_unknown_name_is_refused_with_the_names_of_all(name):
    with pytest.raises(InputError, match=rf"called '{name}': choose one of seasons, emoji"):
        load_domains(name)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [("emoji", 64, "emoji have 32 pixels"), ("seasons", 0, "at least 1")],
)
def test_a_size_that_is_not_to_be_had_is_named(name, size, words):
    with pytest.raises(InputError, match=f"size is {size}: .*{words}"):
        load_domains(name, size=size)


def alter(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["noto.png", "twemoji.png", "emoji.csv"])
@pytest.mark.parametrize(
    ("damage", "words"), [(alter, "truncated or altered"), (lambda f: f.unlink(), "missing")]
)
def test_a_damaged_emoji_file_is_named_with_its_remedy(tmp_path, monkeypatch, name, damage, words):
    shutil.copytree(data_folder() / "emoji", tmp_path / "emoji")
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path))
    damage(tmp_path / "emoji" / name)
    with pytest.raises(InputError, match=rf"{name} is {words}: restore it with `git checkout"):
        load_domains("emoji")


# Pairs alone, and both domains as classes


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


@pytest.mark.parametrize("name", ["seasons", "emoji"])
def test_the_pairs_alone_are_those_of_the_whole_set(name, landscapes, emoji):
    whole = {"seasons": landscapes, "emoji": emoji}[name].test
    pairs = load_pairs(name)
    assert pairs.paired
    assert torch.equal(pairs.a.images, whole.a.images)
    assert torch.equal(pairs.b.images, whole.b.images)
    assert pairs.a.captions == whole.a.captions


def test_the_pairs_alone_refuse_what_the_whole_set_refuses():
    for name, size, words in (("seasons", 0, "size is 0"), ("mars", 32, "no pair of domains")):
        with pytest.raises(InputError, match=words):
            load_pairs(name, size)


def test_a_classifier_sees_every_picture_in_both_styles(emoji_pairs):
    train = load_classes("emoji").train
    assert torch.equal(train.images[train.labels == 0], emoji_pairs.train.a.images)
    assert torch.equal(train.images[train.labels == 1], emoji_pairs.train.b.images)


def test_two_domains_are_two_classes(emoji):
    images = emoji.labelled
    assert images.classes == ("noto", "twemoji")
    assert images.test.labels.bincount().tolist() == [len(emoji.test.a), len(emoji.test.b)]
    assert torch.equal(images.train.images[images.train.labels == 0], emoji.train.a.images)
    assert torch.equal(images.train.images[images.train.labels == 1], emoji.train.b.images)
