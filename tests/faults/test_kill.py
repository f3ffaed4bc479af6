"""SIGKILL at random times: nothing is lost, nothing half-written has a final name, and the next run cleans up.

``EQUITAG_KILLS=100`` kills each command a hundred times (``nox -s faults``); the suite does so a few times.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.forkserver import ensure_running
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightning")

from faults import victims

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes that are forked and killed")

KILLS = int(os.environ.get("EQUITAG_KILLS", "2"))

#: Seconds after which a command that was not killed hangs.
PATIENCE = 300.0


@pytest.fixture(scope="module")
def forks():
    """Processes that have imported everything when they begin."""
    with pytest.MonkeyPatch.context() as patch:
        path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["faults.victims"])
        ensure_running()
        yield context


def start(forks, name, folder):
    process = forks.Process(target=victims.run, args=(name, str(folder)))
    process.start()
    return process


def run_to_the_end(forks, name, folder):
    before = time.monotonic()
    process = start(forks, name, folder)
    process.join(PATIENCE)
    assert process.exitcode == 0, f"{name}: exit code {process.exitcode}"
    return time.monotonic() - before


@pytest.mark.parametrize("name", victims.VICTIMS)
def test_killed_at_random_times(forks, tmp_path, name, capsys):
    if name == "simulate":
        pytest.importorskip("pythia8mc")
    folders = {which: tmp_path / which for which in ("reference", "killed")}
    for folder in folders.values():
        folder.mkdir()
    reference, victim = (victims.VICTIMS[name](folder) for folder in folders.values())
    seconds = run_to_the_end(forks, name, reference.folder)
    reference.check(None)

    generator = np.random.default_rng(list(name.encode()))
    counts = {"command": name, "kills": 0, "ended before": 0, "temporaries left": 0}
    while counts["kills"] < KILLS:
        began = time.monotonic()
        process = start(forks, name, victim.folder)
        process.join(generator.uniform(0, seconds))
        if process.exitcode is None:
            process.kill()
            process.join()
            counts["kills"] += 1
            counts["temporaries left"] += len(victim.temporaries())
        else:
            assert process.exitcode == 0
            seconds = min(seconds, time.monotonic() - began)  # how fast it runs depends on what else runs
            counts["ended before"] += 1
        victim.check(reference)
        victim.check_inputs()
        if victim.finished():
            victim.begin_anew()
    run_to_the_end(forks, name, victim.folder)
    victim.check(reference)
    assert victim.finished()
    assert victim.temporaries() == []
    with capsys.disabled():
        print(f"\n{json.dumps(counts)}")
    if "EQUITAG_FAULTS" in os.environ:
        Path(os.environ["EQUITAG_FAULTS"], f"kill-{name}.json").write_text(json.dumps(counts) + "\n")
