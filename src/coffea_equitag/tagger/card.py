"""The card of a tagger: what it is, its input contract, how it was made. Stored as JSON beside the weights."""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, FiniteFloat, ValidationError, model_validator

from ..errors import TaggerError, explain
from ..validation import Strict, faults
from .measurements import CalibrationRecord, CostRecord, Performance, SampleRecord, Symmetry

__all__ = ["Card", "InputContract", "TrainingRecord", "at_temperature"]


def _finite(value: Any) -> Any:
    """Refuse infinities and NaN, which JSON does not have and a hash would not keep apart."""
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _finite(one)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return value


#: Values by name, as deep as they go.
Finite: TypeAlias = Annotated[dict[str, Any], AfterValidator(_finite)]


class InputContract(Strict):
    """The jets that a tagger expects."""

    units: str = Field("GeV", description="Unit of momenta and masses.", pattern="^GeV$")
    constituent_fields: tuple[str, ...] = Field(
        (), description="Columns that each constituent must have beside its four-momentum."
    )
    jet_definition: str | None = Field(None, description="Clustering of the training jets, e.g. 'anti-kT, R = 0.8'.")
    max_constituents: int | None = Field(
        None, description="The hardest constituents of a jet that the network sees; the others are left out.", ge=1
    )
    pt_range: tuple[FiniteFloat, FiniteFloat] | None = Field(
        None, description="Range of the training jets' pT in GeV; outside it the tagger warns."
    )

    @model_validator(mode="after")
    def _ordered(self) -> InputContract:
        if self.pt_range is not None and not 0 <= self.pt_range[0] <= self.pt_range[1]:
            raise ValueError(f"pt_range {self.pt_range} is not 0 ≤ low ≤ high")
        return self


class TrainingRecord(Strict):
    """How the weights were obtained."""

    data: str = Field(description="Origin of the training jets.")
    samples: tuple[SampleRecord, ...] = Field((), description="Simulated samples that they are made of.")
    num_jets: int = Field(description="Number of training jets.", ge=0)
    num_validation_jets: int = Field(0, description="Number of jets that the metrics were measured on.", ge=0)
    seed: int | None = Field(None, description="Seed of weights, split and batches.")
    recipe: Finite = Field(default_factory=dict, description="Optimiser, schedule, epochs, batches.")
    versions: dict[str, str] = Field(default_factory=dict, description="Software it was trained with.")
    fold: int | None = Field(None, description="Fold that it was not trained on, so that its jets are unseen.", ge=0)
    folds: int | None = Field(None, description="Number of folds.", ge=2)
    event_id: tuple[str, ...] | None = Field(None, description="Columns whose hash gives the fold of an event.")


class Card(Strict):
    """Description of a tagger; refuses unknown fields."""

    schema_version: int = Field(1, description="Version of this schema.", ge=1, le=1)
    name: str = Field(description="Name; scores attached to events are named after it.", pattern=r"^[A-Za-z][\w.-]*$")
    architecture: str = Field(description="Kind of model, as in `coffea_equitag.models.build`.")
    options: Finite = Field(description="Options of the model.")
    classes: tuple[str, ...] = Field(description="Names of the classes, in the order of the logits; none for vectors.")
    signal: str | None = Field(description="The class whose probability is the score of a two-class tagger.")
    auxiliary: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Classes of the constituents that the tagger tells too, by the name of the task.",
    )
    temperature: FiniteFloat = Field(
        1.0,
        description="Divides the logits before they become probabilities (`evaluation.fit_temperature`).",
        gt=0,
    )
    contract: InputContract = Field(default_factory=lambda: InputContract.model_validate({}))
    training: TrainingRecord | None = None
    metrics: dict[str, FiniteFloat] = Field(default_factory=dict, description="Measured on the validation jets.")
    performance: tuple[Performance, ...] = Field((), description="Measured on test jets.")
    symmetry: Symmetry | None = Field(None, description="What the symmetry audit found.")
    calibration: CalibrationRecord | None = Field(None, description="How the temperature was fitted.")
    cost: CostRecord | None = Field(None, description="What scoring costs.")
    limits: tuple[str, ...] = Field((), description="Limits of use: what it was trained for, and not tested on.")
    citation: str | None = Field(None, description="Paper to cite.")
    content_hash: str | None = Field(None, description="SHA-256 of the weights and what else fixes the scores.")

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        if self.options.get("output", "classes") != "classes":
            if self.classes or self.signal is not None:
                raise ValueError(f"classes {self.classes} for a network whose output is a vector")
            if self.temperature != 1:
                raise ValueError(f"temperature {self.temperature} for a network whose output is a vector")
            return self
        if len(self.classes) < 2:
            raise ValueError(f"classes {self.classes}: at least two are needed")
        if self.signal not in self.classes:
            raise ValueError(f"signal {self.signal!r} is not one of the classes {self.classes}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes {self.classes} are not all different")
        return self


def at_temperature(card: Card, temperature: float) -> Card:
    """The card of the same network at another temperature, without a hash.

    Raises
    ------
    TaggerError
        If the temperature is not a positive, finite number, or the network has no classes.
    """
    try:
        return Card.model_validate(card.model_dump() | {"temperature": temperature, "content_hash": None})
    except ValidationError as error:
        raise TaggerError(
            explain(f"a card with {faults(error)}", "a positive temperature", "fit it: evaluation.fit_temperature")
        ) from error
