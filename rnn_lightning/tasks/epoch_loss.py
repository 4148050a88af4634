"""The loss of an epoch so far, as plain sums: a metric would take its time with every batch. P processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


class EpochLoss:
    """Sums up the batches of one process; a training that is resumed within an epoch goes on with the sums it had."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0
        self._count: Tensor | int = 0

    def begin(self) -> None:
        """An epoch begins."""
        self._sum, self._count = 0.0, 0

    def add(self, loss: Tensor, count: Tensor | int) -> None:
        """Counts a batch: its mean loss, and of how many sequences or tokens that is the mean."""
        self._sum = self._sum + loss.detach() * count
        self._count = self._count + count

    def mean(self) -> tuple[Tensor, Tensor] | None:
        """The mean loss so far, and of how many it is; None where no batch was counted."""
        if not isinstance(self._sum, Tensor):
            return None
        count = torch.as_tensor(self._count, device=self._sum.device)
        return self._sum / count.clamp(min=1), count

    def saved(self, device: torch.device, gathered: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """The sums and counts of all processes (P,), for a checkpoint.

        Args:
            device: of the model.
            gathered: from a tensor (1,) of each process to that of all (P,).
        """
        both = (torch.as_tensor(value, device=device) for value in (self._sum, self._count))
        return [gathered(value.view(1)).clone() for value in both]

    def restore(self, saved: list[Tensor], device: torch.device, rank: int, processes: int) -> None:
        """Takes back what `saved` gave."""
        if len(saved[0]) != processes:  # the first process takes all
            saved = [functional.pad(values.sum(0, keepdim=True), (0, processes - 1)) for values in saved]
        if saved[1].any():
            self._sum, self._count = (values[rank].to(device) for values in saved)
