"""Which deviations of a file are seen: those of small probabilities, too, on which rejections rest."""

from __future__ import annotations

import pytest
import torch

import coffea_equitag as eqt
from coffea_equitag.export.program import graph_of
from coffea_equitag.export.verification import TOLERANCE, verify
from export.test_networks import tagger_of


@pytest.fixture
def tagger():
    """Probabilities of the second class are 1e-6 or less."""
    found = tagger_of("pfn", phi=(4,), f=(4,))
    last = [layer for layer in found.model.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias[0] += 20
    return found


def changed(tagger, change):
    """What verification finds of a file with changed probabilities."""
    graph = graph_of(tagger, "ragged", "polar", False, torch.float32)
    return verify(lambda *inputs: change(graph(*inputs)), tagger, "ragged", "polar", False)


def test_small_probabilities(tagger):
    scores = []
    assert changed(tagger, lambda found: scores.append(found) or found).deviation <= TOLERANCE
    assert 1e-30 < torch.cat(scores)[:, 1].max() < 1e-6
    with pytest.raises(eqt.ExportError, match=r"deviate by 0\.0\d* from the layers"):
        changed(tagger, lambda found: found * torch.tensor([1.0, 2.0]))  # no probability moves by 1e-5
    with pytest.raises(eqt.ExportError, match=r"deviate by inf"):
        changed(tagger, lambda found: found * torch.tensor([1.0, torch.nan]))


def test_probabilities_that_are_no_more_than_rounding(tagger):
    """Below 1e-30 all count as 0."""
    last = [layer for layer in tagger.model.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias[0] += 80
    assert changed(tagger, lambda found: found * torch.tensor([1.0, 0.0])).deviation <= TOLERANCE
