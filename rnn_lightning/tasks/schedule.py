"""A learning-rate schedule that knows the length of the training."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

_FIRST, _LAST = 0.04, 1e-4
"""Share of the peak that the rate begins and ends with."""


class OneCycle(LRScheduler):
    """Up to the optimiser's learning rate and down again, once, over all steps of the training.

    A cosine up from 4 % of the rate, then a cosine down to nearly nothing (Smith 2018, https://arxiv.org/abs/1803.09820).

    Args:
        optimizer: its learning rate is the peak.
        warmup: share of the steps that go up.

    Attributes:
        total_steps: length of the training in optimiser steps; to be set before the first step.

    Raises:
        ValueError: warmup is outside [0, 1].
    """

    total_steps: float = 1

    def __init__(self, optimizer: Optimizer, warmup: float = 0.25) -> None:
        if not 0.0 <= warmup <= 1.0:
            raise ValueError(f"warmup is {warmup}; it is a share of the steps, from 0 to 1")
        self.warmup = warmup
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The rate of each parameter group at the present step."""
        return [rate * self._share() for rate in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands. Not its length: a training that goes on may be longer than it was."""
        return {name: value for name, value in super().state_dict().items() if name != "total_steps"}

    def _share(self) -> float:
        top = self.warmup * self.total_steps
        if self.last_epoch < top:
            return _between(_FIRST, 1.0, self.last_epoch / top)
        return _between(1.0, _LAST, min((self.last_epoch - top) / max(self.total_steps - top, 1), 1.0))


def _between(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
