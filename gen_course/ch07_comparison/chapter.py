# %% [markdown]
# # 07 · Comparison: which family for which purpose?
#
# **Question.** The lecture ends with a table of strengths and weaknesses. Which of its lines survive if all
# families get the same clock, the same data and the same ruler - and which one should *you* take?
#
# **Afterwards you can** turn words such as quality, stability, speed and diversity into figures that can be
# wrong, compare generative models fairly, say which family suits a purpose and why, and name the family behind
# the systems of today.
#
# **Know first:** chapters [03](03_vae.ipynb), [04](04_gan.ipynb) and [06](06_diffusion.ipynb).

# %% tags=["setup"]
import time

import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture

from gen_course.ch07_comparison.criteria import CRITERIA, USUAL, ranking, summary
from gen_course.ch07_comparison.explorers import COLORS as HUES
from gen_course.ch07_comparison.explorers import ChoiceExplorer
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_lib.data import load
from gen_lib.metrics import frechet_distance, kernel_distance, precision_recall
from gen_lib.metrics.sample_quality import SampleQuality
from gen_lib.models import GAN, BernoulliVAE, ConvAutoencoder, Diffusion
from gen_lib.models.base import in_batches
from gen_lib.models.mixture import CodeMixture
from gen_lib.training import fit
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card

plots.use_style()
seeded = torch.Generator().manual_seed
images = load("fashion_mnist")
train, test = images.train, images.test
table = read_study("comparison")
runs = [row for row in table if row["seed"]]
(real,) = (row for row in table if not row["seed"])
COLORS = {
    "AE + mixture": plots.BASELINE,
    "VAE": plots.CODE,
    "GAN": plots.GENERATOR,
    "diffusion": plots.MODEL,
}
SHIPPED = {"VAE": "vae", "GAN": "gan", "diffusion": "diffusion"}  # the lecture's three
THREE = tuple(SHIPPED)
KINDS = {"VAE": BernoulliVAE, "GAN": GAN, "diffusion": Diffusion}
cards = {name: read_card(pretrained_folder() / f"{file}.json") for name, file in SHIPPED.items()}
longer = [
    {"family": name, "seed": str(card["seed"])} | {k: str(v) for k, v in card["figures"].items()}
    for name, card in cards.items()
]
autoencoder = load_pretrained("conv-ae", ConvAutoencoder)
sample_quality = SampleQuality(images)
print(timing.stated("07_comparison"))

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
# and gives four criteria for a choice: **quality** (품질), **stability** (안정성), **speed** (속도), **diversity**. Each word has to become a figure before it can be right or wrong. Two of them pull against each other,
# so they need two figures (Kynkäänniemi et al. 2019, [1904.06991](https://arxiv.org/abs/1904.06991)):
#
# - **precision**: which share of the *samples* lies where real images are? That is quality.
# - **recall**: which share of the *real images* lies where samples are? That is diversity.
#
# *Where* means: no farther than the third neighbour of its own kind. In the plane:

# %% jupyter={"source_hidden": true}
rng = seeded(0)
cloud = torch.randn(600, 2, generator=rng)
made = {
    "too narrow": 0.35 * torch.randn(600, 2, generator=rng) + 0.3,
    "too wide": 3.0 * torch.randn(600, 2, generator=rng),
    "right": torch.randn(600, 2, generator=rng),
}
found = {name: precision_recall(fake, cloud) for name, fake in made.items()}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
for ax, (name, fake) in zip(axes, made.items(), strict=True):
    plots.points(ax, cloud, plots.DATA, size=4, limit=6.0)
    plots.points(ax, fake, plots.MODEL, size=4, limit=6.0)
    ax.set_title(f"{name}\nprecision {found[name][0]:.2f}, recall {found[name][1]:.2f}")
plots.show(
    figure,
    "Three clouds of samples over the same blue cloud of data. "
    + " ".join(f"{name}: precision {p:.2f}, recall {r:.2f}." for name, (p, r) in found.items()),
)
assert found["too narrow"][0] > 0.8 > 0.5 > found["too narrow"][1]
assert found["too wide"][1] > 0.8 > found["too wide"][0]

# %% [markdown]
# **Speed** is the seconds that 1,000 samples take, and behind them the number of network calls. **Stability** is
# how far apart the results of one recipe lie from seed to seed. And there is a fourth family in the race, as a
# *baseline*: the plain autoencoder of chapter 01, with a mixture of Gaussians fitted to its codes. It was never
# meant to be a generative model; whoever does not beat it has to explain why.

# %% [markdown]
# ## Build
#
# **The baseline.** Fit a mixture to the codes, draw from it, decode. (The weights are shipped.)

# %%
some = train.subset(2_000).x
codes = in_batches(autoencoder.encode, some).double().numpy()
fitted = GaussianMixture(8, max_iter=200, tol=1e-2, random_state=0).fit(codes)


def sample_mixture(n, rng):
    weights, means = torch.tensor(fitted.weights_), torch.tensor(fitted.means_)
    roots = torch.linalg.cholesky(torch.tensor(fitted.covariances_))  # (8, 16, 16)
    which = weights.multinomial(n, replacement=True, generator=rng)  # (n,)
    eps = torch.randn(n, 16, generator=rng, dtype=torch.float64)
    z = means[which] + torch.einsum("nij,nj->ni", roots[which], eps)  # (n, 16)
    return in_batches(autoencoder.decode, z.float()).clamp(-1, 1)  # (n, 1, 28, 28)


library = CodeMixture(autoencoder, some, components=8).sample(100, seeded(1))
torch.testing.assert_close(sample_mixture(100, seeded(1)), library, rtol=1e-4, atol=1e-4)
print("Same samples as the library's CodeMixture.")

# %% [markdown]
# **A ranking.** A figure becomes a score: 0 for the worst family, 1 for the best, the others between them - for
# distances, seconds and spreads on a logarithmic scale, since it is factors that count there. Then the scores are
# averaged with the weights of what matters to you. Nothing else is in the guide at the end of this chapter.


# %%
def score(values, more_is_better):
    x = torch.tensor(values) if more_is_better else -torch.tensor(values).log()
    return (x - x.min()) / (x.max() - x.min())  # (families,)


def rank(weights):
    total = torch.zeros(len(COLORS))
    for criterion, weight in weights.items():
        values = summary(runs, USUAL[criterion])  # family -> mean or spread of its runs
        total += weight * score(list(values.values()), USUAL[criterion].more_is_better)
    return dict(zip(values, (total / sum(weights.values())).tolist(), strict=True))


weights = {"quality": 3.0, "stability": 1.0, "speed": 2.0, "diversity": 1.0}
mine = rank(weights)
for place in ranking(runs, weights):
    print(f"{place.family:>13}: by hand {mine[place.family]:.4f}, library {place.total:.4f}")
    assert abs(mine[place.family] - place.total) < 1e-4

# %% [markdown]
# ## Train
#
# The whole comparison takes an hour, so it is stored (below). Here is a small one, live: a few seconds of the
# clock for each family, each with its defaults (diffusion with chapter 06's batches of 128 and Adam), and 500 samples of
# each measured.
#
# **Predict:** which family has made the best use of so short a time, and which one the worst?

# %%
seconds_live = 6.0
live, spent, made = {}, {}, {}
for name, kind in zip(COLORS, (ConvAutoencoder, BernoulliVAE, GAN, Diffusion), strict=True):
    torch.manual_seed(0)
    model = Diffusion(muon_lr=0) if kind is Diffusion else kind()
    size = 128 if kind is Diffusion else model.batch_size
    made[name] = fit(model, train, minutes=seconds_live / 60, batch_size=size, show_bar=False).steps
    sampler = CodeMixture(model, train.subset(3_000).x) if kind is ConvAutoencoder else model
    begin = time.perf_counter()
    live[name] = sampler.sample(500, seeded(0))
    spent[name] = time.perf_counter() - begin
    print(f"{name:>13}: {made[name]:4} steps of {size} images, 500 samples in {spent[name]:5.2f} s")
floor_500 = sample_quality.frechet_floor(500)
distance = {name: sample_quality.frechet(x) for name, x in live.items()}
for name, value in distance.items():
    print(f"{name:>13}: Fréchet distance {value:6.2f} (500 samples; floor {floor_500:.2f})")
assert made["diffusion"] < min(made["VAE"], made["GAN"])
assert size == BernoulliVAE.batch_size == 2 * GAN.batch_size
assert spent["diffusion"] > 5 * max(spent["VAE"], spent["GAN"])
assert min(distance.values()) > 2 * floor_500

# %% [markdown]
# Diffusion made the fewest steps. Beside the VAE, whose batches are as large, that is because each of its steps moves the
# most expensive network. Beside the GAN it is only a part of the reason: the GAN's batches are half as large. Diffusion's
# samples cost the most, since each calls its network 39 times. What seconds cannot say is what minutes will bring: keep
# your order of the four by distance, and compare it with the table below.

# %% [markdown]
# ## Look
#
# Above, what the live models draw; below, the models that the chapters shipped, which had more time, and two of which
# are wider: the ranking by eye, before any figure.

# %%
shipped = {
    "AE + mixture": CodeMixture(autoencoder, train.subset(5_000).x),
    "VAE": load_pretrained("vae", BernoulliVAE),
    "GAN": load_pretrained("gan", GAN),
    "diffusion": load_pretrained("diffusion", Diffusion),
}
rows = {f"{name}, live": x[:12] for name, x in live.items()}
rows |= {name: model.sample(12, seeded(0)) for name, model in shipped.items()}
rows["real"] = test.x[:12]
figure = plots.image_rows(rows, "Four families: after some seconds, and as shipped")
plots.show(
    figure,
    "Nine rows of twelve samples: of the four families after some seconds of training, of the four as shipped, "
    "and real test images.",
)

# %% [markdown]
# ## Measure
#
# The stored study (`gen_course/ch07_comparison/studies/comparison.py`, `make comparison`): each family with these settings and three
# seeds, each for the same seconds of computing on one core; then 10,000 samples of each against the 10,000 test
# images, beside the floor: real training images in their place.
#
# **Predict:** write down the order of the three families by precision, by recall and by speed.


# %%
def figures_of(column, rows=runs):
    """The figures of all runs of each family."""
    families = dict.fromkeys(row["family"] for row in rows)
    return {
        name: [float(row[column]) for row in rows if row["family"] == name] for name in families
    }


def mean(values):
    return sum(values) / len(values)


budget, count = float(runs[0]["budget"]), len(figures_of("frechet")["VAE"])
print(f"{budget:.0f} s of computing for each run, {count} seeds; {runs[0]['machine']}")
columns = {
    "Fréchet": ("frechet", 8, 3),
    "kernel": ("kernel", 8, 4),
    "precision": ("precision", 10, 3),
    "recall": ("recall", 8, 3),
    "density": ("density", 8, 3),
    "coverage": ("coverage", 9, 3),
    "rarest": ("rarest", 8, 3),
    "entropy": ("entropy", 8, 3),
    "nearest": ("nearest", 8, 2),
    "s/1,000": ("seconds_1000", 8, 2),
    "calls": ("calls", 6, 0),
}
print(f"{'':>13}" + "".join(f"{name:>{width}}" for name, (_, width, _) in columns.items()))
for family in (*COLORS, "real images"):
    cells = []
    for column, width, digits in columns.values():
        values = figures_of(column)[family] if family in COLORS else [real[column]]
        known = [float(value) for value in values if value != ""]
        cells.append(f"{mean(known):{width}.{digits}f}" if known else " " * width)
    print(f"{family:>13}" + "".join(cells))
floor = float(real["frechet"])
assert min(min(values) for values in figures_of("frechet").values()) > 5 * floor
assert all(set(figures_of("calls")[family]) == {1.0} for family in ("AE + mixture", "VAE", "GAN"))

# %% [markdown]
# *rarest* is the share of the class that the judge sees least, *entropy* that of all ten shares in nats (ten equal
# ones have log 10 = 2.303). *nearest* is the distance of a sample to the nearest training image, divided by what it
# is for a test image.
#
# **And as shipped?** The shipped weights show how far each family got in its own chapter. That is no race: training
# times differ, and so do networks. (One seed each; minutes of two cores that had other work.)


# %%
def written(value):
    return f"({','.join(map(str, value))})" if isinstance(value, list) else str(value)


sizes, changed = {}, {}
for name, card in cards.items():
    raced = next(row for row in runs if row["family"] == name)
    before = dict(setting.split("=") for setting in raced["settings"].split())
    after = {k: written(v) for k, v in card["config"].items()}
    changed[name] = {k: f"{k} {before[k]} -> {v}" for k, v in after.items() if before[k] != v}
    shipped_model = load_pretrained(SHIPPED[name], KINDS[name])
    sizes[name] = int(raced["weights"]), sum(w.numel() for w in shipped_model.parameters())
    print(
        f"{name:>9}, in the race: {float(raced['budget']) / 60:4.1f} min of one core, "
        f"{sizes[name][0]:9,} weights, batches of {128 if name == 'diffusion' else KINDS[name].batch_size}"
    )
    print(
        f"{'as shipped':>22}: {card['minutes']:4.1f} min of two cores, {sizes[name][1]:9,} weights, "
        + (", ".join(changed[name].values()) or "same settings")
    )
    keys = ("frechet", "kernel", "precision", "recall", "density", "coverage")
    print(f"{'':>24}" + ", ".join(f"{k} {card['figures'][k]:.3g}" for k in keys))

# %% jupyter={"source_hidden": true}
# Proof: what differs between the race and the shipped weights, beside the time.
assert {name: set(found) for name, found in changed.items()} == {
    "VAE": {"width", "weight_decay"},
    "GAN": set(),
    "diffusion": {"width"},
}
assert sizes["diffusion"][1] > 2 * sizes["diffusion"][0]
assert sizes["GAN"][1] == sizes["GAN"][0] < sizes["diffusion"][1]
assert cards["diffusion"]["minutes"] > 4 * cards["GAN"]["minutes"]

# %% [markdown]
# ### Quality and diversity

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for family, color in COLORS.items():
    x, y = figures_of("recall")[family], figures_of("precision")[family]
    axes[0].plot(x, y, "o", color=color)
    side = {"AE + mixture": "center", "GAN": "right"}.get(family, "left")
    spot = (min(x), mean(y)) if side == "right" else (max(x), min(y))
    height = "top" if family in ("AE + mixture", "diffusion") else "center"
    words = f"\n{family}" if side == "center" else f"  {family}  "
    axes[0].annotate(words, spot, color=color, va=height, ha=side)
    if family in SHIPPED:
        end = [figures_of(column, longer)[family][0] for column in ("recall", "precision")]
        axes[0].annotate(
            "",
            end,
            (mean(x), mean(y)),
            arrowprops={"arrowstyle": "->", "color": color, "shrinkB": 0},
        )
    x, y = figures_of("seconds_1000")[family], figures_of("frechet")[family]
    axes[1].loglog(x, y, "o", color=color)
    axes[1].annotate(f"  {family}", (max(x), mean(y)), color=color, va="center")
axes[0].plot(float(real["recall"]), float(real["precision"]), "*", color=plots.DATA, markersize=12)
axes[0].annotate(
    "real images  ",
    (float(real["recall"]), float(real["precision"])),
    color=plots.DATA,
    ha="right",
    va="center",
)
axes[0].set(xlabel="recall: diversity", ylabel="precision: quality", xlim=(0, 1), ylim=(0, 1))
axes[0].set_title("Right and up is better (arrow: shipped)")
axes[1].set(xlabel="seconds for 1,000 samples", ylabel="course Fréchet distance")
axes[1].set_xlim(right=20 * max(figures_of("seconds_1000")["diffusion"]))
axes[1].yaxis.set_major_formatter("{x:g}")
axes[1].yaxis.set_minor_formatter("{x:g}")
axes[1].set_title("Left and down is better")
told = "; ".join(
    f"{family}: precision {mean(figures_of('precision')[family]):.2f}, "
    f"recall {mean(figures_of('recall')[family]):.2f}, "
    f"Fréchet {mean(figures_of('frechet')[family]):.2f} in "
    f"{mean(figures_of('seconds_1000')[family]):.2g} s"
    for family in COLORS
)
moved = "; ".join(
    f"{row['family']} to precision {float(row['precision']):.2f}, recall {float(row['recall']):.2f}"
    for row in longer
)
plots.show(
    figure,
    f"Two scatter plots with one dot a seed. {told}. Arrows to the shipped weights: {moved}.",
)

first = {column: figures_of(column) for column in ("frechet", "precision", "recall")}
for rival in ("AE + mixture", "VAE", "diffusion"):
    assert max(first["frechet"]["GAN"]) < min(first["frechet"][rival])
    assert min(first["precision"]["GAN"]) > max(first["precision"][rival])
    assert min(first["recall"]["GAN"]) > max(first["recall"][rival])
assert max(first["frechet"]["AE + mixture"]) < min(first["frechet"]["VAE"])
assert min(first["precision"]["AE + mixture"]) > max(first["precision"]["VAE"])
assert max(first["recall"]["AE + mixture"]) < min(first["recall"]["VAE"])
assert max(first["frechet"]["diffusion"]) > min(first["frechet"]["VAE"])
_, gan, diffusion = (cards[name]["figures"] for name in THREE)
assert diffusion["frechet"] < gan["frechet"]
better = ("precision", "recall", "density", "coverage")
assert all(diffusion[column] > gan[column] for column in better)
assert gan["kernel"] < diffusion["kernel"] < 1.1 * gan["kernel"]  # but not by this distance

# %% [markdown]
# **At this clock the GAN is ahead of everyone**, in distance, precision and recall, with every seed. **The plain
# baseline beats the VAE** in distance and precision, and pays with recall: its codes keep to the middle of the data.
# **Diffusion is no better than the VAE** by distance at this clock. As shipped (the arrow) it is ahead of the GAN in
# Fréchet distance, precision, recall, density and coverage; by the kernel distance the two are level, the GAN by a hair
# ahead. But that arrow is not time alone: the shipped diffusion model also has more than twice the weights of the one in
# the race, and over four times the minutes of the shipped GAN. What the GAN would do with as much has not been measured
# here. The VAE moves little, though it had more time, a wider network and more weight decay. So a comparison at one budget
# answers for that budget only.
#
# ### Which classes, and are there copies?

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), sharey=True)
for ax, (family, color) in zip(axes, COLORS.items(), strict=True):
    shares = [
        [float(share) for share in row["shares"].split()] for row in runs if row["family"] == family
    ]
    ax.bar(range(10), [mean(each) for each in zip(*shares, strict=True)], color=color)
    ax.axhline(0.1, color="black", linestyle="--", linewidth=1)
    lowest = min(min(each) for each in shares)
    ax.set(xlabel="class", xticks=range(0, 10, 3))
    ax.set_title(f"{family}: least {lowest:.1%}", fontweight="normal")
axes[0].set_ylabel("share of the samples")
figure.suptitle(
    "Ten classes, a tenth each in the data (dashed)", x=0.01, ha="left", fontweight="bold"
)
rarest = {family: min(values) for family, values in figures_of("rarest").items()}
plots.show(
    figure,
    "Bars of the share of each class for four families; the rarest class of any seed has "
    + ", ".join(f"{value:.1%} ({family})" for family, value in rarest.items())
    + ".",
)
for family in COLORS:
    ratio, least = (figures_of(column)[family] for column in ("nearest", "closest"))
    print(
        f"{family:>13}: {mean(ratio):.2f} times as far from the nearest training image as test images "
        f"are; the closest of all samples {min(least):.1f} away"
    )
print(f"closest of the test images: {float(real['closest']):.1f} away")
assert min(min(values) for values in figures_of("closest").values()) > float(real["closest"])
assert rarest["VAE"] < 0.03 < 0.06 < rarest["GAN"] == max(rarest.values())

# %% [markdown]
# A ratio below 1 need not mean copies: a smooth picture is near everything, and the baseline's are smooth. No sample
# of any family comes as near to a training image as the nearest test image does. The classes are the GAN's strength
# once more; the VAE draws its rarest class less than a third as often as it should.
#
# ### The lecture's claims, one by one
#
# A claim that a family is strong in something is tested against the two other families of the lecture. It
# **holds here** if no other family is better than it with every seed, and one is worse with every seed; it is
# **contradicted** if one is better with every seed and none is worse; in between it **holds with a condition**. For
# a weakness, the other way round. Where the shipped weights have the figure, too, they are asked the same, and if the
# two answers differ, it **holds with a condition**. Two claims are no matter of degree: training counts as stable
# if the distances of the seeds stay within a fifth of their mean, and mode collapse is tested by what got lost.
#
# **Predict:** one of the lecture's strengths of the GAN belongs to the VAE as well. Which?


# %%
def beats(family, other, reading, rows):
    """Whether every run of a family is better than every run of the other one."""
    sign = 1 if reading.more_is_better else -1
    if reading.spread:
        values = summary(rows, reading)
        return values[family] < values[other] / 2  # three seeds tell no finer
    here, there = (figures_of(reading.column, rows)[name] for name in (family, other))
    return min(sign * value for value in here) > max(sign * value for value in there)


def tables(reading):
    """The equal clock, and the shipped weights where they have the figure."""
    both = not reading.spread and reading.column in longer[0]
    return {"": runs} | ({"as shipped": longer} if both else {})


def verdict(family, reading, strength=True):
    answers = set()
    for rows in tables(reading).values():
        others = [name for name in THREE if name != family]
        won = sum(beats(family, other, reading, rows) for other in others)
        lost = sum(beats(other, family, reading, rows) for other in others)
        won, lost = (won, lost) if strength else (lost, won)
        answers.add(
            "holds here" if won and not lost else "contradicted" if lost and not won else ""
        )
    return answers.pop() or CONDITION if len(answers) == 1 else CONDITION


def beside(family, reading, form):
    parts = []
    for words, rows in tables(reading).items():
        values = summary(rows, reading)
        others = (f"{name} {form.format(values[name])}" for name in THREE if name != family)
        parts.append(f"{words} {form.format(values[family])} beside {', '.join(others)}".strip())
    return "; ".join(parts)


CONDITION, STABLE = "holds with a condition", 0.2
PRECISION = USUAL["quality"]
COVERAGE, SPEED = CRITERIA["diversity"]["coverage"], USUAL["speed"]
claims = (
    ("GAN", "fast sampling", SPEED, True, "{:.3g} s", "for 1,000 samples"),
    ("GAN", "high quality", PRECISION, True, "{:.2f}", "precision"),
    ("VAE", "diversity ensured", USUAL["diversity"], True, "{:.2f}", "recall"),
    ("VAE", "lower quality", PRECISION, False, "{:.2f}", "precision"),
    ("diffusion", "high quality", PRECISION, True, "{:.2f}", "precision"),
    ("diffusion", "mode coverage", COVERAGE, True, "{:.2f}", "coverage"),
    ("diffusion", "slow sampling", SPEED, False, "{:.3g} s", "for 1,000 samples"),
)
said = {}
for family, what, reading, strength, form, unit in claims:
    said[family, what] = verdict(family, reading, strength)
    print(f"{family}: {what}: {said[family, what]}; {unit}: {beside(family, reading, form)}")

games = read_study("gan_modes")
broken, tame = (
    [int(row["modes"]) for row in games if row["recipe"].startswith(word)]
    for word in ("collapse", "relativistic")
)
rules = (
    f"on eight Gaussians {min(tame)} modes by tame rules, {max(broken)} at most by rules that let G outrun D "
    "(chapter 04)"
)
spread = summary(runs, USUAL["stability"])
beyond = max(broken) <= 4  # other rules break it
said["VAE", "stable training"] = "holds here" if spread["VAE"] < STABLE else "contradicted"
said["GAN", "unstable training"] = (
    "holds here" if spread["GAN"] > STABLE else CONDITION if beyond else "contradicted"
)
said["GAN", "mode collapse"] = (
    "holds here" if rarest["GAN"] < 0.01 else CONDITION if beyond else "contradicted"
)
spreads = ", ".join(f"{name} {spread[name]:.0%}" for name in THREE)
print(f"VAE: stable training: {said['VAE', 'stable training']}; spread over seeds: {spreads}")
print(
    f"GAN: unstable training: {said['GAN', 'unstable training']}; spread over seeds: {spreads}; {rules}"
)
print(
    f"GAN: mode collapse: {said['GAN', 'mode collapse']}; the rarest of ten classes has {rarest['GAN']:.1%} "
    f"or more; {rules}"
)
assert said["GAN", "unstable training"] == CONDITION
assert said["VAE", "stable training"] == "holds here"
assert said["VAE", "lower quality"] == "holds here"
assert said["VAE", "diversity ensured"] == said["diffusion", "mode coverage"] == CONDITION
assert said["GAN", "high quality"] == said["diffusion", "high quality"] == CONDITION
assert said["GAN", "fast sampling"] == CONDITION
assert said["diffusion", "slow sampling"] == "holds here"
assert said["GAN", "mode collapse"] == CONDITION

# %% [markdown]
# Three lines hold as they stand: the VAE trains stably, its samples are the worst by precision, and diffusion is the
# slowest to sample. The others need a condition:
#
# - **Fast sampling** is not the GAN's alone: a VAE also samples in one call (and so does the baseline), here in less
#   time. Speed tells diffusion from the others.
# - **High quality** is the GAN's at this clock, and diffusion's as shipped, with more minutes and a larger network.
# - **Diversity** is not ensured by being a VAE: it is behind the GAN here, and behind both as shipped. For diffusion's
#   **mode coverage** the training decides again: last at this clock, first as shipped.
# - **Instability and mode collapse** are of the rules, not of the family: by tame ones no seed went wrong, by those that
#   let G outrun D (chapter 04) nearly all modes are lost. Three seeds of a tame recipe are a mild test: chapter 06 changes
#   the learning rate instead.
#
# ### Which family for which purpose?
#
# The lecture's guide (선택 기준), against a guide that is computed: for each criterion, the first one or two of the
# lecture's three families, that is those that fewer others beat. Each criterion can be read in several ways, so the guide is computed for each of them: an
# advice that holds for one reading only is a condition.

# %%
advice = {
    "quality": {"GAN", "diffusion"},
    "stability": {"VAE", "diffusion"},
    "speed": {"GAN"},
    "diversity": {"VAE", "diffusion"},
}
guide = {}
for criterion, named in advice.items():
    firsts = {}
    for name, reading in CRITERIA[criterion].items():
        for words, rows in tables(reading).items():
            ahead = {f: sum(beats(other, f, reading, rows) for other in THREE) for f in THREE}
            found = {family for family in THREE if ahead[family] < len(named)}
            firsts[f"{name} {words}".strip()] = found
    right = [name for name, found in firsts.items() if named <= found]
    guide[criterion] = (
        "holds here" if len(right) == len(firsts) else CONDITION if right else "contradicted"
    )
    computed = "; ".join(f"{name}: {' and '.join(sorted(who))}" for name, who in firsts.items())
    print(f"{criterion} first: {guide[criterion]}; by {computed}")
assert guide["quality"] == guide["speed"] == guide["stability"] == CONDITION
assert guide["diversity"] == "contradicted"
for reading in CRITERIA["diversity"].values():
    for words, rows in tables(reading).items():
        assert beats("GAN", "VAE", reading, rows)
        assert beats(
            "diffusion" if words else "GAN", "GAN" if words else "diffusion", reading, rows
        )

# %% [markdown]
# The advice for **quality** stands or falls with how quality is read, and after which training. For **stability** it
# depends on whose spread is read, and all spreads are small: none of the three was unstable here. For **speed** the VAE is as good an answer as the GAN. For
# **diversity** the pair of the lecture comes first by no reading: at this clock the GAN is ahead of both of them, as
# shipped it is behind diffusion and ahead of the VAE. And the baseline, if it is let into the race:

# %%
for criterion in CRITERIA:
    places = ranking(runs, {criterion: 1.0})
    print(f"{criterion:>10}: " + ", ".join(f"{place.family} {place.total:.2f}" for place in places))
places = ranking(runs, dict.fromkeys(CRITERIA, 1.0))
print(f"{'all four':>10}: " + ", ".join(f"{place.family} {place.total:.2f}" for place in places))
certain = ranking(runs, {criterion: 1.0 for criterion in CRITERIA if criterion != "stability"})
print("without stability: " + ", ".join(f"{place.family} {place.total:.2f}" for place in certain))
print(
    "the spreads behind the scores of stability: "
    + ", ".join(f"{name} {value:.0%}" for name, value in summary(runs, USUAL["stability"]).items())
)
three = [summary(runs, USUAL["stability"])[name] for name in THREE]
assert max(three) < 2 * min(three)  # three seeds cannot tell them apart
assert summary(runs, USUAL["stability"])["AE + mixture"] > 2 * max(three)
assert [place.family for place in certain[:2]] == [place.family for place in places[:2]]
assert [place.family for place in certain[2:]] == [place.family for place in places[:1:-1]]
figure, ax = plt.subplots(figsize=(7, 2.4))
left = torch.zeros(len(places))
names = [place.family for place in places]
for criterion, hue in HUES.items():
    parts = torch.tensor([place.parts[criterion] for place in places])
    ax.barh(names, parts, left=left, color=hue, label=criterion)
    left += parts
ax.invert_yaxis()
ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
ax.set(xlim=(0, 1))
ax.set_title("What the scores add up to, if all four criteria matter alike")
plots.show(
    figure,
    "Bars of four families, each made of the scores of four criteria: "
    + ", ".join(f"{place.family} {place.total:.2f}" for place in places)
    + ".",
)

# %% [markdown]
# Do not read much into the scores of **stability**. The spreads of the lecture's three families are within a factor of
# two, which three seeds cannot tell apart; stretching the best to 1 and the worst to 0 makes different scores of them all
# the same. Only the baseline's spread is larger than twice any other. Without stability the first two places stay, and the last two
# change places.

# %% [markdown]
# ## Explore
#
# The figure above, with your weights. On the right are the figures that the scores come from; the best of each
# column is underlined.
#
# 1. Is there a mixture of weights for which each of the four families comes first? Which family needs the most
#    extreme one?
# 2. Set speed to 0. How much must stability matter before the order changes?
# 3. What would you choose for a game that draws garments while you watch? For a study that needs rare ones?

# %% tags=["widget"]
ChoiceExplorer(table)

# %% [markdown]
# ## Break it: two numbers that cannot be compared
#
# Reports quote a Fréchet distance and leave out the number of samples. **Predict:** here are 100 real images,
# compared with 100 other real images, and 10,000 samples of the shipped GAN, compared with 10,000 real images. Which
# of the two has the smaller distance?

# %%
sizes = (100, 300, 1_000, 3_000, 10_000)
features = {
    "real images": sample_quality.features(train.subset(10_000).x),
    "GAN": sample_quality.features(load_pretrained("gan", GAN).sample(10_000, seeded(0))),
}
measured = {}
for name, fake in features.items():
    for n in sizes:
        pair = fake[:n], sample_quality.reference[:n]
        measured[name, n] = frechet_distance(*pair), kernel_distance(*pair)
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for name, color in (("real images", plots.DATA), ("GAN", plots.GENERATOR)):
    for ax, k in zip(axes, (0, 1), strict=True):
        ax.plot(sizes, [measured[name, n][k] for n in sizes], "o-", color=color)
        ax.annotate(
            f"  {name}", (sizes[-1], measured[name, sizes[-1]][k]), color=color, va="center"
        )
        ax.set(xscale="log", xlabel="images on either side", xlim=(70, 60_000))
axes[0].set(yscale="log", ylabel="course Fréchet distance")
axes[0].set_title("One falls with the number of images ...")
axes[1].set(ylabel="kernel distance")
axes[1].set_title("... the other scatters about one value")
told = "; ".join(
    f"{name}, {n:,}: Fréchet {measured[name, n][0]:.3f}, kernel {measured[name, n][1]:.4f}"
    for name in features
    for n in (100, 10_000)
)
plots.show(
    figure, f"Both distances against the number of images, for real images and a GAN. {told}."
)
for (name, n), (frechet, kernel) in measured.items():
    print(f"{name:>12}, n = {n:6,}: Fréchet {frechet:7.3f}, kernel {kernel:+.4f}")
assert measured["real images", 100][0] > measured["GAN", 10_000][0]
assert abs(measured["real images", 100][1]) < 0.5 * measured["GAN", 10_000][1]
assert all(measured["GAN", n][0] > measured["real images", n][0] for n in sizes)

# %% [markdown]
# **Symptom:** real images seem farther from real images than a GAN's samples are. **Cause:** the Fréchet distance
# takes a root of estimated covariances of 128 features; from few images they are wrong in a way that only ever adds
# to the distance. **Repair:** the same number of images on both sides, as many as you can, and beside every distance
# the floor at that number. The kernel distance is unbiased (Bińkowski et al. 2018,
# [1801.01401](https://arxiv.org/abs/1801.01401)): it is 0 on average for equal distributions at any number, and may
# come out below.

# %% [markdown]
# ## Where each family stands today
#
# The lecture names ten systems in use. Which family is each of them, and who says so?
#
# | System | Family | Why this one, and what is known |
# |---|---|---|
# | Images (이미지 생성): DALL-E | autoregressive, then diffusion | The first wrote an image as a text: a transformer predicts the codes of a discrete autoencoder, one after the other ([2102.12092](https://arxiv.org/abs/2102.12092)). The second decodes an embedding by diffusion ([2204.06125](https://arxiv.org/abs/2204.06125)). |
# | Midjourney | not published | Its makers have described no model. What others write about it is a guess. |
# | Stable Diffusion | diffusion between an autoencoder's encoder and decoder | Diffusing a short code is far cheaper than diffusing pixels; the autoencoder is trained with a little KL or a codebook, and with a discriminator ([2112.10752](https://arxiv.org/abs/2112.10752)). The third version takes the straight path of chapter 06 ([2403.03206](https://arxiv.org/abs/2403.03206)). |
# | Text (텍스트 생성): the GPT series | autoregressive | Words are discrete and come in an order, so chapter 00's factorisation needs no approximation: the likelihood is exact ([2005.14165](https://arxiv.org/abs/2005.14165)). |
# | Speech (음성 합성): WaveNet | autoregressive | The same for amplitudes of sound, 16,000 of them a second, hence slow ([1609.03499](https://arxiv.org/abs/1609.03499)). |
# | Tacotron | autoregressive | One step a frame of a spectrogram instead of one an amplitude ([1703.10135](https://arxiv.org/abs/1703.10135)); a WaveNet turned the second version's spectrogram into sound ([1712.05884](https://arxiv.org/abs/1712.05884)). |
# | Video (비디오 생성): Sora | diffusion on an autoencoder's code | A transformer denoises patches in space and time, says the makers' report *Video generation models as world simulators* (2024), which leaves out sizes and data; the image model of that kind is published ([2212.09748](https://arxiv.org/abs/2212.09748)). |
# | RunwayML | diffusion on an autoencoder's code | So its first model, which repaints a given video ([2302.03011](https://arxiv.org/abs/2302.03011)). |
# | 3-D (3D 모델링): NeRF | none | A network that holds one scene, fitted to photographs of it ([2003.08934](https://arxiv.org/abs/2003.08934)): it renders, and has no distribution to draw from. It becomes a part of generators: a GAN ([2112.07945](https://arxiv.org/abs/2112.07945)), or a scene optimised under a diffusion model ([2209.14988](https://arxiv.org/abs/2209.14988)). |
# | 3D GAN | GAN | Chapter 04 with cubes for pixels ([1610.07584](https://arxiv.org/abs/1610.07584)). |
#
# Three things to see. **Autoencoders are everywhere**, mostly unnamed: half of these systems generate codes and
# let a decoder draw. **What is discrete and ordered is generated in order**; pictures, video and shapes are
# diffused. And the **GAN is seldom alone today**: its discriminator sharpens the decoders above and shortens
# diffusion (below).
#
# ### Outlook
#
# The lecture calls generative models one of the most actively researched areas of AI (가장 활발히 연구되고 있는 영역);
# the years of the references on this page fit that, and nothing here counts papers. It expects four things. Each exists
# in part, and each mixes families:
#
# - **Multimodal generation** (멀티모달 생성): one transformer predicts the next word and denoises the next image
#   ([2408.11039](https://arxiv.org/abs/2408.11039)).
# - **Personal content** (개인화된 생성): a handful of photographs of a subject, and a diffusion model learns its name
#   ([2208.12242](https://arxiv.org/abs/2208.12242)).
# - **Generation in real time** (실시간 생성): the way back, learnt in one to four calls by consistency
#   ([2303.01469](https://arxiv.org/abs/2303.01469)) or with a discriminator's help
#   ([2311.17042](https://arxiv.org/abs/2311.17042)).
# - **Controllable generation** (제어 가능한 생성): edges, depths or poses steer a frozen diffusion model
#   ([2302.05543](https://arxiv.org/abs/2302.05543)); you have steered one by a label.
#
# It also names the fields that change: creation, entertainment, education, medicine (창작, 엔터테인먼트, 교육,
# 의료). Films and pictures are in the table above. In **medicine**, a diffusion model places the atoms of
# proteins and of what binds to them (Abramson et al. 2024, *Nature* 630). In **education** a change need not be a
# gain: pupils who practised with a plain GPT-4 did better with it, and worse without it than pupils who never had
# it; a version that gave hints instead of answers did most of that harm away (Bastani et al. 2024, *Generative AI
# Can Harm Learning*). None of this is measured here.

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("07_comparison")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All four are
# [solved](solutions/07_comparison.ipynb).

# %% tags=["setup"]
from gen_course.ch07_comparison.checks import (
    check_coverage,
    check_effective_classes,
    check_kernel_distance,
    check_undominated,
)

# %% [markdown]
# **1. How many classes?** (5 minutes) From the `shares` (K,) of the classes, which sum to 1, return
# $\exp(-\sum_k p_k \log p_k)$: the number of equally frequent classes that would be as varied. Some class may
# never occur. Then try it on the column `shares` of the table.


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
# **2. Coverage** (15 minutes) of Naeem et al. 2020, [2002.09797](https://arxiv.org/abs/2002.09797). The reach of a
# real point is the distance to its k-th nearest other real point. Return the share of the `real` points (m, d) that
# have one of the `fake` points (n, d) within their reach.


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
# for features `a` (n, d) and `b` (m, d). Then halve the number of images in *Break it* and see what your estimate
# does.


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
# **4. Who may be chosen at all?** (20 minutes) A family *beats* another if it is at least as good in every
# criterion and better in one. Return a truth value for each row of `scores` (n, criteria), where more is better:
# True if no other row beats it. Whatever the weights (above 0), only such a row can come first. Then ask it of the
# four families of this chapter.


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
# ## Summary
#
# - A comparison needs one clock, one ruler, one number of samples, several seeds, a floor and a plain baseline.
#   Leave one out, and you can make any family win.
# - Quality, stability, speed and diversity are words; each has several figures, and they need not agree.
# - At one short clock the GAN was best in quality and in diversity, the VAE fastest, and diffusion behind. As shipped,
#   diffusion was ahead in precision and in recall, for 39 network calls a sample - and after several times the GAN's
#   minutes, with a larger network. The GAN has not been tried with as much. The VAE's samples were the worst by precision
#   each time - and it alone of the three gives a code for an image and a bound on its likelihood.
# - What is in use today mixes the families: an autoencoder for the code, diffusion or an autoregressive model to
#   generate it, a discriminator to sharpen it.
#
# Every formula and claim of the lecture, with the section that treats it and what it found, is in the
# [map of the lecture](lecture_map.md).
#
# **Further reading.** M. Lucic et al., *Are GANs Created Equal? A Large-Scale Study*, 2017,
# [1711.10337](https://arxiv.org/abs/1711.10337). M. F. Naeem et al., *Reliable Fidelity and Diversity Metrics for
# Generative Models*, 2020, [2002.09797](https://arxiv.org/abs/2002.09797).

# %%
print(timing.report())
