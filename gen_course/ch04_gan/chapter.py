# %% [markdown]
# # 04 · Generative adversarial networks: can a critic replace a likelihood?
#
# **Question.** A generator never sees an image and never computes a probability; all it hears is
# whether a critic believed it. Is that enough to learn a distribution - and when does it fail?
#
# **Afterwards you can** derive the best discriminator and the Jensen-Shannon divergence behind the game,
# write both players' turns, tell a saturating from a non-saturating loss by its gradient, provoke a
# mode collapse and repair it, and measure a GAN by something other than its losses.
#
# **Know first:** chapter [01](01_autoencoders.ipynb), above all the Fréchet distance in its *Break it*;
# what a probability density is.

# %% tags=["setup"]
import itertools
import math

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch.distributions import Categorical, MixtureSameFamily, Normal
from torch.nn.functional import logsigmoid

from gen_course.ch04_gan.checks import check_value
from gen_course.ch04_gan.explorers import CollapseLab, LatentWalk, TrainingScrubber
from gen_course.ch04_gan.scene import scene
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_lib.data import load, load_toy, modes
from gen_lib.metrics import nearest, precision_recall
from gen_lib.metrics.sample_quality import SampleQuality, class_histogram
from gen_lib.models import GAN
from gen_lib.models.base import in_batches
from gen_lib.models.gan import COLLAPSE, PlaneGAN
from gen_lib.models.interpolation import between
from gen_lib.nets.feedforward import mlp
from gen_lib.training import training_steps
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card

plots.use_style()
images = load("fashion_mnist")
train, test = images.train, images.test
toy = load_toy("eight_gaussians")
PINK = LinearSegmentedColormap.from_list("D", ["white", plots.DISCRIMINATOR])
names = ("gan-300", "gan-1000", "gan")
gans = {name: load_pretrained(name, GAN) for name in names}
cards = {name: read_card(pretrained_folder() / f"{name}.safetensors") for name in names}
gan = gans["gan"]


def draw(ax, now, arrows=60):
    """D's field, G's samples, and where its loss pulls some of them."""
    plots.field(ax, now.field, cmap=PINK, vmin=0, vmax=1)
    ax.scatter(*now.samples.T.numpy(), 3, color="#8a5f00")
    start, pull = now.samples[:arrows], now.pull[:arrows]
    pull = pull / pull.norm(dim=1).max().clamp(min=1e-9)
    ax.quiver(
        *start.T.numpy(), *pull.T.numpy(), angles="xy", scale_units="xy", scale=2, width=0.006
    )
    ax.scatter(*toy.means.T.numpy(), 90, facecolor="none", edgecolor=plots.DATA)


print(timing.stated("04_gan"))

# %% [markdown]
# ## Idea
#
# Two networks play against each other: **adversarial training** (적대적 훈련; Goodfellow et al. 2014,
# [1406.2661](https://arxiv.org/abs/1406.2661)). The **generator** (생성자) G turns a **latent vector** (잠재
# 벡터) z into an image. The **discriminator** (판별자) D is shown real images and generated ones, and says with which
# probability an image is real. G wants to be believed, D wants to be right.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.6, 2.2))
for left, top, words, color in (
    (0.0, 0.35, "z ~ N(0, I)", plots.BASELINE),
    (2.0, 0.35, "generator G", plots.GENERATOR),
    (5.2, 0.85, "discriminator D", plots.DISCRIMINATOR),
    (2.0, 1.35, "real images x", plots.DATA),
):
    box = FancyBboxPatch((left, top), 1.5, 0.35, boxstyle="round,pad=0.08", color=color, alpha=0.3)
    ax.add_patch(box)
    ax.text(left + 0.75, top + 0.17, words, ha="center", va="center")
for start, end in (
    ((1.6, 0.52), (1.9, 0.52)),
    ((3.6, 0.52), (5.1, 0.95)),
    ((3.6, 1.52), (5.1, 1.12)),
    ((6.8, 1.02), (7.5, 1.02)),
):
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color="black"))
ax.text(4.2, 0.5, "G(z)", ha="left", va="top")
ax.text(7.6, 1.02, "D(x): real?", va="center")
ax.set(xlim=(-0.2, 8.8), ylim=(0.1, 1.95))
ax.axis("off")
plots.show(
    figure,
    "A latent vector z goes through the generator G; its image G(z) and real images x go to the "
    "discriminator D, which says how likely its input is real.",
)

# %% [markdown]
# The lecture's **objective** (목적 함수), with $\hat p$ the data and $p(z)$ a standard normal distribution:
#
# $$\min_{\theta_g} \max_{\theta_d} \; V = \mathbb{E}_{x \sim \hat p} \log D_{\theta_d}(x)
# + \mathbb{E}_{z \sim p(z)} \log\left(1 - D_{\theta_d} \circ G_{\theta_g}(z)\right)$$
#
# There is no likelihood, no reconstruction, no encoder. What D learns **is** the loss of G. D is a
# standard CNN from an image to one number (이미지 → 스칼라), G an inverse one from a vector to an image
# (잠재 벡터 → 이미지). The number is a **logit** f; the probability is $D = 1 / (1 + e^{-f})$.

# %% [markdown]
# ## What the best discriminator knows
#
# Fix G. At one place x, where the data have density $p$ and G's samples $q$, D's part of V is
# $p \log D + q \log (1 - D)$. Set the derivative $p / D - q / (1 - D)$ to zero:
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}, \qquad f^*(x) = \log p(x) - \log q(x)$$
#
# So the best discriminator knows the **ratio of two densities**, of which it has only ever seen samples.
# Put it into V, with the mixture $m = (p + q) / 2$:
#
# $$V(D^*) = \mathbb{E}_p \log \frac{p}{2m} + \mathbb{E}_q \log \frac{q}{2m}
# = \mathrm{KL}(p \,\Vert\, m) + \mathrm{KL}(q \,\Vert\, m) - \log 4 = 2\,\mathrm{JSD}(p, q) - \log 4$$
#
# The Jensen-Shannon divergence is 0 only for p = q, so the best G makes the two equal, and V is then
# −log 4. Check all three claims on two densities known in closed form: the formula for D*, the value,
# and that a small network **trained on samples alone** finds both.


# %%
def two_bumps():
    return MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.tensor([-2.0, 2.0]), 0.6))


p, q = two_bumps(), Normal(0.5, 1.5)
x = torch.linspace(-8, 9, 4_001, dtype=torch.float64)
dx = x[1] - x[0]
p_x, q_x = p.log_prob(x).exp(), q.log_prob(x).exp()

candidates = torch.linspace(0.0005, 0.9995, 1_000, dtype=torch.float64)[:, None]
part = p_x[::40] * candidates.log() + q_x[::40] * (1 - candidates).log()  # (1000, places)
best = candidates[part.argmax(dim=0), 0]
off = (best - (p_x / (p_x + q_x))[::40]).abs().max().item()
print(f"1. the best of 1,000 values of D differs from p / (p + q) by {off:.4f} at most")

m_x = (p_x + q_x) / 2
jsd = 0.5 * ((p_x * (p_x / m_x).log()).sum() + (q_x * (q_x / m_x).log()).sum()) * dx
d_x = p_x / (p_x + q_x)
v_best = ((p_x * d_x.log()).sum() + (q_x * (1 - d_x).log()).sum()) * dx
print(f"2. V(D*) = {v_best:.5f} and 2 JSD - log 4 = {2 * jsd - math.log(4):.5f}")

torch.manual_seed(0)
critic = mlp(1, 64, 64, 1)
optimiser = torch.optim.Adam(critic.parameters(), lr=3e-3)
for step in range(1_200):
    optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / 1_200)
    real, fake = critic(p.sample((512, 1)))[:, 0], critic(q.sample((512, 1)))[:, 0]
    reached = logsigmoid(real).mean() + logsigmoid(-fake).mean()
    optimiser.zero_grad()
    (-reached).backward()
    optimiser.step()
with torch.no_grad():
    f = critic(x[:, None].float())[:, 0].double()
v_trained = ((p_x * logsigmoid(f)).sum() + (q_x * logsigmoid(-f)).sum()) * dx
print(f"3. V of the trained network = {v_trained:.5f}: never above, {v_best - v_trained:.4f} below")
assert off < 1e-3
assert abs(v_best - (2 * jsd - math.log(4))) < 1e-5
assert 0 <= v_best - v_trained < 0.02

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.4, 2.9))
axes[0].plot(x, p_x, color=plots.DATA)
axes[0].plot(x, q_x, color=plots.GENERATOR)
axes[0].text(-2, 0.345, "p, the data", color=plots.DATA, ha="center")
axes[0].text(3.2, 0.1, "q, samples", color="#8a5f00")
axes[0].set(xlim=(-5, 6), ylim=(0, 0.39), title="Two densities ...", xlabel="x")
axes[1].plot(x, d_x, color="black", linestyle="--")
axes[1].plot(x, f.sigmoid(), color=plots.DISCRIMINATOR)
axes[1].text(3.3, 0.9, "p / (p + q)")
axes[1].text(3.3, 0.78, "trained D", color=plots.DISCRIMINATOR)
axes[1].set(xlim=(-5, 6), ylim=(0, 1), title="... whose ratio D finds from samples", xlabel="x")
plots.show(
    figure,
    "Left: the data's density has bumps at -2 and 2, the samples' is one wide bump at 0.5. Right: the "
    "trained discriminator lies on the dashed curve p / (p + q), high on both bumps and low between.",
)

# %% [markdown]
# That is the theory: D reaches its best after every move of G. **Predict:** move q away from p until they
# do not overlap any more. What happens to the Jensen-Shannon divergence, and to what G can learn from it?

# %%
gaps = torch.linspace(0, 8, 81, dtype=torch.float64)


def jensen_shannon(gap):
    a, b = (Normal(mean, 0.5).log_prob(x).exp() + 1e-300 for mean in (-1.0, -1.0 + gap))
    mean = (a + b) / 2
    return 0.5 * ((a * (a / mean).log()).sum() + (b * (b / mean).log()).sum()) * dx


far = torch.stack([jensen_shannon(gap) for gap in gaps.tolist()])
slope = (far[1:] - far[:-1]) / (gaps[1] - gaps[0])
figure, ax = plt.subplots(figsize=(6.5, 2.4))
ax.plot(gaps, far, color=plots.GENERATOR)
ax.axhline(math.log(2), color=plots.BASELINE, linestyle="--")
ax.text(0.1, math.log(2) - 0.03, "log 2", va="top", color=plots.BASELINE)
ax.set(xlabel="distance between two Gaussians of sd 0.5", ylabel="JSD", ylim=(0, 0.76))
ax.set_title("Once they are apart, the divergence no longer says how far")
plots.show(
    figure,
    "The Jensen-Shannon divergence rises from 0 and is flat at log 2 from a distance of about 4 on.",
)
print(f"slope at distance 1: {slope[10]:.3f}; at distance 6: {slope[60]:.1e}")
assert (far[-1] - math.log(2)).abs() < 1e-4
assert slope[60] < 1e-6 < slope[10]

# %% [markdown]
# ## Build
#
# V, from logits: $\log D = \log \sigma(f)$ and $\log (1 - D) = \log \sigma(-f)$. (Written as
# `log(sigmoid(f))` it is −∞ as soon as D is sure.)


# %%
def V(f_real, f_fake):
    return logsigmoid(f_real).mean() + logsigmoid(-f_fake).mean()


check_value(V)

# %% [markdown]
# G could descend V itself: $\log(1 - D(G(z)))$, the **saturating** loss. The same paper says at once not
# to, and to descend $-\log D(G(z))$ instead. Both want D fooled. **Predict:** early in training D is
# sure of every fake, D(G(z)) ≈ 0.01. Which loss has the larger gradient there, and by what factor?

# %%
f_fake = torch.linspace(-8, 8, 401, requires_grad=True)
(g_saturating,) = torch.autograd.grad(logsigmoid(-f_fake).sum(), f_fake)
(g_other,) = torch.autograd.grad(-logsigmoid(f_fake).sum(), f_fake)
probability = f_fake.detach().sigmoid()
figure, ax = plt.subplots(figsize=(6.8, 2.7))
ax.plot(probability, g_saturating.abs(), color=plots.BASELINE)
ax.plot(probability, g_other.abs(), color=plots.GENERATOR)
ax.text(0.97, 0.74, "saturating", ha="right", color="#555555")
ax.text(0.03, 0.7, "non-saturating", color="#8a5f00")
ax.set(xlabel="D(G(z))", ylabel="|d loss / d f|", xlim=(0, 1), ylim=(0, 1.02))
ax.set_title("Where D catches the fakes (left), only one loss still pulls")
plots.show(
    figure,
    "Size of the gradient of both losses against D(G(z)). The saturating loss's rises from 0 to 1, the "
    "non-saturating one's falls from 1 to 0; they cross at one half.",
)
caught = (probability - 0.01).abs().argmin()
factor = (g_other[caught] / g_saturating[caught]).abs().item()
print(
    f"at D(G(z)) = {probability[caught]:.3f} the non-saturating gradient is {factor:.0f} times larger"
)
assert 80 < factor < 120

# %% [markdown]
# One round is two turns. D's turn must not touch G: the fakes are **detached**. In G's turn the gradient
# flows *through* D, and only G's weights are moved.


# %%
def turn_of_d(G, D, x, z):
    fakes = G(z).detach()  # (N, 2, 1, 1): a point of the plane is an image of one pixel
    return -V(D(x)[:, 0], D(fakes)[:, 0])


def turn_of_g(G, D, z):
    return -logsigmoid(D(G(z))[:, 0]).mean()


torch.manual_seed(0)
library = PlaneGAN(loss="non-saturating", penalty=0.0)
G, D = library.generator, library.discriminator
batch = toy.batch(0, 256)
rng = torch.Generator().manual_seed(1)
mine = (
    turn_of_d(G, D, batch.images, library.noise(256, rng)),
    turn_of_g(G, D, library.noise(256, rng)),
)
theirs = [
    turn.loss for turn in library.turns(batch, torch.Generator().manual_seed(1), progress=0.0)
]
for ours, other, net in zip(mine, theirs, (D, G), strict=True):
    weights = list(net.parameters())
    pairs = zip(*(torch.autograd.grad(loss, weights) for loss in (ours, other)), strict=True)
    assert torch.allclose(ours, other, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
print(f"Same losses as the library ({mine[0]:.4f} for D, {mine[1]:.4f} for G), same gradients.")

# %% [markdown]
# ## Together, or in turn?
#
# The lecture says that both are trained *simultaneously* (생성자와 판별자를 동시에 훈련). Everyone's
# code alternates. Does it matter? Take the smallest GAN there is (Mescheder et al. 2018,
# [1801.04406](https://arxiv.org/abs/1801.04406)): the data are the one point 0, G always says θ, and
# D's logit is f(x) = ψ x. The equilibrium is θ = ψ = 0. Follow the gradients of V from (1, 0).
#
# **Predict:** which of the three reaches the middle: both players at once, in turn, or in turn with a
# penalty on D's slope?


# %%
def dirac(together, penalty=0.0, rate=0.2, rounds=400):
    theta, psi, path = 1.0, 0.0, []
    for _ in range(rounds):
        path.append((theta, psi))
        old = psi
        sure = 1 / (1 + math.exp(-psi * theta))  # D(theta)
        psi += rate * (-sure * theta - penalty * psi)  # D climbs V - penalty / 2 R1
        seen = old if together else psi
        theta += rate * seen / (1 + math.exp(-seen * theta))  # G descends V
    return torch.tensor(path)


games = {
    "together: outwards": dirac(together=True),
    "in turn: round and round": dirac(together=False),
    "in turn, R1: inwards": dirac(together=False, penalty=0.1),
}
figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.5), sharey=True)
for ax, (name, path) in zip(axes, games.items(), strict=True):
    ax.plot(path[:, 0], path[:, 1], color=plots.MODEL, linewidth=0.8)
    ax.plot(0, 0, "o", color=plots.DATA)
    ax.plot(*path[-1], "s", color="black")
    ax.set(title=name, xlabel="θ, what G says", aspect="equal", xlim=(-3.4, 3.4), ylim=(-3.4, 3.4))
axes[0].set_ylabel("ψ, D's slope")
plots.show(
    figure,
    "Three paths of (theta, psi) around the equilibrium in the middle: moving together spirals outwards, "
    "in turn stays on a ring, in turn with the penalty R1 spirals into the middle.",
)
radius = {name: path.norm(dim=1) for name, path in games.items()}
for name, r in radius.items():
    print(f"{name:>26}: starts {r[0]:.2f} from the equilibrium, ends {r[-1]:.3f} from it")
outwards, ring, inwards = radius.values()
assert outwards[-1] > 1.5
assert 0.7 < ring[-60:].min() < ring[-60:].max() < 1.4
assert inwards[-1] < 0.05

# %% [markdown]
# So the order matters, and neither order suffices. What makes the game converge is to price D's slope at
# the data, $R_1 = \mathbb{E}_{x \sim \hat p} \lVert \nabla f(x) \rVert^2$. In the plane, this chapter's
# default is the recipe of Huang et al. 2025 ([2501.05441](https://arxiv.org/abs/2501.05441)): $R_1$, the
# same on generated points ($R_2$), and a **relativistic** loss, in which D judges pairs: it descends
# softplus(f(fake) − f(real)). The generator that is kept is an average over its last weights.

# %% [markdown]
# ## Train eight Gaussians
#
# Eight modes of standard deviation 0.05 on a circle of radius 2. 1,500 rounds, live:

# %%
rounds = 1_500
torch.manual_seed(0)
plane = PlaneGAN()
rng = torch.Generator().manual_seed(0)
z_plane, x_plane = torch.randn(400, 2, generator=rng), toy.sample(400, rng)
film = {}
for record in training_steps(plane, toy, steps=rounds, batch_size=256):
    if record.step in (1, 100, 300, 600, rounds):
        film[record.step] = scene(plane, z_plane, x_plane)

figure, axes = plt.subplots(1, 5, figsize=(10, 2.7))
for ax, (step, now) in zip(axes, film.items(), strict=True):
    draw(ax, now)
    ax.set_title(f"step {step:,}")
figure.suptitle("G follows D's slope until its samples lie in all eight modes", fontweight="bold")
found = modes(plane.sample(10_000, rng).flatten(1), toy)
plots.show(
    figure,
    "Five moments of a game. The samples start as one dot in the middle, are pulled apart by arrows "
    f"towards the pink areas that D takes for real, and end on {found.covered} of the eight circles.",
)
print(f"{found.covered} of 8 modes covered, {found.near:.0%} within 3 standard deviations of one")
assert found.covered == 8

# %% [markdown]
# Pink is where D says "real"; the arrows are where G's loss pulls its samples: uphill in f. A continuous
# G has to cross the void between two modes, so some samples are always on the way; a thousand rounds more
# leave 1 in 20 there (stored study, below).

# %% [markdown]
# ## Train garments
#
# The same game with convolutions, for as long as a notebook allows. Here D is tamed more cheaply:
# **spectral norm** divides each of its layers by the largest singular value (Miyato et al. 2018,
# [1802.05957](https://arxiv.org/abs/1802.05957)), so that no slope has to be differentiated. Its loss is
# the hinge: an image that is right by more than a margin of 1 no longer counts. G has batch norm.

# %%
rounds_live = 300
torch.manual_seed(0)
live = GAN()
z_live = live.noise(500, torch.Generator().manual_seed(1))
drawn, history = {}, {"D": [], "G": []}  # drawn: step -> (500, 1, 28, 28)
for record in training_steps(live, train, steps=rounds_live, batch_size=64):
    for player, losses in history.items():
        losses.append(record.terms[player])
    if record.step in (20, 60, 150):
        drawn[record.step] = in_batches(live.eval().generate, z_live)
        live.train()
drawn[rounds_live] = in_batches(live.generate, z_live)
rows = {f"step {step}": x[:10] for step, x in drawn.items()}
figure = plots.image_rows(rows, "The same ten codes: from blobs to torn pieces of garments")
plots.show(
    figure,
    "Four rows of ten generated images from the same codes: bright blobs at first, then patches with "
    "holes; in the last row one or two shirts can be told, and most pictures are still torn.",
)

# %% [markdown]
# ## Look
#
# Longer training comes as shipped weights:

# %%
for card in cards.values():
    print(f"{card['command']}   ({card['minutes']} minutes)")
print(gan.generator)
figure, ax = plt.subplots(figsize=(8, 2.6))
plots.draw_images(ax, gan.sample(64, torch.Generator().manual_seed(0)), 16)
ax.set_title("64 samples, none picked")
plots.show(
    figure,
    "A grid of 64 generated garments: shirts, trousers, dresses, shoes, boots, bags.",
)

# %% [markdown]
# **Interpolation.** A straight line between two codes passes too close to 0: halfway, its variance is
# one half. Cosine and sine weights keep N(0, I) all the way.

# %%
z_a, z_b = gan.noise(4, torch.Generator().manual_seed(3)).chunk(2)
ways = {
    f"way {k + 1}": torch.cat(
        [gan.generate(between(z_a[k : k + 1], z_b[k : k + 1], i / 9)) for i in range(10)]
    ).detach()
    for k in range(2)
}
figure = plots.image_rows(ways, "Garments change into garments")
plots.show(figure, "Two rows of ten images: each morphs smoothly from one garment into another.")
many = torch.randn(2, 20_000, gan.latent_size, generator=torch.Generator().manual_seed(0))
half = {"straight line": many.mean(dim=0), "cos, sin": between(*many, 0.5)}
for name, z in half.items():
    print(f"halfway by {name:>13}: variance {z.var():.3f}")
assert abs(half["cos, sin"].var() - 1) < 0.02
assert abs(half["straight line"].var() - 0.5) < 0.02

# %% [markdown]
# ## Explore
#
# **A game, played back.** The figure of the eight Gaussians above shows five of its moments. Drag *frame*,
# or press play, and change the rules.
#
# 1. With the rules of the collapse: do the samples rest on one mode, or do they travel?
# 2. Watch the two losses while modes are lost. Could you tell the loss of modes from them?
# 3. Where do the arrows point in the first frames, and what does D look like there?

# %% tags=["widget"]
TrainingScrubber()

# %% [markdown]
# **A walk through z.** The rows of the interpolation above show two such ways.
#
# 1. Move along the way between two codes: is there a place that is no garment?
# 2. Find a unit of z whose shift changes the kind of garment, and one that changes its brightness only.
# 3. Shift a unit by 4. Is the picture still a garment? The words below say how untypical the code is.

# %% tags=["widget"]
LatentWalk()

# %% [markdown]
# ## Measure
#
# Everything beside its floor: what real training images score against the same 10,000 test images. The
# cards hold these figures for each budget; the last one is measured again.

# %%
sample_quality = SampleQuality(images)
x_gan = gan.sample(10_000, torch.Generator().manual_seed(0))
again = sample_quality.quality(x_gan)
figures = {name: card["figures"] for name, card in cards.items()}
figures["VAE"] = read_card(pretrained_folder() / "vae.safetensors")["figures"]
floor = {name: figures["gan"][f"{name}_floor"] for name in again._fields}
shares = {
    name: class_histogram(
        sample_quality.judge, model.sample(2_000, torch.Generator().manual_seed(0))
    )
    for name, model in gans.items()
}
print(
    f"{'':>12} {'Fréchet':>8} {'x floor':>8} {'precision':>10} {'recall':>7} {'rarest class':>13}"
)
for name, row in (figures | {"real images": floor}).items():
    rarest = f"{100 * shares[name].min():11.1f} %" if name in shares else ""
    print(
        f"{name:>12} {row['frechet']:8.3f} {row['frechet'] / floor['frechet']:8.0f} "
        f"{row['precision']:10.2f} {row['recall']:7.2f} {rarest}"
    )
print(f"{'gan, again':>12} {again.frechet:8.3f}")
frechet = [figures[name]["frechet"] for name in names]
assert frechet[0] > frechet[1] > frechet[2] > floor["frechet"]
assert abs(again.frechet / frechet[2] - 1) < 0.1
assert figures["VAE"]["frechet"] > frechet[2]
for kind in ("precision", "recall"):
    assert figures["VAE"][kind] < figures["gan"][kind]

# %% [markdown]
# *VAE* is the model of chapter 03, as shipped. It encodes, and bounds a likelihood, which a GAN cannot;
# the GAN's samples are nearer to the data by every figure of this table.
#
# **Every kind of garment?** The judge has sorted 10,000 samples:

# %%
figure, ax = plt.subplots(figsize=(7, 3.0))
share = class_histogram(sample_quality.judge, x_gan)
percent = dict(zip(images.classes, (100 * share).tolist(), strict=True))
plots.bars(ax, percent, text="{:.1f}")
ax.axvline(10, color="black", linestyle="--", linewidth=1, zorder=3)  # on top of the bars
plt.setp(ax.texts, zorder=4, bbox={"fc": "white", "ec": "none", "pad": 0.5})
ax.set_xlabel("per cent of the samples (dashed: of the data)")
ax.set_title(f"All ten classes are there; the rarest has {100 * share.min():.1f} %")
plots.show(
    figure,
    "Bars of the share of each class: "
    + ", ".join(f"{k} {v:.1f}" for k, v in percent.items())
    + ".",
)
assert share.min() > 0.02
assert min(line.zorder for line in ax.lines) > max(bar.zorder for bar in ax.patches)  # seen

# %% [markdown]
# **Copies?** Beside each sample its nearest training image, of 60,000:

# %%
near = nearest(x_gan[:10], train.x)
pairs = {"sample": x_gan[:10], "nearest": train.x[near.indices]}
figure = plots.image_rows(pairs, "No copies; the ninth sample is no garment, but debris")
plots.show(
    figure,
    "Ten samples above their nearest training images: similar shapes, other details. The ninth sample is a few "
    "scattered white spots, above a dark pullover.",
)
real = nearest(test.x[:200], train.x).distance
fake = nearest(x_gan[:200], train.x).distance
print(f"median distance to the nearest training image: samples {fake.median():.1f}, ", end="")
print(f"test images {real.median():.1f}; smallest of the samples {fake.min():.1f}")
assert fake.min() > 1.0
assert again.precision < floor["precision"] - 0.05  # more debris than among real images
ninth = sample_quality.features(x_gan[8:9]).expand(4, -1)  # four copies of the one
assert precision_recall(ninth, sample_quality.reference[:2_000])[0] == 0  # no real image is near

# %% [markdown]
# Not every sample is a garment. How many are not? *Precision* in the table above says which share of the samples lies
# among real images: less than for real images themselves.
#
# **Do the losses say how good it is?** The live run's pictures went from blobs to torn pieces; whether row 300 is better
# than row 150 is hard to say by eye. The judge measures 500 pictures of each row. **Predict:** what did G's own loss do
# meanwhile?

# %%
figure, ax = plt.subplots(figsize=(7, 2.5))
smoothed = {player: plots.smooth(losses, 30) for player, losses in history.items()}
plots.curves(ax, smoothed, colors=(plots.DISCRIMINATOR, plots.GENERATOR))
ax.set(xlabel="step", ylabel="loss, running mean of 30")
ax.set_title("By its own loss G does worse, while the distance of its images falls")
plots.show(
    figure,
    "Losses of D and G over the live run: D's falls from 2, that of a coin, and G's does not fall.",
)
for player, curve in smoothed.items():
    print(f"{player}: {curve[0]:.2f} at first, {curve[-1]:.2f} in the end")
row_distance = {step: sample_quality.frechet(x) for step, x in drawn.items()}
told = ", ".join(f"{value:.1f} at step {step}" for step, value in row_distance.items())
assert row_distance[rounds_live] < 0.6 * row_distance[20]
print(f"Fréchet distance of 500 pictures: {told} (floor {sample_quality.frechet_floor(500):.2f})")
assert smoothed["D"][-1] < smoothed["D"][0] - 0.2
assert smoothed["G"][-1] > smoothed["G"][0]

# %% [markdown]
# A player's loss says how it does *against the opponent of that moment*. D learnt faster, so G's loss
# rose; no number of the game says whether the pictures are good.
#
# **How much is luck?** The stored study (`gen_course/ch04_gan/studies/gan_seeds.py`) repeats a shorter run with
# five seeds, and a plain DCGAN recipe beside it (Radford et al. 2015,
# [1511.06434](https://arxiv.org/abs/1511.06434): batch norm in both, non-saturating loss, Adam 2e-4 with
# β₁ = 0.5) for as many images and for as many seconds, all on one core.

# %%
table = read_study("gan_seeds")
for row in table:
    print(
        f"{row['recipe']:>22}, seed {row['seed']}: {row['steps']:>5} steps, {row['seconds']:>3} s, "
        f"Fréchet {float(row['frechet']):6.2f}, rarest class {100 * float(row['rarest']):4.1f} %"
    )
ours = [float(row["frechet"]) for row in table if row["recipe"] == "default"]
theirs = [float(row["frechet"]) for row in table if row["recipe"] != "default"]
multiples = [frechet / float(table[0]["floor"]) for frechet in ours]
spread = (max(ours) - min(ours)) / (sum(ours) / len(ours))
print(
    f"default: {min(multiples):.0f} to {max(multiples):.0f} times the floor, a spread of {spread:.0%}"
)
assert max(ours) < min(theirs)
assert spread < 0.1  # luck is small beside the choice of the recipe:
assert min(theirs) > 3 * max(ours)
assert all(float(row["rarest"]) > 0.02 for row in table if row["recipe"] == "default")

# %% [markdown]
# Luck is small here: the seed moves the distance by less than a tenth, and no seed loses a class. The recipe moves it
# several times over. The DCGAN's rates were chosen for far longer runs: what its rows show is how far it comes on this
# clock, not where it ends.

# %% [markdown]
# ## Break it: mode collapse
#
# Let G learn ten times as fast as D, and let nothing tame D. Long before D has answered, G has run to the
# place that D believes most at the moment; D answers; G runs on: **mode collapse** (모드 붕괴). **Predict:** how many of the eight modes
# will 10,000 samples cover?

# %%
broken_rounds = 1_000
torch.manual_seed(0)
broken = PlaneGAN(**COLLAPSE)
rng = torch.Generator().manual_seed(0)
z_plane, x_plane = torch.randn(400, 2, generator=rng), toy.sample(400, rng)
last = {}
for record in training_steps(broken, toy, steps=broken_rounds, batch_size=256):
    if record.step in (300, 500, 750, broken_rounds):
        last[record.step] = scene(broken, z_plane, x_plane)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.9))
for ax, (step, now) in zip(axes, last.items(), strict=True):
    draw(ax, now)
    ax.set_title(f"step {step:,}")
figure.suptitle("All samples in one place, and never in the same", fontweight="bold")
lost = modes(broken.sample(10_000, rng).flatten(1), toy)
plots.show(
    figure,
    "Four moments of the broken game: all samples lie together in one clump or streak, which is at "
    "another place of the ring in every picture.",
)
print(f"{lost.covered} of 8 modes covered")
assert lost.covered <= 4

# %% [markdown]
# **Symptom:** varied latent codes, one picture. **Number:** the modes covered. **Cause:** the order of
# the game. The theory asks for min over G of max over D: D answers fully before G moves. If G moves
# faster, it plays max-min: the best answer to a *fixed* D is a single point. **Repair:** give both the same
# rate. **Predict:** would the penalty alone do? Five seeds each, the other rules once, all on one core
# (`gen_course/ch04_gan/studies/gan_modes.py`):

# %%
games = read_study("gan_modes")
for name, rows_of in itertools.groupby(games, key=lambda row: row["recipe"]):
    rows_of = list(rows_of)
    covered = ", ".join(row["modes"] for row in rows_of)
    inside = min(float(row["near"]) for row in rows_of)
    slowest = max(float(row["seconds"]) for row in rows_of)
    print(f"{name:>29}: modes {covered}; {inside:.1%} or more near one; {slowest:.0f} s at most")
default, collapse = (
    [row for row in games if row["recipe"].startswith(word)]
    for word in ("relativistic", "collapse")
)
assert all(int(row["modes"]) == 8 and float(row["near"]) > 0.9 for row in default)
assert sum(int(row["modes"]) <= 4 for row in collapse) >= 4
once = {row["recipe"]: int(row["modes"]) for row in games}
assert once["saturating, no penalty"] == 8 > 4 >= once["slow D, R1 + R2"]

# %% [markdown]
# Here the rates decide: with equal ones even the saturating loss finds all modes without a penalty; with a
# slow D the penalty of 0.01 does not help. The default puts more samples near the modes (in 2,500 steps;
# the others had 2,000).
#
# **Your turn, live.** The film strip above shows what the laboratory draws. Press *Start*; *Stop* works at
# once.
#
# 1. From the default, change one rule at a time until modes are lost. Which alone suffices?
# 2. Slow D down to a tenth (2e-4) without a penalty, then raise the penalty. Which value helps, if any?
# 3. Set the penalty to 1. Where do the samples lie, and why? Look at the pink field.

# %% tags=["widget"]
CollapseLab()

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("04_gan")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All four are
# [solved](solutions/04_gan.ipynb).

# %% tags=["setup"]
from torch.nn import functional as F

from gen_course.ch04_gan.checks import (
    check_covered_modes,
    check_discriminator_step,
    check_losses,
    check_squared_slope,
)

# %% [markdown]
# **1. Both losses from labels** (10 minutes). Many programs write the game as classification: the label
# of a real image is 1, that of a fake 0, and the loss is the binary cross entropy of the logits. Return
# D's loss and G's non-saturating loss, as a pair, from the logits `real` and `fake`, both (N,).


# %% tags=["exercise"]
def losses(real, fake):
    """D's loss (the negative of V) and G's non-saturating loss."""
    # Hint: F.binary_cross_entropy_with_logits(logits, labels). Which label would G like its fakes to get?
    ### BEGIN SOLUTION
    entropy = F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    return entropy(real, ones) + entropy(fake, zeros), entropy(fake, ones)
    ### END SOLUTION


# %%
check_losses(losses)

# %% [markdown]
# **2. A turn of the discriminator** (25 minutes). Given `G`, `D`, the `optimiser` of D's weights, real
# points `x` and latent `z`, take one step of D down −V and return the loss. Whoever drew samples before
# has left D in evaluation mode; G's last turn has left gradients in D. Nothing of G may change, and no
# gradient may reach it.


# %% tags=["exercise"]
def discriminator_step(G, D, optimiser, x, z):
    """One turn of D; D(x) has the shape (N, 1)."""
    # Hint: five things: the mode, the fakes, the loss, the old gradients, the step.
    ### BEGIN SOLUTION
    D.train()
    with torch.no_grad():
        generated = G(z)
    loss = F.softplus(-D(x)).mean() + F.softplus(D(generated)).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
    ### END SOLUTION


# %%
check_discriminator_step(discriminator_step)

# %% [markdown]
# **3. Count the modes** (15 minutes). Given samples `x` (n, 2), `means` (modes, 2) and `sigma`, return
# how many modes are covered: at least 1 % of **all** samples lie within 3 sigma of the mode's mean.


# %% tags=["exercise"]
def covered_modes(x, means, sigma):
    """The number of modes that are covered."""
    # Hint: torch.cdist(x, means) is (n, modes).
    ### BEGIN SOLUTION
    inside = torch.cdist(x, means) <= 3 * sigma  # (n, modes)
    return int((inside.float().mean(dim=0) >= 0.01).sum())
    ### END SOLUTION


# %%
check_covered_modes(covered_modes)

# %% [markdown]
# **4. R1** (40 minutes). Return $\mathbb{E} \lVert \nabla_x f(x) \rVert^2$ at the images `x` (N, C, H, W)
# for a discriminator `D` with logits (N, 1), so that D can be trained on it. Then add it to exercise 2,
# and run the smallest GAN of this chapter with it.


# %% tags=["exercise"]
def r1(D, x):
    """The squared slope of D's logit at the images: summed over pixels, averaged over images."""
    # Hint: torch.autograd.grad(..., create_graph=True); the gradient of a sum holds every image's own.
    ### BEGIN SOLUTION
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)  # (N, C, H, W)
    return gradient.flatten(1).square().sum(dim=1).mean()
    ### END SOLUTION


# %%
check_squared_slope(r1)

# %% [markdown]
# ## Summary
#
# - The best discriminator knows p / (p + q); with it, G minimises a Jensen-Shannon divergence. That
#   holds while D is at its best, and is flat where the two do not overlap.
# - G descends −log D(G(z)): where D is sure, its gradient is about a hundred times larger at
#   D(G(z)) = 0.01.
# - *Simultaneous* training spirals outwards on the smallest example, alternating goes round in circles;
#   a penalty on D's slope makes it converge.
# - **Strengths, as measured here:** one network call per sample (빠른 샘플링), all ten classes, and samples
#   nearer to the data than the VAE's (고품질 샘플). Five seeds of the default recipe reach nearly the same
#   distance. **Weaknesses:** no likelihood and no encoder; the losses do not say how good the samples are;
#   the result depends on the rules: those that let G outrun D end in mode collapse (모드 붕괴).
#
# **Next:** chapter 05 lets two such games translate between two kinds of pictures.
#
# **Further reading.** I. Goodfellow et al., *Generative Adversarial Nets*, 2014,
# [1406.2661](https://arxiv.org/abs/1406.2661). T. Miyato et al., *Spectral Normalization for GANs*, 2018,
# [1802.05957](https://arxiv.org/abs/1802.05957). L. Mescheder et al., *Which Training Methods for GANs do
# actually Converge?*, 2018, [1801.04406](https://arxiv.org/abs/1801.04406). N. Huang et al., *The GAN is
# dead; long live the GAN!*, 2025, [2501.05441](https://arxiv.org/abs/2501.05441).

# %%
print(timing.report())
