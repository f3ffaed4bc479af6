"""Inputs for b-tagging: tracks and their impact parameters."""

from __future__ import annotations

from collections.abc import Sequence

import awkward as ak
import numpy as np
import torch
import vector
from torch import Tensor

from ..array_types import F8
from ..compiled import inner, njit, over_jets
from ..errors import JetError
from ..jets import flatten
from ..jets.impact_parameter import IMPACT_COLUMNS
from ..jets.ragged import RaggedJets
from .kinematic import relative_angles

__all__ = [
    "PARTICLE_TYPES",
    "TRACK_COLUMNS",
    "VECTOR_COLUMNS",
    "compress",
    "impact_parameter",
    "particle_types",
    "track_features",
    "track_vectors",
    "with_impact_parameter",
]

#: The types `particle_types` distinguishes; anything other than an electron or muon counts as a hadron.
PARTICLE_TYPES = ("electron", "muon", "hadron")

#: Constituent columns `track_features` and `particle_types` need.
TRACK_COLUMNS = ("charge", "pdgId", "d0", "dz")

#: Constituent columns `track_vectors` and `particle_types` need.
VECTOR_COLUMNS = ("charge", "pdgId", *IMPACT_COLUMNS)

#: Where `track_vectors` changes from linear to logarithmic: jet and track momentum (GeV), impact parameter (mm).
VECTOR_SCALES = (300.0, 20.0, 0.1)
#: Lengths in these units below which asinh(x)/x is 1.
_SMALLEST = 1e-8
#: Work of a track in the units of `over_jets` (pairs).
_TRACK_WORK = 10


def impact_parameter(jets: ak.Array) -> ak.Array:
    """Three-dimensional impact parameters of constituents, mm.

    Their own ``ip`` where present; else a = v − (v·p̂)p̂ with v = (d0 sin φ, −d0 cos φ, dz), where d0 has the sign of
    Delphes' D0; 0 for neutral constituents.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets, none missing, without constituents of zero momentum.

    Returns
    -------
    ak.Array
        ``[...][jet][constituent]`` records x, y, z (vector ``Vector3D``).

    Raises
    ------
    JetError
        If there is neither ``ip`` nor d0, dz and charge, or the value of a charged constituent is not finite.
    """
    flat = flatten(jets, IMPACT_COLUMNS)
    counts = ak.to_numpy(ak.flatten(ak.num(jets["constituents"], axis=-1), axis=None))
    if not np.array_equal(np.diff(flat.offsets), counts):
        raise JetError("missing jets or constituents without momentum: drop them before computing impact parameters")
    rows = ak.zip({name[-1]: flat.columns[name] for name in IMPACT_COLUMNS}, with_name="Vector3D")
    nested = flat.nesting.restore(ak.unflatten(rows, np.diff(flat.offsets)))
    return ak.Array(nested, behavior=vector.backends.awkward.behavior)


def with_impact_parameter(jets: ak.Array) -> ak.Array:
    """The jets with ``ip`` added to their constituents, so that it rotates with them; see `impact_parameter`."""
    constituents = ak.with_field(jets["constituents"], impact_parameter(jets), "ip")
    return ak.with_field(jets, constituents, "constituents")


def particle_types(jets: RaggedJets) -> Tensor:
    """Index into `PARTICLE_TYPES` of each constituent, from its pdgId: shape (N,), int64."""
    kind = jets.columns["pdgId"].abs()
    return torch.where(kind == 11, 0, torch.where(kind == 13, 1, 2))


def track_features(jets: RaggedJets) -> Tensor:
    """Nine inputs of the b-tagging PFN (arXiv:2303.11288), which also embeds the particle type.

    log(pT_jet/100), η_jet, φ_jet, log(pT/10), Δη, Δφ, asinh(d0/0.05), asinh(dz/0.05), charge; GeV and mm. The scaling
    is our choice: asinh is linear within the resolution and logarithmic in the tails from long-lived decays. Neutral
    constituents have d0 = dz = 0.

    Returns
    -------
    Tensor of float64, shape (N, 9)
    """
    jet = jets.spread(jets.jet_p4)
    pt, jet_pt = (torch.hypot(p[:, 1], p[:, 2]).clamp(min=1e-30) for p in (jets.p4, jet))
    charge = jets.columns["charge"].to(jets.p4)
    d0, dz = (torch.where(charge != 0, jets.columns[name].to(jets.p4), 0.0) for name in ("d0", "dz"))
    columns = [
        torch.log(jet_pt / 100.0),
        torch.asinh(jet[:, 3] / jet_pt),
        torch.atan2(jet[:, 2], jet[:, 1]),
        torch.log(pt / 10.0),
        *relative_angles(jets),
        torch.asinh(d0 / 0.05),
        torch.asinh(dz / 0.05),
        charge,
    ]
    return torch.stack(columns, dim=1)


def track_vectors(jets: RaggedJets) -> Tensor:
    """Three vectors per constituent: the jet's momentum, its own momentum, its impact parameter; `compress`ed.

    Returns
    -------
    Tensor of float64, shape (N, 3, 3)
        Axes: constituent, component, vector.
    """
    columns = [jets.columns[name] for name in (*IMPACT_COLUMNS, "charge")]
    if _are_numbers(jets.p4, jets.jet_p4, *columns):
        return _compiled(jets, columns)
    jet = jets.spread(jets.jet_p4[:, 1:])
    impact = torch.stack([jets.columns[name].to(jets.p4) for name in IMPACT_COLUMNS], dim=1)
    impact = torch.where((jets.columns["charge"] != 0)[:, None], impact, 0.0)
    vectors = torch.stack([jet, jets.p4[:, 1:], impact], dim=1)
    scale = torch.tensor(VECTOR_SCALES, dtype=vectors.dtype, device=vectors.device)[:, None]
    return compress(vectors, scale).mT


def compress(vectors: Tensor, scale: float | Tensor) -> Tensor:
    """Vectors (..., 3) of length asinh(|v|/scale), directions unchanged: equivariant, unlike logarithms of them."""
    scaled = vectors / scale
    size = scaled.norm(dim=-1, keepdim=True)  # the last axis is by far the fastest
    return scaled * torch.where(size > _SMALLEST, torch.asinh(size) / size.clamp(min=_SMALLEST), 1.0)


def _are_numbers(*tensors: Tensor) -> bool:
    """Whether tensors are nothing but numbers in this machine's memory: no gradients, graphs or other devices."""
    if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling():
        return False
    records = torch.is_grad_enabled()
    return all(tensor.device.type == "cpu" and not (records and tensor.requires_grad) for tensor in tensors)


def _compiled(jets: RaggedJets, columns: Sequence[Tensor]) -> Tensor:
    """`track_vectors`, constituent by constituent on all threads."""
    impact, scales = np.empty((len(IMPACT_COLUMNS), len(jets.p4))), np.array(VECTOR_SCALES)
    *impact_columns, charge = (column.detach().numpy() for column in columns)
    for row, column in zip(impact, impact_columns, strict=True):
        row[:] = column
    impact[:, charge == 0] = 0.0
    momenta = (jets.spread(jets.jet_p4), jets.p4)
    jet_p4, p4 = (np.ascontiguousarray(rows.detach().numpy()) for rows in momenta)
    out = np.empty((len(p4), 3, 3))
    over_jets(
        lambda first, last: _fill(jet_p4, p4, impact, scales, out, first, last),
        _TRACK_WORK * np.arange(len(p4) + 1),
        torch.get_num_threads(),
    )
    return torch.from_numpy(out)


@njit
def _fill(jet_p4: F8, p4: F8, impact: F8, scales: F8, out: F8, first: int, last: int) -> None:
    for i in range(first, last):
        jet = jet_p4[i]
        # of one jet as a rule
        if i == first or jet[1] != jet_p4[i - 1, 1] or jet[2] != jet_p4[i - 1, 2] or jet[3] != jet_p4[i - 1, 3]:
            x, y, z = _compress(jet[1], jet[2], jet[3], scales[0])
        out[i, 0, 0], out[i, 1, 0], out[i, 2, 0] = x, y, z
        out[i, 0, 1], out[i, 1, 1], out[i, 2, 1] = _compress(p4[i, 1], p4[i, 2], p4[i, 3], scales[1])
        out[i, 0, 2], out[i, 1, 2], out[i, 2, 2] = _compress(impact[0, i], impact[1, i], impact[2, i], scales[2])


@inner
def _compress(x: float, y: float, z: float, scale: float) -> tuple[float, float, float]:
    """`compress` of one vector."""
    x, y, z = x / scale, y / scale, z / scale
    size = np.sqrt(x * x + y * y + z * z)
    ratio = np.arcsinh(size) / size if size > _SMALLEST else 1.0
    return x * ratio, y * ratio, z * ratio
