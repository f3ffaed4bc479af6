"""Files that are there whole or not at all, and what their killed writers leave."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time

import pytest

from coffea_equitag.atomic_file import atomic_file, is_same_file, write_atomic, write_together
from coffea_equitag.errors import JetError
from coffea_equitag.temporary_files import remove_stale, temporary_file, temporary_folder

KILLED = """
import os, sys
from pathlib import Path
from coffea_equitag.temporary_files import temporary_file, temporary_folder
with temporary_file(Path(sys.argv[1]) / "jets.parquet") as part, temporary_folder(Path(sys.argv[1]) / "tagger") as made:
    part.write_bytes(b"half")
    (made / "card.json").write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=120)
    assert len(names(tmp_path)) == 2
    with temporary_file(tmp_path / "other.root"):
        write_atomic(tmp_path / "jets.parquet", b"whole")
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == ["jets.parquet"]


def test_what_somebody_writes_is_kept(tmp_path):
    with temporary_file(tmp_path / "a.parquet") as part, temporary_folder(tmp_path / "b") as made:
        remove_stale(tmp_path)
        assert part.exists()
        assert made.is_dir()
    assert names(tmp_path) == []


def test_files_of_other_hosts_are_kept_for_a_day(tmp_path):
    foreign, mine = tmp_path / ".a.elsewhere.0123456789ab.part.root", tmp_path / ".a.part.root"
    foreign.touch()
    mine.touch()
    remove_stale(tmp_path)
    assert foreign.exists()
    os.utime(foreign, (time.time() - 1e5,) * 2)
    remove_stale(tmp_path)
    assert names(tmp_path) == [mine.name]


def test_threads_and_processes_have_names_of_their_own(tmp_path):
    inside, seen = threading.Barrier(4), []

    def write(content):
        with atomic_file(tmp_path / "x.json") as part:
            seen.append(part.name)
            part.write_bytes(content)
            inside.wait(60)

    threads = [threading.Thread(target=write, args=(bytes([k]) * 1000,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4
    assert names(tmp_path) == ["x.json"]
    assert (tmp_path / "x.json").read_bytes() in [bytes([k]) * 1000 for k in range(4)]


def test_names_as_long_as_allowed(tmp_path):
    target = tmp_path / ("ü" * 120 + ".json")
    write_atomic(target, b"{}")
    assert names(tmp_path) == [target.name]


def test_all_or_none(tmp_path):
    def full(part):
        part.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OSError, match="No space"):
        write_together(tmp_path, {"a": b"new", "b": full})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]
    with pytest.raises(OSError, match="No space"):
        write_together(tmp_path / "new", {"a": b"new", "b": full})
    assert names(tmp_path) == ["a"]


def test_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("flush"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("rename"), replace(*paths)))
    with atomic_file(tmp_path / "x") as part:
        part.write_bytes(b"content")
    assert calls[:2] == ["flush", "rename"]


def test_folders_that_are_files(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(JetError, match="is a file"):
        write_together(tmp_path / "x", {"a": b""})


def test_same_file_by_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target, other = tmp_path / "in put.root", tmp_path / "other.root"
    for path in (target, other):
        path.write_bytes(b"jets")
    (tmp_path / "soft.root").symlink_to(target)
    os.link(target, tmp_path / "hard.root")
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in (
        target,
        "in put.root",
        "./folder/in put.root",
        "soft.root",
        "hard.root",
        f"file://{target}",
        f"file:{target}",
        f"local://{target}",
        f"file://{tmp_path}/folder/hard.root",
        f"file://{tmp_path}/in%20put.root",
        f"simplecache::file://{target}",
        f"root://server.org/{target}",
        f"root://server.org:1094/{tmp_path}/in put.root",
    ):
        assert is_same_file(name, target), name
        assert not is_same_file(name, other), name
    assert not is_same_file(target, tmp_path / "new.root")
    assert not is_same_file("https://server.org/x.root", target)
