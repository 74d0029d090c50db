"""Write the slides: ``python -m gen_course.build.slides [FOLDER]``, by ``make slides``.

Each executed chapter becomes one HTML file that needs no network: it contains reveal.js (from the
package pyreveal), formulas as SVG (drawn by ziamath) and the pictures. ``slide_types`` in
``notebooks.py`` decides where a slide starts. When the file is opened, ``deck/deck.js`` divides
slides that are too long.
"""

import argparse
import base64
import html
import io
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import nbformat
import ziamath
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from gen_course.build import places

DECKS = places.ROOT / "build" / "slides"
EM = 24  # pixels; formulas are drawn at this size and given in em
SIZE = re.compile(r' width="[\d.]+" height="[\d.]+"')
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{columns}
</div></div>
<script>{reveal}</script>
<script>{script}</script>
</body>
</html>
"""


class _Renderer(IPythonRenderer):
    """Render Markdown as JupyterLab does, with formulas as SVG and without links to notebooks."""

    def inline_math(self, body: str) -> str:
        return formula(body)

    def block_math(self, body: str) -> str:
        return f'<div class="formula">{formula(body, display=True)}</div>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, url, title) if url.startswith("http") else text


@cache
def formula(tex: str, display: bool = False) -> str:
    """LaTeX as an SVG that is aligned with the text around it."""
    drawn = ziamath.Latex(tex.strip(), size=EM, inline=not display)
    width, height = drawn.getsize()
    below = drawn.getyofst()
    svg = drawn.svg()
    style = f"width:{width / EM:.3f}em;height:{height / EM:.3f}em;vertical-align:{below / EM:.3f}em"
    label = html.escape(tex.strip(), quote=True)
    return f'<svg role="img" aria-label="{label}" style="{style}"' + SIZE.sub("", svg, count=1)[4:]


def deck(notebook: NotebookNode) -> str:
    """The whole HTML file of an executed chapter."""
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    reveal = files("pyreveal") / "revealjs" / "dist"
    style = [(reveal / "reveal.css").read_text(encoding="utf-8")]
    style += [HtmlFormatter().get_style_defs(".code"), _own("deck.css")]
    return PAGE.format(
        title=html.escape(title),
        style="\n".join(style),
        columns="\n".join(_columns(notebook.cells, title)),
        reveal=(reveal / "reveal.js").read_text(encoding="utf-8").replace("</script", "<\\/script"),
        script=_own("deck.js"),
    )


def without_folds(prose: str) -> str:
    """Markdown without its fold-outs: a deck asks a question, and the next slide answers it."""
    return re.sub(r"<details>.*?</details>", "", prose, flags=re.DOTALL)


def _columns(cells: list[NotebookNode], title: str) -> Iterator[str]:
    """One column of pages per section; every page but the first names the section."""
    pages: list[str] = []
    section = ""
    for cell in cells:
        kind = cell.metadata.slideshow.slide_type
        if kind == "slide":
            if pages:
                yield _column(pages)
            pages, section = [], cell.source.splitlines()[0].lstrip("# ")
        if kind == "skip" or not (blocks := "".join(_blocks(cell, section.startswith("Build")))):
            continue
        if kind == "-":
            pages[-1] += blocks
        else:
            where = html.escape(f"{title.partition(':')[0]} · {section}")
            pages.append(f'<div class="where">{where}</div>{blocks}')
    yield _column(pages)


def _column(pages: list[str]) -> str:
    return "".join(
        ["<section>", *(f'<section class="page">{page}</section>' for page in pages), "</section>"]
    )


def _blocks(cell: NotebookNode, with_code: bool) -> Iterator[str]:
    if cell.cell_type == "markdown":
        renderer = _Renderer(escape=False, exclude_anchor_links=True)
        yield MarkdownWithMath(renderer=renderer).render(without_folds(cell.source))
        return
    if with_code and "plots." not in cell.source:
        yield _lines("code", highlight(cell.source, PythonLexer(), HtmlFormatter(nowrap=True)))
    for kind, outputs in groupby(cell.outputs, key=_kind):
        if kind == "image/png":
            yield from (_picture(o.data["image/png"], o.metadata["image/png"]) for o in outputs)
        elif kind == "text/html":
            yield from (o.data["text/html"] for o in outputs)
        elif text := "".join(o.get("text", "") for o in outputs).strip("\n"):
            yield _lines("text", html.escape(text))


def _kind(output: NotebookNode) -> str:
    """Whether an output is a picture, a table, or text."""
    data = output.get("data", {})
    return next((kind for kind in ("image/png", "text/html") if kind in data), "text/plain")


def _lines(kind: str, text: str) -> str:
    lines = "".join(f'<span class="line">{line}</span>' for line in text.rstrip().split("\n"))
    return f'<pre class="{kind}">{lines}</pre>'


def _picture(png: str, metadata: NotebookNode) -> str:
    width, height = Image.open(io.BytesIO(base64.b64decode(png))).size
    shown = metadata.get("width", width)
    return (
        f'<img src="data:image/png;base64,{png.strip()}" alt="{html.escape(metadata["alt"])}" '
        f'data-width="{shown}" data-height="{round(shown * height / width)}">'
    )


def _own(name: str) -> str:
    return (Path(__file__).with_name("deck") / name).read_text(encoding="utf-8")


def main() -> None:
    """Write the deck of every chapter."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DECKS)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in places.chapters():
        notebook = nbformat.read(places.notebook(chapter), as_version=4)
        (folder / f"{chapter}.html").write_text(deck(notebook), encoding="utf-8")
    print(f"{len(places.chapters())} decks in {folder}")


if __name__ == "__main__":
    main()
