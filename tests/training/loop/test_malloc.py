"""malloc keeps what a step frees, and only while a training runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coffea_equitag.training.loop import malloc

pytestmark = pytest.mark.skipif(not hasattr(malloc._glibc(), "mallinfo2"), reason="needs glibc 2.33 or later")


def test_large_blocks_come_from_the_heap_while_training(tmp_path):
    script = Path(__file__).with_name("retained_run.py")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=plain,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "before": True,
        "retained": True,
        "within": False,
        "after": True,
        "retained by the environment": False,
        "within the environment": True,
        "in steps": [False],
        "after fit": True,
    }
