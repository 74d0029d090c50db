# %% [markdown]
# # 00 · Start here: what a generative model is
#
# **Question.** What does it mean to *learn a distribution*, and how do you tell a good model of it
# from a bad one?
#
# **Afterwards you can** say what p_data and p_model are, fit four models of a distribution, sample
# from them, score them by held-out log-likelihood, and recognise overfitting when you see it - all
# before the first neural network.
#
# **Know first:** a little Python, what a probability density is.
#
# Run the cells from top to bottom (*Run → Run All Cells*), or one at a time with Shift+Enter.

# %% tags=["setup"]
import platform

import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from gen_course.ch00_start_here.explorers import KernelExplorer
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_lib.data import data_folder, load, load_toy
from gen_lib.metrics import nearest
from gen_lib.training.hardware import machine

plots.use_style()
images = load("fashion_mnist")
toy = load_toy("eight_gaussians")
train = toy.sample(400, torch.Generator().manual_seed(1))
test = toy.sample(4_000, torch.Generator().manual_seed(2))
print(timing.stated("00_start_here"))

# %% [markdown]
# ## Your machine
#
# The course needs no GPU and no network. The next cell checks that everything is in its place.

# %%
print("Python      ", platform.python_version())
print("Machine     ", machine())
print("Data folder ", "found" if data_folder().is_dir() else "missing")
print("Images      ", f"{len(images.train):,} for training, {len(images.test):,} for testing")
assert (len(images.train), len(images.test)) == (60_000, 10_000)

# %% [markdown]
# Every chapter states the minutes that *Run All* took on the reference machine. Ten seconds of
# training show how yours compares; from then on every chapter scales its minutes to it.

# %%
speed = timing.calibrate(seconds=10)
reference = timing.measured()["speed"] or speed
print(f"This machine trains {speed / reference:.1f} times as fast as the reference machine.")
print(timing.stated("01_autoencoders"))

# %% [markdown]
# ## What generative AI does today
#
# The lecture opens with eleven applications. Each makes a different kind of x; few families of
# models serve them all.
#
# | Application (lecture's term) | What is generated | A family that serves it | One example |
# |---|---|---|---|
# | AI search (AI 검색) | an answer, given a question and passages found for it | retriever + autoregressive transformer | RAG: Lewis et al. 2020, [2005.11401](https://arxiv.org/abs/2005.11401) |
# | Summarisation (문서 요약) | a short text, given a long one | autoregressive transformer | PEGASUS: Zhang et al. 2019, [1912.08777](https://arxiv.org/abs/1912.08777); with instruction-tuned language models: [2301.13848](https://arxiv.org/abs/2301.13848) |
# | Inpainting (이미지 인페인팅) | the missing pixels, given the others | diffusion | RePaint: Lugmayr et al. 2022, [2201.09865](https://arxiv.org/abs/2201.09865) |
# | Text (텍스트 생성) | the next words, given those before | autoregressive transformer | GPT-3: Brown et al. 2020, [2005.14165](https://arxiv.org/abs/2005.14165) |
# | Text to image (텍스트-이미지 생성) | an image, given a sentence | diffusion in an autoencoder's latent space | Stable Diffusion: Rombach et al. 2021, [2112.10752](https://arxiv.org/abs/2112.10752) |
# | Text to video (텍스트-비디오 생성) | a sequence of frames, given a sentence | diffusion in a video autoencoder's latent space | CogVideoX: Yang et al. 2024, [2408.06072](https://arxiv.org/abs/2408.06072) |
# | Music (음악 생성) | codes of sound, given a text or a melody | autoencoder for sound + autoregressive transformer | MusicGen: Copet et al. 2023, [2306.05284](https://arxiv.org/abs/2306.05284) |
# | Speech (음성 생성) | codes of sound, given a text and three seconds of a voice | autoencoder for sound + autoregressive model | VALL-E: Wang et al. 2023, [2301.02111](https://arxiv.org/abs/2301.02111) |
# | Image style (이미지 스타일 변환) | the same scene in another style | GAN (CycleGAN), today also diffusion | CycleGAN: Zhu et al. 2017, [1703.10593](https://arxiv.org/abs/1703.10593); InstructPix2Pix: Brooks et al., [2211.09800](https://arxiv.org/abs/2211.09800) |
# | Virtual try-on (가상 의류 착용) | a photograph of a person in a given garment | diffusion in a latent space | IDM-VTON: Choi et al. 2024, [2403.05139](https://arxiv.org/abs/2403.05139) |
# | Other creative work (다양한 창작 작업) | for instance a 3-D object, given a sentence | a scene optimised under an image diffusion model | DreamFusion: Poole et al. 2022, [2209.14988](https://arxiv.org/abs/2209.14988) |
#
# Three of the families above are chapters of this course: autoencoders (01-03), GANs (04, 05) and
# diffusion (06). The fourth, autoregressive models, you build below in twenty lines.

# %% [markdown]
# ## The goal
#
# Given **training data** (훈련 데이터) from an unknown **data distribution** (데이터 분포) p_data(x),
#
# 1. learn a model distribution **p_model(x) that approximates p_data(x)**, and
# 2. **sample** (샘플링) new x from p_model(x).
#
# Here are samples from one p_data: photographs of garments. Almost none of the
# $256^{784}$ possible pictures of this size look like one. A **generative model** (생성 모델) has to find those few.

# %%
rng = torch.Generator().manual_seed(0)
real = images.train.subset(10).x
noise = 2 * torch.rand(10, 1, 28, 28, generator=rng) - 1
figure = plots.image_rows(
    {"from p_data": real, "uniform": noise}, "p_data gives garments; uniform pixels never do"
)
plots.show(
    figure,
    "Two rows of ten 28-pixel pictures: a shirt, a dress, coats, sneakers and boots above, grey "
    "noise without any structure below.",
)

# %% [markdown]
# ## Course map
#
# | Chapter | The question it answers |
# |---|---|
# | [00 Start here](00_start_here.ipynb) | What does it mean to learn a distribution? |
# | [01 Autoencoders](01_autoencoders.ipynb) | What does a short code keep of an image, and can one sample it? |
# | [02 Sparse, denoising, masked](02_sparse_denoising_masked.ipynb) | What else can make a code useful? |
# | [03 Variational autoencoder](03_vae.ipynb) | How does a code become a distribution to sample from? |
# | [04 Generative adversarial network](04_gan.ipynb) | Can a second network replace the loss? |
# | [05 CycleGAN](05_cyclegan.ipynb) | Can one translate between two domains without pairs? |
# | [06 Diffusion](06_diffusion.ipynb) | Can one generate by removing noise, a little at a time? |
# | [07 Comparison](07_comparison.ipynb) | Which family suits which purpose? |
#
# **Notation**, the same in every chapter:
#
# | Symbol | Meaning |
# |---|---|
# | x, $x_n$ | an image or a point; the n-th of N |
# | z | a latent code, with units $z_1 \dots z_K$ |
# | y(x, w) | what a network with weights w makes of x |
# | $p_{data}$, $p_{model}$ | where the data came from; what a model samples from |
# | $\mu$, $\Sigma$, $\sigma$ | mean, covariance, standard deviation |
#
# Images are numbers in [-1, 1] with the shape (N, C, H, W): images, channels, height, width.

# %% [markdown]
# ## Idea: four models of one distribution
#
# Two dimensions are enough to see everything. This p_data is a ring of eight small Gaussians - and
# because we made it, we know its exact density, so we also know the best score that any model can
# reach. The models see 400 points.

# %%
ceiling = toy.log_prob(test).mean().item()
error = toy.log_prob(test).std().item() / len(test) ** 0.5
print(f"Best possible score, that of p_data itself: {ceiling:.2f} +- {error:.2f} nats per point.")

figure, axes = plt.subplots(1, 2, figsize=(7, 3.4))
plots.points(axes[0], train)
axes[0].set_title("400 training points ...")
plots.field(axes[1], toy.log_prob(plots.plane(200)).exp().reshape(200, 200))
axes[1].set_title("... and the density p_data(x)")
plots.show(
    figure,
    "Left: 400 points in eight tight clusters on a circle of radius 2. "
    "Right: the density, eight small bright spots at the same places.",
)

# %% [markdown]
# The score is the **held-out log-likelihood**: the mean of log p_model(x) over test points that the
# model has not seen, in nats. Higher is better, and no model beats p_data on average (their
# difference is the Kullback-Leibler divergence from p_data to p_model, which is never negative).
#
# Fitting by **maximum likelihood** means choosing the parameters that make the same mean as large as
# possible over the *training* points. A **nat** is the unit of the natural logarithm: one nat more is
# e ≈ 2.7 times the density.
#
# **Model 1, a single Gaussian.** Its maximum-likelihood fit is the mean and the covariance of the data.

# %%
gaussian = torch.distributions.MultivariateNormal(train.mean(dim=0), train.T.cov(correction=0))
torch.manual_seed(0)
samples = {"Gaussian": gaussian.sample((1_000,))}
score = {"Gaussian": gaussian.log_prob}

# %% [markdown]
# **Model 2, a mixture of Gaussians**, fitted by expectation-maximisation (Dempster, Laird & Rubin
# 1977): which component made this point? - where are the components, then? - and again.

# %%
mixture = GaussianMixture(8, n_init=5, random_state=0).fit(train)
samples["mixture"] = torch.tensor(mixture.sample(1_000)[0], dtype=torch.float32)
score["mixture"] = lambda x: torch.tensor(mixture.score_samples(x))

# %% [markdown]
# **Model 3, a kernel density** (Rosenblatt 1956, Parzen 1962): a small Gaussian on every training
# point. Its width is the only choice; 0.1 is a guess, which *Break it* will correct.

# %%
kernel = KernelDensity(bandwidth=0.1).fit(train)
samples["kernel density"] = torch.tensor(kernel.sample(1_000, random_state=0), dtype=torch.float32)
score["kernel density"] = lambda x: torch.tensor(kernel.score_samples(x))

# %% [markdown]
# ## Build: an autoregressive model in twenty lines
#
# **Model 4.** Any distribution can be written one coordinate at a time,
#
# $$p(x) = p(x_1)\; p(x_2 \mid x_1) \cdots p(x_D \mid x_1, \dots, x_{D-1}).$$
#
# Language models generate text this way, token after token (GPT-2: Radford et al. 2019, eq. 1), and
# WaveNet generated speech this way, amplitude after amplitude (van den Oord et al. 2016,
# [1609.03499](https://arxiv.org/abs/1609.03499)). With two coordinates and a histogram for each
# factor, twenty lines do it.


# %%
class AutoregressiveHistogram:
    """p(x_1) p(x_2 | x_1) on bins over [-3, 3]^2; alpha imaginary points in each bin."""

    def __init__(self, x, bins=60, alpha=0.001):
        self.bins, self.width = bins, 6 / bins
        counts = torch.full((bins, bins), alpha)  # (x_1 bin, x_2 bin)
        row, column = self.bin(x)  # (n,), (n,)
        counts.index_put_((row, column), torch.ones(len(x)), accumulate=True)  # count the points
        self.p1 = counts.sum(dim=1) / counts.sum()  # p(x_1): (bins,)
        self.p2 = counts / counts.sum(dim=1, keepdim=True)  # p(x_2 | x_1): one row per x_1

    def bin(self, x):
        return ((x + 3) / self.width).long().clamp(0, self.bins - 1).T  # (2, n)

    def log_prob(self, x):
        row, column = self.bin(x)
        density = self.p1[row] * self.p2[row, column] / self.width**2
        return torch.where((x.abs() <= 3).all(dim=1), density, 0.0).log()

    def sample(self, n):
        row = self.p1.multinomial(n, replacement=True)  # first x_1 ...
        column = self.p2[row].multinomial(1)[:, 0]  # ... then x_2 given x_1
        corner = torch.stack([row, column], dim=1) * self.width - 3  # (n, 2)
        return corner + self.width * torch.rand(n, 2)


histogram = AutoregressiveHistogram(train)
torch.manual_seed(0)
samples["autoregressive"] = histogram.sample(1_000)
score["autoregressive"] = histogram.log_prob

# %% [markdown]
# Two things must hold for it to be a distribution: each conditional sums to one, and so does the
# whole density.

# %%
assert torch.allclose(histogram.p2.sum(dim=1), torch.ones(60))
i = torch.arange(60)
middle_of_bins = (torch.cartesian_prod(i, i) + 0.5) * histogram.width - 3
integral = histogram.log_prob(middle_of_bins).exp().sum() * histogram.width**2
assert torch.isclose(integral, torch.tensor(1.0), atol=1e-4)
print(f"The density integrates to {integral:.4f}.")

# %% [markdown]
# ## Predict
#
# Commit to an answer before you run the cell below.
#
# 1. Which of the four gets the best held-out score?
# 2. Which one puts samples where no data ever was, and why?
# 3. The mixture has eight components, the truth has eight modes. Will its score reach the best
#    possible one?

# %% [markdown]
# ## Look: what each model samples

# %%
drawn = samples | {"p_data": toy.sample(1_000, torch.Generator().manual_seed(3))}
figure, axes = plt.subplots(2, 5, figsize=(9, 4.1), sharex=True, sharey=True)
grid = plots.plane(150)
for (name, points), top, bottom in zip(drawn.items(), axes[0], axes[1], strict=True):
    density = score.get(name, toy.log_prob)(grid).exp().reshape(150, 150)
    plots.field(top, density.sqrt(), vmax=density.sqrt().max() if name == "Gaussian" else 3.0)
    plots.points(bottom, points, plots.DATA if name == "p_data" else plots.MODEL, size=2)
    top.set_title(name)
axes[0, 0].set_ylabel("√ p(x)")
axes[1, 0].set_ylabel("1,000 samples")
title = "One blob cannot make eight clusters (its density is drawn on a scale of its own)"
figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
plots.show(
    figure,
    "Five columns, density above and samples below. The single Gaussian is one broad blob over the "
    "whole ring; the mixture shows eight tight spots like those of p_data in the last column; the "
    "kernel density eight wider spots; the autoregressive histogram eight blocky spots and a few "
    "stray samples far from them.",
)

# %% [markdown]
# ## Explore: the width of the kernels
#
# The kernel density has one knob, and everything depends on it. Three widths give three different
# models of the same points; the colour is log p_model(x), in nats, from -10 to 3.

# %%
grid = plots.plane(150)
figure, axes = plt.subplots(1, 3, figsize=(8, 3.2), sharex=True, sharey=True)
for ax, width in zip(axes, (0.02, 0.1, 0.5), strict=True):
    log_p = KernelDensity(bandwidth=width).fit(train).score_samples(grid)
    plots.field(ax, torch.tensor(log_p).reshape(150, 150), vmin=-10, vmax=3)
    plots.points(ax, train, "white", size=0.3)
    ax.set_title(f"width {width:g}", fontweight="normal")
title = "Narrow kernels keep to the training points, wide ones fill the gaps"
figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
plots.show(
    figure,
    "Three maps of log density with the 400 training points on them. Width 0.02: a thin bright rim "
    "around each of the eight clusters, all else dark. Width 0.1: eight separate discs. Width 0.5: "
    "nearly all of the map is bright, and the clusters no longer stand out.",
)

# %% [markdown]
# The explorer begins with the map in the middle and scores it on the training points and on 1,000
# held-out ones, point by point. Its points are new for every draw; the held-out ones stay.
#
# 1. Find the width with the best held-out score for 400 points. Which width does the *training* score
#    recommend? Write both down: *Break it* draws the two curves.
# 2. **Predict:** with 50 points in place of 400, is the best width larger or smaller? Then try it.
# 3. Take 25 points and width 0.05, and go from draw 1 to draw 2. What has happened to the score, and
#    where on the map is the cause? Which width is best now, and would you call it a good model?

# %% tags=["widget"]
KernelExplorer()

# %% [markdown]
# ## Measure: held-out log-likelihood

# %%
held_out = {name: f(test).mean().item() for name, f in score.items()}
on_train = {name: f(train).mean().item() for name, f in score.items()}
print(f"{'model':>16} {'train':>8} {'held out':>9}   nats per point")
for name in score:
    print(f"{name:>16} {on_train[name]:8.3f} {held_out[name]:9.3f}")
print(f"{'p_data':>16} {toy.log_prob(train).mean():8.3f} {ceiling:9.3f}")

figure, ax = plt.subplots(figsize=(7, 2.2))
rows = held_out | {"p_data (ceiling)": ceiling}
colors = [*4 * [plots.MODEL], plots.BASELINE]
plots.bars(ax, rows, colors, "{:.2f}")
ax.axvline(0, color="#444444", linewidth=0.8)
ax.set_xlabel("held-out log-likelihood, nats per point (more is better)")
best = max(held_out, key=held_out.get)
ax.set_title(f"The {best} comes closest to p_data")
plots.show(
    figure,
    "Bars of held-out log-likelihood: " + ", ".join(f"{k} {v:.2f}" for k, v in rows.items()) + ".",
)
assert max(held_out.values()) <= ceiling, "On average no model beats p_data on held-out points."

# %% [markdown]
# <details><summary>Answers to the three predictions</summary>
#
# 1. The mixture: the truth *is* a mixture of eight Gaussians, so its family contains p_data. Real
#    data rarely offer such a family.
# 2. Above all the single Gaussian: it can only be one blob, so most of its samples fall into the empty
#    middle and between the clusters. A model that must cover all data with too simple a shape covers
#    much else besides. The histogram strays a little: alpha gives every empty bin some mass. (Without
#    alpha, a test point in an empty bin would have density 0, and the score would be minus infinity.)
# 3. Nearly. It has to estimate eight weights, means and covariances from 400 points, and pays for each.
# </details>

# %% [markdown]
# ## Break it: memorise the training data
#
# The kernel density has one knob. Make the kernels narrower and narrower, and the score on the
# *training* points rises without limit. Does the model get better?

# %%
widths = torch.logspace(-3, 0, 25)
curves = {"train": [], "held out": []}
for width in widths.tolist():
    model = KernelDensity(bandwidth=width).fit(train)
    curves["train"].append(model.score(train) / len(train))
    curves["held out"].append(model.score(test) / len(test))

figure, ax = plt.subplots(figsize=(7, 3))
ax.semilogx(widths, curves["train"], color=plots.DATA)
ax.semilogx(widths, curves["held out"], color=plots.MODEL)
ax.axhline(ceiling, color=plots.BASELINE, linestyle="--")
above = {"xytext": (0, 4), "textcoords": "offset points"}
ax.annotate("p_data", (0.7, ceiling), color=plots.BASELINE, **above)
ax.annotate("training points", (widths[4], curves["train"][4]), color=plots.DATA, va="bottom")
ax.annotate("held-out points", (widths[7], -6), color=plots.MODEL)
ax.set(xlabel="width of the kernels", ylabel="nats per point", ylim=(-8, 9))
ax.set_title("Narrow kernels win on the training points and lose everywhere else")
plots.show(
    figure,
    "Log-likelihood against kernel width. On training points it rises steadily as kernels get "
    "narrower, far above the dashed line of p_data; on held-out points it peaks at a middle width "
    "below that line and falls off a cliff to the left.",
)

# %% [markdown]
# On the training points the score rises past that of p_data itself. A little of that is normal: the
# mixture above does it too. The alarm is the **gap** between training and held-out score, which here
# grows without bound. **Symptom** in numbers: how far is a sample from the nearest training point,
# compared with how far a fresh real point is?

# %%
fresh = nearest(test[:1_000], train).distance.median().item()
best_width = widths[curves["held out"].index(max(curves["held out"]))].item()
print(f"best held-out score: {max(curves['held out']):.3f} nats at width {best_width:.3f}")
assert curves["train"][0] - curves["held out"][0] > 100
others = [score[name](test).mean() for name in ("autoregressive", "kernel density")]
assert max(curves["held out"]) > others[0] > others[1]
for width in (0.001, best_width):
    drawn = KernelDensity(bandwidth=width).fit(train).sample(1_000, random_state=0)
    distance = nearest(torch.tensor(drawn, dtype=torch.float32), train).distance.median().item()
    print(f"width {width:.3f}: samples lie {distance:.4f} from a training point, data {fresh:.4f}")

# %% [markdown]
# **Cause:** a model with enough freedom stores the training set and samples copies of it. **Repair:**
# choose the freedom by held-out data; with its best width the kernel density overtakes the histogram.
# (A score that was chosen as the best on some points is slightly flattered on them; real work keeps
# a third set for the final figure.) The same holds for every model with a knob:

# %%
mixture_sizes, bin_numbers = [1, 2, 4, 8, 16, 32, 64, 128], [6, 12, 24, 48, 96, 192, 384]
fits = [GaussianMixture(k, random_state=0, reg_covar=1e-6).fit(train) for k in mixture_sizes]
histograms = [AutoregressiveHistogram(train, bins) for bins in bin_numbers]
knobs = {
    "components of the mixture": (
        mixture_sizes,
        [m.score(train) for m in fits],
        [m.score(test) for m in fits],
    ),
    "bins of the histogram, per side": (
        bin_numbers,
        [h.log_prob(train).mean().item() for h in histograms],
        [h.log_prob(test).mean().item() for h in histograms],
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
for ax, (knob, (values, seen, unseen)) in zip(axes, knobs.items(), strict=True):
    ax.semilogx(values, seen, "o-", color=plots.DATA, label="training points")
    ax.semilogx(values, unseen, "o-", color=plots.MODEL, label="held-out points")
    ax.axhline(ceiling, color=plots.BASELINE, linestyle="--", label="p_data")
    best_value = values[unseen.index(max(unseen))]
    ax.set_xticks(values, values)
    ax.set_xticks([], minor=True)
    ax.set(xlabel=knob, title=f"Of these, {best_value} {knob.split()[0]} do best", ylim=(-6, 6))
axes[0].set_ylabel("nats per point")
axes[1].legend(loc="upper left")
plots.show(
    figure,
    "Two panels of log-likelihood against a model's freedom, for the mixture and the histogram. "
    "The training curves keep rising; the held-out curves rise, peak, and fall.",
)

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("00_start_here")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All four are
# [solved](solutions/00_start_here.ipynb).

# %% tags=["setup"]
import math

from gen_course.ch00_start_here.checks import (
    check_choose_width,
    check_held_out_score,
    check_kl_divergence,
    check_sample_chain,
)

# %% [markdown]
# **1. The score by hand** (10 minutes). Fit one Gaussian to `train` (n, d) by maximum likelihood and
# return the mean of log p_model(x) over `test` (m, d), without `torch.distributions`:
#
# $$\log p(x) = -\tfrac{1}{2} (x - \mu)^T \Sigma^{-1} (x - \mu) - \tfrac{1}{2} \log\det\Sigma - \tfrac{d}{2} \log 2\pi.$$
#
# For this chapter's `train` and `test` you must find the bar of the single Gaussian in *Measure*.


# %% tags=["exercise"]
def held_out_score(train, test):
    """Mean log-likelihood (nats, one number) of test under a Gaussian fitted to train."""
    # Hint: train.T.cov(correction=0) is (d, d); torch.linalg.solve(Sigma, difference.T) is (d, m).
    ### BEGIN SOLUTION
    mu, sigma = train.mean(dim=0), train.T.cov(correction=0)  # (d,), (d, d)
    difference = test - mu  # (m, d)
    distance = (difference * torch.linalg.solve(sigma, difference.T).T).sum(dim=1)  # (m,)
    log_p = -0.5 * (distance + sigma.logdet() + train.shape[1] * math.log(2 * math.pi))
    return log_p.mean()
    ### END SOLUTION


# %%
check_held_out_score(held_out_score)

# %% [markdown]
# **2. One after the other** (15 minutes). Sample n sequences of D states, each from 0 to K - 1, from
# $p(x_1)\, p(x_2 \mid x_1) \cdots p(x_D \mid x_{D-1})$: an autoregressive model in which every $x_d$
# depends on the one before it only. `p_first` (K,) holds $p(x_1)$, the row `p_next[a]` of `p_next` (K, K)
# holds $p(x_d \mid x_{d-1} = a)$. Return whole numbers (n, length). With letters as states this is the
# simplest language model. Draw with the random-number generator `rng`.


# %% tags=["exercise"]
def sample_chain(p_first, p_next, length, n, rng):
    """n sequences (n, length) of states, drawn one coordinate at a time."""
    # Hint: p.multinomial(k, replacement=True, generator=rng) draws from every row of p.
    ### BEGIN SOLUTION
    x = [p_first.multinomial(n, replacement=True, generator=rng)]  # (n,)
    for _ in range(length - 1):
        given = p_next[x[-1]]  # (n, K): the row of each sequence's last state
        x.append(given.multinomial(1, generator=rng)[:, 0])
    return torch.stack(x, dim=1)
    ### END SOLUTION


# %%
check_sample_chain(sample_chain)

# %% [markdown]
# **3. Choose the width** (30 minutes). A kernel density puts a Gaussian of the same width on each of
# the n points of `train` (n, d):
#
# $$p(x) = \frac{1}{n} \sum_{i=1}^{n} \frac{1}{(2 \pi\, \text{width}^2)^{d/2}} \exp\left(-\frac{\lVert x - x_i \rVert^2}{2\, \text{width}^2}\right).$$
#
# Return the one of `widths` with the best log-likelihood of `held_out` (m, d). Write the density
# yourself; some points lie so far from all others that `exp` gives 0, and log 0 helps nobody.


# %% tags=["exercise"]
def choose_width(train, held_out, widths):
    """The width, out of the tensor widths, with the best held-out log-likelihood."""
    # Hint: torch.cdist(held_out, train) is (m, n); logsumexp(dim=1) never leaves the logs.
    ### BEGIN SOLUTION
    squared = torch.cdist(held_out, train) ** 2  # (m, n)
    scores = []
    for width in widths:
        log_kernels = -squared / (2 * width**2) - train.shape[1] * width.log()
        scores.append(log_kernels.logsumexp(dim=1).mean())  # constants do not change the order
    return widths[torch.stack(scores).argmax()]
    ### END SOLUTION


# %%
check_choose_width(choose_width)

# %% [markdown]
# **4. How far is the model?** (20 minutes) The Kullback-Leibler divergence is a mean over p,
#
# $$KL(p \,\|\, q) = \mathbb{E}_{x \sim p}\left[\log p(x) - \log q(x)\right],$$
#
# so samples estimate it (Monte Carlo). `p` and `q` have the methods `sample(n)`, which gives (n, 2), and
# `log_prob(x)`, which gives (n,). With p = p_data and q = p_model this is the gap between the ceiling and
# a bar in *Measure*. Once the check passes, compare `kl_divergence(toy, gaussian, 10_000)` with that gap
# - and say what goes wrong when you exchange the two.


# %% tags=["exercise"]
def kl_divergence(p, q, n):
    """KL(p || q) in nats, one number, estimated from n samples."""
    # Hint: of which of the two are the samples?
    ### BEGIN SOLUTION
    x = p.sample(n)  # (n, 2)
    return (p.log_prob(x) - q.log_prob(x)).mean()
    ### END SOLUTION


# %%
check_kl_divergence(kl_divergence)

# %% [markdown]
# ## Summary
#
# - A generative model is a p_model that you can **sample**; fitting it means bringing it close to
#   p_data.
# - Where p_model(x) can be computed, **held-out** log-likelihood scores it, and p_data's own score
#   is the ceiling. The training score proves nothing: a model that copies wins it.
# - Too little freedom fills the gaps between the data; too much stores the data.
# - A histogram with b bins a side has b² numbers in two dimensions and $b^{784}$ for a small image.
#   That is why the rest of the course needs neural networks.
#
# The families differ in what they give up. Autoregressive models keep log p_model(x) and generate
# slowly, one coordinate at a time. Variational autoencoders keep a bound on it (chapter 03), GANs
# give it up and only sample (04), diffusion models remove noise step by step (06).
#
# **Next:** [01 Autoencoders](01_autoencoders.ipynb).
#
# **Further reading.** I. Goodfellow, *NIPS 2016 Tutorial: Generative Adversarial Networks*,
# [1701.00160](https://arxiv.org/abs/1701.00160), section 2, draws the family tree of generative
# models by what each does with the density. A. Dempster, N. Laird, D. Rubin, *Maximum Likelihood from
# Incomplete Data via the EM Algorithm*, Journal of the Royal Statistical Society B 39, 1977.

# %%
print(timing.report())
