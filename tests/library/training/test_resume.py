"""Checkpoints of a run in progress: which are kept, when they are written, which are refused."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.models import LinearAutoencoder
from gen_lib.training import History, Record, TrainState
from gen_lib.training.resume import RunCheckpoints, restore, state_tensors


def state_after(steps: int) -> TrainState:
    state = TrainState(LinearAutoencoder((1, 4, 4), latent_size=3))
    for step in range(1, steps + 1):
        state.history.add(Record(step, step / 100, float(step), {"E": 1 / step}))
    return state


def test_a_checkpoint_holds_the_whole_state_and_restores_it(tmp_path):
    torch.manual_seed(1)
    state, checkpoints = state_after(3), RunCheckpoints(tmp_path, {"seed": 1}, seconds=0.0)
    for optimisers in state.optimisers.values():
        for moments in optimisers[0].state.values():
            moments["exp_avg"].normal_()
    for average in state.average:
        average.normal_()
    checkpoints(state)
    kept, again = checkpoints.newest(), state_after(0)
    restore(again, kept)
    assert again.history == state.history == History([1.0, 2.0, 3.0], {"E": [1.0, 1 / 2, 1 / 3]})
    before, after = state_tensors(state), state_tensors(again)
    assert after.keys() == before.keys() == kept.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_last_two_checkpoints_stay(tmp_path):
    checkpoints = RunCheckpoints(tmp_path / "kept", {"seed": 1}, seconds=0.0)
    assert checkpoints.newest() is None
    for step in (1, 2, 10):
        checkpoints(state_after(step))
        assert len(checkpoints.newest()["history.seconds"]) == step
    left = sorted(file.name for file in (tmp_path / "kept").iterdir())
    assert left == ["000000002.safetensors", "000000010.safetensors"]


def test_a_checkpoint_is_kept_when_its_time_has_come(tmp_path):
    checkpoints = RunCheckpoints(tmp_path, {}, seconds=100.0)
    checkpoints(state_after(1))
    assert checkpoints.newest() is None
    checkpoints.last -= 100.0
    checkpoints(state_after(2))
    checkpoints(state_after(3))
    assert len(checkpoints.newest()["history.seconds"]) == 2


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    checkpoints = RunCheckpoints(tmp_path, {}, seconds=0.0)
    for step in (1, 2):
        checkpoints(state_after(step))
    before, last = sorted(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:-1])
    assert len(checkpoints.newest()["history.seconds"]) == 1
    before.write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        checkpoints.newest()


def test_checkpoints_of_other_arguments_are_refused(tmp_path):
    RunCheckpoints(tmp_path, {"seed": 1}, seconds=0.0)(state_after(1))
    with pytest.raises(InputError, match="a run with other arguments"):
        RunCheckpoints(tmp_path, {"seed": 2}).newest()
