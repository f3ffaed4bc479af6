"""An exported file against the tagger that it was made of, on none, one and many jets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from .. import kernels
from ..array_types import F8
from ..errors import ExportError, explain
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..tagger import Tagger
from .four_momenta import Coordinates
from .interface import Form, Precision, outputs_of
from .trial_jets import BATCHES, trial_jets

__all__ = ["TOLERANCE", "UNITS", "Verification", "verify"]

#: Largest deviation in float32, see `Verification`.
TOLERANCE = 1e-5

#: Where probabilities count as 0: far above the smallest numbers in float32.
_ZERO = 1e-30

#: The same in float64, in units of how far outputs move when each pT moves by one unit in the last place: 2 since file
#: and layers both round, 2 since every layer rounds and not only the inputs, 2 since sums are made in another order, 2
#: since the largest of a few draws is not the largest of all.
UNITS = 16


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
        Largest deviation of the file's outputs from those of the layers in float64: of vectors, relative to the largest
        component; of probabilities p the larger one of |Δp| and |Δ log p| / 4 max(1, |log p|), so that small ones, on
        which rejections rest, keep their digits: a logit that moves by δ moves p by up to δ/4, and log p by up to δ.
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
    precision: Precision = "float32",
    tolerance: float | None = None,
) -> Verification:
    """Compare a file's outputs with the tagger's.

    By default they may deviate by `TOLERANCE`; if the file computes in float64, by `UNITS` times what rounding of the
    inputs does, see there, at least `UNITS` units in the last place of 1, and by the rounding of outputs in float32.

    Raises
    ------
    ExportError
        If they deviate by more than the tolerance, have other shapes or types, or the file cannot run.
    """
    exact = copy.deepcopy(tagger.model).cpu().double()
    dtype = outputs_of(tagger, form, precision)[0].torch_dtype
    if tolerance is None:
        tolerance = TOLERANCE if precision == "float32" else _rounding(tagger, exact, own_momenta, dtype)
    found: list[tuple[F8, F8, F8]] = []
    for seed, counts in enumerate(BATCHES):
        trial = trial_jets(tagger, counts, form, coordinates, own_momenta, seed)
        ragged = RaggedJets.from_awkward(trial.jets, tagger.card.contract.constituent_fields)
        try:
            outputs = function(*trial.inputs)
        except Exception as error:  # of any runtime
            given = f"{tagger.name}: the file does not run on {len(counts)} jets: {error}"
            raise _failed(given, tolerance, precision) from error
        expected = _exact_scores(tagger, exact, ragged)
        if (tuple(outputs.shape), outputs.dtype) != (expected.shape, dtype):
            given = f"{tagger.name}: outputs of shape {tuple(outputs.shape)}, {outputs.dtype}"
            raise _failed(f"{given}, in place of {expected.shape}, {dtype}", tolerance, precision)
        own_scores = _scores(tagger, torch.from_numpy(tagger.outputs(ragged)))
        found.append((outputs.double().numpy(), expected, own_scores))
    file, layers, own = (np.concatenate(parts) for parts in zip(*found, strict=True))
    result = Verification(
        jets=len(file),
        batches=tuple(map(len, BATCHES)),
        deviation=_deviation(tagger, file, layers),
        from_tagger=_deviation(tagger, file, own),
        tagger_deviation=_deviation(tagger, own, layers),
        tolerance=tolerance,
    )
    if not result.deviation <= tolerance:
        given = f"{tagger.name}: the file's outputs deviate by {result.deviation:.2g} from the layers in float64"
        if precision == "float32":
            given += f", those of the tagger itself in float32 by {result.tagger_deviation:.2g}"
        raise _failed(given, tolerance, precision)
    return result


def _rounding(tagger: Tagger, exact: JetModel, own_momenta: bool, dtype: torch.dtype) -> float:
    """What rounding may do to outputs in float64."""
    found: list[tuple[F8, F8]] = []
    for seed, counts in enumerate(BATCHES):
        jets = trial_jets(tagger, counts, "ragged", "polar", own_momenta, seed).jets
        pt = jets.constituents.pt
        sign = np.random.default_rng(seed).choice([-1.0, 1.0], int(ak.sum(ak.num(pt))))
        unit = np.finfo(np.float64).eps * ak.unflatten(sign, ak.num(pt))
        moved = ak.with_field(jets, pt * (1 + unit), ("constituents", "pt"))
        batches = (RaggedJets.from_awkward(one, tagger.card.contract.constituent_fields) for one in (jets, moved))
        first, second = (_exact_scores(tagger, exact, batch) for batch in batches)
        found.append((first, second))
    before, after = (np.concatenate(parts) for parts in zip(*found, strict=True))
    floor = max(_deviation(tagger, after, before), float(np.finfo(np.float64).eps))
    return UNITS * floor + (torch.finfo(dtype).eps / 2 if dtype == torch.float32 else 0.0)


def _exact_scores(tagger: Tagger, exact: JetModel, jets: RaggedJets) -> F8:
    """Scores by the layers, which are given in float64."""
    with torch.no_grad(), kernels.use("reference"):
        return _scores(tagger, exact(jets).double())


def _scores(tagger: Tagger, outputs: Tensor) -> F8:
    if tagger.model.output == "classes":
        outputs = torch.softmax(outputs / tagger.card.temperature, dim=1)
    found: F8 = outputs.numpy()
    return found


def _deviation(tagger: Tagger, found: F8, expected: F8) -> float:
    """See `Verification`; infinite if a number is NaN."""
    sizes = np.abs(found - expected)
    if tagger.model.output == "classes":
        log_found, log_expected = (np.log(np.maximum(scores, _ZERO)) for scores in (found, expected))
        relative = np.abs(log_found - log_expected) / np.maximum(1.0, np.abs(log_expected))
        sizes = np.maximum(sizes, relative / 4)
    else:
        sizes /= np.abs(expected).max()
    return float(np.where(np.isnan(sizes), np.inf, sizes).max())


_REMEDIES: dict[Precision, str] = {
    "float32": "export it with precision='float64' (--precision float64), or as .pt2; report it if that does not help",
    "float64": "export it as .pt2, or in float32; report it if that does not help",
}


def _failed(given: str, tolerance: float, precision: Precision) -> ExportError:
    return ExportError(explain(given, f"at most {tolerance:.3g}", _REMEDIES[precision]))
