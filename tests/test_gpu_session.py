"""The script for a borrowed GPU: no stage takes more than its time, and what it found by then is kept."""

from __future__ import annotations

import argparse
import importlib
import runpy
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from gpu_session import END, Stage, insert, main, run_all, stages

FOREVER = "import time\nprint('| 1 | 2 |', flush=True)\nwhile True:\n    time.sleep(0.1)"


def stage(name, code, is_markdown=False):
    return Stage(name, (sys.executable, "-c", code), 1.0, is_markdown)


def test_stages(tmp_path, capsys):
    chosen = [stage("ends", "print(3)"), stage("fails", "exit(4)"), stage("never ends", FOREVER, True)]
    found = run_all(chosen, tmp_path / "gpu", 13.0)
    assert [one.words for one in found[:2]] == ["done", "failed with status 4"]
    assert found[2].words.startswith("ended after its")
    assert found[2].seconds < 13
    assert (tmp_path / "gpu" / "never_ends.txt").read_text().startswith("| 1 | 2 |")
    text = (tmp_path / "gpu" / "report.md").read_text()
    assert "### On a GPU: ends\n\n```text\n3\n```" in text
    assert "### On a GPU: never ends\n\n| 1 | 2 |" in text
    assert "fails: failed with status 4" in capsys.readouterr().out
    page = insert("# Page\n", text)
    assert page.count(END) == insert(page, "again").count(END) == 1
    assert "again" in insert(page, "again")
    assert text.strip() not in insert(page, "again")


def test_commands_exist(tmp_path, monkeypatch):
    """Each names a script, a subcommand or tests that are there, and options that they have."""
    for one in stages(tmp_path / "jets", tmp_path):
        first, what, *rest = one.command[1:]
        if what == "pytest":
            assert Path(rest[0]).is_dir()
        elif first == "-m":
            parser = argparse.ArgumentParser()
            importlib.import_module(f"{what}.cli.{rest[0]}").configure(parser)
            parser.parse_args(rest[1:])
        else:
            monkeypatch.setattr(sys, "argv", [first, what, *rest])
            runpy.run_path(first)["arguments"]()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu_session.py", "-o", str(tmp_path / "gpu")])
    with pytest.raises(SystemExit, match="needs a CUDA GPU"):
        main()
    assert not (tmp_path / "gpu").exists()
