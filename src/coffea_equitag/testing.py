"""Symmetry assertions for any callable that takes jets, including your own networks.

Each compares a callable's outputs on jets and on transformed jets, relative to the root mean square of the outputs, and
reports the measured deviation. Transformations are computed in extended precision from (px, py, pz, mass) and rounded
once to float64, so that they test the network and not the transformation.
Networks of torch are tested in evaluation mode, whatever mode they are in, and get theirs back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import awkward as ak
import numpy as np

from .array_types import AnyArray, Floats
from .evaluation_mode import evaluation_mode
from .jets import flatten
from .jets.coordinates import COORDINATE_NAMES
from .jets.impact_parameter import IMPACT_COLUMNS
from .jets.nesting import unnest

__all__ = [
    "assert_batch_independent",
    "assert_lorentz_invariant",
    "assert_permutation_invariant",
    "assert_so2_invariant",
    "assert_so3_equivariant",
    "boost",
    "rotation",
    "transform",
]


def boost(gamma: float, axis: Sequence[float] | Floats) -> Floats:
    """Matrix (4, 4) of a boost by γ along an axis, acting on (E, px, py, pz), in extended precision."""
    g = np.longdouble(gamma)
    n = _unit(axis)
    sinh = np.sqrt((g - 1) * (g + 1))
    matrix = np.eye(4, dtype=np.longdouble)
    matrix[0, 0] = g
    matrix[0, 1:] = matrix[1:, 0] = -sinh * n
    matrix[1:, 1:] += (g - 1) * np.outer(n, n)
    return matrix


def rotation(angle: float, axis: Sequence[float] | Floats) -> Floats:
    """Matrix (4, 4) of a rotation by an angle about an axis, acting on (E, px, py, pz), in extended precision."""
    n, a = _unit(axis), np.longdouble(angle)
    cross = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]], dtype=np.longdouble)
    matrix = np.eye(4, dtype=np.longdouble)
    matrix[1:, 1:] += np.sin(a) * cross + (1 - np.cos(a)) * (cross @ cross)
    return matrix


def transform(jets: ak.Array, matrix: Floats) -> ak.Array:
    """Apply a Lorentz transformation to jets.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets, any nesting, none missing.
    matrix : ndarray, shape (4, 4) or (J, 4, 4)
        Acts on (E, px, py, pz); the same for all jets, or one per jet.

    Returns
    -------
    ak.Array
        The jets with (px, py, pz, mass) constituents in float64. Masses are unchanged, the 3-D vectors ``ip`` are
        rotated with the momenta, and all other constituent columns and jet fields (except the jet's own
        four-momentum) are kept. Padding and missing constituents are dropped.
    """
    constituents = jets["constituents"]
    kept = sorted(set(constituents.fields) - COORDINATE_NAMES - {"ip"})
    impact = IMPACT_COLUMNS if "ip" in constituents.fields else ()
    flat = flatten(jets, [*kept, *impact])
    mass = flat.momenta.mass.astype(np.longdouble)
    three = flat.momenta.p4[:, 1:].astype(np.longdouble)
    energy = np.sqrt((three**2).sum(1) + mass**2)
    counts = np.diff(flat.offsets)
    moved = _times(matrix, np.concatenate([energy[:, None], three], axis=1), counts)
    columns: dict[str, Any] = {
        "px": moved[:, 1].astype(np.float64),
        "py": moved[:, 2].astype(np.float64),
        "pz": moved[:, 3].astype(np.float64),
        "mass": flat.momenta.mass,
    }
    columns |= {name: flat.columns[name] for name in kept}
    if impact:
        given = np.stack([flat.columns[name] for name in impact], axis=1)
        turned = _times(matrix[..., 1:, 1:], given.astype(np.longdouble), counts).astype(np.float64)
        columns["ip"] = ak.zip({k: turned[:, i] for i, k in enumerate("xyz")}, with_name="Vector3D")
    new = ak.unflatten(ak.zip(columns, depth_limit=1, with_name="Momentum4D"), counts)
    fields = {k: jets[k] for k in jets.fields if k not in COORDINATE_NAMES | {"constituents"}}
    return ak.zip({**fields, "constituents": flat.nesting.restore(new)}, depth_limit=jets.ndim, behavior=jets.behavior)


def assert_lorentz_invariant(
    function: Callable[..., Any],
    jets: ak.Array,
    *,
    gammas: Sequence[float] = (1.0, 2.0, 10.0, 100.0, 1e3, 1e4),
    tolerance: float = 1e-6,
    references: Floats | None = None,
    seed: int = 0,
) -> float:
    """Assert that outputs do not change when everything is boosted and rotated.

    Parameters
    ----------
    function : callable
        ``function(jets)``, or with `references` ``function(jets, references)``, returning numbers, one row per jet. If
        it is no network of torch itself but calls one, put that into evaluation mode.
    jets : ak.Array
        Canonical jets.
    gammas : sequence of float
        Boosts, each along the three axes, a random axis and the first jet's axis, with and without a rotation.
    tolerance : float
        Largest deviation allowed, relative to the rms of the outputs.
    references : ndarray, shape (k, 4), optional
        Vectors (E, px, py, pz) transformed together with the jets, such as beams.

    Returns
    -------
    float
        The measured deviation.
    """
    rng = np.random.default_rng(seed)
    flow = flatten(jets).jet_p4[:1, 1:].sum(0)
    axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1], rng.normal(size=3), flow if flow.any() else [1, 1, 0]]
    matrices = []
    for gamma in gammas:
        for axis in axes:
            plain = boost(gamma, axis)
            matrices += [plain, np.matmul(plain, rotation(rng.uniform(0, 2 * np.pi), rng.normal(size=3)))]
    return _assert_same(function, jets, matrices, tolerance, "Lorentz", references)


def assert_so2_invariant(
    function: Callable[..., Any],
    jets: ak.Array,
    axis: Sequence[float] | Floats,
    *,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> float:
    """Assert that outputs do not change under rotations about an axis; see `assert_lorentz_invariant`."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, 5)
    return _assert_same(function, jets, [rotation(a, axis) for a in angles], tolerance, f"SO(2) about {axis}")


def assert_so3_equivariant(
    function: Callable[..., Any],
    jets: ak.Array,
    *,
    representation: Callable[[Floats], Floats] | None = None,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> float:
    """Assert that outputs rotate with the jets.

    Parameters
    ----------
    function, jets, tolerance, seed
        As for `assert_lorentz_invariant`.
    representation : callable, optional
        Maps the rotation (3, 3) to the matrix (K, K) that acts on the last axis of the outputs. Without it, the
        outputs must be invariant.
    """
    rng = np.random.default_rng(seed)
    call = _calls(function, tolerance)
    reference = call(jets)
    worst = 0.0
    for _ in range(5):
        matrix = rotation(rng.uniform(0, 2 * np.pi), rng.normal(size=3))
        expected = reference
        if representation is not None:
            expected = reference @ np.asarray(representation(matrix[1:, 1:].astype(np.float64))).T
        worst = max(worst, _deviation(call(transform(jets, matrix)), expected))
    return _judge(worst, tolerance, "SO(3)")


def assert_permutation_invariant(
    function: Callable[..., Any], jets: ak.Array, *, tolerance: float = 1e-6, seed: int = 0
) -> float:
    """Assert that outputs do not depend on the order of the constituents.

    Parameters and return value are those of `assert_lorentz_invariant`.
    """
    rng = np.random.default_rng(seed)
    call = _calls(function, tolerance)
    reference = call(jets)
    nesting, records = unnest(jets)
    counts = ak.to_numpy(ak.num(records["constituents"]))
    worst = 0.0
    for _ in range(3):
        random = ak.unflatten(rng.random(int(counts.sum())), counts)
        order = nesting.restore(ak.argsort(random, axis=-1))
        shuffled = ak.with_field(jets, jets["constituents"][order], "constituents")
        worst = max(worst, _deviation(call(shuffled), reference))
    return _judge(worst, tolerance, "permutation")


def assert_batch_independent(function: Callable[..., Any], jets: ak.Array, *, tolerance: float = 1e-6) -> float:
    """Assert that a jet's output does not depend on the other jets in the batch.

    Parameters
    ----------
    function : callable
        ``function(jets)`` returning numbers, one row per jet.
    jets : ak.Array
        A flat collection ``[jet]``; scored all at once, one by one, in pieces and in reverse order.
    tolerance : float
        Largest deviation allowed, relative to the rms of the outputs.
    """
    call = _calls(function, tolerance)
    reference = call(jets)
    n = len(jets)
    if n == 0:
        return 0.0
    pieces = [np.concatenate([call(jets[k : k + step]) for k in range(0, n, step)]) for step in (1, 3)]
    pieces.append(call(jets[::-1])[::-1])
    return _judge(max(_deviation(piece, reference) for piece in pieces), tolerance, "batch")


def _times(matrix: Floats, vectors_ND: Floats, counts: AnyArray) -> Floats:
    """Apply one matrix, or one per jet, to the vectors of its constituents."""
    if matrix.ndim == 2:
        return np.asarray(vectors_ND @ matrix.T)
    return np.asarray(np.einsum("nij,nj->ni", np.repeat(matrix, counts, axis=0), vectors_ND))


def _assert_same(
    function: Callable[..., Any],
    jets: ak.Array,
    matrices: Sequence[Floats],
    tolerance: float,
    what: str,
    references: Floats | None = None,
) -> float:
    given = None if references is None else np.asarray(references, dtype=np.longdouble)
    call = _calls(function, tolerance)

    def at(matrix: Floats) -> Floats:
        moved = transform(jets, matrix)
        return call(moved) if given is None else call(moved, (given @ matrix.T).astype(np.float64))

    reference = at(np.eye(4, dtype=np.longdouble))
    worst = max((_deviation(at(matrix), reference) for matrix in matrices), default=0.0)
    return _judge(worst, tolerance, what)


def _calls(function: Callable[..., Any], tolerance: float) -> Callable[..., Floats]:
    """The function in evaluation mode, giving float64; its first call is made twice, to see that it is a function."""
    repeated = False

    def call(*given: Any) -> Floats:
        nonlocal repeated
        with evaluation_mode(function):
            found = _numbers(function(*given))
            again = found if repeated else _numbers(function(*given))
        repeated = True
        if (moved := _deviation(again, found)) > tolerance:
            said = f"outputs for the same jets differ by {moved:.3g} of their rms from call to call"
            raise AssertionError(f"{said}: put the network into evaluation mode, model.eval(), or fix random numbers")
        return found

    return call


def _judge(worst: float, tolerance: float, what: str) -> float:
    if worst > tolerance:
        raise AssertionError(f"{what} symmetry: outputs moved by {worst:.3g} of their rms; {tolerance:g} is allowed")
    return worst


def _deviation(found: Floats, expected: Floats) -> float:
    if found.shape != expected.shape:
        raise AssertionError(f"outputs changed shape: {found.shape} instead of {expected.shape}")
    if not expected.size:
        return 0.0
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        raise AssertionError("some outputs are not finite")
    scale = float(np.sqrt(np.mean(np.square(expected)))) or 1.0
    worst = np.abs(found - expected).max()
    return float(worst) / scale


def _numbers(output: Any) -> Floats:
    if hasattr(output, "detach"):
        output = output.detach().cpu().numpy()
    elif isinstance(output, ak.Array):
        output = ak.to_numpy(output)
    return np.asarray(output, dtype=np.float64)


def _unit(axis: Sequence[float] | Floats) -> Floats:
    n = np.asarray(axis, dtype=np.longdouble)
    return np.asarray(n / np.sqrt((n * n).sum()))
