"""What is audited: the outputs of a tagger, a network or any function of jets, in units of their spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import awkward as ak
import numpy as np
import torch

from ...array_types import F8, Floats
from ...errors import TaggerError, explain
from ...evaluation_mode import evaluation_mode
from ...jet_model import JetModel
from ...jets.ragged import RaggedJets
from ...tagger import Tagger
from ...tagger.inference import outputs as outputs_of
from ...tagger.inference import rows
from .rounding import DOUBLE, SINGLE, reads_float32

__all__ = ["Scores", "rms"]

#: Outputs for the same jets may differ by this part of their spread: sums of GPUs in any order, but no dropout.
_REPEATABLE = 1e-3

_METRIC = np.diag([1.0, -1.0, -1.0, -1.0]).astype(np.longdouble)


@dataclass(frozen=True)
class Scores:
    """A function of jets, standardised: its outputs have mean 0 and mean square 1 over the audited jets.

    Attributes
    ----------
    name : str
        For plots and words.
    outputs : callable
        ``outputs(jets)``, float64, shape (J, K): log-odds of two classes, centred logits of more, vectors, or what the
        user's function gives.
    output : str
        ``"classes"``, or ``"momentum"`` and ``"vector"``, which should turn with the jets.
    unit, input_unit : float
        Unit in the last place of its arithmetic, and of the momenta that it reads: float64's or float32's.
    mean : ndarray, shape (K,)
    spread : float
        Of the outputs.
    signal : int
        Index of the class, or column, that counts as signal.
    moving : callable, optional
        ``moving(jets, references)``: outputs where the reference vectors move with the jets.
    references : ndarray, shape (k, 4), optional
        The reference vectors (E, px, py, pz) where they are.
    """

    name: str
    outputs: Callable[[ak.Array], F8]
    output: str
    unit: float
    input_unit: float
    mean: F8
    spread: float
    signal: int
    moving: Callable[[ak.Array, Floats], F8] | None = None
    references: Floats | None = None

    @classmethod
    def of(cls, function: Any, jets: ak.Array, name: str = "", references: Floats | None = None) -> Scores:
        """Take a tagger, a network or a function, and find the spread of its outputs over the jets.

        With `references` it is a function of jets and these vectors.

        Raises
        ------
        TaggerError
            If it cannot be called, does not give finite numbers, one row per jet, or others in the next call.
        """
        is_network = isinstance(function, Tagger | JetModel)
        raw: Callable[..., Any]
        if isinstance(function, Tagger | JetModel) and references is None:
            raw, output, signal, moving = _of_network(function)
            references = np.array(_network_of(function).references) if moving else None
        elif callable(function):
            raw = function if references is None else partial(_at, function, references)
            output, signal, moving = "classes", -1, None if references is None else function
        else:
            raise TaggerError(
                explain(
                    f"an object of type {type(function).__name__}",
                    "a tagger, a network or a function of jets",
                    "load it: coffea_equitag.load(path)",
                )
            )
        name = name or _name(function)

        def outputs(given: ak.Array) -> F8:
            with evaluation_mode(function):
                return _rows(raw(given), len(given), name)

        def moved(given: ak.Array, vectors: Floats) -> F8:
            assert moving is not None
            with evaluation_mode(function):
                return _rows(moving(given, vectors), len(given), name)

        found = outputs(jets)
        mean = found.mean(0)
        spread = rms(found - mean) or rms(found) or 1.0
        _check_repeatable(rms(outputs(jets) - found) / spread, name)
        single = _network_of(function).dtype == torch.float32 if is_network else _is_single(found)
        return cls(
            name=name,
            outputs=outputs,
            output=output,
            unit=SINGLE if single else DOUBLE,
            input_unit=SINGLE if not is_network and reads_float32(outputs, jets) else DOUBLE,
            mean=mean,
            spread=spread,
            signal=signal,
            moving=None if moving is None else moved,
            references=references,
        )

    def __call__(self, jets: ak.Array, matrix: Floats | None = None) -> F8:
        """Standardised outputs (J, K), of which vectors are turned back by the transformation of the jets."""
        return self.standardised(self.outputs(jets), matrix)

    def standardised(self, outputs: F8, matrix: Floats | None = None) -> F8:
        """Outputs less their mean, divided by their spread."""
        if matrix is not None and self.output != "classes":
            back = _METRIC @ np.swapaxes(matrix, -1, -2) @ _METRIC
            back = back if self.output == "momentum" else back[..., 1:, 1:]
            outputs = np.einsum("...ij,...j->...i", back, outputs.astype(np.longdouble)).astype(np.float64)
        return np.asarray((outputs - self.mean) / self.spread)

    def score(self, jets: ak.Array) -> F8:
        """One number per jet that grows with the signal's probability."""
        found = self.outputs(jets)
        if self.output != "classes" or found.shape[1] == 1:
            return found[:, -1]
        others = np.delete(found, self.signal, axis=1)
        return np.asarray(found[:, self.signal] - np.logaddexp.reduce(others, axis=1))


def rms(values: F8) -> float:
    """Root mean square of all; 0 of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0


def _network_of(function: Any) -> JetModel:
    network: JetModel = function.model if isinstance(function, Tagger) else function
    return network


def _of_network(function: Tagger | JetModel) -> tuple[Any, str, int, Any]:
    network = _network_of(function)
    temperature, signal = 1.0, network.n_classes - 1
    if isinstance(function, Tagger):
        temperature = function.card.temperature
        signal = function.classes.index(str(function.card.signal)) if function.classes else -1

    def comparable(logits: F8) -> F8:
        """Logits without what is common to all: scores do not depend on it."""
        if network.output != "classes":
            return logits
        logits = logits / temperature
        if network.n_classes == 2:
            return logits[:, [signal]] - logits[:, [1 - signal]]
        return np.asarray(logits - logits.mean(1, keepdims=True))

    def raw(jets: ak.Array) -> F8:
        return comparable(outputs_of(network, RaggedJets.from_awkward(jets, network.fields)))

    def moving(jets: ak.Array, references: Floats) -> F8:
        beams = torch.from_numpy(np.asarray(references, np.float64))
        batch = RaggedJets.from_awkward(jets, network.fields)
        found = rows(lambda piece: network(piece, beams=beams), network, batch)
        return comparable(found.astype(np.float64))

    return raw, network.output, signal, moving if network.references else None


def _check_repeatable(difference: float, name: str) -> None:
    if difference > _REPEATABLE:
        raise TaggerError(
            explain(
                f"{name}, whose outputs for the same jets differ by {difference:.2g} of their spread from call to call",
                "a function of the jets alone",
                "put the network that it calls into evaluation mode, model.eval(), or fix its random numbers",
            )
        )


def _at(function: Callable[..., Any], references: Floats, jets: ak.Array) -> Any:
    return function(jets, np.asarray(references, np.float64))


def _name(function: Any) -> str:
    found = getattr(function, "name", None) or getattr(function, "kind", None) or getattr(function, "__name__", None)
    return str(found or type(function).__name__)


def _rows(output: Any, num_jets: int, name: str) -> F8:
    """Whatever a function gives as rows of float64."""
    if isinstance(output, torch.Tensor):
        output = output.detach().cpu().numpy()
    elif isinstance(output, ak.Array):
        output = np.stack([ak.to_numpy(output[field]) for field in output.fields or (...,)], axis=1)
    try:
        found = np.asarray(output, np.float64)
        found = found.reshape(num_jets, -1) if num_jets else np.zeros((0, 1))
    except (TypeError, ValueError) as error:
        raise TaggerError(
            explain(f"{name}, which gives {type(output).__name__}", f"numbers for {num_jets} jets", "return an array")
        ) from error
    if not np.isfinite(found).all():
        jet = int(np.argmin(np.isfinite(found).all(1)))
        raise TaggerError(
            explain(f"{name}, which gives {found[jet].tolist()} for jet {jet}", "finite numbers", "leave the jet out")
        )
    return found


def _is_single(values: F8) -> bool:
    """Whether all numbers are numbers of float32."""
    return bool(np.all(values == values.astype(np.float32)))
