"""All that a GPU is needed for, in ten minutes: tests, self-checks, benchmarks, tile shapes, and a training.

::

    python benchmarks/gpu_session.py -o gpu/
    python benchmarks/gpu_session.py -o gpu/ --jets train/ --seconds 1500
    python benchmarks/gpu_session.py -o gpu/ --into docs/performance.md

Each stage is a process that has a share of the time, and is ended when that is over; what it has printed until then
stays in the folder, as ``NAME.txt``. ``report.md`` is written anew after each stage. With ``--jets`` (labelled jets of
``equitag simulate``) the rest of the time trains LorentzNet by its paper's recipe; the run, ``gpu/run/``, ends with a
checkpoint, and the same command, or ``equitag train gpu/run/config.yaml``, goes on from there on any machine.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coffea_equitag.marked_page import between_markers

HERE = Path(__file__).resolve().parent

#: Lines that enclose the report in a page.
BEGIN, END = "<!-- made by: benchmarks/gpu_session.py -->", "<!-- end of what benchmarks/gpu_session.py made -->"

#: Seconds in which a process that is told to end may still write.
GRACE = 10.0


@dataclass(frozen=True)
class Stage:
    """A command, its share of the time, and whether it prints Markdown."""

    name: str
    command: tuple[str, ...]
    share: float
    is_markdown: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a stage ended."""

    stage: Stage
    words: str
    seconds: float
    output: str


def stages(jets: Path | None, folder: Path) -> list[Stage]:
    """What is done, the most important first."""
    python, script = sys.executable, str(HERE / "gpu.py")
    tests = (
        python,
        "-m",
        "pytest",
        str(HERE.parent / "tests" / "kernels"),
        "-m",
        "gpu",
        "-q",
        "-p",
        "no:cacheprovider",
    )
    found = [
        Stage("tests", tests, 0.3),
        Stage("self-checks", (python, "-m", "coffea_equitag", "benchmark", "--explain"), 0.1),
        Stage("scoring", (python, script, "--workloads", "top", "--seconds", "3"), 0.2, True),
        Stage("training", (python, script, "--workloads", "top", "--seconds", "3", "--training"), 0.15, True),
        Stage("tile shapes", (python, script, "--workloads", "top", "--seconds", "4", "--tune"), 0.1, True),
    ]
    if jets is not None:
        train = ("train", "lorentznet", str(jets), "-o", str(folder / "run"), "--device", "cuda")
        found.append(Stage("a tagger", (python, "-m", "coffea_equitag", *train), 0.15))
    return found


def run_stage(stage: Stage, folder: Path, seconds: float) -> Outcome:
    """Run a command for at most so many seconds; its output goes to a file as it comes."""
    path, start = folder / f"{stage.name.replace(' ', '_')}.txt", time.monotonic()
    with path.open("w") as file:
        process = subprocess.Popen(stage.command, stdout=file, stderr=subprocess.STDOUT)
        try:
            status = process.wait(max(seconds, 1.0))
            words = "done" if status == 0 else f"failed with status {status}"
        except subprocess.TimeoutExpired:
            words = f"ended after its {seconds:.0f} s"
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return Outcome(stage, words, time.monotonic() - start, path.read_text())


def report(outcomes: Sequence[Outcome]) -> str:
    """All that was found, as Markdown: tables as they are, of other output the last lines."""
    lines = ["| stage | | s |", "| --- | --- | ---: |"]
    lines += [f"| {one.stage.name} | {one.words} | {one.seconds:.0f} |" for one in outcomes]
    for one in outcomes:
        output = one.output.strip() if one.stage.is_markdown else "\n".join(one.output.splitlines()[-20:])
        lines += ["", f"### On a GPU: {one.stage.name}", ""]
        lines += [output] if one.stage.is_markdown else ["```text", output, "```"]
    return "\n".join(lines) + "\n"


def run_all(chosen: Sequence[Stage], folder: Path, seconds: float) -> list[Outcome]:
    """Run stages in turn; time that one leaves goes to the later ones in proportion to their shares."""
    folder.mkdir(parents=True, exist_ok=True)
    end, outcomes = time.monotonic() + seconds, []
    for k, stage in enumerate(chosen):
        left = end - time.monotonic() - GRACE
        share = stage.share / sum(one.share for one in chosen[k:])
        outcomes.append(run_stage(stage, folder, left * share))
        print(f"{stage.name}: {outcomes[-1].words}, {outcomes[-1].seconds:.0f} s", flush=True)
        (folder / "report.md").write_text(report(outcomes))
    return outcomes


def insert(page: str, text: str) -> str:
    """A page with the report between the lines `BEGIN` and `END`, added at its end if there are none."""
    if BEGIN not in page:
        page = f"{page.rstrip()}\n\n{BEGIN}\n{END}\n"
    return between_markers(page, (BEGIN, END), f"\n\n{text.strip()}\n\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seconds", type=float, default=570.0, help="time for all (default: %(default)s)")
    parser.add_argument("--jets", type=Path, help="labelled jets to train on with the rest of the time")
    parser.add_argument("--into", type=Path, help="page that gets the report")
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu_session.py needs a CUDA GPU, but torch finds none. Nothing was done.")
    outcomes = run_all(stages(options.jets, options.output), options.output, options.seconds)
    if options.into is not None:
        options.into.write_text(insert(options.into.read_text(), report(outcomes)))
    sys.exit(any(one.words.startswith("failed") for one in outcomes))


if __name__ == "__main__":
    main()
