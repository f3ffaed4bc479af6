"""Full disks and unwritable places: a clear message, no file under the final name, no leftovers."""

import errno
import os
import subprocess
import sys
from concurrent.futures import Executor, Future
from pathlib import Path

import pyarrow.parquet
import pytest
import uproot

pytest.importorskip("pythia8mc")

from coffea_equitag.cli import main
from coffea_equitag.errors import EquitagError
from coffea_equitag.simulation import sample_request, simulate_folder


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(sample_request, "SHARD", 2)


def _full_at_the_second(write):
    """A writer that finds the disk full on the second call."""
    calls = []

    def full(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments, **options)

    return full


@pytest.mark.parametrize(
    ("name", "owner", "method", "left"),
    [
        ("x.parquet", pyarrow.parquet.ParquetWriter, "write_table", set()),
        ("x.root", uproot.writing.writable.WritableTree, "extend", set()),
        # the first write is the manifest
        ("folder", os, "fsync", {"folder", "sample.json"}),
    ],
)
def test_full_disk(tmp_path, capsys, monkeypatch, name, owner, method, left):
    monkeypatch.setattr(owner, method, _full_at_the_second(getattr(owner, method)))
    assert main(["simulate", "qg", "-n", "4", "-o", str(tmp_path / name)]) == 1
    err = capsys.readouterr().err
    assert f"{name}" in err
    assert "cannot be written: No space left on device" in err
    assert "to fix: free some space" in err
    assert {path.name for path in tmp_path.rglob("*")} == left


SCRIPT = """
import resource, sys
from coffea_equitag.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
for name in ("x.parquet", "x.root", "folder"):
    print(main(["simulate", "qg", "-n", "4", "-o", sys.argv[1] + "/" + name]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes")
def test_files_that_really_cannot_grow(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert [line for line in done.stdout.splitlines() if line[:1] != "#"] == ["1", "1", "1"]
    assert done.stderr.count("cannot be written: File too large") == 3, done.stderr
    for word in ("Traceback", "Exception ignored"):
        assert word not in done.stderr
    assert {path.name for path in tmp_path.rglob("*")} == {"folder", "sample.json"}


def test_folder_that_must_not_be_made(tmp_path, capsys, monkeypatch):
    def forbid(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbid)
    for recipe in ("qg", "qg-100k"):
        assert main(["simulate", recipe, "-o", str(tmp_path / "new")]) == 1
        err = capsys.readouterr().err
        assert "new cannot be written: Permission denied" in err
        assert "choose another place" in err


class Elsewhere(Executor):
    """A worker without Pythia."""

    def submit(self, make, shard, size):
        done = Future()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "pythia8mc", None)
            try:
                done.set_result(make(shard, size))
            except Exception as error:
                done.set_exception(error)
        return done


def test_worker_without_pythia(tmp_path):
    with pytest.raises(EquitagError, match=r"pip install 'coffea-equitag\[simulate\]'"):
        simulate_folder("qg", 4, tmp_path / "new", seed=1, executor=Elsewhere())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sample.json"]
