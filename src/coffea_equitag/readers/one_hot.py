"""One column per class (1 for the jets of the class, else 0) as one label."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import awkward as ak
import numpy as np

from ..errors import JetError, explain
from ..jets.tracing import is_traced

__all__ = ["class_number"]


def class_number(labels: Mapping[str, str | list[str]], read: Callable[[str], ak.Array], source: str) -> ak.Array:
    """Number of the class of each jet, in the order of `labels`.

    Parameters
    ----------
    labels : mapping
        Class -> its columns; an empty list for jets of no other class.
    read : callable
        Name of a column -> its values.
    source : str
        Name of the file, for messages.

    Raises
    ------
    JetError
        If a jet belongs to none or several of the classes.
    """
    members = {name: [] if columns == [] else _any(columns, read) for name, columns in labels.items()}
    known = [member for member in members.values() if not isinstance(member, list)]
    if not known:
        raise JetError(explain("labels without columns", "at least one class with a column", "name the columns"))
    of_any = sum((ak.values_astype(member, np.int8) for member in known[1:]), ak.values_astype(known[0], np.int8))
    label = ak.zeros_like(of_any)
    classes = ak.zeros_like(of_any)
    for number, member in enumerate(members.values()):
        inside = of_any == 0 if isinstance(member, list) else member
        label = ak.where(inside, np.int8(number), label)
        classes = classes + ak.values_astype(inside, np.int8)
    if not is_traced(label) and ak.any(classes != 1, axis=None):
        flat = ak.to_numpy(ak.flatten(classes, axis=None))
        jet = int(np.argmax(flat != 1))
        raise JetError(
            explain(
                f"jet {jet} of {source} belongs to {flat[jet]} of the classes {', '.join(labels)}",
                "one class for each jet",
                'add a class with its columns, or "other": [] for jets of no other class; drop jets of several',
            )
        )
    return label


def _any(columns: str | list[str], read: Callable[[str], ak.Array]) -> ak.Array:
    first, *others = [columns] if isinstance(columns, str) else columns
    found = read(first) != 0
    for name in others:
        found = found | (read(name) != 0)
    return found
