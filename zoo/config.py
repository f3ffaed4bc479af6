"""What a packaged tagger is made from: samples, a training, published jets to test on, and limits of use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, model_validator

from coffea_equitag.errors import EquitagError, explain
from coffea_equitag.simulation.recipes import SampleRecipe
from coffea_equitag.simulation.recipes import recipe as recipe_of
from coffea_equitag.training import RunConfig
from coffea_equitag.validation import Strict

__all__ = ["FOLDER", "Part", "ZooConfig"]

#: Where the configurations are.
FOLDER = Path(__file__).parent / "taggers"


class Part(Strict):
    """One sample of `equitag simulate`."""

    jets: int = Field(ge=1)
    seed: int = Field(ge=0)


class ZooConfig(Strict):
    """The file of a tagger in ``taggers/``.

    Attributes
    ----------
    recipe : str
        Recipe of `equitag simulate` for all samples.
    samples : dict of str to Part
        ``test``, ``validation``, and those to train on, whose names begin with ``train``; also names of their folders.
    training : dict
        Keys of `RunConfig`.
    efficiencies : tuple of float
        Signal efficiencies at which the background rejection is measured.
    reference : str, optional
        Name of a file of published jets to test on too.
    limits : tuple of str
        Limits of use, beyond those that the recipe states.
    """

    recipe: str
    samples: dict[str, Part]
    training: dict[str, Any]
    efficiencies: tuple[float, ...] = (0.5, 0.3)
    reference: str | None = None
    limits: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> ZooConfig:
        if not (self.training_parts and {"validation", "test"} <= set(self.samples)):
            raise ValueError(f"samples {', '.join(self.samples)}: train, validation and test are needed")
        if len({part.seed for part in self.samples.values()}) < len(self.samples):
            raise ValueError("samples of one seed hold the same jets")
        return self

    @classmethod
    def read(cls, name: str) -> tuple[str, ZooConfig]:
        """Name and recipe of a tagger, by its name or the path of a YAML file.

        Raises
        ------
        EquitagError
            If there is no such file.
        """
        path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(cls.names())
            raise EquitagError(explain(f"no tagger {name!r}", f"one of {known}, or a YAML file", "check the name"))
        return path.stem, cls.model_validate(yaml.safe_load(path.read_text()))

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of all taggers."""
        return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))

    @property
    def training_parts(self) -> tuple[str, ...]:
        """Names of the samples that it is trained on."""
        return tuple(name for name in self.samples if name.startswith("train"))

    @property
    def sample_recipe(self) -> SampleRecipe:
        """The recipe of its samples."""
        return recipe_of(self.recipe)

    @property
    def jet_definition(self) -> str:
        """Clustering and level of the jets, in words."""
        made = self.sample_recipe
        return (
            f"anti-kT, R = {made.radius:g}, {f'{made.detector}-like detector' if made.detector else 'particle level'}"
        )

    def run_config(self, name: str, folders: dict[str, Path], output: Path) -> RunConfig:
        """The training."""
        return RunConfig.of(
            **self.training,
            name=name,
            jet_definition=self.jet_definition,
            data=[str(folders[part]) for part in self.training_parts],
            validation=[str(folders["validation"])],
            output=str(output),
        )
