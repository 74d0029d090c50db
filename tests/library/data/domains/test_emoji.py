"""Emoji in two styles: pixels, splits and families, licences, and damaged files."""

import csv
import hashlib
import shutil
from collections import Counter

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import DomainSet, data_folder, load_domains
from gen_lib.data.domains.emoji import FILES


@pytest.fixture
def table() -> list[dict[str, str]]:
    with (data_folder() / "emoji" / "emoji.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def halves(domain_set: DomainSet):
    return (domain_set.train.a, domain_set.train.b, domain_set.test.a, domain_set.test.b)


def sha256(images: torch.Tensor) -> str:
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()


def alter(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


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
    assert sum(file.stat().st_size for file in folder.iterdir()) < 7_200_000


def test_data_readme_holds_the_sha256_of_every_emoji_file():
    readme = (data_folder() / "README.md").read_text()
    for name, expected in FILES.items():
        content = (data_folder() / "emoji" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected
        assert f"| `{name}` | {len(content)} | `{expected}` |" in readme


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
