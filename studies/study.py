"""What a study is: a sample, variants of a training, and what is expected of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from coffea_equitag.training import RunConfig
from coffea_equitag.validation import Strict

__all__ = ["Expected", "Sample", "Study"]

PARTS = ("train", "validation", "test")


class Sample(Strict):
    """Simulated jets of a recipe: how many in each part, and the seeds."""

    recipe: str
    jets: dict[str, int]
    seeds: dict[str, int]

    def scaled(self, scale: float) -> dict[str, int]:
        """Number of jets of each part."""
        return {part: max(200, round(scale * self.jets[part])) for part in PARTS}


class Expected(Strict):
    """That one variant is better than another in a metric, and where that is said."""

    better: str
    worse: str
    metric: str = "rejection_30"
    source: str = ""


class Study(Strict):
    """A study's ``study.yaml``.

    Attributes
    ----------
    title, question : str
        What it is about.
    sample : Sample
        The jets.
    repeats : int
        Trainings of each variant, which differ in their seed.
    common : dict
        Keys of `RunConfig` that all variants have.
    variants : dict of str to dict
        Keys of `RunConfig` by name; the first is the baseline.
    expected : list of Expected
        Directions that the results confirm or do not.
    remarks : list of str
        What a person has to say of the results.
    """

    title: str
    question: str
    sample: Sample
    repeats: int = Field(default=1, ge=1)
    common: dict[str, Any] = Field(default={})
    variants: dict[str, dict[str, Any]]
    expected: list[Expected] = Field(default=[])
    remarks: list[str] = Field(default=[])

    @classmethod
    def read(cls, folder: Path) -> Study:
        """Read the configuration in a folder."""
        return cls.model_validate(yaml.safe_load((folder / "study.yaml").read_text()))

    def run_config(self, name: str, jets: dict[str, Path], output: Path) -> RunConfig:
        """The training of a variant, on folders of jets."""
        given = self.common | self.variants[name]
        return RunConfig.of(
            **given,
            name=name,
            data=[str(jets["train"])],
            validation=[str(jets["validation"])],
            output=str(output / name),
            seeds=self.repeats,
        )
