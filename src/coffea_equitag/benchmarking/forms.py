"""The forms in which a network is computed: what is compared with what."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .. import kernels
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from . import padded

__all__ = ["OURS", "REFERENCE", "forms_of"]

Logits = Callable[[], Tensor]

#: As `coffea_equitag` runs it, whatever form that is; and its reference layers.
OURS, REFERENCE = "coffea-equitag", "reference layers"

#: Widths of padding beside the batch's largest jet.
_WIDTHS = (128, 200)


def forms_of(model: JetModel, batch: RaggedJets) -> dict[str, Callable[[RaggedJets], Logits]]:
    """Name -> what makes, from (some of) the jets of the batch, a function that computes their logits.

    Padded forms pad to the whole batch's largest jet whichever jets they get, or to a fixed width where it suffices.
    The forms of this package start from ragged momenta, the others from what is laid out beforehand: padded momenta,
    or edges. All form invariants and features of them.
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
    if padded.has_padded(model.kind) and batch.num_jets:
        largest = int(batch.counts.max())
        forms["padded to the largest"] = at_width(largest)
        forms |= {f"padded to {width}": at_width(width) for width in _WIDTHS if width >= largest}
    if padded.has_edge_list(model.kind):
        forms["edge list"] = lambda jets: padded.edge_list(model, jets)
    return forms
