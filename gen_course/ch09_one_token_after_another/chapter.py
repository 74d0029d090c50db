# %% [markdown]
# # 09 · One token after another: how does a machine write?
#
# **Question.** A model that can do one thing only, guess the next letter, is asked for a whole text. Can it write names, novels and Korean syllables, compose a tune, and even draw a picture?
#
# **Afterwards you can** build masked self-attention by hand and prove that it does not look ahead, train a small GPT of your own, say what its loss is worth beside counting,
# choose a temperature and know what it costs, read a scaling law, and tell learning from copying.
#
# **Minutes.** About 120 to read, about 145 for the exercises; the set-up cell says how long our machine took to run everything.
# A good place to stop is the end of *Measure*.
# **In a hurry?** Read *Idea*, the program in *Train*, *Explore* and *Measure*.
#
# **Know first:** the autoregressive histogram of chapter [00](00_start_here.ipynb); the attention of chapter [08](08_words_to_pictures.ipynb), which is built again here in a shorter form. Cross-entropy is explained below.

# %% [markdown]
# | Symbol | Meaning | Shape |
# |---|---|---|
# | $x_1, x_2, \dots, x_n$ | a text: the numbers of its tokens | (n,) |
# | $x_{<i}$ | all tokens before the one at place i | (i − 1,) |
# | $p(b \mid a)$ | probability that token b follows token a | number in [0, 1] |
# | $h$ | what the network holds at each place, $d$ numbers | (places, d) |
# | $Q$, $K$, $V$ | queries, keys and values of the places | (places, d) each |
# | $A$ | attention: how much each place (row) takes from each place (column) | (places, places) |
# | $T$ | temperature | number ≥ 0 |
# | $N$, $D$ | weights, tokens trained on; 6 N D is about the number of floating-point operations | numbers |
# | $n$ in the shape of a batch | rows (texts) in it | |

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: imports, texts, shipped models and stored studies.
import math
import re
import time
from collections import Counter
from itertools import combinations, islice, pairwise
from unittest.mock import patch

import torch
from IPython.display import Audio, display
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import scaled_dot_product_attention
from tqdm.auto import trange

from gen_course.ch09_one_token_after_another import figures, search, studies_folder
from gen_course.ch09_one_token_after_another.explorers import (
    AskTheCourse,
    NextTokenExplorer,
    PianoRoll,
    TemperatureExplorer,
)
from gen_course.ch09_one_token_after_another.harmony import (
    choir,
    consonance,
    parallels,
    to_white_keys,
)
from gen_course.ch09_one_token_after_another.music import RATE, sound
from gen_course.ch09_one_token_after_another.pictures import draw
from gen_course.common import plots, timing
from gen_course.common.quiz import Quiz
from gen_course.common.studies import read_study
from gen_course.common.tables import Claims, Table
from gen_lib import experiment
from gen_lib.data.text import load_text
from gen_lib.data.tunes import VOICES, load_chorales
from gen_lib.metrics.text import NGram, best_ngram
from gen_lib.models import GPT
from gen_lib.models.transformer import probabilities
from gen_lib.training.checkpoints import load, load_pretrained, pretrained_folder, read_card

plots.use_style()
claims = Claims()
seeded = torch.Generator().manual_seed
names, novels, tunes = load_text("names"), load_text("austen", "characters"), load_text("tunes")
writer, austen, player = (load_pretrained(f"gpt-{of}", GPT) for of in ("names", "austen", "tunes"))
cards = {
    of: read_card(pretrained_folder() / f"gpt-{of}.safetensors")["figures"]
    for of in ("names", "austen", "korean", "tunes")
}

print(timing.stated("09_one_token_after_another"))

# %% [markdown]
# The folded set-up cell loads
#
# - three texts: `names`, 88,799 surnames; `novels`, six novels of Jane Austen; `tunes`, 2,881 dance tunes written as rows of notes;
# - three shipped models: `writer` of names, `austen` of novels, `player` of tunes;
# - `cards`: what these three were measured at, and a fourth one that writes Korean.

# %% [markdown]
# ## Idea
#
# ### A text, split into guesses
#
# How probable is a name? There are too many names for a table. Chapter 00 met the way out with two numbers, the chain rule: first the one, then the other given the first. For a text of n tokens it reads
#
# $$p(x_1, \dots, x_n) = p(x_1)\; p(x_2 \mid x_1)\; p(x_3 \mid x_1, x_2) \cdots = \prod_{i=1}^{n} p(x_i \mid x_{<i})$$
#
# This holds for every distribution; nothing is approximated. A model of this form is **autoregressive** (자기회귀): it needs only one ability, to give the probabilities of the next token. To *score* a text, multiply them. To *write* one, draw the next token, append it, and ask again.
#
# A **token** (토큰) is whatever the text is cut into: here a letter. The sign ¶ in the figures is the line end, token 0; it stands before the first letter, as $x_0$, and after the last one, so the model also learns how names begin and when to stop.

# %% [markdown] tags=["slide"]
# A text is a row of guesses
#
# {figure}
#
# ? Which of these guesses is easy?

# %% jupyter={"source_hidden": true}
# Plot: the chain rule on the name Emma.
plots.show(
    figures.chain(),
    "A diagram: the line end, the letters E, m, m, a and the line end again in six boxes. An arrow leads from all earlier boxes to each next one, and under each stands "
    "its conditional probability, such as p of m given the line end, E and m.",
)

# %% [markdown]
# ### The first model is counted
#
# The simplest guess looks at one letter only, the last. That is a **bigram** (바이그램) model: one table, a row for each letter, which says how often each letter follows it. To train it, count. The figure below shows the rows of the small letters; its colours follow the square root of p, so that rare pairs are seen, too.

# %%
text = names.train.tokens  # numbers of letters; 0 is the line end
size = len(names.tokeniser.tokens)
counts = torch.zeros(size, size)
ones = torch.ones(len(text) - 1)
counts.index_put_((text[:-1], text[1:]), ones, accumulate=True)  # adds 1 at [a, b] for each pair
p = (counts + 0.01) / (counts + 0.01).sum(dim=1, keepdim=True)  # p[a, b] = p(b | a)

# %% [markdown] tags=["slide"]
# A bigram model is a table of counts
#
# {figure}
#
# ? Which letter follows q?

# %% jupyter={"source_hidden": true}
# Plot: the bigram table.
plots.show(
    figures.bigrams(p, names.tokeniser.tokens),
    "A heat map of 26 by 27 cells: each row is a small letter, each column the letter after it or the line end. Row q is dark at u, row y at the line end; few cells are dark.",
)


# %%
def draw_name(p, rng):  # follow the table from line end to line end
    letter, name = 0, ""
    while True:
        letter = torch.multinomial(p[letter], 1, generator=rng).item()
        if letter == 0:
            return name
        name += names.tokeniser.tokens[letter]


rng = seeded(0)
[draw_name(p, rng) for _ in range(8)]

# %% [markdown]
# Pronounceable, in part, and hardly a name among them: a table that sees one letter cannot know how long a name already is. (The 0.01 gives pairs that were never seen a small probability. It is called a **pseudo-count** (의사 카운트); without it, one new pair would make a name impossible.)
#
# ### Why counting is the best that such a table can do
#
# A model is the better, the more probability it gives to the texts that exist: **maximum likelihood** (최대우도). A product of thousands of small numbers is 0 in any computer, so take the logarithm, change the sign, and divide by the number of tokens:
#
# $$L = -\frac1n \sum_{i=1}^n \log p(x_i \mid x_{<i})$$
#
# This is the **cross-entropy** (교차 엔트로피), the loss of every model in this chapter. With $\log_2$ it is counted in **bits** (비트): a token that the model gives probability ½ costs one bit, ¼ costs two. There are 53 tokens (52 letters and the line end), so a model that knows nothing pays $\log_2 53 \approx 5.7$ bits for each.
#
# For a table, group the sum by the letter before. With $n_{ab}$ = how often b follows a, and $n_a = \sum_b n_{ab}$,
#
# $$L = \sum_a \frac{n_a}{n} \underbrace{\Bigl(-\sum_b \frac{n_{ab}}{n_a} \log p(b \mid a)\Bigr)}_{\text{cross-entropy of the row of } a}$$
#
# Each row stands alone. Write $q_b = n_{ab}/n_a$. The bracket is $-\sum_b q_b \log q_b + \sum_b q_b \log \frac{q_b}{p(b \mid a)}$ (add and subtract $\sum q_b \log q_b$). The first term does not depend on the model: it is the entropy of the data. The second is the Kullback-Leibler divergence of chapter 03,
# never negative, and 0 only for $p(b \mid a) = q_b$. **So on the text that was counted, no table is better than the counted one**, and the entropy of the row is what it must pay. (On new text a pseudo-count can win: pairs that were never counted do occur there.)

# %% [markdown] tags=["slide", "steps"]
# Counting is maximum likelihood
#
# $$L = -\frac{1}{n} \sum_i \log p(x_i \mid x_{<i})$$
#
# bits for each token, if the logarithm has base 2
#
# $$p(b \mid a) = \frac{n_{ab}}{n_a}$$
#
# is its minimum for a table

# %% jupyter={"source_hidden": true}
# Check: a table of logits that is trained by gradients costs no less, and becomes the counted table.
shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
logits = torch.zeros(size, size, requires_grad=True)
optimiser = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")


def descend():
    optimiser.zero_grad()
    loss = -(counts * logits.log_softmax(dim=1)).sum() / counts.sum()
    loss.backward()
    return loss


optimiser.step(descend)
learnt = -(counts * logits.detach().log_softmax(dim=1)).sum() / counts.sum()
counted = -torch.special.xlogy(counts, shares).sum() / counts.sum()
assert counted <= learnt < counted + 1e-3
apart = (logits.detach().softmax(dim=1) - shares).abs().sum(dim=1)
assert (apart * counts.sum(dim=1)).sum() < 0.05 * counts.sum()

# %% [markdown]
# ### Longer memories, and why they fail
#
# Look at two letters before, three, seven: an **n-gram** (n-그램) model of order n counts what follows each string of n − 1 letters. The longer the string, the better the guess, and the fewer such strings have ever been seen.
# Models of this kind mix what long strings and short strings say; the best known way is Kneser and Ney's (`NGram` of the library, with the sources).
#
# **Predict:** which order is best on names that were not trained on? And is the optimum longer or shorter for novels, of which there are six times as many letters?
#
# <details><summary>Answer</summary>
#
# For names, order 5: four letters of memory. Of the strings of five letters in new names a fifth were never seen in training, of those of six letters half (right panel). For Austen the curve still falls at order 8, but it has nearly stopped falling.
#
# </details>

# %% [markdown] tags=["slide", "predict"]
# How many letters should a counting model look back?
#
# ? And what changes with six times as much text?

# %%
texts = {"names": names, "novels": novels}
orders = {
    of: best_ngram(data.train.tokens, data.test.tokens, len(data.tokeniser.tokens))
    for of, data in texts.items()
}


# %% [markdown] tags=["slide"]
# Long memories meet strings that they have never seen
#
# {figure}


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: bits per letter over the order, and how many contexts of the test text were never seen.
def never_seen(data, length):  # share of places whose last ``length`` letters are new
    base = len(data.tokeniser.tokens) ** torch.arange(length)
    known, asked = (
        (of.tokens.unfold(0, length, 1) * base).sum(1) for of in (data.train, data.test)
    )
    return 1 - torch.isin(asked[:20_000], known).float().mean().item()


unseen = {of: [never_seen(data, k) for k in range(1, 8)] for of, data in texts.items()}
plots.show(
    figures.orders(orders, unseen),
    "Two panels. Left: bits per letter over 0 to 7 letters of memory; names have their lowest value at 4, novels fall to the right with less and less gain. Right: the share of "
    "contexts never seen in training rises with their length, faster for names.",
)

# %% [markdown]
# A table has no idea that two contexts are alike. What it has counted after *nsen* (Jensen, Hansen) does not help it after *nson* (Jenson, Hanson). A network that turns letters into vectors can share: similar contexts get similar vectors, and what is learnt for the one helps the other. The rest of this chapter is such a network,
# the **transformer** (트랜스포머).

# %% [markdown]
# ## Build
#
# ### Self-attention: a text that looks at itself
#
# In chapter 08 the places of a *picture* looked at the words of a *sentence*. Here a text looks at itself: **self-attention** (셀프 어텐션). Every place has a query ("which letter decides what I need to guess?"), a key ("what am I?") and a value ("what I tell"). Three learnt matrices make them from what the place holds: $Q = h W_Q$, $K = h W_K$, $V = h W_V$. One thing is new: place i must guess $x_{i+1}$, so it may see the places 1 … i
# only. Looking ahead would be reading the answer. Hence a **mask** (마스크): the scores of later places become −∞ before the softmax, their weights 0.
#
# $$A = \mathrm{softmax}\!\left(\mathrm{mask}\!\left(\frac{Q K^\top}{\sqrt d}\right)\right), \qquad \text{out} = A\,V$$

# %% [markdown] tags=["slide", "steps"]
# Masked attention takes four lines
#
# ```python
# scores = q @ k.mT / q.shape[-1] ** 0.5
#
# after = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
#
# weights = scores.masked_fill(after, -torch.inf).softmax(dim=-1)
#
# return weights @ v, weights
# ```
#
# ? What does place 1 look at?


# %%
def attention(q, k, v):  # (n, places, d) each
    scores = q @ k.mT / q.shape[-1] ** 0.5  # row i: how well each place answers place i
    after = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)  # column later than row
    weights = scores.masked_fill(after, -torch.inf).softmax(dim=-1)
    return weights @ v, weights


# %% [markdown] tags=["slide"]
# No place looks ahead
#
# {figure}

# %%
# Random numbers stand in for queries, keys and values.
q, k, v = (torch.randn(1, 8, 16, generator=seeded(n), requires_grad=True) for n in range(3))
out, weights = attention(q, k, v)

# %% jupyter={"source_hidden": true}
# Plot: the attention of random queries and keys; what lies after a place is masked.
plots.show(
    figures.mask(weights[0].detach()),
    "A square of 8 by 8 cells. Below and on the diagonal stand weights that sum to 1 in each row; above it, where a place would look ahead, all cells are grey.",
)

# %% jupyter={"source_hidden": true}
# Check: PyTorch's attention gives the same, and no output depends on a later place (by gradients).
torch.testing.assert_close(out, scaled_dot_product_attention(q, k, v, is_causal=True))
for i in range(8):
    of = torch.autograd.grad(out[0, i].sum(), (k, v), retain_graph=True)
    assert all(not g[0, i + 1 :].any() for g in of)
    assert all(g[0, : i + 1].any() for g in of[1:])

# %% [markdown]
# Why it never looks ahead: after the softmax, a score of −∞ is a weight of exactly 0, whatever the keys and values are. So the output at place i does not depend on any later place. The folded check confirms it by gradients: the derivative of the output at place i by every later key and value is 0. A model for which that holds is called **causal** (인과적).
#
# ### Where am I?
#
# Attention without a mask compares contents; it has no idea of order. Swap two earlier letters and their keys and values, and the output is the same. So the place must be told. Two ways:
#
# - **Learnt positions**: add to the vector of each token a vector of its place (Radford et al. 2018). One line; the program below does it.
# - **Rotary positions** (회전 위치 임베딩; Su et al. 2021, [2104.09864](https://arxiv.org/abs/2104.09864)): turn query and key, pair of numbers by pair, by an angle that is proportional to the place. Turning two vectors by the same angle does not change their inner product, so $(R_m q) \cdot (R_n k) = q \cdot (R_{n-m} k)$: only the distance of the two places counts. So the network can learn *two places back*
#   once, for all places. The library does this, and so do today's large models.


# %%
def rotated(x):  # (places, d): the point (x_j, x_(j + d/2)) of place m turns by m * speed_j
    places, d = x.shape
    speed = 10_000 ** (-torch.arange(0, d, 2) / d)
    angle = torch.arange(places)[:, None] * speed
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


# %% jupyter={"source_hidden": true}
# Check: the product of a turned query and a turned key depends on their distance alone.
one_q, one_k = torch.randn(2, 1, 16, generator=seeded(1))
products = rotated(one_q.expand(9, 16)) @ rotated(one_k.expand(9, 16)).T
for distance in range(-5, 6):
    along = products.diagonal(distance)
    torch.testing.assert_close(along, along[:1].expand_as(along))
assert products.diagonal(0)[0] != products.diagonal(3)[0]

# %% [markdown]
# With the mask, a little of the order comes through. How much? A stored study trained the same small network three times on the letters of Austen: without positions, with learnt ones, and with rotary ones. The steps are equal (1,500, one run each), and so is all else. Counting with one letter of memory needs 3.45 bits a letter there, with seven 1.56.
#
# **Predict:** without positions, is the network as bad as a model that only knows how often each letter occurs (4.42 bits)?
#
# <details><summary>Answer</summary>
#
# Far from it: about 2.1 bits. The mask gives order away: place i sees i letters. If a place spreads its attention evenly, each letter gets the weight 1/i, and so does the line end at the beginning of the row: a number that tells the place. Later blocks can use it. But telling the place directly helps, and telling distances helps most.
#
# </details>

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: bits per letter of held-out Austen without, with learnt and with rotary positions.
placed = {row["positions"]: float(row["test_bits"]) for row in read_study("positions")}
assert placed["rotary"] < placed["learnt"] < placed["none"] - 0.1
Table({name: [f"{bits:.2f}"] for name, bits in placed.items()}, ["bits per letter"], "positions")

# %% [markdown]
# ### The whole network
#
# A **block** is attention, then a small network that works at each place by itself. Both *add* to what was there, and both see a normalised input (zero mean and variance 1 at each place, then a learnt scale and shift), which keeps deep stacks trainable. Blocks are stacked; after a last norm, a linear layer, the **head**, turns what each place holds into one number
# for each token, and a softmax turns these into probabilities. (*Head* also names one of several attentions side by side, each on its own share of the numbers. Both uses are common.)

# %% [markdown] tags=["slide"]
# GPT is a stack of two kinds of layer
#
# {figure}
#
# ? Where do places exchange anything?

# %% jupyter={"source_hidden": true}
# Plot: the transformer and one of its blocks.
plots.show(
    figures.block(),
    "A diagram. Tokens become vectors, to which vectors of the places are added; three blocks follow, then a norm, a linear layer and a softmax. One block is drawn large: norm, masked attention, "
    "plus; norm, small network, plus.",
)

# %% [markdown]
# ## Train
#
# ### One complete program
#
# The whole GPT: data, network, loss and loop. It runs in an empty notebook. Each row of a batch begins with the line end before a name and runs on through the list for 33 tokens, such as `¶Wolpert¶Kartchner¶Tayor¶Badeau¶H`. The network guesses 32 of them at once: the second from the first, the third from the first two, and so on. That is what the mask is for: **one pass gives a guess at every place**, so a text of n tokens is n examples.
#
# | In the program | What it is |
# |---|---|
# | `is_causal=True` | your masked attention, PyTorch's version |
# | `x[:, :-1]`, `x[:, 1:]` | what is read, and what is to be guessed: the same row, shifted by one |
# | `cross_entropy` | $-\log p(x_{i+1} \mid x_{\le i})$, the mean over all rows and places |
# | `token`, `place` | vectors of letters and of places, added |
# | `unflatten`, `permute` | split the 3 d numbers of a place into q, k and v, and each of these into 4 heads of d / 4 = 24 numbers: four attentions side by side, each with the scale √24 |
# | `"lr"` | the learning rate falls from 0.003 to 0 in a straight line |
#
# **Predict:** the counted models cost 3.6 bits a letter with one letter of memory, and 3.1 with four. What will the network need after about a minute?
#
# <details><summary>Answer</summary>
#
# About 3.2: less than two letters of counted memory (3.3), more than the best counted model (3.1). Counting is finished after one pass over the text; a network learns by small steps. The shipped model, trained for longer, is ahead of counting.
#
# </details>

# %% [markdown] tags=["slide"]
# Forty lines learn to write names

# %% tags=["program"]
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import trange

from gen_lib.data.text import load_text

context, d, heads = 32, 96, 4  # letters that are read, numbers at each place, attentions


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, h):  # (n, places, d)
        parts = self.qkv(self.norm1(h)).unflatten(2, (3, heads, d // heads))
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # (n, heads, places, d / heads) each
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(mixed.transpose(1, 2).flatten(2))
        return h + self.mlp(self.norm2(h))


def gpt(vocabulary):
    layers = [Block() for _ in range(3)]
    return nn.ModuleDict(
        {"token": nn.Embedding(vocabulary, d), "place": nn.Embedding(context, d)}
        | {"blocks": nn.Sequential(*layers, nn.LayerNorm(d), nn.Linear(d, vocabulary))}
    )


def logits(net, x):  # (n, places) -> (n, places, vocabulary)
    return net["blocks"](net["token"](x) + net["place"].weight[: x.shape[1]])


def train(data, steps):
    torch.manual_seed(0)
    net = gpt(len(data.tokeniser.tokens))
    optimiser = torch.optim.AdamW(net.parameters())
    for step in trange(steps):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        x = data.train.batch(step, 64).tokens  # (64, 33)
        loss = F.cross_entropy(logits(net, x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net


names = load_text("names", context=context)
net = train(names, 800)


# %% [markdown] tags=["slide"]
# A name is drawn letter by letter
#
# {film writes}
#
# ? Who decides when it stops?


# %%
@torch.no_grad()
def write(net, data, n, temperature=1.0, seed=0):  # n lines, letter by letter
    x, rng = torch.zeros(n, 1, dtype=torch.int64), torch.Generator().manual_seed(seed)
    while x.shape[1] < context and not (x[:, 1:] == 0).any(dim=1).all():
        p = (logits(net, x)[:, -1] / temperature).softmax(dim=-1)
        x = torch.cat([x, torch.multinomial(p, 1, generator=rng)], dim=1)
    return [data.tokeniser.decode(row[1:]).split("\n")[0] for row in x]


written = write(net, names, 1000)
written[:12]


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: bits per letter on names that were not trained on, and how many names are new.
@torch.no_grad()
def bits(net, data, rows=2000):  # bits per token of 2,000 rows that begin at test names
    x = data.test.batch(0, rows, seed=1).tokens
    loss = F.cross_entropy(logits(net, x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    return loss.item() / math.log(2)


known = set(names.train.text.split("\n"))
table = NGram(names.train.tokens, len(names.tokeniser.tokens), 5)
cost = {order: -table.log2(names.test.tokens, order).mean().item() for order in (2, 3, 5)}
shares = {
    "bigram": [f"{cost[2]:.2f}", None],
    "best n-gram": [f"{cost[5]:.2f}", None],
    "your GPT": [f"{bits(net, names):.2f}", written],
}
new = {k: sum(n not in known for n in of) / len(of) for k, (_, of) in shares.items() if of}
assert bits(net, names) < cost[3]
Table(
    {
        name: [cost, f"{100 * new[name]:.0f} %" if of else "–", ", ".join((of or [])[:5])]
        for name, (cost, of) in shares.items()
    },
    ["bits per letter", "new names", "examples"],
    "model",
)

# %% [markdown]
# After a minute the network is ahead of two letters of counted memory, and still behind the best table. Nine of ten names that it writes stand nowhere in the list. (The network is measured on 2,000 rows of 32 letters of the held-out names, the tables on all of them.)

# %% [markdown]
# ### The same program, in Korean
#
# A Hangul syllable is a block of two or three letters: 한 is ㅎ + ㅏ + ㄴ. Unicode has both: one sign for the block, and one for each of its parts, the **jamo** (자모). There are 11,172 possible blocks. The training part of our list, 6,103 words and phrases, shows 1,034 of them, so a model whose tokens are blocks could never write the others, and would know nothing of what 한 and 할 have in common.
# With jamo there are 66 tokens (those that occur, a space and the line end), and a block that was never seen is only a new row of them; Unicode's rules join them into blocks again. But now the model can also write nonsense, such as a vowel with nothing before it. How often does it? The program is the same; only the text changes.

# %%
korean = load_text("korean")
net_ko = train(korean, 600)
written_ko = write(net_ko, korean, 1000)
", ".join(written_ko[:20])

# %% [markdown] tags=["slide"]
# It composes syllables that it was never shown
#
# - 한 = ㅎ + ㅏ + ㄴ
# - 66 jamo write all 11,172 syllables.
# - The text shows 1,034 of them.
#
# ? How would you count the wrong ones?


# %%
def blocks(texts):  # whole syllables, and jamo that no syllable could use
    signs = [c for c in "".join(texts) if c != " "]
    return [c for c in signs if "가" <= c <= "힣"], [c for c in signs if not "가" <= c <= "힣"]


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: the share of valid syllables, and how many of them were never shown.
whole, broken = blocks(written_ko)
shown = set(korean.train.text)
never = [c for c in whole if c not in shown]
valid = len(whole) / (len(whole) + len(broken))
assert valid > 0.95
assert never
Table(
    {
        "valid syllables": [f"{100 * valid:.1f} % of {len(whole) + len(broken):,}"],
        "of them never shown": [
            f"{len(never)}, {len(set(never))} different, such as {' '.join(sorted(set(never))[::5])}"
        ],
    },
    ["1,000 lines of your GPT"],
    "counted",
)

# %% [markdown]
# About one sign in a hundred is nonsense, and among the whole syllables are some that it was never shown.

# %% [markdown]
# ### Tokens: letters, or pieces of words?
#
# A **tokeniser** (토크나이저) cuts a text into tokens. Letters make long rows, and every place costs computing time. Whole words make short rows, and an endless vocabulary. Today's models stand between: **byte-pair encoding** (바이트 페어 인코딩; Sennrich et al. 2015, [1508.07909](https://arxiv.org/abs/1508.07909)) begins with letters and joins the most frequent pair of neighbours into a new token,
# again and again. Frequent words end as one token, rare ones as several pieces.


# %%
def join(word, pair):  # the letters or pieces of a word, with each such pair as one
    out = []
    for letter in word:
        out.append(letter)
        if tuple(out[-2:]) == pair:
            out[-2:] = ["".join(pair)]
    return tuple(out)


# %%
def learn_pieces(text, n):
    words = Counter(tuple(word) for word in text.replace(" ", " ␣").split(" "))  # ␣ is the space
    pieces = []
    for _ in range(n):
        pairs = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        best = max(pairs, key=pairs.get)
        pieces.append("".join(best))
        words = Counter({join(word, best): count for word, count in words.items()})
    return pieces


# %%
sample = novels.train.text[:200_000].replace("\n", " ")
" ".join(learn_pieces(sample, 40))

# %% jupyter={"source_hidden": true}
# Table: one sentence in letters and in the pieces of the shipped model.
sentence = "Her particular friend Charlotte was exceedingly agreeable."
pieces = austen.tokeniser.split(sentence)
assert "".join(pieces) == sentence
letters = len(novels.test.text) / len(austen.tokeniser.encode(novels.test.text))
Table(
    {
        "letters": [len(sentence), " ".join(sentence[:24]) + " …", "1"],
        "pieces": [len(pieces), " ".join(pieces).replace("  ", " ␣"), f"{letters:.1f}"],
    },
    ["tokens", "one sentence, split", "letters a token, held-out novels"],
    "tokeniser",
)

# %% [markdown]
# The shipped Austen model reads 2,048 such pieces. In the same number of places it sees more than three times as much text, and for the same text it computes a third. Bits are still counted *per letter*, so that models with different tokens can be compared: the bits of all pieces, divided by the number of letters.

# %% [markdown]
# ## Look
#
# ### What do the heads look at?
#
# The shipped Austen model has four blocks with six heads each. Here are the weights of three of them for one sentence; a dark cell is a weight near 1. Nobody told a head what to do.
#
# **Predict:** what could be the most useful thing for a head to look at?
#
# <details><summary>Answer</summary>
#
# The token before: it shows as a line of dark cells beside the diagonal. Another head looks at the first token, the line end, which stands before every text: there a head leaves its weight when it needs nothing, as in chapter 08. A third one spreads its weight over nearly all that it sees.
#
# </details>

# %%
sentence = "Mr. Darcy looked at Elizabeth. Elizabeth looked at Mr."
tokens = austen.tokeniser.encode("\n" + sentence)
with torch.no_grad():
    looks = austen.net.attention(tokens[None])[:, 0]  # (blocks, heads, places, places)

# %% [markdown] tags=["slide"]
# Heads find jobs that nobody gave them
#
# {figure}
#
# ? What would be useful to look at?

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: the heads that look most at the token before and at the first, and one that spreads.
labels = [austen.tokeniser.tokens[t] for t in tokens.tolist()]
before, first = looks.diagonal(-1, 2, 3).mean(dim=2), looks[:, :, 1:, 0].mean(dim=2)
spread = torch.special.entr(looks).sum(dim=(2, 3))
chosen = {}
for title, score in (("token before", before), ("first token", first), ("spread", spread)):
    block, head = divmod(int(score.argmax()), looks.shape[1])
    chosen[f"{title}: block {block + 1}, head {head + 1}"] = looks[block, head]
plots.show(
    figures.heads(labels, chosen),
    "Three maps of attention weights on one sentence: in the first the cells beside the diagonal are dark, in the second the first column, in the third the weight is spread over most of the earlier tokens.",
)

# %% [markdown]
# ### Does it read, or does it only know?
#
# A model may guess *Darcy* because it knows the novels, or because the name stood in the text a moment ago. To tell the two apart, show it a passage of 48 tokens that it was not trained on, and then the same passage again. What it knows helps equally in both readings. Only what it has *just read* can make the second one cheaper.
# As a control, *another* passage is read first: the row is as long, but what was read tells nothing about what follows.
#
# The test is done twice: with Austen's novels, and with a model that we meet in *Music*, the same network trained on dance tunes. In a tune, whole bars come back.
#
# **Predict:** which of the two has learnt to copy what it has just read?
#
# <details><summary>Answer</summary>
#
# The model of tunes: having read the passage saves it more than a bit for each token. The model of novels saves about a tenth of a bit. Training teaches what pays: in tunes, bars return note by note; in a novel, sentences hardly ever return. Large language models do learn to copy from their context (Olsson et al. 2022, [2209.11895](https://arxiv.org/abs/2209.11895), call the heads that do it *induction heads*); they read far more text.
#
# </details>


# %%
def cost(model, rows):  # (n, places) -> mean bits of each token after the first
    with torch.no_grad():
        log_p = model.net(rows[:, :-1]).log_softmax(dim=2)
    return -log_p.gather(2, rows[:, 1:, None]).mean(dim=0)[:, 0] / math.log(2)


def twice(model, tokens):  # bits of 64 passages: read once, again, and after another one
    starts = torch.randint(0, len(tokens) - 48, (2, 64), generator=seeded(0))
    one, other = tokens[starts[:, :, None] + torch.arange(48)]  # (64, 48) each
    end = torch.zeros(64, 1, dtype=torch.int64)  # the line end
    again, after = (torch.cat([end, read, one], dim=1) for read in (one, other))
    first, second = cost(model, again).split(48)
    control = cost(model, after)[48:]
    return [of[5:].mean() for of in (first, second, control)]  # a repeat must first be noticed


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: bits per token of passages that are read a first and a second time.
read = {
    "Austen": twice(austen, austen.tokeniser.encode(novels.test.text)),
    "tunes": twice(player, tunes.test.tokens),
}
gain = {name: (after - again).item() for name, (_, again, after) in read.items()}
assert gain["tunes"] > 0.8 > 0.3 > gain["Austen"]
Table(
    {name: [*(f"{bits:.3f}" for bits in of), f"{gain[name]:.3f}"] for name, of in read.items()},
    ["first reading", "again", "after another passage", "saved by having read it"],
    "bits per token",
)

# %% [markdown]
# (The passages are short and begin anywhere, also in the middle of a bar or of a word. So a note costs more here than in *Measure*, where a model has read more before it.)

# %% [markdown]
# ## Explore
#
# ### One token at a time
#
# Type a beginning, look at the ten likeliest continuations, and click one. Beside them, a head of your choice: the darker a token, the more the last place takes from it.
#
# 1. Type *Mr. Darc* and *Mr. Darcy*, then *Lady Cath*. How sure is the model?
# 2. Write a name that no novel has, three times. Does the model learn it from the context?
# 3. Choose Korean and type one jamo after another. When is a final consonant likely?
#
# <details><summary>Answers</summary>
#
# 1. Very sure within a name: what remains of a word is cheap. The uncertainty sits at the beginnings of words.
# 2. Hardly: *Does it read?* has shown that it copies little of what it has just read.
# 3. After a vowel. After a final consonant only an initial one, a space or the line end can follow, and the model knows it.
#
# </details>

# %% [markdown] tags=["slide"]
# You choose the next token
#
# {figure}
#
# ? Where is the model sure, and where not?

# %% tags=["widget"]
NextTokenExplorer()

# %% [markdown]
# ### Temperature: how bold is the draw?
#
# The model gives probabilities; *how* to draw from them is a choice. A **temperature** (온도) T divides the logits before the softmax, $p_T(b) \propto p(b)^{1/T}$: below 1 the likely tokens gain, at 0 the likeliest has everything (**greedy**), above 1 the rare ones gain. **Top-k** (탑-k 샘플링) cuts all but the k likeliest tokens. **Top-p** (탑-p 샘플링; nucleus sampling, Holtzman et al. 2019, [1904.09751](https://arxiv.org/abs/1904.09751))
# keeps the fewest tokens whose probabilities sum to at least p: many where the model is unsure, one or two where it is sure.
#
# 1. Set the temperature to 0.3, then to 1.5. What happens to the bars, and what to the texts?
# 2. Set T = 1 and lower top-p to 0.5. Which tokens disappear? Do the texts still differ?
#
# <details><summary>Answers</summary>
#
# 1. At 0.3 nearly all probability goes to the likeliest tokens and the texts become alike; at 1.5 the bars become equal and the texts fall apart.
# 2. All but the few likeliest: the rare ones that make a text fall apart. The texts still differ, because mostly more than one token is kept, and one of them is drawn at random.
#
# </details>


# %%
def sharpened(logits, T=1.0, top_p=1.0):  # (vocabulary,) -> probabilities
    p = (logits / T).softmax(dim=-1)  # T > 0; T = 0 takes the likeliest token
    ordered, order = p.sort(descending=True)
    before = ordered.cumsum(dim=-1) - ordered  # what stands before each token
    p = torch.zeros_like(p).scatter(0, order, ordered * (before < top_p))
    return p / p.sum()


# %% tags=["widget"]
TemperatureExplorer()

# %% jupyter={"source_hidden": true}
# Check: the library's probabilities are the same, and the limits are right.
one = torch.randn(50, generator=seeded(3))
for T, top_p in ((1.0, 1.0), (0.5, 0.9), (2.0, 0.3)):
    torch.testing.assert_close(sharpened(one, T, top_p), probabilities(one[None], T, 0, top_p)[0])
assert sharpened(one, 1e-3).argmax() == one.argmax()
assert sharpened(one, 1e3).max() < 0.021
assert (sharpened(one, 1.0, 0.5) > 0).sum() < 25

# %% [markdown]
# ## Measure
#
# ### What is a letter worth?
#
# Four shipped models, each on text that it was not trained on, beside what counting costs. (lzma is a program that compresses files; it had read the training text first.)
#
# **Predict:** where is the network furthest ahead of counting: on 88,799 names, on six novels, on 6,781 Korean phrases or on 2,881 tunes?
#
# <details><summary>Answer</summary>
#
# On the tunes, by far: bars return, and no table looks back that far. Then on the novels. A surname is too short for a long memory to matter. On the Korean list counting is *ahead*: few phrases, and many of them repeat long strings, which a table keeps and a small network has to learn.
#
# </details>


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: bits on held-out text, from the cards of the shipped models.
def of_card(card):  # its unit, and the bits of the model and of what stands beside it
    name = next(iter(card))
    beside = {k.removeprefix(f"{name}_"): v for k, v in card.items() if k != name}
    best = min(v for k, v in beside.items() if k.endswith("-gram"))
    columns = [card[name], beside["1-gram"], beside["2-gram"], best, beside["lzma"]]
    return name.removeprefix("bits_per_"), columns


rows = {of: of_card(card) for of, card in cards.items()}
assert {of for of, (_, values) in rows.items() if values[0] < values[3]} == {*rows} - {"korean"}
claims.add(
    "A transformer guesses the next token better than counting does",
    "; ".join(
        f"{of} {values[0]:.2f} bits a {unit}, best n-gram {values[3]:.2f}"
        for of, (unit, values) in rows.items()
    )
    + ". Not on the Korean list, which is small",
    "holds with a condition",
)
Table(
    {f"{of}, per {unit}": [f"{v:.2f}" for v in values] for of, (unit, values) in rows.items()},
    ["model", "1-gram", "2-gram", "best n-gram", "lzma"],
    "bits",
)

# %% [markdown]
# ### What a bold draw costs
#
# For each temperature, 300 names by the shipped writer of names. Two numbers: the bits per letter that an n-gram model of order 5 charges for them, the best one on real held-out names (how name-like are they, judged by somebody else?), and how many of the 300 differ.

# %%
judge = NGram(names.train.tokens, len(names.tokeniser.tokens), 5)  # order 5, Kneser-Ney
bold = {}
for T in (0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5):
    lines = writer.write("", 300, seeded(0), temperature=T)
    drawn = names.tokeniser.encode("\n" + "\n".join(lines) + "\n")
    bold[T] = [-judge.log2(drawn)[1:].mean().item(), len(set(lines)) / len(lines), lines]

# %% [markdown] tags=["slide"]
# Low temperature buys likelihood with variety
#
# {figure}
#
# ? Which temperature would you choose for names?

# %% jupyter={"source_hidden": true}
# Plot: bits per letter and variety over the temperature.
plots.show(
    figures.temperature(bold, cards["names"]["bits_per_character_5-gram"]),
    "Two panels over the temperature from 0.2 to 1.5. Left: bits per letter charged by the counted judge, rising with temperature; a line marks real names. Right: the share of different names among 300 rises steeply to nearly 1.",
)

# %% jupyter={"source_hidden": true}
# Table and check: for each temperature the most frequent names, and the unlikeliest by the judge.
assert bold[0.2][0] < bold[1.0][0] < bold[1.5][0]
assert bold[0.2][1] < 0.7 < 0.95 < bold[1.0][1]
claims.add(
    "A temperature trades likelihood against variety",
    f"300 names at T = 0.2, 1, 1.5: {bold[0.2][0]:.1f}, {bold[1.0][0]:.1f}, {bold[1.5][0]:.1f} bits a letter; {100 * bold[0.2][1]:.0f}, {100 * bold[1.0][1]:.0f}, {100 * bold[1.5][1]:.0f} % of them different",
)


def unlikely(name):  # bits per letter
    return -judge.log2(names.tokeniser.encode(f"\n{name}\n")).mean().item()


Table(
    {
        f"T = {T:g}": [
            ", ".join(f"{name} × {n}" for name, n in Counter(lines).most_common(2)),
            ", ".join(sorted(set(lines), key=unlikely)[-3:]),
        ]
        for T, (_, _, lines) in bold.items()
    },
    ["most frequent", "unlikeliest"],
    "300 names",
)

# %% [markdown]
# At temperature 1 the model draws from what it has learnt: its names cost the judge a little more than real ones do. Below 1 it repeats itself: the *likeliest* name is not a *typical* name. Above 1 it strings letters together. For long texts a low temperature becomes a fault of its own:
#
# **Predict:** Austen's model continues *It was* for 300 pieces, always with the likeliest piece (T = 0). What happens?
#
# <details><summary>Answer</summary>
#
# It goes in circles. Nothing is drawn at random, so when the same pieces stand there again, the same continuation is the likeliest again. Holtzman et al. found such loops in large models, too, and proposed top-p.
#
# </details>

# %%
texts = {
    "T = 0": austen.write("It was", 1, seeded(0), length=300, temperature=0)[0],
    "T = 1, top-p 0.9": austen.write("It was", 1, seeded(0), length=300, top_p=0.9)[0],
    "T = 1": austen.write("It was", 1, seeded(0), length=300)[0],
}


def repeated(text, n=4):  # share of strings of n words that occurred before
    words = text.split()
    strings = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 1 - len(set(strings)) / len(strings)


# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: the ends, and the share of strings of four words that are repetitions.
known = set(re.findall(r"\w+", novels.train.text.lower()))
strange = {
    name: [word for word in re.findall(r"\w+", text.lower()) if word not in known]
    for name, text in texts.items()
}
shares = {name: repeated(text) for name, text in texts.items()}
assert shares["T = 0"] > 2 * max(shares["T = 1"], shares["T = 1, top-p 0.9"])
Table(
    {
        name: [f"{100 * shares[name]:.0f} %", len(strange[name]), text[-420:]]
        for name, text in texts.items()
    },
    ["repeated", "words that no novel has", "the last 420 letters"],
    "drawn with",
)

# %% [markdown]
# ### The cache: why the next token is cheap
#
# To guess token 100, the network must know the keys and values of the 99 before it. They do not change: place 5 never sees place 100 (that is the mask again). So they are computed once and kept, in the **KV cache** (KV 캐시). Without it, each new token would read the whole text again, so the gain grows with the length.

# %%
begun = torch.zeros(1, 1, dtype=torch.int64)
seconds, rows = {}, {}
for cached in (True, False):
    start = time.perf_counter()
    drawn = islice(austen.tokens(begun, seeded(0), cached=cached), 120)
    rows[cached] = [int(token) for token in drawn]
    seconds[cached] = time.perf_counter() - start

# %% jupyter={"source_hidden": true}
# Table and check: the same tokens, and how much faster.
assert rows[True] == rows[False]
Table(
    {
        name: [f"{120 / seconds[kept]:.0f}"]
        for name, kept in (("with cache", True), ("without", False))
    },
    ["tokens a second"],
    "120 tokens",
)

# %% [markdown]
# ### More weights, more text, more computing
#
# Why do language models grow? A study trained twelve models on letters of Austen: four sizes, each for three numbers of steps. Nothing else differs.

# %% [markdown] tags=["slide"]
# The loss falls with size and with computing
#
# {figure}
#
# ? Where would four times the weights end?

# %%
study = read_study("scale")
grid = study[:12]  # four sizes, three numbers of steps each, on all of the text
N, D, L = (
    torch.tensor([float(row[key]) for row in grid], dtype=torch.float64)
    for key in ("weights", "tokens", "test_bits")
)

# %% jupyter={"source_hidden": true}
# Table: bits per letter of eleven of the twelve runs; the last one is to be predicted.
rows = L.reshape(4, 3).tolist()
Table(
    {
        f"{int(n):,} weights": [f"{bits:.2f}" if bits != rows[3][2] else "?" for bits in row]
        for n, row in zip(N[::3], rows, strict=True)
    },
    [f"{row['steps']} steps" for row in grid[:3]],
    "bits per letter",
)

# %% [markdown]
# The bits fall from left to right and from top to bottom, each time by less. Powers fall like this; a rule made of them is a **scaling law** (스케일링 법칙). Hoffmann et al. 2022 ([2203.15556](https://arxiv.org/abs/2203.15556), eq. 2) write
#
# $$L(N, D) = E + \frac{a}{N^{\alpha}} + \frac{b}{D^{\beta}}$$
#
# - $E$ is what no model of this kind can save: the entropy of the text itself;
# - the second term is the price of too few weights, the third of too little training.
#
# We fit the five numbers to eleven of the twelve runs, and let the law predict the twelfth: the largest model, trained longest.


# %%
def law(theta, N, D):  # all five numbers are positive
    E, a, alpha, b, beta = theta.exp()
    return E + a / N**alpha + b / D**beta


def fitted(runs):  # least squares of the logarithms
    start = [1, 20, 0.3, 1e4, 0.7]  # rough values of E, a, alpha, b, beta
    theta = torch.tensor(start, dtype=torch.float64).log().requires_grad_()
    exact = {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-10, "tolerance_change": 1e-14}
    optimiser = torch.optim.LBFGS([theta], max_iter=2000, **exact)

    def step():
        optimiser.zero_grad()
        loss = (law(theta, N[runs], D[runs]) / L[runs]).log().square().sum()
        loss.backward()
        return loss

    optimiser.step(step)
    return theta.detach()


# %%
eleven = torch.arange(12) < 11
theta, longer = fitted(eleven), fitted(eleven & (D > 1e6))  # longer: without 250 steps
predicted = {
    "law, fitted to 11 runs": law(theta, N[-1], D[-1]).item(),
    "law, without the runs of 250 steps": law(longer, N[-1], D[-1]).item(),
    "measured": L[-1].item(),
}

# %% [markdown]
# **Predict:** after 4,000 steps the three smaller models need 2.65, 1.92 and 1.63 bits a letter. What does the fourth need, which has five times the weights of the third? And what will the law say?
#
# <details><summary>Answer</summary>
#
# It needs 1.51. The law says 1.35: better than what came out. Runs of 250 steps have hardly begun to learn, and they pull the law with them; without them it says 1.42. The direction is right, the number is not, and it depends on which runs one fits; so does $E$ in the table. Hoffmann et al. fitted more than 400 models.
#
# The right panel tells how to spend computing: at each amount of it, the lowest curve is the best size. The more computing, the larger that size.
#
# </details>

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Plot: the twelve runs, the law fitted to eleven, and its prediction for the twelfth.
plots.show(
    figures.scaling(grid, lambda n, d: law(theta, n, d), law(theta, N[-1], D[-1]).item()),
    "Two panels on logarithmic axes. Left: bits per letter over the number of weights, a falling curve for each number of steps. Right: over computing steps, a falling curve for each size; the predicted point lies below the measured one.",
)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: the predictions beside the measured point; and more steps and weights always help.
bits_of = L.reshape(4, 3)  # sizes, steps
assert (bits_of.diff(dim=0) < 0).all()
assert (bits_of.diff(dim=1) < 0).all()
assert abs(predicted["law, fitted to 11 runs"] - L[-1]) < 0.2
said = "; ".join(f"{what} {bits:.2f}" for what, bits in predicted.items())
claims.add(
    "The loss follows a law, so larger models can be planned",
    f"more weights and more steps helped in all of 12 runs; the 12th, bits a letter: {said}; one seed",
    "holds with a condition",
)
numbers = [
    f"{E:.2f}, {alpha:.2f}, {beta:.2f}" for E, _, alpha, _, beta in (theta.exp(), longer.exp())
]
Table(
    {
        what: [f"{bits:.2f}", of]
        for (what, bits), of in zip(predicted.items(), [*numbers, "–"], strict=True)
    },
    ["bits a letter", "E, α, β"],
    "12th run",
)

# %% [markdown]
# ### Learnt, or learnt by heart?
#
# The same study trained one size on the first part of the text only: a thousandth of it, a hundredth, a tenth, all. A text can be learnt by heart; then the loss on it falls and the loss on other text rises (**overfitting** (과적합)). And it shows in what is written: how long is the longest string, in 2,000 drawn letters, that stands in the training text word for word? Beside it, the same for 2,000 letters of a held-out chapter: real texts share phrases, too.
#
# **Predict:** how long is it for the model that read 38,000 letters?
#
# <details><summary>Answer</summary>
#
# About 300 letters in a row, several sentences. From 3,808 letters the model has learnt nothing but these letters: all that it writes is copied. The model that read everything copies no more than a real chapter does by chance, where phrases such as *I am very much obliged to you* return.
#
# </details>

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: bits on known and on new text, and the longest copied string.
parts = [row for row in study if row["steps"] == "2000"]
table = {
    f"{int(row['characters']):,}": [
        f"{float(row['train_bits']):.2f}",
        f"{float(row['test_bits']):.2f}",
        row["copied"],
        row["test_copied"],
    ]
    for row in parts
}
assert int(parts[0]["copied"]) > 3 * int(parts[-1]["copied"])
Table(
    table,
    ["bits, known text", "bits, new text", "longest copied string", "in a real chapter"],
    "letters of text",
)

# %% [markdown]
# ## Break it
#
# ### A model that reads the answer
#
# Train a small network (two blocks of 64 numbers, 200 steps) twice: with the mask, and without. Without it, place i sees the letter that it has to guess. What each of them writes is judged by counting (the table of order 5).
#
# **Predict:** what happens to the loss? And to the names?
#
# <details><summary>Answer</summary>
#
# The loss falls below anything that letters allow: the answer is copied from one place to the right. The names are rubbish, for when writing there is no place to the right. *A loss that is too good is a bug.* Compare it with what counting costs, and with the entropy that nobody can beat.
#
# </details>


# %% [markdown] tags=["slide", "predict"]
# A place may see the letter that it must guess: what happens?
#
# ? To the loss? To the names?


# %%
def without_mask(q, k, v, is_causal):
    return scaled_dot_product_attention(q, k, v)


def trained():  # a small model, its own loss on held-out names, and what it writes
    model = experiment.train("gpt", "names", steps=200, settings={"width": 64, "layers": 2})
    bits = -model.log2(names.test.tokens[:20_000]).mean().item()
    return bits, model


own, lines = {}, {}
own["with mask"], honest = trained()
with patch.object(F, "scaled_dot_product_attention", without_mask):
    own["without"], cheat = trained()
for key, model in (("with mask", honest), ("without", cheat)):
    lines[key] = model.write("", 300, seeded(0))

# %% [markdown] tags=["slide"]
# A loss that is too good is a bug
#
# - The answer stands one place to the right.
# - The loss falls below anything that letters allow.
# - The names are rubbish.

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: bits per letter without the mask, and what the model writes.
counted = NGram(names.train.tokens, len(names.tokeniser.tokens), 5)
charged = {
    key: -counted.log2(names.tokeniser.encode("\n" + "\n".join(of) + "\n"))[1:].mean().item()
    for key, of in lines.items()
}
assert own["without"] < 1 < own["with mask"]
assert charged["without"] > charged["with mask"] + 1
Table(
    {
        key: [f"{own[key]:.2f}", f"{charged[key]:.1f}", ", ".join(of[:4])]
        for key, of in lines.items()
    },
    ["its own loss", "charged by counting", "names"],
    "bits per letter",
)

# %% [markdown]
# ## Music
#
# ### A tune is a text
#
# Nothing in the network knows about letters. The course ships 2,881 dance tunes of three old collections (O'Neill's Irish ones, Aird's, Ryan's) as rows of notes: first the metre; then `67:6` is the pitch 67 (a G; one semitone is 1) for 6/48 of a whole note, an eighth; `|` is a bar line. All tunes are moved so that their scale is that of the white keys, the same seven pitches for all. A **piano roll** (피아노 롤) draws a tune: time to the right, pitch upwards.

# %%
first = tunes.test.text.split("\n")[0]
begin = " ".join(first.split()[:12])
tune = player.write(begin, 1, seeded(1), length=160, temperature=0.9)[0]
tune[:120]

# %% [markdown] tags=["slide"]
# The same network writes tunes
#
# {figure}
#
# ? Where does the model begin?

# %% jupyter={"source_hidden": true}
# Plot: the true tune and the model's continuation of its beginning, as piano rolls.
plots.show(
    figures.piano_roll(
        {"a tune of the collections": first, "its first ten notes, continued by the model": tune},
        given=10,
    ),
    "Two piano rolls with bar lines. Both begin with the same ten notes, in blue; then the second goes its own way, in orange, in similar steps and rhythms.",
)

# %% jupyter={"source_hidden": true}
# Sound: first the true tune, then the continuation.
for text in (first, tune):
    display(Audio(sound(text)[: 12 * RATE], rate=RATE))

# %% [markdown]
# Click notes into the grid: time runs to the right in eighths, and the dark line is a bar line. Or begin with a tune. Then press *Continue*.
#
# 1. Draw a scale from C4 up to C5. Does the model go on upwards?
# 2. Set the temperature to 0.2, then to 1.6. What changes in the rhythm?
#
# <details><summary>Answers</summary>
#
# 1. No. It jumps down and begins a new phrase: tunes have a range.
# 2. At 0.2 it keeps to even eighths and comes back to the same figures. At 1.6 the lengths are mixed, and many bars are no longer full.
#
# </details>

# %% tags=["widget"]
PianoRoll()

# %% [markdown]
# ### Is it music?
#
# Taste cannot be measured, craft can. Four measures of 100 tunes each: the share of notes on the white keys (the **scale**); whether a finished tune ends on the tonic of a mode (here: C, D, G or A, the four that occur); the range in semitones; and the share of bars that are full, as long as the metre asks (the first and the last one of a tune are left out). Beside the model: held-out tunes, and tunes drawn from a bigram table of notes.
#
# **Predict:** in which of the four is the model better than the bigram table?
#
# <details><summary>Answer</summary>
#
# In the full bars, by far, and in the range. To fill a bar one must know how much of it is gone, and the table sees one note. The scale needs no memory: a table that saw hardly any black key plays hardly any. In the last note the model is *behind* the table, which counted what stands before a line end; why the model ends less often on a usual note was not studied.
#
# </details>


# %%
def craft(tunes):  # shares: notes in the scale, usual last notes, full bars; the median range
    scale, last, bars, ranges = [], [], [], []
    for text in tunes:
        pitches = [int(n) for n in re.findall(r"(\d+):", text)]
        scale += [pitch % 12 in {0, 2, 4, 5, 7, 9, 11} for pitch in pitches]
        last.append(pitches[-1] % 12 in {0, 2, 7, 9})
        bars += full_bars(text)
        ranges.append(max(pitches) - min(pitches))
    return *(sum(of) / len(of) for of in (scale, last, bars)), sorted(ranges)[len(ranges) // 2]


def full_bars(text):  # for each bar between two bar lines: is it as long as the metre?
    beats, of = map(int, text.split()[0].split("/"))
    bars = text.split("|")[1:-1]
    lengths = [sum(map(int, re.findall(r":(\d+)", bar))) for bar in bars]
    return [length == 48 * beats // of for length in lengths if length]


# %%
by_counts = NGram(tunes.train.tokens, len(tunes.tokeniser.tokens), 2)


def counted_tune(rng):  # note after note from the bigram table, until the line ends
    row = [0]
    while len(row) < 2 or (row[-1] != 0 and len(row) < 400):
        p = by_counts.next(torch.tensor(row[-1:]))
        row.append(int(torch.multinomial(p, 1, generator=rng)))
    return tunes.tokeniser.decode(torch.tensor(row[1:])).strip()


def usable(lines):  # with a metre and notes, and finished within 400 tokens
    tokens = {line: len(tunes.tokeniser.encode(line)) for line in lines}
    return [of for of, n in tokens.items() if n < 398 and "/" in of.split()[0] and ":" in of]


# %%
rng = seeded(0)
played = {
    "held-out tunes": tunes.test.text.strip().split("\n")[:100],
    "model": usable(player.write("", 100, rng, length=400)),
    "bigram": usable([counted_tune(rng) for _ in range(100)]),
}

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: scale, last note, full bars and range of up to 100 tunes each.
measured = {name: craft(texts) for name, texts in played.items()}
assert measured["model"][0] > measured["held-out tunes"][0] - 0.05
assert measured["model"][2] > measured["bigram"][2] + 0.2
claims.add(
    "One network writes text and music",
    f"bits a note: model {cards['tunes']['bits_per_note']:.2f}, best n-gram {cards['tunes']['bits_per_note_8-gram']:.2f}; full bars: model {100 * measured['model'][2]:.0f} %, "
    f"held-out tunes {100 * measured['held-out tunes'][2]:.0f} %, bigram {100 * measured['bigram'][2]:.0f} %; notes, not recorded sound",
    "holds with a condition",
)
Table(
    {
        f"{name} ({len(played[name])})": [
            f"{100 * scale:.1f} %",
            f"{100 * last:.0f} %",
            f"{100 * bars:.0f} %",
            f"{span} semitones",
        ]
        for name, (scale, last, bars, span) in measured.items()
    },
    ["in the scale", "usual last note", "full bars", "median range"],
    "tunes",
)

# %% [markdown]
# ### Four voices
#
# Many voices are a text, too, if one agrees on an order. The course ships 363 chorales of Johann Sebastian Bach in four voices, on a grid of eighths. Each eighth becomes four words: soprano, bass, alto and tenor, in this order. A stored study trained a small transformer on such words (a few minutes). To **harmonise** (화성 붙이기) a melody that it was not trained on, its soprano is *read* and only the other three words are *drawn*, eighth by eighth.
#
# **Predict:** Bach's voices sound together well: most intervals between two voices are *consonant* (unison, third, fourth, fifth, sixth or octave). And they avoid *parallels*: two voices that both move and keep a fifth or an octave between them. Which of the two will the model learn?
#
# <details><summary>Answer</summary>
#
# The first: its voices are as consonant as Bach's, for every eighth shows which notes fit together. It makes parallels about twenty times as often as Bach, even more often than voices that are put together by chance. That a thing hardly ever happens is hard to learn from 326 chorales; whether this is the reason was not tested.
#
# </details>

# %%
stored = {row["name"]: row for row in read_study("harmony")}
bach = {c.name: to_white_keys(c) for c in load_chorales().test}
model_voices = {name: [row[voice].split() for voice in VOICES] for name, row in stored.items()}
strangers = {  # the melody of one chorale over the lower voices of the next
    a: [voice[: min(len(bach[a][0]), len(bach[b][0]))] for voice in (bach[a][0], *bach[b][1:])]
    for a, b in pairwise([*bach, next(iter(bach))])
}

# %% [markdown] tags=["slide"]
# It adds three voices to a melody
#
# {figure}
#
# ? Which voice was given?

# %% jupyter={"source_hidden": true}
# Plot: eight bars of a test chorale by the model; the soprano was given.
shown = "BWV 80.8"  # Ein feste Burg ist unser Gott
plots.show(
    figures.four_voices(
        model_voices[shown], f"Melody of {shown}; the three lower voices are drawn"
    ),
    "A piano roll of four voices in four colours: the melody on top was given, and three voices below it move mostly in steps, and many notes change together with it.",
)

# %% jupyter={"source_hidden": true}
# Sound: the chorale as Bach wrote it, then as the model harmonised the same melody.
for voices in (bach[shown], model_voices[shown]):
    display(Audio(choir([voice[:64] for voice in voices]), rate=RATE))

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: consonant intervals and parallels in the test chorales.
judged = {
    who: [sum(judge(v) for v in by.values()) / len(by) for judge in (consonance, parallels)]
    for who, by in (("Bach", bach), ("model", model_voices), ("another chorale", strangers))
}
assert judged["model"][0] > judged["another chorale"][0] + 0.05
assert judged["model"][1] > 3 * judged["Bach"][1]
Table(
    {who: [f"{100 * good:.0f} %", f"{bad:.1f}"] for who, (good, bad) in judged.items()},
    ["consonant, of all pairs of voices", "parallels in 100 changes of chord"],
    f"lower voices of {len(bach)} melodies",
)

# %% [markdown]
# ## A picture as a text
#
# ### DALL-E's first way
#
# If notes are tokens, so are pixels. The first DALL-E (Ramesh et al. 2021, [2102.12092](https://arxiv.org/abs/2102.12092)) wrote a sentence and a picture as one row of tokens and trained one transformer on such rows. Here a row is a sentence about a person of chapter 08, the sign `=`, and the 256 pixels of the person at 16 × 16, each one of 64 colours. (DALL-E's picture tokens
# were not pixels but 32 × 32 codes of an autoencoder, of 8,192 kinds.)
#
# **Predict:** it draws 256 pixels, one after the other, each by one pass of the network. Chapter 08's diffusion needs 40 passes for a picture of nine times as many pixels. Which obeys its sentence better?
#
# <details><summary>Answer</summary>
#
# Diffusion, by far: the table. One reason may be that a pixel of the wrong colour cannot be taken back, and all later ones must live with it. But the two models also differ in size, resolution and training.
#
# </details>

# %%
painter = load(studies_folder() / "pictures.safetensors", GPT)  # trained by a study
asked = [
    "a person with long red hair in a blue dress",
    "someone in a green hoodie with sunglasses",
    "a person with a mohawk and green hair",
]
people = draw(painter, [text for text in asked for _ in range(5)], seeded(0))

# %% [markdown] tags=["slide"]
# One network reads the words and writes the pixels
#
# {figure}
#
# ? What can it not take back?

# %% jupyter={"source_hidden": true}
# Plot: people drawn pixel by pixel, five for each sentence.
pixels = people[..., 1::3, 1::3].unflatten(0, (3, 5))  # the 16 x 16 that were drawn
plots.show(
    plots.image_rows(
        dict(zip(asked, pixels, strict=True)), "Five draws for each sentence, 16 × 16 pixels", 1.0
    ),
    "Three rows of five small people made of large pixels; hair, clothes and backgrounds mostly have the colours that the sentences name, with some wrong ones.",
)

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: obedience of 500 + 500 pictures (stored studies) beside chapter 08's.
pixelwise = {row["sentences"]: row for row in read_study("pictures")}
diffused = read_card(pretrained_folder() / "text-to-image.safetensors")["figures"]
share = {kind: float(row["obedience"]) for kind, row in pixelwise.items()}
claims.add(
    "A picture can be written token by token, after its words",
    f"attributes obeyed, seen / unseen pairs: pixels as tokens {100 * share['seen']:.0f} / {100 * share['unseen']:.0f} %, diffusion {100 * diffused['obedience']:.0f} / {100 * diffused['obedience_unseen']:.0f} %; they differ in size, resolution and training. The first DALL-E wrote codes so, the second is a diffusion model",
    "holds with a condition",
)
Table(
    {
        "pixels as tokens, 16 × 16": [f"{100 * share[k]:.1f} %" for k in ("seen", "unseen")],
        "true pictures at 16 × 16": [
            f"{100 * float(pixelwise[k]['real']):.1f} %" for k in ("seen", "unseen")
        ],
        "diffusion of chapter 08": [
            f"{100 * diffused[k]:.1f} %" for k in ("obedience", "obedience_unseen")
        ],
    },
    ["seen", "never seen together"],
    "obedience",
)

# %% [markdown]
# The judge of chapter 08 was trained on 48 × 48 pixels. On true pictures that were made as small as these it errs in about three of a hundred attributes, so 97 % is the most that can be reached here.

# %% [markdown]
# ## Search and summary, honestly
#
# ### Ask the course
#
# The lecture that this course follows names *AI search* and *summaries* among the applications of such models. Large systems do both in two halves: first **retrieve** passages that fit, then let a language model **write** an answer from them: **retrieval-augmented generation** (검색 증강 생성; Lewis et al. 2020, [2005.11401](https://arxiv.org/abs/2005.11401)). The first half needs no neural network. Count words: a section fits a question if it has its words, and a rare word says more than a common one. The formula below is **BM25**
# (Robertson and Zaragoza 2009), for decades the standard of search engines. For each word w of the question,
#
# $$\text{score} = \sum_w \text{idf}(w)\, \frac{n_w\,(k+1)}{n_w + k\,(1 - b + b\, \ell)}$$
#
# - $\text{idf}(w) = \log\left(1 + \frac{S - S_w + 0.5}{S_w + 0.5}\right)$ is large for words that few sections have ($S_w$ of all $S$ sections);
# - $n_w$ is how often the section has the word: the second time counts less than the first ($k = 1.2$);
# - $\ell$ is the length of the section relative to the mean: a long section has many words by chance ($b = 0.5$).
#
# Korean questions are looked up by the glossary's pairs of terms, because the sections are written in English.

# %% [markdown] tags=["slide"]
# Search finds the section, it does not answer
#
# {figure}

# %% [markdown]
# 1. Ask for something that you remember from an earlier chapter, in English and then in Korean. Is the section that you mean among the first three?
# 2. Ask for something that the course does not explain. What do you get?
#
# <details><summary>Answers</summary>
#
# 1. Mostly; the folded table below counts it for forty questions. In Korean it depends on the glossary.
# 2. Sections all the same: those that share a word with the question. A search by words does not know what it does not know.
#
# </details>

# %% tags=["widget"]
AskTheCourse()

# %% jupyter={"source_hidden": true}
# Table and check: 40 questions, written before the index: is the right section found?
found = search.score(search.questions())
assert found["first three"] > 24
claims.add(
    "Search finds the passage that answers",
    f"of 40 questions written before the index, the right section is first for {found['first']}, among the first three for {found['first three']}, among the first ten for {found['first ten']}; it finds, and writes no answer",
    "holds with a condition",
)
Table({k: [f"{v} of 40"] for k, v in found.items()}, ["right section"], "among")

# %% [markdown]
# ### A summary without a writer
#
# An **extractive summary** (추출 요약) chooses sentences instead of writing them. TextRank (Mihalcea and Tarau 2004) lets sentences vote: each sentence passes its weight on to the sentences that are like it, again and again, until nothing changes; the sentences with the most weight are kept. Two sentences are alike if they share strings of two or three letters (Korean words change their endings, so whole words would hardly match). In each round 15 % of the weight is shared out evenly, so that no sentence falls to 0. Here it chooses three of the fifteen sentences of a short retelling of this course in Korean.


# %%
def text_rank(sentences, steps=50, damping=0.85):
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)).fit_transform(sentences)
    alike = torch.tensor((vectors @ vectors.T).toarray()).fill_diagonal_(0)
    votes = alike / alike.sum(dim=1, keepdim=True)  # row i: how sentence i gives its weight away
    weight = torch.full((len(sentences),), 1 / len(sentences), dtype=votes.dtype)
    for _ in range(steps):
        weight = (1 - damping) / len(sentences) + damping * weight @ votes
    return weight


# %%
story = (studies_folder().parent / "story_ko.txt").read_text("utf-8").strip().split("\n")
weight = text_rank(story)
chosen = sorted(weight.topk(3).indices.tolist())
Table(
    {
        f"{n + 1}": [f"{weight[n]:.3f}", "yes" if n in chosen else "", of]
        for n, of in enumerate(story)
    },
    ["weight", "chosen", "sentence"],
    "number",
)

# %% jupyter={"source_hidden": true}
# Check: the weights are a distribution that further votes do not change.
assert abs(weight.sum() - 1) < 1e-6
torch.testing.assert_close(text_rank(story, 51), weight, atol=1e-5, rtol=0)

# %% [markdown]
# Are these three better than any three? Compare the strings of two and three letters of the choice with those of the whole text (cosine), for all ways to choose three sentences. The comparison favours TextRank, which chose by the same strings; no reader has judged.

# %% jupyter={"source_hidden": true, "outputs_hidden": true}
# Table and check: how like the whole text three sentences are, for all ways to choose them.
from sklearn.feature_extraction.text import TfidfVectorizer

strings = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)).fit_transform(story).toarray()
strings = torch.tensor(strings)
alike = {
    three: F.cosine_similarity(strings[[*three]].sum(dim=0), strings.sum(dim=0), dim=0).item()
    for three in combinations(range(len(story)), 3)
}
by_votes, lead = alike[tuple(chosen)], alike[0, 1, 2]
mean = sum(alike.values()) / len(alike)
beaten = sum(value < by_votes for value in alike.values())
assert by_votes > lead
assert beaten > 0.95 * len(alike)
claims.add(
    "Sentences that are chosen, not written, sum up a text",
    f"three of {len(story)} sentences, cosine to the whole: TextRank {by_votes:.2f}, the first three {lead:.2f}, mean of all {len(alike)} choices {mean:.2f}; "
    "by shared strings of letters, by which it also chooses; no reader has judged",
    "holds with a condition",
)
Table(
    {
        "TextRank": [f"{by_votes:.2f}", f"{beaten} of {len(alike) - 1}"],
        "the first three": [f"{lead:.2f}", "–"],
        "mean of all choices": [f"{mean:.2f}", "–"],
    },
    ["cosine to the whole text", "other choices that it beats"],
    "three sentences",
)

# %% [markdown]
# ### Why our model cannot write the answer
#
# Could the Austen model be the second half? Give it a passage that holds the answer, as a search would, and then the question as a beginning.

# %%
passage = "A generator that draws the same picture again and again suffers from mode collapse. "
answer = austen.write(passage + "Mode collapse is", 1, seeded(0), length=60, top_p=0.9)[0]
answer

# %% [markdown]
# It continues in Austen's English. *Does it read?* has shown one reason why the passage does not help: this model copies hardly anything of what it has just read. And of itself it knows nothing of the subject, for its only aim was the next token of six novels. That a language model answers questions takes three more things: a text that contains what is asked (for GPT-3, 300 billion tokens), a model large enough to keep it and to use what it has just been given, and a second training on examples of questions and good answers (Ouyang et al. 2022, [2203.02155](https://arxiv.org/abs/2203.02155)). And even then it may *sound* right and be wrong,
# for the loss rewards what is likely, not what is true.

# %% [markdown]
# ## What separates this from GPT
#
# The Austen model beside two published ones: GPT-3 (Brown et al. 2020, [2005.14165](https://arxiv.org/abs/2005.14165), tables 2.1 and 2.2) and the largest Llama 3 (Meta 2024, [2407.21783](https://arxiv.org/abs/2407.21783), table 3).

# %% jupyter={"source_hidden": true}
# Table and check: what this chapter's Austen model and two large ones are made of.
weights = sum(of.numel() for of in austen.parameters())
steps = read_card(pretrained_folder() / "gpt-austen.safetensors")["steps"]
seen, size = steps * 16 * austen.context, austen.config["width"]  # 16 rows a step
assert abs(weights / 2.6e6 - 1) < 0.05
assert austen.context == 128
assert 8e6 < seen < 8.4e6


def times(ratio):  # two digits are enough
    return f"{float(f'{ratio:.2g}'):,.0f} times"


Table(
    {
        "loss": ["next token", "next token", "next token, then preferences"],
        "weights": [
            f"{weights / 1e6:.1f} million",
            f"175 billion ({times(175e9 / weights)})",
            f"405 billion ({times(405e9 / weights)})",
        ],
        "blocks × width": [f"{austen.config['layers']} × {size}", "96 × 12,288", "126 × 16,384"],
        "context": [f"{austen.context} tokens", "2,048", "128,000"],
        "tokens read": [
            f"{seen / 1e6:.1f} million",
            f"300 billion ({times(300e9 / seen)})",
            f"15.6 trillion ({times(15.6e12 / seen)})",
        ],
    },
    ["here", "GPT-3", "Llama 3 405B"],
    "model",
)

# %% [markdown]
# The architecture is the same but for details. What is different is the size, the text, and what people taught the model afterwards.

# %% [markdown] tags=["slide"]
# The same loss, far more text and weights
#
# | | here | GPT-3 |
# |---|---|---|
# | weights | 2.6 million | 175 billion |
# | context | 128 | 2,048 |
# | tokens read | 8.2 million | 300 billion |

# %% [markdown]
# ## Quiz

# %% tags=["widget"]
Quiz("09_one_token_after_another")

# %% [markdown]
# ## Exercises
#
# In each cell, replace the line that raises `NotImplementedError`, then run the cell and the check
# below it. A check says what it verified, or what is wrong and why. All seven are
# [solved](solutions/09_one_token_after_another.ipynb).

# %% tags=["setup"] jupyter={"source_hidden": true}
# Set-up: the checks of the exercises.
from gen_course.ch09_one_token_after_another.checks import (
    check_bigram,
    check_cached_step,
    check_causal_attention,
    check_draw_token,
    check_limited,
    check_next_token_loss,
    check_rotated_at,
)

# %% [markdown]
# **1. What follows what** (10 minutes). `tokens` (n,) are the numbers of a text. Return the table of $p(b \mid a)$, of shape (vocabulary, vocabulary): row a says what follows token a. Add `pseudo`, a number above 0, to the count of every pair, so that no probability is 0.


# %% tags=["exercise"]
def bigram(tokens, vocabulary, pseudo):
    """The table of p(b | a): row a holds the probabilities of what comes after a."""
    # Hint: a loop over all pairs is slow. index_put_ with accumulate=True, or torch.bincount?
    ### BEGIN SOLUTION
    pairs = vocabulary * tokens[:-1] + tokens[1:]  # one number for each pair
    table = torch.bincount(pairs, minlength=vocabulary**2).reshape(vocabulary, -1) + pseudo
    return table / table.sum(dim=1, keepdim=True)
    ### END SOLUTION


# %%
check_bigram(bigram)

# %% [markdown]
# **2. No place looks ahead** (10 minutes). From `q`, `k` and `v` (n, places, d) return what each place takes, (n, places, d): $\mathrm{softmax}(\mathrm{mask}(Q K^\top / \sqrt d))\, V$. Place i sees the places up to i, itself included. Write it without `scaled_dot_product_attention`, and with another way to mask than the one above if you can.


# %% tags=["exercise"]
def causal_attention(q, k, v):
    """What each place takes from itself and from the places before it, (n, places, d)."""
    # Hint: adding -inf is one way to mask. The diagonal stays.
    ### BEGIN SOLUTION
    places, d = q.shape[1:]
    scores = torch.einsum("nid, njd -> nij", q, k) / d**0.5
    later = torch.full((places, places), -torch.inf).triu(diagonal=1)  # 0 up to the diagonal
    return torch.softmax(scores + later, dim=2) @ v
    ### END SOLUTION


# %%
check_causal_attention(causal_attention)

# %% [markdown]
# **3. The loss** (10 minutes). `logits` (n, places, vocabulary) is what a network makes of `tokens` (n, places): the logits at a place guess the *next* token. Return the mean cross-entropy over all guesses of the batch, in **bits** per token. What follows the last place is not known, so leave it out.


# %% tags=["exercise"]
def next_token_loss(logits, tokens):
    """Mean of -log2 p(next token), one number."""
    # Hint: F.cross_entropy takes logits (m, vocabulary) and targets (m,), and gives nats.
    ### BEGIN SOLUTION
    guesses, targets = logits[:, :-1], tokens[:, 1:]
    nats = F.cross_entropy(guesses.reshape(-1, logits.shape[2]), targets.reshape(-1))
    return nats / math.log(2)
    ### END SOLUTION


# %%
check_next_token_loss(next_token_loss)

# %% [markdown]
# **4. Positions after a cache** (15 minutes). `rotated` above turns the places 0, 1, 2, … A model with a cache reads only *new* places, and these stand after those of the cache. Return `x` (places, d) with its rows turned as the places start, start + 1, …: the point $(x_j, x_{j + d/2})$ of place m turns by the angle $m \cdot 10000^{-2j/d}$.


# %% tags=["exercise"]
def rotated_at(x, start):
    """Rotary positions for the places start, start + 1, ..., of the shape of x."""
    # Hint: only the angles change. Which numbers does torch.arange(start, ...) give?
    ### BEGIN SOLUTION
    places, d = x.shape
    speeds = torch.exp(-math.log(10_000) * torch.arange(0, d, 2) / d)
    turn = torch.outer(torch.arange(start, start + places), speeds)
    a, b = x[:, : d // 2], x[:, d // 2 :]
    return torch.cat([turn.cos() * a - turn.sin() * b, turn.sin() * a + turn.cos() * b], dim=1)
    ### END SOLUTION


# %%
check_rotated_at(rotated_at)

# %% [markdown]
# **5. Draw a token** (20 minutes). For each row of `logits` (n, vocabulary) draw one token with `rng`; return their numbers (n,). The temperature `T` divides the logits; at T = 0 take the likeliest token. Then keep the fewest tokens whose probabilities sum to at least `top_p`, and draw from these. The token that crosses `top_p` stays.


# %% tags=["exercise"]
def draw_token(logits, T, top_p, rng):
    """One token for each row, drawn at temperature T from the likeliest tokens."""
    # Hint: sort; a token is kept if those before it sum to less than top_p. Then undo the sorting.
    ### BEGIN SOLUTION
    if T == 0:
        return logits.argmax(dim=1)
    chances, order = torch.softmax(logits / T, dim=1).sort(dim=1, descending=True)
    summed = chances.cumsum(dim=1)
    chances = torch.where(summed - chances < top_p, chances, 0.0)
    rank = torch.multinomial(chances, 1, generator=rng)  # shares out again by itself
    return order.gather(1, rank)[:, 0]
    ### END SOLUTION


# %%
check_draw_token(draw_token)

# %% [markdown]
# **6. One place more** (20 minutes). A cache holds the `keys` and `values` (n, places, d) of the places so far. `x` (n, d) is the new place, and `query`, `key` and `value` are three linear maps to call. Return three things: what the new place takes (n, d), the longer keys, and the longer values, (n, places + 1, d) each. The new place sees all places of the cache and itself. Why is no mask needed?
#
# The check also begins with an empty cache, takes all places one by one, and compares with masked attention.
#
# <details><summary>Why no mask?</summary>
#
# The cache holds only places that stand before the new one. There is nothing later to hide.
#
# </details>


# %% tags=["exercise"]
def cached_step(x, keys, values, query, key, value):
    """What the new place takes, then keys and values with one place more."""
    # Hint: first append, then look. x[:, None] has a dimension for places.
    ### BEGIN SOLUTION
    keys = torch.cat([keys, key(x)[:, None]], dim=1)
    values = torch.cat([values, value(x)[:, None]], dim=1)
    fits = torch.einsum("nd, npd -> np", query(x), keys) / x.shape[1] ** 0.5
    return torch.einsum("np, npd -> nd", fits.softmax(dim=1), values), keys, values
    ### END SOLUTION


# %%
check_cached_step(cached_step)

# %% [markdown]
# **7. An experiment: how many letters of memory?** (60 minutes, of which some of training) The n-grams of *Idea* look back a fixed number of letters, the program of *Train* up to 32. Now let the network see no more than a table does: train it so that place i sees the letters i − reach + 1 to i, **and nothing else**. Return the trained network, a function from rows (n, places) of any number of places up to 32 to logits
# (n, places, vocabulary).
#
# The check trains yours with reach 1 and reach 4, and looks whether it keeps to that. **With one letter it must come within 0.1 bits of the bigram table, and with four it must need at least 0.25 bits less than with one.** Copy the program and change its mask. Before you run it, predict:
#
# - Can a network with one letter of memory be better than the bigram table? See *Why counting is the best that such a table can do*; the check measures on names that neither was trained on.
# - The program has three blocks. If the mask of each lets a place see four letters, how many letters does the last block see?
# - `place` tells the network where in the row it is. Is that more than it may know?
#
# <details><summary>What we measured</summary>
#
# One run each of a network with two blocks of 64 numbers, 300 steps, seed 0; bits per letter on held-out names. Beside it, n-gram models that see as many letters.
#
# | letters seen | network, 300 steps | n-gram |
# |---|---|---|
# | 1 | 3.64 | 3.61 |
# | 2 | 3.41 | 3.31 |
# | 4 | 3.34 | 3.09 |
#
# With one letter, a table is all that a network can be, and it comes close to the counted one. On the training text it could not be better; on new names it could by a hair. With more letters it gains, but after so few steps counting is ahead at every length. A table is finished after one pass over the text; a network has to learn each of these regularities by gradient steps, and repays it only where memory is long and tables stay empty.
#
# Each block lets information travel reach − 1 places further: three blocks with a reach of four see ten letters. So only one block may look back. And a network that knows its place in the row knows how long the name is already, which no bigram table does. A bias for each *distance* in place of a vector for each *place* tells the letters apart and nothing more.
#
# </details>


# %% tags=["exercise"]
def limited(data, reach):
    """A network, trained on data.train, whose place i sees the letters i - reach + 1 ... i."""
    # Hint: one block looks back, the others only at their own place. A bias for each distance?
    ### BEGIN SOLUTION
    torch.manual_seed(0)
    d, heads, steps, vocabulary = 64, 4, 300, len(data.tokeniser.tokens)

    class Near(nn.Module):  # the program's block, with a bias for each distance
        def __init__(self, reach):
            super().__init__()
            self.far = nn.Parameter(torch.randn(heads, reach))
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

        def forward(self, h):
            parts = self.qkv(self.norm1(h)).unflatten(2, (3, heads, d // heads))
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            at, reach = torch.arange(h.shape[1]), self.far.shape[1]
            back = at[:, None] - at  # how far each column lies behind each row
            bias = self.far[:, back.clamp(0, reach - 1)]
            bias = bias.masked_fill((back < 0) | (back >= reach), -torch.inf)
            mixed = scaled_dot_product_attention(q, k, v, bias)
            h = h + self.out(mixed.transpose(1, 2).flatten(2))
            return h + self.mlp(self.norm2(h))

    net = nn.Sequential(
        nn.Embedding(vocabulary, d),
        Near(reach),
        Near(1),  # sees its own place only
        nn.LayerNorm(d),
        nn.Linear(d, vocabulary),
    )
    optimiser = torch.optim.AdamW(net.parameters())
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        x = data.train.batch(step, 64).tokens
        loss = F.cross_entropy(net(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net
    ### END SOLUTION


# %%
check_limited(limited)

# %% [markdown]
# ## Summary
#
# A text is a row of tokens, and the chain rule makes its probability a product of guesses. A transformer gives all guesses in one pass, because masked attention lets each place see only what stands before it; its loss is the cross-entropy, so it is maximum likelihood, as counting is. Unlike counts, its vectors let similar contexts help each other. To write is to draw
# from these guesses, again and again, and the temperature decides how boldly.
#
# **Strengths, as measured here:** one network and one loss for letters, syllables, notes and pixels; an exact likelihood; a loss that falls with size and training. **Weaknesses:** one token at a time, and nothing can be taken back; on little text it copies; it knows what it has read and nothing else, and sounds equally sure in both cases.

# %% [markdown] tags=["slide"]
# Guess the next token, exactly and again and again
#
# - The chain rule approximates nothing.
# - The mask makes one pass teach every place.
# - The loss rewards what is likely, not what is true.

# %% jupyter={"source_hidden": true}
# Table: the claims of this chapter, with what was measured.
claims

# %% [markdown]
# **Why this matters today.** GPT and all language models that answer, summarise, translate or write programs are this loss and this network, scaled up and then taught what people prefer.
#
# **Further reading.** A. Vaswani et al., *Attention Is All You Need*, 2017, [1706.03762](https://arxiv.org/abs/1706.03762). T. Brown et al., *Language Models are Few-Shot Learners*, 2020, [2005.14165](https://arxiv.org/abs/2005.14165).
# J. Hoffmann et al., *Training Compute-Optimal Large Language Models*, 2022, [2203.15556](https://arxiv.org/abs/2203.15556).

# %%
print(timing.report())
