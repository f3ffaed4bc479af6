"""FastJet's algorithms, run on events in chunks that bound its memory."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, NamedTuple

import awkward as ak
import fastjet
import numpy as np
import vector

from ..array_types import AnyArray
from ..errors import JetError, explain
from ..fastjet_banner import silence_banner

__all__ = ["ALGORITHMS", "Definition", "clustered"]

#: Particles per call of FastJet, which holds about 450 bytes for each until the call returns.
CHUNK_PARTICLES = 200_000


class Algorithm(NamedTuple):
    """How an algorithm of FastJet is called.

    Attributes
    ----------
    code : int
        FastJet's algorithm.
    has_radius, has_power : bool
        Whether it has R, and p.
    exclusive : bool
        Whether it defines a given number of jets.
    """

    code: int
    has_radius: bool = True
    has_power: bool = False
    exclusive: bool = True


#: Name -> algorithm.
ALGORITHMS = {
    "anti-kt": Algorithm(fastjet.antikt_algorithm, exclusive=False),
    "cambridge-aachen": Algorithm(fastjet.cambridge_algorithm),
    "kt": Algorithm(fastjet.kt_algorithm),
    "genkt": Algorithm(fastjet.genkt_algorithm, has_power=True),
    "durham": Algorithm(fastjet.ee_kt_algorithm, has_radius=False),
    "ee-genkt": Algorithm(fastjet.ee_genkt_algorithm, has_power=True),
}


class Definition(NamedTuple):
    """A jet definition, checked when it is built with `of`."""

    algorithm: str
    R: float
    p: float | None
    n_jets: int | None

    @classmethod
    def of(cls, algorithm: str, R: float, p: float | None, n_jets: int | None) -> Definition:
        """Check the options.

        Raises
        ------
        JetError
            For an unknown algorithm, or options that do not fit it.
        """
        if algorithm not in ALGORITHMS:
            raise JetError(explain(f"algorithm={algorithm!r}", f"one of {', '.join(ALGORITHMS)}", "choose one of them"))
        chosen = ALGORITHMS[algorithm]
        if not (np.isfinite(R) and R > 0):
            raise JetError(
                explain(f"R={R!r}", "a positive radius", "use 0.8 for large-radius jets, 0.4 for small ones")
            )
        if chosen.has_power != (p is not None) or not np.isfinite(p or 0.0):
            expected = "a finite power p" if chosen.has_power else f"no p: {algorithm} has none"
            raise JetError(explain(f"p={p!r} for algorithm={algorithm!r}", expected, "p=-1 is anti-kT, 0 C/A, 1 kT"))
        if n_jets is not None and not (chosen.exclusive and (p is None or p >= 0) and n_jets > 0):
            raise JetError(
                explain(
                    f"n_jets={n_jets!r} for algorithm={algorithm!r}" + ("" if p is None else f" with p={p!r}"),
                    "a positive number, and an algorithm that merges the closest pairs first (kt, cambridge-aachen, "
                    "durham, genkt and ee-genkt with p >= 0)",
                    "leave n_jets out, or choose another algorithm",
                )
            )
        if not chosen.has_radius and n_jets is None:
            raise JetError(
                explain(f"algorithm={algorithm!r} without n_jets", "the number of jets of an event", "pass n_jets=2")
            )
        return cls(algorithm, R, p, n_jets)

    def fastjet(self) -> Any:
        """FastJet's object."""
        chosen = ALGORITHMS[self.algorithm]
        if not chosen.has_radius:
            return fastjet.JetDefinition0Param(chosen.code)
        return fastjet.JetDefinition(chosen.code, self.R, *([] if self.p is None else [float(self.p)]))


def clustered(p4: ak.Array, definition: Definition, min_pt: float) -> tuple[ak.Array, ak.Array]:
    """Jets' four-momenta ``[event][jet]`` and indices of their particles, highest pT first.

    Parameters
    ----------
    p4 : ak.Array
        ``[event][particle]`` with px, py, pz, E (float64), finite.
    definition : Definition
        Algorithm and its parameters.
    min_pt : float
        Jets below are dropped, GeV.
    """
    number = ak.to_numpy(ak.num(p4, axis=1))
    pieces = [_piece(p4[start:stop], definition, min_pt) for start, stop in _chunks(number)]
    jets, index = (ak.concatenate(piece) for piece in zip(*pieces, strict=True))
    return jets, index


def _piece(p4: ak.Array, definition: Definition, min_pt: float) -> tuple[ak.Array, ak.Array]:
    counts = np.zeros(len(p4), dtype=np.int64)
    number = ak.to_numpy(ak.num(p4, axis=1))
    # FastJet gets only events it can cluster, others become their particles, or empty lists
    least = 1 if definition.n_jets is None else definition.n_jets
    few = (number < least) & (number > 0)
    parts = []
    for chosen, run in ((number >= least, _run), (few, _particles_as_jets)):
        if chosen.any():
            jets, index = run(ak.to_packed(p4[chosen]), definition, min_pt)
            order = ak.argsort(jets.pt, axis=1, ascending=False, stable=True)
            parts.append((np.flatnonzero(chosen), jets[order], index[order]))
    if not parts:
        zero = np.zeros(0)
        jets = _momenta(dict.fromkeys(("px", "py", "pz", "E"), zero))
        index = ak.unflatten(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        return ak.unflatten(jets, counts), ak.unflatten(index, counts)
    events = np.concatenate([part[0] for part in parts])
    back = np.argsort(events, kind="stable")
    jets, index = (ak.concatenate([part[k] for part in parts])[back] for k in (1, 2))
    counts[events[back]] = ak.to_numpy(ak.num(jets, axis=1))
    return ak.unflatten(ak.flatten(jets, axis=1), counts), ak.unflatten(ak.flatten(index, axis=1), counts)


def _run(p4: ak.Array, definition: Definition, min_pt: float) -> tuple[ak.Array, ak.Array]:
    silence_banner()
    sequence = fastjet.ClusterSequence(p4, definition.fastjet())
    if definition.n_jets is None:
        jets, index = sequence.inclusive_jets(min_pt=min_pt), sequence.constituent_index(min_pt=min_pt)
    else:
        with warnings.catch_warnings():
            # FastJet's Python part warns for the e+e- algorithms too, whose distances do grow from merger to merger
            warnings.filterwarnings("ignore", "dcut and exclusive jets", UserWarning)
            jets = sequence.exclusive_jets(n_jets=definition.n_jets)
        index = sequence.exclusive_jets_constituent_index(njets=definition.n_jets)
    jets, index = _momenta({name: jets[name] for name in ("px", "py", "pz", "E")}), ak.values_astype(index, np.int64)
    return _above(jets, index, min_pt) if definition.n_jets is not None else (jets, index)


def _particles_as_jets(p4: ak.Array, definition: Definition, min_pt: float) -> tuple[ak.Array, ak.Array]:
    """Events with fewer particles than jets asked for: every particle is a jet."""
    index = ak.values_astype(ak.local_index(p4, axis=1), np.int64)
    return _above(p4, index[:, :, np.newaxis], min_pt)


def _above(jets: ak.Array, index: ak.Array, min_pt: float) -> tuple[ak.Array, ak.Array]:
    kept = jets.pt >= min_pt
    return jets[kept], ak.from_regular(index[kept], axis=None)


def _momenta(columns: dict[str, Any]) -> ak.Array:
    return ak.zip(columns, with_name="Momentum4D", behavior=vector.backends.awkward.behavior)


def _chunks(num_particles: AnyArray) -> list[tuple[int, int]]:
    """Ranges of events with about `CHUNK_PARTICLES` particles each; a single empty range if there are no events."""
    which = np.cumsum(num_particles) // CHUNK_PARTICLES
    edges = np.concatenate([[0], np.flatnonzero(np.diff(which)) + 1, [len(num_particles)]])
    return [(int(start), int(stop)) for start, stop in pairwise(edges)]
