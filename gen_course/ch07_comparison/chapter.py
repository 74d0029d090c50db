# %% [markdown]
# # 07 · Comparison: which family for which purpose?
#
# **Question.** The lecture ends with a table of strengths and weaknesses. Which of its lines still hold if all families get the same time, the same
# data and the same measurements? And which family should *you* take?
#
# **Afterwards you can** turn words such as quality, stability, speed and diversity into numbers that can be wrong, compare generative models
# fairly, train a latent diffusion model with forty lines of your own, say which family suits a purpose and why, and name the family behind
# the systems of today.
#
# **Minutes.** About 90 to read, about two hours for the exercises; the set-up cell says how long our machine took to run everything.
# A good place to stop is the end of *Look*.
# **In a hurry?** Read *Idea*, the first figure of *Measure* and *Where each family stands today*; the table in the *Summary* has the rest.
#
# **Know first:** chapters [03](03_vae.ipynb), [04](04_gan.ipynb) and [06](06_diffusion.ipynb).

# %% [markdown]
# | Symbol | Meaning | Shape |
# |---|---|---|
# | n | number of images | one number |
# | $x$ | an image with pixels from −1 to 1 | (n, 1, 28, 28) |
# | $z_0$ | the code of an image, in latent diffusion with scale 1 | baseline: (n, 16); latent diffusion: (n, 4, 7, 7) |
# | τ, ε, $z_\tau$ | time from 0 to 1, Gaussian noise, the noised code $(1 - \tau)\, z_0 + \tau\, \epsilon$, as for images in chapter 06 | number; as $z_0$ |
# | k | which neighbour sets the size of a neighbourhood: 3 for precision and recall, 5 for density and coverage | one number |
# | $a$, $b$ | exercise 3: features of two sets of images | (n, d), (m, d) |
# | $p_k$ | exercise 1: share of class k | one number |
#
# A **budget** is the training time of a run, in seconds of one core (CPU seconds: only the time that the training itself computes). A **floor** is the value that real images
# get in place of samples. No model can be expected to be nearer to real images, or to have more recall or coverage. (In precision a narrow model can pass it: see *Idea*.)

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: imports, data, the stored comparison and shipped models.
import itertools
import math
import time

import torch
from sklearn.mixture import GaussianMixture
from torch import nn

from gen_course.ch07_comparison import figures
from gen_course.ch07_comparison.criteria import (
    AGAINST,
    CRITERIA,
    HOLDS,
    MIXED,
    OPEN,
    UNKNOWN,
    USUAL,
    advised,
    at,
    beats,
    budgets,
    fullest,
    overall,
    places,
    ranking,
    spelled,
    summary,
    values,
    verdict,
)
from gen_course.ch07_comparison.explorers import ChoiceExplorer
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_course.common.tables import Claims, Table
from gen_lib.data import load
from gen_lib.metrics import frechet_distance, kernel_distance, precision_recall
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import GAN, BernoulliVAE, ConvAutoencoder, Diffusion, LatentDiffusion
from gen_lib.models.base import in_batches
from gen_lib.models.mixture import CodeMixture
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained

plots.use_style()
claims = Claims()
seeded = torch.Generator().manual_seed
images = load("fashion_mnist")
train, test = images.train, images.test
rows = read_study("comparison")
runs = [row for row in rows if row["seed"]]
real = next(row for row in rows if not row["seed"])  # real images in place of samples: the floor
times = budgets(runs)
main_time = fullest(runs)
families = [name for name in figures.COLORS if any(row["family"] == name for row in runs)]
three = ("VAE", "GAN", "diffusion")  # the lecture's
kinds = {
    "AE + mixture": ConvAutoencoder,
    "VAE": BernoulliVAE,
    "GAN": GAN,
    "diffusion": Diffusion,
    "latent diffusion": LatentDiffusion,
}
batches = {name: kind.batch_size for name, kind in kinds.items()} | {"AE + mixture": 32}
autoencoder = load_pretrained("conv-ae", ConvAutoencoder)
shipped = {
    "AE + mixture": CodeMixture(autoencoder, train.subset(5_000).x),
    "VAE": load_pretrained("vae", BernoulliVAE),
    "GAN": load_pretrained("gan", GAN),
    "diffusion": load_pretrained("diffusion", Diffusion),
}
sample_quality = SampleQuality(images)
print(timing.stated("07_comparison"))

# %% [markdown]
# The folded set-up cell loads `images` with its parts `train` and `test`; the stored comparison as `runs`, one row for each training, with its budgets `times`; `shipped`, models that
# the earlier chapters trained; and `sample_quality`, which measures samples in the features of the course's frozen classifier (the **judge**).

# %% [markdown]
# ## Idea
#
# The lecture compares three families in words (생성 모델 비교):
#
# | | Strengths | Weaknesses |
# |---|---|---|
# | **GAN** | fast sampling (빠른 샘플링), high quality (고품질 샘플) | unstable training (훈련 불안정성), mode collapse (모드 붕괴) |
# | **VAE** | stable training (안정적 훈련), diversity (다양성 보장) | lower quality (낮은 샘플 품질) |
# | **Diffusion** | high quality (높은 품질), mode coverage (모드 커버리지) | slow sampling (느린 샘플링 속도) |
#
# It gives four criteria for a choice: **quality** (품질), **stability** (안정성), **speed** (속도), **diversity**. A word cannot be wrong. A number can.
# So each word becomes a number first.
#
# ### Quality and diversity
#
# Quality and diversity pull against each other, so they need two numbers (Kynkäänniemi et al. 2019, [1904.06991](https://arxiv.org/abs/1904.06991)). Both use **neighbourhoods**. Every image is turned into 128
# features of the judge, a point in a space of 128 dimensions. The neighbourhood of a point is the ball around it that reaches to its k-th nearest neighbour *in its own set*. It is small where the set is dense.
#
# | Number | What it counts | Whose neighbourhoods | k |
# |---|---|---|---|
# | **precision** | the share of *samples* that lie in the neighbourhood of at least one real image: quality | of the real images | 3 |
# | **recall** | the share of *real images* that lie in the neighbourhood of at least one sample: diversity | of the samples | 3 |
# | **density** | in how many neighbourhoods of real images a sample lies on average, divided by k; about 1 for real images: quality | of the real images | 5 |
# | **coverage** | the share of *real images* that have at least one sample in their own neighbourhood: diversity | of the real images | 5 |
#
# Density and coverage are from Naeem et al. 2020 ([2002.09797](https://arxiv.org/abs/2002.09797)). They never use the neighbourhoods of samples. That matters if a few samples lie far away from all others: such
# samples have huge neighbourhoods, which catch many real images and raise recall, but not coverage.

# %% [markdown] tags=["slide"]
# The lecture compares three families in words
#
# | | strengths | weaknesses |
# |---|---|---|
# | GAN | fast sampling, high quality | unstable training, mode collapse |
# | VAE | stable training, diversity | lower quality |
# | diffusion | high quality, mode coverage | slow sampling |
#
# ? A word cannot be wrong. Which number would you take for quality?

# %% [markdown] tags=["slide"]
# Precision measures quality, recall measures diversity
#
# {figure}
#
# ? What does one sample far from all others do to recall?

# %% jupyter={"source_hidden": true}
# Plot and check: nine real points and five samples; precision on the left, recall on the right.
dots = torch.randn(9, 2, generator=seeded(3))
samples = 0.6 * torch.randn(5, 2, generator=seeded(10)) + torch.tensor([1.0, 0.3])
share_in = precision_recall(samples, dots, k=2)
plots.show(
    figures.neighbourhoods(
        dots,
        samples,
        2,
        [
            f"precision {share_in[0]:.2f}: samples (diamonds)\nin a neighbourhood of a data point",
            f"recall {share_in[1]:.2f}: data (diamonds)\nin a neighbourhood of a sample",
        ],
    ),
    f"Two planes with nine blue data points and five red samples. Left: discs around the data; {share_in[0]:.0%} of the samples, "
    f"filled diamonds, lie in one. Right: discs around the samples; {share_in[1]:.0%} of the data lie in one.",
)
assert 0 < share_in[1] < share_in[0]

# %% [markdown]
# (Here k = 2, since there are few points. A filled diamond is inside a disc.)
#
# **Predict:** 600 data points form a round cloud. Three models draw 600 samples each: from a cloud a third as wide and off centre, from one three times as wide, and
# from the right one. Which of them has a high precision and a low recall, and which the reverse?
#
# <details><summary>Answer</summary>
#
# The narrow cloud has a high precision and a low recall: all its samples are good, but it leaves out about half of the data. The wide one has a high recall and a lower precision.
# The right one is high in both, but not at 1: two finite sets of one distribution never fill each other's neighbourhoods.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# Which cloud is precise, and which one recalls?
#
# Samples from a cloud a third as wide as the data, from one three times as wide, and from the right one.

# %% [markdown] tags=["slide"]
# Too narrow keeps precision, too wide keeps recall
#
# {figure}

# %%
rng = seeded(0)
cloud = torch.randn(600, 2, generator=rng)
made = {
    "too narrow": 0.35 * torch.randn(600, 2, generator=rng) + 0.3,
    "too wide": 3.0 * torch.randn(600, 2, generator=rng),
    "right": torch.randn(600, 2, generator=rng),
}
found = {name: precision_recall(fake, cloud) for name, fake in made.items()}

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot and check: the three clouds of samples over the data, with precision and recall.
plots.show(
    figures.clouds(cloud, made, found),
    "Three clouds of samples over the same blue cloud of data. "
    + " ".join(f"{name}: precision {p:.2f}, recall {r:.2f}." for name, (p, r) in found.items()),
)
assert found["too narrow"][0] > 0.8 > 0.5 > found["too narrow"][1]
assert found["too wide"][1] > 0.8 > found["too wide"][0]

# %% [markdown] tags=["slide"]
# Precision falls with the width and recall rises
#
# {film widths}
#
# ? At which width would you stop? What does a model stop at?

# %% [markdown] tags=["slide"]
# A fair comparison holds five things equal
#
# | equal | different, so named |
# |---|---|
# | data, clock, ruler | network, batch |
# | number of samples, seeds | learning rate, tuning |
#
# ? A family lost. With which settings did it lose?

# %% [markdown]
# The **course Fréchet distance** of chapter 04 sums up both: it compares mean and covariance of the features of samples and of real images. Less is better. It does not say which of the two is missing.
# The **kernel distance**, a column of the tables, compares the same features in another way, which few samples do not distort (*Break it*; its formula is in exercise 3). A number that stands for a word is called a **reading** of it below.
#
# ### Speed and stability
#
# **Speed** is the seconds of one core that 1,000 samples take. Most of it is decided by the number of network calls for a sample. **Stability** is
# how little the result depends on the seed: train with several seeds, and take the spread of the Fréchet distance, (largest − smallest) / mean. Three seeds give an uncertain spread, so only a factor of two tells two spreads apart.
#
# ### What a fair comparison holds equal
#
# Five things are equal for all families here: the **data** (60,000 training images of Fashion-MNIST), the **clock** (seconds of one core), the **ruler** (the judge's features and
# the same test images), the **number of samples**, and the **seeds**. Other things have to differ, since the families are different programs: the network, the batch,
# the learning rate, and how much work went into the settings. A comparison has to name them:

# %% jupyter={"source_hidden": true}
# Table: what differs between the families.
differs = {}
for family in families:
    last = [row for row in runs if row["family"] == family]
    players = kinds[family]().players().values()
    differs[family] = [
        f"{int(last[0]['weights']):,}",
        str(batches[family]),
        ", ".join(sorted({f"{player.lr:g}" for player in players})),
        "Muon, AdamW" if any(player.hidden for player in players) else "AdamW",
        " → ".join(
            f"{sum(found) / len(found):,.0f}"
            for found in (values(at(runs, t), "steps").get(family) for t in times)
            if found
        ),
        last[0]["calls"],
    ]
Table(
    differs,
    [
        "weights",
        "batch",
        "learning rate",
        "optimiser",
        f"steps at {', '.join(f'{t:g}' for t in times)} s",
        "calls for a sample",
    ],
)

# %% [markdown]
# (The learning rate is that of AdamW at its peak; Muon, an optimiser for the hidden layers, is explained in *The fast recipe*. The steps of latent diffusion are those of its autoencoder and of its flow together. Both kinds of diffusion
# sample by 20 steps of Heun's method from chapter 06: two calls a step, one in the last.)
#
# **Tuning** differs, too. The settings are the defaults of the course's library, chosen by hand while the chapters were written. The two diffusion models got the most work:
# about a dozen recipes were tried for them at 200 s, and some of these are in *The fast recipe*. The GAN's recipe is that of chapter 04, the VAE's that of chapter 03; for the baseline hardly anything was tried. Nobody counted the hours. So a family that loses here has lost with these settings.
#
# Two families are added to the lecture's three. The first is a **baseline** (AE + mixture): the plain autoencoder of chapter 01 with a mixture of Gaussians fitted to its codes. An autoencoder was never meant to be a generative model,
# so a family should beat it. The second is **latent diffusion**, the kind behind many systems of today: diffusion in the codes of an autoencoder.

# %% [markdown]
# ## Build
#
# ### The baseline
#
# Fit a mixture to the codes, draw codes from it, decode. (The autoencoder is shipped.)

# %%
some = train.subset(2_000).x
codes_16 = in_batches(autoencoder.encode, some).double().numpy()  # (2000, 16)
fitted = GaussianMixture(8, max_iter=200, tol=1e-2, random_state=0).fit(codes_16)


def sample_mixture(n, rng):
    weights, means = torch.tensor(fitted.weights_), torch.tensor(fitted.means_)
    roots = torch.linalg.cholesky(torch.tensor(fitted.covariances_))  # (8, 16, 16)
    which = weights.multinomial(n, replacement=True, generator=rng)  # (n,)
    eps = torch.randn(n, 16, generator=rng, dtype=torch.float64)
    z = means[which] + torch.einsum("nij,nj->ni", roots[which], eps)  # (n, 16)
    return in_batches(autoencoder.decode, z.float()).clamp(-1, 1)  # (n, 1, 28, 28)


# %% jupyter={"source_hidden": true}
# Check: the samples are those of the library's CodeMixture.
library = CodeMixture(autoencoder, some, components=8).sample(100, seeded(1))
torch.testing.assert_close(sample_mixture(100, seeded(1)), library, rtol=1e-4, atol=1e-4)

# %% [markdown] tags=["slide"]
# Latent diffusion walks among codes and decodes once
#
# {figure}
#
# ? Why is a step among codes cheaper than one among pixels?

# %% [markdown]
# ### Latent diffusion
#
# The baseline has good codes and a weak model of them. Diffusion has a strong model, but it works on all 784 pixels at every step, fine texture included. **Latent diffusion** (Rombach et al. 2021,
# [2112.10752](https://arxiv.org/abs/2112.10752)) takes the best of both. First train an autoencoder whose code is a small *grid*, here 4 numbers at each of 7 × 7 places. Shift and scale the codes to mean 0 and variance 1, so that they
# are as large as the noise, and compute those of all training images once. Then learn the flow of chapter 06 in the codes: the noised code is $z_\tau = (1 - \tau)\, z_0 + \tau\, \epsilon$, and a network learns the velocity $\epsilon - z_0$.
# To sample, walk from noise to a code, and decode it with one call of the decoder.

# %% jupyter={"source_hidden": true}
# Plot: the parts of latent diffusion.
plots.show(
    figures.latent(),
    "A diagram: an encoder maps an image of 28 by 28 pixels to codes of 4 by 7 by 7 numbers of scale 1; a decoder maps codes to an "
    "image. From noise of the same shape an arrow leads to the codes: 20 steps against the velocity that the flow estimates.",
)

# %% [markdown] tags=["slide", "extra"]
# A short program draws rough garments by latent diffusion
#
# {figure}

# %% [markdown]
# A code has 196 numbers, a quarter of the pixels; what it leaves out is fine detail. In its place the decoder puts the average of what is likely, which is blur. A step of the flow is cheap: a few convolutions at 49 places instead of 784. One complete program, in the symbols of chapter 06.
# (`shrink` moves 2 × 2 pixels into 4 channels, `grow` moves them back. `unit`, the last layer of the encoder, is batch normalisation without weights. It shifts and scales each of the four numbers of the
# code to mean 0 and variance 1 over a batch, so that the codes have the scale of the noise.)

# %% tags=["program"]
import torch
from torch import nn

from gen_course.common import plots
from gen_lib.data import load

torch.manual_seed(0)
x = load("fashion_mnist").train.x  # (60000, 1, 28, 28) in [-1, 1]


def conv(a, b, stride=1):
    return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(8, b), nn.SiLU())


def learn(parameters, loss_of, steps):
    adam = torch.optim.Adam(parameters, lr=2e-3)
    for k in range(steps):
        adam.param_groups[0]["lr"] = 2e-3 * (1 - k / steps)  # falls to 0
        adam.zero_grad()
        loss_of(torch.randint(len(x), (32,))).backward()
        adam.step()


shrink, grow, unit = nn.PixelUnshuffle(2), nn.PixelShuffle(2), nn.BatchNorm2d(4, affine=False)
encoder = nn.Sequential(shrink, conv(4, 32), conv(32, 64, 2), nn.Conv2d(64, 4, 1), unit)  # scale 1
decoder = nn.Sequential(conv(4, 128), grow, conv(32, 64), nn.Conv2d(64, 4, 1), grow)
blocks = [nn.Sequential(conv(64, 64), nn.Conv2d(64, 64, 3, 1, 1)) for _ in range(3)]
flow = nn.ModuleList([conv(5, 64), *blocks, nn.Conv2d(64, 4, 1)])


def squared_error(index):
    return (decoder(encoder(x[index])) - x[index]).square().mean()


def velocity(z, tau):  # (n, 4, 7, 7), (n, 1, 1, 1) -> (n, 4, 7, 7)
    h = flow[0](torch.cat([z, tau.expand(-1, 1, 7, 7)], dim=1))
    for block in flow[1:-1]:
        h = h + block(h)
    return flow[-1](h)


def velocity_loss(index):
    z_0, tau, eps = codes[index], torch.rand(32, 1, 1, 1), torch.randn(32, 4, 7, 7)
    return (velocity((1 - tau) * z_0 + tau * eps, tau) - (eps - z_0)).square().mean()


@torch.no_grad()
def sample(z, steps=20):
    for k in range(steps):
        z = z - velocity(z, torch.full((len(z), 1, 1, 1), 1 - k / steps)) / steps
    return decoder(z).clamp(-1, 1)


learn([*encoder.parameters(), *decoder.parameters()], squared_error, 1_200)
codes = torch.cat([encoder(part).detach() for part in x.split(1_000)])  # (60000, 4, 7, 7)
learn(flow.parameters(), velocity_loss, 1_200)
new = {name: sample(torch.randn(12, 4, 7, 7)) for name in ("new", "more")}
plots.show(plots.image_rows(new, "None picked"), "24 rough garments in two rows, none picked.")

# %% [markdown] tags=["slide", "extra"]
# Latent diffusion cannot be better than its decoder
#
# {table}

# %% [markdown]
# The program has three networks and two losses, without an opponent. The autoencoder's loss knows nothing of sampling; the flow never sees an image.

# %% jupyter={"source_hidden": true}
# Table: what the program reaches with 2,000 samples, beside what its decoder could reach at best.
torch.manual_seed(1)
some = train.subset(2_000).x
rebuilt = in_batches(lambda part: decoder(encoder(part)), some).clamp(-1, 1)
reached = {
    "program": sample_quality.quality(in_batches(sample, torch.randn(2_000, 4, 7, 7))),
    "real images through its autoencoder": sample_quality.quality(rebuilt),
    "real images (floor)": sample_quality.floor(2_000),
}
assert reached["program"].frechet > reached["real images through its autoencoder"].frechet
Table(
    {
        name: [f"{q.frechet:.2f}", f"{q.precision:.2f}", f"{q.recall:.2f}"]
        for name, q in reached.items()
    },
    ["Fréchet distance", "precision", "recall"],
    "2,000 images",
)

# %% [markdown] tags=["slide", "extra"]
# A score runs from 0, the worst, to 1, the best
#
# ```python
# return (x - x.min()) / (x.max() - x.min())  # (families,)
# ```

# %% [markdown]
# The second row shows what the decoder makes of the codes of real images. A flow that learned these codes perfectly would get that row: the distance of its autoencoder is what latent diffusion can hope for.
#
# The library's `LatentDiffusion`, which takes part in the comparison, differs in five points. The time scales and shifts its flow's features, as in chapter 06. It samples by Heun's method, with 39 calls in place of 20 steps. Its decoder learns to tolerate slight noise in the codes. Its autoencoder trains in
# the first 30 % of the time. And it uses the recipe of *The fast recipe*.
#
# ### A score and a ranking
#
# A number becomes a **score**: 0 for the worst family, 1 for the best, the others between them. For distances, seconds and spreads the scale is logarithmic, since factors count there. Then the scores are
# averaged with the weights of what matters to you. The widget of *Explore* does nothing else.


# %%
def score(numbers, more_is_better):
    x = torch.tensor(numbers) if more_is_better else -torch.tensor(numbers).log()
    return (x - x.min()) / (x.max() - x.min())  # (families,)


def rank(some_runs, weights):
    total = 0
    for criterion, weight in weights.items():
        reading = USUAL[criterion]  # which column of the table stands for the word
        numbers = summary(some_runs, reading)  # family -> mean or spread of its runs
        total = total + weight * score(list(numbers.values()), reading.more_is_better)
    return dict(zip(numbers, (total / sum(weights.values())).tolist(), strict=True))


# %% jupyter={"source_hidden": true}
# Check: scores and ranking by hand are the library's.
weights = {"quality": 3.0, "stability": 1.0, "speed": 2.0, "diversity": 1.0}
mine = rank(at(runs, main_time), weights)
for place in ranking(at(runs, main_time), weights):
    assert abs(mine[place.family] - place.total) < 1e-4

# %% [markdown] tags=["slide"]
# Better means: every run beats every run
#
# ```python
# return min(here) > max(there)
# ```
#
# Otherwise the two are equal within the spread and share a place.
#
# ? How often would two equal families look different by this rule?

# %% [markdown]
# **When is a family better than another one?** Here: if *every* run of it is better than *every* run of the other. Otherwise the two are **equal within the spread** over the seeds, and share a place. With three seeds
# each, two families that are really equal would still look different in one case of ten: 2 of the 20 ways to order six runs put all of one family first. So the rule is mild.


# %%
def better(some_runs, family, other, reading):
    sign = 1 if reading.more_is_better else -1
    here, there = (
        [sign * float(row[reading.column]) for row in some_runs if row["family"] == name]
        for name in (family, other)
    )
    return min(here) > max(there)


# %% jupyter={"source_hidden": true}
# Check: the rule by hand is the library's.
for reading in (*CRITERIA["quality"].values(), *CRITERIA["diversity"].values(), USUAL["speed"]):
    for pair in (("GAN", "VAE"), ("VAE", "GAN"), ("diffusion", "VAE")):
        some_runs = at(runs, main_time)
        assert better(some_runs, *pair, reading) == beats(some_runs, *pair, reading)

# %% [markdown]
# ## Train
#
# The whole comparison takes more than an hour, so it is stored (*Measure*). Here is a small one, live: six seconds for each family with its default settings, then 500 samples of each.
#
# **Predict:** which family makes the fewest steps in six seconds? And which has the smallest Fréchet distance after so short a time?
#
# <details><summary>Answer</summary>
#
# The GAN or diffusion makes the fewest steps, since their steps are the most expensive: the GAN's moves two networks, diffusion's a U-Net. In the stored study it is the GAN after 20 s (table in *Idea*).
# For the distance, look at your table. In the stored study after 20 s the baseline has the smallest one and the GAN the second. An autoencoder draws blurred garments after a few seconds, and the mixture is fitted in no time. The VAE's garments
# are even more blurred, and the GAN and both kinds of diffusion need longer until a sample shows a garment at all.
#
# </details>

# %% [markdown] tags=["slide", "extra", "predict"]
# Six seconds each: which family is ahead?
#
# Which one makes the fewest steps?
#
# Which one has the smallest Fréchet distance after so short a time?

# %% [markdown] tags=["slide", "extra"]
# After seconds the plain baseline is ahead
#
# An autoencoder soon draws blurred garments, and a mixture is fitted in no time.
#
# The others need longer until a sample shows a garment at all.
#
# ? What can six seconds not tell?

# %%
live, spent, steps = {}, {}, {}
for name, kind in kinds.items():
    torch.manual_seed(0)
    model = kind()
    steps[name] = fit(model, train, minutes=0.1, batch_size=batches[name], show_bar=False).steps
    if kind is ConvAutoencoder:
        model = CodeMixture(model, train.subset(3_000).x)
    begin = time.perf_counter()
    live[name] = model.sample(500, seeded(0))
    spent[name] = time.perf_counter() - begin

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: steps, seconds for 500 samples, and distance of the five after six seconds each.
floor_500 = sample_quality.frechet_floor(500)
distance = {name: sample_quality.frechet(x) for name, x in live.items()}
assert spent["diffusion"] > 5 * max(spent["VAE"], spent["GAN"])
assert min(distance.values()) > 2 * floor_500
race = {
    name: [
        f"{steps[name]:,}",
        str(batches[name]),
        f"{spent[name]:.2f}",
        f"{distance[name]:.2f}",
    ]
    for name in live
}
race["real images (floor)"] = ["–", "–", "–", f"{floor_500:.2f}"]
Table(race, ["steps", "images a step", "seconds for 500 samples", "Fréchet distance"])

# %% [markdown]
# This is one run of each, on your machine. A step is not the same for two families: it has another number of images and another network. What six seconds cannot say is what minutes will bring. Keep
# the order of your table, and compare it with the first figure of *Measure*. (Only the order: 500 images give a larger distance than 2,000.)

# %% [markdown]
# ## Look
#
# First the five live models, then the shipped ones of the earlier chapters, which had more time (and partly larger networks: this is no comparison).

# %% [markdown] tags=["slide"]
# Seconds give blurs and blots, longer training gives garments
#
# {figure}
#
# ? Which of the shipped rows looks best, and which one worst?

# %% jupyter={"source_hidden": true}
# Plot: samples of the live models, of the shipped ones, and real images.
rows_of_samples = {f"{name}, 6 s": x[:12] for name, x in live.items()}
rows_of_samples |= {
    f"{name}, shipped": model.sample(12, seeded(0)) for name, model in shipped.items()
}
rows_of_samples["real"] = test.x[:12]
plots.show(
    plots.image_rows(rows_of_samples, "After six seconds, and as shipped by the chapters"),
    "Rows of twelve samples: of each family after six seconds of training, of the shipped models, and real test images.",
)

# %% [markdown]
# Judge by eye before you read on: which shipped row looks best, which worst?

# %% [markdown]
# ## Measure
#
# ### Over the training time
#
# The stored study (`gen_course/ch07_comparison/studies/comparison.py`, `make comparison`) trains every family with its default settings for several budgets, without bfloat16, and measures
# 2,000 samples of each run against 2,000 test images. Every budget is a training of its own, since the learning rate falls to 0 at its end. Each budget has three seeds. The stored runs end at 180 s; the script can go on to 600 s and 2,400 s, which takes about six hours more. (Fewer samples make every Fréchet distance larger, also that of real images: see *Break it*.)
#
# **Predict:** after the shortest time one family has the smallest distance. Is it the same one after the longest time? Which curve falls the most?
#
# <details><summary>Answer</summary>
#
# No. After 20 s and after 60 s the baseline has the smallest distance, with every seed. After 180 s the GAN has it, with every seed. Latent diffusion falls the most: to less than a fifth.
#
# </details>

# %% [markdown] tags=["slide", "hour"]
# Five contestants: some draw in one call, some in 39
#
# | | calls |
# |---|---|
# | AE + mixture | 1 |
# | VAE | 1 |
# | GAN | 1 |
# | diffusion | 39 |
# | latent diffusion | 39 |
#
# All train equally long. Mixture: Gaussians fitted to an autoencoder's codes.

# %% [markdown] tags=["slide", "hour", "predict"]
# Who leads after 20 s of training, who after 180 s?
#
# AE + mixture, VAE, GAN, diffusion, latent diffusion
#
# Ruler: Fréchet distance of samples and real images; small is good.

# %% [markdown] tags=["slide", "hour"]
# AE + mixture leads at 20 s, the GAN at 180 s
#
# {film race}
#
# ? The circles are three seeds. Which order is certain?

# %% [markdown] tags=["slide", "hour"]
# After 20 s two rulers name two winners
#
# {film rulers}
#
# Precision: the share of samples that lie near real images.
#
# ? Blurred, but spread over many garments: which ruler likes that?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: Fréchet distance, precision and recall against the training time; a dot is a run.
ends = {
    family: [
        sum(found) / len(found)
        for found in (values(at(runs, t), "frechet").get(family) for t in times)
        if found
    ]
    for family in families
}
plots.show(
    figures.over_time(
        runs,
        real,
        f"From {times[0]:g} to {times[-1]:g} s of one core every family gets better; none is near real images",
    ),
    f"Three panels over {', '.join(f'{t:g}' for t in times)} seconds of training. Mean Fréchet distance from the first to the last time: "
    + "; ".join(f"{family} {each[0]:.1f} to {each[-1]:.1f}" for family, each in ends.items())
    + f". Real images {float(real['frechet']):.2f}.",
)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table: the means over the seeds, and the number of seeds, for each training time.
columns = {
    "Fréchet": ("frechet", 2),
    "kernel": ("kernel", 4),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "density": ("density", 2),
    "coverage": ("coverage", 2),
    "seconds for 1,000": ("seconds_1000", 2),
}
numbers = {}
for t in times:
    some_runs = at(runs, t)
    for family in families:
        counted = len(values(some_runs, "frechet").get(family, []))
        if counted:
            means = (
                summary(some_runs, USUAL["quality"]._replace(column=c))[family]
                for c, _ in columns.values()
            )
            shown = [f"{v:.{d}f}" for v, (_, d) in zip(means, columns.values(), strict=True)]
            numbers[f"{t:g} s, {family}"] = [str(counted), *shown]
numbers["real images (floor)"] = [
    "–",
    *(f"{float(real[c]):.{d}f}" if real[c] else "–" for c, d in columns.values()),
]
Table(numbers, ["seeds", *columns], "budget, family")

# %% jupyter={"source_hidden": true}
# Check: the conclusions below, for each budget; all far from the floor.
FRECHET, RECALL = CRITERIA["quality"]["Fréchet distance"], USUAL["diversity"]
COVERAGE = CRITERIA["diversity"]["coverage"]
soon, then, late = (at(runs, t) for t in (20.0, 60.0, 180.0))
others = [name for name in families if name not in ("AE + mixture", "GAN")]


def leads(some_runs, family, rivals, reading):
    return all(beats(some_runs, family, name, reading) for name in rivals if name != family)


for some_runs in (soon, then):
    assert leads(some_runs, "AE + mixture", families, FRECHET)
    assert leads(some_runs, "GAN", others, FRECHET)
assert leads(late, "GAN", families, FRECHET)
assert leads(late, "AE + mixture", others, FRECHET)
for some_runs in (soon, then, late):
    assert leads(some_runs, "GAN", families, USUAL["quality"])
    assert places(some_runs, USUAL["quality"], families)["diffusion"] == 2
    assert places(some_runs, COVERAGE, families)["AE + mixture"] == 1
assert max(map(max, values(soon, "recall").values())) < 0.1
for some_runs in (then, late):
    assert leads(some_runs, "diffusion", families, RECALL)
    assert places(some_runs, RECALL, families)["AE + mixture"] >= 3
assert not beats(soon, "latent diffusion", "diffusion", FRECHET)
assert not beats(then, "latent diffusion", "diffusion", FRECHET)
assert beats(late, "latent diffusion", "diffusion", FRECHET)
assert beats(late, "latent diffusion", "diffusion", COVERAGE)
assert beats(late, "diffusion", "latent diffusion", RECALL)
assert places(late, RECALL, families)["AE + mixture"] == 5
first, last = (summary(some_runs, FRECHET) for some_runs in (soon, late))
falls = {name: first[name] / last[name] for name in families}
assert max(falls, key=falls.get) == "latent diffusion"
assert falls["latent diffusion"] > 5
for family in families:
    each = [
        found[family] for found in (summary(at(runs, t), FRECHET) for t in times) if family in found
    ]
    assert each == sorted(each, reverse=True)
assert all(
    min(found) > 2 * float(real["frechet"])
    for found in (each for t in times for each in values(at(runs, t), "frechet").values())
)

# %% [markdown] tags=["slide"]
# The autoencoder keeps the shape and loses the detail
#
# {figure}
#
# ? An eye looks for faults. What does it not miss?

# %% [markdown]
# Open figure and table first. In the figure a dot is one run, a line joins the means over the seeds, and the dashed line
# stands for real images. What the three budgets show (*ahead* means with every seed):
#
# - **By Fréchet distance the order changes.** After 20 s and after 60 s the baseline is ahead of all others, and the GAN is second. After 180 s the GAN is ahead, and the baseline is second.
# - **By precision the GAN is ahead at every budget**, and diffusion is second. So in the first minute the two rulers disagree: the baseline's images are blurred, and precision sees that. But they are spread over more of the garments (no family has more coverage), and that counts for the Fréchet distance, too.
# - **After 20 s hardly a real image lies near a sample**: recall is below 0.1 for every family. From 60 s on diffusion is ahead of all others in recall. After 180 s the baseline, first by coverage, is the last by recall: the two numbers for diversity disagree, because blurred samples lie close together.
# - **Latent diffusion is no better than diffusion at first.** Six of its first twenty seconds train the autoencoder only. After 180 s it is ahead of diffusion by distance and coverage, and behind it in recall.
#
# So an order of families holds for one budget and one ruler.
#
# ### By eye, and by the ruler
#
# By eye, the baseline's samples look clean: smooth shapes without noise. By the ruler they are far from the floor. Why? A test: send **real** images through the shipped autoencoder. Every one of them then shows a real
# garment in its real place in the distribution; only what its code of 16 numbers cannot hold is gone.


# %%
def sharpness(x):  # mean difference between a pixel and its right and lower neighbours
    sideways, down = x.diff(dim=3).abs().mean(), x.diff(dim=2).abs().mean()
    return ((sideways + down) / 2).item()


some = train.subset(2_000).x
sets = {
    "real images": some,
    "real images through the autoencoder": in_batches(autoencoder.reconstruct, some).clamp(-1, 1),
    "samples of AE + mixture": shipped["AE + mixture"].sample(2_000, seeded(0)),
}
ruled = {name: (sharpness(x), sample_quality.quality(x)) for name, x in sets.items()}


def reach(x):  # median size of a neighbourhood: the distance to the third neighbour
    f = sample_quality.features(x)  # (n, 128)
    return torch.cdist(f, f).kthvalue(4, dim=1).values.median().item()


# %% jupyter={"source_hidden": true}
# Plot: real images, the same images through the autoencoder, and samples of the baseline.
plots.show(
    plots.image_rows(
        {name: x[:12] for name, x in sets.items()},
        "The autoencoder keeps the shape and loses the detail",
    ),
    "Three rows of twelve: real images with prints and seams, the same images smooth and without them, and smooth samples.",
)

# %% [markdown] tags=["slide", "extra"]
# Even real images are far away once they are smooth
#
# | | Fréchet | recall |
# |---|---|---|
# | real images | 0.08 | 0.88 |
# | through the autoencoder | 1.81 | 0.26 |
# | samples of AE + mixture | 2.34 | 0.25 |

# %% jupyter={"source_hidden": true}
# Table and check: sharpness, distance, precision, recall, density and coverage of the three sets.
smooth, drawn = (ruled[name] for name in list(sets)[1:])
assert smooth[0] < 0.95 * ruled["real images"][0]
assert smooth[1].frechet > 10 * ruled["real images"][1].frechet
assert smooth[1].recall < ruled["real images"][1].recall - 0.2
assert smooth[1].frechet > 0.5 * drawn[1].frechet
reaches = {name: reach(x) for name, x in sets.items()}
assert max(list(reaches.values())[1:]) < 0.95 * reaches["real images"]
claims.add(
    "Clean samples can be far from real images by the Fréchet distance",
    f"real images that only passed through the autoencoder: {smooth[1].frechet:.2f} (samples of AE + mixture {drawn[1].frechet:.2f}, floor "
    f"{ruled['real images'][1].frechet:.2f}), precision {smooth[1].precision:.2f}, recall {smooth[1].recall:.2f}",
)
Table(
    {
        name: [f"{sharp:.3f}", f"{q.frechet:.2f}"]
        + [f"{v:.2f}" for v in (q.precision, q.recall, q.density, q.coverage)]
        + [f"{reaches[name]:.1f}"]
        for name, (sharp, q) in ruled.items()
    },
    ["sharpness", "Fréchet", "precision", "recall", "density", "coverage", "reach"],
    "2,000 images",
)

# %% [markdown] tags=["slide", "extra"]
# Bars below the line show what a family leaves out
#
# {figure}
#
# ? Is a short bar a collapse, or only too little training?

# %% [markdown]
# The images in the second row are no inventions, and yet their Fréchet distance is many times the floor. What they lack is detail: prints, seams, folds. The eye looks for faults, and missing detail is none. The
# judge's features do. Precision stays fair, since a smooth image lies near many real ones. But smooth images lie close to each other, so their neighbourhoods are small (*reach*, the distance to the third neighbour) and catch few real images: recall falls. More than half of the baseline's distance is the autoencoder's, not the mixture's. No
# number is wrong here. The eye judges single images; the ruler judges the whole set.
#
# ### Which classes, and are there copies?
#
# The judge also says which class each sample shows. In the data each class has a tenth. A bar is the mean share over the
# runs of one family.

# %% jupyter={"source_hidden": true}
# Plot: the share of each class among the samples of each family, at one budget.
means = {
    family: sorted(zip(each, images.classes, strict=True))
    for family, each in figures.mean_shares(at(runs, main_time)).items()
}
plots.show(
    figures.shares(
        at(runs, main_time),
        images.classes,
        f"Shares of the ten classes after {main_time:g} s; a tenth each in the data (dashed)",
    ),
    f"Bars of the share of each class after {main_time:g} seconds, means over the runs. Smallest and largest: "
    + "; ".join(
        f"{family} {each[0][1]} {each[0][0]:.1%}, {each[-1][1]} {each[-1][0]:.1%}"
        for family, each in means.items()
    )
    + ". The smallest share of any run: "
    + ", ".join(f"{f} {min(v):.1%}" for f, v in values(at(runs, main_time), "rarest").items())
    + ".",
)

# %% jupyter={"source_hidden": true}
# Table and check: the rarest class, and the distance to the nearest training image, at one budget.
some_runs = at(runs, main_time)
rarest, ratio, closest = (values(some_runs, c) for c in ("rarest", "nearest", "closest"))
assert min(map(min, closest.values())) > 0.5 * float(real["closest"])
claims.add(
    "No family copies its training images",
    f"after {main_time:g} s the closest of all samples is {min(map(min, closest.values())):.1f} from its nearest training image; the closest "
    f"test image {float(real['closest']):.1f}",
)
copies = {
    family: [
        f"{min(rarest[family]):.1%}",
        f"{sum(ratio[family]) / len(ratio[family]):.2f}",
        f"{min(closest[family]):.1f}",
    ]
    for family in families
    if family in rarest
}
copies["real images"] = [f"{float(real['rarest']):.1%}", "1.00", f"{float(real['closest']):.1f}"]
Table(copies, ["rarest class", "nearest, as a multiple", "closest of all"], f"{main_time:g} s")

# %% [markdown]
# *Rarest class* is its smallest share in any run. *Nearest* is the median distance of a sample to its nearest training image, divided by that of a test image. A copy would have a distance near 0, and none has (*closest of all*; pixels, Euclidean).
# A ratio below 1 does not mean copies: a smooth image is close to many images at once.
#
# ### The lecture's claims, one by one
#
# A claim that a family is strong in something is tested against the two other families of the lecture, at each budget.
#
# - It **holds** if the family is better than one of the two, and neither is better than it. (Better: every run better than every run.)
# - It is **contradicted** if one of the two is better, and the family is better than neither.
# - It **depends on the rival** if the family is better than one of the two and the other one is better than it.
# - It is **undecided** if the family is equal within the spread to both: no run decides then. For a weakness, read *worse* for *better*. A dash means that runs are missing.
#
# Two kinds of claims are tested by themselves. Training counts as **stable** if the spread of the Fréchet distance over the seeds is at most 20 %. **Mode collapse** counts as seen if a class has less than 1 % of the samples.
# Over all budgets, a claim is *undecided* if more than half of the known answers are. It *holds here* if it holds at every budget. It is *contradicted* if at least one budget contradicts it, and all others contradict it or are undecided. Otherwise it *holds with a condition*: the budget or the rival decides. Two claims about the GAN
# are contradicted here and still *hold with a condition*: with other rules of training chapter 04 saw both. Latent diffusion, which the lecture does not compare, is tested against GAN and VAE by the claims about diffusion.
#
# **Predict:** one of the lecture's strengths of the GAN belongs to the VAE as well. Which?
#
# <details><summary>Answer</summary>
#
# Fast sampling. Both call one network once for a sample, and the VAE's call takes half the time of the GAN's.
#
# </details>

# %% [markdown] tags=["slide", "extra", "predict"]
# One strength of the GAN is the VAE's, too: which?
#
# The lecture credits the GAN with fast sampling and with high quality.

# %% [markdown] tags=["slide"]
# GAN and VAE need one call, diffusion 39
#
# | | GAN | VAE | diffusion | latent diffusion |
# |---|---|---|---|---|
# | calls for a sample | 1 | 1 | 39 | 39 |
#
# ? Which claim about speed holds, then?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and claims: what the runs of each budget say about the lecture's claims.
STABLE, LOST = 0.2, 0.01
PRECISION = USUAL["quality"]
lecture = [
    ("GAN", "fast sampling", USUAL["speed"], True, "{:.2g} s", "for 1,000 samples"),
    ("GAN", "high quality", PRECISION, True, "{:.2f}", "precision"),
    ("VAE", "diversity ensured", USUAL["diversity"], True, "{:.2f}", "recall"),
    ("VAE", "lower quality", PRECISION, False, "{:.2f}", "precision"),
    ("diffusion", "high quality", PRECISION, True, "{:.2f}", "precision"),
    ("diffusion", "mode coverage", COVERAGE, True, "{:.2f}", "coverage"),
    ("diffusion", "slow sampling", USUAL["speed"], False, "{:.2g} s", "for 1,000 samples"),
]
if "latent diffusion" in families:
    lecture += [("latent diffusion", *line[1:]) for line in lecture if line[0] == "diffusion"]
said = {}
for family, what, reading, strength, form, unit in lecture:
    rivals = [name for name in three if name not in family]  # latent diffusion: VAE and GAN
    each = {t: verdict(at(runs, t), family, rivals, reading, strength) for t in times}
    known = summary(at(runs, main_time), reading)
    beside = ", ".join(
        f"{name} {form.format(known[name])}" for name in (family, *rivals) if name in known
    )
    said[f"{family}: {what}"] = each, f"{spelled(each)}; {unit} after {main_time:g} s: {beside}"

games = read_study("gan_modes")
lost, kept = (
    [int(row["modes"]) for row in games if row["recipe"].startswith(word)]
    for word in ("collapse", "relativistic")
)
elsewhere = f"in chapter 04's plane {min(kept)} of 8 modes by tame rules, at worst {min(lost)} if G learns faster than D"
spread = {t: summary(at(runs, t), USUAL["stability"]) for t in times}
least = {t: {f: min(v) for f, v in values(at(runs, t), "rarest").items()} for t in times}


def decided(figure, limit, above):
    if figure is None or math.isnan(figure):
        return UNKNOWN
    return HOLDS if (figure > limit) == above else AGAINST


def over(found, family):
    shown = ((t, found[t].get(family, math.nan)) for t in times)
    return ", ".join(f"{value:.1%} at {t:g} s" for t, value in shown if not math.isnan(value))


for line, family, found, limit, above in (
    ("VAE: stable training", "VAE", spread, STABLE, False),
    ("GAN: unstable training", "GAN", spread, STABLE, True),
    ("GAN: mode collapse", "GAN", least, LOST, False),
):
    each = {t: decided(found[t].get(family), limit, above) for t in times}
    word = "smallest share of a class" if found is least else "spread over the seeds"
    more = f"; {elsewhere}" if family == "GAN" else ""
    said[line] = each, f"{spelled(each)}; {word} {over(found, family)}{more}"
verdicts = {line: overall(each.values()) for line, (each, _) in said.items()}
for line in ("GAN: unstable training", "GAN: mode collapse"):
    if verdicts[line] == "contradicted" and min(lost) <= 4:  # other rules show it
        verdicts[line] = "holds with a condition"
for line, (_, measured) in said.items():
    claims.add(line, measured, verdicts[line])
Table(
    {line: [*each.values(), verdicts[line]] for line, (each, _) in said.items()},
    [
        *(f"{t:g} s, seeds: {max(map(len, values(at(runs, t), 'seed').values()))}" for t in times),
        "all together",
    ],
    "claim",
)

# %% jupyter={"source_hidden": true}
# Check: the conclusions below.
at_20 = {line: each[20.0] for line, (each, _) in said.items()}
assert at_20["GAN: mode collapse"] == HOLDS
for line, word in (("GAN: high quality", HOLDS), ("VAE: lower quality", HOLDS)):
    assert set(said[line][0].values()) == {word}
for line in ("VAE: diversity ensured", "diffusion: mode coverage"):
    assert set(said[line][0].values()) == {AGAINST}
assert max(least[20.0]["VAE"], least[20.0]["diffusion"]) < LOST < least[60.0]["GAN"]
assert set(said["diffusion: high quality"][0].values()) == {MIXED}
for t in times:
    some_runs = at(runs, t)
    assert 0.05 < spread[t]["GAN"] < 0.15
    assert beats(some_runs, "GAN", "diffusion", COVERAGE)
    assert beats(some_runs, "diffusion", "VAE", RECALL)
    assert not any(beats(some_runs, "VAE", name, RECALL) for name in ("GAN", "diffusion"))
    assert beats(some_runs, "VAE", "GAN", USUAL["speed"])
    assert beats(some_runs, "GAN", "diffusion", USUAL["speed"])
    costs = summary(some_runs, USUAL["speed"])
    if "latent diffusion" in costs:
        assert 10 * costs["GAN"] < costs["latent diffusion"] < 0.7 * costs["diffusion"]

# %% [markdown] tags=["slide", "hour"]
# What is often said, and when it held
#
# | claim | by | held |
# |---|---|---|
# | GAN: fast | calls | yes |
# | GAN: quality | precision | yes |
# | VAE: diverse | recall | no |
# | diffusion: slow | calls | yes |
# | GAN: collapses | modes | if G is fast |
#
# ? Which claim of the table would you still repeat without a condition?

# %% [markdown]
# Row by row:
#
# - **Fast sampling** is not the GAN's alone. The VAE also calls one network once, here in less time. Speed tells diffusion from the others, so **slow sampling** holds. Latent diffusion takes about half of diffusion's time for a sample, and still many times the GAN's.
# - **High quality**: the GAN has the highest precision at every budget. Diffusion is between GAN and VAE, so its claim depends on the rival.
# - **Lower quality** holds at every budget: the VAE's precision is the lowest of the three.
# - **Diversity** is not *ensured* by being a VAE: at no budget is its recall ahead of the GAN's or diffusion's, and diffusion's is ahead of it at every one.
# - **Mode coverage** of diffusion: at every budget the GAN covers more. But recall, the other number for diversity, is highest for diffusion from 60 s on. The two count different things, and only one of them uses the neighbourhoods of samples.
# - **Unstable training and mode collapse** of the GAN belong to rules and times, not to the family. Its spread over the seeds is about a tenth. After 20 s it lacks a class by this rule, but so do VAE and diffusion: they are trained too little. Later the class is there. With the rules of chapter 04 that let G learn faster than D, nearly all modes are lost. A few seeds of a tame recipe are a mild test.
#
# The conditions, then, are the **budget** (collapse, latent diffusion), the **rival** (speed: the GAN is fast, but the VAE is faster), the **ruler** (coverage or recall) and the **rules of training** (stability, collapse).
#
# ### Which family for which purpose?
#
# The lecture's guide (선택 기준) names one or two families for each purpose. The guide that is computed takes the lecture's three families and gives each its place: one more than the number of
# families that are better. An advice **holds** if the families that it names are the first ones and another one is behind; it is **contradicted** if a family that it names is not among the first; it is **undecided** if all three are among the first. *Among the first* means: at most one family is better if the lecture names two, none if it names one. Each purpose can be
# measured in several ways, so the guide is computed for each of them. The answers of all readings and budgets make one verdict by the rule above.

# %% [markdown] tags=["slide"]
# The guide's advice depends on how a word is measured
#
# | purpose | advice of the lecture |
# |---|---|
# | quality | GAN, diffusion |
# | stability | VAE, diffusion |
# | speed | GAN |
# | diversity | VAE, diffusion |
#
# ? After 20 s, which readings of quality agree with the lecture?

# %% jupyter={"source_hidden": true}
# Table and claims: the first families for each purpose, reading and budget.
advice = {
    "quality": ("GAN", "diffusion"),
    "stability": ("VAE", "diffusion"),
    "speed": ("GAN",),
    "diversity": ("VAE", "diffusion"),
}
guide, answers = {}, {}
for criterion, named in advice.items():
    each = {
        (name, t): advised(at(runs, t), named, three, reading)
        for name, reading in CRITERIA[criterion].items()
        for t in times
    }
    for name, reading in CRITERIA[criterion].items():
        cells = []
        for t in times:
            found = places(at(runs, t), reading, three)
            first = [family for family in three if found.get(family, 9) <= len(named)]
            cells.append(f"{', '.join(first)}: {each[name, t]}" if first else UNKNOWN)
        answers[f"{criterion} ({', '.join(named)}): {name}"] = cells
    count = {word: list(each.values()).count(word) for word in (HOLDS, AGAINST, OPEN)}
    known = sum(word != UNKNOWN for word in each.values())
    guide[criterion] = overall(each.values())
    claims.add(
        f"If {criterion} comes first: {' or '.join(named)}",
        f"{len(CRITERIA[criterion])} readings at {', '.join(f'{t:g}' for t in times)} s: of {known} answers {count[HOLDS]} for it, {count[AGAINST]} against it, {count[OPEN]} undecided",
        guide[criterion],
    )
Table(answers, [f"{t:g} s" for t in times], "purpose (advice): reading")

# %% jupyter={"source_hidden": true}
# Check: the conclusions below, for the shortest and the longest budget.
by_20, by_180 = (
    {
        name: advised(some_runs, advice[criterion], three, reading)
        for criterion, readings in CRITERIA.items()
        for name, reading in readings.items()
    }
    for some_runs in (soon, late)
)
stable = [cells for name, cells in answers.items() if name.startswith("stability")]
assert by_20["precision"] == by_20["density"] == HOLDS
assert {by_180[name] for name in CRITERIA["quality"]} == {HOLDS}
assert not beats(soon, "diffusion", "VAE", FRECHET)
assert not beats(soon, "diffusion", "VAE", CRITERIA["quality"]["kernel distance"])
assert beats(soon, "GAN", "VAE", RECALL)
assert beats(late, "VAE", "diffusion", USUAL["stability"])
assert guide["stability"] == "undecided"
assert sum(": undecided" not in cell for row in stable for cell in row) == 1
assert by_180["spread of recall"] == AGAINST

# %% [markdown]
# The advice for **quality** depends on how quality is measured: by precision and density GAN and diffusion come first after 20 s, by the two distances the VAE is not behind diffusion. After 180 s all four readings agree with the lecture. For **speed** the VAE is the better answer by seconds, and as good a one by calls. For
# **diversity** the lecture's pair does not come first by recall after 20 s, since the GAN is better than the VAE. For **stability** a few seeds tell only large differences apart: two spreads within a factor of two count as equal, and all answers but one are undecided. So the advice is *undecided*. The other answer is against it: after 180 s the VAE's spread of recall is more than twice that of the other two. By the Fréchet distance diffusion's spread is then more than twice the VAE's.
#
# ### The places of all five
#
# Families that are equal within the spread over the seeds share a place, so the table has no false precision. (A place counts only the families that are better. So two families can share place 1 and the next one have place 2, if it is beaten by one of them alone.) Each cell has one place for each budget, from the shortest to the longest.

# %% jupyter={"source_hidden": true}
# Table: the places of all families by five readings, over the budgets.
judged = {
    "quality: precision": USUAL["quality"],
    "both: Fréchet distance": CRITERIA["quality"]["Fréchet distance"],
    "diversity: recall": USUAL["diversity"],
    "speed": USUAL["speed"],
    "stability": USUAL["stability"],
}
placed = {
    name: [places(at(runs, t), reading, families) for t in times]
    for name, reading in judged.items()
}
Table(
    {
        family: [
            " → ".join(str(found.get(family, "–")) for found in placed[name]) for name in judged
        ]
        for family in families
    },
    list(judged),
    f"places at {', '.join(f'{t:g}' for t in times)} s",
)

# %% jupyter={"source_hidden": true}
# Check: the conclusions below, for 20 s.
early = {name: found[times.index(20.0)] for name, found in placed.items()}
assert early["both: Fréchet distance"]["AE + mixture"] == early["speed"]["VAE"] == 1
assert early["quality: precision"]["GAN"] == 1
assert early["speed"]["GAN"] == 2
assert early["stability"]["AE + mixture"] == max(early["stability"].values()) > 1
assert early["quality: precision"]["VAE"] > 2
assert all(max(found[family] for found in early.values()) > 1 for family in families)

# %% [markdown] tags=["slide", "extra"]
# Muon steps alike along every direction of a gradient
#
# $$U S V^\top \quad \to \quad U V^\top$$
#
# A comparison of families compares recipes, too.

# %% [markdown]
# No family is first in every column. The baseline is first by distance after 20 s and the last by stability; the VAE is first in speed and behind by precision; the GAN is first in precision and second in speed. VAE and GAN are first in stability at every budget. What has no column here can decide as well: a VAE also gives
# a bound on the likelihood, an autoencoder a code for an image, and a diffusion model can be guided by labels and fills holes.
#
# ### The fast recipe
#
# Two families of the comparison got a new recipe for it, both kinds of diffusion. What does each change bring at the same clock? The study (`studies/recipes.py`) makes one change after the other:
#
# - **Batch.** 32 images a step instead of 128: about four times as many steps in the same time, each with a noisier gradient.
# - **Muon** (Jordan et al. 2024, *Muon: an optimizer for hidden layers in neural networks*), for the weights of the hidden layers. The averaged gradient of a layer is a matrix $U S V^\top$ (its singular value decomposition). Plain gradient descent moves far along the few directions with
#   large singular values in $S$ and hardly at all along the others. Muon steps along $U V^\top$: every direction counts alike.
# - **Codes for pixels.** The flow in the codes of an autoencoder, as in *Build*.
# - **Logit-normal times.** τ = sigmoid of a normal number instead of uniform: more steps at the middle times, where there is most to decide ([2403.03206](https://arxiv.org/abs/2403.03206)).

# %% jupyter={"source_hidden": true}
# Plot: the distance that each recipe reaches at the same clock.
recipes = read_study("recipes")
changed = [dict(row, family=row["recipe"]) for row in recipes]
reached_by = {
    column: {name: sum(each) / len(each) for name, each in values(changed, column).items()}
    for column in ("seconds", "steps", "frechet", "precision", "recall")
}
if recipes:
    clock = max(reached_by["seconds"].values())
    plots.show(
        figures.recipes(
            recipes, f"One change after the other, each trained for {clock:.0f} s of one core"
        ),
        "Dots of the Fréchet distance of each recipe. Means: "
        + "; ".join(f"{name} {value:.2f}" for name, value in reached_by["frechet"].items())
        + ".",
    )

# %% jupyter={"source_hidden": true}
# Table: seeds, steps, distance, precision and recall of each recipe.
Table(
    {
        name: [
            str(len(each)),
            f"{reached_by['steps'][name]:,.0f}",
            *(f"{reached_by[column][name]:.2f}" for column in ("frechet", "precision", "recall")),
        ]
        for name, each in values(changed, "seed").items()
    },
    ["seeds", "steps", "Fréchet", "precision", "recall"],
    "recipe",
)

# %% jupyter={"source_hidden": true}
# Check: the conclusions below.
order = list(reached_by["frechet"])
dots = {name: [float(v) for v in each] for name, each in values(changed, "frechet").items()}
for before, after in itertools.pairwise(order):
    assert max(dots[after]) < min(dots[before])
plain, muon, latent = (order[k] for k in (0, 2, 4))
assert reached_by["frechet"][muon] < 0.5 * reached_by["frechet"][plain]
assert reached_by["recall"][muon] > 2 * reached_by["recall"][plain]
assert reached_by["frechet"][latent] < 0.8 * reached_by["frechet"][muon]
assert all(reached_by[c][latent] < reached_by[c][muon] for c in ("precision", "recall"))

# %% [markdown]
# Each row adds one change to the row above. **Every change pays, with every seed.** Smaller batches and Muon halve the distance of diffusion in pixels and more than double its recall: without a new family, by the recipe alone. Codes in place of pixels, with suitable times, save a fifth more, but cost
# precision and recall: the decoder blurs. So a comparison of families compares recipes, too. Two recipes that brought nothing are not shown: logit-normal times for pixels, and batches of 16 (one seed each).

# %% [markdown]
# ## Explore
#
# A ranking with your weights, after the training time that you choose. On the right are the numbers that the scores come from; the best of each column is underlined. The thin line under a bar
# reaches from the total of the family's worst seed to that of its best one (a spread counts as uncertain by a factor of 1.4 either way): where two lines overlap, the order is not certain.
#
# 1. Set all weights but one to 0, for each criterion in turn. Which families come first, and which are level with another one?
# 2. Give all four the same weight and move *training time* from the shortest to the longest. Does the first place change?
# 3. What would you choose for a game that draws garments while you watch? For a study that needs rare ones?
#
# <details><summary>Answers</summary>
#
# 1. The underlined numbers say it. After 20 s: quality the GAN; stability the VAE, level with the GAN; speed the VAE; diversity the GAN, level with diffusion. After 180 s: quality the GAN; stability the VAE, level with the GAN and latent diffusion; speed the VAE; diversity diffusion.
# 2. It is the GAN every time. After 20 s no line of another family reaches its own. After 60 s the line of diffusion does, and after 180 s those of the VAE and of latent diffusion: there the first place is not certain.
# 3. A game needs each garment in milliseconds, so one network call: of those families the GAN has the best precision. A study of rare garments can wait: after 180 s diffusion has the highest recall, the GAN the highest share of the rarest class.
#
# </details>

# %% [markdown] tags=["slide"]
# Your weights decide which family comes first
#
# {film weights}
#
# ? What would you choose for a game? For rare garments?

# %% tags=["widget"]
ChoiceExplorer(rows)

# %% [markdown]
# ## Break it: two numbers that cannot be compared
#
# Reports quote a Fréchet distance and leave out the number of samples.
#
# **Predict:** here are 100 real images, compared with 100 other real images, and 10,000 samples of the shipped GAN, compared with 10,000 real images. Which
# of the two has the smaller distance?
#
# <details><summary>Answer</summary>
#
# The GAN. With 100 images on either side even real images are about two units apart, since the covariance of 128 features cannot be estimated from 100 images.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# Which is nearer: 100 real images or 10,000 fakes?
#
# 100 real images, compared with 100 others.
#
# 10,000 samples of a GAN, compared with 10,000 real ones.

# %% [markdown] tags=["slide"]
# With few images even real ones seem far away
#
# {figure}
#
# ? Why does too small a number only ever add to the distance?

# %%
sizes = (100, 300, 1_000, 3_000, 10_000)
features = {
    "real images": sample_quality.features(train.subset(10_000).x),
    "GAN": sample_quality.features(shipped["GAN"].sample(10_000, seeded(0))),
}
measured = {}
for name, fake in features.items():
    for n in sizes:
        pair = fake[:n], sample_quality.reference[:n]
        measured[name, n] = frechet_distance(*pair), kernel_distance(*pair)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: both distances against the number of images.
told = "; ".join(
    f"{name}, {n:,}: Fréchet {measured[name, n][0]:.3f}, kernel {measured[name, n][1]:.4f}"
    for name in features
    for n in (100, 10_000)
)
plots.show(
    figures.by_number(sizes, measured),
    f"Both distances against the number of images, for real images and a GAN. {told}.",
)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: both distances, of few real images and of many samples of a GAN.
assert measured["real images", 100][0] > measured["GAN", 10_000][0]
assert abs(measured["real images", 100][1]) < 0.5 * measured["GAN", 10_000][1]
assert all(measured["GAN", n][0] > measured["real images", n][0] for n in sizes)
claims.add(
    "Two Fréchet distances can be compared only with the same number of images",
    f"100 real images {measured['real images', 100][0]:.2f}, 10,000 samples of a GAN {measured['GAN', 10_000][0]:.2f}",
)
Table(
    {
        f"{n:,}": [f"{measured[name, n][0]:.3f}" for name in features]
        + [f"{measured[name, n][1]:+.4f}" for name in features]
        for n in sizes
    },
    ["Fréchet, real", "Fréchet, GAN", "kernel, real", "kernel, GAN"],
    "images",
)

# %% [markdown]
# **Symptom:** real images seem farther from real images than a GAN's samples are. **Cause:** the Fréchet distance
# needs the covariance of 128 features. Estimated from few images it is wrong in a way that only ever adds
# to the distance. **Repair:** the same number of images on both sides and for all models, as many as you can, and beside every distance
# the floor at that number. The kernel distance has no such bias (Bińkowski et al. 2018,
# [1801.01401](https://arxiv.org/abs/1801.01401)): for equal distributions it is 0 on average at any number of images, and a single value may
# be negative.

# %% [markdown]
# ## Where each family stands today
#
# The lecture names ten systems in use. Which family is each of them, and who says so?
#
# | System | Family | Why this one, and what is known |
# |---|---|---|
# | Images (이미지 생성): DALL-E | autoregressive, then diffusion | The first one wrote an image like a text: a transformer predicts the codes of a discrete autoencoder, one after the other ([2102.12092](https://arxiv.org/abs/2102.12092)). The second one decodes an embedding by diffusion ([2204.06125](https://arxiv.org/abs/2204.06125)). Chapter [09](09_one_token_after_another.ipynb) writes small pictures in the first way. |
# | Midjourney | not published | Its makers have described no model. What others write about it is a guess. |
# | Stable Diffusion | latent diffusion | As in *Build*: diffusing a short code is far cheaper than diffusing pixels. The autoencoder is trained with a little KL or a codebook, and with a discriminator ([2112.10752](https://arxiv.org/abs/2112.10752)). The third version takes the straight path of chapter 06 ([2403.03206](https://arxiv.org/abs/2403.03206)). Chapter [08](08_words_to_pictures.ipynb) builds a small one. |
# | Text (텍스트 생성): the GPT series | autoregressive | Words are discrete and come in an order, so the factorisation of chapter 00 needs no approximation: the likelihood is exact ([2005.14165](https://arxiv.org/abs/2005.14165)). Chapter [09](09_one_token_after_another.ipynb) builds a small one. |
# | Speech (음성 합성): WaveNet | autoregressive | The same for the amplitudes of sound, 16,000 of them a second, and therefore slow ([1609.03499](https://arxiv.org/abs/1609.03499)). |
# | Tacotron | autoregressive | One step for each frame of a spectrogram, not for each amplitude ([1703.10135](https://arxiv.org/abs/1703.10135)). In the second version a WaveNet turns the spectrogram into sound ([1712.05884](https://arxiv.org/abs/1712.05884)). |
# | Video (비디오 생성): Sora | latent diffusion | A transformer denoises patches of codes in space and time, says the makers' report *Video generation models as world simulators* (2024), which gives no sizes and no data. The image model of that kind is published ([2212.09748](https://arxiv.org/abs/2212.09748)). |
# | RunwayML | latent diffusion | This is known of its first model, which repaints a given video ([2302.03011](https://arxiv.org/abs/2302.03011)). |
# | 3-D (3D 모델링): NeRF | none | A network that stores one scene, fitted to photographs of it ([2003.08934](https://arxiv.org/abs/2003.08934)). It renders the scene; there is no distribution to draw from. It is a part of generators: of a GAN ([2112.07945](https://arxiv.org/abs/2112.07945)), or as a scene that is optimised with a diffusion model ([2209.14988](https://arxiv.org/abs/2209.14988)). |
# | 3D GAN | GAN | Chapter 04 with cubes in place of pixels ([1610.07584](https://arxiv.org/abs/1610.07584)). |
#
# Three things to notice:
#
# - **Autoencoders are everywhere**, mostly unnamed. Four of these ten systems generate an autoencoder's codes, and a decoder turns them into images or video.
# - **Discrete data with an order is generated in that order** (text, sound). Images and video are mostly made by diffusion.
# - **A GAN is seldom used alone today.** But its discriminator makes the decoders above sharper, and it helps diffusion to need fewer calls (below).
#
# ### Outlook
#
# The lecture calls generative models one of the most actively researched areas of AI (가장 활발히 연구되고 있는 영역).
# The years of the references on this page fit that, but no papers were counted here. The lecture expects four developments. Each exists
# in part, and two of them mix families:
#
# - **Multimodal generation** (멀티모달 생성): one transformer predicts the next word and denoises the next image
#   ([2408.11039](https://arxiv.org/abs/2408.11039)).
# - **Personal content** (개인화된 생성): a diffusion model learns a name for a subject from a handful of photographs
#   ([2208.12242](https://arxiv.org/abs/2208.12242)).
# - **Generation in real time** (실시간 생성): a network learns to make the way from noise to image in one to four calls, by consistency
#   ([2303.01469](https://arxiv.org/abs/2303.01469)) or with the help of a discriminator
#   ([2311.17042](https://arxiv.org/abs/2311.17042)).
# - **Controllable generation** (제어 가능한 생성): edges, depths or poses steer a frozen diffusion model
#   ([2302.05543](https://arxiv.org/abs/2302.05543)). In chapter 06 you have steered one by a label.
#
# Chapter [08](08_words_to_pictures.ipynb) measures a small part of each: a model that reads two languages and draws, a new word from five
# pictures, pictures in a few network calls, and edits by words.
#
# It also names fields that change: creation, entertainment, education, medicine (창작, 엔터테인먼트, 교육,
# 의료). Films and pictures are in the table above. In **medicine**, a diffusion model places the atoms of
# proteins and of the molecules that bind to them (Abramson et al. 2024, *Nature* 630). In **education** a change need not be a
# gain. Pupils who practised with a plain GPT-4 did better while they had it. Without it they did worse than pupils who had never had
# it. A version that gave hints and no answers mostly avoided that harm (Bastani et al. 2024, *Generative AI
# Can Harm Learning*). None of this is measured here.

# %% [markdown] tags=["slide", "hour"]
# Images and video: mostly diffusion; text and speech: autoregressive
#
# | system | family |
# |---|---|
# | Stable Diffusion, Sora, RunwayML, DALL-E 2 | diffusion |
# | DALL-E 1, GPT, WaveNet, Tacotron | autoregressive: one piece after another |
# | 3D GAN | GAN |
# | Midjourney | not published |
#
# ? Which of them have you used this week?

# %% [markdown] tags=["slide", "hour"]
# Stable Diffusion: diffusion draws a code, a decoder the image
#
# $$\text{noise} \;\to\; \text{code} \;\to\; \text{decoder} \;\to\; \text{image}$$
#
# The many steps go among codes: far cheaper than among pixels. The decoder is called once.

# %% [markdown] tags=["slide"]
# What may come mixes the families
#
# | | how |
# |---|---|
# | multimodal | one transformer for words and images |
# | personal | a subject from a few photographs |
# | real time | one to four calls |
# | controllable | edges, depths or poses steer |

# %% [markdown] tags=["slide", "hour"]
# What each family gives, and what it lacks
#
# | family | gives | lacks |
# |---|---|---|
# | autoencoder | codes | a distribution |
# | VAE | a prior | sharpness |
# | GAN | sharp images, one call | safety from collapse |
# | diffusion | a stable loss | speed: many calls |
#
# ? Which of them would you take for your own data, and why?

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("07_comparison")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All five are
# [solved](solutions/07_comparison.ipynb).

# %% tags=["setup"]
from gen_course.ch07_comparison.checks import (
    check_better_samples,
    check_coverage,
    check_effective_classes,
    check_kernel_distance,
    check_undominated,
)

# %% [markdown]
# **1. How many classes?** (5 minutes) From the `shares` (K,) of the classes, which sum to 1, return
# $\exp(-\sum_k p_k \log p_k)$: the number of equally frequent classes that would be as varied. Some class may
# never occur. Then try it on a run of the stored comparison: `torch.tensor([float(p) for p in
# runs[0]["shares"].split()])`. What would ten equally frequent classes give?


# %% tags=["exercise"]
def effective_classes(shares):
    """The exponential of the entropy of the shares, one number."""
    # Hint: 0 log 0 counts as 0, but torch says nan. Which classes need not be looked at?
    ### BEGIN SOLUTION
    occurring = shares[shares > 0]
    return torch.exp(-(occurring * occurring.log()).sum())
    ### END SOLUTION


# %%
check_effective_classes(effective_classes)

# %% [markdown]
# **2. Coverage** (15 minutes), as in the table of *Idea*. The reach of a real point is its distance to the k-th nearest
# *other* real point. A real point is covered if at least one fake point is no farther away than this reach. Return the
# share of the `real` points (m, d) that are covered by the `fake` points (n, d).


# %% tags=["exercise"]
def coverage(fake, real, k):
    """The share of real points that have a fake within reach, one number."""
    # Hint: torch.cdist(real, real) has a 0 in every row: a point is its own nearest neighbour.
    ### BEGIN SOLUTION
    reach = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # (m,)
    nearest_fake = torch.cdist(real, fake).amin(dim=1)  # (m,)
    return (nearest_fake <= reach).float().mean()
    ### END SOLUTION


# %%
check_coverage(coverage)

# %% [markdown]
# **3. The kernel distance** (25 minutes). With the kernel $k(x, y) = (x \cdot y / d + 1)^3$, return
#
# $$\frac{1}{n(n-1)} \sum_{i \ne j} k(a_i, a_j) + \frac{1}{m(m-1)} \sum_{i \ne j} k(b_i, b_j)
# - \frac{2}{nm} \sum_{i, j} k(a_i, b_j)$$
#
# for features `a` (n, d) and `b` (m, d): the mean of k over pairs within `a`, plus that within `b`, minus twice the mean
# over pairs of one from each. A point makes no pair with itself. Then try it on the features of *Break it*, with all
# images and with a tenth: `unbiased_mmd(features["GAN"][:1_000], sample_quality.reference[:1_000])`. Does it move as much as
# the Fréchet distance does?


# %% tags=["exercise"]
def unbiased_mmd(a, b):
    """The unbiased estimate of the squared kernel distance, one number."""

    # Hint: the sum over i != j is the sum of a whole matrix less its diagonal.
    ### BEGIN SOLUTION
    def k(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x):
        matrix = k(x, x)
        return (matrix.sum() - matrix.trace()) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * k(a, b).mean()
    ### END SOLUTION


# %%
check_kernel_distance(unbiased_mmd)

# %% [markdown]
# **4. Who may be chosen at all?** (20 minutes) Here one row of `scores` (n, criteria) *beats* another if it is at least as
# good in every criterion and better in at least one; more is better. Return n truth values: True for each row that no
# other row beats. Only such a row can come first in a weighted sum, whatever the weights are (above 0). Then try it on the
# families of this chapter: their scores are columns of `score(...)` from *Build*, stacked with `torch.stack(..., dim=1)`.


# %% tags=["exercise"]
def undominated(scores):
    """Truth values (n,): which rows no other row beats."""
    # Hint: scores[:, None] >= scores is (n, n, criteria): row i against row j.
    ### BEGIN SOLUTION
    no_worse = (scores[:, None] >= scores).all(dim=2)  # (n, n)
    better = (scores[:, None] > scores).any(dim=2)
    return ~(no_worse & better).any(dim=0)
    ### END SOLUTION


# %%
check_undominated(undominated)

# %% [markdown]
# **5. An experiment: a better latent diffusion** (60 minutes, of which some of training). Copy the program of *Build* and change **one thing at a time**: the batch, the width or the depth of the flow, the steps of either part, the number of
# channels of the code, the number of steps of sampling, averaged weights. Note the Fréchet distance of 2,000 samples each time. Then return 2,000 samples with a distance of **at most 8**.
# First find out which part limits you: the table under the program has the distance of real images that only passed through its autoencoder.


# %% tags=["exercise"]
def better_samples(train):
    """2,000 images in [-1, 1], shape (2000, 1, 28, 28), drawn from a model trained on ``train``."""
    # Hint: functions of the program can be called again, with other numbers.
    ### BEGIN SOLUTION
    torch.manual_seed(0)

    def conv(a, b, stride=1):
        return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(8, b), nn.SiLU())

    def learn(parameters, loss_of, steps):
        adam = torch.optim.Adam(parameters, lr=2e-3)
        for k in range(steps):
            adam.param_groups[0]["lr"] = 2e-3 * (1 - k / steps)  # falls to 0
            adam.zero_grad()
            loss_of(torch.randint(len(train), (32,))).backward()
            adam.step()

    shrink, grow = nn.PixelUnshuffle(2), nn.PixelShuffle(2)
    unit = nn.BatchNorm2d(4, affine=False)
    enc = nn.Sequential(shrink, conv(4, 32), conv(32, 64, 2), nn.Conv2d(64, 4, 1), unit)
    dec = nn.Sequential(conv(4, 128), grow, conv(32, 64), nn.Conv2d(64, 4, 1), grow)
    blocks = [nn.Sequential(conv(64, 64), nn.Conv2d(64, 64, 3, 1, 1)) for _ in range(3)]
    net = nn.ModuleList([conv(5, 64), *blocks, nn.Conv2d(64, 4, 1)])

    def error(index):
        images_of = train[index].images
        return (dec(enc(images_of)) - images_of).square().mean()

    def velocity(z, tau):
        h = net[0](torch.cat([z, tau.expand(-1, 1, 7, 7)], dim=1))
        for part in net[1:-1]:
            h = h + part(h)
        return net[-1](h)

    def error_of_velocity(index):
        z_0, eps = z_all[index], torch.randn(len(index), 4, 7, 7)
        tau = torch.rand(len(index), 1, 1, 1)
        return (velocity((1 - tau) * z_0 + tau * eps, tau) - (eps - z_0)).square().mean()

    learn([*enc.parameters(), *dec.parameters()], error, 2_400)  # twice as many
    z_all = torch.cat([enc(part).detach() for part in train.x.split(1_000)])
    learn(net.parameters(), error_of_velocity, 2_400)  # twice as many
    with torch.no_grad():
        z = torch.randn(2_000, 4, 7, 7)
        for k in range(40):
            z = z - velocity(z, torch.full((len(z), 1, 1, 1), 1 - k / 40)) / 40
        return torch.cat([dec(part) for part in z.split(500)]).clamp(-1, 1)
    ### END SOLUTION


# %%
check_better_samples(better_samples)

# %% [markdown]
# ## Summary
#
# A comparison needs one clock, one ruler, one number of samples, several seeds, a floor and a plain baseline, and it names what differs. Leave one out, and the order means little. Quality, stability, speed and diversity are words; each has several numbers, and they need not agree.
#
# **What was found, up to 180 s of one core**: in the first minute the plain baseline has the smallest Fréchet distance, after three minutes the GAN has. The GAN has the highest precision throughout, diffusion the highest recall from a minute on, the VAE the fastest sampling. So "which family is best?" has no answer without a training time and a ruler.
# Latent diffusion first pays for its autoencoder; after three minutes it is ahead of diffusion in pixels by distance, with half the seconds for a sample. Its decoder's blur stays.
#
# The table has the lecture's claims and the conclusions of this chapter, each with what was measured.

# %% [markdown] tags=["slide"]
# No family is best without a training time
#
# - One clock, one ruler, several seeds, a floor, a baseline.
# - A word has several numbers, and they need not agree.
# - Name what differs.

# %% jupyter={"source_hidden": true}
# Table: the claims of this chapter, with what was measured.
claims

# %% [markdown]
# **Why this matters today.** What is in use mixes the families: an autoencoder for the code, diffusion or an autoregressive model to
# generate it, a discriminator to sharpen it. Every formula and claim of the lecture, with the section that treats it and what it found, is in the
# [map of the lecture](lecture_map.md).
#
# **Next:** [chapter 08](08_words_to_pictures.ipynb) puts an autoencoder, diffusion and words together: a Stable Diffusion in miniature.
#
# **Further reading.** M. Lucic et al., *Are GANs Created Equal? A Large-Scale Study*, 2017,
# [1711.10337](https://arxiv.org/abs/1711.10337). M. F. Naeem et al., *Reliable Fidelity and Diversity Metrics for
# Generative Models*, 2020, [2002.09797](https://arxiv.org/abs/2002.09797).

# %%
print(timing.report())
