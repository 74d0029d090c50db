# %% [markdown]
# # Homework 2 · A prior for the whole, and a prior for each class
#
# **20 points, one to three hours.** Know first: chapter 03. There the KL pulled the code of *every* image
# towards the same prior. Two variants change that: the MMD-VAE asks only that the codes of *all* images together
# look like the prior, and the conditional VAE gives each class a prior of its own. You write the heart of both, train
# them in under a minute and say what your numbers mean.
#
# | Question | Points | Graded |
# |---|---|---|
# | 1 Two samples, one distance | 4 | automatically |
# | 2 The loss of an MMD-VAE | 4 | automatically |
# | 3 The KL to the prior of a class | 4 | automatically |
# | 4 Draw a class | 2 | automatically |
# | 5 What does each loss ask of a code? | 3 | by a person |
# | 6 What is left for z to say? | 3 | by a person |
#
# Write your code where it says `YOUR CODE HERE`; change and add other cells as you like, but do not copy, split or
# delete the cells of answers and tests. The cells after *Try it* are tests whose text you cannot see: they ask what
# a function *does*, not how. They call it several times, with other sizes, labels and seeds and with extreme values,
# and compare its gradients, too. So a function keeps nothing between calls, leaves its arguments (and the mode and
# `.grad` of a network) as they were, and draws with the generator `rng` alone. Each test runs by itself, so a mistake
# in one question costs no points in another. Before you hand in: *Kernel, Restart Kernel and Run All Cells*. A cell
# may take three minutes when it is graded.
#
# Symbols as in chapter 03: x is an image of black and white pixels, each -1 or 1; q(z|x) = N(μ, diag σ²) is
# the encoder's distribution of its code z of K units, `log_var` is log σ²; ε is standard normal noise.

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from gen_course.common import plots
from gen_lib.data import load
from gen_lib.models.base import in_batches
from gen_lib.models.vae import binarise
from gen_lib.nets.feedforward import mlp
from gen_lib.training.checkpoints import load_judge

plots.use_style()
images = load("fashion_mnist")
train, test = images.train, images.test
x_test, y_test = test.x[:2_000], test.labels[:2_000]
seeded = torch.Generator().manual_seed

# %% [markdown]
# ## 1 · Two samples, one distance (4 points)
#
# Do two sets of points come from the same distribution? Compare how alike points are *within* each set with how
# alike they are *between* the sets. With the Gaussian kernel
#
# $$k(a, b) = \exp\left(-\frac{\lVert a - b \rVert^2}{2 w^2}\right)$$
#
# of width w, the squared **maximum mean discrepancy** (Gretton, Borgwardt, Rasch, Schölkopf & Smola 2012,
# JMLR 13) is 0 for equal distributions and positive for all others. From m points $a_i$ and n points $b_j$ it is
# estimated without bias by
#
# $$\mathrm{MMD}^2 = \frac{1}{m (m - 1)} \sum_{i \ne j} k(a_i, a_j)
# + \frac{1}{n (n - 1)} \sum_{i \ne j} k(b_i, b_j) - \frac{2}{m n} \sum_{i, j} k(a_i, b_j).$$
#
# `mmd2(a, b, width)`: a is (m, K), b is (n, K). Returns one number that gradients can flow through; it may be a little
# below 0.


# %% nbgrader={"grade_id": "mmd2", "solution": true}
def mmd2(a, b, width):
    """The unbiased estimate of the squared MMD between two samples."""
    # Hint: what is k(a_i, a_i)?

    ### BEGIN SOLUTION
    def kernel(u, v):  # (m, n)
        return torch.exp(-(u[:, None] - v).square().sum(dim=2) / (2 * width**2))

    m, n = len(a), len(b)
    within_a = (kernel(a, a).sum() - m) / (m * (m - 1))  # k(a_i, a_i) = 1 does not count
    within_b = (kernel(b, b).sum() - n) / (n * (n - 1))
    return within_a + within_b - 2 * kernel(a, b).mean()
    ### END SOLUTION


# %% [markdown]
# *Try it:* the same distribution, then means that are 1 apart, for which the integral gives
# $2/\sqrt{3}\,(1 - e^{-1/6}) = 0.177$ with K = 1 and w = 1. Estimates scatter around both.

# %%
a, b = torch.randn(2, 1_000, 1, generator=seeded(0))
print(mmd2(a, b, 1.0), mmd2(a, b + 1, 1.0))

# %% nbgrader={"grade_id": "test_mmd2", "grade": true, "points": 4}
# 4 points: the tests of mmd2 run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw2_vae.mmd2", mmd2)
### END HIDDEN TESTS

# %% [markdown]
# ## 2 · The loss of an MMD-VAE (4 points)
#
# Zhao, Song & Ermon (2017, [1706.02262](https://arxiv.org/abs/1706.02262)) keep the distortion of the negative ELBO
# and replace the KL: what has to match the prior is not the code of each image but the codes of a whole batch
# together.
#
# $$L = \underbrace{-\frac{1}{n} \sum_{i} \log p(x_i | z_i)}_{\text{distortion, in nats}}
# + \lambda\, \mathrm{MMD}^2\left(\{z_i\}, \{z'_j\}\right), \qquad z'_j \sim \mathcal{N}(0, I).$$
#
# `mmd_vae_loss(logits, x, z, weight, distance, rng)`: `logits` and x are (n, 1, h, w), z is (n, K), drawn from
# q(z|x). A logit is log p(white) - log p(black) of a pixel; x is -1 (black) or 1 (white). `distance(a, b)` is a given
# function of two samples. Draw as many z' as there are images, with the random-number generator `rng`. Returns one number.


# %% nbgrader={"grade_id": "mmd_vae_loss", "solution": true}
def mmd_vae_loss(logits, x, z, weight, distance, rng):
    """Distortion in nats per image plus weight * distance(codes, draws from the prior)."""
    ### BEGIN SOLUTION
    distortion = -F.logsigmoid(x * logits).flatten(1).sum(dim=1).mean()
    prior = torch.randn(z.shape, generator=rng)
    return distortion + weight * distance(z, prior)
    ### END SOLUTION


# %% [markdown]
# *Try it:* logits of 0 are coin flips, log 2 = 0.693 nats a pixel; the given distance is 5.

# %%
print(
    mmd_vae_loss(
        torch.zeros(3, 1, 2, 2),
        torch.ones(3, 1, 2, 2),
        torch.zeros(3, 2),
        10.0,
        lambda a, b: 5.0,
        seeded(0),
    ),
    "should be 4 * 0.693 + 50 = 52.77",
)

# %% nbgrader={"grade_id": "test_mmd_vae_loss", "grade": true, "points": 4}
# 4 points: the tests of mmd_vae_loss run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw2_vae.mmd_vae_loss", mmd_vae_loss)
### END HIDDEN TESTS

# %% [markdown]
# ## 3 · The KL to the prior of a class (4 points)
#
# If you know the label y of each image in training, let each class have its own prior $p(z|y) = \mathcal{N}(m_y, I)$
# with a mean that is learnt with everything else (a conditional VAE: Sohn, Lee & Yan 2015, NeurIPS). The bound is the
# same with y on the right-hand side of every bar:
#
# $$\log p(x|y) \ge \mathbb{E}_{q(z|x)} \log p(x|z) - \mathrm{KL}\left(q(z|x)\,\Vert\,\mathcal{N}(m_y, I)\right).$$
#
# Derive the KL on paper: chapter 03 has it for $m_y = 0$.
#
# `kl_to_class(mu, log_var, labels, means)`: mu and `log_var` are (n, K), labels (n,), means (classes, K). Returns (n,).


# %% nbgrader={"grade_id": "kl_to_class", "solution": true}
def kl_to_class(mu, log_var, labels, means):
    """KL(N(mu, sigma^2) || N(means[label], I)) in nats, for each image."""
    ### BEGIN SOLUTION
    apart = mu - means[labels]  # (n, K)
    return 0.5 * (apart**2 + log_var.exp() - log_var - 1).sum(dim=1)
    ### END SOLUTION


# %%
# Try it: the code of class 1 sits on its prior, the one of class 0 is (2, 0) away: 0 and 2 nats.
print(
    kl_to_class(
        torch.ones(2, 2), torch.zeros(2, 2), torch.tensor([1, 0]), torch.tensor([[3.0, 1], [1, 1]])
    )
)

# %% nbgrader={"grade_id": "test_kl_to_class", "grade": true, "points": 4}
# 4 points: the tests of kl_to_class run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw2_vae.kl_to_class", kl_to_class)
### END HIDDEN TESTS

# %% [markdown]
# ## 4 · Draw a class (2 points)
#
# `draw_class(decode, labels, means, rng)`: one new code for each label from the prior of its class,
# $z = m_y + \varepsilon$, with `rng`; returns what `decode`, a function of (n, K), makes of all of them at once.


# %% nbgrader={"grade_id": "draw_class", "solution": true}
def draw_class(decode, labels, means, rng):
    """decode(z) for z ~ N(means[label], I), one for each label."""
    ### BEGIN SOLUTION
    m = means[labels]  # (n, K)
    return decode(m + torch.randn(m.shape, generator=rng))
    ### END SOLUTION


# %%
# Try it: near (10, 10), then near (-10, -10).
print(
    draw_class(lambda z: z, torch.tensor([1, 0]), torch.tensor([[-10.0, -10], [10, 10]]), seeded(0))
)

# %% nbgrader={"grade_id": "test_draw_class", "grade": true, "points": 2}
# 2 points: the tests of draw_class run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw2_vae.draw_class", draw_class)
### END HIDDEN TESTS

# %% [markdown]
# ## Train, and measure
#
# Three of one size, 16 units, 300 steps each: a VAE; the same with your MMD in place of the KL; the same with a prior
# for each class, whose means are learnt.


# %%
class VAE(nn.Module):
    def __init__(self, K=16):
        super().__init__()
        self.encoder, self.decoder = mlp(784, 200, 2 * K), mlp(K, 200, 784)
        self.means = nn.Parameter(torch.zeros(10, K))  # of the classes, for the conditional VAE

    def encode(self, x, rng):
        mu, log_var = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mu, log_var, mu + (0.5 * log_var).exp() * torch.randn(mu.shape, generator=rng)

    def logits(self, z):
        return self.decoder(z).reshape(-1, 1, 28, 28)

    def draw(self, z):  # mean images
        return torch.tanh(self.logits(z) / 2)


def distortion(model, x, z):
    return -F.logsigmoid(x * model.logits(z)).flatten(1).sum(dim=1).mean()


def elbo_loss(model, x, labels, rng):
    mu, log_var, z = model.encode(x, rng)
    nowhere = torch.zeros_like(model.means)
    return distortion(model, x, z) + kl_to_class(mu, log_var, labels, nowhere).mean()


def conditional_loss(model, x, labels, rng):
    mu, log_var, z = model.encode(x, rng)
    return distortion(model, x, z) + kl_to_class(mu, log_var, labels, model.means).mean()


def mmd_loss(model, x, labels, rng):
    z = model.encode(x, rng)[2]
    return mmd_vae_loss(model.logits(z), x, z, 100.0, lambda a, b: mmd2(a, b, 4.0), rng)


def fitted(loss_of, steps=300):
    torch.manual_seed(0)
    model, rng = VAE(), seeded(0)
    nets = [*model.encoder.parameters(), *model.decoder.parameters()]
    optimiser = torch.optim.Adam([{"params": nets}, {"params": model.means, "lr": 0.05}], lr=4e-3)
    for step in range(steps):
        batch = train.batch(step, 64)
        loss = loss_of(model, binarise(batch.images, rng), batch.labels, rng)
        optimiser.zero_grad(), loss.backward(), optimiser.step()
    return model.eval()


models = {
    "VAE": fitted(elbo_loss),
    "MMD-VAE": fitted(mmd_loss),
    "conditional": fitted(conditional_loss),
}

# %%
judge = load_judge()


def called(x):  # (n,), the judge's class of each image
    return in_batches(judge.logits, x).argmax(dim=1)


@torch.no_grad()
def figures(model, conditional):
    """distortion, KL to the model's own prior, MMD^2 of the codes to N(0, I), a share, a share."""
    x = binarise(x_test, seeded(1))
    mu, log_var, z = model.encode(x, seeded(2))
    means = model.means if conditional else torch.zeros_like(model.means)
    kl = kl_to_class(mu, log_var, y_test, means).mean()
    to_prior = mmd2(z[:1_000], torch.randn(1_000, 16, generator=seeded(3)), 4.0)
    kept = (called(model.draw(mu[:200])) == y_test[:200]).float().mean()
    wanted = torch.arange(10).repeat(20)
    right = (called(draw_class(model.draw, wanted, means, seeded(4))) == wanted).float().mean()
    return [v.item() for v in (distortion(model, x, z), kl, to_prior, kept, right)]


print(f"{'':12}{'distortion':>11}{'KL':>7}{'MMD^2':>9}{'class kept':>12}{'class drawn':>12}")
for name, model in models.items():
    D, kl, to_prior, kept, right = figures(model, name == "conditional")
    print(f"{name:12}{D:11.1f}{kl:7.1f}{to_prior:9.4f}{kept:12.1%}{right:12.1%}")
floor = [mmd2(*torch.randn(2, 1_000, 16, generator=seeded(s)), 4.0) for s in range(5)]
print("MMD^2 between two samples of N(0, I):", *(f"{v:.4f}" for v in floor))

# %% [markdown]
# *class kept*: the judge names reconstructions as the label says. *class drawn*: it names new images as the label that
# was asked for; a model that cannot be asked is right once in ten.

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 4))
for ax, name in zip(axes, ("MMD-VAE", "conditional"), strict=True):
    means = models[name].means if name == "conditional" else torch.zeros(10, 16)
    with torch.no_grad():
        drawn = draw_class(
            models[name].draw, torch.arange(10).repeat_interleave(8), means, seeded(5)
        )
    rows = drawn.reshape(10, 8, 28, 28).permute(0, 2, 1, 3).reshape(280, 224)
    ax.imshow(rows, cmap="gray", vmin=-1, vmax=1)
    ax.set(
        xticks=[],
        yticks=range(14, 280, 28),
        yticklabels=images.classes,
        title=f"{name}: eight draws a row",
    )
    ax.grid(visible=False)
plots.show(
    figure,
    "Two grids of ten rows of eight garments, each row labelled with a class. Left, drawn from the MMD-VAE: "
    "rows mix all garments. Right, drawn from the conditional VAE: the garments of a row are of its class.",
)

# %% [markdown]
# ## 5 · What does each loss ask of a code? (3 points)
#
# (a) Compare distortion and KL of the first two rows. Which model stores more about each image, and which term is
# missing from its loss that would charge for it? (b) The MMD-VAE's code of each image is many nats of KL away from
# N(0, I), and yet the codes of all images together are close to it (column MMD²; the line below the table is the
# floor). How can both be true? (c) Distortion plus KL is an upper bound on -log p(x) for both. Which is the better
# likelihood model here, by how many nats?

# %% [markdown] nbgrader={"grade_id": "each_loss", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) The MMD-VAE: a lower distortion, bought with a KL (rate) several times as high. Its loss has no
# term that charges for telling one image from another; the MMD looks at the whole batch only.
# (b) The KL compares the code of one image, a narrow distribution at a place of its own, with N(0, I). The MMD
# compares all codes at once, and many narrow distributions at different places can fill N(0, I) together.
# (c) The VAE, whose sum, the negative ELBO, is smaller by the difference of the two sums in the table.
#
# **Rubric.** 1 point each. (a) needs both numbers and the missing charge. (b) needs one code against all codes. (c) needs
# the two sums. Numbers that follow from a wrong function of questions 1 to 4 cost nothing
# here if the reasoning fits them.

# %% [markdown]
# ## 6 · What is left for z to say? (3 points)
#
# (a) By how much is the KL of the conditional model lower than the VAE's? Your formula is a sum of
# $\frac{1}{2} \sum_k (\mu_k - m_{yk})^2$ and of a part that holds σ alone. Which of the two can the learnt means make smaller for the
# same codes, and for which m_y is it least? (b) The decoder is never told y. How does it draw
# the right class all the same? (c) A student trains with the labels shuffled among the images. What do the means,
# the KL and *class drawn* become?

# %% [markdown] nbgrader={"grade_id": "left_for_z", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) The difference of the two KLs in the table. The means stand in the first part alone. Its mean over the
# images of a class is least where m_y is the mean of their μ: the codes of a class are nearer to each other than to 0, the
# only mean that the VAE has.
# (b) The class is in the place of z: the means lie apart, and the decoder has learnt what lies around each.
# (c) The label says nothing about x, so the best mean of each class is that of all codes: all means become equal, the KL
# is that of the VAE, and a class is drawn right once in ten.
#
# **Rubric.** 1 point each. (a) needs the measured difference, the first part, and the mean of the class's codes.
# (b) needs that z carries the class. (c) needs equal means and 10 %.
