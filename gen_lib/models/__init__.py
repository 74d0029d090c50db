"""What is minimised, and how does one sample? One file per chapter."""

from gen_lib.models.autoencoder import ConvAutoencoder, DeepAutoencoder, LinearAutoencoder
from gen_lib.models.base import Model
from gen_lib.models.judge import Judge

MODELS: dict[str, type[Model]] = {
    kind.name: kind for kind in (LinearAutoencoder, DeepAutoencoder, ConvAutoencoder, Judge)
}
"""Every model by the name that the command line and the checkpoints use."""
