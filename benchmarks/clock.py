"""How long a training takes, without what comes before and after it."""

from __future__ import annotations

import time
from pathlib import Path

import lightning.pytorch as pl


class Clock(pl.Callback):
    """Adds up the seconds of the training epochs.

    Args:
        file: where they are written at the end.

    Attributes:
        now: what tells the time.
    """

    now = staticmethod(time.perf_counter)

    def __init__(self, file: str | None = None) -> None:
        self.file = file
        self.seconds = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.start = self.now()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds += self.now() - self.start

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.file is not None and trainer.is_global_zero:
            Path(self.file).write_text(str(self.seconds), "utf-8")


class FirstStep(pl.Callback):
    """Writes down when the first training step begins.

    Args:
        file: where to.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_train_batch_start(self, *_: object) -> None:
        if not self.file.exists():
            self.file.write_text(str(time.time()), "utf-8")
