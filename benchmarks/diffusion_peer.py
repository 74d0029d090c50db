"""Compare the course's diffusion with that of two well-known libraries (``make bench``).

All train on Fashion-MNIST for the same minutes on the same number of threads, one after the other.
Then they draw samples with at most 40 network calls. Each peer is set up as its documentation shows
and trained in a plain loop by Adam at 1e-3:

- diffusers (Hugging Face): ``UNet2DModel`` with the blocks that its course uses for digits, a
  cosine schedule, eps as target, batches of 128; sampled by its DDIM scheduler;
- denoising-diffusion-pytorch (Wang): ``Unet(dim=28, dim_mults=(1, 2, 4))`` in a
  ``GaussianDiffusion`` with its defaults (v as target, a sigmoid schedule), batches of 64; sampled
  by its DDIM.

Two questions are answered by the course's Fréchet distance between samples (2,000 of each by
default) and test images:

- Same minutes: is the course's distance at most a tenth of each peer's?
- Same images: how far does the course get with as many training images as a peer has seen? The
  part of its lead that is then missing is due to speed.

With 5 minutes each and 2,000 samples this takes about an hour, because the peers need longer for
their samples than for training.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

os.environ["TQDM_DISABLE"] = "1"

import torch
from denoising_diffusion_pytorch import GaussianDiffusion, Unet
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from record import Race, Run, of_course
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from gen_lib.data import ImageSet, load
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import Diffusion

CALLS = 40  # at most so many network calls for a sample
PART = 250  # samples that a peer draws at a time
ALLOWED = 0.1  # the largest share of a peer's distance that passes


class Peer(NamedTuple):
    """A library's model: its loss, its sampler and its batch size."""

    name: str
    module: nn.Module
    loss: Callable[[Tensor], Tensor]
    sample: Callable[[int], Tensor]
    batch: int


def diffusers() -> Peer:
    """The U-Net of Hugging Face's course, which begins with digits of 28 pixels."""
    torch.manual_seed(0)
    net = UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=2,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )
    forward = DDPMScheduler(num_train_timesteps=1_000, beta_schedule="squaredcos_cap_v2")
    back = DDIMScheduler(num_train_timesteps=1_000, beta_schedule="squaredcos_cap_v2")
    back.set_timesteps(CALLS)

    def loss(x: Tensor) -> Tensor:
        eps, t = torch.randn_like(x), torch.randint(1_000, (len(x),))
        return mse_loss(net(forward.add_noise(x, eps, t), t).sample, eps)

    def sample(n: int) -> Tensor:
        x = torch.randn(n, 1, 28, 28)
        for t in back.timesteps:
            x = back.step(net(x, t).sample, t, x).prev_sample
        return x

    return Peer("diffusers", net, loss, sample, 128)


def denoising_diffusion() -> Peer:
    """The U-Net and the process of denoising-diffusion-pytorch, whose images are in [0, 1]."""
    torch.manual_seed(0)
    net = Unet(dim=28, dim_mults=(1, 2, 4), channels=1)
    process = GaussianDiffusion(net, image_size=28, timesteps=1_000, sampling_timesteps=CALLS)
    return Peer(
        "denoising-diffusion-pytorch",
        process,
        lambda x: process((x + 1) / 2),
        lambda n: 2 * process.sample(n) - 1,
        64,
    )


def of_peer(peer: Peer, quality: SampleQuality, minutes: float, n: int) -> Run:
    """Train a peer for some minutes, and measure n samples."""
    optimiser = torch.optim.Adam(peer.module.parameters(), lr=1e-3)
    torch.manual_seed(0)
    peer.module.train()
    steps, start = 0, time.perf_counter()
    while (spent := (time.perf_counter() - start) / 60) < minutes:
        loss = peer.loss(quality.images.train.batch(steps, peer.batch).images)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    peer.module.eval()
    start = time.perf_counter()
    with torch.no_grad():
        parts = [peer.sample(min(PART, n - done)) for done in range(0, n, PART)]
    seconds = time.perf_counter() - start
    distance = quality.frechet(torch.cat(parts).clamp(-1, 1))
    return Run(peer.name, spent, steps * peer.batch, seconds, distance)


def main() -> None:
    """Print a table and a verdict; the exit code is that of the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="of each training (default: 5)")
    parser.add_argument("-n", type=int, default=2_000, help="samples of each (default: 2000)")
    options = parser.parse_args()
    images: ImageSet = load("fashion_mnist")
    quality = SampleQuality(images)
    race = Race(quality, options.n)
    race.add(of_course(Diffusion, quality, options.n, {"calls": CALLS}, minutes=options.minutes))
    for make in (diffusers, denoising_diffusion):
        peer = race.add(of_peer(make(), quality, options.minutes, options.n))
        steps = max(1, peer.images // Diffusion.batch_size)
        race.add(of_course(Diffusion, quality, options.n, {"calls": CALLS}, steps=steps))
    sys.exit(not race.finish("diffusion_peer", verdict))


def verdict(ours: Run, peer: Run) -> str:
    """Say in a sentence whether the course is far enough ahead."""
    share = ours.frechet / peer.frechet
    return (
        f"{'PASS' if share <= ALLOWED else 'FAIL'}: the course's distance is {share:.3f} of "
        f"that of {peer.name} on the same clock (allowed: {ALLOWED:g})."
    )


if __name__ == "__main__":
    main()
