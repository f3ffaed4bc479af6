"""Regression of vectors: what networks learn, what is measured, and what they are after they are saved."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from coffea_equitag import JetError, TaggerError, fit, load, make_jets, models
from coffea_equitag.evaluation import momentum_resolution
from coffea_equitag.jets.targets import true_momenta
from coffea_equitag.testing import boost, transform
from coffea_equitag.training.comparison import compare_runs

QUICK = {"device": "cpu", "progress": False, "batch_size": 40, "learning_rate": 1e-2, "weight_decay": 0.0}


def noisy(number, seed=0):
    """Jets of a boson's products, massless, half of the energy of each marked neutral and lost; and its momentum."""
    generator = np.random.default_rng(seed)
    count = 4
    pt = generator.uniform(20, 60, (number, count))
    axis = generator.uniform(-1, 1, number)[:, None]
    eta, phi = axis + generator.normal(0, 0.2, pt.shape), generator.normal(0, 0.2, pt.shape)
    p4 = np.stack([pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)]).sum(2)
    columns = {"pt": 0.5 * pt, "eta": eta, "phi": phi, "mass": np.zeros_like(pt)}
    charge = np.where(generator.random(pt.shape) < 0.5, 1, 0)
    tracks = {"charge": charge, "pdgId": 211 * charge + 22 * (1 - charge), "d0": 0 * pt, "dz": 0 * pt}
    constituents = ak.zip({name: ak.Array(values.tolist()) for name, values in (columns | tracks).items()})
    names = ("true_E", "true_px", "true_py", "true_pz")
    return make_jets(constituents, **dict(zip(names, p4, strict=True)))


def network(kind, **options):
    torch.manual_seed(0)
    small = {
        "pelican": {"size": (8, 4, 3), "symmetry": "so13", "dropout": 0.0},
        "lgatr_slim": {"vectors": 4, "scalars": 8, "n_layers": 2, "n_heads": 2, "beams": None, "time": False},
        "lorentznet": {"hidden": 8, "n_layers": 2, "beams": False},
        "lgn": {"levels": 1, "channels": 2, "beams": False},
        "vector_pfn": {"features": 8, "mlp": (8,)},
        "tensor_pfn": {"features": 4, "mlp": (8,)},
    }[kind]
    return models.build(kind, **({"output": "momentum"} | small | options))


@pytest.mark.parametrize("kind", ["lgatr_slim", "pelican", "lorentznet", "lgn", "vector_pfn", "tensor_pfn"])
def test_every_network_learns_what_was_lost(kind, tmp_path):
    jets, held = noisy(200), noisy(80, seed=1)
    steady = {"warmup": 0, "first_cycle": None, "halve_from": None, "gradient_clip": 1.0}
    tagger = fit(network(kind), jets, validation=held, out=tmp_path / "run", epochs=12, recipe=steady, **QUICK)
    # the jets have half of the momentum; the truth is found where `simulate` stores it
    found = momentum_resolution(tagger(held), true_momenta(held))
    assert found.pt.median.value == pytest.approx(1, abs=0.15)
    assert found.mass.median.value == pytest.approx(1, abs=0.25)
    # the card has no classes, and the metrics are those of the tagger
    card = tagger.card
    assert (card.classes, card.signal, card.training.recipe["target"]) == ((), None, "momentum")
    assert card.metrics["pt_response"] == pytest.approx(found.pt.median.value, rel=1e-6)
    assert card.metrics["mass_resolution"] == pytest.approx(found.mass.width.value, rel=1e-4)
    assert card.metrics["angle_resolution"] == pytest.approx(found.angle.width.value, rel=1e-2, abs=1e-7)
    assert np.array_equal(load(tmp_path / "run", "cpu")(held).E, tagger(held).E)


@pytest.mark.parametrize("kind", ["pelican", "lorentznet", "lgn"])
def test_trained_momenta_move_with_the_jets(kind, tmp_path):
    jets = noisy(60)
    tagger = fit(network(kind), jets, validation=0.2, out=tmp_path / "run", epochs=1, **QUICK)
    model, matrix = tagger.model.double(), boost(5.0, (1, -2, 0.5))
    with torch.no_grad():
        expected = model(jets).numpy() @ matrix.T.astype(np.float64)
        found = model(transform(jets, matrix)).numpy()
    # float64: relative rounding ε, times the boost's 2γ², times some thousand operations
    assert np.abs(found - expected).max() < np.finfo(float).eps * 50 * 1e4 * np.abs(expected).max()


def test_loss_is_the_papers(tmp_path):
    jets, held = noisy(60), noisy(20, seed=1)
    tagger = fit(network("lorentznet"), jets, validation=held, out=tmp_path / "run", epochs=1, **QUICK)
    found, truth = tagger(held), true_momenta(held)
    mass = np.sqrt(truth[:, 0] ** 2 - (truth[:, 1:] ** 2).sum(1))
    square = found.E**2 - found.px**2 - found.py**2 - found.pz**2
    off = np.abs(np.sign(square) * np.sqrt(np.abs(square)) - mass)
    distance = np.linalg.norm(np.stack([found.px, found.py, found.pz], axis=1) - truth[:, 1:], axis=1)
    # the mass's root is kept finite by 1e-8 GeV²
    assert tagger.card.metrics["loss"] == pytest.approx(np.mean(0.05 * off + 0.01 * distance), rel=1e-5)


def test_runs_of_momenta_are_compared(tmp_path):
    jets, held = noisy(80), noisy(60, seed=1)
    options = {"validation": held, "target": "momentum", **QUICK}
    short = fit(network("vector_pfn"), jets, out=tmp_path / "runs/short", epochs=1, **options)
    long = fit(network("vector_pfn"), jets, out=tmp_path / "runs/long", epochs=8, **options)
    found = compare_runs([tmp_path / "runs/short", tmp_path / "runs/long"], replicas=20)
    for variant, tagger in zip(found.variants, (short, long), strict=True):
        for name, (_, median, _) in variant.quartiles.items():
            assert median == pytest.approx(tagger.card.metrics[name], rel=1e-6), name
    difference = found.variants[1].differences["pt_resolution"]
    assert difference.value == pytest.approx(
        long.card.metrics["pt_resolution"] - short.card.metrics["pt_resolution"], abs=1e-9
    )
    assert difference.low <= difference.high
    assert "| mass width" in str(found)
    given = compare_runs([tmp_path / "runs/short", tmp_path / "runs/long"], held, replicas=2)
    assert given.variants[0].quartiles["mass_resolution"] == pytest.approx(
        found.variants[0].quartiles["mass_resolution"], rel=1e-5
    )


def test_vectors_of_any_name(tmp_path):
    jets = noisy(200)
    axis = np.stack([jets.true_px, jets.true_py, jets.true_pz], axis=1) / 100
    jets["vertex"] = ak.zip({name: axis[:, k] for k, name in enumerate("xyz")})
    model = network("vector_pfn", output="vector")
    with pytest.raises(TaggerError, match="target = None"):
        fit(model, jets, out=tmp_path / "run", epochs=1, **QUICK)
    with pytest.raises(JetError, match="without a vector 'vertices'"):
        fit(model, jets, target="vertices", out=tmp_path / "run", epochs=1, **QUICK)
    steady = {"gradient_clip": 1.0}
    tagger = fit(model, jets, target="vertex", out=tmp_path / "run", epochs=10, recipe=steady, **QUICK)
    found = tagger(jets)
    off = np.sqrt((found.x - axis[:, 0]) ** 2 + (found.y - axis[:, 1]) ** 2 + (found.z - axis[:, 2]) ** 2)
    assert np.median(off) < 0.5 * np.median(np.linalg.norm(axis, axis=1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": ("a", "b")}, "classes"),
        ({"class_weights": "balanced"}, "class_weights"),
        ({"decorrelate": "mass"}, "decorrelate"),
        ({"label_smoothing": 0.1}, "label_smoothing"),
        ({"monitor": "auc"}, "monitor = 'auc'"),
    ],
)
def test_refused(tmp_path, options, words):
    with pytest.raises(TaggerError, match=words):
        fit(network("lorentznet"), noisy(20), out=tmp_path / "run", **(QUICK | options))
    assert not (tmp_path / "run").exists()


def test_jets_without_the_truth(tmp_path, toy, build_small):
    with pytest.raises(JetError, match="without a four-momentum"):
        fit(network("lorentznet"), toy(20), out=tmp_path / "run", **QUICK)
    with pytest.raises(TaggerError, match="build the network with output='momentum'"):
        fit(build_small(), noisy(20), target="momentum", out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


def test_resumes(tmp_path, monkeypatch):
    from coffea_equitag.training.loop.module import Training

    jets, start = noisy(60), Training.on_train_batch_start
    whole = fit(network("lorentznet"), jets, out=tmp_path / "whole", epochs=2, **QUICK)

    def stop(self, batch, index):
        if batch.epoch == 1:
            raise KeyboardInterrupt
        return start(self, batch, index)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "on_train_batch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(network("lorentznet"), jets, out=tmp_path / "run", epochs=2, **QUICK)
    again = fit(network("lorentznet"), jets, out=tmp_path / "run", epochs=2, **QUICK)
    assert again.content_hash == whole.content_hash
