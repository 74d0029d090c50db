"""The judge of attributes: one answer for each kind, in the order of KINDS, on soft pictures."""

import pytest
import torch
from torch.nn import functional as F

from gen_lib import InputError
from gen_lib.data import Batch, ImageSet, Split
from gen_lib.data.people import KINDS, NO_WORD
from gen_lib.data.people.sets import people_set
from gen_lib.models import AttributeJudge
from gen_lib.models.attribute_judge import _softened
from gen_lib.training import fit
from gen_lib.training.checkpoints import load, load_pretrained, save

SIZES = [7, 4, 11, 7, 4, 7, 8, 9, 4]


def small(side: int = 8) -> AttributeJudge:
    torch.manual_seed(0)
    return AttributeJudge((3, side, side), width=4)


class Told(AttributeJudge):
    """A judge whose answers are given: the value of every kind."""

    def answers(self, x):
        hot = [F.one_hot(of, n) for of, n in zip(self.values[: len(x)].T, SIZES, strict=True)]
        return torch.cat(hot, dim=1).float()


@pytest.fixture
def pictures(rng):
    return torch.rand(6, 3, 8, 8, generator=rng) * 2 - 1


@pytest.fixture
def values(rng):
    """Values of 6 pictures."""
    return (torch.rand(6, len(SIZES), generator=rng) * torch.tensor(SIZES)).long()


def test_there_is_an_answer_for_each_value_of_each_kind_in_order(pictures):
    judge = small().eval()
    assert judge.sizes == SIZES == [len(of) for of in KINDS.values()]
    answers, seen = judge.answers(pictures), judge.attributes(pictures)
    assert answers.shape == (6, sum(SIZES))
    assert seen.shape == (6, len(KINDS))
    start = 0
    for kind, size in enumerate(SIZES):
        assert torch.equal(seen[:, kind], answers[:, start : start + size].argmax(dim=1))
        start += size


def test_right_is_what_agrees_and_never_what_has_no_word(pictures, values):
    judge = Told((3, 8, 8), width=4)
    judge.values = values
    assert torch.equal(judge.attributes(pictures), values)
    assert judge.right(pictures, values).all()
    other = values.clone()
    other[2, 3], other[:, 5] = (values[2, 3] + 1) % SIZES[3], NO_WORD
    expected = torch.ones(6, 9, dtype=torch.bool)
    expected[2, 3], expected[:, 5] = False, False
    assert torch.equal(judge.right(pictures, other), expected)


def test_figures_are_shares_of_right_answers_beside_the_most_common_value(pictures, values):
    judge = Told((3, 8, 8), width=4)
    truth = values.clone()
    truth[:, 0] = torch.tensor([1, 1, 1, 1, 2, 3])
    judge.values = truth.clone()
    judge.values[:3, 0] = 6
    images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    data = ImageSet("six", Split(images, truth), Split(images, truth), KINDS["outfit"])
    first, *others = judge.rows(data)
    assert first[:2] == ("accuracy of background", pytest.approx(0.5))
    assert first.beside == {"one_value": pytest.approx(4 / 6)}
    assert [row.name for row in others] == [f"accuracy of {kind}" for kind in list(KINDS)[1:]]
    assert all(row.value == 1 for row in others)


def test_the_loss_is_the_sum_of_the_smoothed_cross_entropies_of_all_kinds(values):
    """A grey picture is the same when it is blurred; noise that weighs nothing is left out."""
    judge, grey = small().eval(), torch.zeros(6, 3, 8, 8)
    first = judge.body[1].weight
    torch.nn.init.zeros_(first)  # the picture, and so its noise, is not looked at
    found = judge.loss(Batch(grey, values), torch.Generator().manual_seed(0), 0.0)
    parts = [part.log_softmax(dim=1) for part in judge.answers(grey).split(SIZES, dim=1)]
    expected = torch.tensor(0.0)
    for log_p, of in zip(parts, values.T, strict=True):
        expected = expected - 0.95 * log_p.gather(1, of[:, None]).mean() - 0.05 * log_p.mean()
    torch.testing.assert_close(found.value, expected)
    assert found.terms["cross_entropy"] == found.value


def test_training_drops_a_fifth_of_the_features_and_only_through_its_rng(pictures, values):
    judge, batch = small().train(), Batch(pictures, values)
    before = torch.get_rng_state()
    first, again, other = (
        judge.loss(batch, torch.Generator().manual_seed(seed), 0.0).value for seed in (1, 1, 2)
    )
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


def test_features_that_are_kept_are_larger_so_that_the_mean_stays(values):
    judge = AttributeJudge((3, 8, 8), width=128).train()
    seen = []
    judge.body[-1].register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    torch.nn.init.zeros_(judge.body[10].weight)
    torch.nn.init.ones_(judge.body[10].bias)  # all features are 1
    judge.loss(Batch(torch.zeros(6, 3, 8, 8), values), torch.Generator().manual_seed(0), 0.0)
    (features,) = seen
    assert features.unique().tolist() == [0, 1.25]
    assert features.mean().item() == pytest.approx(1, abs=0.05)


def test_pictures_are_softened_by_slight_noise_and_some_are_blurred(rng):
    edge = torch.ones(2_000, 1, 4, 4)
    edge[..., 2:] = -1
    soft = _softened(edge, rng)
    noise = (soft - edge)[..., [0, 3]]  # far from the edge, blur changes nothing
    spread = noise.flatten(1).std(dim=1)
    assert 0.04 < spread.mean() < 0.06
    assert noise.mean().abs() < 0.002
    step = (soft[..., 1] - soft[..., 2]).mean((1, 2))
    assert 0.2 < (step < 1.8).float().mean() < 0.32  # 30 %, some of them hardly blurred
    assert step.min() > 0.4


def test_pictures_of_another_shape_are_refused(pictures):
    for asked in (small(12).answers, small(12).attributes):
        with pytest.raises(InputError, match=r"Images of shape \(3, 8, 8\) do not fit"):
            asked(pictures)
    batch = Batch(pictures, torch.zeros(6, 9, dtype=torch.int64))
    with pytest.raises(InputError, match=r"Images of shape \(3, 8, 8\) do not fit"):
        small(12).loss(batch, torch.Generator(), 0.0)


@pytest.mark.parametrize(
    ("config", "words"),
    [({"image_shape": (3, 10, 8)}, "multiples of 4"), ({"width": 1}, "width is 1: .* at least 2")],
)
def test_a_setting_out_of_range_is_named(config, words):
    with pytest.raises(InputError, match=words):
        AttributeJudge(**config)


def test_a_short_training_learns_few_pictures():
    few = people_set("attributes").train.subset(64)
    torch.manual_seed(0)
    judge = AttributeJudge(width=8)
    fit(judge, few, steps=60, batch_size=32, show_bar=False)
    right = judge.eval().right(few.x, few.labels).float().mean(dim=0)
    common = torch.stack([of.bincount().max() / len(of) for of in few.labels.T])
    assert right.mean() > common.mean() + 0.25
    assert right[0] > 0.9  # the background


def test_saved_and_loaded_it_sees_the_same(tmp_path, pictures):
    judge = small().eval()
    save(judge, tmp_path / "judge.safetensors")
    again = load(tmp_path / "judge.safetensors", AttributeJudge)
    assert again.config == judge.config
    assert torch.equal(again.answers(pictures), judge.answers(pictures))


# The shipped weights


def test_the_shipped_judge_reads_real_and_soft_pictures():
    judge, test = load_pretrained("people-judge", AttributeJudge), people_set("attributes").test
    x, labels = test.x[:500], test.labels[:500]
    assert judge.right(x, labels).float().mean(dim=0).min() > 0.97
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    assert judge.right(x.lerp(soft, 0.5), labels).float().mean(dim=0).min() > 0.9
