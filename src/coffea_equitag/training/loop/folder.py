"""The folder of a training run: the request, the checkpoints and the table of metrics."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ... import models
from ...atomic_file import atomic_file, write_atomic
from ...errors import CheckpointError, TaggerError, explain
from ...reading import read_bytes, reading
from ...temporary_files import remove_stale
from ..recipes import FIRST_RECIPES, RECIPES, Recipe
from ..settings import Settings
from .checkpoint import decode, encode

__all__ = ["RunFolder"]

#: What a checkpoint holds.
_STATE = {"progress", "model", "optimizer", "rows"}


class RunFolder:
    """The files of one run.

    ``run.json``, ``config.yaml``, ``last.ckpt``, ``previous.ckpt``, ``best.ckpt``, ``metrics.csv`` and ``tagger/``.

    Files appear under their names only when complete. Checkpoints hold tensors and plain values, and are read
    without unpickling anything else. Each carries a digest, and the last but one is kept until the run is finished:
    if the last is damaged, delete it, and the run continues from the one before.

    Parameters
    ----------
    path : path-like
        The folder; created when the run begins.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.tagger = self.path / "tagger"
        self.last, self.best = self.path / "last.ckpt", self.path / "best.ckpt"
        self.previous = self.path / "previous.ckpt"
        self._run, self._metrics = self.path / "run.json", self.path / "metrics.csv"
        self._config = self.path / "config.yaml"

    def begin(self, request: Mapping[str, Any], *, resume: bool, config: str | None = None) -> dict[str, Any] | None:
        """Create the folder, or find the state that an earlier call of the same run left in it.

        Parameters
        ----------
        request : mapping
            Everything that decides the run's result; JSON values only.
        resume : bool
            Continue from what is there; False starts over.
        config : str, optional
            Contents of ``config.yaml``.

        Returns
        -------
        dict or None
            The last checkpoint, None where there is none.

        Raises
        ------
        TaggerError
            If the folder belongs to another run or to something else.
        CheckpointError
            If the checkpoint cannot be read.
        """
        request = json.loads(json.dumps(request))
        if self.path.exists() and not self.path.is_dir():
            raise TaggerError(explain(f"{self.path} is a file", "a folder for the run", "choose another out=..."))
        if not self._run.exists():
            others = ("card.json", "tagger", "last.ckpt", "previous.ckpt", "best.ckpt", "metrics.csv")
            found = [name for name in others if (self.path / name).exists()]
            if found:
                raise TaggerError(
                    explain(
                        f"{self.path} holds {', '.join(found)}, but no run.json: not a run of fit",
                        "a new folder, or that of a run to resume",
                        "choose another out=...",
                    )
                )
        elif resume:
            stored = self._compare(request)
            remove_stale(self.path)
            self._write_config(config)
            for path in (self.last, self.previous):
                if path.exists():
                    return self._continued(self.read(path), stored, request)
        self.path.mkdir(parents=True, exist_ok=True)
        remove_stale(self.path)
        for former in (self.last, self.previous, self.best, self._metrics, self._config, self.path / "steps.csv"):
            former.unlink(missing_ok=True)
        write_atomic(self._run, (json.dumps(request, indent=2) + "\n").encode())
        self._write_config(config)
        return None

    def _write_config(self, config: str | None) -> None:
        if config is not None:
            write_atomic(self._config, config.encode())

    def first_recipe(self) -> Recipe | None:
        """What a run of version 0.1 in the folder trained with by default; None for any other."""
        if not self._run.is_file():
            return None
        with reading(self._run, "the run.json that fit wrote", TaggerError, "choose another out=..."):
            settings = json.loads(read_bytes(self._run))["settings"]
            first = "accumulate" not in settings["recipe"]
        return FIRST_RECIPES.get(settings.get("architecture"), RECIPES["lorentznet"]) if first else None

    def _continued(
        self, state: dict[str, Any], stored: Mapping[str, Any], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The checkpoint, with a list of the epochs at which the run was given more of them."""
        continued = list(stored.get("continued", []))
        former = stored["settings"]["epochs"]
        if request["settings"]["epochs"] > former:
            continued.append({"at": state["progress"]["epoch"], "epochs_before": former})
            write_atomic(self._run, (json.dumps({**request, "continued": continued}, indent=2) + "\n").encode())
        return state | {"continued": continued}

    def _compare(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The stored record, which is that of the request, apart from a smaller number of epochs."""
        with reading(self._run, "the run.json that fit wrote", TaggerError, "choose another out=..."):
            there: dict[str, Any] = json.loads(read_bytes(self._run))
            before, now = _leaves(_complete(there)), _leaves(request)
            more = now["settings.epochs"] > before["settings.epochs"]
        differing = [
            f"{name} = {now.get(name, 'nothing')} (stored run: {before.get(name, 'nothing')})"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name) and name != "continued" and not (name == "settings.epochs" and more)
        ]
        if differing:
            raise TaggerError(
                explain(
                    f"{self.path} holds another run; this call has {'; '.join(differing)}",
                    "the same jets and settings, to resume it",
                    "choose another out=..., or give resume=False (--restart) to replace it",
                )
            )
        return there

    def read(self, path: Path) -> dict[str, Any]:
        """Read a checkpoint onto the CPU: tensors and plain values only."""
        try:
            state = decode(read_bytes(path))
            if missing := _STATE - state.keys():
                raise KeyError(f"no {', '.join(sorted(missing))}")
            return state
        except Exception as error:
            remedy = "give resume=False (--restart) to start over"
            if path == self.last and self.previous.exists():
                remedy = f"delete it to continue from {self.previous}, or {remedy}"
            raise CheckpointError(
                explain(f"{path} cannot be read: {error}", "a checkpoint written by fit", remedy)
            ) from error

    def write(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write a checkpoint; the last one becomes the previous one."""
        content = encode(state)
        with atomic_file(path) as part:
            part.write_bytes(content)
            if path == self.last and path.exists():
                self._keep_last()

    def _keep_last(self) -> None:
        self.previous.unlink(missing_ok=True)
        try:
            os.link(self.last, self.previous)
        except OSError:  # a filesystem without links: for a moment there is only the previous one
            os.replace(self.last, self.previous)

    def write_metrics(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the table of metrics: one row per epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self._metrics, text.getvalue().encode())


def _complete(record: Any) -> Any:
    """A stored record with the settings and the network's options that its version did not have yet."""
    settings = record.get("settings") if isinstance(record, dict) else None
    if not isinstance(settings, dict) or not isinstance(settings.get("options"), dict):
        return record
    options = models.stored_options(str(settings.get("architecture")), settings["options"])
    later = {name: field.default for name, field in Settings.model_fields.items() if not field.is_required()}
    recipe = settings.get("recipe")
    if isinstance(recipe, dict):
        recipe = json.loads(Recipe().model_dump_json(exclude={"reference"})) | recipe
    return record | {"settings": json.loads(json.dumps(later)) | settings | {"options": options, "recipe": recipe}}


def _leaves(tree: Any, name: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``."""
    if not isinstance(tree, dict):
        return {name: tree}
    return {
        leaf: value
        for key, branch in tree.items()
        for leaf, value in _leaves(branch, f"{name}.{key}" if name else key).items()
    }
