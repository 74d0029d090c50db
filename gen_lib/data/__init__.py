"""What is x? Images and toys, with no network needed for what the course uses."""

from gen_lib.data.images import Batch, ImageSet, Split, data_folder, load, to_float, to_uint8
from gen_lib.data.toys import TOYS, DensityToy, Toy, load_toy, modes

__all__ = [
    "TOYS",
    "Batch",
    "DensityToy",
    "ImageSet",
    "Split",
    "Toy",
    "data_folder",
    "load",
    "load_toy",
    "modes",
    "to_float",
    "to_uint8",
]
