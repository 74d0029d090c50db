"""The films of chapter 01: a curve that bends, the way between two images, and made-up codes."""

from collections.abc import Sequence

import torch
from torch import nn

from gen_course.ch01_autoencoders import toy
from gen_course.ch01_autoencoders.explorers import LatentExplorer
from gen_course.ch01_autoencoders.toy import Points
from gen_course.common import plots
from gen_course.common.canvas import Canvas
from gen_course.common.film import Film, walk
from gen_lib.data import load
from gen_lib.metrics import nearest
from gen_lib.models import DeepAutoencoder
from gen_lib.models.autoencoder import reconstruction_loss
from gen_lib.models.base import in_batches
from gen_lib.nets.feedforward import mlp
from gen_lib.training.checkpoints import load_pretrained

LARGE = 14  # size of letters in pixels of the page; the picture has twice as many
STEPS = (0, 3, 6, 10, 15, 20, 30, 50, 80, 120, 200, 500)
STICK = "#bbbbbb"
SIDE = 190  # of a scatter plot


def bend() -> Film:
    """Two autoencoders with a code of one number learn to follow images of two pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # the same images and weights as in toy.py
        first = 1.6 * torch.rand(toy.IMAGES, 1) - 0.8
        bowl = torch.cat([first, 1.8 * first.square() - 0.6], dim=1)
        x = bowl + 0.05 * torch.randn(toy.IMAGES, 2)
        linear, deep = (mlp(2, 1), mlp(1, 2)), (mlp(2, 32, 1), mlp(1, 32, 2))
        runs = [_learn(x, nn.Sequential(*parts)) for parts in (linear, deep)]
    frames = []
    for step, *shown in zip(STEPS, *runs, strict=True):
        canvas = Canvas(450, 260)
        canvas.text(f"code: 1 number; training step {step}", 225, 2, anchor="ma", size=LARGE)
        canvas.disc((16, 34), 5, plots.DATA)
        canvas.text("data: 2 numbers", 26, 25, plots.DATA, size=LARGE)
        canvas.disc((176, 34), 5, plots.CODE)
        canvas.text("reconstruction", 186, 25, plots.CODE, size=LARGE)
        canvas.line([(322, 34), (350, 34)], STICK, 2)
        canvas.text("error", 356, 25, size=LARGE)
        for left, name, y in zip((20, 240), ("linear", "hidden layers"), shown, strict=True):
            canvas.text(name, left, 46, size=LARGE)
            _sticks(canvas, left, 66, x, y)
        frames.append(canvas.pixels())
    return Film(
        frames,
        0.6,
        "Two scatter plots of the same 150 images of two pixels along a parabola, each joined to "
        "its reconstruction. Both start with all reconstructions near one place. The linear "
        "autoencoder ends with a straight line through the middle and long sticks, the one with "
        "hidden layers with a curve along the parabola and short sticks.",
    )


def between() -> Film:
    """The explorer: on the way from an ankle boot to a pullover."""
    explorer = LatentExplorer()
    states = []
    for position in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        z1, z2 = explorer.along(explorer.state, position).tolist()
        states.append({"z1": z1, "z2": z2, "position": position})
    return walk(explorer, states)


def made_up() -> Film:
    """From the codes of ten test images on straight lines to ten draws from N(0, I)."""
    images = load("fashion_mnist")
    model = load_pretrained("deep-ae", DeepAutoencoder)
    known = in_batches(model.encode, images.train.x)
    start = in_batches(model.encode, images.test[:1_000].images)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # the draws of the chapter's table
        end = torch.randn(1_000, 16)
    frames, away = [], []
    for way in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0):
        z = torch.lerp(start, end, way)
        away.append(nearest(z, known).distance.median().item())
        canvas = Canvas(450, 260)
        canvas.text(_place(way), 225, 2, anchor="ma", size=LARGE)
        for number, image in enumerate(in_batches(model.decode, z[:10])):
            canvas.image(image, 3 + 90 * (number % 5), 30 + 88 * (number // 5), 84)
        canvas.text("median distance to the nearest", 225, 214, plots.CODE, "ma", LARGE)
        words = f"training code: {away[-1]:.2f}"
        canvas.text(words, 225, 236, plots.CODE, "ma", LARGE)
        frames.append(canvas.pixels())
    return Film(
        frames,
        0.8,
        "Ten decoded images, while their codes move on straight lines from the codes of test "
        "images to draws from a standard normal distribution. Garments at the beginning, grey "
        "smears at the end. The median distance to the nearest code of a training image goes from "
        f"{away[0]:.2f} to {away[-1]:.2f}.",
    )


def _learn(x: Points, network: nn.Module) -> list[Points]:
    """The reconstructions of x at all ``STEPS``, trained as in toy.py."""
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    shown = []
    for step in range(STEPS[-1] + 1):
        y = network(x)
        if step in STEPS:
            shown.append(y.detach())
        optimiser.zero_grad()
        reconstruction_loss(y, x).backward()
        optimiser.step()
    return shown


def _sticks(canvas: Canvas, left: int, top: int, x: Points, y: Points) -> None:
    """Images x in blue, reconstructions y in green, and a stick from each image to its own."""
    canvas.box(left, top, left + SIDE, top + SIDE, "#f4f4f4")
    places = [_on_square(points, left, top) for points in (x, y)]
    for a, b in zip(*places, strict=True):
        canvas.line([a, b], STICK)
    for some, color in zip(places, (plots.DATA, plots.CODE), strict=True):
        for place in some:
            canvas.disc(place, 2.2, color)


def _on_square(points: Points, left: int, top: int) -> Sequence[tuple[float, float]]:
    """Places on the canvas; the square shows 2.25 of each pixel, from its upper left corner."""
    scaled = (points - torch.tensor([-0.95, 1.0])) * torch.tensor([1.0, -1.0]) * SIDE / 2.25
    return [(left + u, top + v) for u, v in scaled.tolist()]


def _place(way: float) -> str:
    """What the codes of a frame are."""
    if way == 0:
        return "codes of test images"
    return "made-up codes" if way == 1 else f"{way:.1f} of the way to made-up codes"
