"""Commands that are killed at any moment, and what must be true of their folders then.

Each victim is made in a folder of its own, runs in a process that is killed, and checks what it left. All of them are
small: a run takes about a second.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import lightning.pytorch
import matplotlib.pyplot as plt
import numpy as np
import torch
import uproot

import coffea_equitag as eqt
from coffea_equitag.cli import main
from coffea_equitag.demo import PACKAGED_FILE
from coffea_equitag.evaluation import plots
from coffea_equitag.scoring.file_hash import file_hash
from coffea_equitag.scoring.manifest import read_manifest
from coffea_equitag.simulation import detector, sample_request
from coffea_equitag.training.loop import callbacks
from coffea_equitag.training.loop.checkpoint import decode
from coffea_equitag.training.loop.folder import RunFolder

__all__ = ["IMPORTED", "VICTIMS", "Victim", "run"]

#: What the commands import when they run: the killed processes are forked, and have it.
IMPORTED = (lightning.pytorch, plt, plots, detector, callbacks)

SHARD, NUM_SHARDS = 2, 3


def small_tagger(seed: int) -> eqt.Tagger:
    torch.manual_seed(seed)
    model = eqt.models.build("pfn", phi=(8,), f=(8,))
    return eqt.Tagger.from_model(model, name=f"t{seed}", classes=("qcd", "top"))


def labelled_jets(number: int) -> ak.Array:
    generator = np.random.default_rng(number)
    counts = generator.integers(3, 10, number)
    columns = {name: generator.normal(size=counts.sum()) for name in ("eta", "phi")}
    columns |= {"pt": generator.exponential(20, counts.sum()) + 1, "mass": np.zeros(counts.sum())}
    return eqt.make_jets(ak.unflatten(ak.zip(columns), counts), label=np.arange(number) % 2)


class Victim:
    """A command with its inputs, in a folder; ``run`` is what is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs: dict[str, bytes] = {}
        self.prepare()
        self.inputs = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.kept: Any = None

    def prepare(self) -> None:
        """Write the inputs."""

    def run(self) -> None:
        """Run the command."""

    def check(self, reference: Victim | None) -> None:
        """Assert that what is there under a final name is whole, and that nothing that was there is lost."""

    def finished(self) -> bool:
        """Whether the result is complete."""
        return True

    def begin_anew(self) -> None:
        """Remove the result."""

    def check_inputs(self) -> None:
        for path, content in self.inputs.items():
            assert Path(path).read_bytes() == content, path

    def temporaries(self) -> list[Path]:
        return list(self.folder.rglob(".*"))

    def _visible(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}

    def _command(self, *words: object) -> None:
        assert main(list(map(str, words))) == 0


class Score(Victim):
    """``equitag score --overwrite``: the former or the new file, never less."""

    def prepare(self) -> None:
        shutil.copy(PACKAGED_FILE, self.folder / "in.root")
        small_tagger(1).save(self.folder / "tagger")

    def run(self) -> None:
        words = ("--chunk", 100, "--overwrite", "--quiet", "--device", "cpu", "--name", "net")
        self._command("score", self.folder / "tagger", self.folder / "in.root", "-o", self.folder / "out.root", *words)

    def scores(self) -> Any:
        with uproot.open(self.folder / "out.root") as file:
            return file["Events"]["FatJet_net"].array()

    def check(self, reference: Victim | None) -> None:
        assert self._visible() <= {"in.root", "tagger", "out.root"}
        if (self.folder / "out.root").exists():
            self.kept = True
            if isinstance(reference, Score):
                assert ak.array_equal(self.scores(), reference.scores())
        assert self.kept is None or (self.folder / "out.root").exists()


class ScoreFolder(Victim):
    """``equitag score`` into a folder: whole files that stay; continued, and complete at the end."""

    FILES = ("a.root", "b.root", "deep/a.root")

    def prepare(self) -> None:
        for name in self.FILES:
            (self.folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PACKAGED_FILE, self.folder / "in" / name)
        small_tagger(1).save(self.folder / "tagger")

    def run(self) -> None:
        words = ("--chunk", 100, "--quiet", "--device", "cpu", "--name", "net", "--friend")
        self._command("score", self.folder / "tagger", self.folder / "in", "-o", self.folder / "out", *words)

    def made(self) -> dict[str, Any]:
        found = {}
        for name in self.FILES:
            if (path := self.folder / "out" / name).exists():
                with uproot.open(path) as file:
                    found[name] = file["Events"]["FatJet_net"].array()
        return found

    def check(self, reference: Victim | None) -> None:
        out, made = self.folder / "out", self.made()
        known = {*self.FILES, "manifest.jsonl"}
        assert {path.relative_to(out).as_posix() for path in out.rglob("[!.]*") if path.is_file()} <= known
        assert (self.kept or set()) <= set(made)
        self.kept = set(made)
        entries = read_manifest(out)
        assert all(entries[name].output_hash == file_hash(out / name) for name in made)
        if isinstance(reference, ScoreFolder):
            whole = reference.made()
            assert all(ak.array_equal(scores, whole[name]) for name, scores in made.items())

    def finished(self) -> bool:
        return self.kept == set(self.FILES)

    def begin_anew(self) -> None:
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.kept = None


class Fit(Victim):
    """`fit`: whole checkpoints, each at least as far as the one before; the same end as without kills."""

    def run(self) -> None:
        torch.manual_seed(3)
        settings = {"epochs": 3, "batch_size": 16, "seed": 4, "device": "cpu", "save_every": 0, "progress": False}
        model = eqt.models.build("pfn", phi=(8,), f=(8,))
        eqt.fit(model, labelled_jets(120), out=self.folder / "run", **settings)

    def check(self, reference: Victim | None) -> None:
        run = RunFolder(self.folder / "run")
        known = {"run.json", "last.ckpt", "previous.ckpt", "best.ckpt", "metrics.csv", "tagger"}
        if not run.path.exists():
            return
        assert {path.name for path in run.path.iterdir() if not path.name.startswith(".")} <= known
        done = (0, 0)
        for path in (run.last, run.previous, run.best):
            if path.exists():
                state = decode(path.read_bytes())
                if "progress" in state:
                    done = max(done, (state["progress"]["epoch"], state["progress"]["batches"]))
        assert self.kept is None or done >= self.kept
        self.kept = done
        if (run.path / "metrics.csv").exists():
            rows = list(csv.DictReader((run.path / "metrics.csv").read_text().splitlines()))
            assert all(float(row["loss"]) > 0 for row in rows)
        if run.tagger.exists():
            eqt.load(run.tagger, "cpu")
        if self.finished() and isinstance(reference, Fit):
            assert eqt.load(run.tagger).content_hash == eqt.load(reference.folder / "run").content_hash
            for name in ("metrics.csv", "run.json"):
                assert (run.path / name).read_bytes() == (reference.folder / "run" / name).read_bytes()

    def finished(self) -> bool:
        return self.kept is not None and self.kept[0] == 3

    def begin_anew(self) -> None:
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        self.kept = None


class Simulate(Victim):
    """``equitag simulate`` into a folder: whole shards, none of them lost; the same bytes as without kills."""

    def run(self) -> None:
        sample_request.SHARD = SHARD
        words = ("-n", SHARD * NUM_SHARDS, "--seed", 4, "--particle-level")
        self._command("simulate", "qg", "-o", self.folder / "jets", *words)

    def files(self) -> dict[str, bytes]:
        made = self.folder / "jets"
        return {path.name: path.read_bytes() for path in made.glob("[!.]*")} if made.exists() else {}

    def check(self, reference: Victim | None) -> None:
        files = self.files()
        if "sample.json" in files:
            json.loads(files["sample.json"])
        assert (self.kept or set()) <= set(files)
        self.kept = set(files)
        if isinstance(reference, Simulate):
            whole = reference.files()
            assert all(content == whole[name] for name, content in files.items() if name != "sample.json")
            if self.finished():
                assert files == whole

    def finished(self) -> bool:
        text = self.files().get("sample.json", b"{}")
        return "content_hash" in json.loads(text)

    def begin_anew(self) -> None:
        shutil.rmtree(self.folder / "jets", ignore_errors=True)
        self.kept = None


class Save(Victim):
    """`Tagger.save` in place of another tagger, again and again: always one of the two, whole."""

    def prepare(self) -> None:
        small_tagger(1).save(self.folder / "tagger")
        self.known = {small_tagger(seed).content_hash for seed in (1, 2)}

    def run(self) -> None:
        taggers = [small_tagger(seed) for seed in (1, 2)]
        for number in range(20):
            taggers[(number + 1) % 2].save(self.folder / "tagger", overwrite=True)

    def check(self, reference: Victim | None) -> None:
        assert self._visible() == {"tagger"}
        visible = {path.name for path in (self.folder / "tagger").iterdir() if not path.name.startswith(".")}
        assert visible == {"card.json", "model.safetensors"}
        assert eqt.load(self.folder / "tagger", "cpu").content_hash in self.known

    def check_inputs(self) -> None:
        """The tagger is both input and output."""


class Evaluate(Victim):
    """``equitag evaluate``: every file of the report is whole."""

    def prepare(self) -> None:
        small_tagger(1).save(self.folder / "tagger")
        ak.to_parquet(labelled_jets(200), self.folder / "jets.parquet")

    def run(self) -> None:
        report = self.folder / "report"
        self._command("evaluate", self.folder / "tagger", self.folder / "jets.parquet", "-o", report, "--device", "cpu")

    def check(self, reference: Victim | None) -> None:
        report = self.folder / "report"
        assert self._visible() <= {"tagger", "jets.parquet", "report"}
        ends: dict[str, Callable[[Path], object]] = {
            ".json": lambda path: json.loads(path.read_text())["auc"],
            ".parquet": lambda path: len(ak.from_parquet(path)) == 200,
            ".png": lambda path: path.read_bytes()[-8:-4] == b"IEND",
            ".pdf": lambda path: path.read_bytes().endswith(b"%%EOF\n"),
        }
        there = {path.name for path in report.glob("[!.]*")} if report.exists() else set()
        assert (self.kept or set()) <= there
        self.kept = there
        for name in there:
            assert ends[Path(name).suffix](report / name), name


VICTIMS: dict[str, type[Victim]] = {
    "score": Score,
    "score-folder": ScoreFolder,
    "fit": Fit,
    "simulate": Simulate,
    "save": Save,
    "evaluate": Evaluate,
}


def run(name: str, folder: str) -> None:
    """Run a victim whose inputs are there: called in the process that is killed."""
    os.environ["EQUITAG_KERNELS"] = "reference"
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    victim = VICTIMS[name].__new__(VICTIMS[name])
    victim.folder = Path(folder)
    victim.run()
