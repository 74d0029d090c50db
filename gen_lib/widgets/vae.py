"""Explorers of chapter 03: a plane of codes with its prior, and the price of a code."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor
from typing_extensions import override

from gen_lib import InputError, plots
from gen_lib.checkpoints import load_pretrained
from gen_lib.data import ImageSet, load
from gen_lib.models.base import in_batches
from gen_lib.models.vae import BernoulliVAE, Posterior, active_units
from gen_lib.widgets.base import SHOWN, Explorer, Size, index_slider, slider, steps
from gen_lib.widgets.drawing import FAINT
from gen_lib.widgets.pad import Pad, plane_map

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
LIMIT = 4.0  # the pad shows -LIMIT ... LIMIT each way


class PriorState(NamedTuple):
    """A point of the plane of codes."""

    z1: float = 0.0
    z2: float = 0.0


class PriorExplorer(Explorer[PriorState]):
    """Walk through a code of two numbers: where do codes lie, and where does the prior say?

    Args:
        model: a variational autoencoder with latent_size=2; the shipped one unless given.
        images: whose test half is encoded; Fashion-MNIST unless given.

    Raises:
        InputError: the code has more or fewer than two numbers.
    """

    def __init__(self, model: BernoulliVAE | None = None, images: ImageSet | None = None):
        self.model = model or load_pretrained(PLANE, BernoulliVAE)
        if self.model.latent_size != 2:
            raise InputError(
                f"The code of this model has {self.model.latent_size} numbers: the pad is a map, "
                "so it needs a model with latent_size=2."
            )
        self.images = images or load("fashion_mnist")
        self.x = self.images.test.x[:1_000]
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
        canvas.image(in_batches(self.model.decode, z)[0], 8, 20, 8)
        canvas.text("test image most likely to be here", 258, 0)
        canvas.image(self.x[self._likeliest(z)], 258, 20, 8)
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
        canvas.text("densities; the dark map shows q(z), the rings the prior", 8, 362, FAINT)
        return canvas.pixels()

    @override
    def describe(self, state: PriorState) -> str:
        z = torch.tensor([state])
        prior, aggregated = self._densities(z)
        name = self.images.classes[int(self.images.test.labels[self._likeliest(z)])]
        return (
            f"At z = ({state.z1:.2f}, {state.z2:.2f}), {z.norm():.1f} from the centre, the density "
            f"of test images' codes is {aggregated / prior:.2g} times that of the prior. Most "
            f"likely to lie here: {name}."
        )

    @override
    def accompany(self, state: PriorState) -> None:
        with self.pad.hold_sync():
            self.pad.go(*((v + LIMIT) / (2 * LIMIT) for v in state))
            self.pad.words = f"It is at z1 = {state.z1:.2f}, z2 = {state.z2:.2f}."

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
    """The price of a nat, a test image, and which draw of codes from the prior."""

    beta: float
    image: int = 0
    draw: int = 0


class BetaExplorer(Explorer[BetaState]):
    """What does a higher price of the code do to reconstructions, samples and units?

    Args:
        models: beta -> model; the shipped ones unless given.
        images: whose test half is shown; Fashion-MNIST unless given.
    """

    def __init__(
        self,
        models: Mapping[float, BernoulliVAE] | None = None,
        images: ImageSet | None = None,
    ):
        given = models or {k: load_pretrained(v, BernoulliVAE) for k, v in BETAS.items()}
        self.models = dict(sorted(given.items()))
        self.x = (images or load("fashion_mnist")).test.x[:1_000]
        self.q = {k: posteriors(m, self.x) for k, m in self.models.items()}
        controls = {
            "beta": steps("β", [(f"{k:g}", k) for k in self.models]),
            "image": index_slider("test image", min(SHOWN, len(self.x)) - 1),
            "draw": index_slider("draw from the prior", 9),
        }
        default = BetaState(min(self.models, key=lambda k: abs(k - 1)))
        super().__init__(default, controls, Size(880, 336))

    @override
    def picture(self, state: BetaState) -> UInt8[np.ndarray, "height width 3"]:
        model, q = self.models[state.beta], self.q[state.beta]
        canvas = self.canvas()
        canvas.text("input x", 0, 0)
        canvas.image(self.x[state.image], 0, 20, 6)
        canvas.text("decoded from mu", 184, 0)
        canvas.image(in_batches(model.decode, q.mu[state.image][None])[0], 184, 20, 6)
        canvas.text("samples: codes from the prior, decoded", 0, 204)
        samples = model.sample(10, torch.Generator().manual_seed(state.draw))
        for number, image in enumerate(samples):
            canvas.image(image, 88 * number, 224, 3)
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
            f"{state.image}), and {active} of {q.mu.shape[1]} units are active."
        )


def posteriors(model: BernoulliVAE, x: Float[Tensor, "n c h w"]) -> Posterior:
    """q(z|x) of images, binarised once."""
    x = model.observe(x, torch.Generator().manual_seed(0))
    both = in_batches(lambda part: torch.cat(model.posterior(part), dim=1), x)
    return Posterior(*both.chunk(2, dim=1))
