"""Obedience: shares of named values that are seen, and sentences that name what they should."""

import math

import pytest
import torch

from gen_lib.data.people import HELD_OUT, KINDS, NO_WORD, load_people, shows
from gen_lib.data.people.words import encode, parse
from gen_lib.metrics import obedience as measure
from gen_lib.metrics.obedience import ask, draw, obedience, obedience_rows
from gen_lib.models import TextToImage
from gen_lib.models.attribute_judge import AttributeJudge
from gen_lib.training.checkpoints import load_pretrained

N = len(KINDS)


def small() -> TextToImage:
    torch.manual_seed(0)
    return TextToImage((3, 16, 16), width=8, blocks=1).eval()


def test_obedience_of_a_case_worked_out_by_hand():
    seen = torch.tensor([[0, 1, 2], [0, 2, 2], [3, 2, 0]])
    named = torch.tensor([[0, 1, -1], [1, 2, -1], [3, 1, -1]])
    found = obedience(seen, named).tolist()
    assert found[:2] == pytest.approx([2 / 3, 2 / 3])
    assert math.isnan(found[2])  # nothing of this kind was named
    assert found[3] == pytest.approx(4 / 6)


def test_all_kinds_together_are_weighted_by_how_often_they_are_named():
    seen = torch.tensor([[0, 1], [0, 9], [0, 9], [0, 9]])
    named = torch.tensor([[0, 1], [0, -1], [0, -1], [1, -1]])
    assert obedience(seen, named).tolist() == pytest.approx([3 / 4, 1, 4 / 5])


def test_what_has_no_word_is_not_counted_even_if_the_judge_agrees():
    nothing = torch.full((2, 2), NO_WORD)
    assert obedience(nothing, nothing).isnan().all()


def test_the_order_of_pictures_does_not_matter(rng):
    seen, named = (torch.randint(-1, 3, (50, N), generator=rng) for _ in range(2))
    order = torch.randperm(50, generator=rng)
    assert torch.equal(obedience(seen[order], named[order]), obedience(seen, named))
    assert obedience(named, named).tolist() == [1] * (N + 1)


# Sentences


@pytest.mark.parametrize("split", ["test", "held_out"])
@pytest.mark.parametrize("language", ["en", "ko", "both"])
def test_sentences_name_values_of_the_people_they_are_about(split, language):
    people = getattr(load_people(), split)
    texts, named, who = ask(people, 60, language=language)
    assert (len(texts), named.shape, who.shape) == (60, (60, N), (60,))
    assert (named != NO_WORD).any(dim=1).all()
    assert torch.equal(named, torch.stack([parse(text).attributes for text in texts]))
    shown = people.attributes[who]
    assert (shown[named != NO_WORD] == named[named != NO_WORD]).all()


def test_every_sentence_about_held_out_people_names_a_pair():
    named = ask(load_people().held_out, 200).named
    pairs = torch.stack([shows(named, *pair) for pair in HELD_OUT])
    assert pairs.any(dim=0).all()
    assert pairs.any(dim=1).all()  # each of the seven is asked for
    seen = ask(load_people().test, 200).named
    assert not torch.stack([shows(seen, *pair) for pair in HELD_OUT]).any()


def test_nobody_is_asked_for_again_before_all_were():
    people = load_people().test
    who = ask(people, 300).people
    assert len(who.unique()) == 300


def test_more_sentences_than_people_can_be_asked():
    people = load_people().held_out
    assert len(ask(people, 2 * len(people)).texts) == 2 * len(people)


def test_the_seed_repeats_sentences_and_fewer_are_the_first_of_more():
    people = load_people().test
    first, again, other, few = (ask(people, *given) for given in ((40,), (40,), (40, 1), (15,)))
    assert first.texts == again.texts != other.texts
    assert torch.equal(first.people, again.people)
    assert few.texts == first.texts[:15]
    assert torch.equal(few.named, first.named[:15])


# Pictures


def test_a_picture_is_drawn_for_each_sentence_with_the_seed_and_the_guidance():
    model, texts = small(), ["a red hat", "빨간 모자", "someone"]
    torch.nn.init.normal_(model.net.out[-1].weight, std=0.1)
    y = draw(model, texts, seed=3, guidance=1.0)
    rng = torch.Generator().manual_seed(3)
    assert torch.equal(y, model.sample(3, rng, labels=encode(texts), guidance=1.0))
    assert torch.equal(draw(model, texts, seed=3, guidance=1.0), y)
    assert not torch.equal(draw(model, texts, seed=4, guidance=1.0), y)
    assert not torch.equal(draw(model, texts, seed=3, guidance=2.0), y)


class Remembers:
    """A judge that knows the real pictures by heart and takes all others for one person."""

    def __init__(self):
        people = load_people()
        self.known = {
            image.numpy().tobytes(): row
            for split in (people.test, people.held_out)
            for image, row in zip(split.x, split.attributes, strict=True)
        }

    def attributes(self, x):
        other = torch.zeros(N, dtype=torch.int64)
        return torch.stack([self.known.get(image.numpy().tobytes(), other) for image in x])


def test_rows_stand_beside_real_pictures_and_the_most_common_person(monkeypatch):
    monkeypatch.setattr(measure, "load_pretrained", lambda name, kind: Remembers())
    monkeypatch.setattr(measure, "draw", lambda model, texts: torch.zeros(len(texts), 3, 48, 48))
    rows = {row.name: row for row in obedience_rows(small(), 100)}
    names = ("obedience", "obedience_unseen")
    assert list(rows) == [n for name in names for n in (name, *(f"{name}: {k}" for k in KINDS))]
    for name, split in zip(names, (load_people().test, load_people().held_out), strict=True):
        asked, beside = ask(split, 100).named, rows[name].beside
        assert beside["real"] == 1
        said = asked != NO_WORD
        assert rows[name].value == pytest.approx((((asked == 0) & said).sum() / said.sum()).item())
        train = load_people().train.attributes
        common = torch.tensor([of[of >= 0].bincount().argmax() for of in train.T])
        expected = ((asked == common) & said).sum() / said.sum()
        assert beside["one_person"] == pytest.approx(expected.item())
        assert beside["one_person"] < 0.5


# The shipped weights


@pytest.mark.slow
def test_the_shipped_model_does_what_sentences_ask():
    rows = {r.name: r for r in obedience_rows(load_pretrained("text-to-image", TextToImage), 60)}
    for name in ("obedience", "obedience_unseen"):
        assert rows[name].beside["one_person"] < 0.5
        assert rows[name].beside["real"] == 1
        assert rows[name].value > 0.95


def test_the_shipped_judge_sees_what_sentences_about_real_people_name():
    judge, people = load_pretrained(measure.PEOPLE_JUDGE, AttributeJudge), load_people()
    for split in (people.test, people.held_out):
        asked = ask(split, 300)
        assert obedience(judge.attributes(split.x[asked.people]), asked.named).min() > 0.99
