"""Smaller pictures for an executed notebook, with no difference to the eye.

A picture of at most 256 colours keeps every pixel. Any other takes the first palette that cannot be
told from it: few colours before many. Where none will do, it stays in true colour, rounded.
"""

import io
from base64 import b64decode, b64encode
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int16
from nbformat import NotebookNode
from PIL import Image

DENSITY = 2  # pixels of a picture, each way, for one of the page: what a dense screen shows
COLORS = (64, 128, 256)
METHODS = (Image.Quantize.MAXCOVERAGE, Image.Quantize.MEDIANCUT)  # few outliers; smooth areas
SQUARE = 8  # pixels: areas of this size show a tint or a band
SHIFT, WORST = 0.03, 40  # of 255: how far a palette may move an area on average, and any pixel
STEP = 5  # of true colour; it divides 255, so black and white stay, and no value moves by more than 2
PACKINGS = (0, 1, 3)  # zlib's strategies: by default, for filtered data, for runs

Pixels = Int16[np.ndarray, "height width 3"]
Squares = Int16[np.ndarray, "squares pixels 3"]


def compact(notebook: NotebookNode) -> None:
    """Write every PNG picture among the outputs anew, in place; a second call changes nothing."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                width = output.metadata.get("image/png", {}).get("width")
                png = smaller(b64decode(output.data["image/png"]), width)
                output.data["image/png"] = b64encode(png).decode()


def smaller(png: bytes, width: int | None = None) -> bytes:
    """The picture in fewer bytes, or as it is: where it is transparent or already small.

    Args:
        png: the picture's file.
        width: at which it is shown, in pixels of the page; None shows it pixel by pixel.
    """
    with Image.open(io.BytesIO(png)) as opened:
        dpi = opened.info.get("dpi")  # the size in print
        picture = opened.convert("RGBA")
    if picture.getchannel("A").getextrema()[0] < 255:
        return png
    picture = picture.convert("RGB")
    if width and (factor := picture.width // (DENSITY * width)) > 1:
        picture = picture.reduce(factor)  # by a whole factor, so that small pixels stay crisp
    if not picture.getcolors(max(COLORS)):
        picture = _simpler(picture)
    return min((png, *_files(picture, dpi)), key=len)


def _simpler(picture: Image.Image) -> Image.Image:
    """The picture in the first palette that looks the same, else in rounded true colour."""
    pixels = np.asarray(picture, np.int16)
    if not (pixels % STEP).any():
        return picture  # was rounded before
    for colors in COLORS:
        for method in METHODS:
            candidate = picture.quantize(colors, method, kmeans=1).convert("RGB")
            if _alike(pixels, np.asarray(candidate, np.int16)):
                return candidate
    return Image.fromarray((np.rint(pixels / STEP) * STEP).astype(np.uint8))


def _alike(before: Pixels, after: Pixels) -> bool:
    """Whether no pixel moves far, and no area either: less so, the busier the area is."""
    if np.abs(before - after).max() > WORST:
        return False
    old, new = _squares(before), _squares(after)
    shift = np.abs(old.mean(axis=1) - new.mean(axis=1)).max(axis=1)
    busy = np.ptp(old, axis=1).max(axis=1)
    return bool((shift / (1 + busy / 8)).mean() <= SHIFT)


def _squares(pixels: Pixels) -> Squares:
    """The pixels of each square; at the right and below, the last ones are repeated to fill it."""
    height, width, _ = pixels.shape
    full = np.pad(pixels, ((0, -height % SQUARE), (0, -width % SQUARE), (0, 0)), mode="edge")
    rows = full.reshape(len(full) // SQUARE, SQUARE, -1, SQUARE, 3)
    return rows.swapaxes(1, 2).reshape(-1, SQUARE**2, 3)


def _files(picture: Image.Image, dpi: tuple[float, float] | None) -> Iterator[bytes]:
    """The same pixels in the ways that PNG knows: true colour; if they are few, a palette; grey."""
    ways = [picture]
    if found := picture.getcolors(256):
        colors = sorted(color for _, color in found)
        ways = [_indexed(picture, colors)]
        if all(red == green == blue for red, green, blue in colors):
            ways.append(picture.convert("L"))
    for way in ways:
        for packing in PACKINGS:
            buffer = io.BytesIO()
            way.save(buffer, "PNG", optimize=True, compress_type=packing, dpi=dpi)
            yield buffer.getvalue()


def _indexed(picture: Image.Image, colors: list[tuple[int, int, int]]) -> Image.Image:
    """The picture with a palette of exactly these colours, which are sorted."""
    place = 256 ** np.array([2, 1, 0])  # one number for each colour, in the same order
    indices = np.searchsorted(np.array(colors) @ place, np.asarray(picture) @ place)
    indexed = Image.fromarray(indices.astype(np.uint8))
    indexed.putpalette(bytes(np.array(colors, np.uint8)))
    return indexed
