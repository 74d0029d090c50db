"""Muon: its steps are nearly U V^T, torch's own Muon agrees, and interrupted runs go on."""

import pytest
import torch
from torch import nn

from gen_lib import InputError
from gen_lib.data import load
from gen_lib.models import Diffusion
from gen_lib.training import TrainState, fit
from gen_lib.training.muon import Muon, orthogonal
from gen_lib.training.resume import RunCheckpoints


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(32, 288), (64, 32), (10, 10), (2, 7), (7, 1)])
def test_all_singular_values_become_nearly_1_and_the_vectors_stay(shape):
    u, s, vh = torch.linalg.svd(matrix(*shape), full_matrices=False)
    s[s < 0.01 * s.norm()] = 0.01 * s.norm()
    y = orthogonal(u @ s.diag() @ vh)
    found = u.T @ y @ vh.T  # diagonal if the singular vectors are the same
    assert 0.6 < found.diagonal().min() <= found.diagonal().max() < 1.25
    torch.testing.assert_close(found, found.diagonal().diag(), atol=2e-3, rtol=0)


def test_the_size_of_a_gradient_does_not_matter_and_zero_stays_zero():
    small, large = orthogonal(1e-3 * matrix(6, 9)), orthogonal(matrix(6, 9))
    torch.testing.assert_close(small, large, atol=1e-4, rtol=0)
    assert not orthogonal(torch.zeros(3, 4)).any()


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (20, 20)])
def test_steps_are_those_of_torch_which_computes_in_bfloat16(shape):
    mine, peer = (nn.Parameter(matrix(*shape)) for _ in range(2))
    by_hand = Muon([mine], lr=0.02)
    by_torch = torch.optim.Muon([peer], lr=0.02, weight_decay=0.0)
    for seed in range(1, 6):
        mine.grad, peer.grad = matrix(*shape, seed), matrix(*shape, seed)
        by_hand.step()
        by_torch.step()
    moved = (mine - matrix(*shape)).norm()
    assert (mine - peer).norm() < 0.03 * moved


def test_a_kernel_counts_as_a_matrix_with_a_row_for_each_output_channel():
    kernel, flat = nn.Parameter(matrix(8, 36).view(8, 4, 3, 3)), nn.Parameter(matrix(8, 36))
    kernel.grad, flat.grad = matrix(8, 36, 1).view(8, 4, 3, 3), matrix(8, 36, 1)
    Muon([kernel]).step()
    Muon([flat]).step()
    assert torch.equal(kernel.flatten(1), flat)


def small(**config) -> Diffusion:
    torch.manual_seed(0)
    return Diffusion(width=8, blocks=1, **config)


def test_each_weight_of_a_player_has_one_optimiser():
    model = small()
    adamw, muon = TrainState(model).optimisers["model"]
    groups = [optimiser.param_groups[0]["params"] for optimiser in (adamw, muon)]
    assert {*groups[0]}.isdisjoint(groups[1])
    assert {*groups[0], *groups[1]} == set(model.parameters())
    names = {p: name for name, p in model.net.named_parameters()}
    hidden = {names[p].split(".")[0] for p in groups[1]}
    assert hidden == {"down", "shrink", "bottom", "grow", "join", "up"}
    assert all(p.ndim > 1 for p in groups[1])


def test_without_a_learning_rate_for_it_muon_stays_away():
    assert len(TrainState(small(muon_lr=0)).optimisers["model"]) == 1
    with pytest.raises(InputError, match="muon_lr is -1"):
        small(muon_lr=-1)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    train = load("fashion_mnist").train.subset(64)
    run = {"steps": 6, "batch_size": 8, "show_bar": False}
    whole = small()
    fit(whole, train, **run)
    checkpoints = RunCheckpoints(tmp_path, {}, steps=6, seconds=0.0)

    def stop(state):
        checkpoints(state)
        if state.history.steps == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small(), train, **run, keep=stop)
    resumed = small()
    fit(resumed, train, **run, resume=checkpoints.newest())
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
