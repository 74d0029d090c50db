# %% [markdown]
# # 06 · Diffusion: can you learn to draw by learning to remove noise?
#
# **Question.** Chapter 02 trained a network that removes noise of one level. Can a network that removes noise of *every*
# level start from noise alone and end at an image? And what does each step of that way cost?
#
# **Afterwards you can** train a diffusion model with forty lines of your own, derive its loss from a bound on the likelihood,
# sample from it with 5 to 1,000 network calls, steer it by a label, let it fill holes, and recognise a
# schedule that ends too early by its samples.
#
# **Minutes.** About 150 to read, about 95 for the exercises; the set-up cell says how long our machine took to run everything.
# A good place to stop is the end of *Look*.
# **In a hurry?** Of *The way back* read only the framed formula and *Why the two are one*. Skip *In the plane* and exercise 6. The table in the *Summary* has the results of both.
#
# **Know first:** the denoising autoencoder of chapter [02](02_sparse_denoising_masked.ipynb) and Tweedie's formula at its end;
# for *The way back*, the ELBO of chapter [03](03_vae.ipynb).

# %% [markdown]
# The chapter has two descriptions of the same noise: the **straight path** with a time τ from 0 to 1, on which the networks are trained, and
# the **table** of Ho et al. with steps t = 1 ... T, on which the theory is written.
#
# | Symbol | Meaning | Shape |
# |---|---|---|
# | $x_0$, $\epsilon$ | a clean image with pixels from −1 to 1; standard Gaussian noise | (n, 1, 28, 28); toy: one number |
# | τ, $x_\tau$ | time on the straight path, from 0 to 1; the noised image $(1 - \tau)\, x_0 + \tau\, \epsilon$ | number; as $x_0$ |
# | $\hat x_0$, $\hat\epsilon$ | estimates of the image and of the noise from $x_\tau$ | as $x_0$ |
# | $u$, $\hat u$ | the velocity $\epsilon - x_0$; its estimate $\hat\epsilon - \hat x_0$ | as $x_0$ |
# | $u_\theta$, θ | the network that estimates the velocity; its weights | as $x_0$; – |
# | L(θ) | the loss | number |
# | δ | length of a step on the straight path | number |
# | s | the time that a step leads to, earlier than τ or t | number |
# | ℓ | noise level τ / (1 − τ); the σ of chapter 02 | number |
# | $p$ | a density | number |
#
# The symbols of the table of Ho et al. follow at the start of *The way forward*.

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: imports, data and shipped models.
import time
from itertools import pairwise, product

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import silu

from gen_course.ch06_diffusion import figures
from gen_course.ch06_diffusion.checks import check_ddim_step
from gen_course.ch06_diffusion.explorers import (
    FieldExplorer,
    GuidanceExplorer,
    ReverseScrubber,
    ScheduleExplorer,
    recorded,
)
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_course.common.tables import Claims, Table
from gen_lib.data import load, load_toy
from gen_lib.data.toys import Mixture
from gen_lib.metrics import mse, nearest, psnr
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import (
    GAN,
    BernoulliVAE,
    DenoisingAutoencoder,
    Diffusion,
    MaskedAutoencoder,
)
from gen_lib.models.base import in_batches
from gen_lib.models.diffusion import TARGETS, PlaneDiffusion, solve
from gen_lib.models.masked import masked_loss
from gen_lib.nets.vit import unpatchify
from gen_lib.samplers import DDIM, Ancestral, Heun, exact, posterior, straightened
from gen_lib.schedules import SCHEDULES, Straight, linear
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card

plots.use_style()
claims = Claims()
seeded = torch.Generator().manual_seed
images = load("fashion_mnist")
train, test = images.train, images.test
shipped = load_pretrained("diffusion", Diffusion)
table = linear()
samplers = {"ancestral": Ancestral, "DDIM": DDIM, "Heun": Heun}
sample_quality = SampleQuality(images)
print(timing.stated("06_diffusion"))

# %% [markdown]
# The folded set-up cell loads `images` with its parts `train` and `test`; `shipped`, a trained diffusion model; `table`, the
# schedule of Ho et al. with T = 1,000 (`table.beta[t]` is $\beta_t$; entry 0 is not used); `samplers`, three of them by name; and `sample_quality`, which computes the Fréchet distance of chapter 04: how far
# samples are from real images as the course's frozen classifier (the **judge**) sees them. Less is better; its *floor* is the distance between two sets of real images.

# %% [markdown]
# ## Idea
#
# ### One network for every level of noise
#
# A **diffusion model** (확산 모델; Ho, Jain & Abbeel 2020, [2006.11239](https://arxiv.org/abs/2006.11239); the idea is
# from Sohl-Dickstein et al. 2015) is a denoiser for all levels of noise. Mix an image with noise,
#
# $$x_\tau = (1 - \tau)\, x_0 + \tau\, \epsilon, \qquad \epsilon \sim \mathcal{N}(0, I),$$
#
# with a **time** τ between 0 (image only) and 1 (noise only). A network gets $x_\tau$ and τ, and estimates the image by least squares. The next
# cell shows such estimates. Each is a single call of the network that comes with the course.
#
# **Predict:** at τ = 1 the input is noise alone; nothing of the image is left. What does the network answer: noise, a grey surface, a sharp garment, or
# something else?
#
# <details><summary>Answer</summary>
#
# The mean of all images, a grey mixture of garments, and the same one for each noise. A squared error is least at the mean of all that is possible, and
# here every image is possible.
#
# </details>

# %% [markdown] tags=["slide", "hour"]
# Diffusion is one denoiser for all levels of noise
#
# {film mixed}
#
# $$x_\tau = (1 - \tau)\, x_0 + \tau\, \epsilon, \qquad \epsilon \sim \mathcal{N}(0, I)$$
#
# At every τ, one network estimates the image.

# %% [markdown] tags=["slide", "hour", "predict"]
# From pure noise: what does the network answer?
#
# At τ = 1 nothing of the image is left.
#
# Noise, a grey surface, a sharp garment, or something else?

# %% [markdown] tags=["slide", "hour"]
# The noisier the input, the vaguer the guess
#
# {film one_call}
#
# From noise alone: the mean of all images.
#
# ? Why is the answer to noise alone the same each time?

# %%
x, eps = test.x[:500], torch.randn(500, 1, 28, 28, generator=seeded(0))


def guess(x_tau, tau):  # the estimate of x_0 by one call of the network: (n, 1, 28, 28)
    return in_batches(lambda part: shipped.estimate(part, torch.tensor(tau)).x_0, x_tau)


seen = {tau: guess((1 - tau) * x + tau * eps, tau) for tau in (0.2, 0.5, 0.8)}
nothing = guess(torch.randn(500, 1, 28, 28, generator=seeded(1)), 1.0)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: images under strong noise, and what one call makes of them at four times.
rows = {"from noise, τ = 1": nothing[:9]}
for tau in (0.8, 0.5, 0.2):
    rows[f"noised, τ = {tau}"] = ((1 - tau) * x + tau * eps)[:9]
    rows[f"estimate, τ = {tau}"] = seen[tau][:9]
rows["image"] = x[:9]
plots.show(
    plots.image_rows(
        rows, "Little to see gives a blur, nothing to see gives the mean of all images"
    ),
    "Eight rows of nine. From noise alone the network sees the same grey mixture every time. Below, noised images at three times, "
    "each above its estimate: a blur at time 0.8, a clear shape at 0.5, all details at 0.2. Last, the images.",
)

# %% jupyter={"source_hidden": true}
# Check: from noise alone the answer is close to the mean image.
mean_image = train.subset(10_000).x.mean(dim=0)
off, usual = mse(nothing, mean_image.expand_as(nothing)), mse(x, mean_image.expand_as(x))
assert off < 0.2 * usual
claims.add(
    "One call of the network gives the mean of what is possible",
    f"from noise alone its answer has an MSE of {off:.4f} to the mean image; an image has {usual:.3f}",
)

# %% [markdown] tags=["slide", "hour", "steps"]
# The network learns the velocity from image to noise
#
# $$\frac{d x_\tau}{d \tau} = \epsilon - x_0$$
#
# for one image, one noise
#
# $$L(\theta) = \mathbb{E}\, \lVert u_\theta(x_\tau, \tau) - (\epsilon - x_0) \rVert^2$$
#
# least squares: the mean velocity
#
# $$x_{\tau - \delta} = x_\tau - \delta\, u_\theta(x_\tau, \tau)$$
#
# sampling: a step against it
#
# ? The loss of the best network is not 0. Why?

# %% [markdown]
# So from noise alone the network answers with the mean of all images, at strong noise with a blur of what could be there; at weak noise it repairs texture. **From noise, no single call
# draws a sharp image. A chain of calls does**, because each call has to decide only a little. The rest of *Idea* shows how.
#
# ### A toy of one number
#
# Let the "image" be one number, −1 or 1, each with probability ½. Then the best guess is known. At $x_\tau$ the two candidates
# have Gaussian likelihoods around $-(1 - \tau)$ and $1 - \tau$ of standard deviation τ, and Bayes' rule gives
#
# $$\mathbb{E}[x_0 \mid x_\tau] = \frac{e^{(1 - \tau) x_\tau / \tau^2} - e^{-(1 - \tau) x_\tau / \tau^2}}
# {e^{(1 - \tau) x_\tau / \tau^2} + e^{-(1 - \tau) x_\tau / \tau^2}} = \tanh\frac{(1 - \tau)\, x_\tau}{\tau^2} .$$
#
# (The squares in the two exponents are equal and cancel; only the product of $x_\tau$ with the candidate is left.)
#
# For one pair of $x_0$ and ε, the point $x_\tau$ moves on a straight line; its **velocity** is the derivative by τ,
# $u = \epsilon - x_0$. Given only $x_\tau$, many pairs are possible. The best guess of u is the mean of their velocities. Since
# $\epsilon = (x_\tau - (1 - \tau)\, x_0)/\tau$, it follows from the guess of $x_0$:
#
# $$\hat u = \hat\epsilon - \hat x_0 = \frac{x_\tau - \hat x_0}{\tau}$$
#
# The other way round, $\hat x_0 = x_\tau - \tau\, \hat u$. So a network that answers with û estimates the image, too: `estimate` above computed it like this.
#
# **Sampling** starts at noise and walks from τ = 1 to 0 against this mean velocity. A step of length δ is
# $x_{\tau - \delta} = x_\tau - \delta\, \hat u$. After every step the guess is made anew, with less noise in it.
#
# **Predict:** start at the noise 1.2. Where does **one** step from τ = 1 to 0 end: at −1, 0 or 1? And where do forty small steps end?
#
# <details><summary>Answer</summary>
#
# One step ends at 0, the mean of the data, which is no data point. Forty steps end at 1. Two steps already come close: after the first, the guess is no longer 0.
#
# </details>


# %% [markdown] tags=["slide", "steps"]
# Sampling is one loop: guess, step, guess again
#
# ```python
# return torch.tanh((1 - tau) * x / tau**2)
#
# times = torch.linspace(1, 0, steps + 1)
# for tau, s in pairwise(times):  # s < tau
#     velocity = (path[-1] - guess(path[-1], tau)) / tau
#     path.append(path[-1] + (s - tau) * velocity)
# ```
#
# ? The data are −1 and 1. What is the best guess at τ = 1?


# %%
def best_guess(x, tau):  # E[x_0 | x_tau]
    return torch.tanh((1 - tau) * x / tau**2)


def walk(x, steps, guess=best_guess):
    path = [x]
    times = torch.linspace(1, 0, steps + 1)
    for tau, s in pairwise(times):  # s < tau
        velocity = (path[-1] - guess(path[-1], tau)) / tau
        path.append(path[-1] + (s - tau) * velocity)
    return torch.stack(path)  # (steps + 1, n)


ends = {steps: walk(torch.tensor([1.2]), steps)[-1].item() for steps in (1, 2, 5, 40)}

# %% [markdown] tags=["slide", "extra", "predict"]
# The data are −1 and 1: where do steps end?
#
# Start at the noise 1.2.
#
# One step from τ = 1 to 0: at −1, 0 or 1? And forty small steps?

# %% [markdown] tags=["slide", "hour"]
# One step ends at the mean, many end at the data
#
# {film toy}
#
# ? Two steps already come close. What does the second one know?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table: where walks of one to forty steps from the noise 1.2 end.
Table({f"{k}": [f"{end:.3f}"] for k, end in ends.items()}, ["end"], "steps")

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: the best guess at three times, and forty steps from many noises.
starts = torch.linspace(-2.4, 2.4, 24)
plots.show(
    figures.toy(best_guess, walk(starts, 40), (0.3, 0.5, 0.8)),
    "Left: the best guess against the noised number, a steep S from −1 to 1 at time 0.3 and a gentle slope at "
    "0.8. Right: 24 paths begin spread between −2.4 and 2.4 at time 1, draw together, and end at −1 or 1.",
)

# %% jupyter={"source_hidden": true}
# Check: the guess is the posterior mean; the shares of many ends are right; and Tweedie's formula holds.
x_tau, tau = torch.linspace(-2, 2, 41, dtype=torch.float64).requires_grad_(), 0.6
both = torch.stack([Normal(k * (1 - tau), tau).log_prob(x_tau) for k in (-1, 1)])
mean = (both.softmax(dim=0) * torch.tensor([[-1.0], [1.0]])).sum(dim=0)
torch.testing.assert_close(best_guess(x_tau, tau), mean)
(uphill,) = torch.autograd.grad(torch.logsumexp(both, dim=0).sum(), x_tau)  # of log p(x_tau)
noise = (x_tau - (1 - tau) * best_guess(x_tau, tau)) / tau
torch.testing.assert_close(-noise.detach() / tau, uphill)
many = walk(torch.randn(10_000, generator=seeded(0)), 40)[-1]
assert abs((many > 0).double().mean() - 0.5) < 0.02
assert (many.abs() - 1).abs().quantile(0.9) < 0.05


def uneven(x, tau):  # E[x_0 | x_tau] if 1 has probability 3/4
    return torch.tanh((1 - tau) * x / tau**2 + 0.5 * torch.tensor(3.0).log())


many = walk(torch.randn(10_000, generator=seeded(0)), 40, uneven)[-1]
assert abs((many > 0).double().mean() - 0.75) < 0.02
assert abs(ends[1]) < 1e-6
assert ends[40] > 0.95
claims.add(
    "A chain of calls gives samples where one call gives their mean",
    f"toy of −1 and 1, from the noise 1.2: one step ends at {abs(ends[1]):.0f}, two at {ends[2]:.2f}, forty at {ends[40]:.2f}",
)

# %% [markdown] tags=["slide", "extra"]
# The estimated noise points downhill in the log-density
#
# $$\nabla \log p(x_\tau) = -\hat\epsilon / \tau$$
#
# Tweedie's formula of chapter 02, on the straight path: a step against the noise leads to likelier images.

# %% [markdown]
# Chapter 02 ended with **Tweedie's formula** for data with added noise, $y = x_0 + \ell\, \epsilon$. The residual of the best denoiser, estimate less input, is
# $\ell^2$ times the slope of the log-density: $\hat x_0 - y = \ell^2\, \nabla \log p(y)$. It holds on the straight path, too. Divide $x_\tau$ by
# $1 - \tau$: this is such a y, with $\ell = \tau / (1 - \tau)$. Its residual is $\hat x_0 - y = -\ell\, \hat\epsilon$, so $\nabla \log p(y) = -\hat\epsilon / \ell$. Since
# $x_\tau = (1 - \tau)\, y$, the slope in y is $1 - \tau$ times the slope in $x_\tau$. With $\ell\, (1 - \tau) = \tau$ follows
#
# $$\nabla \log p(x_\tau) = -\hat\epsilon / \tau .$$
#
# The estimated noise points downhill, so a step against it leads to where images are more likely. A step against û does that, too, and stretches $x_\tau$, since
# $\hat u = (\hat\epsilon - x_\tau)/(1 - \tau)$. The folded check computes both sides of Tweedie's formula for the toy.
#
# **Why do the ends have the right distribution?** Many lines from data to noise cross at a point $x_\tau$, each with its own velocity. How much probability flows out
# of a small region depends only on the density there and on the *mean* velocity. So if every particle moves with the mean velocity instead of its own, the density at
# the next time is the same (Liu, Gong & Liu 2022, [2209.03003](https://arxiv.org/abs/2209.03003)). In infinitely small steps a walk that begins in $\mathcal{N}(0, I)$, the
# density at τ = 1, therefore ends in the data at τ = 0. The folded check tries it on an uneven toy, where 1 has probability ¾: of 10,000 starts ¾ end at 1.
#
# ### The loss
#
# For images nobody knows the mean velocity. A network learns it:
#
# $$L(\theta) = \mathbb{E}_{x_0, \epsilon, \tau} \lVert u_\theta(x_\tau, \tau) - (\epsilon - x_0) \rVert^2,
# \qquad \tau \text{ uniform in } [0, 1] .$$
#
# (The code takes the mean over pixels instead of their sum, which changes a factor only.) Each term is simple: draw an image, noise and a time; mix them; compare the answer with $\epsilon - x_0$. The target is random even when $x_\tau$ is
# given. A squared error is least at the mean of its target, so the best network answers with the mean velocity, which is what sampling needs. Its loss is not 0 but the variance of the target given $x_\tau$.

# %% [markdown]
# ## Build
#
# ### The network: a U-Net
#
# A small **U-Net** (Ronneberger, Fischer & Brox 2015,
# [1505.04597](https://arxiv.org/abs/1505.04597)) computes features at half and at a quarter of the side and returns. At the low
# resolution one pixel sees most of the garment: that decides the shape. A **skip connection** passes the fine features of the first half to the last part, so that the output keeps exact edges.
# The number τ becomes a vector of cosines and sines, passes through a small network, and scales and shifts the features of every block. So one set of weights can act differently at each level of noise.

# %% [markdown] tags=["slide"]
# A U-Net decides the shape below and keeps edges above
#
# {figure}
#
# ? What would be lost without the skip connection?

# %% jupyter={"source_hidden": true}
# Plot: the parts of the U-Net and the shapes of what they hold.
plots.show(
    figures.unet(),
    "A diagram. x_tau, 1 by 28 by 28, becomes 48 maps of 14 by 14, then by stride 2 96 maps of 7 by 7, then again 48 maps of "
    "14 by 14 and the velocity, 1 by 28 by 28. A green skip connection leads from the first 14 by 14 maps to a box join, where it meets the maps "
    "from the bottom. Dotted arrows bring the time to each of the three parts.",
)

# %% [markdown]
# As code, with the layers of the shipped network (`gen_lib/nets/unet.py`). `silu(h)` is h · sigmoid(h), a smooth relu; `norm` gives groups of features mean 0 and variance 1.
#
# | Part | What it does |
# |---|---|
# | `embed(tau, None)` | 48 cosines and 48 sines of τ at different frequencies, then a small network; None: no label |
# | `stem` | moves each 2 × 2 pixels into 4 channels, then a convolution to 48 maps |
# | `down`, `bottom`, `up` | two blocks each |
# | `modulate` | in a block, a linear layer: a scale and a shift for each map, from the embedding of τ; 0 leaves the features as they are, hence `1 + scale` |
# | `conv1`, `conv2` | in a block, convolutions that keep side and maps |
# | `shrink`, `grow` | a convolution of stride 2, to 7 × 7; a convolution whose channels become pixels, back to 14 × 14 |
# | `join` | a 1 × 1 convolution from 96 to 48 maps |
# | `out` | a convolution to 4 channels, which become 2 × 2 pixels |


# %%
def block(part, h, time):  # h: (n, c, side, side); time: (n, 96)
    scale, shift = part.modulate(time)[:, :, None, None].chunk(2, dim=1)  # what tau sets
    return h + part.conv2(silu(part.conv1(silu(part.norm(h) * (1 + scale) + shift))))


def u_net(net, x, tau):
    time, high = silu(net.embed(tau, None)), net.stem(x)  # (n, 96); (n, 48, 14, 14)
    for part in net.down:
        high = block(part, high, time)
    low = net.shrink(high)  # (n, 96, 7, 7)
    for part in net.bottom:
        low = block(part, low, time)
    h = net.join(torch.cat([high, net.grow(low)], dim=1))  # the skip connection
    for part in net.up:
        h = block(part, h, time)
    return net.out(h)  # (n, 1, 28, 28)


# %% [markdown]
# ### The loss and the sampler
#
# Both fit into a few lines. `net(x, tau, labels)` is the network; labels come in a later section.


# %%
def velocity_loss(net, x_0, rng):
    tau = torch.rand(len(x_0), generator=rng)  # (n,), one time for each image
    eps = torch.randn(x_0.shape, generator=rng)  # (n, 1, 28, 28)
    share = tau.reshape(-1, 1, 1, 1)
    u = net((1 - share) * x_0 + share * eps, tau, None)  # (n, 1, 28, 28)
    return (u - (eps - x_0)).square().mean()


@torch.no_grad()
def euler(net, x, steps):
    times = torch.linspace(1, 0, steps + 1)
    for tau, s in pairwise(times):
        x = x + (s - tau) * net(x, tau.expand(len(x)), None)  # s < tau: against the velocity
    return x


# %% jupyter={"source_hidden": true}
# Check: network, loss and sampler by hand are the library's.
batch = train.batch(0, 128)
with torch.no_grad():
    t = torch.rand(128, generator=seeded(2))
    by_hand = u_net(shipped.net, batch.images, t)
    torch.testing.assert_close(by_hand, shipped.net(batch.images, t), rtol=1e-4, atol=1e-4)
mine = velocity_loss(shipped.net, batch.images, seeded(0))
theirs = shipped.loss(batch, seeded(0), progress=0.0).value
torch.testing.assert_close(mine, theirs)
z = torch.randn(4, 1, 28, 28, generator=seeded(1))
*_, last = shipped.states(4, seeded(1), sampler=DDIM(shipped.schedule), calls=10)
torch.testing.assert_close(euler(shipped.net, z, 10), last.x, rtol=1e-4, atol=1e-4)

# %% [markdown]
# ## Train
#
# ### One complete program
#
# Data, network, loss, loop and sampler, in a cell that runs in an empty notebook. Its U-Net is smaller than the one above: two convolutions where that has
# residual blocks, and τ itself enters a small network, without cosines, and at the lowest resolution only. The loop makes 600 steps.

# %% [markdown] tags=["slide", "extra"]
# A complete program draws rough garments after 600 steps
#
# {figure}

# %% tags=["program"]
import torch
from torch import nn

from gen_course.common import plots
from gen_lib.data import load

torch.manual_seed(0)
train = load("fashion_mnist").train  # 60,000 images, (1, 28, 28) each, in [-1, 1]


def conv(a, b, stride=1):
    return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(8, b), nn.SiLU())


class SmallUNet(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.high = nn.Sequential(nn.PixelUnshuffle(2), conv(4, c), conv(c, c))
        self.low = nn.Sequential(conv(c, 2 * c, stride=2), conv(2 * c, 2 * c))
        self.time = nn.Sequential(nn.Linear(1, 64), nn.SiLU(), nn.Linear(64, 2 * c))
        self.up = nn.Sequential(conv(2 * c, 4 * c), nn.PixelShuffle(2))
        self.out = nn.Sequential(conv(2 * c, c), nn.Conv2d(c, 4, 3, 1, 1), nn.PixelShuffle(2))

    def forward(self, x, tau):  # (n, 1, 28, 28), (n, 1, 1, 1) -> (n, 1, 28, 28)
        high = self.high(x)  # (n, 32, 14, 14)
        low = self.low(high) + self.time(tau.flatten(1))[:, :, None, None]  # (n, 64, 7, 7)
        return self.out(torch.cat([high, self.up(low)], dim=1))


def loss_of(net, x_0):
    tau, eps = torch.rand(len(x_0), 1, 1, 1), torch.randn_like(x_0)
    return (net((1 - tau) * x_0 + tau * eps, tau) - (eps - x_0)).square().mean()


@torch.no_grad()
def sample(net, x, steps):
    for k in range(steps):
        x = x - net(x, torch.full((len(x), 1, 1, 1), 1 - k / steps)) / steps
    return x


net, losses = SmallUNet(), []
optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
for _ in range(600):
    loss = loss_of(net, train[torch.randint(len(train), (64,))].images)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    losses.append(loss.item())
a, b = sample(net, torch.randn(20, 1, 28, 28), 20).split(10)
figure = plots.image_rows({"from noise": a, "ten more": b}, "Rough garments, none picked", 0.8)
plots.show(figure, "Twenty samples of a short training: bright rough shapes of garments on black.")

# %% jupyter={"source_hidden": true}
# Table and check: the loss has fallen; this loss and sampler are the library's for the library's network.
few = train.batch(0, 128)
torch.manual_seed(0)
mine = loss_of(lambda x, tau: shipped.net(x, tau.flatten()), few.images)
torch.manual_seed(0)
theirs = shipped.loss(few, torch.default_generator, progress=0.0).value
torch.testing.assert_close(mine, theirs)
z = torch.randn(4, 1, 28, 28, generator=seeded(1))
*_, last = shipped.states(4, seeded(1), sampler=DDIM(shipped.schedule), calls=10)
with torch.no_grad():
    ten_steps = sample(lambda x, tau: shipped.net(x, tau.flatten()), z, 10)
torch.testing.assert_close(ten_steps, last.x, rtol=1e-4, atol=1e-4)
fallen = plots.smooth(losses, 60)
assert fallen[-1] < 0.6 * fallen[0]
Table(
    {"program": [f"{fallen[0]:.2f}", f"{fallen[-1]:.2f}"]},
    ["loss, first 60 steps", "last 60 steps"],
)

# %% [markdown] tags=["slide"]
# Longer training turns the same noises into clear garments
#
# {figure}
#
# ? The networks share no weights. Why are the columns alike?

# %% [markdown]
# Rough, but the whole method is there. The only number to watch is one loss that falls; there is no opponent.
#
# ### Longer training
#
# What helps is a better network and many more steps. Two trained networks of the library's `Diffusion`, the U-Net of *Build*, come with
# the course: one of 600 steps with 32 instead of 48 maps, and the shipped one of 11,000 steps. Both were trained with batches of 128,
# Adam with a learning rate that falls along half a cosine, and **averaged weights**: what is kept is a mean over the last part of the
# run. (By default `Diffusion` now learns faster: [chapter 07](07_comparison.ipynb) shows how.) All three start here from the same
# noises and take 19 steps of the program's `sample`, as many calls as *Look* uses.

# %%
short_run = load_pretrained("diffusion-half", Diffusion)
velocity = {"program": net}
for name, model in {"library, short": short_run, "library, long": shipped}.items():
    velocity[name] = lambda x, tau, unet=model.net: unet(x, tau.flatten())
drawn, test_loss = {}, {}
for name, u in velocity.items():
    z = torch.randn(200, 1, 28, 28, generator=seeded(3))
    drawn[name] = sample(u, z, 19).clamp(-1, 1)
    torch.manual_seed(0)
    with torch.no_grad():
        test_loss[name] = loss_of(u, test.x[:500]).item()

# %% jupyter={"source_hidden": true}
# Plot: the same ten noises in three networks.
plots.show(
    plots.image_rows(
        {name: x[:10] for name, x in drawn.items()}, "The same ten noises in three networks", 0.8
    ),
    "Three rows of ten samples. The program's are bright, rough shapes; those of the short training of the library are rough "
    "shirts, trousers and shoes; those of the long one are clear garments.",
)

# %% jupyter={"source_hidden": true}
# Table and check: loss and distance fall from the program to the short and to the long training.
longest = read_card(pretrained_folder() / "diffusion.safetensors")
steps = {"program": 600, "library, short": 600, "library, long": longest["steps"]}
assert read_card(pretrained_folder() / "diffusion-half.safetensors")["steps"] == 600
assert short_run.config == Diffusion().config
size = {"program": net, "library, short": short_run, "library, long": shipped}
distance = {name: sample_quality.frechet(x) for name, x in drawn.items()}
assert test_loss["library, long"] < test_loss["library, short"] < test_loss["program"]
assert distance["library, short"] < 0.8 * distance["program"]
assert distance["library, long"] < 0.5 * distance["library, short"]
rows = {
    name: [
        f"{steps[name]:,}",
        f"{sum(w.numel() for w in size[name].parameters()):,}",
        f"{test_loss[name]:.3f}",
        f"{distance[name]:.2f}",
    ]
    for name in drawn
}
rows["real images (floor)"] = ["–", "–", "–", f"{sample_quality.frechet_floor(200):.2f}"]
Table(rows, ["steps", "weights", "loss, 500 test images", "Fréchet distance, 200 samples"])

# %% [markdown]
# The first two took the same number of steps, but a step is not the same in both: the library's network is larger, its batch twice
# as large, its learning rate falls, its weights are averaged. Compare a column: the same noise leads to a similar shape in networks that share no weights, since all learn the same velocity field.

# %% [markdown]
# ## Look
#
# Samples of the shipped network (*library, long* above):

# %% [markdown] tags=["slide"]
# The trained network draws garments from noise
#
# {figure}
#
# ? Which of the 64 would you not take for real?

# %%
card = read_card(pretrained_folder() / "diffusion.safetensors")
begin = time.perf_counter()
x_new = shipped.sample(64, seeded(0), calls=20)
spent = time.perf_counter() - begin
plots.show(
    figures.grid(x_new, 16, "64 samples of the shipped network, none picked"),
    "A grid of 64 sampled garments: shirts, trousers, dresses, shoes, boots, bags.",
)

# %% jupyter={"source_hidden": true}
# Table: minutes and command of the shipped network, and the seconds of these samples.
facts = {
    "minutes of training": [f"{card['minutes']}"],
    "command": [card["command"]],
    f"seconds for 64 samples, 19 calls each, {torch.get_num_threads()} threads": [f"{spent:.1f}"],
}
Table(facts, ["shipped network"])

# %% [markdown] tags=["slide", "hour"]
# First comes a rough shape, last the details
#
# {film reverse}
#
# ? From which τ on can you name the garment in the estimate?

# %% [markdown]
# `calls=20` is the largest number of network calls allowed. The default sampler, Heun's method (section *Samplers*), takes two calls a step and one in its last: ten steps, 19 calls.
#
# Each step holds the noisy image $x_\tau$ and the network's current estimate of the clean image. Of 20 steps every second is shown:

# %% jupyter={"source_hidden": true}
# Plot: two reverse processes, the noisy image and the estimate at every second step.
states = recorded(shipped.states(6, seeded(5), calls=39))
chosen = range(0, len(states.t), 2)
rows = {}
for number, k in enumerate((0, 2), start=1):
    rows |= {
        f"noisy image {number}": states.x[chosen, k],
        f"estimate {number}": states.x_0[chosen, k],
    }
figure = plots.image_rows(rows, "First a rough shape, last the details")
times = [f"{states.t[k]:.1f}" for k in chosen]
plots.show(
    figures.with_columns(figure, [f"τ = {times[0]}", *times[1:]]),
    "Two processes from noise on the left to a garment on the right. In the noisy images the garment comes out "
    "of the grain late; the estimate is a blurred shape from the first step on and sharpens.",
)

# %% [markdown] tags=["slide", "extra"]
# One network denoises at levels the old autoencoder never saw
#
# | PSNR in dB | ℓ = 0.1 | 0.5 | 2 |
# |---|---|---|---|
# | autoencoder | 23.7 | 22.7 | 8.4 |
# | diffusion | 32.5 | 23.7 | 17.8 |

# %% [markdown]
# ### The denoising autoencoder, at every noise level
#
# The denoising autoencoder of chapter 02 saw one noise, $x_0 + 0.5\, \epsilon$. Divide by 1.5, and that is the straight
# path at τ = 1/3: **it has this chapter's task at one time.** Both get the same noised test images, $x_0 + \ell\, \epsilon$. (PSNR, in decibels: 3 more mean half the squared error.)

# %%
autoencoder = load_pretrained("denoising", DenoisingAutoencoder)
x, eps = test.x[:500], torch.randn(500, 1, 28, 28, generator=seeded(0))
quality = {}
for level in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0):
    tau, noised = torch.tensor(level / (1 + level)), x + level * eps
    new = in_batches(lambda v, tau=tau: shipped.estimate((1 - tau) * v, tau).x_0, noised)
    old = in_batches(autoencoder.reconstruct, noised)
    quality[level] = [psnr(v, x) for v in (noised, old.clamp(-1, 1), new.clamp(-1, 1))]

# %% jupyter={"source_hidden": true}
# Table: PSNR at six noise levels.
Table(
    {
        f"ℓ = {level:g}": [f"{level / (1 + level):.2f}", *(f"{value:.1f}" for value in row)]
        for level, row in quality.items()
    },
    ["τ", "noised", "autoencoder", "diffusion"],
    "PSNR in dB",
)

# %% jupyter={"source_hidden": true}
# Check: near each other at the autoencoder's own noise, diffusion ahead elsewhere.
assert all(quality[level][2] > quality[level][1] + 1 for level in (0.1, 2.0, 4.0))
assert abs(quality[0.5][2] - quality[0.5][1]) < 1.5
assert quality[0.1][1] < quality[0.1][0] - 1
claims.add(
    "At one time the network does the denoising autoencoder's task",
    f"diffusion against autoencoder at its own level 0.5: {quality[0.5][2]:.1f} and {quality[0.5][1]:.1f} dB; "
    f"at level 2: {quality[2.0][2]:.1f} and {quality[2.0][1]:.1f} dB",
)

# %% [markdown] tags=["slide", "extra"]
# Samples resemble their nearest training images but are no copies
#
# {figure}

# %% [markdown]
# At the autoencoder's own level, τ = 1/3, it is about 1 dB behind. At other levels it falls further behind, since it was trained for one level and is not told τ. At ℓ = 0.1 it even makes its
# input worse: it expects more noise than there is, and smooths details away.
#
# ### Copies?
#
# A network could have learnt its training images by heart. For each sample, look for the nearest of the first 30,000 training images (half of all, to save memory), by Euclidean distance of the
# pixels. Test images, which are surely no copies, show what distance is usual; that of a copy would be near 0.

# %% jupyter={"source_hidden": true}
# Plot: samples above their nearest training images.
pool = train.subset(30_000).x  # (30000, 1, 28, 28)
near = nearest(torch.cat([x_new, test.x[:200]]), pool)
fake, real = near.distance.split([64, 200])
pairs = {"sample": x_new[:12], "nearest": pool[near.indices[:12]]}
del pool
plots.show(
    plots.image_rows(pairs, "Samples resemble their nearest training images, but are no copies"),
    "Twelve samples above their nearest training images: similar shapes, other details.",
)

# %% jupyter={"source_hidden": true}
# Table and check: no sample is one of 30,000 training images; distances are about those of test images.
assert fake.min() > 1.0
claims.add(
    "The samples are no copies of 30,000 training images",
    f"median distance to the nearest of 30,000: samples {fake.median():.1f}, test images {real.median():.1f}; "
    f"the smallest of the samples {fake.min():.1f}",
)
Table(
    {
        "64 samples": [f"{fake.median():.1f}", f"{fake.min():.1f}"],
        "200 test images": [f"{real.median():.1f}", f"{real.min():.1f}"],
    },
    ["median", "smallest"],
    "distance to the nearest",
)

# %% [markdown]
# ## The way forward
#
# The first papers wrote diffusion in another way: as a long chain of small random steps. From here to *Samplers* this chapter derives that theory. It gives the
# same network, and it says in which sense the loss is a likelihood.
#
# There are two processes, each a **probabilistic process** (확률적 과정). The **forward process** (점진적으로 가우시안 노이즈를
# 추가) q adds Gaussian noise in T steps, until nothing is left of the image. Nothing in it is learnt. The **reverse process** (역과정)
# $p_\theta$ goes back from noise to an image; this one is learnt.
#
# $$q(x_t|x_{t-1}) = \mathcal{N}\left(\sqrt{1-\beta_t}\,x_{t-1},\; \beta_t I\right), \qquad
# p_\theta(x_{t-1}|x_t) = \mathcal{N}\left(\mu_\theta(x_t, t),\; c_t^2 I\right)$$
#
# A step forward shrinks the image a little and adds a little noise, of variance $\beta_t$. A step back draws around a mean $\mu_\theta$ that the network
# computes. Its variance $c_t^2$ is a choice. We take that of the step back if $x_0$ is known (*The way back*), so that the learnt step differs from that one in its mean only.
#
# | Symbol | Meaning | Shape |
# |---|---|---|
# | t, T, $x_t$ | step in a table, 1 to T, and the noised image there. From *Samplers* on, and in all widgets, t and $x_t$ stand for both paths | number; as $x_0$ |
# | $\beta_t$, $\alpha_t$, $\bar\alpha_t$ | variance added in step t; $1 - \beta_t$; the product $\alpha_1 \cdots \alpha_t$, with $\bar\alpha_0 = 1$. (β in chapter 03 is a weight) | numbers |
# | $\epsilon_t$ | the noise added in step t | as $x_0$ |
# | $\text{signal}_t$, $\sigma_t$ | factors of image and noise: $x_t = \text{signal}_t\, x_0 + \sigma_t\, \epsilon$, on either path; $\ell = \sigma_t / \text{signal}_t$ | numbers |
# | $\mathrm{SNR}_t$ | signal-to-noise ratio $\text{signal}_t^2 / \sigma_t^2$ | number |
# | $q$, $p_\theta$ | the fixed forward process, the learnt reverse process | densities |
# | $\tilde\mu_t$, $c_t$ | mean and standard deviation of $q(x_{t-1} \mid x_t, x_0)$; with two times s < t also of $q(x_s \mid x_t, x_0)$ | as $x_0$; number |
# | $\mu_\theta$, $\epsilon_\theta$ | the network's estimates of $\tilde\mu_t$ and of ε | as $x_0$ |

# %% [markdown] tags=["slide", "steps"]
# Two processes: one is fixed, one is learnt
#
# $$q(x_t|x_{t-1}) = \mathcal{N}\left(\sqrt{1-\beta_t}\,x_{t-1},\; \beta_t I\right)$$
#
# forward: shrinks, adds a little noise
#
# $$p_\theta(x_{t-1}|x_t) = \mathcal{N}\left(\mu_\theta(x_t, t),\; c_t^2 I\right)$$
#
# reverse: the network gives the mean

# %% [markdown] tags=["slide", "steps"]
# All steps forward are a single one
#
# $$x_t = \sqrt{\alpha_t}\, x_{t-1} + \sqrt{\beta_t}\, \epsilon_t, \qquad \alpha_t = 1 - \beta_t$$
#
# one step, written out
#
# $$\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t = 1 - \alpha_t \bar\alpha_{t-1} = 1 - \bar\alpha_t$$
#
# variances add up
#
# $$q(x_t|x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\, x_0,\; (1 - \bar\alpha_t) I\right)$$
#
# so all steps are one
#
# ? Why must training not run a thousand steps for each image?

# %% [markdown]
# ### Step by step, or all at once
#
# Training must not run a thousand steps for each image, and it need not. One step is
# $x_t = \sqrt{\alpha_t}\, x_{t-1} + \sqrt{\beta_t}\, \epsilon_t$ with $\alpha_t = 1 - \beta_t$. Start with $\bar\alpha_0 = 1$: $x_0$ itself, without noise. Suppose that $x_{t-1}$ is
# $\sqrt{\bar\alpha_{t-1}}\, x_0$ plus Gaussian noise of variance $1 - \bar\alpha_{t-1}$. Then $x_t$ is
# $\sqrt{\alpha_t \bar\alpha_{t-1}}\, x_0$ plus Gaussian noise. Variances of independent noises add up:
# $\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t = \alpha_t - \alpha_t \bar\alpha_{t-1} + 1 - \alpha_t = 1 - \alpha_t \bar\alpha_{t-1}$. So all steps up to t are one:
#
# $$q(x_t|x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\, x_0,\; (1 - \bar\alpha_t) I\right),
# \qquad \bar\alpha_t = \alpha_1 \alpha_2 \cdots \alpha_t$$
#
# That is a mixture of image and noise, as on the straight path, with the factors $\text{signal}_t = \sqrt{\bar\alpha_t}$ and
# $\sigma_t = \sqrt{1 - \bar\alpha_t}$. The squares of the two add up to 1: data of variance 1 would keep it. (Our images have less.)
#
# **Predict:** with the paper's schedule ($T = 1000$, $\beta_t$ rising from 0.0001 to 0.02), what is the variance of the noise in $x_{300}$:
# about 0.3, 0.5, or 0.6? (At the end it is 1.)
#
# <details><summary>Answer</summary>
#
# 0.60. After 1,000 steps hardly anything else is left.
#
# </details>

# %% [markdown] tags=["slide", "extra", "predict"]
# How much noise is in step 300 of 1,000?
#
# $\beta_t$ rises from 0.0001 to 0.02.
#
# Variance of the noise in $x_{300}$: about 0.3, 0.5 or 0.6?

# %% [markdown] tags=["slide", "extra"]
# After 300 of 1,000 steps the noise has variance 0.60
#
# {film forward}

# %%
n, start = 50_000, 0.8  # 50,000 times the same one-pixel image
x, rows, rng = torch.full((n,), start), {}, seeded(0)
for t in range(1, 1001):
    beta_t = table.beta[t]
    x = (1 - beta_t).sqrt() * x + beta_t.sqrt() * torch.randn(n, generator=rng)
    if t in (10, 100, 300, 1000):
        bar_t = table.alpha_bar[t]
        rows[t] = [x.mean(), bar_t.sqrt() * start, x.var(), 1 - bar_t]

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table: mean and variance after many steps and by the closed form.
names = ["mean, stepwise", "mean, one step", "variance, stepwise", "variance, one step"]
Table({f"{t:,}": [f"{value:.4f}" for value in row] for t, row in rows.items()}, names, "t")

# %% jupyter={"source_hidden": true}
# Check: mean and variance agree within five standard errors.
for mean, right, variance, right_variance in rows.values():
    assert abs(mean - right) < 5 * (right_variance / n).sqrt()
    assert abs(variance - right_variance) < 5 * (2 / n) ** 0.5 * right_variance
claims.add(
    "Gaussian noise is added gradually and destroys the data",
    f"after 300 steps the variance of the noise is {rows[300][2]:.4f}, in one step by the closed form "
    f"{rows[300][3]:.4f}; after 1,000 steps a mean of {rows[1000][1]:.4f} is left of {start}",
)

# %% [markdown] tags=["slide"]
# Linear loses the signal first; all end in noise
#
# {figure}
#
# ? Where does the linear schedule spend steps on nothing?

# %% [markdown]
# ### Schedules
#
# A **schedule** decides how fast the signal falls. Four of them:
#
# | Schedule | Formula | Source |
# |---|---|---|
# | linear | $\beta_t = \beta_1 + (\beta_T - \beta_1) \frac{t - 1}{T - 1}$ with $\beta_1 = 0.0001$, $\beta_T = 0.02$ | Ho et al. 2020 |
# | cosine | $\bar\alpha_t = f(t) / f(0)$ with $f(t) = \cos^2\left(\frac{\pi}{2} \cdot \frac{t/T + 0.008}{1.008}\right)$, every $\beta_t \le 0.999$ | Nichol & Dhariwal 2021, [2102.09672](https://arxiv.org/abs/2102.09672) |
# | sigmoid | $\beta_t = \beta_1 + (\beta_T - \beta_1) / \left(1 + e^{6 - 12 (t - 1)/(T - 1)}\right)$, the same $\beta_1$, $\beta_T$ | as in the library `diffusers` |
# | straight | $\text{signal}_\tau = 1 - \tau$, $\sigma_\tau = \tau$, τ in [0, 1] | Liu et al. 2022 |
#
# They are compared by the **signal-to-noise ratio** $\mathrm{SNR}_t = \text{signal}_t^2 / \sigma_t^2$. For the three tables it is
# $\bar\alpha_t / (1 - \bar\alpha_t)$, and the share of the power (the mean square) that is signal is $\mathrm{SNR}_t / (1 + \mathrm{SNR}_t)$, for data of power 1.

# %%
share, log_snr = {}, {}
for name, make in SCHEDULES.items():
    schedule = make(1000)
    t = schedule.times(200).flip(0)  # 201 times from 0 to the end
    log_snr[name] = schedule.log_snr(t)
    share[name] = log_snr[name].sigmoid()

# %% jupyter={"source_hidden": true}
# Plot: share of signal and log SNR of the four schedules.
plots.show(
    figures.schedules(share, log_snr),
    "Left: four curves fall from 1 to 0; the linear schedule's falls first, the cosine's and the straight "
    "path's in the middle. Right: the log SNR of all four falls from above 8 to below -8.",
)

# %% jupyter={"source_hidden": true}
# Table and check: each schedule ends with almost no signal; the formulas above are the library's.
beta_1, beta_T, steps = 1e-4, 0.02, torch.linspace(0, 1, 1_000, dtype=torch.float64)
h, f = 12 * steps - 6, lambda t: torch.cos(torch.pi / 2 * (t / 1_000 + 0.008) / 1.008) ** 2
t = torch.arange(1_000, dtype=torch.float64)  # the last beta of the cosine is cut off
torch.testing.assert_close(linear().beta[1:], beta_1 + (beta_T - beta_1) * steps)
by_sigmoid = beta_1 + (beta_T - beta_1) / (1 + torch.exp(-h))
torch.testing.assert_close(SCHEDULES["sigmoid"](1_000).beta[1:], by_sigmoid)
torch.testing.assert_close(SCHEDULES["cosine"](1_000).alpha_bar[:-1], f(t) / f(t[:1]))
assert all(values[-1] < 1e-4 for values in share.values())
halfway = {name: (values > 0.5).double().mean().item() for name, values in share.items()}
Table(
    {name: [f"{values[-1]:.1e}", f"{halfway[name]:.2f}"] for name, values in share.items()},
    ["signal left at the end", "half the power is signal at t / T"],
    "schedule",
)

# %% [markdown] tags=["slide", "extra"]
# At equal signal-to-noise ratio two schedules see the same picture
#
# $$\frac{x_t}{\text{signal}_t + \sigma_t} = x_\tau, \qquad \tau = \frac{\sigma_t}{\text{signal}_t + \sigma_t}$$
#
# So one network serves every schedule, up to a scale and a time.

# %% [markdown]
# Each ends with next to no signal, and must: sampling starts from pure noise $\mathcal{N}(0, I)$ (see *Break it*).
#
# **Two schedules at the same SNR see the same picture**, one of them scaled. Divide $x_t$ by
# $\text{signal}_t + \sigma_t$: the factors of image and noise then add up to 1, so the result is a point of the straight path, at the time
# $\tau = \sigma_t / (\text{signal}_t + \sigma_t)$. This is the first half of why the two descriptions are one:

# %%
t = torch.tensor(300.0, dtype=torch.float64)
scale, tau = straightened(table, t)  # signal_t + sigma_t, and the time on the straight path
x_0, eps = test.x[:8].double(), torch.randn(8, 1, 28, 28, generator=seeded(0), dtype=torch.float64)
off = (table.noised(x_0, t, eps) / scale - Straight().noised(x_0, tau, eps)).abs().max()
assert off < 1e-9
Table({"t = 300": [f"{tau:.4f}", f"{scale:.4f}", f"{off:.0e}"]}, ["τ", "scale", "difference"])

# %% [markdown]
# **Explore schedules.** The same curves, and what they do to an image (shares are computed as if the image had power 1).
#
# 1. Linear, T = 1,000: from which t on can you no longer tell what it is? What is the log SNR there?
# 2. Set T to 100 and leave $\beta_T$. What stands at the end? Which $\beta_T$ repairs it?
# 3. Compare linear and cosine at t/T = 0.7. Which one spends time where nothing is left to see?
#
# <details><summary>Answers</summary>
#
# 1. At about t = 500: a boot is a faint bright patch, and the kind of garment can hardly be named. The log SNR there is −2.5: noise has about twelve times the power of the signal.
# 2. 36 % of the power is still signal, so the image shows through. Of the values offered, only $\beta_T$ = 0.2 leaves almost nothing; 0.05 still leaves 8 %.
# 3. The linear one: 0.7 % of the power is signal there, with the cosine 20 %. From here on the linear schedule has 300 steps with nothing to see.
#
# </details>

# %% tags=["widget"]
ScheduleExplorer()

# %% [markdown]
# ## The way back
#
# ### If $x_0$ is known
#
# Where did $x_t$ come from? If $x_0$ is known, Bayes' rule answers exactly:
#
# $$q(x_{t-1}|x_t, x_0) \propto q(x_t|x_{t-1})\; q(x_{t-1}|x_0)$$
#
# (Given $x_{t-1}$, the step to $x_t$ does not look at $x_0$.) Both factors are Gaussian in $x_{t-1}$, so the product is, too. The
# **precisions** (1 / variance) add up:
#
# - the step says that $x_{t-1}$ is near $x_t / \sqrt{\alpha_t}$, with variance $\beta_t / \alpha_t$ (solve $x_t = \sqrt{\alpha_t}\, x_{t-1} + \sqrt{\beta_t}\, \epsilon_t$ for $x_{t-1}$);
# - the image says that it is near $\sqrt{\bar\alpha_{t-1}}\, x_0$, with variance $1 - \bar\alpha_{t-1}$.
#
# $$\frac{1}{c_t^2} = \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}
# = \frac{\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t}{\beta_t\, (1 - \bar\alpha_{t-1})} = \frac{1 - \bar\alpha_t}{\beta_t\, (1 - \bar\alpha_{t-1})}$$
#
# The last equality uses $\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t = 1 - \bar\alpha_t$, as in *Step by step*. The mean is $c_t^2$ times the sum of both means, each times its precision:
# $\tilde\mu_t = c_t^2 \left(\frac{\alpha_t}{\beta_t} \cdot \frac{x_t}{\sqrt{\alpha_t}} + \frac{\sqrt{\bar\alpha_{t-1}}\, x_0}{1 - \bar\alpha_{t-1}}\right)$. Together:
#
# $$\boxed{q(x_{t-1}|x_t, x_0) = \mathcal{N}(\tilde\mu_t, c_t^2 I)}, \qquad
# c_t^2 = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t} \beta_t, \qquad
# \tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\, \beta_t}{1 - \bar\alpha_t} x_0
# + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} x_t$$
#
# (eqs. 6 and 7 of Ho et al.) The check computes it a second way: multiply the two densities on a grid.

# %% [markdown] tags=["slide", "extra", "steps"]
# If $x_0$ is known, the step back is a Gaussian
#
# $$q(x_{t-1}|x_t, x_0) \propto q(x_t|x_{t-1})\; q(x_{t-1}|x_0)$$
#
# Bayes: both factors Gaussian
#
# $$\frac{1}{c_t^2} = \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}$$
#
# precisions add up
#
# $$\tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\, \beta_t}{1 - \bar\alpha_t} x_0
# + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} x_t$$
#
# means, each times its precision

# %%
t, x_0, x_t = 60, 0.8, -0.3
alpha_t, beta_t = table.alpha[t], table.beta[t]
bar_t, bar_s = table.alpha_bar[t], table.alpha_bar[t - 1]
grid = torch.linspace(-3, 3, 60_001, dtype=torch.float64)  # x_{t-1}
step = Normal(alpha_t.sqrt() * grid, beta_t.sqrt()).log_prob(torch.tensor(x_t))
image = Normal(bar_s.sqrt() * x_0, (1 - bar_s).sqrt()).log_prob(grid)
weight = (step + image).softmax(0)
by_bayes = (weight * grid).sum()
spread = (weight * (grid - by_bayes) ** 2).sum().sqrt()

c_t = ((1 - bar_s) / (1 - bar_t) * beta_t).sqrt()
mu_t = (bar_s.sqrt() * beta_t * x_0 + alpha_t.sqrt() * (1 - bar_s) * x_t) / (1 - bar_t)

# %% jupyter={"source_hidden": true}
# Table and check: the Gaussian by Bayes' rule on a grid, by the formula, and by the library.
moment = torch.tensor([t, t - 1], dtype=torch.float64)
library = posterior(table, *torch.tensor([[x_t], [x_0]], dtype=torch.float64), *moment)
ways = {"Bayes": (by_bayes, spread), "formula": (mu_t, c_t), "library": library}
found = {}
for name, (mean, std) in ways.items():
    assert abs(float(mean) - mu_t) < 1e-5 > abs(float(std) - c_t)
    found[name] = [f"{float(mean):.6f}", f"{float(std):.6f}"]
claims.add(
    "Reverse process p_θ(x_{t-1} | x_t) restores the data step by step",
    "exact only if x_0 is known; a learnt step puts an estimate of x_0 in its place. With x_0 known the step is a Gaussian: "
    f"mean {found['formula'][0]}, standard deviation {found['formula'][1]} by the formula, {found['Bayes'][0]} and "
    f"{found['Bayes'][1]} by Bayes' rule on a grid",
    "holds with a condition",
)
Table(found, ["mean", "standard deviation"])

# %% [markdown] tags=["slide", "steps"]
# The bound compares each step back with one that knows $x_0$
#
# $$-\log p_\theta(x_0) \le \mathrm{KL}(q(x_T|x_0) \Vert p(x_T))$$
#
# ends in noise: nothing to learn
#
# $$+ \sum_{t=2}^{T} \mathbb{E}_q\, \mathrm{KL}(q(x_{t-1}|x_t, x_0) \Vert p_\theta(x_{t-1}|x_t))$$
#
# each step back
#
# $$- \mathbb{E}_q \log p_\theta(x_0|x_1)$$
#
# the last step
#
# ? In chapter 03 the encoder was learnt. Who is the encoder here?

# %% [markdown]
# ### The bound, step by step
#
# When sampling, $x_0$ is not known. $p_\theta$ has to step back without it. As in chapter 03, $p_\theta$ is judged by the likelihood that it gives to images, or by a
# bound on it. The latent variables are now all the noised images $x_1 \dots x_T$, and q is an encoder that has nothing to learn. Both are chains. The reverse chain starts, as sampling does, at noise, $p(x_T) = \mathcal{N}(0, I)$:
#
# $$q(x_1, \dots, x_T | x_0) = \prod_{t=1}^{T} q(x_t|x_{t-1}), \qquad p_\theta(x_0, \dots, x_T) = p(x_T) \prod_{t=1}^{T} p_\theta(x_{t-1}|x_t)$$
#
# **1. The ELBO of chapter 03**, with $x_1 \dots x_T$ in place of its z:
#
# $$-\log p_\theta(x_0) \le \mathbb{E}_q\left[\log \frac{q(x_1, \dots, x_T | x_0)}{p_\theta(x_0, x_1, \dots, x_T)}\right]$$
#
# **2. Put in the two products:**
#
# $$= \mathbb{E}_q\left[-\log p(x_T) + \sum_{t=1}^{T} \log \frac{q(x_t|x_{t-1})}{p_\theta(x_{t-1}|x_t)}\right]$$
#
# A KL divergence needs two densities of the same variable, but here q is one of $x_t$ and $p_\theta$ one of $x_{t-1}$. So q must be turned around.
#
# **3. Turn q around** by Bayes' rule, for t > 1. Given $x_{t-1}$, the step to $x_t$ does not look at $x_0$, so $q(x_t|x_{t-1}) = q(x_t|x_{t-1}, x_0)$, and
#
# $$q(x_t|x_{t-1}) = q(x_{t-1}|x_t, x_0)\, \frac{q(x_t|x_0)}{q(x_{t-1}|x_0)}$$
#
# **4. The fractions cancel in a row.** Their product for t = 2 ... T is
# $\frac{q(x_2|x_0)}{q(x_1|x_0)} \cdot \frac{q(x_3|x_0)}{q(x_2|x_0)} \cdots \frac{q(x_T|x_0)}{q(x_{T-1}|x_0)} = \frac{q(x_T|x_0)}{q(x_1|x_0)}$, and the
# denominator cancels the step that was not turned, $q(x_1|x_0)$. What is left:
#
# $$= \mathbb{E}_q\left[\log \frac{q(x_T|x_0)}{p(x_T)} + \sum_{t=2}^{T} \log \frac{q(x_{t-1}|x_t, x_0)}{p_\theta(x_{t-1}|x_t)}
# - \log p_\theta(x_0|x_1)\right]$$
#
# **5. A mean of log q/p over q is a KL divergence:**
#
# $$-\log p_\theta(x_0) \le \underbrace{\mathrm{KL}(q(x_T|x_0) \Vert p(x_T))}_{\text{ends in noise?}}
# + \sum_{t=2}^{T} \mathbb{E}_q \underbrace{\mathrm{KL}(q(x_{t-1}|x_t, x_0) \Vert p_\theta(x_{t-1}|x_t))}_{\text{each step back}}
# \; \underbrace{- \mathbb{E}_q \log p_\theta(x_0|x_1)}_{\text{the last step}}$$
#
# The first term holds nothing to learn. It is small if the schedule ends in noise: with the table about 0.01 nats for an image. The second compares each step back with the step of one who knows $x_0$
# (the mean is over $x_t$, the KL over $x_{t-1}$). The third asks that the last step gives back the image. At t = 1 the formula above gives $c_1 = 0$, since $\bar\alpha_0 = 1$; so this last step needs a variance of its own. (Ho et al., eq. 5. The check below computes lines 2 and 4 for a random path: they are equal to rounding.)

# %% [markdown] tags=["slide", "extra", "steps"]
# Bayes turns each q around, and the fractions cancel
#
# $$-\log p_\theta(x_0) \le \mathbb{E}_q\left[-\log p(x_T) + \sum_{t=1}^{T} \log \frac{q(x_t|x_{t-1})}{p_\theta(x_{t-1}|x_t)}\right]$$
#
# the ELBO with both chains
#
# $$q(x_t|x_{t-1}) = q(x_{t-1}|x_t, x_0)\, \frac{q(x_t|x_0)}{q(x_{t-1}|x_0)}$$
#
# Bayes' rule, for t > 1
#
# $$\mathbb{E}_q\left[\log \frac{q(x_T|x_0)}{p(x_T)} + \sum_{t=2}^{T} \log \frac{q(x_{t-1}|x_t, x_0)}{p_\theta(x_{t-1}|x_t)}
# - \log p_\theta(x_0|x_1)\right]$$
#
# the fractions cancel in a row

# %% jupyter={"source_hidden": true}
# Check: lines 2 and 4 agree on a random path, for any reverse process.
short = linear(20, 0.01, 0.3)
beta, bar = short.beta, short.alpha_bar
rng = seeded(0)
path = [torch.tensor(0.7, dtype=torch.float64)]
for t in range(1, 21):
    fresh = torch.randn((), generator=rng, dtype=torch.float64)
    path.append((1 - beta[t]).sqrt() * path[-1] + beta[t].sqrt() * fresh)
line_2 = line_4 = -Normal(0.0, 1.0).log_prob(path[20])
line_4 = line_4 + Normal(bar[20].sqrt() * path[0], (1 - bar[20]).sqrt()).log_prob(path[20])
for t in range(1, 21):
    back = Normal(torch.tanh(path[t]), 0.3 + 0.01 * t).log_prob(path[t - 1])  # any p_theta
    step = Normal((1 - beta[t]).sqrt() * path[t - 1], beta[t].sqrt()).log_prob(path[t])
    line_2, line_4 = line_2 + step - back, line_4 - back
    if t > 1:
        moment = torch.tensor([t, t - 1], dtype=torch.float64)
        mean, std = posterior(short, path[t][None], path[0][None], *moment)
        line_4 = line_4 + Normal(mean[0], std).log_prob(path[t - 1])
torch.testing.assert_close(line_2, line_4)

# %% [markdown] tags=["slide", "steps"]
# For t > 1 the bound is a weighted squared error
#
# $$\mathrm{KL} = \frac{\lVert \tilde\mu_t - \mu_\theta \rVert^2}{2 c_t^2}$$
#
# same variance: only the means count
#
# $$\tilde\mu_t - \mu_\theta = \frac{\beta_t}{\sqrt{\alpha_t} \sqrt{1 - \bar\alpha_t}} (\epsilon_\theta - \epsilon)$$
#
# they differ in the noise only
#
# $$\mathrm{KL} = \lambda_t\, \lVert \epsilon - \epsilon_\theta \rVert^2$$
#
# the simple loss sets λ to 1

# %% [markdown]
# ### From KL to a squared error
#
# Both sides of a step are Gaussians of the same variance $c_t^2$. Then only the means count: in
# $\mathbb{E}_q[\log q - \log p_\theta]$ the constants cancel, and what is left is the distance of the means,
#
# $$\mathrm{KL} = \frac{\lVert \tilde\mu_t - \mu_\theta \rVert^2}{2 c_t^2} .$$
#
# The network is asked for the noise. An estimate $\epsilon_\theta$ is an estimate of the image,
# $\hat x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\, \epsilon_\theta)/\sqrt{\bar\alpha_t}$. Put it into the formula of $\tilde\mu_t$. The factor of $x_t$ becomes
# $\frac{\beta_t + \alpha_t (1 - \bar\alpha_{t-1})}{\sqrt{\alpha_t}\, (1 - \bar\alpha_t)} = \frac{1}{\sqrt{\alpha_t}}$, since $\sqrt{\bar\alpha_{t-1} / \bar\alpha_t} = 1/\sqrt{\alpha_t}$ and $\beta_t + \alpha_t (1 - \bar\alpha_{t-1}) = 1 - \bar\alpha_t$. That of $\epsilon_\theta$ becomes $-\beta_t / (\sqrt{\alpha_t} \sqrt{1 - \bar\alpha_t})$. So
#
# $$\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}} \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \epsilon\right), \qquad
# \mu_\theta = \frac{1}{\sqrt{\alpha_t}} \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \epsilon_\theta\right)$$
#
# The two differ in the noise only, so
#
# $$\mathrm{KL} = \lambda_t\, \lVert \epsilon - \epsilon_\theta \rVert^2,
# \qquad \lambda_t = \frac{\beta_t^2}{2 c_t^2\, \alpha_t (1 - \bar\alpha_t)} .$$
#
# **For t > 1 the bound is a weighted squared error.** Ho et al. replace every weight by 1 and take t = 1 in as well, where $c_1 = 0$ and the formula gives no $\lambda_1$. That is their **simple loss**,
# $\mathbb{E}\, \lVert \epsilon - \epsilon_\theta(x_t, t) \rVert^2$ with t drawn uniformly from 1 to T.
#
# **Predict:** compared with the bound, which steps does the simple loss count more: the nearly clean ones (small t) or the noisy ones?
# By what factor do $\lambda_2$ and $\lambda_{500}$ differ: 2, 10 or 100?
#
# <details><summary>Answer</summary>
#
# The noisy ones. $\lambda_2$ is about a hundred times $\lambda_{500}$: in the bound the nearly clean steps count most. The simple loss counts all steps alike.
#
# </details>


# %% [markdown] tags=["slide", "extra", "predict"]
# Which steps does the simple loss count more?
#
# The nearly clean ones or the noisy ones, compared with the bound?
#
# By what factor do $\lambda_2$ and $\lambda_{500}$ differ: 2, 10 or 100?

# %% [markdown] tags=["slide", "extra"]
# The bound counts nearly clean steps a hundred times more
#
# | t | 2 | 10 | 100 | 500 | 1,000 |
# |---|---|---|---|---|---|
# | $\lambda_t$ | 0.59967 | 0.08644 | 0.01027 | 0.00551 | 0.01020 |
#
# The simple loss counts all steps alike.


# %%
def weight_of(t):  # lambda_t
    alpha_t, beta_t = table.alpha[t], table.beta[t]
    bar_t, bar_s = table.alpha_bar[t], table.alpha_bar[t - 1]
    c_squared = (1 - bar_s) / (1 - bar_t) * beta_t
    return (beta_t**2 / (2 * c_squared * alpha_t * (1 - bar_t))).item()


bound_weights = {t: weight_of(t) for t in (2, 10, 100, 500, 1000)}

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: KL by the library's Gaussians is lambda_t times the squared error; the first term is small.
eps, other = torch.randn(2, 784, generator=seeded(0), dtype=torch.float64)
x_0, rows = test.x[0].double().flatten(), {}
for t, weight in bound_weights.items():
    bar_t = table.alpha_bar[t]
    x_t = bar_t.sqrt() * x_0 + (1 - bar_t).sqrt() * eps
    taken = (x_t - (1 - bar_t).sqrt() * other) / bar_t.sqrt()  # the image, if other were the noise
    moment = torch.tensor([t, t - 1], dtype=torch.float64)
    (right, c_t), (found, _) = (posterior(table, x_t, v, *moment) for v in (x_0, taken))
    divergence = kl_divergence(Normal(right, c_t), Normal(found, c_t)).sum()
    squared = (eps - other).square().sum()
    assert abs(weight * squared / divergence - 1) < 1e-6
    rows[f"{t:,}"] = [f"{divergence:.2f}", f"{weight * squared:.2f}", f"{weight:.5f}"]
end = Normal(table.alpha_bar[-1].sqrt() * x_0, (1 - table.alpha_bar[-1]).sqrt())
first_term = kl_divergence(end, Normal(0.0, 1.0)).sum()
assert bound_weights[2] > 30 * bound_weights[500]
assert first_term < 0.1
claims.add(
    "Forward process q(x_t | x_{t-1}) ends in noise",
    f"after T = 1,000 steps q(x_T|x_0) is {first_term:.4f} nats from N(0, I) for an image",
)
assert bound_weights[500] < bound_weights[1000] < 0.1 * bound_weights[2]
assert min(range(2, 1_001), key=weight_of) == 350
Table(rows, ["KL in nats", "λ times squared error", "λ"], "t")

# %% [markdown] tags=["slide", "extra"]
# Velocity, noise and image are one answer, weighted differently
#
# | the network answers with | an error in $\hat x_0$ counts |
# |---|---|
# | $x_0$ | 1 |
# | $\epsilon$ | SNR |
# | velocity | $(1 + \sqrt{\mathrm{SNR}})^2$ |

# %% [markdown]
# The table's KL is for one random answer, the same at all t. λ falls until t = 350 and then rises a little with $\beta_t$.
#
# Why leave the weights out? The likelihood rewards the finest grain of the pixels, which nobody sees. The simple loss spends more of the
# training on the noisy steps, where the shape is decided. (Ho et al. report better samples with it; this chapter does not measure that.)
#
# ### Why the two are one
#
# The program's network predicts the velocity on the straight path, the one of Ho et al. predicts ε on a table. Both are the same network up to arithmetic:
#
# 1. **Same input.** At the same SNR, $x_t$ is $x_\tau$ up to a scale (end of *The way forward*).
# 2. **Same answer.** A target is a mixture $a\, x_0 + b\, \epsilon$: $x_0$ itself; ε; the velocity $\epsilon - x_0$; or
#    $v = \text{signal}_t\, \epsilon - \sigma_t\, x_0$ (Salimans & Ho 2022, [2202.00512](https://arxiv.org/abs/2202.00512)).
#    $x_t$ is a second mixture, and it is known. Wherever signal and σ are both above 0, two linear equations give $\hat x_0$ and $\hat\epsilon$ from any of these answers, so each answer is a linear
#    function of each other. (At τ = 1 $x_\tau$ is ε itself: an answer in ε says nothing about $x_0$. That is one reason to learn the velocity.)
# 3. **Same loss up to weights.** What differs is how much an error at each time counts. Since $\hat\epsilon = (x_t - \text{signal}_t\, \hat x_0)/\sigma_t$, an error in $\hat x_0$ is one of $-\sqrt{\mathrm{SNR}}$ times its size in $\hat\epsilon$.
#    Squared, it counts SNR times for ε, $(1 + \sqrt{\mathrm{SNR}})^2$ times for the velocity and, in a table, 1 + SNR times for v. Times drawn more often are a weight, too.
#
# The next cell answers at random, writes the same answer as each of the four targets, and compares the losses.

# %%
cosine = SCHEDULES["cosine"](1000)
t = torch.tensor([100.0, 300.0, 500.0, 700.0, 900.0], dtype=torch.float64)
x_0, eps, v = torch.randn(3, 5, 1, 8, 8, generator=seeded(0), dtype=torch.float64)  # v: any answer
x_t, (signal, sigma) = cosine.noised(x_0, t, eps), cosine.scales(t, x_0)
estimate = solve("v", v, x_t, signal, sigma)  # the image and the noise that this answer means
mistake = (estimate.x_0 - x_0).square().mean(dim=(1, 2, 3))
counts = {}
for name, mixture in TARGETS.items():
    a, b = mixture(signal, sigma)
    answer = a * estimate.x_0 + b * estimate.eps  # the same answer in other words
    counts[name] = (answer - a * x_0 - b * eps).square().mean(dim=(1, 2, 3)) / mistake

# %% jupyter={"source_hidden": true}
# Table and check: how much an error in the image counts for each target, and its formula in the SNR.
snr = cosine.snr(t)
expected = {"x_0": 1 + 0 * snr, "eps": snr, "v": 1 + snr, "velocity": (1 + snr.sqrt()) ** 2}
for name, mixture in TARGETS.items():
    a, b = mixture(signal, sigma)
    again = solve(name, a * estimate.x_0 + b * estimate.eps, x_t, signal, sigma)
    torch.testing.assert_close(again.x_0, estimate.x_0)
    torch.testing.assert_close(again.eps, estimate.eps)
    torch.testing.assert_close(counts[name], expected[name])
formulas = {"x_0": "1", "eps": "SNR", "v": "1 + SNR", "velocity": "(1 + √SNR)²"}
Table(
    {name: [formulas[name], *(f"{value:.3f}" for value in row)] for name, row in counts.items()},
    ["formula", *(f"SNR {value:.3f}" for value in snr)],
    "target",
)

# %% [markdown]
# At high noise (right) a loss on ε hardly asks for the image: an error in $\hat x_0$ counts next to nothing. The velocity always counts it at least once. Either way the best
# network knows the same $\hat x_0$ wherever there is some signal and some noise. A network trained on the straight path can therefore be used with any table: *Break it* does so.

# %% [markdown]
# ## Samplers
#
# A sampler is a way to use the estimates. All of them go from t to an earlier time s; the network is not trained again.
#
# **DDIM** (Song, Meng & Ermon 2020, [2010.02502](https://arxiv.org/abs/2010.02502)): estimate
# $x_0$ and ε, and noise $\hat x_0$ again with that same $\hat\epsilon$, only less. No fresh noise is drawn, so an
# image is a function of its first noise. On the straight path this is the `euler` of *Build*, as its check has shown.


# %% [markdown] tags=["slide", "extra", "steps"]
# DDIM noises its own estimate again, only less
#
# ```python
# bar_t, bar_s = table.alpha_bar[t], table.alpha_bar[s]
#
# x_0 = (x_t - (1 - bar_t).sqrt() * eps) / bar_t.sqrt()
#
# return bar_s.sqrt() * x_0 + (1 - bar_s).sqrt() * eps
# ```


# %%
def ddim_step(x_t, eps, t, s, table):
    bar_t, bar_s = table.alpha_bar[t], table.alpha_bar[s]
    x_0 = (x_t - (1 - bar_t).sqrt() * eps) / bar_t.sqrt()
    return bar_s.sqrt() * x_0 + (1 - bar_s).sqrt() * eps


check_ddim_step(ddim_step)  # compares it with the library's

# %% [markdown] tags=["slide", "extra", "steps"]
# Heun looks ahead and steps with the mean velocity
#
# ```python
# u = net(x, tau.expand(len(x)), None)
#
# x_s = x + (s - tau) * u  # the step of Euler
#
# u_s = net(x_s, s.expand(len(x)), None)
# return x + (s - tau) * (u + u_s) / 2
# ```

# %% [markdown]
# **Ancestral** (Ho et al.): draw from q with the estimate $\hat x_0$ in place of $x_0$. Take any two times s < t on either path. $x_t$ is distributed as $\rho\, x_s$, with $\rho = \text{signal}_t / \text{signal}_s$, plus noise of variance $\sigma_t^2 - \rho^2 \sigma_s^2$.
# In the framed formula put $\rho^2$ for $\alpha_t$ and this variance for $\beta_t$:
#
# $$q(x_s|x_t, x_0) = \mathcal{N}(\tilde\mu, c^2 I), \qquad c^2 = \frac{\sigma_s^2}{\sigma_t^2} \left(\sigma_t^2 - \rho^2 \sigma_s^2\right), \qquad
# \tilde\mu = \rho\, \frac{\sigma_s^2}{\sigma_t^2}\, x_t + \text{signal}_s \left(1 - \rho^2 \frac{\sigma_s^2}{\sigma_t^2}\right) x_0$$
#
# Every step but the last draws fresh noise ζ; at s = 0, $c = 0$.
#
# **DDIM with η** between 0 and 1 replaces a part of the estimated noise by fresh noise: $x_s = \text{signal}_s\, \hat x_0 + \sqrt{\sigma_s^2 - \eta^2 c^2}\; \hat\epsilon + \eta\, c\, \zeta$. With η = 0
# this is the cell above, with η = 1 the ancestral sampler.
#
# **Heun's method** makes an Euler step, looks at the velocity there, and repeats the step with the mean of both velocities: two network calls a step, and a
# smaller error (Karras et al. 2022, [2206.00364](https://arxiv.org/abs/2206.00364)). The last step takes one call: at τ = 0 the input holds no noise whose velocity could be estimated.


# %%
def heun_step(net, x, tau, s):
    u = net(x, tau.expand(len(x)), None)
    x_s = x + (s - tau) * u  # the step of Euler
    if s == 0:
        return x_s
    u_s = net(x_s, s.expand(len(x)), None)
    return x + (s - tau) * (u + u_s) / 2


# %% jupyter={"source_hidden": true}
# Check: DDIM draws no noise, the ancestral sampler does; the step of Heun and the formula of q are the library's.
runs = {
    name: [
        list(shipped.states(4, seeded(1), sampler=kind(shipped.schedule), calls=10))[-1].x
        for _ in range(2)
    ]
    for name, kind in samplers.items()
}
z = torch.randn(4, 1, 28, 28, generator=seeded(1))
again = {}
for name in ("DDIM", "ancestral"):
    sampler = samplers[name](shipped.schedule)
    *_, last = sampler.states(shipped.denoiser(), z, sampler.times(10), seeded(99))
    again[name] = (last.x - runs[name][0]).abs().max().item()
assert again["DDIM"] < 1e-4
assert again["ancestral"] > 0.1
x = z
with torch.no_grad():
    for tau, s in pairwise(torch.linspace(1, 0, 6)):  # five steps: nine calls
        x = heun_step(shipped.net, x, tau, s)
torch.testing.assert_close(x, runs["Heun"][0], rtol=1e-3, atol=1e-3)
for path, two_times in ((Straight(), [0.7, 0.4]), (table, [490.0, 280.0])):
    t, s = torch.tensor(two_times, dtype=torch.float64)
    rho, shrunk = path.signal(t) / path.signal(s), (path.sigma(s) / path.sigma(t)) ** 2
    mean, std = posterior(path, torch.tensor([0.3]), torch.tensor([-0.8]), t, s)
    right = rho * shrunk * 0.3 - path.signal(s) * (1 - rho**2 * shrunk) * 0.8
    assert abs(mean - right) < 1e-6
    assert abs(std**2 - shrunk * (path.sigma(t) ** 2 - rho**2 * path.sigma(s) ** 2)) < 1e-6
claims.add(
    "Both are probabilistic processes",
    "the way back need not be: with the same first noise and other fresh noise DDIM ends in the same images (pixels differ "
    f"by less than 0.0001), the ancestral sampler in others (by up to {again['ancestral']:.1f})",
    "holds with a condition",
)

# %% [markdown]
# ## In the plane, where the truth is known
#
# For a mixture of Gaussians the best denoiser has a closed form, as in the toy. If $x_0$ comes from one of M equally likely Gaussians with means $m_k$
# and standard deviation r, then given $x_t$ it came from the k-th with a probability $\pi_k$, and
#
# $$\mathbb{E}[x_0|x_t] = \sum_k \pi_k \Big(m_k + \frac{\text{signal}_t\, r^2}{\text{signal}_t^2 r^2 + \sigma_t^2}
# (x_t - \text{signal}_t\, m_k)\Big), \qquad
# \pi_k \propto \exp\Big(-\frac{\lVert x_t - \text{signal}_t\, m_k \rVert^2}
# {2 (\text{signal}_t^2 r^2 + \sigma_t^2)}\Big)$$
#
# $\pi_k$ says which cluster $x_t$ probably came from; the bracket is the best guess if it was that one: the cluster's mean, moved towards $x_t / \text{signal}_t$ by the product of two Gaussians, as in *If $x_0$ is known*. No network can have a lower squared error. The next cell trains a small network for some seconds and
# shows the exact field on the left, the learnt one in the middle, and how far their guesses of $x_0$ are apart. Try it:
#
# 1. Start at the noise (way back 0). Where do all lines point, and why is that the best guess there?
# 2. Move the way back slowly. When is it decided which mode a particle goes to?
# 3. Take 5 network calls. Which sampler leaves most particles between the modes?
#
# <details><summary>Answers</summary>
#
# 1. To the centre. At τ = 1 the particle says nothing about its data point, so the best guess is the mean of all data. The line $\hat x_0 - \hat\epsilon$ is then minus the particle's own place.
# 2. Very early. With 20 steps of DDIM and the exact denoiser each of 3,000 particles ends at the mode that was nearest to its first noise: after a fifth of the way (τ = 0.8) the estimate of every particle already points to its final mode. The eight modes lie on a circle, so the direction of the noise decides.
# 3. Heun's method: its 5 calls are only three steps. Of 3,000 particles with the exact denoiser 70 % end at a mode (within three standard deviations), with DDIM and the ancestral sampler 87 to 88 %.
#
# </details>

# %% [markdown] tags=["slide"]
# Each particle ends at the mode nearest to its noise
#
# {film plane}
#
# ? When is it decided which mode a particle reaches?

# %% [markdown] tags=["slide", "extra"]
# The learnt field is close to the exact one
#
# {figure}

# %% tags=["widget"]
torch.manual_seed(0)
gaussians, roll = load_toy("eight_gaussians"), load_toy("swiss_roll")
plane = PlaneDiffusion()
fit(plane, gaussians, steps=2_000, batch_size=256, show_bar=False)
FieldExplorer(plane)

# %% [markdown]
# How near is the learnt field to the exact one, over all times? The table has three squared errors: of the exact guess from $x_0$, which nobody can
# avoid; of the learnt guess from $x_0$; and of the learnt guess from the exact one (the square of the widget's curve).


# %%
def squared(difference):
    return difference.square().flatten(1).sum(dim=1).mean().item()


best = exact(gaussians, plane.schedule)
x_0 = gaussians.sample(5_000, seeded(1))[:, :, None, None]
eps, rows = torch.randn(x_0.shape, generator=seeded(2)), {}
for t in torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]):
    x_t = plane.schedule.noised(x_0, t, eps)
    with torch.no_grad():
        right, learnt = best(x_t, t).x_0, plane.estimate(x_t, t).x_0
    rows[f"{t:.1f}"] = squared(right - x_0), squared(learnt - x_0), squared(learnt - right)

# %% jupyter={"source_hidden": true}
# Table and check: squared errors of the exact and of the learnt guess; where the learnt field loses particles.
for of_exact, of_learnt, apart in rows.values():
    assert apart < 0.08
    assert of_learnt > of_exact - 0.02  # up to the luck of 5,000 points
assert abs(rows["1.0"][0] - squared(x_0)) < 0.02  # at tau = 1 the best guess is the mean, here 0
assert rows["0.5"][2] < rows["0.5"][0]
x = plane.sample(2_000, seeded(3), sampler=DDIM(plane.schedule), calls=40).flatten(1)
shares = [figures.at_a_mode(v, gaussians) for v in (x, gaussians.sample(2_000, seeded(4)))]
assert shares[0] > 0.7
learnt, sampler = plane.denoiser(), DDIM(plane.schedule)
z = torch.randn(2_000, 2, 1, 1, generator=seeded(3))
with torch.no_grad():  # the exact field in the last three tenths of the way only
    *_, last = sampler.states(
        lambda x, t: (best if t < 0.31 else learnt)(x, t), z, sampler.times(40), seeded(3)
    )
mended = figures.at_a_mode(last.x.flatten(1), gaussians)
assert mended > 0.97
claims.add(
    "The way back is learnt, and generates data from noise",
    f"eight Gaussians: {shares[0]:.0%} of 2,000 samples lie within three standard deviations of a mode, of the data {shares[1]:.0%}, "
    f"and {mended:.0%} if the exact field takes over at τ = 0.3; the learnt field differs from the exact one by {rows['0.5'][2]:.4f} (squared) at τ = 0.5, where an error of "
    f"{rows['0.5'][0]:.2f} cannot be avoided",
)
names = ["exact − x_0", "learnt − x_0", "learnt − exact"]
Table({tau: [f"{value:.4f}" for value in row] for tau, row in rows.items()}, names, "τ")

# %% [markdown]
# The learnt field adds little to the error that cannot be avoided, yet with it fewer particles end at a mode. They are lost late: at τ = 0.1 the two guesses are
# $\sqrt{0.002}$ apart, nearly the standard deviation of a mode, 0.05. If the exact field takes over at τ = 0.3, nearly all particles end at a mode (see *Summary*).
#
# **A sampler has an error of its own**, even with the exact denoiser. Take a single Gaussian. The exact way back keeps each point's distance from the mean in standard deviations, so the first noise z ends at mean + r z.
# For small steps the error falls like $1 / \text{steps}^{\text{order}}$. DDIM has **order** 1, Heun's method order 2.
#
# **Predict:** twice the number of steps; what is left of the error of DDIM, and of that of Heun's method?
#
# <details><summary>Answer</summary>
#
# About a half with DDIM, about a quarter with Heun's method.
#
# </details>

# %% [markdown] tags=["slide", "extra", "predict"]
# Twice the steps: what is left of the error?
#
# A single Gaussian, the exact denoiser.
#
# DDIM has order 1, Heun's method order 2.

# %% [markdown] tags=["slide", "extra"]
# DDIM keeps half of its error, Heun a quarter
#
# | mean error | 10 steps | 20 | 40 | 80 |
# |---|---|---|---|---|
# | DDIM | 0.08602 | 0.04443 | 0.02260 | 0.01140 |
# | Heun | 0.01142 | 0.00262 | 0.00063 | 0.00015 |

# %%
one = Mixture("one", torch.tensor([[1.0, -1.0]]), 0.5)
z = torch.randn(1_000, 2, generator=seeded(0), dtype=torch.float64)
errors = {"DDIM": [], "Heun": []}
for name, steps in product(errors, (10, 20, 40, 80)):
    sampler = samplers[name](Straight())
    *_, last = sampler.states(exact(one, Straight()), z, sampler.times(steps))
    errors[name].append((last.x - (one.means + one.sigma * z)).norm(dim=1).mean().item())

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: the error falls by 2 for DDIM and by 4 for Heun at each doubling.
for name, order in (("DDIM", 1), ("Heun", 2)):
    falls = [a / b for a, b in pairwise(errors[name])]
    assert all(0.8 < fall / 2**order < 1.25 for fall in falls)
Table(
    figures.orders(errors),
    ["10 steps", "20", "40", "80", "at each doubling"],
    "mean error",
)

# %% [markdown] tags=["slide", "extra"]
# Fresh noise makes paths jump; without it they are short
#
# {figure}

# %% [markdown]
# A step of Heun's method costs two
# calls; at equal calls it is still ahead here (10 steps of Heun's method against 20 of DDIM).
#
# A **swiss roll** has no such formula, but a network learns it all the same. The samplers' paths, for the same
# three points of noise (open circles):

# %%
torch.manual_seed(0)
rolled = PlaneDiffusion()
fit(rolled, roll, steps=2_000, batch_size=256)
truth = roll.sample(2_000, seeded(0))
paths = {}
for name, kind in samplers.items():
    states = recorded(rolled.states(3, seeded(7), sampler=kind(rolled.schedule), calls=40))
    paths[name] = states.x.flatten(2)  # (steps + 1, 3, 2)

# %% jupyter={"source_hidden": true}
# Plot: three paths of each sampler.
plots.show(
    figures.walks(truth, paths),
    "Three panels with the swiss roll in blue and three paths from open circles to full dots on "
    "it, each in its own colour. The ancestral paths jump at every step; those of DDIM and of Heun's method are the same short curves, each with one turn.",
)

# %% [markdown]
# **How far from the truth?** The **energy distance** $2\,\mathbb{E}\lVert X - Y \rVert -
# \mathbb{E}\lVert X - X' \rVert - \mathbb{E}\lVert Y - Y' \rVert$ of samples X and true points Y ($X'$ and $Y'$ are independent copies) is 0 only if both have the same distribution (Székely & Rizzo 2013). (An estimate from samples scatters, so near 0 it can be negative.) Its floor
# is the distance between two sets of true points.


# %%
def energy_distance(a, b):
    within_a, within_b = (torch.cdist(v, v).sum() / (len(v) * (len(v) - 1)) for v in (a, b))
    return (2 * torch.cdist(a, b).mean() - within_a - within_b).item()


calls, found = (5, 10, 20, 40), {}
floor = [energy_distance(roll.sample(2_000, seeded(k)), truth) for k in range(1, 5)]
for name, k in product(samplers, calls):
    sampler = samplers[name](rolled.schedule)
    x = rolled.sample(2_000, seeded(8), sampler=sampler, calls=k).flatten(1)
    found[name, k] = energy_distance(x, truth)

# %% jupyter={"source_hidden": true}
# Table and check: at 5 calls Heun is ahead of DDIM, DDIM of the ancestral sampler; at 40 all are better.
assert found["Heun", 5] < found["DDIM", 5] < found["ancestral", 5]
assert max(found[name, 40] for name in samplers) < min(found[name, 5] for name in samplers)
rows = {name: [f"{1e3 * found[name, k]:.1f}" for k in calls] for name in samplers}
low, high = f"{1e3 * min(floor):.1f}".replace("-", "−"), f"{1e3 * max(floor):.1f}"
rows["true points (floor)"] = [f"{low} to {high}"] * 4
z = torch.randn(3_000, 2, generator=seeded(0))
near = {}
for name, kind in samplers.items():
    sampler = kind(Straight())
    times = sampler.times(sampler.steps_within(5))
    *_, last = sampler.states(exact(gaussians, Straight()), z, times, seeded(1))
    near[name] = figures.at_a_mode(last.x, gaussians)
assert near["Heun"] < min(near["DDIM"], near["ancestral"])
garments = {
    row["sampler"]: float(row["frechet"])
    for row in read_study("diffusion_samplers")
    if row["calls"] == "5"
}
assert garments["DDIM"] < garments["Heun"]
claims.add(
    "With few calls the order of the sampler counts",
    f"at 5 calls Heun against DDIM: ahead in the swiss roll (energy distance × 1,000 {1e3 * found['Heun', 5]:.1f} and "
    f"{1e3 * found['DDIM', 5]:.1f}), behind in the eight Gaussians ({near['Heun']:.0%} and {near['DDIM']:.0%} at a mode) and on "
    f"garments (Fréchet {garments['Heun']:.2f} and {garments['DDIM']:.2f})",
    "holds with a condition",
)
Table(rows, [f"{k} calls" for k in calls], "energy distance × 1,000")

# %% [markdown]
# At five calls Heun's method is the best in the swiss roll, but not in the eight Gaussians (answer 3 above),
# and on garments (*Measure*) DDIM is slightly ahead: five calls are only three steps of Heun's method, and the order counts only if the steps are small enough.

# %% [markdown]
# ## Explore
#
# **A reverse process** like those of *Look*, with a slider. (Its number of calls includes the estimate that it shows: after ten steps of two calls each, 21.)
#
# 1. In which third of the way does the kind of garment become clear in the estimate?
# 2. Same seed: do DDIM and Heun's method end in the same image? And the ancestral sampler? Why?
# 3. DDIM has a number η between 0 (no fresh noise) and 1 (ancestral). What does η = 0.5 keep of the
#    image?
#
# <details><summary>Answers</summary>
#
# 1. For most seeds in the first: the first frame is a blur, and after a third of the way one can name the kind of garment. Seed 3 is an exception: its estimate looks like trousers first and ends as a top.
# 2. DDIM and Heun's method end in nearly the same image: both follow the same velocity field without fresh noise, so the first noise decides. The ancestral sampler ends in another garment, since it draws fresh noise at every step.
# 3. Hardly anything: most seeds end in another kind of garment. Half of the fresh noise, forty times, is enough to leave the path.
#
# </details>

# %% [markdown] tags=["slide", "hour"]
# Same noise, same garment, unless fresh noise is added
#
# {film samplers}
#
# ? Two of the three samplers are deterministic. What is that good for?

# %% tags=["widget"]
ways = {
    "Heun, 39 calls": Heun(shipped.schedule),
    "DDIM, 40 calls": DDIM(shipped.schedule),
    "DDIM, eta 0.5": DDIM(shipped.schedule, eta=0.5),
    "ancestral, 40 calls": Ancestral(shipped.schedule),
}
films = {name: recorded(shipped.states(8, seeded(5), sampler=way)) for name, way in ways.items()}
few = recorded(shipped.states(8, seeded(5), sampler=DDIM(shipped.schedule), calls=5))
ReverseScrubber(films | {"DDIM, 5 calls": few})

# %% [markdown]
# ## Labels, and how strongly to insist on them
#
# Tell the network the class y as well, and it samples that class. **Classifier-free guidance** (Ho & Salimans
# 2022, [2207.12598](https://arxiv.org/abs/2207.12598)) goes further. In training, a tenth of the labels is hidden,
# so that one network learns both estimates, with a label and without. In sampling, the difference of the two is exaggerated:
#
# $$\tilde\epsilon = (1 + w)\, \epsilon_\theta(x_t, t, y) - w\, \epsilon_\theta(x_t, t)$$
#
# With w = 0 this is the estimate with the label. Why the difference? By Bayes' rule $\log p(x_t|y) - \log p(x_t) = \log p(y|x_t) + \text{const}$. By Tweedie's formula
# $-\epsilon_\theta / \sigma_t$ estimates the slope of the log-density, with the label and without. Take the difference of both slopes:
#
# $$\epsilon_\theta(x_t, t, y) - \epsilon_\theta(x_t, t) \approx -\sigma_t\, \nabla \log p(y|x_t)$$
#
# The right side points away from where a classifier would be surer of y, and samplers step against the estimated noise. So the **guidance weight** w adds the step towards a surer y w times.
# An answer in velocities is guided by the same formula, since it is linear in ε. A guided estimate costs **two network calls**.
#
# **Predict:** with a large w, what becomes of the share of samples that a classifier takes for their class, of precision (the share of samples that look real, chapter 04), and of recall (the share of
# real images that lie nearer to some sample than that sample's third-nearest other sample)?
#
# <details><summary>Answer</summary>
#
# The share taken for y rises to nearly 100 %. Precision rises at first and falls at large weights; at w = 8 it is lower than without guidance. Recall falls all the way.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# What does a large guidance weight w do to samples?
#
# $$\tilde\epsilon = (1 + w)\, \epsilon_\theta(x_t, t, y) - w\, \epsilon_\theta(x_t, t)$$
#
# Share taken for their class, precision, recall: which rise, which fall?

# %% [markdown] tags=["slide", "extra"]
# More guidance: plainer at first, then glaring and torn
#
# {figure}

# %%
guide = load_pretrained("diffusion-labels", Diffusion)
ten = torch.arange(10)  # one sample of each class
guided_samples = {}
for w in (0, 1, 4, 8):
    calls = 38 if w else 19  # ten steps of Heun's method
    x = guide.sample(10, seeded(2), calls=calls, labels=ten, guidance=w)
    guided_samples[f"w = {w}"] = x.detach()

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: ten classes at four guidance weights.
title = "Same noise, more guidance: plainer at first, then glaring and torn"
plots.show(
    figures.with_columns(plots.image_rows(guided_samples, title), images.classes),
    "Four rows of ten garments, one of each class. With growing weight shapes become plainer and the "
    "contrast stronger; at the largest weights a sandal and a dress break up.",
)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table: a thousand samples for each weight (gen_course/ch06_diffusion/studies/diffusion_guidance.py).
study = [{k: float(row[k]) for k in list(row)[:-1]} for row in read_study("diffusion_guidance")]
rows = {
    f"w = {row['weight']:g}": [
        f"{row['taken']:.1%}",
        *(f"{row[k]:.2f}" for k in ("frechet", "precision", "recall")),
    ]
    for row in study
}
rows["real images (floor)"] = ["–", f"{sample_quality.frechet_floor(1_000):.2f}", "–", "–"]
Table(rows, ["taken for y", "Fréchet", "precision", "recall"], "1,000 samples")

# %% [markdown] tags=["slide"]
# More guidance buys obedience and pays with variety
#
# {figure}
#
# ? Which weight would you take, and for what?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: the share taken for y, precision and recall against the weight.
lines = {"taken for y": "taken", "precision": "precision", "recall": "recall"}
plots.show(
    figures.guidance(
        [row["weight"] for row in study],
        {name: [row[k] for row in study] for name, k in lines.items()},
    ),
    "Against the guidance weight: the share of samples that the judge takes for their class rises, recall "
    "falls, precision rises a little and falls.",
)

# %% jupyter={"source_hidden": true}
# Check: obedience rises, recall falls, precision and distance are best at small weights.
by_weight = {row["weight"]: row for row in study}
assert by_weight[2.0]["taken"] > by_weight[0.0]["taken"]
assert by_weight[8.0]["recall"] < by_weight[0.0]["recall"] - 0.05
assert by_weight[8.0]["frechet"] > min(row["frechet"] for row in study)
taken, recall = ([row[k] for row in study] for k in ("taken", "recall"))
assert taken == sorted(taken)
assert recall == sorted(recall, reverse=True)
assert by_weight[8.0]["precision"] < by_weight[0.0]["precision"] < by_weight[2.0]["precision"]
claims.add(
    "Guidance trades variety for obedience",
    f"from w = 0 to 8 the share taken for y rises from {taken[0]:.1%} to {taken[-1]:.1%} and recall falls from "
    f"{recall[0]:.2f} to {recall[-1]:.2f}; the distance is least, {min(row['frechet'] for row in study):.2f}, at "
    f"w = {min(study, key=lambda row: row['frechet'])['weight']:g}",
)

# %% [markdown] tags=["slide", "extra", "steps"]
# The difference points to a surer classifier
#
# $$\log p(x_t|y) - \log p(x_t) = \log p(y|x_t) + \text{const}$$
#
# Bayes' rule
#
# $$\epsilon_\theta(x_t, t, y) - \epsilon_\theta(x_t, t) \approx -\sigma_t\, \nabla \log p(y|x_t)$$
#
# Tweedie, with and without label

# %% [markdown]
# The judge is ever surer of the class. That does not make the pictures better: precision and the
# distance improve at small weights and get worse at large ones, where the sandal above falls apart although the judge
# takes nearly every sample for its class. (Compare Fréchet distances only within a table: with fewer samples the distance and its floor are higher.) In the widget, *apart* is
# the Euclidean distance of two samples, averaged over all pairs. Try it:
#
# 1. Find the class that the judge doubts most at w = 0. Which weight settles it?
# 2. Raise w to 8. What do the ten samples have in common now?
# 3. Compare one place of both grids, the same noise: what does guidance change first, shape or texture?
#
# <details><summary>Answers</summary>
#
# 1. T-shirt/top at seed 0: the judge takes only 5 of 10 for it. From w = 1 on it takes all ten (at 0.5 it takes 7).
# 2. T-shirts at w = 8 are white with black blotches and hard contours, and have nearly the same outline.
# 3. The shape. At w = 1 the sleeves have changed towards those of a T-shirt while prints and folds are still the same; at large weights the textures go, too.
#
# </details>

# %% tags=["widget"]
GuidanceExplorer()

# %% [markdown]
# ## Filling holes
#
# **Inpainting** (이미지 인페인팅) is the first image application that the lecture names. The network without labels can
# do it as it is (Lugmayr et al. 2022, [2201.09865](https://arxiv.org/abs/2201.09865)): after every step overwrite
# the known pixels by the given image, noised to that time. Each step is done twice, with noise added back in
# between, so that the two parts can agree. Beside it stands the masked autoencoder of chapter 02, which was trained for
# exactly this. Four fifths of the patches are hidden.
#
# **Predict:** which of the two has the lower squared error, and which one looks more like a photograph?
#
# <details><summary>Answer</summary>
#
# The autoencoder has the lower error, by a factor of more than 3. Its fillings are blurred; those of diffusion have the grain of real images, but several are no garment.
#
# </details>

# %% [markdown] tags=["slide", "extra", "predict"]
# Which filling has the lower error, which looks real?
#
# Four fifths of the patches are hidden.
#
# The masked autoencoder of chapter 02, or diffusion?

# %% [markdown] tags=["slide"]
# The autoencoder blurs; diffusion is sharp, and sometimes no garment
#
# {figure}
#
# ? A perfect sample has twice the error of the mean. Why?

# %%
masked = load_pretrained("masked", MaskedAutoencoder)
x = test.x[100:200]
filled, patches = masked.fill(x, seeded(0))  # (100, 1, 28, 28), (100, 49)
hidden = unpatchify(patches[:, :, None].expand(-1, -1, 16), (1, 28, 28))
mae = torch.where(hidden, filled.clamp(-1, 1), x)
draws = torch.stack([shipped.inpaint(x, hidden, seeded(k), calls=40, repeats=2) for k in range(4)])

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: ten garments, what is given, and fillings.
rows = {"image": x[:10], "given": torch.where(hidden, -0.3, x)[:10], "autoencoder": mae[:10]}
rows |= {"diffusion, 1": draws[0, :10], "diffusion, 2": draws[1, :10]}
rows |= {"mean of 4": draws.mean(dim=0)[:10]}
plots.show(
    plots.image_rows(rows, "The autoencoder blurs; diffusion is sharp, and sometimes no garment"),
    "Six rows of ten garments: whole, with four fifths hidden, filled in by the masked autoencoder with a blur, "
    "filled in twice by diffusion with sharp and differing details, and the mean of four such fillings. Some fillings "
    "of diffusion are no garment: a torn animal shape in place of a dress, a cross in place of a shoe.",
)


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: squared error where hidden, and the mean difference of neighbouring pixels.
def grain(v):
    return (v[..., 1:] - v[..., :-1]).abs().mean().item()  # between neighbours in a row


fillings = {"autoencoder": mae, "diffusion, one": draws[0]}
fillings["diffusion, mean of 4"] = draws.mean(dim=0)
error = {name: masked_loss(v, x, patches).item() for name, v in fillings.items()}
times = error["diffusion, one"] / error["autoencoder"]
assert times > 3  # far above the 2 of a perfect sample
assert error["diffusion, mean of 4"] < 0.9 * error["diffusion, one"]
assert abs(grain(draws[0]) - grain(x)) < abs(grain(mae) - grain(x))
claims.add(
    "Application: inpainting",
    f"diffusion fills in four fifths of an image; one filling has a squared error of {error['diffusion, one']:.3f}, "
    f"{times:.1f} times that of the masked autoencoder's blur, {error['autoencoder']:.3f}",
)
rows = {name: [f"{error[name]:.3f}", f"{grain(v):.3f}"] for name, v in fillings.items()}
Table(
    rows | {"image": ["–", f"{grain(x):.3f}"]}, ["squared error", "neighbouring pixels differ by"]
)

# %% [markdown]
# The autoencoder minimises the squared error, so it answers with nearly the mean of what is possible.
# A perfect sample x' would look real, and would have twice the error of the mean: the truth x and x' are independent draws from the same distribution, so
# $\mathbb{E}\lVert x - x' \rVert^2$ is the sum of two variances, and the error of the mean is one. What lies far above twice comes from
# the network and from this way of filling, whose known and unknown parts do not quite agree. Averaging samples leads back towards the mean, and to the blur.

# %% [markdown]
# ## Measure
#
# ### Quality and diversity
#
# The same figures for three families, on 10,000 samples each, from the cards of the shipped weights. Diffusion takes 39 network calls
# a sample, the others one.

# %% [markdown] tags=["slide"]
# Diffusion is ahead here, after the longest training
#
# | | Fréchet | precision | recall | minutes |
# |---|---|---|---|---|
# | VAE | 3.980 | 0.49 | 0.41 | 26.8 |
# | GAN | 1.251 | 0.78 | 0.56 | 9.0 |
# | diffusion | 0.864 | 0.82 | 0.77 | 42.1 |
#
# ? Is this a fair race? What would you hold equal?

# %% jupyter={"source_hidden": true}
# Table and check: distance, precision, recall and coverage of three families beside real images.
three = {"VAE": BernoulliVAE, "GAN": GAN, "diffusion": Diffusion}
cards = {name: read_card(pretrained_folder() / f"{name.lower()}.safetensors") for name in three}
measured = {name: card["figures"] for name, card in cards.items()}
kinds = ("frechet", "precision", "recall", "coverage")
measured["real images"] = {kind: measured["GAN"][f"{kind}_floor"] for kind in kinds}
floor = measured["real images"]["frechet"]
weights_of = {
    name: sum(w.numel() for w in load_pretrained(name.lower(), kind).parameters())
    for name, kind in three.items()
}
rows = {}
for name, row in measured.items():
    rows[name] = [f"{row['frechet']:.4f}", f"{row['frechet'] / floor:.0f}"]
    rows[name] += [f"{row[kind]:.2f}" for kind in kinds[1:]]
    known = name in three
    rows[name] += [f"{cards[name]['minutes']:.1f}" if known else "–"]
    rows[name] += [f"{weights_of[name]:,}" if known else "–"]
ours, theirs = measured["diffusion"], measured["GAN"]
assert ours["frechet"] < theirs["frechet"] < measured["VAE"]["frechet"]
assert all(ours[kind] > theirs[kind] for kind in kinds[1:])
assert cards["diffusion"]["minutes"] > 4 * cards["GAN"]["minutes"]
assert 1.7 < weights_of["diffusion"] / weights_of["GAN"] < 2
claims.add(
    "High-quality samples",
    f"after longer training: course Fréchet distance {ours['frechet']:.3f} and precision {ours['precision']:.2f} "
    f"after {rows['diffusion'][5]} minutes; the GAN's distance is {theirs['frechet']:.3f} after {rows['GAN'][5]}, "
    f"the VAE's {measured['VAE']['frechet']:.3f}",
    "holds with a condition",
)
claims.add(
    "A balance of diversity and quality",
    f"precision {ours['precision']:.2f}, recall {ours['recall']:.2f}, coverage {ours['coverage']:.2f}; the GAN's "
    f"recall is {theirs['recall']:.2f}, real images have {measured['real images']['recall']:.2f}",
)
names = ["Fréchet", "× floor", "precision", "recall", "coverage", "minutes", "weights"]
Table(rows, names, "10,000 samples")

# %% [markdown] tags=["slide"]
# After 20 calls most of the gain is made
#
# {figure}
#
# ? From fifty calls on nothing falls any more. Whose error is left?

# %% [markdown]
# That is the lecture's *high quality* (고품질 샘플 생성) **and** its *balance of diversity and quality* (다양성과 품질의
# 균형) in numbers: precision is quality; recall and **mode coverage** (모드 커버리지) are diversity. (*Recall* counts a real image that lies in the neighbourhood of a sample, *coverage* one with a sample in its own neighbourhood.) It is no race, though:
# diffusion had over four times the GAN's minutes and almost twice its weights. Chapter [07](07_comparison.ipynb) gives all
# families the same time.
#
# ### What does a network call buy?
#
# The price is time. Fréchet distances of 500 samples of the shipped network for each sampler and number of calls, made on one core
# (`gen_course/ch06_diffusion/studies/diffusion_samplers.py`). The seconds are those of the ancestral sampler; the others take nearly the same for the same number of calls:

# %% jupyter={"source_hidden": true}
# Table: seconds and distances of three samplers at 5 to 1,000 calls.
study = read_study("diffusion_samplers")
floor_500 = float(study[0]["floor"])
points, rows = {}, {}
for row in study:
    cost, value = float(row["seconds"]) / int(row["n"]) * 100, float(row["frechet"])
    points.setdefault(row["sampler"], []).append((int(row["calls"]), cost, value))
for number, cost, _ in points["ancestral"]:
    at = [[v for k, _, v in points[name] if k == number] for name in ("Heun", "DDIM", "ancestral")]
    rows[f"{number:,}"] = [f"{cost:.1f}", *(f"{v[0]:.2f}" if v else "–" for v in at)]
rows["real images (floor)"] = ["–", *[f"{floor_500:.2f}"] * 3]
Table(rows, ["seconds, 100 samples", "Heun", "DDIM", "ancestral"], "calls")

# %% jupyter={"source_hidden": true}
# Plot: distance against seconds; no curve runs through a number.
figure = figures.calls(points, floor_500)
figure.draw_without_rendering()
ax = figure.axes[0]
for label, line in product(ax.texts[:-1], ax.lines):
    drawn = line.get_path().transformed(line.get_transform())
    assert not drawn.intersects_bbox(label.get_window_extent(), filled=False)
plots.show(
    figure,
    "Fréchet distance against seconds, both logarithmic, for Heun's method, DDIM and the ancestral sampler at 5 "
    "to 1,000 network calls. All fall steeply at first and then flatten.",
)

# %% jupyter={"source_hidden": true}
# Check: twenty calls are within a factor of 2 of the best; from 20 calls on the ancestral sampler leads.
reached = {
    (name, number): value for name, several in points.items() for number, _, value in several
}
cheapest = min(reached[name, 20] for name in samplers)
assert all(reached[name, 5] > reached[name, 50] for name in samplers)
assert cheapest < 2 * min(reached.values())
assert figures.share_of_gain(points) > 0.8
followers = ("Heun", "DDIM")
assert all(reached["ancestral", k] < min(reached[n, k] for n in followers) for k in (20, 50, 250))
assert all(reached[name, 250] > 0.8 * reached[name, 50] for name in samplers)

# %% jupyter={"source_hidden": true}
# Table and check: 20 calls from three seeds (the others: gen_course/ch06_diffusion/studies/diffusion_spread.py).
seeds = {name: [reached[name, 20]] for name in ("Heun", "ancestral")}
for row in read_study("diffusion_spread"):
    seeds[row["sampler"]].append(float(row["frechet"]))
assert all(b < a for a, b in zip(*seeds.values(), strict=True))
assert all(0.05 < max(values) - min(values) < 0.25 for values in seeds.values())
Table(
    {name: [f"{value:.2f}" for value in values] for name, values in seeds.items()},
    ["seed 0", "seed 1", "seed 2"],
    "20 calls",
)

# %% [markdown] tags=["slide", "extra"]
# A GAN takes one call where diffusion takes 19
#
# {table}

# %% [markdown]
# From fifty calls on more of them hardly help: what is left is the network's own error, not the step's. (1.10, 1.14 and 1.26 are not clearly different: the seed alone
# changes a distance by 0.1 to 0.2.) From twenty calls on the **ancestral** sampler is ahead, at twenty from each seed. A likely reason: its fresh noise hides part of the mistakes of earlier steps, and the network
# looks at the rest anew; a sampler that only follows the field keeps them (Karras et al. 2022, section 4). In the swiss roll it gains nothing: there the distances end near the floor, so the network's mistakes are small.
#
# **Slow sampling** (느린 샘플링 속도), the lecture's weakness, is plain with a thousand calls. With twenty it takes seconds, still far more than
# the one call of a GAN's generator. The next cell takes the median of three runs of each, after a first one that does not count:

# %%
gan, spent = load_pretrained("gan", GAN), {}
for name, model, way in (("GAN", gan, {}), ("diffusion", shipped, {"calls": 20})):
    seconds = []
    for _ in range(4):
        begin = time.perf_counter()
        model.sample(64, seeded(0), **way)
        seconds.append(time.perf_counter() - begin)
    spent[name] = torch.tensor(seconds[1:]).median().item()
threads = torch.get_num_threads()
rows = {name: [f"{1e3 * value / 64:.2g}"] for name, value in spent.items()}
Table(rows, [f"milliseconds a sample, {threads} threads"])

# %% jupyter={"source_hidden": true}
# Check: diffusion with 19 calls takes more than 19 times the time of the GAN.
assert spent["diffusion"] > 19 * spent["GAN"]
claims.add(
    "Sampling is slow",
    f"19 network calls a sample where a GAN takes one; at 1,000 calls {points['ancestral'][-1][1]:.0f} s for 100 samples, at 20 calls, "
    f"{points['ancestral'][2][1]:.1f} s, at a distance {cheapest / min(reached.values()):.2f} times the best",
    "holds with a condition",
)

# %% [markdown] tags=["slide", "extra"]
# Diffusion's loss says how good its samples are
#
# {table 2}

# %% [markdown]
# The ratio is above 19, the number of calls: each call of the U-Net also takes longer than the GAN's generator.
#
# ### Is its training stable?
#
# **Stable training** (안정적인 훈련), says the lecture. Diffusion and the GAN of chapter 04 each train at their own learning
# rate times 1/8 to 8, with two seeds, for about 20 seconds on one core
# (`gen_course/ch06_diffusion/studies/diffusion_stability.py`). *Agreement* is the correlation between the ranks of the runs by their last loss and by their distance:
# 1 means that the loss puts the runs in the same order as the distance does. (The folded output lists all twenty runs.)


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: last loss and distance over learning rates and seeds.
def ranks(rows, key):
    return torch.tensor([float(row[key]) for row in rows]).argsort().argsort().double()


study = read_study("diffusion_stability")
rows, kept = {}, {"diffusion": [], "GAN": []}
for row in study:
    row["model"] = row["model"].replace("gan", "GAN")
    name = f"{row['model']}, {float(row['lr']):.5f}, seed {row['seed']}"
    if row["loss_first"] == "diverged":
        rows[name] = ["diverged", "–", "–"]
        continue
    kept[row["model"]].append(row)
    first, last, value = (float(row[k]) for k in ("loss_first", "loss_last", "frechet"))
    rows[name] = [f"{first:.3f}", f"{last:.3f}", f"{value:.2f}"]
agree = {
    name: torch.corrcoef(torch.stack([ranks(runs, key) for key in ("loss_last", "frechet")]))[0, 1]
    for name, runs in kept.items()
}
Table(rows, ["loss, first", "loss, last", "Fréchet"], "model, rate, seed")

# %% jupyter={"source_hidden": true}
# Table and check: diffusion's loss falls in every run and orders the runs better than the GAN's.
span = {name: [float(row["frechet"]) for row in runs] for name, runs in kept.items()}
lost = {name: sum(row["model"] == name for row in study) - len(kept[name]) for name in kept}
assert all(float(row["loss_last"]) < float(row["loss_first"]) for row in kept["diffusion"])
assert agree["diffusion"] > 0.6
assert agree["diffusion"] > agree["GAN"]
assert max(span["GAN"]) < min(span["diffusion"])
claims.add(
    "Training is stable",
    f"the last loss and the distance agree in rank to {agree['diffusion']:+.2f}, a GAN's to {agree['GAN']:+.2f}; but neither "
    f"diverged ({lost['diffusion']} and {lost['GAN']} of 10 runs), and over the learning rates the largest distance is "
    f"{max(span['diffusion']) / min(span['diffusion']):.1f} times the least, a GAN's {max(span['GAN']) / min(span['GAN']):.1f} times",
    "holds with a condition",
)
Table(
    {
        name: [f"{min(span[name]):.1f} to {max(span[name]):.1f}", lost[name], f"{agree[name]:+.2f}"]
        for name in kept
    },
    ["Fréchet distances", "diverged", "agreement"],
)

# %% [markdown]
# Stable means: the loss falls in every run, and it **says how good the samples are**. The loss of the
# GAN's generator falls in some runs, rises in others, and says less. But no run of the GAN diverged either, diffusion's distances
# depend on the learning rate as much as the GAN's, and stable is not fast: after twenty seconds every GAN
# is ahead of every diffusion model. In the first table of *Measure* the GAN is behind; there diffusion had more time and a
# larger network.

# %% [markdown]
# ## Break it: a schedule that ends too early
#
# Shorten the linear schedule to T = 100 and leave its $\beta_t$ between 0.0001 and 0.02. Then $\bar\alpha_T$ is
# 0.36: $x_T$ still holds a good part of the image. A training on this schedule would never notice. But sampling begins with
# $\mathcal{N}(0, I)$, which is *not* what $x_T$ looks like. Since one network serves every schedule, up to a scale and
# a time, the shipped one shows it without any training.
#
# **Predict:** what will the samples look like: blurred, noisy, too bright, or unchanged?
#
# <details><summary>Answer</summary>
#
# Noisy, in a coarse grain of black and white, and on the whole too bright. The network takes the noise for the trace of an image.
#
# </details>


# %% [markdown] tags=["slide", "predict"]
# What does a schedule draw that ends too early?
#
# $$T = 100: \qquad \bar\alpha_T = 0.36$$
#
# Sampling still starts at pure noise. Blurred, noisy, too bright, or unchanged?

# %% [markdown] tags=["slide"]
# The same network fails where noise is taken for an image
#
# {figure}
#
# ? The second row starts from true noised images. What does it prove?


# %%
def on(schedule):  # the shipped network, trained on the straight path, as a denoiser for a schedule
    def denoise(x_t, t):
        scale, tau = straightened(schedule, t)
        return shipped.estimate((x_t / scale).float(), tau.float())

    return denoise


def run(schedule, x_T):
    sampler = DDIM(schedule)
    *_, last = sampler.states(on(schedule), x_T, sampler.times(20))
    return last.x.clamp(-1, 1)


# %%
n, short, full = 300, linear(100), linear(1000)
z, end = torch.randn(n, 1, 28, 28, generator=seeded(4)), torch.tensor(100.0)
samples = {
    "T = 100, noise": run(short, z),
    "T = 100, true x_T": run(short, short.noised(train.subset(n).x, end, z)),
    "T = 1,000, noise": run(full, z),
}

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: twelve samples of each.
plots.show(
    plots.image_rows(
        {name: x[:12] for name, x in samples.items()},
        "The same network: only the start from noise at T = 100 fails",
    ),
    "Three rows of twelve samples. From noise with the short schedule: coarse noise in black and white. From real "
    "images noised to the end of the short schedule: garments. From noise with the full schedule: garments.",
)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: distances and brightness.
distance = {name: sample_quality.frechet(x) for name, x in samples.items()}
assert distance["T = 100, noise"] > 3 * distance["T = 1,000, noise"]
assert distance["T = 100, noise"] > 3 * distance["T = 100, true x_T"]
assert samples["T = 100, noise"].mean() > test.x.mean() + 0.1
assert abs(short.alpha_bar[-1] - 0.36) < 0.01
claims.add(
    "A schedule must end in noise",
    f"ᾱ_T = {short.alpha_bar[-1]:.2f} instead of {full.alpha_bar[-1]:.0e}: distance "
    f"{distance['T = 100, noise']:.1f} instead of {distance['T = 1,000, noise']:.2f} (300 samples, floor "
    f"{sample_quality.frechet_floor(n):.2f})",
)
_, tau = straightened(short, end.double())
assert abs(tau - 0.57) < 0.005  # the time that the network is told
rows = {name: [f"{distance[name]:.2f}", f"{x.mean():+.2f}"] for name, x in samples.items()}
rows["real images"] = [f"{sample_quality.frechet_floor(n):.2f}", f"{test.x.mean():+.2f}"]
Table(rows, ["Fréchet distance", "mean pixel"], "start")

# %% [markdown] tags=["slide", "extra"]
# The schedule claims that 43 % of pure noise is image
#
# $$\tau = \frac{\sigma_T}{\text{signal}_T + \sigma_T} = 0.57$$
#
# Repair: let $\bar\alpha_T$ end near 0.

# %% [markdown]
# **Symptom:** coarse noise instead of garments, too bright on the whole, from a network that is right. **Number:** the distance,
# and $\bar\alpha_T$ = 0.36. **Cause:** the schedule. The network was trained up to τ = 1 and knows pure noise. But at the first step the schedule tells it
# τ = $\sigma_T / (\text{signal}_T + \sigma_T)$ = 0.57: "43 % of this mixture is image". So it takes the chance patterns of pure noise for an image and keeps them. Started from a *true* $x_T$, it draws garments. (Their distance is even
# below that of T = 1,000: this start holds a part of real images.)
# **Repair:** let the schedule end where $\bar\alpha_T$ is near 0. Well-known models have shipped with this fault in
# a mild form (Lin et al. 2023, [2305.08891](https://arxiv.org/abs/2305.08891)).

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("06_diffusion")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All six are
# [solved](solutions/06_diffusion.ipynb).

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: the checks of the exercises.
from gen_course.ch06_diffusion.checks import (
    check_alpha_bar,
    check_ancestral_step,
    check_guided,
    check_loss,
    check_noised,
    check_times,
)

# %% [markdown]
# **1. What is left** (5 minutes). From `beta`, the T numbers $\beta_1 \dots \beta_T$, return the T + 1 numbers
# $\bar\alpha_0 \dots \bar\alpha_T$.


# %% tags=["exercise"]
def alpha_bar(beta):
    """The product of all alpha up to each time, from 1 at the time 0."""
    # Hint: torch.cumprod multiplies up; what is the product of no numbers at all?
    ### BEGIN SOLUTION
    products = torch.cumprod(1 - beta, dim=0)
    return torch.cat([torch.ones_like(beta[:1]), products])
    ### END SOLUTION


# %%
check_alpha_bar(alpha_bar)

# %% [markdown]
# **2. Noise at once** (10 minutes). Return $x_t$ for images `x_0` (n, 1, h, w), the times `t` (n,), one for each
# image, and noise `eps`. `table.alpha_bar[t]` is (n,), in double precision.


# %% tags=["exercise"]
def noised(x_0, t, eps, table):
    """x_t of q(x_t | x_0), each image at a time of its own."""
    # Hint: (n,) does not multiply (n, 1, h, w); reshape it to (n, 1, 1, 1).
    ### BEGIN SOLUTION
    left = table.alpha_bar[t].float().reshape(-1, 1, 1, 1)
    return torch.sqrt(left) * x_0 + torch.sqrt(1 - left) * eps
    ### END SOLUTION


# %%
check_noised(noised)

# %% [markdown]
# **3. A step back** (10 minutes). From $x_t$ and the estimated `eps`, return $x_{t-1}$ as the ancestral sampler
# draws it; `z` is the fresh noise ζ to use, t a whole number, and the table has `alpha`, `beta` and
# `alpha_bar`. With the estimate of $x_0$ put in, the mean of the posterior is
# $(x_t - \beta_t / \sqrt{1 - \bar\alpha_t}\; \epsilon) / \sqrt{\alpha_t}$.


# %% tags=["exercise"]
def ancestral_step(x_t, eps, t, table, z):
    """x_{t-1} by the mean and the variance of q(x_{t-1} | x_t, x_0)."""
    # Hint: what is the variance at t = 1, where alpha_bar_{t-1} = 1?
    ### BEGIN SOLUTION
    beta, left, more_left = table.beta[t], table.alpha_bar[t], table.alpha_bar[t - 1]
    mean = (x_t - beta / torch.sqrt(1 - left) * eps) / torch.sqrt(table.alpha[t])
    variance = beta * (1 - more_left) / (1 - left)  # 0 at t = 1
    return mean + torch.sqrt(variance) * z
    ### END SOLUTION


# %%
check_ancestral_step(ancestral_step)

# %% [markdown]
# **4. The loss, with labels** (30 minutes). Draw a time of $1 \dots T$ for each image (`T = len(table.beta) - 1`)
# and noise, hide a tenth of the labels behind the label 10, and return the mean squared error of
# `network(x_t, t, labels)` as an estimate of the noise. Every draw takes `rng`.


# %% tags=["exercise"]
def labelled_loss(network, x_0, labels, table, rng):
    """E ||network(x_t, t, labels) - eps||^2, a tenth of the labels hidden."""
    # Hint: torch.randint leaves out its upper end; exercise 2 noises.
    ### BEGIN SOLUTION
    n, T = len(x_0), len(table.beta) - 1
    t = torch.randint(1, T + 1, (n,), generator=rng)
    noise = torch.randn(*x_0.shape, generator=rng)
    silent = torch.rand(n, generator=rng) < 0.1
    told = torch.where(silent, 10, labels)
    return torch.mean((network(noised(x_0, t, noise, table), t, told) - noise) ** 2)
    ### END SOLUTION


# %%
check_loss(labelled_loss)

# %% [markdown]
# **5. Guidance** (10 minutes). `network(x_t, t, labels)` estimates the noise with labels and `network(x_t, t)`
# without. Return the guided estimate for the weight w.


# %% tags=["exercise"]
def guided_noise(network, x_t, t, labels, w):
    """(1 + w) times the estimate with labels, less w times the one without."""
    # Hint: two calls of the network.
    ### BEGIN SOLUTION
    plain, asked = network(x_t, t), network(x_t, t, labels)
    return asked + w * (asked - plain)
    ### END SOLUTION


# %%
check_guided(guided_noise)

# %% [markdown]
# **6. An experiment: where should the steps lie?** (30 minutes) Ten steps of DDIM in the plane, with the exact denoiser of the eight Gaussians. With equal steps the
# particles end 0.031 from where infinitely many steps lead, on average. Return 11 falling times from 1 to 0, of shape (11,), that leave **at most three quarters** of this error. Try some spacings
# (the check prints the error of each), write down which way helps, and why.


# %% tags=["exercise"]
def falling_times():
    """Eleven times from 1 to 0 for ten steps of DDIM."""
    # Hint: try tau = k ** power for k from 1 to 0. In which part of the way does the guess change?
    ### BEGIN SOLUTION
    k = torch.linspace(1, 0, 11, dtype=torch.float64)
    return k**1.5  # long steps near the noise, where the guess hardly changes; short ones later
    ### END SOLUTION


# %%
check_times(falling_times)

# %% [markdown]
# ## Summary
#
# A diffusion model is one denoiser for every level of noise. Its training draws an image, noise and a time, and asks for the velocity (or ε, or $x_0$: the same up to
# arithmetic). A single call gives a mean of what is possible; a chain of calls gives a sample. The squared error is what is left of a bound on the likelihood if its weights are
# set to 1. A sampler is a way to follow the estimates; how many calls it takes is decided after training.
#
# **Strengths, as measured here:** one loss that falls and says how good the samples are (안정적인 훈련), the best
# distance and recall of three families, after the longest training (고품질 샘플, 다양성과 품질의 균형), labels and holes without a new kind of
# model. **Weaknesses:** tens of network calls for a sample where a GAN takes one; no latent code to look into;
# coarse noise if the schedule ends too early.

# %% [markdown] tags=["slide"]
# Learning to remove noise is learning to draw
#
# - One call gives a mean, a chain a sample.
# - The loss is what a bound leaves, weights set to 1.
# - The price: tens of calls a sample.

# %% jupyter={"source_hidden": true}
# Table: the claims of this chapter, with what was measured.
claims

# %% [markdown]
# **Why this matters today.** Most image and video generators are diffusion models on the codes of an autoencoder; *Where each family stands today* in chapter
# [07](07_comparison.ipynb) lists some.
#
# **Next:** [chapter 07](07_comparison.ipynb) sets all families side by side, on one clock.
#
# **Further reading.** J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020,
# [2006.11239](https://arxiv.org/abs/2006.11239). J. Sohl-Dickstein et al., *Deep Unsupervised Learning using
# Nonequilibrium Thermodynamics*, 2015, [1503.03585](https://arxiv.org/abs/1503.03585). G. Székely, M. Rizzo,
# *Energy statistics: A class of statistics based on distances*, 2013.

# %%
print(timing.report())
