"""Jets from EDM4HEP (FCC, ILC, CLIC, muon collider), in the layouts before and since version 1.0.

A jet is a ReconstructedParticle whose ``particles`` are its constituents; they have ``tracks``, whose first state has
the impact parameters (see `readers.edm4hep_relations`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from operator import getitem

import awkward as ak
import numpy as np

from ..array_types import I8
from ..errors import JetError, explain
from .edm4hep_relations import covariance_column, first_of, first_state, has_relation, relation, take, targets
from .links import listed
from .own_links import Column, OwnLinks, Words, canonical_jets, jets_of
from .shifted_jets import Constituents
from .track_conventions import D0_SIGNS

__all__ = ["edm4hep", "jet_collections"]

#: Places of the variances of D0 and Z0 in the lower triangle of the covariance matrix (D0, phi, omega, Z0, ...).
_VARIANCES = {"D0": 0, "Z0": 9}

#: Masses below which a charged particle without an ID is an electron or a muon, GeV.
_ELECTRON, _MUON = 0.05, 0.12


def edm4hep(
    events: ak.Array,
    collection: str = "Jet",
    *,
    particles: str | None = None,
    fields: Iterable[str] | None = None,
    constituents: Constituents = "nominal",
) -> ak.Array:
    """Jets with their reconstructed particles from EDM4HEP events.

    The result is parallel to ``events[collection]``, whatever was filtered, sorted or shifted there, with all jet
    columns: each jet carries its own links.

    Parameters
    ----------
    events : ak.Array
        NanoEvents (``FCC.get_schema("latest")`` or ``FCC.get_schema("pre-edm4hep1")``; virtual, eager or traced; sliced
        or not). Older files need
        ``iteritems_options={"filter_name": "/^(?!.*(PARAMETERS|_.*Map))/"}``: coffea fails
        on their maps of parameters.
    collection : str
        The jet collection: ``"Jet"``, ``"RefinedVertexJets"``, ...
    particles : str, optional
        The collection that jets link to; by default the one of ``ReconstructedParticles`` and ``PandoraPFOs`` that
        exists.
    fields : iterable of str, optional
        Constituent columns besides the four-momentum, from ``charge, pdgId, d0, d0Err, dz, dzErr``; by default all that
        the file has.
    constituents : {"nominal", "scaled"}
        As for `readers.nanoaod`.

    Returns
    -------
    ak.Array
        ``[event][jet]``, with ``constituents`` (px, py, pz, mass in GeV). Rules:

        * ``d0, d0Err, dz, dzErr`` are in mm, relative to the reference point of the first state of the first track (in
          FCC's fast simulation, the origin). d0 has the sign of Delphes' D0, which is minus EDM4HEP's. Particles
          without tracks have all four 0: not measured;
        * ``pdgId`` is the file's ``PDG`` (before 1.0: ``type``); where that is 0, that of an electron, muon or pion
          for charged particles, by their mass;
        * particles that the file does not keep are left out; a jet of which none is kept is missing (None).

    Raises
    ------
    JetError
        If collections, links or columns are missing, links point outside their collection, or to several.

    Warns
    -----
    ConstituentsWarning
        With the number of jets of which particles are not stored.
    """
    jets, exists = jets_of(events, collection, jet_collections(events))
    target = _target(events, collection, particles)
    linked = events[target]
    words = Words(
        particles=target,
        no_column="choose a tagger that does not need it: impact parameters need tracks with states (EFlowTrack and "
        "its trackStates, before 1.0 EFlowTrack_1)",
        not_stored=f"keep {target} when writing the file (podio's KeepDropSwitch; k4run's outputCommands)",
    )
    links = OwnLinks(
        jets=jets,
        exists=exists,
        index=relation(events, collection, jets, "particles", target, exists),
        num_particles=ak.num(linked["px"], axis=1),
        columns=_columns(events, target, linked),
        keys=lambda given: _first_particle(given, target),
        anchor=target,
    )
    return canonical_jets(events, collection, links, words, fields=fields, constituents=constituents)


def jet_collections(events: ak.Array) -> Iterator[str]:
    """Names of the jets with links to particles."""
    names = (name for name in events.fields if name.endswith(("Jet", "Jets")))
    return (name for name in names if has_relation(events, name, "particles"))


def _target(events: ak.Array, collection: str, particles: str | None) -> str:
    """The collection that jets link to."""
    possible = targets(events, collection, "particles")
    if particles is None and len(possible) == 1:
        return possible[0]
    if particles is not None and particles in possible:
        return particles
    if not possible:
        raise JetError(
            explain(
                f"'{collection}' without links to particles; it has {listed(events[collection].fields)}",
                "jets (ReconstructedParticle) with the relation 'particles', and the collection it points to",
                "read the events with coffea's FCC schema for the file's version, with all branches of the jets, and "
                "keep ReconstructedParticles (or PandoraPFOs) in the file",
            )
        )
    raise JetError(
        explain(
            f"particles={particles!r} for '{collection}'",
            f"the collection that these jets link to, one of {listed(possible)}",
            "pass one of them as particles",
        )
    )


def _columns(events: ak.Array, target: str, particles: ak.Array) -> dict[str, Column]:
    columns: dict[str, Column] = {name: partial(getitem, particles, name) for name in ("px", "py", "pz", "mass")}
    columns["charge"] = lambda: ak.values_astype(particles["charge"], np.int32)
    if "PDG" in particles.fields or "type" in particles.fields:
        columns["pdgId"] = lambda: _pdg_id(particles)
    for table in targets(events, target, "tracks"):
        columns |= _track_columns(events, target, particles, table)
    return columns


def _track_columns(events: ak.Array, target: str, particles: ak.Array, tracks: str) -> dict[str, Column]:
    """Impact parameters of the first state of each particle's first track, 0 without track."""

    def of_particle(column: str, entry: int | None = None) -> ak.Array:
        track = first_of(events, target, particles, "tracks", tracks)
        values = ak.fill_none(take(first_state(events, tracks, column, entry), track), 0.0, axis=None)
        return ak.values_astype(values, np.float32)

    def error(column: str) -> ak.Array:
        return np.sqrt(of_particle(covariance_column(events, tracks), _VARIANCES[column]))

    return {
        "d0": lambda: D0_SIGNS["perigee"] * of_particle("D0"),
        "d0Err": lambda: error("D0"),
        "dz": lambda: of_particle("Z0"),
        "dzErr": lambda: error("Z0"),
    }


def _first_particle(jets: ak.Array, target: str) -> I8:
    """Place of the first link of each jet: no two jets of an event share it."""
    if "particles" in jets.fields:
        place = jets["particles"]["begin"]
    else:
        place = ak.firsts(jets[f"particles_idx_{target}_index"], axis=2)
    key: I8 = ak.to_numpy(ak.flatten(ak.fill_none(place, -1, axis=None), axis=1)).astype(np.int64)
    return key


def _pdg_id(particles: ak.Array) -> ak.Array:
    stored = particles["PDG" if "PDG" in particles.fields else "type"]
    charge, mass = particles["charge"], particles["mass"]
    kind = ak.where(mass < _ELECTRON, -11, ak.where(mass < _MUON, -13, 211))
    return ak.values_astype(ak.where(stored != 0, stored, ak.where(charge != 0, kind * np.sign(charge), 0)), np.int32)
