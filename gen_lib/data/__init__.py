"""Data sets: images, two domains to translate between, and toy distributions in the plane."""

from gen_lib.data.domains import (
    DOMAIN_SETS,
    Domain,
    DomainSet,
    PairBatch,
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
    "PairBatch",
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
