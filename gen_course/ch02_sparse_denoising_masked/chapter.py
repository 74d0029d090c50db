# %% [markdown]
# # 02 · Sparse, denoising, masked: what keeps a large code from copying?
#
# **Question.** A code may hold more numbers than the image. What then makes it learn anything but to
# copy - and which way teaches it most?
#
# **Afterwards you can** build and train a sparse, a denoising and a masked autoencoder, say what each
# is good for in numbers, read a residual as a direction, and compare representations with a linear
# probe.
#
# **Know first:** chapter [01](01_autoencoders.ipynb): E(w), PCA, the linear probe.

# %% tags=["setup"]

import matplotlib.pyplot as plt
import torch
from scipy.ndimage import gaussian_filter, median_filter
from torch import nn

from gen_course.ch02_sparse_denoising_masked.explorers import (
    SPARSE,
    LambdaExplorer,
    MaskExplorer,
    NoiseExplorer,
)
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_lib.data import load, load_toy
from gen_lib.data.toys import Mixture
from gen_lib.metrics import mse, psnr
from gen_lib.metrics.linear_probe import Labelled, linear_probe
from gen_lib.models import DenoisingAutoencoder, MaskedAutoencoder, SparseAutoencoder
from gen_lib.models.autoencoder import PCA, add_noise
from gen_lib.models.base import in_batches
from gen_lib.nets.vit import patchify, unpatchify
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card

plots.use_style()
images = load("fashion_mnist")
train, test = images.train, images.test
x = test.x  # (10000, 1, 28, 28) in [-1, 1]
pca = PCA.fit(train.x, 300)
mean_image = pca.mean.reshape(1, 28, 28)
sparse = load_pretrained("sparse-0.3", SparseAutoencoder)
denoising = load_pretrained("denoising", DenoisingAutoencoder)
masked = load_pretrained("masked", MaskedAutoencoder)
ten = torch.stack([(test.labels == k).nonzero()[3, 0] for k in range(10)])


def hide(x, mask, value=-0.3):
    """Images with their hidden patches painted grey."""
    return unpatchify(patchify(x, 4).masked_fill(mask[:, :, None], value), (1, 28, 28))


print(timing.stated("02_sparse_denoising_masked"))

# %% [markdown]
# ## Idea
#
# In chapter 01 the code was short, so copying was impossible. Now it may be long: 1,000 numbers for
# 784 pixels. The error alone would be happiest with a copy. Three constraints forbid it:

# %% jupyter={"source_hidden": true}
boot = x[:1]
rng = torch.Generator().manual_seed(0)
noisy_boot = add_noise(boot, 0.5, 0.0, rng)
boot_mask = masked.random_mask(1, rng)
with torch.no_grad():
    z_boot = sparse.encode(boot)[0]
figure, axes = plt.subplots(3, 3, figsize=(7, 5), width_ratios=(1, 1.6, 1))
given = ((boot, "x"), (noisy_boot, "x with noise"), (hide(boot, boot_mask), "some patches of x"))
rules = (
    "sparse: every active unit costs",
    "denoising: only the input is spoilt",
    "masked: most is hidden",
)
arrow = {"arrowstyle": "->", "color": plots.CODE, "lw": 2}
for (left, middle, right), (picture, name), rule in zip(axes, given, rules, strict=True):
    plots.draw_images(left, picture, 1)
    left.set_xlabel(f"in: {name}")
    plots.draw_images(right, boot, 1)
    right.set_xlabel("target: x")
    middle.axis("off")
    middle.text(0.5, 0.6, rule, ha="center", va="bottom", fontweight="bold")
    middle.annotate("", (0.97, 0.5), (0.03, 0.5), arrowprops=arrow)
code_plot = axes[0, 1].inset_axes((0.1, 0.02, 0.8, 0.36))
code_plot.vlines(range(1_000), 0, z_boot, color=plots.CODE, linewidth=1)
code_plot.set(yticks=[], xticks=[], xlabel="z: the 1,000 units for this boot")
plots.show(
    figure,
    "Three rows, one per constraint, all with the same boot as target. Sparse: the boot itself goes "
    "in, and a plot of its code shows a few spikes among 1,000 units. Denoising: a boot under grain goes "
    "in. Masked: a fifth of the boot's patches go in, the others are grey.",
)

# %% [markdown]
# **Sparsity constraint** (희소성 제약). The lecture's loss adds a price for every unit's activity:
#
# $$\tilde E(w) = E(w) + \lambda \sum_{n=1}^{N} \sum_{k=1}^{K} |z_{nk}|$$
#
# Here $z_{nk}$ is unit k of the code of image n; the lecture writes $\lambda \sum_{k=1}^{K} |z_k|$ for one image. E sums
# over the images, and so does the penalty: each image pays for the units it uses. The absolute value
# matters: near 0 it still pulls with full strength λ, so units go to exactly 0; a square would let go.
#
# **Denoising** (노이즈 제거; Vincent, Larochelle, Bengio, Manzagol 2008). A noised $\tilde x_n$ goes in, the
# clean image is the target:
#
# $$E(w) = \sum_{n=1}^{N} \lVert y(\tilde x_n, w) - x_n \rVert^2$$
#
# The lecture writes this one without the ½ of chapter 01. The minimiser is the same; a penalty added to
# it would weigh half as much.
#
# **Masking** (마스킹; He et al. 2021, [2111.06377](https://arxiv.org/abs/2111.06377)). Cut the image into P
# patches, hide a random set M of them, and count the error on the hidden ones alone, d values each:
#
# $$L(w) = \frac{1}{|M|\, d} \sum_{p \in M} \lVert y_p - x_p \rVert^2$$
#
# The lecture hides 80 % of the patches, the paper 75 %. Labels are used nowhere: the image is its own
# teacher, which is called **self-supervised learning** (자기지도학습).

# %% [markdown]
# ## Build
#
# **Sparse.** One layer up, one layer down. The columns of the decoder have unit length: otherwise
# halving z and doubling the columns would halve the price for nothing. The library's `loss` is that of one
# training step; noise or mask are drawn with the random-number generator `rng` that it is given. Its third argument,
# `progress`, is the share of the training that is done; these three models do not use it.

# %%
torch.manual_seed(0)
model = SparseAutoencoder(sparsity=0.3)
batch = train.batch(0, 128)
pixels = batch.images.flatten(1)  # (128, 784)

z = (pixels @ model.encoder.weight.T + model.encoder.bias).relu()  # (128, 1000)
columns = model.columns / model.columns.norm(dim=0)  # (784, 1000)
y = z @ columns.T + model.bias  # (128, 784)
E = 0.5 * (y - pixels).square().sum(dim=1)  # (128,)
loss = (E + 0.3 * z.sum(dim=1)).mean()  # z >= 0 after relu, so |z_k| = z_k

rng = torch.Generator().manual_seed(0)
theirs = model.loss(batch, rng, progress=0.0).value
torch.testing.assert_close(loss, theirs)
print(f"by hand {loss:.4f}, library {theirs:.4f}")

# %% [markdown]
# **Denoising.** The network is convolutional and has no bottleneck: 3,136 features for 784 pixels.

# %%
torch.manual_seed(0)
model = DenoisingAutoencoder(sigma=0.5)
eps = torch.randn(batch.images.shape, generator=torch.Generator().manual_seed(1))
noised = batch.images + 0.5 * eps  # (128, 1, 28, 28), not clipped: it leaves [-1, 1]
y = model.decode(model.encode(noised))  # (128, 1, 28, 28)
loss = (y - batch.images).square().sum(dim=(1, 2, 3)).mean()

theirs = model.loss(batch, torch.Generator().manual_seed(1), progress=0.0).value
torch.testing.assert_close(loss, theirs)
print(f"by hand {loss:.3f}, library {theirs:.3f}; {model.encode(noised).shape[1]:,} features")

# %% [markdown]
# **Masked.** Patches of 4 × 4 pixels become *tokens*, vectors of 160 numbers. In a *transformer* every token
# takes in a weighted mean of all tokens (*attention*); since that ignores their order, a fixed vector for the
# place, `place`, is added first. The encoder works on the 10 visible tokens alone, which makes it cheap; the
# light decoder gets their codes and one learnt token in each of the 39 hidden places.

# %%
torch.manual_seed(0)
model = MaskedAutoencoder(mask_ratio=0.8)
mask = model.random_mask(128, torch.Generator().manual_seed(1))  # (128, 49), 39 True in each row
tokens = model.embed(patchify(batch.images, 4)) + model.place  # (128, 49, 160)
visible = tokens[~mask].reshape(128, 10, 160)
codes = model.narrow(model.encoder(visible))  # (128, 10, 80)
everywhere = model.mask_token.repeat(128, 49, 1)  # (128, 49, 80)
everywhere[~mask] = codes.flatten(0, 1)
y = model.predict(model.decoder(everywhere + model.place[:, :80]))  # (128, 49, 16)
loss = (y - patchify(batch.images, 4)).square()[mask].mean()

theirs = model.loss(batch, torch.Generator().manual_seed(1), progress=0.0).value
torch.testing.assert_close(loss, theirs)
print(f"by hand {loss:.4f}, library {theirs:.4f}")

# %% [markdown]
# ## Train
#
# Each for some seconds, live. **Predict:** which curve falls within the first steps, and which one
# hesitates?

# %%
histories = {}
for kind, steps in (
    (SparseAutoencoder, 600),
    (DenoisingAutoencoder, 400),
    (MaskedAutoencoder, 250),
):
    torch.manual_seed(0)
    histories[kind.name] = fit(kind(), train, steps=steps)

# %%
untaught = {
    "sparse": ("E", 392 * mse(mean_image.expand_as(x), x), "mean image"),
    "denoising": ("mse", 0.5**2, "the noise itself"),
    "masked": ("masked_mse", mse(mean_image.expand_as(x), x), "mean image"),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 2.7))
for ax, (name, (term, level, label)) in zip(axes, untaught.items(), strict=True):
    curve = plots.smooth(histories[name].terms[term], 20)
    ax.plot(range(20, 20 + len(curve)), curve, color=plots.CODE)
    ax.axhline(level, color=plots.BASELINE, linestyle="--")
    ax.annotate(label, (len(curve), level), (0, 3), textcoords="offset points", ha="right")
    ax.set(xlabel="step", ylim=(0, 1.3 * level), title=name)
    assert curve[-1] < level
axes[0].set_ylabel("E per image")
axes[1].set_ylabel("MSE per pixel")
axes[2].set_ylabel("MSE per hidden value")
plots.show(
    figure,
    "Three training curves over a few hundred steps, each falling below its dashed line: the mean image's "
    "error for sparse and masked, the variance of the noise for denoising.",
)

# %% [markdown]
# Masked hesitates: its curve falls at once to about 0.3, slows down there, and then falls on.
#
# From here on, weights that were trained longer are used. They come with the course; each is made by
# one command:

# %%
for name in (*SPARSE.values(), "denoising", "masked"):
    print(read_card(pretrained_folder() / f"{name}.safetensors")["command"])

# %% [markdown]
# ## Look
#
# **What does a unit of the sparse code stand for?** The column of a unit is what it adds to the image.

# %%
z = in_batches(sparse.encode, x)
use = (z > 0).sum(dim=0)  # (1000,) how many of the 10,000 test images switch each unit on
order, columns = use.argsort(descending=True), sparse.dictionary.detach().T
columns = columns / columns.abs().amax(dim=1, keepdim=True)  # black -1, grey 0, white 1
ranks = {"used most": 0, "used less": 100, "hardly used": 600}
rows = {
    name: columns[order[first : first + 12]].reshape(-1, 1, 28, 28) for name, first in ranks.items()
}
figure = plots.image_rows(
    rows, "Units in medium use stand for parts: a heel, a cuff, a neckline, a strap", scale=0.65
)
plots.show(
    figure,
    "Three rows of twelve columns of the decoder at lambda 0.3, grey is 0. The most used: broad shadows and "
    "outlines of tops. The middle ones: single parts of boots, sandals, sleeves, trousers and collars. The "
    "least used: mostly the noise they started from.",
)

# %% [markdown]
# Most of the units that many images use are broad: shadows and outlines of whole garments. Units that fewer
# images use are specific. Those that hardly any image uses still look like the noise of their start. *Never* in the table below means more: used by no test
# image at all, a *dead* unit.
#
# **What do the three give back?**

# %%
rng = torch.Generator().manual_seed(0)
noised = add_noise(x[ten], 0.5, 0.0, rng)
y, mask = masked.fill(x[ten], rng)
figure = plots.image_rows(
    {
        "target x": x[ten],
        "sparse, λ = 0.3": in_batches(sparse.reconstruct, x[ten]),
        "with noise, σ = 0.5": noised,
        "denoised": in_batches(denoising.reconstruct, noised),
        "80 % hidden": hide(x[ten], mask),
        "filled in": torch.where(
            unpatchify(mask[:, :, None].expand(-1, -1, 16), (1, 28, 28)), y, x[ten]
        ),
    },
    "A fifth of the patches is enough to guess the garment, not its print",
)
plots.show(
    figure,
    "Six rows of ten garments: the targets; sparse reconstructions; the targets "
    "under strong grain; denoised, silhouettes and large patterns back, fine texture gone; a fifth of the patches on grey; and "
    "the masked autoencoder's guesses, right in outline, blurred and sometimes wrong in detail.",
)

# %% [markdown]
# ## Explore
#
# **The price of activity.**
#
# 1. At which λ does the print of a T-shirt go, and at which the T-shirt?
# 2. Find an image that needs many more units than the average. What is special about it?
# 3. Do the strongest units of two boots resemble each other?

# %% tags=["widget"]
LambdaExplorer()

# %% [markdown]
# **Noise.** This network was trained with Gaussian noise of σ = 0.5, and with nothing else.
#
# 1. What does it do to a clean image (level 0)?
# 2. From which level on does the output invent things?
# 3. Switch to masking noise, which sets pixels to black. What is left of it in the output, and why?

# %% tags=["widget"]
NoiseExplorer()

# %% [markdown]
# **Masks.** Click single patches on and off.
#
# 1. Choose a shoe. Which single patch, once visible, changes the guess most?
# 2. Hide everything but the background. What does the model think is there?
# 3. Show both shoulders of a shirt. Does it get two sleeves?

# %% tags=["widget"]
MaskExplorer()


# %% [markdown]
# ## Measure
#
# ### Is a sparse code more efficient?
#
# The lecture says that the sparsity constraint learns *more efficient representations* (더 효율적인 표현).
# Efficient at what? Take: **the error at an equal average number of active units.** PCA with k components
# uses the same k for every image; the sparse code may choose other units for every image.
#
# **Predict:** which reconstructs better from about ten active numbers, PCA or the sparse code?

# %%
deep = [row for row in read_study("latent_size") if row["model"] == "deep-ae"]
sparse_models = {k: load_pretrained(name, SparseAutoencoder) for k, name in SPARSE.items()}
found = {}
for k, model in sparse_models.items():
    z = in_batches(model.encode, x)
    active, dead = (z > 0).sum(dim=1).float().mean().item(), ((z > 0).sum(dim=0) == 0).sum().item()
    error = mse(in_batches(model.decode, z), x)
    components = PCA(pca.mean, pca.components[: round(active)])
    found[k] = (active, error, mse(components.reconstruct(x), x))
    print(
        f"λ = {k:<4g} {active:6.1f} of 1,000 units active, {dead:3d} never; MSE {error:.4f}, "
        f"PCA with {round(active):3d} components {found[k][2]:.4f}"
    )
sizes = [2, 4, 8, 16, 32, 64, 128, 256]
lines = {
    "PCA": (sizes, [mse(PCA(pca.mean, pca.components[:k]).reconstruct(x), x) for k in sizes]),
    "deep AE": ([int(r["latent_size"]) for r in deep], [float(r["mse"]) for r in deep]),
    "sparse": ([a for a, _, _ in found.values()], [error for _, error, _ in found.values()]),
}
figure, ax = plt.subplots(figsize=(7, 3.2))
colors = (plots.BASELINE, plots.MODEL, plots.CODE)
for line, color in zip(lines.values(), colors, strict=True):
    ax.loglog(*line, "o-", color=color)
above = {"xytext": (4, 3), "textcoords": "offset points"}
for name, color in (("PCA", plots.BASELINE), ("deep AE", plots.MODEL)):
    ax.annotate(name, [values[0] for values in lines[name]], color=color, **above)
for k, (active, error, _) in found.items():
    label = f"sparse, λ = {k:g}" if k == 3 else f"λ = {k:g}"
    ax.annotate(label, (active, error), color=plots.CODE, fontsize=9, **above)
ax.set_xticks(sizes, sizes)
ax.set_yticks([0.02, 0.04, 0.08, 0.16], ["0.02", "0.04", "0.08", "0.16"])
ax.minorticks_off()
ax.set(xlim=(0.9, 500), xlabel="numbers that are not 0, per image", ylabel="MSE per pixel")
ax.set_title("With few active units the sparse code is ahead of PCA")
plots.show(
    figure,
    "Error against active numbers, both on logarithmic axes. The sparse code's line runs below PCA's from 3 to "
    "48 active units and meets it near 190. The deep autoencoder's line is lowest up to about 16 numbers, "
    "then flat, above the sparse one.",
)
as_good = next(
    k
    for k in range(20, 60)
    if mse(PCA(pca.mean, pca.components[:k]).reconstruct(x), x) <= found[1.0][1]
)
print(f"PCA needs {as_good} components for the error of λ = 1, {found[1.0][0]:.1f} active units")
assert as_good > 2 * found[1.0][0]
for k in (0.3, 1.0, 3.0):
    assert found[k][1] < 0.8 * found[k][2]
assert found[0.1][1] > 0.95 * found[0.1][2]

# %% [markdown]
# By this criterion the claim holds here for few active units, up to about fifty: for the error at λ = 1 PCA
# needs more than twice as many numbers. With 190 of them active the advantage is gone. Two
# things to keep in mind. The criterion does not count the cost of *naming* the active units; and
# the deep autoencoder of chapter 01 (2,000 steps) does better still with up to about sixteen numbers, each of which
# can mean anything. The sparse units are easier to read: each adds one picture.

# %% [markdown]
# ### Does denoising beat a filter?
#
# Vincent et al. set random pixels to black, *masking noise*; this network was trained with Gaussian noise,
# since its residual has a meaning (below), and has met σ = 0.5 only. A Gaussian blur and a median filter
# remove noise without having seen a garment. Their widths are tuned on training images, for each level of
# either noise.
#
# **Predict:** at which of the three Gaussian levels is the gap largest? And does the network help
# against a noise that it has never met?


# %%
def blur(x, width):
    return torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, width, width)))


def median(x, size):
    return torch.from_numpy(median_filter(x.numpy(), (1, 1, size, size)))


few, measured = train.subset(1_000).x, x[:2_000]
table = {}
for sigma, dropped in ((0.25, 0), (0.5, 0), (1.0, 0), (0.0, 0.1), (0.0, 0.25), (0.0, 0.5)):
    rng = torch.Generator().manual_seed(0)
    tuned_on, noised = (add_noise(part, sigma, dropped, rng) for part in (few, measured))
    width = max((0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0), key=lambda w: psnr(blur(tuned_on, w), few))
    size = max((1, 3, 5, 7), key=lambda s: psnr(median(tuned_on, s), few))
    table[f"{dropped:.0%} black" if dropped else f"σ = {sigma:g}"] = {
        "noised": psnr(noised, measured),
        f"blur {width}": psnr(blur(noised, width), measured),
        f"median {size}": psnr(median(noised, size), measured),
        "network": psnr(in_batches(denoising.reconstruct, noised), measured),
    }
figure, axes = plt.subplots(2, 3, figsize=(9, 4.4), sharex=True)
colors = [*3 * [plots.BASELINE], plots.MODEL]
for ax, (level, row) in zip(axes.flat, table.items(), strict=True):
    plots.bars(ax, row, colors, "{:.1f}")
    ax.set(xlim=(0, 29))
    ax.set_title(level, fontweight="normal")
for ax in axes[1]:
    ax.set_xlabel("PSNR in dB")
title = "The network is far ahead at the noise it knows, and little or not at all elsewhere"
figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
told = "; ".join(
    f"{level}: " + ", ".join(f"{name} {value:.1f}" for name, value in row.items())
    for level, row in table.items()
)
plots.show(figure, f"Bars of PSNR in dB for three levels of each of two noises. {told}.")
gains = {level: row["network"] - max([*row.values()][1:3]) for level, row in table.items()}
print("over the better filter:", ", ".join(f"{v:+.2f} dB at {k}" for k, v in gains.items()))
assert gains["σ = 0.5"] >= 3
assert gains["σ = 0.5"] > gains["σ = 0.25"] > 0 > gains["σ = 1"]
assert 2 > gains["10% black"] > gains["25% black"] > gains["50% black"]

# %% [markdown]
# At the level that it was trained for, the network is far ahead: a filter knows that neighbours resemble
# each other, the network knows what garments look like. At half that level the gap is smaller. At twice that
# level a plain blur wins: the network takes the noise it has never met for garment. Against pixels set to
# black it is little better than a filter, and no better where half of them are. It has learnt **one** noise at
# **one** level. Chapter 06 tells its network which level it sees.

# %% [markdown]
# ### The residual is a direction
#
# What a denoising autoencoder changes, $y(\tilde x) - \tilde x$, points from the noised image towards
# the data. For Gaussian noise it is more than a picture. The least squared error is reached by the mean of
# all clean $x$ that could have given $\tilde x$; and differentiating the density of the noised data,
# $p_\sigma(\tilde x) = \int p(x)\, \mathcal N(\tilde x; x, \sigma^2 I)\, dx$, under the integral brings
# down a factor $(x - \tilde x) / \sigma^2$, so that (Vincent 2011)
#
# $$\mathbb{E}[x \mid \tilde x] - \tilde x = \sigma^2 \, \nabla_{\tilde x} \log p_\sigma(\tilde x) .$$
#
# The residual of the best denoiser points uphill in log-density. On eight Gaussians in the plane both sides are known in
# closed form. **Predict:** where between the eight does the arrow have length 0?

# %%
toy, sigma = load_toy("eight_gaussians"), 0.5
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))
optimiser = torch.optim.Adam(net.parameters(), 3e-3)
rng = torch.Generator().manual_seed(0)
for _ in range(1_500):
    clean = toy.sample(512, rng)  # (512, 2)
    spoilt = clean + sigma * torch.randn(clean.shape, generator=rng)
    error = (net(spoilt) - clean).square().sum(dim=1).mean()
    optimiser.zero_grad()
    error.backward()
    optimiser.step()

places = plots.plane(15, limit=3.0).requires_grad_()
log_p = Mixture("noised", toy.means, (toy.sigma**2 + sigma**2) ** 0.5).log_prob(places)
(score,) = torch.autograd.grad(log_p.sum(), places)
exact = sigma**2 * score
learnt = (net(places) - places).detach()
likely = log_p.detach().exp() > 0.01
cosine = nn.functional.cosine_similarity(learnt, exact, dim=1)[likely]
print(
    f"cosine between learnt and exact arrows: median {cosine.median():.3f}, least {cosine.min():.3f}"
)

figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True)
spots = places.detach()
for ax, arrows, title in zip(
    axes, (learnt, exact), ("learnt: y(x̃) − x̃", "exact: σ² ∇ log p(x̃)"), strict=True
):
    plots.points(ax, toy.sample(600, rng), size=2)
    ax.quiver(
        *spots.T,
        *arrows.T,
        color=plots.MODEL,
        angles="xy",
        scale_units="xy",
        scale=1.6,
        width=0.004,
    )
    ax.set_title(title, fontweight="normal")
title = "The learnt arrows are the exact ones, nearly: all lead to the data"
figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
plots.show(
    figure,
    "Two fields of arrows around eight clusters on a circle, learnt and exact, nearly the same: arrows "
    "lead to the nearest cluster from all sides, and are short in the centre and halfway between two "
    "neighbours. Arrows are drawn at five eighths of their length.",
)
assert cosine.median() > 0.98

# %% [markdown]
# The arrow vanishes in the centre and halfway between neighbours: there the clusters pull equally. Now
# images:

# %%
five = ten[[0, 2, 3, 7, 8]]
noised = add_noise(x[five], 0.5, 0.0, torch.Generator().manual_seed(0))
y = in_batches(denoising.reconstruct, noised)
change, noise = (y - noised).flatten(1), (noised - x[five]).flatten(1)
likeness, blurred = (
    nn.functional.cosine_similarity(part, -noise, dim=1).mean().item()
    for part in (change, (blur(noised, 0.8) - noised).flatten(1))
)
print(f"cosine with the noise taken back: network {likeness:.2f}, blur {blurred:.2f}")
rows = {"noised x̃": noised, "y(x̃) − x̃": y - noised, "x − x̃": x[five] - noised, "y(x̃)": y}
figure = plots.image_rows(rows, f"The residual takes the noise back (cosine {likeness:.2f})", 1.0)
plots.show(
    figure,
    "Four rows of five garments: noised images; the network's change, grain; the true change, nearly the "
    "same grain, speck by speck; and the results, clean.",
)
assert likeness > max(0.9, blurred)

# %% [markdown]
# A network that knows this direction at one level of noise cleans images. One that knows it at
# **every** level can start from pure noise: that is chapter 06.

# %% [markdown]
# ### How much to hide, and where to count
#
# The stored study (`gen_course/ch02_sparse_denoising_masked/studies/masking.py`) trains one masked autoencoder for each share of
# hidden patches, and one whose loss counts visible patches as well.
#
# **Predict:** hide less, and each hidden patch is easier to guess. Is the representation better too?

# %%
study = read_study("masking")
for row in study:
    what = "all patches" if row["all_patches"] == "True" else "hidden ones"
    print(
        f"hides {float(row['mask_ratio']):3.0%}, counts {what}: MSE of hidden {row['masked_mse']}, "
        f"if 80 % are hidden {row['masked_mse_at_80']}, probe {row['probe_10000']}, {row['minutes']} min"
    )
*chosen, ablation = study
ratios = [100 * float(row["mask_ratio"]) for row in chosen]
figure, axes = plt.subplots(1, 3, figsize=(9, 2.6))
panels = (
    ("masked_mse", "MSE of hidden values", "Hidden patches get harder ..."),
    ("probe_10000", "probe's accuracy", "... the code no better ..."),
    ("minutes", "minutes", "... and training cheaper"),
)
for ax, (key, label, title) in zip(axes, panels, strict=True):
    ax.plot(ratios, [float(row[key]) for row in chosen], "o-", color=plots.CODE)
    ax.plot(80, float(ablation[key]), "x", color=plots.MODEL, markersize=9, markeredgewidth=2)
    ax.set(xlabel="hidden patches in %", ylabel=label, title=title, xticks=[20, 50, 80])
note = {"color": plots.MODEL, "fontsize": 9, "textcoords": "offset points", "ha": "center"}
axes[1].annotate("loss on all", (80, float(ablation["probe_10000"])), (0, 8), **note)
axes[1].set_ylim(0.75, 0.85)
axes[2].set_ylim(0)
plots.show(
    figure,
    "Three panels against the share of hidden patches, from 20 to 95 per cent. The error of hidden values "
    "rises. The probe's accuracy falls a little, from 0.82 to 0.79. The minutes for 1,000 steps fall to a "
    "third. A cross at 80 per cent, the loss on all patches, lies below the line of errors and above the "
    "probe's.",
)
probes = [float(row["probe_10000"]) for row in chosen]
assert probes[0] == max(probes)
assert probes[-1] == min(probes)
assert max(probes[:4]) - min(probes[:4]) < 0.03
at_80 = chosen[3]
assert float(ablation["masked_mse"]) < float(at_80["masked_mse"])
assert float(ablation["probe_10000"]) > float(at_80["probe_10000"])
assert float(chosen[0]["masked_mse_at_80"]) > 1.5 * float(at_80["masked_mse"])
minutes = [float(row["minutes"]) for row in chosen]
assert minutes == sorted(minutes, reverse=True)

# %% [markdown]
# This is one run each, so do not trust differences of a few thousandths. At equal *steps*, hiding less gives
# the slightly better probe here, and takes longer: the encoder sees more patches. The paper hides most of the
# image to make the task hard enough to be worth learning; in so short a training that gain is not visible, the
# saving is. The ratio also has to fit the use: a model that hid 20 % in training makes more than one and a half
# times the error when 80 % are hidden.
#
# The cross is the **ablation**: the same 80 %, but the loss counts all patches. You may expect harm, since a
# visible patch can be copied. In this one run of 1,000 steps there is none: the error on hidden patches is
# *smaller* and the probe *better*. What a long training would say is not measured here.

# %% [markdown]
# ### The ladder: five autoencoders, one clock
#
# The stored study (`gen_course/ch02_sparse_denoising_masked/studies/ladder.py`) trains each for the same minutes and reads all with
# the same linear probe: a logistic regression (chapter 01 used another, so do not compare the numbers), its
# penalty chosen on 5,000 further labelled images. *Untrained* is the same network with random weights: what its
# form alone gives. *Code* counts the numbers that the encoder gives; *read* those that the probe reads, which
# for the denoising and the masked autoencoder are means over the places of the image.

# %%
ladder = {row["model"]: row for row in read_study("ladder")}
columns = {
    "MSE": "mse",
    "100 labels": "probe_100",
    "10,000": "probe_10000",
    "untrained": "untrained_10000",
    "steps": "steps",
    "weights": "weights",
    "code": "code",
    "read": "features",
}
score = {name: float(row["probe_10000"]) for name, row in ladder.items()}
few_labels = {name: float(row["probe_100"]) for name, row in ladder.items()}
gain = {name: score[name] - float(ladder[name]["untrained_10000"]) for name in [*ladder][2:]}
assert [name for name in ladder if score[name] > score["pixels"]] == ["sparse"]
assert max(few_labels, key=few_labels.get) == "deep" == max(gain, key=gain.get)
assert min(gain, key=gain.get) == "sparse"
assert max(few_labels["PCA"], few_labels["basic"]) < few_labels["pixels"]
assert max(score["denoising"], score["masked"]) < score["pixels"]
print(f"{ladder['basic']['minutes']} minutes each, on one core")
print(f"{'':>9}" + "".join(f"{name:>11}" for name in columns))
for name, row in ladder.items():
    print(f"{name:>9}" + "".join(f"{row[key] or 'n/a':>11}" for key in columns.values()))
figure, ax = plt.subplots(figsize=(7, 3.2))
places = range(len(ladder))
dots = (
    ("  10,000 labels", "probe_10000", "o", plots.CODE, "left"),
    ("10,000, untrained  ", "untrained_10000", "x", plots.BASELINE, "right"),
    ("100 labels", "probe_100", "o", plots.GENERATOR, "center"),
)
for label, key, marker, color, side in dots:
    values = [float(row[key] or "nan") for row in ladder.values()]
    ax.plot(values, places, marker, color=color, markeredgewidth=2)
    ax.annotate(label, (values[-1], 6.3), color=color, fontsize=9, ha=side, va="top")
ax.set_yticks(places, list(ladder))
ax.set(xlabel="probe's test accuracy", xlim=(0.58, 0.9), ylim=(7, -0.5))
ax.set_title("With 10,000 labels the wide sparse code is the easiest to read")
plots.show(
    figure,
    "Accuracy of the probe for pixels, PCA and five autoencoders, with 10,000 labels (also from the untrained "
    "network) and with 100. With 10,000 the sparse code leads with 0.86, its untrained version close behind; only "
    "it is ahead of the pixels' 0.83. With 100 labels the deep code of 16 numbers leads with 0.70.",
)

# %% [markdown]
# What the table says:
#
# - **With 10,000 labels the sparse code is best, and alone ahead of the pixels.** But 1,000 random units with
#   relu get most of the way. Training adds the least there, and the most to the deep autoencoder.
# - **With 100 labels the deep code is best.** Its size is not the reason: PCA and the basic code have sixteen
#   numbers, too, and are behind the pixels.
# - **A small error does not make a readable code.** The denoising network reconstructs clean images
#   best, from 3,136 features; the 64 means that the probe reads are worse than the pixels. What the features
#   hold before the averaging, the table does not say.
# - **Masking is slow to pay.** On this clock it made the fewest steps and stays below the pixels. The lecture calls it an
#   effective method of self-supervised learning; on two minutes of one core it is not.
#
# And with more time? The shipped masked autoencoder, under the same probe:

# %%
subset = train.subset(15_000)
h, h_test = (in_batches(masked.features, part, size=100) for part in (subset.x, x))
ten_thousand = Labelled(h[:10_000], subset.labels[:10_000])
others = Labelled(h[10_000:], subset.labels[10_000:])
longer = linear_probe(ten_thousand, others, Labelled(h_test, test.labels))
steps = read_card(pretrained_folder() / "masked.safetensors")["steps"]
times = steps / int(ladder["masked"]["steps"])
print(f"masked, {times:.0f} times the steps: {longer:.4f}; pixels: {score['pixels']:.4f}")
assert longer > max(0.85, *score.values())

# %% [markdown]
# So many more steps, and it passes the pixels and every row of the table (whose models had less
# time): effective, with a condition.

# %% [markdown]
# ## Break it: make activity too expensive
#
# λ = 30 is ten times the largest price above. **Predict:** what does every reconstruction look like?


# %%
def train_sparse(sparsity, steps=300):
    torch.manual_seed(0)
    model = SparseAutoencoder(sparsity=sparsity)
    fit(model, train, steps=steps)
    z = in_batches(model.encode, x)
    return in_batches(model.decode, z), (z > 0).sum(dim=1).float().mean().item()


outcome = {price: train_sparse(price) for price in (30.0, 0.3)}
rows = {"input": x[ten]} | {f"λ = {price:g}": y[ten] for price, (y, _) in outcome.items()}
figure = plots.image_rows(rows, "Too high a price: silence, and one picture for everything")
plots.show(
    figure,
    "Three rows: ten garments; with lambda 30, ten times the same grey shadow; with lambda 0.3, recognisable "
    "garments again.",
)
for price, (y, active) in outcome.items():
    print(f"λ = {price:<4g} {active:5.1f} active units, MSE {mse(y, x):.4f}")
shadow = mse(mean_image.expand_as(x), x)
farthest = (x - mean_image).flatten(1).norm(dim=1).max().item()
print(f"mean image: MSE {shadow:.4f}; the farthest image is {farthest:.1f} away from it")
assert farthest < 30
assert outcome[30.0][1] < 0.5
assert mse(outcome[30.0][0], x) > 0.9 * shadow
assert mse(outcome[0.3][0], x) < 0.5 * shadow

# %% [markdown]
# **Symptom:** hardly a unit is active, the error is that of one grey picture for all. **Cause:** to switch on,
# a unit must save more error than it costs; near z = 0 a unit saves at most $|w_k^T r| \le \lVert r \rVert$ per
# unit of activity, with r what is still missing, and no test image is as far as 30 from the mean image.
# **Repair:** a smaller λ. A dead unit gets no gradient through relu, so it stays dead.

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("02_sparse_denoising_masked")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All five are
# [solved](solutions/02_sparse_denoising_masked.ipynb).

# %% tags=["setup"]
from gen_course.ch02_sparse_denoising_masked.checks import (
    check_denoising_loss,
    check_masked_loss,
    check_random_mask,
    check_sparse_loss,
    check_to_patches,
)

# %% [markdown]
# **1. The sparse loss** (5 minutes). Reconstructions `y` and images `x` are (N, C, H, W), codes `z` are
# (N, K). Return one number: the mean over the images of E(w) (chapter 01: a sum over pixels, with its 1/2) plus
# `sparsity` times $\sum_k |z_k|$.


# %% tags=["exercise"]
def sparse_loss(y, x, z, sparsity):
    """E(w) per image plus lambda sum_k |z_k|, one number."""
    # Hint: which dimensions are summed, and which one is averaged?
    ### BEGIN SOLUTION
    error_of_image = 0.5 * (y - x).square().flatten(1).sum(dim=1)  # (N,)
    return (error_of_image + sparsity * z.abs().sum(dim=1)).mean()
    ### END SOLUTION


# %%
check_sparse_loss(sparse_loss)

# %% [markdown]
# **2. The denoising loss** (10 minutes). Add Gaussian noise of standard deviation `sigma` to the images
# `x` (N, C, H, W), drawn with the random-number generator `rng` and not clipped; give the result to `model`, which returns
# images of the same shape; return $\lVert y(\tilde x) - x \rVert^2$ as the lecture writes it, without a
# 1/2: summed over the pixels, averaged over the images.


# %% tags=["exercise"]
def denoising_loss(model, x, sigma, rng):
    """The squared error of the denoised images, one number."""
    # Hint: torch.randn(x.shape, generator=rng). What should come out of the model?
    ### BEGIN SOLUTION
    noised_x = x + sigma * torch.randn(x.shape, generator=rng)
    return (model(noised_x) - x).square().flatten(1).sum(dim=1).mean()
    ### END SOLUTION


# %%
check_denoising_loss(denoising_loss)

# %% [markdown]
# **3. Cut images into patches** (20 minutes). Cut images (N, C, H, W) into squares of `patch` pixels, row
# by row, and flatten each, channel by channel: (N, patches, C patch²). No loop, no `unfold`.


# %% tags=["exercise"]
def to_patches(x, patch):
    """Images (N, C, H, W) to patches (N, patches, C * patch * patch)."""
    # Hint: reshape H into (H / patch, patch), W likewise; permute; reshape again.
    ### BEGIN SOLUTION
    n, c, h, w = x.shape
    squares = x.reshape(n, c, h // patch, patch, w // patch, patch)
    squares = squares.permute(0, 2, 4, 1, 3, 5)  # (N, row, column, C, patch, patch)
    return squares.reshape(n, -1, c * patch * patch)
    ### END SOLUTION


# %%
check_to_patches(to_patches)

# %% [markdown]
# **4. A random mask** (15 minutes). Return truth values (n, patches) that are True in exactly
# round(ratio · patches) places of every row, all places equally likely, each row drawn for itself. Exactly,
# because the encoder stacks the visible patches of all images into one tensor.


# %% tags=["exercise"]
def draw_mask(n, patches, ratio, rng):
    """A mask (n, patches), True where a patch is hidden."""
    # Hint: rank random numbers. What does argsort of a row of random numbers hold?
    ### BEGIN SOLUTION
    order = torch.rand(n, patches, generator=rng).argsort(dim=1)  # a permutation in each row
    return order < round(ratio * patches)
    ### END SOLUTION


# %%
check_random_mask(draw_mask)

# %% [markdown]
# **5. The loss on what is hidden** (15 minutes). Predicted images `y` and true images `x` are (N, C, H, W),
# `mask` is (N, patches), True where hidden. Return the mean squared error over all values of the hidden
# patches. `patchify(x, patch)` is your exercise 3 from the library.


# %% tags=["exercise"]
def masked_loss(y, x, mask, patch):
    """Mean squared error over the values of the hidden patches, one number."""
    # Hint: a tensor (N, patches, values) takes a mask (N, patches) as its index.
    ### BEGIN SOLUTION
    hidden_differences = patchify(y - x, patch)[mask]  # (N hidden, values)
    return hidden_differences.square().mean()
    ### END SOLUTION


# %%
check_masked_loss(masked_loss)


# %% [markdown]
# ## Summary
#
# - A code larger than the image needs another constraint than its size: a price, noise, or hiding.
# - **Sparse:** few units are active for each image, and many of them stand for a visible part. More efficient than PCA
#   by the error at equal activity, as long as few are active. Weakness: dead units, and λ has to be found.
# - **Denoising:** several dB ahead of tuned filters at the noise it was trained for, behind a blur at
#   twice that. Its residual points to where the data are dense.
# - **Masked:** guesses garments from a fifth of their patches; trained long, its pooled code is easier to
#   read than the pixels. Weakness: hungry for training, and no single code to sample from.
# - None of the three comes with a distribution of codes to draw from. How a denoiser becomes a sampler all the
#   same is chapter 06.
#
# **Next:** chapter 03 puts a distribution on the code.
#
# **Further reading.** P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, *Extracting and Composing Robust
# Features with Denoising Autoencoders*, ICML 2008. P. Vincent, *A Connection Between Score Matching and
# Denoising Autoencoders*, Neural Computation 23(7), 2011. K. He et al., *Masked Autoencoders Are Scalable Vision
# Learners*, 2021, [2111.06377](https://arxiv.org/abs/2111.06377).

# %%
print(timing.report())
