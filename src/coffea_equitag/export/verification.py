"""An exported file against the tagger that it was made of, on none, one and many jets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import kernels
from ..array_types import F8
from ..errors import ExportError, explain
from ..jets.ragged import RaggedJets
from ..tagger import Tagger
from .four_momenta import Coordinates
from .interface import Form
from .trial_jets import BATCHES, trial_jets

__all__ = ["TOLERANCE", "Verification", "verify"]

#: Largest deviation of probabilities, or of vectors relative to the largest component, from float64.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes
    ----------
    jets : int
        Number of jets.
    batches : tuple of int
        Jets in each call.
    deviation : float
        Largest deviation of the file's outputs from those of the layers in float64: of probabilities, or of vectors
        over the largest component.
    from_tagger : float
        The same from what ``tagger`` itself gives, by its kernels in single precision.
    tagger_deviation : float
        That of the tagger itself from the layers in float64.
    tolerance : float
        Largest `deviation` that was allowed.
    """

    jets: int
    batches: tuple[int, ...]
    deviation: float
    from_tagger: float
    tagger_deviation: float
    tolerance: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def verify(
    function: Callable[..., Tensor],
    tagger: Tagger,
    form: Form,
    coordinates: Coordinates,
    own_momenta: bool,
    tolerance: float = TOLERANCE,
) -> Verification:
    """Compare a file's outputs with the tagger's.

    Raises
    ------
    ExportError
        If they deviate by more than the tolerance, have other shapes, or the file cannot run.
    """
    exact = copy.deepcopy(tagger.model).cpu().double()
    found: list[tuple[F8, F8, F8]] = []
    for seed, counts in enumerate(BATCHES):
        trial = trial_jets(tagger, counts, form, coordinates, own_momenta, seed)
        ragged = RaggedJets.from_awkward(trial.jets, tagger.card.contract.constituent_fields)
        try:
            outputs = function(*trial.inputs).double().numpy()
        except Exception as error:  # of any runtime
            raise _failed(f"{tagger.name}: the file does not run on {len(counts)} jets: {error}", tolerance) from error
        with torch.no_grad(), kernels.use("reference"):
            expected = _scores(tagger, exact(ragged).double())
        if outputs.shape != expected.shape:
            raise _failed(f"{tagger.name}: outputs of shape {outputs.shape} in place of {expected.shape}", tolerance)
        found.append((outputs, expected, _scores(tagger, torch.from_numpy(tagger.outputs(ragged)))))
    file, layers, own = (np.concatenate(parts) for parts in zip(*found, strict=True))
    scale = 1.0 if tagger.model.output == "classes" else float(np.abs(layers).max())
    result = Verification(
        jets=len(file),
        batches=tuple(map(len, BATCHES)),
        deviation=_largest(file - layers) / scale,
        from_tagger=_largest(file - own) / scale,
        tagger_deviation=_largest(own - layers) / scale,
        tolerance=tolerance,
    )
    if not result.deviation <= tolerance:
        given = f"{tagger.name}: the file's outputs deviate by {result.deviation:.2g} from the layers in float64"
        raise _failed(given, tolerance)
    return result


def _scores(tagger: Tagger, outputs: Tensor) -> F8:
    if tagger.model.output == "classes":
        outputs = torch.softmax(outputs / tagger.card.temperature, dim=1)
    found: F8 = outputs.numpy()
    return found


def _largest(values: F8) -> float:
    """The largest size; infinite if one is NaN."""
    return float(np.where(np.isnan(values), np.inf, np.abs(values)).max())


def _failed(given: str, tolerance: float) -> ExportError:
    return ExportError(
        explain(
            given,
            f"at most {tolerance:g}",
            "export it with precision='float64' (--precision float64), or as .pt2; report it if that does not help",
        )
    )
