"""The README's pictures and their alternative texts come from the chapters; its links work."""

import json
import re

import pytest
from PIL import Image

from gen_course.build import pictures
from gen_course.build.pictures import FOLDER, PICTURES, README
from gen_course.build.places import ROOT

TEXT = README.read_text(encoding="utf-8")


def test_the_pictures_and_their_texts_are_those_of_the_chapters_today():
    assert pictures.between(TEXT, pictures.render(), "pictures") == TEXT, "run `make notebooks`"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_there_small_and_said_in_words(picture):
    file = FOLDER / f"{picture.name}.png"
    assert file.stat().st_size < 150_000
    with Image.open(file) as image:
        assert image.width == pictures.WIDTH
    (alt,) = re.findall(rf"!\[([^\]]+)\]\(gen_course/build/readme/{file.name}\)", TEXT)
    assert len(alt) > 40


def test_every_picture_in_the_folder_is_shown():
    assert {file.stem for file in FOLDER.iterdir()} == {picture.name for picture in PICTURES}


def test_a_small_picture_shows_what_the_large_one_does():
    picture = PICTURES[0]
    file = FOLDER / f"{picture.name}.png"
    made = pictures.small(pictures.output(picture).data["image/png"])
    kept = [Image.open(source).convert("RGB") for source in (file, pictures.io.BytesIO(made))]
    assert kept[0].size == kept[1].size
    pairs = zip(*(image.resize((90, 44)).tobytes() for image in kept), strict=True)
    assert max(abs(a - b) for a, b in pairs) < 40


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\((?!http)([^)#]+)", TEXT):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("reader", ["learn", "teach", "grade"])
def test_each_reader_is_led_to_a_page(reader):
    (way,) = re.findall(rf"^\*\*To {reader}\.\*\* (.+?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert re.search(r"\]\(notebooks/[^)]+\)", way)


def test_a_container_and_binder_install_what_make_and_conda_do():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make .venv/.installed"
    assert re.search(
        r"^STAMP := \.venv/\.installed$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert (ROOT / "environment.yml").is_file()
