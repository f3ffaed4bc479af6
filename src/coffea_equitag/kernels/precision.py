"""How kernels multiply: as exactly as float32, unless something coarser is asked for, where the device can do it.

``EQUITAG_PRECISION`` decides for a process, ``kernels.use(precision=...)`` within a ``with`` block.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..errors import TaggerError, explain
from .support import Support

__all__ = ["COARSE", "PRECISIONS", "asked", "checked", "for_cpu", "force"]

#: ``"float32"`` is the fastest way that is as good as float32; the two after it are ways in which GPUs do that.
#: Operands of ``"tf32"`` have 11 significant bits, those of ``"bf16"`` 8; sums are always float32.
PRECISIONS = ("float32", "ieee", "tf32x3", "tf32", "bf16")
COARSE = ("tf32", "bf16")

_forced: str | None = None


def asked() -> str:
    """The precision that is asked for, one of `PRECISIONS`.

    Raises
    ------
    TaggerError
        If ``EQUITAG_PRECISION`` is something else.
    """
    return _forced or checked(os.environ.get("EQUITAG_PRECISION", "float32"), "EQUITAG_PRECISION")


def force(precision: str | None) -> str | None:
    """Ask for a precision, or with None for what the environment says; return what was asked for before."""
    global _forced
    before, _forced = _forced, precision
    return before


def checked(precision: str, name: str) -> str:
    """The same, if there is such a precision.

    Raises
    ------
    TaggerError
        If there is not.
    """
    if precision not in PRECISIONS:
        raise TaggerError(
            explain(f"{name} = {precision!r}", f"one of {', '.join(PRECISIONS)}", "leave it out for float32")
        )
    return precision


def for_cpu(support: Support, has_bf16: Callable[[], bool]) -> tuple[str, str | None]:
    """The precision of a call on a CPU, ``"float32"`` or ``"bf16"``; and why it is not what is asked for, if so.

    Parameters
    ----------
    support : Support
        What the network's tower says about the call.
    has_bf16 : callable
        Whether the processor multiplies it; called only if it matters.
    """
    wanted = asked()
    if wanted not in COARSE:
        return "float32", None
    if wanted != "bf16":
        lacks = "CPUs have bf16 only"
    elif support.learns:
        lacks = "training on CPUs is in float32"
    elif not support.bf16:
        lacks = "these kernels have none on CPUs"
    else:
        lacks = "" if has_bf16() else "this processor lacks AVX512-BF16"
    return ("float32", f"{wanted} asked for, but {lacks}") if lacks else ("bf16", None)
