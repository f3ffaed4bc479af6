"""A trained model and its input contract: load, save, call."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pydantic
import torch
import vector

from ..array_types import F4, F8
from ..errors import JetRangeWarning, TaggerError, explain
from ..jet_model import JetModel
from ..jets.collection import check_structure
from ..jets.ragged import RaggedJets, ragged_and_nesting
from ..jets.tracing import is_traced, touch_jets
from ..validation import faults
from . import storage as tagger_folder
from .card import Card
from .device import device_of
from .inference import outputs
from .storage import content_hash

__all__ = ["Tagger", "load", "load_count"]

#: Fraction of jets outside the training range above which a warning is given.
_OUTSIDE = 0.05

#: Output of a network that is not classes -> its components, and vector's name for them.
_VECTORS = {"momentum": (("E", "px", "py", "pz"), "Momentum4D"), "vector": (("x", "y", "z"), "Vector3D")}

_shared: dict[tuple[str, str], Tagger] = {}
_loads = 0


class Tagger:
    """A trained network with its card.

    Parameters
    ----------
    model : JetModel
        The network; put into evaluation mode.
    card : Card
        Its description.
    path : Path, optional
        Its folder on disk; needed to send it to other processes.

    Attributes
    ----------
    model : JetModel
        ``tagger.model(jets)`` gives raw logits; ``tagger.model.double()`` computes in float64.
    """

    def __init__(self, model: JetModel, card: Card, path: Path | None = None) -> None:
        if model.output == "classes" and len(card.classes) != model.n_classes:
            raise TaggerError(
                explain(
                    f"{len(card.classes)} classes {card.classes} for a network of {model.n_classes} logits",
                    "one class per logit",
                    "give n_classes names",
                )
            )
        self.model = model.eval()
        self.card = card
        self.path = path
        self._warned = False

    @classmethod
    def from_model(
        cls, model: JetModel, *, name: str, classes: Sequence[str], signal: str | None = None, **card: Any
    ) -> Tagger:
        """Wrap a network; the signal is the last class unless given. Further keywords go to the card.

        Raises
        ------
        TaggerError
            If the classes do not fit the network, or the card is not valid.
        """
        classes = tuple(classes)
        contract = card.pop("contract", {"constituent_fields": model.fields})
        try:
            description = Card(
                name=name,
                architecture=model.kind,
                options=model.options,
                classes=classes,
                signal=classes[-1] if signal is None and classes else signal,
                contract=contract,
                citation=card.pop("citation", model.paper),
                **card,
            )
        except pydantic.ValidationError as error:
            raise TaggerError(
                explain(f"a card with {faults(error)}", "a valid card", "correct the fields named above")
            ) from error
        return cls(model, description)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.card.classes

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    @property
    def content_hash(self) -> str:
        """SHA-256 of the weights and of all else that determines the scores; equal hashes give equal scores."""
        return self.card.content_hash or content_hash(self.model, self.card)

    def __repr__(self) -> str:
        return f"Tagger({self.name!r}, {self.card.architecture}, classes={self.classes}, {self.content_hash[:12]})"

    def to(self, device: torch.device | str) -> Tagger:
        """Move the network to a device."""
        self.model.to(device)
        return self

    def __call__(self, jets: ak.Array, *, pair_budget: int | None = None) -> ak.Array:
        """Score jets.

        Parameters
        ----------
        jets : ak.Array
            Canonical jets, any outer nesting; GeV. Traced jets (typetracers) give scores without values.
        pair_budget : int, optional
            Constituent pairs processed at once, which bounds the memory; scores do not depend on it.

        Returns
        -------
        ak.Array of float32
            In the jets' outer structure, None where a jet is missing: the signal's probability for two classes,
            a record with one probability per class for more. For a network whose output is a vector: vector's
            ``Momentum4D`` (GeV) or ``Vector3D`` records of float64.

        Raises
        ------
        JetError
            If the jets are not canonical or lack a column of the input contract.
        """
        if isinstance(jets, ak.Array) and is_traced(jets):
            return self._traced(jets)
        ragged, nesting = ragged_and_nesting(jets, self.card.contract.constituent_fields)
        self._check_range(ragged)
        if self.model.output != "classes":
            return nesting.restore(_vectors(self.outputs(ragged, pair_budget=pair_budget), self.model.output))
        probabilities = self.probabilities(ragged, pair_budget=pair_budget)
        if self.card.signal is not None and len(self.classes) == 2:
            return nesting.restore(probabilities[:, self.classes.index(self.card.signal)].copy())
        return nesting.restore(ak.zip({name: probabilities[:, k].copy() for k, name in enumerate(self.classes)}))

    def _traced(self, jets: ak.Array) -> ak.Array:
        fields = self.card.contract.constituent_fields
        check_structure(jets, fields)
        touch_jets(jets, fields)
        zeros = ak.num(jets["constituents"], axis=-1) * 0
        if self.model.output != "classes":
            names, kind = _VECTORS[self.model.output]
            columns = dict.fromkeys(names, ak.values_astype(zeros, np.float64))
            return ak.zip(columns, with_name=kind, behavior=vector.backends.awkward.behavior)
        score = ak.values_astype(zeros, np.float32)
        return score if len(self.classes) == 2 else ak.zip(dict.fromkeys(self.classes, score))

    def probabilities(self, jets: RaggedJets, *, pair_budget: int | None = None) -> F4:
        """Class probabilities (J, n_classes) of a ragged batch; see `outputs`."""
        logits = torch.from_numpy(self.outputs(jets, pair_budget=pair_budget))
        found: F4 = torch.softmax(logits, dim=1).float().numpy()
        return found

    def outputs(self, jets: RaggedJets, *, pair_budget: int | None = None) -> F8:
        """Logits, or components of vectors, one row per jet (see `coffea_equitag.tagger.inference`)."""
        return outputs(self.model, jets, pair_budget)

    def _check_range(self, jets: RaggedJets) -> None:
        bounds = self.card.contract.pt_range
        if bounds is None or self._warned or jets.num_jets == 0:
            return
        pt = torch.hypot(jets.jet_p4[:, 1], jets.jet_p4[:, 2]).numpy()
        outside = (pt < bounds[0]) | (pt > bounds[1])
        if outside.mean() <= _OUTSIDE:
            return
        self._warned = True
        median = float(np.median(pt))
        message = explain(
            f"{outside.sum()} of {len(pt)} jets given to {self.name} have pT outside the range it was trained on "
            f"(median {median:.4g} GeV)",
            f"jets of pT {bounds[0]:g} to {bounds[1]:g} GeV",
            "select jets in that range, or validate the tagger outside it before you use its scores",
        )
        if bounds[0] <= median / 1000 <= bounds[1]:
            message += "; these look like MeV: divide momenta and masses by 1000"
        warnings.warn(message, JetRangeWarning, stacklevel=3)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write ``model.safetensors`` and ``card.json`` into a folder.

        Parameters
        ----------
        path : path-like
            The folder; it appears only when complete.
        overwrite : bool
            Replace an existing tagger.

        Raises
        ------
        TaggerError
            If the path exists.
        """
        self.card = tagger_folder.write(Path(path), self.model, self.card, overwrite)
        self.path = Path(path).resolve()
        return Path(path)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            raise TaggerError(
                explain(
                    f"tagger {self.name!r} exists only in memory, and cannot be sent to another process",
                    "a tagger on disk: other processes load it by its path and hash",
                    "save it first: tagger.save('my-tagger/')",
                )
            )
        if content_hash(self.model, self.card) != self.card.content_hash:
            raise TaggerError(
                explain(
                    f"tagger {self.name!r} has changed since it was saved to {self.path}",
                    "the tagger on disk: other processes load it from there",
                    "save it again, in the precision in which it will be used",
                )
            )
        return _restore, (str(self.path), self.content_hash, self.model.device.type)


def load(source: str | os.PathLike[str], device: torch.device | str | None = None, *, shared: bool = False) -> Tagger:
    """Load a tagger from a folder or, by name, from the zoo. Nothing is unpickled.

    Parameters
    ----------
    source : path-like or str
        Folder written by `Tagger.save` or by `fit`, or a name from `coffea_equitag.zoo`.
    device : str, optional
        Default: the GPU if there is one.
    shared : bool
        Return the same tagger to every caller in this process (by content and device), loaded once.

    Raises
    ------
    TaggerError, CheckpointError
        If there is no such tagger or device, the card is invalid, or the weights do not fit the card.
    """
    global _loads
    path = tagger_folder.find(source)
    device = str(device_of(device))
    card = tagger_folder.read_card(path)
    key = (card.content_hash or "", device)
    if shared and key in _shared:
        return _shared[key]
    model = tagger_folder.read_model(path, card)
    _loads += 1
    tagger = Tagger(model.to(device), card, path.resolve())
    if shared:
        _shared[key] = tagger
    return tagger


def load_count() -> int:
    """How often this process has read weights from disk."""
    return _loads


def _vectors(components: F8, output: str) -> ak.Array:
    """Rows (E, px, py, pz) or (x, y, z) as vector's records."""
    names, kind = _VECTORS[output]
    columns = {name: components[:, k].copy() for k, name in enumerate(names)}
    return ak.zip(columns, with_name=kind, behavior=vector.backends.awkward.behavior)


def _restore(path: str, expected: str, device: str) -> Tagger:
    """Unpickle a tagger: load it by path, once per process and device, and check that it is the same."""
    device = device if device != "cuda" or torch.cuda.is_available() else "cpu"
    if (expected, device) in _shared:
        return _shared[expected, device]
    tagger = load(path, device, shared=True)
    if tagger.content_hash != expected:
        raise TaggerError(
            explain(
                f"the tagger in {path} has hash {tagger.content_hash[:12]}",
                f"{expected[:12]}, the one that was sent",
                "it has been replaced: run the analysis again, or save each version in its own folder",
            )
        )
    return tagger
