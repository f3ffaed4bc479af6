"""A trained model and its input contract: load, save, call."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pydantic
import torch

from ..array_types import F4, F8
from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..jets.coordinates import coordinates_of
from ..jets.ragged import RaggedJets, ragged_and_nesting
from ..jets.tracing import is_traced
from ..validation import faults
from . import storage as tagger_folder
from .card import Card, at_temperature
from .constituents import constituent_probabilities
from .explanation import columns_to_scale, gradient_times_input, in_structure, quantity
from .inference import outputs, rows, vectors
from .pins import replace_pin
from .range_check import warn_outside
from .storage import content_hash
from .traced import traced_scores

__all__ = ["Tagger"]


class Tagger:
    """A trained network with its card.

    Parameters
    ----------
    model : JetModel
        The network; put into evaluation mode.
    card : Card
        Its description.
    path : Path, optional
        Its folder on disk. A tagger without one is saved when it is first sent to another process, in the folder
        ``COFFEA_EQUITAG_TAGGERS`` or else in the user's cache.

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
        model.max_constituents = card.contract.max_constituents
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
        own = {"constituent_fields": model.fields, "max_constituents": model.max_constituents}
        contract = card.pop("contract", own)
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
        return content_hash(self.model, self.card)

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
            return traced_scores(jets, self.card, self.model.output)
        ragged, nesting = ragged_and_nesting(jets, self.card.contract.constituent_fields)
        self._warned = self._warned or warn_outside(self.card, ragged)
        if self.model.output != "classes":
            return nesting.restore(vectors(self.outputs(ragged, pair_budget=pair_budget), self.model.output))
        probabilities = self.probabilities(ragged, pair_budget=pair_budget)
        if self.card.signal is not None and len(self.classes) == 2:
            return nesting.restore(probabilities[:, self.classes.index(self.card.signal)].copy())
        return nesting.restore(ak.zip({name: probabilities[:, k].copy() for k, name in enumerate(self.classes)}))

    def constituents(self, jets: ak.Array, *, pair_budget: int | None = None) -> ak.Array:
        """What a tagger that keeps its auxiliary tasks says of the constituents (``fit(keep_auxiliary=True)``).

        Parameters
        ----------
        jets, pair_budget
            As for scores; the jets must have values.

        Returns
        -------
        ak.Array of float32
            ``[...][jet][constituent]``: for each task a record of probabilities, one per class. None where a jet is
            missing, and for constituents that the network leaves out (see the card's ``max_constituents``).

        Raises
        ------
        TaggerError
            If the tagger has no auxiliary tasks.
        JetError
            As for scores.
        """
        if not self.card.auxiliary:
            given = f"{self.name}, which has no auxiliary tasks"
            raise TaggerError(explain(given, "a tagger that kept them", "train it with keep_auxiliary=True"))
        ragged, nesting = ragged_and_nesting(jets, self.card.contract.constituent_fields)
        numbers = {task: len(classes) for task, classes in self.card.auxiliary.items()}
        found = constituent_probabilities(self.model, ragged, numbers, pair_budget)
        tasks = {
            task: ak.mask(
                ak.zip({name: found[task][:, k].copy() for k, name in enumerate(classes)}),
                ~np.isnan(found[task][:, 0]),
            )
            for task, classes in self.card.auxiliary.items()
        }
        return nesting.restore(ak.unflatten(ak.zip(tasks), ragged.counts.numpy()))

    def probabilities(self, jets: RaggedJets, *, pair_budget: int | None = None) -> F4:
        """Class probabilities (J, n_classes) of a ragged batch, at the card's temperature; see `outputs`."""
        logits = torch.from_numpy(self.outputs(jets, pair_budget=pair_budget))
        found: F4 = torch.softmax(logits / self.card.temperature, dim=1).float().numpy()
        return found

    def explain(
        self, jets: ak.Array, *, of: str | None = None, inputs: str = "momentum", pair_budget: int | None = None
    ) -> ak.Array:
        """Gradient × input of each constituent: how much the output depends on it.

        With f the log-odds log p/(1 − p) of a class and x an input of constituent i, this is Σ x ∂f/∂x over the
        components of x: for the four-momentum, ∂f/∂log λ when p_i becomes λ p_i (and the jet's momentum with it, unless
        the jets carry their own). Computed in float64 by the network's layers; 0 for a score that ignores the
        constituent.

        Parameters
        ----------
        jets : ak.Array
            Canonical jets, any outer nesting.
        of : str, optional
            The class, default the signal; of a network for momenta ``"mass"`` (default), ``"pt"`` or ``"energy"`` in
            GeV, of one for vectors ``"size"``.
        inputs : str
            ``"momentum"``, or a column among the tagger's inputs, such as ``"charge"``, ``"d0"``, or ``"ip"`` for all
            three components.

        Returns
        -------
        ak.Array of float64
            In the structure of ``jets.constituents``: None where a jet or constituent is missing, 0 for padding.

        Raises
        ------
        JetError
            If the jets are not canonical or lack a column of the input contract.
        TaggerError
            If the tagger has no such class or input, or the input is a number of a particle type.
        """
        f = quantity(self.card, self.model.output, of)
        column = columns_to_scale(inputs, self.card)
        with torch.inference_mode(False):
            ragged, nesting = ragged_and_nesting(jets, self.card.contract.constituent_fields)
            jets_too = coordinates_of(jets.fields) is None
            values = gradient_times_input(
                self.model, ragged, f, column=column, jets_too=jets_too, pair_budget=pair_budget
            )
        return in_structure(values, jets, nesting)

    def embed(self, jets: ak.Array, *, pair_budget: int | None = None) -> ak.Array:
        """Features of each jet just before the network's head, as its `embeds` says (see docs/howto/explanations.md).

        Parameters
        ----------
        jets, pair_budget
            As for scores.

        Returns
        -------
        ak.Array
            One list of C numbers per jet, all of the same length, in the jets' outer structure and the network's
            precision; None where a jet is missing.
        """
        ragged, nesting = ragged_and_nesting(jets, self.card.contract.constituent_fields)
        found = rows(self.model.embed, self.model, ragged, pair_budget)
        return nesting.restore(ak.from_numpy(found, regulararray=True))

    def with_temperature(self, temperature: float) -> Tagger:
        """The same network with logits divided by a temperature (see `evaluation.fit_temperature`); another hash."""
        return Tagger(self.model, at_temperature(self.card, temperature))

    def outputs(self, jets: RaggedJets, *, pair_budget: int | None = None) -> F8:
        """Logits, or components of vectors, one row per jet (see `coffea_equitag.tagger.inference`)."""
        return outputs(self.model, jets, pair_budget)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write ``model.safetensors`` and ``card.json`` into a folder.

        Parameters
        ----------
        path : path-like
            The folder; it appears only when complete.
        overwrite : bool
            Replace an existing tagger: whoever reads meanwhile, or after a crash, finds the old or the new one.

        Raises
        ------
        TaggerError
            If the path exists, or the card is not valid.
        OSError
            If the disk is full.
        """
        self.card = tagger_folder.write(Path(path), self.model, self.card, overwrite)
        self.path = Path(path).resolve()
        replace_pin(self.path, str(self.card.content_hash))
        return Path(path)

    def export(self, path: str | os.PathLike[str], format: str | None = None, **options: Any) -> Any:
        """Write the tagger as ``m.onnx``, ``m.pt2`` or into the folder of a Triton Inference Server.

        Parameters
        ----------
        path, format, **options
            As for `coffea_equitag.export.export`.

        Returns
        -------
        coffea_equitag.export.Export
            Path, inputs, outputs, and how far the file's scores are from the tagger's.

        Raises
        ------
        ExportError
            If the network has no such format, the path exists, or the file does not give the tagger's scores.
        """
        # it stands on a floor above this one, and is imported only when it is wanted
        exporting = importlib.import_module("coffea_equitag.export")
        return exporting.export(self, path, format, **options)
