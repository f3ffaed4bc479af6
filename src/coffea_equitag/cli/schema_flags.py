"""Command-line flags made from a schema: one for each field, whose description is the help."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

__all__ = ["add_flags", "given_values"]


def add_flags(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    schema: type[BaseModel],
    without: Collection[str] = (),
    groups: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Declare a flag for each field of a schema; those that are not given leave no trace.

    Returns
    -------
    dict of str to argument group
        For each heading of `groups`, under which the help has the fields named there.
    """
    sections = {heading: parser.add_argument_group(heading) for heading in groups}
    heading_of = {name: heading for heading, names in groups.items() for name in names}
    for name, field in schema.model_fields.items():
        if name in without:
            continue
        target = sections[heading_of[name]] if name in heading_of else parser
        flag = "--" + name.replace("_", "-")
        settings: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(field)}
        if field.annotation is bool:
            target.add_argument(flag, action=argparse.BooleanOptionalAction, **settings)
        elif choices := _choices(field.annotation):
            target.add_argument(flag, choices=choices, **settings)
        else:
            target.add_argument(flag, metavar="X", **settings)
    return sections


def given_values(arguments: argparse.Namespace, schema: type[BaseModel]) -> dict[str, Any]:
    """Values of the flags that were given, as the schema's file would hold them."""
    return {
        name: _value(getattr(arguments, name), field)
        for name, field in schema.model_fields.items()
        if hasattr(arguments, name)
    }


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    if field.is_required() or field.default in (None, {}, ()) or "(default" in text:
        return text
    default = " ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    return f"{text} (default: {default})"


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _value(given: Any, field: FieldInfo) -> Any:
    """The first reading of a flag's text that the field takes: as YAML, as it is, as a list with commas.

    Where the field is a list and no text, text is first read as a list: its validator may take one word for all of it.
    """
    if not isinstance(given, str):
        return given
    kind: Any = Annotated[field.annotation, *field.metadata, field.description]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    for value in _readings(given, _is_list(field.annotation)):
        try:
            adapter.validate_python(value)
        except ValidationError:
            continue
        return value
    return given


def _is_list(annotation: Any) -> bool:
    """Whether a field takes lists, and no text that is not one of a few words."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return str not in members and any(get_origin(member) is tuple for member in members)


def _readings(text: str, is_list: bool) -> Iterator[Any]:
    words = [word.strip() for word in text.split(",")]
    with suppress(yaml.YAMLError):
        found = yaml.safe_load(text)
        if is_list and isinstance(found, str):
            yield words
        yield found
    yield text
    yield words
