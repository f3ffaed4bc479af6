"""Jets from ATLAS PHYSLITE: tracks that were ghost-associated with them.

``AnalysisJets`` links to ``InDetTrackParticles`` by ``GhostTrack``. PHYSLITE keeps few of these tracks (those near
leptons and in b-hadron candidates), and none of the particle-flow objects that jets were clustered from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from .links import listed
from .own_links import Column, OwnLinks, Words, canonical_jets, jets_of, of_existing
from .particle_masses import PION_MASS
from .shifted_jets import Constituents
from .track_conventions import D0_SIGNS

__all__ = ["GHOSTS", "TRACKS", "jet_collections", "physlite"]

TRACKS = "InDetTrackParticles"

#: Column of the jets: their links to tracks.
GHOSTS = "GhostTrack"

#: MeV to GeV; a Python number, so that columns keep the file's precision.
_GEV = 1e-3

_WORDS = Words(
    particles=TRACKS,
    no_column="choose a tagger that does not need it: tracks have charge, d0, dz and their errors (dz needs "
    "PrimaryVertices), and no particle ID",
    not_stored="use jets whose tracks are kept, or a derivation that keeps all of them (DAOD_PHYS, DAOD_FTAG1): "
    "PHYSLITE thins InDetTrackParticles",
)


def physlite(
    events: ak.Array,
    collection: str = "Jets",
    *,
    fields: Iterable[str] | None = None,
    constituents: Constituents = "nominal",
) -> ak.Array:
    """Jets with their ghost-associated tracks from PHYSLITE events.

    The result is parallel to ``events[collection]``, whatever was filtered, sorted or shifted there: each jet carries
    its own links. Only the four-momenta of jets (pt, eta, phi, mass) are converted to GeV; further columns of
    the jets are as in the file, momenta among them in MeV.

    Parameters
    ----------
    events : ak.Array
        NanoEvents (``PHYSLITESchema``; virtual, eager or traced; sliced or not).
    collection : str
        ``"Jets"``: the only jets of PHYSLITE with links to stored objects.
    fields : iterable of str, optional
        Constituent columns besides the four-momentum, from ``charge, d0, d0Err, dz, dzErr``; by default all.
    constituents : {"nominal", "scaled"}
        As for `readers.nanoaod`.

    Returns
    -------
    ak.Array
        ``[event][jet]``, with ``constituents`` (pt, eta, phi, mass in GeV). Rules:

        * momenta follow from qOverP, theta and phi, with the mass of the pion; the charge is the sign of qOverP;
        * ``d0`` (mm, to the beam spot) has the sign of Delphes' D0, which is minus that of ATLAS; ``dz`` = z0 + vz −
          z of the primary vertex (vertexType 1), mm. Errors are roots of the diagonal of the covariance matrix. In an
          event without primary vertex dz and dzErr are 0: not measured;
        * tracks that the file does not keep are left out; a jet with links of which none is kept is missing (None).
          Taggers give it no score. A jet without links has no constituents.

    Raises
    ------
    JetError
        If tables, links or columns are missing, or links point outside their table.

    Warns
    -----
    ConstituentsWarning
        With the number of jets of which no tracks, or not all, are stored.
    """
    jets, exists = jets_of(events, collection, jet_collections(events))
    if GHOSTS not in jets.fields or TRACKS not in events.fields:
        raise _no_links(events, collection)
    tracks = events[TRACKS]
    key, index = (of_existing(jets[GHOSTS][column], exists) for column in ("m_persKey", "m_persIndex"))
    found = OwnLinks(
        jets=jets,
        exists=exists,
        # a link without a key points to a track that was not kept
        index=ak.where(key != 0, ak.values_astype(index, np.int64), -1),
        num_particles=ak.num(tracks["phi"], axis=1),
        columns=_columns(events, tracks),
        keys=None,
        anchor=TRACKS,
        canonical=_in_gev,
    )
    return canonical_jets(events, collection, found, _WORDS, fields=fields, constituents=constituents)


def _columns(events: ak.Array, tracks: ak.Array) -> dict[str, Column]:
    columns: dict[str, Column] = {
        "pt": lambda: np.sin(tracks["theta"]) * _GEV / abs(tracks["qOverP"]),
        "eta": lambda: -np.log(np.tan(tracks["theta"] / 2)),
        "phi": lambda: tracks["phi"],
        "mass": lambda: ak.full_like(tracks["phi"], PION_MASS),
        "charge": lambda: ak.values_astype(np.sign(tracks["qOverP"]), np.int32),
        "d0": lambda: tracks["d0"] * D0_SIGNS["perigee"],
        "d0Err": lambda: _error(tracks, 0),
    }
    if "PrimaryVertices" in events.fields:
        columns["dz"] = lambda: _if_vertex(
            events, tracks["z0"] + tracks["vz"] - ak.fill_none(_vertex_z(events), np.float32(0.0))
        )
        columns["dzErr"] = lambda: _if_vertex(events, _error(tracks, 1))
    return columns


def _error(tracks: ak.Array, parameter: int) -> ak.Array:
    return np.sqrt(tracks["definingParametersCovMatrixDiag"][:, :, parameter])


def _vertex_z(events: ak.Array) -> ak.Array:
    """Position along z of the primary vertex of each event, or None."""
    vertices = events["PrimaryVertices"]
    return ak.firsts(vertices["z"][vertices["vertexType"] == 1], axis=1)


def _if_vertex(events: ak.Array, column: ak.Array) -> ak.Array:
    """The column, 0 in events without primary vertex."""
    return column * ak.values_astype(~ak.is_none(_vertex_z(events)), np.float32)


def _in_gev(jets: ak.Array) -> ak.Array:
    """Jets with pt and mass in GeV; the file's m goes."""
    momenta = {"pt": jets["pt"] * _GEV, "mass": jets["m"] * _GEV}
    jets = jets[[name for name in jets.fields if name != "m"]]
    for name, column in momenta.items():
        jets = ak.with_field(jets, column, name)
    return jets


def jet_collections(events: ak.Array) -> Iterator[str]:
    """Names of the jets with links to tracks."""
    return (name for name in events.fields if name.endswith("Jets") and GHOSTS in events[name].fields)


def _no_links(events: ak.Array, collection: str) -> JetError:
    if TRACKS not in events.fields:
        return JetError(
            explain(
                f"PHYSLITE events without '{TRACKS}'",
                "the tracks that jets link to",
                "read the events with all branches of InDetTrackParticlesAuxDyn",
            )
        )
    found = listed(jet_collections(events))
    return JetError(
        explain(
            f"'{collection}' without '{GHOSTS}'; jets with them: {found}",
            "jets with links to InDetTrackParticles: PHYSLITE does not keep the objects (UFOs, particle flow, truth) "
            "that constituentLinks point to",
            "use 'Jets', or a derivation that keeps the constituents of these jets (DAOD_PHYS, DAOD_JETM)",
        )
    )
