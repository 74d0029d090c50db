# %% [markdown]
# # Homework 3 · A critic that measures, a critic that is told, and no way back
#
# **20 points, one to three hours.** Know first: chapters 04 and 05. Three variants that they do not contain: a critic
# that estimates a distance instead of a probability; a discriminator that is told a label; and a loss that keeps a
# translation faithful without a second generator that translates back. You write the heart of each, and measure.
#
# | Question | Points | Graded |
# |---|---|---|
# | 1 The losses of a Wasserstein GAN | 2 | automatically |
# | 2 The gradient penalty | 5 | automatically |
# | 3 A discriminator that is told the class | 2 | automatically |
# | 4 The same patch, among many others | 5 | automatically |
# | 5 What does the critic measure? | 3 | by a person |
# | 6 What does the contrast notice? | 3 | by a person |
#
# Write your code where it says `YOUR CODE HERE`; change and add other cells as you like, but do not copy, split or
# delete the cells of answers and tests. The cells after *Try it* are tests whose text you cannot see: they ask what
# a function *does*, not how. They call it several times, with other sizes, labels and seeds and with extreme values,
# and compare its gradients, too. So a function keeps nothing between calls, leaves its arguments (and the mode and
# `.grad` of a network) as they were, and draws with the generator `rng` alone. Each test runs by itself, so a mistake
# in one question costs no points in another. Before you hand in: *Kernel, Restart Kernel and Run All Cells*. A cell
# may take three minutes when it is graded.
#
# Symbols as in chapters 04 and 05: x is a real image, G(z) a made one; f is the critic's or discriminator's output
# before any sigmoid, one number for each image.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from gen_course.common import plots
from gen_lib.data.domains import load_domains
from gen_lib.nets.feedforward import mlp

plots.use_style()
seeded = torch.Generator().manual_seed

# %% [markdown]
# ## 1 · The losses of a Wasserstein GAN (2 points)
#
# The **Wasserstein distance** $W_1$ between two distributions is the least mean distance over which the mass of one has to be
# moved to become the other. By Kantorovich and Rubinstein it is also a maximum over all functions whose slope is
# nowhere above 1,
#
# $$W_1(p_{data}, p_{model}) = \max_{\lVert f \rVert_L \le 1} \; \mathbb{E}\, f(x) - \mathbb{E}\, f(G(z)),$$
#
# and a network f, now called the **critic**, can look for it (Arjovsky, Chintala & Bottou 2017,
# [1701.07875](https://arxiv.org/abs/1701.07875)). The generator then makes the distance small. There is no sigmoid and no
# logarithm.
#
# `wasserstein_losses(f_real, f_fake)`: both are (n,), the critic's outputs. Returns two numbers, each to be *minimised*: the
# critic's loss and the generator's.


# %% nbgrader={"grade_id": "wasserstein_losses", "solution": true}
def wasserstein_losses(f_real, f_fake):
    """The critic's loss and the generator's, both to be minimised."""
    ### BEGIN SOLUTION
    critic = f_fake.mean() - f_real.mean()
    generator = -f_fake.mean()
    return critic, generator
    ### END SOLUTION


# %%
# Try it: the critic's is 1 - 5 = -4 (it estimates the distance 4), the generator's -1.
print(wasserstein_losses(torch.tensor([4.0, 6.0]), torch.tensor([0.0, 2.0])))

# %% nbgrader={"grade_id": "test_wasserstein_losses", "grade": true, "points": 2}
# 2 points: the tests of wasserstein_losses run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw3_gan.wasserstein_losses", wasserstein_losses)
### END HIDDEN TESTS

# %% [markdown]
# ## 2 · The gradient penalty (5 points)
#
# How is the slope of a network held at 1? Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville (2017,
# [1704.00028](https://arxiv.org/abs/1704.00028)) look at it where it matters, on the straight lines between real and made images:
#
# $$\mathbb{E}\left(\lVert \nabla_{\hat{x}} f(\hat{x}) \rVert - 1\right)^2,
# \qquad \hat{x} = u\, x + (1 - u)\, G(z), \quad u \sim U[0, 1],$$
#
# with one u for each image, the norm over all numbers of an image, and the mean over the batch.
#
# `gradient_penalty(f, real, fake, rng)`: f takes (n, c, h, w) to (n,), each image by itself; draw u with the random-number
# generator `rng`. Returns one number, which the critic's weights can be trained on.


# %% nbgrader={"grade_id": "gradient_penalty", "solution": true}
def gradient_penalty(f, real, fake, rng):
    """E (||grad f|| - 1)^2 between real and made images."""
    ### BEGIN SOLUTION
    u = torch.rand(len(real), 1, 1, 1, generator=rng)
    between = (u * real + (1 - u) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
    ### END SOLUTION


# %%
# Try it: the critic 3 x_1 has the slope 3 everywhere, so the penalty is (3 - 1)^2 = 4.
print(
    gradient_penalty(
        lambda x: 3 * x[:, 0, 0, 0], torch.ones(5, 1, 2, 2), torch.zeros(5, 1, 2, 2), seeded(0)
    )
)

# %% nbgrader={"grade_id": "test_gradient_penalty", "grade": true, "points": 5}
# 5 points: the tests of gradient_penalty run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw3_gan.gradient_penalty", gradient_penalty)
### END HIDDEN TESTS

# %% [markdown]
# ## 3 · A discriminator that is told the class (2 points)
#
# A conditional GAN tells both networks the label y. Miyato & Koyama (2018, [1802.05637](https://arxiv.org/abs/1802.05637))
# derive what the discriminator should do with it: from features φ(x) of K numbers it computes
#
# $$f(x, y) = \underbrace{w \cdot \varphi(x)}_{\text{real at all?}} + \underbrace{V_y \cdot \varphi(x)}_{\text{real as a } y?}$$
#
# with a learnt vector w and one learnt row $V_y$ for each class.
#
# `told(features, labels, w, V)`: features are (n, K), labels (n,), w is (K,), V is (classes, K). Returns (n,).


# %% nbgrader={"grade_id": "told", "solution": true}
def told(features, labels, w, V):
    """w . phi + V[label] . phi, for each image."""
    ### BEGIN SOLUTION
    return features @ w + (features * V[labels]).sum(dim=1)
    ### END SOLUTION


# %%
# Try it: 1 + 20 and 1 + 300.
print(
    told(
        torch.tensor([[1.0, 0], [1, 0]]),
        torch.tensor([0, 1]),
        torch.tensor([1.0, 5]),
        torch.tensor([[20.0, 7], [300, 7]]),
    )
)

# %% nbgrader={"grade_id": "test_told", "grade": true, "points": 2}
# 2 points: the tests of told run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw3_gan.told", told)
### END HIDDEN TESTS

# %% [markdown]
# ## 4 · The same patch, among many others (5 points)
#
# CycleGAN keeps a translation faithful by translating back, which takes a second generator and a second discriminator.
# Park, Efros, Zhang & Zhu (2020, [2007.15651](https://arxiv.org/abs/2007.15651)) need one direction only: a patch of the translation
# should be recognisable as the *same place* of the original, among the other places of the same image. For P places let
# $q_p$ be the features of the translation at the place p, and $k_p$ those of the original, both scaled to length 1. With the
# temperature τ,
#
# $$L = \frac{1}{nP} \sum_{\text{images}} \sum_{p} - \log \frac{\exp(q_p \cdot k_p / \tau)}{\sum_{p'} \exp(q_p \cdot k_{p'} / \tau)} .$$
#
# `patch_nce(q, k, tau)`: q and k are (n, P, d), not yet of length 1. Returns one number. Gradients flow to q; the original's
# features k are the target and get none. (`F.normalize` scales to length 1, `log_softmax` or `F.cross_entropy` stay finite
# at small τ, and `diagonal` picks the pairs of one place.)


# %% nbgrader={"grade_id": "patch_nce", "solution": true}
def patch_nce(q, k, tau):
    """The mean cross-entropy of finding each place p of an image among its P places."""
    ### BEGIN SOLUTION
    q, k = F.normalize(q, dim=2), F.normalize(k.detach(), dim=2)
    alike = q @ k.mT / tau  # (n, P, P): row p, how alike place p is to every place
    return -alike.log_softmax(dim=2).diagonal(dim1=1, dim2=2).mean()
    ### END SOLUTION


# %% [markdown]
# *Try it:* three places with features at right angles to each other, equal in both: $\log(1 + 2 e^{-1/\tau})$ = 0.2395 for
# τ = 1/2.

# %%
print(patch_nce(2 * torch.eye(3)[None], torch.eye(3)[None], 0.5))

# %% nbgrader={"grade_id": "test_patch_nce", "grade": true, "points": 5}
# 5 points: the tests of patch_nce run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw3_gan.patch_nce", patch_nce)
### END HIDDEN TESTS

# %% [markdown]
# ## Measure: what does the critic measure?
#
# Real numbers from N(0, 1), made ones from N(g, 1). The Wasserstein distance is g: everything moves by g. A critic is
# trained for 150 steps at each g with your loss and 10 times your penalty, and asked how far apart the two are, on new numbers.
# Beside it the Jensen-Shannon divergence, which the discriminator of chapter 04 would estimate.


# %%
def critic_at(gap, steps=150):
    torch.manual_seed(0)
    net, rng = mlp(1, 64, 64, 1), seeded(0)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3, betas=(0.5, 0.9))
    f = lambda x: net(x.flatten(1))[:, 0]  # noqa: E731

    def draw(n, mean):
        return mean + torch.randn(n, 1, 1, 1, generator=rng)

    for _ in range(steps):
        real, fake = draw(128, 0.0), draw(128, gap)
        loss = wasserstein_losses(f(real), f(fake))[0]
        loss = loss + 10 * gradient_penalty(f, real, fake, rng)
        optimiser.zero_grad(), loss.backward(), optimiser.step()
    with torch.no_grad():
        return -wasserstein_losses(f(draw(20_000, 0.0)), f(draw(20_000, gap)))[0].item()


def jensen_shannon(gap):
    x = torch.linspace(-8, 16, 20_001, dtype=torch.float64)
    p, q = (torch.exp(-((x - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0.0, gap))
    m = (p + q) / 2
    each = torch.where(p > 0, p * (p / m).log(), 0) + torch.where(q > 0, q * (q / m).log(), 0)
    return torch.trapezoid(each.nan_to_num() / 2, x).item()


gaps = (0.0, 1.0, 2.0, 4.0, 8.0)
estimates, divergences = [critic_at(g) for g in gaps], [jensen_shannon(g) for g in gaps]
print(f"{'gap = W1':>9}{'critic':>9}{'JS':>9}   (log 2 = {math.log(2):.4f})")
for g, estimate, js in zip(gaps, estimates, divergences, strict=True):
    print(f"{g:9.1f}{estimate:9.3f}{js:9.4f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].plot(gaps, gaps, color=plots.BASELINE, linestyle="--")
axes[0].plot(gaps, estimates, "o-", color=plots.MODEL)
axes[0].set(title="The critic's estimate and the distance", xlabel="gap")
axes[1].plot(gaps, divergences, "o-", color=plots.GENERATOR)
axes[1].axhline(math.log(2), color=plots.BASELINE, linestyle="--")
axes[1].set(title="The Jensen-Shannon divergence", xlabel="gap")
plots.show(
    figure,
    "Left: the critic's estimates against the gap between two normal distributions rise above the true distance, a "
    "diagonal. Right: the Jensen-Shannon divergence rises at first and then stays at log 2.",
)

# %% [markdown]
# ## 5 · What does the critic measure? (3 points)
#
# (a) How much do both columns change from g = 4 to g = 8? What does that mean for a generator whose images are still far
# away? (b) The estimates are above the distance. Take the critic $f(x) = -s x$, write down its loss with 10 times the penalty as
# a function of s and g, find the best s, and compare what it would estimate with your table. (c) Why must the discriminator's
# batch normalisation go, if this penalty comes?

# %% [markdown] nbgrader={"grade_id": "critic_measures", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) From the table: the critic's estimate more than doubles, JS has arrived at log 2 and hardly changes.
# Far away the JS gives the generator no gradient, while the critic's slope is as large as it is nearby.
# (b) The loss is $-s g + 10 (s - 1)^2$, least at $s = 1 + g / 20$: the penalty is a spring, not a wall, and the critic leans
# on it the more the farther apart the two are. It estimates $g (1 + g / 20)$, that is 1.05, 2.2, 4.8 and 11.2; the trained
# critic's numbers are near these. A larger weight makes the excess, $g^2 / (2 \lambda)$, smaller.
# (c) The penalty is about the slope of f at each image by itself. With batch normalisation f(x) depends on the other images
# of the batch, so the gradient of the sum mixes them.
#
# **Rubric.** 1 point each. (a) needs numbers of both columns and the gradient. (b) needs the best s and a comparison. (c) needs that f of an
# image depends on the batch. Numbers that follow from a wrong function of questions 1 or 2 cost nothing here if the
# reasoning fits them.

# %% [markdown]
# ## Measure: what does the contrast notice?
#
# No training is needed to see what `patch_nce` rewards. Features are plain 8 x 8 squares of pixels; the "translations" of 300
# emoji of one designer are: the same picture, brighter, in another designer's drawing, shifted by two pixels, another emoji.
# log 16 is chance.

# %%
domains = load_domains("emoji")
originals, drawn = domains.test.a.x[:300], domains.test.b.x[:300]


def squares(x):  # (n, 3, 32, 32) -> (n, 16, 192), around each image's mean
    parts = F.unfold(x, 8, stride=8).mT
    return parts - parts.mean(dim=(1, 2), keepdim=True)


translations = {
    "the same": originals,
    "brighter": originals / 2 + 0.4,
    "negative": -originals,
    "another designer's": drawn,
    "shifted by two pixels": originals.roll(2, dims=3),
    "another emoji": originals.roll(150, dims=0),
}
temperatures = (0.07, 0.3, 1.0)
print(f"{'tau':22}", *(f"{tau:8.2f}" for tau in temperatures), f"   chance {math.log(16):.3f}")
for name, translation in translations.items():
    row = [patch_nce(squares(translation), squares(originals), tau).item() for tau in temperatures]
    print(f"{name:22}", *(f"{value:8.3f}" for value in row))

# %% [markdown]
# ## 6 · What does the contrast notice? (3 points)
#
# (a) Order the translations by their loss at τ = 0.07. Which change of the picture does the loss forgive that a cycle or
# identity loss (chapter 05) would punish, and which one does it punish hardest? (b) Why is the loss of *the same* not 0, how can
# another emoji do worse than chance, and what does τ do to both? (c) With these pixel features the loss is no good for summer to winter. What has to take the place of the
# squares, and why do the candidates come from the same image?

# %% [markdown] nbgrader={"grade_id": "contrast", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) From the table: brighter is forgiven entirely (mean and length are divided out), negative is punished more
# than another emoji, for each square is then most unlike its own place. An identity or cycle loss compares colours and
# punishes brighter.
# (b) Squares that are alike (background) cannot be told apart, so even equal pictures share the probability among
# them. Worse than chance is who is sure of a wrong place. A small τ sharpens the choice, right or wrong; with a large one all
# candidates look alike and the loss goes to log 16.
# (c) Features of a network that are learnt together with the translation (the encoder half of the generator): grass and
# snow at the same place must be alike. Candidates of the same image differ in place and not in style, so that the place is
# what has to be recognised.
#
# **Rubric.** 1 point each. (a) needs the order from the table and brightness. (b) needs like squares and what τ does. (c) needs
# learnt features and one reason. Numbers from a wrong function cost nothing here if the reasoning fits them.
