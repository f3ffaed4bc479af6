"""Exceptions about a file become our errors, which name it."""

from __future__ import annotations

import os

import pytest

from coffea_equitag.errors import CheckpointError, JetError, TaggerError
from coffea_equitag.reading import naming, read_bytes, reading


@pytest.mark.parametrize(
    "fault", [KeyError("b"), AssertionError(), RecursionError("deep"), MemoryError(), OSError(5, "io")]
)
def test_any_exception_of_a_library(fault):
    with (
        pytest.raises(JetError, match=r"^a\.root, which cannot be read as a ROOT file \(") as caught,
        reading("a.root", "a ROOT file"),
    ):
        raise fault
    assert caught.value.__cause__ is fault
    assert type(fault).__name__ in str(caught.value)
    assert "expected: a ROOT file" in str(caught.value)


def test_what_is_to_be_done():
    with (
        pytest.raises(CheckpointError, match="to fix: start over"),
        reading("a", "a checkpoint", CheckpointError, "start over"),
    ):
        raise ValueError
    with pytest.raises(JetError, match="to fix: install the package"), reading("root://a", "a ROOT file"):
        raise ImportError("fsspec-xrootd")


def test_long_messages_are_cut():
    with pytest.raises(JetError) as caught, reading("a", "a file"):
        raise ValueError("member\n    " * 1000)
    assert len(str(caught.value)) < 400


def test_our_own_errors_get_the_name_once():
    for given, said in (("jet 3 is missing", "a.root: jet 3 is missing"), ("a.root has no jets", "a.root has no jets")):
        with pytest.raises(TaggerError) as caught, naming("a.root"):
            raise TaggerError(given)
        assert str(caught.value) == said


def test_what_is_not_about_the_file():
    for other in (KeyboardInterrupt, UserWarning):
        with pytest.raises(other), reading("a.root", "a ROOT file"):
            raise other
    with pytest.raises(KeyError), naming("a.root"):
        raise KeyError


def test_regular_files_only(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"1234")
    assert read_bytes(tmp_path / "file", most=4) == b"1234"
    with pytest.raises(OSError, match="not a regular file"):
        read_bytes(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a folder"):
        read_bytes(tmp_path)
    with pytest.raises(OSError, match="4 bytes, more than 3"):
        read_bytes(tmp_path / "file", most=3)
