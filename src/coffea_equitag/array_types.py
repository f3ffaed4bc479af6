"""Array types by dtype, named after NumPy's dtype codes: `F8` is an array of float64, `I8` one of int64."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["F4", "F8", "I4", "I8", "U1", "U2", "U8", "AnyArray", "Bools", "Floats"]

F4 = np.ndarray[Any, np.dtype[np.float32]]
F8 = np.ndarray[Any, np.dtype[np.float64]]
I4 = np.ndarray[Any, np.dtype[np.int32]]
I8 = np.ndarray[Any, np.dtype[np.int64]]
U1 = np.ndarray[Any, np.dtype[np.uint8]]
U2 = np.ndarray[Any, np.dtype[np.uint16]]
U8 = np.ndarray[Any, np.dtype[np.uint64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
#: Any floating-point dtype.
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
#: Any dtype.
AnyArray = np.ndarray[Any, Any]
