"""Mass decorrelation: the score of the background does not follow the mass where it would otherwise."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from arithmetic import EPSILON
from coffea_equitag import JetError, TaggerError, fit, make_jets, models
from coffea_equitag.training.data import InMemory, LabelledJets
from coffea_equitag.training.data.truth import DECORRELATED, Truth
from coffea_equitag.training.loop.module import Batch, Progress, Training
from coffea_equitag.training.objectives import Decorrelated
from coffea_equitag.training.objectives.distance_correlation import in_blocks
from coffea_equitag.training.recipes import recipe_of

QUICK = {"device": "cpu", "progress": False}


def two_handles(number, seed=0):
    """Jets of two constituents: the signal is wider, and so heavier, and shares its momentum more equally."""
    generator = np.random.default_rng(seed)
    label = np.arange(number) % 2
    distance = 0.05 + 0.6 * np.where(label, generator.beta(3, 1.5, number), generator.beta(1.5, 3, number))
    share = generator.uniform(0.05, 0.35, number) + 0.15 * label
    pt = np.stack([1 - share, share], axis=1) * 500
    eta = np.stack([np.zeros(number), distance], axis=1)
    columns = {"pt": pt, "eta": eta, "phi": np.zeros_like(eta), "mass": np.zeros_like(eta)}
    constituents = ak.zip({name: ak.Array(values.tolist()) for name, values in columns.items()})
    # the width stands for the mass: it tells the signal, and nothing else should
    return make_jets(constituents, label=label, width=distance)


def trained(path, **options):
    torch.manual_seed(0)
    model = models.build("pfn", phi=(16, 16), f=(16,))
    settings = {"epochs": 12, "batch_size": 200, "learning_rate": 1e-2, "weight_decay": 0.0}
    return fit(model, two_handles(1200), out=path, **(QUICK | settings | options))


def correlation(tagger):
    jets = two_handles(1000, seed=5)
    background = jets[jets.label == 0]
    score = torch.from_numpy(ak.to_numpy(tagger(background)).copy())
    return in_blocks(score, torch.from_numpy(ak.to_numpy(background.width)), torch.ones(500))


def test_score_does_not_follow_the_column(tmp_path):
    usual = correlation(trained(tmp_path / "usual"))
    tagger = trained(tmp_path / "decorrelated", decorrelate="width", decorrelation=20.0)
    assert usual > 0.3
    assert correlation(tagger) < usual / 4
    assert tagger.card.metrics["auc"] > 0.7
    # what the table says of it is what the tagger does
    assert tagger.card.metrics["distance_correlation"] < usual / 3
    assert tagger.card.training.recipe["decorrelate"] == "width"


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_pieces_give_the_gradient_of_the_whole_batch(dropout):
    """Whatever the pieces, as in batch normalisation's evaluation mode: the first pass sees all jets of the batch."""
    torch.manual_seed(1)
    model = models.build("lorentznet", hidden=8, n_layers=2, dropout=dropout).double().train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()
    sample = LabelledJets.of(two_handles(40), "label", 2, (), Truth(decorrelate="width"))
    source = InMemory(sample, 2, batch_size=40)
    found = []
    for budget in (None, 100):
        module = Training(
            model,
            Decorrelated(1, 50.0),
            source,
            lambda: iter([sample]),
            recipe_of("lorentznet"),
            epochs=1,
            seed=0,
            class_weights=(1.0, 2.0),
            progress=Progress(pair_budget=budget),
            optimizer_state=None,
        )
        loss, _ = module.accumulate(Batch(next(source.batches(0))))
        found.append((float(loss), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    (whole, gradients), (pieces, of_pieces) = found
    if dropout == 0:  # with it, each piece draws numbers of its own
        # the losses of 40 jets are added in float32, each addition off by ε/2 of the sum at most
        assert pieces == pytest.approx(whole, rel=40 * EPSILON)
        largest = max(float(gradient.abs().max()) for gradient in gradients)
        for one, other in zip(of_pieces, gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=40 * EPSILON, atol=40 * EPSILON * largest)
    # without the whole batch's term, or with that of each piece, the gradients are others
    weighted = module.weighted(sample)
    output = model.eval()(sample.jets)
    model.zero_grad()
    losses = torch.nn.functional.cross_entropy(output.float(), sample.labels, reduction="none")
    ((losses * weighted.weights).sum() / weighted.weights.sum()).backward()
    assert any(
        (p.grad - g).abs().max() > 1e-3 * g.abs().max()
        for p, g in zip(model.parameters(), of_pieces, strict=False)
        if p.grad is not None
    )


def test_kinematics_where_no_column_is_stored():
    jets = two_handles(6)
    mass = LabelledJets.of(jets, "label", 2, (), Truth(decorrelate="mass")).targets[DECORRELATED]
    pt = jets.constituents.pt
    expected = np.sqrt(2 * pt[:, 0] * pt[:, 1] * (np.cosh(jets.width) - 1))
    np.testing.assert_allclose(mass.numpy(), expected, rtol=1e-9)
    rho = LabelledJets.of(jets, "label", 2, (), Truth(decorrelate="log(mass / pt)")).targets[DECORRELATED]
    total = np.hypot(ak.sum(jets.constituents.px, axis=1), ak.sum(jets.constituents.py, axis=1))
    np.testing.assert_allclose(rho.numpy(), np.log(expected / total), rtol=1e-9)
    with pytest.raises(JetError, match="'log\\(width - width\\)' of jet 0 is"):
        LabelledJets.of(jets, "label", 2, (), Truth(decorrelate="log(width - width)"))


def test_planing_takes_the_column_from_the_classes(tmp_path):
    """Weights that make the spectra of both classes flat: the column alone does not tell the classes any more."""
    flat = {"bins": {"width": np.linspace(0.05, 0.65, 9)}}
    settings = {"epochs": 12, "batch_size": 200, "learning_rate": 1e-2, "weight_decay": 0.0, **QUICK}
    found = {}
    for name, options in (("usual", {}), ("planed", {"flat": flat})):
        torch.manual_seed(0)
        model = models.build("pfn", phi=(16, 16), f=(16,))
        found[name] = fit(model, two_handles(1200), out=tmp_path / name, **settings, **options)
    assert correlation(found["planed"]) < 0.8 * correlation(found["usual"])


def test_refused(tmp_path):
    with pytest.raises(JetError, match="colour"):
        trained(tmp_path / "run", decorrelate="colour")
    with pytest.raises(TaggerError, match="decorrelation"):
        trained(tmp_path / "run", decorrelate="width", decorrelation=0)
    with pytest.raises(TaggerError, match="monitor = 'distance_correlation'"):
        trained(tmp_path / "run", monitor="distance_correlation")
    assert not (tmp_path / "run").exists()
