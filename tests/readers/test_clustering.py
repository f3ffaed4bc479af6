"""Clustering with FastJet."""

from __future__ import annotations

import subprocess
import sys

import awkward as ak
import numpy as np
import pytest
import vector

from coffea_equitag.errors import JetError
from coffea_equitag.jets import validate
from coffea_equitag.readers import cluster, jet_algorithms


def particles(num_particles=(40, 0, 25, 1), seed=1):
    random = np.random.default_rng(seed)
    total = sum(num_particles)
    flat = ak.zip({
        "pt": random.exponential(5, total) + 0.1,
        "eta": random.uniform(-2, 2, total),
        "phi": random.uniform(-np.pi, np.pi, total),
        "mass": np.full(total, 0.14),
        "charge": random.integers(-1, 2, total),
    })  # fmt: skip
    return ak.unflatten(flat, num_particles)


def test_every_particle_is_in_one_jet_and_momentum_is_kept():
    given = particles()
    jets = cluster(given)
    assert ak.sum(ak.num(jets.constituents, axis=2), axis=1).tolist() == [40, 0, 25, 1]
    assert ak.num(jets, axis=1)[1] == 0
    summed = ak.sum(jets.constituents, axis=-1)
    for name in ("px", "py", "pz", "E"):
        assert ak.flatten(getattr(jets, name)).to_numpy() == pytest.approx(
            ak.flatten(getattr(summed, name)).to_numpy(), rel=1e-9, abs=1e-9
        )
    assert sorted(ak.flatten(jets.constituents.pt, axis=None)) == sorted(ak.flatten(given.pt))
    assert "charge" in jets.constituents.fields
    assert ak.all(jets.pt[:, :-1] >= jets.pt[:, 1:], axis=None)
    validate(jets, require=("charge",))


@pytest.mark.parametrize("size", [1, 30, 10**6])
def test_chunks_do_not_matter(monkeypatch, size):
    given = particles((5, 0, 0, 17, 3, 30, 0))
    expected = cluster(given, 0.4, "kt", min_pt=5).tolist()
    monkeypatch.setattr(jet_algorithms, "CHUNK_PARTICLES", size)
    assert cluster(given, 0.4, "kt", min_pt=5).tolist() == expected


def test_min_pt():
    jets = cluster(particles(), min_pt=20)
    assert ak.all(jets.pt >= 20, axis=None)
    assert len(jets) == 4


@pytest.mark.parametrize("counts", [(), (0,), (0, 0, 0)])
def test_nothing_to_cluster(counts):
    jets = cluster(particles((3,))[:0] if not counts else particles((*counts, 3))[: len(counts)])
    assert ak.num(jets, axis=1).tolist() == list(counts)
    assert {"pt", "eta", "phi", "mass", "constituents"} == set(jets.fields)


def test_missing_and_empty_particles_are_dropped():
    given = particles((3, 2))
    masked = ak.mask(given, ak.Array([[True, False, True], [True, True]]))
    expected = given[ak.Array([[True, False, True], [True, True]])]
    assert cluster(masked).tolist() == cluster(expected).tolist()
    padded = ak.concatenate([given, ak.with_field(ak.with_field(given, 0.0, "pt"), 0.0, "mass")], axis=1)
    assert cluster(padded).pt.tolist() == cluster(given).pt.tolist()


def test_float32_cartesian():
    given = particles()
    p4 = ak.with_name(given, "Momentum4D", behavior=vector.backends.awkward.behavior)
    cartesian = ak.values_astype(ak.zip({"px": p4.px, "py": p4.py, "pz": p4.pz, "E": p4.E}), np.float32)
    assert ak.flatten(cluster(cartesian).pt).to_numpy() == pytest.approx(
        ak.flatten(cluster(given).pt).to_numpy(), rel=1e-5
    )


@pytest.mark.parametrize("p", [-1, 0, 1])
def test_generalised_kt_is_the_named_algorithm(p):
    named = {-1: "anti-kt", 0: "cambridge-aachen", 1: "kt"}[p]
    given = particles()
    assert cluster(given, 0.6, "genkt", p=p).tolist() == cluster(given, 0.6, named).tolist()


@pytest.mark.parametrize("algorithm", ["durham", "kt", "cambridge-aachen"])
def test_exclusive_jets(algorithm):
    given = particles((40, 0, 2, 3))
    jets = cluster(given, algorithm=algorithm, n_jets=3)
    assert ak.num(jets, axis=1).tolist() == [3, 0, 2, 3]
    if algorithm == "durham":  # the others leave what is closest to the beam
        assert ak.sum(ak.num(jets.constituents, axis=2), axis=1).tolist() == [40, 0, 2, 3]
    assert ak.all(jets.pt[:, :-1] >= jets.pt[:, 1:], axis=None)
    summed = ak.sum(jets.constituents, axis=-1)
    assert ak.flatten(jets.E).to_numpy() == pytest.approx(ak.flatten(summed.E).to_numpy())
    assert ak.all(cluster(given, algorithm=algorithm, n_jets=3, min_pt=50).pt >= 50, axis=None)


def test_durham_merges_the_smallest_distance():
    # of three massless particles, those with the smallest min(E_i, E_j)^2 (1 - cos) become one jet
    momenta = np.array([[50.0, 0.0, 0.0], [-40.0, 5.0, 0.0], [10.0, -5.0, 0.0]])
    energy = np.linalg.norm(momenta, axis=1)
    cosine = momenta @ momenta.T / np.outer(energy, energy)
    pairs = [(0, 1), (0, 2), (1, 2)]
    i, j = min(pairs, key=lambda pair: min(energy[list(pair)]) ** 2 * (1 - cosine[pair]))
    columns = dict(zip(("px", "py", "pz"), momenta.T, strict=True)) | {"E": energy}
    jets = cluster(ak.Array([ak.to_list(ak.zip(columns))]), algorithm="durham", n_jets=2)
    merged = jets.constituents[ak.num(jets.constituents, axis=2) == 2][0, 0]
    assert sorted(merged.E.tolist()) == pytest.approx(sorted([energy[i], energy[j]]))


def test_weights_multiply_four_momenta():
    given = particles()
    random = np.random.default_rng(2)
    weights = ak.unflatten(random.choice([0.0, 0.5, 1.0], 66), [40, 0, 25, 1])
    weighted = ak.with_field(given, weights, "puppiWeight")
    scaled = ak.with_field(ak.with_field(given, given.pt * weights, "pt"), given.mass * weights, "mass")[weights > 0]
    jets, expected = cluster(weighted, 0.4, weight="puppiWeight"), cluster(scaled, 0.4)
    assert jets.pt.tolist() == expected.pt.tolist()
    assert jets.constituents.pt.tolist() == expected.constituents.pt.tolist()
    assert ak.all(jets.constituents.puppiWeight > 0, axis=None)
    p4 = ak.with_name(given, "Momentum4D", behavior=vector.backends.awkward.behavior)
    cartesian = ak.zip({"px": p4.px, "py": p4.py, "pz": p4.pz, "E": p4.E, "puppiWeight": weights})
    again = cluster(cartesian, 0.4, weight="puppiWeight")
    assert ak.flatten(again.pt).to_numpy() == pytest.approx(ak.flatten(jets.pt).to_numpy(), rel=1e-9)


@pytest.mark.parametrize("directions", [("pt", "eta", "phi"), ("px", "py", "pz")])
def test_tracks_get_the_mass_that_is_given(directions):
    given = particles()
    p4 = ak.with_name(given, "Momentum4D", behavior=vector.backends.awkward.behavior)
    tracks = ak.zip({name: getattr(p4, name) for name in directions} | {"charge": given.charge})
    jets = cluster(tracks, mass=0.14)
    assert ak.flatten(jets.pt).to_numpy() == pytest.approx(ak.flatten(cluster(given).pt).to_numpy(), rel=1e-9)
    assert ak.all(jets.constituents.mass == 0.14, axis=None)
    assert "charge" in jets.constituents.fields


def test_coordinates_beyond_a_complete_set_are_left_out():
    given = particles()
    p4 = ak.with_name(given, "Momentum4D", behavior=vector.backends.awkward.behavior)
    jets = cluster(ak.with_field(given, p4.E, "energy"))
    assert jets.pt.tolist() == cluster(given).pt.tolist()
    validate(jets)


def test_trace_reports_what_is_read():
    given = particles()
    layout, report = ak.typetracer.typetracer_with_report(given.layout.form_with_key("{id}"))
    traced = ak.Array(layout)
    jets = cluster(traced, R=0.4)
    assert jets.fields == ["pt", "eta", "phi", "mass", "constituents"]
    assert str(jets.type).split("*", 1)[1] == str(cluster(given).type).split("*", 1)[1]
    # nodes are numbered from the outside in: 0 is the list, 1 the record, then its fields
    keys = {name: str(number) for number, name in enumerate(given.fields, start=2)}
    assert set(report.data_touched) == {"0", *(keys[name] for name in ("pt", "eta", "phi", "mass"))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "siscone"}, "anti-kt"),
        ({"algorithm": "durham"}, "n_jets=2"),
        ({"algorithm": "genkt"}, "finite power p"),
        ({"algorithm": "genkt", "p": float("nan")}, "finite power p"),
        ({"p": 1}, "anti-kt has none"),
        ({"n_jets": 2}, "merges the closest pairs first"),
        ({"algorithm": "genkt", "p": -1, "n_jets": 2}, "merges the closest pairs first"),
        ({"algorithm": "kt", "n_jets": 0}, "positive number"),
        ({"weight": "puppiWeight"}, "name of a column"),
        ({"mass": 0.1}, "leave mass out"),
        ({"R": 0}, "positive radius"),
        ({"R": float("nan")}, "positive radius"),
        ({"min_pt": -1}, "min_pt"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(JetError, match=message):
        cluster(particles(), **options)


def test_refused_particles():
    given = particles((3, 2))
    with pytest.raises(JetError, match=r"\[event\]\[particle\]"):
        cluster(given[0])
    with pytest.raises(JetError, match="missing coordinate"):
        cluster(given[["pt", "eta", "phi"]])
    with pytest.raises(JetError, match="event 1 is missing"):
        cluster(ak.mask(given, [True, False]))
    with pytest.raises(JetError, match="mass in GeV, 0 or above"):
        cluster(given[["pt", "eta", "phi"]], mass=-1)
    with pytest.raises(JetError, match="'charge' of a particle of event 0 is -1"):
        cluster(ak.with_field(given, [[-1, 1, 1], [1, 1]], "charge"), weight="charge")
    with pytest.raises(JetError, match="'pt' of a particle of event 1 is inf"):
        cluster(ak.with_field(given, [[1, 2, 3], [4, np.inf]], "pt"))


#: Both places that call FastJet, in a process that has not called it yet.
CLUSTER = """
import awkward as ak
import vector
from coffea_equitag.{module} import cluster
vector.register_awkward()
names = {{"px": 3.0, "py": 4.0, "pz": 0.0, "mass": 0.0, "charge": 0, "pdgId": 22}}
jets = cluster(ak.Array([[names]], with_name="Momentum4D"), 0.4, {min_pt}1.0)
print(ak.num(jets.constituents, axis=2).tolist())
"""


@pytest.mark.parametrize(("module", "min_pt"), [("readers", "min_pt="), ("simulation.clustering", "")])
def test_no_banner_on_standard_output(module, min_pt):
    code = CLUSTER.format(module=module, min_pt=min_pt)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[[1]]\n"
