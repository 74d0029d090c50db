"""Write the picture in the README: ``python -m gen_course.build.pictures``, by ``make notebooks``.

The picture is an output of an executed chapter, made smaller, with the chapter's alternative text.
Its file goes to ``gen_course/build/readme/``; the README shows it between the markers ``pictures``.
"""

import base64
import io
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from PIL import Image

from gen_course.build import places
from gen_course.build.lecture_map import link, section
from gen_course.build.places import README
from gen_course.build.results import between

FOLDER = places.COURSE / "build" / "readme"
WIDTH, COLORS = 720, 96


class Shown(NamedTuple):
    """A picture that a section shows."""

    name: str
    chapter: str
    heading: str
    number: int
    """Index among the pictures of the section."""
    caption: str


PICTURES = (
    Shown("latent-map", "01_autoencoders", "The encoder's four roles", -1, "A map of codes"),
)


def output(picture: Shown) -> NotebookNode:
    """The output of the executed chapter that holds the picture."""
    notebook = nbformat.read(places.notebook(picture.chapter), as_version=4)
    cells = section(notebook.cells, picture.heading)
    outputs = [o for cell in cells if cell.cell_type == "code" for o in cell.outputs]
    return [o for o in outputs if "image/png" in o.get("data", {})][picture.number]


def small(png: str) -> bytes:
    """The same picture as a smaller file: narrow, and with few colours."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    height = round(image.height * WIDTH / image.width)
    narrow = image.resize((WIDTH, height), Image.Resampling.LANCZOS)
    kept = io.BytesIO()
    narrow.quantize(COLORS).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def render() -> str:
    """The pictures, each with alternative text, caption and link."""
    return "\n\n" + "".join(f"{_image(one)}\n\n{_words(one)}\n\n" for one in PICTURES)


def _image(picture: Shown) -> str:
    alt = output(picture).metadata["image/png"]["alt"]
    file = (FOLDER / f"{picture.name}.png").relative_to(places.ROOT).as_posix()
    return f"![{' '.join(alt.split())}]({file})"


def _words(picture: Shown) -> str:
    where = link(picture.chapter, picture.heading).replace("](", "](notebooks/")
    return f"{picture.caption} ({where})"


def main() -> None:
    """Write the files, and show them in the README."""
    FOLDER.mkdir(exist_ok=True)
    for picture in PICTURES:
        (FOLDER / f"{picture.name}.png").write_bytes(small(output(picture).data["image/png"]))
    text = between(README.read_text(encoding="utf-8"), render(), "pictures")
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
