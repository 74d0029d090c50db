"""People: exact attributes, held-out pairs, try-on, the character, and damaged files."""

import hashlib
import shutil

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import data_folder, to_float
from gen_lib.data.people import (
    BACKGROUNDS,
    FILES,
    HELD_OUT,
    KINDS,
    NO_WORD,
    People,
    load_people,
    shows,
    value_of,
)

PLACE = {kind: n for n, kind in enumerate(KINDS)}
HEAD = ["background", "skin", "hair", "hair colour", "hat", "hat colour", "glasses"]


@pytest.fixture(scope="module")
def people() -> People:
    return load_people()


@pytest.fixture(scope="module")
def splits(people):
    """Every part but the character, by name."""
    return {
        "train": people.train,
        "test": people.test,
        "held_out": people.held_out,
        "before": people.outfits.before,
        "after": people.outfits.after,
    }


@pytest.fixture(scope="module")
def everyone(splits):
    """All images and all attributes but those of the character."""
    images = torch.cat([split.images for split in splits.values()])
    return images, torch.cat([split.attributes for split in splits.values()])


def rows(attributes, kinds=tuple(KINDS)) -> list[tuple[int, ...]]:
    return [tuple(row) for row in attributes[:, [PLACE[kind] for kind in kinds]].tolist()]


def patches(everyone, kinds, down: slice, across: slice) -> list[set[bytes]]:
    """For all people with the same values of these kinds: how that part of them looks."""
    images, attributes = everyone
    found: dict[tuple[int, ...], set[bytes]] = {}
    for values, image in zip(rows(attributes, kinds), images[:, :, down, across], strict=True):
        found.setdefault(values, set()).add(image.numpy().tobytes())
    return list(found.values())


def alike_and_apart(looks: list[set[bytes]], most: int) -> bool:
    """Equal values look alike, in at most so many ways, and no two values look the same."""
    total = sum(map(len, looks))
    return max(map(len, looks)) <= most and len(set().union(*looks)) == total


# The table


def test_the_splits_have_their_sizes_and_the_pictures_their_shape(people, splits):
    sizes = {name: len(split) for name, split in splits.items()}
    expected = {"train": 10_000, "test": 1_000, "held_out": 602, "before": 300, "after": 300}
    assert sizes == expected
    assert (len(people.character.few), len(people.character.more)) == (5, 15)
    for split in splits.values():
        assert split.images.shape[1:] == (3, 48, 48)
        assert split.images.dtype == torch.uint8
        assert split.attributes.shape == (len(split), len(KINDS))


def test_every_value_is_common_in_training_and_occurs_in_testing(people):
    for kind, values in KINDS.items():
        train, test = (
            split.attributes[:, PLACE[kind]].bincount(minlength=len(values))
            for split in (people.train, people.test)
        )
        assert len(train) == len(values) <= 11
        assert train.min() >= 400
        assert test.min() >= 30


def test_a_hat_has_a_colour_and_no_hat_has_none(everyone):
    _, attributes = everyone
    bare = attributes[:, PLACE["hat"]] == value_of("hat", "none")
    assert torch.equal(bare, attributes[:, PLACE["hat colour"]] == value_of("hat colour", "none"))
    assert 0.5 < bare.float().mean() < 0.6


def test_held_out_pairs_stand_together_in_the_held_out_split_alone(splits):
    for name, split in splits.items():
        pairs = torch.stack([shows(split.attributes, *pair) for pair in HELD_OUT])
        if name != "held_out":
            assert not pairs.any()
            continue
        assert pairs.any(dim=0).all()
        drawn = torch.arange(len(split)) // 86
        assert pairs[drawn, torch.arange(len(split))].all()


def test_both_halves_of_a_held_out_pair_are_common_in_training(people):
    for pair in HELD_OUT:
        assert pair.first[0] != pair.second[0]
        for half in pair:
            assert shows(people.train.attributes, half).sum() >= 400
    assert "skin" not in {kind for pair in HELD_OUT for kind, _ in pair}


def test_nobody_in_another_split_has_the_attributes_of_one_in_train(splits):
    train = set(rows(splits["train"].attributes))
    for name, split in splits.items():
        assert name == "train" or not train & set(rows(split.attributes))


# The attributes are what the pictures show


def test_the_corners_have_the_colour_of_the_background(people, everyone):
    images, attributes = everyone
    images = torch.cat([images, people.character.few.images, people.character.more.images])
    extra = [people.character.few.attributes, people.character.more.attributes]
    index = torch.cat([attributes, *extra])[:, PLACE["background"]]
    colours = torch.tensor([BACKGROUNDS[value] for value in KINDS["background"]])
    rgb = torch.stack([colours >> 16, colours >> 8 & 255, colours & 255], dim=1)
    corners = images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].long()
    assert torch.equal(corners, rgb[index][:, :, None].expand(-1, -1, 4))


def test_clothes_of_one_outfit_and_colour_look_alike_and_others_do_not(everyone):
    """The middle of the body; trousers of three colours may show below."""
    looks = patches(everyone, ["outfit", "outfit colour"], slice(36, 42), slice(18, 26))
    assert len(looks) == 72
    assert alike_and_apart(looks, most=3)


def test_faces_of_one_skin_look_alike_and_others_do_not(everyone):
    """The left cheek, which hair and glasses touch."""
    looks = patches(everyone, ["skin"], slice(27, 33), slice(14, 18))
    assert len(looks) == 4
    assert alike_and_apart(looks, most=40)


def test_the_top_of_a_head_follows_from_its_attributes(everyone):
    looks = patches(everyone, HEAD[:-1], slice(0, 18), slice(None))
    assert len(looks) > 5_000
    assert max(map(len, looks)) == 1


def test_heads_with_different_attributes_look_different(everyone):
    """All that is above the clothes; two pairs of eyes and two mouths may be seen."""
    looks = patches(everyone, HEAD, slice(0, 31), slice(None))
    assert len(looks) > 9_000
    assert alike_and_apart(looks, most=4)


# Try-on


def test_try_on_changes_clothes_and_nothing_else(people):
    before, after, clothes = people.outfits.before, people.outfits.after, people.outfits.clothes
    differs = (before.images != after.images).any(dim=1, keepdim=True)
    assert not (differs & ~clothes).any()
    assert differs.flatten(1).any(dim=1).all()
    changed = before.attributes != after.attributes
    n = torch.arange(len(before))
    assert torch.equal(changed[:, PLACE["outfit"]], n % 3 != 1)
    assert torch.equal(changed[:, PLACE["outfit colour"]], n % 3 != 0)
    assert not changed[:, : PLACE["outfit"]].any()
    assert not changed[:, PLACE["glasses"]].any()


def test_the_clothes_are_no_larger_than_what_changes(people):
    """Every pixel of the masks differs in the pair of someone; faces and the ground do not."""
    clothes = people.outfits.clothes
    differs = (people.outfits.before.images != people.outfits.after.images).any(dim=1, keepdim=True)
    assert torch.equal(clothes.any(dim=0), differs.any(dim=0))
    assert not clothes[:, :, :31].any()
    assert not clothes[:, :, 45:].any()
    assert 0.08 < clothes.float().mean() < 0.12


# The character


def test_the_character_has_a_look_that_nobody_else_has(people, everyone):
    images, _ = everyone
    blue = torch.tensor([0x3B, 0x5B, 0xDB], dtype=torch.uint8)[:, None, None]  # hair and beard
    assert not (images == blue).all(dim=1).any()
    for split in (people.character.few, people.character.more):
        assert (split.images == blue).all(dim=1).flatten(1).sum(dim=1).min() > 100
        unnamed = split.attributes == NO_WORD
        for kind in KINDS:
            expected = kind in {"hair", "hair colour", "hat", "hat colour"}
            assert unnamed[:, PLACE[kind]].eq(expected).all()


def test_the_five_pictures_of_the_character_vary(people):
    few, more = people.character.few, people.character.more
    assert few.attributes[:, PLACE["background"]].unique().numel() >= 3
    assert few.attributes[:, PLACE["outfit"]].unique().numel() >= 3
    assert not set(rows(few.attributes)) & set(rows(more.attributes))


# Loading


def test_batches_hold_images_and_their_attributes(people):
    batch = people.test.batch(3, 16, seed=1)
    assert batch.images.shape == (16, 3, 48, 48)
    assert -1 <= batch.images.min() < -0.9
    assert batch.images.max() == 1
    for image, row in zip(batch.images, batch.attributes, strict=True):
        same = (people.test.attributes == row).all(dim=1)
        assert (to_float(people.test.images[same]) == image).flatten(1).all(dim=1).any()


def test_values_have_places_and_unknown_ones_are_refused():
    assert [value_of("hat", value) for value in KINDS["hat"]] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="no kind 'hats': choose one of background, skin"):
        value_of("hats", "cap")
    with pytest.raises(InputError, match="no hat 'crown': choose one of none, cap, beanie"):
        value_of("hat", "crown")
    with pytest.raises(InputError, match="no skin 'green'"):
        shows(torch.zeros(2, len(KINDS), dtype=torch.int64), ("skin", "green"))


def test_data_readme_holds_the_sha256_of_every_file_of_the_people():
    readme, folder = (data_folder() / "README.md").read_text(), data_folder() / "people"
    for name, expected in FILES.items():
        content = (folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected
        assert f"| `{name}` | {len(content)} | `{expected}` |" in readme
    assert "CC0 1.0 Universal" in (folder / "LICENSE-CC0").read_text()
    assert sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) < 4_000_000


def alter(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize(
    ("damage", "words"), [(alter, "truncated or altered"), (lambda f: f.unlink(), "missing")]
)
def test_a_damaged_file_is_named_with_its_remedy(tmp_path, monkeypatch, name, damage, words):
    shutil.copytree(data_folder() / "people", tmp_path / "people")
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path))
    damage(tmp_path / "people" / name)
    with pytest.raises(InputError, match=rf"{name} is {words}: restore it with `git checkout"):
        load_people()
