"""A training that is stopped by a signal: its work is kept, by all processes after the same batch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from rnn_lightning.callbacks.habits import LastCheckpoint
from rnn_lightning.cli import plugins, signals
from rnn_lightning.resuming import is_between_steps

_PAUSE = 1.0
"""Seconds between two meetings of the processes."""


class Stopping(Checkpoint):
    """Ends a training where a signal was received: keeps last.ckpt after the batch, and says how to go on.

    Of Lightning's callbacks those that are a `Checkpoint` come last: all others are done with the batch.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._meetings = _Meetings()
        self._common = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stops here where something on the way has swallowed the exception."""
        signals.check()

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes SIGTERM back from Lightning."""
        signals.take()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From now on there is work that would be lost."""
        signals.take()
        signals.check()
        signals.let_wait(True)
        self._meetings = _Meetings()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops after this batch."""
        self._stop_if_noted(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Counts the batches that all processes validate on: some may have one more."""
        if not trainer.sanity_checking:
            count = torch.tensor(float(sum(trainer.num_val_batches)), device=trainer.strategy.root_device)
            self._common = int(trainer.strategy.reduce(count, reduce_op="min"))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stops within a validation, which is done anew when the training goes on."""
        if not trainer.sanity_checking and batch_idx < self._common:
            self._stop_if_noted(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """There is nothing more to wait for."""
        signals.let_wait(False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """There is nothing more to wait for."""
        signals.let_wait(False)

    def _stop_if_noted(self, trainer: Trainer) -> None:
        if not is_between_steps(trainer) or not (number := self._meetings.noted(trainer)):
            return
        signals.let_wait(False)
        place = f"step {trainer.global_step:,} (epoch {trainer.current_epoch + 1})"
        last = next((each for each in trainer.checkpoint_callbacks if isinstance(each, LastCheckpoint)), None)
        if last is None:
            raise signals.Stopped(number, f"Stopped after {place}. No checkpoint is kept (--checkpoint null).")
        last.keep(trainer)
        onward = " ".join(("rnn-lightning fit --resume", str(self._run), *plugins.words()))
        raise signals.Stopped(number, f"Stopped after {place}. To go on: {onward}")


class _Meetings:
    """Where processes learn what signals the others have received, about once a second; one alone knows at any time."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._done = 0
        self._every = 1

    def noted(self, trainer: Trainer) -> int:
        """The number of the signal to stop for, 0 for none: the same in all processes, which ask equally often."""
        if trainer.world_size == 1:
            return signals.noted()
        self._done += 1
        if self._done < self._every:
            return 0
        seconds = (time.monotonic() - self._since) / self._done
        mine = torch.tensor([signals.noted(), seconds], device=trainer.strategy.root_device)
        number, slowest = torch.as_tensor(trainer.strategy.reduce(mine, reduce_op="max")).tolist()
        self._since, self._done, self._every = time.monotonic(), 0, max(1, int(_PAUSE / max(slowest, 1e-6)))
        return int(number)
