"""Training in two processes: the same losses and weights as in one, one folder, and errors that both raise."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from arithmetic import EPSILON
from coffea_equitag import kernels, load
from coffea_equitag.training.loop.process_group import ProcessGroup

SCRIPT = Path(__file__).with_name("distributed_run.py")
LORENTZNET = {"kind": "lorentznet", "options": {"hidden": 8, "n_layers": 2, "dropout": 0.3}}
COMMON = {"epochs": 2, "batch_size": 16, "seed": 4}


def in_processes(number: int, runs: list[dict]) -> list[list[str]]:
    """What each process says of each run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={number}", f"--master-port={port}"]
    done = subprocess.run(
        [sys.executable, *launcher, "--redirects=0", str(SCRIPT), json.dumps(runs)],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
        env=os.environ | {"EQUITAG_KERNELS": "reference"},
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return [[what for run, what in told if run == k] for k in range(len(runs))]


def rows(out: Path) -> list[dict[str, float]]:
    with open(out / "metrics.csv") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_two_processes_are_one(tmp_path, toy):
    from coffea_equitag import fit, models

    pfn = COMMON | {"kind": "pfn", "options": {}, "out": str(tmp_path / "pfn")}
    parts = COMMON | LORENTZNET | {"recipe": {"accumulate": 2}, "out": str(tmp_path / "lorentznet")}
    whole = COMMON | LORENTZNET | {"out": str(tmp_path / "whole")}
    together = pfn | {"decorrelate": "mass", "out": str(tmp_path / "together")}  # a loss of the whole batch
    told = in_processes(2, [pfn, pfn, pfn | {"seed": 5}, parts, whole, together])
    # both processes return the same tagger, resume, and refuse other settings
    hashes = {name: load(tmp_path / name).content_hash for name in ("pfn", "lorentznet")}
    assert told[0] == told[1] == 2 * [hashes["pfn"]]
    assert ["holds another run" in line for line in told[2]] == [True, True]
    assert told[3] == 2 * [hashes["lorentznet"]]
    # one part per batch for two processes: its statistics would be others
    assert ["accumulate = 1" in line for line in told[4]] == [True, True]
    for run in (pfn, parts, together):
        settings = {name: value for name, value in run.items() if name not in ("kind", "options", "out")}
        torch.manual_seed(0)
        model = models.build(run["kind"], **run["options"])
        with kernels.use("reference"):
            one = fit(model, toy(100), out=tmp_path / "one", resume=False, device="cpu", progress=False, **settings)
        for left, right in zip(rows(tmp_path / "one"), rows(Path(run["out"])), strict=True):
            # gradients are summed in another order: relative differences of a few ε, of which Adam's division by the
            # root of their squares passes on as much; there are 12 steps
            for name in ("train_loss", "loss"):
                assert right[name] == pytest.approx(left[name], rel=1000 * EPSILON)
        for name, value in load(run["out"]).model.state_dict().items():
            torch.testing.assert_close(value, one.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_one_process_alone():
    group = ProcessGroup()
    tensor = torch.ones(3)
    group.add([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert list(group.share("abc")) == ["a", "b", "c"]
    assert group.gather("x") == ["x"]
    assert group.first(lambda: 3) == 3
    assert not group.any(False)
    assert list(ProcessGroup(1, 2).share("abcd")) == ["b", "d"]
