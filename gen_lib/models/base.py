"""The interface that every model of the course implements.

A model with one set of weights writes ``loss``. A game between two players, such as a GAN, writes
``players`` and ``turns`` instead. The training loop uses nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen_lib import InputError
from gen_lib.metrics.images import Row


class Loss(NamedTuple):
    """A scalar loss to minimise, and named scalars to record."""

    value: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]


class Player(NamedTuple):
    """Parameters that one AdamW optimiser updates, and its settings.

    ``lr`` is the peak learning rate. Weight decay multiplies every weight by 1 - lr * weight_decay
    in each step (Loshchilov & Hutter 2017, arXiv:1711.05101).
    """

    parameters: list[nn.Parameter]
    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0


class Turn(NamedTuple):
    """One player's update within a training step: the loss that the player minimises."""

    player: str
    loss: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]


class Model(nn.Module, ABC):
    """A trainable model.

    ``config`` holds the keyword arguments that build the same model again. ``lr``, ``betas`` and
    ``weight_decay`` are the settings of the optimiser.
    """

    name: ClassVar[str]
    batch_size: ClassVar[int] = 128
    """The default number of images in a training step."""
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __init__(self, **config: Any):
        super().__init__()
        self.config = config

    @abstractmethod
    def loss(self, batch: Any, rng: torch.Generator, progress: float) -> Loss:
        """The loss of a batch.

        Args:
            batch: images in [-1, 1]: a ``Batch``, or a ``PairBatch`` of two domains.
            rng: source of all random numbers.
            progress: share of the training budget already spent, in [0, 1].
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
        """Return x if its images have the shape that the model was made for.

        Raises:
            InputError: the images have another shape.
        """
        if (shape := tuple(x.shape[1:])) != tuple(self.config["image_shape"]):
            raise InputError(
                f"Images of shape {shape} do not fit a model made for shape "
                f"{self.config['image_shape']}: load them with that size, or build another model."
            )
        return x


class Game(Model):
    """A model whose players minimise losses of their own, such as a GAN."""

    def loss(self, batch: Any, rng: torch.Generator, progress: float) -> Loss:
        """Not defined for a game, which has one loss for each player."""
        raise TypeError(f"A {self.name!r} has one loss for each player: use turns.")

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """The players by name, each with its own parameters."""

    @abstractmethod
    def turns(self, batch: Any, rng: torch.Generator, progress: float) -> Iterator[Turn]:
        """The updates of one training step, in order.

        The loop differentiates each loss with respect to that player's parameters and updates them
        before it asks for the next turn, so a later turn sees the new weights.
        """


class Reconstructs(ABC):
    """A model that maps images to codes and back."""

    @abstractmethod
    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n latent"]:
        """Images in [-1, 1] to codes."""

    @abstractmethod
    def decode(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n c h w"]:
        """Codes to images, about [-1, 1]."""

    def reconstruct(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """y(x): decode the code of x."""
        return self.decode(self.encode(x))


class Samples(ABC):
    """A model that draws new images."""

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n c h w"]:
        """n new images in [-1, 1]."""


class Translates(ABC):
    """A model that shows an image of one domain as it would look in the other."""

    needs_pairs: ClassVar[bool] = False
    """Whether it is trained on true pairs."""

    @abstractmethod
    def translate(
        self, x: Float[Tensor, "n c h w"], to: Literal["A", "B"]
    ) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1] of the other domain to the domain A or B, about [-1, 1]."""


@torch.no_grad()
def in_batches(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "n *in_shape"], size: int = 500
) -> Float[Tensor, "n *out_shape"]:
    """function(x), computed for ``size`` rows at a time and without gradients, to bound memory."""
    return torch.cat([function(part) for part in x.split(size)])


def positive(argument: str, value: int) -> int:
    """Return value if it is at least 1.

    Raises:
        InputError: it is smaller; the message names the argument.
    """
    if value < 1:
        raise InputError(f"{argument} is {value}: it must be a whole number of at least 1.")
    return value


def check_not_negative(**weights: float) -> None:
    """Check that settings are finite numbers of at least 0.

    Raises:
        InputError: one is not; the message names it.
    """
    for name, value in weights.items():
        if not 0 <= value < torch.inf:
            raise InputError(f"{name} is {value}: it must be 0 or a positive number.")
