"""Options of a model, checked against the types in its signature."""

from __future__ import annotations

import numbers
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from .errors import TaggerError, explain

__all__ = ["check_names", "check_values"]

_SCALARS: dict[Any, Any] = {
    bool: bool,
    int: numbers.Integral,
    float: numbers.Real,
    str: str,
    types.NoneType: types.NoneType,
}
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a string",
    types.NoneType: "none",
}


def check_names(kind: str, init: Callable[..., None], options: Iterable[str]) -> None:
    """Reject options that the constructor `init` of a model of this kind does not have.

    Raises
    ------
    TaggerError
        Naming the unknown and the known options.
    """
    known = _hints(init)
    if unknown := sorted(set(options) - set(known)):
        raise TaggerError(
            explain(
                f"{kind} has no option {', '.join(map(repr, unknown))}",
                f"options among {', '.join(known)}",
                "check the spelling",
            )
        )


def check_values(kind: str, init: Callable[..., None], options: Mapping[str, Any]) -> None:
    """Reject values whose type differs from the constructor's signature, or that are not among those of a `Literal`.

    Raises
    ------
    TaggerError
        Naming the option, its value, and the allowed values.
    """
    known = _hints(init)
    for name, value in options.items():
        if name in known and not _fits(value, known[name]):
            raise TaggerError(
                explain(f"{name} = {value!r} for {kind}", _describe(known[name]), "use such a value, or leave it out")
            )
    classes = options.get("n_classes", 2)
    if classes < 1:
        raise TaggerError(explain(f"n_classes = {classes} for {kind}", "1 or more", "set it to the number of classes"))


def _hints(init: Callable[..., None]) -> dict[str, Any]:
    return {name: hint for name, hint in typing.get_type_hints(init).items() if name != "return"}


def _alternatives(hint: Any) -> list[Any]:
    """The members of a union, or the hint itself if it is not a union."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return [one for member in typing.get_args(hint) for one in _alternatives(member)] if is_union else [hint]


def _fits(value: Any, hint: Any) -> bool:
    return any(_fits_one(value, one) for one in _alternatives(hint))


def _fits_one(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return any(_fits_one(value, type(known)) and value == known for known in typing.get_args(hint))
    if typing.get_origin(hint) is Sequence:
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return is_list and all(_fits(one, typing.get_args(hint)[0]) for one in value)
    if hint is float and isinstance(value, numbers.Real) and not _is_finite(value):
        return False
    # True is a number in Python; as a value of a numeric option it is a mistake
    return hint not in _SCALARS or (isinstance(value, _SCALARS[hint]) and (hint is bool or not isinstance(value, bool)))


def _is_finite(value: Any) -> bool:
    """Whether a number is one as a float too: integers may be larger than the largest."""
    return bool(abs(value) <= sys.float_info.max)


def _describe(hint: Any) -> str:
    words: list[str] = []
    for one in _alternatives(hint):
        if typing.get_origin(one) is Literal:
            words += map(repr, typing.get_args(one))
        elif typing.get_origin(one) is Sequence:
            words.append(f"a sequence, each {_describe(typing.get_args(one)[0])}")
        else:
            words.append(_WORDS.get(one, str(one)))
    return " or ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])
