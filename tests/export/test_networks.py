"""Networks on padded jets, as exported graphs hold them, against the layers on ragged ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coffea_equitag import kernels, models
from coffea_equitag.export import networks
from coffea_equitag.export.padded_jets import PaddedJets
from coffea_equitag.export.pair_products import pair_products
from coffea_equitag.export.trial_jets import trial_jets
from coffea_equitag.jets.ragged import RaggedJets
from coffea_equitag.tagger import Tagger
from networks import enliven

COUNTS = (0, 1, 2, 3, 12, 20, 5)
SLIM = {"vectors": 2, "scalars": 4, "n_heads": 2, "n_layers": 1}
LLOCA = {"scalars": 2, "vectors": 1, "heads": 2, "blocks": 1, "frame_width": 4}
PART = {"embed_widths": (8, 8), "pair_widths": (4,), "heads": 2, "layers": 1, "class_layers": 1}
PARTICLENET = {"k": (3, 4), "channels": ((4, 4), (6,)), "units": (4,)}
SMALL = {"hidden": 8, "n_layers": 2}
NETWORKS = {
    "pfn": [{}, {"nodewise": "mass", "batch_norm": True}, {"nodewise": "energy"}, {"inputs": "btag"}],
    "vector_pfn": [{"features": 4}, {"features": 4, "output": "momentum"}, {"features": 4, "output": "vector"}],
    "tensor_pfn": [{"features": 4}],
    "lorentznet": [SMALL | more for more in ({}, {"pid": True, "beams": False}, {"output": "momentum", "clamp": 5.0})],
    "lorentznet_base": [
        SMALL | more for more in ({}, {"pairwise": "mass", "nodewise": "mass"}, {"pairwise": "delta_r_pt"})
    ],
    "particlenet": [
        PARTICLENET,
        PARTICLENET | {"pairwise": "mass", "nodewise": "mass", "mirrored": True},
        PARTICLENET | {"fusion": True, "phantom_neighbours": True},
    ],
    "pelican": [
        {"size": (4, 3, 2)} | more
        for more in (
            {"fields": ("pdgId", "charge")},
            {"symmetry": "so13", "output": "momentum"},
            {"symmetry": "1_0", "method": "input"},
            {"irc_safe": True},
            {"symmetry": "so2_0", "output": "momentum"},
        )
    ],
    "particle_transformer": [PART, PART | {"self_pairs": False, "inputs": "kinpid"}, PART | {"pair_widths": None}],
    "lgatr_slim": [
        SLIM,
        SLIM | {"beams": None, "time": False, "output": "momentum"},
        SLIM | {"aggregation": "mean", "inputs": "kinematic"},
    ],
    "lloca_transformer": [
        LLOCA,
        LLOCA | {"beams": False, "laboratory": False, "tensors": 1, "preserve_variance": False},
        LLOCA | {"least_mass": 5e-3, "output": "momentum", "fields": ("charge",)},
    ],
    "lgn": [{"levels": 2}, {"levels": 1, "max_zf": 2, "output": "momentum"}, {"levels": 1, "top": "pmlp"}],
}
CASES = [
    pytest.param(kind, options, id=f"{kind}-{k}") for kind, each in NETWORKS.items() for k, options in enumerate(each)
]


def tagger_of(kind, **options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = enliven(models.build(kind, **options)).double()
    return Tagger.from_model(model, name=kind, classes=("qcd", "top") if model.output == "classes" else ())


def padded(jets: RaggedJets, width: int) -> PaddedJets:
    real = torch.arange(max(width, int(jets.counts.max()))) < jets.counts[:, None]

    def wide(rows):
        found = rows.new_zeros((*real.shape, *rows.shape[1:]))
        found[real] = rows
        return found

    polar = None if jets.polar is None else wide(jets.polar)
    columns = {name: wide(column) for name, column in jets.columns.items()}
    return PaddedJets(wide(jets.p4), wide(jets.mass), real, jets.jet_p4, polar, columns)


def ragged(tagger, coordinates="polar", counts=COUNTS):
    jets = trial_jets(tagger, counts, "ragged", coordinates, own_momenta=True).jets
    return RaggedJets.from_awkward(jets, tagger.card.contract.constituent_fields)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_padded_network_is_its_layers(kind, options):
    tagger = tagger_of(kind, **options)
    for coordinates in ("polar", "cartesian"):
        jets = ragged(tagger, coordinates)
        with torch.no_grad(), kernels.use("reference"):
            expected = tagger.model(jets)
            found = networks.outputs(tagger.model, padded(jets, networks.least_width(tagger.model)))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))


def test_every_network_has_a_padded_form():
    assert set(NETWORKS) == set(models.names())
    for kind in models.names():
        assert networks.blocking_reason(models.build(kind)) is None


def test_hardest_constituents_only():
    tagger = tagger_of("lorentznet", **SMALL)
    tagger.model.max_constituents = 6
    jets = ragged(tagger)
    with torch.no_grad(), kernels.use("reference"):
        found = networks.outputs(tagger.model, padded(jets, 1))
        torch.testing.assert_close(found, tagger.model(jets), rtol=1e-10, atol=1e-12)
        tagger.model.max_constituents = None
        assert (tagger.model(jets) - found)[COUNTS.index(20)].abs().max() > 1e-6


@pytest.mark.parametrize("coordinates", ["polar", "cartesian"])
def test_pair_products_are_the_compiled_ones(coordinates):
    tagger = tagger_of("pfn")
    jets = ragged(tagger, coordinates)
    wide = padded(jets, 1)
    found = pair_products(wide)
    # constituents in one direction, as in towers, are among them: products of their masses, where E² − p² is rounding
    expected = kernels.gram(jets).numpy()
    real = wide.real[:, :, None] & wide.real[:, None]
    np.testing.assert_allclose(found[real].numpy(), expected, rtol=1e-9 if coordinates == "cartesian" else 1e-12)
    assert not found[~real].any()
