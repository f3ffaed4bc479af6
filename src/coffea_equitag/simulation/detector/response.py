"""From true particles to energy-flow objects: tracks, photons and neutral hadrons."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import vector

from ...array_types import F8, AnyArray
from ...jets.impact_parameter import impact_parameters
from .calorimeter import Towers, hit_towers, measure, subtract_tracks, tower_keys
from .card import DetectorCard
from .propagation import closest_approach, propagate
from .randomness import EventRandom
from .tracking import efficiency, impact_resolution, log_normal, momentum_resolution, track_types

__all__ = ["Detector"]

_Columns = dict[str, AnyArray]

#: PDG codes of calorimeter objects without a track: a photon (ECAL), a K_L (HCAL), as in CMS' particle flow.
PHOTON, NEUTRAL_HADRON = 22, 130


class Detector:
    """A detector that returns energy-flow objects.

    Parameters
    ----------
    card : DetectorCard
        Its parameters.
    """

    def __init__(self, card: DetectorCard) -> None:
        self.card = card
        codes = sorted(card.energy_fractions)
        self._codes = np.array(codes)
        self._fractions = np.array([card.energy_fractions[code] for code in codes])

    def __call__(self, particles: ak.Array, seed: int, first: int = 0) -> ak.Array:
        """Pass events through the detector.

        Parameters
        ----------
        particles : ak.Array
            ``[event][particle]``: stable visible particles with ``px, py, pz, mass`` (GeV), ``pdgId``, ``charge``, and
            their production vertices ``vx, vy, vz`` (mm).
        seed : int
            Seed of the random numbers.
        first : int
            Index of the first event: the response to an event depends only on it and the seed.

        Returns
        -------
        ak.Array
            ``[event][object]`` massless Momentum4D records, ``px, py, pz, mass`` (GeV), ``pdgId`` (±211, ±11, ±13 for
            tracks, 22 and 130 for towers) and ``charge``. If the card has impact parameters, also ``d0, dz`` (mm, with
            Delphes' sign), ``d0Err, dzErr`` and the vector ``ip``; 0 for towers.
        """
        events = len(particles)
        random = EventRandom(seed, first, events)
        flat = {name: ak.to_numpy(ak.flatten(particles[name])) for name in particles.fields}
        flat["event"] = np.repeat(np.arange(events), ak.to_numpy(ak.num(particles)))
        flat = self._at_calorimeter(flat)
        tracks = self._tracks(flat, events, random)
        fractions = self._energy_fractions(flat["pdgId"])
        energy = np.sqrt(flat["px"] ** 2 + flat["py"] ** 2 + flat["pz"] ** 2 + flat["mass"] ** 2)
        scale = np.ones(len(tracks["event"]))
        objects = []
        towers: Towers | None = None
        for number, (calorimeter, code) in enumerate(((self.card.ecal, PHOTON), (self.card.hcal, NEUTRAL_HADRON))):
            if towers is None or not self.card.combined:
                keys = tower_keys(calorimeter, flat["event"], flat["eta_out"], flat["phi_out"])
                towers, index = hit_towers(calorimeter, keys, events, random)
            size = len(towers.event)
            share = fractions[:, number]
            hits = (keys >= 0) & (share > 0)
            true = np.bincount(index[hits], weights=(energy * share)[hits], minlength=size).astype(np.float64)
            measured = measure(calorimeter, towers, true, random.normal(np.bincount(towers.event, minlength=events)))
            row = tracks["row"]
            stopped = hits[row] & (share[row] == 1)
            flow = subtract_tracks(
                calorimeter,
                towers,
                measured,
                index[row[stopped]],
                (tracks["pt"] * np.cosh(tracks["eta"]))[stopped],
                tracks["resolution"][stopped],
            )
            scale[stopped] = flow.scale
            objects.append(_neutral(towers, flow.neutral, code))
        return _assemble([self._kept_tracks(tracks, scale), *objects], events, bool(self.card.impact))

    def _at_calorimeter(self, flat: _Columns) -> _Columns:
        card = self.card
        momentum = np.stack([flat[k] for k in ("px", "py", "pz")], axis=1)
        position = np.stack([flat[k] for k in ("vx", "vy", "vz")], axis=1)
        points, inside = propagate(
            position, momentum, flat["charge"].astype(np.float64), card.field, card.radius, card.half_length
        )
        flat["eta_out"] = np.arcsinh(points[:, 2] / np.maximum(np.hypot(points[:, 0], points[:, 1]), 1e-9))
        flat["phi_out"] = np.arctan2(points[:, 1], points[:, 0])
        return {name: column[inside] for name, column in flat.items()}

    def _energy_fractions(self, pdg_id: AnyArray) -> F8:
        code = np.abs(pdg_id)
        place = np.minimum(np.searchsorted(self._codes, code), len(self._codes) - 1)
        known = self._codes[place] == code
        # codes are sorted: index 0 is code 0, which stands for all others
        fractions: F8 = self._fractions[np.where(known, place, 0)]
        return fractions

    def _tracks(self, flat: _Columns, events: int, random: EventRandom) -> _Columns:
        row = np.flatnonzero(flat["charge"])
        charged = {name: column[row] for name, column in flat.items()} | {"row": row}
        pt = np.hypot(charged["px"], charged["py"])
        abs_eta = np.abs(charged["eta_out"])
        counts = np.bincount(charged["event"], minlength=events)
        chance, sigma = np.zeros(len(row)), np.zeros(len(row))
        for kind, here in track_types(self.card, np.abs(charged["pdgId"])):
            chance[here] = efficiency(kind, pt[here], abs_eta[here])
            sigma[here] = momentum_resolution(kind, pt[here], abs_eta[here])
        found = random.uniform(counts) < chance
        smeared = log_normal(pt, np.minimum(sigma, 1.0) * pt, random.normal(counts))
        momentum = np.stack([charged[k] for k in ("px", "py", "pz")], axis=1)
        position = np.stack([charged[k] for k in ("vx", "vy", "vz")], axis=1)
        nearest = closest_approach(position, momentum, charged["charge"].astype(np.float64), self.card.field)
        charged |= {
            "pt": smeared,
            "eta": np.arcsinh(charged["pz"] / pt),
            "phi": nearest.phi,
            "resolution": sigma,
        }
        if self.card.impact:
            d0_error, dz_error = impact_resolution(self.card.impact, pt, abs_eta)
            charged |= {
                "d0": nearest.d0 + d0_error * random.normal(counts),
                "dz": nearest.dz + dz_error * random.normal(counts),
                "d0Err": d0_error,
                "dzErr": dz_error,
            }
        return {name: column[found] for name, column in charged.items()}

    def _kept_tracks(self, tracks: _Columns, scale: AnyArray) -> _Columns:
        code = np.abs(tracks["pdgId"])
        lepton = (code == 11) | (code == 13)
        kind = np.where(lepton, tracks["pdgId"], 211 * np.sign(tracks["charge"]))
        names = ("d0", "dz", "d0Err", "dzErr") if self.card.impact else ()
        columns = {name: tracks[name] for name in ("event", "eta", "phi", "charge", *names)}
        columns |= {"pt": tracks["pt"] * scale, "pdgId": kind}
        return {name: column[scale > 0] for name, column in columns.items()}


def _neutral(towers: Towers, energy: AnyArray, code: int) -> _Columns:
    seen = energy > 0
    count = int(seen.sum())
    return {
        "event": towers.event[seen],
        "pt": energy[seen] / np.cosh(towers.eta[seen]),
        "eta": towers.eta[seen],
        "phi": towers.phi[seen],
        "charge": np.zeros(count, np.int32),
        "pdgId": np.full(count, code, np.int32),
        **{name: np.zeros(count) for name in ("d0", "dz", "d0Err", "dzErr")},
    }


def _assemble(parts: list[_Columns], events: int, impact: bool) -> ak.Array:
    flat = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(flat["event"], kind="stable")
    flat = {name: column[order] for name, column in flat.items()}
    pt, phi = flat["pt"], flat["phi"]
    columns = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(flat["eta"]),
        "mass": np.zeros(len(pt)),
        "pdgId": flat["pdgId"].astype(np.int32),
        "charge": flat["charge"].astype(np.int32),
    }
    records: dict[str, Any] = dict(columns)
    if impact:
        momenta = np.stack([columns[k] for k in ("px", "py", "pz")], axis=1)
        ip = impact_parameters(momenta, flat["d0"], flat["dz"], flat["charge"])
        records |= {name: flat[name].astype(np.float32) for name in ("d0", "dz", "d0Err", "dzErr")}
        records["ip"] = ak.zip(
            {name: ip[:, k].astype(np.float32) for k, name in enumerate("xyz")}, with_name="Vector3D"
        )
    counts = np.bincount(flat["event"], minlength=events)
    objects = ak.zip(records, depth_limit=1, with_name="Momentum4D", behavior=vector.backends.awkward.behavior)
    return ak.unflatten(objects, counts)
