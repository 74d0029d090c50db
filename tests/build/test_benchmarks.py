"""The benchmarks' arithmetic, and the texts written from their rows and from stored studies."""

import re

import pytest
import report
import scaling
import steps
import torch
from report import CLOCK, IMAGES, Ratio
from torch.utils.flop_counter import FlopCounterMode

from gen_course.build import results
from gen_lib.models import LinearAutoencoder

README = report.README.read_text(encoding="utf-8")


def inside(name):
    return re.search(f"(?s)<!-- {name} -->(.*?)<!-- /{name} -->", README)[1]


# The texts that are written


def test_the_results_are_what_the_benchmarks_measured():
    assert report.RESULTS.read_text(encoding="utf-8") == report.render(report.measured())
    assert inside("benchmark").strip() == report.sentence(report.measured()), "run report.py"
    assert inside("newcomer").strip() == report.path(report.measured()), "run report.py"


def test_the_readme_shows_what_the_studies_hold():
    assert inside("results") == results.render(), "run `make notebooks`"


def test_markers_keep_what_is_around_them_and_take_any_text():
    text = "a <!-- x -->old\nold<!-- /x --> b <!-- y -->kept<!-- /y -->"
    new = report.between(text, "x", r"\1 new")
    assert new == r"a <!-- x -->\1 new<!-- /x --> b <!-- y -->kept<!-- /y -->"


# Ratios


def run(name, frechet):
    return {"name": name, "minutes": 1.0, "images": 60, "seconds": 1.0, "frechet": frechet} | {
        "n": 10,
        "floor": 0.1,
    }


def kept(*rows, verdicts=()):
    facts = {"machine": "m", "threads": 1, "minutes": 2.0}
    return facts | {"verdicts": list(verdicts), "rows": list(rows)}


RACE = kept(
    run("course", 2.0), run("A", 8.0), run("course", 4.0), run("B", 1.0), run("course", 0.5)
)


def trained(networks, trainer, minutes, neg_elbo):
    return {"networks": networks, "trainer": trainer, "minutes": minutes, "images": 60} | {
        "neg_elbo": neg_elbo
    }


VAE = kept(
    trained("course", "course", 2.0, 200.0),
    trained("pythae", "slow", 2.0, 300.0),
    trained("pythae", "fast", 2.0, 250.0),
    trained("course", "slow", 2.0, 220.0),
    trained("course", "same", 3.0, 200.0),
)


def test_a_race_compares_each_peer_twice():
    found = [(r.peer, r.given, r.value) for r in report.ratios({"gan_peer": RACE})]
    assert found == [("A", CLOCK, 4.0), ("A", IMAGES, 2.0), ("B", CLOCK, 0.5), ("B", IMAGES, 2.0)]


def test_a_vae_is_compared_with_the_best_of_its_peers_and_with_the_time_of_another_trainer():
    clock, images = report.ratios({"vae_peer": VAE})
    assert (clock.theirs, clock.value) == (250.0, 1.25)
    assert (images.figure, images.value) == ("minutes", 1.5)


def test_the_sentence_names_what_is_behind_and_nothing_else():
    text = report.sentence({"gan_peer": RACE})
    assert "ahead in 3 of 4" in text
    assert re.findall(r"not ahead in: (.*)\.", text) == ["B, the same minutes: Fréchet, ratio 0.50"]
    assert report.sentence({"vae_peer": VAE}).endswith("ahead in 2 of 2 comparisons.")


def test_a_tie_is_not_ahead(monkeypatch):
    monkeypatch.setattr(report, "ratios", lambda found: [Ratio("A", CLOCK, "Fréchet", 1.0, 1.0)])
    assert "not ahead in: A" in report.sentence({})


def test_every_verdict_and_machine_is_reported():
    text = report.render({"gan_peer": RACE | {"verdicts": ["FAIL: too far."]}, "vae_peer": VAE})
    assert "- FAIL: too far.\n" in text
    assert "| B | the same minutes | Fréchet | 2.00 | 1.00 | **0.50** |" in text
    assert "| `gan_peer` | 2.0 | m | 1 |" in text
    assert "4 minutes in all" in text


# Costs


def test_exponents_are_those_of_powers():
    found = [scaling.Point("f", "x", n, 3 * n**1.5) for n in (1, 4, 16)]
    found += [scaling.Point("f", "y", n, 5 + n) for n in (1, 1e6, 2e6)]
    assert scaling.exponents(found) == pytest.approx({("x", "f"): 1.5, ("y", "f"): 1.0}, rel=1e-4)


def test_operations_of_the_large_convolutions_are_counted_as_those_of_steps():
    for call, operations in steps.convolutions():
        with FlopCounterMode(display=False) as counter:
            call()
        assert counter.get_total_flops() == operations


def test_operations_of_a_linear_model_are_two_for_each_product(few):
    model = LinearAutoencoder((1, 28, 28), latent_size=16)
    # forward 2, weights' gradients 2, and the code's gradient in the second layer
    products = model.batch_size * 784 * 16
    assert steps.flop(model, few) == 2 * (2 + 2 + 1) * products


def test_a_step_is_timed_in_the_first_half_of_a_training(few):
    model = LinearAutoencoder((1, 28, 28), latent_size=2)
    assert [r.progress for r in steps.first_half(model, few, 4)] == [0.125, 0.25, 0.375, 0.5]


@pytest.mark.parametrize(
    ("operator", "group"),
    [
        ("aten::mkldnn_convolution", "convolution, forward"),
        ("aten::convolution_backward", "convolution, backward"),
        ("aten::addmm", "matrix products"),
        ("aten::_fused_adamw_", "optimiser, average"),
        ("aten::_foreach_lerp_", "optimiser, average"),
        ("aten::native_group_norm_backward", "normalisation"),
        ("aten::leaky_relu_backward", "activation"),
        ("aten::copy_", "copies, conversions"),
        ("aten::mul", steps.REST),
    ],
)
def test_an_operator_has_its_group(operator, group):
    assert steps.group_of(operator) == group


def test_shares_of_the_time_add_up(few):
    found = steps.shares(LinearAutoencoder((1, 28, 28), latent_size=2), few, 1)
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["matrix products"] > 0
    assert torch.tensor([*found.values()]).min() >= 0
