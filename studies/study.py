"""What a study is: a sample, variants of a training, and what is expected of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import BeforeValidator, Field, field_validator, model_validator

from coffea_equitag.training import RunConfig
from coffea_equitag.training.comparison import METRICS
from coffea_equitag.validation import Strict

from .figure import Figure
from .sample import Sample

__all__ = ["Entry", "Expected", "Study", "Variant"]


def _factors(given: Any) -> Any:
    return dict.fromkeys(given, 1.0) if isinstance(given, list | tuple) else given


#: Numbers of jets, with factors of the number of epochs.
Sizes: TypeAlias = Annotated[dict[int, float], BeforeValidator(_factors)]


class Expected(Strict):
    """That one variant is better than another in a metric, and where that is said."""

    better: str
    worse: str
    metric: str = "rejection_30"
    source: str = ""


class Variant(Strict):
    """A network and how it is trained.

    Attributes
    ----------
    label : str
        What the paper calls it; by default its name.
    published : dict of str to float
        The paper's numbers, by metric.
    repeats : int, optional
        Trainings of it, if not as many as of the others.
    sizes : dict of int to float, optional
        Numbers of jets to train on, if not those of the study.
    packaged : dict of int to str
        Packaged taggers that were trained so on such numbers of jets, which need not be trained again.
    training : dict
        All other keys: those of `RunConfig`.
    """

    label: str = ""
    published: dict[str, float] = Field(default={})
    repeats: int | None = Field(default=None, ge=1)
    sizes: Sizes | None = None
    packaged: dict[int, str] = Field(default={})
    training: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _separated(cls, given: dict[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in given.items() if key in cls.model_fields}
        return {"training": {key: value for key, value in given.items() if key not in own}} | own


class Entry(Strict):
    """A variant trained on some of the jets, in folders ``NAME/seed-0``, ``NAME/seed-1``, ...

    Attributes
    ----------
    name, variant, label : str
        Its own name, that of the variant, and the variant's label.
    size : int
        Jets of the unscaled sample that it is trained on.
    more_epochs : float
        How many times as many epochs it has as the variant.
    is_whole : bool
        Whether that is the first training part of the sample, as for all that have the variant's name.
    repeats : int
        Trainings wanted.
    packaged : str, optional
        The packaged tagger that it is.
    """

    name: str
    variant: str
    label: str
    size: int
    more_epochs: float
    is_whole: bool
    repeats: int
    packaged: str | None = None

    @property
    def full_label(self) -> str:
        """The label, with the number of jets where that is another."""
        return self.label if self.is_whole else f"{self.label} ({self.size:,} jets)"


class Study(Strict):
    """A study's ``study.yaml``.

    Attributes
    ----------
    title, question : str
        What it is about.
    sample : Sample
        The jets.
    metrics : tuple of str
        What is measured, see `coffea_equitag.training.comparison.chosen_metrics`: ``rejection_70`` is 1/ε_B(70%), and
        ``rejection_70:light`` that against one class alone, or against a discriminant.
    discriminants : dict
        Mixtures of classes for such metrics, by name: ``mix: [b, {c: 0.1, light: 0.9}]``.
    repeats : int
        Trainings of each variant, with the seeds 0, 1, ...
    sizes : dict of int to float
        Numbers of jets to train on, for learning curves: up to the first part of the sample, of which they are the
        first, or its first and further training parts together; and how many times as many epochs they have, if they
        are not a list.
    replicas : int
        Replicas of the bootstrap.
    common : dict
        Keys of `RunConfig` that all variants have.
    variants : dict of str to Variant
        By name. Studies share the runs of variants with the same name, which must be configured alike.
    baselines : dict of str to tuple of str
        Which variants to compare with which; by default all with the first.
    expected : tuple of Expected
        Directions that the results confirm or do not; any two variants, or ``NAME-SIZE``.
    figures : tuple of Figure
        What to draw: names, or one key with options, ``{robustness: {variants: [pfn], jets: 500}}``.
    remarks : tuple of str
        What a person has to say of the results.
    """

    title: str
    question: str
    sample: Sample
    metrics: tuple[str, ...] = METRICS
    discriminants: dict[str, tuple[str, str | tuple[str, ...] | dict[str, float]]] = Field(default={})
    repeats: int = Field(default=1, ge=1)
    sizes: Sizes = Field(default={})
    replicas: int = Field(default=500, ge=1)
    common: dict[str, Any] = Field(default={})
    variants: dict[str, Variant] = Field(min_length=1)
    baselines: dict[str, tuple[str, ...]] = Field(default={})
    expected: tuple[Expected, ...] = ()
    figures: tuple[Figure, ...] = (Figure(name="cost"),)
    remarks: tuple[str, ...] = ()

    @field_validator("figures", mode="before")
    @classmethod
    def _figures(cls, given: Any) -> Any:
        return tuple(map(Figure.parse, given))

    @model_validator(mode="after")
    def _names(self) -> Study:
        entries = {entry.name for entry in self.entries() if self.sample.portion(entry.size)}
        compared = [name for one in self.expected for name in (one.better, one.worse)]
        compared += [name for baseline, others in self.baselines.items() for name in (baseline, *others)]
        compared += [name for figure in self.figures for name in figure.names]
        if unknown := set(compared) - entries:
            raise ValueError(f"{', '.join(sorted(unknown))}: not among the variants {', '.join(sorted(entries))}")
        for name, one in self.variants.items():
            if unknown := set(one.packaged) - set(self.sizes if one.sizes is None else one.sizes):
                raise ValueError(f"{name}: packaged taggers of {sorted(unknown)} jets, which are not among its sizes")
        measured = [one.metric for one in self.expected] + [one.metric for one in self.figures if one.metric]
        if unknown := set(measured) - set(self.metrics):
            raise ValueError(f"{', '.join(sorted(unknown))}: not among the metrics {', '.join(self.metrics)}")
        return self

    @classmethod
    def read(cls, folder: Path) -> Study:
        """Read the configuration in a folder."""
        return cls.model_validate(yaml.safe_load((folder / "study.yaml").read_text()))

    def at_most(self, repeats: int) -> Study:
        """The same with at most so many trainings of each variant."""
        fewer = {
            name: one.model_copy(update={"repeats": min(one.repeats or self.repeats, repeats)})
            for name, one in self.variants.items()
        }
        return self.model_copy(update={"variants": fewer})

    def entries(self) -> Iterator[Entry]:
        """All that is trained: each variant, and after it the same on other numbers of jets."""
        for name, one in self.variants.items():
            sizes = {self.sample.first: 1.0} | (self.sizes if one.sizes is None else one.sizes)
            for size, more_epochs in sizes.items():
                is_whole = size == self.sample.first
                yield Entry(
                    name=name if is_whole else f"{name}-{size}",
                    variant=name,
                    label=one.label or name,
                    size=size,
                    more_epochs=1.0 if is_whole else more_epochs,
                    is_whole=is_whole,
                    repeats=1 if size in one.packaged else one.repeats or self.repeats,
                    packaged=one.packaged.get(size),
                )

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names of the variants to compare with each baseline."""
        first, *others = self.variants
        return self.baselines or {first: tuple(others)}

    def training(self, variant: str) -> dict[str, Any]:
        """The keys of `RunConfig` that a variant has, its own and those of all."""
        return self.common | self.variants[variant].training

    def run_config(self, entry: Entry, seed: int, jets: dict[str, Path], runs: Path, scale: float = 1.0) -> RunConfig:
        """The training of an entry with a seed, on folders of jets by part."""
        parts, first = self.sample.portion(entry.size, scale)
        given = self.training(entry.variant)
        if cuts := [cut for cut in (given.get("select"), first) if cut]:
            given["select"] = " & ".join(f"({cut})" for cut in cuts) if len(cuts) > 1 else cuts[0]
        if entry.more_epochs != 1:
            given["epochs"] = round(entry.more_epochs * given["epochs"])
        return RunConfig.of(
            **given,
            name=entry.name,
            data=[str(jets[part]) for part in parts],
            validation=[str(jets["validation"])],
            output=str(runs / entry.name / f"seed-{seed}"),
            seed=seed,
        )
