r"""GPT: a transformer that estimates the next token from all tokens before it.

Radford et al. 2018, *Improving language understanding by generative pre-training*. A text is a row
of tokens x_1 ... x_n (``data.text``). The chain rule splits its probability without approximation:

    p(x) = product over i of p(x_i | x_1 ... x_(i-1))

The network gives all factors in one pass, because place i sees the places 1 ... i and nothing after
them (``nets.transformer``). The loss is the mean of -log p over all places, in nats a token. To
minimise it is to maximise the likelihood.

Sampling draws a token, appends it, and asks again. The keys and values of earlier places do not
change, so they are kept, and a new token costs one place in place of all. A model that has read as
many tokens as its context allows forgets the older half and reads the newer half again.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from gen_lib import InputError, check_not_negative
from gen_lib.data.text import ASCII, END, TextSet, TokenBatch, Tokeniser, Unit
from gen_lib.metrics.images import Row
from gen_lib.metrics.text import best_ngram, compressed_bits
from gen_lib.models.base import Loss, Model, Player
from gen_lib.nets.transformer import Transformer

Tokens = Int64[Tensor, "n tokens"]
Probabilities = Float[Tensor, "n vocabulary"]
BETWEEN = "\t"  # the tokens of an alphabet
LENGTH = 400  # tokens that are written where no line end stops
MOST_BITS = 62  # of the number of an n-gram
LONGEST = 8  # order of the n-grams that a model is compared with


class GPT(Model):
    """A decoder-only transformer with the tokens of a text.

    Args:
        alphabet: the tokens, with tabs between them; the first is the line end.
        unit: what a token is, see ``data.text``.
        lines: whether each line is a text of its own.
        context: the largest number of tokens that it looks back, at least 2.
        width: numbers at each place, a multiple of 2 heads.
        layers: number of blocks.
        heads: attentions side by side in each block.
        muon_lr: learning rate of the hidden layers, which Muon updates; 0 for AdamW alone.
        noise: share of the tokens that training exchanges before they are read, in [0, 1): against
            learning a short text by heart.

    Raises:
        InputError: an argument is not such, or the alphabet does not begin with a line end.
    """

    name = "gpt"
    labels = "text"
    batch_size = 32
    lr = 2e-3
    betas = (0.9, 0.99)

    def __init__(
        self,
        alphabet: str = BETWEEN.join(ASCII),
        unit: Unit = "characters",
        lines: bool = False,
        context: int = 128,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        muon_lr: float | int = 0.02,
        noise: float | int = 0.0,
    ):
        config: dict[str, Any] = {"alphabet": alphabet, "unit": unit, "lines": lines}
        config |= {"context": context, "width": width, "layers": layers, "heads": heads}
        super().__init__(**config, muon_lr=muon_lr, noise=noise)
        check_not_negative(muon_lr=muon_lr)
        if not 0 <= noise < 1:
            raise InputError(f"noise is {noise}: it must be at least 0 and below 1.")
        if context < 2:
            raise InputError(f"context is {context}: it must be a whole number of at least 2.")
        self.tokeniser = Tokeniser(unit, tuple(alphabet.split(BETWEEN)))
        if self.tokeniser.tokens[0] != END:
            raise InputError("The first token of an alphabet must be the line end.")
        self.context, self.lines, self.muon_lr, self.noise = context, lines, muon_lr, noise
        self.net = Transformer(len(self.tokeniser.tokens), width, layers, heads)

    @override
    def loss(self, batch: TokenBatch, rng: torch.Generator, progress: float) -> Loss:
        """The mean of -log p(x_i | x_<i) over all tokens of the rows but the first, in nats.

        What is read is noised: a share of the tokens is exchanged for others of the batch, as often
        as these occur (Xie et al. 2017, arXiv:1703.02573). What is guessed is not.
        """
        x = batch.tokens
        read = self._noised(x[:, :-1], rng) if self.noise else x[:, :-1]
        entropy = F.cross_entropy(self.net(read).flatten(0, 1), x[:, 1:].flatten())
        return Loss(entropy, {"cross_entropy": entropy})

    def _noised(self, x: Tokens, rng: torch.Generator) -> Tokens:
        """Rows in which a share ``noise`` of the tokens comes from other places of the batch."""
        others = x.flatten()[torch.randperm(x.numel(), generator=rng, device=x.device)]
        exchanged = torch.rand(x.shape, generator=rng, device=x.device) < self.noise
        return torch.where(exchanged, others.view_as(x), x)

    @override
    def players(self) -> dict[str, Player]:
        """One player, whose hidden layers Muon updates."""
        (player,) = super().players().values()
        if not self.muon_lr:
            return {"model": player}
        return {"model": player._replace(hidden=self.net.hidden(), hidden_lr=self.muon_lr)}

    @torch.no_grad()
    def log2(self, tokens: Int64[Tensor, "n"]) -> Float64[Tensor, "n-1"]:
        """log2 p(x_i | the tokens before it), for every token but the first.

        Each is given at least half a context of tokens, where there are so many before it.
        """
        half, found = self.context // 2, []
        starts = range(0, max(1, len(tokens) - 1 - half), half)
        for start in starts:
            row = tokens[start : start + 2 * half + 1][None]
            log_p = self.net(row[:, :-1]).log_softmax(dim=2)
            of_row = log_p.gather(2, row[:, 1:, None])[0, :, 0]
            found.append(of_row[half:] if start else of_row)
        return torch.cat(found).double() / math.log(2)

    @override
    def rows(self, data: TextSet) -> list[Row]:
        """Bits of the test text, per letter or note, beside n-grams and compressors."""
        letters, text = self.tokeniser.letters, data.test.text
        units = sum(letters.unit != "notes" or ":" in part for part in letters.split(text))
        bits = -self.log2(self.tokeniser.encode(END + text)).sum().item()
        train, test = (letters.encode(half.text) for half in (data.train, data.test))
        longest = min(LONGEST, int(MOST_BITS / math.log2(len(letters.tokens))))
        ngrams = best_ngram(train, test, len(letters.tokens), range(1, longest + 1))
        beside = {f"{order}-gram": bits * len(test) for order, bits in ngrams.items()}
        best = min(beside, key=lambda name: beside[name])
        kept = {name: beside[name] for name in ("1-gram", "2-gram", best)}
        kept |= compressed_bits(data.train.text, data.test.text)
        of = {"characters": "character", "notes": "note", "words": "word"}.get(letters.unit, "jamo")
        return [Row(f"bits_per_{of}", bits / units, {k: v / units for k, v in kept.items()})]

    def next(
        self, text: str, *, temperature: float | int = 1.0, top_k: int = 0, top_p: float | int = 1.0
    ) -> Float[Tensor, "vocabulary"]:
        """The probability of each token after a text.

        Raises:
            InputError: as of ``write``.
        """
        with torch.no_grad():
            logits = self.net(self._read(text)[None, -self.context :])[:, -1]
        return probabilities(logits, temperature, top_k, top_p)[0]

    def write(
        self,
        prompt: str = "",
        n: int = 1,
        rng: torch.Generator | None = None,
        *,
        length: int = LENGTH,
        temperature: float | int = 1.0,
        top_k: int = 0,
        top_p: float | int = 1.0,
    ) -> list[str]:
        """n texts that begin with the prompt; an empty one begins a line.

        Args:
            prompt: of a long one the model sees the last ``context`` tokens.
            n: number of texts.
            rng: source of the draws.
            length: the largest number of new tokens; a text of a list also ends with its line.
            temperature: see ``probabilities``, as for top_k and top_p.

        Raises:
            InputError: the prompt holds what the model has no token for, or a setting is out of
                its range.
        """
        begun = self._read(prompt)
        settings: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        new, going = [], torch.ones(n, dtype=torch.bool)
        for token in islice(self.tokens(begun.repeat(n, 1), rng, **settings), length):
            new.append(token)
            going &= token != 0
            if self.lines and not going.any():
                break
        rows = torch.cat([begun.repeat(n, 1), *(token[:, None] for token in new)], dim=1)
        texts = [self.tokeniser.decode(row[1:]) for row in rows]
        start = len(self.tokeniser.decode(begun[1:]))
        return [self._first_line(text, start) if self.lines else text for text in texts]

    @torch.no_grad()
    def tokens(
        self,
        begun: Tokens,
        rng: torch.Generator | None = None,
        *,
        cached: bool = True,
        **settings: Any,
    ) -> Iterator[Int64[Tensor, "n"]]:
        """Draw one more token for each row, again and again without end.

        Args:
            begun: rows that are continued, of at least one token.
            rng: source of the draws.
            cached: keep keys and values; without, every token reads the whole row again.
            settings: of ``probabilities``.
        """
        seen, memories = begun[:, -self.context :], None
        while True:
            if not cached:
                logits = self.net(seen)
            elif memories is None:
                memories = self.net.memories(self.context)
                logits = self.net(seen, memories)
            else:
                logits = self.net(seen[:, -1:], memories)
            p = probabilities(logits[:, -1], **settings)
            token = torch.multinomial(p, 1, generator=rng)
            yield token[:, 0]
            seen = torch.cat([seen, token], dim=1)
            if seen.shape[1] > self.context:
                seen, memories = seen[:, -(self.context // 2) :], None

    def _read(self, text: str) -> Int64[Tensor, "tokens"]:
        """The tokens of a prompt, after a line end."""
        if self.tokeniser.unit == "pieces":
            text = text.rstrip(" ")  # the space before a word is part of its first piece
        return self.tokeniser.encode(END + text.removeprefix(END))

    @staticmethod
    def _first_line(text: str, start: int) -> str:
        end = text.find(END, start)
        return text if end < 0 else text[:end]


def probabilities(
    logits: Float[Tensor, "n vocabulary"],
    temperature: float | int = 1.0,
    top_k: int = 0,
    top_p: float | int = 1.0,
) -> Probabilities:
    """softmax(logits / temperature), cut to the likeliest tokens; each row sums to 1.

    Args:
        logits: of the next token.
        temperature: below 1 sharpens, above 1 flattens; at 0 the likeliest token has all.
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the fewest tokens whose probabilities sum to at least p in (0, 1] (nucleus
            sampling, Holtzman et al. 2019, arXiv:1904.09751).

    Raises:
        InputError: temperature or top_k is negative, or top_p not in (0, 1].
    """
    check_not_negative(temperature=temperature, top_k=top_k)
    if not 0 < top_p <= 1:
        raise InputError(f"top_p is {top_p}: it must be above 0, at most 1.")
    if temperature == 0:
        return F.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)
    below = logits - logits.amax(dim=1, keepdim=True)  # 0 for the likeliest, so nothing overflows
    p = (below / temperature).softmax(dim=1)
    if not top_k and top_p == 1:
        return p
    ordered, order = p.sort(dim=1, descending=True, stable=True)
    kept = (ordered.cumsum(dim=1) - ordered < top_p) | (top_p == 1)  # what is before sums to less
    if top_k:
        kept[:, top_k:] = False
    p = torch.zeros_like(p).scatter(1, order, ordered * kept)
    return p / p.sum(dim=1, keepdim=True)
