# %% [markdown]
# # 01 · Autoencoders: what does a short code keep of an image?
#
# **Question.** How much of an image survives in sixteen numbers - and can you make new images by
# making up the numbers?
#
# **Afterwards you can** build and train a linear and a deep autoencoder, explain what the linear one
# has to do with PCA, measure what a code keeps, and show why a plain autoencoder is not a generative
# model.
#
# **Know first:** chapter [00](00_start_here.ipynb); what a neural network and gradient descent are.

# %% tags=["setup"]

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import FancyBboxPatch, Polygon
from sklearn.linear_model import RidgeClassifier
from torch import nn

from gen_course.ch01_autoencoders.checks import check_reconstruction_loss
from gen_course.ch01_autoencoders.explorers import LatentExplorer
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_lib.data import load
from gen_lib.metrics import mse, nearest, psnr
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import ConvAutoencoder, DeepAutoencoder, LinearAutoencoder
from gen_lib.models.autoencoder import PCA, reconstruction_loss
from gen_lib.models.base import in_batches
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card

plots.use_style()
images = load("fashion_mnist")
train, test = images.train, images.test
x = test.x  # (10000, 1, 28, 28) in [-1, 1]
shipped = load_pretrained("deep-ae", DeepAutoencoder)
pca = PCA.fit(train.x, 64)
pca16 = PCA(pca.mean, pca.components[:16])
error_pca = mse(pca16.reconstruct(x), x)
print(timing.stated("01_autoencoders"))

# %% [markdown]
# ## Idea
#
# An **autoencoder** (오토인코더) maps a high-dimensional input to a low-dimensional **latent code** (잠재
# 표현) by its **encoder** (인코더), and back to the input by its **decoder** (디코더). The code is a
# **bottleneck**: what does not pass through it is lost, so training has to find out what is worth keeping. The lecture names four types: the *basic* one, here, and the
# *sparse*, the *denoising* and the *masked* one of chapter 02.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7, 2.3))
sample = test.images[0, 0]
for left, picture, name in ((0.0, sample, "x"), (5.6, None, "y(x, w)")):
    if picture is None:
        picture = shipped.reconstruct(x[:1]).detach()[0, 0].clamp(-1, 1)
    ax.imshow(picture, extent=(left, left + 1.4, 0.3, 1.7), cmap="gray", aspect="auto")
    ax.text(left + 0.7, 0.1, name, ha="center", va="top")
encoder = [(1.7, 0.3), (1.7, 1.7), (2.9, 1.25), (2.9, 0.75)]
decoder = [(4.1, 0.75), (4.1, 1.25), (5.3, 1.7), (5.3, 0.3)]
for corners, name in ((encoder, "encoder"), (decoder, "decoder")):
    ax.add_patch(Polygon(corners, color=plots.CODE, alpha=0.25))
    ax.text(sum(p[0] for p in corners) / 4, 1.0, name, ha="center", va="center")
box = FancyBboxPatch((3.2, 0.8), 0.6, 0.4, boxstyle="round,pad=0.05", color=plots.CODE)
ax.add_patch(box)
ax.text(3.5, 1.0, "z", ha="center", va="center", color="white", fontweight="bold")
ax.text(3.5, 0.6, "16 numbers", ha="center", va="top")
ax.text(0.7, 1.75, "784 numbers", ha="center", va="bottom")
ax.text(6.3, 1.75, "784 numbers", ha="center", va="bottom")
ax.set(xlim=(-0.1, 7.1), ylim=(-0.15, 2.05))
ax.axis("off")
plots.show(
    figure,
    "An ankle boot of 784 pixels passes through an encoder that narrows to a code z of 16 numbers "
    "and a decoder that widens again to a somewhat smoother picture of the same boot.",
)

# %% [markdown]
# Training minimises the lecture's **loss function** (손실 함수) over the N images and the weights w of both networks,
#
# $$E(w) = \frac{1}{2} \sum_{n=1}^{N} \lVert y(x_n, w) - x_n \rVert^2 .$$
#
# Three readings of it appear in code, and they are not the same number:
#
# | Reading | Formula | Used for |
# |---|---|---|
# | the lecture's E | sum over all images | the mathematics |
# | per image, E / N | mean over a minibatch of ½ ‖y − x‖² | the training step |
# | per pixel, 2E / (N D) | mean squared error, D = 784 pixels | tables |
#
# They have the same minimiser. But add a second term to the loss (chapters 02 and 03 do), and it
# matters which one you add it to.

# %% [markdown]
# ## Build
#
# A deep autoencoder is two stacks of layers and one line of loss.


# %%
class Autoencoder(nn.Module):
    def __init__(self, d=784, k=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),  # (N, 784)
            nn.Linear(d, 512),
            nn.GELU(),
            nn.Linear(512, 256),
            nn.GELU(),
            nn.Linear(256, k),  # z: (N, 16)
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 256),
            nn.GELU(),
            nn.Linear(256, 512),
            nn.GELU(),
            nn.Linear(512, d),
            nn.Unflatten(1, (1, 28, 28)),  # y: (N, 1, 28, 28)
        )

    def forward(self, x):  # (N, 1, 28, 28)
        return self.decoder(self.encoder(x))


def loss(y, x):
    return 0.5 * ((y - x) ** 2).flatten(1).sum(dim=1).mean()


check_reconstruction_loss(loss)

# %% [markdown]
# The library's `DeepAutoencoder` is the same network with the same loss. From the same seed they
# agree in output and in every gradient:

# %%
torch.manual_seed(0)
mine = Autoencoder()
torch.manual_seed(0)
theirs = DeepAutoencoder()
batch = train.batch(0, 128).images
losses = loss(mine(batch), batch), reconstruction_loss(theirs.reconstruct(batch), batch)
for value in losses:
    value.backward()
assert torch.equal(*losses)
pairs = zip(mine.parameters(), theirs.parameters(), strict=True)
assert all(torch.equal(a.grad, b.grad) for a, b in pairs)
print(f"Same loss ({losses[0].item():.2f} per image) and same gradients.")

# %% [markdown]
# ## Train the simplest one: linear, and compare with PCA
#
# Leave out the non-linearities: one matrix down to z, one matrix up again. This is the lecture's
# *basic autoencoder* in its simplest form, and its optimum is known: the projection onto the first
# **principal components** of the data; every other critical point of E is a saddle (Baldi & Hornik
# 1989). So gradient descent should end where PCA's closed form does.
#
# **Predict:** will the columns of the decoder's matrix be the principal components, in their order?

# %%
torch.manual_seed(0)
linear = LinearAutoencoder(latent_size=16)
history = fit(linear, train, steps=1_800, batch_size=256)

error_linear = mse(in_batches(linear.reconstruct, x), x)
gap = error_linear / error_pca - 1
print(f"test MSE per pixel: linear {error_linear:.5f}, PCA {error_pca:.5f}, {100 * gap:+.2f} %")
assert abs(gap) < 0.005

# %% [markdown]
# The errors agree. And the planes (here: the 16-dimensional subspaces of all reconstructions) and the
# axes?

# %%
decoder_matrix = linear.decoder[0][0].weight.detach()  # (784, 16): an image per unit of z
basis = torch.linalg.qr(decoder_matrix).Q
cosines = torch.linalg.svdvals(basis.T @ pca16.components.T)
angles = torch.rad2deg(torch.acos(cosines.clamp(max=1)))
print("angles between the two planes, in degrees:", [round(a, 1) for a in angles.tolist()])
variance = PCA(pca.mean, pca.components[:17]).encode(train.x).var(dim=0)
print(f"variance along the 16th and 17th component: {variance[15]:.2f} and {variance[16]:.2f}")
unit = decoder_matrix / decoder_matrix.norm(dim=0)
alignment = (pca16.components @ unit).abs().max(dim=0).values
print(f"largest |cosine| of a unit with any principal component: {alignment.max():.2f}")


def as_images(rows):
    return (rows / rows.abs().amax(dim=1, keepdim=True)).reshape(-1, 1, 28, 28)


rows = {"PCA": as_images(pca16.components[:8]), "linear AE": as_images(unit.T[:8])}
figure = plots.image_rows(rows, "Nearly one plane, other axes: PCA orders them, the AE mixes")
plots.show(
    figure,
    "Two rows of eight direction images, grey is 0. PCA's first shows a top's outline, its second "
    "trousers against wide garments, its sixth sleeves. The linear autoencoder's are blends of these.",
)

# %% [markdown]
# The planes agree, up to the last direction: the 16th and the 17th principal component explain nearly
# the same variance, and E hardly cares which one is kept. The axes do not agree at all.
#
# Why? Take any invertible matrix A: the code A z with the decoder's matrix times A⁻¹ gives the same
# reconstructions, so E cannot prefer one set of axes. PCA adds what E does not ask for: orthonormal
# directions, ordered by variance.

# %% [markdown]
# ## Train a deep one
#
# **Non-linear layers** (비선형 레이어) let the code bend. 2,500 steps, live:

# %%
torch.manual_seed(0)
deep = DeepAutoencoder(latent_size=16)
history = fit(deep, train, steps=2_500)

figure, ax = plt.subplots(figsize=(7, 2.6))
curve = plots.smooth(history.terms["mse"], 100)
seconds = torch.tensor(history.seconds)[-len(curve) :]
ax.plot(seconds, curve, color=plots.CODE)
ax.axhline(error_pca, color=plots.BASELINE, linestyle="--")
above = {"xytext": (0, 4), "textcoords": "offset points"}
ax.annotate("PCA, 16 components, test", (seconds[-1], error_pca), ha="right", **above)
ax.set(xlabel="seconds of training", ylabel="training MSE per pixel", ylim=(0, 2.2 * error_pca))
crossing = seconds[(curve < error_pca).nonzero()[0, 0]].item()
ax.set_title(f"After {crossing:.0f} seconds the deep autoencoder is past PCA")
plots.show(
    figure,
    "Training error against seconds. It drops steeply, crosses the dashed line of PCA's error early "
    "and goes on falling slowly.",
)

# %% [markdown]
# Longer training and **convolutions** come as shipped weights. A convolutional encoder looks at the
# image in small windows that share their weights, and shrinks it by a stride of two:

# %%
print(load_pretrained("conv-ae", ConvAutoencoder).encoder)
for name in ("deep-ae", "conv-ae"):
    card = read_card(pretrained_folder() / f"{name}.safetensors")
    print(f"{card['command']}   ({card['minutes']} minutes)")

# %%
models = {
    "linear, live": linear,
    "deep, live": deep,
    "deep, shipped": shipped,
    "convolutional, shipped": load_pretrained("conv-ae", ConvAutoencoder),
}
outputs = {"mean image": train.x.mean(dim=0).expand_as(x), "PCA": pca16.reconstruct(x)}
outputs |= {name: in_batches(model.reconstruct, x) for name, model in models.items()}
weights = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
weights |= {"mean image": 784, "PCA": 17 * 784}
print(f"{'16 numbers per image':>24} {'MSE':>8} {'PSNR':>8} {'of PCA':>7} {'weights':>10}")
for name, y in outputs.items():
    part = mse(y, x) / error_pca
    print(f"{name:>24} {mse(y, x):8.4f} {psnr(y, x):6.2f} dB {part:7.2f} {weights[name]:10,}")
assert mse(outputs["deep, live"], x) < 0.7 * error_pca
assert mse(outputs["convolutional, shipped"], x) < mse(outputs["deep, shipped"], x)

# %% [markdown]
# The convolutional one is the best of all with a quarter of the deep one's weights - and pays with
# time: fewer steps in more minutes.

# %% [markdown]
# ## Look

# %%
ten = torch.stack([(test.labels == k).nonzero()[3, 0] for k in range(10)])
conv = load_pretrained("conv-ae", ConvAutoencoder)
with torch.no_grad():
    shown = {
        "input": x[ten],
        "PCA": pca16.reconstruct(x[ten]),
        "deep, shipped": shipped.reconstruct(x[ten]),
        "convolutional, shipped": conv.reconstruct(x[ten]),
    }
shown["deep, error"] = (shown["deep, shipped"] - x[ten]).abs() - 1
figure = plots.image_rows(shown, "A deep code of sixteen numbers keeps shapes, not prints")
plots.show(
    figure,
    "Five rows of ten garments: input, PCA, deep and convolutional reconstructions, and the deep "
    "one's absolute error. PCA is blurred and turns the sandal into a shoe and the bag "
    "into stripes; the deep and convolutional ones keep the silhouettes. The error (black 0, white 2) is "
    "brightest on prints, edges and textures.",
)

# %% [markdown]
# ## The encoder's four roles
#
# The lecture names four; each can be seen.
#
# **1. Another representation** (다른 표현) and **2. compression** (압축): sixteen numbers say what 784
# pixels said.

# %%
z = in_batches(shipped.encode, x)
print("code of the first test image:", [round(v, 1) for v in z[0].tolist()])
pixels, numbers = x[0].numel(), z.shape[1]
print(f"{pixels} numbers become {numbers}: a factor of {pixels / numbers:.0f};")
print(f"{pixels} bytes become {4 * numbers} as float32: a factor of {pixels / (4 * numbers):.0f}.")

# %% [markdown]
# **3. Features** (특징 추출). Is the class easier to read from the code than from the pixels? A
# *linear probe* (Alain & Bengio 2016, [1610.01644](https://arxiv.org/abs/1610.01644)) answers: train
# a linear classifier on what a layer holds, and look at its test accuracy. Here after every layer, so
# that you see whether its layers hold **hierarchical features** (계층적 특징).
#
# **Predict:** after which layer is the class easiest to read for a linear classifier?

# %%
names = ["pixels", "512", "256", "code 16", "256", "512", "output"]
few, many = train.subset(100), train.subset(10_000)


def probe(h_train, labels, h_test):
    mean, scale = h_train.mean(dim=0), h_train.std(dim=0) + 1e-3
    h_train, h_test = (((h - mean) / scale).double() for h in (h_train, h_test))
    return RidgeClassifier(alpha=100.0).fit(h_train, labels).score(h_test, test.labels)


@torch.no_grad()
def probe_layers(model, split):
    layers = [module for module in model.modules() if not list(module.children())]
    read_after = {0, 2, 4, 5, 7, 9, 11}  # Flatten, GELU, GELU, code, GELU, GELU, Unflatten
    h_train, h_test, accuracy = split.x, x, []
    for number, layer in enumerate(layers):
        h_train, h_test = layer(h_train), layer(h_test)
        if number in read_after:
            accuracy.append(probe(h_train.flatten(1), split.labels, h_test.flatten(1)))
    return accuracy


torch.manual_seed(0)
untrained = DeepAutoencoder()
accuracy = {
    "10,000 labels": probe_layers(shipped, many),
    "10,000, untrained": probe_layers(untrained, many),
    "100 labels": probe_layers(shipped, few),
}
by_pca = probe(pca16.encode(many.x), many.labels, pca16.encode(x))
print(f"for comparison, 16 principal components with 10,000 labels: {by_pca:.3f}")

for label, values in accuracy.items():
    print(f"{label:>18}:", ", ".join(f"{n} {v:.2f}" for n, v in zip(names, values, strict=True)))

figure, ax = plt.subplots(figsize=(7, 2.9))
styles = ((plots.MODEL, 0.0, 0.015), (plots.BASELINE, -0.03, None), (plots.GENERATOR, 0.03, -0.05))
for (label, values), (color, lift, number) in zip(accuracy.items(), styles, strict=True):
    ax.plot(range(7), values, "o-", color=color)
    ax.annotate(f"  {label}", (6.05, values[-1] + lift), color=color, va="center")
    for place, value in enumerate(values if number else []):
        where = (place, value + number)
        ax.annotate(f"{100 * value:.0f}", where, ha="center", fontsize=9, color=color)
ax.set_xticks(range(7), names)
ax.set(xlim=(-0.3, 7.6), ylim=(0.4, 0.95), ylabel="probe's test accuracy")
ax.set_title("For a linear probe, the class is harder to read from the code than elsewhere")
plots.show(
    figure,
    "Accuracy of a linear probe after each layer, in per cent. With 10,000 labels: "
    + ", ".join(f"{n} {100 * v:.0f}" for n, v in zip(names, accuracy["10,000 labels"], strict=True))
    + ". With 100 labels: "
    + ", ".join(f"{n} {100 * v:.0f}" for n, v in zip(names, accuracy["100 labels"], strict=True))
    + ". The untrained network lies below the trained one wherever the code has been passed.",
)

# %% [markdown]
# So the answer is no: from sixteen numbers the class is *harder* to read, for a linear classifier, than
# from the pixels. But the decoder sees nothing except the code, and its layers give the class back: the
# information is in the code, only not laid out linearly. And mind the untrained network: before the
# code it does about as well, so that the encoder's wide layers owe little to training; what training
# bought is what passes the bottleneck.

# %%
trained, raw, code = (
    accuracy["10,000 labels"],
    accuracy["10,000, untrained"],
    names.index("code 16"),
)
assert all(values[code] == min(values) for values in accuracy.values())
assert trained[code] < trained[0] < trained[5]
assert all(trained[k] > raw[k] for k in range(code, 7))
assert trained[6] > 0.8  # *Measure* sets the judge of sharp images beside it

# %% [markdown]
# **4. A latent space** (잠재 공간). With two numbers per image the code is a map. Nobody told the
# model the classes; the colours are added afterwards.

# %%
flat_ae = load_pretrained("deep-ae-2d", DeepAutoencoder)
z2 = in_batches(flat_ae.encode, x)
low, high = z2.quantile(0.01, dim=0), z2.quantile(0.99, dim=0)
ticks = [torch.linspace(a, b, 16) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
z_grid = torch.stack(torch.meshgrid(ticks[0], ticks[1].flip(0), indexing="xy"), dim=-1)
decoded = in_batches(flat_ae.decode, z_grid.reshape(-1, 2))

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4))
plots.classes(axes[0], z2[:4_000], test.labels[:4_000], images.classes)
axes[0].set(xlabel="z₁", ylabel="z₂")
axes[0].set_title("4,000 test images (central 98 % each way) ...")
plots.draw_images(axes[1], decoded, 16)
axes[1].set(xlabel="z₁", ylabel="z₂", title="... and what the decoder makes of each place")
plots.show(
    figure,
    "Left: a map of the codes, coloured by class: bags on top, shoes right of the middle, trousers lower "
    "right, dresses and T-shirts at the bottom, pullovers, coats and shirts mixed on the left. Right: a "
    "16 by 16 grid of decoded images over the same map, changing smoothly from one to the other, with "
    "smeared shapes in between.",
)

# %% [markdown]
# ## Explore
#
# Drag the point over the map (or use the arrow keys, or the sliders) and watch what the decoder makes
# of each place. The figure above shows the same map.
#
# 1. Where does a trouser turn into a dress - on a line, or over a stretch of strange garments?
# 2. Go to an empty corner of the map. The line under the picture says how far the nearest code is.
#    Is what you see still a garment?
# 3. Choose two test images of different classes and move along the way between them. Are the
#    pictures halfway garments?

# %% tags=["widget"]
LatentExplorer()

# %% [markdown]
# ## Measure: what "information is preserved" can mean
#
# The lecture says that an autoencoder learns a compressed representation while *information is
# guaranteed to be preserved* (정보 보존). Under a bottleneck that cannot mean every bit. Two readings can be measured: how many
# **pixels** come back (error), and whether **what matters** comes back - here: does the frozen judge,
# a classifier that never saw a reconstruction, still name the right class?
#
# The stored study (`gen_course/ch01_autoencoders/studies/latent_size.py`) trains a deep autoencoder for each latent size.

# %%
table = read_study("latent_size")
original = float(table[0]["judge_accuracy"])
sizes = [int(row["latent_size"]) for row in table if row["model"] == "pca"]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.1))
for model, label, color in (("pca", "PCA", plots.BASELINE), ("deep-ae", "deep AE", plots.CODE)):
    chosen = [row for row in table if row["model"] == model]
    axes[0].loglog(sizes, [float(row["mse"]) for row in chosen], "o-", color=color)
    axes[1].semilogx(sizes, [float(row["judge_accuracy"]) for row in chosen], "o-", color=color)
    axes[0].annotate(label, (4.3, float(chosen[2]["mse"])), color=color, va="bottom")
longer = mse(in_batches(shipped.reconstruct, x), x)
axes[0].plot(16, longer, "*", color=plots.CODE, markersize=11)
axes[0].annotate(" trained longer", (16, longer), color=plots.CODE, va="top", fontsize=9)
axes[1].axhline(original, color=plots.DATA, linestyle="--")
above = {"xytext": (0, 4), "textcoords": "offset points"}
axes[1].annotate("original images", (1, original), color=plots.DATA, **above)
for ax in axes:
    ax.set_xticks(sizes, sizes)
    ax.set_xticks([], minor=True)
    ax.set_xlabel("size of the code")
axes[0].set_yticks([0.04, 0.06, 0.1, 0.2], ["0.04", "0.06", "0.1", "0.2"])
axes[0].set_yticks([], minor=True)
axes[0].set(ylabel="MSE per pixel", title="Pixels: every number helps ...")
axes[1].set(ylabel="judge's accuracy", ylim=(0, 1.02), title="... the judge of sharp images stops")
plots.show(
    figure,
    "Left: error falls steadily with the size of the code; the deep autoencoder lies below PCA up to "
    "32 numbers and slightly above it at 64; a star at 16, trained longer, lies below all of its line. "
    "Right: the share of the deep one's reconstructions that the judge classifies correctly rises "
    "quickly up to 8 numbers and then stays on a plateau well below the original images; PCA's rises "
    "throughout, below it.",
)
for row in table:
    print(f"{row['model']:>9} {row['latent_size']:>4}: MSE {row['mse']}, {row['judge_accuracy']}")
error = {(row["model"], int(row["latent_size"])): float(row["mse"]) for row in table}
assert all(error["deep-ae", k] < error["pca", k] for k in sizes if k <= 32)
assert error["deep-ae", 64] > error["pca", 64]

# %% [markdown]
# Two things to see. With short codes the deep autoencoder is far ahead of PCA; with 64 numbers and
# these 2,000 steps it is behind. The star is 16 numbers trained six times as long, and lies below the 64
# of the study: the right end of the green line shows the budget of training as well as the code.
# PCA's optimum costs no training at all.
#
# And *information* is not one thing. For the deep autoencoder the judge gains little after 8 numbers,
# though the error goes on falling. The class is not gone: the linear probe above reads it well from such
# reconstructions. The judge was trained on sharp images and never saw smooth ones. So "preserved"
# depends on who asks.

# %%
assert longer < error["deep-ae", 64]
assert float(chosen[4]["judge_accuracy"]) < 0.8  # the probe: more

# %% [markdown]
# ## Break it: sample the code
#
# If every image has a code, then every code should have an image - so draw z from a standard normal
# distribution and decode. **Predict:** garments, blends of garments, or noise?

# %%
torch.manual_seed(0)
n = 10_000
z_train = in_batches(shipped.encode, train.x)
mean, covariance = z_train.mean(dim=0), z_train.T.cov()
fitted = torch.distributions.MultivariateNormal(mean, covariance)
made = {
    "z ~ N(0, I)": in_batches(shipped.decode, torch.randn(n, 16)),
    "z ~ fitted Gaussian": in_batches(shipped.decode, fitted.sample((n,))),
    "reconstructions": in_batches(shipped.reconstruct, x),
    "test images": x,
}
figure = plots.image_rows(
    {name: y[:10] for name, y in made.items()}, "Made-up codes rarely give garments"
)
plots.show(
    figure,
    "Four rows of ten images. Codes from a standard normal give smeared blobs; codes from a fitted "
    "Gaussian give blends, some like garments; reconstructions and real images below for comparison.",
)

# %% [markdown]
# **The number:** the *course Fréchet distance* compares two sets of 10,000 images through the
# judge's features (Heusel et al. 2017, [1706.08500](https://arxiv.org/abs/1706.08500), with this
# course's own classifier in place of Inception, so do not compare it with published FIDs). It fits a
# Gaussian to the features of each set, a and b, and measures how far apart they are:
#
# $$d^2 = \lVert \mu_a - \mu_b \rVert^2 + \mathrm{tr}\left(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2}\right)$$
#
# Smaller is better, and the floor is what real training images score against real test images. The figure
# is the *squared* distance $d^2$: ten times the figure is about three times as far ($\sqrt{10} \approx 3.2$).

# %%
sample_quality = SampleQuality(images)
frechet = {name: sample_quality.frechet(y) for name, y in list(made.items())[:3]}
frechet["floor: real images"] = sample_quality.frechet_floor(n)
figure, ax = plt.subplots(figsize=(7, 2.1))
plots.bars(ax, frechet, [*3 * [plots.MODEL], plots.BASELINE])
ax.set_xlabel("course Fréchet distance to test images (less is better)")
multiple = frechet["z ~ N(0, I)"] / frechet["reconstructions"]
ax.set_title(f"Made-up codes score {multiple:.0f} times what reconstructions score")
plots.show(
    figure,
    "Bars of Fréchet distance: " + ", ".join(f"{k} {v:.3g}" for k, v in frechet.items()) + ".",
)
assert frechet["z ~ N(0, I)"] > frechet["z ~ fitted Gaussian"] > frechet["reconstructions"]

# **Why?** Look where the codes lie.

# %%
print("codes: mean", [round(v, 1) for v in mean.tolist()])
print("codes: sd  ", [round(v, 1) for v in covariance.diag().sqrt().tolist()])
torch.manual_seed(0)
drawn = {"z ~ N(0, I)": torch.randn(1_000, 16), "z ~ fitted Gaussian": fitted.sample((1_000,))}
drawn["codes of test images"] = in_batches(shipped.encode, x[:1_000])
away = {}
for name, codes in drawn.items():
    away[name] = nearest(codes, z_train).distance.median().item()
    radius = codes.norm(dim=1).mean()
    print(f"{name:>20}: {radius:4.1f} from 0, {away[name]:.2f} from the nearest training code")
assert away["codes of test images"] < away["z ~ N(0, I)"]
assert away["codes of test images"] < away["z ~ fitted Gaussian"]
gap = frechet["z ~ N(0, I)"] - frechet["reconstructions"]
closed = (frechet["z ~ N(0, I)"] - frechet["z ~ fitted Gaussian"]) / gap
print(f"The fitted Gaussian closes {100 * closed:.0f} % of the gap to the reconstructions.")

# %% [markdown]
# **Cause.** Nothing in E(w) says *where* the codes have to lie. They have some mean, some scale and some
# odd shape, and a made-up code lies farther from every code that the decoder was trained on than a
# real image's code does.
#
# **Repair, a small part of the way.** Fit a Gaussian to the training codes and sample from that: mean,
# scale and all correlations are right now, and the Fréchet distance falls. Most of it remains, since the
# shape is still not Gaussian. The full repair is chapter 03: put the distribution of the code *into
# the loss*.
#
# Look at the two figures of the fitted Gaussian again, because they seem to disagree. Its images score better,
# yet its codes are no nearer to a training code than those from $\mathcal{N}(0, I)$. Both are right. The Fréchet
# distance compares two *clouds*: where they are and how they spread. The other figure looks at one code at a time.
# A cloud with the right mean and spread can still put each of its points into a gap between the training codes.

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("01_autoencoders")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All four are
# [solved](solutions/01_autoencoders.ipynb).

# %% tags=["setup"]
from gen_course.ch01_autoencoders.checks import (
    check_estimated_E,
    check_pca,
    check_plane_angle,
    check_ridge_probe,
)

# %% [markdown]
# **1. From a minibatch to E** (5 minutes). Estimate the lecture's E(w), a sum over all `N` images, from
# the reconstructions `y` and the images `x` of a minibatch of B of them, both (B, C, H, W). Return one
# number that a gradient can flow through.


# %% tags=["exercise"]
def estimated_E(y, x, N):
    """The lecture's E(w) over N images, estimated from the B images of a minibatch."""
    # Hint: for how many of the N images does each of the B stand?
    ### BEGIN SOLUTION
    return N / len(x) * 0.5 * (y - x).square().sum()
    ### END SOLUTION


# %%
check_estimated_E(estimated_E)

# %% [markdown]
# **2. Principal components** (20 minutes). From points `x` (n, d), return the k directions of largest
# variance as orthonormal rows (k, d): the eigenvectors of the covariance with the largest eigenvalues.


# %% tags=["exercise"]
def principal_components(x, k):
    """The k leading principal components of x as rows (k, d)."""
    # Hint: torch.linalg.eigh returns eigenvalues in rising order and eigenvectors as columns.
    ### BEGIN SOLUTION
    centred = x - x.mean(dim=0)
    covariance_of_x = centred.T @ centred / len(x)  # (d, d)
    vectors = torch.linalg.eigh(covariance_of_x).eigenvectors  # columns, smallest variance first
    return vectors[:, -k:].flip(1).T
    ### END SOLUTION


# %%
check_pca(principal_components)

# %% [markdown]
# **3. The angle between two planes** (25 minutes). The columns of `a` and `b`, both (d, k), span two
# planes; the columns need not be orthonormal. Return the largest principal angle between the planes in
# degrees. Other axes of the same plane must not change it. This chapter took cosines of orthonormal
# bases; near 1 a cosine in float32 cannot tell 0.01 degrees from 0. The sine can: it is the largest
# singular value of $P_a - P_b$, where $P_a = A (A^T A)^{-1} A^T$ projects onto the plane of `a`.


# %% tags=["exercise"]
def plane_angle(a, b):
    """The largest angle, in degrees, between the planes spanned by the columns of a and b."""
    # Hint: torch.linalg.matrix_norm(matrix, 2) is the largest singular value; rounding may pass 1.
    ### BEGIN SOLUTION
    projectors = [m @ torch.linalg.solve(m.T @ m, m.T) for m in (a, b)]  # each (d, d)
    sine = torch.linalg.matrix_norm(projectors[0] - projectors[1], 2)
    return torch.rad2deg(torch.asin(sine.clamp(max=1)))
    ### END SOLUTION


# %%
check_plane_angle(plane_angle)

# %% [markdown]
# **4. A linear probe in closed form** (40 minutes). This chapter took scikit-learn's classifier; write
# your own. H holds the features `h_train` (n, d) minus their mean, T the classes `labels` (n,) as one-hot
# rows (n, classes), minus their mean. Ridge regression then minimises
# $\lVert H W - T \rVert^2 + \alpha \lVert W \rVert^2$, and its solution is
#
# $$W = (H^T H + \alpha I)^{-1} H^T T.$$
#
# Return the score of each class for each row of `h_test` (m, d), a tensor (m, classes), with both means
# put back where they belong: the intercept is not penalised. The class with the highest score is the
# prediction. Then try it on `z` of training and test images against the probe above.


# %% tags=["exercise"]
def ridge_probe(h_train, labels, h_test, alpha):
    """Scores (m, classes) of a ridge regression from features to one-hot classes."""
    # Hint: nn.functional.one_hot(labels).float() is T before its mean is subtracted.
    ### BEGIN SOLUTION
    one_hot = nn.functional.one_hot(labels).float()  # (n, classes)
    mean_h, mean_t = h_train.mean(dim=0), one_hot.mean(dim=0)
    centred = h_train - mean_h  # (n, d)
    gram = centred.T @ centred + alpha * torch.eye(centred.shape[1])  # (d, d)
    w = torch.linalg.solve(gram, centred.T @ (one_hot - mean_t))  # (d, classes)
    return (h_test - mean_h) @ w + mean_t
    ### END SOLUTION


# %%
check_ridge_probe(ridge_probe)

# %% [markdown]
# ## Summary
#
# - An autoencoder learns a code by having to reconstruct from it; E(w) has a per-image and a
#   per-pixel reading with the same minimiser.
# - The linear one finds PCA's plane, with axes of its own; the deep one reconstructs better from
#   equally many numbers, as far as its training goes (up to 32 numbers here).
# - A bottleneck keeps what reduces the error most: shapes before prints. Whether the class is kept
#   depends on who reads it: a linear probe of the code, one of the output, or a judge of sharp images.
# - It is **not a generative model**: no distribution of codes comes with it.
#
# **Next:** chapter 02 forces the code to be useful in three other ways: sparse, denoising, masked.
#
# **Further reading.** P. Baldi, K. Hornik, *Neural Networks and Principal Component Analysis: Learning
# from Examples Without Local Minima*, Neural Networks 2, 1989. G. Hinton, R. Salakhutdinov, *Reducing
# the Dimensionality of Data with Neural Networks*, Science 313, 2006.

# %%
print(timing.report())
