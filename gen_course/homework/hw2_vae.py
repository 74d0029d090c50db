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
# | 2 The loss of an MMD-VAE | 3 | automatically |
# | 3 The KL to the prior of a class | 4 | automatically |
# | 4 Draw a class | 3 | automatically |
# | 5 What does each loss ask of a code? | 3 | by a person |
# | 6 What is left for z to say? | 3 | by a person |
#
# Write your code where it says `YOUR CODE HERE`; change and add other cells as you like. The cells after
# *Try it* are tests whose text you cannot see: they ask what a function *does*, not how. Each runs by
# itself, so a mistake in one question costs no points in another. Before you hand in: *Kernel, Restart
# Kernel and Run All Cells*. A cell may take three minutes when it is graded.
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
from gen_course.common.checks import number, require, require_none_of, same
from gen_course.homework.grading import graded


@graded
def test_mmd2():
    a, b, w = torch.randn(5, 3), 1.5 * torch.randn(7, 3) + 0.5, 1.3
    a.requires_grad_()
    m, n = len(a), len(b)

    def parts(scale, power=2):
        def k(u, v):
            return torch.exp(-torch.cdist(u, v).pow(power) * scale)

        return k(a, a), k(b, b), k(a, b)

    def mmd(kaa, kbb, kab, cross=2.0, own=True):
        if own:
            kaa, kbb = (k * (1 - torch.eye(len(k))) for k in (kaa, kbb))
            first, second = kaa.sum() / (m * (m - 1)), kbb.sum() / (n * (n - 1))
        else:
            first, second = kaa.mean(), kbb.mean()
        return first + second - cross * kab.mean()

    kernel = parts(1 / (2 * w**2))
    got, right = mmd2(a, b, w), mmd(*kernel)
    number(got, "all three sums end in a mean")
    off = [(k * (1 - torch.eye(len(k)))).mean() for k in kernel[:2]]
    require_none_of(
        got,
        (
            mmd(*kernel, own=False),
            "The diagonal counts: k(a_i, a_i) = 1 says nothing about the distribution and biases "
            "the estimate. Leave out i = j.",
        ),
        (
            sum(off) - 2 * kernel[2].mean(),
            "The diagonal is left out of the sum, but not of the count: divide by m (m - 1).",
        ),
        (
            mmd(*kernel, cross=1.0),
            "The term between the sets counts twice: the factor 2 is missing.",
        ),
        (mmd(*kernel, cross=-2.0), "The term between the sets is added: subtract it."),
        (right.abs().sqrt(), "This is the root: return the square, which may be negative."),
        (mmd(*parts(1 / w**2)), "The kernel lacks its 2: the square is over 2 w^2."),
        (mmd(*parts(1 / (2 * w))), "The width is not squared in the kernel."),
        (mmd(*parts(w**2 / 2)), "The kernel multiplies by the width: divide by 2 w^2."),
        (mmd(*parts(1 / (2 * w**2), 1)), "The distance in the kernel is not squared."),
        (mmd(*parts(0.5)), "The width is ignored."),
        (
            (a.mean(0) - b.mean(0)).square().sum(),
            "These are the means alone: samples with equal means and another spread differ, too.",
        ),
    )
    require(same(got, right), "Not the unbiased estimate: compare each of the three terms by hand.")
    require(got.requires_grad, "No gradient flows to a: do not detach, use no .item().")
    require(
        mmd2(b, b + 0.01, w) < 0,
        "It is cut off at 0: an unbiased estimate of a distance near 0 is often below it.",
    )


### END HIDDEN TESTS

# %% [markdown]
# ## 2 · The loss of an MMD-VAE (3 points)
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

# %% nbgrader={"grade_id": "test_mmd_vae_loss", "grade": true, "points": 3}
# 3 points: the tests of mmd_vae_loss run here when your work is graded.
### BEGIN HIDDEN TESTS
# False alarms: 8 means within six standard errors of 20,000 draws, below 1e-7 together.
from gen_course.common.checks import number, require, require_none_of, same
from gen_course.homework.grading import graded, require_mean


@graded
def test_mmd_vae_loss():
    n, z = 20_000, torch.randn(20_000, 4).requires_grad_()
    logits = (2 * torch.randn(n, 1, 1, 3)).requires_grad_()
    x = (torch.randint(2, (n, 1, 1, 3)) * 2 - 1).float()
    seen = []

    def distance(a, b):
        seen.append((a, b))
        return (a.mean() + b.mean() - 1) ** 2

    def loss(weight, seed=7):
        rng = torch.Generator().manual_seed(seed)
        return mmd_vae_loss(logits, x, z, weight, distance, rng)

    got, right = loss(0.0), -F.logsigmoid(x * logits).flatten(1).sum(1).mean()
    number(got, "take the mean over the images")
    as_bits = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum() / n
    require_none_of(
        got,
        (right / 3, "log p(x|z) is averaged over the pixels: it is a sum over all of them."),
        (right * n, "log p(x|z) is summed over the batch: take the mean over the images."),
        (-right, "The sign is wrong: a loss holds -log p(x|z)."),
        (as_bits, "x is -1 or 1, and your cross entropy takes it for 0 or 1: map it first."),
        (
            -F.logsigmoid(-x * logits).flatten(1).sum(1).mean(),
            "Black and white are exchanged in log p(x|z).",
        ),
        (
            0.5 * (torch.tanh(logits / 2) - x).square().flatten(1).sum(1).mean(),
            "This is a squared error: log p(x|z) of black and white pixels is a cross entropy.",
        ),
    )
    require(same(got, right), "With weight 0 the loss is not the distortion -log p(x|z) per image.")
    require(bool(seen), "distance is never called: compare the codes with draws from the prior.")

    def in_order(pair):  # the codes, then the draws
        return pair[::-1] if same(pair[1], z) else pair

    codes, prior = in_order(seen[-1])
    require(same(codes.detach(), z.detach()), "The distance does not get the codes z.")
    require(
        isinstance(prior, torch.Tensor) and prior.shape == z.shape,
        "The distance needs as many draws from the prior as there are codes, each of K units.",
    )
    require(
        not same(prior[0], prior[1]),
        "One z' is used for all: draw each number of (n, K) by itself.",
    )
    require_mean(prior, 0.0, "The draws from the prior have a mean other than 0: use randn.")
    require_mean(prior**2, 1.0, "The draws from the prior have a variance other than 1: use randn.")
    require(codes.requires_grad, "z is detached: then the MMD teaches the encoder nothing.")
    more = loss(3.0) - right
    penalty = (z.mean() + prior.mean() - 1) ** 2
    require_none_of(
        more,
        (0 * penalty, "weight changes nothing: add weight * distance."),
        (penalty, "The distance is added without its weight."),
        (-3 * penalty, "The distance is subtracted: that drives codes and prior apart."),
        (3 * n * penalty, "The distance is summed over the batch: it is about the whole batch."),
    )
    require(same(more, 3 * penalty), "Not weight * distance(z, z').")
    loss(0.0, 7), loss(0.0, 8)
    again, other = (in_order(pair)[1] for pair in seen[-2:])
    require(same(again, prior), "The same seed gives other draws: use rng.")
    require(not same(other, prior), "Another seed gives the same draws: use rng.")


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
from gen_course.common.checks import require, require_none_of, require_shape, same
from gen_course.homework.grading import graded


@graded
def test_kl_to_class():
    mu, log_var, means = torch.randn(6, 4), torch.randn(6, 4) - 0.5, 2 * torch.randn(4, 4)
    labels = torch.tensor([3, 0, 1, 1, 2, 0])
    mu.requires_grad_(), means.requires_grad_()
    sigma = (0.5 * log_var).exp()
    normal = torch.distributions.Normal

    def kl(q, p):
        return torch.distributions.kl_divergence(q, p).sum(1)

    m, q, one = means[labels], normal(mu, sigma), torch.ones(6, 4)
    got, right = kl_to_class(mu, log_var, labels, means), kl(q, normal(m, one))
    spread = (sigma**2 - log_var - 1).sum(1)
    require(
        not same(got, right.mean()) and not same(got, right.sum()),
        "Return one number for each image, (n,): no mean or sum over the batch.",
    )
    require_shape(got, (6,), "(n,)")
    require_none_of(
        got,
        (kl(q, normal(0 * m, one)), "The means are ignored: this is the KL to N(0, I) for all."),
        (kl(normal(-mu, sigma), normal(m, one)), "mu and the mean are added: subtract them."),
        (
            kl(q, normal(means.mT[labels], one)),
            "means is read by columns: the mean of class y is the row means[y].",
        ),
        (kl(q, normal(means[0].expand(6, 4), one)), "All images get the prior of class 0."),
        (
            0.5 * (mu**2 - m**2).sum(1) + 0.5 * spread,
            "mu^2 - m^2 is not (mu - m)^2: subtract before you square.",
        ),
        (
            0.5 * (mu**2 + m**2).sum(1) + 0.5 * spread,
            "mu^2 + m^2 is not (mu - m)^2: subtract before you square.",
        ),
        (0.5 * (mu - m).sum(1) + 0.5 * spread, "The difference of the means is not squared."),
        (2 * right, "The factor 1/2 is missing."),
        (-right, "The sign is wrong: a KL is never negative."),
        (right / 4, "It is averaged over the units: the KL is their sum."),
        (right + 2, "The - 1 is missing: at the prior itself the KL is 0."),
        (
            kl(normal(mu, log_var.exp()), normal(m, one)),
            "log_var is the log of the variance, not of sigma: sigma = exp(log_var / 2).",
        ),
        (
            0.5 * ((mu - m) ** 2 + sigma**4 - log_var - 1).sum(1),
            "log_var is the log of the variance: sigma^2 = exp(log_var), without another square.",
        ),
        (
            0.5 * ((mu - m) ** 2 + sigma - log_var - 1).sum(1),
            "sigma stands where its square belongs: sigma^2 = exp(log_var).",
        ),
        (kl(normal(m, one), q), "The KL is reversed: it is from q(z|x) to the prior."),
    )
    require(same(got, right), "Not 1/2 sum_k ((mu_k - m_yk)^2 + sigma_k^2 - log sigma_k^2 - 1).")
    (slope,) = torch.autograd.grad(got.sum(), means, allow_unused=True)
    require(
        slope is not None, "No gradient reaches the means of the classes: they are to be learnt."
    )


### END HIDDEN TESTS

# %% [markdown]
# ## 4 · Draw a class (3 points)
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

# %% nbgrader={"grade_id": "test_draw_class", "grade": true, "points": 3}
# 3 points: the tests of draw_class run here when your work is graded.
### BEGIN HIDDEN TESTS
# False alarms: 16 means within six standard errors of 10,000 draws each, below 1e-7 together.
from gen_course.common.checks import require, require_shape, same
from gen_course.homework.grading import graded, require_mean


@graded
def test_draw_class():
    n, seen = 30_000, []
    means = torch.tensor([[5.0, -3.0], [-4.0, 2.0], [0.5, 8.0]])
    labels = torch.arange(n) % 3

    def decode(z):
        seen.append(z)
        return z.sum(1, keepdim=True)

    def draw(seed):
        return draw_class(decode, labels, means, torch.Generator().manual_seed(seed))

    got = draw(0)
    require(len(seen) == 1, f"decode is called {len(seen)} times: once, on all codes.")
    z = seen[0]
    require_shape(z, (n, 2), "(n, K), as what decode gets")
    eps = z - means[labels]
    require(eps.abs().max() > 1e-4, "Every code is the mean of its class: add eps.")
    require(
        not same(eps[0], eps[1]) and not same(eps[0], eps[3]),
        "eps is shared: draw one for each number of (n, K).",
    )
    require(
        not same(eps[:, 0], eps[:, 1]), "eps is shared by the units: draw it in the shape (n, K)."
    )
    require(
        z.mean(0).abs().max() > 0.2,
        "The means of the classes are missing: this is N(0, I) for all.",
    )
    spread = eps.std(dim=0)
    require(
        (spread - 1).abs().max() < 0.5 or (eps.mean(0) - 0.5).abs().max() < 0.02,
        "The means are shuffled among the labels: row y of means is for the label y.",
    )
    require((eps.mean(0) - 0.5).abs().max() > 0.02, "eps has mean 1/2: draw with randn, not rand.")
    for y in range(3):
        require_mean(eps[y::3], 0.0, f"The codes of class {y} do not have the mean of their class.")
        require_mean(eps[y::3] ** 2, 1.0, "eps does not have variance 1: draw with randn.")
    require_shape(got, (n, 1), "what decode returns")
    require(same(got, z.sum(1, keepdim=True)), "Return what decode makes of the codes.")
    require(same(draw(0), got), "The same seed gives other codes: use rng.")
    require(not same(draw(1), got), "Another seed gives the same codes: use rng.")


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
# missing from its loss that would charge for it? (b) Which codes look more like N(0, I) *as a whole* (column MMD²; the line
# below the table is the floor)? How can they, although the code of each image is far from it? (c) Distortion
# plus KL is an upper bound on -log p(x) for both. Which is the better likelihood model here, by how many nats?

# %% [markdown] nbgrader={"grade_id": "each_loss", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) The MMD-VAE: a lower distortion, bought with a KL (rate) several times as high. Its loss has no
# term that charges for telling one image from another; the MMD looks at the whole batch only.
# (b) The MMD-VAE's, though still above the floor. The aggregate $\frac{1}{N} \sum_n q(z|x_n)$ is a mixture: many narrow
# distributions at different places can fill N(0, I) together. The mean KL is the KL of the aggregate plus the mutual
# information of x and z; only the first is small.
# (c) The VAE, whose sum, the negative ELBO, is smaller by the difference of the two sums in the table.
#
# **Rubric.** 1 point each. (a) needs both numbers and the missing charge. (b) needs the mixture, or the mutual
# information. (c) needs the two sums. Numbers that follow from a wrong function of questions 1 to 4 cost nothing
# here if the reasoning fits them.

# %% [markdown]
# ## 6 · What is left for z to say? (3 points)
#
# (a) By how much is the KL of the conditional model lower than the VAE's? A label is one of ten, equally likely: how many
# nats can knowing it save at most, and what else can lower the KL? (b) The decoder is never told y. How does it draw
# the right class all the same? (c) A student trains with the labels shuffled among the images. What do the means,
# the KL and *class drawn* become?

# %% [markdown] nbgrader={"grade_id": "left_for_z", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) The difference of the two KLs in the table. The label itself saves at most log 10 = 2.30 nats,
# compared with a prior that is the mixture of the ten. More than that comes from the mixture: ten Gaussians whose
# places are learnt fit the codes better than one N(0, I) that they must be pressed into.
# (b) The class is in the place of z: the means lie apart, and the decoder has learnt what lies around each.
# (c) The label says nothing about x, so the best mean of each class is that of all codes: all means become equal, the KL
# is that of the VAE, and a class is drawn right once in ten.
#
# **Rubric.** 1 point each. (a) needs the measured difference, log 10, and a second cause if the difference is larger.
# (b) needs that z carries the class. (c) needs equal means and 10 %.
