"""What a text costs in bits, by counting: n-grams with Kneser-Ney smoothing, and two compressors.

A token that a model gives probability p costs -log2 p bits. Here p comes from counts, without a
network. A model of order n looks at the n - 1 tokens before, the *context*. Most long contexts are
rare, so it mixes what it counted with a model of one order less (Kneser & Ney 1995, "Improved
backing-off for m-gram language modeling"; in the modified form of Chen & Goodman 1999, "An
empirical study of smoothing techniques for language modeling", section 3)::

    p_k(w | context) = (c - D(c)) / total + back * p_(k-1)(w | the context without its oldest token)

Here c is the count of the n-gram, total the sum of c over all w, and back the sum of the discounts
D(c) over total, so that the probabilities sum to 1. With n_r n-grams of count r and
Y = n_1 / (n_1 + 2 n_2)::

    D(1) = 1 - 2 Y n_2 / n_1,   D(2) = 2 - 3 Y n_3 / n_2,   D(3 and more) = 3 - 4 Y n_4 / n_3

Order n counts how often an n-gram occurs. A lower order counts how many *different* tokens stand
before the n-gram. Order 0 is uniform: nothing has probability 0.
"""

import gzip
import lzma
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from gen_lib import InputError

Tokens = Int64[Tensor, "n"]
Codes = Int64[np.ndarray, "_"]  # one number per n-gram, in base ``vocabulary``, the oldest first
Values = Float64[np.ndarray, "_"]


class _Table(NamedTuple):
    """The n-grams of one length: sorted codes, what the discount leaves, and what it frees."""

    vocabulary: int
    grams: Codes
    kept: Values  # (c - D(c)) / total
    contexts: Codes
    back: Values  # sum of D(c) / total

    def mix(self, codes: Codes, lower: Values) -> Values:
        """The probability of each n-gram's last token, given that of the model one order less."""
        back = _look_up(self.contexts, self.back, codes // self.vocabulary, missing=1.0)
        return _look_up(self.grams, self.kept, codes, missing=0.0) + back * lower


class NGram:
    """An interpolated n-gram model with modified Kneser-Ney smoothing; it holds all lower orders.

    Where only m < n - 1 tokens come before, it is the model of order m + 1. The discounts are 0.5,
    1 and 1.5 where a text has no n-grams of count 1, 2 or 3, or where the formula gives one that is
    not in (0, count]. That is usual for short texts and for single tokens.

    >>> model = NGram(torch.tensor([0, 1, 2] * 50), vocabulary=3, order=2)
    >>> model.next(torch.tensor([1])).argmax().item()
    2
    """

    def __init__(self, tokens: Tokens, vocabulary: int, order: int):
        """Count a text of tokens in 0 ... ``vocabulary`` - 1; ``order`` is at least 1.

        Raises:
            InputError: ``vocabulary`` or ``order`` is below 1, a token is outside the vocabulary,
                or the n-grams are too many for numbers of 64 bits.
        """
        if vocabulary < 1 or order < 1:
            raise InputError(
                f"vocabulary is {vocabulary} and order {order}: both must be at least 1."
            )
        if vocabulary**order >= 2**63:
            raise InputError(
                f"There are {vocabulary}^{order} n-grams of order {order}, more than a number of "
                "64 bits can tell apart: choose a lower order."
            )
        self.vocabulary, self.order = vocabulary, order
        text = self._checked(tokens)
        self._exact = [
            _counted(_codes(text, k, vocabulary), vocabulary) for k in range(1, order + 1)
        ]
        self._continued = [  # each longer n-gram is one token that stands before a k-gram
            _counted(longer.grams % vocabulary**k, vocabulary)
            for k, longer in enumerate(self._exact[1:], start=1)
        ]

    def log2(self, tokens: Tokens, order: int | None = None) -> Float64[Tensor, "n"]:
        """log2 p(token i | the tokens before it, at most ``order`` - 1), at most 0.

        ``order`` is from 1 to that of the model, its default.

        Raises:
            InputError: ``order`` is another, or a token is outside the vocabulary.
        """
        order = self.order if order is None else order
        if not 1 <= order <= self.order:
            raise InputError(f"order is {order}: choose one from 1 to {self.order}.")
        text = self._checked(tokens)
        first = [_codes(text[:k], k, self.vocabulary) for k in range(1, order)]
        codes = [*first, _codes(text, order, self.vocabulary)]
        parts = [self._probability(code, k) for k, code in enumerate(codes, start=1)]
        return torch.from_numpy(np.log2(np.concatenate(parts)))

    def next(self, context: Int64[Tensor, "m"]) -> Float64[Tensor, "vocabulary"]:
        """Probabilities of each token after a context; only its last ``order`` - 1 tokens count.

        Raises:
            InputError: a token is outside the vocabulary.
        """
        text = self._checked(context)
        text = text[max(len(text) - self.order + 1, 0) :]
        (before,) = _codes(text, len(text), self.vocabulary)
        codes = before * self.vocabulary + np.arange(self.vocabulary)
        return torch.from_numpy(self._probability(codes, len(text) + 1))

    def _probability(self, codes: Codes, order: int) -> Values:
        """The probability of the last token of each n-gram of this order."""
        p = np.full(len(codes), 1 / self.vocabulary)
        for k, table in enumerate(self._continued[: order - 1], start=1):
            p = table.mix(codes % self.vocabulary**k, p)
        return self._exact[order - 1].mix(codes, p)

    def _checked(self, tokens: Tokens) -> Codes:
        text = tokens.numpy(force=True)
        if len(text) and not 0 <= text.min() <= text.max() < self.vocabulary:
            raise InputError(
                f"The tokens are in {text.min()} ... {text.max()}: they must be in "
                f"0 ... {self.vocabulary - 1}, as the vocabulary is {self.vocabulary}."
            )
        return text


def best_ngram(
    train: Tokens, test: Int64[Tensor, "m"], vocabulary: int, orders: Iterable[int] = range(1, 9)
) -> dict[int, float]:
    """Bits per token of the test text, at least 0, for each order of a model of the training text.

    >>> text = torch.tensor([0, 1, 2, 3] * 50)
    >>> bits = best_ngram(text, text, vocabulary=4, orders=(1, 2))
    >>> round(bits[1], 1), bits[2] < 0.1  # one token before tells which comes next
    (2.0, True)

    Raises:
        InputError: the test text or ``orders`` is empty, or ``NGram`` refuses one of the others.
    """
    orders = list(orders)
    if not len(test) or not orders:
        raise InputError("The test text or orders is empty: give at least one token and one order.")
    model = NGram(train, vocabulary, max(orders))
    return {order: -model.log2(test, order).mean().item() for order in orders}


def compressed_bits(train: str, test: str) -> dict[str, float]:
    """Bits that a test text adds to a compressed training text, by gzip and by lzma.

    The texts are bytes in UTF-8. gzip looks back 32 kB only, so it forgets all of the training
    text but the end; lzma looks back 8 MB. lzma's files grow by steps of 32 bits.
    """
    seen, both = train.encode(), (train + test).encode()
    return {
        name: 8.0 * (len(compress(both)) - len(compress(seen)))
        for name, compress in (("gzip", gzip.compress), ("lzma", lzma.compress))
    }


def _codes(text: Codes, length: int, vocabulary: int) -> Codes:
    """The codes of all n-grams of this length; of length 0, one for each place."""
    codes = np.zeros(max(len(text) - length + 1, 0), np.int64)
    for j in range(length):
        codes = codes * vocabulary + text[j : j + len(codes)]
    return codes


def _counted(codes: Codes, vocabulary: int) -> _Table:
    grams, counts = np.unique(codes, return_counts=True)
    discount = _discounts(counts)[np.minimum(counts, 3)]
    contexts, first, sizes = np.unique(  # the n-grams of one context are neighbours
        grams // vocabulary, return_index=True, return_counts=True
    )
    total = np.add.reduceat(counts, first)
    kept = (counts - discount) / np.repeat(total, sizes)
    return _Table(vocabulary, grams, kept, contexts, np.add.reduceat(discount, first) / total)


def _discounts(counts: Codes) -> Float64[np.ndarray, "4"]:
    """D(0), D(1), D(2) and D(3 and more), where D(0) = 0 is not used."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)
    if n[1:4].all():
        y, r = n[1] / (n[1] + 2 * n[2]), np.arange(1, 4)
        D = r - (r + 1) * y * n[2:5] / n[1:4]
        if ((D > 0) & (r >= D)).all():
            return np.array([0.0, *D])
    return np.array([0.0, 0.5, 1.0, 1.5])


def _look_up(keys: Codes, values: Values, wanted: Codes, missing: float) -> Values:
    """The value of each wanted code, or ``missing``; the keys are sorted."""
    if not len(keys):
        return np.full(len(wanted), missing)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], missing)
