"""A chapter with every kind of slide, for tests: its master text, its films and its notebook."""

import base64
import io

import jupytext
import nbformat
from PIL import Image

from gen_course.build import places
from gen_course.build.deck import chapter, films

NAME = "09_demo"
ALT = "A blue rectangle, which stands for any figure that a chapter may draw."
MASTER = """# %% [markdown]
# # 09 · A demo: what can a slide show?
#
# **Question.** All of it?

# %% tags=["setup"]
import math

# %% [markdown]
# ## One
#
# The prose of the heading, with $x^2$.

# %% [markdown] tags=["slide", "hour"]
# A figure says that $x^2$ is blue
#
# {figure}
#
# ? Why is it
# blue?

# %%
draw()
draw()

# %% [markdown]
# Prose after the figure.
#
# <details><summary>More</summary>
#
# Prose inside.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# How many lines does the loss need?

# %% [markdown] tags=["slide", "steps"]
# The loss needs three lines
#
# ```python
# a = 1
# b = {"a": a}
#
# loss = a + b["a"]
# ```

# %%
a = 1
for _ in range(3):
    b = {"a": a}
loss = a + b["a"]

# %% [markdown] tags=["slide", "steps"]
# A bound needs Jensen
#
# $$\\log \\mathbb{E}[x]$$
#
# what we want
#
# $$\\ge \\mathbb{E}[\\log x]$$
#
# Jensen: the **log** is concave

# %% [markdown] tags=["slide", "steps", "extra"]
# Three things are listed
#
# - one
# - two
# - three

# %% [markdown]
# Prose of two slides.

# %% [markdown]
# ## Two

# %% [markdown] tags=["slide"]
# A toy moves to the right
#
# {film toy}

# %% [markdown] tags=["slide"]
# A table has two rows
#
# {table}

# %%
results

# %% [markdown] tags=["slide"]
# A table may be written
#
# | a | b |
# |---|---|
# | 1 | $\\beta$ |

# %% [markdown]
# ## Three

# %%
draw()

# %% [markdown]
# ## Four
#
# Neither a slide nor a figure.

# %% [markdown]
# ## Quiz

# %%
draw()
"""
FILMS = '''"""Films."""

import numpy as np

from gen_course.common.film import Film


def toy() -> Film:
    """A square moves."""
    frames = []
    for k in range(4):
        frame = np.full((200, 400, 3), 255, np.uint8)
        frame[50:150, 100 * k : 100 * k + 90] = (0, 99, 160)
        frames.append(frame)
    return Film(frames, 0.1, "A blue square moves from left to right.")


def helper(width: int) -> None:
    """Not a film."""
'''


def write(folder, monkeypatch, master=MASTER, executed=None):
    """Put the chapter in place of the course; ``executed`` is the notebook's master if another."""
    monkeypatch.setattr(places, "COURSE", folder)
    monkeypatch.setattr(places, "NOTEBOOKS", folder)
    monkeypatch.setattr(films, "STORE", folder / "films")
    for cached in (chapter.chapter, films.film, films._module, films._stamp):
        cached.cache_clear()
    places.folder(NAME).mkdir(exist_ok=True)
    places.master(NAME).write_text(master, encoding="utf-8")
    (places.folder(NAME) / "films.py").write_text(FILMS, encoding="utf-8")
    notebook = jupytext.reads(executed or master, fmt="py:percent")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _outputs(cell.source)
    nbformat.write(notebook, places.notebook(NAME))


def _outputs(source):
    if source == "results":
        table = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
        return [nbformat.v4.new_output("execute_result", {"text/html": table})]
    buffer = io.BytesIO()
    Image.new("RGB", (800, 400), "#0063a0").save(buffer, "PNG")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    metadata = {"image/png": {"alt": ALT, "width": 600}}
    picture = nbformat.v4.new_output("display_data", data, metadata=metadata)
    return [picture] * source.count("draw()")
