"""A hash of a processor and of all that its output depends on: taggers, options, the code of functions, files."""

from __future__ import annotations

import builtins
import dis
import functools
import hashlib
import os
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

import numpy as np
import torch

from ..errors import TaggerError, explain
from ..tagger import Tagger, TaggerReference

__all__ = ["fingerprint"]

_ATOMS = (type(None), bool, int, float, complex, bytes, type(Ellipsis), type(NotImplemented), slice, range)

_INSTALLED = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)

#: Packages on whose version any output depends.
_PACKAGES = ("coffea-equitag", "coffea", "awkward", "numpy", "torch", "hist", "uproot")


def fingerprint(*things: Any) -> str:
    """SHA-256 of objects by value: equal in every process and session, different after any change.

    Functions count by their code, defaults, closures and the globals that they use; those of installed packages by the
    package's version. A path counts by the content of its file, a tagger by its content hash.

    Raises
    ------
    TaggerError
        If something has no value to go by, such as an open file.
    """
    walk = _Walk()
    walk.add({name: _version(name) for name in _PACKAGES})
    for one in things:
        walk.add(one)
    return walk.hash.hexdigest()


class _Walk:
    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self._seen = dict[int, tuple[int, Any]]()  # the object too, so that its id is not given to another

    def write(self, *words: object) -> None:
        for word in words:
            text = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass")
            self.hash.update(b"%d:" % len(text) + text)

    def each(self, kind: str, things: Iterable[Any]) -> None:
        things = list(things)
        self.write(kind, len(things))
        for one in things:
            self.add(one)

    def add(self, one: Any) -> None:
        if isinstance(one, str) or (isinstance(one, os.PathLike) and not isinstance(one, types.ModuleType)):
            self._text(os.fspath(one))
        elif isinstance(one, _ATOMS):
            self.write(type(one).__name__, repr(one))
        elif isinstance(one, Tagger | TaggerReference):
            self.write("tagger", one.content_hash)
        elif id(one) in self._seen:
            self.write("again", self._seen[id(one)][0])
        else:
            self._seen[id(one)] = len(self._seen), one
            self._compound(one)

    def _text(self, text: str | bytes) -> None:
        self.write("text", text)
        try:
            with open(text, "rb") as file:
                self.write("file", hashlib.file_digest(file, "sha256").digest())
        except (OSError, ValueError):  # no path of a file
            return

    def _compound(self, one: Any) -> None:
        if isinstance(one, dict):
            self.each("dict", (part for item in one.items() for part in item))
        elif isinstance(one, list | tuple):
            self.each(type(one).__name__, one)
        elif isinstance(one, set | frozenset):
            self.write("set", *sorted(fingerprint(part) for part in one))
        elif isinstance(one, np.ndarray) and one.dtype != object:
            self.write("array", one.dtype.str, one.shape, one.tobytes())
        elif isinstance(one, torch.Tensor):
            self.write("tensor")
            self.add(one.detach().cpu().numpy())
        elif isinstance(one, types.ModuleType):
            self.write("module", one.__name__, _version(one.__name__.partition(".")[0]))
        elif isinstance(one, types.CodeType):
            self.write("code", one.co_code, one.co_names, one.co_varnames, one.co_freevars)
            self.each("consts", one.co_consts)
        elif isinstance(one, types.FunctionType):
            self._function(one)
        elif isinstance(one, types.MethodType):
            self.each("method", (one.__func__, one.__self__))
        elif isinstance(one, functools.partial):
            self.each("partial", (one.func, one.args, one.keywords))
        elif isinstance(one, type):
            self._class(one)
        elif isinstance(one, types.BuiltinFunctionType | types.MethodDescriptorType | np.ufunc):
            self.write("builtin", getattr(one, "__module__", ""), getattr(one, "__qualname__", one.__name__))
        elif isinstance(one, types.MappingProxyType | Mapping) and type(one).__module__ == "builtins":
            self.each("mapping", (part for item in one.items() for part in item))
        else:
            self._object(one)

    def _function(self, one: types.FunctionType) -> None:
        if _is_installed(one.__code__.co_filename, one.__module__):
            self.write("function", one.__module__, one.__qualname__, _version((one.__module__ or "").partition(".")[0]))
        if not _is_installed(one.__code__.co_filename, one.__module__) or one.__closure__:
            self.each("function", (one.__code__, one.__defaults__, one.__kwdefaults__))
            self.each("closure", (_content(cell) for cell in one.__closure__ or ()))
            used = sorted(set(_globals(one.__code__)))
            self.each("globals", ((name, one.__globals__[name]) for name in used if name in one.__globals__))

    def _class(self, one: type) -> None:
        self.write("class", one.__module__, one.__qualname__, _version(one.__module__.partition(".")[0]))
        file = getattr(sys.modules.get(one.__module__), "__file__", None)
        if one.__module__ != "builtins" and not _is_installed(file or "", one.__module__):
            self.each("bases", one.__bases__)
            named = {name: part for name, part in vars(one).items() if name not in ("__dict__", "__weakref__")}
            for name, part in named.items():
                if isinstance(part, staticmethod | classmethod):
                    part = part.__func__
                elif isinstance(part, property):
                    part = (part.fget, part.fset)
                elif isinstance(part, types.GetSetDescriptorType | types.MemberDescriptorType):
                    part = name
                self.each("member", (name, part))

    def _object(self, one: Any) -> None:
        try:
            reduced = one.__reduce_ex__(4)
        except Exception as error:
            raise TaggerError(
                explain(
                    f"a {type(one).__module__}.{type(one).__qualname__} in the processor or what its functions use",
                    "objects that can be pickled, from which one can tell whether the output would change",
                    "create it inside the function, or give its path",
                )
            ) from error
        if isinstance(reduced, str):
            self.write("name", type(one).__module__, reduced)
            return
        self.each("object", (list(part) if isinstance(part, Iterator) else part for part in reduced))


def _globals(code: types.CodeType) -> Iterator[str]:
    """Names of the globals that code uses, that of functions inside included."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and not hasattr(builtins, instruction.argval):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals(constant)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return "empty cell"


def _is_installed(file: str, module: str | None) -> bool:
    return (module or "").partition(".")[0] == __name__.partition(".")[0] or os.path.realpath(file).startswith(
        _INSTALLED
    )


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(package.replace("_", "-"))
    except (metadata.PackageNotFoundError, ValueError):
        return "" if package in sys.stdlib_module_names else str(getattr(sys.modules.get(package), "__version__", ""))
