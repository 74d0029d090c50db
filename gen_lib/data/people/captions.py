"""Sentences about people, in English and Korean, drawn anew whenever they are asked for.

A sentence names some of the attributes of a picture, in varied order and with synonyms:

    a person with long black hair, wearing a green cap and a red hoodie, on a sky blue background
    초록색 야구 모자를 쓰고 빨간 후드티를 입은 긴 검은 머리의 사람, 하늘색 배경

``gen_lib.data.people.words.parse`` finds exactly the attributes that a sentence names.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from gen_lib import InputError
from gen_lib.data.people import KINDS, NO_WORD

LANGUAGES = ("en", "ko")
ABSENT = 0.2
"""How often "no hat" or "no glasses" is named, compared with a hat or glasses."""
_NUMBERS = 48  # random numbers for each sentence, at most
_KIND = {kind: place for place, kind in enumerate(KINDS)}
T = TypeVar("T")
Named = dict[str, str]  # the values that a sentence has to name, by kind


class Captions(NamedTuple):
    """Sentences, and which kinds each of them names."""

    texts: list[str]
    named: Bool[Tensor, "n kinds"]


class _Dice:
    """Random numbers in [0, 1), and choices made with them."""

    def __init__(self, numbers: Sequence[float]):
        self.left: Iterator[float] = iter(numbers)

    def __call__(self, chance: float) -> bool:
        """True with this probability."""
        return next(self.left) < chance

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, each as likely as the others."""
        return choices[int(next(self.left) * len(choices))]

    def say(self, words: str) -> str:
        """One of the words between bars."""
        return self.pick(words.split("|"))

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order."""
        left = list(items)
        return [left.pop(int(next(self.left) * len(left))) for _ in items]


def captions(
    attributes: Int64[Tensor, "n kinds"],
    language: str,
    rng: torch.Generator,
    least: float = 0.3,
) -> Captions:
    """Draw one sentence for each row of attributes (some 10,000 a second on a free core).

    Each sentence has a share of its own, drawn from ``least`` to 1, and names each kind with that
    probability; absent hats and glasses with ABSENT times that. It never names a kind whose
    attribute is NO_WORD, nor the colour of an absent hat. It may name nothing: "a person".

    Args:
        attributes: indices into the values of KINDS, or NO_WORD.
        language: ``en``, ``ko``, or ``both`` to draw the language of each sentence.
        rng: source of all choices.
        least: in [0, 1]; 1 names everything that is present.

    Raises:
        InputError: the language is unknown, ``least`` is not in [0, 1], or an attribute is not the
            index of a value.
    """
    _check(attributes, language, least)
    numbers = torch.rand(len(attributes), _NUMBERS, generator=rng).tolist()
    texts, named = [], torch.zeros(attributes.shape, dtype=torch.bool)
    for row, (indices, line) in enumerate(zip(attributes.tolist(), numbers, strict=True)):
        dice = _Dice(line)
        spoken = LANGUAGES[dice(0.5)] if language == "both" else language
        values = _choose(indices, least, dice)
        named[row, [_KIND[kind] for kind in values]] = True
        texts.append((_english if spoken == "en" else _korean)(values, dice))
    return Captions(texts, named)


def _check(attributes: Int64[Tensor, "n kinds"], language: str, least: float) -> None:
    if language not in (*LANGUAGES, "both"):
        raise InputError(f"There is no language {language!r}: choose one of en, ko, both.")
    if not 0 <= least <= 1:
        raise InputError(f"least is {least}: it is a share, from 0 to 1.")
    if attributes.shape[1] != len(KINDS):
        raise InputError(f"attributes has {attributes.shape[1]} columns, not {len(KINDS)}.")
    sizes = torch.tensor([len(values) for values in KINDS.values()])
    if ((attributes < NO_WORD) | (attributes >= sizes)).any():
        raise InputError("attributes holds a number that is not the index of a value in KINDS.")


def _choose(indices: list[int], least: float, dice: _Dice) -> Named:
    """The values that a sentence will name."""
    share = least + (1 - least) * next(dice.left)
    values: Named = {}
    for (kind, known), index in zip(KINDS.items(), indices, strict=True):
        chance = next(dice.left)
        if index == NO_WORD or (kind == "hat colour" and known[index] == "none"):
            continue
        if chance < share * (ABSENT if known[index] == "none" else 1):
            values[kind] = known[index]
    return values


# English

_EN_ABSENT = {"hat": "a hat", "glasses": "glasses"}
_EN_START = "a person|a person|someone|a figure|a picture of a person|a drawing of a person"
_EN_COLOUR = {"purple": "purple|violet"}
_EN_BACKGROUND = {"blue": "blue|sky blue|light blue", "green": "green|light green"}
_EN_SKIN = {"light": "light|fair", "tan": "tan|tanned", "brown": "brown", "dark": "dark"}
_EN_HAIR = {  # # stands for the colour
    "": "# hair",
    "short": "short # hair",
    "spiky": "spiky # hair",
    "curly": "curly # hair|# curls",
    "mohawk": "a # mohawk",
    "buns": "# buns|# hair in two buns",
    "topknot": "a # topknot|a # top bun",
    "bowl cut": "a # bowl cut",
    "bob": "a # bob",
    "long": "long # hair",
    "braids": "# braids|braided # hair|# hair in braids",
    "pigtails": "# pigtails|# hair in pigtails",
}
_EN_HAT = {
    "": "a # hat",
    "cap": "a # cap|a # baseball cap",
    "beanie": "a # beanie|a # woolly hat",
    "bunny hat": "a # bunny hat|a # rabbit hat",
}
_EN_OUTFIT = {
    "": "# clothes|a # outfit",
    "T-shirt": "a # T-shirt",
    "striped shirt": "a # striped shirt|a striped # shirt",
    "tie": "a # shirt and tie|a # shirt with a tie",
    "hoodie": "a # hoodie",
    "jacket": "a # jacket",
    "coat": "a # coat",
    "dress": "a # dress",
    "overalls": "# overalls|# dungarees",
}


def _english(values: Named, dice: _Dice) -> str:
    """A sentence such as "a person with fair skin, wearing a red cap, on a white background"."""
    looks, worn = dice.shuffled(_en_looks(values, dice)), dice.shuffled(_en_worn(values, dice))
    parts = []
    if looks:
        parts.append(f"with {_en_list(looks)}")
    if worn:
        only_clothes = len(worn) == 1 and ("outfit" in values or "outfit colour" in values)
        parts.append(f"{dice.say('wearing|in') if only_clothes else 'wearing'} {_en_list(worn)}")
    parts = dice.shuffled(parts)
    absent = [_EN_ABSENT[kind] for kind in _EN_ABSENT if values.get(kind) == "none"]
    if absent:
        word = dice.say("without|no") if parts else "without"
        parts.append(f"{word} {' or '.join(absent)}".replace("no a ", "no "))
    start = dice.say(_EN_START)
    if "background" in values:
        value = values["background"]
        colour = dice.say(_EN_BACKGROUND.get(value, _en_colour(value)))
        place = f"{colour} {dice.say('background|background|backdrop')}"
        if dice(0.25):
            start = f"{place}, {start}"
        else:
            parts.append(f"{dice.say('on|in front of')} {_en_article(f'a {place}')}")
    return ", ".join([" ".join([start, *parts[:1]]), *parts[1:]])


def _en_looks(values: Named, dice: _Dice) -> list[str]:
    """What nouns say about skin and hair."""
    looks = []
    if "skin" in values:
        looks.append(f"{dice.say(_EN_SKIN[values['skin']])} skin")
    if "hair" in values or "hair colour" in values:
        looks.append(_en_phrase(_EN_HAIR, values.get("hair", ""), values.get("hair colour"), dice))
    return looks


def _en_worn(values: Named, dice: _Dice) -> list[str]:
    """What nouns say about hat, outfit and glasses, unless there are none."""
    worn = []
    if values.get("hat", "") != "none" and ("hat" in values or "hat colour" in values):
        worn.append(_en_phrase(_EN_HAT, values.get("hat", ""), values.get("hat colour"), dice))
    if "outfit" in values or "outfit colour" in values:
        colour = values.get("outfit colour")
        worn.append(_en_phrase(_EN_OUTFIT, values.get("outfit", ""), colour, dice))
    if values.get("glasses", "none") != "none":
        worn.append(values["glasses"])
    return worn


def _en_phrase(forms: dict[str, str], value: str, colour: str | None, dice: _Dice) -> str:
    """A noun with its colour, or without one, and the right article."""
    said = dice.say(_en_colour(colour)) + " " if colour else ""
    return _en_article(dice.say(forms[value]).replace("# ", said))


def _en_colour(colour: str) -> str:
    return _EN_COLOUR.get(colour, colour)


def _en_article(phrase: str) -> str:
    """The phrase with "an" before a vowel."""
    vowel = phrase.startswith("a ") and phrase[2] in "aeiou"
    return f"an {phrase[2:]}" if vowel else phrase


def _en_list(items: list[str]) -> str:
    """Items joined as "x, y and z"."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else items[0]


# Korean

_KO_COLOUR = {
    "red": "빨간|빨간색",
    "orange": "주황색",
    "yellow": "노란|노란색",
    "green": "초록색|초록|녹색",
    "blue": "파란|파란색",
    "purple": "보라색",
    "pink": "분홍색",
    "black": "검은|검은색|검정",
    "white": "하얀|흰|흰색",
    "grey": "회색",
    "brown": "갈색",
    "blond": "금발",
}
_KO_BACKGROUND = {"blue": "하늘색|하늘색|파란색", "green": "연두색|초록색"}
_KO_SKIN = {"light": "밝은", "tan": "구릿빛", "brown": "갈색", "dark": "어두운|짙은"}
_KO_HAIR_COLOUR = {"black": "검은", "white": "하얀|흰", "red": "빨간", "green": "초록색"}
_KO_HAIR = {
    "": "# 머리",
    "short": "짧은 # 머리",
    "spiky": "뾰족한 # 머리",
    "curly": "# 곱슬머리",
    "mohawk": "# 모히칸 머리|# 모히칸",
    "buns": "# 만두머리|# 당고머리",
    "topknot": "# 똥머리",
    "bowl cut": "# 바가지머리",
    "bob": "# 단발머리|# 단발",
    "long": "긴 # 머리",
    "braids": "땋은 # 머리",
    "pigtails": "# 양갈래 머리",
}
_KO_HAT = {
    "": "# 모자",
    "cap": "# 야구 모자|# 캡 모자",
    "beanie": "# 비니|# 털모자",
    "bunny hat": "# 토끼 모자|# 토끼 귀 모자",
}
_KO_OUTFIT = {
    "": "# 옷",
    "T-shirt": "# 티셔츠",
    "striped shirt": "# 줄무늬 티셔츠|# 줄무늬 셔츠",
    "tie": "# 셔츠에 넥타이",
    "hoodie": "# 후드티",
    "jacket": "# 재킷",
    "coat": "# 코트",
    "dress": "# 원피스|# 드레스",
    "overalls": "# 멜빵바지",
}
_KO_ABSENT = {"hat": "모자", "glasses": "안경"}
_KO_GLASSES = {"glasses": "안경", "sunglasses": "선글라스", "goggles": "고글"}


class _Clause(NamedTuple):
    """One clause in its three forms."""

    joined: str
    """Before another clause: "긴 머리를 하고"."""
    closed: str
    """Before the noun, or before a last clause that ends in 의: "긴 머리를 한"."""
    last: str
    """Directly before the noun: "긴 머리의" or as ``closed``."""


def _korean(values: Named, dice: _Dice) -> str:
    """A sentence such as "빨간 모자를 쓰고 파란 코트를 입은 사람, 흰색 배경"."""
    clauses = dice.shuffled(_ko_clauses(values, dice))
    if "skin" in values:
        skin = f"{dice.say(_KO_SKIN[values['skin']])} 피부"
        clause = _Clause(f"{skin}에", f"{skin}의", f"{skin}의")
        clauses = [clause, *clauses] if dice(0.5) else [*clauses, clause]
    said = [clause.joined for clause in clauses[:-1]] + [clause.last for clause in clauses[-1:]]
    if len(said) > 1 and said[-1].endswith("의"):
        said[-2] = clauses[-2].closed
    noun = dice.say("사람|사람|사람|인물|캐릭터") + (" 그림" if dice(0.15) else "")
    person = " ".join([*said, noun])
    if "background" not in values:
        return person
    usual = _KO_COLOUR[values["background"]]
    colour = dice.say(_KO_BACKGROUND.get(values["background"], usual))
    return f"{colour} 배경, {person}" if dice(0.25) else f"{person}, {colour} 배경"


def _ko_clauses(values: Named, dice: _Dice) -> list[_Clause]:
    """What verbs say about hair, hat, glasses and outfit; a hat and glasses may share a verb."""
    clauses = []
    if "hair" in values or "hair colour" in values:
        colour = values.get("hair colour", "")
        words = _KO_HAIR_COLOUR.get(colour) or _KO_COLOUR.get(colour, "")
        hair = _ko_phrase(_KO_HAIR, values.get("hair", ""), words, dice)
        clause = _ko_verb(_ko(hair, "을를"), "하고", "한")
        clauses.append(clause._replace(last=f"{hair}의") if dice(0.5) else clause)
    clauses += _ko_head(values, dice)
    if "outfit" in values or "outfit colour" in values:
        colour = _KO_COLOUR.get(values.get("outfit colour", ""), "")
        outfit = _ko(_ko_phrase(_KO_OUTFIT, values.get("outfit", ""), colour, dice), "을를")
        joined, closed = ("매고", "맨") if values.get("outfit") == "tie" else ("입고", "입은")
        clauses.append(_ko_verb(outfit, joined, closed))
    return clauses


def _ko_head(values: Named, dice: _Dice) -> list[_Clause]:
    """Clauses about hat and glasses, present or absent."""
    hat, glasses, clauses = "", "", []
    absent = [_KO_ABSENT[kind] for kind in _KO_ABSENT if values.get(kind) == "none"]
    if values.get("hat", "") != "none" and ("hat" in values or "hat colour" in values):
        colour = _KO_COLOUR.get(values.get("hat colour", ""), "")
        hat = _ko_phrase(_KO_HAT, values.get("hat", ""), colour, dice)
    if values.get("glasses", "none") != "none":
        glasses = _KO_GLASSES[values["glasses"]]
    if hat and glasses and dice(0.5):
        hat, glasses = f"{_ko(hat, '과와')} {glasses}", ""
    if hat:
        clauses.append(_ko_verb(_ko(hat, "을를"), "쓰고", "쓴"))
    if glasses:
        joined, closed = dice.pick((("쓰고", "쓴"), ("끼고", "낀")))
        clauses.append(_ko_verb(_ko(glasses, "을를"), joined, closed))
    if absent:
        nouns = " ".join([_ko(noun, "과와") for noun in absent[:-1]] + absent[-1:])
        clause = _ko_verb(_ko(nouns, "을를"), "쓰지 않고", "쓰지 않은")
        clauses.append(clause._replace(joined=f"{nouns} 없이") if dice(0.5) else clause)
    return clauses


def _ko_verb(noun: str, joined: str, closed: str) -> _Clause:
    return _Clause(f"{noun} {joined}", f"{noun} {closed}", f"{noun} {closed}")


def _ko_phrase(forms: dict[str, str], value: str, colours: str, dice: _Dice) -> str:
    """A noun with its colour, or without one."""
    said = dice.say(colours) + " " if colours else ""
    return dice.say(forms[value]).replace("# ", said)


def _ko(noun: str, particles: str) -> str:
    """The noun and the particle that fits: the first after a final consonant, else the second."""
    return noun + particles[(ord(noun[-1]) - ord("가")) % 28 == 0]
