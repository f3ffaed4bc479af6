"""The jets on which an exported file is checked: none, empty, alone, few and many constituents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from ..array_types import F8, I8
from ..jets import make_jets
from ..tagger import Tagger
from .four_momenta import COORDINATES, Coordinates
from .interface import Form, inputs_of
from .jet_arrays import jet_arrays

__all__ = ["BATCHES", "TrialJets", "trial_jets"]

#: Constituents of the jets of each trial.
BATCHES: tuple[tuple[int, ...], ...] = (
    (),
    (0,),
    (1,),
    (1, 2, 3, 0, 5, 8, 17, 33, 60, 99, 150),
    (24,) * 6,
)

#: GeV of a jet's pT where the tagger's card does not say otherwise.
_PT = 600.0
_PION = 0.13957


@dataclass(frozen=True)
class TrialJets:
    """The same jets as the package and as an exported file know them.

    Attributes
    ----------
    jets : ak.Array
        For a tagger.
    inputs : list of Tensor
        For the file, in the order of `interface.inputs_of`.
    """

    jets: ak.Array
    inputs: list[Tensor]


#: The momenta that CMS's software passes.
_CMS = ("px", "py", "pz", "E")


def trial_jets(
    tagger: Tagger,
    counts: Sequence[int],
    form: Form,
    coordinates: Coordinates = "polar",
    own_momenta: bool = False,
    seed: int = 1,
) -> TrialJets:
    """Jets of the given numbers of constituents, the same for the same seed."""
    random = np.random.default_rng(seed)
    numbers = np.asarray(counts, np.int64)
    columns = _constituents(tagger, numbers, random)
    if form == "cms":
        columns |= {name: columns[name].astype(np.float32) for name in _CMS}
        names: tuple[str, ...] = _CMS
    else:
        names = COORDINATES[coordinates]
    fields = tagger.card.contract.constituent_fields
    values = {name: columns[name] for name in names} | {name: columns[name] for name in fields}
    own = _own_momenta(columns, numbers, names, random) if own_momenta else {}
    jets = make_jets(ak.unflatten(_zipped(values), numbers), **own)
    arrays = jet_arrays(jets, fields, form=form, coordinates=coordinates, own_momenta=own_momenta)
    return TrialJets(
        jets, [torch.from_numpy(arrays[port.name]) for port in inputs_of(tagger, form, coordinates, own_momenta)]
    )


def _constituents(tagger: Tagger, numbers: I8, random: np.random.Generator) -> dict[str, F8]:
    """Columns of narrow jets with soft and collinear constituents, some of them in one direction, as in towers."""
    low, high = tagger.card.contract.pt_range or (_PT, _PT)
    total, jet = int(numbers.sum()), np.repeat(np.arange(len(numbers)), numbers)
    share = random.exponential(1.0, total) ** 2 + 1e-3
    sums = np.bincount(jet, share, len(numbers))
    # the vector sum of a narrow jet is a little less than the sum of the pT
    pt = share / np.where(sums > 0, sums, 1.0)[jet] * (0.5 * (low + high))
    spread = 0.15 * random.exponential(1.0, total)
    angle = random.uniform(-np.pi, np.pi, total)
    eta = random.uniform(-1.5, 1.5, len(numbers))[jet] + spread * np.cos(angle)
    phi = random.uniform(-np.pi, np.pi, len(numbers))[jet] + spread * np.sin(angle)
    same = np.flatnonzero((np.arange(total) % 7 == 3) & (jet == np.roll(jet, 1)))
    eta[same], phi[same] = eta[same - 1], phi[same - 1]
    phi = np.remainder(phi + np.pi, 2 * np.pi) - np.pi
    charge = random.choice([-1.0, 0.0, 1.0], total)
    kind = np.where(charge == 0, random.choice([22, 130, 2112], total), random.choice([211, 321, 11, 13], total))
    mass = np.where(charge == 0, 0.0, _PION)
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    columns = {"pt": pt, "eta": eta, "phi": phi, "mass": mass, "px": px, "py": py, "pz": pz}
    columns["E"] = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    columns |= {"charge": charge, "pdgId": np.where(charge < 0, -kind, kind).astype(np.float64)}
    for name in tagger.card.contract.constituent_fields:
        if name not in columns:
            columns[name] = np.where(charge == 0, 0.0, 0.1 * np.abs(random.standard_normal(total)))
    return columns


def _own_momenta(
    columns: dict[str, F8], numbers: I8, names: tuple[str, ...], random: np.random.Generator
) -> dict[str, F8]:
    """Momenta of jets that are not quite those of their constituents, as after a calibration."""
    jet = np.repeat(np.arange(len(numbers)), numbers)
    *three, energy = (np.bincount(jet, columns[name], len(numbers)) for name in _CMS)
    px, py, pz = (values * random.normal(1.0, 0.05, len(numbers)) for values in three)
    pt = np.hypot(px, py)
    found = {"px": px, "py": py, "pz": pz, "pt": pt, "phi": np.arctan2(py, px)}
    found["eta"] = np.arcsinh(np.where(pt > 0, pz / np.where(pt > 0, pt, 1.0), 0.0))
    found["mass"] = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0))
    return {name: found[name] for name in names}


def _zipped(values: dict[str, F8]) -> ak.Array:
    """Records of the columns; "ip.x" is the component x of a record."""
    plain = {name: column for name, column in values.items() if "." not in name}
    nested: dict[str, dict[str, F8]] = {}
    for name, column in values.items():
        if "." in name:
            record, _, component = name.partition(".")
            nested.setdefault(record, {})[component] = column
    return ak.zip(plain | {name: ak.zip(parts) for name, parts in nested.items()}, depth_limit=1)
