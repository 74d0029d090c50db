# %% [markdown]
# # 06 · Diffusion: can you learn to draw by learning to remove noise?
#
# **Question.** To drown an image in noise takes no skill. Can a network learn the way back so well that it
# may start from noise alone - and what does each step of that way cost?
#
# **Afterwards you can** noise an image to any time in one line, derive the way back and its loss, train such
# a network, sample from it in 5 to 1,000 network calls, steer it by a label, let it fill holes, and tell a
# schedule that ends too early by its samples.
#
# **Know first:** the denoising autoencoder of chapter [02](02_sparse_denoising_masked.ipynb); the bound on
# the likelihood of chapter [03](03_vae.ipynb).

# %% tags=["setup"]
import time
from itertools import pairwise, product

import matplotlib.pyplot as plt
import torch
from torch.distributions import Normal, kl_divergence

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
from gen_lib.training import fit, training_steps
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card

plots.use_style()
seeded = torch.Generator().manual_seed
images = load("fashion_mnist")
train, test = images.train, images.test
shipped = load_pretrained("diffusion", Diffusion)
table = linear()
samplers = {"ancestral": Ancestral, "DDIM": DDIM, "Heun": Heun}
sample_quality = SampleQuality(images)
print(timing.stated("06_diffusion"))

# %% [markdown]
# ## Idea
#
# A **diffusion model** (확산 모델; Ho, Jain & Abbeel 2020, [2006.11239](https://arxiv.org/abs/2006.11239)) has
# two processes. The **forward process** (점진적으로 가우시안 노이즈를 추가) q adds Gaussian noise step by step until
# nothing is left of the image. It is fixed: nothing in it is learnt. The **reverse process** (역과정) $p_\theta$
# goes back from noise to an image, step by step; this one is learnt. Each is a **probabilistic process** (확률적
# 과정):
#
# $$q(x_t|x_{t-1}) = \mathcal{N}\left(\sqrt{1-\beta_t}\,x_{t-1},\; \beta_t I\right), \qquad
# p_\theta(x_{t-1}|x_t) = \mathcal{N}\left(\mu_\theta(x_t, t),\; c_t^2 I\right)$$
#
# A step forward shrinks the image a little and adds a little noise of variance $\beta_t$. Above: forward,
# from left to right. Below: a reverse process of the network that this chapter ships, from right to left.

# %% jupyter={"source_hidden": true}
times = torch.linspace(0, 1, 9)
x_0, eps = test.x[6:7].expand(9, 1, 28, 28), torch.randn(1, 1, 28, 28, generator=seeded(0))
forward = Straight().noised(x_0, times, eps.expand(9, 1, 28, 28))
way_back = recorded(shipped.states(4, seeded(1), calls=31))
rows = {"q, to the right": forward, "p, to the left": way_back.x[:, 3].flip(0)[::2]}
figure = plots.image_rows(rows, "Noise is added a little at a time; the way back is learnt", 0.8)
plots.show(
    figure,
    "Two rows of nine images. Above, a garment drowns in noise from left to right. Below, read from right "
    "to left, a garment comes out of noise.",
)

# %% [markdown]
# ## The way forward
#
# ### Step by step, or all at once
#
# Write $\alpha_t = 1 - \beta_t$. One step is $x_t = \sqrt{\alpha_t}\, x_{t-1} + \sqrt{\beta_t}\, \epsilon_t$. If
# $x_{t-1}$ is $\sqrt{\bar\alpha_{t-1}}\, x_0$ plus Gaussian noise of variance $1 - \bar\alpha_{t-1}$, then $x_t$
# is $\sqrt{\alpha_t \bar\alpha_{t-1}}\, x_0$ plus Gaussian noise of variance
# $\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t = 1 - \alpha_t \bar\alpha_{t-1}$. So all steps up to t are one:
#
# $$q(x_t|x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\, x_0,\; (1 - \bar\alpha_t) I\right),
# \qquad \bar\alpha_t = \prod_{s=1}^{t} \alpha_s$$
#
# Training may jump to any time at once. **Predict:** with the paper's schedule ($T = 1000$, $\beta_t$ from 0.0001
# to 0.02), how much of the variance of $x_{300}$ is noise: a third, a half, or more?

# %%
n, start = 50_000, 0.8
x = torch.full((n,), start)
rng = seeded(0)
print(
    f"{'t':>5} {'mean, stepwise':>15} {'closed form':>12} {'variance, stepwise':>19} {'closed form':>12}"
)
for t in range(1, 1001):
    beta_t = table.beta[t]
    x = (1 - beta_t).sqrt() * x + beta_t.sqrt() * torch.randn(n, generator=rng)
    if t in (10, 100, 300, 1000):
        mean, variance = table.alpha_bar[t].sqrt() * start, 1 - table.alpha_bar[t]
        print(f"{t:5} {x.mean():15.4f} {mean:12.4f} {x.var():19.4f} {variance:12.4f}")
        assert abs(x.mean() - mean) < 5 * (variance / n).sqrt()
        assert abs(x.var() - variance) < 5 * (2 / n) ** 0.5 * variance

# %% [markdown]
# ### Schedules
#
# All that a schedule decides is how fast the signal falls. Four of them:
#
# - **linear** in $\beta_t$ (Ho et al. 2020), **cosine** in $\bar\alpha_t$ (Nichol & Dhariwal 2021,
#   [2102.09672](https://arxiv.org/abs/2102.09672)), a **sigmoid** in $\beta_t$;
# - the **straight path** $x_t = (1 - t)\, x_0 + t\, \epsilon$ for t in [0, 1] (Liu, Gong & Liu 2022,
#   [2209.03003](https://arxiv.org/abs/2209.03003)), which this chapter's networks are trained on.
#
# They can be compared by the **signal-to-noise ratio**: with $x_t = \text{signal}_t\, x_0 + \sigma_t\, \epsilon$ it
# is $\mathrm{SNR}_t = \text{signal}_t^2 / \sigma_t^2$, which is $\bar\alpha_t / (1 - \bar\alpha_t)$ for the first
# three.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
share, log_snr = {}, {}
for name, make in SCHEDULES.items():
    schedule = make(1000)
    t = schedule.times(200).flip(0)
    share[name], log_snr[name] = schedule.log_snr(t).sigmoid(), schedule.log_snr(t)
    print(
        f"{name:>8}: at the end {share[name][-1]:.1e} of the power is signal, half at t/T = ",
        end="",
    )
    print(f"{(share[name] > 0.5).double().mean():.2f}")
    assert share[name][-1] < 1e-4
for name, color in zip(
    share, (plots.DATA, plots.MODEL, plots.CODE, plots.DISCRIMINATOR), strict=True
):
    axes[0].plot(torch.linspace(0, 1, 201), share[name], color=color, label=name)
    axes[1].plot(torch.linspace(0, 1, 201), log_snr[name].clamp(-12, 12), color=color)
axes[0].legend(frameon=False)
axes[0].set(xlabel="t / T", title="The share of the power that is signal ...")
axes[1].set(xlabel="t / T", title="... and the logarithm of SNR", ylim=(-12, 12))
plots.show(
    figure,
    "Left: four curves fall from 1 to 0; the linear schedule's falls first, the cosine's and the straight "
    "path's in the middle. Right: the log SNR of all four falls from above 8 to below -8.",
)

# %% [markdown]
# Each ends with next to no signal. That is not decoration: sampling starts from pure noise $\mathcal{N}(0, I)$, so
# training must have ended there too. *Break it* shows what happens otherwise.
#
# **Two schedules at the same SNR see the same picture**, one of them scaled. Divided by
# $\text{signal}_t + \sigma_t$, every $x_t$ is a point of the straight path, at the time
# $\tau = \sigma_t / (\text{signal}_t + \sigma_t)$:

# %%
t = torch.tensor(300.0, dtype=torch.float64)
scale, tau = straightened(table, t)
x_0, eps = test.x[:8].double(), torch.randn(8, 1, 28, 28, generator=seeded(0), dtype=torch.float64)
off = (table.noised(x_0, t, eps) / scale - Straight().noised(x_0, tau, eps)).abs().max()
print(f"linear at t = 300 is the straight path at {tau:.4f}, times {scale:.4f}; off by {off:.1e}")
assert off < 1e-9

# %% [markdown]
# ## Build
#
# ### The way back, if $x_0$ is known
#
# Bayes' rule: $q(x_{t-1}|x_t, x_0)$ is proportional to $q(x_t|x_{t-1})\, q(x_{t-1}|x_0)$, a product of two Gaussians
# in $x_{t-1}$. Their precisions add up, $1/c_t^2 = \alpha_t/\beta_t + 1/(1 - \bar\alpha_{t-1})$, and the means are
# weighted by them:
#
# $$q(x_{t-1}|x_t, x_0) = \mathcal{N}(\tilde\mu_t, c_t^2 I), \qquad
# c_t^2 = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t} \beta_t, \qquad
# \tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\, \beta_t}{1 - \bar\alpha_t} x_0
# + \frac{\sqrt{\alpha_t}\, (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} x_t$$
#
# (eqs. 6 and 7 of the paper). Check it the slow way: multiply the two densities on a grid.

# %%
t, x_0, x_t = 60, 0.8, -0.3
alpha_t, beta_t = table.alpha[t], table.beta[t]
alpha_bar_t, alpha_bar_s = table.alpha_bar[t], table.alpha_bar[t - 1]
grid = torch.linspace(-3, 3, 60_001, dtype=torch.float64)  # x_{t-1}
weight = Normal(alpha_t.sqrt() * grid, beta_t.sqrt()).log_prob(torch.tensor(x_t))
weight = (
    weight + Normal(alpha_bar_s.sqrt() * x_0, (1 - alpha_bar_s).sqrt()).log_prob(grid)
).softmax(0)
by_bayes = (weight * grid).sum()
spread = (weight * (grid - by_bayes) ** 2).sum().sqrt()

c_t = ((1 - alpha_bar_s) / (1 - alpha_bar_t) * beta_t).sqrt()
mu_t = (alpha_bar_s.sqrt() * beta_t * x_0 + alpha_t.sqrt() * (1 - alpha_bar_s) * x_t) / (
    1 - alpha_bar_t
)
moment = torch.tensor([t, t - 1], dtype=torch.float64)
library = posterior(table, *torch.tensor([[x_t], [x_0]], dtype=torch.float64), *moment)
for name, (mean, std) in {
    "Bayes": (by_bayes, spread),
    "formula": (mu_t, c_t),
    "library": library,
}.items():
    print(f"{name:>8}: mean {float(mean):.6f}, standard deviation {float(std):.6f}")
    assert abs(float(mean) - mu_t) < 1e-5 > abs(float(std) - c_t)

# %% [markdown]
# ### From a bound to a squared error
#
# $x_1 \dots x_T$ are latent variables, and q is an encoder that has nothing to learn. So the bound of chapter 03
# holds. Sorted by steps (eq. 5 of the paper) it is
#
# $$-\log p_\theta(x_0) \le \mathbb{E}_q\Big[\mathrm{KL}(q(x_T|x_0) \Vert p(x_T))
# + \sum_{t>1} \mathrm{KL}(q(x_{t-1}|x_t, x_0) \Vert p_\theta(x_{t-1}|x_t)) - \log p_\theta(x_0|x_1)\Big]$$
#
# The first term holds no weights; it is small if the schedule ends in noise. In the sum both sides are Gaussians
# of the same variance $c_t^2$, so only the means count. A network that guesses $\epsilon$ also guesses
# $x_0 = (x_t - \sqrt{1 - \bar\alpha_t}\, \epsilon)/\sqrt{\bar\alpha_t}$. Put that into $\tilde\mu_t$:
#
# $$\mathrm{KL} = \frac{\lVert \tilde\mu_t - \mu_\theta \rVert^2}{2 c_t^2} = w_t\, \lVert \epsilon - \epsilon_\theta \rVert^2,
# \qquad w_t = \frac{\beta_t^2}{2 c_t^2\, \alpha_t (1 - \bar\alpha_t)}$$
#
# Ho et al. leave out $w_t$. That is their **simple loss**, $L = \mathbb{E}\, \lVert \epsilon - \epsilon_\theta(x_t, t)
# \rVert^2$ with t drawn uniformly. **Predict:** does leaving it out make early times (little noise) count more,
# or late ones?

# %%
w = {}
eps, guess = torch.randn(2, 784, generator=seeded(0), dtype=torch.float64)
x_0 = test.x[0].double().flatten()
for t in (2, 10, 100, 500, 1000):
    alpha_t, beta_t = table.alpha[t], table.beta[t]
    alpha_bar_t, alpha_bar_s = table.alpha_bar[t], table.alpha_bar[t - 1]
    x_t = alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps
    seen = (x_t - (1 - alpha_bar_t).sqrt() * guess) / alpha_bar_t.sqrt()
    moment = torch.tensor([t, t - 1], dtype=torch.float64)
    (right, c_t), (found, _) = (posterior(table, x_t, v, *moment) for v in (x_0, seen))
    divergence = kl_divergence(Normal(right, c_t), Normal(found, c_t)).sum()
    w[t] = beta_t**2 / (2 * c_t**2 * alpha_t * (1 - alpha_bar_t))
    print(f"t = {t:4}: KL {divergence:10.4f} = w_t times the squared error; w_t = {w[t]:.5f}")
    assert abs(w[t] * (eps - guess).square().sum() / divergence - 1) < 1e-6
end = Normal(table.alpha_bar[-1].sqrt() * x_0, (1 - table.alpha_bar[-1]).sqrt())
last = kl_divergence(end, Normal(0.0, 1.0)).sum()
print(f"KL(q(x_T|x_0) || N(0, I)) of this image: {last:.4f} nats")
assert w[2] > 30 * w[500]
assert last < 0.1

# %% [markdown]
# In the bound, the last few steps, where hardly any noise is left, weigh most: there the likelihood is won, and
# nothing that you would see. The simple loss counts all times alike, and so works more on what the picture
# shows.
#
# ### What should the network say?
#
# $\epsilon$ is one choice. Others are $x_0$; $v = \text{signal}_t\, \epsilon - \sigma_t\, x_0$ (Salimans & Ho 2022,
# [2202.00512](https://arxiv.org/abs/2202.00512)); and on the straight path the **velocity** $\epsilon - x_0$, the
# direction in which $x_t$ moves. Each is a mixture $a\, x_0 + b\, \epsilon$. Since $x_t$ is known, each is a linear
# function of each other: **one network up to a linear map**. What differs is how much an error counts.

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
    y = a * estimate.x_0 + b * estimate.eps  # the same answer in other words
    again = solve(name, y, x_t, signal, sigma)
    torch.testing.assert_close(again.x_0, estimate.x_0)
    torch.testing.assert_close(again.eps, estimate.eps)
    counts[name] = (y - a * x_0 - b * eps).square().mean(dim=(1, 2, 3)) / mistake
snr = cosine.snr(t)
expected = {"x_0": 1 + 0 * snr, "eps": snr, "v": 1 + snr, "velocity": (1 + snr.sqrt()) ** 2}
print("how much an error in x_0 counts, at SNR", *(f"{value:9.3f}" for value in snr))
for name, values in counts.items():
    torch.testing.assert_close(values, expected[name])
    print(f"{name:>39}", *(f"{value:9.3f}" for value in values))

# %% [markdown]
# ### The loss and the loop
#
# On the straight path with the velocity as target, both fit into a few lines. `net(x_t, t, labels)` is a small
# **U-Net** (Ronneberger, Fischer & Brox 2015, [1505.04597](https://arxiv.org/abs/1505.04597)): down to a quarter of
# the side and up again, with bridges across. It is told the time as sines and cosines.


# %%
def velocity_loss(net, x_0, rng):
    t = torch.rand(len(x_0), generator=rng)  # (N,), one time for each image
    eps = torch.randn(x_0.shape, generator=rng)  # (N, 1, 28, 28)
    tau = t.reshape(-1, 1, 1, 1)
    y = net((1 - tau) * x_0 + tau * eps, t, None)  # (N, 1, 28, 28)
    return (y - (eps - x_0)).square().mean()


@torch.no_grad()
def euler(net, x, steps):
    times = torch.linspace(1, 0, steps + 1)
    for t, s in pairwise(times):
        x = x + (s - t) * net(x, t.expand(len(x)), None)  # s < t: against the velocity
    return x


batch = train.batch(0, 128)
mine = velocity_loss(shipped.net, batch.images, seeded(0))
theirs = shipped.loss(batch, seeded(0), progress=0.0).value
torch.testing.assert_close(mine, theirs)
z = torch.randn(4, 1, 28, 28, generator=seeded(1))
*_, last = shipped.states(4, seeded(1), sampler=DDIM(shipped.schedule), calls=10)
torch.testing.assert_close(euler(shipped.net, z, 10), last.x, rtol=1e-4, atol=1e-4)
weights = sum(p.numel() for p in shipped.parameters())
print(f"loss by hand {mine:.4f}, library {theirs:.4f}; ten steps by hand = ten steps of DDIM")
print(f"the U-Net has {weights:,} weights")

# %% [markdown]
# **DDIM** (Song, Meng & Ermon 2020, [2010.02502](https://arxiv.org/abs/2010.02502)) on any schedule: estimate
# $x_0$ and $\epsilon$, and noise $x_0$ again with that same $\epsilon$, only less. No fresh noise is drawn, so an
# image is a function of its first noise. On the straight path this is Euler's method, as you have just seen.


# %%
def ddim_step(x_t, eps, t, s, table):
    bar_t, bar_s = table.alpha_bar[t], table.alpha_bar[s]
    x_0 = (x_t - (1 - bar_t).sqrt() * eps) / bar_t.sqrt()
    return bar_s.sqrt() * x_0 + (1 - bar_s).sqrt() * eps


check_ddim_step(ddim_step)

# %% [markdown]
# The **ancestral** sampler (Ho et al.) draws from $q(x_{t-1}|x_t, x_0)$ with the estimate in place of $x_0$: fresh
# noise at every step but the last. **Heun's method** looks at the velocity at both ends of a step and takes the
# mean: two network calls a step, and an error of second order (Karras et al. 2022,
# [2206.00364](https://arxiv.org/abs/2206.00364)).

# %% [markdown]
# ## In the plane, where the truth is known
#
# For a mixture of Gaussians the best denoiser has a closed form. If $x_0$ is one of M Gaussians with means $m_k$
# and standard deviation s, then given $x_t$ it came from the k-th with a probability $\pi_k$, and
#
# $$\mathbb{E}[x_0|x_t] = \sum_k \pi_k \Big(m_k + \frac{\text{signal}_t\, s^2}{\text{signal}_t^2 s^2 + \sigma_t^2}
# (x_t - \text{signal}_t\, m_k)\Big), \qquad
# \pi_k \propto \exp\Big(-\frac{\lVert x_t - \text{signal}_t\, m_k \rVert^2}
# {2 (\text{signal}_t^2 s^2 + \sigma_t^2)}\Big)$$
#
# No network can have a lower squared error. The next cell trains a small one for some seconds; then compare the
# two, on the left the exact field, on the right the learnt one:
#
# 1. Start at the noise (way back 0). Where do all lines point, and why is that the best guess there?
# 2. Move the way back slowly. When is it decided which mode a particle goes to?
# 3. Take 5 network calls. Which sampler leaves most particles between the modes?

# %% tags=["widget"]
torch.manual_seed(0)
gaussians, roll = load_toy("eight_gaussians"), load_toy("swiss_roll")
plane = PlaneDiffusion()
fit(plane, gaussians, steps=2_000, batch_size=256, show_bar=False)
FieldExplorer(plane)

# %% [markdown]
# How near is the learnt field to the exact one, over all times? The first column is the error that nobody can
# avoid. **Predict:** where is that one largest, and what does the best denoiser say there?

# %%
best = exact(gaussians, plane.schedule)
x_0 = gaussians.sample(5_000, seeded(1))[:, :, None, None]
eps = torch.randn(x_0.shape, generator=seeded(2))


def squared(difference):
    return difference.square().flatten(1).sum(dim=1).mean().item()


print(f"{'t':>5} {'exact: error':>13} {'learnt: error':>14} {'learnt - exact':>15}")
for t in torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]):
    x_t = plane.schedule.noised(x_0, t, eps)
    with torch.no_grad():
        right, learnt = best(x_t, t).x_0, plane.estimate(x_t, t).x_0
    of_exact, of_learnt, apart = (
        squared(right - x_0),
        squared(learnt - x_0),
        squared(learnt - right),
    )
    print(f"{t:5.1f} {of_exact:13.4f} {of_learnt:14.4f} {apart:15.4f}")
    assert apart < 0.08
    assert of_learnt > of_exact - 0.02  # up to the luck of 5,000 points
assert abs(of_exact - squared(x_0)) < 0.02  # at t = 1 the best guess is the mean, here 0

# %% [markdown]
# **A sampler has an error of its own**, even with the exact denoiser. Take a single Gaussian: the exact way back
# leads from z to mean + s z. **Predict:** twice the number of steps; what is left of the error of DDIM, and of that
# of Heun's method?

# %%
one = Mixture("one", torch.tensor([[1.0, -1.0]]), 0.5)
z = torch.randn(1_000, 2, generator=seeded(0), dtype=torch.float64)
print(f"{'steps':>6}", *(f"{steps:>8}" for steps in (10, 20, 40, 80)))
for name, order in (("DDIM", 1), ("Heun", 2)):
    errors = []
    for steps in (10, 20, 40, 80):
        sampler = samplers[name](Straight())
        *_, last = sampler.states(exact(one, Straight()), z, sampler.times(steps))
        errors.append((last.x - (one.means + one.sigma * z)).norm(dim=1).mean().item())
    shrinks = [a / b for a, b in pairwise(errors)]
    print(f"{name:>6}", *(f"{error:8.5f}" for error in errors), "  each", end=" ")
    print(", ".join(f"1/{shrink:.2f}" for shrink in shrinks), "of the last")
    assert all(0.8 < shrink / 2**order < 1.25 for shrink in shrinks)

# %% [markdown]
# The error falls with the number of steps to the power of the **order**, 1 and 2. A step of Heun's method costs two
# calls, and is worth it as soon as there are more than a few.
#
# A **swiss roll** has no such formula, but a network learns it all the same. The samplers' paths, for the same
# three points of noise (open circles):

# %%
torch.manual_seed(0)
rolled = PlaneDiffusion()
fit(rolled, roll, steps=2_000, batch_size=256)
truth = roll.sample(2_000, seeded(0))
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
for ax, (name, kind) in zip(axes, samplers.items(), strict=True):
    states = recorded(rolled.states(3, seeded(7), sampler=kind(rolled.schedule), calls=40))
    plots.points(ax, truth, size=1)
    for path in states.x.flatten(2).permute(1, 0, 2):
        ax.plot(*path.T, color=plots.MODEL, linewidth=1)
        ax.plot(*path[0], "o", color="black", markersize=4, fillstyle="none")
        ax.plot(*path[-1], "o", color="black", markersize=4)
    ax.set_title(f"{name}: {len(states.t) - 1} steps")
figure.suptitle("One sampler wanders, two follow the field", fontweight="bold")
plots.show(
    figure,
    "Three panels with the swiss roll in blue and three paths from open circles to black dots on "
    "it. The ancestral paths are jagged; those of DDIM and of Heun's method are the same smooth curves.",
)

# %% [markdown]
# **How far from the truth?** The **energy distance** $2\,\mathbb{E}\lVert X - Y \rVert -
# \mathbb{E}\lVert X - X' \rVert - \mathbb{E}\lVert Y - Y' \rVert$ is 0 only if X and Y have the same distribution (Székely & Rizzo 2013). Its floor
# is that between two sets of true points.


# %%
def energy_distance(a, b):
    within_a, within_b = (torch.cdist(v, v).sum() / (len(v) * (len(v) - 1)) for v in (a, b))
    return (2 * torch.cdist(a, b).mean() - within_a - within_b).item()


calls = (5, 10, 20, 40)
floor = [energy_distance(roll.sample(2_000, seeded(k)), truth) for k in range(1, 5)]
print(f"1,000 times the energy distance; floor {1e3 * min(floor):.1f} to {1e3 * max(floor):.1f}")
print(f"{'network calls':>14}", *(f"{k:7}" for k in calls))
found = {}
for name, kind in samplers.items():
    for k in calls:
        x = rolled.sample(2_000, seeded(8), sampler=kind(rolled.schedule), calls=k).flatten(1)
        found[name, k] = energy_distance(x, truth)
    print(f"{name:>14}", *(f"{1e3 * found[name, k]:7.1f}" for k in calls))
assert found["Heun", 5] < found["DDIM", 5] < found["ancestral", 5]
assert max(found[name, 40] for name in samplers) < min(found[name, 5] for name in samplers)

# %% [markdown]
# ## Train
#
# Now images: the U-Net, batches of 128, Adam with half a cosine of learning rate, and **averaged weights**: what
# is kept is a mean over the last part of the run. Two runs of half a minute each: one from scratch, one that goes on
# with a network of the same size after its first 600 steps, which comes with the course. That network has found its way
# already, so it goes on at a tenth of the learning rate. **Predict:** after half a minute from scratch, what will the
# samples look like: noise, blobs, or garments?

# %%
minutes = 0.5
torch.manual_seed(0)
scratch, shown, losses, stops = Diffusion(), {}, [], [1 / 6, 1 / 2]
for record in training_steps(scratch, train, minutes=minutes, seed=0):
    losses.append(record.terms["mse"])
    if stops and record.progress > stops[0]:
        shown[f"step {record.step}"] = scratch.sample(10, seeded(3), calls=19)
        stops.pop(0)

begun = load_pretrained("diffusion-half", Diffusion)
before = begun.sample(200, seeded(3), calls=19)
begun.lr = Diffusion.lr / 10
history = fit(begun, train, minutes=minutes, seed=1)
after, blank = (model.sample(200, seeded(3), calls=19) for model in (begun, scratch))
shown |= {f"step {len(losses)}": blank[:10], "step 600": before[:10]}
shown[f"and {history.steps} more"] = after[:10]
figure = plots.image_rows(shown, "The same ten noises, through more and more training")
plots.show(
    figure,
    "Five rows of ten samples. The upper three are three moments of the run from scratch: bright places come out "
    "of the grain, and how far they come depends on the machine. The lower two, after 600 steps and after some "
    "more, look alike: rough shirts, trousers and shoes, some of them torn.",
)

# %%
reached = {"from scratch": blank, "600 steps": before, "600 steps, and live": after}
floor_200 = sample_quality.frechet_floor(200)
distance = {name: sample_quality.frechet(x) for name, x in reached.items()}
for name, value in distance.items():
    print(f"{name:>23}: Fréchet distance {value:6.2f} (200 samples; floor {floor_200:.2f})")
card = read_card(pretrained_folder() / "diffusion-half.safetensors")
print(f"600 steps: {card['command']}   ({card['minutes']} minutes)")
window = len(losses) // 6
curves = {
    "from scratch": plots.smooth(losses, window),
    "from 600 steps": plots.smooth(history.terms["mse"], window),
}
figure, ax = plt.subplots(figsize=(7, 2.6))
plots.curves(ax, curves, colors=(plots.BASELINE, plots.MODEL))
ax.set(xlabel="step", ylabel=f"loss, running mean of {window}")
ax.set_title("One loss, one curve that falls: no game, no opponent")
plots.show(
    figure,
    "The loss from scratch falls steeply, then slowly; that of the network of 600 steps starts below it and stays "
    "there.",
)
assert curves["from scratch"][-1] < 0.6 * curves["from scratch"][0]
assert card["steps"] == 600
assert begun.config == scratch.config
assert curves["from 600 steps"][-1] < curves["from scratch"][-1]
assert distance["600 steps, and live"] < 0.8 * distance["from scratch"]
assert distance["600 steps, and live"] < 1.1 * distance["600 steps"]  # it does not get worse

# %% [markdown]
# Half a minute from scratch is not enough on any laptop; the label says how many steps yours made. The network of 600
# steps is no worse after half a minute more at a tenth of the rate. At the full rate so short a run harms it: leave out
# the line with `begun.lr` and see.

# %% [markdown]
# ## Look
#
# The shipped network is larger and was trained far longer, by this command:

# %%
card = read_card(pretrained_folder() / "diffusion.safetensors")
print(f"{card['command']}   ({card['minutes']} minutes)")
sizes = [sum(w.numel() for w in model.parameters()) for model in (shipped, Diffusion())]
print(f"{sizes[0]:,} weights; the network trained above has {sizes[1]:,}")
begin = time.perf_counter()
x_new = shipped.sample(64, seeded(0), calls=20)
assert sizes[0] > 2 * sizes[1]
print(f"64 samples at 19 network calls each: {time.perf_counter() - begin:.1f} s")
figure, ax = plt.subplots(figsize=(8, 2.6))
plots.draw_images(ax, x_new, 16)
ax.set_title("64 samples, none picked")
plots.show(figure, "A grid of 64 sampled garments: shirts, trousers, dresses, shoes, boots, bags.")

# %% [markdown]
# On its way the process holds two pictures: $x_t$, and what the network takes for $x_0$ in it.

# %%
states = recorded(shipped.states(6, seeded(5), calls=39))
chosen = range(0, len(states.t), 2)
rows = {}
for k in (0, 2):
    rows |= {f"x_t, {k + 1}": states.x[chosen, k], f"x_0 seen, {k + 1}": states.x_0[chosen, k]}
figure = plots.image_rows(
    rows, "First what kind of thing it is, then its outline, last its details"
)
plots.show(
    figure,
    "Two processes from noise on the left to a garment on the right. In the rows of x_t the garment comes out "
    "of the grain late; in the rows of the estimate it is a blurred shape from the first step on and sharpens.",
)

# %% [markdown]
# ### The denoising autoencoder, at every noise level
#
# The denoising autoencoder of chapter 02 saw one noise, $x + 0.5\, \epsilon$. Divide by 1.5, and that is the straight
# path at t = 1/3: **it is this chapter's network at one time.** Give both the same noised test images:

# %%
autoencoder = load_pretrained("denoising", DenoisingAutoencoder)
x, eps = test.x[:500], torch.randn(500, 1, 28, 28, generator=seeded(0))
print(f"{'sigma':>6} {'t':>5} {'noised':>7} {'autoencoder':>12} {'diffusion':>10}   (PSNR in dB)")
seen, quality = {}, {}
for level in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0):
    t = torch.tensor(level / (1 + level))
    noised = x + level * eps
    seen[level] = in_batches(lambda v, t=t: shipped.estimate((1 - t) * v, t).x_0, noised).clamp(
        -1, 1
    )
    old = in_batches(autoencoder.reconstruct, noised).clamp(-1, 1)
    quality[level] = psnr(old, x), psnr(seen[level], x)
    print(
        f"{level:6} {t:5.2f} {psnr(noised, x):7.1f} {quality[level][0]:12.1f} {quality[level][1]:10.1f}"
    )
assert all(quality[level][1] > quality[level][0] + 1 for level in (0.1, 2.0, 4.0))
assert abs(quality[0.5][1] - quality[0.5][0]) < 1.5

# %% [markdown]
# At the noise that it was made for the autoencoder holds its own; away from it, the network that is told t wins.
# **Predict:** at t = 1 its input is noise alone. What does it answer?

# %%
with torch.no_grad():
    nothing = shipped.estimate(
        torch.randn(500, 1, 28, 28, generator=seeded(1)), torch.tensor(1.0)
    ).x_0
mean_image = train.subset(10_000).x.mean(dim=0)
rows = {
    "x, sigma 4": (x + 4.0 * eps)[:9] / 5,
    "x_0, sigma 4": seen[4.0][:9],
    "sigma 1": seen[1.0][:9],
}
rows |= {"sigma 0.25": seen[0.25][:9], "x": x[:9], "noise alone": nothing[:9]}
figure = plots.image_rows(
    rows, "Little to see gives a blur, nothing to see gives the mean of all images"
)
plots.show(
    figure,
    "Six rows of nine. Images under strong noise; what the network sees in them is a blur at sigma 4, a clear "
    "shape at sigma 1, and all details at 0.25. From noise alone it sees the same grey mixture every time.",
)
off, usual = mse(nothing, mean_image.expand_as(nothing)), mse(x, mean_image.expand_as(x))
print(f"from noise alone: {off:.4f} from the mean image (an image: {usual:.3f})")
assert off < 0.2 * usual

# %% [markdown]
# A squared error is least at the mean of all that is possible. So at high noise the network says what is common
# to all garments, at low noise it repairs texture. No single call draws a sharp image; the chain of calls does,
# since each step decides a little.
#
# ### Copies?

# %%
pool = train.subset(30_000).x  # (30000, 1, 28, 28); half of all: memory
near = nearest(torch.cat([x_new, test.x[:200]]), pool)
fake, real = near.distance.split([64, 200])
pairs = {"sample": x_new[:12], "nearest": pool[near.indices[:12]]}
del pool
figure = plots.image_rows(pairs, "Alike, but no copies")
plots.show(
    figure, "Twelve samples above their nearest training images: similar shapes, other details."
)
print(f"median distance to the nearest of 30,000: samples {fake.median():.1f}, ", end="")
print(f"test images {real.median():.1f}; smallest of the samples {fake.min():.1f}")
assert fake.min() > 1.0

# %% [markdown]
# ## Explore
#
# **Schedules.** The curves of *Schedules* above, and what they do to an image.
#
# 1. Linear, T = 1,000: from which t on can you no longer tell what it is? What is the log SNR there?
# 2. Set T to 100 and leave $\beta_T$. What stands at the end? Which $\beta_T$ repairs it?
# 3. Compare linear and cosine at t/T = 0.7. Which one wastes times in which nothing is left to see?

# %% tags=["widget"]
ScheduleExplorer()

# %% [markdown]
# **A reverse process.** The film strip above, to be moved.
#
# 1. In which third of the way does the kind of garment become clear in the lower picture?
# 2. Same seed: do DDIM and Heun's method end in the same image? And with the ancestral sampler? Why?
# 3. DDIM has a number $\eta$ between 0 (no fresh noise) and 1 (ancestral). What does $\eta = 0.5$ keep of the
#    image?

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
# so that one network learns both estimates; in sampling, go away from the one without a label:
#
# $$\tilde\epsilon = (1 + w)\, \epsilon_\theta(x_t, t, y) - w\, \epsilon_\theta(x_t, t)$$
#
# Why: $-\epsilon / \sigma_t$ estimates the slope $\nabla \log p(x_t)$, so by Bayes' rule the difference of the two
# estimates $\nabla \log p(y|x_t)$, what a classifier would say. The weight w exaggerates it. **Predict:** with a
# large w, what becomes of quality, and what of diversity?

# %%
guide = load_pretrained("diffusion-labels", Diffusion)
ten = torch.arange(10)
rows = {
    f"w = {w}": guide.sample(10, seeded(2), calls=38, labels=ten, guidance=w).detach()
    for w in (0, 1, 4, 8)
}
figure = plots.image_rows(
    rows, "One column, one class and one noise: plainer at first, then glaring and torn"
)
plots.show(
    figure,
    "Four rows of ten garments, one of each class. With growing weight shapes become plainer and the "
    "contrast stronger; at the largest weights a sandal and a dress break up.",
)

# %% [markdown]
# A thousand samples for each weight (`gen_course/ch06_diffusion/studies/diffusion_guidance.py`):

# %%
study = [{k: float(row[k]) for k in list(row)[:-1]} for row in read_study("diffusion_guidance")]
print(f"{'w':>4} {'taken for y':>12} {'Fréchet':>8} {'precision':>10} {'recall':>7}")
for row in study:
    print(
        f"{row['weight']:4} {row['taken']:12.1%} {row['frechet']:8.2f} {row['precision']:10.2f} "
        f"{row['recall']:7.2f}"
    )
by_weight = {row["weight"]: row for row in study}
figure, ax = plt.subplots(figsize=(6.5, 2.8))
lines = {"taken for y": "taken", "precision": "precision", "recall": "recall"}
weights = [row["weight"] for row in study]
plots.curves(ax, {name: [row[k] for row in study] for name, k in lines.items()}, x=weights)
ax.set(xlabel="guidance weight w", ylim=(0, 1.05))
ax.set_title("Guidance trades variety for obedience")
plots.show(
    figure,
    "Against the guidance weight: the share of samples that the judge takes for their class rises, recall "
    "falls.",
)
assert by_weight[2.0]["taken"] > by_weight[0.0]["taken"]
assert by_weight[8.0]["recall"] < by_weight[0.0]["recall"] - 0.05
assert by_weight[8.0]["frechet"] > min(row["frechet"] for row in study)
taken = [row["taken"] for row in study]
assert taken == sorted(taken)  # the judge doubts less and less ...
assert by_weight[8.0]["precision"] < by_weight[0.0]["precision"] < by_weight[2.0]["precision"]

# %% [markdown]
# The judge doubts less and less, up to the largest weight. That does not make the pictures better: precision and the
# distance improve at small weights and get worse at large ones, where the sandal above falls apart although the judge
# takes nearly every sample for its class. At w = 8 precision is lower than without any guidance.
#
# 1. Find the class that the judge doubts most at w = 0. Which weight settles it?
# 2. Raise w to 8. What do the ten samples have in common now?
# 3. Compare one place of both grids, the same noise: what does guidance change first, shape or texture?

# %% tags=["widget"]
GuidanceExplorer()

# %% [markdown]
# ## Filling holes
#
# **Inpainting** (이미지 인페인팅) is the first image application that the lecture names. The network without labels can
# do it as it is (Lugmayr et al. 2022, [2201.09865](https://arxiv.org/abs/2201.09865)): after every step overwrite
# the known pixels by the given image, noised to that time. Each step is done twice, with noise added back in
# between, so that the two parts can agree. Beside it the masked autoencoder of chapter 02, which was trained for
# exactly this. Four fifths of the patches are hidden.
#
# **Predict:** which of the two has the lower squared error, and which one the better pictures?

# %%
masked = load_pretrained("masked", MaskedAutoencoder)
x = test.x[100:200]
y, patches = masked.fill(x, seeded(0))  # (100, 1, 28, 28), (100, 49)
hidden = unpatchify(patches[:, :, None].expand(-1, -1, 16), (1, 28, 28))
mae = torch.where(hidden, y.clamp(-1, 1), x)
draws = torch.stack([shipped.inpaint(x, hidden, seeded(k), calls=40, repeats=2) for k in range(4)])
rows = {"x": x[:10], "given": torch.where(hidden, -0.3, x)[:10], "autoencoder": mae[:10]}
rows |= {
    "diffusion, 1": draws[0, :10],
    "diffusion, 2": draws[1, :10],
    "mean of 4": draws.mean(dim=0)[:10],
}
figure = plots.image_rows(rows, "A blur, or sharp pictures of which some are no garment")
plots.show(
    figure,
    "Six rows of ten garments: whole, with four fifths hidden, filled in by the masked autoencoder with a blur, "
    "filled in twice by diffusion with sharp and differing details, and the mean of four such fillings. Some fillings "
    "of diffusion are no garment: a torn animal shape in place of a dress, a cross in place of a shoe.",
)


def grain(v):
    return (v[..., 1:] - v[..., :-1]).abs().mean().item()  # between neighbours in a row


fillings = {
    "autoencoder": mae,
    "diffusion, one": draws[0],
    "diffusion, mean of 4": draws.mean(dim=0),
}
error = {name: masked_loss(v, x, patches).item() for name, v in fillings.items()}
print(f"{'':>21}  squared error   neighbouring pixels differ by (true: {grain(x):.3f})")
for name, v in fillings.items():
    print(f"{name:>21} {error[name]:14.3f} {grain(v):18.3f}")
times = error["diffusion, one"] / error["autoencoder"]
print(f"one filling has {times:.1f} times the autoencoder's error")
assert times > 3  # far above the 2 of a perfect sample
assert error["diffusion, mean of 4"] < 0.9 * error["diffusion, one"]
assert abs(grain(draws[0]) - grain(x)) < abs(grain(mae) - grain(x))

# %% [markdown]
# The autoencoder minimises the squared error, so it answers with a mean, and no other answer could score better.
# A perfect sample of the same distribution would have twice that error, and is a picture. What lies above twice is the
# fault of the network and of this way of filling: known and unknown parts do not quite agree, and several fillings are no garment at all.
# Averaging samples leads back towards the mean, and to the blur.

# %% [markdown]
# ## Measure
#
# The same figures for three families, on 10,000 samples each, from their cards. Diffusion takes 39 network calls
# a sample, the others one. The last columns say what else differs: minutes of training and weights of the network.

# %%
three = {"VAE": BernoulliVAE, "GAN": GAN, "diffusion": Diffusion}
cards = {name: read_card(pretrained_folder() / f"{name.lower()}.safetensors") for name in three}
figures = {name: card["figures"] for name, card in cards.items()}
kinds = ("frechet", "precision", "recall", "coverage")
figures["real images"] = {kind: figures["GAN"][f"{kind}_floor"] for kind in kinds}
floor = figures["real images"]["frechet"]
print(
    f"{'':>12} {'Fréchet':>8} {'x floor':>8} {'precision':>10} {'recall':>7} {'coverage':>9} "
    f"{'minutes':>8} {'weights':>10}"
)
weights_of = {
    name: sum(w.numel() for w in load_pretrained(name.lower(), kind).parameters())
    for name, kind in three.items()
}
for name, row in figures.items():
    cost = f"{cards[name]['minutes']:8.1f} {weights_of[name]:10,}" if name in three else ""
    print(
        f"{name:>12} {row['frechet']:8.3f} {row['frechet'] / floor:8.0f} {row['precision']:10.2f} "
        f"{row['recall']:7.2f} {row['coverage']:9.2f} {cost}"
    )
ours, theirs = figures["diffusion"], figures["GAN"]
assert ours["frechet"] < theirs["frechet"] < figures["VAE"]["frechet"]
assert ours["precision"] > theirs["precision"]
assert ours["recall"] > theirs["recall"]
assert ours["coverage"] > theirs["coverage"]
assert cards["diffusion"]["minutes"] > 4 * cards["GAN"]["minutes"]
assert 1.7 < weights_of["diffusion"] / weights_of["GAN"] < 2

# %% [markdown]
# That is the lecture's *high quality* (고품질 샘플 생성) **and** its *balance of diversity and quality* (다양성과 품질의
# 균형) in numbers: precision is quality, recall and **mode coverage** (모드 커버리지) are diversity. It is no race, though:
# diffusion had over four times the GAN's minutes and almost twice its weights. Chapter [07](07_comparison.ipynb) gives all
# families the same time.
#
# ### What does a network call buy?
#
# The price is time. 500 samples of the shipped network for each row, on one core
# (`gen_course/ch06_diffusion/studies/diffusion_samplers.py`):

# %%
study = read_study("diffusion_samplers")
floor_500 = float(study[0]["floor"])
print(
    f"{'':>10} {'calls':>6} {'s for 100':>10} {'Fréchet':>8} {'kernel':>8}   (floor {floor_500:.2f})"
)
curves = {}
for row in study:
    cost, value = float(row["seconds"]) / int(row["n"]) * 100, float(row["frechet"])
    curves.setdefault(row["sampler"], []).append((int(row["calls"]), cost, value))
    kernel = float(row["kernel"])
    print(f"{row['sampler']:>10} {row['calls']:>6} {cost:10.2f} {value:8.2f} {kernel:8.4f}")
figure, ax = plt.subplots(figsize=(7, 3.2))
for (name, points), color in zip(
    curves.items(), (plots.MODEL, plots.DATA, plots.CODE), strict=True
):
    _, cost, value = zip(*points, strict=True)
    ax.plot(cost, value, "o-", color=color, markersize=4, label=name)
for number, cost, value in curves["ancestral"]:
    spot = (10, 4) if number < 20 else (0, -14)  # where no curve is
    ax.annotate(
        f"{number:,}",
        (cost, value),
        spot,
        textcoords="offset points",
        ha="center",
        color=plots.CODE,
    )
ax.axhline(floor_500, color=plots.BASELINE, linestyle="--")
ax.annotate("real images", (cost, floor_500), color=plots.BASELINE, va="bottom", ha="right")
ax.set(
    xscale="log", yscale="log", xlabel="seconds for 100 samples (numbers: network calls, ancestral)"
)
ax.set(ylabel="Fréchet distance", ylim=(None, 1.6 * max(v for p in curves.values() for *_, v in p)))
ax.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
ax.set_yticks([], minor=True)
ax.legend(frameon=False)
ax.set_title("The first twenty calls buy nearly everything")
plots.show(
    figure,
    "Fréchet distance against seconds, both logarithmic, for Heun's method, DDIM and the ancestral sampler at 5 "
    "to 1,000 network calls. All fall steeply at first and then flatten.",
)
figure.draw_without_rendering()
for label, line in product(ax.texts[:-1], ax.lines):  # no curve runs through a number
    drawn = line.get_path().transformed(line.get_transform())
    assert not drawn.intersects_bbox(label.get_window_extent(), filled=False)
reached = {(name, number): value for name, points in curves.items() for number, _, value in points}
cheapest = min(reached[name, 20] for name in samplers)
print(f"best at 20 calls: {cheapest:.2f}; best of all: {min(reached.values()):.2f}")
assert all(reached[name, 5] > reached[name, 50] for name in samplers)
assert cheapest < 2 * min(reached.values())
followers = ("Heun", "DDIM")
assert all(reached["ancestral", k] < min(reached[n, k] for n in followers) for k in (50, 250))
assert all(reached[name, 250] > 0.8 * reached[name, 50] for name in samplers)

# %% [markdown]
# From fifty calls on more of them hardly help: what is left is the network's own error, not the step's. There the
# **ancestral** sampler is ahead. Its fresh noise hides part of the mistakes of earlier steps, and the network
# looks at the rest anew; a sampler that only follows the field keeps them (Karras et al. 2022, section 4).
#
# **Slow sampling** (느린 샘플링 속도), the lecture's weakness, is true of a thousand steps. With twenty calls it is a matter of
# seconds, and still no match for the one call of a GAN's generator:

# %%
gan = load_pretrained("gan", GAN)
spent = {}
for name, model, way in (("GAN", gan, {}), ("diffusion", shipped, {"calls": 20})):
    begin = time.perf_counter()
    model.sample(200, seeded(0), **way)
    spent[name] = time.perf_counter() - begin
    print(f"{name:>9}: 200 samples in {spent[name]:.2f} s")
assert spent["diffusion"] > 3 * spent["GAN"]

# %% [markdown]
# ### Is its training stable?
#
# **Stable training** (안정적인 훈련), says the lecture. Diffusion and the GAN of chapter 04, each at its own learning
# rate times 1/8 to 8, with two seeds, for about 20 seconds on one core
# (`gen_course/ch06_diffusion/studies/diffusion_stability.py`):

# %%
study = read_study("diffusion_stability")
print(
    f"{'':>10} {'rate':>8} {'seed':>5} {'loss, first':>12} {'last':>9} {'Fréchet':>8} {'rarest class':>13}"
)
for row in study:
    if row["loss_first"] == "diverged":
        print(f"{row['model']:>10} {float(row['lr']):8.5f} {row['seed']:>5}     diverged")
        continue
    first, last, value = (float(row[k]) for k in ("loss_first", "loss_last", "frechet"))
    print(
        f"{row['model']:>10} {float(row['lr']):8.5f} {row['seed']:>5} {first:12.3f} {last:9.3f} "
        f"{value:8.2f} {float(row['rarest']):13.1%}"
    )


def ranks(rows, key):
    return torch.tensor([float(row[key]) for row in rows]).argsort().argsort().double()


kept = {
    name: [row for row in study if row["model"] == name and row["loss_first"] != "diverged"]
    for name in ("diffusion", "gan")
}
agree = {
    name: torch.corrcoef(torch.stack([ranks(rows, key) for key in ("loss_last", "frechet")]))[0, 1]
    for name, rows in kept.items()
}
span = {name: [float(row["frechet"]) for row in rows] for name, rows in kept.items()}
for name, value in agree.items():
    lost = sum(row["model"] == name for row in study) - len(kept[name])
    print(
        f"{name:>10}: distances from {min(span[name]):.1f} to {max(span[name]):.1f}, {lost} diverged; "
        f"the last loss and the distance agree in rank to {value:+.2f}"
    )
assert all(float(row["loss_last"]) < float(row["loss_first"]) for row in kept["diffusion"])
assert agree["diffusion"] > 0.6
assert agree["diffusion"] > agree["gan"]
assert min(span["gan"]) < min(span["diffusion"])

# %% [markdown]
# What is stable is this: the loss falls in every run, and it **says how good the samples are**. The loss of the
# GAN's generator falls in some runs, rises in others, and says less. There is no opponent to outrun. But the distances
# depend on the learning rate about as much as the GAN's do, and stable is not fast: after twenty seconds the best GAN
# is ahead of the best diffusion model. In the table of *Measure* it is behind, where diffusion had more time and a
# larger network.

# %% [markdown]
# ## Break it: a schedule that ends too early
#
# Shorten the linear schedule to T = 100 and leave its $\beta_t$ between 0.0001 and 0.02. Then $\bar\alpha_T$ is
# 0.36: $x_T$ still holds a good part of the image. Training would never notice. But sampling begins with
# $\mathcal{N}(0, I)$, which is *not* what $x_T$ looks like. Since one network serves every schedule, up to a scale and
# a time, the shipped one shows it without any training. **Predict:** what will the samples look like?


# %%
def on(schedule):
    """The shipped network as a denoiser for another schedule."""

    def denoise(x_t, t):
        scale, tau = straightened(schedule, t)
        return shipped.estimate((x_t / scale).float(), tau.float())

    return denoise


def run(schedule, x_T):
    sampler = DDIM(schedule)
    *_, last = sampler.states(on(schedule), x_T, sampler.times(20))
    return last.x.clamp(-1, 1)


n = 300
short, full = linear(100), linear(1000)
z = torch.randn(n, 1, 28, 28, generator=seeded(4))
end = torch.tensor(100.0)
samples = {
    "T = 100, noise": run(short, z),
    "T = 100, true x_T": run(short, short.noised(train.subset(n).x, end, z)),
    "T = 1,000, noise": run(full, z),
}
figure = plots.image_rows(
    {name: x[:12] for name, x in samples.items()}, "The start lies, not the network"
)
plots.show(
    figure,
    "Three rows of twelve samples. From noise with the short schedule: grey, blotched pictures. From real "
    "images noised to the end of the short schedule: garments. From noise with the full schedule: garments.",
)
print(f"alpha_bar_T: {short.alpha_bar[-1]:.2f} and {full.alpha_bar[-1]:.0e}; ", end="")
print(f"mean of the test images {test.x.mean():.2f}, floor {sample_quality.frechet_floor(n):.2f}")
distance = {}
for name, x in samples.items():
    distance[name] = sample_quality.frechet(x)
    print(f"{name:>18}: Fréchet distance {distance[name]:6.2f}, mean pixel {x.mean():+.2f}")
assert distance["T = 100, noise"] > 3 * distance["T = 1,000, noise"]
assert distance["T = 100, noise"] > 3 * distance["T = 100, true x_T"]
assert samples["T = 100, noise"].mean() > test.x.mean() + 0.1

# %% [markdown]
# **Symptom:** blotched samples, too bright on the whole, from a network that is right. **Number:** the distance,
# and $\bar\alpha_T$ = 0.36. **Cause:** at its first step the network takes the slow swings of pure noise for what is
# left of an image, since in training there was something left. Started from a *true* $x_T$, it draws garments.
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
# below it. A check says what it verified, or what is wrong and why. All five are
# [solved](solutions/06_diffusion.ipynb).

# %% tags=["setup"]
from gen_course.ch06_diffusion.checks import (
    check_alpha_bar,
    check_ancestral_step,
    check_guided,
    check_loss,
    check_noised,
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
# **3. A step back** (25 minutes). From $x_t$ and the estimated `eps`, return $x_{t-1}$ as the ancestral sampler
# draws it; `z` is the standard normal noise to use, t a whole number, and the table has `alpha`, `beta` and
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
# without. Return the guided estimate for the weight w. Then guide a sampler of exercise 3 with it.


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
# ## Summary
#
# - Forward, all steps up to t are one: $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon$. Backward,
#   each step draws from a Gaussian whose mean needs $x_0$, and a network estimates that.
# - The loss is a bound on the likelihood with its weights left out: a squared error at a random time. What the
#   network says - $\epsilon$, $x_0$, v, the velocity - is one thing up to a linear map.
# - A sampler is a way to follow the same field. How many calls it takes is your choice after training.
# - **Strengths, as measured here:** one loss that falls and says how good the samples are (안정적인 훈련), the best
#   distance, precision and recall so far (고품질 샘플, 다양성과 품질의 균형), labels and holes without a new kind of
#   model. **Weaknesses:** tens of network calls for a sample where a GAN takes one; no short code to look into;
#   no images if the schedule ends too early.
#
# **Next:** [chapter 07](07_comparison.ipynb) sets all families side by side, on one clock.
#
# **Further reading.** J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020,
# [2006.11239](https://arxiv.org/abs/2006.11239). J. Sohl-Dickstein et al., *Deep Unsupervised Learning using
# Nonequilibrium Thermodynamics*, 2015, [1503.03585](https://arxiv.org/abs/1503.03585). J. Song, C. Meng, S. Ermon,
# *Denoising Diffusion Implicit Models*, 2020, [2010.02502](https://arxiv.org/abs/2010.02502). T. Karras et al.,
# *Elucidating the Design Space of Diffusion-Based Generative Models*, 2022,
# [2206.00364](https://arxiv.org/abs/2206.00364). G. Székely, M. Rizzo, *Energy statistics: A class of statistics
# based on distances*, 2013.

# %%
print(timing.report())
