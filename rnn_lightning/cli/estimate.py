"""How long a training takes and how much memory it needs, from a few of its steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from itertools import chain, cycle, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from rnn_lightning.batch import Batch
from rnn_lightning.data.loader import Loader

SPREAD = 5
"""Training batches that stand for all."""
VALIDATED = 2
"""Validation batches that stand for all."""
_SECONDS = 2.0
"""The training batches come again and again for so long, since steps can take a millisecond."""
_BATCHES = 2000
"""Batches of an epoch to choose from, at the most."""


class Sample:
    """Stands for a loader, whose length it has: its largest batch, then, again and again, a few spread over the sizes.

    The largest one comes first: it shows how much memory is needed, and warms up.

    Args:
        loader: whose batches they are.
        spread: how many of them.
    """

    def __init__(self, loader: Loader, spread: int) -> None:
        self._dataset, self._length = loader.dataset, len(loader)
        batches = loader.batches(_BATCHES)
        lengths = loader.dataset.lengths
        order = np.argsort([len(batch) * int(lengths[batch].max()) for batch in batches], kind="stable")
        places = [(2 * number + 1) * len(order) // (2 * spread) for number in range(spread)]
        self._endless = chain([batches[order[-1]]], cycle([batches[order[place]] for place in places]))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Batch]:
        for batch in islice(self._endless, self._length):
            yield self._dataset.__getitems__(batch)


class MeasuredError(Exception):
    """Ends a training of which enough is known."""


class Stopwatch(Callback):
    """Times training steps, and the validation batches before them, and ends the training.

    Attributes:
        train: seconds of each training step.
        val: seconds of each validation batch.
        optimizer: bytes of what the optimiser remembers.
    """

    def __init__(self) -> None:
        self.train: list[float] = []
        self.val: list[float] = []
        self.optimizer = 0
        self._before: float | None = None

    @property
    def step(self) -> float:
        """Seconds of a training step, in the mean."""
        return _mean(self.train)

    @property
    def validation_step(self) -> float:
        """Seconds of a validation batch, in the mean; 0 where there was none."""
        return _mean(self.val)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What came before is no part of a step."""
        self._before = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Starts the clock; between two steps of an epoch it goes on, so that the making of batches counts."""
        if self._before is None:
            self._before = _now(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Notes the time of the step.

        Raises:
            MeasuredError: that is enough.
        """
        self._lap(self.train, pl_module)
        self.optimizer = self.optimizer or sum(map(_bytes_of_state, trainer.optimizers))
        rounds, within = divmod(len(self.train) - 1, SPREAD)
        # All processes decide together.
        if rounds and not within and trainer.strategy.reduce_boolean_decision(sum(self.train) > _SECONDS, all=False):
            raise MeasuredError

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What came before is no part of a validation batch."""
        self._before = None

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Starts the clock."""
        if self._before is None:
            self._before = _now(pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Notes the time."""
        self._lap(self.val, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The next training step begins anew."""
        self._before = None

    def _lap(self, times: list[float], model: LightningModule) -> None:
        now = _now(model)
        assert self._before is not None, "a batch starts before it ends"
        times.append(now - self._before)
        self._before = now


class Work(NamedTuple):
    """What a training has to do.

    Attributes:
        epoch: training batches of an epoch.
        train: training batches in all; infinite where the training has no end.
        between: training batches from one validation to the next; infinite where there is none.
        validation: batches of a validation.
    """

    epoch: int
    train: float
    between: float
    validation: float

    @classmethod
    def of(cls, trainer: Trainer) -> Work:
        """That of a Trainer which has seen its data."""
        epoch, every, interval = (
            int(trainer.num_training_batches),
            trainer.check_val_every_n_epoch,
            trainer.val_check_batch,
        )
        train = min(
            math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs * epoch,
            math.inf if trainer.max_steps == -1 else batches_in(trainer, trainer.max_steps),
        )
        validation = sum(trainer.num_val_batches)
        if not validation or interval is None:  # None: by the clock
            return cls(epoch, train, math.inf, 0)
        return cls(epoch, train, interval if every is None else epoch * every / (epoch // interval), validation)

    def validations(self, train: float) -> float:
        """How many come with so many training batches."""
        return train if math.isinf(train) else math.floor(train / self.between + 1e-9)

    def seconds(self, train: float, step: float, validation_step: float) -> float:
        """What so many training batches take, with the validations that come with them.

        Args:
            train: how many.
            step: seconds of a training step.
            validation_step: seconds of a validation batch.
        """
        return train * step + self.validations(train) * self.validation * validation_step


def batches_in(trainer: Trainer, steps: int) -> int:
    """The training batches in so many steps of the optimiser; the last step of an epoch may have fewer than others."""
    epoch, accumulated = int(trainer.num_training_batches), trainer.accumulate_grad_batches
    epochs, rest = divmod(steps, math.ceil(epoch / accumulated))
    return epochs * epoch + rest * accumulated


def memory(device: torch.device) -> int | None:
    """Bytes that this process needed so far, at the most: of the GPU, or of the computer where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        from resource import RUSAGE_SELF, getrusage
    except ModuleNotFoundError:  # on Windows
        return None
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _mean(times: list[float]) -> float:
    """Of all but the first, which warms up."""
    counted = times[1:] or times
    return sum(counted) / max(len(counted), 1)


def _now(model: LightningModule) -> float:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter()


def _bytes_of_state(optimizer: torch.optim.Optimizer) -> int:
    states = optimizer.state.values()
    return sum(value.nbytes for state in states for value in state.values() if isinstance(value, Tensor))
