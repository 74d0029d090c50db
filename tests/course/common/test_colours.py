"""The course's colours can be told apart with any common colour vision, simulated by a library."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE
from matplotlib.colors import to_rgb

from gen_course.common import plots

ROLES = ("DATA", "MODEL", "CODE", "GENERATOR", "DISCRIMINATOR", "BASELINE")
STYLE = mpl.rc_params_from_file(plots.STYLE, use_default_template=False)
PALETTES = {  # name: colours, and the least allowed distance of two of them in CAM02-UCS
    "lines": (STYLE["axes.prop_cycle"].by_key()["color"], 10.0),
    "roles": ([getattr(plots, role) for role in ROLES], 8.0),
    "classes": (plots.CLASSES, 6.0),  # each class also has its own marker
}
VISIONS = (None, "protanomaly", "deuteranomaly", "tritanomaly")


def seen(colour: str, vision: str | None) -> np.ndarray:
    if vision is None:
        return np.array(to_rgb(colour))
    space = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
    return cspace_convert(to_rgb(colour), space, "sRGB1").clip(0, 1)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("palette", PALETTES)
def test_any_two_colours_are_told_apart(palette, vision):
    colours, least = PALETTES[palette]
    apart = {
        pair: deltaE(*(seen(c, vision) for c in pair), input_space="sRGB1")
        for pair in combinations(colours, 2)
    }
    assert {pair: round(d, 1) for pair, d in apart.items() if d < least} == {}


def test_two_similar_colours_are_found():
    red, green = (seen(c, "deuteranomaly") for c in ("#B00000", "#5E5E00"))
    assert deltaE(red, green, input_space="sRGB1") < PALETTES["classes"][1] < 20


def test_every_class_has_a_marker_of_its_own():
    assert len(set(plots.MARKERS)) == len(plots.MARKERS) == len(plots.CLASSES)
