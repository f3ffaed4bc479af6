"""Clusters and servers that are not there: threads of this process behind the names that the pages use."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from triton_client import Server, put_behind


def dask(monkeypatch, request):
    """A cluster of one thread at any address."""
    distributed = pytest.importorskip("distributed")

    def connect(_):
        cluster = distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None)
        client = whole(cluster)
        request.addfinalizer(cluster.close)
        request.addfinalizer(client.close)
        return client

    whole = distributed.Client
    monkeypatch.setattr(distributed, "Client", connect)


def parsl(monkeypatch):
    """A thread instead of Parsl's worker processes."""
    executors = pytest.importorskip("parsl.executors")
    threads = importlib.import_module("parsl.executors.threads").ThreadPoolExecutor
    monkeypatch.setattr(executors, "HighThroughputExecutor", lambda **_: threads(max_threads=1))


def triton(monkeypatch):
    """A server of the folder ``triton/`` at any address."""
    importlib.import_module("coffea.ml_tools.triton_wrapper")
    put_behind(lambda _: Server(next(Path("triton").iterdir())), monkeypatch)


def web(monkeypatch, file):
    """The file at every address, whatever its hash."""
    pooch = pytest.importorskip("pooch")
    monkeypatch.setattr(pooch, "retrieve", lambda *_: file.resolve())
