"""The judge: features, logits, what it is trained on, and its accuracy."""

import pytest
import torch
from torch import nn

from gen_lib.data import Batch
from gen_lib.models import Judge


def images(n: int, shape=(1, 28, 28), seed: int = 0) -> torch.Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_features_of_the_judge_are_128_and_not_negative():
    features = Judge().eval().features(images(7))
    assert features.shape == (7, Judge.num_features) == (7, 128)
    assert (features >= 0).all()
    assert (features > 0).any()


def test_logits_are_the_head_on_the_features():
    judge = Judge(classes=6).eval()
    x = images(4)
    assert judge.logits(x).shape == (4, 6)
    torch.testing.assert_close(judge.logits(x), judge.head(judge.features(x)))


def test_the_loss_is_the_smoothed_cross_entropy_of_shifted_images():
    judge, batch = (
        Judge(classes=5).eval(),
        Batch(torch.full((8, 1, 28, 28), -1.0), torch.arange(8) % 5),
    )
    found = judge.loss(batch, torch.Generator().manual_seed(0), 0.0)
    log_p = judge.logits(batch.images).log_softmax(dim=1)  # a constant image: no shift changes it
    right = log_p.gather(1, batch.labels[:, None]).mean()
    torch.testing.assert_close(found.value, -(0.9 * right + 0.1 * log_p.mean()))
    assert found.terms["cross_entropy"] == found.value
    share = (log_p.argmax(dim=1) == batch.labels).float().mean()
    assert found.terms["accuracy"] == share


def test_the_judge_sees_other_shifts_with_another_seed():
    judge, batch = Judge().eval(), Batch(images(16), torch.arange(16) % 10)
    first, again, other = (
        judge.loss(batch, torch.Generator().manual_seed(seed), 0.0).value for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_accuracy_is_the_share_of_right_names_beside_the_most_common_class(noise_set):
    class Oracle(Judge):
        def logits(self, x):
            return nn.functional.one_hot(self.answers, 4).float()

    data = noise_set
    oracle = Oracle((1, 16, 16), classes=4)
    oracle.answers = data.test.labels.clone()
    oracle.answers[:5] = (oracle.answers[:5] + 1) % 4
    (row,) = oracle.rows(data)
    assert row[:3] == ("accuracy", pytest.approx(0.75), {"one_class": pytest.approx(0.25)})
