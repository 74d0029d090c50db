"""Labels of emoji in English and Korean: which emoji they name, licences, and damaged files."""

import re
import shutil
from collections import Counter

import pytest
import torch

from gen_lib import InputError
from gen_lib.data import data_folder
from gen_lib.data.domains.emoji_labels import LABELS_SHA256, load_labelled_emoji


@pytest.fixture(scope="module")
def labelled():
    return load_labelled_emoji()


def test_labels_stand_beside_the_right_pictures(labelled, emoji):
    """Pictures of the test split are those of the pairs, whose short names resemble the labels."""
    names = [c.name for c in emoji.test.a.captions if "skin" not in c.name]
    labels = [label for label, test in zip(labelled.english, labelled.test, strict=True) if test]
    pictures = [n for n, c in enumerate(emoji.test.a.captions) if "skin" not in c.name]
    assert torch.equal(labelled.images[labelled.test], emoji.test.a.images[pictures])
    shared = [
        bool(set(re.findall("[a-z]+", name)) & set(re.findall("[a-z]+", label.lower())))
        for name, label in zip(names, labels, strict=True)
    ]
    assert sum(shared) / len(shared) > 0.7  # of shuffled labels, far fewer share a word


def test_some_labels_are_as_written_in_both_languages(labelled):
    korean = dict(zip(labelled.english, labelled.korean, strict=True))
    assert korean["grinning face"] == "활짝 웃는 얼굴"
    assert korean["fire engine"] == "소방차"
    assert korean["bus"] == "버스"


def test_every_emoji_has_a_label_of_its_own_in_each_language():
    every = load_labelled_emoji("twemoji", tones=True)
    assert len(every.images) == len(every.english) == len(every.korean) == 3_216
    assert len(set(every.english)) == 3_216
    assert sum(bool(re.search("[가-힣]", label)) for label in every.korean) > 3_190
    assert sum(": " in label and "skin tone" in label for label in every.english) == 1_580


def test_most_words_of_the_labels_occur_once(labelled):
    """So what an unseen label means can hardly be learnt from the others."""
    assert len(labelled.english) == 1_636
    words = Counter(w for label in labelled.english for w in re.findall(r"\w+", label.lower()))
    assert sum(n == 1 for n in words.values()) / len(words) > 0.6


def test_the_labels_carry_their_licences_and_the_readme_their_sha256():
    folder = data_folder() / "emoji"
    assert "Miles Johnson" in (folder / "LICENSE-EMOJIBASE").read_text()
    assert "UNICODE LICENSE V3" in (folder / "LICENSE-UNICODE").read_text()
    readme = (data_folder() / "README.md").read_text()
    size = (folder / "labels.csv").stat().st_size
    assert f"| `labels.csv` | {size} | `{LABELS_SHA256}` |" in readme


def test_bad_input_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no style 'apple': choose one of noto, twemoji"):
        load_labelled_emoji("apple")
    shutil.copytree(data_folder() / "emoji", tmp_path / "emoji")
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path))
    file = tmp_path / "emoji" / "labels.csv"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"labels.csv is truncated or altered: restore it"):
        load_labelled_emoji()
    file.unlink()
    with pytest.raises(InputError, match=r"labels.csv is missing: restore it"):
        load_labelled_emoji()
