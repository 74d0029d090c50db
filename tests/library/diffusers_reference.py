"""Record the steps of ``diffusers`` (0.42) on given noise in ``diffusers_reference.json``.

``python tests/library/diffusers_reference.py`` writes the file again; it needs the extra ``peers``.
"""

import json
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

FILE = Path(__file__).with_suffix(".json")
T, STEPS, SIZE = 1000, 10, 4
SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2", "sigmoid": "sigmoid"}
TARGETS = {"eps": "epsilon", "v": "v_prediction"}
SAMPLERS = {"ancestral": None, "ddim 0": 0.0, "ddim 0.5": 0.5}
CASES = ["/".join(case) for case in product(SCHEDULES, TARGETS, SAMPLERS)]


def noise(step: int) -> Tensor:
    """The noise of a step, of about unit variance, which every machine computes alike."""
    return 2**0.5 * torch.sin(torch.arange(SIZE, dtype=torch.float64) * 7.3 + 3.1 * step + 1)[None]


def output(target: str, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
    """What a network trained on x_0 ~ N(0.3, 0.6^2) would predict; alpha_bar is that of t."""
    signal, sigma = alpha_bar.double().sqrt(), (1 - alpha_bar.double()).sqrt()
    gain = signal * 0.36 / (signal**2 * 0.36 + sigma**2)
    x_0 = 0.3 + gain * (x_t - 0.3 * signal)
    eps = (sigma * (x_t - 0.3 * signal)) / (signal**2 * 0.36 + sigma**2)
    return {"eps": eps, "v": signal * eps - sigma * x_0}[target]


def betas(schedule: str) -> Tensor:
    """The betas of ``diffusers``."""
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return DDPMScheduler(T, beta_schedule=SCHEDULES[schedule]).betas


def tables() -> dict[str, list[float]]:
    """alpha_bar_t at t = 1, 101, 201, ..., 901 and at T."""
    places = [*range(0, T, 100), T - 1]
    return {name: (1 - betas(name)).cumprod(dim=0)[places].tolist() for name in SCHEDULES}


def states(case: str) -> list[list[float]]:
    """x_t after each step of a scheduler, beginning with the noise."""
    from unittest.mock import patch

    from diffusers.schedulers import scheduling_ddim, scheduling_ddpm

    schedule, target, sampler = case.split("/")
    eta = SAMPLERS[sampler]
    module = scheduling_ddpm if eta is None else scheduling_ddim
    kind = module.DDPMScheduler if eta is None else module.DDIMScheduler
    scheduler = kind(
        T,
        trained_betas=betas(schedule).numpy(),  # DDIMScheduler has no sigmoid of its own
        prediction_type=TARGETS[target],
        clip_sample=False,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(STEPS)
    more = {} if eta is None else {"eta": eta}
    x = noise(STEPS)
    found = [x]
    for step, t in enumerate(scheduler.timesteps):
        y = output(target, x, scheduler.alphas_cumprod[t])
        with patch.object(module, "randn_tensor", return_value=noise(step)):
            x = scheduler.step(y, t, x, **more).prev_sample
        found.append(x)
    return [state[0].tolist() for state in found]


def reference() -> dict:
    """The content of the file."""
    return {"alpha_bar": tables(), "states": {case: states(case) for case in CASES}}


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else float(f"{value:.9g}")


if __name__ == "__main__":
    FILE.write_text(json.dumps(_rounded(reference()), indent=None, separators=(",", ":")) + "\n")
