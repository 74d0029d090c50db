# %% [markdown]
# # 05 · CycleGAN: can you learn a translation that nobody has ever shown you?
#
# **Question.** You have pictures of summer and pictures of winter, but never the same place in both. Can a
# network learn what a summer landscape looks like in winter - and how would you know?
#
# **Afterwards you can** write the three losses of a CycleGAN and say what goes wrong without each, train
# one, measure its translations against true partners that training never saw, and test whether its cycle hides
# something.
#
# **Know first:** chapter [04](04_gan.ipynb); what a generator and a discriminator descend.

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import FancyArrowPatch
from torch.nn.functional import avg_pool2d
from torchvision.transforms.v2 import functional

from gen_course.ch05_cyclegan.explorers import MixerExplorer, TranslatorExplorer
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_lib.data import load_domains
from gen_lib.data.domains import SEASONS, seasons
from gen_lib.experiment import evaluate
from gen_lib.metrics import mse, psnr
from gen_lib.metrics.translation import colour_transfer
from gen_lib.models import CycleGAN, SupervisedTranslator
from gen_lib.models.base import in_batches
from gen_lib.training import training_steps
from gen_lib.training.checkpoints import load_pretrained, pretrained_folder, read_card

plots.use_style()
seeded = torch.Generator().manual_seed
domains = load_domains("seasons")
train, test = domains.train, domains.test
x_test, y_test = test.a.x, test.b.x  # (500, 3, 32, 32) in [-1, 1], the n-th of both the same scene
shipped = load_pretrained("cyclegan-seasons", CycleGAN)
emoji = load_domains("emoji")
noto, twemoji = emoji.test.a, emoji.test.b
emoji_model = load_pretrained("cyclegan-emoji", CycleGAN)


def there_and_back(model, x, to):
    """Pictures translated, and translated back again."""
    back = "A" if to == "B" else "B"
    translated = in_batches(lambda v: model.translate(v, to=to), x).clamp(-1, 1)
    return translated, in_batches(lambda v: model.translate(v, to=back), translated).clamp(-1, 1)


print(timing.stated("05_cyclegan"))

# %% [markdown]
# ## Idea
#
# A **domain** (도메인) is a kind of picture: A holds pictures x of summer, B pictures y of winter. The training pictures of A
# and of B show *different* landscapes, so there is no **pair** (페어 데이터) to learn from. A program draws
# them, and for 500 further scenes it draws both seasons. Those true partners are for testing only.

# %%
print(
    f"A: {len(train.a):,}, B: {len(train.b):,} for training; {len(test.a)} scenes in both seasons"
)
rows = {"train A": train.a.x[:12], "train B": train.b.x[:12]}
rows |= {"test x": x_test[:12], "test y": y_test[:12]}
figure = plots.image_rows(rows, "No training picture has a partner; every test picture has one")
plots.show(
    figure,
    "Four rows of twelve small landscapes with hills, trees, houses and ponds. The upper two, summer and "
    "winter, show different scenes. The lower two show the same scenes in both seasons: snow on roofs and "
    "peaks, bare trees, frozen ponds, a low sun, lit windows.",
)

# %% [markdown]
# A **CycleGAN** (Zhu, Park, Isola & Efros 2017, [1703.10593](https://arxiv.org/abs/1703.10593)) learns the
# **mapping in both directions** (양방향 매핑) at once, with four networks:
#
# - two generators (생성자): G translates x of A to B, F translates y of B to A. (The lecture calls them
#   $G_x$ and $G_y$.) Neither takes noise: a generator's input is a picture.
# - two discriminators (판별자): $D_Y$ tells a real y from G(x), $D_X$ a real x from F(y).

# %% jupyter={"source_hidden": true}
with torch.no_grad():
    g_x = shipped.g(x_test[3:4])
    stations = [x_test[3], g_x[0], shipped.f(g_x)[0]]
figure, ax = plt.subplots(figsize=(8, 3.3))
for left, picture, name in zip((0.0, 3.0, 6.0), stations, ("x", "G(x)", "F(G(x))"), strict=True):
    pixels = (picture.clamp(-1, 1).permute(1, 2, 0) + 1) / 2
    ax.imshow(pixels, extent=(left, left + 1.4, 0.3, 1.7), aspect="auto", interpolation="nearest")
    ax.text(left + 0.7, 0.2, name, ha="center", va="top")
arrow = {"arrowstyle": "-|>", "mutation_scale": 16, "linewidth": 2}
for start, name in ((1.5, "G"), (4.5, "F")):
    ends = ((start, 1.0), (start + 1.4, 1.0))
    ax.add_patch(FancyArrowPatch(*ends, color=plots.GENERATOR, **arrow))
    ax.text(start + 0.7, 1.1, name, ha="center", color=plots.GENERATOR, weight="bold")
up = ((3.7, 1.75), (3.7, 2.25))
ax.add_patch(FancyArrowPatch(*up, color=plots.DISCRIMINATOR, **arrow))
ax.text(3.9, 2.05, "D_Y: a real winter?", color=plots.DISCRIMINATOR, va="center")
curve = {"connectionstyle": "arc3,rad=0.12", "arrowstyle": "<|-|>", "mutation_scale": 12}
ax.add_patch(FancyArrowPatch((0.7, -0.12), (6.7, -0.12), color=plots.CODE, **curve))
ax.text(3.7, -0.62, "the cycle: the same picture again?", color=plots.CODE, ha="center", va="top")
ax.set(xlim=(-0.1, 7.6), ylim=(-0.85, 2.3), aspect="equal")
ax.axis("off")
plots.show(
    figure,
    "A summer landscape x goes through G to a winter landscape G(x), which the discriminator D_Y judges, "
    "and through F back to summer. An arc joins the first and the last picture: they should be the same.",
)

# %% [markdown]
# ### Three losses, each for what goes wrong without it
#
# **1. Look like B.** Without it, nothing asks G for winter. $D_Y$ descends a least-squares loss (Mao et al.
# 2016, [1611.04076](https://arxiv.org/abs/1611.04076)) and G wants the verdict 1:
#
# $$\mathcal{L}_{D_Y} = \tfrac{1}{2} \mathbb{E}\,(D_Y(y) - 1)^2 + \tfrac{1}{2} \mathbb{E}\, D_Y(G(x))^2,
# \qquad \mathcal{L}_G = \mathbb{E}\,(D_Y(G(x)) - 1)^2 .$$
#
# A square has a slope wherever the verdict is not the one wanted. The sigmoid of chapter 04 is flat where D
# is sure.
#
# **2. F is the inverse of G.** Looking like winter is not enough: the *same* winter picture for every x would
# do, or any other winter scene. **Cycle consistency** (순환 일관성) asks that the way back leads home:
#
# $$\mathcal{L}_{\text{cycle}} = \mathbb{E}\,|F(G(x)) - x| + \mathbb{E}\,|G(F(y)) - y| .$$
#
# **3. Leave alone what is right.** G may still repaint what need not change, as long as F undoes it. The
# **identity loss** asks G not to touch what is in B already:
#
# $$\mathcal{L}_{\text{identity}} = \mathbb{E}\,|G(y) - y| + \mathbb{E}\,|F(x) - x| .$$
#
# |·| is the mean over pixels of the absolute difference. The generators descend
#
# $$\mathcal{L}_G + \mathcal{L}_F + \lambda_{\text{cycle}}\,\mathcal{L}_{\text{cycle}}
# + \lambda_{\text{identity}}\,\mathcal{L}_{\text{identity}} .$$
#
# The fourth idea is no loss. The discriminators are shown translations of the past as well, out of a
# **pool** (Shrivastava et al. 2016, [1612.07828](https://arxiv.org/abs/1612.07828)), so that a generator
# cannot return to a trick that D has just forgotten.

# %% [markdown]
# ### Does the cycle decide which picture becomes which?
#
# **Predict:** let A be numbers spread evenly over [-1, 1] and B numbers spread evenly over [1, 3]. Name two
# different pairs G, F for which the adversarial *and* the cycle loss are as low as they can be.

# %%
a = torch.linspace(-1, 1, 1_001)
b = a + 2
pairs_of_maps = {
    "shift: x + 2": (lambda x: x + 2, lambda y: y - 2),
    "mirror: 2 - x": (lambda x: 2 - x, lambda y: 2 - y),
}
for name, (G, F) in pairs_of_maps.items():
    off = (G(a).sort().values - b).abs().max()  # the distribution of G(x) against that of y
    home = (F(G(a)) - a).abs().max()
    moved = (G(b) - b).abs().mean()
    print(f"{name:>13}: distribution off by {off:.4f}, cycle {home:.4f}, identity loss {moved:.3f}")
    assert max(off, home) < 1e-5

# %% [markdown]
# Both maps produce exactly B, and both have an exact inverse: **no loss of the three prefers one of them.**
# That is the price of *unpaired*: which x becomes which y is decided by what the losses do not say, which is
# what the networks find easy. The library therefore starts G and F **as the identity** (the last layer is zero,
# and its output is added to the input), with convolutions that see only a neighbourhood. Then the shortest way
# to winter is to repaint each place where it is.

# %% [markdown]
# ## Build
#
# One step is two turns. First both generators, then both discriminators on the same translations.


# %%
def distance(a, b):
    return (a - b).abs().mean()


def generators_loss(G, F, D_X, D_Y, x, y, lambda_cycle, lambda_identity):
    g_x, f_y = G(x), F(y)  # (N, 3, 32, 32)
    game = (D_Y(g_x) - 1).square().mean() + (D_X(f_y) - 1).square().mean()  # verdicts (N, 1, 8, 8)
    cycle = distance(F(g_x), x) + distance(G(f_y), y)
    identity = distance(G(y), y) + distance(F(x), x)
    return game + lambda_cycle * cycle + lambda_identity * identity


def discriminators_loss(G, F, D_X, D_Y, x, y):
    g_x, f_y = G(x).detach(), F(y).detach()  # no gradient: D's turn must not move G
    d_y = (D_Y(y) - 1).square().mean() / 2 + D_Y(g_x).square().mean() / 2
    d_x = (D_X(x) - 1).square().mean() / 2 + D_X(f_y).square().mean() / 2
    return d_x + d_y


# %% [markdown]
# The library's turns are the same numbers, from the same weights and pictures:

# %%
torch.manual_seed(0)
model = CycleGAN(width=16, width_d=16, cycle=3.0, identity=1.0, pool=0).eval()
for net in (model.g, model.f):  # not the identity any more, so that every term counts
    torch.nn.init.normal_(net.body[-2].weight, std=0.02)
batch = train.batch(0, 16)
x, y = batch
networks = (model.g, model.f, model.d_x, model.d_y)
mine = generators_loss(*networks, x, y, 3.0, 1.0), discriminators_loss(*networks, x, y)
theirs = [turn.loss for turn in model.turns(batch, seeded(0), progress=0.0)]
for name, one, other in zip(("generators", "discriminators"), mine, theirs, strict=True):
    torch.testing.assert_close(one, other)
    print(f"{name:>14}: {one.item():.4f} = {other.item():.4f}")

# %% [markdown]
# The discriminators give one verdict per **patch** of 18 x 18 pixels, not one per picture (Isola et al. 2016,
# [1611.07004](https://arxiv.org/abs/1611.07004)): style is local, and each picture counts as 64 examples.

# %%
print(model.g)
verdicts = model.d_y(y)
print("verdicts:", tuple(verdicts.shape))
assert verdicts.shape[1:] == (1, 8, 8)

# %% [markdown]
# ## Train
#
# For a minute, live, from unpaired pictures alone. **Predict:** what will change first, colours or shapes?

# %%
steps_live = 300
torch.manual_seed(0)
live = CycleGAN(width_d=32)
shown, few = {"x": x_test[:10]}, x_test[:100]
curve = {"step": [], "to winter": [], "to summer": []}
for record in training_steps(live, train, steps=steps_live, batch_size=16):
    if record.step in (25, 100, 200):
        with torch.no_grad():
            shown[f"G(x), step {record.step}"] = live.g(x_test[:10])
    if record.step % 25 == 0:
        with torch.no_grad():
            curve["step"].append(record.step)
            curve["to winter"].append(psnr(live.g(few).clamp(-1, 1), y_test[:100]))
            curve["to summer"].append(psnr(live.f(y_test[:100]).clamp(-1, 1), few))
with torch.no_grad():
    shown[f"G(x), step {steps_live}"] = live.g(x_test[:10])
shown["true y"] = y_test[:10]
figure = plots.image_rows(shown, "From summer to winter, without having seen one scene in both")
plots.show(
    figure,
    "Rows of ten landscapes: summer, then the translation after 25, 100, 200 and all steps, then the true "
    "winter. The ground turns pale first, then white; the sky turns from blue to a cold rose.",
)

# %%
before = {"to winter": psnr(few, y_test[:100]), "to summer": psnr(y_test[:100], few)}
figure, ax = plt.subplots(figsize=(7, 2.6))
plots.curves(
    ax,
    {name: curve[name] for name in before},
    x=curve["step"],
    colors=(plots.MODEL, plots.GENERATOR),
)
ax.axhline(before["to winter"], color=plots.BASELINE, linestyle="--")
ax.annotate(
    " untranslated", (curve["step"][-1], before["to winter"]), color=plots.BASELINE, va="bottom"
)
ax.set(xlabel="step", ylabel="PSNR, dB")
ax.set_title("Nobody shows it the partners, and it comes nearer to them")
plots.show(
    figure,
    "PSNR against the true partner rises over the steps in both directions, above the dashed line of the "
    "untranslated picture.",
)
for name, value in before.items():
    print(f"{name}: untranslated {value:.1f} dB, after {steps_live} steps {curve[name][-1]:.1f} dB")
    assert curve[name][-1] > value + 2

# %% [markdown]
# ## Look
#
# Longer training comes as shipped weights, for the seasons and for emoji in two styles: A is Google's Noto, B is
# Twitter's Twemoji.

# %%
for name in ("cyclegan-seasons", "cyclegan-emoji", "paired-seasons", "paired-emoji"):
    card = read_card(pretrained_folder() / f"{name}.safetensors")
    print(f"{card['command']}   ({card['minutes']} minutes)")

x, y = x_test[20:30], y_test[20:30]
g_x, back_x = there_and_back(shipped, x, "B")
f_y, back_y = there_and_back(shipped, y, "A")
rows = {"x": x, "G(x)": g_x, "true y": y, "F(G(x))": back_x}
rows |= {"y": y, "F(y)": f_y, "true x": x, "G(F(y))": back_y}
figure = plots.image_rows(rows, "Winter and summer, there and back")
plots.show(
    figure,
    "Eight rows of ten landscapes. Summer, its translation, the true winter and the way back; then winter, "
    "its translation, the true summer and the way back. Both ways back look like the start.",
)

# %%
print(
    f"A: {len(emoji.train.a):,}, B: {len(emoji.train.b):,} others for training; {len(noto)} in both"
)
picked = noto.bases[torch.linspace(0, len(noto.bases) - 1, 12).long()]
a, b = noto.x[picked], twemoji.x[picked]
rows = {"Noto": a, "G(Noto)": there_and_back(emoji_model, a, "B")[0], "true Twemoji": b}
rows |= {"F(Twemoji)": there_and_back(emoji_model, b, "A")[0]}
figure = plots.image_rows(rows, "Held-out emoji in the other style")
plots.show(
    figure,
    "Four rows of twelve emoji: Noto with shading, its translation, true Twemoji in flat colours, and "
    "Twemoji translated to Noto.",
)

# %% [markdown]
# ## Explore
#
# Choose a picture of either domain. Above: the picture, its translation, its true partner and the difference
# of the two. Below: the way back, and how far it is from the start.
#
# 1. Find three things in the scene that G gets wrong though it has seen 5,000 winters. Which of them could
#    nobody know from the summer picture?
# 2. Where is the difference above bright while the one below stays dark? F has found its way back from a
#    wrong picture.
# 3. Add a little noise to G(x). What happens to the way back, and to the eye's impression of G(x)?

# %% tags=["widget"]
TranslatorExplorer()

# %% [markdown]
# ## Measure
#
# The test scenes have true partners, so a translation can be *right*. Three things stand beside it: the
# picture untranslated; a **colour transfer** that gives each channel the mean and the standard deviation it has
# in the other domain; and **the ceiling**, the same two generators trained on true pairs, with no game at all.


# %%
def figures(name, kind, domains):
    rows = evaluate(load_pretrained(name, kind), domains)
    return {row.name: row for row in rows}


found = figures("cyclegan-seasons", CycleGAN, domains)
ceiling = figures("paired-seasons", SupervisedTranslator, domains)
print(f"{'':>12} {'untranslated':>13} {'colour':>8} {'CycleGAN':>9} {'ceiling':>8}")
for figure_name in ("psnr", "ssim", "l1"):
    for to in "ba":
        row, top = found[f"{figure_name}_to_{to}"], ceiling[f"{figure_name}_to_{to}"].value
        print(
            f"{row.name:>12} {row.beside['identity']:13.3f} {row.beside['colour']:8.3f} "
            f"{row.value:9.3f} {top:8.3f}"
        )
closed = {}
for to in "ba":
    row, top = found[f"psnr_to_{to}"], ceiling[f"psnr_to_{to}"].value
    best = max(row.beside.values())
    closed[to] = (row.value - best) / (top - best)
    print(
        f"towards {to.upper()}: {closed[to]:.0%} of the gap from the best baseline to the ceiling"
    )
    assert best < row.value < top

# %% [markdown]
# **Where is it wrong?** The program that drew the scenes knows where the horizon is. The colour of three
# regions, averaged over each, in levels of 255:

# %%
level = seasons.horizon(SEASONS["test"])[:, None]
middle_of_row = torch.arange(32) + 0.5
regions = {
    "open sky": middle_of_row < level - 11.5,
    "clouds, mountains": (middle_of_row > level - 11.5) & (middle_of_row < level),
    "meadow or snow": middle_of_row > level + 7.3,
}  # each (500, 32): which rows of which scene


def colour_error(y, target, rows):
    inside = rows[:, None, :, None] / (32 * rows.sum(dim=1)[:, None, None, None])
    return 127.5 * ((y - target) * inside).sum(dim=(2, 3)).abs().mean().item()


g_x, back_x = there_and_back(shipped, x_test, "B")
best_colour = colour_transfer(x_test, train.a.x, train.b.x)
ceiling_model = load_pretrained("paired-seasons", SupervisedTranslator)
ceiling_g, _ = there_and_back(ceiling_model, x_test, "B")
outputs = {
    "untranslated": x_test,
    "colour transfer": best_colour,
    "G(x)": g_x,
    "ceiling": ceiling_g,
}
print(f"{'':>16}", *(f"{name:>18}" for name in regions))
errors = {}
for name, output in outputs.items():
    errors[name] = [colour_error(output, y_test, rows) for rows in regions.values()]
    print(f"{name:>16}", *(f"{value:18.1f}" for value in errors[name]))
assert all(a < b for a, b in zip(errors["G(x)"], errors["untranslated"], strict=True))

# %% [markdown]
# **Is F the inverse of G?** The lecture says it has to be (F는 G의 역함수). How nearly is it?

# %%
back_y = there_and_back(shipped, y_test, "A")[1]
home = {
    "CycleGAN": (psnr(back_x, x_test), psnr(back_y, y_test)),
    "ceiling": (
        psnr(there_and_back(ceiling_model, x_test, "B")[1], x_test),
        psnr(there_and_back(ceiling_model, y_test, "A")[1], y_test),
    ),
}
for name, (of_x, of_y) in home.items():
    print(f"{name:>9}: F(G(x)) {of_x:.1f} dB near x, G(F(y)) {of_y:.1f} dB near y")
assert all(c > p for c, p in zip(home["CycleGAN"], home["ceiling"], strict=True))

# %% [markdown]
# Nearly, and nearer than the generators that were trained on true pairs. That should make you suspicious:
# a true winter picture does not show where the flowers stood. More under *Break it*.
#
# **Emoji.** Now there is no drawing program: nobody knows a formula for the change of style. A classifier of
# the two styles, trained on the originals, says what it takes a translation for; *retrieval* asks how often
# the true partner is the nearest of all held-out base emoji.

# %%
judged = read_card(pretrained_folder() / "style-judge.safetensors")["figures"]["accuracy"]
print(f"the classifier is right on {judged:.1%} of held-out originals")
emoji_found = figures("cyclegan-emoji", CycleGAN, emoji)
emoji_top = figures("paired-emoji", SupervisedTranslator, emoji)
print(
    f"{'':>15} {'untransl.':>9} {'blur':>7} {'colour':>7} {'CycleGAN':>9} {'ceiling':>8} {'truth':>7}"
)
for name, row in emoji_found.items():
    others = [row.beside[k] for k in ("identity", "blur", "colour")]
    truth = row.beside.get("truth", row.beside.get("floor"))
    end = "" if truth is None else f"{truth:7.3f}"
    print(
        f"{name:>15} {others[0]:9.3f} {others[1]:7.3f} {others[2]:7.3f} {row.value:9.3f} "
        f"{emoji_top[name].value:8.3f} {end}"
    )
for to in "ba":
    style, near, partner, frechet = (
        (emoji_found[f"{figure}_to_{to}"], emoji_top[f"{figure}_to_{to}"].value)
        for figure in ("style", "l1", "retrieval", "frechet")
    )
    assert style[0].value > style[1] > 2 * style[0].beside["identity"]
    assert partner[0].value > partner[0].beside["identity"]
    assert near[1] < near[0].value < near[0].beside["identity"]
    assert frechet[0].value < frechet[1] < frechet[0].beside["identity"]

# %% [markdown]
# Untranslated pictures are hardly ever taken for the other style, translations mostly. The true partner is the
# nearest a little more often than before, and L1 falls. But look at the *blur*: it makes L1 smaller as well, and
# towards Twemoji smaller than G does, though most blurred pictures are still taken for Noto. And look at the ceiling:
# it has seen pairs, is the nearest by far, and is taken for the target style *less* often. Where nobody can know
# what the other artist drew, the mean of all possibilities has the smallest error, and no style. **A distance to
# the truth and a likeness of style are two different questions.**
#
# **Do shapes change?** Take as a silhouette all that is not nearly white. How many pixels are in one silhouette
# and not in the other?


# %%
def reshaped(a, b):
    one, other = (v.amin(dim=1) < 0.8 for v in (a, b))  # (n, 32, 32)
    return (one != other).float().mean().item()


to_twemoji, _ = there_and_back(emoji_model, noto.x, "B")
asked, done = reshaped(noto.x, twemoji.x), reshaped(noto.x, to_twemoji)
print(
    f"between true partners {asked:.1%} of the pixels, between Noto and its translation {done:.1%}"
)
assert done < 0.75 * asked

# %% [markdown]
# ## Break it
#
# Small models of the same seed and equally many steps, one thing changed in each
# (`gen_course/ch05_cyclegan/studies/cyclegan_ablations.py`). **Predict:** which does most harm to the translations, no cycle,
# no identity or no pool?

# %%
table = read_study("cyclegan_ablations")
print(f"{'':>14} {'to winter':>10} {'to summer':>10} {'x, back':>8} {'y, back':>8}")
study = {row["variant"]: row for row in table}
for name in ("full", "no cycle", "no identity", "neither", "cycle x 10", "no pool"):
    values = [float(study[name][k]) for k in ("psnr_to_b", "psnr_to_a", "back_to_a", "back_to_b")]
    print(f"{name:>14} {values[0]:10.2f} {values[1]:10.2f} {values[2]:8.2f} {values[3]:8.2f}")
print(f"PSNR in dB after {table[0]['steps']} steps each")
there = {name: float(row["psnr_to_b"]) for name, row in study.items()}
back = {name: float(row["back_to_a"]) for name, row in study.items()}
assert max(back["no cycle"], back["neither"]) < back["full"] - 5
assert there["no cycle"] < there["neither"] < there["full"]
assert all(there["full"] - 1 < there[name] < there["full"] for name in ("no identity", "no pool"))
assert back["cycle x 10"] > back["full"] + 10
assert there["cycle x 10"] < there["no cycle"] - 3

# %% [markdown]
# Without the cycle the way back is lost, and G and F part company. But read on: with *neither* cycle nor identity
# loss the translation towards winter is nearly as good as the full one. Here the cycle is not what ties G(x) to x:
# the start as the identity and the narrow view of the convolutions do that already. And ten times the weight is no
# cure: the way back is then all but perfect because nothing is translated. The identity loss and the pool are worth
# less than 1 dB each, in a single run of each: too little to tell from luck.
#
# **The loss mixer.** Nine mixtures of the two weights, to look at:
#
# 1. Set the cycle's weight to 0. Are the translations worse, or only the way back? The tables on the right
#    know.
# 2. Set both weights to 0 and translate winter to summer. What is left of the scene?
# 3. At which mixture is the way back best, and is that where the translation is best?

# %% tags=["widget"]
MixerExplorer()

# %% [markdown]
# ### Does the cycle hide anything?
#
# From G(x), F finds its way back to x. Give F the *true* winter picture of the same scene instead, and it comes
# far less near. So G(x) tells F something about the summer that a winter picture does not show. Where is it? The
# cycle loss rewards *any* trace of x in G(x), also one too faint to see. Hiding a picture in another one is called
# **steganography**, and CycleGANs have been found to do it (Chu, Zhmoginov & Sandler 2017,
# [1712.02950](https://arxiv.org/abs/1712.02950)).
#
# A trace that is too faint to see does not survive what hardly changes a picture: slight noise, a blur, coarser levels,
# JPEG. But each of these adds error to *every* picture. So apply each of them twice: **before** F, to what F sees, and
# **after** F, to what F returns. A hidden trace shows in what it costs before F beyond what it costs after F. As a
# yardstick take two functions that certainly hide x: the hider rounds y to 16 levels and adds x at 3 % of its
# contrast; the finder subtracts the rounded picture and enlarges the rest.
#
# **Predict:** slight noise before F: how many times as much error as the same noise after F? For the hider and its
# finder, and for G and F.


# %%
def rounded(v, levels):
    return ((v + 1) / 2 * (levels - 1)).round() / (levels - 1) * 2 - 1


def jpeg(v, quality):
    pixels = (127.5 * (v.clamp(-1, 1) + 1)).round().byte()
    return torch.stack([functional.jpeg(picture, quality) for picture in pixels]) / 127.5 - 1


eps = torch.randn(x_test.shape, generator=seeded(0))
changes = {f"noise {s}": lambda v, s=s: v + s * eps for s in (0.01, 0.05, 0.1)}
changes |= {
    f"blur {s}": lambda v, s=s: functional.gaussian_blur(v, [7, 7], [s, s]) for s in (0.5, 1.0)
}
changes |= {f"{n} levels": lambda v, n=n: rounded(v, n) for n in (16, 8)}
changes |= {f"JPEG {q}": lambda v, q=q: jpeg(v, q) for q in (90, 50)}


def added_error(way_back, sent):
    """What each change adds to the squared error against x: before the way back, and after it."""
    back = way_back(sent)
    return {
        name: [mse(v.clamp(-1, 1), x_test) - mse(back, x_test) for v in (before, change(back))]
        for name, change in changes.items()
        for before in [way_back(change(sent))]
    }


def by_f(v):
    return in_batches(shipped.f, v).clamp(-1, 1)


def finder(v):
    return ((v - rounded(v, 16)) / 0.03).clamp(-1, 1)


g_x, back_x = there_and_back(shipped, x_test, "B")
hider = rounded(y_test, 16) + 0.03 * x_test
added = {
    "hider": added_error(finder, hider),
    "G(x)": added_error(by_f, g_x),
    "true y": added_error(by_f, y_test),
}
near, far = psnr(back_x, x_test), psnr(by_f(y_test), x_test)
print(f"F(G(x)) is {near:.1f} dB near x, F(y) {far:.1f} dB; added squared error before / after F:")
print(f"{'':>11}" + "".join(f"{name:>20}" for name in added))
for change in changes:
    pairs = (f"{added[name][change][0]:+.4f} / {added[name][change][1]:+.4f}" for name in added)
    print(f"{change:>11}" + "".join(f"{pair:>20}" for pair in pairs))

# %% jupyter={"source_hidden": true}
# Proof: the hider is found out by every change; G is not.
ratio = {name: {k: a / b for k, (a, b) in added[name].items()} for name in ("hider", "G(x)")}
assert near > far + 3
assert mse(finder(hider), x_test) < 1e-6
assert min(ratio["hider"].values()) > 40
assert max(ratio["G(x)"].values()) < 2.5
for change in ("noise 0.05", "noise 0.1"):  # the true winter picture loses as much
    assert abs(added["G(x)"][change][0] / added["true y"][change][0] - 1) < 0.15
    assert ratio["G(x)"][change] < 1.35
assert added["true y"]["8 levels"][0] > added["G(x)"]["8 levels"][0]
assert ratio["G(x)"]["8 levels"] == max(ratio["G(x)"].values())

# %% jupyter={"source_hidden": true}
# Figure: each change, before F against after F.
figure, ax = plt.subplots(figsize=(7, 3.4))
for name, color in (("hider", plots.BASELINE), ("G(x)", plots.GENERATOR)):
    before, after = zip(*added[name].values(), strict=True)
    ax.scatter(after, before, 30, color=color)
    ax.annotate(f"{name}  ", (min(after), before[after.index(min(after))]), color=color, ha="right")
ends = (5e-5, 2e-2)
ax.plot(ends, ends, color="black", linewidth=1, linestyle="--")
ax.annotate("equal", (4e-4, 4e-4), va="top", ha="left", xytext=(4, -4), textcoords="offset points")
ax.set(xscale="log", yscale="log", xlim=(2e-5, 4e-2), ylim=(5e-5, 3))
ax.set(xlabel="squared error that a change adds after F", ylabel="... before F")
ax.set_title("Every change destroys what the hider hid; none destroys what G tells F")
plots.show(
    figure,
    "Added squared error before the way back against after it, one dot for each of nine changes. The dots of "
    "the hider lie far above the dashed line of equal errors, by a factor of "
    f"{min(ratio['hider'].values()):.0f} or more; those of G(x) lie close to it, a factor of "
    f"{max(ratio['G(x)'].values()):.1f} above it at most.",
)

# %% [markdown]
# What G tells F is not hidden. Noise before F costs the way back from G(x) about a quarter more than noise after F, and
# as much as it costs the way back from the true y. Rounding to 8 levels costs about twice as much before F as after it,
# but the way back from the true y loses even more to it: F enlarges such steps in any picture. (In decibels the better
# way back falls further under the same added error: that is arithmetic, and shows nothing.)
#
# So look for the trace with your eyes. No flower is left in a true winter picture. Here are the scenes with most
# flowers, and by how much a flower differs from the meadow around it, in levels of 255:

# %%
red = (
    x_test[:, :1] > 0.4
).float()  # (500, 1, 32, 32): petals are redder than grass, and so are walls
red[:, :, :27] = 0.0
petals = red * (avg_pool2d(red, 5, 1, 2) < 5 / 25)  # small spots in the foreground


def stands_out(v):
    """By how many levels of 255 a flower's pixel differs from the meadow around it."""
    free = 1 - red
    around = avg_pool2d(v * free, 5, 1, 2) / avg_pool2d(free, 5, 1, 2).clamp(min=1 / 25)
    off = 127.5 * (v - around).square().mean(dim=1, keepdim=True).sqrt()  # (500, 1, 32, 32)
    return ((off * petals).sum() / petals.sum()).item()


pictures = {"x": x_test, "G(x)": g_x, "F(G(x))": back_x, "true y": y_test, "F(y)": by_f(y_test)}
mark = {name: stands_out(v) for name, v in pictures.items()}
for name, value in mark.items():
    print(f"a flower stands out by {value:4.1f} levels in {name}")
most = petals.flatten(1).sum(dim=1).topk(8).indices
rows = {name: v[most] for name, v in pictures.items()}
figure = plots.image_rows(rows, "G leaves coloured marks where flowers are", 0.95)
plots.show(
    figure,
    "Eight scenes with flowers. In G(x) there are pale coloured dots on the snow where the flowers of x are, and "
    "F(G(x)) has flowers there. The true winter pictures have clean snow, and F makes no flowers from them.",
)

# %% jupyter={"source_hidden": true}
# Proof: the marks are far above what the eye misses, and are what F reads.
assert mark["G(x)"] > 15 > 1.5 * mark["true y"]
assert mark["F(G(x))"] > 2 * mark["F(y)"]
assert mark["x"] > 2 * mark["F(G(x))"]

# %% [markdown]
# **Symptom:** a better way back from the made-up winter than from the true one. **Number:** how much a flower stands
# out in G(x), beside the true y. **Cause:** the cycle loss pays for a trace of x, and the discriminator lets this one
# pass; so it need not be faint. "F is the inverse of G" is a statement about pixels, and does not say that G(x) *means*
# the same as x. **Would noise repair it?** Against a faint trace one puts noise between G and F in training. The last
# row of the study did that, with noise of standard deviation 0.2. If noise only adds its variance to the squared error,
# the way back through noise of 0.1 can be predicted from the way back without:

# %%
print(
    f"{'training':>11} {'F(G(x))':>8} {'with noise':>11} {'predicted':>10} {'F(y)':>6}   (dB near x)"
)
for name, called in (("full", "plain"), ("noise", "with noise")):
    asked = ("back_to_a", "back_noised", "psnr_to_a")
    back, noised, from_truth = (float(study[name][k]) for k in asked)
    predicted = 10 * math.log10(4 / (4 * 10 ** (-back / 10) + 0.1**2))
    print(f"{called:>11} {back:8.1f} {noised:11.1f} {predicted:10.1f} {from_truth:6.1f}")
    assert abs(noised - predicted) < 0.25
    assert back > from_truth + 3

# %% [markdown]
# Both lose what the variance of the noise takes, and no more: the small model hid nothing that noise could remove, so
# there was nothing to repair. Training with noise made the way back worse, and left it far better than from true
# winter pictures. That F should not know what winter hides is asked by none of these losses. Chu et al. did find hidden
# traces, in networks for larger pictures.

# %% [markdown]
# ## What it is used for, and your own pictures
#
# The lecture names photographs and Monet's paintings, zebras and horses, summer and winter landscapes, and the
# styles of artists. They share what the seasons share: colours and textures change, shapes stay. The authors
# report that changes of shape, such as dogs to cats, mostly fail. If you have such a folder, with pictures in
# `trainA`, `trainB`, `testA` and `testB`, one line changes: `load_domains("path/to/horse2zebra", size=64)`.
# Or, without a notebook:
#
# `python -m gen_lib train cyclegan --data path/to/horse2zebra --minutes 60`

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("05_cyclegan")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All five are
# [solved](solutions/05_cyclegan.ipynb).

# %% tags=["setup"]
from gen_course.ch05_cyclegan.checks import (
    check_cycle_loss,
    check_discriminator_losses,
    check_exchange,
    check_generators_turn,
    check_identity_loss,
)

# %% [markdown]
# **1. The cycle** (5 minutes). Return $\mathbb{E}|F(G(x)) - x| + \mathbb{E}|G(F(y)) - y|$ for pictures `x` of A
# and `y` of B, both (N, C, H, W); |·| is a mean over pixels.


# %% tags=["exercise"]
def cycle_loss(G, F, x, y):
    """How far both ways back end from where they began."""
    # Hint: torch.nn.functional.l1_loss is a mean of absolute differences.
    ### BEGIN SOLUTION
    l1_loss = torch.nn.functional.l1_loss
    return l1_loss(F(G(x)), x) + l1_loss(G(F(y)), y)
    ### END SOLUTION


# %%
check_cycle_loss(cycle_loss)

# %% [markdown]
# **2. The identity** (5 minutes). Return what asks both generators to leave alone what is in their target
# domain already.


# %% tags=["exercise"]
def identity_loss(G, F, x, y):
    """How much G repaints pictures of B, and F pictures of A."""
    # Hint: which pictures are already where G leads to?
    ### BEGIN SOLUTION
    repainted = torch.cat([G(y) - y, F(x) - x])  # equally many of both
    return 2 * repainted.abs().mean()
    ### END SOLUTION


# %%
check_identity_loss(identity_loss)

# %% [markdown]
# **3. Two discriminators** (10 minutes). Given pictures and translations, return the least-squares losses of
# `D_X` and of `D_Y`, as a pair. The translations still carry the generators' gradients.


# %% tags=["exercise"]
def discriminator_losses(D_X, D_Y, x, y, g_x, f_y):
    """D_X's loss and D_Y's, each 1/2 E (D(real) - 1)^2 + 1/2 E D(fake)^2."""

    # Hint: of which domain is F(y)?
    ### BEGIN SOLUTION
    def least_squares(D, real, fake):
        return ((D(real) - 1) ** 2).mean() / 2 + (D(fake.detach()) ** 2).mean() / 2

    return least_squares(D_X, x, f_y), least_squares(D_Y, y, g_x)
    ### END SOLUTION


# %%
check_discriminator_losses(discriminator_losses)

# %% [markdown]
# **4. The pool** (20 minutes). `pool` is a list that keeps up to `size` translations between calls; one new
# image comes in, one goes out. Until the pool is full, keep the new one and return it. Then toss a coin with
# `rng`: return the new one and keep nothing, or return a random one of the pool and keep the new one in
# its place.


# %% tags=["exercise"]
def exchange(pool, new, size, rng):
    """The image that the discriminator is shown."""
    # Hint: torch.rand((), generator=rng) is the coin, torch.randint(size, (), ...) the place.
    ### BEGIN SOLUTION
    if len(pool) < size:
        pool.append(new)
        return new
    if torch.rand((), generator=rng) < 0.5:
        return new
    place = int(torch.randint(size, (), generator=rng))
    old, pool[place] = pool[place], new
    return old
    ### END SOLUTION


# %%
check_exchange(exchange)

# %% [markdown]
# **5. The generators' turn** (30 minutes). Take one step of `optimiser`, which holds the weights of G and F,
# down the whole sum, and return the loss. Gradients must pass *through* the discriminators, but none may stay
# in them, and their weights must not move.


# %% tags=["exercise"]
def generators_turn(G, F, D_X, D_Y, optimiser, x, y, lambda_cycle, lambda_identity):
    """One step of both generators."""
    # Hint: loss.backward(inputs=list_of_weights) fills the gradients of these weights alone.
    ### BEGIN SOLUTION
    verdict_y, verdict_x = D_Y(G(x)), D_X(F(y))
    loss = ((verdict_y - 1) ** 2).mean() + ((verdict_x - 1) ** 2).mean()
    loss = loss + lambda_cycle * cycle_loss(G, F, x, y)
    loss = loss + lambda_identity * identity_loss(G, F, x, y)
    optimiser.zero_grad()
    loss.backward(inputs=[*G.parameters(), *F.parameters()])
    optimiser.step()
    return loss
    ### END SOLUTION


# %%
check_generators_turn(generators_turn)

# %% [markdown]
# ## Summary
#
# - Two generators and two discriminators learn a translation in both directions from unpaired pictures.
# - The adversarial loss asks for the style, the cycle loss for a way back, the identity loss for restraint.
#   None of them says which x belongs to which y: the networks' start and shape decide.
# - **Strength, as measured here:** without a single pair it comes nearer to the true partners than a transfer
#   of colours does. **Weaknesses:** pairs, where you have them, are better; a good cycle is no proof of a good
#   translation, since G leaves marks of x in G(x) that F reads, here in plain sight; and shapes hardly change.
#
# **Next:** chapter 06 leaves games behind: it destroys a picture by noise, step by step, and learns the way
# back.
#
# **Further reading.** J.-Y. Zhu, T. Park, P. Isola, A. Efros, *Unpaired Image-to-Image Translation using
# Cycle-Consistent Adversarial Networks*, 2017, [1703.10593](https://arxiv.org/abs/1703.10593). X. Mao et al.,
# *Least Squares Generative Adversarial Networks*, 2016, [1611.04076](https://arxiv.org/abs/1611.04076). C. Chu,
# A. Zhmoginov, M. Sandler, *CycleGAN, a Master of Steganography*, 2017,
# [1712.02950](https://arxiv.org/abs/1712.02950).

# %%
print(timing.report())
