"""Options of a training: one schema for `fit`, for the flags of ``equitag train`` and for its configuration file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from pydantic import BeforeValidator, Field

from ..errors import TaggerError, explain
from ..validation import Strict, faults
from .auxiliary_task import AuxiliaryTask
from .recipes import MOST, Recipe

__all__ = ["Monitor", "Options", "Precision"]

Precision = Literal["32", "bf16-mixed"]

#: A metric of the validation jets; which ones there are depends on what is learned.
Monitor = str


def _recipe(given: Any) -> Any:
    return given.model_dump() if isinstance(given, Recipe) else given


def _text(given: Any) -> Any:
    """A number as text: YAML reads 32 as a number."""
    return str(given) if isinstance(given, int) else given


def _class_weights(given: Any) -> Any:
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given
    try:
        return tuple(np.asarray(given, dtype=np.float64).tolist())
    except (TypeError, ValueError):
        raise ValueError("None, 'balanced' or numbers are possible") from None


class Options(Strict):
    """Options that decide the result of a training, as they are given; None is the default that the text names.

    `fit` has a keyword of the same name and default for each.
    """

    epochs: int | None = Field(default=None, ge=1, le=MOST, description="number of epochs (default: as in the paper)")
    batch_size: int | None = Field(default=None, ge=1, le=MOST, description="jets per batch (default: as in the paper)")
    learning_rate: float | None = Field(
        default=None, gt=0, description="highest learning rate of the schedule (default: as in the paper)"
    )
    weight_decay: float | None = Field(default=None, ge=0, description="weight decay (default: as in the paper)")
    recipe: Annotated[str | dict[str, Any] | None, BeforeValidator(_recipe)] = Field(
        default=None,
        description="network whose recipe to use, or values that replace some of it, e.g. {gradient_clip: 1.0} "
        "(default: that of the network's paper)",
    )
    pair_budget: int | None = Field(
        default=None,
        ge=1,
        lt=2**63,
        description="largest number of constituent pairs processed at once (default: what fits in memory)",
    )
    pool: int = Field(
        default=0, ge=0, le=MOST, description="sort jets by multiplicity within random pools of this many batches"
    )
    class_weights: Annotated[Literal["balanced"] | tuple[float, ...] | None, BeforeValidator(_class_weights)] = Field(
        default=None,
        description="weights of the classes in the loss; 'balanced' gives each class the same total weight",
    )
    target: str | None = Field(
        default=None,
        description="vector to learn, for a network with output='momentum' or 'vector': a jet field, or the first part "
        "of the names of its components (default: momentum, which also finds the true_pt, true_eta, ... of simulated "
        "jets)",
    )
    decorrelate: str | None = Field(
        default=None,
        description="column of the jets that the score of the background shall not tell, e.g. mass (default: none)",
    )
    decorrelation: float = Field(
        default=10.0, gt=0, description="weight of the squared distance correlation of the score with that column"
    )
    auxiliary: dict[str, AuxiliaryTask] | None = Field(
        default=None,
        min_length=1,
        description="classes of constituents to learn beside the jets, by the column of their labels, e.g. "
        "{origin: {classes: [pileup, light, b], weight: 0.5}}",
    )
    keep_auxiliary: bool = Field(
        default=False, description="keep the heads of the auxiliary tasks in the tagger (default: drop them)"
    )
    precision: Annotated[Precision, BeforeValidator(_text)] = Field(
        default="32", description="precision of the network's arithmetic"
    )
    monitor: Monitor = Field(default="loss", description="metric of the validation jets that selects the best epoch")
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed of the split, the batches and dropout")
    name: str | None = Field(default=None, description="name of the tagger (default: the network's)")
    classes: tuple[str, ...] | None = Field(
        default=None, description="names of the classes, in the order of the labels (default: background, signal)"
    )
    signal: str | None = Field(default=None, description="class that counts as signal (default: the last)")
    jet_definition: str | None = Field(default=None, description="how the jets were clustered, for the card")

    @classmethod
    def of(cls, **given: Any) -> Options:
        """Check the arguments of `fit`.

        Raises
        ------
        TaggerError
            For a value that an option cannot have.
        """
        try:
            return cls(**given)
        except pydantic.ValidationError as error:
            raise refused(error) from error


def refused(error: pydantic.ValidationError) -> TaggerError:
    """The error of `fit` for values that pydantic has refused."""
    return TaggerError(
        explain(
            f"fit with {faults(error)}",
            "settings as the documentation of coffea_equitag.fit describes them",
            "change the values named",
        )
    )
