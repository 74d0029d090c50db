"""The models: one file for each family, with its loss and the way to sample from it."""

from gen_lib.models.attribute_judge import AttributeJudge
from gen_lib.models.autoencoder import (
    ConvAutoencoder,
    DeepAutoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    SparseAutoencoder,
)
from gen_lib.models.base import Model
from gen_lib.models.cyclegan import CycleGAN
from gen_lib.models.diffusion import Diffusion
from gen_lib.models.gan import GAN
from gen_lib.models.judge import Judge
from gen_lib.models.latent_diffusion import LatentDiffusion
from gen_lib.models.masked import MaskedAutoencoder
from gen_lib.models.supervised_translator import SupervisedTranslator
from gen_lib.models.text_to_image import TextToImage
from gen_lib.models.transformer import GPT
from gen_lib.models.vae import BernoulliVAE, GaussianVAE

KINDS = (
    LinearAutoencoder,
    DeepAutoencoder,
    ConvAutoencoder,
    SparseAutoencoder,
    DenoisingAutoencoder,
    MaskedAutoencoder,
    BernoulliVAE,
    GaussianVAE,
    CycleGAN,
    SupervisedTranslator,
    GAN,
    Diffusion,
    LatentDiffusion,
    TextToImage,
    GPT,
    Judge,
    AttributeJudge,
)
MODELS: dict[str, type[Model]] = {kind.name: kind for kind in KINDS}
"""Every model by its name on the command line and in checkpoints."""
