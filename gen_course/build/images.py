"""Write the pictures of an executed notebook in fewer bytes, with no visible difference.

A picture of at most 256 colours keeps every pixel. Any other picture gets the smallest palette that
looks the same; where no palette does, it stays in true colour, rounded to steps of 5.
"""

import io
from base64 import b64decode, b64encode
from collections.abc import Iterator

import numpy as np
from nbformat import NotebookNode
from PIL import Image

DENSITY = 2  # pixels of a picture, each way, for one pixel of the page on a dense screen
COLORS = (64, 128, 256)
METHODS = (Image.Quantize.MAXCOVERAGE, Image.Quantize.MEDIANCUT)
SQUARE = 8  # side in pixels of the areas whose mean colour is compared
SHIFT, WORST = 0.03, 40  # of 255: the most that areas may move on average, and any single pixel
STEP = 5  # divides 255, so black and white stay, and no value moves by more than 2
PACKINGS = (0, 1, 3)  # zlib's strategies: default, filtered, runs

Color = tuple[int, int, int]


def compact(notebook: NotebookNode) -> None:
    """Re-encode every PNG picture among the outputs in place; a second call changes nothing."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                width = output.metadata.get("image/png", {}).get("width")
                png = smaller(b64decode(output.data["image/png"]), width)
                output.data["image/png"] = b64encode(png).decode()


def smaller(png: bytes, width: int | None = None) -> bytes:
    """The picture in fewer bytes; unchanged if it is transparent or already small.

    Args:
        png: the picture's file.
        width: the width at which it is shown, in pixels of the page; None for its own width.
    """
    with Image.open(io.BytesIO(png)) as opened:
        dpi = opened.info.get("dpi")  # the size in print
        picture = opened.convert("RGBA")
    alphas: list[int] = [int(value) for value in np.unique(np.asarray(picture)[:, :, 3])]
    if alphas != [255]:
        return png
    picture = picture.convert("RGB")
    if width and (factor := picture.width // (DENSITY * width)) > 1:
        picture = picture.reduce(factor)  # by a whole factor, so that small pixels stay crisp
    if not picture.getcolors(max(COLORS)):
        picture = _simpler(picture)
    return min((png, *_files(picture, dpi)), key=len)


def without_note(png: str, rows: int) -> str:
    """The picture of a widget without the rows at its top that tell a reader to run the cell.

    Args:
        png: the picture's file in base64, as a notebook holds it.
        rows: the number of rows; 0 for a figure, which has no such line.
    """
    if rows == 0:
        return png
    kept = io.BytesIO()
    with Image.open(io.BytesIO(b64decode(png))) as picture:
        picture.crop((0, rows, *picture.size)).save(kept, "PNG", optimize=True)
    return b64encode(kept.getvalue()).decode()


def _simpler(picture: Image.Image) -> Image.Image:
    """The picture in the first palette that looks the same, else in rounded true colour."""
    pixels = np.asarray(picture, np.int16)
    if not (pixels % STEP).any():
        return picture  # it was rounded before
    for colors in COLORS:
        for method in METHODS:
            candidate = picture.quantize(colors, method, kmeans=1).convert("RGB")
            if _alike(pixels, np.asarray(candidate, np.int16)):
                return candidate
    return Image.fromarray((np.rint(pixels / STEP) * STEP).astype(np.uint8))


def _alike(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether no pixel moves far and no area shifts in colour; busy areas may shift more."""
    if np.abs(before - after).max() > WORST:
        return False
    old, new = _squares(before), _squares(after)
    shift = np.abs(old.mean(axis=1) - new.mean(axis=1)).max(axis=1)
    busy = np.ptp(old, axis=1).max(axis=1)
    return bool((shift / (1 + busy / 8)).mean() <= SHIFT)


def _squares(pixels: np.ndarray) -> np.ndarray:
    """The pixels of each square, (squares, pixels, 3); the border is repeated to fill the last."""
    height, width, _ = pixels.shape
    full = np.pad(pixels, ((0, -height % SQUARE), (0, -width % SQUARE), (0, 0)), mode="edge")
    rows = full.reshape(len(full) // SQUARE, SQUARE, -1, SQUARE, 3)
    return rows.swapaxes(1, 2).reshape(-1, SQUARE**2, 3)


def _files(picture: Image.Image, dpi: tuple[float, float] | None) -> Iterator[bytes]:
    """The same pixels as true colour and, if they are few, with a palette or in grey."""
    ways = [picture]
    if picture.getcolors(256):
        flat = np.unique(np.asarray(picture).reshape(-1, 3), axis=0)
        colors = [(int(red), int(green), int(blue)) for red, green, blue in flat]
        ways = [_indexed(picture, sorted(colors))]
        if all(red == green == blue for red, green, blue in colors):
            ways.append(picture.convert("L"))
    for way in ways:
        for packing in PACKINGS:
            buffer = io.BytesIO()
            way.save(buffer, "PNG", optimize=True, compress_type=packing, dpi=dpi)
            yield buffer.getvalue()


def _indexed(picture: Image.Image, colors: list[Color]) -> Image.Image:
    """The picture with a palette of exactly these colours, which are sorted."""
    place = 256 ** np.array([2, 1, 0])  # one number for each colour, in the same order
    indices = np.searchsorted(np.array(colors) @ place, np.asarray(picture) @ place)
    indexed = Image.fromarray(indices.astype(np.uint8))
    indexed.putpalette(bytes(np.array(colors, np.uint8)))
    return indexed
