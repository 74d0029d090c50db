"""What is x? Images, pairs of domains and toys, with no network needed for what the course uses."""

from gen_lib.data.domains import (
    DOMAIN_SETS,
    Domain,
    DomainSet,
    TwoDomains,
    load_domains,
    load_pairs,
)
from gen_lib.data.images import Batch, ImageSet, Split, data_folder, load, to_float, to_uint8
from gen_lib.data.toys import TOYS, DensityToy, Toy, load_toy, modes

__all__ = [
    "DOMAIN_SETS",
    "TOYS",
    "Batch",
    "DensityToy",
    "Domain",
    "DomainSet",
    "ImageSet",
    "Split",
    "Toy",
    "TwoDomains",
    "data_folder",
    "load",
    "load_domains",
    "load_pairs",
    "load_toy",
    "modes",
    "to_float",
    "to_uint8",
]
