"""Drive a real JupyterLab: start its server, reduce notebooks to their widgets, move controls."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from playwright.sync_api import Locator, Page

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "tests" / "screenshots"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 30  # seconds to wait for a change; it takes a tenth of one unless the machine is busy
LAPTOP = {"width": 1366, "height": 768}
SHOWN = {  # a chapter's explorers that need no argument, by a short name
    "00_start_here": {"kernels": "KernelExplorer"},
    "01_autoencoders": {"latent": "LatentExplorer"},
    "02_sparse_denoising_masked": {
        "lambda": "LambdaExplorer",
        "noise": "NoiseExplorer",
        "mask": "MaskExplorer",
    },
    "03_vae": {
        "bound": "BoundExplorer",
        "prior": "PriorExplorer",
        "units": "UnitsExplorer",
        "way": "WayExplorer",
        "beta": "BetaExplorer",
    },
    "04_gan": {"film": "TrainingScrubber", "walk": "LatentWalk", "collapse": "CollapseLab"},
    "05_cyclegan": {"mixer": "MixerExplorer", "translator": "TranslatorExplorer"},
    "06_diffusion": {"schedule": "ScheduleExplorer", "guidance": "GuidanceExplorer"},
    "08_words_to_pictures": {
        "prompt": "PromptExplorer",
        "try_on": "TryOnExplorer",
        "few_steps": "FewStepsExplorer",
        "between": "BetweenExplorer",
    },
    "09_one_token_after_another": {
        "next_token": "NextTokenExplorer",
        "temperature": "TemperatureExplorer",
        "piano": "PianoRoll",
        "ask": "AskTheCourse",
    },
}
EXPLORERS = {
    name: f"from gen_course.ch{chapter}.explorers import {kind}\n{kind}()"
    for chapter, kinds in SHOWN.items()
    for name, kind in kinds.items()
} | {
    "field": """from gen_course.ch06_diffusion.explorers import FieldExplorer
from gen_lib.models.diffusion import PlaneDiffusion
FieldExplorer(PlaneDiffusion().eval())""",
    "reverse": """from gen_course.ch06_diffusion.explorers import ReverseScrubber, recorded
from gen_lib.models import Diffusion
from gen_lib.samplers import DDIM
from gen_lib.training.checkpoints import load_pretrained
model = load_pretrained("diffusion", Diffusion)
ways = {"Heun": None, "DDIM": DDIM(model.schedule)}
ReverseScrubber({name: recorded(model.states(8, sampler=way)) for name, way in ways.items()})""",
    "choice": """from gen_course.ch07_comparison.explorers import ChoiceExplorer
from gen_course.common.studies import read_study
ChoiceExplorer(read_study("comparison"))""",
}
SETTINGS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"


def chromium() -> str | None:
    """The browser to drive, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def running_lab(folder: Path, home: Path) -> Iterator[str]:
    """A JupyterLab that serves ``folder``, in an empty home; gives its address with the token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    settings = home / ".jupyter" / "lab" / "user-settings" / SETTINGS
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "XDG_", "MAKE"))}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with (home / "jupyterlab.log").open("w") as log:
        server = subprocess.Popen(
            command,
            env=kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)},
            cwd=home,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server, log.name)
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_for(address: str, server: subprocess.Popen, log: str) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab did not start:\n{Path(log).read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab does not answer:\n{Path(log).read_text()[-3000:]}")


def shut_down_kernels(address: str) -> None:
    """End every session of the server, and its kernel."""
    base, _, token = address.partition("/lab/tree/{}?token=")
    headers = {"Authorization": f"token {token.partition('&')[0]}"}

    def ask(path: str, method: str) -> bytes:
        request = urllib.request.Request(f"{base}{path}", headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()

    for session in json.loads(ask("/api/sessions", "GET")):
        ask(f"/api/sessions/{session['id']}", "DELETE")


def write_notebooks(folder: Path, codes: Mapping[str, str]) -> None:
    """Write one notebook per widget, named after it; the second cell shows the widget."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name, code in codes.items():
        cells = [nbformat.v4.new_code_cell(source) for source in ("import gen_lib", code)]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, folder / f"{name}.ipynb")


def only_widgets(notebook: NotebookNode) -> NotebookNode:
    """The set-up cells (the first code cell and those tagged so) and the cells tagged widget."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    wanted = {"setup", "widget"}
    kept = [c for n, c in enumerate(code) if n == 0 or wanted & set(c.metadata.get("tags", []))]
    for cell in kept:
        cell.outputs, cell.execution_count = [], None
    return nbformat.v4.new_notebook(cells=kept, metadata=notebook.metadata)


def has_widgets(notebook: NotebookNode) -> bool:
    """Is any cell tagged widget?"""
    return any("widget" in cell.metadata.get("tags", []) for cell in notebook.cells)


def open_notebook(page: Page, address: str, name: str) -> None:
    """Open a notebook, and wait until it is in front and its kernel is ready."""
    page.goto(address.format(name))
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext", timeout=120e3)
    page.evaluate(
        """async () => {
            const app = window.jupyterapp;
            await app.restored;
            await app.shell.currentWidget.context.ready;
            await app.shell.currentWidget.sessionContext.ready;
            if (app.commands.isToggled('application:toggle-left-area'))
                await app.commands.execute('application:toggle-left-area');
        }"""
    )


def wait_for_cells(page: Page, minutes: float = 3) -> None:
    """Wait until every cell of the notebook in front has run."""
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.widgets.every(
            cell => cell.model.type !== 'code' || cell.model.executionCount !== null)""",
        timeout=minutes * 60e3,
    )


def open_and_run(page: Page, address: str, name: str, minutes: float = 3) -> None:
    """Open a notebook, run all its cells, and wait until all have run."""
    open_notebook(page, address, name)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    wait_for_cells(page, minutes)


PIXELS = """async (picture) => {
    await picture.decode().catch(() => {});  // it may be exchanged for the next one meanwhile
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    return canvas.toDataURL();
}"""


def pixels(widget: Locator) -> str:
    """The widget's pictures as the browser has decoded them, wherever the page is scrolled to."""
    return "".join(picture.evaluate(PIXELS) for picture in widget.locator(".widget-image").all())


def wait_until(widget: Locator, wanted: Callable[[str], bool], what: str) -> str:
    """Wait until the widget's pixels are as wanted, and return them."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        now = pixels(widget)
        if wanted(now):
            return now
    raise AssertionError(f"{what}: the picture is not as expected after {PATIENCE} s")


def wait_for_change(widget: Locator, before: str, what: str) -> str:
    """Wait until the widget's pixels differ from those before, and return them."""
    return wait_until(widget, lambda now: now != before, what)


def settle(widget: Locator) -> str:
    """Wait until the widget's pixels no longer change, and return them."""
    before = ""
    widget.page.wait_for_timeout(100)
    while (now := pixels(widget)) != before:
        before = now
    return now


def position(handle: Locator) -> float:
    """The position of a slider, from 0 at its smallest to 1 at its largest value."""
    low, now, high = (
        float(handle.get_attribute(f"aria-value{k}") or 0) for k in ("min", "now", "max")
    )
    return (now - low) / (high - low)


def press(handle: Locator, *keys: str) -> None:
    """Give an element the focus without the mouse, then press the keys."""
    handle.focus()
    for key in keys:
        handle.page.keyboard.press(key)


def drag(page: Page, target: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press the mouse at one place of the target (shares of its sides), move, and let go."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()
