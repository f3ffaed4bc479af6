"""Tiles of the two streams, Lorentz vectors and scalars, of some rows, and the norm that both are divided by."""

from __future__ import annotations

import triton
import triton.language as tl

from ....layers.slim import SlimNorm

__all__ = ["inverse_norm", "load_streams", "norm_gradients"]

_EPSILON = tl.constexpr(SlimNorm.epsilon)


@triton.jit
def load_streams(
    vectors: tl.tensor,
    scalars: tl.tensor,
    rows: tl.tensor,
    ROWS: tl.constexpr,
    GROUPS: tl.constexpr,
    V: tl.constexpr,
    S: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """A program's rows: where their vectors and scalars stand, which are real, and E, px, py, pz and scalars.

    Of vectors (rows / GROUPS, 4, GROUPS, V) and scalars (rows, S), each with WIDE channels in registers; 0 beyond.
    """
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    v, s = tl.arange(0, triton.next_power_of_2(V)), tl.arange(0, triton.next_power_of_2(S))
    real_v = (row < rows)[:, None] & (v < V)[None, :]
    real_s = (row < rows)[:, None] & (s < S)[None, :]
    of_v = (row // GROUPS * (4 * GROUPS) + row % GROUPS)[:, None] * V + v[None, :]
    of_s = row[:, None] * S + s[None, :]
    e = tl.load(vectors + of_v, mask=real_v, other=0.0)
    x = tl.load(vectors + of_v + GROUPS * V, mask=real_v, other=0.0)
    y = tl.load(vectors + of_v + 2 * GROUPS * V, mask=real_v, other=0.0)
    z = tl.load(vectors + of_v + 3 * GROUPS * V, mask=real_v, other=0.0)
    return of_v, of_s, real_v, real_s, e, x, y, z, tl.load(scalars + of_s, mask=real_s, other=0.0)


@triton.jit
def inverse_norm(
    e: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor, s: tl.tensor, CHANNELS: tl.constexpr
) -> tl.tensor:
    """1/√(ε + mean over the channels of |v·v| and s²) of each row, as a column."""
    invariant = tl.sum(tl.abs(e * e - (x * x + y * y + z * z)), axis=1) + tl.sum(s * s, axis=1)
    return (1.0 / tl.sqrt(invariant / CHANNELS + _EPSILON))[:, None]


@triton.jit
def norm_gradients(
    e: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
    z: tl.tensor,
    s: tl.tensor,
    grad_e: tl.tensor,
    grad_x: tl.tensor,
    grad_y: tl.tensor,
    grad_z: tl.tensor,
    grad_s: tl.tensor,
    CHANNELS: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Gradients of what was divided by the norm, from those of the quotients."""
    scale = inverse_norm(e, x, y, z, s, CHANNELS)
    along = tl.sum(grad_e * e + grad_x * x + grad_y * y + grad_z * z, axis=1) + tl.sum(grad_s * s, axis=1)
    common = scale * scale * scale * (along / CHANNELS)[:, None]
    square = e * e - (x * x + y * y + z * z)
    of_vectors = tl.where(square > 0, common, tl.where(square < 0, -common, 0.0 * common))
    return (
        scale * grad_e - of_vectors * e,
        scale * grad_x + of_vectors * x,
        scale * grad_y + of_vectors * y,
        scale * grad_z + of_vectors * z,
        scale * grad_s - common * s,
    )
