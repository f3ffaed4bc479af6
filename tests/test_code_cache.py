"""Compiled code on disk: damaged, impossible to write or without a place, it costs time and nothing else."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import coffea_equitag
from coffea_equitag import CacheWarning, code_cache, source_stamp
from coffea_equitag.compiled import njit

SOURCE = "def double(x):\n    return 2 * x\n"

#: What may have become of a file.
DAMAGE = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "zeros at the end": lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
    "one bit flipped": lambda content: content[:-200] + bytes([content[-200] ^ 4]) + content[-199:],
    "something else": lambda content: b"not a pickle",
}


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Compile the same function anew, with its cache in tmp_path."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(code_cache, "_warned", False)
    (tmp_path / "source.py").write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("source", tmp_path / "source.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "source", module)
    spec.loader.exec_module(module)
    return lambda: njit(module.double)


def hits(function):
    return sum(function.stats.cache_hits.values())


def files(folder, suffix):
    return list((folder / "cache").rglob(f"*{suffix}"))


def test_code_is_found_again(compiled):
    first, second = compiled(), compiled()
    assert first(2) == second(2) == 4
    assert (hits(first), hits(second)) == (0, 1)


# an index with a flipped bit names other files or none, whose own checksums are verified
@pytest.mark.parametrize(
    ("suffix", "how"), [(s, how) for s in (".nbi", ".nbc") for how in DAMAGE if (s, how) != (".nbi", "one bit flipped")]
)
def test_damaged_files_are_replaced(compiled, tmp_path, suffix, how):
    compiled()(2)
    (path,) = files(tmp_path, suffix)
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    with pytest.warns(CacheWarning, match="cannot be read.*compiled again") as warned:
        assert compiled()(2) == 4
    assert len(warned) == 1
    healed = compiled()
    assert healed(2) == 4
    assert hits(healed) == 1


def test_a_full_disk_costs_the_cache_only(compiled, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(code_cache._CheckedFile, "_open_for_write", full)
    function = compiled()
    with pytest.warns(CacheWarning, match="cannot be kept in .*No space left") as warned:
        assert (function(2), function(2.5)) == (4, 5)
    assert len(warned) == 1
    assert files(tmp_path, ".nbc") == []


def test_damaged_and_full(compiled, tmp_path, monkeypatch):
    compiled()(2)
    (path,) = files(tmp_path, ".nbi")
    path.write_bytes(b"")
    monkeypatch.setattr(code_cache._CheckedFile, "_open_for_write", lambda *_: os.open("/", os.O_WRONLY))
    with pytest.warns(CacheWarning, match="cannot be read"):
        assert compiled()(2) == 4


def test_a_folder_that_vanishes(compiled, tmp_path):
    function = compiled()
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("in the way")
    with pytest.warns(CacheWarning, match="cannot be (kept|read)"):
        assert function(2) == 4


HELPERS = {
    "__init__.py": "",
    "constants.py": "FACTOR = 2\n",
    "helper.py": "from coffea_equitag.compiled import inner\nfrom .constants import (\n    FACTOR,\n)\n"
    "@inner\ndef times(x):\n    return FACTOR * x\n",
    "outer.py": "from coffea_equitag.compiled import njit\nfrom . import helper\nfrom .helper import times\n"
    "@njit\ndef outer(x):\n    return times(x)\n",
}


@pytest.mark.parametrize(("changed", "old", "new"), [("constants.py", "2", "3"), ("helper.py", "FACTOR *", "3 *")])
def test_what_is_compiled_in_counts(tmp_path, monkeypatch, changed, old, new):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "changing_package"
    folder.mkdir()
    for name, text in HELPERS.items():
        (folder / name).write_text(text)

    def anew():
        for name in [name for name in sys.modules if name.startswith(folder.name)]:
            monkeypatch.delitem(sys.modules, name)
        for cached in (source_stamp.source_stamp, source_stamp._imported, source_stamp._content):
            cached.cache_clear()
        importlib.invalidate_caches()
        return importlib.import_module(f"{folder.name}.outer").outer

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert (anew()(5), hits(anew())) == (10, 0)
    function = anew()
    assert (function(5), hits(function)) == (10, 1)
    (folder / changed).write_text(HELPERS[changed].replace(old, new))
    function = anew()
    assert (function(5), hits(function)) == (15, 0)


@pytest.fixture
def read_only_package(tmp_path):
    """A copy of the package in which nothing can be cached: files where the folders should be."""
    root = tmp_path / "read-only"
    shutil.copytree(
        Path(coffea_equitag.__file__).parent, root / "coffea_equitag", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in [root / "coffea_equitag", *filter(Path.is_dir, (root / "coffea_equitag").rglob("*"))]:
        (folder / "__pycache__").write_text("")
    return root


def test_without_any_folder(read_only_package):
    """A read-only image and no HOME: all is imported and jets are flattened; one warning says why it is slow."""
    code = (
        "import awkward as ak, numpy as np, coffea_equitag as eqt\n"
        "import coffea_equitag.kernels.lorentznet.cpu.inference\n"
        "assert eqt.__file__.startswith(__import__('os').environ['PYTHONPATH']), eqt.__file__\n"
        "jets = eqt.make_jets(ak.Array([[{'px': 3.0, 'py': 4.0, 'pz': 0.0, 'E': 13.0}]]))\n"
        "print(eqt.RaggedJets.from_awkward(jets).mass.tolist())"
    )
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG", "HOME"))}
    settings |= {"PYTHONPATH": str(read_only_package), "HOME": "/dev/null/home", "MPLCONFIGDIR": "/tmp"}
    settings |= {"NUMBA_CACHE_DIR": "/dev/null/cache"}
    found = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "[12.0]", found.stderr
    assert found.stderr.count("CacheWarning: compiled code cannot be kept on disk") == 1
    assert "set NUMBA_CACHE_DIR" in found.stderr


def locked(folder, read_only):
    """Let a folder's files be read but nothing be written there, whoever runs this: root may write anywhere."""

    def temporary_file(*arguments, dir, **options):
        if Path(dir).is_relative_to(folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(dir))
        return usual(*arguments, dir=dir, **options)

    usual = numba.core.caching.tempfile.TemporaryFile
    read_only.setattr(numba.core.caching.tempfile, "TemporaryFile", temporary_file)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A user's folder."""
    monkeypatch.setattr(numba.core.caching.AppDirs, "user_cache_dir", str(tmp_path / "user"))
    return tmp_path / "user"


def test_code_that_came_with_a_read_only_folder_is_used(compiled, tmp_path, monkeypatch, elsewhere, recwarn):
    compiled()(2)
    before = sorted(files(tmp_path, ""))
    locked(tmp_path, monkeypatch)
    function = compiled()
    assert function(2) == 4
    assert hits(function) == 1
    assert sorted(files(tmp_path, "")) == before
    assert not recwarn.list


def test_what_a_read_only_folder_lacks_goes_to_the_user(compiled, tmp_path, monkeypatch, elsewhere, recwarn):
    compiled()(2)
    for folder in (tmp_path / "cache", tmp_path / "__pycache__"):
        locked(folder, monkeypatch)
    first = compiled()
    assert (first(2), first(2.5), hits(first)) == (4, 5, 1)
    assert len(list(elsewhere.rglob("*.nbc"))) == 1
    again = compiled()
    assert (again(2), again(2.5), hits(again)) == (4, 5, 2)
    assert not recwarn.list


@pytest.mark.parametrize("other", ["cpu", "features", "llvmlite"])
def test_code_for_another_machine_is_not_used(compiled, tmp_path, monkeypatch, other):
    compiled()(2)
    codegen = numba.core.registry.cpu_target.target_context.codegen()
    triple, cpu, features = codegen.magic_tuple()
    if other == "llvmlite":
        monkeypatch.setattr(code_cache.llvmlite, "__version__", "0.0")
    else:
        tuples = {"cpu": (triple, "another", features), "features": (triple, cpu, "+none")}
        monkeypatch.setattr(codegen, "magic_tuple", lambda: tuples[other])
    function = compiled()
    assert (function(2), hits(function)) == (4, 0)


def test_processes_that_start_together_keep_their_own_code(compiled, tmp_path, monkeypatch):
    """Each has read the index before the others wrote it: one index is lost, and no code is taken for another's."""
    with monkeypatch.context() as together:
        together.setattr(code_cache._CheckedFile, "_load_index", lambda self: {})
        assert (compiled()(2), compiled()(2.5)) == (4, 5)
    assert len(files(tmp_path, ".nbc")) == 2
    function = compiled()
    assert (function(2), function(2.5), hits(function)) == (4, 5, 1)


def test_an_index_that_names_other_code(compiled, tmp_path):
    compiled()(2)
    compiled()(2.5)
    first, second = files(tmp_path, ".nbc")
    first.write_bytes(second.read_bytes())
    function = compiled()
    assert (function(2), function(2.5), hits(function)) == (4, 5, 1)
