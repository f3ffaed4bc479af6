"""The same samples from a Dask cluster."""

import pytest

pytest.importorskip("pythia8mc")
pytest.importorskip("distributed")

import distributed

from coffea_equitag.cli import main
from coffea_equitag.simulation import sample_request, simulate_folder

N = 8


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(sample_request, "SHARD", 3)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, worker_dashboard_address=None
    ) as cluster:
        yield cluster


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_files_as_alone(cluster, tmp_path, capsys):
    alone = _bytes(simulate_folder("qg", N, tmp_path / "alone", seed=2))
    with distributed.Client(cluster) as client:
        assert _bytes(simulate_folder("qg", N, tmp_path / "client", seed=2, executor=client)) == alone
        executor = client.get_executor()
        assert _bytes(simulate_folder("qg", N, tmp_path / "executor", seed=2, executor=executor)) == alone
    address = cluster.scheduler_address
    command = ["simulate", "qg", "-n", str(N), "--seed", "2", "-o", str(tmp_path / "command"), "--dask", address]
    assert main(command) == 0, capsys.readouterr().err
    assert _bytes(tmp_path / "command") == alone


def test_no_scheduler(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("coffea_equitag.cli.simulate._TIMEOUT", 1)
    assert main(["simulate", "qg", "-o", str(tmp_path / "new"), "--dask", "tcp://127.0.0.1:1"]) == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
