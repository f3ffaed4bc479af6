"""Training in two processes: the same losses and weights as in one, one folder, and errors that all raise."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from arithmetic import EPSILON
from coffea_equitag import load
from coffea_equitag.training.loop.process_group import ProcessGroup

SCRIPT = str(Path(__file__).with_name("distributed_run.py"))
SMALL = {"hidden": 8, "n_layers": 2}


def train(out: Path, kind: str, options: dict, settings: dict, processes: int) -> subprocess.CompletedProcess[str]:
    words = [SCRIPT, str(out), kind, json.dumps(options), json.dumps({"epochs": 2, "batch_size": 16} | settings)]
    launcher = []
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", f"--master-port={port}"]
    return subprocess.run([sys.executable, *launcher, *words], capture_output=True, text=True, timeout=300, check=False)


def rows(out: Path) -> list[dict[str, float]]:
    with open(out / "metrics.csv") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("kind", "options", "settings"),
    [
        ("pfn", {}, {}),
        ("lorentznet", SMALL | {"dropout": 0.3}, {"recipe": {"accumulate": 2}}),
    ],
)
def test_two_processes_are_one(tmp_path, kind, options, settings):
    for name, processes in (("one", 1), ("two", 2)):
        done = train(tmp_path / name, kind, options, settings, processes)
        assert done.returncode == 0, done.stderr
        # both processes return the same tagger
        assert set(done.stdout.split()) == {load(tmp_path / name).content_hash}
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert len(one) == len(two) == 2
    for left, right in zip(one, two, strict=True):
        # the gradients are summed in another order; Adam's steps pass on relative errors of them of a few ε, and there
        # are fewer than 20 steps
        for name in ("train_loss", "loss"):
            assert right[name] == pytest.approx(left[name], rel=1000 * EPSILON)
    first, second = (load(tmp_path / name).model.state_dict() for name in ("one", "two"))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-5)


def test_statistics_of_a_batch_are_not_torn(tmp_path):
    # two processes and one piece per batch: its statistics would be others
    done = train(tmp_path / "run", "lorentznet", SMALL, {}, 2)
    assert done.returncode != 0
    assert "accumulate" in done.stderr


def test_resumes_in_two_processes(tmp_path):
    settings = {"epochs": 1}
    assert train(tmp_path / "run", "pfn", {}, settings, 2).returncode == 0
    done = train(tmp_path / "run", "pfn", {}, settings, 2)
    assert done.returncode == 0
    assert set(done.stdout.split()) == {load(tmp_path / "run").content_hash}
    refused = train(tmp_path / "run", "pfn", {}, {"epochs": 1, "seed": 3}, 2)
    assert refused.returncode != 0
    assert refused.stderr.count("holds another run") >= 2


def test_one_process_alone():
    group = ProcessGroup()
    tensor = torch.ones(3)
    group.add([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert list(group.share("abc")) == ["a", "b", "c"]
    assert group.gather("x") == ["x"]
    assert group.first(lambda: 3) == 3
    assert list(ProcessGroup(1, 2).share("abcd")) == ["b", "d"]
