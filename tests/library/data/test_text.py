"""Texts come back from their tokens, pieces are those of a plain program, rows are windows."""

import lzma
import shutil
import unicodedata
from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen_lib import InputError
from gen_lib.data import data_folder
from gen_lib.data.text import (
    ASCII,
    END,
    FILES,
    WORD,
    Tokeniser,
    learn_pieces,
    load_text,
    text_set,
)

POEM = "Tyger Tyger, burning bright,\nIn the forests of the night;\n" * 20
CHARACTERS = Tokeniser("characters", ASCII)
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\t")
HANGUL = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3) | st.sampled_from(" a\n")
FEW = st.text(st.sampled_from("aab \n."), min_size=1, max_size=60)
some = settings(max_examples=60, deadline=None)


# Byte-pair encoding in plain Python: count all pairs anew, join the most frequent, and so on


def joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """Each occurrence of a pair, from left to right, as one part."""
    found, place = [], 0
    while place < len(parts):
        step = 2 if tuple(parts[place : place + 2]) == pair else 1
        found.append("".join(parts[place : place + step]))
        place += step
    return found


def merges(text: str, size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """The tokens in the order of learning, and the pairs that were joined."""
    words = [list(word) for word in WORD.findall(text)]
    tokens, pairs = [END, *sorted({*text} - {END})], []
    while len(tokens) < size:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        rank = {token: number for number, token in enumerate(tokens)}
        best = min(counts, key=lambda p: (-counts[p], rank[p[0]], rank[p[1]]))
        words = [joined(word, best) for word in words]
        tokens.append("".join(best))
        pairs.append(best)
    return tokens, pairs


@some
@given(FEW, st.integers(1, 25))
def test_pieces_are_those_of_counting_all_pairs_anew(text, size):
    assert list(learn_pieces(text, size)) == merges(text, size)[0]


@some
@given(FEW, FEW)
def test_a_text_is_encoded_by_the_joins_in_the_order_of_learning(learnt, text):
    learnt += "ab .\n"
    tokens, pairs = merges(learnt, 20)
    expected = []
    for word in WORD.findall(text):
        parts = list(word)
        for pair in pairs:
            parts = joined(parts, pair)
        expected += parts
    assert Tokeniser("pieces", tuple(tokens)).split(text) == expected


def test_runs_of_one_letter_worked_out_by_hand():
    pieces = learn_pieces("aaaaa aaaaa", 9)  # aa aa a, then aa aaa, then all
    assert pieces == (END, " ", "a", "aa", "aaa", "aaaaa", " aaaaa")
    assert Tokeniser("pieces", pieces[:4]).split("aaa") == ["aa", "a"]


def test_no_piece_crosses_a_word_and_none_is_learnt_twice():
    pieces = learn_pieces(POEM, 80)
    assert len(set(pieces)) == len(pieces)
    assert all(WORD.fullmatch(piece) for piece in pieces)
    assert " Tyger" in pieces


def test_pieces_are_no_fewer_than_the_characters():
    assert learn_pieces("abc", 2) == (END, "a", "b", "c")


# Round trips


@pytest.mark.parametrize("name", ["names", "korean"])
def test_a_shipped_list_comes_back_from_its_numbers(name):
    found = load_text(name)
    assert found.lines
    for half in (found.train, found.test):
        assert half.text.endswith(END)
        assert half.tokens[0] == 0
        assert found.tokeniser.decode(half.tokens[1:]) == half.text
        assert {*half.starts.tolist()} <= {*(half.tokens == 0).nonzero()[:, 0].tolist()}
    assert not {*found.train.text.split()} & {*found.test.text.split()} or name == "korean"


@pytest.mark.slow
def test_the_novels_come_back_from_characters_and_from_pieces():
    found = load_text("austen", "characters")
    assert not found.lines
    assert found.tokeniser.decode(found.test.tokens[1:]) == found.test.text
    pieces = Tokeniser("pieces", learn_pieces(found.train.text, 100))
    assert pieces.letters == found.tokeniser
    few = pieces.encode(found.test.text)
    assert pieces.decode(few) == found.test.text
    assert len(few) < 0.9 * len(found.test.tokens)


@some
@given(st.text(ANY, max_size=40), st.sampled_from(["characters", "jamo"]))
def test_any_text_comes_back_in_composed_form(text, unit):
    parts = {*Tokeniser(unit, ()).split(text)} - {END}
    tokeniser = Tokeniser(unit, (END, *sorted(parts)))
    composed = unicodedata.normalize("NFC", text)
    assert tokeniser.decode(tokeniser.encode(text)) == composed
    assert tokeniser.decode(tokeniser.encode(composed)) == composed  # which is written again


@some
@given(st.text(HANGUL, max_size=20))
def test_any_syllables_come_back_from_their_jamo(text):
    parts = Tokeniser("jamo", ()).split(text)
    assert not any("가" <= part <= "힣" for part in parts)
    tokeniser = Tokeniser("jamo", (END, *sorted({*parts} - {END})))
    assert tokeniser.decode(tokeniser.encode(text)) == text


def test_a_syllable_is_two_or_three_jamo():
    """U+D55C is (18 x 21 + 0) x 28 + 4 after U+AC00: the 19th lead, 1st vowel and 4th tail."""
    split = Tokeniser("jamo", ()).split
    assert split("한") == [chr(0x1112), chr(0x1161), chr(0x11AB)]
    assert split("하") == [chr(0x1112), chr(0x1161)]
    assert split("a한") == ["a", *split("한")]


def test_words_and_line_ends_come_back():
    text = "C4:2 | D4:1\nE4:1\n\nF4:2\n"
    for unit in ("words", "notes"):
        parts = Tokeniser(unit, ()).split(text)
        assert parts == ["C4:2", "|", "D4:1", END, "E4:1", END, END, "F4:2", END]
        tokeniser = Tokeniser(unit, (END, *sorted({*parts} - {END})))
        assert tokeniser.decode(tokeniser.encode(text)) == text


@pytest.mark.parametrize("unit", ["characters", "jamo", "pieces", "words"])
def test_what_has_no_token_is_named(unit):
    with pytest.raises(InputError, match=r"The model knows no '~': leave it out, or write with"):
        Tokeniser(unit, (END, " ", "a")).encode("a ~")
    assert Tokeniser(unit, (END, "a")).encode("").shape == (0,)


# Rows of a minibatch


@pytest.mark.parametrize("lines", [True, False])
def test_a_minibatch_is_made_of_rows_of_the_text_by_step_and_seed_alone(lines):
    half = text_set("poem", POEM, POEM, "characters", context=16, lines=lines).train
    torch.manual_seed(1)
    rows = half.batch(3, 400, seed=5).tokens
    torch.manual_seed(2)
    assert torch.equal(half.batch(3, 400, seed=5).tokens, rows)
    assert not torch.equal(half.batch(4, 400, seed=5).tokens, rows)
    assert not torch.equal(half.batch(3, 400, seed=6).tokens, rows)
    assert rows.shape == (400, 17)
    windows = {tuple(row) for row in half.tokens.unfold(0, 17, 1).tolist()}
    assert {tuple(row) for row in rows.tolist()} <= windows
    assert bool((rows[:, 0] == 0).all()) == lines


def test_the_first_and_the_last_row_of_a_text_are_drawn():
    half = text_set(
        "digits", "0123456789", "0123456789", "characters", context=8, lines=False
    ).train
    assert half.starts.tolist() == [0, 1, 2]
    firsts = half.batch(0, 100).tokens[:, 0]
    assert firsts.unique().tolist() == [0, 1, 2]


def test_a_list_is_known_by_its_short_lines():
    assert text_set("names", "Kim\n" * 99, "Lee\n" * 99, "characters").lines
    long = f"{'word ' * 20}\n"
    found = text_set("prose", long * 9, long * 9, "characters")
    assert (found.lines, found.context) == (False, 128)


# Shipped files


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A copy of the shipped texts."""
    shutil.copytree(data_folder() / "text", tmp_path / "data" / "text")
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "text"


def test_a_missing_or_altered_file_is_named_with_its_remedy(shipped):
    file = shipped / "names.test.txt"
    file.write_text(f"{file.read_text()}Mallory\n")
    with pytest.raises(InputError, match=r"names\.test\.txt is truncated or altered: restore it"):
        load_text("names")
    file.unlink()
    with pytest.raises(InputError, match=r"names\.test\.txt is missing: restore it"):
        load_text("names")


def test_a_packed_file_that_is_cut_off_is_named(shipped):
    file = shipped / "austen.train.txt.xz"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"austen\.train\.txt\.xz is truncated or altered"):
        load_text("austen")


def test_all_shipped_texts_are_lines_in_composed_form():
    folder = data_folder() / "text"
    assert {*FILES} == {file.name for file in folder.glob("*.txt*")}
    for name in FILES:
        content = (folder / name).read_bytes()
        text = (lzma.decompress(content) if name.endswith("xz") else content).decode()
        assert text.endswith(END)
        assert unicodedata.is_normalized("NFC", text)
        assert not {*text} & {"\t", "\r"}


# A file of the reader's own


def written(tmp_path, content: bytes | str) -> str:
    file = tmp_path / "own.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def test_the_last_tenth_of_a_file_is_for_testing(tmp_path):
    lines = [f"line {n}" for n in range(200)]
    found = load_text(written(tmp_path, END.join(lines)))
    assert found.train.text + found.test.text == END.join(lines) + END
    assert found.train.text.endswith(END)
    assert 0.85 < len(found.train.text) / len(found.train.text + found.test.text) < 0.95
    assert found.tokeniser.unit == "characters"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_of_other_systems_change_nothing(tmp_path, mark, end):
    expected = load_text(written(tmp_path, POEM))
    found = load_text(written(tmp_path, mark + POEM.replace(END, end).replace(" of ", "\tof ")))
    assert found.train.text == expected.train.text
    assert found.tokeniser == expected.tokeniser


def test_decomposed_text_is_that_of_composed_letters(tmp_path):
    """Some systems write Hangul and accents apart; what is typed as a prompt is composed."""
    text = "한국어와 café\n" * 60
    expected = load_text(written(tmp_path, text))
    found = load_text(written(tmp_path, unicodedata.normalize("NFD", text)))
    assert found.tokeniser == expected.tokeniser
    assert torch.equal(found.train.tokens, expected.train.tokens)
    assert torch.equal(found.tokeniser.encode("é"), found.tokeniser.encode("e\u0301"))


@pytest.mark.parametrize("unit", ["characters", "jamo", "pieces", "words"])
def test_every_unit_takes_what_only_the_last_tenth_has(tmp_path, unit):
    found = load_text(written(tmp_path, POEM * 3 + "Žofie\n"), unit, pieces=60, context=16)
    assert found.tokeniser.decode(found.test.tokens[1:]) == found.test.text


@pytest.mark.parametrize("content", ["", "\n\n", "too short", "x" * 200])
def test_a_file_that_is_too_short_is_named(tmp_path, content):
    with pytest.raises(InputError, match=r"own\.txt is too short: a part has \d+ tokens, and"):
        load_text(written(tmp_path, content))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x80" * 99, "caf\u00e9 ".encode("latin-1") * 99])
def test_a_file_that_is_no_utf_8_is_named(tmp_path, content):
    with pytest.raises(InputError, match=r"own\.txt cannot be read as UTF-8 text"):
        load_text(written(tmp_path, content))


def test_a_folder_or_a_place_without_file_is_named(tmp_path):
    with pytest.raises(InputError, match="is a folder: give a text file"):
        load_text(str(tmp_path))
    with pytest.raises(InputError, match=r"cannot be read .*give a text file, or one of names"):
        load_text(str(tmp_path / "gone.txt"))
