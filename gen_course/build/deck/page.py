"""Draw slides as HTML: reveal.js, formulas as SVG and pictures, all in one file."""

import base64
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import ziamath
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from gen_course.build.deck import films
from gen_course.build.deck.chapter import Figure, Slide
from gen_course.build.deck.text import Block, paragraphs

EM = 24  # pixels; formulas are drawn at this size and given in em
LAB = "http://localhost:8888/lab/tree/notebooks/"
BADGES = ("extra", "predict")  # tags that a slide shows
LIGHT, DARK = "default", "github-dark"  # colours of code
SENTENCE = re.compile(r"(?:(?<=[.!?])|(?<=[.!?]\)))\s+(?=[A-Z*(])")
UNSPLIT = re.compile(r"^\s*(?:[|>#-]|\d+\.|```)|\$\$", re.MULTILINE)  # lists, tables, formulas
CHAPTER = re.compile(r"\b(the c|c|C)hapter 0([0-9])\b")
ARTICLE = {"the c": "the c", "c": "the c", "C": "The c"}
TOPICS = (  # of the chapters, for who does not see their numbers
    "learning a distribution",
    "autoencoders",
    "sparse, denoising and masked autoencoders",
    "the variational autoencoder",
    "GANs",
    "CycleGAN",
    "diffusion",
    "comparing families",
    "words to pictures",
    "one token after another",
)
POINTING = re.compile(
    r"\bcells?\b|\bopen (?:the )?(?:figure|table)|\bfold(?:ed|-out)", re.IGNORECASE
)  # not to be said
SIZE = re.compile(r' width="[\d.]+" height="[\d.]+"')
WHOLE = """<!DOCTYPE html>
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
<script>{scripts}</script>
</body>
</html>
"""


class Page(NamedTuple):
    """One page of a deck: a slide, or a title alone. It is drawn when the deck is written."""

    slide: Slide | None = None
    title: str = ""
    """Of a page without a slide, with what stands under it."""
    under: Sequence[str] = ()
    below: Slide | None = None
    """A slide whose body it repeats under its title."""
    notes: str = ""
    """What the speaker's notes begin with, in HTML."""
    prose: str = ""
    """What they go on with if there is no slide, in Markdown."""
    seconds: int = 0
    """How long it is shown; 0 if no plan says so."""
    live: bool = False
    """Whether it links its section in the lab."""

    @property
    def kind(self) -> str:
        """A class for its style."""
        if self.slide is None:
            return "" if self.below else "large"
        return " ".join(tag for tag in BADGES if tag in self.slide.text.tags)

    @property
    def body(self) -> str:
        """What it shows, in HTML."""
        if self.below:
            return f"<h2>{html.escape(self.title)}</h2>{_whole(self.below)}"
        if self.slide is None:
            under = "".join(f"<p>{html.escape(line)}</p>" for line in self.under)
            return f"<h1>{html.escape(self.title)}</h1>{under}"
        return _drawn(self.slide, self.kind, self.live)

    @property
    def said(self) -> str:
        """The speaker's notes, in HTML."""
        question, prose = "", self.prose
        if self.slide:
            question, prose = self.slide.text.question, self.slide.notes
        asked = f"**Ask:** {spoken(question)}" if question else ""
        return self.notes + told(asked) + told(spoken(unfolded(prose)))


class _Renderer(IPythonRenderer):
    """Render Markdown as JupyterLab does, with formulas as SVG and without links to notebooks."""

    def inline_math(self, body: str) -> str:
        return formula(body)

    def block_math(self, body: str) -> str:
        return f'<div class="formula">{formula(body, display=True)}</div>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, url, title) if url.startswith("http") else text


class _Teller(_Renderer):
    """The same for notes: with its formula's LaTeX as a text that is read and copied, not seen."""

    def inline_math(self, body: str) -> str:
        tex = html.escape(body.strip())
        return f'<span style="font-size:0">{tex}</span>{super().inline_math(body)}'

    def block_math(self, body: str) -> str:
        tex = html.escape(body.strip())
        return f'<span style="font-size:0">{tex}</span>{super().block_math(body)}'


@cache
def formula(tex: str, display: bool = False) -> str:
    """LaTeX as an SVG that is aligned with the text around it."""
    drawn = ziamath.Latex(tex.strip(), size=EM, inline=not display)
    width, height = drawn.getsize()
    below = drawn.getyofst()
    svg = SIZE.sub("", drawn.svg(), count=1).replace('"black"', '"currentColor"')
    style = f"width:{width / EM:.3f}em;height:{height / EM:.3f}em;vertical-align:{below / EM:.3f}em"
    label = html.escape(tex.strip(), quote=True)
    return f'<svg role="img" aria-label="{label}" style="{style}"' + svg[4:]


@cache
def markdown(text: str) -> str:
    """Markdown as HTML."""
    return MarkdownWithMath(renderer=_Renderer(escape=False, exclude_anchor_links=True)).render(
        text
    )


@cache
def told(text: str) -> str:
    """Markdown as the HTML of notes."""
    renderer = _Teller(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(text)


def spoken(prose: str) -> str:
    """Prose without the sentences that point to a cell or a place of the page.

    >>> spoken("It learns. The next cell trains it. Is it as in chapter 04?")
    'It learns. Is it as in the chapter on GANs?'
    """
    prose = CHAPTER.sub(
        lambda found: f"{ARTICLE[found[1]]}hapter on {TOPICS[int(found[2])]}", prose
    )
    return "\n\n".join(
        part if UNSPLIT.search(part) else _said(part) for part in prose.split("\n\n")
    )


def _said(paragraph: str) -> str:
    sentences = SENTENCE.split(paragraph)
    return " ".join(one for one in sentences if not POINTING.search(" ".join(one.split())))


def inline(text: str) -> str:
    """Markdown of a single line as HTML without a paragraph."""
    return re.sub(r"\A<p>|</p>\s*\Z", "", markdown(text).strip())


def document(title: str, columns: Iterable[Sequence[Page]], timed: bool = False) -> str:
    """The whole HTML file of a deck.

    Args:
        title: shown by the browser.
        columns: the pages of each section.
        timed: whether the pages say how long they are shown.
    """
    reveal = files("pyreveal") / "revealjs" / "dist"
    parts = [reveal / "reveal.js", reveal / "plugin" / "notes.js"]
    scripts = [part.read_text(encoding="utf-8").replace("</script", "<\\/script") for part in parts]
    style = [(reveal / "reveal.css").read_text(encoding="utf-8"), _own("deck.css")]
    style += [HtmlFormatter(style=LIGHT).get_style_defs("pre.code")]
    style += [HtmlFormatter(style=DARK).get_style_defs(":root.dark pre.code")]
    return WHOLE.format(
        title=html.escape(title),
        style="\n".join(style),
        columns="\n".join(
            f"<section>{''.join(map(_section, pages))}</section>" for pages in columns
        ),
        scripts="\n".join([*scripts, f"const TIMED = {str(timed).lower()};", _own("deck.js")]),
    )


def _section(page: Page) -> str:
    timing = f' data-timing="{page.seconds}"' if page.seconds else ""
    kinds = f"page {page.kind}".strip()
    notes = f'<aside class="notes">{said}</aside>' if (said := page.said) else ""
    return f'<section{timing}><div class="{kinds}">{page.body}</div>{notes}</section>\n'


def unfolded(prose: str) -> str:
    """Markdown with its fold-outs opened."""
    prose = re.sub(r"<summary>(.*?)</summary>", r"\n\n**\1**\n\n", prose, flags=re.DOTALL)
    return re.sub(r"</?details[^>]*>", "", prose)


def _drawn(slide: Slide, badges: str, live: bool) -> str:
    foot = "".join(f'<span class="badge">{badge}</span>' for badge in badges.split())
    if live:
        address = f"{LAB}{slide.chapter}.ipynb#{quote(slide.section.replace(' ', '-'))}"
        foot += f'<a class="live" href="{html.escape(address)}" target="_blank">▶ run it live</a>'
    return f'<h2>{inline(slide.text.title)}</h2>{_whole(slide)}<div class="foot">{foot}</div>'


def _whole(slide: Slide) -> str:
    """The body of a slide."""
    kinds = " ".join(["body", *_kinds(slide)])
    return f'<div class="{kinds}">{"".join(_body(slide))}</div>'


def _kinds(slide: Slide) -> Iterator[str]:
    """Classes of a body: what it consists of decides how large its letters are."""
    kinds = {block.kind for block in slide.text.blocks}
    text = [block.value for block in slide.text.blocks if block.kind == "text"]
    if kinds == {"text"} and not any(re.match(r"\s*\|", value) for value in text):
        yield "words"
    if "steps" in slide.text.tags:
        yield "steps"


def _body(slide: Slide) -> Iterator[str]:
    steps, blocks = "steps" in slide.text.tags, list(slide.text.blocks)
    first = True
    while blocks:
        block = blocks.pop(0)
        drawn = _block(slide, block, steps)
        if steps and block.kind == "formula":
            if blocks and blocks[0].kind == "text":
                drawn += f'<div class="reason">{markdown(blocks.pop(0).value)}</div>'
            drawn = f'<div class="row">{drawn}</div>'
        if steps and not first:
            drawn = re.sub(r'^<(\w+) class="', r'<\1 class="fragment ', drawn)
        first = False
        yield drawn


def _block(slide: Slide, block: Block, steps: bool) -> str:
    if block.kind == "formula":
        return f'<div class="formula">{formula(block.value, display=True)}</div>'
    if block.kind == "figure":
        return _picture(slide.figures[int(block.value) - 1])
    if block.kind == "table":
        return f'<div class="table">{slide.tables[int(block.value) - 1]}</div>'
    if block.kind == "film":
        return _film(slide.chapter, block.value)
    if block.kind == "code":
        return _code(block.value, steps)
    text = markdown(block.value)
    if steps:  # the items of a list one after the other
        text = re.sub(r"(?<!<ul>\n)(?<!<ol>\n)<li>", '<li class="fragment">', text)
    return f'<div class="text">{text}</div>'


def _picture(figure: Figure) -> str:
    source = f"data:image/png;base64,{figure.png}"
    return _framed(
        f'<img src="{source}" alt="{html.escape(figure.alt)}">', figure.width, figure.height
    )


def _film(chapter: str, name: str) -> str:
    film = films.film(chapter, name)
    moving, still = (base64.b64encode(data).decode() for data in (film.webp, film.png))
    alt = html.escape(film.alt)
    return _framed(
        f'<img class="moving" src="data:image/webp;base64,{moving}" alt="{alt}">'
        f'<img class="still" src="data:image/png;base64,{still}" alt="{alt}">',
        film.width,
        film.height,
    )


def _framed(images: str, width: int, height: int) -> str:
    """Pictures of one size that grow as large as the page allows, but not beyond 2.2 times."""
    size = f"--width:{width};--ratio:{width / height:.4f}"
    return f'<div class="figure"><div class="card" style="{size}">{images}</div></div>'


def _code(code: str, steps: bool) -> str:
    """Highlighted lines; with steps, what blank lines separate is highlighted by turns."""
    coloured = highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")
    parts = paragraphs(coloured) if steps else [coloured]
    spans = [
        f'<span class="{"step fragment turn" if k else "step"}">{part}</span>'
        for k, part in enumerate(parts)
    ]
    whole = '<span class="gap"></span>'.join(spans)
    return f'<pre class="code{" by-steps" if len(parts) > 1 else ""}">{whole}</pre>'


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
