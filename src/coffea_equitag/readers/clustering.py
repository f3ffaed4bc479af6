"""Jets clustered from particles with FastJet (`Cacciari, Salam, Soyez 2012 <https://arxiv.org/abs/1111.6097>`_)."""

from __future__ import annotations

import awkward as ak
import numpy as np
import vector

from ..errors import JetError, explain
from ..jets.coordinates import coordinates_of, surplus
from ..jets.nesting import with_long_offsets
from ..jets.tracing import is_traced, touch
from ..plain_numbers import plain
from .flat import is_particle
from .jet_algorithms import ALGORITHMS, Definition, clustered
from .polar_energy import with_cartesian, without_mass

__all__ = ["ALGORITHMS", "cluster"]


def cluster(
    particles: ak.Array,
    R: float = 0.8,
    algorithm: str = "anti-kt",
    *,
    min_pt: float = 0.0,
    p: float | None = None,
    n_jets: int | None = None,
    weight: str | None = None,
    mass: float | None = None,
) -> ak.Array:
    """Cluster the particles of each event: candidates, tracks, generator particles.

    `readers.particles` gives those of CMS's tables; any others will do. For instance::

        jets = eqt.readers.cluster(eqt.readers.particles(events, "PFCands"), R=1.5, min_pt=200)
        jets = eqt.readers.cluster(tracks, R=0.4, mass=0.13957)  # pt, eta, phi
        jets = eqt.readers.cluster(stable[abs(stable.eta) < 5], R=0.4, algorithm="genkt", p=0.5)
        jets = eqt.readers.cluster(particles, algorithm="durham", n_jets=2)  # e+e-

    Parameters
    ----------
    particles : ak.Array
        ``[event][particle]`` records with a four-momentum (GeV; pt, eta, phi and E will do too), virtual, eager or
        traced. Other columns are kept on the constituents, except for coordinates beyond one complete set. Missing
        particles (None) and particles without momentum (all components 0) are dropped; missing events and non-finite
        momenta are rejected.
    R : float
        Jet radius; "durham" has none.
    algorithm : {"anti-kt", "cambridge-aachen", "kt", "genkt", "durham", "ee-genkt"}
        Recombination uses FastJet's default, the E scheme. "genkt" and "ee-genkt" need `p`, "durham" needs `n_jets`.
    min_pt : float
        Jets below this pT (GeV) are dropped.
    p : float, optional
        Power of the generalised kT algorithms: −1 is anti-kT, 0 Cambridge/Aachen, 1 kT.
    n_jets : int, optional
        Exclusive clustering to this number of jets in each event, as many as there are particles in events with
        fewer. Not for algorithms that collect particles around hard ones (anti-kT).
    weight : str, optional
        Column by which the four-momenta are multiplied, such as ``"puppiWeight"``; particles of weight 0 are dropped.
        `readers.particles` has done this already.
    mass : float, optional
        Mass (GeV) of particles of which only the three-momentum is known: pt, eta, phi or px, py, pz.

    Returns
    -------
    ak.Array
        ``[event][jet]``, highest pT first, with ``pt, eta, phi, mass`` (float64) and the ``constituents`` as given,
        multiplied by their weights.

    Raises
    ------
    JetError
        For invalid options or particles.
    """
    R, min_pt = plain([R, min_pt])
    definition = Definition.of(algorithm, R, p, n_jets)
    if not (np.isfinite(min_pt) and min_pt >= 0):
        raise JetError(explain(f"min_pt={min_pt!r}", "a pT in GeV, 0 or above", "use 0 for all jets"))
    _check_structure(particles)
    particles = _with_mass(particles, mass)
    names = _coordinates(particles, weight)
    if is_traced(particles):
        return _traced(particles, names, definition, weight)
    particles = _present(particles, names, weight)
    momenta = {name: ak.values_astype(particles[field], np.float64) for name, field in names.items()}

    behavior = vector.backends.awkward.behavior
    p4 = ak.zip(momenta, with_name="Momentum4D", behavior=behavior)
    cartesian = ak.zip({"px": p4.px, "py": p4.py, "pz": p4.pz, "E": p4.E}, with_name="Momentum4D", behavior=behavior)
    jets, index = clustered(cartesian, definition, min_pt)
    named = ak.with_name(particles, "Momentum4D", behavior=behavior)
    flat = named[ak.flatten(index, axis=2)]
    by_jet = ak.unflatten(ak.flatten(flat, axis=1), ak.flatten(ak.num(index, axis=2), axis=1))
    constituents = ak.unflatten(by_jet, ak.num(index, axis=1))
    fields = {"pt": jets.pt, "eta": jets.eta, "phi": jets.phi, "mass": jets.mass}
    result = ak.zip({**fields, "constituents": constituents}, depth_limit=2, with_name="Momentum4D", behavior=behavior)
    return ak.Array(result, behavior=behavior)


def _present(particles: ak.Array, names: dict[str, str], weight: str | None) -> ak.Array:
    """The particles that have momentum, multiplied by their weights, without option types."""
    particles = ak.drop_none(with_long_offsets(particles), axis=1)
    particles = ak.drop_none(particles, axis=0)  # nothing is missing here: this removes the option type
    if weight is not None:
        _check_weights(particles[weight], weight)
        for name, field in names.items():
            if name not in ("eta", "phi"):
                particles = ak.with_field(particles, particles[field] * particles[weight], field)
        particles = particles[particles[weight] > 0]
    momenta = {name: particles[field] for name, field in names.items()}
    _check_finite(momenta)
    return particles[is_particle(momenta)]


def _traced(particles: ak.Array, names: dict[str, str], definition: Definition, weight: str | None) -> ak.Array:
    """Report what clustering reads; the result has a type but no values."""
    for field in (*names.values(), *([] if weight is None else [weight])):
        touch(particles[field])
    nothing = ak.Array(particles.layout.form.length_zero_array(highlevel=False))
    result = cluster(
        nothing, definition.R, definition.algorithm, p=definition.p, n_jets=definition.n_jets, weight=weight
    )
    return ak.Array(result.layout.to_typetracer(forget_length=True), behavior=result.behavior)


def _with_mass(particles: ak.Array, mass: float | None) -> ak.Array:
    """Give a mass to particles without one; Cartesian for polar with energy; one complete set of coordinates."""
    if mass is not None:
        known = coordinates_of(particles.fields)
        if known is not None:
            raise JetError(
                explain(
                    f"mass={mass!r} for particles with {', '.join(known.values())}",
                    "particles with three-momenta only",
                    "leave mass out, or choose columns: particles[['pt', 'eta', 'phi']]",
                )
            )
        if not (np.isfinite(mass) and mass >= 0):
            raise JetError(explain(f"mass={mass!r}", "a mass in GeV, 0 or above", "use 0.13957 for tracks"))
        if like := next((name for name in ("pt", "px") if name in particles.fields), None):
            particles = ak.with_field(particles, ak.full_like(particles[like], mass, dtype=np.float64), "mass")
    if without_mass(particles.fields) is not None:
        columns = with_cartesian({name: particles[name] for name in particles.fields})
        particles = ak.zip(columns, depth_limit=2)
    more = surplus(particles.fields)
    return particles[[name for name in particles.fields if name not in more]] if more else particles


def _check_structure(particles: ak.Array) -> None:
    if not isinstance(particles, ak.Array) or particles.ndim != 2:
        given = str(particles.type) if isinstance(particles, ak.Array) else type(particles).__name__
        raise JetError(
            explain(f"particles of type {given}", "[event][particle]", "for a single event pass particles[np.newaxis]")
        )
    if is_traced(particles):
        return
    missing = ak.to_numpy(ak.is_none(particles))
    if missing.any():
        raise JetError(
            explain(
                f"event {int(np.argmax(missing))} is missing (None)",
                "a list of particles for each event, possibly empty",
                "fill it with ak.fill_none(particles, [], axis=0), or drop the event",
            )
        )


def _coordinates(particles: ak.Array, weight: str | None) -> dict[str, str]:
    """Coordinate -> field of a complete four-momentum."""
    names = coordinates_of(particles.fields)
    if names is None:
        raise JetError(
            explain(
                f"particles with {', '.join(particles.fields) or 'no fields'}",
                "px, py, pz and E or mass, or pt, eta, phi, mass, in GeV",
                "add the missing coordinate, or pass mass=0.13957 for tracks (0 for massless particles)",
            )
        )
    if weight is not None and weight not in particles.fields:
        raise JetError(
            explain(
                f"weight={weight!r} for particles with {', '.join(particles.fields)}",
                "the name of a column of the particles",
                "leave weight out if their momenta are weighted already",
            )
        )
    return names


def _check_weights(weights: ak.Array, name: str) -> None:
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if ak.any(wrong, axis=None):
        event = int(np.argmax(ak.to_numpy(ak.any(wrong, axis=1))))
        raise JetError(
            explain(
                f"'{name}' of a particle of event {event} is {weights[event][wrong[event]][0]}",
                "finite weights, 0 or above",
                "drop these particles before clustering",
            )
        )


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
