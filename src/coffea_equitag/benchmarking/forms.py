"""The forms (implementations) of a network that are compared."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .. import kernels
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from . import padded

__all__ = ["OURS", "PADDED", "REFERENCE", "forms_of"]

Logits = Callable[[], Tensor]

#: The form that `coffea_equitag` runs by default, its reference layers, and the usual one.
OURS, REFERENCE, PADDED = "coffea-equitag", "reference layers", "padded to the largest"

#: Fixed widths of padding, in addition to that of the batch's largest jet.
_WIDTHS = (128, 200)


def forms_of(model: JetModel, batch: RaggedJets) -> dict[str, Callable[[RaggedJets], Logits]]:
    """Name -> function that prepares (some) jets of the batch and returns a function computing their logits.

    Padded forms pad to the largest jet of the whole batch, whichever jets they get, or to a fixed width if that is
    enough. The forms of this package start from ragged momenta, the others from inputs prepared in advance: padded
    momenta, or edges. All compute invariants and features from them.
    """

    def in_mode(mode: str) -> Callable[[RaggedJets], Logits]:
        def prepare(jets: RaggedJets) -> Logits:
            def logits() -> Tensor:
                with kernels.use(mode):
                    out: Tensor = model(jets)
                return out

            return logits

        return prepare

    def at_width(width: int) -> Callable[[RaggedJets], Logits]:
        return lambda jets: padded.padded(model, jets, width)

    forms = {OURS: in_mode("auto"), REFERENCE: in_mode("reference")}
    if padded.has_padded(model.kind) and model.output == "classes" and batch.num_jets:
        largest = int(batch.counts.max())
        forms[PADDED] = at_width(largest)
        forms |= {f"padded to {width}": at_width(width) for width in _WIDTHS if width >= largest}
    if padded.has_edge_list(model.kind):
        forms["edge list"] = lambda jets: padded.edge_list(model, jets)
    return forms
