"""Folders of the reader's own pictures, as an image data set or as two domains."""

import warnings
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.domains import Caption, Domain, DomainSet, TwoDomains
from gen_lib.data.images import ImageSet, Split

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # Pillow starts a program for some others (EPS)
MOST_PIXELS = 50_000_000  # a picture with more is refused before it is decoded


def folder_set(folder: Path, size: int) -> ImageSet:
    """Load the pictures of a folder; its sub-folders, if it has any, are the classes.

    Every tenth picture goes to the test half.

    Raises:
        InputError: there are fewer than two pictures, or one cannot be read.
    """
    files = picture_files(folder)
    if len(files) < 2:
        raise InputError(
            f"The folder {folder} holds {len(files)} pictures ({', '.join(sorted(SUFFIXES))}), and "
            "a data set needs at least 2: put pictures into it or into one sub-folder per class."
        )
    names = [f.relative_to(folder).parts[0] if f.parent != folder else folder.name for f in files]
    classes = tuple(sorted(set(names)))
    images = torch.stack([read_picture(f, size) for f in files])
    labels = torch.tensor([classes.index(name) for name in names])
    held_out = torch.arange(len(files)) % 10 == 0
    train, test = (Split(images[mask], labels[mask]) for mask in (~held_out, held_out))
    return ImageSet(str(folder), train, test, classes)


def folder_domains(folder: Path, size: int, paired: bool) -> DomainSet:
    """Load the pictures in ``trainA``, ``trainB``, ``testA`` and ``testB``, as CycleGAN's data do.

    Pictures of A and B with the same file name are pairs. The test pictures count as pairs if all
    of them are; the training pictures, if ``paired`` asks for it.

    Raises:
        InputError: one of the four holds no pictures, or ``paired`` and the names differ.
    """
    places = ("trainA", "trainB", "testA", "testB")
    a, b, test_a, test_b = (_domain(folder / place, size) for place in places)
    if paired and a.captions != b.captions:
        raise InputError(
            f"The folders {folder}/trainA and trainB hold no pairs: the two pictures of a pair "
            "must have the same file name, and none may be left over."
        )
    test = TwoDomains(test_a, test_b, test_a.captions == test_b.captions)
    return DomainSet(str(folder), TwoDomains(a, b, paired), test, ("A", "B"))


def _domain(folder: Path, size: int) -> Domain:
    files = picture_files(folder)
    if not files:
        raise InputError(
            f"There are no pictures in {folder}: a folder of two domains holds some in each of "
            "trainA, trainB, testA and testB."
        )
    names = [str(file.relative_to(folder).with_suffix("")) for file in files]
    images = torch.stack([read_picture(file, size) for file in files])
    return Domain(images, tuple(Caption(name, name) for name in names))


def picture_files(folder: Path) -> list[Path]:
    """All picture files in a folder and its sub-folders, sorted."""
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())


def read_picture(file: Path, size: int) -> UInt8[Tensor, "3 size size"]:
    """Read a picture as RGB, cropped and scaled to a square; transparent pixels become white.

    Raises:
        InputError: the file holds no picture, or one with too many pixels.
    """
    from PIL import Image, ImageOps
    from torchvision.transforms.functional import pil_to_tensor

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about large pictures (checked below) and odd metadata
            with Image.open(file, formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
                upright = ImageOps.exif_transpose(picture).convert("RGBA")
                opaque = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
                return pil_to_tensor(ImageOps.fit(opaque.convert("RGB"), (size, size)))
    except Exception as error:  # Pillow raises many types of error for damaged files
        raise InputError(
            f"The picture {file} cannot be read ({error}): replace it or remove it."
        ) from error
