from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

import coffea_equitag as eqt
from coffea_equitag.jets import flatten
from coffea_equitag.jets.coordinates import coordinates_of

CONSTITUENT = {"pt": 20.0, "eta": 0.5, "phi": 1.0, "mass": 0.1}


def jets_with(**changes: float) -> ak.Array:
    """Three jets, with changes to the second constituent of the second jet."""
    good = dict(CONSTITUENT)
    return eqt.make_jets(ak.Array([[good], [good, good | changes], [good]]))


def test_make_jets_names_constituents_and_keeps_fields():
    jets = eqt.make_jets(ak.Array([[[CONSTITUENT | {"charge": 1}]], []]), label=[[1], []])
    assert jets.constituents.px.tolist() == [[[pytest.approx(20 * np.cos(1.0))]], []]
    assert jets.label.tolist() == [[1], []]
    assert jets.constituents.charge.tolist() == [[[1]], []]


def test_jets_with_their_own_momentum_are_vectors():
    jets = eqt.make_jets(ak.Array([[CONSTITUENT]]), pt=[30.0], eta=[0.0], phi=[0.0], mass=[5.0])
    assert jets.px.tolist() == [30.0]
    np.testing.assert_allclose(flatten(jets).jet_p4, [[np.hypot(30, 5), 30, 0, 0]])


@pytest.mark.parametrize(
    ("constituents", "label"),
    [
        ([[CONSTITUENT]], [0, 1]),  # awkward would turn one jet into two
        ([[CONSTITUENT], []], [1]),
        ([[CONSTITUENT], []], np.zeros(3)),
        ([[[CONSTITUENT]], [[CONSTITUENT]]], [[1], [1, 2]]),
        ([], [1]),
    ],
)
def test_fields_of_other_jets_are_refused(constituents, label):
    fields = ["pt", "eta", "phi", "mass"]
    empty = ak.Array([[CONSTITUENT]])[:0][fields]
    with pytest.raises(eqt.JetError, match=r"field label with .*\n.*one value per jet"):
        eqt.make_jets(ak.Array(constituents) if constituents else empty, label=label)


@pytest.mark.parametrize("name", ["energy", "E", "px", "theta", "t"])
def test_one_set_of_coordinates(name):
    """Vector cannot build a four-momentum from more than one, and says so only when it is used."""
    constituents = ak.Array([[CONSTITUENT | {name: 30.0}]])
    with pytest.raises(eqt.JetError, match=f"constituents with {name} in addition to pt, eta, phi, mass"):
        eqt.make_jets(constituents)
    own = {key: [1.0] for key in CONSTITUENT}
    with pytest.raises(eqt.JetError, match=f"jets with {name} in addition to"):
        eqt.make_jets(constituents[list(CONSTITUENT)], **own, **{name: [1.0]})


def test_a_number_is_every_jets():
    assert eqt.make_jets(ak.Array([[CONSTITUENT], []]), label=1).label.tolist() == [1, 1]


def test_jet_momentum_is_the_sum_without_its_own():
    flat = flatten(jets_with())
    np.testing.assert_allclose(flat.jet_p4[1], 2 * flat.jet_p4[0])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("px", "py", "pz", "E"), {"px": "px", "py": "py", "pz": "pz", "E": "E"}),
        (("x", "y", "z", "energy"), {"px": "x", "py": "y", "pz": "z", "E": "energy"}),
        (("pt", "eta", "phi", "mass", "E"), {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "mass"}),
        (("pt", "eta", "phi"), None),
    ],
)
def test_coordinates_of(fields, expected):
    assert coordinates_of(fields) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["pt", "eta", "phi", "mass"])
def test_not_finite_is_refused_and_located(field, value):
    with pytest.raises(eqt.JetError, match=rf"jet 1, constituent 1: {field} = .*(nan|inf)"):
        eqt.validate(jets_with(**{field: value}))


def test_negative_pt_is_refused():
    with pytest.raises(eqt.JetError, match=r"jet 1, constituent 1: pt = -3"):
        eqt.validate(jets_with(pt=-3.0))


def test_negative_mass_is_zero():
    assert flatten(jets_with(mass=-2e-3)).momenta.mass.tolist() == [0.1, 0.1, 0.0, 0.1]


def test_energy_below_momentum():
    def jets(energy):
        return eqt.make_jets(ak.Array([[{"px": 3.0, "py": 4.0, "pz": 0.0, "E": energy}]]))

    assert flatten(jets(5.0 * (1 - 1e-9))).momenta.mass.tolist() == [0.0]
    with pytest.raises(eqt.JetError, match=r"jet 0, constituent 0: E = 4 GeV is less than \|p\| = 5 GeV"):
        eqt.validate(jets(4.0))


def test_megaelectronvolts_are_noticed():
    jets = eqt.make_jets(ak.Array([[CONSTITUENT | {"pt": 600e3}]]))
    with pytest.raises(eqt.JetError, match="MeV"):
        eqt.validate(jets)


def test_padding_is_dropped():
    padded = ak.Array([[CONSTITUENT, dict.fromkeys(CONSTITUENT, 0.0)], [dict.fromkeys(CONSTITUENT, 0.0)]])
    flat = flatten(eqt.make_jets(padded))
    assert flat.offsets.tolist() == [0, 1, 1]
    assert len(flat.momenta.mass) == 1


def test_missing_constituents_are_dropped_and_missing_jets_stay():
    jets = eqt.make_jets(ak.Array([[CONSTITUENT, None, CONSTITUENT], [None]]))
    assert flatten(jets).offsets.tolist() == [0, 2, 2]
    jets = ak.mask(jets, np.array([False, True]))
    flat = flatten(jets)
    assert flat.offsets.tolist() == [0, 0]
    assert flat.nesting.restore(np.array([7.0])).tolist() == [None, 7.0]


def test_missing_value_in_a_column_is_refused():
    jets = eqt.make_jets(ak.Array([[CONSTITUENT | {"charge": 1}], [CONSTITUENT | {"charge": None}]]))
    with pytest.raises(eqt.JetError, match="jet 1, constituent 0: a missing value in column 'charge'"):
        flatten(jets, ["charge"])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda jets: jets[0], "one jet"),
        (lambda jets: [1, 2], "type list"),
        (lambda jets: jets.constituents, "without 'constituents'"),
        (lambda jets: ak.zip({"constituents": jets.constituents.pt}, depth_limit=1), "without a complete"),
        (lambda jets: ak.Array({"constituents": ak.Array([CONSTITUENT])}), "one list of constituents per jet"),
    ],
)
def test_wrong_structure(wrong, words):
    with pytest.raises(eqt.JetError, match=words):
        eqt.validate(wrong(jets_with()))


def test_lacking_column_lists_what_is_there():
    with pytest.raises(eqt.JetError, match="without 'pdgId'; they have pt, eta, phi, mass"):
        eqt.validate(jets_with(), require=["pdgId"])


@pytest.mark.parametrize("depth", [1, 2])
def test_no_jets_and_empty_jets(depth, random_jets):
    jets = random_jets([0, 3, 0])
    jets = jets if depth == 1 else ak.unflatten(jets, [2, 0, 1])
    assert flatten(jets).offsets.tolist() == [0, 0, 3, 3]
    none = flatten(jets[:0])
    assert none.offsets.tolist() == [0]
    assert none.momenta.p4.shape == (0, 4)
    assert none.jet_p4.shape == (0, 4)


def test_virtual_and_sliced_arrays_give_the_same(random_jets):
    jets = ak.unflatten(random_jets([4, 0, 2, 7, 1]), [3, 0, 2])
    form, length, buffers = ak.to_buffers(jets)
    virtual = ak.from_buffers(form, length, {k: (lambda v=v: v) for k, v in buffers.items()}, behavior=jets.behavior)
    expected = flatten(jets)
    flat = flatten(virtual)
    np.testing.assert_array_equal(flat.momenta.p4, expected.momenta.p4)
    np.testing.assert_array_equal(flat.offsets, expected.offsets)
    picked = flatten(jets[[2, 0]][:, ::-1])
    assert np.diff(picked.offsets).tolist() == [1, 7, 2, 0, 4]


def test_columns_of_records_inside_constituents():
    track = CONSTITUENT | {"charge": 1, "ip": {"x": 0.1, "y": 0.2, "z": 0.3}}
    jets = eqt.make_jets(ak.Array([[track], [], [track | {"charge": 0}, track]]))
    columns = flatten(jets[::-1], ("ip.y", "ip.z")).columns
    assert columns["ip.y"].tolist() == [0.0, 0.2, 0.2]  # neutral particles have no track
    assert columns["ip.z"].tolist() == [0.0, 0.3, 0.3]
    assert set(columns) == {"ip.y", "ip.z"}
    with pytest.raises(eqt.JetError, match=r"without 'position\.x'"):
        flatten(jets, ("position.x",))
