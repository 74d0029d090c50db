# %% [markdown]
# # Homework 4 · Remember the last step, and look at what you know
#
# **20 points, one to three hours.** Know first: chapter 06. Two variants of a reverse process: a sampler of second
# order that makes only one network call a step, since it remembers the last one; and two ways to make a small image
# large with a model that was never trained to do so. Nothing is trained here: every denoiser is exact, so that
# what you measure is your method and nothing else.
#
# | Question | Points | Graded |
# |---|---|---|
# | 1 A step that remembers | 2 | automatically |
# | 2 The loop around it | 4 | automatically |
# | 3 Keep what you know: projection | 3 | automatically |
# | 4 Steer to what you know: guidance | 5 | automatically |
# | 5 What does a call buy? | 3 | by a person |
# | 6 Which large image is right? | 3 | by a person |
#
# Write your code where it says `YOUR CODE HERE`; change and add other cells as you like, but do not copy, split or
# delete the cells of answers and tests. The cells after *Try it* are tests whose text you cannot see: they ask what
# a function *does*, not how. They call it several times, with other sizes, labels and seeds and with extreme values,
# and compare its gradients, too. So a function keeps nothing between calls, leaves its arguments (and the mode and
# `.grad` of a network) as they were, and draws with the generator `rng` alone. Each test runs by itself, so a mistake
# in one question costs no points in another. Before you hand in: *Kernel, Restart Kernel and Run All Cells*. A cell
# may take three minutes when it is graded.
#
# Symbols as in chapter 06, on the straight path: $x_t = (1 - t)\, x_0 + t\, \varepsilon$ for t from 1 (noise) down to 0,
# so signal is 1 - t and sigma is t. A denoiser estimates $x_0$ and ε in $x_t$; the velocity is $v = \varepsilon - x_0$, and
# the reverse process follows $dx/dt = v$ from t = 1 to t = 0.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from gen_course.common import plots
from gen_lib.data import load
from gen_lib.data.toys import Mixture
from gen_lib.samplers import Heun, exact
from gen_lib.schedules import Straight

plots.use_style()
images = load("fashion_mnist")
train, test = images.train, images.test
straight = Straight()
seeded = torch.Generator().manual_seed

# %% [markdown]
# ## 1 · A step that remembers (2 points)
#
# Euler's step from t to s takes the velocity at t as constant; its error falls with the first power of the step.
# Heun's step asks a second time at s. But the velocity that was used one step *before*, at the time b > t, is known
# already. Put a straight line through the two, $v(b)$ and $v(t)$, extend it to s, and integrate it from t to s: the
# two-step method of **Adams and Bashforth**, here for steps of any two lengths,
#
# $$x_s = x_t + h \left[\left(1 + \frac{r}{2}\right) v(t) - \frac{r}{2}\, v(b)\right],
# \qquad h = s - t, \quad r = \frac{s - t}{t - b}.$$
#
# (Solvers such as DPM-Solver++(2M), Lu et al. 2022, [2211.01095](https://arxiv.org/abs/2211.01095), are of this kind.)
# Derive the formula before you use it. Gradients flow from the result to x and both velocities.
#
# `ab2_step(x, v, v_before, b, t, s)`: x, v and `v_before` have the same shape; b > t > s are numbers. Returns x at s.


# %% nbgrader={"grade_id": "ab2_step", "solution": true}
def ab2_step(x, v, v_before, b, t, s):
    """x_s from x_t, the velocity at t, and the velocity at the earlier step's time b."""
    ### BEGIN SOLUTION
    h, r = s - t, (s - t) / (t - b)
    return x + h * ((1 + r / 2) * v - r / 2 * v_before)
    ### END SOLUTION


# %% [markdown]
# *Try it:* for the velocity 2t, x is t² + c. From 0.5 to 0.2, with the step before from 0.9: 0.04 - 0.25 = -0.21.

# %%
print(ab2_step(torch.zeros(1), torch.ones(1), torch.full((1,), 1.8), 0.9, 0.5, 0.2))

# %% nbgrader={"grade_id": "test_ab2_step", "grade": true, "points": 2}
# 2 points: the tests of ab2_step run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw4_diffusion.ab2_step", ab2_step)
### END HIDDEN TESTS

# %% [markdown]
# ## 2 · The loop around it (4 points)
#
# `follow(velocity, step, x, times)`: from x at `times[0]` to `times[-1]`, times falling. `velocity(x, t)` is one network
# call. There is no step before the first: take Euler's. Each later step is `step(x, v, v_before, b, t, s)`, a function such
# as `ab2_step`. With len(times) - 1 steps you make len(times) - 1 calls and not one more. Returns the last x, through
# which gradients flow to the first; leave the x that you were given as it is.


# %% nbgrader={"grade_id": "follow", "solution": true}
def follow(velocity, step, x, times):
    """x at the last of the times, by one velocity a step."""
    ### BEGIN SOLUTION
    v_before = None
    for k, (t, s) in enumerate(pairwise(times)):
        v = velocity(x, t)
        x = x + (s - t) * v if k == 0 else step(x, v, v_before, times[k - 1], t, s)
        v_before = v
    return x
    ### END SOLUTION


# %% [markdown]
# *Try it:* dx/dt = x from 1 to 0 divides by e; with 4, 8 and 16 steps of `ab2_step` the error falls about fourfold each time.

# %%
for steps in (4, 8, 16):
    end = follow(lambda x, t: x, ab2_step, torch.ones(1), torch.linspace(1, 0, steps + 1))
    print(steps, (end - torch.exp(torch.tensor(-1.0))).item())

# %% nbgrader={"grade_id": "test_follow", "grade": true, "points": 4}
# 4 points: the tests of follow run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw4_diffusion.follow", follow)
### END HIDDEN TESTS

# %% [markdown]
# ## 3 · Keep what you know: projection (3 points)
#
# You are given a small image y and want a large one. You know how y came about: $y = A x$, where A replaces each square of
# f x f pixels by its **mean**. Let $A^+ y$ repeat each pixel of y over its square. Then $A A^+ = I$: what is repeated has the
# right means. Whatever large image $x_0$ a denoiser comes up with, the part of it that you know can be replaced,
# and the rest, which A cannot see, kept (Wang, Yu & Zhang 2022, [2212.00490](https://arxiv.org/abs/2212.00490)):
#
# $$\hat{x}_0 = A^+ y + (I - A^+ A)\, x_0 .$$
#
# `project(x_0, y, f)`: `x_0` is (n, c, f h, f w), y is (n, c, h, w). Returns the large image whose squares have the means y
# and that is otherwise `x_0`; gradients flow to both. (`F.avg_pool2d(x, f)` takes the mean of each square of f x f pixels,
# that is A, and `repeat_interleave(f, dim=2)` repeats each row f times.)


# %% nbgrader={"grade_id": "project", "solution": true}
def project(x_0, y, f):
    """x_0 with the mean of each f x f square moved to y."""
    ### BEGIN SOLUTION
    missing = y - F.avg_pool2d(x_0, f)  # (n, c, h, w)
    return x_0 + missing.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)
    ### END SOLUTION


# %%
# Try it: should be [[6, 8], [8, 10]], moved from the mean 2 to the mean 8.
print(project(torch.tensor([[[[0.0, 2], [2, 4]]]]), torch.tensor([[[[8.0]]]]), 2))

# %% nbgrader={"grade_id": "test_project", "grade": true, "points": 3}
# 3 points: the tests of project run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw4_diffusion.project", project)
### END HIDDEN TESTS

# %% [markdown]
# ## 4 · Steer to what you know: guidance (5 points)
#
# Or leave the estimate alone and change where the process goes. If $\hat{x}_0(x_t)$ is what the denoiser sees in $x_t$, then
#
# $$g = \nabla_{x_t} \lVert y - A\, \hat{x}_0(x_t) \rVert^2$$
#
# says how to change $x_t$ so that what is seen in it agrees less with y; step the other way (Chung, Kim, Mccann, Klasky & Ye
# 2022, [2209.14687](https://arxiv.org/abs/2209.14687)). The gradient goes *through* the denoiser: it knows which large images
# go with the change.
#
# `guidance(denoise, x_t, y, f)`: `denoise` takes (n, c, f h, f w) to estimates of $x_0$ of that shape, each image by
# itself; the squared norm is a sum over the pixels of y, one for each image. Returns g, of the shape of `x_t`, which requires
# no gradient itself. The loop around it runs under `torch.no_grad()`, and your function must work there: inside
# `with torch.enable_grad():` torch records again. `torch.autograd.grad(number, x)` returns the gradient and, unlike
# `backward`, leaves nothing in the `.grad` of x or of the denoiser's weights.


# %% nbgrader={"grade_id": "guidance", "solution": true}
def guidance(denoise, x_t, y, f):
    """The gradient of ||y - A x_0(x_t)||^2 with respect to x_t, for each image."""
    ### BEGIN SOLUTION
    with torch.enable_grad():
        x_t = x_t.detach().requires_grad_()
        error = (y - F.avg_pool2d(denoise(x_t), f)).square().sum()
        return torch.autograd.grad(error, x_t)[0]
    ### END SOLUTION


# %%
# Try it: x_0 = 2 x_t, all 1; means are 2, y is 0: the error 4 has the gradient 2 * 2 * 2 / 4 = 2 at each of four pixels.
print(guidance(lambda x: 2 * x, torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 1, 1), 2))

# %% nbgrader={"grade_id": "test_guidance", "grade": true, "points": 5}
# 5 points: the tests of guidance run here when your work is graded.
### BEGIN HIDDEN TESTS
from gen_course.homework.grading import examine

examine("hw4_diffusion.guidance", guidance)
### END HIDDEN TESTS

# %% [markdown]
# ## Measure: what does a call buy?
#
# In the plane the exact velocity is known. Every sampler starts at the same 500 points; the truth is Heun's method with 2,000
# calls.

# %%
mixture = Mixture("three", torch.tensor([[2.0, 0.0], [-1.0, 1.5], [-1.0, -1.5]]), sigma=0.5)
see = exact(mixture, straight)
calls = 0


def velocity(x, t):
    global calls
    calls += 1
    x_0, eps, _ = see(x, torch.as_tensor(t))
    return eps - x_0


def heun(x, steps):
    sampler = Heun(straight)
    *_, last = sampler.states(see, x, sampler.times(steps))
    return last.x, last.calls


noise = torch.randn(500, 2, 1, 1, generator=seeded(0))
truth, _ = heun(noise, 1_000)
print(f"{'steps':>6}{'Euler':>10}{'yours':>10}{'calls':>7}{'Heun':>10}{'calls':>7}")
table = {}
for steps in (4, 8, 16, 32, 64):
    times = torch.linspace(1, 0, steps + 1)
    euler = follow(velocity, lambda x, v, v_before, b, t, s: x + (s - t) * v, noise, times)
    calls = 0
    mine = follow(velocity, ab2_step, noise, times)
    theirs, their_calls = heun(noise, steps)
    table[steps] = [(end - truth).square().mean().sqrt().item() for end in (euler, mine, theirs)]
    e, m, h = table[steps]
    print(f"{steps:6d}{e:10.5f}{m:10.5f}{calls:7d}{h:10.5f}{their_calls:7d}")
print(
    "halving the last step divides the error by",
    *(f"{a / b:.2f}" for a, b in zip(table[32], table[64], strict=True)),
)

# %% [markdown]
# ## 5 · What does a call buy? (3 points)
#
# (a) By what does halving the step divide each error, and what is the order of each sampler? (b) Heun makes nearly two calls
# a step. Compare errors at nearly the same number of *calls*: your row of 2k steps with Heun's row of k. Which sampler
# has the smaller error in each pair, and by what factor? (c) Your first step is one of
# Euler's, a method of first order. Why does it not spoil the order of the whole?

# %% [markdown] nbgrader={"grade_id": "a_call", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) Euler's about 2: first order. Adams-Bashforth and Heun about 4: second order.
# (b) Read off the table by comparing the row of 2k steps of the one with the row of k steps of the other (Heun makes
# 2k - 1 calls in k steps): Adams-Bashforth is better in every such pair here, but the answer must follow the student's table.
# (c) One step of Euler's is off by a multiple of h². A method of first order makes 1/h such errors, which add up to a
# multiple of h; here there is one, and it stays of second order.
#
# **Rubric.** 1 point each. (a) needs the measured ratios and both orders. (b) needs rows with equal calls. (c) needs
# the error of one step beside that of 1/h steps. Numbers that follow from a wrong function of questions 1 or 2 cost nothing here if the reasoning fits.

# %% [markdown]
# ## Measure: images made large
#
# Here is a model of garments whose denoiser is exact: ten Gaussian distributions, one for each class, fitted to 2,000
# training images each (mean and covariance). If you know which one an image came from, $\mathbb{E}[x_0 | x_t]$ is linear; the
# probabilities of the ten, given $x_t$, mix them. The same model says what the *best* large image is: $\mathbb{E}[x | y]$ has
# the least squared error of all.

# %%
f, K = 4, 784
by_class = [train.x[train.labels == k].flatten(1)[:2_000] for k in range(10)]
mu = torch.stack([x.mean(dim=0) for x in by_class])  # (10, 784)
covariance = torch.stack([x.T.cov() for x in by_class])  # (10, 784, 784)
covariance += 1e-3 * torch.eye(K)
variance, axes_of = torch.linalg.eigh(covariance)  # (10, 784), (10, 784, 784)


def denoise(x_t, t):
    """E[x_0 | x_t] of the ten Gaussians, on the straight path."""
    flat, signal, sigma = x_t.flatten(1), 1 - t, t
    offset = (flat - signal * mu[:, None]) @ axes_of  # (10, n, 784), along each class's axes
    total = signal**2 * variance + sigma**2  # (10, 784)
    log_p = -0.5 * (offset.square() / total[:, None] + total.log()[:, None]).sum(dim=2)  # (10, n)
    x_0 = mu[:, None] + (offset * (signal * variance / total)[:, None]) @ axes_of.mT
    return (log_p.softmax(dim=0)[..., None] * x_0).sum(dim=0).reshape(x_t.shape)


def best(y):
    """E[x | y] of the ten Gaussians for y = A x, without any noise."""
    A = F.avg_pool2d(torch.eye(K).reshape(K, 1, 28, 28), f).flatten(1).T  # (49, 784)
    cross = covariance @ A.T  # (10, 784, 49)
    Q = torch.distributions.MultivariateNormal(mu @ A.T, A @ cross, validate_args=False)
    gap = (y.flatten(1)[:, None] - mu @ A.T)[..., None]  # (n, 10, 49, 1)
    x = mu + (cross @ torch.linalg.solve(A @ cross, gap))[..., 0]  # (n, 10, 784)
    return (
        (Q.log_prob(y.flatten(1)[:, None]).softmax(dim=1)[..., None] * x)
        .sum(dim=1)
        .reshape(-1, 1, 28, 28)
    )


def enlarge(y, how, steps=25):
    """A large image for each y: DDIM, with the estimate projected, or steered, or neither."""
    x = torch.randn(len(y), 1, 28, 28, generator=seeded(0))
    times = torch.linspace(0.98, 0, steps + 1)
    with torch.no_grad():
        for t, s in pairwise(times.tolist()):
            x_0 = denoise(x, t)
            if how == "projected":
                x_0 = project(x_0, y, f)
            if how == "steered":  # x_0 + sigma^2 / signal grad log p(y | x_t)
                scale = f / 2 * ((1 - t) ** 2 + t**2) / (1 - t)  # f: neighbours vary together
                x_0 = x_0 - scale * guidance(lambda x, t=t: denoise(x, t), x, y, f)
            x = (1 - s) * x_0 + s * (x - (1 - t) * x_0) / t
    return x


x = test.x[:16]
y = F.avg_pool2d(x, f)
made = {
    "pixels repeated": F.interpolate(y, scale_factor=f),
    "unconditional": enlarge(y, "neither"),
    "projected": enlarge(y, "projected"),
    "steered": enlarge(y, "steered"),
    "best, E[x | y]": best(y),
}
print(f"{'':18}{'mse':>8}{'means off':>11}{'edges':>8}")
for name, guess in {**made, "the truth": x}.items():
    off = (F.avg_pool2d(guess, f) - y).square().mean().sqrt()
    edges = (guess[..., 1:] - guess[..., :-1]).square().mean()
    print(f"{name:18}{(guess - x).square().mean():8.4f}{off:11.4f}{edges:8.4f}")

# %%
rows = {"y": made["pixels repeated"], **{k: made[k] for k in list(made)[2:]}, "the truth": x}
figure, axes = plt.subplots(len(rows), 1, figsize=(6, 4))
for ax, (name, row) in zip(axes, rows.items(), strict=True):
    ax.imshow(torch.cat(list(row[:8, 0]), dim=1).clamp(-1, 1), cmap="gray", vmin=-1, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
plots.show(
    figure,
    "Eight garments in five rows: as 7 x 7 pixels, enlarged by projection, enlarged by guidance, the expectation given "
    "the small image, and the true large image.",
)

# %% [markdown]
# ## 6 · Which large image is right? (3 points)
#
# *means off* is how far the small version of the result is from y; *edges* is the mean squared difference between neighbouring
# pixels. (a) Which of the two methods agrees better with y, and why can the other one not quite? (b) No method has a lower
# mse than E[x | y]. Compare its *edges* with the truth's: what does the least squared error look like, and why do
# samples have a larger one? (c) Projection needs $A^+$. Name a degradation of images (not a mean over squares) for which you
# have no $A^+$, but could use guidance, and say what you need to be able to compute.

# %% [markdown] nbgrader={"grade_id": "which_image", "solution": true, "grade": true, "points": 3}
# **Model answer.** (a) Projection: the last estimate is projected and nothing follows, so the means are y but for
# rounding. Guidance pulls by a finite amount at every step and ends where pull and model balance.
# (b) It is the mean of all images that fit, so what differs among them is averaged away: smooth, with weaker edges than the
# truth. A sample is one of those images; its squared error is the spread of the truth around the mean plus its own spread
# around it: twice that of E[x | y] for a fair draw. Both methods are above that, so neither draws quite fairly.
# (c) Anything differentiable that is not linear, or whose pseudo-inverse is unknown: JPEG-like clipping, an unknown
# classifier's output, over-exposure min(x, c), a blur whose kernel depends on the image. Needed: A(x) itself and its
# gradient (a vector-Jacobian product).
#
# **Rubric.** 1 point each. (a) needs the column and the last step. (b) needs "mean of what fits", and the edges.
# (c) needs an example and differentiability. Numbers from a wrong function cost nothing here if the reasoning fits.
