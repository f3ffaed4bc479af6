"""The processes that train one network together, as torchrun starts them."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ...errors import EquitagError, TaggerError, explain

__all__ = ["ProcessGroup", "process_group"]

Result = TypeVar("Result")


class ProcessGroup:
    """A process among those that train together: `rank` of `size`. One alone exchanges nothing.

    Attributes
    ----------
    rank, size : int
        Number of this process, and of processes.
    device : torch.device
        Where it trains.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.size, self.device = rank, size, device or torch.device("cpu")

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def share(self, of: Sequence[Any] | Iterator[Any]) -> Iterator[Any]:
        """The share of this process: every `size`-th."""
        return (one for k, one in enumerate(of) if k % self.size == self.rank)

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their sums over the processes, those of one type in one message."""
        if self.size == 1:
            return
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            group = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.flatten() for tensor in group])
            dist.all_reduce(flat)
            for tensor, part in zip(group, torch.split(flat, [tensor.numel() for tensor in group]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def add_gradients(self, parameters: Iterable[Tensor], others: Sequence[Tensor]) -> None:
        """Replace the gradients of parameters, and other tensors, by their sums over the processes.

        A parameter without a gradient in any process keeps none.
        """
        if self.size == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        present = torch.tensor([one.grad is not None for one in trained], dtype=torch.int64, device=others[0].device)
        for one in trained:
            if one.grad is None:
                one.grad = torch.zeros_like(one)
        self.add([*(one.grad for one in trained if one.grad is not None), *others, present])
        for one, number in zip(trained, present.tolist(), strict=True):
            if number == 0:
                one.grad = None

    def any(self, value: bool) -> bool:
        """Whether it is true in any process."""
        if self.size == 1:  # nothing to wait for a GPU for
            return value
        found = torch.tensor(int(value), device=self.device)
        self.add([found])
        return bool(found)

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank, in each of them."""
        found: list[Any] = [value]
        if self.size > 1:
            found = [None] * self.size
            dist.all_gather_object(found, value)
        return found

    def first(self, function: Callable[[], Result]) -> Result:
        """What the first process finds, which alone calls the function; its error becomes everybody's.

        Raises
        ------
        EquitagError, OSError
            As the function.
        """
        if self.size == 1:
            return function()
        told: list[Any] = [None, None]
        if self.is_first:
            try:
                told[0] = function()
            except (EquitagError, OSError) as error:
                told[1] = error
        dist.broadcast_object_list(told)
        if told[1] is not None:
            raise told[1]
        result: Result = told[0]
        return result

    def copy_weights(self, module: torch.nn.Module) -> None:
        """Give all processes the first one's parameters and buffers."""
        if self.size > 1:
            with torch.no_grad():
                for tensor in module.state_dict().values():
                    dist.broadcast(tensor, 0)


def process_group(device: torch.device) -> ProcessGroup:
    """The processes of this training: those of torchrun, or this one alone.

    Raises
    ------
    TaggerError
        If torchrun started more processes than there are GPUs to train on.
    """
    if not dist.is_available() or not dist.is_torchelastic_launched():
        return ProcessGroup(device=device)
    is_cuda = device.type == "cuda"
    local = int(os.environ["LOCAL_RANK"])
    if is_cuda and local >= torch.cuda.device_count():
        raise TaggerError(
            explain(
                f"process {local} on a machine with {torch.cuda.device_count()} GPUs",
                "one GPU for each process",
                "start torchrun with --nproc-per-node=gpu, or train with device='cpu'",
            )
        )
    if is_cuda:
        torch.cuda.set_device(local)
    if not dist.is_initialized():
        # for all trainings of this process: a second group would wait for ever at the first one's port
        dist.init_process_group("nccl" if is_cuda else "gloo")
        atexit.register(dist.destroy_process_group)
    return ProcessGroup(dist.get_rank(), dist.get_world_size(), torch.device("cuda", local) if is_cuda else device)
