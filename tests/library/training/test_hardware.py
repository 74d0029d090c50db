"""Hardware: when bfloat16 is used, and how it is switched off."""

import pytest
import torch

from gen_lib.training.hardware import best_device, has_bfloat16, machine

CPU, GPU, OTHER = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
NATIVE = {"avx512_bf16": True, "amx_bf16": True}


@pytest.fixture
def capable(monkeypatch):
    """A CPU and a GPU that multiply bfloat16, and the environment variable unset."""
    monkeypatch.delenv("GEN_LIB_BFLOAT16", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: NATIVE)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, False),
        ({"avx512_f": True}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
    ids=str,
)
def test_bfloat16_is_used_where_the_cpu_multiplies_it(capable, monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert has_bfloat16(CPU) == expected


@pytest.mark.parametrize("can", [False, True])
def test_bfloat16_is_used_where_the_gpu_multiplies_it_without_emulation(capable, monkeypatch, can):
    asked = []

    def supported(including_emulation):
        asked.append(including_emulation)
        return can

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_bfloat16(GPU) == can
    assert asked == [False]


@pytest.mark.parametrize("value", [None, "1", ""])
def test_a_variable_that_is_unset_or_1_changes_nothing(capable, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("GEN_LIB_BFLOAT16", value)
    assert [has_bfloat16(device) for device in (CPU, GPU, OTHER)] == [True, True, False]
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not has_bfloat16(CPU)  # the variable cannot switch it on


def test_the_variable_0_switches_bfloat16_off_on_every_device(capable, monkeypatch):
    monkeypatch.setenv("GEN_LIB_BFLOAT16", "0")
    assert [has_bfloat16(device) for device in (CPU, GPU, OTHER)] == [False, False, False]


def test_the_best_device_is_the_gpu_where_there_is_one(monkeypatch):
    for gpu, expected in ((GPU, GPU), (None, CPU)):
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda gpu=gpu, **_: gpu)
        assert best_device() == expected


def test_the_name_of_the_machine_says_cores_memory_and_torch():
    words = machine()
    assert " cores of " in words
    assert " GB" in words
    assert words.endswith(f"torch {torch.__version__}")
