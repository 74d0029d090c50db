"""n-grams against plain dictionaries, closed forms and a Markov chain; compressors against both."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
import torch

from gen_lib import InputError
from gen_lib.metrics.text import NGram, best_ngram, compressed_bits


def drawn(length: int, vocabulary: int, seed: int = 0) -> torch.Tensor:
    """Independent tokens, the later ones in the vocabulary rarer."""
    weights = 1.0 / torch.arange(1, vocabulary + 1) ** 2
    rng = torch.Generator().manual_seed(seed)
    if not length:
        return torch.zeros(0, dtype=torch.int64)
    return torch.multinomial(weights, length, replacement=True, generator=rng)


class Oracle:
    """The formula with dictionaries; ``fallbacks`` has the lengths whose discounts are fixed."""

    def __init__(self, text: list[int], vocabulary: int, order: int):
        self.vocabulary, self.counts, self.D, self.fallbacks = vocabulary, {}, {}, set()
        for k in range(1, order + 1):
            places = range(len(text) - k + 1)
            exact = Counter(tuple(text[i : i + k]) for i in places)
            before = {(text[i - 1], *text[i : i + k]) for i in places if i}
            for kind, counts in ("exact", exact), ("lower", Counter(gram[1:] for gram in before)):
                self.counts[kind, k], self.D[kind, k] = counts, self.discounts(counts, (kind, k))

    def discounts(self, counts: Counter, key: tuple[str, int]) -> list[float]:
        n1, n2, n3, n4 = (sum(c == r for c in counts.values()) for r in (1, 2, 3, 4))
        if n1 and n2 and n3:
            Y = n1 / (n1 + 2 * n2)
            D = [1 - 2 * Y * n2 / n1, 2 - 3 * Y * n3 / n2, 3 - 4 * Y * n4 / n3]
            if all(0 < d <= r for r, d in enumerate(D, start=1)):
                return D
        self.fallbacks.add(key)
        return [0.5, 1.0, 1.5]

    def p(self, w: int, context: tuple[int, ...], kind: str = "exact") -> float:
        k = len(context) + 1
        counts, D = self.counts[kind, k], self.D[kind, k]
        shorter = self.p(w, context[1:], "lower") if context else 1 / self.vocabulary
        after = [counts[(*context, v)] for v in range(self.vocabulary)]
        if not sum(after):
            return shorter
        freed = sum(D[min(c, 3) - 1] for c in after if c)
        c = after[w]
        return ((c - D[min(c, 3) - 1] if c else 0.0) + freed * shorter) / sum(after)


@pytest.mark.parametrize(
    ("length", "vocabulary", "order", "formula"),
    [(400, 6, 4, True), (2_000, 12, 3, True), (30, 3, 3, False), (7, 2, 5, False)]
    + [(length, 2, 4, False) for length in range(4)],
)
def test_every_probability_is_that_of_the_formula(length, vocabulary, order, formula):
    text = drawn(length, vocabulary - 1)  # one token is never seen
    model, oracle = NGram(text, vocabulary, order), Oracle(text.tolist(), vocabulary, order)
    assert formula == (("exact", order) not in oracle.fallbacks)
    assert formula == (("lower", order - 1) not in oracle.fallbacks)
    for m in range(order):
        for context in itertools.islice(itertools.product(range(vocabulary), repeat=m), 300):
            expected = [oracle.p(w, context) for w in range(vocabulary)]
            found = model.next(torch.tensor(context, dtype=torch.int64))
            assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_probabilities_are_positive_and_sum_to_one_after_every_context():
    model = NGram(drawn(500, 3), vocabulary=4, order=4)
    for m in range(6):  # longer contexts than the model's, too
        for context in itertools.product(range(4), repeat=m):
            p = model.next(torch.tensor(context, dtype=torch.int64))
            assert p.min() > 0
            assert p.sum().item() == pytest.approx(1, abs=1e-12)


def test_nothing_is_impossible_where_the_formula_discounts_nothing():
    # four pairs once, one twice and one three times: Y = 2/3 and D(2) = 0; (0, 1) comes twice
    text = torch.tensor([0, 1, 2, 2, 2, 2, 3, 0, 1, 4])
    assert NGram(text, 6, 2).next(text[:1]).min() > 0.01


def test_order_1_has_a_closed_form():
    text = torch.tensor([0] + [1] + [2] * 2 + [3] * 3 + [4] * 6)
    # n_1 = 2 and n_2 = n_3 = 1 and n_4 = 0: Y = 1/2, and the discounts are 1/2, 1/2 and 3
    back = (0.5 * 2 + 0.5 + 3 + 3) / 13
    kept = [0.5, 0.5, 1.5, 0, 3] + [0] * 5
    expected = [k / 13 + back / 10 for k in kept]
    assert NGram(text, 10, 1).next(text).tolist() == pytest.approx(expected)
    assert NGram(text, 10, 1).log2(torch.tensor([4, 9])).exp2().tolist() == pytest.approx(
        [expected[4], expected[9]]
    )


def test_a_token_that_follows_one_other_only_is_unlikely_after_a_new_context():
    # 1 is frequent, but always after 0; 2 is rarer, but follows every other token
    text = torch.tensor([0, 1] * 30 + [2, 3, 2, 4, 2, 5, 2, 0, 2, 1, 2] * 2)
    p = NGram(text, vocabulary=7, order=2).next(torch.tensor([6]))
    alone = NGram(text, vocabulary=7, order=1).next(torch.tensor([6]))
    assert p[2] > p[1]
    assert alone[2] < alone[1]


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_text_costs_what_its_tokens_cost_one_by_one(order):
    model, test = NGram(drawn(300, 4), 5, order), drawn(40, 5, seed=1)
    one_by_one = [math.log2(model.next(test[:i])[test[i]].item()) for i in range(len(test))]
    assert model.log2(test).tolist() == pytest.approx(one_by_one)
    assert model.log2(test[:2]).tolist() == pytest.approx(one_by_one[:2])
    assert len(model.log2(test[:0])) == 0


def test_a_model_holds_all_lower_orders():
    train, test = drawn(600, 5), drawn(200, 5, seed=1)
    bits = best_ngram(train, test, 6, orders=(4, 1, 2))
    assert list(bits) == [4, 1, 2]
    for order, found in bits.items():
        assert found == pytest.approx(-NGram(train, 6, order).log2(test).mean().item())


def test_the_cost_of_a_markov_chain_approaches_its_entropy_rate():
    rng = np.random.default_rng(0)
    P = rng.dirichlet([0.3] * 4, size=4)  # row i: the probabilities after i
    pi = np.linalg.matrix_power(P, 1_000)[0]
    rate = -(pi[:, None] * P * np.log2(P)).sum()
    alone = -(pi * np.log2(pi)).sum()
    text, cumulated = [0], P.cumsum(axis=1)
    for u in rng.random(40_000):
        text.append(min(int(np.searchsorted(cumulated[text[-1]], u)), 3))
    train, test = torch.tensor(text[:20_000]), torch.tensor(text[20_000:])
    true = -np.log2(P[text[20_000:-1], text[20_001:]]).mean()  # of this very text
    bits = best_ngram(train, test, 4, orders=(1, 2, 3, 6))
    assert true == pytest.approx(rate, abs=0.03)
    assert bits[1] == pytest.approx(alone, abs=0.03)
    assert true - 1e-3 < bits[2] < true + 2e-3
    assert bits[2] < bits[3] < bits[6] < true + 0.05  # a longer context than needed costs
    assert bits[1] > true + 0.2


def test_a_constant_text_costs_nearly_nothing():
    text = torch.zeros(10_000, dtype=torch.int64)
    assert 0 < -NGram(text, 80, 8).log2(text[:1_000]).sum() < 0.2
    assert NGram(text, 1, 8).log2(text).abs().max() < 1e-12  # the only token there is


@pytest.mark.parametrize(("vocabulary", "order"), [(2, 62), (128, 8)])  # 2^62 and 2^56 n-grams
def test_the_longest_n_grams_that_fit_64_bits_are_told_apart(vocabulary, order):
    text = [vocabulary - 1] * order + [0, vocabulary - 1]
    model, oracle = NGram(torch.tensor(text), vocabulary, order), Oracle(text, vocabulary, order)
    for m in (order - 1, order):
        context = text[m - order + 1 : m]
        expected = [oracle.p(w, tuple(context)) for w in range(vocabulary)]
        assert model.next(torch.tensor(context)).tolist() == pytest.approx(expected)
    with pytest.raises(InputError, match="64 bits"):
        NGram(torch.tensor(text), vocabulary, order + 1)


def test_what_cannot_be_counted_is_refused():
    text = torch.tensor([0, 1, 2])
    for vocabulary, order in (0, 1), (3, 0):
        with pytest.raises(InputError, match="at least 1"):
            NGram(text, vocabulary, order)
    for wrong in (text, -text):
        with pytest.raises(InputError, match=r"must be in 0 \.\.\. 1"):
            NGram(wrong, 2, 2)
    model = NGram(text, 3, 2)
    for use in (model.log2, model.next):
        with pytest.raises(InputError, match="vocabulary is 3"):
            use(text + 1)
    for order in (0, 3):
        with pytest.raises(InputError, match="from 1 to 2"):
            model.log2(text, order)
    for test, orders in (text[:0], (1,)), (text, ()):
        with pytest.raises(InputError, match="is empty"):
            best_ngram(text, test, 3, orders)


def test_compressors_pay_the_entropy_of_chance_and_little_for_what_they_saw():
    rng = random.Random(0)
    train, test = ("".join(rng.choices("0123456789abcdef", k=10_000)) for _ in range(2))
    for bits in compressed_bits(train, test).values():
        assert 40_000 < bits < 50_000  # 4 bits for each letter
    for bits in compressed_bits(train, train).values():
        assert 0 < bits < 4_000
    assert compressed_bits(train, "") == {"gzip": 0.0, "lzma": 0.0}


def test_gzip_forgets_what_is_further_back_than_32_kb():
    rng = random.Random(0)
    test, train = ("".join(rng.choices("0123456789abcdef", k=k)) for k in (5_000, 40_000))
    bits = compressed_bits(test + train, test)
    assert bits["gzip"] > 20_000
    assert bits["lzma"] < 1_000
