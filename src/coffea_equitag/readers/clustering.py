"""Jets clustered from particles with FastJet (`Cacciari, Salam, Soyez 2012 <https://arxiv.org/abs/1111.6097>`_)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import awkward as ak
import fastjet
import numpy as np
import vector

from ..array_types import AnyArray
from ..errors import JetError, explain
from ..jets.coordinates import coordinates_of
from ..jets.nesting import with_long_offsets
from ..plain_numbers import plain
from .flat import is_particle

__all__ = ["ALGORITHMS", "cluster"]

#: Name -> FastJet's algorithm.
ALGORITHMS = {
    "anti-kt": fastjet.antikt_algorithm,
    "cambridge-aachen": fastjet.cambridge_algorithm,
    "kt": fastjet.kt_algorithm,
}

#: Particles per call of FastJet, which holds about 450 bytes for each until the call returns.
CHUNK_PARTICLES = 200_000


def cluster(
    particles: ak.Array,
    R: float = 0.8,
    algorithm: str = "anti-kt",
    *,
    min_pt: float = 0.0,
) -> ak.Array:
    """Cluster the particles of each event.

    Parameters
    ----------
    particles : ak.Array
        ``[event][particle]`` records with a four-momentum (GeV); other columns are kept on the constituents.
        Missing particles (None) and particles without momentum (all components 0) are dropped; missing events
        and non-finite momenta are rejected.
    R : float
        Jet radius.
    algorithm : {"anti-kt", "cambridge-aachen", "kt"}
        Recombination uses FastJet's default, the E scheme.
    min_pt : float
        Jets below this pT (GeV) are dropped.

    Returns
    -------
    ak.Array
        ``[event][jet]``, highest pT first, with ``pt, eta, phi, mass`` (float64) and the ``constituents`` as given.

    Raises
    ------
    JetError
        For invalid options or particles.
    """
    R, min_pt = plain([R, min_pt])
    names = _checked(particles, R, algorithm, min_pt)
    particles = ak.drop_none(with_long_offsets(particles), axis=1)
    particles = ak.drop_none(particles, axis=0)  # nothing is missing here: this removes the option type
    momenta = {name: ak.values_astype(particles[field], np.float64) for name, field in names.items()}
    _check_finite(momenta)
    present = is_particle(momenta)
    particles, momenta = particles[present], {name: column[present] for name, column in momenta.items()}

    behavior = vector.backends.awkward.behavior
    p4 = ak.zip(momenta, with_name="Momentum4D", behavior=behavior)
    cartesian = ak.zip({"px": p4.px, "py": p4.py, "pz": p4.pz, "E": p4.E}, with_name="Momentum4D", behavior=behavior)
    definition = fastjet.JetDefinition(ALGORITHMS[algorithm], R)
    num_particles = ak.to_numpy(ak.num(cartesian, axis=1))
    pieces = [_cluster_chunk(cartesian[start:stop], definition, min_pt) for start, stop in _chunks(num_particles)]
    jets, index = (ak.concatenate(piece) for piece in zip(*pieces, strict=True))
    named = ak.with_name(particles, "Momentum4D", behavior=behavior)
    flat = named[ak.flatten(index, axis=2)]
    by_jet = ak.unflatten(ak.flatten(flat, axis=1), ak.flatten(ak.num(index, axis=2), axis=1))
    constituents = ak.unflatten(by_jet, ak.num(index, axis=1))
    fields = {"pt": jets.pt, "eta": jets.eta, "phi": jets.phi, "mass": jets.mass}
    result = ak.zip({**fields, "constituents": constituents}, depth_limit=2, with_name="Momentum4D", behavior=behavior)
    return ak.Array(result, behavior=behavior)


def _cluster_chunk(p4: ak.Array, definition: Any, min_pt: float) -> tuple[ak.Array, ak.Array]:
    """Jets' four-momenta and constituent indices, highest pT first."""
    behavior = vector.backends.awkward.behavior
    filled = ak.to_numpy(ak.num(p4, axis=1)) > 0
    counts = np.zeros(len(p4), dtype=np.int64)
    if filled.any():
        # FastJet gets only events with particles; the others get empty lists again below
        sequence = fastjet.ClusterSequence(ak.to_packed(p4[filled]), definition)
        jets = sequence.inclusive_jets(min_pt=min_pt)
        index = sequence.constituent_index(min_pt=min_pt)
        jets = ak.with_name(jets[["px", "py", "pz", "E"]], "Momentum4D", behavior=behavior)
        order = ak.argsort(jets.pt, axis=1, ascending=False, stable=True)
        jets, index = jets[order], index[order]
        counts[filled] = ak.to_numpy(ak.num(jets, axis=1))
        jets, index = ak.flatten(jets, axis=1), ak.flatten(index, axis=1)
    else:
        zero = np.zeros(0)
        jets = ak.zip(dict.fromkeys(("px", "py", "pz", "E"), zero), with_name="Momentum4D", behavior=behavior)
        index = ak.unflatten(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    return ak.unflatten(jets, counts), ak.unflatten(ak.values_astype(index, np.int64), counts)


def _chunks(num_particles: AnyArray) -> list[tuple[int, int]]:
    """Ranges of events with about `CHUNK_PARTICLES` particles each; a single empty range if there are no events."""
    which = np.cumsum(num_particles) // CHUNK_PARTICLES
    edges = np.concatenate([[0], np.flatnonzero(np.diff(which)) + 1, [len(num_particles)]])
    return [(int(start), int(stop)) for start, stop in pairwise(edges)]


def _checked(particles: ak.Array, R: float, algorithm: str, min_pt: float) -> dict[str, str]:
    """Check options and structure, then return the coordinates of the particles."""
    if algorithm not in ALGORITHMS:
        raise JetError(explain(f"algorithm={algorithm!r}", f"one of {', '.join(ALGORITHMS)}", "choose one of them"))
    if not (np.isfinite(R) and R > 0):
        raise JetError(explain(f"R={R!r}", "a positive radius", "use 0.8 for large-radius jets, 0.4 for small ones"))
    if not (np.isfinite(min_pt) and min_pt >= 0):
        raise JetError(explain(f"min_pt={min_pt!r}", "a pT in GeV, 0 or above", "use 0 for all jets"))
    if not isinstance(particles, ak.Array) or particles.ndim != 2:
        given = str(particles.type) if isinstance(particles, ak.Array) else type(particles).__name__
        raise JetError(
            explain(f"particles of type {given}", "[event][particle]", "for a single event pass particles[np.newaxis]")
        )
    names = coordinates_of(particles.fields)
    if names is None:
        raise JetError(
            explain(
                f"particles with {', '.join(particles.fields) or 'no fields'}",
                "px, py, pz and E or mass, or pt, eta, phi, mass, in GeV",
                "add the missing coordinate; for massless particles set mass = 0",
            )
        )
    missing = ak.to_numpy(ak.is_none(particles))
    if missing.any():
        raise JetError(
            explain(
                f"event {int(np.argmax(missing))} is missing (None)",
                "a list of particles for each event, possibly empty",
                "fill it with ak.fill_none(particles, [], axis=0), or drop the event",
            )
        )
    return names


def _check_finite(momenta: dict[str, ak.Array]) -> None:
    for name, column in momenta.items():
        wrong = ~np.isfinite(column)
        if ak.any(wrong, axis=None):
            event = int(np.argmax(ak.to_numpy(ak.any(wrong, axis=1))))
            raise JetError(
                explain(
                    f"'{name}' of a particle of event {event} is {column[event][wrong[event]][0]}",
                    "finite momenta",
                    "drop these particles before clustering",
                )
            )
