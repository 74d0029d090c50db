"""The interface of every model: the loss to minimise, and what a trained model can do.

The training loop uses ``players`` and ``turns`` only. Most models define ``loss`` and inherit them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen_lib import InputError
from gen_lib.metrics.images import Row

Images = Float[Tensor, "n c h w"]  # values in [-1, 1]
Codes = Float[Tensor, "n k"]  # k units for each image
Labelled = Literal["class", "attributes", "sentences", "text"]
"""What a model learns from: pictures with labels of one kind, or a text."""


class Loss(NamedTuple):
    """A scalar loss to minimise, and named scalars to record."""

    value: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]


class Player(NamedTuple):
    """Parameters that minimise one loss, and the settings of their optimisers."""

    parameters: list[nn.Parameter]
    lr: float  # the peak of AdamW's learning rate
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0  # each step of AdamW multiplies the weights by 1 - lr * weight_decay
    hidden: Sequence[nn.Parameter] = ()  # those of the parameters that Muon updates, not AdamW
    hidden_lr: float = 0.0  # the peak of Muon's learning rate
    part: tuple[float, float] = (0.0, 1.0)  # of the budget, in which the player takes turns


class Turn(NamedTuple):
    """One player's update within a training step: the loss that the player minimises."""

    player: str
    loss: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]


class Model(nn.Module, ABC):
    """A trainable model; ``config`` holds the keyword arguments that build the same model again."""

    name: ClassVar[str]
    labels: ClassVar[Labelled] = "class"
    batch_size: ClassVar[int] = 128  # the default number of images (or rows) in a training step
    lr: float = 1e-3  # this, betas and weight_decay are the settings of the default player
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __init__(self, **config: Any):
        super().__init__()
        self.config = config

    @abstractmethod
    def loss(self, batch: Any, rng: torch.Generator, progress: float) -> Loss:
        """The loss of images in [-1, 1], a ``Batch`` or a ``PairBatch`` of two domains.

        ``rng`` draws all random numbers; ``progress`` is the share of the budget spent, in [0, 1].
        """

    def players(self) -> dict[str, Player]:
        """One player, ``model``, that owns all parameters."""
        return {"model": Player([*self.parameters()], self.lr, self.betas, self.weight_decay)}

    def turns(self, batch: Any, rng: torch.Generator, progress: float) -> Iterator[Turn]:
        """The updates of one training step: here a single one, which minimises ``loss``."""
        yield Turn("model", *self.loss(batch, rng, progress))

    def rows(self, data: Any) -> list[Row]:
        """The model's figures on test images (``ImageSet`` or ``DomainSet``); none by default."""
        return []

    def fitting(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """Return x, or raise an InputError if the model was made for images of another shape."""
        if (shape := tuple(x.shape[1:])) != tuple(self.config["image_shape"]):
            raise InputError(
                f"Images of shape {shape} do not fit a model made for shape "
                f"{self.config['image_shape']}: load them with that size, or build another model."
            )
        return x


class Game(Model):
    """A model whose players minimise losses of their own, such as a GAN.

    Subclasses define ``players``, each with its own parameters, and ``turns``, the updates of a
    training step in order. The loop updates a player before it asks for the next turn.
    """

    def loss(self, batch: Any, rng: torch.Generator, progress: float) -> Loss:
        """Raise a TypeError: a game has one loss for each player."""
        raise TypeError(f"A {self.name!r} has one loss for each player: use turns.")


class Reconstructs(ABC):
    """A model that maps images to codes and back."""

    @abstractmethod
    def encode(self, x: Images) -> Codes:
        """Images in [-1, 1] to codes: k units, or for latent diffusion a grid of them."""

    @abstractmethod
    def decode(self, z: Codes) -> Images:
        """Codes to images, about [-1, 1]."""

    def reconstruct(self, x: Images) -> Images:
        """y(x): decode the code of x."""
        return self.decode(self.encode(x))


class Samples(ABC):
    """A model that draws new images."""

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator | None = None) -> Images:
        """n new images in [-1, 1]."""


class Translates(ABC):
    """A model that translates images between two domains, A and B."""

    needs_pairs: ClassVar[bool] = False  # whether it is trained on true pairs

    @abstractmethod
    def translate(self, x: Images, to: Literal["A", "B"]) -> Images:
        """Images in [-1, 1] of the other domain, translated to domain A or B; about [-1, 1]."""


@torch.no_grad()
def in_batches(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "n *in_shape"], size: int = 500
) -> Float[Tensor, "n *out_shape"]:
    """function(x), computed for ``size`` rows at a time and without gradients, to bound memory."""
    return torch.cat([function(part) for part in x.split(size)])
