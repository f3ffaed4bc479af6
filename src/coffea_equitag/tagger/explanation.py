"""Which constituents a score depends on: gradient × input, one number per constituent."""

from __future__ import annotations

import copy
from collections.abc import Callable

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from ..array_types import F8
from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..jets.coordinates import coordinates_of
from ..jets.impact_parameter import IMPACT_COLUMNS
from ..jets.nesting import Nesting, unnest
from ..jets.ragged import RaggedJets
from .card import Card
from .inference import default_budget, pieces

__all__ = ["columns_to_scale", "gradient_times_input", "in_structure", "quantity"]

#: Output of a network without classes -> what may be explained of it, the default first.
_OF_VECTORS: dict[str, dict[str, Callable[[Tensor], Tensor]]] = {
    "momentum": {
        "mass": lambda p: (p[:, 0].square() - p[:, 1:].square().sum(1)).clamp(min=1e-30).sqrt(),
        "pt": lambda p: torch.hypot(p[:, 1], p[:, 2]),
        "energy": lambda p: p[:, 0],
    },
    "vector": {"size": lambda v: v.norm(dim=1)},
}

#: Coordinates that may differ from 0 in padding, which has no momentum.
_NO_MOMENTUM = ("eta", "phi", "mass")

#: Gradients keep what every layer computes: fewer pairs at once than for scores.
_SHARE_OF_BUDGET = 4


def quantity(card: Card, output: str, of: str | None) -> Callable[[Tensor], Tensor]:
    """What is explained, as a function of the network's outputs (J, K): log-odds of a class, or part of a vector.

    Raises
    ------
    TaggerError
        If the tagger has nothing of that name.
    """
    names = tuple(card.classes) if output == "classes" else tuple(_OF_VECTORS[output])
    name = of if of is not None else card.signal if output == "classes" else names[0]
    if name not in names:
        raise TaggerError(
            explain(f"of = {of!r} for {card.name}", f"one of {', '.join(names)}", "leave it out for the default")
        )
    if output != "classes":
        return _OF_VECTORS[output][str(name)]
    at, others = names.index(str(name)), [k for k, one in enumerate(names) if one != name]
    return lambda logits: (logits[:, at] - torch.logsumexp(logits[:, others], 1)) / card.temperature


def columns_to_scale(inputs: str, card: Card) -> tuple[str, ...]:
    """The columns that an input consists of; none for ``"momentum"``.

    Raises
    ------
    TaggerError
        If it is not among the tagger's inputs, or is a number that stands for a type of particle.
    """
    fields = card.contract.constituent_fields
    choices: dict[str, tuple[str, ...]] = {"momentum": ()}
    choices |= {name: (name,) for name in fields if name not in (*IMPACT_COLUMNS, "pdgId")}
    if set(IMPACT_COLUMNS) <= set(fields):
        choices["ip"] = IMPACT_COLUMNS
    if inputs not in choices:
        raise TaggerError(
            explain(
                f"inputs = {inputs!r} for {card.name}",
                f"one of {', '.join(sorted(choices))}",
                "name a numerical input of this tagger",
            )
        )
    return choices[inputs]


def gradient_times_input(
    model: JetModel,
    jets: RaggedJets,
    of: Callable[[Tensor], Tensor],
    *,
    column: tuple[str, ...] = (),
    jets_too: bool = True,
    pair_budget: int | None = None,
) -> F8:
    """Σ x ∂f/∂x over the components of one input of each constituent, in float64 and by the network's layers.

    Parameters
    ----------
    model : JetModel
        The network, which stays as it is.
    jets : RaggedJets
        The batch, not made in torch's inference mode.
    of : callable
        f (J,) of the network's outputs (J, K).
    column : tuple of str
        The input: columns of the constituents; none for the four-momentum.
    jets_too : bool
        Whether the jets' momenta are sums of their constituents'.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    network = copy.deepcopy(model).double().eval().requires_grad_(False)
    budget = (pair_budget or default_budget(model)) // _SHARE_OF_BUDGET
    found = [np.empty(0)]
    with torch.enable_grad():
        for piece in pieces(model, jets, max(budget, 1)):
            batch = piece.to(model.device)
            log_scale = torch.zeros_like(batch.mass, requires_grad=True)
            scaled = _scaled_columns(batch, log_scale, column) if column else batch.scaled(log_scale, jets_too=jets_too)
            total = of(network(scaled)).sum()
            gradient = torch.autograd.grad(total, log_scale, allow_unused=True)[0] if total.requires_grad else None
            found.append(np.zeros(len(batch.mass)) if gradient is None else gradient.cpu().numpy())
    return np.concatenate(found)


def _scaled_columns(jets: RaggedJets, log_scale: Tensor, names: tuple[str, ...]) -> RaggedJets:
    factor = torch.exp(log_scale)
    changed = {name: jets.columns[name].double() * factor for name in names}
    return RaggedJets(jets.p4, jets.mass, jets.offsets, jets.jet_p4, jets.polar, {**jets.columns, **changed})


def in_structure(values: F8, jets: ak.Array, nesting: Nesting) -> ak.Array:
    """One value per constituent that the network saw, in the structure of the jets' constituents.

    Parameters
    ----------
    values : ndarray, shape (N,)
        Missing constituents and padding have none.
    jets : ak.Array
        The jets they are from.
    nesting : Nesting
        The jets' outer structure.

    Returns
    -------
    ak.Array
        0 for padding, None for missing constituents and jets.
    """
    _, records = unnest(jets[["constituents"]])
    lists = ak.drop_none(records["constituents"], axis=0)
    counts = ak.to_numpy(ak.num(lists, axis=1))
    flat = ak.flatten(lists, axis=1)
    momenta = [field for name, field in (coordinates_of(flat.fields) or {}).items() if name not in _NO_MOMENTUM]
    missing = ak.to_numpy(ak.is_none(flat[momenta[0]]))
    seen = np.zeros(len(missing), dtype=np.bool_)
    for field in momenta:
        seen |= ak.to_numpy(ak.fill_none(flat[field] != 0, False))
    filled = np.zeros(len(seen))
    filled[seen] = values
    content = ak.mask(filled, ~missing) if missing.any() else ak.Array(filled)
    return nesting.restore(ak.unflatten(content, counts))
