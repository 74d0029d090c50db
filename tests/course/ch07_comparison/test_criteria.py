"""Comparing the families: figures computed by hand, the order of scores, rankings by weight."""

import math

import pytest
import torch

from gen_course.ch07_comparison.criteria import (
    AGAINST,
    CRITERIA,
    HOLDS,
    OPEN,
    UNKNOWN,
    USUAL,
    Reading,
    advised,
    at,
    beats,
    budgets,
    fullest,
    overall,
    places,
    ranking,
    scores,
    spelled,
    summary,
    values,
    verdict,
)
from gen_lib import InputError
from gen_lib.models.base import Reconstructs
from gen_lib.models.mixture import CodeMixture


def run(family, seed, **figures):
    return {"family": family, "seed": str(seed)} | {k: str(v) for k, v in figures.items()}


ROWS = [
    run("slow", 0, frechet=1.0, precision=0.9, recall=0.6, seconds_1000=20.0),
    run("slow", 1, frechet=1.1, precision=0.8, recall=0.8, seconds_1000=20.0),
    run("fast", 0, frechet=2.0, precision=0.6, recall=0.5, seconds_1000=0.2),
    run("fast", 1, frechet=4.0, precision=0.6, recall=0.4, seconds_1000=0.2),
    run("real images", "", frechet=0.01, precision=1.0, recall=1.0, seconds_1000=""),
]
NOTHING = dict.fromkeys(CRITERIA, 0.0)


def first(**weights):
    return ranking(ROWS, NOTHING | weights)[0].family


def test_a_figure_is_the_mean_or_the_spread_of_a_familys_runs():
    assert summary(ROWS, Reading("recall")) == pytest.approx({"slow": 0.7, "fast": 0.45})
    spread = summary(ROWS, Reading("frechet", spread=True))
    assert spread == pytest.approx({"slow": 0.1 / 1.05, "fast": 2 / 3})


def test_scores_run_from_the_worst_to_the_best_whichever_way_is_better():
    figures = {"a": 0.2, "b": 0.5, "c": 0.8}
    more = scores(figures, Reading("recall", more_is_better=True))
    assert more == pytest.approx({"a": 0.0, "b": 0.5, "c": 1.0})
    less = scores(figures, Reading("frechet"))
    assert (less["a"], less["c"]) == (1.0, 0.0)
    assert less["b"] == pytest.approx(math.log(0.8 / 0.5) / math.log(0.8 / 0.2))


def test_the_unit_of_what_is_less_does_not_matter():
    seconds = {"a": 0.1, "b": 0.7, "c": 30.0}
    minutes = {family: value / 60 for family, value in seconds.items()}
    reading = USUAL["speed"]
    assert scores(minutes, reading) == pytest.approx(scores(seconds, reading))


def test_equal_figures_and_a_spread_of_nothing_have_a_score():
    assert scores({"a": 2.0, "b": 2.0}, Reading("frechet")) == {"a": 1.0, "b": 1.0}
    best = scores({"a": 0.0, "b": 0.5}, Reading("frechet", spread=True))
    assert best == {"a": 1.0, "b": 0.0}
    assert summary([run("a", k, rarest=0.0) for k in (0, 1)], Reading("rarest", spread=True)) == {
        "a": 0.0
    }


def test_the_spread_of_one_run_is_unknown_and_scores_nothing():
    rows = [run("a", 0, frechet=1.0), run("b", 0, frechet=2.0), run("b", 1, frechet=3.0)]
    reading = Reading("frechet", spread=True)
    found = summary(rows, reading)
    assert math.isnan(found["a"])
    assert scores(found, reading) == {"a": 0.0, "b": 1.0}
    assert not beats(rows, "a", "b", reading)
    assert not beats(rows, "b", "a", reading)
    assert places(rows, reading, ("a", "b")) == {"b": 1}
    assert scores({"a": math.nan}, reading) == {"a": 0.0}


def test_a_ranking_follows_the_one_criterion_that_counts():
    assert first(speed=1.0) == "fast"
    assert {first(**{name: 0.3}) for name in ("quality", "stability", "diversity")} == {"slow"}


def test_a_ranking_is_a_weighted_mean_and_says_what_adds_what():
    places = ranking(ROWS, NOTHING | {"speed": 3.0, "quality": 1.0})
    assert [place.family for place in places] == ["fast", "slow"]
    assert [place.total for place in places] == pytest.approx([0.75, 0.25])
    assert places[0].parts == {"quality": 0, "stability": 0, "speed": 0.75, "diversity": 0}
    doubled = ranking(ROWS, NOTHING | {"speed": 6.0, "quality": 2.0})
    assert doubled == places


def test_without_a_weight_all_are_equal_in_the_tables_order():
    places = ranking(ROWS, NOTHING)
    assert [place.family for place in places] == ["slow", "fast"]
    assert {place.total for place in places} == {0.0}


def test_a_place_spans_from_the_worst_to_the_best_seed():
    by_recall = {p.family: p for p in ranking(ROWS, NOTHING | {"diversity": 2.0})}
    assert by_recall["slow"].span == pytest.approx((0.15 / 0.25, 1.0))  # 0.45 is 0, 0.7 is 1
    assert by_recall["fast"].span == pytest.approx((0.0, 0.05 / 0.25))
    for place in ranking(ROWS, dict.fromkeys(CRITERIA, 1.0)):
        assert place.span[0] <= place.total <= place.span[1]


# The rule by which a claim holds


def three(*figures):
    """Runs of the families a, b and c: two seeds of each, with these precisions."""
    return [
        run(family, seed, precision=value)
        for family, pair in zip("abc", figures, strict=False)
        for seed, value in enumerate(pair)
    ]


PRECISION = USUAL["quality"]


def test_the_runs_of_one_training_time_are_told_from_the_others():
    rows = [run("a", 0, budget=60.0), run("a", 0, budget="20.0"), run("real images", "", budget="")]
    assert budgets(rows) == [20, 60]
    assert at(rows, 20.0) == [rows[1]]
    assert values(ROWS, "seconds_1000") == {"slow": [20.0, 20.0], "fast": [0.2, 0.2]}


def test_better_means_every_run_better_than_every_run():
    rows = three((0.8, 0.9), (0.6, 0.7), (0.65, 0.75))
    assert beats(rows, "a", "b", PRECISION)
    assert not beats(rows, "b", "a", PRECISION)
    assert not any(beats(rows, *pair, PRECISION) for pair in ("bc", "cb", "ax", "xa"))
    assert places(rows, PRECISION, ("a", "b", "c", "x")) == {"a": 1, "b": 2, "c": 2}
    fast = Reading("precision")  # less is better
    assert places(rows, fast, ("a", "b", "c")) == {"a": 3, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("rows", "said", "weak"),
    [
        (three((0.8, 0.9), (0.6, 0.7), (0.8, 0.9)), HOLDS, AGAINST),
        (three((0.6, 0.7), (0.8, 0.9), (0.6, 0.7)), AGAINST, HOLDS),
        (three((0.6, 0.7), (0.8, 0.9), (0.4, 0.5)), OPEN, OPEN),
        (three((0.6, 0.7), (0.6, 0.9), (0.5, 0.7)), OPEN, OPEN),
        (three((0.6, 0.7), (0.6, 0.9)), UNKNOWN, UNKNOWN),
    ],
)
def test_a_strength_is_tested_against_every_rival(rows, said, weak):
    assert verdict(rows, "a", ("b", "c"), PRECISION) == said
    assert verdict(rows, "a", ("b", "c"), PRECISION, strength=False) == weak


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (three((0.8, 0.9), (0.8, 0.9), (0.1, 0.2)), HOLDS),
        (three((0.8, 0.9), (0.8, 0.9), (0.8, 0.9)), OPEN),
        (three((0.1, 0.2), (0.8, 0.9), (0.5, 0.6)), AGAINST),
        (three((0.1, 0.2), (0.8, 0.9)), UNKNOWN),
    ],
)
def test_an_advice_holds_if_it_leaves_out_the_last(rows, said):
    assert advised(rows, ("a", "b"), ("a", "b", "c"), PRECISION) == said


def test_verdicts_of_several_training_times_make_one():
    assert overall([HOLDS, UNKNOWN, HOLDS]) == "holds here"
    for against in ([AGAINST, AGAINST], [AGAINST, OPEN], [OPEN, UNKNOWN, AGAINST]):
        assert overall(against) == "contradicted"
    for mixed in ([HOLDS, OPEN], [OPEN], [UNKNOWN], [HOLDS, AGAINST]):
        assert overall(mixed) == "holds with a condition"


def test_verdicts_are_spelled_by_time():
    assert spelled({20.0: HOLDS, 60.0: OPEN, 180.0: HOLDS, 600.0: HOLDS}) == (
        "holds at 20, 180 and 600 s, undecided at 60 s"
    )
    assert spelled({20.0: UNKNOWN}) == "unknown at every time"


def test_the_fullest_time_is_the_longest_with_most_families_that_were_repeated():
    runs = [(f, seed, b) for b in (20.0, 60.0) for f in "ab" for seed in (0, 1)]
    runs += [("a", 0, 180.0), ("b", 0, 180.0), ("a", 1, 180.0)]
    assert fullest([run(f, seed, budget=b) for f, seed, b in runs]) == 60


def test_another_reading_may_turn_a_ranking_round():
    rows = [run("a", 0, precision=0.9, frechet=3.0), run("b", 0, precision=0.8, frechet=1.0)]
    by_share = ranking(rows, {"quality": 1.0}, {"quality": Reading("precision", True)})
    by_distance = ranking(rows, {"quality": 1.0}, {"quality": Reading("frechet")})
    assert (by_share[0].family, by_distance[0].family) == ("a", "b")


# The plain baseline: a mixture of Gaussians on an autoencoder's codes


class Same(Reconstructs):
    """An autoencoder whose code is the image itself, three pixels."""

    def encode(self, x):
        return x.flatten(1)

    def decode(self, z):
        return z.reshape(-1, 1, 1, 3)


def clusters(n, rng):
    """Two clusters: three quarters near (0.5, ...) with correlated pixels, the others near -0.5."""
    which = torch.rand(n, 1, generator=rng) < 0.75
    root = torch.tensor([[0.1, 0.0, 0.0], [0.08, 0.02, 0.0], [0.0, 0.0, 0.03]])
    wide = 0.5 + torch.randn(n, 3, generator=rng) @ root.T
    narrow = -0.5 + 0.02 * torch.randn(n, 3, generator=rng)
    return torch.where(which, wide, narrow).reshape(n, 1, 1, 3)


def test_a_mixture_of_codes_samples_the_clusters_and_their_shapes():
    x = clusters(4_000, torch.Generator().manual_seed(0))
    mixture = CodeMixture(Same(), x, components=2)
    made = mixture.sample(20_000, torch.Generator().manual_seed(1)).flatten(1)
    above = made[:, 0] > 0
    assert above.float().mean() == pytest.approx(0.75, abs=0.02)
    real = x.flatten(1)
    torch.testing.assert_close(
        made[above].T.cov(), real[real[:, 0] > 0].T.cov(), rtol=0.1, atol=2e-4
    )
    torch.testing.assert_close(made[~above].mean(0), torch.full((3,), -0.5), rtol=0, atol=0.01)


def test_samples_of_a_mixture_repeat_and_stay_in_range():
    x = 3 * clusters(200, torch.Generator().manual_seed(0))
    mixture = CodeMixture(Same(), x, components=2)
    drawn = [mixture.sample(50, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].abs().max() == 1
    assert mixture.codes(50, torch.Generator().manual_seed(0)).abs().max() > 1


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(InputError, match="components is 0"):
        CodeMixture(Same(), torch.zeros(9, 1, 1, 3), components=0)
