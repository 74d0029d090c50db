"""Explorer of chapter 02: the price of activity in a sparse autoencoder."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from typing_extensions import override

from gen_lib import plots
from gen_lib.checkpoints import load_pretrained
from gen_lib.data import ImageSet, load
from gen_lib.metrics import mse
from gen_lib.models.autoencoder import SparseAutoencoder
from gen_lib.models.base import in_batches
from gen_lib.widgets.base import SHOWN, Explorer, Size, index_slider, steps
from gen_lib.widgets.drawing import FAINT, Canvas

SPARSE = {0.1: "sparse-0.1", 0.3: "sparse-0.3", 1.0: "sparse-1", 3.0: "sparse-3"}
"""lambda -> name of the shipped weights."""


class LambdaState(NamedTuple):
    """The price of activity and a test image."""

    sparsity: float
    image: int = 0


class LambdaExplorer(Explorer[LambdaState]):
    """What does a higher price of activity do to the reconstruction and to the code?

    Args:
        models: lambda -> model; the shipped ones unless given.
        images: whose test half is shown; Fashion-MNIST unless given.
    """

    def __init__(
        self,
        models: Mapping[float, SparseAutoencoder] | None = None,
        images: ImageSet | None = None,
    ):
        given = models or {k: load_pretrained(v, SparseAutoencoder) for k, v in SPARSE.items()}
        self.models = dict(sorted(given.items()))
        self.x = (images or load("fashion_mnist")).test.x[:1_000]
        self.active = {k: _active(m, self.x) for k, m in self.models.items()}
        self.features = {k: _as_images(m, self.x) for k, m in self.models.items()}
        controls = {
            "sparsity": steps("λ", [(f"{k:g}", k) for k in self.models]),
            "image": index_slider("test image", min(SHOWN, len(self.x)) - 1),
        }
        middle = list(self.models)[len(self.models) // 2]
        super().__init__(LambdaState(middle), controls, Size(880, 400))

    @override
    def picture(self, state: LambdaState) -> UInt8[np.ndarray, "height width 3"]:
        model, x = self.models[state.sparsity], self.x[state.image]
        z = in_batches(model.encode, x[None])
        y = in_batches(model.decode, z)[0]
        canvas = self.canvas()
        for left, label, image in (
            (0, "input x", x),
            (208, "reconstruction y(x, w)", y),
            (416, "difference |y − x|", (y - x).abs() - 1),
        ):
            canvas.text(label, left, 0)
            canvas.image(image, left, 20, 7)
        order = z[0].argsort(descending=True)[:12].tolist()
        strongest = [k for k in order if z[0, k] > 0]
        canvas.text("what the strongest units add", 636, 0)
        for number, k in enumerate(strongest):
            row, column = divmod(number, 4)
            canvas.image(self.features[state.sparsity][k], 636 + 61 * column, 20 + 67 * row, 2)
        canvas.text(f"How many units are active: share of {len(self.x):,} test images", 0, 234)
        mine = int(self.active[state.sparsity][state.image])
        _histogram(canvas, self.active[state.sparsity], mine)
        return canvas.pixels()

    @override
    def describe(self, state: LambdaState) -> str:
        model, x = self.models[state.sparsity], self.x[state.image][None]
        active, units = self.active[state.sparsity], model.config["latent_size"]
        return (
            f"With λ = {state.sparsity:g}, {int(active[state.image])} of {units} units are active "
            f"for this image ({active.float().mean():.0f} on average over {len(active):,}), and "
            f"the error per pixel is {mse(in_batches(model.reconstruct, x), x):.4f}."
        )


def _active(model: SparseAutoencoder, x: Float[Tensor, "n c h w"]) -> Int64[Tensor, "n"]:
    return (in_batches(model.encode, x) > 0).sum(dim=1)


def _as_images(model: SparseAutoencoder, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "k c h w"]:
    """What each unit adds, scaled to reach -1 or 1."""
    features = model.dictionary.detach().T
    return (features / features.abs().amax(dim=1, keepdim=True)).reshape(-1, *x.shape[1:])


def _histogram(canvas: Canvas, counts: Int64[Tensor, "n"], mine: int) -> None:
    """Bars over 0, 1, 2-3, 4-7, ... active units; the one that holds ``mine`` stands out."""
    bins = [(0, 0), *((2**k, 2 ** (k + 1) - 1) for k in range(10))]
    for number, (low, high) in enumerate(bins):
        share = ((counts >= low) & (counts <= high)).float().mean().item()
        left, top = 80 * number, 360 - round(90 * share)
        color = plots.MODEL if low <= mine <= high else plots.CODE
        canvas.box(left, top, left + 72, 362, color)
        canvas.text(f"{share:.0%}", left + 36, top - 17, FAINT, "ma")
        canvas.text(f"{low}" if low == high else f"{low}–{high}", left + 36, 366, anchor="ma")
    canvas.text("active units; the orange bar holds the image shown", 0, 384, FAINT)
