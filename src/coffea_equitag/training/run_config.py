"""The configuration of a training run: a network, files of jets, and the options of `fit`; as YAML or TOML."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BeforeValidator, Field

from ..errors import TaggerError, explain
from ..reading import read_bytes, reading
from ..validation import faults
from .options import Options

__all__ = ["RunConfig"]


def _several(given: Any) -> Any:
    return (given,) if isinstance(given, str | os.PathLike) else given


def _fraction_or_files(given: Any) -> Any:
    return given if isinstance(given, int | float) else _several(given)


class RunConfig(Options):
    """Everything that a run is made from. At its shortest: a network, files, and the folder of the run.

    Paths are relative to the working directory.

    Examples
    --------
    >>> RunConfig(model="pfn", data=["top.parquet"], output="run").epochs is None
    True
    """

    model: str = Field(description="network to train, e.g. lorentznet or pfn; `equitag models` lists them")
    options: dict[str, Any] = Field(default={}, description="options of the network, e.g. {hidden: 32, beams: false}")
    data: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field(
        min_length=1, description="files of labelled jets (Parquet or ROOT), or folders; patterns are expanded"
    )
    jets: str | None = Field(default=None, description="for NanoAOD and other events, the jet collection, e.g. FatJet")
    labels: str | tuple[str, ...] | dict[str, str | tuple[str, ...]] = Field(
        default="label",
        description="jet field that holds the class, or a formula, e.g. '|flavour|'; or one field per class, e.g. "
        "[is_qcd, is_top] or {qcd: [], top: is_top}, where [] means all other jets",
    )
    validation: Annotated[float | tuple[str, ...], BeforeValidator(_fraction_or_files)] = Field(
        default=0.1, description="fraction of the jets that the metrics are measured on, or files"
    )
    shuffle: int | None = Field(
        default=None,
        ge=1,
        description="read the jets when they are needed, and shuffle this many at a time, e.g. 200000 "
        "(default: all jets in memory)",
    )
    workers: int = Field(default=2, ge=0, description="threads that read ahead, where shuffle is given")
    output: str = Field(description="folder of the run; an unfinished run in it is resumed")
    device: str | None = Field(default=None, description="cpu or cuda (default: a GPU if there is one)")
    save_every: float = Field(default=60.0, ge=0, description="seconds between checkpoints within an epoch")
    time_limit: str | float | None = Field(
        default=None, description="stop after this time with a checkpoint, e.g. 3:50:00, and exit with status 75"
    )
    loggers: Annotated[tuple[Literal["csv", "tensorboard"], ...], BeforeValidator(_several)] = Field(
        default=(), description="log steps to steps.csv (csv) and to TensorBoard (tensorboard)"
    )
    log_every: int = Field(default=50, ge=1, description="steps between two that are logged")
    seeds: int = Field(
        default=1, ge=1, le=10_000, description="number of runs, which differ in the seed: output/seed-0, seed-1, ..."
    )

    @classmethod
    def of(cls, **given: Any) -> RunConfig:
        """Check the values of a run.

        Raises
        ------
        TaggerError
            For keys that do not exist or are missing, and values that they cannot have.
        """
        return cls.from_mapping(given, "a run")

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], source: str) -> RunConfig:
        """Check values, which came from `source`.

        Raises
        ------
        TaggerError
            As `of`.
        """
        try:
            return cls.model_validate(dict(given))
        except pydantic.ValidationError as error:
            raise TaggerError(
                explain(
                    f"{source} with {faults(error)}",
                    f"model, data and output, and beside them any of {', '.join(sorted(cls.model_fields))}",
                    "correct the keys and values named; `equitag train --help` describes them",
                )
            ) from error

    @classmethod
    def read(cls, path: str | os.PathLike[str], **changes: Any) -> RunConfig:
        """Read a YAML or TOML file; `changes` replace what it says.

        Raises
        ------
        TaggerError
            If the file cannot be read, is neither, or as `of`.
        """
        path = Path(path)
        with reading(path, "a configuration in YAML or TOML", TaggerError, "correct the file"):
            text = read_bytes(path).decode()
            found = tomllib.loads(text) if path.suffix.lower() == ".toml" else yaml.safe_load(text)
            if not isinstance(found, dict):
                raise ValueError(f"a {type(found).__name__}, not keys and values such as 'model: pfn'")
        return cls.from_mapping(found | changes, str(path))

    def repeats(self) -> list[RunConfig]:
        """One configuration per seed, each of a single run; all of them split the jets alike.

        With validation files there is no split: the run of a seed is then the same alone and among several.
        """
        if self.seeds == 1:
            return [self]
        seeds = range(self.seed, self.seed + self.seeds)
        splits = isinstance(self.validation, float)
        split_seed = self.seed if splits and self.split_seed is None else self.split_seed
        return [
            self.model_copy(
                update={
                    "seed": seed,
                    "split_seed": split_seed,
                    "seeds": 1,
                    "output": str(Path(self.output) / f"seed-{seed}"),
                }
            )
            for seed in seeds
        ]

    def to_yaml(self) -> str:
        """All keys and values; `read` gives the same configuration again."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        return text
