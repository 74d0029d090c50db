# %% [markdown]
# # 01 · Autoencoders: what does a short code keep of an image?
#
# **Question.** How much of an image survives in sixteen numbers? And can you make new images by
# making up the numbers?
#
# **Afterwards you can** build and train a linear and a deep autoencoder in plain PyTorch, explain
# what the linear one has to do with PCA, measure what a code keeps, and show why a plain
# autoencoder is not a generative model.
#
# **Time.** About 90 minutes to read and to try, without the exercises; 2 to 5 minutes to run.
#
# **Know first:** chapter [00](00_start_here.ipynb); what a neural network and gradient descent are;
# mean, variance and covariance.

# %% [markdown]
# **Symbols of this chapter.** A star marks a symbol that means something else in another chapter.
#
# | Symbol | Meaning | Shape |
# |---|---|---|
# | $x$, $x_n$ | an image; the n-th training image, pixels from -1 (black) to 1 (white) | 1 × 28 × 28 |
# | $D$ | number of pixels of an image: 784 (★ chapter 04: the discriminator) | a number |
# | $N$, $B$ | number of training images, 60,000; number of images in a minibatch | numbers |
# | $z$ | code of an image (★ chapter 04: random input of the generator) | $k$ |
# | $k$ | size of the code, 16 unless said otherwise | a number |
# | $w$ | all weights of encoder and decoder together (★ chapter 06: strength of guidance) | 1,075,488 |
# | $y$, $y(x, w)$ | reconstruction of x: what the decoder makes of the code of x (★ chapter 06: label) | like $x$ |
# | $E(w)$ | the loss: half of the squared error, summed over all images | a number |
# | $\bar E$, MSE | the same loss per image; mean squared error per pixel | numbers |
# | $\mu$, $\Sigma$ | mean and covariance of many feature vectors | 128; 128 × 128 |
# | $d^2$ | course Fréchet distance between two sets of images, a squared distance | a number |
#
# **Names in the code**, defined by the folded set-up below: `train` and `test` are the 60,000 and 10,000 images of
# Fashion-MNIST, `x` is all test images (in a function: its argument), `pca16` is PCA with 16 components. `shipped` and
# `conv` are two trained autoencoders that come with the course. `in_batches(f, x)` applies f to x in pieces, to save memory.

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: imports, data and shipped models.
import itertools

import torch
from sklearn.linear_model import RidgeClassifier
from torch import nn

from gen_course.ch01_autoencoders import figures, toy
from gen_course.ch01_autoencoders.checks import check_reconstruction_loss
from gen_course.ch01_autoencoders.explorers import LatentExplorer
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_course.common.tables import Claims, Table
from gen_lib.data import load
from gen_lib.metrics import frechet_distance, mse, nearest, psnr
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import ConvAutoencoder, DeepAutoencoder, LinearAutoencoder
from gen_lib.models.autoencoder import PCA, reconstruction_loss
from gen_lib.models.base import in_batches
from gen_lib.training import fit
from gen_lib.training.checkpoints import (
    load_judge,
    load_pretrained,
    pretrained_folder,
    read_card,
)

plots.use_style()
images = load("fashion_mnist")
train, test = images.train, images.test
x = test.x  # (10000, 1, 28, 28) in [-1, 1]
shipped = load_pretrained("deep-ae", DeepAutoencoder)
conv = load_pretrained("conv-ae", ConvAutoencoder)
pca = PCA.fit(train.x, 64)
pca16 = PCA(pca.mean, pca.components[:16])
error_pca = mse(pca16.reconstruct(x), x)
claims = Claims()
print(timing.stated("01_autoencoders"))

# %% [markdown]
# ## Idea
#
# An **autoencoder** (오토인코더) consists of two networks. The **encoder** (인코더) maps an image, which is
# high-dimensional, to a short list of numbers, its **latent code** (잠재 표현). The **decoder** (디코더) maps
# the code back to an image. Both are trained together so that the image that comes out resembles the
# image that went in.
#
# The code is a **bottleneck**: it has far fewer numbers than the image. What does not pass through it is
# lost. So training has to find out what is worth keeping. The lecture *Generative Models*, which this course
# accompanies, names four types: the *basic* one (here), and the *sparse*, the *denoising* and the *masked* one
# (chapter 02).

# %% [markdown] tags=["slide", "hour"]
# An autoencoder squeezes an image through sixteen numbers
#
# {figure}
#
# ? What has to be kept, and what may be lost?

# %% jupyter={"source_hidden": true}
# Plot: an image, its encoder, code and decoder, and its reconstruction.
plots.show(
    figures.bottleneck(x[:1], shipped.reconstruct(x[:1])),
    "An ankle boot of 784 pixels passes through an encoder that narrows to a code z of 16 numbers "
    "and a decoder that widens again to a somewhat smoother picture of the same boot.",
)

# %% [markdown] tags=["slide", "steps"]
# A code of one number keeps brightness and loses contrast
#
# $$z = \frac{x_1 + x_2}{2}, \qquad y = (z, z)$$
#
# encode the mean; paint both pixels
#
# $$(0.5, 0.5) \to 0.5 \to (0.5, 0.5)$$
#
# comes back exactly
#
# $$(0.9, 0.1) \to 0.5 \to (0.5, 0.5)$$
#
# its contrast is lost
#
# ? Which images of two pixels come back exactly?

# %% [markdown]
# **A toy to compute by hand.** Take images of only two pixels and a code of one number. Let the encoder
# take the mean of the pixels, $z = (x_1 + x_2) / 2$, and let the decoder paint both pixels with it,
# $y = (z, z)$. The image (0.5, 0.5) gets the code 0.5 and comes back exactly. The image (0.9, 0.1) gets the
# same code, and (0.5, 0.5) comes back: half of the squared error is ½ (0.4² + 0.4²) = 0.16. This code keeps
# the brightness of an image and loses its contrast.
#
# Training chooses encoder and decoder so that such errors become small for the images that there are. The
# figure shows 150 images of two pixels as points, for two trained autoencoders. A grey stick joins each
# image to its reconstruction. A code of one number can only reach a curve in this plane: a straight line
# if both networks are linear, a bent one if they have a hidden layer. A bent one follows these
# images better.

# %% [markdown] tags=["slide", "hour"]
# With hidden layers, the reconstructions bend towards the data
#
# {film bend}
#
# ? Why does the linear one reach only a straight line?

# %% jupyter={"source_hidden": true}
# Plot: images of two pixels and their reconstructions from a code of one number.
two_pixels = toy.squeeze_two_pixels()
plots.show(
    figures.two_pixels(two_pixels),
    "Two scatter plots of the same 150 points along a parabola, each point joined to its "
    "reconstruction. Left: the reconstructions lie on one straight line and the sticks are long. "
    "Right: they lie on a curve along the parabola and the sticks are short.",
)

# %% jupyter={"source_hidden": true}
# Check: on these images, the bent curve has a much smaller error than the straight line.
by_line, by_curve = (mse(y, two_pixels.x) for y in (two_pixels.by_line, two_pixels.by_curve))
assert by_curve < 0.1 * by_line
Table(
    {"straight line": [f"{by_line:.4f}"], "bent curve": [f"{by_curve:.4f}"]},
    ["mean squared error per pixel"],
    "reconstructions on a",
)

# %% [markdown] tags=["slide", "hour"]
# Training makes the squared error small
#
# $$E(w) = \frac{1}{2} \sum_{n=1}^{N} \lVert y(x_n, w) - x_n \rVert^2$$
#
# half the sum of squared errors; in the toy, an error is the length of a stick
#
# ? Does this loss say anything about the code?

# %% [markdown]
# **The loss.** Training minimises the lecture's **loss function** (손실 함수) over the N training images and
# the weights w of both networks,
#
# $$E(w) = \frac{1}{2} \sum_{n=1}^{N} \lVert y(x_n, w) - x_n \rVert^2 .$$
#
# In words: take each image, subtract it from its reconstruction, square the difference of every pixel, add
# everything up, and halve the sum. In the figure, ‖y − x‖² is the squared length of a stick. The ½ only
# cancels the 2 of the derivative.
#
# The same loss appears in three forms in code and tables. They are different numbers:
#
# | Form | Symbol | Formula | Used for | Example (MSE 0.05) |
# |---|---|---|---|---|
# | sum over all images | $E(w)$ | $\tfrac12 \sum_n \lVert y_n - x_n \rVert^2$ | the mathematics | 1,176,000 |
# | mean per image | $\bar E$ | $E / N$, estimated by the mean over a minibatch | the training step | 19.6 |
# | mean per pixel | MSE | $2 E / (N D)$, $D = 784$ pixels | tables | 0.05 |
#
# All three have the same minimiser, since they differ by constant factors. The difference matters once a second term
# is added, as in chapters 02 and 03: then you must say to which of the three.

# %% [markdown] tags=["slide"]
# One loss has three readings with different numbers
#
# | Form | If the MSE is 0.05 |
# |---|---|
# | $E(w)$: sum over all images | 1,176,000 |
# | $\bar E$: mean per image | 19.6 |
# | MSE: mean per pixel | 0.05 |
#
# ? All three have the same minimum. When does the choice matter?

# %% [markdown]
# ## Build
#
# A deep autoencoder is two stacks of layers and one line of loss. Between two layers stands a GELU, a smooth
# relative of the ReLU. Neither stack ends with one: a code may hold any numbers, and so may the pixels of
# the output.


# %% [markdown] tags=["slide", "steps"]
# Two stacks of layers and one line of loss suffice
#
# ```python
# def stack(*sizes):
#     layers = []
#     for n_in, n_out in itertools.pairwise(sizes):
#         layers += [nn.Linear(n_in, n_out), nn.GELU()]
#     return nn.Sequential(*layers[:-1])
#
# def loss(y, x):
#     return 0.5 * ((y - x) ** 2).flatten(1).sum(dim=1).mean()
# ```
#
# ? Why does no stack end with a GELU?


# %%
def stack(*sizes):
    """Linear layers of these sizes, with a GELU between two of them."""
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def loss(y, x):
    """E-bar, the mean loss per image: y and x are (B, 1, 28, 28), the result is one number."""
    return 0.5 * ((y - x) ** 2).flatten(1).sum(dim=1).mean()


check_reconstruction_loss(loss)  # the course's own test of this function

# %% [markdown] tags=["slide"]
# A short training suffices to bring back the shape
#
# {figure}
#
# ? What is missing from the lower row?

# %% [markdown]
# **One complete program.** The following cell does everything, with the same layers and the same loss: it loads the data,
# builds both networks, trains them, and shows test images beside their reconstructions. It takes about
# half a minute.

# %% tags=["program"]
# A complete program: it needs nothing from the cells above.
import torch
from torch import nn
from tqdm.auto import tqdm

from gen_course.common import plots
from gen_lib.data import load

garments = load("fashion_mnist")
train, x_test = garments.train, garments.test.x  # 60,000 and 10,000 images, in [-1, 1]

torch.manual_seed(0)
down = nn.Linear(784, 512), nn.GELU(), nn.Linear(512, 256), nn.GELU(), nn.Linear(256, 16)
up = nn.Linear(16, 256), nn.GELU(), nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 784)
encoder = nn.Sequential(nn.Flatten(), *down)
decoder = nn.Sequential(*up, nn.Unflatten(1, (1, 28, 28)))
weights = [*encoder.parameters(), *decoder.parameters()]
optimiser = torch.optim.Adam(weights, lr=1e-3)

for _ in tqdm(range(1_500), desc="program"):
    batch = train[torch.randint(len(train), (128,))].images  # (128, 1, 28, 28)
    z = encoder(batch)  # (128, 16)
    y = decoder(z)  # (128, 1, 28, 28)
    E_bar = 0.5 * ((y - batch) ** 2).flatten(1).sum(dim=1).mean()  # `loss` from above
    optimiser.zero_grad()
    E_bar.backward()  # its gradient for every weight of both networks
    optimiser.step()

few = x_test[:10]
with torch.no_grad():
    rebuilt = decoder(encoder(few))
rows = {"test images": few, "from 16 numbers": rebuilt}
figure = plots.image_rows(rows, "Sixteen numbers bring back the shape, smoothed")
plots.show(
    figure, "Ten test garments, and below them their smoother, recognisable reconstructions."
)

# %% [markdown]
# The library's `DeepAutoencoder` is the same network with the same loss: from the same seed, both have the same loss
# and the same gradient in every weight (first rows). The library's training loop also lowers the learning rate
# towards the end and averages the last weights.
#
# The last rows show that the program's error is smaller than that of PCA, the best *linear* code of 16 numbers, which
# the next section explains.

# %% jupyter={"source_hidden": true}
# Check: from one seed, the program and the library have the same loss and the same gradients.
with torch.no_grad():
    program_error = mse(in_batches(lambda part: decoder(encoder(part)), x), x)
assert program_error < 0.8 * error_pca
torch.manual_seed(0)
mine = nn.Sequential(
    nn.Sequential(nn.Flatten(), stack(784, 512, 256, 16)),
    nn.Sequential(stack(16, 256, 512, 784), nn.Unflatten(1, (1, 28, 28))),
)
torch.manual_seed(0)
theirs = DeepAutoencoder()
batch = train.batch(0, 128).images
losses = loss(mine(batch), batch), reconstruction_loss(theirs.reconstruct(batch), batch)
for value in losses:
    value.backward()
assert torch.equal(*losses)
pairs = list(zip(mine.parameters(), theirs.parameters(), strict=True))
assert all(torch.equal(a.grad, b.grad) for a, b in pairs)
apart = max((a.grad - b.grad).abs().max().item() for a, b in pairs)
Table(
    {
        "first loss per image, program": [f"{losses[0].item():.2f}"],
        "first loss per image, library": [f"{losses[1].item():.2f}"],
        "largest difference between their gradients": [f"{apart:g}"],
        "test MSE after the program": [f"{program_error:.4f}"],
        "test MSE of PCA with 16 numbers": [f"{error_pca:.4f}"],
    },
    ["value"],
)

# %% [markdown]
# ## Train the simplest one: linear, and compare with PCA
#
# Leave out the GELUs and the hidden layers. Then the encoder is one matrix (784 numbers to 16) and the
# decoder is one matrix (16 numbers to 784), each with an offset. This is the lecture's *basic autoencoder* in its
# simplest form.
#
# Its optimum is known. **Principal component analysis** (PCA) finds orthonormal directions, the *principal components*:
# the first is the one along which the images vary most, the next the one at right angles to it along which they vary most,
# and so on. Why should a squared error lead to them? Describe each image by its 784 coordinates along the components,
# counted from the mean image. If the code keeps k of them and the decoder sets the others to 0, then
#
# $$\frac{1}{N} \sum_n \lVert y_n - x_n \rVert^2 = \text{sum of the variances along the directions left out}.$$
#
# **The variance left out is the squared error.** (The components are at right angles, so squared lengths add up, and a mean square
# counted from the mean is a variance.) So it is smallest if the k directions of largest variance are kept. No other
# linear code does better, and training cannot get stuck elsewhere: all other points with gradient 0 are saddles (Baldi & Hornik 1989).
# So gradient descent should reach PCA's error.

# %% [markdown] tags=["slide", "steps"]
# For linear networks the error is the variance left out
#
# $$\frac{1}{N} \sum_n \lVert x_n - \bar x \rVert^2 = \text{var}_1 + \dots + \text{var}_{784}$$
#
# variances add up
#
# $$\frac{1}{N} \sum_n \lVert y_n - x_n \rVert^2 = \text{var}_{k+1} + \dots + \text{var}_{784}$$
#
# a code keeps k of them
#
# **smallest if the k largest are kept: PCA**
#
# ? What should gradient descent find, then?

# %% [markdown] tags=["slide"]
# Gradient descent reaches the error of PCA
#
# {table}
#
# ? The errors agree. Do the directions agree, too?

# %%
torch.manual_seed(0)
linear = LinearAutoencoder(latent_size=16)
linear_history = fit(linear, train, steps=1_800, batch_size=256)

# %% jupyter={"source_hidden": true}
# Check: the linear autoencoder reaches the error of PCA on test images.
error_linear = mse(in_batches(linear.reconstruct, x), x)
gap = error_linear / error_pca - 1
assert abs(gap) < 0.005
claims.add(
    "Without non-linearities, the optimum of E(w) is PCA's projection",
    f"test MSE {error_linear:.5f} after training, {error_pca:.5f} by PCA: {100 * gap:+.2f} %",
)
Table(
    {"PCA": [f"{error_pca:.5f}", ""], "linear autoencoder": [f"{error_linear:.5f}", f"{gap:+.2%}"]},
    ["test MSE", "difference"],
    "16 numbers per image",
)

# %% [markdown] tags=["slide", "predict"]
# How many of the decoder's columns are principal components?
#
# All 16, some, or none?
#
# ? Each column is an image: what one unit of the code adds to the output.

# %% [markdown]
# The errors agree. Now compare the directions. Each column of the decoder's matrix is an image: what one
# unit of the code adds to the output.
#
# **Predict:** how many of these 16 columns will be principal components: all, some or none?
#
# <details><summary>Answer</summary>
#
# None. They span nearly the same plane, but they are other axes of it.
#
# Why? Take any invertible matrix A. Replace the code z by A z, and the decoder's matrix by itself times
# A⁻¹. Then A⁻¹ undoes A, every reconstruction stays the same, and so does E. So E cannot prefer one set of axes. PCA
# asks for more than E does: for orthonormal directions, ordered by variance.
#
# </details>

# %% [markdown] tags=["slide"]
# None: nearly the same plane, but other axes
#
# {figure}
#
# ? What would the cosine be if a column were a component?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: principal components beside the columns of the linear autoencoder's decoder.
columns = linear.decoder[0][0].weight.detach().T  # (16, 784): an image per unit
variance = PCA(pca.mean, pca.components[:17]).encode(train.x).var(dim=0)
plots.show(
    figures.directions(pca16.components, variance[:16], columns),
    "Two rows of eight direction images, grey is 0. PCA's first shows a top's outline, its second "
    "trousers against wide garments, its sixth sleeves; the variance above them falls. The linear "
    "autoencoder's are blends of these: no cosine below them is near 1.",
)

# %% [markdown] tags=["slide", "extra"]
# The error cannot prefer one set of axes
#
# $$y = (W A^{-1})\,(A z) = W z$$
#
# for every invertible matrix $A$; the decoder's matrix is $W$

# %% [markdown]
# The figure shows the first 8 of 16 directions of each kind. Grey is 0, and the sign is arbitrary. *var* is the variance of
# the images along a component. *cos* is the largest |cosine| of a column with any of the 16 components. It would be 1
# if the column were that component.
#
# How near are the two *planes*? Two planes in space share a line: the smallest angle between them is 0 along it, and the
# second is the angle of the hinge. A plane is here the 16-dimensional set of all reconstructions. Two such planes have 16 *principal angles*: the smallest angle between a direction of the one
# and a direction of the other, then the smallest at right angles to those, and so on. All are 0 if the planes are
# equal. To compute them, take the inner products of two orthonormal bases, which are cosines. The singular value
# decomposition turns both bases so that each vector is at right angles to all vectors of the other basis but one, its
# partner. The singular values are the cosines between the 16 partners.

# %%
decoder_matrix = linear.decoder[0][0].weight.detach()  # (784, 16), of its only Linear layer
basis = torch.linalg.qr(decoder_matrix).Q  # orthonormal columns that span the same plane
turned, cosines, _ = torch.linalg.svd(basis.T @ pca16.components.T)
angles = torch.rad2deg(torch.acos(cosines.clamp(max=1)))  # 16 angles, smallest first

unit = decoder_matrix / decoder_matrix.norm(dim=0)  # columns of length 1
alignment = (pca16.components @ unit).abs().max()  # largest |cosine| of any pair

# %% jupyter={"source_hidden": true}
# Table: angles between the planes, the variance they hang on, and how well the axes align.
tilted = basis @ turned[:, 15]  # the direction of the plane with the largest angle
rng = torch.Generator().manual_seed(0)
directions = nn.functional.normalize(torch.randn(1_000, 16, 16, generator=rng), dim=1)
by_chance = directions.abs().amax(dim=(1, 2)).quantile(torch.tensor([0.05, 0.95])).tolist()
assert angles.median() < 5
assert alignment < 0.95
Table(
    {
        "angle between the planes: the 8th of 16": [f"{angles[7]:.1f}°"],
        "angle between the planes: the 15th": [f"{angles[14]:.1f}°"],
        "angle between the planes: the largest": [f"{angles[15]:.1f}°"],
        "|cosine| of that direction with the 17th component": [
            f"{(pca.components[16] @ tilted).abs():.2f}"
        ],
        "variance of the images along the 16th component": [f"{variance[15]:.2f}"],
        "variance along the 17th, which PCA leaves out": [f"{variance[16]:.2f}"],
        "largest |cosine| of a column with a component": [f"{alignment:.2f}"],
        "the same for 16 random directions of the plane, 9 of 10 times": [
            "{:.2f} to {:.2f}".format(*by_chance)
        ],
    },
    ["value"],
)

# %% [markdown]
# **The planes agree, but for the last direction.** Nearly all angles are close to 0. The largest one is not:
# that direction leans towards the 17th component, which PCA leaves out. The images vary nearly as much along the 17th
# as along the 16th. The variance left out is the error, so E hardly changes if a mixture of both is kept.
#
# **The axes do not agree.** The best pair of a column and a component has the cosine in the table, far from 1. Random
# directions of the plane reach as much by chance.

# %% [markdown]
# ## Train a deep one
#
# **Non-linear layers** (비선형 레이어) let the reconstructions lie on a curved surface instead of a plane, as in
# the toy. The library trains the network of *Build* for 2,500 steps:

# %% [markdown] tags=["slide"]
# The deep autoencoder passes PCA within 500 steps
#
# {figure}
#
# ? When would you stop?

# %%
torch.manual_seed(0)
deep = DeepAutoencoder(latent_size=16)
history = fit(deep, train, steps=2_500)

# %% jupyter={"source_hidden": true}
# Plot: training error against steps.
curve = plots.smooth(history.terms["mse"], 100)
done = torch.arange(100, 100 + len(curve)).float()  # steps that each mean ends with
seen = train.subset(10_000).x
plots.show(
    figures.training(done, curve, mse(pca16.reconstruct(seen), seen)),
    "Training error against steps. It drops steeply, crosses the dashed line of PCA's error early "
    "and goes on falling slowly.",
)

# %% [markdown]
# The deep autoencoder passes PCA in the first fifth of its training. After that it gains little per step, but it
# still gains.
#
# So two autoencoders are trained longer and shipped with the course: the same network, and one with **convolutions**.
# (A third appears in *A latent space*.) A convolutional encoder looks at the image in small windows that share their
# weights. Here it first moves each block of 2 × 2 pixels into 4 channels (`PixelUnshuffle`) and later halves the side
# once more (stride 2). The resulting 64 channels of 7 × 7 are 3,136 numbers; a linear layer makes the code of them.
# The decoder goes the same way back: a linear layer to 3,136 numbers, then convolutions and twice the inverse of
# `PixelUnshuffle`.

# %%
conv.encoder

# %% [markdown] tags=["slide", "extra"]
# Sixteen non-linear numbers leave half of PCA's error
#
# | Autoencoder | of PCA's MSE |
# |---|---|
# | linear | 1.00 |
# | deep | 0.49 |
# | convolutional | 0.46 |
#
# ? The convolutional one has a quarter of the weights. Why can it be the best?

# %% [markdown]
# **How errors are measured.** Besides the MSE per pixel, the table shows the **PSNR** (peak signal-to-noise ratio). For one image,
#
# $$\mathrm{PSNR}_n = 10 \log_{10} \frac{2^2}{\mathrm{MSE}_n} \text{ decibels (dB)},$$
#
# where 2 is the range of a pixel, from -1 to 1, and $\mathrm{MSE}_n$ is the error of this image. A tenth of the error is 10 dB
# more, half of it about 3 dB more. Tables show the mean of $\mathrm{PSNR}_n$ over the test images.
#
# This mean is not the PSNR of the mean error. Two images with errors 0.04 and 0.4 have 20 and 10 dB, so their mean is
# 15 dB. But their mean error is 0.22, and its PSNR is 12.6 dB. The logarithm turns ratios into differences, so an
# image with a small error counts as much as one with a large error.

# %% jupyter={"source_hidden": true}
# Table: error, PSNR, share of PCA's error, weights and training of all autoencoders.
models = {
    "linear, live": linear,
    "deep, live": deep,
    "deep, shipped": shipped,
    "convolutional, shipped": conv,
}
outputs = {"mean image": train.x.mean(dim=0).expand_as(x), "PCA": pca16.reconstruct(x)}
outputs |= {name: in_batches(model.reconstruct, x) for name, model in models.items()}
sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
sizes |= {"mean image": 784, "PCA": 17 * 784}
cards = {
    name: read_card(pretrained_folder() / f"{file}.safetensors")
    for name, file in (("deep, shipped", "deep-ae"), ("convolutional, shipped", "conv-ae"))
}
steps = {name: card["steps"] for name, card in cards.items()}
steps |= {"linear, live": 1_800, "deep, live": 2_500}
minutes = {name: f"{card['minutes']:.1f}" for name, card in cards.items()}
live = {"linear, live": linear_history, "deep, live": history}
minutes |= {name: f"{run.seconds[-1] / 60:.1f}" for name, run in live.items()}
Table(
    {
        name: [
            f"{mse(y, x):.4f}",
            f"{psnr(y, x):.2f} dB",
            f"{mse(y, x) / error_pca:.2f}",
            f"{sizes[name]:,}",
            f"{steps[name]:,}" if name in steps else "–",
            minutes.get(name, "–"),
        ]
        for name, y in outputs.items()
    },
    ["test MSE", "mean PSNR", "of PCA's MSE", "weights", "steps", "minutes"],
    "16 numbers per image",
)

# %% [markdown]
# From equally many numbers per image, the deep autoencoders make about half of PCA's error. The mean image needs no
# code at all; it is the baseline that any code should beat. The convolutional one is the best with a quarter of the
# deep one's weights, but it takes longer: a third of the steps in nearly twice the minutes. (Compare minutes only
# between the two shipped ones. The live ones were timed in another run.)

# %% jupyter={"source_hidden": true}
# Check: the order of the errors, and the two means of PSNR.
error = {name: mse(y, x) for name, y in outputs.items()}
quality = {name: psnr(y, x) for name, y in outputs.items()}
assert error["deep, live"] < 0.7 * error_pca
assert error["convolutional, shipped"] < error["deep, shipped"]
of_mean_error = 10 * torch.log10(torch.tensor(4 / error_pca)).item()
assert quality["PCA"] > of_mean_error + 0.3
assert quality["mean image"] < quality["deep, shipped"]
assert error["deep, shipped"] < error["linear, live"]
claims.add(
    "An autoencoder maps an image to a short code and back",
    f"16 numbers give back a test image with {quality['deep, shipped']:.1f} dB; "
    f"the mean image has {quality['mean image']:.1f} dB",
)
claims.add(
    "Non-linear layers allow more complex representations",
    f"from equally many numbers, the deep one makes {error['deep, shipped'] / error_pca:.2f} of "
    f"PCA's error, the linear one {error['linear, live'] / error_pca:.2f}",
)
Table(
    {
        "mean over the images of the PSNR": [f"{quality['PCA']:.2f} dB"],
        "PSNR of the mean error": [f"{of_mean_error:.2f} dB"],
    },
    ["value"],
    "PCA, 16 numbers",
)

# %% [markdown]
# ## Look
#
# From here on, *the* deep autoencoder is the shipped one (16 numbers, 12,000 steps), unless another is named.
#
# One test image of each class, its reconstructions, and where they are wrong. The two rows at the bottom show the size of the
# error of each pixel, |y − x|: black is 0, white is 0.5 or more.

# %% [markdown] tags=["slide"]
# A deep code keeps shapes and loses prints
#
# {figure}
#
# ? Where are the errors white?

# %% jupyter={"source_hidden": true}
# Plot: ten garments, their reconstructions, and the errors of PCA and of the deep one.
ten = torch.stack([(test.labels == k).nonzero()[3, 0] for k in range(10)])
with torch.no_grad():
    shown = {
        "input": x[ten],
        "PCA": pca16.reconstruct(x[ten]),
        "deep": shipped.reconstruct(x[ten]),
        "convolutional": conv.reconstruct(x[ten]),
    }
shown |= {f"error of {name}": figures.error_map(shown[name], x[ten]) for name in ("PCA", "deep")}
figure = plots.image_rows(
    shown, "Sixteen numbers of a deep code keep shapes and lose prints", scale=0.72
)
plots.show(
    figures.with_columns(figure, images.classes),
    "Six rows of ten garments: input, PCA, deep and convolutional reconstructions, and the absolute "
    "errors of PCA and of the deep one. PCA is blurred and turns the sandal into a shoe and the bag "
    "into stripes; the deep and convolutional ones keep the silhouettes. The deep one's errors are "
    "brightest on prints, edges and textures; PCA's are spread over whole garments.",
)

# %% [markdown]
# PCA blurs everything: its sandal becomes a shoe, its bag stripes. The deep and the convolutional one keep the outlines.
# What they lose are prints, textures and sharp edges: there the errors are white.

# %% [markdown]
# ## The encoder's four roles
#
# The lecture names four roles of the encoder. Each can be seen or measured.
#
# **1. Another representation** (다른 표현) and **2. compression** (압축): sixteen numbers say what 784 pixels
# said, nearly.

# %% [markdown] tags=["slide"]
# Sixteen numbers say nearly what 784 pixels said
#
# {figure}
#
# ? A pixel has one byte, a float32 four. What is the factor in bytes?

# %% jupyter={"source_hidden": true}
# Plot: an image, its code, and what the decoder makes of the code.
z = in_batches(shipped.encode, x)
plots.show(
    figures.code_of(x[:1], z[:1], shipped.decode(z[:1]).detach()),
    "The first test image, an ankle boot; bars for the 16 numbers of its code, positive and negative; "
    "the boot that the decoder makes of these numbers.",
)

# %% jupyter={"source_hidden": true}
# Table: the size of an image and of its code, in numbers and in bytes.
pixels, numbers = x[0].numel(), z.shape[1]
claims.add(
    "The encoder turns its input into another representation",
    f"{pixels} numbers become {numbers}",
)
claims.add(
    "The encoder finds a compressed representation",
    f"a factor of {pixels / numbers:.0f} in numbers, of {pixels / (4 * numbers):.0f} in bytes",
)
Table(
    {
        "numbers": [pixels, numbers, f"{pixels / numbers:.0f}"],
        "bytes (a pixel has 1, a float32 has 4)": [
            pixels,
            4 * numbers,
            f"{pixels / (4 * numbers):.0f}",
        ],
    },
    ["image", "code", "factor"],
)

# %% [markdown] tags=["slide", "predict"]
# Where is the class easiest to read, where hardest?
#
# pixels → 512 → 256 → **code** → 256 → 512 → output
#
# A linear classifier reads what each layer holds.

# %% [markdown]
# **3. Features** (특징 추출). Is the class easier to read from the code than from the pixels? A *linear probe*
# (Alain & Bengio 2016, [1610.01644](https://arxiv.org/abs/1610.01644)) answers such questions: freeze the network,
# train a linear classifier on what one of its layers holds, and measure its accuracy on test images. The
# deep autoencoder is probed at seven stages, from the pixels over the code to the output. The lecture says that its
# layers learn **hierarchical features** (계층적 특징), that is, each layer makes features of those of the layer before. If so,
# the class should become easier to read from layer to layer.
#
# The classifier is a *ridge classifier*: linear regression from the features to one score per class, with a penalty
# on large weights; the largest score wins. It is trained on 10,000 labelled images, and again on only 100. The
# baseline is the same network with random weights, never trained.
#
# **Predict:** at which of the seven stages (pixels, 512, 256, code, 256, 512, output) is the class easiest
# to read for a linear classifier, and at which is it hardest?
#
# <details><summary>Answer</summary>
#
# It is hardest to read from the code, and easiest from the wide hidden layers on both sides of it, with
# little difference between these. The code has only 16 numbers. The class is in them, but not laid out so that ten linear
# functions of 16 numbers can tell the classes apart. The wide layer after the code lays it out again.
#
# From the code the class is harder to read even than from the pixels. Sixteen principal components do about as well as
# the code (0.72 against 0.74, in the table below the figure).
#
# </details>


# %%
@torch.no_grad()
def stages(model, x):
    """What the deep autoencoder holds at its seven stages: the pixels, ..., the output."""
    h = x.flatten(1)
    held = [h]  # the pixels
    for layers in (model.encoder[1], model.decoder[0]):  # Linear, GELU, Linear, GELU, Linear
        for layer in layers:
            h = layer(h)
            if isinstance(layer, nn.GELU):
                held.append(h)  # a hidden layer: 512 or 256 numbers
        held.append(h)  # the code, then the output
    return held


# %%
def probe(h_train, labels, h_test):
    """Test accuracy of a linear classifier of standardised features."""
    mean, scale = h_train.mean(dim=0), h_train.std(dim=0) + 1e-3
    h_train, h_test = (((h - mean) / scale).double() for h in (h_train, h_test))
    return RidgeClassifier(alpha=100.0).fit(h_train, labels).score(h_test, test.labels)


def probe_stages(model, split):
    """The accuracy at each stage, for a probe trained on the images of ``split``."""
    held = zip(stages(model, split.x), stages(model, test.x), strict=True)
    return [probe(h_train, split.labels, h_test) for h_train, h_test in held]


torch.manual_seed(0)
untrained = DeepAutoencoder()

# %% [markdown] tags=["slide"]
# The class is hardest to read from the code itself
#
# {figure}
#
# ? The decoder sees nothing but the code. Where is the class, then?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: the probe's accuracy at each stage.
few, many = train.subset(100), train.subset(10_000)
accuracy = {
    "10,000 labels": probe_stages(shipped, many),
    "10,000 labels, untrained": probe_stages(untrained, many),
    "100 labels": probe_stages(shipped, few),
}
said = [
    f"{n} {100 * many_labels:.0f} ({100 * few_labels:.0f})"
    for n, many_labels, few_labels in zip(
        figures.STAGES, accuracy["10,000 labels"], accuracy["100 labels"], strict=True
    )
]
plots.show(
    figures.probes(accuracy),
    "Accuracy of a linear probe at each stage, in per cent, with 10,000 labels (and with 100): "
    f"{', '.join(said)}. The untrained network lies below the trained one from the code on.",
)

# %% [markdown]
# Open the figure first. Three things to see:
#
# - The decoder sees nothing but the code, yet its layers give the class back. So the information is in the code,
#   only not in a linear arrangement. The decoder's arrangement is worth most with few labels: with 100 of them, the decoder's
#   hidden layers are about 9 points above the pixels, with 10,000 about 5.
# - In the first hidden layer a part of the gain needs no training, only random weights and the GELU: pixels 0.80,
#   untrained 0.82, trained 0.85. In the second the untrained layer is no better than the pixels (0.80, trained 0.84). From
#   the code on, the trained network is far above the untrained one: training lets the class pass the bottleneck.
# - *Hierarchical* features, in the sense above, are seen in one layer of two: the class becomes easier to read in the first
#   hidden layer, but not in the second. The class is one feature of many, so this is a weak test of the claim.

# %% jupyter={"source_hidden": true}
# Check: the code is the lowest of all stages, and training helps from the code on.
trained, raw = accuracy["10,000 labels"], accuracy["10,000 labels, untrained"]
code = figures.STAGES.index("code")
assert all(values[code] == min(values) for values in accuracy.values())
assert trained[code] < trained[0] < trained[5]
assert trained[0] < trained[1]
assert trained[2] < trained[1]  # not easier from layer to layer
assert raw[0] < raw[1] < trained[1]
assert all(trained[k] > raw[k] for k in range(code, 7))
assert trained[6] > 0.8  # *Measure* sets the judge of sharp images beside it
by_pca = probe(pca16.encode(many.x), many.labels, pca16.encode(x))
claims.add(
    "The encoder extracts features",
    "on condition that the reader need not be linear: a linear probe reads the class from the code "
    f"with {trained[code]:.2f}, from pixels with {trained[0]:.2f}, but from what the decoder makes "
    f"of the code (its last hidden layer) with {trained[5]:.2f}",
    "holds with a condition",
)
claims.add(
    "Several hidden layers learn features hierarchically",
    "judged by the class alone, in the first of two layers only. A linear probe reads the class "
    f"with {trained[0]:.2f} from pixels, {trained[1]:.2f} after the first hidden layer (untrained "
    f"{raw[1]:.2f}), {trained[2]:.2f} after the second",
    "holds with a condition",
)
Table(
    {label: [f"{value:.2f}" for value in values] for label, values in accuracy.items()}
    | {"10,000 labels, 16 principal components": ["", "", "", f"{by_pca:.2f}", "", "", ""]},
    figures.STAGES,
    "probe's accuracy",
)

# %% [markdown] tags=["slide"]
# With two numbers, the code is a place on a map
#
# {figure}
#
# ? The autoencoder never saw the classes. Why do they lie together?

# %% [markdown]
# **4. A latent space** (잠재 공간). With two numbers per image the code is a place on a map. The figure shows the third shipped
# autoencoder: the same network, but with a code of two numbers. It never saw the classes; the colours are added
# afterwards. The left picture shows where the codes of test images lie
# (the middle 98 % in each direction). The right one shows what the decoder makes of places on the same
# map.
#
# Garments of a class lie together, but neighbouring classes touch, pullovers and coats share one region, and shirts mix
# with them and with T-shirts. Only some places are empty. The middle, where many classes meet, is decoded into smears.

# %% jupyter={"source_hidden": true}
# Plot: codes of two numbers by class, and the decoder's image at each place.
flat_ae = load_pretrained("deep-ae-2d", DeepAutoencoder)
z2 = in_batches(flat_ae.encode, x)
decoded = in_batches(flat_ae.decode, figures.grid_of_places(z2[:4_000]))
plots.show(
    figures.latent_map(z2[:4_000], test.labels[:4_000], images.classes, decoded),
    "Left: a map of the codes, coloured by class: bags on top, shoes right of the middle, trousers lower "
    "right, dresses and T-shirts at the bottom, pullovers, coats and shirts mixed on the left. Right: a "
    "16 by 16 grid of decoded images over the same map, changing smoothly from one to the other, with "
    "smeared shapes in between.",
)

# %% [markdown]
# ## Explore
#
# Drag the point over the map (or use the arrow keys, or the sliders), and watch what the decoder makes of each place.
# The line under the picture says how far the nearest code of a test image is (not squared).
#
# 1. Move from the trousers to the dresses. Does the trouser turn into a dress on a line, or over a
#    stretch of strange garments?
# 2. Go to a corner of the map where no codes are, such as the upper right one. How far is the nearest code?
#    Is what you see still a garment?
# 3. The strip shows the way from an ankle boot (test image 0) to a pullover (1). Choose other pairs, such as 1 and 2, or
#    3 and 4, and move along the way between them. Are the pictures halfway always garments?
#
# <details><summary>Answers</summary>
#
# 1. Over a stretch: the legs grow together, and for a while the picture is a narrow dress with the shadow of a
#    gap. Codes lie close by all along this way.
# 2. In the upper right corner the nearest code is several units away, and the picture is a shoe with noise
#    around it: the decoder was never trained there. But distance alone does not decide: in the upper left
#    corner it still draws something like a bag.
# 3. It depends on the pair. From test image 1 to 2 (pullover to trouser) nearly every step is a garment. From 0 to 1
#    the boot grows taller and dissolves into a smear; then a faint top appears, which becomes the pullover.
#    From 3 to 4 (trouser to shirt) the middle is a smear: this way leads through the centre of the map, where many
#    classes meet.
#
# </details>

# %% [markdown] tags=["slide"]
# On the way from boot to pullover lies a smear
#
# {film between}
#
# ? Choose another pair of images. Is the middle always a smear?

# %% tags=["widget"]
LatentExplorer()

# %% [markdown]
# ## Measure: what "information is preserved" can mean
#
# The lecture says that an autoencoder learns a compressed representation while *information is guaranteed to be
# preserved* (정보 보존). With a bottleneck that cannot mean every bit. Two readings can be measured:
#
# - How much of the **pixels** comes back: the error.
# - Whether **what matters** comes back. Here: does a classifier still name the right class?
#
# The classifier is the course's **judge**: a small convolutional network, trained once on the labelled training
# images of Fashion-MNIST and then frozen. It names the class of 94.1 % of the test images rightly. It was trained on
# sharp images and never saw a reconstruction. All chapters measure with it.
#
# A stored study (`gen_course/ch01_autoencoders/studies/latent_size.py`) trains a deep autoencoder with each
# size of the code for 2,000 steps, one run each, and takes PCA with as many components.
#
# **Predict:** with a code of 64 numbers, who has the smaller error, PCA or the deep autoencoder? And whose
# reconstructions does the judge name rightly more often?
#
# <details><summary>Answer</summary>
#
# PCA has the smaller error, just: 0.0415 against 0.0433. Yet the judge names more of the deep one's
# reconstructions rightly: 73 % against 65 %. The two readings of "preserved" disagree.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# A code of 64 numbers: whose error is smaller?
#
# PCA or the deep autoencoder?
#
# And whose reconstructions does a classifier recognise more often?

# %% [markdown] tags=["slide"]
# PCA has the smaller error; the judge prefers the deep one
#
# {figure}
#
# ? What does "information is preserved" mean here?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: error and judge's accuracy against the size of the code.
study = read_study("latent_size")
longer = mse(in_batches(shipped.reconstruct, x), x)
plots.show(
    figures.sizes_of_code(study, longer),
    "Left: error falls steadily with the size of the code; the deep autoencoder lies below PCA up to "
    "32 numbers and slightly above it at 64; a star at 16, trained longer, lies below all of its line. "
    "Right: the share of the deep one's reconstructions that the judge classifies correctly rises "
    "quickly up to 8 numbers and then stays on a plateau well below the original images; PCA's rises "
    "throughout, below it.",
)

# %% [markdown]
# Open the figure first. Two things to see.
#
# **The length of training counts as well as the length of the code.** The star is the shipped autoencoder with 16 numbers,
# trained for 12,000 steps. Its error is smaller than that of the study's autoencoder with 64 numbers and 2,000 steps.
#
# **Information is not one thing.** For the deep autoencoder the judge gains little after 8 numbers, though the error
# goes on falling. The class is not gone. With the same 16 numbers, longer training (the shipped one) raises the judge's share
# from 71 % to 80 %. And a linear probe that is trained on reconstructions of the shipped one names 84 % (the stage *output*
# above): the judge was trained on sharp images and never saw smooth ones. So what is "preserved" depends on who reads it.

# %% jupyter={"source_hidden": true}
# Check: who is ahead at which size, and the study as a table.
found = {(row["model"], int(row["latent_size"])): row for row in study}
error = {key: float(row["mse"]) for key, row in found.items()}
right = {key: float(row["judge_accuracy"]) for key, row in found.items()}
sizes = [k for model, k in found if model == "pca"]
named = in_batches(load_judge().logits, in_batches(shipped.reconstruct, x)).argmax(dim=1)
right_longer = (named == test.labels).float().mean().item()
assert all(error["deep-ae", k] < error["pca", k] for k in sizes if k <= 32)
assert error["deep-ae", 64] > error["pca", 64]
assert longer < error["deep-ae", 64]
assert right["deep-ae", 16] < 0.8  # the probe: more
assert right["deep-ae", 16] + 0.05 < right_longer < 0.82  # the probe: 0.84
assert right["deep-ae", 64] > right["pca", 64]
assert right["deep-ae", 16] < right["original", 784]
claims.add(
    "The code is compressed, and information is guaranteed to be preserved",
    f"on condition that not every bit is meant: from 16 numbers the MSE is {longer:.3f}, and a judge "
    f"of sharp images names {right_longer:.3f} of the classes, of originals "
    f"{right['original', 784]:.3f}",
    "holds with a condition",
)
Table(
    {
        f"{k}": [
            f"{error['pca', k]:.4f}",
            f"{error['deep-ae', k]:.4f}",
            f"{right['pca', k]:.2f}",
            f"{right['deep-ae', k]:.2f}",
        ]
        for k in sizes
    }
    | {"16, shipped (12,000 steps)": ["", f"{longer:.4f}", "", f"{right_longer:.2f}"]}
    | {"original images": ["0", "0", *2 * [f"{right['original', 784]:.2f}"]]},
    ["MSE, PCA", "MSE, deep", "judge, PCA", "judge, deep"],
    "size of the code",
)

# %% [markdown]
# ## Break it: sample the code
#
# If every image has a code, then every code should have an image. So make up codes: draw 16 numbers from a standard normal
# distribution, $z \sim \mathcal{N}(0, I)$, and decode them. A second way is less naive: compute the mean
# and the covariance of the codes of all training images, and draw from the Gaussian with these.

# %% [markdown] tags=["slide", "hour", "predict"]
# Does a made-up code decode to a garment?
#
# $$z \sim \mathcal{N}(0, I), \qquad y = \text{decoder}(z)$$
#
# a garment, a blend, or noise?

# %%
z_train = in_batches(shipped.encode, train.x)  # (60000, 16)
mean, covariance = z_train.mean(dim=0), z_train.T.cov()
fitted = torch.distributions.MultivariateNormal(mean, covariance)

torch.manual_seed(0)
n = 10_000
made = {
    "z from N(0, I)": in_batches(shipped.decode, torch.randn(n, 16)),
    "z from a fitted Gaussian": in_batches(shipped.decode, fitted.sample((n,))),
    "reconstructions": in_batches(shipped.reconstruct, x),
    "test images": x,
}

# %% [markdown]
# **Predict:** does the decoder turn such made-up codes into garments, into blends of garments, or into noise?
#
# <details><summary>Answer</summary>
#
# From N(0, I): mostly grey smears in the outline of a garment. From the fitted Gaussian: blends, some of them close to
# a garment. Neither is noise: the decoder has learnt what pixels of garments do together. But neither is
# a new garment.
#
# </details>

# %% [markdown] tags=["slide", "hour"]
# Made-up codes give smears or blends
#
# {figure}
#
# ? The second row has the right mean and covariance. What is still wrong?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: images from made-up codes beside reconstructions and real images.
plots.show(
    plots.image_rows(
        {name: y[:10] for name, y in made.items()}, "Made-up codes rarely give garments"
    ),
    "Four rows of ten images. Codes from a standard normal give smeared blobs; codes from a fitted "
    "Gaussian give blends, some like garments; reconstructions and real images below for comparison.",
)

# %% [markdown] tags=["slide"]
# The right mean and covariance of codes help only little
#
# {figure}
#
# ? Which bar is the best that a sampler from this decoder can hope for?

# %% [markdown]
# **A number for it.** The *course Fréchet distance* compares two sets of images, here 10,000 made-up ones with the
# 10,000 test images. It works in three steps. The judge turns each image into 128 numbers, the *features* before its last layer.
# Each set of features is summed up by its mean $\mu$ and its covariance $\Sigma$. The distance
# between two such summaries a and b is
#
# $$d^2 = \lVert \mu_a - \mu_b \rVert^2 + \mathrm{tr}\left(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2}\right)$$
#
# The first term asks whether both sets have the same mean, the second whether they spread alike. $M^{1/2}$ is the
# matrix whose product with itself is M. With a single feature the formula is $(\mu_a - \mu_b)^2 + (\sigma_a -
# \sigma_b)^2$, with standard deviations σ. Smaller is better. The floor is what real training images score. The value
# is a *squared* distance: ten times the value is about three times as far ($\sqrt{10} \approx 3.2$). The idea is that
# of the Fréchet inception distance (Heusel et al. 2017, [1706.08500](https://arxiv.org/abs/1706.08500)), with the
# judge in place of the Inception network. So do not compare it with published FIDs.

# %% jupyter={"source_hidden": true}
# Plot: the course Fréchet distance of made-up codes and of reconstructions.
sample_quality = SampleQuality(images)
frechet = {name: sample_quality.frechet(y) for name, y in list(made.items())[:3]}
frechet["floor: real images"] = sample_quality.frechet_floor(n)
plots.show(
    figures.scores(frechet),
    "Bars of Fréchet distance: " + ", ".join(f"{k} {v:.3g}" for k, v in frechet.items()) + ".",
)

# %% [markdown] tags=["slide", "hour"]
# Away from the training codes the decoder smears
#
# {film made_up}
#
# ? The loss never says where codes lie. What would you add to it?

# %% [markdown]
# **Why?** Look where the codes lie. The table shows how far codes are from 0, and how far from the nearest code of
# a training image. Both are usual (not squared) distances in the space of codes.

# %% jupyter={"source_hidden": true}
# Check: made-up codes are farther from every training code than the codes of test images are.
assert frechet["z from N(0, I)"] > frechet["z from a fitted Gaussian"] > frechet["reconstructions"]
assert frechet["z from a fitted Gaussian"] > 3 * frechet["reconstructions"]
torch.manual_seed(0)
drawn = {
    "z from N(0, I)": torch.randn(1_000, 16),
    "z from a fitted Gaussian": fitted.sample((1_000,)),
    "codes of test images": in_batches(shipped.encode, x[:1_000]),
}
away = {name: nearest(codes, z_train).distance.median().item() for name, codes in drawn.items()}
assert away["codes of test images"] < away["z from N(0, I)"]
assert away["codes of test images"] < away["z from a fitted Gaussian"]
gap = frechet["z from N(0, I)"] - frechet["reconstructions"]
closed = (frechet["z from N(0, I)"] - frechet["z from a fitted Gaussian"]) / gap
assert 0 < closed < 0.5
claims.add(
    "The encoder discovers a latent space",
    "on condition that you do not sample from it, since where the codes lie is not known: a draw of "
    f"N(0, I) lies {away['z from N(0, I)']:.2f} from "
    f"the nearest training code, the code of a test image {away['codes of test images']:.2f}",
    "holds with a condition",
)
claims.add(
    "Decoding made-up codes gives new images like the data",
    f"course Fréchet distance {frechet['z from N(0, I)']:.1f} from N(0, I), "
    f"{frechet['z from a fitted Gaussian']:.1f} from a fitted Gaussian; reconstructions "
    f"{frechet['reconstructions']:.1f}",
    "contradicted",
)
Table(
    {
        name: [
            f"{codes.norm(dim=1).mean():.1f}",
            f"{away[name]:.2f}",
            f"{frechet[name.replace('codes of test images', 'reconstructions')]:.1f}",
        ]
        for name, codes in drawn.items()
    },
    [
        "mean distance from 0",
        "median distance to the nearest training code",
        "Fréchet of the images",
    ],
)

# %% [markdown]
# **Cause.** Nothing in E(w) says where the codes have to lie. E compares images with reconstructions, so only the codes of
# images ever reach the decoder in training. These codes have a mean, a scale and an odd shape of their own. Most
# made-up codes fall beside them, at places where the decoder was never trained.
#
# **Repair, a small part of the way.** The fitted Gaussian has the mean, scale and correlations of the training codes.
# The Fréchet distance of its images is smaller, but most of the gap to the reconstructions remains, since the codes
# do not have the shape of a Gaussian. Exercise 5 fits a more flexible distribution. Chapter 03 puts the distribution
# of the codes *into the loss*.
#
# **This is why a plain autoencoder is not a generative model:** such a model needs a distribution to sample from, and
# training an autoencoder gives no distribution of codes.
#
# **A paradox?** Compare the two columns on the right. With the fitted Gaussian, the Fréchet distance falls. But its codes
# are no nearer to the training codes than those from $\mathcal{N}(0, I)$. Both numbers are right, because
# they measure different things. The Fréchet distance compares two sets by mean and covariance only; in the table, those of features
# of the *images*. (So it is not 0, though mean and covariance of the *codes* agree.) The distance to the nearest code looks at
# one point at a time. Here the pictures agree with Fréchet: those of the fitted Gaussian do look better. So the distance to the
# nearest code alone does not decide how good an image is.
#
# A toy shows how far apart the two can be: codes in three clumps, and draws from a Gaussian, shifted and stretched so that
# their mean and covariance are exactly those of the codes. To keep it simple, the toy takes both distances of the codes
# themselves.

# %% [markdown] tags=["slide", "extra"]
# A Fréchet distance of 0 does not prove good samples
#
# {figure}

# %% jupyter={"source_hidden": true}
# Plot: a Gaussian with the mean and covariance of three clumps puts points between them.
codes, draws = toy.clumps_and_gaussian()
plots.show(
    figures.clumps(codes, draws),
    "Left: codes in three tight clumps at the corners of a triangle. Right: draws from a Gaussian of "
    "the same mean and covariance. Most of them lie between and around the clumps, not in them.",
)

# %% jupyter={"source_hidden": true}
# Check: in the toy the Fréchet distance is 0, though most draws are far from every code.
others = torch.cdist(codes, codes).fill_diagonal_(torch.inf).amin(dim=1).median().item()
away_toy = nearest(draws, codes).distance.median().item()
squared = frechet_distance(draws, codes)
assert abs(squared) < 1e-3
assert away_toy > 10 * others
Table(
    {
        "codes": ["0", f"{others:.2f}"],
        "draws from the Gaussian": [f"{abs(squared):.3f}", f"{away_toy:.2f}"],
    },
    ["Fréchet distance to the codes (squared)", "median distance to the nearest (other) code"],
)

# %% [markdown]
# The Fréchet distance of the toy is 0, yet most draws lie in the gaps. So a good Fréchet distance is no proof of good
# samples. Chapters 03 and 04 add measures that look at single points: precision, recall and coverage.

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("01_autoencoders")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All five are
# [solved](solutions/01_autoencoders.ipynb). The first four ask for one function each, the fifth for an
# experiment.

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up of the exercises: their checks, and the mixture of scikit-learn.
from sklearn.mixture import GaussianMixture

from gen_course.ch01_autoencoders.checks import (
    check_estimated_E,
    check_new_garments,
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
# singular value of $P_a - P_b$, where $P_a = a (a^T a)^{-1} a^T$ projects onto the plane of `a`.


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
# Return the score of each class for each row of `h_test` (m, d), a tensor (m, classes): subtract the mean of
# `h_train` from `h_test`, multiply by W, and add the mean of the one-hot rows. So the intercept is not
# penalised. The class with the highest score is the prediction. Then try it on `z` of training and test images
# against the probe above.


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
# **5. Sample from an autoencoder** (an experiment, 60 minutes). Make a generator from an autoencoder: train one on the
# images `x` (N, 1, 28, 28), fit a mixture of Gaussians to its codes, draw codes from the mixture, and decode
# them. Return `n` new images (n, 1, 28, 28).
#
# Start with a code of two numbers, 1,000 steps and ten Gaussians; the program in *Build* shows the training.
# The check measures the course Fréchet distance of 1,000 of your images. An autoencoder with a code of two numbers,
# fed with draws from N(0, I), scores more than 13 here; 1,000 real training images score 0.2. (Fewer images score higher: the
# floor in *Break it* was for 10,000.)
#
# **The number to reach: 7.** Vary the size of the code, the number of Gaussians, the learning rate. Measure also what
# the *reconstructions* of your autoencoder score, with `SampleQuality(images).frechet(y)`, where `images` is
# Fashion-MNIST from the set-up: a sampler can hardly do better. So they tell you whether the autoencoder or the
# mixture has to improve. Try one single Gaussian, too: for which sizes of the code is it enough?


# %% tags=["exercise"]
def new_garments(x, n):
    """n new images (n, 1, 28, 28) from an autoencoder trained on x and a mixture of its codes."""
    # Hint: mixture = GaussianMixture(10).fit(codes.numpy()), then z, _ = mixture.sample(n). For the
    # mixture, the codes of 10,000 images are enough. A learning rate that falls to 0 helps.
    ### BEGIN SOLUTION
    k, steps, gaussians = 4, 1_000, 30  # with k = 2 the reconstructions are the limit: about 9
    down = nn.Linear(784, 512), nn.GELU(), nn.Linear(512, 256), nn.GELU(), nn.Linear(256, k)
    up = nn.Linear(k, 256), nn.GELU(), nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 784)
    encoder = nn.Sequential(nn.Flatten(), *down)
    decoder = nn.Sequential(*up, nn.Unflatten(1, (1, 28, 28)))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for _ in range(steps):
        batch = x[torch.randint(len(x), (128,))]
        error = 0.5 * (decoder(encoder(batch)) - batch).square().flatten(1).sum(dim=1).mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        falling.step()
    with torch.no_grad():
        codes = encoder(x[:10_000]).double().numpy()
        z, _ = GaussianMixture(gaussians, random_state=0).fit(codes).sample(n)
        return decoder(torch.from_numpy(z).float())
    ### END SOLUTION


# %%
check_new_garments(new_garments)

# %% [markdown]
# ## Summary
#
# An autoencoder learns a code by having to reconstruct from it. The linear one finds PCA's plane, with axes of
# its own. The deep one reconstructs better from equally many numbers, as far as its training goes. A bottleneck
# keeps what reduces the error most: shapes before prints. Whether the class is kept depends on who reads it. A
# plain autoencoder is **not a generative model**: no distribution of codes comes with it.

# %% [markdown] tags=["slide"]
# A plain autoencoder compresses, but does not generate
#
# - Linear: PCA's plane, other axes.
# - Deep: half of PCA's error; shapes kept, prints lost.
# - No distribution of codes: nothing to sample.
#
# ? What has to change so that codes can be sampled?

# %% jupyter={"source_hidden": true}
# Table: the claims of this chapter, what was measured, and the verdict.
claims

# %% [markdown]
# **Why autoencoders matter today.** Large image generators do not work on pixels: an autoencoder squeezes images
# into a small latent space, and the diffusion model works there (latent diffusion; Rombach et al. 2022,
# [2112.10752](https://arxiv.org/abs/2112.10752)). Codes of sound by autoencoders do the same for audio models (EnCodec;
# Défossez et al. 2022, [2210.13438](https://arxiv.org/abs/2210.13438)).
#
# **Next:** chapter [02](02_sparse_denoising_masked.ipynb) forces the code to be useful in three other ways:
# sparse, denoising, masked.
#
# **Further reading.** P. Baldi, K. Hornik, *Neural Networks and Principal Component Analysis: Learning
# from Examples Without Local Minima*, Neural Networks 2, 1989. G. Hinton, R. Salakhutdinov, *Reducing
# the Dimensionality of Data with Neural Networks*, Science 313, 2006.

# %%
print(timing.report())
