"""Vetoed events have no jet that a recipe keeps."""

import awkward as ak
import numpy as np
import pytest

from coffea_equitag.simulation.early_veto import SCALE, cannot_pass, decay_unmerged, early_veto
from coffea_equitag.simulation.recipes import recipe

TOP = recipe("top")


def verdict(*partons):
    pt, eta, phi = np.array(partons, float).reshape(-1, 3).T
    return cannot_pass(TOP, pt, eta, phi)


@pytest.mark.parametrize(
    ("partons", "given_up"),
    [
        ([], True),
        ([(600, 0, 0), (600, 0, 3.1)], False),
        ([(500, 0, 0), (500, 0, 3.1)], True),
        ([(900, 0, 0), (600, 0, 3.1)], True),
        ([(600, 2.5, 0), (200, 0, 3.1)], True),
        ([(600, 2.5, 0), (560, 0, 3.1)], False),
        # what a jet may contain: close partons, also across φ = ±π
        ([(300, 0, 3.1), (300, 0.1, -3.1)], False),
        # what it may not contain: partons far from a hard one
        ([(600, 0, 0), (300, 0.7, 0)], False),
    ],
)
def test_hard_partons_tell(partons, given_up):
    assert verdict(*partons) is given_up


def test_margins_leave_room():
    assert [verdict((pt, 0, 0)) for pt in (515, 530, 800, 820)] == [True, False, False, True]


def test_decay_quarks_of_one_top_have_to_lie_together():
    def event(far):
        return [
            (90, 0, 0.0, 0.0), (2212, 0, 9.0, 0.0), (2212, 0, -9.0, 0.0),
            (6, 1, 0.0, 0.0), (-6, 1, 0.0, 3.1),
            (5, 3, 0.3, 0.0), (24, 3, -0.3, 0.0), (2, 6, -0.4, 0.1), (-1, 6, far, 0.0),
            (-5, 4, 1.5, 3.1), (-24, 4, -0.3, 3.1), (-2, 10, -0.4, -3.1), (1, 10, 0.1, 3.1),
        ]  # fmt: skip

    assert not decay_unmerged(TOP, 6, event(0.7))
    assert decay_unmerged(TOP, 6, event(1.1))
    # only the quarks of the W
    assert not decay_unmerged(TOP, 24, event(1.1))


@pytest.mark.parametrize(("name", "number"), [("top", 0), ("top", 1), ("qg", 1), ("w", 0)])
def test_no_kept_jet_is_lost(name, number):
    pythia = pytest.importorskip("pythia8mc")
    from coffea_equitag.simulation.clustering import cluster
    from coffea_equitag.simulation.particles import visible
    from coffea_equitag.simulation.shards import _in_range, _truth

    chosen = recipe(name).variant(mpi=False, particle_level=True)
    process = chosen.processes[number]
    judge = early_veto(pythia, chosen, process)
    verdicts = []

    class Watch(pythia.UserHooks):
        """Record the verdict, and continue in any case."""

        def canVetoProcessLevel(self):
            return judge.canVetoProcessLevel()

        def doVetoProcessLevel(self, event):
            self.decay_unmerged = judge.doVetoProcessLevel(event)
            return False

        def canVetoPT(self):
            return True

        def scaleVetoPT(self):
            return SCALE

        def doVetoPT(self, stage, event):
            if stage <= 3:
                self.last = judge.doVetoPT(stage, event) or getattr(self, "decay_unmerged", False)
            return False

    from coffea_equitag.simulation.generator import Generator

    watch = Watch()
    generator = Generator([*chosen.pythia, *process.settings], 7, watch)
    batches = []
    for _ in range(150):
        batches.append(generator.batch(1))
        verdicts.append(watch.last)
    record = ak.concatenate(batches).prt
    particles = visible(record)
    particles["charge"] = generator.charges(particles.pdgId)
    jets = cluster(particles, chosen.radius, chosen.min_pt)
    kept = _in_range(chosen, ak.firsts(jets))
    wanted = np.zeros(len(record), bool)
    wanted[ak.to_numpy(kept)] = ak.to_numpy(_truth(chosen, process, jets[kept], record[kept])["wanted"])
    assert wanted.sum() >= 15
    assert sum(verdicts) >= 5
    assert not (wanted & np.array(verdicts)).any()
    assert generator.generated == 150
