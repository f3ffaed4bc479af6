"""What is compiled beforehand, and what is told of it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import coffea_equitag as eqt
from coffea_equitag import compile_notice
from coffea_equitag.cli import main
from coffea_equitag.compile_notice import CompileNotice, compiling


def test_a_network_is_called_and_its_code_is_found():
    (found,) = eqt.warmup(["pfn"])
    assert found.model == "pfn"
    assert found.kernel == str(eqt.kernels.last_choice("pfn"))
    assert found.bytes == sum(path.stat().st_size for path in found.files)
    if found.files and "CPU" in found.kernel:
        assert any(path.name.startswith("forward.sum_phi") for path in found.files)


_COMPILED = """
import torch
from numba.core import event
import coffea_equitag as eqt
from coffea_equitag.benchmarking.workloads import Workload, random_jets

class Names(event.Listener):
    def on_start(self, event): pass
    def on_end(self, event): print(event.data["dispatcher"].py_func.__name__)

model = eqt.models.build("pfn").eval()
event.register("numba:compile", Names())
with torch.inference_mode():
    for number in (1, 1, 3, 40):
        model(random_jets(Workload("jets", 20, 10), number, model.fields))
"""


def test_what_is_compiled_beforehand_is_all_that_calls_need(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    warm = "import coffea_equitag as eqt; list(eqt.warmup(['pfn']))"
    subprocess.run([sys.executable, "-c", warm], env=environment, check=True)
    calls = subprocess.run(
        [sys.executable, "-c", _COMPILED], env=environment, check=True, capture_output=True, text=True
    )
    assert calls.stdout == ""


def test_the_command(capsys):
    assert main(["warmup", "pfn"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("pfn: ")
    assert " MB, in /" in last


def test_unknown_models_are_refused(capsys):
    assert main(["warmup", "no-such-tagger"]) == 1
    assert "no-such-tagger" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal, and little patience."""
    monkeypatch.setattr(compile_notice, "_PATIENCE", 0.05)
    monkeypatch.delenv("EQUITAG_QUIET", raising=False)
    process = SimpleNamespace(stderr=Terminal(), modules={})
    monkeypatch.setattr(compile_notice, "sys", process)
    return process.stderr


def compile_for(notice, seconds):
    notice.begin()
    time.sleep(seconds)
    notice.end()


def test_who_waits_is_told_once_per_subject(terminal):
    notice = CompileNotice()
    with compiling("pfn's kernels"):
        for _ in range(3):
            compile_for(notice, 0.2)
    assert terminal.getvalue().count("compiling pfn's kernels, once per machine") == 1
    compile_for(notice, 0.2)
    assert terminal.getvalue().count("compiling functions") == 1


def test_short_pieces_add_up_and_a_short_one_is_not_told(terminal):
    notice = CompileNotice()
    compile_for(notice, 0.0)
    assert terminal.getvalue() == ""
    for _ in range(3):
        compile_for(notice, 0.04)
    time.sleep(0.1)
    assert terminal.getvalue().count("compiling") == 1


@pytest.mark.parametrize("why", ["quiet", "worker", "log file"])
def test_nobody_waits(terminal, monkeypatch, why):
    if why == "quiet":
        monkeypatch.setenv("EQUITAG_QUIET", "1")
    elif why == "worker":
        monkeypatch.setattr(compile_notice.multiprocessing, "parent_process", object)
    else:
        monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    compile_for(CompileNotice(), 0.2)
    assert terminal.getvalue() == ""
