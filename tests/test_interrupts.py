"""Signals end a command, wherever they arrive, and nothing is left of its temporary files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from coffea_equitag import cli

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

#: Writes a file until a signal ends it; the first signal arrives in a finalizer, where Python drops the exception.
LOST = """
import os, signal, sys, time
from pathlib import Path
from coffea_equitag import interrupts
signal.signal(int(sys.argv[2]), signal.SIG_DFL)  # in the background signals may be ignored
from coffea_equitag.atomic_file import atomic_file
interrupts._PATIENCE = 0.2
class Finalizer:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[2]))
        for _ in range(1000):
            time.sleep(0.001)
stopping = interrupts.Interrupts()
try:
    with stopping.raised(), atomic_file(Path(sys.argv[1]) / "x") as part:
        Finalizer()
        print("runs on", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit(stopping.status)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_lost_in_a_finalizer_is_repeated(tmp_path, number):
    command = [sys.executable, "-c", LOST, str(tmp_path), str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "runs on\n"
    assert "Exception ignored" in done.stderr
    assert done.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def usual_handlers():
    """Handlers as in a new process at a terminal, whatever a library or ``nohup`` has set."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    former = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield usual
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_commands_end_by_signals(monkeypatch, capsys, usual_handlers, number, status):

    def run(arguments):
        os.kill(os.getpid(), number)
        for _ in range(1000):  # any thread may receive it, and the main thread then hears of it a little later
            time.sleep(0.01)

    command = types.SimpleNamespace(configure=lambda parser: None, run=run)
    monkeypatch.setitem(cli.COMMANDS, "wait", "wait for a signal")
    monkeypatch.setitem(sys.modules, "coffea_equitag.cli.wait", command)
    assert cli.main(["wait"]) == status
    assert "equitag wait: interrupted" in capsys.readouterr().err
    assert {one: signal.getsignal(one) for one in usual_handlers} == usual_handlers


def test_interrupt_leaves_the_caller_alone(monkeypatch, capsys):
    def run(arguments):
        raise KeyboardInterrupt

    command = types.SimpleNamespace(configure=lambda parser: None, run=run)
    monkeypatch.setitem(cli.COMMANDS, "wait", "wait for a signal")
    monkeypatch.setitem(sys.modules, "coffea_equitag.cli.wait", command)
    monkeypatch.setattr(os, "_exit", lambda status: pytest.fail("the process that called main is ended"))
    done = threading.Event()
    thread = threading.Thread(target=done.wait, daemon=False)
    thread.start()
    try:
        assert cli.main(["wait"]) == 130
    finally:
        done.set()
        thread.join()
    assert "equitag wait: interrupted" in capsys.readouterr().err


#: A command with a thread that never ends.
STUCK = """
import sys, threading, types
from coffea_equitag import cli
def run(arguments):
    threading.Thread(target=threading.Event().wait).start()
    raise KeyboardInterrupt
cli.COMMANDS["wait"] = "wait"
sys.modules["coffea_equitag.cli.wait"] = types.SimpleNamespace(configure=lambda parser: None, run=run)
sys.exit(cli.main())
"""


def test_interrupt_ends_a_process_despite_its_threads():
    done = subprocess.run(
        [sys.executable, "-c", STUCK, "wait"], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "equitag wait: interrupted\n"


def test_ignored_signals_stay_ignored(monkeypatch):
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(arguments):
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.1)
        return 0

    monkeypatch.setitem(cli.COMMANDS, "wait", "wait for a signal")
    command = types.SimpleNamespace(configure=lambda parser: None, run=run)
    monkeypatch.setitem(sys.modules, "coffea_equitag.cli.wait", command)
    try:
        assert cli.main(["wait"]) == 0
    finally:
        signal.signal(signal.SIGHUP, former)
