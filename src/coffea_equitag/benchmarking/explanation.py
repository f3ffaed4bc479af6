"""Which implementation of each network runs on this machine, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .. import kernels
from . import networks
from .workloads import Workload, random_jets

__all__ = ["Explanation", "explain_choices"]


@dataclass(frozen=True)
class Explanation:
    """What dispatch chose for one call.

    Attributes
    ----------
    model, device, dtype : str
        The model called, its device and its precision.
    mode : str
        "scoring" (evaluation, no gradients) or "training".
    kernel, reason : str
        What ran, and why.
    self_check : str
        Result of comparing the kernel with the float64 layers; "–" if no kernel ran.
    """

    model: str
    device: str
    dtype: str
    mode: str
    kernel: str
    reason: str
    self_check: str


def explain_choices(models: tuple[str, ...], options: Mapping[str, Any] | None = None) -> Iterator[Explanation]:
    """Call each network with two small jets, on each available device, in each precision, scoring and training.

    A folder among the models is a trained tagger; `options` are those of a single network, if not its defaults.
    """
    for kind in models:
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            for dtype in (torch.float32, torch.float64):
                model = networks.build(kind, device, options).to(dtype)
                jets = random_jets(Workload("small", 6, 1), 2, model.fields)
                for backward, mode in enumerate(("scoring", "training")):
                    networks.one_pass(model, lambda model=model, jets=jets: model(jets), bool(backward))()  # type: ignore[misc]
                    choice = kernels.last_choice(model.kind) or kernels.Choice(
                        "reference", "no kernels for this network"
                    )
                    name = str(dtype).removeprefix("torch.")
                    form = "training" if backward else "inference"
                    target = "gpu" if device == "cuda" else "cpu"
                    failed_or_ran = choice.kernel != "reference" or "self-check" in choice.reason
                    checked = (
                        kernels.self_check_outcome(model.kind, target, form, choice.precision) if failed_or_ran else "–"
                    )
                    yield Explanation(kind, device, name, mode, choice.kernel, choice.reason, checked)
