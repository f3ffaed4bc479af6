"""Options of a model, held against the types its signature names."""

from __future__ import annotations

import numbers
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import TaggerError, explain
from ..jet_model import JetModel

__all__ = ["check_options"]

_SCALARS: dict[Any, Any] = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}


def check_options(kind: str, model: type[JetModel], options: Mapping[str, Any]) -> None:
    """Refuse options that `model` does not have, and values of another type than it names.

    Raises
    ------
    TaggerError
        Naming the option, and what it takes.
    """
    known = typing.get_type_hints(model.__init__)
    known.pop("return", None)
    if unknown := sorted(set(options) - set(known)):
        raise TaggerError(
            explain(
                f"{kind} has no option {', '.join(map(repr, unknown))}",
                f"options among {', '.join(known)}",
                "check the spelling",
            )
        )
    for name, value in options.items():
        if not _fits(value, known[name]):
            raise TaggerError(
                explain(f"{name} = {value!r} for {kind}", _words(known[name]), "give that, or leave it out")
            )
    classes = options.get("n_classes", 2)
    if classes < 1:
        raise TaggerError(explain(f"n_classes = {classes} for {kind}", "1 or more", "give one a class"))


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is Sequence:
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return is_list and all(_fits(one, typing.get_args(hint)[0]) for one in value)
    if hint is types.NoneType:
        return value is None
    # True is a number to Python; as one of these it is a slip
    return isinstance(value, _SCALARS.get(hint, object)) and (hint is bool or not isinstance(value, bool))


def _words(hint: Any) -> str:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(map(_words, typing.get_args(hint)))
    if typing.get_origin(hint) is Sequence:
        return f"several, each {_words(typing.get_args(hint)[0])}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}.get(hint, "none")
