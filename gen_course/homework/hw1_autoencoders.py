# %% [markdown]
# # Homework 1 · Three more ways to keep a code from copying
#
# **20 points, one to three hours.** Know first: chapters 01 and 02. There an autoencoder was kept from
# copying by a short code, by a penalty on activity, by noise, and by hidden patches. Here are three
# variants that the chapters do not contain. You write the heart of each, then train all of them in under
# a minute and say what your numbers mean.
#
# | Question | Points | Graded |
# |---|---|---|
# | 1 Contractive: the penalty in closed form | 3 | automatically |
# | 2 Contractive: any encoder, by random directions | 5 | automatically |
# | 3 k-sparse: the k largest units | 3 | automatically |
# | 4 A mask schedule | 3 | automatically |
# | 5 What does standing still cost? | 3 | by a person |
# | 6 What does the schedule buy? | 3 | by a person |
#
# Write your code where it says `YOUR CODE HERE`; change and add other cells as you like, but do not copy, split or
# delete the cells of answers and tests. The cells after *Try it* are tests whose text you cannot see: they ask what
# a function *does*, not how. They call it several times, with other sizes, labels and seeds and with extreme values,
# and compare its gradients, too. So a function keeps nothing between calls, leaves its arguments (and the mode and
# `.grad` of a network) as they were, and draws with the generator `rng` alone. Each test runs by itself, so a mistake
# in one question costs no points in another. Before you hand in: *Kernel, Restart Kernel and Run All Cells*. A cell
# may take three minutes when it is graded.
#
# Symbols: x is an image with values in [-1, 1], D its number of pixels, z = f(x) its code of K units.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from gen_course.common import plots
from gen_lib.data import load
from gen_lib.metrics.linear_probe import Labelled, linear_probe
from gen_lib.nets.feedforward import mlp
from gen_lib.nets.vit import patchify

plots.use_style()
images = load("fashion_mnist")
train, test = images.train, images.test
x_test = test.x[:2_000]
seeded = torch.Generator().manual_seed

# %% [markdown]
# ## 1 · The contractive penalty in closed form (3 points)
#
# A good code moves when the image becomes another garment, and stands still when a few pixels flicker. Rifai,
# Vincent, Muller, Glorot & Bengio (2011, ICML) ask for the second directly: to the loss they add the squared
# Frobenius norm of the encoder's Jacobian matrix, the sum of *all* its squared entries,
#
# $$\lVert J(x) \rVert_F^2 = \sum_{k=1}^{K} \sum_{d=1}^{D} \left(\frac{\partial z_k}{\partial x_d}\right)^2,$$
#
# for each image, and average it over the batch. For one layer with a logistic sigmoid,
# $z = s(W x + b)$ with $s' = s (1 - s)$, you can write it down without differentiating anything. Do so on
# paper first.
#
# `contractive_penalty(z, W)`: z is (n, K) after the sigmoid, W is (K, D). Returns one number, a tensor
# without dimensions, that gradients can flow through.


# %% nbgrader={"grade_id": "contractive_penalty", "solution": true}
def contractive_penalty(z, W):
    """The mean over the images of ||J||_F^2, for z = sigmoid(x W^T + b)."""
    ### BEGIN SOLUTION
    slope = z * (1 - z)  # (n, K)
    return (slope**2 @ (W**2).sum(dim=1)).mean()
    ### END SOLUTION


# %% [markdown]
# *Try it:* one image, one unit at z = 1/2, weights 3 and 4. The slope is 1/4, so the norm is
# $(3/4)^2 + (4/4)^2$.

# %%
print(contractive_penalty(torch.tensor([[0.5]]), torch.tensor([[3.0, 4.0]])), "should be 1.5625")

# %% nbgrader={"grade_id": "test_contractive_penalty", "grade": true, "points": 3}
# 3 points: the tests of contractive_penalty run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw1_autoencoders.contractive_penalty", contractive_penalty)
### END HIDDEN TESTS

# %% [markdown]
# ## 2 · Any encoder, by random directions (5 points)
#
# A deep encoder has no such formula, and its Jacobian matrix, one backward pass for each of K units, is too
# much to compute at every step. But you need only the sum of its squared entries. Draw a random direction
# v of K numbers with mean 0, variance 1, independent of each other. Then
#
# $$\mathbb{E}_v \lVert J^\top v \rVert^2 = \sum_{k, l} \mathbb{E}[v_k v_l]\,(J J^\top)_{kl} = \lVert J \rVert_F^2,$$
#
# and $J^\top v$ is the gradient of the single number $v \cdot f(x)$ with respect to x: one backward pass.
# (Hutchinson's trace estimator.)
#
# `jacobian_norm(encode, x, rng)`: `encode` takes (n, c, h, w) to (n, K), each image by itself. Draw one
# standard normal v for each image with the random-number generator `rng`. Returns (n,): one unbiased estimate for each image.
# In training you will differentiate the result again, with respect to the weights. Differentiate a detached copy of x:
# x itself must not begin to require gradients.


# %% nbgrader={"grade_id": "jacobian_norm", "solution": true}
def jacobian_norm(encode, x, rng):
    """One estimate of ||J||_F^2 for each image, of shape (n,), differentiable."""
    # Hint: torch.autograd.grad has an argument create_graph.
    ### BEGIN SOLUTION
    x = x.detach().requires_grad_()
    z = encode(x)  # (n, K)
    v = torch.randn(z.shape, generator=rng)
    (gradient,) = torch.autograd.grad((z * v).sum(), x, create_graph=True)  # J^T v for each image
    return gradient.square().flatten(1).sum(dim=1)
    ### END SOLUTION


# %% [markdown]
# *Try it:* an encoder that multiplies everything by 2 has J = 2 I, so four pixels make $\lVert J \rVert_F^2 = 16$.

# %%
print(jacobian_norm(lambda x: 2 * x.flatten(1), torch.randn(5_000, 1, 2, 2), seeded(0)).mean())

# %% nbgrader={"grade_id": "test_jacobian_norm", "grade": true, "points": 5}
# 5 points: the tests of jacobian_norm run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw1_autoencoders.jacobian_norm", jacobian_norm)
### END HIDDEN TESTS

# %% [markdown]
# ## 3 · The k largest units (3 points)
#
# Makhzani & Frey (2013, [1312.5663](https://arxiv.org/abs/1312.5663)) need no penalty at all for a sparse code:
# compute $h = W x + b$, keep the k **largest** of the K units of each image (largest, not largest in absolute
# value), set all others to zero, and decode. Which units are kept is not differentiated; the values are.
#
# `k_sparse(h, k)`: h is (n, K), returns (n, K) with exactly k units of each image as they were, the others 0.
# Of equal units keep any, but never more than k. (`h.topk(k, dim=1).indices` are the places of the k largest of each
# row, and `scatter` writes to such places.)


# %% nbgrader={"grade_id": "k_sparse", "solution": true}
def k_sparse(h, k):
    """h with all but the k largest units of each row set to zero."""
    ### BEGIN SOLUTION
    kept = torch.zeros_like(h).scatter(1, h.topk(k, dim=1).indices, 1.0)  # (n, K) of 0 and 1
    return h * kept
    ### END SOLUTION


# %%
# Try it: should be [[3, 0, 2, 0], [0, -1, 0, -2]].
print(k_sparse(torch.tensor([[3.0, 1.0, 2.0, -4.0], [-5.0, -1.0, -3.0, -2.0]]), 2))

# %% nbgrader={"grade_id": "test_k_sparse", "grade": true, "points": 3}
# 3 points: the tests of k_sparse run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw1_autoencoders.k_sparse", k_sparse)
### END HIDDEN TESTS

# %% [markdown]
# ## 4 · A mask schedule (3 points)
#
# The masked autoencoder of chapter 02 always hid the same share of the patches. A model that shall *draw* a whole
# image patch by patch must cope with every share, from nearly all hidden to nearly none. Chang, Zhang, Jiang, Liu &
# Freeman (2022, [2202.04200](https://arxiv.org/abs/2202.04200)) draw a number u in [0, 1) for each training image
# and hide the share cos(π u / 2), so that many are hidden in most images. Always at least one patch must be
# hidden (why?), so the number of hidden patches is
#
# $$m(u) = \left\lceil \cos\left(\tfrac{\pi}{2} u\right) \cdot P \right\rceil .$$
#
# `cosine_mask(u, patches, rng)`: u is (n,), one number for each image. Returns a mask (n, P) of booleans, True
# where a patch is hidden: exactly m(u) in the row of an image, at places drawn uniformly with `rng`.


# %% nbgrader={"grade_id": "cosine_mask", "solution": true}
def cosine_mask(u, patches, rng):
    """(n, patches), True at ceil(cos(pi u / 2) patches) random places of each row."""
    # Hint: the rank of a random number among its row is a random place.
    ### BEGIN SOLUTION
    hidden = (torch.cos(math.pi / 2 * u) * patches).ceil()  # (n,)
    rank = torch.rand(len(u), patches, generator=rng).argsort(dim=1).argsort(dim=1)
    return rank < hidden[:, None]
    ### END SOLUTION


# %%
# Try it: 16, 12 and 1 hidden patches.
print(cosine_mask(torch.tensor([0.0, 0.5, 0.99]), 16, seeded(0)).sum(dim=1))

# %% nbgrader={"grade_id": "test_cosine_mask", "grade": true, "points": 3}
# 3 points: the tests of cosine_mask run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw1_autoencoders.cosine_mask", cosine_mask)
### END HIDDEN TESTS

# %% [markdown]
# ## Train, and measure
#
# One layer each way, K = 64 units, tied weights: the decoder is the encoder's transpose. Four of them, 200
# steps each, with your penalty and your `k_sparse`.


# %%
class Tied(nn.Module):
    """y = W^T z + c with z = code(W x + b)."""

    def __init__(self, code, K=64, D=784):
        super().__init__()
        self.code = code
        self.W = nn.Parameter(0.05 * torch.randn(K, D, generator=seeded(0)))
        self.b, self.c = nn.Parameter(torch.zeros(K)), nn.Parameter(torch.zeros(D))

    def encode(self, x):  # (n, 1, 28, 28) -> (n, K)
        return self.code(x.flatten(1) @ self.W.T + self.b)

    def decode(self, z):  # (n, K) -> (n, 1, 28, 28)
        return (z @ self.W + self.c).reshape(-1, 1, 28, 28)


def fitted(code, weight=0.0, steps=200):
    """An autoencoder after a few hundred steps on E + weight ||J||_F^2, E as in the lecture."""
    model = Tied(code)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(steps):
        x = train.batch(step, 128).images
        z = model.encode(x)
        loss = 0.5 * (model.decode(z) - x).square().flatten(1).sum(dim=1).mean()
        if weight:
            loss = loss + weight * contractive_penalty(z, model.W)
        optimiser.zero_grad(), loss.backward(), optimiser.step()
    return model


models = {
    "plain": fitted(torch.sigmoid),
    "contractive, weight 3": fitted(torch.sigmoid, weight=3.0),
    "contractive, weight 30": fitted(torch.sigmoid, weight=30.0),
    "k-sparse, k = 10": fitted(lambda h: k_sparse(h, 10)),
}


# %%
def figures(model):
    """mse per pixel; sqrt E||J||_F^2; the same, over the code's own spread; probe accuracy."""
    with torch.no_grad():
        z = model.encode(x_test)
        mse = (model.decode(z) - x_test).square().mean()
    moved = jacobian_norm(model.encode, x_test, seeded(0)).mean().sqrt().item()
    spread = z.var(dim=0).sum().sqrt().item()
    parts = [Labelled(z[a:b], test.labels[a:b]) for a, b in ((0, 300), (300, 600), (600, 2_000))]
    return mse.item(), moved, moved / spread, linear_probe(*parts)


print(f"{'':24}{'mse':>8}{'||J||':>8}{'over spread':>13}{'probe':>8}")
for name, model in models.items():
    mse, moved, relative, accuracy = figures(model)
    print(f"{name:24}{mse:8.4f}{moved:8.3f}{relative:13.3f}{accuracy:8.1%}")

# %% [markdown]
# Rows 2 and 3 pay for a code that stands still. The third column divides by the spread of the codes of all test
# images, that is, by how far the code moves from one garment to another.
#
# ## 5 · What does standing still cost? (3 points)
#
# (a) What does the penalty do to ‖J‖, to the mse and to the probe, in your numbers? (b) ‖J‖ alone can be made
# small by a trick that is no better code at all. Which, and what does the column *over spread* say about it here?
# (c) With *untied* weights, W for the encoder and another matrix for the decoder, the penalty could be
# cheated completely. How?

# %% [markdown] nbgrader={"grade_id": "standing_still", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) The larger the penalty, the smaller ‖J‖; the mse rises with it, since what the decoder needs
# to know must move the code; the probe falls.
# (b) Shrink the code, or push the units into the flat ends of the sigmoid, where they say nothing: ‖J‖ falls
# since all of f falls. The ratio falls as well, but by a smaller factor than ‖J‖: only that part is a real gain, the
# rest is shrinking.
# (c) Divide W of the encoder by 1000 and multiply that of the decoder by 1000 (in the linear range of the sigmoid):
# the same reconstructions, a penalty of 1e-6 of what it was. Tied weights forbid it.
#
# **Rubric.** 1 point each. (a) needs numbers of the student's own table and the direction of all three. (b) needs
# a trick that scales or saturates, and the ratio. (c) needs encoder down *and* decoder up. Numbers that follow
# from a wrong function of question 1 to 3 cost nothing here if the reasoning fits them.

# %% [markdown]
# ## Fill in what is hidden
#
# Three small networks see an image whose hidden patches (16 of 7 x 7 pixels) are set to 0, and the mask, and learn
# to give the whole image; the error counts hidden pixels only. One always has 12 of 16 hidden, one follows
# your schedule.


# %%
def as_pixels(mask):  # (n, 16) -> (n, 1, 28, 28)
    squares = mask.reshape(-1, 1, 4, 4).float()
    return squares.repeat_interleave(7, dim=2).repeat_interleave(7, dim=3)


def constant_mask(n, rng, hidden=12):
    return torch.rand(n, 16, generator=rng).argsort(dim=1) < hidden


def filler(draw, steps=250):
    """A network that fills in, trained on masks from draw(n, rng)."""
    torch.manual_seed(0)
    net, rng = mlp(2 * 784, 128, 784), seeded(0)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in range(steps):
        x = train.batch(step, 128).images
        error = fill_error(net, x, as_pixels(draw(len(x), rng)))
        optimiser.zero_grad(), error.backward(), optimiser.step()
    return net


def fill_error(net, x, hidden):
    """Mean squared error over the hidden pixels."""
    y = net(torch.cat([x * (1 - hidden), hidden], dim=1).flatten(1)).reshape(x.shape)
    return (hidden * (y - x).square()).sum() / hidden.sum()


fillers = {
    "12 of 16, always": filler(constant_mask),
    "cosine schedule": filler(lambda n, rng: cosine_mask(torch.rand(n, generator=rng), 16, rng)),
}
shares = (1, 4, 8, 12, 15)
print(f"{'hidden in the test:':22}", *(f"{m:7d}" for m in shares))
for name, net in fillers.items():
    with torch.no_grad():
        row = [
            fill_error(net, x_test, as_pixels(constant_mask(2_000, seeded(1), m))).item()
            for m in shares
        ]
    print(f"{name:22}", *(f"{value:7.4f}" for value in row))
u = torch.rand(100_000, generator=seeded(2))
print(f"mean share hidden by the schedule: {cosine_mask(u, 16, seeded(3)).float().mean():.3f}")

# %%
x_few = test.x[[0, 1, 2, 3, 4, 5]]
hidden = as_pixels(constant_mask(6, seeded(5), 4))
rows = [x_few, x_few * (1 - hidden)]
with torch.no_grad():
    for net in fillers.values():
        y = net(torch.cat([x_few * (1 - hidden), hidden], dim=1).flatten(1)).reshape(x_few.shape)
        rows.append(torch.where(hidden > 0, y, x_few))
assert patchify(x_few, 7).shape == (6, 16, 49)
figure, axes = plt.subplots(4, 1, figsize=(5, 3.6))
for ax, row, title in zip(axes, rows, ("x", "4 of 16 hidden", *fillers), strict=True):
    ax.imshow(torch.cat(list(row[:, 0]), dim=1).clamp(-1, 1), cmap="gray", vmin=-1, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.set_ylabel(title, rotation=0, ha="right", va="center")
plots.show(
    figure,
    "Four rows of six garments: the images, the same with four of sixteen squares grey, and these squares "
    "filled in by the network that always saw twelve hidden, then by that of the schedule.",
)

# %% [markdown]
# ## 6 · What does the schedule buy? (3 points)
#
# (a) Where in the table is the schedule better, where worse, and why must there be a place where the constant
# mask is at least as good? (b) What is the mean share hidden by the schedule, in closed form, and why is your measured
# number a little above it? (c) Why must at least one patch be hidden?

# %% [markdown] nbgrader={"grade_id": "schedule", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) Better where few patches are hidden, by far, and where nearly all are: the constant mask shows
# neither. Worse at 12, the only task that the other network trains on, with all of its capacity and all of its steps.
# (b) $\int_0^1 \cos(\pi u / 2)\, du = 2/\pi = 0.637$; rounding up adds about half a patch, 1/32, which gives 0.668.
# (c) With nothing hidden the loss is a sum over no pixels: 0 / 0, or no gradient at all.
#
# **Rubric.** 1 point each. (a) needs the numbers at 12 and elsewhere. (b) needs 2/π and the rounding. (c) needs that the
# loss counts hidden patches only.
