"""Words of sentences about people, in English, Korean, or both: split, number, and understand them.

What is defined for any text, whatever it holds:

- It is normalised (Unicode NFKC) and set in lower case. Words end at spaces, control characters,
  punctuation and other signs, and where Hangul meets other letters. A hyphen joins a known word
  (``t-shirt``) and separates others.
- A Korean word is split into the longest known words and the particles after them:
  ``빨간모자를`` is ``빨간``, ``모자``. Particles are left out. If there is no way, it is unknown.
- Words of VARIANTS are read as others: ``girl`` as ``person``, ``gray`` as ``grey``.
- Only the first MAX_WORDS words count, for ``encode`` and for ``parse``.
- ``encode`` leaves out words that are not known. A text without known words, such as an empty one,
  becomes the sentence that says nothing: the number NOTHING alone.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import torch
from jaxtyping import Int64
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.people import KINDS, NO_WORD, value_of

MAX_WORDS = 40
PAD, NOTHING = 0, 1
"""Numbers that no word has: what fills a sentence up, and the sentence that says nothing."""
CHARACTER = ("momo", "모모")
"""The name of the character, in English and Korean. No caption holds it: a new word to learn."""
MOST_NAMED = 8  # unknown words in a sentence to the reader
LONGEST_WORD = 30  # letters; longer ones are unknown

Values = tuple[tuple[str, str], ...]
"""What words name: pairs of kind and value."""

# Adjectives: what a word says of each noun. A noun is one of these five.
NOUNS = ("background", "skin", "hair", "hat", "clothes")
_TAKES = {"background": "background", "skin": "skin"}
_TAKES |= {"hair": "hair colour", "hat": "hat colour", "clothes": "outfit colour"}
_COLOURS = {  # every word that says a colour
    "red": "red|빨간|빨간색",
    "orange": "orange|주황색",
    "yellow": "yellow|노란|노란색",
    "green": "green|초록색|초록|녹색",
    "blue": "blue|파란|파란색",
    "purple": "purple|violet|보라색",
    "pink": "pink|분홍색",
    "black": "black|검은|검은색|검정",
    "white": "white|하얀|흰|흰색",
    "grey": "grey|회색",
    "brown": "brown|갈색",
    "blond": "blond|금발",
}
_ADJECTIVES = {  # those that are no colours or are for one noun alone
    "sky blue|light blue|하늘색": {"background": ("background", "blue")},
    "light green|연두색": {"background": ("background", "green")},
    "light|fair|밝은": {"skin": ("skin", "light")},
    "tan|tanned|구릿빛": {"skin": ("skin", "tan")},
    "dark|어두운|짙은": {"skin": ("skin", "dark")},
    "short|짧은": {"hair": ("hair", "short")},
    "spiky|뾰족한": {"hair": ("hair", "spiky")},
    "curly": {"hair": ("hair", "curly")},
    "long|긴": {"hair": ("hair", "long")},
    "braided|땋은": {"hair": ("hair", "braids")},
    "striped|줄무늬": {"clothes": ("outfit", "striped shirt")},
}
_NOUNS: dict[str, dict[str, Values]] = {
    "background": {"background|backdrop|배경": ()},
    "skin": {"skin|피부": ()},
    "hair": {
        "hair|머리": (),
        "curls|곱슬 머리": (("hair", "curly"),),
        "mohawk|모히칸|모히칸 머리": (("hair", "mohawk"),),
        "buns|hair in two buns|만두 머리|당고 머리": (("hair", "buns"),),
        "topknot|top bun|똥 머리": (("hair", "topknot"),),
        "bowl cut|바가지 머리": (("hair", "bowl cut"),),
        "bob|단발|단발 머리": (("hair", "bob"),),
        "braids|hair in braids": (("hair", "braids"),),
        "pigtails|hair in pigtails|양갈래 머리": (("hair", "pigtails"),),
    },
    "hat": {
        "hat|모자": (),
        "cap|baseball cap|야구 모자|캡 모자": (("hat", "cap"),),
        "beanie|woolly hat|비니|털 모자": (("hat", "beanie"),),
        "bunny hat|rabbit hat|토끼 모자|토끼 귀 모자": (("hat", "bunny hat"),),
    },
    "clothes": {
        "clothes|outfit|옷": (),
        "t-shirt|shirt|티셔츠|셔츠": (("outfit", "T-shirt"),),
        "shirt and tie|shirt with a tie|tie|셔츠 넥타이|넥타이": (("outfit", "tie"),),
        "hoodie|후드티": (("outfit", "hoodie"),),
        "jacket|재킷": (("outfit", "jacket"),),
        "coat|코트": (("outfit", "coat"),),
        "dress|원피스|드레스": (("outfit", "dress"),),
        "overalls|dungarees|멜빵 바지": (("outfit", "overalls"),),
    },
}
_BARE = (("hat", "none"),)
_CLEAR = (("glasses", "none"),)
_FIXED: dict[str, Values] = {  # what takes no adjective
    "sunglasses|선글라스": (("glasses", "sunglasses"),),
    "glasses|안경": (("glasses", "glasses"),),
    "goggles|고글": (("glasses", "goggles"),),
    "without a hat|without hat|no hat|모자 쓰지 않고|모자 쓰지 않은|모자 없이": _BARE,
    "without glasses|no glasses|안경 쓰지 않고|안경 쓰지 않은|안경 없이": _CLEAR,
    "without a hat or glasses|no hat or glasses|모자 안경 쓰지 않고": _BARE + _CLEAR,
    "모자 안경 쓰지 않은|모자 안경 없이": _BARE + _CLEAR,
}
_OTHER = (
    "a|an|and|with|wearing|in|on|of|front|person|someone|figure|picture|drawing|"
    "사람|인물|캐릭터|그림|쓰고|쓴|끼고|낀|입고|입은|하고|한|매고|맨|쓰지|않고|않은"
)
_READ_AS = {  # words that no caption holds, and those that are read in their place
    "person": "man|men|woman|women|boy|girl|guy|kid|child|lady|character",
    "사람": "남자|여자|소년|소녀|아이|남성|여성",
    "": "the|who|is|are|his|her|their|has|wears|dressed",
    "t-shirt": "tshirt|tee",
    "hoodie": "hoody",
    "blond": "blonde",
    "grey": "gray",
    "someone": "somebody",
    "picture": "image",
    "빨간": "빨강",
    "노란": "노랑",
    "파란": "파랑",
    "하얀": "하양",
    "흰색": "하얀색",
    "주황색": "주황",
    "보라색": "보라",
    "분홍색": "분홍|핑크|핑크색",
    "검은": "까만",
    "검은색": "검정색",
    "머리": "머리카락",
    "재킷": "자켓",
    "후드티": "후드",
}
VARIANTS = {word: read for read, words in _READ_AS.items() for word in words.split("|")}
"""The pictures show no man or woman, so such words say ``person``; some words are left out."""
_PARTICLES = (
    "을",
    "를",
    "이",
    "가",
    "은",
    "는",
    "의",
    "에",
    "에서",
    "와",
    "과",
    "로",
    "으로",
    "도",
    "인",
)


@dataclass(frozen=True)
class _Entry:
    """A phrase of the lexicon."""

    values: Values = ()
    noun: str = ""
    """Which noun it is, or none of them."""
    adjective: dict[str, tuple[str, str]] | None = None
    """For an adjective: what it says of each noun."""


def _lexicon() -> dict[tuple[str, ...], _Entry]:
    """Every phrase that has a meaning."""
    entries: dict[str, _Entry] = {word: _Entry() for word in _OTHER.split("|")}
    for colour, words in _COLOURS.items():
        says = {n: (k, colour) for n, k in _TAKES.items() if colour in KINDS[k]}
        entries |= {word: _Entry(adjective=says) for word in words.split("|")}
    for phrases, says in _ADJECTIVES.items():
        entries |= {phrase: _Entry(adjective=says) for phrase in phrases.split("|")}
    for noun, group in _NOUNS.items():
        for phrases, values in group.items():
            entries |= {phrase: _Entry(values, noun) for phrase in phrases.split("|")}
    for phrases, values in _FIXED.items():
        entries |= {phrase: _Entry(values) for phrase in phrases.split("|")}
    return {tuple(phrase.split()): entry for phrase, entry in entries.items()}


LEXICON = _lexicon()
_LONGEST = max(map(len, LEXICON))
VOCABULARY = ("<pad>", "<nothing>", *CHARACTER, *sorted({w for p in LEXICON for w in p}))
"""Every known word; its place is its number. The first two stand for PAD and NOTHING."""
NUMBERS = {word: n for n, word in enumerate(VOCABULARY)}
_KNOWN = {**dict(zip(VOCABULARY[2:], VOCABULARY[2:], strict=True)), **VARIANTS}
_WORD = re.compile(r"[가-힣]+|[^\W_가-힣]+(?:-[^\W_가-힣]+)*")


def split_words(text: str) -> list[str]:
    """The first MAX_WORDS words of a text, known or not, without Korean particles.

    >>> split_words("빨간모자를 쓴 person, in a T-shirt!")
    ['빨간', '모자', '쓴', 'person', 'in', 'a', 't-shirt']
    """
    return list(islice(_words(text), MAX_WORDS))


def _words(text: str) -> Iterator[str]:
    normal = unicodedata.normalize("NFKC", text).lower()
    for match in _WORD.finditer(normal):
        word = match.group()
        if word in _KNOWN:
            parts: Sequence[str] = [word]
        else:
            parts = _stems(word) if "가" <= word[0] <= "힣" else word.split("-")
        yield from filter(None, (_KNOWN.get(part, part) for part in parts))


@lru_cache(maxsize=4096)
def _stems(word: str) -> tuple[str, ...]:
    """Split a Korean word into known words, without the particles after them.

    The longest possible first word is tried first; the word itself, if there is no way.
    """
    if len(word) > LONGEST_WORD:
        return (word,)
    after: list[tuple[str, ...] | None] = [None] * len(word) + [()]  # ways to split word[n:]
    for start in reversed(range(len(word))):
        for end in range(len(word), start, -1):
            rest = after[end]
            if rest is None:
                continue
            if word[start:end] in _KNOWN:
                after[start] = (word[start:end], *rest)
                break
            if start and word[start:end] in _PARTICLES:
                after[start] = rest
                break
    return after[0] or (word,)


def encode(texts: Sequence[str], length: int = MAX_WORDS) -> Int64[Tensor, "n {length}"]:
    """The numbers of the known words of each text, or NOTHING if there are none; then PAD.

    Args:
        texts: any texts; what happens to each is said at the beginning of this module.
        length: of every row, at most MAX_WORDS; later words are left out.
    """
    numbers = torch.full((len(texts), length), PAD)
    for row, text in enumerate(texts):
        found = [NUMBERS[word] for word in split_words(text) if word in NUMBERS] or [NOTHING]
        numbers[row, : len(found)] = torch.tensor(found[:length])
    return numbers


def nothing(sentences: Int64[Tensor, "n words"]) -> Int64[Tensor, "n words"]:
    """As many sentences of the same length that say nothing."""
    empty = torch.full_like(sentences, PAD)
    empty[:, 0] = NOTHING
    return empty


def check_prompts(prompts: Sequence[str]) -> None:
    """Raise an InputError, which offers known words, if a prompt has no word that is known."""
    for prompt, (first, *_) in zip(prompts, encode(prompts).tolist(), strict=True):
        if first == NOTHING:
            offer = unknown_words([prompt]) or "Say for example: a red hat, long hair, 안경."
            raise InputError(f"The prompt {_shortened(prompt)!r} has no word that I know. {offer}")


def unknown_words(prompts: Sequence[str]) -> str:
    """One sentence that names the unknown words and known ones like them; "" if there are none."""
    read = dict.fromkeys(word for prompt in prompts for word in split_words(prompt))
    words = [word for word in read if word not in NUMBERS and word not in _PARTICLES]
    offers = [f"{_shortened(word)}{_offer(_like(word))}" for word in words[:MOST_NAMED]]
    more = f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return f"Words that the model does not know: {', '.join(offers)}{more}." if words else ""


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_WORD else text[:LONGEST_WORD] + "…"


def _offer(known: Sequence[str]) -> str:
    return f" (perhaps {' or '.join(known)})" if known else ""


@dataclass(frozen=True)
class Parsed:
    """What a sentence names, and which of its words do not help."""

    named: dict[str, str]
    """Values by kind. If a sentence names two values of a kind, the later one counts."""
    unknown: dict[str, tuple[str, ...]]
    """Words that are not known, and for each up to three known words that are spelt like it."""
    loose: tuple[str, ...]
    """Adjectives without a noun that they could describe, such as red in "red glasses"."""

    @property
    def attributes(self) -> Int64[Tensor, "kinds"]:
        """The index of every named value; NO_WORD for the other kinds."""
        return torch.tensor(
            [value_of(k, self.named[k]) if k in self.named else NO_WORD for k in KINDS]
        )


def parse(text: str) -> Parsed:
    """Say which values a sentence names, in English, Korean, or both.

    An adjective describes the next noun: hair, skin, background, a hat or clothes.

    >>> parse("a red hat, 긴 검은 머리").named
    {'hat colour': 'red', 'hair': 'long', 'hair colour': 'black'}
    """
    words = split_words(text)
    named: dict[str, str] = {}
    waiting: list[tuple[str, dict[str, tuple[str, str]]]] = []
    loose: list[str] = []
    for phrase, entry in _phrases(words):
        if entry.adjective is not None:
            waiting.append((phrase, entry.adjective))
            continue
        values = list(entry.values)
        if entry.noun:
            values += [says[entry.noun] for _, says in waiting if entry.noun in says]
            loose += [word for word, says in waiting if entry.noun not in says]
        if entry.noun or entry.values:
            loose += [] if entry.noun else [word for word, _ in waiting]
            waiting = []
        for kind, value in values:
            _name(named, kind, value)
    unknown = {word: _like(word) for word in words if word not in NUMBERS}
    return Parsed(named, unknown, (*loose, *(word for word, _ in waiting)))


def _phrases(words: list[str]) -> Iterator[tuple[str, _Entry]]:
    """The longest phrases of the lexicon, from the left; other words are skipped."""
    place = 0
    while place < len(words):
        for length in range(min(_LONGEST, len(words) - place), 0, -1):
            phrase = tuple(words[place : place + length])
            if phrase in LEXICON:
                yield " ".join(phrase), LEXICON[phrase]
                break
        place += length


def _name(named: dict[str, str], kind: str, value: str) -> None:
    """Note a value; a hat and no hat exclude each other, and the later one counts."""
    if kind in ("hat", "hat colour"):
        if value == "none":
            named.pop("hat colour", None)
        elif named.get("hat") == "none":
            del named["hat"]
    named[kind] = value


@lru_cache(maxsize=1024)
def _like(word: str) -> tuple[str, ...]:
    """Up to three known words that are spelt alike; Hangul is compared by its letters."""
    if len(word) > LONGEST_WORD:
        return ()
    stem = word[:-1] if len(word) > 2 and word[-1] in _PARTICLES else word
    letters = {unicodedata.normalize("NFD", known): known for known in _KNOWN if _KNOWN[known]}
    close = difflib.get_close_matches(unicodedata.normalize("NFD", stem), letters, n=3)
    return tuple(dict.fromkeys(_KNOWN[letters[spelling]] for spelling in close))
