"""Files: tensors come back bit by bit, and a file is written completely or not at all."""

import os
from pathlib import Path

import pytest
import torch

from gen_lib import InputError
from gen_lib.files import check_writable, packed, sha256, unpacked, write_whole


def test_sha256_is_that_of_the_standard(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_packed_tensors_and_their_header_come_back(tmp_path, rng):
    tensors = {"w": torch.randn(3, 4, generator=rng).T, "n": torch.tensor(7), "0": torch.empty(0)}
    (tmp_path / "x").write_bytes(packed(tensors, {"run": "first"}))
    header, found = unpacked(tmp_path / "x")
    assert header == {"run": "first"}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\xff" * 100])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=rf"{tmp_path}/x\.safetensors are damaged"):
        unpacked(tmp_path / "x.safetensors")


def test_a_file_is_written_into_folders_that_are_new_and_over_one_that_is_old(tmp_path):
    file = tmp_path / "new" / "deep" / "x"
    for content in (b"first", b"second"):
        write_whole(file, content)
        assert file.read_bytes() == content
        assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize(("place", "name"), [(os, "fsync"), (Path, "replace")])
def test_what_is_interrupted_leaves_the_old_file_whole(tmp_path, monkeypatch, error, place, name):
    def fail(*arguments):
        raise error

    (tmp_path / "x").write_bytes(b"old")
    monkeypatch.setattr(place, name, fail)
    with pytest.raises(type(error)):
        write_whole(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_place_that_cannot_be_written_is_refused_and_nothing_is_made(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "deep" / "x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=f"x cannot be written in {tmp_path}/file: choose another"):
        check_writable(tmp_path / "file" / "x")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for anyone but root
    with pytest.raises(InputError, match=f"x cannot be written in {tmp_path}: choose another"):
        check_writable(tmp_path / "x")
