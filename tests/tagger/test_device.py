"""Which GPU a worker takes, where a machine has several."""

import multiprocessing
import types

import pytest
import torch

from coffea_equitag.tagger.device import device_of


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    for name in ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "PARSL_WORKER_RANK"):
        monkeypatch.delenv(name, raising=False)


def worker(monkeypatch, identity):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    monkeypatch.setattr(multiprocessing, "current_process", lambda: types.SimpleNamespace(_identity=identity))


def test_the_main_process_takes_the_default(four_gpus):
    assert device_of() == torch.device("cuda")


@pytest.mark.parametrize(("identity", "index"), [((1,), 0), ((4,), 3), ((5,), 0), ((2, 3), 2)])
def test_workers_take_turns(four_gpus, monkeypatch, identity, index):
    worker(monkeypatch, identity)
    assert device_of() == torch.device("cuda", index)
    assert device_of("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("name", ["LOCAL_RANK", "PARSL_WORKER_RANK"])
def test_launchers_are_believed(four_gpus, monkeypatch, name):
    worker(monkeypatch, (1,))
    monkeypatch.setenv(name, "6")
    assert device_of() == torch.device("cuda", 2)


def test_the_only_gpu_is_shared(four_gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    worker(monkeypatch, (3,))
    assert device_of() == torch.device("cuda")
