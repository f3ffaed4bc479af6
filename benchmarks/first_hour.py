"""The first hour of a new user: from a clone to a score, a plot and a trained tagger, each step timed.

    python -m benchmarks.first_hour FOLDER [--into docs/tutorials/index.md]

Makes a virtual environment in FOLDER, which must not exist, with a home of its own, so that nothing is compiled or
downloaded beforehand; installs this clone; and runs the demo and all tutorials twice. It needs the network.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from coffea_equitag.cpu_name import cpu_name
from coffea_equitag.marked_page import between_markers

CLONE = Path(__file__).resolve().parents[1]
TUTORIALS = {
    "first_score": "First score in five minutes",
    "processor": "Add a tagger to your processor",
    "scale_factors": "Systematics to scale factors",
    "own_files": "Train on your own ROOT files",
    "scale": "Train at scale",
    "audit": "Audit a network",
    "own_network": "Write your own equivariant network",
    "export": "Export a tagger",
}
_BEGIN, _END = "<!-- made by: python -m benchmarks.first_hour -->", "<!-- end -->"


class Step(NamedTuple):
    """What a step took, in seconds, of wall time and of CPU time of all its processes."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write the table into this page")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True)
    text = table(list(measured(folder)))
    print(text)
    if arguments.into:
        page = arguments.into.read_text()
        arguments.into.write_text(between_markers(page, (_BEGIN, _END), f"\n{text}\n"))


def measured(folder: Path) -> Iterator[tuple[str, Step, Step | None]]:
    """Steps with their names: the first time, and the second."""
    environment = _environment(folder)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet"]

    def timed(*command: str | Path, where: str = ".") -> Step:
        (folder / where).mkdir(parents=True, exist_ok=True)
        return _timed(list(map(str, command)), folder / where, environment)

    made = timed(sys.executable, "-m", "venv", folder / "venv")
    installed = timed(*pip, "-c", CLONE / "constraints.txt", CLONE)
    yield "environment, `pip install -c constraints.txt .`", Step(*map(sum, zip(made, installed, strict=True))), None
    yield "`equitag demo`: scores, histograms, plots", *(timed("equitag", "demo", "-o", f"demo-{k}") for k in range(2))
    extras = timed(*pip, "-c", CLONE / "constraints.txt", "coffea-equitag[train,export]")
    yield "`pip install 'coffea-equitag[train,export]'`", extras, None
    for name, title in TUTORIALS.items():
        script = folder / f"{name}.py"
        script.write_text(script_of((CLONE / "docs" / "tutorials" / f"{name}.md").read_text()))
        python = folder / "venv" / "bin" / "python"
        yield f"[{title}]({name}.md)", *(timed(python, script, where=f"{name}-{k}") for k in range(2))


def script_of(page: str) -> str:
    """A page's cells as a script: commands after ``!`` are run by a shell."""
    lines = ["import subprocess"]
    for cell in re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        for line in cell.splitlines():
            if line.startswith("!"):
                lines.append(f"subprocess.run(f{line[1:]!r}, shell=True, check=True)")
            elif not line.startswith((":", "%")):
                lines.append(line)
    return "\n".join(lines) + "\n"


def table(rows: list[tuple[str, Step, Step | None]]) -> str:
    """In Markdown, dated."""
    lines = ["| | first time | again |", "| --- | --- | --- |"]
    for name, *steps in rows:
        lines.append(f"| {name} | {' | '.join('' if step is None else _in_words(step) for step in steps)} |")
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] / cores
    made = (
        "CPU time of all processes, in brackets wall time, in this order: what one step compiles, the next ones use. "
        f"{dt.date.today()}, {cpu_name()}, {cores} cores"
    )
    made += f", each shared by {load:.1f} processes, which makes wall times long." if load > 1 else "."
    return "\n".join([*lines, "", made])


def _in_words(step: Step) -> str:
    return f"{step.cpu:.0f} s ({step.wall:.0f} s)"


def _environment(folder: Path) -> dict[str, str]:
    home, temporary = folder / "home", folder / "tmp"
    home.mkdir()
    temporary.mkdir()
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "LANG"}
    path = f"{folder / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    return kept | {"HOME": str(home), "TMPDIR": str(temporary), "PATH": path, "MPLBACKEND": "agg"}


def _timed(command: list[str], folder: Path, environment: dict[str, str]) -> Step:
    wall, cpu = time.monotonic(), _cpu_of_children()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    step = Step(time.monotonic() - wall, _cpu_of_children() - cpu)
    print(f"{step.wall:6.1f} s, CPU {step.cpu:6.1f} s: {' '.join(command)}", file=sys.stderr, flush=True)
    return step


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
