"""Explorers of chapter 03: the bound, the prior, the weight beta, single units, interpolation."""

import math
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from PIL import Image, ImageColor
from torch import Tensor
from torch.distributions import Normal
from typing_extensions import override

from gen_course.ch03_vae import toy
from gen_course.common import plots
from gen_course.common.canvas import FAINT, INK, Canvas
from gen_course.common.explorer import (
    SHOWN,
    Explorer,
    Size,
    choice,
    first_images,
    index_slider,
    shipped,
    slider,
    steps,
)
from gen_course.common.pad import Pad, plane_map
from gen_course.common.plane import draw_curve
from gen_lib import InputError
from gen_lib.data import ImageSet, load
from gen_lib.models.base import in_batches
from gen_lib.models.interpolation import slerp
from gen_lib.models.judge import Judge
from gen_lib.models.vae import BernoulliVAE, Posterior, active_units

PLANE = "vae-2d"  # name of the shipped weights
BETAS = {
    0.25: "vae-beta-0.25",
    1.0: "vae-beta-1",
    4.0: "vae-beta-4",
    16.0: "vae-beta-16",
    64.0: "vae-beta-64",
}
"""beta -> name of the shipped weights."""
PAD = 380  # side of the latent pad
STEP = 0.05  # of the sliders
LIMIT = 4.0  # the pad and the sliders go from -LIMIT to LIMIT


EXAMPLES = {
    "near the circle": (1.1, 1.3),
    "at the far left": (-1.7, 0.1),
    "in the middle": (0.2, -0.1),
}
"""The points of the plane that the bound can be explored for."""
WINDOW = 3.0  # the map shows the plane, and the curves the codes, from -WINDOW to WINDOW
SIDE = 300  # of the map of the plane


class BoundState(NamedTuple):
    """A point x, and the mean and the standard deviation of q(z|x)."""

    x: str = "near the circle"
    m: float = 0.0
    s: float = 0.5


class BoundExplorer(Explorer[BoundState]):
    """How far is the ELBO from log p(x), for each normal q, in a model of one number z?"""

    def __init__(self) -> None:
        controls = {
            "x": choice("x lies", list(EXAMPLES)),
            "m": slider("mean m of q", -WINDOW, WINDOW, 0.05),
            "s": slider("width s of q", 0.05, 1.5, 0.05),
        }
        super().__init__(BoundState(), controls, Size(880, TOP + SIDE + 20))

    @override
    def picture(self, state: BoundState) -> UInt8[np.ndarray, "height width 3"]:
        x = torch.tensor(EXAMPLES[state.x], dtype=torch.float64)
        canvas = self.canvas()
        canvas.text("the plane of x: p(x), and f(z) from z = −3 to 3", 0, 0)
        canvas.paste(_marginal(), 0, TOP, (SIDE, SIDE), Image.Resampling.BILINEAR)
        codes = torch.linspace(-WINDOW, WINDOW, 121, dtype=torch.float64)
        canvas.line(_on_plane(toy.decode(codes)), plots.BASELINE)
        likely = torch.linspace(state.m - state.s, state.m + state.s, 41, dtype=torch.float64)
        canvas.line(_on_plane(toy.decode(likely)), plots.CODE, width=4)
        (place,) = _on_plane(x[None])
        canvas.disc(place, 5, "black")
        canvas.text("black: x; green: f(z) for z within s of m", 0, TOP + SIDE + 4, FAINT)
        self._draw_densities(canvas, state, x)
        self._draw_bars(canvas, toy.bound(x, state.m, state.s), toy.evidence(x).log_p)
        return canvas.pixels()

    @override
    def describe(self, state: BoundState) -> str:
        x = torch.tensor(EXAMPLES[state.x], dtype=torch.float64)
        terms, log_p = toy.bound(x, state.m, state.s), toy.evidence(x).log_p
        return (
            f"With q = N({_number(state.m)}, {state.s:.2f}²) the ELBO of this x is "
            f"{_number(terms.elbo)} nats. log p(x) is {_number(log_p)}, so the gap, "
            f"KL(q ‖ p(z|x)), is {terms.gap:.2f} nats."
        )

    def _draw_densities(self, canvas: Canvas, state: BoundState, x: Float[Tensor, "2"]) -> None:
        """p(z), p(z|x) and q(z|x) as curves over z."""
        inside = (toy.GRID.abs() <= WINDOW).nonzero()[::5, 0]
        z, q = toy.GRID[inside], Normal(state.m, state.s)
        curves = (
            ("prior p(z)", toy.PRIOR.log_prob(z).exp(), plots.BASELINE),
            ("posterior p(z|x)", toy.evidence(x).posterior[inside], plots.DATA),
            ("guess q(z|x)", q.log_prob(z).exp(), plots.CODE),
        )
        for number, (name, values, color) in enumerate(curves):
            canvas.text(name, 350 + 150 * number, 0, color)
            draw_curve(canvas, values.tolist(), (350, TOP, 870, TOP + 130), (0, 2.8), color)
        for label in range(-3, 4):
            tick = f"{label}".replace("-", "−")
            canvas.text(tick, 610 + 260 * label // 3, TOP + 134, FAINT, "ma")
        canvas.text("z", 872, TOP + 112, FAINT, "ra")

    def _draw_bars(self, canvas: Canvas, terms: toy.Bound, log_p: float) -> None:
        """−ELBO as distortion + rate, and as −log p(x) + gap; 30 pixels for a nat."""
        rows = (
            (("distortion", terms.distortion, plots.MODEL), ("rate", terms.rate, plots.CODE)),
            (("−log p(x)", -log_p, plots.DATA), ("gap", terms.gap, plots.DISCRIMINATOR)),
        )
        for row, parts in enumerate(rows):
            top, left = TOP + 190 + 60 * row, 350
            for number, (name, nats, color) in enumerate(parts):
                right = min(left + max(round(NAT * nats), 0), 872)
                if left < right:
                    canvas.box(left, top + 20, right, top + 42, color)
                canvas.text(f"{name} {nats:.2f}", 350 + 170 * number, top, color)
                left = right
        canvas.text("both bars are −ELBO, in nats", 872, TOP + 190 + 60, FAINT, "ra")


def _number(value: float) -> str:
    """Two digits after the point, with a true minus sign."""
    return f"{value:.2f}".replace("-", "−")


NAT = 20  # pixels of a bar for one nat
TOP = 24  # of the pictures, below their headings


@cache
def _marginal() -> Image.Image:
    """p(x) of the toy over the plane: white is 0, blue is dense."""
    ticks = torch.linspace(-WINDOW, WINDOW, 60, dtype=torch.float64)
    x = torch.stack(torch.meshgrid(ticks, ticks.flip(0), indexing="xy"), dim=-1).flatten(0, 1)
    codes = toy.GRID[::12]
    weight = toy.PRIOR.log_prob(codes).softmax(dim=0)
    away = torch.cdist(x, toy.decode(codes)).square() / (2 * toy.SIGMA_X**2)
    density = ((-away).exp() @ weight).reshape(60, 60)
    share = (density / density.max()).sqrt()[..., None].numpy()
    blue = np.array(ImageColor.getrgb(plots.DATA), dtype=float)
    return Image.fromarray((255 + 0.7 * share * (blue - 255)).round().astype(np.uint8))


def _on_plane(points: Float[Tensor, "n 2"]) -> list[tuple[float, float]]:
    """Places in page pixels, from the upper left corner of the picture."""
    x, y = ((points * torch.tensor([1.0, -1.0]) + WINDOW) * SIDE / (2 * WINDOW)).unbind(dim=1)
    return list(zip(x.tolist(), (y + TOP).tolist(), strict=True))


class PriorState(NamedTuple):
    """A code (z1, z2)."""

    z1: float = 0.0
    z2: float = 0.0


class PriorExplorer(Explorer[PriorState]):
    """Where in a two-dimensional latent space do codes of test images lie, compared to the prior?

    Args:
        model: a variational autoencoder with latent_size=2; the shipped one unless given.
        images: the data set whose test images are encoded; Fashion-MNIST unless given.

    Raises:
        InputError: the code has more or fewer than two numbers.
    """

    def __init__(self, model: BernoulliVAE | None = None, images: ImageSet | None = None):
        self.model = model or shipped(PLANE, BernoulliVAE)
        if self.model.latent_size != 2:
            raise InputError(
                f"The code of this model has {self.model.latent_size} numbers: the pad is a map, "
                "so it needs a model with latent_size=2."
            )
        self.images = images or load("fashion_mnist")
        self.x = first_images(self.images, 1_000)
        self.q = posteriors(self.model, self.x)
        self.pad = Pad(
            background=plane_map(PAD, self._draw_densities),
            steps=2 * [round(2 * LIMIT / STEP)],
            label="Density of the codes of test images; the arrow keys move the point.",
        )
        self.pad.observe(self._pointed, names=["x", "y"])
        controls = {f"z{i}": slider(f"z{'₁₂'[i - 1]}", -LIMIT, LIMIT, STEP) for i in (1, 2)}
        super().__init__(PriorState(), controls, Size(496, PAD), beside=self.pad)

    @override
    def picture(self, state: PriorState) -> UInt8[np.ndarray, "height width 3"]:
        z = torch.tensor([state])
        canvas = self.canvas()
        canvas.text("decoded from the point", 8, 0)
        canvas.image(in_batches(self.model.decode, z)[0], 8, 20, 224)
        canvas.text("test image most likely to be here", 258, 0)
        canvas.image(self.x[self._likeliest(z)], 258, 20, 224)
        prior, aggregated = self._densities(z)
        largest = 1 / (2 * math.pi)  # of the prior, at 0
        for number, (label, value, color) in enumerate(
            (
                ("prior p(z)", prior, plots.BASELINE),
                ("codes of test images, q(z)", aggregated, plots.CODE),
            )
        ):
            top = 268 + 48 * number
            canvas.text(f"{label}: {value:.4f}", 8, top)
            length = min(round(340 * value / largest), 480)
            canvas.box(8, top + 20, 9 + length, top + 34, color)
        words = "green map: q(z); rings: 1, 2, 3 standard deviations of the prior"
        canvas.text(words, 8, 362, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: PriorState) -> str:
        z = torch.tensor([state])
        prior, aggregated = self._densities(z)
        name = self.images.classes[int(self.images.test.labels[self._likeliest(z)])]
        return (
            f"At z = ({_number(state.z1)}, {_number(state.z2)}), {z.norm():.1f} from the "
            f"centre, the density of test images' codes is {aggregated / prior:.2g} times that "
            f"of the prior. Most likely to lie here: {name}."
        )

    @override
    def accompany(self, state: PriorState) -> None:
        with self.pad.hold_sync():
            self.pad.go(*((v + LIMIT) / (2 * LIMIT) for v in state))
            self.pad.words = f"It is at z₁ = {_number(state.z1)}, z₂ = {_number(state.z2)}."

    def _pointed(self, _: object) -> None:
        place = tuple(LIMIT * (2 * v - 1) for v in (self.pad.x, self.pad.y))
        if self._paused or math.dist(place, self.state) < 1e-9:
            return
        with self.together():
            self.controls["z1"].value, self.controls["z2"].value = place

    def _draw_densities(self, ax: Axes) -> None:
        density = self.q.aggregated(plots.plane(80, LIMIT)).reshape(80, 80)
        plots.field(ax, density.sqrt(), LIMIT, cmap="Greens")
        for radius in (1, 2, 3):
            ax.add_patch(Circle((0, 0), radius, fill=False, color=plots.BASELINE))
            ax.annotate(f"{radius}", (0, radius), color=plots.BASELINE, va="bottom", ha="center")

    def _densities(self, z: Float[Tensor, "1 2"]) -> tuple[float, float]:
        """p(z) of the prior, and q(z), the mean of q(z|x) over test images."""
        prior = math.exp(-0.5 * z.square().sum().item()) / (2 * math.pi)
        return prior, self.q.aggregated(z).item()

    def _likeliest(self, z: Float[Tensor, "1 2"]) -> int:
        return int(self.q.log_prob(z.expand_as(self.q.mu)).argmax())


class BetaState(NamedTuple):
    """The weight beta of the KL, a test image, and a draw of codes from the prior."""

    beta: float
    image: int = 0
    draw: int = 0


class BetaExplorer(Explorer[BetaState]):
    """How does the weight beta of the KL change reconstructions, samples and units?

    Args:
        models: beta -> model; the shipped ones unless given.
        images: the data set whose test images are shown; Fashion-MNIST unless given.
    """

    def __init__(
        self,
        models: Mapping[float, BernoulliVAE] | None = None,
        images: ImageSet | None = None,
    ):
        given = models or {k: shipped(v, BernoulliVAE) for k, v in BETAS.items()}
        self.models = dict(sorted(given.items()))
        self.x = first_images(images or load("fashion_mnist"), 1_000)
        self.q = {k: posteriors(m, self.x) for k, m in self.models.items()}
        controls = {
            "beta": steps("β", [(f"{k:g}", k) for k in self.models]),
            "image": index_slider("test image", min(SHOWN, len(self.x)) - 1),
            "draw": index_slider("another ten codes", 9),
        }
        default = BetaState(min(self.models, key=lambda k: abs(k - 1)))
        super().__init__(default, controls, Size(880, 336))

    @override
    def picture(self, state: BetaState) -> UInt8[np.ndarray, "height width 3"]:
        model, q = self.models[state.beta], self.q[state.beta]
        canvas = self.canvas()
        canvas.text("input x", 0, 0)
        canvas.image(self.x[state.image], 0, 20, 168)
        canvas.text("decoded from μ", 184, 0)
        canvas.image(in_batches(model.decode, q.mu[state.image][None])[0], 184, 20, 168)
        canvas.text("samples: codes from the prior, decoded", 0, 204)
        samples = model.sample(10, torch.Generator().manual_seed(state.draw))
        for number, image in enumerate(samples):
            canvas.image(image, 88 * number, 224, 84)
        canvas.text("KL of each unit in nats, largest first", 400, 0)
        kl = q.kl().mean(dim=0).sort(descending=True).values.tolist()
        for number, value in enumerate(kl[:16]):
            left, height = 400 + 30 * number, round(130 * min(value / 4, 1))
            canvas.box(left, 188 - height, left + 24, 190, plots.CODE)
            canvas.text(f"{value:.1f}", left + 12, 171 - height, FAINT, "ma", 12)
        canvas.text("the same ten codes for every β", 0, 314, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: BetaState) -> str:
        q = self.q[state.beta]
        active = int(active_units(q.mu).sum())
        return (
            f"With β = {state.beta:g} a code costs {q.kl().sum(dim=1).mean():.1f} nats on average "
            f"over {len(self.x):,} test images ({q.kl()[state.image].sum():.1f} for image "
            f"{state.image}), and {active} of {q.mu.shape[1]} units are active (variance of their "
            "mean over the images above 0.01)."
        )


@lru_cache(maxsize=8)
def posteriors(model: BernoulliVAE, x: Float[Tensor, "n c h w"]) -> Posterior:
    """q(z|x) of images, which are binarised first (with seed 0)."""
    x = model.observe(x, torch.Generator().manual_seed(0))
    both = in_batches(lambda part: torch.cat(model.posterior(part), dim=1), x)
    return Posterior(*both.chunk(2, dim=1))


LARGE = "vae"  # name of the shipped weights
UNITS = 5  # units that have a slider
FRAMES = 9  # images decoded along each path


class UnitsState(NamedTuple):
    """The code to start from (its source and number), and the values of the most active units."""

    start: str
    number: int
    u1: float
    u2: float
    u3: float
    u4: float
    u5: float


class UnitsExplorer(Explorer[UnitsState]):
    """What does each of the most active units of a code change if the others stay fixed?

    Args:
        model: a variational autoencoder with at least five units; the shipped one unless given.
        images: the data set whose test images are encoded; Fashion-MNIST unless given.

    Raises:
        InputError: the code has fewer than five units.
    """

    def __init__(self, model: BernoulliVAE | None = None, images: ImageSet | None = None):
        self.model = model or shipped(LARGE, BernoulliVAE)
        if (size := self.model.latent_size) < UNITS:
            raise InputError(f"The code of this model has {size} units: {UNITS} are needed.")
        x = first_images(images or load("fashion_mnist"), 1_000)
        q = posteriors(self.model, x)
        self.kl = q.kl().mean(dim=0)
        self.units = self.kl.argsort(descending=True)[:UNITS].tolist()
        drawn = torch.randn(SHOWN, size, generator=torch.Generator().manual_seed(0))
        self.codes = {"test image": q.mu[:SHOWN], "draw from the prior": drawn}
        last = min(SHOWN, len(x)) - 1
        controls = {"start": choice("start", list(self.codes)), "number": index_slider("No.", last)}
        controls |= {
            f"u{i}": slider(f"unit {k + 1}", -LIMIT, LIMIT, 0.1)
            for i, k in enumerate(self.units, 1)
        }
        default = UnitsState("test image", 0, *self._values("test image", 0))
        super().__init__(default, controls, Size(880, 322))

    @override
    def picture(self, state: UnitsState) -> UInt8[np.ndarray, "height width 3"]:
        start, z = self.codes[state.start][state.number], self.code(state)
        values = torch.linspace(-3, 3, 7)
        ways = z.repeat(UNITS, 7, 1)
        for row, k in enumerate(self.units):
            ways[row, :, k] = values
        codes = torch.cat([start[None], z[None], ways.flatten(0, 1)])
        first, now, *images = in_batches(self.model.decode, codes)
        canvas = self.canvas()
        canvas.text("decoded: the start", 0, 0)
        canvas.image(first, 0, 20, 196)
        canvas.text("with your units", 206, 0)
        canvas.image(now, 206, 20, 196)
        canvas.text("Right: one unit alone goes from −3 to 3,", 0, 240, FAINT)
        canvas.text("all others stay as the sliders have them.", 0, 260, FAINT)
        for row, k in enumerate(self.units):
            canvas.text(f"unit {k + 1}", 480, 38 + 60 * row, anchor="ra")
            canvas.text(f"{self.kl[k]:.1f} nats", 480, 56 + 60 * row, FAINT, "ra")
            for column, image in enumerate(images[7 * row : 7 * row + 7]):
                canvas.image(image, 488 + 56 * column, 20 + 60 * row, 56)
        for column, value in enumerate(values.tolist()):
            canvas.text(
                f"{value:+.0f}".replace("-", "−").replace("+0", "0"),
                516 + 56 * column,
                0,
                FAINT,
                "ma",
            )
        return canvas.pixels()

    @override
    def describe(self, state: UnitsState) -> str:
        moved = math.dist(state[2:], self._values(state.start, state.number))
        share = self.kl[self.units].sum() / self.kl.sum()
        return (
            f"Start: {state.start} {state.number}. Your units are {moved:.1f} away from it. The "
            f"{UNITS} units carry {share:.0%} of the {self.kl.sum():.1f} nats that a code costs."
        )

    @override
    def panel(self) -> widgets.DOMWidget:
        start, number, *units = self.controls.values()
        left = widgets.VBox([start, number, self.reset_button])
        return widgets.HBox([left, widgets.VBox(units)])

    @override
    def follow(self, name: str) -> None:
        if name in {"start", "number"}:
            for i, value in enumerate(self._values(*self.state[:2]), 1):
                self.controls[f"u{i}"].value = value

    def code(self, state: UnitsState) -> Float[Tensor, "k"]:
        """The code to start from, with the values of the sliders in its most active units."""
        z = self.codes[state.start][state.number].clone()
        z[self.units] = torch.tensor(state[2:])
        return z

    def _values(self, start: str, number: int) -> list[float]:
        """The values of the most active units, clamped and rounded to values of the sliders."""
        values = self.codes[start][number, self.units].clamp(-LIMIT, LIMIT).tolist()
        return [round(value, 1) for value in values]


class WayState(NamedTuple):
    """Two test images, and a position on one of two paths between their codes."""

    first: int = 0
    second: int = 2
    kind: str = "straight"
    position: float = 0.5


class Strip(NamedTuple):
    """Images decoded at equal steps along a path, and the class that the judge gives to each."""

    images: Float[Tensor, "frames c h w"]
    names: list[str]


class WayExplorer(Explorer[WayState]):
    """Which images lie between two test images, on a straight line of codes and on an arc?

    Args:
        model: a variational autoencoder; the shipped one unless given.
        images: the data set whose test images are encoded; Fashion-MNIST unless given.
        judge: the classifier that names the decoded images; the frozen one unless given.
    """

    def __init__(
        self,
        model: BernoulliVAE | None = None,
        images: ImageSet | None = None,
        judge: Judge | None = None,
    ):
        self.model = model or shipped(LARGE, BernoulliVAE)
        self.images, self.judge = images or load("fashion_mnist"), judge or shipped("judge", Judge)
        self.x = first_images(self.images, SHOWN)
        self.codes = in_batches(self.model.encode, self.x)
        self.strip = lru_cache(maxsize=4)(self._strip)  # a strip is the same for all positions
        self.ways: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
            "straight": torch.lerp,
            "on an arc": slerp,
        }
        controls = {
            "first": index_slider("from test image", len(self.x) - 1),
            "second": index_slider("to test image", len(self.x) - 1),
            "kind": choice("way", list(self.ways)),
            "position": slider("place on the way", 0.0, 1.0, 0.05),
        }
        super().__init__(WayState(), controls, Size(880, 370))

    @override
    def picture(self, state: WayState) -> UInt8[np.ndarray, "height width 3"]:
        canvas = self.canvas()
        point = in_batches(self.model.decode, self.along(state, state.kind, state.position)[None])
        for left, label, image in (
            (160, "from", self.x[state.first]),
            (384, f"{state.position:.2f} of the way", point[0]),
            (608, "to", self.x[state.second]),
        ):
            canvas.text(label, left + 56, 0, anchor="ma")
            canvas.image(image, left, 20, 112)
        for row, kind in enumerate(self.ways):
            top = 144 + 114 * row
            strip = self.strip(state.first, state.second, kind)
            chosen = kind == state.kind
            canvas.text(kind, 0, top + 34, plots.MODEL if chosen else INK)
            for number, (image, name) in enumerate(zip(*strip, strict=True)):
                left = 82 + 89 * number
                if chosen and number == round(state.position * (FRAMES - 1)):
                    canvas.box(left - 2, top - 2, left + 86, top + 86, plots.MODEL)
                canvas.image(image, left, top, 84)
                canvas.text(name, left + 42, top + 88, FAINT, "ma", 12)
        return canvas.pixels()

    @override
    def describe(self, state: WayState) -> str:
        ends = (state.first, state.second)
        first, second = (f"image {i} ({self._class(i)})" for i in ends)
        a, b = (self.codes[i].norm() for i in ends)
        straight, arc = (self.along(state, kind, 0.5).norm() for kind in self.ways)
        return (
            f"{state.position:.0%} of the way from {first} to {second}, {state.kind}. The codes "
            f"are {a:.1f} and {b:.1f} from 0; halfway, the straight way is {straight:.1f} and the "
            f"arc {arc:.1f} from 0. Below each picture: what the judge takes it for."
        )

    def along(self, state: WayState, kind: str, position: float) -> Float[Tensor, "k"]:
        """The code at a position on the path of this kind, 0 <= position <= 1."""
        return self.ways[kind](self.codes[state.first], self.codes[state.second], position)

    def _strip(self, first: int, second: int, kind: str) -> Strip:
        state = WayState(first, second)
        z = [self.along(state, kind, i / (FRAMES - 1)) for i in range(FRAMES)]
        images = in_batches(self.model.decode, torch.stack(z))
        names = in_batches(self.judge.logits, images).argmax(dim=1).tolist()
        return Strip(images, [self.images.classes[name] for name in names])

    def _class(self, index: int) -> str:
        return self.images.classes[int(self.images.test.labels[index])]
