"""Landscapes drawn by a program, each in summer and in winter, so exact pairs exist.

A scene is determined by a row of random numbers, which is the same for both seasons. The seasons
differ in more than colour: in winter snow covers roofs and flowers, trees have no leaves, the pond
is frozen, the boat has no sail, the chimney smokes and the sun is low. The drawing must not
change, because shipped figures are measured on it; a test compares its SHA-256.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen_lib.data.domains.shapes import (
    SIDE,
    Canvas,
    Dice,
    box,
    choose,
    disc,
    line,
    mix,
    rgb,
    triangle,
    wave,
)

CHUNK = 64  # scenes drawn at once: their arrays stay in the cache of the processor


def draw(scenes: range, winter: bool, size: int = SIDE) -> UInt8[Tensor, "n 3 size size"]:
    """Draw the scenes with the given numbers (0, 1, 2, ...) in one season.

    >>> draw(range(2), winter=True).shape
    torch.Size([2, 3, 32, 32])
    """
    picture = np.empty((len(scenes), 3, size, size), np.uint8)
    for start in range(0, len(scenes), CHUNK):
        part = scenes[start : start + CHUNK]
        canvas = Canvas.blank(len(part), size)
        _scene(canvas, Dice(part), winter)
        pixels = (canvas.pixels * 255 + 0.5).astype(np.uint8)
        picture[start : start + CHUNK] = pixels.swapaxes(0, 1)
    return torch.from_numpy(picture)


def horizon(scenes: range) -> Float[Tensor, "n"]:
    """Distance of the horizon from the upper edge in each scene; the side of a picture is 32."""
    return torch.from_numpy(_horizon(Dice(scenes))[:, 0, 0]).float()


def _horizon(dice: Dice) -> np.ndarray:
    return dice(14.0, 18.0)


def _scene(canvas: Canvas, dice: Dice, winter: bool) -> None:
    level = _horizon(dice)
    _sky(canvas, dice, winter, level)
    _mountains(canvas, dice, winter, level)
    ground = _hills(canvas, dice, winter, level)
    side = np.where(dice() < 0.5, 1, -1)  # of the house; water opposite
    house, shift = 16 + side * dice(3.0, 9.0), dice(0.0, 32.0)
    flooded = _water(canvas, dice, winter, 16 - side * dice(3.0, 9.0), ground)
    trees = [(shift + k) % 32 for k in (0, 16, 8, 24)]  # each has its own quarter of the width
    for depth, x in zip((0.0, 0.3, 0.55, 0.8), trees, strict=True):
        if depth == 0.55:
            _house(canvas, dice, winter, house, ground)
        x = (x + dice(0.0, 5.0)) % 32
        foot = ground(x) + (0.5 + 7 * depth)
        hides_house = (abs(x - house) < 4.5) & (depth > 0.5)
        _tree(canvas, dice, winter, x, foot, depth, ~(hides_house | flooded(x, foot)))
    _foreground(canvas, dice, winter)


def _sky(c: Canvas, dice: Dice, winter: bool, horizon) -> None:
    mood, x, height, u, v = dice(), dice(3.0, 29.0), dice(3.0, 7.5), dice(), dice(2.0, 12.0)
    if winter:
        top = mix(rgb("8fa6d2"), rgb("a9b6d6"), mood)
        low = mix(rgb("ffd9b8"), rgb("f6cdd6"), mood)
        sun, glow, y = rgb("fff1cf"), rgb("ffb98a"), horizon - 6 + height / 2
    else:
        top = mix(rgb("3f8fe0"), rgb("5aa9e6"), mood)
        low = mix(rgb("c9ecfb"), rgb("d8f0e6"), mood)
        sun, glow, y = rgb("ffe14d"), rgb("fff3b0"), height
    c.pixels[:] = mix(top, low, np.clip(c.y / horizon, 0, 1))
    far = np.sqrt((c.x - x) * (c.x - x) + (c.y - y) * (c.y - y))
    c.pixels += np.clip(0.75 - far / 9, 0, 1) * 0.8 * (glow - c.pixels)
    c.paint(far - 2.3, sun)
    _cloud(c, u < 0.7, 32 - x + v - 8, dice(3.0, 8.0), dice(1.2, 2.0), winter)


def _cloud(c: Canvas, present, x, y, r, winter: bool) -> None:
    """Three white puffs in summer; in winter they are flatter and grey."""
    flat, colour = (0.45, rgb("e9e4ef")) if winter else (0.8, rgb("ffffff"))
    for dx, dy, size in ((-1.5, 0.25, 0.8), (0.0, -0.3, 1.2), (1.6, 0.2, 0.9)):
        a = r * size
        d = disc(c, x + r * dx, y + r * (dy * flat), a * 1.15, a * flat)
        c.paint(d, colour, np.where(present, 0.9, 0))


def _mountains(c: Canvas, dice: Dice, winter: bool, horizon) -> None:
    for share in (0.75, 0.6):
        present, x = dice() < share, dice(0.0, 32.0)
        height, slope = dice(6.0, 11.5), dice(0.8, 1.25)
        rock = mix(rgb("6f86a6"), rgb("8a90a0"), dice())
        top, bottom = horizon - height, horizon + 3
        d = np.where(present, triangle(c, x, top, bottom, (height + 3) * slope), 9)
        c.paint(d, mix(rock, rgb("b7c3dc"), 0.45) if winter else rock)
        c.paint(np.maximum(d, x - c.x), rgb("3f5575"), 0.22)  # the side in shadow
        snow = top + (height * 0.62 if winter else np.maximum(height - 8, 0))
        c.paint(np.maximum(d, c.y - snow - wave(c.x / 3 + x)), rgb("fbfdff"), 0.95)


def _hills(c: Canvas, dice: Dice, winter: bool, horizon):
    """Two hills, the far one wooded; returns the function from x to y of the near ground."""
    phase, amplitude, period = dice(), dice(0.8, 2.2), dice(22.0, 44.0)
    far = horizon + amplitude * wave(c.x / period + phase)
    crowns = far - 0.5 - abs(wave(c.x / 3.4 + phase * 7)) * 1.1
    woods = (rgb("9aa3b5"), rgb("e4e9f2")) if winter else (rgb("3f7d4e"), rgb("549a58"))
    c.paint(crowns - c.y, mix(*woods, dice()))
    summer = mix(rgb("7dbb5e"), rgb("a5c663"), dice())
    c.paint(far - c.y, rgb("dfe8f4") if winter else summer)
    phase, amplitude, period, base = dice(), dice(0.6, 1.8), dice(26.0, 60.0), dice(3.5, 5.5)
    near = horizon + base + amplitude * wave(c.x / period + phase)
    summer = mix(rgb("63a943"), rgb("8dbb46"), dice())
    light, shade = (rgb("fafcff"), rgb("d3dff0")) if winter else (summer, summer * 0.8)
    c.paint(near - c.y, light)
    c.pixels += np.clip((c.y - near) / 14, 0, 1) * 0.75 * (shade - c.pixels)
    return lambda x: horizon + base + amplitude * wave(x / period + phase)


def _water(c: Canvas, dice: Dice, winter: bool, x, ground):
    """A pond, frozen in winter; returns a function that tells whether a point lies in it."""
    present, a, b = dice() < 0.6, dice(5.0, 8.5), dice(1.6, 2.5)
    y = ground(x) + dice(3.0, 4.5)
    hide = np.where(present, 0, 99)
    rim, fill = ("ffffff", "a3d2e8") if winter else ("c9b581", "3f93d4")
    c.paint(disc(c, x, y, a + 0.8, b + 0.55) + hide, rgb(rim))
    water = disc(c, x, y, a, b) + hide
    c.paint(water, rgb(fill))
    for dx, dy, length in ((-0.2, -0.3, 0.35), (0.25, 0.25, 0.3)):
        left, right = x + a * (dx - length), x + a * (dx + length)
        level, tilt = y + b * dy, 0.5 if winter else 0.0
        streak = line(c, left, level + tilt, right, level - tilt, 0.6)
        c.paint(np.maximum(streak, water), rgb("f4fbff" if winter else "a6d8f5"), 0.8)
    _boat(c, winter, present & (dice() < 0.4), x + a * dice(-0.4, 0.4), y)
    return lambda at, foot: present & (abs(at - x) < a + 1) & (abs(foot - y) < b + 0.5)


def _boat(canvas: Canvas, winter: bool, present, x, y) -> None:
    """A boat, with a sail in summer only."""
    c = canvas.window(present, x, y - 2, 8, 10)
    x, y = x[c.pictures], y[c.pictures]
    c.paint(box(c, x - 0.2, y - 4.2, x + 0.2, y), rgb("6b4226"))
    if not winter:
        c.paint(np.maximum(triangle(c, x, y - 4.6, y - 0.6, 2.2), x - c.x), rgb("ffffff"))
    c.paint(box(c, x - 1.8, y - 0.4, x + 1.8, y + 0.7), rgb("c8453b"))
    if winter:
        c.paint(box(c, x - 1.8, y - 0.7, x + 1.8, y - 0.1), rgb("ffffff"))
    canvas.put_back(c)


def _tree(canvas: Canvas, dice: Dice, winter: bool, x, foot, depth, clear) -> None:
    """A broad-leaved tree or a conifer; the greater ``depth``, the nearer and larger."""
    kind, tall, tint = dice(), dice(0.85, 1.25), dice()
    height = tall * (5.5 + 5 * depth)
    for present, paint in ((kind < 0.5, _broadleaf), ((kind >= 0.5) & (kind < 0.9), _conifer)):
        c = canvas.window(present & clear, x, foot - height / 2, 12, 16)
        s = c.pictures
        paint(c, winter, x[s], foot[s], height[s], tint[s])
        canvas.put_back(c)


def _broadleaf(c: Canvas, winter: bool, x, foot, h, tint) -> None:
    """A round crown of leaves in summer, bare branches in winter."""
    bark = rgb("5a4636") if winter else rgb("7a5230")
    c.paint(box(c, x - h * 0.06, foot - h * 0.5, x + h * 0.06, foot), bark)
    if winter:
        c.paint(disc(c, x, foot, h * 0.25, h * 0.06), rgb("ffffff"))
        for dx, start, end in ((-0.3, 0.4, 0.72), (0.3, 0.45, 0.78), (0.0, 0.4, 0.97)):
            tip = (x + h * dx, foot - h * end)
            c.paint(line(c, x, foot - h * start, *tip, h * 0.055 + 0.2), bark)
        for dx, end in ((-0.16, 0.92), (0.17, 0.95)):
            tip = (x + h * dx, foot - h * end)
            c.paint(line(c, x, foot - h * 0.62, *tip, h * 0.04 + 0.15), bark)
        return
    leaves = mix(rgb("2f8a3c"), rgb("6aa52f"), tint)
    for dx, dy, r, shine in (
        (-0.17, 0.55, 0.24, 0.0),
        (0.17, 0.57, 0.24, 0.0),
        (0.0, 0.75, 0.26, 0.12),
    ):
        d = disc(c, x + h * dx, foot - h * dy, h * r)
        c.paint(d, mix(leaves, rgb("e8f59a"), shine))


def _conifer(c: Canvas, winter: bool, x, foot, h, tint) -> None:
    """Three tiers of green needles, with snow on them in winter."""
    needles = mix(rgb("1f5f45"), rgb("2e7350"), tint)
    c.paint(box(c, x - h * 0.05, foot - h * 0.2, x + h * 0.05, foot), rgb("5f4330"))
    for top, bottom, half in ((0.6, 0.12, 0.3), (0.8, 0.36, 0.24), (1.0, 0.6, 0.17)):
        high, low = foot - h * top, foot - h * bottom
        tier = triangle(c, x, high, low, h * half)
        c.paint(tier, rgb("f4f9ff") if winter else needles)
        if winter:
            c.paint(triangle(c, x, high + h * 0.14, low, h * (half * 0.75)), needles)


def _house(canvas: Canvas, dice: Dice, winter: bool, x, ground) -> None:
    present, wide, u, v = dice() < 0.8, dice(3.0, 4.2), dice(), dice()
    foot = ground(x) + dice(2.5, 5.0)
    c = canvas.window(present, x, foot - 5, 14, 18)
    x, wide, foot, u, v = (p[c.pictures] for p in (x, wide, foot, u, v))
    wall = choose(u, "f3e3c3", "e8b98a", "d9dde8", "e6a39b")
    tiles = choose(v, "b5443a", "8a4b32", "5b6f8f")
    eaves, ridge, half = foot - wide * 1.05, foot - wide * 2.15, wide * 1.3
    _chimney(c, winter, x + wide * 0.6, ridge, wide)
    c.paint(box(c, x - wide, eaves - 0.2, x + wide, foot), wall)
    roof = triangle(c, x, ridge, eaves + 0.3, half)
    c.paint(roof, tiles)
    if winter:
        snow = triangle(c, x, ridge - 0.5, eaves - 0.75, half * 0.95)
        c.paint(snow, rgb("ffffff"))
        c.paint(disc(c, x, foot, wide * 1.3, 0.55), rgb("ffffff"))
    c.paint(box(c, x - 0.7, foot - wide * 0.62, x + 0.5, foot), rgb("6b4226"))
    glass = rgb("ffcf3f" if winter else "5f86a8")
    for dx in (-0.62, 0.55):
        at, level = x + wide * dx, foot - wide * 0.55
        c.paint(box(c, at - 0.65, level - 0.65, at + 0.65, level + 0.65), glass)
    canvas.put_back(c)


def _chimney(c: Canvas, winter: bool, x, ridge, wide) -> None:
    """A chimney, which smokes in winter."""
    top = ridge + 0.1
    c.paint(box(c, x - 0.6, top, x + 0.6, ridge + wide), rgb("8c4a3c"))
    if winter:
        c.paint(box(c, x - 0.75, top - 0.5, x + 0.75, top + 0.2), rgb("ffffff"))
        for dx, up, r in ((0.3, 1.3, 0.7), (1.0, 2.6, 0.95), (2.0, 4.0, 1.2)):
            puff = disc(c, x + dx, top - up, r)
            c.paint(puff, rgb("dbd4e2"), 0.85)


def _foreground(canvas: Canvas, dice: Dice, winter: bool) -> None:
    """Two bushes, and in summer five flowers."""
    for _ in range(2):
        present, x, y = dice() < 0.5, dice(1.0, 31.0), dice(27.5, 31.0)
        r, u = dice(1.3, 2.2), dice()
        c = canvas.window(present, x, y - 1, 8, 6)
        x, y, r, u = (p[c.pictures] for p in (x, y, r, u))
        leaves = mix(rgb("2f7d3a"), rgb("5a9a3a"), u)
        c.paint(disc(c, x, y, r, r * 0.75), rgb("7f8f86") if winter else leaves)
        if winter:
            c.paint(disc(c, x, y - r * 0.35, r * 1.05, r * 0.55), rgb("ffffff"))
        canvas.put_back(c)
    for _ in range(5):
        present, x, y, u = dice() < 0.65, dice(1.0, 31.0), dice(25.0, 31.5), dice()
        if not winter:
            c = canvas.window(present, x, y, 4, 4)
            x, y, u = (p[c.pictures] for p in (x, y, u))
            petals = choose(u, "ff5d73", "ffd23f", "ffffff", "c77dff")
            c.paint(disc(c, x, y, 0.62), petals)
            canvas.put_back(c)
