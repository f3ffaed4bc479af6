"""Clustering with FastJet."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import vector

from coffea_equitag.errors import JetError
from coffea_equitag.jets import validate
from coffea_equitag.readers import cluster, clustering


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
    monkeypatch.setattr(clustering, "CHUNK_PARTICLES", size)
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "durham"}, "anti-kt"),
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
    with pytest.raises(JetError, match="'pt' of a particle of event 1 is inf"):
        cluster(ak.with_field(given, [[1, 2, 3], [4, np.inf]], "pt"))
