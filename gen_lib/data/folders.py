"""Folders of the reader's own pictures, as an image data set or as two domains.

Hidden files, and files that systems and programs leave beside pictures, are ignored; links are
followed. The format of a picture is read from its content. Names are compared in Unicode's
composed form (NFC), because macOS may store them decomposed.
"""

import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.domains import Caption, Domain, DomainSet, TwoDomains
from gen_lib.data.images import ImageSet, Split

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "PPM")  # EPS would start a program
ENDINGS = {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
"""A file with one of these endings must be a picture; another file is one if its content is."""
LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"}
MOST_PIXELS = 50_000_000  # a picture with more is refused before it is decoded
HALVES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
HALVES |= dict.fromkeys(("val", "valid", "validation"), "validation")
PLACES = ("trainA", "trainB", "testA", "testB")


class Pictures(NamedTuple):
    """The pictures of a folder, sorted, and the other visible files."""

    files: list[Path]
    others: list[Path]


def folder_set(folder: Path, size: int) -> ImageSet:
    """Load the pictures of a folder; its sub-folders, if it has any, are the classes.

    A tenth of the pictures goes to the test half, chosen by their names (see ``held_out``). If the
    sub-folders are ``train`` and ``test`` (or ``val``), they are the halves, and their sub-folders
    the classes.

    Raises:
        InputError: there are fewer than two pictures, one cannot be read, or ``test`` holds classes
            that ``train`` does not.
    """
    folder = folder.resolve()
    pictures, others = picture_files(folder)
    if len(pictures) < 2:
        raise InputError(
            f"The folder {folder} holds {len(pictures)} pictures{_without(others)}, and a data set "
            "needs at least 2: put PNG or JPEG files into it or into one sub-folder per class."
        )
    paths = [PurePosixPath(_name(file, folder)) for file in pictures]
    half = _halves(paths)
    depth = 1 if half else 0  # of the folders that are classes
    labels = [p.parts[depth] if len(p.parts) > depth + 1 else folder.name for p in paths]
    if half:
        is_test = torch.tensor([half[p.parts[0]] == "test" for p in paths])
        used = torch.tensor([half[p.parts[0]] != "" for p in paths])
    else:
        is_test, used = held_out([str(p) for p in paths]), torch.ones(len(paths), dtype=torch.bool)
    train, test = ((used & mask).nonzero()[:, 0].tolist() for mask in (~is_test, is_test))
    counts = Counter(labels[i] for i in train + test)
    classes = tuple(sorted(counts))
    if half and (strange := sorted({labels[i] for i in test} - {labels[i] for i in train})):
        raise InputError(
            f"The test pictures in {folder} are of classes that no training picture has "
            f"({', '.join(strange)}): give both halves the same sub-folders."
        )
    first, second = (
        Split(
            _read([pictures[i] for i in part], size),
            torch.tensor([classes.index(labels[i]) for i in part], dtype=torch.long),
        )
        for part in (train, test)
    )
    unused = others + [pictures[i] for i in (~used).nonzero()[:, 0].tolist()]
    found = _sentence(folder, counts, len(first), len(second), unused)
    return ImageSet(str(folder), first, second, classes, found)


def held_out(names: Sequence[str]) -> Bool[Tensor, "n"]:
    """Which pictures are kept for testing: those whose name has a hash in the lowest tenth.

    Since each name decides for itself, a picture stays where it is when others are added. At least
    one picture is kept, and at least one is not.
    """
    hashes = (sha256(name.encode(errors="surrogateescape")).digest()[:6] for name in names)
    place = torch.tensor([int.from_bytes(h) / 256**6 for h in hashes], dtype=torch.float64)
    kept = place < 0.1
    kept[place.argmin()] = True
    kept[place.argmax()] = False
    return kept


def folder_domains(folder: Path, size: int, paired: bool) -> DomainSet:
    """Load the pictures in ``trainA``, ``trainB``, ``testA`` and ``testB``, as CycleGAN's data do.

    Pictures of A and B with the same file name are pairs. The test pictures count as pairs if all
    of them are; the training pictures, if ``paired`` asks for it.

    Raises:
        InputError: one of the four holds no pictures, or ``paired`` and the names differ.
    """
    folder = folder.resolve()
    a, b, test_a, test_b = domains = [domain(folder / place, size) for place in PLACES]
    if paired and a.names != b.names:
        raise InputError(
            f"The folders {folder}/trainA and trainB hold no pairs: the two pictures of a pair "
            "must have the same file name, and none may be left over."
        )
    test = TwoDomains(test_a, test_b, test_a.names == test_b.names)
    counts = ", ".join(f"{name} {len(d)}" for name, d in zip(PLACES, domains, strict=True))
    found = f"{folder}: two domains ({counts} pictures)."
    return DomainSet(str(folder), TwoDomains(a, b, paired), test, ("A", "B"), found)


def to_translate(
    place: Path, size: int, side: Literal["A", "B"], half: Literal["train", "test"]
) -> tuple[Domain, Domain | None]:
    """The pictures of one side to translate, and their true partners if all of them have one.

    ``place`` is a picture, a folder of pictures, or a folder with a sub-folder such as ``testA``.

    Raises:
        InputError: there are no pictures, or one cannot be read.
    """
    if not any((place / name).is_dir() for name in PLACES):
        return domain(place, size), None
    other = place / f"{half}{'B' if side == 'A' else 'A'}"
    source = domain(place / f"{half}{side}", size)
    target = domain(other, size) if other.is_dir() and picture_files(other).files else None
    return source, target if target and target.names == source.names else None


def domain(place: Path, size: int) -> Domain:
    """The pictures of a folder, or a single picture, as one domain.

    Raises:
        InputError: there are no pictures, or one cannot be read.
    """
    files, folder = ([place], place.parent) if place.is_file() else (picture_files(place)[0], place)
    if not files:
        raise InputError(
            f"There are no pictures in {place}: a folder of two domains holds some in each of "
            "trainA, trainB, testA and testB."
        )
    names = [str(PurePosixPath(_name(file, folder)).with_suffix("")) for file in files]
    return Domain(_read(files, size), tuple(Caption(name, name) for name in names))


def picture_files(folder: Path) -> Pictures:
    """The visible files in a folder and its sub-folders: pictures, and others."""
    pictures: list[Path] = []
    others: list[Path] = []
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # by another link, or a link to a parent
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _hidden(Path(place, name)))
        for file in (Path(place, name) for name in sorted(files)):
            if not _hidden(file):
                (pictures if _is_picture(file) else others).append(file)
    return Pictures(sorted(pictures), sorted(others))


def _hidden(path: Path) -> bool:
    """Whether a file browser would not show the file, or a system or program left it behind."""
    if path.name.startswith(".") or path.name.casefold() in LEFT_BEHIND:
        return True
    try:
        attributes = getattr(path.stat(), "st_file_attributes", 0)  # Windows alone has them
    except OSError:  # such as a link that leads nowhere: not hidden, and no picture either
        return False
    return bool(attributes & (2 | 4))  # hidden, system


def _is_picture(file: Path) -> bool:
    if not file.is_file():
        return False
    if file.suffix.lower() in ENDINGS:
        return True
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=_formats()):
            return True
    except Exception:  # Pillow raises many types of error for files that are no pictures
        return False


def _formats() -> list[str]:
    """The formats of ``FORMATS`` that this Pillow knows."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _name(file: Path, folder: Path) -> str:
    return unicodedata.normalize("NFC", file.relative_to(folder).as_posix())


def _halves(paths: Sequence[PurePosixPath]) -> dict[str, str]:
    """Sub-folder -> "train", "test" or "" (not used); empty if they are no halves of a data set."""
    half = {p.parts[0]: HALVES.get(p.parts[0].casefold(), "") for p in paths}
    kinds = set(half.values())
    if (
        any(len(p.parts) == 1 for p in paths)
        or "" in kinds
        or len(kinds) < 2
        or "train" not in kinds
    ):
        return {}
    deep = {half[p.parts[0]] for p in paths if len(p.parts) > 2}  # those with classes
    usable = [k for k in ("test", "validation") if k in kinds and (k in deep) == ("train" in deep)]
    if not usable:  # Kaggle's test pictures have no classes
        return {}
    return {name: {"train": "train", usable[0]: "test"}.get(k, "") for name, k in half.items()}


def _read(files: Sequence[Path], size: int) -> UInt8[Tensor, "n 3 size size"]:
    from tqdm.auto import tqdm

    bar = tqdm(files, desc="reading pictures", leave=False, disable=len(files) < 1_000)
    return torch.stack([read_picture(file, size) for file in bar])


def _sentence(folder: Path, counts: Counter[str], train: int, test: int, unused: list[Path]) -> str:
    """What was found in a folder, and what is not used."""
    names = [f"{name} {n}" for name, n in sorted(counts.items())]
    classes = ", ".join(names[:10] + ["..."] * (len(names) > 10))
    return (
        f"{folder}: {train + test} pictures{_without(unused)}, {train} to train on and {test} to "
        f"test. {len(names)} {'class' if len(names) == 1 else 'classes'}: {classes}."
    )


def _without(files: Sequence[Path]) -> str:
    """ " (not used: 5 files, .heic 3, .txt 2)", or nothing."""
    if not files:
        return ""
    endings = Counter(file.suffix.lower() or "without ending" for file in files)
    kinds = ", ".join(f"{ending} {n}" for ending, n in sorted(endings.items()))
    return f" (not used: {len(files)} other files, {kinds})"


def read_picture(file: Path, size: int) -> UInt8[Tensor, "3 size size"]:
    """Read a picture as RGB, cropped and scaled to a square; transparent pixels become white.

    Grey values of 16 bits are scaled to 8, and so are floats, which must be in [0, 1].

    Raises:
        InputError: the file holds no picture, one with too many pixels, or other floats.
    """
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # large pictures (see below), odd metadata
            Image.open(file, formats=_formats()) as picture,
        ):
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
            upright = _eight_bits(ImageOps.exif_transpose(picture)).convert("RGBA")
            opaque = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
            square = ImageOps.fit(opaque.convert("RGB"), (size, size))
            return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()
    except Exception as error:  # Pillow raises many types of error for damaged files
        raise InputError(
            f"The picture {file} cannot be read ({error}): replace it or remove it."
        ) from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of grey values of 16 bits, or floats, as 8 bits; all others as they are."""
    if picture.mode != "F" and not picture.mode.startswith("I"):
        return picture
    values, most = np.asarray(picture).astype(np.float64), 1.0 if picture.mode == "F" else 65_535.0
    if not (values.min() >= 0 and values.max() <= most):  # so is NaN refused
        raise ValueError(f"its grey values are not all in 0 ... {most:g}")
    return Image.fromarray((values * 255 / most).round().astype(np.uint8))
