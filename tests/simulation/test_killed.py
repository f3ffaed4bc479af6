"""``equitag simulate`` killed midway: no incomplete files, no process left, and the same files in the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("pythia8mc")

from coffea_equitag.simulation import sample_request, simulate_folder
from interruptible import interruptible

N, SHARD = 9, 3

SCRIPT = f"""
import sys
from coffea_equitag.simulation import sample_request
sample_request.SHARD = {SHARD}
from coffea_equitag.cli import main
sys.exit(main())
"""


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _wait(condition, what):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def _children(process):
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes by /proc")
def test_same_files_when_killed_and_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_request, "SHARD", SHARD)
    folder = tmp_path / "jets"
    command = [sys.executable, "-c", SCRIPT, "simulate", "qg", "-n", str(N), "--seed", "4", "-o", str(folder)]
    process = subprocess.Popen([*command, "-j", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _wait(lambda: any(folder.glob("shard-*.parquet")), "no shard")
    workers = _children(process)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    made = {name: content for name, content in _bytes(folder).items() if name.startswith("shard-")}
    assert 0 < len(made) < N / SHARD
    _wait(lambda: not any(map(_is_running, workers)), "workers outlive the command")

    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    alone = _bytes(simulate_folder("qg", N, tmp_path / "alone", seed=4))
    assert _bytes(folder) == alone
    assert made.items() <= alone.items()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a process")
def test_interrupted(tmp_path):
    path = tmp_path / "jets.parquet"
    command = [sys.executable, "-c", SCRIPT, "simulate", "qg", "-n", "100000", "-j", "2", "-o", str(path)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
    )
    _wait(lambda: any(tmp_path.iterdir()), "no file begun")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == "equitag simulate: interrupted\n"
    assert list(tmp_path.iterdir()) == []
