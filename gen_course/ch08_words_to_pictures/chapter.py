# %% [markdown]
# # 08 · Words to pictures: how does a sentence become a picture?
#
# **Question.** A diffusion model draws *something* like its training images. How do you tell it in words what to draw, and how often does it
# obey, also for things that it has never seen together?
#
# **Afterwards you can** build cross-attention by hand and say which word a place of the picture looks at, train a small text-to-image model of your
# own, measure its obedience, and use one and the same model to draw, to edit, to dress a person in other clothes, and to learn a new word from five pictures.
#
# **Minutes.** About 120 to read, about 100 for the exercises; the set-up cell says how long our machine took to run everything.
# A good place to stop is the end of *Measure*.
# **In a hurry?** Read *Idea*, *Build* up to the program, *Look* and *Measure*.
#
# **Know first:** codes and the space that they form, from chapter [03](03_vae.ipynb); the velocity, the sampler and guidance, from
# chapter [06](06_diffusion.ipynb); latent diffusion as measured in chapter [07](07_comparison.ipynb).

# %% [markdown]
# | Symbol | Meaning | Shape |
# |---|---|---|
# | $x$ | a picture of a person, pixels from −1 to 1 | (n, 3, 48, 48) |
# | $z$ | its code: a grid of cells, scaled to mean 0 and variance 1 | (n, 4, 12, 12) |
# | $c$ | a sentence: the numbers of its words, filled up with 0 | (n, words) |
# | $v_1, v_2, \dots$ | the vectors of the words | (n, words, d) |
# | $Q$, $K$, $V$ | queries of the places, keys and values of the words | (n, places, d), (n, words, d) twice |
# | $A$ | attention: how much each place takes from each word | (n, places, words) |
# | τ, ε, $u_\theta$ | time, noise and velocity, as in chapter 06, now for codes | number; as $z$ twice |
# | $w$ | guidance weight | number ≥ 0 |

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: imports, data and shipped models.
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention, silu

from gen_course.ch08_words_to_pictures import figures
from gen_course.common import plots, timing
from gen_course.common.tables import Claims, Table
from gen_lib.data.people import HELD_OUT, KINDS, load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.people.words import VOCABULARY, encode, parse
from gen_lib.metrics import psnr
from gen_lib.metrics.obedience import ask, draw, obedience
from gen_lib.models import AttributeJudge, TextToImage
from gen_lib.models.base import in_batches
from gen_lib.training.checkpoints import load_pretrained, read_card

plots.use_style()
claims = Claims()
seeded = torch.Generator().manual_seed
people = load_people()
model = load_pretrained("text-to-image", TextToImage)
judge = load_pretrained("people-judge", AttributeJudge)
print(timing.stated("08_words_to_pictures"))

# %% [markdown]
# The folded set-up cell loads `people`, pictures with an exact table of what each shows; `model`, the shipped text-to-image model that most of this chapter
# looks at; and `judge`, a classifier of people, whose answers we count.

# %% [markdown]
# ## Idea
#
# ### Three parts, of which you know two
#
# **Text-to-image** models such as Stable Diffusion (Rombach et al. 2022, [2112.10752](https://arxiv.org/abs/2112.10752)) put three parts together:
#
# 1. an **autoencoder** shortens a picture to a code and decodes it (chapters 01 and 03);
# 2. a **diffusion model** draws codes instead of pictures (chapter 06);
# 3. **words** steer the diffusion. This part is new.
#
# Chapter 06 steered by a *label*: one vector for each of ten classes, added to the vector of the time. A sentence is more than a label. There are too many sentences for one vector each, and
# different words concern different places: in *a red hat and a green coat*, *red* is for the top of the picture and *green* for the middle. So each word gets a
# vector of its own, and **each place of the picture decides which words it looks at**. This is **cross-attention** (교차 어텐션).

# %% jupyter={"source_hidden": true}
# Plot: the three parts, and what passes between them.
plots.show(
    figures.parts(),
    "A diagram. A sentence becomes five word vectors. Noise on a 12 by 12 grid enters a U-Net, which attends to the words and is called "
    "many times; the code that comes out passes a decoder and becomes a picture of 48 by 48 pixels. Autoencoder and words are trained beforehand or with it.",
)

# %% [markdown]
# ### The people
#
# The course ships 12,222 people of 48 × 48 pixels, drawn from parts of the free style *Voxel Art* (DiceBear, CC0). What each of them shows is known exactly, because the picture was drawn from
# a table: nine kinds of attribute, such as hair, hair colour and outfit. Sentences about them are drawn anew for every training step, in English and in Korean, in varied order, with synonyms, and with
# attributes left out.

# %%
rows = people.train.attributes[:4]
texts = captions(rows, "both", seeded(3)).texts
Table({f"{n}": [text] for n, text in enumerate(texts)}, ["a sentence about picture n"], "n")

# %% jupyter={"source_hidden": true}
# Plot: eight people of the training set.
plots.show(
    plots.image_rows({"": people.train.x[:8]}, "People of the training set"),
    "Eight blocky figures in front of plain backgrounds: with hats, long and short hair, glasses, coats and dresses in strong colours.",
)

# %% [markdown]
# **Seven pairs of attributes never stand together in training**, for example *green hair* and a *mohawk*. Green hair occurs, and mohawks occur. Whoever has understood both can draw both at once. These pairs are the exam:
# a model that only remembers its pictures must fail it.

# %% jupyter={"source_hidden": true, "outputs_hidden": false}
# Table: the held-out pairs, and how often each half stands alone in training.
held = {
    str(pair): [
        *(int((people.train.attributes[:, list(KINDS).index(k)] == KINDS[k].index(v)).sum()) for k, v in pair),
        0,
    ]
    for pair in HELD_OUT
}
Table(held, ["pictures with the first", "with the second", "with both"], "held-out pair")

# %% [markdown]
# ### From a sentence to vectors
#
# A network computes with numbers. So the sentence is cut into words, each word has a number in a fixed **vocabulary**, and each number has a row in a table of vectors, which training changes like any weight (an **embedding**).
# Words that the vocabulary lacks are left out. A sentence without known words becomes the special sentence *nothing*.

# %%
c = encode(["A red hat and a green coat", "빨간 모자와 초록색 코트"], length=8)
words = [[VOCABULARY[k] for k in line] for line in c.tolist()]
Table(dict(zip(("English", "Korean"), words, strict=True)), [f"{n}" for n in range(8)], "word")

# %% [markdown]
# The number 0 (`<pad>`) only fills short sentences up. One thing is missing: in the list above *red* is just *red*, whether a hat or a coat follows. So two small convolutions along the sentence add to each vector what its
# neighbours say. (Large models use a transformer of dozens of layers for this; chapter 09 builds one.)
#
# ### Attention: a table that is looked up softly
#
# A place of the picture asks a **query** q, a vector of what it needs to know ("I am at the top: what is there?"). Each word offers a **key** k ("I am about hats") and a **value** v ("red"). The place compares
# its query with all keys by inner products, turns them into shares that sum to 1, and takes the values in these shares (Vaswani et al. 2017, [1706.03762](https://arxiv.org/abs/1706.03762), eq. 1):
#
# $$\mathrm{attention}(Q, K, V) = A\, V, \qquad A = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right)$$
#
# - $Q K^\top$ holds one number for each place and word: how well the word answers the place.
# - The softmax goes **over the words**: each place distributes a total of 1. Padding gets −∞ before it, hence the share 0.
# - $\sqrt d$: the inner product of two random vectors of $d$ numbers of variance 1 has variance $d$. Without the root, long vectors would make the softmax choose a single word with nearly all its weight, and the gradient would vanish.
#
# Queries, keys and values are three linear maps of features and word vectors; training finds them. Nobody tells a place what to ask.

# %% [markdown]
# ## Build
#
# ### Attention by hand


# %%
def attention(q, k, v, seen):  # q: (n, places, d); k, v: (n, words, d); seen: (n, words)
    scores = q @ k.mT / q.shape[-1] ** 0.5  # how well each word answers each place
    scores = scores.masked_fill(~seen[:, None], -torch.inf)  # padding answers nothing
    weights = scores.softmax(dim=-1)  # over the words: (n, places, words)
    return weights @ v, weights


# %% jupyter={"source_hidden": true}
# Check: PyTorch's attention gives the same, padding gets no weight, and the scores have variance 1.
q, k, v = (torch.randn(2, size, 64, generator=seeded(size)) for size in (144, 7, 8))
v = torch.randn(2, 7, 64, generator=seeded(9))
seen = torch.arange(7) < torch.tensor([[7], [4]])
taken, weights = attention(q, k, v, seen)
torch.testing.assert_close(taken, scaled_dot_product_attention(q, k, v, seen[:, None]))
assert not weights[1, :, 4:].any()
torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 144))
assert abs((q @ k.mT / 8).std() - 1) < 0.1

# %% [markdown]
# ### The network
#
# The small network of this chapter works on the 12 × 12 cells of a code. Like the U-Net of chapter 06 it answers with the velocity; it needs no lower resolution, because a code is small. After each block of convolutions every cell looks at the words.


# %%
def block(d):
    halves = [nn.Sequential(nn.SiLU(), nn.Conv2d(d, d, 3, padding=1)) for _ in range(2)]
    return nn.Sequential(nn.GroupNorm(8, d), *halves)


class Velocity(nn.Module):
    def __init__(self, words, d=64):
        super().__init__()
        self.words, self.stem = nn.Embedding(words, d), nn.Conv2d(4, d, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(1, d), nn.SiLU(), nn.Linear(d, d))
        self.place = nn.Parameter(torch.zeros(d, 12, 12))  # says where a cell is
        self.blocks = nn.ModuleList(block(d) for _ in range(4))
        self.query, self.key, self.value = (nn.Linear(d, d) for _ in range(3))
        self.out = nn.Conv2d(d, 4, 3, padding=1)

    def forward(self, z, tau, c):  # (n, 4, 12, 12), (n, 1), (n, words) -> (n, 4, 12, 12)
        h, v = self.stem(z) + self.place, self.words(c)  # (n, d, 12, 12), (n, words, d)
        for block in self.blocks:
            h = h + block(h + self.time(tau)[:, :, None, None])
            q = self.query(h.flatten(2).mT)  # (n, 144, d)
            taken, _ = attention(q, self.key(v), self.value(v), c > 0)
            h = h + taken.mT.reshape(h.shape)
        return self.out(h)


# %% [markdown]
# ## Train
#
# ### One complete program
#
# To keep it short, a sentence has three phrases, each a single word of a small vocabulary: *blue background*, *red hair*, *green clothes*. Word 1, *a person*, stands in every sentence; 0 fills the place of a phrase that is left out.
#
# | Line | Where you know it from |
# |---|---|
# | `z`: codes in place of pictures, 12 times fewer numbers | chapters 01, 03, 07 |
# | `u - (eps - x)`: the velocity and its loss | chapter 06 |
# | times by `sigmoid`: medium noise is trained most | chapter 07 |
# | 15 % of the phrases left out, so at times all three | label dropout, chapter 06 |
# | `u + w * (u - none)`: guidance | chapter 06 |
#
# It runs for about 90 seconds. **Predict:** after that, how many of the three phrases will a picture obey: none, one, two or three?
#
# <details><summary>Answer</summary>
#
# Nearly always all three. TODO number. The colours are the easy part: TODO.
#
# </details>

# %% tags=["program"]
import torch
from tqdm.auto import trange

from gen_lib.data.people import KINDS, load_people
from gen_lib.models import TextToImage
from gen_lib.models.base import in_batches
from gen_lib.training.checkpoints import load_pretrained

torch.manual_seed(0)
people, codes = load_people(), load_pretrained("text-to-image", TextToImage)
z = in_batches(codes.encode, people.train.x)  # (10_000, 4, 12, 12), of mean 0 and variance 1
kinds = [list(KINDS).index(kind) for kind in ("background", "hair colour", "outfit colour")]
first = torch.tensor([2, 9, 16])  # words 2-8 say backgrounds, 9-15 hair, 16-24 clothes
said = people.train.attributes[:, kinds] + first

net = Velocity(words=25)
optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 700)
for _ in trange(700):
    i = torch.randint(len(z), (32,))
    c = torch.where(torch.rand(32, 3) < 0.15, 0, said[i])  # phrases left out
    c = torch.cat([c, torch.ones(32, 1).long()], dim=1)  # a person
    eps, tau = torch.randn(32, 4, 12, 12), torch.randn(32, 1).sigmoid()
    share = tau[:, :, None, None]
    u = net((1 - share) * z[i] + share * eps, tau, c)
    loss = (u - (eps - z[i])).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()


@torch.no_grad()
def sample(c, w=2.0, steps=20):
    x, nothing = torch.randn(len(c), 4, 12, 12), torch.where(c == 1, 1, 0)
    for k in range(steps):
        tau = torch.full((len(c), 1), 1 - k / steps)
        u, none = net(x, tau, c), net(x, tau, nothing)
        x = x - (u + w * (u - none)) / steps
    return codes.decode(x)  # (n, 3, 48, 48)


# %%
asked = people.test.attributes[:200, kinds]  # people that no training picture shows
pictures = sample(torch.cat([asked + first, torch.ones(200, 1).long()], dim=1))
seen = judge.attributes(pictures)[:, kinds]

# %% [markdown]
# ## Look
#
# ### Which word looks where?
#
# From here on the chapter looks at the **shipped** model. It is the same idea with more of everything: a U-Net with cross-attention at both resolutions, whole sentences in two languages, 165 words, and all nine kinds of attribute
# (`gen_lib/models/text_to_image.py`). Its rows of $A$ can be drawn: for one word, how much each cell takes from it, a mean over layers, heads and the steps of the way from noise.
#
# **Predict:** for *a red hat and a green coat*, where will the cells look at *red*? And at *and*?
#
# <details><summary>Answer</summary>
#
# TODO
#
# </details>

# %%
sentence = "a person in a green coat and a red hat"
c = encode([sentence])
c = c[:, c[0] > 0]  # without padding
states = list(model.states(1, seeded(0), labels=c, guidance=2.0))  # codes on the way from noise
looks = torch.cat([model.net.looks(s.x, s.t[None].float(), c) for s in states[:-1]]).mean(dim=0)
picture = model.decode(states[-1].x).detach()

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: the picture, and for each word where the cells look at it.
plots.show(
    figures.looks(picture[0], [VOCABULARY[k] for k in c[0]], looks),
    "TODO",
)

# %% [markdown]
# ## Explore

# %%
PromptExplorer()

# %% [markdown]
# ## Measure
#
# ### Obedience is a number
#
# The judge knows each picture of the exam (its accuracy on people that it never saw is in the folded table). So we can count: of all attributes that sentences name, what share does the judge see in the pictures?
# We ask for 500 people of the test set, and for 500 with one of the seven pairs that no training picture shows.

# %% [markdown]
# ## Break it
#
# ### Which hat is green?
#
# *A green hat and a red coat* and *a red hat and a green coat* have the same words. A model that throws all words into one vector, their mean, cannot tell them apart. Ours could fail, too: nothing but the two small convolutions tells it which colour belongs to which noun (**binding**).

# %% [markdown]
# ## Edit
#
# ### A picture, changed by words
#
# A reverse process need not begin with noise alone. **Image-to-image** (SDEdit, Meng et al. 2022, [2108.01073](https://arxiv.org/abs/2108.01073)) noises the code of a picture to a time τ < 1 and walks back from there with a new sentence. The larger τ, the more may change.
#
# **Inpainting** (chapter 06) draws only the cells under a mask and keeps the others. With a sentence this is **virtual try-on** (가상 피팅): mask the clothes, name new ones.

# %% [markdown]
# ### A new word from five pictures

# %% [markdown]
# ## What separates this from Stable Diffusion

# %% [markdown]
# ## Quiz

# %% [markdown]
# ## Exercises

# %% [markdown]
# ## Summary
