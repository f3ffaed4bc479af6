"""What a network consists of, found once and kept until a part of it is replaced: kernels ask at every call.

Whether it still consists of the same parts is asked every time as well, in loops of C: a walk through the network takes
longer than many a small batch. Modes, hooks and numbers are not kept here: whoever wants them reads them.
"""

from __future__ import annotations

import threading
from itertools import chain
from operator import attrgetter, is_
from types import TracebackType
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..jet_model import AUXILIARY

__all__ = ["ModuleTree", "held", "layers_of", "learns", "modules_of", "records", "trains", "tree_of"]

_Layer = TypeVar("_Layer", bound=nn.Module)

_CONTAINERS = attrgetter("_modules", "_parameters", "_buffers")
_TRAINING, _REQUIRES_GRAD = attrgetter("training"), attrgetter("requires_grad")


class ModuleTree:
    """The parts of a network, without the heads of auxiliary tasks. It does not keep the network itself alive.

    Attributes
    ----------
    below : list of Module
        All modules below the network, in a fixed order, each once.
    kinds : frozenset of type
        Their types.
    parameters, buffers : list of Tensor
        Of the network and of these; one that modules share comes as often as they do.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = _walk(model)
        self.below = modules[1:]
        self.kinds = frozenset(map(type, self.below))
        self.parameters = [tensor for module in modules for tensor in module._parameters.values() if tensor is not None]
        self.buffers = [tensor for module in modules for tensor in module._buffers.values() if tensor is not None]
        self._of: dict[type[nn.Module], list[Any]] = {}
        self._parts = _parts(modules)

    def still_of(self, model: nn.Module) -> bool:
        """Whether the network has the same modules, of the same types, parameters and buffers as it had."""
        return all(map(_same, self._parts, _parts([model, *self.below])))

    def of(self, kind: type[_Layer]) -> list[_Layer]:
        """The modules below the network of this type or a subclass."""
        if kind not in self._of:
            self._of[kind] = [module for module in self.below if isinstance(module, kind)]
        return self._of[kind]


_known: WeakKeyDictionary[nn.Module, ModuleTree] = WeakKeyDictionary()


class _Held(threading.local):
    """The network whose parts are known to be the same until this thread's call is over."""

    model: nn.Module | None = None
    tree: ModuleTree | None = None


_held = _Held()


class held:  # noqa: N801, a function to whoever uses it
    """In a ``with`` block, the parts of a network are looked at once, at its beginning, as far as this thread asks."""

    def __init__(self, model: nn.Module) -> None:
        self._now = model, tree_of(model)

    def __enter__(self) -> None:
        self._before = _held.model, _held.tree
        _held.model, _held.tree = self._now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _held.model, _held.tree = self._before


def tree_of(model: nn.Module) -> ModuleTree:
    """What the network consists of now."""
    if _held.model is model:
        return cast(ModuleTree, _held.tree)
    tree = _known.get(model)
    if tree is None or not tree.still_of(model):
        tree = _known[model] = ModuleTree(model)
    return tree


def modules_of(model: nn.Module) -> list[nn.Module]:
    """The network and all modules below it, in a fixed order, each once; without the heads of auxiliary tasks."""
    return [model, *tree_of(model).below]


def layers_of(model: nn.Module, kind: type[_Layer]) -> list[_Layer]:
    """Those of this type or a subclass, the network itself not counted."""
    return tree_of(model).of(kind)


def trains(model: nn.Module) -> bool:
    """Whether the network or any module below it is in training mode."""
    return any(map(_TRAINING, modules_of(model)))


def records(model: nn.Module, *inputs: Tensor | None) -> bool:
    """Whether gradients of a parameter or an input are recorded."""
    if not torch.is_grad_enabled():
        return False
    tensors = (tensor for tensor in inputs if tensor is not None)
    return any(map(_REQUIRES_GRAD, chain(tree_of(model).parameters, tensors)))


def learns(model: nn.Module, *inputs: Tensor | None) -> bool:
    """Whether a call is part of a training: gradients are recorded, or statistics followed."""
    return records(model, *inputs) or trains(model)


def _walk(model: nn.Module) -> list[nn.Module]:
    found: dict[int, nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting += [child for name, child in module._modules.items() if child is not None and name != AUXILIARY]
    return list(found.values())


def _parts(modules: list[nn.Module]) -> tuple[list[Any], ...]:
    """Types, the dictionaries of what each module contains, and what is in them."""
    containers = list(chain.from_iterable(map(_CONTAINERS, modules)))
    return list(map(type, modules)), containers, list(chain.from_iterable(map(dict.values, containers)))


def _same(before: list[Any], now: list[Any]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))
