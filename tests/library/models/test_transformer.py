"""GPT: its bits are exact, draws follow the probabilities, and it writes what was asked for."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gen_lib import InputError
from gen_lib.data.text import END, TokenBatch, learn_pieces, text_set
from gen_lib.models.transformer import BETWEEN, GPT, probabilities
from gen_lib.training import fit
from gen_lib.training.checkpoints import load, save

LETTERS = BETWEEN.join([END, *"abcde"])
TINY = {"width": 8, "layers": 2, "heads": 2}


def scattered(alphabet: str = LETTERS, context: int = 8, **given) -> GPT:
    """A tiny GPT with random weights everywhere."""
    model = GPT(alphabet, context=context, **TINY | given)
    rng = torch.Generator().manual_seed(1)
    for p in model.parameters():
        nn.init.normal_(p, std=0.5, generator=rng)
    return model.eval()


class Table(nn.Module):
    """A net that knows a table of log p(next | token), and nothing else."""

    def __init__(self, log_p):
        super().__init__()
        self.log_p = log_p

    def forward(self, tokens, memories=None):
        return self.log_p[tokens]

    def memories(self, context):
        return []


@pytest.fixture
def bigrams(rng):
    """A GPT whose net is a table of bigrams, and the table."""
    model = scattered()
    model.net = Table(torch.rand(6, 6, generator=rng).add(0.1).log().log_softmax(dim=1))
    return model, model.net.log_p.double() / math.log(2)


# Bits of a text


@pytest.mark.parametrize("length", range(1, 40))
@pytest.mark.parametrize("context", [2, 7, 8])
def test_each_token_after_the_first_is_counted_once(bigrams, length, context):
    """For any length around multiples of half a context; a table needs no context."""
    (model, table), model.context = bigrams, context
    tokens = torch.randint(6, (length,), generator=torch.Generator().manual_seed(length))
    found = model.log2(tokens)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, table[tokens[:-1], tokens[1:]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("context", [8, 9])
def test_a_token_is_given_at_least_half_a_context(context, rng):
    model, half = scattered(context=context), context // 2
    tokens = torch.randint(6, (31,), generator=rng)
    found = model.log2(tokens)
    for i in range(1, 31):
        start = 0 if i <= 2 * half else (i - half - 1) // half * half  # of the row that holds it
        assert i - start >= min(i, half)
        logits = model.net(tokens[None, start:i])[0, -1]
        expected = logits.log_softmax(dim=0)[tokens[i]].item() / math.log(2)
        assert found[i - 1].item() == pytest.approx(expected, abs=1e-4)


def test_the_probabilities_of_all_texts_of_a_length_sum_to_1():
    model = scattered(BETWEEN.join([END, "a", "b"]))
    texts = [torch.tensor([0, *text]) for text in itertools.product(range(3), repeat=4)]
    total = sum(2 ** model.log2(text).sum().item() for text in texts)
    assert total == pytest.approx(1, abs=1e-5)


def test_the_loss_is_the_mean_of_the_bits(rng):
    model, rows = scattered(), torch.randint(6, (5, 9), generator=rng)
    loss = model.loss(TokenBatch(rows), rng, 0.0)
    bits = -torch.stack([model.log2(row) for row in rows]).mean()
    assert loss.value.item() == pytest.approx(bits.item() * math.log(2), rel=1e-5)
    assert loss.terms == {"cross_entropy": loss.value}


def test_a_new_model_pays_log_v(rng):
    model = GPT(LETTERS, context=8, **TINY)
    rows = TokenBatch(torch.randint(6, (5, 9), generator=rng))
    assert model.loss(rows, rng, 0.0).value.item() == pytest.approx(math.log(6), rel=1e-6)


@pytest.mark.parametrize("unit", ["characters", "jamo", "words", "pieces"])
def test_the_bits_of_the_test_text_are_per_letter_also_of_pieces(unit):
    """A new model pays log2 V for each token; the text is divided into letters for all."""
    text = "one two three four\n" * 30
    data = text_set("numbers", text, text, unit, pieces=24, context=16)
    tokeniser = data.tokeniser
    model = GPT(BETWEEN.join(tokeniser.tokens), unit=unit, context=16, **TINY)
    (row,) = model.rows(data)
    units = 30 * 5 if unit == "words" else len(text)  # a line end counts
    tokens = len(tokeniser.encode(text))
    assert row.value == pytest.approx(tokens * math.log2(len(tokeniser.tokens)) / units, rel=1e-5)
    name = {"words": "bits_per_word", "jamo": "bits_per_jamo"}.get(unit, "bits_per_character")
    assert row.name == name
    assert {"1-gram", "2-gram", "gzip", "lzma"} <= {*row.beside}
    assert row.beside["2-gram"] < row.beside["1-gram"]


def test_bits_of_music_are_per_note():
    text = "C4:2 | D4:1 E4:1 |\n" * 30
    data = text_set("scale", text, text, "notes", context=16)
    model = GPT(BETWEEN.join(data.tokeniser.tokens), unit="notes", context=16, **TINY)
    (row,) = model.rows(data)
    assert row.name == "bits_per_note"
    assert row.value == pytest.approx(6 / 3 * math.log2(5), rel=1e-5)


# Probabilities of the next token

ROWS = st.lists(st.floats(-9, 9), min_size=2, max_size=9)


def test_by_default_they_are_a_softmax_and_no_token_is_impossible(rng):
    logits = torch.randn(4, 3000, generator=rng) * 4
    found = probabilities(logits)
    torch.testing.assert_close(found, logits.softmax(dim=1))
    assert (found > 0).all()


def test_temperature_divides_the_logits(rng):
    logits = torch.randn(4, 9, generator=rng)
    for temperature in (0.3, 2.0):
        expected = (logits / temperature).softmax(dim=1)
        torch.testing.assert_close(probabilities(logits, temperature), expected)
    best = nn.functional.one_hot(logits.argmax(dim=1), 9).float()
    assert torch.equal(probabilities(logits, 0), best)
    torch.testing.assert_close(probabilities(logits, 1e-3), best)
    torch.testing.assert_close(probabilities(logits, 1e6), torch.full((4, 9), 1 / 9))


@settings(max_examples=60, deadline=None)
@given(ROWS, st.floats(0.01, 1))
def test_top_p_keeps_the_fewest_that_reach_p(row, top_p):
    p = torch.tensor([row]).softmax(dim=1)[0].tolist()
    kept, total = set(), 0.0
    for token in sorted(range(len(p)), key=lambda i: -p[i]):
        if total >= top_p or abs(total - top_p) < 1e-6:
            break
        kept.add(token)
        total += p[token]
    found = probabilities(torch.tensor([row]), top_p=top_p)[0]
    if all(abs(sum(sorted(p)[-k:]) - top_p) > 1e-6 for k in range(len(p) + 1)):  # no tie with p
        assert {*found.nonzero()[:, 0].tolist()} == kept
        for token in kept:
            assert found[token].item() == pytest.approx(p[token] / total, rel=1e-4)
    assert found.sum().item() == pytest.approx(1, abs=1e-5)


def test_top_k_keeps_the_k_likeliest(rng):
    logits = torch.randn(5, 9, generator=rng)
    for k in range(1, 12):
        found = probabilities(logits, top_k=k)
        assert (found > 0).sum(dim=1).tolist() == [min(k, 9)] * 5
        least = logits.masked_fill(found == 0, math.inf).amin(dim=1)
        most_left_out = logits.masked_fill(found > 0, -math.inf).amax(dim=1)
        assert (least > most_left_out).all()
        torch.testing.assert_close(found.sum(dim=1), torch.ones(5))
    assert torch.equal(probabilities(logits, top_k=0), probabilities(logits))
    assert torch.equal(probabilities(logits, top_k=1), probabilities(logits, 0))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0.0}, "top_p is 0.0: it must be above 0, at most 1"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_p": math.nan}, "top_p is nan"),
    ],
)
def test_settings_out_of_range_are_named(given, words):
    with pytest.raises(InputError, match=words):
        probabilities(torch.zeros(1, 4), **given)
    with pytest.raises(InputError, match=words):
        scattered().write("a", **given)


def test_next_is_the_softmax_after_the_last_letters_of_a_text():
    model, text = scattered(), "abcde" * 4
    seen = model.tokeniser.encode(text)[None, -8:]
    torch.testing.assert_close(model.next(text), model.net(seen)[0, -1].softmax(dim=0))
    whole = model.tokeniser.encode("\nab")[None]
    torch.testing.assert_close(model.next("ab"), model.net(whole)[0, -1].softmax(dim=0))
    assert torch.equal(model.next("\nab"), model.next("ab"))
    assert model.next("ab", temperature=0).max() == 1


# Draws


@pytest.mark.parametrize("begun", [1, 3, 7, 8, 20])
@pytest.mark.parametrize("context", [2, 3, 8])
def test_cached_draws_are_those_that_read_the_row_again(begun, context, rng):
    model = scattered(context=context)
    rows = torch.randint(6, (4, begun), generator=rng)
    drawn = []
    for cached in (True, False):
        source = torch.Generator().manual_seed(3)
        new = itertools.islice(model.tokens(rows, source, cached=cached), 3 * context + 2)
        drawn.append(torch.stack(list(new)))
    assert torch.equal(*drawn)
    assert len(drawn[0].unique()) > 1


def test_draws_follow_the_table(bigrams):
    model, table = bigrams
    begun = torch.full((1, 1), 2).repeat(20_000, 1)
    first, second = itertools.islice(model.tokens(begun, torch.Generator().manual_seed(0)), 2)
    p = (table * math.log(2)).exp()
    shares = torch.bincount(first, minlength=6) / 20_000
    torch.testing.assert_close(shares.double(), p[2], atol=0.015, rtol=0)
    shares = torch.bincount(second, minlength=6) / 20_000
    torch.testing.assert_close(shares.double(), p[2] @ p, atol=0.015, rtol=0)


# Writing


@pytest.mark.parametrize("prompt", ["", "a", "abcde", "abcde" * 5])
@pytest.mark.parametrize("length", [0, 1, 30])
def test_a_text_begins_with_its_prompt_and_has_the_length(prompt, length, rng):
    texts = scattered().write(prompt, 5, rng, length=length)
    assert len(texts) == 5
    assert all(text.startswith(prompt) for text in texts)
    assert {len(text) for text in texts} == {len(prompt) + length}
    assert length < 30 or len({*texts}) == 5


def test_a_line_of_a_list_ends_with_its_line(rng):
    model = scattered(lines=True)
    texts = model.write("ab", 40, rng, length=50)
    assert all(text.startswith("ab") and END not in text for text in texts)
    assert len({len(text) for text in texts}) > 3
    assert model.write("ab\ncd", 3, rng)[0].startswith("ab\ncd")
    (whole,) = scattered(lines=False).write("ab", 1, torch.Generator().manual_seed(0), length=50)
    (line,) = model.write("ab", 1, torch.Generator().manual_seed(0), length=50)
    assert END in whole
    assert line == whole.split(END)[0]


def test_writing_repeats_with_its_generator_and_needs_none_at_temperature_0():
    model = scattered()
    one, same, other = (model.write("a", 2, torch.Generator().manual_seed(n)) for n in (1, 1, 2))
    assert one == same != other
    likeliest = model.write("a", 3, temperature=0, length=20)
    assert len({*likeliest}) == 1
    assert likeliest[0] == model.write("a", top_k=1, length=20)[0]


def test_a_space_at_the_end_of_a_prompt_is_left_to_the_next_piece():
    words = "low lower lowest "
    pieces = learn_pieces(words * 9, 20)
    model = scattered(BETWEEN.join(pieces), unit="pieces")
    assert torch.equal(model.next("low "), model.next("low"))
    draws = [model.write(p, 3, torch.Generator().manual_seed(0)) for p in ("low", "low ", "low  ")]
    assert draws[0] == draws[1] == draws[2]
    plain = scattered(BETWEEN.join([END, *sorted({*words})]))
    assert not torch.equal(plain.next("low "), plain.next("low"))


def test_jamo_are_written_as_syllables(rng):
    jamo = BETWEEN.join([END, chr(0x1112), chr(0x1161), chr(0x11AB)])
    texts = scattered(jamo, unit="jamo").write("한하", 9, rng, length=40)
    assert all(text.startswith("한") for text in texts)  # 하 may get a tail
    written = "".join(texts)
    assert chr(0x1112) + chr(0x1161) not in written
    assert "한" in written


def test_what_the_model_has_no_letter_for_is_named():
    with pytest.raises(InputError, match="The model knows no 'x', 'y': leave it out, or write"):
        scattered().write("axy")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"context": 1}, "context is 1: it must be a whole number of at least 2"),
        ({"alphabet": "a\tb"}, "must be the line end"),
        ({"width": 6}, "width is 6: it must be a multiple of 4"),
        ({"muon_lr": -1.0}, "muon_lr is -1.0"),
        ({"noise": 1.0}, "noise is 1.0: it must be at least 0 and below 1"),
    ],
)
def test_arguments_that_do_not_fit_are_named(given, words):
    with pytest.raises(InputError, match=words):
        GPT(**{"alphabet": LETTERS, **TINY, **given})


# Learning, and what is kept


def test_noise_exchanges_a_share_of_what_is_read_and_nothing_of_what_is_guessed():
    rows, read, losses = torch.arange(64 * 9).view(64, 9), [], []
    for noise in (0.3, 0.3, 0.0):
        model = GPT(LETTERS, context=8, noise=noise, **TINY)
        model.net = Table(torch.eye(64 * 9).roll(1, dims=1))  # likeliest is the next number
        model.net.register_forward_pre_hook(lambda module, given: read.append(given[0]))
        rng = torch.Generator().manual_seed(0)
        losses.append(model.loss(TokenBatch(rows), rng, 0.0).value)
    first, same, plain = read
    assert torch.equal(first, same)
    assert torch.equal(plain, rows[:, :-1])
    assert torch.equal(rng.get_state(), torch.Generator().manual_seed(0).get_state())
    exchanged = first != plain
    assert exchanged.float().mean().item() == pytest.approx(0.3, abs=0.08)
    assert torch.isin(first, plain).all()
    expected = losses[2] + exchanged.float().mean()  # a wrong guess costs 1 nat more here
    assert losses[0].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("muon_lr", [0.02, 0])
def test_a_text_that_repeats_is_learnt_to_the_letter(muon_lr):
    text = "abcdeedcba" * 40
    data = text_set("circle", text, text, "characters", context=8, lines=False)
    model = GPT(
        BETWEEN.join(data.tokeniser.tokens), context=8, muon_lr=muon_lr, **TINY | {"width": 16}
    )
    model.lr = 0.02  # for so few steps
    fit(model, data.train, steps=150, batch_size=32, show_bar=False)
    model.eval()
    bits = -model.log2(data.test.tokens)
    assert bits[8:].mean().item() < 0.1  # from log2(6) = 2.58
    assert model.write("abcdee", temperature=0, length=30) == ["abcdee" + ("dcbaabcdee" * 3)]
    (player,) = model.players().values()
    assert len(player.hidden) == (8 if muon_lr else 0)


def test_it_comes_back_from_its_file_with_any_alphabet(tmp_path):
    letters = [END, *"\"'\\{}, é한글", "🙂", "\u2028", " the", "\x00"]
    model, path = (
        scattered(BETWEEN.join(letters), unit="pieces", lines=True),
        tmp_path / "x.safetensors",
    )
    save(model, path)
    again = load(path, GPT)
    assert again.tokeniser.tokens == tuple(letters)
    assert again.config == model.config
    assert (again.lines, again.context) == (True, 8)
    assert torch.equal(again.next("한글🙂"), model.next("한글🙂"))
