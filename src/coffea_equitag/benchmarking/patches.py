"""Networks with Lorentz-symmetric patches, against their layers and against the network without a patch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from .. import kernels
from ..invariants.friends import NODEWISE
from ..invariants.pair_scalars import PAIRWISE
from ..jet_model import JetModel
from . import networks
from .clock import Spread, in_turn, seconds_of
from .forms import OURS, PADDED, REFERENCE, forms_of
from .workloads import WORKLOADS, random_jets, representative

__all__ = ["COMPARED", "WORKLOAD", "compare"]

#: Networks that take patches, and what their times are compared with. LorentzNet_base has two edge scalars fewer than
#: LorentzNet, or one.
COMPARED = {"lorentznet_base": "lorentznet", "particlenet": "particlenet", "pfn": "pfn"}
WORKLOAD = "top"


def compare(kind: str, name: str, seconds: float, rounds: tuple[int, int], device: str) -> list[dict[str, Any]]:
    """Time one pass of a network with each of its patches, in turn on the same jets.

    Parameters
    ----------
    kind : str
        One of `COMPARED`.
    name : str
        One of `networks.PASSES`.
    seconds : float
        Time for the repetitions of each patch.
    rounds : (int, int)
        Minimum and maximum number of repetitions.
    device : str
        Where to compute.

    Returns
    -------
    list of dict
        One for each patch, serializable as JSON: its ``options``, what ran, milliseconds per jet, and times of the
        layers, of the padded form, if there is one, and of the network that it is compared with, relative to it (round
        by round).
    """
    backward, jets = bool(networks.PASSES.index(name)), random_jets(WORKLOADS[WORKLOAD], 100)
    jets, plain = jets.to(torch.device(device)), networks.build(COMPARED[kind], device)
    patched = {str(options): networks.build(kind, device, options) for options in _options(kind)}

    def task(model: JetModel, form: str, number: int) -> Callable[[], Tensor]:
        return networks.one_pass(model, forms_of(model, jets)[form](representative(jets, number)), backward)

    forms = [form for form in (OURS, REFERENCE, PADDED) if form in forms_of(next(iter(patched.values())), jets)]
    pilots = [task(model, form, 2) for model in patched.values() for form in forms]
    for pilot in pilots:
        pilot()  # compiles, or loads compiled code
    each = sum(seconds_of(pilot, device) for pilot in pilots) / 2
    number = max(1, min(jets.num_jets, int(seconds * len(patched) / rounds[0] / each)))
    tasks = {"plain": task(plain, OURS, number)}
    tasks |= {f"{patch} {form}": task(model, form, number) for patch, model in patched.items() for form in forms}
    choices = {}
    for label, run in tasks.items():
        run()
        choices[label] = kernels.last_choice(kind)
    times = in_turn(tasks, seconds * len(patched), device, rounds)
    rows = []
    for patch, model in patched.items():
        ours = times[f"{patch} {OURS}"]
        ratios = {"layers": times[f"{patch} {REFERENCE}"], "plain": times["plain"]}
        if PADDED in forms:
            ratios["padded"] = times[f"{patch} {PADDED}"]
        choice = choices[f"{patch} {OURS}"]
        rows.append(
            {
                "model": kind,
                "options": {key: model.options[key] for key in ("pairwise", "nodewise") if model.options.get(key)},
                "pass": name,
                "kernel": choice.kernel if choice else "reference",
                "jets": number,
                "ms": asdict(Spread.of(ours).scaled(1e3 / number)),
                "compared": COMPARED[kind],
                **{
                    f"{key}_times_ours": asdict(Spread.of([a / b for a, b in zip(found, ours, strict=True)]))
                    for key, found in ratios.items()
                },
            }
        )
    return rows


def _options(kind: str) -> list[dict[str, Any]]:
    """No patch, where that is another network than the one compared with; then each patch of it."""
    pairwise = [{"pairwise": scalar} for scalar in PAIRWISE] if kind != "pfn" else []
    none: list[dict[str, Any]] = [{}] if COMPARED[kind] != kind else []
    return [*none, *pairwise, *({"nodewise": scalar} for scalar in NODEWISE)]
