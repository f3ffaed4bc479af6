"""Truth from synthetic records: flavours, W bosons."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag.simulation.matching import BOTTOM, CHARM, LIGHT, flavour, holds_w, w_decays


def _record(events):
    """Records of (id, status, mother1, pt, eta, phi)."""
    columns = {name: [] for name in ("id", "status", "mother1", "m", "px", "py", "pz")}
    for event in events:
        for name, values in zip(
            ("id", "status", "mother1"), zip(*[row[:3] for row in event], strict=True), strict=True
        ):
            columns[name].append(list(values))
        pt, eta, phi = np.array([row[3:] for row in event], float).T
        for name, values in (("px", pt * np.cos(phi)), ("py", pt * np.sin(phi)), ("pz", pt * np.sinh(eta))):
            columns[name].append(values.tolist())
        columns["m"].append([0.0] * len(event))
    momentum = ak.zip({name: ak.Array(columns[name]) for name in ("px", "py", "pz")})
    return ak.zip(
        {name: ak.Array(columns[name]) for name in ("id", "status", "mother1", "m")} | {"p": momentum}, depth_limit=2
    )


@pytest.mark.parametrize(
    ("hadrons", "expected"),
    [
        ([(511, 40)], BOTTOM),
        ([(-5122, 40), (421, 30)], BOTTOM),
        ([(10513, 40)], BOTTOM),
        ([(421, 30)], CHARM),
        ([(-4122, 30)], CHARM),
        ([(443, 30)], CHARM),
        ([(511, 4)], LIGHT),
        ([(211, 50), (2212, 50), (310, 50)], LIGHT),
        # quarks and diquarks are not hadrons
        ([(5, 50), (4, 50), (5101, 50), (4203, 50)], LIGHT),
    ],
)
def test_flavour_is_that_of_the_hadrons(hadrons, expected):
    record = _record([[(code, -83, 0, pt, 0.1, 3.1) for code, pt in hadrons]])
    jets = ak.zip({"eta": [[0.0, 0.7]], "phi": [[-3.1, -3.1]]})
    assert flavour(jets, record, 0.5).to_list() == [[expected, LIGHT]]
    assert flavour(jets[:, :0], record, 0.5).to_list() == [[]]


def test_w_and_its_quarks():
    event = [
        (90, -11, 0, 1, 0, 0),
        (24, -22, 0, 600, 0.0, 0.0),
        (2, 23, 1, 400, 0.1, 0.1),
        (-1, 23, 1, 200, -0.3, -0.2),
        (21, 23, 0, 600, 0.0, 3.0),
    ]
    decays = w_decays(_record([event, event]))
    assert decays.pdgId.to_list() == [[24, 2, -1]] * 2
    assert decays.mother.to_list() == [[-1, 0, 0]] * 2
    jets = ak.Array([[{"eta": 0.0, "phi": 0.0}, {"eta": 0.0, "phi": 3.0}], [{"eta": 0.6, "phi": 0.0}]])
    assert holds_w(jets, decays, 0.8).to_list() == [[True, False], [False]]
