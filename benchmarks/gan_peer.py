"""Compare the course's GAN with a plain DCGAN (Radford et al. 2016, arXiv:1511.06434).

Both train on Fashion-MNIST for the same minutes on the same number of threads, one after the other.
The DCGAN is the paper's, as PyTorch's tutorial sets it up, but its first layer gives 7 x 7 pixels
instead of 4 x 4: strided and transposed convolutions of 4 x 4, batch norm, 100 units of z, 64
channels at 14 x 14 and 128 at 7 x 7, weights from N(0, 0.02^2), binary cross-entropy, batches of
128, Adam at 2e-4 with a beta_1 of 0.5.

Its samples are measured twice: with batch norm as in training, which is how the tutorial draws
them, and with the running averages; the better result counts. The DCGAN computes in float32, its
default; the course's loop uses bfloat16 if the processor supports it.

Two questions are answered by the course's Fréchet distance between samples (10,000 of each by
default) and test images:

- Same minutes: is the course's distance smaller than the DCGAN's?
- Same images: how far does the course get with as many training images as the DCGAN has seen? The
  part of its lead that is then missing is due to speed.
"""

import argparse
import sys
import time

import torch
from record import Race, Run, of_course
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gen_lib.data import load
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import GAN

LATENT, WIDTH, BATCH = 100, 64, 128


def networks() -> tuple[nn.Sequential, nn.Sequential]:
    """The DCGAN's generator and discriminator; the latter gives logits, (n, 1)."""
    torch.manual_seed(0)
    generator = nn.Sequential(
        nn.Unflatten(1, (LATENT, 1, 1)),
        nn.ConvTranspose2d(LATENT, 2 * WIDTH, 7, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(),
        nn.ConvTranspose2d(WIDTH, 1, 4, stride=2, padding=1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, WIDTH, 4, stride=2, padding=1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(WIDTH, 2 * WIDTH, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * WIDTH, 1, 7, bias=False),
        nn.Flatten(),
    )
    for layer in (*generator, *discriminator):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return generator, discriminator


def bce(logits: Tensor, real: bool) -> Tensor:
    """-log D if the images should be called real, else -log(1 - D)."""
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def of_dcgan(quality: SampleQuality, minutes: float, n: int) -> Run:
    """Train the DCGAN for some minutes, and measure n samples."""
    g, d = networks()
    adam_g, adam_d = (torch.optim.Adam(v.parameters(), lr=2e-4, betas=(0.5, 0.999)) for v in (g, d))
    steps, start = 0, time.perf_counter()
    while (spent := (time.perf_counter() - start) / 60) < minutes:
        x = quality.images.train.batch(steps, BATCH).images
        fake = g(torch.randn(len(x), LATENT))
        adam_d.zero_grad()
        (bce(d(x), True) + bce(d(fake.detach()), False)).backward()
        adam_d.step()
        adam_g.zero_grad()
        bce(d(fake), True).backward()
        adam_g.step()
        steps += 1
    start = time.perf_counter()
    ways = [drawn(g.train(training), n) for training in (True, False)]
    seconds = (time.perf_counter() - start) / len(ways)
    return Run("DCGAN", spent, steps * BATCH, seconds, min(map(quality.frechet, ways)))


@torch.no_grad()
def drawn(generator: nn.Module, n: int) -> Tensor:
    """n samples, 500 at a time."""
    return torch.cat([generator(z) for z in torch.randn(n, LATENT).split(500)])


def main() -> None:
    """Print a table and a verdict; the exit code is that of the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.5, help="of each run (default: 1.5)")
    parser.add_argument("-n", type=int, default=10_000, help="samples of each (default: 10000)")
    options = parser.parse_args()
    quality = SampleQuality(load("fashion_mnist"))
    race = Race(quality, options.n)
    race.add(of_course(GAN, quality, options.n, {}, minutes=options.minutes))
    peer = race.add(of_dcgan(quality, options.minutes, options.n))
    race.add(of_course(GAN, quality, options.n, {}, steps=max(1, peer.images // GAN.batch_size)))
    sys.exit(not race.finish("gan_peer", verdict))


def verdict(ours: Run, peer: Run) -> str:
    """Say in a sentence whether the course is ahead."""
    share = ours.frechet / peer.frechet
    return (
        f"{'PASS' if share < 1 else 'FAIL'}: the course's distance is {share:.3f} of that of the "
        f"{peer.name} on the same clock."
    )


if __name__ == "__main__":
    main()
