# %% [markdown]
# # 00 · Start here: what does it mean to learn a distribution?
#
# **Question.** What does it mean to *learn a distribution*, and how do you tell a good model of it
# from a bad one?
#
# **Afterwards you can** say what p_data and p_model are, fit four models of a distribution, sample
# from them, score them by held-out log-likelihood, and recognise overfitting when you see it - all
# before the first neural network.
#
# **Time:** about an hour to read and to think about the predictions; one or two minutes to run; two
# hours for all exercises.
#
# **Know first:** a little Python; what a probability density, a mean, a covariance and a standard error
# are; independence, conditional probability and Bayes' rule.
#
# Run the cells from top to bottom (*Run → Run All Cells*), or one at a time with Shift+Enter. Cells
# that only draw a figure or check a statement are folded: click on the bar to their left to open them.

# %% [markdown]
# **Symbols of this chapter.** A letter may mean something else in another chapter.
#
# | Symbol | Meaning | Shape |
# |---|---|---|
# | x | one data point: an image in *The goal*, a point of the plane afterwards | (1, 28, 28) or (2,) |
# | $x_1, x_2$, in general $x_d$ | the coordinates of x, from 1 to D; in the plane D = 2 | one number each |
# | $x^{(n)}$ | the n-th of N training points | (2,) |
# | $p_{data}(x)$ | the distribution that the data come from | a number ≥ 0 for each x |
# | $p_{model}(x)$ | the distribution that a model samples from | a number ≥ 0 for each x |
# | $x \sim p$, $\mathbb{E}_{x \sim p}[f(x)]$ | x is drawn from p; the mean of f(x) over such x | as x; one number |
# | KL(p ‖ q) | Kullback-Leibler divergence from p to q | one number ≥ 0 |
# | $\mathcal{N}(x;\, \mu, \Sigma)$ | density at x of the Gaussian with mean μ (2,) and covariance Σ (2, 2) | a number ≥ 0 |
# | $\pi_k, \mu_k, \Sigma_k$ | share, mean and covariance of component k of K in a mixture | one number, (2,), (2, 2) |
# | $r_{nk}$ | the responsibility: the probability that component k made point n | (N, K) |
# | h | width (standard deviation) of the kernels of a kernel density | one number |
# | α | pseudo-count of a histogram's bin | one number |

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: imports and data.
import math
import platform
import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from torch.distributions import MultivariateNormal

from gen_course.ch00_start_here import figures
from gen_course.ch00_start_here.explorers import KernelExplorer
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.tables import Claims, Table
from gen_lib.data import data_folder, load, load_toy
from gen_lib.data.toys import modes
from gen_lib.metrics import nearest
from gen_lib.training.hardware import machine

plots.use_style()
claims = Claims()
images = load("fashion_mnist")
toy = load_toy("eight_gaussians")
train = toy.sample(400, torch.Generator().manual_seed(1))
test = toy.sample(4_000, torch.Generator().manual_seed(2))
ceiling = toy.log_prob(test).mean().item()

# %% [markdown]
# ## The goal
#
# Suppose that pictures of garments arrive one after another, without end. Some pictures are frequent in this
# stream, some are rare, and most conceivable pictures never come. The **data distribution** (데이터 분포)
# **p_data(x)** says how probable each picture x is. Nobody can look it up: all you ever have is
# **training data** (훈련 데이터), a finite number of pictures from the stream.
#
# A model is a second distribution, **p_model(x)**, that you can compute with. It has numbers that can be
# adjusted: its parameters. There are two things to do:
#
# 1. learn a model distribution **p_model(x) that approximates p_data(x)**, and
# 2. **sample** (샘플링) new x from p_model(x).
#
# A model that you can sample from is a **generative model** (생성 모델). Why is this hard? A grey picture of
# 28 x 28 pixels can be any of $256^{784}$ pictures, and almost none of them looks like a garment. The first row
# shows training images of the data set Fashion-MNIST, the second ten pictures drawn with equal probability from all.

# %% [markdown] tags=["slide", "hour"]
# A generative model learns a distribution, then samples from it
#
# $$p_{model}(x) \approx p_{data}(x)$$
#
# learn it from training pictures
#
# $$x \sim p_{model}$$
#
# sample a new picture; from here on without a request: $p(x)$
#
# ? Nobody can look up p_data. What do you have instead?

# %% [markdown] tags=["slide", "hour"]
# Almost no picture of random pixels shows a garment
#
# {figure}
#
# ? How many grey pictures of 28 × 28 pixels are there?

# %% jupyter={"source_hidden": true}
# Plot: ten training images, and ten images of random pixels.
real = images.train.subset(10).x
noise = 2 * torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(0)) - 1
figure = plots.image_rows(
    {"from p_data": real, "random pixels": noise}, "Random pixels give no garment"
)
plots.show(
    figure,
    "Two rows of ten 28-pixel pictures: boots, shirts, dresses and sneakers above, grey noise without "
    "any structure below.",
)

# %% [markdown]
# In this course an image is a tensor of numbers in [-1, 1] (-1 is black, 1 is white), and a batch of B images
# has the shape (B, C, H, W): images, channels, height, width.

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
# | [08 Words to pictures](08_words_to_pictures.ipynb) | How does a sentence become a picture? |
# | [09 One token after another](09_one_token_after_another.ipynb) | How does a machine write? |

# %% [markdown] tags=["slide", "extra"]
# The course builds four families of models
#
# | Chapters | Family |
# |---|---|
# | 00, 09 | autoregressive models |
# | 01 to 03 | autoencoders |
# | 04, 05 | GANs |
# | 06 | diffusion models |
# | 07 | all families compared |
# | 08 | diffusion told in words |

# %% [markdown]
# ## Your machine
#
# The course needs no GPU and no network. Every chapter states the minutes that *Run All* took on one machine, the
# reference machine. This cell checks that the data are there, and trains a small network for ten seconds to compare one
# core with one of the reference machine. If yours is half as fast, expect about twice the minutes.

# %%
assert (len(images.train), len(images.test)) == (60_000, 10_000)
print(timing.stated("00_start_here"))
print(timing.compared(timing.calibrate(seconds=10)))
Table(
    {
        "Python": [platform.python_version()],
        "machine": [machine()],
        "data folder": ["found" if data_folder().is_dir() else "missing"],
        "images": [f"{len(images.train):,} for training, {len(images.test):,} for testing"],
    },
    ["found here"],
)

# %% [markdown]
# ## What generative AI does today
#
# The lecture that this course accompanies (ECE30008, *Generative Models*) opens with eleven applications, from text and
# speech to virtual try-on. They have one thing in common: for each request many different outputs would be right, and
# the program has to produce one of them. So nearly all of them draw x from a distribution p(x | request); the last
# example of the table optimises one scene instead.
#
# Four families of models stand behind them. Three are chapters of this course: autoencoders (01-03), GANs (04, 05)
# and diffusion (06, 08). The fourth, autoregressive models, you build in this chapter, and larger ones in chapter 09.
#
# <details><summary>The eleven applications, one by one (a table to come back to: later chapters explain its terms)</summary>
#
# The last column names the part of chapters 00-09 that comes closest; these chapters generate points, small images, letters and notes only.
#
# | Application (lecture's term) | What is generated | A family that serves it | One example | Closest in chapters 00-09 |
# |---|---|---|---|---|
# | AI search (AI 검색) | an answer, given a question and passages found for it | retriever + autoregressive transformer | RAG: Lewis et al. 2020, [2005.11401](https://arxiv.org/abs/2005.11401) | [Ask the course](09_one_token_after_another.ipynb#Ask-the-course): finds the section, writes no answer |
# | Summarisation (문서 요약) | a short text, given a long one | autoregressive transformer | PEGASUS: Zhang et al. 2019, [1912.08777](https://arxiv.org/abs/1912.08777); with instruction-tuned language models: [2301.13848](https://arxiv.org/abs/2301.13848) | [A summary without a writer](09_one_token_after_another.ipynb#A-summary-without-a-writer): chooses sentences, writes none |
# | Inpainting (이미지 인페인팅) | the missing pixels, given the others | diffusion | RePaint: Lugmayr et al. 2022, [2201.09865](https://arxiv.org/abs/2201.09865) | [Filling holes](06_diffusion.ipynb#Filling-holes) |
# | Text (텍스트 생성) | the next words, given those before | autoregressive transformer | GPT-3: Brown et al. 2020, [2005.14165](https://arxiv.org/abs/2005.14165) | [One token after another](09_one_token_after_another.ipynb#Train): names, Austen and Korean by small transformers |
# | Text to image (텍스트-이미지 생성) | an image, given a sentence | diffusion in an autoencoder's latent space | Stable Diffusion: Rombach et al. 2021, [2112.10752](https://arxiv.org/abs/2112.10752) | [Words to pictures](08_words_to_pictures.ipynb#Measure): people of 48 pixels, given a sentence |
# | Text to video (텍스트-비디오 생성) | a sequence of frames, given a sentence | diffusion in a video autoencoder's latent space | CogVideoX: Yang et al. 2024, [2408.06072](https://arxiv.org/abs/2408.06072) | [Diffusion](06_diffusion.ipynb): single images only |
# | Music (음악 생성) | codes of sound, given a text or a melody | autoencoder for sound + autoregressive transformer | MusicGen: Copet et al. 2023, [2306.05284](https://arxiv.org/abs/2306.05284) | [Music](09_one_token_after_another.ipynb#Music): the notes of tunes, by a transformer |
# | Speech (음성 생성) | codes of sound, given a text and three seconds of a voice | autoencoder for sound + autoregressive model | VALL-E: Wang et al. 2023, [2301.02111](https://arxiv.org/abs/2301.02111) | [codes](01_autoencoders.ipynb), and the [model below](00_start_here.ipynb#Build%3A-an-autoregressive-model-in-twenty-lines) |
# | Image style (이미지 스타일 변환) | the same scene in another style | GAN (CycleGAN), today also diffusion | CycleGAN: Zhu et al. 2017, [1703.10593](https://arxiv.org/abs/1703.10593); InstructPix2Pix: Brooks et al. 2022, [2211.09800](https://arxiv.org/abs/2211.09800) | [CycleGAN](05_cyclegan.ipynb): the same method |
# | Virtual try-on (가상 의류 착용) | a photograph of a person in a given garment | diffusion in a latent space | IDM-VTON: Choi et al. 2024, [2403.05139](https://arxiv.org/abs/2403.05139) | [Edit](08_words_to_pictures.ipynb#Edit): other clothes on a person of 48 pixels, given a sentence |
# | Other creative work (다양한 창작 작업) | for instance a 3-D object, given a sentence | a scene optimised under an image diffusion model | DreamFusion: Poole et al. 2022, [2209.14988](https://arxiv.org/abs/2209.14988) | [Diffusion](06_diffusion.ipynb): images only |
#
# </details>

# %% [markdown] tags=["slide", "hour"]
# Many outputs are right for one request; the program draws one
#
# $$x \sim p(x \mid \text{request})$$
#
# text · images · speech · music · video · try-on
#
# ? Which of these have you used this week?

# %% [markdown] tags=["slide", "hour"]
# Four families serve these applications
#
# | Family | Applications |
# |---|---|
# | autoregressive | answers, summaries, text, speech, music |
# | autoencoder | codes for speech, music, images |
# | GAN | image style |
# | diffusion | images, video, 3-D, filled holes, try-on |
#
# ? Which of these applications would you have given to another family?

# %% [markdown]
# ## Idea: four models of one distribution
#
# Three models follow here, the fourth in *Build*. This p_data of the plane consists of
# eight small Gaussians with equal shares and standard deviation 0.05, on a circle of radius 2. Because we made it, we know its
# exact density. In the code `toy` is p_data, `train` holds the 400 points that the models see, `test` 4,000 other points.

# %% [markdown] tags=["slide"]
# In the plane we can know p_data and see everything
#
# {figure}
#
# ? 400 points lie in eight clusters. What should a model do between the clusters?

# %% jupyter={"source_hidden": true}
# Plot: the training points, and the density that they come from.
plots.show(
    figures.points_and_density(train, toy),
    "Left: 400 points in eight tight clusters on a circle of radius 2. "
    "Right: the density, eight small bright spots at the same places.",
)

# %% [markdown] tags=["slide"]
# A good model gives high density to points it never saw
#
# $$\text{score} = \mathbb{E}_{x \sim \text{test}} \left[\log p_{model}(x)\right]$$
#
# in nats; higher is better; p_data itself reaches 1.09, the ceiling
#
# ? Why the logarithm?

# %% [markdown]
# ### The score
#
# A good model gives high density to points that p_data produces, also to those it has not been shown. The *score* of a
# model on some points is the mean of log p_model(x) over them; higher is better. We judge a model by its *held-out*
# score, that on test points, which it has not seen: the **held-out log-likelihood**. The unit is the **nat**, that of the
# natural logarithm: one nat more means e ≈ 2.7 times the density. Points
# of the plane have a density, not a probability; a density can be larger than 1, so its logarithm can be positive.
#
# Why the logarithm? The points are independent, so the probability density of all of them together is a product, and
# the logarithm turns it into a sum.
#
# How far is a model from p_data? Subtract the model's score from the score of p_data itself. On average over x from
# p_data this gap is the **Kullback-Leibler divergence**:
#
# $$KL(p_{data} \,\|\, p_{model}) = \mathbb{E}_{x \sim p_{data}}\left[\log p_{data}(x) - \log p_{model}(x)\right] \ge 0.$$
#
# It is never negative, and 0 only if the two are equal. So on average no model beats p_data: its own score is the
# *ceiling*, and the gap below it says how good a model is.
#
# <details><summary>Why is it never negative?</summary>
#
# For every t ≥ 0, log t ≤ t − 1 (log 0 is −∞), with equality only at t = 1. Take t = p_model(x) / p_data(x):
#
# $$-KL = \mathbb{E}_{x \sim p_{data}}[\log t] \le \mathbb{E}_{x \sim p_{data}}[t - 1] = \int p_{data}(x)\, \frac{p_{model}(x)}{p_{data}(x)}\, dx - 1 \le 1 - 1 = 0.$$
#
# The integral runs over the x with p_data(x) > 0, where p_model holds at most the probability 1. If KL = 0, then t = 1 at
# (almost) all of these x: the two are equal.
#
# </details>

# %% [markdown]
# **What fitting minimises.** We want a small KL. Its first term, the mean of log p_data(x), does not depend on the model.
# So KL is smallest where the mean of log p_model(x) is largest. We cannot average over all of p_data, only over the
# training points: **maximum likelihood** chooses the parameters that make the mean of log p_model(x) over the *training*
# points as large as possible.
#
# The ceiling is −log(2πe · 0.05²), the mean log density of one small Gaussian, minus log 8 for the eight equal shares. On
# each finite set of points p_data scores a little more or less: the set's own ceiling. Here are both, the second with its
# standard error:

# %% [markdown] tags=["slide", "steps"]
# On average no model beats p_data
#
# $$KL = \mathbb{E}_{x \sim p_{data}} \left[\log p_{data}(x) - \log p_{model}(x)\right]$$
#
# the gap to the ceiling
#
# $$-KL = \mathbb{E} \left[\log \frac{p_{model}(x)}{p_{data}(x)}\right] \le \mathbb{E} \left[\frac{p_{model}(x)}{p_{data}(x)} - 1\right]$$
#
# log t ≤ t − 1
#
# $$\mathbb{E} \left[\frac{p_{model}(x)}{p_{data}(x)} - 1\right] = \int p_{model}(x)\, dx - 1 \le 0$$
#
# p_data cancels
#
# ? For which model is the gap 0?

# %%
error = toy.log_prob(test).std().item() / len(test) ** 0.5
exact = -math.log(2 * math.pi * math.e * 0.05**2) - math.log(8)
assert abs(ceiling - exact) < 2 * error
rows = {"on average": [f"{exact:.2f}"], "on the test points": [f"{ceiling:.2f} ± {error:.2f}"]}
Table(rows, ["nats per point"], "score of p_data")

# %% [markdown] tags=["slide", "extra"]
# Maximum likelihood makes the KL small on training points
#
# $$\text{maximise} \quad \frac{1}{N} \sum_{n=1}^{N} \log p_{model}(x^{(n)})$$
#
# KL's other term does not depend on the model.

# %% [markdown]
# ### Model 1: a single Gaussian
#
# Its maximum-likelihood fit is the mean and the covariance of the data (divided by N, not by N − 1: `correction=0`).

# %%
gaussian = MultivariateNormal(train.mean(dim=0), train.T.cov(correction=0))
torch.manual_seed(0)
samples = {"Gaussian": gaussian.sample((1_000,))}  # collects 1,000 samples of each model
log_p = {"Gaussian": gaussian.log_prob}  # and of each model the function log p(x)

# %% [markdown] tags=["slide", "steps"]
# EM assigns points softly, then refits every component
#
# $$r_{nk} \propto \pi_k\, \mathcal{N}(x^{(n)};\, \mu_k, \Sigma_k)$$
#
# E: which component made point n?
#
# $$\mu_k = \frac{\sum_n r_{nk}\, x^{(n)}}{\sum_n r_{nk}}$$
#
# M: weighted means; covariances and shares likewise
#
# ? What would you do if you knew which component made each point?

# %% [markdown]
# ### Model 2: a mixture of Gaussians, fitted by EM
#
# A mixture adds K Gaussians, the components, each with a share $\pi_k$; the shares sum to 1:
#
# $$p(x) = \sum_{k=1}^{K} \pi_k\, \mathcal{N}(x;\, \mu_k, \Sigma_k).$$
#
# To sample, draw a component with the probabilities $\pi_k$, then draw a point from its Gaussian.
#
# How to fit it? If we knew which component made each point, we would take the mean and the covariance of each
# component's own points, as in model 1. If we knew the components, Bayes' rule would tell how probably each of them
# made a given point. We know neither. **Expectation-maximisation** (EM; Dempster, Laird & Rubin 1977) starts with any
# components and alternates two steps:
#
# 1. **E step: assign each point softly to the components.** Point n belongs to component k with the probability (the
#    *responsibility* of k) $r_{nk} = \pi_k\, \mathcal{N}(x^{(n)}; \mu_k, \Sigma_k) / \sum_j \pi_j\, \mathcal{N}(x^{(n)}; \mu_j, \Sigma_j)$.
# 2. **M step: re-estimate each component from its points.** Component k holds $N_k = \sum_n r_{nk}$ points. Its share
#    becomes $N_k / N$, and its mean and covariance become those of all points, weighted with $r_{nk}$.
#
# Each iteration raises the likelihood of the training points, or leaves it as it is.
#
# <details><summary>Why does the likelihood never fall?</summary>
#
# The logarithm is concave, so the log of a weighted mean is at least the weighted mean of the logs (Jensen's
# inequality). With weights $r_{nk}$ that sum to 1 over k:
#
# $$\log p(x^{(n)}) = \log \sum_k r_{nk} \frac{\pi_k\, \mathcal{N}(x^{(n)}; \mu_k, \Sigma_k)}{r_{nk}} \ge \sum_k r_{nk} \log \frac{\pi_k\, \mathcal{N}(x^{(n)}; \mu_k, \Sigma_k)}{r_{nk}}.$$
#
# With the E step's $r_{nk}$ the fraction is the same for all k, so both sides are equal. Summed over n, the right side is
#
# $$\sum_k N_k \log \pi_k + \sum_k \sum_n r_{nk} \log \mathcal{N}(x^{(n)}; \mu_k, \Sigma_k) - \sum_{n,k} r_{nk} \log r_{nk}.$$
#
# The M step keeps the last sum and maximises the others. The first is largest at $\pi_k = N_k / N$ (KL ≥ 0 once more).
# The second is, for each k, the log-likelihood of a Gaussian for which point n counts $r_{nk}$ times; the weighted mean
# and covariance maximise it. The left side is at least as large, so it cannot have fallen (but for a trace: the code adds
# 1e-6 to the variances).
#
# </details>


# %%
def log_joint(x, share, mean, cov):
    """log(share_k N(x; mean_k, cov_k)) for every point x and component k: (n, K)."""
    return share.log() + MultivariateNormal(mean, cov).log_prob(x[:, None])


def em_step(x, share, mean, cov):
    """One iteration: the new shares (K,), means (K, 2) and covariances (K, 2, 2)."""
    r = log_joint(x, share, mean, cov).softmax(dim=1)  # E: softmax of log a_k is a_k / Σ_j a_j
    count = r.sum(dim=0)  # M: r is (n, K); how many points each component holds, (K,)
    mean = r.T @ x / count[:, None]  # weighted means
    off = x[:, None] - mean  # (n, K, 2)
    cov = torch.einsum("nk,nki,nkj->kij", r, off, off)  # weighted sums over n of off times off^T
    cov = cov / count[:, None, None]
    return count / len(x), mean, cov + 1e-6 * torch.eye(2)  # the 1e-6 keeps it invertible


# %% [markdown]
# EM climbs to some peak of the likelihood near its start, which need not be the highest one. Here are two starts: eight
# training points, each chosen as far as possible from those before, and eight drawn at random. All
# components begin with the same share and as circles of standard deviation 1. The figure draws a component as an ellipse
# of *two* standard deviations.


# %%
def spread_out(x, k):
    """k points of x, each one the farthest from those chosen before: (k, 2)."""
    chosen = x[:1]
    while len(chosen) < k:
        chosen = torch.cat([chosen, x[torch.cdist(x, chosen).amin(dim=1).argmax()][None]])
    return chosen


at_random = train[torch.randperm(400, generator=torch.Generator().manual_seed(3))[:8]]
runs = {}
for name, start in {"spread-out start": spread_out(train, 8), "random start": at_random}.items():
    runs[name] = [(torch.full((8,), 1 / 8), start, torch.eye(2).repeat(8, 1, 1))]
    for _ in range(100):
        runs[name].append(em_step(train, *runs[name][-1]))

# %% [markdown] tags=["slide"]
# EM climbs, but from a bad start to a lower peak
#
# {film em}
#
# ? Two components share a cluster on the right. What would you try?

# %% jupyter={"source_hidden": true}
# Plot: the components after 0, 1, 10, 50 and 100 iterations of EM, for both starts.
on_the_way = {
    name: [log_joint(train, *step).logsumexp(dim=1).mean().item() for step in run]
    for name, run in runs.items()
}
figure = figures.em_iterations(train, runs, on_the_way, (0, 1, 10, 50, 100))
plots.title(
    figure, "EM moves the components to the clusters; from a bad start it ends at a lower peak"
)
good, stuck = (on_the_way[name][-1] for name in runs)
plots.show(
    figure,
    "Two rows of five panels: 400 points in eight clusters, and eight ellipses of two standard deviations; from iteration "
    "10 with one cluster enlarged. Above, the ellipses start as large circles, shrink from iteration to iteration and sit on "
    f"one cluster each after 10, with {good:.2f} nats per training point. Below, from a random start, one long ellipse still covers two clusters after 100 "
    f"iterations, while two, drawn in black, share another cluster: {stuck:.2f} nats.",
)

# %% [markdown]
# The number above each panel is the mean log-likelihood per training point. Black ellipses are components that nearly
# coincide in that panel; the label counts them. The large square enlarges the small one. In the lower row three begin
# together. One of them leaves, the
# other two stay on the same cluster, and another component has to cover two clusters. From iteration 50 to 100 nearly nothing
# changes: EM is stuck. The remedy is to try several starts and keep the one with the best *training* score
# (the start belongs to fitting; the held-out points are kept for scoring).

# %% jupyter={"source_hidden": true}
# Check: the likelihood never falls; scikit-learn's EM gives the same numbers from the same start.
for run in on_the_way.values():
    assert all(later > earlier - 1e-3 for earlier, later in pairwise(run))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns that ten iterations may be too few
    same_start = GaussianMixture(
        8,
        weights_init=[1 / 8] * 8,
        means_init=spread_out(train, 8).numpy(),
        precisions_init=torch.eye(2).repeat(8, 1, 1).numpy(),
        reg_covar=1e-6,
        max_iter=10,
        tol=0.0,
    ).fit(train.numpy())
ours = runs["spread-out start"][10]
for own, theirs in zip(
    ours, (same_start.weights_, same_start.means_, same_start.covariances_), strict=True
):
    assert torch.allclose(own, torch.tensor(theirs, dtype=torch.float32), atol=1e-4)
best_of_five = GaussianMixture(8, n_init=5, random_state=0).fit(train)
assert abs(best_of_five.score(train) - good) < 0.01
assert good - stuck > 0.1
assert on_the_way["random start"][100] - on_the_way["random start"][50] < 0.01
found = log_joint(test, *runs["spread-out start"][-1]).logsumexp(dim=1).mean().item()
single = gaussian.log_prob(test).mean().item()
assert single < found <= ceiling
claims.add(
    "Goal 1: learn a p_model(x) that approximates p_data(x)",
    f"nats per held-out point: a mixture of eight Gaussians {found:.2f}, a single Gaussian {single:.2f}, p_data itself "
    f"{ceiling:.2f}",
)

# %%
mixture = runs["spread-out start"][-1]
share, mean, cov = mixture
torch.manual_seed(0)
component = share.multinomial(1_000, replacement=True)  # first a component, then a point of it
samples["mixture"] = MultivariateNormal(mean[component], cov[component]).sample()
log_p["mixture"] = lambda x: log_joint(x, *mixture).logsumexp(dim=1)  # the log of the sum over k

# %% [markdown] tags=["slide", "extra"]
# A kernel density puts a small Gaussian on every point
#
# $$p(x) = \frac{1}{N} \sum_{n=1}^{N} \mathcal{N}(x;\, x^{(n)}, h^2 I)$$
#
# To sample: take a training point, add noise of width h.

# %% [markdown]
# ### Model 3: a kernel density
#
# It puts a small round Gaussian of width h, the kernel, on every training point (Rosenblatt 1956, Parzen 1962), and
# takes the average of all N:
#
# $$p(x) = \frac{1}{N} \sum_{n=1}^{N} \frac{1}{(2 \pi h^2)^{D/2}} \exp\left(-\frac{\lVert x - x^{(n)} \rVert^2}{2 h^2}\right).$$
#
# To sample, take a training point at random and add Gaussian noise of standard deviation h. Nothing is fitted: h is the
# only choice (scikit-learn calls it `bandwidth`). 0.1 is a guess; *Explore* and *Break it* look for a better one.

# %%
kernel = KernelDensity(bandwidth=0.1).fit(train)
samples["kernel density"] = torch.tensor(kernel.sample(1_000, random_state=0), dtype=torch.float32)
log_p["kernel density"] = lambda x: torch.tensor(kernel.score_samples(x))

# %% [markdown]
# ## Build: an autoregressive model in twenty lines
#
# **Model 4** generates one coordinate at a time. Language models generate text this way, token after token
# (GPT-2: Radford et al. 2019, eq. 1), and WaveNet generated speech this way, amplitude after amplitude
# (van den Oord et al. 2016, [1609.03499](https://arxiv.org/abs/1609.03499)).
#
# ### Why every distribution can be written this way
#
# Begin with ten days. It rained on 4 of them, and on 3 of these 4 you carried an umbrella. The share of days with
# rain and umbrella is 3/10, and it is also 4/10 · 3/4: the share of rainy days, times the share of *these* with an
# umbrella. The 4 cancels, whatever the numbers are.
#
# For two coordinates the same sentence reads
#
# $$p(x_1, x_2) = p(x_1)\; p(x_2 \mid x_1).$$
#
# This assumes nothing: $p(x_2 \mid x_1)$ is *defined* as $p(x_1, x_2) / p(x_1)$, and $p(x_1)$ cancels. For a third
# coordinate, take $(x_1, x_2)$ together as what is given, and multiply by $p(x_3 \mid x_1, x_2)$. Going on like this
# gives the **chain rule** for D coordinates:
#
# $$p(x) = p(x_1)\; p(x_2 \mid x_1) \cdots p(x_D \mid x_1, \dots, x_{D-1}).$$
#
# What a model has to *learn* are the factors. With two
# coordinates, a histogram does for each: one for $x_1$, and for every bin of $x_1$ one for $x_2$. The picture has 24 bins,
# so that you can see single bars; the program below has 60.

# %% [markdown] tags=["slide", "steps"]
# Every distribution can be generated one coordinate at a time
#
# $$\frac{3}{10} = \frac{4}{10} \cdot \frac{3}{4}$$
#
# rain, then umbrella given rain
#
# $$p(x_1, x_2) = p(x_1)\; p(x_2 \mid x_1)$$
#
# conditional probability, by definition
#
# $$p(x) = p(x_1) \cdots p(x_D \mid x_1, \dots, x_{D-1})$$
#
# the same step, again and again
#
# ? What has been assumed so far?

# %% [markdown] tags=["slide"]
# Two histograms hold the two factors
#
# {figure}
#
# ? Why does the right histogram have two peaks?

# %% jupyter={"source_hidden": true}
# Plot: the two factors as histograms of 24 bins.
plots.show(
    figures.chain_rule(train, bins=24, place=1.4),
    "Left: the 400 points with one narrow vertical strip marked, which runs through two clusters. Middle: the "
    "histogram of x₁ with the strip's bar marked. Right: the histogram of x₂ within the strip, with one peak for each "
    "of its two clusters.",
)

# %% [markdown] tags=["slide"]
# Sampling draws $x_1$ first, then $x_2$ given $x_1$
#
# {film in_turn}
#
# ? Language models generate text this way. What is a coordinate there?

# %% [markdown]
# To sample: draw a bin of $x_1$ from the histogram in the middle, then a bin of $x_2$ from the histogram that belongs to
# it (right), then a point anywhere inside this little square. The density of a point is the probability of its
# square, divided by the area of the square.
#
# In two dimensions the product of both factors is simply the share of the points in that square: the model *is* the
# ordinary two-dimensional histogram. Writing it as factors pays when D is large. A joint table with b bins per coordinate
# has $b^D$ entries; each factor only chooses among b values, and a neural network can compute it from the coordinates
# before.
#
# Training is counting: of all histograms with these bins, the one with the observed shares has the highest likelihood. (It
# is KL ≥ 0 again, between the observed shares and any others.) One thing needs care. A bin without training points would
# get density 0; a single test point in it would make
# the score log 0 = −∞. So every count starts at a small number α instead of 0, the **pseudo-count**. With α = 0.001, the
# 3,600 bins add 3.6 points to the 400. Outside [−3, 3] the
# density stays 0; no training or test point lies there.
#
# ### The complete program
#
# From the data to samples, score and picture. The model is the class; the rest uses it. It repeats imports and data, so
# that it runs alone.


# %% [markdown] tags=["slide", "steps"]
# Five lines draw data, fit, sample and score
#
# ```python
# seen = p_data.sample(400, torch.Generator().manual_seed(1))
# unseen = p_data.sample(4_000, torch.Generator().manual_seed(2))
#
# histogram = AutoregressiveHistogram(seen)
#
# from_bins = histogram.sample(1_000)
#
# held_out_mean = histogram.log_prob(unseen).mean()
# ```
#
# ? Why is the score not taken on the points that were counted?

# %% tags=["program"]
import matplotlib.pyplot as plt
import torch

from gen_course.common import plots
from gen_lib.data import load_toy


class AutoregressiveHistogram:
    """p(x_1) p(x_2 | x_1) as histograms over [-3, 3]; every bin has the pseudo-count alpha."""

    def __init__(self, x, bins=60, alpha=0.001):
        self.bins, self.width = bins, 6 / bins
        counts = torch.full((bins, bins), alpha)  # (bin of x_1, bin of x_2)
        counts.index_put_(self.bin(x), torch.ones(len(x)), accumulate=True)  # count the points
        self.p1 = counts.sum(dim=1) / counts.sum()  # p(x_1): (bins,)
        self.p2 = counts / counts.sum(dim=1, keepdim=True)  # p(x_2 | x_1): a row per bin of x_1

    def bin(self, x):
        return tuple(((x + 3) / self.width).long().clamp(0, self.bins - 1).T)  # (n,), (n,)

    def log_prob(self, x):
        row, column = self.bin(x)
        density = self.p1[row] * self.p2[row, column] / self.width**2
        return torch.where((x.abs() <= 3).all(dim=1), density, 0.0).log()

    def sample(self, n):
        row = self.p1.multinomial(n, replacement=True)  # first x_1 ...
        column = self.p2[row].multinomial(1)[:, 0]  # ... then x_2 given x_1
        corner = torch.stack([row, column], dim=1) * self.width - 3  # (n, 2)
        return corner + self.width * torch.rand(n, 2)


p_data = load_toy("eight_gaussians")  # the same points as in toy, train and test
seen = p_data.sample(400, torch.Generator().manual_seed(1))
unseen = p_data.sample(4_000, torch.Generator().manual_seed(2))
histogram = AutoregressiveHistogram(seen)
torch.manual_seed(0)
from_bins = histogram.sample(1_000)
held_out_mean = histogram.log_prob(unseen).mean()

figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.4))
plots.points(axes[0], seen)
plots.points(axes[1], from_bins, plots.MODEL)
axes[0].set(title="400 training points", xlabel="x₁", ylabel="x₂")
axes[1].set(title=f"1,000 samples, held out: {held_out_mean:.2f}", xlabel="x₁")
plots.show(
    figure, "Left: the training points in eight clusters. Right: samples in the same places."
)

# %% jupyter={"source_hidden": true}
# Check: it is a distribution, counting maximises its likelihood, and pseudo-counts are needed.
assert torch.allclose(histogram.p2.sum(dim=1), torch.ones(60))
i = torch.arange(60)
middle_of_bins = (torch.cartesian_prod(i, i) + 0.5) * histogram.width - 3
integral = histogram.log_prob(middle_of_bins).exp().sum() * histogram.width**2
assert torch.isclose(integral, torch.tensor(1.0), atol=1e-4)
counted, rng = AutoregressiveHistogram(seen, alpha=0.0), torch.Generator().manual_seed(0)
assert not counted.log_prob(unseen).mean().isfinite()
assert max(seen.abs().max(), unseen.abs().max()) < 3
for _ in range(20):  # other shares p(x_1) of the same bins lower the training log-likelihood
    other = counted.p1 * (1 + 0.3 * torch.rand(60, generator=rng))
    change = (other / other.sum()).log() - counted.p1.log()
    assert change[counted.bin(seen)[0]].mean() < 0
strays = int((torch.cdist(from_bins, p_data.means).amin(dim=1) > 0.5).sum())
claims.add(
    "Goal 2: sample new x from p_model(x)",
    f"a histogram draws x₁, then x₂ given x₁: {1_000 - strays} of 1,000 samples lie within 0.5 of a cluster's centre",
)

# %%
samples["autoregressive"] = from_bins
log_p["autoregressive"] = histogram.log_prob

# %% [markdown]
# ## Look: what each model samples
#
# **Predict:** the clusters have the standard deviation 0.05. Which model will send most of its samples far away from all
# clusters, and which will make every cluster too wide? Why?
#
# The figure below is folded, so that you can predict first. To see it, run its cell with Shift+Enter, or click twice:
# first the bar at its left (code), then the dots (picture). The darkest colour means −10 nats or less; points outside the
# square are not drawn.
#
# <details><summary>Answer</summary>
#
# **Far away: the single Gaussian.** It can only be one blob, and it has to give density to all eight clusters, so its
# samples fall into the empty middle, between the clusters and outside the ring.
#
# **Too wide: the kernel density.** A sample is a training point plus noise of width 0.1. Variances add up, so its clusters have
# the standard deviation $\sqrt{0.05^2 + 0.1^2} \approx 0.11$, more than twice that of the data.
#
# The mixture does neither. The histogram does a little of both. The pseudo-count sends about one sample in a hundred
# anywhere on the square. And a sample lies anywhere in its bin of side 0.1, which widens the clusters to about
# $\sqrt{0.05^2 + 0.1^2 / 6} \approx 0.065$.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# Which model strays far away from all clusters?
#
# Gaussian · mixture · kernel density · histogram
#
# And which makes every cluster too wide?
#
# ? The clusters have the standard deviation 0.05, the kernels 0.1. Decide before you see it.

# %% [markdown] tags=["slide"]
# The Gaussian strays; the kernel density is too wide
#
# {figure}
#
# ? Why can the Gaussian not leave the middle empty?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: log p(x) of each model and of p_data, and 1,000 samples of each.
figure = figures.densities_and_samples(
    log_p | {"p_data": toy.log_prob},
    samples | {"p_data": toy.sample(1_000, torch.Generator().manual_seed(3))},
)
plots.title(figure, "One Gaussian cannot make eight clusters; the other three models can")
plots.show(
    figure,
    "Five columns, the map of log density above and samples below. The single Gaussian is one broad blob over the "
    "whole ring; the mixture shows eight spots like those of p_data in the last column; the kernel density eight wider "
    "spots; the autoregressive histogram eight blocky spots, a low density everywhere else, and a few stray samples.",
)

# %% [markdown] tags=["slide", "extra"]
# Variances add: kernels double the width of a cluster
#
# $$\sqrt{0.05^2 + 0.1^2} \approx 0.11$$
#
# a training point's spread, plus the kernel's noise

# %% jupyter={"source_hidden": true}
# Check: how many samples lie near a cluster, and how wide each model makes the clusters.
near = {name: modes(x, toy).near for name, x in samples.items()}
assert near["Gaussian"] < 0.1 < 0.9 < near["mixture"]
far_away = torch.cdist(samples["autoregressive"], toy.means).amin(dim=1) > 0.5
assert 0 < far_away.float().mean() < 0.03
in_clusters = torch.cdist(samples["autoregressive"][~far_away], toy.means).amin(dim=1)
assert 0.06 < in_clusters.square().mean().div(2).sqrt() < 0.07
spread = {
    name: torch.cdist(x, toy.means).amin(dim=1).square().mean().div(2).sqrt()
    for name, x in (samples | {"p_data": test}).items()
}
assert spread["kernel density"] > 2 * spread["p_data"]
assert spread["mixture"] < 1.2 * spread["p_data"]

# %% [markdown]
# ## Explore: the width of the kernels
#
# Here are three widths h for the same 400 points. The lower row enlarges the marked square.

# %% [markdown] tags=["slide"]
# The width of the kernels decides what lies between points
#
# {figure}
#
# ? Which of the three would you choose, and by which number?

# %% jupyter={"source_hidden": true}
# Plot: kernel densities of three widths, as maps of log p.
fitted = {h: KernelDensity(bandwidth=h, leaf_size=1_000).fit(train) for h in (0.01, 0.1, 0.5)}
figure = figures.kernel_widths(
    train,
    {h: lambda x, model=model: torch.tensor(model.score_samples(x)) for h, model in fitted.items()},
    corner=(1.7, -0.3),
)
plots.title(figure, "Narrow kernels keep to the training points; wide ones spread far beyond them")
plots.show(
    figure,
    "Maps of log density for widths 0.01, 0.1 and 0.5, each for the whole plane and for one cluster. Width 0.01: the "
    "small discs of neighbouring points merge into one lumpy bright patch, with darkness around it. Width 0.1: one wide disc "
    "around the cluster. Width 0.5: eight broad lobes run into one another, around a dark centre.",
)

# %% [markdown] tags=["slide", "predict", "extra"]
# Do fewer training points need wider or narrower kernels?
#
# 50 points in place of 400

# %% [markdown]
# **Predict:** call the width with the best held-out score the best one. With 50 training points in place of 400, is it larger
# or smaller, and why?
#
# <details><summary>Answer</summary>
#
# Larger. With fewer points the gaps between neighbours are wider, and the kernels have to bridge them. The table gives
# the best of the widths 0.020, 0.022, ..., 0.080. It changes slowly: eight times as many points make it smaller by only a third.
#
# </details>

# %% [markdown] tags=["slide", "extra"]
# Wider: kernels have to bridge larger gaps
#
# {table}

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table: the best width for 50, 100, 200 and 400 training points.
best_widths = {}
squared = torch.cdist(test, train, compute_mode="donot_use_mm_for_euclid_dist") ** 2
for n in (50, 100, 200, 400):
    by_width = {
        h: (-squared[:, :n] / (2 * h**2)).logsumexp(dim=1).mean() - math.log(n * 2 * math.pi * h**2)
        for h in [number / 1_000 for number in range(20, 82, 2)]
    }
    best_widths[n] = max(by_width, key=by_width.get)
assert best_widths[50] > best_widths[400] > best_widths[50] / 2
Table({f"{n}": [f"{h:.3f}"] for n, h in best_widths.items()}, ["best width"], "training points")

# %% [markdown] tags=["slide"]
# One cluster without training points ruins the held-out score
#
# {film missing_cluster}
#
# ? Width 0.5 repairs the score. Is it a good model?

# %% [markdown]
# The menu *p_data* offers two other distributions. The explorer scores the model
# on the training points and on the first 1,000 held-out points, point by point. (There p_data scores 1.13; on all
# 4,000 it was 1.09.) The training points are new for every draw; the held-out ones stay.
#
# 1. Set *p_data* to *checkerboard*. Which width has the best held-out score for 400 points, and why is it so much
#    larger than the best width in the table (open it)? Which width does the *training* score recommend?
# 2. Go back to *eight Gaussians*. Take 25 points and width 0.05, and go from draw 1 to draw 2. What has happened to the
#    held-out score, and where on the map is the cause?
# 3. Which width is best now, and would you call it a good model?
#
# <details><summary>Answers</summary>
#
# 1. 0.1. The same 400 points now fill eight squares of side 1, so their neighbours are farther apart. The training score
#    recommends the narrowest kernels there are.
# 2. It falls from 0.6 to about −60 nats. One of the eight clusters, the one at the top, has no training point in draw 2.
#    The held-out points there lie more than twenty widths from the nearest kernel, and they pull the mean down: most
#    other points still score about as well as before.
# 3. Of the widths on the slider, 0.5: kernels wide enough to reach the missing cluster. It is not a good model. It has blurred
#    everything to insure itself against points in one place. A mean of logarithms punishes a model very hard for what it
#    declares impossible.
#
# </details>

# %% tags=["widget"]
KernelExplorer()

# %% [markdown]
# ## Measure: held-out log-likelihood
#
# **Predict:** the mixture has as many components as the truth has clusters, and its training score was 1.05. On the same
# points p_data itself scores only 0.99. How can a model be ahead of p_data, and who will be ahead on the held-out points?
#
# <details><summary>Answer</summary>
#
# On held-out points p_data is ahead again: the mixture comes close and does not reach it. Its family contains p_data, but
# it has to estimate eight shares, means and covariances from 400 points, and each estimate is a little off.
#
# On the *training* points the mixture is ahead because it has adapted itself to these very points; p_data has not.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# On training points the mixture beats p_data: how?
#
# mixture 1.05, p_data 0.99 nats
#
# Who is ahead on held-out points?

# %% [markdown] tags=["slide"]
# On held-out points p_data is ahead of all models
#
# | Nats per point | training | held-out |
# |---|---|---|
# | p_data | 0.99 | 1.09 |
# | mixture | 1.05 | 1.01 |
# | histogram | 0.81 | 0.50 |
# | kernel density | 0.25 | 0.24 |
# | Gaussian | −3.53 | −3.54 |
#
# ? Which column would you publish?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table: the mean log-likelihood of each model and of p_data, on training and on held-out points.
on_train = {name: f(train).mean().item() for name, f in log_p.items()}
held_out = {name: f(test).mean().item() for name, f in log_p.items()}
rows = {}
for name, f in log_p.items():
    gap = toy.log_prob(test) - f(test)  # point by point
    kl = f"{gap.mean():.2f} ± {gap.std() / len(test) ** 0.5:.2f}"
    rows[name] = [f"{on_train[name]:.2f}", f"{held_out[name]:.2f}", kl]
rows["p_data"] = [f"{toy.log_prob(train).mean():.2f}", f"{ceiling:.2f}", "0.00"]
Table(rows, ["training points", "held-out points", "below p_data: KL"], "nats per point")

# %% jupyter={"source_hidden": true}
# Check: the order of the models and of p_data, on training and on held-out points.
assert max(held_out.values()) <= ceiling, "On average no model beats p_data on held-out points."
assert max(held_out, key=held_out.get) == "mixture"
assert on_train["mixture"] > toy.log_prob(train).mean()

# %% [markdown]
# Open the table first. Its last column estimates KL(p_data ‖ p_model), before rounding, ± the standard error of the mean
# difference. The mixture is 0.07 nats below p_data: it gives a
# held-out point on (geometric) average $e^{-0.07}$, that is 93 %, of the density that p_data gives it. The autoregressive
# histogram falls from 0.81 on the training points to 0.50; *Break it* shows why.
#
# That p_data scores only 0.99 on the training points is chance: a mean over 400 points has a standard error of about 0.05.

# %% [markdown]
# ## Break it: memorise the training data
#
# **Predict:** halve the width of very narrow kernels. By how many nats does the training score change, and what happens to
# the held-out score?
#
# <details><summary>Answer</summary>
#
# Each training point sits in the middle of its own kernel, which gives it the density $1 / (2 \pi N h^2)$, its height; the
# other kernels do not reach it. Half the width is four times the density: the training score gains log 4 ≈ 1.39 nats with
# every halving,
# without limit.
#
# A held-out point gains the same height, but loses about $\text{distance}^2 / (2 h^2)$ nats against it (distance to the
# nearest centre). With every halving this loss is about four times as large: between the kernels there is almost no density
# left for a new point.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# Halve the width of very narrow kernels: what happens?
#
# to the training score
#
# to the held-out score
#
# ? How dense is a kernel at its own centre, and how dense after halving its width?

# %% [markdown] tags=["slide"]
# Training gains 1.39 nats a halving; the held-out score collapses
#
# {film narrower}
#
# ? Where is the gap between both scores the alarm?

# %%
widths = [0.001 * 2 ** (k / 2) for k in range(21)]  # every second one is twice as wide
scores = {"train": [], "held out": []}
for h in widths:  # leaf_size=1_000: scikit-learn otherwise approximates far kernels
    model = KernelDensity(bandwidth=h, leaf_size=1_000).fit(train)
    scores["train"].append(model.score(train) / len(train))  # scikit-learn gives the sum here
    scores["held out"].append(model.score(test) / len(test))

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: the score on training and on held-out points against the width of the kernels.
figure = figures.score_against_width(widths, scores, ceiling)
plots.title(figure, "Narrow kernels win on the training points and lose on all others")
plots.show(
    figure,
    "Log-likelihood against kernel width. On training points it rises steadily as kernels get narrower, far above the "
    "dashed line of p_data; on held-out points it peaks at a middle width below that line and falls off a cliff to the "
    "left.",
)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table: the scores of four narrow kernels, each twice as wide as the one before.
rows = {}
for k in (0, 2, 4, 6):
    height = -math.log(2 * math.pi * len(train) * widths[k] ** 2)
    seen_score, unseen_score = scores["train"][k], scores["held out"][k]
    rows[f"{widths[k]:g}"] = [f"{seen_score:.2f}", f"{unseen_score:.2f}"]
    rows[f"{widths[k]:g}"] += [f"{height:.2f}", f"{height - unseen_score:.1f}"]
Table(rows, ["training points", "held-out points", "height", "loss = height − held-out"], "width")

# %% [markdown] tags=["slide"]
# At width 0.001 samples sit on the training points
#
# {table}
#
# ? The samples look perfect. How do you notice that they are copies?

# %% [markdown]
# Open the figure and the table first. The training score gains nearly 1.39 nats with each halving once the kernels hardly
# touch one another. The held-out score is the height, the log density of a lone kernel at its centre, minus the loss by
# distance. The height gains 1.39 as well, but the loss grows about fourfold and soon outweighs it.
#
# On the training points the score rises past that of p_data itself. A little of that is normal: the mixture does it too.
# The alarm is the **gap** between training and held-out score, which grows without bound here.
# This is **overfitting**: the model fits the training points at the cost of all others. It needs *freedom*: how finely the
# density can vary, which is 1/h for kernels, K for a mixture, the number of bins for a histogram.
#
# **Symptom** in numbers: how far is a sample from the nearest training point? Compare with fresh points from p_data.

# %%
best_width = widths[scores["held out"].index(max(scores["held out"]))]
distances = {"fresh points from p_data": nearest(test[:1_000], train).distance.median().item()}
for h in (widths[0], best_width):
    x = KernelDensity(bandwidth=h).fit(train).sample(1_000, random_state=0)
    x = torch.tensor(x, dtype=torch.float32)
    distances[f"samples, width {h:.3f}"] = nearest(x, train).distance.median().item()
reached = [ceiling, scores["held out"][0], max(scores["held out"])]  # by p_data and both models
both = zip(distances.items(), reached, strict=True)
rows = {name: [f"{far:.4f}", f"{nats:.2f}"] for (name, far), nats in both}
Table(rows, ["median distance", "held-out score of the source"])

# %% jupyter={"source_hidden": true}
# Check: the scores and the samples of the narrowest kernels, and of those with the best width.
fresh, copied, chosen = distances.values()
assert scores["train"][0] - scores["held out"][0] > 100
others = [log_p[name](test).mean() for name in ("autoregressive", "kernel density")]
assert max(scores["held out"]) > others[0] > others[1]
assert copied < 0.2 * fresh < chosen
assert math.isclose(scores["train"][0] - scores["train"][2], math.log(4), abs_tol=0.1)
assert 3 < scores["held out"][0] / scores["held out"][2] < 6
away = torch.cdist(test.double(), train.double(), compute_mode="donot_use_mm_for_euclid_dist") ** 2
formula = (-away / (2 * widths[0] ** 2)).logsumexp(dim=1).mean().item()
formula -= math.log(len(train) * 2 * math.pi * widths[0] ** 2)
assert math.isclose(scores["held out"][0], formula, rel_tol=1e-6)
claims.add(
    "Given training data, a model generates new samples from the same distribution",
    f"the width must be chosen on held-out points: then samples are as far from the training points ({chosen:.4f}) as "
    f"fresh data ({fresh:.4f}); the width with the best training score only copies ({copied:.4f})",
    "holds with a condition",
)
claims.add(
    "The better the score on the training points, the better the model",
    f"width 0.001: {scores['train'][0]:.1f} nats on the training points, {scores['held out'][0]:.0f} on held-out "
    f"ones; width {best_width:.3f}: {scores['train'][widths.index(best_width)]:.2f} and {max(scores['held out']):.2f}",
    "contradicted",
)

# %% [markdown] tags=["slide"]
# Held-out points choose how free a model may be
#
# {figure}
#
# ? Why does the training curve never turn down?

# %% [markdown]
# **Cause:** with enough freedom the density is high at the training points only, and samples are copies of them.
#
# **Repair:** choose the freedom by held-out data. With the best width of these, 0.032 (the finer grid of *Explore* gave
# 0.030), the kernel density scores 0.96. At the guessed width 0.1 it was 0.24, below the histogram's 0.50.
#
# One caution: a score that was chosen as the best of many on some points is a little too good on *these* points. Real
# work splits the data in three: training points to fit, **validation points** to choose, test points for the
# final figure.
#
# ### Every model has such a knob
#
# For the mixture it is the number of components, for the histogram the number of bins. The next cell tries both. It
# fits the mixtures with scikit-learn's EM, which is faster, from the one start that it finds itself.

# %%
components = [*range(1, 21), 24, 32, 48, 64, 96, 128]
fits = [GaussianMixture(k, random_state=0).fit(train) for k in components]
mixtures = [f.score(train) for f in fits], [f.score(test) for f in fits]  # here it gives the mean
bins = list(range(4, 401))
tables = [AutoregressiveHistogram(train, b) for b in bins]
histograms = tuple([t.log_prob(x).mean().item() for t in tables] for x in (train, test))

# %% jupyter={"source_hidden": true}
# Plot: scores against the number of components and against the number of bins.
best_bins = bins[histograms[1].index(max(histograms[1]))]
figure = figures.score_against_freedom(
    {
        "components of the mixture": (components, *mixtures),
        "bins of the histogram, per side": (bins, *histograms),
    },
    ceiling,
    enlarged=(24, 110),
    marked=(30, 33),
)
plots.show(
    figure,
    "Log-likelihood against a model's freedom, for the mixture and for the histogram. The training curves rise on the "
    "whole; the held-out curves rise, peak and fall. The third panel enlarges the histogram's held-out curve, 24 to 110 bins: "
    f"it goes up and down from one number of bins to the next, and is highest at {best_bins}.",
)

# %% [markdown]
# The histogram's curve is jagged, because the score depends on how the edges of the bins cut the eight clusters. With 30
# bins, edges run through 0, ±1.4 and ±2 and cut every cluster into four; with 33 bins no edge runs through the middle of a
# cluster. The best of all, 62, scores 0.645. It is partly luck: three other draws of training points from the same p_data
# prefer other numbers near it.

# %% jupyter={"source_hidden": true}
# Check: the range of the search, and the best number of bins for other draws of training points.
rows = {}
for seed in (1, 11, 12, 13):  # seed 1 gives the points of this chapter
    points = toy.sample(400, torch.Generator().manual_seed(seed))
    by_bins = {b: AutoregressiveHistogram(points, b).log_prob(test).mean().item() for b in bins}
    best = max(by_bins, key=by_bins.get)
    rows[f"draw {seed}"] = [best, f"{by_bins[best]:.3f}", f"{by_bins[60]:.3f}"]
    assert by_bins[33] > by_bins[30] + 0.4
assert bins == list(range(4, 401))
assert 4 < best_bins < 400  # neither end of the search is the best
assert max(histograms[1]) > log_p["autoregressive"](test).mean()  # not even the 60 bins of Build
assert mixtures[1].index(max(mixtures[1])) < len(components) - 1
assert rows["draw 1"][0] == best_bins
assert len({row[0] for row in rows.values()}) > 1
assert all(45 < row[0] < 90 for row in rows.values())
assert max(histograms[1]) < max(mixtures[1]) <= ceiling
rows = {"this chapter's": rows.pop("draw 1"), **rows}
Table(rows, ["best number of bins", "its held-out score", "with 60 bins"], "training points")

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("00_start_here")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All five are
# [solved](solutions/00_start_here.ipynb).

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: the checks of the exercises.
from gen_course.ch00_start_here.checks import (
    check_better_histogram,
    check_choose_width,
    check_held_out_score,
    check_kl_divergence,
    check_sample_chain,
)

# %% [markdown]
# **1. The score by hand** (10 minutes). Fit one Gaussian to `train` (N, D) by maximum likelihood and
# return the mean of log p_model(x) over `test` (M, D), without `torch.distributions`:
#
# $$\log p(x) = -\tfrac{1}{2} (x - \mu)^T \Sigma^{-1} (x - \mu) - \tfrac{1}{2} \log\det\Sigma - \tfrac{D}{2} \log 2\pi.$$
#
# For this chapter's `train` and `test` you must find the held-out score of the single Gaussian in *Measure*.


# %% tags=["exercise"]
def held_out_score(train, test):
    """Mean log-likelihood (nats, one number) of test under a Gaussian fitted to train."""
    # Hint: train.T.cov(correction=0) is (D, D); torch.linalg.solve(Sigma, difference.T) is (D, M).
    ### BEGIN SOLUTION
    mu, sigma = train.mean(dim=0), train.T.cov(correction=0)  # (D,), (D, D)
    difference = test - mu  # (M, D)
    distance = (difference * torch.linalg.solve(sigma, difference.T).T).sum(dim=1)  # (M,)
    log_p = -0.5 * (distance + sigma.logdet() + train.shape[1] * math.log(2 * math.pi))
    return log_p.mean()
    ### END SOLUTION


# %%
check_held_out_score(held_out_score)

# %% [markdown]
# **2. One after the other** (15 minutes). Sample n sequences of D states, each from 0 to S - 1, from
# $p(x_1)\, p(x_2 \mid x_1) \cdots p(x_D \mid x_{D-1})$: an autoregressive model in which every $x_d$
# depends on the one before it only. `p_first` (S,) holds $p(x_1)$, the row `p_next[a]` of `p_next` (S, S)
# holds $p(x_d \mid x_{d-1} = a)$. Return whole numbers (n, length), where length is D. With letters as states this is the
# simplest language model. Draw with the random-number generator `rng`.


# %% tags=["exercise"]
def sample_chain(p_first, p_next, length, n, rng):
    """n sequences (n, length) of states, drawn one coordinate at a time."""
    # Hint: p.multinomial(k, replacement=True, generator=rng) draws from every row of p.
    ### BEGIN SOLUTION
    x = [p_first.multinomial(n, replacement=True, generator=rng)]  # (n,)
    for _ in range(length - 1):
        given = p_next[x[-1]]  # (n, S): the row of each sequence's last state
        x.append(given.multinomial(1, generator=rng)[:, 0])
    return torch.stack(x, dim=1)
    ### END SOLUTION


# %%
check_sample_chain(sample_chain)

# %% [markdown]
# **3. Choose the width** (30 minutes). Write the kernel density of model 3 yourself, for the points of `train` (N, D),
# and return the one of `widths` with the best log-likelihood of `held_out` (M, D). Some points lie so far from all others
# that `exp` gives 0, and the logarithm of 0 is −∞: stay in logs.


# %% tags=["exercise"]
def choose_width(train, held_out, widths):
    """The width, out of the tensor widths, with the best held-out log-likelihood."""
    # Hint: torch.cdist(held_out, train) is (M, N); logsumexp(dim=1) never leaves the logs.
    ### BEGIN SOLUTION
    squared = torch.cdist(held_out, train) ** 2  # (M, N)
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
# a row of the table in *Measure*. The next cell makes `model`, the single Gaussian, with these methods. Once the check
# passes, compare `kl_divergence(toy, model, 10_000)` with that gap. Then exchange
# the two: the result is far larger. Which points does the mean now visit, and what density does p_data have there?


# %% tags=["setup"]
class WithSample:
    """A distribution of torch, with ``sample(n)`` and ``log_prob(x)``."""

    def __init__(self, distribution):
        self.distribution, self.log_prob = distribution, distribution.log_prob

    def sample(self, n):
        return self.distribution.sample((n,))


model = WithSample(MultivariateNormal(train.mean(dim=0), train.T.cov(correction=0)))


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
# **5. An experiment: beat the histogram** (45 minutes). On this p_data no number of bins brings the histogram of *Build*
# much above 0.65 nats per held-out point. Keep it a histogram (models 2 and 3 reach more), and change it until it reaches
# **0.85**. Write
# `better_histogram(train, validation)`, which fits your model to `train` (400, 2), makes every choice by its score on
# `validation` (400, 2), and returns a function that maps points (m, 2) of the square $[-3, 3]^2$ to log p (m,).
#
# One idea that works: use many bins, and let every point count not only in its own bin but, with smaller weights, in
# the bins around it. Choose how far these weights reach. The check draws three new training sets, scores 4,000 fresh points
# each time, and makes sure that your density integrates to 1.


# %% tags=["exercise"]
def better_histogram(train, validation):
    """A function from points (m, 2) to log p (m,), fitted to train, chosen by validation."""
    # Hint: weights (n, bins) of every point in the bins of x_1, and of x_2; (bins, n) @ (n, bins).
    ### BEGIN SOLUTION
    bins, width = 200, 6 / 200
    centres = (torch.arange(bins) + 0.5) * width - 3

    def fit(reach):
        near = [(-(((c[:, None] - centres) / reach) ** 2) / 2).softmax(dim=1) for c in train.T]
        counts = near[0].T @ near[1] + 1e-4  # (bins of x_1, bins of x_2)
        log_p = (counts / counts.sum() / width**2).log()
        return lambda x: log_p[tuple(((x + 3) / width).long().clamp(0, bins - 1).T)]

    fits = [fit(reach) for reach in (0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2)]
    return max(fits, key=lambda log_prob: log_prob(validation).mean())
    ### END SOLUTION


# %%
check_better_histogram(better_histogram)

# %% [markdown]
# ## Summary
#
# - A generative model is a p_model that you can **sample**. Fitting it means making KL(p_data ‖ p_model) small, and
#   maximum likelihood does this on the training points.
# - Where p_model(x) can be computed, **held-out** log-likelihood scores it, and p_data's own score is the ceiling.
# - Too little freedom fills the gaps between the data; too much stores the data. Held-out data choose between them.
# - A histogram with b bins a side has b² numbers in two dimensions and $b^{784}$ for a small image. That is why the rest of
#   the course needs neural networks.

# %% [markdown] tags=["slide"]
# Learn on training points, choose and score on held-out ones
#
# - A generative model is a distribution to sample from.
# - Too little freedom fills gaps; too much copies.
# - A table cannot hold images: networks must.
#
# ? How many numbers has a histogram of images with 28 × 28 pixels?

# %% [markdown]
# What the lecture states, and what this chapter measured:

# %%
claims

# %% [markdown]
# The families differ in what they give up. Autoregressive models keep log p_model(x) and generate slowly, one
# coordinate at a time. Variational autoencoders keep a bound on it (chapter 03), GANs give it up and only sample (04),
# diffusion models need many network calls for one sample, since they remove noise step by step (06).
#
# **Why it matters today:** nearly all of the eleven applications draw from a learned distribution, and language models do
# it as in *Build*: one token after another, each given those before.
#
# **Next:** [01 Autoencoders](01_autoencoders.ipynb).
#
# **Further reading.** I. Goodfellow, *NIPS 2016 Tutorial: Generative Adversarial Networks*,
# [1701.00160](https://arxiv.org/abs/1701.00160), section 2, draws the family tree of generative
# models by what each does with the density. A. Dempster, N. Laird, D. Rubin, *Maximum Likelihood from
# Incomplete Data via the EM Algorithm*, Journal of the Royal Statistical Society B 39, 1977.

# %%
print(timing.report())
