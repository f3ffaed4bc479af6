"""Which form of a network runs: its reference layers, or a kernel.

``EQUITAG_KERNELS`` = ``auto`` (default), ``reference``, ``cpu`` or ``gpu`` decides for a process, `use` for a stretch
of it. What a kernel does not support runs on the reference layers, without a word; `last_choice` tells.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import TaggerError, explain
from .module_tree import modules_of, parameters_of

__all__ = ["MODES", "Choice", "choose", "last_choice", "use"]

MODES = ("auto", "reference", "cpu", "gpu")

_forced: str | None = None
_choices: dict[str, Choice] = {}


@dataclass(frozen=True)
class Choice:
    """What ran.

    Attributes
    ----------
    kernel : str
        ``"reference"``, ``"cpu"`` or ``"gpu"``.
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
    mode : {"auto", "reference", "cpu", "gpu"}
        ``"cpu"`` and ``"gpu"`` use only those kernels, wherever they can be; on a machine without a GPU, ``"gpu"``
        runs them in Triton's interpreter if ``TRITON_INTERPRET=1`` asks for that.

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


def choose(
    model: nn.Module,
    kind: str,
    unsupported: str | None,
    *inputs: Tensor,
    trains: bool = False,
    gpu: bool = False,
    gpu_trains: bool = False,
) -> Choice:
    """Decide for one call of a network, and remember it under `kind`.

    Parameters
    ----------
    model : Module
        The network.
    kind : str
        Its name.
    unsupported : str or None
        What about the network its kernels cannot do.
    inputs : Tensor
        What it is called with, gradients counted.
    trains : bool
        Whether the CPU's kernel has a backward pass and knows the training mode.
    gpu : bool
        Whether there is a kernel for GPUs.
    gpu_trains : bool
        Whether that has a backward pass and knows the training mode.
    """
    choice = _choose(model, unsupported, inputs, trains, gpu, gpu_trains)
    _choices[kind] = choice
    return choice


def last_choice(kind: str) -> Choice | None:
    """What ran when a network of this kind was last called in this process; None before that."""
    return _choices.get(kind)


def _choose(
    model: nn.Module, unsupported: str | None, inputs: tuple[Tensor, ...], trains: bool, gpu: bool, gpu_trains: bool
) -> Choice:
    mode = _forced or _checked(os.environ.get("EQUITAG_KERNELS", "auto"), "EQUITAG_KERNELS")
    if mode == "reference":
        return Choice("reference", "asked for")
    modules = modules_of(model)
    parameters = parameters_of(modules)
    tensors = (*parameters, *inputs)
    devices = {tensor.device.type for tensor in tensors}
    interpreted = mode == "gpu" and os.environ.get("TRITON_INTERPRET") == "1"
    target = "gpu" if devices == {"cuda"} or interpreted else "cpu"
    if unsupported is not None:
        return Choice("reference", unsupported)
    if len(devices) > 1 or not devices <= {"cpu", "cuda"}:
        return Choice("reference", f"no kernels for {' and '.join(sorted(devices))}")
    if mode not in ("auto", target):
        return Choice("reference", f"kernels of the {mode} asked for, tensors elsewhere")
    learns = gpu and gpu_trains if target == "gpu" else trains
    records = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    reason = _untimely(modules, parameters, target, records and not learns, learns)
    if reason is None:
        reason = _no_gpu_kernel(gpu) if target == "gpu" else _no_vector_unit()
    if reason is not None:
        return Choice("reference", reason)
    return Choice(target, "asked for" if mode != "auto" else f"float32 on a {target.upper()}")


def _untimely(
    modules: list[nn.Module], parameters: list[Tensor], target: str, records: bool, trains: bool
) -> str | None:
    """What stands against any kernel, cheapest questions first; the network is the first of its modules."""
    if modules[0].training and not trains:
        return "the network is in training mode"
    if any(parameter.dtype != torch.float32 for parameter in parameters):
        return "the network is not in float32"
    if records:
        return "gradients are recorded"
    autocast = torch.is_autocast_enabled("cuda" if target == "gpu" else "cpu")
    if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling() or autocast:
        return "torch traces, compiles or casts"
    if any(module._forward_hooks or module._forward_pre_hooks for module in modules):
        return "hooks want to see the layers' values"
    return None


def _no_vector_unit() -> str | None:
    from .common.cpu.shapes import SUPPORTED  # numba, only when it may be needed

    return None if SUPPORTED else "no vector unit known to the kernels"


def _no_gpu_kernel(gpu: bool) -> str | None:
    if not gpu:
        return "no GPU kernel for this network"
    return None if importlib.util.find_spec("triton") is not None else "Triton is not installed"


def _checked(mode: str, name: str) -> str:
    if mode not in MODES:
        raise TaggerError(explain(f"{name} = {mode!r}", f"one of {', '.join(MODES)}", "leave it out for 'auto'"))
    return mode
