"""Images: what is loaded, how it is scaled, and in which order minibatches come."""

import pytest
import torch
from jaxtyping import TypeCheckError

from gen_lib.data import Split, to_float, to_uint8


def make_split(n: int) -> Split:
    """n images of one pixel, the n-th of brightness n and class n."""
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1)
    return Split(images, torch.arange(n))


def test_annotations_of_shapes_are_checked_in_this_test_run():
    with pytest.raises(TypeCheckError):
        to_float(torch.zeros(3))


# Pictures and the model's range


def test_every_brightness_survives_the_round_trip():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(every)), every)


def test_range_is_minus_one_to_one_and_linear():
    x = to_float(torch.arange(256, dtype=torch.uint8))
    assert x.dtype == torch.float32
    assert (x[0], x[255]) == (-1, 1)
    torch.testing.assert_close(x.diff(), torch.full((255,), 2 / 255))


def test_values_outside_the_range_are_clipped():
    x = torch.tensor([-1e9, -1.01, 1.01, 1e9])
    assert to_uint8(x).tolist() == [0, 0, 255, 255]


# Minibatches


def epoch_of(split: Split, epoch: int, size: int, seed: int = 0) -> list[int]:
    per_epoch = len(split) // size
    steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
    return torch.cat([split.batch(step, size, seed).labels for step in steps]).tolist()


@pytest.mark.parametrize("epoch", [0, 1, 5])
@pytest.mark.parametrize("size", [1, 4, 20])
def test_every_image_comes_exactly_once_an_epoch(epoch, size):
    assert sorted(epoch_of(make_split(20), epoch, size)) == list(range(20))


def test_images_that_fill_no_batch_sit_the_epoch_out():
    seen = epoch_of(make_split(20), epoch=0, size=6)
    assert len(seen) == len(set(seen)) == 18


def test_orders_of_epochs_and_seeds_differ():
    split = make_split(20)
    orders = {tuple(epoch_of(split, epoch, 4, seed)) for epoch in range(3) for seed in range(3)}
    assert len(orders) == 9


def test_a_batch_depends_on_its_arguments_only():
    split = make_split(20)
    first = split.batch(7, 4, seed=3)
    torch.manual_seed(99)
    for step in range(12):
        split.batch(step, 5, seed=8)
    again = make_split(20).batch(7, 4, seed=3)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)


def test_drawing_batches_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    make_split(20).batch(3, 4)
    make_split(20).subset(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_larger_than_the_data_is_all_of_it():
    assert sorted(make_split(5).batch(3, 128).labels.tolist()) == list(range(5))


def test_images_and_labels_stay_together():
    batch = make_split(20).batch(1, 10)
    assert torch.equal(to_uint8(batch.images).flatten().long(), batch.labels)


def test_a_subset_draws_without_replacement_and_repeatably():
    split = make_split(20)
    labels = split.subset(8, seed=1).labels
    assert len(set(labels.tolist())) == 8
    assert torch.equal(split.subset(8, seed=1).labels, labels)
    assert not torch.equal(split.subset(8, seed=2).labels, labels)
    assert torch.equal(split.subset(8).images.flatten().long(), split.subset(8).labels)
    assert sorted(split.subset(50).labels.tolist()) == list(range(20))
