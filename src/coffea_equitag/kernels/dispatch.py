"""Which form of a network runs: its reference layers, or a kernel.

``EQUITAG_KERNELS`` = ``auto`` (default), ``reference`` or ``cpu`` decides for a process, `use` for a stretch of it.
What a kernel does not support runs on the reference layers, without a word; `last_choice` tells.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import TaggerError, explain

__all__ = ["MODES", "Choice", "choose", "last_choice", "use"]

MODES = ("auto", "reference", "cpu")

_forced: str | None = None
_choices: dict[str, Choice] = {}


@dataclass(frozen=True)
class Choice:
    """What ran.

    Attributes
    ----------
    kernel : str
        ``"reference"`` or ``"cpu"``.
    reason : str
        Why, in words.
    """

    kernel: str
    reason: str


@contextmanager
def use(mode: str) -> Iterator[None]:
    """Ask for a form of the networks in all threads of this process, above ``EQUITAG_KERNELS``.

    Parameters
    ----------
    mode : {"auto", "reference", "cpu"}
        ``"cpu"`` uses the CPU's kernels wherever they can be.

    Raises
    ------
    TaggerError
        For another mode.
    """
    global _forced
    before, _forced = _forced, _checked(mode, "mode")
    try:
        yield
    finally:
        _forced = before


def choose(model: nn.Module, kind: str, unsupported: str | None, *inputs: Tensor) -> Choice:
    """Decide for one call of a network, and remember it under `kind`.

    Parameters
    ----------
    model : Module
        The network.
    kind : str
        Its name.
    unsupported : str or None
        What about the network its kernel cannot do.
    inputs : Tensor
        What it is called with; those that are on a CPU.
    """
    choice = _choose(model, unsupported, inputs)
    _choices[kind] = choice
    return choice


def last_choice(kind: str) -> Choice | None:
    """What ran when a network of this kind was last called in this process; None before that."""
    return _choices.get(kind)


def _choose(model: nn.Module, unsupported: str | None, inputs: tuple[Tensor, ...]) -> Choice:
    mode = _forced or _checked(os.environ.get("EQUITAG_KERNELS", "auto"), "EQUITAG_KERNELS")
    if mode == "reference":
        return Choice("reference", "asked for")
    reason = unsupported or _impossible(model, inputs)
    if reason is not None:
        return Choice("reference", reason)
    return Choice("cpu", "asked for" if mode == "cpu" else "float32 on a CPU, no gradients")


def _impossible(model: nn.Module, inputs: tuple[Tensor, ...]) -> str | None:
    """What stands against any CPU kernel, cheapest questions first."""
    parameters = list(model.parameters())
    if model.training:
        return "the network is in training mode"
    if any(tensor.device.type != "cpu" for tensor in (*parameters, *inputs)):
        return "not on a CPU"
    if any(parameter.dtype != torch.float32 for parameter in parameters):
        return "the network is not in float32"
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*parameters, *inputs)):
        return "gradients are recorded"
    if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return "torch traces, compiles or casts"
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return "hooks want to see the layers' values"
    from .cpu.shapes import SUPPORTED  # numba, only when it may be needed

    return None if SUPPORTED else "no vector unit known to the kernels"


def _checked(mode: str, name: str) -> str:
    if mode not in MODES:
        raise TaggerError(explain(f"{name} = {mode!r}", f"one of {', '.join(MODES)}", "leave it out for 'auto'"))
    return mode
