"""A Chromium, or a reason why there is none; one JupyterLab for all browser tests."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
import torch
from lab import CHROMIUM_ARGS, LAPTOP, PATIENCE, ROOT, chromium, running_lab
from playwright.sync_api import expect

from gen_lib.checkpoints import save
from gen_lib.models import (
    BernoulliVAE,
    DeepAutoencoder,
    DenoisingAutoencoder,
    MaskedAutoencoder,
    SparseAutoencoder,
)
from gen_lib.widgets import autoencoder, denoising, masked, sparse, vae, vae_codes

WIDGETS = {
    "latent": "from gen_lib.widgets.autoencoder import LatentExplorer\nLatentExplorer()",
    "lambda": "from gen_lib.widgets.sparse import LambdaExplorer\nLambdaExplorer()",
    "noise": "from gen_lib.widgets.denoising import NoiseExplorer\nNoiseExplorer()",
    "mask": "from gen_lib.widgets.masked import MaskExplorer\nMaskExplorer()",
    "prior": "from gen_lib.widgets.vae import PriorExplorer\nPriorExplorer()",
    "units": "from gen_lib.widgets.vae_codes import UnitsExplorer\nUnitsExplorer()",
    "way": "from gen_lib.widgets.vae_codes import WayExplorer\nWayExplorer()",
    "beta": "from gen_lib.widgets.vae import BetaExplorer\nBetaExplorer()",
    "quiz": "from gen_lib.widgets.quiz import Quiz\nQuiz('01_autoencoders')",
}
expect.set_options(timeout=1_000 * PATIENCE)


def pytest_collection_modifyitems(items):
    """Browser tests last: while Playwright runs, no other test could start an event loop."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = chromium()
    if path is None:
        reason = "no Chromium found: install the package chromium to run the browser tests"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return browser_type_launch_args | {"executable_path": path, "args": CHROMIUM_ARGS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    return browser_context_args | {"viewport": LAPTOP}


@pytest.fixture(scope="session")
def base_url():
    """Tests name whole addresses; pytest-playwright's own fixture makes pytest 9 warn."""


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory) -> Path:
    """What the server shows: one notebook per widget."""
    folder = tmp_path_factory.mktemp("notebooks")
    for name, code in WIDGETS.items():
        cells = [nbformat.v4.new_code_cell(source) for source in ("import gen_lib", code)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder


@pytest.fixture(scope="session")
def lab_data(tmp_path_factory) -> Path:
    """The shipped data; weights that are not shipped yet are replaced by untrained ones."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "FashionMNIST").symlink_to(ROOT / "data" / "FashionMNIST")
    (folder / "pretrained").mkdir()
    torch.manual_seed(0)
    models = {
        autoencoder.LATENT: DeepAutoencoder(latent_size=2),
        denoising.DENOISING: DenoisingAutoencoder(),
        masked.MASKED: MaskedAutoencoder(),
        vae.PLANE: BernoulliVAE(latent_size=2, width=16),
        vae_codes.LARGE: BernoulliVAE(),
    }
    models |= {name: BernoulliVAE(width=16, beta=k) for k, name in vae.BETAS.items()}
    models |= {name: SparseAutoencoder(sparsity=k) for k, name in sparse.SPARSE.items()}
    for file in (ROOT / "data" / "pretrained").glob("*.*"):
        shutil.copy(file, folder / "pretrained")
    for name, model in models.items():
        path = folder / "pretrained" / f"{name}.safetensors"
        if not path.is_file():
            save(model, path)
    return folder


@pytest.fixture(scope="session")
def lab(browser_type_launch_args, lab_folder, lab_data, tmp_path_factory):
    """The address of a running JupyterLab, with a place for the notebook's name."""
    home = tmp_path_factory.mktemp("home")
    with running_lab(lab_folder, home, GEN_LIB_DATA=str(lab_data)) as address:
        yield address


@pytest.fixture
def quiet_page(page):
    """A page on which nothing goes wrong and that asks nobody but this machine."""
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    outside: list[str] = []
    page.on("request", lambda r: None if _is_local(r.url) else outside.append(r.url))
    yield page
    assert errors == []
    assert outside == []


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
