"""Files of correctionlib, schema version 2: small tables by category and pT, written whole."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pydantic

from ..atomic_file import write_atomic
from ..errors import JetError, explain
from ..validation import faults

if TYPE_CHECKING:
    from correctionlib import schemav2

__all__ = ["Table", "by_category", "by_pt", "correction", "write_corrections"]

#: A number, or a node of correctionlib's schema that leads to numbers.
Table: TypeAlias = Any


def by_category(name: str, content: Mapping[str, Table] | Mapping[int, Table]) -> schemav2.Category:
    """A choice by a string or an integer; any other value is an error."""
    from correctionlib import schemav2

    items = [schemav2.CategoryItem(key=key, value=value) for key, value in content.items()]
    return schemav2.Category(nodetype="category", input=name, content=items)


def by_pt(edges: Sequence[float], content: Sequence[Table]) -> schemav2.Binning:
    """A choice by pT; jets outside the edges take the nearest bin."""
    from correctionlib import schemav2

    return schemav2.Binning(nodetype="binning", input="pt", edges=list(edges), content=list(content), flow="clamp")


def correction(
    name: str, description: str, inputs: Mapping[str, tuple[str, str]], output: str, data: Table
) -> schemav2.Correction:
    """A correction of the given inputs: name -> (type, description)."""
    from correctionlib import schemav2

    variables = [
        schemav2.Variable.model_validate({"name": n, "type": t, "description": d}) for n, (t, d) in inputs.items()
    ]
    return schemav2.Correction(
        name=name,
        description=description,
        version=1,
        inputs=variables,
        output=schemav2.Variable(name=output, type="real"),
        data=data,
    )


def write_corrections(
    path: str | os.PathLike[str], description: str, corrections: Sequence[schemav2.Correction]
) -> None:
    """Validate and write; the file appears only when complete.

    Raises
    ------
    JetError
        If the path does not end in ``.json`` or ``.json.gz``, or cannot be written.
    """
    from correctionlib import schemav2

    name = os.fspath(path)
    if not name.endswith((".json", ".json.gz")):
        raise JetError(explain(f"{name}", "a file that correctionlib opens: .json or .json.gz", "rename it"))
    try:
        whole = schemav2.CorrectionSet(schema_version=2, description=description, corrections=list(corrections))
    except pydantic.ValidationError as error:
        raise JetError(explain(f"corrections with {faults(error)}", "a valid set", "rename what clashes")) from error
    text = (whole.model_dump_json(exclude_unset=True, indent=1) + "\n").encode()
    write_atomic(path, gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
