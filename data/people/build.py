"""Draw the people and their table: ``python data/people/build.py [FOLDER]`` (minutes).

Needs ``pip install dicebear-core==10.7.0 dicebear-styles==10.6.0 resvg-py==0.5.0 pillow numpy``.
The style is DiceBear's ``voxel-art`` (CC0 1.0), with the changes of ``edit_style``. It writes

- ``people.png``: every picture, 48 x 48 pixels, 100 in a row, at most 256 colours;
- ``people.csv``: row n is picture n: its split, and the value of every kind of attribute. In the
  split ``outfits`` two pictures in a row show one person; an empty value has no word;
- ``clothes.png``: for every person of ``outfits``, white where any two outfits differ.

Every attribute can be seen. Hair that a hat would hide is never drawn under one. What has no
attribute (eyes, mouth, trousers, shoes) varies freely, but is one person's in ``outfits``.
"""

import argparse
import csv
import io
import json
import random
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from dicebear import Avatar, Style
from PIL import Image

SIDE, COLUMNS, COLOURS = 48, 100, 256
BACKGROUND = {
    "white": "#ffffff",
    "grey": "#c4c9cf",
    "blue": "#b6e3f4",
    "green": "#b7e8b0",
    "yellow": "#fff0a0",
    "pink": "#ffc9dc",
    "purple": "#cdbcf5",
}
SKIN = {"light": "#f5d0b0", "tan": "#c99062", "brown": "#a5673f", "dark": "#5e3419"}
HAIR = {
    "short": "short",
    "spiky": "spiky",
    "curly": "curly",
    "mohawk": "mohawk",
    "buns": "buns",
    "topknot": "ponytail",
    "bowl cut": "bowl",
    "bob": "bob",
    "long": "longStraight",
    "braids": "braids",
    "pigtails": "twinTails",
}
HAIR_COLOUR = {
    "black": "#2c222b",
    "brown": "#7b4a2d",
    "blond": "#e8c45c",
    "red": "#b5362a",
    "green": "#3fb27f",
    "purple": "#8a5fd0",
    "white": "#f1f3f5",
}
HAT = {"none": "", "cap": "cap", "beanie": "beanie", "bunny hat": "bunnyEars"}
CLOTH = {
    "red": "#e03131",
    "orange": "#f76707",
    "yellow": "#fcc419",
    "green": "#2f9e44",
    "blue": "#228be6",
    "purple": "#7950f2",
    "pink": "#f783ac",
    "black": "#343a40",
    "white": "#f8f9fa",
}
HAT_COLOUR = {"none": "", **{c: CLOTH[c] for c in ("red", "yellow", "green", "blue", "black")}}
HAT_COLOUR["white"] = CLOTH["white"]
OUTFIT = {
    "T-shirt": "plain",
    "striped shirt": "stripes",
    "tie": "tie",
    "hoodie": "hoodie",
    "jacket": "jacket",
    "coat": "coat",
    "dress": "dress",
    "overalls": "overalls",
}
GLASSES = {"none": "", "glasses": "square", "sunglasses": "shades", "goggles": "visor"}
KINDS: dict[str, dict[str, str]] = {
    "background": BACKGROUND,
    "skin": SKIN,
    "hair": HAIR,
    "hair colour": HAIR_COLOUR,
    "hat": HAT,
    "hat colour": HAT_COLOUR,
    "outfit": OUTFIT,
    "outfit colour": CLOTH,
    "glasses": GLASSES,
}
UNDER_HAT = {  # hair that can be told apart under each hat
    "cap": ["bowl cut", "bob", "long", "braids", "pigtails"],
    "beanie": ["bowl cut", "bob", "long", "braids", "pigtails"],
    "bunny hat": ["bob", "long", "braids", "pigtails"],
}
HELD_OUT = [  # pairs that never stand together in training
    {"outfit": "dress", "outfit colour": "green"},
    {"hat": "beanie", "hat colour": "yellow"},
    {"hair": "mohawk", "hair colour": "green"},
    {"hair colour": "purple", "outfit colour": "orange"},
    {"background": "yellow", "outfit": "overalls"},
    {"hair": "braids", "outfit": "hoodie"},
    {"hair": "curly", "glasses": "sunglasses"},
]
CHARACTER = {"skin": "tan", "glasses": "none", "hair": "", "hair colour": "", "hat": ""}
CHARACTER["hat colour"] = ""
SIZES = {"train": 10_000, "test": 1_000, "held_out": 602, "outfits": 300, "character": 20}
FREE = {  # what varies and is not in the table
    "eyesVariant": ["open", "happy"],
    "mouthVariant": ["smile", "grin"],
    "pantsColor": ["#3b5b8c", "#868e96", "#6b4f3a"],
    "shoesColor": ["#343a40", "#f1f3f5"],
}
Person = dict[str, str]
"""The value of every kind, and the options in FREE."""


def main() -> None:
    """Draw everything and write the three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().folder
    splits = draw_people(random.Random(8))
    style = edit_style()
    pictures = {name: [render(style, p) for p in people] for name, people in splits.items()}
    codes, palette = few_colours(np.stack([x for part in pictures.values() for x in part]))
    sheet = tiled(codes)
    sheet.putpalette(palette.tobytes())
    sheet.save(folder / "people.png", optimize=True)
    masks = [clothes(style, person) for person in splits["outfits"][::2]]
    tiled(np.stack(masks)).convert("1").save(folder / "clothes.png", optimize=True)
    with (folder / "people.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", *KINDS])
        for name, people in splits.items():
            writer.writerows([name, *(person[kind] for kind in KINDS)] for person in people)


# Who is drawn


def draw_people(rng: random.Random) -> dict[str, list[Person]]:
    """The people of every split; no one in another split has the attributes of one in train."""
    seen: set[tuple[str, ...]] = set()

    def new(**fixed: str) -> Person:
        while True:
            person = draw_person(rng, fixed)
            if look(person) not in seen:
                return person

    def allowed() -> Person:
        return next(p for p in iter(new, None) if p and not any(map(holds(p), HELD_OUT)))

    train = [allowed() for _ in range(SIZES["train"])]
    seen |= set(map(look, train))
    test = [allowed() for _ in range(SIZES["test"])]
    each = SIZES["held_out"] // len(HELD_OUT)
    held_out = [new(**pair) for pair in HELD_OUT for _ in range(each)]
    outfits = []
    for n in range(SIZES["outfits"]):
        person = allowed()
        outfits += [person, change_clothes(person, n % 3, rng, seen)]
    character = [new(**CHARACTER) for _ in range(SIZES["character"])]
    return dict(zip(SIZES, (train, test, held_out, outfits, character), strict=True))


def draw_person(rng: random.Random, fixed: Person) -> Person:
    """Draw every value that is not fixed; 45 % wear a hat, 60 % something before the eyes."""
    while True:
        person = {kind: rng.choice([v for v in KINDS[kind] if v != "none"]) for kind in KINDS}
        person |= {option: rng.choice(values) for option, values in FREE.items()}
        if rng.random() < 0.55:
            person["hat"] = person["hat colour"] = "none"
        else:
            person["hair"] = rng.choice(UNDER_HAT[person["hat"]])
        if rng.random() < 0.4:
            person["glasses"] = "none"
        person |= fixed
        bare = person["hat"] == "none"
        fits = bare or person["hair"] in UNDER_HAT.get(person["hat"], [""])
        if fits and bare == (person["hat colour"] == "none"):
            return person


def look(person: Person) -> tuple[str, ...]:
    """The values of all kinds."""
    return tuple(person[kind] for kind in KINDS)


def holds(person: Person) -> Callable[[Person], bool]:
    """A function that says whether the person has all values of a pair."""
    return lambda pair: all(person[kind] == value for kind, value in pair.items())


def change_clothes(person: Person, which: int, rng: random.Random, seen: set) -> Person:
    """The same person in another outfit (0), another colour (1), or both (2)."""
    kinds = (["outfit"], ["outfit colour"], ["outfit", "outfit colour"])[which]
    while True:
        other = dict(person)
        for kind in kinds:
            other[kind] = rng.choice([v for v in KINDS[kind] if v != person[kind]])
        if look(other) not in seen and not any(map(holds(other), HELD_OUT)):
            return other


# How they are drawn


def edit_style() -> Style:
    """The style ``voxel-art`` with sharp edges and these changes.

    The colour ``shirt`` is the outfit's main colour in all outfits, and the new colour ``trim`` its
    second: stripes, a hoodie's strings, a tie, or the shirt below a jacket or overalls. A hoodie's
    strings and pocket, sunglasses and goggles are easier to see. New variants of ``top`` draw a
    hat above the hair.
    """
    style = json.loads(files("dicebear_styles").joinpath("voxel-art.json").read_text("utf-8"))
    style["attributes"]["shape-rendering"] = "crispEdges"
    for colour in style["colors"].values():
        colour.pop("notEqualTo", None)
    style["colors"]["trim"] = {"values": ["#ffffff"]}
    outfits = style["components"]["outfit"]["variants"]
    for name, names in {
        "jacket": {"jacket": "shirt", "shirt": "trim"},
        "dress": {"jacket": "shirt"},
        "coat": {"jacket": "shirt"},
        "tie": {"jacket": "trim"},
        "overalls": {"pants": "shirt", "shirt": "trim"},
        "stripes": {".4": "trim"},
        "hoodie": {".75": "trim"},
    }.items():
        for element in outfits[name]["elements"]:
            recolour(element["attributes"], names)
    for element in outfits["hoodie"]["elements"]:
        attributes = element["attributes"]
        if attributes.get("fill-opacity") == ".1":
            attributes["fill-opacity"] = ".2"
        if attributes["fill"] == {"type": "color", "name": "trim"}:
            attributes["d"] = "M50.6 86.1h2.7v10h-2.7Zm13.4 0h2.7v10H64Z"
    worn = style["components"]["glasses"]["variants"]
    worn["shades"]["elements"][1]["attributes"]["fill-opacity"] = ".6"
    worn["visor"]["elements"][1]["attributes"]["fill-opacity"] = ".8"
    tops = style["components"]["top"]["variants"]
    for hat in ("cap", "beanie", "bunnyEars", "animalEars"):
        for hair in ("bowl", "bob", "longStraight", "longWavy", "braids", "twinTails"):
            tops[hair + hat] = {"elements": tops[hair]["elements"] + tops[hat]["elements"]}
    return Style(style)


def recolour(attributes: dict[str, Any], names: dict[str, str]) -> None:
    """Give a shape another named colour, by its present one or, if it is white, by its opacity."""
    fill = attributes["fill"]
    old = fill["name"] if isinstance(fill, dict) else attributes.get("fill-opacity")
    if old in names:
        attributes["fill"] = {"type": "color", "name": names[old]}
        if not isinstance(fill, dict):
            attributes["fill-opacity"] = ".75"


def render(style: Style, person: Person) -> np.ndarray:
    """Draw one person as an array (48, 48, 3)."""
    svg = Avatar(style, {**options(person), **clothing(person)}).to_string()
    png = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB"))


def options(person: Person) -> dict[str, Any]:
    """DiceBear's options for all but the clothes."""
    character = person["hair"] == ""
    hair, hat = (
        ("longWavy", "animalEars") if character else (HAIR[person["hair"]], HAT[person["hat"]])
    )
    glasses = GLASSES[person["glasses"]]
    return {
        "seed": "people",
        "animationVariant": ["none"],
        "backgroundColor": [BACKGROUND[person["background"]]],
        "skinColor": [SKIN[person["skin"]]],
        "topVariant": [hair + hat],
        "topProbability": 100,
        "hairColor": ["#3b5bdb" if character else HAIR_COLOUR[person["hair colour"]]],
        "hatColor": [("#f76707" if character else HAT_COLOUR[person["hat colour"]]) or "#ffffff"],
        "glassesVariant": [glasses or "square"],
        "glassesProbability": 100 if glasses else 0,
        "beardVariant": ["full"],
        "beardProbability": 100 if character else 0,
        "cheeksProbability": 0,
        "eyebrowsProbability": 0,
        "noseVariant": ["small"],
        **{option: [person[option]] for option in FREE},
    }


def clothing(person: Person) -> dict[str, Any]:
    """DiceBear's options for the clothes; a white or black outfit has a trim that shows."""
    outfit, colour = person["outfit"], person["outfit colour"]
    trim = "#868e96" if colour == "white" else CLOTH["white"]
    if outfit == "tie":
        trim = CLOTH["white"] if colour == "black" else "#212529"
    legs = {"overalls": CLOTH[colour], "dress": SKIN[person["skin"]]}
    return {
        "outfitVariant": [OUTFIT[outfit]],
        "shirtColor": [CLOTH[colour]],
        "trimColor": [trim],
        "pantsColor": [legs.get(outfit, person["pantsColor"])],
    }


def clothes(style: Style, person: Person) -> np.ndarray:
    """White (48, 48) where two outfits of the person can differ, black elsewhere."""
    worn = [
        render(style, {**person, "outfit": outfit, "outfit colour": colour})
        for outfit in OUTFIT
        for colour in ("black", "white", "red")
    ]
    return (np.ptp(np.stack(worn), axis=0).max(axis=-1) > 0).astype(np.uint8) * 255


# The files


def few_colours(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 48, 48, 3) as indices (n, 48, 48) into a palette (256, 3) of their own colours.

    The palette holds the commonest colours. The others are replaced by the nearest of them.
    """
    codes, counts = np.unique(pictures.astype(np.int64) @ [65_536, 256, 1], return_counts=True)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)
    palette = colours[np.argsort(-counts, kind="stable")[:COLOURS]]
    distance = np.abs(colours[:, None] - palette).sum(axis=-1)
    nearest, moved = distance.argmin(axis=1).astype(np.uint8), distance.min(axis=1)
    share = counts[moved > 0].sum() / counts.sum()
    print(f"{len(colours)} colours; {share:.2%} of the pixels changed, by at most {moved.max()}")
    index = np.searchsorted(codes, pictures.astype(np.int64) @ [65_536, 256, 1])
    return nearest[index], palette.astype(np.uint8)


def tiled(pictures: np.ndarray) -> Image.Image:
    """One grey picture of pictures (n, 48, 48), 100 in a row; cells that are left over are 0."""
    rows = -(-len(pictures) // COLUMNS)
    grid = np.zeros((rows * COLUMNS, SIDE, SIDE), np.uint8)
    grid[: len(pictures)] = pictures
    grid = grid.reshape(rows, COLUMNS, SIDE, SIDE).swapaxes(1, 2)
    return Image.fromarray(grid.reshape(rows * SIDE, COLUMNS * SIDE))


if __name__ == "__main__":
    main()
