"""Histograms of a tagger's inputs, against jets that are worked out by hand."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from coffea_equitag import JetError
from coffea_equitag.demo import PACKAGED_JETS
from coffea_equitag.evaluation import compare, input_histograms, plots
from coffea_equitag.jets import make_jets
from coffea_equitag.readers import read_jets


@pytest.fixture
def jets():
    """Two constituents at distance 0.11 on either side of the axis, one that is the axis, and an empty jet."""
    constituents = ak.zip(
        {
            "pt": [[61.0, 39.0], [50.0], []],
            "eta": [[0.11, -0.11], [1.0], []],
            "phi": [[0.0, 0.0], [2.0], []],
            "mass": [[0.0, 0.0], [0.0], []],
        },
        with_name="Momentum4D",
    )
    return make_jets(constituents, pt=[100.0, 50.0, 30.0], eta=[0.0, 1.0, 0.0], phi=[0.0, 2.0, 0.0], mass=[10.0, 1, 1])


def contents(histogram):
    view = histogram[{"dataset": "mc", "systematic": "nominal"}].view(flow=True)
    return {float(histogram.axes[-1].edges[k - 1]): (v, w) for k, (v, w) in enumerate(view.tolist()) if v or w}


def near(found, expected):
    assert list(found) == pytest.approx(list(expected))
    np.testing.assert_allclose(list(found.values()), list(expected.values()))


def test_values_and_variances(jets):
    found = input_histograms(jets, [2.0, 3.0, 5.0], dataset="mc")
    near(contents(found["constituents"]), {0: (10, 38)})
    # in bins of 0.026 and 0.26: shares 0.61 and 1; log 0.61 = -0.494, log 0.39 = -0.942 and log 1 = 0
    near(contents(found["hardest_fraction"]), {0.598: (2, 4), 0.988: (3, 9)})
    near(contents(found["log_pt_fraction"]), {-1.16: (2, 4), -0.64: (2, 4), -0.12: (3, 9)})
    # two constituents of one jet in one bin are one entry of twice the weight
    near(contents(found["delta_r"]), {0.0: (3, 9), 0.1: (4, 16)})


def test_missing_jets_and_outer_lists(jets):
    nested = ak.Array([[jets[0], None], [], [jets[1], jets[2]]])
    alone = input_histograms(jets, [2.0, 3.0, 3.0], dataset="mc")
    for weights in ([[2.0, 7.0], [], [3.0, 3.0]], [2.0, 1.0, 3.0]):
        assert input_histograms(nested, weights, dataset="mc") == alone


def test_weights_must_fit(jets):
    with pytest.raises(JetError, match="one weight for each jet"):
        input_histograms(jets, [1.0, 2.0])
    with pytest.raises(JetError, match="one weight for each jet"):
        input_histograms(jets, [1.0, None, 2.0])


def test_no_jets(jets):
    found = input_histograms(jets[:0], dataset="mc")
    assert all(histogram.sum(flow=True).value == 0 for histogram in found.values())


def test_chunks_add_up_and_plot(tmp_path):
    jets = read_jets(PACKAGED_JETS)[:300]
    tops, qcd = jets[jets.label == 1], jets[jets.label == 0]
    whole = input_histograms(tops, dataset="top")
    parts = [input_histograms(tops[k::2], dataset="top") for k in (0, 1)]
    for name, histogram in whole.items():
        both = parts[0][name] + parts[1][name]
        np.testing.assert_allclose(both.values(flow=True), histogram.values(flow=True))
        together = both + input_histograms(qcd, dataset="qcd")[name]
        found = compare(together, "top", {"QCD": "qcd"}, normalise=True)
        assert found.total.sum() == pytest.approx(found.data.sum())
        plots.data_simulation(together, "top", {"QCD": "qcd"}, normalise=True).savefig(tmp_path / f"{name}.png")
    # tops have more constituents than QCD jets
    mean = {name: np.average(hist_.axes[-1].centers, weights=hist_.values()[0, 0]) for name, hist_ in (
        ("top", whole["constituents"]), ("qcd", input_histograms(qcd)["constituents"])
    )}  # fmt: skip
    assert mean["top"] > mean["qcd"]
