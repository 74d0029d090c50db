"""The contract between a model and everything that trains, keeps, measures or shows it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen_lib import InputError
from gen_lib.data import Batch


class Player(NamedTuple):
    """Parameters that one optimiser (Adam) moves, its peak learning rate and its betas.

    With ``weight_decay`` each step also shrinks every weight by the share lr * weight_decay of it
    (AdamW: Loshchilov & Hutter 2017, arXiv:1711.05101).
    """

    parameters: list[nn.Parameter]
    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0


class Turn(NamedTuple):
    """One player's move: the scalar loss it descends, and named figures worth recording."""

    player: str
    loss: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, ""]]


class Model(nn.Module, ABC):
    """A trainable model.

    ``config`` holds the keyword arguments that build the same model again. ``fraction`` is the
    share of the training budget spent, in [0, 1]; the training loop sets it before each step, for
    what a model changes in the course of its training.
    """

    name: ClassVar[str]
    batch_size: ClassVar[int] = 128
    """What suits the model, unless the command line says otherwise."""

    def __init__(self, **config: Any):
        super().__init__()
        self.config = config
        self.fraction = 0.0

    def fitting(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """x, if its images have the shape that the model was made for.

        Raises:
            InputError: they do not.
        """
        if (shape := tuple(x.shape[1:])) != tuple(self.config["image_shape"]):
            raise InputError(
                f"Images of shape {shape} do not fit a model made for shape "
                f"{self.config['image_shape']}: load them with that size, or build another model."
            )
        return x

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """Who moves which weights: ``{"model": ...}``, or one entry per network of a game."""

    @abstractmethod
    def turns(self, batch: Batch, generator: torch.Generator) -> Iterator[Turn]:
        """The moves of one training step, in order.

        The training loop differentiates each loss for its player's parameters alone and steps them
        before it asks for the next turn, so a later turn sees the earlier ones' new weights.
        """


class Reconstructs(ABC):
    """A model that maps images to codes and back."""

    @abstractmethod
    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n latent"]:
        """Images in [-1, 1] to their codes."""

    @abstractmethod
    def decode(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n c h w"]:
        """Codes to images, about [-1, 1]."""

    def reconstruct(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """y(x): decode what was encoded."""
        return self.decode(self.encode(x))


class Samples(ABC):
    """A model that draws new images."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n c h w"]:
        """n new images in [-1, 1]."""


class Translates(ABC):
    """A model that shows an image of one domain as it would look in the other."""

    needs_pairs: ClassVar[bool] = False
    """Whether it learns from true pairs, which unpaired training does without."""

    @abstractmethod
    def translate(
        self, x: Float[Tensor, "n c h w"], to: Literal["A", "B"]
    ) -> Float[Tensor, "n c h w"]:
        """Images in [-1, 1] of the other domain to the domain A or B, about [-1, 1]."""


class Classifies(ABC):
    """A model that names what it sees."""

    @abstractmethod
    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n features"]:
        """The activations before the last layer."""

    @abstractmethod
    def logits(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Unnormalised log-probabilities of the classes."""


@torch.no_grad()
def in_batches(
    function: Callable[[Tensor], Tensor], x: Float[Tensor, "n *in_shape"], size: int = 500
) -> Float[Tensor, "n *out_shape"]:
    """function(x) computed for ``size`` rows at a time, without gradients, to bound the memory."""
    return torch.cat([function(part) for part in x.split(size)])


def positive(argument: str, value: int) -> int:
    """value, if it is at least 1.

    Raises:
        InputError: it is not; the message names the argument.
    """
    if value < 1:
        raise InputError(f"{argument} is {value}: it must be a whole number of at least 1.")
    return value
