from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag.tagger.device import device_of


@pytest.mark.parametrize("number", [0, 2])
def test_default_is_the_gpu_where_there_is_one(number, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
    assert device_of().type == ("cuda" if number else "cpu")
    assert device_of("cpu") == torch.device("cpu")
    if number:
        assert device_of("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("given", ["gpu", "cuda:7", "meta", "mps", torch.device("cuda", 7)])
def test_devices_that_are_not_there(given, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(eqt.TaggerError, match=f"device = '{given}'\n.*'cuda:0' to 'cuda:1'"):
        device_of(given)


def test_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(eqt.TaggerError, match="torch sees no GPU here"):
        eqt.load("top-lorentznet", "cuda")
