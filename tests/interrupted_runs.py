"""Trainings that are cut off, and whether they end like uninterrupted ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from coffea_equitag import load

__all__ = ["SETTINGS", "CutOffError", "assert_equal", "assert_same_end", "cut_off_at"]

# a budget that does not depend on the free memory
SETTINGS = {"epochs": 3, "batch_size": 16, "seed": 4, "device": "cpu", "save_every": 0, "progress": False}
SETTINGS["pair_budget"] = 1_000_000


class CutOffError(BaseException):
    """Ends a training like a kill: nothing catches it."""


def cut_off_at(
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    call: int,
    error: type[BaseException] = CutOffError,
) -> None:
    """Raise an error in place of a method's call of this number."""
    original = getattr(owner, method)
    left = [call]

    def mortal(*arguments: object, **keywords: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise error
        return original(*arguments, **keywords)

    monkeypatch.setattr(owner, method, mortal)


def assert_same_end(one: Path, two: Path) -> None:
    assert (one / "metrics.csv").read_text() == (two / "metrics.csv").read_text()
    assert load(one).content_hash == load(two).content_hash
    for name in ("last.ckpt", "best.ckpt"):
        left, right = (torch.load(run / name, weights_only=True) for run in (one, two))
        for state in (left, right):
            state.pop("cost", None)  # the time it took
        assert_equal(left, right)
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in two.iterdir())


def assert_equal(left: object, right: object) -> None:
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_equal(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert_equal(a, b)
    elif isinstance(left, torch.Tensor):
        assert torch.equal(left, right)
    else:
        assert left == right
